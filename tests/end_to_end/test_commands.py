"""Commands over a real broker with the shipped model: the first four, what is handed over, what is asked, and what is wrong."""

import json
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.end_to_end.conftest import START_S, Household, start_command
from tests.mosquitto import Watcher, running_mosquitto
from voice_rl_plugin.cli import main
from voice_rl_plugin.demo.session import shipped_home

KITCHEN = ["light.counter_bar", "light.kitchen_ceiling"]
SEED = [
    ("en", "turn on the lights", "kitchen", "light.turn_on", KITCHEN),
    ("en", "turn off the lights", "kitchen", "light.turn_off", KITCHEN),
    ("en", "turn on the light", "hall", "light.turn_on", ["light.hall_light"]),
    ("en", "turn off the light", "hall", "light.turn_off", ["light.hall_light"]),
    ("en", "volume up", "kitchen", "media_player.volume_up", ["media_player.radio"]),
    ("en", "volume down", "kitchen", "media_player.volume_down", ["media_player.radio"]),
    ("zh", "打开灯", "kitchen", "light.turn_on", KITCHEN),
    ("zh", "关闭灯", "kitchen", "light.turn_off", KITCHEN),
    ("zh", "打开灯", "hall", "light.turn_on", ["light.hall_light"]),
    ("zh", "关闭灯", "hall", "light.turn_off", ["light.hall_light"]),
    ("zh", "调高音量", "kitchen", "media_player.volume_up", ["media_player.radio"]),
    ("zh", "调低音量", "kitchen", "media_player.volume_down", ["media_player.radio"]),
]
HOME_ASSISTANT = {"en": "Home Assistant does that itself.", "zh": "这件事由Home Assistant来做。"}


@pytest.mark.parametrize(("language", "text", "area", "service", "targets"), SEED)
def test_first_commands_act_on_what_is_where_the_speaker_is(
    households: dict[str, Household], language: str, text: str, area: str, service: str, targets: list[str]
) -> None:
    """Light and volume, on and off, up and down: the right devices act, and that is said once it was seen."""
    house = households[language]

    decision = house.say(text, area=area)

    assert (decision["outcome"], decision["executor"]) == ("act", "dispatch"), decision
    assert [(one["service"], one["target"]["entity_id"]) for one in decision["actions"]] == [(service, targets)]
    assert house.spoken(decision) == ("好了。" if language == "zh" else "Done.")
    if service.startswith("light"):
        for target in targets:
            house.wait_state(target, service.rpartition("_")[2])


@pytest.mark.parametrize(("language", "text", "area", "service", "targets"), SEED)
def test_first_commands_are_explained_by_decide(
    capsys: pytest.CaptureFixture[str], language: str, text: str, area: str, service: str, targets: list[str]
) -> None:
    """`voice-rl decide` says what would be done, why, how sure it is, and what else was considered."""
    assert main(["decide", text, "--home", str(shipped_home(language)), "--area", area]) == 0
    explained = capsys.readouterr().out

    assert explained.startswith("act: ")
    assert " ".join([service, *targets]) in explained
    assert "considered:" in explained
    assert ("把握" if language == "zh" else "sure") in explained


@pytest.mark.parametrize(
    ("language", "text", "service"),
    [("en", "add milk to the shopping list", "HassShoppingListAddItem"), ("zh", "今天天气怎么样", "HassGetWeather")],
)
def test_intent_is_handed_to_home_assistant(households: dict[str, Household], language: str, text: str, service: str) -> None:
    """A list or the weather goes out as an intent with its expiry; who does it is said when it was reported, not before."""
    house = households[language]

    decision = house.say(text, area="kitchen")
    action = house.watcher.wait_topic(f"voice_rl/action/intent/{service}")

    assert (decision["outcome"], decision["executor"]) == ("act", "dispatch"), decision
    assert (action["decision_id"], action["service"]) == (decision["decision_id"], f"intent.{service}")
    assert 0 < action["expires_at"] - time.time() < 6
    assert house.spoken(decision) == HOME_ASSISTANT[language]
    result = house.watcher.wait_for(lambda one: one.topic == "voice_rl/result" and decision["decision_id"].encode() in one.payload)
    assert json.loads(result.payload)["ok"] is True


@pytest.mark.parametrize(("text", "answer"), [("is the front door locked", "The Front Door is locked.")])
def test_question_is_answered_and_nothing_is_dispatched(house: Household, text: str, answer: str) -> None:
    """A question about a state is answered from the live state; no action goes out."""
    house.say("my brother reads a long book", area=None)  # whatever was published before has come by now
    before = len([one for one in house.watcher.seen if one.topic.startswith("voice_rl/action/")])

    decision = house.say(text, area="kitchen")

    assert (decision["outcome"], decision["executor"]) == ("act", "none")
    assert [one["service"] for one in decision["actions"]] == ["query.state"]
    assert house.spoken(decision) == answer
    assert len([one for one in house.watcher.seen if one.topic.startswith("voice_rl/action/")]) == before


def test_risky_action_asks_and_runs_once_after_its_own_yes(house: Household) -> None:
    """Unlocking asks first; the yes with its decision id unlocks once."""
    decision = house.say("unlock the front door", area="hall")
    assert (decision["outcome"], decision["reason_code"]) == ("clarify", "risky")
    assert house.devices.devices.states["lock.front_door"].value == "locked"

    house.confirm(decision, "yes")
    house.wait_state("lock.front_door", "unlocked")
    house.confirm(decision, "yes")
    house.say("lock the front door", area="hall")
    house.wait_state("lock.front_door", "locked")
    assert len(house.watcher.on_topic("voice_rl/action/lock/unlock")) == 1


BAD = [
    ("voice_rl/command", b'{"text": ', "JSON"),
    ("voice_rl/command", b"\xff\xfe\x00", "UTF-8"),
    ("voice_rl/command", b"", "empty"),
    ("voice_rl/command", b"x" * 1_000_000, "bytes"),
    ("voice_rl/command/dungeon", b"turn on the lights", "dungeon"),
    ("voice_rl/confirm", b'{"decision_id": "nobody", "verdict": "yes"}', "nobody"),
    ("voice_rl/confirm", b"perhaps", "verdict"),
    ("voice_rl/result", b"[]", "object"),
    ("voice_rl/home", b'{"areas": 5}', "areas"),
]


@pytest.mark.parametrize(("topic", "payload", "word"), BAD, ids=[f"{topic.rpartition('/')[2]}-{word}" for topic, _, word in BAD])
def test_bad_message_is_one_clear_error(house: Household, topic: str, payload: bytes, word: str) -> None:
    """A message that cannot be used is one error that says what was wrong; nothing is decided, and the next command works."""
    errors, decisions = len(house.watcher.on_topic("voice_rl/error")), len(house.watcher.on_topic("voice_rl/decision"))

    house.watcher.publish(topic, payload)
    error = house.watcher.wait_topic("voice_rl/error", count=errors + 1)

    assert (error["error"], error["topic"]) == ("MessageError", topic)
    assert word in error["detail"]
    assert house.say("volume up", area="kitchen")["outcome"] == "act"
    assert len(house.watcher.on_topic("voice_rl/error")) == errors + 1
    assert len(house.watcher.on_topic("voice_rl/decision")) == decisions + 1


def test_duplicate_is_done_once(house: Household) -> None:
    """The same id twice is one decision and one action."""
    house.say("my brother reads a long book", area=None)  # whatever was published before has come by now
    before = len(house.watcher.on_topic("voice_rl/action/media_player/volume_up"))

    for _ in range(2):
        house.watcher.publish("voice_rl/command/kitchen", {"text": "volume up", "id": "twice", "at": time.time()})
    house.say("my brother reads a long book", area=None)

    assert len(house.watcher.on_topic("voice_rl/action/media_player/volume_up")) == before + 1


def run_until_online(tmp_path: Path, **settings: object) -> tuple[subprocess.Popen[str], Watcher]:
    """Start a daemon of its own and wait until it is online."""
    port = settings.pop("port")
    path = tmp_path / "voice_rl.yaml"
    defaults: dict[str, object] = {"store": {"path": str(tmp_path / "store")}, "models": {"path": str(tmp_path / "models")}}
    path.write_text(yaml.safe_dump({"mqtt": {"port": port}} | defaults | settings), encoding="utf-8")
    watcher = Watcher(int(str(port)))
    process = start_command(["run", "--config", str(path)])
    watcher.wait_for(lambda one: one.topic == "voice_rl/status" and one.payload == b"online", "online", deadline_s=START_S)
    return process, watcher


def test_retained_command_is_ignored(tmp_path: Path) -> None:
    """A command that lies retained at the broker is not executed at the start, and is counted."""
    with running_mosquitto(tmp_path) as server:
        early = Watcher(server.port, name="early")
        early.publish("voice_rl/command/kitchen", "turn on the lights", retain=True)
        process, watcher = run_until_online(tmp_path, port=server.port, home={"file": str(shipped_home("en"))})
        watcher.publish("voice_rl/command/kitchen", "volume up")
        decision = watcher.wait_topic("voice_rl/decision")
        process.terminate()
        process.communicate(timeout=START_S)
        early.close()
        watcher.close()

    assert decision["utterance"] == "volume up"


def test_corrupt_champion_falls_back_to_the_shipped_model(tmp_path: Path) -> None:
    """A champion whose file was changed is not loaded: the shipped model decides, and nothing is lost."""
    broken = tmp_path / "models" / "2026-01-01-1"
    broken.mkdir(parents=True)
    (broken / "policy.onnx").write_bytes(b"not a model")
    (broken / "manifest.json").write_text(json.dumps({"version": "2026-01-01-1", "files": {"policy.onnx": "0" * 64}}))
    (tmp_path / "models" / "champion").write_text(json.dumps({"version": "2026-01-01-1", "previous": ["base"]}))
    with running_mosquitto(tmp_path) as server:
        process, watcher = run_until_online(tmp_path, port=server.port, home={"file": str(shipped_home("en"))})
        watcher.publish("voice_rl/command/kitchen", "turn on the lights")
        decision = watcher.wait_topic("voice_rl/decision")
        process.terminate()
        _, log = process.communicate(timeout=START_S)
        watcher.close()

    assert (decision["outcome"], decision["policy_version"]) == ("act", "base")
    assert "2026-01-01-1 is not used" in log


@pytest.mark.parametrize("content", ["areas: [", "areas: 5", "\x00"])
def test_unreadable_home_file_ends_with_two(tmp_path: Path, content: str) -> None:
    """A home file that cannot be used is one line on stderr and exit code 2."""
    (tmp_path / "home.yaml").write_text(content, encoding="utf-8")
    (tmp_path / "voice_rl.yaml").write_text(yaml.safe_dump({"home": {"file": str(tmp_path / "home.yaml")}}), encoding="utf-8")

    process = start_command(["run", "--config", str(tmp_path / "voice_rl.yaml")])
    out, err = process.communicate(timeout=START_S)

    assert (process.returncode, out) == (2, "")
    assert err.strip().count("\n") == 0
    assert "home.yaml" in err
