"""The one place of the audit trail that reads settings: it makes the sealer, keys and publishers out of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from django.conf import settings

from iamroles.audit import checkpoint
from iamroles.audit.checkpoint import BadKey, SigningKey, VerifierKey
from iamroles.audit.publish import FilePublisher, Publisher, StdoutPublisher
from iamroles.audit.seal import Sealer


def origin() -> str:
    """Returns the name of the trail with its generation."""
    return str(settings.ROLEDESK_AUDIT_ORIGIN)


def signing_key() -> SigningKey:
    """Returns the private key of this process. Raises BadKey when it has none."""
    path = settings.ROLEDESK_AUDIT_KEY_FILE
    if not path:
        raise BadKey("this process holds no audit key (ROLEDESK_AUDIT_KEY_FILE is not set)")
    return checkpoint.load_key(Path(path), origin())


def verifier_keys() -> list[VerifierKey]:
    """Returns the keys of the vkeys file, or else our own. Raises BadKey when there is neither."""
    path = settings.ROLEDESK_AUDIT_VKEYS_FILE
    if not path:
        return [signing_key().verifier]
    try:
        return checkpoint.read_vkeys(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadKey(f"the verifier keys {path} cannot be read: {error.strerror}") from error


def file_publisher() -> FilePublisher | None:
    """Returns the publisher of the checkpoint directory, or None when none is set."""
    path = settings.ROLEDESK_CHECKPOINT_DIR
    return FilePublisher(Path(path)) if path else None


def sealer(*, stdout: bool = False) -> Sealer:
    """Returns the sealer of this process; with `stdout` it also prints each note. Raises BadKey without a key."""
    key = signing_key()
    publishers: list[Publisher] = []
    if stdout:
        publishers.append(StdoutPublisher())
    kept = file_publisher()
    if kept is not None:
        publishers.append(kept)
    known = verifier_keys()
    if key.verifier not in known:
        raise BadKey("the audit key is none of the verifier keys (ROLEDESK_AUDIT_VKEYS_FILE)")
    using = "sealer" if "sealer" in settings.DATABASES else "default"
    lag = timedelta(seconds=settings.ROLEDESK_SEAL_LAG_SECONDS)
    return Sealer(origin=origin(), keys=[key], vkeys=known, publishers=publishers, using=using, lag=lag)
