"""Logits become frames, one a clause."""

import math

import numpy as np
import pytest

from tests.scripted import ScriptedPolicy, clause, frame_of, observed
from tests.understanding.homes import HOUSE
from voice_rl_plugin.domain.frame import MOODS, Span
from voice_rl_plugin.understanding.frames import HEAD_SIZES, Logits, decode, softmax, split_heads


def test_split_heads_cuts_in_order() -> None:
    """The output holds moods, operations, properties, tags, begins, clauses, weights, in this order."""
    output = np.arange(sum(HEAD_SIZES), dtype=np.float32)[None].repeat(2, 0)
    logits = split_heads(output)

    assert logits.moods.shape == (2, len(MOODS))
    assert logits.operations[0, 0] == len(MOODS)
    assert logits.begins.shape == logits.clauses.shape == (2,)
    assert logits.clauses[0] == sum(HEAD_SIZES) - 2
    assert logits.weights[0] == sum(HEAD_SIZES) - 1


def test_split_heads_refuses_another_shape() -> None:
    """An output of another width is no reading."""
    with pytest.raises(ValueError, match="expected"):
        split_heads(np.zeros((3, 5), np.float32))


def test_softmax_by_hand() -> None:
    """Logits 0 and log 3 are a quarter and three quarters; large logits do not overflow."""
    assert softmax(np.array([0.0, np.log(3.0)], np.float32)).tolist() == pytest.approx([0.25, 0.75])
    assert softmax(np.array([1000.0, 1000.0], np.float32)).tolist() == [0.5, 0.5]


def test_decode_gives_back_what_was_marked() -> None:
    """Mood, operation, property and spans of a clause are read off the logits."""
    one = clause("turn off the [kitchen:AREA] [lights:CLASS]", "turn_off")
    (frame,) = decode(ScriptedPolicy(one).read(observed(one, HOUSE)))

    assert (frame.mood, frame.operation, frame.property, frame.start, frame.end) == ("command", "turn_off", "power", 0, 5)
    assert [(s.tag, s.start, s.end) for s in frame.spans] == [("AREA", 3, 4), ("CLASS", 4, 5)]
    assert frame.moods["command"] == pytest.approx(0.95, abs=1e-3)
    assert frame.spans_of("CLASS") == (frame.spans[1],)


def test_decode_cuts_clauses() -> None:
    """A second clause begins where its logit is positive, and a span never crosses it."""
    first, second = clause("[bar:NAME] on", "turn_on"), clause("and [radio:NAME] off", "turn_off")
    logits = ScriptedPolicy([first, second]).read(observed(clause("bar on and radio off", "none"), HOUSE))
    frames = decode(logits)

    assert [(f.start, f.end, f.operation) for f in frames] == [(0, 2, "turn_on"), (2, 5, "turn_off")]
    assert [(s.start, s.end) for f in frames for s in f.spans] == [(0, 1), (3, 4)]


def test_neighbouring_spans_of_one_tag_stay_apart() -> None:
    """Where a span begins anew, two names beside each other are two."""
    one = clause("[bar:NAME] [radio:NAME] off", "turn_off")
    (frame,) = decode(ScriptedPolicy(one).read(observed(one, HOUSE)))

    assert [(s.start, s.end) for s in frame.spans] == [(0, 1), (1, 2)]


def test_no_tokens_give_no_frames() -> None:
    """Silence has no clause."""
    empty = np.zeros((0, sum(HEAD_SIZES)), np.float32)

    assert decode(split_heads(empty)) == ()


def test_unlikely_operations_are_left_out() -> None:
    """Only operations with at least 2 % are considered, best first; the best always is."""
    one = clause("[bar:NAME] up", "raise", "brightness", others=(("turn_on", 0.2), ("set", 0.001)))
    (frame,) = decode(ScriptedPolicy(one).read(observed(one, HOUSE)))

    assert [name for name, _ in frame.operations] == ["raise", "turn_on"]


@pytest.mark.parametrize(("weights", "mean"), [((0.0, 0.0), (2.0, 1.0)), ((math.log(3), 0.0), (3.0, 0.5))])
def test_a_clause_averages_its_tokens(weights: tuple[float, float], mean: tuple[float, float]) -> None:
    """A clause's mood is the softmax of the weighted mean of its tokens' logits: weights 0 count alike, log 3 and 0 as 3 to 1."""
    heads = [np.zeros((2, size), np.float32) for size in HEAD_SIZES]
    heads[0][0, 0], heads[0][1, 1] = 4.0, 2.0
    heads[5][:] = -4.0  # no clause begins inside
    (frame,) = decode(Logits(heads[0], heads[1], heads[2], heads[3], heads[4][:, 0], heads[5][:, 0], np.array(weights, np.float32)))
    wanted = softmax(np.array([*mean, *[0.0] * (len(MOODS) - 2)], np.float32))

    assert list(frame.moods.values()) == pytest.approx(wanted.tolist())


def test_a_scripted_clause_is_its_frame() -> None:
    """The tests' own marks give the spans that they say."""
    assert frame_of(clause("dim the [desk lamp:NAME]", "lower")).spans == (Span(tag="NAME", start=2, end=4),)
