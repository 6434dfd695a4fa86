"""Which decision a feedback is about, and which state change is an undo."""

from typing import Any

import pytest

from tests.learning.makers import DOOR, LAMP_OFF, LAMP_ON, OTHER, START, make_decision, make_feedback, present
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import EntityState
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.learning.attribution import Context, UndoWatch, attribute, counts_as_feedback, rephrase_of

ON = parse_action("light.turn_on light.desk")


def state(value: str, **attributes: object) -> EntityState:
    """Return a state."""
    return EntityState(value=value, attributes=attributes)


def play(
    action: Action, *changes: Any, decision: Decision | None = None, context: Context | None = None, entity: str = "light.desk"
) -> list[Any]:
    """Feed changes `(seconds after the decision, state)` to a watch, the first being the state before, and return what each gave."""
    watch, made = UndoWatch(), decision or make_decision(actions=(action,))
    old, given = changes[0], []
    for seconds, new in changes[1:]:
        given.append(watch.observe(entity, old, new, at=START + seconds, decisions=(made,), context=context))
        old = new
    return given


def test_attribute_takes_the_only_recent_decision_there() -> None:
    """By area or satellite, within thirty seconds, and home-wide without a place."""
    here, there = make_decision("d1"), make_decision("d2", area="hall")

    assert attribute((here, there), place="study", now=START + 29).id == "d1"
    assert attribute((here,), place=None, now=START + 29).id == "d1"


@pytest.mark.parametrize(
    ("decisions", "place", "seconds"),
    [
        ((), "study", 1.0),
        ((make_decision(),), "study", 31.0),
        ((make_decision(),), "study", -5.0),
        ((make_decision(),), "hall", 1.0),
        ((make_decision("d1"), make_decision("d2")), "study", 1.0),
        ((make_decision("d1"), make_decision("d2", area="hall")), None, 1.0),
        ((make_decision(outcome="clarify", actions=(DOOR,), reason_code="risky"),), "study", 1.0),
    ],
)
def test_attribute_refuses_what_is_not_certain(decisions: tuple[Decision, ...], place: str | None, seconds: float) -> None:
    """None, several, too old, elsewhere, or risky: an error, never a guess."""
    with pytest.raises(MessageError, match="feedback"):
        attribute(decisions, place=place, now=START + seconds)


def test_bare_yes_while_media_plays_is_no_feedback() -> None:
    """The television says yes as well; a correction in words, or a button, still counts."""
    assert not counts_as_feedback(make_feedback(source="voice"), media_plays=True)
    assert counts_as_feedback(make_feedback(source="voice"), media_plays=False)
    assert counts_as_feedback(make_feedback(source="topic"), media_plays=True)
    assert counts_as_feedback(make_feedback(verdict="no", source="voice", text="the bed one"), media_plays=True)


@pytest.mark.parametrize(
    ("first", "second", "is_rephrased"),
    [
        ("desk light thirty five", "desk lamp to thirty five", True),
        ("把书房灯调暗", "把书房灯调暗一点", True),
        ("play some jazz", "desk lamp on", False),
    ],
)
def test_rephrase_needs_similar_words(first: str, second: str, is_rephrased: bool) -> None:
    """A second try shares words with the first."""
    earlier = make_decision("d1", text=first, outcome="reject")
    later = make_decision("d2", text=second, at=START + 20)

    feedback = rephrase_of(later, (earlier, later), now=START + 25)

    assert (feedback is not None) is is_rephrased
    if feedback:
        assert (feedback.decision_id, feedback.correction, feedback.is_inferred) == ("d1", (LAMP_ON,), True)


@pytest.mark.parametrize("changes", [{"at": START - 61}, {"area": "hall"}, {"actions": (LAMP_ON,)}])
def test_rephrase_needs_time_place_and_another_outcome(changes: Any) -> None:
    """An old, a distant, or an equal first try is none."""
    earlier = make_decision("d1", **{"actions": (OTHER,), **changes})

    assert rephrase_of(make_decision("d2", at=START + 1), (earlier,), now=START + 5) is None


@pytest.mark.parametrize(
    ("action", "changes", "entity"),
    [
        (ON, [state("off"), (0.2, state("on")), (6.0, state("off"))], "light.desk"),
        (LAMP_OFF, [state("on", brightness=90), (0.2, state("off")), (6.0, state("on", brightness=90))], "light.desk"),
        (LAMP_ON, [state("on", brightness=200), (0.2, state("on", brightness=89)), (5.0, state("on", brightness=199))], "light.desk"),
        (LAMP_ON, [state("off"), (0.2, state("on")), (0.3, state("on", brightness=89)), (5.0, state("off"))], "light.desk"),
        (DOOR, [state("locked"), (0.2, state("unlocking")), (2.0, state("unlocked")), (9.0, state("locked"))], "lock.front"),
        (
            parse_action("media_player.volume_up media_player.radio"),
            [state("playing", volume_level=0.3), (0.2, state("playing", volume_level=0.4)), (4.0, state("playing", volume_level=0.3))],
            "media_player.radio",
        ),
    ],
)
def test_undo_is_the_exact_inverse(action: Action, changes: Any, entity: str) -> None:
    """Our echo, then back to what was before: an undo, once."""
    *before, last = play(action, *changes, entity=entity)

    assert before == [None] * len(before)
    assert (last.verdict, last.source, last.decision_id, last.user) == ("undo", "state", "d1", None)


@pytest.mark.parametrize(
    ("action", "changes"),
    [
        pytest.param(ON, [state("off"), (0.2, state("on", brightness=255)), (4.0, state("on", brightness=40))], id="on then dim"),
        pytest.param(ON, [state("off"), (0.2, state("on")), (16.0, state("off"))], id="too late"),
        pytest.param(ON, [state("off"), (0.2, state("on")), (0.6, state("off"))], id="bounce"),
        pytest.param(ON, [state("on"), (4.0, state("off"))], id="no effect of ours was seen"),
        pytest.param(ON, [state("off"), (0.2, state("on")), (3.0, state("unavailable")), (4.0, state("off"))], id="restart of the device"),
        pytest.param(LAMP_ON, [state("on", brightness=200), (0.2, state("on", brightness=89)), (5.0, state("off"))], id="another change"),
        pytest.param(ON, [state("off"), (-3.0, state("on")), (4.0, state("off"))], id="before the decision"),
        pytest.param(
            ON,
            [state("off"), (0.2, state("on", b=1)), *((1 + i / 2, state("on", b=i)) for i in range(2, 8)), (9.0, state("off"))],
            id="flapping",
        ),
    ],
)
def test_what_is_no_undo(action: Action, changes: Any) -> None:
    """Refinements, late changes, bounces, restarts, and flapping entities teach nothing."""
    assert play(action, *changes) == [None] * (len(changes) - 1)


def test_undo_of_a_lamp_that_tells_its_colour_in_many_messages() -> None:
    """Brightness, colour and effect come in messages of their own after each state: that is one change, and no flapping."""
    colour = dict.fromkeys(("brightness", "color_temp_kelvin", "hs_color", "rgb_color", "xy_color", "effect"), 1)
    dark = [(0.2 + 0.002 * n, state("off", **dict(list(colour.items())[n:]))) for n in range(len(colour) + 1)]
    bright = [(6.0 + 0.002 * n, state("on", **dict(list(colour.items())[:n]))) for n in range(len(colour) + 1)]

    undone = play(LAMP_OFF, state("on", **colour), *dark, *bright)

    assert [one.verdict for one in undone if one] == ["undo"]


def test_undo_by_an_automation_is_none_and_by_a_person_is_named() -> None:
    """Home Assistant's context tells who: an automation does not count, a person is named."""
    changes = [state("off"), (0.2, state("on")), (6.0, state("off"))]

    assert play(ON, *changes, context=Context(parent_id="01AUTOMATION"))[-1] is None
    assert play(ON, *changes, context=Context(user_id="anna"))[-1].user == "anna"


def test_our_own_next_command_is_no_undo() -> None:
    """On, then off by voice: the change back is the echo of our second action."""
    watch, on, off = UndoWatch(), make_decision("d1", actions=(ON,)), make_decision("d2", actions=(LAMP_OFF,), at=START + 4)

    assert watch.observe("light.desk", state("off"), state("on"), at=START + 0.2, decisions=(on,)) is None
    assert watch.observe("light.desk", state("on"), state("off"), at=START + 4.2, decisions=(on, off)) is None
    assert present(watch.observe("light.desk", state("off"), state("on"), at=START + 9.0, decisions=(on, off))).decision_id == "d2"


def test_one_of_several_lamps_is_a_refinement_and_all_are_an_undo() -> None:
    """Only when every lamp that we changed is back is the decision undone."""
    both = make_decision(actions=(parse_action("light.turn_on light.a light.b"),))
    watch = UndoWatch()
    for entity in ("light.a", "light.b"):
        watch.observe(entity, state("off"), state("on"), at=START + 0.2, decisions=(both,))

    assert watch.observe("light.a", state("on"), state("off"), at=START + 5, decisions=(both,)) is None
    assert present(watch.observe("light.b", state("on"), state("off"), at=START + 6, decisions=(both,))).verdict == "undo"
    assert watch.observe("light.b", state("off"), state("on"), at=START + 7, decisions=(both,)) is None


def test_restart_silences_the_watch() -> None:
    """After a restart every state is news, not judgement."""
    watch, decision = UndoWatch(), make_decision(actions=(ON,))
    watch.observe("light.desk", state("off"), state("on"), at=START + 0.2, decisions=(decision,))
    watch.restart(START + 2)

    assert watch.observe("light.desk", state("on"), state("off"), at=START + 6, decisions=(decision,)) is None
