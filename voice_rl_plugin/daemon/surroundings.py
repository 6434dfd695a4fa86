"""Surroundings: the home as all sources together give it, and the states of its devices."""

from dataclasses import replace
from pathlib import Path

from voice_rl_plugin.domain.home import EntityState, Home, States
from voice_rl_plugin.doors.broker import Message
from voice_rl_plugin.homes.last_good import LAST_GOOD_HOME, REGISTRY_HOME, TOPIC_HOME, LastGoodHome
from voice_rl_plugin.homes.merge import merge_sources
from voice_rl_plugin.homes.mqtt_devices import MqttDevices
from voice_rl_plugin.homes.statestream import LiveStates, StateChange


class Surroundings:
    """The home and its states.

    Args:
        folder: keeps the last good home.
        states_topic: the base of the state topics.
        file_home: the home file's, which wins over the others.
        risky: entity ids that the configuration calls risky.
        has_registry: whether Home Assistant is asked over its WebSocket; what it told last holds until it answers.
        devices: those that are MQTT themselves.
    """

    def __init__(
        self,
        folder: Path,
        *,
        states_topic: str,
        file_home: Home | None,
        risky: frozenset[str],
        has_registry: bool = False,
        devices: MqttDevices | None = None,
    ) -> None:
        self._file_home = file_home
        self._risky = risky
        self._kept_registry_home = LastGoodHome(folder / REGISTRY_HOME)
        self._registry_home = self._kept_registry_home.load() if has_registry else None
        self._kept_topic_home = LastGoodHome(folder / TOPIC_HOME)
        self._kept_home = LastGoodHome(folder / LAST_GOOD_HOME)
        self._topic_home = self._kept_topic_home.load()
        self._live = LiveStates(base=states_topic)
        self._known: dict[str, EntityState] = {}
        self.devices = devices if devices is not None else MqttDevices()
        self._told: set[str] = set()
        """Entities whose states come over the WebSocket: what the topics say of them is left out."""
        self.home = self._merged()

    @property
    def states(self) -> States:
        """Return the states that are known, the live ones before those of the home file."""
        return {**self.home.initial_states, **self.devices.states, **self._known}

    def take_home(self, home: Home) -> None:
        """Take what came on the home topic."""
        self._topic_home = home
        self.home = self._merged()

    def take_registry(self, home: Home) -> bool:
        """Take what Home Assistant's registries say; return whether anything is different now."""
        if home == self._registry_home:
            return False
        self._registry_home = home
        self.home = self._merged()
        return True

    def take_devices(self) -> None:
        """Take the devices that are MQTT themselves as they are announced now."""
        self.home = self._merged()

    def take_device_message(self, message: Message, *, now: float) -> tuple[StateChange, ...]:
        """Take what a device announces or tells; return the changes of states that nobody else tells."""
        changes = self.devices.on_message(message.topic, message.payload, now=now, is_retained=message.is_retained)
        return tuple(one for one in changes if one.entity_id not in self._known)

    def keep(self) -> None:
        """Write the home down, for the next start and for the trainer.

        Raises:
            StoreError: it cannot be written.
        """
        if self._registry_home is not None:
            self._kept_registry_home.save(self._registry_home)
        if self._topic_home is not None:
            self._kept_topic_home.save(self._topic_home)
        if self.home.entities:
            self._kept_home.save(self.home)

    def owns(self, topic: str) -> bool:
        """Whether a topic is a state topic."""
        return self._live.owns(topic)

    def take_state(self, message: Message, *, now: float) -> StateChange | None:
        """Take a state; return the change that it completes."""
        change = self._live.on_message(message.topic, message.payload, now=now, is_retained=message.is_retained)
        if change is None or change.entity_id in self._told:
            return None
        if change.after is None:
            self._known.pop(change.entity_id, None)
        else:  # the store needs plain attributes
            self._known[change.entity_id] = replace(change.after, attributes=dict(change.after.attributes))
        return change

    def take_told(self, entity_id: str, state: EntityState | None) -> StateChange | None:
        """Take a state that came over the WebSocket; return the change that it makes."""
        before = self._known.pop(entity_id, None)
        self._told.add(entity_id)
        if state is not None:
            self._known[entity_id] = state
        return None if before == state else StateChange(entity_id=entity_id, before=before, after=state)

    def forget_told(self) -> None:
        """Forget the states that came over the WebSocket: nobody tells them any more."""
        for entity_id in self._told:
            self._known.pop(entity_id, None)
        self._told.clear()

    def forget_states(self) -> None:
        """Forget every state that topics told: it is not known any more until it is published again."""
        self._live.forget_all()
        self._known = {entity_id: state for entity_id, state in self._known.items() if entity_id in self._told}

    def plays_media(self, area: str | None) -> bool:
        """Whether a media player plays in an area, so that what is heard there may come from it."""
        states = self.states
        players = (one for one in self.home.exposed_by_area.get(area, ()) if one.domain == "media_player")
        return any(one.id in states and states[one.id].value == "playing" for one in players)

    def _merged(self) -> Home:
        home = merge_sources(file=self._file_home, registry=self._registry_home, topic=self._topic_home, devices=self.devices.homes)
        if self._risky:
            home = replace(home, entities=tuple(replace(one, risky=True) if one.id in self._risky else one for one in home.entities))
        self.devices.settle_in(home, takes_commands=self._registry_home is None and self._topic_home is None)
        return home
