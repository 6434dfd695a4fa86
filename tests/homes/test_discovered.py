"""MQTT discovery configs become a home, states, and commands in the device's own words."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.homes.announced import CONFIGS, known, settle
from tests.homes.test_zigbee2mqtt import JSON
from voice_rl_plugin import __version__
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.doors.discovery import device_payload, device_topic, encode_device
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.homes.mqtt_devices import MqttDevices
from voice_rl_plugin.homes.plain_templates import fill_command, pick_value

LIGHT = {"name": "Lamp", "command_topic": "lamp/set", "state_topic": "lamp"}


def one(domain: str, config: dict[str, Any]) -> MqttDevices:
    """Return the devices of a single config."""
    devices = MqttDevices(discovered="homeassistant")
    devices.on_message(f"homeassistant/{domain}/thing/config", json.dumps(config).encode(), now=1.0)
    settle(devices)
    return devices


def told(devices: MqttDevices, line: str) -> list[tuple[str, str]]:
    """Return what a device is told for an absolute action."""
    action = parse_action(line)
    device = devices.find(action.targets[0])
    assert device is not None
    return [(command.topic, command.payload.decode()) for command in device.command(action) or ()]


def hear(devices: MqttDevices, messages: dict[str, Any]) -> None:
    """Have devices tell things."""
    for topic, payload in messages.items():
        devices.on_message(topic, payload.encode() if isinstance(payload, str) else json.dumps(payload).encode(), now=2.0)


def test_home_has_the_devices_with_their_areas() -> None:
    """Supported domains are entities with the suggested area of their device; sensors and removed components are not."""
    home = known(zigbee2mqtt=False).homes[0]

    assert {entity.id: entity.area for entity in home.entities} == {
        "climate.office_panel_radiator": "office",
        "cover.terrace_awning": "terrace",
        "fan.office_panel_ceiling_fan": "office",
        "light.office_panel_desk_lamp": "office",
        "light.terrace_string_lights": "terrace",
        "lock.shed_lock": "shed",
        "switch.office_panel_printer": "office",
        "switch.shed_pump": "shed",
    }
    assert {area.id: area.name for area in home.areas} == {"office": "Office", "shed": "Shed", "terrace": "Terrace"}
    assert Home.from_mapping(home.to_mapping()) == home


def test_entity_is_also_called_what_it_is_within_its_device() -> None:
    """`Desk Lamp` of the `Office Panel` is called both, unless something else is called Desk Lamp too."""
    names = {entity.id: (entity.name, entity.aliases) for entity in known(zigbee2mqtt=False).homes[0].entities}
    devices = MqttDevices(discovered="h")
    for node in ("a", "b"):
        config = {"name": "Relay", "command_topic": f"{node}/set", "device": {"name": f"Box {node}"}}
        devices.on_message(f"h/switch/{node}/config", json.dumps(config).encode(), now=1.0)

    assert names["light.office_panel_desk_lamp"] == ("Office Panel Desk Lamp", ("Desk Lamp",))
    assert [(entity.name, entity.aliases) for entity in devices.homes[0].entities] == [("Box a Relay", ()), ("Box b Relay", ())]


@pytest.mark.parametrize(
    ("config", "entity_id"),
    [
        (LIGHT, "light.lamp"),
        ({**LIGHT, "object_id": "bright_one"}, "light.bright_one"),
        ({**LIGHT, "default_entity_id": "light.given"}, "light.given"),
        ({**LIGHT, "name": "台灯"}, "light.台灯"),
        ({**LIGHT, "name": None, "device": {"name": "Moon"}}, "light.moon"),
        ({"command_topic": "lamp/set"}, "light.thing"),
    ],
)
def test_entity_id_is_given_or_made_of_the_name(config: dict[str, Any], entity_id: str) -> None:
    """The id that the device wishes for wins over the one that its name gives."""
    assert [entity.id for entity in one("light", config).homes[0].entities] == [entity_id]


@pytest.mark.parametrize(
    ("domain", "config", "abilities"),
    [
        ("light", LIGHT, {"on_off"}),
        ("light", {**LIGHT, "rgb_command_topic": "lamp/rgb"}, {"on_off", "color"}),
        ("light", {**LIGHT, "schema": "json", "supported_color_modes": ["color_temp"]}, {"on_off", "brightness", "color_temp"}),
        ("light", {**LIGHT, "schema": "json", "supported_color_modes": ["onoff"]}, {"on_off"}),
        ("cover", {"command_topic": "c", "payload_stop": None}, {"open_close"}),
        ("cover", {"set_position_topic": "c"}, {"open_close", "position"}),
        ("fan", {"command_topic": "f"}, {"on_off"}),
        ("climate", {"temperature_command_topic": "t"}, {"temperature"}),
        ("climate", {"mode_command_topic": "t"}, {"hvac_mode", "on_off"}),
    ],
)
def test_abilities_are_what_the_config_has_topics_for(domain: str, config: dict[str, Any], abilities: set[str]) -> None:
    """Nobody is told to dim what cannot be dimmed."""
    [entity] = one(domain, config).homes[0].entities

    assert entity.abilities == abilities


@pytest.mark.parametrize(
    ("domain", "config", "line", "expected"),
    [
        ("light", {**LIGHT, "brightness_command_topic": "lamp/b"}, "light.turn_on light.lamp brightness=128",
         [("lamp/b", "128"), ("lamp/set", "ON")]),
        ("light", {**LIGHT, "brightness_command_topic": "lamp/b", "brightness_scale": 100, "on_command_type": "first"},
         "light.turn_on light.lamp brightness=128", [("lamp/set", "ON"), ("lamp/b", "50")]),
        ("light", {**LIGHT, "brightness_command_topic": "lamp/b", "on_command_type": "brightness"}, "light.turn_on light.lamp", [("lamp/b", "255")]),
        ("light", {**LIGHT, "brightness_command_topic": "lamp/b", "brightness_command_template": '{"level": {{ value }}}'},
         "light.turn_on light.lamp brightness=10", [("lamp/b", '{"level": 10}'), ("lamp/set", "ON")]),
        ("light", {**LIGHT, "color_temp_command_topic": "lamp/k", "color_temp_kelvin": True, "max_kelvin": 5000},
         "light.turn_on light.lamp color_temp_kelvin=6500", [("lamp/k", "5000"), ("lamp/set", "ON")]),
        ("light", {**LIGHT, "schema": "json", "supported_color_modes": ["color_temp", "hs"], "brightness_scale": 100},
         "light.turn_on light.lamp brightness=255 color_temp_kelvin=4000", [("lamp/set", '{"state": "ON", "brightness": 100, "color_temp": 250}')]),
        ("switch", {"name": "S", "command_topic": "s", "command_template": '{"relay": "{{ value }}"}'}, "switch.turn_off switch.s", [("s", '{"relay": "OFF"}')]),
        ("cover", {"name": "C", "set_position_topic": "c", "position_open": 0, "position_closed": 255}, "cover.open_cover cover.c", [("c", "0")]),
        ("cover", {"name": "C", "command_topic": "c", "set_position_topic": "c/p", "position_open": 0, "position_closed": 200},
         "cover.set_cover_position cover.c position=25", [("c/p", "150")]),
        ("fan", {"name": "F", "command_topic": "f", "percentage_command_topic": "f/p", "speed_range_max": 3}, "fan.set_percentage fan.f percentage=34",
         [("f", "ON"), ("f/p", "2")]),
        ("fan", {"name": "F", "command_topic": "f", "percentage_command_topic": "f/p"}, "fan.set_percentage fan.f percentage=0", [("f", "OFF")]),
        ("climate", {"name": "H", "mode_command_topic": "h", "modes": ["off", "heat"]}, "climate.turn_on climate.h", [("h", "heat")]),
        ("climate", {"name": "H", "power_command_topic": "h/on", "temperature_command_topic": "h/t"}, "climate.turn_off climate.h", [("h/on", "OFF")]),
        ("climate", {"name": "H", "temperature_command_topic": "h/t", "temperature_command_template": "T{{ value | float }}"},
         "climate.set_temperature climate.h temperature=21", [("h/t", "T21.0")]),
        ("lock", {"name": "L", "command_topic": "l", "payload_unlock": "0"}, "lock.unlock lock.l", [("l", "0")]),
    ],
)  # fmt: skip
def test_action_becomes_the_payloads_that_the_config_asks_for(
    domain: str, config: dict[str, Any], line: str, expected: list[tuple[str, str]]
) -> None:
    """Topics, words, scales, templates and order are the config's."""
    assert told(one(domain, config), line) == expected


@pytest.mark.parametrize(("mode", "color"), [("rgb", {"r": 255, "g": 0, "b": 0}), ("hs", {"h": 0.0, "s": 100.0}), ("rgbww", {"r": 255, "g": 0, "b": 0, "c": 0, "w": 0})])  # fmt: skip
def test_colour_is_told_in_the_lights_own_mode(mode: str, color: dict[str, float]) -> None:
    """A colour is written as the light takes it."""
    device = one("light", {**LIGHT, "schema": "json", "supported_color_modes": [mode]}).find("light.lamp")
    from voice_rl_plugin.domain.action import Action  # noqa: PLC0415

    assert device is not None
    [command] = device.command(Action(service="light.turn_on", targets=("light.lamp",), data={"rgb_color": [255, 0, 0]})) or ()
    assert json.loads(command.payload)["color"] == color


@pytest.mark.parametrize(
    ("domain", "config", "messages", "value", "attributes"),
    [
        ("light", {**LIGHT, "brightness_state_topic": "lamp/b", "brightness_scale": 100}, {"lamp": "ON", "lamp/b": "50"}, "on", {"brightness": 128}),
        ("light", {**LIGHT, "rgb_state_topic": "lamp/c"}, {"lamp": "ON", "lamp/c": "255,0,0"}, "on", {"rgb_color": (255, 0, 0)}),
        ("light", {**LIGHT, "schema": "json", "brightness": True}, {"lamp": {"state": "ON", "brightness": 3}}, "on", {"brightness": 3}),
        ("switch", {"name": "S", "command_topic": "s", "state_topic": "t", "value_template": "{{ value_json.POWER }}"}, {"t": {"POWER": "ON"}}, "on", {}),
        ("cover", {"name": "C", "command_topic": "c", "state_topic": "t", "position_topic": "p", "position_open": 0, "position_closed": 100},
         {"p": "30", "t": "closing"}, "closing", {"current_position": 70}),
        ("cover", {"name": "C", "command_topic": "c", "state_topic": "t", "device_class": "garage"}, {"t": "stopped"}, "open", {"device_class": "garage"}),
        ("fan", {"name": "F", "command_topic": "c", "state_topic": "t", "percentage_state_topic": "p", "speed_range_max": 4}, {"t": "ON", "p": "3"}, "on", {"percentage": 75}),
        ("climate", {"name": "H", "mode_command_topic": "c", "mode_state_topic": "t", "temperature_command_topic": "d", "temperature_state_topic": "e"},
         {"t": "heat", "e": "20.5"}, "heat", {"temperature": 20.5, "max_temp": 35.0}),
        ("lock", {"name": "L", "command_topic": "c", "state_topic": "t", "state_locked": "1"}, {"t": "1"}, "locked", {}),
    ],
)  # fmt: skip
def test_state_is_read_as_home_assistant_would_say_it(
    domain: str, config: dict[str, Any], messages: dict[str, Any], value: str, attributes: dict[str, Any]
) -> None:
    """Words, scales and templates of the config become Home Assistant's states."""
    devices = one(domain, config)
    hear(devices, messages)
    [state] = devices.states.values()

    assert state.value == value
    assert {key: state.attributes[key] for key in attributes} == attributes


@pytest.mark.parametrize(
    ("mode", "heard", "is_present"),
    [
        ("latest", {}, False),
        ("latest", {"a": "online", "b": "offline"}, False),
        ("any", {"a": "online", "b": "offline"}, True),
        ("all", {"a": "online"}, False),
        ("all", {"a": "online", "b": "online"}, True),
    ],
)
def test_availability_follows_its_mode(mode: str, heard: dict[str, str], is_present: bool) -> None:
    """A device is there as its availability_mode says, and is not before anything was heard."""
    devices = one("light", {**LIGHT, "availability": [{"topic": "a"}, {"t": "b"}], "availability_mode": mode})
    hear(devices, heard)

    assert devices.is_present("light.lamp") is is_present


def test_template_of_availability_is_applied() -> None:
    """The word is taken out of an object where the config says so."""
    devices = one("light", {**LIGHT, "avty_t": "a", "avty_tpl": "{{ value_json.state }}"})
    hear(devices, {"a": {"state": "online"}})

    assert devices.is_present("light.lamp")


@pytest.mark.parametrize(
    ("domain", "config", "words"),
    [
        ("light", {**LIGHT, "schema": "template"}, "schema: expected default or json"),
        ("light", {"name": "Lamp"}, "command_topic: expected a topic, got None"),
        ("light", {**LIGHT, "state_topic": "lamp/#"}, "state_topic: expected a topic without wildcards"),
        ("light", {**LIGHT, "command_topic": "voice_rl/command"}, "none of ours"),
        ("light", {**LIGHT, "brightness_scale": "bright"}, "brightness_scale: expected a number"),
        ("light", {**LIGHT, "state_value_template": "{{ value_json.a if value else 1 }}"}, "state_value_template: expected one of the plain templates"),
        ("switch", {"command_topic": "s", "command_template": "{% if value %}1{% endif %}"}, "command_template: expected a text"),
        ("lock", {"command_topic": "l", "code_format": "^\\d{4}$"}, "code_format: expected a lock without a code"),
        ("cover", {"command_topic": "c", "position_open": 5, "position_closed": 5}, "position_open: expected another number"),
        ("cover", {"command_topic": "c", "payload_open": None, "payload_stop": None}, "something that it can do"),
        ("climate", {"name": "H"}, "temperature_command_topic: expected a topic"),
        ("light", {**LIGHT, "availability": "online"}, "availability: expected a list"),
        ("light", {**LIGHT, "availability_topic": "a", "availability_mode": "never"}, "availability_mode: expected one of"),
    ],
)  # fmt: skip
def test_what_cannot_be_addressed_is_left_out_with_its_reason(domain: str, config: dict[str, Any], words: str) -> None:
    """The reason names the topic and the key, says what was expected, and that the device was left out."""
    devices = one(domain, config)

    assert [entity for home in devices.homes for entity in home.entities] == []
    [line] = devices.take_complaints()
    assert line.startswith(f"homeassistant/{domain}/thing/config: ")
    assert words in line
    assert line.endswith("this device was left out")
    assert devices.take_complaints() == ()


def test_config_that_gets_worse_takes_the_device_away() -> None:
    """Words that do not hold any more are not sent to a device whose new config cannot be read."""
    devices = one("light", LIGHT)
    devices.on_message("homeassistant/light/thing/config", json.dumps({**LIGHT, "schema": "template"}).encode(), now=2.0)
    settle(devices)

    assert devices.find("light.lamp") is None


@pytest.mark.parametrize("extra", [{"entity_category": "config"}, {"ent_cat": "diagnostic"}, {"enabled_by_default": False}, {"en": False}])
def test_settings_and_disabled_entities_stay_out(extra: dict[str, Any]) -> None:
    """What its maker does not show is not addressed, and nobody complains."""
    devices = one("switch", {"command_topic": "s", **extra})

    assert (devices.homes, devices.left_out) == ((), ())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_our_own_device_is_none_of_the_home(language: str) -> None:
    """What the discovery door publishes is not read as a device of the home."""
    devices = MqttDevices(discovered="homeassistant")
    payload = device_payload(prefix="voice_rl", version=__version__, language=language)
    payload["components"]["trap"] = {"platform": "switch", "command_topic": "elsewhere/set", "unique_id": "trap"}
    devices.on_message(device_topic("homeassistant", prefix="voice_rl"), encode_device(payload), now=1.0)

    assert (devices.homes, devices.left_out) == ((), ())


def test_devices_of_zigbee2mqtt_are_not_there_twice() -> None:
    """What zigbee2mqtt announces for Home Assistant too is known from zigbee2mqtt alone, where both are heard."""
    devices = known()
    config = {
        "name": None,
        "schema": "json",
        "command_topic": "zigbee2mqtt/Kitchen/Counter Bar/set",
        "device": {"name": "Kitchen/Counter Bar"},
    }
    devices.on_message("homeassistant/light/0x90fd9ffffe649401/light/config", json.dumps(config).encode(), now=2.0)

    assert len(devices.homes[1].entities) == 8


def test_two_devices_of_the_same_name_have_two_ids() -> None:
    """An id is taken once; the order of arrival does not matter."""
    found = []
    for order in (("a", "b"), ("b", "a")):
        devices = MqttDevices(discovered="h")
        for node in order:
            devices.on_message(f"h/light/{node}/config", json.dumps({**LIGHT, "command_topic": f"{node}/set"}).encode(), now=1.0)
        found.append({entity.id for entity in devices.homes[0].entities})
        settle(devices)
        assert told(devices, "light.turn_off light.lamp_2") == [("b/set", "OFF")]

    assert found == [{"light.lamp", "light.lamp_2"}] * 2


@pytest.mark.parametrize(
    ("template", "payload", "expected"),
    [
        (None, "ON", "ON"),
        ("{{ value }}", "ON", "ON"),
        ("{{value_json.state}}", '{"state": "ON"}', "ON"),
        ("{{ value_json['state'] }}", '{"state": true}', "True"),
        ('{{ value_json["a b"].c[0] }}', '{"a b": {"c": [7]}}', "7"),
        ("{{ value_json.x | int }}", '{"x": 7.9}', "7"),
        ("{{ value | float }}", "7", "7.0"),
        ("{{ value_json.x | float(0) }}", '{"x": "2.5"}', "2.5"),
        ("{{ value_json.x }}", "no json", None),
        ("{{ value_json.x }}", '{"y": 1}', None),
        ("{{ value_json.x | int }}", '{"x": "on"}', None),
    ],
)
def test_plain_templates_pick_values(template: str | None, payload: str, expected: str | None) -> None:
    """The plain templates give what Home Assistant would; what is not there gives nothing."""
    assert pick_value(template, where="t")(payload) == expected


@pytest.mark.parametrize("template", ["{{ value_json.a + 1 }}", "{% set x = 1 %}{{ x }}", "{{ value }}{{ value }}", "{{ states('light.a') }}", "{{ value.a }}", "{{ value | upper }}", "ON"])  # fmt: skip
def test_other_templates_are_refused_with_the_plain_ones(template: str) -> None:
    """What cannot be read is refused in words that show what can."""
    with pytest.raises(MessageError, match="plain templates"):
        pick_value(template, where="t")


@pytest.mark.parametrize("template", ["{{ value + 1 }}", "{% if value %}1{% endif %}", "{{ other }}", "{{ value"])
def test_other_command_templates_are_refused(template: str) -> None:
    """A command is never guessed at."""
    with pytest.raises(MessageError, match="expected a text with"):
        fill_command(template, where="t")


@settings(max_examples=100, deadline=None)
@given(
    topic=st.sampled_from(sorted(CONFIGS)),
    changed=st.lists(st.tuples(st.integers(0, 40), JSON), max_size=4),
    state=JSON | st.text(max_size=10),
)
def test_any_config_and_any_state_are_survived(topic: str, changed: list[tuple[int, Any]], state: Any) -> None:
    """Whatever is put into a config and told afterwards, the result is a valid home; nothing raises but a MessageError."""
    config = dict(CONFIGS[topic])
    keys = [
        *config,
        "schema",
        "payload_on",
        "brightness_scale",
        "position_open",
        "speed_range_min",
        "modes",
        "availability",
        "components",
        "cmps",
        "dev",
        "~",
    ]
    for index, value in changed:
        config[keys[index % len(keys)]] = value
    devices = MqttDevices(discovered="homeassistant")
    devices.on_message(topic, json.dumps(config).encode(), now=1.0)
    settle(devices)

    for heard in devices.topics:
        if not set(heard) & set("+#"):
            devices.on_message(heard, (state if isinstance(state, str) else json.dumps(state)).encode("utf-8", "replace"), now=2.0)
    for home in devices.homes:
        assert Home.from_mapping(home.to_mapping()) == home
    for known_state in devices.states.values():
        json.dumps(known_state.attributes, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(payload=st.binary(max_size=60), topic=st.sampled_from(["homeassistant/light/thing/config", "homeassistant/device/thing/config"]))
def test_any_bytes_are_read_or_refused(payload: bytes, topic: str) -> None:
    """Bytes that are no config are one MessageError."""
    devices = one("light", LIGHT)
    with contextlib.suppress(MessageError):
        devices.on_message(topic, payload, now=1.0)

    assert all(Home.from_mapping(home.to_mapping()) == home for home in devices.homes)
