"""Undo brings back the states from before, or says that it cannot."""

import pytest

from voice_rl_plugin.acting.undo import take_snapshot, undo_actions
from voice_rl_plugin.demo.devices import Devices
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import EntityState, Home

HOME = Home.from_mapping(
    {
        "entities": [
            {"id": "light.a", "name": "A", "state": "on", "attributes": {"brightness": 89, "rgb_color": [255, 0, 0], "color_mode": "rgb"}},
            {"id": "light.b", "name": "B"},
            {"id": "fan.f", "name": "F", "state": "on", "attributes": {"percentage": 40}},
            {"id": "media_player.m", "name": "M", "state": "playing", "attributes": {"volume_level": 0.35}},
            {"id": "climate.c", "name": "C", "state": "heat", "attributes": {"temperature": 21.5}},
            {"id": "cover.w", "name": "W", "state": "open", "attributes": {"current_position": 60}},
            {"id": "cover.g", "name": "G", "state": "open", "device_class": "garage"},
            {"id": "lock.l", "name": "L"},
            {"id": "vacuum.v", "name": "V"},
            {"id": "humidifier.h", "name": "H", "state": "on", "attributes": {"humidity": 40}},
            {"id": "switch.s", "name": "S"},
            {"id": "scene.x", "name": "X"},
        ]
    }
)


@pytest.mark.parametrize(
    "line",
    [
        "light.turn_off light.a light.b",
        "light.turn_on light.a light.b brightness_pct=10",
        "light.turn_on light.a color_name=blue",
        "fan.turn_off fan.f",
        "fan.set_percentage fan.f percentage=90",
        "media_player.volume_set media_player.m volume_level=0.9",
        "media_player.volume_mute media_player.m is_volume_muted=true",
        "media_player.media_pause media_player.m",
        "climate.turn_off climate.c",
        "climate.set_temperature climate.c temperature=25",
        "cover.close_cover cover.w",
        "lock.unlock lock.l",
        "vacuum.start vacuum.v",
        "humidifier.turn_off humidifier.h",
        "switch.toggle switch.s",
    ],
)
def test_undo_restores_the_states(line: str) -> None:
    """Doing and undoing leaves every device as it was."""
    devices, action = Devices(HOME), parse_action(line)
    before = {one: (state.value, dict(state.attributes)) for one, state in devices.states.items()}
    snapshot = take_snapshot("d1", (action,), dict(devices.states), 1.0)

    devices.call(action.service, action.targets, action.data, now=1.0)
    undo = undo_actions(snapshot)
    for one in undo.actions:
        devices.call(one.service, one.targets, one.data, now=2.0)

    after = {one: (state.value, dict(state.attributes)) for one, state in devices.states.items()}
    assert undo.is_complete
    assert {one for one in before if before[one] != after[one]} == set()


@pytest.mark.parametrize("line", ["scene.turn_on scene.x", "cover.close_cover cover.g", "light.turn_on light.unknown"])
def test_undo_says_that_it_cannot(line: str) -> None:
    """A scene, a garage door that would have to open, and a state that was unknown do not come back."""
    action = parse_action(line)

    undo = undo_actions(take_snapshot("d1", (action,), Devices(HOME).states, 1.0))

    assert not undo.actions
    assert undo.cannot == action.targets


def test_undo_never_unlocks() -> None:
    """Locking is not undone by unlocking: that would go round the confirmation."""
    snapshot = take_snapshot("d1", (parse_action("lock.lock lock.l"),), {"lock.l": EntityState(value="unlocked")}, 1.0)

    assert undo_actions(snapshot).cannot == ("lock.l",)


def test_undo_of_next_track_is_previous_track() -> None:
    """Some actions have an inverse that needs no state."""
    undo = undo_actions(take_snapshot("d1", (parse_action("media_player.media_next_track media_player.m"),), {}, 1.0))

    assert [one.to_line() for one in undo.actions] == ["media_player.media_previous_track media_player.m"]
