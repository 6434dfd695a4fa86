"""Upkeep erases what is too old and finds what is damaged, beside the running daemon."""

import sqlite3
import time
from pathlib import Path

import pytest

from tests.learning.makers import START, make_decision
from tests.mosquitto import DEADLINE_S
from voice_rl_plugin.daemon import upkeep
from voice_rl_plugin.daemon.upkeep import DAY_S, StoreHealth, Upkeep
from voice_rl_plugin.learning.store import FILE_NAME, ExperienceStore


def look(folder: Path, *, keep_s: float | None, now: float = START) -> StoreHealth:
    """Do one round."""
    found: list[StoreHealth] = []
    one = Upkeep(folder, keep_s=keep_s, clock=lambda: now, report=found.append)
    one.start()
    deadline = time.monotonic() + DEADLINE_S
    while not found:
        assert time.monotonic() < deadline
        one._stopped.wait(0.01)
    one.close()
    return found[0]


def fill(folder: Path, ages_days: list[float]) -> None:
    """Make decisions of these ages."""
    with ExperienceStore(folder, clock=lambda: START) as store:
        for number, days in enumerate(ages_days):
            store.record_decision(make_decision(f"d{number}", text=f"secret number {number}", at=START - days * DAY_S))


def test_old_decisions_go_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than the retention is erased from every file, however many batches that takes; the rest stays."""
    monkeypatch.setattr(upkeep, "BATCH", 2)
    fill(tmp_path, [400, 390, 380, 370, 366, 10, 0])
    found = look(tmp_path, keep_s=365 * DAY_S)

    assert (found.decisions, found.retired, found.damaged_rows) == (2, 5, 0)
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"secret number 0" not in held
    assert b"secret number 5" in held


def test_without_a_retention_nothing_goes(tmp_path: Path) -> None:
    """An owner who keeps everything keeps everything."""
    fill(tmp_path, [4000, 0])

    assert look(tmp_path, keep_s=None).decisions == 2


def test_damaged_rows_and_erasures_are_found(tmp_path: Path) -> None:
    """A row that fails its checksum is counted; the last erasure has its time."""
    fill(tmp_path, [3, 2, 1])
    with ExperienceStore(tmp_path, clock=lambda: START) as store:
        store.erase(decision_id="d2")
        path = store.path
    connection = sqlite3.connect(path)
    connection.execute("UPDATE decisions SET body = replace(body, 'secret', 'sacred') WHERE id = 'd1'")
    connection.commit()
    connection.close()
    found = look(tmp_path, keep_s=None)

    assert (found.decisions, found.damaged_rows, found.last_erasure_at) == (2, 1, START)


@pytest.mark.parametrize("content", [b"", b"no database" * 100])
def test_store_that_cannot_be_read_is_a_problem(tmp_path: Path, content: bytes) -> None:
    """A missing or damaged store is told as a problem, not as an exception in a thread."""
    if content:
        (tmp_path / FILE_NAME).write_bytes(content)

    assert "upkeep" in look(tmp_path, keep_s=DAY_S).problem
