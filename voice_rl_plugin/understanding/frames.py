"""From the network's token logits to frames, one a clause.

The network gives, for each token, logits of mood, operation, property and tag, the logit that a span begins there, and the logit that a new
clause begins there. A clause's mood, operation and property are the softmax of the mean of its tokens' logits.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES, TAGS, Frame, Span

LIKELY = 0.02
"""Operations and properties below this probability are not considered."""
MOST_LIKELY = 4


@dataclass(frozen=True, slots=True)
class Logits:
    """What the network says of one utterance of T tokens."""

    moods: NDArray[np.float32]
    """[T, len(MOODS)]"""
    operations: NDArray[np.float32]
    """[T, len(OPERATIONS)]"""
    properties: NDArray[np.float32]
    """[T, len(PROPERTIES)]"""
    tags: NDArray[np.float32]
    """[T, len(TAGS)]"""
    begins: NDArray[np.float32]
    """[T], a span begins at this token."""
    clauses: NDArray[np.float32]
    """[T], a clause begins at this token."""


HEAD_SIZES = (len(MOODS), len(OPERATIONS), len(PROPERTIES), len(TAGS), 1, 1)
"""The network's output is [T, sum(HEAD_SIZES)], in this order."""


def split_heads(output: NDArray[np.float32]) -> Logits:
    """Cut the network's output [T, sum(HEAD_SIZES)] into its heads."""
    if output.ndim != 2 or output.shape[1] != sum(HEAD_SIZES):
        raise ValueError(f"expected [T, {sum(HEAD_SIZES)}], got {output.shape}")
    moods, operations, properties, tags, begins, clauses = np.split(output, np.cumsum(HEAD_SIZES)[:-1], axis=1)
    return Logits(moods, operations, properties, tags, begins[:, 0], clauses[:, 0])


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the softmax over the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def decode(logits: Logits) -> tuple[Frame, ...]:
    """Return the frames of an utterance, in the order of the text."""
    count = len(logits.begins)
    if count == 0:
        return ()
    tag_probabilities = softmax(logits.tags)
    best = tag_probabilities.argmax(axis=1)
    starts = [0, *(i for i in range(1, count) if logits.clauses[i] > 0), count]
    frames = []
    for start, end in zip(starts, starts[1:], strict=False):
        frames.append(
            Frame(
                moods=dict(zip(MOODS, softmax(logits.moods[start:end].mean(axis=0)).tolist(), strict=True)),
                operations=_likely(softmax(logits.operations[start:end].mean(axis=0)), OPERATIONS),
                properties=_likely(softmax(logits.properties[start:end].mean(axis=0)), PROPERTIES),
                spans=tuple(_spans(best, tag_probabilities, logits.begins, start, end)),
                start=start,
                end=end,
            )
        )
    return tuple(frames)


def _likely(probabilities: NDArray[np.float32], names: list[str]) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-probabilities)[:MOST_LIKELY]
    return tuple((names[i], float(probabilities[i])) for i in order if probabilities[i] >= LIKELY or i == order[0])


def _spans(
    best: NDArray[np.intp], probabilities: NDArray[np.float32], begins: NDArray[np.float32], start: int, end: int
) -> Iterable[Span]:
    opened = start
    for index in range(start, end + 1):
        ends_here = index == end or index == opened or best[index] != best[index - 1] or begins[index] > 0
        if index > opened and ends_here:
            tag = TAGS[best[opened]]
            if tag != "O":
                yield Span(tag=tag, start=opened, end=index, confidence=float(probabilities[opened:index, best[opened]].min()))
            opened = index
