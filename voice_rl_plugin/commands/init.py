"""`voice-rl init`: finds the broker and Home Assistant, writes a commented configuration that was tried, and says what to mend next."""

import argparse
import getpass
import json
import locale
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from voice_rl_plugin.commands._findings import Finding, check_home, check_risky, check_secrets, suspicious
from voice_rl_plugin.commands._line import Line
from voice_rl_plugin.commands._search import HOSTS, FoundBroker, addresses_of, find_brokers, find_home_assistant, places_of, try_broker
from voice_rl_plugin.config import DISCOVERY_LANGUAGES, FILE_NAME, Config, HomeSection, MqttSection, load_config
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.doors import native
from voice_rl_plugin.errors import BrokerError, ConfigError, MessageError
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.homes.home_assistant import read_home
from voice_rl_plugin.homes.merge import merge_sources

PASSWORD_FILE_NAME = "mqtt_password"  # noqa: S105 - the name of a file
"""Beside the configuration, where a password was typed in."""

_PLAIN = re.compile(r"/[A-Za-z0-9/._-]+|[a-z_]+(\.[a-z0-9_]+)?|[0-9]+(\.[0-9]+){3}")
"""What YAML reads as the text that it is: paths, entity ids, host addresses."""
_YAML_WORDS = frozenset("y n yes no on off true false null".split())


def add_parsers(subparsers: Any) -> None:
    """Add `init`."""
    parser = subparsers.add_parser(
        "init",
        help="find broker and Home Assistant, and write the configuration",
        description="Looks for the broker on this machine and as homeassistant.local, with or without a name and password, and for Home Assistant; "
        "writes a configuration with which it could connect; lists what to mend in the home.",
        epilog="example:\n  voice-rl init --host homeassistant.local --username voice_rl --password-file /etc/voice_rl/mqtt_password",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="where to write; by default ~/.config/voice_rl/voice_rl.yaml")
    parser.add_argument("--host", metavar="NAME", help="the broker's machine; looked for when missing")
    parser.add_argument("--port", type=int, metavar="N", help="the broker's port; 1883, then 8883 with TLS, when missing")
    parser.add_argument("--username", metavar="NAME", help="the name that the broker knows")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="a file that holds the password; asked for on a terminal")
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="certificate authorities to trust, for a broker with a certificate of your own"
    )
    parser.add_argument("--prefix", metavar="TOPIC", default=MqttSection().prefix, help="all topics start with it (default: voice_rl)")
    parser.add_argument("--home", type=Path, metavar="FILE", help="a home file to use, where Home Assistant does not publish the home")
    parser.add_argument("--home-assistant", metavar="URL", help="where Home Assistant is; looked for when missing")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a file that holds a long-lived access token of Home Assistant")
    parser.add_argument("--language", choices=DISCOVERY_LANGUAGES, help="of the names on the device page; this machine's when missing")
    parser.add_argument("--force", action="store_true", help="replace a configuration that is there")
    parser.add_argument("--print", dest="is_dry", action="store_true", help="print the configuration, write nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run_init)


def run_init(args: argparse.Namespace) -> int:
    """Find, try, write."""
    path = args.config or _default_path(os.environ)
    if path.exists() and not (args.force or args.is_dry):
        raise ConfigError(f"{path}: is there already; --force replaces it, --print shows what would be written, voice-rl doctor checks it")
    wanted = MqttSection(
        prefix=args.prefix, username=args.username, password_file=_absolute(args.password_file), ca_file=_absolute(args.ca_file)
    )
    broker = _find_broker(wanted, args, beside=path)
    address = find_home_assistant([args.home_assistant] if args.home_assistant else addresses_of(broker.settings.host))
    section, home, trouble = _find_home(args, broker.settings, address)
    risky = suspicious(home) if home is not None else []
    text = render(broker.settings, section, home_assistant=address, language=args.language or _language_of(home), risky=risky)
    config = _checked(text)
    findings = [*trouble, *check_secrets(config, file=None)]
    if home is not None:
        findings += [*check_home(home), *check_risky(home, config.safety.risky)]
    if not args.is_dry:
        _write(path, text)
    if args.json:
        settings = broker.settings
        told = {"host": settings.host, "port": settings.port, "tls": settings.tls, "username": settings.username}
        shown = {"file": None if args.is_dry else str(path), "broker": told, "home_assistant": address}
        print(json.dumps({**shown, "findings": [one.to_payload() for one in findings]}, ensure_ascii=False))
        return 0
    if args.is_dry:
        print(text, end="")
        return 0
    _tell(path, broker, address, home, findings)
    return 0


def render(
    mqtt: MqttSection,
    home: HomeSection | None = None,
    *,
    home_assistant: str | None = None,
    language: str = "en",
    risky: Sequence[str] = (),
) -> str:
    """Return a commented configuration.

    Args:
        mqtt: how the broker was reached.
        home: a home file, or Home Assistant with a token; without a token its address is only noted.
        home_assistant: where Home Assistant was found.
        language: of the names on the device page.
        risky: what is to ask first.
    """
    home = home or HomeSection()
    has_token = home.home_assistant is not None
    login = (
        _key("username", mqtt.username)
        or "  # The broker lets everybody in. When it asks for a name and a password:\n  # username: voice_rl\n"
    )
    password = _key("password_file", mqtt.password_file) or "  # password_file: /etc/voice_rl/mqtt_password\n"
    tls = ("  tls: true\n" if mqtt.tls else "") + _key("ca_file", mqtt.ca_file)
    link = _key("home_assistant", home.home_assistant) + _key("token_file", home.token_file)
    wish = "  # With a long-lived access token (your profile page, Security) Home Assistant tells areas, devices and aliases itself:\n"
    wish += f"  # home_assistant: {_scalar(home_assistant or 'http://homeassistant.local:8123')}\n  # token_file: /etc/voice_rl/token\n"
    source = f"  # Areas and devices come on {mqtt.prefix}/home (see examples/home_assistant), or from a file:\n  # file: /etc/voice_rl/home.yaml\n"
    file = "  # It wins over what Home Assistant says, device by device.\n" + _key("file", home.file) if home.file else ""
    suspects = "  # Their names sound of heat, water or a way in; take out what is harmless.\n" if risky else ""
    return (
        "# Written by voice-rl init. voice-rl config show prints every key, voice-rl doctor tries it.\n"
        f"mqtt:\n  host: {_scalar(mqtt.host)}\n  port: {mqtt.port}\n"
        f"  # All topics start with it.\n  prefix: {_scalar(mqtt.prefix)}\n{login}"
        f"  # A file that holds only the password; nobody else should be able to read it.\n{password}{tls}"
        f"\nhome:\n{file or ('' if has_token else source)}{link or wish}"
        f"  # What Home Assistant's mqtt_statestream publishes.\n  states_topic: {_scalar(f'{mqtt.prefix}/state/#')}\n"
        "\ndoors:\n  # A command older than this is not executed, and that is said.\n  freshness_s: 5.0\n"
        "  # A device page in Home Assistant: text box, buttons, sensors. Names in en or zh.\n"
        f"  discovery: true\n  discovery_language: {language}\n"
        "\ndispatch:\n  # home_assistant calls its services, with the token; dispatch publishes actions for its automation;\n"
        "  # none decides and stores, and moves nothing: how a careful family starts.\n"
        f"  executor: {'home_assistant' if has_token else 'dispatch'}\n"
        f"\nsafety:\n  # These ask first, in addition to locks, garages and gates.\n{suspects}  risky: [{', '.join(map(_scalar, risky))}]\n"
        '\nlearning:\n  # on; off keeps decisions and learns nothing; guest acts and keeps nothing.\n  mode: "on"\n'
    )


def _find_broker(wanted: MqttSection, args: argparse.Namespace, *, beside: Path) -> FoundBroker:
    places = places_of(wanted, hosts=(args.host,) if args.host else (), port=args.port)
    found = find_brokers(places)
    if not found:
        where = args.host or ", ".join(HOSTS)
        port = args.port or "1883 or 8883"
        raise BrokerError(f"no broker answers at {where} on port {port}; install mosquitto, or name it with --host and --port")
    best = found[0]
    if best.wants_login and sys.stdin.isatty() and not args.json:
        best = _ask_login(best, beside=beside)
    if best.wants_login:
        raise BrokerError(f"{best.problem}; give --username and --password-file with what the broker knows")
    if best.problem:
        raise BrokerError(best.problem)
    return best


def _ask_login(found: FoundBroker, *, beside: Path) -> FoundBroker:
    """Ask for name and password on the terminal, and keep the password in a file of its own once the broker has taken it."""
    print(f"{found.place} asks for a name and a password.", file=sys.stderr)
    print("name: ", end="", file=sys.stderr, flush=True)
    username = sys.stdin.readline().strip()
    password = getpass.getpass("password: ")
    if not username:
        return found
    path = beside.parent.absolute() / PASSWORD_FILE_NAME
    _write(path, password + "\n", mode=0o600)
    tried = try_broker(replace(found.settings, username=username, password_file=path))
    if tried.problem:
        path.unlink()
    return tried


def _find_home(args: argparse.Namespace, broker: MqttSection, address: str | None) -> tuple[HomeSection, Home | None, list[Finding]]:
    """Return where the home comes from, what it is, and what is wrong with that.

    Raises:
        ConfigError: the home file or the token is wrong.
        LinkError: Home Assistant does not take the token.
    """
    section = HomeSection(file=_absolute(args.home))
    trouble = []
    if args.home_assistant and address is None:
        what, fix = f"does not answer at {args.home_assistant}", "start it, or correct the address"
        trouble.append(Finding(check="home assistant", level="warning", what=what, fix=fix))
    if args.token_file is not None:
        if address is None:
            raise ConfigError("--token-file: Home Assistant was not found; name it with --home-assistant URL")
        section = replace(section, home_assistant=address, token_file=_absolute(args.token_file))
    file = load_home(section.file) if section.file is not None else None
    registry = read_home(section) if section.home_assistant is not None else None
    if file is not None or registry is not None:
        return section, merge_sources(file=file, registry=registry, topic=None), trouble
    topic = f"{broker.prefix}/home"
    try:
        with Line(broker, [topic]) as line:
            payload = line.retained().get(topic)
        if payload:
            return section, native.parse_home(payload, max_bytes=broker.max_payload_bytes), trouble
        what = f"nobody publishes the home on {topic} yet"
    except (BrokerError, MessageError) as error:
        what = str(error)
    fix = "give --token-file with a token of Home Assistant, copy examples/home_assistant to it, or give --home FILE"
    return section, None, [*trouble, Finding(check="home", level="warning", what=what, fix=fix)]


def _checked(text: str) -> Config:
    """Read a configuration back as the daemon will, before it is put in its place."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE_NAME
        path.write_text(text, encoding="utf-8")
        return load_config(path, environ={key: value for key, value in os.environ.items() if not key.startswith("VOICE_RL__")})


def _tell(path: Path, broker: FoundBroker, address: str | None, home: Home | None, findings: list[Finding]) -> None:
    print(f"broker          {broker.place}{f' as {broker.settings.username}' if broker.settings.username else ''}")
    print(f"Home Assistant  {address or 'not found; everything works without it'}")
    print(f"home            {f'{len(home.exposed)} devices in {len(home.areas)} areas' if home is not None else 'not known yet'}")
    print(f"written         {path}")
    for finding in findings:
        print("\n".join(finding.to_lines()))
    print("next: voice-rl run, and in another shell voice-rl doctor")


def _default_path(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config") / "voice_rl" / FILE_NAME


def _key(name: str, value: object) -> str:
    return "" if value is None else f"  {name}: {_scalar(value)}\n"


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()


def _language_of(home: Home | None) -> str:
    spoken = home.language if home is not None else os.environ.get("LC_ALL") or os.environ.get("LANG") or locale.getlocale()[0] or ""
    return "zh" if spoken.startswith("zh") else "en"


def _scalar(value: object) -> str:
    """Return a text as YAML: as it stands where it is plain, else quoted."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) and text not in _YAML_WORDS else json.dumps(text, ensure_ascii=False)


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Put a file in its place as a whole, with its rights from the beginning.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
