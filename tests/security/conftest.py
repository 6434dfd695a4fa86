"""The houses of the daemon's tests, for those of its security."""

from tests.daemon.conftest import house, start_house

__all__ = ["house", "start_house"]
