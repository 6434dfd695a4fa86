"""Pretraining: corpus -> encoder -> scorer -> calibration -> evaluation -> model folder, from one recipe and one seed.

Each stage leaves a file in the work folder, so that an interrupted run goes on where it stopped.
"""

import copy
import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.understanding.candidates import CANDIDATE_FEATURES, CONTEXT_FEATURES, MOST_CANDIDATES, clause_options
from voice_rl_plugin.understanding.frames import decode, split_heads
from voice_rl_training.batches import Batch, batches
from voice_rl_training.corpus.build import CorpusPlan, build, load_shards, samples_of
from voice_rl_training.corpus.samples import Sample
from voice_rl_training.losses import choice_loss, reading_loss
from voice_rl_training.masks import Mask
from voice_rl_training.networks import Encoder, Scorer
from voice_rl_training.recipe import PretrainRecipe
from voice_rl_training.team import Team, expect_rows

_LOGGER = logging.getLogger(__name__)
ALONE = Team()
Progress = Callable[[str, float], None]
"""Called with a phase and how much of it is done, in [0, 1]."""


def pretrain(
    recipe: PretrainRecipe, *, human: Path | None, work: Path, processes: int, progress: Progress, team: Team = ALONE
) -> tuple[Encoder, Scorer, dict[str, Any]]:
    """Make the base networks from source.

    Args:
        recipe: every hyperparameter.
        human: folder of human sentences, or None to do without.
        work: where corpus shards and checkpoints are kept; reused when the recipe is the same.
        processes: how many processes make the corpus.
        progress: told how far it is.
        team: the processes that train the encoder together; the first one does all the rest.

    Returns:
        The encoder, the scorer, and what was measured on the way; but for the first one of a team the scorer is untrained, nothing measured.
    """
    torch.manual_seed(recipe.seed)
    work = work / recipe.fingerprint()
    work.mkdir(parents=True, exist_ok=True)
    if not team.leads:
        team.wait()
    shards = _corpus(recipe, human, work, processes, progress)
    if team.leads:
        team.wait()
    encoder = _encoder(recipe, shards, work, progress, team)
    if not team.leads:
        return encoder, Scorer(), {}
    scorer, measured = _scorer(recipe, encoder, processes, progress)
    digest = hashlib.sha256("".join(sorted(_digest(path) for path in shards)).encode()).hexdigest()
    return encoder, scorer, {**measured, "data_sha256": digest, "recipe": recipe.to_mapping()}


def mask_of(recipe: PretrainRecipe) -> Mask:
    """Return which inputs a recipe's networks do without."""
    return Mask(lexical=recipe.lexical, phonetics=recipe.phonetics)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _corpus(recipe: PretrainRecipe, human: Path | None, work: Path, processes: int, progress: Progress) -> list[Path]:
    folder = work / "corpus"
    plans = [
        (
            CorpusPlan(
                seed=recipe.seed * 10_000 + number,
                homes=recipe.homes_a_shard,
                use="encoder",
                noise=recipe.noise,
                compound=recipe.compound,
                reasons=recipe.reasons,
                phrasebook=recipe.phrasebook,
                templates=recipe.templates,
            ),
            folder / f"speech-{number:03}.npz",
        )
        for number in range(recipe.shards)
    ]
    jobs = []
    if human is not None and recipe.human:
        parts = recipe.human_shards
        jobs = [
            {"folder": human, "part": part, "parts": parts, "is_dev": False, "seed": recipe.seed, "path": folder / f"human-{part:02}.npz"}
            for part in range(parts)
        ]
    paths = []
    for done, path in enumerate(build(plans, jobs, processes=processes), 1):
        paths.append(path)
        progress("corpus", done / (len(plans) + len(jobs)))
    return paths


def drop_names(batch: Batch, *, share: float, lexical_share: float, word_share: float) -> Batch:
    """Hide some words from the encoder, so that it learns to trust the flags, the context, and neither alone.

    Args:
        batch: as `collate` makes it.
        share: chance of a token of a name or a room to lose its word ids.
        lexical_share: chance of a whole sentence to lose its flags.
        word_share: chance of any token to lose its word ids.
    """
    ids, lexical = batch["ids"].clone(), batch["lexical"]
    named = lexical[..., :9].amax(-1) > 0
    draw = torch.rand(ids.shape[:2])
    ids[(named & (draw < share)) | (draw < word_share)] = 0
    keep = (torch.rand(ids.shape[0]) >= lexical_share).float()[:, None, None]
    return {**batch, "ids": ids, "lexical": lexical * keep}


def _encoder(recipe: PretrainRecipe, shards: list[Path], work: Path, progress: Progress, team: Team = ALONE) -> Encoder:
    encoder = Encoder(width=recipe.width, layers=recipe.layers, dropout=recipe.dropout, ngram_term=recipe.ngram_term)
    finished = work / "encoder.safetensors"
    if finished.exists():
        encoder.load_state_dict(load_file(finished))
        return encoder.eval()
    arrays = mask_of(recipe).arrays(load_shards(shards))
    steps_an_epoch = sum(1 for _ in _Sizes(arrays, recipe))
    total = steps_an_epoch * recipe.epochs
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    average = copy.deepcopy(encoder).eval()
    step, first_epoch = 0, 0
    checkpoint = work / "encoder.partial.safetensors"
    if checkpoint.exists():
        first_epoch = int(json.loads((work / "encoder.partial.json").read_text())["epochs"])
        encoder.load_state_dict(load_file(checkpoint))
        average.load_state_dict(load_file(checkpoint))
        step = first_epoch * steps_an_epoch
    half = recipe.bfloat16 and torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - without the instructions it is emulated, and slower
    team.adopt(encoder, average)
    encoder.train()
    for epoch in range(first_epoch, recipe.epochs):
        shown = time.monotonic()
        for batch in batches(arrays, seed=recipe.seed, epoch=epoch, tokens=recipe.tokens_a_batch):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * min(1.0, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
            seen = drop_names(batch, share=recipe.name_dropout, lexical_share=recipe.lexical_dropout, word_share=recipe.word_dropout)
            own = team.part(seen)
            expect_rows(encoder, len(seen["ids"]))
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                output = encoder(own["ids"], own["ngrams"], own["lexical"], own["context"], own["padding"])
            logits = team.whole(output.float(), len(seen["ids"]))
            loss, parts = reading_loss(logits, seen, smoothing=recipe.label_smoothing, refused_weight=recipe.refused_weight)
            optimizer.zero_grad(set_to_none=True)
            team.backward(loss, encoder.parameters())
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            optimizer.step()
            step += 1
            if step % 4 == 0:
                _average_into(average, encoder, decay=min(0.995, (step + 1) / (step + 40)))
            if time.monotonic() - shown > 5:
                shown = time.monotonic()
                progress("encoder", step / total)
                _LOGGER.info("step %d of %d: loss %.3f %s", step, total, float(loss.detach()), {k: round(v, 3) for k, v in parts.items()})
        if team.leads:
            save_file(average.state_dict(), checkpoint)
            (work / "encoder.partial.json").write_text(json.dumps({"epochs": epoch + 1}))
    if team.leads:
        save_file(average.state_dict(), finished)
        checkpoint.unlink(missing_ok=True)
    team.wait()
    progress("encoder", 1.0)
    return average.eval()


class _Sizes:
    """Counts the batches of an epoch without making them."""

    def __init__(self, arrays: dict[str, Any], recipe: PretrainRecipe) -> None:
        self._tokens = int(arrays["lengths"].astype(np.int64).sum())
        self._count = max(1, math.ceil(self._tokens / (recipe.tokens_a_batch * 0.93)))

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._count))


@torch.no_grad()
def _average_into(average: torch.nn.Module, live: torch.nn.Module, *, decay: float) -> None:
    for kept, new in zip(average.parameters(), live.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)


@dataclass(frozen=True, kw_only=True)
class ChoiceRows:
    """Clauses as the scorer sees them, padded to MOST_CANDIDATES."""

    features: Tensor
    """[B, MOST_CANDIDATES, CANDIDATE_FEATURES]"""
    missing: Tensor
    """True where there is no candidate, [B, MOST_CANDIDATES]."""
    context: Tensor
    """[B, CONTEXT_FEATURES]"""
    targets: Tensor
    """[B, MOST_CANDIDATES + 2]"""


def choice_rows(encoder: Encoder, made: list[Sample], mask: Mask = Mask()) -> ChoiceRows:  # noqa: B008 - it is frozen
    """Run samples through the encoder and the resolver, without the inputs that a mask hides, and label the candidates that come out."""
    features, missing, context, targets = [], [], [], []
    for sample in made:
        observation = mask.observation(sample.observation())
        with torch.no_grad():
            output = encoder(
                torch.from_numpy(observation.ids.astype(np.int64))[None],
                torch.from_numpy(observation.ngrams.astype(np.int64))[None],
                torch.from_numpy(observation.lexical)[None],
                torch.from_numpy(observation.context.astype(np.int64))[None],
            )[0].numpy()
        frames = decode(split_heads(output), observation.words)
        if len(frames) != len(sample.clauses):
            continue
        situation = sample.situation()
        for frame, clause, gold in zip(frames, sample.clauses, sample.golds, strict=True):
            if clause.mood == "feedback":
                continue
            options = clause_options(observation, frame, situation, clauses=len(frames))
            keys = ["|".join(a.key for a in o.actions) for o in options.options]
            row = np.zeros((MOST_CANDIDATES, CANDIDATE_FEATURES), np.float32)
            row[: len(keys)] = options.features
            target = np.zeros(MOST_CANDIDATES + 2, np.float32)
            right = [keys.index(key) for key in gold.keys if key in keys]
            if gold.outcome == "reject":
                target[-1] = 1.0
            elif right:
                target[right] = 1.0 / len(right)
            else:
                target[-2] = 1.0
            features.append(row)
            missing.append(np.arange(MOST_CANDIDATES) >= len(keys))
            context.append(options.context)
            targets.append(target)
    return ChoiceRows(
        features=torch.from_numpy(np.stack(features)) if features else torch.zeros(0, MOST_CANDIDATES, CANDIDATE_FEATURES),
        missing=torch.from_numpy(np.stack(missing)) if features else torch.zeros(0, MOST_CANDIDATES, dtype=torch.bool),
        context=torch.from_numpy(np.stack(context)) if features else torch.zeros(0, CONTEXT_FEATURES),
        targets=torch.from_numpy(np.stack(targets)) if features else torch.zeros(0, MOST_CANDIDATES + 2),
    )


def _join_rows(rows: list[ChoiceRows]) -> ChoiceRows:
    return ChoiceRows(
        features=torch.cat([r.features for r in rows]),
        missing=torch.cat([r.missing for r in rows]),
        context=torch.cat([r.context for r in rows]),
        targets=torch.cat([r.targets for r in rows]),
    )


def _choice_job(arguments: tuple[dict[str, Tensor], dict[str, Any], CorpusPlan, str, Mask]) -> ChoiceRows:
    state, shape, plan, language, mask = arguments
    torch.set_num_threads(1)
    encoder = Encoder(**shape)
    encoder.load_state_dict(state)
    return choice_rows(encoder.eval(), list(samples_of(plan, language)), mask)


def score(scorer: Scorer, rows: ChoiceRows) -> Tensor:
    """Return log probabilities with missing candidates masked out, [B, MOST_CANDIDATES + 2]."""
    log_probabilities: Tensor = scorer(rows.features, rows.context)
    mask = torch.cat([rows.missing, torch.zeros(len(rows.missing), 2, dtype=torch.bool)], 1)
    return log_probabilities.masked_fill(mask, -1e9).log_softmax(-1)


def _scorer(recipe: PretrainRecipe, encoder: Encoder, processes: int, progress: Progress) -> tuple[Scorer, dict[str, Any]]:
    shape = {"width": recipe.width, "layers": recipe.layers, "ngram_term": recipe.ngram_term}
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}

    def rows_for(use: str, homes: int, parts: int) -> ChoiceRows:
        jobs = [
            (
                state,
                shape,
                CorpusPlan(
                    seed=recipe.seed * 10_000 + 5_000 + part,
                    homes=homes // parts,
                    use=use,
                    noise=0.3,
                    phrasebook=recipe.phrasebook,
                    templates=recipe.templates,
                ),
                language,
                mask_of(recipe),
            )
            for part in range(parts)
            for language in ("en", "zh")
        ]
        done = []
        with ProcessPoolExecutor(processes) as pool:
            for number, rows in enumerate(pool.map(_choice_job, jobs), 1):
                done.append(rows)
                progress(f"scorer: {use} rows", number / len(jobs))
        return _join_rows(done)

    train = rows_for("scorer", recipe.scorer_homes, 8)
    held_out = rows_for("calibration", recipe.calibration_homes, 4)
    if not len(train.targets) or not len(held_out.targets):
        raise ConfigError(
            "expected an encoder that cuts sentences into their clauses, got one that never does; give it more shards or epochs"
        )
    scorer = Scorer()
    optimizer = torch.optim.AdamW(scorer.parameters(), lr=3e-3, weight_decay=0.01)
    count = len(train.targets)
    generator = torch.Generator().manual_seed(recipe.seed)
    steps = recipe.scorer_epochs * math.ceil(count / 512)
    step = 0
    for epoch in range(recipe.scorer_epochs):
        for chosen in torch.split(torch.randperm(count, generator=generator), 512):
            for group in optimizer.param_groups:
                group["lr"] = 3e-3 * 0.5 * (1 + math.cos(math.pi * step / steps))
            part = ChoiceRows(
                features=train.features[chosen], missing=train.missing[chosen], context=train.context[chosen], targets=train.targets[chosen]
            )
            loss = choice_loss(score(scorer, part), part.targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        progress("scorer", (epoch + 1) / recipe.scorer_epochs)
    scorer.temperature.data = _temperature(scorer.eval(), held_out)
    measured = {
        "scorer_rows": count,
        "temperature": float(scorer.temperature),
        "calibration_error": calibration_error(scorer, held_out),
        "calibration_nll": float(choice_loss(score(scorer, held_out), held_out.targets).detach()),
    }
    return scorer, measured


@torch.no_grad()
def _temperature(scorer: Scorer, rows: ChoiceRows) -> Tensor:
    """Return the temperature with the least loss on the calibration rows. Source: Guo et al. 2017, arXiv:1706.04599, section 4.2."""
    best, least = torch.ones(()), float("inf")
    for value in np.geomspace(0.5, 4.0, 60):
        scorer.temperature.data = torch.tensor(float(value))
        loss = float(choice_loss(score(scorer, rows), rows.targets))
        if loss < least:
            best, least = scorer.temperature.data.clone(), loss
    return best


@torch.no_grad()
def calibration_error(scorer: Scorer, rows: ChoiceRows, *, bins: int = 15) -> float:
    """Return the expected calibration error of the most probable choice, in equal-mass bins."""
    probabilities = score(scorer, rows).exp()
    best, choice = probabilities.max(-1)
    right = rows.targets.gather(1, choice[:, None])[:, 0]
    order = best.argsort()
    error = 0.0
    for part in order.chunk(bins):
        error += abs(float(best[part].mean() - right[part].mean())) * len(part) / len(order)
    return error
