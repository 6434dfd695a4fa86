"""The brain that a simulated household lives with: the real decider, memory and experience store, without the daemon around them.

    utterance -> Decider.hear -> Decision -> store
    feedback -> store -> reward; and to memory, by the rules of the daemon's feedback desk

The trainer may not import the daemon, so `take` says again in a few lines what daemon/feedback.py does when it learns.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from voice_rl_plugin.deciding.aliases import Alias
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory, MemoryEntry, memory_words, refusal_of
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.deciding.turn import Heard, Turn
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.home import Home, States
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.learning.attribution import rephrase_of
from voice_rl_plugin.learning.reward import correction_of, is_explicit
from voice_rl_plugin.learning.store import ExperienceStore
from voice_rl_plugin.understanding.onnx_policy import Policy
from voice_rl_plugin.understanding.text import words_of

_RECENT = 8


class Player(Protocol):
    """Whatever a household can live with: it hears, and it is told what people think of what it did."""

    def hear(self, utterance: Utterance, *, states: States, last: Turn | None, now: float) -> Heard:
        """Return what it does about an utterance, or the judgement that it hears in it."""
        ...

    def correct(self, utterance: Utterance, *, judged: Decision, states: States, now: float) -> Decision | None:
        """Return what the words of a correction mean."""
        ...

    def take(self, feedback: Feedback, decision: Decision) -> None:
        """Learn from a judgement."""
        ...


class Brain:
    """The real parts, joined as the daemon joins them.

    Args:
        policy: the networks; replaced with `set_policy`.
        home: where it listens.
        store: keeps decisions, feedback and memory.
        remembers: whether corrections are learned by heart at once.
        learns_names: whether they teach names too.
    """

    def __init__(self, *, policy: Policy, home: Home, store: ExperienceStore, remembers: bool = True, learns_names: bool = True) -> None:
        self.store = store
        self.home = home
        self._remembers = remembers
        self._learns_names = remembers and learns_names
        self._memory = Memory(store.load_memory() if remembers else (), store.load_aliases() if self._learns_names else ())
        self._decider = Decider(policy=policy, home=home, memory=self._memory)
        self._recent: list[Decision] = []
        self._count = store.count()[0]

    @property
    def memory(self) -> tuple[MemoryEntry, ...]:
        """Return what it has learned by heart."""
        return self._memory.entries

    @property
    def aliases(self) -> tuple[Alias, ...]:
        """Return the names that corrections have taught it."""
        return self._memory.aliases.entries

    def set_policy(self, policy: Policy) -> None:
        """Take another policy for the next utterance."""
        self._decider.set_policy(policy)

    def hear(self, utterance: Utterance, *, states: States, last: Turn | None, now: float) -> Heard:
        """Return what it does about an utterance, or the judgement that it hears in it; a decision is stored."""
        heard = self._decider.hear(utterance, states=states, last=last, now=now, decision_id=self._next_id())
        if heard.decision is not None:
            self._record(heard.decision, last=last, states=states)
        return heard

    def correct(self, utterance: Utterance, *, judged: Decision, states: States, now: float) -> Decision | None:
        """Return what the words of a correction mean; the decision is stored."""
        decision = self._decider.correct(utterance, judged=judged, states=states, now=now, decision_id=self._next_id())
        if decision is not None:
            self._record(decision, last=None, states=states)
        return decision

    def take(self, feedback: Feedback, decision: Decision) -> None:
        """Store a judgement and remember what it teaches, as the daemon does."""
        self.store.record_feedback(feedback)
        if feedback.verdict == "yes" and decision.outcome == "act":
            first = rephrase_of(decision, self._recent, now=feedback.given_at)
            if first is not None:
                self.store.record_feedback(first)
        if not self._remembers:
            return
        right = correction_of(feedback, decision=decision)
        is_correction = feedback.verdict == "correct" or (feedback.verdict == "yes" and decision.outcome == "clarify")
        if right is not None and is_correction and self._may_remember(decision, right):
            if self._learns_names and is_explicit(feedback):
                self._learn_name(decision, right, at=feedback.given_at)
            self._remember(decision, right, at=feedback.given_at)
        elif is_explicit(feedback) and feedback.verdict != "yes" and right != decision.actions:
            self._forget_denied(decision)
        if feedback.verdict in ("no", "undo") and right is None and is_explicit(feedback) and decision.stage == "phrase":
            self.store.save_memory(self._memory.learn(refusal_of(decision, at=feedback.given_at)))
        if feedback.verdict == "no" and not feedback.correction and is_explicit(feedback):
            self._forget_names(decision)

    def _learn_name(self, decision: Decision, right: tuple[Action, ...], *, at: float) -> None:
        taught = self._decider.name_taught(decision.utterance, right)
        if taught is None:
            return
        learned = self._memory.aliases.learn(Alias(words=taught.words, entity_id=taught.entity_id, decision_id=decision.id, learned_at=at))
        if learned is not None:
            self.store.save_alias(learned)
            self._decider.set_home(self.home)

    def _forget_names(self, decision: Decision) -> None:
        targets = {target for action in decision.actions for target in action.targets}
        said = self._memory.aliases.said_in(words_of(decision.utterance.text)) if decision.stage == "alias" else ()
        for alias in said:
            if alias.entity_id in targets and not alias.is_contested:
                self.store.forget_alias(alias.words)
                self._memory.aliases.forget(alias.words)
                self._decider.set_home(self.home)

    def _may_remember(self, decision: Decision, right: Sequence[Action]) -> bool:
        if decision.is_risky or any_risky(right, self.home):
            return False
        return self._decider.may_remember(decision.utterance, right)

    def _remember(self, decision: Decision, right: tuple[Action, ...], *, at: float) -> None:
        entry = MemoryEntry(
            words=memory_words(decision.utterance.text),
            area=decision.utterance.area,
            actions=right,
            decision_id=decision.id,
            learned_at=at,
        )
        self.store.save_memory(self._memory.learn(entry))

    def _forget_denied(self, decision: Decision) -> None:
        entry = self._memory.repeating(decision.utterance.text, decision.utterance.area, decision.actions)
        if entry is not None:
            self.store.forget_memory(entry.words, entry.area)
            self._memory.forget(entry.words, entry.area)

    def _next_id(self) -> str:
        self._count += 1
        return f"lived-{self._count}"

    def _record(self, decision: Decision, *, last: Turn | None, states: States) -> None:
        executed = replace(decision, executor="dispatch") if decision.outcome == "act" else decision
        self.store.record_decision(executed, previous=last.actions if last is not None else (), states=states)
        self._recent = [*self._recent[-_RECENT:], decision]
