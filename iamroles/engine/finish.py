"""The good end of a run: AWS read equal to the target twice, so run and request close and the inventory remembers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.db import transaction

from iamroles import audit, canonical
from iamroles.audit import Subject
from iamroles.blueprints.state import PolicyState, State
from iamroles.engine import drift, inventory, lease, policies
from iamroles.engine.journal import NONCE, Journal, follow_up_from, number_of
from iamroles.engine.known import parts_of
from iamroles.engine.proof import Proved
from iamroles.engine.tools import Tools
from iamroles.iam import documents
from iamroles.models import AwsAccount, ManagedRole, Request
from iamroles.proposal import Stored, older_sessions
from iamroles.proposal.lay_over import Kept
from iamroles.transitions import move_request, move_run


def finish(journal: Journal, proved: Proved, observed: State) -> None:
    """Closes the run as done and the request as applied, in one transaction. Raises FencedOut or WrongState."""
    now = journal.tools.now()
    target = proved.stored.target
    data: dict[str, object] = {
        "run": number_of(journal.run),
        "target_digest": canonical.digest(target.as_mapping()),
        "read_digest": canonical.digest(_as_approved(observed, target).as_mapping()),
    }
    with transaction.atomic():
        lease.require_ours(journal.held)
        request = Request.objects.select_related("account", "team").get(pk=journal.run.request_id)
        move_run(
            journal.run,
            "finish",
            event="run.verified",
            actor=journal.tools.actor,
            at=now,
            data=data,
            fields={"follow_up_at": follow_up_from(journal)},
        )
        move_request(
            request,
            "finish",
            event="request.applied",
            actor=journal.tools.actor,
            at=now,
            data=data,
            fields={"outcome": "applied", "next_try_at": None},
        )
        remember(request, proved.stored, observed, journal.tools)
        lease.release(journal.held)


def _as_approved(observed: State, target: State) -> State:
    """Returns what AWS read without what it assigns itself (RoleId, versions, who uses a policy), as the target has it.

    An equal digest then says that everything which was approved reads back the same.
    """
    role = observed.role
    if role is not None and target.role is not None:
        role = replace(older_sessions.without(role), role_id=target.role.role_id)
    policies = dict(observed.policies)
    for arn, policy in policies.items():
        wanted = target.policies.get(arn)
        if policy is not None and wanted is not None:
            policies[arn] = replace(
                policy,
                default_version=wanted.default_version,
                versions=wanted.versions,
                users=wanted.users,
                drops=wanted.drops,
                policy_id=wanted.policy_id,
            )
    return replace(observed, role=role, policies=policies)


def forget(account: AwsAccount | None, base: State, reference: str, tools: Tools) -> None:
    """Takes what AWS no longer has out of the inventory: a role, or policies alone. Inside the caller's transaction."""
    if base.role_arn is None:
        policies.forget(account, base.policies, reference, tools)
        return
    name = base.role_arn.rsplit("/", 1)[-1]
    for row in ManagedRole.objects.filter(account=account, name_folded=name.lower()):
        inventory.release(row, reference, actor=tools.actor, at=tools.now())


def _desired(before: ManagedRole | None, proposed: Stored, observed: State) -> str:
    """The target with the policies that earlier requests gave the role and that it still holds, as last written."""
    target = proposed.target
    stored: Any = canonical.loads(before.desired) if before else None
    earlier = State.from_mapping(stored).policies if stored else {}
    attached = target.role.attached if target.role else frozenset()
    kept = {arn: policy for arn, policy in earlier.items() if policy and arn in attached}
    own = {
        arn: replace(policy, drops=(), versions=_known_versions(arn, policy, proposed.base, observed))
        for arn, policy in target.policies.items()
        if policy
    }
    return canonical.dumps(replace(target, policies={**kept, **own}).as_mapping()).decode()


def _known_versions(arn: str, target: PolicyState, base: State, observed: State) -> dict[str, str]:
    """The versions that were there before, and those that carry what we wrote. Any other one is somebody else's."""
    before, live = base.policies.get(arn), observed.policies.get(arn)
    known = before.versions.keys() if before else set()
    written = documents.digest(target.document)
    versions = live.versions.items() if live else ()
    return {version: digest for version, digest in versions if version in known or digest == written}


def _foreign(before: ManagedRole | None, kept: Iterable[Kept]) -> list[list[str]]:
    """The parts that others put there: kept by this request, and not given by an earlier one of ours."""
    found = [[each.kind, each.name] for each in kept if each.name != NONCE]
    if before is None:
        return found
    given = [part for part in parts_of(before) if part not in before.foreign]
    return [part for part in found if part not in given]


def remember(request: Request, stored: Stored, observed: State, tools: Tools) -> None:
    """Makes the target what the inventory holds, as AWS reads equal to it. Inside the caller's transaction."""
    role, now = observed.role, tools.now()
    if observed.gone:
        forget(request.account, stored.base, request.reference, tools)
        return
    if role is None:
        policies.remember(request, stored, observed, tools)
        return
    if request.account is None or request.team is None or role.role_id is None:
        raise ValueError(f"{request.reference} was applied without AWS account, team or RoleId.")
    before = ManagedRole.objects.filter(account=request.account, role_id=role.role_id).first()
    values = {
        "team": request.team,
        "arn": role.arn,
        "role_id": role.role_id,
        "desired": _desired(before, stored, observed),
        "foreign": _foreign(before, stored.kept),
        "request": request,
        "applied_at": now,
        "verified_at": now,
        "observed_at": now,
        "handed_over": False,
        "drift": [],
        "drift_since": None,
        "live": "",
    }
    if before and before.drift:
        parts = [str(each["part"]) for each in before.drift]
        drift.record_drift("drift.accepted", before, canonical.digest(observed.as_mapping()), parts, now, tools)
    inventory.keep(ManagedRole, request.account, role.name, values, actor=tools.actor, at=now)
    if stored.body["adopts"]:
        audit.record(
            "inventory.adopted",
            actor=tools.actor,
            subject=Subject("role", role.arn, role.name),
            at=now,
            request=request.reference,
            data={"resource": role.arn, "document_digest": canonical.digest(role.as_mapping())},
        )
