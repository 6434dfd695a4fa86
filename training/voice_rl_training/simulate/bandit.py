"""The peer: Vowpal Wabbit as a contextual bandit on the same stream of sentences, with every advantage that we could think of.

    shared      the words, pairs of words, the area
    actions     our own candidates with the base's probability and features, whatever corrections have named in this home so far, and refusing
    learns      warm started with sentences in this home's own names; from every reaction; from a correction the cost of every action

    vw --cb_explore_adf --softmax --lambda 10 --cb_type dr -q wa -b 22

It asks where the best action has less than ASKS_BELOW of its distribution: asking as one more arm was tried first, and then it asked nine times in ten,
for a linear model cannot tell a certain sentence from a likely one. Answers and corrections it hears with our own dialogue, for it has none. Source: Bietti, Agarwal and Langford 2021, arXiv:1802.04064.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np

from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.deciding.turn import Heard, Turn
from voice_rl_plugin.deciding.value import MOST_CHOICES, Costs
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.home import Home, States
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.learning.reward import correction_of, reward_of
from voice_rl_plugin.understanding.candidates import clause_options
from voice_rl_plugin.understanding.features import observe
from voice_rl_plugin.understanding.frames import decode
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.onnx_policy import Policy
from voice_rl_plugin.understanding.resolve import Situation
from voice_rl_plugin.understanding.text import words_of
from voice_rl_training.evaluation import Case

OPTIONS = "--cb_explore_adf --softmax --lambda 10 --cb_type dr -q wa -b 22 --quiet --random_seed 1"
ASKS_BELOW = 0.7
_MOST_LEARNED = 40
"""Actions that corrections have named, besides the candidates."""
_UNSAFE = re.compile(r"[\s:|]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """One sentence as the peer sees it."""

    shared: str
    actions: tuple[tuple[Action, ...], ...]
    """The candidates; refusing comes after them."""
    lines: tuple[str, ...]
    pmf: tuple[float, ...] = ()

    @property
    def refuse(self) -> int:
        """Return the place of refusing."""
        return len(self.actions)


class VowpalWabbit:
    """The peer as a player.

    Args:
        policy: the base, whose candidates and probabilities it is given.
        home: where it listens.
        seed: of its exploration.

    Raises:
        ConfigError: the package `vowpalwabbit` is not installed.
    """

    def __init__(self, *, policy: Policy, home: Home, seed: int) -> None:
        self._vw = _workspace()
        self._policy = policy
        self._home = home
        self._index = NameIndex(home)
        self._decider = Decider(policy=policy, home=home, memory=Memory())
        self._costs = Costs()
        self._rng = Random(f"vowpal wabbit {seed}")
        self._learned: dict[str, tuple[Action, ...]] = {}
        self._problems: dict[str, tuple[_Problem, int]] = {}
        self._count = 0

    def warm_start(self, cases: Iterable[Case]) -> int:
        """Learn from sentences whose right answer is known; return how many."""
        count = 0
        for case in cases:
            utterance = Utterance(text=case.text, area=case.area, language=case.language, door="dry_run")
            problem = self._problem(utterance, case.states or case.home.initial_states)
            right = tuple(case.want) if not isinstance(case.want, str) else ()
            if isinstance(case.want, str) and case.want == "clarify":
                continue
            self._learn_all(problem, right)
            count += 1
        return count

    def hear(self, utterance: Utterance, *, states: States, last: Turn | None, now: float) -> Heard:
        """Return what it does about an utterance; an answer or a judgement is heard as ours are."""
        self._count += 1
        name = f"peer-{self._count}"
        if last is not None:
            heard = self._decider.hear(utterance, states=states, last=last, now=now, decision_id=name)
            if heard.feedback is not None:
                return heard
        problem = self._predict(self._problem(utterance, states))
        chosen = self._rng.choices(range(len(problem.pmf)), problem.pmf)[0]
        decision = self._decision(problem, chosen, utterance, name=name, now=now)
        self._problems[name] = (problem, chosen)
        return Heard(decision=decision)

    def decide(self, utterance: Utterance, *, states: States) -> Decision:
        """Return what it thinks best, without exploring."""
        problem = self._predict(self._problem(utterance, states))
        return self._decision(problem, int(np.argmax(problem.pmf)), utterance, name="peer", now=0.0)

    def correct(self, utterance: Utterance, *, judged: Decision, states: States, now: float) -> Decision | None:
        """Return what the words of a correction mean, as our own brain reads them."""
        self._count += 1
        return self._decider.correct(utterance, judged=judged, states=states, now=now, decision_id=f"peer-{self._count}")

    def take(self, feedback: Feedback, decision: Decision) -> None:
        """Learn from a judgement: from a correction the cost of every action, else the cost of what was done."""
        found = self._problems.get(decision.id)
        if found is None:
            return
        problem, chosen = found
        right = correction_of(feedback, decision=decision)
        if right:
            self._learned.setdefault("|".join(action.key for action in right), right)
            problem = self._with(problem, right)
        reward, _ = reward_of(feedback, decision=decision, seconds_since=max(0.0, feedback.given_at - decision.decided_at))
        if right is not None:
            self._learn_all(problem, right)
        elif reward is not None:
            self._learn(problem, chosen, -reward, problem.pmf[chosen] if chosen < len(problem.pmf) else 1.0)

    def close(self) -> None:
        """Give its memory back."""
        self._vw.finish()

    # -- examples ----------------------------------------------------------------------------------------------------------------

    def _problem(self, utterance: Utterance, states: States) -> _Problem:
        observation = observe(utterance.text, home=self._home, index=self._index, area=utterance.area)
        words = words_of(utterance.text)
        pairs = [f"{a}_{b}" for a, b in pairwise(words)]
        shared = f"shared |w {' '.join(_safe(word) for word in (*words, *pairs))} |s area_{_safe(utterance.area or 'none')}"
        actions: list[tuple[Action, ...]] = []
        lines: list[str] = []
        rest, best = (0.5, 0.5), 0.0
        if observation.words:
            frames = decode(self._policy.read(observation), observation.words)
            situation = Situation(home=self._home, index=self._index, area=utterance.area, states=states)
            clause = clause_options(observation, frames[0], situation, clauses=len(frames))
            scored = self._policy.score(clause.features, clause.context)
            rest, best = (float(scored[-2]), float(scored[-1])), float(max(scored[: len(clause.options)], default=0.0))
            for option, probability in zip(clause.options, scored, strict=False):
                actions.append(option.actions)
                numbers = " ".join(f"f{i}:{value:.3f}" for i, value in enumerate(option.features) if value)
                lines.append(_line(option.actions, f"p:{probability:.4f} l:{math.log(probability + 1e-4):.3f}", numbers))
        known = {"|".join(action.key for action in one) for one in actions}
        for key, one in list(self._learned.items())[-_MOST_LEARNED:]:
            if key not in known:
                actions.append(one)
                lines.append(_line(one, "learned", ""))
        summary = f"best:{best:.4f} none:{rest[0]:.4f} strangers:{rest[1]:.4f}"
        return _Problem(shared=shared, actions=tuple(actions), lines=(*lines, f"|z refuse {summary}"))

    def _with(self, problem: _Problem, actions: tuple[Action, ...]) -> _Problem:
        keys = ["|".join(one.key for one in known) for known in problem.actions]
        if "|".join(one.key for one in actions) in keys:
            return problem
        lines = (*problem.lines[: problem.refuse], _line(actions, "learned", ""), *problem.lines[problem.refuse :])
        return replace(problem, actions=(*problem.actions, actions), lines=lines, pmf=())

    def _predict(self, problem: _Problem) -> _Problem:
        pmf = self._vw.predict([problem.shared, *problem.lines])
        return replace(problem, pmf=tuple(float(one) for one in pmf))

    def _learn(self, problem: _Problem, chosen: int, cost: float, probability: float) -> None:
        lines = [f"0:{cost:.3f}:{max(probability, 0.01):.4f} {line}" if i == chosen else line for i, line in enumerate(problem.lines)]
        self._vw.learn([problem.shared, *lines])

    def _learn_all(self, problem: _Problem, right: tuple[Action, ...]) -> None:
        """Learn the cost of every action, for the right one is known."""
        key = "|".join(action.key for action in right)
        keys = ["|".join(action.key for action in one) for one in problem.actions]
        for i, one in enumerate(problem.actions):
            is_right = bool(right) and keys[i] == key
            self._learn(problem, i, -1.0 if is_right else self._costs.of([action.domain for action in one]), 1.0)
        self._learn(problem, problem.refuse, self._costs.missed if right else 0.0, 1.0)

    def _decision(self, problem: _Problem, chosen: int, utterance: Utterance, *, name: str, now: float) -> Decision:
        language = "zh" if self._home.language.startswith("zh") else "en"
        ranked = sorted(range(problem.refuse), key=lambda i: -problem.pmf[i])
        candidates = tuple(Candidate(actions=problem.actions[i], probability=problem.pmf[i]) for i in ranked)
        base = Decision(
            id=name,
            utterance=utterance,
            language=language,
            outcome="reject",
            candidates=candidates,
            propensity=problem.pmf[chosen],
            policy_version="vowpalwabbit",
            decided_at=now,
        )
        if chosen == problem.refuse:
            return base
        if problem.pmf[chosen] < ASKS_BELOW:
            return replace(base, outcome="clarify", choices=candidates[:MOST_CHOICES], question="?", reason_code="ambiguous")
        actions = problem.actions[chosen]
        if any_risky(actions, self._home):
            offered = (Candidate(actions=actions, probability=problem.pmf[chosen]),)
            return replace(base, outcome="clarify", choices=offered, question="?", reason_code="risky")
        return replace(base, outcome="act", actions=actions, confidence=problem.pmf[chosen])


def _line(actions: Sequence[Action], numbers: str, features: str) -> str:
    tokens = [
        _safe(token) for action in actions for token in (action.service, *action.targets, *(f"{k}={v}" for k, v in action.data.items()))
    ]
    return f"|a {' '.join(tokens)} {'+'.join(tokens)} |p act {numbers} |f {features}"


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text) or "_"


def is_installed() -> bool:
    """Whether the peer can be played."""
    try:
        _workspace().finish()
    except ConfigError:
        return False
    return True


def _workspace() -> Any:
    try:
        from vowpalwabbit import Workspace  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ConfigError("the peer needs the package vowpalwabbit: pip install voice-rl-plugin[peers]") from error
    return Workspace(OPTIONS)
