"""Effects: the state that a service is expected to leave behind, and whether a seen state is that one.

light.turn_on brightness_pct=35   ->  on, brightness 89 (35 * 255 / 100, rounded)
cover.open_cover                  ->  open or opening
scene.turn_on                     ->  any change (its state is the time of its last use)
"""

import colorsys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import EntityState

COLOR_RGB: Mapping[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "orange": (255, 165, 0),
    "purple": (128, 0, 128),
    "violet": (238, 130, 238),
    "pink": (255, 192, 203),
    "cyan": (0, 255, 255),
    "turquoise": (64, 224, 208),
    "magenta": (255, 0, 255),
    "indigo": (75, 0, 130),
    "gold": (255, 215, 0),
    "lavender": (230, 230, 250),
    "lime": (0, 255, 0),
    "brown": (165, 42, 42),
    "white": (255, 255, 255),
    "skyblue": (135, 206, 235),
    "navy": (0, 0, 128),
    "coral": (255, 127, 80),
}
"""CSS colours, which Home Assistant's `color_name` means. Source: CSS Color Module Level 3, 4.3."""

BRIGHTNESS_SLACK = 3
"""Of 255: devices keep 100 or 254 steps."""
VOLUME_SLACK = 0.02
TEMPERATURE_SLACK = 0.3
PERCENTAGE_SLACK = 2.0
KELVIN_SLACK = 0.06
"""Share: devices keep whole mireds."""
HUE_SLACK = 12.0
"""Degrees."""

_ON_OFF = frozenset({"light", "switch", "input_boolean", "fan", "humidifier", "siren", "homeassistant", "remote", "group"})
_UNLIKE_OFF = frozenset({"media_player", "climate", "water_heater"})
_VALUES: Mapping[str, frozenset[str]] = {
    "cover.open_cover": frozenset({"open", "opening"}),
    "cover.close_cover": frozenset({"closed", "closing"}),
    "valve.open_valve": frozenset({"open", "opening"}),
    "valve.close_valve": frozenset({"closed", "closing"}),
    "lock.lock": frozenset({"locked", "locking"}),
    "lock.unlock": frozenset({"unlocked", "unlocking", "open", "opening"}),
    "lock.open": frozenset({"open", "opening", "unlocked", "unlocking"}),
    "vacuum.start": frozenset({"cleaning"}),
    "vacuum.return_to_base": frozenset({"returning", "docked"}),
    "vacuum.pause": frozenset({"paused"}),
    "vacuum.stop": frozenset({"idle", "paused", "docked"}),
    "lawn_mower.start_mowing": frozenset({"mowing"}),
    "lawn_mower.dock": frozenset({"returning", "docked"}),
    "lawn_mower.pause": frozenset({"paused"}),
    "media_player.media_play": frozenset({"playing", "buffering"}),
    "media_player.media_pause": frozenset({"paused"}),
    "media_player.media_stop": frozenset({"idle", "off", "standby", "stopped"}),
}

Test = Callable[[EntityState], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What is expected of one entity."""

    tests: tuple[Test, ...] = ()
    """All must hold; none at all means that any change will do."""
    before: EntityState | None = None

    @property
    def can_be_seen(self) -> bool:
        """Whether a state tells this effect from its absence: a scene shows nothing, and an assumed state only what was asked for."""
        return bool(self.tests) and not (self.before is not None and self.before.attributes.get("assumed_state"))

    def is_seen_in(self, state: EntityState | None) -> bool:
        """Whether a state shows this effect; an unknown state shows nothing."""
        if state is None:
            return False
        if not self.tests:
            return self.before is not None and (state.value, dict(state.attributes)) != (self.before.value, dict(self.before.attributes))
        return all(test(state) for test in self.tests)


def expected_effect(action: Action, entity_id: str, before: EntityState | None) -> Effect:
    """Return what an action should do to one of its targets.

    Args:
        action: an absolute action, or a step that the device itself takes (`brightness_step_pct`, `volume_up`).
        entity_id: the target.
        before: its state before the action; None when unknown.
    """
    domain, _, verb = action.service.partition(".")
    entity_domain = entity_id.partition(".")[0]
    if action.service in ("cover.open_cover", "cover.close_cover"):
        return Effect(tests=(_moving_test(action.service, before),), before=before)
    if action.service in _VALUES:
        return Effect(tests=(_value_in(_VALUES[action.service]),), before=before)
    if verb == "toggle":
        return _toggle_effect(before)
    if domain in _ON_OFF and entity_domain not in ("scene", "script") and verb in ("turn_on", "turn_off"):
        tests = [_value_in(frozenset({"on" if verb == "turn_on" else "off"}))]
        if entity_domain in _UNLIKE_OFF:
            tests = [_is_off if verb == "turn_off" else _is_not_off]
        if domain == "light" and verb == "turn_on":
            tests = _light_tests(action.data, before)
        elif domain == "fan" and "percentage" in action.data:
            tests += _number_tests("percentage", action.data["percentage"], PERCENTAGE_SLACK)
        return Effect(tests=tuple(tests), before=before)
    if domain in _UNLIKE_OFF and verb in ("turn_on", "turn_off"):
        return Effect(tests=(_is_off if verb == "turn_off" else _is_not_off,), before=before)
    return Effect(tests=tuple(_setting_tests(action, before)), before=before)


def _toggle_effect(before: EntityState | None) -> Effect:
    opposite = {"on": "off", "off": "on", "open": "closed", "closed": "open", "playing": "paused", "paused": "playing"}
    if before is None or before.value not in opposite:
        return Effect(before=before)
    wanted = {opposite[before.value]}
    if wanted & {"open", "closed"}:
        wanted.add("opening" if "open" in wanted else "closing")
    return Effect(tests=(_value_in(frozenset(wanted)),), before=before)


def _light_tests(data: Mapping[str, Any], before: EntityState | None) -> list[Test]:
    pct = data.get("brightness_pct")
    if pct == 0 or data.get("brightness") == 0:
        return [_is_off]
    if (step := data.get("brightness_step_pct")) is not None:
        return _brightness_step_tests(step, before)
    tests: list[Test] = [_value_in(frozenset({"on"}))]
    if pct is not None:
        tests += _number_tests("brightness", round(float(pct) * 255 / 100), BRIGHTNESS_SLACK)
    if "brightness" in data:
        tests += _number_tests("brightness", data["brightness"], BRIGHTNESS_SLACK)
    if "color_temp_kelvin" in data:
        tests.append(_kelvin_test(float(data["color_temp_kelvin"])))
    rgb = COLOR_RGB.get(str(data.get("color_name"))) or data.get("rgb_color")
    if rgb is not None:
        tests.append(_hue_test((int(rgb[0]), int(rgb[1]), int(rgb[2]))))
    return tests


def _brightness_step_tests(step: Any, before: EntityState | None) -> list[Test]:
    brightness = _number(before.attributes.get("brightness")) if before is not None and before.value == "on" else None
    change = _number(step)
    if change is None or brightness is None:
        return [] if change is None or change < 0 else [_value_in(frozenset({"on"}))]
    wanted = brightness + change * 255 / 100
    if wanted <= 0:
        return [lambda state: state.value == "off" or (_number(state.attributes.get("brightness")) or 0) <= BRIGHTNESS_SLACK]
    return _number_tests("brightness", min(255.0, wanted), BRIGHTNESS_SLACK)


def _setting_tests(action: Action, before: EntityState | None) -> list[Test]:
    data, tests = action.data, list[Test]()
    verb = action.service.partition(".")[2]
    match action.service:
        case "media_player.volume_set":
            tests += _number_tests("volume_level", data.get("volume_level"), VOLUME_SLACK)
        case "media_player.volume_mute":
            wanted = data.get("is_volume_muted") is not False
            tests.append(lambda state: state.attributes.get("is_volume_muted") is wanted)
        case "media_player.volume_up" | "media_player.volume_down":
            tests += _volume_step_tests(before, 1 if verb == "volume_up" else -1)
        case "climate.set_temperature" | "water_heater.set_temperature" if "temperature" in data:
            tests += _number_tests("temperature", data["temperature"], TEMPERATURE_SLACK)
        case "climate.set_hvac_mode":
            tests.append(_value_in(frozenset({str(data.get("hvac_mode"))})))
        case "humidifier.set_humidity":
            tests += _number_tests("humidity", data.get("humidity"), PERCENTAGE_SLACK)
        case "cover.set_cover_position":
            tests.append(_position_test(_number(data.get("position")), before))
        case "fan.set_percentage":
            if _number(data.get("percentage")) == 0:
                tests.append(_is_off)
            else:
                step = _number(before.attributes.get("percentage_step")) if before is not None else None
                tests += _number_tests("percentage", data.get("percentage"), max(PERCENTAGE_SLACK, step or 0.0))
        case "fan.increase_speed" | "fan.decrease_speed":
            tests += _percentage_step_tests(before, 1 if verb == "increase_speed" else -1)
        case _:
            pass  # any change: scenes, scripts, buttons, next and previous, stop_cover
    return tests


def _volume_step_tests(before: EntityState | None, sign: int) -> list[Test]:
    level = _number(before.attributes.get("volume_level")) if before is not None else None
    if level is None:
        return []
    limit = 1.0 if sign > 0 else 0.0
    return [lambda state: _is_beyond(_number(state.attributes.get("volume_level")), level, sign, limit)]


def _percentage_step_tests(before: EntityState | None, sign: int) -> list[Test]:
    level = _number(before.attributes.get("percentage")) if before is not None else None
    if level is None:
        return []
    limit = 100.0 if sign > 0 else 0.0
    return [
        lambda state: (sign < 0 and state.value == "off") or _is_beyond(_number(state.attributes.get("percentage")), level, sign, limit)
    ]


def _is_beyond(value: float | None, old: float, sign: int, limit: float) -> bool:
    return value is not None and ((value - old) * sign > 0 or abs(value - limit) < VOLUME_SLACK)


def _value_in(values: frozenset[str]) -> Test:
    return lambda state: state.value in values


def _is_off(state: EntityState) -> bool:
    return state.value in ("off", "standby")


def _is_not_off(state: EntityState) -> bool:
    return state.value not in ("off", "standby")


def _number_tests(attribute: str, wanted: Any, slack: float) -> list[Test]:
    target = _number(wanted)
    if target is None:
        return []

    def is_near(state: EntityState) -> bool:
        seen = _number(state.attributes.get(attribute))
        return seen is not None and abs(seen - target) <= slack + 1e-9

    return [is_near]


def _kelvin_test(wanted: float) -> Test:
    def is_near(state: EntityState) -> bool:
        seen = _number(state.attributes.get("color_temp_kelvin"))
        low = _number(state.attributes.get("min_color_temp_kelvin")) or 0.0
        high = _number(state.attributes.get("max_color_temp_kelvin")) or 1e6
        target = min(max(wanted, low), high)
        return seen is not None and abs(seen - target) <= KELVIN_SLACK * target

    return is_near


def _hue_test(wanted: tuple[int, int, int]) -> Test:
    hue, saturation, _ = colorsys.rgb_to_hsv(*(level / 255 for level in wanted))

    def is_near(state: EntityState) -> bool:
        if (rgb := state.attributes.get("rgb_color")) is None or len(rgb) != 3:
            return False
        seen_hue, seen_saturation, _ = colorsys.rgb_to_hsv(*(float(level) / 255 for level in rgb))
        apart = abs(seen_hue - hue) * 360
        return abs(seen_saturation - saturation) <= 0.2 and (saturation < 0.1 or min(apart, 360 - apart) <= HUE_SLACK)

    return is_near


def _moving_test(service: str, before: EntityState | None) -> Test:
    """Return what shows that a cover opens or closes: the word, or a position on the way there."""
    start = _number(before.attributes.get("current_position")) if before is not None else None
    sign = 1 if service == "cover.open_cover" else -1

    def is_there_or_moving(state: EntityState) -> bool:
        seen = _number(state.attributes.get("current_position"))
        return state.value in _VALUES[service] or (start is not None and seen is not None and (seen - start) * sign > 0)

    return is_there_or_moving


def _position_test(wanted: float | None, before: EntityState | None) -> Test:
    start = _number(before.attributes.get("current_position")) if before is not None else None

    def is_there_or_moving(state: EntityState) -> bool:
        seen = _number(state.attributes.get("current_position"))
        if wanted is None:
            return False
        if seen is not None and abs(seen - wanted) <= PERCENTAGE_SLACK:
            return True
        if start is None:
            return state.value in ("opening", "closing")
        if seen is not None and (seen - start) * (wanted - start) > 0:
            return True  # on its way, as devices tell that have no word for it
        return state.value == ("opening" if wanted > start else "closing")

    return is_there_or_moving


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
