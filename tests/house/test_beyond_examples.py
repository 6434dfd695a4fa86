"""The example consumers beyond the house, each as a process of its own on a real mosquitto."""

import contextlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mosquitto import DEADLINE_S, Watcher, running_mosquitto

FOLDER = Path(__file__).parents[2] / "examples" / "beyond"
NAMES = ("phone", "navigation", "translate", "weather", "restaurant")


@contextlib.contextmanager
def consumer(folder: Path, name: str, *options: str) -> Iterator[Watcher]:
    """Run a consumer beside a broker; yield a watcher once it listens."""
    with running_mosquitto(folder) as server:
        command = [sys.executable, str(FOLDER / f"{name}.py"), "--port", str(server.port), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        watcher = Watcher(server.port)
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("listening for ")
            yield watcher
        finally:
            process.terminate()
            process.wait(DEADLINE_S)
            if process.stdout is not None:
                process.stdout.close()
            watcher.close()


def ask(watcher: Watcher, service: str, *, number: int = 1, late: bool = False, language: str = "en", **data: str) -> dict[str, Any]:
    """Publish an action as the daemon does, and return its result."""
    call = {
        "decision_id": f"d-{number}",
        "step": 1,
        "steps": 1,
        "expires_at": time.time() + (-1 if late else 5),
        "service": service,
        "target": {},
        "data": data,
        "language": language,
    }
    watcher.publish(f"voice_rl/action/{service.replace('.', '/')}", call)
    found = watcher.wait_for(
        lambda one: one.topic == "voice_rl/result" and json.loads(one.payload)["decision_id"] == f"d-{number}", f"the result of {service}"
    )
    result: dict[str, Any] = json.loads(found.payload)
    return result


def test_phone_fills_a_command_safely(tmp_path: Path) -> None:
    """What was said stays one argument: no shell reads it, and it can be no option; a contact that is not listed is not called."""
    seen = tmp_path / "seen"
    contacts = tmp_path / "contacts.yaml"
    contacts.write_text("{mum: '+441', 'bob; touch x': '+442', '-rf': '+443'}")
    script = f"import sys, pathlib; pathlib.Path({str(seen)!r}).write_text(repr(sys.argv[1:]))"
    command = f'{sys.executable} -c "{script}" {{number}} {{contact}} {{message}}'

    with consumer(tmp_path, "phone", "--message", command, "--contacts", str(contacts)) as watcher:
        sent = ask(watcher, "phone.message", contact="bob; touch x", message="$(reboot) see you")
        assert sent["ok"]
        assert sent["text"] == "Sent to bob; touch x."
        assert seen.read_text() == repr(["+442", "bob; touch x", "$(reboot) see you"])
        assert ask(watcher, "phone.call", number=2, contact="Mum", language="zh")["text"] == "正在打给Mum。"
        assert not ask(watcher, "phone.message", number=3, contact="-rf", message="hello")["ok"]
        assert not ask(watcher, "phone.call", number=4, contact="a stranger")["ok"]


def test_consumers_refuse_what_is_late_and_do_it_once(tmp_path: Path) -> None:
    """After expires_at nothing is done; the same step delivered twice is answered twice and done once."""
    log = tmp_path / "log"
    command = f"{sys.executable} -c \"import pathlib; pathlib.Path({str(log)!r}).open('a').write('called ')\""

    with consumer(tmp_path, "phone", "--call", command) as watcher:
        assert ask(watcher, "phone.call", contact="mum", late=True) == {"decision_id": "d-1", "step": 1, "ok": False, "error": "expired"}
        assert ask(watcher, "phone.call", number=2, contact="mum")["ok"]
        ask(watcher, "phone.call", number=2, contact="mum")
        watcher.wait_for(lambda one: one.topic == "voice_rl/result", "three results", count=3)
        assert log.read_text() == "called "


def test_phone_reports_a_command_that_fails(tmp_path: Path) -> None:
    """A command that ends with an error is no success."""
    with consumer(tmp_path, "phone", "--call", f"{sys.executable} -c 'raise SystemExit(3)'") as watcher:
        result = ask(watcher, "phone.call", contact="mum")

        assert not result["ok"]
        assert "ended with 3" in result["error"]


def test_navigation_measures_on_the_globe(tmp_path: Path) -> None:
    """A way is 1.3 times the straight line, here by the law of cosines; an unknown place is no answer."""
    one, other, lon = math.radians(51.5237), math.radians(48.8566), math.radians(2.3522 + 0.1585)
    line_km = 6371 * math.acos(math.sin(one) * math.sin(other) + math.cos(one) * math.cos(other) * math.cos(lon))

    with consumer(tmp_path, "navigation") as watcher:
        assert ask(watcher, "navigation.query", place="paris", text="how far is paris")["text"].startswith(
            f"paris is about {1.3 * line_km:.0f} km to the south east"
        )
        assert "km to the west" in ask(watcher, "navigation.route", number=2, place="the airport")["text"]
        assert "东南边" in ask(watcher, "navigation.query", number=3, place="巴黎", language="zh", text="x")["text"]
        assert ask(watcher, "navigation.route", number=4, place="atlantis")["error"] == "atlantis is not among the places"


def test_translate_reads_its_phrases_then_asks_the_command(tmp_path: Path) -> None:
    """A phrase of the file is translated from any of its languages; the rest goes to the command, with the language's code."""
    command = f"{sys.executable} -c 'import sys; print(sys.argv[1].upper(), sys.argv[2])' {{language}} {{text}}"

    with consumer(tmp_path, "translate", "--command", command) as watcher:
        assert translate(watcher, 2, "french", "good night") == "bonne nuit"
        assert translate(watcher, 3, "法语", "谢谢") == "merci"
        assert translate(watcher, 4, "german", "my hovercraft") == "DE my hovercraft"


def translate(watcher: Watcher, number: int, into: str, text: str) -> str:
    """Return the translation that a consumer gives; `language` is a slot here and the speaker's language elsewhere."""
    call = {
        "decision_id": f"d-{number}", "step": 1, "steps": 1, "expires_at": time.time() + 5, "service": "translate.text",
        "target": {}, "data": {"language": into, "text": text}, "language": "en",
    }  # fmt: skip
    watcher.publish("voice_rl/action/translate/text", call)
    found = watcher.wait_for(
        lambda one: one.topic == "voice_rl/result" and json.loads(one.payload)["decision_id"] == f"d-{number}", "a translation"
    )
    return str(json.loads(found.payload)["text"])


def test_weather_reads_its_file(tmp_path: Path) -> None:
    """Here and now by default; a place, tomorrow, and Chinese; a day that the file lacks is no answer."""
    with consumer(tmp_path, "weather") as watcher:
        assert ask(watcher, "search.weather")["text"] == "Here: cloudy, 9 degrees."
        assert ask(watcher, "search.weather", number=2, place="Paris", time="tomorrow")["text"] == "Paris tomorrow: cloudy, 11 degrees."
        assert ask(watcher, "search.weather", number=3, place="北京", language="zh")["text"] == "北京有风，2度。"
        assert not ask(watcher, "search.weather", number=4, place="paris", time="next year")["ok"]


def test_restaurant_names_the_best_that_fit(tmp_path: Path) -> None:
    """The best rated come first; what fits nothing is no answer."""
    with consumer(tmp_path, "restaurant") as watcher:
        assert ask(watcher, "search.restaurant", cuisine="pizza")["text"] == "You could try Trattoria Luna, Pizza Corner."
        assert ask(watcher, "search.restaurant", number=2, cuisine="川菜", place="火车站", language="zh")["text"] == "可以去蜀香园。"
        assert not ask(watcher, "search.restaurant", number=3, cuisine="lunar cheese")["ok"]


@pytest.mark.parametrize("name", NAMES)
def test_help_ends_with_an_example(name: str) -> None:
    """Every consumer's help ends with a command line."""
    done = subprocess.run([sys.executable, str(FOLDER / f"{name}.py"), "--help"], capture_output=True, text=True, check=True)

    assert f"example:\n  python examples/beyond/{name}.py" in done.stdout
