"""The loop: takes the messages of the broker in order, and settles each one before the next.

command -> decide -> row and marks committed -> executor -> decision, event, say -> ack
confirm -> feedback committed -> memory -> (undo, correction, answer) -> ack
"""

import gc
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from voice_rl_plugin import __version__
from voice_rl_plugin.config import Config
from voice_rl_plugin.daemon.announcement import Announcement
from voice_rl_plugin.daemon.brain import Brain
from voice_rl_plugin.daemon.clock import SteadyClock
from voice_rl_plugin.daemon.conversation import Conversations, Exchange
from voice_rl_plugin.daemon.counters import Counters
from voice_rl_plugin.daemon.decisions import Decisions
from voice_rl_plugin.daemon.execution import Execution
from voice_rl_plugin.daemon.feedback import FeedbackDesk
from voice_rl_plugin.daemon.group import SHARED, Group
from voice_rl_plugin.daemon.hermes_desk import HermesDesk
from voice_rl_plugin.daemon.limits import RateLimit
from voice_rl_plugin.daemon.mode import LearningMode
from voice_rl_plugin.daemon.outlet import Outlet, internal_error
from voice_rl_plugin.daemon.parts import Parts
from voice_rl_plugin.daemon.reload import Loaded
from voice_rl_plugin.daemon.shadow import Challenger
from voice_rl_plugin.daemon.speech import sentence
from voice_rl_plugin.daemon.surroundings import Surroundings
from voice_rl_plugin.daemon.training import IDLE, Training
from voice_rl_plugin.daemon.upkeep import DAY_S, StoreHealth, Upkeep
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.deciding.turn import Heard
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.broker import Message
from voice_rl_plugin.doors.discovery import device_payload, device_topic, encode_device
from voice_rl_plugin.doors.request import Answer, Request
from voice_rl_plugin.errors import BrokerError, LinkError, MessageError, StoreError, VoiceRlError
from voice_rl_plugin.homes.home_assistant import Answered, HomeLearned, LinkLost, LinkUp, News, StatesSeen, Trouble
from voice_rl_plugin.homes.merge import renamed_ids
from voice_rl_plugin.homes.statestream import StateChange
from voice_rl_plugin.learning.attribution import Context, UndoWatch

_LOGGER = logging.getLogger(__name__)

IDLE_S = 0.5
"""The loop looks round this often even when nothing comes."""
OUTBOX_S = 0.05
"""It looks round this often while actions wait for the connection."""
BUSY_WAITING = 10
BUSY_SHARE = 0.2
"""While so many messages wait here, commands older than this share of the freshness are dropped."""
LEAVE_S = 2.0
"""Who leaves a group goes on for so long with what it was given, and what is still passed on to it."""
LEAVE_QUIET_S = 0.5
"""And no longer when so long nothing has come."""
LOOK_S = 0.2
"""It looks for another champion this often."""
METRICS_S = 10.0
NOTICE_S = 1.0
"""A new problem, or something dropped, is on the health topic this soon."""
WEEK_S = 7 * 86400.0
STORE_RETRY_S = 1.0
FIRST_QUESTION_S = 2.0
"""What devices keep retained has come by then; who has told nothing is asked."""
QUESTION_S = 0.25
DEVICES_WAIT_S = 1.0
"""While devices go on announcing themselves, the home is made anew this often."""
MAX_DEFERRED = 15
"""Unacknowledged messages while the store cannot be written; the broker sends at most 20 at a time."""
MAX_JOBS = 100
"""While so many jobs wait, a request of a door is answered that we are busy, and not taken."""
HOME_ASSISTANT_STATUS = "homeassistant/status"
BROKER_DROPPED = "$SYS/broker/publish/messages/dropped"
"""What mosquitto has dropped for all its clients: without it nobody learns of what overflowed there."""


class Daemon:
    """Hears, decides, acts and learns; everything happens in the thread that calls `run`."""

    def __init__(self, parts: Parts) -> None:
        config = parts.config
        self._config = config
        self._broker = parts.broker
        self._store = parts.store
        self._clock = SteadyClock(wall=parts.clock, monotonic=parts.monotonic)
        self.counters = counters = Counters()
        self._outlet = outlet = Outlet(parts.broker, prefix=config.mqtt.prefix, counters=counters)
        self._mode = mode = LearningMode(config.store.path / "learning_mode", default=config.learning.mode)
        self._surroundings = surroundings = Surroundings(
            config.store.path,
            states_topic=config.home.states_topic,
            file_home=parts.file_home,
            risky=frozenset(config.safety.risky),
            has_registry=parts.home_assistant is not None,
            devices=parts.devices,
        )
        self._conversations = Conversations()
        self._group = group = Group(config.mqtt)
        self._brain = Brain(
            parts,
            outlet=outlet,
            home=surroundings.home,
            on_loaded=lambda loaded: self._later(self._take_champion, loaded),
            on_challenger=lambda loaded: self._later(self._take_challenger, loaded),
        )
        self._execution = Execution(
            parts.executor,
            broker=parts.broker,
            store=parts.store,
            surroundings=surroundings,
            outlet=outlet,
            counters=counters,
            mode=mode,
            clock=self._clock,
            on_accepted=parts.on_accepted,
        )
        self._decisions = Decisions(
            brain=self._brain,
            store=parts.store,
            execution=self._execution,
            conversations=self._conversations,
            surroundings=surroundings,
            outlet=outlet,
            counters=counters,
            mode=mode,
            clock=self._clock,
            new_id=parts.new_id if group.is_alone else group.new_id,
            is_ours=group.is_ours,
        )
        self._feedback = FeedbackDesk(
            brain=self._brain,
            store=parts.store,
            decisions=self._decisions,
            execution=self._execution,
            conversations=self._conversations,
            surroundings=surroundings,
            outlet=outlet,
            counters=counters,
            mode=mode,
            clock=self._clock,
        )
        self._hermes = HermesDesk(
            config.doors.hermes,
            hear=self._hear,
            feedback=self._feedback,
            surroundings=surroundings,
            outlet=outlet,
            counters=counters,
            clock=self._clock,
            check_rate=lambda source: self._check_rate("command", source, self._clock.mono()),
            freshness_s=self._freshness_s,
        )
        self._announcement = Announcement(
            brain=self._brain,
            broker=parts.broker,
            surroundings=surroundings,
            outlet=outlet,
            counters=counters,
            mode=mode,
            executor=parts.executor.name,
            store=parts.store,
            executions=lambda: self._execution.running,
            count_week=lambda: parts.store.tally(since=self._clock.now() - WEEK_S),
            device=_device_of(config),
            home_assistant=parts.home_assistant,
            group=group,
        )
        self._home_assistant = parts.home_assistant
        self._on_answer = parts.on_answer
        keep_days = config.store.retention_days
        self._upkeep = Upkeep(
            parts.store.place,
            keep_s=None if keep_days is None else keep_days * DAY_S,
            clock=parts.clock,
            report=lambda found: self._later(self._take_store_health, found),
        )
        self._watchdog = parts.watchdog
        self._lock = parts.lock
        self._rates = {kind: RateLimit(rate_per_s=config.doors.rate_per_s, burst=config.doors.burst) for kind in ("command", "confirm")}
        self._training = Training(
            config.learning.trainer,
            store=parts.store.place,
            folder=config.store.path,
            models=config.models.path,
            report=lambda progress: self._later(self._report_training, progress),
        )
        self._doors = [make(self.ask) for make in parts.make_doors]
        self._train_state: Mapping[str, Any] = IDLE
        self._seen = native.SeenIds()
        self._undo_watch = UndoWatch()
        self._jobs: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._deferred: deque[Message] = deque()
        self._retry_at = 0.0
        self._is_retrying = False
        self._connections = 0
        self._metrics_at = self._looked_at = self._noticed_at = float("-inf")
        self._troubles: tuple[Any, ...] = ()
        self._devices_since = self._question_at = float("inf")
        self._stop = threading.Event()
        self.is_ready = threading.Event()
        """Set once the daemon was announced on the broker."""

    # The loop

    def run(self) -> None:
        """Serve until `stop` is called.

        Raises:
            BrokerError: another program uses our client id.
            ConfigError: a door cannot be opened.
        """
        self._start()
        try:
            for door in self._doors:
                door.start()
            while not self._stop.is_set():
                self._step()
        finally:
            self._close()

    def stop(self) -> None:
        """Make `run` return after the message at hand; may be called from any thread or signal handler."""
        self._stop.set()
        self._broker.wake()

    def ask(self, request: Request) -> None:
        """Have a request answered; called from the threads of doors."""
        if len(self._jobs) < MAX_JOBS:
            self._later(self._take_request, request)
        elif request.claim():
            request.reply(Answer(text=sentence("busy", request.language)))

    def _start(self) -> None:
        self._brain.load()
        if self._mode.stores:
            self._outlet.guard(self._surroundings.keep)
        inputs = (self._group.input_topic(one) for one in native.INPUTS)
        self._broker.subscribe([*inputs, *self._group.topics, self._config.home.states_topic, HOME_ASSISTANT_STATUS, *self._hermes.topics])
        self._broker.subscribe(self._surroundings.devices.topics)
        self._broker.subscribe([BROKER_DROPPED], is_optional=True)
        self._broker.start()
        if self._home_assistant is not None:
            self._home_assistant.start(self._broker.wake)
        self._outlet.guard(lambda: self._decisions.recover(freshness_s=self._config.doors.freshness_s))
        self._upkeep.start()
        gc.freeze()  # what is there now stays: the collector need not look through the model and the home again
        if self._watchdog is not None:
            self._watchdog.start()

    def _step(self) -> None:
        timeout_s = OUTBOX_S if self._execution.waits_for_connection else IDLE_S
        deadline = self._execution.deadline
        if deadline is not None:
            timeout_s = min(timeout_s, max(deadline - self._clock.now(), 0.0))
        begun = self._clock.mono()
        message = self._broker.receive(timeout_s)
        self._clock.note_wait(self._clock.mono() - begun, timeout_s=timeout_s)
        if message is not None:
            self._settle(message)
        self._tick(is_idle=message is None)

    def _tick(self, *, is_idle: bool) -> None:
        if self._watchdog is not None:
            self._watchdog.beat("online" if self._broker.is_connected else "waiting for the broker")
        self._hear_home_assistant()
        if self._broker.is_taken_over:
            raise BrokerError("another program uses our client id; give each daemon its own mqtt.client_id")
        if self._broker.connections != self._connections:
            self._connections = self._broker.connections
            self._outlet.forget_kept()
            self._announce()
            self.is_ready.set()
        for _ in range(len(self._jobs)):  # what comes meanwhile waits, so that no door keeps the loop from the broker
            job, argument = self._jobs.popleft()
            self._outlet.guard(lambda job=job, argument=argument: job(argument))  # type: ignore[misc]
        self._follow_devices(is_idle=is_idle)
        if is_idle:
            self._ask_devices()
        self._outlet.guard(self._execution.tick)
        self._execution.keep_marks(is_idle=is_idle)
        if self._execution.deadline is None:
            # Between two executions our clock follows the wall clock; during one it only runs forward.
            self._clock.follow_wall()
        for problem in self._broker.take_problems():
            self._outlet.note(problem)
        mono = self._clock.mono()
        if mono - self._looked_at >= LOOK_S:
            self._looked_at = mono
            self._brain.look_for_champion()
        if self._deferred and mono >= self._retry_at:
            self._retry_deferred()
        if mono - self._noticed_at >= NOTICE_S:
            self._noticed_at = mono
            if (troubles := self._announcement.troubles()) != self._troubles:
                self._troubles = troubles
                self._announce()
            if self._mode.stores:
                self._outlet.guard(self._brain.reload_memory)
        if mono - self._metrics_at >= METRICS_S:
            self._metrics_at = mono
            self._broker.ask_again(BROKER_DROPPED)  # the broker tells it once; where it drops, it may have dropped that too
            self._look_at_trial()
            self._announce()

    def _retry_deferred(self) -> None:
        """Take the messages once more that could not be stored, until one cannot be stored again."""
        waiting, self._deferred = deque(self._deferred), deque()
        self._is_retrying = True
        while waiting and not self._deferred:
            self._settle(waiting.popleft())
        self._is_retrying = False
        self._deferred.extend(waiting)

    def _close(self) -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
        for door in self._doors:
            self._outlet.guard(door.stop)
        self._outlet.guard(self._training.close)
        if self._home_assistant is not None:
            self._outlet.guard(self._home_assistant.stop)
        self._outlet.guard(self._upkeep.close)
        self._leave_group()
        self._outlet.guard(self._announcement.withdraw)
        self._broker.stop()
        self._outlet.guard(self._execution.close)
        self._store.close()
        if self._lock is not None:
            self._lock.release()
        _LOGGER.info("stopped")

    def _leave_group(self) -> None:
        """Take no more commands of a group, and settle those that came or are being passed on: the broker would keep them for our return."""
        if self._group.is_alone or not self._broker.is_connected:
            return
        self._outlet.guard(self._announcement.leave_group)
        self._broker.leave([self._group.input_topic(one) for one in SHARED])
        begun = heard_at = self._clock.mono()
        while self._clock.mono() < min(begun + LEAVE_S, heard_at + LEAVE_QUIET_S):
            if (message := self._broker.receive(0.05)) is not None:
                heard_at = heard_at if self._surroundings.owns(message.topic) else self._clock.mono()
                self._settle(message)
        self._broker.leave(self._group.inbox_topics)

    def _settle(self, message: Message) -> None:
        """Handle one message completely, then acknowledge it; one wrong message never stops the loop."""
        try:
            opened = self._group.open(message)
            # What was passed on once is taken, whoever should have it by now: members that disagree must not play ball with it.
            owner = self._group.owner_of(message, self._surroundings.home) if opened is message else None
            if owner is not None:
                self._broker.forward(message, *self._group.passed_on(message, owner))
                return
            message = opened
            self._take(message)
        except StoreError as error:
            self.counters.count("unstored")
            self._outlet.note(str(error))
            _LOGGER.error("the experience store cannot be written: %s", error)  # noqa: TRY400
            if len(self._deferred) < MAX_DEFERRED and message.receipt is not None:
                self._deferred.append(message)
                self._retry_at = self._clock.mono() + STORE_RETRY_S
                return
        except VoiceRlError as error:
            self.counters.count("malformed" if isinstance(error, MessageError) else "errors")
            _LOGGER.debug("a message on %s was dropped: %s", message.topic, error)
            self._outlet.report(error, message.topic)
        except Exception as error:
            self.counters.count("errors")
            _LOGGER.exception("a message on %s could not be handled", message.topic)
            self._outlet.report(internal_error(error), message.topic)
        self._broker.ack(message)

    def _take(self, message: Message) -> None:
        topic = message.topic
        if self._surroundings.owns(topic):
            self._take_state(message)
            return
        if topic == HOME_ASSISTANT_STATUS:
            self._take_home_assistant_status(message)
            return
        if topic == BROKER_DROPPED:
            self._announcement.take_broker_dropped(message.payload)
            return
        if self._group.take_status(message):
            return
        if self._surroundings.devices.owns(topic):
            self._take_device_message(message)
            return
        self._follow_devices(is_idle=True)  # who speaks now knows what has just been announced
        if not topic.startswith(f"{self._outlet.prefix}/") and topic not in self._hermes.topics:
            return  # of a device that is gone, whose topic the broker still gives us
        key = topic.removeprefix(f"{self._outlet.prefix}/")
        if key == "status":
            self._take_status(message)
            return
        if message.is_retained and key != "home":
            self.counters.count("retained_ignored")
            _LOGGER.warning("a retained message on %s was ignored; clear it, and publish inputs without retain", topic)
            return
        if topic in self._hermes.topics:
            self._hermes.take(message)
            return
        name, _, level = key.partition("/")
        if name == "command":
            self._command(message, level or None)
        elif key == "ask":
            self._ask(message)
        elif name == "confirm":
            self._confirm(message, level or None)
        elif key == "result":
            self._execution.take_result(native.parse_result(message.payload))
        elif key == "home":
            self._take_home(message)
        elif key == "model/set":
            self._brain.set_champion(native.parse_model_set(message.payload), now=self._clock.now())
            self._announce()
        elif key == "learning/set":
            self._mode.set(native.parse_learning_set(message.payload))
            self._announce()
        elif key == "train/set":
            self._set_training(native.parse_train_set(message.payload))

    # Commands and confirmations

    def _command(self, message: Message, level: str | None) -> None:
        utterance = native.parse_command(message.payload, area=level, home=self._surroundings.home)
        now, mono, waited_s = self._clock.now(), self._clock.mono(), self._clock.waited_s(message)
        self._check_rate("command", utterance.place, mono)
        self._check_fresh(utterance, now=now, waited_s=waited_s)
        if self._is_duplicate(utterance, message):
            self.counters.count("duplicates")
            return
        name = _name_of(utterance)
        if name is not None:
            self._seen.add(name, mono)
        try:
            self._hear(utterance, message)
        except StoreError:
            self._seen.forget(name or "")
            raise

    def _freshness_s(self) -> float:
        """Return how old a command may be now: in a storm the fresh ones come first, or all would be decided just before they are too old."""
        freshness_s = self._config.doors.freshness_s
        return freshness_s * BUSY_SHARE if self._broker.waiting >= BUSY_WAITING else freshness_s

    def _ask(self, message: Message) -> None:
        """Take an utterance whose sender speaks the answer itself; it gets one, whatever happens."""
        fields = native.parse_ask(message.payload, home=self._surroundings.home)
        question = str(fields["id"])
        if self._is_repeated(question, "assist"):
            self.counters.count("duplicates")
            return
        self._seen.add(f"assist:{question}", self._clock.mono())
        request = Request(door="assist", fields=fields, forwards=True, received_at=message.received_at)
        request.answer.add_done_callback(lambda answered: self._outlet.answer(question, answered.result()))
        wrong = "failed"
        try:
            utterance = native.parse_command(native.encode(fields), area=None, home=self._surroundings.home)
            self._check_rate("command", utterance.place, self._clock.mono())
            wrong = "expired"
            self._check_fresh(utterance, now=self._clock.now(), waited_s=self._clock.waited_s(message))
        except MessageError:
            request.reply(Answer(text=sentence(wrong, request.language)))
            raise
        self._take_request(request)

    def _check_fresh(self, utterance: Utterance, *, now: float, waited_s: float) -> None:
        try:
            native.check_fresh(utterance, now=now, waited_s=waited_s, freshness_s=self._freshness_s())
        except MessageError:
            self.counters.count("stale")
            raise

    def _take_request(self, request: Request) -> None:
        """Take an utterance whose door waits for the answer; one that it waits for no longer is dropped."""
        if not request.claim():
            self.counters.count("stale")
            return
        language = request.language
        self._follow_devices(is_idle=True)
        request.late_answer = Answer(text=sentence("busy", language))
        try:
            with self._outlet.replies.about(request, nothing=sentence("nothing", language), failed=sentence("failed", language)):
                utterance = native.parse_command(native.encode(request.fields), area=None, home=self._surroundings.home)
                # Not by session: whoever connects anew has a new one.
                self._check_rate("command", f"{request.door} {utterance.satellite_id or utterance.area or ''}".strip(), self._clock.mono())
                message = Message(topic=request.door, payload=b"", received_at=request.received_at)
                self._hear(replace(utterance, door=request.door), message)
        except VoiceRlError as error:
            self.counters.count("malformed" if isinstance(error, MessageError) else "errors")
            _LOGGER.debug("a request through %s failed: %s", request.door, error)
            self._outlet.report(error, request.door)

    def _hear(self, utterance: Utterance, message: Message, admits: Callable[[Heard], bool] = lambda _: True) -> None:
        mono = self._clock.mono()
        turn = self._conversations.turn(utterance, now=mono)
        was_asked = turn is not None and turn.awaits_answer
        heard = self._decisions.hear(utterance)
        if not admits(heard):
            return
        if heard.feedback is not None:
            self._feedback.take_spoken(heard.feedback, heard.decision, utterance)
            self._look_at_trial()
        if heard.decision is None:
            return
        if heard.decision.outcome == "act" and not was_asked and any_risky(heard.decision.actions, self._surroundings.home):
            raise VoiceRlError("a risky action was decided without a question; it was not carried out")
        corrects = heard.feedback.decision_id if heard.feedback is not None and heard.feedback.correction else None
        self._decisions.carry_out(heard.decision, message=message, corrects=corrects)

    def _confirm(self, message: Message, level: str | None) -> None:
        confirmation = native.parse_confirm(message.payload, area=level, home=self._surroundings.home)
        mono = self._clock.mono()
        self._check_rate("confirm", confirmation.satellite_id or confirmation.session_id or confirmation.area or "", mono)
        if confirmation.id is not None and self._seen.has(f"confirm:{confirmation.id}", mono):
            self.counters.count("duplicates")
            return
        is_late = message.is_duplicate or self._clock.waited_s(message) > self._config.doors.freshness_s
        if confirmation.decision_id is None and is_late:
            self.counters.count("stale")
            raise MessageError("confirm: it waited while this program was away, and names no decision_id; nothing was done")
        exchange = self._conversations.find(confirmation, now=self._clock.now())
        if exchange is None:
            decision = self._store.decision(confirmation.decision_id or "")
            if decision is None:
                raise MessageError(f"confirm: decision_id: no decision {confirmation.decision_id!r:.60} is known; it may have been erased")
            exchange = Exchange(decision=decision, at=float("-inf"), is_answered=True)
        self._feedback.judge(confirmation, exchange, message, is_late=is_late)
        self._look_at_trial()
        if confirmation.id is not None:
            self._seen.add(f"confirm:{confirmation.id}", mono)
        self._outlet.respond(message, {"decision_id": exchange.decision.id, "verdict": confirmation.verdict, "accepted": True})

    def _is_duplicate(self, utterance: Utterance, message: Message) -> bool:
        """Whether this was heard before: by its id, else by saying the same in the same place at the same time."""
        if utterance.id is not None:
            return self._is_repeated(utterance.id, utterance.door)
        name = _name_of(utterance)
        if name is None:
            return False
        if self._seen.has(name, self._clock.mono()):
            return True
        try:
            return message.is_duplicate and self._store.decision_about(utterance, now=self._clock.now()) is not None
        except StoreError:
            return False

    def _is_repeated(self, utterance_id: str, door: str) -> bool:
        """Whether an utterance with this id was heard at this door before."""
        if self._seen.has(f"{door}:{utterance_id}", self._clock.mono()):
            return True
        try:
            return self._store.decision_of_utterance(utterance_id, door=door, now=self._clock.now()) is not None
        except StoreError:
            return False

    def _check_rate(self, kind: str, source: str, mono: float) -> None:
        if not self._is_retrying and not self._rates[kind].allows(source, mono):
            self.counters.count("throttled")
            raise MessageError(
                f"{kind}: more than {self._config.doors.rate_per_s:g} a second from {source or 'nowhere'!r}; nothing was done"
            )

    # Home and states

    def _take_home(self, message: Message) -> None:
        if not message.payload:  # cleared: what was told last still holds
            return
        self._surroundings.take_home(native.parse_home(message.payload, max_bytes=self._config.mqtt.max_payload_bytes))
        self._use_home()

    def _use_home(self) -> None:
        self._brain.set_home(self._surroundings.home)
        self._announce()
        if self._mode.stores:
            self._surroundings.keep()

    def _hear_home_assistant(self) -> None:
        """Take what Home Assistant told over its own connection."""
        while self._home_assistant is not None and (news := self._home_assistant.take()) is not None:
            self._outlet.guard(lambda news=news: self._take_news(news))  # type: ignore[misc]

    def _take_news(self, news: News) -> None:
        match news:
            case HomeLearned():
                self._take_registry(news)
            case StatesSeen():
                for one in news.seen:
                    change = self._surroundings.take_told(one.entity_id, one.state)
                    if change is None or change.after is None:
                        continue
                    self._execution.take_state(change.entity_id, change.after)
                    if not news.is_first:
                        self._look_for_undo(change, Context(user_id=one.user_id, parent_id=one.parent_id))
            case Answered():
                if self._on_answer is not None:
                    answer = self._on_answer(news.number, is_ok=news.is_ok, result=news.result, error=news.error, now=self._clock.now())
                    self._execution.take(answer)
            case LinkUp():
                self._announce()
            case LinkLost():
                self._surroundings.forget_told()
                self._undo_watch.restart(self._clock.now())
                self._announce()
            case Trouble():
                self._outlet.report(LinkError(news.text), "")
                self._announce()

    def _take_registry(self, news: HomeLearned) -> None:
        former = self._surroundings.home
        if not self._surroundings.take_registry(news.home):
            self._announce()
            return
        self._note_changes(former, renamed=news.renamed)
        self._use_home()

    def _note_changes(self, former: Home, *, renamed: Mapping[str, str]) -> None:
        """Tell what came and went, and what was learned by heart about it."""
        here, before = ({one.id for one in home.exposed} for home in (self._surroundings.home, former))
        gone = before - here - renamed.keys()
        _LOGGER.info("the home has changed: %d devices came, %d went, %d were renamed", len(here - before), len(gone), len(renamed))
        for entity_id in self._brain.remembered_targets & (gone | renamed.keys()):
            what = f"is {renamed[entity_id]} now" if entity_id in renamed else "is gone, or not exposed any more"
            self._outlet.note(f"{entity_id} {what}: what was learned by heart about it is not done any more; see voice-rl memory list")

    def _take_device_message(self, message: Message) -> None:
        changes = self._surroundings.take_device_message(message, now=self._clock.now())
        for complaint in self._surroundings.devices.take_complaints():
            self._outlet.report(MessageError(complaint), message.topic)
        for change in changes:
            if change.after is None:
                continue
            self._execution.take_state(change.entity_id, change.after)
            if not message.is_retained:
                self._look_for_undo(change)

    def _follow_devices(self, *, is_idle: bool) -> None:
        """Take the devices that announced themselves, once they have all spoken or have spoken for long enough."""
        devices = self._surroundings.devices
        if not devices.is_changed:
            return
        mono = self._clock.mono()
        self._devices_since = min(self._devices_since, mono)
        if not is_idle and mono - self._devices_since < DEVICES_WAIT_S:
            return
        self._devices_since = float("inf")
        self._question_at = mono + FIRST_QUESTION_S
        former = self._surroundings.home
        self._surroundings.take_devices()
        devices.is_changed = False
        self._broker.subscribe(devices.topics)
        self._note_changes(former, renamed=renamed_ids(former, self._surroundings.home))
        self._outlet.guard(self._use_home)

    def _take_state(self, message: Message) -> None:
        change = self._surroundings.take_state(message, now=self._clock.now())
        if change is None or change.after is None:
            return
        self._execution.take_state(change.entity_id, change.after)
        if not message.is_retained:
            self._look_for_undo(change)

    def _look_for_undo(self, change: StateChange, context: Context | None = None) -> None:
        """Learn from a person who takes back by hand what was done."""
        if change.after is None:
            return
        recent = [one for one in self._conversations.decisions() if not self._execution.was_taken_back(one.id)]
        undo = self._undo_watch.observe(
            change.entity_id, change.before, change.after, at=self._clock.now(), decisions=recent, context=context
        )
        exchange = self._conversations.get(undo.decision_id) if undo is not None else None
        if undo is not None and exchange is not None:
            self.counters.count("undone")
            self._outlet.tell_event("undo", exchange.decision)
            self._feedback.learn(undo, exchange.decision, is_memorable=False)

    def _ask_devices(self) -> None:
        """Ask one device for its state after the other, where nothing was told: radio networks are slow."""
        mono = self._clock.mono()
        if mono < self._question_at or not self._broker.is_connected:
            return
        self._question_at = mono + QUESTION_S
        question = self._surroundings.devices.take_question()
        if question is not None:
            self._outlet.guard(lambda: self._outlet.publish(question.topic, question.payload))

    def _take_home_assistant_status(self, message: Message) -> None:
        if message.is_retained:
            return
        self._undo_watch.restart(self._clock.now())
        if message.payload == b"offline":
            self._surroundings.forget_states()
        elif message.payload == b"online":
            self._outlet.forget_kept()
            self._announce()

    def _take_status(self, message: Message) -> None:
        """Say that we are here when another member of the group has gone."""
        if message.payload == b"offline" and not self._stop.is_set():
            self._outlet.forget_kept()
            self._announce()

    def _take_store_health(self, found: StoreHealth) -> None:
        if found.problem:
            self._outlet.note(found.problem)
        self._announcement.take_store_health(found)
        self._announce()

    # Model and training

    def _take_champion(self, loaded: Loaded) -> None:
        self._brain.take_champion(loaded, states=self._surroundings.states, now=self._clock.now())
        self._announce()

    def _take_challenger(self, loaded: Challenger) -> None:
        self._brain.take_challenger(loaded)
        self._announce()

    def _look_at_trial(self) -> None:
        before = self._brain.trial
        self._outlet.guard(lambda: self._brain.look_at_trial(now=self._clock.now()), topic=f"{self._outlet.prefix}/model")
        if self._brain.trial != before:
            self._announce()

    def _set_training(self, verb: str) -> None:
        if verb == "start":
            self._training.start()
        else:
            self._training.cancel()

    def _report_training(self, progress: Mapping[str, Any]) -> None:
        self._train_state = progress
        self._announce()

    def _announce(self) -> None:
        if self._broker.is_connected:  # who cannot hear is not online
            self._outlet.guard(lambda: self._announcement.publish(self._train_state))

    def _later(self, job: Callable[[Any], None], argument: Any) -> None:
        """Have the loop do something; called from other threads."""
        self._jobs.append((job, argument))
        self._broker.wake()


def _name_of(utterance: Utterance) -> str | None:
    """Return what tells an utterance from all others: the sender's id, else its time, place and words; None without either."""
    if utterance.id is not None:
        return f"{utterance.door}:{utterance.id}"
    return f"{utterance.door}:{utterance.said_at!r}:{utterance.place}:{utterance.text}" if utterance.said_at else None


def _device_of(config: Config) -> tuple[str, bytes] | None:
    doors, prefix = config.doors, config.mqtt.prefix
    if not doors.discovery:
        return None
    payload = device_payload(prefix=prefix, version=__version__, language=doors.discovery_language)
    return device_topic(doors.discovery_prefix, prefix=prefix), encode_device(payload)
