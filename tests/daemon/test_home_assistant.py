"""A daemon that asks Home Assistant over its WebSocket: its home, its states, its services, and what is said when it is away."""

import queue
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.daemon.conftest import House
from tests.fakes import HOME
from tests.mosquitto import DEADLINE_S
from voice_rl_plugin.acting.services import Allowed, HomeAssistantExecutor
from voice_rl_plugin.deciding.memory import MemoryEntry, memory_words
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import Entity, EntityState, Home
from voice_rl_plugin.errors import LinkError
from voice_rl_plugin.homes.home_assistant import Answered, HomeLearned, LinkLost, LinkUp, News, StatesSeen, Trouble
from voice_rl_plugin.homes.state_diffs import SeenState

StartHouse = Callable[..., House]
ALLOWED = Allowed(domains=frozenset({"light", "media_player"}))


class FakeSource:
    """Home Assistant's connection without a network."""

    def __init__(self) -> None:
        self.sent: queue.Queue[Mapping[str, Any]] = queue.Queue()
        self.is_connected = True
        self.home = HOME
        self.version = (2026, 11)
        self._news: queue.Queue[News] = queue.Queue()
        self._wake: Callable[[], None] = lambda: None
        self._number = 0

    @property
    def status(self) -> str:
        """Say how it is."""
        return "connected" if self.is_connected else "away"

    def start(self, wake: Callable[[], None]) -> None:
        """Connect."""
        self._wake = wake

    def stop(self) -> None:
        """Disconnect."""

    def take(self) -> News | None:
        """Return the next news."""
        try:
            return self._news.get_nowait()
        except queue.Empty:
            return None

    def send(self, command: Mapping[str, Any]) -> int:
        """Take a command."""
        if not self.is_connected:
            raise LinkError("away")
        self._number += 1
        self.sent.put(command)
        return self._number

    def exposed(self, entity_id: str) -> Entity | None:
        """Look an entity up."""
        return self.home.entity_by_id.get(entity_id)

    def tell(self, *news: News) -> None:
        """Have news."""
        for one in news:
            self._news.put(one)
        self._wake()

    def show(self, entity_id: str, value: str | None, *, is_first: bool = False, user_id: str | None = None, **attributes: Any) -> None:
        """Show a state."""
        state = None if value is None else EntityState(value=value, attributes=attributes, changed_at=1.0)
        self.tell(StatesSeen(seen=(SeenState(entity_id=entity_id, state=state, user_id=user_id),), is_first=is_first))


@pytest.fixture
def source() -> FakeSource:
    """Return a connection."""
    return FakeSource()


@pytest.fixture
def house(start_house: StartHouse, source: FakeSource) -> House:
    """Return a house that knows its home, its states and its services from Home Assistant alone."""
    executor = HomeAssistantExecutor(source, allowed=ALLOWED, answer_s=1.0)
    one = start_house(home=None, parts={"home_assistant": source, "executor": executor, "on_answer": executor.on_answer})
    source.tell(HomeLearned(home=HOME, renamed={}), LinkUp())
    source.show("light.lamp", "off", is_first=True)
    one.watcher.wait_for(
        lambda m: m.topic == "voice_rl/health" and b'"entities":4' in m.payload and b'"status":"ok"' in m.payload, "the home"
    )
    return one


def said(house: House, *, count: int = 1) -> str:
    """Return the `count`-th sentence."""
    return str(house.watcher.wait_topic("voice_rl/say", count=count)["text"])


@pytest.mark.parametrize(("words", "done"), [("turn on the lamp", "Done."), ("开灯", "好了。")])
def test_service_is_called_and_success_said_when_the_state_shows_it(house: House, source: FakeSource, words: str, done: str) -> None:
    """The call goes over the WebSocket, nothing on the action topics, and the word comes after the state."""
    house.say(words)
    command = source.sent.get(timeout=DEADLINE_S)
    source.tell(Answered(number=1, is_ok=True))
    house.settle()
    before = house.watcher.on_topic("voice_rl/say")
    source.show("light.lamp", "on")

    assert command == {"type": "call_service", "domain": "light", "service": "turn_on", "target": {"entity_id": ["light.lamp"]}}
    assert [one for one in before if b"understand" not in one.payload] == []
    house.watcher.wait_for(lambda m: m.topic == "voice_rl/say" and done.encode() in m.payload, done)
    assert house.decision()["executor"] == "home_assistant"
    assert not [one for one in house.watcher.seen if one.topic.startswith("voice_rl/action/")]


def test_refusal_and_silence_are_said(house: House, source: FakeSource) -> None:
    """A good answer without an effect is no success, nor is a refusal."""
    house.say("turn on the lamp")
    source.sent.get(timeout=DEADLINE_S)
    source.tell(Answered(number=1, is_ok=True))
    assert said(house) == "I told Lamp, but I did not see it happen."

    house.say("turn on the desk lamp")
    source.sent.get(timeout=DEADLINE_S)
    source.tell(Answered(number=2, is_ok=False, error="unplugged"))
    assert said(house, count=2) == "That did not work."


def test_away_is_said_and_nothing_is_done_late(house: House, source: FakeSource) -> None:
    """While Home Assistant is away its home is kept, its states are unknown, and a command says why nothing happens."""
    source.is_connected = False
    source.tell(LinkLost(), Trouble(text="nobody there"))
    error = house.watcher.wait_topic("voice_rl/error")
    house.say("is the lamp on")
    told = said(house)
    house.say("turn on the lamp")

    assert (error["error"], error["detail"]) == ("LinkError", "nobody there")
    assert "know" in told
    assert said(house, count=2) == "I cannot reach Home Assistant."
    assert source.sent.empty()
    house.watcher.wait_for(lambda m: m.topic == "voice_rl/health" and b'"degraded"' in m.payload and b'"away"' in m.payload, "the health")


def test_home_outlives_a_restart_without_home_assistant(start_house: StartHouse, house: House, source: FakeSource) -> None:
    """The last good home is on disk; a daemon that comes up while Home Assistant is away knows its devices."""
    house.settle()
    house.daemon.stop()
    house.threads[0].join(DEADLINE_S)
    again = FakeSource()
    again.is_connected = False

    second = start_house(home=None, parts={"home_assistant": again})

    assert second.watcher.wait_topic("voice_rl/health")["home"] == {"areas": 2, "entities": 4}
    assert source.is_connected


def test_state_of_the_websocket_holds_against_the_topics(house: House, source: FakeSource) -> None:
    """Where both tell a state, the statestream's late word does not count."""
    source.show("light.lamp", "on")
    house.watcher.publish("voice_rl/state/light/lamp/state", "off")
    house.say("is the lamp on")

    assert said(house) == "The Lamp is on."


def test_undo_by_hand_carries_who_did_it(house: House, source: FakeSource) -> None:
    """A person who switches the lamp back in Home Assistant undoes; the store knows that a person did."""
    house.say("turn on the lamp")
    source.sent.get(timeout=DEADLINE_S)
    source.show("light.lamp", "on")
    assert said(house) == "Done."
    wait_out_the_bounce(house)
    source.show("light.lamp", "off", user_id="anna")
    house.watcher.wait_for(lambda m: m.topic == "voice_rl/event" and b'"undo"' in m.payload, "the undo")
    house.settle()

    with house.open_store() as store:
        stored = store.stored(house.decision()["decision_id"])
    assert stored is not None
    assert [(one.feedback.verdict, one.feedback.source, one.feedback.user, one.reward) for one in stored.judgements] == [
        ("undo", "state", "anna", -1.0)
    ]


def test_spoken_undo_is_not_counted_twice(house: House, source: FakeSource) -> None:
    """What the devices do when we take something back was not done by a person's hand."""
    house.say("turn on the lamp")
    source.sent.get(timeout=DEADLINE_S)
    source.show("light.lamp", "on")
    assert said(house) == "Done."
    wait_out_the_bounce(house)
    house.say("undo that")
    assert source.sent.get(timeout=DEADLINE_S)["service"] == "turn_off"
    source.show("light.lamp", "off", user_id="ours")
    house.watcher.wait_for(lambda m: m.topic == "voice_rl/say" and b"took it back" in m.payload, "the word")
    house.settle()

    assert len([one for one in house.watcher.on_topic("voice_rl/event") if b'"undo"' in one.payload]) == 1


def wait_out_the_bounce(house: House) -> None:
    """Let the time pass within which a change counts as the device's own bounce: a person needs more than a second."""
    deadline = time.monotonic() + 1.2
    while time.monotonic() < deadline:
        house.settle()


def test_renamed_and_gone_devices_are_said_where_something_was_learned(house: House, source: FakeSource) -> None:
    """What was learned by heart about a device under its old name is not done any more: that is said once, with the new name."""
    for words, target in (("bright please", "light.lamp"), ("desk please", "light.desk")):
        house.daemon._brain.remember(
            MemoryEntry(
                words=memory_words(words),
                area="kitchen",
                actions=(parse_action(f"light.turn_on {target}"),),
                decision_id="d",
                learned_at=1.0,
            )
        )
    mapping = HOME.to_mapping()
    mapping["entities"] = [one for one in mapping["entities"] if one["id"] != "light.desk"]
    mapping["entities"][0]["id"] = "light.big_lamp"

    source.tell(HomeLearned(home=Home.from_mapping(mapping), renamed={"light.lamp": "light.big_lamp"}))

    message = house.watcher.wait_for(lambda m: m.topic == "voice_rl/health" and b"is gone" in m.payload, "the health")
    assert b"light.lamp is light.big_lamp now" in message.payload
    assert b"light.desk is gone" in message.payload
