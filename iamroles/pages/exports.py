"""Reads for exports: the form that says how much it is, the page of one that a worker makes, and a verification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet

from iamroles import permissions
from iamroles.audit import EventFilter, export
from iamroles.models import AuditEvent, ExportJob, User, VerificationOrder
from iamroles.models.exports import EXPIRED, FAILED, READY, WAITING
from iamroles.permissions import YES, Allowance

FORMAT_WORDS: Final = {"csv": "CSV", "jsonl": "JSON lines", "bundle": "evidence bundle"}
_FILTER_WORDS: Final = {
    "from": "from",
    "to": "to, excluded",
    "actor": "actor",
    "action": "what",
    "object": "about",
    "request": "request",
    "account": "AWS account",
    "outcome": "outcome",
    "tab": "tab",
}


@dataclass(frozen=True)
class ExportForm:
    """What an export of these filters would hold. `at_once` is True while the page itself may send it."""

    total: int
    size: int
    at_once: bool
    filters: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ExportPage:
    """One export that a worker makes, in words."""

    job: ExportJob
    format: str
    filters: tuple[tuple[str, str], ...]
    head: str
    percent: int
    whole: bool

    @property
    def waits(self) -> bool:
        """True until it is ready or was given up."""
        return self.job.state == WAITING

    @property
    def ready(self) -> bool:
        """True while its file can be downloaded."""
        return self.job.state == READY


@dataclass(frozen=True)
class VerificationPage:
    """The answer to an order to verify, or the wait for it. `tone` is ok, bad or warn."""

    order: VerificationOrder
    waits: bool
    given_up: bool
    head: str
    tone: str
    problems: tuple[str, ...]
    first_bad: str
    size: int
    covered: int


def filter_words(described: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Returns a stored filter as pairs of words."""
    return tuple((_FILTER_WORDS.get(name, name), value) for name, value in described.items())


def export_form(user: User, wanted: EventFilter) -> ExportForm:
    """Returns how much an export of the filter holds now. Counts once. Raises export.NothingSealed."""
    cut = export.find_cut(wait=0)
    total = export.count_rows(wanted, cut, among=permissions.visible_events(user))
    at_once = total <= settings.ROLEDESK_EXPORT_AT_ONCE
    return ExportForm(total, cut.size, at_once, filter_words(wanted.describe()))


def fits_at_once(wanted: EventFilter, cut: export.Cut, among: QuerySet[AuditEvent] | None) -> bool:
    """Returns whether an export is small enough for the page to send. Stops counting where it is not."""
    most: int = settings.ROLEDESK_EXPORT_AT_ONCE
    return export.count_rows(wanted, cut, among=among, at_most=most + 1) <= most


def may_see_export(user: User, job: ExportJob) -> bool:
    """Returns whether the person may read an export: its owner alone, because it holds what the owner may see."""
    return job.ordered_by_id == user.pk


def may_download(user: User, job: ExportJob) -> Allowance:
    """Returns whether its owner may still read as many events as the export was ordered with. Counts at most them."""
    if permissions.may_read_all_audit(user).allowed:
        return YES
    wanted, _ = EventFilter.from_query(job.filter)
    visible = permissions.visible_events(user)
    if export.count_rows(wanted, export.cut_at(job.size), among=visible, at_most=job.total) >= job.total:
        return YES
    reason = "It holds events that you may no longer read. Order a new export: it holds those that you may."
    return Allowance(False, "lost_rights", reason)


def ready_exports(user: User) -> tuple[ExportJob, ...]:
    """Returns the person's exports that ended since they last looked. One query."""
    rows = ExportJob.objects.filter(ordered_by=user, shown_at=None, state__in=(READY, FAILED))
    return tuple(rows.order_by("-pk")[:3])


def own_exports(user: User) -> tuple[ExportJob, ...]:
    """Returns the person's newest exports made by a worker."""
    return tuple(ExportJob.objects.filter(ordered_by=user).order_by("-pk")[:10])


def export_page(job: ExportJob) -> ExportPage:
    """Returns the page of an export."""
    return ExportPage(
        job=job,
        format=FORMAT_WORDS.get(job.spelled, job.spelled),
        filters=filter_words(job.filter),
        head=_head(job),
        percent=100 * job.rows // job.total if job.total else 0,
        whole=not job.filter and permissions.may_read_all_audit(job.ordered_by).allowed,
    )


def _head(job: ExportJob) -> str:
    if job.state == WAITING:
        return f"{job.rows:,} of {job.total:,} events" if job.rows else "Waiting for a worker"
    if job.state == READY:
        return f"Ready: {job.rows:,} events"
    return {EXPIRED: "Expired: the file was deleted", FAILED: f"Failed: {job.code}"}[job.state]


def verification_page(order: VerificationOrder) -> VerificationPage:
    """Returns the page of a verification."""
    report: Mapping[str, Any] = order.report or {}
    first: Mapping[str, Any] = report.get("first_bad") or {}
    code = report.get("exit")
    event = str(first.get("event") or "")
    heads = {
        0: ("Fine: every event is exactly what was sealed", "ok"),
        1: (f"Broken at {event}" if event else "Tampered", "bad"),
        None: ("The trail is being verified", "info"),
    }
    head, tone = heads.get(code, ("Cannot tell", "warn"))
    return VerificationPage(
        order=order,
        waits=order.answered_at is None,
        given_up=order.answered_at is None and order.tries >= 3,
        head=head,
        tone=tone,
        problems=tuple(report.get("problems", ())),
        first_bad=event,
        size=int(report.get("size") or 0),
        covered=int(report.get("covered") or 0),
    )
