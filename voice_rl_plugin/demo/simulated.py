"""The simulated home on MQTT: it obeys the action topics, answers on the result topic, and keeps its state topics up to date.

<prefix>/action/<domain>/<service>   in    checked: known service, not expired, known entities
<prefix>/result                      out   {"decision_id","step","ok","error"?}
<base>/<domain>/<object_id>/state    out   retained, with every attribute beside it
"""

import contextlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from voice_rl_plugin.demo.devices import Devices, RefusedError
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import BrokerError
from voice_rl_plugin.homes.statestream import UNKNOWN_VALUES, state_messages

_LOGGER = logging.getLogger(__name__)

ALLOWED_DOMAINS = frozenset(
    "light switch input_boolean fan humidifier media_player climate water_heater cover valve lock vacuum lawn_mower siren scene script "
    "button input_button".split()
)
INTENT = "intent"
CONNECT_S = 10.0
_KEPT_RESULTS = 512


class SimulatedHome:
    """Every device of a home, behind one MQTT connection."""

    def __init__(
        self,
        home: Home,
        *,
        host: str = "127.0.0.1",
        port: int,
        prefix: str = "voice_rl",
        base: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.devices = Devices(home)
        self._host, self._port, self._prefix = host, port, prefix
        self._base = base or f"{prefix}/state"
        self._clock = clock
        self._answered: OrderedDict[tuple[str, int], dict[str, Any]] = OrderedDict()
        self._published: dict[str, set[str]] = {}
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{prefix.replace('/', '_')}_devices_{port}")
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Connect, publish all states, and obey from now on.

        Raises:
            BrokerError: the broker does not answer.
        """
        try:
            self._client.connect(self._host, self._port)
        except OSError as error:
            raise BrokerError(f"simulated devices: no broker at {self._host}:{self._port}: {error}") from error
        self._client.loop_start()
        if not self._ready.wait(CONNECT_S):
            self._client.loop_stop()
            raise BrokerError(f"simulated devices: the broker at {self._host}:{self._port} did not answer within {CONNECT_S} s")

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def known(self) -> frozenset[str]:
        """Return the entities that have a state; a scene that was never used has none."""
        return frozenset(one for one, state in self.devices.states.items() if state.value not in UNKNOWN_VALUES)

    def press(self, action: Action) -> None:
        """Change devices by hand, as a person at the wall switch does.

        Raises:
            RefusedError: the action is not possible.
        """
        for entity_id in self.devices.call(action.service, action.targets, action.data, now=self._clock()):
            self._publish_state(entity_id)

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        for entity_id in self.devices.states:
            self._publish_state(entity_id)
        client.subscribe(f"{self._prefix}/action/+/+", qos=1)

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        try:  # paho ends its thread silently when a callback raises
            result = self._obey(message.topic, bytes(message.payload), is_retained=message.retain)
        except Exception:
            _LOGGER.exception("A simulated device failed on %s", message.topic)
            return
        if result is not None:
            self._client.publish(f"{self._prefix}/result", json.dumps(result), qos=1)

    def _obey(self, topic: str, payload: bytes, *, is_retained: bool) -> dict[str, Any] | None:
        if is_retained:
            return None
        with contextlib.suppress(ValueError, RecursionError):
            call = json.loads(payload)
            if isinstance(call, dict) and isinstance(call.get("decision_id"), str):
                return self._answer(topic, call)
        _LOGGER.warning("Expected an action with a decision_id on %s; the message was ignored", topic)
        return None

    def _answer(self, topic: str, call: dict[str, Any]) -> dict[str, Any]:
        key = (call["decision_id"], int(call.get("step", 1)))
        if key in self._answered:  # delivered twice
            return self._answered[key]
        result: dict[str, Any] = {"decision_id": key[0], "step": key[1], "ok": True}
        try:
            self._carry_out(topic, call)
        except (RefusedError, KeyError, TypeError, ValueError, AttributeError) as error:
            result |= {"ok": False, "error": str(error)}
        self._answered[key] = result
        while len(self._answered) > _KEPT_RESULTS:
            self._answered.popitem(last=False)
        return result

    def _carry_out(self, topic: str, call: dict[str, Any]) -> None:
        domain, _, verb = topic.removeprefix(f"{self._prefix}/action/").partition("/")
        if call.get("service") != f"{domain}.{verb}":
            raise RefusedError("the topic and the service differ")
        if domain != INTENT and domain not in ALLOWED_DOMAINS:
            raise RefusedError(f"{domain} is not allowed here")
        if not isinstance(call.get("expires_at"), (int, float)) or self._clock() > call["expires_at"]:
            raise RefusedError("expired")
        if domain == INTENT:  # Home Assistant does these itself; here there is nobody, and nothing to change
            return
        action = Action.from_payload(call)
        for entity_id in self.devices.call(action.service, action.targets, action.data, now=self._clock()):
            self._publish_state(entity_id)

    def _publish_state(self, entity_id: str) -> None:
        messages = state_messages(entity_id, self.devices.states[entity_id], base=self._base)
        gone = self._published.get(entity_id, set()) - set(messages)
        for topic, text in messages.items():
            self._client.publish(topic, text, qos=1, retain=True)
        for topic in gone:  # Home Assistant, too, says null for an attribute that is gone
            self._client.publish(topic, "null", qos=1, retain=True)
        self._published[entity_id] = set(messages)
