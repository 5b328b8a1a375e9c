"""RS06 and PE07: who deploys through a role, and what they borrow by it.

Whoever may pass a role to CodeDeploy and make a deployment group uses the role's rights beside their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from iamroles.blueprints.grants import ECS_TASKS
from iamroles.iam import coverage, lint, trust
from iamroles.iam.arns import role_name_of
from iamroles.iam.documents import Document
from iamroles.iam.lint import LintFacts
from iamroles.iam.phrases import listed
from iamroles.rules.findings import SEVERITIES, Finding

_SHOWN = 3
_FIX = "Use one role for each team, with Limited or Scoped."
Holders = Mapping[str, tuple[Document, ...]]


def deploys_with(documents: Sequence[Document], role_arn: str, account: str) -> bool:
    """Returns True when the documents let their holder hand the role to CodeDeploy and make a deployment group."""
    makes_groups = lint.reaches(documents, "codedeploy:CreateDeploymentGroup", account)
    return makes_groups and coverage.covers_passrole(documents, role_arn, trust.CODEDEPLOY)


def shared(role_arn: str, teams: Sequence[str], place: str) -> Iterator[Finding]:
    """Yields RS06 when more than one team deploys, or would deploy, through the role."""
    found = sorted(set(teams))
    if len(found) > 1:
        name = role_name_of(role_arn)
        message = f"{len(found)} teams would share {name}: {listed(found)} may deploy with it, with all of its rights."
        yield Finding("RS06", "medium", message, "Use one role for each team.", place)


def borrowed(
    role_arn: str,
    rights: Sequence[Document],
    held: Sequence[Document],
    account: str,
    standard: tuple[Document, ...],
    known: frozenset[str],
) -> list[lint.Finding]:
    """Returns what the holders of `held` gain by a role with these rights and could not do before: the findings above
    note of the rights, and those of both together, without what the standard gives and what was said already.
    """
    facts = LintFacts(standard=standard, expected_grants={role_arn: ECS_TASKS})
    found = [one for document in rights for one in lint.lint(document, "identity", account, facts)]
    found += lint.together((*held, *rights), account, facts)
    known = known | {one.message for one in lint.together(held, account, facts)}
    return [
        one
        for one in dict.fromkeys(found)
        if one.id[:2] in ("PE", "PR", "RS") and one.severity != "note" and not one.standard and one.message not in known
    ]


def borrows(role_arn: str, gained: Sequence[lint.Finding], who: str, place: str) -> Iterator[Finding]:
    """Yields PE07, as severe as the worst of what is gained."""
    if not gained:
        return
    ordered = sorted(gained, key=lambda one: SEVERITIES.index(one.severity))
    messages = list(dict.fromkeys(one.message for one in ordered))
    more = f" And {len(messages) - _SHOWN} more." if len(messages) > _SHOWN else ""
    message = f"{who} borrows the rights of {role_name_of(role_arn)} by deploying. {' '.join(messages[:_SHOWN])}{more}"
    yield Finding("PE07", ordered[0].severity, message, _FIX, place)
