"""Announcements: the retained topics that show how the daemon is."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from voice_rl_plugin import __version__
from voice_rl_plugin.daemon.brain import Brain
from voice_rl_plugin.daemon.counters import Counters
from voice_rl_plugin.daemon.group import Group
from voice_rl_plugin.daemon.mode import LearningMode
from voice_rl_plugin.daemon.outlet import Outlet
from voice_rl_plugin.daemon.parts import HomeSource
from voice_rl_plugin.daemon.surroundings import Surroundings
from voice_rl_plugin.daemon.upkeep import StoreHealth
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.broker import Broker
from voice_rl_plugin.errors import StoreError
from voice_rl_plugin.learning.store import ExperienceStore


class Announcement:
    """Publishes the device, health, model, metrics, learning, train and status; each only when it has changed.

    `count_week` tells what was decided and said of it in the last seven days; `device` is the topic and the payload of Home Assistant's
    discovery, None when that is switched off; the others are parts of the daemon.
    """

    def __init__(
        self,
        *,
        brain: Brain,
        broker: Broker,
        surroundings: Surroundings,
        outlet: Outlet,
        counters: Counters,
        mode: LearningMode,
        executor: str,
        store: ExperienceStore,
        executions: Callable[[], int],
        count_week: Callable[[], Mapping[str, int]],
        device: tuple[str, bytes] | None,
        home_assistant: HomeSource | None = None,
        group: Group,
    ) -> None:
        self._brain = brain
        self._broker = broker
        self._surroundings = surroundings
        self._outlet = outlet
        self._counters = counters
        self._mode = mode
        self._executor = executor
        self._count_week = count_week
        self._week: Mapping[str, int] = {}
        self._device = device
        self._home_assistant = home_assistant
        self._group = group
        self._store = store
        self._executions = executions
        self._store_health = StoreHealth()
        self._broker_dropped: int | None = None

    def take_store_health(self, found: StoreHealth) -> None:
        """Take what a look at the experience store has found."""
        self._store_health = found

    def take_broker_dropped(self, payload: bytes) -> None:
        """Take how many messages the broker says that it has dropped since its own start, for all its clients."""
        with contextlib.suppress(ValueError):
            self._broker_dropped = int(payload)

    def publish(self, training: Mapping[str, Any]) -> None:
        """Publish what has changed, the status last.

        Args:
            training: how the training goes, as `<prefix>/train` shows it.
        """
        if self._device is not None:
            self._outlet.keep_at(*self._device)
        self._outlet.keep("health", native.encode(self._health(self._surroundings.home)))
        self._outlet.keep("model", native.encode(self._model()))
        self._outlet.keep("metrics", native.encode(self._metrics()))
        self._outlet.keep("learning", self._mode.value.encode())
        self._outlet.keep("train", native.encode(training))
        if not self._group.is_alone:
            self._outlet.keep(self._group.status_topic, b"online")
        self._outlet.keep("status", b"online")

    def troubles(self) -> tuple[Any, ...]:
        """Return what should not wait for the next round when it changes."""
        return (self._outlet.problems, self._drops())

    def leave_group(self) -> None:
        """Say that nothing more is to be passed on to this daemon."""
        self._outlet.keep(self._group.status_topic, b"offline")

    def withdraw(self) -> None:
        """Say that the daemon goes."""
        self._outlet.keep("status", b"offline")

    def _health(self, home: Home) -> dict[str, Any]:
        version = self._brain.version
        is_cut_off = self._home_assistant is not None and not self._home_assistant.is_connected
        return {
            "status": "ok" if version is not None and home.entities and not is_cut_off else "degraded",
            "version": __version__,
            "model": version or "no model: every command is refused",
            "home": {"areas": len(home.areas), "entities": len(home.exposed)},
            **({} if self._home_assistant is None else {"home_assistant": self._home_assistant.status}),
            "executor": self._executor,
            **({} if self._group.is_alone else {"members": list(self._group.members)}),
            "damaged_stores": [path.name for path in self._store.moved_aside],
            "store": self._store_to_payload(),
            "drops": self._drops(),
            "load": {"waiting": self._broker.waiting, "lag_s": round(self._broker.lag_s, 1), "running": self._executions()},
            "problems": list(self._outlet.problems),
        }

    def _store_to_payload(self) -> dict[str, Any]:
        found = self._store_health
        told: dict[str, Any] = {"decisions": found.decisions, "damaged_rows": found.damaged_rows, "retired": found.retired}
        if found.last_erasure_at is not None:
            told["last_erasure_at"] = round(found.last_erasure_at)
            told["training_due"] = self._brain.trained_at < found.last_erasure_at
        return told

    def _drops(self) -> dict[str, int]:
        counts = self._broker.counts
        found = {"dropped": counts.dropped, "repeated": counts.repeated, "unsent_messages": counts.unsent}
        told = self._counters.drops() | {name: count for name, count in found.items() if count}
        return told if self._broker_dropped is None else told | {"broker_dropped": self._broker_dropped}

    def _metrics(self) -> dict[str, Any]:
        counts = self._broker.counts
        try:
            self._week = self._count_week()
        except StoreError as error:  # the last count holds
            self._outlet.note(str(error))
        return {
            **self._counters.to_payload(),
            "dropped": counts.dropped,
            "refused": counts.refused,
            "reconnects": counts.reconnects,
            "last_7_days": dict(self._week),
        }

    def _model(self) -> dict[str, Any]:
        installed, latest = self._brain.version, self._brain.latest_version
        trial, shadow = self._brain.trial, self._brain.shadow
        ended = trial.to_sentence() if trial is not None and trial.state == "rolled_back" else ""
        return {
            "installed_version": installed or "",
            "latest_version": latest,
            "in_progress": self._brain.is_loading,
            "release_summary": ended or self._brain.summary(latest),
            "canary": None if trial is None else trial.to_payload(),
            "shadow": None if shadow is None else shadow.to_payload(),
        }
