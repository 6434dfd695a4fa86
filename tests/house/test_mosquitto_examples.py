"""The broker's configuration and rights, tried on a real mosquitto."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.mosquitto import DEADLINE_S, EXECUTABLE, free_port

ROOT = Path(__file__).parents[2]
NOT_AUTHORIZED = 0x87


def write_config(folder: Path, *, port: int, tls_port: int | None = None, with_rights: bool = False) -> Path:
    """Write mosquitto.conf as a user would edit it, with ports and paths of the test."""
    text = (ROOT / "mosquitto.conf").read_text(encoding="utf-8")
    changes = {
        "listener 1883 127.0.0.1": f"listener {port} 127.0.0.1",
        "persistence_location /var/lib/mosquitto/": f"persistence_location {folder}/",
    }
    if tls_port is not None:
        changes |= {
            "#listener 8883 0.0.0.0": f"listener {tls_port} 127.0.0.1",
            "#certfile /etc/mosquitto/certs/server.crt": f"certfile {folder}/server.crt",
            "#keyfile /etc/mosquitto/certs/server.key": f"keyfile {folder}/server.key",
            "#tls_version": "tls_version",
        }
    if with_rights:
        changes |= {
            "allow_anonymous true": "allow_anonymous false",
            "#password_file /etc/mosquitto/passwords": f"password_file {folder}/passwords",
            "#acl_file /etc/mosquitto/acl": f"acl_file {folder}/acl",
        }
    for old, new in changes.items():
        assert text.count(f"\n{old}") == 1, old
        text = text.replace(f"\n{old}", f"\n{new}")
    if os.geteuid() == 0:
        text += "user root\n"
    path = folder / "mosquitto.conf"
    path.write_text(text, encoding="utf-8")
    return path


def start_broker(config: Path, port: int) -> subprocess.Popen[bytes]:
    """Start mosquitto and wait until it listens."""
    process = subprocess.Popen([EXECUTABLE, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return process
        threading.Event().wait(0.01)
    process.kill()
    process.wait()
    raise AssertionError("mosquitto does not start with mosquitto.conf")


@contextlib.contextmanager
def broker(config: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run mosquitto for the length of a test."""
    process = start_broker(config, port)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Client:
    """A client that hears what it may and reports how its publications were answered."""

    def __init__(self, port: int, *, user: str | None = None, topic: str | None = None, ca: Path | None = None) -> None:
        self._changed = threading.Condition()
        self._answers: dict[int, int] = {}
        self._is_ready = False
        self.heard: list[tuple[str, bytes]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        if user is not None:
            self._client.username_pw_set(user, f"{user}-secret")
        if ca is not None:
            self._client.tls_set(str(ca), cert_reqs=ssl.CERT_REQUIRED)
        self._topic = topic
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._set_ready()
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._wait(lambda: self._is_ready)

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> int:
        """Publish, and return the broker's reason code."""
        mid = self._client.publish(topic, payload, qos=1, retain=retain).mid
        self._wait(lambda: mid in self._answers)
        return self._answers[mid]

    def wait_for(self, topic: str) -> bytes:
        """Return the first payload on a topic."""
        self._wait(lambda: any(one == topic for one, _ in self.heard))
        return next(payload for one, payload in self.heard if one == topic)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _wait(self, is_done: object) -> None:
        with self._changed:
            assert callable(is_done)
            assert self._changed.wait_for(is_done, DEADLINE_S)

    def _set_ready(self) -> None:
        with self._changed:
            self._is_ready = True
            self._changed.notify_all()

    def _on_connect(
        self, client: paho.Client, _userdata: object, _flags: object, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            return
        if self._topic is None:
            self._set_ready()
        else:
            client.subscribe(self._topic, 1)

    def _on_publish(self, _client: paho.Client, _userdata: object, mid: int, reason: ReasonCode, _properties: Properties | None) -> None:
        with self._changed:
            self._answers[mid] = int(reason.value)
            self._changed.notify_all()

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.heard.append((message.topic, bytes(message.payload)))
            self._changed.notify_all()


@pytest.fixture
def port_with_rights(tmp_path: Path) -> Iterator[int]:
    """Run a broker with the example's rights and a password for each of its users."""
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    for user in ("voice_rl", "homeassistant", "satellite_kitchen", "plug"):
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, f"{user}-secret"], check=True, capture_output=True)
    shutil.copy(ROOT / "examples" / "mosquitto" / "acl", tmp_path / "acl")
    (tmp_path / "acl").chmod(0o600)
    port = free_port()
    with broker(write_config(tmp_path, port=port, with_rights=True), port):
        yield port


def test_mosquitto_conf_keeps_retained_messages_through_a_kill(tmp_path: Path) -> None:
    """With mosquitto.conf, what was retained before a SIGKILL of the broker is there after it."""
    port = free_port()
    config = write_config(tmp_path, port=port)
    with broker(config, port) as process:
        writer = Client(port)
        assert writer.publish("voice_rl/home", "{}", retain=True) in (0, 0x10)
        deadline = time.monotonic() + DEADLINE_S
        while not (tmp_path / "mosquitto.db").exists() or b"voice_rl/home" not in (tmp_path / "mosquitto.db").read_bytes():
            assert time.monotonic() < deadline
            threading.Event().wait(0.02)
        writer.close()
        process.kill()
        process.wait()

    with broker(config, port):
        reader = Client(port, topic="voice_rl/#")
        assert reader.wait_for("voice_rl/home") == b"{}"
        reader.close()


def test_mosquitto_conf_listens_on_this_machine_only() -> None:
    """The only listener that is not commented out is on the loopback address."""
    lines = (ROOT / "mosquitto.conf").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line.startswith("listener")] == ["listener 1883 127.0.0.1"]


def test_mosquitto_conf_with_tls_lines_taken_in_serves_tls(tmp_path: Path) -> None:
    """With the # taken from the TLS lines the broker starts, and a client that trusts the certificate publishes."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=home", "-addext"]
    subprocess.run(
        [*command, "subjectAltName=IP:127.0.0.1", "-keyout", f"{tmp_path}/server.key", "-out", f"{tmp_path}/server.crt"],
        check=True,
        capture_output=True,
    )
    port, tls_port = free_port(), free_port()
    with broker(write_config(tmp_path, port=port, tls_port=tls_port), tls_port):
        client = Client(tls_port, ca=tmp_path / "server.crt")

        assert client.publish("voice_rl/command", "lights on") in (0, 0x10)
        client.close()


@pytest.mark.parametrize(
    "topic", ["voice_rl/action/light/turn_on", "voice_rl/confirm", "voice_rl/home", "voice_rl/command", "cmnd/heater/POWER"]
)
def test_acl_denies_a_plug_the_house(port_with_rights: int, topic: str) -> None:
    """A plug may not act, confirm, command, rewrite the home or speak to another device: the broker refuses, and nobody hears it."""
    daemon = Client(port_with_rights, user="voice_rl", topic="voice_rl/#")
    plug = Client(port_with_rights, user="plug")

    assert plug.publish(topic, "yes") == NOT_AUTHORIZED
    daemon.publish("voice_rl/metrics", "{}")
    daemon.wait_for("voice_rl/metrics")
    assert [one for one, _ in daemon.heard] == ["voice_rl/metrics"]
    plug.close()
    daemon.close()


@pytest.mark.parametrize(
    ("user", "topic", "is_allowed"),
    [
        ("plug", "tele/plug/STATE", True),
        ("plug", "tele/other/STATE", False),
        ("homeassistant", "voice_rl/command", True),
        ("homeassistant", "voice_rl/result", True),
        ("homeassistant", "voice_rl/state/light/desk/state", True),
        ("homeassistant", "voice_rl/action/lock/unlock", False),
        ("homeassistant", "voice_rl/decision", False),
        ("satellite_kitchen", "voice_rl/command/kitchen", True),
        ("satellite_kitchen", "voice_rl/command/bedroom", False),
        ("satellite_kitchen", "voice_rl/confirm", False),
        ("voice_rl", "voice_rl/action/light/turn_on", True),
        ("voice_rl", "homeassistant/device/voice_rl/config", True),
        ("voice_rl", "cmnd/plug/POWER", False),
    ],
)
def test_acl_gives_each_its_own(port_with_rights: int, user: str, topic: str, *, is_allowed: bool) -> None:
    """Each user of the example may write its own topics, and no other."""
    client = Client(port_with_rights, user=user)

    assert (client.publish(topic, "x") != NOT_AUTHORIZED) == is_allowed
    client.close()


def test_acl_denies_whoever_has_no_password(port_with_rights: int) -> None:
    """With the rights taken in, a client without a name is refused."""
    refused = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_connect = lambda _client, _userdata, _flags, reason, _properties: refused.set() if reason.is_failure else None
    client.connect("127.0.0.1", port_with_rights)
    client.loop_start()

    assert refused.wait(DEADLINE_S)
    client.disconnect()
    client.loop_stop()
