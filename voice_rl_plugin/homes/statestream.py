"""Live states from topics in the layout of Home Assistant's `mqtt_statestream`.

<base>/light/desk/state          on
<base>/light/desk/brightness     128          (attributes are JSON)
<base>/light/desk/last_changed   2026-11-23T20:00:00+00:00
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from voice_rl_plugin.domain.home import EntityState, States
from voice_rl_plugin.errors import MessageError

UNKNOWN_VALUES = frozenset({"", "unknown", "unavailable"})
"""States that say nothing; the entity then counts as unknown."""
MAX_BYTES = 64_000
"""A longer attribute is left out with an error."""
MAX_ENTITIES = 10_000
"""More entities than this are no home: the rest is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """What one message changed."""

    entity_id: str
    before: EntityState | None
    """None when it was unknown."""
    after: EntityState | None
    """None when it is unknown now."""


@dataclass(slots=True)
class _Seen:
    value: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    changed_at: float = 0.0

    def to_state(self) -> EntityState | None:
        if self.value is None:
            return None
        return EntityState(value=self.value, attributes=MappingProxyType(dict(self.attributes)), changed_at=self.changed_at)


class LiveStates:
    """The last known state of every entity, fed with messages."""

    def __init__(self, *, base: str) -> None:
        self._base = base.removesuffix("/#").rstrip("/")
        self._seen: dict[str, _Seen] = {}
        self._states: dict[str, EntityState] = {}

    @property
    def states(self) -> States:
        """Return a live, read-only view of the known states."""
        return MappingProxyType(self._states)

    def owns(self, topic: str) -> bool:
        """Whether a topic lies under the base."""
        return topic.startswith(self._base + "/")

    def on_message(self, topic: str, payload: bytes, *, now: float, is_retained: bool = False) -> StateChange | None:
        """Take one message.

        Args:
            topic: `<base>/<domain>/<object_id>/<state or attribute>`.
            payload: the raw state, or the JSON of an attribute; empty removes it.
            now: Unix seconds.
            is_retained: whether the broker kept it: then the time of the change is not known.

        Returns:
            What changed; None when nothing did, or when only an attribute of an entity without a state came.

        Raises:
            MessageError: the topic has another layout or the payload cannot be read.
        """
        entity_id, name = self._parse_topic(topic)
        if len(payload) > MAX_BYTES:
            raise MessageError(f"{topic}: expected at most {MAX_BYTES} bytes, got {len(payload)}")
        if entity_id not in self._seen and len(self._seen) >= MAX_ENTITIES:
            raise MessageError(f"{topic}: more than {MAX_ENTITIES} entities; this one is left out")
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            raise MessageError(f"{topic}: expected UTF-8, got something else at byte {error.start}") from error
        update = _parse_attribute(topic, name, text)
        before = self._states.get(entity_id)
        seen = self._seen.setdefault(entity_id, _Seen())
        if name == "state":
            value = None if text in UNKNOWN_VALUES else text
            if value != seen.value:
                seen.changed_at = 0.0 if is_retained else now
            seen.value = value
        elif name == "last_changed":
            seen.changed_at = update if isinstance(update, float) else seen.changed_at
        elif name != "last_updated":
            _put(seen.attributes, name, update)
        after = seen.to_state()
        if after == before:
            return None
        if after is None:
            self._states.pop(entity_id, None)
        else:
            self._states[entity_id] = after
        return StateChange(entity_id=entity_id, before=before, after=after)

    def forget_all(self) -> None:
        """Make every state unknown until it is refreshed: after Home Assistant or the devices have restarted."""
        self._seen.clear()
        self._states.clear()

    def _parse_topic(self, topic: str) -> tuple[str, str]:
        if not self.owns(topic):
            raise MessageError(f"{topic}: expected a topic under {self._base}/")
        levels = topic[len(self._base) + 1 :].split("/")
        if len(levels) != 3 or not all(levels):
            raise MessageError(f"{topic}: expected {self._base}/<domain>/<object_id>/<state or attribute>")
        return f"{levels[0]}.{levels[1]}", levels[2]


def state_messages(entity_id: str, state: EntityState, *, base: str) -> Mapping[str, str]:
    """Return the topics and payloads that carry a state in this layout; the way back of LiveStates."""
    domain, _, object_id = entity_id.partition(".")
    messages = {f"{base}/{domain}/{object_id}/state": state.value}
    for name, value in state.attributes.items():
        messages[f"{base}/{domain}/{object_id}/{name}"] = json.dumps(value, ensure_ascii=False)
    return messages


def _parse_attribute(topic: str, name: str, text: str) -> Any:
    if name in ("state", "last_updated") or not text:
        return None
    if name == "last_changed":
        try:
            return datetime.fromisoformat(text.strip('"')).timestamp()
        except (ValueError, OverflowError, OSError) as error:
            raise MessageError(f"{topic}: expected a time such as 2026-11-23T20:00:00+00:00") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"{topic}: expected an attribute as JSON: {error}") from error


def _put(attributes: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        attributes.pop(name, None)
    else:
        attributes[name] = value
