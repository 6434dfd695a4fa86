"""The dispatch executor: publishes each action for Home Assistant's automation, or any device, to carry out.

<prefix>/action/light/turn_on  {"decision_id","step","steps","expires_at","service","target","data"}
<prefix>/action/intent/<Name>  the same and {"text","language"}
<prefix>/result                {"decision_id","step","ok","error"?}
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass, field

from voice_rl_plugin.acting.effects import Effect, expected_effect
from voice_rl_plugin.acting.executor import OutgoingMessage, Progress, Settlement
from voice_rl_plugin.acting.steps import StateUnknownError, Step, make_steps, topic_of
from voice_rl_plugin.acting.undo import Snapshot, Undo, take_snapshot, undo_actions
from voice_rl_plugin.domain.beyond import SERVICES
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import EntityState, States
from voice_rl_plugin.errors import MessageError

_LOGGER = logging.getLogger(__name__)

FRESHNESS_S = 5.0
"""An action is never carried out later than this."""
ANSWER_S = 2.0
"""A device has this long to answer or to show the effect."""
ALREADY_S = 0.5
"""A device that already was in the wanted state shows no change: it counts as done after this long without a refusal."""
KEPT_SNAPSHOTS = 256


@dataclass(slots=True)
class _Running:
    """A decision that is being carried out."""

    decision_id: str
    steps: tuple[Step, ...]
    started_at: float
    awaited: dict[int, dict[str, Effect]]
    """Effects that were not seen yet, by step and entity."""
    already: set[tuple[int, str]]
    failed: dict[int, str] = field(default_factory=dict)
    """Errors by step."""
    accepted: set[int] = field(default_factory=set)
    """Steps with a good result whose effect was not seen yet."""


class DispatchExecutor:
    """Publishes the steps of a decision in order and watches for results and effects.

    Args:
        prefix: of the topics.
        freshness_s: how long a decision may be carried out.
        answer_s: how long a device has to answer or to show the effect.
        already_s: when a device that already was in the wanted state counts as done.
        results_suffice: whether a good result counts without its effect; otherwise it only does where no effect can be seen.
    """

    name = "dispatch"

    def __init__(
        self,
        *,
        prefix: str = "voice_rl",
        freshness_s: float = FRESHNESS_S,
        answer_s: float = ANSWER_S,
        already_s: float = ALREADY_S,
        results_suffice: bool = True,
    ) -> None:
        self._prefix = prefix
        self._freshness_s = freshness_s
        self._answer_s = answer_s
        self._already_s = min(already_s, answer_s)
        self._results_suffice = results_suffice
        self._running: dict[str, _Running] = {}
        self._next_due = float("inf")
        """Nothing that runs is due earlier."""
        self._snapshots: OrderedDict[str, Snapshot] = OrderedDict()

    def start(
        self, decision: Decision, *, states: States, now: float, since: float | None = None, is_retry: bool = False, is_risky: bool = False
    ) -> Progress:
        """Publish a decision's steps; see Executor.start."""
        if decision.id in self._snapshots:
            return Progress()
        asked_at = since if since is not None else (decision.decided_at or now)
        expires_at = asked_at + self._freshness_s
        if now > expires_at:
            return _settled(decision.id, "expired", now, error="expired", targets=_targets(decision))
        try:
            steps = make_steps(decision.actions, states, is_risky=is_risky or decision.is_risky)
            topics = [topic_of(step.action, prefix=self._prefix) for step in steps]
        except StateUnknownError as error:
            _LOGGER.debug("Decision %s cannot be carried out: %s", decision.id, error)
            return _settled(decision.id, "failed", now, error="state_unknown", targets=_targets(decision))
        except MessageError as error:
            _LOGGER.warning("Decision %s was not published: its service or a target is no valid name", decision.id)
            _LOGGER.debug("%s", error)
            return _settled(decision.id, "failed", now, error="bad_topic", targets=_targets(decision))
        self._keep(take_snapshot(decision.id, tuple(step.action for step in steps), states, now))
        messages = tuple(
            OutgoingMessage(
                topic=topic,
                payload={"decision_id": decision.id, "step": step.number, "steps": len(steps), "expires_at": expires_at}
                | step.action.to_payload()
                | _words_for(step, decision),
                is_repeatable=step.is_repeatable,
            )
            for step, topic in zip(steps, topics, strict=True)
            if step.is_repeatable or not is_retry
        )
        running = _watch(decision.id, steps, states, now)
        self._running[decision.id] = running
        return Progress(messages=messages, settled=self._settle(running, now))

    def wait_from(self, decision_id: str, at: float) -> None:
        """Count the time to answer from then; see Executor.wait_from."""
        running = self._running.get(decision_id)
        if running is not None:
            running.started_at = at
            self._next_due = min(self._due_at(one) for one in self._running.values())

    def on_result(self, *, decision_id: str, step: int, is_ok: bool, now: float, error: str | None = None) -> Progress:
        """Take a result; see Executor.on_result."""
        running = self._running.get(decision_id)
        if running is None or step not in running.awaited or step in running.failed:
            return Progress()
        if is_ok:
            unseen = {} if self._results_suffice else _still_to_see(running, step)
            running.awaited[step] = unseen
            running.accepted.add(step)
            if not unseen:
                del running.awaited[step]
        else:
            running.failed[step] = error or "refused"
        return Progress(settled=self._settle(running, now))

    def on_state(self, entity_id: str, state: EntityState, *, now: float) -> Progress:
        """Take a state; see Executor.on_state."""
        settled: list[Settlement] = []
        for running in list(self._running.values()):
            for number, effects in list(running.awaited.items()):
                if entity_id not in effects or number in running.failed:
                    continue
                if effects[entity_id].is_seen_in(state):
                    del effects[entity_id]
                    if not effects:
                        del running.awaited[number]
                else:
                    running.already.discard((number, entity_id))
            settled += self._settle(running, now)
        return Progress(settled=tuple(settled))

    def tick(self, now: float) -> Progress:
        """Settle what is due; see Executor.tick."""
        if not self._running or now < self._next_due:
            return Progress()
        settled = tuple(one for running in list(self._running.values()) for one in self._settle(running, now))
        self._next_due = min((self._due_at(running) for running in self._running.values()), default=float("inf"))
        return Progress(settled=settled)

    def deadline(self) -> float | None:
        """Return when `tick` has something to do; see Executor.deadline."""
        return self._next_due if self._running else None

    def snapshot(self, decision_id: str) -> Snapshot | None:
        """Return the states from before a decision; see Executor.snapshot."""
        return self._snapshots.get(decision_id)

    def undo(self, decision_id: str) -> Undo:
        """Return what takes a decision back; see Executor.undo."""
        snapshot = self._snapshots.get(decision_id)
        return Undo() if snapshot is None else undo_actions(snapshot)

    def _keep(self, snapshot: Snapshot) -> None:
        self._snapshots[snapshot.decision_id] = snapshot
        while len(self._snapshots) > KEPT_SNAPSHOTS:
            self._snapshots.popitem(last=False)

    def _due_at(self, running: _Running) -> float:
        waits = {(number, target) for number, effects in running.awaited.items() for target in effects}
        return running.started_at + (self._already_s if waits and waits <= running.already else self._answer_s)

    def _settle(self, running: _Running, now: float) -> tuple[Settlement, ...]:
        open_steps = {number for number in running.awaited if number not in running.failed}
        if open_steps and now < (due_at := self._due_at(running)):
            self._next_due = min(self._next_due, due_at)
            return ()
        del self._running[running.decision_id]
        missing = {
            target
            for number, effects in running.awaited.items()
            for target in effects
            if number in running.failed or (number, target) not in running.already
        }
        missing |= {step.action.service for step in running.steps if not step.action.targets and step.number in running.awaited}
        silent = any((number, target) not in running.already for number in open_steps for target in running.awaited[number])
        silent = silent or any(not running.awaited[number] for number in open_steps)
        if not running.failed and not silent:
            return (Settlement(decision_id=running.decision_id, outcome="done", settled_at=now),)
        error = next(iter(running.failed.values()), "unseen" if open_steps <= running.accepted else "no_answer")
        return (
            Settlement(
                decision_id=running.decision_id, outcome="failed", failed_targets=tuple(sorted(missing)), error=error, settled_at=now
            ),
        )


def _words_for(step: Step, decision: Decision) -> dict[str, str]:
    """Return what was said, for a conversation agent, and the language, for who answers beyond the house; nobody else gets the words."""
    if step.action.domain == "intent":
        return {"text": decision.utterance.text, "language": decision.language}
    return {"language": decision.language} if step.action.service in SERVICES else {}


def _watch(decision_id: str, steps: tuple[Step, ...], states: States, now: float) -> _Running:
    awaited = {
        step.number: {target: expected_effect(step.action, target, states.get(target)) for target in step.action.targets} for step in steps
    }
    already = {
        (number, target)
        for number, effects in awaited.items()
        for target, effect in effects.items()
        if effect.is_seen_in(states.get(target))
    }
    return _Running(decision_id=decision_id, steps=steps, started_at=now, awaited=awaited, already=already)


def _still_to_see(running: _Running, step: int) -> dict[str, Effect]:
    """Return the effects that a good result does not stand for: those that the states can show and did not show yet."""
    return {
        target: effect for target, effect in running.awaited[step].items() if effect.can_be_seen and (step, target) not in running.already
    }


def _settled(decision_id: str, outcome: str, now: float, *, error: str, targets: tuple[str, ...]) -> Progress:
    return Progress(settled=(Settlement(decision_id=decision_id, outcome=outcome, failed_targets=targets, error=error, settled_at=now),))


def _targets(decision: Decision) -> tuple[str, ...]:
    return tuple(sorted({target for action in decision.actions for target in action.targets}))
