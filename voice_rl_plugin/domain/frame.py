"""A frame: what one clause of an utterance means, before it is matched to a home."""

from collections.abc import Mapping
from dataclasses import dataclass

MOODS = ("command", "wish", "question", "prohibition", "report", "scheduled", "chat", "bare", "feedback")
"""What the speaker does with a clause; only a command or a wish may act, and a question may be answered."""

OPERATIONS = (
    "none turn_on turn_off toggle set raise lower open close play pause stop next previous mute unmute lock unlock start dock activate "
    "query same handover yes no undo cancel correct"
).split()

PROPERTIES = (
    "none power brightness color color_temp volume media temperature humidity mode position speed lock cleaning scene state any "
    "timer list weather clock broadcast search call message route navigation translate restaurant"
).split()

TAGS = (
    "O NAME AREA FLOOR CLASS QUANTIFIER EXCEPT_NAME EXCEPT_AREA EXCEPT_CLASS VALUE DELTA COLOR WHITE MODE TIME PRONOUN HERE CONTENT "
    "CONTACT PLACE LANGUAGE"
).split()
"""What a token stands for. EXCEPT_* lie behind "all but"; CONTENT is a title, an item or a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Some neighbouring tokens with one meaning."""

    tag: str
    start: int
    """Index of the first token."""
    end: int
    """Index after the last token."""
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One clause as the network read it."""

    moods: Mapping[str, float]
    """Probability of each mood."""
    operations: tuple[tuple[str, float], ...]
    """The likely operations with their probabilities, best first."""
    properties: tuple[tuple[str, float], ...]
    spans: tuple[Span, ...]
    start: int
    """Index of the clause's first token."""
    end: int
    """Index after its last token."""

    @property
    def mood(self) -> str:
        """Return the most probable mood."""
        return max(self.moods, key=self.moods.__getitem__)

    @property
    def operation(self) -> str:
        """Return the most probable operation."""
        return self.operations[0][0]

    @property
    def property(self) -> str:
        """Return the most probable property."""
        return self.properties[0][0]

    def spans_of(self, *tags: str) -> tuple[Span, ...]:
        """Return the spans with one of these tags, in the order of the text."""
        return tuple(span for span in self.spans if span.tag in tags)
