"""From a frame to the sets of entities that it may mean.

    clause -> units ("the kitchen and bedroom lamps" is one, "the lamp and the hall fan" are two)
           -> alternatives of each unit, each a set of entities with the evidence for it
           -> targets: one alternative of every unit, less the exceptions

Precedence among equal names: the spoken area, the speaker's area, the speaker's floor; what still ties is rival, and a tie asks.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.frame import Frame, Span
from voice_rl_plugin.domain.home import Entity, Home, States
from voice_rl_plugin.understanding.features import Observation, is_known_place
from voice_rl_plugin.understanding.kinds import KIND_BY_NAME, Kind, contains_words, is_door, kind_of, members_of
from voice_rl_plugin.understanding.names import CLEAR_SOUND, Match, NameIndex
from voice_rl_plugin.understanding.text import is_han, words_of

MOST_TARGETS = 8
_EVERY = frozenset("all every each both everything everywhere whole entire any two three four five six 都 全 每 整 两 俩 三 四 各".split())
_EVERY_HAN = ("所有", "统统", "通通", "一律", "两边")
_COUNTS = frozenset("two three four five six any 两 俩 三 四 各 whole entire 整".split())
_PAIRS = frozenset("both two 两 俩".split())
_HOME_WIDE = frozenset({"everywhere", "house", "home", "flat", "apartment", "family", "place"})
_HOME_WIDE_HAN = (
    "全家",
    "家里",
    "全屋",
    "整个家",
    "整屋",
    "整个房子",
    "家中",
    "全宅",
    "到处",
    "哪儿都",
    "整栋",
    "全部房间",
    "所有房间",
    "每个房间",
)
_HERE_HAN = ("这里", "这儿", "这边", "屋里", "房间里", "这间", "这屋")
_SINGULAR_HAN = re.compile(
    "[那这哪某][盏个台扇把只颗根道片条串幅面层支]|一[盏个台扇把只颗根道片条串幅面支]|[开关闭拉亮灭上下留]一个|其中一"
)
_ALSO = frozenset("too also same likewise well ditto 也 同 样".split())
_ONE_HAN = re.compile("[开关闭拉亮灭上下留]一[个层]|一[盏扇根颗台片道]|其中一")
_IMPLIED_DOMAIN = {
    "brightness": "light",
    "color": "light",
    "color_temp": "light",
    "volume": "media_player",
    "media": "media_player",
    "temperature": "climate",
    "mode": "climate",
    "humidity": "humidifier",
    "position": "cover",
    "speed": "fan",
    "lock": "lock",
    "cleaning": "vacuum",
    "scene": "scene",
    "power": "light",
}
_WEIGHTLESS = frozenset("the a an my our s of in on at by and , 的 那 这 盏 个 台 里".split())
_PAIR_SCORE = 0.85
"""How well a part of two names fits where two are asked for: "both linen curtains"."""
_FORM_SCORE = {"full": 1.0, "stripped": 0.95, "partial": 0.7, "sound": 0.6}


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Where an utterance was said, and what is known there."""

    home: Home
    index: NameIndex
    area: str | None = None
    """The speaker's area."""
    states: States = field(default_factory=dict)
    previous: tuple[Action, ...] = ()
    """What was done just before; empty when it is too long ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A set of entities that a clause may mean, with the evidence for it."""

    entities: tuple[Entity, ...]
    form: str
    """The weakest way any part of it was named: full, stripped, partial, sound, kind, area, previous, implied."""
    score: float
    """How well the names fit, in [0, 1]."""
    rivals: int = 1
    """How many alternatives fit equally well; 1 when it is the only one."""
    is_plural: bool = False
    """Whether the words ask for several."""
    unmatched: int = 0
    """Tokens that name something this home does not have."""
    has_area_conflict: bool = False
    """Whether the words name an area that it is not in."""
    is_widened: bool = False
    """Whether nothing fitted in the speaker's area, so that the search went wider."""
    is_home_wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    name: Span | None = None
    kind: Kind | None = None
    noun: tuple[str, ...] = ()
    """How it was said, where it is a noun and no name."""
    is_plural: bool = False
    is_pair: bool = False
    """Whether two are asked for."""
    is_singular: bool = False
    areas: tuple[str, ...] = ()
    unmatched_area: int = 0
    area_by_sound: bool = False
    inherits_area: bool = False
    """Whether the room was said of the device before: "the bedroom fan and lamp"."""


def resolve(observation: Observation, frame: Frame, situation: Situation, *, prop: str) -> tuple[Target, ...]:
    """Return the targets that a clause may mean, best first.

    Args:
        observation: the utterance.
        frame: the clause.
        situation: where it was said.
        prop: the property in question; it says what is meant where nothing is named.
    """
    words = observation.words
    units = _units(observation, frame, situation)
    excluded, lost = _excluded(observation, frame, situation)
    home_wide = _is_home_wide(words[frame.start : frame.end])
    if not units:
        targets = _implied(frame, situation, prop, home_wide=home_wide)
    else:
        targets = _combine([_alternatives(u, observation, situation, prop, home_wide=home_wide) for u in units])
    if excluded:
        targets = [replace(t, entities=_without(t.entities, excluded, situation.home)) for t in targets]
        targets = [target for target in targets if target.entities]
    return tuple(
        replace(t, entities=_without_group_members(t.entities), is_home_wide=home_wide, unmatched=t.unmatched + lost)
        if home_wide or lost or len(t.entities) > 1
        else t
        for t in targets[:MOST_TARGETS]
        if t.entities
    )


def _without(entities: Sequence[Entity], excluded: AbstractSet[str], home: Home) -> tuple[Entity, ...]:
    """Return some entities without those left out; a group that holds one of them stands for its other members."""
    kept: dict[str, Entity] = {}
    for entity in entities:
        members = [home.entity_by_id[m] for m in entity.members if m in home.entity_by_id] if excluded & set(entity.members) else [entity]
        kept |= {e.id: e for e in members if e.id not in excluded}
    return tuple(kept.values())


_MEASURED = (
    ("temperature", frozenset("warm hot cold chilly temperature degrees".split()), ("温度", "几度", "多少度", "冷不冷", "热不热")),
    ("humidity", frozenset("humid humidity damp".split()), ("湿度", "潮不潮")),
)
"""What a question may ask of a room's sensors: their device class, and the words for it."""


def sensors_asked(observation: Observation, frame: Frame, situation: Situation) -> tuple[Target, ...]:
    """Return the sensor of a room that a question asks for by what it measures: "how warm is it in the orchard"."""
    if frame.spans_of("NAME", "CLASS"):
        return ()
    words = observation.words[frame.start : frame.end]
    text = "".join(words)
    asked = [measured for measured, english, han in _MEASURED if english & set(words) or any(h in text for h in han)]
    areas = [a for span in frame.spans_of("AREA", "FLOOR") for a in _places(observation, span, situation.home)[0]]
    if not asked or (frame.spans_of("AREA", "FLOOR") and not areas):
        return ()
    sensors = [e for e in situation.home.exposed if e.domain == "sensor" and e.device_class == asked[0]]
    here = [e for e in sensors if (e.area in areas if areas else e.area == situation.area)]
    if not here and not areas and len(sensors) == 1:
        here = sensors
    return (Target(entities=tuple(here), form="area", score=0.85),) if here else ()


def unknown_tokens(observation: Observation, frame: Frame, situation: Situation) -> int:
    """Return how many tokens of a clause are tagged as a name or a room that this home does not have."""
    total = 0
    windows = {(m.start, m.end) for m in observation.matches}
    for span in frame.spans_of("NAME", "AREA", "FLOOR"):
        said = observation.words[span.start : span.end]
        if (span.tag != "NAME" and rooms_of_sort(said, situation)) or rooms_of_owner(said, situation):
            continue
        covered = [False] * (span.end - span.start)
        for start, end in windows:
            for position in range(max(start, span.start), min(end, span.end)):
                covered[position - span.start] = True
        kind = kind_of(observation.words[span.start : span.end])
        noun = kind[2] if kind else _stand_in(observation.words[span.start : span.end])
        if noun:
            covered[len(covered) - noun :] = [True] * noun
        total += sum(1 for known, word in zip(covered, observation.words[span.start : span.end], strict=True) if not known and word != ",")
    return total


def _is_home_wide(words: Sequence[str]) -> bool:
    text = "".join(words)
    if "所有" in text and not any(phrase in text for phrase in _HERE_HAN):
        return True
    return bool(_HOME_WIDE & set(words)) or any(phrase in text for phrase in _HOME_WIDE_HAN)


def asks_for_all(words: Sequence[str]) -> bool:
    """Whether a sentence says all, every, both or everywhere."""
    return bool((_EVERY - _COUNTS) & set(words)) or _says_every(words) or _is_home_wide(words)


def _says_every(words: Sequence[str]) -> bool:
    text = "".join(words)
    return any(phrase in text for phrase in _EVERY_HAN)


def _has_quantifier(words: Sequence[str], frame: Frame) -> bool:
    """Whether a clause says all, every or both, or counts devices; a number counts only where the network saw a quantity."""
    spans = frame.spans_of("QUANTIFIER")
    if any(_EVERY & set(words[span.start : span.end]) for span in spans):
        return True
    clause = words[frame.start : frame.end]
    plain = _EVERY - _COUNTS
    return _says_every(clause) or any(word in plain and tuple(clause[i + 1 : i + 3]) != ("the", "way") for i, word in enumerate(clause))


def _area_matches(observation: Observation, span: Span, thing: str) -> tuple[list[str], bool]:
    """Return the ids of the areas or floors that a span names, and whether only by sound."""
    inside = [m for m in observation.matches if m.thing == thing and m.start < span.end and m.end > span.start]
    exact = [m for m in inside if m.form != "sound" and m.start >= span.start and m.end <= span.end]
    if exact:
        longest = max(m.end - m.start for m in exact)
        return list(dict.fromkeys(m.id for m in exact if m.end - m.start == longest)), False
    if is_known_place(observation.words[span.start : span.end]):
        return [], False  # a cellar that this home lacks is no misheard scullery
    heard = sorted((m for m in inside if m.form == "sound"), key=lambda m: -m.score)
    return ([heard[0].id], True) if heard else ([], False)


def _units(observation: Observation, frame: Frame, situation: Situation) -> list[_Unit]:
    words = observation.words
    home = situation.home
    spans = frame.spans_of("AREA", "FLOOR", "NAME", "CLASS")
    quantified = _has_quantifier(words, frame)
    clause = "".join(words[frame.start : frame.end]).replace("每一", "").replace("一个小时", "")
    units: list[_Unit] = []
    pending: list[str] = []
    pending_unmatched = 0
    pending_sound = False
    for position, span in enumerate(spans):
        tag = span.tag
        if tag == "NAME" and not _entity_matches(observation, span):
            is_room = _area_matches(observation, span, "area")[0] or (
                position + 1 < len(spans) and rooms_of_owner(words[span.start : span.end], situation)
            )
            tag = "AREA" if is_room else tag
        if tag in ("AREA", "FLOOR"):
            areas, by_sound = _places(observation, span, home)
            areas = (
                areas or rooms_of_sort(words[span.start : span.end], situation) or rooms_of_owner(words[span.start : span.end], situation)
            )
            unmatched = 0 if areas else span.end - span.start
            following = spans[position + 1] if position + 1 < len(spans) else None
            joins_next = (
                following is not None
                and following.tag in ("NAME", "CLASS")
                and all(w in ("的", "s", "那", "盏", "个", "里", "里面", "边", "all", "两") for w in words[span.end : following.start])
            )
            open_units = [u for u in units if not u.areas and not u.unmatched_area]
            if open_units and not joins_next and not (following is not None and following.tag in ("AREA", "FLOOR") and not units):
                units = [
                    replace(u, areas=tuple(areas), unmatched_area=unmatched, area_by_sound=by_sound) if u in open_units else u
                    for u in units
                ]
            else:
                pending += areas
                pending_unmatched += unmatched
                pending_sound |= by_sound
            continue
        phrase = words[span.start : span.end]
        kind = kind_of(phrase)
        before = "".join(words[max(0, span.start - 3) : span.start])
        unit = _Unit(
            name=span if tag == "NAME" or kind is None or kind[2] < len(phrase) else None,
            kind=kind[0] if kind else None,
            noun=phrase if kind is not None and kind[2] == len(phrase) else (),
            is_plural=quantified or bool(kind and kind[1]),
            is_pair=quantified and (bool(_PAIRS & set(words[frame.start : frame.end])) or "两边" in clause),
            is_singular=_SINGULAR_HAN.search(before) is not None or _ONE_HAN.search(clause) is not None,
            areas=tuple(dict.fromkeys(pending)),
            unmatched_area=pending_unmatched,
            area_by_sound=pending_sound,
        )
        units.append(unit)
        pending, pending_unmatched, pending_sound = [], 0, False
    if pending or pending_unmatched:  # a room alone: "turn off the kitchen"
        units.append(
            _Unit(areas=tuple(dict.fromkeys(pending)), unmatched_area=pending_unmatched, area_by_sound=pending_sound, is_plural=True)
        )
    for index in range(1, len(units)):  # "the bedroom fan and lamp"
        if not units[index].areas and not units[index].unmatched_area and units[index - 1].areas:
            units[index] = replace(units[index], areas=units[index - 1].areas, inherits_area=True)
    return units


def _places(observation: Observation, span: Span, home: Home) -> tuple[list[str], bool]:
    """Return the area ids that an area or floor span means, and whether only by sound."""
    for thing in ("area", "floor") if span.tag != "FLOOR" else ("floor", "area"):
        ids, by_sound = _area_matches(observation, span, thing)
        if ids and not by_sound:
            return (ids if thing == "area" else [a for f in ids for a in home.areas_of_floor(f)]), False
    ids, by_sound = _area_matches(observation, span, "area")
    if ids:
        return ids, by_sound
    ids, by_sound = _area_matches(observation, span, "floor")
    return [a for f in ids for a in home.areas_of_floor(f)], by_sound


def rooms_of_sort(words: Sequence[str], situation: Situation) -> list[str]:
    """Return the one room that a plain word means where rooms have longer names: the bedroom is the Master Bedroom where it is the only one, or where one speaks."""
    if not is_known_place(words):
        return []
    said = tuple(w for w in words if w not in _WEIGHTLESS)
    short = ("卧",) if said == ("卧", "室") else said
    rooms = [
        area_id
        for area_id, names in situation.index.area_words.items()
        if any(n[-len(said) :] == said or n[-len(short) :] == short for n in names)
    ]
    if situation.area in rooms:
        return [situation.area] if situation.area is not None else []
    return rooms if len(rooms) == 1 else []


def rooms_of_owner(words: Sequence[str], situation: Situation) -> list[str]:
    """Return the one room that belongs to whom some words name: 妞妞 of 妞妞的房间, "Lily's" of Lily's Room."""
    is_owner = all(is_han(w) for w in words) if len(words) > 1 else bool(words) and words[0].isascii() and words[0].endswith("s")
    rooms = _places_beginning(words, situation) if is_owner and not is_known_place(words) else []
    return rooms if len(rooms) == 1 else []


def _entity_matches(observation: Observation, span: Span) -> dict[str, tuple[Match, float, int]]:
    """Return per entity the best match inside a span, its score, and the tokens that it leaves unexplained."""
    best: dict[str, tuple[Match, float, int]] = {}
    heard: set[str] = set()
    placing: set[int] | None = None
    length = span.end - span.start
    phrase = observation.words[span.start : span.end]
    kind = kind_of(phrase)
    noun = kind[2] if kind else _stand_in(phrase)
    first, behind = span.start, span.end
    for match in observation.matches:
        start, end, thing, entity_id, form, share = match
        if thing != "entity" or end <= first or start >= behind:
            continue
        outside = (first - start if start < first else 0) + (end - behind if end > behind else 0)
        if outside and form != "full":
            continue
        left = length - (end - start - outside)
        if left and form == "partial":
            if placing is None:
                placing = _placing(observation, span)
            left -= sum(not start <= i < end for i in placing)
        if left and noun and end <= behind - noun and form != "full":
            left = max(0, left - noun)  # "desk lamp" for the Desk Light: the noun explains itself
        score = _FORM_SCORE[form] * share
        if left:
            score *= 1.0 - 0.5 * (left / length)
        if outside:
            score *= 0.97
        known = best.get(entity_id)
        if form == "sound" and share >= CLEAR_SOUND and length > 1 and not left:
            heard.add(entity_id)
            known = known if known is not None and not known[2] else None
        elif entity_id in heard and left:
            continue
        if known is None or score > known[1] or (score == known[1] and left < known[2]):
            best[entity_id] = (match, score, left)
    if heard:  # what was heard as a whole is not a part of something else: 导台灯 is the 岛台灯, and no 台灯
        best = {entity_id: found for entity_id, found in best.items() if entity_id in heard or not found[2]}
    return best


def _stand_in(phrase: Sequence[str]) -> int:
    """Return how many tokens at the end of a phrase stand for a noun that was said before: the left one, 左边那盏."""
    if len(phrase) > 1 and phrase[-1] in ("one", "ones"):
        return 1
    if len(phrase) > 2 and phrase[-2] in ("那", "这") and not phrase[-1].isascii():
        return 3 if len(phrase) > 3 and phrase[-3] == "的" else 2
    return 0


def _placing(observation: Observation, span: Span) -> set[int]:
    """Return the tokens of a span that name a room or a floor, or are words without weight."""
    placing = {i for i in range(span.start, span.end) if observation.words[i] in _WEIGHTLESS}
    for match in observation.matches:
        if match.thing != "entity" and match.form != "sound" and match.start < span.end and match.end > span.start:
            placing.update(range(max(match.start, span.start), min(match.end, span.end)))
    return placing


def _excluded(observation: Observation, frame: Frame, situation: Situation) -> tuple[set[str], int]:
    """Return the ids of the entities that a clause leaves out, and how many exceptions it names that are nothing of this home."""
    out: set[str] = set()
    lost = 0
    for span in frame.spans_of("EXCEPT_AREA"):
        areas, _ = _places(observation, span, situation.home)
        areas = areas or _places_beginning(observation.words[span.start : span.end], situation)
        lost += not areas
        out |= {e.id for e in situation.home.exposed if e.area in areas}
    for span in frame.spans_of("EXCEPT_NAME", "EXCEPT_CLASS"):
        unit_span = Span(tag="NAME", start=span.start, end=span.end)
        matches = _entity_matches(observation, unit_span)
        areas = [a for s in frame.spans_of("EXCEPT_AREA") if s.end <= span.start for a in _places(observation, s, situation.home)[0]]
        if span.tag == "EXCEPT_CLASS" or not matches:
            kind = kind_of(observation.words[span.start : span.end])
            if kind is not None:
                out |= {e.id for e in members_of(kind[0], situation.home.exposed) if not areas or e.area in areas}
                continue
            if not matches:
                places = _places_beginning(observation.words[span.start : span.end], situation)
                out |= {e.id for e in situation.home.exposed if e.area in places}
                lost += not places
        if matches:
            top = max(score for _, score, _ in matches.values())
            chosen = {e for e, (_, score, _) in matches.items() if score >= top - 0.05}
            near = {e for e in chosen if situation.home.entity_by_id[e].area == situation.area}
            out |= near or chosen
    return out | {member for entity_id in out for member in situation.home.entity_by_id[entity_id].members}, lost


def _places_beginning(words: Sequence[str], situation: Situation) -> list[str]:
    """Return the areas whose name begins with some words, less a possessive: "all but Lily's", 除了大宝的."""
    if len(words) == 1 and not words[0].isascii():
        return []  # one character begins too many names
    said = tuple(w[:-1] if w.isascii() and w.endswith("s") and len(words) == 1 else w for w in words if w != "的")
    return [
        area_id
        for area_id, names in situation.index.area_words.items()
        if said and any(name[: len(said)] == said or (len(said) == 1 and name[0] == f"{said[0]}s") for name in names)
    ]


def _prefer_place(entities: Sequence[Entity], situation: Situation) -> tuple[Entity, ...]:
    """Return those in the speaker's area, else those on the speaker's floor, else all."""
    if situation.area is None:
        return tuple(entities)
    here = tuple(e for e in entities if e.area == situation.area)
    if here:
        return here
    area = situation.home.area_by_id.get(situation.area)
    if area is not None and area.floor is not None:
        near = set(situation.home.areas_of_floor(area.floor))
        floor = tuple(e for e in entities if e.area in near)
        if floor:
            return floor
    return tuple(entities)


def _alternatives(unit: _Unit, observation: Observation, situation: Situation, prop: str, *, home_wide: bool) -> list[Target]:
    if unit.inherits_area:
        own = _alternatives(replace(unit, inherits_area=False), observation, situation, prop, home_wide=home_wide)
        if own and not own[0].has_area_conflict:
            return own
        unit = replace(unit, areas=(), inherits_area=False)  # "the hall torch and the beacon", which is elsewhere
    found: list[Target] = []
    if unit.name is not None:
        found += _named(unit, observation, situation, home_wide=home_wide)
    elif unit.kind is not None:
        found += _whole_phrase(unit, observation, situation) or _called_so(unit, situation)
    if found and found[0].score >= 0.9 and not found[0].has_area_conflict:
        return found
    return found + _of_kind(unit, observation, situation, prop, home_wide=home_wide)


def _whole_phrase(unit: _Unit, observation: Observation, situation: Situation) -> list[Target]:
    """Return entities whose full name is the room and the noun together, as in Kitchen Light."""
    found = []
    for match in observation.matches:
        if match.thing != "entity" or match.form != "full" or match.end - match.start < 2:
            continue
        entity = situation.home.entity_by_id[match.id]
        phrase = kind_of(observation.words[match.start : match.end])
        if phrase is None or unit.kind is None or phrase[0] is not unit.kind or phrase[1] != unit.is_plural:
            continue
        if unit.areas and entity.area not in unit.areas:
            continue
        found.append(Target(entities=(entity,), form="full", score=1.0))
    if len(found) > 1:
        kept = _prefer_place([t.entities[0] for t in found], situation)
        found = [replace(t, rivals=len(kept)) for t in found if t.entities[0] in kept]
    return found


def _called_so(unit: _Unit, situation: Situation) -> list[Target]:
    """Return the one entity whose whole name a noun is, where nothing nearer is called so: "the soundbar" is no radio of this room."""
    if unit.is_plural or unit.areas or unit.unmatched_area or not unit.noun:
        return []
    bearing = [e for e in situation.home.exposed if any(contains_words(words_of(name), unit.noun) for name in (e.name, *e.aliases))]
    if len(bearing) != 1 or bearing[0].members or not any(words_of(name) == unit.noun for name in (bearing[0].name, *bearing[0].aliases)):
        return []
    return [Target(entities=(bearing[0],), form="full", score=1.0)]


def _named(unit: _Unit, observation: Observation, situation: Situation, *, home_wide: bool) -> list[Target]:
    home = situation.home
    assert unit.name is not None
    matches = _entity_matches(observation, unit.name)
    if not matches:
        return []
    scored: list[tuple[Entity, float, str, int]] = []
    for entity_id, (match, score, left) in matches.items():
        entity = home.entity_by_id[entity_id]
        if unit.kind is not None and match.form != "full" and entity.domain not in unit.kind.domains:
            continue
        if unit.kind is not None and unit.kind.strict and match.form == "partial" and not members_of(unit.kind, (entity,)):
            continue
        if unit.is_singular and entity.members:
            continue  # one of several is not their group
        has_other_number = left > 0 and any(w.isdigit() for w in observation.words[match.end : unit.name.end])
        scored.append((entity, score, match.form, left + 2 if has_other_number else left))  # lantern 4 is not any lantern
    scored.sort(key=lambda item: -item[1])
    if not scored:
        return []
    inside = [item for item in scored if not unit.areas or item[0].area in unit.areas]
    conflict = bool(unit.areas) and not inside
    pool = inside or scored
    top = pool[0][1]
    ties = [item for item in pool if item[1] >= top - 0.04]
    kept = _prefer_place([item[0] for item in ties], situation) if not unit.areas and not home_wide else tuple(i[0] for i in ties)
    ties = [item for item in ties if item[0] in kept]
    targets: list[Target] = []
    several = unit.is_plural and len(ties) > 1
    if several or (len(ties) > 1 and _is_han_open(unit, observation, ties, home_wide=home_wide)):
        entities = tuple(item[0] for item in ties)
        targets.append(
            Target(
                entities=entities,
                form=ties[0][2],
                score=max(top, _PAIR_SCORE) if unit.is_pair and len(ties) == 2 and not ties[0][3] else top,
                rivals=1 if several or not unit.is_singular else len(ties),
                unmatched=unit.unmatched_area + ties[0][3],
                has_area_conflict=conflict,
                is_plural=True,
            )
        )
    for entity, score, form, left in [*ties, *[i for i in pool if i not in ties][:3]]:
        is_tie = any(entity is item[0] for item in ties)
        rivals = (len(ties) if is_tie else len(ties) + 1) + (1 if several and is_tie else 0)
        targets.append(
            Target(
                entities=(entity,),
                form=form,
                score=score,
                rivals=rivals,
                unmatched=unit.unmatched_area + left,
                has_area_conflict=conflict,
                is_plural=unit.is_plural,
            )
        )
    return targets


def _is_han_open(unit: _Unit, observation: Observation, ties: Sequence[tuple[Entity, float, str, int]], *, home_wide: bool) -> bool:
    """Whether a Chinese name without a measure word may mean all that bear it: 客厅的壁灯 are all wall lamps of the room.

    Not where nobody said of which room: 吸顶灯 in each of two rooms are two devices.
    """
    assert unit.name is not None
    if not unit.areas and not home_wide and len({item[0].area for item in ties}) > 1:
        return False
    word = observation.words[unit.name.end - 1]
    return not word.isascii() and not unit.is_singular and ties[0][2] != "sound"


def _scope(unit: _Unit, situation: Situation, *, home_wide: bool) -> tuple[list[tuple[tuple[Entity, ...], bool]], bool]:
    """Return the nested scopes to search, innermost first, each with whether it is widened; and whether the area was spoken."""
    home = situation.home
    if unit.areas:
        wanted = set(unit.areas)
        return [(tuple(e for e in home.exposed if e.area in wanted), False)], True
    if home_wide or situation.area is None:
        return [(home.exposed, False)], False
    scopes = [(home.exposed_by_area.get(situation.area, ()), False)]
    area = home.area_by_id.get(situation.area)
    if area is not None and area.floor is not None:
        near = set(home.areas_of_floor(area.floor))
        scopes.append((tuple(e for e in home.exposed if e.area in near), True))
    scopes.append((home.exposed, True))
    return scopes, False


def _of_kind(unit: _Unit, observation: Observation, situation: Situation, prop: str, *, home_wide: bool) -> list[Target]:
    kind = unit.kind or KIND_BY_NAME["light"]
    form = "kind" if unit.kind is not None else "area"
    if unit.kind is None and unit.name is not None:
        return []
    if unit.unmatched_area and not unit.areas:
        return _whole_home_of(kind, situation, unit)
    before = situation.previous[0].targets[:1] if situation.previous else ()
    domain: str | None
    if unit.kind is None and before and _ALSO & set(observation.words):  # "the bedroom too" means there what was done here
        domain = before[0].partition(".")[0]
    elif unit.kind is None and prop in _IMPLIED_DOMAIN and prop != "power":
        domain = _IMPLIED_DOMAIN[prop]
    else:
        domain = None
    unmatched = unit.unmatched_area
    if unit.name is not None and unit.kind is not None:  # "the big lamp", and nothing here is called big
        length = kind_of(observation.words[unit.name.start : unit.name.end])
        unmatched += (unit.name.end - unit.name.start) - (length[2] if length else 0)
    scopes, _ = _scope(unit, situation, home_wide=home_wide)
    for scope, widened in scopes:
        entities = members_of(kind, scope) if domain is None else tuple(e for e in scope if e.domain == domain)
        if prop == "lock" and kind.name == "door":
            entities = tuple(e for e in entities if e.domain == "lock") or entities
        if domain is not None and before and len(entities) > 1 and not unit.kind and _ALSO & set(observation.words):
            entities = _namesakes(before[0], entities, situation) or entities
        if not entities:
            continue
        score = 0.5 if unmatched else (0.85 if not unit.area_by_sound else 0.7)
        base = Target(entities=entities, form=form, score=score, unmatched=unmatched, is_plural=unit.is_plural, is_widened=widened)
        if len(entities) == 1:
            return [base]
        groups = [e for e in entities if e.members and {m.id for m in entities if m is not e} <= set(e.members)]
        han = not observation.words[0].isascii() or any(not w.isascii() for w in observation.words)
        open_plural = unit.is_plural or (han and not unit.is_singular and _takes_all(entities))
        if groups and open_plural:
            return [replace(base, entities=(groups[0],), is_plural=True)]
        singles = [replace(base, entities=(e,), rivals=len(entities)) for e in _playing_first(entities, situation)]
        if open_plural and (not widened or unit.is_plural) and (situation.area is not None or unit.areas or home_wide or unit.is_plural):
            ask = situation.area is None and not unit.areas and not home_wide and not asks_for_all(observation.words)
            whole = replace(base, is_plural=True, rivals=2 if ask else 1)
            return [whole, *(replace(s, rivals=len(entities) + 1) for s in singles[:3])]
        playing = [e for e in entities if e.id in situation.states and situation.states[e.id].value == "playing"]
        if entities[0].domain == "media_player" and len(playing) == 1:
            return [replace(base, entities=(playing[0],)), *(s for s in singles if s.entities[0] is not playing[0])]
        return singles
    return []


def _namesakes(entity_id: str, entities: Sequence[Entity], situation: Situation) -> tuple[Entity, ...]:
    """Return those that bear the name of what was done before: after 东屋的吸顶灯, 西屋的也关 is its 吸顶灯 alone."""
    done = situation.home.entity_by_id.get(entity_id)
    if done is None or len(situation.previous) != 1 or len(situation.previous[0].targets) != 1:
        return ()
    names = situation.index.names_in_room(done)
    return tuple(e for e in entities if names & situation.index.names_in_room(e))


def _takes_all(entities: Sequence[Entity]) -> bool:
    """Whether a Chinese bare noun means all of them: lights, window coverings; never speakers, locks, doors or climates."""
    return all(e.domain in ("light", "fan") or (e.domain == "cover" and not is_door(e)) for e in entities)


def _whole_home_of(kind: Kind, situation: Situation, unit: _Unit) -> list[Target]:
    entities = members_of(kind, situation.home.exposed)
    if not entities:
        return []
    base = Target(entities=entities, form="kind", score=0.3, unmatched=unit.unmatched_area, rivals=len(entities), has_area_conflict=True)
    return [replace(base, entities=(e,)) for e in entities[:2]]


def _playing_first(entities: Sequence[Entity], situation: Situation) -> list[Entity]:
    def rank(entity: Entity) -> int:
        state = situation.states.get(entity.id)
        return 0 if state is not None and state.value in ("playing", "on") else 1

    return sorted(entities, key=rank)


def _implied(frame: Frame, situation: Situation, prop: str, *, home_wide: bool) -> list[Target]:
    """Return what is meant where nothing is named: what was spoken of last, else the devices of the property in the speaker's area."""
    spoken_of: list[Target] = []
    previous = tuple(situation.home.entity_by_id[i] for a in situation.previous for i in a.targets if i in situation.home.entity_by_id)
    domain = _IMPLIED_DOMAIN.get(prop)
    has_here = bool(frame.spans_of("HERE")) or frame.mood == "wish"
    fits = domain is None or prop == "power" or any(e.domain == domain for e in previous)
    if previous and not has_here:
        spoken_of.append(Target(entities=previous, form="previous", score=0.9 if fits else 0.4, is_plural=len(previous) > 1))
    if domain is None or frame.spans_of("PRONOUN"):
        return spoken_of
    targets = spoken_of if fits else []
    unit = _Unit()
    scopes, _ = _scope(unit, situation, home_wide=home_wide)
    for scope, widened in scopes:
        entities = tuple(e for e in scope if e.domain == domain and not is_door(e))
        if not entities:
            continue
        rivals = 1
        if domain == "light":
            lone = Target(entities=entities, form="implied", score=0.7, is_plural=True, is_widened=widened)
            ask = situation.area is None and not home_wide and len(entities) > 1
            targets.append(replace(lone, rivals=2 if widened or ask else 1))
            if ask or widened:
                targets += [replace(lone, entities=(e,), is_plural=False, rivals=len(entities)) for e in entities[:2]]
            break
        if len(entities) > 1:
            active = [e for e in entities if e.id in situation.states and situation.states[e.id].value == "playing"]
            speaker = _satellite_player(situation)
            chosen = active if len(active) == 1 else [e for e in entities if e.id == speaker]
            if domain == "cover":
                ask = widened or (situation.area is None and not home_wide)
                targets.append(
                    Target(entities=entities, form="implied", score=0.7, rivals=2 if ask else 1, is_plural=True, is_widened=widened)
                )
                break
            if len(chosen) == 1:
                targets.append(Target(entities=(chosen[0],), form="implied", score=0.7, is_widened=widened))
                break
            rivals = len(entities)
        targets += [Target(entities=(e,), form="implied", score=0.7, rivals=rivals, is_widened=widened) for e in entities[:4]]
        break
    return targets or spoken_of


def _satellite_player(situation: Situation) -> str | None:
    for satellite in situation.home.satellites:
        if satellite.area == situation.area and satellite.media_player:
            return satellite.media_player
    return None


def _combine(alternatives: list[list[Target]]) -> list[Target]:
    """Join the units: the best of all, then one unit varied at a time."""
    if any(not options for options in alternatives):
        resolved = [options for options in alternatives if options]
        if not resolved:
            return []
        missing = len(alternatives) - len(resolved)
        return [replace(t, unmatched=t.unmatched + missing) for t in _combine(resolved)]
    if len(alternatives) == 1:
        return alternatives[0]
    best = [options[0] for options in alternatives]
    joined = [_join(best)]
    for index, options in enumerate(alternatives):
        joined += [_join([*best[:index], option, *best[index + 1 :]]) for option in options[1:3]]
    return joined


_FORM_ORDER = ("full", "stripped", "kind", "area", "previous", "implied", "partial", "sound")


def _join(parts: Sequence[Target]) -> Target:
    entities = tuple(dict.fromkeys(e for part in parts for e in part.entities))
    return Target(
        entities=tuple(entities),
        form=max((p.form for p in parts), key=_FORM_ORDER.index),
        score=min(p.score for p in parts),
        rivals=max(p.rivals for p in parts),
        is_plural=True,
        unmatched=sum(p.unmatched for p in parts),
        has_area_conflict=any(p.has_area_conflict for p in parts),
        is_widened=any(p.is_widened for p in parts),
    )


def _without_group_members(entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
    """Replace the members of a group by the group, where all of them are meant; a group is one target, never with its members."""
    ids = {e.id for e in entities}
    for group in entities:
        if group.members and len(entities) > 1:
            inside = {m for m in group.members if m in ids}
            if inside:
                complete = set(group.members) <= ids
                drop = inside if complete else {group.id}
                return _without_group_members(tuple(e for e in entities if e.id not in drop))
    return entities
