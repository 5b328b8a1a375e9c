"""Proving one event: its inclusion proof under the newest checkpoint, to be checked without the portal."""

from __future__ import annotations

from iamroles.audit import merkle, proof
from iamroles.audit.export.files import sealed_leaves
from iamroles.audit.find import seq_of
from iamroles.models import AuditCheckpoint, AuditEvent


class NotSealed(Exception):
    """The event waits for its place in the trail; there is nothing to prove yet."""


def prove(event: AuditEvent, *, using: str = "default") -> str:
    """Returns the C2SP tlog-proof of the event. Reads all leaves: about two seconds for a million events.

    Raises NotSealed while no checkpoint covers the event.
    """
    seq = seq_of(event)
    row = AuditCheckpoint.objects.using(using).order_by("-size").first()
    if seq is None or row is None or seq >= row.size:
        raise NotSealed(f"{event.reference} is not sealed yet. Sealing takes a second or two.")
    tree = merkle.Tree(list(sealed_leaves(row.size, using)))
    return proof.write(seq, tree.inclusion(seq, row.size), row.note)
