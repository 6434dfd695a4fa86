"""The home from Home Assistant: recorded sessions of real versions, and the ways in which a connection goes wrong."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from tests.homes.replay import DEADLINE_S, Line, Player, from_them, load, playing, serving
from voice_rl_plugin.config import HomeSection, read_token
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import ConfigError, LinkError
from voice_rl_plugin.homes.home_assistant import (
    Answered,
    HomeAssistantSource,
    HomeLearned,
    LinkLost,
    LinkUp,
    News,
    StatesSeen,
    Trouble,
    read_home,
    websocket_url,
)

RECORDINGS = ("home_assistant_2025_4.jsonl", "home_assistant_2026_11.jsonl")
LABEL = "voice risky"


class Listener:
    """Takes the news of a source and remembers them."""

    def __init__(self, source: HomeAssistantSource) -> None:
        self.source = source
        self.seen: list[News] = []
        self._arrived = threading.Event()
        source.start(self._arrived.set)

    def wait(self, wanted: Callable[[News], bool], what: str = "news") -> Any:
        """Return the next news that fits."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            while (news := self.source.take()) is not None:
                self.seen.append(news)
                if wanted(news):
                    return news
            self._arrived.wait(0.2)
            self._arrived.clear()
        raise AssertionError(f"{what} did not come; seen: {[type(one).__name__ for one in self.seen]}; {self.source.status}")

    def wait_type(self, kind: type) -> Any:
        """Return the next news of a kind."""
        return self.wait(lambda one: isinstance(one, kind), kind.__name__)

    def wait_state(self, entity_id: str, value: str) -> Any:
        """Return the next state of an entity with a value."""
        news = self.wait(
            lambda one: (
                isinstance(one, StatesSeen)
                and any(seen.entity_id == entity_id and seen.state is not None and seen.state.value == value for seen in one.seen)
            ),
            f"{entity_id} {value}",
        )
        return next(one for one in news.seen if one.entity_id == entity_id)


@contextmanager
def listening(address: str, *, section: HomeSection | None = None) -> Iterator[Listener]:
    """Run a source that hurries."""
    section = section or HomeSection(home_assistant=address, token="TOKEN", risky_label=LABEL)
    source = HomeAssistantSource(section, first_wait_s=0.05, token_poll_s=0.05, quiet_s=0.1)
    listener = Listener(source)
    try:
        yield listener
    finally:
        source.stop()


def until_states(name: str) -> list[Line]:
    """Return a recording up to the first states."""
    lines = load(name)
    end = next(index for index, line in enumerate(lines) if "a" in line.get("message", {}).get("event", {}))
    return lines[: end + 1]


@pytest.fixture(params=RECORDINGS, ids=["2025.4", "2026.11"])
def recording(request: pytest.FixtureRequest) -> str:
    """Return the name of a recording, of each version."""
    return str(request.param)


def test_home_is_read_from_the_registries(recording: str) -> None:
    """Floors, areas, names, aliases, places, what is risky, groups of one device, and what is hidden: the same from each version."""
    with playing(Player(until_states(recording))) as address, listening(address) as listener:
        home: Home = listener.wait_type(HomeLearned).home

    assert [(one.name, one.aliases) for one in home.floors] == [("Ground Floor", ("downstairs", "楼下")), ("First Floor", ("upstairs",))]
    assert [(one.id, one.aliases, one.floor) for one in home.areas if one.floor] == [
        ("kitchen", ("厨房",), "ground_floor"),
        ("study", ("office",), "first_floor"),
        ("wo_shi", (), "first_floor"),
    ]
    bar = home.entity_by_id["light.counter_bar"]
    assert (bar.name, bar.aliases, bar.area, bar.unique_id) == ("Counter Bar", ("bar", "吧台灯"), "kitchen", "testhome_counter_bar")
    assert bar.abilities == {"on_off", "brightness"}
    assert home.entity_by_id["light.bedside"].name == "床头灯"
    assert home.entity_by_id["cover.garage"].device_class == "garage"
    assert [one.id for one in home.exposed if one.risky] == ["switch.kettle"]
    assert {one.id for one in home.exposed} == {
        *("cover.blind", "cover.garage", "fan.fan", "light.bedside", "light.ceiling", "light.counter_bar"),
        *("light.desk_lamp", "light.stubborn", "switch.kettle"),
    }
    assert home.entity_by_id["lock.front_door"].exposed is False
    assert [(one.id, one.area) for one in home.satellites] == [("assist_satellite.kitchen_satellite", "kitchen")]
    assert Home.from_mapping(home.to_mapping()) == home


def test_recorded_session_is_followed(recording: str, caplog: pytest.LogCaptureFixture) -> None:
    """States by hand and by a call, answers good and bad, a renaming, an exposure taken back, and at last a revoked token."""
    player = Player(load(recording))
    with caplog.at_level(logging.INFO, "voice_rl_plugin"), playing(player) as address, listening(address) as listener:
        listener.wait(lambda one: isinstance(one, StatesSeen) and one.is_first, "the first states")
        by_hand = listener.wait_state("light.bedside", "on")
        calls = [line["message"] for line in player._lines if line["from"] == "us" and line.get("message", {}).get("id", 0) >= 18]
        answers = []
        for call in calls[:4]:
            number = listener.source.send({key: value for key, value in call.items() if key != "id"})
            answers.append(listener.wait(lambda one, number=number: isinstance(one, Answered) and one.number == number))  # type: ignore[misc]
        by_us = next(
            seen
            for one in listener.seen
            if isinstance(one, StatesSeen) and not one.is_first
            for seen in one.seen
            if seen.entity_id == "light.counter_bar"
        )
        renamed = listener.wait(lambda one: isinstance(one, HomeLearned) and bool(one.renamed), "the renaming")
        hidden = listener.wait_type(HomeLearned)
        listener.wait_type(LinkLost)
        trouble = listener.wait(lambda one: isinstance(one, Trouble) and "refused the token" in one.text, "the refused token")

    assert player.difference == ""
    assert (by_hand.user_id, by_hand.parent_id) == (None, None)
    assert by_us.state is not None
    assert (by_us.state.value, by_us.state.attributes["brightness"]) == ("on", 76)
    assert by_us.user_id is not None
    assert [one.is_ok for one in answers] == [True, False, False, True]
    assert "brightness_pct" in str(answers[1].error)
    assert "no_such_service not found" in str(answers[2].error)
    assert renamed.renamed == {"light.desk_lamp": "light.reading_lamp"}
    assert "light.ceiling" in {one.id for one in renamed.home.exposed}
    assert hidden.home.entity_by_id["light.ceiling"].exposed is False
    assert "home.token_file" in trouble.text
    assert len([one for one in caplog.records if one.levelname == "WARNING"]) == 2, "each trouble is said once"


def test_home_is_read_once_for_a_command(recording: str) -> None:
    """`voice-rl home show home-assistant` asks once and ends."""
    asked = load(recording)
    start = next(index for index, line in enumerate(asked) if line.get("message", {}).get("type") == "config/floor_registry/list")
    end = next(index for index, line in enumerate(asked) if line.get("message", {}).get("type") == "subscribe_entities")
    shifted = [shift(line, 6) for line in asked[start:end]]

    with playing(Player([*asked[:5], *shifted])) as address:
        home = read_home(HomeSection(home_assistant=address, token="TOKEN", risky_label=LABEL))

    assert len(home.exposed) == 9


def shift(line: Line, by: int) -> Line:
    """Return a line with a smaller number, as if fewer commands had gone before."""
    message = line["message"]
    return {**line, "message": {**message, "id": message["id"] - by}}


def test_lost_connection_keeps_the_home_and_comes_back(recording: str, caplog: pytest.LogCaptureFixture) -> None:
    """After a restart of Home Assistant the registries are read again; the loss is said once, however many attempts fail."""
    first = until_states(recording)
    refused = [{"connection": number, "from": "home_assistant", "closed": True} for number in (2, 3)]
    again = [{**line, "connection": 4} for line in first]
    player = Player([*first, {"connection": 1, "from": "home_assistant", "closed": True}, *refused, *again])
    with caplog.at_level(logging.WARNING, "voice_rl_plugin"), playing(player) as address, listening(address) as listener:
        listener.wait_type(LinkUp)
        listener.wait_type(LinkLost)
        assert (listener.source.is_connected, listener.source.version) == (False, ())
        with pytest.raises(LinkError):
            listener.source.send({"type": "get_config"})
        listener.wait_type(LinkUp)
        assert listener.source.is_connected
        assert listener.source.version in ((2025, 4), (2026, 11))
        assert listener.source.exposed("light.counter_bar") is not None
        assert listener.source.exposed("lock.front_door") is None

    assert len([one for one in caplog.records if "the home is kept as it was" in one.message]) == 1
    assert [type(one).__name__ for one in listener.seen].count("Trouble") == 1


def test_home_is_taken_only_when_home_assistant_has_started(recording: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it starts, and in recovery mode, entities are missing: the home is not read, and the recovery is said."""
    monkeypatch.setattr("voice_rl_plugin.homes.home_assistant.START_POLL_S", 0.01)
    lines = until_states(recording)
    ready = lines[4]
    starting = [
        {**ready, "message": {**ready["message"], "result": {**ready["message"]["result"], **change}}}
        for change in ({"state": "NOT_RUNNING"}, {"state": "STARTING"}, {"recovery_mode": True})
    ]
    asked: list[Line] = []
    for index, answer in enumerate(starting):
        asked += [shift(lines[3], -index), shift(answer, -index)]
    player = Player([*lines[:3], *asked, *(shift(one, -3) for one in lines[3:] if "id" in one["message"])])
    with playing(player) as address, listening(address) as listener:
        trouble = listener.wait_type(Trouble)
        listener.wait_type(HomeLearned)

    assert "recovery mode" in trouble.text
    assert player.difference == ""
    assert [type(one).__name__ for one in listener.seen][:2] == ["Trouble", "HomeLearned"]


def test_another_token_is_taken_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused token is not tried again, which would only fill Home Assistant's log; the next one in the file is."""
    file, looks = tmp_path / "token", threading.Semaphore(0)
    file.write_text("old")

    def look(section: HomeSection) -> str:
        looks.release()
        return read_token(section)

    monkeypatch.setattr("voice_rl_plugin.homes.home_assistant.read_token", look)
    welcome = from_them(1, {"type": "auth_required"}), from_them(2, {"type": "auth_required"})
    auth = {"from": "us", "message": {"type": "auth", "access_token": "TOKEN"}}
    player = Player(
        [
            *welcome[0],
            {"connection": 1, **auth},
            *from_them(1, {"type": "auth_invalid", "message": "Invalid access token"}),
            *welcome[1],
            {"connection": 2, **auth},
            *from_them(2, {"type": "auth_ok", "ha_version": "2026.11.0"}),
        ],
        tokens=frozenset({"old", "new"}),
    )
    with playing(player) as address, listening(address, section=HomeSection(home_assistant=address, token_file=file)) as listener:
        listener.wait_type(Trouble)
        assert all(looks.acquire(timeout=DEADLINE_S) for _ in range(5))
        assert player.connections == 1
        file.write_text("new\n")
        assert player.ended.wait(DEADLINE_S)

    assert [one["access_token"] for one in player.heard if one["type"] == "auth"] == ["old", "new"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["{"], "expected JSON"),
        (["[1]"], "expected a JSON object"),
        (['{"type": "hello"}'], "expected Home Assistant to ask for a token"),
        (['{"type": "auth_required"}', '{"type": "maybe"}'], "expected auth_ok"),
        ([], "the connection was closed"),
    ],
)
def test_stranger_is_no_home_assistant(words: list[str], what: str) -> None:
    """Whatever else listens there is refused with what was expected."""

    def speak(connection: ServerConnection) -> None:
        for word in words:
            connection.send(word)
            if word is not words[-1]:
                connection.recv()

    with serving(speak) as address, pytest.raises(LinkError, match=what):
        read_home(HomeSection(home_assistant=address, token="t"))


def test_nobody_there_is_said() -> None:
    """A closed port and a missing token are said in one line."""
    with pytest.raises(LinkError, match="cannot be reached"):
        read_home(HomeSection(home_assistant="http://127.0.0.1:9", token="t"))
    with pytest.raises(ConfigError, match=r"home\.token_file"):
        read_home(HomeSection(home_assistant="http://127.0.0.1:9"))


def test_malformed_answers_end_the_connection_not_the_thread() -> None:
    """Answers that are no registry are survived: the source tries again."""
    tries = threading.Semaphore(0)

    def speak(connection: ServerConnection) -> None:
        connection.send('{"type": "auth_required"}')
        connection.recv()
        connection.send('{"type": "auth_ok"}')
        tries.release()
        try:
            while True:
                number = json.loads(connection.recv())["id"]
                connection.send(json.dumps({"id": number, "type": "result", "success": True, "result": 5}))
        except ConnectionClosed:
            return

    with serving(speak) as address, listening(address) as listener:
        assert all(tries.acquire(timeout=DEADLINE_S) for _ in range(3))
        assert "internal error" in listener.wait_type(Trouble).text


def test_user_without_rights_sees_what_has_a_unique_id() -> None:
    """Where the token's user may not list what is exposed, the entity registry tells it."""
    lines = until_states("home_assistant_2026_11.jsonl")
    refused = [
        {**line, "message": {"id": line["message"]["id"], "type": "result", "success": False, "error": {"code": "unauthorized"}}}
        if line["message"].get("type") == "result" and "exposed_entities" in (line["message"].get("result") or {})
        else line
        for line in lines
    ]
    with playing(Player(refused)) as address, listening(address) as listener:
        home = listener.wait_type(HomeLearned).home

    assert len(home.exposed) == 9


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://ha.local:8123", "ws://ha.local:8123/api/websocket"),
        ("https://ha.example/", "wss://ha.example/api/websocket"),
        ("https://example/proxied/", "wss://example/proxied/api/websocket"),
        ("ws://ha.local:8123/api/websocket", "ws://ha.local:8123/api/websocket"),
        ("http://supervisor/core", "ws://supervisor/core/websocket"),
    ],
)
def test_address_becomes_the_websocket(address: str, url: str) -> None:
    """What people write as the address of Home Assistant leads to its WebSocket."""
    assert websocket_url(address) == url
