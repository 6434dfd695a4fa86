"""One SQLite connection behind one lock: opening, recovery from damage, transactions, truly erasing.

Any thread may call, one at a time; the caller does the work itself, since handing it to another thread and back costs as much as the commit.
`synchronous` is FULL: with NORMAL a power cut takes back commits that were already acknowledged to the broker, and home servers lose power
more often than processes die. FULL costs 0.6 ms a commit instead of 0.3 (docs/adr/004: 1,648 against 3,565 a second) at a few commits a minute.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from voice_rl_plugin.errors import MessageError, StoreError
from voice_rl_plugin.learning.schema import OLDEST_SQLITE, migrate

_LOGGER = logging.getLogger(__name__)

RESERVE_BYTES = 1_048_576
"""Kept aside so that a full disk does not stop an erasure."""
IMPATIENT_FOR_S = 5.0
"""After a lock that did not go in time the next calls do not wait for it again; a household does."""
IMPATIENT_TIMEOUT_S = 0.05

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_COMPANIONS = ("", "-wal", "-shm")

T = TypeVar("T")


class StoreConnection:
    """A database file, and the only connection of this process to it."""

    def __init__(self, path: Path, *, clock: Callable[[], float], busy_timeout_s: float, owns_file: bool) -> None:
        """Open the database.

        Args:
            path: the file.
            clock: Unix seconds.
            busy_timeout_s: how long any call waits for another process's lock.
            owns_file: create a missing file, and move a damaged one aside; otherwise both are errors.

        Raises:
            StoreError: it cannot be opened, nor replaced.
        """
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreError(
                f"experience store: expected SQLite {'.'.join(map(str, OLDEST_SQLITE))} or newer, got {sqlite3.sqlite_version}"
            )
        self.path = path
        self.moved_aside: tuple[Path, ...] = ()
        self._clock = clock
        self._busy_timeout_s = busy_timeout_s
        self._owns_file = owns_file
        self._lock = threading.Lock()
        self._impatient_until = float("-inf")
        self._is_impatient = False
        self._connection: sqlite3.Connection | None = None
        try:
            self.run(self._open)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        with self._lock:
            self._disconnect()

    def run(self, work: Callable[[], T]) -> T:
        """Run work, alone, and return its result.

        Raises:
            StoreError: the database is locked for longer than the busy timeout, full, or damaged beyond recovery.
            MessageError: an id holds what is no Unicode.
        """
        if not self._lock.acquire(timeout=self._busy_timeout_s):
            raise StoreError(f"{self.path}: busy for more than {self._busy_timeout_s:g} s; try again")
        try:
            self._set_patience()
            return work()
        except sqlite3.Error as error:
            raise self._error_of(error) from error
        except UnicodeEncodeError as error:
            raise MessageError(f"expected Unicode text, got a lone surrogate: {error.reason}") from error
        finally:
            self._lock.release()

    def _set_patience(self) -> None:
        is_impatient = time.monotonic() < self._impatient_until
        if is_impatient != self._is_impatient and self._connection is not None:
            self._is_impatient = is_impatient
            timeout_s = IMPATIENT_TIMEOUT_S if is_impatient else self._busy_timeout_s
            self._connection.execute(f"PRAGMA busy_timeout = {round(timeout_s * 1000)}")

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query; a damaged database is moved aside and the query run on the new one."""
        return self.run(lambda: self._with_recovery(lambda: query(self._live())))

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run a change in one transaction: all of it or nothing."""
        return self.run(lambda: self._with_recovery(lambda: _in_transaction(self._live(), change)))

    def erase(self, change: Callable[[sqlite3.Connection], T], *, compacts: bool = True, keeps_copies_since: float = float("inf")) -> T:
        """Run a deletion so that nothing of it stays in any file: zeroed pages, an empty log, a compact file, no damaged copies.

        Args:
            change: deletes.
            compacts: false leaves the zeroed pages in the file, for new rows: nobody has to wait for the whole file to be rewritten.
            keeps_copies_since: damaged copies that were moved aside later than this stay; in Unix seconds.

        Raises:
            StoreError: the deletion was made, but another process keeps the log from being emptied; run it again.
        """
        return self.run(lambda: self._erase(change, compacts=compacts, keeps_copies_since=keeps_copies_since))

    def foreign_version(self) -> int:
        """Return a number that changes when another connection has changed the database."""
        return self.read(lambda c: int(c.execute("PRAGMA data_version").fetchone()[0]))

    def copies_aside(self) -> tuple[Path, ...]:
        """Return the damaged databases that were moved aside."""
        return tuple(sorted(self.path.parent.glob(f"{self.path.name}.corrupt-*")))

    @property
    def _reserve(self) -> Path:
        return self.path.with_name(self.path.name + ".reserve")

    def _live(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"{self.path}: the experience store is closed")
        return self._connection

    def _open(self) -> None:
        try:
            self._connection = self._connect()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not _is_damaged(error):
                raise
            if not self._owns_file:
                raise StoreError(
                    f"{self.path}: not a usable experience store ({error}); the daemon moves it aside when it starts"
                ) from error
            self._start_anew(error)

    def _connect(self) -> sqlite3.Connection:
        self._create_file()
        connection = sqlite3.connect(self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False)
        try:
            connection.text_factory = _decode
            connection.execute(f"PRAGMA busy_timeout = {round(self._busy_timeout_s * 1000)}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA temp_store = MEMORY")  # no temporary file may keep words
            _check_integrity(connection)
            migrate(connection, now=self._clock())
        except BaseException:
            connection.close()
            raise
        return connection

    def _create_file(self) -> None:
        if not self.path.exists():
            if not self._owns_file:
                raise StoreError(f"{self.path}: no experience store here; start the daemon once, or name another with --store")
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            except OSError as error:
                raise StoreError(f"{self.path}: cannot create the experience store: {error.strerror}") from error
        if self._owns_file:
            try:
                for companion in _COMPANIONS:
                    with contextlib.suppress(FileNotFoundError):
                        self.path.with_name(self.path.name + companion).chmod(0o600)
            except OSError as error:
                raise StoreError(f"{self.path}: cannot make the experience store private: {error.strerror}") from error
            self._fill_reserve()

    def _fill_reserve(self) -> None:
        if self._reserve.exists():
            return
        try:
            descriptor = os.open(self._reserve, os.O_CREAT | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as reserve:
                reserve.write(bytes(RESERVE_BYTES))
        except OSError as error:
            _LOGGER.warning("%s: no room for the reserve of %d bytes: %s", self._reserve, RESERVE_BYTES, error)

    def _with_recovery(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not (self._owns_file and _is_damaged(error)):
                raise
            self._start_anew(error)
            return work()

    def _start_anew(self, cause: Exception) -> None:
        self._disconnect()
        stamp = int(self._clock())
        while (aside := self.path.with_name(f"{self.path.name}.corrupt-{stamp}")).exists():
            stamp += 1
        try:
            for companion in _COMPANIONS:
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + companion).rename(aside.with_name(aside.name + companion))
        except OSError as error:
            raise StoreError(f"{self.path}: damaged ({cause}), and cannot be moved aside: {error.strerror}") from error
        _LOGGER.error("%s: damaged (%s); moved to %s and started anew", self.path, cause, aside.name)
        self.moved_aside = (*self.moved_aside, aside)
        self._connection = self._connect()

    def _erase(self, change: Callable[[sqlite3.Connection], T], *, compacts: bool, keeps_copies_since: float) -> T:
        self._reserve.unlink(missing_ok=True)
        result = self._with_recovery(lambda: _in_transaction(self._live(), change))
        connection = self._live()
        try:
            if compacts:
                connection.execute("VACUUM")
        except sqlite3.OperationalError as error:  # secure_delete has zeroed the pages already
            _LOGGER.warning("%s: erased, but not compacted: %s", self.path, error)
        is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        for copy in self.copies_aside():
            if copy.stat().st_mtime < keeps_copies_since:
                copy.unlink(missing_ok=True)
        self._fill_reserve()
        if is_busy:
            raise StoreError(f"{self.path}: erased, but another process keeps the write-ahead log open; run the erasure again")
        return result

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _error_of(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_FULL:
            return StoreError(f"{self.path}: the disk is full; free some space, nothing was written")
        if code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            self._impatient_until = time.monotonic() + IMPATIENT_FOR_S
            return StoreError(f"{self.path}: locked by another process for more than {self._busy_timeout_s:g} s; try again")
        return StoreError(f"{self.path}: {error}")


def _decode(content: bytes) -> str:
    """Read even a damaged text: its checksum tells."""
    return content.decode("utf-8", "replace")


class _Damaged(sqlite3.DatabaseError):
    """The integrity check failed."""


def _check_integrity(connection: sqlite3.Connection) -> None:
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise _Damaged(verdict)


def _is_damaged(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    # a message that names a scribbled table cannot even be decoded
    return isinstance(error, (_Damaged, UnicodeDecodeError)) or (code is not None and code & 0xFF in _DAMAGED)


def _in_transaction(connection: sqlite3.Connection, change: Callable[[sqlite3.Connection], T]) -> T:
    with _transaction(connection):
        return change(connection)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
