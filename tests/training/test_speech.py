"""How the simulated people name things and say values."""

from random import Random

import pytest

from voice_rl_plugin.domain.frame import TAGS
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.understanding.colours import color_name, hvac_mode, white_kelvin
from voice_rl_plugin.understanding.numbers import han_number, parse_value
from voice_rl_plugin.understanding.text import normalise, words_of
from voice_rl_training.corpus.homes import random_home
from voice_rl_training.corpus.speech import Speaker, number_words

LANGUAGES = ("en", "zh")


def speaker(language: str, seed: int = 0) -> Speaker:
    """Return somebody in a random home."""
    rng = Random(seed)
    home = random_home(rng, language, "train")
    return Speaker(rng=rng, home=home, language=language, area=home.areas[0].id)


def words(pieces: list[tuple[str, str]]) -> tuple[str, ...]:
    """Return the tokens of some pieces."""
    return words_of(" ".join(text for text, _ in pieces))


@pytest.mark.parametrize("number", [0, 5, 10, 11, 19, 20, 21, 35, 90, 99, 100, 101, 110, 115, 250, 999])
def test_numbers_in_words_are_read_back(number: int) -> None:
    """What a speaker says in words, the daemon reads as that number."""
    value = parse_value(number_words(number, "en").split())

    assert value is not None
    assert value.amount == number
    assert han_number(number_words(number, "zh")) == number


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("prop", ["brightness", "volume", "temperature", "position", "speed", "color_temp"])
def test_every_value_that_is_said_can_be_read(language: str, prop: str) -> None:
    """A value is never lost between the corpus and the daemon, and is of a reasonable size."""
    one = speaker(language)
    for _ in range(150):
        said = one.value(prop)
        value = parse_value(words(said))
        assert value is not None, said
        assert 0 < value.amount <= (6500 if prop == "color_temp" else 100)
        step = one.delta(prop)
        assert parse_value(words(step)) is not None, step


@pytest.mark.parametrize("language", LANGUAGES)
def test_colours_whites_and_modes_can_be_read(language: str) -> None:
    """Every colour, white and mode that is said is known to the daemon."""
    one = speaker(language)
    for _ in range(100):
        assert color_name(words(one.color())) is not None
        assert white_kelvin(words(one.white())) is not None
        assert hvac_mode(words(one.mode())) is not None


@pytest.mark.parametrize("language", LANGUAGES)
def test_phrases_have_known_tags_and_words(language: str) -> None:
    """Whatever is named, the pieces have tags of the network and at least one word."""
    for seed in range(12):
        one = speaker(language, seed)
        for _ in range(30):
            for pieces in (
                one.target(["light", "fan", "cover", "media_player"]),
                one.time(),
                one.duration(),
                one.here(),
                one.content("song"),
                one.content("item"),
            ):
                assert {tag for _, tag in pieces} <= set(TAGS)
                assert not pieces or words(pieces)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_target_names_something_of_its_domain(language: str) -> None:
    """A phrase for a device holds a name, a noun or a room; a home without such devices has none."""
    one = speaker(language)

    assert Speaker(rng=Random(1), home=Home(), language=language, area=None).target(["light"]) == []
    for _ in range(60):
        tags = {tag for _, tag in one.target(["light"])}
        assert tags & {"NAME", "CLASS", "AREA"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_absent_is_absent(language: str) -> None:
    """A device or room that the home lacks does not bear the name of one that it has."""
    for seed in range(20):
        one = speaker(language, seed)
        names = {normalise(name) for e in one.home.exposed for name in (e.name, *e.aliases)}
        rooms = {normalise(name) for a in one.home.areas for name in (a.name, *a.aliases)}
        pieces, domain = one.absent("nodevice")
        assert domain
        assert normalise(pieces[-1][0]) not in names
        (room, tag), *_ = one.absent("noarea")[0]
        assert tag == "AREA"
        assert normalise(room) not in rooms


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_chance_says_the_same(language: str) -> None:
    """Speech depends on nothing but its source of chance."""

    def said(seed: int) -> list[object]:
        one = speaker(language, seed)
        return [(one.target(["light", "fan"]), one.value("brightness"), one.time()) for _ in range(20)]

    assert said(3) == said(3)
    assert said(3) != said(4)
