"""The native door: payloads of our own MQTT topics to values, and values to payloads.

<prefix>/command[/<area>]   text | {"text", "id"?, "language"?, "area"?, "device_id"?, "satellite_id"?, "session_id"?, "user"?, "at"?}
<prefix>/ask                {"id", "text", ...} as a command: the answer comes on <prefix>/answer {"id", "text", "ok", "expect_reply", "forward"}
<prefix>/confirm[/<area>]   yes | no | undo | {"decision_id"?, "verdict", "correction"?: {"text"} | {"choice"}, "id"?, ...}
<prefix>/result             {"decision_id", "step", "ok", "error"?}
<prefix>/model/set          install | rollback | {"version"}
<prefix>/learning/set       on | off | guest
<prefix>/train/set          start | cancel
<prefix>/home               the mapping form of a home, retained
"""

import difflib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import MAX_TEXT_CHARACTERS, Utterance
from voice_rl_plugin.errors import ConfigError, MessageError

MAX_INPUT_BYTES = 8192
"""A larger payload is no command, no confirmation, no result."""
MAX_FIELD_CHARACTERS = 200
MAX_DEPTH = 8
MAX_STEPS = 1000
DEDUP_S = 600.0
"""A repeated id is ignored this long."""
FUTURE_S = 60.0
"""An `at` that lies further ahead means that the clocks disagree."""
INPUTS = ("command", "command/+", "ask", "confirm", "confirm/+", "result", "home", "model/set", "learning/set", "train/set")
"""What the daemon subscribes to, below the prefix."""
LEARNING_MODES = ("on", "off", "guest")

_VERDICTS = ("yes", "no", "undo", "correct")


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What somebody says about a decision."""

    verdict: str
    """One of `yes`, `no`, `undo`, `correct`."""
    decision_id: str | None = None
    area: str | None = None
    correction_text: str | None = None
    choice: str | int | None = None
    """The label of a choice, or its index from 0."""
    user: str | None = None
    satellite_id: str | None = None
    session_id: str | None = None
    id: str | None = None
    """The sender's own id, for deduplication."""
    door: str = "native"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """What a device reports about one step of a decision."""

    decision_id: str
    step: int
    """From 1."""
    is_ok: bool
    error: str | None = None
    text: str | None = None
    """What to say instead of "done": the answer to a question that somebody else looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What to do about the model."""

    verb: str
    """`install` or `rollback`."""
    version: str | None = None
    """Which one to install; None means the newest."""


class SeenIds:
    """The ids of the last ten minutes, at most `capacity` of them."""

    def __init__(self, *, keep_s: float = DEDUP_S, capacity: int = 10_000) -> None:
        self._keep_s = keep_s
        self._capacity = capacity
        self._seen: dict[str, float] = {}

    def has(self, message_id: str, now: float) -> bool:
        """Return whether this id was added in the last ten minutes.

        Args:
            message_id: the sender's id.
            now: monotonic seconds.
        """
        seen_at = self._seen.get(message_id)
        return seen_at is not None and now - seen_at < self._keep_s

    def forget(self, message_id: str) -> None:
        """Forget an id, so that the same message can be taken again."""
        self._seen.pop(message_id, None)

    def add(self, message_id: str, now: float) -> None:
        """Remember an id, and drop the oldest ones."""
        self._seen.pop(message_id, None)
        self._seen[message_id] = now
        while len(self._seen) > self._capacity or now - next(iter(self._seen.values())) >= self._keep_s:
            del self._seen[next(iter(self._seen))]


def parse_command(payload: bytes, *, area: str | None, home: Home) -> Utterance:
    """Read a command.

    Args:
        payload: plain text or a JSON object.
        area: the last level of `<prefix>/command/<area>`, if any.
        home: resolves area names and the areas of satellites.

    Raises:
        MessageError: says what was expected and what came.
    """
    text = _decode(payload, "command")
    fields = _parse_object(text, "command") if text.startswith("{") else {"text": text}
    satellite_id = _text(fields, "satellite_id", "command")
    said_in = _resolve_area(area, _text(fields, "area", "command"), satellite_id, home, "command")
    said_at = fields.get("at", 0.0)
    if isinstance(said_at, bool) or not isinstance(said_at, (int, float)) or said_at < 0 or said_at > 1e11:
        raise MessageError(f"command: at: expected Unix seconds, got {said_at!r:.60}")
    return Utterance(
        text=_spoken(fields.get("text"), "command: text"),
        language=_text(fields, "language", "command"),
        area=said_in,
        id=_text(fields, "id", "command"),
        device_id=_text(fields, "device_id", "command"),
        satellite_id=satellite_id,
        session_id=_text(fields, "session_id", "command"),
        user=_text(fields, "user", "command"),
        said_at=float(said_at),
    )


def parse_ask(payload: bytes, *, home: Home) -> dict[str, Any]:
    """Read a command whose sender speaks the answer itself; return its fields.

    An area that this home does not have is left out: the sender names those of its own home, and need not know ours.

    Raises:
        MessageError: says what was expected and what came; without an id nobody could be answered.
    """
    fields = _parse_object(_decode(payload, "ask"), "ask")
    if _text(fields, "id", "ask") is None:
        raise MessageError("ask: id: expected a text that the answer will carry, got none")
    area = _text(fields, "area", "ask")
    return {key: value for key, value in fields.items() if key != "area" or (area is not None and home.find_area(area) is not None)}


def check_fresh(utterance: Utterance, *, now: float, waited_s: float, freshness_s: float) -> None:
    """Refuse a command that is too old to be executed.

    Args:
        utterance: `said_at` is 0 when the sender gave none.
        now: Unix seconds.
        waited_s: how long it may have waited on its way.
        freshness_s: the oldest that may run.

    Raises:
        MessageError: it is too old, of unknown age, or from the future.
    """
    if utterance.said_at:
        age_s = now - utterance.said_at
        if age_s < -FUTURE_S:
            raise MessageError(f"command: at: lies {-age_s:.0f} s ahead of our clock; set the clocks right")
        if age_s > freshness_s:
            raise MessageError(f"command: {age_s:.1f} s old, expected at most {freshness_s:g} s; nothing was done")
    elif waited_s > freshness_s:
        raise MessageError(
            f"command: it waited while this program was away, and names no 'at'; expected at most {freshness_s:g} s; nothing was done"
        )


def parse_confirm(payload: bytes, *, area: str | None, home: Home) -> Confirmation:
    """Read a confirmation, a denial, an undo or a correction.

    Raises:
        MessageError: says what was expected and what came.
    """
    text = _decode(payload, "confirm")
    fields = _parse_object(text, "confirm") if text.startswith("{") else {"verdict": text.casefold()}
    verdict = fields.get("verdict")
    if not isinstance(verdict, str) or verdict not in _VERDICTS:
        raise MessageError(f"confirm: verdict: expected yes, no, undo or correct, got {verdict!r:.60}")
    correction_text, choice = _parse_correction(fields.get("correction"))
    has_correction = correction_text is not None or choice is not None
    if has_correction and verdict == "undo":
        raise MessageError("confirm: a correction goes with the verdict no or correct, got 'undo'")
    if correction_text is not None and verdict == "yes":
        raise MessageError("confirm: a correction in words goes with the verdict no or correct, got 'yes'")
    if verdict == "correct" and not has_correction:
        raise MessageError('confirm: the verdict correct needs "correction": {"text"} or {"choice"}')
    satellite_id = _text(fields, "satellite_id", "confirm")
    return Confirmation(
        verdict=verdict,
        decision_id=_text(fields, "decision_id", "confirm"),
        area=_resolve_area(area, _text(fields, "area", "confirm"), satellite_id, home, "confirm"),
        correction_text=correction_text,
        choice=choice,
        user=_text(fields, "user", "confirm"),
        satellite_id=satellite_id,
        session_id=_text(fields, "session_id", "confirm"),
        id=_text(fields, "id", "confirm"),
    )


def parse_result(payload: bytes) -> ActionResult:
    """Read what a device reports; a missing step means the first.

    Raises:
        MessageError: says what was expected and what came.
    """
    fields = _parse_object(_decode(payload, "result"), "result")
    decision_id, step, is_ok = _text(fields, "decision_id", "result"), fields.get("step", 1), fields.get("ok")
    if decision_id is None:
        raise MessageError("result: decision_id: expected a text, got none")
    if isinstance(step, bool) or not isinstance(step, int) or not 1 <= step <= MAX_STEPS:
        raise MessageError(f"result: step: expected a whole number from 1, got {step!r:.60}")
    if not isinstance(is_ok, bool):
        raise MessageError(f"result: ok: expected true or false, got {is_ok!r:.60}")
    error, text = _text(fields, "error", "result"), _text(fields, "text", "result")
    return ActionResult(decision_id=decision_id, step=step, is_ok=is_ok, error=error, text=text)


def parse_model_set(payload: bytes) -> ModelRequest:
    """Read what to do about the model.

    Raises:
        MessageError: says what was expected and what came.
    """
    text = _decode(payload, "model/set")
    if text in ("install", "rollback"):
        return ModelRequest(verb=text)
    if not text.startswith("{"):
        raise MessageError(f'model/set: expected install, rollback or {{"version"}}, got {text!r:.60}')
    version = _text(_parse_object(text, "model/set"), "version", "model/set")
    if version is None:
        raise MessageError("model/set: version: expected a text, got none")
    return ModelRequest(verb="install", version=version)


def parse_learning_set(payload: bytes) -> str:
    """Read the learning mode.

    Raises:
        MessageError: says what was expected and what came.
    """
    return _choice(payload, LEARNING_MODES, "learning/set")


def parse_train_set(payload: bytes) -> str:
    """Read whether to start or cancel the training.

    Raises:
        MessageError: says what was expected and what came.
    """
    return _choice(payload, ("start", "cancel"), "train/set")


def parse_home(payload: bytes, *, max_bytes: int) -> Home:
    """Read a home.

    Raises:
        MessageError: says what was expected and what came.
    """
    mapping = _parse_object(_decode(payload, "home", max_bytes=max_bytes), "home")
    _check_encodable(json.dumps(mapping, ensure_ascii=False), "home")
    try:
        return Home.from_mapping(mapping, where="home")
    except ConfigError as error:
        raise MessageError(str(error)) from error


def read_object(payload: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object of another protocol within our limits.

    Raises:
        MessageError: says what was expected and what came.
    """
    return _parse_object(_decode(payload, what), what)


def read_text(fields: Mapping[str, Any], key: str, what: str) -> str | None:
    """Read an optional text of such an object.

    Raises:
        MessageError: says what was expected and what came.
    """
    return _text(fields, key, what)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode(payload: Mapping[str, Any]) -> bytes:
    """Return a payload as JSON."""
    return _ENCODER.encode(payload).encode("utf-8", "replace")


def encode_event(event_type: str, decision: Decision) -> bytes:
    """Return the payload of `<prefix>/event`: no words, since Home Assistant's recorder would keep them."""
    domain = decision.actions[0].domain if decision.actions else None
    return encode({"event_type": event_type, "decision_id": decision.id, "area": decision.utterance.area, "domain": domain})


def encode_say(text: str, *, decision: Decision, expects_reply: bool) -> bytes:
    """Return the payload of `<prefix>/say`."""
    said: dict[str, Any] = {"text": text, "area": decision.utterance.area}
    if decision.utterance.satellite_id is not None:
        said["satellite_id"] = decision.utterance.satellite_id
    return encode(said | {"language": decision.language, "decision_id": decision.id, "expect_reply": expects_reply})


def encode_answer(answer_to: str, *, text: str, is_success: bool, expects_reply: bool, forwards: bool) -> bytes:
    """Return the payload of `<prefix>/answer`."""
    return encode({"id": answer_to, "text": text, "ok": is_success, "expect_reply": expects_reply, "forward": forwards})


def encode_error(error: Exception, topic: str) -> bytes:
    """Return the payload of `<prefix>/error`."""
    return encode({"error": type(error).__name__, "detail": _printable(str(error)), "topic": _printable(topic)})


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _decode(payload: bytes, what: str, *, max_bytes: int = MAX_INPUT_BYTES) -> str:
    if len(payload) > max_bytes:
        raise MessageError(f"{what}: expected at most {max_bytes} bytes, got {len(payload)}")
    try:
        text = payload.decode("utf-8").removeprefix("\ufeff").strip()
    except UnicodeDecodeError as error:
        raise MessageError(f"{what}: expected UTF-8, got a byte {payload[error.start] & 0xFF:#04x} at {error.start}") from error
    if not text:
        raise MessageError(f"{what}: expected a text or a JSON object, got an empty payload")
    return text


def _parse_object(text: str, what: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text, parse_constant=_refuse_constant)
        _check_depth(parsed, what)
    except RecursionError as error:
        raise MessageError(f"{what}: expected at most {MAX_DEPTH} nested levels, got more") from error
    except ValueError as error:
        raise MessageError(f"{what}: expected a JSON object: {str(error)[:120]}") from error
    if not isinstance(parsed, dict):
        raise MessageError(f"{what}: expected a JSON object, got {type(parsed).__name__}")
    return parsed


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _check_depth(value: Any, what: str) -> None:
    layer, depth = [value], 0
    while layer:
        layer = [child for one in layer if isinstance(one, (dict, list)) for child in (one.values() if isinstance(one, dict) else one)]
        depth += 1
        if depth > MAX_DEPTH and layer:
            raise MessageError(f"{what}: expected at most {MAX_DEPTH} nested levels, got more")


def _parse_correction(value: Any) -> tuple[str | None, str | int | None]:
    if value is None:
        return None, None
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return _spoken(value["text"], "confirm: correction: text"), None
    choice = value.get("choice") if isinstance(value, dict) else None
    if isinstance(choice, int) and not isinstance(choice, bool) and 0 <= choice < 100:
        return None, choice
    if isinstance(choice, str) and choice.strip():
        return None, _spoken(choice, "confirm: correction: choice")
    raise MessageError(f'confirm: correction: expected {{"text"}} or {{"choice"}}, got {value!r:.60}')


def _spoken(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise MessageError(f"{where}: expected a text, got {value!r:.60}")
    text = " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in value).split())
    _check_encodable(text, where)
    if not text:
        raise MessageError(f"{where}: expected words, got none")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise MessageError(f"{where}: expected at most {MAX_TEXT_CHARACTERS} characters, got {len(text)}")
    return text


def _text(fields: Mapping[str, Any], key: str, what: str) -> str | None:
    value = fields.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MAX_FIELD_CHARACTERS:
        raise MessageError(f"{what}: {key}: expected a text of at most {MAX_FIELD_CHARACTERS} characters, got {value!r:.60}")
    _check_encodable(value, f"{what}: {key}")
    return value


def _check_encodable(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MessageError(f"{where}: expected whole characters, got half a surrogate pair") from error


def _resolve_area(level: str | None, named: str | None, satellite_id: str | None, home: Home, what: str) -> str | None:
    for text in (named, level):
        if text is not None:
            area = home.find_area(text)
            if area is None:
                names = [name for one in home.areas for name in (one.id, one.name, *one.aliases)]
                near = difflib.get_close_matches(text, names, 1)
                hint = (
                    f"; did you mean {near[0]!r}?"
                    if near
                    else f"; this home has {', '.join(a.id for a in home.areas[:20]) or 'no areas yet'}"
                )
                raise MessageError(f"{what}: area: unknown or not unique: {text!r}{hint}")
            return area.id
    return next((one.area for one in home.satellites if satellite_id is not None and one.id == satellite_id), None)


def _choice(payload: bytes, choices: tuple[str, ...], what: str) -> str:
    text = _decode(payload, what).casefold()
    if text not in choices:
        raise MessageError(f"{what}: expected {', '.join(choices)}, got {text!r:.60}")
    return text
