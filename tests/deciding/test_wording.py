"""What is said to people, in both languages."""

import re
from pathlib import Path

import pytest

import voice_rl_plugin.deciding.decider as decider_module
from tests.understanding.homes import FLAT, HOUSE
from voice_rl_plugin.deciding.wording import (
    REASONS,
    describe,
    name_choices,
    name_targets,
    open_question,
    question_between,
    question_which,
    question_which_to,
    reason,
    tell_states,
)
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import EntityState, Home

VALUES = {
    "percent": "97 %",
    "count": 12,
    "name": "pool",
    "text": "It is on.",
    "date": "24 November 2026",
    "names": "'the beast' is the Soundbar",
    "words": "it's film o'clock",
}


@pytest.mark.parametrize("code", [*REASONS["en"]])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_reason_is_a_sentence(code: str, language: str) -> None:
    """Each reason code is one finished sentence in its language, with nothing left to fill in."""
    said = reason(code, language, **VALUES)

    assert "{" not in said
    if code != "told":
        assert said.endswith("." if language == "en" else "。")
        assert said.isascii() == (language == "en")


def test_both_languages_have_the_same_reasons() -> None:
    """No reason is missing in a language."""
    assert set(REASONS["en"]) == set(REASONS["zh"])


def test_the_decider_uses_only_known_reasons() -> None:
    """Every code that the decider names in its source has its words."""
    source = Path(decider_module.__file__).read_text(encoding="utf-8")
    used = set(re.findall(r'reason\("(\w+)"|_refuse\(base, "(\w+)"|code="(\w+)"|code = "(\w+)"|reason_code="(\w+)"', source))

    assert {code for group in used for code in group if code} <= set(REASONS["en"])


@pytest.mark.parametrize(
    ("line", "english"),
    [
        ("light.turn_on light.counter", "turn on the Counter Bar"),
        ("light.turn_off light.counter light.hall", "turn off the Counter Bar and the Hall Light"),
        ("light.turn_on light.counter brightness_pct=35", "set the Counter Bar to 35%"),
        ("light.turn_on light.counter brightness_step_pct=-10", "set the Counter Bar dimmer"),
        ("light.turn_on light.counter color_name=red", "set the Counter Bar to red"),
        ("media_player.volume_set media_player.radio volume_level=0.45", "set the volume of the Radio to 45%"),
        ("climate.set_temperature climate.study temperature=21", "set the temperature of the Heater to 21°"),
        ("cover.set_cover_position cover.bedroom position=40", "move the Bedroom Blind to 40%"),
        ("lock.unlock lock.front", "unlock the Front Door"),
        ("query.state lock.front", "tell you about the Front Door"),
    ],
)
def test_english_descriptions(line: str, english: str) -> None:
    """An action is told as the words after "shall I"."""
    assert describe([parse_action(line)], HOUSE, "en") == english


@pytest.mark.parametrize(
    ("line", "chinese"),
    [
        ("light.turn_on light.head", "打开床头灯"),
        ("light.turn_on light.head brightness_pct=35", "把床头灯调到35%"),
        ("light.turn_on light.head brightness_step_pct=10", "把床头灯调亮一点"),
        ("cover.open_cover cover.living", "打开客厅窗帘"),
        ("climate.set_temperature climate.living temperature=26", "调整客厅空调的温度到26°"),
        ("lock.unlock lock.front", "解锁大门锁"),
        ("vacuum.return_to_base vacuum.robot", "让扫地机回充"),
    ],
)
def test_chinese_descriptions(line: str, chinese: str) -> None:
    """An action is told as the words between 要 and 吗."""
    assert describe([parse_action(line)], FLAT, "zh") == chinese


def test_several_actions_are_told_in_order() -> None:
    """A compound is told with "then" and 再."""
    assert (
        describe([parse_action("light.turn_on light.hall"), parse_action("fan.turn_off fan.study")], HOUSE, "en")
        == "turn on the Hall Light, then turn off the Whirl"
    )
    assert (
        describe([parse_action("light.turn_on light.head"), parse_action("fan.turn_off fan.bedroom")], FLAT, "zh")
        == "打开床头灯，再关闭风扇"
    )


def test_names_say_their_room_only_where_it_helps() -> None:
    """The room is added where it is asked for and the name does not hold it already."""
    assert name_targets(["light.desk_study"], HOUSE, "en", with_area=True) == "the Desk Lamp in Study"
    assert name_targets(["cover.bedroom"], HOUSE, "en", with_area=True) == "the Bedroom Blind"
    assert name_targets(["light.desk_study"], FLAT, "zh", with_area=True) == "书房的台灯"
    assert name_targets(["light.main"], FLAT, "zh", with_area=True) == "客厅主灯"


def test_many_targets_are_counted() -> None:
    """More than three are told by their number, with the room where it is one."""
    bedroom = ["light.desk_bedroom", "light.bedside_1", "light.bedside_2", "fan.bedroom"]

    assert name_targets(bedroom, HOUSE, "en") == "4 devices in Bedroom"
    assert name_targets([*bedroom, "light.hall"], HOUSE, "en") == "5 devices"
    assert name_targets(["light.main", "light.wall_1", "light.wall_2", "media_player.tv"], FLAT, "zh") == "客厅的4个设备"


def test_questions() -> None:
    """A question offers what it would do; an open one asks for what is missing."""
    assert question_between(["turn on the lamp"], "en") == "Shall I turn on the lamp?"
    assert question_between(["a", "b", "c"], "en") == "Shall I a, b, or c?"
    assert question_between(["打开台灯"], "zh") == "要打开台灯吗？"
    assert question_between(["甲", "乙"], "zh") == "您是要甲，还是乙？"
    assert {open_question(code, language) for code in ("value", "ambiguous") for language in ("en", "zh")} == {
        "To what value?", "Which one do you mean?", "要调到多少？", "您是指哪一个？",
    }  # fmt: skip


def test_states_are_told_and_unknown_ones_are_said_so() -> None:
    """A known state is told, an unknown one is admitted, in both languages."""
    states = {"lock.front": EntityState(value="locked"), "light.hall": EntityState(value="unavailable")}

    assert tell_states(["lock.front"], HOUSE, states, "en") == "The Front Door is locked."
    assert tell_states(["light.hall"], HOUSE, states, "en") == "I don't know the state of the Hall Light."
    assert tell_states(["lock.front"], FLAT, states, "zh") == "大门锁锁着。"
    assert tell_states(["light.head"], FLAT, {}, "zh") == "我不知道床头灯的状态。"


HOUSE_OF_LAMPS = Home.from_mapping(
    {
        "areas": [{"id": "study", "name": "Study"}, {"id": "bedroom", "name": "Bedroom"}],
        "entities": [
            {"id": "light.desk", "name": "Desk Lamp", "area": "study"},
            {"id": "light.floor", "name": "Floor Lamp", "area": "study"},
            {"id": "light.wall", "name": "Sconce", "aliases": ["reader"], "area": "study"},
            {"id": "light.reader_1", "name": "Reader", "area": "study"},
            {"id": "light.reader_2", "name": "Reader", "area": "bedroom"},
            {"id": "scene.night", "name": "Good Night"},
            {"id": "scene.movie", "name": "Movie Scene", "area": "study"},
            {"id": "lock.front", "name": "Front Door"},
            {"id": "lock.back", "name": "Back Door"},
        ],
    }
)
FLAT_OF_LAMPS = Home.from_mapping(
    {
        "language": "zh",
        "areas": [{"id": "study", "name": "书房"}, {"id": "bedroom", "name": "主卧"}],
        "entities": [
            {"id": "light.desk", "name": "台灯", "area": "study"},
            {"id": "light.floor", "name": "落地灯", "area": "study"},
            {"id": "light.wall", "name": "壁灯", "area": "study"},
            {"id": "light.reader_1", "name": "阅读灯", "area": "study"},
            {"id": "light.reader_2", "name": "阅读灯", "area": "bedroom"},
            {"id": "scene.night", "name": "晚安"},
            {"id": "scene.movie", "name": "观影场景", "area": "study"},
            {"id": "lock.front", "name": "前门"},
            {"id": "lock.back", "name": "后门"},
        ],
    }
)


def which(*lines: str, language: str) -> str | None:
    """Return the question between some choices that differ in their target alone."""
    home = FLAT_OF_LAMPS if language == "zh" else HOUSE_OF_LAMPS
    labels = name_choices([[parse_action(line)] for line in lines], home, language)
    return None if labels is None else question_which(labels, language)


@pytest.mark.parametrize(
    ("targets", "english", "chinese"),
    [
        (["desk", "floor"], "Do you mean the Desk Lamp or the Floor Lamp?", "您是指台灯还是落地灯？"),
        (["desk", "floor", "wall"], "Do you mean the Desk Lamp, the Floor Lamp, or the Sconce?", "您是指台灯、落地灯还是壁灯？"),
        (["reader_1", "reader_2"], "Do you mean the Reader in Study or the Reader in Bedroom?", "您是指书房的阅读灯还是主卧的阅读灯？"),
        (["desk", "reader_2"], "Do you mean the Desk Lamp or the Reader in Bedroom?", "您是指台灯还是主卧的阅读灯？"),
        (
            ["reader_1", "reader_1 light.reader_2"],
            "Do you mean the Reader in Study, or the Reader in Study and the Reader in Bedroom?",
            "您是指书房的阅读灯还是书房的阅读灯和主卧的阅读灯？",
        ),
        (["desk light.floor", "wall"], "Do you mean the Desk Lamp and the Floor Lamp, or the Sconce?", "您是指台灯和落地灯还是壁灯？"),
    ],
)
def test_choices_that_differ_in_the_target_are_told_by_name(targets: list[str], english: str, chinese: str) -> None:
    """The verb is not repeated, and the room is said of a shared name alone."""
    lines = [f"light.turn_on light.{target} brightness_pct=30" for target in targets]

    assert which(*lines, language="en") == english
    assert which(*lines, language="zh") == chinese


def test_scenes_are_told_without_an_article() -> None:
    """A scene is started, and told by its name."""
    night, movie = "scene.turn_on scene.night", "scene.turn_on scene.movie"

    assert describe([parse_action(night)], HOUSE_OF_LAMPS, "en", with_area=True) == "start the scene Good Night"
    assert describe([parse_action(night)], FLAT_OF_LAMPS, "zh", with_area=True) == "启动场景晚安"
    assert describe([parse_action(movie)], HOUSE_OF_LAMPS, "en") == "start Movie Scene"
    assert describe([parse_action(movie)], FLAT_OF_LAMPS, "zh") == "启动观影场景"
    assert which(night, movie, language="en") == "Do you mean Good Night or Movie Scene?"
    assert which(night, movie, language="zh") == "您是指晚安还是观影场景？"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    "lines",
    [
        ["light.turn_on light.desk"],
        ["light.turn_on light.desk", "light.turn_off light.floor"],
        ["light.turn_on light.desk brightness_pct=30", "light.turn_on light.floor brightness_pct=40"],
        ["light.turn_on light.desk", "light.turn_on light.desk"],
        ["light.turn_on light.desk", "light.turn_on light.gone"],
        ["intent.HassStartTimer duration=5", "intent.HassStartTimer duration=15"],
    ],
)
def test_choices_that_differ_otherwise_are_not_told_by_name(lines: list[str], language: str) -> None:
    """A single choice, other services, other values, the same target, what the home does not have, and intents have no such question."""
    assert which(*lines, language=language) is None


def test_choices_of_several_actions_are_not_told_by_name() -> None:
    """A choice of two actions says both."""
    on, off = parse_action("light.turn_on light.desk"), parse_action("light.turn_off light.floor")

    assert name_choices([[on, off], [off, on]], HOUSE_OF_LAMPS, "en") is None


def test_a_question_that_must_say_what_it_does_says_it_once() -> None:
    """The verb stands once before the names."""
    unlock = parse_action("lock.unlock lock.front")

    assert question_which_to(unlock, ["the Front Door", "the Back Door"], "en") == "Shall I unlock the Front Door or the Back Door?"
    assert question_which_to(unlock, ["前门", "后门"], "zh") == "您要解锁前门还是后门？"
