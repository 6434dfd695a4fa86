"""The watchdog: tells systemd that the loop turns, and ends a process whose loop does not, so that it is started again.

loop -> beat -> WATCHDOG=1 on $NOTIFY_SOCKET        guard thread: no beat for STUCK_S -> stacks into the log -> exit 70

The loop serves both MQTT connections itself, so one beat stands for the worker and for them. A process that was stopped as a whole
(SIGSTOP, a suspended machine) is not stuck: the guard counts its own waits, and those stood still too.
"""

import faulthandler
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping

_LOGGER = logging.getLogger(__name__)

STUCK_S = 60.0
EXIT_STUCK = 70
_GUARD_S = 1.0
_UNIX_SECONDS_USEC = 1_000_000
_SHARE = 3.0
"""systemd is told three times in the time that it allows."""


class Watchdog:
    """Watches one loop.

    Source: sd_notify(3), the protocol behind it: datagrams of `KEY=value` lines on the socket that the environment names.

    Args:
        environ: the environment: NOTIFY_SOCKET and WATCHDOG_USEC, where systemd gives them.
        stuck_s: a loop that has not turned for so long is stuck.
    """

    def __init__(self, environ: Mapping[str, str], *, stuck_s: float = STUCK_S) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        allowed = environ.get("WATCHDOG_USEC", "")
        self._interval_s = int(allowed) / _UNIX_SECONDS_USEC / _SHARE if allowed.isdigit() else float("inf")
        self._stuck_s = stuck_s
        self._beats = 0
        self._told_at = float("-inf")
        self._status = ""
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to watch: from now on the loop has to beat."""
        self._tell("READY=1")
        threading.Thread(target=self._guard, name="watchdog", daemon=True).start()

    def beat(self, status: str) -> None:
        """Note that the loop has turned.

        Args:
            status: how it goes, in a few words for `systemctl status`.
        """
        self._beats += 1
        now = time.monotonic()
        if now - self._told_at >= self._interval_s:
            self._told_at = now
            self._tell("WATCHDOG=1")
        if status != self._status:
            self._status = status
            self._tell(f"STATUS={status}")

    def stop(self) -> None:
        """Watch no more: the loop ends in order."""
        self._stopped.set()
        self._tell("STOPPING=1")

    def _tell(self, line: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as messenger:
                messenger.sendto(line.encode(), socket.MSG_DONTWAIT, self._address)  # the loop waits for nobody
        except OSError as error:
            _LOGGER.debug("systemd cannot be told %s: %s", line, error)

    def _guard(self) -> None:
        seen, quiet_s = -1, 0.0
        while not self._stopped.wait(_GUARD_S):
            if self._beats != seen:
                seen, quiet_s = self._beats, 0.0
                continue
            quiet_s += _GUARD_S
            if quiet_s >= self._stuck_s:
                _LOGGER.critical("the loop has not turned for %.0f s; the process ends, to be started again", quiet_s)
                faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
                os._exit(EXIT_STUCK)
