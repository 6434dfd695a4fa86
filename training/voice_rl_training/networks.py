"""The two networks: an encoder that reads an utterance, and a scorer that weighs the executable candidates.

word ids [B, T, 6] --embedding sum--+
lexical flags [B, T, L] --linear----+--> 2 transformer layers --> heads [B, T, H]
context [B, 2] --embeddings---------+                                ^
n-gram ids [B, T, 3] --embedding sum (the linear term) --------------+

candidate features [N, F] + context features [C] --MLP--> N logits;  context [C] --MLP--> 2 logits ("none of these", "not for us")
"""

import math

import torch
from torch import Tensor, nn

from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES
from voice_rl_plugin.understanding.features import LEXICAL, MAX_TOKENS, NGRAM_BUCKETS, WORD_BUCKETS
from voice_rl_plugin.understanding.frames import HEAD_SIZES

CLAUSE_HEADS = len(MOODS) + len(OPERATIONS) + len(PROPERTIES)
"""The linear n-gram term speaks only of mood, operation and property."""


class Layer(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_in = nn.Linear(width, 2 * width)
        self.feed_out = nn.Linear(2 * width, width)
        self.dropout = _ChannelDropout(dropout)

    def forward(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """Return the layer's output, [B, T, D]; `padding` is True where there is no token, [B, T]."""
        batch, count, width = x.shape
        q, k, v = self.query_key_value(self.attention_norm(x)).reshape(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)  # [B, heads, T, T]
        if padding is not None:
            scores = scores.masked_fill(padding[:, None, None, :], -1e9)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, count, width)
        x = x + self.dropout(self.attention_out(mixed))
        return x + self.dropout(self.feed_out(nn.functional.gelu(self.feed_in(self.feed_norm(x)))))  # type: ignore[no-any-return]


class _ChannelDropout(nn.Module):
    """Drops whole channels of a sentence, all tokens alike: as good a regulariser here as single values, and a tenth of the random numbers."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, [B, T, D], with some channels at zero and the others raised."""
        if not self.training or not self.share:
            return x
        kept = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= self.share
        return x * (kept.to(x.dtype) / (1 - self.share))


class Encoder(nn.Module):
    """Reads the tokens of an utterance."""

    def __init__(self, *, width: int = 128, layers: int = 2, heads: int = 4, dropout: float = 0.1, ngram_term: bool = True) -> None:
        super().__init__()
        self.words = nn.Embedding(WORD_BUCKETS, width, padding_idx=0)
        self.ngrams = nn.Embedding(NGRAM_BUCKETS, CLAUSE_HEADS, padding_idx=0)
        self.lexical = nn.Linear(LEXICAL, width)
        self.operation_before = nn.Embedding(len(OPERATIONS), width)
        self.property_before = nn.Embedding(len(PROPERTIES), width)
        self.position = nn.Embedding(MAX_TOKENS, width)
        self.layers = nn.ModuleList(Layer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, sum(HEAD_SIZES))
        self.dropout = _ChannelDropout(dropout)
        self.ngram_term = ngram_term
        nn.init.normal_(self.words.weight, std=0.05)
        nn.init.zeros_(self.ngrams.weight)
        for table in (self.operation_before, self.property_before, self.position):
            nn.init.normal_(table.weight, std=0.02)

    @staticmethod
    def _sum(table: nn.Embedding, ids: Tensor) -> Tensor:
        """Return the sum of the rows of each token's buckets, [B, T, D]."""
        rows = nn.functional.embedding_bag(ids.flatten(0, 1), table.weight, mode="sum", padding_idx=0)
        return rows.reshape(*ids.shape[:2], -1)

    def encode(self, ids: Tensor, lexical: Tensor, context: Tensor, padding: Tensor | None = None) -> Tensor:
        """Return one vector a token, [B, T, D].

        Args:
            ids: word buckets, [B, T, WORD_IDS].
            lexical: flags, [B, T, LEXICAL].
            context: operation and property of the command before, [B, 2].
            padding: True where there is no token, [B, T]; None when all rows are full.
        """
        before = self.operation_before(context[:, 0]) + self.property_before(context[:, 1])
        x = self._sum(self.words, ids) + self.lexical(lexical) + before[:, None] + self.position.weight[: ids.shape[1]]
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, padding)
        return self.norm(x)  # type: ignore[no-any-return]

    def forward(self, ids: Tensor, ngrams: Tensor, lexical: Tensor, context: Tensor, padding: Tensor | None = None) -> Tensor:
        """Return the heads' logits, [B, T, sum(HEAD_SIZES)]; arguments as in `encode`, `ngrams` is [B, T, NGRAM_IDS]."""
        logits = self.heads(self.encode(ids, lexical, context, padding))
        if self.ngram_term:
            linear = self._sum(self.ngrams, ngrams)
            logits = torch.cat([logits[..., :CLAUSE_HEADS] + linear, logits[..., CLAUSE_HEADS:]], -1)
        return logits  # type: ignore[no-any-return]


class Scorer(nn.Module):
    """Weighs the candidates of one clause against each other and against doing nothing."""

    def __init__(self, *, width: int = 48) -> None:
        super().__init__()
        self.candidate = nn.Sequential(
            nn.Linear(CANDIDATE_FEATURES + CONTEXT_FEATURES, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1)
        )
        self.nothing = nn.Sequential(nn.Linear(CONTEXT_FEATURES, width), nn.GELU(), nn.Linear(width, 2))
        self.temperature = nn.Parameter(torch.ones(()), requires_grad=False)
        """Fitted on the calibration split alone."""

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        """Return log probabilities of the candidates, of "none of these", and of "not for us": [B, N + 2].

        Args:
            features: [B, N, CANDIDATE_FEATURES].
            context: [B, CONTEXT_FEATURES].
        """
        wide = context[:, None].expand(-1, features.shape[1], -1)
        logits = self.candidate(torch.cat([features, wide], -1)).squeeze(-1)
        both = torch.cat([logits, self.nothing(context)], 1) / self.temperature
        return both.log_softmax(-1)
