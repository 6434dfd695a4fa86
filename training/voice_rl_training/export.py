"""Export: the two networks as ONNX with INT8 tables and matrices, checked against torch, in a model folder with manifest and card."""

import copy
import hashlib
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.learning.signing import SIGNATURE
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES
from voice_rl_plugin.understanding.features import FEATURE_VERSION, LEXICAL, NGRAM_BUCKETS, NGRAM_IDS, WORD_BUCKETS, WORD_IDS, Observation
from voice_rl_plugin.understanding.onnx_policy import READER_FILE, SCORER_FILE, OnnxPolicy
from voice_rl_training.networks import CLAUSE_HEADS, Encoder, Scorer

OPSET = 18
_LOGGER = logging.getLogger(__name__)


class _Table(nn.Module):
    """An embedding table in INT8 with one scale a row; the rows of a token's buckets are summed."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        weight = weight.clone()
        weight[0] = 0.0  # bucket 0 is padding: torch leaves it out of the sum
        scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
        self.register_buffer("rows", (weight / scale).round().clamp(-127, 127).to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the sums, [T, D]; `ids` is [T, K]."""
        rows, scale = self.get_buffer("rows"), self.get_buffer("scale")
        flat = ids.flatten()
        picked = rows.index_select(0, flat).to(torch.float32) * scale.index_select(0, flat)
        return picked.reshape(*ids.shape, -1).sum(1)


class _Reader(nn.Module):
    """The encoder for one utterance, without padding."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.words = _Table(encoder.words.weight.detach())
        self.ngrams = _Table(encoder.ngrams.weight.detach())

    def forward(self, ids: Tensor, ngrams: Tensor, lexical: Tensor, context: Tensor) -> Tensor:
        """Return the heads, [T, H]."""
        encoder = self.encoder
        before = encoder.operation_before.weight.index_select(0, context[:1]) + encoder.property_before.weight.index_select(0, context[1:])
        x = self.words(ids) + encoder.lexical(lexical) + before + encoder.position.weight[: ids.shape[0]]
        x = x[None]
        for layer in encoder.layers:
            x = layer(x, None)
        logits = encoder.heads(encoder.norm(x))[0]
        if encoder.ngram_term:
            logits = torch.cat([logits[:, :CLAUSE_HEADS] + self.ngrams(ngrams), logits[:, CLAUSE_HEADS:]], 1)
        return logits  # type: ignore[no-any-return]


class _Weigher(nn.Module):
    """The scorer for one clause."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        """Return log probabilities, [N + 2]."""
        return self.scorer(features[None], context[None])[0]  # type: ignore[no-any-return]


def export_graphs(encoder: Encoder, scorer: Scorer, folder: Path) -> dict[str, float]:
    """Write policy.onnx and scorer.onnx and return how far they are from torch.

    Raises:
        ModelError: the graphs give other answers than torch.
    """
    encoder, scorer = copy.deepcopy(encoder).eval(), copy.deepcopy(scorer).eval()
    count = torch.export.Dim("tokens", min=2, max=48)
    reader = _Reader(encoder).eval()
    inputs = _example(7)
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / READER_FILE
        _export(reader, inputs, plain, names=["ids", "ngrams", "lexical", "context"], shapes=({0: count}, {0: count}, {0: count}, None))
        quantize_dynamic(
            plain, folder / READER_FILE, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gemm"]
        )
    options = torch.export.Dim("options", min=1, max=64)
    weigher = _Weigher(scorer).eval()
    example = (torch.rand(3, CANDIDATE_FEATURES), torch.rand(CONTEXT_FEATURES))
    _export(weigher, example, folder / SCORER_FILE, names=["features", "context"], shapes=({0: options}, None))
    return _parity(encoder, scorer, folder)


def _example(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(count)
    return (
        torch.randint(0, WORD_BUCKETS, (count, WORD_IDS), generator=generator).to(torch.int32),
        torch.randint(0, NGRAM_BUCKETS, (count, NGRAM_IDS), generator=generator).to(torch.int32),
        (torch.rand(count, LEXICAL, generator=generator) > 0.8).float(),
        torch.tensor([3, 2], dtype=torch.int32),
    )


def _export(module: nn.Module, inputs: tuple[Tensor, ...], path: Path, *, names: list[str], shapes: Any) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of its own parts
        program = torch.onnx.export(
            module,
            inputs,
            dynamo=True,
            input_names=names,
            output_names=["output"],
            dynamic_shapes=shapes,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    program.optimize()
    model = program.model_proto
    for info in model.graph.value_info[:]:
        model.graph.value_info.remove(info)  # quantize_dynamic infers shapes itself, and trips over these
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


@torch.no_grad()
def _parity(encoder: Encoder, scorer: Scorer, folder: Path) -> dict[str, float]:
    policy = OnnxPolicy((folder / READER_FILE).read_bytes(), (folder / SCORER_FILE).read_bytes(), version="parity")
    worst = 0.0
    agree = total = 0
    for count in (2, 3, 5, 9, 17, 33, 48):
        ids, ngrams, lexical, context = _example(count)
        wanted = encoder(ids[None].long(), ngrams[None].long(), lexical[None], context[None].long())[0].numpy()
        observation = Observation(
            words=("x",) * count, matches=(), ids=ids.numpy(), ngrams=ngrams.numpy(), lexical=lexical.numpy(), context=context.numpy()
        )
        got = policy.heads(observation)
        worst = max(worst, float(np.abs(wanted - got).mean()))
        agree += int((wanted[:, :CLAUSE_HEADS].argmax(1) == got[:, :CLAUSE_HEADS].argmax(1)).sum())
        total += count
    features, context = torch.rand(5, CANDIDATE_FEATURES), torch.rand(CONTEXT_FEATURES)
    wanted = scorer(features[None], context[None])[0].exp().numpy()
    difference = float(np.abs(wanted - policy.score(features.numpy(), context.numpy())).max())
    if worst > 0.5 or difference > 1e-4:
        raise ModelError(f"the exported graphs differ from torch: reader {worst:.3f} on average, scorer {difference:.1e}; nothing was kept")
    return {"reader_mean_difference": worst, "reader_agreement": agree / total, "scorer_max_difference": difference}


def write_manifest(
    folder: Path,
    *,
    version: str,
    parent: str | None,
    measured: Mapping[str, Any],
    gate: Mapping[str, Any] | None,
    created_at: float | None = None,
    sign: Callable[[bytes], bytes] | None = None,
) -> None:
    """Write manifest.json, last, over all files of a model folder; its signature beside it when there is one."""
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in ("manifest.json", SIGNATURE)
    }
    manifest = {
        "version": version,
        "parent": parent,
        "created_at": time.time() if created_at is None else created_at,
        "tokenizer_version": FEATURE_VERSION,
        "feature_version": FEATURE_VERSION,
        "data_sha256": measured.get("data_sha256"),
        "metrics": dict(measured),
        "gate": gate,
        "files": files,
    }
    partial = folder / "manifest.json.partial"
    partial.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if sign is None:
        (folder / SIGNATURE).unlink(missing_ok=True)
    else:
        (folder / SIGNATURE).write_bytes(sign(partial.read_bytes()))
    partial.replace(folder / "manifest.json")
