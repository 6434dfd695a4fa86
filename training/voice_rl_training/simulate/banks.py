"""What simulated households say and how they name things: banks of their own, that the training corpus has no part in.

    banks/<language>.phrases    ways to ask, in the form of docs/phrasebook.md
    banks/<language>.yaml       names of homes, own names and own phrases, answers, what a recogniser mishears

tests/training/test_simulate_banks.py holds that no way to ask is a frame of the phrasebook or of Home Assistant's templates, and that no name is one
of corpus/names but for the plain nouns that everybody uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from voice_rl_plugin.errors import ConfigError
from voice_rl_training.corpus.phrasebook import ACTING_MOODS, PhraseFrame, parse

FOLDER = Path(__file__).with_name("banks")
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Idiom:
    """Something that a family says and no stranger understands."""

    operation: str
    property: str
    domain: str
    is_of_area: bool
    """Whether it means all devices of the domain in a room; else it means one device."""
    ways: tuple[str, ...]
    """The wordings, all of them meaning the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """All that households of one language say."""

    language: str
    frames: tuple[PhraseFrame, ...]
    homes: tuple[tuple[str, ...], ...]
    """The words of each home's names."""
    rooms: tuple[str, ...]
    nouns: Mapping[str, tuple[str, ...]]
    """Plain nouns of a device, by domain."""
    own_names: Mapping[str, tuple[str, ...]]
    """What a family calls a device, by domain."""
    idioms: tuple[Idiom, ...]
    values: Mapping[str, tuple[str, ...]]
    """Values in words, by slot or property: `color`, `percent`, `degree`."""
    phrases: Mapping[str, tuple[str, ...]]
    """Answers, ordinals, refusals, approvals and denials, by kind; `group` and `its` are how a group and a device are named."""
    misheard: Mapping[str, str]
    """What a recogniser hears instead of a word (English) or a character (Chinese)."""

    @property
    def asking(self) -> tuple[PhraseFrame, ...]:
        """Return the ways to ask for something."""
        return tuple(frame for frame in self.frames if frame.mood in ACTING_MOODS)

    @property
    def refused(self) -> tuple[PhraseFrame, ...]:
        """Return what must not be acted on; what names a thing without wanting it (a near miss) is among it."""
        return tuple(frame for frame in self.frames if frame.mood not in (*ACTING_MOODS, "feedback"))

    @property
    def near_misses(self) -> tuple[PhraseFrame, ...]:
        """Return what names a thing and wants nothing of it: "we saw beauty and the beast"."""
        return tuple(frame for frame in self.frames if frame.mood == "chat" and "name" in frame.slots)

    @property
    def correcting(self) -> tuple[PhraseFrame, ...]:
        """Return the ways to say what was meant instead."""
        return tuple(frame for frame in self.frames if frame.mood == "feedback")


@cache
def load_bank(language: str) -> Bank:
    """Return the bank of a language.

    Raises:
        ConfigError: there is none, or a file is damaged.
    """
    if language not in LANGUAGES:
        raise ConfigError(f"simulate: expected a language out of {', '.join(LANGUAGES)}, got {language!r}")
    book = parse(
        (FOLDER / f"{language}.phrases").read_text(encoding="utf-8"), language=language, voice="household", where=f"{language}.phrases"
    )
    root: Mapping[str, Any] = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return Bank(
        language=language,
        frames=book.frames,
        homes=tuple(_words(line) for line in root["homes"].values()),
        rooms=_words(root["rooms"]),
        nouns={domain: tuple(nouns) for domain, nouns in root["nouns"].items()},
        own_names={domain: _words(line) for domain, line in root["own_names"].items()},
        idioms=tuple(_idiom(entry) for entry in root["idioms"]),
        values={"color": tuple(root["colours"]), "percent": tuple(root["percents"]), "degree": tuple(str(one) for one in root["degrees"])},
        phrases={
            **{kind: tuple(root[kind]) for kind in ("answers", "ordinals", "refusals", "approvals", "denials")},
            **{kind: (root[kind],) for kind in ("group", "its")},
        },
        misheard=dict(root["misheard"]),
    )


def _words(line: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in line.split(",") if word.strip())


def _idiom(entry: Mapping[str, Any]) -> Idiom:
    operation, prop, domain, scope = entry["means"].split()
    return Idiom(operation=operation, property=prop, domain=domain, is_of_area=scope == "area", ways=tuple(entry["ways"]))
