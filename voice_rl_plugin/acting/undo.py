"""Undo: the actions that bring back the states from before a decision, or the honest word that this cannot be done."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import EntityState, States

_DOORS = frozenset({"garage", "gate", "door"})
_INVERSE_TRACK = {"media_player.media_next_track": "media_player.media_previous_track", "media_player.media_previous_track": "media_player.media_next_track"}  # fmt: skip
_ON_OFF = frozenset({"switch", "input_boolean", "siren", "humidifier"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was so before a decision was carried out."""

    decision_id: str
    actions: tuple[Action, ...]
    """What was done."""
    states: States
    """The targets' states before; a target that is missing was unknown."""
    taken_at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What takes a decision back."""

    actions: tuple[Action, ...] = ()
    """In order; risky ones are never among them."""
    cannot: tuple[str, ...] = field(default=())
    """Entity ids that cannot be brought back: unknown before, not reversible, or only by a risky action."""

    @property
    def is_complete(self) -> bool:
        """Whether everything comes back."""
        return bool(self.actions) and not self.cannot


def take_snapshot(decision_id: str, actions: tuple[Action, ...], states: States, now: float) -> Snapshot:
    """Keep the states of all targets."""
    targets = {target for action in actions for target in action.targets}
    return Snapshot(decision_id=decision_id, actions=actions, states={t: states[t] for t in sorted(targets) if t in states}, taken_at=now)


def undo_actions(snapshot: Snapshot) -> Undo:
    """Return the actions that restore a snapshot, the last change first, like changes of several entities in one action.

    A lock is never unlocked and a door never opened by an undo: that would go round the confirmation of risky actions.
    """
    restored: dict[str, Action] = {}
    cannot: list[str] = []
    seen: set[str] = set()
    for action in reversed(snapshot.actions):
        for target in action.targets:
            if target in seen:
                continue
            seen.add(target)
            before = snapshot.states.get(target)
            inverse = _restore(target, before, [a for a in snapshot.actions if target in a.targets])
            if inverse is None:
                cannot.append(target)
                continue
            for one in inverse:
                key = Action(service=one.service, data=one.data).key
                known = restored.get(key)
                restored[key] = (
                    one
                    if known is None
                    else Action(service=one.service, targets=tuple(sorted({*known.targets, *one.targets})), data=one.data)
                )
        if not action.targets:
            cannot.append(action.service)
    return Undo(actions=tuple(restored.values()), cannot=tuple(cannot))


def _restore(target: str, before: EntityState | None, actions: list[Action]) -> list[Action] | None:
    domain = target.partition(".")[0]
    if all(action.service in _INVERSE_TRACK for action in actions):
        return [Action(service=_INVERSE_TRACK[action.service], targets=(target,)) for action in actions]
    if before is None:
        return None
    restorers = {
        "light": _light, "fan": _fan, "media_player": _media_player, "climate": _climate, "water_heater": _climate, "cover": _cover,
        "lock": _lock, "vacuum": _dock, "lawn_mower": _dock, "valve": _valve,
    }  # fmt: skip
    if domain in _ON_OFF and before.value in ("on", "off"):
        calls: _Calls = [("turn_on" if before.value == "on" else "turn_off", {})]
        if domain == "humidifier" and before.value == "on" and "humidity" in before.attributes:
            calls.append(("set_humidity", {"humidity": before.attributes["humidity"]}))
    elif domain in restorers:
        calls = restorers[domain](before, {action.service.partition(".")[2] for action in actions})
    else:
        calls = []
    return [Action(service=f"{domain}.{verb}", targets=(target,), data=values) for verb, values in calls] or None


_Calls = list[tuple[str, dict[str, object]]]


def _light(before: EntityState, verbs: set[str]) -> _Calls:  # noqa: ARG001
    if before.value == "off":
        return [("turn_off", {})]
    if before.value != "on":
        return []
    values: dict[str, object] = {}
    if before.attributes.get("brightness") is not None:
        values["brightness"] = before.attributes["brightness"]
    if before.attributes.get("color_mode") == "color_temp" and before.attributes.get("color_temp_kelvin") is not None:
        values["color_temp_kelvin"] = before.attributes["color_temp_kelvin"]
    elif before.attributes.get("rgb_color") is not None and before.attributes.get("color_mode") != "brightness":
        values["rgb_color"] = list(before.attributes["rgb_color"])
    return [("turn_on", values)]


def _fan(before: EntityState, verbs: set[str]) -> _Calls:  # noqa: ARG001
    if before.value == "off":
        return [("turn_off", {})]
    if before.value != "on":
        return []
    percentage = before.attributes.get("percentage")
    return [("turn_on", {})] if percentage is None else [("set_percentage", {"percentage": percentage})]


def _media_player(before: EntityState, verbs: set[str]) -> _Calls:
    calls: _Calls = []
    level, muted = before.attributes.get("volume_level"), before.attributes.get("is_volume_muted")
    if verbs & {"volume_set", "volume_up", "volume_down"}:
        if level is None:
            return []
        calls.append(("volume_set", {"volume_level": level}))
    if "volume_mute" in verbs:
        calls.append(("volume_mute", {"is_volume_muted": bool(muted)}))
    if verbs - {"volume_set", "volume_up", "volume_down", "volume_mute"}:
        if "play_media" in verbs and before.value == "playing":
            return []  # what was playing is gone
        verb = {"off": "turn_off", "standby": "turn_off", "playing": "media_play", "paused": "media_pause"}.get(before.value)
        if verb is None:
            verb = "turn_on" if verbs == {"turn_off"} else "media_stop"
        calls.append((verb, {}))
    return calls


def _climate(before: EntityState, verbs: set[str]) -> _Calls:
    calls: _Calls = []
    if verbs - {"set_temperature"}:
        calls.append(("turn_off", {}) if before.value == "off" else ("set_hvac_mode", {"hvac_mode": before.value}))
    if (temperature := before.attributes.get("temperature")) is not None:
        calls.append(("set_temperature", {"temperature": temperature}))
    elif "set_temperature" in verbs:
        return []
    return calls


def _cover(before: EntityState, verbs: set[str]) -> _Calls:  # noqa: ARG001
    position = before.attributes.get("current_position")
    is_shut = before.value == "closed" if position is None else position == 0
    if before.attributes.get("device_class") in _DOORS and not is_shut:
        return []
    if position is not None:
        return (
            [("set_cover_position", {"position": position})] if 0 < position < 100 else [("close_cover" if is_shut else "open_cover", {})]
        )
    return [(f"{'close' if is_shut else 'open'}_cover", {})] if before.value in ("open", "closed") else []


def _valve(before: EntityState, verbs: set[str]) -> _Calls:  # noqa: ARG001
    return [("close_valve", {})] if before.value == "closed" else []


def _lock(before: EntityState, verbs: set[str]) -> _Calls:  # noqa: ARG001
    return [("lock", {})] if before.value == "locked" else []


def _dock(before: EntityState, verbs: set[str]) -> _Calls:
    is_mower = "start_mowing" in verbs or "dock" in verbs
    if before.value in ("docked", "idle", "returning"):
        return [("dock" if is_mower else "return_to_base", {})]
    if before.value in ("cleaning", "mowing"):
        return [("start_mowing" if is_mower else "start", {})]
    return [("pause", {})] if before.value == "paused" else []


def snapshot_from_mapping(decision_id: str, actions: tuple[Action, ...], states: Mapping[str, EntityState]) -> Snapshot:
    """Make a snapshot again from stored states, after a restart."""
    return take_snapshot(decision_id, actions, states, 0.0)
