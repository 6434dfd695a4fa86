"""The home, the states and the services of a real Home Assistant over its WebSocket."""

import pytest

from tests.home_assistant.conftest import Speaker, StartSpeaker, satellite_of
from tests.home_assistant.lab import Lab

EXPOSED = 9


@pytest.fixture
def speaker(start_speaker: StartSpeaker) -> Speaker:
    """Return a daemon that knows the home."""
    one = start_speaker()
    one.settle_home(EXPOSED)
    return one


@pytest.mark.parametrize(
    ("text", "area", "key", "payload"),
    [
        ("bar down to thirty five", "kitchen", "counter_bar", '{"state":"ON","brightness":89}'),
        ("打开吧台灯", "kitchen", "counter_bar", '{"state":"ON"}'),
        ("turn on the light", "study", "", ""),
        ("把床头灯打开", "wo_shi", "bedside", '{"state":"ON"}'),
    ],
)
def test_words_reach_the_device(speaker: Speaker, lab: Lab, text: str, area: str, key: str, payload: str) -> None:
    """A sentence becomes one command at the device, once; the word comes after the state; two lights in a room ask."""
    decision = speaker.say(text, area=area)

    if not key:
        assert decision["outcome"] == "clarify"
        return
    assert speaker.hear(decision) in ("Done.", "好了。")
    assert lab.state(f"light.{key}") == "on"
    assert lab.devices.commands == [(key, payload)]


@pytest.mark.parametrize(
    ("text", "keys"),
    [("turn on the counter bar and the desk lamp", {"counter_bar", "desk_lamp"}), ("打开吧台灯和床头灯", {"counter_bar", "bedside"})],
)
def test_two_devices_in_one_sentence_are_done_once_each(speaker: Speaker, lab: Lab, text: str, keys: set[str]) -> None:
    """Two devices, one command each, in English and in Chinese."""
    assert speaker.hear(speaker.say(text, area="kitchen")) in ("Done.", "好了。")

    assert sorted(key for key, _ in lab.devices.commands) == sorted(keys)


def test_device_that_does_not_obey_is_said(speaker: Speaker) -> None:
    """Home Assistant accepts the call, the lamp stays dark: that is no success."""
    assert speaker.hear(speaker.say("turn on the stubborn lamp", area="study")) == "I told Stubborn Lamp, but I did not see it happen."


def test_unexposed_lock_stays_untouched(speaker: Speaker, lab: Lab) -> None:
    """A lock that is not exposed to Assist is not known, whatever is said; nor may the executor call it."""
    for text in ("unlock the front door", "yes", "打开前门的锁"):
        speaker.watcher.publish("voice_rl/command/hall", {"text": text})
    speaker.say("turn on the counter bar", area="kitchen")
    lab.wait_state("light.counter_bar", "on")

    assert lab.state("lock.front_door") == "locked"
    assert [key for key, _ in lab.devices.commands] == ["counter_bar"]


def test_risky_device_is_confirmed_and_then_done(speaker: Speaker, lab: Lab) -> None:
    """What carries the label asks first, each time, and is done after the yes."""
    decision = speaker.say("turn on the kettle", area="kitchen")
    assert decision["outcome"] == "clarify"
    assert lab.devices.commands == []
    speaker.watcher.publish("voice_rl/confirm/kitchen", {"decision_id": decision["decision_id"], "verdict": "yes"})

    lab.wait_state("switch.kettle", "on")
    assert lab.devices.commands == [("kettle", "ON")]


def test_garage_is_not_opened_unless_that_was_switched_on(speaker: Speaker, lab: Lab) -> None:
    """Exposed, asked, confirmed, and still refused: dispatch.guarded is off."""
    decision = speaker.say("open the garage door", area="kitchen")
    assert decision["outcome"] == "clarify"
    speaker.watcher.publish("voice_rl/confirm/kitchen", {"decision_id": decision["decision_id"], "verdict": "yes"})

    speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/say" and b"may not do that" in one.payload, "the refusal")
    assert lab.devices.commands == []


def test_weather_and_time_are_asked_of_home_assistant(speaker: Speaker) -> None:
    """What is Home Assistant's own is handed to its agent, and its words are said."""
    assert any(one.isdigit() for one in speaker.hear(speaker.say("what time is it", area="kitchen")))


def test_switching_back_in_home_assistant_is_an_undo(speaker: Speaker, lab: Lab) -> None:
    """A person who takes it back on a page of Home Assistant teaches with his name."""
    decision = speaker.say("turn on the counter bar", area="kitchen")
    speaker.hear(decision)
    speaker.let_pass(1.2)  # a person needs more than a second
    lab.rest("POST", "/api/services/light/turn_off", {"entity_id": "light.counter_bar"})

    speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/event" and b'"undo"' in one.payload, "the undo")


def test_satellite_has_its_area(speaker: Speaker, lab: Lab) -> None:
    """A command from the satellite is heard in the kitchen, though it names no area."""
    assert speaker.say("turn on the bar", satellite_id=satellite_of(lab))["area"] == "kitchen"


def test_changes_on_the_pages_are_known_within_seconds(speaker: Speaker, lab: Lab) -> None:
    """A new alias, a renamed entity and a hidden one count without a restart."""
    lab.change("light.ceiling", aliases=[*lab.entry("light.ceiling")["aliases"], "the sun"])
    lab.change("light.desk_lamp", new_entity_id="light.reading_lamp")
    try:
        lab.expose("fan.fan", should_expose=False)
        speaker.settle_home(EXPOSED - 1)
        decision = speaker.say("turn on the sun", area="kitchen")
        assert [one["target"]["entity_id"] for one in decision["actions"]] == [["light.ceiling"]]
        speaker.hear(decision)
        decision = speaker.say("turn on the desk lamp", area="study")
        assert [one["target"]["entity_id"] for one in decision["actions"]] == [["light.reading_lamp"]]
        assert speaker.say("turn on the bedroom fan", area="wo_shi")["actions"] == []
    finally:
        lab.expose("fan.fan")
        lab.change("light.reading_lamp", new_entity_id="light.desk_lamp")
        lab.change("light.ceiling", aliases=[one for one in lab.entry("light.ceiling")["aliases"] if one != "the sun"])


def test_revoked_token_is_said_once_and_another_taken(start_speaker: StartSpeaker, lab: Lab) -> None:
    """After the token was revoked the home is kept, commands say why nothing happens, and a new token in the file mends it."""
    speaker = start_speaker(token=lab.new_token("short"))
    speaker.settle_home(EXPOSED)
    lab.revoke("short")
    speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/error" and b"refused the token" in one.payload, "the error", deadline_s=30)
    told = speaker.hear(speaker.say("turn on the counter bar", area="kitchen"))
    errors = [one for one in speaker.watcher.on_topic("voice_rl/error") if b"refused the token" in one.payload]
    home = speaker.daemon._config.home
    assert home.token_file is not None
    home.token_file.write_text(lab.token)
    speaker.settle_home(EXPOSED)

    assert told == "I cannot reach Home Assistant."
    assert len(errors) == 1
    assert speaker.hear(speaker.say("turn on the counter bar", area="kitchen")) == "Done."


def test_restart_of_home_assistant_is_survived(speaker: Speaker, lab: Lab) -> None:
    """While it is away the home is kept and a command says so; when it is back the same words work."""
    lab.stop_home_assistant()
    try:
        speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/error" and b"kept as it was" in one.payload, "the error")
        decision = speaker.say("turn on the counter bar", area="kitchen")
        assert speaker.hear(decision) == "I cannot reach Home Assistant."
    finally:
        lab.start_home_assistant()
        lab.wait_running()
    speaker.settle_home(EXPOSED)
    lab.wait_state("light.counter_bar", "off")

    assert speaker.hear(speaker.say("turn on the counter bar", area="kitchen")) == "Done."
    assert [key for key, _ in lab.devices.commands] == ["counter_bar"]
    assert len([one for one in speaker.watcher.on_topic("voice_rl/error") if b"kept as it was" in one.payload]) == 1
