"""Reward: the one place where feedback becomes a number.

    feedback                                     on act           on clarify             on reject
    yes                                          +1               ANSWERED, one choice   +1
    no                                           -1               UNANSWERED             MISSED
    correction to one of the offered choices     -1               ANSWERED               MISSED
    correction to anything else                  -1               UNANSWERED             MISSED
    correction to what was done                  +1               -                      +1
    undo in words, or by a named person          -1               no label               no label
    undo seen on states alone, within 15 s       WEAK             no label               no label
    rephrased within 60 s, and then confirmed    WEAK             WEAK                   WEAK
    silence                                      missing, never 0

Ambiguous means no label: `(None, 0.0)`. A reward value from outside is never accepted as such; only feedback is, and it passes through here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.feedback import Feedback

CONFIRMED = 1.0
"""An explicit yes. Source: docs/DESIGN.md, section 5, row 1."""
DENIED = -1.0
"""An explicit no, a correction, an undo in words or by a named person. Source: docs/DESIGN.md, section 5, rows 1 to 3."""
WEAK = -0.3
"""An undo seen on states alone; a rephrasing that was confirmed. Source: docs/DESIGN.md, section 5, rows 3 and 4."""
QUESTION_COST = 0.1
"""What asking costs. Source: docs/DESIGN.md, section 4, c_ask."""
DISCOUNT = 0.99
"""Discount of the step after the question. Source: docs/DESIGN.md, section 4, gamma."""
MISSED = -0.5
"""A command that was refused. Source: docs/DESIGN.md, section 4, V(reject) with m = 0.5."""
ANSWERED = -QUESTION_COST + DISCOUNT * CONFIRMED
"""A question whose choices held the right one: the return of the episode. Source: docs/DESIGN.md, section 4, V(ask K)."""
UNANSWERED = -QUESTION_COST + DISCOUNT * MISSED
"""A question whose choices did not hold the right one. Source: docs/DESIGN.md, section 4, V(ask K)."""

EXPLICIT_WEIGHT = 1.0
"""Words, buttons and answers count fully. Source: docs/DESIGN.md, section 5."""
WEAK_WEIGHT = 0.5
"""A weak label counts half: the person may have meant another thing. Source: docs/DESIGN.md, section 5, "weak label"."""
COSTLY_WEIGHT = 3.0
"""A wrong action on a costly device counts three times: rewards stay in [-1, 1]. Source: docs/DESIGN.md, section 4, C = 3 for a lock."""
COSTLY_DOMAINS = frozenset({"lock", "cover", "alarm_control_panel", "climate", "water_heater", "valve", "siren", "lawn_mower"})
"""Domains in which a wrong action opens, heats or frightens. Source: docs/DESIGN.md, section 4, "a lock or an oven"."""

UNDO_WITHIN_S = 15.0
"""A state that flips back later is a new wish. Source: docs/DESIGN.md, section 5, row 3."""
REPHRASE_WITHIN_S = 60.0
"""A second try comes within a minute. Source: docs/DESIGN.md, section 5, row 4."""
CLOCK_SKEW_S = 2.0
"""Spoken feedback may seem this much older than its decision when two machines disagree on the time."""

PATTERN_CAPS: Mapping[str, int] = {"topic": 10, "voice": 10, "answer": 10, "page": 20, "state": 3}
"""Labels a source, pattern (the same words in the same area) and day; more teach nothing new, and may be a stuck button.

Source: docs/DESIGN.md, section 5, "capped per source, pattern and day".
"""
DAY_CAPS: Mapping[str, int] = {"topic": 200, "voice": 200, "answer": 200, "page": 500, "state": 20}
"""Labels a source and day. Source: as PATTERN_CAPS."""

NO_LABEL: tuple[None, float] = (None, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One feedback with the label that was made of it."""

    feedback: Feedback
    reward: float | None
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What all feedback of one decision comes to."""

    reward: float | None
    """In [-1, 1]; None while there is no label."""
    weight: float
    source: str | None
    correction: tuple[Action, ...] | None
    """The right actions when they are known; () means it should have been refused."""
    correction_text: str | None
    user: str | None


def reward_of(
    feedback: Feedback, *, decision: Decision, seconds_since: float, of_pattern_today: int = 0, of_source_today: int = 0
) -> tuple[float | None, float]:
    """Make the reward and its weight out of one feedback.

    Args:
        feedback: what the person did.
        decision: what it is about.
        seconds_since: from the decision to the feedback.
        of_pattern_today: labels that this source gave to the same words in the same area on this day.
        of_source_today: labels that this source gave on this day.

    Returns:
        The reward in [-1, 1], or None for no label, and its weight.
    """
    if of_pattern_today >= PATTERN_CAPS[feedback.source] or of_source_today >= DAY_CAPS[feedback.source]:
        return NO_LABEL
    if feedback.is_inferred:
        return (WEAK, WEAK_WEIGHT) if 0.0 <= seconds_since <= REPHRASE_WITHIN_S else NO_LABEL
    if feedback.source == "state":
        return _reward_of_state(feedback, decision, seconds_since)
    if feedback.source == "voice" and seconds_since < -CLOCK_SKEW_S:
        return NO_LABEL  # the clock jumped: which decision was meant is no longer certain
    reward = _reward_of_words(feedback, decision)
    if reward is None:
        return NO_LABEL
    return reward, _weight_of(decision, reward)


def correction_of(feedback: Feedback, *, decision: Decision) -> tuple[Action, ...] | None:
    """Return the right actions as far as the feedback names them: () is "should have been refused", None is unknown.

    A correction without actions and without words picks "none of this"; one with words that nobody could resolve stays unknown.
    """
    if feedback.verdict == "correct":
        return feedback.correction if feedback.correction or not feedback.correction_text else None
    if feedback.verdict == "yes":
        if decision.outcome != "clarify":
            return decision.actions
        if feedback.correction:
            return feedback.correction
        return decision.choices[0].actions if len(decision.choices) == 1 else None
    return feedback.correction or None


def is_explicit(feedback: Feedback) -> bool:
    """Whether a person said or pressed it, rather than a state or a second try implying it."""
    return feedback.source != "state" and not feedback.is_inferred


def settle(judgements: Iterable[Judgement], *, decision: Decision) -> Settlement:
    """Combine all feedback of one decision: what is explicit beats what is not, then the last one wins; a correction beats a no.

    Args:
        judgements: in the order in which they came.
        decision: what they are about.
    """
    labelled = [judgement for judgement in judgements if judgement.reward is not None]
    explicit = [judgement for judgement in labelled if is_explicit(judgement.feedback)]
    ranked = explicit or labelled
    if not ranked:
        return Settlement(reward=None, weight=0.0, source=None, correction=None, correction_text=None, user=None)
    winner = ranked[-1]
    if winner.feedback.verdict in ("no", "undo"):
        corrections = [judgement for judgement in ranked if judgement.feedback.verdict == "correct"]
        winner = corrections[-1] if corrections else winner
    return Settlement(
        reward=winner.reward,
        weight=winner.weight,
        source=winner.feedback.source,
        correction=correction_of(winner.feedback, decision=decision),
        correction_text=winner.feedback.correction_text,
        user=winner.feedback.user,
    )


def _reward_of_state(feedback: Feedback, decision: Decision, seconds_since: float) -> tuple[float | None, float]:
    if feedback.verdict != "undo" or decision.outcome != "act" or not 0.0 <= seconds_since <= UNDO_WITHIN_S:
        return NO_LABEL
    return (DENIED, _weight_of(decision, DENIED)) if feedback.user else (WEAK, WEAK_WEIGHT)


def _reward_of_words(feedback: Feedback, decision: Decision) -> float | None:
    if feedback.verdict == "undo":
        return DENIED if decision.outcome == "act" else None
    if feedback.verdict == "no" and not feedback.correction:
        return {"act": DENIED, "clarify": UNANSWERED, "reject": MISSED}[decision.outcome]
    right = correction_of(feedback, decision=decision)
    if decision.outcome == "clarify":
        if right is None:
            return None if feedback.verdict == "yes" else UNANSWERED
        return ANSWERED if _keys(right) in {_keys(choice.actions) for choice in decision.choices} else UNANSWERED
    if right is not None and _keys(right) == _keys(decision.actions):
        return CONFIRMED
    return DENIED if decision.outcome == "act" else MISSED


def _keys(actions: Iterable[Action]) -> tuple[str, ...]:
    return tuple(action.key for action in actions)


def _weight_of(decision: Decision, reward: float) -> float:
    is_costly = any(action.domain in COSTLY_DOMAINS for action in decision.actions)
    return COSTLY_WEIGHT if is_costly and reward < 0.0 else EXPLICIT_WEIGHT
