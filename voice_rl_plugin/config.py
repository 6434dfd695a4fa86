"""The settings of `voice_rl.yaml`: one frozen dataclass a section, every key with a default that is safe at home.

--config FILE > $VOICE_RL_CONFIG > $XDG_CONFIG_HOME/voice_rl/voice_rl.yaml > /etc/voice_rl/voice_rl.yaml > the defaults
VOICE_RL__SECTION__KEY in the environment overrides one key of whichever was found
a secret is a `*_file` that holds it; the environment may also give VOICE_RL__MQTT__PASSWORD
"""

import dataclasses
import difflib
import os
import re
import types
import typing
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from voice_rl_plugin.domain.beyond import SERVICES
from voice_rl_plugin.errors import ConfigError

ENVIRONMENT_PREFIX = "VOICE_RL__"
FILE_NAME = "voice_rl.yaml"
MQTT_VERSIONS = ("auto", "5", "3.1.1")
EXECUTOR_NAMES = ("dispatch", "home_assistant", "none")
LEARNING_MODES = ("on", "off", "guest")
DISCOVERY_LANGUAGES = ("en", "zh")
_LARGEST = 1e15
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder for what this program keeps: `$XDG_DATA_HOME/voice_rl`."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return Path(base) / "voice_rl"


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSection:
    """How to reach the broker."""

    host: str = "127.0.0.1"
    port: int = 1883
    prefix: str = "voice_rl"
    """All topics of this program start with it."""
    client_id: str = "voice_rl"
    """Stable, so that the broker keeps what was sent while we were away; two daemons need two."""
    shared_group: str = ""
    """Daemons with the same word here, the same prefix and the same store on a server share the commands (MQTT 5 shared subscription)."""
    username: str | None = None
    password_file: Path | None = None
    password: str = field(default="", repr=False)
    """Only from the environment."""
    tls: bool = False
    ca_file: Path | None = None
    """Certificate authorities to trust; the system's when missing."""
    cert_file: Path | None = None
    key_file: Path | None = None
    version: str = "auto"
    """`auto` tries MQTT 5 and falls back to 3.1.1."""
    keepalive_s: int = 30
    session_expiry_s: int = 3600
    """How long the broker keeps our session after we are gone; MQTT 5 only."""
    queue_size: int = 1000
    """Messages that may wait in this process; more are dropped and counted."""
    max_payload_bytes: int = 1_048_576
    """A larger payload is neither read nor sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeSection:
    """Where the home comes from."""

    file: Path | None = None
    """A `home.yaml`; it wins over the topic, entity by entity."""
    states_topic: str = "voice_rl/state/#"
    """Home Assistant's statestream: `<base>/<domain>/<object_id>/state` and `/<attribute>`."""
    home_assistant: str | None = None
    """Its address, such as `http://homeassistant.local:8123`: rooms, devices and states then come over its WebSocket."""
    token_file: Path | None = None
    """Holds a long-lived access token of Home Assistant."""
    token: str = field(default="", repr=False)
    """Only from the environment."""
    ca_file: Path | None = None
    """Certificate authorities to trust for `https://`; the system's when missing."""
    zigbee2mqtt: str | None = None
    """The base topic of zigbee2mqtt, usually `zigbee2mqtt`: its devices are then addressed directly; see docs/homes.md."""
    discovered: str | None = None
    """The prefix of MQTT discovery, usually `homeassistant`: the devices announced there are then addressed directly."""
    risky_label: str = "voice_risky"
    """Home Assistant's label (its id or name) of entities and devices that always ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WyomingSection:
    """The door for Home Assistant's Assist; needs the extra `wyoming`."""

    enabled: bool = False
    host: str = "127.0.0.1"
    """Where to listen. Wyoming has no passwords: whoever reaches the port commands the home."""
    port: int = 10900
    advertise: bool = False
    """Whether Home Assistant finds it by zeroconf."""
    intents: bool = True
    """Whether the other side carries out Home Assistant's intents; false when it is not Home Assistant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HermesSection:
    """The door for Rhasspy 2.5, on the same broker."""

    enabled: bool = False
    site_ids: tuple[str, ...] = ()
    """The sites to answer; empty means all."""
    dialogue_manager: bool = True
    """Whether Rhasspy's dialogue manager runs; without it captured text is taken as it comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorsSection:
    """What may come in."""

    freshness_s: float = 5.0
    """An older command is not executed, and that is said."""
    rate_per_s: float = 5.0
    """Commands, and as many confirmations, that one satellite, session or area may send a second in the long run; more are dropped and counted."""
    burst: int = 20
    """So many at once are always taken."""
    discovery: bool = True
    """Whether Home Assistant is shown a device with this program's buttons, switches and sensors."""
    discovery_prefix: str = "homeassistant"
    """Home Assistant's own discovery prefix."""
    discovery_language: str = "en"
    """Of the names on the device page: `en` or `zh`."""
    wyoming: WyomingSection = field(default_factory=WyomingSection)
    hermes: HermesSection = field(default_factory=HermesSection)


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchSection:
    """How actions go out."""

    executor: str = "dispatch"
    """`dispatch` publishes on `<prefix>/action/<domain>/<service>`; `home_assistant` calls its services; `none` is shadow mode."""
    domains: tuple[str, ...] = ("light", "switch", "fan", "cover", "climate", "media_player", "scene", "vacuum", "humidifier")
    """What `home_assistant` and devices of our own may act on; what goes out on the action topics is checked by Home Assistant's automation."""
    guarded: bool = False
    """Whether `home_assistant` and devices of our own may act on locks, valves, garage doors and gates too; unlocking and opening always ask first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetySection:
    """What needs a confirmation."""

    risky: tuple[str, ...] = ()
    """Entity ids that always ask, in addition to locks, garages, gates and what the home labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeyondSection:
    """What may be asked for beyond the house."""

    services: tuple[str, ...] = ()
    """Out of domain.beyond.SERVICES; each needs somebody who carries it out. What is not here is refused, and that is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostsSection:
    """Prices of being wrong, in units of one right action; empty keys keep the decider's own defaults."""

    wrong: float | None = None
    """A wrong action on a lamp."""
    ask: float | None = None
    """A question."""
    missed: float | None = None
    """A command that was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSection:
    """Whether and how to learn."""

    mode: str = "on"
    """`on`; `off` stores decisions but learns nothing; `guest` acts and stores nothing."""
    trainer: str = "voice-rl-train"
    """The command that `<prefix>/train/set start` runs as `<trainer> retrain`."""
    canary_decisions: int = 300
    """A new model is on trial for this many of its decisions: it is rolled back when people deny it more often than the one before; 0 is never."""
    canary_least: int = 30
    """It is looked at each time it has made this many more."""
    canary_level: float = 0.05
    """The chance, over the whole trial, that a model no worse than the one before is rolled back."""
    shadow_questions_per_hour: int = 0
    """Where a challenger in shadow would act otherwise, this often an hour it is asked which is right; 0 is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSection:
    """Where decisions, rewards and memory are kept."""

    path: Path = field(default_factory=lambda: data_dir() / "store")
    """The folder of the database file, and of what one daemon keeps for itself: its lock, the home that it knew last."""
    url_file: Path | None = None
    """Holds the address of a PostgreSQL server, `postgresql://user:password@host/database`; the rows are then there, for several daemons."""
    url: str = field(default="", repr=False)
    """Only from the environment."""
    schema: str = "voice_rl"
    """The schema on that server: one a home."""
    retention_days: float | None = 365.0
    """Decisions are erased when they are older; what they taught the memory stays. Empty keeps them for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsSection:
    """Where the versions of the policy are kept."""

    path: Path = field(default_factory=lambda: data_dir() / "models")
    public_key_file: Path | None = None
    """An Ed25519 public key as PEM; with it only versions signed by its private half are served, beside the shipped one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings."""

    mqtt: MqttSection = field(default_factory=MqttSection)
    home: HomeSection = field(default_factory=HomeSection)
    doors: DoorsSection = field(default_factory=DoorsSection)
    dispatch: DispatchSection = field(default_factory=DispatchSection)
    safety: SafetySection = field(default_factory=SafetySection)
    beyond: BeyondSection = field(default_factory=BeyondSection)
    costs: CostsSection = field(default_factory=CostsSection)
    learning: LearningSection = field(default_factory=LearningSection)
    store: StoreSection = field(default_factory=StoreSection)
    models: ModelsSection = field(default_factory=ModelsSection)

    def to_mapping(self) -> dict[str, dict[str, Any]]:
        """Return the settings as `voice_rl.yaml` would hold them; a password is masked."""
        shown: dict[str, dict[str, Any]] = {}
        for section in dataclasses.fields(self):
            values = getattr(self, section.name)
            shown[section.name] = {one.name: _plain(getattr(values, one.name)) for one in dataclasses.fields(values)}
        shown["mqtt"]["password"] = "***" if self.mqtt.password else ""
        shown["home"]["token"] = "***" if self.home.token else ""
        shown["store"]["url"] = "***" if self.store.url else ""
        return shown


def find_config(path: str | Path | None = None, *, environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the file that `load_config` would read; None when the defaults hold.

    Raises:
        ConfigError: a file was named and is not there.
    """
    environ = os.environ if environ is None else environ
    named = path or environ.get("VOICE_RL_CONFIG")
    if named:
        if not Path(named).is_file():
            raise ConfigError(f"configuration: expected a file, found none at {named}")
        return Path(named)
    user = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config") / "voice_rl" / FILE_NAME
    return next((one for one in (user, Path("/etc/voice_rl") / FILE_NAME) if one.is_file()), None)


def load_config(path: str | Path | None = None, *, environ: Mapping[str, str] | None = None) -> Config:
    """Read the settings.

    Args:
        path: what `--config` named; None searches.
        environ: the environment, by default this process's.

    Raises:
        ConfigError: a key is unknown, ill-typed or out of range; the message names it and the nearest right one.
    """
    environ = os.environ if environ is None else environ
    found = find_config(path, environ=environ)
    where = str(found) if found else "configuration"
    root = _read_yaml(found) if found else {}
    for section, key in (("mqtt", "password"), ("home", "token"), ("store", "url")):
        if isinstance(root.get(section), Mapping) and root[section].get(key):
            raise ConfigError(f"{where}: {section}.{key}: a secret does not belong here; put it into a file and name it as {key}_file")
    sections: dict[str, Any] = {}
    hints = typing.get_type_hints(Config)
    _check_keys(root, hints, where)
    overrides = _from_environment(environ, hints)
    for name, section_type in hints.items():
        values = root.get(name) or {}
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where}: {name}: expected a mapping, got {values!r}")
        keys = typing.get_type_hints(section_type)
        _check_keys(values, keys, f"{where}: {name}")
        read = {key: _convert(value, keys[key], f"{where}: {name}.{key}") for key, value in values.items()}
        merged = _merge(read, overrides.get(name, {}))
        sections[name] = section_type(**{key: keys[key](**one) if isinstance(one, dict) else one for key, one in merged.items()})
    config = Config(**sections)
    _check(config, where)
    return config


def read_password(section: MqttSection) -> str | None:
    """Return the broker password from its file or the environment.

    Raises:
        ConfigError: the file cannot be read.
    """
    if section.password_file is None:
        return section.password or None
    try:
        return section.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"mqtt.password_file: expected a readable text file at {section.password_file}: {error}") from error


def read_store_url(section: StoreSection) -> str | None:
    """Return the address of the store's server from its file or the environment; None for a store in a file.

    Raises:
        ConfigError: the file cannot be read, or holds no address.
    """
    url = section.url.strip()
    if section.url_file is not None:
        try:
            url = section.url_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"store.url_file: expected a readable text file at {section.url_file}: {error}") from error
    elif not url:
        return None
    if not url.startswith(("postgresql://", "postgres://")) or len(url.split()) != 1:
        raise ConfigError("store.url_file: expected one line such as postgresql://user:password@host/database, got something else")
    return url


def read_token(section: HomeSection) -> str:
    """Return Home Assistant's token from its file or the environment.

    Raises:
        ConfigError: there is none, or the file cannot be read.
    """
    if section.token_file is None:
        if not section.token:
            raise ConfigError("home.home_assistant: expected a token: name a file that holds a long-lived access token as home.token_file")
        return section.token
    try:
        token = section.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"home.token_file: expected a readable text file at {section.token_file}: {error}") from error
    if not token:
        raise ConfigError(f"home.token_file: expected a token, got an empty file at {section.token_file}")
    return token


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        root = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: expected YAML: {' '.join(str(error).split())}") from error
    if root is None:
        return {}
    if not isinstance(root, Mapping):
        raise ConfigError(f"{path}: expected sections such as 'mqtt:', got {type(root).__name__}")
    return root


def _from_environment(environ: Mapping[str, str], hints: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    overrides: dict[str, dict[str, Any]] = {}
    for variable, text in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        *sections, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        keys, target = hints, overrides
        for section in sections or [""]:
            _check_keys({section: None}, keys, variable)
            keys, target = _keys_of(keys[section], variable), target.setdefault(section, {})
        _check_keys({key: None}, keys, f"{variable}: {sections[-1]}")
        value = text if keys[key] in (str, str | None) else _read_scalar(text, variable)
        target[key] = _convert(value, keys[key], variable)
    return overrides


def _keys_of(section: Any, variable: str) -> Mapping[str, Any]:
    if not dataclasses.is_dataclass(section):
        raise ConfigError(f"{variable}: expected {ENVIRONMENT_PREFIX}SECTION__KEY, got a level too many")
    return typing.get_type_hints(section)


def _merge(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those of the environment over them; the settings of a section in a section one by one."""
    merged = dict(values)
    for key, value in overrides.items():
        if isinstance(value, dict):
            merged[key] = value if key not in merged else dataclasses.replace(merged[key], **value)
        else:
            merged[key] = value
    return merged


def _read_scalar(text: str, variable: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{variable}: expected one YAML value, got {text!r:.100}") from error


def _check_keys(values: Mapping[Any, Any], known: Mapping[str, Any], where: str) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), list(known), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")


def _convert(value: Any, hint: Any, where: str) -> Any:
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(one for one in typing.get_args(hint) if one is not types.NoneType)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        inner = typing.get_type_hints(hint)
        _check_keys(value, inner, where)
        return hint(**{key: _convert(one, inner[key], f"{where}.{key}") for key, one in value.items()})
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is bool and isinstance(value, bool):
        return value
    if is_number and abs(value) > _LARGEST:
        raise ConfigError(f"{where}: expected a number up to {_LARGEST:g}, got a larger one")
    if hint is int and is_number and float(value).is_integer():
        return int(value)
    if hint is float and is_number:
        return float(value)
    if hint is Path and isinstance(value, str) and value and "\0" not in value:
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise ConfigError(f"{where}: {value!r}: {error}") from error
    if hint is str and (isinstance(value, str) or is_number or isinstance(value, bool)):
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)  # YAML reads a bare on as true
    if typing.get_origin(hint) is tuple and isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value):
        return tuple(value)
    names = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path", str: "a text"}
    fallback = "a mapping" if dataclasses.is_dataclass(hint) else "a list of texts"
    raise ConfigError(f"{where}: expected {names.get(hint, fallback)}, got {value!r}")


def _check(config: Config, where: str) -> None:
    mqtt = config.mqtt
    _check_range(mqtt.port, 1, 65535, f"{where}: mqtt.port")
    _check_range(mqtt.keepalive_s, 5, 3600, f"{where}: mqtt.keepalive_s")
    _check_range(mqtt.session_expiry_s, 0, 7 * 86400, f"{where}: mqtt.session_expiry_s")
    _check_range(mqtt.queue_size, 10, 1_000_000, f"{where}: mqtt.queue_size")
    _check_range(mqtt.max_payload_bytes, 1024, 64 * 1_048_576, f"{where}: mqtt.max_payload_bytes")
    _check_range(config.doors.freshness_s, 0.1, 600, f"{where}: doors.freshness_s")
    _check_range(config.doors.rate_per_s, 0.1, 1_000_000, f"{where}: doors.rate_per_s")
    _check_range(config.doors.burst, 1, 1_000_000, f"{where}: doors.burst")
    if config.store.retention_days is not None:
        _check_range(config.store.retention_days, 1.0, 36_500.0, f"{where}: store.retention_days")
    if not _SCHEMA.fullmatch(config.store.schema):
        raise ConfigError(f"{where}: store.schema: expected small letters, digits and _, at most 63, got {config.store.schema!r}")
    wyoming = config.doors.wyoming
    _check_range(wyoming.port, 1, 65535, f"{where}: doors.wyoming.port")
    if not wyoming.host or wyoming.host != wyoming.host.strip():
        raise ConfigError(f"{where}: doors.wyoming.host: expected an address such as 127.0.0.1 or 0.0.0.0, got {wyoming.host!r}")
    if wyoming.advertise and wyoming.host in ("127.0.0.1", "localhost", "::1"):
        raise ConfigError(
            f"{where}: doors.wyoming.advertise: nobody else reaches {wyoming.host}; set doors.wyoming.host to this machine's address or 0.0.0.0"
        )
    named = [("mqtt.prefix", mqtt.prefix), ("doors.discovery_prefix", config.doors.discovery_prefix)]
    devices = [("home.zigbee2mqtt", config.home.zigbee2mqtt), ("home.discovered", config.home.discovered)]
    for key, prefix in (*named, *((key, topic) for key, topic in devices if topic is not None)):
        if prefix == mqtt.prefix and key.startswith("home."):
            raise ConfigError(f"{where}: {key}: expected another topic than our own {mqtt.prefix!r}, such as {key.partition('.')[2]!r}")
        if not prefix or set(prefix) & set("+#\0") or "" in prefix.split("/") or prefix.startswith("$"):
            raise ConfigError(f"{where}: {key}: expected a topic without wildcards or empty levels, got {prefix!r}")
    if not mqtt.client_id or not mqtt.client_id.isascii():
        raise ConfigError(f"{where}: mqtt.client_id: expected ASCII letters, got {mqtt.client_id!r}")
    _check_group(config, where)
    _check_choice(mqtt.version, MQTT_VERSIONS, f"{where}: mqtt.version")
    _check_choice(config.dispatch.executor, EXECUTOR_NAMES, f"{where}: dispatch.executor")
    _check_choice(config.learning.mode, LEARNING_MODES, f"{where}: learning.mode")
    _check_choice(config.doors.discovery_language, DISCOVERY_LANGUAGES, f"{where}: doors.discovery_language")
    _check_range(config.learning.canary_decisions, 0, 100_000, f"{where}: learning.canary_decisions")
    _check_range(config.learning.canary_least, 1, 100_000, f"{where}: learning.canary_least")
    _check_range(config.learning.canary_level, 0.0001, 0.5, f"{where}: learning.canary_level")
    _check_range(config.learning.shadow_questions_per_hour, 0, 60, f"{where}: learning.shadow_questions_per_hour")
    _check_home_assistant(config, where)
    for key, cost in (("wrong", config.costs.wrong), ("ask", config.costs.ask), ("missed", config.costs.missed)):
        if cost is not None:
            _check_range(cost, 0.0, 100.0, f"{where}: costs.{key}")
    for service in config.beyond.services:
        if service not in SERVICES:
            near = difflib.get_close_matches(service, SERVICES, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected some of {', '.join(SERVICES)}"
            raise ConfigError(f"{where}: beyond.services: unknown service {service!r}; {hint}")
    if (mqtt.cert_file is None) != (mqtt.key_file is None):
        raise ConfigError(f"{where}: mqtt.cert_file and mqtt.key_file: expected both or neither")


def _check_group(config: Config, where: str) -> None:
    mqtt = config.mqtt
    if not mqtt.shared_group:
        return
    for key, word in (("mqtt.shared_group", mqtt.shared_group), ("mqtt.client_id", mqtt.client_id)):
        if set(word) & set("+#/~\0"):
            raise ConfigError(f"{where}: {key}: expected a word without / + # ~, got {word!r}")
    if mqtt.version == "3.1.1":
        raise ConfigError(f"{where}: mqtt.shared_group: shared subscriptions are of MQTT 5; set mqtt.version to auto or 5")
    if config.store.url_file is None and not config.store.url:
        raise ConfigError(f"{where}: mqtt.shared_group: daemons that share commands need one store on a server: set store.url_file")
    if config.doors.hermes.enabled:
        raise ConfigError(f"{where}: mqtt.shared_group: Rhasspy's sessions cannot be shared; set doors.hermes.enabled to false")


def _check_home_assistant(config: Config, where: str) -> None:
    address = config.home.home_assistant
    if address is None:
        if config.dispatch.executor == "home_assistant":
            raise ConfigError(f"{where}: dispatch.executor: home_assistant needs home.home_assistant, its address, and home.token_file")
        return
    try:
        parts = urllib.parse.urlsplit(address)
        is_address = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        got = "one with a name and a password" if "@" in address else repr(address)
        raise ConfigError(f"{where}: home.home_assistant: expected an address such as http://homeassistant.local:8123, got {got}")
    if config.home.token_file is None and not config.home.token:
        raise ConfigError(f"{where}: home.token_file: expected a file with a long-lived access token, since home.home_assistant is set")
    wrong = [one for one in config.dispatch.domains if not one.isidentifier() or one in ("homeassistant", "all", "intent", "query")]
    if wrong:
        raise ConfigError(f"{where}: dispatch.domains: expected domains of entities such as light, got {wrong[0]!r}")


def _check_range(value: float, low: float, high: float, where: str) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{where}: expected {low} to {high}, got {value}")


def _check_choice(value: str, choices: tuple[str, ...], where: str) -> None:
    if value not in choices:
        raise ConfigError(f"{where}: expected one of {', '.join(choices)}, got {value!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    return list(value) if isinstance(value, tuple) else value
