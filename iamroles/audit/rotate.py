"""Changing the audit key: rotation, told under the old key, and revocation of one that others may hold.

The process that does it holds the key file; `tend` takes the new one up by itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from iamroles.audit import config, keys
from iamroles.audit.checkpoint import BadKey, VerifierKey
from iamroles.audit.record import record_alone
from iamroles.audit.values import Actor, Subject
from iamroles.models import AuditCheckpoint, AuditEvent

_SUBJECT: Final = Subject("audit", "signing-key", "audit key")


def rotate(path: Path, vkeys: Path, *, actor: Actor, at: datetime) -> VerifierKey:
    """Records `signing_key.rotated`, seals it under the old key alone, then puts the new key in front of it.

    Returns the new verifier key. Running it again after a crash goes on with the same key. Raises BadKey and Halted.
    """
    older = keys.load(path, config.origin())[0]
    following = keys.prepare_next(path, config.origin())
    spelled = str(following.verifier)
    told = AuditEvent.objects.filter(action="signing_key.rotated", canon__contains=spelled)
    if not told.exists():
        data: dict[str, object] = {"old_vkey": str(older.verifier), "new_vkey": spelled}
        record_alone("signing_key.rotated", actor=actor, subject=_SUBJECT, at=at, data=data)
    config.sealer().seal_all(at=at)
    _add(vkeys, following.verifier)
    keys.install_next(path, following, older, at)
    return following.verifier


def revoke(path: Path, vkeys: Path, *, last_size: int | None, actor: Actor, at: datetime) -> VerifierKey:
    """Replaces a key that others may hold: from now on it signs nothing, and counts up to `last_size` alone.

    `last_size` is the last checkpoint from before the theft, by default the newest. The event is sealed under the new
    key. Returns the new verifier key. Raises BadKey, and Halted where the trail contradicts what was published.
    """
    older = keys.load(path, config.origin())[0].verifier
    newest = AuditCheckpoint.objects.order_by("-size").values_list("size", flat=True).first() or 0
    size = newest if last_size is None else last_size
    following = keys.prepare_next(path, config.origin())
    _add(vkeys, following.verifier, revoked=replace(older, last_size=size))
    keys.install_next(path, following, None, at)
    data: dict[str, object] = {"old_vkey": str(older), "new_vkey": str(following.verifier)}
    record_alone("signing_key.revoked", actor=actor, subject=_SUBJECT, at=at, data=data)
    config.sealer().seal_all(at=at)
    return following.verifier


def _add(path: Path, added: VerifierKey, revoked: VerifierKey | None = None) -> None:
    """Puts a verifier key first in the file, and marks a revoked one. The file is replaced as a whole."""
    try:
        found = keys.read_vkeys(path.read_text(encoding="ascii"))
    except OSError as error:
        raise BadKey(f"the verifier keys {path} cannot be read: {error.strerror}") from error
    kept = [key for key in found if key != added and not (revoked and key.key_id == revoked.key_id)]
    kept = [revoked, *kept] if revoked else kept  # also one that counted here as heir of an earlier generation
    new = path.with_name(f"{path.name}.new")
    new.write_text(keys.write_vkeys([added, *kept]), encoding="ascii")
    new.replace(path)
