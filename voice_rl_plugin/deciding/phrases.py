"""Own phrases: what a family says and no stranger understands, and a correction has explained once: "it's film o'clock".

Memory knows the very words; here the phrase is found again in other words around it: "film o'clock, everyone", 同志们熄灯号吹了. A phrase that
was taught is compared with what was said by the words that carry it, and by their order; filler weighs nothing.

    taught, said -> units (words and pairs of them) with weights -> share of all that they have in common -> act, ask, or nothing
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

from voice_rl_plugin.deciding.memory import MemoryEntry
from voice_rl_plugin.understanding.features import Observation
from voice_rl_plugin.understanding.kinds import noun_kinds
from voice_rl_plugin.understanding.numbers import parse_value
from voice_rl_plugin.understanding.strange import rarity
from voice_rl_plugin.understanding.text import is_han

ACT_SHARE = 0.6
"""From this share on, a phrase that is long enough is the one that was taught."""
CORE_SHARE = 0.5
"""The same for one that was taught in two wordings: what they have in common is its core."""
ASK_SHARE = 0.34
LEAST_TOLD = 2.9
"""Weight that must be in common to act after one correction: two words, or a pair of them. One word alone is asked about first."""
LEAST_CORE = 1.9
LEAST_ASKED = 1.4
_PAIR = 1.0
_HALF_PAIR = 0.5
"""What a Chinese character that says something weighs more for the filler that it stands beside."""
_CHARACTER = 0.5
"""What a Chinese character weighs of an English word."""
_VARIABLE = 0.3
"""What is left of the weight of a word that one wording has and another has not."""
_DENIALS = frozenset("no not dont never without cant wont isnt arent stop wrong 不 没 别 勿 莫 甭 休".split())
_DIRECTIONS = frozenset(
    "on off up down open close shut lock unlock louder quieter brighter dimmer warmer cooler hotter colder faster slower start pause play "
    "mute red green blue later tomorrow 开 关 亮 暗 高 低 停 锁".split()
)
"""Words that turn a phrase into another command: one that was not taught with them is not the one that was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseMatch:
    """A phrase that was taught, found in what was said."""

    entry: MemoryEntry
    """The wording that is nearest."""
    share: float
    """Of the weight of both, what they have in common; in (0, 1]."""
    is_sure: bool
    """Whether it may act; else it may be asked about."""


def units_of(words: Sequence[str]) -> dict[tuple[str, ...], float]:
    """Return what a phrase is recognised by, with weights: its words, and its pairs of neighbours.

    Words count by how rare they are, fillers not at all; a Chinese character says little alone, a pair of them much.
    """
    units: dict[tuple[str, ...], float] = {}
    weights = [rarity(word) for word in words]
    for word, weight in zip(words, weights, strict=True):
        if weight:
            units[(word,)] = weight * (_CHARACTER if is_han(word) else 1.0)
    for (word, after), (weight, next_weight) in zip(pairwise(words), pairwise(weights), strict=True):
        if weight and next_weight:
            units[(word, after)] = _PAIR
        elif (weight or next_weight) and is_han(word) and is_han(after):
            units[(word, after)] = _HALF_PAIR
    return units


@dataclass(slots=True)
class _Taught:
    """One wording that was taught, with the others that mean the same and resemble it."""

    entry: MemoryEntry
    units: Mapping[tuple[str, ...], float]
    siblings: list["_Taught"] = field(default_factory=list)

    def share_of(self, said: Mapping[tuple[str, ...], float], told: float) -> float:
        """Return the share of the weight of both that is in common; what varies between wordings counts little."""
        missing = sum(weight * self._stays(unit) * len(unit) ** -1 for unit, weight in self.units.items() if unit not in said)
        added = sum(weight * self._is_new(unit) for unit, weight in said.items() if unit not in self.units and len(unit) == 1)
        return told / (told + missing + added)

    def _stays(self, unit: tuple[str, ...]) -> float:
        return _VARIABLE if self.siblings and not any(unit in other.units for other in self.siblings) else 1.0

    def _is_new(self, unit: tuple[str, ...]) -> float:
        return _VARIABLE if any(unit in other.units for other in self.siblings) else 1.0


class Phrases:
    """The wordings that were learned by heart, ready to be compared with what is said.

    Args:
        entries: what was learned.
        observe: how some words look in this home; what names a device, a room or a value is a command, and no phrase.
    """

    def __init__(self, entries: Iterable[MemoryEntry], *, observe: Callable[[str], Observation]) -> None:
        self._known = cache(lambda words: _home_words(observe(words)))
        self._taught = [_Taught(entry, units_of(entry.words.split())) for entry in entries if not entry.is_contested]
        meanings: dict[tuple[str, ...], list[_Taught]] = {}
        for one in self._taught:
            meanings.setdefault(tuple(action.key for action in one.entry.actions), []).append(one)
        held: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for meaning, alike in meanings.items():
            for unit in {unit for one in alike for unit in one.units}:
                held.setdefault(unit, set()).add(meaning)
        for one in self._taught:  # what stands in phrases of different meanings tells none of them: it is a name, or small talk
            one.units = {unit: weight for unit, weight in one.units.items() if len(held[unit]) == 1}
        for alike in meanings.values():
            for one in alike:
                one.siblings += [other for other in alike if other is not one and _in_common(one.units, other.units) >= LEAST_CORE]

    def __len__(self) -> int:
        return len(self._taught)

    def find(self, observation: Observation, area: str | None, *, fits: Callable[[MemoryEntry], bool]) -> PhraseMatch | None:
        """Return the taught phrase that an utterance is most likely a wording of, or None.

        Args:
            observation: what was said.
            area: where; a phrase that was taught elsewhere is never sure.
            fits: whether a wording that resembles it is a phrase of the family's own, and asks for nothing else.
        """
        words = [word for word in observation.words if word not in (",", "?")]
        said = units_of(words)
        found = []
        for one in self._taught:
            told = _in_common(one.units, said)
            if told >= LEAST_ASKED and (share := one.share_of(said, told)) >= ASK_SHARE:
                found.append((share, told, one))
        for share, told, one in sorted(found, key=lambda item: -item[0]):
            entry = one.entry
            if self._known(entry.words) or not self._may_be(entry, words, observation) or not fits(entry):
                continue
            if not entry.actions:
                return None  # the nearest of what was taught is to be refused
            is_sure = (share >= ACT_SHARE and told >= LEAST_TOLD) or (bool(one.siblings) and share >= CORE_SHARE and told >= LEAST_CORE)
            is_here = entry.area is None or entry.area == area
            return PhraseMatch(entry=entry, share=share, is_sure=is_sure and is_here and "?" not in observation.words)
        return None

    def _may_be(self, entry: MemoryEntry, words: Sequence[str], observation: Observation) -> bool:
        """Whether nothing in an utterance makes it another request: a denial, a direction, a device, a room or a value."""
        taught = set(entry.words.split())
        if any(word not in taught for word in words if word in _DENIALS or word in _DIRECTIONS):
            return False
        return not _home_words(observation)


def _in_common(units: Mapping[tuple[str, ...], float], others: Mapping[tuple[str, ...], float]) -> float:
    return sum(weight for unit, weight in units.items() if unit in others)


def _home_words(observation: Observation) -> frozenset[str]:
    """Return the words that name something of the home, a kind of device, or a value."""
    words = observation.words
    named = {i for m in observation.matches if m.form in ("full", "stripped") for i in range(m.start, m.end)}
    nouns = noun_kinds()
    named |= {
        i
        for start in range(len(words))
        for end in range(start + 1, min(len(words), start + 3) + 1)
        if words[start:end] in nouns
        for i in range(start, end)
    }
    named |= {
        i for i, word in enumerate(words) if (word.isdigit() or (rarity(word) and not is_han(word))) and parse_value((word,)) is not None
    }
    return frozenset(words[i] for i in named)
