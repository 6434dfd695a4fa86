"""Strange words: English words that neither the phrasebook nor a name of this home explains; they may be a name that nobody taught yet."""

from functools import cache
from pathlib import Path

from voice_rl_plugin.domain.frame import Frame
from voice_rl_plugin.understanding.features import Observation

_LIST = Path(__file__).with_name("words.txt")
"""Plain words; made by scripts/make_word_list."""
_SHORTEST = 4
_LONGEST_FILLER = 2


_FILLERS, _COMMON = 160, 1000
"""Ranks: the commonest words and characters of commands and talk say nothing about what is meant, the next ones a little."""
_WEIGHT_OF_COMMON, _WEIGHT_OF_RARE, _WEIGHT_OF_STRANGE = 1.0, 1.6, 2.0


@cache
def _word_lists() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the English words and the Chinese characters, the commonest first."""
    english, _, han = _LIST.read_text(encoding="utf-8").partition("\n\n")
    return tuple(english.split()), tuple(han.strip())


@cache
def _plain_words() -> frozenset[str]:
    return frozenset(_word_lists()[0])


@cache
def _ranks() -> dict[str, int]:
    return {word: rank for words in _word_lists() for rank, word in enumerate(words)}


def rarity(word: str) -> float:
    """Return how much a word or a Chinese character says about what is meant: 0 for a filler, 2 for one that is in no list."""
    if word.isascii() and word.isalpha() and len(word) <= _LONGEST_FILLER:
        return 0.0
    rank = _ranks().get(word)
    if rank is None:
        return _WEIGHT_OF_STRANGE
    return 0.0 if rank < _FILLERS else (_WEIGHT_OF_COMMON if rank < _COMMON else _WEIGHT_OF_RARE)


def is_plain(word: str) -> bool:
    """Whether a word is one that people use in commands and talk; an inflection of a plain word is plain."""
    words = _plain_words()
    return word in words or any(word.endswith(end) and word[: -len(end)] in words for end in ("s", "ed", "ing", "er", "d", "ly"))


def strange_words(observation: Observation, frame: Frame) -> list[str]:
    """Return the words of a clause that lie in no span, belong to no name of the home, and are not plain; Chinese has none."""
    explained = {i for span in frame.spans for i in range(span.start, span.end)}
    explained |= {i for m in observation.matches for i in range(m.start, m.end)}
    return [
        word
        for i, word in enumerate(observation.words[frame.start : frame.end], frame.start)
        if i not in explained and len(word) >= _SHORTEST and word.isascii() and word.isalpha() and not is_plain(word)
    ]
