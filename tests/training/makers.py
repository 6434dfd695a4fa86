"""Small values for the tests of the learning loop: a home, an untrained little model, scripted transitions."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.transition import Transition
from voice_rl_training.export import export_graphs, write_manifest
from voice_rl_training.networks import Encoder, Scorer
from voice_rl_training.recipe import PretrainRecipe

torch.set_num_threads(1)  # little networks are slower on several

TINY = PretrainRecipe(
    shards=1,
    homes_a_shard=20,
    templates=False,
    human=False,
    width=16,
    layers=1,
    epochs=4,
    tokens_a_batch=300,
    learning_rate=0.02,
    scorer_homes=16,
    scorer_epochs=2,
    calibration_homes=8,
)
"""A base on a thimble of data."""

HOME = Home.from_mapping(
    {
        "language": "en",
        "areas": [{"id": "den", "name": "Den", "aliases": ["小房间"]}, {"id": "hall", "name": "Hall"}],
        "entities": [
            {"id": "light.desk", "name": "Desk Lamp", "area": "den", "aliases": ["台灯"]},
            {"id": "light.shelf", "name": "Shelf Lamp", "area": "den"},
            {"id": "fan.den", "name": "Den Fan", "area": "den"},
            {"id": "light.hall", "name": "Hall Light", "area": "hall"},
            {"id": "lock.front", "name": "Front Door", "area": "hall"},
        ],
    }
)

DESK_ON = parse_action("light.turn_on light.desk")
DESK_OFF = parse_action("light.turn_off light.desk")
DEN_OFF = parse_action("light.turn_off light.desk light.shelf")
FAN_ON = parse_action("fan.turn_on fan.den")


def make_transition(
    name: str,
    text: str,
    *,
    done: tuple[Action, ...] = (),
    right: tuple[Action, ...] | None = None,
    reward: float | None = 1.0,
    area: str | None = "den",
    outcome: str | None = None,
    stage: str = "policy",
    language: str = "en",
    at: float = 1_800_000_000.0,
    weight: float = 1.0,
    states: Mapping[str, Any] | None = None,
) -> Transition:
    """Return a transition; `right` is what its correction or confirmation names."""
    return Transition(
        decision_id=name,
        text=text,
        language=language,
        area=area,
        previous=(),
        outcome=outcome or ("act" if done else "reject"),
        actions=tuple(action.to_payload() for action in done),
        candidates=(),
        propensity=0.9,
        policy_version="base",
        stage=stage,
        reward=reward,
        reward_source=None if reward is None else "topic",
        weight=weight,
        correction=None if right is None else tuple(action.to_payload() for action in right),
        decided_at=at,
        states=states or {},
    )


def make_networks(*, seed: int = 0) -> tuple[Encoder, Scorer]:
    """Return untrained little networks, with an n-gram term that is not all 0."""
    torch.manual_seed(seed)
    encoder, scorer = Encoder(width=16, layers=1), Scorer(width=8)
    torch.nn.init.normal_(encoder.ngrams.weight, std=0.1)
    return encoder.eval(), scorer.eval()


def make_base(folder: Path, networks: tuple[Encoder, Scorer]) -> Path:
    """Write networks as a shipped base model."""
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of itself
        export_graphs(*networks, folder)
    (folder / "model_card.md").write_text("# base\n", encoding="utf-8")
    write_manifest(folder, version="base", parent=None, measured={}, gate={}, created_at=1.0)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("data_sha256", None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
