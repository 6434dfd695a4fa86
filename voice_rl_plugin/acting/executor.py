"""What every executor is: it is told about decisions, results and states, and says what to publish and what is settled.

start ──> messages ──> on_result | on_state ──> settled: done | failed
                  └──> tick, when the time is up ──> settled: failed
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from voice_rl_plugin.acting.undo import Snapshot, Undo
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import EntityState, States

SETTLED = ("done", "failed", "expired", "shadow")
"""Seen to work; not seen to work or refused; too late to be published; never meant to be carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """One message to publish, QoS 1, not retained."""

    topic: str
    payload: Mapping[str, Any]
    """Encoded as JSON by the broker's side."""
    body: bytes | None = None
    """What is published in place of the payload: a device's own words."""
    is_repeatable: bool
    """Whether it may be published a second time after a crash: true for absolute settings, false for toggles, steps and risky actions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How one decision ended."""

    decision_id: str
    outcome: str
    """One of SETTLED."""
    failed_targets: tuple[str, ...] = ()
    """Entity ids, or services without an entity, that did not answer or were refused."""
    error: str | None = None
    """`no_answer`, `unseen`, `unreachable`, `unavailable`, `unable`, `expired`, `state_unknown`, `not_allowed`, `bad_topic`, or the words of
    the result."""
    blind_targets: tuple[str, ...] = ()
    """Entity ids of devices that were told, and that never tell whether it worked."""
    speech: str | None = None
    """What Home Assistant answered to a sentence that was handed over to it."""
    settled_at: float = 0.0
    """Unix seconds."""

    @property
    def is_success(self) -> bool:
        """Whether it was seen to work."""
        return self.outcome == "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one call brought: messages to publish in this order, and decisions that are settled now."""

    messages: tuple[OutgoingMessage, ...] = ()
    settled: tuple[Settlement, ...] = ()


class Executor(Protocol):
    """Carries decisions out; the daemon owns the clock and the broker."""

    name: str
    """One of domain.decision.EXECUTORS."""

    def start(
        self, decision: Decision, *, states: States, now: float, since: float | None = None, is_retry: bool = False, is_risky: bool = False
    ) -> Progress:
        """Begin to carry a decision out; a decision that was started before is left alone.

        Args:
            decision: what to do.
            states: the live states, for relative steps and for the snapshot.
            now: Unix seconds.
            since: when a person last asked for it, which its freshness counts from; the decision's own time when None.
            is_retry: only the steps that may be published twice; after a crash.
            is_risky: none of its steps may be published twice.
        """

    def wait_from(self, decision_id: str, at: float) -> None:
        """Count the time that the devices have to answer from then: a message had to wait for the connection.

        Args:
            decision_id: whose.
            at: Unix seconds.
        """

    def on_result(self, *, decision_id: str, step: int, is_ok: bool, now: float, error: str | None = None) -> Progress:
        """Take what came on `<prefix>/result`; unknown, late and repeated results change nothing."""

    def on_state(self, entity_id: str, state: EntityState, *, now: float) -> Progress:
        """Take a state that was seen after the start."""

    def tick(self, now: float) -> Progress:
        """Settle what is due."""

    def deadline(self) -> float | None:
        """Return when `tick` has something to do, or None."""

    def snapshot(self, decision_id: str) -> Snapshot | None:
        """Return the states from before a decision, or None when they are not known any more."""

    def undo(self, decision_id: str) -> Undo:
        """Return what takes a decision back."""
