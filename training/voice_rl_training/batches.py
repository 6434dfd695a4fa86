"""Batches of packed samples, grouped by length so that little is padded."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from voice_rl_training.corpus.build import UNKNOWN, Arrays

TOKENS_A_BATCH = 6144
Batch = dict[str, Tensor]


def offsets_of(arrays: Arrays) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return where each sample's tokens begin."""
    return np.concatenate([[0], np.cumsum(arrays["lengths"].astype(np.int64))])


def collate(
    arrays: Arrays, offsets: "np.ndarray[tuple[int], np.dtype[np.int64]]", chosen: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> Batch:
    """Return one padded batch; labels of padding are UNKNOWN."""
    lengths = arrays["lengths"][chosen].astype(np.int64)
    longest = int(lengths.max())
    column = np.arange(longest)
    padding = column[None] >= lengths[:, None]
    index = np.where(padding, 0, offsets[chosen][:, None] + column[None])

    def tokens(name: str, fill: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
        rows = arrays[name][index]
        rows[padding] = fill
        return rows

    return {
        "ids": torch.from_numpy(tokens("ids", 0).astype(np.int64)),
        "ngrams": torch.from_numpy(tokens("ngrams", 0).astype(np.int64)),
        "lexical": torch.from_numpy(tokens("lexical", 0).astype(np.float32) / 200),
        "context": torch.from_numpy(arrays["context"][chosen].astype(np.int64)),
        "padding": torch.from_numpy(padding),
        "weights": torch.from_numpy(arrays["weights"][chosen]),
        **{
            name: torch.from_numpy(tokens(name, UNKNOWN).astype(np.int64))
            for name in ("tags", "begins", "clause_starts", "moods", "operations", "properties")
        },
    }


def batches(arrays: Arrays, *, seed: int, epoch: int, tokens: int = TOKENS_A_BATCH, shuffle: bool = True) -> Iterator[Batch]:
    """Yield the batches of one epoch in an order that seed and epoch fix."""
    rng = np.random.default_rng([seed, epoch])
    offsets = offsets_of(arrays)
    lengths = arrays["lengths"].astype(np.int64)
    order = np.argsort(lengths + (rng.random(len(lengths)) * 2 if shuffle else 0), kind="stable")
    groups: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    start = 0
    while start < len(order):
        size = max(1, tokens // int(lengths[order[min(len(order) - 1, start + tokens // max(1, int(lengths[order[start]])))]]))
        groups.append(order[start : start + size])
        start += size
    for group in rng.permutation(len(groups)) if shuffle else range(len(groups)):
        yield collate(arrays, offsets, groups[group])
