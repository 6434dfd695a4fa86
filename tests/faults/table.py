"""The table of faults: each test names its fault and promise, a run notes the figures, and docs/reliability.md shows them.

FAULTS=all FAULT_TABLE=docs/reliability.md pytest tests/faults    writes the table, if nothing failed; what did not run keeps its line
"""

import os
import re
from pathlib import Path
from typing import Any

import pytest

BEGIN, END = "<!-- faults: written by make test-faults -->", "<!-- end of faults -->"
FAULTS = tuple(f"F{number}" for number in range(1, 39))
NOT_RUN = "not run yet"
_NOTES = pytest.StashKey[list[str]]()


def fault(number: str, name: str, promise: str) -> pytest.MarkDecorator:
    """Say which fault a test makes, and which promises it checks."""
    return pytest.mark.fault(number, name, promise)


def note(item: pytest.Item, text: str) -> None:
    """Note what a test has measured."""
    item.stash.setdefault(_NOTES, []).append(text)


def rows(items: list[pytest.Item]) -> list[dict[str, Any]]:
    """Return one row for each test that makes a fault, in the order of the faults."""
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        marker = item.get_closest_marker("fault")
        if marker is None:
            continue
        number, name, promise = marker.args
        where = f"{item.path.name}::{item.originalname}" if isinstance(item, pytest.Function) else item.nodeid
        row = found.setdefault(f"{number} {where}", {"number": number, "name": name, "promise": promise, "test": where, "figures": []})
        row["figures"] += item.stash.get(_NOTES, [])
    return sorted(found.values(), key=_order)


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Return the table as Markdown, and which faults have no test."""
    head = ["| fault | promise | test in tests/faults | what was seen |", "| --- | --- | --- | --- |"]
    body = [f"| {r['number']} {r['name']} | {r['promise']} | `{r['test']}` | {'; '.join(r['figures']) or NOT_RUN} |" for r in found]
    untested = [one for one in FAULTS if one not in faults_of(found)]
    return [*head, *body, "", f"Faults without a test: {', '.join(untested) or 'none'}, of {len(FAULTS)}."]


def faults_of(found: list[dict[str, Any]]) -> set[str]:
    """Return the numbers of the faults that some rows are about: `F1-F4` is about four."""
    spans = [[int(one) for one in re.findall(r"\d+", row["number"])] for row in found]
    return {f"F{number}" for span in spans for number in range(span[0], span[-1] + 1)}


def read_lines(text: str) -> list[dict[str, Any]]:
    """Return the rows of a table that was written before."""
    found = []
    for number, name, promise, test, seen in re.findall(r"^\| (F[\dF-]+) (.*?) \| (.*?) \| `(.*?)` \| (.*?) \|$", text, re.MULTILINE):
        figures = [] if seen == NOT_RUN else [seen]
        found.append({"number": number, "name": name, "promise": promise, "test": test, "figures": figures})
    return found


def merge(found: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of this run, with the figures from before where a test did not run; a run of a part keeps the other rows."""
    old = {(row["number"], row["test"]): row for row in before}
    merged = [row | {"figures": row["figures"] or old.get((row["number"], row["test"]), row)["figures"]} for row in found]
    if faults_of(found) != set(FAULTS):
        mine = {(row["number"], row["test"]) for row in found}
        merged += [row for key, row in old.items() if key not in mine]
    return sorted(merged, key=_order)


def write(session: pytest.Session, exitstatus: int) -> None:
    """Replace the table in the document that FAULT_TABLE names."""
    target = os.environ.get("FAULT_TABLE")
    if not target or exitstatus != 0:
        return
    path = Path(target)
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    text = "\n".join([BEGIN, *lines(merge(rows(session.items), read_lines(table))), END])
    path.write_text(f"{before}{text}{after}", encoding="utf-8")


def _order(row: dict[str, Any]) -> tuple[int, bool, str]:
    return int(re.findall(r"\d+", row["number"])[0]), "-" in row["number"], row["test"]
