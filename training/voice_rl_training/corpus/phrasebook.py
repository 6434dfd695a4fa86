"""Reads the phrasebook: sentence frames as people really talk; docs/phrasebook.md is the form.

@ command turn_off power : light switch
(get rid of|lose) {target}[ now]
"""

import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES
from voice_rl_plugin.errors import ConfigError

FOLDER = Path(__file__).with_name("phrasebook")
HELD_OUT_VOICE = "stranger"
"""Never trained on: the development set."""
REASON_PLACES = ("reason", "reason_before", "reason_after")
ACTING_MOODS = frozenset({"command", "wish"})
SLOTS = frozenset(
    (
        "target name class classes area floor here it value number delta color white mode time duration song item nodevice noarea "
        "contact place language message text cuisine"
    ).split()
)
DOMAINS = frozenset("light switch fan media_player climate humidifier cover lock vacuum scene sensor any -".split())
_OWN_PROPERTY = {"fan": "speed", "climate": "temperature", "media_player": "media", "humidifier": "humidity"}
"""A power frame that names nothing says by its words which kind of device it means ("it's stuffy"): the property carries that."""
_NAMING_SLOTS = frozenset({"target", "name", "class", "classes", "area", "floor", "nodevice", "noarea"})
_INNERMOST = re.compile(r"\[([^\[\]()]*)\]|\(([^\[\]()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseFrame:
    """One line of the phrasebook."""

    text: str
    mood: str
    operation: str
    property: str
    domains: tuple[str, ...]
    language: str
    voice: str

    @builtins.property
    def slots(self) -> tuple[str, ...]:
        """Return the slots that the line may hold, in order."""
        return tuple(_SLOT.findall(self.text))

    @builtins.property
    def is_negative(self) -> bool:
        """Whether nothing may be done when it is heard."""
        return self.mood in ("prohibition", "report", "scheduled", "chat", "bare") or not {"nodevice", "noarea"}.isdisjoint(self.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrasebook:
    """All frames of a language, with what may stand before and after them."""

    frames: tuple[PhraseFrame, ...]
    openers: dict[str, tuple[str, ...]]
    """Phrases that may stand before a frame, by mood."""
    tails: dict[str, tuple[str, ...]]
    reasons: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What people say with a command, which is no part of it: by where it may stand, one of REASON_PLACES."""


def parse(text: str, *, language: str, voice: str, where: str) -> Phrasebook:
    """Read one voice.

    Raises:
        ConfigError: a line is not in the form of docs/phrasebook.md; the message names file and line.
    """
    frames: list[PhraseFrame] = []
    openers: dict[str, list[str]] = {}
    tails: dict[str, list[str]] = {}
    reasons: dict[str, list[str]] = {}
    header: tuple[str, str, str, tuple[str, ...]] | None = None
    edge: tuple[dict[str, list[str]], list[str]] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#")[0].rstrip() if not raw.startswith("@") else raw.strip()
        if not line.strip():
            continue
        place = f"{where}:{number}"
        if line.startswith("@"):
            words = line[1:].partition(":")[0].split()
            if words[:1] in (["opener"], ["tail"]):
                _check(set(words[1:]) <= set(MOODS) and len(words) > 1, place, f"moods out of {', '.join(MOODS)}", line)
                header, edge = None, (openers if words[0] == "opener" else tails, words[1:])
                continue
            if len(words) == 1 and words[0] in REASON_PLACES:
                header, edge = None, (reasons, words)
                continue
            domains = tuple(line.partition(":")[2].split())
            _check(len(words) == 3, place, "@ MOOD OPERATION PROPERTY : DOMAINS", line)
            _check(words[0] in MOODS, place, f"a mood out of {', '.join(MOODS)}", line)
            _check(words[1] in OPERATIONS, place, f"an operation out of {', '.join(OPERATIONS)}", line)
            _check(words[2] in PROPERTIES, place, f"a property out of {', '.join(PROPERTIES)}", line)
            _check(bool(domains) and set(domains) <= DOMAINS, place, f"domains out of {', '.join(sorted(DOMAINS))}", line)
            header, edge = (words[0], words[1], words[2], domains), None
            continue
        _check(line.count("[") == line.count("]") and line.count("(") == line.count(")"), place, "matching brackets", line)
        unknown = set(_SLOT.findall(line)) - SLOTS
        _check(not unknown, place, f"slots out of {', '.join(sorted(SLOTS))}", line)
        if edge is not None and edge[0] is reasons and edge[1] == ["reason"]:  # said alone, it is talk
            frames.append(_talk(line.strip(), language, voice))
        if edge is not None:
            for mood in edge[1]:
                edge[0].setdefault(mood, []).append(line if language == "en" and edge[0] is not reasons else line.strip())
        else:
            _check(header is not None, place, "a section header before the first frame", line)
            assert header is not None
            frames.append(
                PhraseFrame(
                    text=line.strip(),
                    mood=header[0],
                    operation=header[1],
                    property=_property(header[2], header[3], line),
                    domains=header[3],
                    language=language,
                    voice=voice,
                )
            )
    return Phrasebook(
        frames=tuple(frames),
        openers={mood: tuple(lines) for mood, lines in openers.items()},
        tails={mood: tuple(lines) for mood, lines in tails.items()},
        reasons={place: tuple(lines) for place, lines in reasons.items()},
    )


@cache
def load(language: str) -> dict[str, Phrasebook]:
    """Return the voices of a language by name."""
    return {
        path.stem: parse(path.read_text(encoding="utf-8"), language=language, voice=path.stem, where=str(path.name))
        for path in sorted((FOLDER / language).glob("*.phrases"))
    }


def expand(rng: Random, text: str) -> str:
    """Choose among the optional parts and alternatives of a line."""
    while match := _INNERMOST.search(text):
        if match.group(2) is not None:
            chosen = rng.choice(match.group(2).split("|"))
        else:
            chosen = rng.choice(match.group(1).split("|")) if rng.random() < 0.5 else ""
        text = text[: match.start()] + chosen + text[match.end() :]
    return re.sub(r" {2,}", " ", text)


def parts(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield the literal pieces (text, None) and the slots ("", name) of an expanded line."""
    position = 0
    for match in _SLOT.finditer(text):
        if match.start() > position:
            yield text[position : match.start()], None
        yield "", match.group(1)
        position = match.end()
    if position < len(text):
        yield text[position:], None


def _talk(text: str, language: str, voice: str) -> PhraseFrame:
    return PhraseFrame(text=text, mood="chat", operation="none", property="none", domains=("-",), language=language, voice=voice)


def _property(prop: str, domains: tuple[str, ...], line: str) -> str:
    if prop == "power" and "light" not in domains and _NAMING_SLOTS.isdisjoint(_SLOT.findall(line)):
        return _OWN_PROPERTY.get(domains[0], prop)
    return prop


def _check(is_right: object, place: str, expected: str, line: str) -> None:
    if not is_right:
        raise ConfigError(f"{place}: expected {expected}, got {line!r}")
