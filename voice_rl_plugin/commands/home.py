"""`voice-rl home`: what the home is according to each source, what looks wrong in it, and what differs between two.

A home is named by a file, or by a word:
    file             home.file of the configuration
    home-assistant   what Home Assistant says now, asked over its WebSocket
    topic            what came on <prefix>/home last, as the daemon has kept it
    last             what the daemon knew last of all sources together
    now              file, home-assistant and topic together, as the daemon would merge them now
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from voice_rl_plugin.commands._findings import check_home
from voice_rl_plugin.domain.home import Entity, Home
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.homes.file import load_home
from voice_rl_plugin.homes.last_good import LAST_GOOD_HOME, TOPIC_HOME
from voice_rl_plugin.homes.merge import merge_sources

WORDS = ("file", "home-assistant", "topic", "last", "now")
_SOURCES = """homes:
  FILE             a home file
  file             home.file of the configuration
  home-assistant   what Home Assistant says now, asked over its WebSocket
  topic            what came on <prefix>/home last, as the daemon has kept it
  last             what the daemon knew last, of all sources together
  now              file, home-assistant and topic together, as the daemon would merge them now

"""


def add_parsers(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `home show` and `home diff`."""
    family = subparsers.add_parser(
        "home",
        help="show or compare homes",
        description="Shows what the daemon knows of a home.",
        epilog="example:\n  voice-rl home show home.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = family.add_subparsers(title="commands", metavar="COMMAND", required=True)
    show = commands.add_parser(
        "show",
        help="show a home and what looks wrong in it",
        description="Shows floors, areas and entities, and names that occur twice or entities without an area.",
        epilog=f"{_SOURCES}example:\n  voice-rl home show home-assistant --config voice_rl.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    show.add_argument("home", nargs="?", default="now", metavar="HOME", help="see below; now when missing")
    show.add_argument("--config", metavar="FILE", help="the configuration that names the sources")
    show.add_argument("--all", action="store_true", help="show what is not exposed too")
    show.add_argument("--json", action="store_true", help="print the home in its mapping form")
    show.set_defaults(run=run_show)
    diff = commands.add_parser(
        "diff",
        help="compare two homes",
        description="Lists entities and areas that came, went or changed; exit code 1 when there are any.",
        epilog=f"{_SOURCES}examples:\n  voice-rl home diff\n  voice-rl home diff old.yaml home-assistant --config voice_rl.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    diff.add_argument("old", nargs="?", default="last", metavar="OLD", help="see below; last when missing")
    diff.add_argument("new", nargs="?", default="now", metavar="NEW", help="see below; now when missing")
    diff.add_argument("--config", metavar="FILE", help="the configuration that names the sources")
    diff.add_argument("--all", action="store_true", help="compare what is not exposed too")
    diff.add_argument("--json", action="store_true", help="print one JSON object")
    diff.set_defaults(run=run_diff)


def run_show(args: argparse.Namespace) -> int:
    """Show a home."""
    whole = find_home(args.home, config=args.config)
    home = whole if args.all else exposed_part(whole)
    if args.json:
        print(json.dumps(home.to_mapping(), ensure_ascii=False, indent=2))
        return 0
    floors = {floor.id: floor.name for floor in home.floors}
    for area in (*home.areas, None):
        entities = [entity for entity in home.entities if entity.area == (area.id if area else None)]
        if area is not None:
            place = f", {floors[area.floor]}" if area.floor else ""
            print(f"{area.name} ({area.id}{place}){_aliases(area.aliases)}")
        elif entities:
            print("no area")
        for entity in entities:
            print(f"  {entity.id}  {entity.name}{_aliases(entity.aliases)}{_marks(entity)}")
    for satellite in home.satellites:
        print(f"satellite {satellite.id} in {satellite.area or 'no area'}")
    for finding in find_doubts(home):
        print(f"! {finding}")
    if len(home.entities) < len(whole.entities):
        print(f"{len(whole.entities) - len(home.entities)} entities are not exposed; --all shows them")
    return 0


def run_diff(args: argparse.Namespace) -> int:
    """Compare two homes."""
    homes = (find_home(one, config=args.config) for one in (args.old, args.new))
    old, new = (home if args.all else exposed_part(home) for home in homes)
    came, went, changed = compare_homes(old, new)
    if args.json:
        print(json.dumps({"added": came, "removed": went, "changed": changed}, ensure_ascii=False))
    else:
        for sign, ids in (("+", came), ("-", went)):
            for one in ids:
                print(f"{sign} {one}")
        for one, keys in changed.items():
            print(f"~ {one}: {', '.join(keys)}")
    return 1 if came or went or changed else 0


def find_home(name: str, *, config: str | None) -> Home:
    """Return the home that a word or a path names.

    Raises:
        ConfigError: there is no such home, or the configuration does not say where it is.
        LinkError: Home Assistant cannot be asked.
    """
    if name not in WORDS:
        return load_home(Path(name))
    from voice_rl_plugin.config import load_config  # noqa: PLC0415 - only where a word was used

    settings = load_config(config)
    kept = settings.store.path
    if name == "file":
        if settings.home.file is None:
            raise ConfigError("home: file: expected home.file in the configuration, which names none")
        return load_home(settings.home.file)
    if name == "home-assistant":
        if settings.home.home_assistant is None:
            raise ConfigError("home: home-assistant: expected home.home_assistant and home.token_file in the configuration, which has none")
        from voice_rl_plugin.homes.home_assistant import read_home  # noqa: PLC0415 - an optional extra

        return read_home(settings.home)
    if name in ("topic", "last"):
        path = kept / {"topic": TOPIC_HOME, "last": LAST_GOOD_HOME}[name]
        if not path.exists():
            raise ConfigError(f"home: {name}: the daemon has kept none at {path} yet; run it once, or name another home")
        return load_home(path)
    if settings.home.file is None and settings.home.home_assistant is None and not (kept / TOPIC_HOME).exists():
        raise ConfigError(
            "home: now: expected home.file or home.home_assistant in the configuration, or a home on the topic; name a home file"
        )
    return merge_sources(
        file=find_home("file", config=config) if settings.home.file is not None else None,
        registry=find_home("home-assistant", config=config) if settings.home.home_assistant is not None else None,
        topic=load_home(kept / TOPIC_HOME) if (kept / TOPIC_HOME).exists() else None,
    )


def exposed_part(home: Home) -> Home:
    """Return a home without what is not exposed."""
    return replace(home, entities=home.exposed)


def find_doubts(home: Home) -> tuple[str, ...]:
    """Return what will make the daemon ask or refuse more often than needed."""
    return tuple(one.what for one in check_home(home))


def compare_homes(old: Home, new: Home) -> tuple[list[str], list[str], dict[str, list[str]]]:
    """Return the ids that came, that went, and those that changed with the names of the changed keys."""
    before, after = _things(old), _things(new)
    came, went = sorted(set(after) - set(before)), sorted(set(before) - set(after))
    changed = {}
    for one in sorted(set(before) & set(after)):
        keys = sorted(key for key in set(before[one]) | set(after[one]) if before[one].get(key) != after[one].get(key))
        if keys:
            changed[one] = keys
    return came, went, changed


def _things(home: Home) -> dict[str, dict[str, object]]:
    mapping = home.to_mapping()
    things: dict[str, dict[str, object]] = {one["id"]: one for one in (*mapping["entities"], *mapping["satellites"])}
    things |= {f"area {one['id']}": one for one in mapping["areas"]}
    return things | {f"floor {one['id']}": one for one in mapping["floors"]}


def _aliases(aliases: tuple[str, ...]) -> str:
    return f" [{', '.join(aliases)}]" if aliases else ""


def _marks(entity: Entity) -> str:
    marks = [entity.device_class] if entity.device_class else []
    marks += [] if entity.exposed else ["not exposed"]
    marks += ["risky"] if entity.risky else []
    return f"  ({', '.join(marks)})" if marks else ""
