"""The documents of the blueprints as files that a security reviewer can read: trust and policies, whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from iamroles.blueprints import AccountFacts, Facts, GrantFacts, InfrastructureFacts, RoleFacts, build_desired
from iamroles.iam import documents

GOLDEN = Path(__file__).parent / "golden"
ACCOUNT = AccountFacts("111122223333", "orders-staging", boundary="arn:aws:iam::111122223333:policy/boundary/B")
TASK = "arn:aws:iam::111122223333:role/apps/orders-api-task"
EXECUTION = "arn:aws:iam::111122223333:role/ecsTaskExecutionRole"
PASSING: dict[str, Any] = {
    "execution_roles": (EXECUTION,),
    "task_roles": (TASK,),
    "policy_name": "ecsCodeDeployRole-PassRole",
    "policy_description": "Lets ecsCodeDeployRole pass the named roles to ECS tasks. Managed by Roledesk.",
}
CASES: dict[str, Facts] = {
    "limited": RoleFacts(account=ACCOUNT, team="orders", **PASSING),
    "limited_plain_trust": RoleFacts(account=ACCOUNT, team="orders", hardened=False, **PASSING),
    "full": RoleFacts(account=ACCOUNT, team="orders", managed_policy="full", **PASSING),
    "grant": GrantFacts(account=ACCOUNT, team="orders", **PASSING),
    "infrastructure": InfrastructureFacts(account=ACCOUNT, team="orders", tags={"team": "orders"}),
}


def shown(facts: Facts) -> dict[str, Any]:
    desired = build_desired(facts)
    role = desired.role
    return {
        "role": role and {**role.as_mapping(), "trust": role.trust.as_mapping()},
        "attach": sorted(desired.attach),
        "policies": {arn: policy.document.as_mapping() for arn, policy in sorted(desired.policies.items())},
        "service": desired.service,
    }


@pytest.mark.parametrize("name", CASES)
def test_reads_as_the_golden_file(name: str) -> None:
    assert shown(CASES[name]) == json.loads((GOLDEN / f"{name}.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_every_document_fits_what_iam_takes(name: str) -> None:
    desired = build_desired(CASES[name])
    assert all(documents.size(policy.document) <= 6144 for policy in desired.policies.values())
    assert desired.role is None or documents.size(desired.role.trust) <= 2048
