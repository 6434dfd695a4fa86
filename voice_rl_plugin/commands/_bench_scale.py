"""How many commands a second one to several daemons carry out on this machine, in three arrangements.

homes, files     each daemon a home of its own: its prefix, its SQLite file
homes, server    each daemon a home of its own: its prefix, its schema on one PostgreSQL
group, server    all daemons one home: a shared subscription, one schema
"""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_rl_plugin.commands._bench_home import make_home, make_sentences
from voice_rl_plugin.commands._bench_lab import ANSWER_S, Lab, Line, await_online, figures_of, running, those_that_act
from voice_rl_plugin.commands._bench_mqtt import WINDOW
from voice_rl_plugin.config import MqttSection, StoreSection
from voice_rl_plugin.demo.broker import EmbeddedBroker
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import BrokerError
from voice_rl_plugin.learning.postgres import StoreServer, drop_store, place_of

ARRANGEMENTS = ("homes, files", "homes, server", "group, server")
_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleRow:
    """The figures of one number of daemons in one arrangement."""

    arrangement: str
    daemons: int
    commands_per_s: float
    """Decided, and as a rule carried out and answered, with WINDOW on their way for each daemon; the median of the rounds."""
    times_one: float
    """In units of one daemon in the same arrangement."""
    daemon_cpu_ms: float | None
    """Processor time of all daemons a command."""
    our_cpu_ms: float
    """Processor time of the sender a command."""
    cores_busy: float | None
    """Processor seconds of daemons and sender a second."""
    rss_mib: float | None
    """Resident memory of the largest daemon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    broker: EmbeddedBroker
    folder: Path
    home: Home
    language: str
    url_file: Path | None


def measure_scale(
    *, daemons: int, commands: int, entities: int, language: str, url_file: Path | None, tell: Callable[[ScaleRow], None]
) -> None:
    """Measure one to `daemons` daemons in every arrangement that can be had.

    Args:
        daemons: the most.
        commands: to each daemon in one round.
        entities: size of the made homes.
        language: en or zh.
        url_file: holds the address of a PostgreSQL server; None leaves out what needs one. Schemas of our own are made and dropped there.
        tell: takes each row as it is measured.

    Raises:
        BrokerError: there is no broker, or nothing answers on it.
    """
    for arrangement in ARRANGEMENTS if url_file is not None else ARRANGEMENTS[:1]:
        alone: float | None = None
        for count in range(1, daemons + 1):
            with EmbeddedBroker() as broker, tempfile.TemporaryDirectory(prefix="voice_rl_scale_") as folder:
                site = _Site(broker=broker, folder=Path(folder), home=make_home(entities, language), language=language, url_file=url_file)
                row = _measure(site, arrangement, count, commands, alone)
            alone = row.commands_per_s if alone is None else alone
            tell(row)


def _measure(site: _Site, arrangement: str, count: int, commands: int, alone: float | None) -> ScaleRow:
    is_group = arrangement.startswith("group")
    prefixes = [f"voice_rl_scale_{os.getpid()}_{0 if is_group else number}" for number in range(count)]
    with contextlib.ExitStack() as stack:
        topics = [f"{prefix}/{one}" for prefix in dict.fromkeys(prefixes) for one in ("action/#", "status", "decision", "member/+")]
        settings = MqttSection(
            host=site.broker.host, port=site.broker.port, prefix=f"{prefixes[0]}we", client_id="voice_rl_scale", session_expiry_s=0
        )
        line = Line(settings, topics)
        stack.callback(line.close)
        processes = []
        for number, prefix in enumerate(prefixes):
            config = stack.enter_context(_configured(site, arrangement, number, prefix))
            processes.append(
                stack.enter_context(running(["-m", "voice_rl_plugin.cli", "run", "--log-level", "error", "--config", str(config)]))
            )
            await_online(line, f"{prefix}/member/daemon{number}" if is_group else f"{prefix}/status", processes[-1])
        lab = Lab(
            folder=site.folder, host=site.broker.host, port=site.broker.port, kind=site.broker.kind, prefix=prefixes[0], line=line,
            daemon=processes[0], cold_start_s=0.0, payloads=(), action_bytes=0,
        )  # fmt: skip
        sentences = [one for one in make_sentences(site.home, site.language, 1080) if one.kind in ("name", "value")]
        payloads, _ = those_that_act(lab, [json.dumps({"text": one.text, "area": one.area}).encode() for one in sentences])
        _rate(line, prefixes, payloads, 20 * count)  # every daemon has its caches warm
        before, began, ours = [figures_of(one.pid) for one in processes], time.perf_counter(), time.process_time()
        rates = [_rate(line, prefixes, payloads, commands * count) for _ in range(_ROUNDS)]
        took_s, our_s = time.perf_counter() - began, time.process_time() - ours
        after = [figures_of(one.pid) for one in processes]
    cpu = [
        late.cpu_s - early.cpu_s for late, early in zip(after, before, strict=True) if late.cpu_s is not None and early.cpu_s is not None
    ]
    rate = sorted(rates)[_ROUNDS // 2]
    all_commands = _ROUNDS * commands * count
    return ScaleRow(
        arrangement=arrangement,
        daemons=count,
        commands_per_s=round(rate, 1),
        times_one=round(rate / (rate if alone is None else alone), 2),
        daemon_cpu_ms=round(1000 * sum(cpu) / all_commands, 2) if cpu else None,
        our_cpu_ms=round(1000 * our_s / all_commands, 2),
        cores_busy=round((sum(cpu) + our_s) / took_s, 2) if cpu else None,
        rss_mib=max((one.rss_mib for one in after if one.rss_mib is not None), default=None),
    )


def _rate(line: Line, prefixes: list[str], payloads: list[bytes], commands: int) -> float:
    """Return commands a second, actions answered as a device would, with WINDOW on their way for each daemon.

    What is said to one daemon follows on other commands than where it was chosen, so a few are asked about instead: every decision counts.
    """
    begun = time.perf_counter()
    sent = done = 0
    while done < commands:
        while sent < commands and sent - done < WINDOW * len(prefixes):
            line.send(f"{prefixes[sent % len(prefixes)]}/command", payloads[sent % len(payloads)])
            sent += 1
        message = line.receive(ANSWER_S)
        if message is None:
            raise BrokerError(f"a command got no answer within {ANSWER_S:.0f} s; is the machine too busy?")
        prefix, _, kind = message.topic.partition("/")
        if kind == "decision":  # an action leaves before its decision is told
            done += 1
        elif kind.startswith("action/"):
            action = json.loads(message.payload)
            result = {"decision_id": action["decision_id"], "step": action["step"], "ok": True}
            line.send(f"{prefix}/result", json.dumps(result).encode())
    return commands / (time.perf_counter() - begun)


@contextlib.contextmanager
def _configured(site: _Site, arrangement: str, number: int, prefix: str) -> Iterator[Path]:
    """Write a daemon's configuration; its schema is dropped afterwards."""
    folder = site.folder / f"daemon{number}"
    folder.mkdir()
    (folder / "home.json").write_text(json.dumps(site.home.to_mapping()), encoding="utf-8")
    is_group = arrangement.startswith("group")
    mqtt = {"host": site.broker.host, "port": site.broker.port, "prefix": prefix, "client_id": f"daemon{number}"}
    store: dict[str, Any] = {"path": str(folder / "store")}
    if arrangement.endswith("server"):
        store |= {"url_file": str(site.url_file), "schema": f"voice_rl_scale_{os.getpid()}_{0 if is_group else number}"}
    written = {
        "mqtt": mqtt | ({"shared_group": "scale"} if is_group else {}),
        "home": {"file": str(folder / "home.json"), "states_topic": f"{prefix}/state/#"},
        "doors": {"rate_per_s": 1_000_000, "burst": 1_000_000, "discovery": False, "freshness_s": 600.0},
        "store": store,
        "models": {"path": str(folder / "models")},
    }
    (folder / "voice_rl.yaml").write_text(json.dumps(written), encoding="utf-8")
    try:
        yield folder / "voice_rl.yaml"
    finally:
        place = place_of(StoreSection(url_file=site.url_file, schema=store["schema"])) if "schema" in store else None
        if isinstance(place, StoreServer) and (number == 0 or not is_group):
            drop_store(place)
