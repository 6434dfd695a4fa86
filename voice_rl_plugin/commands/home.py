"""`voice-rl home`: what is in a home file, what looks wrong in it, and what changed between two."""

import argparse
import json
from pathlib import Path

from voice_rl_plugin.commands._findings import check_home
from voice_rl_plugin.domain.home import Entity, Home
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.homes.file import load_home


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
        epilog="example:\n  voice-rl home show home.yaml --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    show.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a home file; by default the one of the configuration")
    show.add_argument("--config", metavar="FILE", help="the configuration that names the home file")
    show.add_argument("--json", action="store_true", help="print the home in its mapping form")
    show.set_defaults(run=run_show)
    diff = commands.add_parser(
        "diff",
        help="compare two homes",
        description="Lists entities and areas that came, went or changed; exit code 1 when there are any.",
        epilog="example:\n  voice-rl home diff old.yaml new.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    diff.add_argument("old", type=Path, metavar="OLD")
    diff.add_argument("new", type=Path, metavar="NEW")
    diff.add_argument("--json", action="store_true", help="print one JSON object")
    diff.set_defaults(run=run_diff)


def run_show(args: argparse.Namespace) -> int:
    """Show a home."""
    home = load_home(args.file or _configured(args.config))
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
    return 0


def run_diff(args: argparse.Namespace) -> int:
    """Compare two homes."""
    old, new = load_home(args.old), load_home(args.new)
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


def _configured(config: str | None) -> Path:
    from voice_rl_plugin.config import load_config  # noqa: PLC0415 - only when no file was named

    path = load_config(config).home.file
    if path is None:
        raise ConfigError("home show: name a home file, or set home.file in the configuration")
    return path


def _aliases(aliases: tuple[str, ...]) -> str:
    return f" [{', '.join(aliases)}]" if aliases else ""


def _marks(entity: Entity) -> str:
    marks = [entity.device_class] if entity.device_class else []
    marks += [] if entity.exposed else ["not exposed"]
    marks += ["risky"] if entity.risky else []
    return f"  ({', '.join(marks)})" if marks else ""
