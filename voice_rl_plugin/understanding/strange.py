"""Strange words: English words that neither the phrasebook nor a name of this home explains; they may be a name that nobody taught yet."""

from functools import cache
from pathlib import Path

from voice_rl_plugin.domain.frame import Frame
from voice_rl_plugin.understanding.features import Observation

_LIST = Path(__file__).with_name("words.txt")
"""Plain words; made by scripts/make_word_list."""
_SHORTEST = 4


@cache
def _plain_words() -> frozenset[str]:
    return frozenset(_LIST.read_text(encoding="utf-8").split())


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
