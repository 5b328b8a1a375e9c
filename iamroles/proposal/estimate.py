"""What a proposal would be at best: AWS holds nothing of the role, and every role and boundary that it names is right.

For what must be known before a worker has looked: how many approvals a request will need at least. Pure.
"""

from __future__ import annotations

from iamroles.blueprints import build_desired
from iamroles.blueprints.facts import Facts, passed_services
from iamroles.blueprints.state import RoleState, State
from iamroles.iam import catalogue, trust
from iamroles.proposal.context import Context, ManagedPolicyVersion, PassedRole
from iamroles.proposal.propose import Envelope, Proposal, propose
from iamroles.rules import privileges


def best_case(facts: Facts, envelope: Envelope) -> Proposal:
    """Returns the proposal over such a base. A grant, which needs its role, finds an empty one."""
    desired = build_desired(facts)
    role = None
    if desired.role_arn is not None and desired.role is None and not desired.removal:
        trusted = trust.codedeploy_trust(facts.account.number)
        role = RoleState(desired.role_arn, facts.role_name, facts.account.role_path, trusted)
    managed = [catalogue.managed_policy(one.name, facts.account.partition) for one in catalogue.managed_policies()]
    context = Context(
        passed={arn: PassedRole(arn, "", trust.service_trust(to, {})) for arn, to in passed_services(facts).items()},
        managed={
            **{policy.arn: ManagedPolicyVersion(policy.arn, policy.version, policy.document) for policy in managed},
            **_boundary(facts, envelope),
        },
    )
    base = State(desired.role_arn, role, dict.fromkeys((*desired.policies, *desired.removes)))
    return propose(facts=facts, base=base, context=context, envelope=envelope)


def _boundary(facts: Facts, envelope: Envelope) -> dict[str, ManagedPolicyVersion]:
    """The permissions boundary that the AWS account demands: as it was accepted, else one that stops nothing."""
    arn = facts.account.boundary
    accepted = next(iter(envelope.account_rules.boundary), privileges.EVERYTHING)
    return {arn: ManagedPolicyVersion(arn, "", accepted)} if arn else {}
