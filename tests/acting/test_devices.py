"""The device executor: devices in their own words, the rest on the action topics, and what counts as done."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.homes.announced import known
from voice_rl_plugin.acting.devices import DeviceExecutor, for_device
from voice_rl_plugin.acting.services import Allowed
from voice_rl_plugin.acting.steps import StateUnknownError
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Entity, EntityState
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.homes.mqtt_devices import MqttDevices

ALL = Allowed(domains=frozenset({"light", "switch", "cover", "fan", "climate", "lock"}), guarded=True)
BAR, PUMP = "light.kitchen_counter_bar", "switch.shed_pump"


@dataclass(kw_only=True)
class Bench:
    """An executor among the devices of the fixtures, and one light that is nobody's device."""

    devices: MqttDevices = field(default_factory=known)
    allowed: Allowed = ALL
    executor: DeviceExecutor = field(init=False)

    def __post_init__(self) -> None:
        """Make the executor; everything in the shed is there."""
        self.devices.on_message("shed/online", b"yes", now=1.0)
        self.executor = DeviceExecutor(self.devices, allowed=self.allowed, exposed=self.exposed)

    def exposed(self, entity_id: str) -> Entity | None:
        """Look an entity up."""
        return self.devices.exposed(entity_id) or Entity(id=entity_id, name=entity_id)

    def start(self, *lines: str, states: Mapping[str, EntityState] | None = None, **given: Any) -> Any:
        """Carry lines out."""
        actions = tuple(parse_action(line) for line in lines)
        decision = Decision(id="d", utterance=Utterance(text="x"), language="en", outcome="act", actions=actions, decided_at=10.0)
        return self.executor.start(decision, states=states if states is not None else self.devices.states, now=10.0, **given)


def test_targets_are_split_between_devices_and_the_action_topics() -> None:
    """One action on a device and on what is nobody's device is two messages, each in the words of who hears it."""
    progress = Bench().start(f"light.turn_on {BAR} light.elsewhere brightness_pct=40")
    bodies = {one.topic: one.body for one in progress.messages}

    assert bodies["voice_rl/action/light/turn_on"] is None
    assert json.loads(bodies["zigbee2mqtt/Kitchen/Counter Bar/set"] or b"") == {"state": "ON", "brightness": 102}
    assert progress.messages[0].payload["target"] == {"entity_id": ["light.elsewhere"]}
    assert progress.messages[0].payload["data"] == {"brightness_pct": 40}


def test_decision_is_done_when_both_kinds_have_shown_it() -> None:
    """A result counts for what was published, a state for a device; only both together are done."""
    bench = Bench()
    messages = bench.start(f"light.turn_on {BAR} light.elsewhere").messages
    steps = {one.topic: int(one.payload["step"]) for one in messages}
    own, other = steps["zigbee2mqtt/Kitchen/Counter Bar/set"], steps["voice_rl/action/light/turn_on"]

    assert bench.executor.on_result(decision_id="d", step=own, is_ok=True, now=10.1).settled == ()
    assert bench.executor.on_result(decision_id="d", step=other, is_ok=True, now=10.2).settled == ()
    [settled] = bench.executor.on_state(BAR, EntityState(value="on"), now=10.3).settled
    assert (settled.outcome, settled.blind_targets) == ("done", ())


def test_device_that_tells_nothing_is_done_when_the_broker_has_it() -> None:
    """More will never be known of it: it is named as one that was only told."""
    bench = Bench()
    [message] = bench.start(f"switch.turn_on {PUMP}").messages

    assert message.body == b"ON"
    [settled] = bench.executor.on_accepted(decision_id="d", step=1, now=10.1).settled
    assert (settled.outcome, settled.blind_targets) == ("done", (PUMP,))


def test_stop_of_a_cover_is_done_when_the_broker_has_it() -> None:
    """No state tells a stopped cover from one that stood."""
    bench = Bench()
    bench.start("cover.stop_cover cover.bedroom_blind")

    assert [one.outcome for one in bench.executor.on_accepted(decision_id="d", step=1, now=10.1).settled] == ["done"]


def test_device_that_is_away_fails_alone() -> None:
    """The others are told; the one that is away is named, and its state need not be known for a step."""
    bench = Bench()
    bench.devices.on_message("zigbee2mqtt/Kitchen/Counter Bar/availability", b"offline", now=2.0)
    states = {"light.kitchen_ceiling_light": EntityState(value="on", attributes={"brightness": 100})}

    progress = bench.start(f"light.turn_on {BAR} light.kitchen_ceiling_light brightness_step_pct=10", states=states)
    shown = EntityState(value="on", attributes={"brightness": 126})
    [settled] = bench.executor.on_state("light.kitchen_ceiling_light", shown, now=10.2).settled

    assert [one.topic for one in progress.messages] == ["zigbee2mqtt/Kitchen/Ceiling Light/set"]
    assert (settled.outcome, settled.error, settled.failed_targets) == ("failed", "unavailable", (BAR,))


def test_nothing_is_done_when_a_part_is_not_allowed() -> None:
    """Where locks are not allowed, neither the lock nor the light of the same sentence moves."""
    progress = Bench(allowed=Allowed(domains=ALL.domains)).start(f"light.turn_on {BAR}", "lock.unlock lock.shed_lock")

    assert progress.messages == ()
    assert [one.error for one in progress.settled] == ["not_allowed"]


def test_unknown_state_is_said_before_anything_moves() -> None:
    """A step from an unknown brightness is not guessed."""
    progress = Bench().start(f"light.turn_on {BAR} brightness_step_pct=10", states={})

    assert (progress.messages, [one.error for one in progress.settled]) == ((), ["state_unknown"])


def test_decision_is_carried_out_once() -> None:
    """A decision that was started before is left alone."""
    bench = Bench()
    bench.start(f"light.turn_on {BAR}")

    assert bench.start(f"light.turn_on {BAR}").messages == ()


def test_unlocking_is_never_told_twice() -> None:
    """After a crash only what may come twice comes again."""
    assert Bench().start("lock.unlock lock.shed_lock", f"light.turn_on {BAR}", is_retry=True).messages[0].topic.endswith("Counter Bar/set")
    assert [one.is_repeatable for one in Bench().start("lock.unlock lock.shed_lock").messages] == [False]


@pytest.mark.parametrize(
    ("line", "value", "attributes", "wanted"),
    [
        ("light.turn_on light.a brightness_pct=40", "off", {}, "light.turn_on light.a brightness=102"),
        ("light.turn_on light.a brightness_pct=0", "on", {}, "light.turn_off light.a"),
        ("light.turn_on light.a brightness_step_pct=-50", "on", {"brightness": 100}, "light.turn_off light.a"),
        ("light.turn_on light.a brightness_step_pct=+", "on", {"brightness": 100}, "light.turn_on light.a brightness=151"),
        ("light.turn_on light.a brightness_step_pct=10", "off", {}, "light.turn_on light.a brightness=26"),
        ("light.toggle light.a", "on", {}, "light.turn_off light.a"),
        ("switch.toggle switch.a", "off", {}, "switch.turn_on switch.a"),
        ("cover.toggle cover.a", "open", {}, "cover.close_cover cover.a"),
        ("fan.increase_speed fan.a", "on", {"percentage": 40}, "fan.set_percentage fan.a percentage=60"),
        ("fan.increase_speed fan.a", "on", {"percentage": 33, "percentage_step": 33.3}, "fan.set_percentage fan.a percentage=66"),
        ("fan.decrease_speed fan.a", "on", {"percentage": 20}, "fan.turn_off fan.a"),
        ("climate.set_temperature climate.a temperature_step=2", "heat", {"temperature": 19}, "climate.set_temperature climate.a temperature=21"),
    ],
)  # fmt: skip
def test_actions_become_absolute(line: str, value: str, attributes: dict[str, Any], wanted: str) -> None:
    """Steps, percents and toggles become what a device can be told as often as one likes."""
    action = parse_action(line)
    states = {action.targets[0]: EntityState(value=value, attributes=attributes)}

    assert for_device(action, states) == parse_action(wanted)


@pytest.mark.parametrize(
    "line", ["light.toggle light.a", "light.turn_on light.a brightness_step_pct=10", "fan.increase_speed fan.a", "cover.set_cover_position cover.a position_step=20"]
)  # fmt: skip
def test_steps_from_the_unknown_are_refused(line: str) -> None:
    """What depends on a state that is not known is an error, not a guess."""
    with pytest.raises(StateUnknownError):
        for_device(parse_action(line), {})


def test_covers_are_seen_to_move_by_their_position() -> None:
    """A cover without a word for moving shows by its position that it obeys; one that moves the other way does not."""
    bench = Bench()
    bench.devices.on_message("zigbee2mqtt/Bedroom/Blind", b'{"position": 50}', now=2.0)
    bench.start("cover.set_cover_position cover.bedroom_blind position=20")

    wrong = bench.executor.on_state("cover.bedroom_blind", EntityState(value="open", attributes={"current_position": 60}), now=10.1)
    right = bench.executor.on_state("cover.bedroom_blind", EntityState(value="open", attributes={"current_position": 45}), now=10.2)
    assert (wrong.settled, [one.outcome for one in right.settled]) == ((), ["done"])
