"""The decision head: what acting, asking and refusing are worth, from the scorer's probabilities, as tensors.

    Q(s, act i)  = p_i - C_i (1 - p_i)
    Q(s, ask)    = max_K { -c_ask - n p_oos + gamma [a P_K - m (1 - p_oos - a P_K)] - 0.01 (K - 1) }
    Q(s, refuse) = -m (1 - p_oos)

The same formulas as voice_rl_plugin.deciding.value, which decides at home; here a gradient flows through them into the scorer. So what Q-learning
and SARSA learn is deployed as the scorer's probabilities, and the daemon stays as it is.

    after an answer               the chosen candidate is right: Q(s', act) = 1, Q(s', refuse) = -m
    after none, s' = belief       p_i' = p_i (1 - a [i was offered]) / (1 - a P_K), and then acting or refusing
"""

import torch
from torch import Tensor

from voice_rl_plugin.deciding.value import GAMMA, MOST_CHOICES, Costs

UNAVAILABLE = -1e9
"""The value of what cannot be done."""


def decision_values(log_probabilities: Tensor, prices: Tensor, missing: Tensor, costs: Costs) -> Tensor:
    """Return the values of acting on each candidate, of asking, and of refusing, [B, N + 2].

    Args:
        log_probabilities: of candidates, "none of these" and "not for us", [B, N + 2].
        prices: C of each candidate, [B, N].
        missing: True where there is no candidate, [B, N].
        costs: the other prices.
    """
    if log_probabilities.ndim != 2 or not prices.shape == missing.shape == (len(log_probabilities), log_probabilities.shape[1] - 2):
        raise ValueError(f"expected [B, N + 2] and twice [B, N], got {tuple(log_probabilities.shape)} and {tuple(prices.shape)}")
    p = log_probabilities[:, :-2].exp().masked_fill(missing, 0.0)  # [B, N]
    not_for_us = log_probabilities[:, -1].exp()  # [B]
    acting = (p - prices * (1.0 - p)).masked_fill(missing, UNAVAILABLE)
    most = min(MOST_CHOICES, p.shape[1])
    covered = p.topk(most, dim=1).values.cumsum(1)  # [B, K]: P_1, P_2, P_3
    settled = costs.answered * covered
    after = settled - costs.missed * (1.0 - not_for_us[:, None] - settled).clamp(min=0.0)
    longer = 0.01 * torch.arange(most, dtype=p.dtype)
    asking = (-costs.ask - costs.nuisance * not_for_us[:, None] + GAMMA * after - longer).max(1).values
    asking = asking.masked_fill(missing.all(1), UNAVAILABLE)
    refusing = -costs.missed * (1.0 - not_for_us)
    return torch.cat([acting, asking[:, None], refusing[:, None]], 1)


def values_after_asking(
    log_probabilities: Tensor, prices: Tensor, missing: Tensor, offered: Tensor, is_answered: Tensor, costs: Costs
) -> Tensor:
    """Return the values of acting and of refusing after the answer to a question, [B, N + 1]; an episode asks once.

    Args:
        log_probabilities: before the question, [B, N + 2].
        prices: [B, N].
        missing: [B, N].
        offered: True for what the question offered, [B, N].
        is_answered: whether one of the choices was picked, [B]; it stands in place 0, whichever it was.
        costs: the other prices.
    """
    p = log_probabilities[:, :-2].exp().masked_fill(missing, 0.0)
    not_for_us = log_probabilities[:, -1].exp()
    out = costs.answered * (p * offered).sum(1)  # [B]: a P_K
    left = (1.0 - out).clamp(min=1e-6)
    belief = p * (1.0 - costs.answered * offered) / left[:, None]
    acting = (belief - prices * (1.0 - belief)).masked_fill(missing, UNAVAILABLE)
    refusing = -costs.missed * (1.0 - not_for_us / left).clamp(min=0.0)
    open_values = torch.cat([acting, refusing[:, None]], 1)
    certain = torch.full_like(open_values, UNAVAILABLE)
    certain[:, 0], certain[:, -1] = 1.0, -costs.missed
    return torch.where(is_answered[:, None], certain, open_values)
