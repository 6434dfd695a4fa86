"""The domains of MQTT discovery: what each config says a device can do, tells, and takes.

light (default and json schema), switch, cover, fan, climate, lock
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.homes import scales
from voice_rl_plugin.homes.devices import Command, switched_on
from voice_rl_plugin.homes.discovery_settings import Settings

Reading = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""From a payload and what was read before to new readings."""
_HVAC_MODES = ("auto", "off", "cool", "heat", "dry", "fan_only")
_COLOR_MODES = ("hs", "xy", "rgb", "rgbw", "rgbww")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a config makes of a device."""

    abilities: frozenset[str]
    command: Callable[[Action], tuple[Command, ...] | None]
    readings: Sequence[tuple[str | None, Reading]] = ()
    """Each with its topic; None where the config names none."""
    tells_state: bool = True
    """Whether its value is told, and not only a setting of it."""
    attributes: Mapping[str, Any] = field(default_factory=dict)


def build(domain: str, settings: Settings) -> Built:
    """Return what a config makes of a device.

    Raises:
        MessageError: a key is missing or wrong, or has a template that is none of the plain ones.
    """
    if domain == "light" and settings.word("schema", "default") == "json":
        return _json_light(settings)
    if domain == "light" and settings.word("schema", "default") not in ("default", "basic"):
        raise settings.error("schema", "default or json", settings.values.get("schema"))
    return BUILDERS[domain](settings)


def _light(settings: Settings) -> Built:
    topic, payload_on, payload_off = _on_off_of(settings)
    order = settings.word("on_command_type", "last")
    scale = max(settings.number("brightness_scale", 255.0), 1.0)
    brightness_topic, brightness_fill = settings.topic("brightness_command_topic"), settings.fill("brightness_command_template")
    kelvin_topic, kelvin_fill = settings.topic("color_temp_command_topic"), settings.fill("color_temp_command_template")
    is_kelvin = settings.flag("color_temp_kelvin")
    low, high, limits = _mireds(settings, has=kelvin_topic is not None)
    colors = {
        "rgb": (settings.topic("rgb_command_topic"), settings.fill("rgb_command_template", "red", "green", "blue")),
        "hs": (settings.topic("hs_command_topic"), settings.fill("hs_command_template", "hue", "sat")),
        "xy": (settings.topic("xy_command_topic"), settings.fill("xy_command_template", "x", "y")),
    }
    color = next((name for name, (one, _) in colors.items() if one is not None), None)

    def command(action: Action) -> tuple[Command, ...] | None:
        verb, data = _verb(action), action.data
        if verb == "turn_off":
            return (_told(topic, payload_off),)
        if verb != "turn_on":
            return None
        extras: list[Command] = []
        if "rgb_color" in data and color is not None:
            extras.append(_color_command(colors[color], color, data["rgb_color"]))
        if "color_temp_kelvin" in data and kelvin_topic is not None:
            mired = scales.mired_of_kelvin(data["color_temp_kelvin"], low=low, high=high)
            extras.append(_told(kelvin_topic, kelvin_fill(value=round(scales.MIRED / mired) if is_kelvin else mired)))
        if brightness_topic is not None and ("brightness" in data or (order == "brightness" and not extras)):
            value = scales.to_scale(data.get("brightness", scales.BRIGHTNESS), scale)
            extras.append(_told(brightness_topic, brightness_fill(value=value)))
        if order == "brightness" and extras:
            return tuple(extras)
        power = _told(topic, payload_on)
        return (power, *extras) if order == "first" else (*extras, power)

    pick_brightness, pick_kelvin = settings.pick("brightness_value_template"), settings.pick("color_temp_value_template")
    readings: list[tuple[str | None, Reading]] = [
        (settings.topic("state_topic"), _value_reading(settings.pick("state_value_template"), {payload_on: "on", payload_off: "off"})),
        (
            settings.topic("brightness_state_topic"),
            lambda payload, _: _if_known("brightness", scales.from_scale(pick_brightness(payload), scale)),
        ),
        (
            settings.topic("color_temp_state_topic"),
            lambda payload, _: (
                {"color_temp_kelvin": _kelvin(pick_kelvin(payload), is_kelvin=is_kelvin), "color_mode": "color_temp", "rgb_color": None}
                if pick_kelvin(payload)
                else {}
            ),
        ),
    ]
    for name, keys in (("rgb", ("r", "g", "b")), ("hs", ("h", "s")), ("xy", ("x", "y"))):
        readings.append((settings.topic(f"{name}_state_topic"), _color_reading(settings.pick(f"{name}_value_template"), name, keys)))
    abilities = {"on_off"} | ({"brightness"} if brightness_topic is not None else set())
    abilities |= ({"color"} if color is not None else set()) | ({"color_temp"} if kelvin_topic is not None else set())
    return Built(
        abilities=frozenset(abilities),
        command=command,
        readings=readings,
        tells_state=settings.has("state_topic"),
        attributes=limits,
    )


def _json_light(settings: Settings) -> Built:
    topic = settings.needed_topic("command_topic")
    scale = max(settings.number("brightness_scale", 255.0), 1.0)
    modes = settings.texts("supported_color_modes")
    modes += tuple(one for one in ("color_temp", "rgb", "hs", "xy") if settings.values.get(one) is True)  # as before 2025.3
    is_kelvin = settings.flag("color_temp_kelvin")
    low, high, limits = _mireds(settings, has="color_temp" in modes)
    color = next((one for one in ("rgb", "rgbw", "rgbww", "hs", "xy") if one in modes), None)
    can_dim = settings.flag("brightness") or bool(set(modes) - {"onoff"})

    def command(action: Action) -> tuple[Command, ...] | None:
        verb, data = _verb(action), action.data
        if verb not in ("turn_on", "turn_off"):
            return None
        told: dict[str, Any] = {"state": "ON" if verb == "turn_on" else "OFF"}
        if "brightness" in data and can_dim:
            told["brightness"] = scales.to_scale(data["brightness"], scale)
        if "color_temp_kelvin" in data and "color_temp" in modes:
            mired = scales.mired_of_kelvin(data["color_temp_kelvin"], low=low, high=high)
            told["color_temp"] = round(scales.MIRED / mired) if is_kelvin else mired
        if "rgb_color" in data and color is not None:
            told["color"] = _color_object(color, data["rgb_color"])
        if "transition" in data:
            told["transition"] = data["transition"]
        return (Command(topic=topic, payload=json.dumps(told).encode()),)

    def read(payload: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
        told = scales.object_of(payload)
        readings: dict[str, Any] = {}
        if told.get("state") in ("ON", "OFF"):
            readings["state"] = str(told["state"]).casefold()
        elif "state" in told and told["state"] is None:
            readings["state"] = None
        if "brightness" in told and can_dim:
            readings |= _if_known("brightness", scales.from_scale(told["brightness"], scale))
        mode = told.get("color_mode")
        if "color_temp" in told:
            readings["color_temp_kelvin"] = _kelvin(told["color_temp"], is_kelvin=is_kelvin)
        if "color" in told:
            readings["rgb_color"] = scales.rgb_of_color(told["color"])
        if isinstance(mode, str):
            readings["color_mode"] = mode
            readings |= {"rgb_color": None} if mode == "color_temp" else {"color_temp_kelvin": None} if mode in _COLOR_MODES else {}
        return readings

    abilities = {"on_off"} | ({"brightness"} if can_dim else set()) | ({"color"} if color is not None else set())
    abilities |= {"color_temp"} if "color_temp" in modes else set()
    state_topic = settings.topic("state_topic")
    return Built(
        abilities=frozenset(abilities),
        command=command,
        readings=[(state_topic, read)],
        tells_state=state_topic is not None,
        attributes=limits,
    )


def _switch(settings: Settings) -> Built:
    topic, payload_on, payload_off = _on_off_of(settings)
    fill = settings.fill("command_template")
    words = {settings.word("state_on", payload_on): "on", settings.word("state_off", payload_off): "off"}

    def command(action: Action) -> tuple[Command, ...] | None:
        payloads = {"turn_on": payload_on, "turn_off": payload_off}
        verb = _verb(action)
        return (_told(topic, fill(value=payloads[verb])),) if verb in payloads else None

    return Built(
        abilities=frozenset({"on_off"}),
        command=command,
        readings=[(settings.topic("state_topic"), _value_reading(settings.pick("value_template"), words))],
        tells_state=settings.has("state_topic"),
    )


def _cover(settings: Settings) -> Built:
    topic, place_topic = settings.topic("command_topic"), settings.topic("set_position_topic")
    if topic is None and place_topic is None:
        raise settings.error("command_topic", "a topic, or set_position_topic", None)
    payloads = {
        verb: settings.text(key, default) if key not in settings.values or settings.has(key) else None  # null takes it away
        for verb, key, default in (
            ("open_cover", "payload_open", "OPEN"),
            ("close_cover", "payload_close", "CLOSE"),
            ("stop_cover", "payload_stop", "STOP"),
        )
    }
    top, bottom = settings.number("position_open", 100.0), settings.number("position_closed", 0.0)
    if top == bottom:
        raise settings.error("position_open", "another number than position_closed", top)
    place = settings.fill("set_position_template", "value", "position")

    def command(action: Action) -> tuple[Command, ...] | None:
        verb = _verb(action)
        position = {"open_cover": 100, "close_cover": 0}.get(verb) if topic is None else None
        if verb == "set_cover_position":
            position = action.data.get("position")
        if position is not None and place_topic is not None:
            value = round(bottom + (top - bottom) * position / 100)
            has_template = settings.has("set_position_template")
            return (_told(place_topic, place(value=value, position=round(position)) if has_template else str(value)),)
        payload = payloads.get(verb)
        return (_told(topic, payload),) if topic is not None and payload is not None else None

    pick_position = settings.pick("position_template")
    state_topic, position_topic = settings.topic("state_topic"), settings.topic("position_topic")
    words = {
        settings.word("state_stopped", "stopped"): "stopped",
        settings.word("state_open", "open"): "open",
        settings.word("state_closed", "closed"): "closed",
        settings.word("state_opening", "opening"): "opening",
        settings.word("state_closing", "closing"): "closing",
    }
    read_value = _value_reading(settings.pick("value_template"), words)

    def read_state(payload: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
        told = dict(read_value(payload, known))
        if told.get("state") == "stopped":
            told["state"] = "closed" if known.get("current_position") == 0 else "open"
        return told

    def read_position(payload: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
        told = scales.number_of(pick_position(payload))
        if told is None:
            return {}
        position = round(min(max((told - bottom) / (top - bottom), 0.0), 1.0) * 100)
        readings: dict[str, Any] = {"current_position": position}
        if state_topic is None or known.get("state") not in ("opening", "closing"):
            readings["state"] = "closed" if position == 0 else "open"
        return readings

    can_open = topic is None or (payloads["open_cover"] is not None and payloads["close_cover"] is not None)
    abilities = ({"open_close"} if can_open else set()) | ({"position"} if place_topic is not None else set())
    abilities |= {"stop"} if topic is not None and payloads["stop_cover"] is not None else set()
    return Built(
        abilities=frozenset(abilities),
        command=command,
        readings=[(position_topic, read_position), (state_topic, read_state)],
        tells_state=state_topic is not None or position_topic is not None,
    )


def _fan(settings: Settings) -> Built:
    topic, payload_on, payload_off = _on_off_of(settings)
    fill, fill_speed = settings.fill("command_template"), settings.fill("percentage_command_template")
    speed_topic = settings.topic("percentage_command_topic")
    slowest, fastest = settings.number("speed_range_min", 1.0), settings.number("speed_range_max", 100.0)
    count = fastest - slowest + 1
    if count < 1:
        raise settings.error("speed_range_max", "at least speed_range_min", fastest)

    def command(action: Action) -> tuple[Command, ...] | None:
        verb, percentage = _verb(action), action.data.get("percentage")
        if verb == "turn_off" or percentage == 0:
            return (_told(topic, fill(value=payload_off)),)
        if verb not in ("turn_on", "set_percentage"):
            return None
        power = _told(topic, fill(value=payload_on))
        if percentage is None or speed_topic is None:
            return (power,) if percentage is None else None
        return (power, _told(speed_topic, fill_speed(value=math.ceil(slowest - 1 + percentage * count / 100))))

    pick_speed = settings.pick("percentage_value_template")

    def read_speed(payload: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
        told = scales.number_of(pick_speed(payload))
        return {} if told is None else {"percentage": int(min(max((told - slowest + 1) / count, 0.0), 1.0) * 100)}

    return Built(
        abilities=frozenset({"on_off"} | ({"speed"} if speed_topic is not None else set())),
        command=command,
        readings=[
            (settings.topic("state_topic"), _value_reading(settings.pick("state_value_template"), {payload_on: "on", payload_off: "off"})),
            (settings.topic("percentage_state_topic"), read_speed),
        ],
        tells_state=settings.has("state_topic"),
        attributes={"percentage_step": 100 / count},
    )


def _climate(settings: Settings) -> Built:
    mode_topic, power_topic = settings.topic("mode_command_topic"), settings.topic("power_command_topic")
    temperature_topic = settings.topic("temperature_command_topic")
    if mode_topic is None and temperature_topic is None and power_topic is None:
        raise settings.error("temperature_command_topic", "a topic, or mode_command_topic", None)
    modes = settings.texts("modes", _HVAC_MODES) if mode_topic is not None else ()
    fill_mode, fill_temperature = settings.fill("mode_command_template"), settings.fill("temperature_command_template")
    fill_power = settings.fill("power_command_template")
    payload_on, payload_off = settings.word("payload_on", "ON"), settings.word("payload_off", "OFF")

    def command(action: Action) -> tuple[Command, ...] | None:
        verb, data = _verb(action), action.data
        if verb == "set_temperature" and temperature_topic is not None and "temperature" in data:
            return (_told(temperature_topic, fill_temperature(value=data["temperature"])),)
        if verb in ("turn_on", "turn_off") and power_topic is not None:
            return (_told(power_topic, fill_power(value=payload_on if verb == "turn_on" else payload_off)),)
        mode = {"set_hvac_mode": data.get("hvac_mode"), "turn_off": "off", "turn_on": switched_on(modes)}.get(verb)
        return (_told(mode_topic, fill_mode(value=mode)),) if mode_topic is not None and mode in modes else None

    pick_mode, pick_temperature = settings.pick("mode_state_template"), settings.pick("temperature_state_template")
    pick_current = settings.pick("current_temperature_template")

    def read_mode(payload: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
        mode = pick_mode(payload)
        return {"state": mode} if mode is not None and (mode in modes or mode in _HVAC_MODES) else {}

    abilities = ({"temperature"} if temperature_topic is not None else set()) | ({"hvac_mode"} if modes else set())
    is_switched = power_topic is not None or ("off" in modes and switched_on(modes) is not None)
    mode_state_topic, temperature_state_topic = settings.topic("mode_state_topic"), settings.topic("temperature_state_topic")

    def read_temperature(payload: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
        readings = _if_known("temperature", scales.number_of(pick_temperature(payload)))
        # What tells no mode has only one; without a value its temperature could not be shown.
        return readings | ({"state": "heat"} if readings and mode_state_topic is None and "state" not in known else {})

    return Built(
        abilities=frozenset(abilities | ({"on_off"} if is_switched else set())),
        command=command,
        readings=[
            (mode_state_topic, read_mode),
            (temperature_state_topic, read_temperature),
            (
                settings.topic("current_temperature_topic"),
                lambda payload, _: _if_known("current_temperature", scales.number_of(pick_current(payload))),
            ),
        ],
        tells_state=mode_state_topic is not None or temperature_state_topic is not None,
        attributes={
            "min_temp": settings.number("min_temp", 7.0),
            "max_temp": settings.number("max_temp", 35.0),
            **({"hvac_modes": list(modes)} if modes else {}),
        },
    )


def _lock(settings: Settings) -> Built:
    if settings.has("code_format"):
        raise settings.error("code_format", "a lock without a code, which this program does not know", settings.values["code_format"])
    topic, fill = settings.needed_topic("command_topic"), settings.fill("command_template")
    payloads = {"lock": settings.word("payload_lock", "LOCK"), "unlock": settings.word("payload_unlock", "UNLOCK")}
    words = {settings.word(f"state_{word}", word.upper()): word for word in ("locked", "unlocked", "locking", "unlocking")}

    def command(action: Action) -> tuple[Command, ...] | None:
        verb = _verb(action)
        return (_told(topic, fill(value=payloads[verb])),) if verb in payloads else None

    return Built(
        abilities=frozenset({"lock_unlock"}),
        command=command,
        readings=[(settings.topic("state_topic"), _value_reading(settings.pick("value_template"), words))],
        tells_state=settings.has("state_topic"),
    )


BUILDERS: Mapping[str, Callable[[Settings], Built]] = {
    "light": _light,
    "switch": _switch,
    "cover": _cover,
    "fan": _fan,
    "climate": _climate,
    "lock": _lock,
}
"""The domains that are read."""


def _verb(action: Action) -> str:
    return action.service.partition(".")[2]


def _told(topic: str, payload: str) -> Command:
    return Command(topic=topic, payload=payload.encode())


def _on_off_of(settings: Settings) -> tuple[str, str, str]:
    return settings.needed_topic("command_topic"), settings.word("payload_on", "ON"), settings.word("payload_off", "OFF")


def _value_reading(pick: Callable[[str], str | None], words: Mapping[str, str]) -> Reading:
    """Return what reads a value out of words; the word None means that the device does not know."""

    def read(payload: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
        word = pick(payload)
        if word == "None":
            return {"state": None}
        return {"state": words[word]} if word is not None and word in words else {}

    return read


def _if_known(key: str, value: Any) -> dict[str, Any]:
    return {} if value is None else {key: value}


def _kelvin(value: Any, *, is_kelvin: bool) -> int | None:
    if not is_kelvin:
        return scales.kelvin_of_mired(value)
    number = scales.number_of(value)
    return None if number is None else round(number)


def _mireds(settings: Settings, *, has: bool) -> tuple[float, float, dict[str, Any]]:
    """Return the least and the largest mired, and the same in kelvin as attributes."""
    low, high = settings.number("min_mireds", 153.0), settings.number("max_mireds", 500.0)
    if settings.has("max_kelvin"):
        low = scales.MIRED / max(settings.number("max_kelvin", 6535.0), 1.0)
    if settings.has("min_kelvin"):
        high = scales.MIRED / max(settings.number("min_kelvin", 2000.0), 1.0)
    low = max(low, 1.0)
    high = max(high, low)
    limits = {"min_color_temp_kelvin": scales.kelvin_of_mired(high), "max_color_temp_kelvin": scales.kelvin_of_mired(low)}
    return low, high, limits if has else {}


def _color_object(mode: str, rgb: scales.Rgb) -> dict[str, Any]:
    red, green, blue = (int(one) for one in rgb)
    if mode in ("rgb", "rgbw", "rgbww"):
        whites = {"rgbw": {"w": 0}, "rgbww": {"c": 0, "w": 0}}.get(mode, {})
        return {"r": red, "g": green, "b": blue, **whites}
    numbers = scales.hs_of_rgb((red, green, blue)) if mode == "hs" else scales.xy_of_rgb((red, green, blue))
    return dict(zip(("h", "s") if mode == "hs" else ("x", "y"), numbers, strict=True))


def _color_command(way: tuple[str | None, Callable[..., str]], mode: str, rgb: scales.Rgb) -> Command:
    topic, fill = way
    names = {"rgb": ("red", "green", "blue"), "hs": ("hue", "sat"), "xy": ("x", "y")}[mode]
    values = _color_object(mode, rgb).values()
    return _told(topic or "", fill(**dict(zip(names, values, strict=True))))


def _color_reading(pick: Callable[[str], str | None], mode: str, keys: Sequence[str]) -> Reading:
    def read(payload: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
        parts = (pick(payload) or "").split(",")
        if len(parts) != len(keys):
            return {}
        rgb = scales.rgb_of_color(dict(zip(keys, parts, strict=True)))
        return {} if rgb is None else {"rgb_color": rgb, "color_mode": mode, "color_temp_kelvin": None}

    return read
