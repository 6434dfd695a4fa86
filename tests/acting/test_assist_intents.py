"""What Home Assistant's own intents can do exactly."""

import datetime as dt

import jinja2
import pytest

from voice_rl_plugin.acting.assist_intents import assist_intent, parse_duration
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.home import EntityState

PLAYING = {"media_player.radio": EntityState(value="playing"), "media_player.tv": EntityState(value="paused")}


@pytest.mark.parametrize(
    ("line", "name", "slots"),
    [
        ("light.turn_on light.lamp", "HassTurnOn", {"name": "light.lamp"}),
        ("switch.turn_off switch.tv", "HassTurnOff", {"name": "switch.tv"}),
        ("cover.open_cover cover.blind", "HassTurnOn", {"name": "cover.blind"}),
        ("scene.turn_on scene.movie", "HassTurnOn", {"name": "scene.movie"}),
        ("light.turn_on light.lamp brightness_pct=30", "HassLightSet", {"name": "light.lamp", "brightness": 30}),
        (
            "light.turn_on light.lamp color_name=red brightness_pct=5",
            "HassLightSet",
            {"name": "light.lamp", "color": "red", "brightness": 5},
        ),
        ("light.turn_on light.lamp color_temp_kelvin=2700", "HassLightSet", {"name": "light.lamp", "temperature": 2700}),
        ("cover.set_cover_position cover.blind position=40", "HassSetPosition", {"name": "cover.blind", "position": 40}),
        ("climate.set_temperature climate.x temperature=21.5", "HassClimateSetTemperature", {"name": "climate.x", "temperature": 21.5}),
        ("fan.set_percentage fan.x percentage=66", "HassFanSetSpeed", {"name": "fan.x", "percentage": 66}),
        (
            "media_player.volume_set media_player.radio volume_level=0.3",
            "HassSetVolume",
            {"name": "media_player.radio", "volume_level": 30},
        ),
        ("media_player.media_pause media_player.radio", "HassMediaPause", {"name": "media_player.radio"}),
        ("media_player.media_play media_player.tv", "HassMediaUnpause", {"name": "media_player.tv"}),
        ("vacuum.start vacuum.x", "HassVacuumStart", {"name": "vacuum.x"}),
        ("intent.HassGetWeather", "HassGetWeather", {}),
        ("intent.HassCancelTimer", "HassCancelTimer", {}),
        ("intent.HassStartTimer duration=five minutes", "HassStartTimer", {"minutes": 5}),
        ("intent.HassCancelTimer duration=十分钟", "HassCancelTimer", {"start_minutes": 10}),
        ("intent.HassShoppingListAddItem item=milk", "HassShoppingListAddItem", {"item": "milk"}),
    ],
)
def test_exact_actions_become_intents(line: str, name: str, slots: dict[str, object]) -> None:
    """One absolute action on one entity is the intent that does just that, named by the entity's id."""
    intent = assist_intent(parse_action(line), states=PLAYING, language="en", done="Done.")

    assert intent is not None
    assert (intent.name, intent.slots) == (name, slots)
    assert intent.text


@pytest.mark.parametrize(
    "line",
    [
        "light.turn_on light.a light.b",
        "light.turn_on light.lamp brightness_step_pct=-20",
        "light.turn_on light.lamp brightness_pct=30 effect=rainbow",
        "light.turn_on light.lamp brightness_pct=130",
        "light.toggle light.lamp",
        "lock.unlock lock.front",
        "lock.lock lock.front",
        "media_player.volume_up media_player.radio",
        "media_player.volume_set media_player.tv volume_level=0.3",
        "media_player.media_pause media_player.unknown",
        "media_player.volume_set media_player.radio volume_level=0.333",
        "intent.HassStartTimer",
        "intent.HassStartTimer duration=a while",
        "intent.HassListAddItem item=milk",
        "intent.HassBroadcast",
        "query.state light.lamp",
    ],
)
def test_everything_else_is_ours(line: str) -> None:
    """Several targets, steps, keys without a slot, locks, and media in the wrong state are not handed over."""
    assert assist_intent(parse_action(line), states=PLAYING, language="en", done="Done.") is None


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("five minutes", {"minutes": 5}),
        ("90 seconds", {"minutes": 1, "seconds": 30}),
        ("an hour and a half", {"hours": 1, "minutes": 30}),
        ("one and a half hours", {"hours": 1, "minutes": 30}),
        ("half an hour", {"minutes": 30}),
        ("two hours and ten minutes", {"hours": 2, "minutes": 10}),
        ("twenty five min", {"minutes": 25}),
        ("十分钟", {"minutes": 10}),
        ("一个半小时", {"hours": 1, "minutes": 30}),
        ("半小时", {"minutes": 30}),
        ("两分半", {"minutes": 2, "seconds": 30}),
        ("1小时20分钟", {"hours": 1, "minutes": 20}),
        ("四十五秒", {"seconds": 45}),
        ("a while", None),
        ("five", None),
        ("until five", None),
        ("five minutes or so", None),
        ("一会儿", None),
        ("十点", None),
        ("99999 hours", None),
        ("", None),
    ],
)
def test_durations_are_read_whole_or_not_at_all(text: str, length: dict[str, int] | None) -> None:
    """A length of time is hours, minutes and seconds, in English and Chinese; what is not understood whole is left alone."""
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    ("service", "data", "english", "chinese"),
    [
        ("HassGetCurrentDate", {}, "Tuesday, 24 November 2026", "2026年11月24日，星期二"),
        ("HassGetCurrentTime", {}, "07:05", "7点5分"),
        ("HassGetWeather", {}, "partly cloudy, 11 °C.", "多云，11°C。"),
        ("HassTimerStatus", {}, "2 minutes 5 seconds left.", "还剩2分5秒。"),
        ("HassShoppingListAddItem", {"item": "{{ milk }}"}, "Added {{ milk }}.", "加上了{{ milk }}。"),
    ],
)
def test_what_home_assistant_says_renders(service: str, data: dict[str, object], english: str, chinese: str) -> None:
    """What is said afterwards are templates over Home Assistant's slots and state; words of the speaker are never rendered."""
    timer = {"rounded_hours_left": 0, "rounded_minutes_left": 2, "rounded_seconds_left": 5}
    weather = {"state": "partlycloudy", "attributes": {"temperature": 11, "temperature_unit": "°C"}}
    slots = {"date": dt.date(2026, 11, 24), "time": dt.time(7, 5), "timers": [timer]} | data
    texts = []
    for language in ("en", "zh"):
        intent = assist_intent(Action(service=f"intent.{service}", data=data), states={}, language=language, done="")
        assert intent is not None
        texts.append(" ".join(jinja2.Environment(autoescape=True).from_string(intent.text).render(slots=slots, state=weather).split()))

    assert texts == [english, chinese]
