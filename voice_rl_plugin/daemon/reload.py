"""Reload: brings the champion of the model store into the running daemon, and keeps the old one when that fails."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.learning.models import BASE, Trial

if TYPE_CHECKING:  # at run time it would load onnxruntime for every command
    from voice_rl_plugin.understanding.onnx_policy import Policy

_LOGGER = logging.getLogger(__name__)


class Models(Protocol):
    """What is needed of the model store."""

    @property
    def pointer(self) -> Path:
        """Return the file that changes whenever the champion does."""

    def champion(self) -> Path:
        """Return the verified folder of the champion."""

    def champion_version(self) -> str:
        """Return the version that the pointer names."""

    def newer_than(self, version: str) -> tuple[str, ...]:
        """Return the versions made after one that passed their gate, oldest first."""

    def summary(self, version: str) -> str:
        """Return in one line what a version was made of."""

    def made_at(self, version: str) -> float:
        """Return when a version was made, in Unix seconds."""

    def promote(self, version: str, *, at: float) -> None:
        """Make a version the champion."""

    def rollback(self, *, at: float) -> str:
        """Make the former champion the champion again."""

    def trial(self) -> Trial | None:
        """Return the trial of the champion, if it is on one."""

    def end_trial(self, version: str) -> None:
        """Note that a champion has passed its trial."""

    def challenger_version(self) -> str | None:
        """Return the version that runs in shadow, if any."""

    def challenger(self, version: str) -> Path:
        """Return the verified folder of a version that is to run in shadow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """How one reload ended."""

    policy: "Policy | None"
    folder: Path | None
    error: str | None = None


class ModelWatch:
    """Watches the pointer, and loads a new champion beside the old one in a thread of its own.

    Args:
        models: the store.
        load: folder to policy; raises ModelError.
        probe: loads a folder in a child process first; raises ModelError.
        on_loaded: takes the outcome; called from the other thread.
    """

    def __init__(
        self, models: Models, *, load: Callable[[Path], "Policy"], probe: Callable[[Path], None], on_loaded: Callable[[Loaded], None]
    ) -> None:
        self._models = models
        self._load = load
        self._probe = probe
        self._on_loaded = on_loaded
        self._signature = self._stat()
        self._thread: threading.Thread | None = None
        self.is_loading = False
        """Whether a new champion is being loaded."""

    def load_now(self, *, at: float) -> "Policy":
        """Load the champion at the start; one that does not load is rolled back, so that it cannot keep the daemon from starting.

        Args:
            at: Unix seconds.

        Raises:
            ModelError: no version can be loaded.
        """
        while True:
            self._signature = self._stat()
            version, folder = self._models.champion_version(), self._models.champion()
            try:
                if folder.name == version != BASE:  # the shipped one came with this program
                    self._probe(folder)
                return self._load(folder)
            except ModelError as error:
                if version == BASE:
                    raise
                _LOGGER.error("model %s does not load and is rolled back: %s", version, error)  # noqa: TRY400 - the message says it all
                self._models.rollback(at=at)

    def check(self) -> None:
        """Begin to load when the pointer has changed: one stat."""
        if self._thread is not None and self._thread.is_alive():
            return
        signature = self._stat()
        if signature != self._signature:
            self._signature = signature
            self.is_loading = True
            self._thread = threading.Thread(target=self._reload, name="model-reload", daemon=True)
            self._thread.start()

    def accept(self) -> None:
        """Take the pointer as it is now for known, after this process itself has moved it back."""
        self._signature = self._stat()

    def _reload(self) -> None:
        folder = None
        try:
            folder = self._models.champion()
            self._probe(folder)
            loaded = Loaded(policy=self._load(folder), folder=folder)
        except ModelError as error:
            loaded = Loaded(policy=None, folder=folder, error=str(error))
        except Exception as error:
            _LOGGER.exception("a model could not be loaded")
            loaded = Loaded(policy=None, folder=folder, error=f"{type(error).__name__}: {error}")
        self.is_loading = False
        self._on_loaded(loaded)

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            status = self._models.pointer.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
