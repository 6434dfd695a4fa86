"""An action: one Home Assistant service call, and the one-line form that case files use.

light.turn_on light.counter_bar brightness_pct=35
light.turn_off light.a light.b
light.turn_on light.desk brightness_step_pct=-      (a sign is enough for a step)
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voice_rl_plugin.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A service call on some entities."""

    service: str
    """`<domain>.<service>`; `query.state` and `intent.<Name>` are never dispatched as services."""
    targets: tuple[str, ...] = ()
    """Sorted entity ids."""
    data: Mapping[str, Any] = field(default_factory=dict)
    _key: str = field(default="", init=False, repr=False, compare=False)

    @property
    def domain(self) -> str:
        """Return the part of the service before the dot."""
        return self.service.partition(".")[0]

    @property
    def is_dispatched(self) -> bool:
        """Whether it runs as a service call; a query is answered, and an intent is handed over."""
        return self.domain not in ("query", "intent")

    @property
    def is_published(self) -> bool:
        """Whether it goes out on the action topics; a query is answered here."""
        return self.domain != "query"

    @property
    def key(self) -> str:
        """Return the canonical text of this action: equal actions have equal keys."""
        if not self._key:  # asked for several times in one decision
            text = json.dumps([self.service, sorted(self.targets), self.data], sort_keys=True, ensure_ascii=False)
            object.__setattr__(self, "_key", text)
        return self._key

    def to_payload(self) -> dict[str, Any]:
        """Return the JSON form of the topics: service, target, data."""
        return {"service": self.service, "target": {"entity_id": list(self.targets)} if self.targets else {}, "data": dict(self.data)}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "Action":
        """Read back what `to_payload` wrote."""
        targets = payload.get("target", {}).get("entity_id", [])
        return cls(
            service=payload["service"],
            targets=tuple(sorted([targets] if isinstance(targets, str) else targets)),
            data=dict(payload.get("data", {})),
        )

    def to_line(self) -> str:
        """Return the one-line form."""
        words = [self.service, *self.targets, *(f"{key}={value}" for key, value in sorted(self.data.items()))]
        return " ".join(str(word) for word in words)


def parse_action(line: str, *, where: str = "action") -> Action:
    """Read the one-line form.

    Raises:
        ConfigError: the line does not start with `<domain>.<service>` or holds a word that is neither an entity id nor `key=value`.
    """
    words = line.replace(",", " ").split()
    if not words or "." not in words[0]:
        raise ConfigError(f"{where}: expected '<domain>.<service> <entity_id>... <key>=<value>...', got {line!r}")
    targets: list[str] = []
    data: dict[str, Any] = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if equals:
            data[key] = _parse_value(value)
        elif "." in word:
            targets.append(word)
        elif data:  # a value of several words, as in message=good night
            last = next(reversed(data))
            data[last] = f"{data[last]} {word}"
        else:
            raise ConfigError(f"{where}: expected an entity id or key=value, got {word!r} in {line!r}")
    return Action(service=words[0], targets=tuple(sorted(targets)), data=data)


def _parse_value(text: str) -> Any:
    if text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text else number
