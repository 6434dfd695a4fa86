"""From an operation on some entities to Home Assistant service calls.

The network names what the speaker wants (operation x property); the entity's domain decides which service that is: "turn up" is brightness for a
lamp and volume for a radio, 打开 is `open_cover` for a curtain and `turn_on` for a fan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import Entity
from voice_rl_plugin.understanding.kinds import is_door
from voice_rl_plugin.understanding.numbers import Value

BRIGHTNESS_STEP_PCT = 10
BRIGHTNESS_LEAP_PCT = 30
"""The step of "a lot brighter"."""
TEMPERATURE_STEP_C = 1.0
LEAST_TEMPERATURE, MOST_TEMPERATURE = 5, 95
"""What a home's heating or cooling can be set to, in the unit of the home: beyond, the value was misheard."""
POSITION_STEP_PCT = 20
WARMER_KELVIN, COOLER_KELVIN = 2700, 5500


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """The values that a clause names."""

    value: Value | None = None
    delta: Value | None = None
    color: str | None = None
    kelvin: int | None = None
    mode: str | None = None
    is_lot: bool = False
    """ "a lot", 很多: a bigger step."""


_NO_AMOUNTS = Amounts()
_Call = tuple[str, dict[str, Any]] | None


def _percent(value: Value) -> int:
    amount = value.amount
    if value.unit == "none" and 0 < amount < 1:
        amount *= 100
    elif value.unit == "notch":
        amount *= 10
    return max(0, min(100, round(amount)))


def _light(operation: str, prop: str, amounts: Amounts) -> _Call:
    data: dict[str, Any] = {}
    if operation in ("turn_off", "close", "stop") and amounts.color is None:
        return ("light.turn_off", {})
    if operation == "toggle":
        return ("light.toggle", {})
    if amounts.color is not None:
        data["color_name"] = amounts.color
    elif amounts.kelvin is not None:
        data["color_temp_kelvin"] = amounts.kelvin
    if amounts.value is not None:
        if amounts.value.unit == "kelvin" or (prop == "color_temp" and amounts.value.amount >= 1000):
            data["color_temp_kelvin"] = round(amounts.value.amount)
        else:
            level = _percent(amounts.value)
            if level == 0:
                return ("light.turn_off", {})
            data["brightness_pct"] = level
    if operation in ("raise", "lower") and not data:
        if prop == "color_temp":
            data["color_temp_kelvin"] = COOLER_KELVIN if operation == "raise" else WARMER_KELVIN
        else:
            step = BRIGHTNESS_LEAP_PCT if amounts.is_lot else BRIGHTNESS_STEP_PCT
            if amounts.delta is not None:
                step = _percent(amounts.delta) or step
            data["brightness_step_pct"] = step if operation == "raise" else -step
    if operation == "set" and not data:
        return None
    return ("light.turn_on", data) if operation in ("turn_on", "open", "set", "raise", "lower", "start") else None


def _media(operation: str, prop: str, amounts: Amounts) -> _Call:
    if operation in ("raise", "lower", "set") or (operation in ("turn_on", "play") and prop == "volume"):
        if amounts.value is not None:
            return ("media_player.volume_set", {"volume_level": round(_percent(amounts.value) / 100, 2)})
        return {"raise": ("media_player.volume_up", {}), "lower": ("media_player.volume_down", {})}.get(operation)
    simple: Mapping[str, tuple[str, dict[str, Any]]] = {
        "mute": ("media_player.volume_mute", {"is_volume_muted": True}),
        "unmute": ("media_player.volume_mute", {"is_volume_muted": False}),
        "play": ("media_player.media_play", {}),
        "start": ("media_player.media_play", {}),
        "pause": ("media_player.media_pause", {}),
        "stop": ("media_player.media_stop", {}),
        "next": ("media_player.media_next_track", {}),
        "previous": ("media_player.media_previous_track", {}),
        "turn_on": ("media_player.turn_on", {}),
        "open": ("media_player.turn_on", {}),
        "turn_off": ("media_player.turn_off", {}),
        "close": ("media_player.turn_off", {}),
        "toggle": ("media_player.toggle", {}),
    }
    return simple.get(operation)


def _climate(operation: str, amounts: Amounts, domain: str) -> _Call:
    if amounts.mode is not None and operation in ("set", "turn_on", "start", "open"):
        return (f"{domain}.set_hvac_mode", {"hvac_mode": amounts.mode})
    if amounts.value is not None and operation in ("set", "raise", "lower", "turn_on", "open"):
        if amounts.value.unit == "percent" or not LEAST_TEMPERATURE <= amounts.value.amount <= MOST_TEMPERATURE:
            return None
        return (f"{domain}.set_temperature", {"temperature": _short(amounts.value.amount)})
    if operation in ("raise", "lower"):
        step = amounts.delta.amount if amounts.delta is not None else TEMPERATURE_STEP_C * (2 if amounts.is_lot else 1)
        return (f"{domain}.set_temperature", {"temperature_step": _short(step if operation == "raise" else -step)})
    return _power(operation, domain)


def _cover(operation: str, amounts: Amounts) -> _Call:
    if amounts.value is not None and operation in ("set", "open", "raise", "lower", "turn_on", "close", "turn_off"):
        position = _percent(amounts.value)
        return ("cover.set_cover_position", {"position": position})
    if operation in ("raise", "lower"):
        step = _percent(amounts.delta) if amounts.delta is not None else POSITION_STEP_PCT
        return ("cover.set_cover_position", {"position_step": step if operation == "raise" else -step})
    services = {
        "open": "open_cover",
        "turn_on": "open_cover",
        "unlock": "open_cover",
        "close": "close_cover",
        "turn_off": "close_cover",
        "lock": "close_cover",
        "stop": "stop_cover",
        "pause": "stop_cover",
        "toggle": "toggle",
    }
    return (f"cover.{services[operation]}", {}) if operation in services else None


def _fan(operation: str, amounts: Amounts) -> _Call:
    if amounts.value is not None and operation in ("set", "raise", "lower", "turn_on", "open"):
        return ("fan.set_percentage", {"percentage": _percent(amounts.value)})
    if operation in ("raise", "lower"):
        data: dict[str, Any] = {}
        if amounts.delta is not None and amounts.delta.unit == "percent":
            data["percentage_step"] = _percent(amounts.delta)
        return (f"fan.{'increase' if operation == 'raise' else 'decrease'}_speed", data)
    return _power(operation, "fan")


def _vacuum(operation: str, domain: str) -> _Call:
    start, dock = ("start", "return_to_base") if domain == "vacuum" else ("start_mowing", "dock")
    services = {
        "start": start,
        "turn_on": start,
        "open": start,
        "play": start,
        "dock": dock,
        "pause": "pause",
        "stop": "stop" if domain == "vacuum" else "pause",
        "turn_off": "stop" if domain == "vacuum" else dock,
        "close": "stop" if domain == "vacuum" else dock,
    }
    return (f"{domain}.{services[operation]}", {}) if operation in services else None


def _power(operation: str, domain: str) -> _Call:
    services = {
        "turn_on": "turn_on",
        "open": "turn_on",
        "start": "turn_on",
        "turn_off": "turn_off",
        "close": "turn_off",
        "stop": "turn_off",
        "toggle": "toggle",
    }
    return (f"{domain}.{services[operation]}", {}) if operation in services else None


def _lock(operation: str) -> _Call:
    services = {"lock": "lock", "close": "lock", "turn_on": "lock", "unlock": "unlock", "open": "unlock", "turn_off": "unlock"}
    return (f"lock.{services[operation]}", {}) if operation in services else None


_MEASURED_ON: Mapping[str, frozenset[str]] = {
    "brightness": frozenset({"light"}),
    "color": frozenset({"light"}),
    "color_temp": frozenset({"light"}),
    "volume": frozenset({"media_player"}),
    "temperature": frozenset({"climate", "water_heater"}),
    "speed": frozenset({"fan"}),
    "position": frozenset({"cover", "valve"}),
}
"""Which devices have a property that can be raised, lowered or set."""


def _is_foreign(operation: str, prop: str, domain: str, amounts: Amounts) -> bool:
    """Whether a change is asked for that a device of this domain cannot know: the volume of a lamp, a hood at 26 degrees."""
    if operation not in ("raise", "lower", "set"):
        return False
    is_degrees = any(amount is not None and amount.unit == "degree" for amount in (amounts.value, amounts.delta))
    if is_degrees and domain not in _MEASURED_ON["temperature"]:
        return True
    return prop in _MEASURED_ON and domain not in _MEASURED_ON[prop]


def service_call(operation: str, prop: str, domain: str, amounts: Amounts = _NO_AMOUNTS) -> tuple[str, dict[str, Any]] | None:
    """Return the service and its data for an operation on an entity of a domain; None when there is none.

    Args:
        operation: one of domain.frame.OPERATIONS.
        prop: one of domain.frame.PROPERTIES.
        domain: the entity's domain.
        amounts: the values that the clause names.
    """
    if _is_foreign(operation, prop, domain, amounts):
        return None
    if domain == "light":
        return _light(operation, prop, amounts)
    if domain == "media_player":
        return _media(operation, prop, amounts)
    if domain in ("climate", "water_heater"):
        return _climate(operation, amounts, domain)
    if domain == "cover":
        return _cover(operation, amounts)
    if domain == "fan":
        return _fan(operation, amounts)
    if domain in ("vacuum", "lawn_mower"):
        return _vacuum(operation, domain)
    if domain == "lock":
        return _lock(operation)
    if domain == "valve":
        valves = {"open": "open_valve", "turn_on": "open_valve", "close": "close_valve", "turn_off": "close_valve"}
        return (f"valve.{valves[operation]}", {}) if operation in valves else None
    if domain in ("scene", "script"):
        return (f"{domain}.turn_on", {}) if operation in ("activate", "turn_on", "open", "start", "play", "set") else None
    if domain in ("button", "input_button"):
        return (f"{domain}.press", {}) if operation in ("activate", "turn_on", "start", "open") else None
    if domain in ("switch", "input_boolean", "humidifier", "siren"):
        return _power(operation, domain)
    return None


_NEEDED_ABILITY = {
    "brightness_pct": "brightness",
    "brightness_step_pct": "brightness",
    "color_name": "color",
    "color_temp_kelvin": "color_temp",
    "volume_level": "volume",
    "is_volume_muted": "mute",
    "temperature": "temperature",
    "temperature_step": "temperature",
    "hvac_mode": "hvac_mode",
    "position": "position",
    "position_step": "position",
    "percentage": "speed",
    "percentage_step": "speed",
}
_SERVICE_ABILITY = {
    "volume_up": "volume",
    "volume_down": "volume",
    "media_play": "play_pause",
    "media_pause": "play_pause",
    "media_stop": "stop",
    "media_next_track": "next_previous",
    "media_previous_track": "next_previous",
    "open_cover": "open_close",
    "close_cover": "open_close",
    "stop_cover": "stop",
    "open_valve": "open_close",
    "close_valve": "open_close",
    "increase_speed": "speed",
    "decrease_speed": "speed",
    "lock": "lock_unlock",
    "unlock": "lock_unlock",
    "start": "start_dock",
    "return_to_base": "start_dock",
    "start_mowing": "start_dock",
    "dock": "start_dock",
}


def is_able(entity: Entity, service: str, data: Mapping[str, Any]) -> bool:
    """Whether an entity has the abilities that a service call with this data needs."""
    if service == "media_player.media_stop" and "play_pause" in entity.abilities:
        return True
    needed = {_NEEDED_ABILITY[key] for key in data if key in _NEEDED_ABILITY}
    name = service.partition(".")[2]
    if name in _SERVICE_ABILITY:
        needed.add(_SERVICE_ABILITY[name])
    elif not needed and name in ("turn_on", "turn_off", "toggle") and entity.domain not in ("scene", "script"):
        needed.add("on_off")
    return needed <= entity.abilities


def actions_for(operation: str, prop: str, entities: Sequence[Entity], amounts: Amounts) -> tuple[tuple[Action, ...], int]:
    """Return the actions that carry out an operation on entities, one a service, and how many of the entities are able to.

    Entities that are not able are left out; no actions when none is.
    """
    groups: dict[str, tuple[str, dict[str, Any], list[str]]] = {}
    able = 0
    for entity in entities:
        call = service_call(operation, prop, entity.domain, amounts)
        if call is None or (operation in ("lock", "unlock") and entity.domain == "cover" and not is_door(entity)):
            continue
        service, data = call
        if not is_able(entity, service, data):
            continue
        able += 1
        groups.setdefault(service, (service, data, []))[2].append(entity.id)
    return tuple(Action(service=s, targets=tuple(sorted(ids)), data=d) for s, d, ids in groups.values()), able


def _short(number: float) -> float:
    return int(number) if float(number).is_integer() else round(number, 2)
