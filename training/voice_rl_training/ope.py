"""Off-policy evaluation: what another policy would have earned on logged decisions, as far as the log can say.

    w_i = pi(a_i | x_i) / mu(a_i | x_i)            mu: the logged propensity
    IPS   = mean_i w_i r_i
    SNIPS = sum_i w_i r_i / sum_i w_i
    DR    = mean_i [ v(x_i) + w_i (r_i - q(x_i, a_i)) ]      q a model of the reward, v(x) = sum_a pi(a | x) q(x, a)

    effective sample size = (sum w)^2 / sum w^2        support = mass of pi on what the log could have taken = E w

Where the logging policy never takes what the other one would, no estimator helps: support is not full, and the answer is "insufficient". So it is
where few rows carry the weight. At a home's scale these figures may veto, never approve.
Source: Dudik et al. 2011, arXiv:1103.4601, equations 1 and 3 (IPS, DR); Swaminathan and Joachims 2015, NeurIPS 28, SNIPS; Kong 1992, the effective
sample size; intervals by the percentile bootstrap, Efron 1979.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voice_rl_plugin.deciding.value import GAMMA, MOST_CHOICES, Costs
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import EntityState, Home
from voice_rl_plugin.domain.transition import Transition
from voice_rl_plugin.understanding.onnx_policy import Policy
from voice_rl_training.evaluation import Case, hear_all

LEAST_EFFECTIVE = 50.0
"""With a smaller effective sample size the interval means nothing."""
FULL_SUPPORT = 0.999
CONFIDENCE = 0.95
RESAMPLES = 1000
_ESTIMATORS = ("ips", "snips", "dr")
_ROUNDING = 1e-9
Row = NDArray[np.float64]
"""One number a logged decision, [B]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDecisions:
    """What the estimators need of a log, [B] each."""

    rewards: Row
    propensities: Row
    """mu of the action that was taken, in (0, 1]."""
    evaluated: Row
    """pi of the same action, in [0, 1]."""
    modelled: Row
    """q of the same action."""
    values: Row
    """v: what the model expects of the evaluated policy."""

    def __post_init__(self) -> None:
        shapes = {one.shape for one in (self.rewards, self.propensities, self.evaluated, self.modelled, self.values)}
        if len(shapes) != 1 or self.rewards.ndim != 1:
            raise ValueError(f"expected five times [B], got {sorted(shapes)}")
        if ((self.propensities <= 0) | (self.propensities > 1 + _ROUNDING)).any():
            raise ValueError("expected propensities in (0, 1]: an action that was logged was taken with some probability")
        if ((self.evaluated < 0) | (self.evaluated > 1 + _ROUNDING)).any():
            raise ValueError("expected probabilities of the evaluated policy in [0, 1]")

    @property
    def importance(self) -> Row:
        """Return w, [B]."""
        return self.evaluated / self.propensities


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One estimate with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicy:
    """What a log says of another policy."""

    decisions: int
    effective: float
    """Effective sample size."""
    support: float
    """Estimated mass of the evaluated policy on what the log could have taken."""
    estimates: Mapping[str, Estimate]
    """By `ips`, `snips`, `dr`; empty without rows."""
    insufficient: str
    """Why the log cannot say; empty when it can."""

    @property
    def is_sufficient(self) -> bool:
        """Whether the estimates may be believed."""
        return not self.insufficient

    def to_mapping(self) -> dict[str, Any]:
        """Return the form that the manifest keeps."""
        found: dict[str, Any] = {"decisions": self.decisions, "effective": round(self.effective, 2), "support": round(self.support, 4)}
        found["verdict"] = "sufficient" if self.is_sufficient else f"insufficient: {self.insufficient}"
        for name, one in self.estimates.items():
            found[name] = {"value": round(one.value, 4), "low": round(one.low, 4), "high": round(one.high, 4)}
        return found


def evaluate_off_policy(
    logged: LoggedDecisions, *, rng: np.random.Generator, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> OffPolicy:
    """Return the estimates of a policy's mean reward, with intervals, and whether the log suffices.

    Args:
        logged: the log.
        rng: draws the bootstrap.
        resamples: how many bootstrap samples.
        confidence: of the intervals.
    """
    count = len(logged.rewards)
    if not count:
        return OffPolicy(decisions=0, effective=0.0, support=0.0, estimates={}, insufficient="no judged decision")
    w = logged.importance
    total = float(w.sum())
    effective = total**2 / float((w**2).sum()) if total else 0.0
    support, missing = _support(logged)
    draws = rng.multinomial(count, np.full(count, 1.0 / count), size=resamples).astype(np.float64)  # [R, B]
    sampled = _estimate(draws, logged)
    whole = _estimate(np.ones((1, count)), logged)
    tail = 100 * (1 - confidence) / 2
    estimates = {
        name: Estimate(
            value=float(whole[name][0]), low=float(np.percentile(sampled[name], tail)), high=float(np.percentile(sampled[name], 100 - tail))
        )
        for name in _ESTIMATORS
    }
    why = missing
    if not why and effective < LEAST_EFFECTIVE:
        why = f"effective sample size {effective:.0f} of {count}, at least {LEAST_EFFECTIVE:.0f} are needed"
    return OffPolicy(decisions=count, effective=effective, support=support, estimates=estimates, insufficient=why)


def _estimate(draws: NDArray[np.float64], logged: LoggedDecisions) -> dict[str, Row]:
    """Return every estimator on every resample, [R] each.

    Args:
        draws: how often each row was drawn, [R, B].
        logged: the log.
    """
    w, r = logged.importance, logged.rewards
    count = draws.sum(1)
    weighted, total = draws @ (w * r), draws @ w
    return {
        "ips": weighted / count,
        "snips": np.divide(weighted, total, out=np.zeros_like(weighted), where=total > 0),
        "dr": draws @ (logged.values + w * (r - logged.modelled)) / count,
    }


def _support(logged: LoggedDecisions) -> tuple[float, str]:
    """Return the estimated support, and why it is not full.

    Where the log took something for certain, whatever else the evaluated policy would do is unsupported: that part is known exactly. The rest shows in
    the weights: their mean is the supported mass, 1 where support is full.
    """
    certain = logged.propensities >= 1 - _ROUNDING
    known = float(np.where(certain, 1 - logged.evaluated, 0.0).mean())
    w = logged.importance
    mean, error = float(w.mean()), float(w.std(ddof=1) / np.sqrt(len(w))) if len(w) > 1 else 0.0
    support = min(1.0 - known, mean, 1.0)
    if 1.0 - known < FULL_SUPPORT:
        return support, f"support {1.0 - known:.3f}: the log never took what the other policy would in {100 * known:.1f} % of the cases"
    if mean + 3 * error < 1.0:
        return support, f"support {mean:.3f}: the weights sum to less than the decisions, by more than chance"
    return min(1.0 - known, 1.0), ""


def evaluate_on_log(transitions: Iterable[Transition], challenger: Policy, home: Home, *, seed: int = 1) -> OffPolicy:
    """Return what a log says of a challenger: over the decisions of the policy that somebody judged.

    Silence is missing, so this is about what people spoke up for, not about the average sentence. Memory and dialogue decide the same under
    both policies and are left out.

    Args:
        transitions: the log.
        challenger: the policy to evaluate.
        home: where it was logged.
        seed: of the bootstrap.
    """
    costs = Costs()
    judged = [one for one in transitions if one.reward is not None and one.stage == "policy" and 0 < one.propensity <= 1]
    decided = [one.decision for one in hear_all(challenger, [_case(one, home) for one in judged])]
    rows = []
    for transition, decision in zip(judged, decided, strict=True):
        now = (decision.outcome, tuple(action.key for action in decision.actions))
        then = (transition.outcome, tuple(action.key for action in _actions(transition.actions)))
        modelled = _modelled(transition, *then, costs)
        rows.append((transition.reward or 0.0, transition.propensity, float(now == then), modelled, _modelled(transition, *now, costs)))
    columns = np.array(rows, np.float64).reshape(len(rows), 5).T
    logged = LoggedDecisions(rewards=columns[0], propensities=columns[1], evaluated=columns[2], modelled=columns[3], values=columns[4])
    return evaluate_off_policy(logged, rng=np.random.default_rng(seed))


def _case(transition: Transition, home: Home) -> Case:
    return Case(
        text=transition.text,
        home=home,
        want="reject",
        area=transition.area,
        language=transition.language,
        previous=_actions(transition.previous),
        states={name: EntityState(**state) for name, state in transition.states.items()},
    )


def _actions(payloads: Iterable[Mapping[str, Any]]) -> tuple[Action, ...]:
    return tuple(Action.from_payload(payload) for payload in payloads)


def _modelled(transition: Transition, outcome: str, keys: Sequence[str], costs: Costs) -> float:
    """Return the reward that the probabilities of the log promise to an outcome; learning/reward.py says what each is worth."""
    found = {tuple(a.key for a in _actions(one["actions"])): float(one["probability"]) for one in transition.candidates}
    for_us = min(1.0, sum(found.values()))
    if outcome == "act":
        return 2.0 * found.get(tuple(keys), 0.0) - 1.0
    if outcome == "reject":
        return -costs.missed * for_us
    settled = costs.answered * min(1.0, sum(sorted(found.values(), reverse=True)[:MOST_CHOICES]))
    return -costs.ask + GAMMA * (settled - costs.missed * max(0.0, 1.0 - settled))
