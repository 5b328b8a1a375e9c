"""Every document that the blueprints make, and edits of documents: one that widens, one single change, one rewrite."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from iamroles.blueprints import build_desired
from iamroles.iam import catalogue, documents, trust
from iamroles.iam.documents import Document
from tests.unit.blueprints.test_golden_documents import CASES

A = "111122223333"
GROUP = f"arn:aws:codedeploy:us-east-1:{A}:deploymentgroup:orders/*"
Edit = Callable[[random.Random, dict[str, Any]], bool]  # changes one statement; False where it does not apply


def generated() -> dict[str, Document]:
    """Returns each different document of all blueprints with all options, the managed policies and trusts beside it."""
    found: dict[str, Document] = {
        "Full": catalogue.managed_policy(catalogue.CODEDEPLOY_ECS).document,
        "Limited": catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document,
        "trust with group": trust.codedeploy_trust(A, source_arn=GROUP),
        "trust of tasks": trust.ecs_tasks_trust(A),
    }
    for name, facts in CASES.items():
        desired = build_desired(facts)
        if desired.role:
            found[f"{name}: trust"] = desired.role.trust
        for arn, policy in desired.policies.items():
            found[f"{name}: {arn.rpartition('/')[2]}"] = policy.document
    return {name: document for document, name in {document: name for name, document in found.items()}.items()}


def mutants(original: Document, edits: list[Edit], seed: int) -> Iterator[tuple[dict[str, Any], Document]]:
    """Yields edited documents without end, as values and parsed."""
    rng = random.Random(seed)
    while True:
        value = original.as_mapping()
        if rng.choice(edits)(rng, rng.choice(value["Statement"])):
            yield value, documents.parse(value, original.kind)


def _listed(statement: dict[str, Any], element: str) -> list[str]:
    value = statement[element]
    statement[element] = [value] if isinstance(value, str) else list(value)
    return statement[element]  # type: ignore[no-any-return]


def _sibling(rng: random.Random, arn: str) -> str:
    """Another resource of the same service which no document gives: of the same kind, unless all of that kind are."""
    head, _, tail = arn.removesuffix(":*").rpartition(":")
    kind = f"{tail.partition('/')[0]}/" if "/" in tail else ""
    return f"{head}:{kind}added{rng.randint(0, 9)}"


def widen_resource(rng: random.Random, statement: dict[str, Any]) -> bool:
    if statement.get("Resource", "*") == "*":
        return False
    listed = _listed(statement, "Resource")
    index = rng.randrange(len(listed))
    text = listed[index].rstrip("*")
    listed[index] = text[: rng.randint(text.rindex(":", 0, len(text) - 1) + 1, len(text) - 1)] + "*"
    return True


def widen_account(rng: random.Random, statement: dict[str, Any]) -> bool:
    if A not in str(statement.get("Resource", "")):
        return False
    listed = _listed(statement, "Resource")
    index = rng.randrange(len(listed))
    changed = listed[index].replace(f":{A}:", rng.choice([":*:", ":444455556666:"]))
    added = changed not in listed
    listed[index:index] = [changed]
    return added


def add_resource(rng: random.Random, statement: dict[str, Any]) -> bool:
    if statement.get("Resource", "*") == "*":
        return False
    listed = _listed(statement, "Resource")
    listed.append(rng.choice(["*", _sibling(rng, rng.choice(listed))]))
    return True


def add_action(rng: random.Random, statement: dict[str, Any]) -> bool:
    _listed(statement, "Action").append(rng.choice(["sts:TagSession", "iam:CreateRole", "dynamodb:*", "*"]))
    return True


def drop_conditions(rng: random.Random, statement: dict[str, Any]) -> bool:
    return statement.pop("Condition", None) is not None


def drop_one_condition(rng: random.Random, statement: dict[str, Any]) -> bool:
    if len(statement.get("Condition", {})) < 2:
        return False
    statement["Condition"].pop(rng.choice(sorted(statement["Condition"])))
    return True


def soften_condition(rng: random.Random, statement: dict[str, Any]) -> bool:
    conditions = statement.get("Condition")
    if not conditions:
        return False
    name = rng.choice(sorted(conditions))
    conditions[f"{name}IfExists"] = conditions.pop(name)
    return True


def add_value(rng: random.Random, statement: dict[str, Any]) -> bool:
    conditions = statement.get("Condition")
    if not conditions:
        return False
    name = rng.choice(sorted(conditions))
    key = rng.choice(sorted(conditions[name]))
    values = conditions[name][key]
    added = "arn:aws:ecs:*:*:cluster/added" if "Arn" in name else "added.amazonaws.com"
    conditions[name][key] = [*([values] if isinstance(values, str) else values), added]
    return True


def change_service(rng: random.Random, statement: dict[str, Any]) -> bool:
    for tests in statement.get("Condition", {}).values():
        if "iam:PassedToService" in tests:
            tests["iam:PassedToService"] = "ec2.amazonaws.com"
            return True
    if "Service" in statement.get("Principal", {}):
        statement["Principal"] = {"Service": "lambda.amazonaws.com"}
        return True
    return False


def add_principal(rng: random.Random, statement: dict[str, Any]) -> bool:
    if "Principal" not in statement:
        return False
    statement["Principal"] = {**statement["Principal"], "AWS": rng.choice(["*", A, f"arn:aws:iam::{A}:role/x"])}
    return True


WIDENING: list[Edit] = [
    widen_resource, widen_account, add_resource, add_action, drop_conditions, drop_one_condition, soften_condition,
    add_value, change_service, add_principal,
]  # fmt: skip


def one_resource_more(rng: random.Random, statement: dict[str, Any]) -> bool:
    if statement.get("Resource", "*") == "*":
        return False
    listed = _listed(statement, "Resource")
    listed.insert(rng.randint(0, len(listed)), "arn:aws:sqs:eu-central-1:444455556666:added")
    return True


def one_resource_less(rng: random.Random, statement: dict[str, Any]) -> bool:
    if "Resource" not in statement or len(_listed(statement, "Resource")) < 2:
        return False
    statement["Resource"].pop(rng.randrange(len(statement["Resource"])))
    return True


def one_action_more(rng: random.Random, statement: dict[str, Any]) -> bool:
    listed = _listed(statement, "Action")
    listed.insert(rng.randint(0, len(listed)), rng.choice(["sts:TagSession", "sns:Subscribe", "ecs:RunTask"]))
    return True


def one_action_less(rng: random.Random, statement: dict[str, Any]) -> bool:
    if len(_listed(statement, "Action")) < 2:
        return False
    statement["Action"].pop(rng.randrange(len(statement["Action"])))
    return True


def the_condition_less(rng: random.Random, statement: dict[str, Any]) -> bool:
    tests = [key for found in statement.get("Condition", {}).values() for key in found]
    return len(tests) == 1 and drop_conditions(rng, statement)


SINGLE: list[Edit] = [one_resource_more, one_resource_less, one_action_more, one_action_less, the_condition_less]


def rewritten(rng: random.Random, document: Document) -> Document:
    """The same meaning, spelt otherwise: order, case of actions, string or list, Sid, split statements, white space."""
    statements = []
    for statement in document.as_mapping()["Statement"]:
        actions = _listed(statement, "Action")
        actions = [rng.choice([one, one.lower(), one.upper()]) for one in actions]
        rng.shuffle(actions)
        cut = rng.randint(1, len(actions)) if rng.random() < 0.5 else len(actions)
        for part in (actions[:cut], actions[cut:]):
            if part:
                made = {**statement, "Action": part[0] if len(part) == 1 and rng.random() < 0.5 else part}
                if "Resource" in made:
                    made["Resource"] = rng.sample(listed := _listed(made, "Resource"), len(listed))
                made["Sid"] = f"S{len(statements)}" if rng.random() < 0.3 else ""
                statements.append(made)
    rng.shuffle(statements)
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=rng.choice([None, 3]))
    return documents.parse(text, document.kind)
