"""The devices of random homes: what stands in which room, what it can do, and in what state it is."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from voice_rl_plugin.domain.home import USUAL_ABILITIES, Area, Entity, Satellite
from voice_rl_training.corpus.home_draft import Draft
from voice_rl_training.corpus.home_names import device_names, head_of, nickname, owned
from voice_rl_training.corpus.home_words import cased, joined, numbered, slug, unique

_DEVICES_BY_USE: dict[str, dict[str, float]] = {
    "living": {"light": 6, "media_player": 3, "cover": 2, "switch": 2, "climate": 1.2, "fan": 0.8, "humidifier": 0.4, "sensor": 1},
    "sleeping": {"light": 6, "cover": 2, "media_player": 1, "climate": 1.2, "fan": 1, "switch": 1.5, "humidifier": 0.8, "sensor": 1},
    "kitchen": {"light": 6, "switch": 3, "media_player": 1, "fan": 0.8, "cover": 0.7, "climate": 0.4, "sensor": 1},
    "dining": {"light": 6, "cover": 1, "media_player": 0.7, "switch": 1, "climate": 0.5, "sensor": 0.5},
    "bath": {"light": 6, "fan": 2, "switch": 1, "climate": 1, "media_player": 0.4, "water_heater": 0.6, "humidifier": 0.4, "sensor": 1},
    "hall": {"light": 7, "lock": 1.2, "switch": 0.7, "sensor": 1, "climate": 0.4, "cover": 0.3},
    "office": {"light": 6, "switch": 2, "media_player": 1, "fan": 1, "climate": 1, "cover": 1.2, "sensor": 0.8},
    "utility": {"light": 6, "switch": 2, "fan": 0.7, "humidifier": 0.8, "water_heater": 0.7, "lock": 0.4, "sensor": 1},
    "garage": {"light": 5, "cover": 3, "switch": 2, "lock": 0.8, "sensor": 1, "fan": 0.3},
    "outdoor": {"light": 7, "switch": 2, "cover": 1.2, "lawn_mower": 0.5, "media_player": 0.5, "siren": 0.3, "sensor": 0.7, "lock": 0.3},
    "leisure": {"light": 6, "media_player": 3, "switch": 1.5, "cover": 1, "climate": 0.8, "fan": 0.8, "sensor": 0.5},
    "work": {"light": 6, "switch": 2, "media_player": 1, "climate": 1.5, "cover": 1.2, "fan": 0.7, "lock": 0.7, "sensor": 0.8},
}
"""How often a room of each use has a device of each domain."""

_COVERS_OUTSIDE = {"garage": ("garage", "door", "gate", "window"), "outdoor": ("gate", "awning", "shade", "door", "garage")}
_COVERS_INSIDE = ("curtain", "curtain", "blind", "blind", "shade", "shutter", "window", "door")
_LIGHT_ABILITIES = (
    (0.15, frozenset({"on_off"}), ["onoff"]),
    (0.35, frozenset({"on_off", "brightness"}), ["brightness"]),
    (0.22, frozenset({"on_off", "brightness", "color_temp"}), ["color_temp"]),
    (0.28, USUAL_ABILITIES["light"], ["color_temp", "xy"]),
)
_FEWER_ABILITIES: dict[str, tuple[tuple[float, str], ...]] = {
    "cover": ((0.3, "position"), (0.08, "stop")),
    "fan": ((0.3, "speed"),),
    "media_player": ((0.12, "on_off"), (0.15, "stop"), (0.1, "next_previous"), (0.07, "mute")),
    "climate": ((0.2, "on_off"), (0.2, "hvac_mode")),
    "vacuum": ((0.2, "play_pause"), (0.1, "stop")),
    "water_heater": ((0.2, "on_off"),),
}
"""How often an entity lacks an ability that its domain usually has."""


def furnish(draft: Draft, area: Area | None, use: str, areas: Sequence[Area]) -> None:
    """Add one device to an area, or a row of two to four like ones."""
    rng = draft.rng
    domains = _DEVICES_BY_USE[use]
    domain = rng.choices(tuple(domains), tuple(domains.values()))[0]
    if domain == "sensor":
        _add_sensor(draft, area)
        return
    group = _group(draft, domain, use)
    for name in device_names(draft, domain, group, area, areas):
        _add(draft, domain, group, name, area)


def _group(draft: Draft, domain: str, use: str) -> str:
    groups = tuple(draft.bank.heads[domain])
    wanted: tuple[str, ...] = groups
    if domain == "cover":
        wanted = _COVERS_OUTSIDE.get(use, _COVERS_INSIDE)
    elif domain == "switch":
        wanted = ("outlet", "any", use)
    elif domain == "media_player" and use not in ("living", "sleeping", "leisure", "work"):
        wanted = ("speaker", "receiver")
    return draft.rng.choice([group for group in wanted if group in groups] or groups)


def _add(draft: Draft, domain: str, group: str, bare: str, area: Area | None) -> None:
    """Add a device under a name, unless its area has that name already."""
    rng, taste = draft.rng, draft.taste
    name = cased(rng, taste, bare)
    area_id = area.id if area and (domain != "vacuum" or rng.random() < 0.5) else None
    if (area_id, name.casefold()) in draft.names:
        name = cased(rng, taste, numbered(rng, taste, bare, rng.randint(2, 9)))
    if (area_id, name.casefold()) in draft.names:
        return
    draft.names.add((area_id, name.casefold()))
    abilities, attributes = _abilities(rng, domain, limits=taste.limits)
    state = None
    if taste.states and rng.random() < 0.9:
        state, known = _state(rng, domain, abilities)
        attributes |= known
    draft.entities.append(
        Entity(
            id=_entity_id(draft, domain, name, area),
            name=name,
            aliases=_aliases(draft, domain, group, bare, area),
            area=area_id,
            unique_id=f"0x{rng.getrandbits(64):016x}" if rng.random() < 0.15 else None,
            device_class=_device_class(rng, domain, group),
            abilities=abilities,
            state=state,
            attributes=attributes,
            exposed=rng.random() >= 0.04,
            risky=True if domain in ("switch", "water_heater") and rng.random() < 0.02 else None,
        )
    )


def _entity_id(draft: Draft, domain: str, name: str, area: Area | None) -> str:
    rng = draft.rng
    chance = rng.random()
    if chance < 0.05:
        return unique(f"{domain}.0x{rng.getrandbits(64):016x}", draft.ids)
    object_id = slug(name)
    if area and chance < 0.4 and not object_id.startswith(slug(area.name)):
        object_id = f"{slug(area.name)}_{object_id}"
    return unique(f"{domain}.{object_id}", draft.ids)


def _device_class(rng: random.Random, domain: str, group: str) -> str | None:
    if domain == "cover" and rng.random() < 0.75:
        return group
    if domain == "switch" and group == "outlet" and rng.random() < 0.7:
        return "outlet"
    if domain in ("media_player", "humidifier") and rng.random() < 0.6:
        return group
    return None


def _aliases(draft: Draft, domain: str, group: str, bare: str, area: Area | None) -> tuple[str, ...]:
    rng, taste = draft.rng, draft.taste
    if rng.random() >= taste.aliases or domain not in draft.bank.heads:
        return ()
    found: list[str] = []
    shorter = _shorter(bare, area)
    for _ in range(rng.choice((1, 1, 2))):
        chance = rng.random()
        if chance < 0.2:
            found.append(head_of(rng, draft.bank, domain, group))
        elif chance < 0.55 and shorter:
            found.append(shorter)
        elif chance < 0.8:
            found.append(nickname(draft, domain))
        else:
            found.append(owned(draft, head_of(rng, draft.bank, domain, group)))
    return tuple(dict.fromkeys(cased(rng, taste, alias) for alias in found if alias and alias.casefold() != bare.casefold()))


def _shorter(bare: str, area: Area | None) -> str:
    """Return a name without its room, or without its first word; an empty text when nothing is left."""
    if area and area.name in bare:
        return bare.replace(area.name, "").strip(" -的")
    return bare.partition(" ")[2].strip(" -(（#")


def _abilities(rng: random.Random, domain: str, *, limits: bool) -> tuple[frozenset[str], dict[str, Any]]:
    usual = USUAL_ABILITIES.get(domain, frozenset())
    if not limits:
        return usual, {}
    if domain == "light":
        _, abilities, modes = rng.choices(_LIGHT_ABILITIES, [weight for weight, _, _ in _LIGHT_ABILITIES])[0]
        return abilities, {"supported_color_modes": list(modes)} if rng.random() < 0.3 else {}
    lacking = {ability for chance, ability in _FEWER_ABILITIES.get(domain, ()) if rng.random() < chance}
    return usual - lacking, {}


def _state(rng: random.Random, domain: str, abilities: frozenset[str]) -> tuple[str, dict[str, Any]]:
    """Return a state of a device and the attributes that go with it."""
    if rng.random() < 0.02:
        return "unavailable", {}
    on = rng.random() < 0.5
    if domain == "light":
        return ("on", {"brightness": rng.randint(1, 255)} if "brightness" in abilities else {}) if on else ("off", {})
    if domain == "media_player":
        value = rng.choice(("playing", "paused", "idle", "off"))
        known: dict[str, Any] = {"volume_level": rng.randint(0, 20) / 20} if value != "off" and "volume" in abilities else {}
        return value, known
    if domain in ("climate", "water_heater"):
        low, high = (15, 28) if domain == "climate" else (40, 65)
        mode = rng.choice(("heat", "cool", "auto", "off") if domain == "climate" else ("eco", "performance", "off"))
        return mode, {"temperature": rng.randint(2 * low, 2 * high) / 2, "current_temperature": rng.randint(10 * low, 10 * high) / 10}
    if domain == "cover":
        position = rng.choice((0, 0, 100, 100, rng.randint(1, 99)))
        return "open" if position else "closed", {"current_position": position} if "position" in abilities else {}
    if domain == "fan":
        return ("on", {"percentage": rng.choice((20, 33, 40, 50, 66, 75, 100))} if "speed" in abilities else {}) if on else ("off", {})
    if domain == "lock":
        return rng.choice(("locked", "unlocked")), {}
    if domain == "vacuum":
        return rng.choice(("docked", "cleaning", "paused", "returning")), {}
    if domain == "lawn_mower":
        return rng.choice(("docked", "mowing", "paused")), {}
    if domain == "humidifier":
        return "on" if on else "off", {"humidity": rng.randint(30, 70)}
    return "on" if on else "off", {}


_READINGS: dict[str, tuple[str, str, Callable[[random.Random], str]]] = {
    "temperature": ("sensor", "°C", lambda rng: f"{rng.uniform(-5, 32):.1f}"),
    "humidity": ("sensor", "%", lambda rng: f"{rng.randint(20, 90)}"),
    "battery": ("sensor", "%", lambda rng: f"{rng.randint(1, 100)}"),
    "power": ("sensor", "W", lambda rng: f"{rng.uniform(0, 3000):.0f}"),
    "energy": ("sensor", "kWh", lambda rng: f"{rng.uniform(0, 9000):.1f}"),
    "air": ("sensor", "", lambda rng: f"{rng.randint(1, 1800)}"),
    "illuminance": ("sensor", "lx", lambda rng: f"{rng.randint(0, 20000)}"),
    "other": ("sensor", "", lambda rng: f"{rng.randint(0, 100)}"),
}
_AIR_CLASSES = ("carbon_dioxide", "pm25", "aqi")


def _add_sensor(draft: Draft, area: Area | None) -> None:
    rng, bank, taste = draft.rng, draft.bank, draft.taste
    sort = rng.choice([sort for sort, pool in bank.sensors.items() if pool])
    bare = rng.choice(bank.sensors[sort])
    if area and rng.random() < max(0.4, taste.room_in_name):
        bare = joined(rng, taste, area.name, bare)
    name = cased(rng, taste, bare)
    area_id = area.id if area else None
    if (area_id, name.casefold()) in draft.names:
        return
    draft.names.add((area_id, name.casefold()))
    domain, unit, read = _READINGS.get(sort, ("binary_sensor", "", lambda rng: rng.choice(("on", "off"))))
    device_class = rng.choice(_AIR_CLASSES) if sort == "air" else None if sort == "other" else sort
    known = taste.states and rng.random() < 0.9
    draft.entities.append(
        Entity(
            id=unique(f"{domain}.{slug(name)}", draft.ids),
            name=name,
            area=area_id,
            device_class=device_class,
            state=read(rng) if known else None,
            attributes={"unit_of_measurement": unit} if known and unit else {},
            exposed=rng.random() >= 0.1,
        )
    )


def add_house_devices(draft: Draft, areas: Sequence[Area]) -> None:
    """Add scenes, a vacuum, and now and then a lock on the way in."""
    rng, bank, taste = draft.rng, draft.bank, draft.taste
    if rng.random() < 0.6:
        pool = [name for names in bank.scenes.values() for name in names]
        for name in rng.sample(pool, min(len(pool), rng.randint(1, 5))):
            area = rng.choice(areas) if rng.random() < 0.25 else None
            bare = joined(rng, taste, area.name, name) if area and rng.random() < 0.6 else name
            domain = rng.choices(("scene", "script"), (8, 2))[0]
            _add(draft, domain, "any", bare, area)
    if rng.random() < 0.35:
        area = rng.choice((None, rng.choice(areas)))
        _add(draft, "vacuum", "any", device_names(draft, "vacuum", "any", area, areas)[0], area)
    if rng.random() < 0.3:
        area = rng.choice(areas)
        _add(draft, "lock", "any", head_of(rng, bank, "lock", "any"), area)


def add_groups(draft: Draft, areas: Sequence[Area]) -> None:
    """Add light groups, now and then: one entity that stands for several."""
    rng, taste = draft.rng, draft.taste
    if rng.random() >= 0.22:
        return
    for area in rng.sample(list(areas), min(len(areas), rng.randint(1, 2))):
        lights = [entity for entity in draft.entities if entity.area == area.id and entity.domain == "light" and not entity.members]
        if len(lights) < 2:
            continue
        members = lights if rng.random() < 0.6 else rng.sample(lights, 2)
        if taste.han:
            lamp, every, group = ("燈", "所有", "組") if taste.traditional else ("灯", "所有", "组")
            bare = rng.choice(
                (f"{area.name}{lamp}{group}", f"{area.name}{every}{lamp}", f"{area.name}{lamp}", f"{area.name}的{lamp}", lamp + group)
            )
        else:
            bare = rng.choice(
                (f"{area.name} lights", f"{area.name} light group", f"all {area.name} lights", "all lights", f"{area.name} lamps")
            )
        before = len(draft.entities)
        _add(draft, "light", "any", bare, area)
        if len(draft.entities) > before:
            abilities = frozenset[str]().union(*(member.abilities for member in members))
            draft.entities[-1] = replace(
                draft.entities[-1], members=tuple(m.id for m in members), abilities=abilities, attributes={}, state=None
            )


def build_satellites(draft: Draft, areas: Sequence[Area]) -> tuple[Satellite, ...]:
    """Return microphones in some of the rooms, with a media player of the room where there is one."""
    rng = draft.rng
    players = [entity for entity in draft.entities if entity.domain == "media_player" and entity.area]
    satellites = []
    for area in rng.sample(list(areas), min(len(areas), rng.choice((0, 1, 1, 2, 3, 4)))):
        here = [player.id for player in players if player.area == area.id]
        player = rng.choice(here) if here and rng.random() < 0.7 else None
        placed = None if rng.random() < 0.05 else area.id
        satellites.append(Satellite(id=unique(f"assist_satellite.{slug(area.name)}", draft.ids), area=placed, media_player=player))
    return tuple(satellites)
