"""Counters: what happened since the start, as `<prefix>/metrics` shows it."""

from collections import Counter, deque
from typing import Any

KEPT_LATENCIES = 1000

NAMES = (
    "acted asked rejected executed failed confirmed denied undone corrected duplicates stale throttled retained_ignored malformed errors "
    "unsent unstored unreported"
).split()
"""`acted` counts decisions, `executed` and `failed` what was seen of them; `stale` are over-age commands, `throttled` those of a source that
sends too many, `unstored` what a full disk lost, `unreported` errors that were too many to be published."""
DROPS = "stale throttled duplicates retained_ignored malformed unsent unstored unreported".split()
"""What was not carried out, not kept or not told."""


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

    def drops(self) -> dict[str, int]:
        """Return the counts of what was dropped, without those that are 0."""
        return {name: self._counts[name] for name in DROPS if self._counts[name]}

    def add_latency(self, latency_ms: float) -> None:
        """Note how long one decision took, from the message to the publication."""
        self._latencies_ms.append(latency_ms)

    def to_payload(self) -> dict[str, Any]:
        """Return all counts and the median and 99th percentile of the latencies."""
        ordered = sorted(self._latencies_ms)
        return {name: self._counts[name] for name in NAMES} | {"p50_ms": _percentile(ordered, 0.5), "p99_ms": _percentile(ordered, 0.99)}


def _percentile(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 3) if ordered else None
