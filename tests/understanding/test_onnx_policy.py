"""A model folder is loaded, or refused with what is wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.understanding.homes import FLAT, HOUSE
from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES
from voice_rl_plugin.understanding.features import MAX_TOKENS, observe, observe_words
from voice_rl_plugin.understanding.frames import HEAD_SIZES, decode
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy

CONTEXT = np.zeros(CONTEXT_FEATURES, np.float32)


@pytest.fixture(scope="module")
def policy() -> OnnxPolicy:
    """Return the shipped model."""
    return OnnxPolicy.load(BASE_FOLDER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the shipped model folder."""
    return Path(shutil.copytree(BASE_FOLDER, tmp_path / "model"))


def test_the_shipped_model_is_small_and_named(policy: OnnxPolicy) -> None:
    """The base model has a version and takes at most 5 MB."""
    assert policy.version
    assert sum(path.stat().st_size for path in BASE_FOLDER.iterdir()) <= 5_000_000


@pytest.mark.parametrize("count", [1, 2, 7, MAX_TOKENS, MAX_TOKENS + 9])
def test_any_length_is_read(policy: OnnxPolicy, count: int) -> None:
    """One token and the longest utterance are read alike: a finite row of heads a token."""
    seen = observe_words(["turn"] * count, home=HOUSE, index=NameIndex(HOUSE))
    heads = policy.heads(seen)

    assert heads.shape == (min(count, MAX_TOKENS), sum(HEAD_SIZES))
    assert np.isfinite(heads).all()


def test_reading_is_the_same_every_time(policy: OnnxPolicy) -> None:
    """The same utterance is read to the bit the same."""
    seen = observe("打开客厅的灯", home=FLAT, index=NameIndex(FLAT), area="study")

    assert np.array_equal(policy.heads(seen), policy.heads(seen))
    assert decode(policy.read(seen)) == decode(policy.read(seen))


@pytest.mark.parametrize("count", [0, 1, 2, 12])
def test_scores_are_probabilities(policy: OnnxPolicy, count: int) -> None:
    """N candidates get N + 2 probabilities that sum to 1, also when there is none."""
    scores = policy.score(np.zeros((count, CANDIDATE_FEATURES), np.float32), CONTEXT)

    assert scores.shape == (count + 2,)
    assert scores.min() >= 0
    assert scores.sum() == pytest.approx(1.0, abs=1e-5)


def test_wrong_shapes_are_refused(policy: OnnxPolicy) -> None:
    """Features of another width are an error that names both."""
    with pytest.raises(ValueError, match="expected features"):
        policy.score(np.zeros((2, 3), np.float32), CONTEXT)
    with pytest.raises(ValueError, match="expected features"):
        policy.score(np.zeros((2, CANDIDATE_FEATURES), np.float32), CONTEXT[:-1])


@pytest.mark.parametrize("name", ["policy.onnx", "scorer.onnx", "manifest.json"])
def test_a_missing_file_is_a_model_error(folder: Path, name: str) -> None:
    """A folder without one of its files is no model."""
    (folder / name).unlink()

    with pytest.raises(ModelError, match="expected a model"):
        OnnxPolicy.load(folder)


@pytest.mark.parametrize("name", ["policy.onnx", "scorer.onnx"])
def test_a_damaged_graph_is_a_model_error(folder: Path, name: str) -> None:
    """Bytes that are no graph are refused, and the file is named."""
    (folder / name).write_bytes(b"no graph")

    with pytest.raises(ModelError, match=name):
        OnnxPolicy.load(folder)


def test_swapped_graphs_are_a_model_error(folder: Path) -> None:
    """A scorer in the reader's place is found by the probe."""
    shutil.copy(folder / "scorer.onnx", folder / "policy.onnx")

    with pytest.raises(ModelError):
        OnnxPolicy.load(folder)


@pytest.mark.parametrize("content", ['{"feature_version": 999}', "{}", "[]", "no json"])
def test_a_foreign_manifest_is_a_model_error(folder: Path, content: str) -> None:
    """A model made for other features, or without a manifest to say so, is refused."""
    (folder / "manifest.json").write_text(content)

    with pytest.raises(ModelError):
        OnnxPolicy.load(folder)


def test_the_version_is_the_manifests(folder: Path) -> None:
    """Decisions are logged with the manifest's version, else the folder's name."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "version": "v7"}))
    assert OnnxPolicy.load(folder).version == "v7"
    del manifest["version"]
    (folder / "manifest.json").write_text(json.dumps(manifest))

    assert OnnxPolicy.load(folder).version == "model"
