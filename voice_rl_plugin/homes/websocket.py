"""The WebSocket of Home Assistant: one authenticated connection, commands out, answers and events in; the only import of websockets.

Home Assistant  {"type": "auth_required"}             we  {"type": "auth", "access_token": ...}
Home Assistant  {"type": "auth_ok" | "auth_invalid"}
we              {"id": 1, "type": "get_states"}       Home Assistant  {"id": 1, "type": "result", "success": true, "result": [...]}
                                                      Home Assistant  {"id": 2, "type": "event", "event": {...}}
"""

import contextlib
import json
import logging
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from voice_rl_plugin.errors import ConfigError, LinkError

if TYPE_CHECKING:
    from websockets.sync.connection import Connection

_LOGGER = logging.getLogger(__name__)

OPEN_S = 10.0
CLOSE_S = 1.0
PING_S = 20.0
"""A connection that does not answer a ping for this long is given up."""
MAX_BYTES = 64_000_000
"""A registry of thousands of entities has a few megabytes; more than this is no registry."""


class TokenRefusedError(LinkError):
    """Home Assistant does not know the token, or not any more: trying again with the same one only fills its log."""


class Link(Protocol):
    """An authenticated connection."""

    version: str
    """Home Assistant's."""

    def send(self, command: Mapping[str, Any]) -> int:
        """Send a command and return its number; may be called from any thread.

        Raises:
            LinkError: the connection is gone.
        """

    def receive(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next answer or event; None when none came in time.

        Raises:
            LinkError: the connection is gone, or what came is no message.
        """

    def close(self) -> None:
        """Close the connection; a waiting `receive` raises. May be called from any thread."""


class OpenLink(Protocol):
    """Opens connections."""

    def __call__(self, url: str, token: str, *, ca_file: Path | None = None) -> Link:
        """Connect and authenticate; see `open_link`."""


def open_link(url: str, token: str, *, ca_file: Path | None = None) -> Link:
    """Connect and authenticate.

    Args:
        url: of the WebSocket, with ws:// or wss://.
        token: a long-lived access token.
        ca_file: certificate authorities to trust; the system's when missing.

    Raises:
        ConfigError: the package websockets is not installed, or the file of the authorities cannot be read.
        TokenRefusedError: the token is not known.
        LinkError: nobody answers, or not as Home Assistant does.
    """
    try:
        from websockets.exceptions import InvalidHandshake, InvalidURI  # noqa: PLC0415 - an optional extra
        from websockets.sync.client import connect  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("home.home_assistant: expected the package websockets; pip install 'voice-rl-plugin[homeassistant]'") from error
    stack = contextlib.ExitStack()
    try:
        connecting = connect(
            url,
            ssl=_trust(ca_file) if url.startswith("wss:") else None,
            proxy=None,  # a home's own server is never behind one
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=MAX_BYTES,
        )
        connection = stack.enter_context(connecting)
    except TimeoutError as error:
        raise LinkError(f"{url}: nobody answered within {OPEN_S:g} s") from error
    except (InvalidHandshake, InvalidURI) as error:
        raise LinkError(f"{url}: expected Home Assistant's WebSocket, got: {error}") from error
    except OSError as error:
        raise LinkError(f"{url}: cannot be reached: {error.strerror or error}") from error
    link = _WebSocketLink(connection, stack, url)
    try:
        link.authenticate(token)
    except BaseException:
        link.close()
        raise
    return link


class _WebSocketLink:
    """A connection of the websockets library."""

    def __init__(self, connection: "Connection", stack: contextlib.ExitStack, url: str) -> None:
        self._connection = connection
        self._stack = stack
        self._url = url
        self._sending = threading.Lock()
        self._number = 0
        self.version = ""

    def authenticate(self, token: str) -> None:
        """Say who we are; nothing else may be said before."""
        asked = self.receive(OPEN_S)
        if asked is None or asked.get("type") != "auth_required":
            raise LinkError(f"{self._url}: expected Home Assistant to ask for a token, got {str(asked)[:80]}")
        self._write({"type": "auth", "access_token": token})
        answer = self.receive(OPEN_S)
        if answer is not None and answer.get("type") == "auth_invalid":
            raise TokenRefusedError(f"{self._url}: Home Assistant refused the token: {answer.get('message', 'no reason given')}")
        if answer is None or answer.get("type") != "auth_ok":
            raise LinkError(f"{self._url}: expected auth_ok, got {str(answer)[:80]}")
        self.version = str(answer.get("ha_version", ""))

    def send(self, command: Mapping[str, Any]) -> int:
        """Send a command; see Link.send."""
        with self._sending:  # Home Assistant refuses numbers that do not rise
            self._number += 1
            self._write({"id": self._number, **command})
            return self._number

    def receive(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next message; see Link.receive."""
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415 - an optional extra

        try:
            text = self._connection.recv(timeout=timeout_s)
        except TimeoutError:
            return None
        except (ConnectionClosed, OSError) as error:
            raise LinkError(f"{self._url}: the connection was closed: {error}") from error
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise LinkError(f"{self._url}: expected JSON, got something else") from error
        if not isinstance(message, dict):
            raise LinkError(f"{self._url}: expected a JSON object, got {type(message).__name__}")
        return message

    def close(self) -> None:
        """Close the connection; see Link.close."""
        try:
            self._stack.close()
        except Exception as error:  # noqa: BLE001 - it is gone either way
            _LOGGER.debug("the connection to %s did not close in order: %s", self._url, error)

    def _write(self, message: Mapping[str, Any]) -> None:
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415 - an optional extra

        try:
            self._connection.send(json.dumps(message, ensure_ascii=False))
        except (ConnectionClosed, OSError) as error:
            raise LinkError(f"{self._url}: the connection was closed: {error}") from error


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"home.ca_file: expected certificate authorities in PEM form at {ca_file}: {error}") from error
