"""A real household: mosquitto, the daemon as a process with the shipped model and SQLite, and simulated devices that obey it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import yaml

from tests.mosquitto import DEADLINE_S, Mosquitto, Watcher, running_mosquitto
from voice_rl_plugin.demo.session import shipped_home
from voice_rl_plugin.demo.simulated import SimulatedHome
from voice_rl_plugin.homes.file import load_home

ROOT = Path(__file__).parents[2]
START_S = 60.0


@dataclass(kw_only=True)
class Household:
    """A running daemon with devices, and one person who speaks to it."""

    folder: Path
    server: Mosquitto
    watcher: Watcher
    devices: SimulatedHome
    trainer: str = "voice-rl-train"
    said: int = 0
    starts: int = 0
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """Return the configuration file."""
        return self.folder / "voice_rl.yaml"

    @property
    def store(self) -> Path:
        """Return the folder of the experience store."""
        return self.folder / "store"

    @property
    def models(self) -> Path:
        """Return the folder of the model store."""
        return self.folder / "models"

    def start(self) -> float:
        """Start the daemon, wait until it is online and knows all states, and return how many seconds the first took."""
        begun = time.monotonic()
        self.processes.append(start_command(["run", "--config", str(self.config)]))
        self.starts += 1
        self.watcher.wait_for(
            lambda one: one.topic == "voice_rl/status" and one.payload == b"online" and not one.retain,
            "online",
            count=self.starts,
            deadline_s=START_S,
        )
        took_s = time.monotonic() - begun
        self.say("my brother reads a long book", area=None)  # states come before commands
        return took_s

    def stop(self) -> None:
        """Stop the daemon in order."""
        process = self.processes[-1]
        process.terminate()
        _, log = process.communicate(timeout=START_S)
        assert process.returncode == 0, log

    def say(self, text: str, *, area: str | None, **fields: Any) -> dict[str, Any]:
        """Say something and return the decision about it."""
        self.said += 1
        name = f"utterance-{self.said}"
        known = [json.loads(one.payload)["decision_id"] for one in self.watcher.on_topic("voice_rl/decision")]

        def is_mine(message: paho.MQTTMessage) -> bool:
            if message.topic != "voice_rl/decision":
                return False
            decision = json.loads(message.payload)
            return decision["utterance"] == text and decision["decision_id"] not in known

        self.watcher.publish("voice_rl/command" + (f"/{area}" if area else ""), {"text": text, "id": name, "at": time.time()} | fields)
        decision: dict[str, Any] = json.loads(self.watcher.wait_for(is_mine, f"the decision about {text!r}").payload)
        return decision

    def confirm(self, decision: dict[str, Any], verdict: str, **fields: Any) -> None:
        """Judge a decision."""
        self.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": verdict} | fields)

    def spoken(self, decision: dict[str, Any], *, count: int = 1) -> str:
        """Return the `count`-th sentence that was spoken because of a decision."""
        name = decision["decision_id"].encode()
        self.watcher.wait_for(lambda one: one.topic == "voice_rl/say" and name in one.payload, f"a sentence of {name!r}", count=count)
        texts = [one for one in self.watcher.on_topic("voice_rl/say") if name in one.payload]
        return str(json.loads(texts[count - 1].payload)["text"])

    def wait_state(self, entity_id: str, value: str, **attributes: Any) -> None:
        """Wait until a simulated device is so."""
        deadline = time.monotonic() + DEADLINE_S
        state = self.devices.devices.states[entity_id]
        while (state.value, {key: state.attributes.get(key) for key in attributes}) != (value, attributes):
            assert time.monotonic() < deadline, f"{entity_id}: expected {value} {attributes}, is {state}"
            self.watcher.wait_more(0.2)
            state = self.devices.devices.states[entity_id]

    def run(self, *arguments: str) -> str:
        """Run `voice-rl` beside the daemon and return what it prints."""
        process = start_command(list(arguments))
        out, err = process.communicate(timeout=START_S)
        assert process.returncode == 0, err
        return out


def start_command(arguments: list[str]) -> subprocess.Popen[str]:
    """Start `voice-rl` as a process."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("VOICE_RL")}
    environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "training"), environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "voice_rl_plugin.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def make_household(folder: Path, server: Mosquitto, *, language: str, trainer: str = "voice-rl-train") -> Household:
    """Make a household that is not started yet."""
    home_file = shipped_home(language)
    settings = {
        "mqtt": {"port": server.port},
        "home": {"file": str(home_file)},
        "store": {"path": str(folder / "store")},
        "models": {"path": str(folder / "models")},
        "learning": {"trainer": trainer},
    }
    (folder / "voice_rl.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    devices = SimulatedHome(load_home(home_file), port=server.port)
    devices.start()
    return Household(folder=folder, server=server, watcher=Watcher(server.port), devices=devices, trainer=trainer)


def close_household(household: Household) -> None:
    """Stop whatever still runs."""
    for process in household.processes:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=START_S)
    household.devices.stop()
    household.watcher.close()


@pytest.fixture(scope="module")
def households(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Household]]:
    """Run one household in English and one in Chinese."""
    running: dict[str, Household] = {}
    servers = []
    try:
        for language in ("en", "zh"):
            folder = tmp_path_factory.mktemp(language)
            context = running_mosquitto(folder)
            servers.append(context)
            running[language] = make_household(folder, context.__enter__(), language=language)
            running[language].start()
        yield running
    finally:
        for household in running.values():
            close_household(household)
        for context in servers:
            context.__exit__(None, None, None)


@pytest.fixture(scope="module")
def house(households: dict[str, Household]) -> Household:
    """Return the English household."""
    return households["en"]
