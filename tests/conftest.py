"""What tests of several areas need."""

from collections.abc import Iterator

import pytest

from tests.postgres import PostgresCluster, find_programs, running_postgres


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresCluster]:
    """A PostgreSQL server of our own."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (initdb, pg_ctl): install your system's package `postgresql`")
    with running_postgres(programs) as running:
        yield running
