"""The model store: one folder a version, a manifest that pins every byte of it, a pointer that names the champion.

models/
|-- champion               {"version", "previous": [...], "changed_at", "on_trial"}, replaced atomically
|-- challenger             the version that runs in shadow beside the champion, if any
`-- 2026-11-23-1/
    |-- policy.onnx
    |-- model_card.md
    |-- manifest.json      written last: version, files -> SHA-256, tokenizer and feature versions, data hash, metrics, gate, parent
    `-- manifest.sig       only where the maker signed it, see signing
"""

import hashlib
import json
import logging
import lzma
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.learning.signing import SIGNATURE, SignatureCheck

_LOGGER = logging.getLogger(__name__)

BASE = "base"
"""The version of the shipped model; it is always there and cannot be replaced."""
BASE_FOLDER = Path(__file__).parents[1] / "models" / BASE
MANIFEST = "manifest.json"
POINTER = "champion"
CHALLENGER = "challenger"
MODEL = "policy.onnx"
CARD = "model_card.md"

MAX_BYTES = 268_435_456
"""A larger version is no policy for a home server."""
MAX_FILES = 32
PROBE_MEMORY_BYTES = 4_294_967_296
"""Address space of the child that loads a new model first."""
PROBE_TIMEOUT_S = 60.0
KEPT_HISTORY = 50

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SUFFIXES = frozenset({".onnx", ".json", ".jsonl", ".md", ".txt", ".yaml", ".npy", ".safetensors"})
"""None of these can run code when it is read."""
_CHUNK = 1_048_576
_UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,  # encrypted, or packed in a way that is not supported
    ValueError,
    LookupError,
    OverflowError,
)
"""What the archive modules raise on foreign bytes."""

_PROBE = """
import resource, sys
from pathlib import Path
for limit, value in ((resource.RLIMIT_AS, int(sys.argv[2])), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
    resource.setrlimit(limit, (value, value))
from voice_rl_plugin.understanding.onnx_policy import OnnxPolicy
OnnxPolicy.load(Path(sys.argv[1]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A new champion that has yet to show that people deny it no more often than the former one."""

    version: str
    former: str
    since: float
    """Unix seconds of the promotion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a version is, and what its files must be."""

    version: str
    files: Mapping[str, str]
    """SHA-256 by file name; every file but the manifest itself."""
    tokenizer: str = ""
    features: str = ""
    data_hash: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    gate: Mapping[str, Any] = field(default_factory=dict)
    """`{"passed": bool, "failed_gate"?: str, ...}`."""
    parent: str | None = None
    created_at: float = 0.0
    """Unix seconds."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the maker noted."""

    @property
    def has_passed_gate(self) -> bool:
        """Whether it was shown to lose nothing that worked."""
        return self.gate.get("passed") is True

    def to_mapping(self) -> dict[str, Any]:
        """Return the JSON form."""
        known = {name: getattr(self, name) for name in _MANIFEST_TYPES}
        return {**self.extra, **{key: dict(value) if isinstance(value, Mapping) else value for key, value in known.items()}}

    @classmethod
    def from_mapping(cls, mapping: Any, *, where: str) -> "Manifest":
        """Read a manifest.

        Raises:
            ModelError: a key is missing or ill-typed, or a name would leave the folder.
        """
        if not isinstance(mapping, Mapping):
            raise ModelError(f"{where}: expected a JSON object, got {type(mapping).__name__}")
        mapping = {key: value for key, value in mapping.items() if value is not None}  # null says the same as nothing
        for key in ("version", "files"):
            if key not in mapping:
                raise ModelError(f"{where}: {key} is missing")
        for key, kinds in _MANIFEST_TYPES.items():
            if key in mapping and not isinstance(mapping[key], kinds):
                raise ModelError(f"{where}: {key}: expected {kinds}, got {mapping[key]!r}")
        check_version(mapping["version"], where=where)
        for name, digest in mapping["files"].items():
            _check_file_name(name, where=where)
            if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise ModelError(f"{where}: files: {name}: expected a SHA-256 in hex, got {digest!r}")
        if MODEL not in mapping["files"]:
            raise ModelError(f"{where}: files: expected {MODEL}, got {sorted(mapping['files'])}")
        known = {key: mapping[key] for key in _MANIFEST_TYPES if key in mapping}
        return cls(**known, extra={key: value for key, value in mapping.items() if key not in _MANIFEST_TYPES})


_MANIFEST_TYPES: Mapping[str, Any] = {
    "version": str,
    "files": dict,
    "tokenizer": str | int,
    "features": str | int,
    "data_hash": str,
    "metrics": dict,
    "gate": dict,
    "parent": str | None,
    "created_at": int | float,
}


def check_version(version: str, *, where: str = "models") -> str:
    """Return a version that is a plain name.

    Raises:
        ModelError: it is a path, empty, or holds other characters than letters, digits, dot, dash and underscore.
    """
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ModelError(f"{where}: expected a version of letters, digits, '.', '-' and '_', got {version!r}")
    return version


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder, unverified.

    Raises:
        ModelError: it is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        return Manifest.from_mapping(json.loads(path.read_bytes()), where=str(path))
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no {MANIFEST}; the version is missing or was never finished") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected JSON: {error}") from error


def verify_folder(folder: Path, *, allows_hard_links: bool = False) -> Manifest:
    """Check every byte of a version against its manifest.

    Args:
        folder: the version.
        allows_hard_links: true for the shipped model: some installers link packages from their cache.

    Raises:
        ModelError: a file is missing, changed, foreign, or no plain file of its own.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise ModelError(f"{folder}: expected a folder of its own, got a link or nothing")
    manifest = read_manifest(folder)
    found = {entry.name: entry for entry in os.scandir(folder)}
    if foreign := sorted(
        set(found) - set(manifest.files) - {MANIFEST, SIGNATURE} - ({"__pycache__", "__init__.py"} if allows_hard_links else set())
    ):
        raise ModelError(f"{folder}: foreign files {foreign[:3]}; a version holds only what its manifest names")
    if missing := sorted(set(manifest.files) - set(found)):
        raise ModelError(f"{folder}: missing {missing}; import the version again")
    for name in (MANIFEST, *([SIGNATURE] if SIGNATURE in found else []), *sorted(manifest.files)):
        status = found[name].stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{folder / name}: expected a plain file, got a link or something else")
        if status.st_nlink != 1 and not allows_hard_links:
            raise ModelError(f"{folder / name}: is a hard link; its content could change from elsewhere")
        if name in manifest.files and (digest := _digest_of(folder / name)) != manifest.files[name]:
            raise ModelError(f"{folder / name}: expected SHA-256 {manifest.files[name][:12]}..., got {digest[:12]}...; the file is damaged")
    return manifest


def probe_in_child(folder: Path) -> None:
    """Load a model in a child process that may neither grow nor write, and is given no secret: a bomb ends the child, not the daemon.

    Raises:
        ModelError: it does not load, needs too much memory, or takes too long.
    """
    command = [sys.executable, "-c", _PROBE, str(folder), str(PROBE_MEMORY_BYTES)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOICE_RL")}
    environment = {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PROBE_TIMEOUT_S, check=False, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{folder}: did not load within {PROBE_TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise ModelError(f"{folder}: does not load in a child process: {lines[-1][:300] if lines else f'exit {done.returncode}'}")


class ModelStore:
    """All versions on disk, and which one is the champion."""

    def __init__(
        self,
        path: Path,
        *,
        base: Path = BASE_FOLDER,
        probe: Callable[[Path], None] | None = None,
        check_signature: SignatureCheck | None = None,
    ) -> None:
        """Open the store; the folder is made with the first version.

        Args:
            path: the folder of all versions.
            base: the shipped model.
            probe: raises ModelError when a new version does not load; run before it is added from outside and before it is promoted.
            check_signature: raises ModelError when a version is not signed by the right hand; the shipped one is the installer's business.
        """
        self.path = path
        self._base = base
        self._probe = probe
        self._check_signature = check_signature

    @property
    def needs_signature(self) -> bool:
        """Whether only signed versions are served."""
        return self._check_signature is not None

    @property
    def pointer(self) -> Path:
        """Return the file that changes whenever the champion does."""
        return self.path / POINTER

    def versions(self) -> tuple[str, ...]:
        """Return the base and every finished version, oldest first; they are not verified."""
        folders = [one for one in self.path.iterdir() if _VERSION.fullmatch(one.name)] if self.path.is_dir() else []
        found = [((one / MANIFEST).stat().st_mtime_ns, one.name) for one in folders if (one / MANIFEST).is_file()]
        return (BASE, *(name for _, name in sorted(found)))

    def folder(self, version: str) -> Path:
        """Return where a version is or would be."""
        return self._base if version == BASE else self.path / check_version(version)

    def manifest(self, version: str) -> Manifest:
        """Read the manifest of a version, unverified."""
        return read_manifest(self.folder(version))

    def made_at(self, version: str) -> float:
        """Return when a version was made, in Unix seconds; infinite for the shipped one and where nobody knows: it holds nothing of this home."""
        try:
            return float("inf") if version == BASE else self.manifest(version).created_at
        except ModelError:
            return float("inf")

    def verify(self, version: str) -> Manifest:
        """Check every byte of a version.

        Raises:
            ModelError: it is missing, damaged, not signed by the right hand, or holds what its manifest does not name.
        """
        if version != BASE and self._check_signature is not None:
            self._check_signature(self.folder(version))
        manifest = verify_folder(self.folder(version), allows_hard_links=version == BASE)
        if version not in (BASE, manifest.version):
            raise ModelError(f"{self.folder(version)}: the manifest names version {manifest.version!r}; the folder was renamed")
        return manifest

    def add(self, folder: Path, manifest: Mapping[str, Any], *, sign: Callable[[bytes], bytes] | None = None) -> str:
        """Copy a new version into the store, its manifest last.

        Args:
            folder: holds `policy.onnx` and whatever belongs to it.
            manifest: everything but `files`, which is computed here.
            sign: makes the signature of the manifest.

        Returns:
            The version.

        Raises:
            ModelError: the version exists, or a file is not allowed in one.
        """
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name not in (MANIFEST, SIGNATURE))
        for name in names:
            _check_file_name(name, where=str(folder))
            if (folder / name).is_symlink() or not (folder / name).is_file():
                raise ModelError(f"{folder / name}: expected a plain file")
        with self._staging() as staging:
            for name in names:
                shutil.copyfile(folder / name, staging / name)
            if CARD not in names:
                (staging / CARD).write_text(_card_of(manifest), encoding="utf-8")
                names.append(CARD)
            files = {name: _digest_of(staging / name) for name in names}
            checked = Manifest.from_mapping({**manifest, "files": files}, where=str(folder))
            _replace_file(staging / MANIFEST, json.dumps(checked.to_mapping(), indent=2, sort_keys=True, ensure_ascii=False))
            if sign is not None:
                (staging / SIGNATURE).write_bytes(sign((staging / MANIFEST).read_bytes()))
            return self._take_in(staging)

    def import_archive(self, archive: Path) -> str:
        """Take in a version from a tar or zip file, made on another machine.

        Returns:
            The version; it is not promoted.

        Raises:
            ModelError: the archive holds links, paths, too much, or a version that does not verify or load.
        """
        with self._staging() as staging:
            _extract(archive, staging)
            if self._check_signature is not None:
                self._check_signature(staging)
            verify_folder(staging)
            if self._probe is not None:
                self._probe(staging)
            return self._take_in(staging)

    def champion_version(self) -> str:
        """Return the version that the pointer names; the base when nothing was promoted."""
        return str(self._read_pointer()["version"])

    def history(self) -> tuple[str, ...]:
        """Return the former champions, oldest first."""
        return tuple(self._read_pointer()["previous"])

    def champion(self) -> Path:
        """Return the folder of the best version that verifies: the champion, else the former ones, else the base.

        Raises:
            ModelError: not even the shipped model verifies.
        """
        pointer = self._read_pointer()
        for version in dict.fromkeys([pointer["version"], *reversed(pointer["previous"])]):
            if version == BASE:
                continue
            try:
                self.verify(version)
            except ModelError as error:
                _LOGGER.error("model %s is not used: %s", version, error)  # noqa: TRY400 - the message says it all
            else:
                return self.folder(version)
        self.verify(BASE)
        return self._base

    def promote(self, version: str, *, at: float, despite_gate: bool = False) -> None:
        """Make a version the champion.

        Args:
            version: one of `versions()`.
            at: Unix seconds.
            despite_gate: promote even what has not passed the gate.

        Raises:
            ModelError: it does not verify, does not load, or has not passed the gate; the champion stays.
        """
        manifest = self.verify(version)
        if version != BASE:
            if not (manifest.has_passed_gate or despite_gate):
                failed = manifest.gate.get("failed_gate") or "no gate report"
                raise ModelError(f"model {version}: has not passed the gate ({failed}); the champion stays")
            if self._probe is not None:
                self._probe(self.folder(version))
        pointer = self._read_pointer()
        if pointer["version"] != version:
            self._write_pointer(version, [*pointer["previous"], pointer["version"]], at, on_trial=True)

    def trial(self) -> Trial | None:
        """Return the trial of the champion; None when it has none, or has passed it."""
        pointer = self._read_pointer()
        if not pointer["on_trial"] or not pointer["previous"]:
            return None
        return Trial(version=pointer["version"], former=pointer["previous"][-1], since=pointer["changed_at"])

    def end_trial(self, version: str) -> None:
        """Note that a champion has passed its trial; another champion's trial goes on.

        Raises:
            ModelError: the pointer cannot be written; the trial goes on.
        """
        pointer = self._read_pointer()
        if pointer["version"] == version and pointer["on_trial"]:
            self._write_pointer(version, pointer["previous"], pointer["changed_at"])

    def challenger_version(self) -> str | None:
        """Return the version that runs in shadow beside the champion; None when there is none."""
        try:
            return check_version((self.path / CHALLENGER).read_text(encoding="utf-8").strip(), where=str(self.path / CHALLENGER))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ModelError) as error:
            _LOGGER.error("%s: damaged (%s); nothing runs in shadow", self.path / CHALLENGER, error)  # noqa: TRY400 - the message says it all
            return None

    def challenger(self, version: str) -> Path:
        """Return the folder of a version that is to run in shadow.

        Raises:
            ModelError: it is missing or damaged.
        """
        self.verify(version)
        return self.folder(version)

    def challenge(self, version: str | None) -> None:
        """Have a version run in shadow beside the champion; None ends it.

        Raises:
            ModelError: it does not verify or load, or the store cannot be written.
        """
        if version is not None:
            self.verify(version)
            if self._probe is not None:
                self._probe(self.folder(version))
        try:
            if version is None:
                (self.path / CHALLENGER).unlink(missing_ok=True)
            else:
                self.path.mkdir(parents=True, exist_ok=True)
                _replace_file(self.path / CHALLENGER, version)
        except OSError as error:
            raise ModelError(f"{self.path / CHALLENGER}: cannot be written: {error.strerror}") from error

    def newer_than(self, version: str) -> tuple[str, ...]:
        """Return the versions made after one that passed their gate, oldest first; they are not verified."""
        made = self.versions()
        later = made[made.index(version) + 1 :] if version in made else made[1:]
        return tuple(one for one in later if self._has_passed_gate(one))

    def summary(self, version: str) -> str:
        """Return in one line what a version was made of; empty when its manifest cannot be read."""
        try:
            manifest = self.manifest(version)
        except ModelError:
            return ""
        if version == BASE:
            return "the shipped model"
        labels = manifest.metrics.get("labels")
        made_of = f"learned from {labels} labels of this home, " if isinstance(labels, int) else ""
        return f"{made_of}after {manifest.parent or BASE}; the gate was {'' if manifest.has_passed_gate else 'not '}passed"

    def rollback(self, *, at: float) -> str:
        """Make the former champion the champion again and return its version.

        Raises:
            ModelError: there is none that verifies.
        """
        pointer = self._read_pointer()
        previous = list(pointer["previous"])
        while previous:
            version = previous.pop()
            try:
                self.verify(version)
            except ModelError as error:
                _LOGGER.error("model %s is skipped: %s", version, error)  # noqa: TRY400 - the message says it all
                continue
            self._write_pointer(version, previous, at)
            return str(version)
        raise ModelError(f"models: nothing to roll back to; {pointer['version']} is the first champion")

    def _has_passed_gate(self, version: str) -> bool:
        try:
            return self.manifest(version).has_passed_gate
        except ModelError:
            return False

    def _staging(self) -> "_Staging":
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for left_over in self.path.glob(".staging-*"):  # a killed import
                shutil.rmtree(left_over, ignore_errors=True)
            return _Staging(Path(tempfile.mkdtemp(prefix=".staging-", dir=self.path)))
        except OSError as error:
            raise ModelError(f"{self.path}: cannot write the model store: {error.strerror}") from error

    def _take_in(self, staging: Path) -> str:
        manifest = verify_folder(staging)
        target = self.path / manifest.version
        if manifest.version == BASE or target.exists():
            raise ModelError(f"model {manifest.version}: exists already; versions are never replaced")
        for name in (*manifest.files, MANIFEST, SIGNATURE):
            if name != SIGNATURE or (staging / name).exists():
                _sync(staging / name)
        staging.chmod(0o755)
        staging.rename(target)
        _sync(self.path)
        return manifest.version

    def _read_pointer(self) -> dict[str, Any]:
        try:
            pointer = json.loads(self.pointer.read_bytes())
            version, previous = pointer["version"], pointer["previous"]
            for name in (version, *previous):
                check_version(name, where=str(self.pointer))
            changed_at, on_trial = float(pointer.get("changed_at", 0.0)), pointer.get("on_trial") is True
        except FileNotFoundError:
            return dict(_NO_POINTER)
        except (OSError, ValueError, KeyError, TypeError, ModelError) as error:
            _LOGGER.error("%s: damaged (%s); the shipped model is used", self.pointer, error)  # noqa: TRY400 - the message says it all
            return dict(_NO_POINTER)
        return {"version": version, "previous": list(previous), "changed_at": changed_at, "on_trial": on_trial}

    def _write_pointer(self, version: str, previous: list[str], at: float, *, on_trial: bool = False) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"version": version, "previous": previous[-KEPT_HISTORY:], "changed_at": at, "on_trial": on_trial}, indent=2)
        try:
            _replace_file(self.pointer, text)
            _sync(self.path)
        except OSError as error:
            raise ModelError(f"{self.pointer}: cannot be written: {error.strerror}; the champion stays") from error


_NO_POINTER: Mapping[str, Any] = {"version": BASE, "previous": (), "changed_at": 0.0, "on_trial": False}


class _Staging:
    """A folder in the making; whatever is left of it in the end is removed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def _check_file_name(name: str, *, where: str) -> None:
    if not isinstance(name, str) or not _FILE.fullmatch(name) or Path(name).suffix not in _SUFFIXES:
        raise ModelError(f"{where}: expected plain file names ending in {', '.join(sorted(_SUFFIXES))}, got {name!r}")


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace_file(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _card_of(manifest: Mapping[str, Any]) -> str:
    metrics = manifest.get("metrics") or {}
    lines = [f"- {key}: {value}" for key, value in sorted(metrics.items())] or ["- none were given"]
    gate = "passed" if (manifest.get("gate") or {}).get("passed") is True else "not passed"
    return "\n".join([f"# Model {manifest.get('version')}", "", f"Parent: {manifest.get('parent')}. Gate: {gate}.", "", *lines, ""])


def _extract(archive: Path, folder: Path) -> None:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as container:
                _write_members(_zip_members(container), folder, archive)
        else:
            with tarfile.open(archive) as container:
                _write_members(_tar_members(container), folder, archive)
    except OSError as error:
        raise ModelError(f"{archive}: cannot be read: {error.strerror or error}") from error
    except _UNREADABLE as error:
        raise ModelError(f"{archive}: expected a tar or zip file of one version: {error}") from error


def _zip_members(container: zipfile.ZipFile) -> Iterator[tuple[str, bool, Callable[[], IO[bytes]]]]:
    for member in container.infolist():
        kind = stat.S_IFMT(member.external_attr >> 16)
        if member.is_dir():
            continue
        yield member.filename, kind in (0, stat.S_IFREG), lambda m=member: container.open(m)  # type: ignore[misc]


def _tar_members(container: tarfile.TarFile) -> Iterator[tuple[str, bool, Callable[[], IO[bytes]]]]:
    for member in container:
        if member.isdir():
            continue
        yield member.name, member.isreg(), lambda m=member: container.extractfile(m)  # type: ignore[misc]


def _write_members(members: Iterator[tuple[str, bool, Callable[[], IO[bytes]]]], folder: Path, archive: Path) -> None:
    top: str | None = None
    room = MAX_BYTES
    for count, (path, is_plain, opener) in enumerate(members, start=1):
        parts = path.removeprefix("./").split("/")
        if not is_plain:
            raise ModelError(f"{archive}: {path!r} is a link or a device; a version holds plain files only")
        if count > MAX_FILES:
            raise ModelError(f"{archive}: more than {MAX_FILES} files")
        if len(parts) > 2 or (len(parts) == 2 and not _VERSION.fullmatch(parts[0])):
            raise ModelError(f"{archive}: {path!r} leaves the version's folder")
        if parts[-1] != SIGNATURE:
            _check_file_name(parts[-1], where=str(archive))
        parent = parts[0] if len(parts) == 2 else ""
        if top is not None and parent != top:
            raise ModelError(f"{archive}: expected one version, got files in {top!r} and {parent!r}")
        top = parent
        target = folder / parts[-1]
        if target.exists():
            raise ModelError(f"{archive}: {path!r} occurs twice")
        with opener() as source, target.open("xb") as file:
            while chunk := source.read(_CHUNK):
                room -= len(chunk)
                if room < 0:
                    raise ModelError(f"{archive}: holds more than {MAX_BYTES} bytes")
                file.write(chunk)
