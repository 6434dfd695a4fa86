"""Counters: what happened since the start, as `<prefix>/metrics` shows it."""

from collections import Counter, deque
from typing import Any

KEPT_LATENCIES = 1000

NAMES = (
    "acted asked rejected executed failed confirmed denied undone corrected duplicates stale retained_ignored malformed errors "
    "unsent unstored"
).split()
"""`acted` counts decisions, `executed` and `failed` what was seen of them; `stale` are over-age commands, `unstored` what a full disk lost."""


class Counters:
    """Named counts and the latencies of the last decisions."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._latencies_ms: deque[float] = deque(maxlen=KEPT_LATENCIES)

    def count(self, name: str) -> None:
        """Add one to a count."""
        if name not in NAMES:
            raise ValueError(f"expected one of {NAMES}, got {name!r}")
        self._counts[name] += 1

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def add_latency(self, latency_ms: float) -> None:
        """Note how long one decision took, from the message to the publication."""
        self._latencies_ms.append(latency_ms)

    def to_payload(self) -> dict[str, Any]:
        """Return all counts and the median and 99th percentile of the latencies."""
        ordered = sorted(self._latencies_ms)
        return {name: self._counts[name] for name in NAMES} | {"p50_ms": _percentile(ordered, 0.5), "p99_ms": _percentile(ordered, 0.99)}


def _percentile(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 3) if ordered else None
