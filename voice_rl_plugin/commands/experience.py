"""`voice-rl experience list|report|review|export|import|erase`: what the home has lived through, and how to take it away."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from voice_rl_plugin.commands._report import report_page
from voice_rl_plugin.commands._stores import add_command, add_family, at, in_words, open_store, print_json
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.learning.archive import export_archive, import_archive
from voice_rl_plugin.learning.store import ExperienceStore, StoredDecision

DAY_S = 86_400.0
_VERDICTS = {"y": "yes", "n": "no"}


def add_parsers(subparsers: Any) -> None:
    """Add the family."""
    actions = add_family(
        subparsers, "experience", "list, report, review, export, import or erase decisions", "voice-rl experience list --limit 5"
    )
    listing = add_command(
        actions, "list", "print the last decisions", run=_list, place="store", example="voice-rl experience list --limit 5 --json"
    )
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default 20)")
    listing.add_argument("--json", action="store_true", help="print JSON, one decision a line")
    review = add_command(
        actions,
        "review",
        "judge decisions that nobody has judged: y right, n wrong, s skip, q quit",
        run=_review,
        place="store",
        example="voice-rl experience review --limit 10",
    )
    review.add_argument("--limit", type=int, default=10, metavar="N", help="how many (default 10)")
    report = add_command(
        actions,
        "report",
        "say what was done, asked and refused, and in shadow mode what would have been done",
        run=_report,
        place="store",
        example="voice-rl experience report --days 7",
    )
    report.add_argument("--days", type=float, default=7.0, metavar="N", help="how far back (default 7)")
    export = add_command(
        actions,
        "export",
        "write everything to an archive, for training on another machine",
        run=_export,
        place="store",
        example="voice-rl experience export home.zip",
    )
    export.add_argument("archive", metavar="FILE", help="the zip file to write")
    export.add_argument("--json", action="store_true", help="print the manifest as JSON")
    importing = add_command(
        actions,
        "import",
        "add what an archive holds; what was erased stays erased",
        run=_import,
        place="store",
        example="voice-rl experience import home.zip --store ./store",
    )
    importing.add_argument("archive", metavar="FILE", help="a zip file of `voice-rl experience export`")
    importing.add_argument("--json", action="store_true", help="print JSON")
    erase = add_command(
        actions,
        "erase",
        "erase decisions with their rewards and memories from every file of the store",
        run=_erase,
        place="store",
        example='voice-rl experience erase --text "call grandma"',
    )
    what = erase.add_mutually_exclusive_group(required=True)
    what.add_argument("--decision", metavar="ID", help="one decision")
    what.add_argument("--text", metavar="WORDS", help="every decision in which these words occur")
    what.add_argument("--older-than", type=float, metavar="DAYS", help="every decision older than this")
    what.add_argument("--all", action="store_true", help="everything")
    erase.add_argument("--json", action="store_true", help="print JSON")


def _list(args: argparse.Namespace) -> int:
    with open_store(args) as store:
        for stored in reversed(store.latest(args.limit)):
            if args.json:
                print_json({**stored.decision.to_payload(), "decided_at": stored.decision.decided_at, "reward": _reward(stored)})
            else:
                print(_line(stored))
    return 0


def _report(args: argparse.Namespace) -> int:
    if args.days <= 0:
        raise ConfigError(f"--days: expected more than 0, got {args.days:g}")
    since = time.time() - args.days * DAY_S
    with open_store(args) as store:
        print(report_page((one for one in store.all_stored() if one.decision.decided_at >= since), days=args.days))
    return 0


def _review(args: argparse.Namespace) -> int:
    with open_store(args) as store:
        unjudged = [stored for stored in store.latest(max(args.limit * 20, 100)) if not stored.judgements][: args.limit]
        for number, stored in enumerate(unjudged, start=1):
            print(f"{number}/{len(unjudged)}  {_line(stored)}")
            print("right? [y/n/s/q] ", end="", flush=True)
            answer = sys.stdin.readline().strip().casefold()[:1] or "q"
            if answer == "q":
                break
            if answer in _VERDICTS:
                _judge(store, stored, _VERDICTS[answer])
    return 0


def _judge(store: ExperienceStore, stored: StoredDecision, verdict: str) -> None:
    now = time.time()
    identity = f"review:{stored.decision.id}"
    store.record_feedback(Feedback(id=identity, decision_id=stored.decision.id, verdict=verdict, source="page", given_at=now))


def _export(args: argparse.Namespace) -> int:
    with open_store(args) as store:
        manifest = export_archive(store, Path(args.archive), now=time.time())
    if args.json:
        print_json(manifest)
    else:
        print(f"{args.archive}: " + ", ".join(f"{file['rows']} rows in {name}" for name, file in manifest["files"].items()))
    return 0


def _import(args: argparse.Namespace) -> int:
    with open_store(args) as store:
        decisions, feedback = import_archive(store, Path(args.archive))
    if args.json:
        print_json({"decisions": decisions, "feedback": feedback})
    else:
        print(f"{decisions} new decisions, {feedback} new feedbacks")
    return 0


def _erase(args: argparse.Namespace) -> int:
    if args.older_than is not None and args.older_than < 0:
        raise ConfigError(f"--older-than: expected days, 0 or more, got {args.older_than:g}")
    older_than = None if args.older_than is None else time.time() - args.older_than * DAY_S
    with open_store(args) as store:
        erasure = store.erase(decision_id=args.decision, text=args.text, older_than=older_than, everything=args.all)
    exports = [str(path) for path in erasure.exports]
    if args.json:
        print_json({"decisions": list(erasure.decision_ids), "memory_entries": erasure.memory_entries, "exports": exports})
        return 0
    print(
        f"erased {len(erasure.decision_ids)} decisions and {erasure.memory_entries} memory entries; train again to erase them from the model"
    )
    for path in exports:
        print(f"an archive from before still exists, delete it yourself: {path}")
    return 0


def _line(stored: StoredDecision) -> str:
    decision = stored.decision
    reward = _reward(stored)
    done = decision.question if decision.outcome == "clarify" and decision.question else in_words(decision.actions)
    judged = "not judged" if reward is None else f"reward {reward:+.2f}"
    return f"{at(decision.decided_at)}  {decision.id}  {decision.utterance.text!r}  {decision.outcome}: {done}  ({judged})"


def _reward(stored: StoredDecision) -> float | None:
    return stored.settlement.reward if stored.settlement else None
