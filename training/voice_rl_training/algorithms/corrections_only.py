"""Corrections only: weighted cross-entropy on what people named as right.

    L = - sum_b w_b sum_i t_bi log p_bi / sum_b w_b

p is the scorer's distribution over candidates, "none of these" and "not for us"; t puts all mass on the right one (hindsight).
Source: behavioural cloning on relabelled data, as goal-conditioned supervised learning does: Ghosh et al. 2019, arXiv:1912.06088, equation 2.
"""

from torch import Tensor


def loss(log_probabilities: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted cross-entropy.

    Args:
        log_probabilities: [B, N + 2].
        targets: the same shape, each row summing to 1.
        weights: [B], not negative.
    """
    if log_probabilities.shape != targets.shape or weights.shape != targets.shape[:1]:
        raise ValueError(
            f"expected [B, N + 2] twice and [B], got {tuple(log_probabilities.shape)}, {tuple(targets.shape)}, {tuple(weights.shape)}"
        )
    each = -(targets * log_probabilities.masked_fill(targets == 0, 0.0)).sum(-1)  # [B]
    return (weights * each).sum() / weights.sum().clamp(min=1e-6)
