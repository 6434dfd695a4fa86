"""The experience store on real SQLite and, what is not about files, on a real PostgreSQL: idempotency, joins, marks, migrations, damage, erasure."""

import json
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.learning.makers import DOOR, LAMP_OFF, LAMP_ON, OTHER, START, MakePlace, make_decision, make_feedback, present
from voice_rl_plugin.deciding.memory import MemoryEntry
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Candidate
from voice_rl_plugin.domain.home import EntityState
from voice_rl_plugin.errors import MessageError, StoreError
from voice_rl_plugin.learning import rows, schema
from voice_rl_plugin.learning.archive import export_archive, import_archive
from voice_rl_plugin.learning.connection import StoreConnection
from voice_rl_plugin.learning.reward import PATTERN_CAPS
from voice_rl_plugin.learning.store import ANSWERED, FILE_NAME, Done, ExperienceStore, StoredDecision

SECRET = "whisper the zanzibar lullaby"
HAN_SECRET = "打开奶奶的小夜灯"
ENTRY = MemoryEntry(words="movie time", area="lounge", actions=(LAMP_OFF,), decision_id="d1", learned_at=START)


def test_record_decision_is_idempotent_by_decision_and_utterance_id(store: ExperienceStore) -> None:
    """A repeated delivery writes nothing; the sender may use its id again after ten minutes, and through another door."""
    first = make_decision("d1", utterance_id="u1")
    other_door = replace(first, id="d5", utterance=replace(first.utterance, door="hermes"))

    assert store.record_decision(first)
    assert not store.record_decision(first)
    assert not store.record_decision(make_decision("d2", utterance_id="u1", at=START + 599))
    assert store.record_decision(make_decision("d3", utterance_id="u1", at=START + 1300))
    assert store.record_decision(make_decision("d4"))
    assert store.record_decision(other_door)
    assert store.count() == (4, 0)
    assert present(store.decision_of_utterance("u1", door="native", now=START + 5)).id == "d1"
    assert store.decision_of_utterance("u1", door="native", now=START + 5000) is None


def test_decision_comes_back_as_it_was(store: ExperienceStore) -> None:
    """Everything that explains a decision survives the store, and only states of considered entities are kept."""
    decision = make_decision(outcome="clarify", choices=(Candidate(actions=(DOOR,), probability=0.5, label="前门"),), text="开前门")
    states = {"light.desk": EntityState(value="on", attributes={"brightness": 7}, changed_at=3.0), "light.far": EntityState(value="off")}

    store.record_decision(decision, previous=(LAMP_OFF,), states=states)
    stored = present(store.stored("d1"))

    assert stored.decision == decision
    assert stored.previous == (LAMP_OFF,)
    assert stored.states == {"light.desk": {"value": "on", "attributes": {"brightness": 7}, "changed_at": 3.0}}


@given(st.text(max_size=60), st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.booleans(), max_size=3))
def test_rows_round_trip(text: str, slots: dict[str, Any]) -> None:
    """Any text and any slots come back from JSON unchanged, and the checksum is the same."""
    decision = make_decision(text=text, actions=(Action(service="intent.X", data=slots),))
    feedback = make_feedback(text=text, correction=decision.actions)
    written = rows.dump(rows.decision_to_mapping(decision))

    assert rows.decision_from_mapping(json.loads(written)) == decision
    assert rows.feedback_from_mapping(json.loads(rows.dump(rows.feedback_to_mapping(feedback)))) == feedback
    assert rows.checksum_of(written) == rows.checksum_of(written)


def test_transitions_join_decisions_with_their_reward(store: ExperienceStore) -> None:
    """A judged decision has its reward and correction; silence is None."""
    store.record_decision(make_decision("d1"), previous=(OTHER,))
    store.record_decision(make_decision("d2", at=START + 60))
    store.record_feedback(make_feedback("d1", "no"))
    store.record_feedback(make_feedback("d1", "correct", correction=(OTHER,), text="the bed one", source="voice"))

    judged, silent = store.transitions()

    assert (judged.reward, judged.reward_source, judged.correction_text) == (-1.0, "voice", "the bed one")
    assert judged.correction == (OTHER.to_payload(),)
    assert judged.previous == (OTHER.to_payload(),)
    assert judged.candidates[0] == {"actions": [LAMP_ON.to_payload()], "probability": 0.9}
    assert (silent.reward, silent.correction) == (None, None)


def test_transitions_cross_pages(store: ExperienceStore) -> None:
    """More rows than a page come out once each, in order, even around a gap of erased ones."""
    store.import_stored(
        (
            type(stored)(decision=decision, previous=(), states={})
            for stored in [store_of(store)]
            for decision in (make_decision(f"n{i:04}", at=START + i) for i in range(1203))
        ),
        (),
    )
    store.erase(older_than=START + 700)

    assert [t.decision_id for t in store.transitions()] == [f"n{i:04}" for i in range(700, 1203)]


def store_of(store: ExperienceStore) -> StoredDecision:
    """Return any stored decision, for its type."""
    store.record_decision(make_decision("seed", at=START - 5))
    return present(store.stored("seed"))


def test_record_feedback_is_idempotent_and_refuses_orphans(store: ExperienceStore) -> None:
    """The same feedback counts once; one about nothing is a message error; an unknown verdict too."""
    store.record_decision(make_decision())
    yes = make_feedback(identity="f1")

    assert present(store.record_feedback(yes)).reward == 1.0
    assert store.record_feedback(yes) is None
    assert present(store.record_feedback(make_feedback("d1", "no", at=START + 9))).reward == -1.0
    assert store.record_feedback(make_feedback("d1", "no", at=START + 9)) is None
    with pytest.raises(MessageError, match="no decision 'nope'"):
        store.record_feedback(make_feedback("nope"))
    with pytest.raises(MessageError, match="verdict"):
        store.record_feedback(make_feedback("d1", "maybe"))
    with pytest.raises(MessageError, match="given_at"):
        store.record_feedback(make_feedback("d1", "yes", at=float("nan")))


def test_record_feedback_is_capped_per_pattern(store: ExperienceStore) -> None:
    """A stuck button teaches only so much a day, and the next day again; the feedback itself is kept."""
    for number in range(PATTERN_CAPS["topic"] + 2):
        store.record_decision(make_decision(f"d{number}", at=START + number))
        store.record_feedback(make_feedback(f"d{number}", at=START + number + 1))
    store.record_decision(make_decision("later", at=START + 86_400))
    store.record_feedback(make_feedback("later", at=START + 86_401))
    labels = [t.reward for t in store.transitions()]

    assert labels == [1.0] * PATTERN_CAPS["topic"] + [None, None, 1.0]
    assert all(stored.judgements for stored in store.all_stored())


def test_memory_is_kept_replaced_and_forgotten(store: ExperienceStore) -> None:
    """An entry comes back equal; the same words and area replace it; forgetting says whether there was one."""
    contested = replace(ENTRY, is_contested=True, rival=(LAMP_ON,), actions=())
    everywhere = replace(ENTRY, area=None, learned_at=START + 1)
    store.save_memory(ENTRY)
    store.save_memory(contested)
    store.save_memory(everywhere)

    assert store.load_memory() == (contested, everywhere)
    assert store.forget_memory("movie time", "lounge")
    assert not store.forget_memory("movie time", "lounge")
    assert store.load_memory() == (everywhere,)


def test_open_steps_tell_what_left_and_what_may_have(store: ExperienceStore) -> None:
    """No mark: not published; marked before the publish: maybe; done: left. Nothing without an executor."""
    store.record_decision(make_decision("d1", actions=(LAMP_ON, OTHER, DOOR)))
    store.record_decision(make_decision("shadow", executor="none"))
    assert store.mark_publishing("d1", 0, at=START + 1)
    assert not store.mark_publishing("d1", 0, at=START + 2)
    store.mark_done("d1", 0, at=START + 2)
    store.mark_publishing("d1", 1, at=START + 3)

    steps = store.open_steps(since=START - 5)

    assert [(one.decision.id, one.step, one.publishing_at) for one in steps] == [("d1", 1, START + 3), ("d1", 2, None)]
    assert steps[1].action == DOOR
    assert store.open_steps(since=START + 1) == ()


def test_marks_come_with_the_row_and_go_with_the_next_commit(store: ExperienceStore) -> None:
    """One commit holds a decision, its marks, and what has left since; an erased decision stops nobody."""
    store.record_decision(make_decision("a", actions=(LAMP_ON, LAMP_OFF)), publishing_at=START)
    assert [(step.step, step.publishing_at) for step in store.open_steps(since=0.0)] == [(0, START), (1, START)]

    store.record_decision(
        make_decision("b"), publishing_at=START + 1, done=[Done(decision_id="a", at=START), Done(decision_id="gone", at=START)]
    )
    assert [step.decision.id for step in store.open_steps(since=0.0)] == ["b"]
    store.mark_all_done([Done(decision_id="b", at=START)])
    assert store.open_steps(since=0.0) == ()


def test_open_steps_hold_the_answer_to_a_question(store: ExperienceStore) -> None:
    """A question that was answered and not known to have left comes back as what the answer made of it."""
    choice = Candidate(actions=(OTHER,), probability=0.5, label="the bed lamp")
    store.record_decision(make_decision("q", outcome="clarify", choices=(choice,), executor="none"))
    store.record_feedback(make_feedback("q", correction=(OTHER,)))
    assert store.open_steps(since=0.0) == ()

    store.mark_publishing("q", 0, at=START + 5)
    (step,) = store.open_steps(since=START + 4)
    assert (step.action, step.decision.outcome, step.decision.reason_code, step.publishing_at) == (OTHER, "act", ANSWERED, START + 5)
    assert store.open_steps(since=START + 6) == ()


def test_decision_about_knows_the_same_utterance_only(store: ExperienceStore) -> None:
    """The same words at the same time and place are the same utterance; at another time they are not."""
    decision = make_decision("a")
    utterance = replace(decision.utterance, said_at=START)
    store.record_decision(replace(decision, utterance=utterance))

    assert present(store.decision_about(utterance, now=START + 1)).id == "a"
    for other in (replace(utterance, said_at=START + 1), replace(utterance, area="hall"), replace(utterance, text="off")):
        assert store.decision_about(other, now=START + 1) is None
    assert store.decision_about(utterance, now=START + 700) is None


def test_lock_that_stays_is_waited_for_once(tmp_path: Path) -> None:
    """After one call has waited in vain the next ones fail at once, for a while; then the store works again."""
    with ExperienceStore(tmp_path / "store", busy_timeout_s=0.6) as store:
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        took_s = []
        for number in range(2):
            begun = time.monotonic()
            with pytest.raises(StoreError, match="locked"):
                store.record_decision(make_decision(str(number)))
            took_s.append(time.monotonic() - begun)
        other.execute("ROLLBACK")
        other.close()

        assert took_s[1] < 0.4 < took_s[0]
        assert store.record_decision(make_decision("c"))


def test_retention_by_batches_leaves_the_newest_and_the_copies(tmp_path: Path) -> None:
    """A limit takes the oldest first; a damaged copy goes only when it is older than the retention itself."""
    with ExperienceStore(tmp_path / "store", clock=lambda: START) as store:
        for number in range(3):
            store.record_decision(make_decision(str(number), at=START - 10 + number))
        copies = [store.path.with_name(f"{store.path.name}.corrupt-{number}") for number in (1, 2)]
        for copy, at in zip(copies, (START - 5, START), strict=True):
            copy.write_bytes(b"x")
            os.utime(copy, (at, at))

        assert [store.apply_retention(keep_s=1.0, limit=2), store.apply_retention(keep_s=1.0, limit=2)] == [2, 1]
        assert [copy.exists() for copy in copies] == [False, True]


def test_remember_once_forgets_after_its_time(store: ExperienceStore) -> None:
    """An id is known for its time only, whichever way the clock jumps."""
    assert store.remember_once("m1", at=START)
    assert not store.remember_once("m1", at=START + 599)
    assert store.remember_once("m1", at=START + 601)
    assert store.remember_once("m1", at=START - 3600)


def test_files_are_private(file_store: ExperienceStore) -> None:
    """Nobody else on the machine can read what was said."""
    file_store.record_decision(make_decision())

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file_store.path.parent.iterdir()}

    assert {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_any_thread_may_call(make_place: MakePlace) -> None:
    """Eight threads write at once; every row arrives."""
    with ExperienceStore(make_place("store"), busy_timeout_s=30.0) as store:
        threads = [
            threading.Thread(target=lambda k=k: [store.record_decision(make_decision(f"t{k}-{i}")) for i in range(20)]) for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert store.count() == (160, 0)


def test_lone_surrogates_are_stored_in_words_and_refused_in_ids(store: ExperienceStore) -> None:
    """A sender's broken text neither stops the store nor is lost; a broken id is a message error."""
    store.record_decision(make_decision(text="lamp \ud800 on"))

    assert present(store.decision("d1")).utterance.text == "lamp \ud800 on"
    with pytest.raises(MessageError, match="surrogate"):
        store.record_decision(make_decision("d2", utterance_id="\ud800"))


def test_locked_database_ends_within_the_busy_timeout(tmp_path: Path) -> None:
    """Another process's lock is a StoreError, and the store works again afterwards."""
    with ExperienceStore(tmp_path / "s.db", busy_timeout_s=0.2) as store:
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreError, match="locked"):
            store.record_decision(make_decision())

        other.execute("COMMIT")
        other.close()
        assert store.record_decision(make_decision())


def test_closed_store_says_so(make_place: MakePlace) -> None:
    """A call after close is a StoreError; a second close is harmless."""
    store = ExperienceStore(make_place("s.db"))
    store.close()
    store.close()

    with pytest.raises(StoreError, match="closed"):
        store.count()


def test_full_disk_is_said_and_leaves_the_store_usable(file_store: ExperienceStore) -> None:
    """A write that does not fit is a StoreError and changes nothing; an erasure still works."""
    file_store.record_decision(make_decision())

    def limit(connection: sqlite3.Connection) -> Any:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        return connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    assert isinstance(file_store._connection, StoreConnection)
    file_store._connection.read(limit)

    with pytest.raises(StoreError, match="full"):
        file_store.record_decision(make_decision("big", text="x" * 400_000))
    assert file_store.decision("big") is None
    assert file_store.erase(everything=True).decision_ids == ("d1",)


def test_foreign_changes_are_noticed(store: ExperienceStore) -> None:
    """An erasure by a command is seen by the daemon; its own writes are not foreign."""
    store.record_decision(make_decision())
    assert not store.has_foreign_changes()

    with ExperienceStore(store.place, owns_file=False) as command:
        command.erase(everything=True)

    assert store.has_foreign_changes()
    assert not store.has_foreign_changes()
    assert store.count() == (0, 0)


# Damage


def test_corrupt_database_is_moved_aside_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is no database becomes a copy aside; the new store works."""
    path = tmp_path / FILE_NAME
    path.write_bytes(b"this is no database at all" * 400)

    with ExperienceStore(path, clock=lambda: START) as store:
        assert store.record_decision(make_decision())
        assert [one.name for one in store.moved_aside] == [f"{FILE_NAME}.corrupt-{int(START)}"]
    assert "started anew" in caplog.text


def test_corrupt_database_is_an_error_for_a_command(tmp_path: Path) -> None:
    """A command beside the daemon never replaces the file."""
    path = tmp_path / FILE_NAME
    path.write_bytes(b"this is no database at all" * 400)

    with pytest.raises(StoreError, match="not a usable"):
        ExperienceStore(path, owns_file=False)
    with pytest.raises(StoreError, match="no experience store"):
        ExperienceStore(tmp_path / "missing.db", owns_file=False)
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]


def test_store_in_an_impossible_place_is_a_store_error(tmp_path: Path) -> None:
    """Where nothing can be created the store says so."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(StoreError, match="cannot create"):
        ExperienceStore(tmp_path / "file" / "s.db")


@pytest.mark.parametrize("seed", range(12))
def test_truncated_or_scribbled_database_never_stops_the_store(tmp_path: Path, seed: int) -> None:
    """Whatever happens to the bytes, the store opens, writes, and every transition that it gives is one that was written."""
    path = tmp_path / FILE_NAME
    with ExperienceStore(path) as store:
        for number in range(30):
            store.record_decision(make_decision(f"d{number}", at=START + number))
            store.record_feedback(make_feedback(f"d{number}", at=START + number + 1, source="page"))
    chance = random.Random(seed)
    content = bytearray(path.read_bytes())
    if seed % 3 == 0:
        del content[chance.randrange(100, len(content)) :]
    else:
        for _ in range(40):
            content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content)

    with ExperienceStore(path) as store:
        assert store.record_decision(make_decision("new", at=START + 99))
        seen = list(store.transitions())
        assert "new" in {t.decision_id for t in seen}
        assert {t.text for t in seen} == {"desk lamp to thirty five"}
        assert {t.reward for t in seen} <= {1.0, None}


def test_flipped_reward_is_settled_again_from_feedback(store: ExperienceStore) -> None:
    """A reward row that fails its checksum is not believed."""
    store.record_decision(make_decision())
    store.record_feedback(make_feedback())
    store._connection.write(lambda c: c.execute("""UPDATE rewards SET body = replace(body, '"reward":1.0', '"reward":-1.0')"""))

    assert store.damaged() == ("d1",)
    assert [t.reward for t in store.transitions()] == [1.0]


def test_damaged_decision_and_memory_are_left_out(store: ExperienceStore) -> None:
    """A decision or a memory that fails its checksum neither teaches nor acts."""
    store.record_decision(make_decision())
    store.save_memory(ENTRY)
    store._connection.write(lambda c: c.execute("UPDATE decisions SET body = replace(body, 'desk', 'dusk')"))
    store._connection.write(lambda c: c.execute("UPDATE memory SET body = replace(body, 'desk', 'dusk')"))

    assert list(store.transitions()) == []
    assert store.load_memory() == ()
    assert store.damaged() == ("d1",)


# Migrations


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
def test_older_schema_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    """A database of any older version keeps its rows and gains the rest."""
    path = tmp_path / FILE_NAME
    old = sqlite3.connect(path, isolation_level=None)
    schema.migrate(old, now=START, migrations=schema.MIGRATIONS[:version])
    columns = ("d1", None, "native", "p", "act", START, rows.dump(rows.decision_to_mapping(make_decision())), "[]", "{}")
    old.execute("INSERT INTO decisions VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*columns, rows.checksum_of(*columns)))
    old.close()

    with ExperienceStore(path) as store:
        store.save_memory(ENTRY)
        assert present(store.record_feedback(make_feedback())).reward == 1.0
        assert store.decision("d1") == make_decision()
        applied = store._connection.read(lambda c: c.execute("SELECT version FROM migrations ORDER BY version").fetchall())
    assert [row[0] for row in applied] == [one.version for one in schema.MIGRATIONS]


def test_failed_migration_leaves_no_half(tmp_path: Path) -> None:
    """A step that fails is rolled back together with its record."""
    connection = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    broken = schema.Migration(
        version=2, name="broken", statements=("CREATE TABLE half (x INTEGER) STRICT", "CREATE TABLE half (x INTEGER)")
    )
    steps = (schema.MIGRATIONS[0], broken)

    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection, now=START, migrations=steps)

    assert schema.schema_version(connection) == 1
    assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'half'").fetchone() is None
    connection.close()


def test_newer_schema_is_refused_and_not_moved(tmp_path: Path) -> None:
    """A database from the future is left as it is."""
    with ExperienceStore(tmp_path) as store:
        store._connection.write(lambda c: c.execute("INSERT INTO migrations VALUES (99, 'future', 0)"))

    with pytest.raises(StoreError, match="newer version"):
        ExperienceStore(tmp_path)
    assert not list(tmp_path.glob("*.corrupt-*"))


# Crashes

_CHILD = """
import sys
from pathlib import Path
from tests.learning.makers import START, MakePlace, make_decision, make_feedback, present
from voice_rl_plugin.learning.store import ExperienceStore
round_, folder = sys.argv[1], Path(sys.argv[2])
with ExperienceStore(folder) as store:
    for number in range(100000):
        name, at = f"r{round_}-{number}", START + (number + 1000 * int(round_)) * 90000  # a day each: no cap
        store.record_decision(make_decision(name, at=at))
        store.mark_publishing(name, 0, at=at)
        store.record_feedback(make_feedback(name, at=at + 1))
        print(name, flush=True)
"""


def test_kill_minus_nine_loses_no_confirmed_reward(tmp_path: Path) -> None:
    """Thirty-six kills in the middle of commits: every reward that was acknowledged is there, and nothing is torn."""
    chance = random.Random(9)
    acknowledged: set[str] = set()
    for number in range(36):
        command = [sys.executable, "-c", _CHILD, str(number), str(tmp_path)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        assert child.stdout is not None
        for _ in range(chance.randrange(1, 25)):
            acknowledged.add(child.stdout.readline().strip())
        child.send_signal(signal.SIGKILL)
        acknowledged |= {line for line in child.stdout.read().split("\n")[:-1] if line}
        child.wait(10)
        child.stdout.close()

    with ExperienceStore(tmp_path) as store:
        rewarded = {t.decision_id for t in store.transitions() if t.reward == 1.0}
        assert store.moved_aside == ()
        assert store.damaged() == ()
        assert len(acknowledged) > 36
        assert acknowledged <= rewarded


# Erasure


def traces(folder: Path, *words: str) -> list[tuple[str, str]]:
    """Return the files in a folder that hold some of these words."""
    return [(path.name, word) for path in folder.rglob("*") if path.is_file() for word in words if word.encode() in path.read_bytes()]


def fill(store: ExperienceStore) -> None:
    """Write two secrets among ordinary decisions."""
    broadcast = Action(service="intent.HassBroadcast", data={"message": SECRET})
    for number in range(60):
        store.record_decision(make_decision(f"d{number}", at=START + number * 100))
    store.record_decision(make_decision("secret", text=SECRET, actions=(broadcast,), at=START + 7000), previous=(LAMP_ON,))
    store.record_decision(make_decision("after", at=START + 7010), previous=(broadcast,))
    store.record_decision(make_decision("han", text=HAN_SECRET, at=START + 7020))
    store.record_feedback(make_feedback("secret", "correct", correction=(broadcast,), text=SECRET, at=START + 7003))
    store.record_feedback(make_feedback("d1", "correct", text=f"no, {SECRET.upper()}", at=START + 110))
    store.save_memory(replace(ENTRY, words=SECRET, decision_id="secret"))


@pytest.mark.parametrize("close_first", [True, False])
@pytest.mark.parametrize("what", [{"text": SECRET}, {"everything": True}, {"older_than": START + 7015}])
def test_erase_leaves_no_trace_in_any_file(tmp_path: Path, what: dict[str, Any], close_first: bool) -> None:
    """After an erasure the words are in no file of the folder, while the store is open and after it is closed."""
    folder = tmp_path / "store"
    with ExperienceStore(folder) as store:
        fill(store)
        assert traces(folder, SECRET)
        (folder / f"{FILE_NAME}.corrupt-1").write_text(SECRET)
    store = ExperienceStore(folder)
    erasure = store.erase(**what)
    if close_first:
        store.close()

    assert traces(folder, SECRET, SECRET.upper()) == []
    assert {"secret", "d1"} <= set(erasure.decision_ids)
    assert erasure.memory_entries == 1
    if not close_first:
        assert (folder / f"{FILE_NAME}-wal").stat().st_size == 0
        store.close()


def test_erase_by_id_takes_its_words_out_of_follow_ups(tmp_path: Path) -> None:
    """The decision after it referred to its actions; these go as well, and the rest of that decision stays sound."""
    with ExperienceStore(tmp_path) as store:
        fill(store)
        store.erase(decision_id="d1")
        store.erase(decision_id="secret")

        assert traces(tmp_path, SECRET) == []
        assert present(store.stored("after")).previous == ()
        assert store.damaged() == ()
        assert store.last_erasure_at() is not None


def test_erase_by_text_finds_chinese_in_either_script(tmp_path: Path) -> None:
    """Traditional characters erase what was stored in simplified ones; nothing else goes."""
    with ExperienceStore(tmp_path) as store:
        fill(store)

        assert store.erase(text="打開奶奶的小夜燈").decision_ids == ("han",)
        assert traces(tmp_path, HAN_SECRET) == []
        assert store.erase(text="no such words").decision_ids == ()


def test_erase_takes_exactly_one_selection(store: ExperienceStore) -> None:
    """Nothing, two things, or no words at all are refused: an empty text would match everything."""
    for wrong in ({}, {"text": "a", "everything": True}, {"text": "  "}):
        with pytest.raises(StoreError, match="erase: expected"):
            store.erase(**wrong)


def test_erase_says_when_another_process_keeps_the_log(tmp_path: Path) -> None:
    """A reader in the middle of a snapshot keeps old pages alive: that is said, and a second run finishes."""
    with ExperienceStore(tmp_path, busy_timeout_s=0.2) as store:
        fill(store)
        reader = sqlite3.connect(store.path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM decisions").fetchone()

        with pytest.raises(StoreError, match="run the erasure again"):
            store.erase(text=SECRET)

        reader.close()
        store.erase(text=SECRET)
        assert traces(tmp_path, SECRET) == []


def test_late_feedback_to_an_erased_decision_is_refused(store: ExperienceStore) -> None:
    """Erased is erased: a late yes brings nothing back."""
    store.record_decision(make_decision())
    store.erase(decision_id="d1")

    with pytest.raises(MessageError, match="erased"):
        store.record_feedback(make_feedback())


def test_retention_drops_old_decisions_and_keeps_what_they_taught(make_place: MakePlace) -> None:
    """Old rows go; memory stays; nothing counts as an erasure that asks for a new training."""
    with ExperienceStore(make_place("store"), clock=lambda: START + 1000) as store:
        store.record_decision(make_decision("old", at=START))
        store.record_decision(make_decision("young", at=START + 900))
        store.save_memory(replace(ENTRY, decision_id="old"))

        assert store.apply_retention(keep_s=500) == 1
        assert store.apply_retention(keep_s=500) == 0
        assert [t.decision_id for t in store.transitions()] == ["young"]
        assert len(store.load_memory()) == 1
        assert store.last_erasure_at() is None


# Archives


def test_archive_brings_everything_to_another_store(make_place: MakePlace, tmp_path: Path) -> None:
    """Decisions, feedback and memory arrive; rewards are made anew; a second import adds nothing."""
    archive = tmp_path / "home.zip"
    with ExperienceStore(make_place("a.db")) as source, ExperienceStore(make_place("b.db")) as target:
        fill(source)
        manifest = export_archive(source, archive, now=START)
        added = import_archive(target, archive)

        assert manifest["files"]["decisions.jsonl"]["rows"] == 63
        assert added == (63, 2)
        assert import_archive(target, archive) == (0, 0)
        assert list(target.transitions()) == list(source.transitions())
        assert target.load_memory() == source.load_memory()
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600


def test_archive_does_not_bring_back_what_was_erased(tmp_path: Path) -> None:
    """An erasure names the archives that still exist, and importing one does not undo it."""
    archive = tmp_path / "home.zip"
    with ExperienceStore(tmp_path / "store") as store:
        fill(store)
        export_archive(store, archive, now=START)
        erasure = store.erase(text=SECRET)

        assert erasure.exports == (archive,)
        assert import_archive(store, archive) == (0, 0)
        assert traces(tmp_path / "store", SECRET) == []


@pytest.mark.parametrize("kind", ["flip", "truncate", "text", "missing", "foreign"])
def test_damaged_archive_is_refused_whole(tmp_path: Path, kind: str) -> None:
    """A damaged, foreign or missing archive adds nothing and says why."""
    archive = tmp_path / "home.zip"
    with ExperienceStore(tmp_path / "a.db") as source, ExperienceStore(tmp_path / "b.db") as target:
        fill(source)
        export_archive(source, archive, now=START)
        content = bytearray(archive.read_bytes())
        if kind == "flip":
            content[200] ^= 1
        elif kind == "truncate":
            del content[-300:]
        elif kind == "text":
            content = bytearray(b"hello")
        archive.write_bytes(content)
        if kind == "missing":
            archive.unlink()
        if kind == "foreign":
            folder = tmp_path / "f"
            folder.mkdir()
            (folder / "x.txt").write_text("x")
            shutil.make_archive(str(archive.with_suffix("")), "zip", folder)

        with pytest.raises(StoreError, match=r"home\.zip"):
            import_archive(target, archive)
        assert target.count() == (0, 0)
