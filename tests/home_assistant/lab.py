"""A real Home Assistant and a real mosquitto on loopback, started for the tests and stopped after them.

VOICE_RL_HA names the installation: a Python that has the package homeassistant, or the root of a chroot with one in /opt/ha.
"""

import json
import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.home_assistant.devices import Devices
from tests.mosquitto import Mosquitto, free_port
from voice_rl_plugin.errors import LinkError
from voice_rl_plugin.homes.websocket import Link, open_link

ROOT = Path(__file__).parents[2]
INSTALLATION = os.environ.get("VOICE_RL_HA", "")
START_S = 240.0
ANSWER_S = 30.0
SETTINGS = """\
homeassistant:
  name: Test home
  latitude: 52.37
  longitude: 4.89
  elevation: 0
  unit_system: metric
  time_zone: UTC
  packages: !include_dir_named packages
http:
  server_host: 127.0.0.1
  server_port: {port}
onboarding:
person:
api:
config:
conversation:
logger:
  default: warning
"""
MQTT_ENTRY = "0123456789abcdef0123456789abcdef"


class Lab:
    """One Home Assistant with its broker.

    Args:
        folder: for the broker, the log, and the configuration where Home Assistant does not live in a chroot.
        packages: YAML files that are its packages.
        components: custom components to install.
    """

    def __init__(self, folder: Path, *, packages: tuple[Path, ...] = (), components: tuple[Path, ...] = ()) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.broker = Mosquitto(folder, extra="set_tcp_nodelay true\n")  # as our mosquitto.conf has it
        self.token = ""
        self.version = ""
        self._devices: Devices | None = None
        self.log = folder / "home_assistant.log"
        installation = Path(INSTALLATION)
        self._chroot = installation if installation.is_dir() else None
        self.config = installation / "srv" / f"voice_rl_{self.port}" if self._chroot else folder / "config"
        self._packages, self._components = packages, components
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Lab":
        """Start both, make a user and a token, and wait until everything is set up."""
        self.broker.start()
        self._configure()
        self.start_home_assistant()
        self._onboard()
        self.wait_running()
        self.version = str(self.rest("GET", "/api/config")["version"])
        self._devices = Devices(self.broker.port)
        return self

    @property
    def devices(self) -> Devices:
        """Return the simulated devices at the broker."""
        assert self._devices is not None
        return self._devices

    def stop(self) -> None:
        """Stop everything and remove the configuration."""
        if self._devices is not None:
            self._devices.close()
        self.stop_home_assistant()
        self.broker.stop()
        shutil.rmtree(self.config, ignore_errors=True)

    def start_home_assistant(self) -> None:
        """Start Home Assistant alone."""
        options = ["--skip-pip", "--log-no-color"]
        if self._chroot is None:
            command = [INSTALLATION, "-m", "homeassistant", "-c", str(self.config), *options]
        else:  # a mount namespace of its own: nothing stays mounted afterwards
            inside = f"/srv/{self.config.name}"
            mount = 'mount --bind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, str(self._chroot)]
            command += ["/opt/ha/bin/python", "-m", "homeassistant", "-c", inside, *options]
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONWARNINGS", "VIRTUAL_ENV")}
        environment["PYTHONWARNINGS"] = "ignore"
        if self._chroot is not None:
            environment |= {"PATH": "/opt/ha/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def stop_home_assistant(self) -> None:
        """Stop Home Assistant in order; it saves its registries."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def wait_running(self) -> None:
        """Wait until Home Assistant runs and its MQTT is set up."""
        self.until(lambda: self.rest("GET", "/api/config")["state"] == "RUNNING", "Home Assistant to run")
        self.until(lambda: self.entry_state("mqtt") == "loaded", "MQTT to be set up")

    def entry_state(self, domain: str) -> str:
        """Return the state of the first config entry of an integration."""
        entries = self.rest("GET", f"/api/config/config_entries/entry?domain={domain}")
        return str(entries[0]["state"]) if entries else ""

    def until(self, check: Callable[[], Any], what: str, *, deadline_s: float = START_S) -> Any:
        """Return what a check gives once that is true."""
        deadline, last = time.monotonic() + deadline_s, None
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"Home Assistant ended: {self.log.read_text(errors='replace')[-2000:]}")
            try:
                last = check()
            except (OSError, LinkError) as error:  # it does not listen yet
                last = error
            else:
                if last:
                    return last
            threading.Event().wait(0.1)
        raise AssertionError(f"waited {deadline_s:g} s for {what}; last: {last}; log: {self.log.read_text(errors='replace')[-2000:]}")

    def rest(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """Make one request."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token or self.token}"}
        request = urllib.request.Request(  # noqa: S310 - always loopback
            self.address + path, None if body is None else json.dumps(body).encode(), headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:400]}") from error
            raise
        try:
            return json.loads(text)
        except ValueError:
            return text

    @contextmanager
    def link(self, token: str | None = None) -> Iterator[Link]:
        """Open a WebSocket."""
        link = open_link(self.address.replace("http", "ws") + "/api/websocket", token or self.token)
        try:
            yield link
        finally:
            link.close()

    def ask(self, command: Mapping[str, Any], *, token: str | None = None) -> Any:
        """Send one command over a WebSocket and return its result."""
        with self.link(token) as link:
            number = link.send(command)
            deadline = time.monotonic() + ANSWER_S
            while time.monotonic() < deadline:
                message = link.receive(1.0)
                if message is not None and message.get("id") == number and message["type"] == "result":
                    assert message["success"], f"{command['type']}: {message.get('error')}"
                    return message["result"]
        raise AssertionError(f"no answer to {command['type']}")

    def state(self, entity_id: str) -> str:
        """Return the state of an entity; empty when there is no such entity."""
        try:
            return str(self.rest("GET", f"/api/states/{entity_id}")["state"])
        except AssertionError:
            return ""

    def wait_state(self, entity_id: str, value: str) -> None:
        """Wait until an entity has a state."""
        self.until(lambda: self.state(entity_id) == value, f"{entity_id} to be {value}, which is {self.state(entity_id)!r}", deadline_s=30)

    def new_token(self, name: str) -> str:
        """Make another long-lived token."""
        return str(self.ask({"type": "auth/long_lived_access_token", "client_name": name, "lifespan": 30}))

    def revoke(self, name: str) -> None:
        """Revoke the token of that name."""
        for one in self.ask({"type": "auth/refresh_tokens"}):
            if one.get("client_name") == name:
                self.ask({"type": "auth/delete_refresh_token", "refresh_token_id": one["id"]})

    def entry(self, entity_id: str) -> dict[str, Any]:
        """Return the entry of an entity in the registry."""
        found: dict[str, Any] = self.ask({"type": "config/entity_registry/get", "entity_id": entity_id})
        return found

    def change(self, entity_id: str, **changes: Any) -> None:
        """Change the entry of an entity."""
        self.ask({"type": "config/entity_registry/update", "entity_id": entity_id, **changes})

    def expose(self, *entity_ids: str, should_expose: bool = True) -> None:
        """Expose entities to Assist, or no longer."""
        ids = list(entity_ids)
        self.ask({"type": "homeassistant/expose_entity", "assistants": ["conversation"], "entity_ids": ids, "should_expose": should_expose})

    def _configure(self) -> None:
        shutil.rmtree(self.config, ignore_errors=True)
        for name in ("packages", ".storage", "custom_components", "blueprints/automation/voice_rl"):
            (self.config / name).mkdir(parents=True)
        (self.config / "configuration.yaml").write_text(SETTINGS.format(port=self.port))
        for package in self._packages:
            shutil.copy(package, self.config / "packages" / package.name)
        for component in self._components:
            shutil.copytree(component, self.config / "custom_components" / component.name, ignore=shutil.ignore_patterns("__pycache__"))
        # The steps that would ask the internet are marked as done.
        self._store("onboarding", 4, {"done": ["core_config", "analytics", "integration"]})
        entry = {
            "entry_id": MQTT_ENTRY,
            "version": 1,
            "domain": "mqtt",
            "title": "broker",
            "data": {"broker": "127.0.0.1", "port": self.broker.port, "discovery": True},
            "options": {},
            "pref_disable_new_entities": False,
            "pref_disable_polling": False,
            "source": "user",
            "unique_id": None,
            "disabled_by": None,
        }
        self._store("core.config_entries", 1, {"entries": [entry]})

    def _store(self, key: str, version: int, data: Mapping[str, Any]) -> None:
        stored = {"version": version, "minor_version": 1, "key": key, "data": data}
        (self.config / ".storage" / key).write_text(json.dumps(stored))

    def _onboard(self) -> None:
        """Make the first user, and a long-lived token of his."""
        client = self.address + "/"
        user = {"client_id": client, "name": "Test", "username": "test", "password": "test-test-test", "language": "en"}
        code = self.until(lambda: self.rest("POST", "/api/onboarding/users", user), "the first user")["auth_code"]
        form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": code, "client_id": client}).encode()
        with urllib.request.urlopen(f"{self.address}/auth/token", form, timeout=ANSWER_S) as answer:  # noqa: S310
            self.token = json.load(answer)["access_token"]
        self.token = self.new_token("tests")
        try:  # since 2026 the settings of http are on trial for five minutes
            pending = self.ask({"type": "http/config"}).get("pending")
        except AssertionError:
            return
        if pending:
            self.ask({"type": "http/config/promote"})
