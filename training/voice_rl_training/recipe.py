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
    shards: int = 80
    homes_a_shard: int = 130
    """Homes a language in one shard; each is spoken in 20 times."""
    human_shards: int = 8
    noise: float = 0.25
    compound: float = 0.12
    phrasebook: bool = True
    templates: bool = True
    human: bool = True
    ngram_term: bool = True
    lexical: bool = True
    width: int = 128
    layers: int = 2
    dropout: float = 0.1
    epochs: int = 3
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    tokens_a_batch: int = 6144
    label_smoothing: float = 0.03
    name_dropout: float = 0.35
    lexical_dropout: float = 0.03
    word_dropout: float = 0.03
    scorer_homes: int = 1600
    scorer_epochs: int = 14
    calibration_homes: int = 500

    def to_mapping(self) -> dict[str, Any]:
        """Return all values by name."""
        return asdict(self)

    def fingerprint(self) -> str:
        """Return a short text that differs when any value differs."""
        return hashlib.sha256(json.dumps(self.to_mapping(), sort_keys=True).encode()).hexdigest()[:12]


def load_recipe(path: Path) -> PretrainRecipe:
    """Read a recipe.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown or ill-typed.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as a recipe: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of hyperparameters, got {type(values).__name__}")
    known = {field.name: field.type for field in fields(PretrainRecipe)}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(f"{path}: unknown key {key!r}; expected one of {', '.join(sorted(known))}")
        if not isinstance(value, (int, float)) or isinstance(value, bool) != (known[key] is bool):
            raise ConfigError(f"{path}: {key}: expected {getattr(known[key], '__name__', known[key])}, got {value!r}")
    return PretrainRecipe(**values)
