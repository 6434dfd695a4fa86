"""The names of a home are found in an utterance, by form and by sound."""

import pytest

from tests.understanding.homes import FLAT, HOUSE
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.understanding.names import Match, NameIndex
from voice_rl_plugin.understanding.text import words_of

INDEXES = {"en": NameIndex(HOUSE), "zh": NameIndex(FLAT)}


def found(sentence: str, language: str, *, form: str | None = None) -> set[tuple[str, str, str]]:
    """Return what a sentence names: (text, id, form)."""
    words = words_of(sentence)
    matches = INDEXES[language].find(words)
    return {("".join(words[m.start : m.end]), m.id, m.form) for m in matches if form is None or m.form == form}


@pytest.mark.parametrize(
    ("sentence", "language", "text", "thing_id"),
    [
        ("turn off the counter bar", "en", "counterbar", "light.counter"),
        ("turn off the bar", "en", "bar", "light.counter"),
        ("the lights in the office", "en", "office", "study"),
        ("everything upstairs", "en", "upstairs", "upper"),
        ("the hi fi", "en", "hifi", "media_player.stereo"),
        ("打开客厅主灯", "zh", "客厅主灯", "light.main"),
        ("卧室的灯", "zh", "卧室", "bedroom"),
        ("楼上的灯", "zh", "楼上", "two"),
        ("關掉走廊燈", "zh", "走廊灯", "light.corridor"),
    ],
)
def test_full_names_and_aliases(sentence: str, language: str, text: str, thing_id: str) -> None:
    """A name or an alias of a device, a room or a floor is found as a whole, in either script."""
    assert (text, thing_id, "full") in found(sentence, language)


def test_a_name_without_its_room_is_stripped() -> None:
    """In speech, "ceiling" in the kitchen and 圆圆灯 in the living room are the names without the room's own words; a mere noun is no name."""
    flat = Home.from_mapping(
        {"areas": [{"id": "a", "name": "客厅"}], "entities": [{"id": "light.round", "name": "客厅的圆圆灯", "area": "a"}]}
    )

    assert ("ceiling", "light.kitchen", "stripped") in found("turn on the ceiling", "en")
    assert [(m.id, m.form) for m in NameIndex(flat).find(words_of("开圆圆灯")) if m.end - m.start == 3] == [("light.round", "stripped")]
    assert found("打开空调", "zh") == set()


def test_part_of_a_name_is_partial_and_scored_by_its_share() -> None:
    """In speech, "counter" is a part of Counter Bar; its noun or a room word alone is none."""
    words = words_of("turn on the counter")
    matches = [m for m in INDEXES["en"].find(words) if m.form == "partial"]

    assert matches == [Match(3, 4, "entity", "light.counter", "partial", 0.7)]
    assert found("the lamp", "en", form="partial") == set()
    assert found("打开小爱", "zh", form="partial") == {("小爱", "media_player.speaker", "partial")}


@pytest.mark.parametrize(
    ("sentence", "language", "text", "thing_id"),
    [
        ("the whole way light", "en", "wholeway", "hall"),
        ("turn off the shanda leer", "en", "shandaleer", "light.study"),
        ("打开走浪的灯", "zh", "走浪", "corridor"),
        ("关掉走浪灯", "zh", "走浪灯", "light.corridor"),
    ],
)
def test_names_heard_alike(sentence: str, language: str, text: str, thing_id: str) -> None:
    """A name that a recogniser misheard is found by its sound, where nothing is written so."""
    assert (text, thing_id, "sound") in found(sentence, language)


def test_an_exact_name_is_not_heard_as_another() -> None:
    """What is a name as it stands is never taken by sound for a third thing."""
    assert found("turn on the radio in the kitchen", "en", form="sound") == set()
    assert found("打开客厅的电视", "zh", form="sound") == set()


@pytest.mark.parametrize("spoken", ["bedside lamp one", "bedside lamp 1"])
def test_digits_in_english_names_are_said_in_words(spoken: str) -> None:
    """A digit in a name is said as a digit or as a word."""
    assert ("".join(spoken.split()), "light.bedside_1", "full") in found(f"turn on {spoken}", "en")


@pytest.mark.parametrize("spoken", ["插座1", "插座一", "插座1号", "插座一号", "1号插座", "一号插座"])
def test_digits_in_chinese_names_are_said_in_many_ways(spoken: str) -> None:
    """插座1 is 一号插座 as well."""
    assert (spoken, "switch.plug", "full") in found(f"打开{spoken}", "zh")


def test_equal_names_are_all_found() -> None:
    """Two lamps of one name are both found; choosing is not the index's business."""
    assert {i for _, i, form in found("the desk lamp", "en") if form == "full"} == {"light.desk_bedroom", "light.desk_study"}
    assert {i for _, i, form in found("打开台灯", "zh") if form == "full"} == {"light.desk_bedroom", "light.desk_study"}


def test_unexposed_devices_have_no_name() -> None:
    """A device that a voice may not address cannot be found."""
    assert not any(i == "switch.rack" for _, i, _ in found("turn off the server rack", "en"))


def test_an_article_in_a_name_may_be_left_out() -> None:
    """In speech, "The Beast" is found as "beast"."""
    home = Home.from_mapping({"entities": [{"id": "light.b", "name": "The Beast"}]})

    assert {(m.id, m.form) for m in NameIndex(home).find(["beast"])} == {("light.b", "full")}


def test_an_empty_home_and_an_empty_sentence_hold_nothing() -> None:
    """Nothing is found in nothing."""
    assert NameIndex(Home()).find(["turn", "on"]) == []
    assert INDEXES["en"].find([]) == []


def test_a_number_is_never_heard_as_another() -> None:
    """Said: "bedside lamp 3" is not the Bedside Lamp 2, however alike they sound."""
    matches = NameIndex(HOUSE).find(words_of("bedside lamp 3"))

    assert not [m for m in matches if m.form == "sound" and m.end == 3]


def test_long_names_are_heard_too() -> None:
    """Four Chinese syllables and more are looked up by sound, and so is a name whose last word was heard rightly."""
    home = Home.from_mapping(
        {
            "language": "zh",
            "areas": [{"id": "a", "name": "餐厅"}],
            "entities": [
                {"id": "light.table", "name": "饭桌吊灯", "area": "a"},
                {"id": "light.island", "name": "岛台灯", "area": "a"},
                {"id": "light.desk", "name": "台灯", "area": "a"},
            ],
        }
    )
    index = NameIndex(home)

    assert ("light.table", "sound") in {(m.id, m.form) for m in index.find(words_of("饭桌掉灯打开"))}
    assert ("light.island", "sound") in {(m.id, m.form) for m in index.find(words_of("导台灯打开"))}
    assert not any(m.form == "sound" for m in index.find(words_of("关台灯")))


def test_a_chinese_owner_may_stand_apart() -> None:
    """小芹床头灯 is also 小芹的床头灯."""
    home = Home.from_mapping({"language": "zh", "entities": [{"id": "light.a", "name": "小芹床头灯"}]})

    assert ("light.a", "full") in {(m.id, m.form) for m in NameIndex(home).find(words_of("小芹的床头灯"))}
