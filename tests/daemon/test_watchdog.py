"""The watchdog speaks systemd's protocol, and ends a process that hangs."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mosquitto import DEADLINE_S
from voice_rl_plugin.daemon.watchdog import EXIT_STUCK, Watchdog

HANG = """
import os, threading
from voice_rl_plugin.daemon.watchdog import Watchdog
watchdog = Watchdog(os.environ, stuck_s=2.0)
watchdog.start()
watchdog.beat("online")
threading.Event().wait(60)
"""


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket as systemd gives it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify"))
        one.settimeout(DEADLINE_S)
        yield one


def test_systemd_is_told_of_start_life_and_end(systemd: socket.socket, tmp_path: Path) -> None:
    """READY, then WATCHDOG and STATUS with the beats, then STOPPING."""
    watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"})
    watchdog.start()
    watchdog.beat("waiting for the broker")
    watchdog.beat("online")
    watchdog.stop()

    said = [systemd.recv(200).decode() for _ in range(5)]
    assert said == ["READY=1", "WATCHDOG=1", "STATUS=waiting for the broker", "STATUS=online", "STOPPING=1"]


def test_systemd_is_told_three_times_in_its_time(systemd: socket.socket, tmp_path: Path) -> None:
    """With 150 ms allowed, a loop that turns is reported each 50 ms, not each turn."""
    watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "150000"})
    begun, turns = time.monotonic(), 0
    said: list[bytes] = []
    systemd.setblocking(False)  # noqa: FBT003 - it takes nothing else
    while time.monotonic() - begun < 0.5:
        watchdog.beat("online")
        turns += 1
        with contextlib.suppress(BlockingIOError):
            said.append(systemd.recv(200))

    assert turns > 100
    assert 5 <= said.count(b"WATCHDOG=1") <= 11


def test_systemd_that_does_not_read_stops_nobody(systemd: socket.socket, tmp_path: Path) -> None:
    """When the socket is full the loop goes on."""
    watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1"})
    for _ in range(2000):
        watchdog.beat("online")

    assert systemd.recv(200) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_sent() -> None:
    """Neither a missing nor a dead socket is an error."""
    for environ in (
        {},
        {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "1"},
        {"NOTIFY_SOCKET": "@voice-rl-nobody", "WATCHDOG_USEC": "x"},
    ):
        watchdog = Watchdog(environ)
        watchdog.beat("online")
        watchdog.stop()


def test_loop_that_hangs_ends_the_process() -> None:
    """After its time the guard writes all stacks and ends the process with a code of its own."""
    done = subprocess.run([sys.executable, "-c", HANG], capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == EXIT_STUCK
    assert "has not turned" in done.stderr
    assert "wait" in done.stderr
