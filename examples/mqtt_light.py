"""A minimal MQTT light: it obeys `voice_rl/action/light/+`, answers on `voice_rl/result`, and publishes its state.

python examples/mqtt_light.py --name counter_bar --port 1883
"""

import argparse
import json
import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


class Light:
    """One light on one MQTT connection."""

    def __init__(self, name: str, prefix: str) -> None:
        self.entity_id, self.prefix = f"light.{name}", prefix
        self.base = f"{prefix}/state/light/{name}"
        self.is_on, self.brightness = False, 255
        self.answered: dict[tuple[str, int], bool] = {}
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"mqtt_light_{name}")
        self.client.on_connect = self.on_connect
        self.client.on_message = self.on_message

    def on_connect(self, client: paho.Client, *_: object) -> None:
        """Listen for actions and say what the state is."""
        client.subscribe(f"{self.prefix}/action/light/+", qos=1)
        self.publish_state()

    def on_message(self, client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        """Obey an action that is for this light, in time, and new; answer every delivery."""
        try:
            call = json.loads(message.payload)
            if message.retain or self.entity_id not in call["target"]["entity_id"]:
                return
            key = (str(call["decision_id"]), int(call["step"]))
            if key not in self.answered:
                self.answered[key] = time.time() <= call["expires_at"] and self.obey(call["service"], call.get("data", {}))
        except (ValueError, KeyError, TypeError):
            return  # not an action; paho would end its thread on an exception
        result = {"decision_id": key[0], "step": key[1], "ok": self.answered[key]}
        client.publish(f"{self.prefix}/result", json.dumps(result), qos=1)

    def obey(self, service: str, data: dict[str, float]) -> bool:
        """Switch; return whether the service is known."""
        if service not in ("light.turn_on", "light.turn_off", "light.toggle"):
            return False
        self.is_on = not self.is_on if service == "light.toggle" else service == "light.turn_on"
        if self.is_on:
            level = self.brightness + data.get("brightness_step_pct", 0) * 255 / 100
            level = data["brightness_pct"] * 255 / 100 if "brightness_pct" in data else data.get("brightness", level)
            self.brightness = round(min(max(level, 1), 255))
        self.publish_state()
        return True

    def publish_state(self) -> None:
        """Publish the state, retained, so that it is known after any restart."""
        self.client.publish(f"{self.base}/brightness", json.dumps(self.brightness if self.is_on else None), qos=1, retain=True)
        self.client.publish(f"{self.base}/state", "on" if self.is_on else "off", qos=1, retain=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="desk")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--prefix", default="voice_rl")
    args = parser.parse_args()
    light = Light(args.name, args.prefix)
    light.client.connect(args.host, args.port)
    light.client.loop_forever()
