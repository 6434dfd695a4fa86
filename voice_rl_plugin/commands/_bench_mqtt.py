"""A command's way over MQTT, through the real daemon in a process of its own, beside a bare echo client on the same broker.

we -> <prefix>/command     -> daemon -> <prefix>/action/<domain>/<service>  -> we
we -> <prefix>echo/command -> echo   -> <prefix>echo/action                 -> we      the same sizes, in turns
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from voice_rl_plugin.commands._bench_home import make_home, make_sentences
from voice_rl_plugin.config import MqttSection
from voice_rl_plugin.demo.broker import EmbeddedBroker
from voice_rl_plugin.doors.broker import Message, PahoBroker
from voice_rl_plugin.errors import BrokerError, ConfigError

START_S = 60.0
ANSWER_S = 5.0
_MOST_LOST = 3
"""More answers that do not come end the run."""
_MOST_COMMANDS = 60
"""Different sentences that go round."""
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttRow:
    """The figures of one run."""

    broker: str
    commands: int
    """To each of the two."""
    lost: int
    """Commands that brought no action in time; they are in no figure."""
    command_bytes: int
    """Median size."""
    action_bytes: int
    """Median size; the echo answers with as many."""
    echo_median_ms: float
    echo_p99_ms: float
    daemon_median_ms: float
    daemon_p99_ms: float
    median_ratio: float
    p99_ratio: float
    decision_median_ms: float
    """What the daemon itself measured: text in, decision out."""
    rss_mib: float | None
    """Resident memory of the daemon at the end; None where the system does not tell."""
    cpu_ms_per_command: float | None
    """Processor time of the daemon a command with its result, all threads."""
    cold_start_s: float
    """From the start of the process until `online` arrived here."""


class _Line:
    """Our own connection to the broker, under a prefix."""

    def __init__(self, settings: MqttSection, topics: tuple[str, ...]) -> None:
        self._broker = PahoBroker(settings)
        self._broker.subscribe(topics)
        self._broker.start()
        deadline = time.monotonic() + START_S
        while not self._broker.is_connected:
            self._broker.receive(0.05)
            if time.monotonic() > deadline:
                self._broker.stop()
                raise BrokerError(f"no broker at {settings.host}:{settings.port}; it must allow anonymous clients")

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1."""
        self._broker.publish(topic, payload, retain=retain)

    def wait(self, start: str, *, timeout_s: float = ANSWER_S) -> Message | None:
        """Return the next message whose topic begins so; None when none comes."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            message = self._broker.receive(left)
            if message is None:
                continue
            self._broker.ack(message)
            if message.topic.startswith(start):
                return message
        return None

    def close(self) -> None:
        """Disconnect."""
        self._broker.stop()


def measure_mqtt(*, host: str | None, port: int, commands: int, entities: int, language: str) -> MqttRow:
    """Start broker, daemon and echo, and time `commands` round trips of each.

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
    with contextlib.ExitStack() as stack:
        if host is None:
            embedded = stack.enter_context(EmbeddedBroker())
            host, port, kind = embedded.host, embedded.port, embedded.kind
        else:
            kind = f"the broker at {host}:{port}"
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voice_rl_bench_")))
        prefix = f"voice_rl_bench_{os.getpid()}"
        settings = MqttSection(host=host, port=port, prefix=prefix, client_id=f"{prefix}_we", session_expiry_s=0)
        line = _Line(
            settings, (f"{prefix}/action/#", f"{prefix}/status", f"{prefix}/decision", f"{prefix}echo/action", f"{prefix}echo/status")
        )
        stack.callback(line.close)
        stack.callback(_clean, settings)
        home = make_home(entities, language)
        (folder / "home.json").write_text(json.dumps(home.to_mapping()), encoding="utf-8")
        written = {
            "mqtt": {"host": host, "port": port, "prefix": prefix, "client_id": f"{prefix}_daemon", "session_expiry_s": 0},
            "home": {"file": str(folder / "home.json"), "states_topic": f"{prefix}/state/#"},
            "doors": {"discovery": False},
            "store": {"path": str(folder / "store")},
            "models": {"path": str(folder / "models")},
        }
        (folder / "voice_rl.yaml").write_text(json.dumps(written), encoding="utf-8")
        started = time.perf_counter()
        daemon = stack.enter_context(
            _running(["-m", "voice_rl_plugin.cli", "run", "--log-level", "error", "--config", str(folder / "voice_rl.yaml")])
        )
        _await_online(line, f"{prefix}/status", daemon)
        cold_start_s = time.perf_counter() - started
        sentences = [one for one in make_sentences(home, language, 18 * _MOST_COMMANDS) if one.kind in ("name", "value")]
        payloads, sizes = _those_that_act(line, prefix, [json.dumps({"text": s.text, "area": s.area}).encode() for s in sentences])
        action_bytes = sorted(sizes)[len(sizes) // 2]
        echo = stack.enter_context(
            _running(["-m", __name__, "--host", host, "--port", str(port), "--prefix", f"{prefix}echo", "--reply-bytes", str(action_bytes)])
        )
        _await_online(line, f"{prefix}echo/status", echo)
        return _time(line, prefix, payloads, commands, daemon.pid, kind, action_bytes, cold_start_s)


def _time(
    line: _Line, prefix: str, payloads: list[bytes], commands: int, pid: int, kind: str, action_bytes: int, cold_start_s: float
) -> MqttRow:
    echo_s: list[float] = []
    daemon_s: list[float] = []
    decision_ms: list[float] = []
    cpu_before = _cpu_s(pid)
    for number in range(commands):
        payload = payloads[number % len(payloads)]
        started = time.perf_counter()
        line.send(f"{prefix}echo/command", payload)
        if line.wait(f"{prefix}echo/action") is not None:
            echo_s.append(time.perf_counter() - started)
        started = time.perf_counter()
        line.send(f"{prefix}/command", payload)
        decided = None
        while (message := line.wait(f"{prefix}/")) is not None:
            if message.topic.startswith(f"{prefix}/action/"):
                daemon_s.append(time.perf_counter() - started)
                _answer(line, prefix, message)
                break
            if message.topic == f"{prefix}/decision":  # it comes before the action
                decided = message
        if message is not None and decided is not None:
            decision_ms.append(float(json.loads(decided.payload)["latency_ms"]))
        if number + 1 - min(len(echo_s), len(daemon_s)) > _MOST_LOST:
            raise BrokerError(f"{_MOST_LOST + 1} of {number + 1} commands got no answer within {ANSWER_S:.0f} s; is the broker too busy?")
    cpu_after, rss = _cpu_s(pid), _rss_mib(pid)
    echo_median, daemon_median = _quantile_ms(echo_s, 0.5), _quantile_ms(daemon_s, 0.5)
    echo_p99, daemon_p99 = _quantile_ms(echo_s, 0.99), _quantile_ms(daemon_s, 0.99)
    return MqttRow(
        broker=kind,
        commands=commands,
        lost=commands - len(daemon_s),
        command_bytes=sorted(map(len, payloads))[len(payloads) // 2],
        action_bytes=action_bytes,
        echo_median_ms=echo_median,
        echo_p99_ms=echo_p99,
        daemon_median_ms=daemon_median,
        daemon_p99_ms=daemon_p99,
        median_ratio=round(daemon_median / echo_median, 3),
        p99_ratio=round(daemon_p99 / echo_p99, 3),
        decision_median_ms=sorted(decision_ms)[len(decision_ms) // 2] if decision_ms else 0.0,
        rss_mib=rss,
        cpu_ms_per_command=None if cpu_before is None or cpu_after is None else round(1000 * (cpu_after - cpu_before) / commands, 3),
        cold_start_s=round(cold_start_s, 3),
    )


def _those_that_act(line: _Line, prefix: str, payloads: list[bytes]) -> tuple[list[bytes], list[int]]:
    """Return the commands that bring exactly one action, and the sizes of those actions."""
    chosen: list[bytes] = []
    sizes: list[int] = []
    for payload in payloads:
        line.send(f"{prefix}/command", payload)
        decision: dict[str, object] = {}
        actions: list[Message] = []
        while not decision or len(actions) < len(decision["actions"] if decision["outcome"] == "act" else ()):  # type: ignore[arg-type]
            message = line.wait(f"{prefix}/")
            if message is None:
                break
            if message.topic == f"{prefix}/decision":
                decision = json.loads(message.payload)
            elif message.topic.startswith(f"{prefix}/action/"):
                actions.append(message)
                _answer(line, prefix, message)
        if len(actions) == 1:
            chosen.append(payload)
            sizes.append(len(actions[0].payload))
        if len(chosen) == _MOST_COMMANDS:
            break
    if not chosen:
        raise ConfigError("bench mqtt: the model acts on none of the sentences; nothing can be timed")
    return chosen, sizes


def _answer(line: _Line, prefix: str, action: Message) -> None:
    """Say that the device has done it, as a device would."""
    done = json.loads(action.payload)
    line.send(f"{prefix}/result", json.dumps({"decision_id": done["decision_id"], "step": done["step"], "ok": True}).encode())


def _quantile_ms(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 4)


@contextlib.contextmanager
def _running(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("VOICE_RL")}
    environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    process = subprocess.Popen([sys.executable, *arguments], env=environ, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_online(line: _Line, topic: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        message = line.wait(topic, timeout_s=0.2)
        if message is not None and message.payload == b"online":
            return
    raise BrokerError(f"{topic}: expected online within {START_S:.0f} s, got nothing")


def _clean(settings: MqttSection) -> None:
    """Take back what the daemon left retained on the broker."""
    for prefix in (settings.prefix, f"{settings.prefix}echo"):
        line = _Line(_cleaner(settings), (f"{prefix}/#",))
        while (message := line.wait(f"{prefix}/", timeout_s=0.3)) is not None:
            if message.is_retained and message.payload:
                line.send(message.topic, b"", retain=True)
        line.close()


def _cleaner(settings: MqttSection) -> MqttSection:
    return MqttSection(
        host=settings.host,
        port=settings.port,
        prefix=f"{settings.prefix}clean",
        client_id=f"{settings.client_id}_clean",
        session_expiry_s=0,
    )


def _cpu_s(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rss_mib(pid: int) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmRSS:")), None)


def echo(settings: MqttSection, reply_bytes: int) -> None:
    """Answer every command with so many bytes, until SIGTERM; no JSON, no store, no decision."""
    broker = PahoBroker(settings)
    broker.subscribe([f"{settings.prefix}/command"])
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    broker.start()
    is_online = False
    while not stopped:
        message = broker.receive(0.2)
        if broker.is_connected and not is_online:
            is_online = broker.publish(f"{settings.prefix}/status", b"online", retain=True)
        if message is not None:
            broker.publish(f"{settings.prefix}/action", message.payload[:reply_bytes].ljust(reply_bytes))
            broker.ack(message)
    broker.stop()


def main() -> None:
    """Run the echo client."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--prefix")
    parser.add_argument("--reply-bytes", type=int)
    args = parser.parse_args()
    echo(MqttSection(host=args.host, port=args.port, prefix=args.prefix, client_id=args.prefix, session_expiry_s=0), args.reply_bytes)


if __name__ == "__main__":
    main()
