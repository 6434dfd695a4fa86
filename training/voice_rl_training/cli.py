"""The command line `voice-rl-train`: makes the base from source, and challengers from a home's log.

Each command imports what it needs: torch takes seconds to load, and --help and a wrong option answer at once.
"""
# ruff: noqa: PLC0415

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from voice_rl_plugin.config import load_config
from voice_rl_plugin.errors import ConfigError, VoiceRlError
from voice_rl_plugin.learning.models import BASE, BASE_FOLDER, ModelStore, probe_in_child
from voice_rl_plugin.learning.postgres import place_of
from voice_rl_plugin.learning.signing import signature_check, signer

EXIT_WRONG_SETUP = 2
EXIT_STOPPED = 130
_BAR = 30
_SHOWN_ROWS = 5
Run = Callable[[argparse.Namespace], int]


class Bar:
    """A progress bar on stderr, or one JSON object a line on stdout for a program."""

    def __init__(self, *, as_json: bool = False, is_silent: bool = False) -> None:
        self._is_silent = is_silent
        self._as_json = as_json
        self._last = ("", -1)
        self._is_open = False

    def __call__(self, phase: str, done: float) -> None:
        """Show how much of a phase is done."""
        percent = min(100, max(0, round(100 * done)))
        if self._is_silent or (phase, percent) == self._last:
            return
        self._last = (phase, percent)
        if self._as_json:
            print(json.dumps({"phase": phase, "progress_pct": percent}), flush=True)
        elif sys.stderr.isatty():
            filled = _BAR * percent // 100
            print(f"\r\x1b[K{phase:<28} {'#' * filled}{'.' * (_BAR - filled)} {percent:3} %", end="", file=sys.stderr, flush=True)
            self._is_open = True
        elif percent % 10 == 0:
            print(f"{phase}: {percent} %", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line."""
        if self._is_open:
            print(file=sys.stderr)
            self._is_open = False


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="voice-rl-train",
        description="Trains the policy of a home's voice: the base from source, and challengers from a home's own log.",
        epilog="example:\n  voice-rl-train retrain --store ~/.local/share/voice_rl/store --models ~/.local/share/voice_rl/models",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_pretrain(commands)
    _add_corpus(commands)
    _add_retrain(commands)
    _add_finetune(commands)
    _add_evaluate(commands)
    _add_export(commands)
    _add_scorecard(commands)
    _add_rehearse(commands)
    _add_ablate(commands)
    _add_households(commands)
    return parser


def _command(commands: Any, name: str, words: str, *, run: Run, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=words,
        description=words[:1].upper() + words[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_pretrain(commands: Any) -> None:
    parser = _command(
        commands,
        "pretrain",
        "make the base model from source; an interrupted run goes on where it stopped",
        run=_pretrain,
        example="voice-rl-train pretrain --recipe base.yaml --human data/ --work build/ --out models/base --processes 4",
    )
    parser.add_argument("--recipe", metavar="FILE", type=Path, help="hyperparameters; the shipped base.yaml when missing")
    parser.add_argument("--human", metavar="DIR", type=Path, help="folder of human sentences; none when missing")
    parser.add_argument(
        "--work", metavar="DIR", type=Path, default=Path("build/pretrain"), help="corpus and checkpoints (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--version", default=BASE, help="its version (default: %(default)s)")
    parser.add_argument(
        "--processes", metavar="N", type=int, default=os.cpu_count() or 1, help="processes that make the corpus (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="progress as JSON lines")


def _add_corpus(commands: Any) -> None:
    family = commands.add_parser(
        "corpus",
        help="check the phrasebook, or show what it makes",
        epilog="example:\n  voice-rl-train corpus show --language zh --count 5",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = family.add_subparsers(title="actions", metavar="ACTION", required=True)
    _command(actions, "check", "read the whole phrasebook and count its frames", run=_corpus_check, example="voice-rl-train corpus check")
    show = _command(
        actions,
        "show",
        "print labelled sentences in random homes",
        run=_corpus_show,
        example="voice-rl-train corpus show --language zh --count 5",
    )
    show.add_argument("--language", choices=("en", "zh"), default="en")
    show.add_argument("--count", type=int, default=10, metavar="N")
    show.add_argument("--seed", type=int, default=1, metavar="N")
    show.add_argument("--use", choices=("encoder", "scorer", "calibration", "stranger"), default="encoder", help="which frames")


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="the daemon's configuration; searched for when missing")
    parser.add_argument("--store", metavar="PATH", type=Path, help="the experience store, its folder, or an exported archive")
    parser.add_argument("--models", metavar="DIR", type=Path, help="the model store")
    parser.add_argument("--base", metavar="DIR", type=Path, default=BASE_FOLDER, help="the base model; the shipped one when missing")
    parser.add_argument("--home", metavar="FILE", type=Path, help="the home; the one kept beside the store when missing")
    parser.add_argument("--recipe", metavar="FILE", type=Path, help="hyperparameters; the shipped home.yaml when missing")
    parser.add_argument("--least-labels", metavar="N", type=int, help="train from this many labels on (default: the recipe's)")
    parser.add_argument(
        "--algorithm", metavar="NAME", help="corrections_only, logged_rewards, q_learning, sarsa or policy_gradient (default: the recipe's)"
    )
    parser.add_argument(
        "--threads", metavar="N", type=int, default=1, help="threads of torch; more are slower where others are busy (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="progress and result as JSON lines")


def _add_retrain(commands: Any) -> None:
    parser = _command(
        commands,
        "retrain",
        "learn from the log: train a challenger, compare it with the champion, promote it if it loses nothing",
        run=_retrain,
        example="voice-rl-train retrain --store store/ --models models/ --out-report retraining.md",
    )
    _add_store(parser)
    parser.add_argument("--out-report", metavar="FILE", type=Path, help="where the report goes, as markdown")
    parser.add_argument(
        "--promote", action=argparse.BooleanOptionalAction, default=True, help="promote a challenger that passes the gate (default: yes)"
    )
    parser.add_argument("--force", action="store_true", help="train even if the champion was made from the same labels")
    parser.add_argument("--sign", metavar="KEY", type=Path, help="sign the new version with this Ed25519 private key (PEM)")


def _add_finetune(commands: Any) -> None:
    parser = _command(
        commands,
        "finetune",
        "train a challenger from the log and write its graphs, without gate or model store",
        run=_finetune,
        example="voice-rl-train finetune --store store/ --home home.yaml --out /tmp/challenger",
    )
    _add_store(parser)
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder to write")


def _add_evaluate(commands: Any) -> None:
    parser = _command(
        commands,
        "evaluate",
        "measure a model: golden set, a voice never trained on, and a home's own names",
        run=_evaluate,
        example="voice-rl-train evaluate --model models/base --home home.yaml",
    )
    parser.add_argument("--model", metavar="DIR", type=Path, default=BASE_FOLDER, help="the model folder; the shipped base when missing")
    parser.add_argument("--home", metavar="FILE", type=Path, help="also ordinary commands in this home")
    parser.add_argument("--cases", metavar="N", type=int, default=1000, help="sentences of each kind (default: %(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_export(commands: Any) -> None:
    parser = _command(
        commands,
        "export",
        "write a model's networks as ONNX anew, checked against torch",
        run=_export,
        example="voice-rl-train export --model models/base --out /tmp/exported",
    )
    parser.add_argument("--model", metavar="DIR", type=Path, default=BASE_FOLDER, help="the model folder; the shipped base when missing")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder to write")
    parser.add_argument("--version", help="its version (default: the folder's name)")
    parser.add_argument("--sign", metavar="KEY", type=Path, help="sign the manifest with this Ed25519 private key (PEM)")


def _add_scorecard(commands: Any) -> None:
    parser = _command(
        commands,
        "scorecard",
        "measure a model beside Home Assistant's own recognisers, on the same homes and sentences",
        run=_scorecard,
        example="voice-rl-train scorecard --only apartment,house --human data/",
    )
    parser.add_argument("--cases", metavar="DIR", type=Path, default=Path("tests/cases"), help="homes and cases (default: %(default)s)")
    parser.add_argument("--only", metavar="NAMES", default="apartment,house,beyond", help="the sets to run (default: %(default)s)")
    parser.add_argument("--totals", action="store_true", help="print no sentence, so that a closing set stays unseen")
    parser.add_argument("--human", metavar="DIR", type=Path, help="folder of human sentences; none when missing")
    parser.add_argument("--demo-homes", metavar="DIR", type=Path, default=Path("examples"), help="their homes (default: %(default)s)")
    parser.add_argument("--model", metavar="DIR", type=Path, default=BASE_FOLDER, help="the model folder; the shipped base when missing")
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("docs/scorecard.md"), help="the page (default: %(default)s)")


def _add_rehearse(commands: Any) -> None:
    parser = _command(
        commands,
        "rehearse",
        "let a scripted household correct a model, retrain it, and show before and after",
        run=_rehearse,
        example="voice-rl-train rehearse --home examples/home.en.yaml --language en --interactions 200",
    )
    parser.add_argument("--home", metavar="FILE", type=Path, required=True, help="where the household lives")
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="what they speak (default: %(default)s)")
    parser.add_argument("--interactions", metavar="N", type=int, default=200, help="how often they speak (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of everything (default: %(default)s)")
    parser.add_argument("--recipe", metavar="FILE", type=Path, help="how the challenger is made; the shipped home.yaml when missing")
    parser.add_argument(
        "--model", metavar="DIR", type=Path, default=BASE_FOLDER, help="the model to start from (default: the shipped base)"
    )


def _add_ablate(commands: Any) -> None:
    parser = _command(
        commands,
        "ablate",
        "make small bases without one part each, over several seeds, and compare them; an interrupted run goes on where it stopped",
        run=_ablate,
        example="voice-rl-train ablate --seeds 1,2,3 --only base,no_ngram --human data/ --out docs/ablation.md",
    )
    parser.add_argument("--recipe", metavar="FILE", type=Path, help="how the base is made; the shipped ablation.yaml when missing")
    parser.add_argument("--seeds", metavar="NUMBERS", default="1,2,3", help="one run of each variant a seed (default: %(default)s)")
    parser.add_argument(
        "--only",
        metavar="NAMES",
        help="of base, no_ngram, no_lexical, no_phonetics, no_human, no_phrasebook; the base always runs (default: all)",
    )
    parser.add_argument("--human", metavar="DIR", type=Path, help="folder of human sentences; none when missing, and no_human is refused")
    parser.add_argument("--cases", metavar="DIR", type=Path, default=Path("tests/cases"), help="homes and cases (default: %(default)s)")
    parser.add_argument("--homes", metavar="NAMES", default="apartment,house,villa,studio", help="the homes (default: %(default)s)")
    parser.add_argument("--samples", metavar="N", type=int, default=1000, help="the stranger's, a language (default: %(default)s)")
    parser.add_argument(
        "--work",
        metavar="DIR",
        type=Path,
        default=Path("build/ablation"),
        help="corpora, checkpoints and results.jsonl; take another one after a change of the corpus or the code (default: %(default)s)",
    )
    parser.add_argument(
        "--processes", metavar="N", type=int, default=os.cpu_count() or 1, help="processes that make the corpus (default: %(default)s)"
    )
    parser.add_argument("--threads", metavar="N", type=int, default=2, help="threads of torch (default: %(default)s)")
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("docs/ablation.md"), help="the page (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="progress as JSON lines")


def _ablate(args: argparse.Namespace) -> int:
    from dataclasses import replace

    import torch

    from voice_rl_training.ablation import BASE as WHOLE
    from voice_rl_training.ablation import RESULTS_FILE, VARIANTS, Result, ablate, read_sentences, to_markdown
    from voice_rl_training.recipe import RECIPES, load_recipe

    only = _listed(args.only) if args.only is not None else list(VARIANTS)
    if unknown := [name for name in only if name not in VARIANTS]:
        raise ConfigError(f"--only: expected names of {', '.join(VARIANTS)}, got {unknown[0]!r}")
    seeds = _listed(args.seeds)
    if not seeds or not all(seed.isdecimal() for seed in seeds) or len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds: expected different whole numbers like 1,2,3, got {args.seeds!r}")
    if min(args.samples, args.processes, args.threads) < 1:
        raise ConfigError("--samples, --processes and --threads: expected at least 1")
    torch.set_num_threads(args.threads)
    recipe = load_recipe(args.recipe or RECIPES / "ablation.yaml")
    command = f"voice-rl-train ablate --recipe {(args.recipe or RECIPES / 'ablation.yaml').name} --seeds {','.join(seeds)}"
    command += (f" --only {','.join(only)}" if args.only is not None else "") + (" --human data/" if args.human is not None else "")
    command += f" --homes {','.join(_listed(args.homes))} --samples {args.samples} --threads {args.threads}"
    shown = recipe if args.human is not None else replace(recipe, human=False)
    bar = Bar(as_json=args.json)

    def write(results: list[Result]) -> None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(to_markdown(results, recipe=shown, command=command), encoding="utf-8")

    try:
        ablate(
            recipe,
            seeds=[int(seed) for seed in seeds],
            variants=[variant for name, variant in VARIANTS.items() if name in only or name == WHOLE],
            sentences=read_sentences(args.cases, _listed(args.homes), args.samples),
            human=args.human,
            work=args.work,
            processes=args.processes,
            progress=bar,
            told=write,
        )
    except KeyboardInterrupt:
        bar.close()
        print(f"stopped; the same command goes on from {args.work}", file=sys.stderr)
        return EXIT_STOPPED
    bar.close()
    print(f"{args.out}, {args.work / RESULTS_FILE}")
    return 0


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _add_households(commands: Any) -> None:
    from voice_rl_training.simulate_commands import add_measure_learning, add_measure_poisoning, add_simulate

    simulate = _command(
        commands,
        "simulate",
        "let simulated households live with policies, and draw what becomes of it",
        run=_simulate,
        example="voice-rl-train simulate --language en --households 10 --interactions 1000 --seeds 5 --policy base,memory",
    )
    add_simulate(simulate)
    measure = _command(
        commands,
        "measure-learning",
        "measure every way to learn on the same simulated interactions; an interrupted run goes on where it stopped",
        run=_measure_learning,
        example="voice-rl-train measure-learning --households 10 --seeds 5 --checkpoints 50,200,1000 --human data/ --processes 8",
    )
    add_measure_learning(measure)
    poisoning = _command(
        commands,
        "measure-poisoning",
        "let simulated households lie, retrain on what they say, and see what the gate lets through",
        run=_measure_poisoning,
        example="voice-rl-train measure-poisoning --households 10 --lies 0.4 --processes 4 --out docs/learning_poisoned.md",
    )
    add_measure_poisoning(poisoning)


def _simulate(args: argparse.Namespace) -> int:
    from voice_rl_training.simulate_commands import run_simulate

    bar = Bar()
    try:
        return run_simulate(args, bar)
    finally:
        bar.close()


def _measure_learning(args: argparse.Namespace) -> int:
    from voice_rl_training.simulate_commands import run_measure_learning

    bar = Bar()
    try:
        return run_measure_learning(args, bar)
    finally:
        bar.close()


def _measure_poisoning(args: argparse.Namespace) -> int:
    from voice_rl_training.simulate_commands import run_measure_poisoning

    bar = Bar()
    try:
        return run_measure_poisoning(args, bar)
    finally:
        bar.close()


def _rehearse(args: argparse.Namespace) -> int:
    import tempfile

    import torch

    from voice_rl_plugin.learning.models import ModelStore
    from voice_rl_training.recipe import RECIPES, load_finetune_recipe
    from voice_rl_training.rehearse import rehearse
    from voice_rl_training.retrain import load_home

    torch.set_num_threads(1)  # several are slower where others are busy
    bar = Bar(as_json=False)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        shown = rehearse(
            load_home(args.home, store=args.home),
            ModelStore(Path(scratch), base=args.model),
            language=args.language,
            interactions=args.interactions,
            seed=args.seed,
            recipe=load_finetune_recipe(args.recipe or RECIPES / "home.yaml"),
            progress=bar,
        )
    bar.close()
    print(shown.outcome.report or shown.outcome.result)
    for name, card in (("heard, before", shown.before), ("unheard, before", shown.before_unheard), ("unheard, after", shown.after)):
        if card is not None:
            print(f"{name}: right {100 * card.accuracy:.1f} %, wrong actions {card.wrong_actions} of {card.cases}")
    print(f"{args.interactions} interactions, {time.monotonic() - started:.0f} s in all: {shown.outcome.result}")
    return 0


def _pretrain(args: argparse.Namespace) -> int:
    from voice_rl_training.evaluation import scorecard
    from voice_rl_training.export import export_graphs, write_manifest
    from voice_rl_training.pretrain import pretrain
    from voice_rl_training.recipe import RECIPES, load_recipe
    from voice_rl_training.report import base_card
    from voice_rl_training.team import join_team, leave_team

    recipe = load_recipe(args.recipe or RECIPES / "base.yaml")
    team = join_team()
    bar = Bar(as_json=args.json, is_silent=not team.leads)
    try:
        encoder, scorer, measured = pretrain(recipe, human=args.human, work=args.work, processes=args.processes, progress=bar, team=team)
        leave_team(team)
        if not team.leads:
            return 0
    except KeyboardInterrupt:
        bar.close()
        print(f"stopped; the same command goes on from {args.work}", file=sys.stderr)
        return EXIT_STOPPED
    bar("export", 0.0)
    args.out.mkdir(parents=True, exist_ok=True)
    parity = export_graphs(encoder, scorer, args.out)
    cards = {name: scorecard(judged).to_mapping() for name, judged in _measure(args.out, None, count=1000, seed=1).items()}
    (args.out / "model_card.md").write_text(base_card(args.version, measured, cards), encoding="utf-8")
    write_manifest(args.out, version=args.version, parent=None, measured={**measured, "parity": parity, "evaluation": cards}, gate={})
    bar("export", 1.0)
    bar.close()
    print(f"{args.out}: version {args.version}")
    return 0


def _corpus_check(_args: argparse.Namespace) -> int:
    from collections import Counter

    from voice_rl_training.corpus.phrasebook import load

    for language in ("en", "zh"):
        for voice, book in sorted(load(language).items()):
            moods = Counter(frame.mood for frame in book.frames)
            negatives = sum(1 for frame in book.frames if frame.is_negative)
            print(
                f"{language} {voice:<10} {len(book.frames):6} frames, {100 * negatives / max(1, len(book.frames)):.0f} % negative: ", end=""
            )
            print(", ".join(f"{mood} {count}" for mood, count in moods.most_common()))
    return 0


def _corpus_show(args: argparse.Namespace) -> int:
    from voice_rl_plugin.understanding.text import join
    from voice_rl_training.replay import generic_samples

    for sample in generic_samples(args.count, seed=args.seed, use=args.use, languages=(args.language,)):
        print(join(sample.words))
        for clause, gold in zip(sample.clauses, sample.golds, strict=True):
            wanted = " | ".join(gold.keys) or "-"
            print(f"    {clause.mood} {clause.operation} {clause.property} -> {gold.outcome} {wanted}")
    return 0


def _inputs(args: argparse.Namespace) -> tuple[Any, Any, Any, Any]:
    """Return experience, home, model store and recipe."""
    from dataclasses import replace

    import torch

    from voice_rl_training import algorithms
    from voice_rl_training.recipe import RECIPES, load_finetune_recipe
    from voice_rl_training.retrain import load_experience, load_home

    torch.set_num_threads(max(1, args.threads))
    config = load_config(args.config) if args.store is None or args.models is None or args.config is not None else None
    store = args.store if args.store is not None else config.store.path  # type: ignore[union-attr]
    models = args.models if args.models is not None else config.models.path  # type: ignore[union-attr]
    recipe = load_finetune_recipe(args.recipe or RECIPES / "home.yaml")
    if args.least_labels is not None:
        recipe = replace(recipe, least_labels=args.least_labels)
    if args.algorithm is not None:
        recipe = replace(recipe, algorithm=args.algorithm)
    if recipe.algorithm not in algorithms.NAMES:
        raise ConfigError(f"algorithm: expected one of {', '.join(algorithms.NAMES)}, got {recipe.algorithm!r}")
    home_file = args.home if args.home is not None or config is None else config.home.file
    experience = load_experience(place_of(config.store) if args.store is None and config is not None else store)
    check = signature_check(config.models.public_key_file) if config is not None else None
    kept = ModelStore(models, base=args.base, probe=probe_in_child, check_signature=check)
    return experience, load_home(home_file, store=store), kept, recipe


def _retrain(args: argparse.Namespace) -> int:
    from voice_rl_training.retrain import retrain

    bar = Bar(as_json=args.json)
    sign = signer(args.sign) if args.sign is not None else None
    experience, home, models, recipe = _inputs(args)
    if models.needs_signature and sign is None and args.promote:
        raise ConfigError("models.public_key_file asks for signed models: name the private key with --sign, or say --no-promote")
    try:
        outcome = retrain(
            experience,
            home=home,
            models=models,
            recipe=recipe,
            now=time.time(),
            promotes=args.promote,
            repeats=args.force,
            sign=sign,
            progress=bar,
        )
    except KeyboardInterrupt:
        bar.close()
        print("stopped; experience, models and champion are as they were: the next run starts anew", file=sys.stderr)
        return EXIT_STOPPED
    bar.close()
    if args.out_report is not None and outcome.report:
        args.out_report.parent.mkdir(parents=True, exist_ok=True)
        args.out_report.write_text(outcome.report, encoding="utf-8")
    if args.json:
        ended = {"phase": "done", "progress_pct": 100, "result": outcome.result, "version": outcome.version, "promoted": outcome.promoted}
        if outcome.gate is not None and outcome.gate.failed_gate is not None:
            ended["failed_gate"] = outcome.gate.failed_gate
        print(json.dumps(ended, ensure_ascii=False), flush=True)
    else:
        print(outcome.result)
    return 0


def _finetune(args: argparse.Namespace) -> int:
    from voice_rl_training.corpus.samples import Stage
    from voice_rl_training.evaluation import TorchPolicy
    from voice_rl_training.finetune import finetune
    from voice_rl_training.relabel import relabel
    from voice_rl_training.retrain import make_lesson, read_labels
    from voice_rl_training.weights import load_networks, save_networks

    bar = Bar(as_json=args.json)
    experience, home, models, recipe = _inputs(args)
    base = models.folder(BASE)
    networks = load_networks(base)
    relabelled = relabel(experience.transitions)
    read = read_labels(relabelled, Stage(home=home), TorchPolicy(*networks), progress=lambda done: bar("reading labels", done))
    lesson = make_lesson(read, home, recipe, progress=bar)
    encoder, scorer = finetune(networks, lesson, recipe, progress=lambda done: bar("training", done))
    args.out.mkdir(parents=True, exist_ok=True)
    save_networks(encoder, scorer, base=base, folder=args.out)
    bar.close()
    print(f"{args.out}: fitted on {len(read.samples)} labels; {len(read.unreadable)} only memory can hold")
    return 0


def _measure(model: Path, home: Any, *, count: int, seed: int) -> dict[str, Any]:
    from voice_rl_training.evaluation import cases_of_samples, golden_cases, hear_all
    from voice_rl_training.replay import generic_samples, home_samples, languages_of
    from voice_rl_training.retrain import load_policy

    policy = load_policy(model, version=model.name)
    judged = {
        "golden": hear_all(policy, golden_cases()),
        "strangers": hear_all(policy, cases_of_samples(generic_samples(count, seed=seed, use="stranger"))),
    }
    if home is not None:
        samples = home_samples(home, count, seed=seed, use="stranger", languages=languages_of(home, set()))
        judged["home"] = hear_all(policy, cases_of_samples(samples))
    return judged


def _evaluate(args: argparse.Namespace) -> int:
    from voice_rl_training.evaluation import scorecard
    from voice_rl_training.retrain import load_home

    home = load_home(args.home, store=args.home) if args.home is not None else None
    if not (args.model / "policy.onnx").is_file():
        raise ConfigError(f"{args.model}: expected a model folder with policy.onnx and scorer.onnx")
    for name, judged in _measure(args.model, home, count=args.cases, seed=args.seed).items():
        card = scorecard(judged).to_mapping()
        if args.json:
            print(json.dumps({"set": name, **card}))
            continue
        bound = 100 * card["wrong_actions_upper_bound"]
        print(f"{name}: {card['cases']} cases, {card['wrong_actions']} wrong actions (at most {bound:.2f} %), ", end="")
        print(f"right {100 * card['accuracy']:.1f} %, asked {card['asked']}, refused {card['refused']}, ", end="")
        print(
            f"precision {100 * card['precision']:.1f} %, recall {100 * card['recall']:.1f} %, calibration error {card['calibration_error']:.3f}"
        )
        for one in [one for one in judged if one.verdict == "wrong_action"][:_SHOWN_ROWS]:
            print(f"    {one.case.text!r}: {'; '.join(action.to_line() for action in one.decision.actions)}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from voice_rl_training.export import export_graphs, write_manifest
    from voice_rl_training.weights import load_networks

    sign = signer(args.sign) if args.sign is not None else None
    encoder, scorer = load_networks(args.model)
    args.out.mkdir(parents=True, exist_ok=True)
    parity = export_graphs(encoder, scorer, args.out)
    version = args.version or args.out.name
    write_manifest(args.out, version=version, parent=args.model.name, measured={"parity": parity}, gate={}, sign=sign)
    print(f"{args.out}: version {version}, mean difference to torch {parity['reader_mean_difference']:.4f}")
    return 0


def _scorecard(args: argparse.Namespace) -> int:
    from voice_rl_training.scorecard import draw, run_scorecard, to_markdown

    bar = Bar()
    names = [name.strip() for name in args.only.split(",") if name.strip()]
    measured = run_scorecard(cases=args.cases, names=names, human=args.human, demo_homes=args.demo_homes, model=args.model, progress=bar)
    bar.close()
    picture = args.out.parent / "pictures" / f"{args.out.stem}.png"
    draw(measured.scores, picture)
    command = f"voice-rl-train scorecard --only {','.join(names)}" + (" --human data/" if args.human is not None else "")
    page = to_markdown(
        measured, command=command, date=time.strftime("%Y-%m-%d"), picture=f"pictures/{picture.name}", lists_sentences=not args.totals
    )
    args.out.write_text(page, encoding="utf-8")
    print(f"{args.out}, {picture}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 2 when the setup is wrong, with one line on stderr."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        return int(args.run(args))
    except VoiceRlError as error:
        print(f"voice-rl-train: {error}", file=sys.stderr)
        return EXIT_WRONG_SETUP
    except ModuleNotFoundError as error:
        print(f"voice-rl-train: {error.name} is not installed; the trainer needs `pip install voice-rl-plugin[train]`", file=sys.stderr)
        return EXIT_WRONG_SETUP
    except KeyboardInterrupt:
        return EXIT_STOPPED


if __name__ == "__main__":
    sys.exit(main())
