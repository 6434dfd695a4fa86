"""The peers act as Home Assistant does, and the scorecard counts them as it counts ours."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from voice_rl_plugin.deciding.cases import Case
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy
from voice_rl_training.assist_intents import handle
from voice_rl_training.cli import build_parser
from voice_rl_training.corpus.human import HumanSentence
from voice_rl_training.peers import FallbackPeer, StrictPeer, has_fallback, peers, versions
from voice_rl_training.scorecard import (
    OURS,
    HumanScore,
    Measured,
    draw,
    judge_with_groups,
    measure,
    measure_human,
    percentile,
    read_sets,
    to_markdown,
)

needs_fallback = pytest.mark.skipif(not has_fallback(), reason="gazetteer-matcher is not installed")

HOME = Home.from_mapping(
    {
        "language": "en",
        "floors": [
            {"id": "ground", "name": "Ground Floor", "aliases": ["downstairs"]},
            {"id": "upper", "name": "Upper Floor", "aliases": ["upstairs"]},
        ],
        "areas": [
            {"id": "kitchen", "name": "Kitchen", "floor": "ground"},
            {"id": "lounge", "name": "Living Room", "aliases": ["lounge"], "floor": "ground"},
            {"id": "bedroom", "name": "Bedroom", "floor": "upper"},
            {"id": "study", "name": "Study", "floor": "upper"},
        ],
        "entities": [
            {"id": "light.bar", "name": "Counter Bar", "aliases": ["bar"], "area": "kitchen"},
            {"id": "light.ceiling", "name": "Kitchen Ceiling", "area": "kitchen", "abilities": ["on_off"]},
            {"id": "media_player.radio", "name": "Radio", "area": "kitchen", "state": "playing"},
            {"id": "media_player.speaker", "name": "Speaker", "area": "kitchen", "state": "off"},
            {"id": "light.sofa", "name": "Sofa Lamp", "area": "lounge"},
            {"id": "climate.heating", "name": "Heating", "area": "lounge", "state": "heat", "attributes": {"temperature": 20}},
            {"id": "vacuum.dusty", "name": "Dusty", "area": "lounge"},
            {"id": "lock.door", "name": "Front Door", "area": "lounge"},
            {"id": "cover.blind", "name": "Bedroom Blind", "area": "bedroom", "device_class": "blind"},
            {"id": "fan.ceiling", "name": "Ceiling Fan", "area": "bedroom"},
            {"id": "light.desk_bedroom", "name": "Desk Lamp", "area": "bedroom"},
            {"id": "light.desk_study", "name": "Desk Lamp", "area": "study"},
            {"id": "scene.film", "name": "Film Night"},
            {"id": "switch.router", "name": "Router", "area": "study", "exposed": False},
        ],
    }
)
HOME_ZH = Home.from_mapping(
    {
        "language": "zh",
        "areas": [{"id": "living", "name": "客厅"}, {"id": "bedroom", "name": "卧室"}],
        "entities": [
            {"id": "light.main", "name": "主灯", "area": "living"},
            {"id": "light.strip", "name": "灯带", "area": "living"},
            {"id": "fan.big", "name": "吊扇", "area": "living"},
            {"id": "light.head", "name": "床头灯", "area": "bedroom"},
        ],
    }
)


def lines(actions: Sequence[Action]) -> list[str]:
    """Return actions in their one-line form."""
    return [action.to_line() for action in actions]


@pytest.mark.parametrize(
    ("text", "area", "want"),
    [
        ("turn on the sofa lamp", None, "light.turn_on light.sofa"),
        ("please turn off the sofa lamp", None, "light.turn_off light.sofa"),
        ("turn on the bar", None, "light.turn_on light.bar"),
        ("turn off the lights", "kitchen", "light.turn_off light.bar light.ceiling"),
        ("turn on the kitchen lights", None, "light.turn_on light.bar light.ceiling"),
        ("turn on the lights in the lounge", None, "light.turn_on light.sofa"),
        ("turn off the upstairs lights", None, "light.turn_off light.desk_bedroom light.desk_study"),
        ("set the sofa lamp to 40%", None, "light.turn_on light.sofa brightness_pct=40"),
        ("set sofa lamp brightness to thirty five percent", None, "light.turn_on light.sofa brightness_pct=35"),
        ("make the sofa lamp red", None, "light.turn_on light.sofa color_name=red"),
        ("turn on the desk lamp", "study", "light.turn_on light.desk_study"),
        ("close the bedroom blind", None, "cover.close_cover cover.blind"),
        ("set bedroom blind to 50%", None, "cover.set_cover_position cover.blind position=50"),
        ("lock the front door", None, "lock.lock lock.door"),
        ("unlock the front door", None, "lock.unlock lock.door"),
        ("set the temperature to 21 degrees", "lounge", "climate.set_temperature climate.heating temperature=21"),
        ("set ceiling fan speed to 50", None, "fan.set_percentage fan.ceiling percentage=50"),
        ("volume up", "kitchen", "media_player.volume_up media_player.radio"),
        ("set radio volume to 30", None, "media_player.volume_set media_player.radio volume_level=0.3"),
        ("pause", "kitchen", "media_player.media_pause media_player.radio"),
        ("start dusty", None, "vacuum.start vacuum.dusty"),
        ("film night", None, "scene.turn_on scene.film"),
        ("is the front door locked", None, "query.state lock.door"),
        ("set a timer for 5 minutes", None, "intent.HassStartTimer"),
    ],
)
def test_strict_peer_acts_on_simple_sentences(text: str, area: str | None, want: str) -> None:
    """Hassil with Home Assistant's sentences does what Home Assistant does with plain commands."""
    answer = StrictPeer(HOME).answer(text, area=area)

    assert (answer.outcome, lines(answer.actions)) == ("act", [want])


@pytest.mark.parametrize(
    ("text", "area", "outcome"),
    [
        ("turn on the lava lamp", None, "reject"),
        ("turn on the desk lamp", None, "clarify"),
        ("turn on the router", None, "reject"),
        ("turn off the sofa lamp in ten minutes", None, "reject"),
        ("never mind", None, "reject"),
        ("set the temperature to 60 degrees", "lounge", "reject"),
        ("the weather was nice yesterday", None, "reject"),
    ],
)
def test_strict_peer_does_not_act_where_home_assistant_answers_an_error(text: str, area: str | None, outcome: str) -> None:
    """Unknown, hidden and ambiguous names, and values out of range, end without an action."""
    answer = StrictPeer(HOME).answer(text, area=area)

    assert (answer.outcome, answer.actions) == (outcome, ())


@pytest.mark.parametrize(
    ("text", "area", "want"),
    [
        ("打开主灯", None, "light.turn_on light.main"),
        ("把客厅的灯关掉", None, "light.turn_off light.main light.strip"),
        ("关灯", "bedroom", "light.turn_off light.head"),
        ("關閉吊扇", None, "fan.turn_off fan.big"),
    ],
)
def test_strict_peer_acts_on_simple_chinese(text: str, area: str | None, want: str) -> None:
    """Simplified text goes to zh-CN, traditional text to zh-TW."""
    assert lines(StrictPeer(HOME_ZH).answer(text, area=area).actions) == [want]


@needs_fallback
@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("switch the sofa lmp on", ["light.turn_on light.sofa"]),
        ("turn on the sofa lamp and close the bedroom blind", ["light.turn_on light.sofa", "cover.close_cover cover.blind"]),
    ],
)
def test_fallback_peer_hears_what_hassil_does_not(text: str, want: list[str]) -> None:
    """The gazetteer takes misspelt names and two commands in one sentence."""
    assert StrictPeer(HOME).answer(text).outcome == "reject"
    assert lines(FallbackPeer(HOME).answer(text).actions) == want


@needs_fallback
def test_fallback_peer_follows_a_pronoun() -> None:
    """What hassil did last is what "it" means to the gazetteer."""
    peer = FallbackPeer(HOME)
    before = peer.answer("turn on the sofa lamp")

    assert lines(peer.answer("turn it off", targets=before.targets).actions) == ["light.turn_off light.sofa"]


def test_fallback_peer_speaks_english_alone() -> None:
    """A Chinese home has hassil alone, as in Home Assistant."""
    assert list(peers(HOME_ZH)) == ["hassil"]
    assert "hassil" in peers(HOME)
    assert "hassil" in versions()


def test_peer_names_the_intent_of_a_device_it_does_not_know() -> None:
    """An unknown name is still heard as something to turn on."""
    assert StrictPeer(HOME).intents_of("turn on the lava lamp") == ("HassTurnOn",)


def test_handle_drops_a_colour_that_a_light_cannot_show() -> None:
    """Home Assistant turns such a light on without the colour: an action that nobody asked for."""
    handled = handle(HOME, "HassLightSet", {"name": "Kitchen Ceiling", "color": "blue", "domain": "light"})

    assert lines(handled.actions) == ["light.turn_on light.ceiling"]


def test_handle_asks_for_playing_where_it_is_known() -> None:
    """Only a player that plays skips a track; one whose state is unknown counts where none is known to play."""
    silent = Home.from_mapping(
        {
            "areas": [{"id": "a", "name": "A"}],
            "entities": [
                {"id": "media_player.x", "name": "X", "area": "a"},
                {"id": "media_player.y", "name": "Y", "area": "a", "state": "off"},
            ],
        }
    )

    assert lines(handle(HOME, "HassMediaNext", {"area": "Kitchen"}).actions) == ["media_player.media_next_track media_player.radio"]
    assert lines(handle(silent, "HassMediaNext", {"area": "A"}).actions) == ["media_player.media_next_track media_player.x"]


def test_handle_never_takes_the_whole_home() -> None:
    """A turn-off without any target is an error, not every device."""
    assert handle(HOME, "HassTurnOff", {}).outcome == "reject"


def decided(*actions: str, outcome: str = "act") -> Decision:
    """Return a decision with these actions."""
    return Decision(
        id="d", utterance=Utterance(text="x"), language="en", outcome=outcome, actions=tuple(parse_action(one) for one in actions)
    )


@pytest.mark.parametrize("want", ["light.turn_off light.all", "light.turn_off light.a light.b"])
def test_judge_with_groups_takes_a_group_or_its_members(want: str) -> None:
    """A peer that names a group and its members together is right where the case wants either."""
    entities = [
        {"id": "light.a", "name": "A"},
        {"id": "light.b", "name": "B"},
        {"id": "light.all", "name": "C", "members": ["light.a", "light.b"]},
    ]
    home = Home.from_mapping({"entities": entities})
    case = Case(say="x", wanted=((parse_action(want),),))

    assert judge_with_groups(case, decided("light.turn_off light.a light.all light.b"), home) == "right"
    assert judge_with_groups(case, decided("light.turn_off light.a light.all"), home) == "wrong_action"


def test_percentile_takes_the_next_higher_value() -> None:
    """The 99th percentile of a hundred values is the last but none."""
    assert percentile([float(number) for number in range(100)], 0.99) == 99.0
    assert percentile([1.0], 0.99) == 1.0


def write_set(folder: Path) -> None:
    """Write one set of two cases in each language."""
    for language, say in (("en", "turn on the lamp"), ("zh", "打开台灯")):
        name = "Lamp" if language == "en" else "台灯"
        (folder / language).mkdir()
        (folder / language / "tiny.home.yaml").write_text(
            f"language: {language}\nareas: [{{id: a, name: A}}]\nentities: [{{id: light.lamp, name: {name}, area: a}}]\n", encoding="utf-8"
        )
        (folder / language / "tiny.cases.yaml").write_text(
            f'- {{group: basic, say: "{say}", want: ["light.turn_on light.lamp"]}}\n- {{group: chat, say: "{say}", want: reject}}\n',
            encoding="utf-8",
        )


def test_read_sets_names_the_missing_file(tmp_path: Path) -> None:
    """A set that does not exist is a ConfigError with its path."""
    with pytest.raises(ConfigError, match=r"nowhere\.home\.yaml"):
        read_sets(tmp_path, ["nowhere"])


def test_page_has_every_system_and_group(tmp_path: Path) -> None:
    """A whole run writes the tables, the lists of wrong actions, the command, and a picture."""
    write_set(tmp_path)
    phases: list[str] = []

    scores = measure(read_sets(tmp_path, ["tiny"]), OnnxPolicy.load(BASE_FOLDER), progress=lambda phase, _done: phases.append(phase))
    human = (HumanScore(system=OURS, language="en", commands=10, understood=9, strangers=100, false_acts=0),)
    page = to_markdown(
        Measured(names=("tiny",), model="m", scores=scores, human=human),
        command="voice-rl-train scorecard",
        date="2026-01-02",
        picture="p.png",
    )
    draw(scores, tmp_path / "pictures" / "p.png")

    assert "cases" in phases
    assert {score.system for score in scores if score.language == "zh"} == {OURS, "hassil"}
    strict = [score.verdict for score in scores if score.system == "hassil"]
    assert strict == ["right", "wrong_action"] * 2
    assert "| English | hassil | 2 | 50.0 % | 1 (<= 97.5 %) | 0 |" in page
    assert "| English | voice_rl | 10 | 90.0 % | 100 | 0 (<= 2.95 %) |" in page
    assert "## What hassil gets wrong" in page
    assert "2026-01-02" in page
    assert (tmp_path / "pictures" / "p.png").stat().st_size > 1000


def test_measure_human_counts_commands_and_strangers() -> None:
    """Only development sentences count: commands that act, and chat on which nobody may act."""

    def sentence(text: str, mood: str, operation: str, *, is_dev: bool = True) -> HumanSentence:
        return HumanSentence(
            text=text,
            language="en",
            mood=mood,
            operation=operation,
            property="power",
            weight=1,
            group="g",
            source="s",
            intent="i",
            is_dev=is_dev,
        )

    said = [
        sentence("turn on the lava lamp", "command", "turn_on"),
        sentence("turn off the sofa lamp", "command", "turn_off", is_dev=False),
        sentence("what a lovely day", "chat", "none"),
    ]
    found = measure_human(said, {"en": HOME}, OnnxPolicy.load(BASE_FOLDER), progress=lambda _phase, _done: None)

    assert {(one.commands, one.strangers) for one in found} == {(1, 1)}
    assert next(one for one in found if one.system == "hassil").understood == 1
    assert all(one.false_acts == 0 for one in found)


def test_scorecard_command_leaves_the_closed_sets_out() -> None:
    """Without --only the command runs the open sets alone."""
    args = build_parser().parse_args(["scorecard"])

    assert args.only == "apartment,house,beyond"
