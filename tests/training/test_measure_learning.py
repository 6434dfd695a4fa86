"""The commands that play and measure, on one little household, with the shipped base."""

import json
import math
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.training.makers import DESK_OFF, DESK_ON, make_transition
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_training import algorithms, cli
from voice_rl_training.evaluation import golden_cases
from voice_rl_training.learning_page import difference, share, to_markdown
from voice_rl_training.measure_learning import BASE_ROW, MEMORY_ROW, ROWS, SETS, Job, Plan, measure, run_job
from voice_rl_training.recipe import RECIPES, FinetuneRecipe, load_finetune_recipe
from voice_rl_training.simulate import bandit
from voice_rl_training.simulate.family import Habits
from voice_rl_training.simulate.fitting import shuffled, taught_by
from voice_rl_training.simulate.play import PEER, Setting, family_of, play

QUICK = FinetuneRecipe(
    steps=3,
    scorer_steps=3,
    generic_replay=8,
    home_replay=8,
    generic_choices=8,
    home_choices=8,
    labelled_a_step=16,
    replay_a_step=16,
)
PLAN = Plan(languages=("en",), households=1, seeds=1, checkpoints=(60,), least_labels=8, base=BASE_FOLDER, recipe=QUICK, controls=False)


@pytest.fixture(scope="module")
def line() -> dict[str, object]:
    """Return one household measured, with few sentences of each set and few golden cases to step by."""
    golden = golden_cases()[::12]
    with pytest.MonkeyPatch.context() as patched:
        for name in ("_ORDINARY", "_STREAM", "_NEAR_MISSES"):
            patched.setattr(f"voice_rl_training.measure_learning.{name}", 30)
        patched.setattr("voice_rl_training.retrain.golden_cases", lambda: golden)
        return run_job(PLAN, Job(language="en", household=0, seed=0))


def test_a_job_measures_every_row_at_every_checkpoint(line: dict[str, object]) -> None:
    """Each row has counts for all sets at every checkpoint, over the same number of sentences."""
    rows = line["rows"]
    assert isinstance(rows, list)
    expected = {(row, at) for row in ROWS for at in PLAN.checkpoints if row != PEER or bandit.is_installed()}

    assert {(one["row"], one["at"]) for one in rows} == expected
    assert all(set(one["counts"]) == set(SETS) for one in rows)
    for name in ("ordinary", "stream", "near miss"):
        assert len({sum(one["counts"][name].values()) for one in rows}) == 1


def test_memory_remembers_what_was_corrected_and_the_frozen_base_does_not(line: dict[str, object]) -> None:
    """The same words in the same place are right after one right correction, and only there: the base had them wrong."""
    rows = line["rows"]
    assert isinstance(rows, list)
    last = {one["row"]: one["counts"]["corrected"] for one in rows if one["at"] == PLAN.checkpoints[-1]}

    assert sum(last[MEMORY_ROW].values()) >= 5
    assert last[MEMORY_ROW]["right"] >= 0.8 * sum(last[MEMORY_ROW].values())
    assert last[BASE_ROW]["right"] < last[MEMORY_ROW]["right"]


def test_measure_goes_on_where_it_stopped(tmp_path: Path, line: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A household that has its line is not measured again; a torn last line is."""
    path = tmp_path / f"learning-{PLAN.fingerprint()}.jsonl"
    path.write_text(json.dumps(line) + "\n" + '{"job": "en 0', encoding="utf-8")
    monkeypatch.setattr("voice_rl_training.measure_learning.run_job", lambda _plan, job: pytest.fail(f"measured {job} again"))

    assert measure(PLAN, work=tmp_path, processes=1, progress=lambda _phase, _done: None) == [json.loads(json.dumps(line))]


def test_another_recipe_is_another_measurement() -> None:
    """What changes the outcome changes the fingerprint; how many households there are does not."""
    assert replace(PLAN, recipe=replace(QUICK, steps=4)).fingerprint() != PLAN.fingerprint()
    assert replace(PLAN, corrects=0.3).fingerprint() != PLAN.fingerprint()
    assert replace(PLAN, households=9, seeds=3).fingerprint() == PLAN.fingerprint()


def test_the_page_shows_all_rows_and_says_what_follows(line: dict[str, object]) -> None:
    """Each row stands in the table with its figures, every other algorithm beside corrections only, and whether one of them wins."""
    page = to_markdown([line], PLAN, command="voice-rl-train measure-learning", date="2026-01-01", picture="p.png")

    for row in ROWS:
        if row != PEER or bandit.is_installed():
            assert f"| {row} | 60 |" in page
    assert "## What follows" in page
    assert f"- {algorithms.NAMES[1]} against corrections only after 60: own phrases unheard " in page
    assert "beats corrections only" in page
    assert "Forgetting on human text was not measured" in page


def test_share_and_difference_by_hand() -> None:
    """3 of 4 and 1 of 4 are 50 of 100; 3 more hits of 4 in one job and none in the other are 37.5 points."""
    found = share([(3, 4), (1, 4), (0, 0)])
    counts = [{"right": hits, "asked": 4 - hits} for hits in (3, 1, 0, 1)]
    lines = [
        {"rows": [{"row": "a", "at": 1, "counts": {"s": counts[0]}}, {"row": "b", "at": 1, "counts": {"s": counts[2]}}]},
        {"rows": [{"row": "a", "at": 1, "counts": {"s": counts[1]}}, {"row": "b", "at": 1, "counts": {"s": counts[3]}}]},
    ]
    gain = difference(lines, "a", "b", at=1, set_name="s", verdict="right")

    assert found.value == 50.0
    assert (found.low, found.high) == (25.0, 75.0)
    assert gain is not None
    assert (gain.value, gain.low, gain.high) == (37.5, 0.0, 75.0)
    assert math.isnan(share([]).value)
    assert difference(lines, "a", "missing", at=1, set_name="s", verdict="right") is None


def test_shuffled_labels_keep_the_sentences_and_mix_the_actions() -> None:
    """The control has the same sentences and the same actions, no longer together, and no logged rewards."""
    log = [make_transition(str(i), f"lamp {i}", right=(DESK_ON,) if i % 2 else (DESK_OFF,), reward=-0.5, at=float(i)) for i in range(40)]
    found = taught_by(log)
    mixed = shuffled(found, Random(1))

    assert [label.text for label in mixed.labels] == [label.text for label in found.labels]
    assert sorted(label.key for label in mixed.labels) == sorted(label.key for label in found.labels)
    assert 5 < sum(a.key != b.key for a, b in zip(found.labels, mixed.labels, strict=True)) < 35
    assert mixed.logged == ()


@pytest.mark.skipif(not bandit.is_installed(), reason="the peer is optional")
def test_the_peer_lives_in_a_household_and_learns() -> None:
    """Vowpal Wabbit plays the same stream; what it was told of a sentence it does the next time, without exploring."""
    setting = Setting(language="en", households=1, seeds=1, interactions=30)
    lived = play(PEER, setting, household=0, seed=0, base=BASE_FOLDER, recipe=QUICK, progress=lambda _done: None)
    same = play("base", setting, household=0, seed=0, base=BASE_FOLDER, recipe=QUICK, progress=lambda _done: None)

    assert [one.said.text for one in lived] == [one.said.text for one in same]
    assert {one.decision.policy_version for one in lived if one.decision is not None} == {"vowpalwabbit"}


def test_a_trained_policy_lives_on_with_its_challenger(monkeypatch: pytest.MonkeyPatch) -> None:
    """An algorithm retrains on the way, and its challenger decides from then on."""
    monkeypatch.setattr("voice_rl_training.simulate.play.RETRAIN_EVERY", 40)
    setting = Setting(language="zh", households=1, seeds=1, interactions=60)

    lived = play(
        algorithms.DEFAULT,
        setting,
        household=0,
        seed=0,
        base=BASE_FOLDER,
        recipe=replace(QUICK, least_labels=3),
        progress=lambda _done: None,
    )
    versions = [one.decision.policy_version for one in lived if one.decision is not None]

    assert set(versions[:40]) == {"base"}
    assert set(versions[40:]) == {algorithms.DEFAULT}


def test_simulate_writes_table_and_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command plays two policies and leaves a markdown table and a picture."""
    out = tmp_path / "played.md"
    arguments = "simulate --language zh --households 1 --seeds 1 --interactions 40 --policy base,memory --out".split()

    assert cli.main([*arguments, str(out)]) == 0

    table = out.read_text(encoding="utf-8")
    assert table in capsys.readouterr().out
    assert "| base |" in table
    assert "| memory |" in table
    assert (tmp_path / "played.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("simulate --policy base,guessing", "--policy: expected some of base, memory"),
        ("simulate --lies 3", "expected shares in"),
        ("simulate --households 0", "expected at least 1 household"),
        ("measure-learning --languages fr", "--languages: expected some of en, zh"),
        ("measure-learning --checkpoints 200,50", "expected rising numbers"),
        ("measure-learning --checkpoints many", "expected numbers such as 50,200,1000"),
        ("measure-learning --corrects 2", "--corrects and --own: expected shares"),
        ("measure-learning --processes 0", "--processes: expected at least 1"),
    ],
)
def test_wrong_settings_are_one_line(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong setting ends with exit code 2 and one line that says what was expected."""
    assert cli.main(arguments.split()) == 2

    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1


def test_every_algorithm_can_be_chosen_in_the_recipe(tmp_path: Path) -> None:
    """`algorithm:` in a recipe takes every name of the family; the shipped one is the default."""
    text = (RECIPES / "home.yaml").read_text(encoding="utf-8")

    assert load_finetune_recipe(RECIPES / "home.yaml").algorithm == algorithms.DEFAULT
    for name in algorithms.NAMES:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text.replace(f"algorithm: {algorithms.DEFAULT}", f"algorithm: {name}"), encoding="utf-8")
        assert load_finetune_recipe(path).algorithm == name


def test_families_of_two_seeds_differ() -> None:
    """A household's seed decides who lives there."""
    one, other = (family_of("en", 0, seed, Habits()) for seed in (0, 1))

    assert [phrase.actions for phrase in one.own_phrases] != [phrase.actions for phrase in other.own_phrases]


@pytest.mark.parametrize("name", ["simulate", "measure-learning"])
def test_the_examples_of_the_commands_are_accepted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each command ends with an example that its own parser takes."""
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    example = capsys.readouterr().out.strip().splitlines()[-1].split()

    assert example[:2] == ["voice-rl-train", name]
    assert callable(cli.build_parser().parse_args(example[1:]).run)
