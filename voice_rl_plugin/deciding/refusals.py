"""What refuses for sure, whatever the network makes of the rest: words that forbid or remember, sentences without a verb, guessed names.

Words stand here only where they leave no doubt: 不可以关 forbids, 可不可以关 asks for it; "last summer we kept the blinds open" is a memory.
"""

import re
from collections.abc import Sequence

from voice_rl_plugin.domain.frame import Frame
from voice_rl_plugin.understanding.candidates import Option
from voice_rl_plugin.understanding.features import Observation
from voice_rl_plugin.understanding.resolve import Situation, rooms_of_sort
from voice_rl_plugin.understanding.strange import is_plain

_LIKELIER = 0.5
KNOWN_PLACE_CERTAINTY = 0.8
"""A span that is a room with more than this certainty must be one of the home's."""
_TAG_QUESTION = re.compile(r"\b(?:isnt it|arent they|doesnt it|dont they|hasnt it|didnt (?:i|we|you|he|she)) ?\??$")
_NO_VERB = frozenset("? the a an my our that this and or , 和 跟 与 的 那 这 个 盏 还 有 呢".split())
_VOWELS = frozenset("aeiou")
_SPELT = frozenset("tv tvs ac pc dvd hdtv led hq ps nas".split())
_FORBIDS_HAN = re.compile("(?<!可)不可以|可不能|(?<!能)不能[开关动碰]|不准|不许|不許|请勿|請勿|禁止|谁敢|哪个敢|看谁敢")
_FORBIDS = re.compile(r"\b(?:please|kindly|to|do) not (?!only|just)|\bmust(?:nt| not)\b|\bnobody (?:is to|touches?|turns?|switches)\b")
_LEAVES_OUT_HAN = re.compile("(就不用了|就不用管了?|就算了|就免了|就不必了|就别动了?)[吧啊哈呢]?$")
"""At the end of a later clause: what it names is not to be touched."""
_FORBIDS_SCENE = re.compile(r"^(?:no more|no need for|enough of|not) ")
_PAST = re.compile(
    r"^(?:and |well |oh |you know )*(?:last (?:summer|winter|spring|autumn|week|night|year|month|weekend)|yesterday|years ago|back when)\b"
)
_PAST_HAN = re.compile(
    "^(?:我记得|记得|哎|唉|嗯)*(?:上回|上次|那年|去年|前年|当年|小时候|说明书上|說明書上|昨天|昨晚|前天|那天)(?!一样|那样|那個|那个)"
)
_PAST_DAY = re.compile(r"\b(?:yesterday|last (?:night|week|weekend|month)|the other (?:day|night))\b(?! (?:s |light|lamp|level|setting))")
_PAST_DAY_HAN = re.compile("昨天|昨晚|昨夜|昨儿|前天|前晚|前儿|上周|上礼拜|上个?星期|上个月")
"""A home knows what is, and does what is said; of what was it has no record."""
_SOMEBODY = (
    r"(?:he|she|they|someone|somebody|everybody|everyone|(?:our|my|your|his|her|their) \w+|the (?:kids?|boys?|girls?|baby|dog|cat|cleaner|neighbou?rs?)"
    r"|mum|mom|mummy|dad|daddy|gran|grandma|grandpa|grandad|nan|nana)"
)
_OF_SOMEBODY = re.compile(
    rf"^(?:and |but |well |oh |so |yeah |because )*{_SOMEBODY} (?:just |already |always |usually |often |never |only |even |once )*"
    r"(?:turned|switched|left|put|dimmed|closed|opened|locked|unlocked|shut|drops|turns|switches|puts|leaves|shuts|closes|opens|locks|keeps|"
    r"likes|says|said|told|asked|forgot|prefers|hates|loves)\b"
)
_OF_A_NAME = re.compile(
    r"^(?:and |but |well |oh |so |yeah |because )*([a-z]+) (?:asked|says|said|told|used to|wants to know|always|usually|never|often|keeps|once) "
)
_OF_SOMEBODY_HAN = re.compile("^(?![我你您咱帮请把让叫给])[^,]{1,3}?(?:又|老|总|每次|天天)?(?:忘了?|忘记)[关开锁拉]")
"""Somebody else did it, does it, or said so: nothing is asked for. What is to follow stands in a clause of its own."""
_SUPPOSES = re.compile(
    r"^(?:and |but |well |oh |so |see |hey |hmm |ok |okay )*(?:suppose|supposing|imagine|what if|is it (?:better|safe|bad|worth|wise|normal|ok|okay) to|"
    r"should (?:i|we)|ought (?:i|we) to|do you think (?:i|we) should|would (?:red|blue|green|pink|purple|orange|yellow|white) suit)\b"
    r"|^(?:ill|i will|let me|i can|ive) .* myself\b"
)
"""Thinking aloud: whoever wants it done says so."""
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
    if frame.operation not in ("handover", "same") and _FORBIDS.search(spaced):
        return "prohibition"
    if frame.operation not in ("handover", "same", "query") and _SUPPOSES.search(spaced):
        return "report"
    if frame.property == "scene" and _FORBIDS_SCENE.match(spaced):
        return "prohibition"
    if frame.operation not in ("handover", "same"):
        named = _OF_A_NAME.match(spaced)
        if _OF_SOMEBODY.search(spaced) or _OF_SOMEBODY_HAN.search(joined) or (named is not None and not is_plain(named[1])):
            return "report"
    if frame.operation not in ("handover", "same") and (_PAST_DAY.search(spaced) or _PAST_DAY_HAN.search(joined)):
        return "report"
    if frame.operation not in ("query", "same") and (_PAST.match(spaced) or _PAST_HAN.match(joined)):
        return "report"
    return None


_NOISE_HAN = re.compile("嘶嘶|滋滋|呲呲|沙沙|咝咝|刺啦|滋啦|呲啦|嗞嗞")
_NOISES = frozenset("hmph mmm mm hmm shh bzzt brrr grr tsk psst pfft".split())


def is_drowned(observation: Observation, frame: Frame) -> bool:
    """Whether a part of a command was lost in noise, so that it must be said again: "turn off the mmm lamp", 调到百分之嘶嘶嘶."""
    words = observation.words[frame.start : frame.end]
    is_noisy = _NOISE_HAN.search("".join(words)) is not None or any(
        word in _NOISES and frame.start + place + 1 < frame.end for place, word in enumerate(words)
    )
    return is_noisy and bool(frame.spans_of("NAME", "CLASS", "VALUE")) and frame.operation != "none" and frame.operations[0][1] > _LIKELIER


def means_one_of_several(words: Sequence[str], frame: Frame) -> bool:
    """Whether a clause speaks of one of several without saying which: "one of the pendants is buzzing, turn it off"."""
    return _ONE_OF.search(" ".join(words[frame.start : frame.end])) is not None


def is_tag_question(words: Sequence[str], frame: Frame) -> bool:
    """Whether a clause only wants to hear that something is so: "you turned it off, didn't you"."""
    return _TAG_QUESTION.search(" ".join(words[frame.start : frame.end])) is not None


def has_several(option: Option) -> bool:
    """Whether a candidate is about several devices, or about a group of them."""
    return option.target is not None and (len(option.target.entities) > 1 or any(e.members for e in option.target.entities))


def has_no_verb(observation: Observation, frame: Frame) -> bool:
    """Whether a clause is nothing but names: it says of what, and not what to do."""
    if (
        frame.operation == "same"
        or not frame.spans_of("NAME", "CLASS", "AREA")
        or frame.spans_of("VALUE", "DELTA", "COLOR", "WHITE", "MODE")
    ):
        return False
    named = {i for span in frame.spans for i in range(span.start, span.end)}
    return all(i in named or observation.words[i] in _NO_VERB for i in range(frame.start, frame.end))


def is_guess(option: Option, observation: Observation, frame: Frame) -> bool:
    """Whether the best candidate is only the kind, or shares only a part of the name, of a device that this home does not have.

    "grandad's lamp" is not the desk lamp; but a name with a word that is none ("the mrrph lamp") was misheard, and may be asked about.
    """
    target = option.target
    if target is None or not target.unmatched:
        return False
    if target.form in ("kind", "area"):
        return not _is_garbled(observation, frame) or target.has_area_conflict
    return target.form == "partial" and not _is_garbled(observation, frame)


def _is_garbled(observation: Observation, frame: Frame) -> bool:
    """Whether a name holds a word without a vowel between its consonants, as a recogniser writes what it could not hear."""
    return any(
        word.isascii() and word.isalpha() and len(word) > 1 and _VOWELS.isdisjoint(word) and not is_plain(word) and word not in _SPELT
        for span in frame.spans_of("NAME", "CLASS")
        for word in observation.words[span.start : span.end]
    )


def names_unknown_place(observation: Observation, frame: Frame, situation: Situation) -> bool:
    """Whether a clause surely names a room that this home does not have, not even by sound."""
    return any(
        span.confidence > KNOWN_PLACE_CERTAINTY
        and not any(m.start < span.end and m.end > span.start for m in observation.matches)
        and not rooms_of_sort(observation.words[span.start : span.end], situation)
        for span in frame.spans_of("AREA", "FLOOR")
    )
