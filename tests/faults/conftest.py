"""A real house for the fault suite: mosquitto, the daemon with the shipped model as a process that can be killed, and a line that can be cut."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import yaml

from tests.faults import table
from tests.faults.proxy import Proxy
from tests.mosquitto import DEADLINE_S, Mosquitto, Watcher
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.learning.store import ExperienceStore

ROOT = Path(__file__).parents[2]
HOME = ROOT / "examples" / "home.en.yaml"
START_S = 120.0
LAMP, LAMP_AREA = "turn on the bedside lamp", "bedroom"
"""An absolute setting: it may come twice."""
LOUDER, LOUDER_AREA = "volume up", "kitchen"
"""A step: it may come once."""
ON, UP, UNLOCK = "voice_rl/action/light/turn_on", "voice_rl/action/media_player/volume_up", "voice_rl/action/lock/unlock"

needs_model = pytest.mark.skipif(not (BASE_FOLDER / "policy.onnx").exists(), reason="no base model in this checkout")


class Ear(Watcher):
    """A watcher that finds what came on a topic without looking through everything: a long run hears a hundred thousand messages."""

    def __init__(self, port: int, *, name: str) -> None:
        self._by_topic: dict[str, list[paho.MQTTMessage]] = {}
        super().__init__(port, name=name)
        self._client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type] # it takes any number

    def on_topic(self, topic: str, *, since: int = 0) -> list[paho.MQTTMessage]:
        """Return what came on a topic so far, or after the first `since`."""
        with self._arrived:
            return self._by_topic.get(topic, [])[since:]

    def wait_on(
        self, topic: str, fits: Callable[[paho.MQTTMessage], bool], *, count: int = 1, deadline_s: float = DEADLINE_S
    ) -> paho.MQTTMessage:
        """Return the `count`-th message on one topic that fits."""
        found: list[paho.MQTTMessage] = []

        def enough() -> bool:
            found[:] = [one for one in self._by_topic.get(topic, ()) if fits(one)]
            return len(found) >= count

        with self._arrived:
            assert self._arrived.wait_for(enough, deadline_s), (
                f"{topic} did not come; seen: {[(m.topic, m.payload[:200]) for m in self.seen[-20:]]}"
            )
        return found[count - 1]

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        with self._arrived:
            self._by_topic.setdefault(message.topic, []).append(message)
        super()._on_message(_client, _userdata, message)


class Zygote:
    """Starts daemons quickly; see tests/faults/zygote.py."""

    def __init__(self, log: Path) -> None:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("VOICE_RL")}
        environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "training"), environ.get("PYTHONPATH", "")])
        self._errors = log.open("wb")
        command = [sys.executable, "-m", "tests.faults.zygote"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environ, cwd=ROOT
        )

    def start(self, order: dict[str, Any]) -> int:
        """Fork a daemon and return its process id."""
        return int(self._ask(order)["pid"])

    def wait(self, pid: int) -> int:
        """Wait for the end of a daemon and return its exit code, negative for a signal."""
        return int(self._ask({"wait": pid})["code"])

    def close(self) -> None:
        """End the zygote."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(DEADLINE_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@dataclass(kw_only=True)
class FaultHouse:
    """One house, its broker and its daemon."""

    folder: Path
    zygote: Zygote
    server: Mosquitto
    watcher: Ear
    settings: dict[str, Any]
    pids: list[int] = field(default_factory=list)
    proxy: Proxy | None = None
    said: int = 0

    @property
    def config(self) -> Path:
        """Return the configuration file."""
        return self.folder / "voice_rl.yaml"

    @property
    def log(self) -> Path:
        """Return what every daemon of this house has written."""
        return self.folder / "daemon.log"

    def words(self) -> str:
        """Return what the daemons have written so far."""
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    @property
    def store(self) -> Path:
        """Return the folder of the experience store."""
        return self.folder / "store"

    @property
    def pid(self) -> int:
        """Return the process id of the daemon."""
        return self.pids[-1]

    def start(self, points: dict[str, int] | None = None, *, waits: bool = True, config: Path | None = None, **environ: str) -> int:
        """Start a daemon, and wait until it says that it is online."""
        self.config.write_text(yaml.safe_dump(self.settings), encoding="utf-8")
        before = self.onlines()
        arguments = ["run", "--log-level", "info", "--config", str(config or self.config)]
        order = {"arguments": arguments, "points": points or {}, "log": str(self.log), "environ": environ}
        self.pids.append(self.zygote.start(order))
        if waits:
            self.wait_online(before + 1)
        return self.pid

    def onlines(self) -> int:
        """Return how often a daemon said that it came online: on its own line, where we hear that; a retained word is an old one."""
        if self.proxy is not None:
            return sum(1 for one in list(self.proxy.published) if one == ("voice_rl/status", b"online"))
        return sum(1 for one in self.watcher.on_topic("voice_rl/status") if one.payload == b"online" and not one.retain)

    def wait_online(self, count: int) -> None:
        """Wait until a daemon has come online so often, and the broker has that."""
        deadline = time.monotonic() + START_S
        while self.onlines() < count or not self._is_told():
            assert time.monotonic() < deadline, "the daemon does not come online"
            self.watcher.wait_more(0.02)

    def _is_told(self) -> bool:
        told = self.watcher.on_topic("voice_rl/status")[-1:]
        return bool(told) and told[0].payload == b"online"

    def kill(self) -> None:
        """Kill the daemon with SIGKILL and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> int:
        """Wait for the end of the daemon, whatever ends it."""
        return self.zygote.wait(self.pids.pop())

    def stop(self) -> int:
        """Stop the daemon in order."""
        os.kill(self.pid, signal.SIGTERM)
        return self.end()

    def say(self, text: str = LAMP, *, area: str | None = LAMP_AREA, **fields: Any) -> str:
        """Say something; return its id."""
        self.said += 1
        name = fields.pop("id", f"u{self.said}")
        payload = {"text": text, "at": time.time()} | ({"id": name} if name else {}) | fields
        self.watcher.publish(
            "voice_rl/command" + (f"/{area}" if area else ""), {key: value for key, value in payload.items() if value is not None}
        )
        return str(name)

    def settle(self) -> None:
        """Wait until everything sent so far was handled."""
        self.said += 1
        text = f"my brother reads book {self.said}"
        self.watcher.publish("voice_rl/command", {"text": text, "at": time.time(), "satellite_id": f"settle{self.said}"})
        self.watcher.wait_on("voice_rl/decision", lambda one: text.encode() in one.payload, deadline_s=START_S)

    def settle_slowly(self) -> None:
        """Wait until everything sent so far was handled, by a daemon that may refuse what waits: ask until it answers."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            self.said += 1
            text = f"my brother reads book {self.said}"
            self.watcher.publish("voice_rl/command", {"text": text, "satellite_id": f"settle{self.said}"})
            with contextlib.suppress(AssertionError):
                self.watcher.wait_on("voice_rl/decision", lambda one, text=text: text.encode() in one.payload, deadline_s=1.0)  # type: ignore[misc]
                return
        raise AssertionError("the daemon does not answer")

    def decided(self, text: str, *, count: int = 1) -> dict[str, Any]:
        """Return the `count`-th decision about a text."""
        wanted = json.dumps(text, ensure_ascii=False).encode()
        message = self.watcher.wait_on("voice_rl/decision", lambda one: wanted in one.payload, count=count, deadline_s=START_S)
        decision: dict[str, Any] = json.loads(message.payload)
        return decision

    def actions(self, topic: str) -> list[dict[str, Any]]:
        """Return the actions on a topic so far."""
        return [json.loads(one.payload) for one in self.watcher.on_topic(topic)]

    def errors(self) -> list[dict[str, Any]]:
        """Return the errors told so far."""
        return [json.loads(one.payload) for one in self.watcher.on_topic("voice_rl/error")]

    def wait_error(self, words: str) -> dict[str, Any]:
        """Wait for an error that says so."""
        message = self.watcher.wait_on("voice_rl/error", lambda one: words in one.payload.decode())
        error: dict[str, Any] = json.loads(message.payload)
        return error

    def wait_said(self, words: str, *, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """Wait for a spoken sentence."""
        message = self.watcher.wait_on("voice_rl/say", lambda one: words in one.payload.decode(), deadline_s=deadline_s)
        said: dict[str, Any] = json.loads(message.payload)
        return said

    def health(self, holds: Callable[[dict[str, Any]], bool] = lambda _: True, *, deadline_s: float = START_S) -> dict[str, Any]:
        """Return the last health that fits, whether it came already or comes soon."""
        deadline = time.monotonic() + deadline_s
        while True:
            seen = self.watcher.on_topic("voice_rl/health")
            found: dict[str, Any] = json.loads(seen[-1].payload) if seen else {}
            if found and holds(found):
                return found
            assert time.monotonic() < deadline, f"no fitting health, the last is {found}"
            self.watcher.wait_more(0.2)

    def open_store(self) -> ExperienceStore:
        """Look into the store beside the daemon."""
        return ExperienceStore(self.store, owns_file=False)

    def utterances(self) -> dict[str, str]:
        """Return the sender's utterance id by decision id, for everything in the store."""
        with self.open_store() as store:
            return {one.decision.id: one.decision.utterance.id or "" for one in store.all_stored()}

    def close(self) -> None:
        """End whatever runs."""
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
            self.zygote.wait(pid)
        self.pids.clear()
        self.watcher.close()
        if self.proxy is not None:
            self.proxy.close()
        self.server.stop()


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """One for all."""
    one = Zygote(tmp_path_factory.mktemp("zygote") / "log")
    yield one
    one.close()


MakeHouse = Callable[..., FaultHouse]


def new_house(zygote: Zygote, folder: Path, *, broker: str = "", through_proxy: bool = False, **sections: dict[str, Any]) -> FaultHouse:
    """Make a house with its broker, whose daemon is not started yet."""
    server = Mosquitto(folder, extra=f"max_queued_messages 1000\n{broker}").start()
    proxy = Proxy(server.port) if through_proxy else None
    settings: dict[str, Any] = {
        "mqtt": {"port": proxy.port if proxy is not None else server.port},
        "home": {"file": str(HOME)},
        "doors": {"rate_per_s": 100_000, "burst": 100_000},
        "store": {"path": str(folder / "store")},
        "models": {"path": str(folder / "models")},
    }
    for name, values in sections.items():
        settings[name] = settings.get(name, {}) | values
    watcher = Ear(server.port, name=f"watcher{time.monotonic_ns()}")
    return FaultHouse(folder=folder, zygote=zygote, server=server, watcher=watcher, settings=settings, proxy=proxy)


@pytest.fixture
def make_house(zygote: Zygote, tmp_path: Path) -> Iterator[MakeHouse]:
    """Return a function that makes a house, with its daemon not started yet; everything ends with the test."""
    houses: list[FaultHouse] = []

    def make(*, folder: Path | None = None, **arguments: Any) -> FaultHouse:
        houses.append(new_house(zygote, folder or tmp_path, **arguments))
        return houses[-1]

    yield make
    for house in houses:
        house.close()
        if os.environ.get("FAULT_LOGS"):
            shutil.copy(house.log, os.environ["FAULT_LOGS"])


@pytest.fixture
def house(make_house: MakeHouse) -> FaultHouse:
    """Return a house with a running daemon."""
    one = make_house()
    one.start()
    return one


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that notes what a test has measured, for the table in docs/reliability.md."""

    def note(text: str) -> None:
        table.note(request.node, text)

    return note


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the table when it was asked for, and every fault was survived."""
    table.write(session, exitstatus)


QUICK = frozenset(
    """
    test_table_is_read_as_it_was_written test_document_has_every_fault
    test_corrupt_database test_truncated_database test_erased_is_erased
    test_killed_before_the_commit test_killed_after_the_commit test_killed_after_the_publish test_killed_after_the_mark
    test_reward_survives_a_kill_at_each_step test_answer_survives_a_kill test_guest_step_runs_once
    test_broker_restarts test_broker_killed test_broker_absent_at_start test_second_daemon test_oversize_packet test_bad_certificate
    test_malformed_json test_invalid_utf8 test_empty_large_and_deep test_exception_in_a_part test_wild_topics test_retained_inputs
    test_over_age_commands test_duplicates test_own_echo_is_no_feedback test_late_and_orphan_rewards
    test_redelivered_correction_is_not_done_twice test_risky_is_never_explored
    test_flipped_model_never_runs test_truncated_model_never_runs test_external_data_never_runs test_bad_model_rolls_back
    """.split()
)
"""What every test run makes: quick, and never seen to depend on how busy the machine is."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most faults out, unless they were asked for: FAULTS=short for one of each, FAULTS=all for the long forms too, FAULTS=none for none."""
    asked = os.environ.get("FAULTS", "quick")
    skip = pytest.mark.skip(reason="a fault: make test-faults")
    for item in items:
        if "tests/faults/" not in item.nodeid or asked == "all":
            continue
        is_quick = isinstance(item, pytest.Function) and item.originalname in QUICK
        is_long = item.get_closest_marker("faults") is not None
        if asked == "none" or is_long or (asked != "short" and not is_quick):
            item.add_marker(skip)
