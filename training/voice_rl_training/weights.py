"""Weights: the networks as they are inside a model folder, read out of its ONNX files and written back into them.

    load_networks(base)                      policy.onnx, scorer.onnx  ->  Encoder, Scorer with the very numbers that the daemon computes with
    save_networks(encoder, scorer, ...)      base's graphs with the adapter's weights in their place; every other byte stays

No second copy of the weights is shipped, and a challenger differs from the base only where it was trained.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.understanding.onnx_policy import READER_FILE, SCORER_FILE
from voice_rl_training.networks import Encoder, Scorer

Array = NDArray[Any]
_LAYER = ("query_key_value", "attention_out", "feed_in", "feed_out")
_CANDIDATE = ("candidate.0", "candidate.2", "candidate.4")
_NOTHING = ("nothing.0", "nothing.2")


class _Graph:
    """A graph with its constants by name."""

    def __init__(self, path: Path) -> None:
        try:
            self.model = onnx.load_model(path, load_external_data=False)
        except Exception as error:
            raise ModelError(f"{path}: expected an ONNX graph: {error}") from error
        self.path = path
        self.constants = {one.name: one for one in self.model.graph.initializer}

    def nodes(self, kind: str) -> list[Any]:
        """Return the nodes of one kind, in the order of the computation."""
        return [node for node in self.model.graph.node if node.op_type == kind]

    def array(self, name: str) -> Array:
        """Return a constant.

        Raises:
            ModelError: the graph has none of this name.
        """
        if name not in self.constants:
            raise ModelError(f"{self.path}: expected a constant {name!r}; it was exported by another version, retrain from source")
        return numpy_helper.to_array(self.constants[name])

    def replace(self, name: str, value: Array) -> None:
        """Put another value of the same shape and type in a constant's place."""
        old = self.array(name)
        if old.shape != value.shape or old.dtype != value.dtype:
            raise ModelError(f"{self.path}: {name}: expected {old.dtype} {old.shape}, got {value.dtype} {value.shape}")
        self.constants[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))

    def bias_after(self, output: str) -> str:
        """Return the name of the constant that is added to an output, perhaps after it was cast and scaled."""
        for _ in range(4):
            users = [node for node in self.model.graph.node if output in node.input]
            if len(users) != 1:
                break
            others = [name for name in users[0].input if name != output]
            if users[0].op_type == "Add" and others and others[0] in self.constants:
                return str(others[0])
            output = users[0].output[0]
        raise ModelError(f"{self.path}: expected a bias after {output!r}; it was exported by another version, retrain from source")


def _linear_names(layers: int) -> list[str]:
    return ["lexical", *(f"layers.{layer}.{part}" for layer in range(layers) for part in _LAYER), "heads"]


def _quantized_linears(graph: _Graph) -> dict[str, tuple[str, str, str]]:
    """Return the constants of each linear layer: INT8 weights [in, out], scales [out], bias."""
    nodes = graph.nodes("MatMulInteger")
    layers, rest = divmod(len(nodes) - 2, len(_LAYER))
    if rest or layers < 1:
        raise ModelError(f"{graph.path}: expected 2 + {len(_LAYER)} x layers INT8 products, got {len(nodes)}; retrain from source")
    found = {}
    for name, node in zip(_linear_names(layers), nodes, strict=True):
        weight = str(node.input[1])
        found[name] = (weight, weight.removesuffix("_quantized") + "_scale", graph.bias_after(node.output[0]))
    return found


def _table(graph: _Graph, name: str) -> Array:
    return graph.array(f"{name}.rows").astype(np.float32) * graph.array(f"{name}.scale")


def load_networks(folder: Path) -> tuple[Encoder, Scorer]:
    """Read the networks out of a model folder, ready to run.

    Raises:
        ModelError: a file is missing, damaged, or not one that `export_graphs` made.
    """
    graph = _Graph(folder / READER_FILE)
    linears = _quantized_linears(graph)
    state: dict[str, Array] = {"words.weight": _table(graph, "words")}
    has_ngrams = "ngrams.rows" in graph.constants
    if has_ngrams:
        state["ngrams.weight"] = _table(graph, "ngrams")
    for name in ("operation_before", "property_before", "position"):
        state[f"{name}.weight"] = graph.array(f"encoder.{name}.weight")
    for name, (weight, scale, bias) in linears.items():
        state[f"{name}.weight"] = (graph.array(weight).astype(np.float32) * graph.array(scale)).T
        state[f"{name}.bias"] = graph.array(bias)
    layers = (len(linears) - 2) // len(_LAYER)
    norms = [*(f"layers.{layer}.{part}_norm" for layer in range(layers) for part in ("attention", "feed")), "norm"]
    for name, node in zip(norms, graph.nodes("LayerNormalization"), strict=True):
        state[f"{name}.weight"], state[f"{name}.bias"] = graph.array(node.input[1]), graph.array(node.input[2])
    encoder = Encoder(width=state["words.weight"].shape[1], layers=layers, ngram_term=has_ngrams)
    _take_in(encoder, state, graph.path, spare=() if has_ngrams else ("ngrams.weight",))
    return encoder.eval(), _load_scorer(folder / SCORER_FILE)


def _scorer_constants(graph: _Graph) -> dict[str, str]:
    names = {}
    for name, node in zip(_CANDIDATE, graph.nodes("MatMul"), strict=True):
        names[f"{name}.weight"], names[f"{name}.bias"] = str(node.input[1]), graph.bias_after(node.output[0])
    for name, node in zip(_NOTHING, graph.nodes("Gemm"), strict=True):
        names[f"{name}.weight"], names[f"{name}.bias"] = str(node.input[1]), str(node.input[2])
    return names


def _load_scorer(path: Path) -> Scorer:
    graph = _Graph(path)
    try:
        names = _scorer_constants(graph)
    except ValueError as error:
        raise ModelError(f"{path}: expected {len(_CANDIDATE)} products and {len(_NOTHING)} Gemm; retrain from source") from error
    state = {name: graph.array(constant) for name, constant in names.items()}
    for name in _CANDIDATE:
        state[f"{name}.weight"] = state[f"{name}.weight"].T
    softmax = graph.nodes("LogSoftmax")
    before = [node for node in graph.nodes("Div") if softmax and node.output[0] == softmax[0].input[0]]
    state["temperature"] = graph.array(before[0].input[1]).reshape(()) if before else np.ones((), np.float32)
    scorer = Scorer(width=state["candidate.0.bias"].shape[0])
    _take_in(scorer, state, path)
    return scorer.eval()


def _take_in(network: torch.nn.Module, state: Mapping[str, Array], path: Path, *, spare: tuple[str, ...] = ()) -> None:
    tensors = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in state.items()}
    try:
        missing, unexpected = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{path}: was exported by another version: {error}; retrain from source") from error
    if unexpected or set(missing) - set(spare):
        raise ModelError(f"{path}: was exported by another version: missing {missing}, unexpected {unexpected}; retrain from source")


def quantize(weight: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return INT8 weights and one scale a column; what was read from INT8 comes back as it was.

    Args:
        weight: [in, out].
    """
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-8).astype(np.float32) / np.float32(127)
    return np.round(weight / scale).clip(-127, 127).astype(np.int8), scale


def save_networks(encoder: Encoder, scorer: Scorer, *, base: Path, folder: Path) -> None:
    """Write the base's graphs with the weights of heads, n-gram term and scorer replaced; what did not change keeps its bytes.

    Args:
        encoder: its trunk must be the base's.
        scorer: its temperature must be the base's.
        base: the model folder that both were loaded from.
        folder: where policy.onnx and scorer.onnx go.

    Raises:
        ModelError: something else than heads, n-gram term and scorer differs from the base.
    """
    graph = _Graph(base / READER_FILE)
    first_encoder, first_scorer = load_networks(base)
    _check_frozen(encoder, first_encoder, trained=("heads.weight", "heads.bias", "ngrams.weight"), path=graph.path)
    weight, scale, bias = _quantized_linears(graph)["heads"]
    heads = encoder.heads.weight.detach().numpy().T
    if not np.array_equal(heads, first_encoder.heads.weight.detach().numpy().T):
        rows, scales = quantize(heads)
        graph.replace(weight, rows)
        graph.replace(scale, scales)
    graph.replace(bias, encoder.heads.bias.detach().numpy())
    if encoder.ngram_term:
        new, old = encoder.ngrams.weight.detach().numpy(), first_encoder.ngrams.weight.detach().numpy()
        changed = np.flatnonzero((new != old).any(axis=1))
        rows, scales = np.array(graph.array("ngrams.rows")), np.array(graph.array("ngrams.scale"))
        quantized, fitted = quantize(new[changed].T)
        rows[changed], scales[changed] = quantized.T, fitted[:, None]
        graph.replace("ngrams.rows", rows)
        graph.replace("ngrams.scale", scales)
    weigher = _Graph(base / SCORER_FILE)
    _check_frozen(
        scorer, first_scorer, trained=tuple(f"{n}.{p}" for n in (*_CANDIDATE, *_NOTHING) for p in ("weight", "bias")), path=weigher.path
    )
    state = scorer.state_dict()
    for name, constant in _scorer_constants(weigher).items():
        value = state[name].detach().numpy()
        weigher.replace(constant, value.T if name in {f"{one}.weight" for one in _CANDIDATE} else value)
    for one in (graph, weigher):
        (folder / one.path.name).write_bytes(one.model.SerializeToString())


def _check_frozen(network: torch.nn.Module, first: torch.nn.Module, *, trained: tuple[str, ...], path: Path) -> None:
    kept = first.state_dict()
    for name, value in network.state_dict().items():
        if name not in trained and not torch.equal(value, kept[name]):
            raise ModelError(f"{path}: {name} differs from the base; only {', '.join(trained)} may be trained")
