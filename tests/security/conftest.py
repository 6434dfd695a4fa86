"""The houses of the daemon's tests, for those of its security."""

from tests.daemon import conftest as daemon_houses

house = daemon_houses.house
start_house = daemon_houses.start_house
