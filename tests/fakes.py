"""Fakes that several test areas share; each passes the contract suite of the real thing."""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voice_rl_plugin.deciding.aliases import TaughtName
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.deciding.turn import Heard, Turn
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.home import Home, States
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.doors.broker import BrokerCounts, Delivery, Message, check_topic
from voice_rl_plugin.errors import BrokerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a fake broker was given."""

    topic: str
    payload: bytes
    retain: bool = False
    correlation: bytes | None = None


def matches(pattern: str, topic: str) -> bool:
    """Return whether a topic falls under a subscription."""
    wanted, levels = pattern.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)


class FakeHub:
    """A broker in memory: retained messages and subscribers."""

    def __init__(self) -> None:
        self.retained: dict[str, Published] = {}
        self.published: list[Published] = []
        self.arrived = threading.Condition()
        self._members: list[FakeBroker] = []

    def join(self, member: "FakeBroker") -> None:
        """Add a member; what is published from now on reaches it."""
        self._members.append(member)

    def leave(self, member: "FakeBroker") -> None:
        """Drop a member."""
        if member in self._members:
            self._members.remove(member)

    def publish(self, one: Published, *, qos: int = 1, response_topic: str | None = None) -> None:
        """Hand a message to all whose subscription matches."""
        if one.retain:
            self.retained[one.topic] = one
            if not one.payload:
                del self.retained[one.topic]
        for member in list(self._members):
            if any(matches(pattern, one.topic) for pattern in member.topics):
                member.deliver(one, is_retained=False, qos=qos, response_topic=response_topic)
        with self.arrived:
            self.published.append(one)
            self.arrived.notify_all()


class FakeBroker:
    """A broker without a network."""

    def __init__(self, hub: FakeHub | None = None, *, queue_size: int = 1000, max_payload_bytes: int = 1_048_576) -> None:
        self.hub = hub or FakeHub()
        self.counts = BrokerCounts()
        self.connections = 0
        self.topics: list[str] = []
        self.unacked: dict[tuple[int, int], Message] = {}
        self.is_taken_over = False
        self.problems: list[str] = []
        self.deliveries: list[Delivery] = []
        self.lag_s = 0.0
        self._ticket = 0
        self._queue: queue.Queue[Message | None] = queue.Queue()
        self._queue_size = queue_size
        self._max_payload_bytes = max_payload_bytes
        self._mid = 0

    @property
    def is_connected(self) -> bool:
        """Whether it was started."""
        return self.connections > 0

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return self._queue.qsize()

    def subscribe(self, topics: Sequence[str], *, is_optional: bool = False) -> None:
        """Subscribe; retained messages come at once."""
        del is_optional
        for topic in topics:
            if topic not in self.topics:
                self.topics.append(topic)
                if self.is_connected:
                    self._replay(topic)

    def ask_again(self, topic: str) -> None:
        """Replay what is retained."""
        if topic in self.topics and self.is_connected:
            self._replay(topic)

    def start(self) -> None:
        """Connect."""
        self.connections += 1
        self.hub.join(self)
        for topic in self.topics:
            self._replay(topic)
        self.wake()

    def stop(self) -> None:
        """Disconnect."""
        self.hub.leave(self)

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message; None after the timeout or a wake-up."""
        try:
            return self._queue.get(timeout=max(timeout_s, 0.001))
        except queue.Empty:
            return None

    def leave(self, topics: Sequence[str]) -> None:
        """Unsubscribe."""
        self.topics = [one for one in self.topics if one not in topics]

    def wake(self) -> None:
        """Make a waiting `receive` return."""
        self._queue.put(None)

    def ack(self, message: Message) -> None:
        """Settle a message."""
        if message.receipt is not None:
            self.unacked.pop(message.receipt, None)

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expires_s: float | None = None, correlation: bytes | None = None
    ) -> int:
        """Publish to the hub, which accepts at once."""
        del expires_s
        check_topic(topic)
        if len(payload) > self._max_payload_bytes:
            raise BrokerError(f"expected at most {self._max_payload_bytes} bytes on {topic}, got {len(payload)}")
        if not self.is_connected:
            self.counts.unsent += 1
            return 0
        self._ticket += 1
        self.deliveries.append(Delivery(ticket=self._ticket, outcome="accepted"))
        self.hub.publish(Published(topic=topic, payload=payload, retain=retain, correlation=correlation))
        return self._ticket

    def forward(self, message: Message, topic: str, payload: bytes) -> None:
        """Publish a message for somebody else, and settle it."""
        self.publish(topic, payload)
        self.ack(message)

    def take_deliveries(self) -> tuple[Delivery, ...]:
        """Return what became of publications since the last call."""
        taken, self.deliveries = tuple(self.deliveries), []
        return taken

    def take_problems(self) -> tuple[str, ...]:
        """Return what was refused since the last call."""
        taken, self.problems = tuple(self.problems), []
        return taken

    def deliver(self, one: Published, *, is_retained: bool, qos: int = 1, response_topic: str | None = None) -> None:
        """Put a message into the queue, or count it as dropped."""
        if not qos and self._queue.qsize() >= self._queue_size:
            self.counts.dropped += 1
            return
        self._mid += 1
        message = Message(
            topic=one.topic,
            payload=one.payload,
            is_retained=is_retained,
            response_topic=response_topic,
            correlation=one.correlation,
            received_at=time.monotonic(),
            receipt=(self.connections, self._mid) if qos else None,
        )
        if message.receipt is not None:
            self.unacked[message.receipt] = message
        self._queue.put(message)

    def _replay(self, pattern: str) -> None:
        for one in list(self.hub.retained.values()):
            if matches(pattern, one.topic):
                self.deliver(one, is_retained=True)


LAMP = Action(service="light.turn_on", targets=("light.lamp",))
DESK = Action(service="light.turn_on", targets=("light.desk",))
UNLOCK = Action(service="lock.unlock", targets=("lock.front",))
LOUDER = Action(service="media_player.volume_up", targets=("media_player.radio",))

HOME = Home.from_mapping(
    {
        "language": "en",
        "areas": [{"id": "kitchen", "name": "Kitchen", "aliases": ["厨房"]}, {"id": "hall", "name": "Hall"}],
        "entities": [
            {"id": "light.lamp", "name": "Lamp", "area": "kitchen"},
            {"id": "light.desk", "name": "Desk Lamp", "area": "kitchen"},
            {"id": "lock.front", "name": "Front Door", "area": "hall"},
            {"id": "media_player.radio", "name": "Radio", "area": "kitchen"},
        ],
        "satellites": [{"id": "assist_satellite.hall", "area": "hall"}],
    }
)


class FakePolicy:
    """A model of which only the version matters."""

    def __init__(self, version: str = "base") -> None:
        self.version = version


class FakeDecider:
    """A brain that knows a few sentences by heart, and recalls its memory as the real one does."""

    def __init__(self, policy: FakePolicy, home: Home, memory: Memory) -> None:
        self.policy = policy
        self.home = home
        self.memory = memory
        self.heard: list[Utterance] = []

    def set_home(self, home: Home) -> None:
        """Replace the home."""
        self.home = home

    def set_policy(self, policy: FakePolicy) -> None:
        """Replace the policy."""
        self.policy = policy

    def may_remember(self, utterance: Utterance, actions: Sequence[Action]) -> bool:
        """Whether a correction may be learned by heart."""
        return bool(utterance.text) and not any_risky(actions, self.home)

    def name_taught(self, utterance: Utterance, actions: Sequence[Action]) -> TaughtName | None:
        """Take "the gizmo" for the name of what was meant."""
        return TaughtName("gizmo", actions[0].targets[0]) if "gizmo" in utterance.text and actions else None

    def correct(self, utterance: Utterance, *, judged: Decision, states: States, now: float, decision_id: str) -> Decision | None:
        """Decide a correction by heart."""
        return self.hear(utterance, states=states, last=Turn(decision=judged, at=now), now=now, decision_id=decision_id).decision

    def hear(self, utterance: Utterance, *, states: States, last: Turn | None, now: float, decision_id: str) -> Heard:
        """Decide by heart."""
        del states
        if self.policy.version == "broken":
            raise RuntimeError("broken")
        self.heard.append(utterance)
        decided: dict[str, Any] = {
            "id": decision_id,
            "utterance": utterance,
            "language": "zh" if utterance.text == "开灯" else "en",
            "decided_at": now,
            "policy_version": self.policy.version,
            "confidence": 0.9,
        }
        if self.policy.version == "contrary" and utterance.text == "turn on the lamp":
            return Heard(decision=Decision(outcome="act", actions=(DESK,), **decided))
        entry = self.memory.recall(utterance.text, utterance.area)
        if entry is not None and entry.is_contested:
            rivals = tuple(Candidate(actions=actions, probability=0.5) for actions in (entry.actions, entry.rival or ()))
            return Heard(
                decision=Decision(outcome="clarify", question="Which?", choices=rivals, stage="memory", reason_code="contested", **decided)
            )
        if entry is not None:
            outcome = "act" if entry.actions else "reject"
            return Heard(decision=Decision(outcome=outcome, actions=entry.actions, stage="memory", **decided))
        match utterance.text:
            case "turn on the lamp" | "开灯" | "turn on the lights":
                return Heard(decision=Decision(outcome="act", actions=(LAMP,), **decided))
            case "turn on the desk lamp":
                return Heard(decision=Decision(outcome="act", actions=(DESK,), **decided))
            case "louder":
                return Heard(decision=Decision(outcome="act", actions=(LOUDER,), **decided))
            case "is the lamp on":
                return Heard(decision=Decision(outcome="act", actions=(Action(service="query.state", targets=("light.lamp",)),), **decided))
            case "what is the weather":
                return Heard(decision=Decision(outcome="act", actions=(Action(service="intent.HassGetWeather"),), **decided))
            case "light please":
                choices = (
                    Candidate(actions=(LAMP,), probability=0.5, label="lamp"),
                    Candidate(actions=(DESK,), probability=0.4, label="desk lamp"),
                )
                return Heard(
                    decision=Decision(outcome="clarify", question="Which light?", choices=choices, reason_code="ambiguous", **decided)
                )
            case "unlock the front door":
                unlock = Candidate(actions=(UNLOCK,), probability=0.9, label="unlock")
                return Heard(decision=Decision(outcome="clarify", question="Unlock?", choices=(unlock,), reason_code="risky", **decided))
            case "no, the desk lamp" | "不对，台灯" if last is not None:
                feedback = Feedback(
                    decision_id=last.decision.id,
                    verdict="correct",
                    source="voice",
                    correction=(DESK,),
                    correction_text=utterance.text,
                    given_at=now,
                )
                return Heard(decision=Decision(outcome="act", actions=(DESK,), **decided), feedback=feedback)
            case "undo that" | "撤销" | "no" | "不对" if last is not None:
                verdict = "no" if utterance.text in ("no", "不对") else "undo"
                return Heard(decision=None, feedback=Feedback(decision_id=last.decision.id, verdict=verdict, source="voice", given_at=now))
            case "crash":
                raise RuntimeError("crash")
        return Heard(decision=Decision(outcome="reject", reason="I did not understand.", reason_code="unknown", **decided))
