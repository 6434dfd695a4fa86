"""The page of a measurement of learning: tables, controls, what follows from them, and the curves.

Every share is over all sentences of all jobs, with the 95 % interval of a bootstrap over the jobs: sentences of one household are not independent.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from voice_rl_training import algorithms
from voice_rl_training.measure_learning import (
    ALIAS_ROW,
    BASE_ROW,
    CORRECTION_RATES,
    CORRECTIONS_ROW,
    LIE_RATES,
    MEMORY_ROW,
    ORACLE_ROW,
    ROWS,
    Plan,
)
from voice_rl_training.simulate.bandit import is_installed
from voice_rl_training.simulate.play import PEER

NUMBERS = {BASE_ROW: "0", MEMORY_ROW: "1", ALIAS_ROW: "2", CORRECTIONS_ROW: "3", "logged_rewards": "4", PEER: "6", ORACLE_ROW: "7"}
"""The rows' numbers; the others are 5."""
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share over all jobs, of 100, with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return "-" if np.isnan(self.value) else f"{self.value:.1f} ({self.low:.0f} to {self.high:.0f})"


def share(pairs: Sequence[tuple[int, int]], *, seed: int = 1) -> Share:
    """Return the share of hits, with the 95 % interval of a bootstrap over the jobs.

    Args:
        pairs: hits and trials of each job; a job without trials is left out.
        seed: of the bootstrap.
    """
    known = np.array([pair for pair in pairs if pair[1]], np.float64).reshape(-1, 2)
    if not len(known):
        return Share(value=float("nan"), low=float("nan"), high=float("nan"))
    return _bootstrapped(known, seed)


def _bootstrapped(known: NDArray[np.float64], seed: int) -> Share:
    draws = np.random.default_rng(seed).integers(0, len(known), (_RESAMPLES, len(known)))
    sums = known[draws].sum(1)
    low, high = np.percentile(100 * sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return Share(value=100 * float(known[:, 0].sum() / known[:, 1].sum()), low=float(low), high=float(high))


def shares(lines: Iterable[Mapping[str, Any]], set_name: str, verdict: str) -> Share:
    """Return the share of a verdict in a set, over some entries with counts."""
    counts = [line["counts"][set_name] for line in lines]
    return share([(one[verdict], sum(one.values())) for one in counts])


_COLUMNS = (
    ("corrected before", "corrected", "right"),
    ("own phrases heard", "phrases heard", "right"),
    ("own phrases unheard", "phrases unheard", "right"),
    ("own names unheard", "names unheard", "right"),
    ("ordinary", "ordinary", "right"),
    ("wrong actions", "stream", "wrong_action"),
    ("questions", "stream", "asked"),
    ("near misses acted on", "near miss", "wrong_action"),
)


def to_markdown(lines: Sequence[Mapping[str, Any]], plan: Plan, *, command: str, date: str, picture: str | None) -> str:
    """Return the page: one table a language, the controls, and what follows from them."""
    made = (
        f"Made on {date} by `{command}`; regenerate it, do not edit it. {plan.households} households, {plan.seeds} seeds, "
        f"{plan.checkpoints[-1]} interactions, {100 * plan.own:.0f} % own phrases and names; people correct {100 * plan.corrects:.0f} % of the "
        "mistakes. All shares are of 100, with the 95 % interval of a bootstrap over households and seeds."
    )
    method = (
        "Every row but the peer is fitted on the log of the same households, which lived with base, memory and aliases, and hears the same held-out "
        f"sentences. Networks are fitted from {plan.least_labels} labels on, and no gate is asked: this is what an algorithm makes, not what would "
        "be promoted. Corrected before: the same words in the same place, after one right correction. Heard and unheard are wordings of the same phrases; own names are heard in other commands than those of the log. Wrong actions "
        "and questions are counted on sentences as the household says them."
    )
    parts = ["# What learning makes of the same interactions", "", made, "", method, ""]
    if not is_installed():
        parts += ["Row 6, Vowpal Wabbit, was not run: the package `vowpalwabbit` is not installed.", ""]
    for language in plan.languages:
        mine = [line for line in lines if line["language"] == language]
        parts += [f"## {'English' if language == 'en' else 'Chinese'}", "", *_table(mine, plan), *_lived(mine), *_human_lines(mine)]
    if plan.controls:
        parts += ["## Controls", "", *_control_table(lines, plan)]
    parts += ["## What follows", "", *_verdict(lines, plan), ""]
    if picture is not None:
        parts += [f"![curves]({picture})", ""]
    return "\n".join(parts)


def _table(lines: Sequence[Mapping[str, Any]], plan: Plan) -> list[str]:
    table = [
        f"| | row | after | labels | {' | '.join(title for title, _, _ in _COLUMNS)} |",
        f"| --- | --- | ---: | ---: | {' | '.join('---:' for _ in _COLUMNS)} |",
    ]
    for row in ROWS:
        for at in plan.checkpoints:
            entries = [one for line in lines for one in line["rows"] if one["row"] == row and one["at"] == at]
            if not entries:
                continue
            labels = np.mean([one["labels"] for one in entries])
            shown = f"{labels:.0f}" if row not in (BASE_ROW, MEMORY_ROW, ALIAS_ROW, PEER, ORACLE_ROW) else ""
            cells = [str(shares(entries, name, verdict)) for _, name, verdict in _COLUMNS]
            table.append(f"| {NUMBERS.get(row, '5')} | {row} | {at} | {shown} | {' | '.join(cells)} |")
    return [*table, ""]


def _lived(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the first and last hundred interactions as they were lived, with base, memory and aliases."""
    cells = []
    for verdict in ("wrong_action", "asked"):
        first, last = (share([(line["lived"][i][verdict], sum(line["lived"][i].values())) for line in lines]) for i in (0, 1))
        cells.append(f"{'wrong actions' if verdict == 'wrong_action' else 'questions'} {first} -> {last}")
    return [f"Lived with memory and aliases, from the first to the last hundred: {'; '.join(cells)}.", ""]


def _human_lines(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    entries: dict[str, list[Mapping[str, int]]] = defaultdict(list)
    for line in lines:
        for one in line["human"]:
            entries[one["row"]].append(one)
    if not entries:
        return ["Forgetting on human text was not measured: no folder was given (`--human`).", ""]
    table = ["| human text | commands read rightly | talk acted on |", "| --- | ---: | ---: |"]
    for row, found in entries.items():
        read = share([(one["understood"], one["commands"]) for one in found])
        acted = share([(one["acted"], one["talk"]) for one in found])
        table.append(f"| {row} | {read} | {acted} |")
    return [*table, ""]


def _control_table(lines: Sequence[Mapping[str, Any]], plan: Plan) -> list[str]:
    last = plan.checkpoints[-1]
    columns = [column for column in _COLUMNS if column[0] not in ("questions", "corrected before")]
    table = [
        f"| row 3 after {last} | labels | {' | '.join(title for title, _, _ in columns)} |",
        f"| --- | ---: | {' | '.join('---:' for _ in columns)} |",
    ]
    names = ["shuffled labels", *(f"{100 * r:.0f} % corrected" for r in CORRECTION_RATES), *(f"{100 * r:.0f} % lies" for r in LIE_RATES)]
    for name in names:
        entries = [one for line in lines for one in line["controls"] if one["control"] == name]
        if entries:
            labels = np.mean([one["labels"] for one in entries])
            table.append(f"| {name} | {labels:.0f} | {' | '.join(str(shares(entries, s, v)) for _, s, v in columns)} |")
    return [*table, "", "Shuffled labels are heard without memory: they stand beside row 0.", ""]


def _verdict(lines: Sequence[Mapping[str, Any]], plan: Plan) -> list[str]:
    """Return how every row stands to row 3, paired by household, and whether rewards have earned their place."""
    last = plan.checkpoints[-1]
    found, winners = [], []
    for row in (*[name for name in algorithms.NAMES if name != CORRECTIONS_ROW], PEER):
        told = [_compared(lines, row, *column, at=last) for column in _COMPARED]
        if None in told:
            continue
        found.append(f"- {row} against corrections only after {last}: {'; '.join(str(one) for one in told)}.")
        gain = difference(lines, row, CORRECTIONS_ROW, at=last, set_name="phrases unheard", verdict="right")
        wrong = difference(lines, row, CORRECTIONS_ROW, at=last, set_name="stream", verdict="wrong_action")
        if row != PEER and gain is not None and wrong is not None and gain.low > 0 >= wrong.low:
            winners.append(row)
    if winners:
        found.append(f"- On own phrases in unheard wording {', '.join(winners)} beats corrections only without acting wrongly more often.")
    else:
        found.append(
            f"- No algorithm that uses rewards beats corrections only on own phrases in unheard wording: `{CORRECTIONS_ROW}` stays the default."
        )
    idle = [one["counts"]["phrases unheard"] for line in lines for one in line["controls"] if one["control"] == "shuffled labels"]
    if idle:
        before = share([_of(_entry(line, BASE_ROW, last), "phrases unheard", "right") for line in lines])
        after = share([(counts["right"], sum(counts.values())) for counts in idle])
        found.append(f"- Shuffled labels: own phrases unheard {before} before, {after} after.")
    return found


_COMPARED = (
    ("own phrases unheard", "phrases unheard", "right"),
    ("own names unheard", "names unheard", "right"),
    ("ordinary", "ordinary", "right"),
    ("wrong actions", "stream", "wrong_action"),
    ("questions", "stream", "asked"),
)


def _compared(lines: Sequence[Mapping[str, Any]], row: str, title: str, set_name: str, verdict: str, *, at: int) -> str | None:
    """Return a difference to row 3 in words; bold where its interval leaves 0 out."""
    found = difference(lines, row, CORRECTIONS_ROW, at=at, set_name=set_name, verdict=verdict)
    if found is None:
        return None
    text = f"{title} {found.value:+.1f} ({found.low:+.1f} to {found.high:+.1f})"
    return text if found.low <= 0 <= found.high else f"**{text}**"


def difference(
    lines: Sequence[Mapping[str, Any]], row: str, other: str, *, at: int, set_name: str, verdict: str, seed: int = 1
) -> Share | None:
    """Return how many points more a row has than another, with the interval of a bootstrap over the jobs; None where a row is missing.

    Args:
        lines: one a job.
        row: the row.
        other: what it is compared with, job by job.
        at: the checkpoint.
        set_name: one of SETS.
        verdict: one of VERDICTS.
        seed: of the bootstrap.
    """
    pairs = []
    for line in lines:
        one, two = _entry(line, row, at), _entry(line, other, at)
        if one is None or two is None:
            return None
        (hits, count), (other_hits, _) = _of(one, set_name, verdict), _of(two, set_name, verdict)
        pairs.append((hits - other_hits, count))
    known = np.array([pair for pair in pairs if pair[1]], np.float64).reshape(-1, 2)
    if not len(known):
        return None
    return _bootstrapped(known, seed)


def _entry(line: Mapping[str, Any], row: str, at: int) -> Mapping[str, Any] | None:
    return next((one for one in line["rows"] if one["row"] == row and one["at"] == at), None)


def _of(entry: Mapping[str, Any] | None, set_name: str, verdict: str) -> tuple[int, int]:
    if entry is None:
        return 0, 0
    counts = entry["counts"][set_name]
    return counts[verdict], sum(counts.values())


def draw(lines: Sequence[Mapping[str, Any]], plan: Plan, path: Path) -> None:
    """Draw every row over the checkpoints, all languages together."""
    columns = [column for column in _COLUMNS if column[0] not in ("near misses acted on", "corrected before")]
    figure = Figure(figsize=(13, 8), layout="constrained")
    axes = figure.subplots(2, 3).flatten()
    for axis, (title, set_name, verdict) in zip(axes, columns, strict=True):
        for row in ROWS:
            points = []
            for at in plan.checkpoints:
                entries = [one for line in lines if (one := _entry(line, row, at)) is not None]
                if entries:
                    points.append((at, shares(entries, set_name, verdict).value))
            if points:
                axis.plot(
                    *zip(*points, strict=True), marker="o", label=f"{NUMBERS.get(row, '5')} {row}", linestyle="--" if row == PEER else "-"
                )
        axis.set_title(f"{title}, of 100")
        axis.set_xlabel("interactions")
        axis.set_xscale("log")
        axis.set_xticks(plan.checkpoints, [str(at) for at in plan.checkpoints])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize="x-small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
