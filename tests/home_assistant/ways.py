"""The three ways in which a person in Home Assistant speaks to the daemon, and what Home Assistant then does.

Page     a text is typed into the box of the device page
Assist   a sentence is said to an agent of Assist: the one of the custom component, or the one of the Wyoming service
"""

import contextlib
import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from tests.home_assistant.lab import Lab
from tests.mosquitto import Watcher

NODE = "voice_rl"
DEVICE_DOMAINS = frozenset({"light", "switch", "fan", "cover", "lock"})
"""What is moved in these tests; the calls that carry words (text, mqtt, conversation) are not counted."""
_RETAINED = ("connection", "learning", "model", "training", "acted")

Call = tuple[str, str]
"""A service and the entity that it was called on."""


class Way(Protocol):
    """Somebody speaks, and gets an answer."""

    def say(self, text: str, *, language: str = "en") -> str:
        """Say something; return the answer in words."""


class Page:
    """The text box and the buttons of the device page."""

    def __init__(self, lab: Lab, watcher: Watcher) -> None:
        self._lab = lab
        self._watcher = watcher
        self._known: dict[str, str] = {}
        lab.until(self._is_ready, "the device page", deadline_s=30)

    def say(self, text: str, *, language: str = "en") -> str:  # noqa: ARG002 - the daemon finds out
        """Type something; return what the daemon wants spoken."""
        count = len(self._watcher.on_topic("voice_rl/say")) + 1
        self.type(text)
        return str(self._watcher.wait_topic("voice_rl/say", count=count)["text"])

    def type(self, text: str) -> None:
        """Type something."""
        self._lab.rest("POST", "/api/services/text/set_value", {"entity_id": self.entity("command"), "value": text})

    def press(self, key: str) -> None:
        """Press a button."""
        self._lab.rest("POST", "/api/services/button/press", {"entity_id": self.entity(key)})

    def entity(self, key: str) -> str:
        """Return the id of one entity of the device."""
        return self._known[f"{NODE}_{key}"]

    def state(self, key: str) -> dict[str, Any]:
        """Return the state of one entity of the device, with its attributes."""
        found: dict[str, Any] = self._lab.rest("GET", f"/api/states/{self.entity(key)}")
        return found

    def _is_ready(self) -> bool:
        """Return whether Home Assistant shows what lies retained at the broker: before, it sends nothing and misses events."""
        self._known = known = entities_of_device(self._lab)
        if not all(f"{NODE}_{key}" in known for key in (*_RETAINED, "command", "decision")):
            return False
        shown = [self._lab.state(known[f"{NODE}_{key}"]) for key in _RETAINED]
        is_there = all(self._lab.state(known[f"{NODE}_{key}"]) != "unavailable" for key in ("command", "decision"))
        return is_there and all(one not in ("", "unknown", "unavailable") for one in shown)


class Assist:
    """One conversation with an agent of Assist."""

    def __init__(self, lab: Lab, agent: str) -> None:
        self._lab = lab
        self._agent = agent
        self._conversation = uuid.uuid4().hex  # named here: 2025.4 tells no name when Wyoming only asks

    def say(self, text: str, *, language: str = "en") -> str:
        """Say something; return what Assist answers."""
        command = {"type": "conversation/process", "text": text, "language": language, "agent_id": self._agent}
        found = self._lab.ask(command | {"conversation_id": self._conversation})
        self._conversation = found["conversation_id"] or self._conversation
        return str(found["response"]["speech"]["plain"]["speech"])


def entities_of_device(lab: Lab) -> dict[str, str]:
    """Return the entities that are ours by discovery: unique id to entity id."""
    entities = lab.ask({"type": "config/entity_registry/list"})
    ours = (lab.entry(one["entity_id"]) for one in entities if one["platform"] == "mqtt")
    return {one["unique_id"]: one["entity_id"] for one in ours if one["unique_id"].startswith(f"{NODE}_")}


def agent_of(lab: Lab, platform: str) -> str:
    """Return the conversation agent of an integration; empty while there is none."""
    entities = lab.ask({"type": "config/entity_registry/list"})
    mine = (one for one in entities if one["platform"] == platform and one["entity_id"].startswith("conversation."))
    return next((str(one["entity_id"]) for one in mine if lab.state(one["entity_id"]) not in ("", "unavailable")), "")


@contextlib.contextmanager
def wyoming_agent(lab: Lab, port: int) -> Iterator[str]:
    """Add the daemon as a Wyoming service, as a person would by host and port; return its agent, and remove it in the end."""
    flow = lab.rest("POST", "/api/config/config_entries/flow", {"handler": "wyoming"})
    done = lab.rest("POST", f"/api/config/config_entries/flow/{flow['flow_id']}", {"host": "127.0.0.1", "port": port})
    assert done["type"] == "create_entry", done
    try:
        yield str(lab.until(lambda: agent_of(lab, "wyoming"), "the agent of the Wyoming service", deadline_s=30))
    finally:
        lab.rest("DELETE", f"/api/config/config_entries/entry/{done['result']['entry_id']}")


@contextlib.contextmanager
def counted_calls(lab: Lab) -> Iterator[list[Call]]:
    """Return a list that at the end holds every service call on a device that went over Home Assistant's event bus."""
    calls: list[Call] = []
    with lab.link() as link:
        link.send({"type": "subscribe_events", "event_type": "call_service"})
        answer = link.receive(10.0)
        assert answer is not None, "no subscription"
        assert answer["success"], answer
        yield calls
        link.send({"type": "ping"})
        while (message := link.receive(10.0)) is not None and message["type"] != "pong":
            calls += _calls_of(message["event"]["data"])
        assert message is not None, "the event bus did not end"


def _calls_of(called: dict[str, Any]) -> Sequence[Call]:
    if called["domain"] not in DEVICE_DOMAINS:
        return []
    targets = called["service_data"].get("entity_id", json.dumps(called["service_data"]))
    return [(f"{called['domain']}.{called['service']}", one) for one in ([targets] if isinstance(targets, str) else targets)]
