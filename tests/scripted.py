"""A policy that reads what a test has marked: "turn off the [kitchen:AREA] [lights:CLASS]"."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES, TAGS, Frame, Span
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.understanding.features import Observation, observe_words
from voice_rl_plugin.understanding.frames import HEAD_SIZES, Logits
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.text import tokenise

_MARK = re.compile(r"\[([^:\]]+):([A-Z_]+)\]")
_SURE = 9.0
_NEVER = -30.0
CERTAIN = 0.97
"""What a scripted policy gives its first candidate, unless the test says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A marked clause, with what a perfect network would read in it."""

    text: str
    operation: str
    prop: str
    mood: str = "command"
    certainty: float = 0.95
    """Probability of the mood."""
    others: tuple[tuple[str, float], ...] = ()
    """Less likely operations."""

    @property
    def words(self) -> tuple[str, ...]:
        """Return its tokens."""
        return tuple(token.text for token in tokenise(plain(self.text)))

    @property
    def spans(self) -> tuple[Span, ...]:
        """Return its marked spans, counted from its own first token."""
        tokens = tokenise(plain(self.text))
        spans = []
        removed = 0
        for mark in _MARK.finditer(self.text):
            start = mark.start() - removed
            end = start + len(mark[1])
            removed += len(mark[0]) - len(mark[1])
            inside = [i for i, token in enumerate(tokens) if start <= token.start < end]
            spans.append(Span(tag=mark[2], start=inside[0], end=inside[-1] + 1))
        return tuple(spans)

    @property
    def operations(self) -> tuple[tuple[str, float], ...]:
        """Return its operations with their probabilities."""
        return ((self.operation, 0.98 - sum(p for _, p in self.others)), *self.others)


def plain(text: str) -> str:
    """Return a marked text without its marks; without apostrophes, so that offsets stay true."""
    assert "'" not in text
    return _MARK.sub(r"\1", text)


def clause(text: str, operation: str, prop: str = "power", **values: object) -> Clause:
    """Return a marked clause."""
    return Clause(text=text, operation=operation, prop=prop, **values)  # type: ignore[arg-type]


def observed(one: Clause, home: Home, *, area: str | None = None) -> Observation:
    """Return what the network would see of a clause said alone."""
    return observe_words(one.words, home=home, index=NameIndex(home), area=area)


def frame_of(one: Clause) -> Frame:
    """Return the frame of a clause said alone."""
    return Frame(
        moods=dict.fromkeys(MOODS, (1 - one.certainty) / (len(MOODS) - 1)) | {one.mood: one.certainty},
        operations=one.operations,
        properties=((one.prop, 0.98),),
        spans=one.spans,
        start=0,
        end=len(one.words),
    )


class ScriptedPolicy:
    """Reads only the sentences that it was given, and scores candidates as it was told."""

    version = "scripted"

    def __init__(self, *sentences: Clause | Sequence[Clause], scores: Sequence[float] = (CERTAIN,), not_for_us: float = 0.005) -> None:
        """Take sentences of one or several clauses.

        Args:
            sentences: a clause, or the clauses of a compound in their order.
            scores: probabilities of the candidates, best first; the last is repeated as nearly nothing.
            not_for_us: probability of "not for us"; "none of these" gets what is left.
        """
        self.scores = tuple(scores)
        self.not_for_us = not_for_us
        self.reads = 0
        self._script: dict[tuple[str, ...], list[Clause]] = {}
        for sentence in sentences:
            clauses = [sentence] if isinstance(sentence, Clause) else list(sentence)
            self._script[tuple(word for one in clauses for word in one.words)] = clauses

    def read(self, observation: Observation) -> Logits:
        """Return the logits of a scripted sentence; one that is not scripted is chat."""
        self.reads += 1
        count = len(observation.words)
        clauses = self._script.get(observation.words)
        if clauses is None:
            return _logits(count, [(0, count, Clause(text="", operation="none", prop="none", mood="chat"))])
        placed, start = [], 0
        for one in clauses:
            placed.append((start, start + len(one.words), one))
            start += len(one.words)
        return _logits(count, placed)

    def score(self, features: NDArray[np.float32], context: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores that the test gave, for as many candidates as there are."""
        del context
        count = len(features)
        given = [*self.scores, *([0.001] * count)][:count]
        return np.array([*given, max(0.0, 1 - sum(given) - self.not_for_us), self.not_for_us], np.float32)


def _logits(count: int, placed: Sequence[tuple[int, int, Clause]]) -> Logits:
    heads = [np.full((count, size), _NEVER, np.float32) for size in HEAD_SIZES]
    moods, operations, properties, tags, begins, clauses, weights = heads
    weights[:] = 0.0
    tags[:, TAGS.index("O")] = 0.0
    for start, end, one in placed:
        moods[start:end] = math.log((1 - one.certainty) / (len(MOODS) - 1))
        moods[start:end, MOODS.index(one.mood)] = math.log(one.certainty)
        for name, probability in one.operations:
            operations[start:end, OPERATIONS.index(name)] = math.log(probability)
        properties[start:end, PROPERTIES.index(one.prop)] = 0.0
        clauses[start] = _SURE
        for span in one.spans:
            tags[start + span.start : start + span.end] = _NEVER
            tags[start + span.start : start + span.end, TAGS.index(span.tag)] = 0.0
            begins[start + span.start] = _SURE
    return Logits(moods, operations, properties, tags, begins[:, 0], clauses[:, 0], weights[:, 0])
