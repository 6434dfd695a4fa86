"""Live states from statestream topics."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_rl_plugin.domain.home import EntityState
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.homes.statestream import LiveStates, state_messages


def test_states_follow_the_messages() -> None:
    """State and attributes come apart and are put together; the time of a change is kept."""
    live = LiveStates(base="ha/state/#")

    assert live.on_message("ha/state/light/desk/brightness", b"128", now=1.0) is None
    change = live.on_message("ha/state/light/desk/state", b"on", now=2.0)
    assert change is not None
    assert (change.before, change.after) == (None, EntityState(value="on", attributes={"brightness": 128}, changed_at=2.0))
    assert live.on_message("ha/state/light/desk/state", b"on", now=3.0) is None
    live.on_message("ha/state/light/desk/brightness", b"null", now=4.0)
    assert live.states["light.desk"] == EntityState(value="on", attributes={}, changed_at=2.0)
    live.on_message("ha/state/light/desk/last_changed", b"1970-01-01T00:01:00+00:00", now=5.0)
    assert live.states["light.desk"].changed_at == 60.0


@pytest.mark.parametrize("gone", [b"unavailable", b"unknown", b""])
def test_unavailable_is_unknown(gone: bytes) -> None:
    """What says nothing is no state."""
    live = LiveStates(base="s")
    live.on_message("s/light/desk/state", b"on", now=1.0)

    change = live.on_message("s/light/desk/state", gone, now=2.0)

    assert change is not None
    assert change.after is None
    assert "light.desk" not in live.states


def test_forgetting_makes_all_unknown_until_refreshed() -> None:
    """After a restart only what comes anew is known."""
    live = LiveStates(base="s")
    live.on_message("s/light/desk/state", b"on", now=1.0)
    live.on_message("s/light/desk/brightness", b"9", now=1.0)

    live.forget_all()

    assert dict(live.states) == {}
    live.on_message("s/light/desk/state", b"on", now=2.0, is_retained=True)
    assert live.states["light.desk"] == EntityState(value="on", attributes={}, changed_at=0.0)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("s/light/state", b"on"),
        ("s/light//state", b"on"),
        ("s/light/desk/x/y", b"1"),
        ("other/light/desk/state", b"on"),
        ("s/light/desk/brightness", b"{"),
        ("s/light/desk/brightness", b"[" * 50_000),
        ("s/light/desk/state", b"\xff"),
        ("s/light/desk/last_changed", b"yesterday"),
        ("s/light/desk/picture", b'"' + b"x" * 70_000 + b'"'),
    ],
)
def test_wrong_messages_are_refused(topic: str, payload: bytes) -> None:
    """A message of another form changes nothing."""
    live = LiveStates(base="s")

    with pytest.raises(MessageError):
        live.on_message(topic, payload, now=1.0)
    assert dict(live.states) == {}


@given(topic=st.text(max_size=40), payload=st.binary(max_size=40))
def test_any_message_is_taken_or_refused(topic: str, payload: bytes) -> None:
    """Nothing but a MessageError comes out of any message."""
    live = LiveStates(base="s")

    for one in (topic, f"s/{topic}", f"s/light/desk/{topic}"):
        try:
            live.on_message(one, payload, now=1.0)
        except MessageError:
            continue


_JSON = st.recursive(
    st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=10), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@given(
    value=st.text(min_size=1, max_size=20).filter(lambda text: text not in ("unknown", "unavailable")),
    attributes=st.dictionaries(st.from_regex(r"[a-z_]{1,10}", fullmatch=True).filter(lambda name: name not in ("state", "last_changed", "last_updated")), _JSON, max_size=4),
)  # fmt: skip
def test_state_round_trips(value: str, attributes: dict[str, object]) -> None:
    """What state_messages writes, LiveStates reads back."""
    live = LiveStates(base="s")

    for topic, text in state_messages("light.desk", EntityState(value=value, attributes=attributes), base="s").items():
        live.on_message(topic, text.encode(), now=1.0)

    assert live.states["light.desk"].value == value
    assert json.dumps(dict(live.states["light.desk"].attributes), sort_keys=True) == json.dumps(attributes, sort_keys=True)
