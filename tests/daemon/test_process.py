"""The daemon as a process: `voice-rl run`, SIGTERM, kill -9, and a wrong setup."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.fakes import HOME
from tests.mosquitto import DEADLINE_S, Watcher, running_mosquitto
from voice_rl_plugin.learning.store import ExperienceStore

START_S = 30.0


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[Watcher]:
    """Watch a real mosquitto, for which a configuration is written."""
    with running_mosquitto(tmp_path) as server:
        (tmp_path / "home.yaml").write_text(yaml.safe_dump(HOME.to_mapping()))
        settings = {
            "mqtt": {"port": server.port},
            "home": {"file": str(tmp_path / "home.yaml")},
            "store": {"path": str(tmp_path / "store")},
            "models": {"path": str(tmp_path / "models")},
        }
        (tmp_path / "voice_rl.yaml").write_text(yaml.safe_dump(settings))
        one = Watcher(server.port)
        yield one
        one.close()


def run(folder: Path) -> subprocess.Popen[str]:
    """Start `voice-rl run`."""
    command = [sys.executable, "-m", "voice_rl_plugin.cli", "run", "--config", str(folder / "voice_rl.yaml")]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("VOICE_RL")}
    environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), environ.get("PYTHONPATH", "")])
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def online(watcher: Watcher, count: int = 1) -> None:
    """Wait for the status."""
    watcher.wait_for(lambda one: one.topic == "voice_rl/status" and one.payload == b"online", "online", count=count)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly(watcher: Watcher, tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end the process with code 0, `offline` on the status, and no words in the log."""
    process = run(tmp_path)
    online(watcher)
    watcher.publish("voice_rl/command/kitchen", "my secret words")
    watcher.wait_topic("voice_rl/decision")
    process.send_signal(number)
    _, log = process.communicate(timeout=START_S)

    assert process.returncode == 0, log
    assert watcher.on_topic("voice_rl/status")[-1].payload == b"offline"
    assert "decision " in log
    assert "secret" not in log


def test_kill_is_told_and_survived(watcher: Watcher, tmp_path: Path) -> None:
    """After kill -9 the last will says offline; a reward that was given meanwhile is stored by the next process."""
    process = run(tmp_path)
    online(watcher)
    watcher.publish("voice_rl/command/kitchen", "my words")
    decision = watcher.wait_topic("voice_rl/decision")
    process.kill()
    process.communicate(timeout=START_S)
    watcher.wait_for(lambda one: one.topic == "voice_rl/status" and one.payload == b"offline", "the will")
    watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "no"})
    process = run(tmp_path)
    online(watcher, count=2)
    watcher.publish("voice_rl/command/kitchen", "more words")
    watcher.wait_topic("voice_rl/decision", count=2)
    process.terminate()
    process.communicate(timeout=START_S)

    with ExperienceStore(tmp_path / "store") as store:
        stored = store.stored(decision["decision_id"])
    assert stored is not None
    assert stored.settlement is not None
    assert stored.settlement.reward is not None
    assert stored.settlement.reward < 0


def test_wrong_setup_ends_with_two(tmp_path: Path) -> None:
    """A wrong configuration is one line on stderr and exit code 2."""
    (tmp_path / "voice_rl.yaml").write_text("mqtt: {hots: x}")
    process = run(tmp_path)
    out, err = process.communicate(timeout=START_S)

    assert (process.returncode, out) == (2, "")
    assert err.strip().count("\n") == 0
    assert "did you mean 'host'" in err


def test_health_names_the_model(watcher: Watcher, tmp_path: Path) -> None:
    """Health is retained JSON that names the model or says that there is none."""
    process = run(tmp_path)
    online(watcher)
    health = watcher.wait_topic("voice_rl/health")
    process.terminate()
    process.communicate(timeout=DEADLINE_S)

    assert health["home"] == {"areas": 2, "entities": 4}
    assert isinstance(json.dumps(health["model"]), str)
