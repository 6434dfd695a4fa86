"""Everything that reads bytes from outside, as one function of bytes each: it may refuse them with its own error, and nothing else.

bytes -> target -> None               read, or refused with the error that its module promises
                -> any other error    a finding
"""

import contextlib
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from tests.fakes import HOME, FakeBroker, FakeDecider, FakePolicy
from voice_rl_plugin.acting.dispatch import DispatchExecutor
from voice_rl_plugin.config import Config, ModelsSection, StoreSection, load_config
from voice_rl_plugin.daemon import Daemon
from voice_rl_plugin.daemon.parts import Parts
from voice_rl_plugin.deciding.cases import Case, decide_case, parse_cases
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import EntityState, Home
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.broker import Message, check_topic
from voice_rl_plugin.errors import BrokerError, ConfigError, MessageError, ModelError, StoreError
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.homes.last_good import LastGoodHome
from voice_rl_plugin.homes.merge import merge_sources
from voice_rl_plugin.homes.mqtt_devices import MqttDevices
from voice_rl_plugin.homes.statestream import LiveStates
from voice_rl_plugin.learning.archive import import_archive
from voice_rl_plugin.learning.models import BASE_FOLDER, ModelStore, read_manifest
from voice_rl_plugin.learning.store import ExperienceStore
from voice_rl_plugin.understanding.features import observe_words
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.numbers import han_number, parse_value
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy
from voice_rl_plugin.understanding.sounds import sound_key
from voice_rl_plugin.understanding.text import detect_language, normalise, tokenise, words_of

ROOT = Path(__file__).parents[2]
TOPICS = (*(one.replace("+", "kitchen") for one in native.INPUTS if one != "train/set"), "command/nowhere", "confirm/hall", "other")
DAEMON_LIFE = 5_000
"""Messages after which the daemon of the target is made anew, so that its store stays small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One reader of foreign bytes."""

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    """Inputs to begin with."""
    weight: float = 1.0
    """Its share of the time."""


@cache
def _folder() -> Path:
    shared = Path("/dev/shm")  # noqa: S108 - a disk would be written thousands of times a second
    return Path(tempfile.mkdtemp(prefix="voice-rl-fuzz-", dir=shared if shared.is_dir() else None))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "ignore")


# Topics

PARSERS: tuple[Callable[[bytes], object], ...] = (
    lambda data: native.parse_command(data, area=None, home=HOME),
    lambda data: native.parse_command(data, area="kitchen", home=HOME),
    lambda data: native.parse_confirm(data, area=None, home=HOME),
    lambda data: native.parse_confirm(data, area="Hall", home=HOME),
    native.parse_result,
    native.parse_model_set,
    native.parse_learning_set,
    native.parse_train_set,
    lambda data: native.parse_home(data, max_bytes=1_048_576),
)


def read_payload(data: bytes) -> None:
    """Read a payload with the parser that the first byte picks."""
    with contextlib.suppress(MessageError):
        PARSERS[(data[:1] or b"\0")[0] % len(PARSERS)](data[1:])


def read_topic(data: bytes) -> None:
    """Check a topic that somebody asks us to answer on."""
    with contextlib.suppress(BrokerError):
        check_topic(data.decode("utf-8", "surrogateescape"))


def read_state(data: bytes) -> None:
    """Take two states: topic and payload each, divided by line ends."""
    live = LiveStates(base="voice_rl/state/#")
    lines = data.split(b"\n")
    for topic, payload in zip(lines[::2], lines[1::2], strict=False):
        with contextlib.suppress(MessageError):
            live.on_message(f"voice_rl/state/{_text(topic)}", payload, now=1.0)


class _Loop:
    """A daemon whose loop takes messages that no broker ever sent."""

    def __init__(self) -> None:
        self._left = 0
        self._daemon: Daemon | None = None
        self._broker = FakeBroker()

    def __call__(self, data: bytes) -> None:
        """Settle one message: the first byte picks the topic and whether it was retained."""
        if self._left == 0 or self._daemon is None:
            self._start()
        assert self._daemon is not None
        self._left -= 1
        kind, payload = (data[:1] or b"\0")[0], data[1:]
        topic = (
            f"voice_rl/{TOPICS[kind % len(TOPICS)]}" if kind < 200 else f"voice_rl/state/light/lamp/{'state' if kind % 2 else 'brightness'}"
        )
        response = "reply/here" if kind % 7 == 0 else None
        self._daemon._settle(Message(topic=topic, payload=payload, is_retained=kind % 16 == 15, response_topic=response, receipt=(1, 1)))
        published, self._broker.hub.published[:] = list(self._broker.hub.published), []
        for one in published:
            if one.topic == "voice_rl/error" and b"internal error" in one.payload:
                raise AssertionError(f"{topic}: {one.payload.decode()}")

    def _start(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=_folder()))
        if self._daemon is not None:
            self._daemon._store.close()
        self._broker = FakeBroker()
        self._broker.start()
        config = Config(store=StoreSection(path=folder / "store"), models=ModelsSection(path=folder / "models"))
        config.store.path.mkdir()
        self._daemon = Daemon(
            Parts(
                config=config,
                broker=self._broker,
                store=ExperienceStore(config.store.path),
                models=ModelStore(config.models.path),
                executor=DispatchExecutor(answer_s=1.0),
                make_decider=cast("Any", FakeDecider),
                load_policy=lambda path: cast("Any", FakePolicy(path.name)),
                probe_model=lambda _: None,
                file_home=HOME,
            )
        )
        self._daemon._brain.load()
        self._left = DAEMON_LIFE


# Words

_STATES: Mapping[str, EntityState] = {"light.lamp": EntityState(value="on")}


def read_words(data: bytes) -> None:
    """Normalise, cut and observe a sentence, and find its numbers; normalising twice is normalising once."""
    text = _text(data)[:500]
    tokens = tokenise(text)
    detect_language(tokens, None, "en")
    words = words_of(text)
    if normalise(normalise(text)) != normalise(text):
        raise AssertionError("normalising is not idempotent")
    sound_key(words)
    han_number(text)
    for start in range(min(len(words), 4)):
        parse_value(words[start : start + 4])
    observe_words(words, home=HOME, index=_index())


@cache
def _index() -> NameIndex:
    return NameIndex(HOME)


@cache
def _decider() -> Decider:
    return Decider(policy=OnnxPolicy.load(BASE_FOLDER), home=load_home(ROOT / "examples" / "home.en.yaml"), memory=Memory())


def decide_text(data: bytes) -> None:
    """Decide a sentence, and one after it, with the shipped model: always a decision."""
    first, _, second = _text(data).partition("\n")
    if first.strip() and len(first) <= 500 and len(second) <= 500:
        decide_case(_decider(), Case(say=first, after=second or None, area="kitchen"))


# Files


DEVICE_TOPICS = (
    *("zigbee2mqtt/bridge/devices", "zigbee2mqtt/bridge/groups", "homeassistant/device/thing/config"),
    *(f"homeassistant/{one}/thing/config" for one in ("light", "switch", "cover", "fan", "climate", "lock")),
)


def read_devices(data: bytes) -> None:
    """Have a device announce itself, tell anything, and be told everything; the first line is the announcement, the second the state."""
    announced, _, state = data[1:].partition(b"\n")
    devices = MqttDevices(zigbee2mqtt="zigbee2mqtt", discovered="homeassistant")
    with contextlib.suppress(MessageError):
        devices.on_message(DEVICE_TOPICS[(data[0] if data else 0) % len(DEVICE_TOPICS)], announced, now=1.0)
    home = merge_sources(devices=devices.homes)
    devices.settle_in(home, takes_commands=True)
    assert Home.from_mapping(home.to_mapping()) == home
    for topic in devices.topics:
        if not set(topic) & set("+#"):
            check_topic(topic)
            with contextlib.suppress(MessageError):
                devices.on_message(topic, state, now=2.0)
    for one in devices.states.values():
        json.dumps(one.attributes, allow_nan=False)
    for entity in home.entities:
        device = devices.find(entity.id)
        for line in _DEVICE_LINES[entity.domain] if device is not None else ():
            for command in device.command(replace(parse_action(line), targets=(entity.id,))) or ():  # type: ignore[union-attr]
                check_topic(command.topic)


_DEVICE_LINES: Mapping[str, tuple[str, ...]] = {
    "light": ("light.turn_on brightness=128 color_temp_kelvin=3000", "light.turn_off"),
    "switch": ("switch.turn_on", "switch.turn_off"),
    "cover": ("cover.open_cover", "cover.close_cover", "cover.stop_cover", "cover.set_cover_position position=30"),
    "fan": ("fan.turn_on", "fan.turn_off", "fan.set_percentage percentage=40"),
    "climate": ("climate.turn_on", "climate.turn_off", "climate.set_temperature temperature=21", "climate.set_hvac_mode hvac_mode=heat"),
    "lock": ("lock.lock", "lock.unlock"),
}


def read_home(data: bytes) -> None:
    """Read a home file, as YAML or, where the first byte is odd, as JSON; what was read is written and read again."""
    path = _folder() / ("home.json" if data[:1] and data[0] & 1 else "home.yaml")
    path.write_bytes(data[1:])
    LastGoodHome(path).load()
    with contextlib.suppress(ConfigError):
        home = load_home(path)
        kept = LastGoodHome(_folder() / "kept.json")
        kept.save(home)
        if kept.load() is None:
            raise AssertionError("a home that was read cannot be kept")


def read_config(data: bytes) -> None:
    """Read a configuration file."""
    path = _folder() / "voice_rl.yaml"
    path.write_bytes(data)
    with contextlib.suppress(ConfigError):
        load_config(path, environ={}).to_mapping()


def read_environment(data: bytes) -> None:
    """Read a setting of the environment: name and value, divided by `=`."""
    name, _, value = _text(data).partition("=")
    with contextlib.suppress(ConfigError):
        load_config(environ={f"VOICE_RL__{name}".replace("\0", ""): value.replace("\0", ""), "HOME": str(_folder())})


def read_cases(data: bytes) -> None:
    """Read a list of cases, and an action line."""
    try:
        document = yaml.safe_load(_text(data))
    except (yaml.YAMLError, ValueError, RecursionError):
        document = _text(data)
    with contextlib.suppress(ConfigError):
        parse_cases(document, HOME)
    with contextlib.suppress(ConfigError):
        parse_action(_text(data))


def read_manifest_file(data: bytes) -> None:
    """Read a manifest."""
    folder = _folder() / "version"
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_bytes(data)
    with contextlib.suppress(ModelError):
        read_manifest(folder)


def read_model_archive(data: bytes) -> None:
    """Import a model from an archive."""
    path = _folder() / "model.tar"
    path.write_bytes(data)
    with contextlib.suppress(ModelError):
        ModelStore(_folder() / "models").import_archive(path)


class _Imports:
    """Imports archives into one store, which is emptied now and then."""

    def __init__(self) -> None:
        self._left = 0
        self._store: ExperienceStore | None = None

    def take(self, path: Path) -> None:
        """Import one archive."""
        if self._left == 0 or self._store is None:
            if self._store is not None:
                self._store.close()
            self._store, self._left = ExperienceStore(Path(tempfile.mkdtemp(dir=_folder())) / "store"), DAEMON_LIFE
        self._left -= 1
        with contextlib.suppress(StoreError, MessageError):
            import_archive(self._store, path)
        if self._store.moved_aside:
            raise AssertionError("an archive made the store believe that it is damaged")


_IMPORTS = _Imports()


def read_archive(data: bytes) -> None:
    """Import an archive of experience, as it is."""
    path = _folder() / "experience.zip"
    path.write_bytes(data)
    _IMPORTS.take(path)


def read_archive_rows(data: bytes) -> None:
    """Import an archive whose frame is right and whose rows are foreign: three files, divided by empty lines."""
    path = _folder() / "rows.zip"
    _IMPORTS.take(write_archive(path, data.split(b"\n\n")))


def write_archive(path: Path, members: list[bytes]) -> Path:
    """Write an archive with right checksums around any content."""
    contents = dict(zip(("decisions.jsonl", "feedback.jsonl", "memory.jsonl"), [*members, b"", b"", b""], strict=False))
    files = {name: {"rows": 1, "sha256": hashlib.sha256(content).hexdigest()} for name, content in contents.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.writestr("manifest.json", json.dumps({"format": 1, "created_at": 1.0, "files": files}))
    return path


# The table


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


_COMMAND = {"text": "turn on the lamp", "id": "1", "language": "en", "area": "kitchen", "satellite_id": "s", "user": "u", "at": 1.0}
_CONFIRM = {"decision_id": "d", "verdict": "no", "correction": {"text": "the desk lamp"}, "id": "c"}
_PICK = {"verdict": "yes", "correction": {"choice": 0}, "area": "kitchen"}
_RESULT = {"decision_id": "d", "step": 1, "ok": False, "error": "gone"}
_SENTENCES = (
    "turn on the counter bar",
    "把客厅的灯调到百分之三十",
    "set the radio to one hundred and twenty five",
    "二十三度半",
    "30%\ndim it",
    "don't turn off the lamp",
)


@cache
def _archives() -> tuple[bytes, bytes]:
    """Return the rows, and the whole, of a small archive that is right."""
    from tests.learning.makers import LAMP_OFF, make_decision, make_feedback  # noqa: PLC0415 - beside its only use
    from voice_rl_plugin.deciding.memory import MemoryEntry  # noqa: PLC0415
    from voice_rl_plugin.learning.archive import MEMBERS, export_archive  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(dir=_folder()))
    with ExperienceStore(folder / "store") as store:
        store.record_decision(make_decision())
        store.record_feedback(make_feedback("d1", "correct", correction=(LAMP_OFF,), text="no, off"))
        store.save_memory(MemoryEntry(words="movie time", area="lounge", actions=(LAMP_OFF,), decision_id="d1", learned_at=1.0))
        export_archive(store, folder / "a.zip", now=1.0)
    with zipfile.ZipFile(folder / "a.zip") as archive:
        rows = b"\n".join(archive.read(name) for name in MEMBERS)
    return rows, (folder / "a.zip").read_bytes()


@cache
def _model_archives() -> tuple[bytes, ...]:
    import io  # noqa: PLC0415 - beside its only use
    import tarfile  # noqa: PLC0415

    content = b"not a graph"
    files = {"policy.onnx": hashlib.sha256(content).hexdigest()}
    members = {"v1/policy.onnx": content, "v1/manifest.json": _json({"version": "v1", "files": files})}
    packed = []
    for mode in ("w", "w:gz", "w:xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as container:
            for name, body in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(body)
                container.addfile(member, io.BytesIO(body))
        packed.append(buffer.getvalue())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, body in members.items():
            zipped.writestr(name, body)
    return (*packed, buffer.getvalue())


def _announcements() -> tuple[bytes, ...]:
    """Return what devices announce, one of each kind, each with a state."""
    from tests.homes.announced import CONFIGS, DEVICES, GROUPS  # noqa: PLC0415

    state = _json(
        {"state": "ON", "brightness": 100, "color": {"x": 0.3, "y": 0.3}, "position": 40, "fan_mode": "low", "system_mode": "heat"}
    )
    rows = [one for one in json.loads(DEVICES) if one["definition"] is not None]
    found = [bytes([0]) + _json([{**one, "options": None, "endpoints": None}]) + b"\n" + state for one in rows]
    found.append(bytes([1]) + _json(json.loads(GROUPS)))
    for topic, config in CONFIGS.items():
        domain = topic.split("/")[1]
        place = [index for index, one in enumerate(DEVICE_TOPICS) if f"/{domain}/" in one]
        found += [bytes([index]) + _json(config) + b"\n" + state for index in place]
    return tuple(found)


def targets() -> tuple[Target, ...]:
    """Return all targets."""
    home = (ROOT / "examples" / "home.en.yaml").read_bytes()
    small_home = _json(HOME.to_mapping())
    rows, archive = _archives()
    payloads = [_json(_COMMAND), b"lights on", _json(_CONFIRM), _json(_PICK), _json(_RESULT), b"rollback", b"guest", b"start", small_home]
    first = (0, 1, 2, 3, 4, 5, 6, 7, 8)
    loop_first = {"command": [0, 1], "confirm": [2, 3], "result": [4], "home": [5], "model/set": [6], "learning/set": [7]}
    loop = [bytes([kind]) + payload for kinds in loop_first.values() for kind in kinds for payload in payloads]
    return (
        Target(name="payloads", run=read_payload, seeds=tuple(bytes([k]) + p for k, p in zip(first, payloads, strict=True)), weight=3.0),
        Target(name="loop", run=_Loop(), seeds=tuple(loop), weight=1.5),
        Target(name="topics", run=read_topic, seeds=(b"reply/here", b"a/+/b", "灯/1".encode()), weight=0.3),
        Target(name="states", run=read_state, seeds=(b"light/lamp/state\non\nlight/lamp/brightness\n128", b"a/b/last_changed\n2026-11-23T20:00:00+00:00")),
        Target(name="devices", run=read_devices, seeds=_announcements(), weight=2.0),
        Target(name="words", run=read_words, seeds=tuple(one.encode() for one in _SENTENCES), weight=2.0),
        Target(name="decisions", run=decide_text, seeds=tuple(one.encode() for one in _SENTENCES), weight=1.5),
        Target(name="home", run=read_home, seeds=(b"\0" + home[:3000], b"\0" + small_home, b"\1" + small_home)),
        Target(name="config", run=read_config, seeds=((ROOT / "examples" / "voice_rl.yaml").read_bytes(), b"mqtt: {port: 1883, tls: on}\n")),
        Target(name="environment", run=read_environment, seeds=(b"MQTT__PORT=1884", b"SAFETY__RISKY=[switch.oven]"), weight=0.5),
        Target(name="cases", run=read_cases, seeds=(b"- {say: on, want: [light.turn_on light.lamp brightness_pct=35]}", b"- {say: a, want: reject, after: b}")),
        Target(name="manifest", run=read_manifest_file, seeds=((BASE_FOLDER / "manifest.json").read_bytes(), _json({"version": "v1", "files": {"policy.onnx": "0" * 64}}))),
        Target(name="model_archive", run=read_model_archive, seeds=_model_archives()),
        Target(name="archive", run=read_archive, seeds=(archive,), weight=0.5),
        Target(name="archive_rows", run=read_archive_rows, seeds=(rows,)),
    )  # fmt: skip
