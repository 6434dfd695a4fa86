"""What each service is expected to do."""

import pytest

from voice_rl_plugin.acting.effects import expected_effect
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import EntityState


def state(value: str, **attributes: object) -> EntityState:
    """Make a state."""
    return EntityState(value=value, attributes=attributes)


@pytest.mark.parametrize(
    ("line", "before", "right", "wrong"),
    [
        ("light.turn_on light.a", state("off"), state("on", brightness=9), state("off")),
        ("light.turn_on light.a brightness_pct=35", state("off"), state("on", brightness=89), state("on", brightness=120)),
        ("light.turn_on light.a brightness_pct=0", state("on"), state("off"), state("on", brightness=9)),
        ("light.turn_on light.a brightness_step_pct=-20", state("on", brightness=100), state("on", brightness=49), state("on", brightness=100)),
        ("light.turn_on light.a brightness_step_pct=50", state("on", brightness=250), state("on", brightness=255), state("off")),
        ("light.turn_on light.a color_name=red", state("on"), state("on", rgb_color=[255, 3, 0]), state("on", rgb_color=[0, 0, 255])),
        ("light.turn_on light.a color_temp_kelvin=2200", state("on", min_color_temp_kelvin=2700), state("on", color_temp_kelvin=2700, min_color_temp_kelvin=2700), state("on", color_temp_kelvin=6000)),
        ("light.turn_off light.a", state("on"), state("off"), state("on")),
        ("light.toggle light.a", state("on"), state("off"), state("on")),
        ("switch.turn_on switch.a", state("off"), state("on"), state("off")),
        ("fan.set_percentage fan.a percentage=50", state("on", percentage_step=33.3), state("on", percentage=66), state("on", percentage=0)),
        ("fan.turn_on fan.a percentage=50", state("off"), state("on", percentage=50), state("on", percentage=100)),
        ("fan.increase_speed fan.a", state("on", percentage=20), state("on", percentage=40), state("on", percentage=20)),
        ("media_player.volume_set media_player.a volume_level=0.4", state("idle"), state("idle", volume_level=0.41), state("idle", volume_level=0.6)),
        ("media_player.volume_up media_player.a", state("idle", volume_level=0.4), state("idle", volume_level=0.5), state("idle", volume_level=0.3)),
        ("media_player.volume_up media_player.a", state("idle", volume_level=1.0), state("idle", volume_level=1.0), state("idle", volume_level=0.3)),
        ("media_player.volume_mute media_player.a is_volume_muted=true", state("idle"), state("idle", is_volume_muted=True), state("idle", is_volume_muted=False)),
        ("media_player.media_pause media_player.a", state("playing"), state("paused"), state("playing")),
        ("media_player.turn_on media_player.a", state("off"), state("idle"), state("off")),
        ("climate.set_temperature climate.a temperature=21", state("heat"), state("heat", temperature=21.0), state("heat", temperature=20)),
        ("climate.set_hvac_mode climate.a hvac_mode=cool", state("off"), state("cool"), state("heat")),
        ("climate.turn_off climate.a", state("heat"), state("off"), state("heat")),
        ("cover.open_cover cover.a", state("closed"), state("opening"), state("closed")),
        ("cover.set_cover_position cover.a position=30", state("open", current_position=100), state("closing", current_position=90), state("open", current_position=100)),
        ("lock.lock lock.a", state("unlocked"), state("locking"), state("unlocked")),
        ("vacuum.return_to_base vacuum.a", state("cleaning"), state("returning"), state("cleaning")),
        ("scene.turn_on scene.a", state("2026-01-01T00:00:00"), state("2026-01-02T00:00:00"), state("2026-01-01T00:00:00")),
        ("homeassistant.turn_off switch.a", state("on"), state("off"), state("on")),
    ],
)  # fmt: skip
def test_effect_is_seen_only_in_the_right_state(line: str, before: EntityState, right: EntityState, wrong: EntityState) -> None:
    """Each service has its own expected state, with a slack for how devices round."""
    action = parse_action(line)

    effect = expected_effect(action, action.targets[0], before)

    assert effect.is_seen_in(right)
    assert not effect.is_seen_in(wrong)
    assert not effect.is_seen_in(None)
