"""The brain of the running daemon: the champion and the memory, replaced only between two utterances."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from voice_rl_plugin.daemon.canary import Canary, CanaryReport
from voice_rl_plugin.daemon.outlet import Outlet
from voice_rl_plugin.daemon.parts import Decider, Parts
from voice_rl_plugin.daemon.reload import Loaded, ModelWatch
from voice_rl_plugin.daemon.shadow import Challenger, Shadow, ShadowTally
from voice_rl_plugin.deciding.aliases import Alias
from voice_rl_plugin.deciding.memory import Memory, MemoryEntry
from voice_rl_plugin.deciding.turn import Heard, Turn
from voice_rl_plugin.deciding.wording import reason
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Home, States
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.doors import native
from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.understanding.text import words_of

if TYPE_CHECKING:  # at run time it would load onnxruntime for every command
    from voice_rl_plugin.understanding.onnx_policy import Policy

_LOGGER = logging.getLogger(__name__)

_PROBES = ("turn on the lights", "开灯")
"""A new champion has to decide these without an error before it hears people."""


class Brain:
    """Decides with the champion; without one it refuses everything.

    Args:
        parts: the model store, the experience store and how to load.
        outlet: is told of models that do not work.
        home: the home as it is known now.
        on_loaded: takes a loaded champion into the loop's thread; called from another one.
        on_challenger: the same for a challenger that is to run in shadow.
    """

    def __init__(
        self, parts: Parts, *, outlet: Outlet, home: Home, on_loaded: Callable[[Loaded], None], on_challenger: Callable[[Challenger], None]
    ) -> None:
        self._models = parts.models
        self._store = parts.store
        self._clock = parts.clock
        self._make_decider = parts.make_decider
        self._outlet = outlet
        self._home = home
        self._memory = Memory(parts.store.load_memory(), parts.store.load_aliases())
        self._policy: Policy | None = None
        self._trained_at = float("inf")
        self._decider: Decider | None = None
        self._canary = Canary(parts.config.learning, store=parts.store, trial=parts.models.trial)
        self._shadow = Shadow(
            parts.models,
            load=parts.load_policy,
            questions_per_hour=parts.config.learning.shadow_questions_per_hour,
            on_loaded=on_challenger,
        )
        self._watch = ModelWatch(parts.models, load=parts.load_policy, probe=parts.probe_model, on_loaded=on_loaded)

    @property
    def version(self) -> str | None:
        """Return the version that decides; None without a model."""
        return self._policy.version if self._policy is not None else None

    @property
    def trained_at(self) -> float:
        """Return when the model that decides was made, in Unix seconds; infinite for the shipped one, which never knew this home."""
        return self._trained_at

    @property
    def latest_version(self) -> str:
        """Return the newest version that passed its gate and was not taken back by its trial, or the one that decides."""
        installed, trial = self.version or self._models.champion_version(), self.trial
        failed = trial.version if trial is not None and trial.state == "rolled_back" else None
        return (installed, *(one for one in self._models.newer_than(installed) if one != failed))[-1]

    @property
    def is_loading(self) -> bool:
        """Whether a new champion is being loaded."""
        return self._watch.is_loading

    def summary(self, version: str) -> str:
        """Return in one line what a version was made of."""
        return self._models.summary(version)

    @property
    def trial(self) -> CanaryReport | None:
        """Return how the champion's trial stands, or how the last one ended."""
        return self._canary.report

    @property
    def shadow(self) -> ShadowTally | None:
        """Return what came of the challenger in shadow, if there is one."""
        return self._shadow.tally

    @property
    def remembered_targets(self) -> frozenset[str]:
        """Return the entities that something was learned by heart about."""
        return frozenset(target for entry in self._memory.entries for action in entry.actions for target in action.targets)

    def load(self) -> None:
        """Load the champion at the start; a missing model is a problem, not an end."""
        try:
            self._use(self._watch.load_now(at=self._clock()))
        except ModelError as error:
            _LOGGER.error("no model: %s", error)  # noqa: TRY400 - the message says it all
            self._outlet.note(f"no model: {error}")
            return
        if (champion := self._models.champion_version()) != self.version:
            self._outlet.note(f"the champion {champion} does not verify; {self.version} decides instead, see the log")

    def look_for_champion(self) -> None:
        """Begin to load another champion when there is one."""
        self._watch.check()
        self._shadow.look()

    def look_at_trial(self, *, now: float) -> None:
        """End the champion's trial when it has passed, or has failed: then the former champion comes back by itself.

        Raises:
            ModelError: the model store cannot be written; it is tried again.
            StoreError: the experience store cannot be read.
        """
        report = self._canary.look()
        if report is None:
            return
        if report.state == "passed":
            self._models.end_trial(report.version)
            self._watch.accept()
            _LOGGER.info("model %s", report.to_sentence())
            return
        self._models.rollback(at=now)
        self._watch.check()
        _LOGGER.warning("model %s", report.to_sentence())
        self._outlet.note(f"model {report.to_sentence()}")

    def take_challenger(self, loaded: Challenger) -> None:
        """Begin to run a loaded challenger in shadow."""
        version, policy, error = loaded
        if policy is None:
            self._outlet.note(f"the challenger {version} cannot be loaded: {error}")
            return
        self._shadow.take(version, policy, lambda one: self._make_decider(one, self._home, self._memory))

    def settle(self, decision_id: str, right: tuple[Action, ...]) -> None:
        """Note what a person said was right: it counts for the champion or for the challenger, where they had differed."""
        self._shadow.settle(decision_id, right)

    def set_home(self, home: Home) -> None:
        """Take another home."""
        self._home = home
        if self._decider is not None:
            self._decider.set_home(home)
        self._shadow.set_home(home)

    def hear(self, utterance: Utterance, *, states: States, last: Turn | None, now: float, decision_id: str) -> Heard:
        """Decide about one utterance."""
        if self._decider is None:
            return Heard(decision=_refuse(utterance, decision_id, now))
        begun = time.perf_counter()
        heard = self._decider.hear(utterance, states=states, last=last, now=now, decision_id=decision_id)
        if heard.decision is None:
            return heard
        decision = _stamp(heard.decision, now=now, took_ms=(time.perf_counter() - begun) * 1000.0)
        decision = self._shadow.compare(
            decision,
            lambda other: other.hear(utterance, states=states, last=last, now=now, decision_id=decision_id).decision,
            home=self._home,
            now=now,
        )
        return replace(heard, decision=decision)

    def correct(self, utterance: Utterance, *, judged: Decision, states: States, now: float, decision_id: str) -> Decision | None:
        """Decide about the words of a correction; None when they ask for nothing."""
        if self._decider is None:
            return _refuse(utterance, decision_id, now)
        begun = time.perf_counter()
        decision = self._decider.correct(utterance, judged=judged, states=states, now=now, decision_id=decision_id)
        if decision is None:
            return None
        return _stamp(decision, now=now, took_ms=(time.perf_counter() - begun) * 1000.0)

    def may_remember(self, utterance: Utterance, actions: Sequence[Action]) -> bool:
        """Whether a correction of these words may be learned by heart."""
        return self._decider is not None and self._decider.may_remember(utterance, actions)

    def remember(self, entry: MemoryEntry) -> None:
        """Learn a correction by heart, on disk too.

        Raises:
            StoreError: it cannot be written.
        """
        self._store.save_memory(self._memory.learn(entry))

    def learn_name(self, decision: Decision, right: tuple[Action, ...], *, now: float) -> Alias | None:
        """Learn the name that the correction of a decision teaches, on disk too; return it, if there is one.

        Raises:
            StoreError: it cannot be written.
        """
        taught = self._decider.name_taught(decision.utterance, right) if self._decider is not None else None
        if taught is None:
            return None
        alias = Alias(words=taught.words, entity_id=taught.entity_id, decision_id=decision.id, learned_at=now)
        learned = self._memory.aliases.learn(alias)
        if learned is None:
            self._outlet.note("a name was not learned: there are too many; see `voice-rl memory list`")
            return None
        self._store.save_alias(learned)
        self._index_names()
        return learned

    def unlearn(self, decision_id: str) -> bool:
        """Drop what the correction of a decision taught, entry and name, on disk too; what it contested holds again.

        Raises:
            StoreError: it cannot be written.
        """
        entry, alias = self._memory.taught_by(decision_id), self._memory.aliases.taught_by(decision_id)
        if entry is not None and entry.is_contested and entry.rival is not None:
            before = replace(entry, actions=entry.rival, is_contested=False, rival=None)
            self._store.save_memory(before)
            self._memory.put_back(before)
        elif entry is not None:
            self._store.forget_memory(entry.words, entry.area)
            self._memory.forget(entry.words, entry.area)
        if alias is not None and alias.is_contested and alias.rival is not None:
            former = replace(alias, entity_id=alias.rival, is_contested=False, rival=None)
            self._store.save_alias(former)
            self._memory.aliases.put_back(former)
        elif alias is not None:
            self._store.forget_alias(alias.words)
            self._memory.aliases.forget(alias.words)
        if alias is not None:
            self._index_names()
        return entry is not None or alias is not None

    def forget_names(self, decision: Decision) -> bool:
        """Forget the names by which a denied decision was taken, on disk too; return whether there were any.

        Raises:
            StoreError: they cannot be erased; they are still known then.
        """
        targets = {target for action in decision.actions for target in action.targets}
        said = self._memory.aliases.said_in(words_of(decision.utterance.text)) if decision.stage == "alias" else ()
        denied = [alias for alias in said if alias.entity_id in targets and not alias.is_contested]
        for alias in denied:
            self._store.forget_alias(alias.words)
            self._memory.aliases.forget(alias.words)
        if denied:
            self._index_names()
        return bool(denied)

    def _index_names(self) -> None:
        self.set_home(self._home)

    def forget_denied(self, decision: Decision) -> bool:
        """Forget what would take a denied decision again, on disk too; return whether there was such an entry.

        Raises:
            StoreError: it cannot be erased; it is still known then, and can be forgotten again.
        """
        entry = self._memory.repeating(decision.utterance.text, decision.utterance.area, decision.actions)
        if entry is None:
            return False
        self._store.forget_memory(entry.words, entry.area)
        return self._memory.forget(entry.words, entry.area)

    def reload_memory(self) -> None:
        """Take over what another process forgot or erased.

        Raises:
            StoreError: the store cannot be read.
        """
        if not self._store.has_foreign_changes():
            return
        memory = Memory(self._store.load_memory(), self._store.load_aliases())
        if (memory.entries, memory.aliases.entries) == (self._memory.entries, self._memory.aliases.entries):
            return  # another daemon has written decisions, and a brain takes long to make
        self._memory = memory
        if self._policy is not None:
            self._decider = self._make_decider(self._policy, self._home, self._memory)
        self._shadow.set_memory(lambda policy: self._make_decider(policy, self._home, self._memory))

    def take_champion(self, loaded: Loaded, *, states: States, now: float) -> None:
        """Swap the policy between two utterances; one that does not work is rolled back and the champion stays."""
        error = loaded.error
        if loaded.policy is not None and error is None:
            try:
                candidate = self._make_decider(loaded.policy, self._home, self._memory)
                for text in _PROBES:
                    candidate.hear(Utterance(text=text, door="dry_run"), states=states, last=None, now=now, decision_id="probe")
                self._use(loaded.policy)
            except Exception as problem:
                _LOGGER.exception("the new model fails its probe")
                error = f"fails its probe: {type(problem).__name__}"
        if error is None:
            _LOGGER.info("model %s is the champion now", self.version or "none")
            return
        topic = f"{self._outlet.prefix}/model"
        self._outlet.note(f"the new model is not used: {error}")
        self._outlet.report(ModelError(f"the new model is not used, the champion stays: {error}"), topic)
        if self._policy is not None and self._models.champion_version() != self._policy.version:
            self._outlet.guard(lambda: self._roll_back_quietly(now), topic=topic)

    def set_champion(self, request: native.ModelRequest, *, now: float) -> None:
        """Promote or roll back, as somebody asked on the broker.

        Raises:
            ModelError: that cannot be done; the champion stays.
        """
        if request.verb == "rollback":
            self._models.rollback(at=now)
        else:
            version = request.version or self.latest_version
            if request.version is None and version == self._models.champion_version():
                raise ModelError(f"model/set: {version} is the newest that passed its gate, and in use; there is nothing to install")
            self._models.promote(version, at=now)
        self._watch.check()

    def _use(self, policy: "Policy") -> None:
        if self._decider is None:
            self._decider = self._make_decider(policy, self._home, self._memory)
        else:
            self._decider.set_policy(policy)
        self._policy = policy
        self._trained_at = self._models.made_at(policy.version)

    def _roll_back_quietly(self, now: float) -> None:
        self._models.rollback(at=now)
        self._watch.accept()


def _stamp(decision: Decision, *, now: float, took_ms: float) -> Decision:
    return replace(decision, decided_at=decision.decided_at or now, latency_ms=decision.latency_ms or took_ms)


def _refuse(utterance: Utterance, decision_id: str, now: float) -> Decision:
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
