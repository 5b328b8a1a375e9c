"""What the portal knows of its own set-up, for the list of `rules.first_run`. What people said stands in the trail."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from iamroles import audit, eligibility, signing
from iamroles.audit import grants
from iamroles.models import AuditEvent, AwsAccount, Team, User, current_rules
from iamroles.pages import accounts as account_pages
from iamroles.pages import operations
from iamroles.rules import approval_rules, first_run, groups
from iamroles.rules.first_run import Item, Known, Said

PREFIX = "setup."


def setup_items(at: datetime) -> tuple[Item, ...]:
    """Returns the list as it stands."""
    return first_run.items(known(at))


def known(at: datetime) -> Known:
    """Returns what can be seen at a moment from this process."""
    sealing = audit.status()
    lag = sealing.waits_for(at)
    rows = account_pages.accounts()
    return Known(
        migrations_due=_migrations_due(),
        roles=_roles(),
        key=signing.problem(),
        base_url=settings.BASE_URL,
        worker_seen=operations.last_sign() is not None,
        sealed=sealing.sealed,
        sealing_late=lag is not None and lag > timedelta(seconds=settings.ROLEDESK_SEAL_LAG_SECONDS),
        clock_off=_clock_off(),
        confirmers=_people((groups.OPERATORS, groups.SECURITY)),
        approvers=_people(_deciding()),
        accounts=len(rows),
        untested=tuple(
            row.account.name for row in rows if row.connection is None or row.connection.state not in ("ok", "warn")
        ),
        unbounded=tuple(row.account.name for row in rows if not row.account.boundary),
        teams=Team.objects.filter(members__is_active=True, accounts__isnull=False).distinct().count(),
        said=_said(),
    )


def _migrations_due() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _roles() -> str:
    """Returns "apart" when this process cannot change events, "one" when it could, "none" on SQLite."""
    if connection.vendor != "postgresql":
        return "none"
    return "one" if grants.may_rewrite() else "apart"


def _clock_off() -> float:
    """Returns by how many seconds this process is ahead of the database's clock; 0 where both are one machine's."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (there,) = cursor.fetchone()
    return float((datetime.now(UTC) - there).total_seconds())


def _deciding() -> tuple[str, ...]:
    owners = AwsAccount.objects.values_list("owner__name", flat=True)
    return (*approval_rules.named_groups(current_rules()), *owners)


def _people(names: tuple[str, ...]) -> int:
    return len({eligibility.person_of(user) for user in _in(names)})


def _in(names: tuple[str, ...]) -> list[User]:
    return list(User.objects.filter(is_active=True, groups__name__in=names).distinct())


def _said() -> dict[str, Said]:
    events = AuditEvent.objects.filter(action="setting.changed", object_id__startswith=PREFIX).order_by("pk")
    found: dict[str, Said] = {}
    for canon in events.values_list("canon", flat=True):
        event = json.loads(canon)
        key = event["object"]["id"].removeprefix(PREFIX)
        found[key] = Said(event["data"]["changes"][0], event["reason"] or "", event["actor"]["name"])
    return {key: said for key, said in found.items() if said.state in (first_run.DONE, first_run.SKIPPED)}
