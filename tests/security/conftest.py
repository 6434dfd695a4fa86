"""The houses of the daemon's tests, for those of its security."""

from tests.daemon.conftest import house as house
from tests.daemon.conftest import start_house as start_house
