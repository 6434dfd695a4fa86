"""A no or an undo on what came from the memory: the same mistake does not come twice, over a restart either."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.daemon.conftest import House
from tests.fakes import DESK, LAMP, LOUDER
from tests.mosquitto import DEADLINE_S
from voice_rl_plugin.deciding.memory import MemoryEntry, memory_words
from voice_rl_plugin.domain.action import Action

StartHouse = Callable[..., House]
WORDS = {"en": "turn on the lamp", "zh": "开灯"}
NO = {"en": "no", "zh": "不对"}
UNDO = {"en": "undo that", "zh": "撤销"}
CORRECTION = {"en": "no, the desk lamp", "zh": "不对，台灯"}


def start_remembering(start_house: StartHouse, *actions: Action, language: str = "en") -> House:
    """Start a house that learned by heart to do something else than it was told."""
    house = start_house()
    entry = MemoryEntry(words=memory_words(WORDS[language]), area="kitchen", actions=actions, decision_id="d-0", learned_at=1.0)
    house.daemon.stop()
    house.threads[0].join(DEADLINE_S)
    with house.open_store() as store:
        store.save_memory(entry)
    return start_house()


def restart(start_house: StartHouse, house: House) -> House:
    """Stop a house and start it anew."""
    house.settle()
    house.daemon.stop()
    house.threads[0].join(DEADLINE_S)
    return start_house()


def kept(house: House) -> tuple[MemoryEntry, ...]:
    """Return what the store remembers."""
    house.settle()
    with house.open_store() as store:
        return store.load_memory()


def decide_from_memory(house: House, language: str) -> dict[str, Any]:
    """Say the words and return the decision, which the memory made."""
    house.say(WORDS[language])
    decision = house.decision()
    assert decision["stage"] == "memory"
    return decision


def say_again(house: House, language: str) -> dict[str, Any]:
    """Say the words a second time and return that decision."""
    words = WORDS[language]
    house.say(words)
    found = house.watcher.wait_for(
        lambda one: one.topic == "voice_rl/decision" and json.loads(one.payload)["utterance"] == words, "the second decision", count=2
    )
    decision: dict[str, Any] = json.loads(found.payload)
    return decision


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("way", ["topic_no", "topic_undo", "area_no", "spoken_no", "spoken_undo"])
def test_denial_forgets_what_it_came_from(start_house: StartHouse, language: str, way: str) -> None:
    """After a bare no or undo, in words or on the topic, the memory is without the entry at once and after a restart."""
    house = start_remembering(start_house, LOUDER, language=language)
    decision = decide_from_memory(house, language)
    if way.startswith("topic"):
        house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": way.removeprefix("topic_")})
    elif way == "area_no":
        house.watcher.publish("voice_rl/confirm/kitchen", "no")
    else:
        house.say((NO if way == "spoken_no" else UNDO)[language])

    assert kept(house) == ()
    again = say_again(house, language)
    assert (again["stage"], again["actions"]) == ("policy", [LAMP.to_payload()])
    second = restart(start_house, house)
    second.say(WORDS[language])
    assert second.decision()["stage"] == "policy"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_denial_after_a_restart_forgets_too(start_house: StartHouse, language: str) -> None:
    """A no that names a decision from before a restart forgets what that decision came from."""
    house = start_remembering(start_house, LOUDER, language=language)
    decision = decide_from_memory(house, language)
    second = restart(start_house, house)
    second.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "no"})

    assert kept(second) == ()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("is_spoken", [True, False])
def test_another_correction_contests(start_house: StartHouse, language: str, *, is_spoken: bool) -> None:
    """A correction of what came from the memory makes it contested: the same words ask, at once and after a restart."""
    house = start_remembering(start_house, LOUDER, language=language)
    decision = decide_from_memory(house, language)
    if is_spoken:
        house.say(CORRECTION[language])
    else:
        correction = {"text": "turn on the desk lamp"}
        house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "no", "correction": correction})
    house.action()

    (entry,) = kept(house)
    assert (entry.is_contested, entry.actions, entry.rival) == (True, (DESK,), (LOUDER,))
    second = restart(start_house, house)
    second.say(WORDS[language])
    assert second.decision()["reason_code"] == "contested"


def test_a_correction_that_nobody_understands_is_a_no(start_house: StartHouse) -> None:
    """What was corrected in words that mean nothing here was wrong all the same: it is forgotten."""
    house = start_remembering(start_house, LOUDER)
    decision = decide_from_memory(house, "en")
    house.watcher.publish(
        "voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "no", "correction": {"text": "the gizmo"}}
    )

    assert kept(house) == ()


def test_denied_refusal_is_forgotten(start_house: StartHouse) -> None:
    """Words that were learned to be refused are no longer refused after a no."""
    house = start_remembering(start_house)
    decision = decide_from_memory(house, "en")
    assert decision["outcome"] == "reject"
    house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "no"})

    assert kept(house) == ()


def test_denied_answer_is_forgotten(house: House) -> None:
    """An answer to a question is learned by heart; a no on what was done then forgets it."""
    house.say("light please")
    asked = house.decision()
    house.watcher.publish("voice_rl/confirm", {"decision_id": asked["decision_id"], "verdict": "yes", "correction": {"choice": 1}})
    house.action()
    assert [entry.actions for entry in kept(house)] == [(DESK,)]

    house.watcher.publish("voice_rl/confirm", {"decision_id": asked["decision_id"], "verdict": "no"})
    assert kept(house) == ()


@pytest.mark.parametrize("verdict", ["yes", "late_no", "contested_no", "off"])
def test_what_was_not_denied_is_kept(start_house: StartHouse, verdict: str) -> None:
    """A yes, a no on what the memory has unlearned since, a no to the question between two corrections, and no learning at all change nothing."""
    house = start_remembering(start_house, LOUDER)
    decision = decide_from_memory(house, "en")
    if verdict == "off":
        house.watcher.publish("voice_rl/learning/set", "off")
    elif verdict != "yes":
        house.say("no, the desk lamp")
        house.action()
    if verdict == "contested_no":
        decision = say_again(house, "en")
        assert decision["reason_code"] == "contested"
    before = kept(house)
    house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "yes" if verdict == "yes" else "no"})

    assert len(before) == 1
    assert [entry.actions for entry in kept(house)] == [entry.actions for entry in before]


def test_flipped_state_forgets_nothing(start_house: StartHouse) -> None:
    """What a state alone implies is too weak to unlearn a correction."""
    house = start_remembering(start_house, DESK)
    house.watcher.publish("voice_rl/state/light/desk/state", "off", retain=True)
    decide_from_memory(house, "en")
    house.action()
    house.watcher.publish("voice_rl/state/light/desk/state", "on", retain=True)
    house.watcher.wait_topic("voice_rl/say")
    deadline = time.monotonic() + 1.2
    while time.monotonic() < deadline:  # a person needs more than a second
        house.settle()
    house.watcher.publish("voice_rl/state/light/desk/state", "off", retain=True)
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/event" and b'"undo"' in one.payload, "the undo event")

    assert [entry.actions for entry in kept(house)] == [(DESK,)]
