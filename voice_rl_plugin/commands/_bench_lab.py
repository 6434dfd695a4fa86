"""What the benchmarks over MQTT share: a broker, a made home, the daemon as a process with the shipped model, and our own line to it."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_rl_plugin.commands._bench_home import make_home, make_sentences
from voice_rl_plugin.config import MqttSection
from voice_rl_plugin.demo.broker import EmbeddedBroker
from voice_rl_plugin.doors.broker import Message, PahoBroker
from voice_rl_plugin.errors import BrokerError, ConfigError

START_S = 60.0
ANSWER_S = 5.0
_MOST_COMMANDS = 60
"""Different sentences that go round."""
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFigures:
    """What the system tells of a process; None where it does not."""

    cpu_s: float | None = None
    rss_mib: float | None = None
    threads: int | None = None
    files: int | None = None
    """Open file descriptors."""


class Line:
    """Our own connection to the broker, under a prefix."""

    def __init__(self, settings: MqttSection, topics: Sequence[str]) -> None:
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

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message; None when none comes."""
        deadline = time.monotonic() + timeout_s
        while True:
            message = self._broker.receive(max(deadline - time.monotonic(), 0.0))
            self._broker.take_deliveries()
            if message is not None:
                self._broker.ack(message)
                return message
            if time.monotonic() >= deadline:
                return None

    def wait(self, start: str, *, timeout_s: float = ANSWER_S) -> Message | None:
        """Return the next message whose topic begins so; None when none comes."""
        deadline = time.monotonic() + timeout_s
        while (message := self.receive(deadline - time.monotonic())) is not None:
            if message.topic.startswith(start):
                return message
        return None

    def close(self) -> None:
        """Disconnect."""
        self._broker.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A running daemon, and everything to speak with it."""

    folder: Path
    host: str
    port: int
    kind: str
    """Which broker it is."""
    prefix: str
    line: Line
    daemon: "subprocess.Popen[bytes]"
    cold_start_s: float
    """From the start of the process until `online` arrived here."""
    payloads: tuple[bytes, ...]
    """Commands that bring exactly one action each."""
    action_bytes: int
    """Median size of those actions."""

    def answer(self, action: Message) -> None:
        """Say that the device has done it, as a device would."""
        done = json.loads(action.payload)
        result = {"decision_id": done["decision_id"], "step": done["step"], "ok": True}
        self.line.send(f"{self.prefix}/result", json.dumps(result).encode())


@contextlib.contextmanager
def open_lab(
    *, host: str | None, port: int, entities: int, language: str, topics: Sequence[str] = (), settings: dict[str, Any] | None = None
) -> Iterator[Lab]:
    """Start a broker, where none is named, and the daemon.

    Args:
        host: the broker's; None starts one.
        port: the broker's.
        entities: size of the made home.
        language: en or zh.
        topics: what our line hears beside actions, decisions and the status; `{prefix}` stands for the prefix.
        settings: sections of the daemon's configuration that differ from the benchmarks' own.

    Raises:
        BrokerError: there is no broker, or nothing answers on it.
        ConfigError: the model acts on none of the sentences.
    """
    with contextlib.ExitStack() as stack:
        kind = f"the broker at {host}:{port}"
        if host is None:
            embedded = stack.enter_context(EmbeddedBroker())
            host, port, kind = embedded.host, embedded.port, embedded.kind
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voice_rl_bench_")))
        prefix = f"voice_rl_bench_{os.getpid()}"
        mqtt = MqttSection(host=host, port=port, prefix=prefix, client_id=f"{prefix}_we", session_expiry_s=0)
        heard = [f"{prefix}/action/#", f"{prefix}/status", f"{prefix}/decision", *(one.format(prefix=prefix) for one in topics)]
        line = Line(mqtt, heard)
        stack.callback(line.close)
        stack.callback(_clean, mqtt)
        home = make_home(entities, language)
        (folder / "home.json").write_text(json.dumps(home.to_mapping()), encoding="utf-8")
        written: dict[str, Any] = {
            "mqtt": {"host": host, "port": port, "prefix": prefix, "client_id": f"{prefix}_daemon", "session_expiry_s": 0},
            "home": {"file": str(folder / "home.json"), "states_topic": f"{prefix}/state/#"},
            "doors": {"rate_per_s": 1_000_000, "burst": 1_000_000, "discovery": False},
            "store": {"path": str(folder / "store")},
            "models": {"path": str(folder / "models")},
        }
        written |= {name: written.get(name, {}) | values for name, values in (settings or {}).items()}
        (folder / "voice_rl.yaml").write_text(json.dumps(written), encoding="utf-8")
        started = time.perf_counter()
        command = ["-m", "voice_rl_plugin.cli", "run", "--log-level", "error", "--config", str(folder / "voice_rl.yaml")]
        daemon = stack.enter_context(running(command))
        await_online(line, f"{prefix}/status", daemon)
        lab = Lab(
            folder=folder, host=host, port=port, kind=kind, prefix=prefix, line=line, daemon=daemon,
            cold_start_s=time.perf_counter() - started, payloads=(), action_bytes=0,
        )  # fmt: skip
        sentences = [one for one in make_sentences(home, language, 18 * _MOST_COMMANDS) if one.kind in ("name", "value")]
        payloads, sizes = those_that_act(lab, [json.dumps({"text": s.text, "area": s.area}).encode() for s in sentences])
        yield Lab(
            folder=folder, host=host, port=port, kind=kind, prefix=prefix, line=line, daemon=daemon,
            cold_start_s=lab.cold_start_s, payloads=tuple(payloads), action_bytes=sorted(sizes)[len(sizes) // 2],
        )  # fmt: skip


@contextlib.contextmanager
def running(arguments: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run this interpreter with this package, until the end of the block."""
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


def await_online(line: Line, topic: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a process says that it is there.

    Raises:
        BrokerError: it does not.
    """
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        message = line.wait(topic, timeout_s=0.2)
        if message is not None and message.payload == b"online":
            return
    raise BrokerError(f"{topic}: expected online within {START_S:.0f} s, got nothing")


def figures_of(pid: int) -> ProcessFigures:
    """Return what the system tells of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return ProcessFigures()
    rss = next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmRSS:")), None)
    return ProcessFigures(cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS, rss_mib=rss, threads=int(fields[17]), files=files)


def those_that_act(lab: Lab, payloads: list[bytes]) -> tuple[list[bytes], list[int]]:
    """Return the commands that bring exactly one action, and the sizes of those actions."""
    chosen: list[bytes] = []
    sizes: list[int] = []
    for payload in payloads:
        lab.line.send(f"{lab.prefix}/command", payload)
        decision: dict[str, Any] = {}
        actions: list[Message] = []
        while not decision or len(actions) < (len(decision["actions"]) if decision["outcome"] == "act" else 0):
            message = lab.line.wait(f"{lab.prefix}/")
            if message is None:
                break
            if message.topic == f"{lab.prefix}/decision":
                decision = json.loads(message.payload)
            elif message.topic.startswith(f"{lab.prefix}/action/"):
                actions.append(message)
                lab.answer(message)
        if len(actions) == 1:
            chosen.append(payload)
            sizes.append(len(actions[0].payload))
        if len(chosen) == _MOST_COMMANDS:
            break
    if not chosen:
        raise ConfigError("bench: the model acts on none of the sentences; nothing can be timed")
    return chosen, sizes


def _clean(settings: MqttSection) -> None:
    """Take back what the daemon left retained on the broker."""
    for prefix in (settings.prefix, f"{settings.prefix}echo"):
        line = Line(_cleaner(settings), (f"{prefix}/#",))
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
