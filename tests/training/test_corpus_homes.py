"""Random homes: valid, repeatable, diverse, split by name, and sure of what they do not have."""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml

from voice_rl_plugin.domain.home import Area, Entity, Floor, Home
from voice_rl_plugin.understanding.kinds import kind_of, members_of
from voice_rl_plugin.understanding.text import is_han, words_of
from voice_rl_training.corpus import banks
from voice_rl_training.corpus.home_words import is_traditional, made_up_word
from voice_rl_training.corpus.homes import absent_area, absent_device, random_home

LANGUAGES = ("en", "zh")
SPLITS = ("train", "dev")
_DOMAINS = {
    "light", "switch", "fan", "media_player", "climate", "humidifier", "cover", "lock", "vacuum", "scene", "script", "sensor", "binary_sensor",
}  # fmt: skip
LEAST = {"floors": 40, "heads": 90, "modifiers": 300, "people": 200, "nicknames": 250, "scenes": 120, "sensors": 100, "rooms": 260}


def homes(language: str, split: str = "train", count: int = 300) -> Iterator[Home]:
    """Yield homes of consecutive seeds."""
    for seed in range(count):
        yield random_home(random.Random(seed), language, split)


def names_of(home: Home) -> list[str]:
    """Return every name and alias of a home."""
    things: list[Floor | Area | Entity] = [*home.floors, *home.areas, *home.entities]
    return [name for thing in things for name in (thing.name, *thing.aliases)]


def leaves(value: object) -> Iterator[str]:
    """Yield every word of a bank file."""
    if isinstance(value, dict):
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, str):
        yield from (word.strip() for word in value.split(",") if word.strip())


def words_in(bank: banks.Bank) -> set[str]:
    """Return every name of a bank."""
    pools: list[Iterable[str]] = [pool for groups in bank.heads.values() for pool in groups.values()]
    pools += [p for b in (bank.modifiers, bank.people, bank.nicknames, bank.scenes, bank.sensors, bank.outsiders) for p in b.values()]
    places = [place for b in (bank.rooms, bank.floors) for pool in b.values() for place in pool]
    pools += [(place.name, *place.aliases) for place in places]
    return {word.casefold() for pool in pools for word in pool}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_random_home_reads_back_from_its_mapping(language: str, split: str) -> None:
    """Every home is valid, and equal to what is read from its mapping, through YAML too."""
    for index, home in enumerate(homes(language, split)):
        mapping = home.to_mapping()

        assert Home.from_mapping(mapping) == home
        if index < 5:
            assert Home.from_mapping(yaml.safe_load(yaml.safe_dump(mapping, allow_unicode=True))) == home


@pytest.mark.parametrize("language", LANGUAGES)
def test_random_home_follows_from_its_generator(language: str) -> None:
    """Equal seeds give equal homes and equal absent names; the next seed gives another home."""
    first, second = random.Random(5), random.Random(5)
    home = random_home(first, language)

    assert random_home(second, language) == home
    assert absent_device(first, home, language, "train") == absent_device(second, home, language, "train")
    assert absent_area(first, home, language, "train") == absent_area(second, home, language, "train")
    assert random_home(random.Random(6), language) != home


@pytest.mark.parametrize("language", LANGUAGES)
def test_random_home_has_the_size_of_a_home(language: str) -> None:
    """Homes have 1 to 14 areas and 6 to 80 entities, mostly 10 to 35; ids are unique over all kinds."""
    counts = []
    for home in homes(language):
        assert 1 <= len(home.areas) <= 14
        assert len(home.floors) <= 6
        counts.append(len(home.entities))
        assert {member for entity in home.entities for member in entity.members} <= set(home.entity_by_id)
        assert all(s.media_player in home.entity_by_id for s in home.satellites if s.media_player)

    assert min(counts) >= 6
    assert max(counts) <= 80
    assert sum(10 <= count <= 35 for count in counts) > 0.7 * len(counts)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_random_home_never_has_one_name_twice_in_a_room(language: str, split: str) -> None:
    """Two entities that were put in one room differ in name, so a question can tell them apart."""
    for home in homes(language, split):
        named = [(entity.area, entity.name.casefold()) for entity in home.entities]

        assert len(named) == len(set(named))


@pytest.mark.parametrize("language", LANGUAGES)
def test_random_homes_differ_clearly(language: str) -> None:
    """2,000 homes have 2,000 different sets of names, thousands of device names, and every domain."""
    sets: set[frozenset[str]] = set()
    names: set[str] = set()
    domains: set[str] = set()
    members = 0
    for home in homes(language, count=2000):
        sets.add(frozenset(names_of(home)))
        names.update(entity.name.casefold() for entity in home.entities)
        domains.update(entity.domain for entity in home.entities)
        members += sum(bool(entity.members) for entity in home.entities)

    assert len(sets) == 2000
    assert len(names) > 15000
    assert members > 100
    assert domains >= _DOMAINS


@pytest.mark.parametrize("language", LANGUAGES)
def test_random_homes_have_the_hard_cases(language: str) -> None:
    """Some homes have names that recur across rooms, digits, unexposed and unplaced entities, limits, and states."""
    found = dict.fromkeys(("recurring", "digits", "unexposed", "unplaced", "limited", "states", "aliases", "no class"), 0)
    for home in homes(language):
        names = [entity.name for entity in home.entities]
        found["recurring"] += len(set(names)) < len(names)
        found["digits"] += any(c.isdigit() for name in names for c in name)
        found["unexposed"] += any(not entity.exposed for entity in home.entities)
        found["unplaced"] += any(entity.area is None for entity in home.entities)
        found["limited"] += any(entity.domain == "light" and "brightness" not in entity.abilities for entity in home.entities)
        found["states"] += any(entity.state is not None for entity in home.entities)
        found["aliases"] += any(entity.aliases for entity in home.entities)
        found["no class"] += any(entity.domain == "cover" and entity.device_class is None for entity in home.entities)

    assert min(found.values()) > 30, found


def test_random_homes_in_chinese_are_traditional_and_mixed_now_and_then() -> None:
    """About a fifth of the Chinese homes are in traditional characters; about a tenth are code-mixed."""
    all_homes = list(homes("zh", count=600))
    traditional = sum(any(map(is_traditional, names_of(home))) for home in all_homes)
    mixed = sum(sum(not any(map(is_han, e.name)) for e in home.entities) > 2 for home in all_homes)

    assert 0.14 < traditional / 600 < 0.27
    assert 0.03 < mixed / 600 < 0.3


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("traditional", [False, True])
def test_load_bank_keeps_the_splits_apart(language: str, traditional: bool) -> None:
    """No name but the generic ones is in both splits, in whatever bank."""
    train, dev = (banks.load_bank(language, split, traditional=traditional and language == "zh") for split in SPLITS)

    shared = words_in(train) & words_in(dev)

    assert shared <= train.generic
    assert len(words_in(dev)) > 200


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("split", SPLITS)
def test_made_up_words_stay_in_their_split(language: str, split: str) -> None:
    """Made-up words are split by their hash, like those of the banks."""
    rng = random.Random(1)

    assert {banks.is_dev(made_up_word(rng, language, split)) for _ in range(50)} == {split == "dev"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("bank", "least"), LEAST.items())
def test_banks_are_large(language: str, bank: str, least: int) -> None:
    """Each bank has the number of names that the diversity of the homes rests on."""
    loaded = getattr(banks.load_bank(language, "all"), bank)
    pools = [pool for groups in loaded.values() for pool in groups.values()] if bank == "heads" else list(loaded.values())

    assert sum(map(len, pools)) >= least


@pytest.mark.parametrize("path", sorted(banks.FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_banks_hold_texts_alone(path: Path) -> None:
    """No name is read as a boolean or a number by YAML, and every name has a token."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))

    def check(value: object) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                assert isinstance(key, str)
                check(one)
        else:
            assert value is None or isinstance(value, str)

    check(content)
    assert all(words_of(word) for word in leaves(content))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_absent_device_is_not_in_the_home(language: str, split: str) -> None:
    """An absent name has a word that no name of the home has; no home has a name made of the same words."""
    domains = set()
    for seed, home in enumerate(homes(language, split, 150)):
        rng = random.Random(seed)
        known = {word for name in names_of(home) for word in words_of(name)}
        spoken = " ".join("".join(words_of(name)) for name in names_of(home))
        for _ in range(5):
            text, domain = absent_device(rng, home, language, split)
            domains.add(domain)
            words = words_of(text)
            kind = kind_of(words)
            if language == "zh":
                assert "".join(words) not in spoken, (text, names_of(home))
            else:
                assert not set(words) <= known, (text, names_of(home))
            if kind and kind[2] == len(words):
                assert not members_of(kind[0], home.entities), (text, names_of(home))

    assert len(domains) >= 5


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_absent_area_is_not_in_the_home(language: str, split: str) -> None:
    """An absent room shares no word with any name of the home but for words such as room."""
    texts = set()
    for seed, home in enumerate(homes(language, split, 150)):
        known = {word for name in names_of(home) for word in words_of(name)}
        text = absent_area(random.Random(seed), home, language, split)
        texts.add(text)
        assert known.isdisjoint(set(words_of(text)) - {"room", "area", "the", "of", *"房间室区厅的"}), (text, names_of(home))

    assert len(texts) > 15


def test_load_bank_refuses_an_unknown_language() -> None:
    """A language without banks is an error that names it."""
    with pytest.raises(ValueError, match="'fr'"):
        banks.load_bank("fr", "train")
