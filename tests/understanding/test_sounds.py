"""Words that a speech recogniser confuses have equal or neighbouring sound keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_rl_plugin.understanding.sounds import likeness, neighbours, sound_key, sound_of_word

WORDS = st.lists(st.sampled_from("lamp hall whole way kitchen chandelier 走 廊 浪 灯 登 客 厅 2 x".split()), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("whole way", "hallway"),
        ("hall way", "hallway"),
        ("shanda leer", "chandelier"),
        ("走 浪", "走 廊"),
        ("次 卧", "刺 卧"),
        ("福 室", "湖 室"),
    ],
)
def test_confused_words_share_a_key(said: str, meant: str) -> None:
    """Equal sound gives equal keys, whatever the spelling, the word boundaries or the characters."""
    assert sound_key(said.split()) == sound_key(meant.split())


@pytest.mark.parametrize(("one", "other"), [("kitchen", "bedroom"), ("lamp", "fan"), ("灯", "窗"), ("客", "书")])
def test_different_words_have_different_keys(one: str, other: str) -> None:
    """Words that nobody confuses have different keys."""
    assert sound_of_word(one) != sound_of_word(other)


@pytest.mark.parametrize(("one", "other"), [("zhang", "zan"), ("chi", "ci"), ("shi", "si"), ("nan", "lan")])
def test_regional_confusions_are_folded(one: str, other: str) -> None:
    """zh/z, ch/c, sh/s, n/l and -ng/-n are one in Chinese."""
    characters = {"zhang": "张", "zan": "赞", "chi": "吃", "ci": "词", "shi": "是", "si": "四", "nan": "南", "lan": "蓝"}

    assert sound_of_word(characters[one]) == sound_of_word(characters[other])


def test_keys_one_edit_apart_share_a_neighbour() -> None:
    """Leaving out each unit once lets a lookup find keys with one unit changed."""
    assert neighbours("LMP") == {"MP", "LP", "LM"}
    assert neighbours("zou-lan") == {"*-lan", "zou-*"}


def test_likeness_by_hand() -> None:
    """An equal syllable counts 0.9, an equal character 1, a syllable one letter away 0.55; other lengths nothing."""
    assert likeness("走 浪".split(), "走 廊".split()) == pytest.approx(0.95)
    assert likeness("走 廊".split(), "走 廊".split()) == 1.0
    assert likeness("走 廊 灯".split(), "走 廊".split()) == 0.0
    assert likeness(["lamp"], ["lamp"]) == 1.0
    assert likeness("whole way".split(), ["hallway"]) > 0.8 > likeness(["kitchen"], ["bedroom"])


@given(WORDS, WORDS)
def test_likeness_is_a_share_and_has_no_order(words: list[str], others: list[str]) -> None:
    """Likeness lies in [0, 1], is 1 for itself, and does not depend on the order."""
    assert 0.0 <= likeness(words, others) <= 1.0
    assert likeness(words, words) == 1.0
    assert likeness(words, others) == pytest.approx(likeness(others, words))
