"""Readings: the frame under which exactly the right actions come out."""

import numpy as np
import pytest

from tests.training.makers import DEN_OFF, DESK_OFF, DESK_ON, FAN_ON, HOME
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.frame import TAGS
from voice_rl_plugin.understanding.frames import HEAD_SIZES, Logits, split_heads
from voice_rl_training.corpus.samples import Stage
from voice_rl_training.readings import REFUSING_MOODS, LabelledSample, observe_label, read_label
from voice_rl_training.relabel import Label

STAGE = Stage(home=HOME)


def nothing_read(count: int, **tags: str) -> Logits:
    """Return the logits of a network that has no opinion but on the tags of some words, by their number."""
    output = np.zeros((count, sum(HEAD_SIZES)), np.float32)
    output[:, -2:] = -5.0
    logits = split_heads(output)
    logits.tags[:, 0] = 3.0
    for number, tag in tags.items():
        logits.tags[int(number[1:]), TAGS.index(tag)] = 9.0
    return logits


def read(text: str, actions: tuple[Action, ...], *, area: str | None = "den", **tags: str) -> LabelledSample | None:
    """Read a label with a network without opinion."""
    label = Label(text=text, area=area, language="en", actions=actions, weight=2.0)
    observation = observe_label(label, STAGE)
    assert observation is not None
    return read_label(label, STAGE, observation, nothing_read(len(observation.words), **tags))


@pytest.mark.parametrize("text", ["lights out time", "睡觉觉啦"])
def test_read_label_own_phrase_teaches_operation_and_scope(text: str) -> None:
    """Words that name nothing teach what to do, and that the scope is the room."""
    sample = read(text, (DEN_OFF,))

    assert sample is not None
    assert [(c.operation, c.property) for c in sample.clauses] == [("turn_off", "power")]
    assert set(sample.tags) == {"O"}
    assert sample.golds[0].keys == (DEN_OFF.key,)
    assert sample.weight == 2.0


def test_read_label_marks_the_target_that_was_named() -> None:
    """A name that the network did not see is tagged, so that the named device is the target."""
    sample = read("gimme the desk lamp", (DESK_ON,))

    assert sample is not None
    assert sample.tags == ("O", "O", "NAME", "NAME")
    assert sample.clauses[0].operation == "turn_on"


def test_read_label_value_that_was_not_said_is_left_to_memory() -> None:
    """No reading makes 35 % out of words without a number."""
    assert read("cosy time", (parse_action("light.turn_on light.desk light.shelf brightness_pct=35"),)) is None


def test_read_label_other_device_than_the_named_is_left_to_memory() -> None:
    """The network is never taught that the desk lamp is the fan."""
    assert read("turn on the desk lamp", (FAN_ON,)) is None


def test_read_label_sure_unknown_name_is_left_to_aliases() -> None:
    """A name that this home does not have stays a name: else the guard against unknown names would wear off."""
    assert read("kill the beast", (FAN_ON,), t2="NAME") is None


def test_read_label_refusal_never_acts() -> None:
    """What should have been refused becomes a mood that never acts; the operation stays open."""
    sample = read("turn off desk lamp they said", (), t2="NAME", t3="NAME")

    assert sample is not None
    assert sample.clauses[0].mood in REFUSING_MOODS
    assert sample.clauses[0].operation is None
    assert sample.golds[0].outcome == "reject"


def test_read_label_ambiguous_name_shares_the_target() -> None:
    """Where the words fit two lamps, the label is the tie, not a lesson to guess."""
    sample = read("lamp off", (DESK_OFF,), t0="CLASS")

    assert sample is None or sample.golds[0].outcome == "clarify"
