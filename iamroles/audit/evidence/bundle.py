"""Building the evidence bundle: one zip that an auditor checks with the `verify.py` inside it and his own key.

The same trail, selection and checkpoint make the same bytes. What a bundle proves is decided by `verify.py` alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.db.models import QuerySet

from iamroles import canonical
from iamroles.audit import checkpoint, merkle, proof
from iamroles.audit.checkpoint import Checkpoint
from iamroles.audit.envelope import leaf_hash
from iamroles.audit.export import Cut, Row, read_rows, write_lines
from iamroles.audit.export.files import sealed_leaves
from iamroles.audit.find import EventFilter
from iamroles.audit.record import record_alone
from iamroles.audit.values import Actor, Subject
from iamroles.models import AuditDisclosure, AuditEvent, Proposal, Revision

_VERIFY: Final = Path(__file__).with_name("verify.py")
_README: Final = """\
Evidence from the audit trail of Roledesk
=========================================

events.jsonl      the events: one canonical line each, in the order of sealing. This is the evidence.
events.csv        the same for reading in a spreadsheet. Not evidence.
index.txt         place in the trail (from 0) and leaf hash of each line of events.jsonl
checkpoint.note   the signed statement of the trail's size and root
proofs/           of a selection: the proof that each event is in the trail
consistency.txt   the proof that this trail continues the one of an older checkpoint (if one was given)
documents/        proposals and facts under the SHA-256 of their bytes
disclosures.jsonl clear values behind commitments in events, if they are still kept
manifest.json     what this bundle holds, with the SHA-256 of every file

To check it, with Python 3.10 or newer and nothing else:

1. Compare the SHA-256 of verify.py with the one that you were given by another channel, or use your own copy.
2. python verify.py BUNDLE.zip --key VKEY --older NOTE
   VKEY is the verifier key that you were given by another channel, NOTE the last checkpoint that you kept.
3. Exit 0: fine. 1: tampered. 2: cannot tell.
4. Keep checkpoint.note for the next time.

It cannot show that an event was true when it was recorded, that a selection leaves nothing out, nor anything about
events after the checkpoint.
"""


@dataclass(frozen=True)
class Bundle:
    """The bytes of the zip and how many events it holds."""

    content: bytes
    rows: int

    @property
    def sha256(self) -> str:
        """The SHA-256 of the zip."""
        return hashlib.sha256(self.content).hexdigest()


def build_bundle(
    wanted: EventFilter,
    cut: Cut,
    *,
    older: Checkpoint | None = None,
    among: QuerySet[AuditEvent] | None = None,
    using: str = "default",
) -> Bundle:
    """Returns the bundle of the filter's events up to the cut, `among` those a person may see.

    An empty filter over all events makes it the whole trail.

    `older` is a checkpoint that the auditor kept: its consistency proof is added. Raises IndexError when it covers more
    events than the cut.
    """
    rows = list(read_rows(wanted, cut, among=among, using=using))
    events: dict[int, dict[str, Any]] = {row.pk: json.loads(row.canon) for row in rows}
    files = {
        "README.txt": _README.encode(),
        "verify.py": _VERIFY.read_bytes(),
        "checkpoint.note": cut.note.encode(),
        "events.jsonl": write_lines(rows, "jsonl"),
        "events.csv": write_lines(rows, "csv"),
        "index.txt": "".join(f"{row.seq} {leaf_hash(row.canon.encode()).hex()}\n" for row in rows).encode(),
        "disclosures.jsonl": _disclosures(events, using),
        **_documents({said["request"] for said in events.values() if said["request"]}, using),
    }
    selection = wanted.describe() | ({"visible_to": "one person"} if among is not None else {})
    if selection or older is not None:
        tree = merkle.Tree(list(sealed_leaves(cut.size, using)))
        files |= _proofs(rows, tree, cut) if selection else {}
        files |= _consistency(tree, older, cut) if older is not None else {}
    files["manifest.json"] = _manifest(files, cut, selection, len(rows))
    return Bundle(pack(files), len(rows))


def record_bundle(bundle: Bundle, wanted: EventFilter, *, actor: Actor, at: datetime) -> AuditEvent:
    """Records that the bundle was made."""
    return record_alone(
        "bundle.created",
        actor=actor,
        subject=Subject("bundle", bundle.sha256, "Evidence bundle"),
        at=at,
        data={"selection": wanted.describe(), "sha256": bundle.sha256},
    )


def pack(files: Mapping[str, bytes]) -> bytes:
    """Returns the zip: sorted, without compression and times, so that its bytes follow from the files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _manifest(files: Mapping[str, bytes], cut: Cut, selection: Mapping[str, str], rows: int) -> bytes:
    said = checkpoint.read(cut.note)
    manifest = {
        "origin": said.origin,
        "size": cut.size,
        "root": cut.root.hex(),
        "rows": rows,
        "selection": dict(selection),
        "keys": [key_id.hex() for key_id in checkpoint.signers(cut.note)],
        "files": {
            name: {"sha256": hashlib.sha256(body).hexdigest(), "length": len(body)} for name, body in files.items()
        },
    }
    return canonical.dumps(manifest) + b"\n"


def _proofs(rows: Sequence[Row], tree: merkle.Tree, cut: Cut) -> dict[str, bytes]:
    return {f"proofs/{seq}.tlog-proof": proof.write(seq, tree.inclusion(seq), cut.note).encode() for seq, _, _ in rows}


def _consistency(tree: merkle.Tree, older: Checkpoint, cut: Cut) -> dict[str, bytes]:
    lines = [str(older.size), *(checkpoint.encode(value) for value in tree.consistency(older.size, cut.size))]
    return {"consistency.txt": "".join(f"{line}\n" for line in lines).encode()}


def _documents(requests: set[str], using: str) -> dict[str, bytes]:
    ids = [int(reference.removeprefix("REQ-")) for reference in requests if reference.startswith("REQ-")]
    texts = [
        *Proposal.objects.using(using).filter(revision__request__in=ids).values_list("canonical", flat=True),
        *Revision.objects.using(using).filter(request__in=ids).values_list("facts", flat=True),
    ]
    bodies = (text.encode() for text in texts)
    return {f"documents/{hashlib.sha256(body).hexdigest()}.json": body for body in bodies}


def _disclosures(events: Mapping[int, Mapping[str, Any]], using: str) -> bytes:
    ids = {pk: said["id"] for pk, said in events.items()}
    kept = AuditDisclosure.objects.using(using).order_by("event_id", "path")
    lines = [
        {"event": ids[row.event_id], "path": row.path, "salt": checkpoint.encode(bytes(row.salt)), "value": row.value}
        for row in kept.iterator()
        if row.event_id in ids
    ]
    return b"".join(canonical.dumps(line) + b"\n" for line in lines)
