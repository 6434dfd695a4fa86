"""Noise: what recognisers and typists make of a sentence, and the way back to the meant words."""

import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_rl_plugin.understanding.numbers import parse_value
from voice_rl_plugin.understanding.text import tokenise
from voice_rl_training.corpus.noise import Noised, corrupt, mistype, vocabulary

SENTENCES = (
    ("en", "turn off the hallway lights"),
    ("en", "dim the bed room lamp to thirty five percent"),
    ("en", "close the blinds in the living room, please"),
    ("en", "don't turn off the counter bar"),
    ("en", "set the thermostat to 21 degrees"),
    ("zh", "把走廊的灯关了"),
    ("zh", "客厅的灯调到百分之三十"),
    ("zh", "空调开到26度"),
    ("zh", "别关书房台灯"),
    ("zh", "打开 living room 的灯"),
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(token.text for token in tokenise(text))


def _all_heard(text: str, language: str, *, strength: float = 0.4, times: int = 300) -> list[Noised]:
    rng = Random(7)
    return [corrupt(rng, _words(text), language=language, strength=strength) for _ in range(times)]


@pytest.mark.parametrize(("language", "text"), SENTENCES)
def test_corrupt_aligns_every_word_with_the_meant_tokens(language: str, text: str) -> None:
    """Origins run beside the words, never go back, and stay inside the sentence; destroyed tokens exist."""
    meant = _words(text)

    for heard in _all_heard(text, language):
        assert len(heard.words) == len(heard.origins) > 0
        assert all(0 <= start <= end <= len(meant) for start, end in heard.origins)
        assert list(heard.origins) == sorted(heard.origins)
        assert all(0 <= index < len(meant) for index in heard.destroyed)


@given(seed=st.integers(0, 10_000), sentence=st.sampled_from(SENTENCES), strength=st.floats(0.0, 1.0))
def test_corrupt_repeats_itself_for_the_same_seed(seed: int, sentence: tuple[str, str], strength: float) -> None:
    """Equal generators give equal noise, whatever the strength."""
    language, text = sentence

    first, second = (corrupt(Random(seed), _words(text), language=language, strength=strength) for _ in range(2))

    assert first == second
    assert mistype(Random(seed), _words(text), strength=strength) == mistype(Random(seed), _words(text), strength=strength)


@pytest.mark.parametrize(("language", "text"), SENTENCES)
def test_corrupt_without_strength_changes_nothing(language: str, text: str) -> None:
    """A perfect microphone hears what was meant."""
    heard = corrupt(Random(1), _words(text), language=language, strength=0.0)

    assert heard.words == _words(text)
    assert heard.carry(_words(text)) == _words(text)
    assert not heard.destroyed


@pytest.mark.parametrize(
    ("language", "text", "kept"),
    [
        ("en", "don't turn off the counter bar", "dont"),
        ("zh", "别关书房台灯", "别"),
        ("en", "is the lamp on", "on"),
        ("zh", "灯关了吗", "了"),
    ],
)
def test_corrupt_never_loses_what_steers_the_meaning(language: str, text: str, kept: str) -> None:
    """A negation, a polarity, and a finished act survive every noise."""
    assert all(kept in heard.words for heard in _all_heard(text, language, strength=0.9))


@pytest.mark.parametrize(("language", "text", "foreign"), [("en", "turn off the lamp", {"on", "up"}), ("zh", "关灯", {"开", "别"})])
def test_corrupt_never_turns_a_command_into_another(language: str, text: str, foreign: set[str]) -> None:
    """Off is never heard as on, 关 never as 开."""
    assert not any(foreign & set(heard.words) for heard in _all_heard(text, language, strength=0.9))


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "turn off the hallway lights", "hall way"),
        ("en", "dim the bed room lamp", "bedroom"),
        ("zh", "把走廊的灯关了", "浪"),
        ("zh", "开灯", "等"),
    ],
)
def test_corrupt_makes_the_confusions_of_real_recognisers(language: str, text: str, expected: str) -> None:
    """Words fall apart, melt together, and turn into others of the same sound."""
    glue = "" if language == "zh" else " "
    assert any(expected in glue.join(heard.words) for heard in _all_heard(text, language, times=2000))


def test_corrupt_keeps_a_number_or_calls_it_destroyed() -> None:
    """A value is the same in words and digits; where it is not, its tokens are destroyed."""
    for language, text, amount in (
        ("en", "set it to thirty five percent", 35.0),
        ("zh", "调到百分之三十五", 35.0),
        ("en", "make it 4", 4.0),
    ):
        meant = _words(text)
        first = next(i for i, word in enumerate(meant) if word in ("thirty", "百", "4"))
        for heard in _all_heard(text, language, strength=0.5):
            if not heard.destroys(first, len(meant)):
                span = [
                    word
                    for word, (_, end) in zip(heard.words, heard.origins, strict=True)
                    if end > first and word not in ("嗯", "呃", "啊")
                ]
                value = parse_value(span)
                assert value is not None, (text, heard.words)
                assert value.amount == amount, (text, heard.words)


def test_corrupt_writes_numbers_both_ways() -> None:
    """Thirty five becomes 35, 30 % becomes 百分之三十."""
    assert any("35" in heard.words for heard in _all_heard("set it to thirty five percent", "en", strength=0.3))
    assert any("".join(heard.words).endswith("百分之三十") for heard in _all_heard("调到30%", "zh", strength=0.3))
    assert not any("1" in heard.words for heard in _all_heard("no, the bedroom one", "en", strength=0.5))


def test_carry_gives_tags_to_pieces_and_fillers_inside_a_span() -> None:
    """A word that fell apart keeps its tag in both halves; a filler within a name belongs to the name, one outside to nothing."""
    heard = Noised(
        words=("uh", "the", "hall", "way", "um", "lamp"),
        origins=((0, 0), (0, 1), (1, 2), (1, 2), (2, 2), (2, 3)),
        destroyed=frozenset(),
    )

    assert heard.carry(("O", "NAME", "NAME")) == ("O", "O", "NAME", "NAME", "NAME", "NAME")


def test_mistype_keeps_one_word_for_one_and_the_first_letter_mostly() -> None:
    """Typing slips change letters, not words."""
    rng = Random(3)
    meant = _words("turn off the hallway lights")

    typed = [mistype(rng, meant, strength=0.8) for _ in range(200)]

    assert all(len(t.words) == len(meant) and t.words[1] == "off" for t in typed)
    assert len({t.words for t in typed}) > 100


def test_vocabulary_holds_everyday_words_and_no_slot() -> None:
    """The vocabulary comes from our own text; slot names of the phrasebook are no words of it."""
    words = set(vocabulary())

    assert {"whole", "way", "bedroom", "tern", "of"} <= words
    assert "noarea" not in words


def test_corrupt_is_fast_enough_for_training() -> None:
    """A sentence takes far less than a millisecond once the tables are warm; the goal is 100 microseconds."""
    rng = Random(1)
    sentences = [(language, _words(text)) for language, text in SENTENCES]
    for _ in range(2):
        start = time.perf_counter()
        for _ in range(100):
            for language, words in sentences:
                corrupt(rng, words, language=language, strength=0.2)
        elapsed = time.perf_counter() - start

    assert elapsed / 1000 < 0.001
