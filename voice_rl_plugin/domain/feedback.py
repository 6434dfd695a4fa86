"""Feedback: what a person does after a decision."""

from dataclasses import dataclass

from voice_rl_plugin.domain.action import Action

VERDICTS = ("yes", "no", "undo", "correct")
SOURCES = ("topic", "voice", "answer", "state", "page")
"""The confirm topic, a spoken sentence, an answer to a question, a state that flipped back, the device page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One judgement of one decision."""

    decision_id: str
    verdict: str
    """One of VERDICTS."""
    source: str
    """One of SOURCES."""
    correction: tuple[Action, ...] = ()
    """What should have been done, when that is known."""
    correction_text: str | None = None
    """The words of the correction, when there were any."""
    user: str | None = None
    given_at: float = 0.0
    """Unix seconds."""
    id: str = ""
    """Makes a repeated delivery harmless."""
    is_inferred: bool = False
    """Worked out from a rephrasing that was then confirmed; nobody judged this decision in words."""
