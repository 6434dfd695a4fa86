"""`voice-rl device show|remove`: the device that Home Assistant shows for this program."""

import argparse
import json
from typing import Any

from voice_rl_plugin import __version__
from voice_rl_plugin.commands._line import Line
from voice_rl_plugin.config import Config, load_config
from voice_rl_plugin.doors.discovery import device_payload, device_topic


def add_parsers(subparsers: Any) -> None:
    """Add `device show` and `device remove`."""
    family = subparsers.add_parser(
        "device",
        help="show or remove the device in Home Assistant",
        epilog="example:\n  voice-rl device remove",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = family.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, words, run in (
        ("show", "print what the daemon announces to Home Assistant", _show),
        ("remove", "take the device out of Home Assistant; done last, before you uninstall", _remove),
    ):
        parser = actions.add_parser(
            name,
            help=words,
            description=words[:1].upper() + words[1:] + ".",
            epilog=f"example:\n  voice-rl device {name} --config voice_rl.yaml",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--config", metavar="FILE", help="the configuration; searched for when missing")
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.set_defaults(run=run)


def _show(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    payload = device_payload(prefix=config.mqtt.prefix, version=__version__, language=config.doors.discovery_language)
    if args.json:
        print(json.dumps({"topic": _topic(config), "enabled": config.doors.discovery, "payload": payload}, ensure_ascii=False))
        return 0
    print(f"{_topic(config)}{'' if config.doors.discovery else '  (switched off: doors.discovery is false)'}")
    for component in payload["components"].values():
        topics = [component[name] for name in ("command_topic", "state_topic") if name in component]
        print(f"  {component['platform']:<14} {component['name']:<24} {', '.join(topics)}")
    return 0


def _remove(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    topic, status = _topic(config), f"{config.mqtt.prefix}/status"
    with Line(config.mqtt, [topic, status]) as line:
        found = line.retained()
        if topic in found:
            line.publish(topic, b"", retain=True)
            line.settle()
    comes_back = found.get(status) == b"online" and config.doors.discovery
    if args.json:
        print(json.dumps({"topic": topic, "removed": topic in found, "comes_back": comes_back}))
        return 0
    print(f"{topic}: {'removed' if topic in found else 'there was no device'}")
    if comes_back:
        print("the daemon runs, and announces it again when it or Home Assistant starts; set doors.discovery to false, or stop it first")
    return 0


def _topic(config: Config) -> str:
    return device_topic(config.doors.discovery_prefix, prefix=config.mqtt.prefix)
