"""What a store on a server promises beyond the tests of test_store.py: crashes of either side, several daemons, erasure from its files."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.learning.makers import LAMP_OFF, START, make_decision, make_feedback, present
from tests.postgres import PostgresCluster
from voice_rl_plugin.config import StoreSection
from voice_rl_plugin.deciding.memory import MemoryEntry
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.errors import ConfigError, MessageError, StoreError
from voice_rl_plugin.learning import postgres, rows, schema
from voice_rl_plugin.learning.archive import export_archive, import_archive
from voice_rl_plugin.learning.postgres import StoreServer, place_of
from voice_rl_plugin.learning.store import ExperienceStore

SECRET = "hum the timbuktu barcarole"
"""Words of this file alone: `_traces` reads a whole server, on which other files' stores keep theirs."""


@pytest.fixture
def place(cluster: PostgresCluster) -> StoreServer:
    """Where no store is yet."""
    return cluster.fresh()


@pytest.fixture
def raw(place: StoreServer) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Another client of the server, in the store's schema."""
    with psycopg.connect(place.url, autocommit=True, options=f"-c search_path={place.schema}") as connection:
        yield connection


def test_two_daemons_take_an_utterance_once(place: StoreServer) -> None:
    """Two connections that record the same utterance at the same moment: one of them is told that it is known."""
    with ExperienceStore(place) as one, ExperienceStore(place) as other:
        for round_ in range(40):
            together = threading.Barrier(2)
            taken: list[bool] = []

            def record(store: ExperienceStore, name: str, barrier: threading.Barrier, taken: list[bool]) -> None:
                barrier.wait(10)
                taken.append(store.record_decision(make_decision(name, utterance_id=name[:-1])))

            threads = [
                threading.Thread(target=record, args=(store, f"{round_}-{letter}", together, taken))
                for store, letter in ((one, "a"), (other, "b"))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert sorted(taken) == [False, True]

        assert one.count() == (40, 0)
        assert one.has_foreign_changes()


def test_stores_of_one_server_know_nothing_of_each_other(cluster: PostgresCluster) -> None:
    """Two homes on one server are two schemas: erasing one leaves the other."""
    with ExperienceStore(cluster.fresh()) as one, ExperienceStore(cluster.fresh()) as other:
        for store in (one, other):
            store.record_decision(make_decision())
        one.erase(everything=True)

        assert (one.count(), other.count()) == ((0, 0), (1, 0))
        assert not other.has_foreign_changes()


_CHILD = """
import sys
from tests.learning.makers import START, make_decision, make_feedback
from voice_rl_plugin.learning.postgres import StoreServer
from voice_rl_plugin.learning.store import ExperienceStore
round_ = int(sys.argv[1])
with ExperienceStore(StoreServer(url=sys.argv[2], schema=sys.argv[3])) as store:
    for number in range(100000):
        name, at = f"r{round_}-{number}", START + (number + 1000 * round_) * 90000
        store.record_decision(make_decision(name, at=at))
        store.record_feedback(make_feedback(name, at=at + 1))
        print(name, flush=True)
"""


@pytest.mark.parametrize("victim", ["daemon", "server"])
def test_kill_minus_nine_loses_no_confirmed_reward(cluster: PostgresCluster, place: StoreServer, victim: str) -> None:
    """Kills of the daemon, and crashes of the server, in the middle of commits: every acknowledged reward is there, nothing is torn."""
    chance = random.Random(9)
    acknowledged: set[str] = set()
    for number in range(8 if victim == "daemon" else 4):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(number), place.url, place.schema],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.stdout is not None
        for _ in range(chance.randrange(3, 40)):
            acknowledged.add(child.stdout.readline().strip())
        if victim == "daemon":
            child.send_signal(signal.SIGKILL)
        else:
            cluster.stop("immediate")
        acknowledged |= {line for line in child.stdout.read().split("\n") if line}
        child.wait(10)
        child.stdout.close()
        if victim == "server":
            cluster.start()

    with ExperienceStore(place) as store:
        rewarded = {t.decision_id for t in store.transitions() if t.reward == 1.0}
        assert store.damaged() == ()
        assert len(acknowledged) > 10
        assert acknowledged <= rewarded


def test_server_that_goes_is_a_store_error_and_is_found_again(cluster: PostgresCluster, place: StoreServer) -> None:
    """While the server is away every call fails, soon; when it is back the same store works on."""
    with ExperienceStore(place) as store:
        store.record_decision(make_decision("before"))
        cluster.stop("immediate")
        begun = time.monotonic()
        for number in range(3):
            with pytest.raises(StoreError, match="reached"):
                store.record_decision(make_decision(str(number)))
        took_s = time.monotonic() - begun
        cluster.start()
        store._connection._absent_until = float("-inf")  # type: ignore[union-attr]

        assert took_s < 2.0
        assert store.record_decision(make_decision("after"))
        assert store.count() == (2, 0)


def test_restart_between_two_calls_is_not_noticed(cluster: PostgresCluster, place: StoreServer) -> None:
    """A connection that was lost while nobody used it is made anew, for reading and for writing."""
    with ExperienceStore(place) as store:
        store.record_decision(make_decision("a"))
        cluster.stop()
        cluster.start()
        assert store.count() == (1, 0)
        cluster.stop()
        cluster.start()
        assert store.record_decision(make_decision("b"))


def test_lock_that_stays_is_waited_for_once(place: StoreServer, raw: "psycopg.Connection[tuple[object, ...]]") -> None:
    """After one call has waited in vain the next ones fail at once, for a while; then the store works again."""
    with ExperienceStore(place, busy_timeout_s=0.6) as store:
        took_s = []
        with raw.transaction():
            raw.execute("UPDATE revision SET number = number")
            for number in range(2):
                begun = time.monotonic()
                with pytest.raises(StoreError, match="locked"):
                    store.record_decision(make_decision(str(number)))
                took_s.append(time.monotonic() - begun)

        assert took_s[1] < 0.4 < took_s[0]
        assert store.record_decision(make_decision("c"))


def test_failed_change_leaves_nothing(place: StoreServer) -> None:
    """An import that breaks off in the middle adds nothing, and the store works on."""
    with ExperienceStore(place) as store:
        store.record_decision(make_decision("whole"))
        one = present(store.stored("whole"))

        def broken() -> Iterator[object]:
            yield type(one)(decision=make_decision("half"), previous=(), states={})
            raise ValueError("broken off")

        with pytest.raises(ValueError, match="broken off"):
            store.import_stored(broken(), ())  # type: ignore[arg-type]
        assert store.count() == (1, 0)


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
def test_older_schema_is_brought_up_to_date(place: StoreServer, version: int) -> None:
    """A store of any older version keeps its rows and gains the rest."""
    with psycopg.connect(place.url, autocommit=True, options=f"-c search_path={place.schema}") as old:
        postgres.migrate(old, schema=place.schema, now=START, migrations=schema.MIGRATIONS[:version])
        columns = ("d1", None, "native", "p", "act", START, rows.dump(rows.decision_to_mapping(make_decision())), "[]", "{}")
        marks = ", ".join(["%s"] * 10)
        names = "id, utterance_id, door, pattern, outcome, decided_at, body, previous, states, checksum"
        old.execute(
            f"INSERT INTO decisions ({names}) VALUES ({marks})",  # noqa: S608 - fixed texts
            (*columns, rows.checksum_of(*columns)),
        )

    with ExperienceStore(place) as store:
        assert present(store.record_feedback(make_feedback())).reward == 1.0
        assert store.decision("d1") == make_decision()
        applied = store._connection.read(lambda c: c.execute("SELECT version FROM migrations ORDER BY version").fetchall())
    assert [row[0] for row in applied] == [one.version for one in schema.MIGRATIONS]


def test_schema_that_is_missing_or_newer_is_refused(place: StoreServer) -> None:
    """A command creates nothing, and nobody touches a store from the future."""
    with pytest.raises(StoreError, match="start the daemon once"):
        ExperienceStore(place, owns_file=False)
    with ExperienceStore(place) as store:
        store._connection.write(lambda c: c.execute("INSERT INTO migrations VALUES (99, 'future', 0)"))

    with pytest.raises(StoreError, match="newer version"):
        ExperienceStore(place)


def test_daemons_that_start_together_make_one_schema(place: StoreServer) -> None:
    """Whoever comes second finds what the first has made."""
    opened: list[ExperienceStore] = []
    threads = [threading.Thread(target=lambda: opened.append(ExperienceStore(place))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(opened) == 4
    for store in opened:
        store.close()


def test_text_that_postgres_cannot_hold(place: StoreServer) -> None:
    """A NUL or half a character in what was said is kept; in an id it is a message error; neither stops a count."""
    with ExperienceStore(place) as store:
        for name, text in (("nul", "lamp \0 on"), ("half", "lamp \ud800 on"), ("whole", "灯 😀")):
            assert store.record_decision(make_decision(name, text=text))
            assert present(store.decision(name)).utterance.text == text
        for broken in ("\0", "\ud800"):
            with pytest.raises(MessageError, match="expected"):
                store.record_decision(make_decision("id", utterance_id=broken))
        store.record_feedback(make_feedback("whole", "no"))

        assert store.judged_badly("base") == (1, 1)  # the two odd rows are in no trial
        assert len(list(store.transitions())) == 3


@pytest.mark.parametrize("what", [{"text": SECRET}, {"everything": True}, {"older_than": START + 7015}])
def test_erase_leaves_no_trace_in_the_tables(cluster: PostgresCluster, place: StoreServer, what: dict[str, object]) -> None:
    """After an erasure, and what the server's own upkeep may do before it, the words are in no file of the database."""
    broadcast = Action(service="intent.HassBroadcast", data={"message": SECRET})
    with ExperienceStore(place) as store, psycopg.connect(place.url, autocommit=True, options=f"-c search_path={place.schema}") as raw:
        for number in range(40):
            store.record_decision(make_decision(f"d{number}", at=START + number * 100))
        store.record_decision(make_decision("secret", text=SECRET, actions=(broadcast,), at=START + 7000))
        store.record_decision(make_decision("after", at=START + 7010), previous=(broadcast,))
        store.record_feedback(make_feedback("secret", "correct", correction=(broadcast,), text=SECRET, at=START + 7003))
        store.save_memory(MemoryEntry(words=SECRET, area=None, actions=(LAMP_OFF,), decision_id="secret", learned_at=START))
        raw.execute("ANALYZE")
        raw.execute("CHECKPOINT")
        assert _traces(cluster.data)

        erasure = store.erase(**what)  # type: ignore[arg-type]
        raw.execute("CHECKPOINT")

        assert "secret" in erasure.decision_ids
        assert erasure.memory_entries == 1
        assert _traces(cluster.data) == []


def _traces(data: Path) -> list[str]:
    return [path.name for path in (data / "base").rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_erase_says_when_another_connection_keeps_the_rows(place: StoreServer, raw: "psycopg.Connection[tuple[object, ...]]") -> None:
    """A reader in the middle of a transaction keeps a table from being rewritten: that is said, and a second run finishes."""
    with ExperienceStore(place, busy_timeout_s=0.2) as store:
        store.record_decision(make_decision("d1", text=SECRET))
        with raw.transaction():
            raw.execute("SELECT count(*) FROM decisions").fetchone()
            with pytest.raises(StoreError, match="run the erasure again"):
                store.erase(text=SECRET)
        store.erase(text=SECRET)
        assert store.count() == (0, 0)


def test_archive_moves_a_home_from_a_file_to_a_server_and_back(place: StoreServer, tmp_path: Path) -> None:
    """Everything arrives, with rewards made anew, and the server's archive is that of the file."""
    with (
        ExperienceStore(tmp_path / "a.db") as source,
        ExperienceStore(place) as server,
        ExperienceStore(tmp_path / "b.db") as target,
    ):
        for number in range(20):
            source.record_decision(make_decision(f"d{number}", at=START + number))
            source.record_feedback(make_feedback(f"d{number}", "no" if number % 2 else "yes", at=START + number + 1))
        for here, there in ((source, server), (server, target)):
            export_archive(here, tmp_path / "home.zip", now=START)
            assert import_archive(there, tmp_path / "home.zip") == (20, 20)

        assert list(target.transitions()) == list(source.transitions()) == list(server.transitions())


def test_address_comes_from_a_file_and_shows_nowhere(tmp_path: Path) -> None:
    """The address may hold a password: no error and no representation has it."""
    file = tmp_path / "url"
    file.write_text("postgresql://voice:hunter2@127.0.0.1:1/home\n")
    place = place_of(StoreSection(url_file=file, schema="casa"))

    assert isinstance(place, StoreServer)
    assert (place.url, place.schema) == ("postgresql://voice:hunter2@127.0.0.1:1/home", "casa")
    assert "hunter2" not in repr(place)
    with pytest.raises(StoreError, match="casa") as refused:
        ExperienceStore(place)
    assert "hunter2" not in str(refused.value)
    file.write_text("mysql://x")
    with pytest.raises(ConfigError, match="postgresql://"):
        place_of(StoreSection(url_file=file))


def test_missing_psycopg_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who configures a server without the extra is told what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ConfigError, match=r"voice-rl-plugin\[postgres\]"):
        ExperienceStore(StoreServer(url="postgresql://x", schema="home"))
