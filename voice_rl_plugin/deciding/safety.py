"""What is risky: it always asks first, is never explored, and is never learned by heart."""

from collections.abc import Iterable

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import Entity, Home
from voice_rl_plugin.understanding.kinds import is_door

_CALMING = frozenset(
    "turn_off close_cover close_valve lock stop_cover stop media_stop media_pause pause return_to_base dock alarm_arm_away alarm_arm_home "
    "alarm_arm_night volume_down volume_mute decrease_speed".split()
)
"""Services that make a home safer: a risky device may be switched off without asking."""
_RISKY_SERVICES = frozenset({"unlock", "alarm_disarm", "open_valve"})
_RISKY_DOMAINS = frozenset({"siren", "alarm_control_panel"})


def is_risky(action: Action, home: Home) -> bool:
    """Whether an action unlocks, opens a way into the home, disarms, or uses a device that its owner labelled risky."""
    return action.is_dispatched and any(_is_risky_for(action, home.entity_by_id[i]) for i in action.targets if i in home.entity_by_id)


def any_risky(actions: Iterable[Action], home: Home) -> bool:
    """Whether any of the actions is risky."""
    return any(is_risky(action, home) for action in actions)


def is_risky_entity(entity: Entity) -> bool:
    """Whether something done to an entity may be risky: it is never named by a correction alone."""
    return bool(entity.risky) or entity.domain in _RISKY_DOMAINS or entity.domain in ("lock", "valve") or is_door(entity)


def _is_risky_for(action: Action, entity: Entity) -> bool:
    service = action.service.partition(".")[2]
    if service in _CALMING or entity.risky is False:
        return False
    if service == "set_cover_position" and action.data.get("position") == 0:
        return False
    return bool(entity.risky) or service in _RISKY_SERVICES or entity.domain in _RISKY_DOMAINS or is_door(entity)
