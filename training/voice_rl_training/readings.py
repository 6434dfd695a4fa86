"""Readings: how a network should have read a sentence so that the right action comes out.

    right actions -> (operation, property) pairs that give them on these devices
                  -> x ways to tag the words: as the network did | the target's own names | values alone, the scope implied
                  -> the reading whose candidates hold exactly the right actions, likeliest first

Where no reading gives the actions (another device than the words name, a value that was not said), the network cannot learn them; the memory of
corrections holds them instead.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from voice_rl_plugin.deciding.previous import frame_before
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES, Frame, Span
from voice_rl_plugin.domain.home import States
from voice_rl_plugin.understanding.candidates import Option, amounts_of, clause_options
from voice_rl_plugin.understanding.features import MAX_TOKENS, Observation, observe_words
from voice_rl_plugin.understanding.frames import Logits, clause_share, decode, softmax
from voice_rl_plugin.understanding.resolve import Situation
from voice_rl_plugin.understanding.services import actions_for
from voice_rl_plugin.understanding.text import tokenise
from voice_rl_training.corpus.phrasebook import load
from voice_rl_training.corpus.samples import Clause, Gold, Sample, Stage
from voice_rl_training.relabel import Label

REFUSING_MOODS = ("prohibition", "report", "scheduled", "chat", "bare")
_VALUE_TAGS = frozenset({"VALUE", "DELTA", "COLOR", "WHITE", "MODE", "TIME", "CONTENT"})
_PLACE_TAGS = frozenset({"NAME", "AREA", "FLOOR", "CLASS"})
_CERTAIN = 0.6
"""A name that the network is this sure of, and that the home does not have, is an alias: nothing for the network to unlearn."""
_SMALLEST = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSample(Sample):
    """A sentence of this home with the reading that gives its right actions."""

    states: States = field(default_factory=dict)
    weight: float = 1.0
    label: Label

    def situation(self) -> Situation:
        """Return where it was said."""
        return Situation(home=self.home, index=self.index, area=self.area, previous=self.previous, states=self.states)


@cache
def phrasebook_pairs() -> Counter[tuple[str, str]]:
    """Return how often the phrasebook asks for each operation on each property."""
    return Counter(
        (frame.operation, frame.property)
        for language in ("en", "zh")
        for book in load(language).values()
        for frame in book.frames
        if frame.mood in ("command", "wish", "question") and frame.operation not in ("none", "yes", "no", "undo", "cancel", "correct")
    )


def observe_label(label: Label, stage: Stage) -> Observation | None:
    """Return what the network sees of a labelled sentence; None when it has no words."""
    words = tuple(token.text for token in tokenise(label.text))[:MAX_TOKENS]
    if not words:
        return None
    return observe_words(words, home=stage.home, index=stage.index, area=label.area, previous=frame_before(label.previous))


def read_label(label: Label, stage: Stage, observation: Observation, guess: Logits) -> LabelledSample | None:
    """Return the sample that teaches a label; None when no reading gives its actions.

    Args:
        label: the sentence and its right actions.
        stage: the home.
        observation: what `observe_label` made of it.
        guess: how the base network reads it.
    """
    frames = decode(guess)
    if not label.actions:
        return _refused(label, stage, observation, guess, frames)
    situation = Situation(home=stage.home, index=stage.index, area=label.area, previous=label.previous, states=label.states)
    whole = [_one_clause(frames, observation)]
    for clauses in [frames, whole] if len(frames) == len(label.actions) > 1 else [whole] if len(frames) > 1 else [frames]:
        wanted = [(action,) for action in label.actions] if len(clauses) > 1 else [label.actions]
        found = _read_clauses(clauses, wanted, observation, situation, guess, stage)
        if found is not None:
            return _sample(label, stage, observation, found)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    frame: Frame
    mood: str
    operation: str | None
    property: str | None
    gold: Gold


def _one_clause(frames: Sequence[Frame], observation: Observation) -> Frame:
    spans = tuple(span for frame in frames for span in frame.spans)
    return replace(frames[0], spans=spans, start=0, end=len(observation.words))


def _read_clauses(
    frames: Sequence[Frame],
    wanted: Sequence[tuple[Action, ...]],
    observation: Observation,
    situation: Situation,
    guess: Logits,
    stage: Stage,
) -> list[_Reading] | None:
    readings: list[_Reading] = []
    here = situation
    for frame, actions in zip(frames, wanted, strict=True):
        found = _read_clause(frame, actions, observation, here, guess, stage, clauses=len(frames))
        if found is None:
            return None
        readings.append(found)
        here = replace(here, previous=actions)
    return readings


def _read_clause(
    frame: Frame, actions: tuple[Action, ...], observation: Observation, situation: Situation, guess: Logits, stage: Stage, *, clauses: int
) -> _Reading | None:
    key = "|".join(action.key for action in actions)
    moods, operations, properties = _clause_probabilities(guess, frame)
    priors = phrasebook_pairs()
    best: tuple[float, _Reading] | None = None
    for number, spans in enumerate(_tagged(frame, actions, observation, situation)):
        tagged = replace(frame, spans=spans)
        for operation, prop in _fitting_pairs(tagged, actions, observation, situation, stage):
            score = (
                np.log(operations[OPERATIONS.index(operation)] + _SMALLEST)
                + np.log(properties[PROPERTIES.index(prop)] + _SMALLEST)
                + np.log(priors[(operation, prop)])
                - 2.0 * number
            )
            if best is not None and score <= best[0]:
                continue
            mood = "question" if operation == "query" else max(("command", "wish"), key=lambda m: moods[MOODS.index(m)])
            certain = replace(tagged, moods={m: float(m == mood) for m in MOODS}, operations=((operation, 1.0),), properties=((prop, 1.0),))
            gold = _gold(clause_options(observation, certain, situation, clauses=clauses).options, key)
            if gold is not None:
                best = (score, _Reading(frame=certain, mood=mood, operation=operation, property=prop, gold=gold))
    return best[1] if best is not None else None


def _clause_probabilities(guess: Logits, frame: Frame) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    part = slice(frame.start, frame.end)
    share = clause_share(guess.weights, frame.start, frame.end)
    return softmax(share @ guess.moods[part]), softmax(share @ guess.operations[part]), softmax(share @ guess.properties[part])


def _gold(options: Sequence[Option], key: str) -> Gold | None:
    """Return the right answer of a clause where its candidates hold the right actions."""
    found = next((o for o in options if "|".join(a.key for a in o.actions) == key), None)
    if found is None:
        return None
    if found.target is None:
        return Gold(outcome="act", keys=(key,))
    if found.target.unmatched or found.target.has_area_conflict:
        return None
    if found.target.rivals > 1:
        tied = [
            "|".join(a.key for a in o.actions)
            for o in options
            if o.target is not None and o.target.rivals > 1 and abs(o.target.score - found.target.score) <= 0.05
        ]
        return Gold(outcome="clarify", keys=tuple(tied[:4]))
    return Gold(outcome="act", keys=(key,))


def _tagged(frame: Frame, actions: Sequence[Action], observation: Observation, situation: Situation) -> Iterator[tuple[Span, ...]]:
    """Yield ways to tag a clause: as it was read, with the target's own names, with values alone, with nothing."""
    inside = [m for m in observation.matches if m.start >= frame.start and m.end <= frame.end]
    names_something = any(m.form in ("full", "stripped") for m in inside)
    if frame.spans_of(*_PLACE_TAGS) or not names_something:  # what the words name is never taught to be nothing
        yield frame.spans
    targets = {target for action in actions for target in action.targets}
    areas = {e.area for t in targets if (e := situation.home.entity_by_id.get(t)) is not None and e.area}
    own = [m for m in inside if (m.thing == "entity" and m.id in targets) or (m.thing == "area" and m.id in areas)]
    kept = [s for s in frame.spans if s.tag not in _PLACE_TAGS]
    if own:
        marked: list[Span] = []
        for match in sorted(own, key=lambda m: (m.thing != "entity", m.start - m.end)):
            if all(match.end <= s.start or match.start >= s.end for s in (*marked, *kept)):
                marked.append(Span(tag="NAME" if match.thing == "entity" else "AREA", start=match.start, end=match.end))
        yield tuple(sorted((*marked, *kept), key=lambda s: s.start))
    if names_something or _has_foreign_name(frame, observation):
        return
    values = tuple(s for s in frame.spans if s.tag in _VALUE_TAGS)
    yield values
    if values:
        yield ()


def _has_foreign_name(frame: Frame, observation: Observation) -> bool:
    """Whether the network is sure of a name that this home does not have."""
    return any(
        span.confidence > _CERTAIN and not any(m.start < span.end and m.end > span.start for m in observation.matches)
        for span in frame.spans_of("NAME", "AREA", "FLOOR")
    )


def _fitting_pairs(
    frame: Frame, actions: tuple[Action, ...], observation: Observation, situation: Situation, stage: Stage
) -> Iterable[tuple[str, str]]:
    """Yield the pairs of the phrasebook that may give these actions, without resolving anything."""
    pairs = phrasebook_pairs()
    if any(action.domain == "intent" for action in actions):
        return [pair for pair in pairs if pair[0] == "handover"]
    if any(action.service == "query.state" for action in actions):
        return [pair for pair in pairs if pair[0] == "query"]
    entities = [stage.home.entity_by_id[t] for action in actions for t in action.targets if t in stage.home.entity_by_id]
    amounts, _ = amounts_of(observation, frame)
    wanted = {action.key for action in actions}
    fitting = [
        pair
        for pair in pairs
        if pair[0] not in ("handover", "query", "same") and {a.key for a in actions_for(*pair, entities, amounts)[0]} == wanted
    ]
    if situation.previous:
        fitting += [pair for pair in pairs if pair[0] == "same"]
    return fitting


def _refused(label: Label, stage: Stage, observation: Observation, guess: Logits, frames: Sequence[Frame]) -> LabelledSample:
    """Return the sample of a sentence that should have been refused: the likeliest mood that never acts."""
    readings = []
    for frame in frames:
        moods = _clause_probabilities(guess, frame)[0]
        mood = max(REFUSING_MOODS, key=lambda m: moods[MOODS.index(m)])
        readings.append(_Reading(frame=frame, mood=mood, operation=None, property=None, gold=Gold(outcome="reject")))
    return _sample(label, stage, observation, readings)


def _sample(label: Label, stage: Stage, observation: Observation, readings: Sequence[_Reading]) -> LabelledSample:
    tags = ["O"] * len(observation.words)
    begins = [False] * len(observation.words)
    for reading in readings:
        for span in reading.frame.spans:
            tags[span.start : span.end] = [span.tag] * (span.end - span.start)
            begins[span.start] = True
    return LabelledSample(
        words=observation.words,
        tags=tuple(tags),
        begins=tuple(begins),
        clauses=tuple(
            Clause(start=r.frame.start, end=r.frame.end, mood=r.mood, operation=r.operation, property=r.property) for r in readings
        ),
        home=stage.home,
        index=stage.index,
        area=label.area,
        previous=label.previous,
        previous_frame=frame_before(label.previous),
        golds=tuple(r.gold for r in readings),
        language=label.language,
        voice="home",
        states=label.states,
        weight=label.weight,
        label=label,
    )
