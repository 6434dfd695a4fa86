"""The MQTT broker: two connections, one that hears and one that speaks; the only module that imports paho.

    <client_id>-in    subscribes; clean_start=False with a session expiry; every message is acknowledged by hand, after the commit
    <client_id>-out   publishes; holds the last will `offline` on `<prefix>/status`

Two connections, because one that does both waits for delayed ACKs (44 ms instead of 0.5 ms, see docs/adr). A paho callback only enqueues:
an exception in it would end the network thread without a word. A message that waited at the broker while we were away is told from a fresh
one by a fence: on each connect we send ourselves one message, and what arrives before it is old.
"""

import contextlib
import logging
import queue
import random
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from voice_rl_plugin.config import MqttSection, read_password
from voice_rl_plugin.errors import BrokerError, ConfigError

_LOGGER = logging.getLogger(__name__)

RECONNECT_MIN_S = 0.5
RECONNECT_MAX_S = 30.0
_MAX_OUTGOING = 1000
TAKEN_OVER_LOSSES = 6
TAKEN_OVER_WITHIN_S = 30.0
"""So many losses of a standing connection in this time mean that another client with our id pushes us out, and we it; not every broker says so."""
_FENCE_TIMEOUT_S = 30.0
_PROBLEMS_KEPT = 50
_TOPIC_BYTES = 65535
_PACKET_OVERHEAD_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message from the broker."""

    topic: str
    payload: bytes
    is_retained: bool = False
    is_duplicate: bool = False
    """Whether the broker marked it as delivered before."""
    waited_s: float = 0.0
    """It may have waited this long at the broker while we were away; infinite when nobody knows."""
    response_topic: str | None = None
    correlation: bytes | None = None
    received_at: float = 0.0
    """Monotonic seconds."""
    receipt: tuple[int, int] | None = None
    """Connection number and packet id, for the acknowledgement; None for QoS 0."""


@dataclass(slots=True, kw_only=True)
class BrokerCounts:
    """What went wrong since the start."""

    dropped: int = 0
    """QoS 0 messages that found the queue full."""
    unsent: int = 0
    """Publications that found no connection."""
    refused: int = 0
    """Subscriptions and publications that the broker refused."""
    reconnects: int = 0


class Broker(Protocol):
    """What the daemon needs of a broker."""

    counts: BrokerCounts
    connections: int
    """How often both connections came up; a change means: announce again."""

    @property
    def is_connected(self) -> bool:
        """Whether both connections stand."""

    @property
    def is_taken_over(self) -> bool:
        """Whether another client with our id has pushed us out."""

    def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe now and after each reconnect."""

    def start(self) -> None:
        """Begin to connect, in the background."""

    def stop(self) -> None:
        """Send what is waiting and disconnect."""

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message; None after the timeout or a wake-up."""

    def wake(self) -> None:
        """Make a waiting `receive` return."""

    def ack(self, message: Message) -> None:
        """Tell the broker that a message is settled."""

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expires_s: float | None = None, correlation: bytes | None = None
    ) -> bool:
        """Publish with QoS 1; return whether there was a connection to send it on.

        Raises:
            BrokerError: the topic has wildcards or empty levels, or the payload is too large.
        """

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
        self._queue: queue.Queue[Message | None] = queue.Queue()
        self._problems: deque[str] = deque(maxlen=_PROBLEMS_KEPT)
        self._topics: list[str] = []
        self._lock = threading.Lock()
        self._taken_over = False
        self._stopping = False
        self._both_stand = threading.Event()
        self._fence_topic = f"{settings.prefix}/fence/{settings.client_id}"
        self._password = read_password(settings)
        self._tls = _tls_context(settings)
        protocol = paho.MQTTv311 if settings.version == "3.1.1" else paho.MQTTv5
        self._hears = _Link(self, "in", protocol)
        self._speaks = _Link(self, "out", protocol)

    @property
    def is_connected(self) -> bool:
        """Whether both connections stand."""
        return self._hears.is_ready and self._speaks.is_ready

    @property
    def is_taken_over(self) -> bool:
        """Whether another client with our id has pushed us out."""
        return self._taken_over

    def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe now and after each reconnect."""
        with self._lock:
            fresh = [topic for topic in topics if topic not in self._topics]
            self._topics.extend(fresh)
        if self._hears.is_up and fresh:
            self._hears.subscribe(fresh)

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._hears.start()
        self._speaks.start()

    def stop(self) -> None:
        """Send what is waiting and disconnect."""
        self._stopping = True
        self._hears.stop()
        self._speaks.stop()

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message; None after the timeout or a wake-up.

        While one of the connections is down nothing is handed out: what would be answered could not be sent.
        """
        if not self._both_stand.wait(timeout_s):
            return None
        try:
            return self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None

    def wake(self) -> None:
        """Make a waiting `receive` return."""
        self._queue.put(None)

    def ack(self, message: Message) -> None:
        """Tell the broker that a message is settled; a receipt of an earlier connection is void, since the broker sends the message again."""
        if message.receipt is not None:
            self._hears.ack(message.receipt)

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expires_s: float | None = None, correlation: bytes | None = None
    ) -> bool:
        """Publish with QoS 1; return whether there was a connection to send it on.

        Raises:
            BrokerError: the topic has wildcards or empty levels, or the payload is larger than we or the broker allow.
        """
        check_topic(topic)
        limit = min(self._settings.max_payload_bytes, self._speaks.max_packet_bytes - _PACKET_OVERHEAD_BYTES - len(topic.encode()))
        if len(payload) > limit:
            raise BrokerError(f"expected at most {limit} bytes on {topic}, got {len(payload)}")
        sent = self._speaks.publish(topic, payload, retain=retain, expires_s=expires_s, correlation=correlation)
        if not sent:
            self.counts.unsent += 1
        return sent

    def take_problems(self) -> tuple[str, ...]:
        """Return what the broker refused since the last call."""
        taken = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self._problems.popleft())
        return tuple(taken)

    def _on_up(self, link: "_Link") -> None:
        if link is self._speaks:
            self._on_ready(link)
            return
        with self._lock:
            topics = [self._fence_topic, *self._topics]
        link.subscribe(topics, makes_ready=True)
        link.raise_fence(self._fence_topic)

    def _on_ready(self, link: "_Link") -> None:
        link.is_ready = True
        if link.has_been_ready:
            self.counts.reconnects += 1
        if self.is_connected:
            self.connections += 1
            self._both_stand.set()
            self.wake()
        link.has_been_ready = True

    def _on_message(self, link: "_Link", raw: paho.MQTTMessage, generation: int) -> None:
        receipt = (generation, raw.mid) if raw.qos else None
        try:
            topic = raw.topic
        except UnicodeDecodeError:
            topic = ""
        if topic == self._fence_topic or not topic:
            if topic:
                link.lower_fence(bytes(raw.payload))
            if receipt:
                link.ack(receipt)
            return
        properties = raw.properties
        message = Message(
            topic=topic,
            payload=bytes(raw.payload),
            is_retained=bool(raw.retain),
            is_duplicate=bool(raw.dup),
            waited_s=link.waited_s,
            response_topic=getattr(properties, "ResponseTopic", None),
            correlation=getattr(properties, "CorrelationData", None),
            received_at=time.monotonic(),
            receipt=receipt,
        )
        if receipt is None and self._queue.qsize() >= self._settings.queue_size:
            self.counts.dropped += 1  # QoS 1 always finds a place: the broker sends at most 20 before we acknowledge
            return
        self._queue.put(message)

    def _on_refused(self, what: str) -> None:
        self.counts.refused += 1
        self._problems.append(what)
        self.wake()

    def _on_taken_over(self) -> None:
        self._taken_over = True
        self._problems.append("another client uses our client id; give each daemon its own mqtt.client_id")
        self.wake()


class _Link:
    """One connection with its own paho client."""

    def __init__(self, owner: PahoBroker, name: str, protocol: int) -> None:
        self._owner = owner
        self._settings = owner._settings  # noqa: SLF001 - one class in two parts
        self.name = name
        self._protocol = protocol
        self._generation = 0
        self._failures = 0
        self._disconnects_without_connack = 0
        self._subscriptions: dict[int, list[str]] = {}
        self._subscriptions_lock = threading.Lock()
        self._publications: dict[int, str] = {}
        self._fence = b""
        self._fence_until = 0.0
        self._away_s = float("inf")
        self._lost_at: float | None = None
        self._has_old_session = False
        self._ready_mid: int | None = None
        self.is_up = False
        """Whether the broker has accepted the connection; ready means that it has the subscriptions too."""
        self._losses: deque[float] = deque(maxlen=TAKEN_OVER_LOSSES)
        self.is_ready = False
        self.has_been_ready = False
        self.max_packet_bytes = 268_435_455
        self._client = self._build()

    @property
    def waited_s(self) -> float:
        """Return how long at most a message that arrives now was queued at the broker."""
        return self._away_s if self._fence and time.monotonic() < self._fence_until else 0.0

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._client.connect_async(self._settings.host, self._settings.port, self._settings.keepalive_s, **self._session())
        self._client.loop_start()

    def stop(self) -> None:
        """Send what is waiting, then disconnect."""
        deadline = time.monotonic() + 2.0
        while self._publications and self.is_ready and time.monotonic() < deadline:
            time.sleep(0.005)
        self._client.disconnect()
        self._client.loop_stop()
        self.is_up = self.is_ready = False

    def subscribe(self, topics: Sequence[str], *, makes_ready: bool = False) -> None:
        """Subscribe with QoS 1; the first subscription of a connection makes it ready when the broker has answered."""
        with self._subscriptions_lock:  # the SUBACK may come before we know the packet id
            code, mid = self._client.subscribe([(topic, 1) for topic in topics])
            if code == MQTTErrorCode.MQTT_ERR_SUCCESS and mid is not None:
                self._subscriptions[mid] = list(topics)
                self._ready_mid = mid if makes_ready else self._ready_mid

    def ack(self, receipt: tuple[int, int]) -> None:
        """Acknowledge a message of this connection."""
        generation, mid = receipt
        if generation == self._generation and self.is_up:
            self._client.ack(mid, 1)

    def publish(self, topic: str, payload: bytes, *, retain: bool, expires_s: float | None, correlation: bytes | None) -> bool:
        """Publish with QoS 1."""
        if not self.is_ready or len(self._publications) >= _MAX_OUTGOING:
            return False
        properties = None
        if self._protocol == paho.MQTTv5 and (expires_s is not None or correlation is not None):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if expires_s is not None:
                properties.MessageExpiryInterval = max(1, round(expires_s))
            if correlation is not None:
                properties.CorrelationData = correlation
        sent = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        if not sent.is_published():
            self._publications[sent.mid] = topic
            if sent.is_published():  # the PUBACK came in between
                self._publications.pop(sent.mid, None)
        return True

    def raise_fence(self, topic: str) -> None:
        """Send ourselves one message: what arrives before it is old; without an old session nothing was queued."""
        if not self._has_old_session:
            return
        self._fence = f"{self._generation}-{random.getrandbits(64):016x}".encode()
        self._fence_until = time.monotonic() + _FENCE_TIMEOUT_S
        self._client.publish(topic, self._fence, qos=1)

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
        client.max_inflight_messages_set(20)
        if settings.username is not None:
            client.username_pw_set(settings.username, self._owner._password)  # noqa: SLF001
        if self._owner._tls is not None:  # noqa: SLF001
            client.tls_set_context(self._owner._tls)  # noqa: SLF001
        if self.name == "out":
            client.will_set(f"{settings.prefix}/status", self._owner._will, qos=1, retain=True)  # noqa: SLF001
        client.on_socket_open = self._on_socket_open  # type: ignore[assignment]
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _session(self) -> dict[str, Any]:
        if self._protocol != paho.MQTTv5:
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        # clean_start=False on every connect: with paho's default the session is lost when the broker restarts.
        return {"clean_start": False, "properties": properties}

    @staticmethod
    def _on_socket_open(_client: paho.Client, _userdata: Any, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, AttributeError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self, _client: paho.Client, _userdata: Any, flags: paho.ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._disconnects_without_connack = 0
        if code.is_failure:
            _LOGGER.warning("broker %s:%s refuses us: %s", self._settings.host, self._settings.port, code)
            self._owner._on_refused(f"the broker refuses the connection: {code}")  # noqa: SLF001
            if self._may_fall_back and "protocol version" in str(code).casefold():
                self._fall_back()
            return
        self._failures = 0
        self._generation += 1
        self._publications.clear()
        self._fence = b""
        self._away_s = float("inf") if self._lost_at is None else time.monotonic() - self._lost_at
        self._has_old_session = flags.session_present
        self.max_packet_bytes = getattr(properties, "MaximumPacketSize", 268_435_455)
        self.is_up = True
        _LOGGER.info("connected to %s:%s as %s-%s, session %s", self._settings.host, self._settings.port, self._settings.client_id, self.name,
                     "kept" if flags.session_present else "new")  # fmt: skip
        self._owner._on_up(self)  # noqa: SLF001

    def _on_connect_fail(self, _client: paho.Client, _userdata: Any) -> None:
        self._back_off()

    def _on_disconnect(self, _client: paho.Client, _userdata: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        was_up, self.is_up, self.is_ready = self.is_up, False, False
        self._owner._both_stand.clear()  # noqa: SLF001
        if self._owner._stopping:  # noqa: SLF001
            return
        if was_up:
            self._lost_at = time.monotonic()
            self._losses.append(self._lost_at)
            is_flapping = len(self._losses) == TAKEN_OVER_LOSSES and self._lost_at - self._losses[0] < TAKEN_OVER_WITHIN_S
            if is_flapping or "taken over" in str(code).casefold():
                self._owner._on_taken_over()  # noqa: SLF001
            _LOGGER.warning("connection %s-%s lost: %s", self._settings.client_id, self.name, code)
        else:
            self._disconnects_without_connack += 1
            if self._may_fall_back and self._disconnects_without_connack >= 2 and not self.has_been_ready:
                self._fall_back()
        self._back_off()
        self._owner.wake()

    def _on_subscribe(self, _client: paho.Client, _userdata: Any, mid: int, codes: Sequence[ReasonCode], _properties: Any) -> None:
        with self._subscriptions_lock:
            topics = self._subscriptions.pop(mid, [])
            is_first = mid == self._ready_mid
        for topic, code in zip(topics, codes, strict=False):
            if code.is_failure:
                _LOGGER.error("the broker refuses the subscription to %s: %s", topic, code)
                self._owner._on_refused(f"the broker refuses the subscription to {topic}: {code}; check its ACL")  # noqa: SLF001
        if is_first:
            self._ready_mid = None
            self._owner._on_ready(self)  # noqa: SLF001

    def _on_publish(self, _client: paho.Client, _userdata: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        topic = self._publications.pop(mid, None)
        if code.is_failure:
            _LOGGER.error("the broker refuses the publication on %s: %s", topic, code)
            self._owner._on_refused(f"the broker refuses the publication on {topic or 'a topic'}: {code}; check its ACL")  # noqa: SLF001

    def _on_message(self, _client: paho.Client, _userdata: Any, raw: paho.MQTTMessage) -> None:
        try:
            self._owner._on_message(self, raw, self._generation)  # noqa: SLF001
        except Exception:
            _LOGGER.exception("a message could not be enqueued")

    def _back_off(self) -> None:
        """Set the next delay at random between 0 and a doubling limit ("full jitter"), so that clients do not return in step."""
        self._failures += 1
        limit = min(RECONNECT_MAX_S, RECONNECT_MIN_S * 2 ** min(self._failures, 10))
        delay = random.uniform(0.05, limit)
        self._client.reconnect_delay_set(delay, RECONNECT_MAX_S + delay)  # type: ignore[arg-type] # it takes any number

    @property
    def _may_fall_back(self) -> bool:
        return self._settings.version == "auto" and self._protocol == paho.MQTTv5

    def _fall_back(self) -> None:
        _LOGGER.warning("the broker does not speak MQTT 5; going on with 3.1.1")
        self._protocol = paho.MQTTv311
        old = self._client

        def change() -> None:
            old.disconnect()
            old.loop_stop()
            if not self._owner._stopping:  # noqa: SLF001
                self._client = self._build()
                self.start()

        threading.Thread(target=change, name=f"mqtt-fall-back-{self.name}", daemon=True).start()


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
