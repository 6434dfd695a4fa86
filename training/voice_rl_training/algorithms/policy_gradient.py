"""Policy gradient: logged returns, weighted by how much likelier the new policy takes what was taken, and held near the base.

    pi(a | s) = softmax_a Q(s, a) / tau            rho_b = pi(a_b | s_b) / mu_b, mu the logged propensity
    L = - sum_b w_b min(rho_b, M) A_b / sum_b w_b + beta sum_b w_b KL(pi(. | s_b) || pi_base(. | s_b)) / sum_b w_b
    A_b = G_b - sum_a pi_base(a | s_b) Q_base(s_b, a)

G is the return of the episode. Where the weight is clipped no gradient flows: what the new policy takes much more often than the log did is not
pushed further. Relabelled rows never come here, for the deployed policy did not take them.
Source: the clipped importance weight is the estimator R^M of Swaminathan and Joachims 2015, arXiv:1502.02362; the divergence from the starting policy
is Ziegler et al. 2019, arXiv:1909.08593, equation 2. Departures: the divergence is exact, a sum over the few actions; the base's value is the baseline.
"""

from torch import Tensor

TEMPERATURE = 0.1
"""tau: values a tenth apart are e times as likely."""
LARGEST_WEIGHT = 5.0
"""M."""
KL_WEIGHT = 0.05
"""beta."""


def loss(
    values: Tensor,
    base_values: Tensor,
    taken: Tensor,
    propensities: Tensor,
    returns: Tensor,
    weights: Tensor,
    *,
    temperature: float = TEMPERATURE,
    largest_weight: float = LARGEST_WEIGHT,
    kl_weight: float = KL_WEIGHT,
) -> Tensor:
    """Return the clipped importance-weighted loss with its divergence from the base.

    Args:
        values: of every action under the new policy, [B, A]; hugely negative where it cannot be taken.
        base_values: the same under the base, [B, A].
        taken: index of the action that was taken, [B].
        propensities: with which the deployed policy took it, in (0, 1], [B].
        returns: of the episode, [B].
        weights: [B], not negative.
        temperature: tau.
        largest_weight: M.
        kl_weight: beta.
    """
    shapes = {one.shape for one in (taken, propensities, returns, weights)}
    if values.ndim != 2 or values.shape != base_values.shape or shapes != {values.shape[:1]}:
        raise ValueError(
            f"expected twice [B, A] and four times [B], got {tuple(values.shape)}, {tuple(base_values.shape)}, {tuple(taken.shape)}"
        )
    if bool((propensities <= 0).any() | (propensities > 1).any()):
        raise ValueError("expected propensities in (0, 1]: an action that was logged was taken with some probability")
    log_pi = (values / temperature).log_softmax(1)
    log_base = (base_values.detach() / temperature).log_softmax(1)
    base = log_base.exp()
    baseline = (base * base_values.detach().masked_fill(base == 0, 0.0)).sum(1)
    ratio = log_pi.gather(1, taken[:, None])[:, 0].exp() / propensities
    gained = ratio.clamp(max=largest_weight) * (returns - baseline)
    divergence = (log_pi.exp() * (log_pi - log_base)).sum(1)
    return (weights * (kl_weight * divergence - gained)).sum() / weights.sum().clamp(min=1e-6)
