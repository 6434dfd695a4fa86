"""Colours, whites, modes, and the nouns of devices."""

import pytest

from voice_rl_plugin.domain.home import Entity
from voice_rl_plugin.understanding.colours import COLORS, HVAC_MODES, WHITES, color_name, hvac_mode, white_kelvin
from voice_rl_plugin.understanding.kinds import KIND_BY_NAME, KINDS, LONGEST_NOUN, bears_kind, is_door, kind_of, members_of, noun_kinds
from voice_rl_plugin.understanding.text import is_han, words_of


def entity(entity_id: str, name: str, device_class: str | None = None) -> Entity:
    """Return an entity."""
    return Entity(id=entity_id, name=name, device_class=device_class)


LAMPS = (entity("light.a", "Desk Lamp"), entity("light.b", "Chandelier"), entity("light.c", "落地灯"))


@pytest.mark.parametrize(
    ("phrase", "name"),
    [
        ("red", "red"),
        ("light blue", "skyblue"),
        ("dark blue", "navy"),
        ("a deep purple", "purple"),
        ("蓝色", "blue"),
        ("天蓝色", "skyblue"),
        ("粉红色", "pink"),
        ("loud", None),
    ],
)
def test_colours(phrase: str, name: str | None) -> None:
    """The longest colour name inside a phrase is meant."""
    assert color_name(words_of(phrase)) == name


@pytest.mark.parametrize(
    ("phrase", "kelvin"),
    [("warm white", 2700), ("cool white", 6000), ("daylight", 5500), ("暖白", 2700), ("冷光", 6000), ("自然光", 4000), ("red", None)],
)
def test_whites(phrase: str, kelvin: int | None) -> None:
    """A shade of white is a colour temperature."""
    assert white_kelvin(words_of(phrase)) == kelvin


@pytest.mark.parametrize(
    ("phrase", "mode"),
    [
        ("heating", "heat"),
        ("cool", "cool"),
        ("fan only", "fan_only"),
        ("制冷", "cool"),
        ("除湿", "dry"),
        ("自动", "auto"),
        ("purple", None),
    ],
)
def test_modes(phrase: str, mode: str | None) -> None:
    """A climate mode is Home Assistant's word for it."""
    assert hvac_mode(words_of(phrase)) == mode


def test_every_name_of_a_colour_means_that_colour() -> None:
    """No colour, white or mode hides behind the name of another."""
    assert [n for key, names in COLORS.items() for n in names if color_name(words_of(n)) != key] == []
    assert [n for key, names in WHITES.items() for n in names if white_kelvin(words_of(n)) != key] == []
    assert [n for key, names in HVAC_MODES.items() for n in names if hvac_mode(words_of(n)) != key] == []


@pytest.mark.parametrize(
    ("phrase", "name", "is_plural", "length"),
    [
        ("the kitchen lights", "light", True, 1),
        ("light bulb", "bulb", False, 2),
        ("garage door", "garage_door", False, 2),
        ("garage doors", "garage_door", True, 2),
        ("robot vacuum", "vacuum", False, 2),
        ("客厅的灯", "light", False, 1),
        ("卧室吊灯", "pendant", False, 2),
        ("扫地机器人", "vacuum", False, 5),
        ("吊扇", "fan", False, 2),
    ],
)
def test_nouns(phrase: str, name: str, is_plural: bool, length: int) -> None:
    """A phrase is of the kind that its longest final noun names."""
    found = kind_of(words_of(phrase))

    assert found == (KIND_BY_NAME[name], is_plural, length)


def test_words_without_a_noun_name_no_kind() -> None:
    """A phrase that ends in no device noun has no kind."""
    assert kind_of(("the", "lights", "please")) is None
    assert kind_of(()) is None


def test_every_noun_names_a_kind_in_its_own_language() -> None:
    """Nouns are short enough to be found, and each kind has one; what only one language has a noun for is called by its name in the other."""
    assert all(1 <= len(noun) <= LONGEST_NOUN for noun in noun_kinds())
    assert all(kind.singular or kind.plural or kind.chinese for kind in KINDS)
    assert all(is_han(noun) for kind in KINDS for noun in kind.chinese)


def test_a_generic_noun_means_the_whole_domain() -> None:
    """灯 and "lights" are all lights, whatever they are called."""
    assert members_of(KIND_BY_NAME["light"], LAMPS) == LAMPS


def test_a_special_noun_means_those_that_bear_it() -> None:
    """In speech, "the lamps" are the lights called lamp, where any is; else all lights."""
    assert members_of(KIND_BY_NAME["lamp"], LAMPS) == (LAMPS[0],)
    assert members_of(KIND_BY_NAME["bulb"], LAMPS) == LAMPS


def test_a_strict_noun_never_means_the_rest_of_the_domain() -> None:
    """In speech, "the tv" is not the radio, and "the speaker" is not the tv."""
    assert members_of(KIND_BY_NAME["floor_lamp"], LAMPS) == (LAMPS[2],)
    assert members_of(KIND_BY_NAME["pendant"], LAMPS) == ()
    radio, tv = entity("media_player.r", "Radio"), entity("media_player.t", "Samsung", "tv")

    assert members_of(KIND_BY_NAME["tv"], (radio,)) == ()
    assert members_of(KIND_BY_NAME["tv"], (radio, tv)) == (tv,)
    assert members_of(KIND_BY_NAME["speaker"], (radio, tv)) == (radio,)


def test_window_coverings_are_no_doors() -> None:
    """In speech, "the curtains" may mean a blind, never a garage door or a window."""
    blind, garage, window = (
        entity("cover.b", "Roller", "blind"),
        entity("cover.g", "Gate 2", "garage"),
        entity("cover.w", "Skylight", "window"),
    )

    assert members_of(KIND_BY_NAME["curtain"], (blind, garage, window)) == (blind,)
    assert is_door(garage)
    assert not is_door(blind)
    assert is_door(entity("cover.x", "车库门"))
    assert not is_door(entity("lock.x", "Front Door"))


def test_a_name_bears_its_kind() -> None:
    """Device class, name or alias says the kind, in either language, as whole English words."""
    assert bears_kind(entity("cover.x", "North", "blind"), KIND_BY_NAME["blind"])
    assert bears_kind(entity("light.x", "床头夜灯"), KIND_BY_NAME["night_light"])
    assert not bears_kind(entity("light.x", "Clamp"), KIND_BY_NAME["lamp"])
