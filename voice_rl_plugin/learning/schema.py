"""The tables of the experience store, as a list of migrations; a released one is never changed.

decisions --< feedback        every judgement, with the label made of it
    |------ rewards           what the judgements come to; absent while nobody judged
    `-----< marks             published actions: written before the publish, done after it
memory, aliases, dedup, erased, exports, migrations
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from voice_rl_plugin.errors import StoreError

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from a schema to the next."""

    version: int
    name: str
    statements: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        version=1,
        name="decisions, feedback and rewards",
        statements=(
            """
            CREATE TABLE decisions (
                seq INTEGER PRIMARY KEY AUTOINCREMENT,
                id TEXT NOT NULL UNIQUE,
                utterance_id TEXT,
                door TEXT NOT NULL,
                pattern TEXT NOT NULL,
                outcome TEXT NOT NULL,
                decided_at REAL NOT NULL,
                body TEXT NOT NULL,
                previous TEXT NOT NULL,
                states TEXT NOT NULL,
                checksum TEXT NOT NULL
            ) STRICT
            """,
            "CREATE INDEX decisions_by_time ON decisions (decided_at)",
            "CREATE INDEX decisions_by_utterance ON decisions (utterance_id) WHERE utterance_id IS NOT NULL",
            """
            CREATE TABLE feedback (
                seq INTEGER PRIMARY KEY AUTOINCREMENT,
                id TEXT NOT NULL UNIQUE,
                decision_id TEXT NOT NULL REFERENCES decisions (id) ON DELETE CASCADE,
                source TEXT NOT NULL,
                pattern TEXT NOT NULL,
                day INTEGER NOT NULL,
                body TEXT NOT NULL,
                reward REAL,
                weight REAL NOT NULL,
                checksum TEXT NOT NULL
            ) STRICT
            """,
            "CREATE INDEX feedback_by_decision ON feedback (decision_id)",
            "CREATE INDEX feedback_by_day ON feedback (day, source, pattern)",
            """
            CREATE TABLE rewards (
                decision_id TEXT PRIMARY KEY REFERENCES decisions (id) ON DELETE CASCADE,
                body TEXT NOT NULL,
                settled_at REAL NOT NULL,
                checksum TEXT NOT NULL
            ) STRICT
            """,
        ),
    ),
    Migration(
        version=2,
        name="memory, marks and deduplication",
        statements=(
            """
            CREATE TABLE memory (
                words TEXT NOT NULL,
                area TEXT NOT NULL,
                decision_id TEXT NOT NULL,
                learned_at REAL NOT NULL,
                body TEXT NOT NULL,
                checksum TEXT NOT NULL,
                PRIMARY KEY (words, area)
            ) STRICT
            """,
            """
            CREATE TABLE marks (
                decision_id TEXT NOT NULL REFERENCES decisions (id) ON DELETE CASCADE,
                step INTEGER NOT NULL,
                publishing_at REAL NOT NULL,
                done_at REAL,
                PRIMARY KEY (decision_id, step)
            ) STRICT
            """,
            "CREATE TABLE dedup (key TEXT PRIMARY KEY, seen_at REAL NOT NULL) STRICT",
        ),
    ),
    Migration(
        version=3,
        name="erasures and exports",
        statements=(
            "CREATE TABLE erased (decision_id TEXT PRIMARY KEY, erased_at REAL NOT NULL) STRICT",
            "CREATE TABLE exports (path TEXT PRIMARY KEY, exported_at REAL NOT NULL) STRICT",
        ),
    ),
    Migration(
        version=4,
        name="aliases",
        statements=(
            """
            CREATE TABLE aliases (
                words TEXT PRIMARY KEY,
                decision_id TEXT NOT NULL,
                learned_at REAL NOT NULL,
                body TEXT NOT NULL,
                checksum TEXT NOT NULL
            ) STRICT
            """,
        ),
    ),
)


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the version of the last migration that was applied; 0 for an empty database."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'").fetchone():
        return 0
    return int(connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0])


def migrate(connection: sqlite3.Connection, *, now: float, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the schema up to date, each step and its record in one transaction.

    Args:
        connection: in autocommit mode.
        now: Unix seconds.
        migrations: in order.

    Raises:
        StoreError: the database was made by a newer version of this package.
    """
    newest = migrations[-1].version
    for migration in migrations:
        if schema_version(connection) >= migration.version:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if schema_version(connection) < migration.version:  # another process may have been faster
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at REAL NOT NULL) STRICT"
                )
                for statement in migration.statements:
                    connection.execute(statement)
                connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (migration.version, migration.name, now))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if (found := schema_version(connection)) > newest:
        raise StoreError(
            f"experience store: expected schema {newest} or older, found {found}: made by a newer version; update this package"
        )
