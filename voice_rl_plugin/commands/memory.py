"""`voice-rl memory list|forget`: what corrections have taught, one by one."""

import argparse
from typing import Any

from voice_rl_plugin.commands._stores import add_command, add_family, at, in_words, open_store, print_json
from voice_rl_plugin.deciding.aliases import Alias
from voice_rl_plugin.deciding.memory import MemoryEntry, memory_words
from voice_rl_plugin.errors import ConfigError
from voice_rl_plugin.understanding.text import join


def add_parsers(subparsers: Any) -> None:
    """Add the family."""
    actions = add_family(subparsers, "memory", "list or forget what corrections have taught", "voice-rl memory list")
    listing = add_command(
        actions,
        "list",
        "print every entry, and every name that was taught",
        run=_list,
        place="store",
        example="voice-rl memory list --json",
    )
    listing.add_argument("--json", action="store_true", help="print JSON, one entry a line")
    forget = add_command(
        actions,
        "forget",
        "forget one entry, or one name",
        run=_forget,
        place="store",
        example='voice-rl memory forget "movie time" --area lounge',
    )
    forget.add_argument("words", metavar="WORDS", help="the words as they were said")
    forget.add_argument("--area", metavar="ID", help="the area it was learned in; without it, in every area")


def _list(args: argparse.Namespace) -> int:
    with open_store(args) as store:
        entries, aliases = store.load_memory(), store.load_aliases()
    for entry in entries:
        if args.json:
            print_json(_payload(entry))
        else:
            contested = f" (contested: or {in_words(entry.rival)})" if entry.is_contested and entry.rival is not None else ""
            print(f"{at(entry.learned_at)}  {entry.area or '-'}  {entry.words!r} -> {in_words(entry.actions)}{contested}")
    for alias in aliases:
        if args.json:
            print_json(_alias_payload(alias))
        else:
            contested = f" (contested: or {alias.rival})" if alias.is_contested else ""
            print(f"{at(alias.learned_at)}  a name  {_said(alias)!r} is {alias.entity_id}{contested}")
    return 0


def _forget(args: argparse.Namespace) -> int:
    words = memory_words(args.words)
    with open_store(args) as store:
        found = [entry for entry in store.load_memory() if entry.words == words and args.area in (None, entry.area)]
        for entry in found:
            store.forget_memory(entry.words, entry.area)
        is_name = args.area is None and store.forget_alias(words)
    if is_name:
        print(f"forgot the name {words!r}")
    if not found and is_name:
        return 0
    if not found:
        where = "in any area" if args.area is None else f"in {args.area!r}"
        raise ConfigError(f"memory: nothing was learned for {words!r} {where}; see `voice-rl memory list`")
    print(f"forgot {words!r} in {', '.join(entry.area or 'no area' for entry in found)}")
    return 0


def _said(alias: Alias) -> str:
    return join(alias.words.split())


def _alias_payload(alias: Alias) -> dict[str, Any]:
    return {
        "name": _said(alias),
        "entity_id": alias.entity_id,
        "decision_id": alias.decision_id,
        "learned_at": alias.learned_at,
        "is_contested": alias.is_contested,
        "rival": alias.rival,
    }


def _payload(entry: MemoryEntry) -> dict[str, Any]:
    return {
        "words": entry.words,
        "area": entry.area,
        "actions": [action.to_payload() for action in entry.actions],
        "decision_id": entry.decision_id,
        "learned_at": entry.learned_at,
        "is_contested": entry.is_contested,
    }
