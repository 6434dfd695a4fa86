"""The canary over a real mosquitto and store: a model that people deny more often goes by itself; a good one passes."""

import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.daemon.conftest import House
from tests.mosquitto import DEADLINE_S
from voice_rl_plugin.config import LearningSection
from voice_rl_plugin.daemon.canary import Canary, chance_of_denials
from voice_rl_plugin.daemon.core import METRICS_S
from voice_rl_plugin.learning.models import Trial
from voice_rl_plugin.learning.store import ExperienceStore

StartHouse = Callable[..., House]
TRIAL = Trial(version="v2", former="base", since=0.0)


def last_model(house: House) -> dict[str, Any]:
    """Return what the model topic shows now."""
    payload: dict[str, Any] = json.loads(house.watcher.on_topic("voice_rl/model")[-1].payload)
    return payload


def wait_model(house: House, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until the model topic shows something; a trial is looked at when the metrics are told."""
    house.watcher.wait_for(
        lambda one: one.topic == "voice_rl/model" and holds(json.loads(one.payload)), what, deadline_s=METRICS_S + DEADLINE_S
    )
    return last_model(house)


def talk(house: House, count: int, *, denied: int) -> None:
    """Say something several times, and deny the first of it."""
    before = len(house.watcher.on_topic("voice_rl/decision"))
    for number in range(count):
        house.say(f"turn on the {'desk ' if number % 2 else ''}lamp", area=("kitchen", "hall")[number % 3 > 0])
        decision = house.decision(count=before + number + 1)
        if number < denied:
            house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "no"})
    house.settle()


def test_chance_is_fishers() -> None:
    """8 of 10 against 1 of 6, worked out by hand: (C(9,8) C(7,2) + C(9,9) C(7,1)) / C(16,10)."""
    assert chance_of_denials(8, 10, 1, 6) == pytest.approx((9 * 21 + 7) / math.comb(16, 10))
    assert chance_of_denials(0, 10, 0, 6) == 1.0
    assert chance_of_denials(0, 0, 0, 0) == 1.0
    with pytest.raises(ValueError, match="denied <= decisions"):
        chance_of_denials(3, 2, 0, 0)


def test_denied_model_is_rolled_back_by_itself(start_house: StartHouse) -> None:
    """A champion of which every second act is denied goes; the model topic and health say why, and the former one decides."""
    house = start_house(names=("base", "v2"), canary_decisions=60, canary_least=12)
    talk(house, 16, denied=0)
    house.watcher.publish("voice_rl/model/set", {"version": "v2"})
    wait_model(house, "v2 at work", lambda one: one["installed_version"] == "v2")
    talk(house, 14, denied=8)

    shown = wait_model(house, "the rollback", lambda one: (one["canary"] or {}).get("state") == "rolled_back")
    assert (shown["canary"]["version"], shown["canary"]["former"]) == ("v2", "base")
    assert shown["canary"]["p_value"] < 0.01
    assert "v2 was rolled back" in shown["release_summary"]
    house.watcher.wait_for(
        lambda one: one.topic == "voice_rl/model" and json.loads(one.payload)["installed_version"] == "base", "base", count=2
    )
    assert house.models.champion_version() == "base"
    house.say("louder")
    assert house.watcher.wait_for(lambda one: one.topic == "voice_rl/decision" and b'"louder"' in one.payload, "louder") is not None


def test_model_that_is_no_worse_passes(start_house: StartHouse) -> None:
    """A champion denied as often as the one before it stays, and its trial ends."""
    house = start_house(names=("base", "v2"), canary_decisions=12, canary_least=6)
    talk(house, 12, denied=2)
    house.watcher.publish("voice_rl/model/set", {"version": "v2"})
    wait_model(house, "v2 at work", lambda one: one["installed_version"] == "v2")
    talk(house, 13, denied=2)
    house.say("turn on the lamp")
    house.watcher.publish("voice_rl/confirm", {"decision_id": house.decision(count=28)["decision_id"], "verdict": "yes"})

    wait_model(house, "the end of the trial", lambda one: (one["canary"] or {}).get("state") == "passed")
    assert not house.models.on_trial
    assert house.models.champion_version() == "v2"


class CountedStore(ExperienceStore):
    """A store of which only the counts matter."""

    def __init__(self, new: tuple[int, int], old: tuple[int, int]) -> None:
        self.counts = {"v2": new, "base": old}

    def judged_badly(self, policy_version: str, *, since: float = 0.0, limit: int = 1000) -> tuple[int, int]:
        """Return decisions and denials."""
        del since, limit
        return self.counts[policy_version]


@pytest.mark.parametrize(
    ("new", "old", "state"),
    [
        ((29, 20), (300, 15), "watching"),
        ((30, 12), (300, 15), "rolled_back"),
        ((30, 3), (300, 15), "watching"),
        ((300, 15), (300, 15), "passed"),
    ],
)
def test_trial_ends_as_its_figures_say(new: tuple[int, int], old: tuple[int, int], state: str) -> None:
    """No look before enough decisions; then a clear rise ends it, and a whole trial without one passes."""
    settings = LearningSection(canary_decisions=300, canary_least=30)
    canary = Canary(settings, store=CountedStore(new, old), trial=lambda: TRIAL)
    ended = canary.look()

    assert canary.report is not None
    assert canary.report.state == state
    assert (ended is None) == (state == "watching")


@pytest.mark.parametrize(("denied_now", "least", "most"), [(0.05, 0.0, 0.05), (0.15, 0.85, 1.0), (0.25, 0.97, 1.0)])
def test_whole_trials_are_wrong_as_seldom_as_configured(denied_now: float, least: float, most: float) -> None:
    """1,000 simulated trials after 300 decisions of which 5 % were denied: at most 5 % of the models that are no worse go; a worse one goes."""
    settings, chance = LearningSection(), random.Random(1)
    rolled_back = 0
    for _ in range(1000):
        old = sum(chance.random() < 0.05 for _ in range(300))
        store = CountedStore((0, 0), (300, old))
        canary = Canary(settings, store=store, trial=lambda: TRIAL)
        ended = None
        while ended is None:
            decisions, denied = store.counts["v2"]
            store.counts["v2"] = (decisions + 30, denied + sum(chance.random() < denied_now for _ in range(30)))
            ended = canary.look()
        rolled_back += ended.state == "rolled_back"

    assert least <= rolled_back / 1000 <= most


def test_no_trial_without_decisions() -> None:
    """`canary_decisions: 0` looks at nothing."""
    canary = Canary(LearningSection(canary_decisions=0), store=CountedStore((9, 9), (9, 0)), trial=lambda: TRIAL)

    assert canary.look() is None
    assert canary.report is None


def wait_shadow(house: House, **figures: int) -> dict[str, Any]:
    """Wait until the challenger's tally shows some figures; the topic follows every 10 s."""
    return wait_model(house, f"shadow {figures}", lambda one: one["shadow"] is not None and figures.items() <= one["shadow"].items())


def test_challenger_runs_silently(start_house: StartHouse) -> None:
    """What the champion decided is done, what the challenger would have done is counted, and nobody is asked."""
    house = start_house(names=("base", "contrary"), in_shadow="contrary")
    wait_shadow(house, decisions=0)
    house.say("turn on the lamp")
    action, decision = house.action(), house.decision()
    house.say("louder")
    house.settle()
    house.watcher.publish("voice_rl/learning/set", "on")  # whatever announces

    shown = wait_shadow(house, disagreements=1)
    assert action["target"] == {"entity_id": ["light.lamp"]}
    assert decision["policy_version"] == "base"
    assert shown["shadow"] == {
        "version": "contrary",
        "decisions": 3,
        "disagreements": 1,
        "asked": 0,
        "champion_right": 0,
        "challenger_right": 0,
    }


def test_disagreement_is_asked_within_the_budget(start_house: StartHouse) -> None:
    """One question an hour: the first disagreement asks, its answer counts, the second is done as the champion decided."""
    house = start_house(names=("base", "contrary"), in_shadow="contrary", shadow_questions_per_hour=1)
    wait_shadow(house, decisions=0)
    house.say("turn on the lamp", area="hall")
    asked = house.decision()
    house.watcher.publish("voice_rl/confirm", {"decision_id": asked["decision_id"], "verdict": "yes", "correction": {"choice": 1}})
    assert house.action()["target"] == {"entity_id": ["light.desk"]}
    house.say("turn on the lamp")
    acted = house.watcher.wait_for(
        lambda one: one.topic == "voice_rl/decision" and json.loads(one.payload)["area"] == "kitchen", "the second decision"
    )
    house.watcher.publish("voice_rl/learning/set", "on")

    assert (asked["outcome"], len(asked["choices"])) == ("clarify", 2)
    assert json.loads(acted.payload)["outcome"] == "act"
    wait_shadow(house, disagreements=2, asked=1, challenger_right=1)


def test_challenger_that_does_not_load_is_said(start_house: StartHouse) -> None:
    """A broken challenger costs nothing but a line in health."""
    house = start_house(names=("base", "unloadable"), in_shadow="unloadable")
    house.say("turn on the lamp")
    house.action()

    house.watcher.publish("voice_rl/learning/set", "on")
    house.watcher.wait_for(lambda one: one.topic == "voice_rl/health" and b"challenger unloadable" in one.payload, "the problem")
