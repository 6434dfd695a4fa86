"""A family's own phrase, explained once, is found again in other words around it; what asks for something else is not."""

from functools import cache

import pytest

from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory, MemoryEntry, memory_words, refusal_of
from voice_rl_plugin.deciding.phrases import units_of
from voice_rl_plugin.demo.session import shipped_home
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy

TOLD_AT = 1_795_521_600.0
OFF = "light.turn_off light.sofa_lamp"


@cache
def policy() -> OnnxPolicy:
    """Return the shipped model."""
    return OnnxPolicy.load(BASE_FOLDER)


@cache
def home(language: str) -> Home:
    """Return the demo home."""
    return load_home(shipped_home(language))


def explained(text: str, right: str = OFF, *, area: str | None = "living_room") -> MemoryEntry:
    """Return what the correction of a text teaches; to nothing, if it is to be refused."""
    actions = (parse_action(right),) if right else ()
    return MemoryEntry(words=memory_words(text), area=area, actions=actions, decision_id="d0", learned_at=TOLD_AT)


def decide(language: str, text: str, *known: MemoryEntry, area: str = "living_room") -> Decision:
    """Return what is decided about a text in a home where some phrases were explained."""
    one = Decider(policy=policy(), home=home(language), memory=Memory(known))
    decision = one.hear(Utterance(text=text, area=area), states={}, last=None, now=TOLD_AT + 60, decision_id="d1").decision
    assert decision is not None
    return decision


@pytest.mark.parametrize(
    ("language", "taught", "said"),
    [
        ("en", "gremlins in the rafters", "oh dear, gremlins in the rafters again"),
        ("en", "the walrus has landed", "everybody listen, the walrus has landed"),
        ("zh", "猴子下山摘桃", "好了猴子下山摘桃啦"),
        ("zh", "乌龟钻被窝", "小乌龟快钻被窝"),
    ],
)
def test_phrase_that_was_explained_acts_in_other_words(language: str, taught: str, said: str) -> None:
    """Two words that carry it are enough after one correction; the reason says what was told and when."""
    assert decide(language, said).outcome != "act"
    decision = decide(language, said, explained(taught))

    assert [action.to_line() for action in decision.actions] == [OFF]
    assert (decision.stage, decision.reason_code) == ("phrase", "phrase")
    assert "2026" in (decision.reason or "")


def test_one_word_is_asked_about_until_it_was_explained_twice() -> None:
    """A single rare word may stand in talk: it acts only when two wordings have it in common."""
    once = decide("en", "what a quagmire", explained("it's a quagmire"))
    twice = decide("en", "what a quagmire", explained("it's a quagmire"), explained("such a quagmire in here"))

    assert (once.outcome, once.stage) == ("clarify", "phrase")
    assert [choice.actions for choice in once.choices] == [(parse_action(OFF),)]
    assert twice.outcome == "act"


@pytest.mark.parametrize(
    ("language", "taught", "said"),
    [
        ("en", "gremlins in the rafters", "no gremlins in the rafters"),
        ("en", "gremlins in the rafters", "gremlins in the rafters later"),
        ("en", "gremlins in the rafters", "i read a story about gremlins at school"),
        ("en", "gremlins at the kitchen", "gremlins at the hallway"),
        ("zh", "孙猴子收工", "孙猴子别收工"),
        ("zh", "孙猴子收工", "昨天电视里演的是孙猴子大闹天宫"),
    ],
)
def test_what_asks_for_something_else_is_not_the_phrase(language: str, taught: str, said: str) -> None:
    """A denial, another time, another room, or a story with the same word in it does nothing."""
    assert decide(language, said, explained(taught)).outcome != "act"


def test_elsewhere_and_as_a_question_it_is_asked() -> None:
    """What was explained in one room is sure in that room alone."""
    taught = explained("the walrus has landed")

    assert decide("en", "hello, the walrus has landed", taught, area="kitchen").outcome == "clarify"
    assert decide("en", "has the walrus landed, folks?", taught).outcome != "act"


def test_never_for_what_is_risky_or_was_told_to_be_refused() -> None:
    """No phrase unlocks a door; and after a no, what is nearer to it than to the phrase is refused."""
    taught = explained("the walrus has landed")
    said = decide("en", "hello, the walrus has landed on the moon", taught)
    refused = refusal_of(said, at=TOLD_AT)

    assert decide("en", "the walrus has landed friends", explained("the walrus has landed", "lock.unlock lock.front_door")).outcome != "act"
    assert refused.actions == ()
    assert decide("en", "so the walrus has landed on the moon", taught, refused).outcome == "reject"


def test_a_command_that_the_policy_knows_is_no_phrase() -> None:
    """What was heard wrongly once does not turn the opposite command into the same action."""
    taught = explained("get rid of the wibble")

    assert decide("en", "give me the wibble", taught, explained("kill the wibble")).actions == ()


def test_units_leave_out_what_says_nothing() -> None:
    """Fillers weigh nothing; rare words, pairs of them, and pairs of characters do."""
    assert units_of("turn it off please".split()) == {}
    assert units_of(("the", "quokka", "wibble")) == {("quokka",): 2.0, ("wibble",): 2.0, ("quokka", "wibble"): 1.0}
    assert units_of(tuple("了乌龟")) == {("乌",): 0.5, ("龟",): 1.0, ("了", "乌"): 0.5, ("乌", "龟"): 1.0}
