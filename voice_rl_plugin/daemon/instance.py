"""One daemon a store: a lock that ends with the process, whichever way it ends."""

import fcntl
import os
from pathlib import Path

from voice_rl_plugin.errors import StoreError

LOCK = "daemon.lock"


class InstanceLock:
    """Holds the lock of a store's folder."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            StoreError: another daemon holds it, or the folder cannot be written.
        """
        path = folder / LOCK
        try:
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise StoreError(
                f"{folder}: another daemon (process {holder}) uses this store; stop it, or give this one its own store.path"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
