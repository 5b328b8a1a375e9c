"""Blueprints: from facts to what is wanted, by the facts alone. One function a kind, and the table that finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from iamroles import canonical
from iamroles.blueprints import deployer, grants, uses
from iamroles.blueprints.facts import (
    SESSION_SECONDS,
    DeployerFacts,
    Facts,
    GrantFacts,
    InfrastructureFacts,
    RemovalFacts,
    RoleFacts,
    passed_roles,
    service_of,
)
from iamroles.blueprints.state import PolicyState, RoleState
from iamroles.iam import catalogue, trust

_MANAGED = {"limited": catalogue.CODEDEPLOY_ECS_LIMITED, "full": catalogue.CODEDEPLOY_ECS}


@dataclass(frozen=True)
class Desired:
    """What is wanted. `role` is None when only attachments to an existing role are wanted, `role_arn` when none is.

    `attach` are the policy ARNs that the role must hold; `policies` are our own among them, with their documents.
    `service` must be able to use the role; it follows from the kind and is no part of the digest. A removal wants
    nothing: `removes` are the policy ARNs that go, and `removes_role` says whether the role goes too. `max_session`
    (seconds) is set where somebody asked for it; else an existing role keeps its own.
    """

    role_arn: str | None
    role: RoleState | None
    attach: frozenset[str]
    policies: Mapping[str, PolicyState] = field(default_factory=dict)
    service: str = trust.CODEDEPLOY
    removes: frozenset[str] = frozenset()
    removes_role: bool = False
    max_session: int | None = None

    @property
    def removal(self) -> bool:
        """True when something is to go and nothing to come."""
        return self.removes_role or bool(self.removes)

    def as_mapping(self) -> dict[str, Any]:
        """Returns the JSON-able form that the digest is made of."""
        going = {"removes": sorted(self.removes), "removes_role": self.removes_role} if self.removal else {}
        asked = {} if self.max_session is None else {"max_session": self.max_session}
        return {
            **going,
            **asked,
            "role_arn": self.role_arn,
            "role": self.role.as_mapping() if self.role else None,
            "attach": sorted(self.attach),
            "policies": {arn: policy.as_mapping() for arn, policy in sorted(self.policies.items())},
        }

    def digest(self) -> str:
        """Returns the SHA-256 (hex) that is shown while typing and stands in the evidence."""
        return canonical.digest(self.as_mapping())


def managed_policy(facts: RoleFacts | InfrastructureFacts) -> catalogue.ManagedPolicy | None:
    """Returns the AWS managed policy that the facts choose; None for Scoped, which is a policy of our own."""
    if isinstance(facts, InfrastructureFacts):
        return _infrastructure_policy(facts)
    if facts.managed_policy == "scoped":
        return None
    return catalogue.managed_policy(_MANAGED[facts.managed_policy], facts.account.partition)


def _infrastructure_policy(facts: InfrastructureFacts) -> catalogue.ManagedPolicy:
    return catalogue.managed_policy(catalogue.ECS_INFRASTRUCTURE_LB, facts.account.partition)


def _own_policies(facts: RoleFacts, managed: catalogue.ManagedPolicy | None) -> tuple[PolicyState, ...]:
    """What the managed policy does not give: what deployments use, and the roles that they pass."""
    pieces = uses.uncovered_pieces(facts, managed.document) if managed else uses.scoped_pieces(facts)
    roles = grants.not_covered(facts, [managed.document] if managed else [])
    return (
        *((uses.uses_policy(facts, pieces),) if pieces else ()),
        *((grants.grant_policy(facts, roles),) if roles else ()),
    )


def build_desired(facts: Facts) -> Desired:
    """Returns what is wanted for facts of any kind. Same facts, same bytes, in the web tier and in the worker."""
    if isinstance(facts, GrantFacts):
        return _build_grant(facts)
    if isinstance(facts, InfrastructureFacts):
        return _build_infrastructure(facts)
    if isinstance(facts, DeployerFacts):
        policy = deployer.deployer_policy(facts)
        return Desired(role_arn=None, role=None, attach=frozenset(), policies={policy.arn: policy})
    if isinstance(facts, RemovalFacts):
        return Desired(
            role_arn=facts.role_arn,
            role=None,
            attach=frozenset(),
            removes=frozenset(facts.policies),
            removes_role=facts.whole,
        )
    return _build_role(facts)


def _build_role(facts: RoleFacts) -> Desired:
    managed = managed_policy(facts)
    policies = {policy.arn: policy for policy in _own_policies(facts, managed)}
    attach = frozenset({*((managed.arn,) if managed else ()), *policies})
    role = RoleState(
        arn=facts.role_arn,
        name=facts.role_name,
        path=facts.account.role_path,
        trust=trust.codedeploy_trust(facts.account.number, source_account=facts.hardened, source_arn=facts.sources),
        description=facts.description,
        boundary=facts.account.boundary,
        tags=dict(facts.tags),
        max_session=facts.max_session or SESSION_SECONDS[0],
        attached=attach,
    )
    return Desired(role_arn=facts.role_arn, role=role, attach=attach, policies=policies, max_session=facts.max_session)


def _build_infrastructure(facts: InfrastructureFacts) -> Desired:
    attach = frozenset({_infrastructure_policy(facts).arn})
    role = RoleState(
        arn=facts.role_arn,
        name=facts.role_name,
        path=facts.account.role_path,
        trust=trust.infrastructure_trust(),
        description=facts.description,
        boundary=facts.account.boundary,
        tags=dict(facts.tags),
        attached=attach,
    )
    return Desired(role_arn=facts.role_arn, role=role, attach=attach, service=service_of(facts))


def _build_grant(facts: GrantFacts) -> Desired:
    policy = grants.grant_policy(facts, passed_roles(facts))
    return Desired(role_arn=facts.role_arn, role=None, attach=frozenset({policy.arn}), policies={policy.arn: policy})
