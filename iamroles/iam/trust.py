"""Trust policies: the ones that we write, and whether a live one lets a service in and how it compares with ours.

AWS.md 2.2 and 2.3 give the documents. A live trust that is proved narrower than ours and still lets the service in is
right and is never loosened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from iamroles.iam import documents
from iamroles.iam.contain import contains
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import Request, evaluate
from iamroles.iam.statements import Escape, parts

CODEDEPLOY = "codedeploy.amazonaws.com"
ECS_TASKS = "ecs-tasks.amazonaws.com"
ECS = "ecs.amazonaws.com"

TrustState = Literal["equal", "narrower", "different"]


def service_trust(service: str, conditions: dict[str, Any], sid: str = "") -> Document:
    """Returns a trust policy that lets one service use the role, under the given Condition block (may be empty)."""
    statement: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": [service]},
        "Action": "sts:AssumeRole",
    }
    if conditions:
        statement["Condition"] = conditions
    return documents.parse({"Version": "2012-10-17", "Statement": [statement]}, kind="trust")


def codedeploy_trust(
    account: str,
    *,
    source_account: bool = True,
    source_arn: str | Sequence[str] | None = None,
    service: str = CODEDEPLOY,
) -> Document:
    """Returns the trust policy of a CodeDeploy role.

    Hardened with `aws:SourceAccount` by default; `source_arn` (deployment groups, or stacks for CloudFormation) adds
    `aws:SourceArn`; with neither it is the guide's plain form.
    """
    return service_trust(service, _source_conditions(account if source_account else None, source_arn))


def infrastructure_trust() -> Document:
    """Returns the trust policy of an ECS infrastructure role, as AWS documents it: without conditions (AWS.md 2.3)."""
    return service_trust(ECS, {}, "AllowAccessToECSForInfrastructureManagement")


def ecs_tasks_trust(account: str | None = None, *, source_arn: str | None = None) -> Document:
    """Returns the trust policy of a task or task execution role, without conditions unless they are asked for."""
    return service_trust(ECS_TASKS, _source_conditions(account, source_arn))


def _source_conditions(account: str | None, source_arn: str | Sequence[str] | None) -> dict[str, Any]:
    conditions: dict[str, Any] = {}
    if account is not None:
        conditions["StringEquals"] = {"aws:SourceAccount": account}
    if source_arn:
        conditions["ArnLike"] = {"aws:SourceArn": source_arn if isinstance(source_arn, str) else list(source_arn)}
    return conditions


def lets_in(document: Document, service: str, account: str) -> bool:
    """Returns True when some call of the service for this AWS account may assume the role.

    The source ARNs that are tried are none, and one out of each pattern that the document tests.
    """
    return any(evaluate([document], None, request).allowed for request in _source_calls(document, service, account))


def others_than(document: Document, service: str) -> tuple[str, ...]:
    """Returns the principals, other than one service, that some Allow of a trust policy names; sorted."""
    return tuple(
        sorted(
            {
                value
                for statement in document.statements
                if statement.effect == "Allow"
                for kind, value in statement.principals
                if (kind, value) != ("Service", service)
            }
        )
    )


def trust_state(live: Document, wanted: Document, service: str, account: str) -> TrustState:
    """Returns how a live trust policy compares with the wanted one.

    "equal" is by meaning. "narrower" is proved to allow nothing that ours does not, and still lets the service in.
    Everything else, also what could not be proved, is "different".
    """
    if documents.equal(live, wanted):
        return "equal"
    if contains(live, wanted).verdict != "proved":
        return "different"
    if contains(wanted, live).verdict == "proved":
        return "equal"
    return "narrower" if lets_in(live, service, account) else "different"


def _source_calls(document: Document, service: str, account: str) -> Iterator[Request]:
    contexts: list[dict[str, str]] = [{}, {"aws:SourceAccount": account}]
    for statement in document.statements:
        for condition in statement.conditions:
            if condition.key != "aws:sourcearn":
                continue
            for value in condition.values:
                arn = _example(value, document.version, account)
                if arn.split(":")[4:5] == [account]:
                    contexts.append({"aws:SourceAccount": account, "aws:SourceArn": arn})
    for context in contexts:
        yield Request("sts:AssumeRole", "*", context, ("Service", service))


def _example(pattern: str, version: str, account: str) -> str:
    """One ARN that a pattern means: the account where a wildcard stands for it, a letter for every other wildcard."""
    plain = "".join(
        part if isinstance(part, str) else part.character if isinstance(part, Escape) else "x"
        for part in parts(pattern, version)
    )
    segments = plain.split(":", 5)
    if len(segments) > 4 and "*" in segments[4]:
        segments[4] = account
    return ":".join(segments).replace("*", "x").replace("?", "x")
