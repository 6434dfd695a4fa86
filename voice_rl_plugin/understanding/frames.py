"""From the network's token logits to frames, one a clause.

The network gives, for each token, logits of mood, operation, property and tag, the logit that a span begins there, the logit that a new
clause begins there, and how much the token says of its clause. A clause's mood, operation and property are the softmax of the weighted mean
of its tokens' logits.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES, TAGS, Frame, Span

LIKELY = 0.02
"""Operations and properties below this probability are not considered."""
MOST_LIKELY = 4
_LIKELY = float(np.float32(LIKELY))


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
    weights: NDArray[np.float32]
    """[T], how much a token says of its clause: their softmax over the clause weighs its tokens' logits."""


HEAD_SIZES = (len(MOODS), len(OPERATIONS), len(PROPERTIES), len(TAGS), 1, 1, 1)
"""The network's output is [T, sum(HEAD_SIZES)], in this order."""
_WIDTH = sum(HEAD_SIZES)
_OPERATIONS_AT, _PROPERTIES_AT, _TAGS_AT, _BEGINS_AT, _CLAUSES_AT, _WEIGHTS_AT = (sum(HEAD_SIZES[:n]) for n in range(1, len(HEAD_SIZES)))


CLAUSE_LOGIT = -1.0
"""A new clause begins above this: joining two clauses does the wrong thing to one of them, cutting one in two mostly asks."""


def split_heads(output: NDArray[np.float32]) -> Logits:
    """Cut the network's output [T, sum(HEAD_SIZES)] into its heads."""
    if output.ndim != 2 or output.shape[1] != _WIDTH:
        raise ValueError(f"expected [T, {_WIDTH}], got {output.shape}")
    return Logits(
        output[:, :_OPERATIONS_AT],
        output[:, _OPERATIONS_AT:_PROPERTIES_AT],
        output[:, _PROPERTIES_AT:_TAGS_AT],
        output[:, _TAGS_AT:_BEGINS_AT],
        output[:, _BEGINS_AT],
        output[:, _CLAUSES_AT],
        output[:, _WEIGHTS_AT],
    )


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the softmax over the last axis."""
    peak: NDArray[np.float32] = np.maximum.reduce(logits, axis=-1, keepdims=True)
    raised: NDArray[np.float32] = np.exp(logits - peak)
    raised /= np.add.reduce(raised, axis=-1, keepdims=True)
    return raised


def decode(logits: Logits, words: Sequence[str] = ()) -> tuple[Frame, ...]:
    """Return the frames of an utterance, in the order of the text.

    Args:
        logits: what the network says.
        words: the tokens; where they are given, a clause is also cut at a connector whose two sides ask for different things.
    """
    count = len(logits.begins)
    if count == 0:
        return ()
    probabilities = softmax(logits.tags)
    best = probabilities.argmax(axis=1).tolist()
    certainty = np.maximum.reduce(probabilities, axis=1).tolist()
    begins = logits.begins.tolist()
    clauses = logits.clauses.tolist()
    starts = [0, *(i for i in range(1, count) if clauses[i] > CLAUSE_LOGIT and not _is_inside_exception(words, i)), count]
    if not _CONNECTORS.isdisjoint(words):
        starts = _cut_where_sides_differ(starts, logits, words, [tag in _HEADS for tag in best], [tag in _AMOUNTS for tag in best])
    frames = []
    for start, end in pairwise(starts):
        share = clause_share(logits.weights, start, end)
        frames.append(
            Frame(
                moods=dict(zip(MOODS, pooled(logits.moods[start:end], share), strict=True)),
                operations=_likely(pooled(logits.operations[start:end], share), OPERATIONS),
                properties=_likely(pooled(logits.properties[start:end], share), PROPERTIES),
                spans=tuple(_spans(best, certainty, begins, start, end)),
                start=start,
                end=end,
            )
        )
    return tuple(frames)


def _is_inside_exception(words: Sequence[str], index: int) -> bool:
    """Whether a cut lies right behind a Chinese exception, which never ends a clause: 除了红灯笼，别的灯都关掉."""
    joined = "".join(words[max(0, index - 10) : index + 1]).rstrip(",")
    marker = max(joined.rfind("除了"), joined.rfind("除开"))
    between = joined[marker + 2 :]
    return marker >= 0 and len(between) < _LONGEST_EXCEPTION and not _DOING.search(between)


_LONGEST_EXCEPTION = 8
_DOING = re.compile("都|全|关|开|打|调|把")
_CONNECTORS = frozenset({",", "and", "then", "but", "再", "然", "顺"})
_SURE_SIDE = 0.6
"""A clause is cut at a connector where each side asks for another operation with more than this probability."""


_HEADS = frozenset({TAGS.index("NAME"), TAGS.index("CLASS")})
_AMOUNTS = frozenset(TAGS.index(tag) for tag in ("VALUE", "DELTA", "COLOR", "WHITE", "MODE"))


def _cut_where_sides_differ(
    starts: list[int], logits: Logits, words: Sequence[str], heads: Sequence[bool], amounts: Sequence[bool]
) -> list[int]:
    """Return the starts with those added where the operation before a connector is surely another than after it, or the amount is.

    Args:
        starts: where the clauses begin, and the end.
        logits: what the network says.
        words: the tokens.
        heads: whether a token names a device; each side must hold one.
        amounts: whether a token says how much: where each side has its own, they are two commands.
    """
    cut = [starts[0]]
    for end in starts[1:]:
        start = cut[-1]
        for index in range(start + 2, end - 2):
            if words[index] not in _CONNECTORS or not any(heads[start:index]) or not any(heads[index:end]):
                continue
            if any(amounts[start:index]) and any(amounts[index:end]) and _has_own_amount(heads, amounts, index, end):
                cut.append(index)
                start = index
                continue
            left = pooled(logits.operations[start:index], clause_share(logits.weights, start, index))
            right = pooled(logits.operations[index + 1 : end], clause_share(logits.weights, index + 1, end))
            one, other = max(left), max(right)
            differ = left.index(one) != right.index(other) and 0 not in (left.index(one), right.index(other))
            if differ and one > _SURE_SIDE and other > _SURE_SIDE:
                cut.append(index)
                start = index
        cut.append(end)
    return cut


def _has_own_amount(heads: Sequence[bool], amounts: Sequence[bool], start: int, end: int) -> bool:
    """Whether a device is named behind a connector before its amount: not so in "the lamp to thirty and forty percent on the fan"."""
    return heads.index(True, start, end) < amounts.index(True, start, end)


def clause_share(weights: NDArray[np.float32], start: int, end: int) -> NDArray[np.float32]:
    """Return how much each token of a clause counts, [end - start], summing to 1."""
    return softmax(weights[start:end])


def pooled(logits: NDArray[np.float32], share: NDArray[np.float32]) -> list[float]:
    """Return the softmax of the weighted mean of a clause's logits, without numpy's wrappers.

    Args:
        logits: of the clause's tokens, [N, K].
        share: as `clause_share` gives it, [N].
    """
    mean = share @ logits
    mean -= np.maximum.reduce(mean)
    np.exp(mean, out=mean)
    mean /= np.add.reduce(mean)
    return list(mean.tolist())


def _likely(probabilities: list[float], names: list[str]) -> tuple[tuple[str, float], ...]:
    """Return the most probable names, best first; the best one is always above LIKELY, since there are fewer than 1 / LIKELY."""
    ranked = sorted(((p, -i) for i, p in enumerate(probabilities) if p >= _LIKELY), reverse=True)[:MOST_LIKELY]
    return tuple((names[-i], p) for p, i in ranked)


def _spans(best: Sequence[int], certainty: Sequence[float], begins: Sequence[float], start: int, end: int) -> Iterator[Span]:
    """Yield the runs of one tag; a span is as certain as its least certain token."""
    opened = start
    for index in range(start + 1, end + 1):
        if index == end or best[index] != best[index - 1] or begins[index] > 0:
            tag = TAGS[best[opened]]
            if tag != "O":
                yield Span(tag=tag, start=opened, end=index, confidence=min(certainty[opened:index]))
            opened = index
