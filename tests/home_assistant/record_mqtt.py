"""Records what Home Assistant and the daemon tell each other over MQTT as JSON lines, which tests/daemon/test_home_assistant_mqtt.py plays without one.

    VOICE_RL_HA=... python -m tests.home_assistant.record_mqtt tests/daemon/recordings/home_assistant_mqtt_2026_11.jsonl

{"from": "home_assistant", "topic": "voice_rl/ask", "payload": {"id": "...", "text": "turn on the kettle", ...}}
{"from": "daemon", "topic": "voice_rl/answer", "payload": {"id": "...", "text": "Shall I turn on the Kettle in Kitchen?", ...}}
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.home_assistant.conftest import PACKAGE
from tests.home_assistant.lab import Lab
from tests.home_assistant.test_device import wait_event
from tests.home_assistant.transcript import furnished, opened
from tests.home_assistant.ways import Page, Way
from tests.mosquitto import Watcher

THEIRS = (
    "voice_rl/command",
    "voice_rl/ask",
    "voice_rl/confirm",
    "voice_rl/result",
    "voice_rl/home",
    "voice_rl/state/",
    "homeassistant/status",
)
OURS = ("voice_rl/action/", "voice_rl/decision", "voice_rl/say", "voice_rl/answer")
KEPT = ("decision_id", "outcome", "actions", "question")
"""What is kept of a decision; the rest is figures that another model changes."""
DULL = ("last_updated", "last_changed")
"""Attributes that say nothing when they are played."""


def record(lab: Lab, folder: Path) -> list[dict[str, Any]]:
    """Play the session of the recording, and return its lines."""
    with opened(lab, folder, "dispatch") as doors:
        watcher = Watcher(lab.broker.port, ("voice_rl/#", "homeassistant/status"), name="tape")
        watcher.wait_for(lambda one: one.topic == "voice_rl/home", "the home")
        page = Page(lab, doors["page"][0].watcher)
        assist: Way = doors["component"][1]()
        page.say("turn on the counter bar")
        wait_event(lab, page, "act")
        page.press("undo")
        lab.wait_state("light.counter_bar", "off")
        page.say("turn on the counter bar and turn off the desk lamp")
        assist.say("打开床头灯，关掉吧台灯", language="zh-Hans")
        for text in ("unlock the front door", "turn on the kettle", "yes", "what time is it", "turn on the stubborn lamp"):
            assist.say(text)
        lab.stop_home_assistant()
        watcher.wait_for(lambda one: one.topic == "homeassistant/status" and one.payload == b"offline", "the end")
        watcher.close()
        lab.start_home_assistant()  # what was added is taken out again
        lab.wait_running()
    return [line for one in watcher.seen if (line := to_line(one.topic, bytes(one.payload))) is not None]


def to_line(topic: str, payload: bytes) -> dict[str, Any] | None:
    """Return a message as a line; None for what is not played."""
    if topic.rpartition("/")[2] in DULL or not topic.startswith(THEIRS + OURS):
        return None
    text = payload.decode()
    try:
        told: Any = text if topic.startswith("voice_rl/state/") else json.loads(text)
    except ValueError:
        told = text
    if topic == "voice_rl/decision":
        told = {key: told[key] for key in KEPT if key in told}
    return {"from": "home_assistant" if topic.startswith(THEIRS) else "daemon", "topic": topic, "payload": told}


def main() -> None:
    """Record into the file that is named."""
    with tempfile.TemporaryDirectory() as name, furnished(Path(name) / "lab", PACKAGE) as lab:
        lines = [{"from": "home_assistant", "version": lab.version}, *record(lab, Path(name) / "daemon")]
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
