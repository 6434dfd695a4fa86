"""A home: floors, areas, entities and satellites, and what its devices can do.

The mapping form is the one of `home.yaml` and of the retained topic `<prefix>/home`:

    language: en
    floors:     [{id: ground, name: Ground Floor, aliases: [downstairs]}]
    areas:      [{id: kitchen, name: Kitchen, aliases: [], floor: ground}]
    entities:   [{id: light.counter_bar, name: Counter Bar, aliases: [bar], area: kitchen}]
    satellites: [{id: assist_satellite.kitchen, area: kitchen, media_player: media_player.radio}]
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from voice_rl_plugin.errors import ConfigError

ABILITIES = frozenset(
    "on_off brightness color color_temp volume mute play_pause next_previous temperature hvac_mode open_close stop position speed "
    "lock_unlock start_dock activate".split()
)

USUAL_ABILITIES: Mapping[str, frozenset[str]] = {
    "light": frozenset({"on_off", "brightness", "color", "color_temp"}),
    "switch": frozenset({"on_off"}),
    "input_boolean": frozenset({"on_off"}),
    "fan": frozenset({"on_off", "speed"}),
    "media_player": frozenset({"on_off", "volume", "mute", "play_pause", "next_previous", "stop"}),
    "climate": frozenset({"on_off", "temperature", "hvac_mode"}),
    "water_heater": frozenset({"on_off", "temperature"}),
    "humidifier": frozenset({"on_off"}),
    "cover": frozenset({"open_close", "stop", "position"}),
    "valve": frozenset({"open_close"}),
    "lock": frozenset({"lock_unlock"}),
    "vacuum": frozenset({"start_dock", "stop", "play_pause"}),
    "lawn_mower": frozenset({"start_dock", "stop", "play_pause"}),
    "siren": frozenset({"on_off"}),
    "scene": frozenset({"activate"}),
    "script": frozenset({"activate"}),
    "button": frozenset({"activate"}),
    "input_button": frozenset({"activate"}),
}
"""What an entity can do when its home does not say: the usual abilities of its domain."""

# Home Assistant's supported_features bits that take an ability away or give it, per domain.
# Source: homeassistant/components/<domain>/const.py, 2026.11.
_FEATURE_BITS: Mapping[str, Mapping[str, int]] = {
    "cover": {"open_close": 1 | 2, "position": 4, "stop": 8},
    "fan": {"speed": 1},
    "media_player": {
        "on_off": 128 | 256,
        "volume": 4 | 1024,
        "mute": 8,
        "play_pause": 1 | 16384,
        "next_previous": 16 | 32,
        "stop": 4096,
    },
    "climate": {"temperature": 1 | 2, "on_off": 128 | 256},
    "vacuum": {"start_dock": 16 | 8192, "stop": 8, "play_pause": 4},
}
_COLOR_MODES = frozenset({"hs", "xy", "rgb", "rgbw", "rgbww"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A storey of the home."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A room or a part of the garden."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    floor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A device, or one function of a device, that can be addressed."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    area: str | None = None
    unique_id: str | None = None
    device_class: str | None = None
    members: tuple[str, ...] = ()
    """Entity ids, where this entity is a group."""
    abilities: frozenset[str] = frozenset()
    state: str | None = None
    """The state that the home file gives; the daemon keeps live states apart."""
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    exposed: bool = True
    risky: bool | None = None
    """True or False when the owner has labelled it; None leaves it to the safety rule."""

    @property
    def domain(self) -> str:
        """Return the part of the id before the dot."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Satellite:
    """A microphone with a place."""

    id: str
    area: str | None = None
    media_player: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityState:
    """The last known state of an entity."""

    value: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    changed_at: float = 0.0
    """Unix seconds of the last change of the value; 0 when unknown."""


States = Mapping[str, EntityState]
"""Live states by entity id; a missing id means unknown."""


@dataclass(frozen=True, kw_only=True)
class Home:
    """Everything that can be addressed, and where it is."""

    language: str = "en"
    floors: tuple[Floor, ...] = ()
    areas: tuple[Area, ...] = ()
    entities: tuple[Entity, ...] = ()
    satellites: tuple[Satellite, ...] = ()

    @cached_property
    def entity_by_id(self) -> Mapping[str, Entity]:
        """Map entity ids to entities."""
        return {entity.id: entity for entity in self.entities}

    @cached_property
    def area_by_id(self) -> Mapping[str, Area]:
        """Map area ids to areas."""
        return {area.id: area for area in self.areas}

    @cached_property
    def exposed(self) -> tuple[Entity, ...]:
        """Return the entities that a voice may address."""
        return tuple(entity for entity in self.entities if entity.exposed)

    @cached_property
    def exposed_by_area(self) -> Mapping[str | None, tuple[Entity, ...]]:
        """Map area ids to their exposed entities."""
        groups: dict[str | None, list[Entity]] = {}
        for entity in self.exposed:
            groups.setdefault(entity.area, []).append(entity)
        return {area: tuple(entities) for area, entities in groups.items()}

    @cached_property
    def bearers(self) -> Mapping[str, int]:
        """Map names and aliases, in one case, to how many exposed entities answer to them."""
        return Counter(name for e in self.exposed for name in {e.name.casefold(), *map(str.casefold, e.aliases)})

    @cached_property
    def initial_states(self) -> States:
        """Return the states that the home file itself gives."""
        return {e.id: EntityState(value=e.state, attributes=e.attributes) for e in self.entities if e.state is not None}

    def areas_of_floor(self, floor_id: str) -> tuple[str, ...]:
        """Return the ids of the areas on a floor."""
        return tuple(area.id for area in self.areas if area.floor == floor_id)

    def find_area(self, text: str) -> Area | None:
        """Return the area with this id, or the only one with this name or alias; None otherwise."""
        if text in self.area_by_id:
            return self.area_by_id[text]
        wanted = text.strip().casefold()
        found = [a for a in self.areas if wanted in (a.name.casefold(), *(alias.casefold() for alias in a.aliases))]
        return found[0] if len(found) == 1 else None

    @classmethod
    def from_mapping(cls, mapping: Any, *, where: str = "home") -> "Home":
        """Build a home from its mapping form.

        Args:
            mapping: the decoded YAML or JSON.
            where: what to call the source in errors, a path or a topic.

        Raises:
            ConfigError: a key is unknown or ill-typed, an id is missing, doubled, or points nowhere.
        """
        root = _check_mapping(mapping, {"language", "floors", "areas", "entities", "satellites", "name"}, where)
        floors = tuple(
            Floor(id=_id(m, w), name=_name(m, w), aliases=_texts(m, "aliases", w))
            for m, w in _items(root, "floors", {"id", "name", "aliases"}, where)
        )
        areas = tuple(
            Area(id=_id(m, w), name=_name(m, w), aliases=_texts(m, "aliases", w), floor=_optional_text(m, "floor", w))
            for m, w in _items(root, "areas", {"id", "name", "aliases", "floor"}, where)
        )
        entities = tuple(_entity(m, w) for m, w in _items(root, "entities", _ENTITY_KEYS, where))
        satellites = tuple(
            Satellite(id=_id(m, w), area=_optional_text(m, "area", w), media_player=_optional_text(m, "media_player", w))
            for m, w in _items(root, "satellites", {"id", "area", "media_player", "name"}, where)
        )
        _check_ids("floors", [f.id for f in floors], where)
        _check_ids("areas", [a.id for a in areas], where)
        _check_ids("entities", [e.id for e in entities], where)
        floor_ids, area_ids = {f.id for f in floors}, {a.id for a in areas}
        for area in areas:
            _check_reference(area.floor, floor_ids, f"{where}: areas: {area.id}: floor")
        for thing_id, area_id in [(e.id, e.area) for e in entities] + [(s.id, s.area) for s in satellites]:
            _check_reference(area_id, area_ids, f"{where}: {thing_id}: area")
        language = root.get("language", "en")
        if not isinstance(language, str):
            raise ConfigError(f"{where}: language: expected a tag such as en or zh, got {language!r}")
        return cls(language=language, floors=floors, areas=areas, entities=entities, satellites=satellites)

    def to_mapping(self) -> dict[str, Any]:
        """Return the mapping form, which `from_mapping` reads back to an equal home."""

        def compact(**values: Any) -> dict[str, Any]:
            return {key: value for key, value in values.items() if value not in (None, [], {})}

        return {
            "language": self.language,
            "floors": [compact(id=f.id, name=f.name, aliases=list(f.aliases)) for f in self.floors],
            "areas": [compact(id=a.id, name=a.name, aliases=list(a.aliases), floor=a.floor) for a in self.areas],
            "entities": [
                compact(
                    id=e.id,
                    name=e.name,
                    aliases=list(e.aliases),
                    area=e.area,
                    unique_id=e.unique_id,
                    device_class=e.device_class,
                    members=list(e.members),
                    abilities=sorted(e.abilities),
                    state=e.state,
                    attributes=dict(e.attributes),
                    exposed=None if e.exposed else False,
                    risky=e.risky,
                )
                for e in self.entities
            ],
            "satellites": [compact(id=s.id, area=s.area, media_player=s.media_player) for s in self.satellites],
        }


_ENTITY_KEYS = frozenset(
    {"id", "name", "aliases", "area", "unique_id", "device_class", "members", "abilities", "state", "attributes", "exposed", "risky"}
)


def usual_abilities(entity_id: str, attributes: Mapping[str, Any]) -> frozenset[str]:
    """Return what an entity can do, from its domain and Home Assistant's `supported_features` and `supported_color_modes`."""
    domain = entity_id.partition(".")[0]
    abilities = USUAL_ABILITIES.get(domain, frozenset())
    modes = attributes.get("supported_color_modes")
    if domain == "light" and isinstance(modes, (list, tuple)):
        known = {mode for mode in modes if isinstance(mode, str)}
        given = {"on_off"}
        if known - {"onoff"}:
            given.add("brightness")
        if known & _COLOR_MODES:
            given.add("color")
        if "color_temp" in known or "rgbww" in known:
            given.add("color_temp")
        return frozenset(given)
    features = attributes.get("supported_features")
    if isinstance(features, int) and not isinstance(features, bool) and domain in _FEATURE_BITS:
        bits = _FEATURE_BITS[domain]
        return frozenset(a for a in abilities if a not in bits or features & bits[a])
    return abilities


def _entity(mapping: Mapping[str, Any], where: str) -> Entity:
    entity_id = _id(mapping, where)
    domain, dot, object_id = entity_id.partition(".")
    if not dot or not domain or not object_id:
        raise ConfigError(f"{where}: id: expected <domain>.<name>, got {entity_id!r}")
    attributes = mapping.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        raise ConfigError(f"{where}: attributes: expected a mapping, got {attributes!r}")
    if mapping.get("abilities") is None:
        abilities = usual_abilities(entity_id, attributes)
    else:
        abilities = frozenset(_texts(mapping, "abilities", where))
        if unknown := abilities - ABILITIES:
            raise ConfigError(f"{where}: abilities: unknown {sorted(unknown)}; expected some of {sorted(ABILITIES)}")
    for key in ("exposed", "risky"):
        if mapping.get(key) is not None and not isinstance(mapping[key], bool):
            raise ConfigError(f"{where}: {key}: expected true or false, got {mapping[key]!r}")
    state = mapping.get("state")
    if isinstance(state, bool):  # YAML reads a bare on/off as a boolean
        state = "on" if state else "off"
    return Entity(
        id=entity_id,
        name=_name(mapping, where),
        aliases=_texts(mapping, "aliases", where),
        area=_optional_text(mapping, "area", where),
        unique_id=_optional_text(mapping, "unique_id", where),
        device_class=_optional_text(mapping, "device_class", where),
        members=_texts(mapping, "members", where),
        abilities=abilities,
        state=None if state is None else str(state),
        attributes=dict(attributes),
        exposed=mapping.get("exposed") is not False,
        risky=mapping.get("risky"),
    )


def _check_mapping(value: Any, keys: Iterable[str], where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected a mapping, got {type(value).__name__}")
    known = sorted(keys)
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
    return value


def _items(root: Mapping[str, Any], key: str, keys: Iterable[str], where: str) -> Iterable[tuple[Mapping[str, Any], str]]:
    items = root.get(key) or []
    if not isinstance(items, (list, tuple)):
        raise ConfigError(f"{where}: {key}: expected a list, got {type(items).__name__}")
    for index, item in enumerate(items):
        label = item.get("id", index) if isinstance(item, Mapping) else index
        place = f"{where}: {key}: {label}"
        yield _check_mapping(item, keys, place), place


def _id(mapping: Mapping[str, Any], where: str) -> str:
    value = mapping.get("id")
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: id: expected a text, got {value!r}")
    return value


def _name(mapping: Mapping[str, Any], where: str) -> str:
    value = mapping.get("name")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: name: expected a text, got {value!r}")
    return value


def _optional_text(mapping: Mapping[str, Any], key: str, where: str) -> str | None:
    value = mapping.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{where}: {key}: expected a text, got {value!r}")
    return value


def _texts(mapping: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = mapping.get(key) or ()
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: {key}: expected a list of texts, got {value!r}")
    return tuple(str(item) for item in value)


def _check_ids(kind: str, ids: list[str], where: str) -> None:
    doubled = {one for one in ids if ids.count(one) > 1} if len(set(ids)) < len(ids) else set()
    if doubled:
        raise ConfigError(f"{where}: {kind}: id {min(doubled)!r} occurs twice; ids are unique")


def _check_reference(reference: str | None, known: set[str], where: str) -> None:
    if reference is not None and reference not in known:
        near = difflib.get_close_matches(reference, sorted(known), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{where}: {reference!r} is not defined{hint}")
