"""Households that lie, retrained and gated: on one little household, with the shipped base and few steps."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.test_measure_learning import QUICK
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_training import cli
from voice_rl_training.evaluation import golden_cases
from voice_rl_training.measure_poisoning import PoisonPlan, is_harmful, measure, to_markdown

RECIPE = replace(QUICK, least_labels=8, stranger_cases=10, home_cases=10, folds=1)
PLAN = PoisonPlan(languages=("en",), households=1, poisons=("lies",), interactions=60, base=BASE_FOLDER, recipe=RECIPE)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    """The work folder, and the line of one household that lies."""
    work = tmp_path_factory.mktemp("poisoning")
    golden = golden_cases()[::12]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("voice_rl_training.retrain.golden_cases", lambda: golden)
        patched.setattr("voice_rl_training.measure_poisoning._HEARD", 20)
        return work, measure(PLAN, work=work, processes=1, progress=lambda *_: None)


def test_a_household_that_lies_is_retrained_and_judged(measured: tuple[Path, list[dict[str, object]]]) -> None:
    """The line says how often it lied, what the gate said, and what the challenger is worth on sentences that it never heard."""
    (line,) = measured[1]

    assert isinstance(line["lies"], int)
    assert 10 < line["lies"] < 40
    assert line["trained"]
    assert line["passed"] == (line["failed_gate"] is None)
    assert isinstance(line["before"], dict)
    assert sum(line["before"].values()) == 20


def test_what_was_measured_is_not_measured_again(measured: tuple[Path, list[dict[str, object]]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The work folder keeps a line a household."""
    monkeypatch.setattr("voice_rl_training.measure_poisoning.run_job", lambda *job: pytest.fail(f"measured {job} again"))

    assert measure(PLAN, work=measured[0], processes=1, progress=lambda *_: None) == json.loads(json.dumps(measured[1]))


def _line(*, passed: bool, right: int, wrong: int, trained: bool = True) -> dict[str, object]:
    counts = {"right": 300, "wrong_action": 4, "asked": 50, "refused": 46}
    after = {"right": right, "wrong_action": wrong, "asked": 400 - right - wrong, "refused": 0}
    line: dict[str, object] = {
        "language": "en",
        "household": 0,
        "poison": "lies",
        "lies": 9,
        "labels": 100,
        "passed": passed,
        "trained": trained,
    }
    return line | {"failed_gate": None if passed else "golden: 1 | lost"} | ({"before": counts, "after": after} if trained else {})


def test_harm_is_the_truth_and_not_what_the_gate_says() -> None:
    """One wrong action more, or more than half a point less right; what was not trained harms nobody."""
    assert is_harmful(_line(passed=True, right=300, wrong=5))
    assert is_harmful(_line(passed=True, right=297, wrong=4))
    assert not is_harmful(_line(passed=True, right=298, wrong=4))
    assert not is_harmful(_line(passed=False, right=0, wrong=9, trained=False))


def test_the_page_counts_what_was_harmful_and_passed() -> None:
    """Harmful and passed is the figure that must be 0."""
    lines = [_line(passed=True, right=280, wrong=9), _line(passed=False, right=280, wrong=9), _line(passed=True, right=310, wrong=4)]
    page = to_markdown(lines, PLAN, command="measure-poisoning", date="2026-01-01")

    assert "| lies | 3 | 3 | 2 | 2 | **1** | 75.0 % -> 72.5 % | 1.0 % -> 1.8 % |" in page
    assert "golden: 1 / lost" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--languages fr", "expected some of en, zh"),
        ("--poisons arsenic", "out of lies, targeted, honest"),
        ("--lies 0", "above 0 and at most 1"),
        ("--processes 0", "expected at least 1"),
    ],
)
def test_wrong_options_are_said_in_one_line(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was expected, and what came."""
    assert cli.main(["measure-poisoning", *arguments.split()]) != 0
    assert message in capsys.readouterr().err


def test_a_plan_needs_somebody() -> None:
    """No household is a mistake."""
    with pytest.raises(ConfigError, match="at least one"):
        replace(PLAN, households=0)
