"""What the consumers share: one MQTT connection that obeys some actions in time, once each, and says on `voice_rl/result` how it went."""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import paho.mqtt.client as paho
import yaml
from paho.mqtt.enums import CallbackAPIVersion

COMMAND_S = 1.5
"""The daemon waits 2 s for a result."""
MOST_CHARACTERS = 500
KEPT_ANSWERS = 256

Do = Callable[[str, Mapping[str, str], str], str]
"""Does a service with its data in a language, and returns what to say."""


class CannotError(Exception):
    """It cannot be done; the text says why."""


def make_parser(doc: str, example: str) -> argparse.ArgumentParser:
    """Return a parser with what every consumer can be told."""
    parser = argparse.ArgumentParser(description=doc, epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="the broker (default: %(default)s)")
    parser.add_argument("--port", type=int, default=1883, help="its port (default: %(default)s)")
    parser.add_argument("--prefix", default="voice_rl", help="the daemon's topics start with it (default: %(default)s)")
    parser.add_argument("--username", help="who we are for the broker")
    parser.add_argument("--password-file", type=Path, help="the file that holds the password")
    return parser


def read_yaml(path: Path) -> object:
    """Return what a YAML or JSON file holds; end the program with one line when it cannot be read."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        sys.exit(f"{path}: expected readable YAML or JSON: {error}")


def same(one: str, other: str) -> bool:
    """Whether two names are the same but for case, spaces, apostrophes and an article."""
    return _bare(one) == _bare(other)


def _bare(text: str) -> str:
    words = text.casefold().replace("'", "").replace("’", "").replace("-", " ").split()
    return " ".join(words[1:] if words[:1] in (["the"], ["a"], ["an"]) and len(words) > 1 else words)


def run_command(command: str, values: Mapping[str, str]) -> str:
    """Run a command and return what it printed; one that runs longer than COMMAND_S counts as started.

    Each {slot} is filled inside one argument, and no shell reads it: what was said can be no command and no option.

    Raises:
        CannotError: it cannot be started, it failed, or a spoken word looks like an option.
    """
    if any(value.startswith("-") for value in values.values()):
        raise CannotError("a spoken word looks like an option")
    arguments = []
    for argument in shlex.split(command):
        filled = argument
        for slot, value in values.items():
            filled = filled.replace("{" + slot + "}", value)
        arguments.append(filled)
    try:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    except OSError as error:
        raise CannotError(f"{arguments[0]}: {error.strerror}") from error
    try:
        printed, _ = process.communicate(timeout=COMMAND_S)
    except subprocess.TimeoutExpired:
        return ""
    if process.returncode:
        raise CannotError(f"{arguments[0]} ended with {process.returncode}")
    return printed.strip()


class Consumer:
    """Obeys the actions of some services."""

    def __init__(self, services: Sequence[str], do: Do, *, prefix: str = "voice_rl") -> None:
        self._services, self._do, self._prefix = tuple(services), do, prefix
        self._answered: OrderedDict[tuple[str, int], dict[str, object]] = OrderedDict()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{prefix}_beyond_{services[0].replace('.', '_')}")
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: print(f"listening for {', '.join(self._services)}", flush=True)
        self.client.on_message = self._on_message

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(f"{self._prefix}/action/{service.replace('.', '/')}", 1) for service in self._services])

    def _on_message(self, client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        try:
            call = json.loads(message.payload)
            key, expires_at = (str(call["decision_id"]), int(call["step"])), float(call["expires_at"])
            service, data = str(call["service"]), {str(k): str(v)[:MOST_CHARACTERS] for k, v in call.get("data", {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # not an action; paho would end its thread on an exception
        if message.retain or message.topic != f"{self._prefix}/action/{service.replace('.', '/')}":
            return
        if key not in self._answered:
            self._answered[key] = self._obey(service, data, str(call.get("language", "en")), expires_at)
            while len(self._answered) > KEPT_ANSWERS:
                self._answered.popitem(last=False)
        client.publish(f"{self._prefix}/result", json.dumps({"decision_id": key[0], "step": key[1]} | self._answered[key]), qos=1)

    def _obey(self, service: str, data: Mapping[str, str], language: str, expires_at: float) -> dict[str, object]:
        if time.time() > expires_at:
            return {"ok": False, "error": "expired"}
        try:
            text = self._do(service, data, language)
        except CannotError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001 - paho would end its thread, and the daemon would wait
            return {"ok": False, "error": f"internal error: {type(error).__name__}"}
        print(f"{service} {dict(data)}: {text}", flush=True)
        return {"ok": True, "text": text} if text else {"ok": True}


def serve(args: argparse.Namespace, services: Sequence[str], do: Do) -> None:
    """Obey until the program is stopped."""
    consumer = Consumer(services, do, prefix=args.prefix)
    if args.username:
        password = args.password_file.read_text(encoding="utf-8").strip() if args.password_file else None
        consumer.client.username_pw_set(args.username, password)
    try:
        consumer.client.connect(args.host, args.port)
        consumer.client.loop_forever()
    except OSError as error:
        sys.exit(f"expected a broker at {args.host}:{args.port}: {error}; is mosquitto running?")
    except KeyboardInterrupt:
        consumer.client.disconnect()
