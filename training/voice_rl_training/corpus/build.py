"""Builds the corpus as arrays: labelled samples and human sentences, packed shard by shard, the same for the same seed.

shard  one .npz: tokens of all samples end to end (ids, ngrams, lexical, tags, begins, clause starts, clause of each token),
lengths, contexts, and the clauses' labels; 255 means "not known, masked in the loss"
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voice_rl_plugin.domain.frame import MOODS, OPERATIONS, PROPERTIES, TAGS
from voice_rl_plugin.understanding.features import Observation, observe_words
from voice_rl_plugin.understanding.text import words_of
from voice_rl_training.corpus.homes import random_home
from voice_rl_training.corpus.human import HumanSentence, read_sentences
from voice_rl_training.corpus.phrasebook import HELD_OUT_VOICE, Phrasebook, PhraseFrame, load
from voice_rl_training.corpus.samples import Sample, Stage, sample
from voice_rl_training.corpus.templates import template_frames

UNKNOWN = 255
TEMPLATE_FRAMES = 700
"""Home Assistant's templates are one voice among others, not the loudest."""
SAMPLES_A_HOME = 20
SCORER_PERCENT = 12
"""Share of the frames that the encoder never sees: the scorer learns on them how far to trust it."""
LANGUAGES = ("en", "zh")

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusPlan:
    """What one shard is made of."""

    seed: int
    homes: int
    use: str
    """`encoder`, `scorer`, `calibration` or `stranger`: which frames it is made of."""
    noise: float = 0.25
    compound: float = 0.2
    reasons: float = 0.2
    phrasebook: bool = True
    templates: bool = True


def frame_use(frame: PhraseFrame) -> str:
    """Return what a frame is for, by a hash of its text: most teach the encoder, some the scorer, a few the calibration."""
    if frame.voice == HELD_OUT_VOICE:
        return "stranger"
    return _text_use(frame.text)


def _text_use(text: str) -> str:
    draw = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 100
    return "calibration" if draw < 3 else ("scorer" if draw < SCORER_PERCENT else "encoder")


@cache
def _template_frames(language: str) -> tuple[PhraseFrame, ...]:
    return template_frames(Random(f"templates {language}"), language, most=TEMPLATE_FRAMES)


def frames_for(
    language: str, use: str, *, phrasebook: bool = True, templates: bool = True
) -> tuple[list[PhraseFrame], dict[str, Phrasebook]]:
    """Return the frames of a language for one use, and the voices that give them openers and tails."""
    books = load(language)
    chosen: list[PhraseFrame] = []
    if phrasebook:
        chosen += [f for book in books.values() for f in book.frames if frame_use(f) == use]
    if templates and use != "stranger":
        chosen += [f for f in _template_frames(language) if frame_use(f) == use]
    voices = {
        name: replace(
            book, reasons={place: tuple(line for line in lines if _text_use(line) == use) for place, lines in book.reasons.items()}
        )
        for name, book in books.items()
        if (name == HELD_OUT_VOICE) == (use == "stranger")
    }
    return chosen, voices


def samples_of(plan: CorpusPlan, language: str) -> Iterator[Sample]:
    """Yield the samples of a plan in one language."""
    frames, books = frames_for(language, plan.use, phrasebook=plan.phrasebook, templates=plan.templates)
    split = "dev" if plan.use == "stranger" else "train"
    rng = Random(f"{plan.seed} {language} {plan.use}")
    for _ in range(plan.homes):
        stage = Stage(home=random_home(rng, language, split))
        for _ in range(SAMPLES_A_HOME):
            made = sample(rng, frames, books, stage, split=split, noise=plan.noise, compound=plan.compound, reasons=plan.reasons)
            if made is not None:
                yield made


def pack(rows: Sequence[tuple[Observation, dict[str, Any]]]) -> Arrays:
    """Pack observations with their labels end to end."""
    return {
        "lengths": np.array([len(o.words) for o, _ in rows], np.int16),
        "ids": np.concatenate([o.ids for o, _ in rows]).astype(np.int16),
        "ngrams": np.concatenate([o.ngrams for o, _ in rows]).astype(np.int16),
        "lexical": np.round(np.concatenate([o.lexical for o, _ in rows]) * 200).astype(np.uint8),
        "context": np.stack([o.context for o, _ in rows]).astype(np.uint8),
        "tags": np.concatenate([labels["tags"] for _, labels in rows]),
        "begins": np.concatenate([labels["begins"] for _, labels in rows]),
        "clause_starts": np.concatenate([labels["clause_starts"] for _, labels in rows]),
        "moods": np.concatenate([labels["moods"] for _, labels in rows]),
        "operations": np.concatenate([labels["operations"] for _, labels in rows]),
        "properties": np.concatenate([labels["properties"] for _, labels in rows]),
        "weights": np.array([labels["weight"] for _, labels in rows], np.float32),
    }


def labels_of(made: Sample) -> dict[str, Any]:
    """Return a sample's labels, one a token; a clause's labels stand on each of its tokens."""
    count = len(made.words)
    moods = np.full(count, UNKNOWN, np.uint8)
    operations, properties = moods.copy(), moods.copy()
    starts = np.zeros(count, np.uint8)
    for clause in made.clauses:
        moods[clause.start : clause.end] = MOODS.index(clause.mood)
        if clause.operation is not None:
            operations[clause.start : clause.end] = OPERATIONS.index(clause.operation)
        if clause.property is not None:
            properties[clause.start : clause.end] = PROPERTIES.index(clause.property)
        starts[clause.start] = 1
    return {
        "tags": np.array([TAGS.index(tag) for tag in made.tags], np.uint8),
        "begins": np.array(made.begins, np.uint8),
        "clause_starts": starts,
        "moods": moods,
        "operations": operations,
        "properties": properties,
        "weight": 1.0,
    }


def human_row(sentence: HumanSentence, stage: Stage, area: str | None) -> tuple[Observation, dict[str, Any]] | None:
    """Return a human sentence as heard in a random home, with what is known of its labels; None when it has no words."""
    words = words_of(sentence.text)
    if not words:
        return None
    observation = observe_words(words, home=stage.home, index=stage.index, area=area)
    count = len(observation.words)
    tags = sentence.tags()
    known = tags is not None and len(tags) == len(words)

    def label(name: str | None, names: Sequence[str]) -> NDArray[np.uint8]:
        return np.full(count, UNKNOWN if name is None else names.index(name), np.uint8)

    starts = np.zeros(count, np.uint8)
    starts[0] = 1
    return observation, {
        "tags": np.array([TAGS.index(t) for t in tags[:count]], np.uint8) if known and tags else np.full(count, UNKNOWN, np.uint8),
        "begins": np.full(count, UNKNOWN, np.uint8),
        "clause_starts": starts,
        "moods": label(sentence.mood, MOODS),
        "operations": label(sentence.operation, OPERATIONS),
        "properties": label(sentence.property, PROPERTIES),
        "weight": sentence.weight,
    }


def build_shard(plan: CorpusPlan, path: Path) -> Path:
    """Make one shard and write it; a shard that is there already is kept."""
    if not path.exists():
        rows = [(made.observation(), labels_of(made)) for language in LANGUAGES for made in samples_of(plan, language)]
        _save(path, pack(rows))
    return path


def build_human_shard(folder: Path, *, part: int, parts: int, is_dev: bool, seed: int, path: Path) -> Path:
    """Make one shard of human sentences, heard in random homes; a shard that is there already is kept."""
    if not path.exists():
        rng = Random(f"{seed} human {part}")
        rows = []
        stages: dict[str, Stage] = {}
        chosen = [s for i, s in enumerate(read_sentences(folder)) if s.is_dev == is_dev and i % parts == part and s.weight > 0]
        for number, sentence in enumerate(chosen):
            if number % 15 == 0:
                stages = {language: Stage(home=random_home(rng, language, "dev" if is_dev else "train")) for language in LANGUAGES}
            stage = stages[sentence.language]
            area = rng.choice([None, *(a.id for a in stage.home.areas)])
            row = human_row(sentence, stage, area)
            if row is not None:
                rows.append(row)
        _save(path, pack(rows))
    return path


def _save(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]  # numpy names one keyword of its own
    partial.replace(path)


def build(plans: Sequence[tuple[CorpusPlan, Path]], human: Sequence[dict[str, Any]], *, processes: int) -> Iterator[Path]:
    """Make all shards in several processes and yield each path as it is done."""
    with ProcessPoolExecutor(processes) as pool:
        jobs = [pool.submit(build_human_shard, **job) for job in human] + [pool.submit(build_shard, plan, path) for plan, path in plans]
        for job in jobs:
            yield job.result()


def load_shards(paths: Sequence[Path]) -> Arrays:
    """Load shards into one set of arrays."""
    shards = [np.load(path) for path in paths]
    return {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0].files}
