"""Shadow: a challenger decides beside the champion, silently; where it would do something else is counted, and sometimes asked.

utterance -> champion -> what is done
          `-> challenger -> compared, never carried out
"""

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from voice_rl_plugin.daemon.parts import Decider
from voice_rl_plugin.daemon.reload import Models
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.deciding.wording import describe, question_between, reason
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import ModelError

if TYPE_CHECKING:  # at run time it would load onnxruntime for every command
    from pathlib import Path

    from voice_rl_plugin.understanding.onnx_policy import Policy

_LOGGER = logging.getLogger(__name__)

Challenger = tuple[str, "Policy | None", str]
"""A version with its policy, or with why there is none."""

HOUR_S = 3600.0
KEPT = 256
"""Disagreements of which it is still found out who was right."""


@dataclass(slots=True, kw_only=True)
class ShadowTally:
    """What came of a challenger in shadow since it was loaded."""

    version: str
    decisions: int = 0
    disagreements: int = 0
    asked: int = 0
    champion_right: int = 0
    challenger_right: int = 0
    """Disagreements after which a person said what was right: only those count for either."""

    def to_payload(self) -> dict[str, Any]:
        """Return the JSON form, as `<prefix>/model` shows it."""
        return {
            "version": self.version,
            "decisions": self.decisions,
            "disagreements": self.disagreements,
            "asked": self.asked,
            "champion_right": self.champion_right,
            "challenger_right": self.challenger_right,
        }


class Shadow:
    """The challenger, if the model store names one.

    Args:
        models: the store.
        load: folder to policy; raises ModelError.
        questions_per_hour: how many disagreements are asked at most.
        on_loaded: takes a policy, or why there is none; called from another thread.
    """

    def __init__(
        self,
        models: Models,
        *,
        load: "Callable[[Path], Policy]",
        questions_per_hour: int,
        on_loaded: Callable[[Challenger], None],
    ) -> None:
        self._models = models
        self._load = load
        self._questions_per_hour = questions_per_hour
        self._on_loaded = on_loaded
        self._wanted: str | None = None
        self._policy: Policy | None = None
        self._decider: Decider | None = None
        self._asked_at: deque[float] = deque()
        self._open: OrderedDict[str, tuple[str, str]] = OrderedDict()
        """What champion and challenger would do, by decision, until a person says what is right."""
        self.tally: ShadowTally | None = None

    def look(self) -> None:
        """Begin to load what the store names, and drop what it names no more."""
        wanted = self._models.challenger_version()
        if wanted == self._wanted:
            return
        self._wanted, self._decider, self.tally = wanted, None, None
        self._open.clear()
        if wanted is not None:
            threading.Thread(target=self._load_wanted, args=(wanted,), name="shadow-load", daemon=True).start()

    def take(self, version: str, policy: "Policy", make_decider: "Callable[[Policy], Decider]") -> None:
        """Begin to compare with a loaded challenger, unless another one is wanted by now."""
        if version == self._wanted:
            self._policy, self._decider, self.tally = policy, make_decider(policy), ShadowTally(version=version)
            _LOGGER.info("model %s runs in shadow", version)

    def set_memory(self, make_decider: "Callable[[Policy], Decider]") -> None:
        """Decide with another memory from now on."""
        if self._decider is not None and self._policy is not None:
            self._decider = make_decider(self._policy)

    def set_home(self, home: Home) -> None:
        """Take another home."""
        if self._decider is not None:
            self._decider.set_home(home)

    def compare(self, decision: Decision, hear: Callable[[Decider], Decision | None], *, home: Home, now: float) -> Decision:
        """Return what is to be done: what the champion decided, or a question where the two differ and one may be asked.

        Args:
            decision: the champion's.
            hear: asks a decider about the same utterance.
            home: for the question.
            now: Unix seconds.
        """
        if self._decider is None or self.tally is None or decision.stage not in ("policy", "alias", "exploration"):
            return decision
        try:
            other = hear(self._decider)
        except Exception:
            _LOGGER.exception("the challenger %s fails; it runs in shadow no more", self.tally.version)
            self._decider = None
            return decision
        if other is None:
            return decision
        self.tally.decisions += 1
        mine, its = _key(decision), _key(other)
        if mine == its:
            return decision
        self.tally.disagreements += 1
        self._open[decision.id] = (mine, its)
        while len(self._open) > KEPT:
            self._open.popitem(last=False)
        _LOGGER.info("decision %s: the challenger %s would %s", decision.id, self.tally.version, other.outcome)
        if decision.outcome != "act" or other.outcome != "act" or any_risky((*decision.actions, *other.actions), home):
            return decision
        if not self._may_ask(now):
            return decision
        self._asked_at.append(now)
        self.tally.asked += 1
        return _question(decision, other, home)

    def settle(self, decision_id: str, right: tuple[Action, ...]) -> None:
        """Note what a person said was right, where the two had differed."""
        mine, its = self._open.pop(decision_id, ("", ""))
        if self.tally is None or mine == its:
            return
        told = f"act {_keys(right)}" if right else "reject"
        self.tally.champion_right += told == mine
        self.tally.challenger_right += told == its

    def _may_ask(self, now: float) -> bool:
        while self._asked_at and now - self._asked_at[0] > HOUR_S:
            self._asked_at.popleft()
        return len(self._asked_at) < self._questions_per_hour

    def _load_wanted(self, version: str) -> None:
        try:
            policy = self._load(self._models.challenger(version))
        except ModelError as error:
            self._on_loaded((version, None, str(error)))
            return
        except Exception as error:
            _LOGGER.exception("the challenger %s cannot be loaded", version)
            self._on_loaded((version, None, f"{type(error).__name__}: {error}"))
            return
        self._on_loaded((version, policy, ""))


def _keys(actions: tuple[Action, ...]) -> str:
    return "|".join(action.key for action in actions)


def _key(decision: Decision) -> str:
    """Return what would be done: the same actions, a question between the same choices, or a refusal, whatever the reason."""
    if decision.outcome == "act":
        return f"act {_keys(decision.actions)}"
    return "reject" if decision.outcome == "reject" else f"clarify {sorted(choice.key for choice in decision.choices)}"


def _question(decision: Decision, other: Decision, home: Home) -> Decision:
    choices = tuple(
        Candidate(actions=one.actions, probability=0.5, label=describe(one.actions, home, decision.language, with_area=True))
        for one in (decision, other)
    )
    return replace(
        decision,
        outcome="clarify",
        actions=(),
        choices=choices,
        question=question_between([choice.label for choice in choices], decision.language),
        reason=reason("ambiguous", decision.language),
        reason_code="ambiguous",
        executor="none",
    )
