"""Simulated devices that announce themselves to Home Assistant over MQTT and do what they are told, but for one that is stubborn."""

import json
import socket
import threading
from collections.abc import Mapping
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

BASE = "testhome"
LIGHTS = {
    "counter_bar": ("Counter Bar", "Kitchen"),
    "ceiling": ("Ceiling Light", "Kitchen"),
    "desk_lamp": ("Desk Lamp", "Study"),
    "bedside": ("床头灯", "卧室"),
    "stubborn": ("Stubborn Lamp", "Study"),
}
STUBBORN = "stubborn"
OTHERS: Mapping[str, tuple[str, str, str, Mapping[str, Any]]] = {
    "kettle": ("switch", "Kettle", "Kitchen", {}),
    "fan": ("fan", "Bedroom Fan", "卧室", {}),
    "blind": ("cover", "Blind", "Study", {"device_class": "blind"}),
    "garage": ("cover", "Garage Door", "Garage", {"device_class": "garage"}),
    "front_door": ("lock", "Front Door", "Hall", {}),
}
_NEXT = {
    "cover": {"OPEN": "open", "CLOSE": "closed", "STOP": "open"},
    "lock": {"LOCK": "LOCKED", "UNLOCK": "UNLOCKED"},
    "switch": {"ON": "ON", "OFF": "OFF"},
    "fan": {"ON": "ON", "OFF": "OFF"},
}
_FIRST = {"cover": "closed", "lock": "LOCKED", "switch": "OFF", "fan": "OFF"}


class Devices:
    """All simulated devices on one connection."""

    def __init__(self, port: int) -> None:
        self.commands: list[tuple[str, str]] = []
        """What came for each device, in order."""
        self._lights: dict[str, dict[str, Any]] = {key: {"state": "OFF"} for key in LIGHTS}
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"devices-{port}", protocol=paho.MQTTv5)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(10.0)
        self.announce()

    def announce(self) -> None:
        """Publish the discovery messages and the states."""
        for key, (name, area) in LIGHTS.items():
            self._discover("light", key, name, area, {"schema": "json", "brightness": True, "supported_color_modes": ["brightness"]})
            self._publish(f"{BASE}/{key}", self._lights[key])
        for key, (domain, name, area, more) in OTHERS.items():
            self._discover(domain, key, name, area, more)
            self._publish(f"{BASE}/{key}", _FIRST[domain])

    def press(self, key: str, state: str) -> None:
        """Change a device by hand, at its own switch."""
        if key not in LIGHTS:
            self._publish(f"{BASE}/{key}", state)
            return
        self._lights[key] = {"state": state}
        self._publish(f"{BASE}/{key}", self._lights[key])

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        connection = client.socket()
        if isinstance(connection, socket.socket):  # a bulb answers at once, without the 40 ms of Nagle's algorithm
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.subscribe([(f"{BASE}/+/set", 0)])

    def _discover(self, domain: str, key: str, name: str, area: str, more: Mapping[str, Any]) -> None:
        device = {"identifiers": [f"{BASE}_{key}"], "name": name, "suggested_area": area}
        config = {"name": None, "unique_id": f"{BASE}_{key}", "command_topic": f"{BASE}/{key}/set", "state_topic": f"{BASE}/{key}"}
        names = {"object_id": key, "default_entity_id": f"{domain}.{key}"}  # before and since 2025.10
        payload = config | names | {"device": device, "origin": {"name": BASE}} | dict(more)
        self._publish(f"homeassistant/{domain}/{BASE}/{key}/config", payload)

    def _publish(self, topic: str, payload: Any) -> None:
        text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        self._client.publish(topic, text, qos=1, retain=True)

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        key, payload = message.topic.split("/")[1], message.payload.decode()
        self.commands.append((key, payload))
        if key == STUBBORN:
            return
        if key in LIGHTS:
            wanted = json.loads(payload)
            known = self._lights[key]
            if wanted["state"] == "ON":
                known = {"brightness": known.get("brightness", 255), "color_mode": "brightness"} | known | wanted
            self._lights[key] = known | {"state": wanted["state"]}
            self._publish(f"{BASE}/{key}", self._lights[key])
        elif key in OTHERS:
            self._publish(f"{BASE}/{key}", _NEXT[OTHERS[key][0]].get(payload, payload))
