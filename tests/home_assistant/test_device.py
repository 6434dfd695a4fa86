"""The device page in a real Home Assistant: everything is done as a person does it on the page, and seen there.

`-o log_cli=true -o log_cli_level=INFO` prints what happened and how long it took.
"""

import json
import logging
import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.home_assistant.conftest import Speaker, StartSpeaker
from tests.home_assistant.lab import Lab
from voice_rl_plugin.doors.discovery import device_payload, device_topic
from voice_rl_plugin.learning.models import BASE_FOLDER, ModelStore

_LOGGER = logging.getLogger(__name__)

EXPOSED = 9
PLATFORMS = {"text": 1, "button": 5, "event": 1, "select": 1, "update": 1, "sensor": 8, "binary_sensor": 1}


class Page:
    """The device page: one person who types, presses and looks."""

    def __init__(self, speaker: Speaker) -> None:
        self.lab, self.speaker = speaker.lab, speaker
        self.ids: dict[str, str] = {}
        """Entity ids by component; before 2025.10 Home Assistant makes them from the names."""

    def open(self) -> None:
        """Wait until every component is there and available."""
        wanted = device_payload(prefix="voice_rl", version="")["components"]

        def is_complete() -> bool:
            self.ids = entities(self.lab)
            return self.ids.keys() == wanted.keys() and "unavailable" not in [self.lab.state(one) for one in self.ids.values()]

        self.lab.until(is_complete, "the device page", deadline_s=30)

    def state(self, key: str) -> str:
        """Return the state of a component."""
        return self.lab.state(self.ids[key])

    def attributes(self, key: str) -> dict[str, Any]:
        """Return the attributes of a component."""
        found: dict[str, Any] = self.lab.rest("GET", f"/api/states/{self.ids[key]}")["attributes"]
        return found

    def event(self) -> tuple[str, str, str]:
        """Return when the last decision was, what it was, and its id."""
        seen = self.lab.rest("GET", f"/api/states/{self.ids['decision']}")
        return seen["state"], seen["attributes"].get("event_type", ""), seen["attributes"].get("decision_id", "")

    def call(self, service: str, key: str, **data: Any) -> None:
        """Call a service on a component."""
        self.lab.rest("POST", f"/api/services/{service.replace('.', '/')}", {"entity_id": self.ids[key], **data})

    def press(self, key: str) -> None:
        """Press a button."""
        self.call("button.press", key)
        _LOGGER.info("%s pressed", self.ids[key])

    def say(self, text: str, outcome: str = "act") -> str:
        """Type a command; return the id of the decision that the page shows then."""
        before, begun = self.event(), time.monotonic()
        self.call("text.set_value", "command", value=text)
        self.lab.until(lambda: self.event()[0] != before[0], f"a decision about {text!r}", deadline_s=15)
        _LOGGER.info("typed %r: %s after %.0f ms", text, self.event()[1], (time.monotonic() - begun) * 1000)
        assert self.event()[1] == outcome
        return self.event()[2]

    def wait(self, key: str, check: Callable[[str, dict[str, Any]], bool], *, deadline_s: float = 25.0) -> None:
        """Wait until a component, or another entity, is so."""
        begun, entity_id = time.monotonic(), self.ids.get(key, key)

        def is_so() -> bool:
            seen = self.lab.rest("GET", f"/api/states/{entity_id}")
            return check(seen["state"], seen["attributes"])

        self.lab.until(is_so, f"{entity_id}, which is {self.lab.state(entity_id)}", deadline_s=deadline_s)
        _LOGGER.info("%s is %s after %.0f ms", entity_id, self.lab.state(entity_id), (time.monotonic() - begun) * 1000)

    def wait_state(self, key: str, value: str) -> None:
        """Wait until a component, or another entity, has a state."""
        self.wait(key, lambda state, _: state == value)


@pytest.fixture
def page(lab: Lab, start_speaker: StartSpeaker) -> Page:
    """Return the page of a running daemon in a dark home."""
    for key in ("counter_bar", "ceiling", "desk_lamp", "bedside"):
        lab.devices.press(key, "OFF")
        lab.wait_state(f"light.{key}", "off")
    speaker = start_speaker()
    speaker.settle_home(EXPOSED)
    one = Page(speaker)
    one.open()
    one.wait_state("connection", "on")
    lab.devices.commands.clear()
    return one


def entities(lab: Lab) -> dict[str, str]:
    """Return the entity ids of the device by component."""
    devices = lab.ask({"type": "config/device_registry/list"})
    mine = [one["id"] for one in devices if ["mqtt", "voice_rl"] in one["identifiers"]]
    found = lab.ask({"type": "config/entity_registry/list"})
    return {one["unique_id"].removeprefix("voice_rl_"): one["entity_id"] for one in found if one["device_id"] in mine}


def test_device_appears_with_every_component(page: Page, lab: Lab) -> None:
    """One device, eighteen entities, none of them unavailable."""
    found = list(page.ids.values())
    _LOGGER.info("Home Assistant %s shows %s", lab.version, ", ".join(found))

    assert {platform: sum(one.startswith(f"{platform}.") for one in found) for platform in PLATFORMS} == PLATFORMS
    assert sum(PLATFORMS.values()) == len(found)
    assert page.attributes("command")["friendly_name"] == "Voice RL Command"


@pytest.mark.parametrize(("text", "key"), [("turn on the counter bar", "counter_bar"), ("打开床头灯", "bedside")])
def test_typed_command_switches_a_light_and_leaves_no_words(page: Page, lab: Lab, text: str, key: str) -> None:
    """The light is on, once; neither the box nor the event keeps what was typed."""
    page.say(text)
    page.wait_state(f"light.{key}", "on")
    shown = lab.rest("GET", "/api/states")

    assert [one for one, _ in lab.devices.commands] == [key]
    assert page.state("command") == ""
    assert text not in json.dumps(shown, ensure_ascii=False)


def test_wrong_then_corrected_then_right(page: Page, lab: Lab) -> None:
    """What was wrong is said to be wrong, then corrected in words; the same words do the right thing at once; the sensors count it."""
    page.say("turn on the counter bar")
    page.wait_state("light.counter_bar", "on")
    page.press("wrong")
    page.say("no, the desk lamp")
    page.wait_state("light.desk_lamp", "on")
    page.wait_state("light.counter_bar", "off")
    lab.devices.press("desk_lamp", "OFF")
    lab.wait_state("light.desk_lamp", "off")
    page.say("turn on the counter bar")
    page.wait_state("light.desk_lamp", "on")
    page.press("right")

    page.wait_state("corrected", "1")
    page.wait_state("denied", "1")
    assert lab.state("light.counter_bar") == "off"


def test_undo_by_button_and_by_hand(page: Page, lab: Lab) -> None:
    """The button takes the last action back; so does a hand at the lamp, which the page shows as undone."""
    page.say("turn on the counter bar")
    page.wait_state("light.counter_bar", "on")
    page.press("undo")
    page.wait_state("light.counter_bar", "off")
    page.wait("decision", lambda _, attributes: attributes["event_type"] == "undo")
    page.say("turn on the desk lamp")
    page.wait_state("light.desk_lamp", "on")
    page.speaker.let_pass(2.0)  # nobody is faster at the switch
    lab.devices.press("desk_lamp", "OFF")

    page.wait("decision", lambda _, attributes: attributes["event_type"] == "undo")


def test_thumb_up_opens_no_garage(page: Page, lab: Lab) -> None:
    """The garage asks, and the button that says that the last decision was right does not open it; a typed yes does."""
    page.say("open the garage door", "clarify")
    page.press("right")
    error = page.speaker.watcher.wait_topic("voice_rl/error")
    assert (error["topic"], "risky" in error["detail"], lab.state("cover.garage")) == ("voice_rl/confirm", True, "closed")


def test_learning_is_switched_on_the_page(page: Page) -> None:
    """The select follows, and a guest leaves no trace in the sensors."""
    for option in ("guest", "off", "on"):
        page.call("select.select_option", "learning", option=option)
        page.wait_state("learning", option)


def test_update_entity_installs_and_the_button_rolls_back(page: Page, lab: Lab) -> None:
    """A version that passed its gate is offered, installed while people speak, and left again."""
    models = ModelStore(page.speaker.daemon._config.models.path)
    folder = models.path.parent / "copy"
    folder.mkdir()
    manifest = json.loads((BASE_FOLDER / "manifest.json").read_text())
    for name in manifest.pop("files"):
        shutil.copy(BASE_FOLDER / name, folder)
    models.add(folder, {**manifest, "version": "v2", "parent": "base", "metrics": {"labels": 132}, "gate": {"passed": True}})
    page.wait_state("model", "on")
    offered = page.attributes("model")
    page.call("update.install", "model")
    page.wait("model", lambda _, attributes: attributes["installed_version"] == "v2" and not attributes["in_progress"])
    page.say("turn on the desk lamp")
    lab.wait_state("light.desk_lamp", "on")
    page.press("rollback")
    page.wait("model", lambda _, attributes: attributes["installed_version"] == "base" and not attributes["in_progress"])

    assert (offered["installed_version"], offered["latest_version"]) == ("base", "v2")
    assert offered["release_summary"] == "learned from 132 labels of this home, after base; the gate was passed"


def test_training_is_started_on_the_page(page: Page) -> None:
    """The button starts the trainer, and the sensor tells its end and why nothing was trained."""
    page.press("retrain")
    page.wait("training", lambda state, attributes: state == "done" and bool(attributes["result"]), deadline_s=120)
    result = page.attributes("training")["result"]
    _LOGGER.info("training: %s", result)

    assert "nothing was trained" in result or "cannot be started" in result


def test_home_assistant_restarts(page: Page, lab: Lab) -> None:
    """After a restart of Home Assistant the device is there, its states are known, and its buttons work."""
    lab.stop_home_assistant()
    begun = time.monotonic()
    lab.start_home_assistant()
    lab.wait_running()
    page.wait_state("connection", "on")
    page.open()
    page.wait_state("learning", "on")
    _LOGGER.info("the device is back %.1f s after Home Assistant was started", time.monotonic() - begun)
    lab.devices.announce()
    page.speaker.settle_home(EXPOSED)
    page.say("turn on the counter bar")

    page.wait_state("light.counter_bar", "on")
    assert "unavailable" not in [lab.state(one) for one in entities(lab).values()]


def test_device_is_unavailable_without_the_daemon_and_removed_for_good(page: Page, lab: Lab) -> None:
    """While the daemon is away only the connection is known, and says so; the empty announcement removes every entity."""
    page.speaker.daemon.stop()
    page.wait_state("connection", "off")
    page.wait_state("command", "unavailable")
    assert [key for key, one in entities(lab).items() if lab.state(one) != "unavailable"] == ["connection"]
    page.speaker.watcher.publish(device_topic("homeassistant", prefix="voice_rl"), b"", retain=True)

    lab.until(lambda: not entities(lab), "the device to be gone", deadline_s=20)
    _LOGGER.info("the device is gone")
