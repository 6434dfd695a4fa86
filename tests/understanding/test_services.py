"""Every operation on every domain is one Home Assistant service, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_rl_plugin.domain.frame import OPERATIONS, PROPERTIES
from voice_rl_plugin.domain.home import ABILITIES, USUAL_ABILITIES, Entity
from voice_rl_plugin.understanding.numbers import Value
from voice_rl_plugin.understanding.services import Amounts, actions_for, is_able, service_call

POWER = {
    "turn_on": "turn_on",
    "open": "turn_on",
    "start": "turn_on",
    "turn_off": "turn_off",
    "close": "turn_off",
    "stop": "turn_off",
    "toggle": "toggle",
}
TABLE: dict[str, dict[str, str]] = {
    "light": {**POWER, "raise": "turn_on", "lower": "turn_on"},
    "switch": POWER,
    "input_boolean": POWER,
    "humidifier": POWER,
    "siren": POWER,
    "fan": {**POWER, "raise": "increase_speed", "lower": "decrease_speed"},
    "climate": {**POWER, "raise": "set_temperature", "lower": "set_temperature"},
    "water_heater": {**POWER, "raise": "set_temperature", "lower": "set_temperature"},
    "media_player": {
        "turn_on": "turn_on",
        "open": "turn_on",
        "turn_off": "turn_off",
        "close": "turn_off",
        "toggle": "toggle",
        "raise": "volume_up",
        "lower": "volume_down",
        "mute": "volume_mute",
        "unmute": "volume_mute",
        "play": "media_play",
        "start": "media_play",
        "pause": "media_pause",
        "stop": "media_stop",
        "next": "media_next_track",
        "previous": "media_previous_track",
    },
    "cover": {
        "open": "open_cover",
        "turn_on": "open_cover",
        "unlock": "open_cover",
        "close": "close_cover",
        "turn_off": "close_cover",
        "lock": "close_cover",
        "stop": "stop_cover",
        "pause": "stop_cover",
        "toggle": "toggle",
        "raise": "set_cover_position",
        "lower": "set_cover_position",
    },
    "valve": {"open": "open_valve", "turn_on": "open_valve", "close": "close_valve", "turn_off": "close_valve"},
    "lock": {"lock": "lock", "close": "lock", "turn_on": "lock", "unlock": "unlock", "open": "unlock", "turn_off": "unlock"},
    "vacuum": {
        "start": "start",
        "turn_on": "start",
        "open": "start",
        "play": "start",
        "dock": "return_to_base",
        "pause": "pause",
        "stop": "stop",
        "turn_off": "stop",
        "close": "stop",
    },
    "lawn_mower": {
        "start": "start_mowing",
        "turn_on": "start_mowing",
        "open": "start_mowing",
        "play": "start_mowing",
        "dock": "dock",
        "pause": "pause",
        "stop": "pause",
        "turn_off": "dock",
        "close": "dock",
    },
    "scene": dict.fromkeys("activate turn_on open start play set".split(), "turn_on"),
    "script": dict.fromkeys("activate turn_on open start play set".split(), "turn_on"),
    "button": dict.fromkeys("activate turn_on start open".split(), "press"),
    "input_button": dict.fromkeys("activate turn_on start open".split(), "press"),
    "sensor": {},
    "alarm_control_panel": {},
}
AMOUNTS = st.builds(
    Amounts,
    value=st.none() | st.builds(Value, amount=st.floats(0, 7000), unit=st.sampled_from(["percent", "degree", "kelvin", "notch", "none"])),
    delta=st.none() | st.builds(Value, amount=st.floats(0, 200), unit=st.sampled_from(["percent", "degree", "notch", "none"])),
    color=st.none() | st.just("red"),
    kelvin=st.none() | st.just(2700),
    mode=st.none() | st.just("heat"),
    is_lot=st.booleans(),
)


def able(entity_id: str, *abilities: str) -> Entity:
    """Return an entity with its domain's usual abilities, or the given ones."""
    return Entity(id=entity_id, name=entity_id, abilities=frozenset(abilities) or USUAL_ABILITIES[entity_id.partition(".")[0]])


@pytest.mark.parametrize("domain", [*TABLE])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_on_domain_without_a_value(operation: str, domain: str) -> None:
    """Without a value, each operation on each domain is the service of the table, and nothing else."""
    call = service_call(operation, "power", domain)
    wanted = TABLE[domain].get(operation)

    assert (call and call[0]) == (wanted and f"{domain}.{wanted}")


def test_every_usual_domain_is_in_the_table() -> None:
    """No domain that a home may have is forgotten here."""
    assert set(USUAL_ABILITIES) <= set(TABLE)


@pytest.mark.parametrize(
    ("operation", "prop", "domain", "amounts", "service", "data"),
    [
        ("set", "brightness", "light", Amounts(value=Value(35, "percent")), "light.turn_on", {"brightness_pct": 35}),
        ("set", "brightness", "light", Amounts(value=Value(35, "none")), "light.turn_on", {"brightness_pct": 35}),
        ("set", "brightness", "light", Amounts(value=Value(0, "percent")), "light.turn_off", {}),
        ("set", "brightness", "light", Amounts(value=Value(150, "percent")), "light.turn_on", {"brightness_pct": 100}),
        ("turn_on", "power", "light", Amounts(value=Value(50, "percent")), "light.turn_on", {"brightness_pct": 50}),
        ("raise", "brightness", "light", Amounts(), "light.turn_on", {"brightness_step_pct": 10}),
        ("lower", "brightness", "light", Amounts(is_lot=True), "light.turn_on", {"brightness_step_pct": -30}),
        ("lower", "brightness", "light", Amounts(delta=Value(20, "percent")), "light.turn_on", {"brightness_step_pct": -20}),
        ("raise", "brightness", "light", Amounts(delta=Value(2, "notch")), "light.turn_on", {"brightness_step_pct": 20}),
        ("set", "color", "light", Amounts(color="red"), "light.turn_on", {"color_name": "red"}),
        ("set", "color", "light", Amounts(color="red", value=Value(20, "percent")), "light.turn_on", {"color_name": "red", "brightness_pct": 20}),
        ("set", "color_temp", "light", Amounts(kelvin=2700), "light.turn_on", {"color_temp_kelvin": 2700}),
        ("set", "color_temp", "light", Amounts(value=Value(4000, "kelvin")), "light.turn_on", {"color_temp_kelvin": 4000}),
        ("raise", "color_temp", "light", Amounts(), "light.turn_on", {"color_temp_kelvin": 5500}),
        ("lower", "color_temp", "light", Amounts(), "light.turn_on", {"color_temp_kelvin": 2700}),
        ("set", "volume", "media_player", Amounts(value=Value(45, "percent")), "media_player.volume_set", {"volume_level": 0.45}),
        ("raise", "volume", "media_player", Amounts(value=Value(100, "percent")), "media_player.volume_set", {"volume_level": 1.0}),
        ("mute", "volume", "media_player", Amounts(), "media_player.volume_mute", {"is_volume_muted": True}),
        ("unmute", "volume", "media_player", Amounts(), "media_player.volume_mute", {"is_volume_muted": False}),
        ("set", "temperature", "climate", Amounts(value=Value(21.5, "degree")), "climate.set_temperature", {"temperature": 21.5}),
        ("set", "temperature", "climate", Amounts(value=Value(22.0, "none")), "climate.set_temperature", {"temperature": 22}),
        ("raise", "temperature", "climate", Amounts(), "climate.set_temperature", {"temperature_step": 1}),
        ("lower", "temperature", "climate", Amounts(delta=Value(2, "degree")), "climate.set_temperature", {"temperature_step": -2}),
        ("set", "mode", "climate", Amounts(mode="heat"), "climate.set_hvac_mode", {"hvac_mode": "heat"}),
        ("set", "position", "cover", Amounts(value=Value(40, "percent")), "cover.set_cover_position", {"position": 40}),
        ("open", "position", "cover", Amounts(value=Value(50, "percent")), "cover.set_cover_position", {"position": 50}),
        ("lower", "position", "cover", Amounts(), "cover.set_cover_position", {"position_step": -20}),
        ("set", "speed", "fan", Amounts(value=Value(66, "percent")), "fan.set_percentage", {"percentage": 66}),
        ("raise", "speed", "fan", Amounts(), "fan.increase_speed", {}),
        ("lower", "speed", "fan", Amounts(delta=Value(10, "percent")), "fan.decrease_speed", {"percentage_step": 10}),
    ],
)  # fmt: skip
def test_operation_with_a_value(operation: str, prop: str, domain: str, amounts: Amounts, service: str, data: dict[str, object]) -> None:
    """Values go where DESIGN.md's conventions say."""
    assert service_call(operation, prop, domain, amounts) == (service, data)


@pytest.mark.parametrize("degrees", [0, 4, 96, 350])
def test_a_temperature_beyond_reason_was_misheard(degrees: float) -> None:
    """A heating is never set to what no heating can be set to."""
    assert service_call("set", "temperature", "climate", Amounts(value=Value(degrees, "degree"))) is None


def test_setting_without_a_value_is_nothing() -> None:
    """In speech, "set the lamp" says nothing that could be done."""
    assert service_call("set", "brightness", "light") is None
    assert service_call("set", "volume", "media_player") is None
    assert service_call("set", "speed", "fan") is None


def test_only_the_able_take_part() -> None:
    """Several entities of one service make one action; the ones that cannot are left out and counted."""
    lamps = (able("light.b"), able("light.a"), able("light.plain", "on_off"))
    actions, count = actions_for("set", "brightness", lamps, Amounts(value=Value(30, "percent")))

    assert [a.to_line() for a in actions] == ["light.turn_on light.a light.b brightness_pct=30"]
    assert count == 2


def test_several_domains_are_several_actions() -> None:
    """打开 on a curtain and a fan opens the one and turns on the other."""
    actions, count = actions_for("open", "power", (able("cover.c"), able("fan.f")), Amounts())

    assert [a.to_line() for a in actions] == ["cover.open_cover cover.c", "fan.turn_on fan.f"]
    assert count == 2


@given(
    st.sampled_from(OPERATIONS),
    st.sampled_from(PROPERTIES),
    st.sampled_from(sorted(USUAL_ABILITIES)),
    st.sets(st.sampled_from(sorted(ABILITIES))),
    AMOUNTS,
)
def test_an_absent_ability_is_never_used(operation: str, prop: str, domain: str, abilities: set[str], amounts: Amounts) -> None:
    """Whatever is asked, no action needs what its entity cannot do."""
    entity = Entity(id=f"{domain}.x", name="x", abilities=frozenset(abilities))
    actions, count = actions_for(operation, prop, (entity,), amounts)

    assert all(is_able(entity, a.service, a.data) for a in actions)
    assert count == len(actions)
    if domain == "light" and "brightness" not in abilities:
        assert not any(key.startswith("brightness") for a in actions for key in a.data)
    if "lock_unlock" not in abilities:
        assert not any(a.domain == "lock" for a in actions)
    if domain == "media_player" and "volume" not in abilities:
        assert not any("volume_" in a.service and a.service != "media_player.volume_mute" for a in actions)


@given(st.sampled_from(OPERATIONS), st.sampled_from(PROPERTIES), st.sampled_from(sorted(USUAL_ABILITIES)), AMOUNTS)
def test_values_stay_in_their_range(operation: str, prop: str, domain: str, amounts: Amounts) -> None:
    """Percentages lie in 0 to 100, a volume in 0 to 1."""
    call = service_call(operation, prop, domain, amounts)
    data = call[1] if call else {}

    assert all(0 <= data[key] <= 100 for key in ("brightness_pct", "position", "percentage") if key in data)
    assert 0 <= data.get("volume_level", 0) <= 1
    assert -100 <= data.get("brightness_step_pct", 0) <= 100
