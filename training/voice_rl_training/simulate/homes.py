"""The homes that households live in, named out of the simulator's own bank."""

from random import Random

from voice_rl_plugin.domain.home import Area, Entity, Home, Satellite, usual_abilities
from voice_rl_training.simulate.banks import Bank

_ROOMS = 5
_DEVICES = ("light",) * 5 + ("media_player",) * 2 + ("fan",) * 2 + ("cover",) * 2 + ("climate", "switch", "vacuum", "lock", "scene")
_STATES = {
    "light": "off",
    "switch": "off",
    "fan": "off",
    "media_player": "playing",
    "cover": "open",
    "climate": "heat",
    "vacuum": "docked",
    "lock": "unlocked",
}
_CLASSES = {"speaker": "speaker", "radio": "speaker", "tv": "tv", "curtain": "curtain", "blind": "blind"} | {
    "音箱": "speaker",
    "收音机": "speaker",
    "电视": "tv",
    "窗帘": "curtain",
    "百叶窗": "blind",
}


def household_home(bank: Bank, number: int, rng: Random) -> Home:
    """Return a home with five rooms and sixteen devices.

    Args:
        bank: where the names come from.
        number: which home's worth of names; two numbers share names only when they are the same home of the bank.
        rng: decides which device bears which name and stands where.
    """
    words = list(bank.homes[number % len(bank.homes)])
    rng.shuffle(words)
    areas = tuple(Area(id=f"room_{i}", name=name.title()) for i, name in enumerate(rng.sample(bank.rooms, _ROOMS)))
    places = [area.id for area in areas] * 3 + [rng.choice(areas).id]
    rng.shuffle(places)
    entities: list[Entity] = []
    for i, domain in enumerate(_DEVICES):
        noun = rng.choice(bank.nouns[domain])
        word = words[i] if i < len(words) else rng.choice(words[:5])  # now and then two things bear the same word
        name = f"{word} {noun}".title() if bank.language == "en" else f"{word}{noun}"
        entity_id = f"{domain}.thing_{i}"
        area = None if domain == "scene" else areas[0].id if domain == "light" and i < 2 else places[i]
        entities.append(
            Entity(
                id=entity_id,
                name=name,
                area=area,
                device_class=_CLASSES.get(noun),
                abilities=usual_abilities(entity_id, {}),
                state=_STATES.get(domain),
                attributes={"temperature": 20} if domain == "climate" else {},
            )
        )
    satellites = tuple(Satellite(id=f"assist_satellite.{area.id}", area=area.id) for area in areas)
    return Home(language=bank.language, areas=areas, entities=tuple(entities), satellites=satellites)
