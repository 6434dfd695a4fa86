"""Hindsight relabelling: what a log teaches, and what it must not."""

from tests.training.makers import DESK_OFF, DESK_ON, FAN_ON, make_transition
from voice_rl_training.relabel import MOST_WEIGHT, relabel


def test_relabel_correction_gives_the_corrected_action() -> None:
    """A corrected decision becomes a label of the corrected actions, marked so that no importance weight uses it."""
    found = relabel([make_transition("1", "breeze", done=(DESK_ON,), right=(FAN_ON,), reward=-1.0)])

    (label,) = found.labels
    assert label.actions == (FAN_ON,)
    assert label.is_relabelled
    (logged,) = found.logged
    assert (logged.label.actions, logged.reward, logged.label.is_relabelled, logged.propensity) == ((DESK_ON,), -1.0, False, 0.9)


def test_relabel_confirmation_gives_its_own_action() -> None:
    """A confirmed decision is a label of what was done, and nothing was relabelled."""
    (label,) = relabel([make_transition("1", "打开台灯", done=(DESK_ON,), right=(DESK_ON,), language="zh")]).labels

    assert label.actions == (DESK_ON,)
    assert not label.is_relabelled


def test_relabel_refusal_is_a_label_without_actions() -> None:
    """What should have been refused is a label to refuse."""
    (label,) = relabel([make_transition("1", "nice lamp", done=(DESK_ON,), right=(), reward=-1.0)]).labels

    assert label.actions == ()


def test_relabel_silence_and_a_bare_no_name_nothing() -> None:
    """Silence is no label at all; a bare no is a reward of what was done, but never the right one of a thousand actions."""
    found = relabel(
        [
            make_transition("1", "lamp on", done=(DESK_ON,), reward=None),
            make_transition("2", "lamp on", done=(DESK_ON,), reward=-1.0),
        ]
    )

    assert found.labels == ()
    assert [one.reward for one in found.logged] == [-1.0]


def test_relabel_answers_of_a_dialogue_are_left_out() -> None:
    """An answer such as "the left one" means nothing without its question, so it teaches nothing."""
    assert relabel([make_transition("1", "the left one", done=(DESK_ON,), right=(DESK_ON,), stage="rule")]).judged == 0


def test_relabel_settles_what_contradicts() -> None:
    """Of two opinions on the same words in the same place the heavier wins, weakened by the other; another place is another label."""
    found = relabel(
        [
            make_transition("1", "Lights!", done=(DESK_ON,), right=(DESK_ON,), at=1.0),
            make_transition("2", "lights", done=(DESK_ON,), right=(DESK_ON,), at=2.0),
            make_transition("3", "lights", done=(DESK_ON,), right=(DESK_OFF,), reward=-1.0, at=3.0),
            make_transition("4", "lights", done=(DESK_ON,), right=(DESK_OFF,), reward=-1.0, area="hall", at=4.0),
        ]
    )

    assert [(label.area, label.actions, label.weight) for label in found.labels] == [("den", (DESK_ON,), 1.0), ("hall", (DESK_OFF,), 1.0)]
    assert found.contested == 1


def test_relabel_caps_the_weight_of_one_sentence() -> None:
    """A stuck button counts three times at most."""
    found = relabel([make_transition(str(i), "lights", done=(DESK_ON,), right=(DESK_ON,), at=float(i)) for i in range(50)])

    assert [label.weight for label in found.labels] == [MOST_WEIGHT]
