"""What the commands about experience, memory and models share: options, opening, wording."""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from voice_rl_plugin.config import load_config
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.learning.models import ModelStore, probe_in_child
from voice_rl_plugin.learning.postgres import place_of
from voice_rl_plugin.learning.signing import signature_check
from voice_rl_plugin.learning.store import ExperienceStore

Run = Callable[[argparse.Namespace], int]


def add_family(subparsers: Any, name: str, words: str, example: str) -> Any:
    """Add a family of commands and return where its actions go."""
    family = subparsers.add_parser(name, help=words, epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter)
    return family.add_subparsers(title="actions", metavar="ACTION", required=True)


def add_command(subparsers: Any, name: str, words: str, *, run: Run, example: str, place: str) -> argparse.ArgumentParser:
    """Add one command.

    Args:
        subparsers: where it goes.
        name: the word to type.
        words: its one-line help.
        run: what it does.
        example: a whole command line.
        place: `store` or `models`: which option names the folder it works on.
    """
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=words,
        description=words[:1].upper() + words[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="the configuration; searched for when missing")
    parser.add_argument(f"--{place}", metavar="PATH", help=f"the folder to use instead of the configured {place}.path")
    parser.set_defaults(run=run)
    return parser


def open_store(args: argparse.Namespace) -> ExperienceStore:
    """Open the experience store beside the daemon; it is neither created nor replaced."""
    place = Path(args.store) if args.store else place_of(load_config(args.config).store)
    return ExperienceStore(place, owns_file=False)


def open_models(args: argparse.Namespace) -> ModelStore:
    """Open the model store; with a configured public key it serves only what is signed."""
    config = load_config(args.config).models
    check = signature_check(config.public_key_file)
    return ModelStore(Path(args.models) if args.models else config.path, probe=probe_in_child, check_signature=check)


def in_words(actions: Iterable[Action]) -> str:
    """Return actions in the one-line form."""
    return "; ".join(action.to_line() for action in actions) or "nothing"


def at(seconds: float) -> str:
    """Return a time as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "-"


def print_json(value: Any) -> None:
    """Print a value for a program."""
    print(json.dumps(value, ensure_ascii=False))
