"""The Hermes door: payloads of Rhasspy 2.5 to values, and values to payloads.

hermes/nlu/query                      in   what was said, in a session of the dialogue manager
hermes/asr/textCaptured               in   the same where there is no dialogue manager
hermes/dialogueManager/sessionEnded   in   abortedByUser is feedback
hermes/nlu/intentParsed, hermes/intent/voice_rl:<what>   out   understood; voice_rl:<domain>.<service>, voice_rl:several, :ask, :feedback
hermes/nlu/intentNotRecognized        out  refused, or not in the session's intent filter
hermes/dialogueManager/continueSession | endSession      out  a question | the answer
hermes/tts/say, hermes/asr/startListening                out  the same without a session, and the reason of a refusal
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voice_rl_plugin.deciding.turn import Heard
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.doors import native
from voice_rl_plugin.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Mapping

QUERY = "hermes/nlu/query"
TEXT_CAPTURED = "hermes/asr/textCaptured"
SESSION_ENDED = "hermes/dialogueManager/sessionEnded"
ABORTED = "abortedByUser"
INTENT_PREFIX = "voice_rl:"
MAX_FILTER = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What was said at a site."""

    text: str
    site_id: str = "default"
    session_id: str | None = None
    id: str | None = None
    language: str | None = None
    wakeword_id: str | None = None
    intent_filter: tuple[str, ...] | None = None
    """The only intents that the session wants; None for any."""
    custom_data: Any = None
    """Given back as it came."""
    asr_confidence: float | None = None

    def admits(self, intent: str) -> bool:
        """Whether the session wants this intent."""
        return self.intent_filter is None or intent in self.intent_filter


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """How a session ended."""

    session_id: str
    reason: str


def parse_query(payload: bytes, *, topic: str) -> Query:
    """Read what was said, from a query or from captured text.

    Raises:
        MessageError: says what was expected and what came.
    """
    fields = native.read_object(payload, topic)
    key, confidence_key = ("input", "asrConfidence") if topic == QUERY else ("text", "likelihood")
    wanted, confidence = fields.get("intentFilter"), fields.get(confidence_key)
    if wanted is not None and (not isinstance(wanted, list) or len(wanted) > MAX_FILTER or not all(isinstance(one, str) for one in wanted)):
        raise MessageError(f"{topic}: intentFilter: expected a list of texts or null, got {wanted!r:.60}")
    text = fields.get(key)
    if not isinstance(text, str) or not text.strip():
        raise MessageError(f"{topic}: {key}: expected words, got {text!r:.60}")
    is_number = isinstance(confidence, (int, float)) and not isinstance(confidence, bool)
    return Query(
        text=text,
        site_id=native.read_text(fields, "siteId", topic) or "default",
        session_id=native.read_text(fields, "sessionId", topic),
        id=native.read_text(fields, "id", topic),
        language=native.read_text(fields, "lang", topic),
        wakeword_id=native.read_text(fields, "wakewordId", topic),
        intent_filter=None if wanted is None else tuple(wanted),
        custom_data=fields.get("customData"),
        asr_confidence=float(confidence) if is_number and confidence is not None else None,
    )


def parse_session_ended(payload: bytes) -> SessionEnd:
    """Read how a session ended.

    Raises:
        MessageError: says what was expected and what came.
    """
    fields = native.read_object(payload, SESSION_ENDED)
    termination = fields.get("termination")
    reason = termination.get("reason") if isinstance(termination, dict) else None
    session_id = native.read_text(fields, "sessionId", SESSION_ENDED)
    if session_id is None or not isinstance(reason, str):
        raise MessageError(f"{SESSION_ENDED}: expected a sessionId and a termination with a reason, got {termination!r:.60}")
    return SessionEnd(session_id=session_id, reason=reason)


def intent_name(heard: Heard) -> str | None:
    """Return the name of the intent that was heard; None for a refusal."""
    decision = heard.decision
    if decision is None:
        return f"{INTENT_PREFIX}feedback"
    if decision.outcome == "reject":
        return None
    if decision.outcome == "clarify":
        return f"{INTENT_PREFIX}ask"
    services = {action.service for action in decision.actions}
    return INTENT_PREFIX + (services.pop() if len(services) == 1 else "several")


def intent_parsed(query: Query, name: str, heard: Heard) -> dict[str, Any]:
    """Return the payload of `hermes/nlu/intentParsed`."""
    decision = heard.decision
    confidence = round(decision.confidence, 4) if decision is not None else 1.0
    return {
        "input": query.text,
        "intent": {"intentName": name, "confidenceScore": confidence},
        "siteId": query.site_id,
        "id": query.id,
        "slots": [slot for action in (decision.actions if decision is not None else ()) for slot in _slots(action)],
        "sessionId": query.session_id,
    }


def intent(query: Query, name: str, heard: Heard) -> dict[str, Any]:
    """Return the payload of `hermes/intent/<name>`."""
    return intent_parsed(query, name, heard) | {
        "customData": query.custom_data,
        "asrTokens": None,
        "asrConfidence": query.asr_confidence,
        "rawInput": query.text,
        "wakewordId": query.wakeword_id,
        "lang": query.language,
    }


def not_recognized(query: Query) -> dict[str, Any]:
    """Return the payload of `hermes/nlu/intentNotRecognized`."""
    return {
        "input": query.text,
        "siteId": query.site_id,
        "id": query.id,
        "customData": query.custom_data,
        "sessionId": query.session_id,
    }


def continue_session(query: Query, text: str) -> dict[str, Any]:
    """Return the payload of `hermes/dialogueManager/continueSession`."""
    return {
        "sessionId": query.session_id,
        "customData": query.custom_data,
        "text": text,
        "intentFilter": None,
        "sendIntentNotRecognized": True,
        "slot": None,
        "lang": query.language,
    }


def end_session(query: Query, text: str) -> dict[str, Any]:
    """Return the payload of `hermes/dialogueManager/endSession`."""
    return {"sessionId": query.session_id, "text": text or None, "customData": query.custom_data}


def say(query: Query, text: str) -> dict[str, Any]:
    """Return the payload of `hermes/tts/say`."""
    return {"text": text, "siteId": query.site_id, "lang": query.language, "id": query.id, "sessionId": query.session_id, "volume": None}


def start_listening(query: Query) -> dict[str, Any]:
    """Return the payload of `hermes/asr/startListening`."""
    return {
        "siteId": query.site_id,
        "sessionId": query.session_id,
        "lang": query.language,
        "stopOnSilence": True,
        "sendAudioCaptured": False,
        "wakewordId": query.wakeword_id,
        "intentFilter": None,
    }


def error(query: Query, text: str) -> dict[str, Any]:
    """Return the payload of `hermes/error/nlu`."""
    return {"error": text, "siteId": query.site_id, "context": None, "sessionId": query.session_id}


def _slots(action: Action) -> list[dict[str, Any]]:
    values: Mapping[str, Any] = ({"entity_id": ",".join(action.targets)} if action.targets else {}) | dict(action.data)
    return [
        {
            "entity": name,
            "value": {"kind": "Unknown", "value": value},
            "slotName": name,
            "rawValue": str(value),
            "confidence": 1.0,
            "range": {"start": 0, "end": 0, "rawStart": 0, "rawEnd": 0},
        }
        for name, value in values.items()
    ]
