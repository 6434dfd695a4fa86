"""Spans are mended with a number's grammar and the home's own names."""

import pytest

from tests.scripted import clause, frame_of, observed
from tests.understanding.homes import FLAT, HOUSE
from voice_rl_plugin.understanding.spans import mend, number_runs
from voice_rl_plugin.understanding.text import words_of


def mended(text: str, *, language: str = "en", operation: str = "set") -> list[tuple[str, str]]:
    """Return the mended spans of a marked sentence: (tag, words)."""
    one = clause(text, operation, "brightness")
    observation = observed(one, HOUSE if language == "en" else FLAT)
    joint = " " if language == "en" else ""
    return [(s.tag, joint.join(one.words[s.start : s.end])) for s in mend(observation, frame_of(one)).spans]


@pytest.mark.parametrize(
    ("sentence", "runs"),
    [
        ("set it to thirty five percent", ["thirtyfivepercent"]),
        ("one hundred and five", ["onehundredandfive"]),
        ("lamp to 35 % and fan to 2", ["35%", "2"]),
        ("把灯调到百分之三十五", ["百分之三十五"]),
        ("调到二十六度半", ["二十六度半"]),
        ("亮一点", ["一"]),
        ("三点五", ["三点五"]),
        ("turn on the lamp", []),
    ],
)
def test_number_runs(sentence: str, runs: list[str]) -> None:
    """Neighbouring number words and their unit are one number; 一点 is an amount of its own."""
    words = words_of(sentence)

    assert ["".join(words[a:b]) for a, b in number_runs(words, 0, len(words))] == runs


def test_a_number_cut_in_two_is_one_value() -> None:
    """百分之二十 and "thirty five percent" are one value even where the network saw two."""
    assert mended("it to [thirty:VALUE] [five:VALUE] percent") == [("VALUE", "thirty five percent")]
    assert mended("灯调到[百分之:VALUE][二十:VALUE]", language="zh") == [("VALUE", "百分之二十")]


def test_a_whole_name_that_the_network_missed_is_drawn() -> None:
    """Where a name of the home was said and no other, nothing else may be acted on."""
    assert mended("bar to [thirty:VALUE] percent") == [("NAME", "bar"), ("VALUE", "thirty percent")]
    assert mended("the bar by two", operation="raise") == [("NAME", "bar"), ("VALUE", "two")]


def test_a_number_inside_a_name_is_no_value() -> None:
    """The digit of Bedside Lamp 1 belongs to the name."""
    assert mended("turn on [bedside lamp 1:NAME]") == [("NAME", "bedside lamp 1")]


def test_a_misheard_name_is_one_name() -> None:
    """In speech, "shanda leer" is the chandelier as a whole, and 走浪灯 the corridor's lamp."""
    assert mended("turn on [shanda:NAME] [leer:CLASS]") == [("NAME", "shanda leer")]
    assert mended("打开[走浪:AREA][灯:CLASS]", language="zh") == [("NAME", "走浪灯")]


def test_a_name_grows_to_the_homes_name() -> None:
    """Half a name that stands whole in the sentence is the whole name; an exception stays one."""
    assert mended("turn on the counter [bar:CLASS]") == [("NAME", "counter bar")]
    assert mended("all lights except the counter [bar:EXCEPT_CLASS]") == [("EXCEPT_NAME", "counter bar")]


def test_a_noun_cut_in_two_is_one_noun() -> None:
    """灯|带 is one noun."""
    assert mended("打开[灯:CLASS][带:NAME]", language="zh") == [("CLASS", "灯带")]


def test_right_spans_stay() -> None:
    """A frame that fits the home is left as it is."""
    assert mended("the [study:AREA] [lights:CLASS] to [half:VALUE]") == [("AREA", "study"), ("CLASS", "lights"), ("VALUE", "half")]


def test_a_cut_chinese_name_is_one_name() -> None:
    """烘碗机 is one device that this home lacks, and no lamp; a name of the home beside a noun stays what it is."""
    assert mended("[烘:NAME]碗[机:NAME]打开", language="zh") == [("NAME", "烘碗机")]
    assert mended("[猪:NAME]圈[风扇:CLASS]打开", language="zh") == [("NAME", "猪圈风扇")]
    assert mended("[客厅:AREA]的[灯:CLASS]打开", language="zh") == [("AREA", "客厅"), ("CLASS", "灯")]


def test_whose_it_is_belongs_to_the_name() -> None:
    """Said: "grandad's lamp" is not any lamp; "it's the lamp" is."""
    assert mended("put grandads [lamp:CLASS] on") == [("NAME", "grandads lamp")]
    assert mended("its [lamp:CLASS] time") == [("CLASS", "lamp")]


def test_a_number_behind_a_name_is_no_amount_where_nothing_is_set() -> None:
    """Said: "lamp 5 off" names lamp 5."""
    one = clause("[lamp:NAME] [5:DELTA] off", "turn_off", "power")

    assert [(s.tag, s.start, s.end) for s in mend(observed(one, HOUSE), frame_of(one)).spans] == [("NAME", 0, 2)]


def test_a_message_has_no_holes() -> None:
    """What seemed to be a time inside a message belongs to it."""
    one = clause("text [mum:CONTACT] [see:CONTENT] you [tomorrow:TIME] [then:CONTENT]", "handover", "message")

    assert [(s.tag, s.start, s.end) for s in mend(observed(one, HOUSE), frame_of(one)).spans] == [("CONTACT", 1, 2), ("CONTENT", 2, 6)]


def test_loose_ends_belong_to_the_sentence() -> None:
    """What stands beside a known name and is no part of it is cut off: a swear word, 的, a verb."""
    assert mended("turn on the [bloody chandelier:NAME]") == [("NAME", "chandelier")]
    assert mended("把[的台灯:NAME]关了", language="zh") == [("NAME", "台灯")]
    assert mended("让[台灯开:NAME]着", language="zh") == [("NAME", "台灯")]


def test_a_name_that_was_cut_begins_where_nothing_else_explains_it() -> None:
    """小|黑台灯 is no 台灯 that the home knows by another name."""
    assert mended("把小[黑台灯:NAME]关了", language="zh") == [("NAME", "小黑台灯")]


def test_a_clear_sound_is_more_than_the_name_inside_it() -> None:
    """In speech, a whole name heard alike wins against a noun at its end, and swallows what lies between its parts."""
    assert mended("turn on the [chand:NAME] a [leer:NAME]") == [("NAME", "chand a leer")]


def test_a_stand_in_holds_its_measure_word() -> None:
    """那幅 stands for what was spoken of, whole."""
    assert mended("把[西边那:NAME]幅拉开", language="zh", operation="open") == [("NAME", "西边那幅")]
