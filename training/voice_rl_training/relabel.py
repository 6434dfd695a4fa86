"""Hindsight relabelling: from transitions to labels, the utterance as if the right action had been taken.

    corrected      the corrected actions   reward +1   never enters importance weighting: the deployed policy did not take them
    confirmed      its own actions         reward +1
    "should have been refused"             reward +1 for refusing
    denied, and nothing else is known      no label; `logged_rewards` may use the reward itself

Source: Andrychowicz et al. 2017, arXiv:1707.01495, section 3.2: a trajectory is replayed with the goal that was reached. Departure: the goal here
is not what the policy happened to reach but what a person named.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from voice_rl_plugin.deciding.memory import memory_words
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import EntityState, States
from voice_rl_plugin.domain.transition import Transition

MOST_WEIGHT = 3.0
"""However often one sentence was judged in one place, it counts at most this much."""
_DIALOGUE_STAGES = frozenset({"rule"})
"""An answer or a spoken correction means something only after the sentence before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What one sentence said in one place should have done."""

    text: str
    area: str | None
    language: str
    actions: tuple[Action, ...]
    """The right ones; empty means that it should have been refused."""
    previous: tuple[Action, ...] = ()
    states: States = field(default_factory=dict)
    weight: float = 1.0
    is_relabelled: bool = False
    """Whether the right actions are others than those taken; then its propensity says nothing."""
    decision_id: str = ""
    decided_at: float = 0.0

    @property
    def group(self) -> tuple[str, str | None]:
        """Return what must not be split between training and test: the words and the place."""
        return memory_words(self.text), self.area

    @property
    def key(self) -> str:
        """Return the canonical text of the right actions."""
        return "|".join(action.key for action in self.actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What was done about one sentence, and the reward that came back."""

    label: Label
    """The sentence, with the actions that were taken."""
    reward: float
    """In [-1, 1]."""
    propensity: float
    outcome: str = "act"
    stage: str = "policy"
    choices: tuple[tuple[Action, ...], ...] = ()
    """What the question offered, where it asked."""
    right: tuple[Action, ...] | None = None
    """What should have been done; () is to refuse, None is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relabelled:
    """What a log teaches."""

    labels: tuple[Label, ...]
    """One a sentence, place and command before, oldest first."""
    logged: tuple[Logged, ...]
    judged: int
    """Transitions with a reward."""
    contested: int
    """Sentences whose labels contradicted each other."""


def relabel(transitions: Iterable[Transition]) -> Relabelled:
    """Turn transitions into labels.

    Labels of the same words in the same place are settled among themselves: the actions with the most weight win, the later ones on a tie.
    """
    found: dict[tuple[object, ...], list[Label]] = defaultdict(list)
    logged: list[Logged] = []
    judged = 0
    for transition in transitions:
        if transition.reward is None or transition.stage in _DIALOGUE_STAGES:
            continue
        judged += 1
        done = label_of(transition, _actions(transition.actions), is_relabelled=False)
        logged.append(_logged(transition, done, transition.reward))
        if transition.correction is None:
            continue
        right = _actions(transition.correction)
        is_relabelled = transition.outcome != "act" or [a.key for a in right] != [a.key for a in done.actions]
        label = label_of(transition, right, is_relabelled=is_relabelled)
        found[(*label.group, tuple(a.key for a in label.previous))].append(label)
    settled = [_settle(labels) for labels in found.values()]
    return Relabelled(
        labels=tuple(sorted(settled, key=lambda label: label.decided_at)),
        logged=tuple(logged),
        judged=judged,
        contested=sum(1 for labels in found.values() if len({label.key for label in labels}) > 1),
    )


def label_of(transition: Transition, actions: tuple[Action, ...], *, is_relabelled: bool) -> Label:
    """Return a transition's sentence with some actions as the right ones."""
    return Label(
        text=transition.text,
        area=transition.area,
        language=transition.language,
        actions=actions,
        previous=_actions(transition.previous),
        states={name: EntityState(**state) for name, state in transition.states.items()},
        weight=transition.weight,
        is_relabelled=is_relabelled,
        decision_id=transition.decision_id,
        decided_at=transition.decided_at,
    )


def _logged(transition: Transition, done: Label, reward: float) -> Logged:
    return Logged(
        label=done,
        reward=reward,
        propensity=transition.propensity,
        outcome=transition.outcome,
        stage=transition.stage,
        choices=tuple(_actions(choice["actions"]) for choice in transition.choices),
        right=None if transition.correction is None else _actions(transition.correction),
    )


def _actions(payloads: Iterable[object]) -> tuple[Action, ...]:
    return tuple(Action.from_payload(payload) for payload in payloads)  # type: ignore[arg-type]


def _settle(labels: list[Label]) -> Label:
    weights: dict[str, float] = defaultdict(float)
    for label in labels:
        weights[label.key] += label.weight
    most = max(weights.values())
    winner = [label for label in labels if weights[label.key] == most][-1]
    against = sum(weight for key, weight in weights.items() if key != winner.key)
    return replace(winner, weight=min(MOST_WEIGHT, max(most - against, 0.1 * most)))
