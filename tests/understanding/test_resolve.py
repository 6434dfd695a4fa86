"""The entities that a clause means, after the conventions of DESIGN.md."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.scripted import clause, frame_of, observed
from tests.understanding.homes import FLAT, HOUSE
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.home import Area, EntityState, Home, States
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.resolve import Situation, Target, asks_for_all, resolve, rooms_of_sort, unknown_tokens
from voice_rl_plugin.understanding.spans import mend
from voice_rl_plugin.understanding.text import words_of

INDEXES = {id(HOUSE): NameIndex(HOUSE), id(FLAT): NameIndex(FLAT)}
BEDROOM_LIGHTS = {"light.desk_bedroom", "light.bedsides"}
STUDY_LIGHTS = {"light.desk_study", "light.study"}
KITCHEN_LIGHTS = {"light.counter", "light.kitchen"}
ALL_LIGHTS = BEDROOM_LIGHTS | STUDY_LIGHTS | KITCHEN_LIGHTS | {"light.hall"}


def targets(
    text: str, *, area: str | None = None, prop: str = "power", operation: str = "turn_off", mood: str = "command", home: Home = HOUSE,
    states: States | None = None, previous: tuple[Action, ...] = (),
) -> tuple[Target, ...]:  # fmt: skip
    """Return the targets of a marked sentence, best first."""
    one = clause(text, operation, prop, mood=mood)
    situation = Situation(home=home, index=INDEXES.get(id(home)) or NameIndex(home), area=area, states=states or {}, previous=previous)
    observation = observed(one, home, area=area)
    return resolve(observation, mend(observation, frame_of(one)), situation, prop=prop)


def best(text: str, **values: object) -> set[str]:
    """Return the ids of the best target; it must be the only best one."""
    found = targets(text, **values)  # type: ignore[arg-type]
    assert found, "nothing was resolved"
    assert found[0].rivals == 1, f"{found[0].rivals} rivals: {[[e.id for e in t.entities] for t in found]}"
    return {entity.id for entity in found[0].entities}


def rivals(text: str, **values: object) -> set[str]:
    """Return the ids of the single entities that tie for a singular."""
    found = targets(text, **values)  # type: ignore[arg-type]
    assert found[0].rivals > 1, f"no rivals: {[[e.id for e in t.entities] for t in found]}"
    return {target.entities[0].id for target in found if len(target.entities) == 1}


# -- precedence of places


def test_the_spoken_area_comes_first() -> None:
    """In speech, "the study desk lamp" is the one in the study, wherever the speaker is."""
    assert best("the [study:AREA] [desk lamp:NAME]", area="bedroom") == {"light.desk_study"}
    assert best("[书房:AREA]的[台灯:NAME]", area="bedroom", home=FLAT) == {"light.desk_study"}


def test_the_speakers_area_comes_second() -> None:
    """A name that several bear is the one where the speaker is."""
    assert best("the [desk lamp:NAME]", area="bedroom") == {"light.desk_bedroom"}
    assert best("关[台灯:NAME]", area="study", home=FLAT) == {"light.desk_study"}


def test_the_speakers_floor_comes_third() -> None:
    """Where the own room has none, the only one on the own floor is meant."""
    home = replace(HOUSE, entities=tuple(replace(e, area="kitchen") if e.id == "light.desk_study" else e for e in HOUSE.entities))

    assert best("the [desk lamp:NAME]", area="study", home=home) == {"light.desk_bedroom"}
    assert best("the [fan:CLASS]", area="study") == {"fan.study"}


def test_what_still_ties_asks() -> None:
    """Without a place, two of one name are rivals."""
    assert rivals("the [desk lamp:NAME]") == {"light.desk_bedroom", "light.desk_study"}
    assert rivals("the [desk lamp:NAME]", area="kitchen") == {"light.desk_bedroom", "light.desk_study"}
    assert rivals("那盏[台灯:NAME]", area="living", home=FLAT) >= {"light.desk_bedroom", "light.desk_study"}


# -- the lights, kinds, singular and plural


@pytest.mark.parametrize(
    "text",
    [
        "the [bedroom:AREA] [lights:CLASS]",
        "the [lights:CLASS] in the [bedroom:AREA]",
        "the [bedroom:AREA]",
        "all the [bedroom:AREA] [lights:CLASS]",
    ],
)
def test_the_lights_of_a_room_are_all_of_them(text: str) -> None:
    """In speech, "the bedroom lights" are all lights there, a group instead of its members."""
    assert best(text, area="kitchen") == BEDROOM_LIGHTS


@pytest.mark.parametrize("text", ["[卧室:AREA]的[灯:CLASS]", "[卧室:AREA][灯:CLASS]", "关掉[卧室:AREA]所有的[灯:CLASS]"])
def test_the_chinese_lights_of_a_room_are_all_of_them(text: str) -> None:
    """卧室的灯 are all lights there."""
    assert best(text, area="living", home=FLAT) == {"light.desk_bedroom", "light.head"}


def test_the_lights_without_a_room_are_those_around_the_speaker() -> None:
    """In speech, "the lights" are the own room's."""
    assert best("the [lights:CLASS]", area="study") == STUDY_LIGHTS
    assert best("关[灯:CLASS]", area="bedroom", home=FLAT) == {"light.desk_bedroom", "light.head"}


def test_the_lights_of_nowhere_ask() -> None:
    """Without a room and a place, "the lights" do not say which; "all the lights" do."""
    assert targets("the [lights:CLASS]")[0].rivals > 1
    assert best("all the [lights:CLASS]") == ALL_LIGHTS


def test_a_singular_that_fits_several_is_rival() -> None:
    """In speech, "the study light" fits two lamps; a Chinese measure word makes a singular too."""
    assert rivals("the [study:AREA] [light:CLASS]", area="kitchen") == STUDY_LIGHTS
    assert rivals("关掉那盏[灯:CLASS]", area="bedroom", home=FLAT) == {"light.desk_bedroom", "light.head"}


def test_a_singular_that_fits_one_is_it() -> None:
    """In speech, "the hall light" is the only one."""
    assert best("the [hall:AREA] [light:CLASS]", area="kitchen") == {"light.hall"}


def test_kinds_mean_their_class() -> None:
    """In speech, "the blinds" are no garage door, "the tv" is no stereo."""
    assert best("the [blinds:CLASS]", area="bedroom") == {"cover.bedroom"}
    assert best("the [tv:CLASS]", area="study") == {"media_player.tv"}
    assert best("开[窗帘:CLASS]", area="living", home=FLAT) == {"cover.living"}


def test_a_plural_of_a_kind_is_all_of_it() -> None:
    """In speech, "all the fans" are all fans."""
    assert best("all the [fans:CLASS]", area="kitchen") == {"fan.bedroom", "fan.study"}


def test_nothing_near_widens_the_search() -> None:
    """Where the own room has none, floor and home are searched, and that is said."""
    found = targets("the [heater:CLASS]", area="kitchen")

    assert [e.id for e in found[0].entities] == ["climate.study"]
    assert found[0].is_widened or found[0].form == "full"
    (robot, *_) = targets("[扫地机:CLASS]", area="study", home=FLAT)
    assert [e.id for e in robot.entities] == ["vacuum.robot"]


def test_home_wide_words_reach_everything() -> None:
    """Everywhere is everywhere, even from a room."""
    assert best("all the [lights:CLASS] everywhere", area="study") == ALL_LIGHTS
    assert targets("all the [lights:CLASS] everywhere", area="study")[0].is_home_wide
    assert len(best("关掉全屋的[灯:CLASS]", area="study", home=FLAT)) == 7


def test_floors_are_their_areas() -> None:
    """In speech, "upstairs" is every room up there."""
    assert best("all the [lights:CLASS] [upstairs:FLOOR]", area="kitchen") == BEDROOM_LIGHTS | STUDY_LIGHTS
    assert best("[楼上:FLOOR]的[灯:CLASS]", area="living", home=FLAT) == {"light.desk_bedroom", "light.head", "light.desk_study"}


def test_two_rooms_share_a_noun() -> None:
    """In speech, "the kitchen and study lights" are those of both."""
    assert best("the [kitchen:AREA] and [study:AREA] [lights:CLASS]", area="hall") == KITCHEN_LIGHTS | STUDY_LIGHTS


def test_two_devices_are_both_meant() -> None:
    """In speech, "the counter bar and the radio" are two devices."""
    assert best("the [counter bar:NAME] and the [radio:NAME]", area="hall") == {"light.counter", "media_player.radio"}
    assert best("[床头灯:NAME]和[风扇:NAME]", area="living", home=FLAT) == {"light.head", "fan.bedroom"}


def test_all_never_reaches_switches_locks_and_covers() -> None:
    """In speech, "everything" in a room are its lights; a lock is never swept along."""
    assert best("all the [lights:CLASS] in the [hall:AREA]") == {"light.hall"}
    assert best("the [hall:AREA]", area="kitchen") == {"light.hall"}


# -- exceptions and groups


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("all the [study:AREA] [lights:CLASS] except the [chandelier:EXCEPT_NAME]", {"light.desk_study"}),
        ("all the [lights:CLASS] except the [bedroom:EXCEPT_AREA]", ALL_LIGHTS - BEDROOM_LIGHTS),
        ("all the [lights:CLASS] but not the [kitchen:EXCEPT_AREA] [lights:EXCEPT_CLASS]", ALL_LIGHTS - KITCHEN_LIGHTS),
    ],
)
def test_exceptions_are_left_out(text: str, left: set[str]) -> None:
    """What stands behind "except" is not touched."""
    assert best(text) == left


def test_chinese_exceptions_are_left_out() -> None:
    """除了台灯 leaves the lamp alone."""
    assert best("除了[台灯:EXCEPT_NAME]，[卧室:AREA]所有的[灯:CLASS]", area="living", home=FLAT) == {"light.head"}


def test_an_excepted_member_dissolves_its_group() -> None:
    """All but one lamp of a group never goes through the group."""
    left = best("all the [bedroom:AREA] [lights:CLASS] except [bedside lamp 1:EXCEPT_NAME]", area="kitchen")

    assert "light.bedside_1" not in left
    assert "light.bedsides" not in left
    assert left == {"light.desk_bedroom", "light.bedside_2"}


def test_an_excepted_group_spares_its_members() -> None:
    """An exception that names a group leaves out its members too."""
    assert best("all the [bedroom:AREA] [lights:CLASS] except the [bedside lamps:EXCEPT_NAME]", area="kitchen") == {"light.desk_bedroom"}


def test_a_group_is_one_target() -> None:
    """A group by its name is the group, and never stands beside its members."""
    assert best("the [bedside lamps:NAME]", area="bedroom") == {"light.bedsides"}


# -- names that do not fit


def test_a_name_elsewhere_conflicts_with_the_spoken_room() -> None:
    """In speech, "the kitchen chandelier" is in the study: said so, never silently taken."""
    (found, *_) = targets("the [kitchen:AREA] [chandelier:NAME]", area="hall")

    assert found.has_area_conflict


def test_an_unknown_adjective_is_unmatched() -> None:
    """In speech, "the pool lights" leaves a word unexplained; nothing near is taken for sure."""
    (found, *_) = targets("the [pool lights:NAME]", area="study")

    assert found.unmatched == 1
    assert found.score <= 0.5


def test_an_unknown_room_is_unmatched() -> None:
    """A room that this home does not have leaves its words unexplained."""
    (found, *_) = targets("the [cellar:AREA] [lights:CLASS]", area="study")

    assert found.unmatched == 1
    assert found.has_area_conflict


@pytest.mark.parametrize(
    ("text", "home", "count"),
    [
        ("the [pool lights:NAME]", HOUSE, 1),
        ("the [cellar:AREA] [lights:CLASS]", HOUSE, 1),
        ("the [desk lamp:NAME] in the [study:AREA]", HOUSE, 0),
        ("[泳池:AREA]的[灯:CLASS]", FLAT, 2),
        ("[台灯:NAME]", FLAT, 0),
    ],
)
def test_unknown_tokens(text: str, home: Home, count: int) -> None:
    """Words tagged as a name that this home does not have are counted; the noun explains itself."""
    one = clause(text, "turn_on")

    situation = Situation(home=home, index=NameIndex(home))

    assert unknown_tokens(observed(one, home), frame_of(one), situation) == count


@pytest.mark.parametrize(
    ("text", "home", "wanted"), [("the [shanda leer:NAME]", HOUSE, "light.study"), ("关[走浪灯:NAME]", FLAT, "light.corridor")]
)
def test_a_name_heard_alike_is_marked_as_sound(text: str, home: Home, wanted: str) -> None:
    """A match by sound alone is found, and says that it is one."""
    (found, *_) = targets(text, home=home)

    assert [e.id for e in found.entities] == [wanted]
    assert found.form == "sound"


def test_a_room_heard_alike_is_found() -> None:
    """The lights of the "whole way" and of 走浪 are the corridor's."""
    assert best("the [whole way:AREA] [lights:CLASS]", area="study") == {"light.hall"}
    assert best("[走浪:AREA]的[灯:CLASS]", area="study", home=FLAT) == {"light.corridor"}


# -- nothing named


def test_a_follow_up_means_what_was_spoken_of() -> None:
    """In speech, "make it brighter" is the lamp of the command before."""
    before = (parse_action("light.turn_on light.counter"),)

    assert best("make [it:PRONOUN] brighter", operation="raise", prop="brightness", area="study", previous=before) == {"light.counter"}
    assert best("brighter", operation="raise", prop="brightness", area="study", previous=before) == {"light.counter"}


def test_a_pronoun_without_a_before_means_nothing() -> None:
    """In speech, "turn it off" out of nowhere names nothing."""
    assert targets("turn [it:PRONOUN] off", area="study") == ()


def test_here_is_the_speakers_room_even_after_a_command() -> None:
    """In speech, "darker in here" is about this room, not about the lamp before."""
    before = (parse_action("light.turn_on light.counter"),)

    assert best("darker [in here:HERE]", operation="lower", prop="brightness", area="study", previous=before) == STUDY_LIGHTS


def test_too_means_there_what_was_done_here() -> None:
    """In speech, "the bedroom too" and 卧室也 are there the kind of device that was just used."""
    before = (parse_action("fan.turn_on fan.study"),)
    cover = (parse_action("climate.turn_on climate.living"),)

    assert best("the [bedroom:AREA] too", operation="same", prop="any", previous=before, area="study") == {"fan.bedroom"}
    assert best("[卧室:AREA]也是", operation="same", prop="any", previous=cover, area="living", home=FLAT) == {"climate.bedroom"}


def test_a_property_implies_its_devices() -> None:
    """A bare "brighter" means the lights here, "louder" the player here."""
    assert best("brighter", operation="raise", prop="brightness", area="study") == STUDY_LIGHTS
    assert best("louder", operation="raise", prop="volume", area="kitchen") == {"media_player.radio"}
    assert best("亮一点", operation="raise", prop="brightness", area="bedroom", home=FLAT) == {"light.desk_bedroom", "light.head"}


def test_the_playing_player_is_meant() -> None:
    """Of two players in a room, "louder" is the one that plays; where none does, the satellite's own."""
    playing = {"media_player.tv": EntityState(value="playing")}

    assert best("louder", operation="raise", prop="volume", area="study", states=playing) == {"media_player.tv"}
    assert best("louder", operation="raise", prop="volume", area="study") == {"media_player.stereo"}


def test_an_implied_garage_door_is_none() -> None:
    """A bare "open up" never means a garage door."""
    assert not any(e.id == "cover.garage" for t in targets("open up", operation="open", prop="position", area="hall") for e in t.entities)


def test_an_implied_device_elsewhere_is_widened() -> None:
    """Where this room has no such device, the next is only a guess and says so."""
    found = targets("brighter", operation="raise", prop="brightness", area="garden")

    assert found[0].is_widened
    assert found[0].rivals > 1


def test_an_empty_home_has_no_targets() -> None:
    """Nothing can be meant where nothing is."""
    assert targets("the [lights:CLASS]", home=Home()) == ()
    assert targets("brighter", prop="brightness", home=Home()) == ()


@pytest.mark.parametrize(
    "sentence", ["all the lights", "turn everything off", "both lamps", "lights off everywhere", "把灯都关了", "全屋的灯", "所有的灯"]
)
def test_asking_for_all(sentence: str) -> None:
    """all, every, both, 都 and 全部 say that many are meant."""
    assert asks_for_all(words_of(sentence))


@pytest.mark.parametrize("sentence", ["the lights", "two lamps", "the upstairs lights", "关灯", "楼上的灯"])
def test_not_asking_for_all(sentence: str) -> None:
    """A plural, a count or a floor alone do not."""
    assert not asks_for_all(words_of(sentence))


def test_a_room_said_once_does_not_move_what_is_elsewhere() -> None:
    """Said: "the study desk lamp and the counter bar": the bar is in the kitchen, and meant as it stands; "the study lamp and heater" share the room."""
    assert best("the [study:AREA] [desk lamp:NAME] and the [counter bar:NAME]") == {"light.desk_study", "light.counter"}
    assert best("the [study:AREA] [chandelier:NAME] and [desk lamp:NAME]") == {"light.study", "light.desk_study"}


def test_a_plain_word_means_the_only_room_of_its_sort() -> None:
    """In speech, the bedroom is the Master Bedroom where there is no other; among several it is the one where one speaks, else none."""
    one = Home(areas=(Area(id="master", name="Master Bedroom"), Area(id="den", name="Den")))
    two = Home(areas=(Area(id="master", name="主卧"), Area(id="guest", name="次卧")))

    assert rooms_of_sort(("bedroom",), Situation(home=one, index=NameIndex(one))) == ["master"]
    assert rooms_of_sort(("卧", "室"), Situation(home=two, index=NameIndex(two), area="guest")) == ["guest"]
    assert rooms_of_sort(("卧", "室"), Situation(home=two, index=NameIndex(two))) == []
    assert rooms_of_sort(("cellar",), Situation(home=one, index=NameIndex(one))) == []


def test_an_exception_that_is_nothing_here_is_unmatched() -> None:
    """All but a room that this home does not have: what is left out is not known, so nothing is sure."""
    (found, *_) = targets("all the [lights:CLASS] except the [cellar:EXCEPT_AREA]", area="study")

    assert found.unmatched == 1


# -- owners, pairs, groups less one of them, what was spoken of


def _flat(*entities: Mapping[str, object]) -> Home:
    areas = [
        {"id": "east", "name": "东屋"},
        {"id": "west", "name": "西屋"},
        {"id": "niu", "name": "妞妞的房间"},
        {"id": "hall", "name": "门厅"},
    ]
    return Home.from_mapping({"language": "zh", "areas": areas, "entities": list(entities)})


CEILINGS = _flat(
    {"id": "light.east", "name": "吸顶灯", "area": "east"},
    {"id": "light.west", "name": "吸顶灯", "area": "west"},
    {"id": "light.left", "name": "大伟床头灯", "area": "west"},
    {"id": "light.right", "name": "小芹床头灯", "area": "west"},
    {"id": "light.moon", "name": "月亮灯", "area": "niu"},
)


def test_one_name_in_two_rooms_asks() -> None:
    """In Chinese too, a name that is elsewhere twice is not both."""
    assert rivals("[吸顶灯:NAME]关了", area="hall", home=CEILINGS) == {"light.east", "light.west"}
    assert best("[吸顶灯:NAME]关了", area="east", home=CEILINGS) == {"light.east"}


def test_also_there_means_what_bears_the_same_name() -> None:
    """After 东屋的吸顶灯, 西屋的也关 is the one ceiling lamp and not the bedside lamps."""
    done = (parse_action("light.turn_off light.east"),)

    assert best("[西屋:AREA]的也关", home=CEILINGS, previous=done) == {"light.west"}


def test_two_are_asked_for_and_two_fit() -> None:
    """两 and 俩 with a part of two names are those two, with more certainty than a part alone."""
    (found, *_) = targets("[西屋:AREA][俩:QUANTIFIER][床头灯:NAME]关了", home=CEILINGS)

    assert {e.id for e in found.entities} == {"light.left", "light.right"}
    assert found.score >= 0.85


def test_a_room_may_be_called_by_its_owner() -> None:
    """妞妞那盏灯 is in 妞妞的房间."""
    assert best("[妞妞:NAME]那盏[灯:CLASS]关了", home=CEILINGS) == {"light.moon"}


def test_a_group_less_one_of_its_members() -> None:
    """工业吊灯除了二号 are the others of the group."""
    home = _flat(
        *({"id": f"light.f{n}", "name": f"工业吊灯{n}号", "area": "hall"} for n in (1, 2, 3)),
        {"id": "light.set", "name": "工业吊灯", "area": "hall", "members": ["light.f1", "light.f2", "light.f3"]},
    )

    assert best("[工业吊灯:NAME]除了[2号:EXCEPT_NAME]全打开", home=home, operation="turn_on") == {"light.f1", "light.f3"}
