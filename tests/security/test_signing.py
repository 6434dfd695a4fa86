"""Signed models: with a public key only what its private half has signed is imported, promoted and served."""

import base64
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from tests.learning.makers import START
from tests.learning.test_models import make_folder, manifest_of, pack
from voice_rl_plugin.cli import main
from voice_rl_plugin.errors import ConfigError, ModelError
from voice_rl_plugin.learning.models import BASE, MANIFEST, ModelStore
from voice_rl_plugin.learning.signing import SIGNATURE, signature_check, signer

pytest.importorskip("cryptography")


def make_keys(folder: Path, name: str = "sign", algorithm: str = "ed25519") -> tuple[Path, Path]:
    """Make a key pair as the documentation says, with openssl."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", algorithm, "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store that asks for signatures, with a signed version and an unsigned one."""
    private, public = make_keys(tmp_path)
    made = ModelStore(tmp_path / "models", check_signature=signature_check(public))
    made.add(make_folder(tmp_path / "good"), manifest_of("good"), sign=signer(private))
    ModelStore(tmp_path / "models").add(make_folder(tmp_path / "bare"), manifest_of("bare"))
    return made


def test_signed_version_is_served(store: ModelStore) -> None:
    """What was signed verifies, is promoted and is the champion."""
    store.promote("good", at=START)

    assert store.verify("good").version == "good"
    assert store.champion() == store.folder("good")


def test_unsigned_version_is_refused(store: ModelStore) -> None:
    """What nobody signed is neither verified nor promoted; without a key it would be."""
    with pytest.raises(ModelError, match="is not signed"):
        store.promote("bare", at=START)

    assert store.champion_version() == BASE
    ModelStore(store.path).verify("bare")


def test_openssl_verifies_and_signs(store: ModelStore, tmp_path: Path) -> None:
    """A signature is plain Ed25519 over manifest.json: openssl checks ours, and we check its."""
    folder, raw = store.folder("good"), tmp_path / "raw.sig"
    raw.write_bytes(base64.b64decode((folder / SIGNATURE).read_bytes()))
    verify = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        tmp_path / "sign.pub",
        "-rawin",
        "-in",
        folder / MANIFEST,
        "-sigfile",
        raw,
    ]
    subprocess.run([str(one) for one in verify], check=True, capture_output=True)
    bare = store.folder("bare")
    sign = ["openssl", "pkeyutl", "-sign", "-inkey", tmp_path / "sign.pem", "-rawin", "-in", bare / MANIFEST, "-out", raw]
    subprocess.run([str(one) for one in sign], check=True, capture_output=True)
    (bare / SIGNATURE).write_bytes(base64.b64encode(raw.read_bytes()))

    assert store.verify("bare").version == "bare"


@pytest.mark.parametrize("kind", ["other key", "changed manifest", "no base64", "empty", "short", "another version's"])
def test_wrong_signature_is_refused(store: ModelStore, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Another key, a manifest that was changed with its file, and damage are refused; the champion falls back to the shipped model."""
    store.promote("good", at=START)
    folder = store.folder("good")
    signature = folder / SIGNATURE
    if kind == "other key":
        private, _ = make_keys(tmp_path, "other")
        signature.write_bytes(signer(private)((folder / MANIFEST).read_bytes()))
    elif kind == "changed manifest":  # an attacker who can write makes file and checksum agree
        import hashlib  # noqa: PLC0415 - beside its only use

        (folder / "policy.onnx").write_bytes(b"evil")
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest["files"]["policy.onnx"] = hashlib.sha256(b"evil").hexdigest()
        (folder / MANIFEST).write_text(json.dumps(manifest))
        ModelStore(store.path).verify("good")  # the checksums alone do not see it
    elif kind == "another version's":
        store.add(make_folder(tmp_path / "next"), manifest_of("next"), sign=signer(tmp_path / "sign.pem"))
        signature.write_bytes((store.folder("next") / SIGNATURE).read_bytes())
    else:
        signature.write_bytes({"no base64": b"???", "empty": b"", "short": b"AAAA"}[kind])

    with pytest.raises(ModelError, match=r"signed|base64"):
        store.verify("good")
    with caplog.at_level(logging.ERROR):
        assert store.champion() == store.folder(BASE)
    assert "model good is not used" in caplog.text


def test_import_needs_the_signature(store: ModelStore, tmp_path: Path) -> None:
    """A signed archive is taken in; an unsigned one is not, and leaves nothing behind."""
    other = ModelStore(tmp_path / "other")
    other.add(make_folder(tmp_path / "n7"), manifest_of("v7"), sign=signer(tmp_path / "sign.pem"))
    other.add(make_folder(tmp_path / "n8"), manifest_of("v8"))

    assert store.import_archive(pack(other.folder("v7"), tmp_path / "v7.tar.gz")) == "v7"
    with pytest.raises(ModelError, match="is not signed"):
        store.import_archive(pack(other.folder("v8"), tmp_path / "v8.tar.gz"))
    assert "v8" not in store.versions()


@pytest.mark.parametrize("kind", ["missing", "text", "rsa", "private", "locked"])
def test_wrong_key_file_is_one_clear_error(tmp_path: Path, kind: str) -> None:
    """A key file that is missing, no key, of another kind, or behind a password is a ConfigError that names it."""
    path = tmp_path / "key.pem"
    if kind == "text":
        path.write_text("hello")
    elif kind == "rsa":
        make_keys(tmp_path, "key", "RSA")
    elif kind == "locked":
        command = ["openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", path]
        subprocess.run([str(one) for one in command], check=True, capture_output=True)

    elif kind == "private":
        make_keys(tmp_path, "key")
    read = signer if kind in ("rsa", "locked") else signature_check

    with pytest.raises(ConfigError, match=r"key\.pem"):
        read(path)


def test_without_cryptography_it_is_said(tmp_path: Path) -> None:
    """A daemon without the extra that is told to check signatures ends with one line that names the extra; without a key it needs nothing."""
    _, public = make_keys(tmp_path)
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from pathlib import Path\n"
        "from voice_rl_plugin.learning.signing import signature_check\n"
        "assert signature_check(None) is None\n"
        f"signature_check(Path({str(public)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={"PYTHONPATH": ":".join(sys.path)}
    )

    assert "voice-rl-plugin[sign]" in done.stderr.strip().splitlines()[-1]


def test_models_verify_says_whose_signature(store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`voice-rl models verify` checks signatures when a key is configured, names what fails, and ends with 1."""
    config = tmp_path / "voice_rl.yaml"
    config.write_text(f"models: {{path: {store.path}, public_key_file: {tmp_path / 'sign.pub'}}}\n")

    assert main(["models", "verify", "good", "--config", str(config)]) == 0
    assert "its signature is right" in capsys.readouterr().out
    assert main(["models", "verify", "--config", str(config)]) == 1
    assert any(line.startswith("bare: ") and "is not signed" in line for line in capsys.readouterr().out.splitlines())


def test_manifest_of_the_trainer_is_signed(tmp_path: Path) -> None:
    """What `voice-rl-train export --sign KEY` writes beside its graphs is taken in by a store with the public key; without --sign it is not."""
    pytest.importorskip("torch")
    from voice_rl_training.export import write_manifest  # noqa: PLC0415 - loads torch

    private, public = make_keys(tmp_path)
    store = ModelStore(tmp_path / "models", check_signature=signature_check(public))
    folder = make_folder(tmp_path / "v9")
    write_manifest(folder, version="v9", parent=BASE, measured={}, gate={}, sign=signer(private))
    signed = pack(folder, tmp_path / "signed.zip", top="v9/")
    write_manifest(folder, version="v9", parent=BASE, measured={}, gate={})

    with pytest.raises(ModelError, match="is not signed"):
        store.import_archive(pack(folder, tmp_path / "bare.zip", top="v9/"))
    assert store.import_archive(signed) == "v9"
