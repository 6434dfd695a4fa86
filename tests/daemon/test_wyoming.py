"""The Wyoming door as Home Assistant sees it: the package's own client, a real socket, the daemon, and a real mosquitto."""

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.intent import Recognize
from wyoming.ping import Ping

from tests.daemon.conftest import House
from tests.mosquitto import DEADLINE_S, free_port
from tests.wyoming import ask, send
from voice_rl_plugin.config import WyomingSection
from voice_rl_plugin.doors.wyoming import MAX_CONNECTIONS, MAX_EVENT_BYTES, WyomingDoor
from voice_rl_plugin.errors import ConfigError

StartHouse = Callable[..., House]
KITCHEN = {"satellite": "assist_satellite.kitchen"}


@pytest.fixture
def port() -> int:
    """Return a port to listen on."""
    return free_port()


@pytest.fixture
def house(start_house: StartHouse, port: int) -> House:
    """Return a house with a Wyoming door, in which every lamp is known to be off."""
    house = start_house(wyoming=WyomingSection(enabled=True, port=port))
    for lamp in ("lamp", "desk"):
        house.watcher.publish(f"voice_rl/state/light/{lamp}/state", "off", retain=True)
    house.settle()
    return house


def test_info_is_what_home_assistant_needs(house: House, port: int) -> None:
    """It describes itself as one installed intent program with English and Chinese."""
    del house
    heard = send(port, Describe().event())
    info = Info.from_event(Event(type=heard.kind, data=heard.data))

    assert heard.kind == "info"
    assert [one.installed for one in info.intent] == [True]
    assert {"en", "zh", "zh-CN"} <= set(info.intent[0].models[0].languages)
    assert info.handle == []
    assert send(port, Ping(text="x").event()).kind == "pong"


@pytest.mark.parametrize(("text", "language", "said"), [("turn on the lamp", "en", "Done."), ("开灯", "zh-CN", "好了。")])
def test_exact_action_is_an_intent_and_nothing_else(house: House, port: int, text: str, language: str, said: str) -> None:
    """What Home Assistant does exactly itself is handed to it, under the entity's id, and is not dispatched as well."""
    heard = ask(port, text, language=language)
    decision = house.decision(count=2)
    house.settle()

    assert (heard.kind, heard.data["name"], heard.slots, heard.text) == ("intent", "HassTurnOn", {"name": "light.lamp"}, said)
    assert decision["executor"] == "wyoming_intent"
    assert house.watcher.on_topic("voice_rl/action/light/turn_on") == []
    assert all(one.topic != "voice_rl/say" or text.encode() not in one.payload for one in house.watcher.seen)


def test_recognize_is_heard_too(house: House, port: int) -> None:
    """The intent event of other Wyoming clients is answered like a transcript."""
    del house

    assert send(port, Recognize("turn on the lamp").event()).kind == "intent"


def test_without_intents_everything_is_done_here(start_house: StartHouse, port: int) -> None:
    """With `intents: false` the same action is dispatched, and answered when the device has shown it."""
    house = start_house(wyoming=WyomingSection(enabled=True, port=port, intents=False))
    answer_results(house, is_ok=True)

    heard = ask(port, "turn on the lamp")

    assert (heard.kind, heard.text) == ("handled", "Done.")
    assert house.decision()["executor"] == "dispatch"


def test_other_action_is_done_here_and_answered_when_it_worked(house: House, port: int) -> None:
    """A step has no exact intent: it is dispatched, and `handled` comes after the device's answer, nothing on the say topic."""
    answer_results(house, is_ok=True)

    heard = ask(port, "louder")
    house.settle()

    assert (heard.kind, heard.text) == ("handled", "Done.")
    assert house.decision(count=2)["executor"] == "dispatch"
    assert len(house.watcher.on_topic("voice_rl/action/media_player/volume_up")) == 1
    assert not any(json.loads(one.payload)["text"] == "Done." for one in house.watcher.on_topic("voice_rl/say"))


def test_refusal_of_the_device_is_said(house: House, port: int) -> None:
    """A device that refuses makes the answer a failure in words."""
    answer_results(house, is_ok=False)

    heard = ask(port, "louder")

    assert (heard.kind, heard.text) == ("not-handled", "That did not work.")


def test_silence_is_answered_within_two_seconds(house: House, port: int) -> None:
    """A device that says nothing is named, and the answer is there in time."""
    del house
    heard = ask(port, "louder")

    assert (heard.kind, heard.text) == ("not-handled", "Radio did not answer.")
    assert heard.took_s < 2.0


@pytest.mark.parametrize(("text", "said"), [("my brother reads", "I did not understand."), ("crash", "That did not work.")])
def test_refusals_and_failures_are_in_words(house: House, port: int, text: str, said: str) -> None:
    """A refusal, and even an error of ours, is an answer in words."""
    del house
    heard = ask(port, text)

    assert (heard.kind, heard.text) == ("not-handled", said)


def test_state_is_answered(house: House, port: int) -> None:
    """A question about a state is answered at the door."""
    del house
    heard = ask(port, "is the lamp on")

    assert (heard.kind, heard.text) == ("handled", "The Lamp is off.")


def test_area_comes_from_the_satellite(house: House, port: int) -> None:
    """Where the satellite stands is where the speaker is; without one nobody knows."""
    ask(port, "turn on the lamp", satellite="assist_satellite.hall")
    ask(port, "turn on the desk lamp", satellite=None)
    house.settle()
    areas = {json.loads(one.payload)["utterance"]: json.loads(one.payload)["area"] for one in house.watcher.on_topic("voice_rl/decision")}

    assert areas["turn on the lamp"] == "hall"
    assert areas["turn on the desk lamp"] is None


def test_question_is_asked_and_a_correction_refers_to_the_same_session(house: House, port: int) -> None:
    """A question comes as words; in the same conversation "no, ..." corrects what was done, in another it does not."""
    asked = ask(port, "light please")
    ask(port, "turn on the lamp", conversation="mine")
    stranger = ask(port, "no, the desk lamp", conversation="other")
    corrected = ask(port, "no, the desk lamp", conversation="mine")
    taken_back = house.action("light/turn_off")
    again = ask(port, "turn on the lamp", conversation="new")

    assert (asked.kind, asked.text) == ("not-handled", "Which light?")
    assert stranger.kind == "not-handled"
    assert (corrected.kind, corrected.slots) == ("intent", {"name": "light.desk"})
    assert taken_back["target"] == {"entity_id": ["light.lamp"]}
    assert again.slots == {"name": "light.desk"}


def test_what_home_assistant_did_is_taken_back(house: House, port: int) -> None:
    """An undo brings back the state from before what Home Assistant did itself."""
    answer_results(house, is_ok=True)
    ask(port, "turn on the lamp")

    heard = ask(port, "undo that")

    assert house.action("light/turn_off")["target"] == {"entity_id": ["light.lamp"]}
    assert (heard.kind, heard.text) == ("handled", "I took it back.")


def test_judgement_is_acknowledged(house: House, port: int) -> None:
    """A bare no is noted, and stored as a reward."""
    ask(port, "turn on the lamp")

    assert (ask(port, "no").kind, ask(port, "no").text) == ("handled", "Noted.")
    assert house.daemon.counters["denied"] == 2


def test_risky_question_is_answered_by_decision_id_at_its_own_door_only(house: House, port: int) -> None:
    """A risky action asks; the confirm topic of another door does not unlock."""
    heard = ask(port, "unlock the front door", satellite="assist_satellite.hall")
    decision = house.decision(count=2)
    house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "yes"})
    error = house.watcher.wait_topic("voice_rl/error")

    assert (heard.kind, heard.text) == ("not-handled", "Unlock?")
    assert "where it was asked" in error["detail"]
    assert house.watcher.on_topic("voice_rl/action/lock/unlock") == []


def test_shadow_mode_tells_what_it_would_do(start_house: StartHouse, port: int) -> None:
    """In shadow mode nothing is handed over or dispatched; the answer says what would have been done."""
    house = start_house(is_shadow=True, wyoming=WyomingSection(enabled=True, port=port))

    heard = ask(port, "turn on the lamp")

    assert (heard.kind, heard.text) == ("not-handled", "I only watch for now; I would turn on the Lamp.")
    assert house.decision()["executor"] == "none"


def test_answer_comes_in_time_while_the_daemon_is_stuck(house: House, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two utterances while the daemon hangs: both are answered within two seconds; the one that was not begun is never carried out."""
    is_stuck, go_on, answers = threading.Event(), threading.Event(), {}
    hear = house.deciders[0].hear

    def hang(utterance: object, **keywords: object) -> object:
        is_stuck.set()
        assert go_on.wait(DEADLINE_S)
        return hear(utterance, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(house.deciders[0], "hear", hang)
    threads = [
        threading.Thread(target=lambda text=text: answers.update({text: ask(port, text)})) for text in ("louder", "turn on the lamp")
    ]
    threads[0].start()
    assert is_stuck.wait(DEADLINE_S)
    threads[1].start()
    for one in threads:
        one.join(DEADLINE_S)
    go_on.set()
    house.settle()

    assert answers["louder"].text == "I am still busy with that."
    assert answers["turn on the lamp"].text == "That took too long, so I did nothing."
    assert all(one.took_s < 2.0 for one in answers.values())
    assert house.daemon.counters["stale"] == 1
    assert not any(json.loads(one.payload)["utterance"] == "turn on the lamp" for one in house.watcher.on_topic("voice_rl/decision"))


@pytest.mark.parametrize(
    "raw",
    [b"\n", b"{}\n", b"[1]\n", b"not json\n", b'{"type": "transcript", "data_length": 99999999}\n', b'{"type": "transcript", "data_length": -5}\n',
     b'{"type": "transcript", "data": 5}\n', b'{"type": "transcript", "data_length": 1}\n[', b"[" * 20000 + b"\n", b"x" * (4 * MAX_EVENT_BYTES)],
)  # fmt: skip
def test_nonsense_closes_only_its_own_connection(house: House, port: int, raw: bytes) -> None:
    """What is no event, or too large, ends that connection; the next one is served."""
    del house
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as one:
        try:
            one.sendall(raw)
            assert one.recv(100) == b""
        except ConnectionError:
            pass

    assert ask(port, "turn on the lamp").kind == "intent"


@pytest.mark.parametrize("data", [{}, {"text": 5}, {"text": ""}, {"text": "x" * 600}, {"text": "开灯", "context": 7}, {"text": "\ud800"}])
def test_malformed_transcript_is_answered(house: House, port: int, data: dict[str, object]) -> None:
    """A transcript without usable words is answered in words too, and the reason is on the error topic."""
    line = json.dumps({"type": "transcript", "data": data}).encode() + b"\n"
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as one, one.makefile("rb") as answers:
        one.sendall(line)
        answer = json.loads(answers.readline())

    assert answer["type"] == ("intent" if data.get("text") == "开灯" else "not-handled")
    if answer["type"] == "not-handled" and data.get("text") != "\ud800":
        assert house.watcher.wait_topic("voice_rl/error")["topic"] == "wyoming"


def test_connections_are_limited(house: House, port: int) -> None:
    """More connections than the limit are refused, and served again when others are gone."""
    del house
    idle = [socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) for _ in range(MAX_CONNECTIONS)]
    for one in idle:
        one.sendall(b'{"type": "ping"}\n')
        assert one.recv(10)
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as refused:
        assert refused.recv(10) == b""
    for one in idle:
        one.close()

    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            assert ask(port, "turn on the lamp").kind == "intent"
        except (AssertionError, ConnectionError):
            assert time.monotonic() < deadline
            continue
        break


def test_taken_port_is_one_clear_error() -> None:
    """A port that somebody else listens on is named, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        door = WyomingDoor(WyomingSection(enabled=True, port=taken.getsockname()[1]), ask=lambda _: None, too_late=lambda _: "")

        with pytest.raises(ConfigError, match=r"doors\.wyoming: cannot listen on 127\.0\.0\.1:\d+: .*choose another"):
            door.start()
        door.stop()


def answer_results(house: House, *, is_ok: bool) -> None:
    """Report each action as done or refused, as Home Assistant's automation does."""
    take = house.watcher._on_message

    def report(client: Any, userdata: Any, message: Any) -> None:
        take(client, userdata, message)
        if message.topic.startswith("voice_rl/action/"):
            action = json.loads(message.payload)
            result = {"decision_id": action["decision_id"], "step": action["step"], "ok": is_ok} | ({} if is_ok else {"error": "refused"})
            client.publish("voice_rl/result", json.dumps(result), qos=1)

    house.watcher._client.on_message = report
