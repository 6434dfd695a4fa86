"""The search: where the broker and Home Assistant are, asked at the few places where a home has them."""

import contextlib
import http.client
import json
import queue
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from voice_rl_plugin.commands._line import Line, LoginRefusedError, check_port
from voice_rl_plugin.config import MqttSection
from voice_rl_plugin.errors import BrokerError, ConfigError

HOSTS = ("127.0.0.1", "homeassistant.local")
"""Where a broker of a home is when nobody says: beside us, or beside Home Assistant."""
PLAIN_PORT = 1883
TLS_PORT = 8883
HTTP_PORT = 8123
LOOK_S = 4.0
"""A name on the local network is known, and a port answered, this soon or not at all."""
_MAX_ANSWER_BYTES = 65_536

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBroker:
    """A place where a broker was looked for."""

    settings: MqttSection
    problem: str = ""
    """Why it cannot be used; empty when it can."""
    wants_login: bool = False

    @property
    def place(self) -> str:
        """Return host and port."""
        return f"{self.settings.host}:{self.settings.port}{' with TLS' if self.settings.tls else ''}"


def places_of(settings: MqttSection, *, hosts: Sequence[str] = (), port: int | None = None) -> list[MqttSection]:
    """Return where to look for a broker, the likeliest first.

    Args:
        settings: what is configured; its credentials are used everywhere.
        hosts: only these, when there are any.
        port: only this one, when given.
    """
    found = []
    for host in dict.fromkeys(hosts or (settings.host, *HOSTS)):
        ports = (port,) if port is not None else tuple(dict.fromkeys((settings.port, PLAIN_PORT, TLS_PORT)))
        found += [replace(settings, host=host, port=one, tls=settings.tls or one == TLS_PORT) for one in ports]
    return found


def find_brokers(places: Sequence[MqttSection]) -> list[FoundBroker]:
    """Try each place, all at once, and return the ones where somebody listens; those that can be used come first."""
    listening = [one for one, problem in _all(_problem_of_port, places, within_s=LOOK_S) if problem is None]
    found = [try_broker(one) for one in listening]
    return sorted(found, key=lambda one: (bool(one.problem), not one.wants_login))


def try_broker(settings: MqttSection) -> FoundBroker:
    """Connect to a broker and leave."""
    try:
        with Line(settings):
            return FoundBroker(settings=settings)
    except LoginRefusedError as error:
        return FoundBroker(settings=settings, problem=str(error), wants_login=True)
    except (BrokerError, ConfigError) as error:
        return FoundBroker(settings=settings, problem=str(error))


def find_home_assistant(addresses: Sequence[str]) -> str | None:
    """Return the first address at which Home Assistant answers."""
    answered = [address for address, is_there in _all(is_home_assistant, addresses, within_s=LOOK_S) if is_there]
    return next((one for one in addresses if one in answered), None)


def addresses_of(*hosts: str) -> list[str]:
    """Return where to look for Home Assistant, given hosts that it may be on."""
    return [f"http://{host}:{HTTP_PORT}" for host in dict.fromkeys((*hosts, *HOSTS))]


def is_home_assistant(address: str) -> bool:
    """Whether the web page at an address says that it is Home Assistant's; no token is needed, and none is sent."""
    if not address.startswith(("http://", "https://")):
        return False
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/manifest.json", timeout=LOOK_S) as answer:  # noqa: S310 - http or https, see above
            manifest = json.loads(answer.read(_MAX_ANSWER_BYTES))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return isinstance(manifest, dict) and "Home Assistant" in str(manifest.get("name"))


def _problem_of_port(settings: MqttSection) -> str | None:
    try:
        check_port(replace(settings, tls=False), within_s=LOOK_S)
    except BrokerError as error:
        return str(error)
    return None


def _all(work: Callable[[T], R], items: Sequence[T], *, within_s: float) -> list[tuple[T, R]]:
    """Do the same with all items at once, and return what was ready in time: a name that nobody knows may take long to be unknown."""
    done: queue.Queue[tuple[int, R]] = queue.Queue()

    def one(number: int, item: T) -> None:
        with contextlib.suppress(OSError):
            done.put((number, work(item)))

    for number, item in enumerate(items):
        threading.Thread(target=one, args=(number, item), daemon=True).start()
    deadline, results = time.monotonic() + within_s, dict[int, R]()
    while len(results) < len(items) and (left_s := deadline - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            number, result = done.get(timeout=left_s)
            results[number] = result
    return [(items[number], results[number]) for number in sorted(results)]
