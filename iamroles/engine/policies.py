"""What the inventory remembers of policies that belong to no role of the portal, and what it lets go.

Everything here runs inside the caller's transaction. Rows are known by AWS's PolicyId, never by name alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from iamroles import canonical
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.state import State
from iamroles.engine import inventory
from iamroles.engine.tools import Tools
from iamroles.models import AwsAccount, ManagedPolicy, Request, Revision
from iamroles.proposal import Stored


def remember(request: Request, stored: Stored, observed: State, tools: Tools) -> None:
    """Makes the target of a plan about policies alone the desired state of what was read back."""
    now = tools.now()
    facts = facts_module.read(Revision.objects.get(request=request, number=stored.body["revision"]).facts)
    for arn, wanted in stored.target.policies.items():
        live = observed.policies.get(arn)
        if request.account is None or request.team is None or not (wanted and live and live.policy_id):
            raise ValueError(f"{request.reference} was applied without AWS account, team or PolicyId.")
        # By what was read: these versions are ours, any further one is somebody else's.
        kept = replace(wanted, policy_id=live.policy_id, default_version=live.default_version, versions=live.versions)
        values = {
            "team": request.team,
            "arn": arn,
            "policy_id": live.policy_id,
            "holder": facts.role_name,
            "desired": canonical.dumps(State(None, None, {arn: kept}).as_mapping()).decode(),
            "request": request,
            "applied_at": now,
            "verified_at": now,
            "observed_at": now,
            "drift": [],
            "drift_since": None,
            "live": "",
        }
        inventory.keep(ManagedPolicy, request.account, wanted.name, values, actor=tools.actor, at=now)


def forget(account: AwsAccount | None, arns: Iterable[str], reference: str, tools: Tools) -> None:
    """Takes policies that AWS no longer has out of the inventory."""
    for row in ManagedPolicy.objects.filter(account=account, arn__in=list(arns)):
        inventory.release(row, reference, actor=tools.actor, at=tools.now())
