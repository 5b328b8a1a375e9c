"""What the portal itself knows of a role, out of its own rows: what was approved for it, who deploys through it, and
whose older sessions may still live.

Read by the worker beside its look at AWS. Nothing here asks AWS or writes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, QuerySet

from iamroles import canonical
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.facts import GRANT, ROLE, passed_roles
from iamroles.blueprints.state import RoleState, State
from iamroles.engine.journal import NONCE
from iamroles.iam.documents import Document
from iamroles.models import AwsAccount, ManagedPolicy, ManagedRole, Proposal, Revision, Step, current_rules
from iamroles.proposal import Known, Stored, older_sessions, read
from iamroles.proposal.context import Context

_GRANTS_AT_MOST: Final = 20  # applied requests that are read for each passed role; any one of them is enough
_LATE: Final = timedelta(minutes=5)  # for a call of unknown outcome that landed late, and for clocks


def known_of(account: AwsAccount, base: State, context: Context, at: datetime) -> Known:
    """Returns what was approved for the role of a base, what was passed in the AWS account before, who deploys
    through which role of it, and whose sessions of the role may still live at `at`.
    """
    known = Known(deployers=_deployers(account), granted=_granted(account, context), left=_left(account, base, at))
    row = ManagedRole.objects.filter(account=account, role_id=base.role.role_id).first() if base.role else None
    before = _stored(row)
    if row is None or base.role is None or before is None or before.role is None:
        return known
    own = [policy.document for policy in before.policies.values() if policy]
    return replace(
        known,
        approved=(*own, *before.role.inline.values(), before.role.trust),
        attached=before.role.attached,
        own=_own_parts(row, base.role),
    )


def uncut(account: AwsAccount, stored: Stored, observed: State, at: datetime) -> tuple[str, ...]:
    """Returns whose older sessions would get what the plan adds now, because the deny that its base had is gone."""
    base, live = stored.base.role, observed.role
    until = older_sessions.denied_until(base) if base else ""
    if base is None or live is None or not until or older_sessions.denied_until(live) >= until:
        return ()
    if at >= datetime.fromisoformat(until) + timedelta(seconds=older_sessions.LASTS):
        return ()  # no session from before it lives any more: the follow-up may have taken it away
    return older_sessions.leaving(base, stored.target.role, _left(account, observed, at))


def _left(account: AwsAccount, base: State, at: datetime) -> tuple[str, ...]:
    """Who was taken out of the role's trust by a call of ours, finished or not, and is not cut off by a deny yet.

    A role that was made anew under the name has no older sessions.
    """
    if base.role is None:
        return ()
    lived = timedelta(seconds=older_sessions.LASTS) + _LATE
    calls = Step.objects.filter(
        run__request__account=account,
        resource=base.role.arn,
        api="UpdateAssumeRolePolicy",
        attempt__gt=0,
        started_at__gt=at - lived,
    )
    found: set[str] = set()
    for step in calls.select_related("run__proposal"):
        if step.started_at is None or f"{step.started_at:%Y-%m-%dT%H:%M:%SZ}" < older_sessions.denied_until(base.role):
            continue
        stored = read(step.run.proposal.canonical)
        if stored.base.role is None or stored.base.role.role_id != base.role.role_id:
            continue
        found |= set(older_sessions.leaving(stored.base.role, stored.target.role))
    return tuple(sorted(found))


def _stored(row: ManagedRole | None) -> State | None:
    stored: Any = canonical.loads(row.desired) if row else None
    return State.from_mapping(stored) if stored else None


def parts_of(row: ManagedRole) -> list[list[str]]:
    """Returns kind and name of everything on the role as it was last applied, whoever gave it."""
    before = _stored(row)
    if before is None or before.role is None:
        return []
    named = {"attached": before.role.attached, "inline": before.role.inline, "tag": before.role.tags}
    return [[kind, name] for kind, names in named.items() for name in sorted(names)]


def _own_parts(row: ManagedRole, live: RoleState) -> frozenset[tuple[str, str]]:
    """What the portal gave; a tag only with the value that it was given."""
    before = _stored(row)
    tags = before.role.tags if before and before.role else {}
    changed = {("tag", name) for name, value in live.tags.items() if tags.get(name) != value}
    given = {(kind, name) for kind, name in parts_of(row) if [kind, name] not in row.foreign}
    return frozenset(given - changed | {("tag", NONCE)})


def _granted(account: AwsAccount, context: Context) -> frozenset[tuple[str, str | None]]:
    """The passed roles of the context that an applied request of this AWS account passed before, by RoleId too."""
    if not current_rules()["unattended"]:
        return frozenset()
    applied = Proposal.objects.filter(
        revision__request__account=account,
        revision__request__kind__in=(ROLE, GRANT),
        revision__request__outcome="applied",
        revision__number=F("revision__request__revision_number"),
    )
    wanted = {(arn, role.role_id) for arn, role in context.passed.items() if role.role_id}
    return frozenset(found for found in wanted if _passed_before(applied, *found))


def _passed_before(applied: QuerySet[Proposal], arn: str, role_id: str) -> bool:
    rows = applied.filter(canonical__contains=arn).filter(canonical__contains=role_id).order_by("-pk")
    return any(
        row.intact and row.body["dependencies"]["passed_roles"].get(arn, {}).get("role_id") == role_id
        for row in rows[:_GRANTS_AT_MOST]
    )


def _deployers(account: AwsAccount) -> dict[str, dict[str, tuple[Document, ...]]]:
    """The deployer policies of the inventory, by the CodeDeploy role that they pass and by team."""
    found: dict[str, dict[str, tuple[Document, ...]]] = {}
    rows = ManagedPolicy.objects.filter(account=account).select_related("team").order_by("pk")
    current = Revision.objects.filter(number=F("request__revision_number"), request__managed_policies__in=rows)
    asked = dict(current.values_list("request", "facts"))
    for row in rows:
        stored: Any = canonical.loads(row.desired)
        documents = [policy.document for policy in State.from_mapping(stored).policies.values() if policy]
        for arn in passed_roles(facts_module.read(asked[row.request_id])):
            teams = found.setdefault(arn, {})
            teams[row.team.slug] = (*teams.get(row.team.slug, ()), *documents)
    return found
