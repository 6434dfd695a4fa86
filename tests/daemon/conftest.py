"""A daemon with a fake brain, real parts otherwise, on a real mosquitto."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import HOME, FakeDecider, FakePolicy
from tests.mosquitto import DEADLINE_S, Mosquitto, Watcher, running_mosquitto
from voice_rl_plugin.acting.dispatch import DispatchExecutor
from voice_rl_plugin.acting.shadow import ShadowExecutor
from voice_rl_plugin.config import (
    Config,
    DoorsSection,
    HermesSection,
    LearningSection,
    ModelsSection,
    MqttSection,
    StoreSection,
    WyomingSection,
)
from voice_rl_plugin.daemon import Daemon
from voice_rl_plugin.daemon.build import make_doors
from voice_rl_plugin.daemon.parts import Parts
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.doors.broker import PahoBroker
from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.learning.models import Trial
from voice_rl_plugin.learning.store import ExperienceStore


class FakeModels:
    """A model store of names in one folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.names = ["base"]
        self.on_trial = False
        self.in_shadow: str | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def pointer(self) -> Path:
        """Return the file that changes with the champion."""
        return self.path / "champion"

    def champion(self) -> Path:
        """Return the champion's folder."""
        if not self.names:
            raise ModelError("no model at all")
        return self.path / self.champion_version()

    def champion_version(self) -> str:
        """Return the champion's name."""
        return self._lines()[-1]

    def versions(self) -> tuple[str, ...]:
        """Return all names."""
        return tuple(self.names)

    def made_at(self, version: str) -> float:
        """Return that nothing of the home is in it."""
        del version
        return float("inf")

    def newer_than(self, version: str) -> tuple[str, ...]:
        """Return the names after one; all have passed."""
        return tuple(self.names[self.names.index(version) + 1 :] if version in self.names else ())

    def summary(self, version: str) -> str:
        """Return a line about a name."""
        return f"all about {version}"

    def promote(self, version: str, *, at: float) -> None:
        """Make a name the champion."""
        del at
        if version not in self.names:
            raise ModelError(f"model {version}: is not there")
        self._write([*self._lines(), version])
        self.on_trial = True

    def challenger(self, version: str) -> Path:
        """Return where a name would be."""
        return self.path / version

    def trial(self) -> Trial | None:
        """Return the trial of the champion, if it was promoted here."""
        lines = self._lines()
        return Trial(version=lines[-1], former=lines[-2], since=0.0) if self.on_trial and len(lines) > 1 else None

    def end_trial(self, version: str) -> None:
        """End the trial."""
        self.on_trial = self.on_trial and version != self.champion_version()

    def challenger_version(self) -> str | None:
        """Return what runs in shadow."""
        return self.in_shadow

    def rollback(self, *, at: float) -> str:
        """Go back to the former one."""
        del at
        lines = self._lines()
        if len(lines) < 2:
            raise ModelError("models: nothing to roll back to")
        self.on_trial = False
        self._write(lines[:-1])
        return lines[-2]

    def _lines(self) -> list[str]:
        return self.pointer.read_text().split() if self.pointer.exists() else ["base"]

    def _write(self, lines: list[str]) -> None:
        temporary = self.path / "champion.tmp"
        temporary.write_text("\n".join(lines))
        temporary.replace(self.pointer)


@dataclass(kw_only=True)
class House:
    """A running daemon and what a test needs around it."""

    daemon: Daemon
    watcher: Watcher
    server: Mosquitto
    config: Config
    models: FakeModels
    deciders: list[FakeDecider]
    threads: list[threading.Thread] = field(default_factory=list)
    said: int = 0

    def say(self, text: str, *, area: str | None = "kitchen", **fields: Any) -> None:
        """Say something in the kitchen."""
        self.watcher.publish("voice_rl/command" + (f"/{area}" if area else ""), {"text": text, **fields})

    def decision(self, *, count: int = 1) -> dict[str, Any]:
        """Return the `count`-th decision."""
        found: dict[str, Any] = self.watcher.wait_topic("voice_rl/decision", count=count)
        return found

    def action(self, topic: str = "light/turn_on", *, count: int = 1) -> dict[str, Any]:
        """Return the `count`-th action on a topic."""
        found: dict[str, Any] = self.watcher.wait_topic(f"voice_rl/action/{topic}", count=count)
        return found

    def settle(self) -> None:
        """Wait until everything sent so far was handled."""
        self.said += 1
        text = f"nonsense {self.said}"
        self.say(text, area=None)
        self.watcher.wait_for(lambda one: one.topic == "voice_rl/decision" and text.encode() in one.payload, text)

    def open_store(self) -> ExperienceStore:
        """Look into the store beside the daemon."""
        return ExperienceStore(self.config.store.path, owns_file=False)


def make_daemon(
    config: Config,
    *,
    models: FakeModels,
    deciders: list[FakeDecider],
    home: Home | None = HOME,
    is_shadow: bool = False,
    **parts: Any,
) -> Daemon:
    """Make a daemon with a fake brain."""
    config.store.path.mkdir(parents=True, exist_ok=True)

    def make_decider(policy: Any, known: Home, memory: Any) -> Any:
        deciders.append(FakeDecider(policy, known, memory))
        return deciders[-1]

    def load(folder: Path) -> Any:
        if "unloadable" in folder.name:
            raise ModelError(f"{folder.name}: does not load")
        return FakePolicy(folder.name)

    made: dict[str, Any] = {
        "config": config,
        "broker": PahoBroker(config.mqtt),
        "store": ExperienceStore(config.store.path),
        "models": models,
        "executor": ShadowExecutor() if is_shadow else DispatchExecutor(answer_s=1.0),
        "make_decider": make_decider,
        "load_policy": load,
        "probe_model": lambda _: None,
        "make_doors": make_doors(config.doors),
        "file_home": home,
    }
    return Daemon(Parts(**(made | parts)))


StartHouse = Callable[..., House]


@pytest.fixture
def start_house(tmp_path: Path) -> Iterator[StartHouse]:
    """Return a function that starts a house; everything is stopped at the end."""
    with contextlib.ExitStack() as stack:
        servers: list[Mosquitto] = []

        def start(*, home: Home | None = HOME, before: Callable[[Watcher], None] | None = None, names: tuple[str, ...] = ("base",),
                  mode: str = "on", trainer: str = "voice-rl-train", is_shadow: bool = False, in_shadow: str | None = None,
                  wyoming: WyomingSection | None = None, hermes: HermesSection | None = None, parts: dict[str, Any] | None = None,
                  doors: DoorsSection | None = None, **learning: Any) -> House:  # fmt: skip
            if not servers:
                servers.append(stack.enter_context(running_mosquitto(tmp_path)))
            server = servers[0]
            watcher = Watcher(server.port, name=f"watcher{time.monotonic_ns()}")
            stack.callback(watcher.close)
            if before is not None:
                before(watcher)
            config = Config(
                mqtt=MqttSection(port=server.port),
                store=StoreSection(path=tmp_path / "store"),
                models=ModelsSection(path=tmp_path / "models"),
                doors=doors
                or DoorsSection(rate_per_s=1000.0, burst=1000, wyoming=wyoming or WyomingSection(), hermes=hermes or HermesSection()),
                learning=LearningSection(mode=mode, trainer=trainer, **learning),
            )
            models = FakeModels(config.models.path)
            models.names = list(names)
            models.in_shadow = in_shadow
            deciders: list[FakeDecider] = []
            daemon = make_daemon(config, models=models, deciders=deciders, home=home, is_shadow=is_shadow, **(parts or {}))
            house = House(daemon=daemon, watcher=watcher, server=server, config=config, models=models, deciders=deciders)
            thread = threading.Thread(target=daemon.run, daemon=True)
            house.threads.append(thread)
            thread.start()
            stack.callback(thread.join, DEADLINE_S)
            stack.callback(daemon.stop)
            assert daemon.is_ready.wait(DEADLINE_S)
            return house

        yield start


@pytest.fixture
def house(start_house: StartHouse) -> House:
    """Return a running house."""
    return start_house()
