"""How long a large home takes to be read: `python -m tests.homes.measure_devices`."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.homes.announced import CONFIGS, DEVICES, known, settle
from voice_rl_plugin.homes.mqtt_devices import MqttDevices

COUNT = 300
ROUNDS = 10


def median_ms(work: Callable[[], Any]) -> float:
    """Return how long some work takes."""
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        took.append((time.perf_counter() - begun) * 1000.0)
    return statistics.median(took)


def read_zigbee2mqtt(payload: bytes) -> None:
    """Read one list of devices."""
    devices = MqttDevices(zigbee2mqtt="zigbee2mqtt")
    devices.on_message("zigbee2mqtt/bridge/devices", payload, now=1.0)
    settle(devices)


def read_configs(configs: list[tuple[str, bytes]]) -> None:
    """Read discovery configs one by one."""
    devices = MqttDevices(discovered="homeassistant")
    for topic, payload in configs:
        devices.on_message(topic, payload, now=1.0)
    settle(devices)


def main() -> None:
    """Print the figures of docs/homes.md."""
    rows = [one for one in json.loads(DEVICES) if one["definition"] is not None]
    renamed = [{**rows[i % len(rows)], "ieee_address": f"0x{i:016x}", "friendly_name": f"Room {i % 20}/Thing {i}"} for i in range(COUNT)]
    payload = json.dumps(renamed).encode()
    entities = [(topic, config) for topic, config in CONFIGS.items() if "/device/" not in topic and "/sensor/" not in topic]
    configs = []
    for i in range(COUNT):
        topic, config = entities[i % len(entities)]
        configs.append((topic.replace("/config", f"_{i}/config"), json.dumps({**config, "name": f"Thing {i}"}).encode()))
    devices, state = known(), json.dumps({"state": "ON", "brightness": 100, "color_mode": "color_temp", "color_temp": 370}).encode()
    states_ms = median_ms(lambda: [devices.on_message("zigbee2mqtt/Kitchen/Counter Bar", state, now=2.0) for _ in range(1000)])
    told = (
        f"{COUNT} devices of zigbee2mqtt ({len(payload)} bytes): {median_ms(lambda: read_zigbee2mqtt(payload)):.0f} ms",
        f"{COUNT} discovery configs: {median_ms(lambda: read_configs(configs)):.0f} ms",
        f"one state: {states_ms / 1000:.3f} ms",
    )
    sys.stdout.write("\n".join(told) + "\n")


if __name__ == "__main__":
    main()
