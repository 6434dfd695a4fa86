"""A broker for the demo: the installed mosquitto on a free loopback port, else amqtt inside this process."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

from voice_rl_plugin.errors import BrokerError

START_S = 10.0
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/usr/local/opt/mosquitto/sbin")


class EmbeddedBroker:
    """A broker that lives as long as the `with` block."""

    def __init__(self, *, port: int | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.kind = ""
        """`mosquitto` or `amqtt`, once started."""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._amqtt: Any = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Start the broker and wait until it answers.

        Raises:
            BrokerError: there is no broker to start, the port is taken, or it does not answer.
        """
        if _answers(self.host, self.port):
            raise BrokerError(f"port {self.port} is taken by another program; choose another one with --port")
        program = find_mosquitto()
        if program is not None:
            self._start_mosquitto(program)
        else:
            self._start_amqtt()
        deadline = time.monotonic() + START_S
        while not _answers(self.host, self.port):
            if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                said = self._said()
                self.stop()
                raise BrokerError(f"{self.kind} did not start on {self.host}:{self.port}{said}")
            threading.Event().wait(0.02)

    def stop(self) -> None:
        """Stop the broker and drop what it kept."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._loop is not None and self._thread is not None:
            if self._amqtt is not None:
                with contextlib.suppress(Exception):
                    asyncio.run_coroutine_threadsafe(self._amqtt.shutdown(), self._loop).result(5)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            self._loop = self._thread = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _start_mosquitto(self, program: str) -> None:
        self.kind = "mosquitto"
        self._folder = tempfile.TemporaryDirectory(prefix="voice_rl_broker_")
        folder = Path(self._folder.name)
        settings = (
            f"listener {self.port} {self.host}\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nmax_queued_messages 10000\n"
            "sys_interval 1\n"
        )
        (folder / "mosquitto.conf").write_text(settings, encoding="utf-8")
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen([program, "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log)

    def _start_amqtt(self) -> None:
        self.kind = "amqtt"
        try:
            from amqtt.broker import Broker  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise BrokerError(
                "the demo needs a broker: install mosquitto (apt install mosquitto), or the extra: pip install 'voice-rl-plugin[demo]'"
            ) from error
        settings = {
            "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        loop = asyncio.new_event_loop()
        self._loop = loop
        self._thread = threading.Thread(target=loop.run_forever, name="amqtt", daemon=True)
        self._thread.start()

        async def start() -> None:
            self._amqtt = Broker(settings, loop=loop)
            await self._amqtt.start()

        try:
            asyncio.run_coroutine_threadsafe(start(), loop).result(START_S)
        except Exception as error:
            self.stop()
            raise BrokerError(f"amqtt did not start on {self.host}:{self.port}: {error}") from error

    def _said(self) -> str:
        if self._folder is None:
            return ""
        with contextlib.suppress(OSError):
            lines = (Path(self._folder.name) / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return f": {lines[-1]}" if lines else ""
        return ""


def find_mosquitto() -> str | None:
    """Return the path of the mosquitto broker, which often lies in a folder that is not on PATH."""
    return shutil.which("mosquitto") or next((found for folder in _SBIN if (found := shutil.which("mosquitto", path=folder))), None)


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.5):
        return True
    return False
