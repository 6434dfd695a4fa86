"""The device in Home Assistant, over a real mosquitto: announced, kept, republished, and every button of it works."""

import json
import queue
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest

from tests.daemon.conftest import FakeModels, House
from tests.doors.discovery_schema import problems_of, problems_of_update
from tests.fakes import FakePolicy
from tests.mosquitto import DEADLINE_S, Watcher
from voice_rl_plugin.config import DoorsSection
from voice_rl_plugin.daemon.reload import Loaded, ModelWatch

StartHouse = Callable[..., House]
TOPIC = "homeassistant/device/voice_rl/config"


class HomeAssistant:
    """What Home Assistant makes of the announcement: commands from templates, states from topics."""

    def __init__(self, watcher: Watcher, topic: str = TOPIC) -> None:
        self.watcher = watcher
        self.device: dict[str, Any] = watcher.wait_topic(topic)
        self.components: dict[str, Any] = self.device["components"]
        self.event: dict[str, Any] = {}
        self._environment = jinja2.Environment(autoescape=False)  # noqa: S701 - nothing is shown in a browser
        self._environment.filters["to_json"] = lambda value: json.dumps(value, ensure_ascii=False)
        self._environment.tests["match"] = lambda value, find: re.match(find, value) is not None
        self._environment.globals |= {
            "device_id": lambda entity_id: f"device of {entity_id}",
            "device_entities": lambda _: ["button.voice_rl_right", "event.voice_rl_decision"],
            "state_attr": lambda entity_id, name: self.event.get(name) if entity_id == "event.voice_rl_decision" else None,
        }

    def send(self, key: str, value: str) -> None:
        """Press a button, pick an option, type a text, install."""
        one = self.components[key]
        value = one.get("payload_press") or one.get("payload_install") or value
        if "command_template" in one:
            template = self._environment.from_string(one["command_template"])
            value = template.render(value=value, entity_id=one["default_entity_id"])
        self.watcher.publish(one["command_topic"], value)

    def press(self, key: str) -> None:
        """Press a button."""
        self.send(key, "")

    def state(self, key: str) -> str:
        """Return the last state of a component; Home Assistant takes `None` for unknown."""
        one = self.components[key]
        self.watcher.wait_topic(one["state_topic"])
        payload = self.watcher.on_topic(one["state_topic"])[-1].payload.decode()
        if "value_template" not in one:
            return payload
        parsed = json.loads(payload) if payload.startswith("{") else {}
        return self._environment.from_string(one["value_template"]).render(value=payload, value_json=parsed)

    def wait_state(self, key: str, value: str) -> None:
        """Wait until a component has a state."""
        deadline = time.monotonic() + DEADLINE_S * 2  # the metrics come every ten seconds
        while self.state(key) != value:
            assert time.monotonic() < deadline, f"{key}: expected {value}, is {self.state(key)}"
            self.watcher.wait_more(0.2)

    def see_event(self, *, count: int) -> dict[str, Any]:
        """Take the `count`-th event as the state of the event entity."""
        self.event = self.watcher.wait_topic("voice_rl/event", count=count)
        return self.event


@pytest.fixture
def home_assistant(house: House) -> HomeAssistant:
    """Return what Home Assistant knows of a running daemon."""
    return HomeAssistant(house.watcher)


def retained(house: House, topic: str = TOPIC) -> list[bytes]:
    """Return what a newcomer finds retained on a topic."""
    newcomer = Watcher(house.server.port, (topic, "test/end"), name=f"newcomer{time.monotonic_ns()}")
    newcomer.publish("test/end", "x")
    newcomer.wait_topic("test/end")
    newcomer.close()
    return [bytes(one.payload) for one in newcomer.on_topic(topic) if one.retain]


def test_device_is_announced_retained_and_right(house: House) -> None:
    """The announcement lies retained at the broker, and is what Home Assistant takes."""
    lying = retained(house)

    assert len(lying) == 1
    assert problems_of(TOPIC, json.loads(lying[0])) == []
    assert json.loads(lying[0])["components"]["command"]["name"] == "Command"


def test_device_is_announced_again_on_the_birth_message(house: House) -> None:
    """When Home Assistant comes up, device and states are published once more."""
    watcher = house.watcher
    watcher.wait_topic(TOPIC)
    watcher.publish("homeassistant/status", "online", qos=0)

    for topic in (TOPIC, "voice_rl/model", "voice_rl/learning", "voice_rl/metrics", "voice_rl/train", "voice_rl/status"):
        watcher.wait_topic(topic, count=2)


def test_device_is_announced_again_to_a_broker_that_lost_it(house: House) -> None:
    """After a reconnect the device is there again, even where somebody had removed it."""
    house.watcher.wait_topic(TOPIC)
    house.watcher.publish(TOPIC, "", retain=True)
    house.server.stop()
    house.server.start()

    house.watcher.wait_for(lambda one: one.topic == TOPIC and bool(one.payload), "the device", count=2, deadline_s=30.0)


def test_device_may_be_switched_off(start_house: StartHouse) -> None:
    """With doors.discovery false nothing is announced, and all else works."""
    house = start_house(doors=DoorsSection(discovery=False))
    house.say("turn on the lamp")
    house.action()

    assert retained(house) == []


def test_prefix_and_language_are_configured(start_house: StartHouse) -> None:
    """Another discovery prefix and Chinese names."""
    house = start_house(doors=DoorsSection(discovery_prefix="ha/discovery", discovery_language="zh"))
    device = house.watcher.wait_topic("ha/discovery/device/voice_rl/config")

    assert device["components"]["command"]["name"] == "指令"
    assert house.watcher.on_topic(TOPIC) == []


@pytest.mark.parametrize("text", ["turn on the lamp", "开灯", '{"text": "turn on the lamp"} really'])
def test_text_box_is_heard_and_keeps_nothing(house: House, home_assistant: HomeAssistant, text: str) -> None:
    """What is typed is a command, braces and all; the box stays empty."""
    home_assistant.send("command", text)

    assert house.decision()["utterance"] == text
    assert home_assistant.state("command") == ""


def test_event_of_the_last_decision_has_no_words(house: House, home_assistant: HomeAssistant) -> None:
    """The event says what was decided in a word that is announced, and nothing of what was said."""
    home_assistant.send("command", "turn on the lamp")
    event = home_assistant.see_event(count=1)

    assert event["event_type"] in home_assistant.components["decision"]["event_types"]
    assert set(event) == {"event_type", "decision_id", "area", "domain"}
    assert not house.watcher.on_topic("voice_rl/event")[0].retain


@pytest.mark.parametrize(("key", "kind"), [("right", "confirmed"), ("wrong", "denied"), ("undo", "undone")])
def test_buttons_judge_the_last_decision_of_several(house: House, home_assistant: HomeAssistant, key: str, kind: str) -> None:
    """After two commands in a row a button is about the one that the page shows, not about either."""
    house.watcher.publish("voice_rl/state/light/desk/state", "off", retain=True)
    house.say("turn on the lamp")
    home_assistant.see_event(count=1)
    house.say("turn on the desk lamp", area="hall")
    event = home_assistant.see_event(count=2)
    home_assistant.press(key)
    house.settle()

    with house.open_store() as store:
        stored = store.stored(event["decision_id"])
        assert stored is not None
        assert [one.feedback.verdict for one in stored.judgements] == [{"right": "yes", "wrong": "no", "undo": "undo"}[key]]
        assert store.tally(since=0.0)[kind] == 1
    assert house.watcher.on_topic("voice_rl/error") == []


def test_thumb_up_unlocks_no_door(house: House, home_assistant: HomeAssistant) -> None:
    """A risky question is not answered by the button that says that the last decision was right."""
    home_assistant.send("command", "unlock the front door")
    assert home_assistant.see_event(count=1)["event_type"] == "clarify"
    home_assistant.press("right")
    error = house.watcher.wait_topic("voice_rl/error")

    assert "risky" in error["detail"]
    assert house.watcher.on_topic("voice_rl/action/lock/unlock") == []


def test_learning_is_switched_on_the_page(home_assistant: HomeAssistant) -> None:
    """The select shows the mode and changes it."""
    assert home_assistant.state("learning") == "on"
    for mode in home_assistant.components["learning"]["options"]:
        home_assistant.send("learning", mode)
        home_assistant.wait_state("learning", mode)


def test_model_is_installed_and_rolled_back_on_the_page(start_house: StartHouse) -> None:
    """A newer version is offered, installed by the update entity, and left again by the button."""
    house = start_house(names=("base", "v2"))
    home_assistant = HomeAssistant(house.watcher)
    offered = house.watcher.wait_topic("voice_rl/model")
    home_assistant.send("model", "")
    house.watcher.wait_for(lambda one: b'"installed_version":"v2"' in one.payload, "v2")
    home_assistant.press("rollback")
    is_first = lambda one: one.topic == "voice_rl/model" and json.loads(one.payload) == offered  # noqa: E731
    house.watcher.wait_for(is_first, "the first state again, and no installation under way", count=2)

    expected = {"installed_version": "base", "latest_version": "v2", "in_progress": False, "release_summary": "all about v2"}
    assert offered == expected | {"canary": None, "shadow": None}
    assert json.loads(home_assistant.state("model")) == expected


def test_model_is_being_installed_while_it_loads(tmp_path: Path) -> None:
    """While a new champion loads, and no longer, an installation is under way."""
    models = FakeModels(tmp_path / "models")
    models.names.append("v2")
    may_load, told = threading.Event(), queue.Queue[tuple[Loaded, bool]]()

    def load(folder: Path) -> Any:
        assert may_load.wait(DEADLINE_S)
        return FakePolicy(folder.name)

    watch = ModelWatch(models, load=load, probe=lambda _: None, on_loaded=lambda loaded: told.put((loaded, watch.is_loading)))
    assert not watch.is_loading
    models.promote("v2", at=0.0)
    watch.check()
    assert watch.is_loading
    may_load.set()
    loaded, was_loading = told.get(timeout=DEADLINE_S)

    assert (loaded.error, was_loading) == (None, False)


def test_nothing_to_install_is_said(house: House, home_assistant: HomeAssistant) -> None:
    """Installing the newest when it is in use is an error with a reason, and changes nothing."""
    home_assistant.send("model", "")

    assert "nothing to install" in house.watcher.wait_topic("voice_rl/error")["detail"]


def test_missing_model_is_shown_as_none(start_house: StartHouse) -> None:
    """Without any model the installed version is empty, which Home Assistant takes; null it would refuse."""
    house = start_house(names=())
    model = house.watcher.wait_topic("voice_rl/model")

    assert (model["installed_version"], model["latest_version"]) == ("", "base")
    assert problems_of_update(json.loads(HomeAssistant(house.watcher).state("model"))) == []
    assert problems_of_update(model) == ["state: unknown key canary", "state: unknown key shadow"]


def test_training_is_started_and_shown_on_the_page(start_house: StartHouse) -> None:
    """The button starts the trainer; phase, progress and result are shown; before that they are unknown."""
    house = start_house(trainer='sh -c \'echo {\\"phase\\":\\"gate\\",\\"progress_pct\\":90}; exit 0\'')
    home_assistant = HomeAssistant(house.watcher)
    assert (home_assistant.state("training"), home_assistant.state("training_progress")) == ("idle", "None")

    home_assistant.press("retrain")
    home_assistant.wait_state("training", "done")

    seen = [json.loads(one.payload) for one in house.watcher.on_topic("voice_rl/train")]
    assert {"phase": "gate", "progress_pct": 90} in seen
    assert home_assistant.state("training_progress") == "100"


def test_sensors_of_the_week_survive_a_restart(start_house: StartHouse) -> None:
    """What was counted before a restart is shown after it; guests are not counted."""
    first = start_house()
    first.say("turn on the lamp")
    decision = first.decision()
    first.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "no"})
    first.watcher.publish("voice_rl/learning/set", "guest")
    first.watcher.wait_for(lambda one: one.topic == "voice_rl/learning" and one.payload == b"guest", "guest")
    first.say("turn on the lamp")
    first.decision(count=2)
    first.watcher.publish("voice_rl/learning/set", "on")
    first.settle()
    first.daemon.stop()
    first.threads[0].join(DEADLINE_S)
    second = start_house()
    home_assistant = HomeAssistant(second.watcher)
    second.watcher.wait_for(lambda one: one.topic == "voice_rl/metrics" and not one.retain, "fresh metrics")

    shown = {key: home_assistant.state(key) for key in ("acted", "asked", "rejected", "corrected", "denied")}
    assert shown == {"acted": "1", "asked": "0", "rejected": "1", "corrected": "0", "denied": "1"}
    assert json.loads(second.watcher.on_topic("voice_rl/metrics")[-1].payload)["acted"] == 0
    assert home_assistant.state("decision_time") == "None"


def test_announcement_that_fails_stops_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model store that cannot be listed is an error on the topic; commands go on."""

    def fail(version: str) -> tuple[str, ...]:
        raise PermissionError(13, "Permission denied", version)

    monkeypatch.setattr(house.models, "newer_than", fail)
    house.watcher.publish("voice_rl/learning/set", "off")
    error = house.watcher.wait_topic("voice_rl/error")
    house.say("turn on the lamp")

    assert "PermissionError" in error["detail"]
    assert house.decision()["outcome"] == "act"
