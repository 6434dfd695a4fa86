"""The canary: a new champion is on trial, and goes by itself when people deny it more often than they denied the former one.

one-sided exact test (Fisher), at every `canary_least` decisions, each at canary_level / looks (Bonferroni):

    p = P(X >= d)    X ~ hypergeometric: d + d' denials among n + n' decisions, n of them the new champion's

With d of n decisions of the new champion denied, corrected or taken back, and d' of n' of the former one. The memory's decisions are no
model's, and count for neither. Silence is no denial for either one: the rates compare, they are no error rates.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voice_rl_plugin.config import LearningSection
from voice_rl_plugin.learning.models import Trial
from voice_rl_plugin.learning.store import ExperienceStore

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """How a trial stands, or ended."""

    state: str
    """`watching`, `passed` or `rolled_back`."""
    version: str
    former: str
    decisions: int
    denied: int
    former_decisions: int
    former_denied: int
    p_value: float

    def to_payload(self) -> dict[str, Any]:
        """Return the JSON form, as `<prefix>/model` shows it."""
        return {
            "state": self.state,
            "version": self.version,
            "former": self.former,
            "decisions": self.decisions,
            "denied": self.denied,
            "former_decisions": self.former_decisions,
            "former_denied": self.former_denied,
            "p_value": round(self.p_value, 5),
        }

    def to_sentence(self) -> str:
        """Return the figures in words."""
        ended = {"watching": "is on trial", "passed": "has passed its trial", "rolled_back": "was rolled back"}[self.state]
        return (
            f"{self.version} {ended}: {self.denied} of {self.decisions} decisions denied or corrected; "
            f"{self.former} before it: {self.former_denied} of {self.former_decisions} (p = {self.p_value:.2g})"
        )


def chance_of_denials(denied: int, decisions: int, former_denied: int, former_decisions: int) -> float:
    """Return the one-sided p-value of Fisher's exact test: so many denials of the new one, if both were denied alike.

    Source: R. A. Fisher, Statistical Methods for Research Workers (1934), section 21.02.

    Raises:
        ValueError: more denials than decisions, or a negative count.
    """
    if not (0 <= denied <= decisions and 0 <= former_denied <= former_decisions):
        raise ValueError(f"expected 0 <= denied <= decisions, got {denied} of {decisions} and {former_denied} of {former_decisions}")
    total, marked = decisions + former_decisions, denied + former_denied
    ways = sum(math.comb(marked, k) * math.comb(total - marked, decisions - k) for k in range(denied, min(decisions, marked) + 1))
    return ways / math.comb(total, decisions)


class Canary:
    """Looks at the trial of the champion; who rolls back is the brain.

    Args:
        settings: `learning.canary_*`.
        store: where the denials are.
        trial: the trial that is under way, if any.
    """

    def __init__(self, settings: LearningSection, *, store: ExperienceStore, trial: Callable[[], Trial | None]) -> None:
        self._settings = settings
        self._store = store
        self._trial = trial
        self._looked: dict[tuple[str, float], int] = {}
        """How many looks a trial has had since the start; a restart looks again at most once."""
        self.report: CanaryReport | None = None
        """The last report; what `<prefix>/model` shows."""

    @property
    def looks(self) -> int:
        """Return how often a whole trial is looked at."""
        return max(1, self._settings.canary_decisions // self._settings.canary_least)

    def look(self) -> CanaryReport | None:
        """Return a report that ends the trial; None while it goes on or there is none.

        Raises:
            StoreError: the store cannot be read.
        """
        trial = self._trial() if self._settings.canary_decisions else None
        if trial is None:
            if self.report is not None and self.report.state == "watching":
                self.report = None
            return None
        decisions, denied = self._store.judged_badly(trial.version, since=trial.since, limit=self._settings.canary_decisions)
        former_decisions, former_denied = self._store.judged_badly(trial.former)
        p_value = chance_of_denials(denied, decisions, former_denied, former_decisions)
        key, look = (trial.version, trial.since), decisions // self._settings.canary_least
        state = "watching"
        if look > self._looked.get(key, 0):
            self._looked[key] = look
            if p_value < self._settings.canary_level / self.looks:
                state = "rolled_back"
        if state == "watching" and decisions >= self._settings.canary_decisions:
            state = "passed"
        self.report = CanaryReport(
            state=state,
            version=trial.version,
            former=trial.former,
            decisions=decisions,
            denied=denied,
            former_decisions=former_decisions,
            former_denied=former_denied,
            p_value=p_value,
        )
        return None if state == "watching" else self.report
