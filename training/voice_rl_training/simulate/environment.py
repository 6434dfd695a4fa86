"""`VoiceHome-v0`: what to do about one sentence, as a Gymnasium environment.

    reset    somebody speaks; the base policy reads it, the resolver gives the candidates
    step(i)  i < N: carry out candidate i    N: ask about the best ASKED that are left    N + 1: refuse

    observation   candidates [N, F + 1]   features and the base's probability, best first, 0 where there is none
                  mask [N + 2]            1 for what may be done now; what is risky only after its question was answered
                  context [C + 5]         the clause, p("none of these"), p("not for us"), questions so far, was answered, was met with silence

An episode is an utterance to its settlement: one step, or up to three where it asks. The reward is the one of docs/DESIGN.md, section 4:

    act       +1, or -C for a wrong action, C dearer on locks and covers
    ask       -c_ask, and -n more when nobody spoke to us; what follows is the next observation
    refuse    -m for a command that was missed, 0 where refusing was right

What a person would have fed back (section 5: silence is missing, never 0) is in `info["feedback_reward"]`, None where nobody said a word.
"""

from random import Random
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.deciding.value import GAMMA, MOST_CHOICES, Costs
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.learning.reward import reward_of
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES, MOST_CANDIDATES, clause_options
from voice_rl_plugin.understanding.features import observe
from voice_rl_plugin.understanding.frames import decode
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy, Policy
from voice_rl_plugin.understanding.resolve import Situation
from voice_rl_training.simulate.banks import load_bank
from voice_rl_training.simulate.family import Family, Habits, Said
from voice_rl_training.simulate.homes import household_home
from voice_rl_training.simulate.household import Temper

ASK, REJECT = MOST_CANDIDATES, MOST_CANDIDATES + 1
"""Actions behind the candidates."""
MOST_QUESTIONS = 2
"""With the last step that makes an episode of at most three."""
ASKED = MOST_CHOICES
"""A question is about this many candidates at most."""
LARGEST = 10.0
"""Features lie within plus and minus this."""
EXTRA_CONTEXT = 5
_SAYINGS_A_HOME = 50

Observed = dict[str, NDArray[Any]]


class VoiceHome(gymnasium.Env[Observed, np.int64]):
    """Single decisions in the homes of simulated families.

    Args:
        language: `en` or `zh`.
        habits: how the families talk; a mapping of Habits' fields.
        temper: how people react; a mapping of Temper's fields.
        policy: reads the sentences; the shipped base when None.
        render_mode: `ansi` or None.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        *,
        language: str = "en",
        habits: dict[str, float] | None = None,
        temper: dict[str, float] | None = None,
        policy: Policy | None = None,
        render_mode: str | None = None,
    ) -> None:
        self._bank = load_bank(language)
        self._habits = Habits(**(habits or {}))
        self._temper = Temper(**(temper or {}))  # type: ignore[arg-type]
        self._policy = policy if policy is not None else OnnxPolicy.load(BASE_FOLDER)
        self._costs = Costs()
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(MOST_CANDIDATES + 2)
        space = spaces.Dict(
            {
                "candidates": spaces.Box(-LARGEST, LARGEST, (MOST_CANDIDATES, CANDIDATE_FEATURES + 1), np.float32),
                "mask": spaces.MultiBinary(MOST_CANDIDATES + 2),
                "context": spaces.Box(-LARGEST, LARGEST, (CONTEXT_FEATURES + EXTRA_CONTEXT,), np.float32),
            }
        )
        self.observation_space = cast("spaces.Space[Observed]", space)  # Gymnasium types a space of dicts by object
        self._family: Family | None = None
        self._index: NameIndex | None = None
        self._said_here = 0
        self._rng = Random(0)
        self._said: Said | None = None
        self._options: list[tuple[Action, ...]] = []
        self._probabilities = np.zeros(0, np.float32)
        self._rows = np.zeros((0, CANDIDATE_FEATURES), np.float32)
        self._context = np.zeros(CONTEXT_FEATURES, np.float32)
        self._rest = (0.0, 0.0)
        self._left = np.zeros(0, bool)
        self._is_safe = np.zeros(0, bool)
        self._questions = 0
        self._is_answered = self._is_ignored = False
        self._last = ""

    @property
    def said(self) -> Said:
        """Return the sentence of this episode, with what is wanted; only a judge may look at it."""
        if self._said is None:
            raise gymnasium.error.ResetNeeded("expected reset() before the first sentence")
        return self._said

    @property
    def home(self) -> Home:
        """Return the home of this episode."""
        if self._family is None:
            raise gymnasium.error.ResetNeeded("expected reset() before the first sentence")
        return self._family.home

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observed, dict[str, Any]]:
        """Begin with the next sentence; a seed begins a new row of families."""
        super().reset(seed=seed)
        del options
        if seed is not None or self._family is None or self._said_here >= _SAYINGS_A_HOME:
            self._move(seed)
        assert self._family is not None
        self._said_here += 1
        self._said = self._family.say(self._rng)
        self._read(self._said)
        self._questions, self._is_answered, self._is_ignored, self._last = 0, False, False, ""
        return self._observe(), self._info()

    def step(self, action: np.int64) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """Carry out a candidate, ask, or refuse.

        Raises:
            ValueError: the action is not in the action space.
        """
        chosen = int(action)
        if not 0 <= chosen < MOST_CANDIDATES + 2:
            raise ValueError(f"expected an action in [0, {MOST_CANDIDATES + 1}], got {action!r}")
        said = self.said
        if chosen == ASK and self._mask()[ASK]:
            return self._ask(said)
        if chosen < len(self._options) and self._mask()[chosen]:
            actions = self._options[chosen]
            is_right = said.does(actions)
            reward = 1.0 if is_right else -self._costs.of([one.domain for one in actions])
            self._last = "right" if is_right else "wrong_action"
        else:  # refusing, or what may not be done: then nothing is done
            actions = ()
            reward = -self._costs.missed if said.wants else 0.0
            self._last = "refused" if said.wants else "right"
        feedback = self._feedback(said, actions)
        return self._observe(), reward, True, False, {**self._info(), "verdict": self._last, "feedback_reward": feedback}

    def expected_returns(self) -> NDArray[np.float64]:
        """Return what each action of a first step is worth to an agent that carries out the answer and refuses without one, [N + 2].

        Only a judge may look at it; what may not be done is worth as much as refusing.
        """
        said, costs = self.said, self._costs
        refusing = -costs.missed if said.wants else 0.0
        returns = np.full(MOST_CANDIDATES + 2, refusing)
        mask = self._mask()
        fits = [said.does(actions) for actions in self._options]
        for i, actions in enumerate(self._options):
            if mask[i]:
                returns[i] = 1.0 if fits[i] else -costs.of([one.domain for one in actions])
        if mask[ASK]:
            settled = self._temper.answers if any(fits[:ASKED]) else 0.0
            asking = -costs.ask - (0.0 if said.wants else costs.nuisance)
            returns[ASK] = asking + GAMMA * (settled + (1.0 - settled) * refusing)
        return returns

    def render(self) -> str | None:
        """Return the sentence, the candidates and what became of it."""
        if self.render_mode != "ansi" or self._said is None:
            return None
        lines = [f"{self._said.kind}: {self._said.text!r} in {self._said.area}"]
        for actions, probability, left in zip(self._options, self._probabilities, self._left, strict=True):
            lines.append(f"  {'' if left else '(asked) '}{probability:.2f} {'; '.join(action.to_line() for action in actions)}")
        return "\n".join([*lines, f"  {self._last}"])

    # -- the sentence ------------------------------------------------------------------------------------------------------------

    def _move(self, seed: int | None) -> None:
        if seed is not None or self._family is None:
            self._rng = Random(int(self.np_random.integers(2**31)))
        home = household_home(self._bank, self._rng.randrange(len(self._bank.homes)), self._rng)
        self._family = Family(self._bank, home, seed=str(self._rng.random()), habits=self._habits)
        self._index = NameIndex(home)
        self._said_here = 0

    def _read(self, said: Said) -> None:
        assert self._index is not None
        observation = observe(said.text, home=self.home, index=self._index, area=said.area)
        frames = decode(self._policy.read(observation), observation.words)
        situation = Situation(home=self.home, index=self._index, area=said.area, states=self.home.initial_states)
        clause = clause_options(observation, frames[0], situation, clauses=len(frames))
        scored = self._policy.score(clause.features, clause.context)
        order = np.argsort(-scored[: len(clause.options)], kind="stable")
        self._options = [clause.options[i].actions for i in order]
        self._rows = clause.features[order].reshape(len(order), CANDIDATE_FEATURES)
        self._probabilities = scored[: len(clause.options)][order]
        self._context = clause.context
        self._rest = (float(scored[-2]), float(scored[-1]))
        self._left = np.ones(len(order), bool)
        self._is_safe = np.array([not any_risky(actions, self.home) for actions in self._options], bool)

    def _mask(self) -> NDArray[np.int8]:
        mask = np.zeros(MOST_CANDIDATES + 2, np.int8)
        mask[: len(self._left)] = self._left & (self._is_safe | self._is_answered)
        mask[ASK] = self._questions < MOST_QUESTIONS and not self._is_answered and bool(self._left.any())
        mask[REJECT] = 1
        return mask

    def _observe(self) -> Observed:
        candidates = np.zeros((MOST_CANDIDATES, CANDIDATE_FEATURES + 1), np.float32)
        count = len(self._options)
        candidates[:count, :-1] = self._rows
        candidates[:count, -1] = self._probabilities
        extra = (*self._rest, self._questions / MOST_QUESTIONS, float(self._is_answered), float(self._is_ignored))
        return {
            "candidates": np.clip(candidates, -LARGEST, LARGEST),
            "mask": self._mask(),
            "context": np.clip(np.concatenate([self._context, np.array(extra, np.float32)]), -LARGEST, LARGEST).astype(np.float32),
        }

    def _info(self) -> dict[str, Any]:
        return {"kind": self.said.kind, "text": self.said.text}

    # -- what people do ----------------------------------------------------------------------------------------------------------

    def _ask(self, said: Said) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """Ask about the best that are left: the answer leaves the right one, or takes those away that were offered."""
        self._questions += 1
        offered = np.flatnonzero(self._left)[:ASKED]
        fitting = [int(i) for i in offered if said.does(self._options[i])]
        reward = -self._costs.ask - (0.0 if said.wants else self._costs.nuisance)
        self._is_ignored = self._rng.random() >= self._temper.answers
        if not self._is_ignored:
            if fitting:
                self._left[:] = False
                self._left[fitting[0]] = True
                self._is_answered = True
            else:
                self._left[offered] = False
        self._last = "asked"
        return self._observe(), reward, False, False, {**self._info(), "verdict": "asked", "feedback_reward": None}

    def _feedback(self, said: Said, actions: tuple[Action, ...]) -> float | None:
        """Return the reward that a person's reaction would be stored with; None for silence."""
        is_right = said.does(actions) if actions else not said.wants
        speaks = self._rng.random() < (self._temper.confirms if is_right else self._temper.corrects)
        if not speaks:
            return None
        utterance = Utterance(text=said.text, area=said.area, language=said.language, door="dry_run")
        candidates = tuple(Candidate(actions=actions, probability=1.0) for _ in range(1 if actions else 0))
        decision = Decision(
            id="simulated",
            utterance=utterance,
            language=said.language,
            outcome="act" if actions else "reject",
            actions=actions,
            candidates=candidates,
        )
        feedback = Feedback(
            decision_id="simulated", verdict="yes" if is_right else "correct", source="page", correction=() if is_right else said.wanted
        )
        return reward_of(feedback, decision=decision, seconds_since=4.0)[0]
