"""Numbers and values in words and digits, English and Chinese: "thirty five percent", "half", 百分之三十五, 二十六度半."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

UNITS = ("percent", "degree", "kelvin", "notch", "none")


@dataclass(frozen=True, slots=True)
class Value:
    """An amount with its unit."""

    amount: float
    unit: str
    """One of UNITS; `none` for a bare number."""


_ONES = {
    w: i
    for i, w in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
    )
} | {"couple": 2}
_TENS = {w: 10 * i for i, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)} | {"fourty": 40}
_HAN_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0, "俩": 2, "幺": 1}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000}
_FULL = frozenset("full max maximum maximal highest brightest fullest fully loudest top".split())
_LEAST = frozenset("min minimum minimal lowest dimmest quietest least faintest".split())
_LEVELS = {"low": 33.0, "medium": 66.0, "high": 100.0, "slow": 33.0, "fast": 100.0, "middle": 66.0}
_HAN_PHRASES = {
    "一半": Value(50, "percent"),
    "半": Value(50, "percent"),
    "对半": Value(50, "percent"),
    "最大": Value(100, "percent"),
    "最亮": Value(100, "percent"),
    "最高": Value(100, "percent"),
    "最强": Value(100, "percent"),
    "最快": Value(100, "percent"),
    "最响": Value(100, "percent"),
    "全亮": Value(100, "percent"),
    "全开": Value(100, "percent"),
    "满": Value(100, "percent"),
    "拉满": Value(100, "percent"),
    "顶格": Value(100, "percent"),
    "到头": Value(100, "percent"),
    "顶": Value(100, "percent"),
    "最小": Value(1, "percent"),
    "最暗": Value(1, "percent"),
    "最低": Value(1, "percent"),
    "最弱": Value(1, "percent"),
    "最慢": Value(1, "percent"),
    "低": Value(33, "percent"),
    "中": Value(66, "percent"),
    "高": Value(100, "percent"),
}
_LEADING_FILLERS = frozenset("to at by about around 的 到 成 为 ,".split())
_HAN_PERCENT = re.compile("百分之[零〇一二两三四五六七八九十百0-9]")
_HAN_RUN = re.compile("[零〇一二两三四五六七八九十百千点俩幺]+")
_HAN_CONTRACTED = {"廿": "二十", "卅": "三十"}
_AS_FAR = re.compile(r"as (\w+) as (?:(?:it|they|that|you) (?:goes?|can|gets?|will|likes?|possibly can)|itll|theyll|possible)")
_LITTLE = frozenset("low dim quiet soft faint slow little cool".split())


def _english_number(words: Sequence[str]) -> tuple[float, int] | None:
    """Return the number that the words begin with and how many words it takes."""
    total, used, seen = 0.0, 0, False
    while used < len(words):
        word = words[used]
        if word in _ONES and not (seen and total % 10 and total < 100):
            total += _ONES[word]
        elif word in _TENS and not (seen and total % 100):
            total += _TENS[word]
        elif word == "hundred":
            total = (total or 1) * 100
        elif word == "thousand":
            total = (total or 1) * 1000
        elif (word == "a" and words[used + 1 : used + 2] == ["hundred"]) or (
            word == "and" and seen and total >= 100 and used + 1 < len(words) and words[used + 1] in {**_ONES, **_TENS}
        ):
            used += 1
            continue
        elif word == "point" and used + 1 < len(words) and words[used + 1] in _ONES:
            digits = ""
            used += 1
            while used < len(words) and words[used] in _ONES and _ONES[words[used]] < 10:
                digits += str(_ONES[words[used]])
                used += 1
            return (total + float("0." + digits), used) if digits else None
        else:
            break
        seen = True
        used += 1
    return (total, used) if seen else None


def han_number(text: str) -> float | None:
    """Return the value of a Chinese numeral such as 二十六, 一百零五 or 三点五; None when it is none."""
    whole, dot, fraction = text.partition("点")
    if dot and not (whole and fraction and all(c in _HAN_DIGITS for c in fraction)):
        return None
    if not whole:
        return None
    if all(c in _HAN_DIGITS for c in whole):
        value = float("".join(str(_HAN_DIGITS[c]) for c in whole))
    else:
        value, digit = 0.0, 0.0
        for index, character in enumerate(whole):
            if character in _HAN_SCALES:
                value += (digit if digit or index else 1.0) * _HAN_SCALES[character]
                digit = 0.0
            elif character in _HAN_DIGITS:
                digit = float(_HAN_DIGITS[character])
            else:
                return None
        if digit and whole[-2:-1] in ("百", "千"):  # 五千六 is 5600
            digit *= _HAN_SCALES[whole[-2]] / 10
        value += digit
    return value + (float("0." + "".join(str(_HAN_DIGITS[c]) for c in fraction)) if dot else 0.0)


def _han_value(text: str) -> Value | None:
    if text in _HAN_PHRASES:
        return _HAN_PHRASES[text]
    if match := re.fullmatch(r"百分之(.+)", text):
        number = _plain(match[1])
        return None if number is None else Value(number, "percent")
    if match := re.fullmatch(r"(.+)分之(.+)", text):
        below, above = _plain(match[1]), _plain(match[2])
        return Value(round(100 * above / below), "percent") if below and above is not None else None
    if match := re.fullmatch(r"(.+?)成(半)?", text):
        number = _plain(match[1])
        return None if number is None else Value(10 * number + (5 if match[2] else 0), "percent")
    if match := re.fullmatch(r"(?:摄氏)?(.+?)(?:摄氏)?(?:度|°)c?(半)?", text):
        number = _plain(match[1])
        return None if number is None else Value(number + (0.5 if match[2] else 0.0), "degree")
    if match := re.fullmatch(r"(.+?)(?:格|下|级)", text):
        number = _plain(match[1])
        return None if number is None else Value(number, "notch")
    if match := re.fullmatch(r"(.+?)[档挡]", text):
        number = _plain(match[1])
        level = {"低": 33.0, "中": 66.0, "高": 100.0}.get(match[1])
        if level is not None:
            return Value(level, "percent")
        return None if number is None else Value(min(100.0, round(number * 100 / 3)), "percent")
    if match := re.fullmatch(r"(.+?)(?:%|趴|个百分点|个点)", text):
        number = _plain(match[1])
        return None if number is None else Value(number, "percent")
    if match := re.fullmatch(r"(.+?)(?:k|开尔文|开)", text):
        number = _plain(match[1])
        return None if number is None else Value(number, "kelvin")
    number = _plain(text)
    return None if number is None else Value(number, "none")


def _plain(text: str) -> float | None:
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return float(text)
    return han_number(text) if _HAN_RUN.fullmatch(text) else None


def as_far_as_it_goes(words: Sequence[str]) -> Value | None:
    """Return the end that some words say: "as bright as it goes", "as low as it will"."""
    found = _AS_FAR.search(" ".join(words))
    return None if found is None else Value(1 if found[1] in _LITTLE else 100, "percent")


def parse_value(words: Sequence[str]) -> Value | None:
    """Return the value that a span of tokens stands for, or None when it cannot be read."""
    words = list(words)
    while len(words) > 1 and words[0] in _LEADING_FILLERS:
        words.pop(0)
    text = "".join(_HAN_CONTRACTED.get(word, word) for word in words)
    if any("一" <= c <= "鿿" for c in text):
        if "百分之" in text and not _HAN_PERCENT.search(text):
            return None  # the number was not heard
        for end in range(len(text), 0, -1):  # the longest readable piece, so that a stray particle does not destroy the value
            for start in range(len(text) - end + 1):
                value = _han_value(text[start : start + end])
                if value is not None:
                    return value
        return None
    return _english_value(words)


def _english_value(words: list[str]) -> Value | None:
    joined = " ".join(words)
    if (reach := as_far_as_it_goes(words)) is not None:
        return reach
    if set(words) & _FULL or joined in ("all the way", "all the way up", "flat out", "right up"):
        return Value(100, "percent")
    if set(words) & _LEAST:
        return Value(1, "percent")
    number: tuple[float, int] | None = None
    rest: list[str] = []
    for index, word in enumerate(words):
        if re.fullmatch(r"\d+(?:\.\d+)?", word):
            number, rest = (float(word), 1), words[index + 1 :]
            break
        if (found := _english_number(words[index:])) is not None:
            number, rest = found, words[index + found[1] :]
            break
    fraction = {
        "half": 0.5,
        "halfway": 0.5,
        "quarter": 0.25,
        "third": 1 / 3,
        "quarters": 0.25,
        "thirds": 1 / 3,
        "fifth": 0.2,
        "fifths": 0.2,
    }
    parts = [fraction[word] for word in words if word in fraction]
    if "degree" in words and number is None and "half" in words:  # "a degree and a half", "half a degree"
        return Value(1.5 if words.index("degree") < words.index("half") else 0.5, "degree")
    if parts and "degrees" not in words and not (number and "half" in rest and ("and" in rest or "a" in rest)):
        times = number[0] if number and words[-1] in ("quarters", "thirds", "fifths") else 1.0
        return Value(round(100 * times * parts[0]), "percent")
    if number is None:
        levels = [_LEVELS[word] for word in words if word in _LEVELS]
        return Value(levels[0], "percent") if levels else None
    amount = number[0] + (0.5 if "half" in rest else 0.0)
    tail = set(rest)
    if tail & {"percent", "%", "percentage", "pct"} or "per" in tail:
        return Value(amount, "percent")
    if tail & {"degrees", "degree", "°", "celsius", "c"}:
        return Value(amount, "degree")
    if tail & {"kelvin", "k"}:
        return Value(amount, "kelvin")
    if tail & {"notch", "notches", "step", "steps", "click", "clicks", "tick", "ticks", "levels", "points", "bars"}:
        return Value(amount, "notch")
    return Value(amount, "none")
