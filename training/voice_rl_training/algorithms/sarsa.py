"""SARSA: what was done is worth its reward and what was then done.

    Q(s,a) <- Q(s,a) + alpha [r + gamma Q(s',a') - Q(s,a)]        a': what the deployed policy did next

    y_b = r_b                             for a last step
    y_b = r_b + gamma Q(s_b', a_b')       for a question: the answered candidate was carried out, or nothing was
    L = sum_b w_b (Q(s_b, a_b) - y_b)^2 / sum_b w_b            no gradient through y

After a question that got no answer the deployed policy does nothing; the mean of y over the answers is then the closed form of asking exactly.
Source: Rummery and Niranjan 1994, CUED/F-INFENG/TR 166; Sutton and Barto 2018, equation 6.7. Departures: as in `q_learning`.
"""

import torch
from torch import Tensor

from voice_rl_plugin.deciding.value import GAMMA


def loss(
    values: Tensor, taken: Tensor, rewards: Tensor, next_values: Tensor, next_taken: Tensor, is_last: Tensor, weights: Tensor
) -> Tensor:
    """Return the weighted squared temporal difference.

    Args:
        values: of every action, [B, A].
        taken: index of the action that was taken, [B].
        rewards: of that step, [B].
        next_values: of every action in the next state, [B, A']; read where the step was not the last.
        next_taken: index of what was done there, [B].
        is_last: whether the episode ended with the step, [B].
        weights: [B], not negative.
    """
    shapes = {one.shape for one in (taken, rewards, next_taken, is_last, weights)}
    if values.ndim != 2 or next_values.ndim != 2 or shapes != {values.shape[:1]}:
        raise ValueError(
            f"expected [B, A], [B, A'] and five times [B], got {tuple(values.shape)}, {tuple(next_values.shape)}, {tuple(taken.shape)}"
        )
    follows = next_values.detach().gather(1, next_taken[:, None])[:, 0]
    target = rewards + GAMMA * torch.where(is_last, torch.zeros_like(rewards), follows)
    error = values.gather(1, taken[:, None])[:, 0] - target
    return (weights * error.square()).sum() / weights.sum().clamp(min=1e-6)
