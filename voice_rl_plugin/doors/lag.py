"""How long messages wait at the broker before they reach us, measured with marks that we send ourselves.

we -> mark 7 -> broker -> [what waits for us ... mark 7 ...] -> we

A mark that is on its way since 3 s says that what arrives now was queued at least 3 s ago; the last one that came back says how long at most.
Without marks a command that names no time would pass for fresh, however long the broker or a slow line has kept it.
"""

import random

MARK_S = 1.0
"""A mark goes out this often."""
LAGGING_MARK_S = 0.1
"""And this often while marks are late: an overflowing broker drops them as well."""
LAGGING_S = 0.5
"""A mark that is away longer than this means that messages wait."""
GIVE_UP_S = 300.0
"""Marks that stay away longer are not late but forbidden: nothing is known then."""
_KEPT = 1000


class LagGauge:
    """The marks of one pair of connections; every time is in monotonic seconds.

    Args:
        owner: what our process is called on the marks.
    """

    def __init__(self, owner: str) -> None:
        self._nonce = f"{owner}:{random.getrandbits(32):08x}"
        self._sent: dict[int, float] = {}
        self._number = 0
        self._last_sent_at = float("-inf")
        self._fresh_since: float | None = None
        self.is_forbidden = False
        """Whether the broker does not let us send marks; then nothing is known."""

    def forbid(self) -> None:
        """Send no more marks."""
        self.is_forbidden, self._fresh_since = True, None
        self._sent.clear()

    def is_due(self, now: float) -> bool:
        """Whether the next mark should go out."""
        if self.is_forbidden:
            return False
        interval_s = LAGGING_MARK_S if self._least_s(now) > LAGGING_S else MARK_S
        return now - self._last_sent_at >= interval_s and len(self._sent) < _KEPT

    def next_mark(self, now: float) -> bytes:
        """Return the payload of the next mark."""
        self._number += 1
        self._sent[self._number] = self._last_sent_at = now
        return f"{self._nonce}:{self._number}".encode()

    def take(self, payload: bytes) -> None:
        """Take a mark that came back; those before it are lost."""
        nonce, _, text = payload.decode("ascii", "replace").rpartition(":")
        if nonce != self._nonce or not text.isdigit() or int(text) not in self._sent:
            return
        self._fresh_since = self._sent[int(text)]
        for number in [one for one in self._sent if one <= int(text)]:
            del self._sent[number]

    def waited_s(self, now: float) -> float:
        """Return how long a message that arrives now may have waited; 0 until a first mark came back."""
        if self._fresh_since is None:
            return 0.0
        least_s = self._least_s(now)
        if least_s > GIVE_UP_S:
            self._fresh_since = None
            return 0.0
        return now - self._fresh_since if least_s > LAGGING_S else least_s

    def _least_s(self, now: float) -> float:
        return now - next(iter(self._sent.values())) if self._sent else 0.0
