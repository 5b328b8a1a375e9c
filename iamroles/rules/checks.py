"""Every finding of a proposal: what each document gives, and what only the portal can know about the live state.

Pure: base, target and context come in as values. `proposal` calls this once; risk and the review page follow from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from iamroles.blueprints import uses
from iamroles.blueprints.facts import AccountFacts
from iamroles.blueprints.grants import ECS_TASKS
from iamroles.blueprints.state import RoleState
from iamroles.iam import arns, catalogue, lint, trust
from iamroles.iam.documents import Document
from iamroles.iam.lint import LintFacts
from iamroles.rules.findings import SEVERITIES, Finding


@dataclass(frozen=True)
class Attached:
    """One policy that the role will hold. `place` is its section and name on the review page."""

    arn: str
    place: str
    document: Document


@dataclass(frozen=True)
class Passed:
    """One role that is to be passed: its trust as observed, or None when AWS has no such role."""

    arn: str
    trust: Document | None
    granted: bool


def standard_documents(account: AccountFacts, service: str = trust.CODEDEPLOY) -> tuple[Document, ...]:
    """Returns what a person accepted as normal in an AWS account for a role of this service: at first Limited with
    the hardened trust, and the infrastructure role as AWS documents it.
    """
    if service == trust.ECS:
        policy = catalogue.managed_policy(catalogue.ECS_INFRASTRUCTURE_LB, account.partition)
        return policy.document, trust.infrastructure_trust()
    limited = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED, account.partition)
    return limited.document, trust.codedeploy_trust(account.number)


def check_proposal(
    *,
    account: AccountFacts,
    service: str = trust.CODEDEPLOY,
    live: RoleState | None,
    target: RoleState | None,
    attached: Sequence[Attached],
    passed: Sequence[Passed],
    clashes: Sequence[str] = (),
    replaced: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Returns the findings, worst first and in a fixed order."""
    found = [Finding("PL01", "forbidden", clash, "Change the request.", "in-aws", True) for clash in clashes]
    standard = standard_documents(account, service)
    if target is not None:
        found += _trust_findings(target.trust, account, service, standard)
        if "trust" in replaced and live is not None:
            found += _replaced_trust(live, target)
        if account.boundary and target.boundary != account.boundary:
            message = f"{account.name} demands the permissions boundary {account.boundary}."
            found.append(Finding("GR03", "forbidden", message, "Attach it.", "settings"))
    for policy in attached:
        # What two policies give together is found from the side of the one that AWS does not manage.
        by_aws = ":iam::aws:policy/" in policy.arn
        rest = () if by_aws else tuple(other.document for other in attached if other is not policy)
        found += _linted(policy.document, account.number, standard, policy.place, rest=rest)
    found += _scoped_findings(attached)
    found += _passed_findings(passed, account)
    return tuple(sorted(set(found), key=lambda f: (SEVERITIES.index(f.severity), f.standard, f.place, f.id, f.message)))


def _principals(document: Document) -> frozenset[str]:
    """Returns the principals of every Allow, as people write them."""
    return frozenset(
        name for statement in document.statements if statement.effect == "Allow" for _, name in statement.principals
    )


@lru_cache(maxsize=256)
def _lint(
    document: Document,
    given: str,
    number: str,
    standard: tuple[Document, ...],
    rest: tuple[Document, ...],
    principals: tuple[str, ...],
) -> tuple[lint.Finding, ...]:
    """Looks at a document once: the same few documents come with nearly every request.

    Documents are equal by meaning; `given` keeps those apart whose statements stand in another order.
    """
    facts = LintFacts(
        standard=standard,
        rest=rest,
        expected_trust=principals,
        expected_grants={} if document.kind == "trust" else {"*": ECS_TASKS},
    )
    return lint.lint(document, document.kind, number, facts)


def _linted(
    document: Document,
    number: str,
    standard: tuple[Document, ...],
    place: str,
    *,
    rest: tuple[Document, ...] = (),
    principals: tuple[str, ...] = (),
) -> list[Finding]:
    """Returns what `iam.lint` finds in a document, with the statement in the place."""
    return [
        Finding(
            f.id,
            f.severity,
            f.message,
            f.fix,
            place if f.statement is None else f"{place}#stmt-{f.statement + 1}",
            f.will_not_work,
            f.standard,
        )
        for f in _lint(document, document.given, number, standard, rest, principals)
    ]


def _trust_findings(
    document: Document, account: AccountFacts, service: str, standard: tuple[Document, ...]
) -> list[Finding]:
    found = _linted(document, account.number, standard, "trust", principals=(service,))
    if not trust.lets_in(document, service, account.number):
        message = f"{catalogue.service_words(service)} could not use this role: the trust policy does not let it in."
        found.append(Finding("TR10", "high", message, "Use the trust policy that a new role gets.", "trust", True))
    return found


def _replaced_trust(live: RoleState, target: RoleState) -> list[Finding]:
    lost = sorted(_principals(live.trust) - _principals(target.trust))
    if not lost:
        return []
    message = f"This stops {', '.join(lost)} from using this role."
    return [Finding("TR09", "high", message, "Keep them, or use a new role.", "trust")]


def _scoped_findings(attached: Sequence[Attached]) -> list[Finding]:
    """SC01: what nobody has tried on AWS yet. SC02: a wider policy beside it makes Scoped narrow nothing."""
    scoped = [policy for policy in attached if uses.is_scoped(policy.document)]
    wide = (catalogue.CODEDEPLOY_ECS, catalogue.CODEDEPLOY_ECS_LIMITED)
    beside = sorted({policy.arn.rsplit("/", 1)[-1] for policy in attached} & set(wide))
    found = []
    for policy in scoped:
        message = (
            "Scoped is not yet proved on AWS: CreateTaskSet is allowed on every resource, under ecs:cluster and "
            "ecs:service. A deployment may show that AWS wants more."
        )
        found.append(Finding("SC01", "note", message, "Try one deployment before you rely on it.", policy.place))
        if beside:
            message = f"{' and '.join(beside)} stays attached: beside it, Scoped narrows nothing."
            found.append(Finding("SC02", "note", message, "Take it off the role once a deployment worked.", "in-aws"))
    return found


def _passed_findings(passed: Iterable[Passed], account: AccountFacts) -> list[Finding]:
    found = []
    for role in passed:
        name = arns.role_name_of(role.arn)
        if role.trust is None:
            found.append(
                Finding(
                    "PR15",
                    "forbidden" if role.granted else "medium",
                    f"{name} does not exist in {account.name}: a grant for it would wait for whoever makes it first."
                    if role.granted
                    else f"{name} does not exist in {account.name}: deployments with it will fail.",
                    "Create the role first, then ask again.",
                    "grants",
                    True,
                )
            )
        elif not trust.passes_to(role.trust, ECS_TASKS):
            message = f"{name} does not trust ECS tasks ({ECS_TASKS}): deployments with it will fail."
            found.append(Finding("PR08", "high", message, f"Let {ECS_TASKS} assume it.", "grants", True))
    return found
