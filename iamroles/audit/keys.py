"""Key files of the sealer: private keys, newest first, and the verifier keys beside them; making, rotating, revoking.

After a rotation both keys sign for 30 days; the file says until when, above the older key. A revoked key stays among
the verifier keys, with the size up to which its signatures count.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from iamroles.audit.checkpoint import BadKey, SigningKey, VerifierKey, read_vkey

BOTH_SIGN: Final = timedelta(days=30)
_BLOCK: Final = re.compile(
    rb"(?:Until: (?P<until>[0-9TZ:+.-]+)\s+)?(?P<pem>-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----\n?)",
    re.DOTALL,
)
_REVOKED: Final = " revoked:"


def load(path: Path, origin: str) -> list[SigningKey]:
    """Returns the private keys of a PEM file, newest first. Raises BadKey for what is no readable Ed25519 key."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadKey(f"the audit key {path} cannot be read: {error.strerror}") from error
    keys = [_load_one(match, path, origin) for match in _BLOCK.finditer(content)]
    if not keys:
        raise BadKey(f"the audit key {path} is no PEM private key without password")
    return keys


def _load_one(match: re.Match[bytes], path: Path, origin: str) -> SigningKey:
    try:
        private = load_pem_private_key(match["pem"], password=None)
        until = datetime.fromisoformat(match["until"].decode()) if match["until"] else None
    except (ValueError, TypeError) as error:
        raise BadKey(f"the audit key {path} is no PEM private key without password") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise BadKey(f"the audit key {path} is no Ed25519 key")
    return SigningKey(origin, private, until)


def ensure(path: Path, origin: str) -> SigningKey:
    """Returns the newest key of the file, which it makes (mode 0600, with its .vkeys beside it) when there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(path, [SigningKey(origin, Ed25519PrivateKey.generate())])
    key = load(path, origin)[0]
    if not vkeys_of(path).exists():
        vkeys_of(path).write_text(f"{key.verifier}\n", encoding="ascii")
    return key


def vkeys_of(path: Path) -> Path:
    """Returns where the verifier keys of a key file lie."""
    return path.with_suffix(".vkeys")


def read_vkeys(text: str) -> list[VerifierKey]:
    """Returns the keys of a text with one vkey a line; empty lines and lines from # are skipped. Raises BadKey."""
    lines = (line.strip() for line in text.splitlines())
    return [_read_line(line) for line in lines if line and not line.startswith("#")]


def _read_line(line: str) -> VerifierKey:
    spelled, revoked, size = line.partition(_REVOKED)
    key = read_vkey(spelled)
    if not revoked:
        return key
    if not size.isascii() or not size.isdigit():
        raise BadKey("a revoked verifier key ends with the size up to which it counts")
    return replace(key, last_size=int(size))


def write_vkeys(found: list[VerifierKey]) -> str:
    """Returns the text that `read_vkeys` reads."""
    revoked = {key: f"{_REVOKED}{key.last_size}" if key.last_size is not None else "" for key in found}
    return "".join(f"{key}{revoked[key]}\n" for key in found)


def prepare_next(path: Path, origin: str) -> SigningKey:
    """Returns the key that will follow, from `FILE.next`; a rotation that died in the middle goes on with the same."""
    coming = path.with_name(f"{path.name}.next")
    if not coming.exists():
        _write_new(coming, [SigningKey(origin, Ed25519PrivateKey.generate())])
    return load(coming, origin)[0]


def install_next(path: Path, following: SigningKey, older: SigningKey | None, now: datetime) -> None:
    """Puts the next key in front; `older`, if any, signs beside it for 30 days. The file is replaced as a whole."""
    coming = path.with_name(f"{path.name}.next")
    found = [following] if older is None else [following, replace(older, until=now + BOTH_SIGN)]
    coming.unlink(missing_ok=True)
    _write_new(coming, found)
    coming.replace(path)


def _write_new(path: Path, found: list[SigningKey]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for key in found:
            if key.until is not None:
                file.write(f"Until: {key.until.isoformat()}\n".encode())
            file.write(key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
