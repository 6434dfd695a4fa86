"""What Home Assistant does with a recognised intent, as service calls in this project's conventions.

    HassTurnOn {name: Hall Light}               ->  light.turn_on light.hall
    HassTurnOff {area: Kitchen, domain: light}  ->  light.turn_off, all exposed lights of the kitchen
    HassFanSetSpeed {name, percentage}          ->  fan.set_percentage   (Home Assistant itself calls fan.turn_on with a percentage)

Source: homeassistant 2026.11.0, helpers/intent.py (`async_match_targets`) and the intent.py of each integration. Departures, all to the
advantage of Home Assistant: where no device is known to be in the state that is required, an unknown state counts as that; an error that
says that several devices fit counts as a question; timers, lists, weather and broadcasts are taken to succeed; a "turn it off in ten
minutes" that becomes a timer with a command counts as nothing done now.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import Area, Entity, Floor, Home

Slots = Mapping[str, Any]
"""Slot values by name, as the recogniser gave them."""

_SWITCHED = frozenset(
    {"light", "switch", "fan", "media_player", "input_boolean", "climate", "humidifier", "water_heater", "siren", "script", "automation"}
)
"""Domains with turn_on and turn_off services; `scene` has turn_on alone."""
_ON_OFF_ABILITY = frozenset({"climate", "media_player", "water_heater"})
"""Domains in which turning on and off is a feature that a device can lack."""
_NOTHING = frozenset({"HassNevermind", "HassRespond"})
_QUESTIONS = frozenset({"HassGetState", "HassClimateGetTemperature"})
_KEYS = {"HassTurnOn": ("open_cover", "lock", "open_valve"), "HassTurnOff": ("close_cover", "unlock", "close_valve")}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Simple:
    """An intent that calls one service on everything that fits."""

    service: str
    ability: str
    state: str | None = None
    data: Mapping[str, Any] | None = None


_SIMPLE = {
    "HassMediaPause": _Simple(service="media_player.media_pause", ability="play_pause", state="playing"),
    "HassMediaUnpause": _Simple(service="media_player.media_play", ability=""),
    "HassMediaNext": _Simple(service="media_player.media_next_track", ability="next_previous", state="playing"),
    "HassMediaPrevious": _Simple(service="media_player.media_previous_track", ability="next_previous", state="playing"),
    "HassMediaPlayerMute": _Simple(service="media_player.volume_mute", ability="mute", data={"is_volume_muted": True}),
    "HassMediaPlayerUnmute": _Simple(service="media_player.volume_mute", ability="mute", data={"is_volume_muted": False}),
    "HassVacuumStart": _Simple(service="vacuum.start", ability="start_dock"),
    "HassVacuumReturnToBase": _Simple(service="vacuum.return_to_base", ability="start_dock"),
    "HassLawnMowerStartMowing": _Simple(service="lawn_mower.start_mowing", ability="start_dock"),
    "HassLawnMowerDock": _Simple(service="lawn_mower.dock", ability="start_dock"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What came of one intent."""

    outcome: str
    """`act`, `clarify` (several devices fit) or `reject`."""
    actions: tuple[Action, ...] = ()
    reason: str = ""


class _NoMatchError(Exception):
    def __init__(self, reason: str, *, is_ambiguous: bool = False) -> None:
        super().__init__(reason)
        self.is_ambiguous = is_ambiguous


def handle(home: Home, intent: str, slots: Slots, *, preferred_area: str | None = None) -> Handled:
    """Return what Home Assistant's handler of an intent does in a home.

    Args:
        home: the home.
        intent: `HassTurnOn`, ...
        slots: slot values; area, floor and name are ids, names or aliases.
        preferred_area: id of the speaker's area.
    """
    if intent in _NOTHING:
        return Handled(outcome="reject", reason="nothing to do")
    if intent == "HassStartTimer" and "conversation_command" in slots:
        return Handled(outcome="reject", reason="a command for later")
    try:
        actions = _Handler(home, slots, preferred_area).actions_of(intent)
    except _NoMatchError as failure:
        return Handled(outcome="clarify" if failure.is_ambiguous else "reject", reason=str(failure))
    return Handled(outcome="act", actions=actions, reason=intent)


def find_areas(home: Home, name: str) -> tuple[Area, ...]:
    """Return the areas with this id, name or alias."""
    return tuple(area for area in home.areas if area.id == name or _is_called(name, area))


def find_floors(home: Home, name: str) -> tuple[Floor, ...]:
    """Return the floors with this id, name or alias."""
    return tuple(floor for floor in home.floors if floor.id == name or _is_called(name, floor))


def _is_called(name: str, thing: Area | Floor | Entity) -> bool:
    wanted = name.strip().casefold()
    return any(own.strip().casefold() == wanted for own in (thing.name, *thing.aliases))


class _Handler:
    """One intent in one home."""

    def __init__(self, home: Home, slots: Slots, preferred_area: str | None) -> None:
        self._home = home
        self._slots = slots
        self._preferred_area = preferred_area

    def actions_of(self, intent: str) -> tuple[Action, ...]:
        if intent in ("HassTurnOn", "HassTurnOff"):
            return self._switched(intent)
        if intent in _SIMPLE:
            return self._simple(_SIMPLE[intent])
        if intent == "HassLightSet":
            return _together([_lit(entity, self._slots) for entity in self._match(domains=("light",))])
        if intent == "HassSetPosition":
            return self._positioned()
        if intent == "HassFanSetSpeed":
            fans = [entity for entity in self._match(domains=("fan",)) if "speed" in entity.abilities]
            return self._called(fans, "fan.set_percentage", {"percentage": int(self._slots["percentage"])})
        if intent == "HassClimateSetTemperature":
            return self._warmed()
        if intent == "HassSetVolume":
            level = int(self._slots["volume_level"]) / 100
            players = self._match(domains=("media_player",), ability="volume")
            return self._called(players, "media_player.volume_set", {"volume_level": level})
        if intent == "HassSetVolumeRelative":
            return self._louder()
        if intent in _QUESTIONS:
            domains = ("climate",) if intent == "HassClimateGetTemperature" else None
            return self._called(self._match(domains=domains), "query.state", {})
        if intent == "HassVacuumCleanArea":
            raise _NoMatchError("no vacuum of these homes cleans by area")
        if intent == "HassMediaSearchAndPlay":
            self._match(domains=("media_player",), is_single=True)
        return (Action(service=f"intent.{intent}"),)

    def _switched(self, intent: str) -> tuple[Action, ...]:
        cover, lock, valve = _KEYS[intent]
        power = "turn_on" if intent == "HassTurnOn" else "turn_off"
        calls: list[Action] = []
        for entity in self._match():
            domain = entity.domain
            service: str | None = None
            if domain == "cover":
                service = cover if "open_close" in entity.abilities else None
            elif domain == "lock":
                service = lock
            elif domain == "valve":
                service = valve
            elif domain in ("button", "input_button"):
                service = "press" if power == "turn_on" else None
            elif domain == "scene":
                service = power if power == "turn_on" else None
            elif domain in _SWITCHED:
                service = power if domain not in _ON_OFF_ABILITY or "on_off" in entity.abilities else None
            if service is not None:
                calls.append(Action(service=f"{domain}.{service}", targets=(entity.id,)))
        return _together(calls)

    def _simple(self, rule: _Simple) -> tuple[Action, ...]:
        domain = rule.service.partition(".")[0]
        return self._called(self._match(domains=(domain,), ability=rule.ability, state=rule.state), rule.service, rule.data or {})

    def _positioned(self) -> tuple[Action, ...]:
        position = int(self._slots["position"])
        services = {"cover": "cover.set_cover_position", "valve": "valve.set_valve_position"}
        able = [entity for entity in self._match() if entity.domain in services and "position" in entity.abilities]
        return _together([Action(service=services[e.domain], targets=(e.id,), data={"position": position}) for e in able])

    def _warmed(self) -> tuple[Action, ...]:
        temperature = float(self._slots["temperature"])
        entity = self._match(domains=("climate",), ability="temperature", is_single=True)[0]
        low, high = _temperature_limits(entity)
        if not low <= temperature <= high:
            raise _NoMatchError(f"{temperature} lies outside {low} to {high}")
        value = int(temperature) if temperature.is_integer() else temperature
        return self._called([entity], "climate.set_temperature", {"temperature": value})

    def _louder(self) -> tuple[Action, ...]:
        step = self._slots["volume_step"]
        is_up = step == "up" if isinstance(step, str) and step in ("up", "down") else float(step) > 0
        players: Sequence[Entity] = self._match(domains=("media_player",), ability="volume")
        if len(players) > 1 and "name" not in self._slots:
            players = [entity for entity in players if entity.state == "playing"]
        return self._called(players, "media_player.volume_up" if is_up else "media_player.volume_down", {})

    def _called(self, entities: Sequence[Entity], service: str, data: Mapping[str, Any]) -> tuple[Action, ...]:
        return _together([Action(service=service, targets=(entity.id,), data=data) for entity in entities])

    def _match(
        self, *, domains: Collection[str] | None = None, ability: str = "", state: str | None = None, is_single: bool = False
    ) -> tuple[Entity, ...]:
        """Return the entities that the slots mean.

        Source: `async_match_targets`; the default agent gives the speaker's area as a preference, never his floor.
        """
        slots = self._slots
        asked = _several(slots.get("domain")) or domains
        classes = _several(slots.get("device_class"))
        name = slots.get("name")
        fitting = [
            entity
            for entity in self._home.exposed
            if (asked is None or entity.domain in asked)
            and (not ability or ability in entity.abilities)
            and (not classes or entity.device_class in classes)
        ]
        if name == "all":
            name = None
        if name is not None:
            fitting = [entity for entity in fitting if entity.id == name or _is_called(str(name), entity)]
        if not any((name, slots.get("area"), slots.get("floor"), asked, classes)):
            raise _NoMatchError("the whole home is never a target")
        fitting = self._placed(fitting)
        if state is not None:
            fitting = [entity for entity in fitting if entity.state == state] or [entity for entity in fitting if entity.state is None]
        if not fitting:
            raise _NoMatchError("no device fits")
        if name is not None and len(fitting) > 1:
            fitting = [entity for entity in fitting if entity.area == self._preferred_area] if self._preferred_area else fitting
            if not fitting:
                raise _NoMatchError("no device of this name here")
            if len(fitting) > 1:
                raise _NoMatchError("several devices have this name", is_ambiguous=True)
        if is_single and len(fitting) > 1:
            near = [entity for entity in fitting if self._preferred_area and entity.area == self._preferred_area]
            if len(near) != 1:
                raise _NoMatchError("several devices fit", is_ambiguous=True)
            fitting = near
        return tuple(fitting)

    def _placed(self, entities: list[Entity]) -> list[Entity]:
        floor, area = self._slots.get("floor"), self._slots.get("area")
        if floor:
            floors = {found.id for found in find_floors(self._home, str(floor))}
            on_floor = {one.id for one in self._home.areas if one.floor in floors}
            entities = [entity for entity in entities if entity.area in on_floor]
        if area:
            areas = {found.id for found in find_areas(self._home, str(area))}
            entities = [entity for entity in entities if entity.area in areas]
        return entities


def _several(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (str(value),) if isinstance(value, str) else tuple(str(one) for one in value)


def _together(calls: Sequence[Action]) -> tuple[Action, ...]:
    """Join the calls that differ in their target alone.

    Raises:
        _NoMatchError: there is none: nothing that matched can do it.
    """
    if not calls:
        raise _NoMatchError("what matched cannot do this")
    joined: dict[str, Action] = {}
    for call in calls:
        key = Action(service=call.service, data=call.data).key
        targets = (*(joined[key].targets if key in joined else ()), *call.targets)
        joined[key] = Action(service=call.service, targets=tuple(sorted(targets)), data=call.data)
    return tuple(joined.values())


def _lit(entity: Entity, slots: Slots) -> Action:
    """Return the call on one light; Home Assistant drops what a light cannot do and turns it on."""
    data: dict[str, Any] = {}
    if "brightness" in slots and "brightness" in entity.abilities:
        level = int(slots["brightness"])
        if level == 0:
            return Action(service="light.turn_off", targets=(entity.id,))
        data["brightness_pct"] = level
    if "color" in slots and "color" in entity.abilities:
        data["color_name"] = str(slots["color"])
    if "temperature" in slots and entity.abilities & {"color_temp", "color"}:
        data["color_temp_kelvin"] = int(slots["temperature"])
    return Action(service="light.turn_on", targets=(entity.id,), data=data)


def _temperature_limits(entity: Entity) -> tuple[float, float]:
    """Return the lowest and highest target; without attributes Home Assistant's defaults, 7 to 35 degrees Celsius."""
    attributes = entity.attributes
    is_fahrenheit = str(attributes.get("temperature_unit", "")).endswith("F") or float(attributes.get("temperature") or 0) > 40
    low, high = (45.0, 95.0) if is_fahrenheit else (7.0, 35.0)
    return float(attributes.get("min_temp", low)), float(attributes.get("max_temp", high))
