"""Human sentences for training: other people's labels read as moods, operations and properties.

A data folder holds JSONL files with one sentence a line: `text, lang, intent, slots, spans?, source, original_intent, meta`. The folder is
never part of this project. An intent alone says too little (turning on a lock means locking it; "make it louder" is called an absolute
volume), so each rule also looks at the words. A part that the words leave open is None, and the loss is masked there; a sentence whose label
contradicts its words is left out.

    python -m voice_rl_training.corpus.human DIR     counts and samples of every label
"""

import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.understanding.colours import COLORS
from voice_rl_plugin.understanding.kinds import noun_kinds
from voice_rl_plugin.understanding.text import is_han, normalise, tokenise, words_of

DEV_PERCENT = 8
"""Share of the groups, in per cent, that is never trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanSentence:
    """One sentence that somebody else wrote and labelled."""

    text: str
    language: str
    """`en` or `zh`; traditional Chinese keeps its writing."""
    mood: str | None
    operation: str | None
    property: str | None
    weight: float
    """How much it counts in a batch; written by people 1, by templates and for other assistants less."""
    group: str
    """Near-duplicates and translations of one another share it."""
    source: str
    intent: str
    """The label that it came with."""
    spans: tuple[tuple[int, int, str], ...] = ()
    """Characters of the text that a tag covers: start, end, tag. Where there is none, nothing is known about the tags."""
    is_dev: bool = False
    """Whether it belongs to the development split."""

    def tags(self) -> tuple[str, ...] | None:
        """Return one tag for each token of the text, or None where the source marks no spans."""
        if not self.spans:
            return None
        tags = ["O"] * len(tokenise(self.text))
        for start, end, tag in self.spans:
            first = len(tokenise(self.text[:start] + " x")) - 1
            last = len(tokenise(self.text[:end] + " x")) - 1
            tags[first:last] = [tag] * len(tags[first:last])
        return tuple(tags)


Label = tuple[str | None, str | None, str | None]
"""Mood, operation, property."""
Row = Mapping[str, Any]

_CHAT: Label = ("chat", "none", "none")


def _pattern(english: str, chinese: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{english})\b|{chinese}")


_CLOCK = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_LATER = _pattern(
    rf"(?:at|by|around) (?:noon|midnight|dawn|dusk|night|sun\w+)|{_CLOCK}(?: \w+)? ?(?:[ap],? ?m|oclock)|until \w+|till \w+|(?:before|after) (?!this|that)\w+"
    r"|in (?:\d+|an?|one|two|three|five|ten|fifteen|twenty|thirty|half) (?:more )?(?:an )?(?:minutes?|seconds?|hours?)"
    r"|tomorrow|tonight|today|when|whenever|while (?:i|we|im)|(?<!see )(?<!it )(?<!good )(?<!me )if (?!you)|unless|once i|later|as soon|daytime|during the day|end of"
    r"|schedule|monday|sunday|weekends?|remind me",
    "点钟|[早晚]上|[上下中]午|明天|今晚|白天|的时候|时候?关|如果|要是|[后内]关|分钟[后内]|小时[后内]|秒[后内]|之前|以后|之后|[二三四五六七八九十]点|[午上天晚]一点|离开|回家|每天|否则|直到",
)
_AT = re.compile(rf"\bat {_CLOCK}\b")
_LEVELLED = frozenset({"brightness", "volume", "temperature", "position", "speed"})
"""Properties of which "at four" is a value, not a time."""
_FOR_A_WHILE = _pattern(
    r"for (?:\w+ ){0,3}(?:minutes?|seconds?|hours?|while|moment|day|night)|(?:minutes?|hours?|seconds?)", "分钟|小时|秒钟?|暂时"
)
_NEGATED = _pattern(
    r"dont|do not|never|not|no longer|stop turning|wont|without|cant|cannot|shouldnt|no|only|except", "不|别|没|甭|勿|除了|只"
)
_ASKING = re.compile(
    r"^(?:hey |olly |alexa |siri |ok |google )*(?:how|why|who|whom|what|whats|when|which|where|did|does|is|are|was|has|have|do)\b"
)
_ASKING_HAN = re.compile("怎么|如何|什么|谁|必须|吗.*吗|了没|多少|哪")
_TWO_ACTS = _pattern(
    r"(?:and|then) (?:then |also |please |to )*(?:turn|switch|set|dim|play|start|open|close|lock|unlock|put|change|on|make|raise|lower|stop)",
    "然后|并且?(?:打开|关|调|开|播)|再把|接着",
)

_ON = _pattern(
    r"on|start|started|activate|activated|enable|enabled|power up|fire up|illuminate|light up|run|begin|boot|initiate|engage|ignite|plug in|heat|water"
    r"|warm up|get",
    "开|启|亮|点亮|通电|激活",
)
_OFF = _pattern(
    r"off|out|deactivate|disable|stop|kill|shut|cut|power down|turn down|unplug|disconnect|disengage|end|close|extinguish|douse",
    "关|熄|灭|切断|停|断",
)
_OPEN = _pattern(r"open|opened|opening|raise|lift|up|unseal|pull up|unlock", "打开|开|升|拉开")
_CLOSE = _pattern(r"close|closed|closing|shut|lower|down|seal|secure|drop", "关|合|降|拉上")
_UP = _pattern(
    r"up|raise|raised|increase|increased|higher|louder|loud|brighter|brighten|bright|more|boost|amplify|crank|intensify|lighter|maximi[sz]e|upper"
    r"|greater|faster|turn it up|bigger|high|stronger|lighten|warmer|accelerate|elevate",
    "[高大亮强响增升]|加|快|往上",
)
_DOWN = _pattern(
    r"down|turn_down|lessen|lower|lowered|decrease|decreased|reduce|reduced|quieter|softer|soft|softly|quiet|less|dim|dimmed|dimmer|darker|darken|turn it down"
    r"|dampen|slower|slow|diminish|low|drop|cooler|minimi[sz]e|tone down",
    "[低小暗弱降减柔轻]|慢|往下",
)
_NO_DIRECTION = re.compile("音响|大厅|大堂|大房间|小[度米爱谷房孩]|强度|亮度|大小|响应")
"""Words whose characters only look like a direction."""
_TOO_BRIGHT = _pattern(r"too bright|too light|so bright|hurting my eyes|strain\w*", "太亮|刺眼|太刺|不要太亮|不要那么亮|不那么亮")
_TOO_DARK = _pattern(
    r"too dark|so dark|is dark|its dark|cant see|cannot see|dark in|dark here|its black", "太暗|很暗|这里暗|太黑|很黑|看不到|看不清|看不见"
)
_TOO_LOUD = _pattern(r"too loud|so loud|really loud|its loud|deafening|too noisy", "太大声|太吵|声音太大|太响")
_TOO_QUIET = _pattern(
    r"cant hear|cannot hear|can not hear|too quiet|too soft|too low|hardly hear|barely hear", "听不[到见清太]|声音太小|太小声|有点低"
)
_LEVEL = _pattern(
    r"\d+|(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty"
    r"|ninety|hundred)|max|maximum|min|minimum|minimal|half|halfway|full|fullest|highest|lowest|loudest|brightest|dimmest|low|medium|middle",
    r"\d|百分之|[一二三四五六七八九十]成|设定[一二三四五六七八九十]|[一二三四五六七八九十]+[档级度]|最[大小高低亮暗轻柔]|一半|到[一二三四五六七八九十]|为[一二三四五六七八九十]|十[一-九]|[一-九]十",
)
_BY = _pattern(
    r"by (?:\d|a|one|two|three|four|five|ten|fifteen|twenty|thirty|half|ninety|fifty|forty)\w*"
    r"|\d+ ?(?:%|percent) (?:brighter|dimmer|darker|louder|quieter)"
    r"|(?:up|down|lower|raise|increase|decrease|reduce) (?:the )?(?:volume |brightness |lights? |sound )?(?:twenty|ten|thirty|\d+) ?(?:%|percent)",
    "[高低大小亮暗增加减升降]+(?:百分之|[一二两三四五六七八九十]成|[一二三四五六七八九十]+$)|调[高低]一半",
)
_COLOR_WORD = _pattern("colou?r|colou?rs|tone|toned|shade|hue|colou?red|tint", "颜色|色调|彩色|变色|色")
_COLOR_NAMES = _pattern(
    "|".join(sorted(re.escape(name) for names in COLORS.values() for name in names if not is_han(name))),
    "|".join(sorted((name for names in COLORS.values() for name in names if is_han(name) and len(name) > 1), key=len, reverse=True)),
)
_MUTE = _pattern(
    r"mute|muted|silence|silent|silently|quiet|hush|shut up|(?:volume|sound|audio) off|off (?:the |my )?(?:volume|sound|audio)|no sound|dont want sound",
    "静音|安静|闭嘴|消音|关[掉闭]?(?:声音|音量)|(?:声音|音量)(?:都)?(?:关|调到零)",
)
_UNMUTE = _pattern(r"unmute|unmuted", "(?:取消|解除|关闭|结束).*静音")
_PLAY = _pattern(r"play|plays|playing|hear|listen|put on|shuffle", "播|放|听|来[一首点]|唱")
_NO_SEARCH = re.compile(
    r"\b(?:resume|continue|pause|stop|skip|next|previous|rewind|repeat|restart|forward|last episode|go back|turn (?:on|off|it)|start the radio|open)\b"
    r"|继续|暂停|停|下一|上一|回到|跳过|快进|重复|恢复|打开|开启|关"
)
_CANCEL = re.compile(
    r"\b(?:cancel\w*|never ?mind|forget|abort|disregard|ignore|scratch that|dismiss|changed my mind|call it off|drop it)\b"
)
_LAST = re.compile(r"\b(?:last|previous|just)\b")
_WELL_DONE = re.compile(
    r"\b(?:well done|perfect\w*|correct\w*|right|exactly|awesome|excellent|great|good|fantastic|wonderful|brilliant|nice|superb|amazing|nailed|wow)\b"
)
_WHO_IS_THERE = re.compile(r"\b(?:who|whos|persons name)\b")
_OPERATES_MACHINE = re.compile(
    r"\b(?:turn on|start|switch on|power on|activate)\b.*\b(?:machine|maker|pot)\b|(?:打开|启动|开启).*咖啡(?:机|壶)"
)
_DEVICE_WORDS = _pattern(
    r"lights?|lamps?|volume|thermostat|tv|television|curtains?|blinds?|vacuum|heater|speakers?|radio|stop|off|on|louder|quiet",
    "灯|音量|电视|空调|窗帘|音响",
)
_FOREIGN = re.compile(
    r"[¿¡ñ]|\b(?:el|las|los|del|luz|luces|por favor|apaga\w*|enciende|encender|cierra\w*|abre|abran|pon|sube|baja\w*|puedes|desactiva|activa|salón"
    r"|dormitorio|cocina|quiero|volumen|termostato|le|une|les|du|des|dans|lumière|éteins|éteignez|allume\w*|mets|déverrouill\w*|verrouill\w*|désactiver"
    r"|activer|augmente\w*|baisse\w*|réglez|règle|chauffage|s'il|salle à manger|iluminación|calefacción|persianas|ventilador|puerta|sonido|jardín|la|al|en)\b",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"\[\w+\]")
_CLIMATE_NUMBER = re.compile(r"\d|\b(?:sixty|seventy|eighty|twenty|eighteen|nineteen)\b")

_HANDOVER = {
    "timer": "HassStartTimer HassCancelTimer HassIncreaseTimer HassDecreaseTimer HassTimerStatus AlarmSet AlarmCancel AlarmQuery",
    "list": "HassListAddItem HassListRemoveItem HassShoppingListAddItem ListQuery",
    "weather": "HassGetWeather",
    "clock": "HassGetCurrentTime HassGetCurrentDate",
}
_HANDOVER_OF = {intent: name for name, intents in _HANDOVER.items() for intent in intents.split()}
_CHATTING = frozenset(
    "OUT_OF_SCOPE HassRespond WebSearch RestaurantSearch RouteQuery Translate SendMessage PhoneCall NavigationSetDestination".split()
)
_OTHER_ASSISTANTS = frozenset(
    "whisper_mode reminder reminder_update calendar_set music_likeness music_dislikeness cancel repeat maybe yes no general_confirm "
    "general_dontcare general_repeat general_explain general_commandstop sync_device change_volume play_music next_song smart_home "
    "alarm_set timer turn_up turn_off".split()
)
"""Labels of what is out of scope elsewhere and could mean something to a home."""


def _label_power(row: Row, text: str, *, on: bool) -> Label | None:
    domain = _first(row["slots"].get("domain", ""))
    if (
        domain == "light"
        and (_TOO_DARK.search(text) or _TOO_BRIGHT.search(text))
        and not (_ON if on else _OFF).search(_without_complaint(text))
    ):
        return ("wish", None, None)
    if domain == "lock":
        unlocking = bool(re.search(r"\bunlock|\bopen\b|解锁", text))
        return None if unlocking == on else ("command", "lock" if on else "unlock", "lock")
    if domain == "cover" or (domain == "valve" and re.search(r"\b(?:open|close|shut)\b", text)):
        wrong, right = (_CLOSE, _OPEN) if on else (_OPEN, _CLOSE)
        if wrong.search(text) and not right.search(text):
            return None
        return ("command", "open" if on else "close", "position")
    if row["intent"] == "HassTurnOn" and re.search(r"\b(?:brighter|dim\w*)\b|调[亮暗高低]", text):
        return None
    wrong, right = (_OFF, _ON) if on else (_ON, _OFF)
    if not right.search(text):
        return None
    if wrong.search(text) and row["source"] in ("hwu64", "slurp", "massive", "clinc150") and not _is_plain(text, on=on):
        return None
    return ("command", "turn_on" if on else "turn_off", "power")


def _without_complaint(text: str) -> str:
    return _TOO_BRIGHT.sub(" ", _TOO_DARK.sub(" ", text))


def _is_plain(text: str, *, on: bool) -> bool:
    """Whether the words name one polarity although both sorts of word occur: 关掉开关, "shut the switch on the left off"."""
    bare = text.replace("开关", "").replace("关闭开", "")
    if any(is_han(character) for character in bare):
        return bool(re.search("开|启|亮", bare)) == on and bool(re.search("关|熄|灭|切断", bare)) != on
    return bool(re.search(r"\bon\b", bare)) == on and bool(re.search(r"\boff\b|\bout\b", bare)) != on


def _label_toggle(row: Row, text: str) -> Label | None:
    del text
    return None if _first(row["slots"].get("domain", "")) in ("cover", "lock") else ("command", "toggle", "power")


def _label_light(row: Row, text: str) -> Label | None:
    slots = row["slots"]
    if "color" in slots or (row["source"] != "home-llm" and _COLOR_NAMES.search(text)):
        value = str(_first(slots.get("color", "")))
        if value and not _COLOR_NAMES.search(value):
            return ("command", None, None)
        return ("command", "set", "color")
    if _COLOR_WORD.search(text) and row["source"] != "home-llm":
        return ("command", "set", "color") if not re.search("柔|cooler|warmer|暖|冷|light to dark", text) else ("command", None, None)
    if _BY.search(text):
        return _relative(text, "brightness")
    if _LEVEL.search(text) or "brightness" in slots or "value" in slots:
        return ("command", "set", "brightness")
    if row["source"] == "had_device_actions":
        return _relative(text, "brightness")
    return ("command", None, None)


def _directions(text: str) -> tuple[bool, bool]:
    bare = _NO_DIRECTION.sub("", text)
    return bool(_UP.search(bare)), bool(_DOWN.search(bare))


def _relative(text: str, name: str) -> Label | None:
    up, down = _directions(text)
    if up == down:
        return ("command", None, name)
    return ("command", "raise" if up else "lower", name)


def _label_dimming(row: Row, text: str) -> Label | None:
    raising = _first(row["slots"].get("brightness_step", "")) == "up" or str(row["original_intent"]).endswith("up")
    if _TOO_BRIGHT.search(text) or _TOO_DARK.search(text):
        mood = (
            "command"
            if re.search(r"turn|dim|lower|raise|increase|reduce|decrease|make|brighten|调|增|降", _without_complaint(text))
            else "wish"
        )
        return (mood, "raise" if _TOO_DARK.search(text) else "lower", "brightness")
    up, down = _directions(text)
    if re.search(r"关|打开|开灯|开一点灯|点亮|照亮|连结|颜色|\b(?:turn|switch|put|power|lights?)\b.*\b(?:off|on)\b", text):
        return ("command", None, None)
    if _LEVEL.search(text) and not _BY.search(text) and re.search(r"\b(?:to|at)\b|到|至", text):
        return ("command", "set", "brightness")
    if (up, down) in ((False, False), (not raising, raising)):
        return ("command", None, None)
    return ("command", "raise" if raising else "lower", "brightness")


def _label_volume(row: Row, text: str) -> Label | None:
    del row
    if _UNMUTE.search(text):
        return ("command", "unmute", "volume")
    for complaint, operation in ((_TOO_LOUD, "lower"), (_TOO_QUIET, "raise")):
        if complaint.search(text):
            acts = re.search(
                r"turn|lower|raise|increase|decrease|reduce|make|can you|could you|please|louder|调|提高|降低|请|能",
                complaint.sub(" ", text),
            )
            return ("command" if acts else "wish", operation, "volume")
    if _BY.search(text):
        return _relative(text, "volume")
    if (
        _LEVEL.search(text)
        and not re.search(r"\b(?:a little|bit)\b|一点|一些", text)
        and not re.search(r"^(?:(?!\bto\b).)*\bup one\b", text)
    ):
        if re.search(r"\b(?:to|at|on|level|is|of|set|volume \d+|volume \w+%?|make|maximum|max|full|minimum)\b|到|为|设|最", text):
            return ("command", "set", "volume")
        return ("command", None, "volume")
    label = _relative(text, "volume")
    if label == ("command", None, "volume") and not re.search(r"volume|sound|audio|speak|音|声", text):
        return None
    if re.search(r"打开音乐|audio on|关闭.*低音|关掉.*低音|关掉它|\b(?:bass|treble)\b", text):
        return ("command", None, None)
    return label


def _label_mute(row: Row, text: str) -> Label | None:
    del row
    if _UNMUTE.search(text):
        return ("command", "unmute", "volume")
    if _MUTE.search(text) and not _DOWN.search(re.sub("静音|安静|quiet|小[爱度]", "", text)):
        return ("command", "mute", "volume")
    if re.search(r"\bpause\b|暂停", text):
        return ("command", "pause", "media") if re.search("music|song|音乐|歌", text) else ("command", None, None)
    return ("command", None, None)


def _label_temperature(row: Row, text: str) -> Label | None:
    if "temperature" in row["slots"] or _CLIMATE_NUMBER.search(text):
        return ("command", "set", "temperature")
    return _relative(text, "temperature") if any(_directions(text)) else None


def _label_search(row: Row, text: str) -> Label | None:
    if _NO_SEARCH.search(text):
        return ("command", None, None) if row["language"] == "en" else None
    if not _PLAY.search(text) or (_ASKING.search(text) and not re.search(r"\bplay\b", text)):
        return None
    return ("command", "handover", "search")


def _label_state(row: Row, text: str) -> Label | None:
    del row
    return ("question", None, None) if _WHO_IS_THERE.search(text) else ("question", "query", "state")


def _label_media_query(row: Row, text: str) -> Label | None:
    del row
    playing = re.search(r"\b(?:playing|this|that|current|now|it)\b|这|那|现在|正在", text)
    if not playing or re.search(r"\b(?:save|like|rate|email)\b", text):
        return None
    named = re.search(r"\b(?:who|whos|what|whats|which|name|title|artist|singer|sings?|singing)\b|谁|什么歌|名字|叫什么|哪首|歌名", text)
    return ("question", "query", "state") if named else ("question", None, None)


def _label_vacuum(row: Row, text: str) -> Label | None:
    del row
    if re.search(r"\b(?:there is|is there|dust is|pile|dirty|filthy)\b|必须|脏", text) or not re.search(
        r"vacuum|clean|roomba|robot|hoover|sweep|mop|roborock|dust|deebot|bot|start|launch|吸|扫|清|洁|机器人|拖", text
    ):
        return None
    return ("command", "start", "cleaning")


def _label_dock(row: Row, text: str) -> Label | None:
    del row
    if re.search(r"\b(?:stop|done)\b", text):
        return ("command", None, "cleaning")
    return ("command", "dock", "cleaning")


def _label_vacuum_stop(row: Row, text: str) -> Label | None:
    operation = str(row["original_intent"]).rpartition(":")[2].rpartition(".")[2]
    del text
    return ("command", operation if operation in ("stop", "pause") else None, "cleaning")


def _label_speed(row: Row, text: str) -> Label | None:
    del text
    return ("command", "raise" if _first(row["slots"].get("speed_step", "")) == "up" else "lower", "speed")


def _label_mode(row: Row, text: str) -> Label | None:
    del text
    return ("command", "set", "mode" if "hvac" in str(row["original_intent"]) else None)


def _label_coffee(row: Row, text: str) -> Label | None:
    del row
    return ("command", "turn_on", "power") if _OPERATES_MACHINE.search(text) else None


def _label_cancel(row: Row, text: str) -> Label | None:
    del row
    if not _CANCEL.search(text):
        return None
    return ("feedback", None if _LAST.search(text) else "cancel", "none")


def _label_praise(row: Row, text: str) -> Label | None:
    del row
    return ("feedback", "yes" if _WELL_DONE.search(text) else None, "none")


def _label_previous(row: Row, text: str) -> Label | None:
    del row
    return None if re.search(r"\brepeat\b|重", text) else ("command", "previous", "media")


_BEYOND: dict[str, Label] = {
    "make_call": ("command", "handover", "call"),
    "text": ("command", "handover", "message"),
    "translate": ("command", "handover", "translate"),
    "distance": ("question", "handover", "navigation"),
    "traffic": ("question", "handover", "navigation"),
    "transport_traffic": ("question", "handover", "navigation"),
    "restaurant_suggestion": ("command", "handover", "restaurant"),
}
"""What lies beyond the house, by the label that it came with."""
_NEITHER = frozenset({"directions", "recommendation_locations", "transport_query"})
"""Labels that mix what we do beyond the house with what nobody does."""


def _label_chat(row: Row, text: str) -> Label | None:
    if row["original_intent"] in _BEYOND:
        return _BEYOND[row["original_intent"]]
    if row["original_intent"] in _NEITHER:
        return None
    if row["original_intent"] in _OTHER_ASSISTANTS or re.search(r"\bremind|提醒|\btimer\b|\balarm\b|闹钟", text):
        return None
    if _DEVICE_WORDS.search(text) and (len(words_of(text)) <= 5 or re.search(r"\bturn (?:on|off|up|down)\b|\blights\b|调[高低亮暗]", text)):
        return None
    if re.search(r"\bwake up\b|\b(?:play|watch|listen to)\b|播放|收听", text):
        return None
    return _CHAT


def _always(operation: str, name: str, mood: str = "command") -> Callable[[Row, str], Label | None]:
    return lambda _row, _text: (mood, operation, name)


_RULES: dict[str, Callable[[Row, str], Label | None]] = {
    "HassTurnOn": lambda row, text: _label_power(row, text, on=True),
    "HassTurnOff": lambda row, text: _label_power(row, text, on=False),
    "HassToggle": _label_toggle,
    "HassLightSet": _label_light,
    "LightBrightnessRelative": _label_dimming,
    "HassSetVolume": _label_volume,
    "HassSetVolumeRelative": _label_volume,
    "HassMediaPlayerMute": _label_mute,
    "HassMediaPlayerUnmute": _always("unmute", "volume"),
    "HassMediaNext": _always("next", "media"),
    "HassMediaPrevious": _label_previous,
    "HassMediaPause": _always("pause", "media"),
    "HassMediaUnpause": _always("play", "media"),
    "MediaStop": _always("stop", "media"),
    "HassMediaSearchAndPlay": _label_search,
    "MediaQuery": _label_media_query,
    "HassClimateSetTemperature": _label_temperature,
    "ClimateSetMode": _label_mode,
    "ClimateSetHumidity": lambda _row, _text: ("command", "set", "humidity"),
    "CoverStop": _always("stop", "position"),
    "HassSetPosition": _always("set", "position"),
    "FanSpeedRelative": _label_speed,
    "HassVacuumStart": _label_vacuum,
    "HassVacuumReturnToBase": _label_dock,
    "VacuumStop": _label_vacuum_stop,
    "HassGetState": _label_state,
    "MakeCoffee": _label_coffee,
    "HassNevermind": _label_cancel,
    "FeedbackAffirm": _always("yes", "none", "feedback"),
    "FeedbackNegate": _always("no", "none", "feedback"),
    "FeedbackPraise": _label_praise,
    **{intent: _always("handover", name) for intent, name in _HANDOVER_OF.items()},
    **dict.fromkeys(_CHATTING, _label_chat),
}
"""How each intent is read; an intent that is not here (several actions at once, unresolved ones) is left out."""

_FINAL = frozenset(
    {*_HANDOVER_OF, *_CHATTING, "HassMediaSearchAndPlay", "MediaQuery", "HassGetState", "HassNevermind"}
    | {"FeedbackAffirm", "FeedbackNegate", "FeedbackPraise", "MakeCoffee"}
)
"""Intents that stay what they are when they speak of a time, ask, or deny."""

_WEIGHTS = {"had_device_actions": 0.6, "home-llm": 0.5, "picovoice_barista": 0.2, "snips2017": 0.25}
_CHAT_WEIGHT = 0.4


def label_of(row: Row) -> Label | None:
    """Return mood, operation and property of a row; None leaves the sentence out.

    Args:
        row: one line of a data file, with `language` being `en` or `zh`.
    """
    intent = row["intent"]
    rule = _RULES.get(intent)
    text = normalise(row["text"]).strip(" ,")
    if (
        rule is None
        or not text
        or _PLACEHOLDER.search(row["text"])
        or (row["source"] == "had_device_actions" and _FOREIGN.search(row["text"]))
    ):
        return None
    label = rule(row, text)
    if label is None or intent in _FINAL:
        return label
    if _TWO_ACTS.search(text):
        return None
    by_people = row["source"] not in ("had_device_actions", "home-llm")
    if by_people and (_ASKING.search(text) or _ASKING_HAN.search(text)):
        return None
    mood, operation, name = label
    if by_people and mood == "command" and _NEGATED.search(text):
        return None if row["language"] == "zh" or re.search(r"\b(?:dont|do not|never)\b", text) else (None, operation, name)
    if by_people and (_LATER.search(text) or (name not in _LEVELLED and _AT.search(text))):
        return ("scheduled", operation, name)
    return (None, operation, name) if by_people and _FOR_A_WHILE.search(text) else label


_VALUE_SLOTS = {
    "brightness": "VALUE",
    "temperature": "VALUE",
    "volume_level": "VALUE",
    "position": "VALUE",
    "humidity": "VALUE",
    "value": "VALUE",
}
_TAGS = {
    "had_device_actions": {"name": "NAME", "area": "AREA", **_VALUE_SLOTS},
    "home-llm": {"name": "NAME", "color": "COLOR", "mode": "MODE", "duration": "TIME", "item": "CONTENT", **_VALUE_SLOTS},
    "hwu64": {"name": "NAME", "area": "AREA", "color": "COLOR", "time": "TIME", "date": "TIME", **_VALUE_SLOTS},
    "snips2017": dict.fromkeys("artist track album playlist genre".split(), "CONTENT"),
}
_TAGS["slurp"] = _TAGS["hwu64"]
_TITLES = dict.fromkeys("artist song playlist genre audiobook podcast radio music_descriptor".split(), "CONTENT")
_UNIT_TAIL = re.compile(r" ?(?:%|°|percent\b|degrees?\b)?(?: ?(?:celsius|fahrenheit)\b)?", re.IGNORECASE)
_HERE = frozenset({"here", "in here", "this room", "room"})
_BARE_NOUNS = re.compile(
    r"(?:\b(?P<all>all|every|both)\b (?:of )?(?:the |my )?)?\b(?P<noun>lights?|lamps?|bulbs?|fans?|blinds?|shades?|curtains?|speakers?|thermostat|heater|radiator|"
    r"tv|television|radio|plug socket|plug|socket|outlet|smart plug|vacuum cleaner|vacuum|roomba|garage door)\b"
)
"""Nouns that the sources leave unmarked beside a marked room."""
_HOUSE = re.compile(r"\b(?:house|home|apartment|flat)\b")
_TAGGED_INTENTS = frozenset(_RULES) - _CHATTING - frozenset(_HANDOVER_OF) - {"MediaQuery", "MakeCoffee", "HassNevermind"}


def _spans_of(row: Row, label: Label) -> tuple[tuple[int, int, str], ...]:
    if row["intent"] not in _TAGGED_INTENTS:
        return ()
    names = _TAGS.get(row["source"], {})
    if row["intent"] == "HassMediaSearchAndPlay":
        names = names | _TITLES if row["source"] in ("hwu64", "slurp") else names
    found: list[tuple[int, int, str]] = []
    for slot, place in (row.get("spans") or {}).items():
        tag = names.get(slot)
        for start, end in place if isinstance(place[0], list) else [place]:
            if tag is not None:
                found.append(_trimmed(row["text"], start, end, tag, label))
    kept: list[tuple[int, int, str]] = []
    for start, end, tag in sorted(found, key=lambda span: (span[0] - span[1], span[0])):
        if tag and start < end and _is_free(start, end, kept):
            kept.append((start, end, tag))
    if kept and row["language"] == "en" and row["intent"] != "HassMediaSearchAndPlay":
        for match in _BARE_NOUNS.finditer(row["text"].lower()):
            for group, tag in (("all", "QUANTIFIER"), ("noun", "CLASS")):
                start, end = match.span(group)
                if (
                    start >= 0
                    and not (tag == "CLASS" and match.start() == 0 and match["noun"] in ("vacuum", "light"))
                    and _is_free(start, end, kept)
                ):
                    kept.append((start, end, tag))
    return tuple(sorted(kept))


def _is_free(start: int, end: int, spans: Iterable[tuple[int, int, str]]) -> bool:
    return all(end <= other_start or start >= other_end for other_start, other_end, _ in spans)


def _trimmed(text: str, start: int, end: int, tag: str, label: Label) -> tuple[int, int, str]:
    """Return a span as the phrasebook marks it: a value without "to", a bare noun as a class, "here" as HERE, the whole house as nothing."""
    if (article := re.match(r"(?:to|at|by|the|my|in|of)\s+", text[start:end], re.IGNORECASE)) is not None:
        start += article.end()
    if tag == "VALUE" and (unit := _UNIT_TAIL.match(text, end)) is not None:
        end = unit.end() - (text[unit.end() - 1] == " ")
    if tag == "NAME" and text[start:end].lower().startswith("all "):
        start += 4
    words = words_of(text[start:end])
    if tag == "NAME" and words in noun_kinds():
        tag = "CLASS"
    elif tag == "TIME" and label[0] != "scheduled" and label[1] == "set" and text[:start].endswith("to "):
        tag = "VALUE"
    elif tag == "VALUE" and not _LEVEL.search(normalise(text[start:end])):
        tag = ""
    elif tag == "AREA" and " ".join(words) in _HERE:
        tag = "HERE" if "here" in words else ""
    elif tag == "AREA" and _HOUSE.search(text[start:end].lower()) and len(words) < 3 and "guest" not in words:
        tag = ""
    elif tag == "VALUE" and label[1] in ("raise", "lower"):
        tag = "DELTA"
    elif tag == "COLOR" and not _COLOR_NAMES.search(text[start:end].lower()):
        tag = ""
    return start, end, tag


_POLITE = frozenset(
    "please can could would will you the a an my me i to of in for is are and it that this s olly alexa siri google hey ok kindly just do want need "
    "like d ll m 请 的 我 你 把 将 给 一 下 吗 吧 了 能 可 以 帮 在 个 那 这 , ? %".split()
)
_NUMERALS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty forty fifty sixty seventy eighty ninety hundred "
    "零 一 二 两 三 四 五 六 七 八 九 十 百 半 percent".split()
)


def skeleton(text: str, spans: Iterable[tuple[int, int]] = ()) -> str:
    """Return what remains of a sentence without values, marked names, and politeness, in a fixed order: near-duplicates have the same."""
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + " " + text[end:]
    words = {word.removesuffix("s") if len(word) > 3 else word for word in (token.text for token in tokenise(text))}
    rest = {word for word in words if word not in _POLITE and word not in _NUMERALS and not word[0].isdigit()}
    return " ".join(sorted(rest or words))


class _Groups:
    """Sets of rows that must stay on one side of the split."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, key: str) -> str:
        root = self._parents.setdefault(key, key)
        while root != self._parents[root]:
            self._parents[root] = self._parents[self._parents[root]]
            root = self._parents[root]
        return root

    def join(self, key: str, other: str) -> None:
        first, second = sorted((self.find(key), self.find(other)))
        self._parents[second] = first


def _all_spans(row: Row) -> list[tuple[int, int]]:
    places: list[tuple[int, int]] = []
    for place in (row.get("spans") or {}).values():
        places += [(start, end) for start, end in (place if isinstance(place[0], list) else [place])]
    places.sort()
    return [span for number, span in enumerate(places) if not number or span[0] >= max(end for _, end in places[:number])]


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value


def read_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of every JSONL file of a folder, in a fixed order, with `language` added.

    Raises:
        ConfigError: when there is no such folder or a line is no sentence.
    """
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise ConfigError(f"{folder}: expected a folder with JSONL files of sentences; give another folder")
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    row["language"] = "zh" if row["lang"].startswith("zh") else "en"
                    row["slots"] = row.get("slots") or {}
                    row["text"], row["intent"], row["source"], row["original_intent"] = (
                        str(row[key]) for key in ("text", "intent", "source", "original_intent")
                    )
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise ConfigError(
                        f"{path}:{number}: expected a JSON object with text, lang, intent, source and original_intent"
                    ) from error
                yield row


def read_sentences(folder: Path) -> tuple[HumanSentence, ...]:
    """Return the labelled sentences of a data folder, each text once, in a fixed order."""
    rows = list(read_rows(folder))
    intents: dict[str, set[str]] = defaultdict(set)
    groups = _Groups()
    for row in rows:
        key = skeleton(row["text"])
        intents[" ".join(words_of(row["text"]))].add(row["intent"])
        bare = skeleton(row["text"], _all_spans(row))
        row["group"] = f"{row['language']} {bare if ' ' in bare else key}"
        groups.join(row["group"], f"{row['language']} {key}")
        slurp_id = (row.get("meta") or {}).get("slurp_id")
        if slurp_id is not None:
            groups.join(row["group"], f"slurp {slurp_id}")
    sentences: dict[str, HumanSentence] = {}
    for row in rows:
        key = " ".join(words_of(row["text"]))
        if len(intents[key]) > 1 or key in sentences:
            continue
        label = label_of(row)
        if label is None:
            continue
        mood, operation, name = label
        weight = _WEIGHTS.get(row["source"], 1.0)
        sentences[key] = HumanSentence(
            text=row["text"],
            language=row["language"],
            mood=mood,
            operation=operation,
            property=name,
            weight=min(weight, _CHAT_WEIGHT) if mood == "chat" else weight,
            group=groups.find(row["group"]),
            source=row["source"],
            intent=row["intent"],
            spans=_spans_of(row, label),
        )
    return _split(list(sentences.values()))


def _split(sentences: list[HumanSentence]) -> tuple[HumanSentence, ...]:
    """Mark whole groups as development text, in the order of their hashes, until each label has its share."""
    members: dict[str, list[HumanSentence]] = defaultdict(list)
    for sentence in sentences:
        members[sentence.group].append(sentence)
    totals = Counter(_stratum(sentence) for sentence in sentences)
    taken: Counter[tuple[str | None, ...]] = Counter()
    chosen: set[str] = set()
    for group in sorted(members, key=lambda name: sha256(name.encode()).digest()):
        counts = Counter(_stratum(sentence) for sentence in members[group])
        if all(100 * (taken[stratum] + count) <= DEV_PERCENT * totals[stratum] + 50 for stratum, count in counts.items()):
            chosen.add(group)
            taken.update(counts)
    return tuple(replace(sentence, is_dev=True) if sentence.group in chosen else sentence for sentence in sentences)


def _stratum(sentence: HumanSentence) -> tuple[str | None, ...]:
    return sentence.language, sentence.mood, sentence.operation, sentence.property


def report(sentences: Iterable[HumanSentence], *, samples: int = 5, seed: int = 0) -> str:
    """Return counts per label with some samples of each, and the size of the splits."""
    by_label: dict[tuple[str, ...], list[HumanSentence]] = defaultdict(list)
    for sentence in sentences:
        label = (sentence.mood or "?", sentence.operation or "?", sentence.property or "?", sentence.language)
        by_label[label].append(sentence)
    rng = random.Random(seed)
    lines = []
    for key, members in sorted(by_label.items()):
        lines.append(f"{' '.join(key)}: {len(members)}, dev {sum(member.is_dev for member in members)}")
        for member in rng.sample(members, min(samples, len(members))):
            spans = ", ".join(f"{tag}={member.text[start:end]}" for start, end, tag in member.spans)
            lines.append(f"    {member.text}  [{member.intent}{'; ' + spans if spans else ''}]")
    everything = [member for members in by_label.values() for member in members]
    largest = Counter(member.group for member in everything).most_common(1)
    lines.append(
        f"{len(everything)} sentences, {sum(member.is_dev for member in everything)} dev, {sum(bool(m.spans) for m in everything)} with spans"
    )
    if largest:
        lines.append(f"largest group: {largest[0][1]} sentences")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Print the report of a data folder."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m voice_rl_training.corpus.human DIR\n")
        return 2
    try:
        sentences = read_sentences(Path(arguments[0]))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(report(sentences) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
