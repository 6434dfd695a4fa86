"""`VoiceHome-v0` is a Gymnasium environment, pays what DESIGN.md says, and lets nobody open a door without a question."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import voice_rl_training.simulate
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.deciding.value import Costs
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES, MOST_CANDIDATES
from voice_rl_training.simulate.environment import ASK, EXTRA_CONTEXT, REJECT, VoiceHome
from voice_rl_training.simulate.family import Said

COSTS = Costs()


def make(**options: Any) -> VoiceHome:
    """Return the environment without Gymnasium's wrappers."""
    made = gymnasium.make(voice_rl_training.simulate.ENVIRONMENT_ID, **options).unwrapped
    assert isinstance(made, VoiceHome)
    return made


def find(env: VoiceHome, wanted: Callable[[VoiceHome], bool], *, seed: int = 3) -> dict[str, Any]:
    """Begin episodes until one is as wanted; return its first observation."""
    observed, _ = env.reset(seed=seed)
    for _ in range(500):
        if wanted(env):
            return observed
        observed, _ = env.reset()
    raise AssertionError("no such sentence in 500")


def right_place(env: VoiceHome) -> int | None:
    """Return the candidate that is wanted, if there is one."""
    returns = env.expected_returns()[:MOST_CANDIDATES]
    return int(np.argmax(returns)) if returns.max() == 1.0 else None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_environment_passes_gymnasiums_checker(language: str) -> None:
    """The registered environment keeps Gymnasium's contract, with warnings as errors."""
    check_env(make(language=language, render_mode="ansi"))


def test_observations_and_actions_have_fixed_shapes() -> None:
    """Whatever is said, candidates, mask and context have the shapes of the spaces, and the mask allows refusing."""
    env = make()
    observed, _ = env.reset(seed=1)
    for _ in range(200):
        assert observed["candidates"].shape == (MOST_CANDIDATES, CANDIDATE_FEATURES + 1)
        assert observed["context"].shape == (CONTEXT_FEATURES + EXTRA_CONTEXT,)
        assert env.observation_space.contains(observed)
        assert observed["mask"][REJECT] == 1
        observed, _ = env.reset()


def test_same_seed_same_sentences() -> None:
    """A seed fixes homes, families and sentences; another seed gives others."""

    def said(seed: int) -> list[str]:
        env = make(language="zh")
        texts = [env.reset(seed=seed)[1]["text"]]
        return texts + [env.reset()[1]["text"] for _ in range(80)]

    assert said(4) == said(4)
    assert said(4) != said(5)


def test_acting_pays_one_or_the_price_of_the_domain() -> None:
    """The wanted candidate is worth +1; another one costs C of its domain."""
    env = make()
    observed = find(env, lambda e: right_place(e) is not None and e.expected_returns()[:MOST_CANDIDATES].min() < -1.0)
    returns = env.expected_returns()
    wrong = int(np.argmin(returns[:MOST_CANDIDATES]))
    assert observed["mask"][wrong]

    _, reward, ended, _, info = env.step(np.int64(wrong))

    assert reward == returns[wrong] == -COSTS.of([action.domain for action in env._options[wrong]])
    assert ended
    assert info["verdict"] == "wrong_action"


def test_refusing_costs_only_a_missed_command() -> None:
    """Refusing talk is worth 0, refusing a command costs m."""
    env = make()
    find(env, lambda e: e.said.kind == "talk")
    assert env.step(np.int64(REJECT))[1] == 0.0

    find(env, lambda e: e.said.kind == "ordinary")
    assert env.step(np.int64(REJECT))[1] == -COSTS.missed


def test_an_answered_question_leaves_the_right_candidate() -> None:
    """A question costs c_ask and goes on; when people always answer, what is left is right, and worth +1."""
    env = make(temper={"answers": 1.0})
    find(env, lambda e: right_place(e) == 0)

    observed, reward, ended, _, _ = env.step(np.int64(ASK))
    left = [place for place in range(MOST_CANDIDATES) if observed["mask"][place]]

    assert reward == -COSTS.ask
    assert not ended
    assert left == [0]
    assert observed["mask"][ASK] == 0
    assert env.step(np.int64(0))[1] == 1.0


def test_a_question_to_nobody_costs_more() -> None:
    """Asking somebody who did not speak to the home costs the nuisance on top."""
    env = make(temper={"answers": 0.0})
    find(env, lambda e: e.said.kind in ("talk", "near_miss") and bool(e.expected_returns()[ASK] < 0))

    assert env.step(np.int64(ASK))[1] == pytest.approx(-COSTS.ask - COSTS.nuisance)


def test_an_episode_ends_after_three_steps() -> None:
    """There are at most two questions; then only acting and refusing are left."""
    env = make(temper={"answers": 0.0})
    observed = find(env, lambda e: right_place(e) is not None)
    for _ in range(2):
        assert observed["mask"][ASK]
        observed, _, ended, _, _ = env.step(np.int64(ASK))
        assert not ended

    assert not observed["mask"][ASK]
    _, reward, ended, _, _ = env.step(np.int64(ASK))
    assert ended
    assert reward == -COSTS.missed  # what may not be done is nothing done


def test_what_is_risky_waits_for_an_answer() -> None:
    """Unlocking is masked until a question about it was answered; then it may be done."""
    env = make(temper={"answers": 1.0})
    env.reset(seed=1)
    lock = next(entity for entity in env.home.exposed if entity.domain == "lock")
    wanted = (Action(service="lock.unlock", targets=(lock.id,)),)
    env._said = Said(text=f"unlock the {lock.name.lower()}", area=lock.area, language="en", kind="ordinary", wants=(wanted,))
    env._read(env._said)
    place = next(i for i, actions in enumerate(env._options) if any_risky(actions, env.home))

    assert env._observe()["mask"][place] == 0
    assert env.step(np.int64(ASK))[0]["mask"][place] == 1
    assert env.step(np.int64(place))[1] == 1.0


def test_silence_is_no_reward() -> None:
    """What a person says afterwards is None for silence, never 0; a correction of a wrong action is -1."""
    silent = make(temper={"confirms": 0.0, "corrects": 0.0})
    find(silent, lambda e: right_place(e) is not None)
    assert silent.step(np.int64(REJECT))[4]["feedback_reward"] is None

    speaking = make(temper={"corrects": 1.0})
    find(speaking, lambda e: e.expected_returns()[:MOST_CANDIDATES].min() < -1.0)
    wrong = int(np.argmin(speaking.expected_returns()[:MOST_CANDIDATES]))
    assert speaking.step(np.int64(wrong))[4]["feedback_reward"] == -1.0


def test_an_action_outside_the_space_is_an_error() -> None:
    """The error says what was expected."""
    env = make()
    env.reset(seed=1)

    with pytest.raises(ValueError, match=r"expected an action in \[0, 13\]"):
        env.step(np.int64(99))
