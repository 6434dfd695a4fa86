"""F9 to F12 and F38: the disk is full, the database damaged, truncated or locked; what was erased is gone from the disk."""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import LAMP, ON, ROOT, FaultHouse, MakeHouse, needs_model
from tests.faults.table import fault
from tests.faults.test_lines import reward_of, until
from voice_rl_plugin.learning.store import FILE_NAME

pytestmark = needs_model

SECRET = "turn on the bedside lamp for zanzibar"
HELD_BYTES = 16_777_216


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    done = subprocess.run([str(mount), "-t", "tmpfs", "-o", f"size={HELD_BYTES}", "none", str(disk)], capture_output=True, check=False)
    if mount is None or done.returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to the last byte and return the file that does it."""
    filler = disk / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65_536))
            file.flush()
    return filler


@fault("F9", "disk full", "1, 2, 4")
def test_full_disk(make_house: MakeHouse, small_disk: Path, figure: Callable[[str], None]) -> None:
    """The lights still work, the loss of rows is said, and a confirmation waits until there is room again."""
    house = make_house(store={"path": str(small_disk / "store")})
    house.start()
    house.say(LAMP)
    judged = house.decided(LAMP)
    house.settle()
    filler = fill(small_disk)
    for number in range(6):
        house.say(LAMP, id=f"full{number}")
    until(lambda: len(house.actions(ON)) == 7, "the actions")
    house.watcher.publish("voice_rl/confirm", {"decision_id": judged["decision_id"], "verdict": "yes"})
    health = house.health(
        lambda one: one["drops"].get("unstored", 0) >= 2 and any("disk is full" in problem for problem in one["problems"])
    )
    erased = run_command("experience", "erase", "--text", "no such words", "--store", str(small_disk / "store"))
    filler.unlink()
    until(lambda: small_reward(small_disk, judged["decision_id"]) == 1.0, "the reward, once there is room")
    house.say(LAMP, id="after")
    until(lambda: len(house.actions(ON)) == 8, "the action after it")

    assert erased.returncode == 0, erased.stderr
    figure(
        f"7 of 7 settings carried out, {health['drops']['unstored']} writes failed and counted, the confirmation stored once there was room"
    )


def small_reward(disk: Path, decision_id: str) -> float | None:
    """Return a reward from the store on the small disk."""
    connection = sqlite3.connect(f"file:{disk / 'store' / FILE_NAME}?mode=ro", uri=True)
    try:
        row = connection.execute("SELECT json_extract(body, '$.reward') FROM rewards WHERE decision_id = ?", (decision_id,)).fetchone()
    finally:
        connection.close()
    return float(row[0]) if row else None


def run_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `voice-rl` beside the daemon."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("VOICE_RL")}
    environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "voice_rl_plugin.cli", *arguments], capture_output=True, text=True, env=environ, check=False, timeout=120
    )


def stored_house(make_house: MakeHouse, count: int = 3) -> tuple[FaultHouse, Path]:
    """Return a stopped house with some decisions in its store, and the database."""
    house = make_house()
    house.start()
    for number in range(count):
        house.say(LAMP, id=f"before{number}")
    until(lambda: len(house.actions(ON)) == count, "the actions")
    house.stop()
    return house, house.store / FILE_NAME


def check_anew(house: FaultHouse, before: int) -> str:
    """Start on a damaged database; it is moved aside, that is said, and everything works."""
    house.start()
    damaged = house.health(lambda one: bool(one["damaged_stores"]))["damaged_stores"]
    house.say(LAMP, id="anew")
    until(lambda: len(house.actions(ON)) == before + 1, "the action")
    house.settle()
    with house.open_store() as store:
        assert store.decision_of_utterance("anew", door="native", now=time.time()) is not None
        assert store.damaged() == ()
    assert (house.store / damaged[0]).exists()
    return str(damaged[0])


@fault("F10", "corrupt database", "4")
def test_corrupt_database(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """A database that is none any more is moved aside, a new one is begun, and health names the old one."""
    house, database = stored_house(make_house)
    database.write_bytes(random.Random(10).randbytes(database.stat().st_size))
    aside = check_anew(house, 3)
    figure(f"moved to {aside.rpartition('-')[0]}-..., said on health")


@fault("F11", "truncated database or WAL", "1, 4")
def test_truncated_database(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """Half a log gives the rows of the whole half; half a database is moved aside; both are told apart from health."""
    house = make_house()
    house.start()
    for number in range(4):
        house.say(LAMP, id=f"before{number}")
    until(lambda: len(house.actions(ON)) == 4, "the actions")
    house.kill()
    log = house.store / f"{FILE_NAME}-wal"
    os.truncate(log, log.stat().st_size * 3 // 4)
    house.start()
    house.settle()
    with house.open_store() as store:
        kept = [one for one in store.latest(20) if (one.decision.utterance.id or "").startswith("before")]
        assert store.damaged() == ()
    house.stop()
    database = house.store / FILE_NAME
    os.truncate(database, database.stat().st_size // 2)
    check_anew(house, 4 + len(house.actions(ON)) - 4)

    assert 1 <= len(kept) < 4
    figure(f"3/4 of the log: {len(kept)} of 4 rows; half the database: moved aside and said")


@fault("F12", "locked database", "1, 2")
def test_locked_database(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """While another process holds the database commands are carried out within the freshness, and a confirmation is stored afterwards."""
    house = make_house()
    house.start()
    house.say(LAMP)
    judged = house.decided(LAMP)
    house.settle()
    other = sqlite3.connect(house.store / FILE_NAME, isolation_level=None, timeout=10.0)
    other.execute("BEGIN EXCLUSIVE")
    ages = []
    for number in range(3):
        begun = time.monotonic()
        house.say(LAMP, id=f"locked{number}")
        until(lambda number=number: len(house.actions(ON)) == number + 2, "the action")  # type: ignore[misc]
        ages.append(time.monotonic() - begun)
    house.watcher.publish("voice_rl/confirm", {"decision_id": judged["decision_id"], "verdict": "yes"})
    threading.Event().wait(1.0)  # the lock lasts
    other.execute("ROLLBACK")
    other.close()
    until(lambda: reward_of(house, judged["decision_id"]) == 1.0, "the reward")

    assert max(ages) < 5.0
    assert ages[-1] < ages[0], "only the first one waits for the lock"
    figure(f"carried out after {ages[0]:.1f}, {ages[1]:.1f} and {ages[2]:.1f} s, the confirmation stored after the lock")


def everything_on(folder: Path) -> dict[Path, bytes]:
    """Return the content of every file below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@fault("F38", "erase", "7")
def test_erased_is_erased(make_house: MakeHouse, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """After an erasure beside the running daemon no file holds the words, the daemon has unlearned them, and exports are named."""
    house = make_house(folder=tmp_path)
    house.start()
    house.say(SECRET)
    decision = house.decided(SECRET)
    house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "correct", "correction": {"text": LAMP}})
    house.settle()
    house.say(SECRET)
    assert house.decided(SECRET, count=2)["stage"] == "memory"
    archive = tmp_path / "export.zip"
    assert run_command("experience", "export", str(archive), "--store", str(house.store)).returncode == 0
    assert any(b"zanzibar" in content for path, content in everything_on(tmp_path).items() if path != house.log)
    erased = run_command("experience", "erase", "--text", "zanzibar", "--store", str(house.store))
    archive.unlink()
    held = [path.name for path, content in everything_on(tmp_path).items() if b"zanzibar" in content.lower()]
    health = house.health()
    house.settle()

    def unlearned() -> bool:
        count = sum(1 for one in house.watcher.on_topic("voice_rl/decision") if b"zanzibar" in one.payload)
        house.say(SECRET)
        return bool(house.decided(SECRET, count=count + 1)["stage"] != "memory")

    assert erased.returncode == 0, erased.stderr
    assert "export.zip" in erased.stdout
    assert held == []
    assert health["status"] == "ok"
    until(unlearned, "that the running daemon forgets")
    files = len(everything_on(tmp_path))
    figure(f"{files} files searched, 0 hold the words; unlearned by the running daemon; the export named")
