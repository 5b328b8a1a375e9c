"""What answers lead to, by the facts alone: sentences, documents, findings, the digest of what is wanted.

The preview is the blueprint: the same pure functions as in the worker. Nothing here looks at AWS; what only AWS knows
is left to the worker, never guessed.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Any

from iamroles import canonical
from iamroles.blueprints import (
    Desired,
    GrantFacts,
    InfrastructureFacts,
    PassingFacts,
    RemovalFacts,
    RoleFacts,
    State,
    build_desired,
    grants,
    terraform,
)
from iamroles.blueprints.desired import managed_policy
from iamroles.blueprints.facts import Facts
from iamroles.iam import arns, catalogue, coverage
from iamroles.iam.documents import Document
from iamroles.models import ManagedRole
from iamroles.proposal import lay_over, removal, wording
from iamroles.rules import approval, checks, risk
from iamroles.rules.findings import Finding


@dataclass(frozen=True)
class PassedLine:
    """One role that is to be passed to ECS tasks, and what makes that possible."""

    arn: str
    name: str
    place: str
    covered: bool
    sentence: str


@dataclass(frozen=True)
class PolicyPart:
    """One policy that the role will hold. `is_new` marks the one that is created for this request."""

    label: str
    arn: str
    document: Document
    is_new: bool


@dataclass(frozen=True)
class Preview:
    """What the answers lead to, by the facts alone. `digest` is the SHA-256 of desired, as in the evidence."""

    title: str
    sentences: tuple[str, ...]
    lines: tuple[PassedLine, ...]
    trust: Document | None
    policies: tuple[PolicyPart, ...]
    boundary: str | None
    digest: str
    findings: tuple[Finding, ...]
    risk: str
    kind: str
    covered_already: tuple[str, ...] = ()
    terraform: str = ""

    @property
    def own_findings(self) -> tuple[Finding, ...]:
        """What counts for risk: no note, and not given by the account's standard anyway."""
        return tuple(f for f in self.findings if not f.standard and f.severity != "note")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What never counts but is good to know."""
        return tuple(f for f in self.findings if not f.standard and f.severity == "note")

    @property
    def standard_findings(self) -> tuple[Finding, ...]:
        """What comes with AWS's Limited policy; pages fold it."""
        return tuple(finding for finding in self.findings if finding.standard)

    @property
    def standard_name(self) -> str:
        """What those findings come with, in words."""
        return wording.standard_name(self.kind)

    @property
    def approvals(self) -> int:
        """How many people must agree by the starting rules, before a worker has looked at AWS."""
        wanted = approval.requirements_for(risk=self.risk, adopts=False, owner_group="")
        return sum(requirement.count for requirement in wanted)


def inventory_state(managed: ManagedRole | None) -> State | None:
    """Returns what a role of the inventory read like after its last apply."""
    if managed is None:
        return None
    stored: Any = canonical.loads(managed.desired)
    return State.from_mapping(stored)


def attached_documents(managed: ManagedRole | None, *, without: Container[str] = ()) -> tuple[Document, ...]:
    """Returns the documents that a role of the inventory held after its last apply, as far as they are known.

    `without` leaves own policies out, by ARN.
    """
    state = inventory_state(managed)
    if managed is None or state is None:
        return ()
    own = [policy.document for arn, policy in state.policies.items() if policy and arn not in without]
    attached = state.role.attached if state.role else frozenset()
    partition = arns.parse_arn(managed.arn).partition
    known = {
        policy.arn: policy.document
        for policy in (
            catalogue.managed_policy(name, partition)
            for name in (catalogue.CODEDEPLOY_ECS, catalogue.CODEDEPLOY_ECS_LIMITED)
        )
    }
    return (*own, *(known[arn] for arn in sorted(attached) if arn in known))


def preview_of(facts: Facts, *, managed: ManagedRole | None = None) -> Preview:
    """Returns the preview of facts without problems. `managed` is the inventory's role of that name, if any."""
    desired = build_desired(facts)
    if isinstance(facts, GrantFacts):
        return _grant_preview(facts, desired, managed)
    if isinstance(facts, RemovalFacts):
        return _removal_preview(facts, desired, managed)
    return _role_preview(facts, desired)


def _role_preview(facts: RoleFacts | InfrastructureFacts, desired: Desired) -> Preview:
    nothing = State(role_arn=desired.role_arn, role=None, policies=dict.fromkeys(desired.policies))
    target = lay_over.lay_over(nothing, desired)
    aws = managed_policy(facts)
    own = [PolicyPart(policy.name, policy.arn, policy.document, is_new=True) for policy in desired.policies.values()]
    parts = (PolicyPart(wording.policy_label(aws.arn), aws.arn, aws.document, is_new=False), *own)
    found = checks.check_proposal(
        account=facts.account,
        service=desired.service,
        live=None,
        target=desired.role,
        attached=[checks.Attached(part.arn, part.label, part.document) for part in parts],
        passed=(),
    )
    return Preview(
        title=wording.short_title(facts),
        sentences=wording.change_sentences(facts, nothing, target),
        lines=_lines(facts, [aws.document], facts.managed_policy.capitalize()) if isinstance(facts, RoleFacts) else (),
        trust=desired.role.trust if desired.role else None,
        policies=parts,
        boundary=facts.account.boundary,
        digest=desired.digest(),
        findings=found,
        risk=risk.risk_of(found, production=facts.account.production),
        kind=facts.kind,
        terraform=terraform.render(target.state),
    )


def _grant_preview(facts: GrantFacts, desired: Desired, managed: ManagedRole | None) -> Preview:
    attached = attached_documents(managed)
    lines = _lines(facts, attached, facts.role_name)
    listed = _listed([line.name for line in lines])
    own = tuple(PolicyPart(p.name, p.arn, p.document, is_new=True) for p in desired.policies.values())
    found = checks.check_proposal(
        account=facts.account,
        live=None,
        target=None,
        attached=[checks.Attached(part.arn, part.label, part.document) for part in own],
        passed=(),
    )
    return Preview(
        title=wording.short_title(facts),
        sentences=(
            f"CodeDeploy, as {facts.role_name}, can hand {listed} to ECS tasks.",
            f"To them alone: every statement demands iam:PassedToService = {grants.ECS_TASKS}.",
            f"Trust, tags and other policies of {facts.role_name} stay as they are.",
        ),
        lines=lines,
        trust=None,
        policies=own,
        boundary=None,
        digest=desired.digest(),
        findings=found,
        risk=risk.risk_of(found, production=facts.account.production),
        kind=facts.kind,
        covered_already=tuple(line.name for line in lines) if all(line.covered for line in lines) else (),
    )


def _removal_preview(facts: RemovalFacts, desired: Desired, managed: ManagedRole | None) -> Preview:
    """By the inventory alone: what others did to the role since, a worker sees."""
    known = inventory_state(managed)
    base = State(facts.role_arn, known.role if known else None, known.policies if known else {})
    going = {arn: policy for arn, policy in base.policies.items() if arn in desired.removes}
    base = replace(base, policies=going)
    target = lay_over.lay_over(base, desired)
    remaining = () if facts.whole else attached_documents(managed, without=desired.removes)
    found = removal.findings(facts, base, target, remaining)
    return Preview(
        title=wording.short_title(facts),
        sentences=removal.sentences(facts, base, target),
        lines=(),
        trust=base.role.trust if base.role and facts.whole else None,
        policies=tuple(PolicyPart(p.name, p.arn, p.document, is_new=False) for p in going.values() if p),
        boundary=None,
        digest=desired.digest(),
        findings=found,
        risk=risk.risk_of(found, production=facts.account.production),
        kind=facts.kind,
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lines(facts: PassingFacts, attached: Sequence[Document], label: str) -> tuple[PassedLine, ...]:
    places = [("Task execution role", arn) for arn in facts.execution_roles]
    places += [("Task role", arn) for arn in facts.task_roles if arn not in facts.execution_roles]
    lines = []
    for place, arn in places:
        answer = coverage.explain_passrole(arn, attached, label, grants.ECS_TASKS)
        name = arns.role_name_of(arn)
        lines.append(PassedLine(arn, name, place, answer.covered, _line_sentence(answer, name, label, attached)))
    return tuple(lines)


def _line_sentence(answer: coverage.Coverage, name: str, label: str, attached: Sequence[Document]) -> str:
    if answer.covered:
        return answer.message
    if not attached:
        return f"A grant for exactly {name} is added."
    why = {"case": ", capitals matter", "path": " because of its path", "case_and_path": ", capitals and path matter"}
    return f"{name} is not covered by {label}{why.get(answer.trap or '', '')}. A grant for exactly this role is added."


@dataclass(frozen=True)
class CheckedAnswer:
    """One row of check answers. `anchor` is the id of the field that its Change link leads to."""

    label: str
    values: tuple[str, ...]
    anchor: str
    mono: bool = False


def checked_answers(facts: Facts, team: str, reason: str) -> tuple[CheckedAnswer, ...]:
    """Returns every answer as it will be sent, defaults included, in the order of the form."""
    rows = [
        CheckedAnswer("Team", (team,), "id_account"),
        CheckedAnswer("AWS account", (f"{facts.account.name} ({facts.account.number})",), "id_account"),
        CheckedAnswer("Role name", (facts.role_name,), "id_role_name", mono=True),
    ]
    if isinstance(facts, InfrastructureFacts):
        return (*rows, CheckedAnswer("Reason and ticket", (reason,), "id_reason"), *_role_settings(facts))
    if isinstance(facts, RemovalFacts):
        goes = ("The whole role",) if facts.whole else ()
        what = CheckedAnswer("What goes", (*goes, *facts.policies), "id_policy_name", mono=not facts.whole)
        return (*rows, what, CheckedAnswer("Reason and ticket", (reason,), "id_reason"))
    rows += [
        CheckedAnswer("Task execution roles", facts.execution_roles, "id_execution_roles", mono=True),
        CheckedAnswer("Task roles", facts.task_roles, "id_task_roles", mono=True),
        CheckedAnswer("Reason and ticket", (reason,), "id_reason"),
        CheckedAnswer("PassRole policy name", (facts.policy_name,), "id_policy_name", mono=True),
    ]
    if isinstance(facts, GrantFacts):
        return (*rows, CheckedAnswer("Its description", (facts.policy_description,), "id_description"))
    trust = "This AWS account's deployments only" if facts.hardened else "The AWS guide's plain form"
    permissions = CheckedAnswer("Permissions", (facts.managed_policy.capitalize(),), "id_managed_policy_0")
    return (
        *rows[:3],
        permissions,
        *rows[3:],
        CheckedAnswer("Its description", (facts.policy_description,), "id_policy_description"),
        *_role_settings(facts),
        CheckedAnswer("Trust", (trust,), "id_plain_trust"),
    )


def _role_settings(facts: RoleFacts | InfrastructureFacts) -> tuple[CheckedAnswer, ...]:
    tags = tuple(f"{key}={value}" for key, value in sorted(facts.tags.items()))
    return (
        CheckedAnswer("Description of the role", (facts.description,) if facts.description else (), "id_description"),
        CheckedAnswer("Tags", tags, "id_tags", mono=True),
    )
