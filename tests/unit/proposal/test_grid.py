"""The grid of facts: what is made allows every needed call and no other, and nothing of it can be left out.

The needed calls are written down here from AWS's tables, without the code that writes the documents.
`ROLEDESK_STANDARD_REQUESTS=500` runs all of the grid, else an even part of it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from iamroles.blueprints import AccountFacts, RoleFacts, build_desired
from iamroles.blueprints.desired import managed_policy
from iamroles.blueprints.facts import passed_services
from iamroles.iam import documents
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import Request, evaluate
from iamroles.rules import checks
from tests.unit.blueprints.test_golden_documents import CASES
from tests.unit.proposal.test_standard_requests import LONG, ROLES, role_arn

ACCOUNT = AccountFacts("111122223333", "orders")
HERE = "eu-central-1:111122223333"
TAG = {"s3:ExistingObjectTag/UseWithCodeDeploy": "true"}
SERVICES = tuple(f"arn:aws:ecs:{HERE}:service/{name}" for name in ("shop/api", "shop/web", "other/api"))
LISTENER = f"arn:aws:elasticloadbalancing:{HERE}:listener/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2"
TEST_LISTENER = LISTENER.replace("f2f7dc8efc522ab2", "0467ef3c8400ae65")
RULE = f"{LISTENER.replace(':listener/', ':listener-rule/')}/9683b2d02a6cabee"
PERMISSIONS: tuple[dict[str, Any], ...] = (
    {"managed_policy": "limited"},
    {"managed_policy": "full"},
    {"managed_policy": "scoped", "services": SERVICES[:1], "listeners": (LISTENER,)},
    {"managed_policy": "scoped", "services": SERVICES[:2], "listeners": (LISTENER, RULE)},
    {"managed_policy": "scoped", "services": SERVICES, "listeners": (RULE, TEST_LISTENER)},
)
HOOKS = tuple(f"arn:aws:lambda:{HERE}:function:{name}" for name in ("CodeDeployHook_a", "codedeployhook_a", "smoke"))
TOPICS = tuple(f"arn:aws:sns:{HERE}:{name}" for name in ("CodeDeployTopic_a", "codeDeployTopic_a", "alerts"))
NAMED: tuple[dict[str, Any], ...] = tuple(
    {"hooks": hooks, "topics": topics, **bundles}
    for (hooks, topics), bundles in itertools.product(
        (((), TOPICS[2:]), (HOOKS[:1], ()), (HOOKS[1:], TOPICS[:1]), (HOOKS, TOPICS)),
        (
            {},
            {"bundles": ("arn:aws:s3:::releases/orders/*",)},
            {"bundles": ("arn:aws:s3:::releases/orders/*",), "bundles_tagged": True},
            {"bundles": ("arn:aws:s3:::releases/orders/appspec.yaml", "arn:aws:s3:::other/web/*")},
            {"bundles": ("arn:aws:s3:::releases/orders/*", "arn:aws:s3:::releases/orders/web/*")},
        ),
    )
)


def grid() -> Iterator[RoleFacts]:
    roles = [part for size in range(4) for part in itertools.combinations(ROLES, size)]
    for chosen, named, passed in itertools.product(PERMISSIONS, NAMED, roles):
        arns = tuple(role_arn(ACCOUNT, name) for name in passed)
        yield RoleFacts(
            account=ACCOUNT,
            team="orders",
            execution_roles=arns[:1],
            task_roles=arns[1:],
            policy_name="pass",
            uses_policy_name="uses",
            **chosen,
            **named,
        )


Call = tuple[str, str, dict[str, str]]


def needed(facts: RoleFacts) -> list[Call]:
    """Every call that a deployment with these facts makes."""
    calls: list[Call] = [
        ("iam:PassRole", arn, {"iam:PassedToService": "ecs-tasks.amazonaws.com"})
        for arn in (*facts.execution_roles, *facts.task_roles)
    ]
    calls += [("lambda:InvokeFunction", arn, {}) for arn in facts.hooks]
    calls += [("sns:Publish", arn, {}) for arn in facts.topics]
    for arn, action in itertools.product(facts.bundles, ("s3:GetObject", "s3:GetObjectVersion")):
        calls.append((action, arn.replace("*", "appspec.yaml"), TAG if facts.bundles_tagged else {}))
    for arn in facts.services:
        cluster, service = arn.rsplit("/", 2)[1:]
        keys = {"ecs:cluster": f"arn:aws:ecs:{HERE}:cluster/{cluster}", "ecs:service": arn}
        sets = f"arn:aws:ecs:{HERE}:task-set/{cluster}/{service}/ecs-svc/1"
        calls += [("ecs:CreateTaskSet", "*", keys), ("ecs:CreateTaskSet", sets, keys), ("ecs:DeleteTaskSet", sets, {})]
        calls += [("ecs:DescribeServices", arn, {}), ("ecs:UpdateServicePrimaryTaskSet", arn, {})]
    if facts.services:
        looks = ("Listeners", "Rules", "TargetGroups")
        calls += [(f"elasticloadbalancing:Describe{name}", "*", {}) for name in looks]
        calls += [("cloudwatch:DescribeAlarms", "*", {})]
    for arn in facts.listeners:
        if ":listener-rule/" in arn:
            calls.append(("elasticloadbalancing:ModifyRule", arn, {}))
            continue
        calls.append(("elasticloadbalancing:ModifyListener", arn, {}))
        own = f"{arn.replace(':listener/', ':listener-rule/')}/"
        if not any(one.startswith(own) for one in facts.listeners):
            calls.append(("elasticloadbalancing:ModifyRule", f"{own}any", {}))
    return calls


def probes(facts: RoleFacts) -> list[Call]:
    """Calls a step away from the needed ones, and what nobody asked for."""
    found: list[Call] = [
        ("iam:PassRole", role_arn(ACCOUNT, "admin"), {"iam:PassedToService": "ecs-tasks.amazonaws.com"}),
        ("ecs:RunTask", "*", {}),
        ("ecs:CreateTaskSet", "*", {}),
        ("ecs:UpdateService", SERVICES[0], {}),
        ("elasticloadbalancing:ModifyRule", f"{RULE}a", {}),
        ("elasticloadbalancing:ModifyRule", RULE.replace("f2f7dc8efc522ab2", "f2f7dc8efc522ab20"), {}),
        ("elasticloadbalancing:DeleteListener", LISTENER, {}),
        ("s3:PutObject", "arn:aws:s3:::releases/orders/appspec.yaml", {}),
        ("s3:GetObject", "arn:aws:s3:::releases/appspec.yaml", TAG),
        ("lambda:UpdateFunctionCode", HOOKS[0], {}),
    ]
    for action, arn, context in needed(facts):
        if action == "iam:PassRole":
            found += [(action, arn, {}), (action, arn, {"iam:PassedToService": "lambda.amazonaws.com"})]
        if action == "ecs:CreateTaskSet":
            found += [(action, arn, {**context, key: value + "x"}) for key, value in context.items()]
            found.append((action, arn, {**context, "ecs:cluster": f"arn:aws:ecs:{HERE}:cluster/elsewhere"}))
        if context == TAG:
            found.append((action, arn, {}))
        found.append((action, arn.replace("111122223333", "444455556666").replace("s3:::", "s3:::x-"), context))
        if arn != "*" and not action.startswith("ecs:") and not arn.startswith("arn:aws:s3"):
            found.append((action, f"{arn}x", context))
    wanted = needed(facts)
    return [call for call in found if call not in wanted and not _given(call, facts)]


def _given(call: Call, facts: RoleFacts) -> bool:
    """Wide by the facts themselves: looks on all, CreateTaskSet on any resource, all rules of a listener."""
    action, arn, _ = call
    if ":Describe" in action and arn == "*":
        return True
    if action == "elasticloadbalancing:ModifyRule":
        whole = [one for one in facts.listeners if ":listener/" in one]
        heads = [f"{one.replace(':listener/', ':listener-rule/')}/" for one in whole]
        named = [one for one in facts.listeners if ":listener-rule/" in one]
        return any(arn.startswith(head) and not any(n.startswith(head) for n in named) for head in heads)
    if action == "ecs:CreateTaskSet":
        return (action, "*", call[2]) in needed(facts)
    return False


def allowed(attached: list[Document], call: Call) -> bool:
    return evaluate(attached, None, Request(*call)).allowed


def without_one_part(document: Document) -> Iterator[Document | None]:
    """The document without a statement, an action, a resource, a condition, or a value of a condition."""
    value = document.as_mapping()
    statements = value["Statement"]
    for index, statement in enumerate(statements):
        rest = statements[:index] + statements[index + 1 :]
        yield documents.parse({**value, "Statement": rest}) if rest else None
        for element in ("Action", "Resource"):
            listed = statement[element] if isinstance(statement[element], list) else [statement[element]]
            for one in listed if len(listed) > 1 else ():
                yield _changed(value, index, {element: [other for other in listed if other != one]})
        for operator, tests in statement.get("Condition", {}).items():
            for key, values in tests.items():
                for one in values if isinstance(values, list) and len(values) > 1 else ():
                    kept = {**tests, key: [other for other in values if other != one]}
                    yield _changed(value, index, {"Condition": {**statement["Condition"], operator: kept}})


def _changed(value: dict[str, Any], index: int, parts: dict[str, Any]) -> Document:
    made = copy.deepcopy(value)
    made["Statement"][index].update(parts)
    return documents.parse(made)


def test_the_grid_allows_what_is_needed_and_nothing_can_be_left_out() -> None:
    count = 0
    for facts in itertools.islice(grid(), 0, None, 1 if LONG else 13):
        count += 1
        managed = managed_policy(facts)
        given = [managed.document] if managed else []
        own = [policy.document for policy in build_desired(facts).policies.values()]
        wanted = needed(facts)
        denied = [call for call in wanted if not allowed([*given, *own], call)]
        assert denied == [], facts
        reached = [call for call in probes(facts) if allowed(own, call)]
        assert reached == [], facts
        for document in own:
            others = [*given, *(one for one in own if one is not document)]
            for smaller in without_one_part(document):
                left = [*others, *([smaller] if smaller else [])]
                assert not all(allowed(left, call) for call in wanted), (facts, smaller)
    assert count == (2600 if LONG else 200)


IMPLIED = {
    "full": {"PR02", "RS01", "RS02", "RS03", "RS04", "RS05"},
    "plain": {"TR03"},
    "unscoped": {"PE02", "PE06"},
}
TRUSTS: dict[str, dict[str, Any]] = {
    "hardened": {},
    "plain": {"hardened": False},
    "groups": {"sources": (f"arn:aws:codedeploy:{HERE}:deploymentgroup:orders/blue-green",)},
    "stacks": {"sources": (f"arn:aws:cloudformation:{HERE}:stack/orders/*",), "cloudformation": True},
}


def unfolded(facts: Any) -> set[str]:
    desired = build_desired(facts)
    managed = None if facts.kind in ("grant", "deployer") else managed_policy(facts)
    attached = [checks.Attached(managed.arn, "permissions", managed.document)] if managed else []
    attached += [checks.Attached(p.arn, f"permissions:{p.name}", p.document) for p in desired.policies.values()]
    found = checks.check_proposal(
        account=facts.account,
        service=desired.service,
        live=None,
        target=desired.role,
        attached=attached,
        passed=(),
        expected=passed_services(facts) if facts.kind == "deployer" else checks.ANY_TO_TASKS,
    )
    return {finding.id for finding in found if not finding.standard and finding.severity != "note"}


@pytest.mark.parametrize("name", CASES)
def test_every_blueprint_has_no_finding_but_what_its_choice_implies(name: str) -> None:
    facts = CASES[name]
    implied = IMPLIED["full"] if getattr(facts, "managed_policy", "") == "full" else set()
    implied = implied | (set() if getattr(facts, "hardened", True) else IMPLIED["plain"])
    implied = implied | (IMPLIED["unscoped"] if getattr(facts, "scope", "") == "unscoped" else set())
    assert unfolded(facts) <= implied


@pytest.mark.parametrize("trusting", TRUSTS)
@pytest.mark.parametrize("chosen", range(len(PERMISSIONS)))
def test_every_option_has_no_finding_but_what_it_implies(chosen: int, trusting: str) -> None:
    implied = (IMPLIED["full"] if chosen == 1 else set()) | (IMPLIED["plain"] if trusting == "plain" else set())
    least = {"PR02", "RS01", "RS02"} if chosen == 1 else set()
    least |= {"TR03"} if trusting == "plain" else set()
    for facts in itertools.islice(grid(), chosen * 520, (chosen + 1) * 520, 52):
        for production in (False, True):
            made = replace(facts, account=replace(ACCOUNT, production=production), **TRUSTS[trusting])
            assert least <= unfolded(made) <= implied, made
