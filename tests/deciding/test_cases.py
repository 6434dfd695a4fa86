"""Case files: read, decide, judge, and bound the rate of wrong actions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scripted import ScriptedPolicy, clause
from tests.understanding.homes import HOUSE
from voice_rl_plugin.deciding.cases import Case, decide_case, judge, parse_cases, same_actions, upper_bound
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import ConfigError


def decision(outcome: str, *lines: str) -> Decision:
    """Return a decision with some actions."""
    return Decision(id="d", utterance=Utterance(text="x"), language="en", outcome=outcome, actions=actions(*lines))


def actions(*lines: str) -> tuple[Action, ...]:
    """Return actions from their lines."""
    return tuple(parse_action(line) for line in lines)


def test_parse_reads_every_form() -> None:
    """`want` as a list, as one line, as an outcome, and `want_any`; an area by its id or its name; other keys are notes."""
    cases = parse_cases(
        [
            {"group": "basic", "say": "bar on", "area": "Kitchen", "want": ["light.turn_on light.counter"]},
            {"say": "bar on", "want": "light.turn_on light.counter", "note": "why", "seen_in": "a diary"},
            {"say": "leave it", "after": "bar on", "want": "reject", "language": "en"},
            {"say": "it is dark", "want_any": [["light.turn_on light.counter"], ["light.turn_on light.kitchen"]]},
        ],
        HOUSE,
    )

    assert cases[0] == Case(group="basic", say="bar on", area="kitchen", wanted=(actions("light.turn_on light.counter"),))
    assert cases[1].wanted == cases[0].wanted
    assert (cases[2].outcome, cases[2].after, cases[2].wanted) == ("reject", "bar on", ())
    assert len(cases[3].wanted) == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("bar on", "say"),
        ({"want": "reject"}, "say"),
        ({"say": "x"}, "want"),
        ({"say": "x", "want": 3}, "3"),
        ({"say": "x", "want": ["nonsense"]}, "nonsense"),
        ({"say": "x", "want_any": "reject"}, "want_any"),
        ({"say": "x", "want": "reject", "area": "cellar"}, "cellar"),
    ],
)
def test_parse_names_what_is_wrong(entry: Any, message: str) -> None:
    """A wrong entry is refused with its number and the wrong word."""
    with pytest.raises(ConfigError, match=f"case 0.*{message}"):
        parse_cases([entry], HOUSE)


def test_parse_wants_a_list() -> None:
    """A case file is a list."""
    with pytest.raises(ConfigError, match="list"):
        parse_cases({"say": "x"}, HOUSE)


@pytest.mark.parametrize(
    ("wanted", "done", "is_same"),
    [
        (["light.turn_on light.a brightness_pct=35"], ["light.turn_on light.a brightness_pct=35"], True),
        (["light.turn_on light.a brightness_pct=35"], ["light.turn_on light.a brightness_pct=36"], False),
        (["light.turn_on light.a brightness_step_pct=-"], ["light.turn_on light.a brightness_step_pct=-30"], True),
        (["light.turn_on light.a brightness_step_pct=-"], ["light.turn_on light.a brightness_step_pct=30"], False),
        (["light.turn_on light.a brightness_step_pct=+10"], ["light.turn_on light.a brightness_step_pct=10"], True),
        (["climate.set_temperature climate.a temperature_step=+"], ["climate.set_temperature climate.a temperature_step=1"], True),
        (["light.turn_on light.a light.b"], ["light.turn_on light.a", "light.turn_on light.b"], True),
        (["light.turn_on light.a"], ["light.turn_on light.a light.b"], False),
        (["light.turn_on light.a"], ["light.turn_off light.a"], False),
        (["light.turn_on light.a"], ["light.turn_on light.a brightness_pct=100"], False),
        (["media_player.volume_set media_player.a volume_level=0.33"], ["media_player.volume_set media_player.a volume_level=0.333"], True),
        (["intent.HassStartTimer"], ["intent.HassStartTimer duration=5"], True),
        (["intent.HassStartTimer"], ["intent.HassCancelTimer"], False),
        (
            ["media_player.volume_mute media_player.a is_volume_muted=true"],
            ["media_player.volume_mute media_player.a is_volume_muted=false"],
            False,
        ),
        ([], [], True),
    ],
)
def test_same_actions(wanted: list[str], done: list[str], is_same: bool) -> None:
    """Signs fit every step in their direction, targets may be grouped, intents are compared by name."""
    assert same_actions(actions(*wanted), actions(*done)) == is_same


@pytest.mark.parametrize(
    ("outcome", "wanted", "made", "verdict"),
    [
        ("act", "light.turn_on light.a", decision("act", "light.turn_on light.a"), "right"),
        ("act", "light.turn_on light.a", decision("act", "light.turn_on light.b"), "wrong_action"),
        ("act", "light.turn_on light.a", decision("clarify"), "asked"),
        ("act", "light.turn_on light.a", decision("reject"), "refused"),
        ("reject", "", decision("act", "light.turn_on light.a"), "wrong_action"),
        ("reject", "", decision("reject"), "right"),
        ("reject", "", decision("clarify"), "asked"),
        ("clarify", "", decision("clarify"), "right"),
        ("clarify", "", decision("reject"), "refused"),
    ],
)
def test_judge(outcome: str, wanted: str, made: Decision, verdict: str) -> None:
    """Acting where it was not wanted is always a wrong action; asking and refusing are right where they are wanted."""
    case = Case(say="x", outcome=outcome, wanted=(actions(wanted),) if wanted else ())

    assert judge(case, made) == verdict


def test_any_of_several_answers_is_right() -> None:
    """One of the wanted answers is enough."""
    case = Case(say="x", wanted=(actions("light.turn_on light.a"), actions("light.turn_on light.b")))

    assert judge(case, decision("act", "light.turn_on light.b")) == "right"


def test_decide_case_plays_the_command_before() -> None:
    """`after` is decided first, and the follow-up refers to it."""
    policy = ScriptedPolicy(clause("[bar:NAME] on", "turn_on"), clause("now at [sixty:VALUE]", "set", "brightness"))
    decider = Decider(policy=policy, home=HOUSE, memory=Memory())
    made = decide_case(decider, Case(say="now at sixty", after="bar on", area="study"))

    assert [a.to_line() for a in made.actions] == ["light.turn_on light.counter brightness_pct=60"]


@pytest.mark.parametrize(
    ("events", "trials", "bound"),
    [
        (0, 10, 0.2589),
        (0, 100, 0.02951),
        (0, 300, 0.009936),
        (1, 100, 0.04656),
        (5, 100, 0.10225),
        (2, 50, 0.12061),
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_upper_bound_is_clopper_pearson(events: int, trials: int, bound: float) -> None:
    """The one-sided exact 95 % bound: for no events in n it is 1 - 0.05^(1/n)."""
    assert upper_bound(events, trials) == pytest.approx(bound, abs=5e-5)


@given(st.integers(0, 30), st.integers(1, 400))
def test_upper_bound_lies_above_the_rate(events: int, trials: int) -> None:
    """The bound is above what was seen, at most 1, and falls with more confidence in the sample."""
    events = min(events, trials)
    bound = upper_bound(events, trials)

    assert events / trials <= bound <= 1.0
    assert upper_bound(events, trials, confidence=0.8) <= bound
