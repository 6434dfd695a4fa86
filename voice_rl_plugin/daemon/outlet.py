"""The outlet: everything that the daemon says on the broker, and the problems that it has noticed."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from voice_rl_plugin.daemon.counters import Counters
from voice_rl_plugin.daemon.limits import RateLimit
from voice_rl_plugin.daemon.replies import Replies
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.broker import Broker, Message
from voice_rl_plugin.doors.request import Answer
from voice_rl_plugin.errors import BrokerError, MessageError, VoiceRlError

_LOGGER = logging.getLogger(__name__)

PROBLEMS_KEPT = 10
REPORTS_PER_S = 5.0
REPORTS_BURST = 20
"""More errors than this are counted and not published: a storm of nonsense must not become a storm of complaints."""


class Outlet:
    """Publishes below one prefix."""

    def __init__(self, broker: Broker, *, prefix: str, counters: Counters) -> None:
        self._broker = broker
        self._counters = counters
        self._retained: dict[str, bytes] = {}
        self._problems: deque[str] = deque(maxlen=PROBLEMS_KEPT)
        self._reports = RateLimit(rate_per_s=REPORTS_PER_S, burst=REPORTS_BURST)
        self.prefix = prefix
        self.replies = Replies()

    @property
    def problems(self) -> tuple[str, ...]:
        """Return the last problems, oldest first."""
        return tuple(self._problems)

    def publish(self, topic: str, payload: Mapping[str, Any] | bytes, *, expires_s: float | None = None) -> int:
        """Publish on a whole topic; return the ticket of the publication, 0 without a connection."""
        return self._broker.publish(topic, payload if isinstance(payload, bytes) else native.encode(payload), expires_s=expires_s)

    def check_response(self, message: Message) -> None:
        """Check where an answer is wanted.

        Raises:
            MessageError: on one of our own topics.
        """
        topic, own = message.response_topic, f"{self.prefix}/"
        if topic is not None and (topic.startswith("$") or (topic.startswith(own) and not topic.startswith(f"{own}response/"))):
            raise MessageError(f"response topic: expected one outside {own} or below {own}response/, got {topic!r:.100}")

    def tell(self, decision: Decision, *, message: Message | None = None) -> None:
        """Tell everybody what was decided, and him who asked for an answer once more."""
        payload = native.encode(decision.to_payload())
        self._broker.publish(f"{self.prefix}/decision", payload)
        self.tell_event(decision.outcome, decision)
        if message is not None:
            self._respond(message, payload)

    def tell_event(self, event_type: str, decision: Decision) -> None:
        """Tell Home Assistant what happened, without the words."""
        self._broker.publish(f"{self.prefix}/event", native.encode_event(event_type, decision))

    def respond(self, message: Message, payload: Mapping[str, Any]) -> None:
        """Answer a message that names a response topic.

        Raises:
            MessageError: it names one of our own topics.
        """
        self._respond(message, native.encode(payload))

    def _respond(self, message: Message, payload: bytes) -> None:
        self.check_response(message)
        if message.response_topic is not None:
            self._broker.publish(message.response_topic, payload, correlation=message.correlation)

    def say(self, text: str, decision: Decision, *, expects_reply: bool = False, is_success: bool = True) -> bool:
        """Have a sentence spoken where a decision's words came from; at other doors it is answered there.

        Returns:
            Whether a request has taken it, or there was a connection to say it on.
        """
        if not text or self.replies.take(text, decision.id, is_success=is_success, expects_reply=expects_reply):
            return True
        if decision.utterance.door in ("wyoming", "assist"):
            return True
        return bool(self._broker.publish(f"{self.prefix}/say", native.encode_say(text, decision=decision, expects_reply=expects_reply)))

    def answer(self, answer_to: str, answer: Answer) -> None:
        """Answer a request that came on `<prefix>/ask`."""
        payload = native.encode_answer(
            answer_to,
            text=answer.text,
            is_success=answer.is_success,
            expects_reply=answer.expects_reply,
            forwards=answer.intent is not None,
        )
        self._broker.publish(f"{self.prefix}/answer", payload)

    def keep(self, name: str, payload: bytes) -> None:
        """Publish a retained topic of ours when its payload has changed."""
        self.keep_at(f"{self.prefix}/{name}", payload)

    def keep_at(self, topic: str, payload: bytes) -> None:
        """Publish on a whole topic, retained, when its payload has changed."""
        if self._retained.get(topic) == payload:
            return
        try:
            is_sent = bool(self._broker.publish(topic, payload, retain=True))
        except BrokerError as error:  # what one topic has too much of must not keep the others from being told
            _LOGGER.warning("%s is not told: %s", topic, error)
            self.note(f"{topic} is not told: it is larger than the broker or mqtt.max_payload_bytes allows")
            is_sent = True  # it is tried again when it has changed
        if is_sent:
            self._retained[topic] = payload

    def forget_kept(self) -> None:
        """Publish every retained topic anew, since the broker may have lost them."""
        self._retained.clear()

    def report(self, error: Exception, topic: str) -> None:
        """Publish an error, unless there were too many just now."""
        if not self._reports.allows("", time.monotonic()):
            self._counters.count("unreported")
            return
        try:
            self._broker.publish(f"{self.prefix}/error", native.encode_error(error, topic))
        except BrokerError as problem:
            _LOGGER.error("an error cannot be published: %s", problem)  # noqa: TRY400

    def note(self, problem: str) -> None:
        """Keep a problem for the health topic."""
        if problem not in self._problems:
            self._problems.append(problem)

    def guard(self, work: Callable[[], Any], *, topic: str = "") -> None:
        """Do something that no message asked for, so that nobody else reports its errors."""
        try:
            work()
        except VoiceRlError as error:
            self.note(str(error))
            self.report(error, topic)
        except Exception as error:
            self._counters.count("errors")
            _LOGGER.exception("background work failed")
            self.report(internal_error(error), topic)


def internal_error(error: Exception) -> VoiceRlError:
    """Return what is told of an error that nobody foresaw: its text may hold words, so only its name."""
    return VoiceRlError(f"internal error: {type(error).__name__}; see the log")
