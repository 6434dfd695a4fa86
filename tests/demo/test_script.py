"""Scripts: expectations are read, checked before the run, and compared."""

from pathlib import Path

import pytest

from voice_rl_plugin.demo.script import check_script, meets, read_script
from voice_rl_plugin.demo.session import shipped_home
from voice_rl_plugin.demo.texts import TEXTS
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import EntityState
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.homes.file import load_home

EXAMPLES = Path(__file__).parents[2] / "examples"
ACT = {"outcome": "act", "actions": [parse_action("light.turn_on light.a brightness_step_pct=-20").to_payload()]}


@pytest.mark.parametrize(("name", "language"), [("first_five_minutes.txt", "en"), ("first_five_minutes.zh.txt", "zh")])
def test_example_script_is_valid_and_names_real_entities(name: str, language: str) -> None:
    """Every expectation can be read and speaks of the demo home."""
    lines = read_script((EXAMPLES / name).read_text(encoding="utf-8"))
    home = load_home(shipped_home(language))

    check_script(lines, where=name)
    named = {word for line in lines if line.startswith("expect ") for word in line.split()[2:] if word.partition(".")[0] in ("light", "lock", "switch") and word in home.entity_by_id}  # fmt: skip
    assert {"light.counter_bar", "lock.front_door"} <= named


@pytest.mark.parametrize("line", ["expect", "expect perhaps", "expect act on", "expect state light.a"])
def test_wrong_expectation_is_refused_before_the_run(line: str) -> None:
    """A typing mistake in a script ends with one line, not in the middle of a run."""
    with pytest.raises(ConfigError, match=r"s\.txt"):
        check_script([line + " " if line == "expect" else line], where="s.txt")


@pytest.mark.parametrize(
    ("expected", "is_met"),
    [
        ("act", True),
        ("act light.turn_on light.a brightness_step_pct=-", True),
        ("act light.turn_on light.a", True),
        ("act light.turn_on light.a brightness_step_pct=+", False),
        ("act light.turn_on light.a light.b", False),
        ("act light.turn_off light.a", False),
        ("act light.turn_on light.a ; light.turn_on light.b", False),
        ("reject", False),
        ("state light.a on brightness=76", True),
        ("state light.a on brightness=75", False),
        ("state light.b on", False),
    ],
)
def test_expectations_compare(expected: str, *, is_met: bool) -> None:
    """A sign is enough for a step; what is not named is not compared; targets must be equal."""
    states = {"light.a": EntityState(value="on", attributes={"brightness": 76})}

    assert meets(expected, ACT, states) is is_met


def test_both_languages_say_the_same_things() -> None:
    """Every text exists in English and Chinese."""
    assert set(TEXTS["en"]) == set(TEXTS["zh"])
