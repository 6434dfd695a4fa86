"""Words that refuse for sure, whatever the network makes of the rest: they forbid, or they tell of what was.

They stand here only where they leave no doubt: 不可以关 forbids, 可不可以关 asks for it; "last summer we kept the blinds open" is a memory.
"""

import re
from collections.abc import Sequence

from voice_rl_plugin.domain.frame import Frame

_FORBIDS_HAN = re.compile("(?<!可)不可以|不准|不许|不許|请勿|請勿|禁止")
_LEAVES_OUT_HAN = re.compile("(就不用了|就不用管了?|就算了|就免了|就不必了|就别动了?)[吧啊哈呢]?$")
"""At the end of a later clause: what it names is not to be touched."""
_FORBIDS_SCENE = re.compile(r"^(?:no more|no need for|enough of|not) ")
_PAST = re.compile(
    r"^(?:and |well |oh |you know )*(?:last (?:summer|winter|spring|autumn|week|night|year|month|weekend)|yesterday|years ago|back when)\b"
)
_PAST_HAN = re.compile(
    "^(?:我记得|记得|哎|唉|嗯)*(?:上回|上次|那年|去年|前年|当年|小时候|说明书上|說明書上|昨天|昨晚|前天|那天)(?!一样|那样|那個|那个)"
)
_ONE_OF = re.compile(r"\bone of (?:the|my|our|those|these)\b")


def refusing_mood(words: Sequence[str], frame: Frame) -> str | None:
    """Return `prohibition` or `report` where the words of a clause say so for sure, else None.

    Args:
        words: of the utterance.
        frame: the clause.
    """
    clause = words[frame.start : frame.end]
    spaced, joined = " ".join(clause), "".join(clause)
    if _FORBIDS_HAN.search(joined) or (frame.start > 0 and _LEAVES_OUT_HAN.search(joined)):
        return "prohibition"
    if frame.property == "scene" and _FORBIDS_SCENE.match(spaced):
        return "prohibition"
    if frame.operation not in ("query", "same") and (_PAST.match(spaced) or _PAST_HAN.match(joined)):
        return "report"
    return None


def means_one_of_several(words: Sequence[str], frame: Frame) -> bool:
    """Whether a clause speaks of one of several without saying which: "one of the pendants is buzzing, turn it off"."""
    return _ONE_OF.search(" ".join(words[frame.start : frame.end])) is not None
