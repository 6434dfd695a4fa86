"""Records a session with a real Home Assistant as JSON lines, which the tests of tests/homes play without one.

    VOICE_RL_HA=... python -m tests.home_assistant.record tests/homes/recordings/home_assistant_2026_11.jsonl

{"connection": 1, "from": "home_assistant", "message": {"type": "auth_required", "ha_version": "2026.11.0"}}
{"connection": 1, "from": "us", "message": {"type": "auth", "access_token": "TOKEN"}}
{"connection": 1, "from": "home_assistant", "closed": true}
"""

import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.home_assistant.conftest import RISKY_LABEL, furnish
from tests.home_assistant.lab import Lab
from tests.home_assistant.satellite import FakeSatellite
from voice_rl_plugin.config import HomeSection
from voice_rl_plugin.errors import LinkError
from voice_rl_plugin.homes.home_assistant import Answered, HomeAssistantSource, HomeLearned, LinkLost, News, StatesSeen, Trouble
from voice_rl_plugin.homes.websocket import Link, TokenRefusedError, open_link

CALLS: tuple[dict[str, Any], ...] = (
    {
        "type": "call_service",
        "domain": "light",
        "service": "turn_on",
        "target": {"entity_id": ["light.counter_bar"]},
        "service_data": {"brightness_pct": 30},
    },
    {
        "type": "call_service",
        "domain": "light",
        "service": "turn_on",
        "target": {"entity_id": ["light.counter_bar"]},
        "service_data": {"brightness_pct": "much"},
    },
    {"type": "call_service", "domain": "light", "service": "no_such_service", "target": {"entity_id": ["light.counter_bar"]}},
    {"type": "conversation/process", "text": "what time is it", "language": "en", "agent_id": "conversation.home_assistant"},
)
NAME = "recorded"
CONFIG_KEYS = frozenset({"language", "version", "state", "recovery_mode", "safe_mode"})
"""What is kept of `get_config`, which also tells where the machine keeps its files."""


class Tape:
    """Everything that went over the connections, in the order in which we saw it."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._connections = 0
        self._lock = threading.Lock()

    def open(self, url: str, token: str, *, ca_file: Path | None = None) -> Link:
        """Connect, and record it."""
        self._connections += 1
        mine = self._connections
        self.note(mine, "home_assistant", {"type": "auth_required", "ha_version": "VERSION"})
        self.note(mine, "us", {"type": "auth", "access_token": "TOKEN"})
        try:
            link = open_link(url, token, ca_file=ca_file)
        except TokenRefusedError as error:
            self.note(mine, "home_assistant", {"type": "auth_invalid", "message": str(error).rpartition(": ")[2]})
            raise
        self.note(mine, "home_assistant", {"type": "auth_ok", "ha_version": link.version})
        return _Taped(link, self, mine)

    def note(self, connection: int, sender: str, message: Mapping[str, Any] | None) -> None:
        """Add a line; no message means that the sender closed the connection."""
        if message is not None and isinstance(message.get("result"), dict) and "config_dir" in message["result"]:
            message = {**message, "result": {key: one for key, one in message["result"].items() if key in CONFIG_KEYS}}
        with self._lock:
            line: dict[str, Any] = {"connection": connection, "from": sender}
            self.lines.append(line | ({"closed": True} if message is None else {"message": dict(message)}))


class _Taped:
    def __init__(self, link: Link, tape: Tape, connection: int) -> None:
        self._link, self._tape, self._connection = link, tape, connection
        self._sending = threading.Lock()
        self.version = link.version

    def send(self, command: Mapping[str, Any]) -> int:
        """Send, and record it."""
        with self._sending:
            number = self._link.send(command)
            self._tape.note(self._connection, "us", {"id": number, **command})
            return number

    def receive(self, timeout_s: float) -> dict[str, Any] | None:
        """Receive, and record it."""
        try:
            message = self._link.receive(timeout_s)
        except LinkError:
            self._tape.note(self._connection, "home_assistant", None)
            raise
        if message is not None:
            self._tape.note(self._connection, "home_assistant", message)
        return message

    def close(self) -> None:
        """Close."""
        self._link.close()


def record(lab: Lab) -> list[dict[str, Any]]:
    """Play the session of the recordings: changes by hand, calls, a renaming, an exposure taken back, a revoked token."""
    tape, arrived, seen = Tape(), threading.Event(), list[News]()
    section = HomeSection(home_assistant=lab.address, token=lab.new_token(NAME), risky_label=RISKY_LABEL)
    source = HomeAssistantSource(section, open_connection=tape.open, first_wait_s=0.2)

    def wait(wanted: Callable[[News], bool]) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            while (news := source.take()) is not None:
                seen.append(news)
                if wanted(news):
                    return
            arrived.wait(0.1)
            arrived.clear()
        raise AssertionError([type(one).__name__ for one in seen])

    def shows(entity_id: str, value: str) -> Callable[[News], bool]:
        return lambda news: (
            isinstance(news, StatesSeen)
            and any(one.entity_id == entity_id and one.state is not None and one.state.value == value for one in news.seen)
        )

    source.start(arrived.set)
    with contextlib.ExitStack() as stack:
        stack.callback(source.stop)
        wait(lambda news: isinstance(news, StatesSeen) and news.is_first)
        lab.devices.press("bedside", "ON")
        wait(shows("light.bedside", "on"))
        for call in CALLS:
            number = source.send(call)
            wait(lambda news, number=number: isinstance(news, Answered) and news.number == number)  # type: ignore[misc]
        lab.change("light.desk_lamp", new_entity_id="light.reading_lamp")
        wait(lambda news: isinstance(news, HomeLearned) and bool(news.renamed))
        wait(lambda news: isinstance(news, StatesSeen) and news.is_first)
        lab.expose("light.ceiling", should_expose=False)
        wait(lambda news: isinstance(news, HomeLearned) and "light.ceiling" not in {one.id for one in news.home.exposed})
        wait(lambda news: isinstance(news, StatesSeen) and news.is_first)
        lab.revoke(NAME)
        wait(lambda news: isinstance(news, LinkLost))
        wait(lambda news: isinstance(news, Trouble) and "refused the token" in news.text)
    return tape.lines


def main() -> None:
    """Record into the file that is named."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        lab = Lab(Path(folder))
        stack.callback(lab.stop)
        lab.start()
        satellite = FakeSatellite("Kitchen Satellite")
        stack.callback(satellite.close)
        furnish(lab, satellite)
        lines = record(lab)
        text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
        Path(sys.argv[1]).parent.mkdir(parents=True, exist_ok=True)
        Path(sys.argv[1]).write_text(text.replace('"VERSION"', f'"{lab.version}"'), encoding="utf-8")


if __name__ == "__main__":
    main()
