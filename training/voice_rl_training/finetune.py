"""Fine-tuning: base + adapter, fitted on this home's labels with replay; then the scorer; then its temperature.

    theta <- theta - eta grad [ L(labels) + rho D(replay) + lambda |theta - theta_base|^2 ]

L is the cross-entropy of the readings that the base does not give by itself; D is how far replayed sentences move from the base's own readings.

Personal training always starts from the base: drift is bounded, and what was erased from the log leaves the weights.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from voice_rl_plugin.deciding.value import Costs
from voice_rl_plugin.domain.frame import TAGS
from voice_rl_plugin.understanding.frames import decode, split_heads
from voice_rl_training.adapter import Adapter, Rows, drift
from voice_rl_training.algorithms import corrections_only
from voice_rl_training.corpus.samples import Sample
from voice_rl_training.decision_rows import LoggedSample, decision_rows, reward_loss
from voice_rl_training.losses import reading_loss
from voice_rl_training.networks import Encoder, Scorer
from voice_rl_training.pretrain import ChoiceRows, _join_rows, _temperature, choice_rows, score
from voice_rl_training.readings import LabelledSample
from voice_rl_training.recipe import FinetuneRecipe

Progress = Callable[[float], None]
"""Called with how much is done, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """All that a challenger is fitted on."""

    labelled: Sequence[LabelledSample]
    replay: Sequence[Sample]
    choices: Sequence[Sample]
    """Replayed for the scorer: sentences that the encoder was never trained on, as those of a home are."""
    calibration: Sequence[Sample]
    """Held out; the temperature is fitted on it."""
    logged: Sequence[LoggedSample] = ()
    """Used by every algorithm but `corrections_only`."""


def finetune(base: tuple[Encoder, Scorer], lesson: Lesson, recipe: FinetuneRecipe, *, progress: Progress) -> tuple[Encoder, Scorer]:
    """Return a challenger.

    Args:
        base: the networks to start from; left as they are.
        lesson: what to learn, and what not to forget.
        recipe: every hyperparameter.
        progress: told how far it is.
    """
    torch.manual_seed(recipe.seed)
    encoder = fit_encoder(base[0], lesson, recipe, progress=lambda done: progress(0.6 * done))
    scorer = fit_scorer(encoder, base[1], lesson, recipe)
    progress(0.9)
    held_out = choice_rows(encoder, list(lesson.calibration))
    if len(held_out.targets):
        calibrate(scorer, held_out)
    progress(1.0)
    return encoder, scorer


@torch.no_grad()
def blend(base: tuple[Encoder, Scorer], tuned: tuple[Encoder, Scorer], share: float) -> tuple[Encoder, Scorer]:
    """Return networks that go a share of the way from the base to the tuned ones.

    Args:
        base: encoder and scorer at share 0.
        tuned: encoder and scorer at share 1.
        share: in [0, 1].
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"expected a share in [0, 1], got {share}")
    mixed = copy.deepcopy(base)
    for network, end in zip(mixed, tuned, strict=True):
        for kept, new in zip(network.parameters(), end.parameters(), strict=True):
            kept.lerp_(new, share)
    return mixed


def fit_encoder(base: Encoder, lesson: Lesson, recipe: FinetuneRecipe, *, progress: Progress) -> Encoder:
    """Return the base with an adapter that reads this home's labelled sentences as their readings say."""
    if not lesson.labelled or not recipe.steps:
        return copy.deepcopy(base)
    new = [sample for sample in lesson.labelled if not reads_as(base, sample)]
    known = [sample for sample in lesson.labelled if reads_as(base, sample)]
    if not new:
        return copy.deepcopy(base)
    labelled = Rows(base, list(new), weights=[sample.weight for sample in new])
    replay = Rows(base, [*known, *lesson.replay])
    buckets = labelled.buckets()
    for rows in (labelled, replay):
        rows.index_terms(buckets)
    adapter = Adapter(base, buckets)
    optimizer = torch.optim.Adam(
        [
            {"params": [adapter.weight, adapter.bias], "rate": recipe.learning_rate},
            {"params": [adapter.terms], "rate": recipe.term_learning_rate},
        ]
    )
    rng = np.random.default_rng(recipe.seed)
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        batch, logits, hidden, terms = labelled.batch(_choose(labelled, rng, recipe.labelled_a_step))
        loss = reading_loss(adapter(logits, hidden, terms), batch)[0] + recipe.penalty * adapter.penalty()
        if replay.count:
            batch, logits, hidden, terms = replay.batch(_choose(replay, rng, recipe.replay_a_step))
            loss = loss + recipe.drift_weight * drift(adapter(logits, hidden, terms), logits, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 25 == 0:
            progress(step / recipe.steps)
    return adapter.merged(base)


def _choose(rows: Rows, rng: np.random.Generator, size: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return rng.integers(0, rows.count, min(size, rows.count))


def reads_as(encoder: Encoder, sample: Sample) -> bool:
    """Whether a network by itself reads a sample as its labels say: clauses, mood, operation, property and tags."""
    logits = split_heads(_heads(encoder, sample))
    frames = decode(logits)
    if [frame.start for frame in frames] != [clause.start for clause in sample.clauses]:
        return False
    if any(tag != TAGS[best] for tag, best in zip(sample.tags, logits.tags.argmax(1), strict=True)):
        return False
    return all(
        frame.mood == clause.mood and clause.operation in (None, frame.operation) and clause.property in (None, frame.property)
        for frame, clause in zip(frames, sample.clauses, strict=True)
    )


def fit_scorer(encoder: Encoder, base: Scorer, lesson: Lesson, recipe: FinetuneRecipe) -> Scorer:
    """Return the scorer, fitted on the candidates that the new encoder gives."""
    scorer = copy.deepcopy(base).train()
    if not lesson.labelled or not recipe.scorer_steps:
        return scorer.eval()
    labelled, weights = labelled_rows(encoder, lesson.labelled)
    replay = choice_rows(encoder, list(lesson.choices))
    costs = Costs()
    logged = decision_rows(encoder, lesson.logged if recipe.algorithm != "corrections_only" else (), costs)
    start = [parameter.detach().clone() for parameter in scorer.parameters()]
    trained = [parameter for parameter in scorer.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=recipe.scorer_learning_rate)
    generator = torch.Generator().manual_seed(recipe.seed)
    for step in range(recipe.scorer_steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.scorer_learning_rate * 0.5 * (1 + math.cos(math.pi * step / recipe.scorer_steps))
        loss = recipe.scorer_penalty * sum(
            ((now - then).square().sum() for now, then in zip(scorer.parameters(), start, strict=True)), torch.zeros(())
        )
        if len(labelled.targets):
            chosen = _draw(len(labelled.targets), recipe.labelled_a_step, generator)
            part = _part(labelled, chosen)
            loss = loss + corrections_only.loss(score(scorer, part), part.targets, weights[chosen])
        if len(replay.targets):
            part = _part(replay, _draw(len(replay.targets), recipe.replay_a_step, generator))
            loss = loss + recipe.replay_weight * corrections_only.loss(score(scorer, part), part.targets, torch.ones(len(part.targets)))
        if len(logged):
            batch = logged.part(_draw(len(logged), recipe.labelled_a_step, generator))
            loss = loss + recipe.logged_weight * reward_loss(recipe.algorithm, scorer, base, batch, costs)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return scorer.eval()


def _draw(count: int, size: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, count, (min(size, count),), generator=generator)


def _part(rows: ChoiceRows, chosen: Tensor) -> ChoiceRows:
    return ChoiceRows(
        features=rows.features[chosen], missing=rows.missing[chosen], context=rows.context[chosen], targets=rows.targets[chosen]
    )


def labelled_rows(encoder: Encoder, samples: Sequence[LabelledSample]) -> tuple[ChoiceRows, Tensor]:
    """Return the choices of labelled samples, and the weight of each."""
    parts = [(choice_rows(encoder, [sample]), sample.weight) for sample in samples]
    weights = [weight for part, weight in parts for _ in range(len(part.targets))]
    return _join_rows([part for part, _ in parts]), torch.tensor(weights, dtype=torch.float32)


@torch.no_grad()
def _heads(encoder: Encoder, sample: Sample) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    observation = sample.observation()
    return encoder(  # type: ignore[no-any-return]
        torch.from_numpy(observation.ids.astype(np.int64))[None],
        torch.from_numpy(observation.ngrams.astype(np.int64))[None],
        torch.from_numpy(observation.lexical)[None],
        torch.from_numpy(observation.context.astype(np.int64))[None],
    )[0].numpy()


@torch.no_grad()
def calibrate(scorer: Scorer, rows: ChoiceRows) -> None:
    """Fit the temperature on held-out rows, and fold it into the last layers, so that the graph's own temperature stays.

    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    before = scorer.temperature.data.clone()
    fitted = _temperature(scorer, rows)
    scorer.temperature.data = before
    for layer in (scorer.candidate[4], scorer.nothing[2]):
        for parameter in layer.parameters():
            parameter.mul_(before / fitted)
