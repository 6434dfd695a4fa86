"""Tells the daemon the home on <prefix>/home, retained: floors, areas, what is exposed to Assist, satellites."""

import json
import logging
from typing import Any

from homeassistant.components import mqtt
from homeassistant.components.homeassistant.exposed_entities import async_listen_entity_updates, async_should_expose
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, State, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    area_registry as ar,
)
from homeassistant.helpers import (
    device_registry as dr,
)
from homeassistant.helpers import (
    entity_registry as er,
)
from homeassistant.helpers import (
    floor_registry as fr,
)
from homeassistant.helpers import (
    label_registry as lr,
)
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.start import async_at_started

from .const import ASSISTANT, DOMAINS, RISKY_LABEL

_LOGGER = logging.getLogger(__name__)

QUIET_S = 2.0
"""What is told waits until nothing has changed for this long."""
EVENTS = (
    ar.EVENT_AREA_REGISTRY_UPDATED,
    dr.EVENT_DEVICE_REGISTRY_UPDATED,
    er.EVENT_ENTITY_REGISTRY_UPDATED,
    fr.EVENT_FLOOR_REGISTRY_UPDATED,
    lr.EVENT_LABEL_REGISTRY_UPDATED,
)
TELLING_ATTRIBUTES = ("supported_features", "supported_color_modes")
"""Attributes that say what an entity can do."""


class HomeTeller:
    """Publishes the home at the start and whenever it has changed."""

    def __init__(self, hass: HomeAssistant, *, prefix: str) -> None:
        """Prepare to tell."""
        self._hass = hass
        self._topic = f"{prefix}/home"
        self._told = ""
        self._debouncer: Debouncer[None] = Debouncer(hass, _LOGGER, cooldown=QUIET_S, immediate=False, function=self._async_tell)

    @callback
    def async_start(self) -> CALLBACK_TYPE:
        """Begin, and return what ends it."""
        ends = [self._hass.bus.async_listen(event_type, self._async_changed) for event_type in EVENTS]
        ends.append(async_listen_entity_updates(self._hass, ASSISTANT, self._async_changed))
        ends.append(async_at_started(self._hass, self._async_changed))
        ends.append(mqtt.async_subscribe_connection_status(self._hass, self._async_connected))

        @callback
        def end() -> None:
            for one in ends:
                one()
            self._debouncer.async_shutdown()

        return end

    @callback
    def _async_changed(self, _: Event[Any] | HomeAssistant | None = None) -> None:
        self._debouncer.async_schedule_call()

    @callback
    def _async_connected(self, is_connected: bool) -> None:  # noqa: FBT001 - Home Assistant calls it so
        """Tell it once more after the broker was away: it may have lost what it kept."""
        if is_connected:
            self._told = ""
            self._debouncer.async_schedule_call()

    async def _async_tell(self) -> None:
        told = json.dumps(describe_home(self._hass), ensure_ascii=False)
        if told == self._told:
            return
        try:
            await mqtt.async_publish(self._hass, self._topic, told, qos=1, retain=True)
        except HomeAssistantError as error:
            _LOGGER.warning("The home could not be told on %s: %s", self._topic, error)
            return
        self._told = told


def describe_home(hass: HomeAssistant) -> dict[str, Any]:
    """Return the home in the form that the daemon reads."""
    areas = [
        _compact(id=one.id, name=one.name, aliases=sorted(one.aliases), floor=one.floor_id) for one in ar.async_get(hass).async_list_areas()
    ]
    floors = [_compact(id=one.floor_id, name=one.name, aliases=sorted(one.aliases)) for one in fr.async_get(hass).async_list_floors()]
    entities = er.async_get(hass)
    risky = {one.label_id for one in lr.async_get(hass).async_list_labels() if RISKY_LABEL in (one.label_id, one.name.casefold())}
    exposed = (
        one
        for one in sorted(hass.states.async_all(DOMAINS), key=lambda state: state.entity_id)
        if async_should_expose(hass, ASSISTANT, one.entity_id)
    )
    told = (_describe(hass, state, entities.async_get(state.entity_id), risky) for state in exposed)
    return {
        "language": "zh" if hass.config.language.startswith("zh") else "en",
        "floors": floors,
        "areas": areas,
        "entities": [one for one in told if one is not None],
        "satellites": _satellites(hass, entities),
    }


def _describe(hass: HomeAssistant, state: State, entry: er.RegistryEntry | None, risky: set[str]) -> dict[str, Any] | None:
    """Return one entity; None for settings and diagnoses."""
    if entry is not None and entry.entity_category is not None:
        return None
    names = _names(hass, state, entry)
    members = state.attributes.get("entity_id")
    return _compact(
        id=state.entity_id,
        name=names[0],
        aliases=names[1:],
        area=_area_of(hass, entry),
        unique_id=entry.unique_id if entry is not None and entry.platform == "mqtt" else None,
        device_class=(entry.device_class if entry is not None else None) or state.attributes.get("device_class"),
        members=list(members) if isinstance(members, (list, tuple)) else [],
        attributes={key: state.attributes[key] for key in TELLING_ATTRIBUTES if state.attributes.get(key) is not None},
        risky=True if risky & _labels_of(hass, entry) else None,
    )


def _names(hass: HomeAssistant, state: State, entry: er.RegistryEntry | None) -> list[str]:
    """Return what an entity is called, its name first, as Assist hears it."""
    if entry is None:
        names: list[str] = [state.name]
    elif (aliases := getattr(er, "async_get_entity_aliases", None)) is not None:  # since 2026: in the order of the user
        names = aliases(hass, entry, allow_empty=False)
    else:
        names = [state.name, *sorted(str(one) for one in entry.aliases)]
    return list(dict.fromkeys(name.strip() for name in names if name.strip())) or [state.name]


def _area_of(hass: HomeAssistant, entry: er.RegistryEntry | None) -> str | None:
    if entry is None or entry.area_id is not None:
        return entry.area_id if entry is not None else None
    devices = dr.async_get(hass)
    device = devices.async_get(entry.device_id) if entry.device_id is not None else None
    if device is None or device.area_id is not None:
        return device.area_id if device is not None else None
    parent = devices.async_get(getattr(device, "parent_device_id", None) or "")  # since 2026
    return parent.area_id if parent is not None else None


def _labels_of(hass: HomeAssistant, entry: er.RegistryEntry | None) -> set[str]:
    if entry is None:
        return set()
    device = dr.async_get(hass).async_get(entry.device_id) if entry.device_id is not None else None
    return set(entry.labels) | (set(device.labels) if device is not None else set())


def _satellites(hass: HomeAssistant, entities: er.EntityRegistry) -> list[dict[str, Any]]:
    satellites = []
    for entry in entities.entities.values():
        if entry.domain != "assist_satellite" or entry.disabled:
            continue
        beside = er.async_entries_for_device(entities, entry.device_id) if entry.device_id is not None else []
        player = next((one.entity_id for one in beside if one.domain == "media_player"), None)
        satellites.append(_compact(id=entry.entity_id, area=_area_of(hass, entry), media_player=player))
    return sorted(satellites, key=lambda one: one["id"])


def _compact(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, [], {})}
