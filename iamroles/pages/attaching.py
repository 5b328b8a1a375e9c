"""How a team attaches its deployer policy: the portal never does, so its page gives the command to copy."""

from __future__ import annotations

from dataclasses import dataclass

from iamroles.blueprints import DeployerFacts, build_desired
from iamroles.blueprints import facts as facts_module
from iamroles.models import ManagedPolicy, Request, Revision

_PERMISSION_SET = "AWSReservedSSO_"  # how IAM Identity Center names the roles of a permission set


@dataclass(frozen=True)
class Attaching:
    """What is left for the team. `earlier` are policies for the same role that this one may take the place of."""

    arn: str
    holder: str
    command: str
    permission_set: bool
    earlier: tuple[str, ...]


def attaching_of(request: Request, revision: Revision | None) -> Attaching | None:
    """Returns what the page of an applied deployer policy says, as long as the inventory holds the policy."""
    facts = facts_module.read(revision.facts) if revision and request.kind == facts_module.DEPLOYER else None
    if not isinstance(facts, DeployerFacts) or request.outcome not in ("applied", "already_right", "resolved"):
        return None
    (policy,) = build_desired(facts).policies.values()
    ours = ManagedPolicy.objects.filter(account=request.account, team=request.team, holder=facts.role_name)
    held = list(ours.order_by("pk").values_list("arn", flat=True))
    if policy.arn not in held:
        return None
    from_set = facts.role_name.startswith(_PERMISSION_SET)
    return Attaching(
        arn=policy.arn,
        holder=facts.role_name,
        command=_for_set(policy.name, policy.path) if from_set else _for_role(facts.role_name, policy.arn),
        permission_set=from_set,
        earlier=tuple(arn.rsplit("/", 1)[-1] for arn in held[: held.index(policy.arn)]),
    )


def _for_role(role_name: str, arn: str) -> str:
    return f"aws iam attach-role-policy --role-name {role_name} --policy-arn {arn}"


def _for_set(name: str, path: str) -> str:
    return (
        "aws sso-admin attach-customer-managed-policy-reference-to-permission-set --instance-arn INSTANCE_ARN "
        f"--permission-set-arn PERMISSION_SET_ARN --customer-managed-policy-reference Name={name},Path={path}"
    )
