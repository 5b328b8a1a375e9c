"""Making a large export in parts: a slice of some seconds at a time, so that no export holds up work in AWS.

Each part commits with the place it ends at. Whoever takes the job next goes on there, whatever became of the worker
before; two at once cannot both write a part.
"""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import structlog
from django.db import transaction

from iamroles import doorbell, permissions
from iamroles.audit import Actor, EventFilter, Subject, export
from iamroles.audit.evidence.bundle import build_bundle
from iamroles.engine.tools import Tools
from iamroles.models import AuditEvent, ExportJob, ExportPart, User
from iamroles.models.exports import EXPIRED, FAILED, READY, WAITING

PART_ROWS: Final = 5_000
SLICE: Final = 20.0  # seconds; then other work has its turn
HELD: Final = timedelta(seconds=60)  # after this long without a part another worker takes over
TRIES: Final = 5  # without a single part in between
KEPT: Final = timedelta(days=7)
_PIECE: Final = 1_000_000  # bytes of one part of a bundle

_log = structlog.get_logger(__name__)


class _TakenOver(Exception):
    """Another worker wrote the part that we were about to write."""


def go_on(*, job_id: int, tools: Tools) -> str:
    """Works on an export for a while: "ready", "going" (rung again), "failed", "taken_over" or "not_due"."""
    now = tools.now()
    rows = ExportJob.objects.filter(pk=job_id, state=WAITING, next_try_at__lte=now)
    if not rows.update(next_try_at=now + HELD):
        return "not_due"
    job = ExportJob.objects.select_related("ordered_by").get(pk=job_id)
    if job.tries >= TRIES:
        return _give_up(job, tools)
    ExportJob.objects.filter(pk=job_id).update(tries=job.tries + 1)
    try:
        done = _bundle(job, tools) if job.spelled == "bundle" else _slice(job, tools)
    except _TakenOver:
        return "taken_over"
    if done:
        return _finish(job, tools)
    ExportJob.objects.filter(pk=job_id, state=WAITING).update(next_try_at=tools.now())
    doorbell.ring(doorbell.EXPORT, job_id=job_id)
    return "going"


def _slice(job: ExportJob, tools: Tools) -> bool:
    """Writes parts until the time is up. Returns True once there are no more rows."""
    until = time.monotonic() + SLICE
    wanted, _ = EventFilter.from_query(job.filter)
    spelled = next(known for known in export.FORMATS if known == job.spelled)
    among = permissions.visible_events(job.ordered_by)
    rows = export.read_rows(wanted, export.cut_at(job.size), among=among, after=job.last_seq)
    while batch := list(islice(rows, PART_ROWS)):
        body = export.write_lines(batch, spelled, header=not job.parts)
        _write_part(job, body, len(batch), batch[-1].seq, tools)
        if time.monotonic() > until:
            return False
    if not job.parts:  # an export without events still has CSV's header
        _write_part(job, export.write_lines([], spelled), 0, job.last_seq, tools)
    return True


def _bundle(job: ExportJob, tools: Tools) -> bool:
    """Makes the whole bundle at once; nothing of an earlier try is kept."""
    wanted, _ = EventFilter.from_query(job.filter)
    among = permissions.visible_events(job.ordered_by)
    made = build_bundle(wanted, export.cut_at(job.size), among=among)
    with transaction.atomic():
        ExportPart.objects.filter(job=job).delete()
        ExportJob.objects.filter(pk=job.pk, state=WAITING).update(parts=0, rows=0, length=0)
        job.parts = job.rows = job.length = 0
        for start in range(0, len(made.content), _PIECE):
            _write_part(job, made.content[start : start + _PIECE], 0 if start else made.rows, job.last_seq, tools)
    return True


def _write_part(job: ExportJob, body: bytes, rows: int, last_seq: int, tools: Tools) -> None:
    """Stores one part with the place it ends at. Raises _TakenOver when somebody else has gone on meanwhile."""
    values = {
        "parts": job.parts + 1,
        "rows": job.rows + rows,
        "length": job.length + len(body),
        "last_seq": last_seq,
        "tries": 0,
        "next_try_at": tools.now() + HELD,
    }
    with transaction.atomic():
        ours = ExportJob.objects.filter(pk=job.pk, state=WAITING, parts=job.parts, last_seq=job.last_seq)
        if not ours.update(**values):
            raise _TakenOver
        job.add_piece(body)
    for name, value in values.items():
        setattr(job, name, value)


def _finish(job: ExportJob, tools: Tools) -> str:
    digest = hashlib.sha256()
    for body in job.contents():
        digest.update(body)
    now = tools.now()
    with transaction.atomic():
        ended = ExportJob.objects.filter(pk=job.pk, state=WAITING).update(
            state=READY, sha256=digest.hexdigest(), ended_at=now, expires_at=now + KEPT, next_try_at=None
        )
        if not ended:
            return "taken_over"
        data: dict[str, object] = {"rows": job.rows, "bytes": job.length, "sha256": digest.hexdigest()}
        _record(job, "export.completed", data, tools.actor, now)
    return "ready"


def _give_up(job: ExportJob, tools: Tools) -> str:
    _log.error("export_given_up", export=job.reference, tries=job.tries)
    now = tools.now()
    with transaction.atomic():
        if ExportJob.objects.filter(pk=job.pk, state=WAITING).update(
            state=FAILED, code="TriedTooOften", ended_at=now, next_try_at=None
        ):
            ExportPart.objects.filter(job=job).delete()
            _record(job, "export.failed", {"code": "TriedTooOften"}, tools.actor, now, outcome="failed")
    return "failed"


def expire(*, actor: Actor, at: datetime) -> int:
    """Deletes the files of exports whose time is over. Returns how many."""
    count = 0
    for job in ExportJob.objects.filter(state=READY, expires_at__lte=at).select_related("ordered_by"):
        with transaction.atomic():
            if ExportJob.objects.filter(pk=job.pk, state=READY).update(state=EXPIRED):
                ExportPart.objects.filter(job=job).delete()
                _record(job, "export.expired", {"sha256": job.sha256}, actor, at)
                count += 1
    return count


def _record(
    job: ExportJob, action: str, data: dict[str, object], actor: Actor, at: datetime, outcome: str = "success"
) -> AuditEvent:
    subject = Subject("export", job.reference, job.reference)
    owner = _copy_of(job.ordered_by)
    return export.record_end(action, data, subject=subject, actor=actor, at=at, outcome=outcome, on_behalf_of=owner)


def _copy_of(user: User) -> Actor:
    groups = tuple(sorted(permissions.group_names(user)))
    return Actor(type="user", id=str(user.pk), name=user.display_name, groups=groups)
