"""Prints docs/home_assistant_transcript.md: the whole way of some sentences through each door of a real Home Assistant, and how long they take.

    VOICE_RL_HA=$(scripts/need-home-assistant) python -m tests.home_assistant.transcript [--picture FILE.png] > docs/home_assistant_transcript.md

A picture of the device page needs chromium.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.home_assistant.conftest import COMPONENT, PACKAGE, Speaker, furnish, running_speaker
from tests.home_assistant.lab import Lab
from tests.home_assistant.picture import take_picture
from tests.home_assistant.satellite import FakeSatellite
from tests.home_assistant.test_component import EXPOSED, TELLS, add_by_hand
from tests.home_assistant.test_device import device_of, make_models, wait_event, wait_page
from tests.home_assistant.ways import Assist, Page, Way, agent_of, counted_calls, wyoming_agent
from tests.mosquitto import free_port

CALLS = 50
WARM_UP = 5
PAUSE_S = 0.2
OWN_AGENT = "conversation.home_assistant"
DEVICES = {"light.counter_bar": "OFF", "light.desk_lamp": "ON", "light.bedside": "ON", "light.ceiling": "OFF", "switch.kettle": "OFF"}
SENTENCES = (
    ("en", "turn on the counter bar and turn off the desk lamp"),
    ("zh-Hans", "打开床头灯，关掉吧台灯"),
    ("en", "bar down to thirty five"),
    ("zh-Hans", "把吧台灯调到百分之六十"),
    ("en", "unlock the front door"),
    ("en", "turn on the kettle"),
    ("en", "yes"),
    ("en", "turn on the stubborn lamp"),
    ("en", "turn on the desk lamp"),
    ("en", "no, the ceiling light"),
    ("en", "turn on the desk lamp"),
)
ANSWERED_ONLY = (("en", "don't turn off the bar"), ("en", "what time is it"))
"""Nothing is said of the first on MQTT, where it may have been meant for somebody else; the answer to the second is Home Assistant's."""
TITLES = {
    "page": "The device page: typed into the text box",
    "component": "Assist through the custom component",
    "wyoming": "Assist through Wyoming",
}


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write a picture of the device page")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with furnished(folder / "token") as lab:
            tell_head(lab)
            for door, title in TITLES.items():
                with opened(lab, folder / door, "home_assistant", models=make_models(folder / f"{door}_models")) as doors:
                    speaker, way = doors[door]
                    print(f"\n## {title}\n\n```text")
                    talk(lab, way(), door)
                    unlock(lab, speaker, way())
                    if door == "page":
                        push_buttons(lab, speaker)
                    print("```")
                    if door == "page" and args.picture:
                        picture(lab, args.picture)
            with opened(lab, folder / "times", "home_assistant"):
                times = tell_times(lab, "home_assistant")
        with furnished(folder / "package", PACKAGE) as lab, opened(lab, folder / "dispatch", "dispatch") as doors:
            print("\n## Without a token: the package carries it out\n\n```text")
            for door, title in TITLES.items():
                print(f"({title})\n")
                talk(lab, doors[door][1](), door, sentences=SENTENCES[:2])
            print("```")
            times += tell_times(lab, "dispatch")
        print(times, end="")


@contextlib.contextmanager
def furnished(folder: Path, *packages: Path) -> Iterator[Lab]:
    """Run a furnished Home Assistant; the component tells the home."""
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        lab = Lab(folder, packages=packages, components=(COMPONENT,))
        stack.callback(lab.stop)
        lab.start()
        satellite = FakeSatellite("Kitchen Satellite")
        stack.callback(satellite.close)
        furnish(lab, satellite)
        if packages:
            lab.rest("POST", "/api/services/automation/turn_off", {"entity_id": TELLS})
        yield lab


def tell_head(lab: Lab) -> None:
    """Print what this page is."""
    python = ".".join(map(str, sys.version_info[:2]))
    print("# The whole way through each door of Home Assistant\n")
    print(
        f"Home Assistant {lab.version}, mosquitto, the daemon with the shipped model on Python {python}, all on one machine. This page is printed by\n"
    )
    print(
        "```sh\nVOICE_RL_HA=$(scripts/need-home-assistant) python -m tests.home_assistant.transcript > docs/home_assistant_transcript.md\n```\n"
    )
    print(
        "`did` is each service call on a device that went over Home Assistant's event bus, `device` what the simulated devices were told."
    )
    print("The lights are set anew before each door; *Front Door* is a lock that is not exposed to Assist, *Kettle* carries the label of")
    print("risky things, *Stubborn Lamp* never obeys. With a token: `dispatch.executor` is `home_assistant`, `dispatch.guarded` true.")


@contextlib.contextmanager
def opened(
    lab: Lab, folder: Path, executor: str, *, models: Path | None = None
) -> Iterator[Mapping[str, tuple[Speaker, Callable[[], Way]]]]:
    """Run a daemon with every door open; each door begins a conversation."""
    folder.mkdir()
    port = free_port()
    with running_speaker(
        lab, folder, executor=executor, has_link=executor == "home_assistant", wyoming_port=port, models=models, guarded=True
    ) as speaker:
        if not lab.entry_state("voice_rl"):
            add_by_hand(lab, "voice_rl")
        component = str(lab.until(lambda: agent_of(lab, "voice_rl"), "the component"))
        speaker.settle_home(EXPOSED)
        with wyoming_agent(lab, port) as wyoming:
            yield {
                "page": (speaker, lambda: Page(lab, speaker.watcher)),
                "component": (speaker, lambda: Assist(lab, component)),
                "wyoming": (speaker, lambda: Assist(lab, wyoming)),
            }


def talk(lab: Lab, way: Way, door: str, *, sentences: tuple[tuple[str, str], ...] | None = None) -> None:
    """Say all sentences, and print what is answered and done."""
    for key, state in DEVICES.items():
        lab.devices.press(key.partition(".")[2], state)
        lab.wait_state(key, state.lower())
    for language, text in sentences or (*SENTENCES, *(() if door == "page" else ANSWERED_ONLY)):
        say(lab, way, text, language)


def say(lab: Lab, way: Way, text: str, language: str = "en") -> None:
    """Say one sentence, and print what is answered and done."""
    lab.devices.commands.clear()
    with counted_calls(lab) as calls:
        begun = time.perf_counter()
        answer = way.say(text, language=language)
        took_ms = 1000 * (time.perf_counter() - begun)
    lab.until(lambda: len(lab.devices.commands) >= len(calls), f"the devices to be told {calls}", deadline_s=5)
    print(f"you       {text}\nanswer    {answer}   [{took_ms:.0f} ms]")
    for service, entity_id in calls:
        print(f"did       {service} {entity_id}")
    for key, payload in lab.devices.commands:
        print(f"device    {key} <- {payload}")
    print(flush=True)


def unlock(lab: Lab, speaker: Speaker, way: Way) -> None:
    """Expose the lock, and have it unlocked with a yes."""
    lab.expose("lock.front_door")
    speaker.settle_home(EXPOSED + 1)
    print("(the lock is exposed to Assist now)\n")
    say(lab, way, "unlock the front door")
    print(f"(the lock is {lab.state('lock.front_door')})\n")
    say(lab, way, "yes")
    lab.wait_state("lock.front_door", "unlocked")
    lab.rest("POST", "/api/services/lock/lock", {"entity_id": "lock.front_door"})
    lab.wait_state("lock.front_door", "locked")
    lab.expose("lock.front_door", should_expose=False)
    speaker.settle_home(EXPOSED)


def push_buttons(lab: Lab, speaker: Speaker) -> None:
    """Judge, undo, deploy a model and roll it back, all on the page."""
    page = Page(lab, speaker.watcher)
    say(lab, page, "turn off the counter bar")
    decision = wait_event(lab, page, "act")
    page.press("right")
    print(f"pressed   That was right   [about {decision}]\n")
    say(lab, page, "turn on the counter bar")
    wait_event(lab, page, "act", other_than=decision)
    page.press("undo")
    wait_event(lab, page, "undo")
    lab.wait_state("light.counter_bar", "off")
    print("pressed   Take it back\nstate     light.counter_bar off\n")
    say(lab, page, "turn on the counter bar")
    switched_at = time.monotonic() + 1.2  # a person needs more than a second
    lab.until(lambda: time.monotonic() > switched_at, "a moment")
    lab.rest("POST", "/api/services/light/turn_off", {"entity_id": "light.counter_bar"})
    speaker.watcher.wait_for(lambda one: one.topic == "voice_rl/event" and b'"undo"' in one.payload, "the undo", count=2)
    print("switched  light.counter_bar off, by hand in Home Assistant\nevent     undo\n")
    shown = page.state("model")["attributes"]
    print(f"update    {shown['installed_version']} -> {shown['latest_version']}: {shown['release_summary']}")
    lab.rest("POST", "/api/services/update/install", {"entity_id": page.entity("model")})
    wait_page(lab, page, "model", "off", installed_version="second")
    print("pressed   Install\nmodel     second")
    page.press("rollback")
    wait_page(lab, page, "model", "on", installed_version="base")
    print("pressed   Back to the former model\nmodel     base")


def picture(lab: Lab, out: Path) -> None:
    """Take a picture of the device page once its sensors show what was done."""
    entity_id = "sensor.voice_rl_acted"
    lab.until(lambda: lab.state(entity_id) not in ("", "0", "unknown"), "the sensors", deadline_s=30)
    wanted = ("Voice RL", "Command", "That was wrong", "Acted in 7 days", "Training progress")
    take_picture(lab, f"/config/devices/device/{device_of(lab)['id']}", out, wanted=wanted)


def tell_times(lab: Lab, executor: str) -> str:
    """Return how long Assist takes with each agent, as a part of the page."""
    agents = {
        "the custom component": (agent_of(lab, "voice_rl"), "the counter bar"),
        "Wyoming": (agent_of(lab, "wyoming"), "the ceiling light"),
        "Home Assistant's own": (OWN_AGENT, "the desk lamp"),
    }
    spoken, at_once = measure(lab, agents, pause_s=PAUSE_S), measure(lab, agents, pause_s=0.0)
    lines = [f"| `{executor}` | {agent} | {_in_short(spoken[agent])} | {_in_short(at_once[agent])} |\n" for agent in agents]
    return ("" if executor == "dispatch" else _ABOUT_TIMES) + "".join(lines)


_ABOUT_TIMES = f"""
## How long `conversation/process` takes

{CALLS} calls of each agent in one run on one connection, taking turns call by call, after {WARM_UP} that are not counted: `turn on` and `turn off` a light in
turns, each agent its own light. First with {PAUSE_S:g} s of silence between the calls, as people leave it, then without: then a question of the component also waits
behind the MQTT messages that the calls before it caused on Home Assistant's one connection. We answer when the light has shown it; Home Assistant's own agent, and
Home Assistant when Wyoming hands it an intent, do not wait for the light. Of {CALLS} calls the 99th percentile is the slowest. The machine was busy with other work.

| `dispatch.executor` | agent | median, p99 | without silence |
| --- | --- | --- | --- |
"""


def _in_short(took_ms: list[float]) -> str:
    return f"{statistics.median(took_ms):.1f} ms, {max(took_ms):.1f} ms"


def measure(lab: Lab, agents: Mapping[str, tuple[str, str]], *, pause_s: float) -> dict[str, list[float]]:
    """Return how many milliseconds each call took, by agent."""
    took: dict[str, list[float]] = {name: [] for name in agents}
    with lab.link() as link:
        for number in range(WARM_UP + CALLS):
            for name, (agent, device) in agents.items():
                text = f"turn {'off' if number % 2 else 'on'} {device}"
                if pause_s:
                    link.receive(pause_s)
                begun = time.perf_counter()
                mine = link.send({"type": "conversation/process", "text": text, "language": "en", "agent_id": agent})
                while (message := link.receive(10.0)) is not None and message.get("id") != mine:
                    pass
                took_ms = 1000 * (time.perf_counter() - begun)
                assert message is not None, f"{name} did not answer"
                assert message["result"]["response"]["response_type"] == "action_done", f"{name}: {message['result']['response']}"
                if number >= WARM_UP:
                    took[name].append(took_ms)
    return took


if __name__ == "__main__":
    main()
