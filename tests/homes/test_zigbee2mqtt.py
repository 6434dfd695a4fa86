"""What zigbee2mqtt keeps retained about itself becomes a home, states, and commands."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.homes.announced import DEVICES, GROUPS, known, settle
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import EntityState, Home
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.homes.mqtt_devices import MqttDevices

ROWS: list[dict[str, Any]] = json.loads(DEVICES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def state_of(devices: MqttDevices, topic: str, payload: Any, entity_id: str) -> EntityState:
    """Return a state after a message."""
    devices.on_message(topic, json.dumps(payload).encode(), now=5.0)
    return devices.states[entity_id]


def told(devices: MqttDevices, line: str) -> list[tuple[str, Any]]:
    """Return what a device is told for an absolute action."""
    action = parse_action(line)
    device = devices.find(action.targets[0])
    assert device is not None
    return [(one.topic, json.loads(one.payload)) for one in device.command(action) or ()]


def test_home_has_what_can_be_acted_on_and_nothing_else() -> None:
    """Lights, plugs, covers, locks, fans and heaters are entities; the coordinator, sensors and settings such as a child lock are not."""
    home = known(discovered=False).homes[0]

    assert sorted(one.id for one in home.entities) == [
        "climate.study_heater",
        "cover.bedroom_blind",
        "cover.garage_garage_door",
        "fan.study_fan",
        "light.kitchen_ceiling_light",
        "light.kitchen_counter_bar",
        "light.kitchen_spots",
        "light.卧室_床头灯",
        "lock.front_door_lock",
        "switch.hall_switch_left",
        "switch.hall_switch_right",
        "switch.kettle_plug",
    ]
    assert Home.from_mapping(home.to_mapping()) == home


def test_names_and_areas_come_from_friendly_names() -> None:
    """`Kitchen/Counter Bar` is the Counter Bar in the Kitchen; a name without a room has no area; low lines are not spoken."""
    home = known(discovered=False).homes[0]
    found = {one.id: (one.name, one.area) for one in home.entities}

    assert found["light.kitchen_counter_bar"] == ("Counter Bar", "kitchen")
    assert found["light.卧室_床头灯"] == ("床头灯", "卧室")
    assert found["switch.kettle_plug"] == ("kettle plug", None)
    assert {one.id: one.name for one in home.areas} == {
        "kitchen": "Kitchen",
        "卧室": "卧室",
        "bedroom": "Bedroom",
        "garage": "Garage",
        "study": "Study",
    }


def test_name_of_three_levels_is_no_room() -> None:
    """Where nobody can tell the room from the floor there is no area."""
    devices = MqttDevices(zigbee2mqtt="z")
    devices.on_message("z/bridge/devices", json.dumps([{**ROWS[1], "friendly_name": "ground/kitchen/bar"}]).encode(), now=1.0)

    assert [(one.name, one.area) for one in devices.homes[0].entities] == [("ground kitchen bar", None)]


def test_group_in_a_room_places_its_members() -> None:
    """A member without a room is in the room of the only group that has one; two such groups leave it alone."""
    rows = [{**ROWS[1], "friendly_name": "bar"}, {**ROWS[2], "friendly_name": "top"}]
    members = [[{"ieee_address": one["ieee_address"], "endpoint": 1} for one in part] for part in (rows, rows[:1])]
    groups = [
        {"id": 1, "friendly_name": "Kitchen/Spots", "members": members[0]},
        {"id": 2, "friendly_name": "Hall/Spots", "members": members[1]},
    ]
    devices = MqttDevices(zigbee2mqtt="z")
    devices.on_message("z/bridge/devices", json.dumps(rows).encode(), now=1.0)
    devices.on_message("z/bridge/groups", json.dumps(groups).encode(), now=1.0)
    areas = {one.id: one.area for one in devices.homes[0].entities}

    assert (areas["light.bar"], areas["light.top"], areas["light.kitchen_spots"]) == (None, "kitchen", "kitchen")


def test_unique_ids_are_those_of_zigbee2mqtt_in_home_assistant() -> None:
    """The same device through Home Assistant's registry is the same entity: both have the unique id that zigbee2mqtt gives."""
    found = {one.id: one.unique_id for one in known(discovered=False).homes[0].entities}

    assert found["light.kitchen_counter_bar"] == "0x90fd9ffffe649401_light_zigbee2mqtt"
    assert found["switch.hall_switch_left"] == "0x84fd27fffe6d7704_switch_left_zigbee2mqtt"
    assert found["light.kitchen_spots"] == "1_light_zigbee2mqtt"


def test_left_out_devices_are_named_with_the_reason() -> None:
    """An unsupported device and a group of unlike things are left out, each with its reason."""
    left_out = known(discovered=False).left_out

    assert len(left_out) == 2
    assert "'strange_sensor' was left out: zigbee2mqtt does not support it" in left_out[0]
    assert "group 'mixed' was left out" in left_out[1]


@pytest.mark.parametrize(
    ("topic", "payload", "entity_id", "value", "attributes"),
    [
        ("Kitchen/Counter Bar", {"state": "ON", "brightness": 127, "color_mode": "color_temp", "color_temp": 250}, "light.kitchen_counter_bar",
         "on", {"brightness": 128, "color_temp_kelvin": 4000, "color_mode": "color_temp"}),
        ("Kitchen/Counter Bar", {"state": "ON", "color_mode": "hs", "color": {"hue": 240, "saturation": 100}}, "light.kitchen_counter_bar",
         "on", {"rgb_color": (0, 0, 255), "color_mode": "hs"}),
        ("Hall Switch", {"state_left": "ON", "state_right": "OFF"}, "switch.hall_switch_left", "on", {}),
        ("Hall Switch", {"state_left": "ON", "state_right": "OFF"}, "switch.hall_switch_right", "off", {}),
        ("Bedroom/Blind", {"state": "OPEN", "position": 0}, "cover.bedroom_blind", "closed", {"current_position": 0}),
        ("Front Door Lock", {"state": "UNLOCK", "child_lock": "LOCK"}, "lock.front_door_lock", "unlocked", {}),
        ("Study/Fan", {"fan_state": "ON", "fan_mode": "high"}, "fan.study_fan", "on", {"percentage": 100}),
        ("Study/Heater", {"occupied_heating_setpoint": 19.5, "local_temperature": 18, "system_mode": "auto"}, "climate.study_heater",
         "auto", {"temperature": 19.5, "current_temperature": 18.0}),
    ],
)  # fmt: skip
def test_state_is_read_as_home_assistant_would_say_it(
    topic: str, payload: Any, entity_id: str, value: str, attributes: dict[str, Any]
) -> None:
    """zigbee2mqtt's words and scales become Home Assistant's."""
    state = state_of(known(discovered=False), f"zigbee2mqtt/{topic}", payload, entity_id)

    assert state.value == value
    assert {key: state.attributes[key] for key in attributes} == attributes


@pytest.mark.parametrize(
    ("line", "topic", "payload"),
    [
        ("light.turn_on light.kitchen_counter_bar brightness=128 transition=2", "Kitchen/Counter Bar", {"state": "ON", "brightness": 127, "transition": 2}),
        ("light.turn_on light.kitchen_counter_bar color_temp_kelvin=9000", "Kitchen/Counter Bar", {"state": "ON", "color_temp": 150}),
        ("light.turn_on light.kitchen_spots", "Kitchen/Spots", {"state": "ON"}),
        ("switch.turn_off switch.hall_switch_right", "Hall Switch", {"state_right": "OFF"}),
        ("cover.stop_cover cover.bedroom_blind", "Bedroom/Blind", {"state": "STOP"}),
        ("fan.set_percentage fan.study_fan percentage=10", "Study/Fan", {"fan_mode": "low"}),
        ("fan.set_percentage fan.study_fan percentage=100", "Study/Fan", {"fan_mode": "high"}),
        ("fan.turn_on fan.study_fan", "Study/Fan", {"fan_state": "ON"}),
        ("climate.set_hvac_mode climate.study_heater hvac_mode=auto", "Study/Heater", {"system_mode": "auto"}),
        ("climate.turn_off climate.study_heater", "Study/Heater", {"system_mode": "off"}),
        ("lock.lock lock.front_door_lock", "Front Door Lock", {"state": "LOCK"}),
    ],
)  # fmt: skip
def test_action_becomes_a_set_payload(line: str, topic: str, payload: Any) -> None:
    """Each action is one JSON object on `<name>/set`, within what the device can."""
    assert told(known(discovered=False), line) == [(f"zigbee2mqtt/{topic}/set", payload)]


@pytest.mark.parametrize("line", ["light.toggle light.kitchen_spots", "climate.set_hvac_mode climate.study_heater hvac_mode=cool", "lock.open lock.front_door_lock"])  # fmt: skip
def test_what_a_device_cannot_do_is_not_told(line: str) -> None:
    """Nothing is made up for an action that a device has no words for."""
    assert told(known(discovered=False), line) == []


@pytest.mark.parametrize("payload", [b'{"state":"offline"}', b"offline"])
def test_bridge_that_is_off_takes_all_devices_with_it(payload: bytes) -> None:
    """When zigbee2mqtt is off nothing is known of its devices any more, until they tell it again."""
    devices = known(discovered=False)
    state_of(devices, "zigbee2mqtt/kettle_plug", {"state": "ON"}, "switch.kettle_plug")

    changes = devices.on_message("zigbee2mqtt/bridge/state", payload, now=6.0)

    assert [(one.entity_id, one.after) for one in changes] == [("switch.kettle_plug", None)]
    assert not devices.is_present("light.kitchen_counter_bar")
    devices.on_message("zigbee2mqtt/bridge/state", b"online", now=7.0)
    assert devices.is_present("light.kitchen_counter_bar")
    assert "switch.kettle_plug" not in devices.states


def test_device_keeps_its_state_when_the_list_comes_again() -> None:
    """A list that is published anew, after a pairing elsewhere, forgets nothing of who stays."""
    devices = known(discovered=False)
    state_of(devices, "zigbee2mqtt/kettle_plug", {"state": "ON"}, "switch.kettle_plug")

    devices.on_message("zigbee2mqtt/bridge/devices", json.dumps(ROWS[:5]).encode(), now=6.0)
    settle(devices)

    assert devices.states["switch.kettle_plug"].value == "on"
    assert devices.find("fan.study_fan") is None


def test_same_list_is_no_change() -> None:
    """The daemon does not make its home anew when zigbee2mqtt only repeats itself, as it does after every reconnect."""
    devices = known(discovered=False)
    devices.is_changed = False

    devices.on_message("zigbee2mqtt/bridge/devices", DEVICES, now=2.0)
    devices.on_message("zigbee2mqtt/bridge/groups", GROUPS, now=2.0)

    assert not devices.is_changed


@pytest.mark.parametrize("name", ["../etc", "a//b", "+/set", "a/#", "", "bridge/info", "x" * 600])
def test_name_that_is_no_topic_is_left_out(name: str) -> None:
    """A friendly name with wildcards or empty levels, or of the bridge itself, is never published to."""
    devices = MqttDevices(zigbee2mqtt="z")
    devices.on_message("z/bridge/devices", json.dumps([{**ROWS[1], "friendly_name": name}]).encode(), now=1.0)
    topics = [one for one in devices.topics if one not in ("z/bridge/devices", "z/bridge/groups", "z/bridge/state")]

    assert not any(set(one) & set("+#") or "" in one.split("/") or one.startswith("z/bridge/") for one in topics)


@settings(max_examples=80, deadline=None)
@given(
    changed=st.lists(st.tuples(st.sampled_from(["ieee_address", "friendly_name", "definition", "type"]), JSON), max_size=3), exposes=JSON
)
def test_any_list_of_devices_gives_a_home_or_one_error(changed: list[tuple[str, Any]], exposes: Any) -> None:
    """Whatever lies on bridge/devices, the result is a valid home; nothing raises but a MessageError."""
    rows = [{**ROWS[1], **dict(changed)}, {**ROWS[2], "definition": {"exposes": exposes}}, ROWS[3]]
    devices = MqttDevices(zigbee2mqtt="z")

    devices.on_message("z/bridge/devices", json.dumps(rows).encode(), now=1.0)

    for home in devices.homes:
        assert Home.from_mapping(home.to_mapping()) == home


FEATURE = st.fixed_dictionaries(
    {"name": st.sampled_from(["state", "brightness", "color_temp", "color_xy", "position", "mode", "speed", "system_mode", "occupied_heating_setpoint"])},
    optional={
        "property": st.sampled_from(["state", "brightness", "color_temp", "fan_mode", "position"]) | JSON,
        "access": st.integers(0, 7) | JSON,
        "value_max": JSON,
        "value_min": JSON,
        "value_on": JSON,
        "values": JSON,
        "type": JSON,
        "endpoint": JSON,
    },
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from(["light", "switch", "cover", "lock", "fan", "climate"]),
    features=st.lists(FEATURE, max_size=5),
    state=st.dictionaries(st.sampled_from(["state", "brightness", "color_temp", "fan_mode", "position", "color", "color_mode"]), JSON)
    | JSON,
)
def test_any_features_and_any_state_are_survived(kind: str, features: list[Any], state: Any) -> None:
    """Whatever a device is said to expose and whatever it then tells, reading it raises nothing, and what is read is plain."""
    row = {**ROWS[1], "friendly_name": "thing", "definition": {"exposes": [{"type": kind, "features": features}]}}
    devices = MqttDevices(zigbee2mqtt="z")
    devices.on_message("z/bridge/devices", json.dumps([row]).encode(), now=1.0)
    settle(devices)

    if devices.owns("z/thing"):
        devices.on_message("z/thing", json.dumps(state).encode(), now=2.0)
    for one in devices.states.values():
        assert isinstance(one.value, str)
        json.dumps(one.attributes, allow_nan=False)
    for home in devices.homes:
        for entity in home.entities:
            device = devices.find(entity.id)
            assert device is not None
            for verb, data in (
                ("turn_on", "brightness=128 percentage=40"),
                ("set_temperature", "temperature=20"),
                ("set_cover_position", "position=30"),
            ):
                for command in device.command(parse_action(f"{entity.domain}.{verb} {entity.id} {data}")) or ():
                    assert json.loads(command.payload)


@settings(max_examples=60, deadline=None)
@given(payload=st.binary(max_size=60))
def test_any_bytes_on_the_lists_are_read_or_refused(payload: bytes) -> None:
    """Bytes that are no list are one MessageError, and the devices stay."""
    devices = known(discovered=False)
    try:
        devices.on_message("zigbee2mqtt/bridge/groups", payload, now=1.0)
    except MessageError:
        assert "light.kitchen_spots" in {one.id for one in devices.homes[0].entities}
