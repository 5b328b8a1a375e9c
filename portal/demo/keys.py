"""The demo's keys, made at the first start: readable by their owner alone, never in the database, never overwritten.

Which process gets which of them is decided in `processes`. The approval key's public half is derived at every start.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

AUDIT_ORIGIN = "demo.roledesk.localhost/audit/1"
_ED25519 = b"\x01"


def create_keys(folder: Path) -> None:
    """Makes the keys that are missing: Django's secret, the approval key pair, the audit key pair and its vkey."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_once(folder / "django.key", lambda: secrets.token_urlsafe(64).encode() + b"\n")
    _write_once(folder / "approval.key", _new_private_key)
    _write_once(folder / "audit.key", _new_private_key)
    approval, audit = _public_key(folder / "approval.key"), _public_key(folder / "audit.key")
    pem = approval.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "approval.pub").write_bytes(pem)
    raw = audit.public_bytes(Encoding.Raw, PublicFormat.Raw)
    # Kept once it is there: after a rotation it holds the older verifier keys too.
    _write_once(folder / "audit.vkeys", f"{vkey(AUDIT_ORIGIN, raw)}\n".encode)


def vkey(name: str, public_key: bytes) -> str:
    """Returns the verifier key of a signed note: `name+hex(key id)+base64(0x01 and the 32-byte Ed25519 key)`."""
    key_id = hashlib.sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(_ED25519 + public_key).decode()}"


def _new_private_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_key(path: Path) -> Ed25519PublicKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path} is no Ed25519 key")
    return key.public_key()


def _write_once(path: Path, make: Callable[[], bytes]) -> None:
    if path.exists():
        return
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(make())
    new.replace(path)
