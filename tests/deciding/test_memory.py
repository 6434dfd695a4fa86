"""One correction is enough; two opposite ones ask."""

from voice_rl_plugin.deciding.memory import Memory, MemoryEntry, memory_words
from voice_rl_plugin.domain.action import Action, parse_action

ON, OFF = parse_action("light.turn_on light.a"), parse_action("light.turn_off light.a")


def entry(words: str, *actions: Action, area: str | None = "den", at: float = 1.0) -> MemoryEntry:
    """Return what a correction taught."""
    return MemoryEntry(words=memory_words(words), area=area, actions=actions, decision_id=f"d{at}", learned_at=at)


def test_words_are_normal_and_without_punctuation() -> None:
    """Case, commas, marks, apostrophes and script do not make another key."""
    assert memory_words("Don't, PLEASE!") == "dont please"
    assert memory_words("打開，燈？") == "打 开 灯"


def test_recall_needs_the_same_words_in_the_same_area() -> None:
    """The key is exact: other words or another room recall nothing."""
    memory = Memory([entry("lights please", ON)])

    assert memory.recall("Lights, please!", "den") is not None
    assert memory.recall("lights", "den") is None
    assert memory.recall("lights please", "hall") is None
    assert memory.recall("lights please", None) is None
    assert Memory().recall("lights please", "den") is None


def test_traditional_characters_recall_the_simplified() -> None:
    """打開燈 recalls 打开灯."""
    assert Memory([entry("打开灯", ON)]).recall("打開燈", "den") is not None


def test_an_opposite_correction_contests() -> None:
    """A second correction to something else keeps both and marks the entry."""
    memory = Memory([entry("lights", ON)])
    learned = memory.learn(entry("lights", OFF, at=2.0))

    assert learned.is_contested
    assert (learned.actions, learned.rival) == ((OFF,), (ON,))
    assert memory.recall("lights", "den") == learned


def test_the_same_correction_again_contests_nothing() -> None:
    """Repeating a correction is agreement."""
    memory = Memory([entry("lights", ON)])

    assert not memory.learn(entry("lights", ON, at=2.0)).is_contested


def test_a_third_correction_settles() -> None:
    """After two opposite corrections, the third decides."""
    memory = Memory([entry("lights", ON)])
    memory.learn(entry("lights", OFF, at=2.0))
    settled = memory.learn(entry("lights", ON, at=3.0))

    assert not settled.is_contested
    assert settled.actions == (ON,)
    assert settled.rival is None


def test_forget_and_order() -> None:
    """Entries are listed oldest first and are forgotten by their key, once."""
    memory = Memory([entry("b", ON, at=2.0), entry("a", OFF, at=1.0)])

    assert [one.words for one in memory.entries] == ["a", "b"]
    assert memory.forget("a", "den")
    assert not memory.forget("a", "den")
    assert len(memory) == 1


def test_repeating_finds_what_would_do_the_same_again() -> None:
    """Only an entry of the same words, area and actions repeats a mistake; a contested one asks."""
    memory = Memory([entry("lights", ON), entry("打开灯", ON), entry("nice lamp")])

    assert memory.repeating("Lights!", "den", [ON]) == memory.recall("lights", "den")
    assert memory.repeating("打開燈", "den", [ON]) == memory.recall("打开灯", "den")
    assert memory.repeating("nice lamp", "den", []) == memory.recall("nice lamp", "den")
    assert memory.repeating("lights", "den", [OFF]) is None
    assert memory.repeating("lights", "hall", [ON]) is None
    memory.learn(entry("lights", OFF, at=2.0))
    assert memory.repeating("lights", "den", [OFF]) is None
