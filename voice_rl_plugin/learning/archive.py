"""Export and import of the experience store, for a trainer on another machine.

experience.zip
|-- manifest.json        format, created_at, and per file its rows and SHA-256
|-- decisions.jsonl      decision, previous actions, states
|-- feedback.jsonl       feedback without rewards: the reader makes them anew
|-- memory.jsonl
`-- aliases.jsonl        absent in archives of older versions
"""

import hashlib
import json
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from voice_rl_plugin.errors import StoreError
from voice_rl_plugin.learning import rows
from voice_rl_plugin.learning.reward import Judgement
from voice_rl_plugin.learning.store import ExperienceStore, StoredDecision

FORMAT = 1
MEMBERS = ("decisions.jsonl", "feedback.jsonl", "memory.jsonl", "aliases.jsonl")
_LATER_MEMBERS = ("aliases.jsonl",)
"""Absent in archives of older versions."""
MAX_MEMBER_BYTES = 2_147_483_648
"""A larger file is no home's experience."""
_CHUNK = 1_048_576
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,  # encrypted, packed in a way that is not supported, or nested too deeply
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
)
"""What the archive modules and our own rows raise on foreign bytes."""


def export_archive(store: ExperienceStore, path: Path, *, now: float) -> dict[str, Any]:
    """Write everything in the store to an archive and return its manifest; the store remembers where it went.

    Args:
        store: what to export.
        path: the archive; replaced if it exists.
        now: Unix seconds.

    Raises:
        StoreError: the archive cannot be written.
    """
    temporary = path.with_name(f".{path.name}.partial")
    store.note_export(path.resolve(), at=now)
    try:
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                lines = {
                    "decisions.jsonl": (_decision_line(stored) for stored in store.all_stored()),
                    "feedback.jsonl": (
                        rows.feedback_to_mapping(judgement.feedback) for stored in store.all_stored() for judgement in stored.judgements
                    ),
                    "memory.jsonl": (rows.entry_to_mapping(entry) for entry in store.load_memory()),
                    "aliases.jsonl": (rows.alias_to_mapping(alias) for alias in store.load_aliases()),
                }
                manifest = {"format": FORMAT, "created_at": now, "files": {name: _write(archive, name, lines[name]) for name in MEMBERS}}
                archive.writestr("manifest.json", json.dumps(manifest, indent=2, sort_keys=True))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot write the archive: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return manifest


def import_archive(store: ExperienceStore, path: Path) -> tuple[int, int]:
    """Add what an archive holds to a store; what is known already, or was erased, is skipped.

    Returns:
        The number of new decisions and of new feedbacks.

    Raises:
        StoreError: the archive is missing, damaged, or not one of ours; nothing was added.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _verify(archive, path)
            feedback: dict[str, list[Judgement]] = {}
            with closing(_lines(archive, "feedback.jsonl")) as lines:
                for line in lines:
                    one = rows.feedback_from_mapping(line)
                    feedback.setdefault(one.decision_id, []).append(Judgement(feedback=one, reward=None, weight=0.0))
            named = _lines(archive, "aliases.jsonl") if "aliases.jsonl" in archive.namelist() else iter(())
            with (
                closing(_lines(archive, "decisions.jsonl")) as lines,
                closing(_lines(archive, "memory.jsonl")) as entries,
            ):
                return store.import_stored(
                    (_stored_of(line, feedback) for line in lines),
                    (rows.entry_from_mapping(line) for line in entries),
                    (rows.alias_from_mapping(line) for line in named),
                )
    except OSError as error:
        raise StoreError(f"{path}: cannot read the archive: {error.strerror or error}") from error
    except _UNREADABLE as error:
        raise StoreError(f"{path}: not an archive of `voice-rl experience export`: {error}") from error


def _decision_line(stored: StoredDecision) -> dict[str, Any]:
    return {
        "decision": rows.decision_to_mapping(stored.decision),
        "previous": rows.actions_to_list(stored.previous),
        "states": stored.states,
    }


def _stored_of(line: dict[str, Any], feedback: dict[str, list[Judgement]]) -> StoredDecision:
    decision = rows.decision_from_mapping(line["decision"])
    return StoredDecision(
        decision=decision,
        previous=rows.actions_from_list(line["previous"]),
        states=dict(line["states"]),
        judgements=tuple(feedback.get(decision.id, ())),
    )


def _write(archive: zipfile.ZipFile, name: str, lines: Iterator[dict[str, Any]]) -> dict[str, Any]:
    digest, count = hashlib.sha256(), 0
    with archive.open(name, "w", force_zip64=True) as member:
        for line in lines:
            data = (rows.dump(line) + "\n").encode()
            member.write(data)
            digest.update(data)
            count += 1
    return {"rows": count, "sha256": digest.hexdigest()}


def _verify(archive: zipfile.ZipFile, path: Path) -> None:
    names = sorted(archive.namelist())
    if sorted({*names, *_LATER_MEMBERS}) != sorted([*MEMBERS, "manifest.json"]) or len(set(names)) < len(names):
        raise StoreError(f"{path}: expected the files {', '.join([*MEMBERS, 'manifest.json'])}, got {', '.join(names)[:200]}")
    if any(member.file_size > MAX_MEMBER_BYTES for member in archive.infolist()):
        raise StoreError(f"{path}: a file in it is larger than {MAX_MEMBER_BYTES} bytes")
    manifest = json.loads(archive.read("manifest.json"))
    if manifest["format"] != FORMAT:
        raise StoreError(f"{path}: expected archive format {FORMAT}, got {manifest['format']!r}; update this package")
    for name in (one for one in MEMBERS if one in names):
        with archive.open(name) as member:
            digest = _digest(member)
        if digest != manifest["files"][name]["sha256"]:
            raise StoreError(f"{path}: {name} does not match its SHA-256; the archive is damaged, export it again")


def _digest(member: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := member.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _lines(archive: zipfile.ZipFile, name: str) -> Generator[dict[str, Any], None, None]:
    with archive.open(name) as member:
        for number, line in enumerate(member, start=1):
            try:
                text = line.decode()
            except UnicodeDecodeError as error:  # inside a transaction the store would take this one for damage of its own
                raise ValueError(f"{name}: row {number}: expected UTF-8") from error
            yield json.loads(text)
