"""The daemon over a real mosquitto, with a real store and a fake brain."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.conftest import House
from tests.fakes import HOME
from tests.mosquitto import DEADLINE_S

StartHouse = Callable[..., House]


def test_command_becomes_decision_event_and_action(house: House) -> None:
    """A command is decided, told, stored, and published as an action with its expiry."""
    house.say("turn on the lamp")
    decision, action = house.decision(), house.action()
    event = house.watcher.wait_topic("voice_rl/event")

    assert decision["outcome"] == "act"
    assert decision["executor"] == "dispatch"
    assert decision["area"] == "kitchen"
    assert action["decision_id"] == decision["decision_id"] == event["decision_id"]
    assert (action["step"], action["steps"], action["service"]) == (1, 1, "light.turn_on")
    assert action["target"] == {"entity_id": ["light.lamp"]}
    assert 0 < action["expires_at"] - time.time() < 6
    assert "turn on" not in json.dumps(event)
    house.settle()
    with house.open_store() as store:
        assert store.decision(decision["decision_id"]) is not None
        deadline = time.monotonic() + DEADLINE_S
        while store.open_steps(since=0.0):  # marked soon after the broker has acknowledged it
            assert time.monotonic() < deadline


@pytest.mark.parametrize("payload", ["turn on the lamp", "开灯"])
def test_command_may_be_plain_text(house: House, payload: str) -> None:
    """Plain text is a command, in English and Chinese."""
    house.watcher.publish("voice_rl/command/厨房" if payload == "开灯" else "voice_rl/command", payload)

    assert house.decision()["utterance"] == payload
    house.action()


def test_success_is_said_when_it_was_reported(house: House) -> None:
    """Nothing is said before the result came; then it is."""
    house.say("turn on the lamp")
    action = house.action()
    assert house.watcher.on_topic("voice_rl/say") == []

    house.watcher.publish("voice_rl/result", {"decision_id": action["decision_id"], "step": 1, "ok": True})
    said = house.watcher.wait_topic("voice_rl/say")

    assert (said["text"], said["expect_reply"], said["decision_id"]) == ("Done.", False, action["decision_id"])


def test_success_is_said_when_the_state_was_seen(house: House) -> None:
    """The expected state counts as success."""
    house.watcher.publish("voice_rl/state/light/lamp/state", "off", retain=True)
    house.say("turn on the lamp")
    house.action()
    house.watcher.publish("voice_rl/state/light/lamp/state", "on", retain=True)

    assert house.watcher.wait_topic("voice_rl/say")["text"] == "Done."


def test_silence_is_said_as_failure(house: House) -> None:
    """A device that does not answer is named, and the event is `failed`."""
    house.say("turn on the lamp")
    house.action()

    assert house.watcher.wait_topic("voice_rl/say")["text"] == "Lamp did not answer."
    assert house.watcher.wait_topic("voice_rl/event", count=2)["event_type"] == "failed"


@pytest.mark.parametrize(
    ("payload", "word"),
    [(b"", "empty"), (b"\xff\xfe", "UTF-8"), (b'{"text": 5}', "text"), (b"{", "JSON"), (b"[" * 5000, "words"), (b'{"a":' + b"[" * 4000, "nested"),
     (b"x" * 9000, "bytes"), (b'{"text":"\\ud800"}', "surrogate"), (b'{"text":"hi","area":"pool"}', "area"), (b'{"text":"hi","at":"now"}', "Unix")],
)  # fmt: skip
def test_malformed_command_is_an_error(house: House, payload: bytes, word: str) -> None:
    """A malformed command is reported on the error topic, decides nothing, and the next one works."""
    house.watcher.publish("voice_rl/command", payload)
    if word == "words":  # plain text that is too long for a command
        word = "characters"
    error = house.watcher.wait_topic("voice_rl/error")
    house.say("turn on the lamp")

    assert error["error"] == "MessageError"
    assert word in error["detail"]
    assert error["topic"] == "voice_rl/command"
    assert house.decision()["outcome"] == "act"


def test_failure_of_a_part_is_an_error(house: House) -> None:
    """An exception inside the brain costs one command, not the daemon."""
    house.say("crash")
    error = house.watcher.wait_topic("voice_rl/error")
    house.say("turn on the lamp")

    assert "RuntimeError" in error["detail"]
    assert house.decision()["outcome"] == "act"


def test_retained_inputs_are_ignored(start_house: StartHouse) -> None:
    """A retained command that lies at the broker is neither executed at the start nor later, and is counted."""
    house = start_house(before=lambda watcher: watcher.publish("voice_rl/command", "turn on the lamp", retain=True))
    house.settle()

    assert [json.loads(one.payload)["utterance"] for one in house.watcher.on_topic("voice_rl/decision")] == ["nonsense 1"]
    assert house.daemon.counters["retained_ignored"] == 1


def test_duplicate_commands_run_once(house: House) -> None:
    """The same id within ten minutes runs once, also across a restart."""
    house.say("louder", id="u1")
    house.say("louder", id="u1")
    house.settle()

    assert len(house.watcher.on_topic("voice_rl/action/media_player/volume_up")) == 1
    assert house.daemon.counters["duplicates"] == 1


def test_duplicate_commands_run_once_across_a_restart(start_house: StartHouse) -> None:
    """An id that was decided before a restart is known after it."""
    first = start_house()
    first.say("louder", id="u1")
    first.action("media_player/volume_up")
    first.daemon.stop()
    first.threads[0].join(DEADLINE_S)
    second = start_house()
    second.say("louder", id="u1")
    second.settle()

    assert second.watcher.on_topic("voice_rl/action/media_player/volume_up") == []
    assert second.daemon.counters["duplicates"] == 1


def test_over_age_commands_are_refused(house: House) -> None:
    """A command that is older than the freshness is not executed, and that is said."""
    house.say("turn on the lamp", at=time.time() - 60)
    error = house.watcher.wait_topic("voice_rl/error")
    house.say("turn on the lamp", at=time.time())

    assert "60." in error["detail"]
    assert house.decision()["outcome"] == "act"
    assert house.daemon.counters["stale"] == 1


def test_commands_sent_while_away_are_refused(start_house: StartHouse) -> None:
    """A command that waited at the broker while the daemon was down is not executed late."""
    first = start_house()
    first.daemon.stop()
    first.threads[0].join(DEADLINE_S)
    first.watcher.publish("voice_rl/command", "turn on the lamp")
    second = start_house()
    error = first.watcher.wait_topic("voice_rl/error")
    second.settle()

    assert "waited" in error["detail"]
    assert first.watcher.on_topic("voice_rl/action/light/turn_on") == []


def test_yes_becomes_a_reward(house: House) -> None:
    """A yes on the only decision there is stored as a reward of +1."""
    house.say("turn on the lamp")
    decision = house.decision()
    house.watcher.publish("voice_rl/confirm/kitchen", "yes")
    house.settle()

    with house.open_store() as store:
        stored = store.stored(decision["decision_id"])
    assert stored is not None
    assert stored.settlement is not None
    assert stored.settlement.reward == 1.0


def test_yes_without_a_decision_is_an_error(house: House) -> None:
    """A confirmation without anything to confirm, or with several, is an error."""
    house.watcher.publish("voice_rl/confirm/hall", "yes")
    assert "no decision" in house.watcher.wait_topic("voice_rl/error")["detail"]
    house.say("turn on the lamp")
    house.say("turn on the desk lamp")
    house.decision(count=2)

    house.watcher.publish("voice_rl/confirm/kitchen", "yes")
    assert "2 decisions" in house.watcher.wait_topic("voice_rl/error", count=2)["detail"]


def test_correction_is_done_now_and_remembered(house: House) -> None:
    """A correction takes the wrong action back, does the right one, and the same words then do the right thing at once."""
    house.watcher.publish("voice_rl/state/light/lamp/state", "off", retain=True)
    house.say("turn on the lamp")
    wrong = house.decision()
    house.watcher.publish(
        "voice_rl/confirm", {"decision_id": wrong["decision_id"], "verdict": "no", "correction": {"text": "turn on the desk lamp"}}
    )
    assert house.action("light/turn_off")["target"] == {"entity_id": ["light.lamp"]}
    assert house.action(count=2)["target"] == {"entity_id": ["light.desk"]}

    house.say("Turn on the lamp!")
    again = house.decision(count=3)

    assert again["stage"] == "memory"
    assert again["actions"][0]["target"] == {"entity_id": ["light.desk"]}
    with house.open_store() as store:
        stored = store.stored(wrong["decision_id"])
        assert stored is not None
        assert stored.settlement is not None
        assert stored.settlement.reward == -1.0
        assert [action.to_line() for action in stored.settlement.correction or ()] == ["light.turn_on light.desk"]
        assert len(store.load_memory()) == 1


def test_correction_survives_a_restart(start_house: StartHouse) -> None:
    """What was remembered is known after a restart."""
    first = start_house()
    first.say("turn on the lamp")
    wrong = first.decision()
    first.watcher.publish(
        "voice_rl/confirm", {"decision_id": wrong["decision_id"], "verdict": "correct", "correction": {"text": "turn on the desk lamp"}}
    )
    first.decision(count=2)
    first.settle()
    first.daemon.stop()
    first.threads[0].join(DEADLINE_S)
    second = start_house()
    second.say("turn on the lamp")

    assert second.decision()["stage"] == "memory"


def test_spoken_correction_is_done_and_remembered(house: House) -> None:
    """A spoken correction is feedback on the last decision there and a decision of its own."""
    house.say("turn on the lamp")
    house.action()
    house.say("no, the desk lamp")
    assert house.action(count=2)["target"] == {"entity_id": ["light.desk"]}
    house.say("turn on the lamp")

    assert house.decision(count=3)["stage"] == "memory"


def test_undo_restores_the_snapshot(house: House) -> None:
    """Undo publishes what brings the former state back."""
    house.watcher.publish("voice_rl/state/light/lamp/state", "off", retain=True)
    house.say("turn on the lamp")
    decision = house.decision()
    house.watcher.publish("voice_rl/confirm", "undo")

    assert house.action("light/turn_off")["target"] == {"entity_id": ["light.lamp"]}
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/event" and b'"undo"' in one.payload, "the undo event")
    with house.open_store() as store:
        stored = store.stored(decision["decision_id"])
    assert stored is not None
    assert stored.settlement is not None
    assert stored.settlement.reward == -1.0


def test_spoken_undo_of_the_unknown_says_so(house: House) -> None:
    """Where the former state is not known the undo says that it cannot."""
    house.say("turn on the lamp")
    house.action()
    house.say("undo that")

    house.watcher.wait_for(lambda one: one.topic == "voice_rl/say" and b"cannot" in one.payload, "the answer")


def test_choice_answers_the_question_and_is_remembered(house: House) -> None:
    """A picked choice is executed under the same id, and not asked again."""
    house.say("light please")
    asked = house.decision()
    question = house.watcher.wait_topic("voice_rl/say")
    assert (question["text"], question["expect_reply"]) == ("Which light?", True)

    house.watcher.publish(
        "voice_rl/confirm", {"decision_id": asked["decision_id"], "verdict": "yes", "correction": {"choice": "Desk lamp"}}
    )
    assert house.action()["target"] == {"entity_id": ["light.desk"]}
    assert house.decision(count=2)["decision_id"] == asked["decision_id"]
    house.say("light please")
    assert house.decision(count=3)["stage"] == "memory"


def test_choice_is_taken_once(house: House) -> None:
    """A second answer to the same question does nothing."""
    house.say("light please")
    asked = house.decision()
    for choice in (0, 1):
        house.watcher.publish("voice_rl/confirm", {"decision_id": asked["decision_id"], "verdict": "yes", "correction": {"choice": choice}})
    house.watcher.wait_topic("voice_rl/error")

    assert len(house.watcher.on_topic("voice_rl/action/light/turn_on")) == 1


def test_risky_action_needs_its_id_once(house: House) -> None:
    """A risky action runs only after a yes with its decision id, once, and is never remembered."""
    house.say("unlock the front door", area="hall")
    asked = house.decision()
    house.watcher.publish("voice_rl/confirm/hall", "yes")
    assert "decision_id" in house.watcher.wait_topic("voice_rl/error")["detail"]
    assert house.watcher.on_topic("voice_rl/action/lock/unlock") == []

    for _ in range(2):
        house.watcher.publish("voice_rl/confirm", {"decision_id": asked["decision_id"], "verdict": "yes"})
    house.action("lock/unlock")
    house.say("unlock the front door", area="hall")

    assert house.decision(count=3)["outcome"] == "clarify"
    assert len(house.watcher.on_topic("voice_rl/action/lock/unlock")) == 1


def test_query_is_answered_from_the_state(house: House) -> None:
    """A question about a state is answered, and nothing is dispatched."""
    house.say("is the lamp on")
    assert house.watcher.wait_topic("voice_rl/say")["text"] == "I don't know the state of the Lamp."
    house.watcher.publish("voice_rl/state/light/lamp/state", "on", retain=True)
    house.say("is the lamp on")

    assert house.watcher.wait_topic("voice_rl/say", count=2)["text"] == "The Lamp is on."
    assert house.watcher.on_topic("voice_rl/action/query/state") == []


def test_home_from_the_topic_is_kept(start_house: StartHouse) -> None:
    """A home on the retained topic is used, kept on disk as the last good one, and a wrong one changes nothing."""
    first = start_house(home=None)
    assert first.watcher.wait_topic("voice_rl/health")["home"] == {"areas": 0, "entities": 0}
    first.watcher.publish("voice_rl/home", HOME.to_mapping(), retain=True)
    first.watcher.wait_for(lambda one: one.topic == "voice_rl/health" and b'"entities":4' in one.payload, "the home")
    first.watcher.publish("voice_rl/home", '{"entities":[{"id":"nonsense"}]}', retain=True)
    first.watcher.wait_topic("voice_rl/error")
    first.watcher.publish("voice_rl/home", b"", retain=True)
    first.say("turn on the lamp")
    assert first.decision()["area"] == "kitchen"
    first.daemon.stop()
    first.threads[0].join(DEADLINE_S)

    second = start_house(home=None)
    second.say("turn on the lamp")
    assert second.decision()["area"] == "kitchen"


def test_response_topic_is_honoured(house: House) -> None:
    """The decision is also sent where the MQTT 5 request asks for it, with its correlation data; never onto our own inputs."""
    house.watcher.publish("voice_rl/command/kitchen", "turn on the lamp", response_topic="my/answer", correlation=b"7")
    message = house.watcher.wait_for(lambda one: one.topic == "my/answer", "the response")
    assert message.properties.CorrelationData == b"7"  # type: ignore[union-attr]

    house.watcher.publish("voice_rl/command/kitchen", "turn on the lamp", response_topic="voice_rl/confirm")
    assert "response topic" in house.watcher.wait_topic("voice_rl/error")["detail"]


def test_guest_mode_acts_and_stores_nothing(house: House) -> None:
    """A guest's commands run; no file of the store holds their words; the mode is told and survives a restart."""
    house.watcher.publish("voice_rl/learning/set", "guest")
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/learning" and one.payload == b"guest", "the mode")
    house.say("turn on the lamp")
    house.action()
    house.watcher.publish("voice_rl/confirm/kitchen", {"verdict": "no", "correction": {"text": "turn on the desk lamp"}})
    house.action(count=2)

    with house.open_store() as store:
        assert store.count() == (0, 0)
        assert store.load_memory() == ()
    assert (house.config.store.path / "learning_mode").read_text() == "guest"


def test_new_champion_is_swapped_in(house: House) -> None:
    """A promoted model decides the next command, without a restart."""
    house.models.names.append("v2")
    house.watcher.publish("voice_rl/model/set", "install")
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/model" and b'"installed_version":"v2"' in one.payload, "the model")
    house.say("turn on the lamp")
    assert house.decision()["policy_version"] == "v2"

    house.watcher.publish("voice_rl/model/set", "rollback")
    house.watcher.wait_for(
        lambda one: one.topic == "voice_rl/model" and b'"installed_version":"base"' in one.payload, "the old model", count=2
    )


@pytest.mark.parametrize("name", ["broken", "unloadable"])
def test_bad_champion_is_rolled_back(house: House, name: str) -> None:
    """A model that does not load or fails its probe is rolled back, and the champion goes on."""
    house.models.names.append(name)
    house.watcher.publish("voice_rl/model/set", {"version": name})
    error = house.watcher.wait_topic("voice_rl/error")
    house.say("turn on the lamp")

    assert error["error"] == "ModelError"
    assert house.decision()["policy_version"] == "base"
    assert house.models.champion_version() == "base"


def test_no_model_refuses(start_house: StartHouse) -> None:
    """Without a model every command is refused with the reason, and health says so."""
    house = start_house(names=())
    health = house.watcher.wait_topic("voice_rl/health")
    house.say("turn on the lamp")
    decision = house.decision()

    assert health["status"] == "degraded"
    assert "no model" in health["model"]
    assert (decision["outcome"], decision["reason_code"]) == ("reject", "no_model")


def test_shadow_publishes_no_action(start_house: StartHouse) -> None:
    """In shadow mode the decision is told and nothing is dispatched."""
    house = start_house(is_shadow=True)
    house.say("turn on the lamp")
    assert house.decision()["executor"] == "none"
    house.settle()

    assert house.watcher.on_topic("voice_rl/action/light/turn_on") == []


def test_training_runs_as_a_process(start_house: StartHouse, tmp_path: Path) -> None:
    """`train/set start` runs the trainer and publishes its progress; its failure is told with its last words."""
    script = tmp_path / "trainer.py"
    script.write_text("import json\nprint(json.dumps({'phase': 'fit', 'progress_pct': 40}), flush=True)\nraise SystemExit('no data')\n")
    house = start_house(trainer=f"{sys.executable} {script}")
    house.watcher.publish("voice_rl/train/set", "start")
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/train" and b'"fit"' in one.payload, "the progress")
    message = house.watcher.wait_for(lambda one: one.topic == "voice_rl/train" and b'"done"' in one.payload, "the end")

    assert "no data" in json.loads(message.payload)["result"]


def test_status_is_online_then_offline(house: House) -> None:
    """The retained status says online after the start and offline after a clean stop."""
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/status" and one.payload == b"online", "online")
    house.daemon.stop()
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/status" and one.payload == b"offline", "offline")
    house.threads[0].join(DEADLINE_S)

    assert not house.threads[0].is_alive()


def test_announcement_is_repeated_after_a_broker_restart(house: House) -> None:
    """After the broker came back the retained topics are published again and commands work."""
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/status" and one.payload == b"online", "online")
    house.server.stop()
    house.server.start()
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/status" and one.payload == b"online", "online again", count=2)
    house.say("turn on the lamp", at=time.time())

    assert house.decision()["outcome"] == "act"


def test_flipped_state_is_an_undo(house: House) -> None:
    """A person who switches it back within 15 s gives weak negative feedback; our own echo does not."""
    house.watcher.publish("voice_rl/state/light/lamp/state", "off", retain=True)
    house.say("turn on the lamp")
    decision = house.decision()
    house.action()
    house.watcher.publish("voice_rl/state/light/lamp/state", "on", retain=True)
    house.watcher.wait_topic("voice_rl/say")
    deadline = time.monotonic() + 1.2
    while time.monotonic() < deadline:  # a person needs more than a second
        house.settle()
    house.watcher.publish("voice_rl/state/light/lamp/state", "off", retain=True)
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/event" and b'"undo"' in one.payload, "the undo event")
    house.settle()

    with house.open_store() as store:
        stored = store.stored(decision["decision_id"])
    assert stored is not None
    assert stored.settlement is not None
    assert stored.settlement.reward == -0.3
