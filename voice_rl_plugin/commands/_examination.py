"""The examination: looks at one part of the setup after the other, and speaks a test command; `voice-rl doctor` prints it."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_rl_plugin import __version__
from voice_rl_plugin.commands._findings import Finding, check_home, check_risky, check_satellites, check_secrets
from voice_rl_plugin.commands._line import Line, LoginRefusedError
from voice_rl_plugin.commands._search import addresses_of, find_brokers, find_home_assistant, places_of
from voice_rl_plugin.config import Config, find_config, load_config
from voice_rl_plugin.daemon.build import load_policy, make_decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.broker import Message
from voice_rl_plugin.doors.discovery import device_topic
from voice_rl_plugin.errors import BrokerError, ConfigError, LinkError, MessageError, ModelError, StoreError
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.homes.home_assistant import read_home
from voice_rl_plugin.homes.last_good import REGISTRY_HOME, TOPIC_HOME, LastGoodHome
from voice_rl_plugin.homes.merge import merge_sources
from voice_rl_plugin.learning.models import ModelStore, probe_in_child
from voice_rl_plugin.learning.signing import signature_check
from voice_rl_plugin.learning.store import FILE_NAME, ExperienceStore

ANSWER_S = 5.0
"""The daemon decides about a test command this soon."""
SAID_S = 1.0
RECENT_S = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    home_assistant: str | None
    text: str | None
    is_silent: bool


def examine(*, config_file: str | None, home_assistant: str | None, text: str | None, is_silent: bool) -> Iterator[Finding]:
    """Yield one finding after the other.

    Args:
        config_file: what `--config` named.
        home_assistant: its address; looked for when missing.
        text: the test command; a question about a device when missing.
        is_silent: no test command.
    """
    wishes = _Wishes(home_assistant=home_assistant, text=text, is_silent=is_silent)
    try:
        file = find_config(config_file)
        config = load_config(config_file)
    except ConfigError as error:
        fix = "correct it; voice-rl config check reads it again, and voice-rl init writes a new one"
        yield Finding(check="configuration", level="error", what=str(error), fix=fix)
        return
    if file is None:
        yield Finding(check="configuration", level="note", what="no file was found, the defaults hold", fix="voice-rl init writes one")
    else:
        yield Finding(check="configuration", level="ok", what=f"{file} is right")
    yield from check_secrets(config, file=file)
    yield from _look_at_model(config)
    yield from _look_at_broker(config, wishes)


def _look_at_model(config: Config) -> Iterator[Finding]:
    models = _models_of(config)
    version = models.champion_version()
    try:
        folder = models.champion()
        if folder != models.folder(version):
            fix = f"voice-rl models verify {version} says what is wrong with it; voice-rl models rollback makes the former one the champion"
            yield Finding(
                check="model", level="error", what=f"{version} is damaged or gone, and {folder.name} decides in its place", fix=fix
            )
        probe_in_child(folder)
    except ModelError as error:
        fix = "voice-rl models verify looks at all versions; install the package again if the shipped one is damaged"
        yield Finding(check="model", level="error", what=str(error), fix=fix)
        return
    yield Finding(check="model", level="ok", what=f"{folder.name} loads")
    newer = models.newer_than(version)
    if newer:
        yield Finding(
            check="model", level="note", what=f"{newer[-1]} has passed its gate and waits", fix=f"voice-rl models promote {newer[-1]}"
        )


def _models_of(config: Config) -> ModelStore:
    return ModelStore(config.models.path, check_signature=signature_check(config.models.public_key_file))


def _look_at_broker(config: Config, wishes: _Wishes) -> Iterator[Finding]:
    prefix = config.mqtt.prefix
    topics = [f"{prefix}/{one}" for one in ("status", "health", "home", "decision", "say", "error")]
    try:
        with Line(config.mqtt, [*topics, device_topic(config.doors.discovery_prefix, prefix=prefix)]) as line:
            found = line.retained()
            yield Finding(check="broker", level="ok", what=f"{config.mqtt.host}:{config.mqtt.port} hears and speaks")
            yield from _look_at_daemon(config, found)
            yield from _look_at_home_assistant(config, wishes)
            home, findings = _home_of(config, found.get(f"{prefix}/home"))
            yield from findings
            yield from _look_at_home(config, home)
            if not wishes.is_silent:
                is_online = found.get(f"{prefix}/status") == b"online"
                yield _speak(config, line, home, wishes.text) if is_online else _decide_here(config, home, wishes.text)
    except LoginRefusedError as error:
        fix = "set mqtt.username and mqtt.password_file to what the broker knows (mosquitto_passwd, or a user of Home Assistant)"
        yield Finding(check="broker", level="error", what=str(error), fix=fix)
        yield from _look_without_broker(config, wishes)
    except ConfigError as error:
        yield Finding(check="broker", level="error", what=str(error), fix="correct the file, or what names it in the configuration")
        yield from _look_without_broker(config, wishes)
    except BrokerError as error:
        others = [one for one in find_brokers(places_of(config.mqtt)) if one.settings.host != config.mqtt.host]
        fix = "start it there, or set mqtt.host and mqtt.port"
        if others:
            fix = f"there is one at {others[0].place}: set mqtt.host and mqtt.port, or run voice-rl init"
        yield Finding(check="broker", level="error", what=str(error), fix=fix)
        yield from _look_without_broker(config, wishes)


def _look_without_broker(config: Config, wishes: _Wishes) -> Iterator[Finding]:
    yield from _look_at_home_assistant(config, wishes)
    home, findings = _home_of(config, None)
    yield from findings
    yield from _look_at_home(config, home)
    if not wishes.is_silent:
        yield _decide_here(config, home, wishes.text)


def _look_at_daemon(config: Config, found: dict[str, bytes]) -> Iterator[Finding]:
    prefix = config.mqtt.prefix
    topic = device_topic(config.doors.discovery_prefix, prefix=prefix)
    is_online = found.get(f"{prefix}/status") == b"online"
    if not is_online:
        fix = "voice-rl run, or systemctl start voice-rl; its log says why it ended"
        yield Finding(check="daemon", level="error", what=f"nothing runs under {prefix}/", fix=fix)
    else:
        yield from _look_at_health(_object(found.get(f"{prefix}/health")))
    if config.doors.discovery and topic in found:
        yield Finding(check="device", level="ok", what=f"announced to Home Assistant on {topic}")
    elif config.doors.discovery and is_online:
        fix = f"let the daemon write {config.doors.discovery_prefix}/# in the broker's rights, or start it again"
        yield Finding(check="device", level="error", what=f"no device is announced on {topic}", fix=fix)
    elif topic in found:
        what = f"doors.discovery is false, and {topic} still shows a device"
        yield Finding(check="device", level="warning", what=what, fix="voice-rl device remove")


def _look_at_health(health: dict[str, Any]) -> Iterator[Finding]:
    version = health.get("version")
    if version != __version__:
        what = f"version {version} runs, and this is {__version__}"
        yield Finding(check="daemon", level="warning", what=what, fix="start the daemon again: systemctl restart voice-rl")
    problems = health.get("problems")
    for problem in problems if isinstance(problems, list) else []:
        yield Finding(check="daemon", level="warning", what=f"it reports: {problem}", fix="mend the cause and start the daemon again")
    damaged = health.get("damaged_stores")
    for name in damaged if isinstance(damaged, list) else []:
        what = f"the damaged store {name} was moved aside, and a new one started"
        yield Finding(
            check="daemon", level="warning", what=what, fix="look at the disk; voice-rl experience erase removes the damaged copy"
        )
    if not problems and version == __version__:
        yield Finding(check="daemon", level="ok", what=f"online, model {health.get('model')}, executor {health.get('executor')}")


def _look_at_home_assistant(config: Config, wishes: _Wishes) -> Iterator[Finding]:
    named = wishes.home_assistant or config.home.home_assistant
    address = find_home_assistant([named] if named else addresses_of(config.mqtt.host))
    if address is not None:
        fix = (
            "" if config.home.home_assistant else "with home.home_assistant and home.token_file it tells areas, devices and aliases itself"
        )
        yield Finding(check="home assistant", level="note" if fix else "ok", what=f"answers at {address}", fix=fix)
    elif named:
        yield Finding(check="home assistant", level="error", what=f"does not answer at {named}", fix="start it, or correct the address")
    else:
        what = "was not found on this machine, beside the broker, or as homeassistant.local"
        yield Finding(check="home assistant", level="note", what=what, fix="name it with --home-assistant URL, if there is one")


def _home_of(config: Config, published: bytes | None) -> tuple[Home, list[Finding]]:
    """Return the home as the daemon would know it now, and what cannot be read of it."""
    findings, kept = [], config.store.path
    file = registry = topic = None
    try:
        file = load_home(config.home.file) if config.home.file is not None else None
    except ConfigError as error:
        findings.append(Finding(check="home", level="error", what=str(error), fix="correct home.file; voice-rl home show reads it again"))
    try:
        registry = read_home(config.home) if config.home.home_assistant is not None else None
    except (ConfigError, LinkError) as error:
        fix = "correct home.home_assistant and home.token_file; tokens are made on your profile page in Home Assistant, under Security"
        findings.append(Finding(check="home", level="error", what=str(error), fix=fix))
        registry = LastGoodHome(kept / REGISTRY_HOME).load()
    try:
        topic = (
            native.parse_home(published, max_bytes=config.mqtt.max_payload_bytes) if published else LastGoodHome(kept / TOPIC_HOME).load()
        )
    except MessageError as error:
        fix = "correct what publishes it; examples/home_assistant shows how"
        findings.append(Finding(check="home", level="error", what=f"{config.mqtt.prefix}/home: {error}", fix=fix))
    return merge_sources(file=file, registry=registry, topic=topic), findings


def _look_at_home(config: Config, home: Home) -> Iterator[Finding]:
    findings = [*check_home(home), *check_risky(home, config.safety.risky), *check_satellites(home, _heard_satellites(config.store.path))]
    if home.exposed:
        yield Finding(check="home", level="ok", what=f"{len(home.exposed)} devices in {len(home.areas)} areas")
    yield from findings


def _heard_satellites(folder: Path) -> set[str]:
    """Return the satellites that spoke in the last days and whose place was not known."""
    if not (folder / FILE_NAME).is_file():
        return set()
    try:
        with ExperienceStore(folder, owns_file=False) as store:
            recent = [one.utterance for one in store.recent_decisions(since=time.time() - RECENT_S)]
    except StoreError:
        return set()
    return {one.satellite_id for one in recent if one.satellite_id is not None and one.area is None}


def _question(home: Home) -> str:
    """Return a question about the state of a device: it is answered, and nothing moves."""
    device = next((one for domain in ("light", "switch", "media_player") for one in home.exposed if one.domain == domain), None)
    if home.language.startswith("zh"):
        return f"{device.name if device else '灯'}开着吗"
    return f"is the {device.name if device else 'light'} on"


def _speak(config: Config, line: Line, home: Home, text: str | None) -> Finding:
    """Say something to the running daemon, and report its answer."""
    prefix, spoken = config.mqtt.prefix, " ".join((text or _question(home)).split())
    begun = time.time()
    name = f"doctor-{begun:.3f}"
    line.publish(f"{prefix}/command", native.encode({"text": spoken, "id": name, "at": begun, "session_id": name}))

    def answers(message: Message) -> bool:
        is_mine = message.topic == f"{prefix}/decision" and _object(message.payload).get("utterance") == spoken
        return is_mine or (message.topic == f"{prefix}/error" and _object(message.payload).get("topic") == f"{prefix}/command")

    answer = line.wait_for(answers, within_s=ANSWER_S)
    took_ms = (time.time() - begun) * 1000.0
    fix = "voice-rl run --log-level debug shows what becomes of a command; check the rights at the broker"
    if answer is None:
        what = f"{spoken!r} was not answered within {ANSWER_S:g} s"
        return Finding(check="test command", level="error", what=what, fix=fix)
    told = _object(answer.payload)
    if answer.topic == f"{prefix}/error":
        return Finding(check="test command", level="error", what=f"{spoken!r}: {told.get('detail')}", fix=fix)
    said = line.wait_for(
        lambda one: one.topic == f"{prefix}/say" and _object(one.payload).get("decision_id") == told.get("decision_id"), within_s=SAID_S
    )
    reply = f", and said {_object(said.payload).get('text')!r}" if said is not None else ""
    what = f"{spoken!r}: {told.get('outcome')} ({told.get('reason')}) after {took_ms:.0f} ms{reply}"
    return _judged(what, outcome=str(told.get("outcome")), is_own=text is None)


def _decide_here(config: Config, home: Home, text: str | None) -> Finding:
    """Decide in this process, since no daemon answers: nothing is carried out."""
    spoken = text or _question(home)
    try:
        decider = make_decider(load_policy(_models_of(config).champion()), home, Memory(), config.costs, beyond=config.beyond.services)
    except ModelError as error:
        return Finding(check="test command", level="error", what=f"{spoken!r}: {error}", fix="voice-rl models rollback")
    heard = decider.hear(Utterance(text=spoken, door="dry_run"), states={}, last=None, now=time.time(), decision_id="doctor")
    outcome, reason = ("reject", "no command") if heard.decision is None else (heard.decision.outcome, heard.decision.reason)
    return _judged(f"{spoken!r}, decided here without a daemon: {outcome} ({reason})", outcome=outcome, is_own=text is None)


def _judged(what: str, *, outcome: str, is_own: bool) -> Finding:
    if is_own and outcome != "act":
        fix = "try a sentence of yours with --say; voice-rl decide says what was considered"
        return Finding(check="test command", level="warning", what=what, fix=fix)
    return Finding(check="test command", level="ok", what=what)


def _object(payload: bytes | None) -> dict[str, Any]:
    try:
        parsed = json.loads(payload or b"{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
