"""Feedback: what people say of a decision is committed, remembered, and acted upon.

yes | no      learned; what is denied is forgotten     answer to a question   learned, then carried out
correction    learned, the wrong action taken back,    undo                   learned, taken back
              the right one carried out
"""

import logging
from dataclasses import replace

from voice_rl_plugin.daemon.brain import Brain
from voice_rl_plugin.daemon.clock import SteadyClock
from voice_rl_plugin.daemon.conversation import RISKY_CONFIRM_S, Conversations, Exchange, pick_choice
from voice_rl_plugin.daemon.counters import Counters
from voice_rl_plugin.daemon.decisions import Decisions
from voice_rl_plugin.daemon.execution import Execution
from voice_rl_plugin.daemon.mode import LearningMode
from voice_rl_plugin.daemon.outlet import Outlet
from voice_rl_plugin.daemon.speech import sentence
from voice_rl_plugin.daemon.surroundings import Surroundings
from voice_rl_plugin.deciding.memory import MemoryEntry, memory_words, refusal_of
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.deciding.turn import QUESTION_S
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.broker import Message
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.learning.attribution import counts_as_feedback, rephrase_of
from voice_rl_plugin.learning.reward import correction_of, is_explicit
from voice_rl_plugin.learning.store import ANSWERED, ExperienceStore

_LOGGER = logging.getLogger(__name__)

_LATE = "confirm: it waited, or was given to this program before; it was noted, and nothing was done"
_COUNTED = {"yes": "confirmed", "no": "denied", "correct": "corrected"}


class FeedbackDesk:
    """Takes every judgement of a decision, whichever way it came."""

    def __init__(
        self,
        *,
        brain: Brain,
        store: ExperienceStore,
        decisions: Decisions,
        execution: Execution,
        conversations: Conversations,
        surroundings: Surroundings,
        outlet: Outlet,
        counters: Counters,
        mode: LearningMode,
        clock: SteadyClock,
    ) -> None:
        self._brain = brain
        self._store = store
        self._decisions = decisions
        self._execution = execution
        self._conversations = conversations
        self._surroundings = surroundings
        self._outlet = outlet
        self._counters = counters
        self._mode = mode
        self._clock = clock

    def judge(self, confirmation: native.Confirmation, exchange: Exchange, message: Message, *, is_late: bool = False) -> None:
        """Take a confirmation from the broker.

        Args:
            confirmation: what was said.
            exchange: the decision that it is about.
            message: what it came in.
            is_late: it waited, or may have been acted upon before: it is learned from, and nothing is done.

        Raises:
            MessageError: it does not fit the decision, or is late; nothing is done.
            StoreError: it cannot be written; the message is kept and tried again.
        """
        decision = exchange.decision
        feedback = Feedback(
            decision_id=decision.id,
            verdict=confirmation.verdict,
            source="topic",
            correction_text=confirmation.correction_text,
            user=confirmation.user,
            given_at=self._clock.now(),
            id=f"confirm:{confirmation.id}" if confirmation.id else "",
        )
        if confirmation.verdict == "undo":
            if decision.outcome == "clarify" and not exchange.is_answered:
                raise MessageError("confirm: the decision only asked; there is nothing to undo")
            self.learn(feedback, decision)
            if is_late:
                raise MessageError(_LATE)
            self._outlet.say(self._execution.take_back(decision), decision)
        elif confirmation.correction_text is not None:
            self._correct(replace(feedback, verdict="correct"), exchange, message, is_late=is_late)
        elif decision.outcome == "clarify" and (confirmation.verdict == "yes" or confirmation.choice is not None):
            self._answer(confirmation, exchange, feedback, is_late=is_late)
        elif confirmation.choice is not None:
            raise MessageError("confirm: choice: the decision asked nothing")
        else:
            if decision.outcome == "clarify" and exchange.age_s(self._clock.mono()) <= QUESTION_S:
                exchange.is_answered = True
            self.learn(feedback, decision)

    def take_spoken(self, feedback: Feedback, following: Decision | None, utterance: Utterance) -> None:
        """Take a judgement that was spoken as a sentence.

        Args:
            feedback: what the brain heard in it.
            following: what the same sentence asked for, if anything.
            utterance: the sentence.
        """
        exchange = self._conversations.get(feedback.decision_id)
        if exchange is None or not counts_as_feedback(feedback, media_plays=self._surroundings.plays_media(utterance.area)):
            return
        judged = exchange.decision
        feedback = replace(feedback, given_at=feedback.given_at or self._clock.now(), user=feedback.user or utterance.user)
        exchange.is_answered = True
        is_risky = judged.is_risky or any_risky(feedback.correction, self._surroundings.home)
        self.learn(feedback, judged, is_memorable=not is_risky)
        if feedback.verdict == "undo" and following is None:
            self._outlet.say(self._execution.take_back(judged), judged)
        elif feedback.verdict == "correct" and following is not None and following.outcome == "act":
            self._take_back_wrong(judged, following)
        elif following is None and feedback.verdict in ("yes", "no"):
            self._outlet.say(sentence("noted", judged.language), judged)

    def take_aborted(self, session_id: str) -> None:
        """Take it as a weak no that a person broke a session off, and close its question."""
        mine = [one for one in self._conversations.decisions() if one.utterance.session_id == session_id]
        exchange = self._conversations.get(mine[-1].id) if mine else None
        if exchange is None or exchange.is_answered:
            return
        exchange.is_answered = True
        aborted = Feedback(decision_id=mine[-1].id, verdict="no", source="voice", given_at=self._clock.now(), is_inferred=True)
        self.learn(aborted, exchange.decision, is_memorable=False)

    def learn(self, feedback: Feedback, decision: Decision, *, is_memorable: bool = True) -> None:
        """Commit a judgement, and remember what it teaches.

        Raises:
            StoreError: it cannot be written; the message is kept and tried again.
        """
        is_answer = decision.outcome == "clarify" and bool(feedback.correction)
        if feedback.verdict in _COUNTED:
            self._counters.count("confirmed" if is_answer else _COUNTED[feedback.verdict])
        if not self._mode.learns:
            return
        try:
            self._store.record_feedback(feedback)
        except MessageError as error:  # decided as a guest, or erased since
            _LOGGER.debug("feedback is not stored: %s", error)
            return
        if feedback.verdict == "yes" and decision.outcome == "act":
            inferred = rephrase_of(decision, self._conversations.decisions(), now=self._clock.now())
            if inferred is not None:
                self._store.record_feedback(inferred)
        self._unlearn(feedback, decision)
        is_correction = feedback.verdict == "correct" or (feedback.verdict == "yes" and decision.outcome == "clarify")
        right = correction_of(feedback, decision=decision)
        if right is not None and is_explicit(feedback):
            self._brain.settle(decision.id, right)
        first = self._first_of(decision)
        if right is None or not (is_correction and is_memorable and self._brain.may_remember(first.utterance, right)):
            if is_explicit(feedback) and feedback.verdict != "yes" and right != decision.actions and self._brain.forget_denied(decision):
                _LOGGER.info("decision %s was denied: what the memory knew of these words is forgotten", decision.id)
            if right is None and is_explicit(feedback) and feedback.verdict in ("no", "undo") and decision.stage == "phrase":
                self._brain.remember(refusal_of(decision, at=self._clock.now()))
            return
        alias = self._brain.learn_name(first, right, now=self._clock.now()) if is_explicit(feedback) else None
        if alias is not None:
            _LOGGER.info("decision %s was corrected: a name was learned%s", decision.id, ", it is contested" if alias.is_contested else "")
        self._brain.remember(
            MemoryEntry(
                words=memory_words(first.utterance.text),
                area=first.utterance.area,
                actions=right,
                decision_id=first.id,
                learned_at=self._clock.now(),
            )
        )

    def _first_of(self, decision: Decision) -> Decision:
        """Return what a decision was said to correct, or itself: a second correction is about the first words too."""
        exchange = self._conversations.get(decision.id)
        first = self._conversations.get(exchange.corrects) if exchange is not None and exchange.corrects is not None else None
        return first.decision if first is not None else decision

    def _unlearn(self, feedback: Feedback, decision: Decision) -> None:
        """Drop what led to a denied decision: what the correction that it follows taught, and the names it went by."""
        if not is_explicit(feedback) or feedback.verdict not in ("no", "undo", "correct"):
            return
        exchange = self._conversations.get(decision.id)
        taught_by = exchange.corrects if exchange is not None else None
        if taught_by is None and decision.reason_code == ANSWERED:
            taught_by = decision.id
        if taught_by is not None and self._brain.unlearn(taught_by):
            _LOGGER.info("decision %s was denied: what the correction before it taught is forgotten", decision.id)
        if feedback.verdict == "no" and not feedback.correction and self._brain.forget_names(decision):
            _LOGGER.info("decision %s was denied: the name that it went by is forgotten", decision.id)

    def _answer(self, confirmation: native.Confirmation, exchange: Exchange, feedback: Feedback, *, is_late: bool) -> None:
        """Carry out what was picked from a question, once."""
        decision, age_s = exchange.decision, exchange.age_s(self._clock.mono())
        choice = pick_choice(decision, confirmation.choice)
        is_risky = decision.is_risky or any_risky(choice.actions, self._surroundings.home)
        if is_risky:
            _check_may_confirm(confirmation, exchange, age_s, is_late=is_late)
        is_late = is_late or exchange.is_answered or age_s > QUESTION_S
        exchange.is_answered = True
        self.learn(replace(feedback, verdict="yes", correction=choice.actions), decision, is_memorable=not is_risky)
        if is_late:
            raise MessageError(
                f"confirm: the question was answered before, or is older than {QUESTION_S:g} s; it was noted, and nothing was done"
            )
        first = self._conversations.get(exchange.corrects) if exchange.corrects is not None else None
        if first is not None:
            correction = replace(
                feedback,
                id="",
                decision_id=first.decision.id,
                verdict="correct",
                correction=choice.actions,
                correction_text=decision.utterance.text,
            )
            self.learn(correction, first.decision, is_memorable=not is_risky)
        acting = replace(
            decision,
            outcome="act",
            actions=choice.actions,
            question=None,
            choices=(),
            reason_code=ANSWERED,
            executor=self._execution.executor_of(choice.actions),
        )
        if first is not None:
            self._take_back_wrong(first.decision, acting)
        exchange.decision = acting
        self._counters.count("acted")
        self._outlet.tell(acting)
        self._execution.carry_out(acting, is_risky=is_risky, since=self._clock.now())

    def _correct(self, feedback: Feedback, exchange: Exchange, message: Message, *, is_late: bool) -> None:
        """Decide the words of a correction, learn from them, take the wrong action back, and do the right one."""
        wrong, text = exchange.decision, feedback.correction_text or ""
        right = self._decisions.correct(
            replace(wrong.utterance, text=text, id=None, said_at=0.0, user=feedback.user or wrong.utterance.user), wrong
        )
        actions = right.actions if right is not None else ()
        exchange.is_answered = True
        is_risky = any_risky(actions, self._surroundings.home) or (right is not None and right.is_risky)
        is_understood = right is not None and right.outcome == "act"
        self.learn(replace(feedback, correction=actions), wrong, is_memorable=is_understood and not is_risky)
        if is_late:
            raise MessageError(_LATE)
        if right is None:
            return
        if is_understood and exchange.at > float("-inf"):
            self._take_back_wrong(wrong, right)
        self._decisions.carry_out(right, message=message, corrects=wrong.id)

    def _take_back_wrong(self, wrong: Decision, right: Decision) -> None:
        if wrong.outcome == "act" and wrong.executor != "none":
            self._execution.take_back(wrong, keeps=right.actions)


def _check_may_confirm(confirmation: native.Confirmation, exchange: Exchange, age_s: float, *, is_late: bool) -> None:
    """Refuse a confirmation of a risky action that is not the one that was asked for."""
    door = exchange.decision.utterance.door
    if confirmation.decision_id is None:
        raise MessageError("confirm: a risky action is confirmed by its decision_id only")
    if confirmation.door != door:
        raise MessageError(f"confirm: a risky action is confirmed where it was asked, at the door {door!r}")
    if is_late or exchange.is_answered or age_s > RISKY_CONFIRM_S:
        raise MessageError(f"confirm: a risky action is confirmed once, within {RISKY_CONFIRM_S:g} s; say it again")
