"""What the network sees of an utterance: hashed words, hashed n-grams, and what each token means in this home.

    ids       [T, WORD_IDS]   buckets of the word itself, its sound, its neighbours, its ends
    ngrams    [T, NGRAM_IDS]  buckets of the n-grams that begin at the token, for the linear term
    lexical   [T, LEXICAL]    flags: names, rooms, nouns, numbers, colours
    context   [2]             operation and property of the command just before (0 when there is none)

Bucket 0 is padding. Everything here is shared with the trainer and part of the model's feature version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
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

FEATURE_VERSION = 2
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
_FORM_FLAG = {form: _FLAG[f"entity_{form}"] for form in ("full", "stripped", "partial")}
_SOUND_FLAG = {thing: _FLAG[f"{thing}_sound"] for thing in ("entity", "area", "floor")}
SOUND_FLAGS = tuple(_SOUND_FLAG.values())
"""The flags of what is only heard alike."""
SOUND_ID = 1
"""The word bucket that is a word's sound."""

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
    "scullery boudoir parlour parlor carport barn stable boathouse courtyard yard backyard vestibule snug bedsit darkroom "
    "客厅 卧室 主卧 次卧 厨房 浴室 书房 阳台 餐厅 走廊 过道 车库 花园 地下室 阁楼 厕所 卫生间 洗手间 玄关 儿童房 客房 储藏室 衣帽间 院子 露台 楼梯 "
    "天台 门厅 茶室 影音室 健身房 保姆房 佛堂 灶房 洗衣房 工作间 电竞房 琴房 桑拿房 棋牌室 天井 酒窖 画室".split()
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


def is_known_place(words: Sequence[str]) -> bool:
    """Whether some words are a room as many homes have one, whether this home has it or not."""
    plain = tuple(words[1:]) if words and words[0] in ("the", "my", "our") else tuple(words)
    return plain in _PLACE_PHRASES


def _bucket(text: str, buckets: int) -> int:
    return 1 + crc32(text.encode()) % (buckets - 1)


@lru_cache(maxsize=65536)
def _own_ids(word: str) -> tuple[int, int, int, int, int]:
    """Return the buckets that depend on the word alone: itself, its sound, its beginning, its end, and its unigram."""
    itself, sound = _bucket(f"w {word}", WORD_BUCKETS), _bucket(f"s {sound_of_word(word)}", WORD_BUCKETS)
    first = last = 0
    if word.isascii() and word.isalpha() and len(word) > 3:
        first, last = _bucket(f"p {word[:4]}", WORD_BUCKETS), _bucket(f"e {word[-3:]}", WORD_BUCKETS)
    elif word[:1].isdigit():
        first, last = _bucket("digits", WORD_BUCKETS), _bucket(f"digits {len(word)}", WORD_BUCKETS)
    return itself, sound, first, last, _bucket(f"1 {word}", NGRAM_BUCKETS)


@lru_cache(maxsize=65536)
def _pair_ids(word: str, after: str) -> tuple[int, int]:
    """Return the buckets of two neighbours: as words, and as a bigram."""
    return _bucket(f"b {word} {after}", WORD_BUCKETS), _bucket(f"2 {word} {after}", NGRAM_BUCKETS)


@lru_cache(maxsize=65536)
def _triple_id(word: str, after: str, later: str) -> int:
    return _bucket(f"3 {word} {after} {later}", NGRAM_BUCKETS)


def hash_words(words: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return word buckets [T, WORD_IDS] and n-gram buckets [T, NGRAM_IDS]."""
    count = len(words)
    if not count:
        return np.zeros((0, WORD_IDS), np.int32), np.zeros((0, NGRAM_IDS), np.int32)
    afters = (*words[1:], "</s>")
    ids: list[int] = []
    grams: list[int] = []
    before = _pair_ids("<s>", words[0])[0]
    for word, after, later in zip(words, afters, (*afters[1:], "</s>"), strict=True):
        itself, sound, first, last, unigram = _own_ids(word)
        pair, bigram = _pair_ids(word, after)
        ids += (itself, sound, first, last, before, pair)
        grams += (unigram, bigram, _triple_id(word, after, later))
        before = pair
    return np.array(ids, np.int32).reshape(count, WORD_IDS), np.array(grams, np.int32).reshape(count, NGRAM_IDS)


@cache
def _phrase_flags() -> tuple[Mapping[tuple[str, ...], tuple[int, ...]], Mapping[str, int]]:
    """Return the flags of every phrase of the lexicon, and the length of the longest phrase that begins with a word."""
    flags: dict[tuple[str, ...], tuple[int, ...]] = {}
    for phrase, (_, is_plural) in noun_kinds().items():
        flags[phrase] = (_FLAG["plural_noun" if is_plural else "noun"],)
    for phrases, flag in _PHRASE_FLAGS:
        for phrase in phrases:
            flags[phrase] = (*flags.get(phrase, ()), flag)
    reach: dict[str, int] = {}
    for phrase in flags:
        if 0 < len(phrase) <= LONGEST_NOUN:
            reach[phrase[0]] = max(len(phrase), reach.get(phrase[0], 0))
    return flags, reach


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
    del home  # the matches say all that the home knows
    words = tuple(words)
    count = len(words)
    size = count * LEXICAL
    raised = bytearray(size)  # cheaper to fill than an array: [T * LEXICAL]
    flags_of, reach_of = _phrase_flags()
    for index, word in enumerate(words):
        for flag in _word_flags(word):
            raised[index * LEXICAL + flag] = 1
        reach = reach_of.get(word)
        if reach is None:
            continue
        for end in range(index + 1, min(count, index + reach) + 1):
            for flag in flags_of.get(words[index:end], ()):
                for place in range(index * LEXICAL + flag, end * LEXICAL, LEXICAL):
                    raised[place] = 1
    heard: dict[int, float] = {}
    for start, end, thing, thing_id, form, score in matches:
        first, behind = start * LEXICAL, end * LEXICAL
        if form == "sound":
            for place in range(first + _SOUND_FLAG[thing], behind, LEXICAL):
                heard[place] = max(score, heard.get(place, 0.0))
            continue
        if thing == "entity":
            flags = (_FORM_FLAG[form], _DOMAIN_FLAG.get(thing_id.partition(".")[0], _FORM_FLAG[form]))
        else:
            flags = (_FLAG[thing], _FLAG["speakers_area"] if thing_id == speakers_area else _FLAG[thing])
        for flag in flags:
            for place in range(first + flag, behind, LEXICAL):
                raised[place] = 1
        if form != "partial":
            raised[first + _FLAG["begins"]] = 1
            raised[behind - LEXICAL + _FLAG["ends"]] = 1
    lexical = np.frombuffer(raised, np.uint8).astype(np.float32)
    for place, score in heard.items():
        lexical[place] = score
    return lexical.reshape(count, LEXICAL)


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


def observe(text: str, *, home: Home, index: NameIndex, area: str | None = None, previous: tuple[str, str] | None = None) -> Observation:
    """Return what the network sees of a text, in any writing; the arguments are those of `observe_words`."""
    return observe_words([token.text for token in tokenise(text)], home=home, index=index, area=area, previous=previous)
