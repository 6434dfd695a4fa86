"""What Home Assistant takes as a device-based MQTT discovery payload, written down from its documentation and its release of 2026.11.

Home Assistant drops keys that it does not know without a word; here they are mistakes, for a misspelled key is one.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jinja2

Check = Callable[[Any], bool]

TOPIC = re.compile(r"(?P<prefix>.+)/device/(?:(?P<node_id>[a-zA-Z0-9_-]+)/)?(?P<object_id>[a-zA-Z0-9_-]+)/config")
_ENVIRONMENT = jinja2.Environment(autoescape=False)  # noqa: S701 - nothing is shown in a browser
_ENVIRONMENT.filters["to_json"] = lambda value: value
_ENVIRONMENT.tests["match"] = lambda value, find: re.match(find, value) is not None


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _topic(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and not set(value) & set("+#\0")


def _template(value: Any) -> bool:
    try:
        _ENVIRONMENT.parse(value)
        _ENVIRONMENT.compile(value)
    except jinja2.TemplateError:
        return False
    return isinstance(value, str)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _icon(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"mdi:[a-z0-9-]+", value) is not None


def _one_of(*words: Any) -> Check:
    return lambda value: value in words


AVAILABILITY: Mapping[str, Check] = {
    "availability_topic": _topic,
    "availability_template": _template,
    "payload_available": _text,
    "payload_not_available": _text,
}
COMMON: Mapping[str, Check] = {
    **AVAILABILITY,
    "platform": _text,
    "unique_id": _text,
    "name": lambda value: value is None or _text(value),
    "default_entity_id": _text,
    "icon": _icon,
    "entity_category": _one_of("config", "diagnostic"),
    "enabled_by_default": _flag,
    "visible_by_default": _flag,
    "json_attributes_topic": _topic,
    "json_attributes_template": _template,
    "qos": _one_of(0, 1, 2),
    "encoding": _text,
}
_COMMAND: Mapping[str, Check] = {"command_topic": _topic, "command_template": _template, "retain": _flag}
_STATE: Mapping[str, Check] = {"state_topic": _topic, "value_template": _template}
_UNITS = {"duration": ("d", "h", "min", "s", "ms", "μs")}
PLATFORMS: Mapping[str, tuple[tuple[str, ...], Mapping[str, Check]]] = {
    "text": (
        ("command_topic",),
        {**_COMMAND, **_STATE, "min": _count, "max": _count, "mode": _one_of("text", "password"), "pattern": _text, "optimistic": _flag},
    ),
    "button": (("command_topic",), {**_COMMAND, "payload_press": _text, "device_class": _one_of("restart", "update", "identify")}),
    "sensor": (
        ("state_topic",),
        {
            **_STATE,
            "unit_of_measurement": _text,
            "device_class": _one_of("duration", "enum"),
            "state_class": _one_of("measurement", "total", "total_increasing"),
            "options": _texts,
            "expire_after": _count,
            "force_update": _flag,
            "suggested_display_precision": _count,
            "entity_category": _one_of("diagnostic"),
        },
    ),
    "binary_sensor": (
        ("state_topic",),
        {**_STATE, "payload_on": _text, "payload_off": _text, "device_class": _one_of("connectivity", "problem", "running")},
    ),
    "select": (("command_topic", "options"), {**_COMMAND, **_STATE, "options": _texts, "optimistic": _flag}),
    "event": (("state_topic", "event_types"), {**_STATE, "event_types": _texts, "device_class": _one_of("button", "doorbell", "motion")}),
    "update": (
        (),
        {
            **_STATE,
            "command_topic": _topic,
            "payload_install": _text,
            "title": _text,
            "release_summary": _text,
            "release_url": _text,
            "latest_version_topic": _topic,
            "latest_version_template": _template,
            "device_class": _one_of("firmware"),
            "retain": _flag,
        },
    ),
}
DEVICE: Mapping[str, Check] = {
    "identifiers": _texts,
    "connections": lambda value: isinstance(value, list) and all(isinstance(one, list) and len(one) == 2 for one in value),
    **dict.fromkeys(("manufacturer", "model", "model_id", "name", "hw_version", "sw_version", "serial_number", "via_device"), _text),
    "suggested_area": _text,
    "configuration_url": lambda value: isinstance(value, str) and value.startswith(("http://", "https://", "homeassistant://")),
}
ORIGIN: Mapping[str, Check] = {"name": _text, "sw_version": _text, "support_url": _text}
SHARED: Mapping[str, Check] = {**AVAILABILITY, "command_topic": _topic, "state_topic": _topic, "qos": _one_of(0, 1, 2), "encoding": _text}
UPDATE_STATE: Mapping[str, Check] = {
    **dict.fromkeys(("installed_version", "latest_version", "title", "release_summary"), _text),
    "in_progress": _flag,
    "update_percentage": lambda value: value is None or (_count(value) and value <= 100),
}
"""Home Assistant refuses the whole state for one key more, or for a null."""


def problems_of_update(state: Mapping[str, Any]) -> list[str]:
    """Return what Home Assistant would not take of the state of an update entity."""
    return list(_mapping("state", state, UPDATE_STATE))


def problems_of(topic: str, payload: Mapping[str, Any]) -> list[str]:
    """Return what Home Assistant would not take of a device announcement, or drop without a word."""
    return list(_problems(topic, payload))


def _problems(topic: str, payload: Mapping[str, Any]) -> Iterator[str]:
    if TOPIC.fullmatch(topic) is None:
        yield f"topic: {topic}"
    known = {"device": lambda value: isinstance(value, dict), "origin": lambda value: isinstance(value, dict)}
    yield from _mapping("payload", payload, {**known, "components": lambda value: isinstance(value, dict), **SHARED})
    yield from _mapping("device", payload.get("device", {}), DEVICE)
    yield from _mapping("origin", payload.get("origin", {}), ORIGIN)
    if not (payload.get("device", {}).get("identifiers") or payload.get("device", {}).get("connections")):
        yield "device: neither identifiers nor connections"
    if "name" not in payload.get("origin", {}):
        yield "origin: no name"
    if not payload.get("components"):
        yield "components: none"
    components = payload.get("components", {})
    for key, component in components.items():
        yield from _component(key, component)
    for unique in ("unique_id", "default_entity_id"):
        values = [one.get(unique) for one in components.values()]
        if len(set(values)) < len(values):
            yield f"components: {unique} is not unique"


def _component(key: str, component: Mapping[str, Any]) -> Iterator[str]:
    platform = component.get("platform")
    if not isinstance(platform, str) or platform not in PLATFORMS:
        yield f"{key}: platform {platform!r}"
        return
    required, optional = PLATFORMS[platform]
    for one in ("unique_id", *required):
        if one not in component:
            yield f"{key}: {one} is missing"
    yield from _mapping(key, component, {**COMMON, **optional})
    entity_id = str(component.get("default_entity_id"))
    if re.fullmatch(rf"{platform}\.[a-z0-9_]+", entity_id) is None:
        yield f"{key}: default_entity_id: {entity_id}"
    if platform == "text" and component.get("max", 255) > 255:
        yield f"{key}: max is over 255"
    device_class, unit = component.get("device_class"), component.get("unit_of_measurement")
    if device_class in _UNITS and unit not in _UNITS[device_class]:
        yield f"{key}: {device_class} is not measured in {unit}"
    if "options" in component and platform == "sensor" and device_class != "enum":
        yield f"{key}: options without the device class enum"


def _mapping(where: str, values: Mapping[str, Any], known: Mapping[str, Check]) -> Iterator[str]:
    for key, value in values.items():
        if key not in known:
            yield f"{where}: unknown key {key}"
        elif not known[key](value):
            yield f"{where}: {key}: {value!r}"
