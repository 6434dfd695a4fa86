"""The Hermes door as Rhasspy sees it: payloads as rhasspy-hermes prints them, the daemon, and a real mosquitto."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.daemon.conftest import House
from voice_rl_plugin.config import HermesSection

StartHouse = Callable[..., House]
DIALOGUE = "hermes/dialogueManager"


@pytest.fixture
def house(start_house: StartHouse) -> House:
    """Return a house on Rhasspy's broker."""
    return start_house(hermes=HermesSection(enabled=True))


def query(house: House, text: str, *, site: str = "kitchen", session: str | None = "s1", **fields: Any) -> None:
    """Ask as the dialogue manager does."""
    payload: dict[str, Any] = {
        "input": text,
        "siteId": site,
        "id": "r1",
        "intentFilter": None,
        "sessionId": session,
        "wakewordId": None,
        "lang": None,
    }
    payload |= {"customData": {"mine": [1]}, "asrConfidence": 0.97, "customEntities": None} | fields
    house.watcher.publish("hermes/nlu/query", payload, qos=0)


def report(house: House, *, is_ok: bool = True, topic: str = "light/turn_on") -> None:
    """Report the action as done or refused."""
    action = house.action(topic)
    result = {"decision_id": action["decision_id"], "step": action["step"], "ok": is_ok} | ({} if is_ok else {"error": "refused"})
    house.watcher.publish("voice_rl/result", result)


@pytest.mark.parametrize(("text", "said"), [("turn on the lamp", "Done."), ("开灯", "好了。")])
def test_query_is_parsed_carried_out_and_ended(house: House, text: str, said: str) -> None:
    """A command is parsed, its intent published, dispatched once, and the session ended with the answer once it was seen to work."""
    query(house, text)
    parsed, intent = house.watcher.wait_topic("hermes/nlu/intentParsed"), house.watcher.wait_topic("hermes/intent/voice_rl:light.turn_on")
    assert house.watcher.on_topic(f"{DIALOGUE}/endSession") == []
    report(house)
    ended = house.watcher.wait_topic(f"{DIALOGUE}/endSession")
    house.settle()

    assert parsed["intent"] == {"intentName": "voice_rl:light.turn_on", "confidenceScore": 0.9}
    assert (parsed["id"], parsed["siteId"], parsed["sessionId"], parsed["input"]) == ("r1", "kitchen", "s1", text)
    assert [(one["slotName"], one["value"]) for one in intent["slots"]] == [("entity_id", {"kind": "Unknown", "value": "light.lamp"})]
    assert (intent["customData"], intent["asrConfidence"], intent["rawInput"]) == ({"mine": [1]}, 0.97, text)
    assert ended == {"sessionId": "s1", "text": said, "customData": {"mine": [1]}}
    assert len(house.watcher.on_topic("voice_rl/action/light/turn_on")) == 1
    assert house.decision()["area"] == "kitchen"
    assert not any(json.loads(one.payload)["text"] == said for one in house.watcher.on_topic("voice_rl/say"))


def test_failure_ends_the_session_in_words(house: House) -> None:
    """A device that refuses is said as the end of the session."""
    query(house, "turn on the lamp")
    report(house, is_ok=False)

    assert house.watcher.wait_topic(f"{DIALOGUE}/endSession")["text"] == "That did not work."


def test_question_continues_the_session(house: House) -> None:
    """A question keeps the session open, and the next query of the session can refer to it."""
    query(house, "light please")
    asked = house.watcher.wait_topic(f"{DIALOGUE}/continueSession")
    query(house, "turn on the desk lamp")
    report(house)
    ended = house.watcher.wait_topic(f"{DIALOGUE}/endSession")

    assert (asked["sessionId"], asked["text"], asked["sendIntentNotRecognized"]) == ("s1", "Which light?", True)
    assert house.watcher.wait_topic("hermes/intent/voice_rl:ask")["input"] == "light please"
    assert ended["text"] == "Done."


def test_refusal_is_not_recognized(house: House) -> None:
    """A refusal is intentNotRecognized, which ends the session by itself; its reason is spoken at the site."""
    query(house, "gibberish", id="r7")
    refused, said = house.watcher.wait_topic("hermes/nlu/intentNotRecognized"), house.watcher.wait_topic("hermes/tts/say")

    assert refused == {"input": "gibberish", "siteId": "kitchen", "id": "r7", "customData": {"mine": [1]}, "sessionId": "s1"}
    assert (said["text"], said["siteId"]) == ("I did not understand.", "kitchen")
    assert house.watcher.on_topic(f"{DIALOGUE}/endSession") == []


@pytest.mark.parametrize(("wanted", "acts"), [(["GetTime"], False), ([], False), (["GetTime", "voice_rl:light.turn_on"], True)])
def test_intent_filter_is_honoured(house: House, wanted: list[str], *, acts: bool) -> None:
    """What the session does not want is not recognized, and nothing is done."""
    query(house, "turn on the lamp", intentFilter=wanted)
    if acts:
        house.action()
    else:
        house.watcher.wait_topic("hermes/nlu/intentNotRecognized")
    house.settle()

    assert len(house.watcher.on_topic("voice_rl/action/light/turn_on")) == int(acts)


def test_correction_and_feedback_are_spoken_too(house: House) -> None:
    """A bare no is a judgement: it is named feedback, and noted."""
    query(house, "turn on the lamp")
    report(house)
    query(house, "no", session="s2")
    house.watcher.wait_topic("hermes/intent/voice_rl:feedback")

    assert house.watcher.wait_topic(f"{DIALOGUE}/endSession", count=2)["text"] == "Noted."
    assert house.daemon.counters["denied"] == 1


def test_aborted_session_is_weak_feedback_and_closes_its_question(house: House) -> None:
    """A session that a person broke off is a weak no, and its question cannot be answered any more; another end means nothing."""
    query(house, "unlock the front door", site="hall")
    house.watcher.wait_topic(f"{DIALOGUE}/continueSession")
    decision = house.decision()
    for reason in ("timeout", "abortedByUser", "abortedByUser"):
        ended = {"termination": {"reason": reason}, "sessionId": "s1", "siteId": "hall", "customData": None}
        house.watcher.publish(f"{DIALOGUE}/sessionEnded", ended)
    house.settle()

    assert house.daemon.counters["denied"] == 1
    with house.open_store() as store:
        stored = store.stored(decision["decision_id"])
    assert stored is not None
    assert stored.settlement is not None
    assert stored.settlement.reward is not None
    assert -1.0 < stored.settlement.reward < 0.0


def test_error_of_ours_ends_the_session(house: House) -> None:
    """An exception inside the brain is an error of understanding, and the session ends in words."""
    query(house, "crash")

    assert house.watcher.wait_topic("hermes/error/nlu")["sessionId"] == "s1"
    assert house.watcher.wait_topic(f"{DIALOGUE}/endSession")["text"] == "That did not work."


def test_without_a_session_the_answer_is_spoken_at_the_site(house: House) -> None:
    """A query without a session ends none: the answer is spoken at its site."""
    query(house, "turn on the lamp", session=None)
    report(house)

    assert house.watcher.wait_topic("hermes/tts/say")["text"] == "Done."
    assert house.watcher.on_topic(f"{DIALOGUE}/endSession") == []


def test_captured_text_is_heard_where_there_is_no_dialogue_manager(start_house: StartHouse) -> None:
    """Without a dialogue manager captured text is taken, queries are not, and a question opens the microphone."""
    house = start_house(hermes=HermesSection(enabled=True, dialogue_manager=False))
    captured = {"text": "light please", "likelihood": 0.97, "seconds": 0.4, "siteId": "kitchen", "sessionId": "s1", "wakewordId": None}
    house.watcher.publish("hermes/asr/textCaptured", captured | {"asrTokens": None, "lang": "en"})
    query(house, "turn on the lamp")
    said, listening = house.watcher.wait_topic("hermes/tts/say"), house.watcher.wait_topic("hermes/asr/startListening")
    house.settle()

    assert said["text"] == "Which light?"
    assert (listening["siteId"], listening["stopOnSilence"]) == ("kitchen", True)
    assert house.watcher.on_topic("voice_rl/action/light/turn_on") == []


def test_other_sites_are_left_alone(start_house: StartHouse) -> None:
    """With a list of sites, what is said elsewhere is another program's."""
    house = start_house(hermes=HermesSection(enabled=True, site_ids=("hall",)))
    query(house, "turn on the lamp", site="kitchen")
    query(house, "turn on the desk lamp", site="hall")
    house.settle()

    assert house.decision()["utterance"] == "turn on the desk lamp"


@pytest.mark.parametrize(
    ("payload", "word"),
    [(b"", "empty"), (b"{", "JSON"), (b'{"input": 5}', "words"), (b'{"input": "hi", "siteId": 7}', "siteId"),
     (b'{"input": "hi", "intentFilter": "all"}', "intentFilter"), (b"\xff", "UTF-8")],
)  # fmt: skip
def test_malformed_query_is_an_error(house: House, payload: bytes, word: str) -> None:
    """A malformed query is told on the error topic, and the next one is answered."""
    house.watcher.publish("hermes/nlu/query", payload)
    error = house.watcher.wait_topic("voice_rl/error")
    query(house, "turn on the lamp")

    assert word in error["detail"]
    assert error["topic"] == "hermes/nlu/query"
    house.action()


def test_door_is_closed_unless_enabled(start_house: StartHouse) -> None:
    """By default nothing of Rhasspy's is read."""
    house = start_house()
    query(house, "turn on the lamp")
    house.settle()

    assert house.watcher.on_topic("voice_rl/action/light/turn_on") == []
