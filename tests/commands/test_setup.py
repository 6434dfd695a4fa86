"""`voice-rl init`, `doctor` and `device`: a real mosquitto, open and closed, the real daemon with the shipped model, and a page that is Home Assistant's."""

import contextlib
import http
import http.server
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.homes.replay import Player, from_them
from tests.mosquitto import DEADLINE_S, Watcher, free_port, running_mosquitto
from voice_rl_plugin.cli import main
from voice_rl_plugin.commands._line import Line, LoginRefusedError, check_port
from voice_rl_plugin.commands._search import find_home_assistant, is_home_assistant
from voice_rl_plugin.commands.init import render
from voice_rl_plugin.config import Config, HomeSection, MqttSection, load_config
from voice_rl_plugin.daemon import build_daemon
from voice_rl_plugin.errors import BrokerError
from voice_rl_plugin.learning.models import BASE_FOLDER, ModelStore

ROOT = Path(__file__).parents[2]
HOMES = {language: ROOT / "examples" / f"home.{language}.yaml" for language in ("en", "zh")}
DEVICE = "homeassistant/device/voice_rl/config"
Run = Callable[..., tuple[int, Any]]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep everything in the test's folder."""
    for name in [one for one in os.environ if one.startswith("VOICE_RL")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command with --json and returns its exit code and what it printed; of a failure the line on stderr."""

    def run_it(*arguments: str) -> tuple[int, Any]:
        code = main([*arguments, "--json"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if code != 2 else printed.err

    return run_it


@pytest.fixture
def home_assistant() -> Iterator[str]:
    """Serve the one page by which Home Assistant is known, and return its address."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/manifest.json" else 404)
            self.end_headers()
            self.wfile.write(b'{"name": "Home Assistant", "short_name": "Assistant"}')

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def closed_port(tmp_path: Path) -> Iterator[int]:
    """Run a broker that asks for a name and a password, and grants the rights of our example."""
    passwords = tmp_path / "passwords"
    passwords.touch()
    rights = shutil.copy(ROOT / "examples" / "mosquitto" / "acl", tmp_path / "acl")
    Path(rights).chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "voice_rl", "geheim"], check=True, capture_output=True)
    with running_mosquitto(tmp_path, extra=f"allow_anonymous false\npassword_file {passwords}\nacl_file {rights}\n") as server:
        yield server.port


@contextlib.contextmanager
def running_daemon(config: Config) -> Iterator[None]:
    """Run the real daemon with the shipped model."""
    daemon = build_daemon(config)
    thread = threading.Thread(target=daemon.run, daemon=True)
    thread.start()
    try:
        assert daemon.is_ready.wait(DEADLINE_S)
        yield
    finally:
        daemon.stop()
        thread.join(DEADLINE_S)


def by_check(told: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Return findings by what was looked at."""
    found: dict[str, list[dict[str, str]]] = {}
    for one in told["findings"]:
        found.setdefault(one["check"], []).append(one)
    return found


# init


def test_init_writes_a_configuration_that_the_daemon_takes(tmp_path: Path, run: Run, home_assistant: str) -> None:
    """The broker is found and tried, Home Assistant named, the file commented, and its keys are those of the defaults."""
    file = tmp_path / "etc" / "voice_rl.yaml"
    with running_mosquitto(tmp_path) as server:
        code, told = run(
            "init", "--config", str(file), "--port", str(server.port), "--home", str(HOMES["zh"]), "--home-assistant", home_assistant
        )
        config = load_config(file)

    assert code == 0
    assert (told["broker"]["host"], told["broker"]["port"], told["home_assistant"]) == ("127.0.0.1", server.port, home_assistant)
    assert (config.mqtt.port, config.home.file, config.doors.discovery_language) == (server.port, HOMES["zh"], "zh")
    assert (
        config.to_mapping()
        == replace(Config(), mqtt=config.mqtt, home=config.home, doors=replace(Config().doors, discovery_language="zh")).to_mapping()
    )
    assert file.read_text(encoding="utf-8").count("#") >= 8
    assert home_assistant in file.read_text(encoding="utf-8")


def test_init_does_not_replace_without_being_told(tmp_path: Path, run: Run) -> None:
    """A configuration that is there stays; --force replaces it, --print writes nothing."""
    file = tmp_path / "voice_rl.yaml"
    file.write_text("mqtt: {port: 7}\n")
    with running_mosquitto(tmp_path) as server:
        arguments = ("init", "--config", str(file), "--port", str(server.port), "--home-assistant", "http://127.0.0.1:1")
        code, line = run(*arguments)
        assert (code, line.count("\n"), "--force" in line) == (2, 1, True)
        assert run(*arguments, "--print")[1]["file"] is None
        assert file.read_text() == "mqtt: {port: 7}\n"
        assert run(*arguments, "--force")[0] == 0

    assert load_config(file).mqtt.port == server.port


def test_init_reads_the_home_from_the_broker_and_lists_what_to_mend(tmp_path: Path, run: Run) -> None:
    """What Home Assistant published is looked through: doubles, things without a place, and what should ask first, which is written down."""
    home = {
        "areas": [{"id": "kitchen", "name": "Kitchen"}],
        "entities": [
            {"id": "switch.oven", "name": "Oven", "area": "kitchen"},
            {"id": "light.a", "name": "Lamp", "area": "kitchen"},
            {"id": "light.b", "name": "Lamp", "area": "kitchen"},
            {"id": "light.c", "name": "Somewhere"},
        ],
    }
    file = tmp_path / "voice_rl.yaml"
    with running_mosquitto(tmp_path) as server:
        watcher = Watcher(server.port)
        watcher.publish("voice_rl/home", home, retain=True)
        watcher.close()
        code, told = run("init", "--config", str(file), "--port", str(server.port), "--home-assistant", "http://127.0.0.1:1")

    found = by_check(told)
    assert code == 0
    assert load_config(file).safety.risky == ("switch.oven",)
    assert [len(found[check]) for check in ("names", "areas")] == [1, 1]
    assert all(one["fix"] for one in told["findings"] if one["level"] in ("warning", "error"))
    assert (told["home_assistant"], found["home assistant"][0]["level"]) == (None, "warning")


@contextlib.contextmanager
def playing_with_page(player: Player) -> Iterator[str]:
    """Serve a recorded Home Assistant, and the page by which it is known."""

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(http.HTTPStatus.OK, '{"name": "Home Assistant"}') if request.path == "/manifest.json" else None

    with serve(player.play, "127.0.0.1", 0, close_timeout=0.2, ping_interval=None, process_request=answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()


def test_init_with_a_token_takes_the_home_from_home_assistant(tmp_path: Path, run: Run, asked: Player) -> None:
    """With a token the registries tell the home, the configuration names address and token, and services are called without a package."""
    (tmp_path / "token").write_text("TOKEN\n")
    (tmp_path / "token").chmod(0o600)
    file = tmp_path / "voice_rl.yaml"
    with running_mosquitto(tmp_path) as server, playing_with_page(asked) as address:
        arguments = ("init", "--config", str(file), "--port", str(server.port), "--home-assistant", address)
        code, told = run(*arguments, "--token-file", str(tmp_path / "token"))
    config = load_config(file)

    assert (code, told["home_assistant"]) == (0, address)
    assert (config.home.home_assistant, config.home.token_file) == (address, tmp_path / "token")
    assert config.dispatch.executor == "home_assistant"
    assert "TOKEN" not in file.read_text()
    assert [one["level"] for one in told["findings"] if one["check"] == "secrets"] == ["ok"]
    assert "home" not in by_check(told), "it is known"


def test_init_with_a_token_that_is_not_known_writes_nothing(tmp_path: Path, run: Run, asked: Player) -> None:
    """A refused token is one line; so is a token for a Home Assistant that is not there."""
    (tmp_path / "token").write_text("ANOTHER\n")
    arguments = ("--token-file", str(tmp_path / "token"), "--config", str(tmp_path / "voice_rl.yaml"))
    refusing = Player([*asked._lines[:2], *from_them(1, {"type": "auth_invalid", "message": "Invalid access token"})])
    with running_mosquitto(tmp_path) as server, playing_with_page(refusing) as address:
        code, line = run("init", "--port", str(server.port), "--home-assistant", address, *arguments)
        assert (code, line.count("\n"), "token" in line) == (2, 1, True)
        code, line = run("init", "--port", str(server.port), "--home-assistant", "http://127.0.0.1:1", *arguments)
        assert (code, "--home-assistant" in line) == (2, True)

    assert not (tmp_path / "voice_rl.yaml").exists()


def test_doctor_asks_home_assistant_itself(tmp_path: Path, run: Run, asked: Player) -> None:
    """With a token the home is the one of the registries; a token that is refused is an error with its fix."""
    (tmp_path / "token").write_text("TOKEN\n")
    (tmp_path / "token").chmod(0o600)
    file = tmp_path / "voice_rl.yaml"
    with running_mosquitto(tmp_path) as server, playing_with_page(asked) as address:
        section = HomeSection(home_assistant=address, token_file=tmp_path / "token")
        file.write_text(render(MqttSection(port=server.port), section))
        _, told = run("doctor", "--config", str(file), "--silent")
        _, again = run("doctor", "--config", str(file), "--silent")

    assert by_check(told)["home assistant"][0] == {"check": "home assistant", "level": "ok", "what": f"answers at {address}", "fix": ""}
    assert by_check(told)["home"][0]["level"] == "ok"
    assert "9 devices" in by_check(told)["home"][0]["what"]
    assert (by_check(again)["home"][0]["level"], "Security" in by_check(again)["home"][0]["fix"]) == ("error", True)


def test_init_without_a_broker_says_where_it_looked(tmp_path: Path, run: Run) -> None:
    """No broker is one line, and nothing is written."""
    code, line = run("init", "--host", "127.0.0.1", "--port", str(free_port()))

    assert (code, line.count("\n")) == (2, 1)
    assert "no broker answers at 127.0.0.1" in line
    assert not list(tmp_path.rglob("voice_rl.yaml"))


def test_init_at_a_closed_broker_needs_the_right_password(tmp_path: Path, run: Run, closed_port: int) -> None:
    """Without, or with a wrong one, it says so and writes nothing; with the right one the file names it and never holds it."""
    secret, file = tmp_path / "secret", tmp_path / "voice_rl.yaml"
    secret.write_text("falsch\n")
    secret.chmod(0o600)
    arguments = ("init", "--config", str(file), "--host", "127.0.0.1", "--port", str(closed_port), "--home-assistant", "http://127.0.0.1:1")
    for more in ((), ("--username", "voice_rl", "--password-file", str(secret))):
        code, line = run(*arguments, *more)
        assert (code, "--password-file" in line, file.exists()) == (2, True, False)
    secret.write_text("geheim\n")
    code, _ = run(*arguments, "--username", "voice_rl", "--password-file", str(secret))

    assert code == 0
    assert (load_config(file).mqtt.username, load_config(file).mqtt.password_file) == ("voice_rl", secret)
    assert "geheim" not in file.read_text()


def test_init_asks_for_the_password_on_a_terminal(tmp_path: Path, closed_port: int) -> None:
    """Name and password are typed in; the password is not shown, and kept in a file of its own for its owner alone."""
    file = tmp_path / "voice_rl.yaml"
    command = [sys.executable, "-m", "voice_rl_plugin.cli", "init", "--config", str(file), "--host", "127.0.0.1"]
    command += ["--port", str(closed_port), "--home-assistant", "http://127.0.0.1:1"]
    master, slave = pty.openpty()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
    os.close(slave)
    shown = read_until(master, "name: ")
    os.write(master, b"voice_rl\n")
    shown += read_until(master, "password: ")
    os.write(master, b"geheim\n")
    shown += read_until(master, "voice-rl doctor")
    code = process.wait(DEADLINE_S)
    os.close(master)

    password = tmp_path / "mqtt_password"
    assert code == 0, shown
    assert "geheim" not in shown
    assert (password.read_text(), password.stat().st_mode & 0o777) == ("geheim\n", 0o600)
    assert load_config(file).mqtt.password_file == password


def read_until(terminal: int, words: str) -> str:
    """Return what a terminal shows until some words are there."""
    shown = ""
    while words not in shown:
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


@pytest.mark.parametrize("value", ["on", "yes", "geheim: x", "厨房", "a#b", "x y", "1883", "'", '"', "null"])
def test_rendered_texts_are_read_back(tmp_path: Path, value: str) -> None:
    """Whatever a name looks like, YAML reads it as the text that it is."""
    file = tmp_path / "voice_rl.yaml"
    file.write_text(render(MqttSection(host=value, username=value, prefix="home/语音"), risky=[f"switch.{value}"]), encoding="utf-8")
    config = load_config(file)

    assert (config.mqtt.host, config.mqtt.username, config.mqtt.prefix) == (value, value, "home/语音")
    assert config.safety.risky == (f"switch.{value}",)


# doctor


@pytest.mark.parametrize("language", ["en", "zh"])
def test_doctor_finds_a_sound_setup_sound(tmp_path: Path, run: Run, home_assistant: str, language: str) -> None:
    """Everything is looked at; the running daemon answers a question about a device, in its language, and nothing moves."""
    file = tmp_path / "voice_rl.yaml"
    with running_mosquitto(tmp_path) as server:
        run("init", "--config", str(file), "--port", str(server.port), "--home", str(HOMES[language]), "--home-assistant", home_assistant)
        with running_daemon(load_config(file)):
            watcher = Watcher(server.port)
            watcher.wait_topic(DEVICE)
            code, told = run("doctor", "--config", str(file), "--home-assistant", home_assistant)
            watcher.close()

    found = by_check(told)
    assert (code, told["ok"]) == (0, True), told
    assert {one["level"] for one in told["findings"]} == {"ok", "note"}, told
    assert set(found) == {"configuration", "model", "broker", "daemon", "device", "home assistant", "home", "risky", "test command"}
    assert ("开着吗" if language == "zh" else "is the ") in found["test command"][0]["what"]
    assert ", and said " in found["test command"][0]["what"]
    assert not [one.topic for one in watcher.seen if one.topic.startswith("voice_rl/action/")]


def test_doctor_and_device_keep_within_the_rights_of_the_daemon(tmp_path: Path, run: Run, closed_port: int) -> None:
    """With the rights of our example at the broker the daemon announces its device, and doctor and device find and remove it."""
    secret, file = tmp_path / "secret", tmp_path / "voice_rl.yaml"
    secret.write_text("geheim\n")
    secret.chmod(0o600)
    file.write_text(render(MqttSection(port=closed_port, username="voice_rl", password_file=secret), home=HomeSection(file=HOMES["en"])))
    with running_daemon(load_config(file)):
        watcher = Line(load_config(file).mqtt, [DEVICE, "voice_rl/status"])
        with watcher:
            watcher.wait_for(lambda one: one.topic == "voice_rl/status" and one.payload == b"online", within_s=DEADLINE_S)
        _, told = run("doctor", "--config", str(file), "--home-assistant", "http://127.0.0.1:1")
        _, removed = run("device", "remove", "--config", str(file))

    found = by_check(told)
    assert [found[check][0]["level"] for check in ("broker", "daemon", "device", "test command")] == ["ok"] * 4, told
    assert removed["removed"]


def test_doctor_speaks_what_it_is_told(tmp_path: Path, run: Run) -> None:
    """A test command of one's own is carried out like any other; --silent speaks none."""
    file = tmp_path / "voice_rl.yaml"
    with running_mosquitto(tmp_path) as server:
        file.write_text(render(MqttSection(port=server.port), home=HomeSection(file=HOMES["en"])))
        with running_daemon(load_config(file)):
            watcher = Watcher(server.port)
            code, told = run("doctor", "--config", str(file), "--home-assistant", "http://127.0.0.1:1", "--say", "turn on the sofa lamp")
            action = watcher.wait_topic("voice_rl/action/light/turn_on")
            _, silent = run("doctor", "--config", str(file), "--home-assistant", "http://127.0.0.1:1", "--silent")
            watcher.close()

    assert action["target"] == {"entity_id": ["light.sofa_lamp"]}
    assert ": act (" in by_check(told)["test command"][0]["what"]
    assert "test command" not in by_check(silent)
    assert code == 1, "Home Assistant was named and does not answer"


def test_doctor_without_a_daemon_decides_itself(tmp_path: Path, run: Run) -> None:
    """With a broker and no daemon that is the error; the model is tried all the same."""
    file = tmp_path / "voice_rl.yaml"
    with running_mosquitto(tmp_path) as server:
        file.write_text(render(MqttSection(port=server.port), home=HomeSection(file=HOMES["en"])))
        code, told = run("doctor", "--config", str(file))

    found = by_check(told)
    assert code == 1
    assert [one["check"] for one in told["findings"] if one["level"] == "error"] == ["daemon"]
    assert "decided here without a daemon: act" in found["test command"][0]["what"]


def test_doctor_without_a_broker_says_what_to_do(tmp_path: Path, run: Run) -> None:
    """Nobody listens; everything else is looked at still."""
    file, port = tmp_path / "voice_rl.yaml", free_port()
    file.write_text(render(MqttSection(port=port), home=HomeSection(file=HOMES["en"])))
    code, told = run("doctor", "--config", str(file), "--home-assistant", "http://127.0.0.1:1")

    found = by_check(told)
    assert code == 1
    assert f"127.0.0.1:{port}" in found["broker"][0]["what"]
    assert "mqtt.host" in found["broker"][0]["fix"]
    assert found["home assistant"][0]["level"] == "error"
    assert found["home"][0]["level"] == "ok"


def test_doctor_names_every_trouble_with_its_fix(tmp_path: Path, run: Run, closed_port: int) -> None:
    """A wrong password that everybody can read, a damaged champion, a home full of doubts: each is found, each with what to do."""
    secret, file = tmp_path / "secret", tmp_path / "voice_rl.yaml"
    secret.write_text("falsch\n")
    secret.chmod(0o644)
    models = ModelStore(load_config(None, environ={"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}).models.path)
    add_copy_of_base(models, "v1")
    models.promote("v1", at=1.0)
    weights = models.path / "v1" / "policy.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    home = tmp_path / "home.yaml"
    home.write_text("areas: [{id: k, name: K}]\nentities: [{id: light.a, name: A, area: k}, {id: switch.oven, name: Oven, area: k}]\n")
    file.write_text(
        render(
            MqttSection(port=closed_port, username="voice_rl", password_file=secret), home=HomeSection(file=home), risky=["switch.overn"]
        )
    )
    code, told = run("doctor", "--config", str(file), "--home-assistant", "http://127.0.0.1:1")

    found = by_check(told)
    assert code == 1
    assert "can be read by everybody" in found["secrets"][0]["what"]
    assert "v1 is damaged or gone, and base decides" in found["model"][0]["what"]
    assert "mosquitto_passwd" in found["broker"][0]["fix"]
    assert "write switch.oven instead" in found["risky"][0]["fix"]
    assert all(one["fix"] for one in told["findings"] if one["level"] in ("warning", "error"))


def test_doctor_knows_who_spoke_from_nowhere(tmp_path: Path, run: Run) -> None:
    """A satellite that the home does not know is named after it has spoken."""
    file = tmp_path / "voice_rl.yaml"
    with running_mosquitto(tmp_path) as server:
        file.write_text(render(MqttSection(port=server.port), home=HomeSection(file=HOMES["en"])))
        with running_daemon(load_config(file)):
            watcher = Watcher(server.port)
            watcher.publish("voice_rl/command", {"text": "turn on the sofa lamp", "satellite_id": "assist_satellite.attic"})
            watcher.wait_topic("voice_rl/decision")
            _, told = run("doctor", "--config", str(file), "--home-assistant", "http://127.0.0.1:1")
            watcher.close()

    assert "assist_satellite.attic speaks to us" in by_check(told)["satellites"][0]["what"]


def test_doctor_of_a_wrong_configuration_is_one_finding(tmp_path: Path, run: Run) -> None:
    """What cannot be read is named, and nothing else is guessed."""
    file = tmp_path / "voice_rl.yaml"
    file.write_text("mqtt: {hots: x}\n")
    code, told = run("doctor", "--config", str(file))

    assert code == 1
    assert [one["check"] for one in told["findings"]] == ["configuration"]
    assert "did you mean 'host'" in told["findings"][0]["what"]


def test_doctor_speaks_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json each finding is a line, its fix another, and the last line counts."""
    file = tmp_path / "voice_rl.yaml"
    file.write_text(render(MqttSection(port=free_port()), home=HomeSection(file=HOMES["en"])))

    assert main(["doctor", "--config", str(file), "--home-assistant", "http://127.0.0.1:1", "--silent"]) == 1
    printed = capsys.readouterr()
    assert "ERROR broker: 127.0.0.1:" in printed.out
    assert "\n      -> " in printed.out
    assert printed.out.endswith("2 errors, 0 warnings\n")
    assert printed.err == ""


def add_copy_of_base(models: ModelStore, version: str) -> None:
    """Add the shipped model under another name."""
    folder = models.path.parent / "copy"
    folder.mkdir(parents=True)
    manifest = json.loads((BASE_FOLDER / "manifest.json").read_text())
    for name in manifest.pop("files"):
        shutil.copy(BASE_FOLDER / name, folder)
    models.add(folder, {**manifest, "version": version})


# device


def test_device_is_removed_for_good_once_the_daemon_is_gone(tmp_path: Path, run: Run) -> None:
    """While the daemon runs it is said that the device comes back; afterwards nothing is left of it."""
    file = tmp_path / "voice_rl.yaml"
    with running_mosquitto(tmp_path) as server:
        file.write_text(render(MqttSection(port=server.port), home=HomeSection(file=HOMES["en"])))
        watcher = Watcher(server.port)
        with running_daemon(load_config(file)):
            watcher.wait_topic("voice_rl/status")
            assert run("device", "remove", "--config", str(file)) == (0, {"topic": DEVICE, "removed": True, "comes_back": True})
            watcher.wait_for(lambda one: one.topic == DEVICE and not one.payload, "the empty announcement")
            watcher.publish("homeassistant/status", "online")
            watcher.wait_for(lambda one: one.topic == DEVICE and bool(one.payload), "the device again", count=2)
        assert run("device", "remove", "--config", str(file)) == (0, {"topic": DEVICE, "removed": True, "comes_back": False})
        assert run("device", "remove", "--config", str(file)) == (0, {"topic": DEVICE, "removed": False, "comes_back": False})
        newcomer = Watcher(server.port, name="newcomer")
        newcomer.publish("test/end", "x")
        newcomer.wait_topic("test/end")
        left = {one.topic for one in newcomer.seen if one.retain}
        for one in (watcher, newcomer):
            one.close()

    assert DEVICE not in left
    assert not [topic for topic in left if "response" in topic or "fence" in topic], "the command leaves nothing of its own behind"


def test_doctor_sees_a_device_that_should_not_be_there(tmp_path: Path, run: Run) -> None:
    """Switched off, and still announced from before: the doctor says how to remove it."""
    file = tmp_path / "voice_rl.yaml"
    with running_mosquitto(tmp_path) as server:
        watcher = Watcher(server.port)
        watcher.publish(DEVICE, "{}", retain=True)
        watcher.close()
        file.write_text(
            render(MqttSection(port=server.port), home=HomeSection(file=HOMES["en"])).replace("discovery: true", "discovery: false")
        )
        _, told = run("doctor", "--config", str(file), "--home-assistant", "http://127.0.0.1:1", "--silent")

    assert by_check(told)["device"][0]["fix"] == "voice-rl device remove"


def test_device_show_prints_what_would_be_announced(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """For a program the whole payload, for people a line a component."""
    file = tmp_path / "voice_rl.yaml"
    file.write_text("doors: {discovery_language: zh}\n")

    _, told = run("device", "show", "--config", str(file))
    assert main(["device", "show", "--config", str(file)]) == 0
    assert told["topic"] == DEVICE
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(told["payload"]["components"])
    assert told["payload"]["components"]["command"]["name"] == "指令"


# the connection and the search


def test_line_says_why_it_cannot_connect(closed_port: int) -> None:
    """A wrong password, a machine without a name, a port without a broker, one without TLS: each has words of its own."""
    with pytest.raises(LoginRefusedError, match="refuses the connection"), Line(MqttSection(port=closed_port)):
        pass
    with pytest.raises(BrokerError, match="does not speak TLS"):
        check_port(MqttSection(port=closed_port, tls=True))
    with pytest.raises(BrokerError, match="is not known"):
        check_port(MqttSection(host="no-such-machine.invalid"))
    with pytest.raises(BrokerError, match="expected the name of a machine"):
        check_port(MqttSection(host="a..b"))
    with pytest.raises(BrokerError, match="refused"):
        check_port(MqttSection(port=free_port()))


def test_line_knows_who_is_no_broker(home_assistant: str) -> None:
    """A port that takes connections and speaks something else is said to."""
    port = int(home_assistant.rpartition(":")[2])

    with pytest.raises(BrokerError, match="does not answer as an MQTT broker"), Line(MqttSection(port=port), wait_s=1.0):
        pass


def test_line_does_not_trust_any_certificate(tmp_path: Path) -> None:
    """A certificate of one's own is refused until ca_file names it."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=home", "-addext"]
    key, certificate, port = tmp_path / "server.key", tmp_path / "server.crt", free_port()
    subprocess.run(
        [*command, "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    extra = f"allow_anonymous true\nlistener {port} 127.0.0.1\nallow_anonymous true\ncertfile {certificate}\nkeyfile {key}\n"
    with running_mosquitto(tmp_path, extra=extra):
        with pytest.raises(BrokerError, match="certificate is not trusted"):
            check_port(MqttSection(port=port, tls=True))
        with Line(MqttSection(port=port, tls=True, ca_file=certificate)) as line:
            assert line.retained() == {}


def test_home_assistant_is_known_by_its_page(home_assistant: str) -> None:
    """Its own page counts; another page, another port and what is no address do not."""
    assert is_home_assistant(home_assistant)
    assert find_home_assistant([f"http://127.0.0.1:{free_port()}", home_assistant]) == home_assistant
    assert not is_home_assistant(f"{home_assistant}/other")
    assert not is_home_assistant("file:///etc/passwd")
    assert find_home_assistant(["http://[", "nonsense"]) is None
