"""The name banks that random homes draw from, split into names for training and names for development.

    names/<language>_rooms.yaml       use: {name: "alias, alias"}
    names/<language>_floors.yaml      level: {name: "alias, alias"}
    names/<language>_heads.yaml       domain: {group: "noun, noun"}       a group is a device class, or the use of a room
    names/<language>_modifiers.yaml   sort: "word, word"                  position, spot, shape, brand, model, colour, purpose ...
    names/<language>_people.yaml      sort: "name, name"
    names/<language>_nicknames.yaml   domain or any: "name, name"
    names/<language>_scenes.yaml      sort: "name, name"
    names/<language>_sensors.yaml     device class: "name, name"
    names/<language>_outsiders.yaml   domain: "name, name"                things that few homes have
    names/<language>_generic.yaml     words: "word, word"                 nouns that both splits may use
    names/<language>_beyond.yaml      slot: {sort: "name, name"}          contacts, places, messages ...; the sort `common` is in both splits
    names/zh_traditional.yaml         simplified: traditional wording

A name belongs to the split of its hash, in whatever bank it stands, so no name of one split can be met in the other.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).with_name("names")
_COMMA = re.compile(r"\s*[,，]\s*")
_DEV_PERCENT = 15

Pools = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A room or a floor with the other names that people have for it."""

    name: str
    aliases: tuple[str, ...]
    """The aliases of this split."""
    family: tuple[str, ...]
    """The name and every alias, of both splits."""
    use: str
    """What a room is used for, or the level of a floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """The names of one language and one split."""

    language: str
    split: str
    rooms: Mapping[str, tuple[Place, ...]]
    floors: Mapping[str, tuple[Place, ...]]
    heads: Mapping[str, Pools]
    """Device nouns by domain and group."""
    modifiers: Pools
    people: Pools
    nicknames: Pools
    scenes: Pools
    sensors: Pools
    outsiders: Pools
    generic: frozenset[str]
    """The nouns that both splits use, in lower case."""
    _common: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def common_places(self, pool: tuple[Place, ...]) -> tuple[Place, ...]:
        """Return the places of one of this bank's pools that have a generic name."""
        return tuple(place for place in pool if place.name.casefold() in self.generic)

    def common_of(self, pool: tuple[str, ...]) -> tuple[str, ...]:
        """Return the generic names of one of this bank's pools."""
        found = self._common.get(id(pool))
        if found is None:
            found = self._common[id(pool)] = tuple(name for name in pool if name.casefold() in self.generic)
        return found


def is_dev(name: str) -> bool:
    """Whether a name is kept for development homes; generic names are used by both splits."""
    return zlib.crc32(name.casefold().encode()) % 100 < _DEV_PERCENT


@cache
def load_bank(language: str, split: str, *, traditional: bool = False) -> Bank:
    """Return the names of a language and a split.

    Args:
        language: `en` or `zh`.
        split: `train`, `dev`, or `all`.
        traditional: whether Chinese names are in traditional characters and in the words of Taiwan and Hong Kong.

    Raises:
        ValueError: there are no banks for the language, or the split is unknown.
    """
    if language not in ("en", "zh") or split not in ("train", "dev", "all"):
        raise ValueError(f"expected language en or zh and split train, dev or all; got {language!r} and {split!r}")
    table: Mapping[str, str] = _read("zh_traditional") if traditional else {}
    generic = frozenset(word.casefold() for word in _words(_read(f"{language}_generic")["words"]))

    def belongs(name: str) -> bool:
        return split == "all" or name.casefold() in generic or is_dev(name) == (split == "dev")

    def word(name: str) -> str:
        return table.get(name, name)

    def pools(bank: str) -> Pools:
        return {sort: tuple(word(w) for w in _words(text) if belongs(w)) for sort, text in _read(f"{language}_{bank}").items()}

    return Bank(
        language=language,
        split=split,
        rooms=_places(_read(f"{language}_rooms"), belongs, word),
        floors=_places(_read(f"{language}_floors"), belongs, word),
        heads={
            domain: {group: names for group, text in groups.items() if (names := tuple(word(w) for w in _words(text) if belongs(w)))}
            for domain, groups in _read(f"{language}_heads").items()
        },
        modifiers=pools("modifiers"),
        people=pools("people"),
        nicknames=pools("nicknames"),
        scenes=pools("scenes"),
        sensors=pools("sensors"),
        outsiders=pools("outsiders"),
        generic=frozenset(word(w).casefold() for w in generic),
    )


@cache
def load_beyond(language: str, split: str) -> Mapping[str, Pools]:
    """Return what stands for the slots of calls, messages, routes, translations and restaurants: by slot, then by sort."""
    return {
        slot: {
            sort: tuple(w for w in _words(text) if split == "all" or sort == "common" or is_dev(w) == (split == "dev"))
            for sort, text in sorts.items()
        }
        for slot, sorts in _read(f"{language}_beyond").items()
    }


def _places(
    uses: Mapping[str, Mapping[str, str | None]], belongs: Callable[[str], bool], word: Callable[[str], str]
) -> Mapping[str, tuple[Place, ...]]:
    places: dict[str, tuple[Place, ...]] = {}
    for use, entries in uses.items():
        places[use] = tuple(
            Place(
                name=word(name),
                aliases=tuple(word(a) for a in _words(text) if belongs(a)),
                family=tuple(word(w) for w in (name, *_words(text))),
                use=use,
            )
            for name, text in entries.items()
            if belongs(name)
        )
    return places


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word for word in _COMMA.split((text or "").strip()) if word)


@cache
def _read(name: str) -> Any:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
