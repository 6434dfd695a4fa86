"""Logged rewards: the reward of what was done, as the probability that it was right.

    y_b = (1 + r_b) / 2        L = - sum_b w_b [y_b log p_b(a_b) + (1 - y_b) log(1 - p_b(a_b))] / sum_b w_b

p_b(a_b) is the scorer's probability of the action that was taken. A -1 pushes it down without saying what would have been right.
Source: the direct method of off-policy learning, a model of the reward: Dudik et al. 2011, arXiv:1103.4601, section 2. Departure: the reward model is
the policy's own calibrated probability, so no propensity is needed; rewards are clipped to [-1, 1].
"""

import torch
from torch import Tensor


def loss(log_probabilities: Tensor, taken: Tensor, rewards: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted binary cross-entropy of the rewards.

    Args:
        log_probabilities: [B, N + 2].
        taken: index of the action that was taken, [B].
        rewards: in [-1, 1], [B].
        weights: [B], not negative.
    """
    if log_probabilities.ndim != 2 or not taken.shape == rewards.shape == weights.shape == log_probabilities.shape[:1]:
        raise ValueError(f"expected [B, N + 2] and three times [B], got {tuple(log_probabilities.shape)} and {tuple(taken.shape)}")
    log_p = log_probabilities.gather(1, taken[:, None])[:, 0].clamp(max=-1e-6)  # [B]
    right = (1 + rewards.clamp(-1.0, 1.0)) / 2
    each = -(right * log_p + (1 - right) * torch.log(-torch.expm1(log_p)))
    return (weights * each).sum() / weights.sum().clamp(min=1e-6)
