"""docs/uninstall.md leaves nothing behind: its commands are run after a real daemon."""

import re
import shlex
import subprocess
import threading
from pathlib import Path

from tests.mosquitto import DEADLINE_S, Watcher, running_mosquitto
from voice_rl_plugin import cli
from voice_rl_plugin.config import load_config
from voice_rl_plugin.daemon.build import build_daemon

DOCUMENT = Path(__file__).parents[2] / "docs" / "uninstall.md"


def retained_on(port: int) -> set[str]:
    """Return the topics of all retained messages."""
    watcher = Watcher(port, name="looker")
    watcher.publish("looker/mark", b"1")
    watcher.wait_topic("looker/mark")  # what is retained comes before it
    watcher.close()
    return {one.topic for one in watcher.seen if one.retain}


def test_commands_of_the_document_leave_nothing_on_the_broker(tmp_path: Path) -> None:
    """After the document's commands the broker holds no retained message of ours; before them it does."""
    with running_mosquitto(tmp_path) as server:
        config = tmp_path / "voice_rl.yaml"
        config.write_text(f"mqtt: {{port: {server.port}}}\nstore: {{path: {tmp_path}/store}}\nmodels: {{path: {tmp_path}/models}}\n")
        daemon = build_daemon(load_config(config, environ={}))
        thread = threading.Thread(target=daemon.run, daemon=True)
        thread.start()
        assert daemon.is_ready.wait(DEADLINE_S)
        daemon.stop()
        thread.join(DEADLINE_S)
        before = retained_on(server.port)

        for line in re.findall(r"(?m)^(voice-rl device remove .*|mosquitto_sub .*)$", DOCUMENT.read_text(encoding="utf-8")):
            words = shlex.split(line)
            if words[0] == "voice-rl":
                assert cli.main([*words[1:-1], str(config)]) == 0
            else:
                subprocess.run([*words, "-p", str(server.port)], check=False, capture_output=True, timeout=DEADLINE_S)

        assert {"homeassistant/device/voice_rl/config", "voice_rl/status", "voice_rl/health"} <= before
        assert retained_on(server.port) == set()


def test_document_names_every_file_of_the_store(tmp_path: Path) -> None:
    """What a daemon writes into its folders is in the document."""
    with running_mosquitto(tmp_path) as server:
        config = tmp_path / "voice_rl.yaml"
        config.write_text(f"mqtt: {{port: {server.port}}}\nstore: {{path: {tmp_path}/store}}\nmodels: {{path: {tmp_path}/models}}\n")
        watcher = Watcher(server.port)
        watcher.publish("voice_rl/home", {"entities": [{"id": "light.a", "name": "A"}]}, retain=True)
        daemon = build_daemon(load_config(config, environ={}))
        thread = threading.Thread(target=daemon.run, daemon=True)
        thread.start()
        watcher.wait_for(lambda one: one.topic == "voice_rl/health" and b'"entities":1' in one.payload, "the home")
        watcher.publish("voice_rl/learning/set", b"off")
        watcher.wait_for(lambda one: one.topic == "voice_rl/learning" and one.payload == b"off", "the mode")
        written = {path.name for path in (tmp_path / "store").iterdir()}
        daemon.stop()
        thread.join(DEADLINE_S)
        watcher.close()
    text = DOCUMENT.read_text(encoding="utf-8")

    assert {"experience.sqlite3", "topic_home.json", "learning_mode", "daemon.lock"} <= written
    for name in written:
        stem, _, suffix = name.partition("sqlite3")
        assert f"{stem}sqlite3" in text if suffix or "sqlite3" in name else name in text, name
        assert suffix in text, name
