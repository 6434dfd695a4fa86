"""The whole loop: said, done, denied, corrected, remembered, retrained, gated, redeployed, rolled back."""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.conftest import Household, close_household, make_household
from tests.mosquitto import running_mosquitto

pytest.importorskip("torch")

RECIPE = {
    "least_labels": 20,
    "steps": 5,
    "learning_rate": 1e-5,
    "term_learning_rate": 1e-4,
    "scorer_steps": 5,
    "scorer_learning_rate": 1e-6,
    "generic_replay": 60,
    "home_replay": 60,
    "generic_choices": 60,
    "home_choices": 60,
    "calibration_samples": 0,
    "stranger_cases": 60,
    "home_cases": 60,
    "folds": 1,
}
"""The whole way of a retraining in seconds, in steps so small that nothing can be lost; how much it teaches is measured elsewhere."""
TRAINER = "import sys; from voice_rl_training.cli import main; sys.exit(main([*sys.argv[1:], '--recipe', {recipe!r}]))"
TRAINED_S = 100.0
ROOMS = ("kitchen", "living_room", "hall", "bedroom", "study")
WORDS = ("turn on the lights", "turn off the lights", "lights on", "lights off")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Household]:
    """Run a household whose trainer is the real one, with a small recipe."""
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    trainer = shlex.join([sys.executable, "-c", TRAINER.format(recipe=str(tmp_path / "recipe.yaml"))])
    with running_mosquitto(tmp_path) as server:
        household = make_household(tmp_path, server, language="en", trainer=trainer)
        try:
            household.start()
            yield household
        finally:
            close_household(household)


def experience(house: Household) -> dict[str, dict[str, Any]]:
    """Return what `voice-rl experience list` shows, by decision."""
    lines = house.run("experience", "list", "--store", str(house.store), "--limit", "500", "--json").splitlines()
    return {one["decision_id"]: one for one in map(json.loads, lines)}


def lines_of(decision: dict[str, Any]) -> list[str]:
    """Return a decision's actions in short."""
    return [" ".join([one["service"], *one["target"].get("entity_id", [])]) for one in decision["actions"]]


def wait_installed(house: Household, version: str) -> None:
    """Wait until the model topic says that a version decides."""
    house.watcher.wait_for(
        lambda _: json.loads(house.watcher.on_topic("voice_rl/model")[-1].payload)["installed_version"] == version, f"{version} at work"
    )


@pytest.mark.slow
def test_whole_loop(house: Household, tmp_path: Path) -> None:
    """From the first word to a new model and back, with one correction that is right at once and for ever."""
    # It acts, and says so when it was seen.
    wrong = house.say("louder", area="kitchen")
    assert lines_of(wrong) == ["media_player.volume_up media_player.radio"]
    assert house.spoken(wrong) == "Done."
    house.wait_state("media_player.radio", "playing", volume_level=0.4)

    # "No, the soundbar": taken back, and done right.
    house.confirm(wrong, "no", correction={"text": "the soundbar"})
    house.wait_state("media_player.radio", "playing", volume_level=0.3)
    house.wait_state("media_player.soundbar", "playing", volume_level=0.4)

    # The same words are right at once, and it says why.
    again = house.say("louder", area="kitchen")
    assert lines_of(again) == ["media_player.volume_up media_player.soundbar"]
    assert (again["stage"], again["reason"]) == ("memory", "Because you corrected me on these words before.")
    assert "media_player.soundbar" in house.run("memory", "list", "--store", str(house.store))
    assert house.say("louder", area="living_room")["stage"] != "memory"

    # An undo brings the device back; one by hand at the wall is noticed too.
    lamp = house.say("turn on the sofa lamp", area="living_room")
    house.wait_state("light.sofa_lamp", "on")
    house.confirm(lamp, "undo")
    house.wait_state("light.sofa_lamp", "off")
    assert house.spoken(lamp, count=2) == "I took it back."

    # Every judgement has become a reward; it can be exported, and erased.
    kept = experience(house)
    assert kept[wrong["decision_id"]]["reward"] == -1.0
    assert kept[lamp["decision_id"]]["reward"] == -1.0
    house.run("experience", "export", str(tmp_path / "home.zip"), "--store", str(house.store))
    secret = house.say("turn on the bedside lamp", area="bedroom")
    house.run("experience", "erase", "--decision", secret["decision_id"], "--store", str(house.store))
    assert secret["decision_id"] not in experience(house)

    # Enough labels, and the trainer makes a version that passes the gate; the daemon takes it without a restart.
    for _ in range(2):
        for room in ROOMS:
            for text in WORDS:
                decision = house.say(text, area=room)
                house.confirm(decision, "yes")
    assert decision["policy_version"] == "base"
    house.watcher.publish("voice_rl/train/set", "start")
    ended = house.watcher.wait_for(
        lambda one: one.topic == "voice_rl/train" and json.loads(one.payload).get("phase") == "done", "the end of the training",
        deadline_s=TRAINED_S,
    )  # fmt: skip
    result = json.loads(ended.payload)
    assert "is the champion" in result["result"], result
    version = result["result"].split()[0]
    wait_installed(house, version)
    assert house.say("turn on the lights", area="kitchen")["policy_version"] == version
    assert house.say("louder", area="kitchen")["stage"] == "memory"
    assert json.loads(house.run("models", "show", "--models", str(house.models), "--json"))["gate"]["passed"] is True

    # One word brings the former model back; a restart finds everything.
    house.watcher.publish("voice_rl/model/set", "rollback")
    wait_installed(house, "base")
    assert house.say("turn off the lights", area="kitchen")["policy_version"] == "base"
    house.stop()
    house.start()
    assert lines_of(house.say("louder", area="kitchen")) == ["media_player.volume_up media_player.soundbar"]
