"""What the network sees has fixed shapes and ranges, whatever was said."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.understanding.homes import FLAT, HOUSE
from voice_rl_plugin.domain.frame import OPERATIONS, PROPERTIES
from voice_rl_plugin.understanding.features import (
    LEXICAL,
    MAX_TOKENS,
    NGRAM_BUCKETS,
    NGRAM_IDS,
    WORD_BUCKETS,
    WORD_IDS,
    Observation,
    observe,
    observe_words,
)
from voice_rl_plugin.understanding.names import NameIndex

INDEXES = {"en": (HOUSE, NameIndex(HOUSE)), "zh": (FLAT, NameIndex(FLAT))}
WORDS = st.lists(
    st.sampled_from("turn off the hall whole way light desk lamp 1 35 % red and , ? 打 开 走 浪 廊 灯 客 厅 百 分 之 x".split()),
    min_size=1,
    max_size=60,
)


def see(text: str, language: str, area: str | None = None) -> Observation:
    """Return what the network sees of a text."""
    home, index = INDEXES[language]
    return observe(text, home=home, index=index, area=area)


@given(WORDS, st.sampled_from(["en", "zh"]), st.sampled_from([None, "study"]))
def test_shapes_and_ranges(words: list[str], language: str, area: str | None) -> None:
    """Ids lie in their tables, flags in [0, 1], and one row is one token; what is too long is cut."""
    home, index = INDEXES[language]
    seen = observe_words(words, home=home, index=index, area=area, previous=("set", "brightness"))
    count = min(len(words), MAX_TOKENS)

    assert seen.words == tuple(words[:MAX_TOKENS])
    assert seen.ids.shape == (count, WORD_IDS)
    assert str(seen.ids.dtype) == "int32"
    assert seen.ngrams.shape == (count, NGRAM_IDS)
    assert str(seen.ngrams.dtype) == "int32"
    assert seen.lexical.shape == (count, LEXICAL)
    assert str(seen.lexical.dtype) == "float32"
    assert seen.ids.min() >= 0
    assert seen.ids.max() < WORD_BUCKETS
    assert seen.ngrams.min() >= 1
    assert seen.ngrams.max() < NGRAM_BUCKETS
    assert seen.lexical.min() >= 0.0
    assert seen.lexical.max() <= 1.0
    assert seen.context.tolist() == [OPERATIONS.index("set"), PROPERTIES.index("brightness")]
    assert all(0 <= m.start < m.end <= count for m in seen.matches)


@given(WORDS)
def test_the_same_words_are_seen_the_same(words: list[str]) -> None:
    """Features depend on nothing but words, home, place and what was before."""
    home, index = INDEXES["en"]
    first, second = (observe_words(words, home=home, index=index) for _ in range(2))

    assert np.array_equal(first.ids, second.ids)
    assert np.array_equal(first.ngrams, second.ngrams)
    assert np.array_equal(first.lexical, second.lexical)


def test_names_nouns_and_values_are_flagged() -> None:
    """A token carries flags for what it means here, and the speaker's own room is marked."""
    plain, known = see("blorb", "en"), see("desk", "en")
    here, there = see("study", "en", "study"), see("study", "en", "kitchen")

    assert plain.lexical.sum() == 0
    assert known.lexical.sum() > 0
    assert here.lexical.sum() == there.lexical.sum() + 1
    assert see("灯", "zh").lexical.sum() > see("嗯", "zh").lexical.sum()


def test_writing_does_not_matter() -> None:
    """Traditional characters, capitals and accents are seen as their normal form."""
    assert np.array_equal(see("打開客廳的燈", "zh").ids, see("打开客厅的灯", "zh").ids)
    assert np.array_equal(see("Turn ON the Lamp!", "en").ids, see("turn on the lamp", "en").ids)


def test_nothing_before_is_zero() -> None:
    """Without a command before, the context is 0 0."""
    assert see("turn on the lamp", "en").context.tolist() == [0, 0]
