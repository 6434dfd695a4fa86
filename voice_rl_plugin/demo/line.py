"""The demo's own connection: it publishes what the person types and collects what comes back."""

import json
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from voice_rl_plugin.domain.home import States
from voice_rl_plugin.errors import BrokerError, MessageError
from voice_rl_plugin.homes.statestream import LiveStates

CONNECT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One message, with the prefix taken off its topic."""

    topic: str
    payload: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """Return the JSON object in it; empty when it holds none."""
        try:
            parsed = json.loads(self.payload)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}


class Line:
    """A connection to the broker for one person at a terminal."""

    def __init__(self, *, host: str, port: int, prefix: str = "voice_rl") -> None:
        self._host, self._port, self._prefix = host, port, prefix
        self._incoming: queue.SimpleQueue[Incoming] = queue.SimpleQueue()
        self._live = LiveStates(base=f"{prefix}/state")
        self._status: dict[str, str] = {}
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"view_{uuid.uuid4().hex[:10]}")
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message

    @property
    def states(self) -> States:
        """Return a copy of the live states."""
        with self._changed:
            return dict(self._live.states)

    def start(self) -> None:
        """Connect.

        Raises:
            BrokerError: the broker does not answer.
        """
        try:
            self._client.connect(self._host, self._port)
        except OSError as error:
            raise BrokerError(f"no broker at {self._host}:{self._port}: {error}") from error
        self._client.loop_start()
        if not self._ready.wait(CONNECT_S):
            raise BrokerError(f"the broker at {self._host}:{self._port} did not answer within {CONNECT_S} s")

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, topic: str, payload: Mapping[str, Any] | str) -> None:
        """Publish on `<prefix>/<topic>`."""
        body = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        self._client.publish(f"{self._prefix}/{topic}", body, qos=1)

    def drain(self) -> list[Incoming]:
        """Take everything that has come in so far."""
        taken: list[Incoming] = []
        while not self._incoming.empty():
            taken.append(self._incoming.get())
        return taken

    def next(self, timeout_s: float) -> Incoming | None:
        """Wait for the next message; None when none came in time."""
        try:
            return self._incoming.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            return None

    def wait_until(self, holds: Callable[[States, Mapping[str, str]], bool], timeout_s: float) -> bool:
        """Wait until something holds for the states and the retained texts (`status`, ...); return whether it did."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not holds(self._live.states, self._status):
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return holds(self._live.states, self._status)
        return True

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(f"{self._prefix}/{topic}", 1) for topic in _TOPICS])

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        topic = message.topic.removeprefix(f"{self._prefix}/")
        if not topic.startswith("state/"):
            if message.retain or topic == "status":
                with self._changed:
                    self._status[topic] = message.payload.decode(errors="replace")
                    self._changed.notify_all()
            if not message.retain:
                self._incoming.put(Incoming(topic=topic, payload=bytes(message.payload)))
            return
        with self._changed:
            try:
                self._live.on_message(message.topic, bytes(message.payload), now=time.time(), is_retained=message.retain)
            except MessageError:
                return
            self._changed.notify_all()


_TOPICS = ("state/#", "decision", "event", "say", "error", "result", "status", "train", "action/+/+")
