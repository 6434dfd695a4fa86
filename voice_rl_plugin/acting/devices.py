"""The device executor: tells devices that are MQTT themselves in their own words, and everything else on the action topics.

light.turn_on [light.desk, light.hall] brightness_pct=40
    light.desk is a device of ours   ->  zigbee2mqtt/Desk Lamp/set {"state": "ON", "brightness": 102}
    light.hall is nobody's           ->  <prefix>/action/light/turn_on, as ever
a device's own state shows whether it worked; one that never tells its state was only told; one that is away is not told at all
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from voice_rl_plugin.acting.dispatch import ANSWER_S, FRESHNESS_S, DispatchExecutor
from voice_rl_plugin.acting.effects import COLOR_RGB, expected_effect
from voice_rl_plugin.acting.executor import OutgoingMessage, Progress, Settlement
from voice_rl_plugin.acting.services import Allowed
from voice_rl_plugin.acting.steps import StateUnknownError, make_absolute
from voice_rl_plugin.acting.undo import Snapshot, Undo
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Entity, EntityState, States

_LOGGER = logging.getLogger(__name__)

FULL = 255
"""Of a light's brightness."""
SPEED_STEP_PCT = 20.0
_OPPOSITE: Mapping[str, tuple[str, str]] = {
    "cover": ("close_cover", "open_cover"),
    "lock": ("unlock", "lock"),
}
"""What a toggle means where it is not on and off: what follows on open or locked, and on the contrary."""


class DeviceCommand(Protocol):
    """One message to a device."""

    @property
    def topic(self) -> str:
        """Return where it goes."""

    @property
    def payload(self) -> bytes:
        """Return what it says."""


class Talker(Protocol):
    """A device that can be told something."""

    @property
    def tells_state(self) -> bool:
        """Whether its state can be seen."""

    @property
    def command(self) -> Callable[[Action], Sequence[DeviceCommand] | None]:
        """Return what makes messages of an absolute action; None when it cannot do that."""


class Devices(Protocol):
    """The devices of the home that take commands themselves."""

    def find(self, entity_id: str) -> Talker | None:
        """Return a device; None for everything that others carry out."""

    def is_present(self, entity_id: str) -> bool:
        """Whether a device is there, as far as it tells."""


@dataclass(slots=True)
class _Telling:
    """A decision of which devices were told."""

    published: set[int] = field(default_factory=set)
    """Steps that went out on the action topics: only of these a result counts."""
    unseen: dict[int, str] = field(default_factory=dict)
    """Devices by the step whose effect nobody can see: it counts once the broker has it."""
    blind: set[str] = field(default_factory=set)
    """Devices that never tell their state."""


class DeviceExecutor:
    """Tells devices, and publishes the rest.

    Args:
        devices: looks devices up.
        allowed: what may be done by devices; nobody else checks it on the way.
        exposed: looks an entity up that a voice may address.
        prefix: of the topics of the rest.
        freshness_s: how long a decision may be carried out.
        answer_s: how long a device has to show the effect.
    """

    name = "device"

    def __init__(
        self,
        devices: Devices,
        *,
        allowed: Allowed,
        exposed: Callable[[str], Entity | None],
        prefix: str = "voice_rl",
        freshness_s: float = FRESHNESS_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._devices = devices
        self._allowed = allowed
        self._exposed = exposed
        self._watch = DispatchExecutor(prefix=prefix, freshness_s=freshness_s, answer_s=answer_s)
        self._telling: dict[str, _Telling] = {}

    def start(
        self, decision: Decision, *, states: States, now: float, since: float | None = None, is_retry: bool = False, is_risky: bool = False
    ) -> Progress:
        """Tell the devices of a decision; see Executor.start."""
        if self._watch.snapshot(decision.id) is not None:
            return Progress()
        try:
            actions = self._split(decision.actions, states)
        except StateUnknownError as error:
            _LOGGER.debug("decision %s cannot be carried out: %s", decision.id, error)
            return _failed(decision, "state_unknown", now)
        if any(self._refusal(one) is not None for one in actions):
            return _failed(decision, "not_allowed", now)
        telling = self._telling[decision.id] = _Telling()
        progress = self._watch.start(
            replace(decision, actions=actions), states=states, now=now, since=since, is_retry=is_retry, is_risky=is_risky
        )
        messages: list[OutgoingMessage] = []
        settled = list(progress.settled)
        for message in progress.messages:
            action = Action.from_payload(message.payload)
            device = self._devices.find(action.targets[0]) if len(action.targets) == 1 else None
            step = int(message.payload["step"])
            if device is None:
                telling.published.add(step)
                messages.append(message)
                continue
            told, why_not = self._tell(device, action, message)
            messages += told
            if why_not is not None:
                settled += self._watch.on_result(decision_id=decision.id, step=step, is_ok=False, now=now, error=why_not).settled
            elif not device.tells_state or not expected_effect(action, action.targets[0], states.get(action.targets[0])).can_be_seen:
                telling.unseen[step] = action.targets[0]
                telling.blind |= set() if device.tells_state else {action.targets[0]}
        return self._finish(Progress(messages=tuple(messages), settled=tuple(settled)))

    def wait_from(self, decision_id: str, at: float) -> None:
        """Count the time to answer from then; see Executor.wait_from."""
        self._watch.wait_from(decision_id, at)

    def on_result(self, *, decision_id: str, step: int, is_ok: bool, now: float, error: str | None = None) -> Progress:
        """Take a result of what was published; of a device only its own state says that it worked."""
        if is_ok and step not in self._telling.get(decision_id, _Telling()).published:
            return Progress()
        return self._finish(self._watch.on_result(decision_id=decision_id, step=step, is_ok=is_ok, now=now, error=error))

    def on_accepted(self, *, decision_id: str, step: int, now: float) -> Progress:
        """Take that the broker has a message: more will never be known of a device that cannot be seen."""
        telling = self._telling.get(decision_id)
        if telling is None or telling.unseen.pop(step, None) is None:
            return Progress()
        return self._finish(self._watch.on_result(decision_id=decision_id, step=step, is_ok=True, now=now))

    def on_state(self, entity_id: str, state: EntityState, *, now: float) -> Progress:
        """Take a state; see Executor.on_state."""
        return self._finish(self._watch.on_state(entity_id, state, now=now))

    def tick(self, now: float) -> Progress:
        """Settle what is due; see Executor.tick."""
        return self._finish(self._watch.tick(now))

    def deadline(self) -> float | None:
        """Return when `tick` has something to do; see Executor.deadline."""
        return self._watch.deadline()

    def snapshot(self, decision_id: str) -> Snapshot | None:
        """Return the states from before a decision; see Executor.snapshot."""
        return self._watch.snapshot(decision_id)

    def undo(self, decision_id: str) -> Undo:
        """Return what takes a decision back; see Executor.undo."""
        return self._watch.undo(decision_id)

    def _split(self, actions: tuple[Action, ...], states: States) -> tuple[Action, ...]:
        """Return one absolute action a device, in order, and what is left of each for the action topics."""
        split: list[Action] = []
        for action in actions:
            ours = [one for one in action.targets if self._devices.find(one) is not None]
            rest = tuple(one for one in action.targets if one not in ours)
            if rest or not ours:
                split.append(replace(action, targets=rest))
            # What is away is not told anything, so its state need not be known.
            split += [
                for_device(replace(action, targets=(one,)), states) if self._devices.is_present(one) else _plain(action, one)
                for one in ours
            ]
        return tuple(split)

    def _refusal(self, action: Action) -> str | None:
        if len(action.targets) != 1 or self._devices.find(action.targets[0]) is None:
            return None
        why = self._allowed.refusal(action, self._exposed)
        if why is not None:
            _LOGGER.warning("an action was not carried out: %s", why)
        return why

    def _tell(self, device: Talker, action: Action, message: OutgoingMessage) -> tuple[list[OutgoingMessage], str | None]:
        """Return the messages to a device, and why there are none."""
        if not self._devices.is_present(action.targets[0]):
            return [], "unavailable"
        commands = device.command(action)
        if not commands:
            _LOGGER.warning("%s cannot do %s", action.targets[0], action.service)
            return [], "unable"
        return [replace(message, topic=one.topic, body=one.payload) for one in commands], None

    def _finish(self, progress: Progress) -> Progress:
        """Say of what was settled which devices could only be told."""
        settled = []
        for one in progress.settled:
            telling = self._telling.pop(one.decision_id, None)
            blind = tuple(sorted(telling.blind)) if telling is not None else ()
            settled.append(replace(one, blind_targets=blind) if one.is_success else one)
        return replace(progress, settled=tuple(settled))


def for_device(action: Action, states: States) -> Action:
    """Return what a device is told for an action: absolute, with brightness of 255 and colours in red, green and blue.

    Args:
        action: on one entity.
        states: the live states.

    Raises:
        StateUnknownError: a step or a toggle needs a state that is not known.
    """
    [action] = make_absolute(action, states)
    domain, _, verb = action.service.partition(".")
    state = states.get(action.targets[0])
    if verb == "toggle":
        return Action(service=f"{domain}.{_toggled(domain, state, action.targets[0])}", targets=action.targets)
    if domain == "light" and verb == "turn_on":
        return _light(action, state)
    if domain == "fan" and verb in ("increase_speed", "decrease_speed"):
        return _fan(action, state, sign=1 if verb == "increase_speed" else -1)
    return action


def _toggled(domain: str, state: EntityState | None, target: str) -> str:
    if state is None:
        raise StateUnknownError(f"{target}: its state is not known, so it cannot be toggled")
    on, off = _OPPOSITE.get(domain, ("turn_off", "turn_on"))
    return off if state.value in ("off", "closed", "closing", "unlocked", "unlocking") else on


def _light(action: Action, state: EntityState | None) -> Action:
    data = dict(action.data)
    step, pct, color = data.pop("brightness_step_pct", None), data.pop("brightness_pct", None), data.pop("color_name", None)
    if color is not None and color in COLOR_RGB:
        data["rgb_color"] = list(COLOR_RGB[color])
    if pct is not None:
        data["brightness"] = round(float(pct) * FULL / 100)
    if step is not None:
        known = state.attributes.get("brightness") if state is not None and state.value == "on" else None
        if state is None or (state.value == "on" and known is None):
            raise StateUnknownError(f"{action.targets[0]}: its brightness is not known, so it cannot be changed by a step")
        data["brightness"] = min(max(round((known or 0) + float(step) * FULL / 100), 0), FULL)
    if data.get("brightness") == 0:
        return Action(service="light.turn_off", targets=action.targets)
    return replace(action, data=data)


def _fan(action: Action, state: EntityState | None, *, sign: int) -> Action:
    known = None if state is None else 0 if state.value == "off" else state.attributes.get("percentage")
    if not isinstance(known, (int, float)) or state is None:
        raise StateUnknownError(f"{action.targets[0]}: its speed is not known, so it cannot be changed by a step")
    least = state.attributes.get("percentage_step")
    step = float(action.data.get("percentage_step") or SPEED_STEP_PCT)
    step = max(step, float(least)) if isinstance(least, (int, float)) else step
    wanted: Any = min(max(round(known + sign * step), 0), 100)
    if wanted == 0:
        return Action(service="fan.turn_off", targets=action.targets)
    return Action(service="fan.set_percentage", targets=action.targets, data={"percentage": wanted})


def _plain(action: Action, target: str) -> Action:
    """Return an action on a device that is away: without data, so that no step asks for its state."""
    return Action(service=action.service, targets=(target,))


def _failed(decision: Decision, error: str, now: float) -> Progress:
    targets = tuple(sorted({target for action in decision.actions for target in action.targets}))
    return Progress(settled=(Settlement(decision_id=decision.id, outcome="failed", failed_targets=targets, error=error, settled_at=now),))
