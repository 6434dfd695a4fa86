"""Labelled utterances: a sentence frame said in a random home, heard with noise, with the right answer computed from that home.

    frames x homes x ways of naming  ->  words, tags, clauses  ->  gold: the action that the conventions give, ask, or refuse

The gold comes from the same resolver that the daemon uses, run on the clean words with their true tags: conventions live in one place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from voice_rl_plugin.deciding.previous import frame_before
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.frame import Frame, Span
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.understanding.beyond import missing_slot
from voice_rl_plugin.understanding.candidates import ClauseOptions, clause_options
from voice_rl_plugin.understanding.features import MAX_TOKENS, Observation, observe_words
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.resolve import Situation
from voice_rl_plugin.understanding.services import Amounts, actions_for
from voice_rl_plugin.understanding.text import is_han, normalise, tokenise
from voice_rl_training.corpus.noise import Noised, corrupt, mistype
from voice_rl_training.corpus.phrasebook import ACTING_MOODS, Phrasebook, PhraseFrame, expand, parts
from voice_rl_training.corpus.speech import BEYOND_TAGS, Piece, Speaker, number_words

REDRAWN = 0.6
"""Share of the negative frames that are drawn once more: half of what is said to a home is for it, half of what we wrote is not."""
STAND_IN = 0.25
"""How often a device is called by what tells it from the one before: "and the left one"."""
_CONNECTORS = {
    "en": (
        *("and ", "and ", "and ", ", and ", ", and ", "then ", ", then ", ", then ", "and then ", ", and then ", ", ", ", "),
        *("and also ", "also ", "oh and ", ", oh and ", "plus ", "and after that ", ", after that ", ". ", ". then "),
        *("while youre at it ", ", while youre at it ", "and while youre there ", "followed by ", ", next "),
    ),
    "zh": (
        *("，", "，", "，", "，再", "再", "然后", "，然后", "，然后再", "，顺便", "顺便", "并且", "，还有", "同时", "，接着", " ", "。"),
        *("，完了", "完了再", "，之后", "，顺手", "，另外", "，同时", "，跟着"),
    ),
}
_COMMA = {"en": (", ", ", ", " "), "zh": ("，", "，", "")}
_BUT = {"en": ("but ", ", but ", ", "), "zh": ("，但是", "，不过", "，", "但")}
_BEFORE_REASON = {
    "en": (", ", ", ", ", ", ", ", " ", " ", " ", ". ", " because ", " cos ", " since ", " as ", ", because "),
    "zh": ("，", "，", "，", "，", " ", "", "，因为", "因为"),
}
_AFTER_REASON = {
    "en": (", ", ", ", ", ", " ", " ", " so ", ", so ", " and ", ". "),
    "zh": ("，", "，", "，", " ", "", "，所以", "，就"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """What one clause of a sample means."""

    start: int
    end: int
    mood: str
    operation: str | None
    property: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """The right answer to one clause."""

    outcome: str
    """`act`, `clarify` or `reject`."""
    keys: tuple[str, ...] = ()
    """Keys of the right candidates: one to act, the tied ones to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One labelled utterance."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    begins: tuple[bool, ...]
    """Whether a span begins at the token."""
    clauses: tuple[Clause, ...]
    home: Home
    index: NameIndex
    area: str | None
    previous: tuple[Action, ...]
    previous_frame: tuple[str, str] | None
    golds: tuple[Gold, ...]
    language: str
    voice: str
    is_noised: bool = False

    def observation(self) -> Observation:
        """Return what the network sees."""
        return observe_words(self.words, home=self.home, index=self.index, area=self.area, previous=self.previous_frame)

    def situation(self) -> Situation:
        """Return where it was said."""
        return Situation(home=self.home, index=self.index, area=self.area, previous=self.previous, states=self.home.initial_states)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A home with its names indexed, made once for many samples."""

    home: Home
    index: NameIndex = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", NameIndex(self.home))


class _UnsayableError(Exception):
    """The home has nothing that the frame could speak of."""


def fill(frame: PhraseFrame, text: str, speaker: Speaker) -> tuple[list[Piece], bool]:
    """Fill the slots of a frame; return the pieces and whether the sentence names something that the home lacks.

    Raises:
        _UnsayableError: the home has nothing that fits.
    """
    pieces: list[Piece] = []
    lacks = False
    domains = [d for d in frame.domains if d != "-"] or ["light", "fan", "media_player", "cover"]
    placed = speaker.area
    for literal, slot in parts(text):
        if slot is None:
            pieces.append((literal, "O"))
            continue
        if slot == "target":
            filled = speaker.stand_in(domains) if frame.operation in ("same", "correct") and speaker.rng.random() < STAND_IN else []
            filled = filled or speaker.target(domains, simple=frame.mood not in ACTING_MOODS)
            if not filled:
                raise _UnsayableError
        elif slot in ("name", "class", "classes"):
            entities = speaker.entities(domains)
            near = [e for e in entities if e.area == placed]
            if not entities:
                raise _UnsayableError
            entity = speaker.rng.choice(near if near and speaker.rng.random() < 0.7 else entities)
            kind = speaker.kind_for(entity)
            if slot == "name" or kind is None:
                filled = [(speaker.spoken_name(entity)[0], "NAME")]
            else:
                filled = [(speaker.noun(kind, plural=slot == "classes"), "CLASS")]
        elif slot == "area":
            areas = [e.area for e in speaker.entities(domains) if e.area] or [a.id for a in speaker.home.areas]
            if not areas:
                raise _UnsayableError
            filled = [speaker.area_phrase(speaker.rng.choice(areas))]
        elif slot == "floor":
            if not speaker.home.floors:
                raise _UnsayableError
            filled = [(speaker.place_name(speaker.rng.choice(speaker.home.floors)), "FLOOR")]
        elif slot == "here":
            filled = speaker.here()
        elif slot == "it":
            words = "它 它 那个 这个 它们 那盏" if speaker.language == "zh" else "it it it that them this"
            filled = [(speaker.rng.choice(words.split()), "PRONOUN")]
        elif slot in ("value", "number"):
            filled = speaker.value(frame.property)
            if slot == "number":
                number = (
                    speaker.rng.choice([10, 20, 30, 40, 50, 60, 70, 80, 90, speaker.rng.randint(1, 99)])
                    if frame.property != "temperature"
                    else speaker.rng.randint(16, 29)
                )
                filled = [(str(number) if speaker.rng.random() < 0.5 else number_words(number, speaker.language), "VALUE")]
        elif slot == "delta":
            filled = speaker.delta(frame.property)
        elif slot == "color":
            filled = speaker.color()
        elif slot == "white":
            filled = speaker.white()
        elif slot == "mode":
            filled = speaker.mode()
        elif slot == "time":
            filled = speaker.time()
        elif slot == "duration":
            filled = speaker.duration()
        elif slot in ("song", "item"):
            filled = speaker.content(slot)
        elif slot in BEYOND_TAGS:
            filled = speaker.beyond(slot)
        else:
            filled, _ = speaker.absent(slot)
            lacks = True
        pieces += filled
    return pieces, lacks


def tokens_of(pieces: Sequence[Piece]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[bool, ...]]:
    """Return the words of a sentence with each word's tag and whether a span begins there."""
    text = ""
    marks: list[tuple[int, int, str]] = []
    for raw, tag in pieces:
        piece = normalise(raw)
        if not piece:
            continue
        if text and piece[0] != " " and text[-1] != " " and not (is_han(text[-1]) or is_han(piece[0])) and piece[0] not in ",?":
            text += " "
        marks.append((len(text), len(text) + len(piece), tag))
        text += piece
    words, tags, begins = [], [], []
    last = -1
    for token in tokenise(text):
        mark = next((i for i, (start, end, _) in enumerate(marks) if start <= token.start < end), None)
        tag = "O" if mark is None else marks[mark][2]
        words.append(token.text)
        tags.append(tag)
        begins.append(tag != "O" and mark != last)
        last = -1 if mark is None else mark
    return tuple(words), tuple(tags), tuple(begins)


def true_frame(tags: Sequence[str], begins: Sequence[bool], clause: Clause) -> Frame:
    """Return the frame that a perfect network would read in a clause."""
    spans: list[Span] = []
    for i in range(clause.start, clause.end):
        if tags[i] == "O":
            continue
        if begins[i] or i == clause.start or tags[i - 1] != tags[i]:
            spans.append(Span(tag=tags[i], start=i, end=i + 1))
        else:
            spans[-1] = Span(tag=tags[i], start=spans[-1].start, end=i + 1)
    moods = dict.fromkeys(("command", "wish", "question", "prohibition", "report", "scheduled", "chat", "bare", "feedback"), 0.0)
    moods[clause.mood] = 1.0
    return Frame(
        moods=moods,
        operations=((clause.operation or "none", 1.0),),
        properties=((clause.property or "none", 1.0),),
        spans=tuple(spans),
        start=clause.start,
        end=clause.end,
    )


def gold_of(options: ClauseOptions, clause: Clause, *, lacks: bool) -> Gold:
    """Return the right answer to a clause from its candidates on the clean words."""
    if clause.mood not in ("command", "wish", "question") or lacks or clause.operation in ("none", None):
        return Gold(outcome="reject")
    if not options.options:
        asks = options.has_destroyed_value or missing_slot(options.frame) or _lacks_amount(options, clause)
        return Gold(outcome="clarify" if asks else "reject")
    first = next((o for o in options.options if o.target is None or o.features[-2] == 1.0), None)
    if first is None:
        return Gold(outcome="reject")
    key = "|".join(a.key for a in first.actions)
    if first.target is None:
        return Gold(outcome="act", keys=(key,))
    if first.target.unmatched or first.target.has_area_conflict:
        return Gold(outcome="reject")
    if first.target.rivals > 1:
        tied = [
            "|".join(a.key for a in o.actions)
            for o in options.options
            if o.target is not None and o.target.score >= first.target.score - 0.05 and o.target.rivals > 1
        ]
        return Gold(outcome="clarify", keys=tuple(tied[:4]))
    return Gold(outcome="act", keys=(key,))


def _lacks_amount(options: ClauseOptions, clause: Clause) -> bool:
    """Whether a change is asked for without saying to what: "adjust the volume", 亮度调一下."""
    amounts = options.frame.spans_of("VALUE", "DELTA", "COLOR", "WHITE", "MODE")
    return clause.operation == "set" and options.is_unable and not amounts and not options.unknown


def _previous(rng: Random, speaker: Speaker, domains: Sequence[str]) -> tuple[tuple[Action, ...], tuple[str, str] | None]:
    """Return something that was done just before, with the frame that asked for it."""
    entities = speaker.entities(domains)
    if not entities:
        return (), None
    entity = rng.choice(entities)
    several = [e for e in entities if e.domain == entity.domain and e.area == entity.area] if rng.random() < 0.25 else [entity]
    asked = {
        "light": [("turn_on", "power"), ("turn_off", "power"), ("raise", "brightness"), ("lower", "brightness")],
        "media_player": [("turn_on", "power"), ("play", "media"), ("raise", "volume"), ("lower", "volume"), ("pause", "media")],
        "climate": [("raise", "temperature"), ("lower", "temperature"), ("turn_on", "power")],
        "cover": [("open", "position"), ("close", "position")],
        "fan": [("turn_on", "power"), ("raise", "speed"), ("turn_off", "power")],
        "lock": [("lock", "lock")],
        "vacuum": [("start", "cleaning")],
        "scene": [("activate", "scene")],
    }.get(entity.domain, [("turn_on", "power"), ("turn_off", "power")])
    operation, prop = rng.choice(asked)
    actions, _ = actions_for(operation, prop, several, Amounts())
    return actions, frame_before(actions) or (operation, prop)


def sample(
    rng: Random,
    frames: Sequence[PhraseFrame],
    books: dict[str, Phrasebook],
    stage: Stage,
    *,
    split: str = "train",
    noise: float = 0.25,
    compound: float = 0.12,
    reasons: float = 0.2,
) -> Sample | None:
    """Make one sample from one or two of the frames; None when the home cannot play the frame.

    Args:
        rng: the only source of chance.
        frames: what to choose from, all of one language.
        books: the voices of that language, for openers and tails.
        stage: the home.
        split: whose names may be used for what the home lacks.
        noise: share of the samples heard with errors.
        compound: share of the samples with two clauses.
        reasons: share of the commands and wishes that are said with a reason.
    """
    frame = rng.choice(frames)
    if frame.is_negative and rng.random() < REDRAWN:
        frame = rng.choice(frames)
    language = frame.language
    home = stage.home
    areas = [a for a in home.areas if home.exposed_by_area.get(a.id)]
    area = rng.choice(areas).id if areas and rng.random() < 0.6 else None
    speaker = Speaker(rng=rng, home=home, language=language, area=area, split=split)
    names_nothing = not {"target", "name", "class", "classes", "area", "floor", "nodevice", "noarea"} & set(frame.slots)
    domains = [d for d in frame.domains if d != "-"] or ["light", "media_player", "climate", "cover", "fan"]
    needs_previous = "{it}" in frame.text or frame.operation == "same" or (names_nothing and frame.mood == "command" and rng.random() < 0.5)
    previous: tuple[Action, ...] = ()
    previous_frame: tuple[str, str] | None = None
    if needs_previous or rng.random() < 0.12:
        previous, previous_frame = _previous(rng, speaker, domains if needs_previous else ["any"])
        if needs_previous and "{it}" in frame.text and not previous:
            return None
    chosen = [frame]
    joins = frame.mood in ("command", "wish") and frame.operation not in ("same", "none") and rng.random() < compound
    if joins:
        other = rng.choice(frames)
        for _ in range(12):
            if other.mood == "command" and (
                "{target}" in other.text or "{name}" in other.text or "{class" in other.text or "{it}" in other.text
            ):
                break
            if other.mood == "prohibition" and ("{target}" in other.text or "{name}" in other.text):
                break
            if other.mood == "scheduled" and rng.random() < 0.4 and "{target}" in other.text:
                break
            if other.mood == "chat" and rng.random() < 0.1:
                break
            other = rng.choice(frames)
        else:
            joins = False
        if joins and (other.operation not in ("same", "none") or other.mood == "chat"):
            chosen = [other, frame] if other.mood == "chat" and rng.random() < 0.5 else [frame, other]
    pieces: list[Piece] = []
    bounds: list[int] = []
    lacking: list[bool] = []
    book = books[frame.voice] if frame.voice in books else rng.choice(list(books.values()))
    reason: list[Piece] = []
    is_before = rng.random() < 0.45
    if chosen[0 if is_before else -1].mood in ACTING_MOODS and rng.random() < reasons:
        reason = _reason(rng, books, speaker, is_before=is_before)
    for number, one in enumerate(chosen):
        try:
            filled, lacks = fill(one, expand(rng, one.text), speaker)
        except _UnsayableError:
            return None
        if number == 0:
            opener = book.openers.get(one.mood, ())
            if opener and one.mood != "bare" and rng.random() < 0.22:
                filled = [(rng.choice(opener), "O"), *filled]
        else:
            connectors = _COMMA if "chat" in (one.mood, chosen[0].mood) else (_CONNECTORS if one.mood in ACTING_MOODS else _BUT)
            filled = [(rng.choice(connectors[language]), "O"), *filled]
        if number == len(chosen) - 1:
            tails = book.tails.get(one.mood, ())
            if tails and rng.random() < 0.18:
                filled = [*filled, (rng.choice(tails), "O")]
            if reason and not is_before:
                filled += reason
        if number == 0 and is_before:
            filled = [*reason, *filled]
        bounds.append(len(pieces))
        pieces += filled
        lacking.append(lacks)
    words, tags, begins = tokens_of(pieces)
    starts = [0, *(len(tokens_of(pieces[:b])[0]) for b in bounds[1:])]
    if not words or len(words) > MAX_TOKENS or any(a >= b for a, b in zip(starts, [*starts[1:], len(words)], strict=True)):
        return None
    clauses = tuple(
        Clause(start=start, end=end, mood=one.mood, operation=one.operation, property=one.property)
        for start, end, one in zip(starts, [*starts[1:], len(words)], chosen, strict=True)
    )
    golds = _golds(words, tags, begins, clauses, lacking, stage, area, previous)
    is_noised = False
    if rng.random() < noise:
        noised = _heard(rng, words, tags, language)
        if noised.words != words and 0 < len(noised.words) <= MAX_TOKENS:
            words, tags, begins, clauses, golds = _carry(noised, tags, begins, clauses, golds)
            is_noised = True
            if any(c.start >= c.end for c in clauses):
                return None
    return Sample(
        words=words,
        tags=tags,
        begins=begins,
        clauses=clauses,
        home=home,
        index=stage.index,
        area=area,
        previous=previous,
        previous_frame=previous_frame,
        golds=golds,
        language=language,
        voice=frame.voice,
        is_noised=is_noised,
    )


def _heard(rng: Random, words: Sequence[str], tags: Sequence[str], language: str) -> Noised:
    """Return the words as a recogniser or a typist writes them; in a third of the cases only a name was misheard, and that thoroughly."""
    named = [i for i, tag in enumerate(tags) if tag == "NAME"]
    if named and rng.random() < 0.35:
        return corrupt(rng, words, language=language, strength=0.6, among=frozenset(named))
    strength = rng.choice([0.03, 0.06, 0.1, 0.15])
    return corrupt(rng, words, language=language, strength=strength) if rng.random() < 0.85 else mistype(rng, words, strength=strength)


def _reason(rng: Random, books: dict[str, Phrasebook], speaker: Speaker, *, is_before: bool) -> list[Piece]:
    """Return a reason to give with a command, joined to it; none of its words names what is meant."""
    places = ("reason", "reason_before" if is_before else "reason_after")
    pool = [lines for book in books.values() for place in places if (lines := book.reasons.get(place))]
    if not pool:
        return []
    text = rng.choices([line for lines in pool for line in lines])[0]
    spoken = "".join(
        literal if slot is None else speaker.area_phrase(rng.choice(speaker.home.areas).id)[0] for literal, slot in parts(expand(rng, text))
    )
    joint = rng.choice((_BEFORE_REASON if not is_before else _AFTER_REASON)[speaker.language])
    return [(spoken, "O"), (joint, "O")] if is_before else [(joint, "O"), (spoken, "O")]


def _golds(
    words: Sequence[str],
    tags: Sequence[str],
    begins: Sequence[bool],
    clauses: Sequence[Clause],
    lacking: Sequence[bool],
    stage: Stage,
    area: str | None,
    previous: tuple[Action, ...],
) -> tuple[Gold, ...]:
    """Return the right answer to each clause, from the resolver on the clean words with their true tags."""
    observation = observe_words(words, home=stage.home, index=stage.index, area=area, previous=None)
    golds: list[Gold] = []
    before = previous
    for clause, lacks in zip(clauses, lacking, strict=True):
        situation = Situation(home=stage.home, index=stage.index, area=area, previous=before, states=stage.home.initial_states)
        options = clause_options(observation, true_frame(tags, begins, clause), situation, clauses=len(clauses))
        gold = gold_of(options, clause, lacks=lacks)
        golds.append(gold)
        if gold.outcome == "act":
            before = next((o.actions for o in options.options if "|".join(a.key for a in o.actions) == gold.keys[0]), before)
    return tuple(golds)


def _carry(
    noised: Noised, tags: Sequence[str], begins: Sequence[bool], clauses: Sequence[Clause], golds: Sequence[Gold]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[bool, ...], tuple[Clause, ...], tuple[Gold, ...]]:
    """Carry tags, clauses and golds over to the words as they were heard; a destroyed name or value turns acting into asking."""
    carried = noised.carry(tags)
    new_begins = []
    for i, (start, end) in enumerate(noised.origins):
        is_begin = carried[i] != "O" and any(begins[j] for j in range(start, end)) and (i == 0 or noised.origins[i - 1] != (start, end))
        new_begins.append(is_begin)
    new_clauses, new_golds = [], []
    for clause, gold in zip(clauses, golds, strict=True):
        inside = [i for i, (start, _) in enumerate(noised.origins) if clause.start <= start < clause.end]
        start, end = (min(inside), max(inside) + 1) if inside else (0, 0)
        new_clauses.append(Clause(start=start, end=end, mood=clause.mood, operation=clause.operation, property=clause.property))
        meant = [j for j in range(clause.start, clause.end) if tags[j] not in ("O", "QUANTIFIER", "TIME", "CONTENT", "PLACE", "LANGUAGE")]
        if gold.outcome == "act" and any(j in noised.destroyed for j in meant):
            new_golds.append(Gold(outcome="clarify"))
        else:
            new_golds.append(gold)
    if new_clauses and new_clauses[0].end:
        fixed: list[Clause] = []
        for i, c in enumerate(new_clauses):
            start = 0 if i == 0 else fixed[-1].end
            end = len(noised.words) if i == len(new_clauses) - 1 else c.end
            fixed.append(Clause(start=start, end=end, mood=c.mood, operation=c.operation, property=c.property))
        new_clauses = fixed
    return noised.words, carried, tuple(new_begins), tuple(new_clauses), tuple(new_golds)
