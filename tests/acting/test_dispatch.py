"""The dispatch executor publishes steps, waits for results or effects, and settles every decision exactly once."""

from dataclasses import replace

import pytest

from voice_rl_plugin.acting.dispatch import DispatchExecutor
from voice_rl_plugin.acting.executor import Executor
from voice_rl_plugin.acting.shadow import ShadowExecutor
from voice_rl_plugin.domain.action import Action, parse_action
from voice_rl_plugin.domain.decision import Decision
from voice_rl_plugin.domain.home import EntityState
from voice_rl_plugin.domain.utterance import Utterance

NOW = 1_000.0
OFF = EntityState(value="off")
ON = EntityState(value="on", attributes={"brightness": 255})


def decide(*lines: str, decision_id: str = "d1", reason_code: str = "") -> Decision:
    """Make a decision that acts."""
    return Decision(
        id=decision_id,
        utterance=Utterance(text="x"),
        language="en",
        outcome="act",
        actions=tuple(parse_action(line) for line in lines),
        decided_at=NOW,
        reason_code=reason_code,
    )


@pytest.mark.parametrize("executor", [DispatchExecutor(), ShadowExecutor()], ids=["dispatch", "none"])
def test_every_executor_settles_once_and_ignores_strangers(executor: Executor) -> None:
    """The contract: one settlement a decision, and nothing happens for results and states of nobody."""
    progress = executor.start(decide("light.turn_on light.a"), states={}, now=NOW)
    settled = list(progress.settled)
    settled += executor.on_result(decision_id="other", step=1, is_ok=True, now=NOW).settled
    settled += executor.on_state("light.other", ON, now=NOW).settled
    settled += executor.tick(NOW + 100).settled
    settled += executor.tick(NOW + 200).settled

    assert [one.decision_id for one in settled] == ["d1"]
    assert not settled[0].is_success
    assert executor.deadline() is None


def test_shadow_publishes_nothing() -> None:
    """Shadow mode only watches."""
    progress = ShadowExecutor().start(decide("light.turn_on light.a"), states={}, now=NOW)

    assert progress.messages == ()
    assert progress.settled[0].outcome == "shadow"


def test_dispatch_publishes_steps_in_order() -> None:
    """Each action is one message on its own topic, numbered, with an end of its life."""
    progress = DispatchExecutor(prefix="home").start(
        decide("light.turn_on light.a brightness_pct=30", "cover.open_cover cover.b"), states={}, now=NOW
    )

    assert [one.topic for one in progress.messages] == ["home/action/light/turn_on", "home/action/cover/open_cover"]
    assert progress.messages[0].payload == {
        "decision_id": "d1",
        "step": 1,
        "steps": 2,
        "expires_at": NOW + 5,
        "service": "light.turn_on",
        "target": {"entity_id": ["light.a"]},
        "data": {"brightness_pct": 30},
    }


def test_result_settles_and_a_duplicate_changes_nothing() -> None:
    """A positive result is success, once."""
    executor = DispatchExecutor()
    executor.start(decide("light.turn_on light.a"), states={"light.a": OFF}, now=NOW)

    assert executor.on_result(decision_id="d1", step=1, is_ok=True, now=NOW + 0.1).settled[0].is_success
    assert executor.on_result(decision_id="d1", step=1, is_ok=True, now=NOW + 0.2).settled == ()
    assert executor.on_result(decision_id="d1", step=1, is_ok=False, now=NOW + 0.2).settled == ()


def test_effect_settles_without_a_result() -> None:
    """Seeing all targets in the expected state is success."""
    executor = DispatchExecutor()
    executor.start(decide("light.turn_on light.a light.b"), states={"light.a": OFF, "light.b": OFF}, now=NOW)

    assert executor.on_state("light.a", ON, now=NOW + 0.1).settled == ()
    assert executor.on_state("light.b", ON, now=NOW + 0.2).settled[0].is_success


def test_silence_is_failure_and_names_who_did_not_answer() -> None:
    """After two seconds without result or effect the silent targets are named."""
    executor = DispatchExecutor()
    executor.start(decide("light.turn_on light.a light.b"), states={"light.a": OFF, "light.b": OFF}, now=NOW)
    executor.on_state("light.a", ON, now=NOW + 0.1)

    assert executor.deadline() == NOW + 2
    assert executor.tick(NOW + 1.9).settled == ()
    settlement = executor.tick(NOW + 2).settled[0]
    assert (settlement.outcome, settlement.failed_targets, settlement.error) == ("failed", ("light.b",), "no_answer")


def test_refusal_is_failure_with_its_words() -> None:
    """A negative result fails the decision when its other steps are through."""
    executor = DispatchExecutor()
    executor.start(decide("light.turn_on light.a", "light.turn_on light.b"), states={}, now=NOW)

    assert executor.on_result(decision_id="d1", step=1, is_ok=False, error="unplugged", now=NOW).settled == ()
    settlement = executor.on_result(decision_id="d1", step=2, is_ok=True, now=NOW).settled[0]
    assert (settlement.outcome, settlement.failed_targets, settlement.error) == ("failed", ("light.a",), "unplugged")


def test_device_that_already_was_there_counts_after_a_moment() -> None:
    """No change can be seen where nothing had to change; a refusal still counts first."""
    executor = DispatchExecutor()
    executor.start(decide("light.turn_on light.a"), states={"light.a": ON}, now=NOW)

    assert executor.tick(NOW + 0.4).settled == ()
    assert executor.tick(NOW + 0.5).settled[0].is_success
    executor.start(decide("light.turn_on light.a", decision_id="d2"), states={"light.a": ON}, now=NOW)
    assert executor.on_result(decision_id="d2", step=1, is_ok=False, now=NOW + 0.1).settled[0].outcome == "failed"


def test_same_decision_starts_once() -> None:
    """A decision that comes twice is carried out once."""
    executor = DispatchExecutor()
    executor.start(decide("light.toggle light.a"), states={}, now=NOW)

    assert executor.start(decide("light.toggle light.a"), states={}, now=NOW) == type(executor.tick(NOW))()


def test_stale_decision_is_dropped_and_said() -> None:
    """Nothing is carried out late, unless a person has just confirmed it."""
    stale = DispatchExecutor().start(decide("light.turn_on light.a"), states={}, now=NOW + 5.1)
    confirmed = DispatchExecutor().start(decide("light.turn_on light.a"), states={}, now=NOW + 12, since=NOW + 12)

    assert (stale.messages, stale.settled[0].outcome) == ((), "expired")
    assert confirmed.messages[0].payload["expires_at"] == NOW + 17


@pytest.mark.parametrize(
    ("line", "is_repeatable"),
    [
        ("light.turn_on light.a brightness_pct=30", True),
        ("climate.set_temperature climate.a temperature=21", True),
        ("cover.close_cover cover.a", True),
        ("light.turn_on light.a brightness_step_pct=10", False),
        ("light.toggle light.a", False),
        ("media_player.volume_up media_player.a", False),
        ("media_player.media_next_track media_player.a", False),
        ("fan.increase_speed fan.a", False),
        ("lock.unlock lock.a", False),
        ("script.turn_on script.a", False),
    ],
)
def test_retry_repeats_only_absolute_settings(line: str, *, is_repeatable: bool) -> None:
    """At least once for absolute settings, at most once for toggles, steps and risky actions."""
    progress = DispatchExecutor().start(decide(line), states={}, now=NOW, is_retry=True)

    assert bool(progress.messages) is is_repeatable
    assert DispatchExecutor().start(decide(line, reason_code="risky"), states={}, now=NOW, is_retry=True).messages == ()


def test_relative_settings_become_absolute_from_the_live_state() -> None:
    """Targets with different temperatures get different absolute ones; limits hold."""
    states = {
        "climate.a": EntityState(value="heat", attributes={"temperature": 20.5}),
        "climate.b": EntityState(value="heat", attributes={"temperature": 24, "max_temp": 25}),
        "cover.c": EntityState(value="open", attributes={"current_position": 50}),
    }
    decision = decide("climate.set_temperature climate.a climate.b temperature_step=2", "cover.set_cover_position cover.c position_step=-")

    messages = DispatchExecutor().start(decision, states=states, now=NOW).messages

    lines = [Action.from_payload(one.payload).to_line() for one in messages]
    assert lines == [
        "climate.set_temperature climate.a temperature=22.5",
        "climate.set_temperature climate.b temperature=25",
        "cover.set_cover_position cover.c position=30",
    ]
    assert all(one.is_repeatable for one in messages)
    assert [one.payload["steps"] for one in messages] == [3, 3, 3]


def test_relative_setting_of_an_unknown_state_fails() -> None:
    """Nothing is guessed where the state is not known."""
    settlement = DispatchExecutor().start(decide("climate.set_temperature climate.a temperature_step=2"), states={}, now=NOW).settled[0]

    assert (settlement.outcome, settlement.error) == ("failed", "state_unknown")


@pytest.mark.parametrize(
    "action",
    [
        Action(service="light.#"),
        Action(service="light."),
        Action(service="light/x.turn_on"),
        Action(service="light.turn_on", targets=("light.+",)),
        Action(service="light.turn_on", targets=("all",)),
        Action(service="light.turn_on", targets=("light.a/b",)),
    ],
)
def test_names_that_are_no_topic_are_refused(action: Action) -> None:
    """Wildcards, empty levels and `all` never reach a topic."""
    decision = Decision(id="d1", utterance=Utterance(text="x"), language="en", outcome="act", actions=(action,), decided_at=NOW)

    progress = DispatchExecutor().start(decision, states={}, now=NOW)

    assert progress.messages == ()
    assert progress.settled[0].error == "bad_topic"


def test_query_is_not_dispatched() -> None:
    """A question is answered elsewhere: there is nothing to publish and nothing to wait for."""
    progress = DispatchExecutor().start(decide("query.state lock.a"), states={}, now=NOW)

    assert (progress.messages, progress.settled[0].outcome) == ((), "done")


def test_executor_undoes_from_its_snapshot() -> None:
    """The states before the start are kept for an undo."""
    executor = DispatchExecutor()
    executor.start(decide("light.turn_on light.a"), states={"light.a": OFF}, now=NOW)

    assert [one.to_line() for one in executor.undo("d1").actions] == ["light.turn_off light.a"]
    assert executor.undo("never").actions == ()


@pytest.mark.parametrize(
    ("text", "language"), [("set a timer for five minutes and turn on the desk", "en"), ("定时五分钟，打开台灯", "zh")]
)
def test_intent_alone_carries_the_words(text: str, language: str) -> None:
    """A conversation agent needs the sentence and its language; a device does not get them."""
    decision = replace(decide("intent.HassStartTimer", "light.turn_on light.desk"), language=language)
    decision = replace(decision, utterance=replace(decision.utterance, text=text))
    handed, lit = DispatchExecutor().start(decision, states={}, now=NOW).messages

    assert (handed.payload["text"], handed.payload["language"]) == (text, language)
    assert not {"text", "language"} & set(lit.payload)


def test_intent_settles_by_its_result_alone() -> None:
    """An intent goes out on its own topic, once; its result settles it, and without one Home Assistant did not answer."""
    executor = DispatchExecutor()
    line = "intent.HassStartTimer duration=five minutes"

    (message,) = executor.start(decide(line), states={}, now=NOW).messages

    assert (message.topic, message.is_repeatable) == ("voice_rl/action/intent/HassStartTimer", False)
    assert executor.tick(NOW + 1.9).settled == ()
    (settled,) = executor.tick(NOW + 2.1).settled
    assert (settled.outcome, settled.error, settled.failed_targets) == ("failed", "no_answer", ("intent.HassStartTimer",))

    executor.start(decide(line, decision_id="d2"), states={}, now=NOW)
    (settled,) = executor.on_result(decision_id="d2", step=1, is_ok=True, now=NOW + 0.1).settled
    assert settled.is_success


def test_query_is_never_published() -> None:
    """A question about a state beside a command leaves only the command to be carried out."""
    executor = DispatchExecutor()
    decision = decide("query.state lock.front", "light.turn_on light.a")

    messages = executor.start(decision, states={}, now=NOW).messages

    assert [(one.topic, one.payload["steps"]) for one in messages] == [("voice_rl/action/light/turn_on", 1)]


def test_a_call_is_done_only_when_it_is_reported() -> None:
    """What lies beyond the house has no state to watch: it is published once, with the language and without the words, and wants a result."""
    executor = DispatchExecutor()
    messages = executor.start(decide("phone.call contact=mum"), states={}, now=NOW).messages

    assert [one.topic for one in messages] == ["voice_rl/action/phone/call"]
    assert (messages[0].payload["target"], messages[0].payload["data"]) == ({}, {"contact": "mum"})
    assert messages[0].payload["language"] == "en"
    assert "text" not in messages[0].payload
    assert not messages[0].is_repeatable
    assert executor.on_result(decision_id="d1", step=1, is_ok=True, now=NOW + 1).settled[0].is_success

    executor.start(decide("phone.call contact=mum", decision_id="d2"), states={}, now=NOW)
    silent = executor.tick(NOW + 10).settled[0]
    assert (silent.outcome, silent.error, silent.failed_targets) == ("failed", "no_answer", ("phone.call",))
