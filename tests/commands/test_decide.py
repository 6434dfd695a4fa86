"""`voice-rl decide` and `voice-rl evaluate` with the shipped model, and what very plain sentences do."""

import json
from pathlib import Path

import pytest

from voice_rl_plugin.cli import main
from voice_rl_plugin.deciding.cases import Case, decide_case
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy

EXAMPLES = Path(__file__).parents[2] / "examples"
HOMES = {language: EXAMPLES / f"home.{language}.yaml" for language in ("en", "zh")}


@pytest.fixture(scope="module")
def deciders() -> dict[str, Decider]:
    """Return a decider with the shipped model in each example home."""
    policy = OnnxPolicy.load(BASE_FOLDER)
    return {language: Decider(policy=policy, home=load_home(path), memory=Memory()) for language, path in HOMES.items()}


@pytest.mark.parametrize(
    ("language", "text", "area", "line"),
    [
        ("en", "turn on the sofa lamp", "living_room", "light.turn_on light.sofa_lamp"),
        ("en", "turn off the hall light", "kitchen", "light.turn_off light.hall_light"),
        ("en", "turn on the coffee machine", "kitchen", "switch.turn_on switch.coffee_machine"),
        ("en", "set the sofa lamp to 40 percent", "living_room", "light.turn_on light.sofa_lamp brightness_pct=40"),
        ("zh", "打开沙发灯", "living_room", "light.turn_on light.sofa_lamp"),
        ("zh", "关掉玄关灯", "kitchen", "light.turn_off light.hall_light"),
        ("zh", "打开咖啡机", "kitchen", "switch.turn_on switch.coffee_machine"),
        ("zh", "把沙发灯调到百分之四十", "living_room", "light.turn_on light.sofa_lamp brightness_pct=40"),
    ],
)
def test_very_plain_sentences_act_right(deciders: dict[str, Decider], language: str, text: str, area: str, line: str) -> None:
    """A plain command that names a device by its full name does just that, in both languages."""
    decision = decide_case(deciders[language], Case(say=text, area=area))

    assert (decision.outcome, [a.to_line() for a in decision.actions]) == ("act", [line])


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "don't turn on the sofa lamp"),
        ("en", "don't turn off the hall light"),
        ("en", "please do not open the bedroom blind"),
        ("en", "never unlock the front door"),
        ("zh", "别打开沙发灯"),
        ("zh", "不要关掉玄关灯"),
        ("zh", "千万别打开大门"),
    ],
)
def test_prohibitions_never_act(deciders: dict[str, Decider], language: str, text: str) -> None:
    """In speech, "don't ..." does nothing, in both languages."""
    assert decide_case(deciders[language], Case(say=text, area="living_room")).actions == ()


@pytest.mark.parametrize(("language", "text"), [("en", "unlock the front door"), ("zh", "把大门解锁")])
def test_unlocking_never_acts_at_once(deciders: dict[str, Decider], language: str, text: str) -> None:
    """A door is never unlocked without a question."""
    assert decide_case(deciders[language], Case(say=text, area="hall")).actions == ()


@pytest.mark.parametrize(("language", "text"), [("en", "sofa lamp"), ("en", "turn on the pool lights"), ("zh", "打开泳池灯")])
def test_bare_and_unknown_names_never_act(deciders: dict[str, Decider], language: str, text: str) -> None:
    """A name alone and a name that this home lacks do nothing."""
    assert decide_case(deciders[language], Case(say=text, area="kitchen")).actions == ()


def test_decide_prints_the_decision_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """The dry run says the outcome, the actions, and what was considered."""
    code = main(["decide", "turn on the sofa lamp", "--home", str(HOMES["en"]), "--area", "Living Room"])
    said = capsys.readouterr().out

    assert code == 0
    assert said.startswith("act: ")
    assert "  light.turn_on light.sofa_lamp\n" in said
    assert "considered:" in said


def test_decide_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json a program reads outcome, actions and candidates."""
    code = main(["decide", "打开沙发灯", "--home", str(HOMES["zh"]), "--area", "living_room", "--json"])
    decision = json.loads(capsys.readouterr().out)

    assert code == 0
    assert decision["outcome"] == "act"
    assert decision["actions"][0]["target"] == {"entity_id": ["light.sofa_lamp"]}
    assert decision["candidates"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["decide", "x", "--home", str(HOMES["en"]), "--area", "cellar"], "--area: expected one of kitchen"),
        (["decide", "x", "--home", "/nowhere/home.yaml"], "cannot be read"),
        (["decide", "x", "--home", str(HOMES["en"]), "--model", "/nowhere"], "manifest.json"),
        (["evaluate", "--home", str(HOMES["en"]), "--cases", "/nowhere.yaml"], "cannot be read"),
    ],
)
def test_a_wrong_setup_is_one_line_and_exit_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong area, home, model or case file ends with one line on stderr."""
    code = main(arguments)
    said = capsys.readouterr()

    assert (code, said.out) == (2, "")
    assert message in said.err
    assert said.err.count("\n") == 1


def test_evaluate_scores_and_writes_a_line_a_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The scorecard counts per group, and the results file holds one line a case."""
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "- {group: basic, say: turn on the sofa lamp, area: living_room, want: [light.turn_on light.sofa_lamp]}\n"
        "- {group: basic, say: turn on the sofa lamp, area: living_room, want: [light.turn_on light.floor_lamp]}\n"
        "- {group: oos, say: don't turn on the sofa lamp, area: living_room, want: reject}\n",
        encoding="utf-8",
    )
    code = main(["evaluate", "--home", str(HOMES["en"]), "--cases", str(cases), "--json", str(tmp_path / "out.jsonl"), "--misses"])
    said = capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]

    assert code == 0
    assert "| basic | 2 | 50.0 % | 1 = 50.0 %" in said
    assert "| **all** | 3 |" in said
    assert "wanted light.turn_on light.floor_lamp" in said
    assert [row["i"] for row in rows] == [0, 1, 2]
    assert rows[0]["actions"] == [{"service": "light.turn_on", "targets": ["light.sofa_lamp"], "data": {}}]


@pytest.mark.parametrize("command", ["decide", "evaluate"])
def test_help_ends_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command shows how it is called."""
    with pytest.raises(SystemExit):
        main([command, "--help"])

    assert "example" in capsys.readouterr().out
