"""Words that say "not now": a clock time, a delay, a day. A command that holds one is never carried out at once."""

import re
from collections.abc import Sequence

from voice_rl_plugin.domain.frame import Frame

_ENGLISH = re.compile(
    r"\b(?:at|by|around|until|till) (?:noon|midnight|dawn|dusk|sunset|sunrise)\b"
    r"|\b(?:oclock|tomorrow|tonight|later on|next (?:week|weekend|month|year))\b"
    r"|\bon (?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:quarter|half) (?:to|past) (?:\d{1,2}|[a-z]+)\b"
    r"|\bafter (?:the|my|our|this) \w+(?: \w+)?$"
    r"|\b(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve) (?:am|pm|a m|p m|oclock)\b"
    r"|\bin (?:\d+|an?|one|two|three|four|five|six|eight|ten|twelve|fifteen|twenty|thirty|forty|sixty|half) (?:an )?(?:more )?(?:seconds?|minutes?|hours?)\b"
)
_WHEN = re.compile(
    r"^(?:and |but |well |oh |so |hey |please )*(?:when|whenever|as soon as|every time|once) "
    r"(?!again|more|(?:and for all|upon)\b|possible|ready|(?:youre|you are|you get|you have|youve|you can|you could|convenient)\b)"
)
"""A condition at the beginning, which "when you get a minute" is not."""
_HAN = re.compile(
    r"(?:[二三四五六七八九十两]|十[一二]|\d{1,2})点(?:钟|半|整)|(?:早上|上午|中午|下午|晚上|凌晨|今晚|明早|明晚)[一二三四五六七八九十两\d]+点"
    r"|(?:分钟|小时|钟头|秒钟?)(?:之后|以后|后)|明天|后天|下个?(?:周|礼拜|星期|月)|(?:之后|以后|完)再?(?:把|将|给我|帮我|开|关|打开)|等.{1,10}再|(?:满|完|好|到|来|走|睡着)了就(?:把|将|给|帮|开|关)|(?:放|唱|看|洗|吃|播|做|煮|扫)完了?(?:把|将)|明早|明晚|待会儿?再|等会儿?再|过会儿?再|稍后再?|晚点儿?再"
)


def is_for_later(words: Sequence[str], frame: Frame) -> bool:
    """Whether a clause names a time that is not now, by words that leave no doubt."""
    clause = words[frame.start : frame.end]
    if frame.start == 0 and _WHEN.match(" ".join(clause)) and "," in words:
        return True
    return bool(_ENGLISH.search(" ".join(clause)) or _HAN.search("".join(clause)))
