"""Every finding of a proposal: what each document gives, and what only the portal can know about the live state.

Pure: base, target and context come in as values. `proposal` calls this once; risk and the review page follow from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from iamroles.blueprints.facts import AccountFacts
from iamroles.blueprints.grants import ECS_TASKS
from iamroles.blueprints.state import RoleState
from iamroles.iam import arns, catalogue, trust
from iamroles.iam.documents import Document
from iamroles.rules.findings import SEVERITIES, Finding
from iamroles.rules.probes import document_findings

CODEDEPLOY = "codedeploy.amazonaws.com"


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


def standard_ids(partition: str = "aws") -> frozenset[str]:
    """Returns the ids of what an AWS account's standard gives anyway: at first the Limited policy."""
    limited = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED, partition)
    return frozenset(f.id for f in document_findings(limited.document, place="", standard=frozenset()))


def check_proposal(
    *,
    account: AccountFacts,
    live: RoleState | None,
    target: RoleState | None,
    attached: Sequence[Attached],
    passed: Sequence[Passed],
    clashes: Sequence[str] = (),
    replaced: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Returns the findings, worst first and in a fixed order."""
    found = [Finding("PL01", "forbidden", clash, "Change the request.", "in-aws", True) for clash in clashes]
    if target is not None:
        found += _trust_findings(target.trust, account)
        if "trust" in replaced and live is not None:
            found += _replaced_trust(live, target)
        if account.boundary and target.boundary != account.boundary:
            message = f"{account.name} demands the permissions boundary {account.boundary}."
            found.append(Finding("GR03", "forbidden", message, "Attach it.", "settings"))
    standard = standard_ids(account.partition)
    for policy in attached:
        found += document_findings(policy.document, place=policy.place, standard=standard)
    found += _passed_findings(passed, account)
    return tuple(sorted(set(found), key=lambda f: (SEVERITIES.index(f.severity), f.standard, f.place, f.id, f.message)))


def _principals(document: Document) -> frozenset[str]:
    """Returns the principals of every Allow, as people write them."""
    return frozenset(
        name for statement in document.statements if statement.effect == "Allow" for _, name in statement.principals
    )


def _trust_findings(document: Document, account: AccountFacts) -> list[Finding]:
    found = []
    if trust.lets_in(document, CODEDEPLOY, "999999999999"):
        found.append(
            Finding(
                "TR03",
                "medium",
                "The trust policy does not say whose deployments may use this role (aws:SourceAccount is missing).",
                "Use the hardened trust policy.",
                "trust",
            )
        )
    extra = sorted(_principals(document) - {CODEDEPLOY})
    if extra:
        message = f"Besides CodeDeploy, {', '.join(extra)} may use this role."
        found.append(Finding("TR02", "high", message, "Remove them.", "trust"))
    if not trust.lets_in(document, CODEDEPLOY, account.number):
        message = "CodeDeploy could not use this role: the trust policy does not let it in."
        found.append(Finding("TR07", "high", message, "Use the hardened trust policy.", "trust", True))
    return found


def _replaced_trust(live: RoleState, target: RoleState) -> list[Finding]:
    lost = sorted(_principals(live.trust) - _principals(target.trust))
    if not lost:
        return []
    message = f"This stops {', '.join(lost)} from using this role."
    return [Finding("TR09", "high", message, "Keep them, or use a new role.", "trust")]


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
