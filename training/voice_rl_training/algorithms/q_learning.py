"""Q-learning: what was done is worth its reward and the best that could follow.

    Q(s,a) <- Q(s,a) + alpha [r + gamma max_a' Q(s',a') - Q(s,a)]

    y_b = r_b                                for a last step: acting and refusing
    y_b = r_b + gamma max_a' Q(s_b', a')     for a question
    L = sum_b w_b (Q(s_b, a_b) - y_b)^2 / sum_b w_b          no gradient through y

Source: Watkins and Dayan 1992, Machine Learning 8; Sutton and Barto 2018, equation 6.8; with a network in place of the table: Mnih et al. 2013,
arXiv:1312.5602, equation 2.
Departures: no second network holds the targets, for an episode has two steps; and Q is the closed form of `decision_head` over the scorer's
probabilities, so what is learned is the calibration of those.
"""

import torch
from torch import Tensor

from voice_rl_plugin.deciding.value import GAMMA


def loss(values: Tensor, taken: Tensor, rewards: Tensor, next_values: Tensor, is_last: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted squared temporal difference.

    Args:
        values: of every action, [B, A].
        taken: index of the action that was taken, [B].
        rewards: of that step, [B].
        next_values: of every action in the next state, [B, A']; read where the step was not the last.
        is_last: whether the episode ended with the step, [B].
        weights: [B], not negative.
    """
    if values.ndim != 2 or next_values.ndim != 2 or not taken.shape == rewards.shape == is_last.shape == weights.shape == values.shape[:1]:
        raise ValueError(
            f"expected [B, A], [B, A'] and four times [B], got {tuple(values.shape)}, {tuple(next_values.shape)}, {tuple(taken.shape)}"
        )
    follows = torch.where(is_last, torch.zeros_like(rewards), next_values.detach().max(1).values)
    target = rewards + GAMMA * follows
    error = values.gather(1, taken[:, None])[:, 0] - target
    return (weights * error.square()).sum() / weights.sum().clamp(min=1e-6)
