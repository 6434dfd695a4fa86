"""Values in words and digits, in both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_rl_plugin.understanding.numbers import UNITS, Value, han_number, parse_value
from voice_rl_plugin.understanding.text import words_of

VOCABULARY = (
    "zero one ten eleven twenty thirty five hundred thousand and a point half quarter third quarters thirds percent per cent % degrees ° kelvin k "
    "notch notches full max minimum low medium high to at by about 5 35 2700 3.5 半 百 分 之 三 十 五 度 格 档 成 点 一 两 零 最 大 小 亮 趴 个 到 k"
).split()


@pytest.mark.parametrize(
    ("phrase", "amount", "unit"),
    [
        ("35", 35, "none"),
        ("35 %", 35, "percent"),
        ("thirty five percent", 35, "percent"),
        ("thirty five per cent", 35, "percent"),
        ("to thirty five", 35, "none"),
        ("a hundred percent", 100, "percent"),
        ("one hundred and five", 105, "none"),
        ("two hundred", 200, "none"),
        ("half", 50, "percent"),
        ("halfway", 50, "percent"),
        ("a quarter", 25, "percent"),
        ("three quarters", 75, "percent"),
        ("two thirds", 67, "percent"),
        ("a third", 33, "percent"),
        ("full brightness", 100, "percent"),
        ("the lowest", 1, "percent"),
        ("maximum", 100, "percent"),
        ("all the way up", 100, "percent"),
        ("medium speed", 66, "percent"),
        ("twenty one degrees", 21, "degree"),
        ("twenty one and a half degrees", 21.5, "degree"),
        ("21.5 °", 21.5, "degree"),
        ("twenty one point five degrees", 21.5, "degree"),
        ("2700 kelvin", 2700, "kelvin"),
        ("4000 k", 4000, "kelvin"),
        ("three notches", 3, "notch"),
        ("a couple of clicks", 2, "notch"),
        ("by a couple", 2, "none"),
        ("lamp", None, ""),
    ],
)
def test_english_values(phrase: str, amount: float | None, unit: str) -> None:
    """English amounts are read with their unit, however they are said."""
    assert parse_value(phrase.split()) == (None if amount is None else Value(amount, unit))


@pytest.mark.parametrize(
    ("phrase", "amount", "unit"),
    [
        ("百分之三十五", 35, "percent"),
        ("百分之35", 35, "percent"),
        ("35%", 35, "percent"),
        ("三十五", 35, "none"),
        ("到三十五", 35, "none"),
        ("一百", 100, "none"),
        ("一半", 50, "percent"),
        ("三成", 30, "percent"),
        ("三成半", 35, "percent"),
        ("三分之二", 67, "percent"),
        ("四分之一", 25, "percent"),
        ("最大", 100, "percent"),
        ("最暗", 1, "percent"),
        ("二十六度", 26, "degree"),
        ("二十六度半", 26.5, "degree"),
        ("26度", 26, "degree"),
        ("26°c", 26, "degree"),
        ("两格", 2, "notch"),
        ("三级", 3, "notch"),
        ("低档", 33, "percent"),
        ("二档", 67, "percent"),
        ("四千k", 4000, "kelvin"),
        ("2700k", 2700, "kelvin"),
        ("五十趴", 50, "percent"),
        ("十个百分点", 10, "percent"),
        ("三点五", 3.5, "none"),
        ("客厅", None, ""),
    ],
)
def test_chinese_values(phrase: str, amount: float | None, unit: str) -> None:
    """Chinese amounts are read with their unit, however they are said."""
    assert parse_value(words_of(phrase)) == (None if amount is None else Value(amount, unit))


@pytest.mark.parametrize(
    ("numeral", "number"),
    [
        ("零", 0), ("十", 10), ("十五", 15), ("二十", 20), ("两百", 200), ("一百零五", 105), ("一百一十", 110), ("三千五百", 3500),
        ("三点一四", 3.14), ("二六", 26), ("二〇", 20), ("三点", None), ("点五", None), ("灯", None), ("", None), ("一点灯", None),
    ],
)  # fmt: skip
def test_chinese_numerals(numeral: str, number: float | None) -> None:
    """A numeral is read with scales, digit by digit, or not at all."""
    assert han_number(numeral) == (None if number is None else pytest.approx(number))


@given(st.lists(st.sampled_from(VOCABULARY), max_size=8))
def test_parse_value_never_raises(words: list[str]) -> None:
    """Any row of number words is read or is not; it never ends in an error, and the unit is a known one."""
    value = parse_value(words)

    assert value is None or value.unit in UNITS


@given(st.text(max_size=20))
def test_parse_value_survives_any_text(text: str) -> None:
    """Any text at all is read or is not."""
    parse_value(text.split())
    parse_value(list(text))
    parse_value(words_of(text))


@given(st.integers(0, 100))
def test_percentages_are_read_back(number: int) -> None:
    """Every percentage in digits is read as itself in both languages."""
    assert parse_value([str(number), "percent"]) == Value(number, "percent")
    assert parse_value(words_of(f"百分之{number}")) == Value(number, "percent")
