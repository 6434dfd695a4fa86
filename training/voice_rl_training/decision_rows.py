"""Logged decisions as rows of a batch: what the algorithms that use rewards learn from, beside the corrections.

    act      taken: the candidate           r = +1, or -C |reward|                   last
    ask      taken: N                       r = -c_ask, and -n where nobody spoke    then: answered, or not
    refuse   taken: N + 1                   r = 0, or the reward of a miss           last

The reward of a stored question is the return of its episode (learning/reward.py), so the step and what followed are taken apart again here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from voice_rl_plugin.deciding.value import GAMMA, Costs
from voice_rl_plugin.learning.reward import EXPLICIT_WEIGHT
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES, MOST_CANDIDATES, clause_options
from voice_rl_plugin.understanding.frames import decode, split_heads
from voice_rl_training.algorithms import logged_rewards, policy_gradient, q_learning, sarsa
from voice_rl_training.algorithms.decision_head import decision_values, values_after_asking
from voice_rl_training.networks import Encoder, Scorer
from voice_rl_training.pretrain import ChoiceRows, score
from voice_rl_training.readings import LabelledSample
from voice_rl_training.relabel import Logged

ASK, REFUSE = MOST_CANDIDATES, MOST_CANDIDATES + 1
"""Actions behind the candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedSample:
    """A sentence with what was done about it and what came back."""

    sample: LabelledSample
    logged: Logged


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRows:
    """Logged decisions among the candidates that the new encoder gives; B rows of N candidates."""

    features: Tensor
    """[B, N, CANDIDATE_FEATURES]"""
    missing: Tensor
    """[B, N]"""
    context: Tensor
    """[B, CONTEXT_FEATURES]"""
    prices: Tensor
    """C of each candidate, [B, N]."""
    taken: Tensor
    """Candidate, ASK or REFUSE, [B]."""
    logged: Tensor
    """The reward as it was stored, in [-1, 1], [B]."""
    rewards: Tensor
    """Of the step, in the units of deciding.value, [B]."""
    returns: Tensor
    """Of the episode, [B]."""
    is_last: Tensor
    """[B]"""
    offered: Tensor
    """What the question offered, [B, N]."""
    is_answered: Tensor
    """Whether a choice was right, [B]."""
    propensities: Tensor
    """[B]"""
    is_of_policy: Tensor
    """Whether the policy decided, and not memory: only then does the propensity say anything of it, [B]."""
    weights: Tensor
    """[B]"""

    def __len__(self) -> int:
        return len(self.taken)

    def part(self, chosen: Tensor) -> "DecisionRows":
        """Return some of the rows."""
        return DecisionRows(**{one.name: getattr(self, one.name)[chosen] for one in fields(self)})

    @property
    def choices(self) -> ChoiceRows:
        """Return the rows as the scorer takes them; they have no right answer."""
        targets = torch.zeros(len(self), MOST_CANDIDATES + 2)
        return ChoiceRows(features=self.features, missing=self.missing, context=self.context, targets=targets)


def reward_loss(algorithm: str, scorer: Scorer, base: Scorer, rows: DecisionRows, costs: Costs) -> Tensor:
    """Return the loss of an algorithm that uses rewards.

    Args:
        algorithm: one of algorithms.NAMES but the first.
        scorer: what is trained.
        base: what it started from.
        rows: the batch.
        costs: the prices.

    Raises:
        ValueError: the algorithm uses no rewards.
    """
    log_p = score(scorer, rows.choices)
    if algorithm == "logged_rewards":
        acted = rows.taken < MOST_CANDIDATES
        return logged_rewards.loss(log_p[acted], rows.taken[acted], rows.logged[acted], rows.weights[acted])
    values = decision_values(log_p, rows.prices, rows.missing, costs)
    if algorithm == "policy_gradient":
        with torch.no_grad():
            base_values = decision_values(score(base, rows.choices), rows.prices, rows.missing, costs)
        weights = rows.weights * rows.is_of_policy
        return policy_gradient.loss(values, base_values, rows.taken, rows.propensities, rows.returns, weights)
    then = values_after_asking(log_p, rows.prices, rows.missing, rows.offered, rows.is_answered, costs)
    capped = rows.weights.clamp(max=EXPLICIT_WEIGHT)  # what is costly is in the price already
    if algorithm == "q_learning":
        return q_learning.loss(values, rows.taken, rows.rewards, then, rows.is_last, capped)
    if algorithm == "sarsa":
        after = torch.where(rows.is_answered, 0, then.shape[1] - 1)
        return sarsa.loss(values, rows.taken, rows.rewards, then, after, rows.is_last, capped)
    raise ValueError(f"expected an algorithm that uses rewards, got {algorithm!r}")


@torch.no_grad()
def decision_rows(encoder: Encoder, logged: Sequence[LoggedSample], costs: Costs) -> DecisionRows:
    """Return the logged sentences of one clause whose action is still among the candidates.

    Args:
        encoder: reads them anew.
        logged: what was done and what came back.
        costs: the prices.
    """
    rows: list[dict[str, object]] = []
    for one in logged:
        row = _row(encoder, one, costs)
        if row is not None:
            rows.append(row)
    kinds = {"missing": torch.bool, "taken": torch.int64, "is_last": torch.bool, "is_answered": torch.bool, "is_of_policy": torch.bool}
    shapes = {
        "features": (MOST_CANDIDATES, CANDIDATE_FEATURES),
        "context": (CONTEXT_FEATURES,),
        **dict.fromkeys(("missing", "prices", "offered"), (MOST_CANDIDATES,)),
    }
    packed = {}
    for field in fields(DecisionRows):
        values = np.array([row[field.name] for row in rows]).reshape(len(rows), *shapes.get(field.name, ()))
        packed[field.name] = torch.from_numpy(values.astype(np.float64)).to(kinds.get(field.name, torch.float32))
    return DecisionRows(**packed)


def _row(encoder: Encoder, one: LoggedSample, costs: Costs) -> dict[str, object] | None:
    sample, logged = one.sample, one.logged
    observation = sample.observation()
    output = encoder(
        torch.from_numpy(observation.ids.astype(np.int64))[None],
        torch.from_numpy(observation.ngrams.astype(np.int64))[None],
        torch.from_numpy(observation.lexical)[None],
        torch.from_numpy(observation.context.astype(np.int64))[None],
    )[0].numpy()
    frames = decode(split_heads(output), observation.words)
    if len(frames) != 1:
        return None
    clause = clause_options(observation, frames[0], sample.situation())
    keys = ["|".join(action.key for action in option.actions) for option in clause.options][:MOST_CANDIDATES]
    if logged.outcome == "act" and logged.label.key not in keys:
        return None
    if logged.outcome == "clarify" and not keys:  # read anew there is nothing to ask about
        return None
    count = len(keys)
    features = np.zeros((MOST_CANDIDATES, CANDIDATE_FEATURES), np.float32)
    features[:count] = clause.features[:count]
    prices = np.ones(MOST_CANDIDATES)
    prices[:count] = [costs.of([action.domain for action in option.actions]) for option in clause.options[:count]]
    choices = {"|".join(action.key for action in actions) for actions in logged.choices}
    offered = np.array([place < count and keys[place] in choices for place in range(MOST_CANDIDATES)])
    taken = {"act": keys.index(logged.label.key) if logged.outcome == "act" else 0, "clarify": ASK}.get(logged.outcome, REFUSE)
    is_answered = logged.outcome == "clarify" and logged.reward > 0
    reward, follows = _steps(logged, float(prices[taken]) if taken < MOST_CANDIDATES else 0.0, costs)
    return {
        "features": features,
        "missing": np.arange(MOST_CANDIDATES) >= count,
        "context": clause.context,
        "prices": prices,
        "taken": taken,
        "logged": logged.reward,
        "rewards": reward,
        "returns": reward + GAMMA * follows,
        "is_last": logged.outcome != "clarify",
        "offered": offered,
        "is_answered": is_answered,
        "propensities": logged.propensity,
        "is_of_policy": logged.stage == "policy",
        "weights": sample.weight,
    }


def _steps(logged: Logged, price: float, costs: Costs) -> tuple[float, float]:
    """Return the reward of the logged step, and what followed it."""
    if logged.outcome == "act":
        return (logged.reward if logged.reward > 0 else price * logged.reward), 0.0
    if logged.outcome == "reject":
        return min(0.0, logged.reward), 0.0  # to refuse rightly is worth 0: the values are measured from there
    is_for_us = logged.right is None or bool(logged.right)
    asked = -costs.ask - (0.0 if is_for_us else costs.nuisance)
    return asked, 1.0 if logged.reward > 0 else -costs.missed if is_for_us else 0.0
