"""The names of one home, indexed so that every window of an utterance is looked up in microseconds.

Forms of a name, from strong to weak: `full` (name or alias), `stripped` (without the words of its own area), `partial` (some neighbouring
words of it, at least one of them specific), `sound` (heard alike).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from voice_rl_plugin.domain.home import Entity, Home
from voice_rl_plugin.understanding.kinds import kind_of, noun_kinds
from voice_rl_plugin.understanding.sounds import likeness, neighbours, sound_key
from voice_rl_plugin.understanding.text import is_han, words_of

LONGEST_NAME = 7
"""Tokens; longer names are found by their parts."""
MIN_INFLECTED = 4
"""Shorter words have no plural here: "on", "bar", "spa"."""
SOUND_LIKENESS = 0.8
"""Below this, two names do not sound alike."""
CLEAR_SOUND = 0.93
"""A name heard alike this well wins against a noun, and against a part of another name."""
_LONGEST_SOUND = 14
"""Consonants; a longer English name is not looked for by ear."""
_HEARD_WINDOWS = 4096
"""Windows of which we remember what sounds like them; people say the same words again and again."""
_ARTICLES = frozenset({"the", "a", "an", "my", "our"})
_UNSPECIFIC = _ARTICLES | {"both", "all", "every", "other", "one"}
_JOINTS = frozenset({"的", "and", "of", "in", "for", "s", ",", "on", "at", "by", "to"})
COMMANDING = frozenset(
    "on off up down in out the to of it at by and a open close shut lock turn set dim stop start play put make".split()
) | set(
    "了我不一的别要把来上下着再到就是好没个得给你停都在去那这放让请帮开关拉调打扫锁看说有起回还太他用先呢吧吗啦呀嘛会也往跟里全又从将叫使被对向管换设定成为掉灭合闭启动播除"
)
"""Words that carry the command; a name that only sounds alike never swallows them."""
_MUTE = _ARTICLES | _JOINTS
"""No name that is only heard begins with one of these."""


class Match(NamedTuple):
    """A window of the utterance that may name something of the home; a tuple, since a large home gives hundreds for one utterance."""

    start: int
    end: int
    thing: str
    """`entity`, `area` or `floor`."""
    id: str
    form: str
    """`full`, `stripped`, `partial` or `sound`."""
    score: float
    """How much of the name was said, or how alike it sounds; in (0, 1]."""


@dataclass(frozen=True, slots=True)
class _Form:
    words: tuple[str, ...]
    thing: str
    id: str
    form: str
    score: float


_ENGLISH_DIGITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
).split()
_HAN_DIGITS = "零 一 二 三 四 五 六 七 八 九 十 十一 十二 十三 十四 十五 十六 十七 十八 十九 二十".split()


def _spoken_numbers(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the other ways in which a name with a number is said: Lamp 2 is "lamp two", 插座1 is 一号插座."""
    places = [i for i, word in enumerate(words) if word.isdigit() and int(word) < len(_ENGLISH_DIGITS)]
    if not places:
        return []
    if not any(is_han(word) for word in words):
        return [tuple(_ENGLISH_DIGITS[int(w)] if i in places else w for i, w in enumerate(words))]
    last = places[-1]
    before, after = words[:last], words[last + 1 :]
    spoken = [(words[last],), tuple(_HAN_DIGITS[int(words[last])])]
    variants = [before + number + after for number in spoken[1:]]
    if not after or after == ("号",):
        variants += [form for number in spoken for form in ((*before, *number, "号"), (*number, "号", *before))]
    return [variant for variant in variants if variant != words]


def _with_a_joint(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return a Chinese name with 的 between an owner and what is owned: 小芹床头灯 is also 小芹的床头灯."""
    if not is_han(words[0]) or "的" in words or kind_of(words) is None:
        return []
    return [(*words[:place], "的", *words[place:]) for place in range(2, len(words)) if len(words) - place > 1 or place == len(words) - 1]


def _is_more(window: tuple[str, ...], covered: Sequence[bool]) -> bool:
    """Whether a window is more than the name inside it that is right as it stands: 导台灯 is, with its 台灯, and 关台灯 is not."""
    return not all(covered) and not any(word in COMMANDING for word, known in zip(window, covered, strict=True) if not known)


_SIDES = frozenset("left right top bottom upper lower front back rear north south east west middle centre center inner outer".split())
_HAN_SIDES = frozenset("左右东西南北前后里外上下中")


def turned_names(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the other ways in which a name with a side or a number is said: Pendant West is the west pendant, 吊灯三号 the 三号吊灯."""
    if len(words) < 2:
        return []
    turned: list[tuple[str, ...]] = []
    if not any(is_han(word) for word in words):
        if words[-1] in _SIDES:
            turned.append((words[-1], *words[:-1]))
        elif words[0] in _SIDES:
            turned.append((*words[1:], words[0]))
        if words[-1].isdigit() and len(words) > 2:
            spoken = [words[-1:], *([(_ENGLISH_DIGITS[int(words[-1])],)] if int(words[-1]) < len(_ENGLISH_DIGITS) else [])]
            turned += [part + number for number in spoken for part in (words[:-2], words[-2:-1])]
        return turned
    side, rest = (words[0], words[1:]) if words[0] in _HAN_SIDES else (words[-1], words[:-1])
    if side in _HAN_SIDES and len(rest) > 1:
        rest = tuple(rest[1:]) if rest[0] in ("边", "侧") else rest
        turned += [(side, *rest), (side, "边", *rest), (side, "边", "的", *rest), (side, "边", "那", "个", *rest), (*rest, side)]
    number = _han_number_at_end(words)
    if number is not None:
        count, base = number
        nouns = [base[i:] for i in range(len(base) - 1)] if len(base) > 1 else [base]
        for said in dict.fromkeys((str(count), _HAN_DIGITS[count])):
            turned += [(said, "号", *noun) for noun in nouns if len(noun) > 1 or noun == base]
            turned += [(said, "号"), (*base, said, "号"), (*base, said)]
    return [form for form in turned if form != words]


def _han_number_at_end(words: tuple[str, ...]) -> tuple[int, tuple[str, ...]] | None:
    """Return the number that a Chinese name ends in and what stands before it."""
    plain = words[:-1] if words[-1] == "号" else words
    if len(plain) < 2:
        return None
    last = plain[-1]
    if last.isdigit() and int(last) < len(_HAN_DIGITS):
        return int(last), plain[:-1]
    if last in _HAN_DIGITS and words[-1] == "号":
        return _HAN_DIGITS.index(last), plain[:-1]
    return None


def _counts(words: tuple[str, ...]) -> list[str]:
    """Return the numbers among some words as digits: spot 3 never sounds like spot 2."""
    return [
        str(_ENGLISH_DIGITS.index(w)) if w in _ENGLISH_DIGITS else (str(_HAN_DIGITS.index(w)) if w in _HAN_DIGITS else w)
        for w in words
        if w.isdigit() or w in _ENGLISH_DIGITS or w in _HAN_DIGITS
    ]


def _other_number(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return an English name with its last word as a plural, or back: the venetian blinds are the venetians, the sheers a sheer."""
    last = words[-1]
    if not last.isascii() or not last.isalpha() or len(last) < MIN_INFLECTED:
        return None
    if last.endswith("s"):
        return None if last.endswith("ss") else (*words[:-1], last[:-1])
    return (*words[:-1], last + "s")


class NameIndex:
    """All forms of all names of a home; built once a home, in about 20 microseconds an entity."""

    def __init__(self, home: Home, extra_names: Mapping[str, Sequence[str]] | None = None) -> None:
        """Index a home.

        Args:
            home: whose names.
            extra_names: more full names of its entities, by entity id; those of what is not exposed are left out.
        """
        self._forms: dict[tuple[str, ...], list[_Form]] = {}
        self._sounds: dict[str, list[_Form]] = {}
        self._groups: set[str] = set()
        """Entities that stand for several: one of the bunk lights is not their group."""
        self._reach: dict[str, int] = {}
        """The length of the longest form that begins with a word."""
        self._heard: dict[tuple[str, ...], tuple[tuple[str, str, float], ...]] = {}
        """What sounds like a window: thing, id, likeness; filled as windows come."""
        self.area_words: dict[str, list[tuple[str, ...]]] = {}
        """Every name of an area as words, by area id."""
        for floor in home.floors:
            self._add_names("floor", floor.id, (floor.name, *floor.aliases))
        for area in home.areas:
            names = (area.name, *area.aliases)
            self.area_words[area.id] = [words_of(name) for name in names if words_of(name)]
            self._add_names("area", area.id, names)
        place_words = {word for names in self.area_words.values() for words in names for word in words}
        nouns = noun_kinds()
        self._groups.update(entity.id for entity in home.exposed if entity.members)
        for entity in home.exposed:
            for name in (entity.name, *entity.aliases):
                words = words_of(name)
                if not words:
                    continue
                self._add(_Form(words, "entity", entity.id, "full", 1.0))
                if words[0] in _ARTICLES and len(words) > 1:
                    self._add(_Form(words[1:], "entity", entity.id, "full", 1.0))
                    words = words[1:]
                stripped = self._without_area(words, entity.area)
                if stripped and stripped != words and stripped not in nouns:  # 玄关灯 is no name for any 灯
                    self._add(_Form(stripped, "entity", entity.id, "stripped", 0.95))
                self._add_parts(words, stripped, entity.id, place_words, nouns)
            for name in (extra_names or {}).get(entity.id, ()):
                if words := words_of(name):
                    self._add(_Form(words, "entity", entity.id, "full", 1.0))

    def _add_names(self, thing: str, thing_id: str, names: Sequence[str]) -> None:
        for name in names:
            words = words_of(name)
            if words:
                self._add(_Form(words, thing, thing_id, "full", 1.0))
                if words[0] in _ARTICLES and len(words) > 1:
                    self._add(_Form(words[1:], thing, thing_id, "full", 1.0))

    def _add(self, form: _Form) -> None:
        self._add_one(form)
        if form.form != "partial":
            for words in _with_a_joint(form.words) if form.thing == "entity" else ():
                self._add_one(_Form(words, form.thing, form.id, form.form, 0.97 * form.score), by_sound=False)
            for words in _spoken_numbers(form.words):
                self._add_one(_Form(words, form.thing, form.id, form.form, form.score))
            if form.thing == "entity":
                for words in turned_names(form.words):
                    is_whole = len(words) >= len(form.words)
                    turned = "stripped" if is_whole else "partial"
                    self._add_one(_Form(words, form.thing, form.id, turned, 0.95 if is_whole else 0.8), by_sound=False)
        if form.thing == "entity" and form.id not in self._groups and (other := _other_number(form.words)) is not None:
            self._add_one(_Form(other, form.thing, form.id, form.form, 0.97 * form.score), by_sound=False)

    def _add_one(self, form: _Form, *, by_sound: bool = True) -> None:
        known = self._forms.setdefault(form.words, [])
        if any(f.thing == form.thing and f.id == form.id and f.score >= form.score for f in known):
            return
        known.append(form)
        self._reach[form.words[0]] = max(len(form.words), self._reach.get(form.words[0], 0))
        if form.form == "partial" or not by_sound:
            return
        key = sound_key(form.words)
        units = key.count("-") + 1 if "-" in key else len(key)
        if units < 2 or (units < 3 and "-" not in key):
            return
        self._sounds.setdefault(key, []).append(form)
        for neighbour in neighbours(key):
            self._sounds.setdefault(neighbour, []).append(form)

    def _without_area(self, words: tuple[str, ...], area: str | None) -> tuple[str, ...]:
        for area_words in sorted(self.area_words.get(area or "", ()), key=len, reverse=True):
            if len(area_words) < len(words) and words[: len(area_words)] == area_words:
                rest = words[len(area_words) :]
                while rest and rest[0] in _JOINTS:
                    rest = rest[1:]
                return rest
        return words

    def _add_parts(
        self,
        words: tuple[str, ...],
        stripped: tuple[str, ...],
        entity_id: str,
        place_words: set[str],
        nouns: Mapping[tuple[str, ...], tuple[object, bool]],
    ) -> None:
        for source in dict.fromkeys((words, stripped)):
            for start in range(len(source)):
                for end in range(start + 1, min(len(source), start + LONGEST_NAME) + 1):
                    part = source[start:end]
                    if part in (words, stripped) or part[0] in _JOINTS or part[-1] in _JOINTS:
                        continue
                    if is_han(part[0]) and len(part) < 2:
                        continue
                    specific = [w for w in part if w not in place_words and (w,) not in nouns and not w.isdigit() and w not in _UNSPECIFIC]
                    if not specific or part in nouns:
                        continue
                    self._add(_Form(part, "entity", entity_id, "partial", 0.5 + 0.4 * len(part) / len(source)))

    def names_in_room(self, entity: Entity) -> set[tuple[str, ...]]:
        """Return the names of an entity without those of its room, as words."""
        names = [words_of(name) for name in (entity.name, *entity.aliases)]
        return {self._without_area(words, entity.area) for words in names if words}

    def find(self, words: Sequence[str]) -> list[Match]:
        """Return every match in an utterance: exact forms first, then names that only sound alike.

        Args:
            words: the tokens of the utterance.
        """
        words = tuple(words)
        matches: list[Match] = []
        covered = [False] * len(words)
        count = len(words)
        for start, word in enumerate(words):
            reach = self._reach.get(word)
            if reach is None:
                continue
            for end in range(start + 1, min(count, start + min(reach, LONGEST_NAME)) + 1):
                forms = self._forms.get(words[start:end])
                if forms:
                    matches += [Match(start, end, f.thing, f.id, f.form, f.score) for f in forms]
                    if any(f.form != "partial" for f in forms):
                        covered[start:end] = [True] * (end - start)
        self._find_sounds(words, covered, matches)
        return matches

    def _find_sounds(self, words: tuple[str, ...], covered: list[bool], matches: list[Match]) -> None:
        count = len(words)
        longest = 6 if any(map(is_han, words)) else 4
        for start, word in enumerate(words):
            if word in _MUTE:
                continue
            for end in range(start + 1, min(count, start + longest) + 1):
                window = words[start:end]
                if any(covered[start:end]) and not _is_more(window, covered[start:end]):
                    continue
                heard = self._heard.get(window)
                if heard is None:
                    heard = self._hear(window)
                for thing, thing_id, alike in heard:
                    matches.append(Match(start, end, thing, thing_id, "sound", alike))

    def _hear(self, window: tuple[str, ...]) -> tuple[tuple[str, str, float], ...]:
        """Return what sounds like a window, and remember it."""
        best: dict[tuple[str, str], float] = {}
        key = sound_key(window)
        if "-" in key or (1 < len(key) <= _LONGEST_SOUND and sum(map(len, window)) > 3):
            for probe in (key, *neighbours(key)):
                for form in self._sounds.get(probe, ()):
                    if form.id in self._groups and _other_number(window) == form.words:
                        continue  # one of the bunk lights is not their group
                    if (form.thing, form.id) not in best and form.words != window and _counts(window) == _counts(form.words):
                        alike = likeness(window, form.words)
                        if alike >= SOUND_LIKENESS:
                            best[form.thing, form.id] = alike
        if len(self._heard) >= _HEARD_WINDOWS:
            self._heard.clear()
        found = tuple((thing, thing_id, alike) for (thing, thing_id), alike in best.items())
        self._heard[window] = found
        return found
