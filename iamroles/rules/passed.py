"""PR07, PR08, PR09, PR15 and LM05: findings about the roles that are, or could be, passed, as they were observed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from iamroles.blueprints.facts import AccountFacts
from iamroles.iam import catalogue, limits, trust
from iamroles.iam.arns import role_name_of, split_role
from iamroles.iam.documents import Document
from iamroles.iam.evaluate import Request, evaluate
from iamroles.iam.phrases import listed
from iamroles.rules import privileges
from iamroles.rules.findings import Finding, Severity
from iamroles.rules.observed import Around, Attached, Passed

_SHOWN = 5


def place_of(arn: str) -> str:
    """Returns the place of a passed role on the review page."""
    return f"passed:{role_name_of(arn)}"


def check(passed: Iterable[Passed], account: AccountFacts, around: Around) -> Iterator[Finding]:
    """Yields the findings of the roles that the facts name."""
    for role in passed:
        if role.trust is None:
            yield _absent(role, account)
            continue
        yield from _trusting(role.arn, role.trust, account, role.service)
        privilege = _listed(role.arn)
        if privilege is None and role.rights is not None:
            privilege = privileges.privilege_of(role.rights, account, around.rules)
        if privilege is not None:
            message = f"{role_name_of(role.arn)} {privilege}."
            yield Finding("PR07", "high", message, "Pass a role with the rights that are needed.", place_of(role.arn))


def _listed(arn: str) -> str | None:
    """Roles that nobody changes here are not handed to anybody either."""
    path, name = split_role(arn)
    return "is a protected role of the AWS account" if limits.check_protected(name, path) else None


def _absent(role: Passed, account: AccountFacts) -> Finding:
    start = f"{role_name_of(role.arn)} does not exist in {account.name}"
    if role.granted:
        message = f"{start}: a grant for it would wait for whoever makes it first."
    else:
        message = f"{start}: deployments with it will fail."
    severity: Severity = "forbidden" if role.granted else "medium"
    fix = "Create the role first, then ask again."
    return Finding("PR15", severity, message, fix, place_of(role.arn), will_not_work=True)


def _trusting(arn: str, document: Document, account: AccountFacts, service: str) -> Iterator[Finding]:
    name, words = role_name_of(arn), catalogue.service_words(service)
    if not trust.lets_in(document, service, account.number):
        message = f"{name} does not trust {words} ({service}): deployments with it will fail."
        yield Finding("PR08", "high", message, f"Let {service} assume it.", place_of(arn), will_not_work=True)
        return
    others = trust.others_than(document, service)
    if others:
        message = f"{name} may also be used by {listed(others)}, not only by {words}."
        yield Finding("PR09", "medium", message, f"Use a role for {words} alone.", place_of(arn))


def unasked(
    passed: Sequence[Passed], attached: Sequence[Attached], standard: Sequence[Document], around: Around
) -> Iterator[Finding]:
    """Yields LM05: roles that nobody asked for and that a pattern of an attached policy passes to ECS tasks anyway.

    Of a policy that passes every role PR02 speaks.
    """
    rights = [document for document in standard if document.kind == "identity"]
    for policy in attached:
        named = {role.arn for role in passed} | {r for s in policy.document.statements for r in s.resources}
        found = [arn for arn in around.fitting if arn not in named and _passes(policy.document, arn)]
        if not found or _passes(policy.document, _nobody(found[0])):
            continue
        for folded in (False, True):
            hit = [arn for arn in found if any(_passes(one, arn) for one in rights) == folded]
            if hit:
                names = [arn.split(":role/", 1)[-1] for arn in hit]
                shown = listed(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
                message = f"CodeDeploy could also hand {shown} to ECS tasks: the name fits, though nobody asked for it."
                fix = "Rename what should not be passed, or name exact ARNs."
                yield Finding("LM05", "medium", message, fix, policy.place, standard=folded)


def _passes(document: Document, arn: str) -> bool:
    """Asked of every role of the AWS account: one call, no proof."""
    call = Request("iam:PassRole", arn, {"iam:PassedToService": trust.ECS_TASKS})
    return evaluate([document], None, call).allowed


def _nobody(arn: str) -> str:
    return f"{arn.split(':role/', 1)[0]}:role/nobody-has-this-name"
