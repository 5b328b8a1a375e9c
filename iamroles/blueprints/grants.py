"""PassRole grants: one managed policy that names exact role ARNs and the one service that may get them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from iamroles.blueprints.facts import PassingFacts, passed_roles
from iamroles.blueprints.state import PolicyState
from iamroles.iam import arns, coverage, documents
from iamroles.iam.documents import Document

ECS_TASKS = "ecs-tasks.amazonaws.com"


def grant_document(role_arns: Iterable[str], service: str = ECS_TASKS) -> Document:
    """Returns the guide's PassRole policy with the condition that it lacks (AWS.md 2.4): exact ARNs, one service."""
    return documents.parse(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "iam:PassRole",
                    "Resource": sorted(set(role_arns)),
                    "Condition": {"StringEquals": {"iam:PassedToService": service}},
                }
            ],
        }
    )


def granted_roles(document: Document) -> tuple[str, ...] | None:
    """Returns the ARNs if the document is, by meaning, one of our grants to ECS tasks; else None."""
    statements = document.as_mapping().get("Statement", [])
    if isinstance(statements, dict):
        statements = [statements]
    if len(statements) != 1:
        return None
    resources = statements[0].get("Resource", [])
    listed = [resources] if isinstance(resources, str) else list(resources)
    if not listed or not all(map(_is_one_role, listed)) or not documents.equal(document, grant_document(listed)):
        return None
    return tuple(sorted(listed))


def _is_one_role(text: str) -> bool:
    """A pattern or a variable stands for roles that nobody named."""
    try:
        arns.split_role(text)
    except arns.ArnError:
        return False
    return not set(text) & set("*?$")


def not_covered(facts: PassingFacts, attached: Sequence[Document]) -> tuple[str, ...]:
    """Returns the ARNs of the passed roles that the attached documents do not already allow passing to ECS tasks."""
    return tuple(arn for arn in passed_roles(facts) if not coverage.covers_passrole(attached, arn, ECS_TASKS))


def grant_policy(facts: PassingFacts, role_arns: Iterable[str]) -> PolicyState:
    """Returns the wanted managed policy for these roles, at the account's policy path."""
    account = facts.account
    return PolicyState(
        arn=arns.policy_arn(account.partition, account.number, facts.policy_name, account.policy_path),
        name=facts.policy_name,
        path=account.policy_path,
        document=grant_document(role_arns),
        description=facts.policy_description,
    )
