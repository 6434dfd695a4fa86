"""A request: an utterance whose door waits for the answer, and that answer.

door ──Request──> daemon ──Answer──> door        a request that nobody waits for any more cannot be claimed, and is dropped
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from voice_rl_plugin.acting.assist_intents import AssistIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a door tells the one who asked."""

    text: str
    is_success: bool = False
    """Whether it was done, or answered; false for questions, refusals and failures."""
    expects_reply: bool = False
    """Whether it is a question."""
    intent: AssistIntent | None = None
    """What Home Assistant shall do itself; nobody else does it then."""


@dataclass(slots=True, kw_only=True)
class Request:
    """One utterance that waits for its answer."""

    door: str
    fields: Mapping[str, Any]
    """What the native door reads as a command: text, language, session_id, satellite_id, device_id, area."""
    takes_intents: bool = False
    """Whether the other side carries out Home Assistant's intents."""
    forwards: bool = False
    """Whether the other side hands timers, lists, the weather and the like to Home Assistant's own agent."""
    received_at: float = field(default_factory=time.monotonic)
    """Monotonic seconds."""
    answer: "Future[Answer]" = field(default_factory=Future)
    is_late: bool = False
    """Whether its door has answered already, because the time was up."""
    late_answer: Answer | None = None
    """What is true when the time is up and the answer is not there yet."""

    @property
    def language(self) -> str:
        """Return the language to answer in before the words were understood."""
        text, tag = str(self.fields.get("text", "")), str(self.fields.get("language") or "")
        return "zh" if tag.startswith("zh") or any("\u4e00" <= one <= "\u9fff" for one in text) else "en"

    def claim(self) -> bool:
        """Begin to work on it; false when its door gave up already, so that nothing may be done any more."""
        return self.answer.set_running_or_notify_cancel()

    def give_up(self) -> bool:
        """Stop waiting; return whether nothing was begun, so that nothing will be done."""
        return self.answer.cancel()

    def reply(self, answer: Answer) -> None:
        """Give the answer; a second one changes nothing."""
        if not self.answer.done():
            self.answer.set_result(answer)
