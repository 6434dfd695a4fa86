"""A home without Home Assistant: the whole daemon with the shipped model, devices that are MQTT themselves, a real mosquitto."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.homes.announced import CONFIGS, DEVICES, GROUPS
from tests.mosquitto import DEADLINE_S, Mosquitto, Watcher, running_mosquitto
from voice_rl_plugin.config import Config, DispatchSection, DoorsSection, HomeSection, ModelsSection, MqttSection, StoreSection
from voice_rl_plugin.daemon import Daemon
from voice_rl_plugin.daemon.build import build_daemon

DOMAINS = (*DispatchSection().domains, "lock")
SHOWN = {
    "zigbee2mqtt/Kitchen/Counter Bar": {"state": "OFF", "brightness": 254, "color_mode": "color_temp", "color_temp": 370},
    "zigbee2mqtt/Kitchen/Ceiling Light": {"state": "OFF", "brightness": 254},
    "zigbee2mqtt/卧室/床头灯": {"state": "OFF", "brightness": 100, "color_mode": "color_temp", "color_temp": 370},
    "zigbee2mqtt/kettle_plug": {"state": "OFF", "power": 0},
    "zigbee2mqtt/Bedroom/Blind": {"state": "OPEN", "position": 100},
    "zigbee2mqtt/Garage/Garage Door": {"state": "CLOSE", "position": 0},
    "zigbee2mqtt/Front Door Lock": {"state": "LOCK", "lock_state": "locked"},
    "zigbee2mqtt/Study/Fan": {"fan_state": "OFF", "fan_mode": "off"},
    "zigbee2mqtt/Study/Heater": {"occupied_heating_setpoint": 19, "local_temperature": 18.5, "system_mode": "heat"},
    "terrace/string/state": {"state": "OFF"},
    "terrace/status": "online",
    "office/desk/power": "0",
    "office/desk/level": "80",
    "office/printer": {"relay": "off"},
    "terrace/awning": {"position": 0},
    "office/fan": {"state": "OFF", "speed": 0},
    "office/radiator": {"mode": "heat", "target": 18.0},
    "shed/online": "yes",
    "shed/lock": "LOCKED",
}
"""What the devices tell before anybody speaks."""


@dataclass(kw_only=True)
class House:
    """A running daemon and a watcher who plays the devices."""

    daemon: Daemon
    watcher: Watcher
    server: Mosquitto

    def say(self, text: str, *, area: str | None = None) -> Mapping[str, Any]:
        """Say something and return the decision about it."""
        before = len(self.watcher.on_topic("voice_rl/decision"))
        self.watcher.publish("voice_rl/command" + (f"/{area}" if area else ""), {"text": text, "at": time.time()})
        decision: Mapping[str, Any] = self.watcher.wait_topic("voice_rl/decision", count=before + 1)
        return decision

    def told(self, decision: Mapping[str, Any], *, count: int = 1) -> str:
        """Return the `count`-th sentence about a decision."""
        name = str(decision["decision_id"]).encode()
        message = self.watcher.wait_for(lambda one: one.topic == "voice_rl/say" and name in one.payload, "a sentence", count=count)
        return str(json.loads(message.payload)["text"])

    def count(self, topic: str) -> int:
        """Return how many messages came on a topic so far."""
        return len(self.watcher.on_topic(topic))


@contextlib.contextmanager
def running_house(
    folder: Path,
    *,
    retained: Mapping[str, Any],
    zigbee2mqtt: str | None = "zigbee2mqtt",
    discovered: str | None = "homeassistant",
    guarded: bool = True,
) -> Iterator[House]:
    """Run a daemon among retained messages."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_mosquitto(folder))
        watcher = Watcher(server.port)
        stack.callback(watcher.close)
        for topic, payload in retained.items():
            watcher.publish(topic, payload, retain=True)
        config = Config(
            mqtt=MqttSection(port=server.port),
            home=HomeSection(zigbee2mqtt=zigbee2mqtt, discovered=discovered),
            store=StoreSection(path=folder / "store"),
            models=ModelsSection(path=folder / "models"),
            doors=DoorsSection(rate_per_s=1000.0, burst=1000),
            dispatch=DispatchSection(domains=DOMAINS, guarded=guarded),
        )
        daemon = build_daemon(config)
        thread = threading.Thread(target=daemon.run, daemon=True)
        thread.start()
        stack.callback(thread.join, DEADLINE_S)
        stack.callback(daemon.stop)
        assert daemon.is_ready.wait(DEADLINE_S)
        yield House(daemon=daemon, watcher=watcher, server=server)


def announced() -> dict[str, Any]:
    """Return everything that the fixtures announce, with the first states."""
    return {"zigbee2mqtt/bridge/devices": DEVICES, "zigbee2mqtt/bridge/groups": GROUPS, **CONFIGS, **SHOWN}


def wait_entities(house: House, count: int) -> None:
    """Wait until the daemon knows so many devices, and their states."""
    house.watcher.wait_for(
        lambda one: one.topic == "voice_rl/health" and json.loads(one.payload)["home"]["entities"] == count, f"{count} devices"
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return a house of zigbee2mqtt and discovery."""
    with running_house(tmp_path_factory.mktemp("house"), retained=announced()) as one:
        wait_entities(one, 20)
        one.say("my brother reads a long book")
        yield one


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One sentence and everything that follows from it."""

    text: str
    area: str | None
    told: Mapping[str, Any]
    """What the device is told, by topic."""
    state_topic: str
    before: Any
    after: Any
    """What the device shows."""
    undone: Mapping[str, Any]
    """What the device is told when that is taken back."""


Z = "zigbee2mqtt"
BAR, BED, BLIND = f"{Z}/Kitchen/Counter Bar", f"{Z}/卧室/床头灯", f"{Z}/Bedroom/Blind"
FAN, HEATER, PLUG = f"{Z}/Study/Fan", f"{Z}/Study/Heater", f"{Z}/kettle_plug"
WARM = {"color_mode": "color_temp", "color_temp": 370}
WAYS = [
    Way(text="turn on the counter bar", area="kitchen", told={f"{BAR}/set": {"state": "ON"}}, state_topic=BAR,
        before={"state": "OFF"}, after={"state": "ON", "brightness": 254, **WARM}, undone={f"{BAR}/set": {"state": "OFF"}}),
    Way(text="set the counter bar to forty percent", area="kitchen", told={f"{BAR}/set": {"state": "ON", "brightness": 102}}, state_topic=BAR,
        before={"state": "ON", "brightness": 254, **WARM}, after={"state": "ON", "brightness": 102, **WARM},
        undone={f"{BAR}/set": {"state": "ON", "brightness": 254, "color_temp": 370}}),
    Way(text="make the counter bar red", area="kitchen", told={f"{BAR}/set": {"state": "ON", "color": {"r": 255, "g": 0, "b": 0}}}, state_topic=BAR,
        before={"state": "ON", "brightness": 254, **WARM},
        after={"state": "ON", "brightness": 254, "color_mode": "xy", "color": {"x": 0.6942, "y": 0.2963, "hue": 0, "saturation": 100}, "color_temp": 370},
        undone={f"{BAR}/set": {"state": "ON", "brightness": 254, "color_temp": 370}}),
    Way(text="brighten the counter bar", area="kitchen", told={f"{BAR}/set": {"state": "ON", "brightness": 126}}, state_topic=BAR,
        before={"state": "ON", "brightness": 100, **WARM}, after={"state": "ON", "brightness": 126, **WARM},
        undone={f"{BAR}/set": {"state": "ON", "brightness": 100, "color_temp": 370}}),
    Way(text="把床头灯调到百分之三十", area="卧室", told={f"{BED}/set": {"state": "ON", "brightness": 76}}, state_topic=BED,
        before={"state": "OFF", "brightness": 100}, after={"state": "ON", "brightness": 76, **WARM}, undone={f"{BED}/set": {"state": "OFF"}}),
    Way(text="打开床头灯", area="卧室", told={f"{BED}/set": {"state": "ON"}}, state_topic=BED,
        before={"state": "OFF"}, after={"state": "ON", "brightness": 76, **WARM}, undone={f"{BED}/set": {"state": "OFF"}}),
    Way(text="turn on the kettle", area=None, told={f"{PLUG}/set": {"state": "ON"}}, state_topic=PLUG,
        before={"state": "OFF"}, after={"state": "ON", "power": 1800}, undone={f"{PLUG}/set": {"state": "OFF"}}),
    Way(text="close the blind", area="bedroom", told={f"{BLIND}/set": {"state": "CLOSE"}}, state_topic=BLIND,
        before={"state": "OPEN", "position": 100}, after={"state": "OPEN", "position": 90}, undone={f"{BLIND}/set": {"state": "OPEN"}}),
    Way(text="set the blind to 30 percent", area="bedroom", told={f"{BLIND}/set": {"position": 30}}, state_topic=BLIND,
        before={"state": "OPEN", "position": 60}, after={"state": "OPEN", "position": 30}, undone={f"{BLIND}/set": {"position": 60}}),
    Way(text="set the fan to 66 percent", area="study", told={f"{FAN}/set": {"fan_mode": "medium"}}, state_topic=FAN,
        before={"fan_state": "OFF", "fan_mode": "off"}, after={"fan_state": "ON", "fan_mode": "medium"}, undone={f"{FAN}/set": {"fan_state": "OFF"}}),
    Way(text="set the heater to 21 degrees", area="study", told={f"{HEATER}/set": {"occupied_heating_setpoint": 21}}, state_topic=HEATER,
        before={"occupied_heating_setpoint": 19, "system_mode": "heat"}, after={"occupied_heating_setpoint": 21, "system_mode": "heat"},
        undone={f"{HEATER}/set": {"occupied_heating_setpoint": 19}}),
    Way(text="turn on the string lights", area="terrace", told={"terrace/string/command": {"state": "ON"}}, state_topic="terrace/string/state",
        before={"state": "OFF"}, after={"state": "ON", "brightness": 255}, undone={"terrace/string/command": {"state": "OFF"}}),
    Way(text="把 string lights 调到百分之二十", area="terrace", told={"terrace/string/command": {"state": "ON", "brightness": 51}}, state_topic="terrace/string/state",
        before={"state": "OFF"}, after={"state": "ON", "brightness": 51}, undone={"terrace/string/command": {"state": "OFF"}}),
    Way(text="turn on the desk lamp", area="office", told={"office/desk/power/set": 1}, state_topic="office/desk/power",
        before="0", after="1", undone={"office/desk/power/set": 0}),
    Way(text="把 desk lamp 打开", area="office", told={"office/desk/power/set": 1}, state_topic="office/desk/power",
        before="0", after="1", undone={"office/desk/power/set": 0}),
    Way(text="turn on the printer", area="office", told={"office/printer/set": "on"}, state_topic="office/printer",
        before={"relay": "off"}, after={"relay": "on"}, undone={"office/printer/set": "off"}),
    Way(text="open the awning", area="terrace", told={"terrace/awning/set": "OPEN"}, state_topic="terrace/awning",
        before={"position": 0}, after={"position": 15}, undone={"terrace/awning/set": "CLOSE"}),
    Way(text="set the awning to 50 percent", area="terrace", told={"terrace/awning/position/set": {"position": 50}}, state_topic="terrace/awning",
        before={"position": 80}, after={"position": 50}, undone={"terrace/awning/position/set": {"position": 80}}),
    Way(text="set the ceiling fan to 50 percent", area="office", told={"office/fan/set": "ON", "office/fan/speed/set": 2}, state_topic="office/fan",
        before={"state": "OFF", "speed": 0}, after={"state": "ON", "speed": 2}, undone={"office/fan/set": "OFF"}),
    Way(text="set the radiator to 20 degrees", area="office", told={"office/radiator/target/set": 20}, state_topic="office/radiator",
        before={"mode": "heat", "target": 18.0}, after={"mode": "heat", "target": 20.0}, undone={"office/radiator/target/set": 18}),
    Way(text="把 radiator 调到二十度", area="office", told={"office/radiator/target/set": 20}, state_topic="office/radiator",
        before={"mode": "heat", "target": 18.0}, after={"mode": "heat", "target": 20.0}, undone={"office/radiator/target/set": 18}),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.text)
def test_device_is_told_in_its_own_words_seen_and_undone(house: House, way: Way) -> None:
    """A sentence becomes the device's own command; success is said when its state shows it; an undo tells it what was so before."""
    house.watcher.publish(way.state_topic, way.before, retain=True)
    counts = {topic: house.count(topic) for topic in {*way.told, *way.undone}}

    decision = house.say(way.text, area=way.area)
    told = {topic: house.watcher.wait_topic(topic, count=counts[topic] + 1) for topic in way.told}
    house.watcher.publish(way.state_topic, way.after, retain=True)
    said = house.told(decision)
    counts = {topic: house.count(topic) for topic in way.undone}
    house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "undo"})
    undone = {topic: house.watcher.wait_topic(topic, count=counts[topic] + 1) for topic in way.undone}
    house.watcher.publish(way.state_topic, way.before, retain=True)

    assert (decision["outcome"], decision["executor"]) == ("act", "device")
    assert told == way.told
    assert said in ("Done.", "好了。")
    assert undone == way.undone
    assert house.told(decision, count=2) in ("I took it back.", "已恢复。")
    assert not [one for one in house.watcher.seen if one.topic.startswith("voice_rl/action/")]


@pytest.mark.parametrize(
    ("text", "area", "topic", "state_topic", "before", "payload"),
    [
        ("open the garage door", "garage", f"{Z}/Garage/Garage Door/set", f"{Z}/Garage/Garage Door", {"state": "CLOSE", "position": 0}, {"state": "OPEN"}),
        ("unlock the front door lock", None, f"{Z}/Front Door Lock/set", f"{Z}/Front Door Lock", {"state": "LOCK"}, {"state": "UNLOCK"}),
        ("unlock the shed lock", "shed", "shed/lock/set", "shed/lock", "LOCKED", "UNLOCK"),
        ("把 shed lock 解锁", "shed", "shed/lock/set", "shed/lock", "LOCKED", "UNLOCK"),
    ],
)  # fmt: skip
def test_risky_device_is_told_after_a_yes_only(
    house: House, text: str, area: str | None, topic: str, state_topic: str, before: Any, payload: Any
) -> None:
    """A lock and a garage door ask first, are told once there was a yes, and are not opened by an undo."""
    house.watcher.publish(state_topic, before, retain=True)
    count = house.count(topic)

    decision = house.say(text, area=area)
    house.say("my brother reads a long book")
    asked = house.count(topic)
    house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "yes"})

    assert (decision["outcome"], decision["reason_code"], asked) == ("clarify", "risky", count)
    assert house.watcher.wait_topic(topic, count=count + 1) == payload


def test_lock_is_locked_without_a_question(house: House) -> None:
    """Locking makes the home safer: it asks nothing, and a lock shows what it did."""
    house.watcher.publish("shed/lock", "UNLOCKED", retain=True)
    count = house.count("shed/lock/set")

    decision = house.say("lock the shed lock", area="shed")
    payload = house.watcher.wait_topic("shed/lock/set", count=count + 1)
    house.watcher.publish("shed/lock", "LOCKED", retain=True)

    assert (decision["outcome"], payload) == ("act", "LOCK")
    assert house.told(decision) == "Done."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("turn on the counter bar", "Counter Bar cannot be reached, so I did nothing there."),
        ("打开 counter bar", "Counter Bar现在连不上，所以没有操作。"),
    ],
)
def test_unavailable_device_is_not_told_anything(house: House, text: str, words: str) -> None:
    """A device that is away is said to be away, and gets no command that it would carry out when it comes back."""
    house.watcher.publish(f"{BAR}/availability", {"state": "offline"}, retain=True)
    count = house.count(f"{BAR}/set")
    try:
        decision = house.say(text, area="kitchen")

        assert house.told(decision) == words
        assert house.count(f"{BAR}/set") == count
    finally:
        house.watcher.publish(f"{BAR}/availability", {"state": "online"}, retain=True)


def test_device_that_never_tells_its_state_is_said_to_be_only_told(house: House) -> None:
    """A pump without a state topic gets its command; nobody claims to have seen it work."""
    count = house.count("shed/pump/set")

    decision = house.say("turn on the pump", area="shed")

    assert house.watcher.wait_topic("shed/pump/set", count=count + 1) == "ON"
    assert house.told(decision) == "I told Shed Pump, which cannot say whether it worked."


def test_device_that_does_not_answer_is_said_not_to(house: House) -> None:
    """A device that shows nothing within two seconds did not answer."""
    house.watcher.publish(PLUG, {"state": "OFF"}, retain=True)

    decision = house.say("turn on the kettle")

    assert house.told(decision) == "kettle plug did not answer."


def test_result_of_somebody_else_does_not_stand_for_the_device(house: House) -> None:
    """A good word on the result topic is not believed of a device that shows its own state."""
    house.watcher.publish(PLUG, {"state": "OFF"}, retain=True)

    decision = house.say("turn on the kettle")
    house.watcher.publish("voice_rl/result", {"decision_id": decision["decision_id"], "step": 1, "ok": True})

    assert house.told(decision) == "kettle plug did not answer."


def test_group_is_one_target(house: House) -> None:
    """The lights of a room whose lights are a group are told as that group, with one message."""
    topic = f"{Z}/Kitchen/Spots/set"
    counts = {one: house.count(one) for one in (topic, f"{BAR}/set", f"{Z}/Kitchen/Ceiling Light/set")}

    decision = house.say("turn on the lights", area="kitchen")
    payload = house.watcher.wait_topic(topic, count=counts[topic] + 1)
    house.watcher.publish(f"{Z}/Kitchen/Spots", {"state": "ON"})

    assert payload == {"state": "ON"}
    assert house.told(decision) == "Done."
    assert (house.count(f"{BAR}/set"), house.count(f"{Z}/Kitchen/Ceiling Light/set")) == (
        counts[f"{BAR}/set"],
        counts[f"{Z}/Kitchen/Ceiling Light/set"],
    )


@pytest.mark.parametrize(("text", "words"), [("is the shed lock locked", "locked"), ("床头灯开着吗", "床头灯")])
def test_question_is_answered_from_the_device(house: House, text: str, words: str) -> None:
    """A question about a device is answered with what it told."""
    house.watcher.publish("shed/lock", "LOCKED", retain=True)
    house.watcher.publish(BED, {"state": "ON", "brightness": 100}, retain=True)

    decision = house.say(text)

    assert words in house.told(decision)


def test_devices_that_go_and_are_renamed_are_followed(tmp_path: Path) -> None:
    """A device whose config is emptied is gone; one that zigbee2mqtt calls otherwise is found under its new name alone."""
    with running_house(tmp_path, retained=announced()) as house:
        wait_entities(house, 20)

        house.watcher.publish("homeassistant/switch/office/printer/config", b"", retain=True)
        wait_entities(house, 19)
        house.watcher.publish(f"{Z}/bridge/devices", DEVICES.replace(b"kettle_plug", b"Tea Maker"), retain=True)
        house.watcher.publish(f"{Z}/Tea Maker", {"state": "OFF"}, retain=True)
        gone = house.say("turn on the printer", area="office")
        former = house.say("turn on the kettle")
        now = house.say("turn on the tea maker")

        assert (gone["outcome"], former["outcome"]) != ("act", "act")
        assert house.watcher.wait_topic(f"{Z}/Tea Maker/set") == {"state": "ON"}
        assert now["actions"][0]["target"]["entity_id"] == ["switch.tea_maker"]


@pytest.mark.parametrize(
    ("topic", "payload", "words"),
    [
        (f"{Z}/bridge/devices", b"[{", "no JSON"),
        (f"{Z}/bridge/groups", b'"none"', "expected a list"),
        ("homeassistant/light/terrace/string/config", b"\xff", "expected UTF-8"),
        ("homeassistant/lock/x/config", b"[1]", "expected a discovery config"),
        ("homeassistant/switch/y/config", b'{"command_topic": "y/#"}', "command_topic: expected a topic without wildcards"),
        ("homeassistant/switch/z/config", b'{"command_topic": "z", "state_topic": "z/s", "value_template": "{% if value %}on{% endif %}"}', "plain templates"),
    ],
)  # fmt: skip
def test_malformed_announcement_is_one_clear_error_and_the_devices_stay(house: House, topic: str, payload: bytes, words: str) -> None:
    """What cannot be read is told on the error topic with the topic's name, and everything goes on as before."""
    before = house.count("voice_rl/error")
    house.watcher.publish(topic, payload)
    error = house.watcher.wait_topic("voice_rl/error", count=before + 1)

    decision = house.say("turn off the string lights", area="terrace")

    assert words in error["detail"]
    assert error["topic"] == topic
    assert decision["outcome"] == "act"


def test_guarded_devices_stay_closed_unless_the_configuration_says_otherwise(tmp_path: Path) -> None:
    """Without dispatch.guarded a yes does not unlock a device either, and that is said."""
    with running_house(tmp_path, retained=announced(), guarded=False) as house:
        wait_entities(house, 20)

        decision = house.say("unlock the shed lock", area="shed")
        house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "yes"})
        house.watcher.wait_for(lambda one: one.topic == "voice_rl/say" and b"I may not do that here." in one.payload, "the refusal")

        assert house.count("shed/lock/set") == 0


def test_everything_is_off_by_default(tmp_path: Path) -> None:
    """Without home.zigbee2mqtt and home.discovered nothing that devices announce is even heard."""
    with running_house(tmp_path, retained=announced(), zigbee2mqtt=None, discovered=None) as house:
        decision = house.say("turn on the counter bar")

        assert decision["outcome"] != "act"
        assert json.loads(house.watcher.on_topic("voice_rl/health")[-1].payload)["home"]["entities"] == 0


def test_our_own_device_is_none_of_the_home(tmp_path: Path) -> None:
    """What this program announces for Home Assistant does not come back as a device; nor may a device use our own topics."""
    loop = {"name": "Loop", "command_topic": "voice_rl/command", "unique_id": "loop"}
    with running_house(tmp_path, retained={"homeassistant/switch/loop/config": loop, **CONFIGS}, zigbee2mqtt=None) as house:
        house.watcher.wait_topic("homeassistant/device/voice_rl/config")
        wait_entities(house, 8)
        error = house.watcher.wait_topic("voice_rl/error")
        house.say("my brother reads a long book")

        assert "command_topic: expected a topic" in error["detail"]
        assert json.loads(house.watcher.on_topic("voice_rl/health")[-1].payload)["home"]["entities"] == 8


def test_registry_keeps_its_place(tmp_path: Path) -> None:
    """Where a home was told on the home topic, devices only complete it: nothing is added, and Home Assistant goes on acting."""
    told = {"entities": [{"id": "light.kitchen_counter_bar", "name": "Counter Bar", "abilities": ["on_off"]}]}
    with running_house(tmp_path, retained={"voice_rl/home": told, **announced()}) as house:
        house.watcher.wait_for(
            lambda one: one.topic == "voice_rl/health" and json.loads(one.payload)["home"]["entities"] == 1, "one device"
        )
        decision = house.say("turn on the counter bar")
        action = house.watcher.wait_topic("voice_rl/action/light/turn_on")

        assert action["target"] == {"entity_id": ["light.kitchen_counter_bar"]}
        assert house.count(f"{BAR}/set") == 0
        assert decision["outcome"] == "act"


def test_silent_device_on_mains_power_is_asked_once(tmp_path: Path) -> None:
    """A wall switch that has told nothing is asked for its state; what told it, and what runs on a battery, is left alone."""
    quiet = {topic: payload for topic, payload in announced().items() if topic != f"{Z}/Front Door Lock"}
    with running_house(tmp_path, retained=quiet) as house:
        asked = [house.watcher.wait_topic(f"{Z}/Hall Switch/get", count=count) for count in (1, 2)]
        house.watcher.publish(f"{Z}/Hall Switch", {"state_left": "ON", "state_right": "OFF"})
        house.say("turn off the hall switch left")

        assert asked == [{"state_left": ""}, {"state_right": ""}]
        assert house.watcher.wait_topic(f"{Z}/Hall Switch/set") == {"state_left": "OFF"}
        assert [one.topic for one in house.watcher.seen if one.topic.endswith("/get")] == [f"{Z}/Hall Switch/get"] * 2
