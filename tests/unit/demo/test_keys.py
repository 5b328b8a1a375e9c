"""The demo's keys: made once, private, and their public halves in the forms that verifiers read."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from portal.demo.keys import create_keys, vkey


def test_keys_are_private_and_survive_the_next_start(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    create_keys(keys)
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    create_keys(keys)
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
    assert set(before) == {"approval.key", "approval.pub", "audit.key", "audit.vkeys", "django.key"}
    private = {stat.S_IMODE((keys / name).stat().st_mode) for name in ("approval.key", "audit.key", "django.key")}
    assert private == {0o600}
    assert len(before["django.key"]) >= 50


def test_the_public_halves_belong_to_the_private_ones(tmp_path: Path) -> None:
    create_keys(tmp_path)
    approval = load_pem_private_key((tmp_path / "approval.key").read_bytes(), password=None)
    audit = load_pem_private_key((tmp_path / "audit.key").read_bytes(), password=None)
    assert isinstance(approval, Ed25519PrivateKey)
    assert isinstance(audit, Ed25519PrivateKey)
    assert load_pem_public_key((tmp_path / "approval.pub").read_bytes()) == approval.public_key()
    expected = vkey("demo.roledesk.localhost/audit/1", audit.public_key().public_bytes_raw())
    assert (tmp_path / "audit.vkeys").read_text() == f"{expected}\n"
    assert approval.private_bytes_raw() != audit.private_bytes_raw()


def test_a_verifier_key_has_the_published_form() -> None:
    """The example key in the documentation of the signed note format (golang.org/x/mod/sumdb/note)."""
    known = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    public = base64.b64decode(known.rsplit("+", 1)[1])[1:]
    assert vkey("PeterNeumann", public) == known
