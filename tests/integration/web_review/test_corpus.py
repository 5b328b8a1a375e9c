"""A corpus of review pages: twenty poisoned requests among standard ones. The page's text alone names what is wrong in
each of the twenty, before anything is unfolded, and says nothing of the others.

`ROLEDESK_CORPUS=200` makes all of it: 180 standard requests and the twenty.
"""

from __future__ import annotations

import html
import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from django.urls import reverse

from iamroles.blueprints import RoleFacts, RoleState, State, build_desired
from iamroles.blueprints.grants import grant_document
from iamroles.iam import documents, trust
from iamroles.iam.documents import Document
from iamroles.proposal import Context, Known, ManagedPolicyVersion, PassedRole
from iamroles.rules.account_rules import AccountRules
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World

SIZE = int(os.environ.get("ROLEDESK_CORPUS", "30"))
A = world.STAGING
OTHER = "999922223333"
ROLE = f"arn:aws:iam::{A}:role/ecsCodeDeployRole"


def policy(*actions: str, resource: str | list[str] = "*", effect: str = "Allow", **more: Any) -> Document:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource, **more}
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True)
class Poison:
    """What is changed about an ordinary request, and what the page must say, in the people's own names."""

    says: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    role: dict[str, Any] | None = None  # the live role, if there is one; managed here
    managed: dict[str, Document] = field(default_factory=dict)
    passed: dict[str, Any] = field(default_factory=dict)  # of orders-api-task
    policies: dict[str, Document] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    production: bool = False


def adding(document: Document, *says: str) -> Poison:
    """Somebody put an inline policy on the role that the portal manages."""
    return Poison(says=says, role={"inline": {"debug": document}})


def holding(document: Document, *says: str, **more: Any) -> Poison:
    """The task role holds this policy."""
    arn = f"arn:aws:iam::{A}:policy/app"
    return Poison(says=says, passed={"attached": frozenset({arn})}, policies={arn: document}, **more)


def lambda_too() -> Document:
    services = ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"]
    statement = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]}, "trust")


def stranger() -> Document:
    principal = {"AWS": f"arn:aws:iam::{OTHER}:role/build"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]}, "trust")


BOUNDARY = f"arn:aws:iam::{world.PROD}:policy/boundary/EcsCodeDeployBoundary"
DEPLOYERS = {ROLE: {"payments": (grant_document((ROLE,), "codedeploy.amazonaws.com"),), "orders": ()}}
POISONED: dict[str, Poison] = {
    "every role": adding(
        policy("iam:PassRole"), "Name each role. A grant for every role lets a deployment run with any role", "debug"
    ),
    "a pattern of roles": adding(
        policy(
            "iam:PassRole",
            resource=f"arn:aws:iam::{A}:role/admin-*",
            Condition={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
        "admin-* stands for every role whose name fits",
    ),
    "any service": adding(
        policy("iam:PassRole", resource=f"arn:aws:iam::{A}:role/orders-api-task"), "could be passed to any service"
    ),
    "a foreign account": adding(
        policy(
            "iam:PassRole",
            resource=f"arn:aws:iam::{OTHER}:role/orders-api-task",
            Condition={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
        f"orders-api-task is a role of AWS account {OTHER}",
    ),
    "an administrator": holding(policy("*"), "orders-api-task has administrator rights."),
    "a role that widens itself": holding(
        policy("iam:PutRolePolicy"), "orders-api-task can widen its own rights", "iam:PutRolePolicy"
    ),
    "an unread policy": Poison(
        says=("orders-api-task holds odd, which AWS did not show",),
        passed={"attached": frozenset({f"arn:aws:iam::{A}:policy/odd"})},
    ),
    "a look-alike": Poison(
        says=("orders-api-task-1 does not exist in orders-staging",),
        facts={"task_roles": (f"arn:aws:iam::{A}:role/orders-api-task-1",)},
    ),
    "a role of another service": Poison(
        says=("orders-api-task does not trust", "deployments with it will fail"),
        passed={"trust": trust.codedeploy_trust(A)},
    ),
    "a role that others use": Poison(
        says=("orders-api-task may also be used by lambda.amazonaws.com",), passed={"trust": lambda_too()}
    ),
    "Full": Poison(
        says=("CodeDeploy could hand any role in this AWS account to", "Any Lambda function", "Any S3 object"),
        facts={"managed_policy": "full", "why_full": "The hooks are shared"},
    ),
    "the plain trust": Poison(
        says=("Nothing checks for which AWS account the service acts",), facts={"hardened": False}
    ),
    "an edited trust": Poison(
        says=(f"arn:aws:iam::{OTHER}:role/build", "from using this role"),
        role={"trust": stranger(), "attached": frozenset()},
    ),
    "a role in use": Poison(
        says=("ecsCodeDeployRole was last used on 2026-11-20",),
        role={"trust": trust.codedeploy_trust(A, source_account=False)},
        context={"last_used": "2026-11-20"},
    ),
    "a shared role": Poison(
        says=("2 teams would share ecsCodeDeployRole: orders and payments",), known={"deployers": DEPLOYERS}
    ),
    "no boundary": Poison(
        says=(f"The permissions boundary {BOUNDARY} does not exist in orders-prod",), production=True
    ),
    "another boundary": Poison(
        says=("EcsCodeDeployBoundary does not read as it was accepted for orders-prod",),
        production=True,
        managed={BOUNDARY: policy("*")},
        rules={"boundary": (policy("ecs:*"),)},
    ),
    "outside the guardrail": Poison(
        says=("The role could do what the guardrail of orders-staging forbids, such as",),
        rules={"guardrail": (policy("ecs:*", "elasticloadbalancing:*", "cloudwatch:*", "iam:PassRole"),)},
    ),
    "self-escalation": adding(
        policy("iam:CreatePolicyVersion"), "can give themselves more rights: iam:CreatePolicyVersion"
    ),
    "two policies together": adding(policy("ecs:RunTask"), "Together with what else the role holds", "ecs:RunTask"),
}


def ordinary(here: World, number: int) -> RoleFacts:
    """A request as teams make them every day, by a number."""
    pick = random.Random(f"corpus {number}")
    account = pick.choice((here.prod, here.staging))
    tasks = [f"svc{pick.randrange(100)}-task" for _ in range(pick.randrange(1, 4))]
    executions = pick.sample(("ecsTaskExecutionRole", "ECSTaskExecutionRole-app", "ecsTaskExecutionRole-app"), 2)
    return world.facts_for(
        account,
        role_name=f"{pick.choice(('ecsCodeDeployRole', 'deploy', 'Blue.Green'))}-{number}",
        execution_roles=tuple(f"arn:aws:iam::{account.number}:role/{name}" for name in executions),
        task_roles=tuple(dict.fromkeys(f"arn:aws:iam::{account.number}:role/{name}" for name in tasks)),
    )


def poisoned(here: World, one: Poison) -> tuple[RoleFacts, State, Context]:
    account = here.prod if one.production else here.staging
    facts = world.facts_for(
        account, **{"task_roles": (f"arn:aws:iam::{account.number}:role/orders-api-task",), **one.facts}
    )
    usual = world.context_for(facts)
    passed = {
        arn: replace(role, **one.passed) if arn.endswith("/orders-api-task") else role
        for arn, role in usual.passed.items()
    }
    passed = {arn: PassedRole(arn, None, None) if arn.endswith("-task-1") else role for arn, role in passed.items()}
    managed = {arn: version for arn, version in usual.managed.items() if not (one.production and arn == BOUNDARY)}
    managed |= {arn: ManagedPolicyVersion(arn, "v1", document) for arn, document in one.managed.items()}
    policies = {arn: ManagedPolicyVersion(arn, "v1", document) for arn, document in one.policies.items()}
    context = replace(usual, passed=passed, managed=managed, policies=policies, **one.context)
    desired = build_desired(facts)
    live: RoleState | None = None
    if one.role is not None:
        assert desired.role is not None
        live = replace(
            desired.role, role_id="AROAEXAMPLEROLEID0009", **{"attached": frozenset({world.LIMITED}), **one.role}
        )
    return facts, State(facts.role_arn, live, dict.fromkeys(desired.policies)), context


def seen(role: PassedRole, one: Poison) -> PassedRole:
    if role.arn.endswith("/orders-api-task-1"):
        return PassedRole(role.arn, None, None)
    return replace(role, **one.passed) if role.arn.endswith("/orders-api-task") else role


def visible_findings(page: str) -> str:
    """The text of the risk panel without what is folded."""
    start = page.index('id="findings"')
    panel = page[start : page.index("</section>", start)]
    panel = re.sub(r"<details.*?</details>", " ", panel, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", panel)).split())


Look = Callable[[Any], str]


@pytest.fixture
def look(signed_in: NewClient) -> Look:
    client = signed_in("mei")
    return lambda row: visible_findings(client.get(reverse("approval_review", args=[row.pk])).content.decode())


def test_the_twenty_name_what_is_wrong_and_the_others_say_nothing(here: World, look: Look) -> None:
    assert len(POISONED) == 20
    silent: list[str] = []
    for name, one in POISONED.items():
        facts, base, context = poisoned(here, one)
        row = world.sent(here.people["rosa"], facts)
        rules, known = AccountRules(**one.rules), Known(**one.known)
        world.proposed(row, base, managed_here=True, context=context, account_rules=rules, known=known)
        text = look(row)
        silent += [f"{name}: {says!r} not in {text!r}" for says in ("risk ", *one.says) if says not in text]
        assert "Low risk" not in text, name
    assert not silent, "\n".join(silent)
    for number in range(SIZE - len(POISONED)):
        row = world.in_review(here.people["rosa"], ordinary(here, number))
        text = look(row)
        assert re.search(r"Risk Low risk Nothing in it goes beyond what is normal in orders-\w+\.$", text), text
