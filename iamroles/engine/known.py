"""What the portal itself knows of a role, out of its own rows: what was approved for it, and who deploys through it.

Read by the worker beside its look at AWS. Nothing here asks AWS or writes.
"""

from __future__ import annotations

from typing import Any

from iamroles import canonical
from iamroles.blueprints.state import State
from iamroles.iam.documents import Document
from iamroles.models import AwsAccount, ManagedRole, Proposal
from iamroles.proposal import Known, read
from iamroles.rules import states

DEPLOYER = "deployer"  # the kind of request whose policies are for people and pipelines, not for a role of ours


def known_of(account: AwsAccount, base: State) -> Known:
    """Returns what was approved for the role of a base, and who deploys through which role of the AWS account."""
    before = _remembered(account, base)
    if before is None or before.role is None:
        return Known(deployers=_deployers(account))
    own = [policy.document for policy in before.policies.values() if policy]
    return Known(
        approved=(*own, *before.role.inline.values(), before.role.trust),
        attached=before.role.attached,
        deployers=_deployers(account),
    )


def _remembered(account: AwsAccount, base: State) -> State | None:
    """The role as it was last applied, if it is still that role."""
    if base.role is None:
        return None
    row = ManagedRole.objects.filter(account=account, role_id=base.role.role_id).first()
    stored: Any = canonical.loads(row.desired) if row else None
    return State.from_mapping(stored) if stored else None


def _deployers(account: AwsAccount) -> dict[str, dict[str, tuple[Document, ...]]]:
    """Applied deployer policies that no later removal took away, by the roles that they pass and by team."""
    rows = Proposal.objects.filter(
        revision__request__account=account,
        revision__request__state=states.CLOSED,
        revision__request__outcome="applied",
    ).select_related("revision__request__team")
    found: dict[str, dict[str, tuple[Document, ...]]] = {}
    for row in rows.filter(revision__request__kind=DEPLOYER).order_by("pk"):
        request = row.revision.request
        if request.revision_number != row.revision.number or request.team is None:
            continue
        stored = read(row.canonical)
        documents = tuple(policy.document for policy in stored.target.policies.values() if policy)
        for arn in stored.body["dependencies"]["passed_roles"]:
            teams = found.setdefault(arn, {})
            teams[request.team.slug] = (*teams.get(request.team.slug, ()), *documents)
    return found
