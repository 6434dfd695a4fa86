"""The topics `ask` and `answer`: one answer to each question, whatever happens, and nothing said elsewhere."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.daemon.conftest import House
from tests.mosquitto import DEADLINE_S

StartHouse = Callable[..., House]


def ask(house: House, text: str, *, number: str = "q1", **fields: Any) -> dict[str, Any]:
    """Ask something in the kitchen and return the answer."""
    house.watcher.publish("voice_rl/ask", {"id": number, "text": text, "area": "kitchen", "session_id": "s1", **fields})
    return answer_to(house, number)


def answer_to(house: House, number: str) -> dict[str, Any]:
    """Return the only answer to a question."""
    mine = f'"id":"{number}"'.encode()
    message = house.watcher.wait_for(lambda one: one.topic == "voice_rl/answer" and mine in one.payload, f"the answer to {number}")
    house.settle()
    assert len([one for one in house.watcher.on_topic("voice_rl/answer") if mine in one.payload]) == 1
    found: dict[str, Any] = json.loads(message.payload)
    return found


def spoken_elsewhere(house: House) -> list[bytes]:
    """Return what was said aloud, apart from the answers to nonsense that `settle` provokes."""
    return [bytes(one.payload) for one in house.watcher.on_topic("voice_rl/say") if b"understand" not in one.payload]


@pytest.mark.parametrize(("text", "done"), [("turn on the lamp", "Done."), ("开灯", "好了。")])
def test_success_is_answered_once_it_was_seen(house: House, text: str, done: str) -> None:
    """The answer waits for the device, and nobody else says it."""
    house.watcher.publish("voice_rl/ask", {"id": "q1", "text": text, "area": "kitchen"})
    action = house.action()
    house.settle()
    before = house.watcher.on_topic("voice_rl/answer")
    house.watcher.publish("voice_rl/result", {"decision_id": action["decision_id"], "step": 1, "ok": True})

    assert before == []
    assert answer_to(house, "q1") == {"id": "q1", "text": done, "ok": True, "expect_reply": False, "forward": False}
    assert spoken_elsewhere(house) == []


def test_silent_device_is_answered_too(house: House) -> None:
    """Who did not answer is named."""
    assert ask(house, "turn on the lamp") == {
        "id": "q1",
        "text": "Lamp did not answer.",
        "ok": False,
        "expect_reply": False,
        "forward": False,
    }


def test_question_is_asked_back(house: House) -> None:
    """A question is an answer that expects a reply, and is not said elsewhere."""
    first = ask(house, "unlock the front door")
    assert (first["text"], first["ok"], first["expect_reply"]) == ("Unlock?", False, True)
    assert spoken_elsewhere(house) == []


def test_refusal_state_and_judgement_are_answered(house: House) -> None:
    """A reason, the state of a device, and a word for a no."""
    assert ask(house, "gibberish", number="q1")["text"] == "I did not understand."
    house.watcher.publish("voice_rl/state/light/lamp/state", "on")
    told = ask(house, "is the lamp on", number="q2")
    assert (told["text"], told["ok"]) == ("The Lamp is on.", True)
    assert ask(house, "no", number="q3")["text"] == "Noted."
    assert spoken_elsewhere(house) == []


def test_sentence_for_home_assistants_agent_is_handed_back(house: House) -> None:
    """What is Home Assistant's own is not published on the action topics: the one who asked gives it to Home Assistant's agent."""
    answer = ask(house, "what is the weather")

    assert (answer["forward"], answer["ok"]) == (True, True)
    assert not [one for one in house.watcher.seen if one.topic.startswith("voice_rl/action/")]


def test_error_inside_is_answered(house: House) -> None:
    """An unforeseen error still gives an answer."""
    assert ask(house, "crash")["text"] == "That did not work."


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"at": time.time() - 60}, "That took too long, so I did nothing."),
        ({"text": 5}, "That did not work."),
        ({"text": " "}, "That did not work."),
    ],
)
def test_late_and_malformed_questions_are_answered(house: House, fields: dict[str, Any], text: str) -> None:
    """What cannot be done is answered and reported."""
    house.watcher.publish("voice_rl/ask", {"id": "q1", "text": "turn on the lamp"} | fields)

    assert answer_to(house, "q1")["text"] == text
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/error", "the error")
    assert not [one for one in house.watcher.seen if one.topic.startswith("voice_rl/action/")]


def test_question_without_an_id_is_refused(house: House) -> None:
    """Nobody could be answered."""
    house.watcher.publish("voice_rl/ask", {"text": "turn on the lamp"})

    assert "ask: id" in house.watcher.wait_topic("voice_rl/error")["detail"]


def test_repeated_and_retained_questions_are_not_done_again(house: House) -> None:
    """A message that the broker delivers twice is one question; one that it kept is none."""
    for _ in range(2):
        house.watcher.publish("voice_rl/ask", {"id": "q1", "text": "turn on the lamp", "area": "kitchen"})
    answer_to(house, "q1")

    assert len(house.watcher.on_topic("voice_rl/action/light/turn_on")) == 1


def test_question_is_done_once_over_a_restart(start_house: StartHouse, house: House) -> None:
    """What the broker delivers again to the next daemon was decided before."""
    ask(house, "turn on the lamp")
    house.daemon.stop()
    house.threads[0].join(DEADLINE_S)
    again = start_house()
    again.watcher.publish("voice_rl/ask", {"id": "q1", "text": "turn on the lamp", "area": "kitchen"})
    again.settle()

    assert again.watcher.on_topic("voice_rl/action/light/turn_on") == []


def test_unknown_area_is_left_out(house: House) -> None:
    """The sender names the areas of its own home; one that ours lacks does not spoil the question."""
    assert ask(house, "is the lamp on", area="attic")["text"] != "That did not work."
    assert house.decision()["area"] is None


def test_session_keeps_the_conversation(house: House) -> None:
    """A correction in the same session is about what was said before; what it takes back is not answered twice."""
    ask(house, "turn on the lamp", number="q1")
    answer = ask(house, "no, the desk lamp", number="q2")

    assert answer["text"] == "Desk Lamp did not answer."
