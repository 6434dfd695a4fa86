"""The daemon's clock: wall time that never jumps while something is being carried out, and that notices when the process stood still."""

import logging
from collections.abc import Callable

from voice_rl_plugin.doors.broker import Message

_LOGGER = logging.getLogger(__name__)

FREEZE_S = 3.0
"""A wait that lasted this much longer than asked for means that the process was stopped."""
THAW_S = 5.0
"""For this long after a freeze what comes may have waited as long as the freeze."""


class SteadyClock:
    """Wall time as monotonic time plus an offset that moves only between two executions.

    Args:
        wall: Unix seconds; an administrator or NTP may set it.
        monotonic: seconds that only run forward.
    """

    def __init__(self, *, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()
        self._frozen_s = 0.0
        self._thawed_at = float("-inf")

    def now(self) -> float:
        """Return Unix seconds."""
        return self._monotonic() + self._offset

    def mono(self) -> float:
        """Return monotonic seconds."""
        return self._monotonic()

    def follow_wall(self) -> None:
        """Take over what the wall clock says now."""
        self._offset = self._wall() - self._monotonic()

    def note_wait(self, waited_s: float, *, timeout_s: float) -> None:
        """Compare how long a wait took with how long it should have taken."""
        if waited_s > timeout_s + FREEZE_S:
            self._frozen_s, self._thawed_at = waited_s, self._monotonic()
            _LOGGER.warning("the process stood still for %.1f s; commands without a time are refused for a moment", waited_s)

    def waited_s(self, message: Message) -> float:
        """Return how long a message may have waited at the broker, in a frozen process, and in our queue."""
        mono = self._monotonic()
        frozen_s = self._frozen_s if mono - self._thawed_at <= THAW_S else 0.0
        return max(message.waited_s, frozen_s) + mono - message.received_at
