"""Fixtures of the engine's tests: keys of the test's own and the small organisation of `world`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.integration.engine.world import World, people


def write_keys(folder: Path) -> tuple[str, str]:
    """Writes an approval key pair. Returns the paths of the private and the public key."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / "approval.key", folder / "approval.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(private), str(public)


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, settings: Any) -> None:
    settings.ROLEDESK_SIGNING_KEY_FILE, settings.ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE = write_keys(tmp_path)


@pytest.fixture
def world(db: None) -> World:
    return people()
