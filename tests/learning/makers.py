"""Small values for the tests of learning."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.learning.postgres import StoreServer

START = 1_800_000_000.0
"""A day boundary is not near."""

LAMP_ON = parse_action("light.turn_on light.desk brightness_pct=35")
LAMP_OFF = parse_action("light.turn_off light.desk")
DOOR = parse_action("lock.unlock lock.front")
OTHER = parse_action("light.turn_on light.bed")

T = TypeVar("T")
MakePlace = Callable[[str], Path | StoreServer]
"""Names a place for a store, the same for the same name."""


def present(value: T | None) -> T:
    """Return what must not be missing."""
    assert value is not None
    return value


def make_decision(
    name: str = "d1",
    *,
    text: str = "desk lamp to thirty five",
    outcome: str = "act",
    actions: tuple[Action, ...] = (LAMP_ON,),
    choices: tuple[Candidate, ...] = (),
    at: float = START,
    area: str | None = "study",
    utterance_id: str | None = None,
    reason_code: str = "confident",
    executor: str = "dispatch",
) -> Decision:
    """Return a decision with two candidates."""
    return Decision(
        id=name,
        utterance=Utterance(text=text, language="en", area=area, id=utterance_id),
        language="en",
        outcome=outcome,
        actions=actions if outcome == "act" else (),
        question="Which one?" if outcome == "clarify" else None,
        choices=choices,
        confidence=0.9,
        propensity=0.95,
        policy_version="base",
        executor=executor,
        reason="It was clear.",
        reason_code=reason_code,
        candidates=(
            Candidate(actions=(LAMP_ON,), probability=0.9, label="the desk lamp", features=(0.25, 1.0)),
            Candidate(actions=(OTHER,), probability=0.05),
        ),
        not_for_us=0.01,
        moods={"command": 0.99},
        latency_ms=0.4,
        decided_at=at,
    )


def make_feedback(
    name: str = "d1",
    verdict: str = "yes",
    *,
    source: str = "topic",
    correction: tuple[Action, ...] = (),
    text: str | None = None,
    user: str | None = None,
    at: float = START + 3.0,
    identity: str = "",
    is_inferred: bool = False,
) -> Feedback:
    """Return a feedback."""
    return Feedback(
        decision_id=name,
        verdict=verdict,
        source=source,
        correction=correction,
        correction_text=text,
        user=user,
        given_at=at,
        id=identity,
        is_inferred=is_inferred,
    )
