"""Words that refuse for sure: what forbids, what tells of the past, and one of several."""

import pytest

from tests.scripted import clause, frame_of, observed
from tests.understanding.homes import FLAT, HOUSE
from voice_rl_plugin.deciding.refusals import is_drowned, means_one_of_several, refusing_mood
from voice_rl_plugin.domain.home import Home


@pytest.mark.parametrize(
    ("text", "operation", "prop", "mood"),
    [
        ("[莲花灯:NAME]不可以关喔", "turn_off", "power", "prohibition"),
        ("可不可以把[莲花灯:NAME]关了", "turn_off", "power", None),
        ("不许开[电视:NAME]", "turn_on", "power", "prohibition"),
        ("no more [deep focus:NAME] today", "activate", "scene", "prohibition"),
        ("no more [light:CLASS]", "turn_off", "power", None),
        ("last summer we kept the [blinds:CLASS] open", "open", "position", "report"),
        ("the last [blind:CLASS] open", "open", "position", None),
        ("上回[吊扇:NAME]开太大了", "lower", "speed", "report"),
        ("上次那样把[吊扇:NAME]开着", "turn_on", "power", None),
        ("说明书上写[风扇:NAME]开到最大会响", "set", "speed", "report"),
    ],
)
def test_words_that_refuse(text: str, operation: str, prop: str, mood: str | None) -> None:
    """In speech these words forbid or remember, whatever else is said; their neighbours ask."""
    one = clause(text, operation, prop)

    assert refusing_mood(one.words, frame_of(one)) == mood


def test_one_of_several_is_not_all_of_them() -> None:
    """Which one is a question."""
    assert means_one_of_several((one := clause("one of the [pendants:CLASS] buzzes turn it off", "turn_off")).words, frame_of(one))
    assert not means_one_of_several((one := clause("turn off the [pendants:CLASS]", "turn_off")).words, frame_of(one))


@pytest.mark.parametrize(
    ("text", "operation", "prop", "mood"),
    [
        ("did anybody close the [gate:NAME] yesterday", "query", "state", "report"),
        ("昨晚[大门:NAME]是不是没关", "query", "state", "report"),
        ("my sister switched the [lamp:NAME] on", "turn_on", "power", "report"),
        ("he usually shuts the [blinds:CLASS]", "close", "position", "report"),
        ("阿强又忘了关[灯:CLASS]", "turn_off", "power", "report"),
        ("我忘了关[灯:CLASS]", "turn_off", "power", None),
        ("our [lamp:NAME] off", "turn_off", "power", None),
        ("please to not shut the [blinds:CLASS]", "close", "position", "prohibition"),
        ("哪个敢关我的[灯带:CLASS]", "turn_off", "power", "prohibition"),
        ("suppose i switch the [lamp:NAME] off", "turn_off", "power", "report"),
        ("ill turn the [lamp:NAME] off myself", "turn_off", "power", "report"),
        ("ill need the [lamp:NAME] on", "turn_on", "power", None),
        ("could i have the [lamp:NAME] on", "turn_on", "power", None),
    ],
)
def test_what_was_and_what_others_do_is_told_not_asked(text: str, operation: str, prop: str, mood: str | None) -> None:
    """A home has no record of yesterday, and does not do what somebody else did."""
    one = clause(text, operation, prop)

    assert refusing_mood(one.words, frame_of(one)) == mood


@pytest.mark.parametrize(
    ("text", "home", "is_lost"),
    [
        ("turn off the mmm [lamp:CLASS]", HOUSE, True),
        ("turn off the [lamp:CLASS] mm", HOUSE, False),
        ("[台灯:NAME]调到百分之嘶嘶嘶", FLAT, True),
        ("[台灯:NAME]关了", FLAT, False),
    ],
)
def test_what_was_lost_in_noise_is_asked_for_again(text: str, home: Home, is_lost: bool) -> None:
    """A murmur behind the command is none of its words."""
    one = clause(text, "turn_off")

    assert is_drowned(observed(one, home), frame_of(one)) == is_lost
