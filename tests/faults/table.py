"""The table of faults: each test names its fault and promise, the long run notes the figures, and docs/reliability.md shows them.

FAULT_TABLE=docs/reliability.md pytest tests/faults --run-faults ...    writes the table, if nothing failed and no fault is missing
"""

import os
import re
from pathlib import Path
from typing import Any

import pytest

BEGIN, END = "<!-- faults: written by make test-faults -->", "<!-- end of faults -->"
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
    return sorted(found.values(), key=lambda row: (int(re.findall(r"\d+", row["number"])[0]), "-" in row["number"], row["test"]))


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Return the table as Markdown."""
    head = ["| fault | promise | test in tests/faults | what was seen |", "| --- | --- | --- | --- |"]
    return [*head, *(f"| {r['number']} {r['name']} | {r['promise']} | `{r['test']}` | {'; '.join(r['figures'])} |" for r in found)]


def write(session: pytest.Session, exitstatus: int) -> None:
    """Replace the table in the document that FAULT_TABLE names."""
    target = os.environ.get("FAULT_TABLE")
    if not target or exitstatus != 0:
        return
    path = Path(target)
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    text = "\n".join([BEGIN, *lines(rows(session.items)), END])
    path.write_text(f"{before}{text}{after}", encoding="utf-8")
