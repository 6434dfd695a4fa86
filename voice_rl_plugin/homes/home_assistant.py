"""The home from Home Assistant over its WebSocket, kept up to date, in a thread of its own.

connect -> wait until it runs -> registries -> HomeLearned -> states -> StatesSeen ... -> lost -> LinkLost -> connect again
                                    ^                              |
                                    └── a registry was updated <───┘

The thread only puts news into a bounded queue. When the daemon falls behind, the thread stops reading, Home Assistant ends the
connection, and everything is read anew: nothing is dropped silently.
"""

import logging
import queue
import random
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voice_rl_plugin.config import HomeSection, read_token
from voice_rl_plugin.domain.home import Entity, Home
from voice_rl_plugin.errors import ConfigError, LinkError
from voice_rl_plugin.homes.registry import Registries, home_of, read_exposed
from voice_rl_plugin.homes.state_diffs import SeenState, StateDiffs
from voice_rl_plugin.homes.websocket import Link, OpenLink, TokenRefusedError, open_link

_LOGGER = logging.getLogger(__name__)

ANSWER_S = 30.0
"""A request about the registries is answered this soon, or the connection is given up."""
START_S = 300.0
"""Home Assistant may take this long to start; then its home is taken as it is."""
START_POLL_S = 1.0
QUIET_S = 0.5
"""After a change of the registries they are read again once nothing has changed for this long,"""
HURRY_S = 3.0
"""or at the latest after this."""
REFRESH_S = 600.0
"""They are also read this often: the exposure of an entity without a unique id changes without an event."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
TOKEN_POLL_S = 5.0
"""How often the token file is looked at after its token was refused."""
STOP_S = 5.0
QUEUED = 1000
EVENTS = (
    *("floor_registry_updated", "area_registry_updated", "device_registry_updated", "entity_registry_updated"),
    *("label_registry_updated", "core_config_updated"),
)

_LISTS = {
    "floors": "config/floor_registry/list",
    "areas": "config/area_registry/list",
    "devices": "config/device_registry/list",
    "entities": "config/entity_registry/list",
    "labels": "config/label_registry/list",
    "exposed": "homeassistant/expose_entity/list",
    "states": "get_states",
}
_MISSING = {"unknown_command", "unauthorized"}
"""Refusals of a list that is missing in an old version, or that the token's user may not see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeLearned:
    """The home as it is now."""

    home: Home
    renamed: Mapping[str, str]
    """New entity ids by old ones, since the last time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatesSeen:
    """States of exposed entities."""

    seen: tuple[SeenState, ...]
    is_first: bool = False
    """Whether they are what was so when we asked, and not changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp:
    """The connection is there: commands can be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLost:
    """The connection is gone: the states are not known any more, the home is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How one of the daemon's own commands ended."""

    number: int
    is_ok: bool
    result: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that a person has to mend, said once."""

    text: str


News = HomeLearned | StatesSeen | LinkUp | LinkLost | Answered | Trouble


def websocket_url(address: str) -> str:
    """Return the URL of the WebSocket of a Home Assistant at an address; a WebSocket's own URL is left as it is."""
    parts = urllib.parse.urlsplit(address)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path.rstrip("/")
    if not path.endswith("/websocket"):
        path += "/websocket" if parts.hostname == "supervisor" else "/api/websocket"  # the Supervisor's proxy leaves the api out
    return urllib.parse.urlunsplit((scheme, parts.netloc, path, "", ""))


def read_home(section: HomeSection, *, open_connection: OpenLink = open_link) -> Home:
    """Return the home as Home Assistant tells it now.

    Raises:
        ConfigError: there is no token, or the package websockets is not installed.
        LinkError: Home Assistant cannot be reached, refuses the token, or is in recovery mode.
    """
    url = websocket_url(section.home_assistant or "")
    link = open_connection(url, read_token(section), ca_file=section.ca_file)
    try:
        session = _Session(link, threading.Event())
        if session.ask({"type": "get_config"}).get("recovery_mode"):
            raise LinkError(f"{url}: Home Assistant is in recovery mode and has no entities; mend its configuration first")
        return home_of(_read_registries(session), risky_label=section.risky_label)
    finally:
        link.close()


class HomeAssistantSource:
    """Reads the home and its states, and carries the daemon's commands to Home Assistant.

    Args:
        section: where Home Assistant is, and its token.
        open_connection: connects and authenticates.
        first_wait_s: how long to wait before the second attempt to connect; doubled each time.
        token_poll_s: how often to look for another token after one was refused.
        quiet_s: how long the registries must be quiet before they are read again.
    """

    def __init__(
        self,
        section: HomeSection,
        *,
        open_connection: OpenLink = open_link,
        first_wait_s: float = FIRST_WAIT_S,
        token_poll_s: float = TOKEN_POLL_S,
        quiet_s: float = QUIET_S,
    ) -> None:
        self._section = section
        self._url = websocket_url(section.home_assistant or "")
        self._open = open_connection
        self._first_wait_s = first_wait_s
        self._token_poll_s = token_poll_s
        self._quiet_s = quiet_s
        self._news: queue.Queue[News] = queue.Queue(maxsize=QUEUED)
        self._wake: Callable[[], None] = lambda: None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._trouble = ""
        self._status = "not connected yet"
        self._home = Home()
        self._ids: dict[str, str] = {}
        """Entity ids by the registry's own ids, which outlive a renaming."""

    @property
    def status(self) -> str:
        """Return how the connection is, in words."""
        return self._status

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent."""
        with self._lock:
            return self._link is not None

    @property
    def version(self) -> tuple[int, ...]:
        """Return year and month of Home Assistant's version; empty when it is not known."""
        with self._lock:
            parts = self._link.version.split(".")[:2] if self._link is not None else []
        return tuple(int(one) for one in parts) if all(one.isdigit() for one in parts) else ()

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to connect.

        Args:
            wake: is called from the other thread whenever there is news.
        """
        self._wake = wake
        self._thread = threading.Thread(target=self._run, name="home-assistant", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the connection and end the thread."""
        self._stopping.set()
        with self._lock:
            link = self._link
        if link is not None:
            link.close()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def take(self) -> News | None:
        """Return the next news, oldest first; None when there is none."""
        try:
            return self._news.get_nowait()
        except queue.Empty:
            return None

    def send(self, command: Mapping[str, Any]) -> int:
        """Send a command; how it ended comes as Answered with the number that this returns.

        Raises:
            LinkError: there is no connection.
        """
        with self._lock:
            if self._link is None:
                raise LinkError(f"Home Assistant: {self._status}")
            return self._link.send(command)

    def exposed(self, entity_id: str) -> Entity | None:
        """Return an entity that Home Assistant exposes to Assist, as it said last; None for every other."""
        entity = self._home.entity_by_id.get(entity_id)
        return entity if entity is not None and entity.exposed else None

    # The thread

    def _run(self) -> None:
        wait_s = self._first_wait_s
        while not self._stopping.is_set():
            begun, token = time.monotonic(), None
            try:
                token = read_token(self._section)
                self._converse(token)
            except TokenRefusedError as error:
                self._tell(
                    "token",
                    f"{error}. Make a long-lived access token on your profile's page under Security, and write it into home.token_file; "
                    "it is taken from there without a restart",
                )
                self._await_other_token(token)
                wait_s = self._first_wait_s
                continue
            except ConfigError as error:
                self._tell("config", str(error))
            except LinkError as error:
                self._tell("link", f"{error}; the home is kept as it was, the states are unknown until Home Assistant is back")
            except Exception as error:
                _LOGGER.exception("the connection to Home Assistant ended for an unforeseen reason")
                self._tell("internal", f"Home Assistant: internal error {type(error).__name__}; see the log")
            if time.monotonic() - begun > LONGEST_WAIT_S:  # it had worked
                wait_s = self._first_wait_s
            self._stopping.wait(wait_s * random.uniform(0.8, 1.2))
            wait_s = min(2.0 * wait_s, LONGEST_WAIT_S)

    def _converse(self, token: str) -> None:
        """Hold one connection until it ends.

        Raises:
            LinkError: it ended.
        """
        link = self._open(self._url, token, ca_file=self._section.ca_file)
        try:
            session = _Session(link, self._stopping)
            self._await_running(session)
            updates = {session.subscribe({"type": "subscribe_events", "event_type": one}) for one in EVENTS}
            home = self._learn(session)
            states = _StateSubscription(session, home)
            with self._lock:
                self._link = link
            self._tell_connected(link, home)
            self._put(LinkUp())
            due = _Due(quiet_s=self._quiet_s)
            while not self._stopping.is_set():
                if due.is_now(time.monotonic()):
                    home = self._learn(session)
                    states.follow(home)
                    due = _Due(quiet_s=self._quiet_s)
                    self._tell_connected(link, home)
                message = session.next(min(self._quiet_s, 1.0))
                if message is None:
                    continue
                if message.get("type") == "result":
                    self._put(_answer(message))
                elif message.get("type") == "event" and (seen := states.take(message)) is not None:
                    self._put(seen)
                elif message.get("type") == "event" and message.get("id") in updates:
                    due.note(time.monotonic())
        finally:
            with self._lock:
                was_up, self._link = self._link is not None, None
            link.close()
            if was_up:
                self._put(LinkLost())

    def _await_running(self, session: "_Session") -> None:
        """Wait until Home Assistant has set its entities up."""
        give_up_at = time.monotonic() + START_S
        while not self._stopping.is_set():
            config = session.ask({"type": "get_config"})
            if config.get("recovery_mode"):
                self._tell("recovery", "Home Assistant is in recovery mode and has no entities; the home is kept as it was")
            elif config.get("state") in (None, "RUNNING") or time.monotonic() >= give_up_at:
                return
            else:
                self._status = "waits until Home Assistant has started"
            self._stopping.wait(START_POLL_S)

    def _learn(self, session: "_Session") -> Home:
        """Read the registries and tell what they say."""
        registries = _read_registries(session)
        ids = {str(one.get("id")): str(one.get("entity_id")) for one in registries.entities}
        renamed = {old: ids[key] for key, old in self._ids.items() if key in ids and ids[key] != old}
        self._ids = ids
        home = home_of(registries, risky_label=self._section.risky_label)
        self._home = home
        self._put(HomeLearned(home=home, renamed=renamed))
        return home

    def _await_other_token(self, refused: str | None) -> None:
        while not self._stopping.wait(self._token_poll_s):
            try:
                if read_token(self._section) != refused:
                    return
            except ConfigError as error:
                _LOGGER.debug("no other token yet: %s", error)

    def _tell_connected(self, link: Link, home: Home) -> None:
        if not home.exposed:
            self._tell(
                "exposed",
                "Home Assistant exposes no device to Assist: choose some under Settings > Voice assistants > Expose; until then nothing can be done",
            )
            return
        status = f"connected to Home Assistant {link.version}, {len(home.exposed)} devices exposed"
        if self._trouble or not self._status.startswith("connected"):
            _LOGGER.info("%s", status)
        self._trouble, self._status = "", status

    def _tell(self, kind: str, text: str) -> None:
        """Say what is wrong, once until it is mended."""
        if self._stopping.is_set():
            return
        self._status = text
        if kind == self._trouble:
            _LOGGER.debug("still: %s", text)
            return
        self._trouble = kind
        _LOGGER.warning("%s", text)
        self._put(Trouble(text=text))

    def _put(self, news: News) -> None:
        while not self._stopping.is_set():
            try:
                self._news.put(news, timeout=0.5)
            except queue.Full:  # not read on, Home Assistant will end the connection, and all is read anew
                continue
            break
        self._wake()


class _Session:
    """Questions and subscriptions on one connection; what else comes meanwhile waits."""

    def __init__(self, link: Link, stopping: threading.Event) -> None:
        self._link = link
        self._stopping = stopping
        self._waiting: deque[dict[str, Any]] = deque()

    def ask(self, command: Mapping[str, Any]) -> Any:
        """Send a command and return its result.

        Raises:
            LinkError: it was refused or not answered.
        """
        return self.ask_all({"": command})[""]

    def ask_all(self, commands: Mapping[str, Mapping[str, Any]], *, optional: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Send commands at once and return their results.

        Args:
            commands: by name.
            optional: names of those that may be refused because the version does not know them or the user may not; then None.

        Raises:
            LinkError: another one was refused, or one was not answered.
        """
        numbers = {name: self._link.send(command) for name, command in commands.items()}
        messages = self._await(set(numbers.values()))
        results: dict[str, Any] = {}
        for name, number in numbers.items():
            answer = _answer(messages[number])
            if not answer.is_ok and not (name in optional and _code(messages[number]) in _MISSING):
                raise LinkError(f"Home Assistant refused {commands[name]['type']}: {answer.error}")
            results[name] = answer.result if answer.is_ok else None
        return results

    def subscribe(self, command: Mapping[str, Any]) -> int:
        """Subscribe, and return the number that its events carry.

        Raises:
            LinkError: it was refused or not answered.
        """
        number = self._link.send(command)
        answer = _answer(self._await({number})[number])
        if not answer.is_ok:
            raise LinkError(f"Home Assistant refused {command['type']}: {answer.error}")
        return number

    def next(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next message that nobody asked for here; None when none came in time."""
        return self._waiting.popleft() if self._waiting else self._link.receive(timeout_s)

    def _await(self, numbers: set[int]) -> dict[int, dict[str, Any]]:
        """Return the results of some commands; what else comes waits for `next`."""
        results: dict[int, dict[str, Any]] = {}
        give_up_at = time.monotonic() + ANSWER_S
        while len(results) < len(numbers):
            if time.monotonic() >= give_up_at or self._stopping.is_set():
                raise LinkError(f"Home Assistant left {len(numbers) - len(results)} requests without an answer for {ANSWER_S:g} s")
            message = self._link.receive(1.0)
            if message is None:
                continue
            number = message.get("id")
            if message.get("type") == "result" and isinstance(number, int) and number in numbers:
                results[number] = message
            else:
                self._waiting.append(message)
        return results


class _Due:
    """When the registries have to be read again."""

    def __init__(self, *, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._read_at = time.monotonic()
        self._first_at: float | None = None
        self._last_at = 0.0

    def note(self, now: float) -> None:
        """Note that one was updated."""
        self._first_at = now if self._first_at is None else self._first_at
        self._last_at = now

    def is_now(self, now: float) -> bool:
        """Whether it is time."""
        if self._first_at is None:
            return now - self._read_at >= REFRESH_S
        return now - self._last_at >= self._quiet_s or now - self._first_at >= HURRY_S


class _StateSubscription:
    """The states of what is exposed, and of nothing else."""

    def __init__(self, session: _Session, home: Home) -> None:
        self._session = session
        self._ids: frozenset[str] = frozenset()
        self._number: int | None = None
        self._diffs = StateDiffs()
        self._is_new = False
        self.follow(home)

    def follow(self, home: Home) -> None:
        """Subscribe anew where other entities are exposed than before."""
        ids = frozenset(one.id for one in home.exposed)
        if ids == self._ids:
            return
        if self._number is not None:
            self._session.ask({"type": "unsubscribe_events", "subscription": self._number})
        self._ids, self._number, self._diffs, self._is_new = ids, None, StateDiffs(), True
        if ids:  # none at all would mean every entity
            self._number = self._session.subscribe({"type": "subscribe_entities", "entity_ids": sorted(ids)})

    def take(self, message: Mapping[str, Any]) -> StatesSeen | None:
        """Return what a message shows; None when it is about something else."""
        if self._number is None or message.get("id") != self._number:
            return None
        event = message.get("event")
        seen = self._diffs.take(event if isinstance(event, Mapping) else {})
        is_first, self._is_new = self._is_new, False
        return StatesSeen(seen=seen, is_first=is_first)


def _read_registries(session: _Session) -> Registries:
    """Ask for everything that describes the home.

    Raises:
        LinkError: something was refused.
    """
    commands = {name: {"type": command} for name, command in _LISTS.items()} | {"config": {"type": "get_config"}}
    told = session.ask_all(commands, optional=frozenset({"floors", "labels", "exposed"}))
    entities = _rows(told["entities"])
    exposed = read_exposed(told["exposed"], entities)
    registered = sorted({str(one.get("entity_id")) for one in entities} & exposed)
    details = session.ask({"type": "config/entity_registry/get_entries", "entity_ids": registered}) if registered else {}
    return Registries(
        language=str(told["config"].get("language") or "en"),
        floors=_rows(told["floors"]),
        areas=_rows(told["areas"]),
        devices=_rows(told["devices"]),
        entities=entities,
        labels=_rows(told["labels"]),
        details={entity_id: one for entity_id, one in details.items() if isinstance(one, Mapping)},
        exposed=exposed,
        states={str(one.get("entity_id")): one for one in _rows(told["states"])},
    )


def _rows(told: Any) -> Sequence[Mapping[str, Any]]:
    return [one for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []


def _answer(message: Mapping[str, Any]) -> Answered:
    is_ok = message.get("success") is True
    error = message.get("error")
    words = str(error.get("message") or error.get("code")) if isinstance(error, Mapping) else "refused without a reason"
    return Answered(number=int(message["id"]), is_ok=is_ok, result=message.get("result"), error=None if is_ok else words)


def _code(message: Mapping[str, Any]) -> str:
    error = message.get("error")
    return str(error.get("code")) if isinstance(error, Mapping) else ""
