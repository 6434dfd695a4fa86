"""All devices that are MQTT themselves: from both formats one set of entities, their states, and whether they are there.

zigbee2mqtt/bridge/devices ----.
homeassistant/+/+/config ------+--> Device ... --> homes, for the merging
zigbee2mqtt/Desk Lamp ---------+--> readings ----> StateChange
zigbee2mqtt/.../availability --'--> is it there
"""

import logging
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from voice_rl_plugin.domain.home import Entity, EntityState, Home, States
from voice_rl_plugin.homes.devices import Command, Device, decode, free_id, home_of_devices
from voice_rl_plugin.homes.discovered import Discovered
from voice_rl_plugin.homes.statestream import StateChange
from voice_rl_plugin.homes.zigbee2mqtt import Zigbee2Mqtt

_LOGGER = logging.getLogger(__name__)

MAX_STATE_BYTES = 256_000
"""A longer state is left out with an error."""


@dataclass(slots=True)
class _Live:
    """What was heard of one device."""

    device: Device
    entity_id: str | None = None
    """Its id in the merged home; None before it is in it."""
    readings: dict[str, Any] = field(default_factory=dict)
    heard: dict[str, bool] = field(default_factory=dict)
    """What its presences told, by topic."""
    last: bool | None = None
    changed_at: float = 0.0

    @property
    def is_present(self) -> bool:
        return self.device.is_present(self.heard, last=self.last)

    def to_state(self) -> EntityState | None:
        value = self.readings.get("state")
        if value is None or not self.is_present:
            return None
        attributes = {key: one for key, one in self.readings.items() if key != "state" and one is not None}
        return EntityState(value=value, attributes={**self.device.attributes, **attributes}, changed_at=self.changed_at)


class MqttDevices:
    """The devices that announce themselves over MQTT.

    Args:
        zigbee2mqtt: the base topic of zigbee2mqtt; None where there is none.
        discovered: the prefix of discovery; None where it is not listened to.
        own_prefix: of our own topics, where no device may be.
    """

    def __init__(self, *, zigbee2mqtt: str | None = None, discovered: str | None = None, own_prefix: str = "voice_rl") -> None:
        self._zigbee2mqtt = None if zigbee2mqtt is None else Zigbee2Mqtt(zigbee2mqtt, own_prefix)
        elsewhere = () if zigbee2mqtt is None else (zigbee2mqtt,)
        self._discovered = None if discovered is None else Discovered(discovered, own_prefix=own_prefix, elsewhere=elsewhere)
        self._live: dict[str, _Live] = {}
        self._by_state_topic: dict[str, list[_Live]] = {}
        self._by_presence_topic: dict[str, list[_Live]] = {}
        self._presences: dict[str, str] = {}
        """The last payload of every topic that tells whether a device is there: a device that comes later wants to know it too."""
        self._states: dict[str, EntityState] = {}
        self._asked: set[Command] = set()
        self._complained: frozenset[str] = frozenset()
        self.is_changed = False
        """Whether other devices were announced since whoever looks here has looked last."""
        self._home = Home()
        self._told: dict[str, _Live] = {}
        """Devices that take commands from us, by their ids in the merged home."""
        self._homes: tuple[Home, ...] = ()
        self._is_behind = False
        """Whether something was announced that is not in the homes yet: many announcements come at once."""

    @property
    def is_listening(self) -> bool:
        """Whether any of the formats is switched on."""
        return self._zigbee2mqtt is not None or self._discovered is not None

    @property
    def homes(self) -> tuple[Home, ...]:
        """Return the homes that the devices make: zigbee2mqtt's before the discovered ones."""
        self._catch_up()
        return self._homes

    @property
    def topics(self) -> tuple[str, ...]:
        """Return all topics to hear now; they grow with the devices that are found."""
        self._catch_up()
        found = [one.topics for one in (self._zigbee2mqtt, self._discovered) if one is not None]
        return tuple(dict.fromkeys((*(topic for each in found for topic in each), *self._by_presence_topic, *self._by_state_topic)))

    @property
    def left_out(self) -> tuple[str, ...]:
        """Return what is not addressed, and why, one line each."""
        return tuple(line for one in (self._zigbee2mqtt, self._discovered) if one is not None for line in one.left_out)

    @property
    def states(self) -> States:
        """Return a live, read-only view of the known states."""
        return MappingProxyType(self._states)

    def find(self, entity_id: str) -> Device | None:
        """Return a device that takes commands from us; None for everything that others carry out."""
        live = self._told.get(entity_id)
        return None if live is None else live.device

    def exposed(self, entity_id: str) -> Entity | None:
        """Return an entity of the merged home that a voice may address; None for every other."""
        entity = self._home.entity_by_id.get(entity_id)
        return entity if entity is not None and entity.exposed else None

    def is_present(self, entity_id: str) -> bool:
        """Whether a device is there, as far as it tells."""
        return entity_id in self._told and self._told[entity_id].is_present

    def take_question(self) -> Command | None:
        """Return what makes the next device tell its state, of which nothing is known yet; each is asked once."""
        for device_id, live in self._live.items():
            question = live.device.question
            if question is None or "state" in live.readings or question in self._asked or not live.is_present:
                continue
            self._asked.add(question)
            _LOGGER.debug("%s is asked for its state", device_id)
            return question
        return None

    def settle_in(self, home: Home, *, takes_commands: bool) -> None:
        """Take the ids that the devices have in the merged home.

        Args:
            home: of all sources.
            takes_commands: whether the devices are told themselves; where there is a registry Home Assistant does it.
        """
        self._catch_up()
        self._home = home
        by_unique = {one.unique_id: one.id for one in home.entities if one.unique_id}
        self._told, self._states = {}, {}
        for device_id, live in self._live.items():
            is_there = device_id in home.entity_by_id
            live.entity_id = device_id if is_there else by_unique.get(live.device.entity.unique_id or "")
            if live.entity_id is None or live.entity_id in self._told:
                live.entity_id = None
                continue
            self._told[live.entity_id] = live
            if (state := live.to_state()) is not None:
                self._states[live.entity_id] = state
        if not takes_commands:
            self._told = {}

    def owns(self, topic: str) -> bool:
        """Whether a topic is one of these devices or announces some."""
        return self._is_announcement(topic) or topic in self._by_state_topic or topic in self._by_presence_topic

    def take_complaints(self) -> tuple[str, ...]:
        """Return what was left out since the last call, and why, one line each."""
        left_out = self.left_out
        fresh = tuple(one for one in left_out if one not in self._complained)
        self._complained = frozenset(left_out)
        return fresh

    def on_message(self, topic: str, payload: bytes, *, now: float, is_retained: bool = False) -> tuple[StateChange, ...]:
        """Take one message; return what changed of states.

        Args:
            topic: one that this owns.
            payload: a list of devices, a discovery config, a state or an availability.
            now: Unix seconds.
            is_retained: whether the broker kept it: then the time of the change is not known.

        Raises:
            MessageError: it cannot be read; what was known is kept.
        """
        if self._is_announcement(topic):
            source = self._discovered if self._discovered is not None and self._discovered.owns(topic) else self._zigbee2mqtt
            if source is not None and source.on_message(topic, payload):
                self._is_behind = self.is_changed = True
            return ()
        text = decode(topic, payload, max_bytes=MAX_STATE_BYTES)
        touched: dict[str, _Live] = {}
        if topic in self._by_presence_topic:
            self._presences[topic] = text
        for live in self._by_presence_topic.get(topic, ()):
            self._hear_presence(live, topic, text)
            touched[live.device.entity.id] = live
        for live in self._by_state_topic.get(topic, ()):
            readings = live.device.read(topic, text, live.readings)
            if "state" in readings and readings["state"] != live.readings.get("state"):
                live.changed_at = 0.0 if is_retained else now
            live.readings.update(readings)
            touched[live.device.entity.id] = live
        return tuple(change for one in touched.values() if (change := self._note(one)) is not None)

    def forget_states(self) -> None:
        """Forget every state: it is not known any more until it is told again."""
        for live in self._live.values():
            live.readings.clear()
        self._states.clear()

    def _is_announcement(self, topic: str) -> bool:
        if self._zigbee2mqtt is not None and topic in self._zigbee2mqtt.topics:
            return True
        return self._discovered is not None and self._discovered.owns(topic)

    def _hear_presence(self, live: _Live, topic: str, text: str) -> None:
        was_present = live.is_present
        for presence in live.device.presences:
            if presence.topic != topic:
                continue
            word = presence.extract(text)
            if word in (presence.available, presence.not_available):
                live.heard[topic] = live.last = word == presence.available
        if was_present and not live.is_present:
            live.readings.clear()  # whoever switches the current off does not tell

    def _note(self, live: _Live) -> StateChange | None:
        """Put a device's state where everybody sees it; return the change."""
        entity_id, after = live.entity_id, live.to_state()
        if entity_id is None:
            return None
        before = self._states.get(entity_id)
        if after == before:
            return None
        if after is None:
            self._states.pop(entity_id, None)
        else:
            self._states[entity_id] = after
        return StateChange(entity_id=entity_id, before=before, after=after)

    def _catch_up(self) -> None:
        """Take the devices as they are now; a device that is the same keeps what was heard of it."""
        if not self._is_behind:
            return
        self._is_behind = False
        former, self._live = self._live, {}
        homes: list[Home] = []
        for source in (self._zigbee2mqtt, self._discovered):
            if source is None:
                continue
            devices = []
            for one in source.devices:
                device = one if one.entity.id not in self._live else _renamed(one, free_id(one.entity.id, self._live))
                devices.append(device)
                self._live[device.entity.id] = self._resumed(device, former.get(device.entity.id))
            homes.append(home_of_devices(devices, source.areas))
        self._homes = tuple(homes)
        self._by_state_topic, self._by_presence_topic = {}, {}
        for live in self._live.values():
            for topic in live.device.state_topics:
                self._by_state_topic.setdefault(topic, []).append(live)
            for topic in {one.topic for one in live.device.presences}:
                self._by_presence_topic.setdefault(topic, []).append(live)
                if topic in self._presences:
                    self._hear_presence(live, topic, self._presences[topic])
        self._presences = {topic: text for topic, text in self._presences.items() if topic in self._by_presence_topic}

    def _resumed(self, device: Device, before: _Live | None) -> _Live:
        if before is None or before.device.state_topics != device.state_topics or before.device.entity.unique_id != device.entity.unique_id:
            return _Live(device=device)
        return _Live(device=device, entity_id=before.entity_id, readings=before.readings, changed_at=before.changed_at)


def _renamed(device: Device, entity_id: str) -> Device:

    return replace(device, entity=replace(device.entity, id=entity_id))
