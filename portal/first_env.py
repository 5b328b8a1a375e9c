"""The first step on an empty host: `.env` out of `.env.example`, keys and secrets beside it, before settings can load.

Nothing that exists is overwritten, no secret is printed, and every file is readable by its owner alone.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"
ORIGIN = "{host}/audit/1"
# The database roles and, where PostgreSQL is the one of docker-compose.yml, its place.
DATABASE_URL = "postgresql://{role}:{password}@postgres:5432/roledesk"
ROLES = {
    "database.url": "roledesk_app",
    "database-sealer.url": "roledesk_sealer",
    "database-owner.url": "roledesk_owner",
}
# Secrets that an installation may have; an empty file says that it has none.
EMPTY = ("email.password", "webhook.secret", "oidc.secret", "aws.credentials")
NEXT = """Wrote .env and keys/ in {folder}: no other copy exists. Next:
  chown -R 10001:10001 keys && chown 999:999 keys/postgres.password     as root: the containers' users
  docker compose up -d
  docker compose exec web python manage.py setup --operator EMAIL FIRST LAST
Give the auditors keys/audit/audit.vkeys by another channel than this host, and keep a copy of keys/ elsewhere.
"""


class CannotWrite(Exception):
    """The address is none, or something is there already."""


def main(arguments: Sequence[str]) -> int:
    """Writes what `--base-url` asks for. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="manage.py setup")
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--directory", type=Path, default=Path.cwd())
    given = parser.parse_args(arguments)
    try:
        write(given.directory, given.base_url)
    except (CannotWrite, OSError) as error:
        sys.stdout.write(f"Nothing was overwritten: {error}\n")
        return 1
    sys.stdout.write(NEXT.format(folder=given.directory))
    return 0


def write(folder: Path, base_url: str) -> None:
    """Writes `.env` and `keys/`. Raises CannotWrite for a wrong address and where one of the files exists."""
    parts = urlsplit(base_url)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise CannotWrite(f"{base_url} is no address like https://roledesk.example.org")
    secret = keys(parts.hostname)
    there = [path for path in (folder / ".env", *(folder / "keys" / name for name in secret)) if path.exists()]
    if there:
        raise CannotWrite(f"{there[0]} exists already.")
    (folder / "keys/audit").mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "keys").chmod(0o700)
    for name, content in secret.items():
        _create(folder / "keys" / name, content)
    _create(folder / ".env", filled(EXAMPLE.read_text(encoding="utf-8"), values(parts.hostname, base_url)).encode())


def keys(host: str) -> dict[str, bytes]:
    """Returns a fresh content for each file of `keys/`."""
    approval, audit = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    passwords = {name: secrets.token_hex(24) for name in ROLES}
    return {
        "django.key": secrets.token_urlsafe(64).encode(),
        "metrics.token": secrets.token_urlsafe(32).encode(),
        "approval.key": _pem(approval),
        "approval.pub": approval.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "audit/audit.key": _pem(audit),
        "audit/audit.vkeys": f"{vkey(ORIGIN.format(host=host), audit)}\n".encode(),
        "postgres.password": passwords["database-owner.url"].encode(),
        **{name: DATABASE_URL.format(role=ROLES[name], password=passwords[name]).encode() for name in ROLES},
        **dict.fromkeys(EMPTY, b""),
    }


def vkey(origin: str, key: Ed25519PrivateKey) -> str:
    """Returns the verifier key as docs/audit-format.md spells it; `iamroles.audit` itself needs settings to load."""
    public = b"\x01" + key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key_id = hashlib.sha256(origin.encode() + b"\n" + public).hexdigest()[:8]
    return f"{origin}+{key_id}+{base64.b64encode(public).decode()}"


def values(host: str, base_url: str) -> dict[str, str]:
    """Returns what follows from the address."""
    return {"BASE_URL": base_url.rstrip("/"), "ROLEDESK_AUDIT_ORIGIN": ORIGIN.format(host=host)}


def filled(example: str, wanted: Mapping[str, str]) -> str:
    """Returns the example with these values in their lines. Raises KeyError for a name that has no line."""
    lines, left = [], dict(wanted)
    for line in example.splitlines():
        name = line.partition("=")[0]
        lines.append(f"{name}={left.pop(name)}" if name in left else line)
    if left:
        raise KeyError(f".env.example has no line for {', '.join(left)}")
    return "\n".join(lines) + "\n"


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _create(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
