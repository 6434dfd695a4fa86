"""Losses and the drift against numbers worked out by hand."""

import math

import pytest
import torch

from voice_rl_plugin.understanding.frames import HEAD_SIZES
from voice_rl_training.adapter import drift
from voice_rl_training.algorithms import DEFAULT, NAMES, corrections_only, logged_rewards


def test_corrections_only_is_weighted_cross_entropy() -> None:
    """Two rows of weight 1 and 3 with p = 1/2 and 1/4 of the right one: (1 ln 2 + 3 ln 4) / 4."""
    log_p = torch.log(torch.tensor([[0.5, 0.3, 0.2], [0.25, 0.25, 0.5]]))
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

    loss = corrections_only.loss(log_p, targets, torch.tensor([1.0, 3.0]))

    assert float(loss) == pytest.approx((math.log(2) + 3 * math.log(4)) / 4)


def test_corrections_only_ignores_masked_candidates() -> None:
    """A missing candidate has log p = -1e9 and no target: it adds nothing."""
    loss = corrections_only.loss(torch.tensor([[math.log(0.5), -1e9]]), torch.tensor([[1.0, 0.0]]), torch.ones(1))

    assert float(loss) == pytest.approx(math.log(2))


def test_logged_rewards_push_up_what_was_right_and_down_what_was_wrong() -> None:
    """With p = 0.8 a +1 costs -ln 0.8, a -1 costs -ln 0.2, and -0.3 is right with probability 0.35."""
    log_p = torch.log(torch.tensor([[0.8, 0.2]]))
    taken = torch.zeros(1, dtype=torch.int64)

    def cost(reward: float) -> float:
        return float(logged_rewards.loss(log_p, taken, torch.tensor([reward]), torch.ones(1)))

    assert cost(1.0) == pytest.approx(-math.log(0.8), abs=1e-5)
    assert cost(-1.0) == pytest.approx(-math.log(0.2), abs=1e-5)
    assert cost(-0.3) == pytest.approx(-0.35 * math.log(0.8) - 0.65 * math.log(0.2), abs=1e-5)


@pytest.mark.parametrize("loss", [corrections_only.loss, logged_rewards.loss])
def test_losses_refuse_other_shapes(loss: object) -> None:
    """A wrong shape is an error, not a broadcast."""
    wrong = (torch.zeros(2, 3), torch.zeros(2, 4)) if loss is corrections_only.loss else (torch.zeros(2, 3), torch.zeros(3), torch.zeros(3))

    with pytest.raises(ValueError, match="expected"):
        loss(*wrong, torch.ones(2))  # type: ignore[operator]


def test_drift_is_zero_at_the_base_and_positive_elsewhere() -> None:
    """The divergence from itself is 0; a begins-logit moved from 0 to ln 3 costs KL(1/2 || 3/4) = ln 2 - ln 3 / 2 on that head."""
    base = torch.zeros(1, 1, sum(HEAD_SIZES))
    moved = base.clone()
    moved[..., -2] = math.log(3)
    batch = {"padding": torch.zeros(1, 1, dtype=torch.bool), "clause_starts": torch.ones(1, 1, dtype=torch.int64)}

    assert float(drift(base, base, batch)) == pytest.approx(0.0, abs=1e-6)
    assert float(drift(moved, base, batch)) == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25), abs=1e-6)


def test_default_algorithm_is_known() -> None:
    """The default is one of the family."""
    assert DEFAULT in NAMES
