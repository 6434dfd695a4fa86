"""A family: what its people want, how they say it, and what a recogniser makes of that.

    goal (devices, operation, value)  ->  a way to ask, or the family's own phrase or own name  ->  heard, now and then misheard

What is wanted is known before a word is spoken: the truth does not come from the resolver, as the labels of the corpus do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from voice_rl_plugin.deciding.cases import same_actions
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Entity, Home
from voice_rl_plugin.understanding.colours import color_name
from voice_rl_plugin.understanding.numbers import parse_value
from voice_rl_plugin.understanding.services import Amounts, actions_for, is_able
from voice_rl_plugin.understanding.text import join, words_of
from voice_rl_training.corpus.phrasebook import PhraseFrame, expand
from voice_rl_training.simulate.banks import Bank, Idiom

OWN_KINDS = ("idiom", "own_name")
KINDS = ("ordinary", *OWN_KINDS, "talk", "near_miss")
VERDICTS = ("right", "wrong_action", "asked", "refused")
_HABITS = 40
_IDIOMS = 6
_OWN_NAMES = 4
_HOME_ROOM = 0.6
"""How often people stand in the room of the thing they speak of."""
_TRIES = 60
_STEPS = frozenset({"brightness_step_pct", "position_step", "temperature_step", "percentage_step"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a family talks; shares of what it says."""

    own: float = 0.10
    """Own phrases and own names, together."""
    talk: float = 0.13
    """What is not for the home: talk, prohibitions, reports, plans for later."""
    near_miss: float = 0.02
    """Talk that names a thing by the family's own name for it."""
    repeats: float = 0.5
    """Of the ordinary commands, those said in exactly the same words as often before."""
    misheard: float = 0.08
    """What the recogniser gets wrong."""

    def __post_init__(self) -> None:
        shares = (self.own, self.talk, self.near_miss, self.repeats, self.misheard)
        if not all(0.0 <= share <= 1.0 for share in shares) or self.own + self.talk + self.near_miss > 1.0:
            raise ValueError(f"expected shares in [0, 1], the first three at most 1 together, got {shares}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One sentence, with what its speaker wants."""

    text: str
    """As it was heard."""
    area: str | None
    language: str
    kind: str
    """One of KINDS."""
    wants: tuple[tuple[Action, ...], ...]
    """The action lists that do it, the plainest first; none: it is to be refused."""
    phrase: int | None = None
    """Which own phrase or own name, where it is one."""
    is_misheard: bool = False

    @property
    def wanted(self) -> tuple[Action, ...]:
        """Return the plainest right answer; empty means to refuse."""
        return self.wants[0] if self.wants else ()

    def does(self, actions: Sequence[Action]) -> bool:
        """Whether some actions are what is wanted; a step counts by its direction."""
        return any(same_actions([_signed(action) for action in wanted], actions) for wanted in self.wants)

    def verdict(self, decision: Decision | None) -> str:
        """Return which of VERDICTS a decision deserves; None was heard as a judgement of the command before."""
        if decision is None:
            return "refused" if self.wants else "right"
        if decision.outcome == "act":
            if self.kind == "near_miss" and not any(action.is_dispatched for action in decision.actions):
                return "right"
            return "right" if self.does(decision.actions) else "wrong_action"
        if decision.outcome == "reject":
            return "refused" if self.wants else "right"
        if decision.reason_code in ("risky", "many") and any(self.does(choice.actions) for choice in decision.choices):
            return "right"  # the rules ask about what was understood
        return "asked"


def _signed(action: Action) -> Action:
    data = {k: ("+" if v > 0 else "-") if k in _STEPS and isinstance(v, (int, float)) else v for k, v in action.data.items()}
    return replace(action, data=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Goal:
    """What somebody wants of some devices."""

    frame: PhraseFrame
    entities: tuple[Entity, ...]
    actions: tuple[tuple[Action, ...], ...]
    text: str
    area: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPhrase:
    """One of the family's own phrases, with what it means in this home."""

    actions: tuple[Action, ...]
    area: str | None
    heard: tuple[str, ...]
    """Wordings that the family uses while it is learned from."""
    kept: tuple[str, ...]
    """Wordings that are kept for the test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnName:
    """What the family calls a device."""

    name: str
    entity: Entity
    heard: tuple[PhraseFrame, ...]
    kept: tuple[PhraseFrame, ...]


class Family:
    """The people of one home.

    Args:
        bank: what they say.
        home: where they live.
        seed: of who they are; what they say follows from the generators given to the methods.
        habits: how they talk.
    """

    def __init__(self, bank: Bank, home: Home, *, seed: str, habits: Habits | None = None) -> None:
        rng = Random(f"family {seed}")
        self.bank = bank
        self.home = home
        self.habits = habits or Habits()
        self.own_phrases = self._choose_phrases(rng)
        self.own_names = self._choose_names(rng)
        self._repertoire = tuple(self._ordinary(rng) for _ in range(_HABITS))
        self._weights = tuple(1.0 / (1 + rank) for rank in range(_HABITS))  # Zipf: a few things are said all the time

    def say(self, rng: Random) -> Said:
        """Return the next thing that somebody says."""
        habits, luck = self.habits, rng.random()
        if luck < habits.own:
            said = self.say_own(rng)
        elif luck < habits.own + habits.near_miss:
            said = self.say_near_miss(rng)
        elif luck < habits.own + habits.near_miss + habits.talk:
            said = self.say_talk(rng)
        elif rng.random() < habits.repeats:
            said = self._said(rng.choices(self._repertoire, self._weights)[0], "ordinary")
        else:
            said = self.say_ordinary(rng)
        return self._mishear(rng, said) if rng.random() < habits.misheard else said

    def say_ordinary(self, rng: Random) -> Said:
        """Return an ordinary command in new words."""
        return self._said(self._ordinary(rng), "ordinary")

    def say_own(self, rng: Random, *, is_kept: bool = False) -> Said:
        """Return an own phrase, or a command with an own name.

        Args:
            rng: the only source of chance.
            is_kept: whether to use the wordings that are never said while it is learned from.
        """
        if rng.random() < 0.5:
            number = rng.randrange(len(self.own_phrases))
            return self._own_phrase(rng, number, is_kept=is_kept)
        return self._own_name(rng, rng.randrange(len(self.own_names)), is_kept=is_kept)

    def every_own(self, rng: Random, *, is_kept: bool, frames_a_name: int = 6) -> list[Said]:
        """Return every wording of every own phrase, and some commands with each own name."""
        said = [
            self._said_phrase(number, text)
            for number, phrase in enumerate(self.own_phrases)
            for text in (phrase.kept if is_kept else phrase.heard)
        ]
        return said + [self._own_name(rng, number, is_kept=is_kept) for number in range(len(self.own_names)) for _ in range(frames_a_name)]

    def say_talk(self, rng: Random) -> Said:
        """Return something that is not for the home."""
        frames = [frame for frame in self.bank.refused if frame not in self.bank.near_misses]
        return self._refused(rng, rng.choice(frames), "talk")

    def say_near_miss(self, rng: Random) -> Said:
        """Return talk that names a thing by the family's own name for it: "there's a song about the old grumbler"."""
        frame = rng.choice(self.bank.near_misses)
        own = rng.choice(self.own_names)
        text = expand(rng, frame.text).replace("{name}", own.name)
        return Said(text=text, area=rng.choice((own.entity.area, None)), language=self.bank.language, kind="near_miss", wants=())

    def correction_of(self, rng: Random, said: Said) -> str | None:
        """Return how somebody says which device was meant; None where that cannot be said by a name."""
        entities = [self.home.entity_by_id[t] for action in said.wanted for t in action.targets if t in self.home.entity_by_id]
        if len(entities) != 1:
            return None
        frame = rng.choice(self.bank.correcting)
        return expand(rng, frame.text).replace("{target}", self._named(entities[0]))

    def plainly(self, rng: Random, said: Said) -> str | None:
        """Return a wish said once more in ordinary words and the home's own names; None where there are none for it."""
        for _ in range(_TRIES):
            goal = self._goal(rng, rng.choice(self.bank.asking))
            if goal is None:
                continue
            entities = [self.home.entity_by_id.get(t) for action in said.wanted for t in action.targets]
            if len(entities) != 1 or entities[0] is None:
                return None
            again = self._goal(rng, goal.frame, entity=entities[0], data=said.wanted[0].data)
            if again is not None and said.does(again.actions[0]):
                return again.text
        return None

    def another_action(self, rng: Random, said: Said) -> tuple[Action, ...]:
        """Return something that was not wanted, as a liar names it."""
        for _ in range(_TRIES):
            actions = self._ordinary(rng).actions[0]
            if not said.does(actions):
                return actions
        raise ValueError("expected a home in which more than one thing can be wanted")

    # -- own phrases and own names -----------------------------------------------------------------------------------------------

    def _choose_phrases(self, rng: Random) -> tuple[OwnPhrase, ...]:
        chosen: list[OwnPhrase] = []
        for idiom in rng.sample(self.bank.idioms, len(self.bank.idioms)):
            actions, area = self._meaning(rng, idiom)
            if actions and all(actions != other.actions for other in chosen):
                ways = rng.sample(idiom.ways, len(idiom.ways))
                half = len(ways) // 2
                chosen.append(OwnPhrase(actions=actions, area=area, heard=tuple(ways[:half]), kept=tuple(ways[half:])))
            if len(chosen) == _IDIOMS:
                break
        return tuple(chosen)

    def _meaning(self, rng: Random, idiom: Idiom) -> tuple[tuple[Action, ...], str | None]:
        entities = [entity for entity in self.home.exposed if entity.domain == idiom.domain]
        if not entities:
            return (), None
        one = rng.choice(entities)
        meant = [entity for entity in entities if entity.area == one.area] if idiom.is_of_area else [one]
        actions, _ = actions_for(idiom.operation, idiom.property, meant, Amounts())
        return actions, one.area

    def _choose_names(self, rng: Random) -> tuple[OwnName, ...]:
        domains = [domain for domain in self.bank.own_names if any(e.domain == domain for e in self.home.exposed) and domain != "lock"]
        chosen: list[OwnName] = []
        for domain in rng.sample(domains, min(_OWN_NAMES, len(domains))):
            frames = [f for f in self.bank.asking if domain in f.domains and "target" in f.slots]
            rng.shuffle(frames)
            chosen.append(
                OwnName(
                    name=rng.choice(self.bank.own_names[domain]),
                    entity=rng.choice([e for e in self.home.exposed if e.domain == domain]),
                    heard=tuple(frames[: len(frames) // 2]),
                    kept=tuple(frames[len(frames) // 2 :]),
                )
            )
        return tuple(chosen)

    def _own_phrase(self, rng: Random, number: int, *, is_kept: bool) -> Said:
        wordings = self.own_phrases[number].kept if is_kept else self.own_phrases[number].heard
        return self._said_phrase(number, rng.choices(wordings, self._weights[: len(wordings)])[0])

    def _said_phrase(self, number: int, text: str) -> Said:
        phrase = self.own_phrases[number]
        return Said(text=text, area=phrase.area, language=self.bank.language, kind="idiom", wants=(phrase.actions,), phrase=number)

    def _own_name(self, rng: Random, number: int, *, is_kept: bool) -> Said:
        own = self.own_names[number]
        for _ in range(_TRIES):
            goal = self._goal(rng, rng.choice(own.kept if is_kept else own.heard), entity=own.entity, name=own.name)
            if goal is not None:
                return replace(self._said(goal, "own_name"), phrase=len(self.own_phrases) + number)
        raise ValueError(f"expected a way to ask something of {own.entity.id}, found none in the bank")

    # -- ordinary commands -------------------------------------------------------------------------------------------------------

    def _ordinary(self, rng: Random) -> _Goal:
        for _ in range(_TRIES):
            goal = self._goal(rng, rng.choice(self.bank.asking))
            if goal is not None:
                return goal
        raise ValueError("expected a home in which something can be asked for")

    def _goal(
        self, rng: Random, frame: PhraseFrame, *, entity: Entity | None = None, name: str | None = None, data: object = None
    ) -> _Goal | None:
        """Return what a way to ask can mean here; None when it fits nothing.

        Args:
            rng: the only source of chance.
            frame: the way to ask.
            entity: of what; chosen when None.
            name: what to call it; its own name in the home when None.
            data: the slots that must come out, if any.
        """
        candidates = [entity] if entity is not None else [e for e in self.home.exposed if e.domain in frame.domains]
        if not candidates or (entity is not None and entity.domain not in frame.domains):
            return None
        one = rng.choice(candidates)
        entities: tuple[Entity, ...] = (one,)
        in_room = (
            [e for e in self.home.exposed_by_area.get(one.area, ()) if e.domain == "light"] if one.domain == "light" and one.area else []
        )
        if entity is None and len(in_room) > 1 and rng.random() < 0.4:
            entities = tuple(in_room)
            called = self.bank.phrases["group"][0].replace("{area}", self.home.area_by_id[one.area or ""].name.lower())
        else:
            called = name or self._named(one)
        amounts, text = self._fill(rng, frame, data)
        actions, able = actions_for(frame.operation, frame.property, entities, amounts)
        if able < len(entities) or not all(is_able(e, a.service, a.data) for a in actions for e in entities):
            return None
        area = one.area if rng.random() < _HOME_ROOM else rng.choice(self.home.areas).id
        return _Goal(frame=frame, entities=entities, actions=_with_others(actions, frame), text=text.replace("{target}", called), area=area)

    def _fill(self, rng: Random, frame: PhraseFrame, data: object) -> tuple[Amounts, str]:
        text = expand(rng, frame.text)
        values = self.bank.values
        amounts = Amounts()
        if "{value}" in text:
            pool = values["degree" if frame.property == "temperature" else "percent"]
            wanted = [v for v in pool if isinstance(data, dict) and _means(v, data)]
            word = rng.choice(wanted or pool)
            amounts, text = replace(amounts, value=parse_value(words_of(word))), text.replace("{value}", word)
        if "{color}" in text:
            pool = values["color"]
            wanted = [v for v in pool if isinstance(data, dict) and data.get("color_name") == color_name(words_of(v))]
            word = rng.choice(wanted or pool)
            amounts, text = replace(amounts, color=color_name(words_of(word))), text.replace("{color}", word)
        return amounts, text

    def _named(self, entity: Entity) -> str:
        return self.bank.phrases["its"][0].replace("{name}", entity.name.lower())

    def _said(self, goal: _Goal, kind: str) -> Said:
        return Said(text=goal.text, area=goal.area, language=self.bank.language, kind=kind, wants=goal.actions)

    def _refused(self, rng: Random, frame: PhraseFrame, kind: str) -> Said:
        entities = [e for e in self.home.exposed if e.domain in frame.domains or "any" in frame.domains]
        text = expand(rng, frame.text)
        if "{target}" in text or "{name}" in text:
            entity = rng.choice(entities)
            text = text.replace("{target}", self._named(entity)).replace("{name}", entity.name.lower())
        return Said(text=text, area=rng.choice(self.home.areas).id, language=self.bank.language, kind=kind, wants=())

    def _mishear(self, rng: Random, said: Said) -> Said:
        """Return what a recogniser hears: a word for another that sounds like it, or a word less."""
        words = list(words_of(said.text))
        confusable = [i for i, word in enumerate(words) if word in self.bank.misheard]
        if confusable and rng.random() < 0.7:
            i = rng.choice(confusable)
            words[i] = self.bank.misheard[words[i]]
        elif len(words) > 3:
            del words[rng.randrange(len(words))]
        return replace(said, text=join(words), is_misheard=True)


def _means(word: str, data: dict[str, object]) -> bool:
    value = parse_value(words_of(word))
    return value is not None and any(
        isinstance(v, (int, float)) and round(float(v) * (100 if k == "volume_level" else 1)) == round(value.amount)
        for k, v in data.items()
    )


def _with_others(actions: tuple[Action, ...], frame: PhraseFrame) -> tuple[tuple[Action, ...], ...]:
    """Return what else would do: a complaint about the dark is met by a light that comes on, one about noise by silence."""
    if frame.mood != "wish" or len(actions) != 1:
        return (actions,)
    plain = {("raise", "brightness"): "light.turn_on", ("lower", "volume"): "media_player.media_pause"}.get(
        (frame.operation, frame.property)
    )
    return (actions,) if plain is None else (actions, (replace(actions[0], service=plain, data={}),))
