"""What the broker gave us and may give once more, so that no command is taken twice.

When a connection comes back the broker repeats what it holds for unacknowledged: what still waits here, what was settled while the line was
down, and what was acknowledged in the last moment. A repetition keeps its packet id and says `dup`; after the broker itself was killed, neither.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

Receipt = tuple[int, int]
"""Number of the connection, and packet id."""

NEAR_S = 2.0
"""An acknowledgement so short before the loss may not have arrived, or not have been written down by a broker that was killed."""
KEPT = 1024


@dataclass(slots=True)
class _Held:
    digest: bytes
    settled_at: float | None = None
    """Monotonic seconds; None while it waits here."""


class Inflight:
    """The last messages of QoS 1, by receipt."""

    def __init__(self) -> None:
        self._held: OrderedDict[Receipt, _Held] = OrderedDict()
        self._moved: OrderedDict[Receipt, Receipt] = OrderedDict()

    def take(self, receipt: Receipt, content: bytes, *, is_duplicate: bool, lost_at: float | None) -> str:
        """Take a message.

        Args:
            receipt: under which it came.
            content: topic and payload.
            is_duplicate: whether the broker says that it gave it before.
            lost_at: when the connection before this one was lost, for a message that may have been queued until then; else None.

        Returns:
            `new`; `held` for one that still waits here, which from now on is settled under this receipt; `settled` for one to be acknowledged.
        """
        digest = hashlib.blake2b(content, digest_size=16).digest()
        known = self._find(receipt, digest, is_duplicate=is_duplicate, lost_at=lost_at)
        held = self._held.pop(known) if known is not None else _Held(digest)
        self._held[receipt] = held
        self._held.move_to_end(receipt)
        if known is not None and held.settled_at is None:
            self._moved[known] = receipt
        for kept in (self._held, self._moved):
            while len(kept) > KEPT:
                kept.popitem(last=False)
        if known is None:
            return "new"
        return "held" if held.settled_at is None else "settled"

    def settle(self, receipt: Receipt, now: float) -> Receipt:
        """Note that a message is settled; return the receipt under which the broker knows it now."""
        while receipt in self._moved:
            receipt = self._moved.pop(receipt)
        if receipt in self._held:
            self._held[receipt].settled_at = now
        return receipt

    def _find(self, receipt: Receipt, digest: bytes, *, is_duplicate: bool, lost_at: float | None) -> Receipt | None:
        if not is_duplicate and lost_at is None:
            return None
        for old, held in self._held.items():
            if old[0] == receipt[0] or held.digest != digest:
                continue
            if is_duplicate and old[1] == receipt[1]:
                return old
            if lost_at is not None and (held.settled_at is None or lost_at - held.settled_at < NEAR_S):
                return old
        return None
