"""A command's own short connection to the home's broker: it leaves no session, no retained message and no last will behind."""

import logging
import os
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from voice_rl_plugin.config import MqttSection
from voice_rl_plugin.doors.broker import Message, PahoBroker
from voice_rl_plugin.errors import BrokerError

OPEN_S = 2.0
"""A broker on the local network takes a connection this soon."""
WAIT_S = 8.0


class LoginRefusedError(BrokerError):
    """The broker is there, and wants another name and password."""


class Line:
    """A connection to the broker for the length of a `with`.

    Args:
        settings: host, port, credentials, TLS.
        topics: what to hear.
        wait_s: how long to wait for the connection.
    """

    def __init__(self, settings: MqttSection, topics: Sequence[str] = (), *, wait_s: float = WAIT_S) -> None:
        logging.getLogger("voice_rl_plugin").addHandler(logging.NullHandler())  # what goes wrong here is told, not logged
        self._settings = settings
        self._name = f"{settings.client_id}-tool-{os.getpid()}"
        # Below <prefix>/response/ the rights of the daemon reach; the last will is empty, so that it leaves nothing.
        self._mark = f"{settings.prefix}/response/{self._name}"
        self._broker = PahoBroker(replace(settings, client_id=self._name, prefix=self._mark, session_expiry_s=0), will=b"")
        self._broker.subscribe([*topics, f"{self._mark}/mark"])
        self._wait_s = wait_s
        self._early: deque[Message] = deque()
        """What came in the moment in which the connection stood."""
        self.problems: list[str] = []
        """What the broker refused."""

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            LoginRefusedError: the broker is there, and does not know us.
            BrokerError: nobody answers, or not as a broker does.
        """
        check_port(self._settings)
        self._broker.start()
        deadline = time.monotonic() + self._wait_s
        while not self._broker.is_connected:
            message = self._broker.receive(0.05)
            if message is not None:
                self._early.append(message)
            self.problems += self._broker.take_problems()
            refusal = next((one for one in self.problems if "refuses the connection" in one), None)
            if refusal is None and time.monotonic() < deadline:
                continue
            self._broker.stop()
            where = f"{self._settings.host}:{self._settings.port}"
            if refusal is None:
                raise BrokerError(f"{where} takes connections and does not answer as an MQTT broker does within {self._wait_s:g} s")
            raise LoginRefusedError(f"{where}: {refusal}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Disconnect."""
        self._broker.stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1.

        Raises:
            BrokerError: the connection is gone.
        """
        if not self._broker.publish(topic, payload, retain=retain):
            raise BrokerError(f"{self._settings.host}:{self._settings.port}: the connection was lost before {topic} could be published")

    def wait_for(self, wanted: Callable[[Message], bool], *, within_s: float) -> Message | None:
        """Return the next message that fits; None when none came in time."""
        deadline = time.monotonic() + within_s
        while (left_s := deadline - time.monotonic()) > 0:
            message = self._early.popleft() if self._early else self._broker.receive(min(left_s, 0.1))
            self.problems += self._broker.take_problems()
            if message is None:
                continue
            self._broker.ack(message)
            if wanted(message):
                return message
        return None

    def retained(self) -> dict[str, bytes]:
        """Return what lies retained on the topics: what comes before a message that we send ourselves.

        Raises:
            BrokerError: our own message does not come back; the rights at the broker forbid it.
        """
        found: dict[str, bytes] = {}

        def note(message: Message) -> bool:
            if message.is_retained:
                found[message.topic] = message.payload
            return message.topic == f"{self._mark}/mark"

        self.publish(f"{self._mark}/mark", b"1")
        if self.wait_for(note, within_s=self._wait_s) is None:
            raise BrokerError(
                f"{self._settings.host}:{self._settings.port}: what we publish on {self._mark}/mark does not come back; "
                f"{self.problems[0] if self.problems else 'check the rights at the broker (acl_file)'}"
            )
        return found

    def settle(self) -> None:
        """Wait until the broker has taken what was published.

        Raises:
            BrokerError: it does not say so in time.
        """
        self.retained()


def check_port(settings: MqttSection, *, within_s: float = OPEN_S) -> None:
    """Check that somebody listens, and with TLS that its certificate is trusted.

    Raises:
        BrokerError: says what is wrong.
    """
    where = f"{settings.host}:{settings.port}"
    try:
        with socket.create_connection((settings.host, settings.port), timeout=within_s) as opened:
            if settings.tls:
                _check_certificate(settings, opened, where)
    except socket.gaierror as error:
        raise BrokerError(f"{where}: the name {settings.host!r} is not known: {error.strerror}") from error
    except TimeoutError as error:
        raise BrokerError(f"{where}: nobody answers within {within_s:g} s") from error
    except UnicodeError as error:
        raise BrokerError(f"{where}: expected the name of a machine, got {settings.host!r}") from error
    except OSError as error:
        raise BrokerError(f"{where}: {error.strerror or error}") from error


def _check_certificate(settings: MqttSection, opened: socket.socket, where: str) -> None:
    context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
    if settings.cert_file is not None:
        context.load_cert_chain(str(settings.cert_file), None if settings.key_file is None else str(settings.key_file))
    try:
        context.wrap_socket(opened, server_hostname=settings.host).close()
    except ssl.SSLCertVerificationError as error:
        raise BrokerError(f"{where}: its certificate is not trusted: {error.verify_message}") from error
    except (ssl.SSLError, ConnectionError) as error:
        raise BrokerError(f"{where}: does not speak TLS: {error}") from error
