"""A real mosquitto on a free loopback port, and a plain client that watches it."""

import contextlib
import json
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

DEADLINE_S = 10.0
EXECUTABLE = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


_PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to outgoing connections: while a broker is down, none of these must take its place."""


def free_port() -> int:
    """Return a loopback port that nobody listens on, and that no outgoing connection will have when a broker wants it again."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


class Mosquitto:
    """One broker process, which can be stopped and started again on the same port."""

    def __init__(self, folder: Path, *, extra: str = "", port: int | None = None) -> None:
        self.port = port or free_port()
        self._config = folder / f"mosquitto-{self.port}.conf"
        lines = f"listener {self.port} 127.0.0.1\npersistence true\npersistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\nuser root\n"
        self._config.write_text(lines + (extra if "allow_anonymous" in extra else f"allow_anonymous true\n{extra}"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Mosquitto":
        """Start it and wait until it listens."""
        self._process = subprocess.Popen([EXECUTABLE, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=0.2):
                return self
            threading.Event().wait(0.01)
        raise AssertionError("mosquitto does not listen")

    def stop(self) -> None:
        """Stop it in order, so that it saves its sessions."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE_S)
            self._process = None

    def kill(self) -> None:
        """Kill it with SIGKILL: it saves nothing more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
            self._process = None


@contextlib.contextmanager
def running_mosquitto(folder: Path, *, extra: str = "") -> Iterator[Mosquitto]:
    """Run a broker for the length of a test."""
    server = Mosquitto(folder, extra=extra).start()
    try:
        yield server
    finally:
        server.stop()


class Watcher:
    """A plain client that records everything and can publish."""

    def __init__(self, port: int, topics: tuple[str, ...] = ("#",), *, name: str = "watcher") -> None:
        self.seen: list[paho.MQTTMessage] = []
        self._arrived = threading.Condition()
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{name}-{port}", protocol=paho.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics])
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_disconnect = lambda *_: self._ready.clear()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(DEADLINE_S)

    def publish(
        self,
        topic: str,
        payload: Any,
        *,
        retain: bool = False,
        qos: int = 1,
        response_topic: str | None = None,
        correlation: bytes | None = None,
    ) -> None:
        """Publish and wait until the broker has it."""
        properties = None
        if response_topic is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ResponseTopic = response_topic
            if correlation is not None:
                properties.CorrelationData = correlation
        raw = payload if isinstance(payload, (bytes, str)) else json.dumps(payload)
        # Without a connection paho keeps the message for later, and yet says at once that it failed.
        assert self._ready.wait(DEADLINE_S), f"{topic}: no connection to publish on"
        sent = self._client.publish(topic, raw, qos=qos, retain=retain, properties=properties)
        deadline = time.monotonic() + DEADLINE_S
        with sent._condition:
            while not sent._published:
                assert sent._condition.wait(max(deadline - time.monotonic(), 0.0)) or sent._published, (
                    f"{topic}: the broker did not take it"
                )

    def wait_for(
        self, wanted: Callable[[paho.MQTTMessage], bool], what: str = "a message", *, count: int = 1, deadline_s: float = DEADLINE_S
    ) -> paho.MQTTMessage:
        """Return the `count`-th message that fits, whether it came already or comes within the deadline."""
        found: list[paho.MQTTMessage] = []

        def enough() -> bool:
            found[:] = [one for one in self.seen if wanted(one)]
            return len(found) >= count

        with self._arrived:
            assert self._arrived.wait_for(enough, deadline_s), (
                f"{what} did not come; seen: {[(m.topic, m.payload[:200]) for m in self.seen]}"
            )
        return found[count - 1]

    def wait_topic(self, topic: str, *, count: int = 1) -> Any:
        """Return the decoded payload of the `count`-th message on a topic."""
        message = self.wait_for(lambda one: one.topic == topic, topic, count=count)
        try:
            return json.loads(message.payload)
        except ValueError:
            return message.payload.decode()

    def wait_more(self, timeout_s: float) -> None:
        """Wait until anything at all comes, or the time is up."""
        with self._arrived:
            self._arrived.wait(timeout_s)

    def on_topic(self, topic: str) -> list[paho.MQTTMessage]:
        """Return what came on a topic so far."""
        with self._arrived:
            return [one for one in self.seen if one.topic == topic]

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        with self._arrived:
            self.seen.append(message)
            self._arrived.notify_all()
