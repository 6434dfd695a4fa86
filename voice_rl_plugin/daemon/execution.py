"""Execution: decisions become messages for the executor's devices, and end as done, failed or taken back.

decision -> marked -> steps -> outbox -> broker -> acknowledged -> done      result | state | time -> settled -> said
                                 ^---- lost, fresh and repeatable ----'
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from voice_rl_plugin.acting.assist_intents import AssistIntent, assist_intent
from voice_rl_plugin.acting.executor import Executor, OutgoingMessage, Progress, Settlement
from voice_rl_plugin.acting.undo import Snapshot, take_snapshot, undo_actions
from voice_rl_plugin.daemon.clock import SteadyClock
from voice_rl_plugin.daemon.counters import Counters
from voice_rl_plugin.daemon.mode import LearningMode
from voice_rl_plugin.daemon.outlet import Outlet
from voice_rl_plugin.daemon.parts import OnAccepted
from voice_rl_plugin.daemon.speech import names_of, sentence
from voice_rl_plugin.daemon.surroundings import Surroundings
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.deciding.wording import describe, reason, tell_states
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import EntityState
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.broker import Broker
from voice_rl_plugin.errors import BrokerError, StoreError
from voice_rl_plugin.learning.store import Done, ExperienceStore

_LOGGER = logging.getLogger(__name__)

TAKEN_BACK_KEPT = 256

_SAID_AS_IS = ("no_answer", "unseen", "unreachable", "unavailable", "unable", "not_allowed", "expired", "state_unknown")
"""Errors of a settlement that have a sentence of their own."""
WYOMING_INTENT = "wyoming_intent"
"""The executor of what Home Assistant does itself, as our answer to it."""
KEPT_HANDED_OVER = 256
UNTOLD_S = 60.0
"""What could not be said for want of a connection is said when there is one again, but not later than this."""
_UNTOLD_KEPT = 20
MARKS_WAIT_S = 0.5
"""Marks of what has left wait so long for a commit that is made anyway."""


@dataclass(slots=True, kw_only=True)
class _Sending:
    """An action that waits for the connection."""

    message: OutgoingMessage
    decision_id: str
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Untold:
    """A failure that nobody could be told of."""

    text: str
    decision: Decision
    at: float


class Execution:
    """Carries decisions out through one executor."""

    def __init__(
        self,
        executor: Executor,
        *,
        broker: Broker,
        store: ExperienceStore,
        surroundings: Surroundings,
        outlet: Outlet,
        counters: Counters,
        mode: LearningMode,
        clock: SteadyClock,
        on_accepted: OnAccepted | None = None,
    ) -> None:
        self._executor = executor
        self._on_accepted = on_accepted
        self._broker = broker
        self._store = store
        self._surroundings = surroundings
        self._outlet = outlet
        self._counters = counters
        self._mode = mode
        self._clock = clock
        self._running: dict[str, tuple[Decision, str]] = {}
        """Decisions that are being carried out, with the sentence to say when it worked."""
        self._outbox: deque[_Sending] = deque()
        self._taken_back: deque[str] = deque(maxlen=TAKEN_BACK_KEPT)
        self._handed_over: OrderedDict[str, Snapshot] = OrderedDict()
        """The states from before what Home Assistant did itself."""
        self._under_way: dict[int, _Sending] = {}
        """What the broker has not acknowledged yet, by ticket."""
        self._marked: set[str] = set()
        """Decisions that are marked as about to leave."""
        self._done: list[Done] = []
        self._untold: deque[_Untold] = deque(maxlen=_UNTOLD_KEPT)

    @property
    def name(self) -> str:
        """Return which executor it is."""
        return self._executor.name

    @property
    def deadline(self) -> float | None:
        """Return when `tick` has something to do, in Unix seconds."""
        return self._executor.deadline()

    @property
    def running(self) -> int:
        """Return how many decisions are being carried out."""
        return len(self._running)

    @property
    def waits_for_connection(self) -> bool:
        """Whether actions wait to be published."""
        return bool(self._outbox)

    def executor_of(self, actions: tuple[Action, ...]) -> str:
        """Return who carries some actions out: nobody, where there is only something to tell."""
        if self._find_intent(actions) is not None:
            return WYOMING_INTENT
        return self._executor.name if any(action.is_published for action in actions) else "none"

    def take_done(self) -> Sequence[Done]:
        """Return the decisions that have left and are not marked so yet: the caller writes them."""
        done, self._done = self._done, []
        return done

    def give_back_done(self, done: Sequence[Done]) -> None:
        """Take back what could not be written."""
        self._done = [*done, *self._done]

    def carry_out(
        self,
        decision: Decision,
        *,
        done: str | None = None,
        is_risky: bool = False,
        is_retry: bool = False,
        is_marked: bool = False,
        since: float | None = None,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin to carry a decision out, and answer what was asked of states.

        Args:
            decision: what to do.
            done: what to say when it worked; by default that it is done, or who does it.
            is_risky: none of its steps may be published twice.
            is_retry: after a crash: only the steps that may be published twice.
            is_marked: whether the store knows already that it is about to leave, or cannot know.
            since: when a person last asked for it, in Unix seconds.
            tell: tells of the decision; called when its actions have left, for they are what a person waits for.
        """
        is_published = any(action.is_published for action in decision.actions)
        progress = Progress()
        if is_published:
            if not is_marked:
                self._mark(decision)
            if self._mode.stores and decision.stage != "undo":
                self._marked.add(decision.id)
            intent = self._find_intent(decision.actions, language=decision.language) if decision.executor == WYOMING_INTENT else None
            if intent is not None:
                self._hand_over(decision, intent)
            else:
                self._expect(decision)
                self._running[decision.id] = (decision, _success(decision) if done is None else done)
                progress = self._executor.start(
                    decision,
                    states=self._surroundings.states,
                    now=self._clock.now(),
                    since=since,
                    is_retry=is_retry,
                    is_risky=is_risky or any_risky(decision.actions, self._surroundings.home),
                )
            for message in progress.messages:
                self._send(message)
        tell()
        for action in decision.actions:
            if action.domain == "query":
                told = tell_states(action.targets, self._surroundings.home, self._surroundings.states, decision.language)
                self._outlet.say(told, decision)
        if is_published and not progress.messages:
            self._note_done(decision.id)
        self.take(replace(progress, messages=()))

    def take_back(self, decision: Decision, *, keeps: tuple[Action, ...] = ()) -> str:
        """Undo a decision, except on the targets of `keeps`.

        Returns:
            What to say at once; empty when it is said once the devices have shown it.
        """
        self._taken_back.append(decision.id)
        self._running.pop(decision.id, None)  # whether it worked is of no interest any more
        self._outlet.replies.settle(decision.id)
        handed_over = self._handed_over.get(decision.id)
        undo = self._executor.undo(decision.id) if handed_over is None else undo_actions(handed_over)
        kept = {target for action in keeps for target in action.targets}
        actions = tuple(
            replace(action, targets=tuple(one for one in action.targets if one not in kept))
            for action in undo.actions
            if not action.targets or set(action.targets) - kept
        )
        if not actions:
            return sentence("cannot_undo", decision.language)
        names = names_of([one for one in undo.cannot if one not in kept], self._surroundings.home, decision.language)
        done = sentence("partly_undone" if names else "undone", decision.language, names=names)
        taking_back = replace(
            decision,
            id=f"{decision.id}-undo",
            outcome="act",
            actions=actions,
            stage="undo",
            decided_at=self._clock.now(),
            executor=self._executor.name,
        )
        self._counters.count("undone")
        self._outlet.tell_event("undo", decision)
        self.carry_out(taking_back, done="" if keeps else done)
        return ""

    def was_taken_back(self, decision_id: str) -> bool:
        """Whether it was undone here: what the devices then do was not done by a person's hand."""
        return decision_id in self._taken_back

    def take_result(self, result: native.ActionResult) -> None:
        """Take what an executor reports; an answer that comes with it is said once the decision is done."""
        running = self._running.get(result.decision_id)
        if running is not None and result.is_ok and result.text:
            decision, done = running
            said = result.text if done == _success(decision) else f"{done} {result.text}"
            self._running[result.decision_id] = (decision, said)
        self.take(
            self._executor.on_result(
                decision_id=result.decision_id, step=result.step, is_ok=result.is_ok, error=result.error, now=self._clock.now()
            )
        )

    def take_state(self, entity_id: str, state: EntityState) -> None:
        """Take a state that was seen."""
        self.take(self._executor.on_state(entity_id, state, now=self._clock.now()))

    def tick(self) -> None:
        """Take what the broker has acknowledged, publish what waited for the connection, and settle what is due."""
        self._take_deliveries()
        self._flush()
        self.take(self._executor.tick(self._clock.now()))
        if self._untold and self._broker.is_connected:
            self._tell_untold()

    def keep_marks(self, *, is_idle: bool) -> None:
        """Write the marks of what has left, when nobody waits or they have waited long enough."""
        if not self._done or not (is_idle or self._clock.now() - self._done[0].at > MARKS_WAIT_S):
            return
        try:
            self._store.mark_all_done(self.take_done())
        except StoreError as error:
            self._outlet.note(str(error))

    def close(self) -> None:
        """Write down what the broker has acknowledged in the end."""
        self._take_deliveries()
        self.keep_marks(is_idle=True)

    def _find_intent(self, actions: tuple[Action, ...], *, language: str = "en") -> AssistIntent | None:
        """Return the intent that answers the request at hand, when Home Assistant can do exactly this itself."""
        is_shadow = self._executor.name == "none"
        if not is_shadow and self._outlet.replies.forwards and [action.domain for action in actions] == ["intent"]:
            return AssistIntent(name=actions[0].service.partition(".")[2], text="")
        if is_shadow or not self._outlet.replies.takes_intent or len(actions) != 1 or any_risky(actions, self._surroundings.home):
            return None
        return assist_intent(actions[0], states=self._surroundings.states, language=language, done=sentence("done", language))

    def _hand_over(self, decision: Decision, intent: AssistIntent) -> None:
        """Have Home Assistant do it as our answer to it; it says itself whether it worked."""
        snapshot = take_snapshot(decision.id, decision.actions, self._surroundings.states, self._clock.now())
        self._handed_over[decision.id] = snapshot
        while len(self._handed_over) > KEPT_HANDED_OVER:
            self._handed_over.popitem(last=False)
        self._outlet.replies.hand_over(intent)

    def _expect(self, decision: Decision) -> None:
        targets = tuple(dict.fromkeys(target for action in decision.actions for target in (action.targets or (action.service,))))
        names = names_of(targets, self._surroundings.home, decision.language)
        self._outlet.replies.expect(decision.id, sentence("no_answer", decision.language, names=names))

    def _mark(self, decision: Decision) -> None:
        if not self._mode.stores or decision.stage == "undo":
            return
        try:
            for step in range(len(decision.actions)):
                self._store.mark_publishing(decision.id, step, at=self._clock.now())
        except StoreError as error:
            self._outlet.note(str(error))

    def _note_done(self, decision_id: str) -> None:
        if decision_id in self._marked:
            self._marked.discard(decision_id)
            self._done.append(Done(decision_id=decision_id, at=self._clock.now()))

    def _take_deliveries(self) -> None:
        again: list[_Sending] = []
        for delivery in self._broker.take_deliveries():
            sending = self._under_way.pop(delivery.ticket, None)
            if sending is None:
                continue
            if delivery.outcome == "lost":
                # It may have arrived: only what may come twice goes once more, and the rest ends with or without an answer.
                if sending.message.is_repeatable and sending.decision_id in self._running:
                    again.append(sending)
                    self._executor.wait_from(sending.decision_id, sending.expires_at)
                elif not self._is_open(sending.decision_id):
                    self._marked.discard(sending.decision_id)
            elif delivery.outcome == "refused":
                self._refuse(sending, "refused by the broker")
            else:
                if not self._is_open(sending.decision_id):
                    self._note_done(sending.decision_id)
                if self._on_accepted is not None:
                    step = int(sending.message.payload["step"])
                    self.take(self._on_accepted(decision_id=sending.decision_id, step=step, now=self._clock.now()))
        self._outbox.extendleft(reversed(again))

    def _refuse(self, sending: _Sending, error: str) -> None:
        """End a step that can never arrive, as a device that refuses it does."""
        if not self._is_open(sending.decision_id):
            self._note_done(sending.decision_id)
        step = int(sending.message.payload["step"])
        self.take_result(native.ActionResult(decision_id=sending.decision_id, step=step, is_ok=False, error=error))

    def _is_open(self, decision_id: str) -> bool:
        return any(one.decision_id == decision_id for one in (*self._outbox, *self._under_way.values()))

    def take(self, progress: Progress) -> None:
        """Publish what an executor wants published, and settle what it has settled."""
        for message in progress.messages:
            self._send(message)
        for settlement in progress.settled:
            self._settle(settlement)

    def _send(self, message: OutgoingMessage) -> None:
        decision_id, expires_at = str(message.payload["decision_id"]), float(message.payload["expires_at"])
        sending = _Sending(message=message, decision_id=decision_id, expires_at=expires_at)
        if self._outbox or not self._try_send(sending):
            self._outbox.append(sending)
            self._executor.wait_from(decision_id, expires_at)  # it may leave until then

    def _try_send(self, sending: _Sending) -> bool:
        left_s = sending.expires_at - self._clock.now()
        if left_s <= 0.0:
            self._counters.count("unsent")
            self._refuse(sending, "expired")
            return True
        try:
            message = sending.message
            ticket = self._outlet.publish(message.topic, message.payload if message.body is None else message.body, expires_s=left_s)
        except BrokerError as error:  # too large for this broker: it would be too large the next time too
            self._counters.count("errors")
            self._outlet.report(error, sending.message.topic)
            self._refuse(sending, "too large for the broker")
            return True
        if ticket:
            self._under_way[ticket] = sending
        return bool(ticket)

    def _flush(self) -> None:
        while self._outbox and (self._outbox[0].expires_at <= self._clock.now() or self._broker.is_connected):
            sending = self._outbox.popleft()
            if not self._try_send(sending):
                self._outbox.appendleft(sending)
                return
            self._executor.wait_from(sending.decision_id, self._clock.now())

    def _settle(self, settlement: Settlement) -> None:
        decision, done = self._running.pop(settlement.decision_id, (None, ""))
        self._outbox = deque(one for one in self._outbox if one.decision_id != settlement.decision_id)
        if settlement.is_success:
            self._note_done(settlement.decision_id)
        elif not self._is_open(settlement.decision_id):
            self._marked.discard(settlement.decision_id)  # the broker may still acknowledge what is under way
        if decision is not None:
            self._tell_settled(settlement, decision, done)
        self._outlet.replies.settle(settlement.decision_id)

    def _tell_settled(self, settlement: Settlement, decision: Decision, done: str) -> None:
        if settlement.outcome == "shadow":
            if self._outlet.replies.is_waited_for:
                told = describe(decision.actions, self._surroundings.home, decision.language)
                self._outlet.say(sentence("watching", decision.language, names=told), decision, is_success=False)
            return
        if settlement.is_success:
            self._counters.count("executed")
            told = names_of(settlement.blind_targets, self._surroundings.home, decision.language)
            self._outlet.say(settlement.speech or (sentence("told", decision.language, names=told) if told else done), decision)
            return
        self._counters.count("failed")
        self._outlet.tell_event("failed", decision)
        names = names_of(settlement.failed_targets, self._surroundings.home, decision.language)
        key = settlement.error if settlement.error in _SAID_AS_IS else "failed"
        if key in ("no_answer", "unseen") and not names:
            key = "failed"
        text = settlement.speech or sentence(key, decision.language, names=names)
        if not self._outlet.say(text, decision, is_success=False):
            self._untold.append(_Untold(text=text, decision=decision, at=self._clock.now()))
        _LOGGER.warning("decision %s was not carried out: %s", settlement.decision_id, settlement.error)

    def _tell_untold(self) -> None:
        untold, self._untold = self._untold, deque(maxlen=_UNTOLD_KEPT)
        for one in untold:
            if self._clock.now() - one.at <= UNTOLD_S:
                self._outlet.tell_event("failed", one.decision)
                self._outlet.say(one.text, one.decision, is_success=False)


def _success(decision: Decision) -> str:
    if all(action.domain == "intent" for action in decision.actions):
        return reason("forwarded", decision.language)
    return sentence("done", decision.language)
