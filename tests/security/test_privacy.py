"""Privacy: what was said is in no log, a guest leaves nothing, and what was erased is in no byte of the data folder nor in the next model."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes import HOME
from tests.mosquitto import DEADLINE_S, Mosquitto, Watcher, running_mosquitto

START_S = 60.0
PASSWORD = "correct horse battery"
SECRET = "turn on the zanzibar lullaby"
HAN_SECRET = "打开奶奶的摇篮曲"
ERASED = [SECRET, "zanzibar", HAN_SECRET, "摇篮曲"]


@dataclass(kw_only=True)
class Program:
    """A daemon as a process on a broker with passwords, and what it has logged."""

    folder: Path
    server: Mosquitto
    watcher: Watcher
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    online: int = 0

    @property
    def config(self) -> Path:
        """Return the configuration file."""
        return self.folder / "voice_rl.yaml"

    @property
    def data(self) -> Path:
        """Return the folder of everything that the daemon keeps."""
        return self.folder / "data"

    def start(self, *arguments: str, environ: dict[str, str] | None = None) -> None:
        """Start it and wait until it is online."""
        command = [sys.executable, "-m", "voice_rl_plugin.cli", "run", "--config", str(self.config), *arguments]
        self.processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(environ))
        )
        self.online += 1
        self.watcher.wait_for(
            lambda one: one.topic == "voice_rl/status" and one.payload == b"online" and not one.retain,
            "online",
            count=self.online,
            deadline_s=START_S,
        )

    def stop(self) -> str:
        """Stop it and return everything that it has printed."""
        self.processes[-1].terminate()
        printed, _ = self.processes[-1].communicate(timeout=START_S)
        return printed

    def say(self, text: str, count: int, *, area: str = "kitchen") -> dict[str, Any]:
        """Say something and return the decision."""
        self.watcher.publish(f"voice_rl/command/{area}", {"text": text, "user": "anneliese"})
        found: dict[str, Any] = self.watcher.wait_topic("voice_rl/decision", count=count)
        return found

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command beside it."""
        command = [sys.executable, "-m", "voice_rl_plugin.cli", *arguments, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=START_S)


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """Return an environment without foreign settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("VOICE_RL")}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]), **(extra or {})}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """Prepare a broker that asks the daemon for a password, and a configuration."""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "voice_rl", PASSWORD], check=True, capture_output=True)
    passwords.chmod(0o700)
    with running_mosquitto(tmp_path, extra=f"password_file {passwords}\n") as server:
        (tmp_path / "home.yaml").write_text(yaml.safe_dump(HOME.to_mapping()))
        (tmp_path / "secret").write_text(PASSWORD + "\n")
        settings = {
            "mqtt": {"port": server.port, "username": "voice_rl", "password_file": str(tmp_path / "secret")},
            "home": {"file": str(tmp_path / "home.yaml")},
            "store": {"path": str(tmp_path / "data" / "store")},
            "models": {"path": str(tmp_path / "data" / "models")},
        }
        one = Program(folder=tmp_path, server=server, watcher=Watcher(server.port))
        one.config.write_text(yaml.safe_dump(settings))
        yield one
        one.watcher.close()
        for process in one.processes:
            with contextlib.suppress(OSError):
                process.kill()
            process.communicate(timeout=DEADLINE_S)


def traces(folder: Path, words: list[str]) -> list[tuple[str, str]]:
    """Return where in a folder these words stand, in UTF-8, UTF-16, or as JSON escapes, byte by byte."""
    found = []
    for path in (one for one in folder.rglob("*") if one.is_file()):
        content = path.read_bytes().lower()
        for word in words:
            shapes = {word.lower().encode(), word.lower().encode("utf-16-le"), json.dumps(word.lower())[1:-1].encode()}
            found += [(str(path.relative_to(folder)), word) for shape in shapes if shape in content]
    return found


def test_log_holds_no_secret_and_no_word(program: Program) -> None:
    """At the usual level the log has the decisions, but no password, no sentence, no name of a person or device, whatever goes wrong."""
    program.start()
    decision = program.say(SECRET, 1)
    program.say("turn on the lamp", 2)
    program.watcher.publish("voice_rl/confirm/kitchen", {"verdict": "no", "correction": {"text": f"no, {HAN_SECRET}"}})
    program.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "no", "user": "anneliese"})
    for wrong in (f"{{{SECRET}", json.dumps({"text": [SECRET]}), json.dumps({"text": "x", "area": SECRET})):
        program.watcher.publish("voice_rl/command", wrong)
    program.watcher.publish("voice_rl/home", json.dumps({"areas": [{"id": SECRET, "nmae": SECRET}]}))
    program.watcher.publish("voice_rl/model/set", {"version": SECRET})
    program.watcher.publish("voice_rl/command", SECRET, retain=True)
    program.watcher.publish("voice_rl/command", "", retain=True)
    program.watcher.wait_topic("voice_rl/error", count=4)
    program.say("the end", 4)
    log = program.stop()

    assert log.count("decision ") >= 3
    assert [word for word in (PASSWORD, *ERASED, "anneliese", HOME.entities[0].name, "the end") if word.lower() in log.lower()] == []


def test_debug_log_and_commands_hold_no_password(program: Program) -> None:
    """Not even at debug level, not in `config show`, not on the health topic, and not when it comes from the environment."""
    settings = yaml.safe_load(program.config.read_text())
    del settings["mqtt"]["password_file"]
    program.config.write_text(yaml.safe_dump(settings))
    program.start("--log-level", "debug", environ={"VOICE_RL__MQTT__PASSWORD": PASSWORD})
    program.say(SECRET, 1)
    health = json.dumps(program.watcher.wait_topic("voice_rl/health"))
    arguments = Path(f"/proc/{program.processes[-1].pid}/cmdline").read_bytes().decode()
    log = program.stop()
    shown = subprocess.run(
        [sys.executable, "-m", "voice_rl_plugin.cli", "config", "show", "--config", str(program.config)],
        capture_output=True,
        text=True,
        check=False,
        env=environment({"VOICE_RL__MQTT__PASSWORD": PASSWORD}),
    )

    assert SECRET in log  # debug shows words, and says so in its help
    assert shown.returncode == 0
    assert [text for text in (log, health, arguments, shown.stdout + shown.stderr) if PASSWORD in text] == []


def test_password_in_the_configuration_is_refused(program: Program) -> None:
    """A password in voice_rl.yaml ends the start with one line, which does not repeat it."""
    settings = yaml.safe_load(program.config.read_text())
    settings["mqtt"]["password"] = PASSWORD
    program.config.write_text(yaml.safe_dump(settings))
    done = program.run("run")

    assert done.returncode == 2
    assert "password_file" in done.stderr
    assert PASSWORD not in done.stderr


def test_guest_leaves_no_byte(program: Program) -> None:
    """In guest mode nothing that was said is on the disk, neither while it runs nor after; the way back stores again."""
    program.start()
    program.watcher.publish("voice_rl/learning/set", "guest")
    program.watcher.wait_for(lambda one: one.topic == "voice_rl/learning" and one.payload == b"guest", "the mode")
    program.say(SECRET, 1)
    program.say(HAN_SECRET, 2)
    program.watcher.publish("voice_rl/confirm/kitchen", {"verdict": "no", "correction": {"text": SECRET}})
    program.say("turn on the lamp", 3)

    assert traces(program.data, ERASED) == []
    program.watcher.publish("voice_rl/learning/set", "on")
    program.say(SECRET, 4)
    assert traces(program.data, [SECRET]) != []
    program.stop()


@pytest.mark.parametrize("everything", [False, True])
def test_erased_sentence_is_in_no_byte_of_the_data_folder(program: Program, *, everything: bool) -> None:
    """Said, corrected, exported, erased beside the running daemon: no file holds it in any writing, then, and after the daemon has ended."""
    program.start()
    program.say("turn on the lamp", 1)
    spoken = program.say(SECRET, 2)
    program.watcher.publish(
        "voice_rl/confirm", {"decision_id": spoken["decision_id"], "verdict": "no", "correction": {"text": "turn on the lamp"}}
    )
    program.watcher.wait_topic("voice_rl/decision", count=3)
    program.say(HAN_SECRET, 4)
    assert {word for _, word in traces(program.data, ERASED)} == set(ERASED)
    archive = program.folder / "kept.zip"
    assert program.run("experience", "export", str(archive)).returncode == 0

    for what in [["--all"]] if everything else [["--text", SECRET], ["--text", HAN_SECRET]]:
        done = program.run("experience", "erase", *what)
        assert done.returncode == 0, done.stderr
        assert str(archive) in done.stdout  # it cannot reach what was carried away, and says where that is
    assert traces(program.data, ERASED) == []
    program.say("turn off the lamp", 5)
    program.stop()
    assert traces(program.data, ERASED) == []
    assert program.run("experience", "import", str(archive)).returncode == 0
    assert traces(program.data, ERASED) == []  # what was erased does not come back with an old archive
