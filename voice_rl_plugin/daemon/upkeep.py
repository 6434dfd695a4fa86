"""Upkeep: keeps the experience store as old as the owner wants it, and looks whether it is sound; in a thread and on a connection of its own.

at the start, then once a day:  rows older than retention -> erased, a batch at a time      every row's checksum -> the damaged ones
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voice_rl_plugin.errors import StoreError
from voice_rl_plugin.learning.postgres import StoreServer
from voice_rl_plugin.learning.store import ExperienceStore

_LOGGER = logging.getLogger(__name__)

DAY_S = 86_400.0
EVERY_S = DAY_S
BATCH = 200
"""Decisions erased in one transaction: the daemon waits for a fraction of a second at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """What one round has found."""

    decisions: int = 0
    damaged_rows: int = 0
    retired: int = 0
    """Decisions erased for their age since the start."""
    last_erasure_at: float | None = None
    """When somebody last erased something, in Unix seconds."""
    problem: str = ""
    """Why the round could not be finished."""


class Upkeep:
    """Looks after one store.

    Args:
        place: where the store is.
        keep_s: how old a decision may become; None for ever.
        clock: Unix seconds.
        report: takes what was found; called from another thread.
    """

    def __init__(
        self, place: Path | StoreServer, *, keep_s: float | None, clock: Callable[[], float], report: Callable[[StoreHealth], None]
    ) -> None:
        self._place = place
        self._keep_s = keep_s
        self._clock = clock
        self._report = report
        self._retired = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-upkeep", daemon=True)

    def start(self) -> None:
        """Begin with the first round."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the batch at hand."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                found = self._look()
            except StoreError as error:
                found = StoreHealth(retired=self._retired, problem=f"upkeep of the experience store: {error}")
            if not self._stopped.is_set():
                self._report(found)
            self._stopped.wait(EVERY_S)

    def _look(self) -> StoreHealth:
        with ExperienceStore(self._place, clock=self._clock, owns_file=False) as store:
            while self._keep_s is not None and not self._stopped.is_set():
                gone = store.apply_retention(keep_s=self._keep_s, limit=BATCH)
                self._retired += gone
                if gone < BATCH:
                    break
            damaged = store.damaged()
            if damaged:
                _LOGGER.error("%d decisions of the experience store fail their checksums and teach nothing", len(damaged))
            return StoreHealth(
                decisions=store.count()[0], damaged_rows=len(damaged), retired=self._retired, last_erasure_at=store.last_erasure_at()
            )
