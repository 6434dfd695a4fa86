"""The Home Assistant executor: calls its services over its WebSocket, and believes only what the states then show.

step     -> call_service {"domain","service","target","service_data"}   -> result -> the states show the effect -> done
intent   -> conversation/process {"text","language","agent_id"}         -> result with the words to say         -> done
call, route, search: on the action topics, as ever: who does them is not Home Assistant
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from voice_rl_plugin.acting.dispatch import ANSWER_S, FRESHNESS_S, DispatchExecutor
from voice_rl_plugin.acting.executor import OutgoingMessage, Progress, Settlement
from voice_rl_plugin.acting.undo import Snapshot, Undo
from voice_rl_plugin.domain.action import Action
from voice_rl_plugin.domain.beyond import SERVICES
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import Entity, EntityState, States
from voice_rl_plugin.errors import LinkError
from voice_rl_plugin.understanding.kinds import is_door

_LOGGER = logging.getLogger(__name__)

AGENT = "conversation.home_assistant"
"""Home Assistant's own conversation agent, which knows timers, lists and the weather."""
GUARDED_DOMAINS = frozenset({"lock", "valve"})
PLACES_SINCE = (2026, 6)
"""Its agent takes where something was said over the WebSocket since then, at the latest; a timer rings there."""
TARGET_KEYS = frozenset({"entity_id", "device_id", "area_id", "floor_id", "label_id"})
"""What would name more targets inside the data of a service."""


class Caller(Protocol):
    """The connection to Home Assistant."""

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent."""

    @property
    def version(self) -> tuple[int, ...]:
        """Return year and month of Home Assistant's version; empty when it is not known."""

    def send(self, command: Mapping[str, Any]) -> int:
        """Send a command and return its number.

        Raises:
            LinkError: there is no connection.
        """

    def exposed(self, entity_id: str) -> Entity | None:
        """Return an entity that Home Assistant exposes to Assist; None for every other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What may be acted on, whatever was decided."""

    domains: frozenset[str]
    guarded: bool = False
    """Whether locks, valves, garage doors and gates too."""

    def refusal(self, action: Action, exposed: Callable[[str], Entity | None]) -> str | None:
        """Return why an action must not be called; None when it may.

        Args:
            action: a service call, or an intent, which Home Assistant's own agent checks.
            exposed: looks an entity up among those that Home Assistant exposes to Assist.
        """
        if action.domain == "intent" or action.service in SERVICES:
            return None
        if not action.targets:
            return "expected entities as the target"
        if action.domain not in self.domains and not (self.guarded and action.domain in GUARDED_DOMAINS):
            return f"the domain {action.domain} is not in dispatch.domains"
        if TARGET_KEYS & action.data.keys():
            return "a target inside the data"
        for target in action.targets:
            entity = exposed(target)
            if entity is None or entity.domain != action.domain:
                return f"{target} is not exposed, or of another domain"
            if (action.domain in GUARDED_DOMAINS or is_door(entity)) and not self.guarded:
                return f"{target} is guarded, and dispatch.guarded is off"
        return None


@dataclass(slots=True, kw_only=True)
class _Calling:
    """A decision whose steps go to Home Assistant."""

    decision: Decision
    waiting: list[OutgoingMessage]
    """Steps not sent yet, in order."""
    sent: dict[int, OutgoingMessage] = field(default_factory=dict)
    """Steps not answered yet, by the number of the command."""
    was_sent: bool = False
    speech: str | None = None


class HomeAssistantExecutor:
    """Calls the services of a decision; steps on the same entity wait for each other.

    Args:
        caller: the connection.
        allowed: what may be acted on.
        prefix: of the topics, for what is not Home Assistant's.
        freshness_s: how long a decision may be carried out.
        answer_s: how long Home Assistant has to show the effect.
    """

    name = "home_assistant"

    def __init__(
        self,
        caller: Caller,
        *,
        allowed: Allowed,
        prefix: str = "voice_rl",
        freshness_s: float = FRESHNESS_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._caller = caller
        self._allowed = allowed
        self._watch = DispatchExecutor(prefix=prefix, freshness_s=freshness_s, answer_s=answer_s, results_suffice=False)
        self._calling: dict[str, _Calling] = {}
        self._published: dict[str, set[int]] = {}
        """Steps that went out on the action topics: only of these a result from the broker counts."""

    def start(
        self, decision: Decision, *, states: States, now: float, since: float | None = None, is_retry: bool = False, is_risky: bool = False
    ) -> Progress:
        """Call a decision's services; see Executor.start."""
        progress = self._watch.start(decision, states=states, now=now, since=since, is_retry=is_retry, is_risky=is_risky)
        published = tuple(one for one in progress.messages if one.payload["service"] in SERVICES)
        called = [one for one in progress.messages if one not in published]
        if published:
            self._published[decision.id] = {int(one.payload["step"]) for one in published}
        if called:
            self._calling[decision.id] = _Calling(decision=decision, waiting=called)
        return self._finish(Progress(messages=published, settled=(*progress.settled, *self._pump(now))))

    def wait_from(self, decision_id: str, at: float) -> None:
        """Count the time to answer from then; see Executor.wait_from."""
        self._watch.wait_from(decision_id, at)

    def on_result(self, *, decision_id: str, step: int, is_ok: bool, now: float, error: str | None = None) -> Progress:
        """Take a result of what was published; Home Assistant answers over its own connection, and nobody else may answer for it."""
        if step not in self._published.get(decision_id, ()):
            return Progress()
        return self._finish(self._watch.on_result(decision_id=decision_id, step=step, is_ok=is_ok, now=now, error=error))

    def on_answer(self, number: int, *, is_ok: bool, result: Any, error: str | None, now: float) -> Progress:
        """Take how a command ended; an unknown number changes nothing."""
        calling = next((one for one in self._calling.values() if number in one.sent), None)
        if calling is None:
            return Progress()
        message = calling.sent.pop(number)
        if is_ok and message.payload["service"].startswith("intent."):
            is_ok, calling.speech = _read_answer(result)
            error = None if is_ok else calling.speech
        progress = self._watch.on_result(
            decision_id=calling.decision.id, step=int(message.payload["step"]), is_ok=is_ok, now=now, error=error
        )
        return self._finish(Progress(settled=(*progress.settled, *self._pump(now))))

    def on_state(self, entity_id: str, state: EntityState, *, now: float) -> Progress:
        """Take a state; see Executor.on_state."""
        return self._finish(self._watch.on_state(entity_id, state, now=now))

    def tick(self, now: float) -> Progress:
        """Send what waited, and settle what is due; see Executor.tick."""
        settled = self._pump(now)
        return self._finish(Progress(settled=(*settled, *self._watch.tick(now).settled)))

    def deadline(self) -> float | None:
        """Return when `tick` has something to do; see Executor.deadline."""
        return self._watch.deadline()

    def snapshot(self, decision_id: str) -> Snapshot | None:
        """Return the states from before a decision; see Executor.snapshot."""
        return self._watch.snapshot(decision_id)

    def undo(self, decision_id: str) -> Undo:
        """Return what takes a decision back; see Executor.undo."""
        return self._watch.undo(decision_id)

    def _pump(self, now: float) -> tuple[Settlement, ...]:
        """Send every step that may go; steps on one entity wait for each other's answer."""
        settled: list[Settlement] = []
        for calling in list(self._calling.values()):
            if not self._caller.is_connected:
                break
            refusal = None if calling.was_sent else self._refusal(calling.decision)
            busy = {target for message in calling.sent.values() for target in _targets(message)}
            for message in list(calling.waiting):
                targets = _targets(message)
                error = refusal or _late_or_mixed(message, now)
                if error is None and busy & targets:
                    busy |= targets  # nor may a later step on these overtake it
                    continue
                calling.waiting.remove(message)
                busy |= targets
                error = error or self._send(calling, message)
                if error is not None:
                    step = int(message.payload["step"])
                    settled += self._watch.on_result(decision_id=calling.decision.id, step=step, is_ok=False, now=now, error=error).settled
        return tuple(settled)

    def _refusal(self, decision: Decision) -> str | None:
        """Return the error of a decision of which a part may not be called: then nothing of it is."""
        for action in decision.actions:
            why = self._allowed.refusal(action, self._caller.exposed) if action.is_published else None
            if why is not None:
                _LOGGER.warning("decision %s was not carried out: %s", decision.id, why)
                return "not_allowed"
        return None

    def _send(self, calling: _Calling, message: OutgoingMessage) -> str | None:
        try:
            calling.sent[self._caller.send(self._command(message.payload, calling.decision))] = message
        except LinkError as error:
            _LOGGER.debug("decision %s: %s", calling.decision.id, error)
            return "unreachable"
        calling.was_sent = True
        return None

    def _command(self, payload: Mapping[str, Any], decision: Decision) -> dict[str, Any]:
        """Return the command of Home Assistant's WebSocket for one step."""
        domain, _, service = str(payload["service"]).partition(".")
        if domain != "intent":
            command = {"type": "call_service", "domain": domain, "service": service, "target": dict(payload["target"])}
            return command | ({"service_data": dict(payload["data"])} if payload["data"] else {})
        command = {"type": "conversation/process", "text": payload["text"], "language": payload["language"], "agent_id": AGENT}
        heard = decision.utterance
        place = {"device_id": heard.device_id, "satellite_id": heard.satellite_id} if self._caller.version >= PLACES_SINCE else {}
        return command | {key: value for key, value in place.items() if value}

    def _finish(self, progress: Progress) -> Progress:
        """Drop what is settled: nothing of it is sent any more."""
        settled = []
        for one in progress.settled:
            calling = self._calling.pop(one.decision_id, None)
            self._published.pop(one.decision_id, None)
            never_sent = calling is not None and not calling.was_sent and one.error == "no_answer"
            settled.append(
                replace(one, error="unreachable" if never_sent else one.error, speech=calling.speech if calling is not None else None)
            )
        return replace(progress, settled=tuple(settled))


def _late_or_mixed(message: OutgoingMessage, now: float) -> str | None:
    if now > float(message.payload["expires_at"]):
        return "expired"
    if str(message.payload["service"]).startswith("intent.") and message.payload["steps"] != 1:
        return "said together with something else"
    return None


def _targets(message: OutgoingMessage) -> set[str]:
    return set(message.payload["target"].get("entity_id", ()))


def _read_answer(result: Any) -> tuple[bool, str | None]:
    """Return whether the conversation agent did it, and what it said."""
    response = result.get("response") if isinstance(result, Mapping) else None
    if not isinstance(response, Mapping):
        return False, None
    speech: Any = response
    for key in ("speech", "plain", "speech"):
        speech = speech.get(key) if isinstance(speech, Mapping) else None
    return response.get("response_type") != "error", speech if isinstance(speech, str) and speech else None
