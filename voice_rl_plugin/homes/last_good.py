"""The last good home on disk, so that the daemon knows its home before any source has answered."""

import contextlib
import json
import logging
import os
import tempfile
from pathlib import Path

from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import ConfigError, StoreError
from voice_rl_plugin.homes.file import load_home

REGISTRY_HOME = "registry_home.json"
"""What Home Assistant told over its WebSocket last."""
TOPIC_HOME = "topic_home.json"
"""What came on the home topic last."""
LAST_GOOD_HOME = "last_good_home.json"
"""The merged home, which the trainer reads."""

_LOGGER = logging.getLogger(__name__)


class LastGoodHome:
    """A cache of one home in one file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Home | None:
        """Return the kept home, or None when there is none that can be read."""
        if not self._path.exists():
            return None
        try:
            return load_home(self._path)
        except ConfigError as error:
            _LOGGER.warning("The last good home is damaged and was left out: %s", error)
            return None

    def save(self, home: Home) -> None:
        """Keep a home.

        Raises:
            StoreError: it cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name, suffix=".tmp")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(home.to_mapping(), file, ensure_ascii=False)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            raise StoreError(f"{self._path}: the home cannot be kept: {error.strerror or error}") from error
