"""The custom component in a real Home Assistant: set up by its own flows, Assist speaks to the daemon through it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.home_assistant.conftest import Speaker, StartSpeaker, satellite_of
from tests.home_assistant.lab import Lab
from voice_rl_plugin.doors import native

AGENT = "conversation.voice_rl"
TELLS = "automation.voice_rl_tell_it_the_home"
EXPOSED = 9


@pytest.fixture
def alone(start_speaker: StartSpeaker, lab: Lab) -> Iterator[Speaker]:
    """Return a daemon that knows nothing of Home Assistant but what comes on the broker."""
    lab.rest("POST", "/api/services/automation/turn_off", {"entity_id": TELLS})
    yield start_speaker(executor="dispatch", has_link=False)
    lab.rest("POST", "/api/services/automation/turn_on", {"entity_id": TELLS})


@pytest.fixture
def speaker(alone: Speaker, lab: Lab) -> Speaker:
    """Return the daemon with the component set up."""
    if not lab.entry_state("voice_rl"):
        assert add_by_hand(lab, "voice_rl")["type"] == "create_entry"
    lab.until(lambda: lab.entry_state("voice_rl") == "loaded", "the component", deadline_s=30)
    alone.settle_home(EXPOSED)
    return alone


def add_by_hand(lab: Lab, prefix: str) -> dict[str, Any]:
    """Add the integration as a person would, and return how that went."""
    flow = lab.rest("POST", "/api/config/config_entries/flow", {"handler": "voice_rl"})
    done: dict[str, Any] = lab.rest("POST", f"/api/config/config_entries/flow/{flow['flow_id']}", {"prefix": prefix})
    if done["type"] == "form":
        lab.rest("DELETE", f"/api/config/config_entries/flow/{flow['flow_id']}")
    return done


def remove(lab: Lab) -> None:
    """Remove the integration where it is set up."""
    for entry in lab.rest("GET", "/api/config/config_entries/entry?domain=voice_rl"):
        lab.rest("DELETE", f"/api/config/config_entries/entry/{entry['entry_id']}")


def assist(lab: Lab, text: str, **fields: Any) -> dict[str, Any]:
    """Say something to Assist with our agent; return its answer with the words beside it."""
    found = lab.ask({"type": "conversation/process", "text": text, "language": "en", "agent_id": AGENT} | fields)
    return {**found, "speech": found["response"]["speech"]["plain"]["speech"], "type": found["response"]["response_type"]}


def assist_at(lab: Lab, text: str, device_id: str) -> dict[str, Any]:
    """Say something at a device, through a voice assistant that has our agent."""
    pipeline = lab.ask({
        "type": "assist_pipeline/pipeline/create", "name": "ours", "language": "en", "conversation_engine": AGENT, "conversation_language": "en",
        "prefer_local_intents": False,
        **dict.fromkeys(("stt_engine", "stt_language", "tts_engine", "tts_language", "tts_voice", "wake_word_entity", "wake_word_id")),
    })["id"]  # fmt: skip
    command = {"type": "assist_pipeline/run", "start_stage": "intent", "end_stage": "intent", "input": {"text": text}, "pipeline": pipeline}
    try:
        with lab.link() as link:
            link.send(command | {"device_id": device_id})
            while (message := link.receive(10.0)) is not None:
                event = message.get("event") or {}
                assert message.get("success") is not False, message
                if event.get("type") == "intent-end":
                    found = event["data"]["intent_output"]
                    return {**found, "speech": found["response"]["speech"]["plain"]["speech"]}
        raise AssertionError("the voice assistant did not answer")
    finally:
        lab.ask({"type": "assist_pipeline/pipeline/delete", "pipeline_id": pipeline})


def test_daemon_on_the_broker_is_found(alone: Speaker, lab: Lab) -> None:  # noqa: ARG001
    """Home Assistant offers the integration by itself once a daemon is online; one click sets it up."""
    remove(lab)

    def offered() -> list[dict[str, Any]]:
        flows = lab.ask({"type": "config_entries/flow/progress"})
        return [one for one in flows if one["handler"] == "voice_rl" and one["context"]["source"] == "mqtt"]

    flow = lab.until(offered, "the offer", deadline_s=30)[0]
    assert flow["step_id"] == "confirm"
    assert lab.rest("POST", f"/api/config/config_entries/flow/{flow['flow_id']}", {})["type"] == "create_entry"
    lab.until(lambda: lab.entry_state("voice_rl") == "loaded", "the component", deadline_s=30)


def test_flow_looks_for_the_daemon(alone: Speaker, lab: Lab) -> None:  # noqa: ARG001
    """A wrong prefix and a daemon that is not there are said in the form; it can be set up once."""
    remove(lab)

    assert add_by_hand(lab, "voice_rl/#")["errors"] == {"prefix": "bad_prefix"}
    assert add_by_hand(lab, "nobody_here")["errors"] == {"base": "no_daemon"}
    assert add_by_hand(lab, "voice_rl")["type"] == "create_entry"
    again = lab.rest("POST", "/api/config/config_entries/flow", {"handler": "voice_rl"})
    assert (again["type"], again["reason"]) == ("abort", "single_instance_allowed")


def test_home_is_told_without_a_token(speaker: Speaker, lab: Lab) -> None:
    """What is exposed, with floors, aliases, labels and satellites: the same home that the WebSocket gives."""
    message = speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/home", "the home")
    home = native.parse_home(bytes(message.payload), max_bytes=1_000_000)

    assert len(home.exposed) == len(home.entities) == EXPOSED
    assert home.entity_by_id["light.counter_bar"].aliases == ("bar", "吧台灯")
    assert [one.id for one in home.entities if one.risky] == ["switch.kettle"]
    assert {one.id: one.floor for one in home.areas if one.floor} == {
        "kitchen": "ground_floor",
        "study": "first_floor",
        "wo_shi": "first_floor",
    }
    assert [(one.id, one.area) for one in home.satellites] == [(satellite_of(lab), "kitchen")]


def test_changes_are_told(speaker: Speaker, lab: Lab) -> None:
    """What is hidden from Assist goes within seconds, and comes back when it is exposed."""
    lab.expose("fan.fan", should_expose=False)
    try:
        speaker.settle_home(EXPOSED - 1)
    finally:
        lab.expose("fan.fan")
    speaker.settle_home(EXPOSED)


@pytest.mark.parametrize(
    ("text", "language", "speech", "keys"),
    [
        ("bar down to thirty five", "en", "Done.", ["counter_bar"]),
        ("打开吧台灯和床头灯", "zh-Hans", "好了。", ["bedside", "counter_bar"]),
        ("turn on the counter bar and the desk lamp", "en", "Done.", ["counter_bar", "desk_lamp"]),
    ],
)
def test_assist_acts_through_the_daemon(speaker: Speaker, lab: Lab, text: str, language: str, speech: str, keys: list[str]) -> None:
    """Assist says that it is done when it is done; each device was told once, and nothing was said elsewhere."""
    answer = assist(lab, text, language=language)

    assert (answer["speech"], answer["type"], answer["continue_conversation"]) == (speech, "action_done", False)
    assert sorted(key for key, _ in lab.devices.commands) == keys
    assert speaker.watcher.on_topic("voice_rl/say") == []


def test_satellite_and_user_are_carried(speaker: Speaker, lab: Lab) -> None:
    """The daemon hears which satellite and device it was, where that is, who spoke, and in which conversation."""
    satellite_id = satellite_of(lab)
    device_id = lab.entry(satellite_id)["device_id"]
    answer = assist_at(lab, "turn on the bar", device_id)
    asked = json.loads(speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/ask", "the question").payload)
    decision = speaker.watcher.wait_topic("voice_rl/decision")

    assert answer["speech"] == "Done."
    assert (asked["satellite_id"], asked["device_id"], asked["area"]) == (satellite_id, device_id, "kitchen")
    assert asked["user"] == lab.ask({"type": "auth/current_user"})["id"]
    assert asked["session_id"] == answer["conversation_id"]
    assert decision["area"] == "kitchen"


def test_assist_asks_back_and_the_answer_counts(speaker: Speaker, lab: Lab) -> None:
    """A question keeps the conversation open, so that a satellite listens again; the answer is carried out, once."""
    question = assist(lab, "turn on the kettle")
    assert (question["type"], question["continue_conversation"]) == ("action_done", True)
    assert lab.devices.commands == []

    answer = assist(lab, "yes", conversation_id=question["conversation_id"])
    assert (answer["speech"], answer["continue_conversation"]) == ("Done.", False)
    assert lab.devices.commands == [("kettle", "ON")]
    assert speaker.watcher.on_topic("voice_rl/say") == []


def test_correction_in_the_same_conversation(speaker: Speaker, lab: Lab) -> None:
    """What was wrong is taken back, what was meant is done, and the next time it is right at once."""
    first = assist(lab, "turn on the desk lamp")
    answer = assist(lab, "no, the counter bar", conversation_id=first["conversation_id"])

    assert answer["speech"] == "Done."
    lab.wait_state("light.counter_bar", "on")
    lab.wait_state("light.desk_lamp", "off")
    assert assist(lab, "turn on the desk lamp")["speech"] == "Done."
    assert speaker.watcher.wait_topic("voice_rl/decision", count=3)["stage"] == "memory"


def test_refusals_are_errors_with_their_reason(speaker: Speaker, lab: Lab) -> None:  # noqa: ARG001
    """What is hidden, forbidden or did not obey is said, and is no success."""
    for text, part in (
        ("unlock the front door", "don't know"),
        ("don't turn on the bar", ""),
        ("turn on the stubborn lamp", "did not"),
    ):
        answer = assist(lab, text)
        assert (answer["type"], part in answer["speech"], bool(answer["speech"])) == ("error", True, True), answer

    assert lab.state("lock.front_door") == "locked"
    assert [key for key, _ in lab.devices.commands] == ["stubborn"]


@pytest.mark.parametrize("text", ["what time is it", "set a timer for five minutes"])
def test_what_home_assistant_does_itself_stays_with_it(speaker: Speaker, lab: Lab, text: str) -> None:
    """Times and timers are answered by Home Assistant's own agent, in the same conversation, and by nobody else."""
    own = lab.ask({"type": "conversation/process", "text": text, "language": "en", "agent_id": "conversation.home_assistant"})
    answer = assist(lab, text)

    assert answer["type"] == own["response"]["response_type"]
    assert answer["speech"][-3:] == own["response"]["speech"]["plain"]["speech"][-3:]
    assert not [one for one in speaker.watcher.seen if one.topic.startswith("voice_rl/action/")]


def test_daemon_that_is_away_is_said(speaker: Speaker, lab: Lab) -> None:
    """Assist does not wait for ever."""
    speaker.daemon.stop()
    speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/status" and one.payload == b"offline", "the end")

    assert assist(lab, "turn on the bar")["speech"] == "The voice daemon does not answer."
    assert assist(lab, "打开吧台灯", language="zh-Hans")["speech"] == "语音程序没有回应。"


def test_component_goes_cleanly(speaker: Speaker, lab: Lab) -> None:
    """Removed, it leaves no agent and no retained home; the daemon keeps what it was told."""
    remove(lab)
    speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/home" and one.payload == b"", "the cleared home")

    assert lab.state(AGENT) in ("", "unavailable")
    speaker.await_health(f'"entities":{EXPOSED}}}')
