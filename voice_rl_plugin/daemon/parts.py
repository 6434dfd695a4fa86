"""Parts: what the daemon is made of, each replaceable in a test."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from voice_rl_plugin.acting.executor import Executor, Progress
from voice_rl_plugin.config import Config
from voice_rl_plugin.daemon.instance import InstanceLock
from voice_rl_plugin.daemon.reload import Models
from voice_rl_plugin.daemon.watchdog import Watchdog
from voice_rl_plugin.deciding.aliases import TaughtName
from voice_rl_plugin.deciding.turn import Heard, Turn
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home, States
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.doors.broker import Broker
from voice_rl_plugin.homes.home_assistant import News
from voice_rl_plugin.learning.store import ExperienceStore

if TYPE_CHECKING:  # the policy would load onnxruntime for every command
    from voice_rl_plugin.deciding.memory import Memory
    from voice_rl_plugin.doors.request import Request
    from voice_rl_plugin.understanding.onnx_policy import Policy


class Decider(Protocol):
    """The brain."""

    def set_home(self, home: Home) -> None:
        """Replace the home."""

    def set_policy(self, policy: "Policy") -> None:
        """Replace the policy."""

    def may_remember(self, utterance: Utterance, actions: Sequence[Action]) -> bool:
        """Whether a correction of these words may be learned by heart."""

    def name_taught(self, utterance: Utterance, actions: Sequence[Action]) -> TaughtName | None:
        """Return the name that a correction of these words teaches."""

    def hear(self, utterance: Utterance, *, states: States, last: Turn | None, now: float, decision_id: str) -> Heard:
        """Decide about one utterance."""

    def correct(self, utterance: Utterance, *, judged: Decision, states: States, now: float, decision_id: str) -> Decision | None:
        """Decide about the words of a correction."""


class HomeSource(Protocol):
    """Home Assistant over its own connection."""

    @property
    def status(self) -> str:
        """Return how the connection is, in words."""

    @property
    def is_connected(self) -> bool:
        """Whether it answers."""

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to connect; `wake` is called from another thread whenever there is news."""

    def stop(self) -> None:
        """End the connection."""

    def take(self) -> News | None:
        """Return the next news, oldest first; None when there is none."""


class OnAnswer(Protocol):
    """Takes how a command to Home Assistant ended, in the loop's thread."""

    def __call__(self, number: int, *, is_ok: bool, result: Any, error: str | None, now: float) -> Progress:
        """Return what it brought."""


class Door(Protocol):
    """A door with a thread of its own."""

    def start(self) -> None:
        """Open it."""

    def stop(self) -> None:
        """Close it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the daemon is made of; build.py makes the real ones."""

    config: Config
    broker: Broker
    store: ExperienceStore
    models: Models
    executor: Executor
    make_decider: "Callable[[Policy, Home, Memory], Decider]"
    load_policy: "Callable[[Path], Policy]"
    probe_model: Callable[[Path], None]
    make_doors: "tuple[Callable[[Callable[[Request], None]], Door], ...]" = ()
    """Each makes a door out of what takes its requests."""
    file_home: Home | None = None
    home_assistant: HomeSource | None = None
    """Where it is asked over its WebSocket."""
    on_answer: OnAnswer | None = None
    """Of the executor that calls services there."""
    clock: Callable[[], float] = time.time
    """Unix seconds."""
    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    watchdog: Watchdog | None = None
    lock: InstanceLock | None = None
    """Keeps a second daemon from this store."""
