"""Retraining: the whole offline loop, from the experience store to a gated version in the model store.

transitions -> labels (hindsight) -> readings -> base + adapter, with replay -> policy.onnx -> champion and challenger compared -> gate -> promoted
"""

import hashlib
import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from voice_rl_plugin.deciding.memory import MemoryEntry
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.transition import Transition
from voice_rl_plugin.errors import ConfigError, StoreError
from voice_rl_plugin.learning.archive import import_archive
from voice_rl_plugin.learning.models import BASE, ModelStore
from voice_rl_plugin.learning.postgres import StoreServer
from voice_rl_plugin.learning.store import FILE_NAME, ExperienceStore
from voice_rl_plugin.understanding.features import FEATURE_VERSION
from voice_rl_plugin.understanding.onnx_policy import READER_FILE, SCORER_FILE, OnnxPolicy, Policy
from voice_rl_training.corpus.samples import Sample, Stage
from voice_rl_training.decision_rows import LoggedSample
from voice_rl_training.evaluation import (
    Case,
    Judged,
    TorchPolicy,
    cases_of_labels,
    cases_of_samples,
    golden_cases,
    hear_all,
    scorecard,
)
from voice_rl_training.finetune import Lesson, blend, finetune
from voice_rl_training.gate import GateReport, Pairs, judge_challenger
from voice_rl_training.networks import Encoder, Scorer
from voice_rl_training.ope import evaluate_on_log
from voice_rl_training.readings import LabelledSample, observe_label, read_label
from voice_rl_training.recipe import FinetuneRecipe
from voice_rl_training.relabel import Label, Relabelled, relabel
from voice_rl_training.replay import generic_samples, home_samples, languages_of
from voice_rl_training.report import model_card, retraining_report
from voice_rl_training.weights import load_networks, save_networks

_LOGGER = logging.getLogger(__name__)
LAST_GOOD_HOME = "last_good_home.json"
"""The home that the daemon keeps beside its store."""
SHARES = (1.0, 0.7, 0.5, 0.35, 0.2)
"""Steps from the base that are tried, longest first."""
LEAST_FOLD_LABELS = 20
"""A challenger fitted on fewer says nothing about the next ones."""
_FOLD_REPLAY = 500
_FOLD_CALIBRATION = 150
_REPLAY_SEED, _CALIBRATION_SEED, _CASES_SEED = 11, 12, 13

Progress = Callable[[str, float], None]
"""Called with a phase and how much of the whole is done, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What a store holds for the trainer."""

    transitions: tuple[Transition, ...]
    memory: tuple[MemoryEntry, ...] = ()

    @property
    def data_hash(self) -> str:
        """Return what differs when any label differs."""
        labels = [
            [t.decision_id, t.text, t.area, t.reward, t.weight, t.correction if t.correction is None else list(t.correction)]
            for t in self.transitions
            if t.reward is not None
        ]
        return hashlib.sha256(json.dumps(labels, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a retraining ended."""

    result: str
    """One line for people."""
    version: str | None = None
    """The new version in the store; None when nothing was trained."""
    promoted: bool = False
    gate: GateReport | None = None
    report: str = ""
    """The report as markdown."""
    measured: Mapping[str, Any] = field(default_factory=dict)


def load_experience(path: Path | StoreServer) -> Experience:
    """Read the experience out of a store, its folder, or an exported archive.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    if isinstance(path, StoreServer):
        with ExperienceStore(path, owns_file=False) as store:
            return Experience(transitions=tuple(store.transitions()), memory=store.load_memory())
    if path.suffix == ".zip":
        with tempfile.TemporaryDirectory() as scratch, ExperienceStore(Path(scratch) / FILE_NAME) as store:
            import_archive(store, path)
            return Experience(transitions=tuple(store.transitions()), memory=store.load_memory())
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise StoreError(f"{path}: expected an experience store or an archive of `voice-rl experience export`, found none")
    with ExperienceStore(file, owns_file=False) as store:
        return Experience(transitions=tuple(store.transitions()), memory=store.load_memory())


def load_home(path: Path | None, *, store: Path) -> Home:
    """Read a home file, or the home that the daemon keeps beside its store.

    Raises:
        ConfigError: there is none, or it is wrong.
    """
    file = path if path is not None else (store if store.is_dir() else store.parent) / LAST_GOOD_HOME
    try:
        mapping = yaml.safe_load(file.read_text(encoding="utf-8-sig"))  # JSON is YAML
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: expected the home's names, found no file; name it: --home home.yaml") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: cannot be read as a home: {error}") from error
    return Home.from_mapping(mapping, where=str(file))


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What could be made of the labels."""

    samples: tuple[LabelledSample, ...]
    logged: tuple[LoggedSample, ...]
    unreadable: tuple[Label, ...]
    """No reading gives their actions: memory holds them."""


def read_labels(relabelled: Relabelled, stage: Stage, policy: Policy, *, progress: Callable[[float], None]) -> Read:
    """Find how each label should have been read, starting from how the base reads it."""
    samples: list[LabelledSample] = []
    unreadable: list[Label] = []
    for number, label in enumerate(relabelled.labels):
        sample = _read(label, stage, policy)
        if sample is None:
            unreadable.append(label)
        else:
            samples.append(sample)
        progress((number + 1) / len(relabelled.labels))
    logged = []
    for one in relabelled.logged:
        sample = _read(one.label, stage, policy)
        if sample is not None:
            logged.append(LoggedSample(sample=sample, logged=one))
    return Read(samples=tuple(samples), logged=tuple(logged), unreadable=tuple(unreadable))


def _read(label: Label, stage: Stage, policy: Policy) -> LabelledSample | None:
    observation = observe_label(label, stage)
    return None if observation is None else read_label(label, stage, observation, policy.read(observation))


def retrain(
    experience: Experience,
    *,
    home: Home,
    models: ModelStore,
    recipe: FinetuneRecipe,
    now: float,
    promotes: bool = True,
    repeats: bool = False,
    sign: Callable[[bytes], bytes] | None = None,
    progress: Progress,
) -> Outcome:
    """Make a challenger, compare it with the champion, and put it to work if it loses nothing.

    Args:
        experience: the log.
        home: whose names it speaks of.
        models: where the base and the champion are, and the new version goes.
        recipe: every hyperparameter.
        now: Unix seconds.
        promotes: whether a challenger that passes the gate becomes the champion.
        repeats: train even if the champion was made from the same labels.
        sign: makes the signature of the new version's manifest.
        progress: told how far it is.

    Raises:
        ModelError: the base or the champion is damaged.
    """
    started = time.perf_counter()
    progress("relabelling", 0.0)
    relabelled = relabel(experience.transitions)
    if len(relabelled.labels) < recipe.least_labels:
        return Outcome(
            result=f"nothing was trained: {len(relabelled.labels)} labels, at least {recipe.least_labels} are needed; until then memory does the work"
        )
    champion_version = models.champion_version()
    parent = models.manifest(champion_version)
    if parent.data_hash == experience.data_hash and champion_version != BASE and not repeats:
        return Outcome(result=f"nothing was trained: {champion_version} was made from the same {len(relabelled.labels)} labels")
    models.verify(BASE)
    base_folder = models.folder(BASE)
    base_policy, champion = load_policy(base_folder, version=BASE), load_policy(models.champion(), version=champion_version)
    networks = load_networks(base_folder)
    stage = Stage(home=home)
    read = read_labels(relabelled, stage, TorchPolicy(*networks), progress=lambda done: progress("reading labels", 0.02 + 0.1 * done))
    lesson = make_lesson(read, home, recipe, progress=progress)
    tuned = finetune(networks, lesson, recipe, progress=lambda done: progress("training", 0.2 + 0.2 * done))
    share, (encoder, scorer) = farthest_step(networks, tuned, champion)
    trained_s = time.perf_counter() - started
    version = next_version(models, now)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_networks(encoder, scorer, base=base_folder, folder=folder)
        challenger = load_policy(folder, version=version)
        challenger.probe()
        pairs = compare(champion, challenger, home=home, memory=experience.memory, recipe=recipe, lesson=lesson, progress=progress)
        pairs["labelled"] = cross_fit(
            networks,
            read,
            relabelled.labels,
            home,
            recipe,
            lesson,
            share=share,
            before=lambda label: champion if champion_version != BASE and label.decided_at > parent.created_at else base_policy,
            progress=lambda done: progress("held-out labels", 0.7 + 0.28 * done),
        )
        gate = judge_challenger(pairs)
        measured = {
            "labels": len(relabelled.labels),
            "judged": relabelled.judged,
            "contested": relabelled.contested,
            "unreadable": len(read.unreadable),
            "algorithm": recipe.algorithm,
            "share": share,
            "train_s": round(trained_s, 1),
            "total_s": round(time.perf_counter() - started, 1),
            "recipe": recipe.to_mapping(),
            "off_policy": evaluate_on_log(experience.transitions, challenger, home).to_mapping(),
            "before": {name: scorecard(pair.champion).to_mapping() for name, pair in pairs.items()},
            "after": {name: scorecard(pair.challenger).to_mapping() for name, pair in pairs.items()},
        }
        manifest = {
            "version": version,
            "parent": champion_version,
            "base": BASE,
            "created_at": now,
            "tokenizer": FEATURE_VERSION,
            "features": FEATURE_VERSION,
            "feature_version": FEATURE_VERSION,
            "data_hash": experience.data_hash,
            "metrics": measured,
            "gate": gate.to_mapping(),
        }
        report = retraining_report(manifest, gate)
        (folder / "model_card.md").write_text(model_card(manifest), encoding="utf-8")
        models.add(folder, manifest, sign=sign)
    promoted = promotes and gate.passed
    if promoted:
        models.promote(version, at=now)
    if promoted:
        result = f"{version} passed the gate and is the champion"
    elif gate.passed:
        result = f"{version} passed the gate; `voice-rl models promote {version}` puts it to work"
    else:
        result = f"{version} failed the gate ({gate.failed_gate}); {champion_version} stays the champion"
    return Outcome(result=result, version=version, promoted=promoted, gate=gate, report=report, measured=measured)


def load_policy(folder: Path, *, version: str) -> OnnxPolicy:
    """Load the two graphs of a folder, with or without a manifest."""
    return OnnxPolicy((folder / READER_FILE).read_bytes(), (folder / SCORER_FILE).read_bytes(), version=version)


def next_version(models: ModelStore, now: float) -> str:
    """Return a free version: the day and a number."""
    day = time.strftime("%Y-%m-%d", time.localtime(now))
    taken = set(models.versions())
    return next(name for number in range(1, len(taken) + 2) if (name := f"{day}-{number}") not in taken)


def make_lesson(read: Read, home: Home, recipe: FinetuneRecipe, *, progress: Progress) -> Lesson:
    """Put labels, replay and calibration together."""
    languages = languages_of(home, {sample.language for sample in read.samples})
    replay: list[Sample] = generic_samples(recipe.generic_replay, seed=_REPLAY_SEED + recipe.seed)
    progress("replay", 0.14)
    replay += home_samples(home, recipe.home_replay, seed=_REPLAY_SEED + recipe.seed, languages=languages)
    progress("replay", 0.16)
    choices = generic_samples(recipe.generic_choices, seed=_REPLAY_SEED + recipe.seed, use="scorer", noise=0.3)
    choices += home_samples(home, recipe.home_choices, seed=_REPLAY_SEED + recipe.seed, use="scorer", languages=languages, noise=0.3)
    progress("replay", 0.18)
    half = recipe.calibration_samples // 2
    calibration = generic_samples(half, seed=_CALIBRATION_SEED, use="calibration")
    calibration += home_samples(home, recipe.calibration_samples - half, seed=_CALIBRATION_SEED, use="calibration", languages=languages)
    progress("replay", 0.2)
    return Lesson(
        labelled=read.samples, replay=_shuffled(replay), choices=_shuffled(choices), calibration=_shuffled(calibration), logged=read.logged
    )


def _shuffled(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples in an order of which every beginning is a fair part."""
    return sorted(samples, key=lambda sample: hashlib.sha256(" ".join(sample.words).encode()).digest())


def farthest_step(
    networks: tuple[Encoder, Scorer], tuned: tuple[Encoder, Scorer], champion: Policy
) -> tuple[float, tuple[Encoder, Scorer]]:
    """Return how far the challenger may go from the base without losing a golden case, and the networks there.

    A home's log is small beside the corpus, and a full step can push an ordinary sentence just below the line of acting. Where even the smallest
    step loses one, that step is returned, and the gate says what was lost.
    """
    golden = golden_cases()
    before = hear_all(champion, golden)
    for share in SHARES:
        mixed = blend(networks, tuned, share)
        if not Pairs(champion=before, challenger=hear_all(TorchPolicy(*mixed), golden)).lost():
            break
    return share, mixed


def compare(
    champion: Policy,
    challenger: Policy,
    *,
    home: Home,
    memory: Iterable[MemoryEntry],
    recipe: FinetuneRecipe,
    lesson: Lesson,
    progress: Progress,
) -> dict[str, Pairs]:
    """Let champion and challenger hear the same sentences: memory, the golden set, strangers, and this home's own names."""
    languages = languages_of(home, {sample.language for sample in lesson.labelled})
    entries = tuple(entry for entry in memory if not entry.is_contested)
    remembered = [Case(text=e.words, home=home, want=e.actions or "reject", area=e.area, group="memory") for e in entries]
    pairs = {
        "memory": Pairs(
            champion=hear_all(champion, remembered, memory=entries), challenger=hear_all(challenger, remembered, memory=entries)
        )
    }
    golden = golden_cases()
    pairs["golden"] = Pairs(champion=hear_all(champion, golden), challenger=hear_all(challenger, golden))
    progress("comparing: golden", 0.42)
    made = {
        "strangers": generic_samples(recipe.stranger_cases, seed=_CASES_SEED, use="stranger", languages=languages),
        "home": home_samples(home, recipe.home_cases, seed=_CASES_SEED, use="stranger", languages=languages),
    }
    for number, (name, samples) in enumerate(made.items()):
        cases = list(cases_of_samples(samples))
        before = hear_all(champion, cases)
        progress(f"comparing: {name}", 0.48 + 0.14 * number)
        pairs[name] = Pairs(champion=before, challenger=hear_all(challenger, cases))
        progress(f"comparing: {name}", 0.55 + 0.14 * number)
    return pairs


def cross_fit(
    networks: tuple[Encoder, Scorer],
    read: Read,
    labels: Sequence[Label],
    home: Home,
    recipe: FinetuneRecipe,
    lesson: Lesson,
    *,
    share: float,
    before: Callable[[Label], Policy],
    progress: Callable[[float], None],
) -> Pairs:
    """Judge each part of the log by a challenger fitted on the earlier parts alone, and never on the same words in the same place.

    Args:
        networks: the base.
        read: the readings of the labels.
        labels: all labels, oldest first.
        home: whose names they speak of.
        recipe: every hyperparameter.
        lesson: replay and calibration; a part of each is used.
        share: how far the challenger goes from the base.
        before: the policy to compare with, for a label: one that was not fitted on it either.
        progress: told how far it is.
    """
    champion: list[Judged] = []
    challenger: list[Judged] = []
    bounds = [len(labels) * part // (recipe.folds + 1) for part in range(recipe.folds + 2)]
    for fold in range(1, recipe.folds + 1):
        held_out = labels[bounds[fold] : bounds[fold + 1]]
        groups = {label.group for label in held_out}
        earlier = {label.decision_id for label in labels[: bounds[fold]] if label.group not in groups}
        samples = [sample for sample in read.samples if sample.label.decision_id in earlier]
        progress((fold - 1) / recipe.folds)
        if len(samples) < LEAST_FOLD_LABELS or not held_out:
            continue
        part = Lesson(
            labelled=samples,
            replay=lesson.replay[:_FOLD_REPLAY],
            choices=lesson.choices[:_FOLD_REPLAY],
            calibration=lesson.calibration[:_FOLD_CALIBRATION],
            logged=[one for one in lesson.logged if one.sample.label.decision_id in earlier],
        )
        fitted = TorchPolicy(*blend(networks, finetune(networks, part, recipe, progress=lambda _done: None), share))
        cases = cases_of_labels(held_out, home)
        challenger += hear_all(fitted, cases)
        for label, case in zip(held_out, cases, strict=True):
            champion += hear_all(before(label), [case])
    progress(1.0)
    return Pairs(champion=champion, challenger=challenger)
