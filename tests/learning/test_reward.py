"""Rewards against the table of docs/DESIGN.md, section 5, worked out by hand."""

import pytest

from tests.learning.makers import DOOR, LAMP_OFF, LAMP_ON, OTHER, START, make_decision, make_feedback
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.learning.reward import DAY_CAPS, PATTERN_CAPS, Judgement, correction_of, reward_of, settle

CHOICES = (Candidate(actions=(LAMP_ON,), probability=0.5), Candidate(actions=(OTHER,), probability=0.4))
ACTED = make_decision()
ASKED = make_decision(outcome="clarify", choices=CHOICES)
ASKED_ONE = make_decision(outcome="clarify", choices=CHOICES[:1])
REFUSED = make_decision(outcome="reject")
UNLOCKED = make_decision(actions=(DOOR,))


@pytest.mark.parametrize(
    ("decision", "feedback", "seconds", "expected"),
    [
        (ACTED, make_feedback(verdict="yes"), 3.0, (1.0, 1.0)),
        (ACTED, make_feedback(verdict="no"), 3.0, (-1.0, 1.0)),
        (UNLOCKED, make_feedback(verdict="no"), 3.0, (-1.0, 3.0)),
        (UNLOCKED, make_feedback(verdict="yes"), 3.0, (1.0, 1.0)),
        (ACTED, make_feedback(verdict="correct", correction=(OTHER,)), 3.0, (-1.0, 1.0)),
        (ACTED, make_feedback(verdict="no", correction=(OTHER,)), 3.0, (-1.0, 1.0)),
        (ACTED, make_feedback(verdict="correct", text="the unheard of one"), 3.0, (-1.0, 1.0)),
        (ACTED, make_feedback(verdict="correct", correction=(LAMP_ON,)), 3.0, (1.0, 1.0)),
        (ACTED, make_feedback(verdict="correct"), 3.0, (-1.0, 1.0)),
        (ACTED, make_feedback(verdict="undo", source="voice"), 3.0, (-1.0, 1.0)),
        (ACTED, make_feedback(verdict="undo", source="state"), 14.0, (-0.3, 0.5)),
        (ACTED, make_feedback(verdict="undo", source="state"), 16.0, (None, 0.0)),
        (ACTED, make_feedback(verdict="undo", source="state", user="anna"), 14.0, (-1.0, 1.0)),
        (ACTED, make_feedback(verdict="undo", source="state"), -3600.0, (None, 0.0)),
        (ACTED, make_feedback(verdict="no", source="voice"), -3600.0, (None, 0.0)),
        (ACTED, make_feedback(verdict="correct", source="voice", correction=(OTHER,), is_inferred=True), 59.0, (-0.3, 0.5)),
        (ACTED, make_feedback(verdict="correct", source="voice", correction=(OTHER,), is_inferred=True), 61.0, (None, 0.0)),
        (ASKED, make_feedback(verdict="correct", source="answer", correction=(OTHER,)), 3.0, (0.89, 1.0)),
        (ASKED, make_feedback(verdict="correct", source="answer", correction=(LAMP_OFF,)), 3.0, (-0.595, 1.0)),
        (ASKED, make_feedback(verdict="yes"), 3.0, (None, 0.0)),
        (ASKED_ONE, make_feedback(verdict="yes"), 3.0, (0.89, 1.0)),
        (ASKED, make_feedback(verdict="no"), 3.0, (-0.595, 1.0)),
        (ASKED, make_feedback(verdict="undo"), 3.0, (None, 0.0)),
        (REFUSED, make_feedback(verdict="yes"), 3.0, (1.0, 1.0)),
        (REFUSED, make_feedback(verdict="no"), 3.0, (-0.5, 1.0)),
        (REFUSED, make_feedback(verdict="correct", correction=(LAMP_ON,)), 3.0, (-0.5, 1.0)),
        (REFUSED, make_feedback(verdict="undo"), 3.0, (None, 0.0)),
    ],
)
def test_reward_of_follows_the_table(decision: Decision, feedback: Feedback, seconds: float, expected: tuple[float | None, float]) -> None:
    """Each row of the table gives the reward and the weight that it states."""
    reward, weight = reward_of(feedback, decision=decision, seconds_since=seconds)

    assert (None if reward is None else pytest.approx(reward), weight) == (expected[0], expected[1])


def test_reward_of_is_capped_per_pattern_and_per_day() -> None:
    """The label after the last allowed one is missing, not zero."""
    yes = make_feedback()

    assert reward_of(yes, decision=ACTED, seconds_since=1.0, of_pattern_today=PATTERN_CAPS["topic"] - 1) == (1.0, 1.0)
    assert reward_of(yes, decision=ACTED, seconds_since=1.0, of_pattern_today=PATTERN_CAPS["topic"]) == (None, 0.0)
    assert reward_of(yes, decision=ACTED, seconds_since=1.0, of_source_today=DAY_CAPS["topic"]) == (None, 0.0)


def test_settle_of_silence_is_missing() -> None:
    """Nobody said anything: there is no reward, and it is not zero."""
    assert settle([], decision=ACTED).reward is None


@pytest.mark.parametrize(
    ("feedbacks", "reward", "correction"),
    [
        ([make_feedback(verdict="no"), make_feedback(verdict="yes")], 1.0, (LAMP_ON,)),
        ([make_feedback(verdict="yes"), make_feedback(verdict="no")], -1.0, None),
        ([make_feedback(verdict="correct", correction=(OTHER,)), make_feedback(verdict="no")], -1.0, (OTHER,)),
        ([make_feedback(verdict="no"), make_feedback(verdict="undo", source="state")], -1.0, None),
        ([make_feedback(verdict="undo", source="state")], -0.3, None),
        ([make_feedback(verdict="correct")], -1.0, ()),
        ([make_feedback(verdict="yes"), make_feedback(verdict="undo", source="state")], 1.0, (LAMP_ON,)),
    ],
)
def test_settle_lets_the_last_explicit_one_win(feedbacks: list[Feedback], reward: float, correction: tuple[Action, ...] | None) -> None:
    """Words beat states, the last words win, and a correction beats a no."""
    judged = [Judgement(feedback=f, reward=r, weight=w) for f in feedbacks for r, w in [reward_of(f, decision=ACTED, seconds_since=3.0)]]

    settlement = settle(judged, decision=ACTED)

    assert (settlement.reward, settlement.correction) == (reward, correction)


def test_correction_of_refusal_is_empty_and_of_unresolved_words_is_unknown() -> None:
    """() means it should have been refused; None means nobody knows."""
    assert correction_of(make_feedback(verdict="yes"), decision=REFUSED) == ()
    assert correction_of(make_feedback(verdict="correct", text="that thing", at=START), decision=ACTED) is None
