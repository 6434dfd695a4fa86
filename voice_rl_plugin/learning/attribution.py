"""Attribution: which decision a feedback is about, when it does not say.

confirm without an id     the only decision there in the last 30 s, else an error
a state that flips back   UndoWatch: our action's echo, then its exact inverse, by a person, within 15 s
a second try              the first wording, when the second was confirmed within 60 s
"""

import difflib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from voice_rl_plugin.deciding.memory import memory_words
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.feedback import Feedback
from voice_rl_plugin.domain.home import EntityState
from voice_rl_plugin.errors import MessageError
from voice_rl_plugin.learning.reward import REPHRASE_WITHIN_S, UNDO_WITHIN_S

ATTRIBUTE_WITHIN_S = 30.0
"""A bare yes or no is about something this recent."""
BOUNCE_S = 1.0
"""A change back faster than this is a device that bounces: a person has to see, and to reach for it."""
BURST_S = 0.25
"""A coloured lamp tells state, brightness and colour in a message each; what comes within this time is one change."""
FLAPPING_WITHIN_S = 60.0
FLAPPING_CHANGES = 5
"""An entity with more changes than this in FLAPPING_WITHIN_S flaps: an automation, a sensor, a loose contact."""
RESTART_S = 30.0
"""After a restart of Home Assistant or the devices every state is news; for this long nothing is an undo."""
SIMILAR = 0.5
"""A second try shares at least this much of its words with the first (difflib ratio)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What Home Assistant says about the cause of a state change; the state topics say nothing."""

    user_id: str | None = None
    """The person, where a person did it in the app or on the page."""
    parent_id: str | None = None
    """Set when something else caused it: an automation or a script."""


def attribute(decisions: Iterable[Decision], *, place: str | None, now: float, within_s: float = ATTRIBUTE_WITHIN_S) -> Decision:
    """Return the decision that a feedback without an id is about.

    Args:
        decisions: the recent ones.
        place: satellite, session or area where the feedback was given; None for the whole home.
        now: Unix seconds.
        within_s: how far back to look.

    Raises:
        MessageError: there is none, there are several, or it is a risky one, which must be named.
    """
    there = [
        decision
        for decision in decisions
        if 0.0 <= now - decision.decided_at <= within_s and (place is None or place in (decision.utterance.place, decision.utterance.area))
    ]
    where = "in the home" if place is None else f"in {place!r}"
    if not there:
        raise MessageError(f"feedback: no decision {where} in the last {within_s:g} s; send its decision_id")
    if len(there) > 1:
        raise MessageError(f"feedback: {len(there)} decisions {where} in the last {within_s:g} s; send the decision_id of one")
    if there[0].is_risky:
        raise MessageError("feedback: a risky action is confirmed by its decision_id only")
    return there[0]


def counts_as_feedback(feedback: Feedback, *, media_plays: bool) -> bool:
    """Whether a judgement is one: a bare spoken yes or no while media plays in the area may come from the television."""
    is_bare = feedback.source == "voice" and feedback.verdict in ("yes", "no") and not feedback.correction and not feedback.correction_text
    return not (is_bare and media_plays)


def rephrase_of(confirmed: Decision, recent: Iterable[Decision], *, now: float) -> Feedback | None:
    """Return the feedback on a first try whose second try was just confirmed; None where there was none.

    Args:
        confirmed: the second try, which acted and was confirmed.
        recent: earlier decisions, not yet judged in words.
        now: Unix seconds of the confirmation.
    """
    if confirmed.outcome != "act":
        return None
    earlier = [decision for decision in recent if decision.id != confirmed.id and _is_first_try(decision, confirmed)]
    if not earlier:
        return None
    first = max(earlier, key=lambda decision: decision.decided_at)
    return Feedback(
        id=f"rephrase:{first.id}",
        decision_id=first.id,
        verdict="correct",
        source="voice",
        correction=confirmed.actions,
        given_at=min(now, first.decided_at + REPHRASE_WITHIN_S),
        is_inferred=True,
    )


def _is_first_try(first: Decision, second: Decision) -> bool:
    return (
        first.utterance.area == second.utterance.area
        and 0.0 < second.decided_at - first.decided_at <= REPHRASE_WITHIN_S
        and first.actions != second.actions
        and difflib.SequenceMatcher(None, memory_words(first.utterance.text), memory_words(second.utterance.text)).ratio() >= SIMILAR
    )


_PASSING = frozenset({"opening", "closing", "locking", "unlocking", "buffering"})
_ABSENT = frozenset({"unknown", "unavailable", ""})
_GOALS: Mapping[str, str] = {
    "turn_on": "on",
    "turn_off": "off",
    "open_cover": "open",
    "close_cover": "closed",
    "open_valve": "open",
    "close_valve": "closed",
    "lock": "locked",
    "unlock": "unlocked",
    "media_play": "playing",
    "media_pause": "paused",
}
"""The value that a service leads to."""
_TOGGLES = frozenset({"toggle", "media_play_pause"})
_ATTRIBUTES: Mapping[str, str] = {
    "brightness_pct": "brightness",
    "brightness_step_pct": "brightness",
    "color_temp_kelvin": "color_temp_kelvin",
    "color_name": "rgb_color",
    "volume_level": "volume_level",
    "is_volume_muted": "is_volume_muted",
    "temperature": "temperature",
    "percentage": "percentage",
    "position": "current_position",
}
"""The state attribute that a service's slot changes."""
_SERVICE_ATTRIBUTES: Mapping[str, str] = {"volume_up": "volume_level", "volume_down": "volume_level"}
_RESTING = frozenset({"off", "closed"})
_TOLERANCE = 0.02
"""Devices round: 200 of 255 comes back as 199."""

_Snapshot = tuple[Any, ...]


@dataclass(slots=True)
class _Watched:
    """A decision whose effect was seen, and what undoing it would look like."""

    decision: Decision
    before: dict[str, _Snapshot] = field(default_factory=dict)
    echoed_at: dict[str, float] = field(default_factory=dict)
    undone: set[str] = field(default_factory=set)
    user: str | None = None


class UndoWatch:
    """Sees people take back what was done.

    An undo is the exact inverse, on every entity that changed by our action. On then dim is a refinement; so is switching off
    one of several lamps. Our own echo, automations, restarts, bounces and flapping entities are no undo.
    """

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self._changes: dict[str, deque[float]] = {}
        self._quiet_until = float("-inf")
        self._settled: deque[str] = deque(maxlen=256)

    def restart(self, at: float) -> None:
        """Note that Home Assistant or the devices restarted: what changes now was not done by a person."""
        self._watched.clear()
        self._changes.clear()
        self._quiet_until = at + RESTART_S

    def observe(
        self,
        entity_id: str,
        old: EntityState | None,
        new: EntityState,
        *,
        at: float,
        decisions: Iterable[Decision],
        context: Context | None = None,
    ) -> Feedback | None:
        """Take in one change of a state and return the undo that it completes.

        Args:
            entity_id: what changed.
            old: the state before; None when unknown.
            new: the state now.
            at: Unix seconds.
            decisions: the recent decisions.
            context: who caused it, where that is known.
        """
        if old is None or old.value in _ABSENT or new.value in _ABSENT:
            self._drop(entity_id)
            return None
        if at < self._quiet_until or (old.value == new.value and old.attributes == new.attributes):
            return None
        self._forget_old(at)
        newest = self._newest_on(entity_id, decisions, at)
        if newest is None or newest.id in self._settled:
            return None
        watched = self._watched.get(newest.id)
        if watched is None or entity_id not in watched.before:
            self._note_echo(newest, entity_id, old, new, at)
            return None
        return self._note_return(watched, entity_id, new, at, context or Context())

    def _note_echo(self, decision: Decision, entity_id: str, old: EntityState, new: EntityState, at: float) -> None:
        action = _action_on(entity_id, decision)
        before, now = _snapshot(old, action), _snapshot(new, action)
        goal = _goal_of(action)
        is_ours = before != now and (goal is None or new.value == goal or new.value in _PASSING)
        if not is_ours:
            self._count_change(entity_id, at)
            return
        watched = self._watched.setdefault(decision.id, _Watched(decision))
        watched.before[entity_id], watched.echoed_at[entity_id] = before, at

    def _note_return(self, watched: _Watched, entity_id: str, new: EntityState, at: float, context: Context) -> Feedback | None:
        action = _action_on(entity_id, watched.decision)
        changes = self._count_change(entity_id, at)
        if not _is_same(_snapshot(new, action), watched.before[entity_id]):
            watched.undone.discard(entity_id)
            return None
        is_automatic = context.parent_id is not None and context.user_id is None
        if is_automatic or changes > FLAPPING_CHANGES or at - watched.echoed_at[entity_id] < BOUNCE_S:
            self._settle(watched.decision)
            return None
        watched.undone.add(entity_id)
        watched.user = context.user_id or watched.user
        if watched.undone < set(_targets_of(watched.decision)) & watched.before.keys():
            return None
        self._settle(watched.decision)
        return Feedback(
            id=f"undo:{watched.decision.id}",
            decision_id=watched.decision.id,
            verdict="undo",
            source="state",
            user=watched.user,
            given_at=at,
        )

    def _newest_on(self, entity_id: str, decisions: Iterable[Decision], at: float) -> Decision | None:
        acted = [
            decision
            for decision in decisions
            if decision.outcome == "act"
            and decision.executor != "none"
            and 0.0 <= at - decision.decided_at <= UNDO_WITHIN_S
            and entity_id in _targets_of(decision)
        ]
        return max(acted, key=lambda decision: decision.decided_at, default=None)

    def _count_change(self, entity_id: str, at: float) -> int:
        times = self._changes.setdefault(entity_id, deque(maxlen=FLAPPING_CHANGES + 1))
        if not times or at - times[-1] > BURST_S:
            times.append(at)
        return sum(1 for time in times if at - time <= FLAPPING_WITHIN_S)

    def _settle(self, decision: Decision) -> None:
        self._watched.pop(decision.id, None)
        self._settled.append(decision.id)

    def _drop(self, entity_id: str) -> None:
        for watched in [w for w in self._watched.values() if entity_id in w.before]:
            self._settle(watched.decision)

    def _forget_old(self, at: float) -> None:
        for watched in [w for w in self._watched.values() if not 0.0 <= at - w.decision.decided_at <= UNDO_WITHIN_S]:
            del self._watched[watched.decision.id]


def _targets_of(decision: Decision) -> frozenset[str]:
    return frozenset(target for action in decision.actions if action.is_dispatched for target in action.targets)


def _action_on(entity_id: str, decision: Decision) -> Action:
    return next(action for action in reversed(decision.actions) if entity_id in action.targets)


def _goal_of(action: Action) -> str | None:
    return _GOALS.get(action.service.partition(".")[2])


def _snapshot(state: EntityState, action: Action) -> _Snapshot:
    """Return what of a state the action touches; the level of something that is off means nothing."""
    if state.value in _RESTING:
        return (state.value,)
    service = action.service.partition(".")[2]
    names = [_ATTRIBUTES[key] for key in sorted(action.data) if key in _ATTRIBUTES]
    names += [_SERVICE_ATTRIBUTES[service]] if service in _SERVICE_ATTRIBUTES else []
    watches_value = _goal_of(action) is not None or service in _TOGGLES
    return ((state.value if watches_value or not names else None), *(_plain(state.attributes.get(name)) for name in names))


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _is_same(one: _Snapshot, other: _Snapshot) -> bool:
    return len(one) == len(other) and all(_is_close(a, b) for a, b in zip(one, other, strict=True))


def _is_close(one: Any, other: Any) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)) and not isinstance(one, bool):
        return bool(abs(one - other) <= _TOLERANCE * max(abs(one), abs(other)))
    return bool(one == other)
