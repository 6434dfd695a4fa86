"""What several commands are tested with."""

import pytest

from tests.homes.replay import Player, load
from tests.homes.test_home_assistant import shift


@pytest.fixture
def asked() -> Player:
    """Return a Home Assistant that answers one command, as it was recorded."""
    lines = load("home_assistant_2026_11.jsonl")
    kinds = [line.get("message", {}).get("type") for line in lines]
    start, end = kinds.index("config/floor_registry/list"), kinds.index("subscribe_entities")
    return Player([*lines[:5], *(shift(line, 6) for line in lines[start:end])])
