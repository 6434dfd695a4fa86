"""Corrections over a real broker with the shipped model: memory, a name in other sentences, answers, undo, and a no to all of it."""

import json
import time
from typing import Any

import pytest

from tests.end_to_end.conftest import Household
from voice_rl_plugin.learning.store import ExperienceStore


def lines_of(decision: dict[str, Any]) -> list[str]:
    """Return a decision's actions in short."""
    return [" ".join([one["service"], *sorted(one["target"].get("entity_id", []))]) for one in decision["actions"]]


def names(house: Household) -> dict[str, str]:
    """Return the names that the house was taught, as `voice-rl memory list` shows them."""
    listed = map(json.loads, house.run("memory", "list", "--store", str(house.store), "--json").splitlines())
    return {one["name"]: one["entity_id"] for one in listed if "name" in one}


def tell(house: Household, text: str, *, area: str) -> None:
    """Say a judgement, which no decision answers, and wait until it was taken."""
    house.watcher.publish(f"voice_rl/command/{area}", {"text": text, "id": f"{text}-{time.monotonic_ns()}", "at": time.time()})
    house.say("my sister reads a short book", area=None)


CASES = [
    ("en", "living_room", "turn on the beast", "i meant the soundbar", "media_player.turn_on media_player.soundbar", "beast", "Soundbar",
     [("pause the beast", "media_player.media_pause"), ("make the beast louder", "media_player.volume_up")]),
    ("zh", "kitchen", "打开小太阳", "不对,是沙发灯", "light.turn_on light.sofa_lamp", "小太阳", "沙发灯",
     [("关掉小太阳", "light.turn_off"), ("把小太阳调到百分之四十", "light.turn_on")]),
]  # fmt: skip


@pytest.mark.parametrize(("language", "area", "said", "correction", "right", "name", "thing", "others"), CASES)
def test_correction_teaches_the_sentence_and_the_name(
    households: dict[str, Household], language: str, area: str, said: str, correction: str, right: str, name: str, thing: str,
    others: list[tuple[str, str]],
) -> None:  # fmt: skip
    """The same words are right at once, from the memory; the name is right in other sentences and rooms; "no" takes both away."""
    house = households[language]
    target = right.split()[1]
    house.say(said, area=area)
    corrected = house.say(correction, area=area)
    assert lines_of(corrected) == [right]

    again = house.say(said, area=area)
    assert (again["stage"], lines_of(again)) == ("memory", [right])
    for text, service in others:
        other = house.say(text, area="study")
        assert (other["stage"], lines_of(other)) == ("alias", [f"{service} {target}"]), other
        assert thing in other["reason"]
        assert name in other["reason"]
    assert names(house)[name] == target

    house.run("memory", "forget", name, "--store", str(house.store))
    assert name not in names(house)


@pytest.mark.parametrize(
    ("language", "area", "said", "correction", "no"),
    [
        ("en", "bedroom", "turn on the wobbly ghost", "i meant the bedside lamp", "no"),
        ("zh", "bedroom", "打开小月亮", "我说的是床头灯", "不对"),
    ],
)
def test_no_to_a_correction_drops_what_it_taught(
    households: dict[str, Household], language: str, area: str, said: str, correction: str, no: str
) -> None:
    """A spoken no after the correction forgets the sentence and the name."""
    house = households[language]
    before = house.say(said, area=area)
    corrected = house.say(correction, area=area)
    assert lines_of(corrected) == ["light.turn_on light.bedside_lamp"]
    with ExperienceStore(house.store, owns_file=False) as store:
        assert before["decision_id"] in {one.decision_id for one in store.load_memory()}
        assert before["decision_id"] in {one.decision_id for one in store.load_aliases()}

    tell(house, no, area=area)

    with ExperienceStore(house.store, owns_file=False) as store:
        assert before["decision_id"] not in {one.decision_id for one in store.load_memory()}
        assert before["decision_id"] not in {one.decision_id for one in store.load_aliases()}


@pytest.mark.parametrize(
    ("language", "area", "said", "correction", "expected"),
    [
        ("en", "study", "turn on the desk lamp", "no, the bedroom one", ["light.turn_on light.desk_lamp_bedroom"]),
        ("en", "bedroom", "turn on the ceiling light", "i meant the fan", ["fan.turn_on fan.ceiling_fan"]),
        ("zh", "bedroom", "打开床头灯", "不是这个,是台灯", ["light.turn_on light.desk_lamp_bedroom"]),
        ("zh", "study", "打开台灯", "我说的是卧室的", ["light.turn_on light.desk_lamp_bedroom"]),
    ],
)
def test_spoken_correction_is_done_and_remembered(
    households: dict[str, Household], language: str, area: str, said: str, correction: str, expected: list[str]
) -> None:
    """A room, a kind or a name after "no" is done at once, and the same words do it the next time."""
    house = households[language]
    house.say(said, area=area)
    corrected = house.say(correction, area=area)
    again = house.say(said, area=area)

    assert lines_of(corrected) == expected
    assert (again["stage"], lines_of(again)) == ("memory", expected)


@pytest.mark.parametrize(("language", "undo", "said"), [("en", "undo that", "turn on the sofa lamp"), ("zh", "撤销", "打开落地灯")])
def test_spoken_undo_restores_the_state_before(households: dict[str, Household], language: str, undo: str, said: str) -> None:
    """The lamp is off again, and that is said once it was seen."""
    house = households[language]
    lamp = "light.sofa_lamp" if language == "en" else "light.floor_lamp"
    house.say("turn off the sofa lamp" if language == "en" else "关掉落地灯", area="living_room")
    house.wait_state(lamp, "off")
    decision = house.say(said, area="living_room")
    house.wait_state(lamp, "on")

    tell(house, undo, area="living_room")

    house.wait_state(lamp, "off")
    assert house.spoken(decision, count=2) in ("I took it back.", "已恢复。")


@pytest.mark.parametrize(
    ("said", "answer", "expected"),
    [
        ("turn on the lamp", "the second one", ["light.turn_on light.floor_lamp"]),
        ("could you turn on the lamp", "both", ["light.turn_on light.sofa_lamp", "light.turn_on light.floor_lamp"]),
        ("would you turn on the lamp", "the sofa lamp", ["light.turn_on light.sofa_lamp"]),
    ],
)
def test_answer_is_done_and_remembered(house: Household, said: str, answer: str, expected: list[str]) -> None:
    """A question is answered by number, by both, or by name; what was answered is done, and the same words do not ask again."""
    asked = house.say(said, area="living_room")
    assert asked["outcome"] == "clarify", asked

    assert sorted(lines_of(house.say(answer, area="living_room"))) == sorted(expected)
    again = house.say(said, area="living_room")
    assert (again["stage"], sorted(lines_of(again))) == ("memory", sorted(expected))


def test_second_of_a_chinese_question(households: dict[str, Household]) -> None:
    """左边那个 of two that nobody placed is asked again, and 第二个 picks the second."""
    house = households["zh"]
    asked = house.say("打开那盏台灯", area="living_room")
    again = house.say("左边那个", area="living_room")
    assert (asked["outcome"], again["outcome"]) == ("clarify", "clarify")
    assert [one["label"] for one in again["choices"]] == [one["label"] for one in asked["choices"]]

    assert house.say("第二个", area="living_room")["actions"] == again["choices"][1]["actions"]


@pytest.mark.parametrize(("language", "said", "answer"), [("en", "turn on the desk lamp", "never mind"), ("zh", "打开一盏灯", "算了")])
def test_never_mind_leaves_it(households: dict[str, Household], language: str, said: str, answer: str) -> None:
    """An answer that takes the question back: nothing is done, and nothing is remembered."""
    house = households[language]
    asked = house.say(said, area="living_room")
    assert asked["outcome"] == "clarify", asked
    before = len(house.watcher.on_topic("voice_rl/action/light/turn_on"))
    tell(house, answer, area="living_room")

    assert len(house.watcher.on_topic("voice_rl/action/light/turn_on")) == before
    with ExperienceStore(house.store, owns_file=False) as store:
        assert asked["decision_id"] not in {one.decision_id for one in store.load_memory()}
