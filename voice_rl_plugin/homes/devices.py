"""Devices that are MQTT themselves: what each of them is, what it tells, and the commands that it takes.

retained messages -> Device -> entity, for the home
state topic       -> Device.read -> readings {"state": "on", "brightness": 128} -> EntityState
Action            -> Device.command -> Command(topic, payload)
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import Area, Entity, Home
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.understanding.text import is_han

AVAILABILITY_MODES = ("latest", "all", "any")
_LONGEST_TOPIC = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One message that makes a device do something."""

    topic: str
    payload: bytes


Read = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]
"""From a topic, its payload and what was read before to new readings: the key `state` is the value, the others are attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One topic that tells whether a device is there."""

    topic: str
    available: str
    not_available: str
    extract: Callable[[str], str | None] = str
    """Gets the word out of the payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One entity of a home, and how to talk to it."""

    entity: Entity
    source: str
    """The topic that it was learned from."""
    state_topics: tuple[str, ...]
    """Empty when it never tells its state."""
    read: Read
    command: Callable[[Action], tuple[Command, ...] | None]
    """Returns the messages of an absolute action on this one entity; None when it cannot do that."""
    question: Command | None = None
    """Makes it tell its state; None where it need not, or must not, be asked: batteries."""
    presences: tuple[Presence, ...] = ()
    presence_mode: str = "latest"
    """One of AVAILABILITY_MODES."""
    is_present_unheard: bool = False
    """Whether it counts as available before any of its presences was heard."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What holds in every state: limits, and the device class."""

    @property
    def tells_state(self) -> bool:
        """Whether its state can be seen."""
        return bool(self.state_topics)

    def is_present(self, heard: Mapping[str, bool], *, last: bool | None) -> bool:
        """Whether it is available.

        Args:
            heard: what its presences told, by topic.
            last: what any of them told last.
        """
        if not self.presences:
            return True
        told = [heard[one.topic] for one in self.presences if one.topic in heard]
        if not told or last is None:
            return self.is_present_unheard
        if self.presence_mode == "all":
            return all(told) and (self.is_present_unheard or len(told) == len(self.presences))
        return any(told) if self.presence_mode == "any" else last


def home_of_devices(devices: Iterable[Device], areas: Iterable[Area]) -> Home:
    """Return the home that devices make, with the areas that they are in."""
    entities = tuple(one.entity for one in devices)
    used = {one.area for one in entities}
    named = [one.name for one in entities]
    in_chinese = sum(any(is_han(letter) for letter in name) for name in named)
    return Home(
        language="zh" if 2 * in_chinese > len(named) else "en",
        areas=tuple(one for one in areas if one.id in used),
        entities=entities,
    )


def object_id_of(text: str) -> str:
    """Return a text as the second part of an entity id: letters of any script, digits and low lines."""
    return re.sub(r"\W+", "_", text.casefold()).strip("_")


def spoken_name(text: str) -> str:
    """Return a name as it is said: without the low lines that files like."""
    return " ".join(text.replace("_", " ").split())


def free_id(wanted: str, taken: Container[str]) -> str:
    """Return an entity id that nobody has."""
    number, free = 1, wanted
    while free in taken:
        number += 1
        free = f"{wanted}_{number}"
    return free


def switched_on(modes: Sequence[str]) -> str | None:
    """Return the mode that switching a climate device on means."""
    return next((one for one in ("auto", "heat_cool", "heat", "cool", *modes) if one in modes and one != "off"), None)


def is_plain_topic(topic: Any, *, own_prefix: str) -> bool:
    """Whether a device may be heard or told on a topic: no wildcards, no empty levels, none of the broker's or of our own."""
    return (
        isinstance(topic, str)
        and 0 < len(topic) <= _LONGEST_TOPIC
        and topic.isprintable()
        and not set(topic) & set("+#")
        and "" not in topic.split("/")
        and not topic.startswith("$")
        and topic != own_prefix
        and not topic.startswith(f"{own_prefix}/")
    )


def decode(topic: str, payload: bytes, *, max_bytes: int) -> str:
    """Return a payload as text.

    Raises:
        MessageError: it is too long, or no UTF-8.
    """
    if len(payload) > max_bytes:
        raise MessageError(f"{topic}: expected at most {max_bytes} bytes, got {len(payload)}; nothing was changed")
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise MessageError(f"{topic}: expected UTF-8, got something else at byte {error.start}; nothing was changed") from error
