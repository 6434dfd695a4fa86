"""A voice satellite that speaks just enough of the Wyoming protocol to become a device and an entity of Home Assistant."""

import json
import socketserver
import threading
from typing import Any

_ABOUT = {"name": "tests", "url": "https://example.com"}


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Answer what is asked until the other side goes."""
        for line in self.rfile:
            event = json.loads(line)
            self.rfile.read(int(event.get("data_length") or 0) + int(event.get("payload_length") or 0))
            if event["type"] == "describe":
                self._answer("info", self.server.info)  # type: ignore[attr-defined]
            elif event["type"] == "ping":
                self._answer("pong", {})

    def _answer(self, kind: str, fields: dict[str, Any]) -> None:
        data = json.dumps(fields).encode()
        self.wfile.write(json.dumps({"type": kind, "version": "1.5.0", "data_length": len(data)}).encode() + b"\n" + data)
        self.wfile.flush()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class FakeSatellite:
    """Listens on a free port."""

    def __init__(self, name: str) -> None:
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.info = {  # type: ignore[attr-defined]
            **{kind: [] for kind in ("asr", "tts", "handle", "intent", "wake", "mic", "snd")},
            "satellite": {"name": name, "attribution": _ABOUT, "installed": True, "description": name, "version": "1", "area": None},
        }
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
