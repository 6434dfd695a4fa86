"""Acting, asking and refusing are worth what the closed form says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_rl_plugin.deciding.value import MOST_CHOICES, Choice, Costs, choose, value_of_acting, value_of_asking, value_of_rejecting

COSTS = Costs(wrong=1.0, ask=0.1, missed=0.5, answered=0.9, nuisance=0.0)
SHARE = st.floats(0, 1)


def test_value_of_acting_by_hand() -> None:
    """The closed form p - C (1 - p): 0.9 at C = 1 is 0.8, at C = 3 it is 0.6."""
    assert value_of_acting(0.9, 1.0) == pytest.approx(0.8)
    assert value_of_acting(0.9, 3.0) == pytest.approx(0.6)
    assert value_of_acting(0.5, 1.0) == pytest.approx(0.0)


def test_value_of_asking_by_hand() -> None:
    """-0.1 + 0.99 [0.9 * 0.8 - 0.5 (1 - 0.1 - 0.72)] = -0.1 + 0.99 (0.72 - 0.09) = 0.5237."""
    assert value_of_asking(0.8, 0.1, COSTS) == pytest.approx(0.5237)


def test_a_question_to_nobody_costs_more() -> None:
    """The nuisance of asking somebody who did not speak to us comes on top: -0.6 * 0.1."""
    assert value_of_asking(0.8, 0.1, Costs(wrong=1.0, nuisance=0.6)) == pytest.approx(0.5237 - 0.06)


def test_value_of_rejecting_by_hand() -> None:
    """A refused command costs -m (1 - p_oos): nothing when it was not for us."""
    assert value_of_rejecting(0.2, COSTS) == pytest.approx(-0.4)
    assert value_of_rejecting(1.0, COSTS) == 0.0


def test_the_dearest_domain_sets_the_price() -> None:
    """A wrong lock costs more than a wrong lamp, together they cost the lock."""
    costs = Costs()

    assert costs.of(["light"]) == costs.wrong
    assert costs.of(["light", "lock"]) == costs.wrong * costs.by_domain["lock"] > costs.of(["light"])
    assert costs.of([]) == costs.wrong


@pytest.mark.parametrize(
    ("probabilities", "not_for_us", "outcome", "asked"),
    [
        ([0.97], 0.01, "act", 0),
        ([0.48, 0.48], 0.01, "clarify", 2),
        ([0.32, 0.31, 0.31], 0.01, "clarify", 3),
        ([0.6], 0.05, "clarify", 1),
        ([0.05], 0.9, "reject", 0),
        ([], 0.0, "reject", 0),
    ],
)
def test_the_largest_value_wins(probabilities: list[float], not_for_us: float, outcome: str, asked: int) -> None:
    """Sure acts, torn asks between the torn, hopeless refuses."""
    choice = choose(probabilities, [1.5] * len(probabilities), not_for_us, Costs())

    assert (choice.outcome, choice.asked) == (outcome, asked)


def test_a_dearer_action_asks_where_a_cheap_one_acts() -> None:
    """The same certainty is enough for a lamp and not for a lock."""
    assert choose([0.9], [1.5], 0.01, Costs()).outcome == "act"
    assert choose([0.9], [6.0], 0.01, Costs()).outcome == "clarify"


def test_refusing_an_empty_home_costs_the_miss() -> None:
    """Without candidates only refusing is left."""
    assert choose([], [], 0.2, COSTS) == Choice(outcome="reject", value=-0.4)


@given(st.lists(SHARE, max_size=6), SHARE)
def test_choice_is_never_worse_than_its_parts(shares: list[float], not_for_us: float) -> None:
    """The chosen value is at least that of acting and of refusing, and a question offers at most three."""
    total = (sum(shares) or 1.0) / (1 - not_for_us) if not_for_us < 1 else 1.0
    probabilities = sorted((share / total for share in shares), reverse=True) if total else []
    choice = choose(probabilities, [1.5] * len(probabilities), not_for_us, COSTS)

    assert choice.value >= value_of_rejecting(not_for_us, COSTS)
    assert not probabilities or choice.value >= value_of_acting(probabilities[0], 1.5)
    assert choice.asked <= min(MOST_CHOICES, len(probabilities))
    assert (choice.asked > 0) == (choice.outcome == "clarify")


@given(SHARE, SHARE, st.floats(0, 10))
def test_acting_is_worth_more_the_surer(one: float, other: float, cost: float) -> None:
    """V(act) grows with p."""
    low, high = sorted((one, other))

    assert value_of_acting(low, cost) <= value_of_acting(high, cost) + 1e-12
