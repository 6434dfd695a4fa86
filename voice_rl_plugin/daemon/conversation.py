"""Conversations: the last decisions of each place, which follow-ups, answers, confirmations and undos refer to."""

from collections import OrderedDict
from dataclasses import dataclass

from voice_rl_plugin.deciding.turn import FOLLOW_UP_S, QUESTION_S, Turn
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.doors.native import Confirmation
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.learning.attribution import attribute

KEPT = 256
RISKY_CONFIRM_S = 15.0
"""A risky action is confirmed this soon, or not at all."""


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One decision and what became of it."""

    decision: Decision
    at: float
    """Monotonic seconds."""
    is_answered: bool = False
    """Whether its question was answered: a second answer changes nothing."""
    corrects: str | None = None
    """The decision that this one was said to correct."""

    def age_s(self, now: float) -> float:
        """Return how long ago it was decided; `now` in monotonic seconds."""
        return now - self.at


class Conversations:
    """The recent exchanges, by decision and by place."""

    def __init__(self) -> None:
        self._exchanges: OrderedDict[str, Exchange] = OrderedDict()
        self._last: dict[str, str] = {}

    def add(self, exchange: Exchange) -> None:
        """Remember an exchange as the last one of its place."""
        decision = exchange.decision
        self._exchanges[decision.id] = exchange
        self._last[decision.utterance.place] = decision.id
        while len(self._exchanges) > KEPT:
            dropped, _ = self._exchanges.popitem(last=False)
            for place in [place for place, last in self._last.items() if last == dropped]:
                del self._last[place]

    def get(self, decision_id: str) -> Exchange | None:
        """Return the exchange of a decision, if it is a recent one."""
        return self._exchanges.get(decision_id)

    def turn(self, utterance: Utterance, *, now: float) -> Turn | None:
        """Return the last turn that an utterance can refer to: in its place, young enough, and with a question still open.

        Args:
            utterance: what was said now; a risky question is answered through the door it came in.
            now: monotonic seconds.
        """
        exchange = self._exchanges.get(self._last.get(utterance.place, ""))
        if exchange is None:
            return None
        limit_s, decision = FOLLOW_UP_S, exchange.decision
        if decision.outcome == "clarify":
            limit_s = RISKY_CONFIRM_S if decision.is_risky else QUESTION_S
            if exchange.is_answered or (decision.is_risky and decision.utterance.door != utterance.door):
                return None
        return None if exchange.age_s(now) > limit_s else Turn(decision=decision, at=decision.decided_at)

    def decisions(self) -> tuple[Decision, ...]:
        """Return the recent decisions, oldest first."""
        return tuple(exchange.decision for exchange in self._exchanges.values())

    def find(self, confirmation: Confirmation, *, now: float) -> Exchange | None:
        """Return what a confirmation is about; None for a named decision that is not a recent one.

        Args:
            confirmation: with or without a decision id.
            now: Unix seconds, of the clock that stamped the decisions.

        Raises:
            MessageError: it names none, and there is not exactly one in that place.
        """
        if confirmation.decision_id is not None:
            return self._exchanges.get(confirmation.decision_id)
        place = confirmation.satellite_id or confirmation.session_id or confirmation.area
        return self._exchanges[attribute(self.decisions(), place=place, now=now).id]


def pick_choice(decision: Decision, choice: str | int | None) -> Candidate:
    """Return what was picked from the choices of a question.

    Args:
        decision: the question.
        choice: a label, with or without its "the", an index from 0, or None for the only one.

    Raises:
        MessageError: there is no such choice, or several without a pick.
    """
    labels = ", ".join(repr(one.label) for one in decision.choices) or "nothing to choose from"
    if choice is None:
        if len(decision.choices) != 1:
            raise MessageError(f"confirm: expected a correction with a choice, since the question offers {labels}")
        return decision.choices[0]
    if isinstance(choice, int):
        if choice >= len(decision.choices):
            raise MessageError(f"confirm: choice: expected an index below {len(decision.choices)}, got {choice}")
        return decision.choices[choice]
    wanted = choice.strip().casefold().removeprefix("the ")
    found = [one for one in decision.choices if one.label.casefold().removeprefix("the ") == wanted]
    if len(found) != 1:
        raise MessageError(f"confirm: choice: expected one of {labels}, got {choice!r}")
    return found[0]
