"""Training: runs `voice-rl-train retrain` as a process and turns its output into progress; this process never imports torch.

The trainer writes one JSON object a line on stdout: {"phase", "progress_pct"?, "result"?, "failed_gate"?}
"""

import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from voice_rl_plugin.config import ENVIRONMENT_PREFIX
from voice_rl_plugin.learning.postgres import StoreServer

_LOGGER = logging.getLogger(__name__)

STOP_S = 10.0
_KEYS = ("phase", "progress_pct", "result", "failed_gate")

IDLE: Mapping[str, Any] = {"phase": "idle", "progress_pct": None, "result": None}


class Training:
    """At most one training at a time.

    Args:
        command: the trainer, as in `learning.trainer`.
        store: where the experience is; the address of a server, which may hold a password, goes into the trainer's environment.
        folder: where the daemon keeps the home.
        models: the model store.
        report: takes the payload of `<prefix>/train`; called from another thread.
    """

    def __init__(
        self, command: str, *, store: Path | StoreServer, folder: Path, models: Path, report: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._environment: dict[str, str] = {}
        place = ["--store", str(folder)]
        if isinstance(store, StoreServer):
            place = []
            names = {"URL": store.url, "SCHEMA": store.schema, "PATH": str(folder)}
            self._environment = {f"{ENVIRONMENT_PREFIX}STORE__{name}": value for name, value in names.items()}
        self._command = [*_find(shlex.split(command)), "retrain", *place, "--models", str(models), "--json"]
        self._report = report
        self._process: subprocess.Popen[str] | None = None
        self._is_cancelled = False

    @property
    def is_running(self) -> bool:
        """Whether a training is under way."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start a training; one that is under way goes on."""
        if self.is_running:
            return
        self._is_cancelled = False
        self._report({"phase": "starting", "progress_pct": 0, "result": None})
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
                env=os.environ | self._environment,
                preexec_fn=_be_nice,  # noqa: PLW1509 - os.nice alone is safe between fork and exec
            )
        except OSError as error:
            _LOGGER.error("the trainer cannot be started: %s", error)  # noqa: TRY400 - the message says it all
            result = f"cannot be started: {error.strerror}; install the extra 'train', or train on another machine"
            self._report({"phase": "done", "progress_pct": None, "result": result})
            return
        threading.Thread(target=self._follow, args=(self._process,), name="training", daemon=True).start()

    def cancel(self) -> None:
        """Stop the training; the champion stays."""
        self._is_cancelled = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def close(self) -> None:
        """Stop the training and wait for its end."""
        self.cancel()
        if self._process is not None:
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _follow(self, process: subprocess.Popen[str]) -> None:
        last: dict[str, Any] = {}
        complaints: list[str] = []
        stdout, stderr = process.stdout, process.stderr
        if stdout is None or stderr is None:
            return
        reader = threading.Thread(target=_collect, args=(stderr, complaints), daemon=True)
        reader.start()
        with stdout:
            for line in stdout:
                progress = _parse_progress(line)
                if progress is not None:
                    last = progress
                    self._report(progress)
        code = process.wait()
        reader.join(1.0)
        result = last.get("result")
        if self._is_cancelled:
            result = "cancelled"
        elif code != 0:
            result = f"failed with exit code {code}: {complaints[-1][:200] if complaints else 'it said nothing'}"
        ended: dict[str, Any] = {"phase": "done", "progress_pct": 100 if code == 0 else None, "result": result or "done"}
        if last.get("failed_gate") is not None:
            ended["failed_gate"] = last["failed_gate"]
        self._report(ended)


def _find(command: list[str]) -> list[str]:
    """Return the command, with a program that lies beside this interpreter by its whole path: a service has no virtual environment on its PATH."""
    beside = Path(sys.executable).parent / command[0] if command else None
    if beside is None or os.sep in command[0] or shutil.which(command[0]) or not beside.is_file():
        return command
    return [str(beside), *command[1:]]


def _be_nice() -> None:
    os.nice(10)


def _collect(stream: IO[str], lines: list[str]) -> None:
    with stream:
        for line in stream:
            if line.strip():
                lines[:] = [*lines[-20:], line.strip()]


def _parse_progress(line: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("phase"), str):
        return None
    return {key: parsed[key] for key in _KEYS if key in parsed}
