"""A demo session: a broker, the simulated devices, the daemon as a child process with a store of its own, and the terminal view."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from voice_rl_plugin.demo.broker import EmbeddedBroker
from voice_rl_plugin.demo.line import Line
from voice_rl_plugin.demo.script import EXPECT
from voice_rl_plugin.demo.simulated import SimulatedHome
from voice_rl_plugin.demo.view import Output, View
from voice_rl_plugin.domain.home import Home
from voice_rl_plugin.errors import BrokerError, ConfigError
from voice_rl_plugin.homes.file import load_home

DAEMON_S = 60.0
"""A slow computer needs this long to load the model."""
STATES_S = 5.0
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """What the command line said."""

    home_file: Path | None = None
    language: str | None = None
    area: str | None = None
    port: int | None = None
    models: Path | None = None
    store: Path | None = None
    """None keeps nothing after the end."""
    has_colors: bool = False


def shipped_home(language: str) -> Path:
    """Return the home file that the package brings for a language."""
    return Path(__file__).parent / "homes" / f"home.{language}.yaml"


def run_session(settings: DemoSettings, lines: Iterable[str], *, write: Output, is_script: bool) -> int:
    """Run a demo until the lines end.

    Args:
        settings: what the command line said.
        lines: what the person types; an iterator may block.
        write: takes what is to be shown.
        is_script: whether to show each line too, and to say at the end how many expectations were met.

    Returns:
        0, or 1 when an expectation was not met or the daemon stopped.

    Raises:
        ConfigError: the home, the area or the language is wrong.
        BrokerError: the broker or the daemon does not start.
    """
    home_file = settings.home_file or shipped_home(settings.language or "en")
    home = load_home(home_file)
    language = settings.language or ("zh" if home.language.startswith("zh") else "en")
    area = _find_area(home, settings.area)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voice_rl_demo_")))
        broker = stack.enter_context(EmbeddedBroker(port=settings.port))
        devices = stack.enter_context(SimulatedHome(home, port=broker.port))
        line = Line(host=broker.host, port=broker.port)
        line.start()
        stack.callback(line.stop)
        log = (settings.store or folder) / "daemon.log"
        daemon = _start_daemon(stack, folder, log, _config(settings, home_file, broker, folder))
        _await_daemon(line, daemon, log)
        line.wait_until(lambda states, _: states.keys() >= devices.known(), STATES_S)
        view = View(
            line=line,
            devices=devices,
            home=home,
            write=write,
            language=language,
            area=area,
            has_colors=settings.has_colors,
            log=str(log),
            is_alive=daemon.poll,
        )
        view.show_welcome(port=broker.port, broker=broker.kind)
        write("")
        if not is_script:
            for text in _prompted(lines, view):
                if not view.take(text):
                    break
            return 0
        for text in lines:
            if not text.startswith(EXPECT):
                write(f"{view.prompt}{text}")
            if not view.take(text):
                break
        view.show_score()
        return 1 if view.unmet else 0


def _prompted(lines: Iterable[str], view: View) -> Iterable[str]:
    """Ask for a line at a time when the lines can show a prompt."""
    ask = getattr(lines, "ask", None)
    if ask is None:
        yield from lines
        return
    while (text := ask(view.prompt)) is not None:
        yield text


def _find_area(home: Home, text: str | None) -> str | None:
    if text is None:
        return next((area.id for area in home.areas if home.exposed_by_area.get(area.id)), None)
    area = home.find_area(text)
    if area is None:
        raise ConfigError(f"--area: expected one of {', '.join(one.id for one in home.areas)}, got {text!r}")
    return area.id


def _config(settings: DemoSettings, home_file: Path, broker: EmbeddedBroker, folder: Path) -> Mapping[str, Any]:
    config: dict[str, Any] = {
        "mqtt": {"host": broker.host, "port": broker.port, "client_id": "voice_rl_demo"},
        "home": {"file": str(home_file.resolve())},
        "store": {"path": str((settings.store or folder / "store").resolve())},
        "models": {"path": str((settings.models or folder / "models").resolve())},
    }
    if broker.kind == "amqtt":
        config["mqtt"]["version"] = "3.1.1"
    return config


def _start_daemon(stack: ExitStack, folder: Path, log: Path, config: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    for path in (log.parent, Path(config["store"]["path"]), Path(config["models"]["path"])):
        path.mkdir(parents=True, exist_ok=True)
    config_file = folder / "voice_rl.yaml"
    config_file.write_text(yaml.safe_dump(dict(config), allow_unicode=True), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VOICE_RL")}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "voice_rl_plugin.cli", "run", "--config", str(config_file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C at the prompt is ours
        )
    stack.callback(_stop_daemon, daemon)
    return daemon


def _stop_daemon(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _await_daemon(line: Line, daemon: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(int(DAEMON_S * 4)):
        if line.wait_until(lambda _states, status: status.get("status") == "online", 0.25):
            return
        if daemon.poll() is not None:
            break
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise BrokerError(f"the daemon did not start (exit code {daemon.poll()}): {lines[-1] if lines else 'it said nothing'}")
