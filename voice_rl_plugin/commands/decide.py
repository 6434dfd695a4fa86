"""`voice-rl decide` and `voice-rl evaluate`: dry runs in a home file, without a broker."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from voice_rl_plugin.deciding.cases import Case, decide_case, judge, parse_cases, upper_bound
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.domain.beyond import SERVICES
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy


def add_parsers(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `decide` and `evaluate`."""
    decide = subparsers.add_parser(
        "decide",
        help="say what would be done about one sentence, and why",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example:\n  voice-rl decide "turn on the kitchen light" --home examples/home.en.yaml',
    )
    decide.add_argument("text", help="the sentence")
    _add_common(decide)
    decide.add_argument("--area", help="where the speaker is: an area's id or name")
    decide.add_argument("--after", help="the command just before, for a follow-up")
    decide.add_argument("--language", help="en or zh; found out from the words when missing")
    decide.add_argument("--json", action="store_true", help="print the decision as JSON")
    decide.set_defaults(run=run_decide)
    evaluate = subparsers.add_parser(
        "evaluate",
        help="score a file of sentences with wanted answers",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  voice-rl evaluate --home examples/home.en.yaml --cases my_cases.yaml --json results.jsonl",
    )
    _add_common(evaluate)
    evaluate.add_argument("--cases", type=Path, required=True, help="YAML list of cases")
    evaluate.add_argument("--json", type=Path, metavar="OUT.jsonl", help="write one line a case: i, outcome, actions")
    evaluate.add_argument("--misses", action="store_true", help="print every case that was not right")
    evaluate.set_defaults(run=run_evaluate)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, required=True, help="the home file (YAML or JSON)")
    parser.add_argument("--model", type=Path, default=BASE_FOLDER, help="a model folder (default: the shipped base model)")
    parser.add_argument(
        "--beyond", action="store_true", help="switch on everything beyond the house: calls, routes, translations, searches"
    )


def _decider(args: argparse.Namespace) -> Decider:
    return Decider(policy=OnnxPolicy.load(args.model), home=load_home(args.home), memory=Memory(), beyond=SERVICES if args.beyond else ())


def run_decide(args: argparse.Namespace) -> int:
    """Decide one sentence and print it."""
    decider = _decider(args)
    area = args.area
    if area is not None:
        found = decider.home.find_area(area)
        if found is None:
            raise ConfigError(f"--area: expected one of {', '.join(a.id for a in decider.home.areas)}, got {area!r}")
        area = found.id
    decision = decide_case(decider, Case(say=args.text, area=area, after=args.after, language=args.language))
    if args.json:
        print(json.dumps({**decision.to_payload(), "candidates": _considered(decision)}, ensure_ascii=False, indent=1))
    else:
        print("\n".join(_in_words(decision)))
    return 0


def _considered(decision: Decision) -> list[dict[str, Any]]:
    return [{"actions": [a.to_payload() for a in c.actions], "probability": round(c.probability, 4)} for c in decision.candidates]


def _in_words(decision: Decision) -> list[str]:
    lines = [f"{decision.outcome}: {decision.reason}  [{decision.reason_code}, {decision.stage}, {decision.latency_ms:.2f} ms]"]
    lines += [f"  {action.to_line()}" for action in decision.actions]
    if decision.question:
        lines.append(f"  {decision.question}")
        lines += [
            f"    {n}. {' ; '.join(a.to_line() for a in c.actions)}  ({c.probability:.2f})" for n, c in enumerate(decision.choices, 1)
        ]
    mood = max(decision.moods, key=lambda name: decision.moods[name]) if decision.moods else "?"
    lines.append(f"  heard as {mood}; not for the home: {decision.not_for_us:.2f}")
    if decision.candidates:
        lines.append("  considered:")
        lines += [f"    {c.probability:.3f}  {' ; '.join(a.to_line() for a in c.actions)}" for c in decision.candidates[:5]]
    return lines


def run_evaluate(args: argparse.Namespace) -> int:
    """Score a case file and print the scorecard."""
    decider = _decider(args)
    try:
        document = yaml.safe_load(args.cases.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{args.cases}: cannot be read as YAML: {error}") from error
    cases = parse_cases(document, decider.home, where=str(args.cases))
    results: list[tuple[Case, Decision, str]] = []
    times: list[float] = []
    for number, case in enumerate(cases):
        started = time.perf_counter()
        decision = decide_case(decider, case, decision_id=f"case-{number}")
        times.append(decision.latency_ms or (time.perf_counter() - started) * 1000)
        results.append((case, decision, judge(case, decision)))
        if sys.stderr.isatty() and number % 50 == 0:
            print(f"\r{number}/{len(cases)}", end="", file=sys.stderr)
    if args.json is not None:
        lines = [
            json.dumps(
                {
                    "i": number,
                    "outcome": decision.outcome,
                    "actions": [{"service": a.service, "targets": list(a.targets), "data": dict(a.data)} for a in decision.actions],
                },
                ensure_ascii=False,
            )
            for number, (_, decision, _) in enumerate(results)
        ]
        args.json.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(scorecard(results, times)))
    if args.misses:
        print("\n".join(_misses(results)))
    return 0


def scorecard(results: Sequence[tuple[Case, Decision, str]], times: Sequence[float]) -> list[str]:
    """Return the scorecard as a Markdown table, a row a group, and the latency."""
    groups = list(dict.fromkeys(case.group for case, _, _ in results))
    lines = ["| group | cases | right | wrong actions (95 % bound) | asked | refused |", "| --- | --- | --- | --- | --- | --- |"]
    for group in [*groups, None]:
        verdicts = [verdict for case, _, verdict in results if group is None or case.group == group]
        count = len(verdicts)
        if not count:
            continue
        wrong = verdicts.count("wrong_action")
        lines.append(
            f"| {'**all**' if group is None else group or '-'} | {count} | {100 * verdicts.count('right') / count:.1f} % | "
            f"{wrong} = {100 * wrong / count:.1f} % (<= {100 * upper_bound(wrong, count):.1f} %) | {verdicts.count('asked')} | {verdicts.count('refused')} |"
        )
    ordered = sorted(times)
    if ordered:
        p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
        lines.append(f"\nA decision: median {ordered[len(ordered) // 2]:.2f} ms, p99 {p99:.2f} ms.")
    return lines


def _misses(results: Sequence[tuple[Case, Decision, str]]) -> list[str]:
    lines = []
    for number, (case, decision, verdict) in enumerate(results):
        if verdict != "right":
            wanted = case.outcome if case.outcome != "act" else " or ".join(" ; ".join(a.to_line() for a in w) for w in case.wanted)
            done = " ; ".join(a.to_line() for a in decision.actions) or f"{decision.outcome} {decision.question or ''}"
            after = f" (after: {case.after})" if case.after else ""
            lines.append(
                f"{number} {verdict} [{case.group}] {case.say!r}{after} in {case.area}\n    wanted {wanted}\n    got    {done} [{decision.reason_code}]"
            )
    return lines
