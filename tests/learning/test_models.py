"""The model store: what verifies is served, everything else is refused and says why."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.learning.makers import START
from voice_rl_plugin.errors import ModelError
from voice_rl_plugin.learning.models import BASE, MANIFEST, ModelStore, probe_in_child, verify_folder

PASSED = {"passed": True}


def make_folder(path: Path, content: bytes = b"weights" * 1000) -> Path:
    """Return a folder with the files of a version, without a manifest."""
    path.mkdir(parents=True)
    (path / "policy.onnx").write_bytes(content)
    (path / "policy.json").write_text("{}")
    return path


def manifest_of(version: str, **changes: object) -> dict[str, object]:
    """Return what a trainer gives."""
    return {"version": version, "tokenizer": "t1", "features": "f1", "data_hash": "ab", "gate": PASSED, "created_at": START, **changes}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store with a base and the version v1."""
    maker = ModelStore(tmp_path / "making")
    base = maker.folder(maker.add(make_folder(tmp_path / "b"), manifest_of("shipped")))
    made = ModelStore(tmp_path / "models", base=base)
    made.add(make_folder(tmp_path / "new"), manifest_of("v1", metrics={"right": 0.9}, parent=BASE))
    return made


def test_add_writes_a_version_that_verifies(store: ModelStore) -> None:
    """The manifest names every file with its hash; a card is written where there was none."""
    manifest = store.verify("v1")

    assert sorted(manifest.files) == ["model_card.md", "policy.json", "policy.onnx"]
    assert (manifest.tokenizer, manifest.parent, manifest.metrics) == ("t1", BASE, {"right": 0.9})
    assert store.versions() == (BASE, "v1")
    assert not list(store.path.glob(".staging-*"))


def test_newer_versions_are_those_that_passed(store: ModelStore) -> None:
    """Only what was made later and passed its gate is newer; a version that is not there is as old as the base."""
    store.add(make_folder(store.path.parent / "n2"), manifest_of("v2", gate={"passed": False, "failed_gate": "golden"}))
    store.add(make_folder(store.path.parent / "n3"), manifest_of("v3"))
    (store.path / "v3" / MANIFEST).touch()

    assert store.newer_than(BASE) == ("v1", "v3")
    assert store.newer_than("v1") == ("v3",)
    assert store.newer_than("v3") == ()
    assert store.newer_than("gone") == ("v1", "v3")


def test_summary_says_what_a_version_was_made_of(store: ModelStore) -> None:
    """One line for the update entity: labels, parent, gate; nothing for a version that cannot be read."""
    store.add(make_folder(store.path.parent / "n2"), manifest_of("v2", metrics={"labels": 132}, parent="v1", gate={"passed": False}))

    assert store.summary("v2") == "learned from 132 labels of this home, after v1; the gate was not passed"
    assert store.summary("v1") == "after base; the gate was passed"
    assert (store.summary(BASE), store.summary("v9")) == ("the shipped model", "")


def test_champion_is_the_base_until_one_is_promoted(store: ModelStore) -> None:
    """Promote, promote, roll back, roll back: and then there is nothing to roll back to."""
    assert store.champion().name == "shipped"
    store.add(make_folder(store.path.parent / "n2"), manifest_of("v2"))
    store.promote("v1", at=START)
    store.promote("v2", at=START)
    store.promote("v2", at=START)

    assert (store.champion_version(), store.history()) == ("v2", (BASE, "v1"))
    assert store.rollback(at=START) == "v1"
    assert store.champion() == store.folder("v1")
    assert store.rollback(at=START) == BASE
    with pytest.raises(ModelError, match="nothing to roll back"):
        store.rollback(at=START)


@pytest.mark.parametrize("gate", [{}, {"passed": False, "failed_gate": "unsafe"}, {"passed": "yes"}])
def test_promote_needs_the_gate(store: ModelStore, gate: dict[str, object]) -> None:
    """What has not passed stays out, unless the owner insists."""
    store.add(make_folder(store.path.parent / "n2"), manifest_of("v2", gate=gate))

    with pytest.raises(ModelError, match="not passed the gate"):
        store.promote("v2", at=START)
    assert store.champion_version() == BASE
    store.promote("v2", at=START, despite_gate=True)
    assert store.champion_version() == "v2"


def test_promote_needs_a_model_that_loads(store: ModelStore) -> None:
    """The probe runs first; the champion stays when it refuses."""

    def refuse(folder: Path) -> None:
        raise ModelError(f"{folder}: does not load")

    with pytest.raises(ModelError, match="does not load"):
        ModelStore(store.path, base=store.folder(BASE), probe=refuse).promote("v1", at=START)
    assert store.champion_version() == BASE


def damage(folder: Path, kind: str) -> None:
    """Damage a version in one way."""
    model = folder / "policy.onnx"
    outside = folder.parent.parent / "outside.onnx"
    if kind == "bit flip":
        content = bytearray(model.read_bytes())
        content[3] ^= 1
        model.write_bytes(content)
    elif kind == "truncation":
        model.write_bytes(model.read_bytes()[:-1])
    elif kind == "missing file":
        model.unlink()
    elif kind == "foreign file":
        (folder / "extra.onnx").write_bytes(b"x")
    elif kind == "symlink":
        model.rename(outside)
        model.symlink_to(outside)
    elif kind == "hard link":
        os.link(model, outside)
    elif kind == "folder":
        (folder / "sub").mkdir()
    elif kind == "no manifest":
        (folder / MANIFEST).unlink()
    elif kind == "torn manifest":
        (folder / MANIFEST).write_text((folder / MANIFEST).read_text()[:40])
    elif kind == "path in manifest":
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest["files"]["../outside.onnx"] = "0" * 64
        (folder / MANIFEST).write_text(json.dumps(manifest))
    elif kind == "other version":
        manifest = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps({**manifest, "version": "v9"}))


KINDS = (
    "bit flip",
    "truncation",
    "missing file",
    "foreign file",
    "symlink",
    "hard link",
    "folder",
    "no manifest",
    "torn manifest",
    "path in manifest",
    "other version",
)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_champion_is_refused_and_the_former_one_serves(store: ModelStore, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged version neither verifies nor is promoted nor served; the one before takes over, and it is said."""
    store.add(make_folder(store.path.parent / "n2"), manifest_of("v2"))
    store.promote("v1", at=START)
    store.promote("v2", at=START)
    damage(store.folder("v2"), kind)

    with pytest.raises(ModelError):
        store.verify("v2")
    with pytest.raises(ModelError):
        store.promote("v2", at=START)
    assert store.champion() == store.folder("v1")
    assert "model v2 is not used" in caplog.text


def test_damaged_base_is_an_error(store: ModelStore) -> None:
    """When nothing verifies there is no model, and nobody guesses."""
    damage(store.folder(BASE), "bit flip")

    with pytest.raises(ModelError, match="damaged"):
        store.champion()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "../x", "previous": []}', '{"version": "v1"}'])
def test_damaged_pointer_means_the_base(store: ModelStore, content: str) -> None:
    """A torn or foreign pointer never leads outside."""
    store.pointer.write_text(content)

    assert store.champion_version() == BASE


@pytest.mark.parametrize("version", ["", "..", "../v1", "a/b", "/etc", ".hidden", "a" * 65, "x\n", "..\\v1"])
def test_paths_are_no_versions(store: ModelStore, version: str) -> None:
    """A version is a plain name."""
    for use in (store.verify, store.folder, lambda name: store.promote(name, at=START)):
        with pytest.raises(ModelError, match="expected a version"):
            use(version)
    with pytest.raises(ModelError, match="expected a version"):
        store.add(make_folder(store.path.parent / "n3"), manifest_of(version))


def test_add_refuses_code_links_and_known_versions(store: ModelStore, tmp_path: Path) -> None:
    """Pickles and links stay out; versions are never replaced."""
    pickled, linked = make_folder(tmp_path / "p"), make_folder(tmp_path / "l")
    (pickled / "weights.pt").write_bytes(b"x")
    (linked / "more.onnx").symlink_to(linked / "policy.onnx")

    for folder in (pickled, linked):
        with pytest.raises(ModelError):
            store.add(folder, manifest_of("v5"))
    with pytest.raises(ModelError, match="exists already"):
        store.add(make_folder(tmp_path / "again"), manifest_of("v1"))
    with pytest.raises(ModelError, match="exists already"):
        store.add(make_folder(tmp_path / "base"), manifest_of(BASE))
    assert store.versions() == (BASE, "v1")


def pack(folder: Path, archive: Path, *, top: str = "v7/", extra: tuple[str, bytes] | None = None) -> Path:
    """Pack a version's folder."""
    members = {top + path.name: path.read_bytes() for path in folder.iterdir()}
    if extra:
        members[extra[0]] = extra[1]
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as container:
            for name, content in members.items():
                container.writestr(name, content)
    else:
        with tarfile.open(archive, "w:gz") as container:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                container.addfile(member, io.BytesIO(content))
    return archive


@pytest.mark.parametrize("name", ["m.zip", "m.tar.gz"])
@pytest.mark.parametrize("top", ["v7/", "", "./"])
def test_import_takes_a_version_from_elsewhere(store: ModelStore, tmp_path: Path, name: str, top: str) -> None:
    """Tar or zip, with or without a folder around: verified, probed, added, not promoted."""
    other = ModelStore(tmp_path / "other")
    other.add(make_folder(tmp_path / "n7"), manifest_of("v7"))
    probed: list[Path] = []

    version = ModelStore(store.path, base=store.folder(BASE), probe=probed.append).import_archive(
        pack(other.folder("v7"), tmp_path / name, top=top)
    )

    assert version == "v7"
    assert len(probed) == 1
    assert store.verify("v7").version == "v7"
    assert store.champion_version() == BASE


@pytest.mark.parametrize("name", ["m.zip", "m.tar.gz"])
@pytest.mark.parametrize(
    "path",
    [
        "../evil.onnx",
        "/var/evil.onnx",
        "v7/../../evil.onnx",
        "v7/sub/evil.onnx",
        "v7/extra.onnx",
        "v7/run.py",
        "v8/policy.json",
        "v7/..\\e.onnx",
    ],
)
def test_import_refuses_paths_and_foreign_files(store: ModelStore, tmp_path: Path, name: str, path: str) -> None:
    """Nothing is written outside, and nothing is added."""
    other = ModelStore(tmp_path / "other")
    other.add(make_folder(tmp_path / "n7"), manifest_of("v7"))
    archive = pack(other.folder("v7"), tmp_path / name, extra=(path, b"evil"))

    with pytest.raises(ModelError):
        store.import_archive(archive)
    assert store.versions() == (BASE, "v1")
    assert not list(tmp_path.rglob("*evil*"))
    assert not list(store.path.glob(".staging-*"))


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "zip symlink", "text", "missing", "truncated"])
def test_import_refuses_links_and_damage(store: ModelStore, tmp_path: Path, kind: str) -> None:
    """Links, torn archives and what is none are refused."""
    archive = tmp_path / "m.tar"
    if kind in ("symlink", "hardlink"):
        with tarfile.open(archive, "w") as container:
            member = tarfile.TarInfo("v7/policy.onnx")
            member.type, member.linkname = (tarfile.SYMTYPE if kind == "symlink" else tarfile.LNKTYPE), "/etc/passwd"
            container.addfile(member)
    elif kind == "zip symlink":
        with zipfile.ZipFile(archive, "w") as container:
            link = zipfile.ZipInfo("v7/policy.onnx")
            link.external_attr = 0o120777 << 16
            container.writestr(link, "/etc/passwd")
    elif kind == "text":
        archive.write_text("hello")
    elif kind == "truncated":
        other = ModelStore(tmp_path / "other")
        other.add(make_folder(tmp_path / "n7", os.urandom(50_000)), manifest_of("v7"))
        packed = pack(other.folder("v7"), tmp_path / "m.tar.gz")
        archive.write_bytes(packed.read_bytes()[:-20_000])

    with pytest.raises(ModelError):
        store.import_archive(archive)
    assert store.versions() == (BASE, "v1")


def test_probe_in_child_refuses_what_does_not_load(tmp_path: Path) -> None:
    """Bytes that are no model end the child with a line of why."""
    with pytest.raises(ModelError, match="does not load in a child process"):
        probe_in_child(make_folder(tmp_path / "bad"))


def test_shipped_model_verifies_where_it_is_present() -> None:
    """The package's own base, when it ships one, is sound."""
    folder = ModelStore(Path("unused")).folder(BASE)
    if not (folder / MANIFEST).is_file():
        pytest.skip("this checkout has no shipped model yet")

    verify_folder(folder, allows_hard_links=True)
