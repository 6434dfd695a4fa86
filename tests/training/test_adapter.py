"""The adapter and the weights: a challenger is the base plus what was trained, in torch and in the ONNX files alike."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tests.training.makers import HOME, make_base, make_networks
from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES
from voice_rl_plugin.understanding.features import observe
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy
from voice_rl_training.adapter import Adapter, Rows
from voice_rl_training.evaluation import TorchPolicy
from voice_rl_training.networks import Encoder, Scorer
from voice_rl_training.replay import home_samples
from voice_rl_training.weights import load_networks, quantize, save_networks

TEXTS = ("turn off the desk lamp", "把台灯打开", "den fan on please", "what a lovely evening")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shipped base of untrained little networks."""
    return make_base(tmp_path_factory.mktemp("models") / "base", make_networks())


def heads_of(policy: TorchPolicy | OnnxPolicy, text: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Return all logits of a text."""
    logits = policy.read(observe(text, home=HOME, index=NameIndex(HOME), area="den"))
    parts = (logits.moods, logits.operations, logits.properties, logits.tags, logits.begins[:, None], logits.clauses[:, None])
    return np.concatenate(parts, 1)


def policy_in(folder: Path) -> OnnxPolicy:
    """Return the graphs of a folder."""
    return OnnxPolicy((folder / "policy.onnx").read_bytes(), (folder / "scorer.onnx").read_bytes(), version="x")


def assert_same_answers(networks: tuple[Encoder, Scorer], folder: Path) -> None:
    """Assert that torch and ONNX Runtime agree, up to what INT8 activations allow."""
    here, there = TorchPolicy(*networks), policy_in(folder)
    for text in TEXTS:
        np.testing.assert_allclose(heads_of(here, text), heads_of(there, text), atol=0.08)
    features = np.random.default_rng(1).random((4, CANDIDATE_FEATURES), np.float32)
    context = np.random.default_rng(2).random(CONTEXT_FEATURES, np.float32)
    np.testing.assert_allclose(here.score(features, context), there.score(features, context), atol=1e-5)


def test_load_networks_gives_what_the_daemon_computes(base: Path) -> None:
    """The networks that are read out of the ONNX files answer as the files do."""
    assert_same_answers(load_networks(base), base)


def test_save_networks_unchanged_keeps_every_constant(base: Path, tmp_path: Path) -> None:
    """Writing back what was read changes nothing: reading from INT8 and rounding again is exact."""
    save_networks(*load_networks(base), base=base, folder=tmp_path)

    for name in ("policy.onnx", "scorer.onnx"):
        then, now = (
            {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(folder / name).graph.initializer} for folder in (base, tmp_path)
        )
        assert then.keys() == now.keys()
        for key in then:
            np.testing.assert_array_equal(then[key], now[key])


def test_quantize_comes_back_as_it_was() -> None:
    """INT8 values with their scale are a fixed point."""
    rows, scale = quantize(np.random.default_rng(3).normal(size=(20, 5)).astype(np.float32))

    again, _ = quantize(rows.astype(np.float32) * scale)

    np.testing.assert_array_equal(rows, again)


def test_save_networks_carries_the_adapter(base: Path, tmp_path: Path) -> None:
    """Changed heads, n-gram rows and scorer arrive in the files; the other n-gram rows keep their bytes."""
    encoder, scorer = load_networks(base)
    with torch.no_grad():
        encoder.heads.weight.add_(0.1 * torch.randn_like(encoder.heads.weight))
        encoder.heads.bias.add_(0.3)
        encoder.ngrams.weight[5:9] += 1.0
        for parameter in (*scorer.candidate.parameters(), *scorer.nothing.parameters()):
            parameter.add_(0.1)

    save_networks(encoder, scorer, base=base, folder=tmp_path)

    assert_same_answers((encoder, scorer), tmp_path)
    then, now = load_networks(base)[0].ngrams.weight, load_networks(tmp_path)[0].ngrams.weight
    assert torch.equal(then[9:], now[9:])
    assert torch.allclose(now[5:9], encoder.ngrams.weight[5:9], atol=0.02)


def test_save_networks_refuses_another_trunk(base: Path, tmp_path: Path) -> None:
    """Only the adapter may change: a trained trunk is an error that names the weight."""
    encoder, scorer = load_networks(base)
    with torch.no_grad():
        encoder.lexical.bias.add_(0.1)

    with pytest.raises(ModelError, match=r"lexical\.bias differs from the base"):
        save_networks(encoder, scorer, base=base, folder=tmp_path)


def test_load_networks_names_a_foreign_file(tmp_path: Path) -> None:
    """What is no graph of ours is a ModelError."""
    (tmp_path / "policy.onnx").write_bytes(b"nothing")

    with pytest.raises(ModelError, match="expected an ONNX graph"):
        load_networks(tmp_path)


def test_adapter_begins_as_the_base_and_merges_exactly() -> None:
    """At 0 the adapter changes nothing; trained and merged, the network gives base + adapter."""
    encoder = make_networks(seed=2)[0]
    samples = home_samples(HOME, 6, seed=4)
    rows = Rows(encoder, samples)
    buckets = rows.buckets()[:20]
    rows.index_terms(buckets)
    adapter = Adapter(encoder, buckets)
    batch, logits, hidden, terms = rows.batch(np.array([0, 3, 1]))

    def whole(network: Encoder) -> torch.Tensor:
        with torch.no_grad():
            return network(batch["ids"], batch["ngrams"], batch["lexical"], batch["context"], batch["padding"])  # type: ignore[no-any-return]

    real = ~batch["padding"]
    assert torch.allclose(adapter(logits, hidden, terms)[real], whole(encoder)[real], atol=1e-5)
    assert float(adapter.penalty().detach()) == 0.0
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(torch.from_numpy(np.random.default_rng(7).normal(size=tuple(parameter.shape))).float())
    assert torch.allclose(adapter(logits, hidden, terms)[real], whole(adapter.merged(encoder))[real], atol=1e-4)


def test_home_samples_speak_of_this_home() -> None:
    """Commands synthesised from the registry act on its entities alone, are repeatable, and one of a language as asked."""
    made = home_samples(HOME, 30, seed=5, languages=("zh",))

    assert {sample.language for sample in made} == {"zh"}
    assert all(sample.home is HOME for sample in made)
    assert [s.words for s in made] == [s.words for s in home_samples(HOME, 30, seed=5, languages=("zh",))]
