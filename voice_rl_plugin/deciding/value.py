"""What acting, asking and refusing are worth, from calibrated probabilities.

With p_i = P(candidate i is right), P_K the sum over the K best, p_oos = P(not for us):

    V(act i)  = p_i - C_i (1 - p_i)
    V(ask K)  = -c_ask - n p_oos + gamma [a P_K - m (1 - p_oos - a P_K)]
    V(reject) = -m (1 - p_oos)

Asking is one step of a short episode; its value is the Bellman backup of the state after the answer, in closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

MOST_CHOICES = 3
"""A question offers at most this many."""
GAMMA = 0.99
"""Discount of the step after the answer."""
LEAST_CERTAIN = 0.6
"""What is less likely right than this is never done, however cheap it would be to take back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Prices, in units of one right action."""

    wrong: float = 1.15
    """C: a wrong action on a lamp."""
    wish: float = 1.4
    """How much dearer it is where nothing was asked for: "it's stuffy in here" names neither the device nor what to do with it."""
    ask: float = 0.1
    """c_ask: a question."""
    missed: float = 0.5
    """m: a command that was refused."""
    answered: float = 0.9
    """a: probability that a question is answered."""
    nuisance: float = 0.6
    """n: a question to somebody who did not speak to us."""
    unexplained: float = 4.0
    """How much dearer an action is that leaves a spoken name unexplained: the coverage guard."""
    strange: float = 2.0
    """How much dearer an action is where a word is neither plain nor a name that is known."""
    by_domain: dict[str, float] = field(
        default_factory=lambda: {
            "lock": 3.0,
            "siren": 4.0,
            "valve": 3.0,
            "alarm_control_panel": 4.0,
            "query": 0.6,
            "intent": 1.4,
            "phone": 2.0,
        }
    )
    """How much dearer a wrong action is in some domains."""

    small_step: float = 0.65
    """How much cheaper a wrong step of the volume is: one word takes it back."""

    def of(self, domains: Sequence[str]) -> float:
        """Return C of an action on some domains."""
        return self.wrong * max((self.by_domain.get(domain, 1.0) for domain in domains), default=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The best thing to do about one clause."""

    outcome: str
    """`act`, `clarify` or `reject`."""
    value: float
    asked: int = 0
    """How many candidates the question offers."""


def value_of_acting(probability: float, cost: float) -> float:
    """Return V(act)."""
    return probability - cost * (1.0 - probability)


def value_of_asking(covered: float, not_for_us: float, costs: Costs) -> float:
    """Return V(ask), where the offered candidates are right with probability `covered`."""
    settled = costs.answered * covered
    after = settled - costs.missed * max(0.0, 1.0 - not_for_us - settled)
    return -costs.ask - costs.nuisance * not_for_us + GAMMA * after


def value_of_rejecting(not_for_us: float, costs: Costs) -> float:
    """Return V(reject)."""
    return -costs.missed * (1.0 - not_for_us)


def choose(probabilities: Sequence[float], prices: Sequence[float], not_for_us: float, costs: Costs) -> Choice:
    """Return what is worth most.

    Args:
        probabilities: of the candidates, best first.
        prices: C of each candidate.
        not_for_us: p_oos.
        costs: the other prices.
    """
    best = Choice(outcome="reject", value=value_of_rejecting(not_for_us, costs))
    if not probabilities:
        return best
    acting = value_of_acting(probabilities[0], prices[0])
    if acting > best.value and probabilities[0] >= LEAST_CERTAIN:
        best = Choice(outcome="act", value=acting)
    for count in range(1, min(MOST_CHOICES, len(probabilities)) + 1):
        asking = value_of_asking(sum(probabilities[:count]), not_for_us, costs) - 0.01 * (count - 1)
        if asking > best.value:
            best = Choice(outcome="clarify", value=asking, asked=count)
    return best
