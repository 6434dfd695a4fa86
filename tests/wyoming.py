"""What Home Assistant does at a Wyoming service: one connection an utterance, one event out, then it only reads."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from wyoming.asr import Transcript
from wyoming.client import AsyncTcpClient
from wyoming.event import Event

from tests.mosquitto import DEADLINE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came back."""

    kind: str
    """The type of the event."""
    data: dict[str, Any]
    took_s: float

    @property
    def text(self) -> str:
        """Return what would be spoken."""
        return str(self.data.get("text", ""))

    @property
    def slots(self) -> dict[str, Any]:
        """Return the slots of an intent."""
        return {one["name"]: one["value"] for one in self.data.get("entities", [])}


def ask(port: int, text: str, *, satellite: str | None = None, conversation: str = "c1", language: str = "en", **context: Any) -> Heard:
    """Say something as Home Assistant does."""
    told = {"conversation_id": conversation} | ({"satellite_id": satellite} if satellite else {}) | context
    return send(port, Transcript(text, language=language, context=told).event())


def send(port: int, event: Event) -> Heard:
    """Send one event on a new connection and return the answer."""

    async def converse() -> Heard:
        async with AsyncTcpClient("127.0.0.1", port) as client:
            begun = time.monotonic()
            await client.write_event(event)
            answer = await asyncio.wait_for(client.read_event(), DEADLINE_S)
            assert answer is not None, "the connection was closed without an answer"
            return Heard(kind=answer.type, data=answer.data, took_s=time.monotonic() - begun)

    return asyncio.run(converse())
