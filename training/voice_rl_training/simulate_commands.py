"""The commands `simulate`, `measure-learning` and `measure-poisoning` of `voice-rl-train`."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from voice_rl_plugin.learning.models import BASE_FOLDER

Progress = Callable[[str, float], None]


def add_simulate(parser: argparse.ArgumentParser) -> None:
    """Add the options of `simulate`."""
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="what the households speak (default: %(default)s)")
    parser.add_argument("--households", metavar="N", type=int, default=10, help="homes (default: %(default)s)")
    parser.add_argument("--interactions", metavar="N", type=int, default=1000, help="sentences in each (default: %(default)s)")
    parser.add_argument("--seeds", metavar="N", type=int, default=5, help="families in each home (default: %(default)s)")
    parser.add_argument(
        "--policy",
        metavar="NAMES",
        default="base,memory",
        help="base, memory, aliases, vowpal_wabbit, or algorithms (default: %(default)s)",
    )
    _add_people(parser)
    parser.add_argument("--recipe", metavar="FILE", type=Path, help="how challengers are made; the shipped home.yaml when missing")
    parser.add_argument(
        "--model", metavar="DIR", type=Path, default=BASE_FOLDER, help="the model to start from (default: the shipped base)"
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("simulated.md"), help="the table; the curves lie beside it (default: %(default)s)"
    )


def _add_people(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--corrects", metavar="SHARE", type=float, default=0.8, help="mistakes that people correct (default: %(default)s)")
    parser.add_argument("--lies", metavar="SHARE", type=float, default=0.0, help="reactions that are false (default: %(default)s)")
    parser.add_argument("--own", metavar="SHARE", type=float, default=0.1, help="own phrases and own names (default: %(default)s)")


def run_simulate(args: argparse.Namespace, progress: Progress) -> int:
    """Play policies, and write the table and the curves."""
    import torch  # noqa: PLC0415 - loads slowly

    from voice_rl_plugin.errors import ConfigError  # noqa: PLC0415
    from voice_rl_training.recipe import RECIPES, load_finetune_recipe  # noqa: PLC0415
    from voice_rl_training.simulate.family import Habits  # noqa: PLC0415
    from voice_rl_training.simulate.household import Temper  # noqa: PLC0415
    from voice_rl_training.simulate.play import PLAYED, Setting, draw, simulate, to_markdown  # noqa: PLC0415

    torch.set_num_threads(1)  # several are slower where others are busy
    policies = [name.strip() for name in args.policy.split(",") if name.strip()]
    unknown = [name for name in policies if name not in PLAYED]
    if unknown or not policies:
        raise ConfigError(f"--policy: expected some of {', '.join(PLAYED)}, got {args.policy!r}")
    try:
        habits, temper = Habits(own=args.own), Temper(corrects=args.corrects, lies=args.lies)
    except ValueError as error:
        raise ConfigError(f"--own, --corrects, --lies: {error}") from error
    setting = Setting(
        language=args.language,
        households=args.households,
        seeds=args.seeds,
        interactions=args.interactions,
        habits=habits,
        temper=temper,
    )
    begun = time.monotonic()
    recipe = load_finetune_recipe(args.recipe or RECIPES / "home.yaml")
    curves = simulate(policies, setting, base=args.model, recipe=recipe, progress=progress)
    picture = args.out.with_suffix(".png")
    draw(curves, picture)
    table = to_markdown(curves, setting, picture=picture.name)
    args.out.write_text(table, encoding="utf-8")
    sys.stdout.write(table)
    sys.stdout.write(f"{args.out}, {picture}: {time.monotonic() - begun:.0f} s\n")
    return 0


def add_measure_learning(parser: argparse.ArgumentParser) -> None:
    """Add the options of `measure-learning`."""
    parser.add_argument("--languages", metavar="NAMES", default="en,zh", help="en, zh or both (default: %(default)s)")
    parser.add_argument("--households", metavar="N", type=int, default=10, help="homes (default: %(default)s)")
    parser.add_argument("--seeds", metavar="N", type=int, default=5, help="families in each home (default: %(default)s)")
    parser.add_argument(
        "--checkpoints", metavar="NUMBERS", default="50,200,1000", help="interactions after which it is measured (default: %(default)s)"
    )
    parser.add_argument("--corrects", metavar="SHARE", type=float, default=0.8, help="mistakes that people correct (default: %(default)s)")
    parser.add_argument("--own", metavar="SHARE", type=float, default=0.1, help="own phrases and own names (default: %(default)s)")
    parser.add_argument(
        "--least-labels", metavar="N", type=int, default=20, help="networks are fitted from this many on (default: %(default)s)"
    )
    parser.add_argument(
        "--controls", action=argparse.BooleanOptionalAction, default=True, help="shuffled labels, corrections, lies (default: yes)"
    )
    parser.add_argument("--human", metavar="DIR", type=Path, help="folder of human sentences; forgetting is not measured when missing")
    parser.add_argument("--recipe", metavar="FILE", type=Path, help="how challengers are made; the shipped home.yaml when missing")
    parser.add_argument(
        "--model", metavar="DIR", type=Path, default=BASE_FOLDER, help="the model to start from (default: the shipped base)"
    )
    parser.add_argument(
        "--work", metavar="DIR", type=Path, default=Path("build/learning"), help="what was measured so far (default: %(default)s)"
    )
    parser.add_argument("--processes", metavar="N", type=int, default=1, help="households at once (default: %(default)s)")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("docs/learning_measured.md"), help="the page (default: %(default)s)"
    )


def run_measure_learning(args: argparse.Namespace, progress: Progress) -> int:
    """Measure every way to learn, and write the page and its picture."""
    from voice_rl_plugin.errors import ConfigError  # noqa: PLC0415
    from voice_rl_training.learning_page import draw, to_markdown  # noqa: PLC0415
    from voice_rl_training.measure_learning import Plan, measure  # noqa: PLC0415
    from voice_rl_training.recipe import RECIPES, load_finetune_recipe  # noqa: PLC0415
    from voice_rl_training.simulate.banks import LANGUAGES  # noqa: PLC0415

    languages = tuple(name.strip() for name in args.languages.split(",") if name.strip())
    if not languages or not set(languages) <= set(LANGUAGES):
        raise ConfigError(f"--languages: expected some of {', '.join(LANGUAGES)}, got {args.languages!r}")
    try:
        checkpoints = tuple(int(one) for one in args.checkpoints.split(","))
    except ValueError as error:
        raise ConfigError(f"--checkpoints: expected numbers such as 50,200,1000, got {args.checkpoints!r}") from error
    if not (0 <= args.corrects <= 1 and 0 <= args.own <= 1 and args.processes >= 1):
        raise ConfigError("--corrects and --own: expected shares in [0, 1]; --processes: expected at least 1")
    plan = Plan(
        languages=languages,
        households=args.households,
        seeds=args.seeds,
        checkpoints=checkpoints,
        least_labels=args.least_labels,
        corrects=args.corrects,
        own=args.own,
        controls=args.controls,
        base=args.model,
        human=args.human,
        recipe=load_finetune_recipe(args.recipe or RECIPES / "home.yaml"),
    )
    begun = time.monotonic()
    lines = measure(plan, work=args.work, processes=args.processes, progress=progress)
    picture = args.out.parent / "pictures" / f"{args.out.stem}.png"
    draw(lines, plan, picture)
    command = (
        f"voice-rl-train measure-learning --languages {','.join(languages)} --households {plan.households} --seeds {plan.seeds} "
        f"--checkpoints {','.join(str(at) for at in checkpoints)}"
        + (" --human data/" if args.human is not None else "")
        + ("" if plan.controls else " --no-controls")
    )
    page = to_markdown(lines, plan, command=command, date=time.strftime("%Y-%m-%d"), picture=f"pictures/{picture.name}")
    args.out.write_text(page, encoding="utf-8")
    sys.stdout.write(f"{args.out}, {picture}: {time.monotonic() - begun:.0f} s\n")
    return 0


def add_measure_poisoning(parser: argparse.ArgumentParser) -> None:
    """Add the options of `measure-poisoning`."""
    parser.add_argument("--languages", metavar="NAMES", default="en,zh", help="en, zh or both (default: %(default)s)")
    parser.add_argument("--households", metavar="N", type=int, default=10, help="homes, each lied to in every way (default: %(default)s)")
    parser.add_argument("--poisons", metavar="NAMES", default="lies,targeted,honest", help="ways to lie (default: %(default)s)")
    parser.add_argument("--interactions", metavar="N", type=int, default=600, help="sentences in each (default: %(default)s)")
    parser.add_argument("--lies", metavar="SHARE", type=float, default=0.4, help="reactions that are false (default: %(default)s)")
    parser.add_argument("--recipe", metavar="FILE", type=Path, help="how challengers are made; the shipped home.yaml when missing")
    parser.add_argument(
        "--model", metavar="DIR", type=Path, default=BASE_FOLDER, help="the model to start from (default: the shipped base)"
    )
    parser.add_argument(
        "--work", metavar="DIR", type=Path, default=Path("build/poisoning"), help="what was measured so far (default: %(default)s)"
    )
    parser.add_argument("--processes", metavar="N", type=int, default=1, help="households at once (default: %(default)s)")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("docs/learning_poisoned.md"), help="the page (default: %(default)s)"
    )


def run_measure_poisoning(args: argparse.Namespace, progress: Progress) -> int:
    """Retrain on the logs of households that lie, and write what the gate made of it."""
    from voice_rl_plugin.errors import ConfigError  # noqa: PLC0415
    from voice_rl_training.measure_poisoning import PoisonPlan, is_harmful, measure, to_markdown  # noqa: PLC0415
    from voice_rl_training.recipe import RECIPES, load_finetune_recipe  # noqa: PLC0415
    from voice_rl_training.simulate.banks import LANGUAGES  # noqa: PLC0415

    languages = tuple(name.strip() for name in args.languages.split(",") if name.strip())
    if not languages or not set(languages) <= set(LANGUAGES):
        raise ConfigError(f"--languages: expected some of {', '.join(LANGUAGES)}, got {args.languages!r}")
    if args.processes < 1:
        raise ConfigError(f"--processes: expected at least 1, got {args.processes}")
    plan = PoisonPlan(
        languages=languages,
        households=args.households,
        poisons=tuple(name.strip() for name in args.poisons.split(",") if name.strip()),
        interactions=args.interactions,
        lies=args.lies,
        base=args.model,
        recipe=load_finetune_recipe(args.recipe or RECIPES / "home.yaml"),
    )
    begun = time.monotonic()
    lines = measure(plan, work=args.work, processes=args.processes, progress=progress)
    command = (
        f"voice-rl-train measure-poisoning --languages {','.join(languages)} --households {plan.households} --poisons {','.join(plan.poisons)} "
        f"--interactions {plan.interactions} --lies {plan.lies:g}"
    )
    args.out.write_text(to_markdown(lines, plan, command=command, date=time.strftime("%Y-%m-%d")), encoding="utf-8")
    passed = sum(line["passed"] and is_harmful(line) for line in lines if line["poison"] != "honest")
    lied = sum(line["poison"] != "honest" for line in lines)
    sys.stdout.write(f"{passed} of {lied} poisoned retrainings were harmful and passed the gate\n")
    sys.stdout.write(f"{args.out}: {time.monotonic() - begun:.0f} s\n")
    return 0
