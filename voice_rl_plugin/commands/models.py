"""`voice-rl models list|show|import|promote|rollback|shadow|verify`: which brain is in use, and how to go back."""

import argparse
import time
from pathlib import Path
from typing import Any

from voice_rl_plugin.commands._stores import add_command, add_family, at, open_models, print_json
from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.learning.models import BASE


def add_parsers(subparsers: Any) -> None:
    """Add the family."""
    actions = add_family(subparsers, "models", "list, show, import, promote, roll back, shadow or verify models", "voice-rl models list")
    listing = add_command(actions, "list", "print every version", run=_list, place="models", example="voice-rl models list --json")
    listing.add_argument("--json", action="store_true", help="print JSON, one version a line")
    show = add_command(
        actions, "show", "print the manifest of a version", run=_show, place="models", example="voice-rl models show base --json"
    )
    show.add_argument("version", metavar="VERSION", nargs="?", help="the champion when missing")
    show.add_argument("--json", action="store_true", help="print the manifest as JSON")
    importing = add_command(
        actions,
        "import",
        "verify and add a version from an archive",
        run=_import,
        place="models",
        example="voice-rl models import new.tar.gz",
    )
    importing.add_argument("archive", metavar="FILE", help="a tar or zip file that holds one version")
    promote = add_command(
        actions,
        "promote",
        "make a version the champion; the daemon follows without a restart",
        run=_promote,
        place="models",
        example="voice-rl models promote 2026-11-23-1",
    )
    promote.add_argument("version", metavar="VERSION")
    promote.add_argument("--despite-gate", action="store_true", help="even if it has not passed the gate")
    add_command(
        actions,
        "rollback",
        "make the former champion the champion again",
        run=_rollback,
        place="models",
        example="voice-rl models rollback",
    )
    shadow = add_command(
        actions,
        "shadow",
        "run a version silently beside the champion; `off` ends it",
        run=_shadow,
        place="models",
        example="voice-rl models shadow 2026-11-23-1  # how it goes is on <prefix>/model",
    )
    shadow.add_argument("version", metavar="VERSION", help="a version, or off")
    verify = add_command(
        actions,
        "verify",
        "check every byte, and the signature where a key is configured, of a version or of all",
        run=_verify,
        place="models",
        example="voice-rl models verify base",
    )
    verify.add_argument("version", metavar="VERSION", nargs="?", help="all when missing")


def _list(args: argparse.Namespace) -> int:
    store = open_models(args)
    champion = store.champion_version()
    for version in store.versions():
        try:
            manifest = store.manifest(version)
        except ModelError as error:
            print_json({"version": version, "error": str(error)}) if args.json else print(f"  {version}  damaged: {error}")
            continue
        if args.json:
            print_json({**manifest.to_mapping(), "version": version, "is_champion": version == champion})
        else:
            gate = "shipped" if version == "base" else "gate passed" if manifest.has_passed_gate else "gate not passed"
            print(f"{'*' if version == champion else ' '} {version}  {at(manifest.created_at)}  {gate}")
    return 0


def _show(args: argparse.Namespace) -> int:
    store = open_models(args)
    version = args.version or store.champion_version()
    manifest = store.manifest(version)
    if args.json:
        print_json(manifest.to_mapping())
        return 0
    print(f"version     {version}{' (champion)' if version == store.champion_version() else ''}")
    trial = store.trial()
    if trial is not None and trial.version == version:
        print(f"trial       since {at(trial.since)}; {trial.former} comes back by itself if people deny this one more often")
    print(f"parent      {manifest.parent or '-'}")
    print(f"created     {at(manifest.created_at)}")
    print(f"gate        {', '.join(f'{key}={value}' for key, value in sorted(manifest.gate.items())) or '-'}")
    for key, value in sorted(manifest.metrics.items()):
        print(f"metric      {key}: {value}")
    for name, digest in sorted(manifest.files.items()):
        print(f"file        {name}  {digest}")
    return 0


def _import(args: argparse.Namespace) -> int:
    version = open_models(args).import_archive(Path(args.archive))
    print(f"added {version}; `voice-rl models promote {version}` puts it to work")
    return 0


def _promote(args: argparse.Namespace) -> int:
    open_models(args).promote(args.version, at=time.time(), despite_gate=args.despite_gate)
    print(f"{args.version} is the champion")
    return 0


def _rollback(args: argparse.Namespace) -> int:
    print(f"{open_models(args).rollback(at=time.time())} is the champion again")
    return 0


def _shadow(args: argparse.Namespace) -> int:
    version = None if args.version == "off" else args.version
    open_models(args).challenge(version)
    print("nothing runs in shadow any more" if version is None else f"{version} runs in shadow beside the champion")
    return 0


def _verify(args: argparse.Namespace) -> int:
    store = open_models(args)
    is_sound = True
    for version in [args.version] if args.version else store.versions():
        try:
            store.verify(version)
        except ModelError as error:
            is_sound = False
            print(f"{version}: {error}")
        else:
            is_signed = store.needs_signature and version != BASE
            print(f"{version}: every byte is as its manifest says{', and its signature is right' if is_signed else ''}")
    return 0 if is_sound else 1
