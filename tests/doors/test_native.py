"""The native door: what is read, what is refused and how that is said, and that nothing else can happen."""

import json
import math
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import HOME, LAMP
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.utterance import MAX_TEXT_CHARACTERS, Utterance
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.native import ActionResult, Confirmation, ModelRequest, SeenIds
from voice_rl_plugin.errors import MessageError


def raw(**fields: Any) -> bytes:
    """Return fields as a payload."""
    return json.dumps(fields).encode()


def test_command_reads_every_field() -> None:
    """Each field of the table arrives in the utterance; the area may be a name in either language."""
    fields = {
        "text": "打开灯",
        "id": "1",
        "language": "zh-CN",
        "area": "厨房",
        "device_id": "d",
        "satellite_id": "s",
        "session_id": "x",
        "user": "u",
    }
    utterance = native.parse_command(raw(**fields, at=12.5), area=None, home=HOME)

    assert utterance == Utterance(
        text="打开灯", id="1", language="zh-CN", area="kitchen", device_id="d", satellite_id="s", session_id="x", user="u", said_at=12.5
    )


@pytest.mark.parametrize(
    ("text", "read"), [("  turn\n on ", "turn on"), ("\ufeff开灯", "开灯"), ("5", "5"), ('"on"', '"on"'), ("a\x00b", "a b")]
)
def test_command_as_plain_text(text: str, read: str) -> None:
    """Plain text is trimmed, control characters become spaces, and nothing but an object counts as JSON."""
    assert native.parse_command(text.encode(), area=None, home=HOME).text == read


def test_command_takes_the_area_of_its_satellite() -> None:
    """A satellite's area is known from the home; a named area is stronger."""
    assert native.parse_command(raw(text="x", satellite_id="assist_satellite.hall"), area=None, home=HOME).area == "hall"
    assert native.parse_command(raw(text="x", satellite_id="assist_satellite.hall"), area="kitchen", home=HOME).area == "kitchen"
    assert native.parse_command(raw(text="x", satellite_id="assist_satellite.attic"), area=None, home=HOME).area is None


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "empty payload"),
        (b"  \n", "empty payload"),
        (b"\xff", "UTF-8"),
        (b"x" * (native.MAX_INPUT_BYTES + 1), "at most 8192 bytes"),
        (b"x" * (MAX_TEXT_CHARACTERS + 1), "at most 500 characters"),
        (b"{", "JSON object"),
        (b"{}", "text: expected a text, got None"),
        (raw(text=" "), "expected words"),
        (raw(text=["a"]), "expected a text"),
        (raw(text="a", id=5), "id: expected a text"),
        (raw(text="a", user="u" * 300), "user: expected a text of at most 200"),
        (raw(text="a", area="kitchn"), "did you mean 'kitchen'"),
        (raw(text="a", at="noon"), "at: expected Unix seconds"),
        (raw(text="a", at=True), "at: expected Unix seconds"),
        (b'{"text":"a","at":NaN}', "NaN"),
        (b'{"text":"a","at":1e999}', "at: expected Unix seconds"),
        (b'{"text":"\\ud800"}', "surrogate"),
        (b'{"text":"a","x":' + b"[" * 4000 + b"]" * 4000 + b"}", "nested"),
        (b'{"text":"a","x":' + b"9" * 5000 + b"}", "JSON object"),
    ],
)
def test_command_refuses(payload: bytes, words: str) -> None:
    """A wrong command says what was expected and what came."""
    with pytest.raises(MessageError, match=words.replace("(", r"\(")):
        native.parse_command(payload, area=None, home=HOME)


@pytest.mark.parametrize(
    ("said_at", "waited_s", "words"),
    [(990.0, 0.0, "10.0 s old"), (1100.0, 0.0, "ahead of our clock"), (0.0, 6.0, "waited"), (0.0, math.inf, "waited")],
)
def test_fresh_refuses(said_at: float, waited_s: float, words: str) -> None:
    """What is too old, of unknown age, or from the future does not run."""
    with pytest.raises(MessageError, match=words):
        native.check_fresh(Utterance(text="x", said_at=said_at), now=1000.0, waited_s=waited_s, freshness_s=5.0)


@pytest.mark.parametrize(("said_at", "waited_s"), [(0.0, 0.0), (996.0, math.inf), (1010.0, 0.0), (0.0, 4.9)])
def test_fresh_passes(said_at: float, waited_s: float) -> None:
    """A time of its own beats an unknown waiting time, and small clock differences do not matter."""
    native.check_fresh(Utterance(text="x", said_at=said_at), now=1000.0, waited_s=waited_s, freshness_s=5.0)


@pytest.mark.parametrize(
    ("payload", "read"),
    [
        (b"yes", Confirmation(verdict="yes")),
        (b" UNDO\n", Confirmation(verdict="undo")),
        (raw(verdict="no", decision_id="d", id="c"), Confirmation(verdict="no", decision_id="d", id="c")),
        (raw(verdict="no", correction={"text": "the lamp"}), Confirmation(verdict="no", correction_text="the lamp")),
        (raw(verdict="yes", correction={"choice": 0}, area="Hall"), Confirmation(verdict="yes", choice=0, area="hall")),
        (raw(verdict="correct", correction={"choice": "台灯"}), Confirmation(verdict="correct", choice="台灯")),
    ],
)
def test_confirm_reads(payload: bytes, read: Confirmation) -> None:
    """Words and objects are read."""
    assert native.parse_confirm(payload, area=None, home=HOME) == read


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"maybe", "expected yes, no, undo or correct"),
        (raw(verdict=1), "verdict"),
        (raw(verdict="correct"), "needs"),
        (raw(verdict="undo", correction={"text": "x"}), "goes with"),
        (raw(verdict="yes", correction={"text": "x"}), "goes with"),
        (raw(verdict="no", correction="x"), "correction: expected"),
        (raw(verdict="no", correction={"choice": -1}), "correction: expected"),
        (raw(verdict="no", correction={"choice": True}), "correction: expected"),
    ],
)
def test_confirm_refuses(payload: bytes, words: str) -> None:
    """A wrong confirmation says what was expected."""
    with pytest.raises(MessageError, match=words):
        native.parse_confirm(payload, area=None, home=HOME)


def test_result_model_learning_training_are_read() -> None:
    """The small inputs are read, and refuse anything else."""
    assert native.parse_result(raw(decision_id="d", step=2, ok=False, error="dead")) == ActionResult(
        decision_id="d", step=2, is_ok=False, error="dead"
    )
    assert native.parse_model_set(b"install") == ModelRequest(verb="install")
    assert native.parse_model_set(raw(version="v2")) == ModelRequest(verb="install", version="v2")
    assert native.parse_learning_set(b"Guest") == "guest"
    assert native.parse_train_set(b"start") == "start"
    for parse, payload in (
        (native.parse_result, raw(decision_id="d", step=0, ok=True)),
        (native.parse_result, raw(decision_id="d", step=1, ok="yes")),
        (native.parse_result, raw(step=1, ok=True)),
        (native.parse_model_set, b"v2"),
        (native.parse_model_set, b"{}"),
        (native.parse_learning_set, b"maybe"),
        (native.parse_train_set, b""),
    ):
        with pytest.raises(MessageError, match="expected"):
            parse(payload)


def test_home_round_trips() -> None:
    """A home is read back from its own payload, and a wrong one names the place."""
    assert native.parse_home(native.encode(HOME.to_mapping()), max_bytes=100_000) == HOME
    with pytest.raises(MessageError, match="at most 5 bytes"):
        native.parse_home(b"{      }", max_bytes=5)
    with pytest.raises(MessageError, match="did you mean 'entities'"):
        native.parse_home(b'{"entitys":[]}', max_bytes=100)


def test_event_and_say_hold_what_they_may() -> None:
    """The event is without words; what is said names area, language and decision."""
    decision = Decision(
        id="d", utterance=Utterance(text="secret", area="hall", satellite_id="s"), language="zh", outcome="act", actions=(LAMP,)
    )

    assert json.loads(native.encode_event("act", decision)) == {"event_type": "act", "decision_id": "d", "area": "hall", "domain": "light"}
    assert json.loads(native.encode_say("好了。", decision=decision, expects_reply=False)) == {
        "text": "好了。", "area": "hall", "satellite_id": "s", "language": "zh", "decision_id": "d", "expect_reply": False
    }  # fmt: skip


def test_seen_ids_expire_and_are_bounded() -> None:
    """An id counts for ten minutes; the oldest ones go when there are too many."""
    seen = SeenIds(keep_s=600.0, capacity=2)
    seen.add("a", 0.0)
    seen.add("b", 1.0)

    assert seen.has("a", 599.0)
    assert not seen.has("a", 600.0)
    seen.add("c", 2.0)
    assert [one for one in "abc" if seen.has(one, 3.0)] == ["b", "c"]


_PARSERS = (
    lambda payload: native.parse_command(payload, area=None, home=HOME),
    lambda payload: native.parse_confirm(payload, area=None, home=HOME),
    native.parse_result,
    native.parse_model_set,
    native.parse_learning_set,
    native.parse_train_set,
    lambda payload: native.parse_home(payload, max_bytes=10_000),
)
_KEYS = [
    "text",
    "id",
    "area",
    "at",
    "verdict",
    "correction",
    "choice",
    "decision_id",
    "step",
    "ok",
    "version",
    "entities",
    "areas",
    "name",
    "user",
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["yes", "no", "undo", "kitchen"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5),
    max_leaves=12,
)


@given(
    payload=st.binary(max_size=64)
    | st.text(string.printable, max_size=64).map(str.encode)
    | _JSON.map(lambda one: json.dumps(one).encode())
)
def test_parsers_return_or_raise_message_error(payload: bytes) -> None:
    """Whatever comes, a parser returns a value that can be sent on, or raises MessageError."""
    for parse in _PARSERS:
        try:
            value = parse(payload)
        except MessageError as error:
            native.encode_error(error, "t").decode("utf-8")
        else:
            repr(value).encode("utf-8")
