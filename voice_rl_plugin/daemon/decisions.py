"""Decisions: one is made, committed, told and carried out, in this order.

utterance -> brain -> row committed -> decision, event, say -> executor
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from voice_rl_plugin.daemon.brain import Brain
from voice_rl_plugin.daemon.clock import SteadyClock
from voice_rl_plugin.daemon.conversation import Conversations, Exchange
from voice_rl_plugin.daemon.counters import Counters
from voice_rl_plugin.daemon.execution import UNTOLD_S, WYOMING_INTENT, Execution
from voice_rl_plugin.daemon.mode import LearningMode
from voice_rl_plugin.daemon.outlet import Outlet
from voice_rl_plugin.daemon.surroundings import Surroundings
from voice_rl_plugin.deciding.turn import Heard, Turn
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.doors.broker import Message
from voice_rl_plugin.errors import StoreError
from voice_rl_plugin.learning.store import ANSWERED, ExperienceStore

_LOGGER = logging.getLogger(__name__)

_COUNTED = {"act": "acted", "clarify": "asked", "reject": "rejected"}
_SILENT_REASONS = frozenset({"chat", "report"})
"""What was not meant for us is refused without a word."""


def is_silent(decision: Decision) -> bool:
    """Whether a refusal is better not explained: the words were not meant for us."""
    return not decision.reason or decision.reason_code in _SILENT_REASONS or decision.not_for_us >= 0.5


class Decisions:
    """Makes decisions and has them carried out."""

    def __init__(
        self,
        *,
        brain: Brain,
        store: ExperienceStore,
        execution: Execution,
        conversations: Conversations,
        surroundings: Surroundings,
        outlet: Outlet,
        counters: Counters,
        mode: LearningMode,
        clock: SteadyClock,
        new_id: Callable[[], str],
        is_ours: Callable[[str], bool],
    ) -> None:
        self._brain = brain
        self._store = store
        self._execution = execution
        self._conversations = conversations
        self._surroundings = surroundings
        self._outlet = outlet
        self._counters = counters
        self._mode = mode
        self._clock = clock
        self._new_id = new_id
        self._is_ours = is_ours

    def hear(self, utterance: Utterance) -> Heard:
        """Decide about an utterance, after the last turn in its place."""
        last = self._conversations.turn(utterance, now=self._clock.mono())
        heard = self._brain.hear(utterance, states=self._surroundings.states, last=last, now=self._clock.now(), decision_id=self._new_id())
        if heard.decision is None:
            return heard
        return replace(heard, decision=self._name_executor(heard.decision))

    def correct(self, utterance: Utterance, judged: Decision) -> Decision | None:
        """Decide about the words of a correction; None when they ask for nothing."""
        decision = self._brain.correct(
            utterance, judged=judged, states=self._surroundings.states, now=self._clock.now(), decision_id=self._new_id()
        )
        return None if decision is None else self._name_executor(decision)

    def carry_out(self, decision: Decision, *, message: Message, corrects: str | None = None) -> None:
        """Commit a decision, tell everybody, and act.

        Args:
            decision: what was decided.
            message: what it was decided about; its sender may want an answer.
            corrects: the decision that this one was said to correct.
        """
        self._outlet.check_response(message)
        mono = self._clock.mono()
        last = self._conversations.turn(decision.utterance, now=mono)
        if self._mode.stores and not self._record(decision, last):
            self._counters.count("duplicates")
            return
        # What an earlier process was given may have been carried out although the store does not know it.
        is_retry = message.is_duplicate
        self._conversations.add(Exchange(decision=decision, at=mono, corrects=corrects))
        self._counters.count(_COUNTED[decision.outcome])
        if decision.outcome == "act":
            self._execution.carry_out(
                decision, is_retry=is_retry, is_marked=True, tell=lambda: self._outlet.tell(decision, message=message)
            )
        else:
            self._outlet.tell(decision, message=message)
        if decision.outcome == "clarify" and decision.question:
            self._outlet.say(decision.question, decision, expects_reply=True)
        elif decision.outcome == "reject" and (not is_silent(decision) or self._outlet.replies.is_waited_for):
            self._outlet.say(decision.reason, decision, is_success=False)
        self._counters.add_latency((self._clock.mono() - message.received_at) * 1000.0)
        _LOGGER.info(
            "decision %s: %s by %s (%s), confidence %.3f, %d actions, policy %s, %.1f ms",
            decision.id, decision.outcome, decision.stage, decision.reason_code or "-", decision.confidence, len(decision.actions),
            decision.policy_version or "none", decision.latency_ms,
        )  # fmt: skip
        _LOGGER.debug("decision %s: %r -> %s", decision.id, decision.utterance.text, [one.to_line() for one in decision.actions])

    def recover(self, *, freshness_s: float) -> None:
        """Publish what a crash left unpublished, as far as it is fresh and may be published (again); say of the rest that it came too late."""
        oldest = self._clock.now() - freshness_s - UNTOLD_S
        steps = [one for one in self._store.open_steps(since=oldest) if self._is_ours(one.decision.id)]
        for decision_id in dict.fromkeys(one.decision.id for one in steps):
            mine = [one for one in steps if one.decision.id == decision_id]
            decision, since = mine[0].decision, None
            if decision.reason_code == ANSWERED and decision.executor != WYOMING_INTENT:  # what was handed over is Home Assistant's
                decision, since = self._name_executor(decision), mine[0].publishing_at
            if decision.executor == self._execution.name:
                self._conversations.add(Exchange(decision=decision, at=self._clock.mono(), is_answered=since is not None))
                self._execution.carry_out(decision, is_retry=any(one.publishing_at is not None for one in mine), since=since)

    def _name_executor(self, decision: Decision) -> Decision:
        return replace(decision, executor=self._execution.executor_of(decision.actions))

    def _record(self, decision: Decision, last: Turn | None) -> bool:
        """Commit a decision together with the marks of what it publishes; a store that cannot be written costs the row, never the lights."""
        done = self._execution.take_done()
        try:
            return self._store.record_decision(
                decision,
                previous=last.actions if last is not None else (),
                states=self._surroundings.states,
                publishing_at=self._clock.now() if decision.executor != "none" else None,
                done=done,
            )
        except StoreError as error:
            self._execution.give_back_done(done)
            self._counters.count("unstored")
            self._outlet.note(str(error))
            _LOGGER.error("decision %s is not stored: %s", decision.id, error)  # noqa: TRY400
            return True
