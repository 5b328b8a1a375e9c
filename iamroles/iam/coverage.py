"""Whether attached policies already give what deployments need, and if not, which trap the person fell into.

Coverage decides which grants a request adds (POLICY.md part 6); only what is proved counts as covered. The traps:
Limited's patterns respect capitals, and they name roles without a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from iamroles.iam import catalogue, documents
from iamroles.iam.arns import parse_arn, split_role
from iamroles.iam.arns import role_arn as make_role_arn
from iamroles.iam.contain import contains
from iamroles.iam.documents import Document
from iamroles.iam.emptiness import DEFAULT, Budget
from iamroles.iam.evaluate import Request, evaluate
from iamroles.iam.statements import ascii_lower
from iamroles.iam.trust import ECS_TASKS

Trap = Literal["case", "path", "case_and_path"]


@dataclass(frozen=True)
class Need:
    """One thing that deployments must be able to do, as a small document."""

    document: Document


def pass_role(role_arn: str, service: str = ECS_TASKS) -> Need:
    """Returns the need to pass one role to one service."""
    return _need("iam:PassRole", role_arn, {"StringEquals": {"iam:PassedToService": service}})


def call_hook(function_arn: str) -> Need:
    """Returns the need to call one Lambda function."""
    return _need("lambda:InvokeFunction", function_arn)


def publish_to(topic_arn: str) -> Need:
    """Returns the need to publish to one SNS topic."""
    return _need("sns:Publish", topic_arn)


def read_bundle(object_arn: str, *, tagged: bool) -> Need:
    """Returns the need to read one S3 object, which carries the tag UseWithCodeDeploy = true or not."""
    condition = {"StringEquals": {"s3:ExistingObjectTag/UseWithCodeDeploy": "true"}} if tagged else None
    return _need(["s3:GetObject", "s3:GetObjectVersion"], object_arn, condition)


def _need(action: str | list[str], resource: str, condition: dict[str, Any] | None = None) -> Need:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    if condition is not None:
        statement["Condition"] = condition
    return Need(documents.parse({"Version": "2012-10-17", "Statement": [statement]}))


def not_covered(needs: Iterable[Need], attached: Sequence[Document], *, budget: Budget = DEFAULT) -> tuple[Need, ...]:
    """Returns the needs that the attached documents are not proved to give, each once, in a fixed order.

    Their union is the grant delta: with it every need is covered, and no part of it can go.
    """
    listed = sorted(set(needs), key=lambda need: need.document.canonical_text)
    prove = _known if budget is DEFAULT else _proved  # without a clock in it, an answer stays true
    return tuple(need for need in listed if not prove(need.document, tuple(attached), budget))


def _proved(need: Document, attached: tuple[Document, ...], budget: Budget) -> bool:
    """Most needs that are not given are refused by one call of their own, without a proof."""
    if not attached:
        return False
    call = _one_call(need)
    if call is not None and evaluate([need], None, call).allowed and not evaluate(attached, None, call).allowed:
        return False
    return contains(need, attached, budget=budget).verdict == "proved"


_known = lru_cache(maxsize=4096)(_proved)  # the same few questions come with every keystroke


def _one_call(need: Document) -> Request | None:
    """A call of the need's first statement, made from its own words; None where that does not tell one."""
    statement = need.statements[0]
    if not (statement.actions and statement.resources) or statement.not_actions or statement.not_resources:
        return None
    context = {test.written: test.values[0] for test in statement.conditions}
    resource = statement.resources[0]
    return Request(statement.actions[0], resource if resource == "*" else resource.replace("*", "x"), context)


def covers(need: Need, attached: Sequence[Document], *, budget: Budget = DEFAULT) -> bool:
    """Returns True when the attached documents are proved to give one need."""
    return not not_covered([need], attached, budget=budget)


@dataclass(frozen=True)
class Coverage:
    """`covered`, else the trap (None when the role is simply not named), and the sentence for the person."""

    covered: bool
    trap: Trap | None
    message: str


def covers_passrole(attached: Sequence[Document], role_arn: str, service: str = ECS_TASKS) -> bool:
    """Returns True when the documents together are proved to allow passing this role to the service in every context.

    A grant under some further condition does not count.
    """
    return covers(pass_role(role_arn, service), attached)


def explain_passrole(
    role_arn: str, attached: Sequence[Document], policy_label: str, service: str = ECS_TASKS
) -> Coverage:
    """Returns whether the role is covered and why not, in words that name the role and the policy (UX.md part 6).

    Raises `ArnError` when `role_arn` is not a role's ARN.
    """
    path, name = split_role(role_arn)
    if covers_passrole(attached, role_arn, service):
        return Coverage(True, None, f"{policy_label} already covers {name}.")
    receiver = "ECS tasks" if service == ECS_TASKS else catalogue.service_words(service)
    trap = _trap(role_arn, attached, service)
    start = f"Deployments with {name} will fail: {policy_label} does not cover it"
    if trap == "case":
        return Coverage(False, trap, f"{start}, capitals matter.")
    if trap == "path":
        return Coverage(False, trap, f"{start} because of its path {path}.")
    if trap == "case_and_path":
        return Coverage(False, trap, f"{start}, capitals matter, and so does its path {path}.")
    return Coverage(False, None, f"{policy_label} does not let {name} be passed to {receiver}. It needs a grant.")


def _trap(role_arn: str, attached: Sequence[Document], service: str) -> Trap | None:
    arn = parse_arn(role_arn)
    path, name = split_role(role_arn)
    folded = [_folded(document) for document in attached]
    if covers_passrole(folded, ascii_lower(role_arn), service):
        return "case"
    if path == "/":
        return None
    bare = make_role_arn(arn.partition, arn.account, name)
    if covers_passrole(attached, bare, service):
        return "path"
    return "case_and_path" if covers_passrole(folded, ascii_lower(bare), service) else None


@lru_cache(maxsize=64)
def _folded(document: Document) -> Document:
    """The document with its resources in lower case, for asking whether only capitals stand in the way."""
    value = document.as_mapping()
    statements = value["Statement"] if isinstance(value["Statement"], list) else [value["Statement"]]
    for statement in statements:
        for element in ("Resource", "NotResource"):
            if element in statement:
                listed = statement[element]
                names = [listed] if isinstance(listed, str) else listed
                statement[element] = [ascii_lower(name) for name in names]
    return documents.parse(value)
