"""States as Home Assistant's `subscribe_entities` sends them: whole ones first, then what changed in each.

{"a": {"light.desk": {"s": "on", "a": {"brightness": 128}, "c": "01J...", "lc": 1790000000.0}}}
{"c": {"light.desk": {"+": {"s": "off", "lc": 1790000009.5, "c": {"user_id": "5e..", "id": "01K.."}}, "-": {"a": ["brightness"]}}}}
{"r": ["light.desk"]}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voice_rl_plugin.domain.home import EntityState
from voice_rl_plugin.homes.statestream import UNKNOWN_VALUES


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenState:
    """What one entity is like now, and who caused it."""

    entity_id: str
    state: EntityState | None
    """None when it is unknown, unavailable or gone."""
    user_id: str | None = None
    """The user of Home Assistant who did it, if a user did."""
    parent_id: str | None = None
    """Set when something else caused it: an automation or a script."""


@dataclass(slots=True)
class _Kept:
    value: str = "unknown"
    attributes: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    changed_at: float = 0.0


class StateDiffs:
    """The whole states behind the differences of one subscription."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def take(self, event: Mapping[str, Any]) -> tuple[SeenState, ...]:
        """Return what one event shows; parts of it that cannot be read are left out."""
        seen: list[SeenState] = []
        for entity_id, whole in _mapping(event.get("a")).items():
            self._kept[entity_id] = _Kept()
            seen.append(self._change(entity_id, _mapping(whole)))
        for entity_id, difference in _mapping(event.get("c")).items():
            added, removed = _mapping(_mapping(difference).get("+")), _mapping(_mapping(difference).get("-"))
            kept = self._kept.setdefault(entity_id, _Kept())
            for name in removed.get("a") or ():
                kept.attributes.pop(name, None)
            seen.append(self._change(entity_id, added))
        for entity_id in event.get("r") or ():
            self._kept.pop(entity_id, None)
            seen.append(SeenState(entity_id=entity_id, state=None))
        return tuple(seen)

    def _change(self, entity_id: str, added: Mapping[str, Any]) -> SeenState:
        kept = self._kept[entity_id]
        kept.value = str(added.get("s", kept.value))
        kept.attributes.update(_mapping(added.get("a")))
        context = added.get("c")
        if isinstance(context, str):  # only a part of the context that changed is sent
            kept.context["id"] = context
        else:
            kept.context.update(_mapping(context))
        if isinstance(added.get("lc"), (int, float)):
            kept.changed_at = float(added["lc"])
        state = None
        if kept.value not in UNKNOWN_VALUES:
            state = EntityState(value=kept.value, attributes=dict(kept.attributes), changed_at=kept.changed_at)
        return SeenState(entity_id=entity_id, state=state, user_id=kept.context.get("user_id"), parent_id=kept.context.get("parent_id"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
