"""A home while it is being furnished: what the builders of rooms, names and devices share."""

import random
from dataclasses import dataclass, field

from voice_rl_plugin.domain.home import Entity
from voice_rl_training.corpus.banks import Bank
from voice_rl_training.corpus.home_words import Taste


@dataclass(slots=True, kw_only=True)
class Draft:
    """An unfinished home."""

    rng: random.Random
    bank: Bank
    english: Bank
    """The English names, for mixed homes."""
    taste: Taste
    owners: list[str]
    entities: list[Entity] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    names: set[tuple[str | None, str]] = field(default_factory=set)
    """Area and lower-case name of each entity."""
    nicknames: set[str] = field(default_factory=set)
    cores: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Names without rooms by domain and group, to be met again in other rooms."""
