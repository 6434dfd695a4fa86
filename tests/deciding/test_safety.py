"""What is risky asks first, whoever says it."""

import pytest

from voice_rl_plugin.deciding.safety import any_risky, is_risky
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import Home

HOME = Home.from_mapping(
    {
        "entities": [
            {"id": "light.desk", "name": "Desk Lamp"},
            {"id": "lock.front", "name": "Front Door"},
            {"id": "lock.shed", "name": "Shed", "risky": False},
            {"id": "cover.garage", "name": "North", "device_class": "garage"},
            {"id": "cover.gate", "name": "院门"},
            {"id": "cover.blind", "name": "Blind", "device_class": "blind"},
            {"id": "switch.kiln", "name": "Kiln", "risky": True},
            {"id": "siren.roof", "name": "Roof"},
            {"id": "valve.main", "name": "Main"},
            {"id": "alarm_control_panel.home", "name": "Alarm"},
        ]
    }
)


@pytest.mark.parametrize(
    "line",
    [
        "lock.unlock lock.front",
        "cover.open_cover cover.garage",
        "cover.open_cover cover.gate",
        "cover.set_cover_position cover.garage position=10",
        "cover.toggle cover.garage",
        "valve.open_valve valve.main",
        "switch.turn_on switch.kiln",
        "siren.turn_on siren.roof",
        "alarm_control_panel.alarm_disarm alarm_control_panel.home",
        "cover.open_cover cover.blind cover.garage",
    ],
)
def test_risky(line: str) -> None:
    """Unlocking, a way into the home, water, disarming, a siren, and what its owner labelled are risky."""
    assert is_risky(parse_action(line), HOME)


@pytest.mark.parametrize(
    "line",
    [
        "light.turn_on light.desk",
        "lock.lock lock.front",
        "lock.unlock lock.shed",
        "cover.close_cover cover.garage",
        "cover.stop_cover cover.gate",
        "cover.set_cover_position cover.garage position=0",
        "cover.open_cover cover.blind",
        "valve.close_valve valve.main",
        "switch.turn_off switch.kiln",
        "siren.turn_off siren.roof",
        "alarm_control_panel.alarm_arm_away alarm_control_panel.home",
        "query.state lock.front",
        "intent.HassStartTimer duration=5",
        "lock.unlock lock.nowhere",
    ],
)
def test_not_risky(line: str) -> None:
    """Closing, locking, switching off and asking make nothing less safe; an owner's label beats the rule."""
    assert not is_risky(parse_action(line), HOME)


def test_one_risky_action_makes_all_risky() -> None:
    """A compound is as risky as its riskiest part."""
    lamp, door = parse_action("light.turn_on light.desk"), parse_action("lock.unlock lock.front")

    assert any_risky([lamp, door], HOME)
    assert not any_risky([lamp], HOME)
    assert not any_risky([], HOME)
