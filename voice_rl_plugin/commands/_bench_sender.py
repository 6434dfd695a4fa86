"""A storm of commands from a process of its own: MQTT 3.1.1 written by hand on one socket, since no client library is that fast.

stdout: how many were sent; FILE: when each of them was sent, as doubles in Unix seconds
"""

import argparse
import array
import json
import socket
import struct
import threading
import time
from pathlib import Path

_AHEAD_S = 0.005
_PING, _PONG = b"\xc0\x00", 0xD0
_PINGS_AHEAD = 4


def connect(host: str, port: int, client_id: str) -> socket.socket:
    """Connect and wait for the broker's yes."""
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x02" + struct.pack("!H", 600) + struct.pack("!H", len(name)) + name
    sock = socket.create_connection((host, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"\x10" + _length(len(body)) + body)
    if sock.recv(4)[3:] != b"\0":
        raise ConnectionError("the broker refuses the storm")
    return sock


def publish_packet(topic: bytes, payload: bytes, *, packet_id: int) -> bytes:
    """Return a PUBLISH packet; QoS 1 with a packet id, QoS 0 with 0."""
    head = struct.pack("!H", len(topic)) + topic + (struct.pack("!H", packet_id) if packet_id else b"")
    return bytes([0x32 if packet_id else 0x30]) + _length(len(head) + len(payload)) + head + payload


def storm(sock: socket.socket, *, prefix: str, payload: dict[str, object], rate: int, seconds: float, qos: int) -> "array.array[float]":
    """Publish at a rate, as far as the broker takes it; return when each was sent."""
    answers = _Answers(sock)
    topic = f"{prefix}/command".encode()
    sent_at = array.array("d")
    begun = time.perf_counter()
    total = round(rate * seconds)
    while len(sent_at) < total:
        due = min(round((time.perf_counter() - begun + _AHEAD_S) * rate), total)
        packets = []
        for number in range(len(sent_at), due):
            said = payload | {"id": f"s{number}", "satellite_id": f"assist_satellite.s{number % 500}"}
            packets.append(publish_packet(topic, json.dumps(said).encode(), packet_id=number % 65_535 + 1 if qos else 0))
            sent_at.append(time.time())
        if packets:
            sock.sendall(b"".join(packets) + _PING)
            answers.wait(_PINGS_AHEAD)
        else:
            time.sleep(_AHEAD_S / 2)
    return sent_at


class _Answers:
    """Reads the broker's answers; a ping after each batch tells how far it has come: what waits in our own socket is not at the broker yet."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._changed = threading.Condition()
        self._ahead = 0
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self, limit: int) -> None:
        """Count one ping more, and wait until no more than so many are unanswered."""
        with self._changed:
            self._ahead += 1
            self._changed.wait_for(lambda: self._ahead <= limit, timeout=30.0)

    def _read(self) -> None:
        stream = b""
        while data := self._sock.recv(65_536):
            stream += data
            pongs = at = 0
            while at + 2 <= len(stream) and at + 2 + stream[at + 1] <= len(stream):  # short packets only
                pongs += stream[at] == _PONG
                at += 2 + stream[at + 1]
            stream = stream[at:]
            with self._changed:
                self._ahead -= pongs
                self._changed.notify_all()


def _length(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, low = divmod(value, 128)
        encoded.append(low | (128 if value else 0))
        if not value:
            return bytes(encoded)


def main() -> None:
    """Blow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--prefix")
    parser.add_argument("--payload", type=json.loads)
    parser.add_argument("--rate", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--qos", type=int)
    parser.add_argument("--times", type=Path)
    args = parser.parse_args()
    sock = connect(args.host, args.port, f"{args.prefix}_storm")
    sent_at = storm(sock, prefix=args.prefix, payload=args.payload, rate=args.rate, seconds=args.seconds, qos=args.qos)
    sock.shutdown(socket.SHUT_WR)
    args.times.write_bytes(sent_at.tobytes())
    print(len(sent_at))


if __name__ == "__main__":
    main()
