"""Home Assistant's templates as a voice of the phrasebook."""

import re
from random import Random

import pytest

from voice_rl_training.corpus.phrasebook import SLOTS, PhraseFrame, parse
from voice_rl_training.corpus.templates import VOICE, lines, template_frames


@pytest.fixture(scope="module", params=["en", "zh"])
def frames(request: pytest.FixtureRequest) -> tuple[PhraseFrame, ...]:
    """The frames of one language."""
    return template_frames(Random(1), request.param)


def test_frames_are_many_distinct_and_within_the_limit(frames: tuple[PhraseFrame, ...]) -> None:
    """Each text stands once; there are a few thousand at most."""
    assert 1500 <= len(frames) <= 3000
    assert len({frame.text for frame in frames}) == len(frames)
    assert {frame.voice for frame in frames} == {VOICE}


def test_frames_read_back_as_a_phrasebook_file(frames: tuple[PhraseFrame, ...]) -> None:
    """Written as a file and parsed again, no line is refused and no label is lost."""
    language = frames[0].language

    book = parse(lines(frames), language=language, voice=VOICE, where="templates")

    assert {(f.text, f.mood, f.operation, f.domains) for f in book.frames} == {(f.text, f.mood, f.operation, f.domains) for f in frames}


def test_frames_hold_known_slots_and_no_template_syntax(frames: tuple[PhraseFrame, ...]) -> None:
    """Every list became a slot of the phrasebook; no bracket, rule or unit is left over."""
    for frame in frames:
        assert set(frame.slots) <= SLOTS
        assert not re.search(r"[\[\]()<>|;%]", frame.text), frame.text
        assert not re.search(r"\} ?(?:percent|degrees?|度)\b", frame.text), frame.text


def test_frames_cover_what_home_assistant_can_do(frames: tuple[PhraseFrame, ...]) -> None:
    """Lights, covers, locks, values, volume, media, cleaning, questions and timers are all there."""
    sections = {(frame.mood, frame.operation, frame.property) for frame in frames}

    assert {
        ("command", "turn_on", "power"),
        ("command", "turn_off", "power"),
        ("command", "open", "position"),
        ("command", "close", "position"),
        ("command", "unlock", "lock"),
        ("command", "set", "brightness"),
        ("command", "set", "color"),
        ("command", "set", "color_temp"),
        ("command", "set", "temperature"),
        ("command", "raise", "volume"),
        ("command", "lower", "volume"),
        ("command", "pause", "media"),
        ("command", "start", "cleaning"),
        ("command", "handover", "timer"),
        ("question", "query", "state"),
        ("feedback", "cancel", "none"),
    } <= sections


def test_frames_mean_what_their_words_say() -> None:
    """The verb of a lock locks, a switched-on lamp turns on, a bare name is no request."""
    english = {frame.text: frame for frame in template_frames(Random(2), "en")}
    chinese = {frame.text: frame for frame in template_frames(Random(2), "zh")}

    assert all(frame.operation == "unlock" for text, frame in english.items() if text.startswith("unlock "))
    assert all("off" not in text.split() for text, frame in english.items() if frame.operation == "turn_on")
    assert all(not re.search("关|關", text) for text, frame in chinese.items() if frame.operation == "turn_on")
    assert not {"{name}", "{target}", "my {name}"} & (english.keys() | chinese.keys())


def test_frames_are_the_same_for_the_same_seed() -> None:
    """Sampling depends on the generator alone."""
    assert template_frames(Random(5), "zh", most=200) == template_frames(Random(5), "zh", most=200)
    assert template_frames(Random(5), "zh", most=200) != template_frames(Random(6), "zh", most=200)
