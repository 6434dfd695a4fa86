"""The executor of shadow mode: it carries nothing out, and says so."""

from voice_rl_plugin.acting.executor import Progress, Settlement
from voice_rl_plugin.acting.undo import Snapshot, Undo
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import EntityState, States


class ShadowExecutor:
    """Settles every decision as `shadow` and publishes nothing."""

    name = "none"

    def start(
        self,
        decision: Decision,
        *,
        states: States,  # noqa: ARG002 - the protocol's
        now: float,
        since: float | None = None,  # noqa: ARG002
        is_retry: bool = False,  # noqa: ARG002
        is_risky: bool = False,  # noqa: ARG002
    ) -> Progress:
        """Settle the decision at once."""
        return Progress(settled=(Settlement(decision_id=decision.id, outcome="shadow", settled_at=now),))

    def wait_from(self, decision_id: str, at: float) -> None:
        """Do nothing: nobody answers."""

    def on_result(self, *, decision_id: str, step: int, is_ok: bool, now: float, error: str | None = None) -> Progress:  # noqa: ARG002
        """Ignore a result: it is someone else's."""
        return Progress()

    def on_state(self, entity_id: str, state: EntityState, *, now: float) -> Progress:  # noqa: ARG002
        """Ignore a state."""
        return Progress()

    def tick(self, now: float) -> Progress:  # noqa: ARG002
        """Do nothing."""
        return Progress()

    def deadline(self) -> float | None:
        """Return None: nothing is ever due."""
        return None

    def snapshot(self, decision_id: str) -> Snapshot | None:  # noqa: ARG002
        """Return None: nothing was changed."""
        return None

    def undo(self, decision_id: str) -> Undo:  # noqa: ARG002
        """Return an empty undo: nothing was changed."""
        return Undo()
