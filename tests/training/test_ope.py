"""Off-policy estimates against numbers by hand and against simulated truth."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import voice_rl_training.simulate  # noqa: F401 - registers VoiceHome-v0
from tests.training.makers import DESK_OFF, DESK_ON, HOME, make_networks, make_transition
from voice_rl_plugin.deciding.value import GAMMA, Costs
from voice_rl_plugin.understanding.candidates import MOST_CANDIDATES
from voice_rl_training.evaluation import TorchPolicy
from voice_rl_training.ope import LoggedDecisions, OffPolicy, evaluate_off_policy, evaluate_on_log
from voice_rl_training.simulate.environment import ASK, REJECT, VoiceHome

REPEATS = 300
DECISIONS = 400
Table = NDArray[np.float64]


def logged(rewards: list[float], propensities: list[float], evaluated: list[float], q: list[float], v: list[float]) -> LoggedDecisions:
    """Return a little log."""
    columns = [np.array(one, np.float64) for one in (rewards, propensities, evaluated, q, v)]
    return LoggedDecisions(rewards=columns[0], propensities=columns[1], evaluated=columns[2], modelled=columns[3], values=columns[4])


def estimate(log: LoggedDecisions) -> OffPolicy:
    """Return the estimates with a small bootstrap."""
    return evaluate_off_policy(log, rng=np.random.default_rng(1), resamples=200)


def test_estimators_by_hand() -> None:
    """Weights (2, 1/2): IPS = (2*1 + 0.5*-1)/2 = 0.75; SNIPS = 1.5/2.5 = 0.6; DR = mean(0.2 + 2*0.5, 0.4 + 0.5*-1.2) = 0.5; n_eff = 6.25/4.25."""
    found = estimate(logged([1.0, -1.0], [0.5, 0.5], [1.0, 0.25], [0.5, 0.2], [0.2, 0.4]))

    assert found.estimates["ips"].value == pytest.approx(0.75)
    assert found.estimates["snips"].value == pytest.approx(0.6)
    assert found.estimates["dr"].value == pytest.approx(0.5)
    assert found.effective == pytest.approx(6.25 / 4.25)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.05, 1)), min_size=2, max_size=30))
def test_the_logging_policy_evaluates_to_its_own_mean(rows: list[tuple[float, float]]) -> None:
    """Where both policies are the same, every weight is 1: all three estimates are the mean reward, and every row counts."""
    rewards, propensities = [row[0] for row in rows], [row[1] for row in rows]

    found = estimate(logged(rewards, propensities, propensities, [0.3] * len(rows), [0.3] * len(rows)))

    for one in found.estimates.values():
        assert one.value == pytest.approx(float(np.mean(rewards)), abs=1e-9)
    assert found.effective == pytest.approx(len(rows))


@pytest.mark.parametrize(
    ("propensities", "evaluated"),
    [([0.0, 0.5], [0.5, 0.5]), ([0.5, 1.5], [0.5, 0.5]), ([0.5, 0.5], [0.5, 1.2]), ([0.5, 0.5], [-0.1, 0.5])],
)
def test_impossible_probabilities_are_an_error(propensities: list[float], evaluated: list[float]) -> None:
    """A logged action was taken with some probability, and no probability is above 1."""
    with pytest.raises(ValueError, match="expected"):
        logged([1.0, 1.0], propensities, evaluated, [0.0, 0.0], [0.0, 0.0])


def test_no_rows_are_insufficient() -> None:
    """Without a judged decision there is no estimate, and that is said."""
    found = estimate(logged([], [], [], [], []))

    assert found.to_mapping()["verdict"] == "insufficient: no judged decision"


# -- simulated truth ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Sentences with the truth about every action: P sentences, A actions."""

    mask: NDArray[np.bool_]
    returns: Table
    """What each action is really worth on average, [P, A]."""
    modelled: Table
    """The closed form from the base's probabilities, [P, A]."""

    def policy(self, temperature: float, *, uniform: float) -> Table:
        """Return a policy that prefers what the model does, mixed with chance, [P, A]."""
        scores = np.where(self.mask, self.modelled, -np.inf) / temperature
        likely = np.exp(scores - scores.max(1, keepdims=True))
        even = self.mask / self.mask.sum(1, keepdims=True)
        mixed: Table = (1 - uniform) * likely / likely.sum(1, keepdims=True) + uniform * even
        return mixed


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    """Return 1,500 sentences of VoiceHome-v0."""
    env = gymnasium.make("VoiceHome-v0").unwrapped
    assert isinstance(env, VoiceHome)
    costs = Costs()
    masks, returns, modelled = [], [], []
    for number in range(1500):
        observed, _ = env.reset(seed=7) if number == 0 else env.reset()
        p = observed["candidates"][:, -1].astype(np.float64)
        not_for_us = float(observed["context"][-4])
        settled = costs.answered * p[:3].sum()
        values = np.empty(MOST_CANDIDATES + 2)
        values[:MOST_CANDIDATES] = p - costs.wrong * (1 - p)
        values[ASK] = -costs.ask - costs.nuisance * not_for_us + GAMMA * (settled - costs.missed * max(0.0, 1 - not_for_us - settled))
        values[REJECT] = -costs.missed * (1 - not_for_us)
        masks.append(observed["mask"].astype(bool))
        returns.append(env.expected_returns())
        modelled.append(values)
    mask = np.array(masks)
    return Simulated(mask=mask, returns=np.array(returns), modelled=np.where(mask, np.array(modelled), 0.0))


def draw(simulated: Simulated, mu: Table, pi: Table, rng: np.random.Generator, *, count: int = DECISIONS) -> LoggedDecisions:
    """Log some decisions of mu; rewards scatter around what the actions are worth."""
    rows = rng.integers(0, len(mu), count)
    taken = (mu[rows].cumsum(1) > rng.random((count, 1))).argmax(1)
    return LoggedDecisions(
        rewards=simulated.returns[rows, taken] + rng.normal(0, 0.1, count),
        propensities=mu[rows, taken],
        evaluated=pi[rows, taken],
        modelled=simulated.modelled[rows, taken],
        values=(pi[rows] * simulated.modelled[rows]).sum(1),
    )


def test_intervals_cover_the_simulated_truth(simulated: Simulated) -> None:
    """With full support the 95 % intervals of all three estimators hold the truth in 90 to 98 % of 300 logs, and the log suffices."""
    mu, pi = simulated.policy(0.5, uniform=0.1), simulated.policy(0.15, uniform=0.0)
    truth = float((pi * simulated.returns).sum(1).mean())
    rng = np.random.default_rng(1)
    hits = dict.fromkeys(("ips", "snips", "dr"), 0)
    sufficient = 0
    for _ in range(REPEATS):
        found = evaluate_off_policy(draw(simulated, mu, pi, rng), rng=rng, resamples=400)
        sufficient += found.is_sufficient
        for name, one in found.estimates.items():
            hits[name] += one.low <= truth <= one.high

    assert truth > float((mu * simulated.returns).sum(1).mean()) + 0.05  # the two policies are not the same
    assert sufficient >= 0.97 * REPEATS
    for name, count in hits.items():
        assert 0.90 <= count / REPEATS <= 0.98, (name, count / REPEATS)


def test_a_policy_that_never_asks_cannot_say_what_asking_is_worth(simulated: Simulated) -> None:
    """Where the log never asks and the other policy does, the weights fall short of 1: insufficient in every log."""
    mu = simulated.policy(0.5, uniform=0.1)
    mu[:, ASK] = 0.0
    mu /= mu.sum(1, keepdims=True)
    pi = simulated.policy(0.15, uniform=0.0)
    rng = np.random.default_rng(2)

    found = [evaluate_off_policy(draw(simulated, mu, pi, rng), rng=rng, resamples=50) for _ in range(20)]

    assert pi[:, ASK].mean() > 0.1
    assert all("support" in one.insufficient for one in found)


def test_a_deterministic_log_says_nothing_of_another_decision(simulated: Simulated) -> None:
    """A log with propensity 1 supports only its own decisions: one disagreement in a hundred is insufficient, none is enough."""
    rng = np.random.default_rng(3)
    best = simulated.policy(1e-3, uniform=0.0)
    log = draw(simulated, best, best, rng)
    certain = LoggedDecisions(
        rewards=log.rewards, propensities=np.ones(DECISIONS), evaluated=np.ones(DECISIONS), modelled=log.modelled, values=log.values
    )
    other = np.ones(DECISIONS)
    other[:4] = 0.0
    differing = LoggedDecisions(
        rewards=log.rewards, propensities=certain.propensities, evaluated=other, modelled=log.modelled, values=log.values
    )

    assert evaluate_off_policy(certain, rng=rng).is_sufficient
    found = evaluate_off_policy(differing, rng=rng)
    assert found.support == pytest.approx(0.99)
    assert found.insufficient == "support 0.990: the log never took what the other policy would in 1.0 % of the cases"


def test_few_heavy_rows_are_insufficient(simulated: Simulated) -> None:
    """Where the log almost never takes what the other policy does, few rows carry the weight, and that is said."""
    worst = np.where(simulated.mask, -simulated.modelled, -np.inf)
    likely = np.exp((worst - worst.max(1, keepdims=True)) / 0.2)
    mu = 0.97 * likely / likely.sum(1, keepdims=True) + 0.03 * simulated.mask / simulated.mask.sum(1, keepdims=True)
    pi = simulated.policy(0.05, uniform=0.0)
    rng = np.random.default_rng(4)

    found = [evaluate_off_policy(draw(simulated, mu, pi, rng), rng=rng, resamples=50) for _ in range(20)]

    assert sum(not one.is_sufficient for one in found) >= 19


# -- a home's log ------------------------------------------------------------------------------------------------------------------


def test_a_homes_log_is_evaluated_on_what_the_policy_decided() -> None:
    """Judged decisions of the policy count; silence, memory and dialogue do not."""
    transitions = [
        make_transition("a", "desk lamp on", done=(DESK_ON,), right=(DESK_ON,)),
        make_transition("b", "desk lamp off", done=(DESK_OFF,), reward=None),
        make_transition("c", "desk lamp off", done=(DESK_OFF,), right=(DESK_OFF,), stage="memory"),
        make_transition("d", "no, the desk lamp", done=(DESK_OFF,), right=(DESK_OFF,), stage="rule"),
    ]

    found = evaluate_on_log(transitions, TorchPolicy(*make_networks()), HOME)

    assert found.decisions == 1
    assert not found.is_sufficient
