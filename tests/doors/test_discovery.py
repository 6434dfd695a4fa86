"""The device as Home Assistant is told of it: in the form that it takes, in both languages, for any prefix."""

import copy
import json
import re
from typing import Any

import pytest

from tests.doors.discovery_schema import problems_of
from voice_rl_plugin.daemon.counters import Counters
from voice_rl_plugin.doors import native
from voice_rl_plugin.doors.discovery import COUNTED_KINDS, EVENT_TYPES, device_payload, device_topic, encode_device, node_of
from voice_rl_plugin.learning.tally import KINDS

PREFIXES = ("voice_rl", "home/voice", "语音", "Flat 3", "a" * 80)


def announced(prefix: str = "voice_rl", language: str = "en") -> dict[str, Any]:
    """Return the payload as it arrives."""
    payload: dict[str, Any] = json.loads(encode_device(device_payload(prefix=prefix, version="1.2.3", language=language)))
    return payload


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_payload_is_what_home_assistant_takes(prefix: str, language: str) -> None:
    """Whatever the prefix and the language, nothing of the payload would be refused or dropped."""
    assert problems_of(device_topic("homeassistant", prefix=prefix), announced(prefix, language)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda p: p["device"].pop("identifiers"), "device: neither identifiers nor connections"),
        (lambda p: p["origin"].pop("name"), "origin: no name"),
        (lambda p: p["components"]["command"].pop("command_topic"), "command: command_topic is missing"),
        (lambda p: p["components"]["right"].update(payload_pres="yes"), "right: unknown key payload_pres"),
        (lambda p: p["components"]["acted"].update(entity_category="config"), "acted: entity_category: 'config'"),
        (lambda p: p["components"]["decision_time"].update(unit_of_measurement="mm"), "decision_time: duration is not measured in mm"),
        (lambda p: p["components"]["asked"].update(unique_id="voice_rl_acted"), "components: unique_id is not unique"),
        (lambda p: p["components"]["acted"].update(value_template="{{ value_json."), "acted: value_template: '{{ value_json.'"),
        (lambda p: p["components"]["model"].update(platform="firmware"), "model: platform 'firmware'"),
    ],
)
def test_schema_sees_mistakes(change: Any, problem: str) -> None:
    """The schema that the payload is held against refuses what Home Assistant would not take."""
    payload = copy.deepcopy(announced())
    change(payload)

    assert problem in problems_of("homeassistant/device/voice_rl/config", payload)


def test_node_is_plain_and_different_for_different_prefixes() -> None:
    """A plain prefix is its own node; others get a plain one, and no two the same."""
    nodes = [node_of(prefix) for prefix in (*PREFIXES, "home_voice", "home voice")]

    assert nodes[0] == "voice_rl"
    assert len(set(nodes)) == len(nodes)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", node) for node in nodes)


def test_names_are_in_the_language_and_ids_are_not() -> None:
    """English and Chinese differ in every name and in nothing else, so that dashboards survive a change of language."""
    english, chinese = announced()["components"], announced(language="zh")["components"]
    names = {key: (english[key].pop("name"), chinese[key].pop("name")) for key in english}

    assert english == chinese
    assert all(re.search("[\u4e00-\u9fff]", zh) and not re.search("[\u4e00-\u9fff]", en) for en, zh in names.values())
    assert len({en for en, _ in names.values()}) == len({zh for _, zh in names.values()}) == len(names)


def test_topics_are_those_of_the_native_door() -> None:
    """Every command topic is one that the daemon hears, and every counted kind one that it counts."""
    components = announced()["components"]
    inputs = {f"voice_rl/{one}" for one in native.INPUTS}

    assert {one["command_topic"] for one in components.values() if "command_topic" in one} <= inputs
    assert set(COUNTED_KINDS) <= set(KINDS)
    assert set(COUNTED_KINDS) <= Counters().to_payload().keys()
    assert components["decision"]["event_types"] == list(EVENT_TYPES)
    assert components["learning"]["options"] == list(native.LEARNING_MODES)


def test_payloads_of_the_buttons_are_read_by_the_native_door() -> None:
    """What a press sends is what the daemon reads."""
    components = announced()["components"]

    assert native.parse_model_set(components["model"]["payload_install"].encode()).verb == "install"
    assert native.parse_model_set(components["rollback"]["payload_press"].encode()).verb == "rollback"
    assert native.parse_train_set(components["retrain"]["payload_press"].encode()) == "start"


def test_connection_tells_of_an_absence() -> None:
    """Everything is unavailable while the daemon is away, but for what says so."""
    components = announced()["components"]

    assert [key for key, one in components.items() if "availability_topic" not in one] == ["connection"]
    assert "availability_topic" not in announced()


def test_text_box_keeps_no_words() -> None:
    """Without a state of its own the box would keep what was typed as its state, and Home Assistant's recorder with it."""
    box = announced()["components"]["command"]

    assert box["state_topic"] == "voice_rl/status"
    assert box["value_template"] == "{{ '' }}"
