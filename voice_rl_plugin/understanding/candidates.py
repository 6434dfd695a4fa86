"""The executable candidates of one clause, with what the scorer sees of each.

    operations x properties (the likely ones) x targets  ->  actions  ->  features [N, CANDIDATE_FEATURES], context [CONTEXT_FEATURES]

The scorer turns them into N + 2 probabilities: one a candidate, one for "for us, but none of these", one for "not for us".
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.beyond import WEATHER
from voice_rl_plugin.domain.frame import MOODS, Frame, Span
from voice_rl_plugin.domain.home import Entity
from voice_rl_plugin.understanding.beyond import beyond_action, weather_search
from voice_rl_plugin.understanding.colours import color_name, hvac_mode, white_kelvin
from voice_rl_plugin.understanding.features import Observation
from voice_rl_plugin.understanding.numbers import Value, as_far_as_it_goes, parse_value
from voice_rl_plugin.understanding.resolve import Situation, Target, resolve, sensors_asked, unknown_tokens
from voice_rl_plugin.understanding.services import Amounts, actions_for
from voice_rl_plugin.understanding.spans import mend

UNLIKELY = 0.03
"""An operation on a property is not considered when it is less likely than this times the likeliest."""
MOST_CANDIDATES = 12
_FORMS = ("full", "stripped", "partial", "sound", "kind", "area", "previous", "implied")
_DOMAINS = "light switch fan media_player climate cover lock vacuum scene".split()
_PROPERTY_DOMAINS = {
    "brightness": ("light",),
    "color": ("light",),
    "color_temp": ("light",),
    "volume": ("media_player",),
    "media": ("media_player",),
    "temperature": ("climate", "water_heater"),
    "mode": ("climate", "fan", "humidifier"),
    "position": ("cover", "valve"),
    "speed": ("fan",),
    "lock": ("lock", "cover"),
    "cleaning": ("vacuum", "lawn_mower"),
    "scene": ("scene", "script", "button"),
}
_LOT = frozenset("lot lots way much loads heaps plenty 很多 许多 好多".split())
_LOT_HAN = ("很多", "许多", "好多", "大幅", "多调", "亮多", "暗多")
_LEAST_HEARD, _BEST_HEARD = 0.48, 0.6
"""Scores of a target whose name is just alike, and quite alike, to what was heard."""
_GARBLES = frozenset("uh um er erm hmm shh 嗯 呃 嘶 滋 呲 咝 沙".split())
_STATELESS = frozenset({"scene", "script", "button", "input_button"})
"""Domains without a state that anybody could ask for."""
_POWER = ("turn_on", "turn_off", "toggle", "open", "close", "start", "stop")
_PROPERTY_OF_DOMAIN = {
    "light": "brightness",
    "media_player": "volume",
    "climate": "temperature",
    "cover": "position",
    "fan": "speed",
    "lock": "lock",
    "vacuum": "cleaning",
    "scene": "scene",
    "switch": "power",
}
_HAN_TIMER_STATUS = ("还剩", "还有多久", "还有多少")

CANDIDATE_FEATURES = 3 + len(_FORMS) + 1 + 3 + 3 + 4 + 5 + len(_DOMAINS) + 1 + 8 + 2
CONTEXT_FEATURES = len(MOODS) + 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One candidate of a clause before it is scored."""

    actions: tuple[Action, ...]
    target: Target | None
    operation: str
    property: str
    features: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseOptions:
    """All candidates of a clause, with what the scorer needs."""

    frame: Frame
    options: tuple[Option, ...]
    context: NDArray[np.float32]
    """[CONTEXT_FEATURES]"""
    unknown: int
    """Tokens that name something this home does not have."""
    is_unable: bool
    """Whether something was meant that cannot do what is asked."""
    has_destroyed_value: bool

    @property
    def features(self) -> NDArray[np.float32]:
        """Return the candidates' features, [N, CANDIDATE_FEATURES]."""
        return np.array([o.features for o in self.options], np.float32).reshape(len(self.options), CANDIDATE_FEATURES)


def property_of_domain(domain: str) -> str:
    """Return the property that is changed first of a device that is on; `power` where there is none but that."""
    return _PROPERTY_OF_DOMAIN.get(domain, "power")


def amounts_of(observation: Observation, frame: Frame) -> tuple[Amounts, bool]:
    """Return the values that a clause names, and whether one of them cannot be read."""
    words = observation.words
    value: Value | None = None
    delta: Value | None = None
    color = mode = None
    kelvin: int | None = None
    destroyed = False
    for span in frame.spans:
        part = words[span.start : span.end]
        if span.tag == "VALUE" and value is None:
            value = parse_value(part)
            if span.end < frame.end and words[span.end] in _GARBLES:  # what came behind the number was not heard
                value = None
            destroyed |= value is None
            is_step = frame.operation in ("raise", "lower") and not _is_absolute(words, span)
            if value is not None and (is_step or words[span.start - 1 : span.start] == ("by",)):
                value, delta = None, value
        elif span.tag == "DELTA" and delta is None:
            delta = parse_value(part)
        elif span.tag == "COLOR" and color is None and not _is_denied(words, span, frame):
            color = color_name(part)
            if color is None:
                kelvin = white_kelvin(part)
            destroyed |= color is None and kelvin is None
        elif span.tag == "WHITE":
            kelvin = white_kelvin(part)
            if kelvin is None:
                color = color_name(part)
        elif span.tag == "MODE" and mode is None:
            mode = hvac_mode(part)
    clause = words[frame.start : frame.end]
    text = "".join(clause)
    if value is None and "alltheway" in text and frame.operation in ("raise", "open", "turn_on", "set"):
        value = Value(100, "percent")
    if value is None and delta is None and frame.operation in ("raise", "lower", "turn_on", "set"):
        value = as_far_as_it_goes(clause)
    if value is None and delta is None and frame.operation == "set" and ("halfway" in clause or "一半" in text):
        value = Value(50, "percent")  # the network did not see it
    if value is not None and mode is not None and any(words[s.start : s.end] == ("heating",) for s in frame.spans_of("MODE")):
        mode = None  # "heating nineteen" names the device
    is_lot = bool(_LOT & set(clause)) or any(phrase in text for phrase in _LOT_HAN)
    return Amounts(value=value, delta=delta, color=color, kelvin=kelvin, mode=mode, is_lot=is_lot), destroyed


_PLAIN_VERBS = (
    (
        "start",
        "dock",
        frozenset("start clean hoover vacuum sweep mop 扫 拖".split()),
        frozenset("dock base charger charge charging home 充".split()),
    ),
    ("lock", "unlock", frozenset("lock locked 锁".split()), frozenset("unlock unlocked open 解 开".split())),
)
"""Operations that the network may take for each other, with the words that settle which it is."""


def _with_plain_verb(observation: Observation, frame: Frame) -> Frame:
    """Return the frame with the operation that a plain word says, where the network wavers between it and its opposite: "start Doris"."""
    likely = dict(frame.operations)
    words = set(observation.words[frame.start : frame.end])
    for one, other, for_one, for_other in _PLAIN_VERBS:
        says_one, says_other = bool(words & for_one), bool(words & for_other)
        if frame.operation not in (one, other) or one not in likely or other not in likely or says_one == says_other:
            continue
        meant, opposite = (one, other) if says_one else (other, one)
        if frame.operation != meant:
            continue  # what it is surest of is never turned round
        operations = [(name, p + likely[opposite] if name == meant else p) for name, p in frame.operations if name != opposite]
        return replace(frame, operations=tuple(operations))
    return frame


def _is_denied(words: Sequence[str], span: Span, frame: Frame) -> bool:
    """Whether a colour is the one not to take, where another is named: 不要红的，要紫的; "not red, purple"."""
    if len(frame.spans_of("COLOR", "WHITE")) < 2:
        return False
    before, behind = words[max(frame.start, span.start - 2) : span.start], words[span.end : min(frame.end, span.end + 2)]
    return bool({"not", "no", "不", "别"} & set(before)) or "不" in behind  # 红的不好看，换蓝的


def _is_absolute(words: Sequence[str], span: Span) -> bool:
    """Whether the words before a value say that it is where to go, not how far: "up to 40", 调低到三成, "at max"."""
    before = words[max(0, span.start - 2) : span.start]
    part = words[span.start : span.end]
    named = not any(w[:1].isdigit() for w in part) and parse_value(part) in (
        Value(100, "percent"),
        Value(1, "percent"),
        Value(50, "percent"),
    )
    return named or bool({"to", "at", "on", "到", "至", "成", "为", "于"} & {*before, *part[:1]})


def clause_options(
    observation: Observation, frame: Frame, situation: Situation, *, clauses: int = 1, beyond: Collection[str] = ()
) -> ClauseOptions:
    """Return the candidates of one clause.

    Args:
        observation: the utterance.
        frame: the clause.
        situation: where it was said; for a later clause, `previous` holds the actions of the clause before.
        clauses: how many clauses the utterance has.
        beyond: the services beyond the house that are switched on; only where the weather comes from depends on them.
    """
    frame = _with_plain_verb(observation, mend(observation, frame))
    amounts, destroyed = amounts_of(observation, frame)
    options: dict[str, Option] = {}
    is_unable = False
    any_target = False
    first_unable = False
    resolved: dict[str, tuple[Target, ...]] = {}
    least = UNLIKELY * frame.operations[0][1] * frame.properties[0][1]
    for operation, p_operation in frame.operations[:3]:
        if operation in ("none", "yes", "no", "undo", "cancel", "correct"):
            continue
        for prop, p_property in frame.properties[:3]:
            if p_operation * p_property < least and options:
                continue
            if operation == "handover":
                searches = prop == "weather" and WEATHER in beyond and _has_no_own_weather(frame, situation)
                action = handover_action(observation, frame, prop, searches_weather=searches)
                if action is not None:
                    option = _option(frame, situation, amounts, (action,), None, operation, prop, destroyed=destroyed)
                    options.setdefault(action.key, option)
                continue
            scope_property = _scope_property(operation, prop, situation)
            if operation == "query" and (sensors := sensors_asked(observation, frame, situation)):
                resolved[scope_property] = sensors
            if scope_property not in resolved:
                resolved[scope_property] = resolve(observation, frame, situation, prop=scope_property)
            for rank, target in enumerate(resolved[scope_property]):
                any_target = True
                actions, share = _actions(operation, prop, target, amounts, situation, wishes=frame.mood == "wish")
                if not actions:
                    is_unable = is_unable or rank == 0
                    first_unable |= rank == 0 and operation == frame.operation and prop == frame.property
                    continue
                key = "|".join(a.key for a in actions)
                if key not in options:
                    options[key] = _option(
                        frame, situation, amounts, actions, target, operation, prop, share=share, rank=rank, destroyed=destroyed
                    )
    chosen = tuple(sorted(options.values(), key=_prior, reverse=True)[:MOST_CANDIDATES])
    unknown = unknown_tokens(observation, frame, situation)
    return ClauseOptions(
        frame=frame,
        options=chosen,
        context=_context(
            observation, frame, situation, chosen, unknown, clauses=clauses, any_target=any_target, destroyed=destroyed, unable=first_unable
        ),
        unknown=unknown,
        is_unable=is_unable and not chosen,
        has_destroyed_value=destroyed,
    )


def _prior(option: Option) -> float:
    return option.features[0] + option.features[1] + (2 * option.target.score - math.log(option.target.rivals) if option.target else 1.0)


def _scope_property(operation: str, prop: str, situation: Situation) -> str:
    """Return the property that says what is meant where nothing is named."""
    if operation in ("same", "query") and situation.previous and situation.previous[0].targets:
        return _PROPERTY_OF_DOMAIN.get(situation.previous[0].targets[0].partition(".")[0], prop)
    if prop in ("none", "any", "state") and situation.previous and situation.previous[0].targets:
        return _PROPERTY_OF_DOMAIN.get(situation.previous[0].targets[0].partition(".")[0], prop)
    return prop


def _actions(
    operation: str, prop: str, target: Target, amounts: Amounts, situation: Situation, *, wishes: bool = False
) -> tuple[tuple[Action, ...], float]:
    entities = target.entities
    if operation == "query":
        if all(e.domain in _STATELESS for e in entities):
            return (), 0.0
        return (Action(service="query.state", targets=tuple(sorted(e.id for e in entities))),), 1.0
    if operation == "same":
        actions = tuple(
            Action(service=a.service, targets=tuple(sorted(e.id for e in entities if e.domain == a.domain)), data=a.data)
            for a in situation.previous
            if a.is_dispatched and any(e.domain == a.domain for e in entities)
        )
        unique = {a.key: a for a in actions}
        if not unique and situation.previous:
            verbs = {a.service.partition(".")[2] for a in situation.previous}
            if len(verbs) == 1 and verbs <= {"turn_on", "turn_off"} and not any(a.data for a in situation.previous):
                switched, able = actions_for(verbs.pop(), "power", entities, Amounts())  # "the coffee machine on, and the radio too"
                return switched, able / len(entities)
        return tuple(unique.values()), 1.0
    actions, able = actions_for(operation, prop, entities, amounts)
    if not actions and wishes and (operation, prop) == ("raise", "brightness"):  # "I can't see a thing": a lamp that only knows on and off
        actions, able = actions_for("turn_on", "power", [e for e in entities if e.domain == "light"], Amounts())
    return actions, able / len(entities)


def _option(
    frame: Frame,
    situation: Situation,
    amounts: Amounts,
    actions: tuple[Action, ...],
    target: Target | None,
    operation: str,
    prop: str,
    *,
    share: float = 1.0,
    rank: int = 0,
    destroyed: bool,
) -> Option:
    probability = dict(frame.operations)[operation]
    property_probability = dict(frame.properties)[prop]
    entities: Sequence[Entity] = target.entities if target else ()
    domain = entities[0].domain if entities else ""
    data = actions[0].data
    wanted = _PROPERTY_DOMAINS.get(prop)
    named = frame.spans_of("NAME", "AREA", "CLASS", "FLOOR")
    has_value = amounts.value is not None or amounts.color is not None or amounts.kelvin is not None
    uses_value = any(
        key in data
        for key in ("brightness_pct", "volume_level", "temperature", "position", "percentage", "color_name", "color_temp_kelvin")
    )
    features = (
        max(-5.0, math.log(probability + 1e-6)),
        max(-5.0, math.log(property_probability + 1e-6)),
        float(operation == frame.operation and prop == frame.property),
        *(float(target is not None and target.form == form) for form in _FORMS),
        target.score if target else 1.0,
        float(target is None or target.rivals == 1),
        1.0 / target.rivals if target else 1.0,
        min(target.unmatched, 3) / 3 if target else 0.0,
        float(target is not None and target.has_area_conflict),
        float(target is not None and target.is_widened),
        float(target is not None and target.is_home_wide),
        float(target is not None and target.is_plural),
        float(len(entities) == 1),
        math.log1p(len(entities)) / 3,
        share,
        float(has_value and not uses_value),
        float(destroyed),
        float(amounts.value is not None),
        float(amounts.delta is not None),
        float(has_value and uses_value),
        *(float(domain == d) for d in _DOMAINS),
        float(domain != "" and domain not in _DOMAINS),
        float(operation == "query"),
        float(operation == "handover"),
        float(operation == "same"),
        float(bool(entities) and situation.area is not None and all(e.area == situation.area for e in entities)),
        min((s.confidence for s in named), default=1.0),
        float(_changes_nothing(operation, entities, situation)),
        *_heard(frame, target),
        float(rank == 0),
        float(wanted is not None and domain != "" and domain not in wanted and operation not in _POWER),
    )
    return Option(actions=actions, target=target, operation=operation, property=prop, features=features)


def _heard(frame: Frame, target: Target | None) -> tuple[float, float]:
    """Return how clearly a name was heard that is only known by its sound, and how long it is; both 0 for other names."""
    if target is None or target.form != "sound":
        return 0.0, 0.0
    longest = max((s.end - s.start for s in frame.spans_of("NAME")), default=0)
    return max(0.0, (target.score - _LEAST_HEARD) / (_BEST_HEARD - _LEAST_HEARD)), min(longest, 5) / 5


def _changes_nothing(operation: str, entities: Sequence[Entity], situation: Situation) -> bool:
    """Whether every entity is known to be in the wanted state already."""
    wanted = {"turn_on": "on", "turn_off": "off", "open": "open", "close": "closed", "lock": "locked", "unlock": "unlocked"}.get(operation)
    if wanted is None or not entities:
        return False
    states = [situation.states.get(e.id) for e in entities]
    return all(s is not None and s.value == wanted for s in states)


def _context(
    observation: Observation,
    frame: Frame,
    situation: Situation,
    options: Sequence[Option],
    unknown: int,
    *,
    clauses: int,
    any_target: bool,
    destroyed: bool,
    unable: bool,
) -> NDArray[np.float32]:
    length = max(1, frame.end - frame.start)
    tagged = sum(s.end - s.start for s in frame.spans)
    best = options[0] if options else None
    return np.array(
        [
            *(max(-5.0, math.log(frame.moods[mood] + 1e-6)) for mood in MOODS),
            frame.operations[0][1],
            frame.properties[0][1],
            length / 20,
            (length - tagged) / length,
            min(unknown, 4) / 4,
            float(bool(frame.spans_of("TIME"))),
            float(not options),
            float(any_target),
            best.target.score if best and best.target else 0.0,
            float(bool(situation.previous)),
            float(situation.area is not None),
            float(clauses > 1),
            float(destroyed),
            float(any(not w.isascii() for w in observation.words)),
            float(unable),
        ],
        np.float32,
    )


def _contains(words: Sequence[str], text: str, english: Sequence[str], chinese: Sequence[str]) -> bool:
    return any(w in words for w in english) or any(c in text for c in chinese)


def _has_no_own_weather(frame: Frame, situation: Situation) -> bool:
    """Whether Home Assistant's own weather cannot answer: a place or a time was named, or the home has none."""
    return bool(frame.spans_of("PLACE", "TIME")) or all(entity.domain != "weather" for entity in situation.home.exposed)


def handover_action(observation: Observation, frame: Frame, prop: str, *, searches_weather: bool = False) -> Action | None:
    """Return the Home Assistant intent, or the action beyond the house, that a handed over clause stands for; None when there is none.

    Home Assistant does its intents itself; the slots carry the raw words, which its own intents or its agent understand.

    Args:
        observation: the utterance.
        frame: the clause.
        prop: the property to read it with.
        searches_weather: whether the weather is searched for, not asked of Home Assistant.
    """
    words = observation.words[frame.start : frame.end]
    text = "".join(words)
    content = [
        "".join(w if not w.isascii() else f" {w}" for w in observation.words[s.start : s.end]).strip() for s in frame.spans_of("CONTENT")
    ]
    time = ["".join(w if not w.isascii() else f" {w}" for w in observation.words[s.start : s.end]).strip() for s in frame.spans_of("TIME")]
    if prop == "timer":
        data = {"duration": time[0]} if time else {}
        if _contains(words, text, ("cancel", "stop", "kill", "clear", "delete", "end", "scrap"), ("取消", "停", "关", "删", "不用")):
            return Action(service="intent.HassCancelTimer", data=data)
        if _contains(words, text, ("pause",), ("暂停",)):
            return Action(service="intent.HassPauseTimer", data=data)
        if _contains(words, text, ("left", "remaining", "status", "check", "longer", "much", "long"), _HAN_TIMER_STATUS):
            return Action(service="intent.HassTimerStatus", data=data)
        return Action(service="intent.HassStartTimer", data=data)
    if prop == "list":
        data = {"item": content[0]} if content else {}
        if _contains(words, text, ("remove", "delete", "cross", "scratch", "take"), ("删", "去掉", "划掉", "移除")):
            return Action(service="intent.HassListRemoveItem", data=data)
        shopping = _contains(words, text, ("shopping", "grocery", "groceries", "buy"), ("购物", "买"))
        return Action(service=f"intent.Hass{'ShoppingListAddItem' if shopping else 'ListAddItem'}", data=data)
    if prop == "weather":
        if searches_weather:
            return weather_search(observation, frame)
        return Action(service="intent.HassGetWeather", data={})
    if prop == "clock":
        dated = _contains(words, text, ("date", "day", "month", "year", "today"), ("几号", "星期", "周几", "日期", "礼拜", "几月"))
        return Action(service=f"intent.HassGetCurrent{'Date' if dated else 'Time'}", data={})
    if prop == "broadcast":
        return Action(service="intent.HassBroadcast", data={"message": content[0]} if content else {})
    if prop == "search":
        return Action(service="intent.HassMediaSearchAndPlay", data={"search_query": content[0]} if content else {})
    return beyond_action(observation, frame, prop)
