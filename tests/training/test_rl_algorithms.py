"""Q-learning, SARSA and policy gradient against numbers worked out by hand, and their targets against the closed form of asking."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.training.makers import DEN_OFF, DESK_OFF, DESK_ON, FAN_ON, HOME, make_transition
from voice_rl_plugin.deciding.value import GAMMA, Costs, choose, value_of_acting, value_of_asking, value_of_rejecting
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.learning.reward import ANSWERED, MISSED, UNANSWERED
from voice_rl_plugin.understanding.candidates import MOST_CANDIDATES
from voice_rl_training import algorithms
from voice_rl_training.algorithms import policy_gradient, q_learning, sarsa
from voice_rl_training.algorithms.decision_head import UNAVAILABLE, decision_values, values_after_asking
from voice_rl_training.corpus.samples import Stage
from voice_rl_training.decision_rows import ASK, REFUSE, DecisionRows, decision_rows, reward_loss
from voice_rl_training.evaluation import TorchPolicy
from voice_rl_training.finetune import Lesson, fit_scorer
from voice_rl_training.networks import Scorer
from voice_rl_training.recipe import FinetuneRecipe
from voice_rl_training.relabel import relabel
from voice_rl_training.retrain import read_labels
from voice_rl_training.weights import load_networks

COSTS = Costs()
ONE = torch.ones(1)
beliefs = st.lists(st.floats(0.01, 1.0), min_size=3, max_size=7)
"""Weights of candidates, of "none of these" and of "not for us"."""


def log_p(weights: list[float]) -> Tensor:
    """Return one row of log probabilities."""
    row = torch.tensor([weights], dtype=torch.float64)
    return (row / row.sum()).log()


# -- losses by hand ----------------------------------------------------------------------------------------------------------------


def test_q_learning_takes_the_best_that_could_follow() -> None:
    """A question with r = -0.1 before values 1 and -0.5: y = -0.1 + 0.99 = 0.89; from Q = 0.5 the loss is 0.39 squared."""
    values, then = torch.tensor([[0.2, 0.5]]), torch.tensor([[1.0, -0.5]])
    taken, rewards, asked = torch.tensor([1]), torch.tensor([-0.1]), torch.tensor([False])

    assert float(q_learning.loss(values, taken, rewards, then, asked, ONE)) == pytest.approx(0.39**2)
    assert float(q_learning.loss(values, taken, rewards, then, ~asked, ONE)) == pytest.approx(0.6**2)


def test_sarsa_takes_what_followed() -> None:
    """The same question, after which nothing was done: y = -0.1 - 0.99 * 0.5 = -0.595; from Q = 0.5 the loss is 1.095 squared."""
    values, then = torch.tensor([[0.2, 0.5]]), torch.tensor([[1.0, -0.5]])
    taken, rewards, asked = torch.tensor([1]), torch.tensor([-0.1]), torch.tensor([False])

    assert float(sarsa.loss(values, taken, rewards, then, torch.tensor([1]), asked, ONE)) == pytest.approx(1.095**2)
    assert float(sarsa.loss(values, taken, rewards, then, torch.tensor([0]), asked, ONE)) == pytest.approx(0.39**2)


def test_temporal_differences_are_weighted_and_their_targets_fixed() -> None:
    """Weights 1 and 3 on errors 1 and 2 give 13/4; no gradient flows into the values of the next state."""
    values = torch.tensor([[1.0, 0.0], [2.0, 0.0]], requires_grad=True)
    then = torch.zeros(2, 2, requires_grad=True)
    taken, rewards, last = torch.tensor([0, 0]), torch.zeros(2), torch.tensor([False, True])

    loss = q_learning.loss(values, taken, rewards, then, last, torch.tensor([1.0, 3.0]))
    loss.backward()  # type: ignore[no-untyped-call]

    assert float(loss.detach()) == pytest.approx(13 / 4)
    assert then.grad is None or not then.grad.any()
    assert values.grad is not None
    assert values.grad[:, 0].tolist() == pytest.approx([0.5, 3.0])


def test_policy_gradient_by_hand() -> None:
    """Values (ln 3, 0) at temperature 1 are pi = (3/4, 1/4), the base is (1/2, 1/2) with values 0: KL = 3/4 ln 3/2 + 1/4 ln 1/2.

    Taken the first with propensity 1/2 and return 0.4: rho = 1.5, the baseline is 0, so L = -0.6 + 0.1 KL; with M = 1 it is -0.4 + 0.1 KL.
    """
    values, base = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    taken, propensity, returns = torch.tensor([0]), torch.tensor([0.5]), torch.tensor([0.4])
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)

    def loss(largest: float) -> float:
        found = policy_gradient.loss(values, base, taken, propensity, returns, ONE, temperature=1.0, largest_weight=largest, kl_weight=0.1)
        return float(found)

    assert loss(5.0) == pytest.approx(-0.6 + 0.1 * divergence)
    assert loss(1.0) == pytest.approx(-0.4 + 0.1 * divergence)


def test_policy_gradient_measures_returns_from_the_bases_value() -> None:
    """A return that the base expects anyway teaches nothing: with values (1, 1) and return 1 the loss is 0."""
    values = torch.ones(1, 2)

    assert float(policy_gradient.loss(values, values, torch.tensor([0]), ONE, ONE, ONE)) == pytest.approx(0.0, abs=1e-6)


def test_policy_gradient_does_not_push_past_the_clip() -> None:
    """Where the weight is above M only the divergence has a gradient."""
    values = torch.tensor([[2.0, 0.0]], requires_grad=True)

    policy_gradient.loss(
        values, values.detach(), torch.tensor([0]), torch.tensor([0.1]), torch.tensor([9.0]), ONE, temperature=1.0
    ).backward()  # type: ignore[no-untyped-call]

    assert values.grad is not None
    assert values.grad.abs().max() < 1e-6


@pytest.mark.parametrize("propensity", [0.0, 1.5])
def test_policy_gradient_refuses_impossible_propensities(propensity: float) -> None:
    """A logged action was taken with some probability, at most 1."""
    with pytest.raises(ValueError, match="expected propensities"):
        policy_gradient.loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([0]), torch.tensor([propensity]), ONE, ONE)


def test_losses_refuse_other_shapes() -> None:
    """A wrong shape is an error, not a broadcast."""
    two, last = torch.zeros(2), torch.tensor([True, True])
    values, taken = torch.zeros(2, 3), torch.tensor([0, 1])

    with pytest.raises(ValueError, match="expected"):
        q_learning.loss(values, taken[:1], two, values, last, two)
    with pytest.raises(ValueError, match="expected"):
        sarsa.loss(values, taken, two, values, taken[:1], last, two)
    with pytest.raises(ValueError, match="expected"):
        policy_gradient.loss(values, values[:, :2], taken, two + 1, two, two)
    with pytest.raises(ValueError, match="expected"):
        decision_values(values, torch.ones(2, 2), torch.zeros(2, 2, dtype=torch.bool), COSTS)


# -- the closed form ---------------------------------------------------------------------------------------------------------------


@given(beliefs)
def test_the_heads_values_are_those_that_decide_at_home(weights: list[float]) -> None:
    """Acting, the best question and refusing are worth what deciding.value says, and the best of them is what it chooses."""
    row = log_p(weights)
    p = row.exp()[0]
    count = len(weights) - 2
    prices, missing = torch.full((1, count), COSTS.wrong, dtype=torch.float64), torch.zeros(1, count, dtype=torch.bool)
    ranked = sorted(p[:count].tolist(), reverse=True)

    values = decision_values(row, prices, missing, COSTS)[0]
    asking = [value_of_asking(sum(ranked[:k]), float(p[-1]), COSTS) - 0.01 * (k - 1) for k in range(1, min(3, count) + 1)]

    assert values[:count].tolist() == pytest.approx([value_of_acting(float(one), COSTS.wrong) for one in p[:count]])
    assert float(values[count]) == pytest.approx(max(asking))
    assert float(values[count + 1]) == pytest.approx(value_of_rejecting(float(p[-1]), COSTS))
    chosen = choose(ranked, [COSTS.wrong] * count, float(p[-1]), COSTS)
    assert float(values.max()) == pytest.approx(chosen.value, abs=1e-9)


def test_missing_candidates_cannot_be_taken() -> None:
    """What is not there has no value, and is not asked about."""
    values = decision_values(log_p([0.5, 0.3, 0.1, 0.1]), torch.ones(1, 2, dtype=torch.float64), torch.tensor([[False, True]]), COSTS)[0]
    nothing = decision_values(log_p([0.5, 0.3, 0.1, 0.1]), torch.ones(1, 2, dtype=torch.float64), torch.tensor([[True, True]]), COSTS)[0]

    assert float(values[1]) == UNAVAILABLE
    assert nothing[:3].tolist() == [UNAVAILABLE] * 3


def targets_of_asking(weights: list[float], offered_count: int, loss: str) -> tuple[float, float]:
    """Return the mean target of a question over its answers, and the closed form.

    The answers: a choice is picked with probability a P_K, else none is. Nobody was spoken to with probability p_oos; the nuisance is paid then.
    """
    row = log_p(weights)
    p, count = row.exp()[0], len(weights) - 2
    prices, missing = torch.full((1, count), COSTS.wrong, dtype=torch.float64), torch.zeros(1, count, dtype=torch.bool)
    offered = torch.zeros(1, count, dtype=torch.bool)
    offered[0, p[:count].topk(offered_count).indices] = True
    settled = COSTS.answered * float(p[:count][offered[0]].sum())
    mean = -COSTS.ask - COSTS.nuisance * float(p[-1])
    for probability, is_answered in ((settled, True), (1 - settled, False)):
        then = values_after_asking(row, prices, missing, offered, torch.tensor([is_answered]), COSTS)
        after = torch.tensor([0 if is_answered else count])
        zero, asked, one = torch.zeros(1, dtype=torch.float64), torch.tensor([False]), torch.ones(1, dtype=torch.float64)
        values = torch.zeros(1, 1, dtype=torch.float64)
        taken = torch.tensor([0])
        if loss == "sarsa":
            squared = sarsa.loss(values, taken, zero, then, after, asked, one)
            sign = -1.0 if float(then[0, after]) < 0 else 1.0
        else:
            squared = q_learning.loss(values, taken, zero, then, asked, one)
            sign = -1.0 if float(then.max()) < 0 else 1.0
        mean += probability * sign * math.sqrt(float(squared))  # from Q = 0 the loss is the squared target
    return mean, value_of_asking(float(p[:count][offered[0]].sum()), float(p[-1]), COSTS)


@given(beliefs, st.integers(1, 3))
def test_sarsas_mean_target_is_the_closed_form_of_asking(weights: list[float], offered: int) -> None:
    """Over the answers that the belief expects, the target of a question is the Bellman backup in deciding.value, exactly."""
    mean, closed = targets_of_asking(weights, min(offered, len(weights) - 2), "sarsa")

    assert mean == pytest.approx(closed, abs=1e-6)


@given(beliefs, st.integers(1, 3))
def test_q_learnings_mean_target_is_never_below_the_closed_form(weights: list[float], offered: int) -> None:
    """After no answer Q-learning may act on what was not offered: its backup is the closed form, or more where that pays."""
    mean, closed = targets_of_asking(weights, min(offered, len(weights) - 2), "q_learning")

    assert mean >= closed - 1e-6


def test_q_learnings_mean_target_is_the_closed_form_where_nothing_else_pays() -> None:
    """With 0.7 on the offered candidate and little elsewhere, refusing is best after no answer: the two backups agree."""
    mean, closed = targets_of_asking([0.7, 0.05, 0.05, 0.2], 1, "q_learning")

    assert mean == pytest.approx(closed, abs=1e-6)


@pytest.mark.parametrize("name", ["q_learning", "sarsa"])
def test_a_head_that_learns_from_sampled_answers_finds_the_closed_form(name: str) -> None:
    """Q(s, ask) fitted by stochastic steps on 6,000 sampled questions ends within 0.03 of deciding.value."""
    torch.manual_seed(1)
    weights = [0.5, 0.2, 0.05, 0.25]
    row = log_p(weights)
    p = row.exp()[0]
    prices, missing = torch.full((1, 2), COSTS.wrong, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.bool)
    offered = torch.ones(1, 2, dtype=torch.bool)
    head = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([head], lr=0.5)
    asked, taken = torch.zeros(200, dtype=torch.bool), torch.zeros(200, dtype=torch.int64)
    for step in range(30):
        for group in optimizer.param_groups:
            group["lr"] = 0.5 / (1 + step)
        meant = torch.multinomial(p.float(), 200, replacement=True)  # two candidates, none of these, nobody
        answered = (meant < 2) & (torch.rand(200) < COSTS.answered)
        rewards = -COSTS.ask - COSTS.nuisance * (meant == 3).double()
        then = values_after_asking(
            row.expand(200, -1), prices.expand(200, -1), missing.expand(200, -1), offered.expand(200, -1), answered, COSTS
        )
        values = head.expand(200, 1)
        ones = torch.ones(200, dtype=torch.float64)
        if name == "sarsa":
            loss = sarsa.loss(values, taken, rewards, then, torch.where(answered, 0, 2), asked, ones)
        else:
            loss = q_learning.loss(values, taken, rewards, then, asked, ones)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    assert float(head.detach()) == pytest.approx(value_of_asking(float(p[:2].sum()), float(p[3]), COSTS), abs=0.03)


# -- rows of a log -----------------------------------------------------------------------------------------------------------------


def payload(actions: tuple[Action, ...]) -> dict[str, object]:
    """Return actions in the form of a transition's candidates and choices."""
    return {"actions": [action.to_payload() for action in actions], "probability": 0.4}


def make_rows() -> tuple[DecisionRows, list[str]]:
    """Return the rows of a little log, and what was said in each."""
    asked = make_transition("ask", "desk lamp on", right=(DESK_ON,), reward=ANSWERED, outcome="clarify")
    transitions = [
        make_transition("yes", "desk lamp on please", done=(DESK_ON,), right=(DESK_ON,)),
        make_transition("no", "turn off the desk lamp", done=(DESK_OFF,), right=(FAN_ON,), reward=-1.0),
        replace(asked, choices=(payload((DESK_ON,)), payload((DESK_OFF,)))),
        replace(asked, decision_id="none", text="desk lamp off", reward=UNANSWERED, correction=(FAN_ON.to_payload(),)),
        replace(asked, decision_id="nobody", text="switch on the desk lamp", reward=UNANSWERED, correction=()),
        make_transition("missed", "lights out now", right=(DEN_OFF,), reward=MISSED),
        make_transition("refused", "what a nice lamp", right=(), reward=1.0),
        make_transition("known", "desk lamp off now", done=(DESK_OFF,), right=(DESK_OFF,), stage="memory"),
    ]
    networks = load_networks(BASE_FOLDER)
    encoder = networks[0]
    read = read_labels(relabel(transitions), Stage(home=HOME), TorchPolicy(*networks), progress=lambda _done: None)
    kept = [one for one in read.logged if len(decision_rows(encoder, [one], COSTS))]
    return decision_rows(encoder, kept, COSTS), [one.logged.label.decision_id for one in kept]


def test_logged_questions_are_taken_apart_into_steps() -> None:
    """Step rewards, what followed, and the return add up to what the closed form pays for each outcome."""
    rows, names = make_rows()
    found = {name: row for row, name in enumerate(names)}
    returns = {name: float(rows.returns[row]) for name, row in found.items()}

    assert {"ask", "none", "nobody", "missed", "refused"} <= set(found)
    assert returns["ask"] == pytest.approx(-COSTS.ask + GAMMA)
    assert returns["none"] == pytest.approx(-COSTS.ask - GAMMA * COSTS.missed)
    assert returns["nobody"] == pytest.approx(-COSTS.ask - COSTS.nuisance)
    assert returns["missed"] == pytest.approx(MISSED)
    assert returns["refused"] == 0.0
    assert [int(rows.taken[found[name]]) for name in ("ask", "missed")] == [ASK, REFUSE]
    assert bool(rows.is_answered[found["ask"]])
    assert not bool(rows.is_answered[found["none"]])
    assert [bool(rows.is_last[found[name]]) for name in ("ask", "missed")] == [False, True]


def test_actions_pay_their_price_and_memory_is_not_the_policy() -> None:
    """A wrong action costs C, a right one pays 1, and what memory decided carries no propensity of the policy."""
    rows, names = make_rows()
    acted = {name: row for row, name in enumerate(names) if int(rows.taken[row]) < MOST_CANDIDATES}

    assert {"yes", "known"} <= set(acted)
    for name, row in acted.items():
        expected = 1.0 if name in ("yes", "known") else -float(rows.prices[row, rows.taken[row]])
        assert float(rows.rewards[row]) == pytest.approx(expected)
        assert bool(rows.is_of_policy[row]) == (name != "known")


@pytest.mark.parametrize("name", [one for one in algorithms.NAMES if one != algorithms.DEFAULT])
def test_every_reward_algorithm_moves_the_scorer_towards_what_paid(name: str) -> None:
    """Steps along the gradient of each loss make it smaller, and only the scorer's own parameters move."""
    rows, _ = make_rows()
    torch.manual_seed(2)
    scorer, base = Scorer(width=8), Scorer(width=8)
    base.load_state_dict(scorer.state_dict())
    optimizer = torch.optim.Adam([one for one in scorer.parameters() if one.requires_grad], lr=0.01)
    losses = []
    for _ in range(60):
        loss = reward_loss(name, scorer, base, rows, COSTS)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))

    assert losses[-1] < losses[0]
    assert all(math.isfinite(one) for one in losses)


def test_corrections_only_uses_no_rewards() -> None:
    """Asking it for a loss of rewards is an error that names it."""
    rows, _ = make_rows()

    with pytest.raises(ValueError, match="got 'corrections_only'"):
        reward_loss("corrections_only", Scorer(width=8), Scorer(width=8), rows, COSTS)


def test_the_recipes_algorithm_decides_what_the_scorer_learns() -> None:
    """On the same transitions every algorithm fits another scorer, and none of them moves the base."""
    transitions = [
        make_transition(str(number), f"turn off the desk lamp {word}".strip(), done=(DESK_OFF,), right=(), reward=-1.0)
        for number, word in enumerate(("", "now", "please", "then"))
    ]
    asked = make_transition("q", "the desk lamp on please", right=(FAN_ON,), reward=UNANSWERED, outcome="clarify")
    transitions += [replace(asked, decision_id=f"q{number}", choices=(payload((DESK_ON,)),)) for number in range(4)]
    networks = load_networks(BASE_FOLDER)
    read = read_labels(relabel(transitions), Stage(home=HOME), TorchPolicy(*networks), progress=lambda _done: None)
    lesson = Lesson(labelled=read.samples, replay=(), choices=(), calibration=(), logged=read.logged)
    start = [one.clone() for one in networks[1].parameters()]
    recipe = FinetuneRecipe(scorer_steps=10, logged_weight=3.0)

    fitted = {
        name: torch.cat(
            [one.flatten() for one in fit_scorer(networks[0], networks[1], lesson, replace(recipe, algorithm=name)).parameters()]
        )
        for name in algorithms.NAMES
    }

    assert all(torch.equal(now, then) for now, then in zip(networks[1].parameters(), start, strict=True))
    names = list(fitted)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            is_same = torch.equal(fitted[one], fitted[other])
            assert not is_same or {one, other} == {"q_learning", "sarsa"}, (one, other)  # where refusing follows best the two are one
