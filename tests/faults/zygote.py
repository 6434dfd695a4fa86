"""A process that has loaded the daemon's code and forks one daemon after another: a start costs a tenth of a second instead of a whole one.

stdin   {"arguments": ["run", ...], "points": {"after_commit": 1}, "log": "path"}   ->   stdout  {"pid": 4711}
        {"wait": 4711}                                                             ->           {"code": -9}

A point is where the daemon kills itself with SIGKILL, the n-th time that it comes there; the daemon's own code knows nothing of it.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

REAL_TIME = time.time
_shift_s = [0.0]
time.time = lambda: REAL_TIME() + _shift_s[0]  # before anybody takes hold of it: SIGUSR1 moves the wall clock by an hour

from voice_rl_plugin import cli  # noqa: E402
from voice_rl_plugin.daemon import brain, build, execution, feedback, watchdog  # noqa: E402, F401
from voice_rl_plugin.deciding import decider  # noqa: E402, F401
from voice_rl_plugin.doors import broker  # noqa: E402
from voice_rl_plugin.learning import store  # noqa: E402
from voice_rl_plugin.understanding import onnx_policy  # noqa: E402

SHIFT_S = 3600.0


def die() -> None:
    """Die at once, like a process that the kernel kills."""
    os.kill(os.getpid(), signal.SIGKILL)


def around(owner: type, name: str, *, before: Callable[..., None] | None = None, after: Callable[..., None] | None = None) -> None:
    """Do something before or after each call of a method, with its arguments."""
    real = getattr(owner, name)

    def replacement(self: Any, *args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(self, *args, **kwargs)
        result = real(self, *args, **kwargs)
        if after is not None:
            after(self, *args, **kwargs)
        return result

    setattr(owner, name, replacement)


def at_call(count: int, act: Callable[[], object] = die) -> Callable[..., None]:
    """Return what acts at its n-th call."""
    left = [count]

    def call(*_: Any, **__: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            act()

    return call


def is_command(message: Any) -> bool:
    """Whether a message is a command or a confirmation."""
    return "/command" in message.topic or "/confirm" in message.topic


def set_point(name: str, count: int) -> None:
    """Put one point into the code.

    Raises:
        ValueError: there is no such point.
    """
    fatal = at_call(count)
    match name:
        case "before_commit":
            around(store.ExperienceStore, "record_decision", before=fatal)
        case "after_commit":
            around(store.ExperienceStore, "record_decision", after=fatal)
        case "after_publish":
            around(execution.Execution, "_try_send", after=fatal)
        case "before_ack":
            around(broker.PahoBroker, "ack", before=lambda _, message: fatal() if is_command(message) else None)
        case "after_mark":
            # The acknowledgement is lost on its way, the mark is written, then the process dies.
            real = broker.PahoBroker.ack
            broker.PahoBroker.ack = lambda self, message: None if is_command(message) else real(self, message)  # type: ignore[method-assign]
            around(store.ExperienceStore, "mark_all_done", after=fatal)
        case "before_feedback":
            around(store.ExperienceStore, "record_feedback", before=fatal)
        case "after_feedback":
            around(store.ExperienceStore, "record_feedback", after=fatal)
        case "hang":
            around(brain.Brain, "hear", before=at_call(count, lambda: threading.Event().wait(600)))
        case "slow_model":
            around(onnx_policy.OnnxPolicy, "read", before=lambda *_: time.sleep(count / 1000))
        case "short_guard":
            watchdog.Watchdog.__init__.__kwdefaults__ = {"stuck_s": float(count)}
        case "raise_in_parser":
            around(brain.Brain, "hear", before=at_call(count, raise_secret))
        case _:
            raise ValueError(f"no point {name!r}")


def raise_secret() -> None:
    """Fail like a bug, with words in the error."""
    raise RuntimeError("a bug that quotes: my secret words")


def run_daemon(order: dict[str, Any]) -> None:
    """Become a daemon; never return."""
    with open(order["log"], "ab") as log:  # noqa: PTH123
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.update(order.get("environ", {}))
    signal.signal(signal.SIGUSR1, lambda *_: _shift_s.__setitem__(0, _shift_s[0] + SHIFT_S))
    signal.signal(signal.SIGUSR2, lambda *_: _shift_s.__setitem__(0, _shift_s[0] - SHIFT_S))
    for name, count in order.get("points", {}).items():
        set_point(name, count)
    code = 1
    try:
        code = cli.main(order["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Serve orders until stdin ends."""
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                run_daemon(order)
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
