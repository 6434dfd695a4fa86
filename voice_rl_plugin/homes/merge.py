"""Merging homes: several sources, one home; what the first says, holds.

file  >  Home Assistant's registry  >  the home topic  >  devices that announce themselves over MQTT

Entities are the same when their id is the same, else when their unique_id is; never by name. What any source hides stays hidden:
a file may hide what Home Assistant exposes, but not expose what it hides. Announced devices add entities only where there is no registry,
neither by its WebSocket nor on the home topic; where there is one they only complete what it knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from voice_rl_plugin.domain.home import Area, Entity, Floor, Home, Satellite, usual_abilities


def merge_sources(
    *, file: Home | None = None, registry: Home | None = None, topic: Home | None = None, devices: Sequence[Home] = ()
) -> Home:
    """Return the one home that all sources together give.

    Args:
        file: the home file's.
        registry: Home Assistant's over its WebSocket.
        topic: what came on `<prefix>/home`.
        devices: what devices announced over MQTT: discovery, zigbee2mqtt.
    """
    known = merge_homes([one for one in (file, registry, topic) if one is not None])
    if registry is None and topic is None:
        return merge_homes([one for one in (file, *(_in_areas_of(known, home) for home in devices)) if one is not None])
    unique_ids = {one.unique_id for one in known.entities if one.unique_id}
    completing = [
        replace(
            home,
            floors=(),
            areas=(),
            satellites=(),
            entities=tuple(
                replace(one, area=one.area if one.area in known.area_by_id else None)
                for one in home.entities
                if one.id in known.entity_by_id or one.unique_id in unique_ids
            ),
        )
        for home in devices
    ]
    return merge_homes([known, *completing])


def renamed_ids(former: Home, home: Home) -> Mapping[str, str]:
    """Return new entity ids by old ones, of entities whose unique id says that they are the same."""
    by_unique = {one.unique_id: one.id for one in home.entities if one.unique_id and one.id not in former.entity_by_id}
    return {one.id: by_unique[one.unique_id] for one in former.entities if one.id not in home.entity_by_id and one.unique_id in by_unique}


def _in_areas_of(known: Home, home: Home) -> Home:
    """Return the home of devices in the areas of a stronger one, where those are called as its own."""
    same = {area.id: found.id for area in home.areas if (found := known.find_area(area.name)) is not None and found.id != area.id}
    if not same:
        return home
    return replace(
        home,
        areas=tuple(one for one in home.areas if one.id not in same),
        entities=tuple(replace(one, area=same.get(one.area or "", one.area)) for one in home.entities),
    )


def merge_homes(homes: Sequence[Home]) -> Home:
    """Return the union of homes.

    Args:
        homes: the strongest source first.

    Returns:
        One home; an entity of a stronger source keeps all it says, and only what it leaves out comes from a weaker one.
    """
    if not homes:
        return Home()
    floors: dict[str, Floor] = {}
    areas: dict[str, Area] = {}
    entities: dict[str, Entity] = {}
    satellites: dict[str, Satellite] = {}
    id_by_unique: dict[str, str] = {}
    called_otherwise: dict[str, str] = {}
    """What a weaker source calls an entity of a stronger one."""
    for home in homes:
        for floor in home.floors:
            floors.setdefault(floor.id, floor)
        for area in home.areas:
            known_area = areas.get(area.id)
            areas[area.id] = (
                area
                if known_area is None
                else replace(known_area, aliases=known_area.aliases or area.aliases, floor=known_area.floor or area.floor)
            )
        for entity in home.entities:
            same_id = entity.id if entity.id in entities else id_by_unique.get(entity.unique_id or "", entity.id)
            if same_id != entity.id:
                called_otherwise[entity.id] = same_id
            known = entities.get(same_id)
            entities[same_id] = entity if known is None else _complete(known, entity)
            if entities[same_id].unique_id:
                id_by_unique.setdefault(entities[same_id].unique_id or "", same_id)
        for satellite in home.satellites:
            known_satellite = satellites.get(satellite.id)
            satellites[satellite.id] = (
                satellite
                if known_satellite is None
                else replace(
                    known_satellite,
                    area=known_satellite.area or satellite.area,
                    media_player=known_satellite.media_player or satellite.media_player,
                )
            )
    return Home(
        language=homes[0].language,
        floors=tuple(floors.values()),
        areas=tuple(areas.values()),
        entities=tuple(_with_members(one, called_otherwise) for one in entities.values()),
        satellites=tuple(satellites.values()),
    )


def _with_members(entity: Entity, called_otherwise: Mapping[str, str]) -> Entity:
    """Return a group with its members under the ids that they have now."""
    if called_otherwise.keys().isdisjoint(entity.members):
        return entity
    return replace(entity, members=tuple(called_otherwise.get(one, one) for one in entity.members))


def _complete(strong: Entity, weak: Entity) -> Entity:
    says_abilities = strong.abilities != usual_abilities(strong.id, strong.attributes)
    return replace(
        strong,
        aliases=strong.aliases or weak.aliases,
        area=strong.area or weak.area,
        unique_id=strong.unique_id or weak.unique_id,
        device_class=strong.device_class or weak.device_class,
        members=strong.members or weak.members,
        abilities=strong.abilities if says_abilities else weak.abilities,
        exposed=strong.exposed and weak.exposed,
        state=strong.state if strong.state is not None else weak.state,
        attributes={**weak.attributes, **strong.attributes},
        risky=strong.risky if strong.risky is not None else weak.risky,
    )
