"""What a speech recogniser or a hasty typist makes of a sentence, word by word, with the way back to the words that were meant.

    meant     turn  off  the  hallway  lights
    heard     turn  of        hall way light
    origins   0:1   1:2       3:4  3:4 4:5

English words become words of the same sound, fall apart, melt together, or lose a letter; Chinese characters become frequent characters of
the same toneless pinyin or of a neighbouring dialect. A word of command never turns into another word of command, a negation never appears
or vanishes, and a number never becomes another number: such a sentence would mean something else, and no listener could know.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path
from random import Random

import jellyfish

from voice_rl_plugin.understanding.kinds import noun_kinds
from voice_rl_plugin.understanding.names import SOUND_LIKENESS
from voice_rl_plugin.understanding.numbers import parse_value
from voice_rl_plugin.understanding.sounds import likeness, sound_key, sound_of_word
from voice_rl_plugin.understanding.text import is_han, pinyin_of, words_of

_FOLDER = Path(__file__).parent
_SLOT = re.compile(r"\{\w+\}")

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBER_WORDS = frozenset([*_ONES, *_TENS, "hundred", "half", "quarter", "third"])
_HAN_DIGITS = "零一二三四五六七八九"
_HAN_NUMERALS = frozenset(_HAN_DIGITS + "十百千两半")
_HAN_COUNTED = frozenset("度格档级成%楼层号点分秒")
"""After one of these a recogniser writes digits."""
_UNITS = frozenset("percent % degrees degree ° kelvin k notches".split())

_COMMANDING = frozenset(
    "on off of up down in out open close closed shut lock unlock start stop play pause mute unmute raise lower dim dimmer brighter brighten "
    "warmer cooler louder quieter next previous back more less higher set kill yes no not dont never without unless if when after before "
    "undo cancel who why did was is are isnt doesnt didnt wont cant shouldnt wouldnt leave keep "
    "开 关 停 亮 暗 高 低 大 小 升 降 锁 解 放 播 静 不 别 甭 没 勿 要 若 等 如 上 下 左 右 暖 冷 热 凉 快 慢 多 少 对 错 谁 吗 了 后 前 再 先 撤 取 消".split()
)
"""Words that steer the meaning: nothing is replaced by one of these, save what a person would recognise at once."""
_KEPT = frozenset(
    "no not dont never without unless if when after before who why did was is are isnt doesnt didnt wont cant shouldnt wouldnt on up down undo unlock "
    "不 别 甭 没 勿 若 谁 吗 了 后 前 解 开".split()
)
"""Words that are never changed: without them the sentence means something else."""

_CONFUSIONS: dict[str, tuple[str, ...]] = {
    "turn": ("tern", "turned", "torn", "term", "turning"),
    "off": ("of", "of", "off the", "oft"),
    "dim": ("them", "deem", "tim", "din"),
    "lights": ("light", "lites", "likes", "lice"),
    "light": ("lite", "like", "right"),
    "lamp": ("lamb", "lump", "lab"),
    "lamps": ("lambs", "lamp"),
    "blinds": ("blind", "lines", "blends"),
    "fan": ("van", "fun", "fen"),
    "four": ("for", "fore"),
    "two": ("to", "too"),
    "eight": ("ate",),
    "one": ("won",),
    "ten": ("tan", "then"),
    "to": ("two", "too"),
    "for": ("four",),
    "the": ("a", "da", "that"),
    "please": ("peas", "pleas", "police"),
    "close": ("clothes", "cloze"),
    "lock": ("look", "luck", "log"),
    "mute": ("moot", "newt"),
    "play": ("pray", "plays"),
    "pause": ("paws", "pours"),
    "raise": ("rays", "race"),
    "lower": ("lore", "lower the"),
    "shut": ("shot", "shud"),
    "set": ("sit", "said"),
    "switch": ("swish", "which", "witch"),
    "hall": ("whole", "haul"),
    "volume": ("volumes", "fallen"),
    "heating": ("eating", "heeding"),
    "curtains": ("curtain", "certain", "curtin"),
    "thermostat": ("thermal stat", "thermos that"),
    "vacuum": ("back room", "vacume"),
    "dining": ("dying", "dinning"),
    "den": ("then", "dan"),
    "study": ("steady", "studying"),
    "kitchen": ("kitten", "chicken"),
    "percent": ("per cent", "present"),
    "灯": ("等", "登", "邓", "凳", "瞪"),
    "关": ("官", "观", "管", "馆"),
    "调": ("条", "跳", "挑"),
    "廊": ("浪", "狼", "郎", "朗"),
    "帘": ("连", "年", "脸", "联"),
    "厅": ("听", "停", "庭"),
    "客": ("课", "可", "科"),
    "卧": ("我", "握", "沃"),
    "厨": ("除", "出", "初"),
    "浴": ("雨", "玉", "遇"),
    "扇": ("善", "山", "闪"),
    "窗": ("床", "创", "双"),
    "空": ("控", "孔"),
    "锁": ("所", "索"),
    "把": ("八", "吧", "爸"),
    "亮": ("量", "辆", "凉"),
    "暗": ("按", "岸", "安"),
    "音": ("因", "阴", "英"),
    "量": ("亮", "两", "辆"),
    "房": ("放", "防", "黄"),
    "书": ("输", "树", "苏"),
    "主": ("住", "煮", "组"),
    "热": ("乐", "惹"),
    "扫": ("少", "嫂"),
    "电": ("店", "点", "垫"),
    "视": ("是", "事", "四"),
    "度": ("读", "肚", "渡"),
}  # fmt: skip
"""What recognisers really make of the words of a home; the sound index covers the rest."""

_FUNCTION_WORDS = frozenset("the a an my our to please just in at some that this 吧 啊 呀 嘛 呢 啦 哦 喔 哈 的 把 给 请 一下".split())
_FILLERS = {"en": ("uh", "um", "er", "the", "a", "like"), "zh": ("嗯", "那个", "啊", "呃", "这个", "就")}
_QUESTION_MARKS = frozenset("吗 呢 没 不 几 谁 哪 啥 么 多".split())
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noised:
    """A sentence as it was heard or typed."""

    words: tuple[str, ...]
    origins: tuple[tuple[int, int], ...]
    """For each word, the range of meant tokens that it came from; an empty range stands before a meant token and came from nothing."""
    destroyed: frozenset[int]
    """Meant tokens that can no longer be recognised: lost, unlike in sound and spelling, another name's word, or a number no more."""

    def destroys(self, start: int, end: int) -> bool:
        """Whether any meant token in a range is beyond recognition."""
        return any(index in self.destroyed for index in range(start, end))

    def carry(self, tags: Sequence[str], *, outside: str = "O") -> tuple[str, ...]:
        """Return a tag for each word out of the tags of the meant tokens; a filler inside a span belongs to the span."""
        carried = []
        for start, end in self.origins:
            if start < end:
                inner = [tag for tag in tags[start:end] if tag != outside]
                carried.append(inner[0] if inner else outside)
            elif 0 < start < len(tags) and tags[start - 1] == tags[start]:
                carried.append(tags[start])
            else:
                carried.append(outside)
        return tuple(carried)


@dataclass(slots=True)
class _Draft:
    """The heard words while they are made; `origins` runs beside `words`."""

    words: list[str]
    origins: list[tuple[int, int]]
    destroyed: set[int]

    def put(self, words: Sequence[str], start: int, end: int) -> None:
        self.words.extend(words)
        self.origins.extend([(start, end)] * len(words))

    def finish(self) -> Noised:
        return Noised(words=tuple(self.words), origins=tuple(self.origins), destroyed=frozenset(self.destroyed))


def corrupt(rng: Random, words: Sequence[str], *, language: str, strength: float = 0.1, among: Collection[int] | None = None) -> Noised:
    """Return what a speech recogniser makes of a sentence.

    Args:
        rng: the only source of chance.
        words: tokens as `tokenise` gives them.
        language: `en` or `zh`; it chooses the fillers, each token's script chooses its confusions.
        strength: chance of each word to be misheard, 0 to 1; 0.02 is a good microphone, 0.3 a shout from the next room.
        among: indices of the words that may be misheard; all when missing.
    """
    if strength <= 0.0 or not words:
        return _unchanged(words)
    draft = _Draft([], [], set())
    digits = rng.random() < min(0.5, 3 * strength)
    plain = rng.random() < 0.5  # without punctuation, as most recognisers write
    index = 0
    while index < len(words):
        word = words[index]
        if plain and (word == "," or (word == "?" and _asks_without_mark(words))):
            index += 1
            continue
        if digits and (rewritten := _rewrite_number(words, index)) is not None:
            heard, end = rewritten
            draft.put(heard, index, end)
            index = end
            continue
        if rng.random() >= strength or (among is not None and index not in among):
            draft.put((word,), index, index + 1)
            index += 1
            continue
        index = _mishear(rng, words, index, language, draft)
    return draft.finish() if draft.words else _unchanged(words)


def mistype(rng: Random, words: Sequence[str], *, strength: float = 0.1) -> Noised:
    """Return what a hasty typist makes of a sentence: neighbouring keys, lost, doubled and swapped letters, wrong picks of a pinyin keyboard.

    Args:
        rng: the only source of chance.
        words: tokens as `tokenise` gives them.
        strength: chance of each word to be mistyped, 0 to 1.
    """
    draft = _Draft([], [], set())
    for index, word in enumerate(words):
        typed = word
        if strength > 0.0 and rng.random() < strength and word not in _KEPT:
            if is_han(word):
                typed = _pick(rng, _same_pinyin(word)) or word
            elif len(word) > 3 and word.isalpha():
                typed = _slip(rng, word)
        draft.put((typed,), index, index + 1)
        if typed != word and not _is_recognisable((word,), (typed,)):
            draft.destroyed.add(index)
    return draft.finish()


def _unchanged(words: Sequence[str]) -> Noised:
    return Noised(words=tuple(words), origins=tuple((i, i + 1) for i in range(len(words))), destroyed=frozenset())


def _asks_without_mark(words: Sequence[str]) -> bool:
    return not any(is_han(word) for word in words) or not _QUESTION_MARKS.isdisjoint(words)


def _mishear(rng: Random, words: Sequence[str], index: int, language: str, draft: _Draft) -> int:
    """Put one misheard word, or two that melt together, and return the index of the next word."""
    word = words[index]
    chance = rng.random()
    if word in _KEPT or word in (",", "?", "%", "°"):
        draft.put((word,), index, index + 1)
        return index + 1
    if word in _FUNCTION_WORDS and chance < 0.6:
        return index + 1
    is_number = word[0].isdigit() or word in _NUMBER_WORDS or word in _HAN_NUMERALS
    if chance < 0.1 and not is_number:
        filler = rng.choice(_FILLERS[language])
        draft.put(words_of(filler), index, index)
        draft.put((word,), index, index + 1)
        return index + 1
    if chance < 0.15 and not is_number:
        draft.put((word, word), index, index + 1)
        return index + 1
    if is_han(word):
        heard: tuple[str, ...] = (_pick(rng, _same_sound(word)) or word,)
    else:
        if chance < 0.4 and index + 1 < len(words) and (merged := _melted(word, words[index + 1])):
            return _settle(words, index, index + 2, (merged,), draft)
        options = _confusions(word)
        if chance > 0.85 and (parts := _fallen_apart(word)):
            options = parts
        heard = tuple(rng.choice(options).split()) if options else (word,)
    return _settle(words, index, index + 1, heard, draft)


def _settle(words: Sequence[str], start: int, end: int, heard: tuple[str, ...], draft: _Draft) -> int:
    draft.put(heard, start, end)
    meant = tuple(words[start:end])
    if meant != heard and not _is_recognisable(meant, heard):
        draft.destroyed.update(range(start, end))
    return end


@lru_cache(maxsize=65536)
def _is_recognisable(meant: tuple[str, ...], heard: tuple[str, ...]) -> bool:
    """Whether a listener who knows the name that was meant finds it in what was heard."""
    if "".join(meant) == "".join(heard):
        return True
    if any(word[0].isdigit() or word in _NUMBER_WORDS or word in _HAN_NUMERALS for word in meant):
        return False
    if not any(is_han(word) for word in meant) and any(word in _noun_words() and not _same_stem(word, meant) for word in heard):
        return False
    return likeness(heard, meant) >= SOUND_LIKENESS


def _same_stem(word: str, meant: Sequence[str]) -> bool:
    return any(word.rstrip("s") == other.rstrip("s") for other in meant)


@cache
def _noun_words() -> frozenset[str]:
    """Return the words that name devices and rooms: hearing one of these instead of another is no small slip."""
    return frozenset(word for noun in noun_kinds() for word in noun if not is_han(word))


def _rewrite_number(words: Sequence[str], index: int) -> tuple[tuple[str, ...], int] | None:
    """Return a number at this place in the other writing, with the index after it: thirty five <-> 35, 百分之三十 <-> 30 %."""
    word = words[index]
    after = words[index + 1] if index + 1 < len(words) else ""
    if word.isdigit() and int(word) <= 100:
        chinese = any(is_han(other) for other in words)
        if chinese:
            if after == "%":
                return ("百", "分", "之", *_han_numeral(int(word))), index + 2
            return tuple(_han_numeral(int(word))), index + 1
        spoken = _english_numeral(int(word))
        return ((*spoken, "percent"), index + 2) if after == "%" else (spoken, index + 1)
    if word in _ONES or word in _TENS:
        end = index + 1
        if word in _TENS and end < len(words) and words[end] in _ONES[1:10]:
            end += 1
        if end < len(words) and words[end] in ("hundred", "thousand", "point", "and", "half"):
            return None
        unit = words[end] if end < len(words) else ""
        if word == "one" and unit not in _UNITS:
            return None
        value = parse_value(words[index:end])
        return ((str(int(value.amount)),), end) if value else None
    if tuple(words[index : index + 3]) == ("百", "分", "之"):
        number, end = _han_run(words, index + 3)
        return None if number is None else ((str(number), "%"), end)
    if word in _HAN_NUMERALS and word != "半" and (index == 0 or words[index - 1] not in _HAN_NUMERALS):
        number, end = _han_run(words, index)
        unit = words[end] if end < len(words) else ""
        if number is None or unit not in _HAN_COUNTED or (unit in ("点", "分", "成") and end - index == 1):
            return None
        return (str(number),), end
    return None


def _han_run(words: Sequence[str], start: int) -> tuple[int | None, int]:
    end = start
    while end < len(words) and words[end] in _HAN_NUMERALS and words[end] != "半":
        end += 1
    value = parse_value(words[start:end]) if end > start else None
    return (int(value.amount) if value and value.unit == "none" and value.amount == int(value.amount) else None), end


def _english_numeral(number: int) -> tuple[str, ...]:
    if number == 100:
        return ("one", "hundred")
    if number < 20:
        return (_ONES[number],)
    tens, ones = divmod(number, 10)
    return (_TENS[tens - 2], _ONES[ones]) if ones else (_TENS[tens - 2],)


def _han_numeral(number: int) -> str:
    if number == 100:
        return "一百"
    tens, ones = divmod(number, 10)
    head = "" if not tens else ("十" if tens == 1 else _HAN_DIGITS[tens] + "十")
    return head + (_HAN_DIGITS[ones] if ones or not tens else "")


@cache
def _everyday() -> dict[str, tuple[str, ...]]:
    """Return the everyday words and characters, by language."""
    english, chinese = _FOLDER.joinpath("everyday.txt").read_text(encoding="utf-8").split("[en]")[1].split("[zh]")
    return {"en": words_of(english), "zh": words_of(chinese)}


@cache
def _phrasebook_words() -> Counter[str]:
    """Return the words of the voices that are trained on, with how often they stand there."""
    counts: Counter[str] = Counter()
    for voice in sorted(_FOLDER.glob("phrasebook/*/*.phrases")):
        if voice.stem == "stranger":
            continue
        for line in voice.read_text(encoding="utf-8").splitlines():
            if not line.startswith(("#", "@")):
                counts.update(words_of(_SLOT.sub(" ", line)))
    return counts


@cache
def vocabulary() -> tuple[str, ...]:
    """Return every English word that a recogniser may hear, sorted."""
    counts = _phrasebook_words()
    frequent = {word for word, count in counts.items() if count > 1 and word.isascii() and word.isalpha()}
    return tuple(sorted({*_everyday()["en"], *frequent, *_noun_words()}))


@cache
def _words_by_sound() -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for word in vocabulary():
        groups.setdefault(sound_of_word(word), []).append(word)
    return {key: tuple(group) for key, group in groups.items()}


@lru_cache(maxsize=65536)
def _confusions(word: str) -> tuple[str, ...]:
    """Return what an English word is misheard as; the likeliest stand more than once."""
    if not word.isalpha():
        return ()
    known = _CONFUSIONS.get(word, ())
    alike = []
    for other in _words_by_sound().get(sound_of_word(word), ()):
        spelling = jellyfish.jaro_winkler_similarity(word, other)
        if other != word and other not in _COMMANDING and spelling >= 0.6 and not _both_numbers(word, other):
            alike.append((spelling, other))
    best = tuple(other for _, other in sorted(alike, reverse=True)[:6])
    inflected = (word[:-1],) if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else ()
    return known * 3 + best + inflected * 2


def _both_numbers(word: str, other: str) -> bool:
    return word in _NUMBER_WORDS and other in _NUMBER_WORDS


@lru_cache(maxsize=65536)
def _fallen_apart(word: str) -> tuple[str, ...]:
    """Return the pairs of words that a long English word may be heard as: hallway, whole way."""
    if len(word) < 6 or not word.isalpha():
        return ()
    by_sound = _words_by_sound()
    key = sound_key((word,))
    pairs = []
    for cut in range(1, len(key)):
        for head in by_sound.get(key[:cut], ()):
            if head[0] != word[0] and sound_of_word(head)[0] != key[0]:
                continue
            for tail in by_sound.get(key[cut:], ()):
                spelling = jellyfish.jaro_winkler_similarity(word, head + tail)
                if spelling >= 0.8 and len(head) > 1 and len(tail) > 1 and not {head, tail} & _COMMANDING:
                    pairs.append((spelling, f"{head} {tail}"))
    cuts = tuple(f"{word[:cut]} {word[cut:]}" for cut in range(3, len(word) - 2) if word[:cut] in _known() and word[cut:] in _known())
    return cuts * 2 + tuple(pair for _, pair in sorted(pairs, reverse=True)[:5])


@cache
def _known() -> frozenset[str]:
    return frozenset(vocabulary())


@lru_cache(maxsize=65536)
def _melted(word: str, after: str) -> str | None:
    """Return the one word that two English words melt into, such as bedroom."""
    if not (word.isalpha() and after.isalpha() and word.isascii() and after.isascii()) or {word, after} & _COMMANDING:
        return None
    if word + after in _known() or (len(word) > 2 and len(after) > 2 and word in _noun_words() and after in _noun_words()):
        return word + after
    if len(word) < 3:
        return None
    alike = [
        (jellyfish.jaro_winkler_similarity(word + after, other), other)
        for other in _words_by_sound().get(sound_key((word, after)), ())
        if other not in _COMMANDING and other != word
    ]
    return max(alike)[1] if alike and max(alike)[0] >= 0.85 else None


_Weighted = tuple[tuple[str, ...], tuple[float, ...]]


@cache
def _characters() -> dict[str, float]:
    """Return the frequent simplified characters with their weights."""
    weights: dict[str, float] = {}
    for character in _everyday()["zh"]:
        weights[character] = 4.0
    for word, count in _phrasebook_words().items():
        if is_han(word):
            weights[word] = weights.get(word, 0.0) + min(20.0, count**0.5)
    return weights


@cache
def _characters_by_sound() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    by_pinyin: dict[str, list[str]] = {}
    by_sound: dict[str, list[str]] = {}
    for character in sorted(_characters()):
        by_pinyin.setdefault(pinyin_of(character), []).append(character)
        by_sound.setdefault(sound_of_word(character), []).append(character)
    return by_pinyin, by_sound


@lru_cache(maxsize=8192)
def _same_sound(character: str) -> _Weighted:
    """Return what a character is misheard as: the same pinyin, a neighbouring dialect's, and the known confusions above all."""
    by_pinyin, by_sound = _characters_by_sound()
    weights = _characters()
    options = {other: 0.3 * weights[other] for other in by_sound.get(sound_of_word(character), ())}
    options |= {other: weights[other] for other in by_pinyin.get(pinyin_of(character), ())}
    options |= dict.fromkeys(_CONFUSIONS.get(character, ()), 25.0)
    return _weighted(character, options)


@lru_cache(maxsize=8192)
def _same_pinyin(character: str) -> _Weighted:
    """Return what a pinyin keyboard offers instead of a character."""
    weights = _characters()
    return _weighted(character, {other: weights[other] for other in _characters_by_sound()[0].get(pinyin_of(character), ())})


def _weighted(character: str, options: dict[str, float]) -> _Weighted:
    named = frozenset(_CONFUSIONS.get(character, ()))
    for other in list(options):
        steers = other in _COMMANDING and other not in named
        if other == character or steers or other in _KEPT or other in _HAN_NUMERALS:
            del options[other]
    return tuple(options), tuple(accumulate(options.values()))


def _pick(rng: Random, options: _Weighted) -> str | None:
    characters, totals = options
    return rng.choices(characters, cum_weights=totals)[0] if characters else None


@cache
def _near_keys() -> dict[str, str]:
    near: dict[str, set[str]] = {}
    for row, keys in enumerate(_KEYS):
        for column, key in enumerate(keys):
            for other_row in range(max(0, row - 1), min(3, row + 2)):
                near.setdefault(key, set()).update(_KEYS[other_row][max(0, column - 1) : column + 2])
    return {key: "".join(sorted(others - {key})) for key, others in near.items()}


def _slip(rng: Random, word: str) -> str:
    """Return a word with one slip of the fingers; the first letter is mostly right."""
    place = rng.randrange(1, len(word))
    kind = rng.randrange(4)
    if kind == 0:
        return word[:place] + rng.choice(_near_keys().get(word[place], word[place])) + word[place + 1 :]
    if kind == 1:
        return word[:place] + word[place + 1 :]
    if kind == 2:
        return word[:place] + word[place] + word[place:]
    if place + 1 < len(word):
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[: place - 1] + word[place] + word[place - 1]
