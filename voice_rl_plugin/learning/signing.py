"""Signatures of models: Ed25519 over the bytes of a manifest, which pins every other file of its version.

manifest.json  --private key-->  manifest.sig    64 bytes in base64, one line
manifest.sig   --public key--->  verified before any other file of the version is opened

openssl genpkey -algorithm ed25519 -out sign.pem && openssl pkey -in sign.pem -pubout -out sign.pub
"""

import base64
import binascii
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voice_rl_plugin.errors import ConfigError, ModelError

SIGNATURE = "manifest.sig"
MANIFEST_FILE = "manifest.json"
_MAX_KEY_BYTES = 16_384

SignatureCheck = Callable[[Path], None]
"""Takes the folder of a version; raises ModelError when it is not signed with the right key."""


def signature_check(public_key_file: Path | None) -> SignatureCheck | None:
    """Return what checks the signature of a version's folder; None where no key is configured.

    Raises:
        ConfigError: the file holds no Ed25519 public key, or `cryptography` is not installed.
    """
    if public_key_file is None:
        return None
    key = _load(public_key_file, "models.public_key_file", "load_pem_public_key", "Ed25519PublicKey", "a public")

    def check(folder: Path) -> None:
        if not (folder / MANIFEST_FILE).is_file():
            raise ModelError(f"{folder}: no {MANIFEST_FILE}; the version is missing or was never finished")
        try:
            manifest, text = (folder / MANIFEST_FILE).read_bytes(), (folder / SIGNATURE).read_bytes()
        except FileNotFoundError as error:
            raise ModelError(f"{folder}: is not signed, and models.public_key_file asks for it: sign it with --sign KEY") from error
        except OSError as error:
            raise ModelError(f"{folder}: the signature cannot be read: {error.strerror}") from error
        try:
            signature = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ModelError(f"{folder / SIGNATURE}: expected base64: {error}") from error
        try:
            key.verify(signature, manifest)
        except _invalid_signature() as error:
            raise ModelError(f"{folder}: signed with another key than {public_key_file}, or changed after it was signed") from error

    return check


def signer(private_key_file: Path) -> Callable[[bytes], bytes]:
    """Return what turns the bytes of a manifest into those of its signature file.

    Raises:
        ConfigError: the file holds no Ed25519 private key, or `cryptography` is not installed.
    """
    key = _load(private_key_file, "--sign", "load_pem_private_key", "Ed25519PrivateKey", "a private", None)
    return lambda manifest: base64.b64encode(key.sign(manifest)) + b"\n"


def _load(path: Path, option: str, loader: str, kind: str, words: str, *arguments: Any) -> Any:
    serialization = _cryptography("serialization")
    ed25519 = _cryptography("asymmetric.ed25519")
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise ConfigError(f"{option}: {path}: cannot be read: {error.strerror}") from error
    try:
        key = getattr(serialization, loader)(content, *arguments)
    except Exception as error:  # its own errors are many, and all mean the same
        raise ConfigError(f"{option}: {path}: expected {words} Ed25519 key as PEM without a password") from error
    if not isinstance(key, getattr(ed25519, kind)):
        raise ConfigError(
            f"{option}: {path}: expected {words} Ed25519 key, got another kind; `openssl genpkey -algorithm ed25519` makes one"
        )
    return key


def _invalid_signature() -> type[Exception]:
    return importlib.import_module("cryptography.exceptions").InvalidSignature  # type: ignore[no-any-return]


def _cryptography(name: str) -> Any:
    try:
        return importlib.import_module(f"cryptography.hazmat.primitives.{name}")
    except ImportError as error:
        raise ConfigError("signed models need the package `cryptography`: pip install 'voice-rl-plugin[sign]'") from error
