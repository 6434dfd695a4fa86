"""Home Assistant's own intents: which one does exactly what an action does, so that Home Assistant may carry it out.

light.turn_on light.desk brightness_pct=30    ->  HassLightSet {name: light.desk, brightness: 30}
intent.HassStartTimer duration=five minutes   ->  HassStartTimer {minutes: 5}

A name is always an entity id: Home Assistant takes it for a name, and nothing else can have it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import States
from voice_rl_plugin.understanding.numbers import parse_value
from voice_rl_plugin.understanding.text import is_han, tokenise

_ON_OFF = frozenset({"light", "switch", "fan", "input_boolean", "humidifier", "media_player", "climate", "siren"})
_PLAIN: Mapping[str, str] = {
    "scene.turn_on": "HassTurnOn",
    "script.turn_on": "HassTurnOn",
    "cover.open_cover": "HassTurnOn",
    "cover.close_cover": "HassTurnOff",
    "vacuum.start": "HassVacuumStart",
    "vacuum.return_to_base": "HassVacuumReturnToBase",
} | {f"{domain}.turn_{verb.lower()}": f"HassTurn{verb}" for domain in _ON_OFF for verb in ("On", "Off")}
"""Services without data that an intent does as they do."""
_SLOTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "light.turn_on": ("HassLightSet", {"brightness_pct": "brightness", "color_name": "color", "color_temp_kelvin": "temperature"}),
    "cover.set_cover_position": ("HassSetPosition", {"position": "position"}),
    "climate.set_temperature": ("HassClimateSetTemperature", {"temperature": "temperature"}),
    "fan.set_percentage": ("HassFanSetSpeed", {"percentage": "percentage"}),
    "media_player.volume_set": ("HassSetVolume", {"volume_level": "volume_level"}),
}
"""Services with data: the intent, and its slot for each key of the data."""
_MEDIA: Mapping[str, tuple[str, str]] = {
    "media_player.media_pause": ("HassMediaPause", "playing"),
    "media_player.media_play": ("HassMediaUnpause", "paused"),
    "media_player.media_next_track": ("HassMediaNext", "playing"),
    "media_player.media_previous_track": ("HassMediaPrevious", "playing"),
}
"""Home Assistant refuses these in any other state. Source: homeassistant/components/media_player/intent.py."""
_MEDIA_STATES = dict(_MEDIA.values()) | {"HassSetVolume": "playing"}

_LEFT = (
    "{% set left = slots.timers | first %}{% if not left %}NONE{% else %}"
    "{% set h, m, s = left.rounded_hours_left, left.rounded_minutes_left, left.rounded_seconds_left %}LEFT{% endif %}"
)
_SPEECH: Mapping[str, tuple[str, str]] = {
    "HassStartTimer": ("Timer started.", "计时开始了。"),
    "HassCancelTimer": ("Timer cancelled.", "计时器取消了。"),
    "HassPauseTimer": ("Timer paused.", "计时器暂停了。"),
    "HassTimerStatus": (
        _LEFT.replace("NONE", "There is no timer.").replace(
            "LEFT", "{% if h %}{{ h }} hours {% endif %}{% if m %}{{ m }} minutes {% endif %}{% if s %}{{ s }} seconds {% endif %}left."
        ),
        _LEFT.replace("NONE", "没有计时器。").replace(
            "LEFT", "还剩{% if h %}{{ h }}小时{% endif %}{% if m %}{{ m }}分{% endif %}{% if s %}{{ s }}秒{% endif %}。"
        ),
    ),
    "HassShoppingListAddItem": ("Added {{ slots.item }}.", "加上了{{ slots.item }}。"),
    "HassGetWeather": (
        "{{ state.state | replace('-', ' ') | replace('partlycloudy', 'partly cloudy') }}, {{ state.attributes.temperature }} {{ state.attributes.temperature_unit }}.",
        (
            "{{ {'sunny': '晴', 'clear-night': '晴', 'cloudy': '阴', 'partlycloudy': '多云', 'rainy': '有雨', 'pouring': '大雨', 'snowy': '有雪', "
            "'fog': '有雾', 'windy': '有风', 'lightning': '雷电', 'lightning-rainy': '雷雨', 'hail': '冰雹', 'snowy-rainy': '雨夹雪'}"
            ".get(state.state, state.state) }}，{{ state.attributes.temperature }}{{ state.attributes.temperature_unit }}。"
        ),
    ),
    "HassGetCurrentTime": ("{{ slots.time.strftime('%H:%M') }}", "{{ slots.time.hour }}点{{ slots.time.minute }}分"),
    "HassGetCurrentDate": (
        "{{ slots.date.strftime('%A, %-d %B %Y') }}",
        "{{ slots.date.year }}年{{ slots.date.month }}月{{ slots.date.day }}日，星期{{ '一二三四五六日'[slots.date.weekday()] }}",
    ),
    "HassBroadcast": ("Announced.", "广播了。"),
}
"""What Home Assistant says afterwards, in English and Chinese: its own templates, which see `slots` and `state`."""

_UNITS: Mapping[str, str] = {
    **dict.fromkeys(("hour", "hours", "小时", "钟头"), "hours"),
    **dict.fromkeys(("minute", "minutes", "min", "mins", "分钟", "分"), "minutes"),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "秒", "秒钟"), "seconds"),
}
_IN_SECONDS = {"hours": 3600, "minutes": 60, "seconds": 1}
_HAN_LENGTH = re.compile(r"(\d+(?:\.\d+)?|[零〇一二两三四五六七八九十百]+|半)个?(半)?(小时|钟头|分钟|分|秒钟|秒)(半)?")
_MAX_TIMER_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistIntent:
    """One intent of Home Assistant, ready to be handed to it."""

    name: str
    slots: Mapping[str, Any] = field(default_factory=dict)
    text: str
    """What Home Assistant says when it worked; may be one of its templates."""


def assist_intent(action: Action, *, states: States, language: str, done: str) -> AssistIntent | None:
    """Return the intent that does exactly the same, or None when there is none: then the action is ours to carry out.

    Args:
        action: one action; a step, several targets, or a key that no intent has give None.
        states: the live states; Home Assistant's intents for media want a certain one.
        language: `en` or `zh`, of what is said afterwards.
        done: what is said of a device when it worked.
    """
    if action.domain == "intent":
        return _own_intent(action, language)
    if len(action.targets) != 1:
        return None
    name = {"name": action.targets[0]}
    if not action.data:
        intent = _PLAIN.get(action.service) or _MEDIA.get(action.service, (None,))[0]
        return AssistIntent(name=intent, slots=name, text=done) if intent and _fits_state(intent, action, states) else None
    intent, keys = _SLOTS.get(action.service, ("", {}))
    if not intent or not set(action.data) <= set(keys) or not _fits_state(intent, action, states):
        return None
    slots = {keys[key]: _slot_value(key, value) for key, value in action.data.items()}
    return None if None in slots.values() else AssistIntent(name=intent, slots=name | slots, text=done)


def parse_duration(text: str) -> Mapping[str, int] | None:
    """Return a length of time as hours, minutes and seconds; None when any word of it is not understood."""
    seconds = _han_seconds(text) if any(is_han(one) for one in text) else _english_seconds([one.text for one in tokenise(text)])
    if seconds is None or not float(seconds).is_integer() or not 0 < seconds <= _MAX_TIMER_S:
        return None
    whole = int(seconds)
    parts = {"hours": whole // 3600, "minutes": whole % 3600 // 60, "seconds": whole % 60}
    return {unit: number for unit, number in parts.items() if number}


def _own_intent(action: Action, language: str) -> AssistIntent | None:
    """Return an intent that is Home Assistant's anyhow, if its slots can be filled as Home Assistant wants them."""
    intent = action.service.partition(".")[2]
    slots: dict[str, Any] = {key: value for key, value in action.data.items() if value not in (None, "")}
    duration = slots.pop("duration", None)
    if duration is not None:
        length = parse_duration(str(duration))
        if length is None:
            return None
        slots |= {unit if intent == "HassStartTimer" else f"start_{unit}": number for unit, number in length.items()}
    needed = {"HassStartTimer": ("hours", "minutes", "seconds"), "HassShoppingListAddItem": ("item",), "HassBroadcast": ("message",)}
    if intent not in _SPEECH or (intent in needed and not set(slots) & set(needed[intent])):
        return None
    return AssistIntent(name=intent, slots=slots, text=_SPEECH[intent][language.startswith("zh")])


def _fits_state(intent: str, action: Action, states: States) -> bool:
    wanted = _MEDIA_STATES.get(intent)
    state = states.get(action.targets[0])
    return wanted is None or (state is not None and state.value == wanted)


def _slot_value(key: str, value: Any) -> Any:
    """Return a value as the slot wants it; None when it cannot hold it."""
    if isinstance(value, bool):
        return None
    if key == "color_name":
        return value if isinstance(value, str) and value else None
    if not isinstance(value, (int, float)):
        return None
    if key == "temperature":
        return value
    number = value * 100 if key == "volume_level" else value
    whole = round(number)
    is_in_range = whole > 0 if key == "color_temp_kelvin" else 0 <= whole <= 100
    return whole if abs(number - whole) < 1e-6 and is_in_range else None


def _han_seconds(text: str) -> float | None:
    plain = "".join(one.text for one in tokenise(text))
    total, end = 0.0, 0
    for found in _HAN_LENGTH.finditer(plain):
        if found.start() != end:
            return None
        unit = _IN_SECONDS[_UNITS[found[3]]]
        value = None if found[1] == "半" else parse_value([found[1]])
        if found[1] != "半" and value is None:
            return None
        total += ((value.amount if value is not None else 0.5) + (0.5 if found[2] or found[4] else 0.0)) * unit
        end = found.end()
    return total if end == len(plain) and end else None


def _english_seconds(words: list[str]) -> float | None:
    total, number, unit = 0.0, list[str](), 0
    for word in words:
        if word in _UNITS:
            amount = _english_amount(number)
            if amount is None:
                return None
            unit = _IN_SECONDS[_UNITS[word]]
            total += amount * unit
            number = []
        elif word not in (",", "and", "for") or (word == "and" and number):
            number.append(word)
    if number in (["a", "half"], ["half"]) and unit:  # an hour and a half
        return total + unit / 2
    return total if unit and not number else None


def _english_amount(words: list[str]) -> float | None:
    if words in (["a"], ["an"], ["one"]):
        return 1.0
    if words in (["half", "a"], ["half", "an"], ["half"]):
        return 0.5
    if words[-3:] == ["and", "a", "half"]:
        whole = _english_amount(words[:-3])
        return None if whole is None else whole + 0.5
    value = parse_value(words) if words else None
    return value.amount if value is not None and value.unit == "none" else None
