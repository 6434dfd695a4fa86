"""The package of examples/home_assistant in a real Home Assistant: no token, only MQTT."""

import json
import time
from typing import Any

import pytest

from tests.home_assistant.conftest import Speaker, StartSpeaker
from tests.home_assistant.lab import Lab

GUARDED = "automation.voice_rl_locks_garages_and_gates"


@pytest.fixture(scope="module")
def told_home(lab: Lab) -> None:
    """Have the home told once more, since the devices came after the start."""
    lab.rest("POST", "/api/services/automation/trigger", {"entity_id": "automation.voice_rl_tell_it_the_home"})


@pytest.fixture
def speaker(start_speaker: StartSpeaker, told_home: None) -> Speaker:  # noqa: ARG001
    """Return a daemon that knows the home from the topic alone."""
    one = start_speaker(executor="dispatch", has_link=False)
    one.settle_home(9)  # switches are told only with the label
    return one


def publish(speaker: Speaker, service: str, **changes: Any) -> dict[str, Any]:
    """Publish an action as the daemon would, and return the result."""
    number = f"test-{time.monotonic_ns()}"
    call = {"decision_id": number, "step": 1, "steps": 1, "expires_at": time.time() + 30, "service": service, "target": {}, "data": {}}
    topic = changes.pop("topic", "voice_rl/action/" + service.replace(".", "/"))
    speaker.watcher.publish(topic, call | changes)
    message = speaker.watcher.wait_for(
        lambda one: one.topic == "voice_rl/result" and number.encode() in one.payload, f"a result for {service}"
    )
    found: dict[str, Any] = json.loads(message.payload)
    return found


@pytest.mark.parametrize(
    ("text", "area", "commands"),
    [
        ("turn on the counter bar", "kitchen", [("counter_bar", '{"state":"ON"}')]),
        ("把床头灯打开", "wo_shi", [("bedside", '{"state":"ON"}')]),
        ("turn on the counter bar and the desk lamp", "kitchen", [("counter_bar", '{"state":"ON"}'), ("desk_lamp", '{"state":"ON"}')]),
    ],
)
def test_words_reach_the_device(speaker: Speaker, lab: Lab, text: str, area: str, commands: list[tuple[str, str]]) -> None:
    """A sentence becomes one command at each device, and the word comes after its state."""
    assert speaker.hear(speaker.say(text, area=area)) in ("Done.", "好了。")
    assert sorted(lab.devices.commands) == commands


def test_device_that_does_not_obey_is_said(speaker: Speaker) -> None:
    """The lamp is told and stays dark: that is no success."""
    assert "did not" in speaker.hear(speaker.say("turn on the stubborn lamp", area="study"))


@pytest.mark.parametrize(
    ("service", "changes", "why"),
    [
        ("light.turn_on", {"target": {"entity_id": "all"}}, "an entity of another domain, or all of them"),
        ("light.turn_on", {"target": {"area_id": "kitchen"}}, "expected entities as the target"),
        ("light.turn_on", {"target": {"entity_id": "light.desk_lamp"}, "expires_at": 1.0}, "expired"),
        (
            "light.turn_on",
            {"target": {"entity_id": "light.desk_lamp"}, "topic": "voice_rl/action/light/turn_off"},
            "the topic and the service differ",
        ),
        ("light.turn_on", {"target": {"entity_id": ["light.desk_lamp", "lock.front_door"]}}, "an entity of another domain, or all of them"),
        ("light.turn_on", {"target": {"entity_id": "light.nowhere"}}, "missing or unavailable"),
        ("light.turn_on", {"target": {"entity_id": "light.desk_lamp"}, "data": {"entity_id": "all"}}, "a target inside the data"),
        ("light.turn_on", {"target": {"entity_id": "light.stubborn"}}, "unseen"),
    ],
)
def test_refusals_are_answered(speaker: Speaker, lab: Lab, service: str, changes: dict[str, Any], why: str) -> None:
    """What is late, mismatched, too broad or absent is not done, and the result says why."""
    result = publish(speaker, service, **changes)

    assert (result["ok"], result["error"]) == (False, why)
    assert [one for one in lab.devices.commands if one[0] != "stubborn"] == []


def test_lock_is_guarded(speaker: Speaker, lab: Lab) -> None:
    """Asked and confirmed, the lock still does not move while the second automation is off, nor while it is not listed."""
    assert lab.state(GUARDED) == "off"
    decision = speaker.say("unlock the front door", area="hall")
    assert decision["outcome"] == "clarify"
    speaker.watcher.publish("voice_rl/confirm/hall", {"decision_id": decision["decision_id"], "verdict": "yes"})
    speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/say" and b"did not answer" in one.payload, "the word")

    lab.rest("POST", "/api/services/automation/turn_on", {"entity_id": GUARDED})
    try:
        result = publish(speaker, "lock.unlock", target={"entity_id": "lock.front_door"})
    finally:
        lab.rest("POST", "/api/services/automation/turn_off", {"entity_id": GUARDED})

    assert (result["ok"], result["error"]) == (False, "an entity that is not in the list")
    assert lab.state("lock.front_door") == "locked"
    assert lab.devices.commands == []


def test_time_is_asked_of_home_assistants_agent(speaker: Speaker) -> None:
    """What is Home Assistant's own goes to its agent, and the result says that it was done."""
    decision = speaker.say("what time is it", area="kitchen")
    result = speaker.watcher.wait_for(
        lambda one: one.topic == "voice_rl/result" and decision["decision_id"].encode() in one.payload, "the result"
    )

    assert json.loads(result.payload)["ok"] is True


def test_switching_back_in_home_assistant_is_an_undo(speaker: Speaker, lab: Lab) -> None:
    """The state stream is enough to see that a person took it back."""
    speaker.hear(speaker.say("turn on the counter bar", area="kitchen"))
    speaker.let_pass(1.2)  # a person needs more than a second
    lab.rest("POST", "/api/services/light/turn_off", {"entity_id": "light.counter_bar"})

    speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/event" and b'"undo"' in one.payload, "the undo")
