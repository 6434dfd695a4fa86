"""A soak: a steady rate of commands with model swaps, and whether anything grows or is lost."""

import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from voice_rl_plugin.commands._bench_lab import Lab, ProcessFigures, figures_of, open_lab
from voice_rl_plugin.errors import BrokerError
from voice_rl_plugin.learning.models import BASE_FOLDER, MANIFEST, ModelStore
from voice_rl_plugin.learning.store import ExperienceStore

VERSIONS = ("soak-a", "soak-b")
SAMPLE_S = 1.0
_TAIL_S = 10.0
"""So long the last answers are waited for."""
_SHARE = 0.2
"""The first and the last fifth of the samples are compared, after a warm-up of another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakRow:
    """The figures of one soak."""

    broker: str
    seconds: float
    sent: int
    decided: int
    """Commands with exactly one decision."""
    refused: int
    """Too old when their turn came, or dropped by the broker: counted on health, and told."""
    lost: int
    twice: int
    actions: int
    swaps: int
    """Times that another version began to decide."""
    versions: dict[str, int]
    """Decisions by version."""
    median_ms: float
    """From the sending to the action."""
    p99_ms: float
    rss_start_mib: float | None
    """Median of the second fifth of the samples."""
    rss_end_mib: float | None
    """Median of the last fifth."""
    rss_growth_mib_per_h: float | None
    threads: tuple[int, int]
    """Smallest and largest number after the warm-up."""
    files_start: int | None
    files_end: int | None
    cpu_share: float | None
    """Of one processor."""


def measure_soak(*, host: str | None, port: int, entities: int, rate: float, seconds: float, swap_every_s: float) -> SoakRow:
    """Start broker and daemon, speak steadily, swap models, and watch.

    Args:
        host: the broker's; None starts one.
        port: the broker's.
        entities: size of the made home.
        rate: commands a second.
        seconds: how long.
        swap_every_s: how often another model is installed.

    Raises:
        BrokerError: there is no broker.
    """
    with open_lab(
        host=host, port=port, entities=entities, language="en", topics=("{prefix}/model", "{prefix}/error", "{prefix}/health")
    ) as lab:
        _make_versions(lab.folder / "models")
        return _Soak(lab, rate=rate, seconds=seconds, swap_every_s=swap_every_s).run()


class _Soak:
    """One run."""

    def __init__(self, lab: Lab, *, rate: float, seconds: float, swap_every_s: float) -> None:
        self._lab = lab
        self._rate = rate
        self._seconds = seconds
        self._swap_every_s = swap_every_s
        self._sent_at: dict[str, float] = {}
        self._acted_at: dict[str, float] = {}
        """When the action of a decision came."""
        self._drops: dict[str, int] = {}
        self._samples: list[tuple[float, ProcessFigures]] = []
        self._actions = 0
        self._swaps = 0
        self._installed = ""

    def run(self) -> SoakRow:
        """Speak, then wait for the last answers, then count."""
        before = figures_of(self._lab.daemon.pid)
        begun = time.monotonic()
        sent = swaps_asked = 0
        while (now := time.monotonic()) < begun + self._seconds:
            if sent < (now - begun) * self._rate:
                self._say(sent)
                sent += 1
            if now - begun > (swaps_asked + 1) * self._swap_every_s:
                self._lab.line.send(f"{self._lab.prefix}/model/set", json.dumps({"version": VERSIONS[swaps_asked % 2]}).encode())
                swaps_asked += 1
            if now - begun > len(self._samples) * SAMPLE_S:
                self._samples.append((now, figures_of(self._lab.daemon.pid)))
                self._show(now - begun, sent)
            if self._lab.daemon.poll() is not None:
                raise BrokerError(f"the daemon ended with code {self._lab.daemon.returncode}")
            self._hear(max(min(begun + sent / self._rate - time.monotonic(), 0.05), 0.0))
        after = figures_of(self._lab.daemon.pid)
        deadline = time.monotonic() + _TAIL_S
        while self._actions + self._refused < sent and time.monotonic() < deadline:
            self._hear(0.2)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        return self._row(sent, before, after)

    def _say(self, number: int) -> None:
        said = json.loads(self._lab.payloads[number % len(self._lab.payloads)]) | {"id": f"soak{number}", "at": time.time()}
        self._sent_at[f"soak{number}"] = time.perf_counter()
        self._lab.line.send(f"{self._lab.prefix}/command", json.dumps(said).encode())

    def _hear(self, timeout_s: float) -> None:
        message = self._lab.line.receive(timeout_s)
        if message is None:
            return
        if "/action/" in message.topic:
            self._actions += 1
            self._acted_at.setdefault(str(json.loads(message.payload)["decision_id"]), time.perf_counter())
            self._lab.answer(message)
        elif message.topic.endswith("/health"):
            self._drops = json.loads(message.payload)["drops"]
        elif message.topic.endswith("/model"):
            installed = str(json.loads(message.payload)["installed_version"])
            self._swaps += installed != self._installed and bool(self._installed)
            self._installed = installed

    def _show(self, elapsed_s: float, sent: int) -> None:
        if sys.stderr.isatty():
            figures = self._samples[-1][1]
            shown = f"{elapsed_s:.0f}/{self._seconds:.0f} s, {sent} said, {self._actions} acted, {self._swaps} swaps, {figures.rss_mib} MiB"
            print(f"\r\033[K{shown}", end="", file=sys.stderr)

    @property
    def _refused(self) -> int:
        return sum(int(self._drops.get(name, 0)) for name in ("stale", "broker_dropped"))

    def _row(self, sent: int, before: ProcessFigures, after: ProcessFigures) -> SoakRow:
        decided: Counter[str] = Counter()
        versions: Counter[str] = Counter()
        times_s: list[float] = []
        with ExperienceStore(self._lab.folder / "store", owns_file=False) as store:
            for stored in store.all_stored():
                name = stored.decision.utterance.id
                if name in self._sent_at:
                    decided[str(name)] += 1
                    versions[stored.decision.policy_version] += 1
                    if (acted_at := self._acted_at.get(stored.decision.id)) is not None:
                        times_s.append(acted_at - self._sent_at[str(name)])
        count = len(self._samples)
        share = max(round(count * _SHARE), 1)
        first, last = self._samples[share : 2 * share], self._samples[-share:]
        rss_start, rss_end = _median([f.rss_mib for _, f in first]), _median([f.rss_mib for _, f in last])
        apart_h = (last[len(last) // 2][0] - first[len(first) // 2][0]) / 3600 if first and last else 0.0
        threads = [f.threads for _, f in self._samples[share:] if f.threads is not None] or [0]
        ordered = sorted(times_s) or [0.0]
        cpu = None if before.cpu_s is None or after.cpu_s is None else round((after.cpu_s - before.cpu_s) / self._seconds, 3)
        return SoakRow(
            broker=self._lab.kind,
            seconds=self._seconds,
            sent=sent,
            decided=sum(1 for times in decided.values() if times == 1),
            refused=self._refused,
            lost=max(sent - len(decided) - self._refused, 0),
            twice=sum(1 for times in decided.values() if times > 1),
            actions=self._actions,
            swaps=self._swaps,
            versions=dict(versions),
            median_ms=round(1000 * ordered[len(ordered) // 2], 3),
            p99_ms=round(1000 * ordered[min(int(0.99 * len(ordered)), len(ordered) - 1)], 3),
            rss_start_mib=rss_start,
            rss_end_mib=rss_end,
            rss_growth_mib_per_h=None if rss_start is None or rss_end is None or not apart_h else round((rss_end - rss_start) / apart_h, 1),
            threads=(min(threads), max(threads)),
            files_start=first[0][1].files if first else None,
            files_end=last[-1][1].files if last else None,
            cpu_share=cpu,
        )


def _make_versions(path: Path) -> None:
    """Add two versions with the base's weights, as if two trainings had passed the gate."""
    models = ModelStore(path)
    manifest = json.loads((BASE_FOLDER / MANIFEST).read_text(encoding="utf-8"))
    for version in VERSIONS:
        with tempfile.TemporaryDirectory() as folder:
            for name in manifest["files"]:
                (Path(folder) / name).write_bytes((BASE_FOLDER / name).read_bytes())
            models.add(Path(folder), manifest | {"version": version, "parent": "base", "gate": {"passed": True}})


def _median(values: list[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if known else None
