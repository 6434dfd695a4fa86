"""Observations stay bit-equal to the recorded ones, since a trained model depends on every bit of them.

Record anew, after a deliberate change of the feature version: `python -m tests.understanding.test_recorded > tests/understanding/observations.txt`
"""

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voice_rl_plugin.commands._bench_home import LANGUAGES, make_home, make_sentences
from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES, TAGS, Frame, Span
from voice_rl_plugin.understanding.features import Observation, observe
from voice_rl_plugin.understanding.frames import CLAUSE_LOGIT, HEAD_SIZES, LIKELY, MOST_LIKELY, decode, split_heads
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.text import detect_language, tokenise

RECORDED = Path(__file__).with_name("observations.txt")
SIZES = (30, 120, 400)
SENTENCES = 54
_PREVIOUS = (None, ("set", "brightness"), ("turn_off", "power"))


def digest(text: str, observation: Observation) -> str:
    """Return a short hash of everything that an observation holds, and of its tokens with their places."""
    parts = [
        repr([(token.text, token.start, token.end) for token in tokenise(text)]),
        detect_language(tokenise(text), None, "en"),
        repr(observation.words),
        repr([(m.start, m.end, m.thing, m.id, m.form, m.score) for m in observation.matches]),
    ]
    arrays = (observation.ids, observation.ngrams, observation.lexical, observation.context)
    parts += [f"{array.dtype}{array.shape}{array.tobytes().hex()}" for array in arrays]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def record(language: str, entities: int) -> Iterator[tuple[str, str]]:
    """Yield a home's sentences with the digests of their observations; the other language's sentences are said there too."""
    home = make_home(entities, language)
    index = NameIndex(home)
    other = LANGUAGES[1 - LANGUAGES.index(language)]
    said = [*make_sentences(home, language, SENTENCES), *make_sentences(home, other, SENTENCES // 2)]
    texts = [(one.text, one.area) for one in said]
    texts += [
        (f"{first.text}, {second.text} 3.5% 18:30 '{first.kind}'", None) for first, second in zip(said[::6], said[3::6], strict=False)
    ]
    for number, (text, area) in enumerate(texts):
        observation = observe(text, home=home, index=index, area=area, previous=_PREVIOUS[number % len(_PREVIOUS)])
        yield text, digest(text, observation)


@pytest.mark.parametrize("entities", SIZES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_observation_equals_the_recorded_one(language: str, entities: int) -> None:
    """Tokens, matches, buckets and flags are those that were recorded, in homes of several sizes and in both languages."""
    wanted = [line.split()[2] for line in RECORDED.read_text().splitlines() if line.startswith(f"{language} {entities} ")]
    got = list(record(language, entities))

    assert len(got) == len(wanted)
    assert [text for (text, one), other in zip(got, wanted, strict=True) if one != other] == []


def test_repeated_observation_is_equal() -> None:
    """What was cached for one home does not reach another home, and a second look sees the same."""
    first, second = make_home(30, "en"), make_home(120, "en")
    indexes = {30: NameIndex(first), 120: NameIndex(second)}
    text = "turn off the kitchen ceiling light and the silver fan"

    seen = [digest(text, observe(text, home=h, index=indexes[n])) for n, h in ((30, first), (120, second), (30, first), (120, second))]

    assert seen[0] == seen[2]
    assert seen[1] == seen[3]
    assert seen[0] != seen[1]


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    quotient: NDArray[np.float32] = raised / raised.sum(axis=-1, keepdims=True)
    return quotient


def _plain_decode(output: NDArray[np.float32]) -> tuple[Frame, ...]:
    """Decode as the definition says, one head and one span at a time."""
    moods, operations, properties, tags, begins, clauses, weights = np.split(output, np.cumsum(HEAD_SIZES)[:-1], axis=1)
    count = len(output)
    probabilities = _softmax(tags)
    best = probabilities.argmax(axis=1)
    starts = [0, *(i for i in range(1, count) if clauses[i, 0] > CLAUSE_LOGIT), count]
    frames = []
    for start, end in pairwise(starts):
        share = _softmax(weights[start:end, 0])
        spans = []
        opened = start
        for index in range(start + 1, end + 1):
            if index == end or best[index] != best[index - 1] or begins[index, 0] > 0:
                if TAGS[best[opened]] != "O":
                    confidence = float(probabilities[opened:index, best[opened]].min())
                    spans.append(Span(tag=TAGS[best[opened]], start=opened, end=index, confidence=confidence))
                opened = index
        frames.append(
            Frame(
                moods=dict(zip(MOODS, _softmax(share @ moods[start:end]).tolist(), strict=True)),
                operations=_plain_likely(_softmax(share @ operations[start:end]), OPERATIONS),
                properties=_plain_likely(_softmax(share @ properties[start:end]), PROPERTIES),
                spans=tuple(spans),
                start=start,
                end=end,
            )
        )
    return tuple(frames)


def _plain_likely(probabilities: NDArray[np.float32], names: list[str]) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-probabilities)[:MOST_LIKELY]
    return tuple((names[i], float(probabilities[i])) for i in order if probabilities[i] >= LIKELY or i == order[0])


@pytest.mark.parametrize("seed", range(300))
def test_decode_equals_its_plain_form(seed: int) -> None:
    """The fast decoding gives bit for bit what the definition gives, from one token to the longest utterance."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 49))
    output = (rng.standard_normal((count, sum(HEAD_SIZES))) * rng.choice([0.2, 2.0, 8.0])).astype(np.float32)
    output[:, -2] -= 3

    assert decode(split_heads(output)) == _plain_decode(output)


def test_decode_of_nothing_is_nothing() -> None:
    """No token gives no frame."""
    assert decode(split_heads(np.zeros((0, sum(HEAD_SIZES)), np.float32))) == ()


if __name__ == "__main__":
    for one_language in LANGUAGES:
        for size in SIZES:
            for _, hashed in record(one_language, size):
                print(one_language, size, hashed)  # noqa: T201
