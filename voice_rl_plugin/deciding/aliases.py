"""Aliases: names that corrections have taught; from then on they work in every sentence, in both languages.

"turn on the beast" -> "no, the soundbar": the beast is a word that nothing explains, and with "the soundbar" in its place the sentence means
what the correction says. So the beast is the soundbar. Who decides whether it means the same is the decider; here are the names, and what
can never be one.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from voice_rl_plugin.domain.frame import Frame
from voice_rl_plugin.understanding.colours import COLORS, HVAC_MODES, WHITES
from voice_rl_plugin.understanding.features import Observation
from voice_rl_plugin.understanding.kinds import noun_kinds
from voice_rl_plugin.understanding.names import Match
from voice_rl_plugin.understanding.numbers import parse_value
from voice_rl_plugin.understanding.strange import is_plain
from voice_rl_plugin.understanding.text import is_han, words_of

MOST_TOKENS = 4
"""English words or Chinese characters; what is longer is no name but a sentence."""
MOST_ALIASES = 200
"""Of a home; what comes later is not learned until one is forgotten."""
MOST_OF_ONE = 8
"""Of one entity."""
MOST_WORDS = 16
"""In a longer sentence no name is looked for."""


class TaughtName(NamedTuple):
    """What a correction says about a word that nothing explains."""

    words: str
    entity_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """One name that a correction taught."""

    words: str
    """The normalised words, joined by single spaces."""
    entity_id: str
    decision_id: str
    """The decision that was corrected."""
    learned_at: float
    """Unix seconds."""
    is_contested: bool = False
    rival: str | None = None
    """The entity that an opposite correction named, where it is contested."""


class Aliases:
    """All aliases, by their words; the store keeps them on disk."""

    def __init__(self, aliases: Iterable[Alias] = ()) -> None:
        self._aliases = {alias.words: alias for alias in aliases}

    def __len__(self) -> int:
        return len(self._aliases)

    @property
    def entries(self) -> tuple[Alias, ...]:
        """Return all aliases, oldest first."""
        return tuple(sorted(self._aliases.values(), key=lambda alias: alias.learned_at))

    def names(self) -> Mapping[str, tuple[str, ...]]:
        """Return the names of each entity; a contested one names both."""
        named: dict[str, tuple[str, ...]] = {}
        for alias in self.entries:
            for entity_id in (alias.entity_id, alias.rival):
                if entity_id is not None:
                    named[entity_id] = (*named.get(entity_id, ()), alias.words)
        return named

    def said_in(self, words: Sequence[str]) -> tuple[Alias, ...]:
        """Return the aliases that an utterance holds, in the order of its words."""
        if not self._aliases:
            return ()
        windows = (" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, min(len(words), i + MOST_TOKENS) + 1))
        return tuple(self._aliases[window] for window in windows if window in self._aliases)

    def learn(self, alias: Alias) -> Alias | None:
        """Add an alias and return it as it now stands; None when there are too many.

        A second correction of the same words to another entity makes it contested; a third that agrees with either one settles it.
        """
        known = self._aliases.get(alias.words)
        if known is None and (
            len(self._aliases) >= MOST_ALIASES or sum(one.entity_id == alias.entity_id for one in self._aliases.values()) >= MOST_OF_ONE
        ):
            return None
        if known is not None and not known.is_contested:
            if known.entity_id == alias.entity_id:
                return known
            alias = replace(alias, is_contested=True, rival=known.entity_id)
        self._aliases[alias.words] = alias
        return alias

    def taught_by(self, decision_id: str) -> Alias | None:
        """Return the alias that the correction of a decision taught."""
        return next((alias for alias in self._aliases.values() if alias.decision_id == decision_id), None)

    def put_back(self, alias: Alias) -> None:
        """Write an alias as it is, whatever was known of its words."""
        self._aliases[alias.words] = alias

    def forget(self, words: str) -> bool:
        """Drop an alias; return whether there was one."""
        return self._aliases.pop(words, None) is not None


def windows_to_explain(observation: Observation, frame: Frame, *, entity_id: str | None = None) -> Iterator[tuple[int, int]]:
    """Yield the windows of an utterance that may be a name nobody taught yet: whole runs of words that are no command, longest first.

    Args:
        observation: the utterance, as observed in the home.
        frame: its only clause.
        entity_id: what the words would name; any other name of the home, or a device that is named beside the window, rules it out.
    """
    words = observation.words
    if len(words) > MOST_WORDS or frame.end - frame.start < len(words):
        return
    known = _named_elsewhere(observation, entity_id)
    is_barred = [word in _COMMAND_WORDS or index in known or parse_value((word,)) is not None for index, word in enumerate(words)]
    for start, end in (*_windows_in(words, _COLOUR_WORDS), *_windows_in(words, _CHINESE_WORDS)):
        is_barred[start:end] = [True] * (end - start)
    nouns = [(start, end) for start, end in _windows_in(words, noun_kinds()) if not _COMMAND_WORDS.issuperset(words[start:end])]
    devices = [*nouns, *((m.start, m.end) for m in observation.matches if _names_device(m))]
    for start, end in sorted(_runs(is_barred), key=lambda run: run[0] - run[1]):
        if end - start > MOST_TOKENS or _is_ordinary(words[start:end]) or not _is_strange(observation, frame, start, end):
            continue
        if all(start <= first and last <= end for first, last in devices):  # else it is a pet word beside the device's own name
            yield start, end


def _runs(is_barred: Sequence[bool]) -> Iterator[tuple[int, int]]:
    start = 0
    for index, barred in enumerate((*is_barred, True)):
        if barred:
            if index > start:
                yield start, index
            start = index + 1


def _named_elsewhere(observation: Observation, entity_id: str | None) -> set[int]:
    """Return the tokens that belong to a name of another device."""
    return {
        index
        for match in observation.matches
        if match.form != "sound" and not (match.thing == "entity" and match.id == entity_id)
        for index in range(match.start, match.end)
        if match.thing == "entity" or match.form == "full"
    }


def _names_device(match: Match) -> bool:
    return match.thing == "entity" and match.form in ("full", "stripped")


def _windows_in(words: tuple[str, ...], phrases: Collection[tuple[str, ...]]) -> list[tuple[int, int]]:
    """Return where one of some phrases stands."""
    longest = min(len(words), MOST_TOKENS)
    return [(i, i + n) for i in range(len(words)) for n in range(1, longest + 1) if i + n <= len(words) and words[i : i + n] in phrases]


def _is_ordinary(window: tuple[str, ...]) -> bool:
    """Whether some words are a kind of device, or nothing that could be told from other words."""
    if window in noun_kinds():
        return True
    if all(is_han(word) for word in window):
        return len(window) < 2
    return sum(map(len, window)) < 3


def _is_strange(observation: Observation, frame: Frame, start: int, end: int) -> bool:
    """Whether a window is more than small talk: it holds a word that is not plain, or the network reads it as the name of something."""
    window = observation.words[start:end]
    if any(is_han(word) for word in window):
        return True
    if any(word.isalpha() and not is_plain(word) for word in window):
        return True
    before = ("", "", *observation.words[:start])
    if before[-1] in ("the", "my", "our") and before[-2] not in _PLACING:
        return True
    return any(span.start < end and span.end > start for span in frame.spans_of("NAME", "CONTENT"))


_PLACING = frozenset("in at over under by for from with of near behind".split())
"""What follows these is where, not what."""
_COLOUR_WORDS = frozenset(words_of(name) for names in (*COLORS.values(), *WHITES.values(), *HVAC_MODES.values()) for name in names)
_COMMAND_WORDS = frozenset(
    (
        "the a an my our your his her their of and with in on "
        "turn switch put set make get on off up down in out to at by for from as it its this that these those them one ones both all every "
        "everything everywhere anything something nothing other another please thanks thank you could can would will may might want wanna cant wont hear see feel "
        "need like love do does did dont doesnt is are was be been im id ill i me we us he she they who what which when where why how "
        "play pause stop start resume skip next previous back open close shut lock unlock mute unmute raise lower dim brighten increase "
        "decrease reduce change adjust move go give let have has run kill cut fire crank bring take leave keep "
        "louder quieter brighter dimmer darker lighter softer warmer cooler colder hotter faster slower higher bit little more less much "
        "too very really now again later soon then here there home room house everybody everyone "
        "volume sound music song brightness temperature heat speed color colour percent degrees degree half full max min "
        "number thing things stuff yes no not never ok okay hey hi hello right left first second third last same just only also still so but or if than "
        "meant mean said say wrong correct undo cancel "
        "那 个 盏 台 只 把 将 给 请 让 叫 帮 我 你 您 他 她 它 们 咱 打 开 关 闭 停 暂 播 放 调 设 换 切 升 降 增 减 锁 解 启 动 静 的 了 吧 啦 看 听 有 里 屋 呢 吗 啊 呀 嘛 吗 么 "
        "一 二 两 三 四 五 六 七 八 九 十 百 半 度 点 些 下 再 就 都 全 别 不 没 是 要 想 能 可 以 会 在 到 去 来 从 上 这 那 哪 谁 什 怎 为 因 "
        "和 跟 与 也 还 又 很 更 最 成 掉 完 好 行 对 错 嗯 谢 烦 拜 托 , ?"
    ).split()
)
"""Never within a name; a nickname that holds one is not learned, and the memory of its sentence holds it."""
_CHINESE_WORDS = frozenset(
    tuple(word)
    for word in "声音 音量 音乐 亮度 光线 灯光 温度 颜色 速度 风速 风量 歌曲 电影 节目 频道 屏幕 画面 模式 时间 时候 现在 马上 赶紧 快点 稍微 有点 家里 屋里 "
    "房间 房子 里面 外面 这边 那边 左边 右边 前面 后面 东西 所有 大家 宝贝 亲爱 师傅 老公 老婆 妈妈 爸爸 小爱 小度 麻烦 辛苦 开心 亮一 亮点 亮些 暗一 暗点 暗些 大声 小声".split()
)
