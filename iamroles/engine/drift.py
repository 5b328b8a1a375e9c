"""Standing observation: does AWS still read as the inventory says? In bulk, an AWS account at a time, never repaired.

What differs is stored with the role and recorded as an event; making it right again, or adopting it, is a new request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from iamroles import audit, canonical
from iamroles.audit import Subject
from iamroles.aws.gateway import Holdings
from iamroles.blueprints.state import State
from iamroles.engine import explain
from iamroles.engine.inventory import Managed, keep
from iamroles.engine.tools import Tools
from iamroles.models import AccountLook, AwsAccount, Lease, ManagedPolicy, ManagedRole, Request, Step
from iamroles.proposal.propose import digest_of, read
from iamroles.rules import states

_log = structlog.get_logger(__name__)
Found = list[dict[str, str | None]]


def scan(look: AccountLook, tools: Tools) -> dict[str, Any]:
    """Holds every role and deployer policy of the inventory against AWS. Raises AwsError.

    Returns `state`, `checked` and `drifted`. What a worker is writing to meanwhile is left for the next scan.
    """
    account = look.account
    _watch_handed_over(account, tools)
    rows: list[Managed] = [
        *ManagedRole.objects.filter(account=account).order_by("pk"),
        *ManagedPolicy.objects.filter(account=account).order_by("pk"),
    ]
    before, found = _at_work(account), []
    if rows:
        gateway = tools.sessions.reading(tools.portal(account), f"SCAN-{look.pk}")
        holdings = gateway.holdings({arn for row in rows for arn in (row.arn, *_desired(row).policies)})
        at = tools.now()
        found = [_hold(row, holdings, before, at, tools) for row in rows]
    checked = sum(drifts is not None for drifts in found)
    drifted = sum(bool(drifts) for drifts in found)
    with transaction.atomic():
        data: dict[str, object] = {"account": account.number, "checked": checked, "drifted": drifted}
        _record("scan.completed", account, tools, data)
    return {"state": "warn" if drifted else "ok", "checked": checked, "drifted": drifted}


def give_up(account: AwsAccount, code: str, tools: Tools) -> None:
    """Records that a scan failed for the last time; the next one is ordered a day later."""
    with transaction.atomic():
        _record("scan.failed", account, tools, {"account": account.number, "code": code}, outcome="failed", code=code)


def _record(event: str, account: AwsAccount, tools: Tools, data: dict[str, object], **more: Any) -> None:
    subject = Subject("account", account.number, account.name)
    audit.record(event, actor=tools.actor, subject=subject, at=tools.now(), data=data, **more)


def _watch_handed_over(account: AwsAccount, tools: Tools) -> None:
    """A role that another tool manages is watched for the target that was handed over to it."""
    closed = Request.objects.filter(account=account, state=states.CLOSED, outcome="handed_over")
    for request in closed.select_related("team").order_by("closed_at"):
        proposal = request.current_proposal()
        if proposal is None or digest_of(proposal.canonical) != proposal.digest:
            _log.error("handed_over_unreadable", request=request.reference, alarm=True)
            continue
        stored = read(proposal.canonical)
        row = ManagedRole.objects.filter(account=account, name_folded=request.role_name.lower()).first()
        newer = row is not None and max(row.since, row.applied_at or row.since) >= (request.closed_at or row.since)
        if newer or stored.target.role is None or request.team is None:
            continue
        values = {
            "team": request.team,
            "arn": stored.target.role.arn,
            "role_id": "",
            "desired": canonical.dumps(stored.target.as_mapping()).decode(),
            "foreign": [[kept.kind, kept.name] for kept in stored.kept],
            "request": request,
            "since": request.closed_at or tools.now(),
            "verified_at": None,
            "handed_over": True,
        }
        with transaction.atomic():
            keep(ManagedRole, account, request.role_name, values, actor=tools.actor, at=tools.now())


def _at_work(account: AwsAccount) -> dict[str, int]:
    """Returns the fence of every resource, -1 for those that a worker holds or a run has not finished with."""
    leases = Lease.objects.filter(account=account)
    fences = {lease.resource: -1 if lease.owner else lease.fence for lease in leases}
    steps = Step.objects.filter(run__request__account=account, run__state__in=(states.GOING, states.WAITING))
    return fences | dict.fromkeys((arn.lower() for arn in steps.values_list("resource", flat=True)), -1)


def _hold(row: Managed, holdings: Holdings, before: Mapping[str, int], at: datetime, tools: Tools) -> Found | None:
    """Holds one row against what was read. Returns what differs, or None when a worker was at it."""
    desired = _desired(row)
    live = live_of(desired, holdings)
    unreadable = sorted(holdings.unreadable.keys() & {row.arn, *desired.policies})
    found = differences(row, desired, live)
    if unreadable:
        found = [{"part": f"unreadable {arn}", "desired": None, "live": holdings.unreadable[arn]} for arn in unreadable]
    resource = row.arn.lower()
    with transaction.atomic():
        now = type(row)._default_manager.select_for_update().filter(pk=row.pk).first()
        fence = _at_work(row.account).get(resource, 0)
        if now is None or now.desired != row.desired or fence == -1 or fence != before.get(resource, 0):
            return None
        _remember(now, found, live, at, tools)
    return found


def _desired(row: Managed) -> State:
    stored: Any = canonical.loads(row.desired)
    return State.from_mapping(stored)


def live_of(desired: State, holdings: Holdings) -> State:
    """Returns what the AWS account holds of the resources of a state."""
    return State(
        role_arn=desired.role_arn,
        role=holdings.roles.get(desired.role_arn) if desired.role_arn else None,
        policies={arn: holdings.policies.get(arn) for arn in desired.policies},
    )


def differences(row: Managed, desired: State, live: State) -> Found:
    """Returns every part that reads otherwise than desired: `part`, `desired` and `live`, None for what is not there.

    Tags that others put there are theirs, and our own deny for older sessions is no drift. A policy of a role is for
    that role alone; who holds a deployer's policy is its team's affair.
    """
    wanted, there = explain.parts(desired), explain.parts(live)
    theirs = {f"tag {name}" for kind, name in row.foreign if kind == "tag"}
    theirs |= {part for part in there if part.startswith("tag ") and part not in wanted}
    found = [
        {"part": part, "desired": wanted.get(part), "live": there.get(part)}
        for part in sorted((wanted.keys() | there.keys()) - theirs)
        if wanted.get(part) != there.get(part)
    ]
    live_id = _entity_id(live)
    if live_id is not None and row.entity_id and live_id != row.entity_id:
        found.append({"part": f"{row.kind} id", "desired": row.entity_id, "live": live_id})
    return [*found, *_foreign_versions(desired, live), *(_foreign_users(desired, live) if desired.role_arn else ())]


def _entity_id(live: State) -> str | None:
    if live.role_arn is not None:
        return live.role.role_id if live.role else None
    return next((policy.policy_id for policy in live.policies.values() if policy), None)


def _foreign_versions(desired: State, live: State) -> Iterable[dict[str, str | None]]:
    """A version of an own policy that neither was there before nor was made by us."""
    for arn, policy in sorted(live.policies.items()):
        known = desired.policies.get(arn)
        if policy is None or known is None or not known.versions:
            continue
        for version in sorted(policy.versions.keys() - known.versions.keys()):
            yield {"part": f"version {version} of {arn}", "desired": None, "live": "there"}


def _foreign_users(desired: State, live: State) -> Iterable[dict[str, str | None]]:
    """Whoever holds a policy of the role beside the role, and did not when it was approved."""
    for arn, policy in sorted(live.policies.items()):
        known = desired.policies.get(arn)
        if policy is not None and known is not None:
            for user in sorted(policy.users - known.users - {desired.role_arn}):
                yield {"part": f"user of {arn}", "desired": None, "live": user}


def _remember(row: Managed, found: Found, live: State, at: datetime, tools: Tools) -> None:
    """Stores what was found, with its event when it changed. Inside the caller's transaction."""
    awaited = row.handed_over and row.verified_at is None
    if found != row.drift and not (found and awaited):
        event = "drift.detected" if found else "drift.cleared"
        parts = [str(each["part"]) for each in found or row.drift]
        record_drift(event, row, canonical.digest(live.as_mapping()), parts, at, tools)
    row.observed_at, row.drift = at, found
    row.live = canonical.dumps(live.as_mapping()).decode() if found else ""
    row.drift_since = (row.drift_since or at) if found else None
    row.verified_at = row.verified_at if found else at
    row.save(update_fields=("observed_at", "drift", "live", "drift_since", "verified_at"))


def record_drift(event: str, row: Managed, live_digest: str, parts: list[str], at: datetime, tools: Tools) -> None:
    """Records drift.detected, .cleared or .accepted for a row. Inside the caller's transaction."""
    audit.record(
        event,
        actor=tools.actor,
        subject=Subject(row.kind, row.arn, row.arn.rsplit("/", 1)[-1]),
        at=at,
        request=row.request.reference if row.request else None,
        data={
            "resource": row.arn,
            "desired_digest": canonical.digest(canonical.loads(row.desired)),
            "live_digest": live_digest,
            "changes": parts,
        },
    )
