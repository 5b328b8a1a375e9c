"""Every finding of a proposal: what each document gives, and what only the portal can know about the live state.

Pure: base, target and context come in as values. `proposal` calls this once; risk and the review page follow from it.
Which module finds what: `passed`, `guardrail`, `change`, `sharing`, `quotas`; the documents are `iam.lint`'s matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from iamroles.blueprints import uses
from iamroles.blueprints.facts import AccountFacts
from iamroles.blueprints.grants import ECS_TASKS
from iamroles.blueprints.state import RoleState
from iamroles.iam import catalogue, lint, trust
from iamroles.iam.documents import Document
from iamroles.iam.lint import LintFacts
from iamroles.rules import change, guardrail, quotas, sharing
from iamroles.rules import passed as passed_roles
from iamroles.rules.findings import SEVERITIES, Finding
from iamroles.rules.observed import Around, Attached, Passed
from iamroles.rules.standard import standard_documents

__all__ = ["Around", "Attached", "Passed", "check_proposal"]
_HOLDS = "What the role holds"
ANY_TO_TASKS: Final[Mapping[str, str]] = {"*": ECS_TASKS}


def check_proposal(
    *,
    account: AccountFacts,
    service: str = trust.CODEDEPLOY,
    live: RoleState | None,
    target: RoleState | None,
    attached: Sequence[Attached],
    passed: Sequence[Passed],
    expected: Mapping[str, str] = ANY_TO_TASKS,
    clashes: Sequence[str] = (),
    replaced: Sequence[str] = (),
    around: Around | None = None,
) -> tuple[Finding, ...]:
    """Returns the findings, worst first and in a fixed order. `expected` maps the ARNs that the documents may pass, or
    `*`, to the service that gets them; without `around` nobody has looked at AWS yet.
    """
    around = around or Around(looked=False)
    standard = standard_documents(account, service, around.rules)
    found = [Finding("PL01", "forbidden", clash, "Change the request.", "in-aws", True) for clash in clashes]
    if target is not None:
        found += _trust_findings(target.trust, account, service, standard, around)
        if "trust" in replaced and live is not None:
            found += change.check(account, live, target, attached, around)
    found += guardrail.check(account, target, attached, around)
    found += quotas.attached(account, live, target, around.room, around.quotas)
    found += quotas.check(account, around.room, around.quotas)
    found += _documents(attached, passed, account, standard, around, expected)
    found += _scoped_findings(attached)
    found += passed_roles.check(passed, account, around)
    found += passed_roles.unasked(passed, attached, standard, around)
    found += _sharing(target, attached, passed, account, standard, around, frozenset(one.message for one in found))
    return tuple(sorted(set(found), key=lambda f: (SEVERITIES.index(f.severity), f.standard, f.place, f.id, f.message)))


def _documents(
    attached: Sequence[Attached],
    passed: Sequence[Passed],
    account: AccountFacts,
    standard: tuple[Document, ...],
    around: Around,
    expected: Mapping[str, str],
) -> Iterator[Finding]:
    """What two policies give together is found from the side of those that AWS does not manage, or of the last."""
    own = [policy for policy in attached if ":iam::aws:policy/" not in policy.arn] or list(attached[-1:])
    for policy in attached:
        rest = tuple(other.document for other in attached if other is not policy) if policy in own else ()
        named = [role for role in passed if policy is own[0] and role.service == ECS_TASKS]
        yield from _linted(
            policy.document,
            account.number,
            standard,
            policy.place,
            rest=rest,
            needs=around.needs,
            execution_roles=tuple(role.arn for role in named if not role.task),
            task_roles=tuple(role.arn for role in named if role.task),
            grants=tuple(sorted(expected.items())),
        )


def _sharing(
    target: RoleState | None,
    attached: Sequence[Attached],
    passed: Sequence[Passed],
    account: AccountFacts,
    standard: tuple[Document, ...],
    around: Around,
    known: frozenset[str],
) -> Iterator[Finding]:
    held = tuple(policy.document for policy in attached)
    if target is not None:
        holders = around.deployers.get(target.arn, {})
        yield from sharing.shared(target.arn, tuple(holders), "findings")
        for team, documents in sorted(holders.items()):
            gained = sharing.borrowed(target.arn, held, documents, account.number, standard, known)
            yield from sharing.borrows(target.arn, gained, team, "findings")
    for role in passed:
        if role.rights is None or not sharing.deploys_with(held, role.arn, account.number):
            continue
        place = passed_roles.place_of(role.arn)
        yield from sharing.shared(role.arn, (*around.deployers.get(role.arn, {}), around.team), place)
        gained = sharing.borrowed(role.arn, role.rights.policies, held, account.number, standard, known)
        yield from sharing.borrows(role.arn, gained, "Whoever holds this policy", place)


@lru_cache(maxsize=256)
def _lint(
    document: Document,
    given: str,
    number: str,
    standard: tuple[Document, ...],
    rest: tuple[Document, ...],
    needs: tuple[Document, ...],
    execution_roles: tuple[str, ...],
    task_roles: tuple[str, ...],
    principals: tuple[str, ...],
    grants: tuple[tuple[str, str], ...],
) -> tuple[lint.Finding, ...]:
    """Looks at a document once: the same few documents come with nearly every request.

    Documents are equal by meaning; `given` keeps those apart whose statements stand in another order.
    """
    facts = LintFacts(
        standard=standard,
        rest=rest,
        needs=needs,
        policy_label=_HOLDS,
        execution_roles=execution_roles,
        task_roles=task_roles,
        expected_trust=principals,
        expected_grants=dict(grants),
    )
    return lint.lint(document, document.kind, number, facts)


def _linted(
    document: Document,
    number: str,
    standard: tuple[Document, ...],
    place: str,
    *,
    rest: tuple[Document, ...] = (),
    needs: tuple[Document, ...] = (),
    execution_roles: tuple[str, ...] = (),
    task_roles: tuple[str, ...] = (),
    principals: tuple[str, ...] = (),
    grants: tuple[tuple[str, str], ...] = (),
) -> list[Finding]:
    """Returns what `iam.lint` finds in a document, with the statement in the place."""
    found = _lint(
        document,
        document.given,
        number,
        standard,
        rest,
        needs,
        execution_roles,
        task_roles,
        principals,
        grants,
    )
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
        for f in found
    ]


def _trust_findings(
    document: Document, account: AccountFacts, service: str, standard: tuple[Document, ...], around: Around
) -> list[Finding]:
    found = _linted(document, account.number, standard, "trust", needs=around.needs, principals=(service,))
    if quotas.TRUST in around.quotas.figures:  # then the size is held against the AWS account's own quota
        found = [finding for finding in found if finding.id != "DU08"]
    if not trust.lets_in(document, service, account.number):
        message = f"{catalogue.service_words(service)} could not use this role: the trust policy does not let it in."
        found.append(Finding("TR10", "high", message, "Use the trust policy that a new role gets.", "trust", True))
    return found


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
