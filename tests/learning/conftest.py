"""Stores of both kinds."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.learning.makers import START, MakePlace
from voice_rl_plugin.learning.store import ExperienceStore

if TYPE_CHECKING:
    from tests.postgres import PostgresCluster
    from voice_rl_plugin.learning.postgres import StoreServer


@pytest.fixture(params=["sqlite", "postgres"])
def make_place(request: pytest.FixtureRequest, tmp_path: Path) -> MakePlace:
    """Return a function that names places for stores: files, then schemas of a server."""
    if request.param == "sqlite":
        return lambda name: tmp_path / name
    cluster: PostgresCluster = request.getfixturevalue("cluster")
    made: dict[str, StoreServer] = {}
    return lambda name: made.setdefault(name, cluster.fresh())


@pytest.fixture
def store(make_place: MakePlace) -> Iterator[ExperienceStore]:
    """A fresh store at a fixed time, of either kind."""
    with ExperienceStore(make_place("store"), clock=lambda: START) as opened:
        yield opened


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[ExperienceStore]:
    """A fresh store in a file at a fixed time."""
    with ExperienceStore(tmp_path / "store", clock=lambda: START) as opened:
        yield opened
