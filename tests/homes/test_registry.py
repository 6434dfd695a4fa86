"""Registries become a home, differences become states, and several homes become one."""

from typing import Any

import pytest

from voice_rl_plugin.domain.home import EntityState, Home
from voice_rl_plugin.homes.merge import merge_sources
from voice_rl_plugin.homes.registry import Registries, home_of, read_exposed
from voice_rl_plugin.homes.state_diffs import StateDiffs


def registries(*entities: dict[str, Any], details: dict[str, Any] | None = None, **more: Any) -> Registries:
    """Return registries in which every entity that is listed is exposed."""
    return Registries(
        areas=({"area_id": "kitchen", "name": "Kitchen"}, {"area_id": "hall", "name": "Hall"}),
        devices=(
            {"id": "box", "area_id": "hall"},
            {"id": "socket", "area_id": None, "parent_device_id": "box"},
            {"id": "marked", "area_id": "kitchen", "labels": ["voice_risky"]},
        ),
        labels=({"label_id": "voice_risky", "name": "Voice risky"},),
        entities=entities,
        details=details or {},
        exposed=frozenset(str(one["entity_id"]) for one in entities),
        **more,
    )


def test_area_is_the_entitys_else_its_devices_else_the_parents() -> None:
    """An entity is where it was put, else where its device is, else where that device's parent is."""
    home = home_of(
        registries(
            {"entity_id": "light.own", "area_id": "kitchen", "device_id": "box"},
            {"entity_id": "light.device", "area_id": None, "device_id": "box"},
            {"entity_id": "light.parent", "area_id": None, "device_id": "socket"},
            {"entity_id": "light.nowhere", "area_id": "no such area"},
        )
    )

    assert {one.id: one.area for one in home.entities} == {
        "light.own": "kitchen",
        "light.device": "hall",
        "light.parent": "hall",
        "light.nowhere": None,
    }


@pytest.mark.parametrize(
    ("aliases", "other", "names"),
    [
        ([], [], ("Full Name",)),
        (["bar"], [], ("Full Name", "bar")),
        ([None, "吧台灯"], [None], ("Full Name", "吧台灯")),
        (["bar", None], [None], ("bar", "Full Name")),
        (["bar"], [None], ("bar",)),
        ([], [None], ("Full Name",)),
        ("bar", [None], ("Full Name",)),
    ],
)
def test_names_follow_the_order_of_the_user(aliases: Any, other: list[Any], names: tuple[str, ...]) -> None:
    """A null among the aliases stands for the full name; where no alias is a null the version is older, and all are added to it."""
    home = home_of(
        registries(
            {"entity_id": "light.a"},
            {"entity_id": "light.b"},
            details={"light.a": {"aliases": aliases}, "light.b": {"aliases": other}},
            states={"light.a": {"attributes": {"friendly_name": "Full Name"}}},
        )
    )

    assert (home.entity_by_id["light.a"].name, *home.entity_by_id["light.a"].aliases) == names


def test_what_is_hidden_is_in_the_home_as_hidden() -> None:
    """Disabled entities, diagnoses, settings, other domains and what is not exposed stay out, whoever else names them."""
    listed = (
        {"entity_id": "light.disabled", "disabled_by": "user"},
        {"entity_id": "switch.setting", "entity_category": "config"},
        {"entity_id": "switch.diagnosis", "entity_category": "diagnostic"},
        {"entity_id": "sensor.heat"},
        {"entity_id": "light.seen"},
    )
    states: dict[str, Any] = {one: {"attributes": {}} for one in ("light.yaml", "light.seen")}

    home = home_of(registries(*listed, states=states))

    assert [one.id for one in home.exposed] == ["light.seen"]
    assert {one.id for one in home.entities} == {str(one["entity_id"]) for one in listed} | {"light.yaml"}


def test_labels_make_risky() -> None:
    """The label, by its id or its name, on the entity or on its device."""
    entities = (
        {"entity_id": "switch.oven", "labels": ["voice_risky"]},
        {"entity_id": "switch.saw", "device_id": "marked"},
        {"entity_id": "switch.lamp", "labels": ["other"]},
    )

    for label in ("voice_risky", "Voice Risky"):
        assert [one.id for one in home_of(registries(*entities), risky_label=label).entities if one.risky] == ["switch.oven", "switch.saw"]
    assert not [one for one in home_of(registries(*entities)).entities if one.risky]


@pytest.mark.parametrize(("tag", "language"), [("zh-Hans", "zh"), ("zh-Hant", "zh"), ("en-GB", "en"), ("de", "en")])
def test_language_is_one_of_ours(tag: str, language: str) -> None:
    """Home Assistant's language decides between English and Chinese names."""
    assert home_of(Registries(language=tag)).language == language


def test_exposure_without_the_list_is_read_from_the_entries() -> None:
    """A user who may not list what is exposed still sees it for what has a unique id."""
    entries = (
        {"entity_id": "light.a", "options": {"conversation": {"should_expose": True}}},
        {"entity_id": "light.b", "options": {"conversation": {"should_expose": False}}},
        {"entity_id": "light.c", "options": {"cloud.alexa": {"should_expose": True}}},
        {"entity_id": "light.d", "options": 5},
    )

    assert read_exposed(None, entries) == {"light.a"}
    assert read_exposed({"exposed_entities": {"light.x": {"conversation": True}, "light.y": {"cloud.alexa": True}}}, entries) == {"light.x"}
    assert read_exposed({"exposed_entities": 5}, entries) == frozenset()


def test_rubbish_in_the_registries_is_left_out() -> None:
    """Rows without an id, and names that are no text, do no harm."""
    home = home_of(
        Registries(
            floors=({"name": "x"}, {"floor_id": "f", "name": 5}),
            areas=({"area_id": "a", "name": None, "floor_id": "g", "aliases": [1, " "]},),
            entities=({"entity_id": 7}, {"entity_id": "nodot"}, {"entity_id": "light.a", "labels": 3}),
            exposed=frozenset({"light.a"}),
            states={"light.a": {"attributes": {"friendly_name": 5, "entity_id": "light.b"}}},
        )
    )

    assert [(one.id, one.name) for one in home.floors] == [("f", "f")]
    assert [(one.id, one.name, one.aliases, one.floor) for one in home.areas] == [("a", "a", (), None)]
    assert [(one.id, one.name) for one in home.entities] == [("light.a", "a")]


def test_satellite_plays_on_the_player_of_its_device() -> None:
    """A satellite has the area of its device and speaks through the media player of the same device."""
    home = home_of(
        registries(
            {"entity_id": "assist_satellite.box", "device_id": "box"},
            {"entity_id": "media_player.box", "device_id": "box"},
        )
    )

    assert [(one.id, one.area, one.media_player) for one in home.satellites] == [("assist_satellite.box", "hall", "media_player.box")]


def test_differences_become_whole_states() -> None:
    """What a difference leaves out stays; attributes go away; the context tells a person from an automation."""
    diffs = StateDiffs()
    first = diffs.take(
        {"a": {"light.a": {"s": "on", "a": {"brightness": 5, "effect": "x"}, "c": "1", "lc": 1.5}, "light.b": {"s": "unavailable"}}}
    )
    changed = diffs.take(
        {"c": {"light.a": {"+": {"a": {"brightness": 9}, "c": {"user_id": "u", "id": "2"}, "lu": 2.5}, "-": {"a": ["effect"]}}}}
    )
    automatic = diffs.take({"c": {"light.a": {"+": {"s": "off", "lc": 3.0, "c": {"user_id": None, "parent_id": "p", "id": "3"}}}}})
    gone = diffs.take({"r": ["light.a"]})

    assert first[0].state == EntityState(value="on", attributes={"brightness": 5, "effect": "x"}, changed_at=1.5)
    assert first[1].state is None
    assert changed[0].state == EntityState(value="on", attributes={"brightness": 9}, changed_at=1.5)
    assert (changed[0].user_id, changed[0].parent_id) == ("u", None)
    assert automatic[0].state == EntityState(value="off", attributes={"brightness": 9}, changed_at=3.0)
    assert (automatic[0].user_id, automatic[0].parent_id) == (None, "p")
    assert gone[0].state is None
    assert diffs.take({"a": 5, "c": {"light.z": 3}}) != ()


def home(*entities: dict[str, Any]) -> Home:
    """Return a home of some entities."""
    return Home.from_mapping({"areas": [{"id": "kitchen", "name": "Kitchen"}], "entities": list(entities)})


def test_strongest_source_names_and_any_source_hides() -> None:
    """A file before the registry before the topic; what Home Assistant hides, no file and no topic exposes."""
    merged = merge_sources(
        file=home({"id": "light.a", "name": "Mine"}, {"id": "lock.door", "name": "Door"}, {"id": "light.b", "name": "B", "exposed": False}),
        registry=home(
            {"id": "light.a", "name": "Theirs", "area": "kitchen"},
            {"id": "lock.door", "name": "Door", "exposed": False},
            {"id": "light.b", "name": "B"},
            {"id": "light.c", "name": "C", "exposed": False},
        ),
        topic=home({"id": "light.c", "name": "C"}, {"id": "light.d", "name": "D"}),
    )

    assert [(one.id, one.name, one.area) for one in merged.exposed] == [("light.a", "Mine", "kitchen"), ("light.d", "D", None)]


def test_announced_devices_add_only_where_there_is_no_registry() -> None:
    """Beside a registry they only complete what it knows; alone they are the home."""
    announced = home(
        {"id": "light.a", "name": "Announced", "aliases": ["x"], "area": "kitchen"},
        {"id": "light.other", "name": "Other", "unique_id": "u1", "aliases": ["y"]},
        {"id": "light.new", "name": "New"},
    )
    registry = Home.from_mapping({"entities": [{"id": "light.a", "name": "A"}, {"id": "light.b", "name": "B", "unique_id": "u1"}]})

    with_registry = merge_sources(registry=registry, devices=(announced,))
    with_topic = merge_sources(topic=registry, devices=(announced,))
    alone = merge_sources(file=home({"id": "light.a", "name": "Mine"}), devices=(announced,))

    assert with_registry == with_topic
    assert [(one.id, one.name, one.aliases, one.area) for one in with_registry.entities] == [
        ("light.a", "A", ("x",), None),
        ("light.b", "B", ("y",), None),
    ]
    assert [(one.id, one.name) for one in alone.entities] == [("light.a", "Mine"), ("light.other", "Other"), ("light.new", "New")]
