"""`voice-rl config check|show`: is the configuration right, and what holds."""

import argparse
import json
from typing import Any

import yaml

from voice_rl_plugin.config import find_config, load_config


def add_parsers(subparsers: Any) -> None:
    """Add `config check` and `config show`."""
    family = subparsers.add_parser(
        "config",
        help="check or show the configuration",
        epilog="example:\n  voice-rl config check --config voice_rl.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = family.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, words, run in (("check", "say whether it is right", _check), ("show", "print every key with its value", _show)):
        parser = actions.add_parser(
            name,
            help=words,
            epilog=f"example:\n  voice-rl config {name} --config voice_rl.yaml",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--config", metavar="FILE", help="the file to read; searched for when missing")
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.set_defaults(run=run)


def _check(args: argparse.Namespace) -> int:
    load_config(args.config)
    found = find_config(args.config)
    if args.json:
        print(json.dumps({"ok": True, "file": None if found is None else str(found)}))
    else:
        print(f"{found or 'no file found, the defaults hold'}: right")
    return 0


def _show(args: argparse.Namespace) -> int:
    shown = load_config(args.config).to_mapping()
    print(json.dumps(shown, ensure_ascii=False) if args.json else yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip())
    return 0
