"""The loop: takes the messages of the broker in order, and settles each one before the next.

command -> decide -> row committed -> decision, event, say -> executor -> ack
confirm -> feedback committed -> memory -> (undo, correction, answer) -> ack
"""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from voice_rl_plugin import __version__
from voice_rl_plugin.acting.executor import Executor, OutgoingMessage, Progress, Settlement
from voice_rl_plugin.config import Config
from voice_rl_plugin.daemon.conversation import RISKY_CONFIRM_S, Conversations, Exchange, pick_choice
from voice_rl_plugin.daemon.counters import Counters
from voice_rl_plugin.daemon.reload import Loaded, Models, ModelWatch
from voice_rl_plugin.daemon.speech import names_of, sentence
from voice_rl_plugin.daemon.training import IDLE, Training
from voice_rl_plugin.deciding.memory import Memory, MemoryEntry, memory_words
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.deciding.turn import QUESTION_S, Heard, Turn
from voice_rl_plugin.deciding.wording import reason, tell_states
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.home import EntityState, Home, States
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.broker import Broker, Message
from voice_rl_plugin.errors import BrokerError, ConfigError, MessageError, ModelError, StoreError, VoiceRlError
from voice_rl_plugin.homes.last_good import LastGoodHome
from voice_rl_plugin.homes.merge import merge_homes
from voice_rl_plugin.homes.statestream import LiveStates
from voice_rl_plugin.learning.attribution import UndoWatch, counts_as_feedback, rephrase_of
from voice_rl_plugin.learning.reward import correction_of
from voice_rl_plugin.learning.store import ExperienceStore

if TYPE_CHECKING:  # at run time it would load onnxruntime for every command
    from voice_rl_plugin.understanding.onnx_policy import Policy

_LOGGER = logging.getLogger(__name__)

IDLE_S = 0.5
"""The loop looks round this often even when nothing comes."""
METRICS_S = 10.0
STORE_RETRY_S = 5.0
FREEZE_S = 3.0
"""A wait that lasted this much longer than asked for means that the process was stopped."""
THAW_S = 5.0
"""For this long after a freeze what comes may have waited as long as the freeze."""
MAX_DEFERRED = 15
"""Unacknowledged messages while the store cannot be written; the broker sends at most 20 at a time."""
PROBLEMS_KEPT = 10
HOME_ASSISTANT_STATUS = "homeassistant/status"
_SILENT_REASONS = frozenset({"chat", "report"})
"""What was not meant for us is refused without a word."""


class Decider(Protocol):
    """The brain."""

    def set_home(self, home: Home) -> None:
        """Replace the home."""

    def set_policy(self, policy: "Policy") -> None:
        """Replace the policy."""

    def may_remember(self, utterance: Utterance, actions: Sequence[Action]) -> bool:
        """Whether a correction of these words may be learned by heart."""

    def hear(self, utterance: Utterance, *, states: States, last: Turn | None, now: float, decision_id: str) -> Heard:
        """Decide about one utterance."""


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
    file_home: Home | None = None
    clock: Callable[[], float] = time.time
    """Unix seconds."""
    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex


@dataclass(slots=True, kw_only=True)
class _Sending:
    """An action that waits for the connection."""

    message: OutgoingMessage
    decision_id: str
    expires_at: float


class Daemon:
    """Hears, decides, acts and learns; everything happens in the thread that calls `run`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._config = parts.config
        self._broker = parts.broker
        self._store = parts.store
        self._models = parts.models
        self._executor = parts.executor
        self._prefix = parts.config.mqtt.prefix
        self._states_topic = parts.config.home.states_topic
        self.counters = Counters()
        self._conversations = Conversations()
        self._seen = native.SeenIds()
        self._undo_watch = UndoWatch()
        self._live = LiveStates(base=self._states_topic)
        self._known_states: dict[str, EntityState] = {}
        self._last_good = LastGoodHome(parts.config.store.path / "last_good_home.json")
        self._topic_home = self._last_good.load()
        self._home = Home()
        self._memory = Memory(parts.store.load_memory())
        self._policy: Policy | None = None
        self._decider: Decider | None = None
        self._mode = parts.config.learning.mode
        self._watch = ModelWatch(
            parts.models, load=parts.load_policy, probe=parts.probe_model, on_loaded=lambda loaded: self._later(self._take_model, loaded)
        )
        self._training = Training(
            parts.config.learning.trainer,
            store=parts.store.path.parent,
            models=parts.config.models.path,
            report=lambda progress: self._later(self._report_training, progress),
        )
        self._train_state: Mapping[str, Any] = IDLE
        self._jobs: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._running: dict[str, tuple[Decision, str]] = {}
        """Decisions that are being carried out, with the sentence to say when it worked."""
        self._outbox: deque[_Sending] = deque()
        self._deferred: deque[Message] = deque()
        self._retry_at = 0.0
        self._problems: deque[str] = deque(maxlen=PROBLEMS_KEPT)
        self._announced: dict[str, bytes] = {}
        self._connections = 0
        self._clock_offset = parts.clock() - parts.monotonic()
        self._frozen_s = 0.0
        self._thawed_at = float("-inf")
        self._metrics_at = float("-inf")
        self._stop = threading.Event()
        self.is_ready = threading.Event()
        """Set once the daemon was announced on the broker."""

    # The loop

    def run(self) -> None:
        """Serve until `stop` is called.

        Raises:
            BrokerError: another program uses our client id.
        """
        self._start()
        try:
            while not self._stop.is_set():
                self._step()
        finally:
            self._close()

    def stop(self) -> None:
        """Make `run` return after the message at hand; may be called from any thread or signal handler."""
        self._stop.set()
        self._broker.wake()

    def _start(self) -> None:
        self._mode = self._read_mode() or self._config.learning.mode
        self._set_home()
        try:
            self._use_policy(self._watch.load_now())
        except ModelError as error:
            _LOGGER.error("no model: %s", error)  # noqa: TRY400 - the message says it all
            self._note_problem(f"no model: {error}")
        self._broker.subscribe([*(f"{self._prefix}/{one}" for one in native.INPUTS), self._states_topic, HOME_ASSISTANT_STATUS])
        self._broker.start()
        self._recover()

    def _step(self) -> None:
        timeout_s = IDLE_S
        deadline = self._executor.deadline()
        if deadline is not None:
            timeout_s = min(timeout_s, max(deadline - self._now(), 0.0))
        if self._outbox:
            timeout_s = min(timeout_s, 0.05)
        asked_at = self._parts.monotonic()
        message = self._broker.receive(timeout_s)
        waited_s = self._parts.monotonic() - asked_at
        if waited_s > timeout_s + FREEZE_S:
            self._frozen_s, self._thawed_at = waited_s, self._parts.monotonic()
            _LOGGER.warning("the process stood still for %.1f s; commands without a time are refused for a moment", waited_s)
        if message is not None:
            self._settle_message(message)
        self._tick()

    def _tick(self) -> None:
        while self._jobs:
            job, argument = self._jobs.popleft()
            self._guard(lambda job=job, argument=argument: job(argument), topic="")  # type: ignore[misc]
        if self._broker.is_taken_over:
            raise BrokerError("another program uses our client id; give each daemon its own mqtt.client_id")
        if self._broker.connections != self._connections:
            self._connections = self._broker.connections
            self._announced.clear()
            self._announce()
            self.is_ready.set()
        self._flush_outbox()
        self._take_progress(self._executor.tick(self._now()))
        if self._executor.deadline() is None:
            # Between two executions our clock follows the wall clock; during one it only runs forward.
            self._clock_offset = self._parts.clock() - self._parts.monotonic()
        for problem in self._broker.take_problems():
            self._note_problem(problem)
        self._watch.check()
        now = self._parts.monotonic()
        if self._deferred and now >= self._retry_at:
            waiting, self._deferred = list(self._deferred), deque()
            for message in waiting:
                self._settle_message(message)
        if now - self._metrics_at >= METRICS_S:
            self._metrics_at = now
            self._guard(self._reload_memory, topic="")
            self._announce()

    def _close(self) -> None:
        self._guard(self._training.close, topic="")
        self._guard(lambda: self._publish_state("status", b"offline"), topic="")
        self._broker.stop()
        self._store.close()
        _LOGGER.info("stopped")

    def _settle_message(self, message: Message) -> None:
        """Handle one message completely, then acknowledge it; one wrong message never stops the loop."""
        try:
            self._handle(message)
        except StoreError as error:
            self.counters.count("unstored")
            self._note_problem(str(error))
            _LOGGER.error("the experience store cannot be written: %s", error)  # noqa: TRY400
            if len(self._deferred) < MAX_DEFERRED and message.receipt is not None:
                self._deferred.append(message)
                self._retry_at = self._parts.monotonic() + STORE_RETRY_S
                return
        except VoiceRlError as error:
            self.counters.count("malformed" if isinstance(error, MessageError) else "errors")
            _LOGGER.debug("a message on %s was dropped: %s", message.topic, error)
            self._report_error(error, message.topic)
        except Exception as error:
            self.counters.count("errors")
            _LOGGER.exception("a message on %s could not be handled", message.topic)
            self._report_error(VoiceRlError(f"internal error: {type(error).__name__}; see the log"), message.topic)
        self._broker.ack(message)

    def _handle(self, message: Message) -> None:
        topic = message.topic
        if self._live.owns(topic):
            self._take_state(message)
            return
        if topic == HOME_ASSISTANT_STATUS:
            self._take_home_assistant_status(message)
            return
        key = topic.removeprefix(f"{self._prefix}/")
        if message.is_retained and key != "home":
            self.counters.count("retained_ignored")
            _LOGGER.warning("a retained message on %s was ignored; clear it, and publish inputs without retain", topic)
            return
        name, _, level = key.partition("/")
        if name == "command":
            self._command(message, level or None)
        elif name == "confirm":
            self._confirm(message, level or None)
        elif key == "result":
            self._take_result(native.parse_result(message.payload))
        elif key == "home":
            self._take_home(message)
        elif key == "model/set":
            self._set_model(native.parse_model_set(message.payload))
        elif key == "learning/set":
            self._set_mode(native.parse_learning_set(message.payload))
        elif key == "train/set":
            self._set_training(native.parse_train_set(message.payload))

    # Commands

    def _command(self, message: Message, level: str | None) -> None:
        utterance = native.parse_command(message.payload, area=level, home=self._home)
        now = self._now()
        try:
            native.check_fresh(utterance, now=now, waited_s=self._waited_s(message), freshness_s=self._config.doors.freshness_s)
        except MessageError:
            self.counters.count("stale")
            raise
        if utterance.id is not None and self._is_duplicate(utterance.id, utterance.door, now):
            self.counters.count("duplicates")
            return
        if utterance.id is not None:
            self._seen.add(f"{utterance.door}:{utterance.id}", self._parts.monotonic())
        turn = self._conversations.turn(utterance, now=self._parts.monotonic())
        was_asked = turn is not None and turn.awaits_answer
        heard = self._hear(utterance)
        if heard.feedback is not None:
            self._take_spoken(heard.feedback, heard.decision, utterance)
        if heard.decision is None:
            return
        if heard.decision.outcome == "act" and not was_asked and any_risky(heard.decision.actions, self._home):
            raise VoiceRlError("a risky action was decided without a question; it was not carried out")
        self._carry_out(heard.decision, message=message)

    def _hear(self, utterance: Utterance, *, last: Turn | None = None) -> Heard:
        now, begun = self._now(), self._parts.monotonic()
        decision_id = self._parts.new_id()
        if self._decider is None:
            return Heard(decision=_refusal(utterance, decision_id, now))
        last = last or self._conversations.turn(utterance, now=begun)
        heard = self._decider.hear(utterance, states=self._states(), last=last, now=now, decision_id=decision_id)
        if heard.decision is None:
            return heard
        took_ms = (self._parts.monotonic() - begun) * 1000.0
        decision = replace(
            heard.decision,
            decided_at=heard.decision.decided_at or now,
            latency_ms=heard.decision.latency_ms or took_ms,
            executor=self._executor.name if any(action.is_dispatched for action in heard.decision.actions) else "none",
        )
        return Heard(decision=decision, feedback=heard.feedback)

    def _carry_out(self, decision: Decision, *, message: Message, corrects: str | None = None) -> None:
        """Commit a decision, tell everybody, and act."""
        last = self._conversations.turn(decision.utterance, now=self._parts.monotonic())
        if self._mode != "guest" and not self._record(decision, last):
            self.counters.count("duplicates")
            return
        self._conversations.add(Exchange(decision=decision, at=self._parts.monotonic(), corrects=corrects))
        self.counters.count({"act": "acted", "clarify": "asked", "reject": "rejected"}[decision.outcome])
        self._tell(decision, message)
        if decision.outcome == "clarify" and decision.question:
            self._say(decision.question, decision, expects_reply=True)
        elif decision.outcome == "reject":
            if decision.reason and decision.reason_code not in _SILENT_REASONS and decision.not_for_us < 0.5:
                self._say(decision.reason, decision)
        elif decision.outcome == "act":
            self._execute(decision, done=sentence("done", decision.language))
        self.counters.add_latency((self._parts.monotonic() - message.received_at) * 1000.0)
        _LOGGER.info(
            "decision %s: %s by %s (%s), confidence %.3f, %d actions, policy %s, %.1f ms",
            decision.id, decision.outcome, decision.stage, decision.reason_code or "-", decision.confidence, len(decision.actions),
            decision.policy_version or "none", decision.latency_ms,
        )  # fmt: skip
        _LOGGER.debug("decision %s: %r -> %s", decision.id, decision.utterance.text, [one.to_line() for one in decision.actions])

    def _record(self, decision: Decision, last: Turn | None) -> bool:
        """Commit a decision; a store that cannot be written costs the row, never the lights."""
        try:
            return self._store.record_decision(decision, previous=last.actions if last is not None else (), states=self._states())
        except StoreError as error:
            self.counters.count("unstored")
            self._note_problem(str(error))
            _LOGGER.error("decision %s is not stored: %s", decision.id, error)  # noqa: TRY400
            return True

    def _tell(self, decision: Decision, message: Message | None) -> None:
        payload = native.encode(decision.to_payload())
        self._publish(f"{self._prefix}/decision", payload)
        self._publish(f"{self._prefix}/event", native.encode_event(decision.outcome, decision))
        if message is not None:
            self._respond(message, payload)

    def _respond(self, message: Message, payload: bytes) -> None:
        topic = message.response_topic
        if topic is None:
            return
        own = f"{self._prefix}/"
        if topic.startswith("$") or (topic.startswith(own) and not topic.startswith(f"{own}response/")):
            raise MessageError(f"response topic: expected one outside {own} or below {own}response/, got {topic!r:.100}")
        self._publish(topic, payload, correlation=message.correlation)

    # Acting

    def _execute(
        self, decision: Decision, *, done: str, is_risky: bool = False, is_retry: bool = False, since: float | None = None
    ) -> None:
        for action in decision.actions:
            if action.domain == "query":
                self._say(tell_states(action.targets, self._home, self._states(), decision.language), decision)
        if not any(action.is_dispatched for action in decision.actions):
            return
        is_risky = is_risky or any_risky(decision.actions, self._home)
        self._mark(decision, is_done=False)
        self._running[decision.id] = (decision, done)
        progress = self._executor.start(decision, states=self._states(), now=self._now(), since=since, is_retry=is_retry, is_risky=is_risky)
        self._take_progress(progress)
        if not any(one.decision_id == decision.id for one in self._outbox):
            self._mark(decision, is_done=True)

    def _mark(self, decision: Decision, *, is_done: bool) -> None:
        if self._mode == "guest" or decision.stage == "undo":
            return
        try:
            for step in range(len(decision.actions)):
                if is_done:
                    self._store.mark_done(decision.id, step, at=self._now())
                else:
                    self._store.mark_publishing(decision.id, step, at=self._now())
        except StoreError as error:
            self._note_problem(str(error))

    def _take_result(self, result: native.ActionResult) -> None:
        progress = self._executor.on_result(
            decision_id=result.decision_id, step=result.step, is_ok=result.is_ok, error=result.error, now=self._now()
        )
        self._take_progress(progress)

    def _take_progress(self, progress: Progress) -> None:
        for message in progress.messages:
            self._send(message)
        for settlement in progress.settled:
            self._on_settled(settlement)

    def _send(self, message: OutgoingMessage) -> None:
        decision_id, expires_at = str(message.payload["decision_id"]), float(message.payload["expires_at"])
        sending = _Sending(message=message, decision_id=decision_id, expires_at=expires_at)
        if self._outbox or not self._try_send(sending):
            self._outbox.append(sending)

    def _try_send(self, sending: _Sending) -> bool:
        left_s = sending.expires_at - self._now()
        if left_s <= 0.0:
            self.counters.count("unsent")
            return True
        return self._publish(sending.message.topic, native.encode(sending.message.payload), expires_s=left_s)

    def _flush_outbox(self) -> None:
        while self._outbox and (self._outbox[0].expires_at <= self._now() or self._broker.is_connected):
            sending = self._outbox[0]
            if not self._try_send(sending):
                return
            self._outbox.popleft()
            running = self._running.get(sending.decision_id)
            if running is not None and not any(one.decision_id == sending.decision_id for one in self._outbox):
                self._mark(running[0], is_done=True)

    def _on_settled(self, settlement: Settlement) -> None:
        decision, done = self._running.pop(settlement.decision_id, (None, ""))
        self._outbox = deque(one for one in self._outbox if one.decision_id != settlement.decision_id)
        if decision is None or settlement.outcome == "shadow":
            return
        if settlement.is_success:
            self.counters.count("executed")
            self._say(done, decision)
            return
        self.counters.count("failed")
        self._publish(f"{self._prefix}/event", native.encode_event("failed", decision))
        names = names_of(settlement.failed_targets, self._home, decision.language)
        key = settlement.error if settlement.error in ("no_answer", "expired", "state_unknown") else "failed"
        if key == "no_answer" and not names:
            key = "failed"
        self._say(sentence(key, decision.language, names=names), decision)
        _LOGGER.warning("decision %s was not carried out: %s", settlement.decision_id, settlement.error)

    def _undo(self, decision: Decision, *, keeps: tuple[Action, ...] = ()) -> str:
        """Take a decision back, except for the targets of `keeps`; return the sentence that says what comes of it."""
        self._running.pop(decision.id, None)  # whether it worked is of no interest any more
        undo = self._executor.undo(decision.id)
        kept = {target for action in keeps for target in action.targets}
        actions = tuple(
            replace(action, targets=tuple(one for one in action.targets if one not in kept))
            for action in undo.actions
            if not action.targets or set(action.targets) - kept
        )
        if not actions:
            return sentence("cannot_undo", decision.language)
        cannot = tuple(one for one in undo.cannot if one not in kept)
        names = names_of(cannot, self._home, decision.language)
        done = sentence("partly_undone" if names else "undone", decision.language, names=names)
        taking_back = replace(
            decision,
            id=f"{decision.id}-undo",
            outcome="act",
            actions=actions,
            stage="undo",
            decided_at=self._now(),
            executor=self._executor.name,
        )
        self.counters.count("undone")
        self._publish(f"{self._prefix}/event", native.encode_event("undo", decision))
        self._execute(taking_back, done="" if keeps else done)
        return ""

    # Feedback

    def _confirm(self, message: Message, level: str | None) -> None:
        confirmation = native.parse_confirm(message.payload, area=level, home=self._home)
        mono, now = self._parts.monotonic(), self._now()
        if confirmation.id is not None and self._seen.has(f"confirm:{confirmation.id}", mono):
            self.counters.count("duplicates")
            return
        if confirmation.decision_id is None and self._waited_s(message) > self._config.doors.freshness_s:
            self.counters.count("stale")
            raise MessageError("confirm: it waited while this program was away, and names no decision_id; nothing was done")
        exchange = self._conversations.find(confirmation, now=now)
        if exchange is None:
            decision = self._store.decision(confirmation.decision_id or "")
            if decision is None:
                raise MessageError(f"confirm: decision_id: no decision {confirmation.decision_id!r:.60} is known; it may have been erased")
            exchange = Exchange(decision=decision, at=float("-inf"), is_answered=True)
        self._judge(confirmation, exchange, message, feedback_id=f"confirm:{confirmation.id}" if confirmation.id else "")
        if confirmation.id is not None:
            self._seen.add(f"confirm:{confirmation.id}", mono)
        self._respond(message, native.encode({"decision_id": exchange.decision.id, "verdict": confirmation.verdict, "accepted": True}))

    def _judge(self, confirmation: native.Confirmation, exchange: Exchange, message: Message, *, feedback_id: str) -> None:
        decision, mono = exchange.decision, self._parts.monotonic()
        feedback = Feedback(
            decision_id=decision.id,
            verdict=confirmation.verdict,
            source="topic",
            correction_text=confirmation.correction_text,
            user=confirmation.user,
            given_at=self._now(),
            id=feedback_id,
        )
        if confirmation.verdict == "undo":
            if decision.outcome == "clarify" and not exchange.is_answered:
                raise MessageError(f"confirm: decision {decision.id} asked and did nothing; there is nothing to undo")
            self._learn(feedback, decision)
            self._say(self._undo(decision), decision)
        elif confirmation.correction_text is not None:
            self._correct(replace(feedback, verdict="correct"), exchange, message)
        elif decision.outcome == "clarify" and (confirmation.verdict == "yes" or confirmation.choice is not None):
            self._answer(confirmation, exchange, feedback)
        elif confirmation.choice is not None:
            raise MessageError(f"confirm: choice: decision {decision.id} asked nothing")
        else:
            if decision.outcome == "clarify" and exchange.age_s(mono) <= QUESTION_S:
                exchange.is_answered = True
            self._learn(feedback, decision)

    def _answer(self, confirmation: native.Confirmation, exchange: Exchange, feedback: Feedback) -> None:
        """Carry out what was picked from a question, once."""
        decision, age_s = exchange.decision, exchange.age_s(self._parts.monotonic())
        choice = pick_choice(decision, confirmation.choice)
        is_risky = decision.is_risky or any_risky(choice.actions, self._home)
        if is_risky:
            if confirmation.decision_id is None:
                raise MessageError("confirm: a risky action is confirmed by its decision_id only")
            if confirmation.door != decision.utterance.door:
                raise MessageError(f"confirm: a risky action is confirmed where it was asked, at the door {decision.utterance.door!r}")
            if exchange.is_answered or age_s > RISKY_CONFIRM_S:
                raise MessageError(f"confirm: a risky action is confirmed once, within {RISKY_CONFIRM_S:g} s; say it again")
        is_late = exchange.is_answered or age_s > QUESTION_S
        exchange.is_answered = True
        self._learn(replace(feedback, verdict="yes", correction=choice.actions), decision, is_memorable=not is_risky)
        if is_late:
            raise MessageError(
                f"confirm: the question was answered before, or is older than {QUESTION_S:g} s; it was noted, and nothing was done"
            )
        if exchange.corrects is not None:
            first = self._conversations.get(exchange.corrects)
            if first is not None:
                correction = replace(
                    feedback,
                    id="",
                    decision_id=first.decision.id,
                    verdict="correct",
                    correction=choice.actions,
                    correction_text=decision.utterance.text,
                )
                self._learn(correction, first.decision, is_memorable=not is_risky)
        acting = replace(
            decision, outcome="act", actions=choice.actions, question=None, choices=(), reason_code="answered", executor=self._executor.name
        )
        exchange.decision = acting
        self.counters.count("acted")
        self._tell(acting, None)
        self._execute(acting, done=sentence("done", acting.language), is_risky=is_risky, since=self._now())

    def _correct(self, feedback: Feedback, exchange: Exchange, message: Message) -> None:
        """Decide the words of a correction, learn from them, take the wrong action back, and do the right one."""
        wrong, text = exchange.decision, feedback.correction_text or ""
        heard = self._hear(
            replace(wrong.utterance, text=text, id=None, said_at=0.0, user=feedback.user or wrong.utterance.user),
            last=Turn(decision=wrong, at=wrong.decided_at),
        )
        right = heard.decision
        actions = right.actions if right is not None else heard.feedback.correction if heard.feedback is not None else ()
        exchange.is_answered = True
        is_risky = any_risky(actions, self._home) or (right is not None and right.is_risky)
        is_understood = right is not None and right.outcome == "act"
        self._learn(replace(feedback, correction=actions), wrong, is_memorable=is_understood and not is_risky)
        if right is None:
            return
        if is_understood and exchange.at > float("-inf"):
            self._undo_wrong(wrong, right)
        self._carry_out(right, message=message, corrects=wrong.id)

    def _undo_wrong(self, wrong: Decision, right: Decision) -> None:
        if wrong.outcome == "act" and wrong.executor != "none":
            self._undo(wrong, keeps=right.actions)

    def _take_spoken(self, feedback: Feedback, following: Decision | None, utterance: Utterance) -> None:
        """Take a judgement that was spoken as a sentence."""
        exchange = self._conversations.get(feedback.decision_id)
        if exchange is None or not counts_as_feedback(feedback, media_plays=self._plays_media(utterance.area)):
            return
        wrong = exchange.decision
        feedback = replace(feedback, given_at=feedback.given_at or self._now(), user=feedback.user or utterance.user)
        exchange.is_answered = True
        is_risky = wrong.is_risky or any_risky(feedback.correction, self._home)
        self._learn(feedback, wrong, is_memorable=not is_risky)
        if feedback.verdict == "undo" and following is None:
            self._say(self._undo(wrong), wrong)
        elif feedback.verdict == "correct" and following is not None and following.outcome == "act":
            self._undo_wrong(wrong, following)
        elif following is None and feedback.verdict in ("yes", "no"):
            self._say(sentence("noted", wrong.language), wrong)

    def _learn(self, feedback: Feedback, decision: Decision, *, is_memorable: bool = True) -> None:
        """Commit a judgement, and remember what it teaches.

        Raises:
            StoreError: it cannot be written; the message is kept and tried again.
        """
        is_answer = decision.outcome == "clarify" and bool(feedback.correction)
        names = {"yes": "confirmed", "no": "denied", "correct": "confirmed" if is_answer else "corrected"}
        if feedback.verdict in names:
            self.counters.count(names[feedback.verdict])
        if self._mode != "on":
            return
        try:
            self._store.record_feedback(feedback)
        except MessageError as error:  # decided as a guest, or erased since
            _LOGGER.debug("feedback is not stored: %s", error)
            return
        if feedback.verdict == "yes" and decision.outcome == "act":
            first = rephrase_of(decision, self._conversations.decisions(), now=self._now())
            if first is not None:
                self._store.record_feedback(first)
        is_correction = feedback.verdict == "correct" or (feedback.verdict == "yes" and decision.outcome == "clarify")
        right = correction_of(feedback, decision=decision) if is_correction and is_memorable else None
        if right is None or self._decider is None or not self._decider.may_remember(decision.utterance, right):
            return
        entry = MemoryEntry(
            words=memory_words(decision.utterance.text),
            area=decision.utterance.area,
            actions=right,
            decision_id=decision.id,
            learned_at=self._now(),
        )
        self._store.save_memory(self._memory.learn(entry))

    def _plays_media(self, area: str | None) -> bool:
        states = self._states()
        players = (one for one in self._home.exposed_by_area.get(area, ()) if one.domain == "media_player")
        return any(one.id in states and states[one.id].value == "playing" for one in players)

    # Home and states

    def _states(self) -> States:
        return {**self._home.initial_states, **self._known_states}

    def _set_home(self) -> None:
        sources = [home for home in (self._parts.file_home, self._topic_home) if home is not None]
        risky = set(self._config.safety.risky)
        home = merge_homes(sources)
        if risky:
            home = replace(home, entities=tuple(replace(one, risky=True) if one.id in risky else one for one in home.entities))
        self._home = home
        if self._decider is not None:
            self._decider.set_home(home)

    def _take_home(self, message: Message) -> None:
        self._topic_home = native.parse_home(message.payload, max_bytes=self._config.mqtt.max_payload_bytes)
        self._set_home()
        self._announce()
        if self._mode != "guest":
            self._last_good.save(self._topic_home)

    def _take_state(self, message: Message) -> None:
        now = self._now()
        change = self._live.on_message(message.topic, message.payload, now=now, is_retained=message.is_retained)
        if change is None:
            return
        if change.after is None:
            self._known_states.pop(change.entity_id, None)
            return
        self._known_states[change.entity_id] = replace(change.after, attributes=dict(change.after.attributes))  # the store needs plain ones
        self._take_progress(self._executor.on_state(change.entity_id, change.after, now=now))
        if message.is_retained:
            return
        undo = self._undo_watch.observe(change.entity_id, change.before, change.after, at=now, decisions=self._conversations.decisions())
        exchange = self._conversations.get(undo.decision_id) if undo is not None else None
        if undo is not None and exchange is not None:
            self.counters.count("undone")
            self._publish(f"{self._prefix}/event", native.encode_event("undo", exchange.decision))
            self._learn(undo, exchange.decision, is_memorable=False)

    def _take_home_assistant_status(self, message: Message) -> None:
        if message.is_retained:
            return
        self._undo_watch.restart(self._now())
        if message.payload == b"offline":  # what was known is not known any more until it is published again
            self._live.forget_all()
            self._known_states.clear()

    # Model, learning, training

    def _use_policy(self, policy: "Policy") -> None:
        if self._decider is None:
            self._decider = self._parts.make_decider(policy, self._home, self._memory)
        else:
            self._decider.set_policy(policy)
        self._policy = policy

    def _take_model(self, loaded: Loaded) -> None:
        """Swap the policy between two utterances; one that does not work is rolled back and the champion stays."""
        error = loaded.error
        if loaded.policy is not None and error is None:
            try:
                candidate = self._parts.make_decider(loaded.policy, self._home, self._memory)
                for text in ("turn on the lights", "开灯"):
                    probe = Utterance(text=text, door="dry_run")
                    candidate.hear(probe, states=self._states(), last=None, now=self._now(), decision_id="probe")
                self._use_policy(loaded.policy)
            except Exception as problem:
                _LOGGER.exception("the new model fails its probe")
                error = f"fails its probe: {type(problem).__name__}"
        if error is not None:
            self._note_problem(f"the new model is not used: {error}")
            self._report_error(ModelError(f"the new model is not used, the champion stays: {error}"), f"{self._prefix}/model")
            if self._policy is not None and self._models.champion_version() != self._policy.version:
                self._guard(self._roll_back_quietly, topic=f"{self._prefix}/model")
        else:
            _LOGGER.info("model %s is the champion now", self._policy.version if self._policy else "none")
        self._announce()

    def _roll_back_quietly(self) -> None:
        self._models.rollback(at=self._now())
        self._watch.accept()

    def _set_model(self, request: native.ModelRequest) -> None:
        if request.verb == "rollback":
            self._models.rollback(at=self._now())
        else:
            version = request.version or self._models.versions()[-1]
            self._models.promote(version, at=self._now())
        self._watch.check()
        self._announce()

    def _set_mode(self, mode: str) -> None:
        self._mode = mode
        self._write_mode(mode)
        self._announce()

    def _set_training(self, verb: str) -> None:
        if verb == "start":
            self._training.start()
        else:
            self._training.cancel()

    def _report_training(self, progress: Mapping[str, Any]) -> None:
        self._train_state = progress
        self._announce()

    def _reload_memory(self) -> None:
        """Take over what another process forgot or erased."""
        if self._mode == "guest" or not self._store.has_foreign_changes():
            return
        self._memory = Memory(self._store.load_memory())
        if self._policy is not None:
            self._decider = self._parts.make_decider(self._policy, self._home, self._memory)

    def _recover(self) -> None:
        """Publish what a crash left unpublished, as far as it is fresh and may be published (again)."""
        since = self._now() - self._config.doors.freshness_s
        steps = self._store.open_steps(since=since)
        for decision_id in dict.fromkeys(one.decision.id for one in steps):
            mine = [one for one in steps if one.decision.id == decision_id]
            if mine[0].decision.executor == self._executor.name:
                is_retry = any(one.publishing_at is not None for one in mine)
                decision = mine[0].decision
                self._conversations.add(Exchange(decision=decision, at=self._parts.monotonic()))
                self._execute(decision, done=sentence("done", decision.language), is_retry=is_retry)

    # What is told

    def _announce(self) -> None:
        """Publish every retained topic whose payload has changed."""
        installed = self._policy.version if self._policy is not None else None
        versions = self._models.versions()
        problems = [*self._problems]
        health = {
            "status": "ok" if self._policy is not None and self._home.entities else "degraded",
            "version": __version__,
            "model": installed or "no model: every command is refused",
            "home": {"areas": len(self._home.areas), "entities": len(self._home.exposed)},
            "executor": self._executor.name,
            "damaged_stores": [path.name for path in self._store.moved_aside],
            "problems": problems,
        }
        training = self._train_state.get("phase") not in ("idle", "done")
        model = {
            "installed_version": installed,
            "latest_version": versions[-1] if len(versions) > 1 else installed,
            "in_progress": training,
            "release_summary": str(self._train_state.get("result") or ""),
        }
        broker = self._broker.counts
        metrics = self.counters.to_payload() | {"dropped": broker.dropped, "refused": broker.refused, "reconnects": broker.reconnects}
        self._publish_state("health", native.encode(health))
        self._publish_state("model", native.encode(model))
        self._publish_state("metrics", native.encode(metrics))
        self._publish_state("learning", self._mode.encode())
        self._publish_state("train", native.encode(self._train_state))
        self._publish_state("status", b"online")

    def _publish_state(self, name: str, payload: bytes) -> None:
        if self._announced.get(name) != payload and self._publish(f"{self._prefix}/{name}", payload, retain=True):
            self._announced[name] = payload

    def _publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expires_s: float | None = None, correlation: bytes | None = None
    ) -> bool:
        return self._broker.publish(topic, payload, retain=retain, expires_s=expires_s, correlation=correlation)

    def _say(self, text: str, decision: Decision, *, expects_reply: bool = False) -> None:
        if text and decision.utterance.door != "wyoming":
            self._publish(f"{self._prefix}/say", native.encode_say(text, decision=decision, expects_reply=expects_reply))

    def _report_error(self, error: Exception, topic: str) -> None:
        try:
            self._publish(f"{self._prefix}/error", native.encode_error(error, topic))
        except BrokerError as problem:
            _LOGGER.error("an error cannot be published: %s", problem)  # noqa: TRY400

    def _note_problem(self, problem: str) -> None:
        if problem not in self._problems:
            self._problems.append(problem)

    # Small things

    def _now(self) -> float:
        return self._parts.monotonic() + self._clock_offset

    def _waited_s(self, message: Message) -> float:
        mono = self._parts.monotonic()
        frozen_s = self._frozen_s if mono - self._thawed_at <= THAW_S else 0.0
        return max(message.waited_s, frozen_s) + mono - message.received_at

    def _is_duplicate(self, utterance_id: str, door: str, now: float) -> bool:
        if self._seen.has(f"{door}:{utterance_id}", self._parts.monotonic()):
            return True
        try:
            return self._store.decision_of_utterance(utterance_id, door=door, now=now) is not None
        except StoreError:
            return False

    def _later(self, job: Callable[[Any], None], argument: Any) -> None:
        """Have the loop do something; called from other threads."""
        self._jobs.append((job, argument))
        self._broker.wake()

    def _guard(self, work: Callable[[], Any], *, topic: str) -> None:
        """Do something that no message asked for, so that nobody else reports its errors."""
        try:
            work()
        except VoiceRlError as error:
            self._note_problem(str(error))
            self._report_error(error, topic)
        except Exception as error:
            self.counters.count("errors")
            _LOGGER.exception("background work failed")
            self._report_error(VoiceRlError(f"internal error: {type(error).__name__}; see the log"), topic)

    @property
    def _mode_file(self) -> Path:
        return self._store.path.parent / "learning_mode"

    def _read_mode(self) -> str | None:
        """Return the mode that was set last, so that a restart does not begin to store a guest's words."""
        try:
            mode = self._mode_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return mode if mode in native.LEARNING_MODES else None

    def _write_mode(self, mode: str) -> None:
        temporary = self._mode_file.with_suffix(".tmp")
        try:
            temporary.write_text(mode, encoding="utf-8")
            temporary.replace(self._mode_file)
        except OSError as error:
            raise ConfigError(f"{self._mode_file}: the learning mode holds until the next start only: {error.strerror}") from error


def _refusal(utterance: Utterance, decision_id: str, now: float) -> Decision:
    language = "zh" if (utterance.language or "").startswith("zh") or any("\u4e00" <= one <= "\u9fff" for one in utterance.text) else "en"
    return Decision(
        id=decision_id,
        utterance=utterance,
        language=language,
        outcome="reject",
        stage="rule",
        reason=reason("no_model", language),
        reason_code="no_model",
        decided_at=now,
    )
