"""Names of devices and rooms that a home certainly does not have: what is said in vain."""

import random
from functools import cache, lru_cache

from voice_rl_plugin.domain.home import Area, Entity, Floor, Home
from voice_rl_plugin.understanding.kinds import KINDS, Kind, members_of
from voice_rl_plugin.understanding.sounds import sound_of_word
from voice_rl_plugin.understanding.text import is_han, words_of
from voice_rl_training.corpus.banks import Bank, load_bank
from voice_rl_training.corpus.home_words import is_traditional, made_up_word, pick

_TRIES = 60
_VAGUE_KINDS = frozenset({"music", "movie", "thermostat", "device", "scene", "light", "switch", "bulb", "lamp"})
"""Kinds whose nouns mean too many things for one of them to be missing."""
_DOMAINS = {"light": 8, "switch": 2, "media_player": 2, "fan": 1, "cover": 2, "climate": 1}
_ROOM_NOUNS = frozenset({"room", "area", "the", "of", *"房间室区厅的"})


def absent_device(rng: random.Random, home: Home, language: str, split: str) -> tuple[str, str]:
    """Return the name of a device that this home certainly does not have, and the domain it would be of.

    The name shares no word with any name of the home, and no word that sounds like one, but for nouns such as "light";
    or it is the noun of a kind that the home has no device of.
    """
    bank = load_bank(language, split, traditional=_has_traditional_names(home))
    known = _known_words(home)
    if rng.random() < 0.2 and (found := _absent_kind(rng, home, bank, known)):
        return found
    sounds = frozenset(map(_sound, known))
    generic = _generic_words(language)
    for _ in range(_TRIES):
        text, domain = _any_device(rng, bank)
        if _is_absent(text, known, sounds, generic):
            return text, domain
    return made_up_word(rng, language, split, barred=known), "light"


def absent_area(rng: random.Random, home: Home, language: str, split: str) -> str:
    """Return the name of a room that this home certainly does not have, under no other name that the banks know either."""
    bank = load_bank(language, split, traditional=_has_traditional_names(home))
    known = _known_words(home)
    sounds = frozenset(map(_sound, known))
    pools = tuple(pool for pool in bank.rooms.values() if pool)
    for _ in range(_TRIES):
        place = rng.choice(rng.choice(pools))
        if all(_is_absent(name, known, sounds, _ROOM_NOUNS) for name in place.family):
            return place.name
    word = made_up_word(rng, language, split, barred=known)
    return f"{word}房" if language == "zh" else f"{word} room"


def _any_device(rng: random.Random, bank: Bank) -> tuple[str, str]:
    """Return a device that some home may have: a rare one, a person's, a room's, a described or a nicknamed one."""
    han = bank.language == "zh"
    domain = rng.choices(tuple(_DOMAINS), tuple(_DOMAINS.values()))[0]
    head = rng.choice(rng.choice(tuple(bank.heads[domain].values())))
    chance = rng.random()
    if chance < 0.45:
        return pick(rng, bank.outsiders.get(domain, ())) or head, domain
    if chance < 0.6:
        owner = rng.choice(bank.people["person"])
        return (f"{owner}的{head}" if han else f"{owner}'s {head}"), domain
    if chance < 0.9:
        if chance < 0.75:
            word = pick(rng, [place.name for place in bank.rooms[rng.choice(tuple(bank.rooms))]])
        else:
            word = rng.choice(bank.modifiers[rng.choice(("spot", "material", "purpose"))])
        return (word + head if han else f"{word} {head}"), domain
    return rng.choice(bank.nicknames["any"]), domain


def _absent_kind(rng: random.Random, home: Home, bank: Bank, known: frozenset[str]) -> tuple[str, str] | None:
    """Return the noun of a kind that the home has no device of, if the bank has it."""
    domains = {entity.domain for entity in home.entities}
    text = " ".join("".join(words_of(name)) for name in _all_names(home)) if bank.language == "zh" else ""
    found: list[tuple[str, str]] = []
    for kind, nouns in _kind_nouns(bank.language, bank.split, traditional=_has_traditional_names(home)):
        if domains & kind.domains and (not kind.strict or members_of(kind, home.entities)):
            continue
        if bank.language == "zh":
            named = any(noun in text for noun in kind.chinese)
        else:
            named = any(not known.isdisjoint(map(_stem, words_of(noun))) for noun in (*kind.singular, *kind.plural))
        if not named:
            found.extend(nouns)
    return rng.choice(found) if found else None


@cache
def _kind_nouns(language: str, split: str, *, traditional: bool) -> tuple[tuple[Kind, tuple[tuple[str, str], ...]], ...]:
    """Return each kind that can be missing with the bank's nouns for it and their domains."""
    heads = load_bank(language, split, traditional=traditional).heads
    ours = [(text, domain) for domain, groups in heads.items() for pool in groups.values() for text in pool]
    kinds = []
    for kind in KINDS:
        nouns = {words_of(noun) for noun in (*kind.singular, *kind.plural, *kind.chinese)}
        found = tuple((text, domain) for text, domain in ours if domain in kind.domains and words_of(text) in nouns)
        if found and kind.name not in _VAGUE_KINDS:
            kinds.append((kind, found))
    return tuple(kinds)


def _all_names(home: Home) -> list[str]:
    things: list[Floor | Area | Entity] = [*home.floors, *home.areas, *home.entities]
    return [name for thing in things for name in (thing.name, *thing.aliases)]


def _known_words(home: Home) -> frozenset[str]:
    return frozenset(word for name in _all_names(home) for word in _stems(name))


def _is_absent(text: str, known: frozenset[str], sounds: frozenset[str], generic: frozenset[str]) -> bool:
    """Whether a text has a word of its own, and none that the home has or that sounds like one of its words."""
    content = [word for word in _stems(text) if word not in generic]
    return bool(content) and known.isdisjoint(content) and sounds.isdisjoint(map(_sound, content))


@lru_cache(maxsize=65536)
def _stems(text: str) -> tuple[str, ...]:
    return tuple(map(_stem, words_of(text)))


def _stem(word: str) -> str:
    """Return an English word without the plural's s."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _sound(word: str) -> str:
    """Return the sound of a word; short English words have too little of one to count."""
    return sound_of_word(word) if is_han(word) or len(word) > 3 else word


@cache
def _generic_words(language: str) -> frozenset[str]:
    """Return the words that say what sort of device it is, and no more."""
    nouns = [noun for kind in KINDS for noun in (*kind.singular, *kind.plural, *kind.chinese)]
    heads = [text for groups in load_bank(language, "all").heads.values() for pool in groups.values() for text in pool]
    return frozenset(word for noun in (*nouns, *heads, "the", "的", "room", "area") for word in _stems(noun))


def _has_traditional_names(home: Home) -> bool:
    return home.language == "zh" and any(map(is_traditional, _all_names(home)))
