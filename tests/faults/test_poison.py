"""F33: a household, or somebody with its buttons, tells lies; what is learned from them does not go live if it loses anything."""

import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.conftest import HOME, LAMP, LAMP_AREA, ON, FaultHouse, MakeHouse, needs_model
from tests.faults.table import fault
from tests.faults.test_lines import until
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.learning.models import ModelStore
from voice_rl_plugin.learning.reward import PATTERN_CAPS
from voice_rl_plugin.learning.store import ExperienceStore

pytestmark = needs_model

INTERACTIONS = 260
START = 1_800_000_000.0


def say_and_answer(house: FaultHouse, verdict: dict[str, object], number: int) -> None:
    """Say the same words, and judge them on the topic."""
    name = house.say(LAMP, area=LAMP_AREA)
    decision = house.decided(LAMP, count=number + 1)
    house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "id": name} | verdict)
    house.settle()


@fault("F33", "thirty lies from one button", "5")
def test_liar_with_a_button_is_capped(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """Thirty lies about one sentence teach as much as ten; two opposite corrections make the daemon ask instead of act."""
    house = make_house()
    house.start()
    for number in range(30):
        say_and_answer(house, {"verdict": "no"}, number)
    with house.open_store() as store:
        judgements = [judgement for one in store.all_stored() for judgement in one.judgements]
    assert sum(one.reward is not None for one in judgements) == PATTERN_CAPS["topic"]
    assert len(judgements) == 30

    say_and_answer(house, {"verdict": "no", "correction": {"text": "turn on the sofa lamp"}}, 30)
    until(lambda: bool(house.say(LAMP, area=LAMP_AREA)) and stage_of(house) == "memory", "what was corrected")
    told = json.loads(last_decision(house))
    house.watcher.publish(
        "voice_rl/confirm", {"decision_id": told["decision_id"], "verdict": "no", "correction": {"text": "turn on the hall light"}}
    )
    house.settle()
    acted = len(house.actions(ON))
    house.say(LAMP, area=LAMP_AREA)
    house.settle()
    assert json.loads(last_decision(house))["outcome"] == "clarify"
    assert len(house.actions(ON)) == acted
    figure(f"30 lies count as {PATTERN_CAPS['topic']}; two opposite corrections: asked, not done")


def last_decision(house: FaultHouse) -> bytes:
    """Return the last decision about the lamp."""
    house.settle()
    return bytes([one for one in house.watcher.on_topic("voice_rl/decision") if LAMP.encode() in one.payload][-1].payload)


def stage_of(house: FaultHouse) -> str:
    """Return what decided last about the lamp."""
    return str(json.loads(last_decision(house))["stage"])


def poison(folder: Path, home: Home, share: float, models: ModelStore) -> None:
    """Fill a store with a household's decisions, of which a share is judged with a lie."""
    from voice_rl_training.evaluation import hear_all  # noqa: PLC0415 - an extra
    from voice_rl_training.rehearse import _sentences  # noqa: PLC0415
    from voice_rl_training.retrain import load_policy  # noqa: PLC0415

    chance = random.Random(33)
    lights = sorted(one.id for one in home.exposed if one.domain == "light")
    champion = load_policy(models.champion(), version=models.champion_version())
    with ExperienceStore(folder, clock=lambda: START + 1000.0 * INTERACTIONS) as store:
        for number, judged in enumerate(hear_all(champion, _sentences(home, "en", INTERACTIONS, seed=33))):
            if judged.case.want == "clarify":
                continue
            at = START + 1000.0 * number
            store.record_decision(replace(judged.decision, id=f"d{number}", decided_at=at))
            truth = () if isinstance(judged.case.want, str) else judged.case.want
            lie = (Action(service=chance.choice(["light.turn_on", "light.turn_off"]), targets=(chance.choice(lights),)),)
            right = lie if chance.random() < share else truth
            store.record_feedback(
                Feedback(id=f"f{number}", decision_id=f"d{number}", verdict="correct", source="topic", correction=right, given_at=at + 2.0)
            )


@pytest.mark.faults
@pytest.mark.parametrize("share", [0.2, 0.4])
@fault("F33", "poisoned feedback (20 to 40 % lies)", "5")
def test_poisoned_feedback_does_not_go_live(tmp_path: Path, share: float, figure: Callable[[str], None]) -> None:
    """The whole retraining on a poisoned store: the gate refuses, or what passes loses nothing on sentences that nobody judged."""
    pytest.importorskip("torch")
    from voice_rl_training.evaluation import hear_all, scorecard  # noqa: PLC0415 - an extra
    from voice_rl_training.recipe import RECIPES, load_finetune_recipe  # noqa: PLC0415
    from voice_rl_training.rehearse import _sentences  # noqa: PLC0415
    from voice_rl_training.retrain import load_experience, load_policy, retrain  # noqa: PLC0415

    home, models = load_home(HOME), ModelStore(tmp_path / "models")
    poison(tmp_path / "store", home, share, models)
    outcome = retrain(
        load_experience(tmp_path / "store"),
        home=home,
        models=models,
        recipe=load_finetune_recipe(RECIPES / "home.yaml"),
        now=time.time(),
        progress=lambda _phase, _done: None,
    )
    assert outcome.gate is not None, outcome.result
    if not outcome.promoted:
        assert models.champion_version() == "base"
        figure(f"{100 * share:.0f} % lies: refused ({outcome.gate.failed_gate})")
        return
    unheard = _sentences(home, "en", 600, seed=34)
    before, after = (
        scorecard(hear_all(load_policy(folder, version="x"), unheard)) for folder in (models.folder("base"), models.champion())
    )
    assert after.right >= before.right - 3
    assert after.wrong_actions <= before.wrong_actions + 3
    figure(f"{100 * share:.0f} % lies: passed, and lost nothing ({before.right} -> {after.right} of 600 right)")
