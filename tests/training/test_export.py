"""The exported graphs give torch's answers."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.makers import make_networks
from voice_rl_plugin.domain.frame import OPERATIONS, PROPERTIES
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES
from voice_rl_plugin.understanding.features import (
    FEATURE_VERSION,
    LEXICAL,
    MAX_TOKENS,
    NGRAM_BUCKETS,
    NGRAM_IDS,
    WORD_BUCKETS,
    WORD_IDS,
    Observation,
)
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy
from voice_rl_training.export import export_graphs, write_manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder of the untrained little networks."""
    folder = tmp_path_factory.mktemp("model")
    measured = export_graphs(*make_networks(), folder)
    write_manifest(folder, version="tiny", parent="base", measured=measured, gate=None, created_at=1.0)
    return folder


@pytest.fixture(scope="module")
def policy(folder: Path) -> OnnxPolicy:
    """Return that model as the daemon loads it."""
    return OnnxPolicy.load(folder)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, MAX_TOKENS), seed=st.integers(0, 1000))
def test_reader_agrees_with_torch(policy: OnnxPolicy, count: int, seed: int) -> None:
    """On random inputs of any length, ONNX Runtime's INT8 reader differs from torch by little, on average and at worst."""
    encoder, _ = make_networks()
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, WORD_BUCKETS, (count, WORD_IDS)).astype(np.int32)
    ngrams = rng.integers(0, NGRAM_BUCKETS, (count, NGRAM_IDS)).astype(np.int32)
    lexical = rng.random((count, LEXICAL)).astype(np.float32)
    context = np.array([rng.integers(len(OPERATIONS)), rng.integers(len(PROPERTIES))], np.int32)
    with torch.no_grad():
        wanted = encoder(
            *(torch.from_numpy(a.astype(np.int64))[None] for a in (ids, ngrams)),
            torch.from_numpy(lexical)[None],
            torch.from_numpy(context.astype(np.int64))[None],
        )
    got = policy.heads(Observation(words=("x",) * count, matches=(), ids=ids, ngrams=ngrams, lexical=lexical, context=context))
    difference = np.abs(got - wanted[0].numpy())

    assert difference.mean() < 0.05
    assert difference.max() < 0.5


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 12), seed=st.integers(0, 1000))
def test_scorer_agrees_with_torch(policy: OnnxPolicy, count: int, seed: int) -> None:
    """On random candidates, the scorer's probabilities are torch's."""
    _, scorer = make_networks()
    rng = np.random.default_rng(seed)
    features, context = (
        rng.normal(size=(count, CANDIDATE_FEATURES)).astype(np.float32),
        rng.normal(size=CONTEXT_FEATURES).astype(np.float32),
    )
    with torch.no_grad():
        wanted = scorer(torch.from_numpy(features)[None], torch.from_numpy(context)[None])[0].exp().numpy()

    assert np.abs(policy.score(features, context) - wanted).max() < 1e-4


def test_manifest_names_every_file_with_its_sum(folder: Path) -> None:
    """The manifest holds version, parent, feature version and the SHA-256 of all other files."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))

    assert (manifest["version"], manifest["parent"], manifest["created_at"]) == ("tiny", "base", 1.0)
    assert manifest["feature_version"] == manifest["tokenizer_version"] == FEATURE_VERSION
    assert manifest["files"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != "manifest.json"
    }
    assert {"policy.onnx", "scorer.onnx"} <= set(manifest["files"])
    assert manifest["metrics"]["scorer_max_difference"] < 1e-4


def test_no_path_of_this_machine_is_in_a_graph(folder: Path) -> None:
    """An exported graph holds neither a file path nor a stack of the machine that made it."""
    for name in ("policy.onnx", "scorer.onnx"):
        graph = (folder / name).read_bytes()
        assert b".py" not in graph
        assert str(Path(__file__).parents[2]).encode() not in graph
