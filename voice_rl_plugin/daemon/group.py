"""A group: several daemons that share the commands of one prefix and one store, each area's conversation kept by one of them.

$share/<group>/<prefix>/command, confirm, ask ...   the broker gives each message to any member
member -> <prefix>/member/<owner>/inbox -> owner    it is passed on, unacknowledged until the broker has it, to the member that keeps the area
<prefix>/member/<client_id>                         online | offline (last will), retained: from these everybody reckons the same owner
home, states, result, learning/set                  every member hears them

The turns, questions, undo snapshots and pending results of an area so stay in one process, where they cannot be seen half. The owner is the
member with the largest hash of (member, area): when one goes, only its areas move, and their open questions are gone (docs/adr/012).
A decision's id begins with the member that made it; what names a decision goes to that one while it is there.
"""

import base64
import hashlib
import json
import uuid
from dataclasses import replace

from voice_rl_plugin.config import MqttSection
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.broker import Message
from voice_rl_plugin.errors import MessageError

SHARED = ("command", "command/+", "ask", "confirm", "confirm/+", "model/set", "train/set")
"""Inputs that one member takes; every other one is heard by all."""
_ROUTED = ("command", "ask", "confirm")
_MARK = "~"


class Group:
    """One member's view of its group.

    Args:
        settings: prefix, client id, and what the group is called.
    """

    def __init__(self, settings: MqttSection) -> None:
        self._prefix = settings.prefix
        self._name = settings.client_id
        self._group = settings.shared_group
        self._members = {self._name}

    @property
    def is_alone(self) -> bool:
        """Whether there is no group: one daemon does everything."""
        return not self._group

    @property
    def members(self) -> tuple[str, ...]:
        """Return the members that are online, in order."""
        return tuple(sorted(self._members))

    @property
    def status_topic(self) -> str:
        """Return where this member's status is, below the prefix."""
        return f"member/{self._name}"

    @property
    def topics(self) -> tuple[str, ...]:
        """Return what to subscribe to beside the inputs."""
        return () if self.is_alone else (f"{self._prefix}/member/+", self._inbox(self._name), f"{self._prefix}/status")

    @property
    def inbox_topics(self) -> tuple[str, ...]:
        """Return where others pass on what is ours."""
        return () if self.is_alone else (self._inbox(self._name),)

    def input_topic(self, name: str) -> str:
        """Return what to subscribe to for an input."""
        share = "" if self.is_alone or name not in SHARED else f"$share/{self._group}/"
        return f"{share}{self._prefix}/{name}"

    def new_id(self) -> str:
        """Return the id of a decision of this member."""
        return uuid.uuid4().hex if self.is_alone else f"{self._name}{_MARK}{uuid.uuid4().hex}"

    def is_ours(self, decision_id: str) -> bool:
        """Whether this member made a decision."""
        return self.is_alone or decision_id.startswith(f"{self._name}{_MARK}")

    def take_status(self, message: Message) -> bool:
        """Take what a member says of itself; return whether the message was of that kind."""
        name = message.topic.removeprefix(f"{self._prefix}/member/")
        if self.is_alone or name == message.topic or "/" in name:
            return False
        if message.payload == b"online":
            self._members.add(name)
        elif name != self._name:
            self._members.discard(name)
        return True

    def open(self, message: Message) -> Message:
        """Return what another member passed on; any other message as it is.

        Raises:
            MessageError: it is none that a member writes.
        """
        if self.is_alone or message.topic != self._inbox(self._name):
            return message
        try:
            inner = json.loads(message.payload)
            topic, waited_s = inner["topic"], float(inner["waited_s"])
            response_topic, correlation = inner["response_topic"], inner["correlation"]
            _check(isinstance(topic, str) and topic.startswith(tuple(f"{self._prefix}/{name}" for name in _ROUTED)), "topic")
            _check(waited_s >= 0.0, "waited_s")
            _check(response_topic is None or isinstance(response_topic, str), "response_topic")
            return replace(
                message,
                topic=topic,
                payload=base64.b64decode(inner["payload"], validate=True),
                is_duplicate=message.is_duplicate or bool(inner["is_duplicate"]),
                waited_s=message.waited_s + waited_s,
                response_topic=response_topic,
                correlation=None if correlation is None else base64.b64decode(correlation, validate=True),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise MessageError(f"{message.topic}: expected a message that another member of the group passed on: {error}") from error

    def owner_of(self, message: Message, home: Home) -> str | None:
        """Return the member to whom a message is to be passed on; None for one that is ours, or anybody's.

        Raises:
            MessageError: it cannot be read, or names neither a place nor a decision.
        """
        if self.is_alone or len(self._members) == 1 or message.is_retained:
            return None
        name, _, level = message.topic.removeprefix(f"{self._prefix}/").partition("/")
        if name not in _ROUTED or not message.topic.startswith(f"{self._prefix}/"):
            return None
        if name == "confirm":
            said = native.parse_confirm(message.payload, area=level or None, home=home)
            maker = (said.decision_id or "").partition(_MARK)[0]
            place = said.area or said.satellite_id or said.session_id
            if maker in self._members:
                return None if maker == self._name else maker
            if said.decision_id is None and place is None:
                raise MessageError("confirm: several daemons share this home: name the area or the decision_id")
        else:
            fields = message.payload if name == "command" else native.encode(native.parse_ask(message.payload, home=home))
            utterance = native.parse_command(fields, area=level or None, home=home)
            place = utterance.area or utterance.place
        owner = max(self._members, key=lambda member: hashlib.sha256(f"{member}\0{place}".encode()).digest())
        return None if owner == self._name else owner

    def passed_on(self, message: Message, owner: str) -> tuple[str, bytes]:
        """Return topic and payload that bring a message to its owner."""
        correlation = message.correlation
        inner = {
            "topic": message.topic,
            "payload": base64.b64encode(message.payload).decode(),
            "waited_s": min(message.waited_s, 1e9),
            "is_duplicate": message.is_duplicate,
            "response_topic": message.response_topic,
            "correlation": None if correlation is None else base64.b64encode(correlation).decode(),
        }
        return self._inbox(owner), native.encode(inner)

    def _inbox(self, name: str) -> str:
        return f"{self._prefix}/member/{name}/inbox"


def _check(is_right: bool, name: str) -> None:  # noqa: FBT001 - it reads as a sentence
    if not is_right:
        raise ValueError(name)
