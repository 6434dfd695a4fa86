"""The Home Assistant executor: what it may call, in which order, and when it believes that something was done."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.acting.test_dispatch import NOW, OFF, ON, decide
from voice_rl_plugin.acting.executor import Progress, Settlement
from voice_rl_plugin.acting.services import Allowed, HomeAssistantExecutor
from voice_rl_plugin.domain.home import Entity, EntityState, Home
from voice_rl_plugin.errors import LinkError

HOME = Home.from_mapping(
    {
        "entities": [
            {"id": "light.a", "name": "A"},
            {"id": "light.b", "name": "B"},
            {"id": "light.hidden", "name": "Hidden", "exposed": False},
            {"id": "scene.night", "name": "Night"},
            {"id": "cover.blind", "name": "Blind"},
            {"id": "cover.garage", "name": "Garage", "device_class": "garage"},
            {"id": "lock.front", "name": "Front"},
            {"id": "script.party", "name": "Party"},
        ]
    }
)
ALLOWED = Allowed(domains=frozenset({"light", "cover", "scene"}))


class FakeCaller:
    """A connection that keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self.is_connected = True
        self.is_broken = False
        self.version: tuple[int, ...] = (2026, 11)

    def send(self, command: Mapping[str, Any]) -> int:
        """Keep a command."""
        if self.is_broken:
            raise LinkError("gone")
        self.sent.append(command)
        return len(self.sent)

    def exposed(self, entity_id: str) -> Entity | None:
        """Look an entity up."""
        entity = HOME.entity_by_id.get(entity_id)
        return entity if entity is not None and entity.exposed else None


@pytest.fixture
def caller() -> FakeCaller:
    """Return a connection."""
    return FakeCaller()


@pytest.fixture
def executor(caller: FakeCaller) -> HomeAssistantExecutor:
    """Return an executor on it."""
    return HomeAssistantExecutor(caller, allowed=ALLOWED)


def answer(executor: HomeAssistantExecutor, number: int, *, error: str | None = None, result: Any = None, at: float = 0.1) -> Progress:
    """Have a command answered."""
    return executor.on_answer(number, is_ok=error is None, result=result, error=error, now=NOW + at)


def only(progress: Progress) -> Settlement:
    """Return the only settlement."""
    assert progress.messages == ()
    assert len(progress.settled) == 1
    return progress.settled[0]


def test_service_is_called_and_nothing_is_published(executor: HomeAssistantExecutor, caller: FakeCaller) -> None:
    """One call_service a step, and no message on the broker: two executors would do it twice."""
    progress = executor.start(decide("light.turn_on light.a brightness_pct=30", "cover.open_cover cover.blind"), states={}, now=NOW)

    assert progress == Progress()
    assert caller.sent == [
        {
            "type": "call_service",
            "domain": "light",
            "service": "turn_on",
            "target": {"entity_id": ["light.a"]},
            "service_data": {"brightness_pct": 30},
        },
        {"type": "call_service", "domain": "cover", "service": "open_cover", "target": {"entity_id": ["cover.blind"]}},
    ]


def test_success_is_what_was_seen(executor: HomeAssistantExecutor) -> None:
    """A good answer is not enough: the state has to show it."""
    executor.start(decide("light.turn_on light.a"), states={"light.a": OFF}, now=NOW)

    assert answer(executor, 1) == Progress()
    assert only(executor.on_state("light.a", ON, now=NOW + 0.2)).is_success


def test_good_answer_without_the_effect_is_no_success(executor: HomeAssistantExecutor) -> None:
    """A lamp that Home Assistant told and that did not change was not seen to obey; one that was not even told did not answer."""
    executor.start(decide("light.turn_on light.a"), states={"light.a": OFF}, now=NOW)
    answer(executor, 1)

    settlement = only(executor.tick(NOW + 2))
    assert (settlement.outcome, settlement.error, settlement.failed_targets) == ("failed", "unseen", ("light.a",))
    executor.start(decide("light.turn_on light.a", decision_id="d2"), states={"light.a": OFF}, now=NOW)
    assert only(executor.tick(NOW + 2)).error == "no_answer"


@pytest.mark.parametrize(
    ("line", "states"),
    [
        ("light.turn_on light.a", {"light.a": ON}),
        ("scene.turn_on scene.night", {}),
        ("light.turn_on light.a", {"light.a": EntityState(value="off", attributes={"assumed_state": True})}),
    ],
    ids=["was so already", "a scene has no state", "the state is assumed"],
)
def test_good_answer_suffices_where_nothing_can_be_seen(executor: HomeAssistantExecutor, line: str, states: dict[str, EntityState]) -> None:
    """What was so already, a scene, and a device whose state Home Assistant only assumes show no effect."""
    executor.start(decide(line), states=states, now=NOW)

    assert only(answer(executor, 1)).is_success


def test_refusal_fails_with_its_words(executor: HomeAssistantExecutor) -> None:
    """An error of Home Assistant fails the decision at once."""
    executor.start(decide("light.turn_on light.a"), states={"light.a": OFF}, now=NOW)

    assert only(answer(executor, 1, error="Service light.turn_on not found.")).error == "Service light.turn_on not found."
    assert answer(executor, 1) == Progress()


def test_steps_on_one_entity_wait_for_each_other(executor: HomeAssistantExecutor, caller: FakeCaller) -> None:
    """The order counts on the same entity; others go at once."""
    executor.start(
        decide(
            "light.turn_on light.a",
            "light.turn_on light.a light.b brightness_pct=30",
            "light.turn_off light.b",
            "cover.open_cover cover.blind",
        ),
        states={},
        now=NOW,
    )
    first = [one["service"] for one in caller.sent]
    answer(executor, 1)
    second = [one.get("service_data") for one in caller.sent[2:]]
    answer(executor, 3)

    assert first == ["turn_on", "open_cover"]
    assert second == [{"brightness_pct": 30}]
    assert [one["service"] for one in caller.sent] == ["turn_on", "open_cover", "turn_on", "turn_off"]


@pytest.mark.parametrize(
    "lines",
    [
        ("lock.unlock lock.front",),
        ("cover.open_cover cover.garage",),
        ("script.turn_on script.party",),
        ("light.turn_on light.hidden",),
        ("light.turn_on light.unknown",),
        ("light.turn_on cover.blind",),
        ("light.turn_on light.a entity_id=all",),
        ("light.turn_on light.a area_id=kitchen",),
        ("light.turn_on",),
        ("light.turn_on light.a", "lock.unlock lock.front"),
    ],
)
def test_what_is_not_allowed_is_not_called(executor: HomeAssistantExecutor, caller: FakeCaller, lines: tuple[str, ...]) -> None:
    """Guarded and unlisted domains, hidden entities, targets inside the data: nothing of such a decision is called."""
    settlement = only(executor.start(decide(*lines), states={}, now=NOW))

    assert (settlement.outcome, settlement.error) == ("failed", "not_allowed")
    assert caller.sent == []


def test_guarded_devices_are_called_where_that_was_switched_on(caller: FakeCaller) -> None:
    """Locks and garages only with dispatch.guarded."""
    executor = HomeAssistantExecutor(caller, allowed=Allowed(domains=ALLOWED.domains, guarded=True))
    executor.start(decide("lock.unlock lock.front", "cover.open_cover cover.garage", decision_id="d2"), states={}, now=NOW)

    assert [one["service"] for one in caller.sent] == ["unlock", "open_cover"]


def test_without_a_connection_nothing_is_done_late(executor: HomeAssistantExecutor, caller: FakeCaller) -> None:
    """A step waits for the connection as long as somebody waits for the answer, and is then dropped."""
    caller.is_connected = False
    executor.start(decide("light.turn_on light.a"), states={"light.a": OFF}, now=NOW)
    assert executor.tick(NOW + 1.9) == Progress()

    assert only(executor.tick(NOW + 2)).error == "unreachable"
    caller.is_connected = True
    executor.tick(NOW + 3)
    assert caller.sent == []


def test_step_goes_when_the_connection_is_back(executor: HomeAssistantExecutor, caller: FakeCaller) -> None:
    """A short interruption is bridged."""
    caller.is_connected = False
    executor.start(decide("light.turn_on light.a"), states={"light.a": OFF}, now=NOW)
    caller.is_connected = True
    executor.tick(NOW + 0.5)

    assert len(caller.sent) == 1


def test_connection_that_breaks_is_said(executor: HomeAssistantExecutor, caller: FakeCaller) -> None:
    """A connection that is gone at the moment of the call fails it at once."""
    caller.is_broken = True

    assert only(executor.start(decide("light.turn_on light.a"), states={}, now=NOW)).error == "unreachable"


def test_results_from_the_broker_are_not_ours(executor: HomeAssistantExecutor) -> None:
    """Nobody on the broker can say that Home Assistant did it."""
    executor.start(decide("light.turn_on light.a"), states={"light.a": OFF}, now=NOW)

    assert executor.on_result(decision_id="d1", step=1, is_ok=True, now=NOW) == Progress()


def test_what_is_not_home_assistants_goes_on_the_action_topics(executor: HomeAssistantExecutor, caller: FakeCaller) -> None:
    """A call or a route is published for who does it, and its result comes from the broker; the light beside it is called."""
    progress = executor.start(decide("navigation.route destination=home", "light.turn_on light.a"), states={"light.a": OFF}, now=NOW)
    forged = executor.on_result(decision_id="d1", step=2, is_ok=True, now=NOW)
    executor.on_result(decision_id="d1", step=1, is_ok=True, now=NOW)
    answer(executor, 1)

    assert [one.topic for one in progress.messages] == ["voice_rl/action/navigation/route"]
    assert [one["service"] for one in caller.sent] == ["turn_on"]
    assert forged == Progress()
    assert only(executor.on_state("light.a", ON, now=NOW + 0.1)).is_success


def handed(executor: HomeAssistantExecutor, *lines: str) -> Progress:
    """Hand a sentence over to Home Assistant."""
    return executor.start(decide(*lines), states={}, now=NOW)


@pytest.mark.parametrize(("kind", "is_success"), [("action_done", True), ("query_answer", True), ("error", False)])
def test_intent_is_handed_to_home_assistants_agent(
    executor: HomeAssistantExecutor, caller: FakeCaller, kind: str, *, is_success: bool
) -> None:
    """The sentence goes to its own agent, and what that says is said."""
    handed(executor, "intent.HassGetWeather")
    result = {"response": {"response_type": kind, "speech": {"plain": {"speech": "Sunny."}}}}

    settlement = only(answer(executor, 1, result=result))
    assert caller.sent == [{"type": "conversation/process", "text": "x", "language": "en", "agent_id": "conversation.home_assistant"}]
    assert (settlement.is_success, settlement.speech) == (is_success, "Sunny.")


@pytest.mark.parametrize(
    ("version", "place"), [((2026, 11), {"device_id": "d", "satellite_id": "assist_satellite.k"}), ((2025, 4), {}), ((), {})]
)
def test_agent_is_told_where_it_was_said(
    executor: HomeAssistantExecutor, caller: FakeCaller, version: tuple[int, ...], place: dict[str, str]
) -> None:
    """A timer rings where it was asked for, where Home Assistant's version takes that."""
    caller.version = version
    decision = decide("intent.HassStartTimer")
    utterance = replace(decision.utterance, device_id="d", satellite_id="assist_satellite.k")
    executor.start(replace(decision, utterance=utterance), states={}, now=NOW)

    assert {key: value for key, value in caller.sent[0].items() if key.endswith("_id") and key != "agent_id"} == place


@pytest.mark.parametrize("result", [None, 5, {}, {"response": 5}])
def test_intent_with_an_unreadable_answer_failed(executor: HomeAssistantExecutor, result: Any) -> None:
    """An answer without a response is no success."""
    handed(executor, "intent.HassGetWeather")

    assert not only(answer(executor, 1, result=result)).is_success


def test_intent_beside_another_action_is_not_handed_over(executor: HomeAssistantExecutor, caller: FakeCaller) -> None:
    """The agent would do the whole sentence a second time."""
    handed(executor, "intent.HassGetWeather", "light.turn_on light.a")

    assert [one["type"] for one in caller.sent] == ["call_service"]
    assert executor.tick(NOW + 2).settled[0].error == "said together with something else"


def test_undo_comes_from_the_states_before(executor: HomeAssistantExecutor) -> None:
    """What it did it can take back."""
    executor.start(decide("light.turn_on light.a"), states={"light.a": OFF}, now=NOW)

    assert [one.to_line() for one in executor.undo("d1").actions] == ["light.turn_off light.a"]
    assert executor.snapshot("d1") is not None
    assert executor.deadline() == NOW + 2


def test_expired_decision_is_not_called(executor: HomeAssistantExecutor, caller: FakeCaller) -> None:
    """Nothing is done late."""
    assert only(executor.start(decide("light.turn_on light.a"), states={}, now=NOW + 6)).error == "expired"
    assert caller.sent == []
