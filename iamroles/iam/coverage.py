"""Whether attached policies already allow passing a role, and if not, which trap the person fell into.

Coverage decides which grants a request adds (POLICY.md part 6). The traps: Limited's patterns respect capitals, and
they name roles without a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from iamroles.iam import catalogue, documents
from iamroles.iam.arns import parse_arn, split_role
from iamroles.iam.arns import role_arn as make_role_arn
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import Request, evaluate
from iamroles.iam.statements import ascii_lower
from iamroles.iam.trust import ECS_TASKS

Trap = Literal["case", "path", "case_and_path"]


@dataclass(frozen=True)
class Coverage:
    """`covered`, else the trap (None when the role is simply not named), and the sentence for the person."""

    covered: bool
    trap: Trap | None
    message: str


def covers_passrole(attached: Sequence[Document], role_arn: str, service: str = ECS_TASKS) -> bool:
    """Returns True when the documents together allow passing exactly this role to the service.

    It is asked without further context, so that a grant under some other condition does not count.
    """
    return evaluate(attached, None, Request("iam:PassRole", role_arn, {"iam:PassedToService": service})).allowed


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
