"""`voice-rl doctor`: looks at everything that can keep the daemon from working, says what to do about each, and speaks one test command."""

import argparse
import json
from typing import Any

from voice_rl_plugin.commands._findings import count_levels, worst


def add_parsers(subparsers: Any) -> None:
    """Add `doctor`."""
    parser = subparsers.add_parser(
        "doctor",
        help="find what is wrong with the setup, and say what to do about it",
        description="Looks at configuration, secrets, model, broker, daemon, Home Assistant and home, and asks the daemon one harmless question. "
        "Exit code 1 when something keeps it from working.",
        epilog="example:\n  voice-rl doctor --config voice_rl.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="the configuration; searched for when missing")
    parser.add_argument("--home-assistant", metavar="URL", help="where Home Assistant is; looked for when missing")
    parser.add_argument(
        "--say", metavar="TEXT", help="the test command; by default a question about a light. It is carried out like any other"
    )
    parser.add_argument("--silent", action="store_true", help="speak no test command")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run_doctor)


def run_doctor(args: argparse.Namespace) -> int:
    """Print the findings."""
    from voice_rl_plugin.commands._examination import examine  # noqa: PLC0415 - loads the daemon

    findings = []
    for finding in examine(config_file=args.config, home_assistant=args.home_assistant, text=args.say, is_silent=args.silent):
        findings.append(finding)
        if not args.json:
            print("\n".join(finding.to_lines()), flush=True)
    counts = count_levels(findings)
    is_sound = worst(findings) != "error"
    if args.json:
        print(json.dumps({"ok": is_sound, "findings": [one.to_payload() for one in findings]}, ensure_ascii=False, indent=1))
    else:
        print(f"{counts['error']} errors, {counts['warning']} warnings")
    return 0 if is_sound else 1
