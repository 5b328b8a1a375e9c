"""Blueprints: pure functions from facts to desired documents and attachments."""

from iamroles.blueprints.answers import check
from iamroles.blueprints.desired import Desired, build_desired
from iamroles.blueprints.facts import (
    AccountFacts,
    DeployerFacts,
    Facts,
    GrantFacts,
    InfrastructureFacts,
    PassingFacts,
    RemovalFacts,
    RoleFacts,
)
from iamroles.blueprints.problems import FieldProblem
from iamroles.blueprints.state import PolicyState, RoleState, State

__all__ = [
    "AccountFacts",
    "DeployerFacts",
    "Desired",
    "Facts",
    "FieldProblem",
    "GrantFacts",
    "InfrastructureFacts",
    "PassingFacts",
    "PolicyState",
    "RemovalFacts",
    "RoleFacts",
    "RoleState",
    "State",
    "build_desired",
    "check",
]
