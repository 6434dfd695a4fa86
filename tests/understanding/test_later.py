"""Facts about words that say "not now"."""

import pytest

from voice_rl_plugin.domain.frame import Frame
from voice_rl_plugin.understanding.later import is_for_later
from voice_rl_plugin.understanding.text import tokenise


def _is_for_later(text: str) -> bool:
    words = tuple(token.text for token in tokenise(text))
    frame = Frame(moods={"command": 1.0}, operations=(("turn_on", 1.0),), properties=(("power", 1.0),), spans=(), start=0, end=len(words))
    return is_for_later(words, frame)


@pytest.mark.parametrize(
    "text",
    [
        "turn the feeder on at midnight",
        "lights off in ten minutes",
        "open the blinds tomorrow",
        "turn it off at seven pm",
        "七点钟喂食器开一下",
        "十分钟后关灯",
        "明天打开窗帘",
        "晚上八点开灯",
        "下礼拜再开灯",
        "turn it on next week",
        "when frost is coming, raise that",
        "whenever he calls, mute it",
    ],
)
def test_a_time_is_later(text: str) -> None:
    """A clock time, a delay and a day are no time for acting now."""
    assert _is_for_later(text)


@pytest.mark.parametrize(
    "text",
    [
        "turn the lamp on",
        "set the heating at twenty one",
        "dim it to ten percent",
        "a bit brighter",
        "when you get a minute, turn the lamp on",
        "once again, turn the lamp on",
        "灯亮一点",
        "调高两度",
        "快点开灯",
        "声音大点",
        "调到百分之三十",
    ],
)
def test_a_value_is_not_later(text: str) -> None:
    """Values and degrees are no time."""
    assert not _is_for_later(text)
