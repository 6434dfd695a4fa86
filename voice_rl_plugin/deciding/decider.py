"""The decider: one utterance in, one decision out.

dialogue (an answer, a judgement of the last decision) -> memory -> policy: clauses -> candidates -> value -> safety -> Decision
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from voice_rl_plugin.deciding.aliases import Alias, TaughtName, windows_to_explain
from voice_rl_plugin.deciding.beyond import CANNOT
from voice_rl_plugin.deciding.dialogue import choose_answer, is_answer_like, is_bare_pick
from voice_rl_plugin.deciding.memory import Memory, MemoryEntry
from voice_rl_plugin.deciding.phrases import Phrases
from voice_rl_plugin.deciding.previous import frame_before
from voice_rl_plugin.deciding.refusals import (
    has_no_verb,
    has_several,
    is_drowned,
    is_guess,
    is_tag_question,
    means_one_of_several,
    names_unknown_place,
    refusing_mood,
)
from voice_rl_plugin.deciding.safety import any_risky, is_risky_entity
from voice_rl_plugin.deciding.turn import FOLLOW_UP_S, QUESTION_S, Heard, Turn
from voice_rl_plugin.deciding.value import Choice, Costs, choose
from voice_rl_plugin.deciding.wording import (
    describe,
    name_choices,
    open_question,
    question_between,
    question_which,
    question_which_to,
    reason,
    reason_alias,
    reason_phrase,
    tell_states,
)
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.beyond import SERVICES
from voice_rl_plugin.domain.decision import Candidate, Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.frame import Frame
from voice_rl_plugin.domain.home import Home, States
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.understanding.beyond import missing_slot, service_asked
from voice_rl_plugin.understanding.candidates import ClauseOptions, Option, clause_options
from voice_rl_plugin.understanding.features import Observation, observe, observe_words
from voice_rl_plugin.understanding.frames import decode
from voice_rl_plugin.understanding.later import is_for_later
from voice_rl_plugin.understanding.names import NameIndex
from voice_rl_plugin.understanding.onnx_policy import Policy
from voice_rl_plugin.understanding.resolve import Situation, asks_for_all
from voice_rl_plugin.understanding.services import is_able, service_call
from voice_rl_plugin.understanding.strange import strange_words
from voice_rl_plugin.understanding.text import detect_language, join, tokenise, words_of

MANY_TARGETS = 8
"""More devices than this at once ask first, unless the sentence says all."""
FEEDBACK_CERTAINTY = 0.6
"""A judgement of the last decision is heard as one only above this."""
REFUSING_CERTAINTY = 0.5
"""A clause that is more likely than this a prohibition, a report or a plan for later never acts."""
ASKING_CERTAINTY = 0.25
"""A clause that is less likely than this a question is not answered as one."""
SURE_OPERATION = 0.8
"""A value is asked for only where it is this likely that one is to be set."""
HALF_UNDERSTOOD = 0.15
"""From this likelihood on of what a correction says, its words were a command that was half understood, and no phrase."""
SURE_MOOD = 0.8
"""A prohibition or a plan for later that is less likely than this may be a phrase of the family's own."""
_OPEN_CODES = frozenset({"chat", "report", "bare", "unsure", "no_target", "unknown_name", "unable", "question", "not_switched_on"})
"""Why something may be refused that the family says in its own words."""
_REFUSING_MOODS = ("prohibition", "report", "scheduled", "chat", "bare")
_NO_FRAMES: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What was decided about one clause."""

    outcome: str
    code: str
    options: tuple[tuple[Option, float], ...] = ()
    """Candidates with their probabilities, best first."""
    not_for_us: float = 0.0
    asked: int = 0
    detail: str = ""
    names: bool = False
    """Whether the clause names a device: then it was hardly talk, and leaving it out would do half of what was asked."""


class Decider:
    """Decides utterances in one home with one policy; keeps no state between two utterances but the memory it was given.

    Args:
        policy: reads and scores.
        home: what can be done.
        memory: what was learned by heart.
        costs: prices; the defaults when missing.
        beyond: the services beyond the house that are switched on.
    """

    def __init__(self, *, policy: Policy, home: Home, memory: Memory, costs: Costs | None = None, beyond: Collection[str] = ()) -> None:
        self.policy = policy
        self.memory = memory
        self.costs = costs or Costs()
        self.beyond = frozenset(beyond)
        self.set_home(home)

    def set_home(self, home: Home) -> None:
        """Take another home; its names are indexed anew, with those that corrections have taught."""
        self.home = home
        self._plain_index = NameIndex(home)
        names = self.memory.aliases.names()
        self._index = NameIndex(home, names) if names else self._plain_index
        self._phrases: tuple[int, Phrases] | None = None
        self._own_phrases: dict[tuple[str, str | None], bool] = {}

    def set_policy(self, policy: Policy) -> None:
        """Take another policy for the next utterance."""
        self.policy = policy
        self._own_phrases.clear()

    def hear(self, utterance: Utterance, *, states: States, last: Turn | None, now: float, decision_id: str) -> Heard:
        """Return what to do about an utterance, and what it says of the last decision in this place.

        Args:
            utterance: what was said.
            states: live states; missing ones are unknown.
            last: the last decision in this place, if any.
            now: Unix seconds.
            decision_id: id of the decision to be made.
        """
        started = time.perf_counter()
        heard = self._hear(utterance, states=states, last=last, now=now, decision_id=decision_id)
        if heard.decision is None:
            return heard
        elapsed = (time.perf_counter() - started) * 1000
        return replace(heard, decision=replace(heard.decision, latency_ms=elapsed, decided_at=now, policy_version=self.policy.version))

    def correct(self, utterance: Utterance, *, judged: Decision, states: States, now: float, decision_id: str) -> Decision | None:
        """Return what a correction means: a whole command, or what was decided, on what the words name instead.

        Args:
            utterance: the words of the correction, as said where the judged decision was made.
            judged: the decision that was wrong.
            states: live states; missing ones are unknown.
            now: Unix seconds.
            decision_id: id of the decision to be made.
        """
        decision = self.hear(utterance, states=states, last=Turn(decision=judged, at=now), now=now, decision_id=decision_id).decision
        if decision is not None and (decision.outcome == "act" or decision.is_risky):
            return decision
        observation = observe(utterance.text, home=self.home, index=self._index, area=utterance.area)
        if not observation.words:
            return decision
        situation = Situation(home=self.home, index=self._index, area=utterance.area, states=states)
        frame = decode(self.policy.read(observation), observation.words)[-1]
        actions = self._corrected(observation, frame, situation, judged) if judged.outcome == "act" else ()
        actions = actions or self._restated(observation, frame, situation, judged) or self._corrected(observation, frame, situation, judged)
        if not actions:
            return decision
        base = Decision(
            id=decision_id,
            utterance=utterance,
            language=decision.language if decision is not None else judged.language,
            outcome="reject",
            policy_version=self.policy.version,
            decided_at=now,
        )
        if any_risky(actions, self.home):
            return self._ask(base, [self._candidate(actions, 0.9, base.language)], "risky")
        return self._act_corrected(base, actions)

    def _act_corrected(self, base: Decision, actions: tuple[Action, ...]) -> Decision:
        return replace(
            base,
            outcome="act",
            stage="rule",
            actions=actions,
            candidates=(self._candidate(actions, 1.0, base.language),),
            confidence=0.95,
            reason=reason("corrected", base.language),
            reason_code="corrected",
        )

    def may_remember(self, utterance: Utterance, actions: Sequence[Action]) -> bool:
        """Whether a correction of these words may be learned by heart.

        Never for risky actions, never for words that mean something only after other words: a pronoun, a bare value, a follow-up.
        """
        if any_risky(actions, self.home):
            return False
        observation = observe(utterance.text, home=self.home, index=self._index, area=utterance.area)
        if not observation.words:
            return False
        for frame in decode(self.policy.read(observation), observation.words):
            if frame.spans_of("PRONOUN") or frame.operation in ("same", "yes", "no", "undo", "cancel", "correct"):
                return False
            if frame.spans_of("VALUE", "DELTA") and not frame.spans_of("NAME", "AREA", "CLASS", "FLOOR", "HERE"):
                return False
        return True

    def name_taught(self, utterance: Utterance, actions: Sequence[Action]) -> TaughtName | None:
        """Return the name that a correction teaches: with the target's own name in its place, the sentence means what the correction says.

        Never for what may be risky, never for several targets.

        Args:
            utterance: what was corrected.
            actions: what is right.
        """
        targets = {target for action in actions for target in action.targets}
        entity = self.home.entity_by_id.get(next(iter(targets))) if len(targets) == 1 else None
        if entity is None or not entity.exposed or is_risky_entity(entity) or not all(action.is_dispatched for action in actions):
            return None
        observation = observe(utterance.text, home=self.home, index=self._plain_index, area=utterance.area)
        frames = decode(self.policy.read(observation), observation.words) if observation.words else []
        if len(frames) != 1:
            return None
        wanted = [(action.service, action.targets) for action in actions]
        for start, end in windows_to_explain(observation, frames[0], entity_id=entity.id):
            for name in (entity.name, *entity.aliases):
                words = (*observation.words[:start], *words_of(name), *observation.words[end:])
                meant = self._decide_words(words, utterance)
                if any([(a.service, a.targets) for a in one] == wanted for one in (meant.actions, *(c.actions for c in meant.choices))):
                    return TaughtName(" ".join(observation.words[start:end]), entity.id)
        return None

    # -- one utterance -----------------------------------------------------------------------------------------------------------

    def _hear(self, utterance: Utterance, *, states: States, last: Turn | None, now: float, decision_id: str) -> Heard:
        tokens = tokenise(utterance.text)
        language = detect_language(tokens, utterance.language, self.home.language)
        base = Decision(id=decision_id, utterance=utterance, language=language, outcome="reject")
        if not tokens:
            return Heard(decision=self._refuse(base, "chat"))
        recent = last if last is not None and now - last.at <= FOLLOW_UP_S else None
        previous = recent.actions if recent is not None and recent.decision.outcome == "act" else ()
        observation = observe(utterance.text, home=self.home, index=self._index, area=utterance.area, previous=frame_before(previous))
        situation = Situation(home=self.home, index=self._index, area=utterance.area, states=states, previous=previous)
        remembered = self._recall(base, utterance)
        if remembered is not None:
            return Heard(decision=remembered)
        frames = decode(self.policy.read(observation), observation.words)
        spoken = self._dialogue(base, observation, frames, situation, recent, now)
        if spoken is not None:
            return spoken
        decision = self._decide(base, observation, frames, situation)
        said = self.memory.aliases.said_in(observation.words)
        if said:
            decision = self._by_alias(decision, said, observation, situation)
        return Heard(decision=self._by_phrase(decision, observation) if self._is_open(decision) and len(self.memory) else decision)

    def _is_open(self, decision: Decision) -> bool:
        """Whether the policy is so unsure of an utterance that it may be a phrase of the family's own."""
        if decision.outcome == "clarify":
            return decision.reason_code in ("ambiguous", "sound", "no_target")
        code = decision.reason_code
        return decision.outcome == "reject" and (code in _OPEN_CODES or decision.moods.get(code, 1.0) < SURE_MOOD)

    def _by_phrase(self, decision: Decision, observation: Observation) -> Decision:
        """Return a decision by a phrase that a correction has explained, or the one without it."""
        if self._phrases is None or self._phrases[0] != self.memory.changes:
            self._phrases = (self.memory.changes, Phrases(self.memory.entries, observe=self._observe_plainly))
            self._own_phrases.clear()
        match = self._phrases[1].find(observation, decision.utterance.area, fits=lambda entry: self._fits_phrase(entry, observation))
        if match is None or not self._is_possible(match.entry.actions) or any_risky(match.entry.actions, self.home):
            return decision
        candidate = self._candidate(match.entry.actions, match.share, decision.language)
        if not match.is_sure:
            if decision.outcome == "clarify":
                return decision
            return replace(self._ask(decision, [candidate], "ambiguous"), stage="phrase", confidence=match.share)
        because = reason_phrase(join(tuple(match.entry.words.split())), match.entry.learned_at, decision.language)
        return replace(
            decision,
            outcome="act",
            stage="phrase",
            actions=match.entry.actions,
            confidence=match.share,
            candidates=(candidate,),
            choices=(),
            question=None,
            reason=because,
            reason_code="phrase",
        )

    def _observe_plainly(self, words: str) -> Observation:
        return observe(words, home=self.home, index=self._plain_index)

    def _fits_phrase(self, entry: MemoryEntry, observation: Observation) -> bool:
        """Whether a wording is a phrase of the family's own, and what was said asks for nothing that it does not ask for."""
        if entry.key not in self._own_phrases:
            self._own_phrases[entry.key] = self._is_own_phrase(entry)
        if not self._own_phrases[entry.key]:
            return False
        operation = self._sure_operation(observation)
        taught = self._sure_operation(self._observe_plainly(entry.words)) if operation is not None else None
        return taught is None or taught == operation

    def _is_own_phrase(self, entry: MemoryEntry) -> bool:
        """Whether the policy alone neither does nor offers what a correction says."""
        meant = self._decide_words(tuple(entry.words.split()), Utterance(text=entry.words, area=entry.area, door="dry_run"))
        if self._half_understands(self._observe_plainly(entry.words), entry.actions):
            return False  # a command about something that is not known here: only its name may be learned
        right = {action.key for action in entry.actions}
        return all({action.key for action in one} != right for one in (meant.actions, *(choice.actions for choice in meant.choices)))

    def _sure_operation(self, observation: Observation) -> tuple[str, str] | None:
        """Return the operation, and its property, that an utterance surely asks for."""
        frames = decode(self.policy.read(observation), observation.words)
        if len(frames) != 1 or frames[0].mood not in ("command", "wish") or frames[0].operations[0][1] < SURE_OPERATION:
            return None
        return frames[0].operation, frames[0].property

    def _half_understands(self, observation: Observation, actions: Sequence[Action]) -> bool:
        """Whether an utterance asks for what some actions do, as far as the policy can tell, on whatever device."""
        for frame in decode(self.policy.read(observation), observation.words):
            for operation, p_operation in frame.operations:
                for prop, p_property in frame.properties:
                    calls = [service_call(operation, prop, action.domain) for action in actions]
                    asks = all(call is not None and call[0] == action.service for call, action in zip(calls, actions, strict=True))
                    if actions and asks and p_operation * p_property > HALF_UNDERSTOOD:
                        return True
        return False

    def _decide_words(self, words: Sequence[str], utterance: Utterance, *, states: States | None = None) -> Decision:
        """Decide some words as if they alone had been said, by the names of the home alone."""
        observation = observe_words(words, home=self.home, index=self._plain_index, area=utterance.area)
        situation = Situation(home=self.home, index=self._plain_index, area=utterance.area, states=states or {})
        language = detect_language(tokenise(utterance.text), utterance.language, self.home.language)
        base = Decision(id="", utterance=utterance, language=language, outcome="reject")
        return self._decide(base, observation, decode(self.policy.read(observation), observation.words), situation)

    def _by_alias(self, decision: Decision, said: Sequence[Alias], observation: Observation, situation: Situation) -> Decision:
        """Return a decision with the names that were taught, or the one without them where they turn out to mean nothing here.

        A name that was taught acts on its entity or not at all: "play beauty and the beast" is not about the beast.
        """
        targets = {target for action in decision.actions for target in action.targets}
        used = [alias for alias in said if targets & {alias.entity_id, alias.rival}]
        if decision.outcome != "act" or not used:
            offered = {target for choice in decision.choices for action in choice.actions for target in action.targets}
            plain = observe_words(observation.words, home=self.home, index=self._plain_index, area=situation.area)
            plain = replace(plain, context=observation.context)
            frames = decode(self.policy.read(plain), plain.words)
            without = self._decide(
                replace(decision, outcome="reject", actions=(), question=None, choices=(), candidates=(), confidence=0.0),
                plain,
                frames,
                replace(situation, index=self._plain_index),
            )
            is_about_it = bool(offered & {one for alias in said for one in (alias.entity_id, alias.rival)})
            return decision if is_about_it and without.reason_code not in _REFUSING_MOODS else without
        contested = next((alias for alias in used if alias.is_contested), None)
        if contested is not None:
            choices = [self._candidate(actions, 0.5, decision.language) for actions in self._for_both(decision.actions, contested)]
            if len(choices) > 1:
                return replace(self._ask(decision, choices, "contested"), actions=(), stage="alias")
        taught = [(join(tuple(one.words.split())), self.home.entity_by_id[one.entity_id].name) for one in used if one.entity_id in targets]
        if decision.reason_code != "confident" or not taught:
            return replace(decision, stage="alias")
        at = max(alias.learned_at for alias in used)
        return replace(decision, stage="alias", reason=reason_alias(taught, at, decision.language), reason_code="alias")

    def _for_both(self, actions: Sequence[Action], alias: Alias) -> list[tuple[Action, ...]]:
        """Return some actions on each of the two entities that a contested name was taught for, as far as they are able."""
        both = [one for one in (alias.entity_id, alias.rival) if one is not None]
        variants = []
        for entity_id in both:
            domain = entity_id.partition(".")[0]
            done = tuple(
                replace(a, targets=tuple(entity_id if t in both else t for t in a.targets), service=_service_on(a.service, domain))
                if set(a.targets) & set(both)
                else a
                for a in actions
            )
            if self._is_possible(done):
                variants.append(done)
        return variants

    def _recall(self, base: Decision, utterance: Utterance) -> Decision | None:
        entry = self.memory.recall(utterance.text, utterance.area)
        if entry is None:
            return None
        if entry.is_contested:
            rivals = [actions for actions in (entry.actions, entry.rival or ()) if actions and self._is_possible(actions)]
            if not rivals:
                return None
            question, choices = self._offer([self._candidate(actions, 1 / len(rivals), base.language) for actions in rivals], base.language)
            return replace(
                base,
                outcome="clarify",
                stage="memory",
                choices=choices,
                candidates=choices,
                confidence=1 / len(rivals),
                question=question,
                reason=reason("contested", base.language),
                reason_code="contested",
            )
        if not entry.actions:
            return replace(self._refuse(base, "refused_before"), stage="memory", confidence=1.0)
        if not self._is_possible(entry.actions) or any_risky(entry.actions, self.home):
            return None
        return self._act_from_memory(base, entry)

    def _act_from_memory(self, base: Decision, entry: MemoryEntry) -> Decision:
        candidate = self._candidate(entry.actions, 1.0, base.language)
        return replace(
            base,
            outcome="act",
            stage="memory",
            actions=entry.actions,
            confidence=1.0,
            candidates=(candidate,),
            reason=reason("memory", base.language),
            reason_code="memory",
        )

    def _is_possible(self, actions: Sequence[Action]) -> bool:
        """Whether every target still exists, is exposed, and is able to, and what lies beyond the house is switched on."""
        for action in actions:
            if self._is_off(action.service):
                return False
            for entity_id in action.targets:
                entity = self.home.entity_by_id.get(entity_id)
                if entity is None or not entity.exposed or not is_able(entity, action.service, action.data):
                    return False
        return True

    # -- dialogue ----------------------------------------------------------------------------------------------------------------

    def _dialogue(
        self, base: Decision, observation: Observation, frames: Sequence[Frame], situation: Situation, last: Turn | None, now: float
    ) -> Heard | None:
        """Return what an answer or a judgement of the last decision amounts to, or None when the utterance is neither."""
        if last is None or not frames:
            return None
        frame = frames[0]
        p_feedback = sum(f.moods["feedback"] for f in frames) / len(frames)
        pending = last.decision if last.awaits_answer and now - last.at <= QUESTION_S else None
        if pending is not None:
            chosen = choose_answer(observation, pending.choices, self.home)
            is_pick = is_bare_pick(observation.words)
            if chosen is not None and (is_pick or is_answer_like(frame) or p_feedback >= FEEDBACK_CERTAINTY):
                if not self._names_another(observation, frames, chosen):
                    return self._answered(base, pending, chosen, now)
            elif is_pick and pending.choices:
                return Heard(decision=self._ask(base, list(pending.choices), "ambiguous"))
        judged = last.decision
        if p_feedback < FEEDBACK_CERTAINTY:
            return self._named_instead(base, observation, frame, situation, judged, now)
        verdict = {"yes": "yes", "no": "no", "undo": "undo", "cancel": "no", "correct": "correct"}.get(frame.operation)
        if verdict is None:
            return None

        def feedback(kind: str, actions: tuple[Action, ...] = ()) -> Feedback:
            return Feedback(
                decision_id=judged.id,
                verdict=kind,
                source="answer" if pending is not None else "voice",
                correction=actions,
                correction_text=base.utterance.text if kind == "correct" else None,
                user=base.utterance.user,
                given_at=now,
                id=base.id,
            )

        if verdict == "correct" or (verdict == "no" and len(frames) > 1):
            actions = self._corrected(observation, frames[-1], situation, judged) if judged.outcome == "act" else ()
            actions = actions or self._restated(observation, frames[-1], situation, judged)
            actions = actions or self._corrected(observation, frames[-1], situation, judged)
            if actions:
                if any_risky(actions, self.home):
                    return Heard(decision=self._ask(base, [self._candidate(actions, 0.9, base.language)], "risky"), feedback=feedback("no"))
                return Heard(decision=self._act_corrected(base, actions), feedback=feedback("correct", actions))
            if verdict == "correct":
                return Heard(decision=self._ask(base, list(judged.choices), "ambiguous"), feedback=feedback("no"))
        if pending is not None and verdict == "yes":
            return None if len(pending.choices) != 1 else self._answered(base, pending, pending.choices[0], now)
        return Heard(decision=None, feedback=feedback(verdict))

    def _answered(self, base: Decision, pending: Decision, chosen: Candidate | None, now: float) -> Heard:
        candidate = chosen
        if candidate is None or not candidate.actions:
            return Heard(decision=None, feedback=Feedback(decision_id=pending.id, verdict="no", source="answer", given_at=now, id=base.id))
        feedback = Feedback(
            decision_id=pending.id, verdict="correct", source="answer", correction=candidate.actions, given_at=now, id=base.id
        )
        decision = replace(
            base,
            outcome="act",
            stage="rule",
            actions=candidate.actions,
            candidates=(candidate,),
            confidence=0.97,
            reason=reason("answered", base.language),
            reason_code="answered",
        )
        return Heard(decision=decision, feedback=feedback)

    def _corrected(self, observation: Observation, frame: Frame, situation: Situation, judged: Decision) -> tuple[Action, ...]:
        """Return the judged actions on what the correction names: "no, the bedroom one"."""
        done = judged.actions or (judged.candidates[0].actions if judged.candidates else ())
        if not done:
            return ()
        same = replace(frame, operations=(("same", 1.0),), properties=(("any", 1.0),))
        options = clause_options(observation, same, replace(situation, previous=tuple(done))).options
        unnamed = ("previous",) if frame.spans_of("HERE") else ("previous", "implied")
        for option in options:
            target = option.target
            if target is None or target.form in unnamed or target.rivals > 1 or target.unmatched:
                continue
            if target.form == "area":
                return self._considered_in({e.area for e in target.entities}, judged, done) or option.actions
            return option.actions
        return ()

    def _named_instead(
        self, base: Decision, observation: Observation, frame: Frame, situation: Situation, judged: Decision, now: float
    ) -> Heard | None:
        """Return what a bare name means after a question, or after a name that was not known: what was said, with it in its place."""
        is_open = judged.outcome == "clarify" and now - judged.decided_at <= QUESTION_S
        if frame.mood != "bare" or not (is_open or judged.reason_code == "unknown_name"):
            return None
        actions = self._restated(observation, frame, situation, judged)
        if not actions or any_risky(actions, self.home):
            return None
        feedback = Feedback(
            decision_id=judged.id,
            verdict="correct",
            source="answer" if is_open else "voice",
            correction=actions,
            correction_text=base.utterance.text,
            user=base.utterance.user,
            given_at=now,
            id=base.id,
        )
        return Heard(decision=self._act_corrected(base, actions), feedback=feedback)

    def _restated(self, observation: Observation, frame: Frame, situation: Situation, judged: Decision) -> tuple[Action, ...]:
        """Return what was said, with what the correction names in the place of what it named, or of a word that nothing explained."""
        named = frame.spans_of("NAME", "CLASS")
        if not named:
            return ()
        spans = frame.spans_of("NAME", "CLASS", "AREA")
        said = observation.words[min(span.start for span in spans) : max(span.end for span in spans)]
        before = observe(judged.utterance.text, home=self.home, index=self._index, area=judged.utterance.area)
        frames = decode(self.policy.read(before), before.words) if before.words else []
        if len(frames) != 1:
            return ()
        old = frames[0].spans_of("NAME", "CLASS")
        windows = list(windows_to_explain(before, frames[0]))
        if old and not windows:
            windows = [(min(span.start for span in old), max(span.end for span in old))]
        for start, end in windows:
            words = (*before.words[:start], *said, *before.words[end:])
            meant = self._decide_words(words, judged.utterance, states=situation.states)
            if meant.outcome == "act" and all(action.is_dispatched for action in meant.actions):
                return meant.actions
            if meant.is_risky and len(meant.choices) == 1:
                return meant.choices[0].actions
        return ()

    def _names_another(self, observation: Observation, frames: Sequence[Frame], chosen: Candidate) -> bool:
        """Whether an answer that seems to pick a choice is a correction to something else: "no, the sofa lamp" of three lamps."""
        if frames[-1].operation != "correct":
            return False
        if not chosen.actions:
            return bool(frames[-1].spans_of("NAME", "CLASS", "AREA"))
        named = {m.id for m in observation.matches if m.thing == "entity" and m.form in ("full", "stripped")}
        return bool(named) and not {target for action in chosen.actions for target in action.targets} <= named

    def _considered_in(self, areas: Collection[str | None], judged: Decision, done: Sequence[Action]) -> tuple[Action, ...]:
        """Return what was considered of the same kind in some areas: after "the desk lamp", "the study one" is the desk lamp there."""
        entities = self.home.entity_by_id
        services = {action.service for action in done}
        for candidate in judged.candidates:
            targets = [entities[t] for action in candidate.actions for t in action.targets if t in entities]
            if targets and services == {a.service for a in candidate.actions} and all(e.area in areas for e in targets):
                return candidate.actions
        return ()

    # -- the policy --------------------------------------------------------------------------------------------------------------

    def _decide(self, base: Decision, observation: Observation, frames: Sequence[Frame], situation: Situation) -> Decision:
        verdicts: list[_Verdict] = []
        before = situation.previous
        for number, frame in enumerate(frames):
            here = replace(situation, previous=before) if number else situation
            verdict = self._judge(observation, frame, here, clauses=len(frames))
            verdict = replace(verdict, names=bool(frame.spans_of("NAME", "CLASS")))
            verdicts.append(verdict)
            if verdict.outcome == "act":
                before = verdict.options[0][0].actions
        return self._combine(base, observation, frames, verdicts, situation)

    def _judge(self, observation: Observation, frame: Frame, situation: Situation, *, clauses: int) -> _Verdict:
        """Decide one clause."""
        clause = clause_options(observation, frame, situation, clauses=clauses, beyond=self.beyond)
        probabilities = self.policy.score(clause.features, clause.context)
        count = len(clause.options)
        not_for_us = float(probabilities[-1])
        ranked = sorted(zip(clause.options, probabilities[:count].tolist(), strict=True), key=lambda pair: -pair[1])
        mood = frame.mood
        if mood not in ("prohibition", "scheduled", "question", "feedback") and is_drowned(observation, clause.frame):
            return _Verdict(outcome="clarify", code="drowned", options=tuple(ranked), not_for_us=not_for_us)
        if mood in _REFUSING_MOODS and frame.moods[mood] > REFUSING_CERTAINTY:
            return _Verdict(outcome="reject", code=mood, options=tuple(ranked), not_for_us=max(not_for_us, frame.moods[mood]))
        said = refusing_mood(observation.words, frame)
        if said is not None and mood in ("command", "wish", "question"):
            return _Verdict(outcome="reject", code=said, options=tuple(ranked), not_for_us=not_for_us)
        asked = service_asked(frame)
        if asked and mood in _REFUSING_MOODS:
            return _Verdict(outcome="reject", code=mood, options=tuple(ranked), not_for_us=not_for_us)
        if (frame.operation not in ("handover", "query") and is_for_later(observation.words, frame)) or (
            asked in _AT_ONCE and is_for_later(_without_titles(observation.words, clause.frame), frame)
        ):
            return _Verdict(outcome="reject", code="scheduled", options=tuple(ranked), not_for_us=not_for_us)
        if has_no_verb(observation, clause.frame):
            return _Verdict(outcome="reject", code="bare", options=tuple(ranked), not_for_us=not_for_us)
        if frame.operation != "query" and is_tag_question(observation.words, frame):
            return _Verdict(outcome="reject", code="question", options=tuple(ranked), not_for_us=not_for_us)
        if mood == "feedback":
            return _Verdict(outcome="reject", code="chat", options=tuple(ranked), not_for_us=not_for_us)
        if mood == "question":
            ranked = [(o, p) for o, p in ranked if o.operation in ("query", "handover")]
        elif frame.moods["question"] < ASKING_CERTAINTY:
            ranked = [(o, p) for o, p in ranked if o.operation != "query"]
        lacking = missing_slot(clause.frame)
        if self._is_off(asked) and not_for_us < 0.5:
            return _Verdict(outcome="reject", code="not_switched_on", options=tuple(ranked), not_for_us=not_for_us, detail=asked)
        if lacking and mood in ("command", "wish") and not_for_us < 0.5:
            return _Verdict(outcome="clarify", code=f"no_{lacking}", options=tuple(ranked), not_for_us=not_for_us)
        ranked = [(o, p) for o, p in ranked if not any(self._is_off(a.service) for a in o.actions)]
        if not ranked:
            return _Verdict(
                outcome=self._when_nothing_fits(clause, float(probabilities[-2])),
                code=_nothing_code(clause),
                options=tuple(ranked),
                not_for_us=not_for_us,
                detail=_unknown_words(observation, frame),
            )
        ranked = _with_what_was_spoken_of(ranked, clause.frame)
        strange = strange_words(observation, frame)
        prices = [self._price(option, frame) * (self.costs.strange if strange else 1.0) for option, _ in ranked]
        choice: Choice = choose([p for _, p in ranked], prices, not_for_us, self.costs)
        if choice.outcome != "reject" and (
            is_guess(ranked[0][0], observation, clause.frame) or names_unknown_place(observation, frame, situation)
        ):
            choice = Choice(outcome="reject", value=choice.value)
        if choice.outcome == "act" and has_several(ranked[0][0]) and means_one_of_several(observation.words, frame):
            choice = Choice(outcome="clarify", value=choice.value, asked=1)
        if choice.outcome == "act" and _leaves_out_a_name(ranked[0][0], clause.frame):
            choice = Choice(outcome="clarify", value=choice.value, asked=1)
        code = "confident"
        if choice.outcome == "clarify":
            best = ranked[0][0]
            code = "sound" if best.target is not None and best.target.form == "sound" and choice.asked == 1 else "ambiguous"
        elif choice.outcome == "reject":
            code = mood if mood in _REFUSING_MOODS else ("unknown_name" if clause.unknown else "unsure")
            if code == "unsure" and not_for_us > 0.5:
                code = "chat"
        return _Verdict(
            outcome=choice.outcome,
            code=code,
            options=tuple(ranked),
            not_for_us=not_for_us,
            asked=choice.asked,
            detail=_unknown_words(observation, frame),
        )

    def _is_off(self, service: str) -> bool:
        """Whether a service lies beyond the house and is not switched on."""
        return service in SERVICES and service not in self.beyond

    def _price(self, option: Option, frame: Frame) -> float:
        """Return C of a candidate; one that leaves a word unexplained, or is elsewhere than the room that was meant, is dearer."""
        price = self.costs.of([a.domain for a in option.actions])
        if all(a.service in _SMALL_STEPS for a in option.actions):
            price *= self.costs.small_step
        if frame.mood == "wish" and not frame.spans_of("NAME", "CLASS"):
            price *= self.costs.wish
        target = option.target
        if target is None:
            return price
        is_elsewhere = target.is_widened and (frame.mood == "wish" or bool(frame.spans_of("HERE")))
        is_loose = target.unmatched > 0 or target.has_area_conflict or is_elsewhere
        return price * self.costs.unexplained if is_loose else price

    def _when_nothing_fits(self, clause: ClauseOptions, none_of_these: float) -> str:
        """Return whether to ask or to refuse where no candidate may act."""
        if clause.frame.mood in ("command", "wish") and not clause.unknown and (clause.has_destroyed_value or _lacks_value(clause)):
            return "clarify"
        return "clarify" if none_of_these > 0.75 and not clause.unknown and not clause.is_unable else "reject"

    def _combine(
        self, base: Decision, observation: Observation, frames: Sequence[Frame], verdicts: Sequence[_Verdict], situation: Situation
    ) -> Decision:
        """Join the clauses: a clause that must not act is left out if it forbids, and stops everything if it is not understood."""
        moods = dict(frames[0].moods) if frames else {}
        base = replace(base, moods=moods, not_for_us=max((v.not_for_us for v in verdicts), default=1.0))
        candidates = self._candidates(verdicts, base.language)
        base = replace(base, candidates=candidates)
        if not verdicts:
            return self._refuse(base, "chat")
        if any(v.code in ("prohibition", "report") for v in verdicts if v.outcome == "reject"):
            verdicts = [_unless_named(v) for v in verdicts]
        if any(v.outcome == "act" and v.names and f.mood == "command" for v, f in zip(verdicts, frames, strict=True)):
            verdicts = [_unless_named(v) if f.mood == "wish" else v for v, f in zip(verdicts, frames, strict=True)]
        acting = [v for v in verdicts if v.outcome == "act"]
        asking = [v for v in verdicts if v.outcome == "clarify"]
        refusing = [v for v in verdicts if v.outcome == "reject"]
        blocking = [v for v in refusing if v.code not in ("prohibition", "chat", "report") or (v.names and v.code == "chat")] or (
            refusing if not acting and not asking else []
        )
        if blocking:
            worst = blocking[0]
            return replace(self._refuse(base, worst.code, name=worst.detail), confidence=worst.not_for_us)
        if asking:
            return self._ask_about(base, verdicts, asking[0])
        actions = _merge([a for v in acting for a in v.options[0][0].actions])
        actions = self._without(actions, _forbidden(verdicts))
        probability = 1.0
        for verdict in acting:
            probability *= verdict.options[0][1]
        if any_risky(actions, self.home):
            return self._ask(base, [self._candidate(actions, probability, base.language)], "risky")
        targets = {t for a in actions for t in a.targets}
        options = [v.options[0][0] for v in acting]
        if _is_broad(options, frames, observation, len(targets)):
            return self._ask(base, [self._candidate(actions, probability, base.language)], "many", count=len(targets))
        told = ""
        if all(a.service == "query.state" for a in actions):
            told = tell_states([t for a in actions for t in a.targets], self.home, situation.states, base.language)
        code = "told" if told else ("forwarded" if all(a.domain == "intent" for a in actions) else "confident")
        if actions and all(a.service in SERVICES for a in actions):
            code, told = "sent", describe(actions, self.home, base.language)
        return replace(
            base,
            outcome="act",
            actions=actions,
            confidence=probability,
            reason=reason(
                code,
                base.language,
                percent=f"{100 * probability:.0f} %" if base.language == "en" else f"{100 * probability:.0f}%",
                text=told,
            ),
            reason_code=code,
        )

    def _without(self, actions: tuple[Action, ...], forbidden: Collection[str]) -> tuple[Action, ...]:
        """Leave out of a set what another clause forbids to touch: "lights out, but leave the floor lamp"."""
        kept: list[Action] = []
        for action in actions:
            members = [m for t in action.targets for m in (self.home.entity_by_id[t].members if t in self.home.entity_by_id else ())]
            if len(action.targets) > 1 or any(m in forbidden for m in members):
                spread = [
                    one
                    for t in action.targets
                    for one in (self.home.entity_by_id[t].members if set(self.home.entity_by_id[t].members) & set(forbidden) else (t,))
                ]
                left = tuple(sorted(t for t in dict.fromkeys(spread) if t not in forbidden))
                if left:
                    kept.append(replace(action, targets=left))
            else:
                kept.append(action)
        return tuple(kept) or actions

    def _ask_about(self, base: Decision, verdicts: Sequence[_Verdict], asking: _Verdict) -> Decision:
        """Ask about one clause; the choices hold the certain clauses too."""
        offered = asking.options[: max(1, asking.asked)] if asking.asked else ()
        choices = []
        for option, probability in offered:
            actions: list[Action] = []
            for verdict in verdicts:
                if verdict is asking:
                    actions += option.actions
                elif verdict.outcome == "act":
                    actions += verdict.options[0][0].actions
            choices.append(self._candidate(_merge(actions), probability, base.language))
        return self._ask(base, choices, asking.code)

    def _ask(self, base: Decision, choices: Sequence[Candidate], code: str, **values: object) -> Decision:
        question, offered = self._offer(choices, base.language) if choices else (open_question(code, base.language), ())
        return replace(
            base,
            outcome="clarify",
            question=question,
            choices=offered,
            confidence=min(1.0, sum(c.probability for c in offered)),
            reason=reason(code, base.language, **values),
            reason_code=code,
        )

    def _offer(self, choices: Sequence[Candidate], language: str) -> tuple[str, tuple[Candidate, ...]]:
        """Return the question between some choices, and the choices under the names that answer it."""
        labels = name_choices([choice.actions for choice in choices], self.home, language)
        if labels is None:
            return question_between([choice.label for choice in choices], language), tuple(choices)
        named = tuple(replace(choice, label=label) for choice, label in zip(choices, labels, strict=True))
        if any(any_risky(choice.actions, self.home) for choice in choices):
            return question_which_to(choices[0].actions[0], labels, language), named
        return question_which(labels, language), named

    def _refuse(self, base: Decision, code: str, *, name: str = "") -> Decision:
        if code == "unknown_name" and not name:
            code = "no_target"
        if code == "not_switched_on":
            name = CANNOT[base.language][name]
        return replace(base, outcome="reject", reason=reason(code, base.language, name=name), reason_code=code)

    def _candidate(self, actions: Sequence[Action], probability: float, language: str) -> Candidate:
        label = describe(actions, self.home, language, with_area=True)
        return Candidate(actions=tuple(actions), probability=probability, label=label)

    def _candidates(self, verdicts: Sequence[_Verdict], language: str) -> tuple[Candidate, ...]:
        """Return what was considered: the candidates of a single clause, or the joined best of several."""
        if len(verdicts) == 1:
            return tuple(Candidate(actions=o.actions, probability=p, label="", features=o.features) for o, p in verdicts[0].options)
        joined = _merge([a for v in verdicts if v.options for a in v.options[0][0].actions])
        probability = 1.0
        for verdict in verdicts:
            probability *= verdict.options[0][1] if verdict.options else 1.0
        return (self._candidate(joined, probability, language),) if joined else ()


def _forbidden(verdicts: Sequence[_Verdict]) -> set[str]:
    """Return the entities that a clause forbids to touch, where it names them for sure."""
    best = [v.options[0][0].target for v in verdicts if v.outcome == "reject" and v.code == "prohibition" and v.names and v.options]
    return {e.id for target in best if target is not None and target.rivals == 1 and not target.unmatched for e in target.entities}


def _unless_named(verdict: _Verdict) -> _Verdict:
    """Refuse a clause that names nothing beside one that forbids or tells: it belongs to that one ("don't close it, leave some light").

    So does a complaint beside a command that names its device: it is the reason, and that is what was asked for.
    """
    if verdict.outcome == "reject":
        return verdict
    target = verdict.options[0][0].target if verdict.options else None
    names = target is not None and target.form not in ("implied", "previous")
    return verdict if names else replace(verdict, outcome="reject", code="report")


def _service_on(service: str, domain: str) -> str:
    """Return a service on another domain: what is switched on there is switched on by its own service."""
    old, _, verb = service.partition(".")
    return service if old in ("query", "intent", "homeassistant") else f"{domain}.{verb}"


_SMALL_STEPS = frozenset({"media_player.volume_up", "media_player.volume_down"})


_AT_ONCE = frozenset({"phone.call", "phone.message", "navigation.route"})
"""What is done at once or not at all; a question about tomorrow's traffic may be asked now."""


def _without_titles(words: Sequence[str], frame: Frame) -> list[str]:
    """Return the words with those of a message, a contact or a place blanked: "text mum see you tomorrow" is not for later."""
    inside = {i for span in frame.spans_of("CONTENT", "CONTACT", "PLACE") for i in range(span.start, span.end)}
    return ["" if i in inside else word for i, word in enumerate(words)]


def _with_what_was_spoken_of(ranked: list[tuple[Option, float]], frame: Frame) -> list[tuple[Option, float]]:
    """Give what was spoken of last the probability of what nobody named, where it is likelier already.

    "Now at sixty" after a lamp is no word about the radio, although the radio can be at sixty too.
    """
    if not ranked or frame.spans_of("NAME", "CLASS", "AREA", "FLOOR", "HERE") or frame.mood != "command":
        return ranked
    best, probability = ranked[0]
    if best.target is None or best.target.form != "previous":
        return ranked
    unnamed = [(o, p) for o, p in ranked[1:] if o.target is not None and o.target.form == "implied"]
    rest = [(o, p) for o, p in ranked[1:] if (o, p) not in unnamed]
    return [(best, probability + sum(p for _, p in unnamed)), *rest, *((o, 0.0) for o, _ in unnamed)]


def _lacks_value(clause: ClauseOptions) -> bool:
    """Whether something is to be set on a device that is named, and to what was not said or not heard."""
    frame = clause.frame
    return not frame.spans_of("VALUE", "DELTA", "COLOR", "WHITE", "MODE") and (
        frame.operation == "set" and frame.operations[0][1] > SURE_OPERATION and bool(frame.spans_of("NAME", "CLASS")) and clause.is_unable
    )


def _leaves_out_a_name(option: Option, frame: Frame) -> bool:
    """Whether several devices were named, and one of them is not able to do what would be done with the others."""
    if option.target is None or len(frame.spans_of("NAME", "CLASS")) < 2 or option.operation in ("query", "same"):
        return False
    done = {target for action in option.actions for target in action.targets}
    return any(entity.id not in done for entity in option.target.entities)


def _nothing_code(clause: ClauseOptions) -> str:
    if clause.has_destroyed_value or _lacks_value(clause):
        return "value"
    if clause.unknown:
        return "unknown_name"
    if clause.is_unable:
        return "unable"
    if clause.frame.mood == "question":
        return "question"
    return "no_target" if clause.frame.operation != "none" else "chat"


def _unknown_words(observation: Observation, frame: Frame) -> str:
    """Return the words that name something this home does not have."""
    words: list[str] = []
    for span in frame.spans_of("NAME", "AREA", "FLOOR"):
        known = any(m.start < span.end and m.end > span.start and m.form != "sound" for m in observation.matches)
        if not known:
            words += observation.words[span.start : span.end]
    return join(words)


def _merge(actions: Sequence[Action]) -> tuple[Action, ...]:
    """Drop repeated actions, keeping the order."""
    return tuple({action.key: action for action in actions}.values())


def _is_broad(options: Sequence[Option], frames: Sequence[Frame], observation: Observation, targets: int) -> bool:
    """Whether a sentence that does not say all would change many devices, or a whole floor."""
    if asks_for_all(observation.words):
        return False
    if targets > MANY_TARGETS:
        return True
    floors = any(frame.spans_of("FLOOR") for frame in frames)
    return floors and any(o.target is not None and o.target.form in ("kind", "area") and len(o.target.entities) > 1 for o in options)
