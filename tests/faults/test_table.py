"""The table of faults: complete, and written so that it can be read and written again."""

from pathlib import Path

from tests.faults import table

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


def row(number: str, test: str, *figures: str) -> dict[str, object]:
    """Return a row."""
    return {"number": number, "name": "a fault", "promise": "1, 2", "test": test, "figures": list(figures)}


def test_table_is_read_as_it_was_written() -> None:
    """What did not run keeps what was seen before; a part of the tests keeps the rows of the others."""
    before = [row("F1", "a.py::b", "4 kills"), row("F2", "a.py::c"), row("F1-F4", "a.py::d", "1000 kills: 0 lost")]
    text = "\n".join(table.lines(before))

    assert table.read_lines(text) == before
    assert "without a test: F5, F6" in text
    assert table.merge([row("F1", "a.py::b"), row("F2", "a.py::c", "seen")], before) == [
        row("F1", "a.py::b", "4 kills"),
        row("F1-F4", "a.py::d", "1000 kills: 0 lost"),
        row("F2", "a.py::c", "seen"),
    ]


def test_document_has_every_fault() -> None:
    """Each of the 38 faults has a test in the document that has been run."""
    found = table.read_lines(DOCUMENT.read_text(encoding="utf-8"))

    assert table.faults_of([one for one in found if one["figures"]]) == set(table.FAULTS)
