"""The whole loop on a real store: scripted decisions and feedback, a challenger, the gate, the model store; and its commands."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.learning.makers import make_feedback
from tests.training.makers import DEN_OFF, DESK_OFF, DESK_ON, FAN_ON, HOME, make_base, make_networks, make_transition
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import ConfigError, StoreError
from voice_rl_plugin.learning.archive import export_archive
from voice_rl_plugin.learning.models import ModelStore
from voice_rl_plugin.learning.store import ExperienceStore
from voice_rl_plugin.understanding.frames import decode
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy
from voice_rl_training import cli
from voice_rl_training.corpus.samples import Stage
from voice_rl_training.evaluation import TorchPolicy
from voice_rl_training.finetune import Lesson, finetune
from voice_rl_training.networks import Encoder, Scorer
from voice_rl_training.readings import LabelledSample
from voice_rl_training.recipe import RECIPES, FinetuneRecipe, PretrainRecipe, load_finetune_recipe, load_recipe
from voice_rl_training.relabel import relabel
from voice_rl_training.replay import generic_samples, home_samples
from voice_rl_training.retrain import Experience, load_experience, load_home, read_labels, retrain

NOW = 1_800_100_000.0
SMALL = FinetuneRecipe(
    least_labels=30,
    steps=60,
    learning_rate=0.02,
    term_learning_rate=0.2,
    drift_weight=0.1,
    penalty=1e-4,
    scorer_steps=30,
    generic_replay=30,
    home_replay=30,
    generic_choices=30,
    home_choices=30,
    calibration_samples=20,
    stranger_cases=40,
    home_cases=40,
    folds=2,
)
SAYINGS: tuple[tuple[str, tuple[Action, ...]], ...] = (
    ("lights out time", (DEN_OFF,)),
    ("睡觉觉", (DEN_OFF,)),
    ("let there be breeze", (FAN_ON,)),
    ("desk lamp on", (DESK_ON,)),
    ("desk lamp off", (DESK_OFF,)),
    ("what a nice lamp", ()),
)
FILLERS = ("", "please", "now", "hey", "come on", "okay", "well", "quick")


def scripted() -> list[tuple[str, tuple[Action, ...]]]:
    """Return what the household says, with what it wants."""
    return [(f"{text} {filler}".strip(), actions) for filler in FILLERS for text, actions in SAYINGS]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shipped base of untrained little networks."""
    return make_base(tmp_path_factory.mktemp("models") / "base", make_networks())


@pytest.fixture(scope="module")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store in which every decision was refused, and then corrected or confirmed; the daemon's home lies beside it."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "last_good_home.json").write_text(json.dumps(HOME.to_mapping()), encoding="utf-8")
    with ExperienceStore(folder, clock=lambda: NOW) as store:
        for number, (text, wanted) in enumerate(scripted()):
            at = NOW - 90_000 + 600 * number
            name = f"d{number}"
            store.record_decision(
                Decision(
                    id=name,
                    utterance=Utterance(text=text, language="en", area="den"),
                    language="en",
                    outcome="reject",
                    policy_version="base",
                    decided_at=at,
                )
            )
            verdict = "correct" if wanted else "yes"
            store.record_feedback(make_feedback(name, verdict, correction=wanted, at=at + 3.0))
    return folder


def operation_of(networks: tuple[Encoder, Scorer], sample: LabelledSample) -> str:
    """Return the operation that networks read in a sample's first clause."""
    return decode(TorchPolicy(*networks).read(sample.observation()))[0].operation


def no_progress(_phase: str, _done: float) -> None:
    """Show nothing."""


def test_read_labels_and_finetune_teach_own_phrases() -> None:
    """After fine-tuning the encoder reads this home's own phrases as their labels say, though the base did not."""
    networks = make_networks(seed=5)
    transitions = [make_transition(str(i), text, right=wanted, reward=-0.5, at=float(i)) for i, (text, wanted) in enumerate(scripted())]
    read = read_labels(relabel(transitions), Stage(home=HOME), TorchPolicy(*networks), progress=lambda _done: None)
    lesson = Lesson(
        labelled=read.samples,
        replay=generic_samples(20, seed=1),
        choices=home_samples(HOME, 20, seed=1),
        calibration=(),
        logged=read.logged,
    )

    encoder, scorer = finetune(
        networks,
        lesson,
        replace(SMALL, algorithm="logged_rewards", steps=200, learning_rate=0.05, drift_weight=0.02),
        progress=lambda _done: None,
    )

    taught = [sample for sample in read.samples if sample.clauses[0].operation is not None]
    assert len(read.samples) >= 0.8 * len(transitions)
    assert sum(operation_of(networks, sample) == sample.clauses[0].operation for sample in taught) < 0.3 * len(taught)
    assert sum(operation_of((encoder, scorer), sample) == sample.clauses[0].operation for sample in taught) >= 0.8 * len(taught)


def test_retrain_writes_a_gated_version(base: Path, store_folder: Path, tmp_path: Path) -> None:
    """From a real store to a version with manifest, metrics and gate report, which the daemon's policy loads."""
    models = ModelStore(tmp_path / "models", base=base)
    experience = load_experience(store_folder)
    phases: list[str] = []

    outcome = retrain(
        experience,
        home=load_home(None, store=store_folder),
        models=models,
        recipe=SMALL,
        now=NOW,
        progress=lambda phase, _done: phases.append(phase),
    )

    assert outcome.version is not None
    manifest = models.verify(outcome.version)
    assert manifest.parent == "base"
    assert manifest.data_hash == experience.data_hash
    assert manifest.metrics["labels"] == len(scripted())
    assert set(manifest.gate["checks"]) == {"memory", "golden", "strangers", "home", "labelled"}
    assert manifest.has_passed_gate == outcome.promoted == (models.champion_version() == outcome.version)
    assert OnnxPolicy.load(models.folder(outcome.version)).version == outcome.version
    assert outcome.version in outcome.report
    assert f"Off-policy, over {manifest.metrics['off_policy']['decisions']} judged decisions of the policy" in outcome.report
    assert "insufficient: " in manifest.metrics["off_policy"]["verdict"]
    assert {"reading labels", "replay", "training", "comparing: golden", "held-out labels"} <= set(phases)
    if not outcome.promoted:
        assert manifest.gate["failed_gate"] in outcome.result
        assert "base stays the champion" in outcome.result


def test_retrain_that_learns_nothing_is_its_base_and_passes(base: Path, store_folder: Path, tmp_path: Path) -> None:
    """A challenger that is the champion loses nothing: it passes the gate, is promoted, and is not made again from the same labels."""
    models = ModelStore(tmp_path / "models", base=base)
    idle = replace(SMALL, steps=0, scorer_steps=0, calibration_samples=0)
    experience = load_experience(store_folder)
    home = load_home(None, store=store_folder)

    outcome = retrain(experience, home=home, models=models, recipe=idle, now=NOW, progress=no_progress)
    again = retrain(experience, home=home, models=models, recipe=idle, now=NOW + 60, progress=no_progress)

    assert outcome.promoted, outcome.result
    assert models.champion_version() == outcome.version
    assert again.version is None
    assert "the same" in again.result


def test_retrain_with_too_few_labels_trains_nothing(base: Path, tmp_path: Path) -> None:
    """Under the least number of labels memory does the work, and that is said; the model store stays as it is."""
    models = ModelStore(tmp_path / "models", base=base)
    few = Experience(transitions=tuple(make_transition(str(i), f"lamp {i}", done=(DESK_ON,), right=(DESK_ON,)) for i in range(5)))

    outcome = retrain(few, home=HOME, models=models, recipe=FinetuneRecipe(), now=NOW, progress=no_progress)

    assert outcome.result.startswith("nothing was trained: 5 labels, at least 100 are needed")
    assert models.versions() == ("base",)


def test_load_experience_reads_an_archive(store_folder: Path, tmp_path: Path) -> None:
    """An exported archive on another machine gives the same labels as the store."""
    with ExperienceStore(store_folder) as store:
        export_archive(store, tmp_path / "experience.zip", now=NOW)

    assert load_experience(tmp_path / "experience.zip").data_hash == load_experience(store_folder).data_hash


def test_load_experience_and_home_say_what_is_missing(tmp_path: Path) -> None:
    """No store and no home are errors with the path."""
    with pytest.raises(StoreError, match="expected an experience store"):
        load_experience(tmp_path)
    with pytest.raises(ConfigError, match="--home"):
        load_home(None, store=tmp_path)


def test_cli_retrain_prints_json_progress(base: Path, store_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon reads one JSON object a line, with phase and percent, and the result at the end; the recipe comes from a file."""
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump(SMALL.to_mapping()), encoding="utf-8")
    command = ["retrain", "--store", str(store_folder), "--models", str(tmp_path / "models"), "--base", str(base), "--recipe", str(recipe)]

    code = cli.main([*command, "--json", "--no-promote", "--out-report", str(tmp_path / "report.md")])

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert all(isinstance(line["phase"], str) and 0 <= line["progress_pct"] <= 100 for line in lines)
    assert lines[-1]["phase"] == "done"
    assert lines[-1]["version"] in lines[-1]["result"]
    assert not lines[-1]["promoted"]
    assert "| check | passed | figure |" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "models").iterdir()] == [lines[-1]["version"]]


def test_cli_retrain_with_few_labels_ends_well(base: Path, store_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Too few labels is no failure: exit code 0 and one clear line."""
    code = cli.main(["retrain", "--store", str(store_folder), "--models", str(tmp_path), "--base", str(base), "--least-labels", "500"])

    assert code == 0
    assert capsys.readouterr().out.startswith("nothing was trained: 48 labels, at least 500 are needed")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["retrain", "--store", "nowhere", "--models", "m"], "expected an experience store"),
        (["retrain", "--store", "nowhere", "--models", "m", "--recipe", "nowhere.yaml"], "cannot be read as a recipe"),
        (["retrain", "--store", "nowhere", "--models", "m", "--algorithm", "magic"], "expected one of corrections_only, logged_rewards"),
        (["evaluate", "--model", "nowhere"], "expected a model folder"),
    ],
)
def test_cli_wrong_setup_is_one_line_and_code_2(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path or name ends with exit code 2 and one line that names it."""
    code = cli.main(arguments)

    error = capsys.readouterr().err
    assert code == 2
    assert complaint in error
    assert error.count("\n") == 1


def test_cli_finetune_evaluate_and_export_work_on_a_model(
    base: Path, store_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A challenger's graphs are written, measured, and exported anew."""
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump(replace(SMALL, steps=5, scorer_steps=5).to_mapping()), encoding="utf-8")
    home = tmp_path / "home.yaml"
    home.write_text(yaml.safe_dump(HOME.to_mapping()), encoding="utf-8")
    challenger = tmp_path / "challenger"
    shared = ["--store", str(store_folder), "--models", str(tmp_path / "models"), "--base", str(base), "--recipe", str(recipe)]

    assert cli.main(["finetune", *shared, "--out", str(challenger)]) == 0
    assert cli.main(["evaluate", "--model", str(challenger), "--home", str(home), "--cases", "20", "--json"]) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of itself
        assert cli.main(["export", "--model", str(challenger), "--out", str(tmp_path / "again")]) == 0

    out = capsys.readouterr().out
    cards = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert [card["set"] for card in cards] == ["golden", "strangers", "home"]
    assert all(card["cases"] > 0 for card in cards)
    assert OnnxPolicy.load(tmp_path / "again").version == "again"


def test_cli_corpus_checks_and_shows(capsys: pytest.CaptureFixture[str]) -> None:
    """The phrasebook is counted by voice, and sentences are printed with their gold."""
    assert cli.main(["corpus", "check"]) == 0
    assert cli.main(["corpus", "show", "--language", "zh", "--count", "3"]) == 0

    out = capsys.readouterr().out
    assert "zh stranger" in out
    assert out.count(" -> ") >= 3


def test_cli_every_command_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Each --help ends with a whole command line."""
    for command in (["pretrain"], ["corpus", "check"], ["corpus", "show"], ["retrain"], ["finetune"], ["evaluate"], ["export"], []):
        with pytest.raises(SystemExit) as ended:
            cli.main([*command, "--help"])
        assert ended.value.code == 0
        last = capsys.readouterr().out.strip().splitlines()
        assert last[-2:][0] == "example:"
        assert last[-1].startswith("  voice-rl-train")


def test_recipes_in_the_package_name_every_hyperparameter() -> None:
    """The shipped recipes are complete and are the defaults."""
    assert load_finetune_recipe(RECIPES / "home.yaml") == FinetuneRecipe()
    assert set(yaml.safe_load((RECIPES / "home.yaml").read_text())) == set(FinetuneRecipe().to_mapping())
    assert isinstance(load_recipe(RECIPES / "base.yaml"), PretrainRecipe)
    assert set(yaml.safe_load((RECIPES / "base.yaml").read_text())) == set(PretrainRecipe().to_mapping())


def test_recipe_names_the_wrong_key(tmp_path: Path) -> None:
    """An unknown or ill-typed hyperparameter is named."""
    (tmp_path / "a.yaml").write_text("stepps: 3\n")
    (tmp_path / "b.yaml").write_text("algorithm: 3\n")

    with pytest.raises(ConfigError, match="unknown key 'stepps'"):
        load_finetune_recipe(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match="algorithm: expected str"):
        load_finetune_recipe(tmp_path / "b.yaml")
