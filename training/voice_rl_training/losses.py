"""The losses, as pure functions of tensors."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from voice_rl_plugin.domain.frame import MOODS
from voice_rl_plugin.understanding.frames import HEAD_SIZES
from voice_rl_training.batches import Batch
from voice_rl_training.corpus.build import UNKNOWN

_REFUSED = torch.tensor([MOODS.index(mood) for mood in ("prohibition", "report", "scheduled", "chat", "bare")])


def clause_means(logits: Tensor, weights: Tensor, clause_starts: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean of the token logits of each clause.

    Args:
        logits: [B, T, H].
        weights: how much a token says of its clause, as logits, [B, T].
        clause_starts: 1 where a clause begins, [B, T].
        padding: True where there is no token, [B, T].

    Returns:
        Means [K, H] over all K clauses of the batch, and for each clause the flat index of its first token.
    """
    starts = (clause_starts == 1) & ~padding
    clause = starts.flatten().cumsum(0) - 1  # [B*T]: number of the clause that a token belongs to
    real = ~padding.flatten()
    count = int(starts.sum())
    flat = logits.flatten(0, 1)
    own = clause[real]
    raw = weights.flatten()[real]
    peaks = torch.full((count,), -torch.inf, dtype=raw.dtype, device=raw.device).scatter_reduce_(0, own, raw.detach(), "amax")
    raised = (raw - peaks[own]).exp()
    totals = torch.zeros(count, dtype=raw.dtype, device=raw.device).index_add_(0, own, raised)
    share = raised / totals[own]
    means = torch.zeros(count, logits.shape[-1], dtype=logits.dtype, device=logits.device).index_add_(0, own, flat[real] * share[:, None])
    return means, starts.flatten().nonzero().squeeze(1)


def reading_loss(output: Tensor, batch: Batch, *, smoothing: float = 0.03, refused_weight: float = 1.0) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of the encoder's heads and its parts; labels that are UNKNOWN are left out.

    Args:
        output: [B, T, sum(HEAD_SIZES)].
        batch: as `collate` makes it.
        smoothing: label smoothing of the classifications.
        refused_weight: weight of operation and property where the mood says that nothing is done.
    """
    moods, operations, properties, tags, begins, clauses, token_weights = torch.split(output, list(HEAD_SIZES), -1)
    joint = torch.cat([moods, operations, properties], -1)
    means, first = clause_means(joint, token_weights[..., 0], batch["clause_starts"], batch["padding"])
    weights = batch["weights"][:, None].expand_as(batch["tags"]).flatten()[first]
    parts: dict[str, Tensor] = {}
    refused = torch.isin(batch["moods"].flatten()[first], _REFUSED)
    acted_weights = torch.where(refused, weights * refused_weight, weights)
    sliced = torch.split(means, [moods.shape[-1], operations.shape[-1], properties.shape[-1]], -1)
    for name, logits in zip(("moods", "operations", "properties"), sliced, strict=True):
        labels = batch[name].flatten()[first]
        known = labels != UNKNOWN
        each = cross_entropy(logits[known], labels[known], label_smoothing=smoothing, reduction="none")
        counted = (weights if name == "moods" else acted_weights)[known]
        parts[name] = (each * counted).sum() / counted.sum().clamp(min=1)
    known = batch["tags"] != UNKNOWN
    parts["tags"] = cross_entropy(tags[known], batch["tags"][known], label_smoothing=smoothing) if known.any() else output.sum() * 0
    known = batch["begins"] != UNKNOWN
    parts["begins"] = (
        binary_cross_entropy_with_logits(begins[..., 0][known], batch["begins"][known].float()) if known.any() else output.sum() * 0
    )
    known = ~batch["padding"]
    parts["clauses"] = binary_cross_entropy_with_logits(clauses[..., 0][known], batch["clause_starts"][known].float())
    total = (
        parts["moods"] + parts["operations"] + 0.7 * parts["properties"] + parts["tags"] + 0.5 * parts["begins"] + 0.5 * parts["clauses"]
    )
    return total, {name: float(part.detach()) for name, part in parts.items()}


def choice_loss(log_probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of soft targets, mean over clauses.

    Args:
        log_probabilities: of candidates, "none of these" and "not for us", [B, N + 2].
        targets: the same shape, each row summing to 1.
    """
    return -(targets * log_probabilities.masked_fill(targets == 0, 0.0)).sum(-1).mean()
