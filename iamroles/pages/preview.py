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
    DeployerFacts,
    Desired,
    GrantFacts,
    InfrastructureFacts,
    RemovalFacts,
    RoleFacts,
    State,
    build_desired,
    grants,
    terraform,
    uses,
)
from iamroles.blueprints.desired import managed_policy
from iamroles.blueprints.facts import Facts, passed_services
from iamroles.iam import arns, catalogue
from iamroles.iam.documents import Document
from iamroles.models import AwsAccount, ManagedPolicy, ManagedRole, Proposal
from iamroles.pages.coverage import Line, handed_lines, role_lines, use_lines
from iamroles.proposal import lay_over, removal, wording
from iamroles.rules import checks, risk
from iamroles.rules.account_rules import AccountRules
from iamroles.rules.findings import Finding

Managed = ManagedRole | ManagedPolicy
_LOOKS = 20  # how many of the newest looks at an AWS account the preview asks about passed roles


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
    lines: tuple[Line, ...]
    trust: Document | None
    policies: tuple[PolicyPart, ...]
    boundary: str | None
    digest: str
    findings: tuple[Finding, ...]
    risk: str
    kind: str
    own_standard: bool = False
    covered_already: tuple[str, ...] = ()
    terraform: str = ""
    uses: tuple[Line, ...] = ()

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
        return wording.standard_name(self.kind, own=self.own_standard)

    @property
    def scoped(self) -> bool:
        """True for a policy of ours in place of a managed policy, which nobody has tried on AWS yet."""
        return any(part.is_new and uses.is_scoped(part.document) for part in self.policies)


def inventory_state(managed: Managed | None) -> State | None:
    """Returns what a row of the inventory read like after its last apply."""
    if managed is None:
        return None
    stored: Any = canonical.loads(managed.desired)
    return State.from_mapping(stored)


def attached_documents(managed: Managed | None, *, without: Container[str] = ()) -> tuple[Document, ...]:
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


def preview_of(facts: Facts, *, managed: Managed | None = None, account: AwsAccount | None = None) -> Preview:
    """Returns the preview of facts without problems. `managed` is what the inventory holds under that name, if any;
    `account` the record with its standard and guardrails.
    """
    desired = build_desired(facts)
    if isinstance(facts, RemovalFacts):
        return _removal_preview(facts, desired, managed)
    rules = account.rules() if account else AccountRules()
    if isinstance(facts, GrantFacts):
        made = _grant_preview(facts, desired, managed, rules)
    elif isinstance(facts, DeployerFacts):
        made = _deployer_preview(facts, desired, rules)
    else:
        made = _role_preview(facts, desired, rules)
    return replace(made, lines=_with_reach(made.lines, account)) if account and made.lines else made


def _with_reach(lines: Sequence[Line], account: AwsAccount) -> tuple[Line, ...]:
    """By the newest looks at the AWS account; what none of them saw is left to the worker."""
    said: dict[str, tuple[str, ...]] = {}
    wanted = {line.arn for line in lines}
    rows = Proposal.objects.filter(revision__request__account=account).order_by("-pk")[:_LOOKS]
    for text in rows.values_list("canonical", flat=True):
        if wanted <= said.keys():
            break
        body: Any = canonical.loads(text)
        for role in body.get("reach", ()):
            said.setdefault(role["arn"], tuple(role["says"]))
    return tuple(replace(line, says=said.get(line.arn, ())) for line in lines)


def _role_preview(facts: RoleFacts | InfrastructureFacts, desired: Desired, rules: AccountRules) -> Preview:
    nothing = State(role_arn=desired.role_arn, role=None, policies=dict.fromkeys(desired.policies))
    target = lay_over.lay_over(nothing, desired)
    aws = managed_policy(facts)
    own = [PolicyPart(policy.name, policy.arn, policy.document, is_new=True) for policy in desired.policies.values()]
    given = [PolicyPart(wording.policy_label(aws.arn), aws.arn, aws.document, is_new=False)] if aws else []
    parts = (*given, *own)
    found = checks.check_proposal(
        account=facts.account,
        service=desired.service,
        live=None,
        target=desired.role,
        attached=[checks.Attached(part.arn, part.label, part.document) for part in parts],
        passed=(),
        around=checks.Around(looked=False, rules=rules),
    )
    return Preview(
        title=wording.short_title(facts),
        sentences=wording.change_sentences(facts, nothing, target),
        lines=_role_lines(facts, parts),
        uses=use_lines(facts, aws.document if aws else None) if isinstance(facts, RoleFacts) else (),
        trust=desired.role.trust if desired.role else None,
        policies=parts,
        boundary=facts.account.boundary,
        digest=desired.digest(),
        findings=found,
        risk=risk.risk_of(found, production=facts.account.production),
        kind=facts.kind,
        own_standard=bool(rules.standard),
        terraform=terraform.render(target.state),
    )


def _role_lines(facts: RoleFacts | InfrastructureFacts, parts: Sequence[PolicyPart]) -> tuple[Line, ...]:
    """By what comes before the grants: the managed policy, or Scoped."""
    if not isinstance(facts, RoleFacts):
        return ()
    given = [part.document for part in parts if grants.granted_roles(part.document) is None]
    return role_lines(facts, given, facts.managed_policy.capitalize())


def _grant_preview(facts: GrantFacts, desired: Desired, managed: Managed | None, rules: AccountRules) -> Preview:
    attached = attached_documents(managed)
    lines = role_lines(facts, attached, facts.role_name)
    listed = _listed([line.name for line in lines])
    own = tuple(PolicyPart(p.name, p.arn, p.document, is_new=True) for p in desired.policies.values())
    found = checks.check_proposal(
        account=facts.account,
        live=None,
        target=None,
        attached=[checks.Attached(part.arn, part.label, part.document) for part in own],
        passed=(),
        around=checks.Around(looked=False, rules=rules),
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
        own_standard=bool(rules.standard),
        covered_already=tuple(line.name for line in lines) if all(line.covered for line in lines) else (),
    )


def _deployer_preview(facts: DeployerFacts, desired: Desired, rules: AccountRules) -> Preview:
    nothing = State(role_arn=None, role=None, policies=dict.fromkeys(desired.policies))
    target = lay_over.lay_over(nothing, desired)
    parts = tuple(PolicyPart(p.name, p.arn, p.document, is_new=True) for p in desired.policies.values())
    passed = passed_services(facts)
    found = checks.check_proposal(
        account=facts.account,
        live=None,
        target=None,
        attached=[checks.Attached(part.arn, part.label, part.document) for part in parts],
        passed=(),
        expected=passed,
        around=checks.Around(looked=False, rules=rules),
    )
    return Preview(
        title=wording.short_title(facts),
        sentences=wording.change_sentences(facts, nothing, target),
        lines=handed_lines(passed),
        trust=None,
        policies=parts,
        boundary=None,
        digest=desired.digest(),
        findings=found,
        risk=risk.risk_of(found, production=facts.account.production),
        kind=facts.kind,
        terraform=terraform.render(target.state),
    )


def _removal_preview(facts: RemovalFacts, desired: Desired, managed: Managed | None) -> Preview:
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
