"""TLS with a private authority and client certificates, and MQTT 3.1.1 where a broker knows no 5: on a real mosquitto."""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.test_broker import connect, receive
from tests.mosquitto import DEADLINE_S, Watcher, running_mosquitto
from voice_rl_plugin.config import MqttSection
from voice_rl_plugin.doors.broker import PahoBroker
from voice_rl_plugin.errors import ConfigError


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_authority(folder: Path, name: str) -> None:
    """Make a certificate authority."""
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")  # fmt: skip


def make_certificate(folder: Path, name: str, *, authority: str, address: str = "") -> None:
    """Make a key and a certificate that an authority has signed."""
    _openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr"
    )
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={address}\n" if address else "basicConstraints=CA:FALSE\n")
    _openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key", "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", folder / f"{name}.crt")  # fmt: skip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make our authority with a server and a client, and a foreign one with a client of the same name."""
    folder = tmp_path_factory.mktemp("keys")
    for authority in ("home", "foreign"):
        make_authority(folder, authority)
    make_certificate(folder, "server", authority="home", address="IP:127.0.0.1")
    make_certificate(folder, "elsewhere", authority="home", address="DNS:elsewhere.local")
    make_certificate(folder, "voice_rl", authority="home")
    make_certificate(folder, "stranger", authority="foreign")
    (folder / "acl").write_text("user voice_rl\ntopic readwrite voice_rl/#\n")
    (folder / "acl").chmod(0o700)
    return folder


def tls_lines(keys: Path, server: str = "server") -> str:
    """Return what mosquitto needs to ask for certificates and to take the name from them."""
    return (
        f"cafile {keys}/home.crt\ncertfile {keys}/{server}.crt\nkeyfile {keys}/{server}.key\nrequire_certificate true\n"
        f"use_identity_as_username true\nacl_file {keys}/acl\n"
    )


def settings(
    keys: Path, port: int, *, client: str | None = "voice_rl", authority: str | None = "home", version: str = "auto"
) -> MqttSection:
    """Return the settings of a client."""
    return MqttSection(
        port=port,
        tls=True,
        ca_file=None if authority is None else keys / f"{authority}.crt",
        cert_file=None if client is None else keys / f"{client}.crt",
        key_file=None if client is None else keys / f"{client}.key",
        version=version,
    )


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_client_certificate_is_our_name(tmp_path: Path, keys: Path, version: str) -> None:
    """With a certificate of the private authority we are connected, hear and speak, under the name in the certificate."""
    with running_mosquitto(tmp_path, extra=tls_lines(keys)) as server:
        broker = PahoBroker(settings(keys, server.port, version=version))
        broker.subscribe(["voice_rl/command"])
        connect(broker)
        assert broker.publish("voice_rl/command", "开灯".encode())

        assert receive(broker, "voice_rl/command").payload == "开灯".encode()
        broker.stop()


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves a failed handshake's socket
@pytest.mark.parametrize(
    ("client", "authority", "server"),
    [
        (None, "home", "server"),
        ("stranger", "home", "server"),
        ("voice_rl", "foreign", "server"),
        ("voice_rl", None, "server"),
        ("voice_rl", "home", "elsewhere"),
    ],
    ids=["no certificate", "a stranger's certificate", "foreign server", "public authorities", "another host's certificate"],
)
def test_wrong_certificates_never_connect(tmp_path: Path, keys: Path, client: str | None, authority: str | None, server: str) -> None:
    """Without the right certificate on either side there is no connection, nothing raises, and nothing is sent in clear."""
    with running_mosquitto(tmp_path, extra=tls_lines(keys, server)) as running:
        broker = PahoBroker(settings(keys, running.port, client=client, authority=authority))
        broker.start()
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            broker.receive(0.05)
            assert not broker.is_connected

        assert not broker.publish("voice_rl/status", b"online")
        broker.stop()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_plain_client_is_refused(tmp_path: Path, keys: Path) -> None:
    """A client without TLS gets nothing from a TLS listener."""
    with running_mosquitto(tmp_path, extra=tls_lines(keys)) as running:
        broker = PahoBroker(MqttSection(port=running.port))
        broker.start()
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            broker.receive(0.05)
            assert not broker.is_connected
        broker.stop()


@pytest.mark.parametrize("kind", ["missing", "text", "key of another"])
def test_wrong_certificate_file_is_said_at_start(tmp_path: Path, keys: Path, kind: str) -> None:
    """A certificate that cannot be used ends the start with one error that names the keys of the configuration."""
    cert, key = keys / "voice_rl.crt", keys / "voice_rl.key"
    if kind == "missing":
        cert = tmp_path / "nowhere.crt"
    elif kind == "text":
        cert = tmp_path / "text.crt"
        cert.write_text("hello")
    else:
        key = keys / "stranger.key"

    with pytest.raises(ConfigError, match=r"mqtt\.ca_file, mqtt\.cert_file, mqtt\.key_file"):
        PahoBroker(MqttSection(tls=True, ca_file=keys / "home.crt", cert_file=cert, key_file=key))


# MQTT 3.1.1


class OldBroker:
    """A broker that knows MQTT 3.1.1 alone: mosquitto behind a door that turns away whoever speaks 5.

    Args:
        port: mosquitto's.
        answer: what it sends before it hangs up: nothing, or a CONNACK "unacceptable protocol version".
    """

    def __init__(self, port: int, answer: bytes) -> None:
        self._behind = port
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.turned_away = 0
        self.let_in = 0
        self._open: list[socket.socket] = [self._server]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Hang up."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._open.append(client)
                threading.Thread(target=self._take, args=(client,), daemon=True).start()

    def _take(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            begin = client.recv(4096)
            level = begin[begin.index(b"MQTT") + 4]
            if level != 4:
                self.turned_away += 1
                client.sendall(self._answer)
                client.close()
                return
            self.let_in += 1
            behind = socket.create_connection(("127.0.0.1", self._behind))
            self._open.append(behind)
            behind.sendall(begin)
            threading.Thread(target=self._pump, args=(behind, client), daemon=True).start()
            self._pump(client, behind)

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture(params=[b"\x20\x02\x00\x01", b""], ids=["refuses", "hangs up"])
def old_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[OldBroker, Watcher]]:
    """Run a broker for 3.1.1, and a watcher beside it."""
    with running_mosquitto(tmp_path) as server:
        door, watcher = OldBroker(server.port, request.param), Watcher(server.port)
        yield door, watcher
        watcher.close()
        door.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_auto_falls_back_to_3_1_1(old_broker: tuple[OldBroker, Watcher]) -> None:
    """`auto` tries MQTT 5, is turned away, and goes on with 3.1.1 by itself: it hears and speaks."""
    door, watcher = old_broker
    broker = PahoBroker(MqttSection(port=door.port))
    broker.subscribe(["voice_rl/command"])
    broker.start()
    deadline = time.monotonic() + 3 * DEADLINE_S
    while not broker.is_connected:
        assert time.monotonic() < deadline
        broker.receive(0.05)
    watcher.publish("voice_rl/command", b"lights on")

    assert receive(broker, "voice_rl/command").payload == b"lights on"
    assert broker.publish("voice_rl/say", b"done", expires_s=5.0, correlation=b"1")
    watcher.wait_for(lambda one: one.topic == "voice_rl/say", "the answer")
    assert door.turned_away >= 2
    assert door.let_in == 2
    broker.stop()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_5_does_not_fall_back(old_broker: tuple[OldBroker, Watcher]) -> None:
    """Who configured 5 stays with 5: without it there is no connection."""
    door, _ = old_broker
    broker = PahoBroker(MqttSection(port=door.port, version="5"))
    broker.start()
    deadline = time.monotonic() + DEADLINE_S
    while door.turned_away < 2:
        assert time.monotonic() < deadline
        broker.receive(0.05)

    assert door.let_in == 0
    assert not broker.is_connected
    broker.stop()
