"""The adapter: a small change on top of the frozen base, which alone is trained at home.

    z  = W h + b + sum_g n_g                        the base's heads over its frozen trunk h, and its n-gram term
    z' = z + dW h + db + sum_(g in G) dn_g          G: the n-grams that this home's labelled sentences hold

At the start everything is 0, so that the challenger begins as the base; `penalty` is the L2 distance that holds it near.
Source: Li et al. 2018, arXiv:1802.01483, L2-SP, equation 3: the starting point, not zero, is the reference of the penalty.
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import kl_div

from voice_rl_plugin.understanding.frames import HEAD_SIZES
from voice_rl_training.batches import Batch, collate, offsets_of
from voice_rl_training.corpus.build import Arrays, labels_of, pack
from voice_rl_training.corpus.samples import Sample
from voice_rl_training.losses import clause_means
from voice_rl_training.networks import CLAUSE_HEADS, Encoder

_ROWS_A_PASS = 256


class Adapter(nn.Module):
    """What is added to the base's logits."""

    def __init__(self, encoder: Encoder, buckets: NDArray[np.int64]) -> None:
        """Begin as the base.

        Args:
            encoder: the base.
            buckets: the n-gram buckets that may change, without 0.
        """
        super().__init__()
        heads, width = encoder.heads.weight.shape
        self.weight = nn.Parameter(torch.zeros(heads, width))
        self.bias = nn.Parameter(torch.zeros(heads))
        self.terms = nn.Parameter(torch.zeros(len(buckets) + 1, CLAUSE_HEADS))
        """Row 0 belongs to all other buckets and stays 0."""
        self.register_buffer("buckets", torch.from_numpy(np.asarray(buckets, np.int64)), persistent=False)

    def forward(self, logits: Tensor, hidden: Tensor, terms: Tensor) -> Tensor:
        """Return the changed logits, [B, T, H].

        Args:
            logits: the base's, [B, T, H].
            hidden: the trunk's, [B, T, D].
            terms: rows of `terms` of each token, 0 for none, [B, T, NGRAM_IDS].
        """
        changed = logits + nn.functional.linear(hidden, self.weight, self.bias)
        linear = (self.terms[terms] * (terms > 0)[..., None]).sum(2)
        return torch.cat([changed[..., :CLAUSE_HEADS] + linear, changed[..., CLAUSE_HEADS:]], -1)

    def penalty(self) -> Tensor:
        """Return the squared distance from the base."""
        return self.weight.square().sum() + self.bias.square().sum() + self.terms.square().sum()

    @torch.no_grad()
    def merged(self, encoder: Encoder, *, share: float = 1.0) -> Encoder:
        """Return the base with the adapter added to its weights.

        Args:
            encoder: the base.
            share: how much of the adapter, in [0, 1].
        """
        merged = copy.deepcopy(encoder)
        merged.heads.weight.add_(share * self.weight)
        merged.heads.bias.add_(share * self.bias)
        merged.ngrams.weight[self.get_buffer("buckets")] += share * self.terms[1:]
        return merged.eval()


def drift(output: Tensor, base: Tensor, batch: Batch) -> Tensor:
    """Return how far the readings have moved from the base's: the Kullback-Leibler divergence of every head, mean over clauses and tokens.

        D = sum_heads E [ sum_c p_base(c) (log p_base(c) - log p(c)) ]

    Source: Li and Hoiem 2016, arXiv:1606.09282, equation 2, with temperature 1: replayed sentences keep the answers that the base gives them.

    Args:
        output: [B, T, sum(HEAD_SIZES)].
        base: the base's logits, the same shape.
        batch: as `collate` makes it.
    """
    sizes = list(HEAD_SIZES)
    real = ~batch["padding"]
    total = output.sum() * 0
    for now, then in zip(
        torch.split(clause_means(output, output[..., -1], batch["clause_starts"], batch["padding"])[0], sizes, -1)[:3],
        torch.split(clause_means(base, base[..., -1], batch["clause_starts"], batch["padding"])[0], sizes, -1)[:3],
        strict=True,
    ):
        total = total + kl_div(now.log_softmax(-1), then.log_softmax(-1), log_target=True, reduction="batchmean")
    heads, base_heads = torch.split(output, sizes, -1), torch.split(base, sizes, -1)
    tags, then_tags = heads[3][real], base_heads[3][real]
    total = total + kl_div(tags.log_softmax(-1), then_tags.log_softmax(-1), log_target=True, reduction="batchmean")
    for head in (4, 5):  # a span begins, a clause begins: yes or no
        now, then = heads[head][real], base_heads[head][real]
        now, then = torch.cat([now, -now], -1) / 2, torch.cat([then, -then], -1) / 2
        total = total + kl_div(now.log_softmax(-1), then.log_softmax(-1), log_target=True, reduction="batchmean")
    return total


class Rows:
    """Samples ready for the adapter: their labels, and what the frozen base makes of them, computed once."""

    def __init__(self, encoder: Encoder, samples: list[Sample], *, weights: list[float] | None = None) -> None:
        rows = [(sample.observation(), labels_of(sample)) for sample in samples]
        for (_, labels), weight in zip(rows, weights or [1.0] * len(rows), strict=True):
            labels["weight"] = weight
        self.count = len(rows)
        self.arrays: Arrays = pack(rows) if rows else {}
        self._offsets = offsets_of(self.arrays) if rows else np.zeros(1, np.int64)
        self._hidden, self._logits = self._run(encoder)
        self._terms = np.zeros((len(self._hidden), 0), np.int64)

    @torch.no_grad()
    def _run(self, encoder: Encoder) -> tuple[Tensor, Tensor]:
        hidden, logits = [], []
        for start in range(0, self.count, _ROWS_A_PASS):
            batch = collate(self.arrays, self._offsets, np.arange(start, min(self.count, start + _ROWS_A_PASS)))
            real = ~batch["padding"]
            trunk = encoder.encode(batch["ids"], batch["lexical"], batch["context"], batch["padding"])
            heads = encoder.heads(trunk)
            if encoder.ngram_term:
                heads[..., :CLAUSE_HEADS] += encoder._sum(encoder.ngrams, batch["ngrams"])  # noqa: SLF001 - the same sum, over the same table
            hidden.append(trunk[real])
            logits.append(heads[real])
        width, heads_count = encoder.heads.in_features, encoder.heads.out_features
        return (torch.cat(hidden), torch.cat(logits)) if hidden else (torch.zeros(0, width), torch.zeros(0, heads_count))

    def buckets(self) -> NDArray[np.int64]:
        """Return the n-gram buckets that occur, without 0."""
        if not self.count:
            return np.zeros(0, np.int64)
        return np.setdiff1d(self.arrays["ngrams"].astype(np.int64), [0])

    def index_terms(self, buckets: NDArray[np.int64]) -> None:
        """Note for each token which of these buckets it holds."""
        if not self.count:
            return
        ngrams = self.arrays["ngrams"].astype(np.int64)
        place = np.searchsorted(buckets, ngrams).clip(max=max(0, len(buckets) - 1))
        known = buckets[place] == ngrams if len(buckets) else np.zeros_like(ngrams, bool)
        self._terms = np.where(known, place + 1, 0)

    def batch(self, chosen: NDArray[np.int64]) -> tuple[Batch, Tensor, Tensor, Tensor]:
        """Return some rows, with the base's logits, the trunk, and the adapter's terms."""
        batch = collate(self.arrays, self._offsets, chosen)
        real = ~batch["padding"]
        index = torch.from_numpy(np.concatenate([np.arange(self._offsets[row], self._offsets[row + 1]) for row in chosen]))
        shape = tuple(real.shape)
        logits = torch.zeros(*shape, self._logits.shape[1])
        hidden = torch.zeros(*shape, self._hidden.shape[1])
        terms = torch.zeros(*shape, self._terms.shape[1], dtype=torch.int64)
        logits[real], hidden[real] = self._logits[index], self._hidden[index]
        terms[real] = torch.from_numpy(self._terms)[index]
        return batch, logits, hidden, terms
