"""Approval signatures: Ed25519 over the approval's canonical bytes. The web tier signs, workers verify; never both.

The private key lies in a file that only the web tier may read; workers hold a file of public keys.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from django.conf import settings

from iamroles import canonical
from iamroles.models import Decision

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class SigningKeyMissing(RuntimeError):
    """This process holds no approval key, or one that is not Ed25519."""


def key_id(key: Ed25519PublicKey) -> str:
    """Returns the first 16 hexadecimal digits of the SHA-256 of the raw public key."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


@lru_cache(maxsize=4)
def _private(path: str, _changed_ns: int) -> Ed25519PrivateKey:
    key = load_pem_private_key(Path(path).read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyMissing(f"{path} is not an Ed25519 key. Make one with `openssl genpkey -algorithm ed25519`.")
    return key


def approval_payload(row: Decision) -> dict[str, Any]:
    """Returns what an approval's signature covers, from the row alone: web signs it, the worker rebuilds it."""
    return {
        "request": row.request.reference,
        "revision": row.revision.number,
        "proposal_digest": row.proposal_digest,
        "approver": str(row.approver_id),
        "groups": sorted(row.groups),
        "signed_in_at": row.signed_in_at.strftime(_TIME),
        "at": row.at.strftime(_TIME),
    }


def sign(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Returns (key id, base64 signature) of the payload. Raises SigningKeyMissing where the key may not be."""
    path = settings.ROLEDESK_SIGNING_KEY_FILE
    if not path:
        raise SigningKeyMissing("This process has no approval key. Set ROLEDESK_SIGNING_KEY_FILE for the web tier.")
    key = _private(path, Path(path).stat().st_mtime_ns)
    signature = key.sign(canonical.dumps(dict(payload)))
    return key_id(key.public_key()), base64.b64encode(signature).decode()


def problem() -> str:
    """Returns why this process cannot sign approvals, as a sentence; "" when it can."""
    try:
        sign({})
    except SigningKeyMissing as error:
        return str(error)
    except (OSError, ValueError) as error:
        return f"The approval key cannot be read: {type(error).__name__}."
    return ""


def _public_keys() -> dict[str, Ed25519PublicKey]:
    path = settings.ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE
    if not path:
        raise SigningKeyMissing("This process knows no approval keys. Set ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE.")
    keys: dict[str, Ed25519PublicKey] = {}
    end = b"-----END PUBLIC KEY-----"
    for part in Path(path).read_bytes().split(end):
        if b"BEGIN PUBLIC KEY" in part:
            key = load_pem_public_key(part.strip() + b"\n" + end + b"\n")
            if isinstance(key, Ed25519PublicKey):
                keys[key_id(key)] = key
    return keys


def verify(payload: Mapping[str, Any], *, key: str, signature: str) -> bool:
    """Returns True only if a key that this process knows signed exactly this payload."""
    public = _public_keys().get(key)
    if public is None:
        return False
    try:
        public.verify(base64.b64decode(signature, validate=True), canonical.dumps(dict(payload)))
    except (InvalidSignature, ValueError):
        return False
    return True
