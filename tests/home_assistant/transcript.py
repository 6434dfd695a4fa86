"""Prints what docs/home_assistant_registry.md shows: the whole way of some sentences in a real Home Assistant, and how long they take.

VOICE_RL_HA=... python -m tests.home_assistant.transcript
"""

import contextlib
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.home_assistant.conftest import COMPONENT, PACKAGE, RISKY_LABEL, furnish
from tests.home_assistant.lab import Lab
from tests.home_assistant.satellite import FakeSatellite
from tests.home_assistant.test_component import AGENT, EXPOSED, TELLS, add_by_hand
from tests.mosquitto import Watcher
from voice_rl_plugin.config import Config, DispatchSection, HomeSection, ModelsSection, MqttSection, StoreSection
from voice_rl_plugin.daemon import build_daemon

CALLS = 50
LINES = (
    ("en", "turn on the counter bar and the desk lamp"),
    ("zh-Hans", "关掉吧台灯和台灯"),
    ("en", "bar down to thirty five"),
    ("en", "unlock the front door"),
    ("en", "turn on the kettle"),
    ("en", "yes"),
    ("en", "turn on the stubborn lamp"),
    ("en", "what time is it"),
)


def main() -> None:
    """Print the transcript."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        lab = Lab(Path(folder), packages=(PACKAGE,), components=(COMPONENT,))
        stack.callback(lab.stop)
        lab.start()
        satellite = FakeSatellite("Kitchen Satellite")
        stack.callback(satellite.close)
        furnish(lab, satellite)
        lab.rest("POST", "/api/services/automation/turn_off", {"entity_id": TELLS})
        print(f"Home Assistant {lab.version}\n")
        lab.change("light.desk_lamp", aliases=[*lab.entry("light.desk_lamp")["aliases"], "台灯"])
        for executor in ("dispatch", "home_assistant"):
            with running_daemon(lab, Path(folder) / executor, executor) as watcher:
                if not lab.entry_state("voice_rl"):
                    add_by_hand(lab, "voice_rl")
                lab.until(lambda: lab.entry_state("voice_rl") == "loaded", "the component")
                wait_home(watcher)
                print(f"## Assist through the component, dispatch.executor: {executor}\n")
                talk(lab)
                print(measure(lab, "ours"))
        print(measure(lab, "conversation.home_assistant"))


@contextlib.contextmanager
def running_daemon(lab: Lab, folder: Path, executor: str) -> Iterator[Watcher]:
    """Run a daemon with one executor."""
    folder.mkdir()
    (folder / "token").write_text(lab.token)
    linked = HomeSection(home_assistant=lab.address, token_file=folder / "token", risky_label=RISKY_LABEL)
    daemon = build_daemon(
        Config(
            mqtt=MqttSection(port=lab.broker.port, client_id=f"voice_rl_{executor}"),
            home=linked if executor == "home_assistant" else HomeSection(),
            dispatch=DispatchSection(executor=executor),
            store=StoreSection(path=folder / "store"),
            models=ModelsSection(path=folder / "models"),
        )
    )
    watcher = Watcher(lab.broker.port, ("voice_rl/#",), name=executor)
    thread = threading.Thread(target=daemon.run, daemon=True)
    thread.start()
    daemon.is_ready.wait(10)
    try:
        yield watcher
    finally:
        daemon.stop()
        thread.join(10)
        watcher.close()


def wait_home(watcher: Watcher) -> None:
    """Wait until the daemon knows the home."""
    part = f'"entities":{EXPOSED}}}'.encode()
    watcher.wait_for(
        lambda one: one.topic == "voice_rl/health" and part in one.payload and b'"ok"' in one.payload, "the home", deadline_s=30
    )


def talk(lab: Lab) -> None:
    """Say all lines, and print what Assist answers and what the devices are told."""
    conversation = None
    for language, text in LINES:
        lab.devices.commands.clear()
        begun = time.perf_counter()
        result = process(lab, text, language=language, agent_id=AGENT, **({"conversation_id": conversation} if conversation else {}))
        took_ms = 1000 * (time.perf_counter() - begun)
        conversation = result["conversation_id"] if result["continue_conversation"] else None
        response = result["response"]
        print(f"you       {text}")
        print(
            f"Assist    {response['speech']['plain']['speech']}   [{response['response_type']}{', listens again' if conversation else ''}, {took_ms:.0f} ms]"
        )
        for key, payload in lab.devices.commands:
            print(f"device    {key} <- {payload}")
        print()


def process(lab: Lab, text: str, **fields: Any) -> dict[str, Any]:
    """Say something to Assist."""
    found: dict[str, Any] = lab.ask({"type": "conversation/process", "text": text, **fields})
    return found


def measure(lab: Lab, agent: str) -> str:
    """Return how long Assist takes, over one connection."""
    took: list[float] = []
    with lab.link() as link:
        for number in range(CALLS):
            text = f"turn {'on' if number % 2 else 'off'} the counter bar"
            command = {"type": "conversation/process", "text": text, "language": "en", "agent_id": AGENT if agent == "ours" else agent}
            begun = time.perf_counter()
            mine = link.send(command)
            while (message := link.receive(10.0)) is not None and message.get("id") != mine:
                pass
            took.append(1000 * (time.perf_counter() - begun))
            assert message is not None
            assert message["result"]["response"]["response_type"] == "action_done", json.dumps(message)[:300]
    p95 = sorted(took)[int(0.95 * CALLS) - 1]
    return f"conversation/process, {agent}, {CALLS} calls: median {statistics.median(took):.1f} ms, p95 {p95:.1f} ms\n"


if __name__ == "__main__":
    main()
