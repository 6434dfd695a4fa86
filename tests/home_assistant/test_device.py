"""The device page in a real Home Assistant: it appears by discovery, and everything on it works."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.home_assistant.conftest import Speaker, StartSpeaker
from tests.home_assistant.lab import Lab
from tests.home_assistant.ways import NODE, Page, counted_calls, entities_of_device
from tests.mosquitto import Watcher
from voice_rl_plugin.doors.discovery import device_payload, device_topic
from voice_rl_plugin.learning.models import ModelStore

EXPOSED = 9
TOPIC = device_topic("homeassistant", prefix=NODE)


def make_models(folder: Path) -> Path:
    """Make a model store with the shipped model and one that has passed its gate: the same weights under another name."""
    store, made = ModelStore(folder / "versions"), folder / "made"
    shutil.copytree(store.folder("base"), made)
    passed = {"version": "second", "gate": {"passed": True}, "parent": "base", "metrics": {"labels": 12}, "created_at": time.time()}
    store.add(made, store.manifest("base").to_mapping() | passed)
    return store.path


@pytest.fixture
def speaker(start_speaker: StartSpeaker) -> Speaker:
    """Return a daemon that knows the home."""
    one = start_speaker()
    one.settle_home(EXPOSED)
    return one


@pytest.fixture
def page(speaker: Speaker, lab: Lab) -> Page:
    """Return the device page."""
    return Page(lab, speaker.watcher)


def device_of(lab: Lab) -> dict[str, Any]:
    """Return our device as the registry has it; empty while there is none."""
    devices = lab.ask({"type": "config/device_registry/list"})
    return next((one for one in devices if ["mqtt", NODE] in one["identifiers"]), {})


def wait_page(lab: Lab, page: Page, key: str, value: str, **attributes: Any) -> None:
    """Wait until an entity of the page has a state and some attributes."""

    def check() -> bool:
        shown = page.state(key)
        return bool(shown["state"] == value and all(shown["attributes"].get(name) == one for name, one in attributes.items()))

    lab.until(check, f"{key} to be {value} {attributes}", deadline_s=30)


def wait_event(lab: Lab, page: Page, kind: str, *, other_than: str = "") -> str:
    """Wait until the page shows an event of a kind as the last decision; return its decision."""

    def find() -> str:
        shown = page.state("decision")["attributes"]
        fits = shown.get("event_type") == kind and shown.get("decision_id") != other_than
        return str(shown["decision_id"]) if fits else ""

    return str(lab.until(find, f"the event {kind}", deadline_s=15))


@pytest.fixture
def gone(lab: Lab) -> Iterator[None]:
    """Take the device out of Home Assistant, as `voice-rl device remove` does."""
    watcher = Watcher(lab.broker.port, ("test/none",), name="remover")
    watcher.publish(TOPIC, "", retain=True)
    lab.until(lambda: not device_of(lab), "the device to go", deadline_s=15)
    yield
    watcher.close()


@pytest.mark.usefixtures("gone")
def test_device_appears_and_goes(lab: Lab, start_speaker: StartSpeaker) -> None:
    """A daemon on the broker is a device with every entity, available, in the right state; taken back, it leaves nothing behind."""
    speaker = start_speaker()
    lab.until(lambda: device_of(lab), "the device", deadline_s=30)
    wanted = {f"{NODE}_{key}" for key in device_payload(prefix=NODE, version="")["components"]}
    lab.until(lambda: set(entities_of_device(lab)) == wanted, "all entities", deadline_s=15)
    page = Page(lab, speaker.watcher)

    assert device_of(lab)["name"] == "Voice RL"
    for key, value in (("connection", "on"), ("learning", "on"), ("training", "idle"), ("model", "off"), ("acted", "0")):
        wait_page(lab, page, key, value)
    speaker.watcher.publish(TOPIC, "", retain=True)
    lab.until(lambda: not device_of(lab), "the device to go", deadline_s=15)
    assert entities_of_device(lab) == {}


@pytest.mark.parametrize(("text", "answer"), [("turn on the counter bar", "Done."), ("打开吧台灯", "好了。")])
def test_text_box_changes_the_light(page: Page, lab: Lab, text: str, answer: str) -> None:
    """What is typed is done once; the box keeps no words, and the last decision has none."""
    with counted_calls(lab) as calls:
        assert page.say(text) == answer

    lab.wait_state("light.counter_bar", "on")
    wait_event(lab, page, "act")
    assert calls == [("light.turn_on", "light.counter_bar")]
    assert page.state("command")["state"] == ""
    assert set(page.state("decision")["attributes"]) >= {"event_type", "decision_id", "area", "domain"}
    assert text not in str(page.state("decision"))


def test_wrong_is_corrected_and_right_from_then_on(page: Page, speaker: Speaker, lab: Lab) -> None:
    """The thumb down, then what was meant: the wrong lamp goes off, the right one on, and the next time it is right at once."""
    page.say("turn on the desk lamp")
    first = wait_event(lab, page, "act")
    page.press("wrong")
    wait_page(lab, page, "denied", "1")
    page.say("no, the counter bar")
    lab.wait_state("light.counter_bar", "on")
    lab.wait_state("light.desk_lamp", "off")
    wait_event(lab, page, "act", other_than=first)
    lab.devices.press("counter_bar", "OFF")
    lab.wait_state("light.counter_bar", "off")
    lab.devices.commands.clear()

    assert page.say("turn on the desk lamp") == "Done."
    assert speaker.watcher.wait_topic("voice_rl/decision", count=3)["stage"] == "memory"
    assert [key for key, _ in lab.devices.commands] == ["counter_bar"]
    page.press("right")
    wait_page(lab, page, "corrected", "1")


def test_undo_button_takes_it_back(page: Page, lab: Lab) -> None:
    """The button of the page switches the light off again, and says so."""
    page.say("turn on the counter bar")
    wait_event(lab, page, "act")
    page.press("undo")

    lab.wait_state("light.counter_bar", "off")
    wait_event(lab, page, "undo")


def test_switching_back_in_home_assistant_is_an_undo(page: Page, speaker: Speaker, lab: Lab) -> None:
    """A person who switches the light off on a page of Home Assistant has undone the decision, and the page shows it."""
    page.say("turn on the counter bar")
    decision = wait_event(lab, page, "act")
    speaker.let_pass(1.2)  # a person needs more than a second
    lab.rest("POST", "/api/services/light/turn_off", {"entity_id": "light.counter_bar"})

    assert wait_event(lab, page, "undo") == decision


def test_model_is_deployed_and_rolled_back(lab: Lab, start_speaker: StartSpeaker, tmp_path: Path) -> None:
    """The update entity offers the newer model and installs it; the button takes it back; each decides what is said then."""
    speaker = start_speaker(models=make_models(tmp_path))
    speaker.settle_home(EXPOSED)
    page = Page(lab, speaker.watcher)
    wait_page(lab, page, "model", "on", installed_version="base", latest_version="second")
    assert "12 labels" in page.state("model")["attributes"]["release_summary"]
    lab.rest("POST", "/api/services/update/install", {"entity_id": page.entity("model")})
    wait_page(lab, page, "model", "off", installed_version="second")
    page.say("turn on the counter bar")
    page.press("rollback")
    wait_page(lab, page, "model", "on", installed_version="base", latest_version="second")
    page.say("turn off the counter bar")

    decided_by = [speaker.watcher.wait_topic("voice_rl/decision", count=count)["policy_version"] for count in (1, 2)]
    assert decided_by == ["second", "base"]


def test_learning_is_switched(page: Page, lab: Lab) -> None:
    """The select of the page changes the mode, and shows what the daemon says that it is."""
    for mode in ("guest", "off", "on"):
        lab.rest("POST", "/api/services/select/select_option", {"entity_id": page.entity("learning"), "option": mode})
        wait_page(lab, page, "learning", mode)


def test_training_is_started(page: Page, lab: Lab) -> None:
    """The button starts the trainer; its end is shown, and why nothing was trained."""
    page.press("retrain")

    def find() -> str:
        shown = page.state("training")
        return str(shown["attributes"].get("result") or "") if shown["state"] == "done" else ""

    result = lab.until(find, "the end of the training", deadline_s=120)
    assert "nothing was trained" in result or "cannot be started" in result


def test_page_is_unavailable_without_the_daemon(page: Page, speaker: Speaker, lab: Lab) -> None:
    """While the daemon is away only the connection is known, and says so."""
    speaker.daemon.stop()
    wait_page(lab, page, "connection", "off")
    wait_page(lab, page, "command", "unavailable")

    assert [key for key, one in entities_of_device(lab).items() if lab.state(one) != "unavailable"] == [f"{NODE}_connection"]


def test_page_survives_a_restart_of_home_assistant(page: Page, speaker: Speaker, lab: Lab) -> None:
    """On the birth message everything is published again; it is the same device, the home was kept, and the text box works."""
    before, entities = device_of(lab)["id"], entities_of_device(lab)
    watcher = Watcher(lab.broker.port, (TOPIC,), name="birth")  # the one that lies there is retained, the new ones are not
    lab.stop_home_assistant()
    try:
        speaker.await_health(f'"entities":{EXPOSED}}}', '"degraded"')
    finally:
        lab.start_home_assistant()
        lab.wait_running()
    watcher.wait_for(lambda one: not one.retain, "the announcement", deadline_s=30)
    watcher.close()
    speaker.settle_home(EXPOSED)
    lab.wait_state("light.counter_bar", "off")
    wait_page(lab, page, "connection", "on")

    assert (device_of(lab)["id"], entities_of_device(lab)) == (before, entities)
    assert page.say("turn on the counter bar") == "Done."
    lab.wait_state("light.counter_bar", "on")


def test_home_assistant_had_nothing_to_complain_about(page: Page, lab: Lab) -> None:
    """After all that was done on the page no message of ours was refused, and no template failed."""
    page.say("turn on the counter bar")
    lines = lab.log.read_text(encoding="utf-8", errors="replace").splitlines()
    about_us = [one for one in lines if NODE in one and (" WARNING " in one or " ERROR " in one)]
    harmless = ("custom integration", "No device components to cleanup")

    assert [one for one in about_us if not any(part in one for part in harmless)] == []
