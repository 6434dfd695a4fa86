"""The simulator's banks are large, say what they mean, and share nothing with what the base was trained on."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from random import Random

import pytest
import yaml

from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.understanding.numbers import parse_value
from voice_rl_plugin.understanding.text import normalise, words_of
from voice_rl_training.corpus import banks as corpus_banks
from voice_rl_training.corpus.build import frames_for
from voice_rl_training.corpus.phrasebook import load
from voice_rl_training.simulate.banks import LANGUAGES, load_bank
from voice_rl_training.simulate.homes import household_home

_SLOT = re.compile(r"\{\w+\}")
_CHOICE = re.compile(r"\[([^\[\]()]*)\]|\(([^\[\]()]*)\)")
_PIECE = re.compile(r"_|[a-z0-9']+|[\u4e00-\u9fff]")


def expansions(text: str) -> Iterator[str]:
    """Yield every sentence that a line of the phrasebook stands for."""
    match = _CHOICE.search(text)
    if match is None:
        yield text
        return
    ways = match.group(2).split("|") if match.group(2) is not None else [*match.group(1).split("|"), ""]
    for way in ways:
        yield from expansions(text[: match.start()] + way + text[match.end() :])


def skeleton(text: str) -> tuple[str, ...]:
    """Return the words of a frame with every slot the same, without punctuation."""
    return tuple(_PIECE.findall(normalise(_SLOT.sub(" _ ", text))))


@cache
def trained_skeletons(language: str) -> frozenset[tuple[str, ...]]:
    """Return the skeletons of the phrasebook, all voices, and of Home Assistant's templates."""
    frames = [frame for book in load(language).values() for frame in book.frames]
    for use in ("encoder", "scorer", "calibration"):
        frames += frames_for(language, use)[0]
    return frozenset(skeleton(one) for frame in frames for one in expansions(frame.text))


@cache
def edges(language: str) -> frozenset[tuple[str, ...]]:
    """Return what the phrasebook may say before and after a frame."""
    books = load(language).values()
    return frozenset(skeleton(line) for book in books for part in (book.openers, book.tails) for lines in part.values() for line in lines)


@cache
def trained_names() -> frozenset[str]:
    """Return every name of corpus/names but the plain nouns that both of its splits use."""
    found: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            found.update(str(key) for key in node)
            for value in node.values():
                walk(value)
        elif isinstance(node, str):
            found.update(part for part in re.split(r"\s*[,，]\s*", node) if part)

    for path in corpus_banks.FOLDER.glob("*.yaml"):
        if not path.stem.endswith("_generic"):
            walk(yaml.safe_load(path.read_text(encoding="utf-8")))
    return frozenset(normalise(name).strip() for name in found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_banks_are_large(language: str) -> None:
    """At least 150 ways to ask, 40 homes' worth of names with no word twice, and sentences that must not act."""
    bank = load_bank(language)

    assert len({frame.text for frame in bank.asking}) == len(bank.asking) >= 150
    assert len(bank.homes) >= 40
    words = [word for home in bank.homes for word in home]
    assert len(set(words)) == len(words)
    assert len(bank.refused) >= 40
    assert len(bank.near_misses) >= 10
    assert len(bank.idioms) >= 20
    assert all(len(set(idiom.ways)) == len(idiom.ways) >= 8 for idiom in bank.idioms)


def test_eighty_homes_bear_names_of_their_own() -> None:
    """Of eighty homes, forty a language, no two share the name of a device."""
    names = [
        {entity.name for entity in household_home(load_bank(language), number, Random(number)).entities}
        for language in LANGUAGES
        for number in range(40)
    ]

    assert len(names) == 80
    assert sum(len(one) for one in names) == len(set().union(*names))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_way_to_ask_is_one_of_the_corpus(language: str) -> None:
    """No frame is a frame of the phrasebook or of Home Assistant's templates, whatever stands in the slots, nor one with an opener or a tail."""
    known = trained_skeletons(language)
    around = edges(language)
    shared = []
    for frame in load_bank(language).frames:
        for one in expansions(frame.text):
            pieces = skeleton(one)
            starts = [pieces, *(pieces[len(edge) :] for edge in around if edge and pieces[: len(edge)] == edge)]
            cut = starts + [part[: -len(edge)] for part in starts for edge in around if edge and part[-len(edge) :] == edge]
            shared += [frame.text for part in cut if part in known]

    assert len(known) > 5000
    assert shared == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_is_one_of_the_corpus(language: str) -> None:
    """The words of homes are in no name of the corpus; an own name is none of them, and in English has a word that none of them has."""
    names = trained_names()
    tokens = {token for name in names for token in name.split()}
    bank = load_bank(language)

    assert len(names) > 5000
    assert [word for home in bank.homes for word in home if normalise(word) in names | tokens] == []
    own = [normalise(name) for pool in bank.own_names.values() for name in pool]
    assert [name for name in own if name in names] == []
    if language == "en":
        assert [name for name in own if set(name.split()) <= tokens] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_plain_nouns_are_everybodys(language: str) -> None:
    """Rooms and nouns of devices are the plain ones that the corpus calls generic."""
    generic = {normalise(word).strip() for word in yaml_words(f"{language}_generic")}
    bank = load_bank(language)

    nouns = [*bank.rooms, *(noun for domain, pool in bank.nouns.items() for noun in pool if domain != "scene")]
    assert [noun for noun in nouns if normalise(noun) not in generic] == []


def yaml_words(stem: str) -> list[str]:
    """Return the words of a generic bank."""
    text = yaml.safe_load((corpus_banks.FOLDER / f"{stem}.yaml").read_text(encoding="utf-8"))["words"]
    return [word for word in re.split(r"\s*[,，]\s*", text.strip()) if word]


@pytest.mark.parametrize("language", LANGUAGES)
def test_values_can_be_read(language: str) -> None:
    """Every value in words is one that the daemon understands, and differs from the next one."""
    bank = load_bank(language)
    for kind in ("percent", "degree"):
        read = [parse_value(words_of(value)) for value in bank.values[kind]]

        assert None not in read
        assert all(a != b for a, b in pairwise(read))


def test_an_unknown_language_is_an_error() -> None:
    """There are two languages, and a third one is named."""
    with pytest.raises(ConfigError, match="expected a language out of en, zh, got 'fr'"):
        load_bank("fr")
