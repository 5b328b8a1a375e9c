"""Ordering what takes long: large exports, made by a worker, and verifications, made by the process that seals."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from iamroles import doorbell, permissions
from iamroles.audit import Actor, EventFilter, Subject, export
from iamroles.models import ExportJob, User, VerificationOrder
from iamroles.workflow.verbs import Invalid, require, verb

SPELLINGS: Final = (*export.FORMATS, "bundle")
LARGEST_BUNDLE: Final = 100_000  # events; a bundle is built in memory. `manage.py audit bundle` has no such limit
_STILL_GOING: Final = timedelta(minutes=10)


@verb("export_audit")
def order_export(*, user: User, wanted: EventFilter, spelled: str, actor: Actor, at: datetime) -> ExportJob:
    """Stores the order, cut at the newest checkpoint, and rings a worker. Counts the events once.

    Raises Invalid for an unknown format or a bundle of too many events, and export.NothingSealed.
    """
    if spelled not in SPELLINGS:
        raise Invalid(f"There is no export as {spelled}.", "format")
    cut = export.find_cut(wait=0)
    total = export.count_rows(wanted, cut, among=permissions.visible_events(user))
    if spelled == "bundle" and total > LARGEST_BUNDLE:
        raise Invalid(
            f"A bundle made here holds at most {LARGEST_BUNDLE:,} events, these are {total:,}. Narrow the filter, or "
            "ask an operator for `manage.py audit bundle`.",
            "format",
        )
    job = ExportJob.objects.create(
        spelled=spelled, filter=wanted.describe(), ordered_by=user, at=at, size=cut.size, total=total, next_try_at=at
    )
    export.record_start(wanted, spelled, cut, subject=subject_of(job), actor=actor, at=at)
    doorbell.ring(doorbell.EXPORT, job_id=job.pk)
    return job


def subject_of(job: ExportJob) -> Subject:
    """Returns how events name an export."""
    return Subject("export", job.reference, job.reference)


def record_download(*, job: ExportJob, actor: Actor, at: datetime) -> None:
    """Records that the file of an export goes out."""
    data: dict[str, object] = {"sha256": job.sha256}
    export.record_end("export.downloaded", data, subject=subject_of(job), actor=actor, at=at)


def mark_shown(job: ExportJob, at: datetime) -> None:
    """Remembers that the owner saw the end of an export: the line about it disappears."""
    ExportJob.objects.filter(pk=job.pk, shown_at=None).update(shown_at=at)


@verb("verify_audit")
def order_verification(*, user: User, actor: Actor, at: datetime) -> VerificationOrder:
    """Returns the order to verify the database: the one that is still open, or a new one. Raises NotAllowed."""
    require(permissions.may_read_all_audit(user))
    with transaction.atomic():
        going = VerificationOrder.objects.filter(answered_at=None, at__gt=at - _STILL_GOING).order_by("-pk").first()
        return going or VerificationOrder.objects.create(ordered_by=user, at=at, next_try_at=at)
