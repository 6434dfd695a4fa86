"""A small server that plays a recorded session of Home Assistant: it says what was said, and waits for what we said."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

RECORDINGS = Path(__file__).parent / "recordings"
DEADLINE_S = 10.0

Line = dict[str, Any]


def load(name: str) -> list[Line]:
    """Return the lines of a recording."""
    return [json.loads(line) for line in (RECORDINGS / name).read_text(encoding="utf-8").splitlines()]


def from_them(connection: int, *messages: Mapping[str, Any]) -> list[Line]:
    """Return lines of Home Assistant."""
    return [{"connection": connection, "from": "home_assistant", "message": dict(one)} for one in messages]


class Player:
    """Plays the lines of one connection after the other.

    `difference` says where we did not say what was recorded.
    """

    def __init__(self, lines: Iterable[Line], *, tokens: frozenset[str] = frozenset({"TOKEN"})) -> None:
        self._lines = list(lines)
        self._tokens = tokens
        self.connections = 0
        self.difference = ""
        self.ended = threading.Event()
        """Set once the last line was played."""
        self.heard: list[Mapping[str, Any]] = []

    def play(self, connection: ServerConnection) -> None:
        """Play the next connection."""
        self.connections += 1
        mine = [line for line in self._lines if line["connection"] == self.connections]
        if not mine:
            return
        try:
            for line in mine:
                if line.get("closed"):
                    connection.close()
                elif line["from"] == "home_assistant":
                    connection.send(json.dumps(line["message"], ensure_ascii=False))
                else:
                    self._hear(line["message"], json.loads(connection.recv(timeout=DEADLINE_S)))
            if self.connections == self._lines[-1]["connection"]:
                self.ended.set()
            while True:  # the rest is silence
                connection.recv()
        except (ConnectionClosed, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                self.difference = self.difference or f"expected {line['message']}, got nothing"

    def _hear(self, expected: Mapping[str, Any], got: Mapping[str, Any]) -> None:
        self.heard.append(got)
        if got.get("type") == "auth":
            expected = {**expected, "access_token": got["access_token"] if got["access_token"] in self._tokens else "another token"}
        if got != expected and not self.difference:
            self.difference = f"expected {expected}, got {got}"


@contextmanager
def playing(player: Player) -> Iterator[str]:
    """Serve a player and return its address."""
    with serving(player.play) as address:
        yield address


@contextmanager
def serving(handle: Callable[[ServerConnection], None]) -> Iterator[str]:
    """Serve WebSockets on a free port."""
    with serve(handle, "127.0.0.1", 0, close_timeout=0.2, ping_interval=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(DEADLINE_S)
