"""Answers to our own questions: "the left one", 第二个, "both", "never mind"."""

import re
from collections.abc import Sequence

from voice_rl_plugin.domain.decision import Candidate
from voice_rl_plugin.domain.frame import Frame
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.understanding.features import Observation

_ORDINALS: tuple[tuple[int, frozenset[str], tuple[str, ...]], ...] = (
    (0, frozenset({"first", "former", "1st"}), ("第一", "前一个", "前者", "头一个", "前面那个")),
    (1, frozenset({"second", "latter", "2nd"}), ("第二", "后者")),
    (2, frozenset({"third", "3rd"}), ("第三",)),
    (-1, frozenset({"last"}), ("最后", "后一个", "后面那个")),
)
_BOTH = frozenset({"both", "all", "everything"})
_BOTH_HAN = ("都", "全部", "两个", "一起")
_NEITHER = frozenset({"neither", "none", "nothing", "cancel", "never"})
_NEITHER_HAN = ("都不", "不用", "算了", "取消", "没事", "都不是", "不要")
_YES = frozenset({"yes", "yeah", "yep", "sure", "ok", "okay", "do", "please", "aye", "right", "correct", "yup"})
_YES_HAN = ("是的", "对", "好", "嗯", "可以", "行", "要", "是")
_NO = frozenset({"no", "nope", "nah", "dont"})
_NO_HAN = ("不", "别", "算了")
_PICKS = frozenset().union(*(words for _, words, _ in _ORDINALS), {"both", "left", "right", "middle", "neither"})
_BESIDE_PICKS = frozenset("the one ones of them two please thanks um uh er yes no on to".split()) | {","}
_PICK_HAN = re.compile(
    r"(嗯|呃|就|要|选|是)*(第[一二两三123]|最后|后|前|头|左边?|右边?|中间|左面|右面|前面|后面|前者|后者|两|都|全部)的?一?(那|这)?(个|盏|台|者)?(那个|这个)?(都)?(要|开|关)?(吧|啊|呀|好了)?"
)
_LONGEST_ANSWER = 8
"""A longer utterance is a command of its own."""


def is_bare_pick(words: Sequence[str]) -> bool:
    """Whether an utterance is nothing but a pick among choices: "the second one", "both of them", 第二个, 左边那个."""
    if not words or len(words) > _LONGEST_ANSWER:
        return False
    if all(word.isascii() for word in words):
        return bool(set(words) & _PICKS) and set(words) <= _PICKS | _BESIDE_PICKS
    return bool(_PICK_HAN.fullmatch("".join(word for word in words if word != ",")))


def is_answer_like(frame: Frame) -> bool:
    """Whether a clause may be an answer: short, and no full command of its own."""
    if frame.end - frame.start > _LONGEST_ANSWER:
        return False
    if frame.mood in ("bare", "feedback", "chat"):
        return True
    return frame.operation in ("none", "same", "correct") or (frame.mood == "command" and frame.operations[0][1] < 0.6)


def choose_answer(observation: Observation, choices: Sequence[Candidate], home: Home) -> Candidate | None:
    """Return the choice that an answer picks, a candidate without actions for "neither", or None when it picks nothing."""
    words, text = set(observation.words), "".join(observation.words)
    if words & _NEITHER or any(phrase in text for phrase in _NEITHER_HAN):
        return Candidate(actions=(), probability=0.0)
    if not choices:
        return None
    for position, english, chinese in _ORDINALS:
        if (words & english or any(phrase in text for phrase in chinese)) and position < len(choices):
            return choices[position]
    if len(choices) > 1 and (words & _BOTH or any(phrase in text for phrase in _BOTH_HAN)):
        return _all_of(choices)
    named = _named(observation, choices, home)
    if named is not None:
        return named
    if len(choices) == 1:
        if words & _NO or any(text.startswith(phrase) for phrase in _NO_HAN):
            return Candidate(actions=(), probability=0.0)
        if words & _YES or any(text.startswith(phrase) for phrase in _YES_HAN):
            return choices[0]
    return None


def _all_of(choices: Sequence[Candidate]) -> Candidate:
    actions = {action.key: action for choice in choices for action in choice.actions}
    return Candidate(actions=tuple(actions.values()), probability=1.0)


def _named(observation: Observation, choices: Sequence[Candidate], home: Home) -> Candidate | None:
    """Return the only choice whose device, room or distinguishing word was said."""
    entities = {m.id for m in observation.matches if m.thing == "entity"}
    areas = {m.id for m in observation.matches if m.thing == "area"}
    votes: list[int] = []
    for choice in choices:
        targets = [t for action in choice.actions for t in action.targets]
        vote = 2 * sum(t in entities for t in targets) / max(1, len(targets))
        vote += sum(home.entity_by_id[t].area in areas for t in targets if t in home.entity_by_id) / max(1, len(targets))
        votes.append(round(100 * vote))
    best = max(votes)
    return choices[votes.index(best)] if best > 0 and votes.count(best) == 1 else None
