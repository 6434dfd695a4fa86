"""What the network sees of an utterance: hashed words, hashed n-grams, and what each token means in this home.

    ids       [T, WORD_IDS]   buckets of the word itself, its sound, its neighbours, its ends
    ngrams    [T, NGRAM_IDS]  buckets of the n-grams that begin at the token, for the linear term
    lexical   [T, LEXICAL]    flags: names, rooms, nouns, numbers, colours
    context   [2]             operation and property of the command just before (0 when there is none)

Bucket 0 is padding. Everything here is shared with the trainer and part of the model's feature version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from voice_rl_plugin.domain.frame import OPERATIONS, PROPERTIES
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.understanding.colours import COLORS, HVAC_MODES, WHITES
from voice_rl_plugin.understanding.kinds import LONGEST_NOUN, noun_kinds
from voice_rl_plugin.understanding.names import Match, NameIndex
from voice_rl_plugin.understanding.sounds import sound_of_word
from voice_rl_plugin.understanding.text import is_han, tokenise, words_of

FEATURE_VERSION = 1
WORD_BUCKETS = 16384
NGRAM_BUCKETS = 16384
WORD_IDS = 6
NGRAM_IDS = 3
MAX_TOKENS = 48
"""A longer utterance is cut; it is no command."""

_DOMAIN_GROUPS = "light switch fan media_player climate cover lock vacuum scene".split()
_FLAGS = (
    "entity_full entity_stripped entity_partial entity_sound area area_sound floor floor_sound speakers_area noun plural_noun "
    "begins ends number unit color white mode han known_place"
).split() + [f"is_{domain}" for domain in _DOMAIN_GROUPS]
LEXICAL = len(_FLAGS)
_FLAG = {name: index for index, name in enumerate(_FLAGS)}
_DOMAIN_FLAG = {domain: _FLAG[f"is_{domain}"] for domain in _DOMAIN_GROUPS}

_NUMBER_WORDS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    "twenty thirty forty fifty sixty seventy eighty ninety hundred half third quarter quarters thirds halfway full max maximum minimum "
    "零 一 二 两 三 四 五 六 七 八 九 十 百 半".split()
)
_UNIT_WORDS = frozenset("percent % degrees degree ° kelvin k notch notches step steps percentage 度 格 档 成 级 分".split())
_PLACES = frozenset(
    "kitchen bedroom bathroom lounge office study garage garden attic basement cellar hallway hall corridor landing porch patio balcony "
    "conservatory nursery playroom library pantry larder utility laundry den loft shed workshop greenhouse veranda terrace driveway "
    "staircase stairs entrance foyer closet wardrobe ensuite toilet loo gym sauna pool deck studio cloakroom sunroom mudroom "
    "客厅 卧室 主卧 次卧 厨房 浴室 书房 阳台 餐厅 走廊 过道 车库 花园 地下室 阁楼 厕所 卫生间 洗手间 玄关 儿童房 客房 储藏室 衣帽间 院子 露台 楼梯".split()
)


def _single_words(table: dict[str, tuple[str, ...]] | dict[int, tuple[str, ...]]) -> frozenset[tuple[str, ...]]:
    return frozenset(words_of(name) for names in table.values() for name in names)


_COLOR_PHRASES = _single_words(COLORS)
_WHITE_PHRASES = _single_words(WHITES)
_MODE_PHRASES = _single_words(HVAC_MODES)
_PLACE_PHRASES = frozenset(words_of(place) for place in _PLACES)
_PHRASE_FLAGS = (
    (_COLOR_PHRASES, _FLAG["color"]),
    (_WHITE_PHRASES, _FLAG["white"]),
    (_MODE_PHRASES, _FLAG["mode"]),
    (_PLACE_PHRASES, _FLAG["known_place"]),
)


@dataclass(frozen=True, slots=True)
class Observation:
    """An utterance as the network sees it, with what the later steps need of it."""

    words: tuple[str, ...]
    matches: tuple[Match, ...]
    ids: NDArray[np.int32]
    ngrams: NDArray[np.int32]
    lexical: NDArray[np.float32]
    context: NDArray[np.int32]


@lru_cache(maxsize=262144)
def _bucket(text: str, buckets: int) -> int:
    return 1 + crc32(text.encode()) % (buckets - 1)


@lru_cache(maxsize=65536)
def _own_ids(word: str) -> tuple[int, ...]:
    """Return the buckets that depend on the word alone: itself, its sound, its beginning, its end."""
    ids = [_bucket(f"w {word}", WORD_BUCKETS), _bucket(f"s {sound_of_word(word)}", WORD_BUCKETS)]
    if word.isascii() and word.isalpha() and len(word) > 3:
        ids += [_bucket(f"p {word[:4]}", WORD_BUCKETS), _bucket(f"e {word[-3:]}", WORD_BUCKETS)]
    elif word[:1].isdigit():
        ids += [_bucket("digits", WORD_BUCKETS), _bucket(f"digits {len(word)}", WORD_BUCKETS)]
    else:
        ids += [0, 0]
    return tuple(ids)


def hash_words(words: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return word buckets [T, WORD_IDS] and n-gram buckets [T, NGRAM_IDS]."""
    count = len(words)
    padded = ("<s>", *words, "</s>", "</s>")
    rows: list[tuple[int, ...]] = []
    grams: list[tuple[int, int, int]] = []
    for index in range(count):
        before, word, after, later = padded[index : index + 4]
        rows.append((*_own_ids(word), _bucket(f"b {before} {word}", WORD_BUCKETS), _bucket(f"b {word} {after}", WORD_BUCKETS)))
        grams.append(
            (
                _bucket(f"1 {word}", NGRAM_BUCKETS),
                _bucket(f"2 {word} {after}", NGRAM_BUCKETS),
                _bucket(f"3 {word} {after} {later}", NGRAM_BUCKETS),
            )
        )
    return np.array(rows, np.int32).reshape(count, WORD_IDS), np.array(grams, np.int32).reshape(count, NGRAM_IDS)


@lru_cache(maxsize=4096)
def _word_flags(word: str) -> tuple[int, ...]:
    flags = []
    if word[:1].isdigit() or word in _NUMBER_WORDS:
        flags.append(_FLAG["number"])
    if word in _UNIT_WORDS:
        flags.append(_FLAG["unit"])
    if is_han(word):
        flags.append(_FLAG["han"])
    return tuple(flags)


def lexical_flags(words: Sequence[str], matches: Sequence[Match], home: Home, speakers_area: str | None) -> NDArray[np.float32]:
    """Return what each token means in this home, [T, LEXICAL], flags 0 or 1; a sound match gives its likeness."""
    flags = np.zeros((len(words), LEXICAL), np.float32)
    nouns = noun_kinds()
    count = len(words)
    for index, word in enumerate(words):
        for flag in _word_flags(word):
            flags[index, flag] = 1.0
        for end in range(index + 1, min(count, index + LONGEST_NOUN) + 1):
            phrase = tuple(words[index:end])
            if phrase in nouns:
                flags[index:end, _FLAG["plural_noun" if nouns[phrase][1] else "noun"]] = 1.0
            for phrases, flag in _PHRASE_FLAGS:
                if phrase in phrases:
                    flags[index:end, flag] = 1.0
    for match in matches:
        span = slice(match.start, match.end)
        if match.form == "sound":
            flag = _FLAG[f"{match.thing}_sound"]
            flags[span, flag] = np.maximum(flags[span, flag], match.score)
            continue
        if match.thing == "entity":
            flags[span, _FLAG[f"entity_{match.form}"]] = 1.0
            domain = _DOMAIN_FLAG.get(match.id.partition(".")[0])
            if domain is not None:
                flags[span, domain] = 1.0
        else:
            flags[span, _FLAG[match.thing]] = 1.0
            if match.id == speakers_area:
                flags[span, _FLAG["speakers_area"]] = 1.0
        if match.form != "partial":
            flags[match.start, _FLAG["begins"]] = 1.0
            flags[match.end - 1, _FLAG["ends"]] = 1.0
    return flags


def observe_words(
    words: Sequence[str],
    *,
    home: Home,
    index: NameIndex,
    area: str | None = None,
    previous: tuple[str, str] | None = None,
) -> Observation:
    """Return what the network sees of some words.

    Args:
        words: the tokens, at least one; those beyond MAX_TOKENS are cut.
        home: where it was said.
        index: the names of that home.
        area: id of the speaker's area.
        previous: operation and property of the command just before.
    """
    words = tuple(words[:MAX_TOKENS])
    matches = tuple(index.find(words))
    ids, ngrams = hash_words(words)
    context = (OPERATIONS.index(previous[0]), PROPERTIES.index(previous[1])) if previous else (0, 0)
    return Observation(
        words=words,
        matches=matches,
        ids=ids,
        ngrams=ngrams,
        lexical=lexical_flags(words, matches, home, area),
        context=np.array(context, np.int32),
    )


def observe(
    text: str, *, home: Home, index: NameIndex, area: str | None = None, previous: tuple[str, str] | None = None
) -> Observation:
    """Return what the network sees of a text, in any writing; the arguments are those of `observe_words`."""
    return observe_words([token.text for token in tokenise(text)], home=home, index=index, area=area, previous=previous)
