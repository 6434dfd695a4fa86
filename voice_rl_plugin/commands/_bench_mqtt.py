"""A command's way over MQTT, through the real daemon in a process of its own, beside a bare echo client on the same broker.

we -> <prefix>/command     -> daemon -> <prefix>/action/<domain>/<service>  -> we
we -> <prefix>echo/command -> echo   -> <prefix>echo/action                 -> we      the same sizes, in turns
we -> <prefix>echo/kept    -> echo   -> row committed -> <prefix>echo/action -> we     the same, and a row as long as the daemon's
"""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from voice_rl_plugin.commands._bench_lab import ANSWER_S, Lab, await_online, figures_of, open_lab, running
from voice_rl_plugin.errors import BrokerError
from voice_rl_plugin.learning.store import FILE_NAME

_MOST_LOST = 3
"""More answers that do not come end the run."""
WINDOW = 20
"""Commands on their way at once when throughput is measured: as many as the broker hands out unacknowledged."""
_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttRow:
    """The figures of one run."""

    broker: str
    commands: int
    """To each of the three."""
    lost: int
    """Commands that brought no action in time; they are in no figure."""
    command_bytes: int
    """Median size."""
    action_bytes: int
    """Median size; the echo answers with as many."""
    row_bytes: int
    """Mean size of the daemon's rows; the echo that keeps one commits as many."""
    echo_median_ms: float
    echo_p99_ms: float
    kept_median_ms: float
    """The echo that commits a row before it answers."""
    kept_p99_ms: float
    daemon_median_ms: float
    daemon_p99_ms: float
    median_ratio: float
    """Daemon to the echo that keeps a row."""
    p99_ratio: float
    decision_median_ms: float
    """What the daemon itself measured: text in, decision out."""
    kept_per_s: float
    """Commands a second with WINDOW on their way; the median of the rounds."""
    daemon_per_s: float
    throughput_ratio: float
    rss_mib: float | None
    """Resident memory of the daemon at the end; None where the system does not tell."""
    cpu_ms_per_command: float | None
    """Processor time of the daemon a command with its result, all threads."""
    cold_start_s: float
    """From the start of the process until `online` arrived here."""


def measure_mqtt(*, host: str | None, port: int, commands: int, entities: int, language: str) -> MqttRow:
    """Start broker, daemon and echo, and time `commands` round trips of each, then how many go through a second.

    Args:
        host: the broker's; None starts one.
        port: the broker's.
        commands: how many to each.
        entities: size of the made home.
        language: en or zh.

    Raises:
        BrokerError: there is no broker, or nothing answers on it.
        ConfigError: the model acts on none of the sentences.
    """
    topics = ("{prefix}echo/action", "{prefix}echo/status")
    with open_lab(host=host, port=port, entities=entities, language=language, topics=topics) as lab:
        row_bytes = _row_bytes(lab)
        prefix = f"{lab.prefix}echo"
        arguments = ["--host", lab.host, "--port", str(lab.port), "--prefix", prefix, "--database", str(lab.folder / "echo.sqlite3")]
        sizes = ["--reply-bytes", str(lab.action_bytes), "--row-bytes", str(row_bytes)]
        with running(["-m", "voice_rl_plugin.commands._bench_echo", *arguments, *sizes]) as echo:
            await_online(lab.line, f"{prefix}/status", echo)
            return _measure(lab, commands, row_bytes)


def _measure(lab: Lab, commands: int, row_bytes: int) -> MqttRow:
    echo_s: list[float] = []
    kept_s: list[float] = []
    daemon_s: list[float] = []
    decision_ms: list[float] = []
    before = figures_of(lab.daemon.pid)
    for number in range(commands):
        payload = lab.payloads[number % len(lab.payloads)]
        for topic, times in ((f"{lab.prefix}echo/command", echo_s), (f"{lab.prefix}echo/kept", kept_s)):
            started = time.perf_counter()
            lab.line.send(topic, payload)
            if lab.line.wait(f"{lab.prefix}echo/action") is not None:
                times.append(time.perf_counter() - started)
        _time_daemon(lab, payload, daemon_s, decision_ms)
        if number + 1 - min(len(echo_s), len(kept_s), len(daemon_s)) > _MOST_LOST:
            raise BrokerError(f"{_MOST_LOST + 1} of {number + 1} commands got no answer within {ANSWER_S:.0f} s; is the broker too busy?")
    after = figures_of(lab.daemon.pid)
    kept_per_s, daemon_per_s = _throughput(lab, commands)
    kept_median, daemon_median = _quantile_ms(kept_s, 0.5), _quantile_ms(daemon_s, 0.5)
    kept_p99, daemon_p99 = _quantile_ms(kept_s, 0.99), _quantile_ms(daemon_s, 0.99)
    return MqttRow(
        broker=lab.kind,
        commands=commands,
        lost=commands - len(daemon_s),
        command_bytes=sorted(map(len, lab.payloads))[len(lab.payloads) // 2],
        action_bytes=lab.action_bytes,
        row_bytes=row_bytes,
        echo_median_ms=_quantile_ms(echo_s, 0.5),
        echo_p99_ms=_quantile_ms(echo_s, 0.99),
        kept_median_ms=kept_median,
        kept_p99_ms=kept_p99,
        daemon_median_ms=daemon_median,
        daemon_p99_ms=daemon_p99,
        median_ratio=round(daemon_median / kept_median, 3),
        p99_ratio=round(daemon_p99 / kept_p99, 3),
        decision_median_ms=sorted(decision_ms)[len(decision_ms) // 2] if decision_ms else 0.0,
        kept_per_s=round(kept_per_s, 1),
        daemon_per_s=round(daemon_per_s, 1),
        throughput_ratio=round(daemon_per_s / kept_per_s, 3),
        rss_mib=figures_of(lab.daemon.pid).rss_mib,
        cpu_ms_per_command=None
        if before.cpu_s is None or after.cpu_s is None
        else round(1000 * (after.cpu_s - before.cpu_s) / commands, 3),
        cold_start_s=round(lab.cold_start_s, 3),
    )


def _time_daemon(lab: Lab, payload: bytes, times: list[float], decision_ms: list[float]) -> None:
    """Time one command to its action; action and decision come in this order."""
    started = time.perf_counter()
    lab.line.send(f"{lab.prefix}/command", payload)
    is_acted = is_told = False
    while not (is_acted and is_told) and (message := lab.line.wait(f"{lab.prefix}/")) is not None:
        if message.topic.startswith(f"{lab.prefix}/action/"):
            times.append(time.perf_counter() - started)
            is_acted = True
            lab.answer(message)
        elif message.topic == f"{lab.prefix}/decision":
            is_told = True
            decision_ms.append(float(json.loads(message.payload)["latency_ms"]))


def _throughput(lab: Lab, commands: int) -> tuple[float, float]:
    """Return commands a second of the echo that keeps a row, and of the daemon, in turns."""
    kept: list[float] = []
    daemon: list[float] = []
    for _ in range(_ROUNDS):
        kept.append(_rate(lab, f"{lab.prefix}echo/kept", f"{lab.prefix}echo/action", commands, answers=False))
        daemon.append(_rate(lab, f"{lab.prefix}/command", f"{lab.prefix}/action/", commands, answers=True))
    return sorted(kept)[_ROUNDS // 2], sorted(daemon)[_ROUNDS // 2]


def _rate(lab: Lab, topic: str, start: str, commands: int, *, answers: bool) -> float:
    send: Callable[[int], None] = lambda number: lab.line.send(topic, lab.payloads[number % len(lab.payloads)])  # noqa: E731
    begun = time.perf_counter()
    sent = min(WINDOW, commands)
    for number in range(sent):
        send(number)
    for _ in range(commands):
        message = lab.line.wait(start)
        if message is None:
            raise BrokerError(f"{topic}: a command got no answer within {ANSWER_S:.0f} s; is the broker too busy?")
        if answers:
            lab.answer(message)
        if sent < commands:
            send(sent)
            sent += 1
    return commands / (time.perf_counter() - begun)


def _row_bytes(lab: Lab) -> int:
    with closing(sqlite3.connect(f"file:{lab.folder / 'store' / FILE_NAME}?mode=ro", uri=True)) as store:
        sizes = "SELECT avg(length(body) + length(previous) + length(states) + length(checksum)) FROM decisions"
        return int(store.execute(sizes).fetchone()[0])


def _quantile_ms(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 4)
