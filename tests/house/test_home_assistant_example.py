"""The package of Home Assistant: its structure, and its templates rendered as Home Assistant renders them."""

import ast
import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from voice_rl_plugin.deciding import wording
from voice_rl_plugin.deciding.safety import any_risky
from voice_rl_plugin.domain.action import parse_action
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.doors import native

PACKAGE = Path(__file__).parents[2] / "examples" / "home_assistant" / "packages" / "voice_rl.yaml"
NOW = 1_790_000_000.0
DEVICE_CLASSES = {"cover.garage": "garage", "cover.front_gate": "gate", "cover.blind": "blind"}
STATES = {"light.gone": "unavailable", "light.missing": "unknown", "light.stubborn": "off", "cover.blind": "opening"}
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
    text = render_text(template, scope)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


class States:
    """What a template sees of the states: some lamps are on, one is unavailable, one is missing."""

    def __getitem__(self, entity_id: str) -> str | None:
        """Return a state; None for what is missing."""
        return None if "missing" in entity_id else self(entity_id)

    def __call__(self, entity_id: str) -> str:
        """Return a state in words."""
        return STATES.get(entity_id, "on")


def render_text(template: str, scope: Mapping[str, Any]) -> str:
    """Render a template to the text that a service gets which wants one."""
    environment = ImmutableSandboxedEnvironment()
    environment.tests["match"] = lambda value, pattern: re.match(pattern, str(value)) is not None
    environment.filters["to_json"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.globals.update(
        now=lambda: SimpleNamespace(at=NOW),
        as_timestamp=lambda time: time.at,
        state_attr=lambda entity_id, name: DEVICE_CLASSES.get(entity_id) if name == "device_class" else None,
        states=States(),
    )
    return environment.from_string(template).render(scope).strip()


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
        if "wait_template" in step:
            assert step["continue_on_timeout"] is True
            scope["wait"] = SimpleNamespace(completed=render(step["wait_template"], scope) in (True, "true"))
            continue
        service = render(step["service"], scope)
        if service == "mqtt.publish":
            assert step["data"]["topic"] == "voice_rl/result"
            results.append(json.loads(render(step["data"]["payload"], scope)))
        else:
            called = (service, render(step["target"], scope), render(step["data"], scope))
    return called, results


def dispatch(
    *, guarded: bool = False, topic: str | None = None, only: list[str] | None = None, **changes: Any
) -> tuple[Any, list[dict[str, Any]]]:
    """Run one of the two automations on the sample call with changes; `only` is its list of entities."""
    call = CALL | changes
    topic = topic or "voice_rl/action/" + str(call["service"]).replace(".", "/")
    automation = load()["automation"][int(guarded)]
    automation["variables"]["only"] = automation["variables"]["only"] if only is None else only
    return run(automation, json.dumps(call), topic)


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
        ({"target": {"entity_id": ["light.missing"]}}, "missing or unavailable"),
        ({"target": {"entity_id": ["light.desk", "light.gone"]}}, "missing or unavailable"),
        ({"only": ["light.other"]}, "an entity that is not in the list"),
        ({"only": ["light.desk"], "target": {"entity_id": ["light.desk", "light.other"]}}, "an entity that is not in the list"),
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
    target = {"entity_id": [entity_id]}
    by_first, by_second = (dispatch(guarded=guarded, only=[entity_id], service=service, target=target)[0] for guarded in (False, True))

    assert (by_first is not None, by_second is not None) == (not is_guarded, is_guarded)


def test_package_never_runs_alarms() -> None:
    """The second automation leaves alarms alone too."""
    changes: dict[str, Any] = {"service": "alarm_control_panel.alarm_disarm", "target": {"entity_id": ["alarm_control_panel.home"]}}

    assert dispatch(guarded=True, only=["alarm_control_panel.home"], **changes) == (None, [])


def test_package_moves_no_lock_that_is_not_listed() -> None:
    """Switched on, the second automation still does nothing but with the locks and doors that are listed by name."""
    changes: dict[str, Any] = {"service": "lock.lock", "target": {"entity_id": ["lock.front"]}}

    called, results = dispatch(guarded=True, **changes)

    assert called is None
    assert [one["error"] for one in results] == ["an entity that is not in the list"]
    assert dispatch(guarded=True, only=["lock.front"], **changes)[0] is not None


@pytest.mark.parametrize(
    ("service", "entity_id", "is_seen"),
    [
        ("light.turn_on", "light.desk", True),
        ("light.turn_on", "light.stubborn", False),
        ("light.turn_off", "light.stubborn", True),
        ("cover.open_cover", "cover.blind", True),
        ("cover.close_cover", "cover.blind", False),
        ("cover.set_cover_position", "cover.blind", True),
        ("climate.turn_on", "climate.hall", True),
        ("scene.turn_on", "scene.night", True),
    ],
)
def test_package_says_ok_when_the_device_obeyed(service: str, entity_id: str, *, is_seen: bool) -> None:
    """A service that ended is no success while the device is not on, off, open or closed as it was told."""
    called, results = dispatch(service=service, target={"entity_id": entity_id})

    assert called is not None
    expected = {"decision_id": "d-1", "step": 1, "ok": is_seen}
    assert results == [expected if is_seen else expected | {"error": "unseen"}]


@pytest.mark.parametrize("payload", ["", "no JSON", "5", "[]", '"light.turn_on"', "null", "{}", '{"target": 5, "service": [], "data": 3}'])
def test_package_never_acts_on_a_malformed_payload(payload: str) -> None:
    """Whatever is no call runs nothing."""
    for automation in load()["automation"][:2]:
        assert run(automation, payload, "voice_rl/action/light/turn_on")[0] is None


def test_package_structure_holds() -> None:
    """Unique ids, two queued automations on the action topics, the guarded one off; states come under voice_rl/state."""
    package = load()
    automations = package["automation"]

    assert package["mqtt_statestream"]["base_topic"] == "voice_rl/state"
    assert set(automations[0]["variables"]["allowed"]) <= set(package["mqtt_statestream"]["include"]["domains"])
    assert len({one["id"] for one in automations}) == len(automations) == 4
    assert [one.get("initial_state") for one in automations] == [None, False, None, None]
    for one in automations[:2]:
        assert one["mode"] == "queued"
        assert [trigger["topic"] for trigger in one["trigger"]] == ["voice_rl/action/+/+"]
        assert "alarm_control_panel" not in one["variables"]["allowed"]
    assert not {"lock", "valve", "script", "homeassistant"} & set(automations[0]["variables"]["allowed"])


ANSWERS = {
    "en": {"response": {"response_type": "action_done", "speech": {"plain": {"speech": "Added milk.", "extra_data": None}}}},
    "zh": {"response": {"response_type": "query_answer", "speech": {"plain": {"speech": "今天晴，20度。"}}}},
    "unknown": {"response": {"response_type": "error", "speech": {"plain": {"speech": "Sorry, I couldn't understand that"}}}},
    "mute": {"response": {"response_type": "action_done", "speech": {}}},
}
HANDED = {
    "decision_id": "d-2",
    "step": 1,
    "steps": 1,
    "expires_at": NOW + 5,
    "service": "intent.HassListAddItem",
    "target": {},
    "data": {"item": "milk"},
    "text": "add milk to the list",
    "language": "en",
}


def hand_over(payload: str, *, answer: str = "en", speaker: str = "", topic: str = "intent/HassListAddItem") -> list[dict[str, Any]]:
    """Run the automation of the intents on one message; return its service calls, rendered."""
    automation = load()["automation"][2]
    trigger: dict[str, Any] = {"topic": f"voice_rl/action/{topic}", "payload": payload}
    with contextlib.suppress(ValueError):
        trigger["payload_json"] = json.loads(payload)
    scope: dict[str, Any] = {"trigger": trigger, **automation["variables"], "speaker": speaker}
    if any(render(one["value_template"], scope) is not True for one in automation["condition"]):
        return []
    return list(steps_of(automation["action"], scope, ANSWERS[answer]))


def steps_of(steps: list[dict[str, Any]], scope: dict[str, Any], answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the service calls of some steps, rendered."""
    for step in steps:
        if "variables" in step:
            scope |= {name: render(value, scope) for name, value in step["variables"].items()}
        elif "choose" in step:
            chosen = [one["sequence"] for one in step["choose"] if render(one["conditions"][0]["value_template"], scope) is True]
            yield from steps_of(chosen[0] if chosen else step.get("default", []), scope, answer)
        else:
            yield render_all(step, scope)
            if "response_variable" in step:
                scope[step["response_variable"]] = answer


def render_all(value: Any, scope: Mapping[str, Any]) -> Any:
    """Render every template in a value; JSON stays text."""
    if isinstance(value, Mapping):
        return {key: render_all(one, scope) for key, one in value.items()}
    return render_text(value, scope) if isinstance(value, str) else value


def results_of(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what went to voice_rl/result."""
    return [json.loads(call["data"]["payload"]) for call in calls if call["service"] == "mqtt.publish"]


@pytest.mark.parametrize(
    ("text", "language", "name", "speech"),
    [("add milk to the list", "en", "HassListAddItem", "Added milk."), ("今天天气怎么样", "zh", "HassGetWeather", "今天晴，20度。")],
)
def test_package_hands_an_intent_to_the_conversation_agent(text: str, language: str, name: str, speech: str) -> None:
    """The sentence goes to Home Assistant's own agent, the result is answered, and a script that was named speaks the answer."""
    payload = json.dumps(HANDED | {"text": text, "language": language, "service": f"intent.{name}"})
    handed, answered, spoken = hand_over(payload, answer=language, speaker="script.speak", topic=f"intent/{name}")

    assert handed["service"] == "conversation.process"
    assert handed["data"] == {"agent_id": "conversation.home_assistant", "text": text, "language": language}
    assert native.parse_result(answered["data"]["payload"].encode()) == native.ActionResult(decision_id="d-2", step=1, is_ok=True)
    assert (spoken["service"], spoken["target"]) == ("script.turn_on", {"entity_id": "script.speak"})
    assert spoken["data"] == {"variables": {"text": speech, "language": language}}


@pytest.mark.parametrize(("answer", "speaker", "count"), [("en", "", 2), ("mute", "script.speak", 2), ("unknown", "script.speak", 2)])
def test_package_speaks_only_an_answer_and_only_where_a_script_is_named(answer: str, speaker: str, count: int) -> None:
    """Without a script, without an answer, and after an error nothing is spoken."""
    assert len(hand_over(json.dumps(HANDED), answer=answer, speaker=speaker)) == count


def test_package_says_when_the_agent_did_not_understand() -> None:
    """An error of the agent is a result that is not ok, with the agent's words."""
    calls = hand_over(json.dumps(HANDED), answer="unknown")

    assert results_of(calls) == [{"decision_id": "d-2", "step": 1, "ok": False, "error": "Sorry, I couldn't understand that"}]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"expires_at": NOW - 0.1}, "expired"),
        ({"expires_at": None}, "expired"),
        ({"expires_at": NOW + 3600}, "the clocks differ"),
        ({"service": "intent.HassGetWeather"}, "the topic and the service differ"),
        ({"service": "light.turn_on"}, "the topic and the service differ"),
        ({"service": "intent.HassTurnOff", "topic": "intent/HassTurnOff"}, "an intent that is not allowed"),
        ({"steps": 2}, "said together with something else"),
        ({"text": " "}, "no words"),
        ({"text": None}, "no words"),
        ({"text": ["unlock"]}, "no words"),
    ],
)
def test_package_hands_nothing_over_that_is_late_or_unclear(changes: dict[str, Any], why: str) -> None:
    """What is late, mismatched, not allowed, only a part of the sentence, or without words is refused with the reason."""
    topic = changes.pop("topic", "intent/HassListAddItem")
    calls = hand_over(json.dumps(HANDED | changes), topic=topic)

    assert [call["service"] for call in calls] == ["mqtt.publish"]
    assert results_of(calls) == [{"decision_id": "d-2", "step": 1, "ok": False, "error": why}]


@pytest.mark.parametrize("payload", ["", "no JSON", "5", "[]", "null"])
def test_package_hands_nothing_malformed_over(payload: str) -> None:
    """Whatever is no object hands nothing over."""
    assert hand_over(payload) == []


def test_package_allows_the_intents_that_the_daemon_hands_over() -> None:
    """The list of intents is the one that the daemon knows words for."""
    assert set(load()["automation"][2]["variables"]["allowed"]) == set(wording._INTENTS["en"]) - {""}


def attributes_of(name: str, **more: Any) -> dict[str, Any]:
    """Return the attributes of a device."""
    return {"friendly_name": name, **more}


REGISTRY: dict[str, dict[str, dict[str, Any]]] = {
    "kitchen": {
        "light.counter": attributes_of("Counter Bar", supported_color_modes=["brightness"], supported_features=0),
        "light.hidden": attributes_of("Strip 4"),
        "light.disabled": {},
        "switch.led": attributes_of("Oven LED"),
        "sensor.heat": attributes_of("Heat"),
        "assist_satellite.kitchen": attributes_of("Kitchen satellite"),
    },
    "garage": {
        "cover.garage": attributes_of("Garage Door", device_class="garage", supported_features=3),
        "light.both": attributes_of('"Both" \\ Lamps', entity_id=["light.left", "light.right"]),
    },
    "keting": {"light.main": attributes_of("客厅主灯"), "scene.film": attributes_of("观影")},
}
SCENES = {"scene.night": attributes_of("Good Night")}
FLOORS = {"kitchen": "ground", "garage": None, "keting": "ground"}
AREA_NAMES = {"kitchen": "Kitchen", "garage": "Garage", "keting": "客厅"}


def published_home(*, labelled: tuple[str, ...] = ()) -> Home:
    """Return the home that the package publishes, as the daemon reads it."""
    automation = load()["automation"][3]
    entities = {entity_id: attributes for inside in REGISTRY.values() for entity_id, attributes in inside.items()} | SCENES
    scope = automation["variables"] | {
        "floors": lambda: ["ground"],
        "floor_name": {"ground": "Ground Floor"}.get,
        "floor_id": FLOORS.get,
        "areas": lambda: list(REGISTRY),
        "area_name": AREA_NAMES.get,
        "area_entities": lambda area: list(REGISTRY[area]),
        "state_attr": lambda entity_id, name: entities[entity_id].get(name),
        "is_hidden_entity": lambda entity_id: entity_id == "light.hidden",
        "label_entities": lambda label: list(labelled) if label == "voice" else [],
        "states": SimpleNamespace(scene=[SimpleNamespace(entity_id=one) for one in ("scene.night", "scene.film")]),
    }
    publish = automation["action"][-1]
    assert (publish["service"], publish["data"]["topic"], publish["data"]["retain"]) == ("mqtt.publish", "voice_rl/home", True)
    return native.parse_home(render_text(publish["data"]["payload"], scope).encode(), max_bytes=1_000_000)


def test_package_publishes_a_home_that_the_daemon_reads() -> None:
    """Areas, floors, satellites, and the devices that are not hidden, with what tells their abilities, groups and risks."""
    home = published_home()
    entities = home.entity_by_id

    assert [(area.id, area.name, area.floor) for area in home.areas] == [
        ("kitchen", "Kitchen", "ground"),
        ("garage", "Garage", None),
        ("keting", "客厅", "ground"),
    ]
    assert set(entities) == {"light.counter", "cover.garage", "light.both", "light.main", "scene.film", "scene.night"}
    assert (entities["light.main"].name, entities["light.main"].area) == ("客厅主灯", "keting")
    assert (entities["scene.night"].name, entities["scene.night"].area) == ("Good Night", None)
    assert entities["light.counter"].abilities == {"on_off", "brightness"}
    assert (entities["light.both"].name, entities["light.both"].members) == ('"Both" \\ Lamps', ("light.left", "light.right"))
    assert any_risky([parse_action("cover.open_cover cover.garage")], home)
    assert [(one.id, one.area) for one in home.satellites] == [("assist_satellite.kitchen", "kitchen")]


def test_package_publishes_only_what_is_labelled_where_anything_is() -> None:
    """A label is the owner's word: a switch is told with it, and everything without it is left out."""
    home = published_home(labelled=("switch.led", "light.main", "scene.night"))

    assert {entity.id: entity.area for entity in home.entities} == {"switch.led": "kitchen", "light.main": "keting", "scene.night": None}


def test_package_publishes_the_home_at_the_start_and_after_changes() -> None:
    """The home is told when Home Assistant has started and when areas, devices or names change; the last change counts."""
    automation = load()["automation"][3]

    assert automation["trigger"][0] == {"platform": "homeassistant", "event": "start"}
    assert set(automation["trigger"][1]["event_type"]) == {f"{kind}_registry_updated" for kind in ("area", "device", "entity")}
    assert automation["mode"] == "restart"
    assert set(automation["variables"]["domains"]) <= set(load()["mqtt_statestream"]["include"]["domains"])
