"""Devices that are MQTT themselves, as they lie retained on the broker now."""

import time
from collections.abc import Mapping

from voice_rl_plugin.commands._line import Line
from voice_rl_plugin.config import Config
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.homes.mqtt_devices import MqttDevices


def devices_of(config: Config) -> MqttDevices:
    """Return the devices that the configuration listens to, of which none is known yet."""
    return MqttDevices(zigbee2mqtt=config.home.zigbee2mqtt, discovered=config.home.discovered, own_prefix=config.mqtt.prefix)


def learn_devices(devices: MqttDevices, retained: Mapping[str, bytes]) -> tuple[str, ...]:
    """Have devices known from retained messages; return what cannot be addressed and why, one line each."""
    wrong: list[str] = []
    for topic, payload in retained.items():
        if not devices.owns(topic):
            continue
        try:
            devices.on_message(topic, payload, now=time.time(), is_retained=True)
        except MessageError as error:
            wrong.append(str(error))
    return (*wrong, *devices.left_out)


def read_devices(config: Config) -> tuple[MqttDevices, tuple[str, ...]]:
    """Return the devices that announce themselves on the broker now, and what cannot be addressed and why.

    Raises:
        BrokerError: the broker cannot be reached.
    """
    devices = devices_of(config)
    if not devices.is_listening:
        return devices, ()
    with Line(config.mqtt, devices.topics) as line:
        return devices, learn_devices(devices, line.retained())
