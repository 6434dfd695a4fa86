"""The learning mode: on, off or guest; it outlives a restart, so that a restart does not begin to store a guest's words."""

from pathlib import Path

from voice_rl_plugin.doors import native
from voice_rl_plugin.errors import ConfigError


class LearningMode:
    """The mode that was set last, else the configured one."""

    def __init__(self, path: Path, *, default: str) -> None:
        self._path = path
        self.value = self._read() or default
        """One of native.LEARNING_MODES."""

    @property
    def stores(self) -> bool:
        """Whether decisions are kept."""
        return self.value != "guest"

    @property
    def learns(self) -> bool:
        """Whether feedback is kept, and teaches."""
        return self.value == "on"

    def set(self, mode: str) -> None:
        """Change the mode.

        Raises:
            ConfigError: it holds, but only until the next start.
        """
        self.value = mode
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_text(mode, encoding="utf-8")
            temporary.replace(self._path)
        except OSError as error:
            raise ConfigError(f"{self._path}: the learning mode holds until the next start only: {error.strerror}") from error

    def _read(self) -> str | None:
        try:
            mode = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return mode if mode in native.LEARNING_MODES else None
