"""Words that refuse for sure: what forbids, what tells of the past, and one of several."""

import pytest

from tests.scripted import clause, frame_of
from voice_rl_plugin.deciding.refusals import means_one_of_several, refusing_mood


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
