"""Several daemons behind one shared subscription and one PostgreSQL: what one daemon promises, a group keeps."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.conftest import FakeModels, make_daemon
from tests.fakes import HOME, FakeDecider
from tests.mosquitto import DEADLINE_S, Watcher, running_mosquitto
from tests.postgres import PostgresCluster
from voice_rl_plugin.config import Config, DoorsSection, ModelsSection, MqttSection, StoreSection, load_config
from voice_rl_plugin.daemon import Daemon
from voice_rl_plugin.daemon.group import Group
from voice_rl_plugin.doors.broker import Message
from voice_rl_plugin.errors import ConfigError, MessageError
from voice_rl_plugin.learning.postgres import place_of
from voice_rl_plugin.learning.store import ExperienceStore

NAMES = ("ada", "ben", "cy")


@dataclass(kw_only=True)
class Site:
    """A group of daemons and a client that watches them."""

    watcher: Watcher
    daemons: dict[str, Daemon]
    threads: dict[str, threading.Thread]
    place: Any

    def say(self, text: str, *, area: str = "kitchen", **fields: Any) -> None:
        """Say something in a room."""
        self.watcher.publish(f"voice_rl/command/{area}", {"text": text, **fields})

    def decisions(self, count: int) -> list[dict[str, Any]]:
        """Return all decisions when so many are there."""
        self.watcher.wait_topic("voice_rl/decision", count=count)
        return [json.loads(one.payload) for one in self.watcher.on_topic("voice_rl/decision")]

    def stop(self, name: str) -> None:
        """Stop one daemon in order."""
        self.daemons[name].stop()
        self.threads[name].join(DEADLINE_S)


def maker(decision: dict[str, Any]) -> str:
    """Return which daemon made a decision."""
    return str(decision["decision_id"]).partition("~")[0]


@pytest.fixture
def site(tmp_path: Path, cluster: PostgresCluster) -> Iterator[Site]:
    """Three daemons that know of each other."""
    server = cluster.fresh()
    (tmp_path / "url").write_text(server.url)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(running_mosquitto(tmp_path))
        watcher = Watcher(broker.port)
        stack.callback(watcher.close)
        daemons, threads = {}, {}
        for name in NAMES:
            config = Config(
                mqtt=MqttSection(port=broker.port, client_id=name, shared_group="home"),
                store=StoreSection(path=tmp_path / name, url_file=tmp_path / "url", schema=server.schema),
                models=ModelsSection(path=tmp_path / "models"),
                doors=DoorsSection(rate_per_s=1000.0, burst=1000, discovery=False),
            )
            deciders: list[FakeDecider] = []
            store = ExperienceStore(place_of(config.store))
            daemons[name] = make_daemon(config, models=FakeModels(config.models.path), deciders=deciders, home=HOME, store=store)
            threads[name] = threading.Thread(target=daemons[name].run, daemon=True)
            threads[name].start()
            stack.callback(threads[name].join, DEADLINE_S)
            stack.callback(daemons[name].stop)
            assert daemons[name].is_ready.wait(DEADLINE_S)
        wait_until(lambda: all(daemon._group.members == NAMES for daemon in daemons.values()))
        yield Site(watcher=watcher, daemons=daemons, threads=threads, place=server)


def wait_until(holds: Any) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_commands_are_decided_once_and_a_room_by_one_daemon(site: Site) -> None:
    """Of many commands each is decided and carried out once; those of one room by the same daemon; all are in one store."""
    for number in range(40):
        site.say("turn on the lamp", area=("kitchen", "hall")[number % 2], id=str(number))
        site.say("turn on the lamp", area=("kitchen", "hall")[number % 2], id=str(number))  # a sender that repeats itself
    decisions = site.decisions(40)
    site.watcher.wait_topic("voice_rl/action/light/turn_on", count=40)

    assert len(decisions) == len({one["decision_id"] for one in decisions}) == 40
    assert all(len({maker(one) for one in decisions if one["area"] == area}) == 1 for area in ("kitchen", "hall"))
    with ExperienceStore(site.place, owns_file=False) as store:
        assert store.count() == (40, 0)


@pytest.mark.parametrize("names_it", [True, False])
def test_question_is_answered_by_whom_it_was_asked(site: Site, names_it: bool) -> None:
    """An answer that any daemon receives is carried out by the one that asked, once; a second one changes nothing."""
    site.say("light please")
    (asked,) = site.decisions(1)
    said: dict[str, Any] = {"verdict": "yes", "correction": {"choice": "desk lamp"}}
    if names_it:
        said["decision_id"] = asked["decision_id"]
    for _ in range(6):
        site.watcher.publish("voice_rl/confirm" if names_it else "voice_rl/confirm/kitchen", said)
    acted = site.watcher.wait_topic("voice_rl/action/light/turn_on")
    assert (acted["decision_id"], acted["target"]) == (asked["decision_id"], {"entity_id": ["light.desk"]})
    site.watcher.wait_topic("voice_rl/error", count=5)
    assert len(site.watcher.on_topic("voice_rl/action/light/turn_on")) == 1


def test_risky_action_is_confirmed_once(site: Site) -> None:
    """Twenty yeses at the same moment, spread over three daemons, unlock the door once."""
    site.say("unlock the front door", area="hall")
    (asked,) = site.decisions(1)
    for _ in range(20):
        site.watcher.publish("voice_rl/confirm", {"decision_id": asked["decision_id"], "verdict": "yes"})
    wait_until(lambda: site.daemons[maker(asked)].counters.to_payload()["confirmed"] == 20)
    site.decisions(2)

    assert len(site.watcher.on_topic("voice_rl/action/lock/unlock")) == 1


def test_confirmation_without_a_place_is_refused(site: Site) -> None:
    """No daemon sees the decisions of all: a bare yes for the whole home is an error that says what to name."""
    site.watcher.publish("voice_rl/confirm", "yes")

    assert "decision_id" in site.watcher.wait_topic("voice_rl/error")["detail"]


def test_correction_is_known_to_all(site: Site) -> None:
    """What one daemon learned by heart the others do as well, within moments, even when the one is gone."""
    site.say("light please")
    (asked,) = site.decisions(1)
    site.watcher.publish("voice_rl/confirm", {"decision_id": asked["decision_id"], "verdict": "yes", "correction": {"choice": "desk lamp"}})
    site.decisions(2)
    wait_until(lambda: all(len(daemon._brain._memory) == 1 for daemon in site.daemons.values()))
    site.stop(maker(asked))
    wait_until(lambda: all(len(daemon._group.members) == 2 for name, daemon in site.daemons.items() if name != maker(asked)))

    site.say("light please")
    again = site.decisions(3)[-1]
    assert (again["outcome"], again["stage"]) == ("act", "memory")
    assert maker(again) != maker(asked)


def test_group_goes_on_without_a_member(site: Site) -> None:
    """When one daemon stops, the others take its rooms, every command is answered, and the status stays online."""
    site.say("turn on the lamp")
    gone = maker(site.decisions(1)[0])
    site.stop(gone)
    site.watcher.wait_for(lambda one: one.topic == f"voice_rl/member/{gone}" and one.payload == b"offline", "offline")
    for _ in range(12):
        site.say("turn on the lamp")
    decisions = site.decisions(13)

    assert gone not in {maker(one) for one in decisions[1:]}
    site.watcher.wait_for(lambda one: one.topic == "voice_rl/status" and one.payload == b"offline", "offline")
    last = Watcher(site.watcher._client._port, ("voice_rl/status",), name="late")
    assert last.wait_topic("voice_rl/status") == "online"
    last.close()


def test_stopping_in_the_middle_loses_no_command(site: Site) -> None:
    """While commands come, two daemons stop one after the other: every command is decided, once."""
    for number in range(90):
        site.say("turn on the lamp", area=("kitchen", "hall")[number % 2], id=str(number))
        if number in (30, 60):
            site.daemons[NAMES[number // 30]].stop()
    decisions = site.decisions(90)

    assert len({one["decision_id"] for one in decisions}) == len(decisions) == 90


def test_forged_message_to_a_member_is_an_error(site: Site) -> None:
    """What no member writes is refused with one clear error, and nothing is done."""
    for payload in ("nonsense", "{}", json.dumps({"topic": "voice_rl/home", "payload": "", "waited_s": 0, "is_duplicate": False,
                                                  "response_topic": None, "correlation": None})):  # fmt: skip
        site.watcher.publish("voice_rl/member/ada/inbox", payload)
    site.watcher.wait_topic("voice_rl/error", count=3)

    assert all(b"passed on" in one.payload for one in site.watcher.on_topic("voice_rl/error"))


def test_passing_on_keeps_all_that_matters() -> None:
    """Topic, payload, waiting time, repetition and where to answer arrive as they were; the receipt is that of the way itself."""
    ada = Group(MqttSection(client_id="ada", shared_group="home"))
    ben = Group(MqttSection(client_id="ben", shared_group="home"))
    sent = Message(
        topic="voice_rl/command/hall", payload="开灯".encode(), waited_s=1.5, is_duplicate=True, response_topic="r", correlation=b"\0\xff"
    )
    topic, payload = ada.passed_on(sent, "ben")
    arrived = ben.open(Message(topic=topic, payload=payload, waited_s=0.5, receipt=(1, 7)))

    assert (arrived.topic, arrived.payload, arrived.is_duplicate) == (sent.topic, sent.payload, True)
    assert (arrived.waited_s, arrived.response_topic, arrived.correlation, arrived.receipt) == (2.0, "r", b"\0\xff", (1, 7))
    with pytest.raises(MessageError):
        ada.open(Message(topic="voice_rl/member/ada/inbox", payload=b"[]"))


def test_members_reckon_the_same_owner_and_only_the_areas_of_one_that_goes_move() -> None:
    """Whoever asks, a room has one owner; when a member goes no other room changes hands."""
    groups = {name: Group(MqttSection(client_id=name, shared_group="home")) for name in NAMES}
    for group in groups.values():
        for name in NAMES:
            assert group.take_status(Message(topic=f"voice_rl/member/{name}", payload=b"online"))

    def owners(group: Group, name: str) -> list[str]:
        sent = (Message(topic="voice_rl/command", payload=json.dumps({"text": "x", "session_id": f"s{n}"}).encode()) for n in range(60))
        return [group.owner_of(one, HOME) or name for one in sent]

    ada, ben, cy = (owners(groups[name], name) for name in NAMES)
    assert ada == ben == cy
    assert all(ada.count(name) > 8 for name in NAMES)

    groups["ada"].take_status(Message(topic="voice_rl/member/cy", payload=b"offline"))
    after = owners(groups["ada"], "ada")
    assert all(now == before for now, before in zip(after, ada, strict=True) if before != "cy")
    assert "cy" not in after


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("mqtt: {shared_group: g}", "store.url_file"),
        ("mqtt: {shared_group: a/b}", "without"),
        ("mqtt: {shared_group: g, version: '3.1.1'}", "MQTT 5"),
    ],
)
def test_group_that_cannot_work_is_refused(tmp_path: Path, written: str, word: str) -> None:
    """What a group needs and has not is one clear error at the start."""
    file = tmp_path / "voice_rl.yaml"
    file.write_text(written)

    with pytest.raises(ConfigError, match=word):
        load_config(file, environ={})
