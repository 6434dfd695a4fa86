"""The simulated home, the example light and the view's connection over a real mosquitto."""

import json
import runpy
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voice_rl_plugin.acting.dispatch import DispatchExecutor
from voice_rl_plugin.acting.effects import expected_effect
from voice_rl_plugin.demo.broker import EmbeddedBroker
from voice_rl_plugin.demo.devices import Devices, RefusedError
from voice_rl_plugin.demo.line import Incoming, Line
from voice_rl_plugin.demo.session import shipped_home
from voice_rl_plugin.demo.simulated import SimulatedHome
from voice_rl_plugin.demo.view import View
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.errors import BrokerError
from voice_rl_plugin.homes.file import load_home

ROOT = Path(__file__).parents[2]
HOME = load_home(shipped_home("en"))
WAIT_S = 5.0


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """Run a broker with nothing retained."""
    with EmbeddedBroker() as one:
        yield one


@pytest.fixture
def line(broker: EmbeddedBroker) -> Iterator[Line]:
    """Connect like a person at the terminal."""
    one = Line(host=broker.host, port=broker.port)
    one.start()
    yield one
    one.stop()


def await_topic(line: Line, topic: str) -> Incoming:
    """Wait for a message on a topic."""
    deadline = time.monotonic() + WAIT_S
    while (incoming := line.next(deadline - time.monotonic())) is not None:
        if incoming.topic == topic:
            return incoming
    pytest.fail(f"nothing came on {topic}")


def action_payload(text: str, *, decision_id: str, expires_in_s: float = 5.0) -> dict[str, object]:
    """Make the payload of an action topic."""
    return {"decision_id": decision_id, "step": 1, "steps": 1, "expires_at": time.time() + expires_in_s} | parse_action(text).to_payload()


def test_action_topic_changes_the_state_topic(broker: EmbeddedBroker, line: Line) -> None:
    """A call on the action topic is carried out, answered and shown on the state topics."""
    with SimulatedHome(HOME, port=broker.port) as devices:
        assert line.wait_until(lambda states, _: states.keys() >= devices.known(), WAIT_S)
        line.send("action/light/turn_on", action_payload("light.turn_on light.counter_bar brightness_pct=30", decision_id="a1"))

        assert await_topic(line, "result").fields == {"decision_id": "a1", "step": 1, "ok": True}
        assert line.wait_until(lambda states, _: states["light.counter_bar"].value == "on" and states["light.counter_bar"].attributes.get("brightness") == 76, WAIT_S)  # fmt: skip


def test_expired_foreign_and_mismatched_calls_are_refused(broker: EmbeddedBroker, line: Line) -> None:
    """Too late, not in this home, another domain and a topic that disagrees: refused with a reason, nothing changes."""
    with SimulatedHome(HOME, port=broker.port) as devices:
        before = dict(devices.devices.states)
        for number, (topic, text, expires_in_s) in enumerate(
            [
                ("action/light/turn_on", "light.turn_on light.counter_bar", -1.0),
                ("action/light/turn_on", "light.turn_on light.pool", 5.0),
                ("action/light/turn_off", "light.turn_on light.counter_bar", 5.0),
                ("action/homeassistant/restart", "homeassistant.restart light.counter_bar", 5.0),
                ("action/light/turn_on", "light.turn_on light.counter_bar brightness_pct=x", 5.0),
            ]
        ):
            line.send(topic, action_payload(text, decision_id=f"r{number}", expires_in_s=expires_in_s))
            answer = await_topic(line, "result").fields
            assert (answer["decision_id"], answer["ok"]) == (f"r{number}", False)
        line.send("action/light/turn_on", "not json")
        assert dict(devices.devices.states) == before


def test_duplicate_call_is_answered_and_not_repeated(broker: EmbeddedBroker, line: Line) -> None:
    """A step that is delivered twice is taken once."""
    with SimulatedHome(HOME, port=broker.port) as devices:
        payload = action_payload("media_player.volume_up media_player.soundbar", decision_id="dup")
        for _ in range(2):
            line.send("action/media_player/volume_up", payload)
            assert await_topic(line, "result").fields["ok"] is True

        assert devices.devices.states["media_player.soundbar"].attributes["volume_level"] == 0.4


@pytest.mark.parametrize(
    "text",
    [
        "light.turn_on light.sofa_lamp brightness_pct=35", "light.turn_on light.hall_light color_name=blue", "light.toggle light.hall_light",
        "light.turn_on light.hall_light brightness_step_pct=-30", "light.turn_on light.sofa_lamp color_temp_kelvin=2700",
        "light.turn_off light.hall_light", "switch.turn_on switch.coffee_machine", "media_player.volume_set media_player.radio volume_level=0.7",
        "media_player.volume_down media_player.radio", "media_player.volume_mute media_player.radio is_volume_muted=true",
        "media_player.media_pause media_player.radio", "media_player.media_next_track media_player.radio", "media_player.turn_off media_player.radio",
        "climate.set_temperature climate.thermostat temperature=23", "climate.set_hvac_mode climate.thermostat hvac_mode=cool",
        "cover.open_cover cover.living_room_curtain", "cover.set_cover_position cover.bedroom_blind position=40", "fan.turn_on fan.ceiling_fan",
        "fan.set_percentage fan.ceiling_fan percentage=60", "lock.unlock lock.front_door", "vacuum.start vacuum.dusty", "scene.turn_on scene.movie_time",
        "homeassistant.turn_on switch.coffee_machine",
    ],
)  # fmt: skip
def test_simulated_devices_show_the_expected_effect(text: str) -> None:
    """What acting expects of each service is what the devices do."""
    devices, action = Devices(HOME), parse_action(text)
    before = dict(devices.states)
    effects = {target: expected_effect(action, target, before[target]) for target in action.targets}

    assert not any(effect.is_seen_in(before[target]) for target, effect in effects.items())
    devices.call(action.service, action.targets, action.data, now=1_700_000_000.0)
    assert all(effect.is_seen_in(devices.states[target]) for target, effect in effects.items())


def test_simulated_devices_refuse_what_they_do_not_know() -> None:
    """A service of another domain is refused, and nothing changes for the other targets either."""
    devices = Devices(HOME)

    with pytest.raises(RefusedError):
        devices.call("light.turn_on", ("light.sofa_lamp", "lock.front_door"), {}, now=1.0)
    assert devices.states["light.sofa_lamp"].value == "off"


def test_executor_and_simulated_home_agree(broker: EmbeddedBroker, line: Line) -> None:
    """What the executor publishes is done, and settles as done from the result."""
    executor = DispatchExecutor()
    decision = Decision(
        id="e1",
        utterance=Utterance(text="x"),
        language="en",
        outcome="act",
        actions=(parse_action("cover.open_cover cover.living_room_curtain"),),
    )
    with SimulatedHome(HOME, port=broker.port):
        line.wait_until(lambda states, _: "cover.living_room_curtain" in states, WAIT_S)
        progress = executor.start(decision, states=line.states, now=time.time())
        for message in progress.messages:
            line.send(message.topic.removeprefix("voice_rl/"), message.payload)
        answer = await_topic(line, "result").fields
        settled = executor.on_result(decision_id=answer["decision_id"], step=answer["step"], is_ok=answer["ok"], now=time.time()).settled

    assert [one.outcome for one in settled] == ["done"]


def test_example_light_obeys(broker: EmbeddedBroker, line: Line) -> None:
    """The light of the examples folder obeys, answers, and leaves calls for others alone."""
    light = runpy.run_path(str(ROOT / "examples" / "mqtt_light.py"))["Light"]("porch", "voice_rl")
    light.client.connect(broker.host, broker.port)
    light.client.loop_start()
    try:
        assert line.wait_until(lambda states, _: "light.porch" in states, WAIT_S)
        line.send("action/light/turn_on", action_payload("light.turn_on light.other", decision_id="l0"))
        line.send("action/light/turn_on", action_payload("light.turn_on light.porch", decision_id="l1", expires_in_s=-1))
        assert await_topic(line, "result").fields == {"decision_id": "l1", "step": 1, "ok": False}
        line.send("action/light/turn_on", action_payload("light.turn_on light.porch brightness_pct=50", decision_id="l2"))
        assert await_topic(line, "result").fields == {"decision_id": "l2", "step": 1, "ok": True}
        assert line.wait_until(lambda states, _: states["light.porch"].value == "on" and states["light.porch"].attributes.get("brightness") == 128, WAIT_S)  # fmt: skip
    finally:
        light.client.disconnect()
        light.client.loop_stop()
    assert len((ROOT / "examples" / "mqtt_light.py").read_text().splitlines()) < 80


def test_taken_port_is_said(broker: EmbeddedBroker) -> None:
    """A second broker on the same port is refused in words."""
    with pytest.raises(BrokerError, match="--port"):
        EmbeddedBroker(port=broker.port).start()


class Brain:
    """A stand-in for the daemon: it answers commands and confirmations over MQTT."""

    def __init__(self, broker: EmbeddedBroker, answer: Callable[[str, dict[str, object]], list[tuple[str, dict[str, object]]]]) -> None:
        import paho.mqtt.client as paho  # noqa: PLC0415
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.answer = answer
        self.ready = __import__("threading").Event()
        self.client.on_connect = lambda client, *_: client.subscribe([("voice_rl/command", 1), ("voice_rl/confirm", 1)])
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self.on_message
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()
        assert self.ready.wait(WAIT_S)

    def on_message(self, client: object, _userdata: object, message: object) -> None:
        """Publish what the answer says."""
        for topic, payload in self.answer(message.topic.removeprefix("voice_rl/"), json.loads(message.payload)):  # type: ignore[attr-defined]
            client.publish(f"voice_rl/{topic}", json.dumps(payload), qos=1)  # type: ignore[attr-defined]


def test_view_shows_decision_changes_and_correction(broker: EmbeddedBroker, line: Line) -> None:
    """A typed command shows the decision and the devices that change; `n: ...` sends a correction of that decision."""
    heard: list[tuple[str, dict[str, object]]] = []

    def answer(topic: str, fields: dict[str, object]) -> list[tuple[str, dict[str, object]]]:
        heard.append((topic, fields))
        number = f"v{len(heard)}"
        call = action_payload("light.turn_on light.sofa_lamp", decision_id=number)
        decision = {
            "decision_id": number,
            "outcome": "act",
            "actions": [parse_action("light.turn_on light.sofa_lamp").to_payload()],
            "confidence": 0.9,
            "stage": "policy",
        }
        return [("decision", decision), ("action/light/turn_on", call)]

    shown: list[str] = []
    with SimulatedHome(HOME, port=broker.port) as devices:
        brain = Brain(broker, answer)
        assert line.wait_until(lambda states, _: states.keys() >= devices.known(), WAIT_S)
        view = View(line=line, devices=devices, home=HOME, write=shown.append, area="living_room")
        for text in ("sofa lamp on", "expect act light.turn_on light.sofa_lamp", "expect state light.sofa_lamp on brightness=255", "n: the floor lamp", "expect reject", "?", ":area 厨房", ":area kitchen", ":hand light.turn_off light.sofa_lamp", ":devices", ":lang zh", ":nonsense"):  # fmt: skip
            assert view.take(text)
        assert not view.take(":quit")
        brain.client.disconnect()
        brain.client.loop_stop()

    assert any("Sofa Lamp  off -> on 100 %" in one for one in shown)
    assert any("Sofa Lamp  on 100 % -> off" in one for one in shown)
    assert heard[0][1]["area"] == "living_room"
    assert heard[1] == ("confirm", {"verdict": "no", "correction": {"text": "the floor lamp"}, "decision_id": "v1"})
    assert (view.expected, view.unmet) == (3, 1)
