"""The phrasebook is in its form, large, and holds enough that must not act."""

from random import Random

import pytest

from voice_rl_plugin.errors import ConfigError
from voice_rl_training.corpus.phrasebook import FOLDER, HELD_OUT_VOICE, PhraseFrame, expand, load, parse, parts

VOICES = [path.relative_to(FOLDER) for path in sorted(FOLDER.glob("*/*.phrases"))]


def trained(language: str) -> list[PhraseFrame]:
    """Return the frames of a language that may be trained on."""
    return [frame for voice, book in load(language).items() if voice != HELD_OUT_VOICE for frame in book.frames]


@pytest.mark.parametrize("voice", VOICES, ids=str)
def test_every_voice_is_read_without_a_mistake(voice: object) -> None:
    """Each file parses and holds frames of several moods."""
    language, name = str(voice).removesuffix(".phrases").split("/")
    book = load(language)[name]

    assert len(book.frames) > 50
    assert len({frame.mood for frame in book.frames}) > 3 or book.reasons
    assert all(frame.voice == name and frame.language == language for frame in book.frames)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_phrasebook_is_large_and_has_negatives(language: str) -> None:
    """Without the stranger, a language has at least 2,000 frames of at least three voices, and at least 40 % must not act."""
    frames = trained(language)

    assert len(frames) >= 2000
    assert sum(frame.is_negative for frame in frames) / len(frames) >= 0.4
    assert len({frame.voice for frame in frames}) >= 3
    assert HELD_OUT_VOICE in load(language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_stranger_is_no_echo(language: str) -> None:
    """Of the voice that is never trained on, at least three frames in four are in no trained voice; the plainest are everybody's."""
    known = {frame.text for frame in trained(language)}
    stranger = load(language)[HELD_OUT_VOICE].frames

    assert sum(frame.text in known for frame in stranger) / len(stranger) < 0.25


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_frame_expands_to_words(language: str) -> None:
    """No bracket or brace is left, and no frame can become empty."""
    rng = Random(1)
    for book in load(language).values():
        for frame in book.frames:
            text = expand(rng, frame.text)
            literal = "".join(piece for piece, slot in parts(text) if slot is None)
            assert text.strip()
            assert not set(literal) & set("[](){}|"), (frame.voice, frame.text)


def test_parse_reads_sections_openers_and_tails() -> None:
    """A header opens a section; openers and tails belong to moods; comments are dropped."""
    book = parse(
        "# talk\n@ command turn_off power : light switch\nkill {target}  # rude\n\n@ prohibition turn_off power : light\nleave {target}\n@ opener command wish\nplease \n@ tail command\n mate\n",
        language="en", voice="me", where="me.phrases",
    )  # fmt: skip

    assert [(f.text, f.mood, f.operation, f.domains, f.is_negative) for f in book.frames] == [
        ("kill {target}", "command", "turn_off", ("light", "switch"), False),
        ("leave {target}", "prohibition", "turn_off", ("light",), True),
    ]
    assert set(book.openers) == {"command", "wish"}
    assert book.tails["command"] == (" mate",)


def test_parse_reads_reasons() -> None:
    """What people say with a command stands by its place; said alone, what may stand anywhere is talk."""
    text = "@ reason\nmum's popping round\n@ reason_before\nsince nobody's watching\n@ reason_after\nor i'll never get up\n"
    book = parse(text, language="en", voice="me", where="me.phrases")

    assert book.reasons == {
        "reason": ("mum's popping round",),
        "reason_before": ("since nobody's watching",),
        "reason_after": ("or i'll never get up",),
    }
    assert [(f.text, f.mood) for f in book.frames] == [("mum's popping round", "chat")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kill {target}", "section header"),
        ("@ order turn_off power : light\nx", "a mood out of"),
        ("@ command explode power : light\nx", "an operation out of"),
        ("@ command turn_off gravity : light\nx", "a property out of"),
        ("@ command turn_off power : spaceship\nx", "domains out of"),
        ("@ command turn_off power\nx", "domains out of"),
        ("@ command turn_off power : light\nkill [the {target}", "matching brackets"),
        ("@ command turn_off power : light\nkill {targt}", "slots out of"),
        ("@ opener loud\nhey", "moods out of"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(text: str, message: str) -> None:
    """A line that is not in the form is refused with its place and what was expected."""
    with pytest.raises(ConfigError, match=rf"me\.phrases:\d+: .*{message}"):
        parse(text, language="en", voice="me", where="me.phrases")


def test_a_frame_that_lacks_its_device_is_negative() -> None:
    """A command about what this home does not have must not act."""
    book = parse(
        "@ command turn_on power : light\nturn on {nodevice}\nlight in {noarea} on\nturn on {target}\n",
        language="en",
        voice="me",
        where="x",
    )

    assert [frame.is_negative for frame in book.frames] == [True, True, False]


def test_expand_chooses_every_alternative() -> None:
    """Choices and options, nested ones too, come out in all their forms."""
    rng = Random(3)

    assert {expand(rng, "(a|b)[ c]") for _ in range(100)} == {"a", "b", "a c", "b c"}
    assert {expand(rng, "x[ (y|z)]") for _ in range(100)} == {"x", "x y", "x z"}


def test_parts_by_hand() -> None:
    """A line is cut into its words and its slots, in order."""
    assert list(parts("set {target} to {value}")) == [("set ", None), ("", "target"), (" to ", None), ("", "value")]
