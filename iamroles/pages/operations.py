"""The health page: a sentence, then rows that say what is known and since when. It promises nothing that it cannot see.

A worker leaves no heartbeat: it is judged by its work. Work that is due and that nobody takes means no worker.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Min, Q, QuerySet

from iamroles import audit
from iamroles.audit import grants
from iamroles.audit.find import Status as Sealing
from iamroles.models import (
    AccountLook,
    AwsAccount,
    ExportJob,
    KillSwitch,
    ManagedRole,
    Notice,
    ObservationOrder,
    Proposal,
    Request,
    Run,
    exports,
)
from iamroles.pages import accounts as account_pages
from iamroles.pages import managed, status
from iamroles.pages.accounts import AccountRow
from iamroles.rules import states

LATE: Final = timedelta(seconds=60)  # work that is due for longer than this means that no worker takes it
NOTICES_LATE: Final = timedelta(minutes=10)
FOLLOW_UPS_LATE: Final = timedelta(days=1)  # a follow-up that waits is tried each hour, and nobody waits for it
TRIES_AT_MOST: Final = 12


@dataclass(frozen=True)
class HealthRow:
    """One row. `tone` is ok, warn or bad; a bad row says cause, effect and the command that repairs it."""

    name: str
    sentence: str
    tone: str
    repair: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Health:
    """The page: one sentence and the rows behind it."""

    sentence: str
    tone: str
    rows: tuple[HealthRow, ...]


@dataclass(frozen=True)
class Due:
    """Work that a worker should have taken: how much, and since when the oldest waits."""

    count: int
    oldest: datetime | None


def health(at: datetime) -> Health:
    """Returns the state of the portal at a moment. The number of queries is constant."""
    due, trail, accounts = due_work(at), audit.status(), account_pages.accounts()
    rows = (
        _database(),
        _worker(due, at),
        _tend(trail, at),
        _waiting(due),
        _stuck(at),
        _paused(),
        _accounts(accounts),
        _inventory(accounts),
        _sealing(trail, at),
        _notices(at),
        _exports(at),
    )
    bad = [row for row in rows if row.tone == "bad"]
    warned = [row for row in rows if row.tone == "warn"]
    if bad:
        return Health(f"{bad[0].name}: {bad[0].sentence}", "bad", rows)
    if warned:
        return Health(f"Working, with something to look at: {warned[0].name}.", "warn", rows)
    return Health("Everything that can be seen from here works.", "ok", rows)


def due_work(at: datetime) -> Due:
    """Returns what is due and not taken: looks to make, approved requests to apply, roles to check."""
    requests = Request.objects.filter(next_try_at__lte=at).filter(
        Q(state__in=(states.SUBMITTED, states.IN_REVIEW), tries__lt=TRIES_AT_MOST) | Q(state=states.APPROVED, runs=None)
    )
    runs = Run.objects.filter(state=states.WAITING, next_run_at__lte=at)
    orders = ObservationOrder.objects.filter(answered_at=None, next_try_at__lte=at)
    looks = AccountLook.objects.filter(answered_at=None, next_try_at__lte=at)
    found = [
        rows.aggregate(count=Count("pk", distinct=True), oldest=Min(due))
        for rows, due in (
            (requests, "next_try_at"),
            (runs, "next_run_at"),
            (orders, "next_try_at"),
            (looks, "next_try_at"),
        )
    ]
    return Due(sum(each["count"] for each in found), _earliest(each["oldest"] for each in found))


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _database() -> HealthRow:
    begun = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    took = (time.perf_counter() - begun) * 1000
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(connection.vendor, connection.vendor)
    answers = f"{name} answers {_within(took)}."
    if settings.ROLEDESK_DATABASE_ROLES == "any" or not grants.may_rewrite():
        return HealthRow("Database", answers, "ok")
    text = f"{answers} The portal could change events: it does not run as a role of its own."
    tone = "warn" if settings.ROLEDESK_DATABASE_ROLES == "one" else "bad"
    return HealthRow("Database", text, tone, "manage.py audit grants --run")


def _within(milliseconds: float) -> str:
    """Returns a duration as far as it matters to people: "in under 1 ms", "in 12 ms"."""
    return "in under 1 ms" if milliseconds < 1 else f"in {milliseconds:.0f} ms"


def last_sign() -> datetime | None:
    """Returns when a worker last did something that a row shows, or None."""
    seen = (
        Run.objects.aggregate(at=Max("seen_at"))["at"],
        Proposal.objects.aggregate(at=Max("observed_at"))["at"],
        ObservationOrder.objects.aggregate(at=Max("answered_at"))["at"],
        AccountLook.objects.aggregate(at=Max("answered_at"))["at"],
    )
    return max((moment for moment in seen if moment is not None), default=None)


def _worker(due: Due, at: datetime) -> HealthRow:
    sign = last_sign()
    if due.oldest is not None and at - due.oldest > LATE:
        text = "No sign of a worker although work is due. Nothing is looked at or applied until one runs."
        return HealthRow("Workers", text, "bad", "docker compose up -d worker", sign)
    if sign is None:
        return HealthRow("Workers", "No worker has done anything yet, and nothing is due.", "ok")
    if due.count:
        return HealthRow("Workers", "Work came in a moment ago and is being taken.", "ok", since=sign)
    return HealthRow("Workers", "Nothing is due. A worker is only seen when it works.", "ok", since=sign)


def _tend(state: Sealing, at: datetime) -> HealthRow:
    """Judged by its work too: what it should have sealed or sent waits."""
    lag = state.waits_for(at)
    unsealed = lag is not None and lag > timedelta(seconds=settings.ROLEDESK_SEAL_LAG_SECONDS)
    unsent = Notice.objects.filter(next_try_at__lt=at - NOTICES_LATE).exists()
    if unsent or (unsealed and not audit.halted_because()):
        text = "What it does is late: events are not sealed, notices not sent, scans for drift not ordered."
        return HealthRow("Tend", text, "bad", "docker compose up -d tend", state.signed_at)
    return HealthRow(
        "Tend", "Nothing that it does is late. It is only seen when it works.", "ok", since=state.signed_at
    )


def _waiting(due: Due) -> HealthRow:
    if not due.count:
        return HealthRow("Waiting work", "None.", "ok")
    what = "1 piece of work is due." if due.count == 1 else f"{due.count} pieces of work are due."
    return HealthRow("Waiting work", what, "ok", since=due.oldest)


def stopped_follow_ups() -> QuerySet[Run]:
    """Returns the follow-ups that stopped, which they do as invalid alone, and that no operator has seen to."""
    return Run.objects.filter(stop_reason="invalid", detail__follow_up=True)


def late_follow_ups(at: datetime) -> QuerySet[Run]:
    """Returns the follow-ups that have been tried for longer than FOLLOW_UPS_LATE."""
    begun = at - FOLLOW_UPS_LATE
    return Run.objects.filter(state=states.WAITING, started_at__lt=begun, request__state=states.CLOSED)


def _stuck(at: datetime) -> HealthRow:
    looks = Request.objects.filter(state=states.SUBMITTED, next_try_at=None)
    counted = (
        (status.approved_with(states.STOPPED).count(), "run has stopped", "runs have stopped"),
        (stopped_follow_ups().count(), "follow-up is not what was approved", "follow-ups are not what was approved"),
        (late_follow_ups(at).count(), "follow-up has been tried for a day", "follow-ups have been tried for a day"),
        (looks.count(), "look at AWS was given up", "looks at AWS were given up"),
    )
    parts = [f"{count} {one if count == 1 else many}" for count, one, many in counted if count]
    if not parts:
        return HealthRow("Stopped work", "None.", "ok")
    return HealthRow("Stopped work", f"{' and '.join(parts)}. Nothing goes on there until a person looks.", "warn")


def _paused() -> HealthRow:
    switch = KillSwitch.objects.first()
    if switch is not None:
        text = f"The kill switch is on: nothing is changed in any AWS account. “{switch.reason}”"
        return HealthRow("Pauses", text, "bad", since=switch.since)
    names = list(AwsAccount.objects.filter(paused_at__isnull=False).values_list("name", flat=True))
    if not names:
        return HealthRow("Pauses", "None.", "ok")
    return HealthRow("Pauses", f"Nothing is added in {', '.join(names)}: operators paused it.", "warn")


def _accounts(rows: Sequence[AccountRow]) -> HealthRow:
    known = [row.connection for row in rows if row.connection is not None and not row.connection.waits]
    wrong = [look.look.account.name for look in known if look.state in ("bad", "failed")]
    if wrong:
        text = f"The last test of {', '.join(wrong)} failed. What is asked for there waits or stops."
        return HealthRow("AWS accounts", text, "bad", "manage.py aws_accounts check NUMBER")
    untested = len(rows) - len(known)
    if untested:
        text = f"{untested} of {len(rows)} not tested yet: nobody knows whether a worker gets in."
        return HealthRow("AWS accounts", text, "warn", "manage.py aws_accounts check NUMBER")
    return HealthRow("AWS accounts", f"The last test of all {len(rows)} let us in." if rows else "None.", "ok")


def _inventory(rows: Sequence[AccountRow]) -> HealthRow:
    found = managed.observed(ManagedRole.objects.all())
    if found.drifted:
        what = "1 role reads" if found.drifted == 1 else f"{found.drifted} roles read"
        text = f"{what} otherwise than approved. Nothing is repaired by itself: a person has to ask for it."
        return HealthRow("Inventory", text, "warn", since=found.since)
    names = [row.account.name for row in rows if row.scan is not None and row.scan.result.get("state") == "failed"]
    if names:
        text = f"The last scan of {', '.join(names)} failed. Changes around the portal are not noticed there."
        return HealthRow("Inventory", text, "bad", "manage.py aws_accounts check NUMBER")
    what = "1 role" if found.roles == 1 else f"{found.roles:,} roles"
    return HealthRow("Inventory", f"{what}, none known to differ.", "ok")


def _sealing(state: Sealing, at: datetime) -> HealthRow:
    lag = state.waits_for(at)
    if why := audit.halted_because():
        text = f"Halted: {why}. Until sealing goes on, rights are only removed in AWS."
        return HealthRow("Sealing", text, "bad", "manage.py audit verify", state.oldest_waiting)
    if lag is not None and lag > timedelta(seconds=settings.ROLEDESK_SEAL_LAG_SECONDS):
        text = f"{_events(state.waiting)} not sealed. A database administrator could still erase them unseen."
        return HealthRow("Sealing", text, "bad", "manage.py tend", state.oldest_waiting)
    waiting = f", {state.waiting:,} waiting, the oldest for {lag.total_seconds():.1f} s" if lag is not None else ""
    text = f"Sealed to {state.sealed:,}{waiting}."
    if state.sealed and not state.published:
        text += " No checkpoint is kept outside the database: one inside alone proves nothing."
        return HealthRow("Sealing", text, "warn", "Set ROLEDESK_CHECKPOINT_DIR", state.signed_at)
    return HealthRow("Sealing", text, "ok", since=state.signed_at)


def _events(count: int) -> str:
    return "1 event is" if count == 1 else f"{count:,} events are"


@dataclass(frozen=True)
class Unsent:
    """A notice that was not sent. `to` names the person or the webhook; `given_up` when it is not tried again."""

    notice: Notice
    to: str
    given_up: bool


def unsent() -> tuple[Unsent, ...]:
    """Returns the newest notices whose last try failed, at most 20. One query."""
    rows = Notice.objects.exclude(code="").select_related("request", "change", "person").order_by("-pk")[:20]
    return tuple(
        Unsent(row, row.person.display_name if row.person else "the webhook", row.next_try_at is None) for row in rows
    )


def _notices(at: datetime) -> HealthRow:
    late = Q(next_try_at__lt=at - NOTICES_LATE)
    found = Notice.objects.aggregate(
        given_up=Count("pk", filter=Q(next_try_at=None) & ~Q(code="")),
        failing=Count("pk", filter=Q(next_try_at__isnull=False) & ~Q(code="")),
        late=Count("pk", filter=late),
        oldest=Min("next_try_at", filter=late),
    )
    if found["late"]:
        text = f"{_counted(found['late'], 'notice')} should have been sent by now. People learn of it on Home alone."
        return HealthRow("Notices", text, "bad", "docker compose up -d tend", found["oldest"])
    if found["given_up"] or found["failing"]:
        text = f"{_counted(found['given_up'], 'notice')} given up, {found['failing']:,} tried again later. See below."
        return HealthRow("Notices", text, "warn", "Look at EMAIL_HOST and ROLEDESK_WEBHOOK_URL")
    return HealthRow("Notices", "Mail and webhook: nothing failed.", "ok")


def _exports(at: datetime) -> HealthRow:
    open_ = Q(state=exports.WAITING)
    late = open_ & Q(next_try_at__lt=at - LATE)
    found = ExportJob.objects.aggregate(
        made=Count("pk", filter=open_),
        failed=Count("pk", filter=Q(state=exports.FAILED, ended_at__gte=at - timedelta(days=1))),
        late=Count("pk", filter=late),
        oldest=Min("next_try_at", filter=late),
    )
    if found["late"]:
        text = f"{_counted(found['late'], 'export')} should have gone on by now. Whoever ordered waits."
        return HealthRow("Exports", text, "bad", "docker compose up -d worker", found["oldest"])
    if found["failed"]:
        text = f"{_counted(found['failed'], 'export')} failed within a day. Whoever ordered can order again."
        return HealthRow("Exports", text, "warn", "The worker's log has why")
    return HealthRow("Exports", f"{_counted(found['made'], 'export')} being made." if found["made"] else "None.", "ok")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
