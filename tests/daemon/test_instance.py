"""One daemon a store."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from voice_rl_plugin.daemon.instance import LOCK, InstanceLock
from voice_rl_plugin.errors import StoreError

HOLD = "import sys; from pathlib import Path; from voice_rl_plugin.daemon.instance import InstanceLock; lock = InstanceLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_second_daemon_is_refused_and_told_which_one_holds(tmp_path: Path) -> None:
    """The error names the process that has the store."""
    lock = InstanceLock(tmp_path)

    with pytest.raises(StoreError, match=rf"process {os.getpid()}"):
        InstanceLock(tmp_path)
    lock.release()
    lock.release()
    InstanceLock(tmp_path).release()


def test_killed_daemon_holds_nothing(tmp_path: Path) -> None:
    """The lock ends with the process, even with SIGKILL; the file that stays says nothing."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match="another daemon"):
        InstanceLock(tmp_path)
    holder.kill()
    holder.communicate()

    InstanceLock(tmp_path).release()
    assert (tmp_path / LOCK).exists()


def test_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A store's folder that is none is a StoreError."""
    with pytest.raises(StoreError, match="cannot be opened"):
        InstanceLock(tmp_path / "missing")
