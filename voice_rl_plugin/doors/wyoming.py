"""The Wyoming door: Home Assistant's Assist asks here, one connection an utterance; the only module that imports wyoming and zeroconf.

describe                            ->  info: one intent program, English and Chinese
transcript | recognize {text, ...}  ->  intent       Home Assistant does exactly this itself
                                        handled      it was done here, or answered
                                        not-handled  a question, a refusal or a failure, in words
ping                                ->  pong

It has a thread and an event loop of its own. An utterance is answered within `ANSWER_S`, whatever the daemon does; one that was answered
with "too late" before the daemon began is dropped there. The other side sends what it likes, so lines, bodies and connections are limited.
"""

import asyncio
import contextlib
import ipaddress
import json
import logging
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Any

from wyoming.asr import Transcript
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.handle import Handled, NotHandled
from wyoming.info import Attribution, Describe, Info, IntentModel, IntentProgram
from wyoming.intent import Entity, Intent, Recognize
from wyoming.ping import Ping, Pong
from wyoming.zeroconf import HomeAssistantZeroconf

from voice_rl_plugin import __version__
from voice_rl_plugin.config import WyomingSection
from voice_rl_plugin.doors.native import MAX_INPUT_BYTES
from voice_rl_plugin.doors.request import Answer, Request
from voice_rl_plugin.errors import ConfigError

_LOGGER = logging.getLogger(__name__)

ANSWER_S = 1.8
"""An utterance is answered this soon, so that the answer is there within two seconds."""
IDLE_S = 60.0
"""A connection that says nothing for so long is closed."""
MAX_CONNECTIONS = 32
MAX_EVENT_BYTES = 4 * MAX_INPUT_BYTES
START_S = 10.0
LANGUAGES = ("en", "zh", "zh-CN", "zh-Hans", "zh-TW", "zh-Hant", "zh-HK")
"""Home Assistant offers an agent only for languages that it names."""
PROGRAM = "voice-rl"


class WyomingDoor:
    """A Wyoming service.

    Args:
        settings: where to listen, and whether to be found.
        ask: takes a request into the daemon; called from this door's thread.
        too_late: language to what is said when an utterance was dropped because it waited too long.
    """

    def __init__(self, settings: WyomingSection, *, ask: Callable[[Request], None], too_late: Callable[[str], str]) -> None:
        self._settings = settings
        self._ask = ask
        self._too_late = too_late
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._is_listening = threading.Event()
        self._problem: OSError | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the port is taken, or the host is none of this machine's addresses.
        """
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="wyoming", daemon=True)
        self._thread.start()
        self._is_listening.wait(START_S)
        if self._problem is not None:
            where = f"{self._settings.host}:{self._settings.port}"
            raise ConfigError(
                f"doors.wyoming: cannot listen on {where}: {self._problem.strerror or self._problem}; choose another host or port"
            )
        _LOGGER.info("wyoming listens on %s:%d", self._settings.host, self._settings.port)

    def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(START_S)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await asyncio.start_server(self._accept, self._settings.host, self._settings.port, limit=MAX_EVENT_BYTES)
        except OSError as error:
            self._problem = error
            return
        finally:
            self._is_listening.set()
        async with server:
            advertised = await self._advertise() if self._settings.advertise else None
            await self._stopping.wait()
            for one in list(self._connections):
                one.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            if advertised is not None:
                await advertised._aiozc.async_close()  # noqa: SLF001 - the package has no word for it

    async def _advertise(self) -> HomeAssistantZeroconf | None:
        """Be found by Home Assistant; where that fails, host and port can still be typed in."""
        try:
            advertised = HomeAssistantZeroconf(
                name=f"{PROGRAM}-{uuid.getnode():012x}", port=self._settings.port, host=_address_to_tell(self._settings.host)
            )
            await advertised.register_server()
        except Exception as error:  # noqa: BLE001 - zeroconf has a dozen of its own
            _LOGGER.warning("wyoming cannot be advertised by zeroconf; add it in Home Assistant by host and port: %s", error)
            return None
        return advertised

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= MAX_CONNECTIONS:
            _LOGGER.warning("wyoming: a connection was refused, %d are open", len(self._connections))
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._converse(reader, writer, session=uuid.uuid4().hex)
        except (OSError, asyncio.IncompleteReadError):
            _LOGGER.debug("wyoming: a connection was lost")
        except asyncio.CancelledError:  # we are stopping; asyncio would log it as an error
            pass
        except ValueError as error:
            _LOGGER.warning("wyoming: a connection was closed: %s", error)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, session: str) -> None:
        while (event := await _read(reader)) is not None:
            if Describe.is_type(event.type):
                await async_write_event(_info().event(), writer)
            elif Ping.is_type(event.type):
                await async_write_event(Pong(text=Ping.from_event(event).text).event(), writer)
            elif Transcript.is_type(event.type) or Recognize.is_type(event.type):
                answer = await self._answer(event.data, session=session)
                await async_write_event(_to_event(answer), writer)

    async def _answer(self, fields: dict[str, Any], *, session: str) -> Answer:
        context = fields.get("context")
        told = {key: value for key, value in (context if isinstance(context, dict) else {}).items() if isinstance(value, str)}
        command = {key: value for key, value in fields.items() if key in ("text", "language") and isinstance(value, str)}
        command["session_id"] = told.get("conversation_id") or told.get("session_id") or session
        command |= {key: told[key] for key in ("satellite_id", "device_id") if key in told}
        request = Request(door="wyoming", fields=command, takes_intents=self._settings.intents)
        self._ask(request)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(request.answer)), ANSWER_S)
        except TimeoutError:
            request.is_late = True
            if not request.give_up() and request.answer.done():
                return request.answer.result()
            return request.late_answer or Answer(text=self._too_late(request.language))


async def _read(reader: asyncio.StreamReader) -> Event | None:
    """Read one event; None at the end.

    Raises:
        ValueError: it is no event, or larger than a command can be.
    """
    try:
        async with asyncio.timeout(IDLE_S):
            line = await reader.readline()
            if not line:
                return None
            header = json.loads(line)
            if not isinstance(header, dict) or not isinstance(header.get("type"), str):
                raise ValueError("expected a JSON object with a type on one line")  # noqa: TRY004 - as the parser says it
            lengths = [header.get(key) or 0 for key in ("data_length", "payload_length")]
            if any(isinstance(one, bool) or not isinstance(one, int) or one < 0 for one in lengths) or sum(lengths) > MAX_EVENT_BYTES:
                raise ValueError(f"expected at most {MAX_EVENT_BYTES} bytes of data and payload, got {lengths!r:.60}")
            whole = asyncio.StreamReader(limit=2 * MAX_EVENT_BYTES)
            whole.feed_data(line + await reader.readexactly(sum(lengths)))
            whole.feed_eof()
            event = await async_read_event(whole)
    except TimeoutError:
        return None
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error
    if event is None or not isinstance(event.data, dict):
        raise ValueError("its data are no JSON object")
    return event


def _to_event(answer: Answer) -> Event:
    if answer.intent is not None:
        slots = [Entity(name=name, value=value) for name, value in answer.intent.slots.items()]
        return Intent(name=answer.intent.name, entities=slots, text=answer.intent.text).event()
    return Handled(text=answer.text).event() if answer.is_success else NotHandled(text=answer.text).event()


def _info() -> Info:
    attribution = Attribution(name="voice_rl_plugin", url="https://pypi.org/project/voice-rl-plugin/")
    common: dict[str, Any] = {"attribution": attribution, "installed": True, "version": __version__}
    model = IntentModel(name="champion", description="The policy that decides", languages=list(LANGUAGES), **common)
    program = IntentProgram(name=PROGRAM, description="Decides, asks, and learns from corrections", models=[model], **common)
    return Info(intent=[program])


def _address_to_tell(host: str) -> str | None:
    """Return the IPv4 address to advertise; None lets the package find this machine's."""
    try:
        address = ipaddress.ip_address(socket.gethostbyname(host))
    except (OSError, ValueError):
        return None
    return None if address.is_unspecified else str(address)
