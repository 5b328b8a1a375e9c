"""The documents of the blueprints as files that a security reviewer can read: trust and policies, whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iamroles import canonical
from iamroles.blueprints import (
    AccountFacts,
    DeployerFacts,
    Facts,
    GrantFacts,
    InfrastructureFacts,
    RoleFacts,
    build_desired,
    check,
)
from iamroles.blueprints.facts import read, write
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
HERE = "eu-central-1:111122223333"
LISTENERS = (
    f"arn:aws:elasticloadbalancing:{HERE}:listener/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2",
    f"arn:aws:elasticloadbalancing:{HERE}:listener/app/orders/50dc6c495c0c9188/0467ef3c8400ae65",
)
USES: dict[str, Any] = {
    "hooks": (f"arn:aws:lambda:{HERE}:function:CodeDeployHook_smoke", f"arn:aws:lambda:{HERE}:function:orders-check"),
    "topics": (f"arn:aws:sns:{HERE}:CodeDeployTopic_orders", f"arn:aws:sns:{HERE}:orders-alerts"),
    "bundles": ("arn:aws:s3:::orders-releases/blue-green/*",),
    "uses_policy_name": "ecsCodeDeployRole-Deployments",
}
SCOPED: dict[str, Any] = {
    "managed_policy": "scoped",
    "services": (f"arn:aws:ecs:{HERE}:service/shop/orders-api", f"arn:aws:ecs:{HERE}:service/shop/orders-web"),
    "listeners": LISTENERS,
    "uses_policy_name": "ecsCodeDeployRole-Deployments",
}
DEPLOYING: dict[str, Any] = {
    "account": replace(ACCOUNT, policy_path="/codedeploy/"),
    "team": "orders",
    "holder": "arn:aws:iam::111122223333:role/orders-pipeline",
    "application": "checkout",
    "deployment_group": "checkout-blue-green",
    "cluster": "orders",
    "service": "checkout",
    "codedeploy_role": "arn:aws:iam::111122223333:role/ecsCodeDeployRole",
    "policy_name": "checkout-Deployer",
    "policy_description": "For orders-pipeline of orders: deploys checkout. Made by Roledesk, never changed.",
}
CASES: dict[str, Facts] = {
    "limited": RoleFacts(account=ACCOUNT, team="orders", **PASSING),
    "limited_plain_trust": RoleFacts(account=ACCOUNT, team="orders", hardened=False, **PASSING),
    "full": RoleFacts(account=ACCOUNT, team="orders", managed_policy="full", **PASSING),
    "full_uses": RoleFacts(account=ACCOUNT, team="orders", managed_policy="full", **PASSING, **USES),
    "limited_uses": RoleFacts(account=ACCOUNT, team="orders", **PASSING, **USES),
    "limited_tagged": RoleFacts(account=ACCOUNT, team="orders", **PASSING, **{**USES, "bundles_tagged": True}),
    "limited_groups": RoleFacts(
        account=ACCOUNT,
        team="orders",
        sources=(f"arn:aws:codedeploy:{HERE}:deploymentgroup:orders/blue-green",),
        max_session=7200,
    ),
    "limited_cloudformation": RoleFacts(
        account=ACCOUNT,
        team="orders",
        sources=(f"arn:aws:cloudformation:{HERE}:stack/orders/*", f"arn:aws:cloudformation:{HERE}:stack/web/*"),
        cloudformation=True,
    ),
    "scoped": RoleFacts(account=ACCOUNT, team="orders", **PASSING, **{**SCOPED, **USES}),
    "scoped_rules": RoleFacts(
        account=ACCOUNT,
        team="orders",
        **{
            **SCOPED,
            "services": (*SCOPED["services"], f"arn:aws:ecs:{HERE}:service/other/orders-jobs"),
            "listeners": (
                *LISTENERS[:1],
                f"{LISTENERS[0].replace(':listener/', ':listener-rule/')}/9683b2d02a6cabee",
            ),
            **USES,
            "bundles_tagged": True,
        },
    ),
    "grant": GrantFacts(account=ACCOUNT, team="orders", **PASSING),
    "deployer_scoped": DeployerFacts(
        **DEPLOYING, execution_roles=(EXECUTION,), task_roles=(TASK,), region="eu-central-1"
    ),
    "deployer_unscoped": DeployerFacts(**DEPLOYING, scope="unscoped"),
    "infrastructure": InfrastructureFacts(account=ACCOUNT, team="orders", tags={"team": "orders"}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_facts_are_without_problem_and_read_back(name: str) -> None:
    facts = CASES[name]
    named = {"policy_name": "p"} if isinstance(facts, RoleFacts) and not facts.policy_name else {}
    assert check(replace(facts, **named)) == ()
    assert read(write(facts)) == facts


def test_facts_stored_before_there_were_options_are_still_read() -> None:
    facts = CASES["limited"]
    stored = json.loads(write(facts))
    options = ("services", "listeners", "target_groups", "hooks", "topics", "bundles", "bundles_tagged")
    for name in (*options, "uses_policy_name", "sources", "cloudformation", "max_session", "why_full"):
        del stored[name]
    assert read(canonical.dumps(stored).decode()) == facts


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
