"""One Home Assistant for all tests of this folder, furnished the same way for each version."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.home_assistant.lab import INSTALLATION, ROOT, Lab
from tests.home_assistant.satellite import FakeSatellite
from tests.mosquitto import DEADLINE_S, Watcher
from voice_rl_plugin.config import (
    Config,
    DispatchSection,
    DoorsSection,
    HomeSection,
    ModelsSection,
    MqttSection,
    StoreSection,
    WyomingSection,
)
from voice_rl_plugin.daemon import Daemon, build_daemon

PACKAGE = ROOT / "examples" / "home_assistant" / "packages" / "voice_rl.yaml"
COMPONENT = ROOT / "custom_components" / "voice_rl"
RISKY_LABEL = "voice risky"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests, and skip them with a word where there is no Home Assistant."""
    skipped = pytest.mark.skip(reason="no Home Assistant: `make test-ha` finds or installs one and names it in VOICE_RL_HA")
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.home_assistant)
            if not INSTALLATION:
                item.add_marker(skipped)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return a running Home Assistant with devices, floors, aliases, labels and a satellite."""
    with contextlib.ExitStack() as stack:
        one = Lab(tmp_path_factory.mktemp("home_assistant"), packages=(PACKAGE,), components=(COMPONENT,))
        stack.callback(one.stop)
        one.start()
        satellite = FakeSatellite("Kitchen Satellite")
        stack.callback(satellite.close)
        furnish(one, satellite)
        yield one


@pytest.fixture(autouse=True)
def quiet(lab: Lab) -> None:
    """Begin each test with everything off."""
    for entity_id in ("light.counter_bar", "light.ceiling", "light.desk_lamp", "light.bedside", "switch.kettle"):
        lab.devices.press(entity_id.partition(".")[2], "OFF")
        lab.wait_state(entity_id, "off")
    lab.devices.commands.clear()


def furnish(lab: Lab, satellite: FakeSatellite) -> None:
    """Give the home floors, aliases, a label and a satellite, as a person would on the pages of Home Assistant."""
    lab.wait_state("switch.kettle", "off")
    lab.wait_state("light.stubborn", "off")
    floors = {
        name: lab.ask({"type": "config/floor_registry/create", "name": name, "aliases": aliases})["floor_id"]
        for name, aliases in (("Ground Floor", ["downstairs", "楼下"]), ("First Floor", ["upstairs"]))
    }
    areas = {one["name"]: one["area_id"] for one in lab.ask({"type": "config/area_registry/list"})}
    for name, floor, aliases in (("Kitchen", "Ground Floor", ["厨房"]), ("Study", "First Floor", ["office"]), ("卧室", "First Floor", [])):
        lab.ask({"type": "config/area_registry/update", "area_id": areas[name], "floor_id": floors[floor], "aliases": aliases})
    label = lab.ask({"type": "config/label_registry/create", "name": RISKY_LABEL})["label_id"]
    lab.change("switch.kettle", labels=[label])
    lab.change("light.counter_bar", aliases=[*lab.entry("light.counter_bar")["aliases"], "bar", "吧台灯"])
    flow = lab.rest("POST", "/api/config/config_entries/flow", {"handler": "wyoming"})
    lab.rest("POST", f"/api/config/config_entries/flow/{flow['flow_id']}", {"host": "127.0.0.1", "port": satellite.port})
    entity_id = str(lab.until(lambda: satellite_of(lab), "the satellite", deadline_s=30))
    lab.ask({"type": "config/device_registry/update", "device_id": lab.entry(entity_id)["device_id"], "area_id": areas["Kitchen"]})


def satellite_of(lab: Lab) -> str:
    """Return the id of the satellite's entity; empty while there is none."""
    entities = lab.ask({"type": "config/entity_registry/list"})
    return next((str(one["entity_id"]) for one in entities if one["entity_id"].startswith("assist_satellite.")), "")


@dataclass(kw_only=True)
class Speaker:
    """A daemon with its own brain at the lab's broker, somebody who speaks to it, and what was heard of it."""

    daemon: Daemon
    watcher: Watcher
    lab: Lab

    def say(self, text: str, *, area: str | None = None, **fields: Any) -> dict[str, Any]:
        """Say something; return the decision."""
        count = len(self.watcher.on_topic("voice_rl/decision")) + 1
        self.watcher.publish("voice_rl/command" + (f"/{area}" if area else ""), {"text": text, **fields})
        found: dict[str, Any] = self.watcher.wait_topic("voice_rl/decision", count=count)
        return found

    def hear(self, decision: dict[str, Any]) -> str:
        """Return what was said about a decision."""
        wanted = decision["decision_id"].encode()
        message = self.watcher.wait_for(lambda one: one.topic == "voice_rl/say" and wanted in one.payload, "a word")
        return str(json.loads(message.payload)["text"])

    def await_health(self, *parts: str) -> None:
        """Wait until the health, as it was published last, holds all of some texts."""
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline:
            told = [one.payload.decode() for one in self.watcher.on_topic("voice_rl/health") if not one.retain]  # not the last daemon's
            if told and all(part in told[-1] for part in parts):
                return
            self.watcher.wait_more(0.5)
        raise AssertionError(f"the health is {told[-1:]}, expected {parts}")

    def let_pass(self, seconds: float) -> None:
        """Keep the daemon busy with nonsense for some time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.say("nonsense that means nothing", area="hall")

    def settle_home(self, entities: int) -> None:
        """Wait until the daemon knows a home of so many exposed devices, and can reach Home Assistant where it asks it."""
        self.await_health(f'"entities":{entities}}}', '"status":"ok"')


StartSpeaker = Callable[..., Speaker]


@contextlib.contextmanager
def running_speaker(
    lab: Lab,
    folder: Path,
    *,
    executor: str = "home_assistant",
    token: str | None = None,
    has_link: bool = True,
    wyoming_port: int | None = None,
    models: Path | None = None,
    **dispatch: Any,
) -> Iterator[Speaker]:
    """Run a daemon at the lab's broker, with its store in a folder."""
    file = folder / "token"
    file.write_text(token or lab.token)
    linked = HomeSection(home_assistant=lab.address, token_file=file, risky_label=RISKY_LABEL)
    config = Config(
        mqtt=MqttSection(port=lab.broker.port, client_id=f"voice_rl_{time.monotonic_ns()}"),
        home=linked if has_link else HomeSection(),
        doors=DoorsSection(burst=1000, wyoming=WyomingSection(enabled=wyoming_port is not None, port=wyoming_port or 0)),
        dispatch=DispatchSection(executor=executor, **dispatch),
        store=StoreSection(path=folder / "store"),
        models=ModelsSection(path=models or folder / "models"),
    )
    with contextlib.ExitStack() as stack:
        watcher = Watcher(lab.broker.port, ("voice_rl/#",), name=f"watcher{threading.get_native_id()}")
        stack.callback(watcher.close)
        daemon = build_daemon(config)
        thread = threading.Thread(target=daemon.run, daemon=True)
        thread.start()
        stack.callback(thread.join, DEADLINE_S)
        stack.callback(daemon.stop)
        assert daemon.is_ready.wait(DEADLINE_S)
        yield Speaker(daemon=daemon, watcher=watcher, lab=lab)


@pytest.fixture
def start_speaker(lab: Lab, tmp_path: Path) -> Iterator[StartSpeaker]:
    """Return a function that starts a daemon at the lab's broker."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running_speaker(lab, tmp_path, **settings))
