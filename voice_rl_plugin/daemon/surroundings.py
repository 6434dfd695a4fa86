"""Surroundings: the home as all sources together give it, and the states of its devices."""

from dataclasses import replace
from pathlib import Path

from voice_rl_plugin.domain.home import EntityState, Home, States
from voice_rl_plugin.doors.broker import Message
from voice_rl_plugin.homes.last_good import LastGoodHome
from voice_rl_plugin.homes.merge import merge_homes
from voice_rl_plugin.homes.statestream import LiveStates, StateChange

TOPIC_HOME = "topic_home.json"
"""What came on the home topic last."""
LAST_GOOD_HOME = "last_good_home.json"
"""The merged home, which the trainer reads."""


class Surroundings:
    """The home and its states.

    Args:
        folder: keeps the last good home.
        states_topic: the base of the state topics.
        file_home: the home file's, which wins over the topic's.
        risky: entity ids that the configuration calls risky.
    """

    def __init__(self, folder: Path, *, states_topic: str, file_home: Home | None, risky: frozenset[str]) -> None:
        self._file_home = file_home
        self._risky = risky
        self._kept_topic_home = LastGoodHome(folder / TOPIC_HOME)
        self._kept_home = LastGoodHome(folder / LAST_GOOD_HOME)
        self._topic_home = self._kept_topic_home.load()
        self._live = LiveStates(base=states_topic)
        self._known: dict[str, EntityState] = {}
        self.home = self._merged()

    @property
    def states(self) -> States:
        """Return the states that are known, the live ones before those of the home file."""
        return {**self.home.initial_states, **self._known}

    def take_home(self, home: Home) -> None:
        """Take what came on the home topic."""
        self._topic_home = home
        self.home = self._merged()

    def keep(self) -> None:
        """Write the home down, for the next start and for the trainer.

        Raises:
            StoreError: it cannot be written.
        """
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
        if change is None:
            return None
        if change.after is None:
            self._known.pop(change.entity_id, None)
        else:  # the store needs plain attributes
            self._known[change.entity_id] = replace(change.after, attributes=dict(change.after.attributes))
        return change

    def forget_states(self) -> None:
        """Forget every state: it is not known any more until it is published again."""
        self._live.forget_all()
        self._known.clear()

    def plays_media(self, area: str | None) -> bool:
        """Whether a media player plays in an area, so that what is heard there may come from it."""
        states = self.states
        players = (one for one in self.home.exposed_by_area.get(area, ()) if one.domain == "media_player")
        return any(one.id in states and states[one.id].value == "playing" for one in players)

    def _merged(self) -> Home:
        home = merge_homes([home for home in (self._file_home, self._topic_home) if home is not None])
        if not self._risky:
            return home
        return replace(home, entities=tuple(replace(one, risky=True) if one.id in self._risky else one for one in home.entities))
