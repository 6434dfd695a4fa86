"""`voice-rl demo`: type and watch, with a broker and devices of its own."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from voice_rl_plugin.demo.script import check_script, read_script
from voice_rl_plugin.demo.session import LANGUAGES, DemoSettings, run_session
from voice_rl_plugin.errors import ConfigError


def add_parsers(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "demo",
        help="try everything with simulated devices",
        description="Starts a broker, simulated devices and the daemon, all on this computer; type commands and watch.",
        epilog="example:\n  voice-rl demo --lang en --area kitchen\n  voice-rl demo --lang zh --script examples/first_five_minutes.zh.txt",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path, metavar="FILE", help="a home file; by default the demo home")
    parser.add_argument("--lang", choices=LANGUAGES, help="language of the demo home and of what you type")
    parser.add_argument("--area", metavar="AREA", help="where you speak: an id or a name")
    parser.add_argument("--script", type=Path, metavar="FILE", help="play the lines of a file; exit code 1 when an expectation is not met")
    parser.add_argument("--port", type=int, metavar="N", help="port of the broker; by default a free one")
    parser.add_argument("--models", type=Path, metavar="DIR", help="a model store; by default the shipped model")
    parser.add_argument("--store", type=Path, metavar="DIR", help="keep what is learned here; by default nothing is kept")
    parser.set_defaults(run=run_demo)


def run_demo(args: argparse.Namespace) -> int:
    """Run the demo."""
    settings = DemoSettings(
        home_file=args.home,
        language=args.lang,
        area=args.area,
        port=args.port,
        models=args.models,
        store=args.store,
        has_colors=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
    )
    if args.script is None:
        return run_session(settings, _Keyboard(), write=_write, is_script=False)
    try:
        lines = read_script(args.script.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--script: {args.script} cannot be read: {error}") from error
    check_script(lines, where=str(args.script))
    return run_session(settings, lines, write=_write, is_script=True)


class _Keyboard:
    """Lines from standard input, with a prompt and, where there is one, line editing."""

    def __init__(self) -> None:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401, PLC0415 - makes input() edit lines; missing on some systems

    def __iter__(self) -> Iterator[str]:
        while (text := self.ask("> ")) is not None:
            yield text

    def ask(self, prompt: str) -> str | None:
        """Return the next line, or None at the end."""
        try:
            return input(prompt)
        except (EOFError, KeyboardInterrupt):
            print()
            return None


def _write(text: str) -> None:
    print(text, flush=True)
