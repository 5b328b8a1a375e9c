"""The first step on an empty host: `.env` out of `.env.example` and the keys beside it, before any settings can load.

Nothing that exists is overwritten, no secret is printed, and every file is readable by its owner alone.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"
KEYS = ("approval.key", "approval.pub", "audit.key")
NEXT = """Wrote .env and keys/ in {folder}: no other copy exists. Next:
  chown -R 10001:10001 keys          the containers' user
  docker compose up -d
  docker compose exec web python manage.py setup --operator EMAIL FIRST LAST
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
    there = [path for path in (folder / ".env", *(folder / "keys" / name for name in KEYS)) if path.exists()]
    if there:
        raise CannotWrite(f"{there[0]} exists already.")
    (folder / "keys").mkdir(mode=0o700, exist_ok=True)
    approval, audit = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    _create(folder / "keys/approval.key", _pem(approval))
    public = approval.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _create(folder / "keys/approval.pub", public)
    _create(folder / "keys/audit.key", _pem(audit))
    _create(folder / ".env", filled(EXAMPLE.read_text(encoding="utf-8"), values(parts.hostname, base_url)).encode())


def values(host: str, base_url: str) -> dict[str, str]:
    """Returns fresh secrets and what follows from the address."""
    password = secrets.token_hex(24)
    return {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "BASE_URL": base_url.rstrip("/"),
        "HEALTH_HOST": host,
        "POSTGRES_PASSWORD": password,
        "DATABASE_URL": f"postgresql://roledesk:{password}@postgres:5432/roledesk",
        "ROLEDESK_AUDIT_ORIGIN": f"{host}/audit/1",
    }


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
