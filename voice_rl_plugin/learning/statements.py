"""What the store's queries need of a database connection: `sqlite3.Connection` has it, and `postgres` makes it.

The SQL is what both understand; parameters are `?`, or `?1` where one is used twice.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol


class Rows(Protocol):
    """The outcome of one statement."""

    @property
    def rowcount(self) -> int:
        """Return how many rows were changed."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows that are left."""


class Statements(Protocol):
    """Runs statements, one after the other."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Rows:
        """Run one statement."""

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Rows:
        """Run a statement once for each set of parameters."""
