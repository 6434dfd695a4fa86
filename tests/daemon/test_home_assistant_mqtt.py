"""A recorded session of a real Home Assistant over MQTT, played to a daemon with the shipped model: it says and does what it did then.

tests/home_assistant/record_mqtt.py makes the recording.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mosquitto import DEADLINE_S, Mosquitto, Watcher, running_mosquitto
from voice_rl_plugin.config import Config, DoorsSection, ModelsSection, MqttSection, StoreSection
from voice_rl_plugin.daemon import build_daemon

RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("home_assistant_mqtt_*.jsonl"))
LIES_THERE = ("voice_rl/home", "voice_rl/state/", "homeassistant/status")
FORGOTTEN = frozenset({"decision_id", "expires_at", "id"})
"""What is another each time."""

Line = dict[str, Any]


class Player:
    """Plays Home Assistant's part at a broker, and waits for ours."""

    def __init__(self, server: Mosquitto) -> None:
        self.server = server
        self.watcher = Watcher(server.port, ("voice_rl/#",), name="player")
        self.ids: dict[str, str] = {}
        """Decision ids of the recording, and what they are now."""
        self.heard: list[tuple[str, Any, Any]] = []
        """Topic, what was recorded, and what came."""
        self._counts: Counter[str] = Counter()

    def play(self, line: Line) -> None:
        """Send one line of Home Assistant, or wait for one of ours."""
        topic = line["topic"]
        if line["from"] == "daemon":
            self._counts[topic] += 1
            came = self.watcher.wait_topic(topic, count=self._counts[topic])
            if "decision_id" in line["payload"]:
                self.ids[line["payload"]["decision_id"]] = came["decision_id"]
            self.heard.append((topic, comparable(line["payload"]), comparable({key: came[key] for key in line["payload"] if key in came})))
            return
        payload = line["payload"]
        if isinstance(payload, dict) and topic != "voice_rl/home":
            told = {"at": time.time()} if "at" in payload else {}
            known = self.ids.get(str(payload.get("decision_id")))
            payload = payload | told | ({"decision_id": known} if known else {})
        self.watcher.publish(topic, payload, retain=topic.startswith(LIES_THERE))


def comparable(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload without what is another each time."""
    return {key: one for key, one in payload.items() if key not in FORGOTTEN}


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    """Run a broker and a daemon with the shipped model, which knows nothing yet."""
    with running_mosquitto(tmp_path) as server:
        daemon = build_daemon(
            Config(
                mqtt=MqttSection(port=server.port),
                doors=DoorsSection(burst=1000),
                store=StoreSection(path=tmp_path / "store"),
                models=ModelsSection(path=tmp_path / "models"),
            )
        )
        thread = threading.Thread(target=daemon.run, daemon=True)
        thread.start()
        assert daemon.is_ready.wait(DEADLINE_S)
        one = Player(server)
        yield one
        one.watcher.close()
        daemon.stop()
        thread.join(DEADLINE_S)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: one.stem.removeprefix("home_assistant_mqtt_"))
def test_daemon_does_what_it_did_in_the_recording(player: Player, recording: Path) -> None:
    """The home, the states, the text box, the button, the component's questions and the package's results are understood; each answer is as it was."""
    lines = [json.loads(line) for line in recording.read_text(encoding="utf-8").splitlines()]
    for line in lines[1:]:
        player.play(line)

    assert lines[0]["version"].startswith(recording.stem.removeprefix("home_assistant_mqtt_").replace("_", "."))
    assert [(topic, came) for topic, _, came in player.heard] == [(topic, told) for topic, told, _ in player.heard]
    assert {"voice_rl/answer", "voice_rl/say", "voice_rl/decision"} < {topic for topic, _, _ in player.heard}
    assert player.watcher.on_topic("voice_rl/error") == []


def test_there_is_a_recording() -> None:
    """The recordings are part of the repository, small, and without a secret."""
    texts = {one.name: one.read_text(encoding="utf-8") for one in RECORDINGS}

    assert "home_assistant_mqtt_2026_11.jsonl" in texts
    assert all(len(text) < 200_000 for text in texts.values())
    assert not any(word in text.casefold() for text in texts.values() for word in ("password", "token", "bearer", "/srv/"))
