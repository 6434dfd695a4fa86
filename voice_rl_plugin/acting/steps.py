"""Steps: a decision's actions made ready to publish, with relative settings turned into absolute ones.

climate.set_temperature temperature_step=2   at 20.5   ->  climate.set_temperature temperature=22.5
cover.set_cover_position position_step=-20   at 50     ->  cover.set_cover_position position=30
light.turn_on brightness_step_pct=-                    ->  light.turn_on brightness_step_pct=-20 (the light itself does the sum)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.home import EntityState, States
from voice_rl_plugin.errors import MessageError, VoiceRlError

DEFAULT_STEPS: Mapping[str, float] = {
    "brightness_step_pct": 20,
    "temperature_step": 1,
    "position_step": 20,
    "percentage_step": 20,
    "humidity_step": 10,
    "volume_step": 0.1,
}
"""How far a bare sign goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """What a relative key becomes."""

    key: str
    attribute: str
    low: float
    high: float
    low_attribute: str = ""
    high_attribute: str = ""


_SETTINGS: Mapping[tuple[str, str], _Setting] = {
    ("climate.set_temperature", "temperature_step"): _Setting(
        key="temperature", attribute="temperature", low=7, high=35, low_attribute="min_temp", high_attribute="max_temp"
    ),
    ("water_heater.set_temperature", "temperature_step"): _Setting(
        key="temperature", attribute="temperature", low=30, high=60, low_attribute="min_temp", high_attribute="max_temp"
    ),
    ("humidifier.set_humidity", "humidity_step"): _Setting(
        key="humidity", attribute="humidity", low=0, high=100, low_attribute="min_humidity", high_attribute="max_humidity"
    ),
    ("cover.set_cover_position", "position_step"): _Setting(key="position", attribute="current_position", low=0, high=100),
    ("fan.set_percentage", "percentage_step"): _Setting(key="percentage", attribute="percentage", low=0, high=100),
    ("media_player.volume_set", "volume_step"): _Setting(key="volume_level", attribute="volume_level", low=0.0, high=1.0),
}

_LEVEL = re.compile(r"[a-z0-9_]+")
_INTENT = re.compile(r"[A-Za-z0-9_]+")
"""Home Assistant names intents in capitals: HassStartTimer."""
_ENTITY_ID = re.compile(r"\w+\.\w+")
_NOT_REPEATABLE = re.compile(
    r".*\.toggle|.*_(up|down|next_track|previous_track)|.*\.(increase|decrease)_\w+|(script|button|input_button)\..*|"
    r"intent\..*|(phone|navigation|translate|search)\..*|lock\.(unlock|open)|alarm_control_panel\..*|media_player\.play_media|media_player\.media_play_pause"
)


class StateUnknownError(VoiceRlError):
    """A relative setting needs a state that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action of a decision, ready to publish."""

    number: int
    """From 1."""
    action: Action
    is_risky: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether publishing it twice does no harm: true for absolute settings, false for toggles, steps and risky actions."""
        if self.is_risky or _NOT_REPEATABLE.fullmatch(self.action.service):
            return False
        return not any("step" in key for key in self.action.data)


def make_steps(actions: tuple[Action, ...], states: States, *, is_risky: bool = False) -> tuple[Step, ...]:
    """Number the actions that somebody else carries out, with relative settings made absolute.

    Raises:
        StateUnknownError: a relative setting needs a state that is not known.
    """
    absolute = [one for action in actions if action.is_published for one in make_absolute(action, states)]
    return tuple(Step(number=number, action=action, is_risky=is_risky) for number, action in enumerate(absolute, start=1))


def make_absolute(action: Action, states: States) -> tuple[Action, ...]:
    """Return the actions that a relative action means now: one for each different value that its targets get.

    Raises:
        StateUnknownError: the state of a target is not known.
    """
    action = replace(action, data={key: _signed_step(key, value) for key, value in action.data.items()})
    found = [(key, setting) for (service, key), setting in _SETTINGS.items() if service == action.service and key in action.data]
    if not found:
        return (action,)
    key, setting = found[0]
    rest = {name: value for name, value in action.data.items() if name != key}
    targets: dict[float, list[str]] = {}
    for target in action.targets:
        targets.setdefault(_stepped(setting, states.get(target), action.data[key], target), []).append(target)
    return tuple(
        Action(service=action.service, targets=tuple(sorted(ids)), data={**rest, setting.key: value}) for value, ids in targets.items()
    )


def topic_of(action: Action, *, prefix: str) -> str:
    """Return the topic that an action is published on.

    Raises:
        MessageError: the service or a target holds a wildcard, an empty level or anything else that is no name.
    """
    domain, _, service = action.service.partition(".")
    if not _LEVEL.fullmatch(domain) or not (_INTENT if domain == "intent" else _LEVEL).fullmatch(service):
        raise MessageError(f"action: expected a service such as light.turn_on, got {action.service!r}; it was not published")
    for target in action.targets:
        if not _ENTITY_ID.fullmatch(target):
            raise MessageError(f"action {action.service}: expected an entity id such as light.desk, got {target!r}; it was not published")
    return f"{prefix}/action/{domain}/{service}"


def _signed_step(key: str, value: Any) -> Any:
    if value in ("+", "-") and key in DEFAULT_STEPS:
        return DEFAULT_STEPS[key] if value == "+" else -DEFAULT_STEPS[key]
    return value


def _stepped(setting: _Setting, state: EntityState | None, step: Any, target: str) -> float:
    old = state.attributes.get(setting.attribute) if state is not None else None
    if setting.key == "percentage" and old is None and state is not None and state.value == "off":
        old = 0
    if not isinstance(old, (int, float)) or isinstance(old, bool) or state is None:
        raise StateUnknownError(f"{target}: its {setting.attribute} is not known, so it cannot be changed by a step")
    low = state.attributes.get(setting.low_attribute, setting.low)
    high = state.attributes.get(setting.high_attribute, setting.high)
    value = round(min(max(old + float(step), low), high), 2)
    return int(value) if float(value).is_integer() and setting.key != "volume_level" else value
