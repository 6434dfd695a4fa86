"""Rehearsal: a scripted household talks to a model, judges what it does, and retrains it; the figures before and after.

    N sentences in this home: the held-out voice, and a few phrases of the family's own, said again and again
    -> what was right is confirmed, what was wrong is corrected, what was asked is answered
    -> retrain, as in a home -> the gate's report

It never confirms what it does not know: a sentence whose right answer is a question stays unlabelled.
"""

from dataclasses import dataclass
from random import Random

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.domain.transition import Transition
from voice_rl_plugin.learning.models import ModelStore
from voice_rl_training.evaluation import Case, Judged, Scorecard, cases_of_samples, hear_all, scorecard
from voice_rl_training.recipe import FinetuneRecipe
from voice_rl_training.replay import home_samples
from voice_rl_training.retrain import Experience, Outcome, Progress, load_policy, retrain

OWN_PHRASES = {
    "en": ("film time", "nest mode please", "let there be breeze", "wrap it up in here"),
    "zh": ("看片儿啦", "睡觉觉喽", "来点凉快的", "收摊儿"),
}
"""What a family says and no stranger understands; each means something else in each rehearsal."""
OWN_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What a rehearsal showed."""

    before: Scorecard
    """The model on the household's sentences, before it learned."""
    after: Scorecard | None
    """The new model on other sentences like them; None when nothing was trained."""
    before_unheard: Scorecard
    """The old model on the same other sentences."""
    outcome: Outcome


def rehearse(
    home: Home, models: ModelStore, *, language: str, interactions: int, seed: int, recipe: FinetuneRecipe, progress: Progress
) -> Rehearsal:
    """Let a scripted household live with the champion for some interactions, then retrain it.

    Args:
        home: where they live.
        models: whose champion is retrained.
        language: `en` or `zh`.
        interactions: how many sentences they say.
        seed: of everything.
        recipe: how the challenger is made.
        progress: told how far it is.
    """
    champion = load_policy(models.champion(), version=models.champion_version())
    said = _sentences(home, language, interactions, seed=seed)
    unheard = _sentences(home, language, 600, seed=seed + 1)
    judged = hear_all(champion, said)
    transitions = tuple(_transition(number, one, language) for number, one in enumerate(judged))
    outcome = retrain(Experience(transitions=transitions), home=home, models=models, recipe=recipe, now=2e9, progress=progress)
    after = None
    if outcome.version is not None:
        challenger = load_policy(models.path / outcome.version, version=outcome.version)
        after = scorecard(hear_all(challenger, unheard))
    return Rehearsal(before=scorecard(judged), after=after, before_unheard=scorecard(hear_all(champion, unheard)), outcome=outcome)


def _sentences(home: Home, language: str, count: int, *, seed: int) -> list[Case]:
    """Return what the household says: the same own phrases for every seed, other everyday sentences for each."""
    rng = Random(f"rehearsal {seed} {language}")
    cases = list(cases_of_samples(home_samples(home, count, seed=seed, use="stranger", languages=(language,))))
    meanings = _meanings(home, language)
    own = [rng.choice(meanings) for _ in range(round(OWN_SHARE * count))]
    cases = cases[: count - len(own)] + own
    rng.shuffle(cases)
    return cases


def _meanings(home: Home, language: str) -> list[Case]:
    """Return the own phrases with what they mean here: the lights or the fan of a room."""
    rooms = [a.id for a in home.areas if any(e.domain in ("light", "fan") for e in home.exposed_by_area.get(a.id, ()))]
    cases = []
    for number, phrase in enumerate(OWN_PHRASES[language]):
        room = rooms[number % len(rooms)]
        lights = tuple(sorted(e.id for e in home.exposed_by_area[room] if e.domain == "light"))
        fans = tuple(e.id for e in home.exposed_by_area[room] if e.domain == "fan")
        action = Action(service="light.turn_off", targets=lights) if lights else Action(service="fan.turn_on", targets=fans[:1])
        cases.append(Case(text=phrase, home=home, want=(action,), area=room, language=language))
    return cases


def _transition(number: int, judged: Judged, language: str) -> Transition:
    case, decision = judged.case, judged.decision
    correction: tuple[dict[str, object], ...] | None = None
    reward: float | None = None
    if case.want != "clarify":
        wanted: tuple[Action, ...] = () if isinstance(case.want, str) else case.want
        correction = tuple(action.to_payload() for action in wanted)
        reward = 1.0 if judged.verdict == "right" else -1.0
    return Transition(
        decision_id=f"rehearsal-{number}",
        text=case.text,
        language=language,
        area=case.area,
        previous=tuple(action.to_payload() for action in case.previous),
        outcome=decision.outcome,
        actions=tuple(action.to_payload() for action in decision.actions),
        candidates=(),
        propensity=1.0,
        policy_version=decision.policy_version,
        stage=decision.stage,
        reward=reward,
        reward_source="topic" if reward is not None else None,
        correction=correction,
        decided_at=1e9 + number,
    )
