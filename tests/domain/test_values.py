"""Homes and actions keep their form; what is wrong in a home file is named."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES, TAGS, Frame, Span
from voice_rl_plugin.domain.home import ABILITIES, USUAL_ABILITIES, Area, Entity, Floor, Home, Satellite, usual_abilities
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import ConfigError

WORD = st.text("abcdefghij_0123456789", min_size=1, max_size=8)
NAME = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=10).filter(str.strip)
ENTITY_IDS = st.builds("{}.{}".format, st.sampled_from(sorted(USUAL_ABILITIES)), WORD)
VALUES = st.one_of(
    st.integers(-100, 100),
    st.booleans(),
    st.floats(-1, 1, allow_nan=False).map(lambda x: round(x, 3) + 0.0005),
    WORD.filter(lambda w: not w[0].isdigit() and w not in ("true", "false")),
)
ACTIONS = st.builds(
    lambda service, targets, data: Action(service=service, targets=tuple(sorted(targets)), data=data),
    st.builds("{}.{}".format, WORD, WORD),
    st.sets(ENTITY_IDS, max_size=3),
    st.dictionaries(WORD, VALUES, max_size=3),
)


@st.composite
def homes(draw: st.DrawFn) -> Home:
    """Draw a home whose references all lead somewhere."""
    floors = draw(st.lists(st.builds(Floor, id=WORD, name=NAME), max_size=2, unique_by=lambda f: f.id))
    on_floor = st.sampled_from([None, *(f.id for f in floors)])
    areas = draw(
        st.lists(
            st.builds(Area, id=WORD, name=NAME, aliases=st.lists(NAME, max_size=2).map(tuple), floor=on_floor),
            max_size=3,
            unique_by=lambda a: a.id,
        )
    )
    in_area = st.sampled_from([None, *(a.id for a in areas)])
    entity = st.builds(
        Entity,
        id=ENTITY_IDS,
        name=NAME,
        aliases=st.lists(NAME, max_size=2).map(tuple),
        area=in_area,
        unique_id=st.none() | WORD,
        device_class=st.none() | WORD,
        members=st.lists(ENTITY_IDS, max_size=2).map(tuple),
        abilities=st.sets(st.sampled_from(sorted(ABILITIES)), min_size=1).map(frozenset),
        state=st.none() | WORD,
        attributes=st.dictionaries(WORD, st.integers(), max_size=2),
        exposed=st.booleans(),
        risky=st.none() | st.booleans(),
    )
    entities = draw(st.lists(entity, max_size=4, unique_by=lambda e: e.id))
    satellites = draw(st.lists(st.builds(Satellite, id=WORD, area=in_area, media_player=st.none() | ENTITY_IDS), max_size=2))
    return Home(
        language=draw(st.sampled_from(["en", "zh"])),
        floors=tuple(floors),
        areas=tuple(areas),
        entities=tuple(entities),
        satellites=tuple(satellites),
    )


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(homes())
def test_a_home_survives_its_mapping(home: Home) -> None:
    """What `to_mapping` writes, `from_mapping` reads back to an equal home."""
    assert Home.from_mapping(home.to_mapping()) == home


@given(homes())
def test_only_exposed_entities_are_addressed(home: Home) -> None:
    """The exposed entities, whole and by area, are the same ones."""
    by_area = [e for group in home.exposed_by_area.values() for e in group]

    assert all(e.exposed for e in home.exposed)
    assert sorted(e.id for e in by_area) == sorted(e.id for e in home.exposed)


@given(ACTIONS)
def test_an_action_survives_its_payload(action: Action) -> None:
    """What goes out on the topics is read back as it was."""
    assert Action.from_payload(action.to_payload()) == action


@given(ACTIONS)
def test_an_action_survives_its_line(action: Action) -> None:
    """The one-line form of case files is read back as it was."""
    again = parse_action(action.to_line())

    assert (again.service, again.targets, dict(again.data)) == (action.service, action.targets, dict(action.data))


@given(ACTIONS)
def test_a_key_does_not_depend_on_the_order(action: Action) -> None:
    """Equal actions have equal keys, however targets and data are ordered."""
    turned = Action(service=action.service, targets=action.targets[::-1], data=dict(reversed(list(action.data.items()))))

    assert turned.key == action.key


@pytest.mark.parametrize("line", ["", "turn_on light.a", "light.turn_on kitchen", "light"])
def test_a_wrong_action_line_is_refused(line: str) -> None:
    """A line without a service, or with a stray word, is a ConfigError that says what was expected."""
    with pytest.raises(ConfigError, match="expected"):
        parse_action(line)


def test_action_lines_by_hand() -> None:
    """Commas, several words, numbers, truth values and signs in a line."""
    assert parse_action("light.turn_off light.b, light.a").targets == ("light.a", "light.b")
    assert parse_action("intent.HassBroadcast message=good night all").data == {"message": "good night all"}
    assert parse_action("media_player.volume_mute media_player.a is_volume_muted=true").data == {"is_volume_muted": True}
    assert parse_action("x.y position=40 level=0.5 step=-").data == {"position": 40, "level": 0.5, "step": "-"}


def test_queries_and_intents_are_never_dispatched() -> None:
    """A query is answered here, an intent is published and handed over; neither is a service call."""
    lamp, query, intent = parse_action("light.turn_on light.a"), parse_action("query.state light.a"), parse_action("intent.HassStartTimer")

    assert [a.is_dispatched for a in (lamp, query, intent)] == [True, False, False]
    assert [a.is_published for a in (lamp, query, intent)] == [True, False, True]
    assert lamp.domain == "light"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ([], "expected a mapping"),
        ({"entites": []}, "did you mean 'entities'"),
        ({"entities": {}}, None),
        ({"entities": "x"}, "expected a list"),
        ({"entities": [{"name": "x"}]}, "id: expected a text"),
        ({"entities": [{"id": "lamp", "name": "x"}]}, "<domain>.<name>"),
        ({"entities": [{"id": "light.a"}]}, "name: expected a text"),
        ({"entities": [{"id": "light.a", "name": "x", "area": "den"}]}, "'den' is not defined"),
        ({"entities": [{"id": "light.a", "name": "x", "abilities": ["fly"]}]}, "unknown .*fly"),
        ({"entities": [{"id": "light.a", "name": "x", "exposed": "no"}]}, "exposed: expected true or false"),
        ({"entities": [{"id": "light.a", "name": "x", "aliases": "y"}]}, "aliases: expected a list"),
        ({"entities": [{"id": "light.a", "name": "x"}, {"id": "light.a", "name": "y"}]}, "occurs twice"),
        ({"areas": [{"id": "den", "name": "Den", "floor": "up"}]}, "'up' is not defined"),
        ({"floors": [{"id": "upper", "name": "Up"}], "areas": [{"id": "den", "name": "Den", "floor": "uper"}]}, "did you mean 'upper'"),
        ({"satellites": [{"id": "s", "area": "den"}]}, "'den' is not defined"),
        ({"language": 3}, "language"),
    ],
)
def test_a_wrong_home_is_refused_with_the_place(mapping: Any, message: str | None) -> None:
    """Each mistake is a ConfigError that names the place and, where there is one, the nearest right word."""
    if message is None:
        assert Home.from_mapping(mapping) == Home()
        return
    with pytest.raises(ConfigError, match=message):
        Home.from_mapping(mapping, where="home.yaml")


def test_yaml_truths_are_states() -> None:
    """YAML reads a bare on as true: it is the state on."""
    home = Home.from_mapping({"entities": [{"id": "light.a", "name": 7, "state": True}, {"id": "light.b", "name": "b", "state": False}]})

    assert {i: s.value for i, s in home.initial_states.items()} == {"light.a": "on", "light.b": "off"}
    assert home.entities[0].name == "7"


def test_an_area_is_found_by_id_name_or_alias() -> None:
    """A name finds an area only where it is the only one of that name."""
    home = Home.from_mapping(
        {"areas": [{"id": "a", "name": "Kids Room", "aliases": ["儿童房"]}, {"id": "b", "name": "Bath"}, {"id": "c", "name": "bath"}]}
    )

    assert [found and found.id for found in map(home.find_area, ("a", "kids room", "儿童房", "bath", "attic"))] == [
        "a",
        "a",
        "a",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("entity_id", "attributes", "abilities"),
    [
        ("light.a", {}, USUAL_ABILITIES["light"]),
        ("light.a", {"supported_color_modes": ["onoff"]}, {"on_off"}),
        ("light.a", {"supported_color_modes": ["brightness"]}, {"on_off", "brightness"}),
        ("light.a", {"supported_color_modes": ["color_temp", "hs"]}, {"on_off", "brightness", "color", "color_temp"}),
        ("cover.a", {"supported_features": 3}, {"open_close"}),
        ("cover.a", {"supported_features": 15}, {"open_close", "position", "stop"}),
        ("fan.a", {"supported_features": 0}, {"on_off"}),
        ("media_player.a", {"supported_features": 4}, {"volume"}),
        ("vacuum.a", {"supported_features": 8192}, {"start_dock"}),
        ("fan.a", {"supported_features": True}, USUAL_ABILITIES["fan"]),
        ("sensor.a", {}, set()),
    ],
)
def test_abilities_from_what_home_assistant_says(entity_id: str, attributes: dict[str, Any], abilities: set[str]) -> None:
    """Feature bits and colour modes give and take abilities; a domain that cannot be addressed has none."""
    assert usual_abilities(entity_id, attributes) == abilities


def test_usual_abilities_are_known_abilities() -> None:
    """No domain has an ability that the contract does not know."""
    assert all(abilities <= ABILITIES for abilities in USUAL_ABILITIES.values())


def test_a_frame_names_its_best_reading() -> None:
    """Mood, operation and property are the most probable ones, spans come by tag."""
    spans = (Span(tag="NAME", start=0, end=1), Span(tag="VALUE", start=1, end=2))
    frame = Frame(
        moods={"chat": 0.4, "wish": 0.6},
        operations=(("set", 0.7), ("raise", 0.3)),
        properties=(("volume", 1.0),),
        spans=spans,
        start=0,
        end=2,
    )

    assert (frame.mood, frame.operation, frame.property) == ("wish", "set", "volume")
    assert frame.spans_of("VALUE", "DELTA") == spans[1:]


def test_the_vocabularies_have_no_doubles() -> None:
    """Every mood, operation, property and tag has one place in the network's output."""
    for names in (MOODS, OPERATIONS, PROPERTIES, TAGS):
        assert len(set(names)) == len(names)
    assert OPERATIONS[0] == PROPERTIES[0] == "none"
    assert TAGS[0] == "O"


def test_the_place_of_an_utterance() -> None:
    """A conversation belongs to the satellite, else the session, else the area."""
    assert Utterance(text="x", satellite_id="s", session_id="t", area="a").place == "s"
    assert Utterance(text="x", session_id="t", area="a").place == "t"
    assert Utterance(text="x", area="a").place == "a"
    assert Utterance(text="x").place == ""


def test_a_decision_as_payload() -> None:
    """The decision topic has the contract's keys; a question brings its choices."""
    lamp = parse_action("light.turn_on light.a")
    plain = Decision(id="d", utterance=Utterance(text="x", area="den"), language="en", outcome="act", actions=(lamp,), confidence=0.98765)
    asked = Decision(
        id="d",
        utterance=Utterance(text="x"),
        language="en",
        outcome="clarify",
        question="Which?",
        choices=(Candidate(actions=(lamp,), probability=0.5, label="a"),),
        reason_code="risky",
    )

    assert {
        "decision_id",
        "utterance",
        "language",
        "area",
        "outcome",
        "actions",
        "confidence",
        "propensity",
        "stage",
        "policy_version",
        "executor",
        "reason",
        "latency_ms",
    } <= set(plain.to_payload())
    assert plain.to_payload()["confidence"] == 0.9877
    assert "question" not in plain.to_payload()
    assert asked.to_payload()["choices"] == [{"label": "a", "actions": [lamp.to_payload()]}]
    assert asked.is_risky
    assert asked.choices[0].key == lamp.key
