"""A TCP proxy between the daemon and its broker, on which the line can be cut, healed, slowed and dropped, and what was published counted."""

import contextlib
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field

_CHUNK = 65_536


@dataclass(slots=True)
class _Way:
    """One direction of one connection."""

    source: socket.socket
    target: socket.socket
    is_ours: bool
    """Whether it goes from the daemon to the broker."""
    waiting: list[tuple[float, bytes]] = field(default_factory=list)
    """What was read, with the time from which it may go on."""
    unparsed: bytearray = field(default_factory=bytearray)
    began: bytes = b""
    """The first bytes, which hold the client id."""


class Proxy:
    """Forwards to one port of this machine."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.delay_s = 0.0
        """How long each byte takes, one way."""
        self.published: list[tuple[str, bytes]] = []
        """Topic and payload of everything that the daemon has published with MQTT 5, as it went over this line."""
        self._is_cut = False
        self._ways: list[_Way] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Let nothing through, as if the cable were out: both ends keep their connection and hear nothing."""
        self._is_cut = True

    def heal(self) -> None:
        """Let everything through again, what was sent meanwhile too."""
        self._is_cut = False

    def drop(self, client_id: str = "") -> None:
        """Reset every connection, or those of one client."""
        with self._lock:
            dropped = [way for way in self._ways if client_id.encode() in way.began]
            sockets = {one for way in dropped for one in (way.source, way.target)}
            for way in [way for way in self._ways if way.source in sockets]:
                self._close(way)
                self._ways.remove(way)

    def close(self) -> None:
        """Stop."""
        self._stopped.set()
        self._thread.join()
        self._listener.close()
        self.drop()

    def _run(self) -> None:
        self._listener.setblocking(False)  # noqa: FBT003
        while not self._stopped.is_set():
            with self._lock:
                ways = list(self._ways)
            with selectors.DefaultSelector() as selector:
                selector.register(self._listener, selectors.EVENT_READ)
                if not self._is_cut:
                    for way in ways:
                        with contextlib.suppress(ValueError, KeyError):
                            selector.register(way.source, selectors.EVENT_READ, way)
                ready = [key.data for key, _ in selector.select(0.002 if self.delay_s or self._is_cut else 0.02)]
            for way in ready:
                if way is None:
                    self._accept()
                else:
                    self._read(way)
            for way in ways:
                self._write(way)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            ours, _ = self._listener.accept()
            try:
                theirs = socket.create_connection(("127.0.0.1", self._target_port), timeout=1.0)
            except OSError:
                ours.close()
                return
            for one in (ours, theirs):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                one.settimeout(1.0)
            with self._lock:
                self._ways += [_Way(ours, theirs, is_ours=True), _Way(theirs, ours, is_ours=False)]

    def _read(self, way: _Way) -> None:
        try:
            data = way.source.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._end(way)
            return
        way.waiting.append((time.monotonic() + self.delay_s, data))
        if way.is_ours:
            way.began = way.began or data
            way.unparsed += data
            self.published += parse_publications(way.unparsed)

    def _write(self, way: _Way) -> None:
        while way.waiting and not self._is_cut and way.waiting[0][0] <= time.monotonic():
            _, data = way.waiting.pop(0)
            try:
                way.target.sendall(data)
            except OSError:
                self._end(way)
                return

    def _end(self, way: _Way) -> None:
        with self._lock:
            for one in [one for one in self._ways if one.source in (way.source, way.target)]:
                self._close(one)
                self._ways.remove(one)

    @staticmethod
    def _close(way: _Way) -> None:
        for one in (way.source, way.target):
            with contextlib.suppress(OSError):
                one.close()


def parse_publications(stream: bytearray) -> list[tuple[str, bytes]]:
    """Take whole MQTT 5 packets off the front of a stream, and return the publications among them."""
    found: list[tuple[str, bytes]] = []
    while len(stream) >= 2:
        length, start = _read_length(stream, 1)
        if start == 0 or len(stream) < start + length:
            break
        kind, body = stream[0], bytes(stream[start : start + length])
        del stream[: start + length]
        if kind >> 4 == 3:
            size = int.from_bytes(body[:2], "big")
            at = 2 + size + (2 if kind & 0x06 else 0)
            properties, at = _read_length(body, at)
            found.append((body[2 : 2 + size].decode(), body[at + properties :]))
    return found


def _read_length(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return a variable length and where it ends; 0 as the end when it is not all there."""
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 128:
            return value, at
    return 0, 0
