"""The rooms and floors of random homes."""

from dataclasses import replace

from voice_rl_plugin.domain.home import Area, Floor
from voice_rl_training.corpus.home_draft import Draft
from voice_rl_training.corpus.home_words import cased, pick, possessive, slug, unique

ROOM_FREQUENCIES = {
    "living": 4.0, "sleeping": 6.0, "kitchen": 2.5, "dining": 1.2, "bath": 2.5, "hall": 2.0,
    "office": 1.8, "utility": 1.5, "garage": 1.2, "outdoor": 1.8, "leisure": 1.0, "work": 0.5,
}  # fmt: skip
_TRIES = 60
_OFTEN_OWNED = frozenset({"sleeping", "office", "leisure", "bath"})
_OFTEN_NUMBERED = frozenset({"sleeping", "bath", "office", "work", "outdoor"})

_STOREYS = (
    (2.2, ()),
    (0.6, ("ground",)),
    (3.0, ("ground", "upper")),
    (1.0, ("below", "ground", "upper")),
    (0.8, ("ground", "upper", "top")),
    (0.7, ("ground", "upper", "upper2")),
    (0.5, ("ground", "outside")),
    (0.5, ("ground", "upper", "outside")),
    (0.3, ("below", "ground", "upper", "top")),
    (0.15, ("below", "ground", "upper", "upper2", "top")),
    (0.1, ("below", "ground", "upper", "upper2", "top", "outside")),
)
_USUAL_STOREYS = {
    "living": ("ground",),
    "kitchen": ("ground",),
    "dining": ("ground",),
    "sleeping": ("upper", "upper2", "top"),
    "bath": ("upper", "ground", "upper2"),
    "utility": ("below", "ground"),
    "garage": ("ground", "below", "outside"),
    "outdoor": ("outside", "ground"),
    "leisure": ("below", "top", "ground"),
    "office": ("upper", "top", "ground"),
}


def build_areas(draft: Draft, uses: dict[str, str]) -> list[Area]:
    """Return the rooms, and note the use of each by its id."""
    rng, taste = draft.rng, draft.taste
    count = round(rng.triangular(2, 14, 6))
    kinds = rng.choices(tuple(ROOM_FREQUENCIES), tuple(ROOM_FREQUENCIES.values()), k=count)
    if count > 3:
        kinds[:3] = ["living", "sleeping", "kitchen"]
    areas: list[Area] = []
    taken: set[str] = set()
    for use in kinds:
        for _ in range(_TRIES):
            name, aliases = _room(draft, use)
            if name.casefold() not in taken:
                break
        else:
            continue
        taken.add(name.casefold())
        kept = tuple(alias for alias in aliases if alias.casefold() not in taken or rng.random() < 0.1)
        taken.update(alias.casefold() for alias in kept)
        area_id = unique(slug(name), draft.ids)
        uses[area_id] = use
        areas.append(Area(id=area_id, name=cased(rng, taste, name), aliases=tuple(cased(rng, taste, a) for a in kept)))
    return areas


def _room(draft: Draft, use: str) -> tuple[str, tuple[str, ...]]:
    """Return the bare name and the aliases of a room: from the bank, a person's, a numbered one, or a nickname."""
    rng, taste = draft.rng, draft.taste
    bank = draft.english if taste.mixed and rng.random() < taste.mixed else draft.bank
    pool = bank.rooms[use]
    common = bank.common_places(pool)
    place = rng.choice(common) if common and rng.random() < 0.4 else rng.choice(pool)
    aliases = tuple(alias for alias in place.aliases if rng.random() < 0.6) if rng.random() < 0.15 + taste.aliases else ()
    chance = rng.random()
    if use in _OFTEN_OWNED and chance < 0.2:
        return _owned_room(draft, use, place.name), ()
    if use in _OFTEN_NUMBERED and chance < 0.27:
        gap = "" if taste.han and rng.random() < 0.7 else " "
        return f"{place.name}{gap}{rng.randint(1, 4)}", ()
    if chance < 0.31:
        side = pick(rng, bank.modifiers["room_side"])
        return (f"{side} {place.name}" if bank.language == "en" else side + place.name), aliases
    if chance < 0.32:
        return rng.choice(bank.nicknames["any"]), (*aliases, place.name)
    if rng.random() < taste.nicknames / 2:
        aliases = (*aliases, rng.choice(bank.nicknames["any"]))
    return place.name, tuple(dict.fromkeys(alias for alias in aliases if alias != place.name))


def _owned_room(draft: Draft, use: str, name: str) -> str:
    rng = draft.rng
    owner = rng.choice(draft.owners)
    if draft.taste.han:
        return owner + (rng.choice(draft.bank.people["room"]) if use == "sleeping" else rng.choice(("的", "")) + name)
    return f"{possessive(rng, owner)} {rng.choice(('room', 'bedroom', 'room')) if use == 'sleeping' else name}"


def build_floors(draft: Draft, areas: list[Area], uses: dict[str, str]) -> tuple[list[Floor], list[Area]]:
    """Return the floors, which a home may lack, and the rooms put on them."""
    rng, bank, taste = draft.rng, draft.bank, draft.taste
    levels = rng.choices([levels for _, levels in _STOREYS], [weight for weight, _ in _STOREYS])[0]
    floors: dict[str, Floor] = {}
    taken: set[str] = {name.casefold() for area in areas for name in (area.name, *area.aliases)}
    for level in levels:
        pool = [place for place in bank.floors[level] if place.name.casefold() not in taken]
        if not pool:
            continue
        common = [place for place in pool if place.name.casefold() in bank.generic]
        place = rng.choice(common) if common and rng.random() < 0.35 else rng.choice(pool)
        aliases = tuple(a for a in place.aliases if a.casefold() not in taken and rng.random() < 0.45)
        taken.update((place.name.casefold(), *(a.casefold() for a in aliases)))
        floors[level] = Floor(
            id=unique(slug(place.name), draft.ids),
            name=cased(rng, taste, place.name),
            aliases=tuple(cased(rng, taste, a) for a in aliases),
        )
    if not floors:
        return [], areas
    placed = []
    for area in areas:
        usual = [level for level in _USUAL_STOREYS.get(uses[area.id], ()) if level in floors]
        level = rng.choice(usual) if usual and rng.random() < 0.7 else rng.choice(tuple(floors))
        placed.append(replace(area, floor=None if rng.random() < 0.06 else floors[level].id))
    return list(floors.values()), placed
