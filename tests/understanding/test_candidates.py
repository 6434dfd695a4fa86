"""The executable candidates of a clause."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scripted import Clause, clause, frame_of, observed
from tests.understanding.homes import FLAT, HOUSE
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.frame import OPERATIONS, PROPERTIES
from voice_rl_plugin.domain.home import EntityState, Home
from voice_rl_plugin.understanding.candidates import (
    CANDIDATE_FEATURES,
    CONTEXT_FEATURES,
    MOST_CANDIDATES,
    ClauseOptions,
    amounts_of,
    clause_options,
    handover_action,
)
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.numbers import Value
from voice_rl_plugin.understanding.resolve import Situation
from voice_rl_plugin.understanding.services import is_able

INDEXES = {"en": (HOUSE, NameIndex(HOUSE)), "zh": (FLAT, NameIndex(FLAT))}


def options(
    one: Clause, *, language: str = "en", area: str | None = None, previous: tuple[Action, ...] = (), is_on: str = ""
) -> ClauseOptions:
    """Return the candidates of a clause."""
    home, index = INDEXES[language]
    states = {is_on: EntityState(value="on")} if is_on else {}
    situation = Situation(home=home, index=index, area=area, previous=previous, states=states)
    return clause_options(observed(one, home, area=area), frame_of(one), situation)


def first(one: Clause, **values: object) -> list[str]:
    """Return the best candidate's actions as lines."""
    found = options(one, **values)  # type: ignore[arg-type]
    return [action.to_line() for action in found.options[0].actions] if found.options else []


@pytest.mark.parametrize(
    ("one", "area", "lines"),
    [
        (clause("[bar:NAME] down to [thirty five:VALUE]", "set", "brightness"), "kitchen", ["light.turn_on light.counter brightness_pct=35"]),
        (clause("turn the [study:AREA] [lights:CLASS] [red:COLOR]", "set", "color"), "hall", ["light.turn_on light.desk_study light.study color_name=red"]),
        (clause("[chandelier:NAME] [warm white:WHITE]", "set", "color_temp"), "study", ["light.turn_on light.study color_temp_kelvin=2700"]),
        (clause("turn the [radio:NAME] up by [ten percent:DELTA]", "raise", "volume"), "kitchen", ["media_player.volume_up media_player.radio"]),
        (clause("[heater:NAME] to [21 degrees:VALUE]", "set", "temperature"), "study", ["climate.set_temperature climate.study temperature=21"]),
        (clause("make the [chandelier:NAME] a lot brighter", "raise", "brightness"), "study", ["light.turn_on light.study brightness_step_pct=30"]),
        (clause("[bedroom:AREA] [blind:CLASS] to [half:VALUE]", "set", "position"), "hall", ["cover.set_cover_position cover.bedroom position=50"]),
        (clause("is the [front door:NAME] locked", "query", "lock", mood="question"), "hall", ["query.state lock.front"]),
        (clause("[good night:NAME]", "activate", "scene"), "hall", ["scene.turn_on scene.night"]),
    ],
)  # fmt: skip
def test_english_candidates(one: Clause, area: str, lines: list[str]) -> None:
    """A perfectly read English clause gives the action that the conventions want, first."""
    assert first(one, area=area) == lines


@pytest.mark.parametrize(
    ("one", "area", "lines"),
    [
        (clause("把[主灯:CLASS]调到[百分之三十五:VALUE]", "set", "brightness"), "living", ["light.turn_on light.main brightness_pct=35"]),
        (clause("[客厅空调:NAME]开到[二十六度:VALUE]", "set", "temperature"), "study", ["climate.set_temperature climate.living temperature=26"]),
        (clause("[客厅空调:NAME][制冷:MODE]", "set", "mode"), "study", ["climate.set_hvac_mode climate.living hvac_mode=cool"]),
        (clause("打开[窗帘:CLASS]", "open", "position"), "living", ["cover.open_cover cover.living"]),
        (clause("让[扫地机:NAME]回去", "dock", "cleaning"), "living", ["vacuum.return_to_base vacuum.robot"]),
        (clause("[床头灯:NAME]换成[蓝色:COLOR]", "set", "color"), "bedroom", ["light.turn_on light.head color_name=blue"]),
    ],
)  # fmt: skip
def test_chinese_candidates(one: Clause, area: str, lines: list[str]) -> None:
    """A perfectly read Chinese clause gives the action that the conventions want, first."""
    assert first(one, language="zh", area=area) == lines


@pytest.mark.parametrize(
    ("one", "value", "delta"),
    [
        (clause("turn it up by [20 percent:VALUE]", "raise", "brightness"), None, Value(20, "percent")),
        (clause("turn it up to [20 percent:VALUE]", "raise", "brightness"), Value(20, "percent"), None),
        (clause("turn it up [full:VALUE]", "raise", "brightness"), Value(100, "percent"), None),
        (clause("调低到[三成:VALUE]", "lower", "brightness"), Value(30, "percent"), None),
        (clause("调低[三成:VALUE]", "lower", "brightness"), None, Value(30, "percent")),
        (clause("turn it all the way up", "raise", "brightness"), Value(100, "percent"), None),
        (clause("set it to [20:VALUE]", "set", "brightness"), Value(20, "none"), None),
    ],
)
def test_how_far_and_where_to(one: Clause, value: Value | None, delta: Value | None) -> None:
    """A number after raise or lower is a step, unless the words before say that it is where to go."""
    amounts, is_destroyed = amounts_of(observed(one, HOUSE), frame_of(one))

    assert (amounts.value, amounts.delta, is_destroyed) == (value, delta, False)


def test_a_value_that_cannot_be_read_is_destroyed() -> None:
    """A span where the network saw a value and nobody can read one is said so."""
    found = options(clause("set the [bar:NAME] to [flirty:VALUE]", "set", "brightness"), area="kitchen")

    assert found.has_destroyed_value


def test_rivals_are_separate_candidates() -> None:
    """Two lamps of one name are two candidates."""
    found = options(clause("turn on the [desk lamp:NAME]", "turn_on"), area="kitchen")

    assert {o.actions[0].targets for o in found.options} == {("light.desk_bedroom",), ("light.desk_study",)}
    assert all(o.target is not None and o.target.rivals == 2 for o in found.options)


def test_same_repeats_the_actions_elsewhere() -> None:
    """In speech, "same for the bedroom" repeats the data on the devices there; a query is not repeated."""
    before = (parse_action("light.turn_on light.counter brightness_pct=40"), parse_action("query.state lock.front"))
    lines = first(clause("same for the [bedroom:AREA] [lights:CLASS]", "same", "any"), area="kitchen", previous=before)

    assert lines == ["light.turn_on light.bedsides light.desk_bedroom brightness_pct=40"]


def test_what_cannot_be_done_is_said() -> None:
    """A device without the ability gives no candidate, and the clause says that it is unable."""
    home = Home.from_mapping({"entities": [{"id": "light.x", "name": "Beacon", "abilities": ["on_off"]}]})
    one = clause("[beacon:NAME] to [half:VALUE]", "set", "brightness")
    found = clause_options(observed(one, home), frame_of(one), Situation(home=home, index=NameIndex(home)))

    assert found.options == ()
    assert found.is_unable


def test_unknown_names_are_counted() -> None:
    """A name that this home lacks is counted for the coverage guard."""
    assert options(clause("turn on the [pool lights:NAME]", "turn_on")).unknown == 1
    assert options(clause("打开[泳池灯:NAME]", "turn_on"), language="zh").unknown == 2


def test_feedback_gives_no_candidates() -> None:
    """A judgement is nothing to execute."""
    for operation in ("none", "yes", "no", "undo", "cancel", "correct"):
        assert options(clause("yes the [bar:NAME]", operation, "none", mood="feedback")).options == ()


def test_features_know_a_state_that_is_there_already() -> None:
    """Turning on what is on is marked."""
    one = clause("turn on the [bar:NAME]", "turn_on")
    cold, warm = options(one, area="kitchen"), options(one, area="kitchen", is_on="light.counter")

    assert warm.features[0].sum() - cold.features[0].sum() == 1.0


@pytest.mark.parametrize(
    ("text", "prop", "line"),
    [
        ("set a timer for [ten minutes:TIME]", "timer", "intent.HassStartTimer duration=ten minutes"),
        ("cancel the timer", "timer", "intent.HassCancelTimer"),
        ("pause the timer", "timer", "intent.HassPauseTimer"),
        ("how long left on the timer", "timer", "intent.HassTimerStatus"),
        ("add [milk:CONTENT] to the list", "list", "intent.HassListAddItem item=milk"),
        ("add [milk:CONTENT] to the shopping list", "list", "intent.HassShoppingListAddItem item=milk"),
        ("take [milk:CONTENT] off the list", "list", "intent.HassListRemoveItem item=milk"),
        ("what is the weather", "weather", "intent.HassGetWeather"),
        ("what time is it", "clock", "intent.HassGetCurrentTime"),
        ("what day is it", "clock", "intent.HassGetCurrentDate"),
        ("tell everyone [dinner is ready:CONTENT]", "broadcast", "intent.HassBroadcast message=dinner is ready"),
        ("play [some jazz:CONTENT]", "search", "intent.HassMediaSearchAndPlay search_query=some jazz"),
        ("定个[十分钟:TIME]的闹钟", "timer", "intent.HassStartTimer duration=十分钟"),
        ("取消计时", "timer", "intent.HassCancelTimer"),
        ("还剩多久", "timer", "intent.HassTimerStatus"),
        ("购物清单加上[牛奶:CONTENT]", "list", "intent.HassShoppingListAddItem item=牛奶"),
        ("今天星期几", "clock", "intent.HassGetCurrentDate"),
        ("几点了", "clock", "intent.HassGetCurrentTime"),
        ("放[周杰伦的歌:CONTENT]", "search", "intent.HassMediaSearchAndPlay search_query=周杰伦的歌"),
    ],
)
def test_handed_over_intents(text: str, prop: str, line: str) -> None:
    """Timers, lists, weather, the clock, broadcasts and titles go to Home Assistant as its own intents, with the raw words."""
    one = clause(text, "handover", prop)
    action = handover_action(observed(one, HOUSE), frame_of(one), prop)

    assert action is not None
    assert action.to_line() == line


def test_a_property_without_an_intent_is_not_handed_over() -> None:
    """What Home Assistant has no intent for is no candidate."""
    one = clause("turn on the light", "handover", "power")

    assert handover_action(observed(one, HOUSE), frame_of(one), "power") is None


SENTENCES = [
    "the [lights:CLASS]",
    "the [desk lamp:NAME] to [35:VALUE]",
    "[it:PRONOUN] [red:COLOR]",
    "the [pool:AREA] [fan:CLASS] by [two notches:DELTA]",
    "all the [lights:CLASS] except the [bar:EXCEPT_NAME]",
    "up",
]


@given(
    st.sampled_from(SENTENCES),
    st.sampled_from(OPERATIONS),
    st.sampled_from(PROPERTIES),
    st.sampled_from([None, "study", "kitchen"]),
    st.booleans(),
)
def test_candidates_are_executable_and_finite(text: str, operation: str, prop: str, area: str | None, has_before: bool) -> None:
    """Whatever was read, every candidate can be done by its targets, and the scorer sees finite rows of one width."""
    before = (parse_action("light.turn_on light.counter brightness_pct=40"),) if has_before else ()
    found = options(clause(text, operation, prop), area=area, previous=before)

    assert len(found.options) <= MOST_CANDIDATES
    assert found.features.shape == (len(found.options), CANDIDATE_FEATURES)
    assert found.context.shape == (CONTEXT_FEATURES,)
    assert abs(found.features).sum() < 1e3
    assert abs(found.context).sum() < 1e3
    assert len({"|".join(a.key for a in o.actions) for o in found.options}) == len(found.options)
    for option in found.options:
        for action in option.actions:
            assert all(HOUSE.entity_by_id[t].exposed for t in action.targets)
            if action.is_dispatched and operation != "same":
                assert all(is_able(HOUSE.entity_by_id[t], action.service, action.data) for t in action.targets)


def test_the_colour_that_is_denied_is_not_taken() -> None:
    """不要红的，要紫的 and 红的不好看，换蓝的 mean the other one."""
    assert first(clause("不要[红:COLOR]的要[紫:COLOR]的[台灯:NAME]", "set", "color"), language="zh", area="study") == [
        "light.turn_on light.desk_study color_name=purple"
    ]
    assert first(clause("[台灯:NAME][红:COLOR]的不好看换[蓝:COLOR]的", "set", "color"), language="zh", area="study") == [
        "light.turn_on light.desk_study color_name=blue"
    ]


def test_a_wish_for_light_turns_on_a_lamp_that_cannot_be_dimmed() -> None:
    """A command to make it brighter is one that it cannot do."""
    home = Home.from_mapping({"language": "en", "entities": [{"id": "light.tube", "name": "Tube", "abilities": ["on_off"]}]})

    def lines(mood: str) -> list[str]:
        one = clause("the [tube:NAME], i see nothing", "raise", "brightness", mood=mood)
        found = clause_options(observed(one, home), frame_of(one), Situation(home=home, index=NameIndex(home))).options
        return [action.to_line() for option in found for action in option.actions]

    assert lines("wish") == ["light.turn_on light.tube"]
    assert lines("command") == []


def test_the_same_again_on_another_kind_of_device() -> None:
    """In "the lamp on, and the radio too", switching is the same for both; a brightness is not."""
    done = (parse_action("light.turn_on light.counter"),)
    dimmed = (parse_action("light.turn_on light.counter brightness_pct=20"),)
    one = clause("and the [radio:NAME] too", "same", "any")

    assert first(one, area="kitchen", previous=done) == ["media_player.turn_on media_player.radio"]
    assert first(one, area="kitchen", previous=dimmed) == []
