"""Sound keys: words that a speech recogniser confuses get equal or neighbouring keys.

English: Metaphone without vowels (the jellyfish package), so that "whole way" meets "hallway".
Chinese: toneless pinyin with the usual regional confusions folded (zh/z, ch/c, sh/s, n/l, h/f, -ng/-n).
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

import jellyfish

from voice_rl_plugin.understanding.text import is_han, pinyin_of

_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("h", "f"), ("r", "l"))
_LETTERS = {"B": "P", "D": "T", "G": "K", "V": "F", "Z": "S", "J": "X", "0": "T"}


@lru_cache(maxsize=65536)
def sound_of_word(word: str) -> str:
    """Return the sound key of one English word or one Chinese character."""
    if is_han(word):
        syllable = pinyin_of(word)
        for initial, folded in _INITIALS:
            if syllable.startswith(initial):
                syllable = folded + syllable[len(initial) :]
                break
        return syllable[:-1] if syllable.endswith("ng") else syllable
    if not word.isalpha():
        return word
    key = jellyfish.metaphone("h" + word[2:] if word.startswith("who") else word)
    return "".join(_LETTERS.get(letter, letter) for letter in key if letter not in "AEIOU ") or key


def sound_key(words: Sequence[str]) -> str:
    """Return the sound key of some neighbouring words; word boundaries vanish in English."""
    if any(is_han(word) for word in words):
        return "-".join(sound_of_word(word) for word in words)
    return "".join(sound_of_word(word) for word in words)


def neighbours(key: str) -> AbstractSet[str]:
    """Return the key with each unit left out once, from the left: two keys one edit apart share one of these.

    The order is fixed, so that a sentence is heard alike in every run of the program.
    """
    if "-" in key:
        units = key.split("-")
        return dict.fromkeys("-".join([*units[:i], "*", *units[i + 1 :]]) for i in range(len(units))).keys()
    return dict.fromkeys(key[:i] + key[i + 1 :] for i in range(len(key))).keys()


def likeness(words: Sequence[str], others: Sequence[str]) -> float:
    """Return how alike two word groups are to the ear and the eye, in [0, 1].

    The mean of the likeness in sound and the likeness in spelling, both Jaro-Winkler; for Chinese the share of equal syllables,
    half for syllables that differ in one letter.
    """
    if any(is_han(word) for word in (*words, *others)):
        if len(words) != len(others):
            return 0.0
        total = 0.0
        for word, other in zip(words, others, strict=True):
            a, b = sound_of_word(word), sound_of_word(other)
            if word == other:
                total += 1.0
            elif a == b:
                total += 0.9
            elif jellyfish.levenshtein_distance(a, b) == 1 and min(len(a), len(b)) > 1:
                total += 0.55
        return total / len(words)
    sound = jellyfish.jaro_winkler_similarity(sound_key(words), sound_key(others))
    spelling = jellyfish.jaro_winkler_similarity("".join(words), "".join(others))
    return 0.5 * (sound + spelling)
