"""The discovery door: Home Assistant's MQTT discovery shows this program as one device.

<discovery prefix>/device/<node>/config   retained; an empty payload removes the device
    device, origin                        who we are
    components                            text, buttons, event, select, update, sensors: each on a topic of docs/mqtt.md
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from voice_rl_plugin.config import DISCOVERY_LANGUAGES

EVENT_TYPES = ("act", "clarify", "reject", "undo", "failed")
COUNTED_KINDS = ("acted", "asked", "rejected", "corrected", "denied")
"""What the sensors of the last seven days count, as `last_7_days` of `<prefix>/metrics` names it."""

_NODE = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NAMES: Mapping[str, tuple[str, str]] = {
    "command": ("Command", "指令"),
    "right": ("That was right", "做对了"),
    "wrong": ("That was wrong", "做错了"),
    "undo": ("Take it back", "撤销"),
    "decision": ("Last decision", "最近的决定"),
    "learning": ("Learning", "学习"),
    "model": ("Model", "模型"),
    "rollback": ("Back to the former model", "恢复上一个模型"),
    "retrain": ("Train now", "开始训练"),
    "training": ("Training", "训练"),
    "training_progress": ("Training progress", "训练进度"),
    "acted": ("Acted in 7 days", "7天内执行"),
    "asked": ("Asked in 7 days", "7天内询问"),
    "rejected": ("Refused in 7 days", "7天内拒绝"),
    "corrected": ("Corrected in 7 days", "7天内被纠正"),
    "denied": ("Denied in 7 days", "7天内被否定"),
    "decision_time": ("Decision time", "决定用时"),
    "connection": ("Connection", "连接"),
}
"""The name of each component, in English and Chinese; the entity ids are the same in both."""
_JUDGED = (
    "{%- set event = device_entities(device_id(entity_id)) | select('match', 'event[.]') | first | default('') -%}"
    "{%- set named = state_attr(event, 'decision_id') if state_attr(event, 'event_type') != 'clarify' else none -%}"
    "{{ ({'verdict': value, 'decision_id': named} if named else {'verdict': value}) | to_json }}"
)
"""Judges the decision that the page shows as the last one; a question is not named, so that a thumb up unlocks no door."""
_INSTALLED = (
    "{{ {'installed_version': value_json.installed_version, 'latest_version': value_json.latest_version, "
    "'in_progress': value_json.in_progress, 'release_summary': value_json.release_summary} | to_json }}"
)
"""Home Assistant refuses the whole state of an update entity for one key that it does not know."""


def node_of(prefix: str) -> str:
    """Return what Home Assistant knows a topic prefix by: the prefix itself where it is plain, else a plain form with a hash."""
    if _NODE.fullmatch(prefix):
        return prefix
    plain = re.sub(r"[^a-zA-Z0-9_-]+", "_", prefix).strip("_")[:40]
    return f"{plain}_{hashlib.sha256(prefix.encode()).hexdigest()[:8]}".lstrip("_")


def device_topic(discovery_prefix: str, *, prefix: str) -> str:
    """Return where the device is announced."""
    return f"{discovery_prefix}/device/{node_of(prefix)}/config"


def device_payload(*, prefix: str, version: str, language: str = "en") -> dict[str, Any]:
    """Return the device with all its components.

    Args:
        prefix: of our own topics.
        version: of this program.
        language: of the names, one of DISCOVERY_LANGUAGES.
    """
    node = node_of(prefix)
    column = DISCOVERY_LANGUAGES.index(language)
    availability = {"availability_topic": f"{prefix}/status", "payload_available": "online", "payload_not_available": "offline"}
    components: dict[str, dict[str, Any]] = {}
    for key, component in _components(prefix).items():
        components[key] = {
            **component,
            "unique_id": f"{node}_{key}",
            "default_entity_id": f"{component['platform']}.{node.lower().replace('-', '_')}_{key}",
            "name": _NAMES[key][column],
            **({} if key == "connection" else availability),
        }
    return {
        "device": {"identifiers": [node], "name": "Voice RL", "manufacturer": "voice_rl_plugin", "sw_version": version},
        "origin": {"name": "voice_rl_plugin", "sw_version": version},
        "components": components,
        "qos": 1,
    }


def encode_device(payload: Mapping[str, Any]) -> bytes:
    """Return the payload as it is published."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _components(prefix: str) -> dict[str, dict[str, Any]]:
    train, metrics = f"{prefix}/train", f"{prefix}/metrics"
    judged = {"command_template": _JUDGED}
    config, diagnostic = {"entity_category": "config"}, {"entity_category": "diagnostic"}
    components = {
        "command": {
            "platform": "text",
            "icon": "mdi:microphone-message",
            "command_topic": f"{prefix}/command",
            # As JSON, so that a typed brace is a word like any other.
            "command_template": "{{ {'text': value} | to_json }}",
            # Without a state of its own the box would keep the words as its state, and Home Assistant's recorder with it.
            "state_topic": f"{prefix}/status",
            "value_template": "{{ '' }}",
        },
        "right": _button(f"{prefix}/confirm", "yes", "mdi:thumb-up") | judged,
        "wrong": _button(f"{prefix}/confirm", "no", "mdi:thumb-down") | judged,
        "undo": _button(f"{prefix}/confirm", "undo", "mdi:undo-variant") | judged,
        "decision": {
            "platform": "event",
            "icon": "mdi:head-lightbulb",
            "state_topic": f"{prefix}/event",
            "event_types": list(EVENT_TYPES),
        },
        "learning": {
            "platform": "select",
            "icon": "mdi:school",
            "state_topic": f"{prefix}/learning",
            "command_topic": f"{prefix}/learning/set",
            "options": ["on", "off", "guest"],
            **config,
        },
        "model": {
            "platform": "update",
            "state_topic": f"{prefix}/model",
            "value_template": _INSTALLED,
            "json_attributes_topic": f"{prefix}/model",
            "json_attributes_template": "{{ {'canary': value_json.canary, 'shadow': value_json.shadow} | to_json }}",
            "command_topic": f"{prefix}/model/set",
            "payload_install": "install",
            "title": "Voice RL",
            **config,
        },
        "rollback": _button(f"{prefix}/model/set", "rollback", "mdi:backup-restore") | config,
        "retrain": _button(f"{prefix}/train/set", "start", "mdi:brain") | config,
        "training": {
            "platform": "sensor",
            "icon": "mdi:brain",
            "state_topic": train,
            "value_template": "{{ value_json.phase }}",
            "json_attributes_topic": train,
            "json_attributes_template": "{{ {'result': value_json.result, 'failed_gate': value_json.failed_gate | default(none)} | to_json }}",
            **diagnostic,
        },
        "training_progress": {
            "platform": "sensor",
            "icon": "mdi:progress-check",
            "state_topic": train,
            "value_template": "{{ value_json.progress_pct }}",
            "unit_of_measurement": "%",
            **diagnostic,
        },
    }
    icons = ("mdi:check", "mdi:help", "mdi:cancel", "mdi:pencil", "mdi:thumb-down-outline")
    for kind, icon in zip(COUNTED_KINDS, icons, strict=True):
        components[kind] = {
            "platform": "sensor",
            "icon": icon,
            "state_topic": metrics,
            "value_template": f"{{{{ value_json.last_7_days.{kind} }}}}",
            "state_class": "measurement",
        }
    components["decision_time"] = {
        "platform": "sensor",
        "device_class": "duration",
        "state_topic": metrics,
        "value_template": "{{ value_json.p50_ms }}",
        "unit_of_measurement": "ms",
        "state_class": "measurement",
        "suggested_display_precision": 1,
        **diagnostic,
    }
    # The one component without an availability: it is there to say that the others are not.
    components["connection"] = {
        "platform": "binary_sensor",
        "device_class": "connectivity",
        "state_topic": f"{prefix}/status",
        "payload_on": "online",
        "payload_off": "offline",
        **diagnostic,
    }
    return components


def _button(topic: str, payload: str, icon: str) -> dict[str, Any]:
    return {"platform": "button", "icon": icon, "command_topic": topic, "payload_press": payload}
