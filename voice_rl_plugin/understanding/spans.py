"""Mends the spans that the network drew with what the lexicon and the home know for sure.

The network says where a name or a number is; where exactly it begins and ends, a number's grammar and the home's own names know better:
百分之二十 is one value even if it was cut in two, and "shanda leer" is the chandelier as a whole.
"""

from collections.abc import Sequence
from dataclasses import replace

from voice_rl_plugin.domain.frame import Frame, Span
from voice_rl_plugin.understanding.colours import COLORS, HVAC_MODES, WHITES
from voice_rl_plugin.understanding.features import Observation, is_known_place
from voice_rl_plugin.understanding.kinds import LONGEST_NOUN, noun_kinds
from voice_rl_plugin.understanding.names import CLEAR_SOUND, COMMANDING, Match
from voice_rl_plugin.understanding.strange import is_plain, rarity
from voice_rl_plugin.understanding.text import is_han, words_of

SURE_SOUND = 0.84
"""A name heard alike this well may draw its own span."""
_UNSEEN_CONFIDENCE = 0.5
"""How sure a name is that the network did not see, where the home knows its words as a whole."""
_NUMERIC = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    "twenty thirty forty fifty sixty seventy eighty ninety hundred thousand half quarter quarters third thirds "
    "零 一 二 两 三 四 五 六 七 八 九 十 百 千 半 分 之 点 成".split()
)
_INNER = frozenset("and a point per".split())
_UNITS = frozenset(
    "percent % degrees degree ° kelvin k cent celsius notch notches steps step clicks points 度 格 档 级 成 趴 摄 氏 挡".split()
)
_WITHOUT_AMOUNT = frozenset("turn_on turn_off toggle open close lock unlock play pause stop start dock mute unmute query".split())
_NAMING = ("NAME", "AREA", "FLOOR", "CLASS")
_EXCEPTING = {"EXCEPT_NAME": "NAME", "EXCEPT_AREA": "AREA", "EXCEPT_CLASS": "CLASS"}


def mend(observation: Observation, frame: Frame) -> Frame:
    """Return the frame with its numbers made whole and its names fitted to the home's."""
    frame = replace(frame, spans=tuple(_without_loose_ends(observation, frame)))
    spans = _with_whole_numbers(observation.words, frame)
    spans = _with_joined_names(observation, spans)
    spans = _with_whole_names(observation, spans, frame)
    spans = _with_unseen_names(observation, spans, frame)
    spans = _with_whole_nouns(observation.words, spans)
    spans = _with_their_rooms(observation, spans, frame)
    spans = _with_their_beginnings(observation, spans, frame)
    spans = _with_their_owners(observation, spans, frame)
    spans = _with_their_measures(observation.words, spans, frame)
    spans = _with_their_digits(observation.words, spans, frame)
    spans = _with_whole_phrases(observation.words, spans, frame)
    spans = _with_exceptions(observation.words, spans, frame)
    spans = _with_a_noun(observation, spans, frame)
    spans = _with_whole_content(spans, frame)
    return replace(frame, spans=tuple(sorted(spans, key=lambda s: s.start)))


_LOOSE_BEFORE = frozenset(
    "damn bloody stupid flipping flaming freaking blasted wretched silly darn dratted 的 边 那 这 个 盏 台 破 死 臭 烂 鬼".split()
)
_LOOSE_BEHIND = frozenset("扫 一 开 关 去 给 到 调 来 先 快 也 都 全 就 再 拖 除".split())


def _without_loose_ends(observation: Observation, frame: Frame) -> list[Span]:
    """Cut from a name what belongs to the sentence: 的扫地机 and 黑豆扫 are known without it, and "the bloody fan" is a fan."""
    words = observation.words
    nouns = noun_kinds()
    whole = {(m.start, m.end) for m in observation.matches if m.thing == "entity" and m.form in ("full", "stripped")}

    def trimmed(span: Span) -> Span:
        if span.tag != "NAME" or (span.start, span.end) in whole:
            return span
        if words[span.start] in ("的", "边") and span.end > span.start + 1:
            span = replace(span, start=span.start + 1)
        first = span.start
        while first < span.end - 1 and words[first] in _LOOSE_BEFORE:
            first += 1
        for start in range(span.start, first + 1):
            last = span.end
            while last > start:
                if (start, last) != (span.start, span.end) and ((start, last) in whole or words[start:last] in nouns):
                    return replace(span, start=start, end=last)
                if words[last - 1] not in _LOOSE_BEHIND:
                    break
                last -= 1
        return span

    return [trimmed(span) for span in frame.spans]


def _is_numeric(word: str) -> bool:
    return word[:1].isdigit() or word in _NUMERIC


def number_runs(words: Sequence[str], start: int, end: int) -> list[tuple[int, int]]:
    """Return the ranges of neighbouring words that make one number with its unit."""
    runs = []
    index = start
    while index < end:
        if not _is_numeric(words[index]) or words[index] in ("分", "之", "点", "成"):
            index += 1
            continue
        stop = index
        while stop < end:
            word = words[stop]
            inner = (
                word in _INNER and stop > index and stop + 1 < end and (_is_numeric(words[stop + 1]) or words[stop + 1] in ("cent", "half"))
            )
            if not (_is_numeric(word) or word in _UNITS or inner):
                break
            stop += 1
        while stop > index + 1 and words[stop - 1] in ("点", "分", "之"):  # 一点 is an amount of its own
            stop -= 1
        if any(w[:1].isdigit() or w not in ("分", "之", "点", "成") for w in words[index:stop]):
            runs.append((index, stop))
        index = max(stop, index + 1)
    return runs


def _with_whole_numbers(words: Sequence[str], frame: Frame) -> list[Span]:
    spans = list(frame.spans)
    for start, end in number_runs(words, frame.start, frame.end):
        inside = [s for s in spans if s.tag in ("VALUE", "DELTA") and s.start < end and s.end > start]
        if not inside and _is_unseen_amount(words, start, end, spans, frame):
            spans.append(Span(tag="VALUE", start=start, end=end, confidence=_UNSEEN_CONFIDENCE))
            continue
        if not inside or (len(inside) == 1 and inside[0].start <= start and inside[0].end >= end):
            continue
        blocked = [s for s in spans if s.tag in ("NAME", "TIME", "CONTENT") and s.start < end and s.end > start]
        if blocked:
            continue
        weight: dict[str, int] = {}
        for span in inside:
            weight[span.tag] = weight.get(span.tag, 0) + span.end - span.start
        tag = max(weight, key=lambda name: weight[name])
        first, last = min(start, *(s.start for s in inside)), max(end, *(s.end for s in inside))
        spans = [s for s in spans if s not in inside]
        spans.append(Span(tag=tag, start=first, end=last, confidence=max(s.confidence for s in inside)))
    return spans


def _is_unseen_amount(words: Sequence[str], start: int, end: int, spans: Sequence[Span], frame: Frame) -> bool:
    """Whether an English number that the network did not see says how far: "up by two"."""
    is_free = not any(s.tag in ("VALUE", "DELTA") or (s.start < end and s.end > start) for s in spans)
    return is_free and frame.operation in ("raise", "lower", "set") and start > frame.start and words[start - 1] in ("by", "to")


def _with_whole_names(observation: Observation, spans: list[Span], frame: Frame) -> list[Span]:
    for match in sorted(_strong(observation.matches, frame), key=_rank):
        touching = [s for s in spans if s.start < match.end and s.end > match.start and (s.tag in _NAMING or s.tag in _EXCEPTING)]
        if not touching:
            continue
        first, last = min(s.start for s in touching), max(s.end for s in touching)
        if match.start > first or match.end < last:
            continue  # it explains only a part
        if len(touching) == 1 and (match.start, match.end) == (touching[0].start, touching[0].end):
            continue
        if match.form == "sound" and not _may_sound(match, touching, observation):
            continue
        excepting = all(s.tag in _EXCEPTING for s in touching)  # where only a part is, `_with_exceptions` knows better
        tag = {"entity": "NAME", "area": "AREA", "floor": "FLOOR"}[match.thing]
        if excepting:
            tag = "EXCEPT_AREA" if tag in ("AREA", "FLOOR") else "EXCEPT_NAME"
        spans = [s for s in spans if s not in touching]
        spans.append(Span(tag=tag, start=match.start, end=match.end, confidence=min(s.confidence for s in touching)))
    return spans


def _with_unseen_names(observation: Observation, spans: list[Span], frame: Frame) -> list[Span]:
    """Draw the name that the network missed: where a whole name was said and no other, nothing else may be acted on."""
    if frame.operation in ("none", "handover") or any(s.tag in ("NAME", "CLASS") for s in spans):
        return spans
    nouns = noun_kinds()
    whole = [
        m
        for m in observation.matches
        if m.thing == "entity"
        and m.form == "full"
        and m.start >= frame.start
        and m.end <= frame.end
        and tuple(observation.words[m.start : m.end]) not in nouns
        and not (m.end - m.start == 1 and (is_han(observation.words[m.start]) or observation.words[m.start] in COMMANDING))
        and not any(s.start < m.end and s.end > m.start and s.tag != "CONTENT" for s in spans)
    ]
    if not whole:
        return spans
    longest = max(whole, key=lambda m: m.end - m.start)
    spans = [s for s in spans if s.tag != "CONTENT" or s.end <= longest.start or s.start >= longest.end]  # no title is switched or paused
    return [*spans, Span(tag="NAME", start=longest.start, end=longest.end, confidence=_UNSEEN_CONFIDENCE)]


def _may_sound(match: Match, touching: Sequence[Span], observation: Observation) -> bool:
    """Whether a name that only sounds alike may take the place of what the network saw.

    Never of a name or a noun that is right as it stands, and never by swallowing words that carry the command: 灯关 is not the 灯管.
    What is clearly heard as a whole is more than a name inside it (导台灯), and holds what lies between its parts ("tiff in lamp").
    """
    first, last = min(s.start for s in touching), max(s.end for s in touching)
    if match.score >= CLEAR_SOUND:
        added = [*observation.words[match.start : first], *observation.words[last : match.end]]
        is_longer = (match.start, match.end) != (first, last) or len(touching) > 1
        if not any(word in COMMANDING for word in added) and (is_longer or not _is_known(touching[0], observation.matches, partly=False)):
            return True
    if any(_is_known(s, observation.matches, partly=match.score < CLEAR_SOUND) for s in touching):
        return False
    nouns = noun_kinds()
    if match.score < CLEAR_SOUND and all(tuple(observation.words[s.start : s.end]) in nouns for s in touching):
        return False
    seen = {i for s in touching for i in range(s.start, s.end)}
    swallowed = [observation.words[i] for i in range(match.start, match.end) if i not in seen]
    return not any(is_han(word) or word in COMMANDING for word in swallowed)


def _strong(matches: Sequence[Match], frame: Frame) -> list[Match]:
    return [
        m
        for m in matches
        if m.start >= frame.start
        and m.end <= frame.end
        and m.end - m.start > 1
        and (m.form in ("full", "stripped") or (m.form == "sound" and m.score >= SURE_SOUND))
    ]


def _rank(match: Match) -> tuple[int, int]:
    return {"full": 0, "stripped": 1, "sound": 2}[match.form], match.start - match.end


def _is_known(span: Span, matches: Sequence[Match], *, partly: bool = True) -> bool:
    """Whether a span is a name or a room of this home as it stands; a part of a name counts only where `partly` says so."""
    thing = {"AREA": ("area", "floor"), "FLOOR": ("floor", "area")}.get(_EXCEPTING.get(span.tag, span.tag), ("entity",))
    forms = ("full", "stripped", "partial") if partly else ("full", "stripped")
    return any(m.thing in thing and m.form in forms and m.start <= span.start and m.end >= span.end for m in matches)


def _with_whole_nouns(words: Sequence[str], spans: list[Span]) -> list[Span]:
    """Join a noun that was cut in two: 灯|带 is one noun."""
    nouns = noun_kinds()
    for first in sorted(spans, key=lambda s: s.start):
        if first.tag not in ("CLASS", "NAME") or first not in spans:
            continue
        for length in range(LONGEST_NOUN, 1, -1):
            for start in range(max(0, first.end - length), first.start + 1):
                end = start + length
                if end > len(words) or tuple(words[start:end]) not in nouns or (start, end) == (first.start, first.end):
                    continue
                touching = [s for s in spans if s.start < end and s.end > start]
                if any(s.tag not in ("CLASS", "NAME") or s.start < start or s.end > end for s in touching):
                    continue
                if not is_han(words[start]) and len(touching) < 2:
                    continue
                spans = [s for s in spans if s not in touching]
                spans.append(Span(tag="CLASS", start=start, end=end, confidence=min(s.confidence for s in touching)))
                break
            else:
                continue
            break
    return spans


_GLUE = frozenset("的 和 跟 与 把 给 将 那 这 盏 个 台 里 全 都 所 有 也 还 是 在 着 了 只 请 两 几 上 下 中 内 外".split())


def _with_joined_names(observation: Observation, spans: list[Span]) -> list[Span]:
    """Join a Chinese name that was cut: 烘|碗机 and 书|房冷气 are one name each, unless a part is a name or a room by itself."""
    words = observation.words
    joined: list[Span] = []
    for span in sorted(spans, key=lambda s: s.start):
        before = joined[-1] if joined else None
        gap = words[before.end : span.start] if before is not None else ()
        if (
            before is not None
            and before.tag in ("NAME", "AREA", "FLOOR")
            and span.tag in ("NAME", "CLASS")
            and len(gap) <= 1
            and all(
                is_han(word) and word not in _GLUE and word not in _LOOSE_BEFORE
                for word in (words[before.end - 1], *gap, words[span.start])
            )
            and not _is_known(before, observation.matches)
            and not _is_known(replace(before, tag="AREA"), observation.matches)
            and words[before.start : before.end] not in noun_kinds()
        ):
            joined[-1] = Span(tag="NAME", start=before.start, end=span.end, confidence=min(before.confidence, span.confidence))
        else:
            joined.append(span)
    return joined


_PEOPLE = frozenset(
    "grandad granddad grandpa grandma granny gran nan nana mum mom mam mummy mommy dad daddy papa mama kid baby toddler boy girl brother "
    "sister uncle auntie aunt guest lodger neighbour neighbor teenager twin wife husband boss nanny".split()
)


def _with_their_owners(observation: Observation, spans: list[Span], frame: Frame) -> list[Span]:
    """Widen an English noun by whose it is: "grandad's lamp" is not any lamp."""
    words = observation.words
    known = {i for span in spans for i in range(span.start, span.end)} | {i for m in observation.matches for i in range(m.start, m.end)}

    def is_owned(span: Span) -> bool:
        owner = span.start - 1
        if span.tag != "CLASS" or owner < frame.start or owner in known:
            return False
        word = words[owner]
        return word.isascii() and word.isalpha() and word.endswith("s") and (word[:-1] in _PEOPLE or (len(word) > 3 and not is_plain(word)))

    return [replace(s, tag="NAME", start=s.start - 1) if is_owned(s) else s for s in spans]


def _with_their_rooms(observation: Observation, spans: list[Span], frame: Frame) -> list[Span]:
    """Give back to a room the character that a Chinese noun took from it: 阳|台灯 is the 灯 of the 阳台."""
    words = observation.words
    whole = {(m.start, m.end) for m in observation.matches if m.thing == "entity" and m.form in ("full", "stripped")}
    taken = {i for span in spans for i in range(span.start, span.end)}
    mended: list[Span] = []
    for span in spans:
        before, rest = span.start - 1, words[span.start + 1 : span.end]
        is_cut = (
            span.tag == "CLASS"
            and before >= frame.start
            and before not in taken
            and (before, span.end) not in whole
            and is_known_place(words[before : span.start + 1])
            and rest in noun_kinds()
        )
        if is_cut:
            mended.append(Span(tag="AREA", start=before, end=span.start + 1, confidence=span.confidence))
        mended.append(replace(span, start=span.start + 1) if is_cut else span)
    return mended


_QUALIFYING = frozenset("小大老新左右东西南北前后内外")


def _with_their_beginnings(observation: Observation, spans: list[Span], frame: Frame) -> list[Span]:
    """Widen a Chinese name that is not whole by the character before it that nothing explains: 小|宝空调 is not the 大宝空调."""
    words = observation.words
    whole = {(m.start, m.end) for m in observation.matches if m.form in ("full", "stripped")}
    known = {i for m in observation.matches if m.form != "sound" for i in range(m.start, m.end)}
    taken = {i for span in spans for i in range(span.start, span.end)}

    def is_cut(span: Span) -> bool:
        before = span.start - 1
        if span.tag != "NAME" or before < frame.start or (span.start, span.end) in whole or words[span.start : span.end] in noun_kinds():
            return False
        word = words[before]
        is_free = before not in known and before not in taken and word not in COMMANDING
        return is_free and is_han(word) and is_han(words[span.start]) and (word in _QUALIFYING or rarity(word) > 0)

    return [replace(s, start=s.start - 1) if is_cut(s) else s for s in spans]


_MEASURES = frozenset("盏个台扇把只颗根道片条串幅面层支")


def _with_their_measures(words: Sequence[str], spans: list[Span], frame: Frame) -> list[Span]:
    """Widen a Chinese stand-in by its measure word: 西边那|幅 stands for a curtain."""

    def is_cut(span: Span) -> bool:
        is_free = span.end < frame.end and words[span.end] in _MEASURES and not any(s.start == span.end for s in spans)
        return span.tag == "NAME" and words[span.end - 1] in ("那", "这") and is_free

    return [replace(s, end=s.end + 1) if is_cut(s) else s for s in spans]


def _with_their_digits(words: Sequence[str], spans: list[Span], frame: Frame) -> list[Span]:
    """Widen a name by the number or letter right behind it that nothing else explains: lantern 4 is not any lantern, 排插C not any 排插.

    What was taken for an amount is none where nothing is set: "spot 5 off".
    """
    if frame.operation in _WITHOUT_AMOUNT:
        named = {s.end for s in spans if s.tag in ("NAME", "CLASS")}
        spans = [
            s for s in spans if not (s.tag in ("VALUE", "DELTA") and s.end == s.start + 1 and s.start in named and words[s.start].isdigit())
        ]
    taken = {i for span in spans for i in range(span.start, span.end)}

    def numbers(span: Span) -> bool:
        if span.tag not in ("NAME", "CLASS") or not span.end < frame.end or span.end in taken:
            return False
        word = words[span.end]
        return word.isdigit() or (len(word) == 1 and word.isascii() and word.isalpha() and is_han(words[span.end - 1]))

    return [replace(s, tag="NAME", end=s.end + 1) if numbers(s) else s for s in spans]


_PHRASES = {
    "WHITE": frozenset(words_of(name) for names in WHITES.values() for name in names),
    "COLOR": frozenset(words_of(name) for names in COLORS.values() for name in names),
    "MODE": frozenset(words_of(name) for names in HVAC_MODES.values() for name in names),
}
_LONGEST_PHRASE = 4


def _with_whole_phrases(words: Sequence[str], spans: list[Span], frame: Frame) -> list[Span]:
    """Widen a colour, a white or a mode to the longest one that covers it: "warm|white" is one shade."""
    for span in [s for s in spans if s.tag in _PHRASES]:
        tags = ("WHITE", "COLOR") if span.tag in ("WHITE", "COLOR") else (span.tag,)
        found = next(
            (
                (tag, start, start + length)
                for length in range(_LONGEST_PHRASE, span.end - span.start, -1)
                for start in range(max(frame.start, span.end - length), min(span.start, frame.end - length) + 1)
                for tag in tags
                if tuple(words[start : start + length]) in _PHRASES[tag]
            ),
            None,
        )
        if found is not None and span in spans:
            tag, start, end = found
            others = [s for s in spans if s is not span and s.start < end and s.end > start]
            if all(s.tag in _PHRASES for s in others):
                spans = [s for s in spans if s is not span and s not in others]
                spans.append(Span(tag=tag, start=start, end=end, confidence=span.confidence))
    return spans


_EXCEPT_ENGLISH = (
    ("except", "for"),
    ("except",),
    ("apart", "from"),
    ("other", "than"),
    ("excluding",),
    ("save", "for"),
    ("all", "but"),
    ("everything", "but"),
    ("everyone", "but"),
    ("everywhere", "but"),
    ("bar", "the"),
    ("but", "not"),
    ("but", "keep"),
    ("but", "leave"),
)
_EXCEPT_HAN = (("除", "了"), ("除", "开"), ("除", "去"))
_EXCEPT_ENDS = (("以", "外"), ("之", "外"), (",",), ("其", "他"), ("其", "它"), ("其", "余"), ("别", "的"), ("都",), ("全",))
_TO_EXCEPT = {plain: excepting for excepting, plain in _EXCEPTING.items()} | {"FLOOR": "EXCEPT_AREA"}


def _find(words: Sequence[str], phrases: Sequence[tuple[str, ...]], start: int, end: int) -> tuple[int, int] | None:
    for index in range(start, end):
        for phrase in phrases:
            if tuple(words[index : index + len(phrase)]) == phrase:
                return index, index + len(phrase)
    return None


def _with_exceptions(words: Sequence[str], spans: list[Span], frame: Frame) -> list[Span]:
    """Mark what stands behind "except", or between 除了 and 以外, as an exception, and nothing else."""
    marker = _find(words, _EXCEPT_ENGLISH, frame.start, frame.end)
    if marker is not None:
        first, last = marker[1], frame.end
        others = any(s.tag in _NAMING for s in spans if s.end <= marker[0])
        if not others:
            return spans
    else:
        marker = _find(words, _EXCEPT_HAN, frame.start, frame.end)
        if marker is None:
            return spans
        closing = _find(words, _EXCEPT_ENDS, marker[1], frame.end)
        first, last = marker[1], closing[0] if closing else frame.end
    marked = []
    for span in spans:
        inside = span.start >= first and span.end <= last
        if inside and span.tag in _TO_EXCEPT:
            marked.append(replace(span, tag=_TO_EXCEPT[span.tag]))
        elif not inside and span.tag in _EXCEPTING and (span.start >= last or span.end < first):
            marked.append(replace(span, tag=_EXCEPTING[span.tag]))
        else:
            marked.append(span)
    while last > first and words[last - 1] == ",":
        last -= 1
    if last > first and not any(s.start < last and s.end > first for s in marked):  # the network missed it, and nothing may be done to it
        marked.append(Span(tag="EXCEPT_NAME", start=first, end=last, confidence=_UNSEEN_CONFIDENCE))
    return marked


_NOUN_KINDS = frozenset("light lamp curtain blind fan tv lock".split())


def _with_a_noun(observation: Observation, spans: list[Span], frame: Frame) -> list[Span]:
    """Draw the one span that the network may have missed: the noun of a sentence that names a room and no device.

    "light off in the bathroom" is about one light, not about all of the room. A single stray Chinese character that names nothing is dropped first.
    """
    words = observation.words
    spans = [
        s
        for s in spans
        if not (
            s.tag == "NAME"
            and s.end - s.start == 1
            and is_han(words[s.start])
            and (words[s.start],) not in noun_kinds()
            and not _touches(s, observation.matches)
        )
    ]
    if any(s.tag in ("NAME", "CLASS") for s in spans) or not any(s.tag in ("AREA", "FLOOR") for s in spans):
        return spans
    nouns = noun_kinds()
    for length in range(LONGEST_NOUN, 0, -1):
        for start in range(frame.start, frame.end - length + 1):
            kind = nouns.get(tuple(words[start : start + length]))
            is_free = not any(s.start < start + length and s.end > start for s in spans)
            if kind is not None and kind[0].name in _NOUN_KINDS and is_free and words[start + length : start + length + 1] != ("up",):
                return [*spans, Span(tag="CLASS", start=start, end=start + length, confidence=0.5)]
    return spans


_WORDED = frozenset({"message", "translate", "broadcast", "search"})
"""Properties whose content is what somebody says: it has no holes."""


def _with_whole_content(spans: list[Span], frame: Frame) -> list[Span]:
    """Join the pieces of a message or a title; what seemed to be a name or a time inside is a part of it."""
    pieces = [s for s in spans if s.tag == "CONTENT"]
    if len(pieces) < 2 or frame.operation != "handover" or frame.property not in _WORDED:
        return spans
    start, end = min(s.start for s in pieces), max(s.end for s in pieces)
    if any(s.tag in ("CONTACT", "LANGUAGE") and s.start < end and s.end > start for s in spans):
        return spans
    outside = [s for s in spans if s.end <= start or s.start >= end]
    return [*outside, Span(tag="CONTENT", start=start, end=end, confidence=min(s.confidence for s in pieces))]


def _touches(span: Span, matches: Sequence[Match]) -> bool:
    return any(m.start < span.end and m.end > span.start for m in matches)
