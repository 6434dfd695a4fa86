"""A turn: what was said and done just before, which a follow-up, a correction or an answer refers to."""

from dataclasses import dataclass

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.feedback import Feedback

FOLLOW_UP_S = 60.0
"""A follow-up ("now at sixty") refers to a command at most this old."""
QUESTION_S = 20.0
"""A question waits this long for its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The last decision in one place."""

    decision: Decision
    at: float
    """Unix seconds."""

    @property
    def actions(self) -> tuple[Action, ...]:
        """Return what was done."""
        return self.decision.actions

    @property
    def awaits_answer(self) -> bool:
        """Whether it asked a question."""
        return self.decision.outcome == "clarify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the decider made of one utterance."""

    decision: Decision | None
    """What to do now; None when the utterance only judged the last decision."""
    feedback: Feedback | None = None
    """A judgement of the last decision in this place, when the utterance holds one."""
