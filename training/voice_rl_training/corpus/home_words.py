"""How one owner writes names: case, possessives, joints, numbers, made-up words, and ids."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from voice_rl_plugin.understanding.text import is_han, normalise, pinyin_of, words_of
from voice_rl_training.corpus.banks import is_dev

_TRIES = 1000
_ONSETS = (
    "b",
    "d",
    "f",
    "g",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "z",
    "bl",
    "cr",
    "dr",
    "fl",
    "gr",
    "pl",
    "sn",
    "tr",
    "zw",
    "qu",
    "j",
    "w",
)
_VOWELS = ("a", "e", "i", "o", "u", "oo", "ee")
_CODAS = ("", "", "n", "x", "r", "k", "ster", "bot", "l")
_SYLLABLES_ZH = "阿巴比布迪多菲嘎哈吉卡可拉莉咪莫娜尼努帕皮奇莎索塔托瓦薇西雅尤佐甘"
_NUMBER_WORDS = "一二三四五六七八九"
_SMALL_WORDS = frozenset({"of", "by", "the", "in", "and"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """How one owner names things."""

    han: bool
    traditional: bool
    """Whether Chinese is written in traditional characters."""
    case: str
    room_in_name: float
    """How often a device name begins with the room."""
    aliases: float
    nicknames: float
    mixed: float
    """How often a name of a Chinese home is English or half English."""
    states: bool
    limits: bool
    """Whether devices may lack abilities that are usual in their domain."""


def random_taste(rng: random.Random, language: str, *, traditional: bool) -> Taste:
    """Return the taste of a random owner."""
    han = language == "zh"
    return Taste(
        han=han,
        traditional=traditional,
        case=rng.choices(("title", "lower", "sentence", "snake", "upper"), (70, 12, 14, 2, 1))[0],
        room_in_name=rng.choice((0.0, 0.15, 0.3, 0.5, 0.8, 0.95)),
        aliases=rng.choice((0.0, 0.0, 0.15, 0.3, 0.5)),
        nicknames=rng.choice((0.0, 0.02, 0.06, 0.15)),
        mixed=rng.choice((0.15, 0.35, 0.6)) if han and rng.random() < 0.1 else 0.0,
        states=rng.random() < 0.5,
        limits=rng.random() < 0.7,
    )


def pick(rng: random.Random, pool: Sequence[str]) -> str:
    """Return one of the words, or an empty text when there is none."""
    return rng.choice(pool) if pool else ""


def cased(rng: random.Random, taste: Taste, name: str) -> str:
    """Return a name in the case that its owner prefers, now and then in another."""
    if not any(c.isascii() and c.isalpha() for c in name) or (name[:1].isupper() and " " not in name):
        return name
    case = taste.case if rng.random() < 0.92 else "title"
    if case == "title":
        return titled(name)
    if case == "lower":
        return name.lower()
    if case == "upper":
        return name.upper()
    if case == "snake":
        return name.lower().replace(" ", "_")
    return name[:1].upper() + name[1:]


def titled(name: str) -> str:
    """Return a name with capitals, leaving those that it has."""
    words = name.split(" ")
    return " ".join(word if i and word in _SMALL_WORDS else word[:1].upper() + word[1:] for i, word in enumerate(words))


def possessive(rng: random.Random, owner: str) -> str:
    """Return an English owner as people write it before the thing owned: Bob's, Bob, Bobs."""
    bare = owner if owner.endswith("s") else f"{owner}s"
    right = f"{owner}'" if owner.endswith("s") else f"{owner}'s"
    return rng.choices((right, owner, bare), (7, 2, 1))[0]


def joined(rng: random.Random, taste: Taste, room: str, core: str) -> str:
    """Return a device name that begins with its room."""
    if taste.han and (is_han(core[0]) or is_han(room[-1])):
        return room + rng.choices(("", "的", " ", "-"), (80, 12, 5, 3))[0] + core
    return f"{room} {core}" if rng.random() < 0.94 else f"{room} - {core}"


def numbered(rng: random.Random, taste: Taste, name: str, number: int) -> str:
    """Return a name with a number between 1 and 9."""
    if taste.han:
        return rng.choice(
            (
                f"{name}{number}",
                f"{name}{number}",
                f"{name} {number}",
                f"{number}{count_word(taste)}{name}",
                f"{name}{_NUMBER_WORDS[number - 1]}",
            )
        )
    return rng.choice((f"{name} {number}", f"{name} {number}", f"{name} {number}", f"{name} #{number}", f"{name} no. {number}"))


def made_up_word(rng: random.Random, language: str, split: str, *, barred: frozenset[str] = frozenset()) -> str:
    """Return a name that no dictionary has, of this split, without the barred words."""
    for _ in range(_TRIES):
        if language == "zh":
            word = "".join(rng.choice(_SYLLABLES_ZH) for _ in range(rng.choice((2, 2, 3))))
        else:
            word = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.choice((2, 2, 3)))) + rng.choice(_CODAS)
        if is_dev(word) == (split == "dev") and barred.isdisjoint(words_of(word)):
            return word
    raise ValueError(f"no made-up word of split {split!r} is free of the {len(barred)} barred words")


def count_word(taste: Taste) -> str:
    """Return the word that makes a number a name: 1号灯."""
    return "號" if taste.traditional else "号"


@lru_cache(maxsize=65536)
def is_traditional(name: str) -> bool:
    """Whether a name has a character that simplified Chinese writes otherwise."""
    return any(is_han(c) and normalise(c) != c for c in name)


@lru_cache(maxsize=65536)
def slug(name: str) -> str:
    """Return the id that Home Assistant would make of a name: Latin words and toneless pinyin."""
    parts = ("".join(c for c in pinyin_of(word) if c.isalnum()) for word in words_of(name))
    return "_".join(parts).strip("_") or "device"


def unique(base: str, taken: set[str]) -> str:
    """Return the id, with a number behind it where it is taken, and take it."""
    found, number = base, 2
    while found in taken:
        found, number = f"{base}_{number}", number + 1
    taken.add(found)
    return found
