"""Retained messages as devices announce themselves with: a zigbee2mqtt network, and one discovery config of each domain."""

import json
from pathlib import Path
from typing import Any

from voice_rl_plugin.homes.mqtt_devices import MqttDevices

FOLDER = Path(__file__).parent / "zigbee2mqtt"
DEVICES = (FOLDER / "bridge_devices.json").read_bytes()
GROUPS = (FOLDER / "bridge_groups.json").read_bytes()

_ESP = {"identifiers": ["esp-1"], "name": "Terrace", "suggested_area": "Terrace", "manufacturer": "Espressif"}
_OFFICE = {"ids": "office", "name": "Office Panel", "sa": "Office"}
_SHED = {"ids": ["shed"], "name": "Shed", "sa": "Shed"}

CONFIGS: dict[str, dict[str, Any]] = {
    "homeassistant/light/terrace/string/config": {
        "schema": "json",
        "name": "String Lights",
        "unique_id": "terrace_string",
        "command_topic": "terrace/string/command",
        "state_topic": "terrace/string/state",
        "brightness": True,
        "supported_color_modes": ["rgb", "color_temp"],
        "availability_topic": "terrace/status",
        "device": _ESP,
    },
    "homeassistant/light/office/desk/config": {
        "~": "office/desk",
        "name": "Desk Lamp",
        "uniq_id": "office_desk",
        "cmd_t": "~/power/set",
        "stat_t": "~/power",
        "pl_on": "1",
        "pl_off": "0",
        "bri_cmd_t": "~/level/set",
        "bri_stat_t": "~/level",
        "bri_scl": 100,
        "on_cmd_type": "first",
        "dev": _OFFICE,
    },
    "homeassistant/switch/office/printer/config": {
        "~": "office/printer",
        "name": "Printer",
        "uniq_id": "office_printer",
        "cmd_t": "~/set",
        "stat_t": "~",
        "val_tpl": "{{ value_json['relay'] }}",
        "pl_on": "on",
        "pl_off": "off",
        "dev": _OFFICE,
    },
    "homeassistant/cover/terrace/awning/config": {
        "name": "Awning",
        "unique_id": "terrace_awning",
        "device_class": "awning",
        "command_topic": "terrace/awning/set",
        "set_position_topic": "terrace/awning/position/set",
        "set_position_template": '{"position": {{ position }}}',
        "position_topic": "terrace/awning",
        "position_template": "{{ value_json.position | int }}",
        "device": _ESP,
    },
    "homeassistant/fan/office/ceiling_fan/config": {
        "name": "Ceiling Fan",
        "unique_id": "office_fan",
        "command_topic": "office/fan/set",
        "state_topic": "office/fan",
        "state_value_template": "{{ value_json.state }}",
        "percentage_command_topic": "office/fan/speed/set",
        "percentage_state_topic": "office/fan",
        "percentage_value_template": "{{ value_json.speed }}",
        "speed_range_max": 4,
        "device": _OFFICE,
    },
    "homeassistant/climate/office/radiator/config": {
        "name": "Radiator",
        "unique_id": "office_radiator",
        "modes": ["off", "heat"],
        "mode_command_topic": "office/radiator/mode/set",
        "mode_state_topic": "office/radiator",
        "mode_state_template": "{{ value_json.mode }}",
        "temperature_command_topic": "office/radiator/target/set",
        "temperature_state_topic": "office/radiator",
        "temperature_state_template": "{{ value_json.target | float }}",
        "min_temp": 5,
        "max_temp": 28,
        "device": _OFFICE,
    },
    "homeassistant/device/shed/config": {
        "dev": _SHED,
        "o": {"name": "shed-firmware"},
        "avty_t": "shed/online",
        "pl_avail": "yes",
        "pl_not_avail": "no",
        "cmps": {
            "padlock": {
                "p": "lock",
                "name": "Shed Lock",
                "uniq_id": "shed_lock",
                "cmd_t": "shed/lock/set",
                "stat_t": "shed/lock",
            },
            "temperature": {"p": "sensor", "name": "Temperature", "stat_t": "shed/temperature"},
            "pump": {"p": "switch", "name": "Pump", "uniq_id": "shed_pump", "cmd_t": "shed/pump/set"},
            "old": {"p": "switch"},
        },
    },
    "homeassistant/sensor/terrace/temperature/config": {"name": "Temperature", "state_topic": "terrace/temperature", "device": _ESP},
}


def known(*, zigbee2mqtt: bool = True, discovered: bool = True, takes_commands: bool = True) -> MqttDevices:
    """Return the devices of the fixtures, settled in as in a home without another source."""
    devices = MqttDevices(zigbee2mqtt="zigbee2mqtt" if zigbee2mqtt else None, discovered="homeassistant" if discovered else None)
    if zigbee2mqtt:
        devices.on_message("zigbee2mqtt/bridge/devices", DEVICES, now=1.0)
        devices.on_message("zigbee2mqtt/bridge/groups", GROUPS, now=1.0)
    if discovered:
        for topic, config in CONFIGS.items():
            devices.on_message(topic, json.dumps(config).encode(), now=1.0)
    settle(devices, takes_commands=takes_commands)
    return devices


def settle(devices: MqttDevices, *, takes_commands: bool = True) -> None:
    """Have the devices be the home."""
    from voice_rl_plugin.homes.merge import merge_sources  # noqa: PLC0415 - beside its only use

    devices.settle_in(merge_sources(devices=devices.homes), takes_commands=takes_commands)
