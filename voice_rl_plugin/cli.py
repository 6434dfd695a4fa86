"""The command line `voice-rl`: every module in `commands/` adds its own commands."""

import argparse
import contextlib
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

from voice_rl_plugin import __version__, commands
from voice_rl_plugin.errors import VoiceRlError

EXIT_WRONG_SETUP = 2


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands, in the order of their names."""
    parser = argparse.ArgumentParser(
        prog="voice-rl",
        description="A home's own voice brain, which learns from its mistakes.",
        epilog="example:\n  voice-rl run --config voice_rl.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda one: one.name):
        if not module.name.startswith("_"):
            importlib.import_module(f"{commands.__name__}.{module.name}").add_parsers(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 2 when the setup is wrong, with one line on stderr."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except VoiceRlError as error:
        print(f"voice-rl: {error}", file=sys.stderr)
        return EXIT_WRONG_SETUP
    except BrokenPipeError:  # `voice-rl ... | head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
