"""Devices and groups of zigbee2mqtt, from what it keeps retained about itself.

<base>/bridge/devices            [{"ieee_address", "friendly_name", "definition": {"exposes": [...]}}]
<base>/bridge/groups             [{"id", "friendly_name", "members": [{"ieee_address", "endpoint"}]}]
<base>/bridge/state              {"state": "online"}, in older versions online
<base>/<friendly name>           {"state": "ON", "brightness": 215, "color_temp": 325}
<base>/<friendly name>/set       the same, to be done
<base>/<friendly name>/get       {"state": ""}, to be told
<base>/<friendly name>/availability   {"state": "online"}

Source: zigbee2mqtt.io, guide/usage: "MQTT topics and messages" and "Exposes".
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import Area, Entity, usual_abilities
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.homes import scales
from voice_rl_plugin.homes.devices import (
    Command,
    Device,
    Presence,
    decode,
    free_id,
    is_plain_topic,
    object_id_of,
    spoken_name,
    switched_on,
)

_LOGGER = logging.getLogger(__name__)

MAX_BYTES = 16_000_000
"""A list of a thousand devices has some megabytes; more than this is none."""
MAX_DEVICES = 2000
_PUBLISHED, _SETTABLE, _GETTABLE = 1, 2, 4
"""Bits of `access`."""
_LOCK_OF_BUTTONS = frozenset({"child_lock", "keypad_lockout"})
"""Locks that lock no door."""
_ASKED_FOR = frozenset({"state", "brightness", "position", "mode", "system_mode", "occupied_heating_setpoint", "current_heating_setpoint"})
"""Features that are asked for while nothing is known of a device."""
_SPEEDS = ("low", "medium", "high", *"123456789")
"""Modes of a fan that are speeds, slowest first."""
_OPENING = frozenset({"opening", "open", "forward", "up", "rising"})
_CLOSING = frozenset({"closing", "close", "backward", "back", "reverse", "down", "declining"})
_PLUG = ("plug", "outlet", "socket")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Feature:
    """One property of an expose."""

    name: str
    key: str
    """Of the payload."""
    access: int
    row: Row

    @property
    def can_set(self) -> bool:
        """Whether it takes commands."""
        return bool(self.access & _SETTABLE)

    def number(self, key: str, default: float) -> float:
        """Return one of its numbers."""
        found = scales.number_of(self.row.get(key))
        return default if found is None or (key == "value_max" and found <= 0) else found

    def word(self, key: str, default: str) -> Any:
        """Return what it writes for on or off."""
        found = self.row.get(key)
        return default if found is None else found

    @property
    def values(self) -> tuple[str, ...]:
        """Return the words of an enumeration."""
        found = self.row.get("values")
        return tuple(str(one) for one in found) if isinstance(found, list) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """What a domain makes of its features."""

    attributes: Mapping[str, Any]
    read: Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]
    """From the JSON object and what was read before to new readings."""
    write: Callable[[Action], Mapping[str, Any] | None]
    """From an action to what goes to `/set`."""
    tells_state: bool
    abilities: frozenset[str] | None = None
    """None leaves them to the attributes."""


@dataclass(slots=True)
class Zigbee2Mqtt:
    """The devices of one zigbee2mqtt, kept up to date by its retained messages.

    Args:
        base: its base topic.
        own_prefix: of our own topics, where no device may be.
    """

    base: str
    own_prefix: str
    devices: tuple[Device, ...] = ()
    areas: tuple[Area, ...] = ()
    left_out: tuple[str, ...] = ()
    """What is not addressed, and why, one line each."""
    _device_rows: Sequence[Row] = field(default=())
    _group_rows: Sequence[Row] = field(default=())

    @property
    def topics(self) -> tuple[str, ...]:
        """Return what must be heard for the devices to be known."""
        return (f"{self.base}/bridge/devices", f"{self.base}/bridge/groups")

    def on_message(self, topic: str, payload: bytes) -> bool:
        """Take a list of devices or of groups; return whether the home is another one now.

        Raises:
            MessageError: it is no list; what was known is kept.
        """
        rows = _rows(topic, payload)
        if topic.endswith("/devices"):
            self._device_rows = rows
        else:
            self._group_rows = rows
        before = [(one.entity, one.source) for one in self.devices]
        self._build()
        return before != [(one.entity, one.source) for one in self.devices]

    def _build(self) -> None:
        self.devices, self.areas, left_out = (), (), list[str]()
        taken: dict[str, Device] = {}
        areas: dict[str, Area] = {}
        by_address: dict[str, list[Device]] = {}
        for row in sorted(self._device_rows[:MAX_DEVICES], key=lambda one: str(one.get("ieee_address"))):
            address = str(row.get("ieee_address"))
            for device in self._devices_of(row, areas, left_out):
                entity_id = free_id(device.entity.id, taken)
                taken[entity_id] = _renamed(device, entity_id)
                by_address.setdefault(address, []).append(taken[entity_id])
        group_areas = self._take_groups(taken, areas, by_address, left_out)
        for entity_id, area in group_areas.items():
            taken[entity_id] = _placed(taken[entity_id], area)
        for line in left_out:
            if line not in self.left_out:
                _LOGGER.warning("%s", line)
        self.devices, self.areas, self.left_out = tuple(taken.values()), tuple(areas.values()), tuple(left_out)

    def _devices_of(self, row: Row, areas: dict[str, Area], left_out: list[str]) -> Iterable[Device]:
        """Yield what one device is; most are one entity, sensors are none."""
        if row.get("type") == "Coordinator" or row.get("disabled") is True:
            return
        name, address, definition = row.get("friendly_name"), row.get("ieee_address"), row.get("definition")
        if not isinstance(name, str) or not isinstance(address, str) or not self._is_usable(name):
            left_out.append(
                f"{self.base}: {str(name)[:80]!r} was left out: expected a friendly_name that can be a topic, and an ieee_address"
            )
            return
        exposes = definition.get("exposes") if isinstance(definition, Mapping) else None
        if not isinstance(definition, Mapping) or not isinstance(exposes, list):
            left_out.append(f"{self.base}: {name!r} was left out: zigbee2mqtt does not support it, so nobody knows what it can do")
            return
        is_plug = any(one in str(definition.get("description")).casefold() for one in _PLUG)
        for expose in exposes:
            if (
                not isinstance(expose, Mapping)
                or str(expose.get("type")) not in _BUILDERS
                or expose.get("category") in ("config", "diagnostic")
            ):
                continue
            domain, endpoint = str(expose["type"]), expose.get("endpoint")
            features = _features(expose)
            if "state" in features and features["state"].key in _LOCK_OF_BUTTONS:
                continue
            build = _BUILDERS[domain](features, [one for one in exposes if isinstance(one, Mapping)])
            if build is None or build.abilities == frozenset():
                continue
            yield self._make(
                name,
                domain=domain,
                key=address,
                endpoint=str(endpoint) if endpoint else "",
                build=build,
                areas=areas,
                asked_for=() if row.get("power_source") in ("Battery", None) else _gettable(features),
                device_class="outlet" if is_plug and domain == "switch" else None,
            )

    def _take_groups(
        self, taken: dict[str, Device], areas: dict[str, Area], by_address: Mapping[str, list[Device]], left_out: list[str]
    ) -> dict[str, str]:
        """Add the groups; return the areas that members get from the only group that says one."""
        told: dict[str, set[str]] = {}
        for row in self._group_rows[:MAX_DEVICES]:
            name, rows = row.get("friendly_name"), row.get("members")
            if not isinstance(name, str) or not self._is_usable(name) or not isinstance(rows, list):
                left_out.append(
                    f"{self.base}: group {str(name)[:80]!r} was left out: expected a friendly_name that can be a topic, and members"
                )
                continue
            members = [one for each in rows if isinstance(each, Mapping) for one in by_address.get(str(each.get("ieee_address")), ())]
            domains = {one.entity.domain for one in members}
            if not members:
                continue
            if len(domains) != 1 or not domains <= _GROUPED:
                left_out.append(
                    f"{self.base}: group {name!r} was left out: expected only lights, switches, locks or covers, got {sorted(domains)}"
                )
                continue
            exposes = [one for each in rows if isinstance(each, Mapping) for one in self._exposes_of(str(each.get("ieee_address")))]
            domain = domains.pop()
            build = _BUILDERS[domain](_common_features(exposes, domain), [])
            if build is None:
                continue
            # Of a device that is several nobody can tell from here which one is meant: it stays beside the group.
            each_alone = (by_address.get(str(each.get("ieee_address")), []) for each in rows if isinstance(each, Mapping))
            alone = [found[0] for found in each_alone if len(found) == 1]
            ids = tuple(dict.fromkeys(one.entity.id for one in alone))
            device = self._make(name, domain=domain, key=str(row.get("id")), endpoint="", build=build, areas=areas, members=ids)
            if device.entity.area is not None:
                for one in members:
                    if one.entity.area is None:
                        told.setdefault(one.entity.id, set()).add(device.entity.area)
            elif len(shared := {one.entity.area for one in members}) == 1:
                device = _placed(device, shared.pop())
            entity_id = free_id(device.entity.id, taken)
            taken[entity_id] = _renamed(device, entity_id)
        return {entity_id: next(iter(found)) for entity_id, found in told.items() if len(found) == 1}

    def _exposes_of(self, address: str) -> Iterable[Row]:
        for row in self._device_rows:
            definition = row.get("definition")
            if row.get("ieee_address") == address and isinstance(definition, Mapping) and isinstance(definition.get("exposes"), list):
                yield from (one for one in definition["exposes"] if isinstance(one, Mapping))

    def _make(
        self,
        name: str,
        *,
        domain: str,
        key: str,
        endpoint: str,
        build: _Build,
        areas: dict[str, Area],
        members: tuple[str, ...] = (),
        asked_for: tuple[str, ...] = (),
        device_class: str | None = None,
    ) -> Device:
        """Return one device.

        Args:
            name: the friendly name; `room/device` is a device in a room.
            domain: the entity's.
            key: the IEEE address, or the number of a group.
            endpoint: of a device that is several.
            build: what its features make of it.
            areas: known so far; its own is added.
            members: of a group.
            asked_for: properties that it tells when it is asked.
            device_class: as Home Assistant calls it.
        """
        room, slash, rest = name.partition("/")
        area = None
        if slash and rest and "/" not in rest and object_id_of(room):
            area = object_id_of(room)
            areas.setdefault(area, Area(id=area, name=spoken_name(room)))
        else:
            rest = name.replace("/", " ")
        spoken = spoken_name(f"{rest} {endpoint}" if endpoint else rest)
        entity_id = f"{domain}.{object_id_of(f'{name} {endpoint}' if endpoint else name) or object_id_of(key) or 'unnamed'}"
        state_topic, set_topic = f"{self.base}/{name}", f"{self.base}/{name}/set"
        object_id = f"{domain}_{endpoint}" if endpoint else domain

        def read(_topic: str, payload: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
            return build.read(scales.object_of(payload), known)

        def command(action: Action) -> tuple[Command, ...] | None:
            told = build.write(action)
            return None if told is None else (Command(topic=set_topic, payload=json.dumps(told).encode()),)

        attributes = {key: value for key, value in build.attributes.items() if value is not None}
        return Device(
            entity=Entity(
                id=entity_id,
                name=spoken or key,
                area=area,
                # What zigbee2mqtt's own discovery calls it, so that Home Assistant's registry and we mean the same.
                unique_id=f"{key}_{object_id}_{self.base}",
                device_class=device_class,
                members=members,
                abilities=build.abilities if build.abilities is not None else usual_abilities(entity_id, attributes),
                attributes=attributes,
            ),
            source=f"{self.base}/{name}",
            state_topics=(state_topic,) if build.tells_state else (),
            read=read,
            command=command,
            question=Command(topic=f"{self.base}/{name}/get", payload=json.dumps(dict.fromkeys(asked_for, "")).encode())
            if asked_for
            else None,
            presences=(
                Presence(topic=f"{self.base}/bridge/state", available="online", not_available="offline", extract=_presence_of),
                Presence(topic=f"{self.base}/{name}/availability", available="online", not_available="offline", extract=_presence_of),
            ),
            presence_mode="all",
            is_present_unheard=True,  # zigbee2mqtt tells the availability of devices only where that is switched on
            attributes=attributes | ({} if device_class is None else {"device_class": device_class}),
        )

    def _is_usable(self, name: str) -> bool:
        first = name.partition("/")[0]
        return is_plain_topic(f"{self.base}/{name}/set", own_prefix=self.own_prefix) and first != "bridge"


def _rows(topic: str, payload: bytes) -> Sequence[Row]:
    text = decode(topic, payload, max_bytes=MAX_BYTES)
    if not text:  # cleared by hand
        return ()
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(
            f"{topic}: expected the list that zigbee2mqtt keeps there, got no JSON; the devices stay as they were"
        ) from error
    if not isinstance(parsed, list):
        raise MessageError(f"{topic}: expected a list, got {type(parsed).__name__}; the devices stay as they were")
    return [one for one in parsed if isinstance(one, Mapping)]


def _presence_of(payload: str) -> str:
    """Return online or offline, as one word or in an object."""
    found = scales.object_of(payload).get("state")
    return found if isinstance(found, str) else payload


def _features(expose: Row) -> dict[str, _Feature]:
    """Return the features of an expose by name, in its order."""
    rows = expose.get("features")
    found: dict[str, _Feature] = {}
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, Mapping) or not isinstance(row.get("name"), str) or not isinstance(row.get("property"), str):
            continue
        access = row.get("access")
        is_composite = row.get("type") == "composite"  # its parts have the access
        given = access if isinstance(access, int) and not isinstance(access, bool) else _PUBLISHED | _SETTABLE if is_composite else 0
        found.setdefault(row["name"], _Feature(name=row["name"], key=row["property"], access=given, row=row))
    return found


def _gettable(features: Mapping[str, _Feature]) -> tuple[str, ...]:
    return tuple(one.key for name, one in features.items() if name in _ASKED_FOR and one.access & _GETTABLE)


def _common_features(exposes: Iterable[Row], domain: str) -> dict[str, _Feature]:
    """Return what any member of a group can, under the names without endpoints, which a group takes."""
    found: dict[str, _Feature] = {}
    for expose in exposes:
        if expose.get("type") != domain:
            continue
        for name, feature in _features(expose).items():
            endpoint = feature.row.get("endpoint")
            plain = feature.key.removesuffix(f"_{endpoint}") if endpoint else feature.key
            found.setdefault(name, _Feature(name=name, key=plain, access=feature.access, row=feature.row))
    return found


def _renamed(device: Device, entity_id: str) -> Device:
    return device if device.entity.id == entity_id else _with_entity(device, id=entity_id)


def _placed(device: Device, area: str | None) -> Device:
    return device if device.entity.area == area else _with_entity(device, area=area)


def _with_entity(device: Device, **changes: Any) -> Device:
    return replace(device, entity=replace(device.entity, **changes))


# The domains


def _switch(features: Mapping[str, _Feature], _exposes: Sequence[Row]) -> _Build | None:
    state = features.get("state")
    endpoint = state.row.get("endpoint") if state is not None else None
    if state is None or not state.can_set or state.key not in ("state", f"state_{endpoint}"):
        return None  # window detection, auto lock and the like are settings
    return _Build(
        attributes={},
        read=lambda told, _: _on_off(told, state),
        write=lambda action: _power(action, state),
        tells_state=bool(state.access & _PUBLISHED),
    )


def _light(features: Mapping[str, _Feature], _exposes: Sequence[Row]) -> _Build | None:
    state, brightness, temperature = features.get("state"), features.get("brightness"), features.get("color_temp")
    color = next((one for name, one in features.items() if name in ("color_xy", "color_hs")), None)
    if state is None or not state.can_set:
        return None
    largest = brightness.number("value_max", 254.0) if brightness is not None else 254.0
    low = temperature.number("value_min", 153.0) if temperature is not None else 153.0
    high = temperature.number("value_max", 500.0) if temperature is not None else 500.0
    suffix = state.key.removeprefix("state")
    modes = [] if color is None else [color.name.removeprefix("color_")]
    modes += ["color_temp"] if temperature is not None else []
    modes = modes or ["brightness" if brightness is not None else "onoff"]

    def read(told: Mapping[str, Any], _: Mapping[str, Any]) -> Mapping[str, Any]:
        readings = _on_off(told, state)
        if brightness is not None and brightness.key in told:
            readings["brightness"] = scales.from_scale(told[brightness.key], largest)
        mode = told.get(f"color_mode{suffix}")
        if isinstance(mode, str):
            readings["color_mode"] = mode
        if temperature is not None and temperature.key in told:
            readings["color_temp_kelvin"] = scales.kelvin_of_mired(told[temperature.key])
        if color is not None and color.key in told:
            readings["rgb_color"] = scales.rgb_of_color(told[color.key])
        if mode == "color_temp":
            readings["rgb_color"] = None
        elif mode in ("xy", "hs"):
            readings["color_temp_kelvin"] = None
        return readings

    def write(action: Action) -> Mapping[str, Any] | None:
        told = _power(action, state)
        if told is None:
            return None
        data = action.data
        if "brightness" in data and brightness is not None:
            told[brightness.key] = scales.to_scale(data["brightness"], largest)
        if "color_temp_kelvin" in data and temperature is not None:
            told[temperature.key] = scales.mired_of_kelvin(data["color_temp_kelvin"], low=low, high=high)
        if "rgb_color" in data and color is not None:
            red, green, blue = data["rgb_color"]
            told[color.key] = {"r": red, "g": green, "b": blue}
        if "transition" in data:
            told["transition"] = data["transition"]
        return told

    is_ranged = temperature is not None
    return _Build(
        attributes={
            "supported_color_modes": modes,
            "min_color_temp_kelvin": scales.kelvin_of_mired(high) if is_ranged else None,
            "max_color_temp_kelvin": scales.kelvin_of_mired(low) if is_ranged else None,
        },
        read=read,
        write=write,
        tells_state=bool(state.access & _PUBLISHED),
    )


def _cover(features: Mapping[str, _Feature], exposes: Sequence[Row]) -> _Build | None:
    state, position = features.get("state"), features.get("position")
    if state is None or not state.can_set:
        return None
    moving = next((str(one["property"]) for one in exposes if one.get("name") in ("motor_state", "moving") and one.get("property")), "")
    can_stop = "STOP" in state.values or not state.values  # older versions list no values, and take STOP
    can_place = position is not None and position.can_set

    def read(told: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
        readings: dict[str, Any] = {}
        at = scales.number_of(told.get(position.key)) if position is not None else None
        if at is not None:
            readings["current_position"] = round(at)
            readings["state"] = "closed" if round(at) <= 0 else "open"
        elif told.get(state.key) in ("OPEN", "CLOSE") and "current_position" not in known:
            readings["state"] = "open" if told[state.key] == "OPEN" else "closed"
        direction = str(told.get(moving)).casefold() if moving else ""
        if direction in _OPENING | _CLOSING:
            readings["state"] = "opening" if direction in _OPENING else "closing"
        return readings

    def write(action: Action) -> Mapping[str, Any] | None:
        words = {"open_cover": "OPEN", "close_cover": "CLOSE", "stop_cover": "STOP"}
        verb = action.service.partition(".")[2]
        if verb in words:
            return {state.key: words[verb]}
        if verb == "set_cover_position" and position is not None:
            return {position.key: round(action.data["position"])}
        return None

    abilities = {"open_close"} | ({"stop"} if can_stop else set()) | ({"position"} if can_place else set())
    # Without a position `state` is what was asked for last, which zigbee2mqtt says itself at once.
    return _Build(attributes={}, read=read, write=write, tells_state=True, abilities=frozenset(abilities))


def _lock(features: Mapping[str, _Feature], _exposes: Sequence[Row]) -> _Build | None:
    state = features.get("state")
    if state is None or not state.can_set:
        return None
    locked, unlocked = state.word("value_on", "LOCK"), state.word("value_off", "UNLOCK")

    def read(told: Mapping[str, Any], _: Mapping[str, Any]) -> Mapping[str, Any]:
        value = told.get(state.key)
        return {"state": "locked" if value == locked else "unlocked"} if value in (locked, unlocked) else {}

    def write(action: Action) -> Mapping[str, Any] | None:
        words = {"lock.lock": locked, "lock.unlock": unlocked}
        return {state.key: words[action.service]} if action.service in words else None

    return _Build(attributes={}, read=read, write=write, tells_state=bool(state.access & _PUBLISHED))


def _fan(features: Mapping[str, _Feature], _exposes: Sequence[Row]) -> _Build | None:
    state, mode, speed = features.get("state"), features.get("mode"), features.get("speed")
    speeds = [one for one in _SPEEDS if mode is not None and one in mode.values]
    if mode is None and state is None:
        return None
    if state is not None and not state.can_set:
        return None
    fastest = speed.number("value_max", 254.0) if speed is not None else 0.0
    has_speed = bool(speeds) or (speed is not None and speed.can_set)

    def read(told: Mapping[str, Any], _: Mapping[str, Any]) -> Mapping[str, Any]:
        readings = {} if state is None else _on_off(told, state)
        if mode is not None and mode.key in told:
            word = told[mode.key]
            readings["percentage"] = round(100 * (speeds.index(word) + 1) / len(speeds)) if word in speeds else None
            if state is None or state.key not in told:
                readings["state"] = "off" if word == "off" else "on"
        elif speed is not None and (at := scales.number_of(told.get(speed.key))) is not None:
            readings["percentage"] = round(100 * at / fastest)
        return readings

    def write(action: Action) -> Mapping[str, Any] | None:
        percentage = action.data.get("percentage")
        is_off = action.service == "fan.turn_off" or percentage == 0
        if is_off:
            return {mode.key: "off"} if state is None and mode is not None else _power(_plain("fan.turn_off", action), state)
        if percentage is not None and mode is not None and speeds:
            return {mode.key: speeds[min(int(-(-percentage * len(speeds) // 100)), len(speeds)) - 1]}
        if percentage is not None and speed is not None:
            return {speed.key: max(round(percentage * fastest / 100), 1)}
        if percentage is not None or action.service != "fan.turn_on":
            return None
        if state is not None:
            return _power(action, state)
        return {mode.key: "on" if "on" in mode.values else speeds[-1]} if mode is not None and (speeds or "on" in mode.values) else None

    return _Build(
        attributes={"percentage_step": 100 / len(speeds) if speeds else None},
        read=read,
        write=write,
        tells_state=True,
        abilities=frozenset({"on_off", "speed"} if has_speed else {"on_off"}),
    )


def _climate(features: Mapping[str, _Feature], _exposes: Sequence[Row]) -> _Build | None:
    wanted = ("occupied_heating_setpoint", "current_heating_setpoint", "occupied_cooling_setpoint")
    setpoint = next((features[one] for one in wanted if one in features and features[one].can_set), None)
    mode, measured = features.get("system_mode"), features.get("local_temperature")
    if setpoint is None and mode is None:
        return None
    modes = [one for one in mode.values if one != "sleep"] if mode is not None and mode.can_set else []

    def read(told: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
        readings: dict[str, Any] = {}
        if setpoint is not None and setpoint.key in told:
            readings["temperature"] = scales.number_of(told[setpoint.key])
        if measured is not None and measured.key in told:
            readings["current_temperature"] = scales.number_of(told[measured.key])
        if mode is not None and isinstance(told.get(mode.key), str):
            readings["state"] = told[mode.key]
        elif mode is None and "state" not in known and readings:
            readings["state"] = "heat"  # it has no other
        return readings

    def write(action: Action) -> Mapping[str, Any] | None:
        match action.service:
            case "climate.set_temperature" if setpoint is not None and "temperature" in action.data:
                return {setpoint.key: action.data["temperature"]}
            case "climate.set_hvac_mode" if mode is not None and action.data.get("hvac_mode") in modes:
                return {mode.key: action.data["hvac_mode"]}
            case "climate.turn_off" if mode is not None and "off" in modes:
                return {mode.key: "off"}
            case "climate.turn_on" if mode is not None and (on := switched_on(modes)) is not None:
                return {mode.key: on}
        return None

    abilities = {"temperature"} if setpoint is not None else set()
    abilities |= {"hvac_mode"} if modes else set()
    abilities |= {"on_off"} if "off" in modes and switched_on(modes) is not None else set()
    return _Build(
        attributes={
            "min_temp": setpoint.number("value_min", 7.0) if setpoint is not None else None,
            "max_temp": setpoint.number("value_max", 35.0) if setpoint is not None else None,
            "hvac_modes": modes or None,
        },
        read=read,
        write=write,
        tells_state=True,
        abilities=frozenset(abilities),
    )


def _on_off(told: Mapping[str, Any], state: _Feature) -> dict[str, Any]:
    value = told.get(state.key)
    for key, default, meant in (("value_on", "ON", "on"), ("value_off", "OFF", "off")):
        if value is not None and value == state.word(key, default):
            return {"state": meant}
    return {}


def _power(action: Action, state: _Feature | None) -> dict[str, Any] | None:
    verb = action.service.partition(".")[2]
    if state is None or verb not in ("turn_on", "turn_off"):
        return None
    return {state.key: state.word("value_on", "ON") if verb == "turn_on" else state.word("value_off", "OFF")}


def _plain(service: str, action: Action) -> Action:
    return Action(service=service, targets=action.targets)


_BUILDERS: Mapping[str, Callable[[Mapping[str, _Feature], Sequence[Row]], _Build | None]] = {
    "light": _light,
    "switch": _switch,
    "cover": _cover,
    "lock": _lock,
    "fan": _fan,
    "climate": _climate,
}
_GROUPED = frozenset({"light", "switch", "lock", "cover"})
"""What zigbee2mqtt itself shows as a group."""
