"""A home without Home Assistant: the whole daemon with the shipped model, devices that are MQTT themselves, a real mosquitto."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.homes.announced import CONFIGS, DEVICES, GROUPS
from tests.mosquitto import DEADLINE_S, Mosquitto, Watcher, running_mosquitto
from voice_rl_plugin.config import Config, DispatchSection, DoorsSection, HomeSection, ModelsSection, MqttSection, StoreSection
from voice_rl_plugin.daemon import Daemon
from voice_rl_plugin.daemon.build import build_daemon

DOMAINS = (*DispatchSection().domains, "lock")
SHOWN = {
    "zigbee2mqtt/Kitchen/Counter Bar": {"state": "OFF", "brightness": 254, "color_mode": "color_temp", "color_temp": 370},
    "zigbee2mqtt/Kitchen/Ceiling Light": {"state": "OFF", "brightness": 254},
    "zigbee2mqtt/卧室/床头灯": {"state": "OFF", "brightness": 100, "color_mode": "color_temp", "color_temp": 370},
    "zigbee2mqtt/kettle_plug": {"state": "OFF", "power": 0},
    "zigbee2mqtt/Bedroom/Blind": {"state": "OPEN", "position": 100},
    "zigbee2mqtt/Garage/Garage Door": {"state": "CLOSE", "position": 0},
    "zigbee2mqtt/Front Door Lock": {"state": "LOCK", "lock_state": "locked"},
    "zigbee2mqtt/Study/Fan": {"fan_state": "OFF", "fan_mode": "off"},
    "zigbee2mqtt/Study/Heater": {"occupied_heating_setpoint": 19, "local_temperature": 18.5, "system_mode": "heat"},
    "terrace/string/state": {"state": "OFF"},
    "terrace/status": "online",
    "office/desk/power": "0",
    "office/desk/level": "80",
    "office/printer": {"relay": "off"},
    "terrace/awning": {"position": 0},
    "office/fan": {"state": "OFF", "speed": 0},
    "office/radiator": {"mode": "heat", "target": 18.0},
    "shed/online": "yes",
    "shed/lock": "LOCKED",
}
"""What the devices tell before anybody speaks."""


@dataclass(kw_only=True)
class House:
    """A running daemon and a watcher who plays the devices."""

    daemon: Daemon
    watcher: Watcher
    server: Mosquitto
    said: int = 0

    def say(self, text: str, *, area: str | None = None) -> Mapping[str, Any]:
        """Say something and return the decision about it."""
        before = len(self.watcher.on_topic("voice_rl/decision"))
        self.said = len(self.watcher.on_topic("voice_rl/say"))
        self.watcher.publish("voice_rl/command" + (f"/{area}" if area else ""), {"text": text, "at": time.time()})
        decision: Mapping[str, Any] = self.watcher.wait_topic("voice_rl/decision", count=before + 1)
        return decision

    def told(self, *, count: int = 1) -> str:
        """Return the `count`-th sentence since somebody has spoken."""
        return str(self.watcher.wait_topic("voice_rl/say", count=self.said + count)["text"])

    def count(self, topic: str) -> int:
        """Return how many messages came on a topic so far."""
        return len(self.watcher.on_topic(topic))


@contextlib.contextmanager
def running_house(
    folder: Path, *, retained: Mapping[str, Any], zigbee2mqtt: str | None = "zigbee2mqtt", discovered: str | None = "homeassistant", guarded: bool = True
) -> Iterator[House]:
    """Run a daemon among retained messages."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_mosquitto(folder))
        watcher = Watcher(server.port)
        stack.callback(watcher.close)
        for topic, payload in retained.items():
            watcher.publish(topic, payload, retain=True)
        config = Config(
            mqtt=MqttSection(port=server.port),
            home=HomeSection(zigbee2mqtt=zigbee2mqtt, discovered=discovered),
            store=StoreSection(path=folder / "store"),
            models=ModelsSection(path=folder / "models"),
            doors=DoorsSection(rate_per_s=1000.0, burst=1000),
            dispatch=DispatchSection(domains=DOMAINS, guarded=guarded),
        )
        daemon = build_daemon(config)
        thread = threading.Thread(target=daemon.run, daemon=True)
        thread.start()
        stack.callback(thread.join, DEADLINE_S)
        stack.callback(daemon.stop)
        assert daemon.is_ready.wait(DEADLINE_S)
        yield House(daemon=daemon, watcher=watcher, server=server)


def announced() -> dict[str, Any]:
    """Return everything that the fixtures announce, with the first states."""
    return {"zigbee2mqtt/bridge/devices": DEVICES, "zigbee2mqtt/bridge/groups": GROUPS, **CONFIGS, **SHOWN}


def wait_entities(house: House, count: int) -> None:
    """Wait until the daemon knows so many devices, and their states."""
    house.watcher.wait_for(
        lambda one: one.topic == "voice_rl/health" and json.loads(one.payload)["home"]["entities"] == count, f"{count} devices"
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return a house of zigbee2mqtt and discovery."""
    with running_house(tmp_path_factory.mktemp("house"), retained=announced()) as one:
        wait_entities(one, 20)
        one.say("my brother reads a long book")
        yield one
