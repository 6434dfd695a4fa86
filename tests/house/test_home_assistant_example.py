"""The dispatch package of Home Assistant: its structure, and its conditions rendered as Home Assistant renders them."""

import ast
import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

PACKAGE = Path(__file__).parents[2] / "examples" / "home_assistant" / "packages" / "voice_rl.yaml"
NOW = 1_790_000_000.0
DEVICE_CLASSES = {"cover.garage": "garage", "cover.front_gate": "gate", "cover.blind": "blind"}
CALL = {
    "decision_id": "d-1",
    "step": 1,
    "steps": 1,
    "expires_at": NOW + 5,
    "service": "light.turn_on",
    "target": {"entity_id": ["light.desk"]},
    "data": {"brightness_pct": 30},
}


def load() -> dict[str, Any]:
    """Return the package."""
    package = yaml.safe_load(PACKAGE.read_text(encoding="utf-8"))
    assert isinstance(package, dict)
    return package


def render(template: str, scope: Mapping[str, Any]) -> Any:
    """Render a template as Home Assistant does: stripped, and a Python literal becomes its value."""
    environment = ImmutableSandboxedEnvironment()
    environment.tests["match"] = lambda value, pattern: re.match(pattern, str(value)) is not None
    environment.filters["to_json"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.globals.update(
        now=lambda: SimpleNamespace(at=NOW),
        as_timestamp=lambda time: time.at,
        state_attr=lambda entity_id, name: DEVICE_CLASSES.get(entity_id) if name == "device_class" else None,
    )
    text = environment.from_string(template).render(scope).strip()
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def run(automation: Mapping[str, Any], payload: str, topic: str) -> tuple[Any, list[dict[str, Any]]]:
    """Run an automation on one message; return the service call, if any, and what went to voice_rl/result."""
    trigger: dict[str, Any] = {"topic": topic, "payload": payload}
    with contextlib.suppress(ValueError):
        trigger["payload_json"] = json.loads(payload)
    scope: dict[str, Any] = {"trigger": trigger}
    for name, value in automation["variables"].items():
        scope[name] = render(value, scope) if isinstance(value, str) else value
    for condition in automation["condition"]:
        if render(condition["value_template"], scope) is not True:
            return None, []
    scope["refused"] = render(automation["action"][0]["variables"]["refused"], scope)
    choose = automation["action"][1]
    is_refused = render(choose["choose"][0]["conditions"][0]["value_template"], scope)
    called, results = None, []
    for step in choose["choose"][0]["sequence"] if is_refused else choose["default"]:
        service = render(step["service"], scope)
        if service == "mqtt.publish":
            assert step["data"]["topic"] == "voice_rl/result"
            results.append(json.loads(render(step["data"]["payload"], scope)))
        else:
            called = (service, render(step["target"], scope), render(step["data"], scope))
    return called, results


def dispatch(*, guarded: bool = False, topic: str | None = None, **changes: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Run one of the two automations on the sample call with changes."""
    call = CALL | changes
    topic = topic or "voice_rl/action/" + str(call["service"]).replace(".", "/")
    return run(load()["automation"][int(guarded)], json.dumps(call), topic)


def test_package_dispatches_a_good_call_and_answers() -> None:
    """A fresh call on an allowed domain runs with its target and data, and is answered with ok."""
    called, results = dispatch()

    assert called == ("light.turn_on", {"entity_id": ["light.desk"]}, {"brightness_pct": 30})
    assert results == [{"decision_id": "d-1", "step": 1, "ok": True}]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"expires_at": NOW - 0.1}, "expired"),
        ({"expires_at": "later"}, "expired"),
        ({"expires_at": None}, "expired"),
        ({"expires_at": NOW + 3600}, "the clocks differ"),
        ({"topic": "voice_rl/action/light/turn_off"}, "the topic and the service differ"),
        ({"topic": "voice_rl/action/switch/turn_on"}, "the topic and the service differ"),
        ({"target": {"entity_id": "all"}}, "an entity of another domain, or all of them"),
        ({"target": {"entity_id": ["light.desk", "all"]}}, "an entity of another domain, or all of them"),
        ({"target": {"entity_id": ["light.desk", "lock.front"]}}, "an entity of another domain, or all of them"),
        ({"target": {"entity_id": ["light.desk\n"]}}, "an entity of another domain, or all of them"),
        ({"target": {"entity_id": ["group.everything"]}}, "an entity of another domain, or all of them"),
        ({"target": {"entity_id": []}}, "expected entities as the target"),
        ({"target": {"entity_id": 7}}, "expected entities as the target"),
        ({"target": {}}, "expected entities as the target"),
        ({"target": None}, "expected entities as the target"),
        ({"target": {"area_id": "kitchen"}}, "expected entities as the target"),
        ({"target": {"entity_id": ["light.desk"], "area_id": "kitchen"}}, "expected entities as the target"),
        ({"data": {"entity_id": "all"}}, "a target inside the data"),
        ({"data": {"area_id": "kitchen"}}, "a target inside the data"),
    ],
)
def test_package_refuses_and_says_why(changes: dict[str, Any], why: str) -> None:
    """A late, mismatched or too broad call is not run, and the refusal is answered."""
    called, results = dispatch(**changes)

    assert called is None
    assert results == [{"decision_id": "d-1", "step": 1, "ok": False, "error": why}]


@pytest.mark.parametrize(
    ("service", "entity_id"),
    [
        ("lock.unlock", "lock.front"),
        ("cover.open_cover", "cover.garage"),
        ("cover.open_cover", "cover.front_gate"),
        ("valve.open_valve", "valve.water"),
        ("alarm_control_panel.alarm_disarm", "alarm_control_panel.home"),
        ("homeassistant.turn_off", "light.desk"),
        ("shell_command.wipe", "light.desk"),
        ("script.party", "script.party"),
    ],
)
def test_package_leaves_guarded_and_unlisted_domains_alone(service: str, entity_id: str) -> None:
    """The first automation does nothing with locks, garages, gates, alarms, and what is not in its list."""
    assert dispatch(service=service, target={"entity_id": [entity_id]}) == (None, [])


@pytest.mark.parametrize(
    ("service", "entity_id", "is_guarded"),
    [
        ("lock.unlock", "lock.front", True),
        ("cover.open_cover", "cover.garage", True),
        ("cover.open_cover", "cover.blind", False),
        ("light.turn_on", "light.desk", False),
    ],
)
def test_package_runs_each_call_in_one_automation_only(service: str, entity_id: str, *, is_guarded: bool) -> None:
    """No call is run by both automations."""
    by_first, by_second = (dispatch(guarded=guarded, service=service, target={"entity_id": [entity_id]})[0] for guarded in (False, True))

    assert (by_first is not None, by_second is not None) == (not is_guarded, is_guarded)


def test_package_never_runs_alarms() -> None:
    """The second automation leaves alarms alone too."""
    changes: dict[str, Any] = {"service": "alarm_control_panel.alarm_disarm", "target": {"entity_id": ["alarm_control_panel.home"]}}

    assert dispatch(guarded=True, **changes) == (None, [])


@pytest.mark.parametrize("payload", ["", "no JSON", "5", "[]", '"light.turn_on"', "null", "{}", '{"target": 5, "service": [], "data": 3}'])
def test_package_never_acts_on_a_malformed_payload(payload: str) -> None:
    """Whatever is no call runs nothing."""
    for automation in load()["automation"]:
        assert run(automation, payload, "voice_rl/action/light/turn_on")[0] is None


def test_package_structure_holds() -> None:
    """Two queued automations on the action topics with unique ids, the guarded one off; states come under voice_rl/state."""
    package = load()
    automations = package["automation"]

    assert package["mqtt_statestream"]["base_topic"] == "voice_rl/state"
    assert set(automations[0]["variables"]["allowed"]) <= set(package["mqtt_statestream"]["include"]["domains"])
    assert len({one["id"] for one in automations}) == len(automations) == 2
    assert [one.get("initial_state") for one in automations] == [None, False]
    for one in automations:
        assert one["mode"] == "queued"
        assert [trigger["topic"] for trigger in one["trigger"]] == ["voice_rl/action/+/+"]
        assert "alarm_control_panel" not in one["variables"]["allowed"]
    assert not {"lock", "valve", "script", "homeassistant"} & set(automations[0]["variables"]["allowed"])
