"""Text becomes tokens in one normal form."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_rl_plugin.understanding.text import detect_language, is_han, join, normalise, pinyin_of, tokenise, words_of

SPOKEN = st.text(st.one_of(st.characters(), st.sampled_from("灯燈打开廊 .,?'’%°0123456789abcABC，。！℃")), max_size=40)


def texts(sentence: str) -> list[str]:
    """Return the tokens of a sentence as texts."""
    return [token.text for token in tokenise(sentence)]


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("Turn ON the Lamp", "turn on the lamp"),
        ("don't", "dont"),
        ("don’t", "dont"),
        ("Café", "cafe"),
        ("５０％", "50%"),
        ("打開客廳的燈", "打开客厅的灯"),
        ("關掉，謝謝。", "关掉,谢谢,"),
        ("26℃", "26°c"),
        ("3.5 degrees.", "3.5 degrees,"),
    ],
)
def test_normal_form(raw: str, normal: str) -> None:
    """Case, accents, apostrophes, width, script and punctuation have one form in both languages."""
    assert normalise(raw) == normal


@given(SPOKEN)
def test_normalise_twice_is_normalise_once(raw: str) -> None:
    """The normal form of a normal form is itself."""
    assert normalise(normalise(raw)) == normalise(raw)


@given(SPOKEN)
def test_tokens_lie_where_they_say(raw: str) -> None:
    """Every token is the text between its offsets, and tokens come in order without overlap."""
    normal, tokens = normalise(raw), tokenise(raw)

    assert all(normal[token.start : token.end] == token.text for token in tokens)
    assert all(left.end <= right.start for left, right in pairwise(tokens))


@given(SPOKEN)
def test_commas_never_lead_end_or_repeat(raw: str) -> None:
    """A comma stands only between two other tokens."""
    words = texts(raw)

    assert not words or "," not in (words[0], words[-1])
    assert all((left, right) != (",", ",") for left, right in pairwise(words))


@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        ("Set it to 35%.", ["set", "it", "to", "35", "%"]),
        ("at 7:30", ["at", "7:30"]),
        ("把客厅灯调到35%", ["把", "客", "厅", "灯", "调", "到", "35", "%"]),
        ("打开 living room 灯", ["打", "开", "living", "room", "灯"]),
        ("... well, , off!", ["well", ",", "off"]),
        ("is it on?", ["is", "it", "on", "?"]),
        ("", []),
    ],
)
def test_tokens(raw: str, tokens: list[str]) -> None:
    """A token is an English word, a number, or one Chinese character."""
    assert texts(raw) == tokens


def test_words_of_a_name_have_no_punctuation() -> None:
    """A name's commas and question marks are no words of it."""
    assert words_of("Kid's Room, 1?") == ("kids", "room", "1")
    assert words_of("小明，房间") == tuple("小明房间")


def test_join_keeps_latin_words_apart() -> None:
    """Latin words are joined with spaces, Chinese characters without."""
    assert join(["pool", "lights"]) == "pool lights"
    assert join(("泳", "池", "灯")) == "泳池灯"
    assert join(["开", "hue", "go", "灯"]) == "开hue go灯"


@pytest.mark.parametrize(
    ("sentence", "hint", "default", "language"),
    [
        ("turn on the lamp", None, "zh", "en"),
        ("打开灯", None, "en", "zh"),
        ("打开 living room 灯", "en", "en", "zh"),
        ("play 七里香 by jay chou on the kitchen radio please now", None, "zh", "en"),
        ("50", "zh-CN", "en", "zh"),
        ("50", "yue", "en", "zh"),
        ("50", None, "en", "en"),
    ],
)
def test_language_by_script_then_hint_then_default(sentence: str, hint: str | None, default: str, language: str) -> None:
    """The script decides where it is clear; the tag is only a prior."""
    assert detect_language(tokenise(sentence), hint, default) == language


def test_pinyin_and_script() -> None:
    """A character has a toneless pinyin; a Latin word is itself."""
    assert pinyin_of("廊") == "lang"
    assert pinyin_of("x") == "x"
    assert is_han("灯")
    assert not is_han("lamp")
    assert not is_han("")
