"""Ablation: small bases made without one part each, over several seeds, measured on the same sentences, on one page.

recipe x variants x seeds  ->  pretrain  ->  results.jsonl  ->  docs/ablation.md

WORK/corpora/KEY       shards; variants of one seed with the same corpus share them
WORK/FINGERPRINT       checkpoints of one variant and seed
WORK/results.jsonl     one line a variant and seed, written when it is measured: an interrupted run goes on after the last
"""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from voice_rl_plugin.deciding.cases import decide_case, judge
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.understanding.onnx_policy import Policy
from voice_rl_training.evaluation import Case, TorchPolicy, cases_of_samples, hear_all, scorecard
from voice_rl_training.masks import Mask, MaskedPolicy
from voice_rl_training.pretrain import Progress, mask_of, pretrain
from voice_rl_training.recipe import PretrainRecipe
from voice_rl_training.replay import generic_samples
from voice_rl_training.scorecard import CaseSet, read_sets

BASE = "base"
HOMES = ("apartment", "house", "villa", "studio")
"""The homes that were looked at during development."""
STRANGER_SEED = 1
"""Of the strangers' sentences: the same for every variant and seed of the training."""
RESULTS_FILE = "results.jsonl"
_LANGUAGES = {"en": "English", "zh": "Chinese"}
_CORPUS_FIELDS = ("seed", "shards", "homes_a_shard", "human_shards", "noise", "compound", "reasons", "phrasebook", "templates")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The base without one part."""

    name: str
    part: str | None
    """The field of the recipe that is turned off."""
    words: str

    def recipe(self, base: PretrainRecipe, seed: int) -> PretrainRecipe:
        """Return how this variant is made.

        Raises:
            ConfigError: the base has the part off already, so that nothing would be compared.
        """
        if self.part is None:
            return replace(base, seed=seed)
        if not getattr(base, self.part):
            how = "give --human DIR" if self.part == "human" else f"set `{self.part}: true` in the recipe"
            raise ConfigError(f"{self.name}: expected a base with the part that is left out; {how}, or leave the variant out of --only")
        return replace(base, seed=seed, **{self.part: False})


VARIANTS: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant(name=BASE, part=None, words="all parts"),
        Variant(name="no_ngram", part="ngram_term", words="no linear n-gram term beside the transformer"),
        Variant(
            name="no_lexical",
            part="lexical",
            words="no flags of what a word is in this home, and so no dropout of names, which goes by them; names are still resolved afterwards",
        ),
        Variant(name="no_phonetics", part="phonetics", words="no sound of words in the network, and no name is found by its sound"),
        Variant(name="no_human", part="human", words="none of the sentences that other people wrote"),
        Variant(
            name="no_phrasebook",
            part="phrasebook",
            words="no frame of the phrasebook, for encoder and scorer alike: Home Assistant's templates and human sentences; "
            "openers, tails and reasons are still the phrasebook's",
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """What every variant is measured on."""

    homes: tuple[CaseSet, ...]
    strangers: Mapping[str, tuple[Case, ...]]
    """Sentences of the held-out voice, by language."""

    @property
    def fingerprint(self) -> str:
        """Return a short text that differs when any sentence or its right answer differs."""
        told = [repr((one.name, one.language, one.cases)) for one in self.homes]
        told += [repr((case.text, case.want, case.area)) for cases in self.strangers.values() for case in cases]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def read_sentences(cases: Path, names: Sequence[str], strangers: int) -> Sentences:
    """Return the sentences of the named homes, and of the held-out voice.

    Args:
        cases: folder with one folder a language.
        names: the homes.
        strangers: samples a language; those with several clauses are left out afterwards.

    Raises:
        ConfigError: a file is missing or not in its form.
    """
    return Sentences(
        homes=read_sets(cases, names),
        strangers={
            language: tuple(cases_of_samples(generic_samples(strangers, seed=STRANGER_SEED, use="stranger", languages=(language,))))
            for language in _LANGUAGES
        },
    )


def measure(policy: Policy, sentences: Sentences, mask: Mask) -> dict[str, dict[str, dict[str, int]]]:
    """Return how many sentences went which way, by language and by kind: `homes` and `stranger`."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    masked = MaskedPolicy(policy, mask)
    with mask.hearing():
        for language, strangers in sentences.strangers.items():
            verdicts: Counter[str] = Counter()
            for one in (one for one in sentences.homes if one.language == language):
                decider = Decider(policy=masked, home=one.home, memory=Memory())
                verdicts.update(judge(case, decide_case(decider, case)) for case in one.cases)
            card = scorecard(hear_all(masked, strangers))
            found[language] = {
                "homes": {
                    "cases": verdicts.total(),
                    "right": verdicts["right"],
                    "wrong_actions": verdicts["wrong_action"],
                    "asked": verdicts["asked"],
                    "refused": verdicts["refused"],
                },
                "stranger": {
                    "cases": card.cases,
                    "right": card.right,
                    "wrong_actions": card.wrong_actions,
                    "asked": card.asked,
                    "refused": card.refused,
                },
            }
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One variant, made from one seed and measured."""

    variant: str
    seed: int
    fingerprint: str
    """Of the recipe."""
    sentences: str
    """Fingerprint of what it was measured on."""
    found: Mapping[str, Mapping[str, Mapping[str, int]]]
    """Counts by language and kind."""
    date: str

    def to_mapping(self) -> dict[str, Any]:
        """Return all values by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> "Result":
        """Read what `to_mapping` gave; other keys are notes."""
        return cls(**{name: row[name] for name in cls.__slots__})


def read_results(path: Path) -> list[Result]:
    """Return the results of a file, without a last line that was cut off; none when there is no file.

    Raises:
        ConfigError: a whole line is not a result.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            found.append(Result.from_mapping(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}: line {number}: expected a result of `ablate`; remove the line or take another --work") from error
    return found


def _append(path: Path, row: Mapping[str, Any]) -> None:
    if path.exists():
        written = path.read_bytes()
        if not written.endswith(b"\n"):  # the run was cut off while it wrote
            path.write_bytes(written[: written.rfind(b"\n") + 1])
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def ablate(
    recipe: PretrainRecipe,
    *,
    seeds: Sequence[int],
    variants: Sequence[Variant],
    sentences: Sentences,
    human: Path | None,
    work: Path,
    processes: int,
    progress: Progress,
    told: Callable[[list[Result]], None],
) -> list[Result]:
    """Make and measure every variant from every seed, and return the results; those that are there already are kept.

    Args:
        recipe: how the base is made; its seed is not used.
        seeds: one run each.
        variants: what to make.
        sentences: what to measure on.
        human: folder of human sentences, or None to do without.
        work: where corpora, checkpoints and results are kept.
        processes: how many processes make the corpus.
        progress: told how far it is.
        told: told all results whenever there is one more.
    """
    if human is None:
        recipe = replace(recipe, human=False)
    runs = [(seed, variant, variant.recipe(recipe, seed)) for seed in seeds for variant in variants]
    work.mkdir(parents=True, exist_ok=True)
    kept = {(one.variant, one.fingerprint): one for one in read_results(work / RESULTS_FILE) if one.sentences == sentences.fingerprint}
    results: list[Result] = []
    for number, (seed, variant, made_by) in enumerate(runs, 1):
        fingerprint = made_by.fingerprint()
        result = kept.get((variant.name, fingerprint))
        if result is None:
            named = f"{number}/{len(runs)} {variant.name} {seed}"
            started = time.monotonic()
            _share_corpus(made_by, work)
            encoder, scorer, trained = pretrain(
                made_by,
                human=human,
                work=work,
                processes=processes,
                progress=lambda phase, done, named=named: progress(f"{named}: {phase}", done),  # type: ignore[misc]
            )
            progress(f"{named}: measuring", 0.0)
            found = measure(TorchPolicy(encoder, scorer, version=fingerprint), sentences, mask_of(made_by))
            progress(f"{named}: measuring", 1.0)
            result = Result(
                variant=variant.name,
                seed=seed,
                fingerprint=fingerprint,
                sentences=sentences.fingerprint,
                found=found,
                date=time.strftime("%Y-%m-%d"),
            )
            _append(work / RESULTS_FILE, {**result.to_mapping(), "seconds": round(time.monotonic() - started), "trained": trained})
        results.append(result)
        told(results)
    return results


def _share_corpus(recipe: PretrainRecipe, work: Path) -> None:
    """Let the recipe's work folder use the shards of every recipe with the same corpus; one without human sentences reads fewer of them."""
    values = recipe.to_mapping()
    key = hashlib.sha256(json.dumps([values[name] for name in _CORPUS_FIELDS]).encode()).hexdigest()[:12]
    shared = work / "corpora" / key
    shared.mkdir(parents=True, exist_ok=True)
    own = work / recipe.fingerprint()
    own.mkdir(parents=True, exist_ok=True)
    link = own / "corpus"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..") / "corpora" / key, target_is_directory=True)


# -- the page ------------------------------------------------------------------------------------------------------------------------


def to_markdown(results: Sequence[Result], *, recipe: PretrainRecipe, command: str) -> str:
    """Return the page.

    Args:
        results: what was measured.
        recipe: how the base was made.
        command: the command that made the page.
    """
    dates = sorted({one.date for one in results})
    seeds = sorted({one.seed for one in results})
    values = {name: value for name, value in recipe.to_mapping().items() if name != "seed"}
    names = list(dict.fromkeys(one.variant for one in results))
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    parts = [
        "# What each part is worth",
        f"Made on {when} with seeds {', '.join(map(str, seeds))}.",
        f"```\n{command}\n```",
        _ABOUT,
        "\n".join(f"- `{name}`: {VARIANTS[name].words}" for name in names),
    ]
    for language, title in _LANGUAGES.items():
        counts = {kind: results[0].found[language][kind]["cases"] for kind in ("homes", "stranger")}
        parts += [
            f"## {title}",
            f"{counts['homes']} sentences in the development homes, {counts['stranger']} of the stranger.",
            _table(results, names, language, _value_cells),
        ]
        if len(names) > 1:
            parts += [f"### {title}: difference to the base of the same seed", _table(results, names, language, _difference_cells)]
    parts += ["## Recipe", f"```yaml\n{yaml.safe_dump(values, sort_keys=False).strip()}\n```"]
    return "\n\n".join(parts) + "\n"


_ABOUT = (
    "Each row is a small base made anew without one part, everything else the same: seed, sentences to learn from, order, steps an epoch.\n"
    "Figures are the mean over the seeds, with the lowest and the highest in brackets; a difference that is no wider than that range says\n"
    "little. These bases saw a part of the shipped base's corpus, so their figures are no measure of the shipped base. They are measured as\n"
    "32-bit floats, not as the exported graphs. *Homes* are the cases under `tests/cases` of the homes that were looked at during\n"
    "development, so they flatter all rows alike; *stranger* is a voice of the phrasebook that no network was trained on, in random homes.\n"
    "A wrong action is one that nobody asked for. `no_human` and `no_phrasebook` change the sentences, so their steps are others too."
)
_COLUMNS = (("homes", "right"), ("homes", "wrong_actions"), ("stranger", "right"), ("stranger", "wrong_actions"))
_Cells = Callable[[Sequence[Result], str, str], list[str]]


def _table(results: Sequence[Result], names: Iterable[str], language: str, cells: _Cells) -> str:
    lines = [
        "| variant | seeds | homes: right, % | homes: wrong actions | stranger: right, % | stranger: wrong actions |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        shown = cells(results, name, language)
        if shown:
            lines.append(f"| `{name}` | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _value_cells(results: Sequence[Result], name: str, language: str) -> list[str]:
    mine = [one for one in results if one.variant == name]
    return [str(len(mine)), *(_mean_and_range([_figure(one, language, kind, what) for one in mine]) for kind, what in _COLUMNS)]


def _difference_cells(results: Sequence[Result], name: str, language: str) -> list[str]:
    bases = {one.seed: one for one in results if one.variant == BASE}
    pairs = [(one, bases[one.seed]) for one in results if one.variant == name and one.seed in bases]
    if name == BASE or not pairs:
        return []
    return [
        str(len(pairs)),
        *(
            _mean_and_range([_figure(one, language, kind, what) - _figure(base, language, kind, what) for one, base in pairs], sign="+")
            for kind, what in _COLUMNS
        ),
    ]


def _figure(result: Result, language: str, kind: str, what: str) -> float:
    """Return what was right in per cent, or how many actions were wrong."""
    counts = result.found[language][kind]
    return 100 * counts["right"] / max(1, counts["cases"]) if what == "right" else float(counts[what])


def _mean_and_range(values: Sequence[float], *, sign: str = "") -> str:
    middle = f"{mean(values):{sign}.1f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{sign}.1f} to {max(values):{sign}.1f})"
