"""Recipes: every hyperparameter of a training stage, from a YAML file; unknown keys are refused."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from voice_rl_plugin.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainRecipe:
    """How the base model is made."""

    seed: int = 1
    shards: int = 96
    homes_a_shard: int = 130
    """Homes a language in one shard; each is spoken in 20 times."""
    human_shards: int = 8
    noise: float = 0.28
    compound: float = 0.2
    phrasebook: bool = True
    templates: bool = True
    human: bool = True
    ngram_term: bool = True
    lexical: bool = True
    phonetics: bool = True
    """Whether the network sees how words sound, and names are found by it; `ablate` alone turns it off."""
    width: int = 128
    layers: int = 2
    dropout: float = 0.1
    epochs: int = 9
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    tokens_a_batch: int = 6144
    label_smoothing: float = 0.02
    refused_weight: float = 0.3
    """Weight of operation and property in sentences that ask for nothing."""
    reasons: float = 0.2
    """Share of the commands and wishes that are said with a reason."""
    bfloat16: bool = True
    """Whether the encoder is trained in half precision, where the processor has instructions for it."""
    name_dropout: float = 0.35
    lexical_dropout: float = 0.03
    word_dropout: float = 0.03
    scorer_homes: int = 2400
    scorer_epochs: int = 14
    calibration_homes: int = 320

    def to_mapping(self) -> dict[str, Any]:
        """Return all values by name."""
        return asdict(self)

    def fingerprint(self) -> str:
        """Return a short text that differs when any value differs."""
        return hashlib.sha256(json.dumps(self.to_mapping(), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneRecipe:
    """How a challenger is made from the base and a home's log."""

    seed: int = 1
    algorithm: str = "corrections_only"
    """One of algorithms.NAMES."""
    least_labels: int = 100
    """With fewer, nothing is trained: memory does the work."""
    steps: int = 300
    learning_rate: float = 1e-3
    term_learning_rate: float = 2e-2
    penalty: float = 2e-3
    """Weight of the squared distance from the base."""
    labelled_a_step: int = 128
    replay_a_step: int = 256
    drift_weight: float = 30.0
    """Weight of what replayed sentences move away from the base's readings."""
    replay_weight: float = 2.0
    """Weight of the replayed choices beside the labelled ones."""
    scorer_steps: int = 200
    scorer_learning_rate: float = 1e-3
    scorer_penalty: float = 0.02
    logged_weight: float = 0.3
    """Weight of the logged rewards beside the corrections; `logged_rewards` alone uses it."""
    generic_replay: int = 1200
    """Samples in random homes."""
    home_replay: int = 900
    """Samples in this home."""
    generic_choices: int = 700
    """Samples in random homes, for the scorer."""
    home_choices: int = 500
    """Samples in this home, for the scorer."""
    calibration_samples: int = 0
    """Samples that the temperature is fitted on anew; 0 keeps the base's. Not settled: see docs/learning.md."""
    stranger_cases: int = 2000
    """Sentences of a voice never trained on, in homes never trained on, that the gate compares."""
    home_cases: int = 1500
    """Sentences in this home that the gate compares."""
    folds: int = 3
    """Parts of the log, in time, of which each is judged by a challenger fitted on the earlier ones."""

    def to_mapping(self) -> dict[str, Any]:
        """Return all values by name."""
        return asdict(self)


RECIPES = Path(__file__).with_name("recipes")


def load_recipe(path: Path) -> PretrainRecipe:
    """Read a recipe of pretraining.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown or ill-typed.
    """
    return PretrainRecipe(**_read(path, PretrainRecipe))


def load_finetune_recipe(path: Path) -> FinetuneRecipe:
    """Read a recipe of fine-tuning.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown or ill-typed.
    """
    return FinetuneRecipe(**_read(path, FinetuneRecipe))


def _read(path: Path, recipe: type) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as a recipe: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of hyperparameters, got {type(values).__name__}")
    known = {field.name: field.type for field in fields(recipe)}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(f"{path}: unknown key {key!r}; expected one of {', '.join(sorted(known))}")
        is_number = isinstance(value, (int, float)) and known[key] in (int, float, bool) and isinstance(value, bool) == (known[key] is bool)
        if not (is_number or (isinstance(value, str) and known[key] is str)):
            raise ConfigError(f"{path}: {key}: expected {getattr(known[key], '__name__', known[key])}, got {value!r}")
    return values
