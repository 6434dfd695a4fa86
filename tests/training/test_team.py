"""Data-parallel pretraining: as many processes as there are take the steps that one process takes."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.training.makers import TINY
from voice_rl_training.recipe import PretrainRecipe

RECIPE = replace(TINY, epochs=2, bfloat16=False)

_SCRIPT = """
import json, sys
from pathlib import Path
from voice_rl_training import pretrain
from voice_rl_training.recipe import PretrainRecipe
from voice_rl_training.team import join_team, leave_team

work, epochs = Path(sys.argv[1]), int(sys.argv[2])
recipe = PretrainRecipe(**json.loads(sys.argv[3]))
losses, inner = [], pretrain.reading_loss

def reading_loss(*args, **kwargs):
    loss, parts = inner(*args, **kwargs)
    losses.append(float(loss.detach()))
    if len(losses) == epochs:
        raise KeyboardInterrupt
    return loss, parts

pretrain.reading_loss = reading_loss
pretrain._scorer = lambda recipe, encoder, processes, progress: (None, {})
team = join_team()
try:
    pretrain.pretrain(recipe, human=None, work=work, processes=1, progress=lambda *_: None, team=team)
except KeyboardInterrupt:
    pass
(work / f"losses-{team.rank}.json").write_text(json.dumps(losses))
leave_team(team)
"""


def train(folder: Path, processes: int, recipe: PretrainRecipe = RECIPE, *, stops_after: int = 0) -> list[float]:
    """Train with so many processes, and return the loss of each step; every process has to see the same ones."""
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(_SCRIPT)
    launcher = [] if processes == 1 else ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, *launcher, str(script), str(folder), str(stops_after), json.dumps(asdict(recipe))],
        env=environment, check=True, capture_output=True, timeout=200,
    )  # fmt: skip
    seen: list[list[float]] = [json.loads((folder / f"losses-{rank}.json").read_text()) for rank in range(processes)]
    assert all(one == seen[0] for one in seen)
    return seen[0]


def lend_corpus(folder: Path, other: Path) -> None:
    """Give another work folder the same sentences: making them takes longer than the training."""
    (made,) = folder.glob("*/corpus")
    shutil.copytree(made, other / made.parent.name / "corpus")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder and the losses of one process."""
    folder = tmp_path_factory.mktemp("alone") / "work"
    return folder, train(folder, 1)


@pytest.mark.parametrize("processes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_loss_of_each_step_is_that_of_one_process(tmp_path: Path, alone: Any, processes: int) -> None:
    """With dropout and hidden words, every step of a team has the loss of one process, up to rounding; so have the weights in the end."""
    folder, expected = alone
    lend_corpus(folder, tmp_path / "team")
    losses = train(tmp_path / "team", processes)
    (one,), (team,) = (list(where.glob("*/encoder.safetensors")) for where in (folder, tmp_path / "team"))

    assert len(losses) == len(expected) > 20
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.5  # it learns at all
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    weights, others = load_file(one), load_file(team)
    # One weight may drift where its gradient is next to nothing: Adam divides by its size, so rounding decides its sign.
    assert max(float((weights[name] - others[name]).abs().mean()) for name in weights) < 1e-4
    assert not list((tmp_path / "team").glob("*/encoder.partial*.safetensors"))


def test_gradients_are_those_of_the_whole_batch(alone: Any) -> None:
    """A wrong average would show: rows of different weight, given unevenly to the processes, change the loss by much more than rounding."""
    _, expected = alone
    steps = np.abs(np.diff(expected[:10]))

    assert float(steps.max()) > 100 * 1e-5 * max(expected[:10])


@pytest.mark.slow
def test_team_goes_on_where_it_was_stopped(tmp_path: Path, alone: Any) -> None:
    """A team that is stopped in its second epoch begins again with the second, from what its first process has written."""
    lend_corpus(alone[0], tmp_path / "team")
    whole = train(tmp_path / "team", 2, stops_after=40)
    (partial,) = (tmp_path / "team").glob("*/encoder.partial.json")
    assert json.loads(partial.read_text()) == {"epochs": 1}

    rest = train(tmp_path / "team", 2)
    assert len(whole) == 40
    assert 20 < len(rest) < 40
    assert (partial.parent / "encoder.safetensors").exists()
    assert torch.isfinite(torch.tensor(rest)).all()
