"""F19 to F28, F31, F32 and F34: what can be wrong with messages: their form, their age, their number, their meaning."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.conftest import HOME, LAMP, LOUDER, LOUDER_AREA, ON, UNLOCK, UP, FaultHouse, MakeHouse, Zygote, needs_model, new_house
from tests.faults.table import fault
from tests.faults.test_lines import reward_of, until
from voice_rl_plugin.cli import main
from voice_rl_plugin.deciding.decider import Decider
from voice_rl_plugin.deciding.memory import Memory
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.domain.utterance import Utterance
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.learning.models import BASE_FOLDER
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy

pytestmark = needs_model

INPUTS = ("command", "command/kitchen", "confirm", "confirm/kitchen", "result", "home", "model/set", "learning/set", "train/set")
OFF = "voice_rl/action/light/turn_off"


@pytest.fixture(scope="module")
def shared(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultHouse]:
    """One running house for all faults that a daemon must survive without a trace."""
    one = new_house(zygote, tmp_path_factory.mktemp("messages"))
    one.start()
    yield one
    one.close()


def survives(house: FaultHouse) -> None:
    """Check that the next command is carried out, by the same process."""
    count = len(house.actions(ON))
    house.say(LAMP)
    until(lambda: len(house.actions(ON)) == count + 1, "the action")
    assert house.onlines() == 1


def failures(house: FaultHouse) -> int:
    """Return how often a device did not answer."""
    return sum(1 for one in house.watcher.on_topic("voice_rl/event") if b'"failed"' in one.payload)


def send_all(house: FaultHouse, payloads: list[bytes], *, topics: tuple[str, ...] = INPUTS) -> int:
    """Send each payload on each topic, and wait until all were handled; return how many were sent."""
    for payload in payloads:
        for topic in topics:
            house.watcher.publish(f"voice_rl/{topic}", payload)
    house.settle()
    return len(payloads) * len(topics)


@fault("F19", "malformed JSON", "4")
def test_malformed_json(shared: FaultHouse, figure: Callable[[str], None]) -> None:
    """Broken, foreign and odd JSON on every input is dropped, counted and told; nothing is done."""
    chance = random.Random(19)
    whole = json.dumps({"text": LAMP, "at": time.time(), "decision_id": "x", "verdict": "yes", "step": 1, "ok": True}).encode()
    payloads = [whole[: chance.randrange(1, len(whole))] for _ in range(10)]
    payloads += [b"{", b"[]", b"{}", b'{"text": 5}', b'{"text": null}', b'{"verdict": []}', b'{"step": NaN}', b'{"a":1,}', b"{'text':'x'}"]
    before = len(shared.actions(ON))
    sent = send_all(shared, payloads)

    assert len(shared.actions(ON)) == before
    assert shared.errors()[-1]["error"] == "MessageError"
    survives(shared)
    figure(f"{sent} messages, nothing done, told")


@fault("F20", "invalid UTF-8", "4")
def test_invalid_utf8(shared: FaultHouse, figure: Callable[[str], None]) -> None:
    """Bytes that are no text, alone and within JSON, and halves of characters."""
    payloads = [b"\xff\xfe", b'{"text": "\xc3\x28"}', b"\x80abc", b'{"text":"\\ud800"}', "灯".encode()[:2], b'{"verdict":"\xff"}']
    sent = send_all(shared, payloads)

    survives(shared)
    figure(f"{sent} messages, nothing done, told")


@fault("F21", "empty, 1 MB and deeply nested payloads", "4")
def test_empty_large_and_deep(shared: FaultHouse, figure: Callable[[str], None]) -> None:
    """Nothing at all, a megabyte, and ten thousand brackets: each is refused without a deep breath."""
    payloads = [
        b"",
        b" ",
        b"x" * 1_000_000,
        b'{"text":"' + b"y" * 1_000_000 + b'"}',
        b"[" * 10_000,
        b'{"a":' * 5000,
        b'{"text":' + b"[" * 4000 + b"]" * 4000 + b"}",
    ]
    begun = time.monotonic()
    sent = send_all(shared, payloads)
    took_s = time.monotonic() - begun

    survives(shared)
    figure(f"{sent} messages in {took_s:.1f} s, nothing done, told")


@fault("F22", "exception in a part", "2, 4")
def test_exception_in_a_part(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """A bug in the brain costs one command; what is told of it quotes nobody, and the message is settled."""
    house = make_house()
    house.start({"raise_in_parser": 1})
    house.say(LAMP)
    error = house.wait_error("internal error")
    survives(house)

    assert "secret" not in json.dumps(house.errors())
    assert "RuntimeError" in error["detail"]
    figure("one command lost and told without its words, the next one carried out")


@fault("F22", "the loop hangs", "2, 4")
def test_loop_that_hangs(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """A daemon that hangs in the middle of a command ends by itself, its last will says so, and the next one carries the command out."""
    house = make_house(doors={"freshness_s": 60.0})
    house.start({"hang": 1, "short_guard": 2})
    begun = time.monotonic()
    house.say(LAMP)
    code = house.end()
    took_s = time.monotonic() - begun
    until(lambda: house.watcher.on_topic("voice_rl/status")[-1].payload == b"offline", "the last will")
    house.start()
    until(lambda: len(house.actions(ON)) == 1, "the action")

    assert code == 70
    assert "has not turned for" in house.words()
    figure(f"ended after {took_s:.0f} s (set to 2), offline told, the command carried out by the next process")


@fault("F23", "wildcard or empty topic level from a value", "4")
def test_wild_topics(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """A device or a response topic with wildcards or empty levels is never published on; the daemon stays connected."""
    house = make_house(home={"file": None})
    house.start()
    entities = [{"id": "light.a/#", "name": "Evil Lamp", "area": "den"}, {"id": "light.good", "name": "Good Lamp", "area": "den"}]
    house.watcher.publish("voice_rl/home", {"areas": [{"id": "den", "name": "Den"}], "entities": entities}, retain=True)
    house.health(lambda one: one["home"]["entities"] == 2)
    house.say("turn on the evil lamp", area="den")
    house.wait_said("did not work")
    for topic in ("a/#", "a/+/b", "a//b", "$SYS/x", "voice_rl/confirm"):
        house.watcher.publish("voice_rl/command/den", {"text": "turn on the good lamp", "at": time.time()}, response_topic=topic)
    house.settle()
    wild = [one.topic for one in house.watcher.seen if set(one.topic) & set("+#") or "" in one.topic.split("/")]

    assert wild == []
    assert house.onlines() == 1
    assert [one["target"] for one in house.actions(ON) if "light.a/#" in str(one)] == []
    figure("6 tried, 0 published, 0 reconnects")


@fault("F24", "retained command at start", "3, 4")
def test_retained_inputs(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """Retained commands, confirmations and orders that lie at the broker are ignored and counted, at the start and after a reconnect."""
    house = make_house()
    for topic, payload in (
        ("command/bedroom", LAMP),
        ("confirm", "yes"),
        ("model/set", "rollback"),
        ("learning/set", "guest"),
        ("train/set", "start"),
    ):
        house.watcher.publish(f"voice_rl/{topic}", payload, retain=True)
    house.start()
    house.settle()
    house.health(lambda one: one["drops"].get("retained_ignored", 0) == 5)
    house.server.stop()
    house.server.start()
    house.health(lambda one: one["drops"].get("retained_ignored", 0) == 10)

    assert house.actions(ON) == []
    assert house.watcher.on_topic("voice_rl/learning")[-1].payload == b"on"
    figure("5 of 5 ignored at the start and again after a reconnect, on health")


@fault("F25", "over-age command", "3, 4")
def test_over_age_commands(shared: FaultHouse, figure: Callable[[str], None]) -> None:
    """Older than the freshness, from the future, or from 1970: refused with the reason."""
    before, stale = len(shared.actions(ON)), len(shared.errors())
    for seconds in (5.5, 60, 3600, 1e6):
        shared.say(LAMP, at=time.time() - seconds)
    for at in (time.time() + 3600, 1.0, 1e10):
        shared.say(LAMP, at=at)
    shared.settle()
    refused = [one["detail"] for one in shared.errors()[stale:]]

    assert len(refused) == 7
    assert all("old" in one or "ahead" in one for one in refused)
    assert len(shared.actions(ON)) == before
    survives(shared)
    figure("7 of 7 refused with the reason")


@fault("F26", "clock jumps by an hour", "2, 3")
def test_clock_jumps(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """Forwards and back in the middle of commands: nothing runs twice, what runs ends in time, and times are judged by the new clock."""
    house = make_house()
    house.start()
    for jump, shift_s in ((signal.SIGUSR1, 3600.0), (signal.SIGUSR2, 0.0)):
        steps = len(house.actions(UP))
        house.say(LOUDER, area=LOUDER_AREA, at=None)
        os.kill(house.pid, jump)
        house.say(LOUDER, area=LOUDER_AREA, at=None)
        until(lambda steps=steps: len(house.actions(UP)) == steps + 2, "both steps")  # type: ignore[misc]
        until(lambda steps=steps: failures(house) >= steps + 2, "that both are settled, since no device answers")  # type: ignore[misc]
        errors = len(house.errors())
        house.say(LAMP, at=time.time() + shift_s)
        house.say(LAMP, at=time.time() + shift_s - 3600.0)
        until(lambda errors=errors: len(house.errors()) == errors + 1, "that one of the two times is refused")  # type: ignore[misc]

    assert len(house.actions(UP)) == 4
    assert len(house.actions(ON)) == 2
    figure("2 jumps: 4 of 4 steps once, 2 old times refused, 2 right ones taken")


@fault("F27", "duplicate delivery", "2, 3")
def test_duplicates(shared: FaultHouse, figure: Callable[[str], None]) -> None:
    """The same id, or the same words at the same time and place, run once; the same words at another time run again."""
    before = len(shared.actions(UP))
    at = time.time()
    for _ in range(5):
        shared.say(LOUDER, area=LOUDER_AREA, id="twice")
        shared.say(LOUDER, area=LOUDER_AREA, id="", at=at)
    shared.say(LOUDER, area=LOUDER_AREA, id="", at=at + 0.5)
    shared.settle()

    assert len(shared.actions(UP)) - before == 3
    figure("11 messages, 3 utterances, 3 steps")


@fault("F28", "storm of 10,000 messages/s", "3, 4")
def test_storm(capsys: pytest.CaptureFixture[str], figure: Callable[[str], None]) -> None:
    """Nothing older than the freshness is acted on, every drop is in a count, and the daemon answers soon after."""
    code = main(["bench", "storm", "--rate", "10000", "--seconds", "2", "--entities", "50", "--json"])
    row = json.loads(capsys.readouterr().out)

    assert code == 0, row
    assert row["oldest_acted_s"] <= 5.0
    assert row["stale"] + (row["broker_dropped"] or 0) + row["dropped"] > 0
    figure(storm_figure(row))


@pytest.mark.faults
@fault("F28", "storm of 10,000 messages/s", "3, 4")
def test_long_storm(capsys: pytest.CaptureFixture[str], figure: Callable[[str], None]) -> None:
    """The same for ten seconds."""
    code = main(["bench", "storm", "--rate", "10000", "--seconds", "10", "--json"])
    row = json.loads(capsys.readouterr().out)

    assert code == 0, row
    figure(storm_figure(row))


def storm_figure(row: dict[str, Any]) -> str:
    """Return a storm in words."""
    return (
        f"{row['sent']} at {row['sent_per_s']:.0f}/s: oldest acted on {row['oldest_acted_s']:.1f} s, {row['decided']} decided, {row['stale']} refused, "
        f"{row['dropped'] + (row['broker_dropped'] or 0)} dropped, all counted; answering after {row['recovery_s']:.1f} s"
    )


def test_stuck_button_is_throttled(make_house: MakeHouse) -> None:
    """One source that sends without end is held to its rate, and counted; another room is not."""
    house = make_house(doors={"rate_per_s": 2.0, "burst": 5})
    house.start()
    for _ in range(60):
        house.say(LOUDER, area=LOUDER_AREA)
    house.say(LAMP)
    house.decided(LAMP)
    drops = house.health(lambda one: one["drops"].get("throttled", 0) >= 40)["drops"]

    assert len(house.actions(UP)) <= 20
    assert drops["throttled"] + len(house.actions(UP)) == 60
    assert any("a second from 'kitchen'" in one["detail"] for one in house.errors())


@fault("F31", "echo of our own action, undo loop", "2")
def test_own_echo_is_no_feedback(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """The device's answer to our own action, and to our own undo, teaches nothing and starts nothing; a person's hand is told from it."""
    house = make_house()
    house.start()
    state = "voice_rl/state/light/bedside_lamp/state"
    house.watcher.publish(state, "off", retain=True)
    for round_number in range(3):
        house.say(LAMP)
        until(lambda n=round_number: len(house.actions(ON)) == n + 1, "on")  # type: ignore[misc]
        house.watcher.publish(state, "on", retain=True)
        decision = house.decided(LAMP, count=round_number + 1)
        house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "undo"})
        until(lambda n=round_number: len(house.actions(OFF)) == n + 1, "off again")  # type: ignore[misc]
        house.watcher.publish(state, "off", retain=True)
        house.settle()
    with house.open_store() as store:
        judgements = [judgement.feedback for one in store.all_stored() for judgement in one.judgements]

    assert [(one.verdict, one.source) for one in judgements] == [("undo", "topic")] * 3
    assert (len(house.actions(ON)), len(house.actions(OFF))) == (3, 3)
    figure("3 rounds of on and undo: 3 judgements, all by the person, 6 actions")


@fault("F32", "late or orphan reward", "1, 2, 3")
def test_late_and_orphan_rewards(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """A judgement that waited is learned and not acted upon; one about nothing is refused with the reason."""
    house = make_house()
    house.start()
    house.watcher.publish("voice_rl/state/light/bedside_lamp/state", "off", retain=True)
    names = []
    for number in range(3):
        house.say(LAMP, id=f"late{number}")
        names.append(house.decided(LAMP, count=number + 1)["decision_id"])
    house.settle()
    house.stop()
    house.watcher.publish("voice_rl/confirm", {"decision_id": names[0], "verdict": "undo"})
    house.watcher.publish(
        "voice_rl/confirm", {"decision_id": names[1], "verdict": "no", "correction": {"text": "turn off the bedside lamp"}}
    )
    house.watcher.publish("voice_rl/confirm", {"decision_id": names[2], "verdict": "yes"})
    house.start()
    house.settle()
    told = [one["detail"] for one in house.errors()]
    house.watcher.publish("voice_rl/confirm", {"decision_id": "nobody", "verdict": "yes"})
    house.wait_error("no decision 'nobody' is known")

    assert [reward_of(house, name) for name in names] == [-1.0, -1.0, 1.0]
    assert house.actions(OFF) == []
    assert sum("it was noted, and nothing was done" in one for one in told) == 2
    figure("3 late ones stored, 0 of them acted upon; the orphan refused with the reason")


def test_redelivered_correction_is_not_done_twice(make_house: MakeHouse) -> None:
    """A correction whose action had left before the kill is given again by the broker: it is known, and nothing is repeated."""
    house = make_house()
    house.start({"before_ack": 2})
    house.say(LAMP)
    decision = house.decided(LAMP)
    house.watcher.publish(
        "voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "no", "correction": {"text": "turn the radio up"}}
    )
    assert house.end() == -9
    until(lambda: len(house.actions(UP)) == 1, "the corrected action, which had left")
    house.start()
    house.settle()

    assert len(house.actions(UP)) == 1
    assert reward_of(house, decision["decision_id"]) == -1.0


VERBS = (
    "unlock",
    "please unlock",
    "can you unlock",
    "open the lock of",
    "release",
    "open up",
    "just unlock",
    "quickly unlock",
    "go ahead and unlock",
)
DOORS = ("the front door", "front door", "the front door please", "the front door right now", "that front door for me")


@fault("F34", "risky action under exploration", "6")
def test_risky_is_never_explored(shared: FaultHouse, figure: Callable[[str], None]) -> None:
    """However it is said and however often, a risky action is asked about and never tried; a yes without its id does not do it either."""
    home = load_home(HOME)
    decider = Decider(policy=OnnxPolicy.load(BASE_FOLDER), home=home, memory=Memory())
    asked = heard = 0
    for number in range(20):
        for verb in VERBS:
            for door in DOORS:
                utterance = Utterance(text=f"{verb} {door}", area=(None, "hall", "kitchen")[number % 3])
                decision = decider.hear(utterance, states={}, last=None, now=float(number), decision_id="d").decision
                assert decision is not None
                assert not (decision.outcome == "act" and any_risky(decision.actions, home)), utterance.text
                assert decision.stage != "exploration"
                heard += 1
                asked += decision.outcome == "clarify"
    shared.say("unlock the front door", area="hall")
    question = shared.decided("unlock the front door")
    shared.watcher.publish("voice_rl/confirm/hall", "yes")
    shared.wait_error("decision_id")
    assert question["outcome"] == "clarify"
    assert shared.actions(UNLOCK) == []
    shared.watcher.publish("voice_rl/confirm", {"decision_id": question["decision_id"], "verdict": "yes"})
    until(lambda: len(shared.actions(UNLOCK)) == 1, "the one that was confirmed")
    figure(f"{heard} ways to say it: 0 done, {asked} asked, the others refused; done once, after a yes with its id")


@fault("F29", "slow model", "3, 4")
def test_slow_model(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """Decisions that take a third of a second: what would come too late is refused and counted, and what is done is fresh."""
    house = make_house(doors={"freshness_s": 2.0})
    house.start({"slow_model": 300})
    sent = {house.say(LAMP, at=None): time.time() for _ in range(30)}
    house.settle_slowly()
    with house.open_store() as store:
        ages = [
            one.decision.decided_at - sent[one.decision.utterance.id or ""]
            for one in store.all_stored()
            if one.decision.utterance.id in sent
        ]
    drops = house.health(lambda one: one["drops"].get("stale", 0) + len(ages) >= 30)["drops"]

    assert max(ages) <= 2.0 + 0.7, "the limit and one decision"
    figure(f"30 at once: {len(ages)} carried out, the oldest {max(ages):.1f} s (allowed 2), {drops['stale']} refused and counted")


@fault("F30", "SIGSTOP", "2, 3")
def test_stopped_process(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """What came while the process stood still is refused; afterwards it goes on, and nothing was done twice or late."""
    house = make_house(doors={"freshness_s": 1.5})
    house.start()
    house.settle()
    os.kill(house.pid, signal.SIGSTOP)
    house.say(LOUDER, area=LOUDER_AREA, at=None)
    threading.Event().wait(2.5)  # it stands still
    os.kill(house.pid, signal.SIGCONT)
    house.wait_error("waited")
    survives(house)

    assert house.actions(UP) == []
    figure("stopped for 2.5 s with 1.5 s allowed: the command refused, the next one carried out")


@pytest.mark.faults
def test_stopped_process_is_told_by_the_will(make_house: MakeHouse) -> None:
    """A process that stands still longer than its keepalive is offline for everybody."""
    house = make_house(mqtt={"keepalive_s": 5})
    house.start()
    house.settle()
    os.kill(house.pid, signal.SIGSTOP)
    until(lambda: house.watcher.on_topic("voice_rl/status")[-1].payload == b"offline", "the last will", deadline_s=20.0)
