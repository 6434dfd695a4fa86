"""Simulated devices as plain state machines: a service call in, new states out; no MQTT here."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from voice_rl_plugin.acting.effects import COLOR_RGB
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import Entity, EntityState, Home
from voice_rl_plugin.errors import VoiceRlError


class RefusedError(VoiceRlError):
    """A simulated device does not know or does not allow a service."""


BRIGHTEST = 255
NEUTRAL_KELVIN = 2700
"""The white of a simulated colour light that was asked for no colour."""
_FIRST: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "light": ("off", {"color_mode": "color_temp", "color_temp_kelvin": NEUTRAL_KELVIN}),
    "switch": ("off", {}),
    "input_boolean": ("off", {}),
    "fan": ("off", {"percentage": 0, "percentage_step": 1}),
    "humidifier": ("off", {"humidity": 45}),
    "media_player": ("idle", {"volume_level": 0.3, "is_volume_muted": False}),
    "climate": ("off", {"temperature": 21, "current_temperature": 20.5, "min_temp": 7, "max_temp": 35}),
    "water_heater": ("off", {"temperature": 50, "min_temp": 30, "max_temp": 60}),
    "cover": ("closed", {"current_position": 0}),
    "valve": ("closed", {}),
    "lock": ("locked", {}),
    "vacuum": ("docked", {}),
    "lawn_mower": ("docked", {}),
    "siren": ("off", {}),
}
_MOVES: Mapping[str, str] = {
    "lock.lock": "locked",
    "lock.unlock": "unlocked",
    "valve.open_valve": "open",
    "valve.close_valve": "closed",
    "vacuum.start": "cleaning",
    "vacuum.return_to_base": "docked",
    "vacuum.pause": "paused",
    "vacuum.stop": "idle",
    "lawn_mower.start_mowing": "mowing",
    "lawn_mower.dock": "docked",
    "lawn_mower.pause": "paused",
    "media_player.media_play": "playing",
    "media_player.media_pause": "paused",
    "media_player.media_stop": "idle",
    "media_player.play_media": "playing",
}
_SWITCHED = frozenset({"light", "switch", "input_boolean", "fan", "humidifier", "siren", "media_player", "climate", "water_heater"})
_STAMPED = frozenset({"scene", "script", "button", "input_button"})


class Devices:
    """All simulated devices of a home."""

    def __init__(self, home: Home) -> None:
        self._entities: dict[str, Entity] = dict(home.entity_by_id)
        self._states: dict[str, EntityState] = {entity.id: _first_state(entity) for entity in home.entities}

    @property
    def states(self) -> Mapping[str, EntityState]:
        """Return the present states."""
        return self._states

    def call(self, service: str, targets: tuple[str, ...], data: Mapping[str, Any], *, now: float) -> tuple[str, ...]:
        """Run a service and return the entities whose state changed.

        Raises:
            RefusedError: an entity is not there, or it does not know the service or a value of it; nothing was changed then.
        """
        missing = [target for target in targets if target not in self._entities]
        if missing or not targets:
            raise RefusedError(f"no such entity: {', '.join(missing) or 'none was named'}")
        updates: dict[str, EntityState] = {}
        for target in targets:
            self._apply(target, service, data, now, updates)
        changed = tuple(entity_id for entity_id, state in updates.items() if state != self._states[entity_id])
        self._states.update(updates)
        return changed

    def _apply(self, entity_id: str, service: str, data: Mapping[str, Any], now: float, updates: dict[str, EntityState]) -> None:
        entity = self._entities[entity_id]
        domain, _, verb = service.partition(".")
        if domain not in (entity.domain, "homeassistant"):
            raise RefusedError(f"{entity_id} knows no {service}")
        for member in entity.members:
            if member in self._entities:
                self._apply(member, f"{member.partition('.')[0]}.{verb}", data, now, updates)
        state = updates.get(entity_id, self._states[entity_id])
        if entity.domain in _STAMPED:
            for line in _scene_lines(entity):
                action = parse_action(line, where=entity_id)
                for target in action.targets:
                    self._apply(target, action.service, action.data, now, updates)
            updates[entity_id] = EntityState(value=datetime.fromtimestamp(now, UTC).isoformat(), attributes=state.attributes)
            return
        try:
            value, attributes = _next(f"{entity.domain}.{verb}", state, dict(data))
        except (TypeError, ValueError) as error:
            raise RefusedError(f"{service}: a value is not usable: {error}") from error
        updates[entity_id] = EntityState(
            value=value, attributes={key: one for key, one in attributes.items() if one is not None}, changed_at=now
        )


def _first_state(entity: Entity) -> EntityState:
    value, attributes = _FIRST.get(entity.domain, ("unknown", {}))
    merged = {"friendly_name": entity.name, **attributes, **entity.attributes}
    if entity.domain == "light" and "rgb_color" in entity.attributes:
        del merged["color_temp_kelvin"]
        merged["color_mode"] = "rgb"
    if entity.device_class:
        merged["device_class"] = entity.device_class
    value = entity.state if entity.state is not None else value
    if entity.domain == "light" and value == "on":
        merged.setdefault("brightness", BRIGHTEST)
    if entity.domain == "cover" and "current_position" not in entity.attributes:
        merged["current_position"] = 0 if value == "closed" else 100
    return EntityState(value=value, attributes=merged)


def _scene_lines(entity: Entity) -> tuple[str, ...]:
    lines = entity.attributes.get("actions", ())
    return tuple(str(line) for line in lines) if isinstance(lines, (list, tuple)) else ()


def _next(service: str, state: EntityState, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    domain, _, verb = service.partition(".")
    if service in _MOVES:
        return _MOVES[service], dict(state.attributes)
    if domain in _SWITCHED and verb == "toggle":
        verb = "turn_on" if state.value in ("off", "standby") else "turn_off"
    if domain in _SWITCHED and verb == "turn_off":
        return "off", dict(state.attributes) | ({"brightness": None} if domain == "light" else {}) | (
            {"percentage": 0} if domain == "fan" else {}
        )
    if domain in _SWITCHED and verb == "turn_on":
        return _switched_on(domain, state, data)
    if service in _SETTINGS:
        return _SETTINGS[service](state, data)
    raise RefusedError(f"no device here knows {service}")


def _switched_on(domain: str, state: EntityState, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    attributes = dict(state.attributes)
    if domain == "light":
        return _lit(state, data)
    if domain == "fan":
        attributes["percentage"] = _within(data.get("percentage", state.attributes.get("percentage") or 50), 0, 100)
        return ("on" if attributes["percentage"] else "off"), attributes
    if domain == "media_player":
        return ("idle" if state.value in ("off", "standby") else state.value), attributes
    if domain in ("climate", "water_heater"):
        return ("heat" if state.value == "off" else state.value), attributes
    return "on", attributes


def _lit(state: EntityState, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    attributes = dict(state.attributes)
    brightness = float(state.attributes.get("brightness") or (0 if "brightness_step_pct" in data else BRIGHTEST))
    if "brightness_pct" in data:
        brightness = float(data["brightness_pct"]) * BRIGHTEST / 100
    elif "brightness" in data:
        brightness = float(data["brightness"])
    elif "brightness_step_pct" in data:
        brightness += float(data["brightness_step_pct"]) * BRIGHTEST / 100
    brightness = round(_within(brightness, 0, BRIGHTEST))
    if brightness == 0:
        return "off", attributes | {"brightness": None}
    attributes["brightness"] = brightness
    if "color_name" in data:
        if data["color_name"] not in COLOR_RGB:
            raise RefusedError(f"no such colour: {data['color_name']!r}")
        attributes |= {"rgb_color": list(COLOR_RGB[data["color_name"]]), "color_mode": "rgb", "color_temp_kelvin": None}
    elif "rgb_color" in data:
        attributes |= {"rgb_color": [int(level) for level in data["rgb_color"]], "color_mode": "rgb", "color_temp_kelvin": None}
    elif "color_temp_kelvin" in data:
        attributes |= {"color_temp_kelvin": int(data["color_temp_kelvin"]), "color_mode": "color_temp", "rgb_color": None}
    return "on", attributes


def _volume(state: EntityState, level: float) -> tuple[str, dict[str, Any]]:
    return state.value, {**state.attributes, "volume_level": round(_within(level, 0, 1), 2), "is_volume_muted": False}


def _volume_step(state: EntityState, step: float) -> tuple[str, dict[str, Any]]:
    return _volume(state, float(state.attributes.get("volume_level") or 0) + step)


def _track(state: EntityState, step: int) -> tuple[str, dict[str, Any]]:
    return state.value, {**state.attributes, "media_track": int(state.attributes.get("media_track", 1)) + step}


def _position(state: EntityState, position: float) -> tuple[str, dict[str, Any]]:
    position = round(_within(position, 0, 100))
    return ("open" if position else "closed"), {**state.attributes, "current_position": position}


def _temperature(state: EntityState, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    low, high = float(state.attributes.get("min_temp", 7)), float(state.attributes.get("max_temp", 35))
    value = float(data["temperature"]) if "temperature" in data else float("nan")
    if not low <= value <= high:
        raise RefusedError(f"temperature: expected {low} to {high}, got {data.get('temperature')!r}")
    mode = str(data.get("hvac_mode", state.value))
    return mode, {**state.attributes, "temperature": int(value) if value.is_integer() else value}


def _speed(state: EntityState, percentage: float) -> tuple[str, dict[str, Any]]:
    percentage = round(_within(percentage, 0, 100))
    return ("on" if percentage else "off"), {**state.attributes, "percentage": percentage}


def _speed_step(state: EntityState, step: float) -> tuple[str, dict[str, Any]]:
    return _speed(state, float(state.attributes.get("percentage") or 0) + step)


def _need(data: Mapping[str, Any], key: str) -> Any:
    if key not in data:
        raise RefusedError(f"{key}: missing")
    return data[key]


_Setting = Callable[[EntityState, dict[str, Any]], tuple[str, dict[str, Any]]]
_SETTINGS: Mapping[str, _Setting] = {
    "media_player.volume_set": lambda state, data: _volume(state, float(_need(data, "volume_level"))),
    "media_player.volume_up": lambda state, _: _volume_step(state, 0.1),
    "media_player.volume_down": lambda state, _: _volume_step(state, -0.1),
    "media_player.volume_mute": lambda state, data: (
        state.value,
        {**state.attributes, "is_volume_muted": bool(data.get("is_volume_muted", True))},
    ),
    "media_player.media_next_track": lambda state, _: _track(state, 1),
    "media_player.media_previous_track": lambda state, _: _track(state, -1),
    "media_player.media_play_pause": lambda state, _: ("paused" if state.value == "playing" else "playing", dict(state.attributes)),
    "climate.set_temperature": _temperature,
    "water_heater.set_temperature": _temperature,
    "climate.set_hvac_mode": lambda state, data: (str(_need(data, "hvac_mode")), dict(state.attributes)),
    "humidifier.set_humidity": lambda state, data: (
        state.value,
        {**state.attributes, "humidity": _within(float(_need(data, "humidity")), 0, 100)},
    ),
    "cover.open_cover": lambda state, _: _position(state, 100),
    "cover.close_cover": lambda state, _: _position(state, 0),
    "cover.stop_cover": lambda state, _: (state.value, dict(state.attributes)),
    "cover.set_cover_position": lambda state, data: _position(state, float(_need(data, "position"))),
    "fan.set_percentage": lambda state, data: _speed(state, float(_need(data, "percentage"))),
    "fan.increase_speed": lambda state, data: _speed_step(state, float(data.get("percentage_step", 20))),
    "fan.decrease_speed": lambda state, data: _speed_step(state, -float(data.get("percentage_step", 20))),
}


def _within(value: float, low: float, high: float) -> float:
    return min(max(float(value), low), high)
