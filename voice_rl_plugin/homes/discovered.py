"""Devices that announce themselves by Home Assistant's MQTT discovery, with or without a Home Assistant.

<prefix>/<domain>/[<node>/]<object>/config    one entity; an empty payload removes it
<prefix>/device/[<node>/]<object>/config      a device with its components, of which each that has a platform alone is removed
"""

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from voice_rl_plugin.domain.home import Area, Entity
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.homes.devices import (
    AVAILABILITY_MODES,
    Device,
    Presence,
    decode,
    free_id,
    object_id_of,
    spoken_name,
)
from voice_rl_plugin.homes.discovered_domains import BUILDERS, Reading, build
from voice_rl_plugin.homes.discovery_settings import Settings, spell_out

_LOGGER = logging.getLogger(__name__)

MAX_BYTES = 256_000
MAX_CONFIGS = 5000
OWN_ORIGIN = "voice_rl_plugin"
"""What our own device calls its origin: this program is none of the home's devices."""
_ON_SETTINGS = ("config", "diagnostic")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """One entity of a config."""

    device: Device
    area: Area | None
    short_name: str
    """What it is called within its device."""


class Discovered:
    """The devices that were announced.

    Args:
        prefix: of discovery.
        own_prefix: of our own topics, where no device may be.
        elsewhere: base topics of devices that another source knows better.
    """

    def __init__(self, prefix: str, *, own_prefix: str, elsewhere: tuple[str, ...] = ()) -> None:
        self._prefix = prefix
        self._own_prefix = own_prefix
        self._elsewhere = elsewhere
        self._found: dict[str, tuple[_Found, ...]] = {}
        self._left_out: dict[str, tuple[str, ...]] = {}

    @property
    def topics(self) -> tuple[str, ...]:
        """Return what must be heard for the devices to be known."""
        return (f"{self._prefix}/+/+/config", f"{self._prefix}/+/+/+/config")

    @property
    def left_out(self) -> tuple[str, ...]:
        """Return what is not addressed, and why, one line each."""
        return tuple(line for lines in self._left_out.values() for line in lines)

    @property
    def areas(self) -> tuple[Area, ...]:
        """Return the areas that the devices suggest."""
        found = [one.area for each in self._sorted() for one in each if one.area is not None]
        return tuple({one.id: one for one in found}.values())

    @property
    def devices(self) -> tuple[Device, ...]:
        """Return the devices; what an entity is called within its device is an alias where no other is called so."""
        found = [one for each in self._sorted() for one in each]
        names = Counter(name.casefold() for one in found for name in {one.device.entity.name, one.short_name})
        taken: dict[str, Device] = {}
        for one in found:
            entity = one.device.entity
            is_own_name = one.short_name and one.short_name != entity.name and names[one.short_name.casefold()] == 1
            entity = replace(entity, id=free_id(entity.id, taken), aliases=(one.short_name,) if is_own_name else ())
            taken[entity.id] = replace(one.device, entity=entity)
        return tuple(taken.values())

    def owns(self, topic: str) -> bool:
        """Whether a topic is one of discovery's."""
        levels = topic.removeprefix(f"{self._prefix}/").split("/")
        return topic.startswith(f"{self._prefix}/") and len(levels) in (3, 4) and levels[-1] == "config"

    def on_message(self, topic: str, payload: bytes) -> bool:
        """Take a config; return whether the home is another one now.

        Raises:
            MessageError: it cannot be read; what was known of it is kept.
        """
        domain = topic.removeprefix(f"{self._prefix}/").partition("/")[0]
        if domain != "device" and domain not in BUILDERS:
            return False
        text = decode(topic, payload, max_bytes=MAX_BYTES)
        before = self._found.get(topic, ())
        if not text:
            self._left_out.pop(topic, None)
            return bool(self._found.pop(topic, ()))
        if topic not in self._found and len(self._found) >= MAX_CONFIGS:
            raise MessageError(f"{topic}: more than {MAX_CONFIGS} configs; this one is left out")
        config = _object_of(topic, text)
        found, left_out = self._read(topic, domain, spell_out(config), base=config.get("~"))
        for line in left_out:
            _LOGGER.warning("%s", line)
        self._left_out[topic] = tuple(left_out)
        self._found[topic] = tuple(found)
        if not left_out:
            del self._left_out[topic]
        if not found:
            del self._found[topic]
        return bool(before or found)

    def _sorted(self) -> list[tuple[_Found, ...]]:
        """Return what was found by topic, so that ids do not depend on who came first."""
        return [self._found[topic] for topic in sorted(self._found)]

    def _read(self, topic: str, domain: str, config: Mapping[str, Any], *, base: Any) -> tuple[list[_Found], list[str]]:
        """Return what a config announces, and what is left out of it."""
        found: list[_Found] = []
        left_out: list[str] = []
        device, origin = _mapping(config.get("device")), _mapping(config.get("origin"))
        if OWN_ORIGIN in (origin.get("name"), device.get("manufacturer")):
            return found, left_out
        parts = [(domain, topic, config)]
        if domain == "device":
            shared = {key: value for key, value in config.items() if key != "components"}
            components = _mapping(config.get("components"))
            spelled = {str(key): spell_out(one, base=base) for key, one in components.items() if isinstance(one, Mapping)}
            parts = [(str(one.get("platform")), f"{topic}: {key}", {**shared, **one}) for key, one in spelled.items() if len(one) > 1]
        for platform, where, values in parts:
            is_setting = values.get("entity_category") in _ON_SETTINGS or values.get("enabled_by_default") is False
            if platform not in BUILDERS or is_setting or self._is_known_elsewhere(values):
                continue
            try:
                found.append(self._entity(platform, topic, Settings(values, where=where, own_prefix=self._own_prefix)))
            except MessageError as error:
                left_out.append(f"{error}; this device was left out")
        return found, left_out

    def _is_known_elsewhere(self, values: Mapping[str, Any]) -> bool:
        topics = [value for key, value in values.items() if key.endswith("command_topic") and isinstance(value, str)]
        return any(topic.startswith(f"{base}/") for topic in topics for base in self._elsewhere)

    def _entity(self, domain: str, topic: str, settings: Settings) -> _Found:
        built = build(domain, settings)
        if not built.abilities:
            raise settings.error("command_topic", "a topic and words for something that it can do", settings.values.get("command_topic"))
        device = _mapping(settings.values.get("device"))
        device_name, name = _name(device.get("name")), _name(settings.text("name"))
        object_id = topic.removesuffix("/config").rpartition("/")[2]
        short = name or device_name or spoken_name(object_id)
        full = f"{device_name} {name}" if device_name and name and not name.startswith(device_name) else short
        wanted = (settings.text("default_entity_id") or settings.text("object_id") or "").removeprefix(f"{domain}.")
        entity_id = f"{domain}.{object_id_of(wanted) or object_id_of(full) or object_id_of(object_id) or 'unnamed'}"
        area_name = _name(device.get("suggested_area"))
        area = Area(id=object_id_of(area_name), name=area_name) if object_id_of(area_name) else None
        device_class = settings.text("device_class")
        by_topic: dict[str, list[Reading]] = {}
        for state_topic, one in built.readings:
            if state_topic is not None:
                by_topic.setdefault(state_topic, []).append(one)

        def read(heard: str, payload: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
            readings: dict[str, Any] = {}
            for one in by_topic.get(heard, ()):
                readings |= one(payload, {**known, **readings})
            return readings

        return _Found(
            device=Device(
                entity=Entity(
                    id=entity_id,
                    name=full,
                    area=None if area is None else area.id,
                    unique_id=settings.text("unique_id"),
                    device_class=device_class,
                    abilities=built.abilities,
                    attributes=dict(built.attributes),
                ),
                source=settings.where,
                state_topics=tuple(by_topic) if built.tells_state else (),
                read=read,
                command=built.command,
                presences=_presences(settings),
                presence_mode=_choice(settings, "availability_mode", AVAILABILITY_MODES),
                attributes={**built.attributes, **({} if device_class is None else {"device_class": device_class})},
            ),
            area=area,
            short_name=name or "",
        )


def _presences(settings: Settings) -> tuple[Presence, ...]:
    rows = settings.values.get("availability")
    if rows is not None and (not isinstance(rows, list) or not all(isinstance(one, Mapping) for one in rows)):
        raise settings.error("availability", "a list of topics with their payloads", rows)
    each = [Settings(one, where=f"{settings.where}: availability", own_prefix=settings.own_prefix) for one in rows or ()]
    found = [_presence(one, topic="topic", template="value_template") for one in each]
    if settings.has("availability_topic"):
        found.append(_presence(settings, topic="availability_topic", template="availability_template"))
    return tuple(found)


def _presence(settings: Settings, *, topic: str, template: str) -> Presence:
    return Presence(
        topic=settings.needed_topic(topic),
        available=settings.word("payload_available", "online"),
        not_available=settings.word("payload_not_available", "offline"),
        extract=settings.pick(template),
    )


def _choice(settings: Settings, key: str, choices: tuple[str, ...]) -> str:
    found = settings.word(key, choices[0])
    if found not in choices:
        raise settings.error(key, f"one of {', '.join(choices)}", found)
    return found


def _object_of(topic: str, text: str) -> Mapping[str, Any]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"{topic}: expected a discovery config as JSON; it was left out") from error
    if not isinstance(parsed, Mapping):
        raise MessageError(f"{topic}: expected a discovery config as a JSON object, got {type(parsed).__name__}; it was left out")
    return parsed


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _name(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
