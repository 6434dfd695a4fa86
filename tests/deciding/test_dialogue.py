"""Answers to our own questions."""

import pytest

from tests.scripted import clause, frame_of, observed
from tests.understanding.homes import FLAT, HOUSE
from voice_rl_plugin.deciding.dialogue import choose_answer, is_answer_like
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.decision import Candidate
from voice_rl_plugin.domain.home import Home

DESKS = tuple(Candidate(actions=(parse_action(f"light.turn_on light.desk_{room}"),), probability=0.4) for room in ("bedroom", "study"))
THREE = (*DESKS, Candidate(actions=(parse_action("light.turn_on light.hall"),), probability=0.1))


def answer(text: str, choices: tuple[Candidate, ...] = DESKS, home: Home = HOUSE) -> int | str | None:
    """Return which choice an answer picks: its index, "both", "neither", or None."""
    one = clause(text, "none", "none", mood="bare")
    chosen = choose_answer(observed(one, home), choices, home)
    if chosen is None:
        return None
    if not chosen.actions:
        return "neither"
    return choices.index(chosen) if chosen in choices else "both"


@pytest.mark.parametrize(
    ("text", "picked"),
    [
        ("the first one", 0), ("second", 1), ("the latter", 1), ("the last one", 1), ("the study", 1), ("the one in the bedroom", 0),
        ("both please", "both"), ("never mind", "neither"), ("neither", "neither"), ("cancel", "neither"), ("hmm", None), ("the kitchen", None),
    ],
)  # fmt: skip
def test_english_answers(text: str, picked: int | str | None) -> None:
    """An ordinal, a room, "both" or "never mind" answers; anything else does not."""
    assert answer(text) == picked


@pytest.mark.parametrize(
    ("text", "picked"),
    [
        ("第一个", 0),
        ("第二个", 1),
        ("最后那个", 1),
        ("书房的", 1),
        ("卧室那盏", 0),
        ("两个都要", "both"),
        ("都开", "both"),
        ("算了", "neither"),
        ("都不是", "neither"),
        ("嗯哼", None),
    ],
)
def test_chinese_answers(text: str, picked: int | str | None) -> None:
    """第二个, a room, 都 or 算了 answers; anything else does not."""
    assert answer(text, home=FLAT) == picked


@pytest.mark.parametrize(
    ("text", "home", "picked"),
    [
        ("yes", HOUSE, 0),
        ("sure", HOUSE, 0),
        ("no", HOUSE, "neither"),
        ("好的", FLAT, 0),
        ("对", FLAT, 0),
        ("不要", FLAT, "neither"),
        ("别", FLAT, "neither"),
    ],
)
def test_yes_and_no_answer_a_single_offer(text: str, home: Home, picked: int | str) -> None:
    """A yes takes the only offer, a no leaves it."""
    assert answer(text, DESKS[:1], home) == picked


def test_yes_between_two_is_no_answer() -> None:
    """A yes does not choose."""
    assert answer("yes") is None


def test_the_third_of_three() -> None:
    """Ordinals count as far as there are choices; "the last" counts from the end."""
    assert answer("the third", THREE) == 2
    assert answer("the last one", THREE) == 2
    assert answer("the third") is None


def test_both_joins_the_actions() -> None:
    """In speech, "both" does everything that was offered, once."""
    one = clause("both", "none", "none", mood="bare")
    chosen = choose_answer(observed(one, HOUSE), (*DESKS, DESKS[0]), HOUSE)

    assert chosen is not None
    assert chosen.actions == (*DESKS[0].actions, *DESKS[1].actions)


def test_nothing_offered_can_only_be_cancelled() -> None:
    """An open question is cancelled by "never mind" and answered by nothing else here."""
    assert answer("the first", ()) is None
    assert answer("never mind", ()) == "neither"


def test_long_or_complete_commands_are_no_answers() -> None:
    """A full new command beats a pending question."""
    assert is_answer_like(frame_of(clause("the study", "none", "none", mood="bare")))
    assert is_answer_like(frame_of(clause("the first one please", "same", "any")))
    assert not is_answer_like(frame_of(clause("turn on the radio", "turn_on")))
    assert not is_answer_like(frame_of(clause("well I think the first one would be quite all right", "none", "none", mood="bare")))
