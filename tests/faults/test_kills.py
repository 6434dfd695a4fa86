"""F1 to F4: the daemon is killed at each step of a command and of a confirmation, and at random."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.conftest import LAMP, LAMP_AREA, LOUDER, LOUDER_AREA, ON, UP, FaultHouse, MakeHouse, needs_model
from tests.faults.table import fault
from tests.faults.test_lines import until
from voice_rl_plugin.domain.decision import Decision

pytestmark = needs_model

POINTS = {"F1": "before_commit", "F2": "after_commit", "F3": "after_publish", "F4": "after_mark"}
NAMED = [{"id": ""}, {}]
"""Without an id of the sender's, and with one; the time is always given."""


def killed_at(house: FaultHouse, point: str, text: str, area: str, **fields: object) -> None:
    """Say something to a daemon that dies at a point of it, and start the next one."""
    house.start({point: 1})
    house.say(text, area=area, **fields)
    assert house.end() == -9
    house.start()
    house.settle()
    house.stop()


def check_point(make_house: MakeHouse, point: str) -> tuple[int, int]:
    """Kill at a point with both classes of actions; return how often each was published."""
    house = make_house(doors={"freshness_s": 60.0})  # a busy machine may take longer than the usual 5 s to start the next process
    for fields in NAMED:
        lamps, ups = len(house.actions(ON)), len(house.actions(UP))
        killed_at(house, point, LAMP, LAMP_AREA, **fields)
        killed_at(house, point, LOUDER, LOUDER_AREA, **fields)

        assert len(house.actions(ON)) - lamps in (1, 2), "an absolute setting is delivered at least once"
        assert len(house.actions(UP)) - ups in (0, 1), "a step is delivered at most once"
    return len(house.actions(ON)), len(house.actions(UP))


@fault("F1", "kill -9 before the commit", "1, 2")
def test_killed_before_the_commit(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """The command is given again: a setting is carried out, a step at most once, and a confirmation is stored."""
    lamps, ups = check_point(make_house, "before_commit")
    figure(f"4 kills: 2 settings came {lamps} times, 2 steps {ups} times")


@fault("F2", "kill -9 after the commit, before the publish", "1, 2")
def test_killed_after_the_commit(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """The next process publishes what may come twice, and nothing else."""
    lamps, ups = check_point(make_house, "after_commit")
    figure(f"4 kills: 2 settings came {lamps} times, 2 steps {ups} times")


@fault("F2", "kill -9 after the commit, too long before the next start", "2")
def test_killed_and_started_too_late(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """What the next process finds too old is not carried out, and that is said, once."""
    house = make_house(doors={"freshness_s": 0.5})
    house.start({"after_commit": 1})
    house.say(LAMP, at=None)
    assert house.end() == -9
    threading.Event().wait(0.6)  # it grows old
    for _ in range(2):
        house.start()
        house.wait_said("took too long")
        house.settle_slowly()
        house.stop()

    assert house.actions(ON) == []
    assert len([one for one in house.watcher.on_topic("voice_rl/say") if b"took too long" in one.payload]) == 1
    figure("1 of 1 not carried out, and said once")


@fault("F3", "kill -9 after the publish, before the mark", "1, 2")
def test_killed_after_the_publish(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """A setting may come a second time, a step does not."""
    lamps, ups = check_point(make_house, "after_publish")
    assert ups == 2, "it had left before the kill"
    figure(f"4 kills: 2 settings came {lamps} times, 2 steps {ups} times")


@fault("F4", "kill -9 after the mark, before the ack", "1, 2")
def test_killed_after_the_mark(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """The broker gives the command again although everything was done: nothing is done again."""
    lamps, ups = check_point(make_house, "after_mark")
    assert (lamps, ups) == (2, 2)
    figure(f"4 kills: 2 settings came {lamps} times, 2 steps {ups} times")


@pytest.mark.parametrize("point", ["before_feedback", "after_feedback", "before_ack"])
def test_reward_survives_a_kill_at_each_step(make_house: MakeHouse, point: str) -> None:
    """A yes that the broker has taken is stored once, wherever the daemon dies."""
    house = make_house()
    house.start()
    house.say(LAMP)
    decision = house.decided(LAMP)
    house.stop()
    house.start({point: 1})
    house.watcher.publish("voice_rl/confirm", {"decision_id": decision["decision_id"], "verdict": "yes", "id": "c1"})
    assert house.end() == -9
    house.start()
    house.settle()

    with house.open_store() as store:
        stored = store.stored(decision["decision_id"])
    assert stored is not None
    assert stored.settlement is not None
    assert (stored.settlement.reward, len(stored.judgements)) == (1.0, 1)


def test_answer_survives_a_kill(make_house: MakeHouse) -> None:
    """A question that was answered just before the kill is carried out by the next process, once it is known to be harmless."""
    house = make_house(doors={"freshness_s": 60.0})
    house.start({"after_feedback": 1})
    house.say("turn on the desk lamp", area=None)
    asked = house.decided("turn on the desk lamp")
    assert asked["outcome"] == "clarify"
    house.stop()
    house.start({"after_publish": 1})
    house.say("turn on the desk lamp", area=None)
    asked = house.decided("turn on the desk lamp", count=2)
    house.watcher.publish("voice_rl/confirm", {"decision_id": asked["decision_id"], "verdict": "yes", "correction": {"choice": 0}})
    assert house.end() == -9
    house.start()
    house.settle()

    assert {one["decision_id"] for one in house.actions(ON)} == {asked["decision_id"]}
    assert 1 <= len(house.actions(ON)) <= 2


def test_guest_step_runs_once(make_house: MakeHouse) -> None:
    """Of a guest nothing is stored: what the broker gives again after a kill is carried out as far as repeating is harmless."""
    house = make_house(learning={"mode": "guest"}, doors={"freshness_s": 60.0})
    for text, area in ((LOUDER, LOUDER_AREA), (LAMP, LAMP_AREA)):
        house.start({"after_publish": 1})
        house.say(text, area=area)
        assert house.end() == -9
        house.start()
        house.settle()
        house.stop()

    assert (len(house.actions(UP)), len(house.actions(ON))) == (1, 2)


@fault("F3", "published into a dead line, then kill -9", "2")
def test_unacknowledged_setting_is_published_again(make_house: MakeHouse, figure: Callable[[str], None]) -> None:
    """What the kernel took and the broker never saw counts as not sent: the next process sends a setting again, and a step not."""
    house = make_house(through_proxy=True, doors={"freshness_s": 60.0})
    assert house.proxy is not None
    for text, area, wanted, topic in ((LAMP, LAMP_AREA, 1, ON), (LOUDER, LOUDER_AREA, 0, UP)):
        house.start({"slow_model": 400})
        house.settle()
        house.say(text, area=area)
        threading.Event().wait(0.15)  # it is being decided
        house.proxy.cut()
        deadline = time.monotonic() + 30.0
        while not any(decision.utterance.text == text for decision in decisions_of(house)):
            assert time.monotonic() < deadline
            threading.Event().wait(0.02)
        threading.Event().wait(1.0)  # the action is in the kernel, and every mark that will be is written
        house.kill()
        house.proxy.drop()
        house.proxy.heal()
        assert house.actions(topic) == []
        house.start()
        house.settle()
        assert len(house.actions(topic)) == wanted, text
        house.stop()
    figure("the setting came once, the step not at all")


def decisions_of(house: FaultHouse) -> list[Decision]:
    """Return what the store holds."""
    with house.open_store() as store:
        return [one.decision for one in store.all_stored()]


AHEAD = 100
"""So many commands wait for their decision at most."""


class Talker:
    """Speaks and confirms without pause, from a thread of its own, while the daemon dies and comes back."""

    def __init__(self, house: FaultHouse, seed: int) -> None:
        self._house = house
        self._random = random.Random(seed)
        self._stopped = threading.Event()
        self._looked_at = self._decided = 0
        self.settings: set[str] = set()
        self.steps: set[str] = set()
        self.confirmed: list[str] = []
        """Decisions whose yes or no the broker has taken."""
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fall silent."""
        self._stopped.set()
        self._thread.join()

    def _talk(self) -> None:
        while not self._stopped.is_set():
            if len(self.settings) + len(self.steps) - self._decided > AHEAD:
                # A broker that has to write down a long queue after every change is another experiment. The store knows how far the
                # daemon is: what was decided just before a kill may never have been told.
                self._stopped.wait(0.05)
                with self._house.open_store() as store:
                    self._decided = store.count()[0]
                self._confirm_one()
                continue
            if self._random.random() < 0.5:
                self.settings.add(self._house.say(LAMP, area=LAMP_AREA))
            else:
                self.steps.add(self._house.say(LOUDER, area=LOUDER_AREA))
            self._confirm_one()
            self._stopped.wait(self._random.uniform(0.0, 0.01))

    def _confirm_one(self) -> None:
        for message in self._house.watcher.on_topic("voice_rl/decision", since=self._looked_at)[:2]:
            self._looked_at += 1
            name = message.payload.split(b'"decision_id":"', 1)[1].split(b'"', 1)[0].decode()
            self._house.watcher.publish(
                "voice_rl/confirm", {"decision_id": name, "verdict": self._random.choice(["yes", "no"]), "id": f"c-{name}"}
            )
            self.confirmed.append(name)


def kill_at_random(make_house: MakeHouse, kills: int, *, seed: int, progress: Callable[[int], None] = lambda _: None) -> str:
    """Kill a busy daemon so often, or as often as FAULT_SECONDS allow, check every promise, and return the figures."""
    until_at = time.monotonic() + float(os.environ.get("FAULT_SECONDS", "inf"))
    house = make_house(doors={"freshness_s": 600.0}, mqtt={"queue_size": 10_000}, broker="max_queued_messages 100000\n")
    chance = random.Random(seed)
    house.start()
    talker = Talker(house, seed)
    for number in range(kills):
        threading.Event().wait(chance.uniform(0.0, 0.15))  # the moment is the experiment
        house.kill()
        house.start()
        progress(number + 1)
        if time.monotonic() > until_at:
            kills = number + 1
            break
    talker.stop()
    house.settle()
    utterances = house.utterances()
    until(lambda: len({utterances[one["decision_id"]] for one in house.actions(ON)}) == len(talker.settings), "each setting")
    acted = Counter(utterances[one["decision_id"]] for one in house.actions(ON))
    stepped = Counter(utterances[one["decision_id"]] for one in house.actions(UP))
    with house.open_store() as store:
        judged = {one.decision.id for one in store.all_stored() if one.judgements}
        damaged = store.damaged()
    busy = len(judged) + len(talker.settings) + len(talker.steps)
    lost = [name for name in talker.confirmed if name not in judged]
    never = [name for name in talker.settings if not acted[name]]
    twice = [name for name, count in stepped.items() if count > 1]

    assert busy > 2 * kills, "a daemon with nothing to do loses nothing"
    assert (lost, damaged) == ([], ()), "no confirmed reward is lost"
    assert never == [], "each setting is delivered at least once"
    assert twice == [], "no step is delivered twice"
    repeated = sum(1 for count in acted.values() if count > 1)
    return (
        f"{kills} kills: 0 of {len(talker.confirmed)} rewards lost, 0 of {len(talker.settings)} settings missing ({repeated} came twice), "
        f"0 of {len(talker.steps)} steps twice"
    )


def test_random_kills_lose_nothing(make_house: MakeHouse) -> None:
    """Whenever the daemon dies: every reward is stored, every setting carried out, no step twice."""
    kill_at_random(make_house, 20, seed=1)


@pytest.mark.faults
@fault("F1-F4", "kill -9 at random moments", "1, 2")
def test_thousand_random_kills_lose_nothing(
    make_house: MakeHouse, figure: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same a thousand times."""

    def show(number: int) -> None:
        if number % 50 == 0:
            with capsys.disabled():
                print(f"\n{number} kills", end="", flush=True)  # noqa: T201 - it takes minutes

    figure(kill_at_random(make_house, 1000, seed=2, progress=show))
