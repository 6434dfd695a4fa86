"""The gate: what it lets through, and which figure it names when it does not; and the figures of evaluation by hand."""

import pytest

from tests.training.makers import DESK_OFF, DESK_ON, HOME
from voice_rl_plugin.deciding.cases import upper_bound
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_training.evaluation import Case, Judged, calibration_error, golden_cases, judge, scorecard
from voice_rl_training.gate import Pairs, judge_challenger, mcnemar, non_inferior

CASE = Case(text="desk lamp on", home=HOME, want=(DESK_ON,), area="den")


def decide(
    outcome: str, *, actions: tuple[str, ...] = (), code: str = "", choices: tuple[str, ...] = (), confidence: float = 0.9
) -> Decision:
    """Return a decision."""
    return Decision(
        id="1",
        utterance=Utterance(text="x"),
        language="en",
        outcome=outcome,
        actions=tuple(parse_action(line) for line in actions),
        choices=tuple(Candidate(actions=(parse_action(line),), probability=0.5) for line in choices),
        reason_code=code,
        confidence=confidence,
    )


def judged(*verdicts: str, case: Case = CASE) -> list[Judged]:
    """Return verdicts on one case said again and again."""
    return [Judged(case=case, decision=decide("act"), verdict=verdict) for verdict in verdicts]


def pairs(before: list[str], after: list[str]) -> Pairs:
    """Return champion and challenger."""
    return Pairs(champion=judged(*before), challenger=judged(*after))


@pytest.mark.parametrize(
    ("decision", "wanted", "verdict"),
    [
        (decide("act", actions=("light.turn_on light.desk",)), (DESK_ON,), "right"),
        (decide("act", actions=("light.turn_on light.desk",)), (DESK_OFF,), "wrong_action"),
        (decide("act", actions=("light.turn_on light.desk",)), "reject", "wrong_action"),
        (decide("act", actions=("light.turn_on light.desk",)), "clarify", "wrong_action"),
        (decide("clarify", code="ambiguous", choices=("light.turn_on light.desk",)), (DESK_ON,), "asked"),
        (decide("clarify", code="risky", choices=("lock.unlock lock.front",)), (parse_action("lock.unlock lock.front"),), "right"),
        (decide("clarify"), "clarify", "right"),
        (decide("clarify"), "reject", "asked"),
        (decide("reject"), (DESK_ON,), "refused"),
        (decide("reject"), "reject", "right"),
        (
            decide("act", actions=("light.turn_on light.desk brightness_step_pct=-10",)),
            (parse_action("light.turn_on light.desk brightness_step_pct=-"),),
            "right",
        ),
        (
            decide("act", actions=("light.turn_on light.desk brightness_step_pct=10",)),
            (parse_action("light.turn_on light.desk brightness_step_pct=-"),),
            "wrong_action",
        ),
    ],
)
def test_judge_gives_each_decision_its_verdict(decision: Decision, wanted: object, verdict: str) -> None:
    """The table of the module holds."""
    assert judge(Case(text="x", home=HOME, want=wanted), decision) == verdict  # type: ignore[arg-type]


def test_upper_bound_is_clopper_pearson() -> None:
    """No event in 100: 1 - 0.05 ** (1 / 100); one in 50 is the known 9.14 %; all events: 1."""
    assert upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-9)
    assert upper_bound(1, 50) == pytest.approx(0.0914, abs=1e-4)
    assert upper_bound(7, 7) == 1.0


def test_mcnemar_counts_coins() -> None:
    """5 of 5 coins: 1/32; 4 or more of 5: 6/32; none: certain."""
    assert mcnemar(5, 0) == pytest.approx(1 / 32)
    assert mcnemar(4, 1) == pytest.approx(6 / 32)
    assert mcnemar(0, 3) == 1.0


def test_calibration_error_is_the_mean_gap() -> None:
    """One bin: confidence 0.9, right in half the cases: 0.4."""
    assert calibration_error([(0.9, True), (0.9, False)], bins=1) == pytest.approx(0.4)


def test_scorecard_counts_precision_and_recall() -> None:
    """Of four commands two are done rightly, one wrongly, one refused: precision 2/3, recall 1/2, accuracy 1/2."""
    acts = [Judged(case=CASE, decision=decide("act"), verdict=v) for v in ("right", "right", "wrong_action")]

    card = scorecard([*acts, Judged(case=CASE, decision=decide("reject"), verdict="refused")])

    assert card.precision == pytest.approx(2 / 3)
    assert (card.recall, card.accuracy, card.wrong_actions) == (0.5, 0.5, 1)


def test_gate_passes_what_loses_nothing() -> None:
    """The same answers everywhere pass, and the report says so."""
    same = pairs(["right"] * 50, ["right"] * 50)

    report = judge_challenger(dict.fromkeys(("memory", "golden", "strangers", "home", "labelled"), same))

    assert report.passed
    assert report.failed_gate is None
    assert report.to_mapping()["passed"] is True


@pytest.mark.parametrize("name", ["memory", "golden"])
def test_gate_names_a_lost_case(name: str) -> None:
    """One lost case is enough, and the gate's name and figure are in its words."""
    report = judge_challenger({name: pairs(["right", "right"], ["right", "refused"])})

    assert not report.passed
    assert str(report.failed_gate).startswith(f"{name}: 1 of 2 cases lost, 0 new wrong actions")
    assert report.to_mapping()["failed_gate"] == report.failed_gate


def test_gate_names_a_new_wrong_action() -> None:
    """A wrong action where the champion asked fails the golden set even though no right case was lost."""
    report = judge_challenger({"golden": pairs(["asked"], ["wrong_action"])})

    assert str(report.failed_gate).startswith("golden: 0 of 1 cases lost, 1 new wrong actions, the first is 'desk lamp on'")


def test_gate_names_the_points_that_are_lost() -> None:
    """Ten of a thousand lost is one point: more than half a point allowed."""
    report = judge_challenger({"strangers": pairs(["right"] * 1000, ["right"] * 990 + ["asked"] * 10)})

    assert str(report.failed_gate).startswith("strangers: -1.00 points")


def test_gate_allows_losses_within_the_margin() -> None:
    """Two of 2,000 lost and two gained is no loss beyond half a point, with 95 % confidence."""
    before = ["right"] * 1998 + ["asked"] * 2
    after = ["right"] * 1996 + ["asked"] * 2 + ["right"] * 2

    assert non_inferior("home", pairs(before, after)).passed


def test_gate_refuses_when_held_out_labels_get_worse() -> None:
    """Fewer right answers on labels that it was not fitted on fail, and the exact test's p is named."""
    report = judge_challenger({"labelled": pairs(["right"] * 3 + ["asked"], ["asked"] * 3 + ["right"])})

    assert str(report.failed_gate).startswith("labelled: 1 gained, 3 lost of 4 held-out labels (p = ")


def test_gate_does_not_write_a_home_s_words_into_its_report() -> None:
    """The sentences of the memory are the home's own; the report counts them only."""
    report = judge_challenger({"memory": pairs(["right"], ["refused"])})

    assert "desk lamp" not in str(report.failed_gate)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_golden_set_is_balanced(language: str) -> None:
    """Sixty cases a language or so, a third of which must never act, each in a room that exists."""
    cases = golden_cases((language,))

    assert len(cases) >= 55
    assert 15 <= sum(1 for case in cases if case.want == "reject") <= 30
    assert {case.group for case in cases} >= {"power", "value", "step", "unsafe", "never", "followup", "query"}
    assert len({case.text for case in cases}) == len(cases)
