"""A correction that explains an unknown word as a name teaches the name, with the shipped model; small talk teaches nothing."""

from functools import cache

import pytest

from voice_rl_plugin.deciding import aliases
from voice_rl_plugin.deciding.aliases import Alias, Aliases
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.deciding.turn import Turn
from voice_rl_plugin.demo.session import shipped_home
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy

TOLD_AT = 1_795_521_600.0
BEAST = Alias(words="beast", entity_id="media_player.soundbar", decision_id="d0", learned_at=TOLD_AT)
SUN = Alias(words="小 太 阳", entity_id="light.sofa_lamp", decision_id="d1", learned_at=TOLD_AT)


@cache
def policy() -> OnnxPolicy:
    """Return the shipped model."""
    return OnnxPolicy.load(BASE_FOLDER)


@cache
def home(language: str) -> Home:
    """Return the demo home."""
    return load_home(shipped_home(language))


def decider(language: str, *known: Alias) -> Decider:
    """Return a decider that was taught some names."""
    return Decider(policy=policy(), home=home(language), memory=Memory(aliases=known))


def decide(one: Decider, text: str, *, area: str = "living_room", after: Decision | None = None) -> Decision:
    """Return what is decided about a text."""
    last = None if after is None else Turn(decision=after, at=TOLD_AT)
    decision = one.hear(Utterance(text=text, area=area), states={}, last=last, now=TOLD_AT + 3, decision_id="d9").decision
    assert decision is not None
    return decision


def lines(decision: Decision) -> list[str]:
    """Return the actions in one line each."""
    return [action.to_line() for action in decision.actions]


def taught(language: str, text: str, right: str, *, area: str = "living_room") -> tuple[str, str] | None:
    """Return what the correction of a text to an action teaches."""
    return decider(language).name_taught(Utterance(text=text, area=area), (parse_action(right),))


@pytest.mark.parametrize(
    ("language", "text", "right", "name"),
    [
        ("en", "turn on the beast", "media_player.turn_on media_player.soundbar", "beast"),
        ("en", "mute the boombox", "media_player.volume_mute media_player.soundbar is_volume_muted=true", "boombox"),
        ("en", "make big bertha louder", "media_player.volume_up media_player.soundbar", "big bertha"),
        ("en", "switch off the glow worm", "light.turn_off light.sofa_lamp", "glow worm"),
        ("en", "put the disco lamp on", "light.turn_on light.sofa_lamp", "disco lamp"),
        ("zh", "打开大块头", "media_player.turn_on media_player.soundbar", "大 块 头"),
        ("zh", "把小太阳关了", "light.turn_off light.sofa_lamp", "小 太 阳"),
        ("zh", "小太阳调亮一点", "light.turn_on light.sofa_lamp brightness_step_pct=10", "小 太 阳"),
    ],
)
def test_correction_teaches_the_name(language: str, text: str, right: str, name: str) -> None:
    """Where the target's own name in the place of the unknown words means what the correction says, they are its name."""
    assert taught(language, text, right) == (name, parse_action(right).targets[0])


@pytest.mark.parametrize(
    ("language", "text", "right"),
    [
        ("en", "turn on the light", "light.turn_on light.sofa_lamp"),
        ("en", "turn on the light please buddy", "light.turn_on light.sofa_lamp"),
        ("en", "louder please mate", "media_player.volume_up media_player.soundbar"),
        ("en", "louder", "media_player.volume_up media_player.soundbar"),
        ("en", "turn on the desk lamp", "light.turn_on light.sofa_lamp"),
        ("en", "turn on the kitchen lamp", "light.turn_on light.sofa_lamp"),
        ("en", "turn on the red lamp", "light.turn_on light.sofa_lamp"),
        ("en", "turn on number seven", "light.turn_on light.sofa_lamp"),
        ("en", "it is too dark in here", "light.turn_on light.sofa_lamp"),
        ("en", "turn on the beast", "light.turn_on light.sofa_lamp light.floor_lamp"),
        ("en", "open the dragon", "lock.unlock lock.front_door"),
        ("en", "lock the dragon", "lock.lock lock.front_door"),
        ("zh", "声音大一点", "media_player.volume_up media_player.soundbar"),
        ("zh", "屋里有点黑", "light.turn_on light.sofa_lamp"),
        ("zh", "打开灯", "light.turn_on light.sofa_lamp"),
        ("zh", "打开台灯", "light.turn_on light.sofa_lamp"),
        ("zh", "来点音乐", "media_player.media_play media_player.soundbar"),
        ("zh", "锁上巨龙", "lock.lock lock.front_door"),
    ],
)
def test_nothing_else_becomes_a_name(language: str, text: str, right: str) -> None:
    """No command word, number, colour, room, kind or other device's name, no pet word, no group, and nothing that may be risky."""
    assert taught(language, text, right) is None


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "turn the beast off", "media_player.turn_off media_player.soundbar"),
        ("en", "make the beast louder", "media_player.volume_up media_player.soundbar"),
        ("en", "pause the beast", "media_player.media_pause media_player.soundbar"),
        ("en", "beast volume to thirty", "media_player.volume_set media_player.soundbar volume_level=0.3"),
        ("zh", "打开小太阳", "light.turn_on light.sofa_lamp"),
        ("zh", "把小太阳调到百分之四十", "light.turn_on light.sofa_lamp brightness_pct=40"),
        ("zh", "关掉小太阳", "light.turn_off light.sofa_lamp"),
        ("zh", "turn on 小太阳", "light.turn_on light.sofa_lamp"),
    ],
)
def test_taught_name_works_in_other_sentences(language: str, text: str, expected: str) -> None:
    """From any room, in sentences that nobody corrected; the stage is alias, and the reason says who told it when."""
    decision = decide(decider(language, BEAST, SUN), text, area="kitchen")

    assert (decision.outcome, lines(decision)) == ("act", [expected])
    assert (decision.stage, decision.reason_code) == ("alias", "alias")
    english = "Because you told me on 24 November 2026 that 'beast' is the Soundbar."
    assert decision.reason in (english, "因为您在2026年11月24日告诉过我“小太阳”就是沙发灯。")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "play beauty and the beast"),
        ("en", "what a beast of a day"),
        ("en", "i watched beauty and the beast last night"),
        ("en", "don't turn on the beast"),
        ("zh", "别开小太阳"),
        ("zh", "今天小太阳真大"),
    ],
)
def test_near_misses_are_not_the_name(language: str, text: str) -> None:
    """A title, talk and a prohibition stay what they are, as if the name had never been taught."""
    decision = decide(decider(language, BEAST, SUN), text)
    before = decide(decider(language), text)

    assert (decision.outcome == "act") == (before.outcome == "act")
    assert lines(decision) == lines(before)
    assert not {target for action in decision.actions for target in action.targets}


def test_contested_name_asks() -> None:
    """After opposite corrections a name means two things: it asks which."""
    contested = Alias(
        words="beast", entity_id="media_player.tv", decision_id="d2", learned_at=TOLD_AT, is_contested=True, rival="media_player.soundbar"
    )
    decision = decide(decider("en", contested), "turn off the beast")

    assert (decision.outcome, decision.actions) == ("clarify", ())
    assert {choice.actions[0].targets[0] for choice in decision.choices} == {"media_player.tv", "media_player.soundbar"}


def test_opposite_corrections_contest_and_a_third_settles() -> None:
    """As with whole sentences: two opposite ones ask, a third decides, the same again is agreement."""
    known = Aliases([BEAST])
    other = Alias(words="beast", entity_id="media_player.tv", decision_id="d2", learned_at=TOLD_AT + 1)

    assert known.learn(BEAST) == BEAST
    contested = known.learn(other)
    assert contested is not None
    assert (contested.is_contested, contested.rival) == (True, "media_player.soundbar")
    assert known.names() == {"media_player.tv": ("beast",), "media_player.soundbar": ("beast",)}
    settled = known.learn(other)
    assert settled is not None
    assert not settled.is_contested


def test_names_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one entity nor the home takes any number of names; a known one may still be corrected."""
    monkeypatch.setattr(aliases, "MOST_OF_ONE", 2)
    known = Aliases()
    learned = [known.learn(Alias(words=f"n{i}", entity_id="light.a", decision_id=f"d{i}", learned_at=i)) for i in range(3)]

    assert [one is not None for one in learned] == [True, True, False]
    assert known.learn(Alias(words="n0", entity_id="light.b", decision_id="d9", learned_at=9.0)) is not None
    assert known.forget("n1")
    assert not known.forget("n1")


def test_extra_names_are_full_names_of_what_is_exposed() -> None:
    """The index takes taught names as full ones; those of what the home does not have are left out."""
    index = NameIndex(home("en"), {"media_player.soundbar": ("beast",), "light.gone": ("ghost",)})

    assert [(m.id, m.form) for m in index.find(["the", "beast"]) if m.form != "sound"] == [("media_player.soundbar", "full")]
    assert not [m for m in index.find(["ghost"]) if m.form == "full"]


@pytest.mark.parametrize(
    ("language", "area", "said", "correction", "expected"),
    [
        ("en", "study", "turn on the desk lamp", "no, the bedroom one", "light.turn_on light.desk_lamp_bedroom"),
        ("en", "bedroom", "turn on the ceiling light", "i meant the fan", "fan.turn_on fan.ceiling_fan"),
        ("en", "living_room", "make big bertha louder", "the soundbar", "media_player.volume_up media_player.soundbar"),
        ("en", "living_room", "switch off the glow worm", "no, i meant the sofa lamp", "light.turn_off light.sofa_lamp"),
        ("zh", "bedroom", "打开床头灯", "不是这个,是台灯", "light.turn_on light.desk_lamp_bedroom"),
        ("zh", "study", "打开台灯", "我说的是卧室的", "light.turn_on light.desk_lamp_bedroom"),
        ("zh", "kitchen", "小太阳调亮一点", "不对,是沙发灯", "light.turn_on light.sofa_lamp brightness_step_pct=10"),
        ("en", "living_room", "turn on the lamp", "the second one", "light.turn_on light.floor_lamp"),
    ],
)
def test_spoken_correction_means_what_was_said_with_another_name(
    language: str, area: str, said: str, correction: str, expected: str
) -> None:
    """A room, a kind, a name, an ordinal: what was asked is done there instead, whatever was decided first."""
    brain = decider(language)
    first = decide(brain, said, area=area)

    assert lines(decide(brain, correction, area=area, after=first)) == [expected]


@pytest.mark.parametrize(
    ("language", "said", "pick"), [("en", "turn on the lamp", "the left one"), ("en", "turn on the lamp", "the right one")]
)
def test_pick_that_fits_no_choice_asks_again(language: str, said: str, pick: str) -> None:
    """Which of two lamps is left, nobody has said: "the left one" gets the same question once more, and is no denial."""
    brain = decider(language)
    first = decide(brain, said)
    again = decide(brain, pick, after=first)

    assert (again.outcome, again.choices) == ("clarify", first.choices)
