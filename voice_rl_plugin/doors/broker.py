"""The MQTT broker: two connections, one that hears and one that speaks; the only module that imports paho.

    <client_id>-in    subscribes; clean_start=False with a session expiry; every message is acknowledged by hand, after the commit
    <client_id>-out   publishes; holds the last will `offline` on `<prefix>/status`

Two connections, because one that does both waits for delayed ACKs (44 ms instead of 0.5 ms, see docs/adr/002). Neither has a thread: whoever
calls `receive` serves both sockets, so nothing waits for another thread's turn, and a program that hangs stops answering its broker, which
then tells the last will (docs/adr/007). Only `wake` may be called from elsewhere. A message that waited at the broker is told from a fresh one
by marks that we send ourselves: what arrives before the first of a connection is old, and one that is late says that all else is late too.
"""

import contextlib
import functools
import itertools
import logging
import math
import random
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from voice_rl_plugin.config import MqttSection, read_password
from voice_rl_plugin.doors.inflight import Inflight
from voice_rl_plugin.doors.lag import LagGauge
from voice_rl_plugin.errors import BrokerError, ConfigError

_LOGGER = logging.getLogger(__name__)

GROUP_EXPIRY_S = 60
"""A member of a group that is gone longer gets no more of its messages; until then the broker goes on to keep it a share."""
RECONNECT_MIN_S = 0.25
RECONNECT_MAX_S = 30.0
CONNACK_S = 10.0
"""A broker that takes the connection has this long to say yes or no."""
DEAD_LINE_S = 10
"""A line that acknowledges nothing for so long is given up; the keepalive alone would take one and a half of its own length."""
IN_FLIGHT = 20
"""Unacknowledged messages each way; above it brokers were seen to lose some."""
TAKEN_OVER_CONNECTIONS = 2
"""Another process found in our place on so many of our later connections pushes us out, and we it: the one that was started later goes."""
PUSHED_OUT_MOST = 20
"""A broker that keeps no mark of who is there, and says so often that we were pushed out, is left in any case."""
_MAX_OUTGOING = 1000
_READ_AT_ONCE = 40
"""Packets that are read before the next message is handed out."""
_FROZEN_S = 0.2
_HOUSEKEEPING_S = 1.0
_FENCE_TIMEOUT_S = 30.0
_FLUSH_S = 2.0
_PROBLEMS_KEPT = 50
_TOPIC_BYTES = 65535
_PACKET_OVERHEAD_BYTES = 512
_LARGEST_PACKET = 268_435_455
_NO_SUBSCRIBER = 16
"""MQTT 5's reason code of a publication that was accepted, and that nobody hears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message from the broker."""

    topic: str
    payload: bytes
    is_retained: bool = False
    is_duplicate: bool = False
    """Whether the broker marked it as delivered before: to an earlier process of ours, for what this one has taken does not come again."""
    waited_s: float = 0.0
    """It may have waited this long at the broker or on the line; infinite when nobody knows."""
    response_topic: str | None = None
    correlation: bytes | None = None
    received_at: float = 0.0
    """Monotonic seconds."""
    receipt: tuple[int, int] | None = None
    """Connection number and packet id, for the acknowledgement; None for QoS 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one publication."""

    ticket: int
    outcome: str
    """`accepted` or `refused` by the broker; `lost` when the connection went before either: nobody knows whether it arrived."""


@dataclass(slots=True, kw_only=True)
class BrokerCounts:
    """What went wrong since the start."""

    dropped: int = 0
    """QoS 0 messages that found the queue full."""
    repeated: int = 0
    """Messages that the broker gave once more, and that were not taken twice."""
    unsent: int = 0
    """Publications that found no connection, or lost it."""
    refused: int = 0
    """Connections, subscriptions and publications that the broker refused."""
    reconnects: int = 0


class Broker(Protocol):
    """What the daemon needs of a broker; all but `wake` is called from one thread."""

    counts: BrokerCounts
    connections: int
    """How often both connections came up; a change means: announce again."""

    @property
    def is_connected(self) -> bool:
        """Whether both connections stand."""

    @property
    def is_taken_over(self) -> bool:
        """Whether another client with our id was here before us, and we have to go."""

    @property
    def waiting(self) -> int:
        """How many messages wait in this process."""

    @property
    def lag_s(self) -> float:
        """How long messages wait at the broker or on the line just now."""

    def subscribe(self, topics: Sequence[str], *, is_optional: bool = False) -> None:
        """Subscribe now and after each reconnect; a refusal of what is optional is no problem."""

    def ask_again(self, topic: str) -> None:
        """Have what is retained on a subscribed topic given once more, in case it was lost on its way."""

    def start(self) -> None:
        """Begin to connect, in the background."""

    def stop(self) -> None:
        """Send what is waiting and disconnect."""

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message; None after the timeout or a wake-up."""

    def leave(self, topics: Sequence[str]) -> None:
        """Unsubscribe, and wait until the broker has it."""

    def wake(self) -> None:
        """Make a waiting `receive` return; from any thread."""

    def ack(self, message: Message) -> None:
        """Tell the broker that a message is settled."""

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expires_s: float | None = None, correlation: bytes | None = None
    ) -> int:
        """Publish with QoS 1; return a ticket, of which `take_deliveries` tells later, or 0 when there was no connection to send it on.

        Raises:
            BrokerError: the topic has wildcards or empty levels, or the payload is too large.
        """

    def forward(self, message: Message, topic: str, payload: bytes) -> None:
        """Publish a message for somebody else, and acknowledge it when the broker has that."""

    def take_deliveries(self) -> tuple[Delivery, ...]:
        """Return what became of publications since the last call."""

    def take_problems(self) -> tuple[str, ...]:
        """Return what the broker refused since the last call."""


def check_topic(topic: str) -> None:
    """Check that a topic can be published on.

    Raises:
        BrokerError: it has a wildcard, an empty level or a NUL, or is too long.
    """
    if not topic or set(topic) & set("+#\0") or "" in topic.split("/") or len(topic.encode("utf-8", "replace")) > _TOPIC_BYTES:
        raise BrokerError(f"expected a topic without wildcards and empty levels, got {topic!r}")


class PahoBroker:
    """The real broker.

    Args:
        settings: host, port, TLS, session.
        will: the payload that the broker publishes on `<prefix>/status` when we die.
    """

    def __init__(self, settings: MqttSection, *, will: bytes = b"offline") -> None:
        self.counts = BrokerCounts()
        self.connections = 0
        self._settings = settings
        self._will = will
        self._queue: deque[Message] = deque()
        self._deliveries: deque[Delivery] = deque()
        self._problems: deque[str] = deque(maxlen=_PROBLEMS_KEPT)
        self._topics: list[str] = []
        self._optional: set[str] = set()
        self._taken_over = False
        self._stopping = False
        self._is_woken = False
        self._served_at = float("inf")
        self._unread_s = 0.0
        self._tickets = itertools.count(1)
        self._inflight = Inflight()
        self._forwarded: dict[int, Message] = {}
        """By ticket: what is acknowledged as soon as the broker has taken it for somebody else."""
        self.name = f"{int(1000 * time.time()):011x}{random.getrandbits(20):05x}"
        """Of this process: it tells our marks from those of another one with our client id, and which of the two was started first."""
        self._foreign: set[bytes] = set()
        """Marks of another process, left in our place between two of our connections; one that runs leaves another one each time."""
        self._pushed_out = 0
        self._gauge = LagGauge(self.name)
        self._fence_topic = f"{settings.prefix}/fence/{settings.client_id}"
        self._spoken = (f"{settings.prefix}/command", f"{settings.prefix}/confirm")
        self._password = read_password(settings)
        self._tls = _tls_context(settings)
        self._bell, self._rope = socket.socketpair()
        for one in (self._bell, self._rope):
            one.settimeout(0)
        protocol = paho.MQTTv311 if settings.version == "3.1.1" else paho.MQTTv5
        self._hears = _Link(self, "in", protocol)
        self._speaks = _Link(self, "out", protocol)

    @property
    def is_connected(self) -> bool:
        """Whether both connections stand."""
        return self._hears.is_ready and self._speaks.is_ready

    @property
    def is_taken_over(self) -> bool:
        """Whether another client with our id was here before us."""
        return self._taken_over

    @property
    def waiting(self) -> int:
        """How many messages wait in this process."""
        return len(self._queue)

    @property
    def lag_s(self) -> float:
        """How long messages wait at the broker or on the line just now."""
        return self._gauge.waited_s(time.monotonic()) if self.is_connected else 0.0

    def subscribe(self, topics: Sequence[str], *, is_optional: bool = False) -> None:
        """Subscribe now and after each reconnect; a refusal of what is optional is no problem."""
        fresh = [topic for topic in topics if topic not in self._topics]
        self._topics.extend(fresh)
        self._optional.update(fresh if is_optional else ())
        if self._hears.is_up and fresh:
            self._hears.subscribe(fresh)

    def ask_again(self, topic: str) -> None:
        """Have what is retained on a subscribed topic given once more, in case it was lost on its way."""
        if self._hears.is_ready and topic in self._topics:
            self._hears.subscribe([topic])

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._hears.start()
        self._speaks.start()

    def stop(self) -> None:
        """Send what is waiting and disconnect."""
        self._stopping = True
        deadline = time.monotonic() + _FLUSH_S
        self._speaks.publish(self._fence_topic, b"", ticket=0, retain=True)
        while self._speaks.is_ready and self._speaks.has_unconfirmed and time.monotonic() < deadline:
            self._serve(0.05)
        self._hears.stop()
        self._speaks.stop()
        self._bell.close()
        self._rope.close()

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message; None after the timeout or a wake-up.

        While one of the connections is down nothing is handed out: what would be answered could not be sent.
        """
        deadline = time.monotonic() + timeout_s
        left_s = timeout_s
        while self._bell.fileno() >= 0:
            self._serve(0.0 if self._is_woken or (self._queue and self.is_connected) else max(left_s, 0.0))
            if self._is_woken:
                self._is_woken = False
                return None
            if self._queue and self.is_connected:
                return self._queue.popleft()
            left_s = deadline - time.monotonic()
            if left_s <= 0.0:
                break
        return None

    def leave(self, topics: Sequence[str]) -> None:
        """Unsubscribe, and wait until the broker has it: what came before is received as ever, and nothing comes after."""
        deadline = time.monotonic() + _FLUSH_S
        self._hears.leave(topics)
        while self._hears.is_ready and self._hears.is_leaving and time.monotonic() < deadline:
            self._serve(0.05)

    def wake(self) -> None:
        """Make a waiting `receive` return; from any thread."""
        with contextlib.suppress(OSError):  # rung already, or stopped
            self._rope.send(b"\0")

    def ack(self, message: Message) -> None:
        """Tell the broker that a message is settled; after a reconnect this waits until the broker gives the message again."""
        if message.receipt is not None:
            self._hears.ack(self._inflight.settle(message.receipt, time.monotonic()))

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expires_s: float | None = None, correlation: bytes | None = None
    ) -> int:
        """Publish with QoS 1; return a ticket, of which `take_deliveries` tells later, or 0 when there was no connection to send it on.

        Raises:
            BrokerError: the topic has wildcards or empty levels, or the payload is larger than we or the broker allow.
        """
        check_topic(topic)
        limit = min(self._settings.max_payload_bytes, self._speaks.max_packet_bytes - _PACKET_OVERHEAD_BYTES - len(topic.encode()))
        if len(payload) > limit:
            raise BrokerError(f"expected at most {limit} bytes on {topic}, got {len(payload)}")
        ticket = next(self._tickets)
        if not self._speaks.publish(topic, payload, ticket=ticket, retain=retain, expires_s=expires_s, correlation=correlation):
            self.counts.unsent += 1
            return 0
        return ticket

    def forward(self, message: Message, topic: str, payload: bytes) -> None:
        """Publish a message for somebody else, and acknowledge it when the broker has that; if it has not, hand the message out again.

        Raises:
            BrokerError: as `publish`.
        """
        ticket = self.publish(topic, payload)
        if ticket:
            self._forwarded[ticket] = message
        else:
            self._queue.appendleft(message)

    def take_deliveries(self) -> tuple[Delivery, ...]:
        """Return what became of publications since the last call."""
        taken = tuple(self._deliveries)
        self._deliveries.clear()
        return taken

    def take_problems(self) -> tuple[str, ...]:
        """Return what the broker refused since the last call."""
        taken = tuple(self._problems)
        self._problems.clear()
        return taken

    def _serve(self, timeout_s: float) -> None:
        """Read and write what the sockets allow, and wait for them if they allow nothing.

        What lies there before any waiting may have come at any time since we last looked.
        """
        now = time.monotonic()
        self._unread_s = max(now - self._served_at, 0.0)
        for link in (self._hears, self._speaks):
            link.look_after(now)
        if self.is_connected and self._gauge.is_due(now):
            self._speaks.publish(self._fence_topic, self._gauge.next_mark(now), ticket=0)
        if not self._poll(0.0) and timeout_s > 0.0:
            self._unread_s = 0.0
            self._poll(min(timeout_s, *(link.due_in(now) for link in (self._hears, self._speaks))))
        self._served_at = time.monotonic()

    def _poll(self, timeout_s: float) -> bool:
        """Wait until a socket can be served, and serve it; return whether one could."""
        poller = select.poll()
        poller.register(self._bell, select.POLLIN)
        links: dict[int, _Link] = {}
        for link in (self._hears, self._speaks):
            if (number := link.fileno) is not None:
                poller.register(number, select.POLLIN | (select.POLLOUT if link.wants_to_write else 0))
                links[number] = link
        unread = [link for link in links.values() if link.has_unread]
        begun = time.monotonic()
        events = poller.poll(0 if unread else math.ceil(timeout_s * 1000))
        took_s = time.monotonic() - begun
        if took_s > timeout_s + _FROZEN_S:  # the whole process stood still
            self._unread_s = max(self._unread_s, took_s)
        for number, event in events:
            if number in links:
                links[number].serve(may_read=bool(event & ~select.POLLOUT), may_write=bool(event & select.POLLOUT))
            else:
                self._is_woken = True
                with contextlib.suppress(BlockingIOError):
                    while self._bell.recv(4096):
                        pass
        for link in unread:
            link.serve(may_read=True, may_write=False)
        return bool(events or unread)

    def _on_up(self, link: "_Link") -> None:
        if link is self._speaks:
            self._on_ready(link)
            return
        link.subscribe([self._fence_topic, *self._topics], makes_ready=True)
        link.raise_fence(self._fence_topic)

    def _on_ready(self, link: "_Link") -> None:
        link.is_ready = True
        if link.has_been_ready:
            self.counts.reconnects += 1
        if self.is_connected:
            self.connections += 1
            self._gauge = LagGauge(self.name)
            self._is_woken = True
        link.has_been_ready = True

    def _on_message(self, link: "_Link", raw: paho.MQTTMessage, generation: int) -> None:
        receipt = (generation, raw.mid) if raw.qos else None
        try:
            topic = raw.topic
        except UnicodeDecodeError:
            topic = ""
        payload = bytes(raw.payload)
        if topic == self._fence_topic or not topic:
            if topic:
                self._take_mark(link, payload, generation, is_retained=bool(raw.retain))
            if receipt:
                link.ack(receipt)
            return
        if receipt is not None and not self._is_new(link, raw, receipt, topic, payload):
            return
        if receipt is None and len(self._queue) >= self._settings.queue_size:
            self.counts.dropped += 1  # QoS 1 always finds a place: the broker sends at most IN_FLIGHT before we acknowledge
            return
        now = time.monotonic()
        properties = raw.properties
        self._queue.append(
            Message(
                topic=topic,
                payload=payload,
                is_retained=bool(raw.retain),
                is_duplicate=bool(raw.dup),
                waited_s=max(link.waited_s, self._gauge.waited_s(now), self._unread_s),
                response_topic=getattr(properties, "ResponseTopic", None),
                correlation=getattr(properties, "CorrelationData", None),
                received_at=now,
                receipt=receipt,
            )
        )

    def _take_mark(self, link: "_Link", payload: bytes, generation: int, *, is_retained: bool) -> None:
        if not is_retained:
            link.lower_fence(payload)
            self._gauge.take(payload)
        elif not payload.startswith(self.name.encode()) and generation > 1:  # on the first it is of the process before us
            self._foreign.add(payload)
            if len(self._foreign) == TAKEN_OVER_CONNECTIONS:
                self._on_rival(is_older=payload < self.name.encode())

    def _is_new(self, link: "_Link", raw: paho.MQTTMessage, receipt: tuple[int, int], topic: str, payload: bytes) -> bool:
        """Whether this process sees a message for the first time."""
        may_be_repeated = topic.startswith(self._spoken) and not raw.retain
        taken = self._inflight.take(
            receipt,
            topic.encode() + b"\0" + payload,
            is_duplicate=bool(raw.dup),
            lost_at=link.lost_at if may_be_repeated and link.waited_s > 0.0 else None,
        )
        if taken == "new":
            return True
        self.counts.repeated += 1
        if taken == "settled":
            link.ack(receipt)
        return False

    def _on_refused(self, what: str) -> None:
        self.counts.refused += 1
        self._problems.append(what)
        self._is_woken = True

    def _on_pushed_out(self) -> None:
        self._pushed_out += 1
        if self._pushed_out == PUSHED_OUT_MOST:
            self._on_rival(is_older=True)

    def _on_rival(self, *, is_older: bool) -> None:
        """Give way to a process that was here before; one that came later does the same, so that one of the two stays."""
        self._taken_over = self._taken_over or is_older
        self._problems.append("another program uses our client id; give each daemon its own mqtt.client_id")
        self._is_woken = True

    def _on_delivery(self, ticket: int, outcome: str) -> None:
        forwarded = self._forwarded.pop(ticket, None)
        if forwarded is not None and outcome == "lost":  # the broker gives it again itself, unless it was of QoS 0
            self._queue.appendleft(forwarded)
        elif forwarded is not None and outcome == "unheard":  # who should have it has left; behind the news of that
            self._queue.append(forwarded)
        elif forwarded is not None:
            self.ack(forwarded)
        elif ticket:
            outcome = "accepted" if outcome == "unheard" else outcome
            self.counts.unsent += outcome == "lost"
            self._deliveries.append(Delivery(ticket=ticket, outcome=outcome))

    def _on_mark_refused(self, code: ReasonCode) -> None:
        if not self._gauge.is_forbidden:
            self._gauge.forbid()
            self._on_refused(
                f"the broker refuses the publication on {self._fence_topic}: {code}; old commands may pass for fresh, check its ACL"
            )


class _Link:
    """One connection after another, each with a paho client of its own: what an earlier one still held back is never sent late."""

    def __init__(self, owner: PahoBroker, name: str, protocol: int) -> None:
        self._owner = owner
        self._settings = owner._settings  # noqa: SLF001 - one class in two parts
        self.name = name
        self._protocol = protocol
        self._client: paho.Client | None = None
        self._spent: list[paho.Client] = []
        self._connecting: _Connecting | None = None
        self._generation = 0
        self._failures = 0
        self._losses_without_connack = 0
        self._connect_at = float("inf")
        self._connack_by = float("inf")
        self._housekeeping_at = 0.0
        self._subscriptions: dict[int, list[str]] = {}
        self._publications: dict[int, tuple[int, str]] = {}
        """Ticket and topic by packet id."""
        self._fence = b""
        self._fence_until = 0.0
        self._away_s = float("inf")
        self._has_old_session = False
        self._ready_mid: int | None = None
        self.is_leaving = False
        """Whether the broker has not answered that we unsubscribed."""
        self.lost_at: float | None = None
        """When the connection before this one was lost, in monotonic seconds."""
        self.is_up = False
        """Whether the broker has accepted the connection; ready means that it has the subscriptions too."""
        self.is_ready = False
        self.has_been_ready = False
        self.max_packet_bytes = _LARGEST_PACKET

    @property
    def waited_s(self) -> float:
        """Return how long at most a message that arrives now was queued at the broker while this connection was away."""
        return self._away_s if self._fence and time.monotonic() < self._fence_until else 0.0

    @property
    def fileno(self) -> int | None:
        """Return the socket's number, while there is one to be served."""
        sock = self._client.socket() if self._client is not None else None
        return None if sock is None else sock.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether something waits to be written."""
        return self._client is not None and self._client.want_write()

    @property
    def has_unread(self) -> bool:
        """Whether something was read and decrypted that no socket tells of any more."""
        sock = self._client.socket() if self._client is not None else None
        return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0

    @property
    def has_unconfirmed(self) -> bool:
        """Whether the broker has not answered every publication."""
        return bool(self._publications)

    def start(self) -> None:
        """Begin to connect."""
        self._connect_at = time.monotonic()

    def stop(self) -> None:
        """Disconnect."""
        self._connect_at = float("inf")
        self.is_up = self.is_ready = False
        if self._connecting is not None:
            self._connecting.abandon()
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            self._spent.append(client)
        self._close_spent()

    def due_in(self, now: float) -> float:
        """Return in how many seconds `look_after` has something to do."""
        return max(min(self._connect_at - now, _HOUSEKEEPING_S), 0.0)

    def look_after(self, now: float) -> None:
        """Connect when it is time, take over a connection that was made, and keep it alive."""
        self._close_spent()
        if self._connecting is not None and self._connecting.is_done:
            self._take_connection(now)
        if now >= self._connect_at:
            self._connect_at = float("inf")
            self._connecting = _Connecting(self._build(), self._settings, self._session(), on_done=self._owner.wake)
        if self._client is not None and now >= self._housekeeping_at:
            self._housekeeping_at = now + _HOUSEKEEPING_S
            self._client.loop_misc()
            if self._client is not None and not self.is_up and now >= self._connack_by:
                _LOGGER.warning("broker %s:%s took the connection and says nothing", self._settings.host, self._settings.port)
                self._on_loss()

    def serve(self, *, may_read: bool, may_write: bool) -> None:
        """Read and write as much as the socket allows, but not for ever."""
        if may_write and self._client is not None:
            self._client.loop_write()
        for _ in range(_READ_AT_ONCE if may_read else 0):
            if self._client is not None:
                self._client.loop_read()
            if not self._has_more():
                return

    def subscribe(self, topics: Sequence[str], *, makes_ready: bool = False) -> None:
        """Subscribe with QoS 1; the first subscription of a connection makes it ready when the broker has answered."""
        if self._client is None:
            return
        code, mid = self._client.subscribe([(topic, 1) for topic in topics])
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS and mid is not None:
            self._subscriptions[mid] = list(topics)
            self._ready_mid = mid if makes_ready else self._ready_mid

    def leave(self, topics: Sequence[str]) -> None:
        """Unsubscribe: what is shared with others the broker would keep for our return."""
        if self._client is not None and topics:
            self.is_leaving = self._client.unsubscribe(list(topics))[0] == MQTTErrorCode.MQTT_ERR_SUCCESS

    def ack(self, receipt: tuple[int, int]) -> None:
        """Acknowledge a message of this connection."""
        generation, mid = receipt
        if generation == self._generation and self.is_up and self._client is not None:
            self._client.ack(mid, 1)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        ticket: int,
        retain: bool = False,
        expires_s: float | None = None,
        correlation: bytes | None = None,
    ) -> bool:
        """Publish with QoS 1."""
        client = self._client
        if not self.is_ready or client is None or len(self._publications) >= _MAX_OUTGOING:
            return False
        properties = None
        if self._protocol == paho.MQTTv5 and (expires_s is not None or correlation is not None):
            properties = _properties_of(None if expires_s is None else max(1, round(expires_s)), correlation)
        sent = client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        self._publications[sent.mid] = (ticket, topic)
        return True

    def raise_fence(self, topic: str) -> None:
        """Send ourselves one message: what arrives before it is old. It stays at the broker, as the name of who is in this place."""
        if self._client is None:
            return
        fence = f"{self._owner.name}:fence-{self._generation}".encode()
        if self._has_old_session:  # without one nothing was queued
            self._fence, self._fence_until = fence, time.monotonic() + _FENCE_TIMEOUT_S
        self._client.publish(topic, fence, qos=1, retain=True)

    def lower_fence(self, payload: bytes) -> None:
        """Take what comes from now on as fresh."""
        if payload == self._fence:
            self._fence = b""

    def _build(self) -> paho.Client:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{settings.client_id}-{self.name}",
            protocol=self._protocol,  # type: ignore[arg-type]
            clean_session=None if self._protocol == paho.MQTTv5 else settings.session_expiry_s == 0,
            manual_ack=self.name == "in",
        )
        client.suppress_exceptions = True
        client.max_inflight_messages_set(IN_FLIGHT)
        if settings.username is not None:
            client.username_pw_set(settings.username, self._owner._password)  # noqa: SLF001
        if self._owner._tls is not None:  # noqa: SLF001
            client.tls_set_context(self._owner._tls)  # noqa: SLF001
        if self.name == "in" and settings.shared_group:
            client.will_set(f"{settings.prefix}/member/{settings.client_id}", b"offline", qos=1, retain=True)
        if self.name == "out":
            client.will_set(f"{settings.prefix}/status", self._owner._will, qos=1, retain=True)  # noqa: SLF001
        client.on_socket_open = _set_up_socket  # type: ignore[assignment]
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _session(self) -> dict[str, Any]:
        if self._protocol != paho.MQTTv5:
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        expiry_s = self._settings.session_expiry_s
        properties.SessionExpiryInterval = min(expiry_s, GROUP_EXPIRY_S) if self._settings.shared_group else expiry_s
        properties.ReceiveMaximum = IN_FLIGHT
        properties.MaximumPacketSize = self._settings.max_payload_bytes + _PACKET_OVERHEAD_BYTES + _TOPIC_BYTES
        # clean_start=False on every connect: with paho's default the session is lost when the broker restarts.
        return {"clean_start": False, "properties": properties}

    def _take_connection(self, now: float) -> None:
        made, self._connecting = self._connecting, None
        if made is None:
            return
        if made.error is None:
            self._client = made.client
            self._connack_by, self._housekeeping_at = now + CONNACK_S, now + _HOUSEKEEPING_S
            return
        _LOGGER.log(
            logging.WARNING if not self._failures else logging.DEBUG,
            "no connection to %s:%s: %s", self._settings.host, self._settings.port, made.error,
        )  # fmt: skip
        if isinstance(made.error, ssl.SSLError):
            self._owner._on_refused(f"no trusted connection to the broker: {made.error}; check mqtt.ca_file and the certificates")  # noqa: SLF001
        self._back_off()

    def _on_connect(
        self, _client: paho.Client, _userdata: Any, flags: paho.ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._losses_without_connack = 0
        if code.is_failure:
            _LOGGER.warning("broker %s:%s refuses us: %s", self._settings.host, self._settings.port, code)
            self._owner._on_refused(f"the broker refuses the connection: {code}")  # noqa: SLF001
            if self._may_fall_back and "protocol version" in str(code).casefold():
                self._fall_back()
            return
        self._failures = 0
        self._generation += 1
        self._fence = b""
        self._away_s = float("inf") if self.lost_at is None else time.monotonic() - self.lost_at
        self._has_old_session = flags.session_present
        self.max_packet_bytes = getattr(properties, "MaximumPacketSize", _LARGEST_PACKET)
        self.is_up = True
        _LOGGER.info("connected to %s:%s as %s-%s, session %s", self._settings.host, self._settings.port, self._settings.client_id, self.name,
                     "kept" if flags.session_present else "new")  # fmt: skip
        self._owner._on_up(self)  # noqa: SLF001

    def _on_disconnect(self, client: paho.Client, _userdata: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if client is self._client:
            self._on_loss(code)

    def _on_loss(self, code: ReasonCode | None = None) -> None:
        was_up, self.is_up, self.is_ready = self.is_up, False, False
        if self._client is not None:
            self._spent.append(self._client)
            self._client = None
        self._subscriptions.clear()
        for ticket, _ in self._publications.values():
            self._owner._on_delivery(ticket, "lost")  # noqa: SLF001
        self._publications.clear()
        if self._owner._stopping:  # noqa: SLF001
            return
        if was_up:
            self.lost_at = time.monotonic()
            if "taken over" in str(code).casefold():
                self._owner._on_pushed_out()  # noqa: SLF001
            _LOGGER.warning("connection %s-%s lost: %s", self._settings.client_id, self.name, code)
        else:
            self._losses_without_connack += 1
            if self._may_fall_back and self._losses_without_connack >= 2 and not self.has_been_ready:
                self._fall_back()
        self._back_off()
        self._owner._is_woken = True  # noqa: SLF001

    def _on_subscribe(self, _client: paho.Client, _userdata: Any, mid: int, codes: Sequence[ReasonCode], _properties: Any) -> None:
        topics = self._subscriptions.pop(mid, [])
        for topic, code in zip(topics, codes, strict=False):
            if code.is_failure and topic not in self._owner._optional:  # noqa: SLF001
                _LOGGER.error("the broker refuses the subscription to %s: %s", topic, code)
                self._owner._on_refused(f"the broker refuses the subscription to {topic}: {code}; check its ACL")  # noqa: SLF001
        if mid == self._ready_mid:
            self._ready_mid = None
            self._owner._on_ready(self)  # noqa: SLF001

    def _on_unsubscribe(self, *_: Any) -> None:
        self.is_leaving = False

    def _on_publish(self, _client: paho.Client, _userdata: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        ticket, topic = self._publications.pop(mid, (0, ""))
        if code.is_failure and not ticket:
            self._owner._on_mark_refused(code)  # noqa: SLF001
        elif code.is_failure:
            _LOGGER.error("the broker refuses the publication on %s: %s", topic, code)
            self._owner._on_refused(f"the broker refuses the publication on {topic}: {code}; check its ACL")  # noqa: SLF001
        accepted = "unheard" if code.value == _NO_SUBSCRIBER else "accepted"
        self._owner._on_delivery(ticket, "refused" if code.is_failure else accepted)  # noqa: SLF001

    def _on_message(self, _client: paho.Client, _userdata: Any, raw: paho.MQTTMessage) -> None:
        try:
            self._owner._on_message(self, raw, self._generation)  # noqa: SLF001
        except Exception:
            _LOGGER.exception("a message could not be enqueued")

    def _has_more(self) -> bool:
        number = self.fileno
        if number is None:
            return False
        poller = select.poll()
        poller.register(number, select.POLLIN)
        return self.has_unread or bool(poller.poll(0))

    def _back_off(self) -> None:
        """Choose the next delay at random between 0 and a doubling limit ("full jitter"), so that clients do not return in step."""
        self._failures += 1
        limit = min(RECONNECT_MAX_S, RECONNECT_MIN_S * 2 ** min(self._failures, 10))
        self._connect_at = time.monotonic() + random.uniform(0.05, limit)

    @property
    def _may_fall_back(self) -> bool:
        return self._settings.version == "auto" and self._protocol == paho.MQTTv5 and not self._settings.shared_group

    def _fall_back(self) -> None:
        _LOGGER.warning("the broker does not speak MQTT 5; going on with 3.1.1")
        self._protocol = paho.MQTTv311
        self._failures = 0

    def _close_spent(self) -> None:
        while self._spent:
            sock = self._spent.pop().socket()
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.close()


class _Connecting:
    """One attempt to connect, in a thread of its own: the name, TCP and TLS may take seconds."""

    def __init__(self, client: paho.Client, settings: MqttSection, session: dict[str, Any], *, on_done: Callable[[], None]) -> None:
        self.client = client
        self.error: Exception | None = None
        self.is_done = False
        self._is_abandoned = False
        self._lock = threading.Lock()
        threading.Thread(target=self._connect, args=(settings, session, on_done), name="mqtt-connect", daemon=True).start()

    def abandon(self) -> None:
        """Close the connection, or let it be closed as soon as it was made."""
        with self._lock:
            self._is_abandoned = True
            if self.is_done:
                self._close()

    def _connect(self, settings: MqttSection, session: dict[str, Any], on_done: Callable[[], None]) -> None:
        try:
            self.client.connect(settings.host, settings.port, settings.keepalive_s, **session)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt follows
            self.error = error
        with self._lock:
            self.is_done = True
            if self._is_abandoned:
                self._close()
        on_done()

    def _close(self) -> None:
        sock = self.client.socket()
        if sock is not None:
            sock.close()


@functools.lru_cache(maxsize=64)
def _properties_of(expires_s: int | None, correlation: bytes | None) -> Properties:
    """Return the properties of a publication; paho takes longer to make them than to send the message."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if expires_s is not None:
        properties.MessageExpiryInterval = expires_s
    if correlation is not None:
        properties.CorrelationData = correlation
    return properties


def _set_up_socket(_client: paho.Client, _userdata: Any, sock: socket.socket) -> None:
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_LINE_S * 1000)


def _tls_context(settings: MqttSection) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
        if settings.cert_file is not None:
            context.load_cert_chain(str(settings.cert_file), None if settings.key_file is None else str(settings.key_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"mqtt.ca_file, mqtt.cert_file, mqtt.key_file: expected readable PEM files: {error}") from error
    return context
