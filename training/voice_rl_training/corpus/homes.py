"""Random homes for training: floors, areas and devices, named as people name them.

    home = random_home(random.Random(7), "zh", "train")
    text, domain = absent_device(random.Random(7), home, "zh", "train")      # ("泳池灯", "light"): this home has none

A home has a taste (how its owner writes names, whether rooms are part of them, which script), then rooms, then devices room by room.
Everything follows from the generator that is passed in.
"""

import random
from dataclasses import replace

from voice_rl_plugin.domain.home import Home
from voice_rl_training.corpus.banks import load_bank
from voice_rl_training.corpus.home_absent import absent_area, absent_device
from voice_rl_training.corpus.home_devices import add_groups, add_house_devices, build_satellites, furnish
from voice_rl_training.corpus.home_draft import Draft
from voice_rl_training.corpus.home_rooms import ROOM_FREQUENCIES, build_areas, build_floors
from voice_rl_training.corpus.home_words import random_taste

__all__ = ["absent_area", "absent_device", "random_home"]

_TRADITIONAL = 0.2
"""The share of Chinese homes in traditional characters and in the words of Taiwan and Hong Kong."""
_MOST_ENTITIES = 80
_LEAST_ENTITIES = 6
_SPARSE_USES = frozenset({"hall", "bath", "utility"})


def random_home(rng: random.Random, language: str, split: str = "train") -> Home:
    """Return a random home.

    Args:
        rng: decides everything; equal generators give equal homes.
        language: `en` or `zh`.
        split: `train` or `dev`; but for generic nouns, the names of one never occur in the other.
    """
    traditional = language == "zh" and rng.random() < _TRADITIONAL
    bank = load_bank(language, split, traditional=traditional)
    owners = rng.sample(bank.people["person"], rng.randint(1, 3)) + rng.sample(bank.people["kin"], rng.randint(1, 2))
    draft = Draft(
        rng=rng, bank=bank, english=load_bank("en", split), taste=random_taste(rng, language, traditional=traditional), owners=owners
    )
    uses: dict[str, str] = {}
    floors, areas = build_floors(draft, build_areas(draft, uses), uses)
    weights = [1.0 if uses[area.id] in _SPARSE_USES else 2.2 for area in areas]
    wanted = _entity_count(rng, len(areas))
    while len(draft.entities) < wanted:
        area = None if rng.random() < 0.05 else rng.choices(areas, weights)[0]
        furnish(draft, area, uses[area.id] if area else rng.choice(tuple(ROOM_FREQUENCIES)), areas)
    add_house_devices(draft, areas)
    add_groups(draft, areas)
    entities = draft.entities
    if rng.random() < 0.02:
        by_name = {entity.name.casefold(): replace(entity, area=None) for entity in entities if not entity.members}
        entities = list(by_name.values())
    satellites = build_satellites(replace(draft, entities=entities), areas)
    return Home(language=language, floors=tuple(floors), areas=tuple(areas), entities=tuple(entities), satellites=satellites)


def _entity_count(rng: random.Random, area_count: int) -> int:
    """Return how many entities to add room by room; scenes and groups, at most 11, come on top."""
    if rng.random() < 0.08:
        return rng.randint(35, _MOST_ENTITIES - 15)
    return max(_LEAST_ENTITIES, min(35, round(rng.gauss(4 + 2.4 * area_count, 5))))
