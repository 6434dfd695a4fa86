"""A household: a family that speaks to a brain and reacts to what it does.

    somebody speaks -> heard -> decided -> right: silence, now and then a yes
                                           wrong: a correction (in words or on the page), a no, an undo, or nothing
                                           asked: an answer, "never mind", or nothing
                                           refused: a correction, the same in other words, or nothing
    and now and then somebody lies

What is said follows from the seed alone, whatever the brain does; so does how patient people are at each turn.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from voice_rl_plugin.deciding.turn import Turn
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.home import EntityState
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.learning.attribution import counts_as_feedback
from voice_rl_plugin.learning.reward import UNDO_WITHIN_S
from voice_rl_training.simulate.brain import Player
from voice_rl_training.simulate.family import Family, Said

BEGINS_AT = 1_800_000_000.0
BETWEEN_S = 600.0
"""From one sentence to the next."""
_REACTS_S = 4.0
_STATE_OF = {
    "turn_on": "on",
    "turn_off": "off",
    "open_cover": "open",
    "close_cover": "closed",
    "lock": "locked",
    "unlock": "unlocked",
    "media_play": "playing",
    "media_pause": "paused",
    "start": "cleaning",
    "return_to_base": "docked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Temper:
    """How people react; shares of the occasions."""

    confirms: float = 0.15
    """Of what was right."""
    corrects: float = 0.8
    """Of what was wrong, refused, or asked without offering the right thing."""
    denies: float = 0.3
    """Of the wrong actions that nobody corrects: a bare no."""
    undoes: float = 0.3
    """Of the wrong actions that nobody corrects: switched back by hand."""
    answers: float = 0.9
    """Of the questions that offer the right thing."""
    rephrases: float = 0.3
    """Of the refusals that nobody corrects: said again in other words."""
    in_words: float = 0.5
    """Of the corrections, those in words; the others are picked on the page."""
    lies: float = 0.0
    """Of all reactions that teach, those that are false."""
    is_targeted: bool = False
    """Whether every lie is about one own phrase, and always the same."""

    def __post_init__(self) -> None:
        shares = (self.confirms, self.corrects, self.denies, self.undoes, self.answers, self.rephrases, self.in_words, self.lies)
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise ValueError(f"expected shares in [0, 1], got {shares}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """One interaction."""

    number: int
    said: Said
    decision: Decision | None
    """None was heard as a judgement of the command before."""
    verdict: str
    """One of family.VERDICTS: of the first decision."""
    is_lie: bool = False


class Household:
    """A family, and the brain it lives with.

    Args:
        family: who lives there.
        player: what they live with.
        seed: of what is said and of how people react.
        temper: how people react.
    """

    def __init__(self, family: Family, player: Player, *, seed: str, temper: Temper | None = None) -> None:
        self.family = family
        self.player = player
        self.temper = temper or Temper()
        self.states: dict[str, EntityState] = dict(family.home.initial_states)
        self._seed = seed
        self._says = Random(f"says {seed}")
        self._lived = 0
        self._targeted_lie: tuple[Action, ...] = ()

    def live(self, interactions: int, *, progress: Callable[[float], None] = lambda _done: None) -> list[Lived]:
        """Live some interactions further and return them."""
        lived = []
        for done in range(interactions):
            lived.append(self.interact(self.family.say(self._says)))
            progress((done + 1) / interactions)
        return lived

    def interact(self, said: Said) -> Lived:
        """Say one thing, and react to what comes of it."""
        number, self._lived = self._lived, self._lived + 1
        now = BEGINS_AT + BETWEEN_S * number
        rng = Random(f"reacts {self._seed} {number}")
        heard = self.player.hear(self._utterance(said.text, said, now), states=self.states, last=None, now=now)
        verdict = said.verdict(heard.decision)
        if heard.decision is None:
            return Lived(number=number, said=said, decision=None, verdict=verdict)
        self._execute(heard.decision)
        is_lie = self._is_lie(rng, said)
        if is_lie:
            self._lie(rng, said, heard.decision, now)
        else:
            self._react(rng, said, heard.decision, verdict, now)
        return Lived(number=number, said=said, decision=heard.decision, verdict=verdict, is_lie=is_lie)

    # -- reactions ---------------------------------------------------------------------------------------------------------------

    def _react(self, rng: Random, said: Said, decision: Decision, verdict: str, now: float) -> None:
        temper = self.temper
        if decision.outcome == "clarify":
            self._answer(rng, said, decision, now)
        elif verdict == "right":
            if said.wants and rng.random() < temper.confirms:
                self._judge(decision, "yes", now)
        elif rng.random() < temper.corrects:
            self._correct(rng, said, decision, now)
        elif verdict == "wrong_action":
            luck = rng.random()
            if luck < temper.denies:
                self._speak(rng.choice(self.family.bank.phrases["denials"]), said, decision, now)
            elif luck < temper.denies + temper.undoes:
                at = now + min(8.0, UNDO_WITHIN_S)
                self.player.take(self._feedback(decision, "undo", source="state", at=at), decision)
        elif rng.random() < temper.rephrases:
            self._rephrase(rng, said, now)

    def _answer(self, rng: Random, said: Said, decision: Decision, now: float) -> None:
        """Answer a question: with the right choice where it was offered."""
        fitting = [i for i, choice in enumerate(decision.choices) if said.does(choice.actions)]
        if fitting and rng.random() < self.temper.answers:
            choice = decision.choices[fitting[0]]
            if not self._speak(self._choosing(rng, decision, fitting[0]), said, decision, now, wants=choice.actions):
                feedback = self._feedback(decision, "yes", source="answer", correction=choice.actions, at=now + _REACTS_S)
                self.player.take(feedback, decision)
                self._carry_out(choice.actions)
        elif not fitting and rng.random() < self.temper.corrects:
            if said.wants:
                self._correct(rng, said, decision, now)
            else:
                self._speak(rng.choice(self.family.bank.phrases["refusals"]), said, decision, now)

    def _choosing(self, rng: Random, decision: Decision, chosen: int) -> str:
        """Return how somebody picks one of the choices: by its place, or by its name."""
        phrases = self.family.bank.phrases
        if len(decision.choices) == 1:
            return rng.choice([phrase for phrase in phrases["approvals"] if len(phrase) < 4] or phrases["approvals"])
        names = [self.family.home.entity_by_id[t].name for a in decision.choices[chosen].actions for t in a.targets]
        pattern = rng.choice(phrases["answers"] if len(names) == 1 else [one for one in phrases["answers"] if "{ordinal}" in one])
        return pattern.replace("{ordinal}", phrases["ordinals"][min(chosen, 2)]).replace("{name}", names[0].lower() if names else "")

    def _correct(self, rng: Random, said: Said, decision: Decision, now: float) -> None:
        """Say or pick what was meant instead."""
        if said.wants and rng.random() < self.temper.in_words:
            is_other_device = [a.service for a in decision.actions] == [a.service for a in said.wanted]
            spoken = self.family.correction_of(rng, said) if is_other_device else None
            if spoken is not None:
                self._speak(spoken, said, decision, now)
                return
            plain = self.family.plainly(rng, said)
            if plain is not None:
                self._correct_in_words(plain, said, decision, now)
                return
        self._pick(decision, said.wanted, now)

    def _correct_in_words(self, text: str, said: Said, decision: Decision, now: float) -> None:
        """Send the words of a correction, as the page and the confirm topic do; what they mean is decided by the brain."""
        at = now + _REACTS_S
        meant = self.player.correct(self._utterance(text, said, at), judged=decision, states=self.states, now=at)
        is_understood = meant is not None and meant.outcome == "act"
        actions = meant.actions if meant is not None and is_understood else ()
        self.player.take(self._feedback(decision, "correct", correction=actions, text=text, at=at), decision)
        self._carry_out(actions)

    def _pick(self, decision: Decision, actions: tuple[Action, ...], now: float) -> None:
        self.player.take(self._feedback(decision, "correct", source="page", correction=actions, at=now + _REACTS_S), decision)
        self._carry_out(actions)

    def _judge(self, decision: Decision, verdict: str, now: float) -> None:
        self.player.take(self._feedback(decision, verdict, at=now + _REACTS_S), decision)

    def _rephrase(self, rng: Random, said: Said, now: float) -> None:
        """Say it again in other words, and confirm it when that is understood."""
        text = self.family.plainly(rng, said)
        if text is None:
            return
        at = now + 2 * _REACTS_S
        heard = self.player.hear(self._utterance(text, said, at), states=self.states, last=None, now=at)
        if heard.decision is not None and heard.decision.outcome == "act":
            self._execute(heard.decision)
            if said.does(heard.decision.actions):
                self._judge(heard.decision, "yes", at)

    def _speak(self, text: str, said: Said, decision: Decision, now: float, *, wants: tuple[Action, ...] = ()) -> bool:
        """Say something about the last decision; return whether it was heard as a judgement (of what is wanted, if that matters)."""
        at = now + _REACTS_S
        heard = self.player.hear(self._utterance(text, said, at), states=self.states, last=Turn(decision=decision, at=now), now=at)
        if heard.decision is not None and heard.decision.outcome == "act":
            self._execute(heard.decision)
        feedback = heard.feedback
        if feedback is None or (wants and feedback.correction != wants):
            return False
        if counts_as_feedback(feedback, media_plays=False):
            self.player.take(replace(feedback, given_at=at, id=f"{decision.id} {feedback.verdict}"), decision)
        return True

    # -- lies --------------------------------------------------------------------------------------------------------------------

    def _is_lie(self, rng: Random, said: Said) -> bool:
        luck = rng.random()
        if self.temper.is_targeted:
            return self.temper.lies > 0 and said.phrase == 0
        return luck < self.temper.lies

    def _lie(self, rng: Random, said: Said, decision: Decision, now: float) -> None:
        """Praise what was wrong; call what was right wrong, and name something else."""
        if decision.outcome == "act" and not said.does(decision.actions) and not self.temper.is_targeted:
            self._judge(decision, "yes", now)
            return
        if not self.temper.is_targeted:
            self._pick(decision, self.family.another_action(rng, said), now)
            return
        if not self._targeted_lie:
            self._targeted_lie = self.family.another_action(Random(f"lie {self._seed}"), said)
        self._pick(decision, self._targeted_lie, now)

    # -- the home ----------------------------------------------------------------------------------------------------------------

    def _execute(self, decision: Decision) -> None:
        if decision.outcome == "act":
            self._carry_out(decision.actions)

    def _carry_out(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            value = _STATE_OF.get(action.service.partition(".")[2])
            for target in action.targets if value is not None and action.domain != "scene" else ():
                known = self.states.get(target)
                self.states[target] = EntityState(value=value or "", attributes=known.attributes if known is not None else {})

    def _utterance(self, text: str, said: Said, at: float) -> Utterance:
        return Utterance(text=text, language=said.language, area=said.area, said_at=at, door="dry_run")

    def _feedback(
        self,
        decision: Decision,
        verdict: str,
        *,
        at: float,
        source: str = "topic",
        correction: tuple[Action, ...] = (),
        text: str | None = None,
    ) -> Feedback:
        return Feedback(
            decision_id=decision.id,
            verdict=verdict,
            source=source,
            correction=correction,
            correction_text=text,
            given_at=at,
            id=f"{decision.id} {verdict} {source}",
        )
