"""Text to tokens: one normal form for English, Chinese, and mixtures of both.

A token is an English word, a number, or one Chinese character; everything downstream counts in tokens.
"""

import re
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

_TABLE = Path(__file__).with_name("han.txt")
"""Traditional to simplified, and toneless pinyin; made by scripts/make_han_table."""

_TOKEN = re.compile(r"\d+(?:[.:]\d+)?|[a-z]+|[一-鿿]|[%°,?]")
_APOSTROPHE = re.compile(r"(?<=\w)['’ʼ`´](?=\w)")
_PUNCTUATION = str.maketrans(
    {"，": ",", "、": ",", "；": ",", ";": ",", "？": "?", "％": "%", "℃": "°", "º": "°", "!": ",", "！": ",", "。": ","}
)
_SENTENCE_STOP = re.compile(r"(?<!\d)\.|\.(?!\d)")


class Token(NamedTuple):
    """One unit of the text; a tuple, since a dozen are made for each utterance."""

    text: str
    """Normal form: lower case, simplified, without apostrophes."""
    start: int
    """Offset of its first character in the normalised text."""
    end: int


@cache
def _han_table() -> tuple[dict[int, str], dict[str, str]]:
    simplified_part, _, pinyin_part = _TABLE.read_text(encoding="utf-8").partition("\n\n")
    simplify = {ord(t): line[0] for line in simplified_part.splitlines() for t in line[2:]}
    pinyin = {character: line.split()[0] for line in pinyin_part.splitlines() for character in line.split()[1]}
    return simplify, pinyin


def pinyin_of(character: str) -> str:
    """Return the toneless pinyin of a simplified character, or the character itself when it has none."""
    return _han_table()[1].get(character, character)


def is_han(text: str) -> bool:
    """Whether a token is a Chinese character."""
    return "一" <= text[:1] <= "鿿"


def normalise(text: str) -> str:
    """Return the normal form: NFKC, lower case, simplified characters, no apostrophes, ASCII punctuation. Idempotent."""
    if text.isascii():
        plain = text.lower().translate(_PUNCTUATION)
    else:
        plain = unicodedata.normalize("NFKC", text).lower().translate(_PUNCTUATION).translate(_han_table()[0])
        plain = unicodedata.normalize("NFD", plain)
        if any(map(unicodedata.combining, plain)):
            plain = "".join(c for c in plain if not unicodedata.combining(c))
    return _SENTENCE_STOP.sub(",", _APOSTROPHE.sub("", plain))


@lru_cache(maxsize=16)  # one decision asks several times for the same text
def tokenise(text: str) -> tuple[Token, ...]:
    """Return the tokens of a text, in its normal form; a comma that leads, ends or repeats is dropped."""
    tokens: list[Token] = []
    before = ","
    for match in _TOKEN.finditer(normalise(text)):
        word = match.group()
        if word == "," and before == ",":
            continue
        before = word
        tokens.append(Token(word, *match.span()))
    while tokens and tokens[-1].text == ",":
        tokens.pop()
    return tuple(tokens)


@lru_cache(maxsize=65536)
def words_of(text: str) -> tuple[str, ...]:
    """Return the tokens of a name as plain texts, without punctuation."""
    return tuple(token.text for token in tokenise(text) if token.text not in (",", "?"))


def join(words: tuple[str, ...] | list[str]) -> str:
    """Return words as a readable text: Latin words apart, Chinese characters together."""
    text = ""
    for word in words:
        if text and not (is_han(text[-1]) or is_han(word[0])):
            text += " "
        text += word
    return text


def detect_language(tokens: tuple[Token, ...], hint: str | None, default: str) -> str:
    """Return `zh` or `en`: by script where it is clear, by the hint, then by the default.

    A mixture counts as Chinese: a sentence with Chinese grammar often holds English names, rarely the reverse.
    """
    han = latin = 0
    for token in tokens:
        word = token.text
        if word.isascii():
            latin += word.isalpha()
        else:
            han += is_han(word)
    if han and han * 2 >= latin:
        return "zh"
    if latin:
        return "en"
    return "zh" if (hint or default).lower().startswith(("zh", "yue", "cmn")) else "en"
