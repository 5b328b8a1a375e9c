"""What the portal itself knows of a role, out of its own rows: what was approved for it, and who deploys through it.

Read by the worker beside its look at AWS. Nothing here asks AWS or writes.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F

from iamroles import canonical
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.facts import passed_roles
from iamroles.blueprints.state import State
from iamroles.iam.documents import Document
from iamroles.models import AwsAccount, ManagedPolicy, ManagedRole, Revision
from iamroles.proposal import Known


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
