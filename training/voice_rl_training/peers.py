"""The peers on the scorecard: Home Assistant's own recognisers, run in a home file as its default agent runs them.

    StrictPeer      hassil with the sentences of home-assistant-intents; lists of names, areas and floors
    FallbackPeer    the same, then gazetteer-matcher for what hassil does not match (English alone)

Source: homeassistant 2026.11.0, components/conversation/default_agent.py and gazetteer.py. A Home Assistant has one language; text in
traditional characters is given to zh-TW first and then to zh-CN. The step that only words an error message is left out.
"""

import importlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import home_assistant_intents
from hassil.intents import Intents, TextSlotList
from hassil.models import UnmatchedRangeEntity, UnmatchedTextEntity
from hassil.recognize import MISSING_ENTITY, RecognizeResult, recognize_all, recognize_best
from hassil.util import remove_punctuation

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import Entity, Home
from voice_rl_plugin.understanding.text import normalise
from voice_rl_training.assist_intents import Handled, find_areas, find_floors, handle

Target = tuple[str, Mapping[str, Any]]
"""What a pronoun of the next sentence refers to: `entity`, `area` or `floor`, and its slots."""
_SILENT = Handled(outcome="reject", reason="not recognised")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAnswer:
    """What a peer does with a sentence."""

    outcome: str
    """`act`, `clarify` or `reject`."""
    actions: tuple[Action, ...] = ()
    intents: tuple[str, ...] = ()
    """What it recognised, whether or not it could be done."""
    reason: str = ""
    targets: tuple[Any, ...] = ()
    """What the next sentence may refer to, in the peer's own form."""


class Peer(Protocol):
    """Another recogniser in a fixed home."""

    def answer(self, text: str, *, area: str | None = None, targets: tuple[Any, ...] = ()) -> PeerAnswer:
        """Return what it does with a sentence.

        Args:
            text: what was said.
            area: id of the speaker's area.
            targets: what the command before left to refer to.
        """
        ...

    def intents_of(self, text: str, *, area: str | None = None) -> tuple[str, ...]:
        """Return the intents that it hears in a sentence, unknown names allowed."""
        ...


def versions() -> Mapping[str, str]:
    """Return the versions of the peers' packages; a package that is not installed is missing."""
    found: dict[str, str] = {}
    for package in ("hassil", "home-assistant-intents", "gazetteer-matcher"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def has_fallback() -> bool:
    """Whether gazetteer-matcher is installed."""
    return importlib.util.find_spec("gazetteer_matcher") is not None


@cache
def _sentences(language: str) -> Any:
    path = Path(home_assistant_intents.__file__).parent / "data" / f"{language}.json"
    return Intents.from_dict(json.loads(path.read_text(encoding="utf-8")))


def _is_traditional(text: str) -> bool:
    """Whether a text has characters that only traditional writing uses."""
    return any("一" <= character <= "鿿" and normalise(character) != character for character in text)


class StrictPeer:
    """Home Assistant's default agent without its fallback."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._is_chinese = home.language.lower().startswith("zh")
        places: dict[str, Any] = {
            "area": TextSlotList.from_tuples(_named((one.name, one.aliases, None) for one in home.areas), allow_template=False),
            "floor": TextSlotList.from_tuples(_named((one.name, one.aliases, one.name) for one in home.floors), allow_template=False),
        }
        self._exposed = places | {"name": TextSlotList.from_tuples(_entity_names(home.exposed), allow_template=False)}
        hidden = tuple(entity for entity in home.entities if not entity.exposed)
        self._hidden = places | {"name": TextSlotList.from_tuples(_entity_names(hidden), allow_template=False)} if hidden else None
        for language in ("zh-CN", "zh-TW") if self._is_chinese else ("en",):
            _sentences(language)

    def answer(self, text: str, *, area: str | None = None, targets: tuple[Any, ...] = ()) -> PeerAnswer:
        """Return what it does with a sentence; it has no memory of the sentence before."""
        del targets
        found = self.recognise(text, area=area)
        if found is None:
            return PeerAnswer(outcome="reject", reason=_SILENT.reason)
        slots = {entity.name: entity.value for entity in found.entities_list}
        handled = handle(self._home, found.intent.name, slots, preferred_area=area)
        return PeerAnswer(
            outcome=handled.outcome,
            actions=handled.actions,
            intents=(found.intent.name,),
            reason=handled.reason,
            targets=self._left_to_refer_to(slots, handled),
        )

    def recognise(self, text: str, *, area: str | None = None) -> Any:
        """Return hassil's best match: exposed names first, then the others, which will fail."""
        context = self._context(area)
        for slot_lists in (self._exposed, self._hidden):
            for language in self._languages(text) if slot_lists is not None else ():
                found = recognize_best(
                    text,
                    _sentences(language),
                    slot_lists=slot_lists,
                    intent_context=context,
                    language=language,
                    best_metadata_key="hass_custom_sentence",
                    best_slot_name="name",
                )
                if found is not None:
                    return found
        return None

    def intents_of(self, text: str, *, area: str | None = None) -> tuple[str, ...]:
        """Return the intent of the best match, names that the home does not have allowed."""
        found = self.recognise(text, area=area)
        for language in self._languages(text):
            if found is None:
                found = _with_unknown_names(text, _sentences(language), self._exposed, self._context(area))
        return () if found is None else (found.intent.name,)

    def _context(self, area: str | None) -> dict[str, Any] | None:
        spoken_in = self._home.area_by_id.get(area) if area is not None else None
        return {"area": {"value": spoken_in.name, "text": spoken_in.name}} if spoken_in is not None else None

    def _languages(self, text: str) -> tuple[str, ...]:
        if not self._is_chinese:
            return ("en",)
        return ("zh-TW", "zh-CN") if _is_traditional(text) else ("zh-CN",)

    def _left_to_refer_to(self, slots: Mapping[str, Any], handled: Handled) -> tuple[Target, ...]:
        """Return what "it" and "them" mean after this; the widest selector, unless it is several."""
        if handled.outcome != "act":
            return ()
        values = {slot: slots[slot] for slot in ("domain", "device_class") if slot in slots}
        if "floor" in slots:
            floors = find_floors(self._home, str(slots["floor"]))
            return (("floor", {**values, "floor": floors[0].id}),) if len(floors) == 1 else ()
        if "area" in slots:
            areas = find_areas(self._home, str(slots["area"]))
            return (("area", {**values, "area": areas[0].id}),) if len(areas) == 1 else ()
        entities = sorted({target for action in handled.actions for target in action.targets})
        return (("entity", {**values, "name": entities[0]}),) if len(entities) == 1 else ()


class FallbackPeer:
    """Home Assistant's default agent with the gazetteer behind it, as shipped since August 2026."""

    def __init__(self, home: Home) -> None:
        self._strict = StrictPeer(home)
        self._home = home
        self._package: Any = importlib.import_module("gazetteer_matcher")
        self._matcher: Any = self._package.GazetteerMatcher(home=_gazetteer_home(home))

    def answer(self, text: str, *, area: str | None = None, targets: tuple[Any, ...] = ()) -> PeerAnswer:
        """Return what it does: hassil's match where there is one, the gazetteer's frames in order otherwise."""
        first = self._strict.answer(text, area=area)
        if first.intents:
            return PeerAnswer(
                outcome=first.outcome,
                actions=first.actions,
                intents=first.intents,
                reason=first.reason,
                targets=tuple(self._package.TargetReference(slots=dict(slots), scope=scope) for scope, slots in first.targets),
            )
        reading = self._matcher.interpret(text, context_area=area, previous_targets=targets)
        if not reading.accepted or not reading.frames:
            is_ambiguous = "ambiguous" in str(reading.rejection_code)
            return PeerAnswer(outcome="clarify" if is_ambiguous else "reject", reason=str(reading.rejection_code))
        intents = tuple(frame.intent for frame in reading.frames)
        if any(frame.response_key is None for frame in reading.frames):
            return PeerAnswer(outcome="reject", intents=intents, reason="it could not be answered")
        return self._carry_out(reading, area, intents)

    def _carry_out(self, reading: Any, area: str | None, intents: tuple[str, ...]) -> PeerAnswer:
        """Do every frame, stopping at the first that fails; what was done before it stays done."""
        actions: list[Action] = []
        for frame in reading.frames:
            handled = handle(self._home, frame.intent, frame.slots, preferred_area=area)
            if handled.outcome != "act":
                if not actions:
                    return PeerAnswer(outcome=handled.outcome, intents=intents, reason=handled.reason)
                return PeerAnswer(outcome="act", actions=tuple(actions), intents=intents, reason=handled.reason)
            actions.extend(handled.actions)
        return PeerAnswer(outcome="act", actions=tuple(actions), intents=intents, reason="gazetteer", targets=reading.targets)

    def intents_of(self, text: str, *, area: str | None = None) -> tuple[str, ...]:
        """Return hassil's intent, or what the gazetteer reads."""
        found = self._strict.recognise(text, area=area)
        if found is not None:
            return (found.intent.name,)
        reading = self._matcher.interpret(text, context_area=area)
        if reading.accepted:
            return tuple(frame.intent for frame in reading.frames)
        return self._strict.intents_of(text, area=area)


def peers(home: Home) -> Mapping[str, Callable[[Home], Peer]]:
    """Return what makes each peer that is installed and speaks a home's language, by its name on the scorecard."""
    made: dict[str, Callable[[Home], Peer]] = {"hassil": StrictPeer}
    if has_fallback() and home.language.lower().startswith("en"):
        made["hassil + gazetteer"] = FallbackPeer
    return made


def _named(things: Iterable[tuple[str, Sequence[str], str | None]]) -> list[tuple[str, str]]:
    """Return input and output of each name; an area's output is the name that was said, a floor's its own name."""
    pairs = [(remove_punctuation(name).strip(), output or name) for own, aliases, output in things for name in (own, *aliases)]
    return [pair for pair in pairs if pair[0]]


def _entity_names(entities: Sequence[Entity]) -> list[tuple[str, str, dict[str, Any]]]:
    names: list[tuple[str, str, dict[str, Any]]] = []
    for entity in entities:
        context: dict[str, Any] = {"domain": entity.domain}
        if entity.device_class is not None:
            context["device_class"] = entity.device_class
        names += [(said, name, context) for name in (entity.name, *entity.aliases) if (said := remove_punctuation(name).strip())]
    return names


def _gazetteer_home(home: Home) -> dict[str, Any]:
    return {
        "floors": {one.id: {"name": one.name, "aliases": list(one.aliases)} for one in home.floors},
        "areas": {one.id: {"name": one.name, "aliases": list(one.aliases), "floor": one.floor} for one in home.areas},
        "entities": {
            one.id: {"name": one.name, "aliases": list(one.aliases), "domain": one.domain, "area": one.area}
            | ({"device_class": one.device_class} if one.device_class is not None else {})
            for one in home.exposed
        },
    }


def _with_unknown_names(text: str, sentences: Any, slot_lists: dict[str, Any], context: dict[str, Any] | None) -> Any:
    """Return the match that explains most of the text.

    Source: `_recognize_unknown_names` of the default agent, its preferences as one sort key.
    """
    best: tuple[tuple[int, ...], RecognizeResult] | None = None
    for result in recognize_all(text, sentences, slot_lists=slot_lists, intent_context=context, allow_unmatched_entities=True):
        if result.text_chunks_matched < 1:
            continue
        matched = sum(entity.name not in result.unmatched_entities for entity in result.entities_list)
        unmatched = [e for e in result.unmatched_entities_list if not (isinstance(e, UnmatchedTextEntity) and e.text == MISSING_ENTITY)]
        ranges = sum(isinstance(entity, UnmatchedRangeEntity) for entity in unmatched)
        has_name = "name" in result.entities or "name" in result.unmatched_entities
        score = (result.text_chunks_matched, matched, -len(unmatched), ranges, int(has_name))
        if best is None or score > best[0]:
            best = (score, result)
    return None if best is None else best[1]
