"""Home Assistant's own sentence templates as one more voice of the phrasebook, called `home_assistant`.

    <turn> on [<the>] {name} <in> [<the>] {area}   ->   @ command turn_on power : light switch fan ...
                                                        switch on the {name} in the {area}

The sentences come from the `home-assistant-intents` package, read by `hassil`; its test sentences are no part of that package. Optional
parts and alternatives are drawn at random; the lists of names, rooms and values become slots of docs/phrasebook.md. A template that names
what a slot must stand for ("all the lights", a person, a door sensor's class) is left out: its words could not be tagged.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import home_assistant_intents
from hassil import (
    Alternative,
    Expression,
    Group,
    Intents,
    ListReference,
    Permutation,
    RuleReference,
    TextChunk,
    TextSlotList,
)

from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.understanding.kinds import KINDS
from voice_rl_plugin.understanding.text import is_han
from voice_rl_training.corpus.phrasebook import DOMAINS, SLOTS, PhraseFrame

VOICE = "home_assistant"
LANGUAGES = {"en": ("en",), "zh": ("zh-CN", "zh-TW")}
"""The package's languages of each of ours."""
MOST_FRAMES = 3000
"""Frames of one of the package's languages, at most."""
_DRAWS = 12
"""Times that each template is drawn."""

_POWER = ("light", "switch", "fan", "media_player", "climate", "humidifier")
_POWER_DOMAINS = frozenset({*_POWER, "input_boolean"})
_READABLE = frozenset({"light", "switch", "fan", "media_player", "climate", "cover", "lock", "vacuum", "sensor"})

_FIXED: dict[str, tuple[str, str, str, str]] = {
    "HassClimateSetTemperature": ("command", "set", "temperature", "climate"),
    "HassClimateGetTemperature": ("question", "query", "state", "climate"),
    "HassFanSetSpeed": ("command", "set", "speed", "fan"),
    "HassSetPosition": ("command", "set", "position", "cover"),
    "HassSetVolume": ("command", "set", "volume", "media_player"),
    "HassMediaNext": ("command", "next", "media", "media_player"),
    "HassMediaPrevious": ("command", "previous", "media", "media_player"),
    "HassMediaPause": ("command", "pause", "media", "media_player"),
    "HassMediaUnpause": ("command", "play", "media", "media_player"),
    "HassMediaPlayerMute": ("command", "mute", "volume", "media_player"),
    "HassMediaPlayerUnmute": ("command", "unmute", "volume", "media_player"),
    "HassMediaSearchAndPlay": ("command", "handover", "search", "-"),
    "HassVacuumStart": ("command", "start", "cleaning", "vacuum"),
    "HassVacuumCleanArea": ("command", "start", "cleaning", "vacuum"),
    "HassVacuumReturnToBase": ("command", "dock", "cleaning", "vacuum"),
    "HassGetCurrentDate": ("command", "handover", "clock", "-"),
    "HassGetCurrentTime": ("command", "handover", "clock", "-"),
    "HassGetWeather": ("command", "handover", "weather", "-"),
    "HassBroadcast": ("command", "handover", "broadcast", "-"),
    "HassNevermind": ("feedback", "cancel", "none", "-"),
    "HassRespond": ("chat", "none", "none", "-"),
    **{
        f"Hass{name}": ("command", "handover", "timer", "-")
        for name in "StartTimer CancelTimer CancelAllTimers IncreaseTimer DecreaseTimer PauseTimer UnpauseTimer TimerStatus".split()
    },
    **{
        f"Hass{name}": ("command", "handover", "list", "-")
        for name in "ListAddItem ListCompleteItem ListRemoveItem ShoppingListAddItem ShoppingListCompleteItem".split()
    },
}
"""Mood, operation, property and domain of each intent that always means the same."""

_SLOTS: dict[str, str] = {
    "name": "name",
    "area": "area",
    "floor": "floor",
    "brightness": "value",
    "brightness_level": "value",
    "color": "color",
    "color_temperature": "value",
    "color_temperature_names": "white",
    "temperature": "value",
    "position": "value",
    "fan_speed": "value",
    "volume": "value",
    "volume_step_up": "delta",
    "volume_step_down": "delta",
    "cover_classes": "class",
    "message": "item",
    "search_query": "song",
    "shopping_list_item": "item",
    "todo_list_item": "item",
    "timer_name": "item",
    "timer_hours": "hours",
    "timer_minutes": "minutes",
    "timer_seconds": "seconds",
}
"""What each list becomes; a list that is not here is spelled out."""
_UNTAGGED = frozenset({"zone", "home_zone", "timer_command", "timer_half", "bs_open_states", "bs_occupancy_states", "fan_mode"})
"""Lists that no slot stands for."""
_STRAY_RULES = frozenset({"home", "everywhere", "all", "are_all"})
"""Rules that name a quantifier or the whole home: a {target} says that better."""

_HERE = re.compile(r"(?:\b(?:in )?(?:here|(?:this|the|my|our) (?:room|area|space))\b)|这里|这边|那里|那边|這裡|這邊|那裡|那邊")
_UNIT_EN = re.compile(r"\{(value|delta)\}(?: ?[%°]| percent| degrees?| ?k(?:elvin)?)+")
_UNIT_ZH = re.compile(r"(?:百分之)?\{(value|delta)\}(?: ?(?:%|趴|摄氏度|攝氏度|度|[kK]|开尔文|開爾文|克耳文))*")
_TIME_EN = re.compile(r"(?:\{(?:hours|minutes|seconds)\}[ -](?:hours?|minutes?|seconds?)(?:[ -]and[ -]|[ -])?)+")
_TIME_ZH = re.compile(r"(?:\{(?:hours|minutes|seconds)\}\s*(?:个|個)?(?:小时|小時|分钟|分鐘|分|秒钟|秒鐘|秒)(?:又|零)?)+")
_FLOOR_WORD = re.compile(r"\{floor\} floor\b|\{floor\}(?:楼|层|樓|層)")
_NOUN_EN = re.compile(r"\b(lights?|lighting|lamps?|fans?|locks?|switch(?:es)?)\b(?! (?:on|off|up) (?:the )?\{name)")
_LOCKED_EN = re.compile(r"\b(?:garage doors?|doors?|gates?|windows?|shutters?|locks?)\b")
_NOUN_AFTER_NAME = re.compile(r"(\{name\})(?: (?:lights?|lamps?|lighting|fans?|scene|script|mode|switch|button|list))\b")
_AWKWARD = re.compile(
    r"^(?:change|bring) (?:on|off|out)\b|\b(?:lower|shut|close|switch) (?:up|out)\b|\b(?:is|are) (?:there|the|my|our) (?!\{)|\b(?:my|our|the) (?:is|are|on|off)\b|\bdo you know\b"
)
"""What the templates accept but nobody says."""
_PLACED = re.compile(r"\b(?:across|throughout|around|at) ((?:(?:the|my|our) )?\{(?:area|floor)\})")
_DANGLING = re.compile(
    r"的的|(?<=[把将將让讓给給开開关關启啟])的|^的|的$|(?<=\})的(?=[打开開关關设設调調切回解取上锁鎖静靜恢继繼暂暫停跳播在是处處有{][^n]|[上开開关關]$)"
)
_KIND_OF_LIGHT = re.compile(r"(?:壁|吸頂|吸顶|嵌|崁|桌|床頭|床头|總|总|落地|檯|台|立|吊|筒|射|夜|小|主)+(?=\{class\})")
_LIGHT_VERBS = re.compile(r"^(?:light up|switch (?:on|off)|turn|switch|change)\b")
_DETERMINERS = re.compile(r"\b(?:the|my|our|in|on|at|of|across|around|throughout)\b|的|在")
_ASKING_HAN = re.compile("[吗嗎不否几幾多啥]|什么|什麼|没有|沒有|有没|溫度|温度|状态|狀態")
_SPACES = re.compile(r"\s{2,}")
_QUANTIFIED = re.compile(r"\b(?:all|every|each|any|some|which|both|single)\b|所有|全部|哪|有没有|有任何|任何|都|几个|幾|多少")


@cache
def _han_nouns() -> re.Pattern[str]:
    nouns = {noun for kind in KINDS if kind.domains & {"light", "fan", "switch", "cover", "lock"} for noun in kind.chinese}
    nouns |= {
        "電燈",
        "燈",
        "燈光",
        "照明",
        "風扇",
        "電扇",
        "吊扇",
        "塔扇",
        "筒灯",
        "床头灯",
        "電源",
        "电源",
        "開關",
        "插座",
        "通断器",
        "檯燈",
        "門鎖",
    }
    return re.compile("|".join(sorted(nouns - {"门", "光", "锁", "大门"}, key=len, reverse=True)))


@cache
def _load(code: str) -> Intents:
    path = Path(home_assistant_intents.__file__).parent / "data" / f"{code}.json"
    try:
        return Intents.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: expected the sentences of home-assistant-intents; install the training extra") from error


class _Unusable(Exception):  # noqa: N818 - a way out of a draw, not an error
    """The drawn words hold something that no slot stands for."""


class _Draw:
    """One random sentence of a template, with what its lists meant."""

    def __init__(self, rng: Random, intents: Intents, rules: Mapping[str, Any]) -> None:
        self._rng = rng
        self._intents = intents
        self._rules = rules
        self.meanings: dict[str, object] = {}

    def text_of(self, expression: Expression) -> str:
        if isinstance(expression, TextChunk):
            return expression.original_text
        if isinstance(expression, Alternative):
            return self.text_of(self._rng.choice(expression.items))
        if isinstance(expression, Permutation):
            return " ".join(self.text_of(item).strip() for item in self._rng.sample(expression.items, len(expression.items)))
        if isinstance(expression, Group):
            return "".join(self.text_of(item) for item in expression.items)
        if isinstance(expression, RuleReference):
            return self._rule(expression.rule_name)
        if isinstance(expression, ListReference):
            return self._list(expression)
        raise _Unusable

    def _rule(self, name: str) -> str:
        if name == "name":
            return "{name}"
        if name in _STRAY_RULES or name not in self._rules:
            raise _Unusable
        return self.text_of(self._rules[name].expression)

    def _list(self, reference: ListReference) -> str:
        name = reference.list_name
        if name in _UNTAGGED:
            raise _Unusable
        if name in _SLOTS:
            self.meanings[name] = True
            return f"{{{_SLOTS[name]}}}"
        values = self._intents.slot_lists.get(name)
        if not isinstance(values, TextSlotList):
            raise _Unusable
        value = self._rng.choice(values.values)
        self.meanings[name] = value.value_out
        return self.text_of(value.text_in)


def _domains_of(data: Any) -> tuple[str, ...]:
    domain = (data.slots or {}).get("domain") or (data.requires_context or {}).get("domain") or ()
    if isinstance(domain, Mapping):
        domain = domain.get("value") or ()
    return (domain,) if isinstance(domain, str) else tuple(domain)


def _label(intent: str, data: Any, meanings: Mapping[str, object]) -> tuple[str, str, str, tuple[str, ...]] | None:
    """Return mood, operation, property and domains of a drawn sentence, or None where the phrasebook has no section for it."""
    domains = _domains_of(data)
    if intent in _FIXED:
        mood, operation, name, domain = _FIXED[intent]
        return mood, operation, name, (domain,)
    if intent in ("HassTurnOn", "HassTurnOff"):
        is_on = intent == "HassTurnOn"
        if "cover" in domains:
            return "command", "open" if is_on else "close", "position", ("cover",)
        if "lock" in domains:
            return "command", "lock" if is_on else "unlock", "lock", ("lock",)
        if "scene" in domains:
            return ("command", "activate", "scene", ("scene",)) if is_on else None
        if domains and set(domains) <= _POWER_DOMAINS:
            powered = tuple(domain for domain in _POWER if domain in domains)
            return ("command", "turn_on" if is_on else "turn_off", "power", powered) if powered else None
        return None
    if intent == "HassLightSet":
        if "color" in meanings:
            return "command", "set", "color", ("light",)
        if meanings.keys() & {"color_temperature", "color_temperature_names"}:
            return "command", "set", "color_temp", ("light",)
        return ("command", "set", "brightness", ("light",)) if meanings.keys() & {"brightness", "brightness_level"} else None
    if intent == "HassSetVolumeRelative":
        step = "up" if "volume_step_up" in meanings else "down" if "volume_step_down" in meanings else meanings.get("volume_step")
        return ("command", "raise" if step == "up" else "lower", "volume", ("media_player",)) if step in ("up", "down") else None
    if intent == "HassGetState":
        readable = tuple(domain for domain in domains if domain in _READABLE)
        return ("question", "query", "state", readable) if readable and "device_class" not in (data.slots or {}) else None
    return None


def _tidy(text: str, language: str, rng: Random, domains: Sequence[str]) -> str | None:
    """Return a drawn sentence in the phrasebook's form, or None where a noun of it could not be tagged."""
    text = _SPACES.sub(" ", text).strip().lower() if language == "en" else text.replace(" ", "").strip()
    if domains != ("-",) and _QUANTIFIED.search(text):
        return None
    text = _FLOOR_WORD.sub("{floor}", text)
    if language == "zh":
        text = _UNIT_ZH.sub(r"{\1}", _TIME_ZH.sub("{duration}", text))
        if domains != ("-",):
            text = re.sub(rf"(\{{name\}})的?(?:场景|模式|脚本|腳本|場景|[锁鎖](?![上着著了定住])|{_han_nouns().pattern})", r"\1", text)
            text = _KIND_OF_LIGHT.sub("", _han_nouns().sub("{class}", text))
        text = _DANGLING.sub(lambda found: "的" if found.group() == "的的" else "", text)
        text = _DANGLING.sub("", text.replace("的著", "著").replace("的吗", "吗").replace("的嗎", "嗎").replace("的的", "的"))
        if "{name}" in text and "{area}" not in text and "{floor}" not in text and rng.random() < 0.4:
            text = text.replace("{name}", "{target}")
    else:
        text = _TIME_EN.sub("{duration} ", text)
        text = _UNIT_EN.sub(r"{\1}", text)
        if _AWKWARD.search(text):
            return None
        text = _NOUN_AFTER_NAME.sub(r"\1", text).replace(" an timer", " a timer")
        text = _PLACED.sub(lambda found: f"in {found.group(1)}" if rng.random() < 0.8 else found.group(), text)
        if "lock" in domains:
            text = re.sub(r"^lock\b", "\0", text)
            text = _LOCKED_EN.sub(lambda noun: "{classes}" if noun.group().endswith("s") else "{class}", text).replace("\0", "lock")
        verb = _LIGHT_VERBS.match(text)
        head = verb.group() if verb else ""
        text = head + _NOUN_EN.sub(lambda noun: "{classes}" if noun.group().endswith("s") else "{class}", text[len(head) :])
        if ("{class}" in text and re.search(r"\b(?:are|how many)\b", text)) or (
            "cover" in domains and "{class}" in text and rng.random() < 0.4 and not re.search(r"\bis\b", text)
        ):
            text = text.replace("{class}", "{classes}")
        if "{name}" in text and "{area}" not in text and "{floor}" not in text and rng.random() < 0.4:
            text = re.sub(r"(?:\b(?:the|my|our) )?\{name\}", "{target}", text)
    if domains != ("-",):
        text = _HERE.sub("{here}", text)
    text = re.sub(r"\b(the|my|our) (?:the|my|our)\b", r"\1", _SPACES.sub(" ", text)).strip(" ,?？")
    return text or None


def _is_sound(text: str, label: tuple[str, str, str, tuple[str, ...]]) -> bool:
    """Whether a frame's slots exist, stand once, and fit its section."""
    slots = re.findall(r"\{(\w+)\}", text)
    if not set(slots) <= SLOTS or len(slots) != len(set(slots)) or "{" in re.sub(r"\{\w+\}", "", text):
        return False
    if {"class", "classes"} <= set(slots) or (len({"name", "class", "classes", "target"} & set(slots)) > 1):
        return False
    if not set(label[3]) <= DOMAINS or (label[1] == "set" and not {"value", "color", "white", "mode"} & set(slots)):
        return False
    if not _DETERMINERS.sub("", re.sub(r"\{\w+\}", "", text)).strip():  # a bare name is no request
        return False
    if label[0] == "question" and "{" in text and any(is_han(c) for c in text) and not _ASKING_HAN.search(text):
        return False
    if label[2] == "weather" and {"name", "target"} & set(slots):
        return False
    return len(text) > 1 and not ("{here}" in text and {"area", "floor"} & set(slots))


def _frames_of(code: str, language: str, rng: Random) -> Iterator[PhraseFrame]:
    intents = _load(code)
    for intent_name in sorted(intents.intents):
        for data in intents.intents[intent_name].data:
            rules = {**intents.expansion_rules, **data.expansion_rules}
            for sentence in data.sentences:
                for _ in range(_DRAWS):
                    draw = _Draw(rng, intents, rules)
                    try:
                        drawn = draw.text_of(sentence.expression)
                    except _Unusable:
                        continue
                    label = _label(intent_name, data, draw.meanings)
                    if label is None:
                        break
                    if label[2] == "list":
                        drawn = drawn.replace("{name}", "to do" if language == "en" else "待办")
                    text = _tidy(drawn, language, rng, label[3])
                    if text is not None and _is_sound(text, label):
                        yield PhraseFrame(
                            text=text,
                            mood=label[0],
                            operation=label[1],
                            property=label[2],
                            domains=label[3],
                            language=language,
                            voice=VOICE,
                        )


def template_frames(rng: Random, language: str, *, most: int = MOST_FRAMES) -> tuple[PhraseFrame, ...]:
    """Return frames drawn from Home Assistant's templates, each text once, in the phrasebook's form.

    Args:
        rng: the only source of chance.
        language: `en` or `zh`; Chinese holds both the mainland's and Taiwan's sentences.
        most: frames at most, shared evenly among the sections so that timers do not crowd out lights.
    """
    by_section: dict[tuple[str, str, str], list[PhraseFrame]] = defaultdict(list)
    seen: set[str] = set()
    for code in LANGUAGES[language]:
        for frame in _frames_of(code, language, rng):
            if frame.text not in seen:
                seen.add(frame.text)
                by_section[frame.mood, frame.operation, frame.property].append(frame)
    for frames in by_section.values():
        rng.shuffle(frames)
    chosen: list[PhraseFrame] = []
    for section in sorted(by_section, key=lambda key: (len(by_section[key]), key)):
        rest = len(by_section) - len({(f.mood, f.operation, f.property) for f in chosen})
        chosen += by_section[section][: max(1, (most - len(chosen)) // rest)]
    return tuple(chosen[:most])


def lines(frames: Sequence[PhraseFrame]) -> str:
    """Return frames as a file of the phrasebook."""
    sections: dict[str, list[str]] = defaultdict(list)
    for frame in frames:
        sections[f"@ {frame.mood} {frame.operation} {frame.property} : {' '.join(frame.domains)}"].append(frame.text)
    return "\n\n".join("\n".join((header, *texts)) for header, texts in sorted(sections.items())) + "\n"
