"""The broker contract, for the fake and for the real one on a real mosquitto; then what only the network can show."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes import FakeBroker, FakeHub, Published
from tests.mosquitto import DEADLINE_S, Mosquitto, Watcher, free_port, running_mosquitto
from voice_rl_plugin.config import MqttSection
from voice_rl_plugin.doors.broker import Broker, Message, PahoBroker
from voice_rl_plugin.errors import BrokerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A broker under test and the world around it."""

    broker: Broker
    send: Callable[..., None]
    """Publish from elsewhere: topic, payload, and retain, qos, response_topic, correlation."""
    wait: Callable[[str], bytes]
    """Return what was published on a topic."""


@pytest.fixture(params=["fake", "mosquitto"])
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    """Each test runs with the fake and with the real broker."""
    if request.param == "fake":
        hub = FakeHub()

        def send(
            topic: str,
            payload: bytes,
            *,
            retain: bool = False,
            qos: int = 1,
            response_topic: str | None = None,
            correlation: bytes | None = None,
        ) -> None:
            hub.publish(
                Published(topic=topic, payload=payload, retain=retain, correlation=correlation), qos=qos, response_topic=response_topic
            )

        def wait(topic: str) -> bytes:
            with hub.arrived:
                assert hub.arrived.wait_for(lambda: any(one.topic == topic for one in hub.published), DEADLINE_S)
                return next(one.payload for one in hub.published if one.topic == topic)

        broker = FakeBroker(hub)
        yield Setup(broker=broker, send=send, wait=wait)
        broker.stop()
        return
    with running_mosquitto(tmp_path) as server:
        watcher = Watcher(server.port)
        real = PahoBroker(MqttSection(port=server.port))
        yield Setup(
            broker=real, send=watcher.publish, wait=lambda topic: bytes(watcher.wait_for(lambda one: one.topic == topic, topic).payload)
        )
        real.stop()
        watcher.close()


def receive(broker: Broker, topic: str | None = None) -> Message:
    """Return the next message, past wake-ups."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        message = broker.receive(0.2)
        if message is not None and topic in (None, message.topic):
            return message
    raise AssertionError("no message came")


def connect(broker: Broker) -> None:
    """Start and wait until both connections stand; both at once wake `receive`, so that no message is taken."""
    broker.start()
    deadline = time.monotonic() + DEADLINE_S
    while not broker.is_connected:
        assert time.monotonic() < deadline
        assert broker.receive(0.05) is None


def until(condition: Callable[[], bool], broker: Broker, *, deadline_s: float = DEADLINE_S) -> None:
    """Serve the queue until something holds."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline
        broker.receive(0.02)


def test_broker_gives_what_is_retained_once_more(setup: Setup) -> None:
    """What was told once, and may have been lost, can be asked for; of a topic without a subscription nothing comes."""
    setup.broker.subscribe(["told"])
    connect(setup.broker)
    setup.send("told", b"7", retain=True)
    assert receive(setup.broker, "told").payload == b"7"

    setup.broker.ask_again("untold")
    setup.broker.ask_again("told")
    again = receive(setup.broker, "told")
    assert (again.payload, again.is_retained) == (b"7", True)


def test_broker_delivers_what_it_subscribed_to(setup: Setup) -> None:
    """A message on a subscribed topic arrives with its payload; another topic does not."""
    setup.broker.subscribe(["a/+"])
    connect(setup.broker)
    setup.broker.subscribe(["b/#"])
    setup.send("retained", b"x", retain=True)
    setup.broker.publish("b/ready", b"1")  # behind it the subscription stands
    receive(setup.broker, "b/ready")

    setup.send("c/1", b"no")
    setup.send("a/1", "灯".encode())
    message = receive(setup.broker, "a/1")

    assert message.payload == "灯".encode()
    assert message.receipt is not None
    assert not message.is_retained


def test_broker_marks_retained_messages(setup: Setup) -> None:
    """A message that lay retained at the broker is marked."""
    setup.send("a/home", b"{}", retain=True)
    setup.broker.subscribe(["a/home"])
    connect(setup.broker)

    assert receive(setup.broker, "a/home").is_retained


def test_broker_publishes(setup: Setup) -> None:
    """What is published reaches others."""
    connect(setup.broker)

    assert setup.broker.publish("out/1", b"hello", retain=True)
    assert setup.wait("out/1") == b"hello"


def test_broker_without_connection_says_so(setup: Setup) -> None:
    """A publication without a connection is counted, never sent late."""
    assert not setup.broker.publish("out/1", b"hello")
    assert setup.broker.counts.unsent == 1


@pytest.mark.parametrize("topic", ["a/+/b", "a/#", "a//b", "", "a/\0", "/a"])
def test_broker_refuses_wild_topics(setup: Setup, topic: str) -> None:
    """A wildcard or an empty level in a topic is an error before anything is sent."""
    connect(setup.broker)

    with pytest.raises(BrokerError, match="wildcards"):
        setup.broker.publish(topic, b"x")


def test_broker_refuses_oversize_payloads(setup: Setup) -> None:
    """Too large a payload is an error before anything is sent, and the next one passes."""
    connect(setup.broker)

    with pytest.raises(BrokerError, match="at most"):
        setup.broker.publish("out/big", bytes(1_048_577))
    assert setup.broker.publish("out/small", b"1")
    assert setup.wait("out/small") == b"1"


def test_broker_hands_on_response_topic(setup: Setup) -> None:
    """The MQTT 5 response topic and correlation data of a request arrive."""
    setup.broker.subscribe(["a/ask"])
    connect(setup.broker)

    setup.send("a/ask", b"?", response_topic="a/answer", correlation=b"42")
    message = receive(setup.broker, "a/ask")

    assert (message.response_topic, message.correlation) == ("a/answer", b"42")


def test_broker_wakes(setup: Setup) -> None:
    """A wake-up ends a waiting receive long before its timeout."""
    connect(setup.broker)
    until(lambda: setup.broker.receive(0.01) is None, setup.broker)

    setup.broker.wake()
    begun = time.monotonic()
    setup.broker.receive(DEADLINE_S)

    assert time.monotonic() - begun < DEADLINE_S / 2


def test_mosquitto_redelivers_what_was_not_acknowledged(tmp_path: Path) -> None:
    """What was received but not acknowledged comes again after a restart of the process, and waited for an unknown time."""
    with running_mosquitto(tmp_path) as server:
        watcher = Watcher(server.port)
        first = PahoBroker(MqttSection(port=server.port))
        first.subscribe(["a/1", "a/2"])
        connect(first)
        watcher.publish("a/1", b"settled")
        first.ack(receive(first, "a/1"))
        watcher.publish("a/2", b"open")
        receive(first, "a/2")
        first.stop()
        watcher.publish("a/1", b"while away")

        second = PahoBroker(MqttSection(port=server.port))
        second.subscribe(["a/1", "a/2"])
        connect(second)
        again, later = receive(second), receive(second)
        second.ack(again)
        second.ack(later)
        watcher.publish("a/1", b"fresh")
        fresh = receive(second)

        assert (again.payload, later.payload, fresh.payload) == (b"open", b"while away", b"fresh")
        assert again.waited_s == later.waited_s == float("inf")
        assert fresh.waited_s < 0.5
        second.stop()
        watcher.close()


def test_mosquitto_restart_keeps_the_session(tmp_path: Path) -> None:
    """After a broker restart we are connected again, still subscribed, and old receipts are void."""
    server = Mosquitto(tmp_path).start()
    broker = PahoBroker(MqttSection(port=server.port))
    broker.subscribe(["a/1"])
    connect(broker)
    watcher = Watcher(server.port)
    watcher.publish("a/1", b"before")
    old = receive(broker, "a/1")
    before = broker.connections
    watcher.close()
    server.stop()

    server.start()
    until(lambda: broker.connections > before and broker.is_connected, broker)
    broker.ack(old)
    watcher = Watcher(server.port)
    watcher.publish("a/1", b"after")
    until_after = [receive(broker, "a/1").payload]
    while until_after[-1] != b"after":
        until_after.append(receive(broker, "a/1").payload)

    assert until_after[-1] == b"after"
    broker.stop()
    watcher.close()
    server.stop()


def test_mosquitto_absent_at_start(tmp_path: Path) -> None:
    """A broker that comes later is found; until then nothing is raised."""
    port = free_port()
    broker = PahoBroker(MqttSection(port=port))
    broker.start()
    assert not broker.is_connected
    server = Mosquitto(tmp_path, port=port).start()

    until(lambda: broker.is_connected, broker)

    broker.stop()
    server.stop()


def test_mosquitto_will_says_offline(tmp_path: Path) -> None:
    """When the process dies without a goodbye the broker publishes the retained last will."""
    with running_mosquitto(tmp_path) as server:
        watcher = Watcher(server.port, ("voice_rl/status",))
        broker = PahoBroker(MqttSection(port=server.port))
        connect(broker)
        client = broker._speaks._client  # a cable cannot be pulled from outside
        assert client is not None
        sock = client.socket()
        assert sock is not None
        sock.shutdown(2)  # type: ignore[attr-defined]

        message = watcher.wait_for(lambda one: one.topic == "voice_rl/status", "the will")
        assert message.payload == b"offline"
        broker.stop()
        watcher.close()


def test_mosquitto_denied_topics_are_surfaced(tmp_path: Path) -> None:
    """A subscription or publication that the ACL denies is counted and told."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite voice_rl/#\ntopic read free/#\n")
    acl.chmod(0o644)
    with running_mosquitto(tmp_path, extra=f"acl_file {acl}\n") as server:
        broker = PahoBroker(MqttSection(port=server.port))
        broker.subscribe(["voice_rl/command"])
        connect(broker)
        broker.publish("forbidden/x", b"1")
        until(lambda: broker.counts.refused >= 1, broker)

        assert any("forbidden/x" in problem for problem in broker.take_problems())
        broker.stop()


def test_mosquitto_wrong_password_is_surfaced(tmp_path: Path) -> None:
    """A broker that refuses the connection is told as a problem, and tried again later."""
    with running_mosquitto(tmp_path, extra="allow_anonymous false\n") as server:
        broker = PahoBroker(MqttSection(port=server.port))
        broker.start()
        until(lambda: broker.counts.refused >= 1, broker)

        assert any("refuses the connection" in problem for problem in broker.take_problems())
        assert not broker.is_connected
        broker.stop()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_mosquitto_second_daemon_is_told(tmp_path: Path, version: str) -> None:
    """Of two daemons with one client id the one that was started later goes, and the other one stays; both say so."""
    with running_mosquitto(tmp_path) as server:
        brokers = [PahoBroker(MqttSection(port=server.port, version=version)) for _ in range(2)]
        first, second = sorted(brokers, key=lambda one: one.name)
        connect(first)
        second.start()
        until(lambda: second.receive(0.01) is not None or second.is_taken_over, first, deadline_s=40.0)
        second.stop()
        until(lambda: first.is_connected and first.counts.reconnects > 0, first, deadline_s=40.0)

        assert not first.is_taken_over
        assert any("client id" in problem for problem in second.take_problems())
        first.stop()


def test_mosquitto_speaks_3_1_1(tmp_path: Path) -> None:
    """MQTT 3.1.1 works, with a kept session."""
    with running_mosquitto(tmp_path) as server:
        watcher = Watcher(server.port)
        broker = PahoBroker(MqttSection(port=server.port, version="3.1.1"))
        broker.subscribe(["a/1"])
        connect(broker)
        watcher.publish("a/1", b"1")

        assert receive(broker, "a/1").payload == b"1"
        assert broker.publish("a/2", b"2", expires_s=3, correlation=b"x")
        watcher.wait_for(lambda one: one.topic == "a/2", "a/2")
        broker.stop()
        watcher.close()


def test_mosquitto_queue_overflow_is_counted(tmp_path: Path) -> None:
    """A storm of QoS 0 messages beyond the queue is dropped and counted, and the process goes on."""
    with running_mosquitto(tmp_path) as server:
        watcher = Watcher(server.port, ("nothing",))
        broker = PahoBroker(MqttSection(port=server.port, queue_size=10))
        broker.subscribe(["a/#"])
        connect(broker)
        for _ in range(50):
            watcher.publish("a/1", b"x", qos=0)
        deadline = time.monotonic() + DEADLINE_S
        while broker.counts.dropped < 30 and time.monotonic() < deadline:
            watcher.publish("a/1", b"x", qos=0)
            broker._serve(0.0)  # receive() would make room

        assert broker.counts.dropped >= 30
        until(lambda: broker.receive(0.01) is None, broker)
        watcher.publish("a/2", b"still here")
        assert receive(broker, "a/2").payload == b"still here"
        broker.stop()
        watcher.close()
