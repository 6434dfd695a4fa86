"""`voice-rl run`: the daemon, until SIGTERM or SIGINT."""

import argparse
import gc
import logging
import os
import signal
from typing import Any

from voice_rl_plugin.config import load_config

_COLLECT = (10_000, 20, 20)
"""A decision makes some thousand small values that go by themselves: the collector need not run within it."""
_LEVELS = ("debug", "info", "warning", "error")


def add_parsers(subparsers: Any) -> None:
    """Add `run`."""
    parser = subparsers.add_parser(
        "run",
        help="run the daemon",
        description="Hears commands on the broker, decides, acts and learns, until SIGTERM or SIGINT.",
        epilog="example:\n  voice-rl run --config voice_rl.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="the file to read; searched for when missing")
    parser.add_argument("--log-level", choices=_LEVELS, default="info", help="debug shows what was said; info does not")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from voice_rl_plugin.daemon import build_daemon  # noqa: PLC0415 - no other command should wait for it
    from voice_rl_plugin.daemon.watchdog import Watchdog  # noqa: PLC0415

    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    gc.set_threshold(*_COLLECT)
    daemon = build_daemon(load_config(args.config), watchdog=Watchdog(os.environ))
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: daemon.stop())
    daemon.run()
    return 0
