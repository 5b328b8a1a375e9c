"""The one place of the audit trail that reads settings: it makes the sealer, keys and publishers out of them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from iamroles.audit import checkpoint, generations, grants, keys
from iamroles.audit.checkpoint import BadKey, BadNote, SigningKey, VerifierKey
from iamroles.audit.publish import FilePublisher, Publisher, StdoutPublisher
from iamroles.audit.seal import Sealer
from iamroles.models import AuditCheckpoint


def first_origin() -> str:
    """Returns the name of the trail with its first generation."""
    return str(settings.ROLEDESK_AUDIT_ORIGIN)


def origin() -> str:
    """Returns the name of the trail with the generation that goes on, as the newest stored checkpoint says."""
    note = AuditCheckpoint.objects.order_by("-size").values_list("note", flat=True).first()
    try:
        said = checkpoint.read(note).origin if note else first_origin()
    except BadNote:
        return first_origin()
    return said if generations.same_trail(said, first_origin()) else first_origin()


def session_hash(key: str) -> str:
    """Returns 16 hexadecimal digits that tell sessions apart in events without giving their key away."""
    return hmac.new(settings.SECRET_KEY.encode(), key.encode(), hashlib.sha256).hexdigest()[:16]


def key_file() -> Path:
    """Returns the file of private keys of this process. Raises BadKey when it has none."""
    path = settings.ROLEDESK_AUDIT_KEY_FILE
    if not path:
        raise BadKey("this process holds no audit key (ROLEDESK_AUDIT_KEY_FILE is not set)")
    return Path(path)


def vkeys_file() -> Path:
    """Returns the file of verifier keys. Raises BadKey when none is set."""
    path = settings.ROLEDESK_AUDIT_VKEYS_FILE
    if not path:
        raise BadKey("there is no file of verifier keys (ROLEDESK_AUDIT_VKEYS_FILE is not set)")
    return Path(path)


def signing_keys() -> list[SigningKey]:
    """Returns the private keys of this process, newest first. Raises BadKey when it has none."""
    return keys.load(key_file(), origin())


def key_marks() -> tuple[float, ...]:
    """Returns when the key files were written: a sealer made before must be made anew."""
    paths = (settings.ROLEDESK_AUDIT_KEY_FILE, settings.ROLEDESK_AUDIT_VKEYS_FILE)
    return tuple(Path(path).stat().st_mtime for path in paths if path and Path(path).exists())


def verifier_keys() -> list[VerifierKey]:
    """Returns the keys of the vkeys file, or else our own; they count for later generations too.

    Raises BadKey when there is neither.
    """
    path = settings.ROLEDESK_AUDIT_VKEYS_FILE
    if not path:
        own = keys.load(key_file(), first_origin())
        return [replace(key.verifier, inherits=True) for key in own]
    try:
        found = keys.read_vkeys(Path(path).read_text(encoding="utf-8"))
        return [replace(key, inherits=True) for key in found]
    except OSError as error:
        raise BadKey(f"the verifier keys {path} cannot be read: {error.strerror}") from error


def file_publisher() -> FilePublisher | None:
    """Returns the publisher of the checkpoint directory, or None when none is set."""
    path = settings.ROLEDESK_CHECKPOINT_DIR
    return FilePublisher(Path(path)) if path else None


def database_roles() -> tuple[str, str]:
    """Returns the names of the app's and the sealer's database role: those of the addresses, where they are given."""
    if settings.ROLEDESK_DATABASE_ROLES != "apart":
        return grants.APP, grants.SEALER
    known = settings.DATABASES
    app = known["app" if "app" in known else "default"]
    return str(app["USER"]), str(known["sealer"]["USER"]) if "sealer" in known else grants.SEALER


def database_passwords() -> dict[str, str]:
    """Returns the passwords of these roles, for the owner, who sets them; empty in every other process."""
    known = settings.DATABASES
    both = [known["app"], known["sealer"]] if "app" in known else []
    return {str(each["USER"]): str(each["PASSWORD"]) for each in both if each["PASSWORD"]}


def sealer(*, stdout: bool = False) -> Sealer:
    """Returns the sealer of this process; with `stdout` it also prints each note. Raises BadKey without a key."""
    found, named = signing_keys(), origin()
    publishers: list[Publisher] = []
    if stdout:
        publishers.append(StdoutPublisher())
    kept = file_publisher()
    if kept is not None:
        publishers.append(kept)
    known = verifier_keys()
    if any(key.verifier not in checkpoint.known_for(known, named) for key in found):
        raise BadKey("the audit key is none of the verifier keys (ROLEDESK_AUDIT_VKEYS_FILE)")
    using = "sealer" if "sealer" in settings.DATABASES else "default"
    lag = timedelta(seconds=settings.ROLEDESK_SEAL_LAG_SECONDS)
    return Sealer(origin=first_origin(), keys=found, vkeys=known, publishers=publishers, using=using, lag=lag)
