"""Home Assistant's registries made into a home: what it answers over its WebSocket, as values.

area of an entity   its own, else its device's, else that of the device's parent
name of an entity   its friendly name where its aliases hold one (null stands for it), else its first alias
exposed             to the assistant `conversation`, not disabled, no diagnosis, no setting, and of a domain that can be acted on
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voice_rl_plugin.domain.home import USUAL_ABILITIES, Area, Entity, Floor, Home, Satellite, usual_abilities

ASSISTANT = "conversation"
"""Home Assistant's name for Assist among the assistants that entities are exposed to."""
TELLING_ATTRIBUTES = ("supported_features", "supported_color_modes")
"""Attributes that say what an entity can do; the others are of its state."""

Entry = Mapping[str, Any]
"""One row of a registry, as Home Assistant's JSON has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registries:
    """Home Assistant's answers."""

    language: str = "en"
    """Of the whole system, such as `zh-Hans`."""
    floors: Sequence[Entry] = ()
    areas: Sequence[Entry] = ()
    devices: Sequence[Entry] = ()
    entities: Sequence[Entry] = ()
    labels: Sequence[Entry] = ()
    details: Mapping[str, Entry] = field(default_factory=dict)
    """The full entries of the exposed entities, by entity id: only they hold the aliases."""
    exposed: frozenset[str] = frozenset()
    states: Mapping[str, Entry] = field(default_factory=dict)
    """`get_states`, by entity id."""


def read_exposed(listed: Mapping[str, Any] | None, entities: Iterable[Entry]) -> frozenset[str]:
    """Return the entities that are exposed to Assist.

    Args:
        listed: what `homeassistant/expose_entity/list` answered; None where the token's user may not ask.
        entities: the entity registry, which holds the same for what has a unique id; the rest then counts as not exposed.
    """
    if listed is not None:
        known = listed.get("exposed_entities")
        rows = known.items() if isinstance(known, Mapping) else ()
        return frozenset(entity_id for entity_id, given in rows if isinstance(given, Mapping) and given.get(ASSISTANT) is True)
    return frozenset(
        str(one["entity_id"])
        for one in entities
        if _mapping(_mapping(one.get("options")).get(ASSISTANT)).get("should_expose") is True and _text(one.get("entity_id"))
    )


def home_of(registries: Registries, *, risky_label: str = "") -> Home:
    """Return the home that the registries describe.

    What is not exposed is in it as such, so that no other source can bring it back.

    Args:
        registries: Home Assistant's answers.
        risky_label: id or name of the label of entities or devices that always ask.
    """
    floors = tuple(
        Floor(id=floor_id, name=_text(one.get("name")) or floor_id, aliases=_sorted(one.get("aliases")))
        for one, floor_id in _rows(registries.floors, "floor_id")
    )
    floor_ids = {one.id for one in floors}
    areas = tuple(
        Area(
            id=area_id,
            name=_text(one.get("name")) or area_id,
            aliases=_sorted(one.get("aliases")),
            floor=one["floor_id"] if one.get("floor_id") in floor_ids else None,
        )
        for one, area_id in _rows(registries.areas, "area_id")
    )
    places = _Places({one.id for one in areas}, registries.devices)
    risky_labels = _labels_called(risky_label, registries.labels)
    entries = {entity_id: one for one, entity_id in _rows(registries.entities, "entity_id") if one.get("disabled_by") is None}
    disabled = {entity_id for one, entity_id in _rows(registries.entities, "entity_id") if one.get("disabled_by") is not None}
    ids = sorted((entries.keys() | registries.states.keys()) - disabled)
    is_ordered = _has_ordered_aliases(registries.details.values())
    entities = [
        _entity(entity_id, entries.get(entity_id, {}), registries, places, risky_labels=risky_labels, is_ordered=is_ordered)
        for entity_id in ids
    ]
    entities += [
        Entity(id=entity_id, name=_object_name(entity_id), abilities=usual_abilities(entity_id, {}), exposed=False)
        for entity_id in sorted(disabled)
    ]
    return Home(
        language="zh" if registries.language.casefold().startswith("zh") else "en",
        floors=floors,
        areas=areas,
        entities=tuple(one for one in entities if "." in one.id),
        satellites=tuple(_satellites(entries, places)),
    )


class _Places:
    """Where devices and entities are."""

    def __init__(self, area_ids: set[str], devices: Iterable[Entry]) -> None:
        self._area_ids = area_ids
        self.devices = {device_id: one for one, device_id in _rows(devices, "id")}

    def of(self, entry: Entry) -> str | None:
        """Return the area of an entity."""
        device = self.devices.get(str(entry.get("device_id")), {})
        parent = self.devices.get(str(device.get("parent_device_id")), {})
        return next((one["area_id"] for one in (entry, device, parent) if one.get("area_id") in self._area_ids), None)

    def labels_of(self, entry: Entry) -> set[str]:
        """Return the labels of an entity and of its device."""
        device = self.devices.get(str(entry.get("device_id")), {})
        return {*_texts(entry.get("labels")), *_texts(device.get("labels"))}


def _entity(entity_id: str, entry: Entry, registries: Registries, places: _Places, *, risky_labels: set[str], is_ordered: bool) -> Entity:
    entry = {**entry, **registries.details.get(entity_id, {})}
    state = registries.states.get(entity_id, {})
    attributes = _mapping(state.get("attributes"))
    full_name = (
        _text(attributes.get("friendly_name")) or _text(entry.get("name")) or _text(entry.get("original_name")) or _object_name(entity_id)
    )
    is_exposed = entity_id in registries.exposed and entry.get("entity_category") is None and entity_id.partition(".")[0] in USUAL_ABILITIES
    unique_id = _text(entry.get("unique_id")) if entry.get("platform") == "mqtt" else None
    if not is_exposed:
        return Entity(id=entity_id, name=full_name, unique_id=unique_id, abilities=usual_abilities(entity_id, {}), exposed=False)
    names = _names(entry.get("aliases"), full_name, is_ordered=is_ordered)
    telling = {key: attributes[key] for key in TELLING_ATTRIBUTES if attributes.get(key) is not None}
    members = attributes.get("entity_id")
    return Entity(
        id=entity_id,
        name=names[0],
        aliases=names[1:],
        area=places.of(entry),
        unique_id=unique_id,  # only MQTT's own are the same elsewhere; those of other platforms may repeat
        device_class=_text(entry.get("device_class")) or _text(attributes.get("device_class")) or _text(entry.get("original_device_class")),
        members=_texts(members) if isinstance(members, (list, tuple)) else (),
        abilities=usual_abilities(entity_id, telling),
        attributes=telling,
        risky=True if risky_labels & places.labels_of(entry) else None,
    )


def _names(aliases: Any, full_name: str, *, is_ordered: bool) -> tuple[str, ...]:
    """Return what an entity is called, its name first."""
    given = list(aliases) if isinstance(aliases, (list, tuple)) else []
    if not is_ordered:
        given = [None, *given]
    names = [full_name if one is None else _text(one) for one in given]
    return tuple(dict.fromkeys(name for name in names if name)) or (full_name,)


def _has_ordered_aliases(details: Iterable[Entry]) -> bool:
    """Whether a null stands for the full name, as since 2026: an entity without one is then not called by its full name."""
    return any(None in one["aliases"] for one in details if isinstance(one.get("aliases"), list))


def _satellites(entries: Mapping[str, Entry], places: _Places) -> Iterable[Satellite]:
    players: dict[str, str] = {}
    for entity_id, entry in entries.items():
        if entity_id.startswith("media_player.") and entry.get("device_id") is not None:
            players.setdefault(str(entry["device_id"]), entity_id)
    for entity_id, entry in entries.items():
        if entity_id.startswith("assist_satellite."):
            device_id = _text(entry.get("device_id"))
            yield Satellite(id=entity_id, area=places.of(entry), media_player=players.get(device_id or ""))


def _labels_called(name: str, labels: Iterable[Entry]) -> set[str]:
    wanted = name.strip().casefold()
    found = {label_id for one, label_id in _rows(labels, "label_id") if wanted in (label_id, str(one.get("name", "")).casefold())}
    return found if wanted else set()


def _rows(rows: Iterable[Any], key: str) -> Iterable[tuple[Entry, str]]:
    for one in rows:
        if isinstance(one, Mapping) and isinstance(one.get(key), str) and one[key]:
            yield one, one[key]


def _sorted(aliases: Any) -> tuple[str, ...]:
    """Return the aliases of an area or a floor, which Home Assistant keeps as a set."""
    return tuple(sorted(_texts(aliases)))


def _object_name(entity_id: str) -> str:
    return entity_id.partition(".")[2].replace("_", " ").strip() or entity_id


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for one in value if (text := _text(one))) if isinstance(value, (list, tuple)) else ()
