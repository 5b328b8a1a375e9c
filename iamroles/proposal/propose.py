"""Makes the proposal: everything that an approver approves, as one canonical text with its SHA-256.

Pure: the same base, facts, context and rules give the same bytes, in the observing worker and at the claim.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from iamroles import canonical
from iamroles.blueprints.desired import Desired, build_desired
from iamroles.blueprints.facts import DeployerFacts, Facts, RemovalFacts, passed_roles
from iamroles.blueprints.state import State
from iamroles.proposal import boundary, older_sessions, removal, weigh, wording
from iamroles.proposal.calls import Call
from iamroles.proposal.certainty import certainty
from iamroles.proposal.context import Context
from iamroles.proposal.context import read as read_context
from iamroles.proposal.envelope import Envelope
from iamroles.proposal.lay_over import Kept, Target, lay_over
from iamroles.proposal.plan import calls_between
from iamroles.rules import approval, approval_rules, risk, standard
from iamroles.rules.findings import Finding
from iamroles.rules.tool_tags import owner_of

__all__ = ["Envelope", "Proposal", "Stored", "digest_of", "propose", "read", "resources"]
SCHEMA = "roledesk-proposal/1"
_EMPTIED = (
    "Takes every permission off the role while its boundary and its trust change, and puts them back afterwards. "
    "Deployments that run meanwhile may fail, and a run that stops there leaves the role without them."
)


@dataclass(frozen=True)
class Proposal:
    """`canonical` is the exact text that is stored and hashed; `already_right`: no call is needed, nothing to adopt.

    `unattended` is the version and the reason of the rule that lets it go without a person, or None; `attended` then
    says why a person must decide, as a code of `approval_rules.why_attended`.
    """

    canonical: str
    digest: str
    desired: Desired
    base: State
    target: Target
    plan: tuple[Call, ...]
    findings: tuple[Finding, ...]
    risk: str
    adopts: bool
    already_right: bool
    title: str
    sentences: tuple[str, ...]
    requirements: tuple[approval.Requirement, ...]
    rules_digest: str
    removes_only: bool
    unattended: Mapping[str, Any] | None
    attended: str


def digest_of(text: str) -> str:
    """Returns the SHA-256 (hex) of a stored proposal's bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def propose(*, facts: Facts, base: State, context: Context, envelope: Envelope) -> Proposal:
    """Returns the proposal for these facts over this base. Raises `DocumentError` for facts that were not checked."""
    desired = build_desired(facts)
    target = lay_over(base, desired)
    if not envelope.managed_here:
        target = replace(target, clashes=_not_ours(facts, base) or target.clashes)
    leaving = older_sessions.leaving(base.role, target.state.role, envelope.known.left)
    widens = boundary.widens(base, target.state, {arn: one.document for arn, one in context.managed.items()})
    plan, cuts = _plan(base, target, leaving, widens=widens)
    adopts = base.role is not None and not envelope.managed_here and not desired.removal
    found = weigh.findings(facts, desired, base, target, context, envelope, plan, cuts=cuts)
    rated = risk.risk_of(found, production=facts.account.production)
    only_removes = removal.adds_nothing(plan, base, context)
    owner = owner_of(base.role.tags, envelope.tool_tags) if base.role else None
    words = (*wording.owner_sentences(owner), *_sentences(facts, base, target))
    sentences = (*words, *_emptied(base, plan, widens=widens), *_side_effects(target, leaving if cuts else ()))
    subject = approval_rules.Subject(
        account=facts.account.number,
        environment=envelope.environment,
        production=facts.account.production,
        kind=facts.kind,
        adopts=adopts,
        risk=rated,
        findings=frozenset(finding.id for finding in found if not finding.standard),
        team=facts.team,
    )
    requirements = approval_rules.requirements_for(subject, owner_group=envelope.owner_group, content=envelope.rules)
    rules_digest = approval_rules.digest(envelope.rules)
    sure = certainty(facts, base, target, context, envelope, found, removes=only_removes)
    attended = approval_rules.why_attended(subject, sure, envelope.rules)
    unattended = None if attended else _let_through_by(subject, envelope)
    body = {
        **({"unattended": unattended} if unattended else {}),
        **({"attended": attended} if attended not in ("", "no_rule") else {}),
        **({"removes_only": True} if only_removes else {}),
        **({"own_standard": True} if envelope.account_rules.standard else {}),
        **({"owned_by": owner.as_mapping()} if owner else {}),
        **({"cuts_older_sessions": True} if cuts else {}),
        **({"widens_boundary": True} if widens else {}),
        "schema": SCHEMA,
        "request": envelope.request,
        "revision": envelope.revision,
        "requester": envelope.requester,
        "account": facts.account.number,
        "partition": facts.account.partition,
        "resources": sorted(base.resources),
        "role_id": base.role.role_id if base.role else None,
        "adopts": adopts,
        "base": base.as_mapping(),
        "target": target.state.as_mapping(),
        "kept": [[kept.kind, kept.name] for kept in target.kept],
        "desired": desired.as_mapping(),
        "plan": [call.as_mapping() for call in plan],
        "dependencies": context.dependencies(),
        "owner_group": envelope.owner_group,
        "rules_digest": rules_digest,
        "subject": subject.as_mapping(),
        "account_rules": standard.digests(facts.account, desired.service, envelope.account_rules),
        "documents": context.texts(),
        "reach": weigh.blast_radius(facts, context),
        "risk": rated,
        "sentences": list(sentences),
        "findings": [finding.as_mapping() for finding in found],
        "requirements": [requirement.as_mapping() for requirement in requirements],
        "expires_at": envelope.expires_at,
    }
    text = canonical.dumps(body).decode()
    return Proposal(
        canonical=text,
        digest=digest_of(text),
        desired=desired,
        base=base,
        target=target,
        plan=plan,
        findings=found,
        risk=rated,
        adopts=adopts,
        already_right=not plan and not adopts and not target.clashes,
        title=wording.title(facts, base, adopts=adopts),
        sentences=sentences,
        requirements=requirements,
        rules_digest=rules_digest,
        removes_only=only_removes,
        unattended=unattended,
        attended=attended,
    )


def _let_through_by(subject: approval_rules.Subject, envelope: Envelope) -> Mapping[str, Any] | None:
    rule = approval_rules.unattended_rule(subject, envelope.rules)
    return {"version": envelope.rules["version"], "why": rule["why"]} if rule else None


def _not_ours(facts: Facts, base: State) -> tuple[str, ...]:
    """A removal never touches what is there and not the team's; nor is a deployer policy of that name adopted."""
    if isinstance(facts, DeployerFacts) and any(base.policies.values()):
        return (removal.not_ours(facts),)
    there = any(base.policies.values()) if base.role_arn is None else base.role is not None
    return (removal.not_ours(facts),) if isinstance(facts, RemovalFacts) and there else ()


def _plan(base: State, target: Target, leaving: Sequence[str], *, widens: bool) -> tuple[tuple[Call, ...], bool]:
    """Returns the calls, and whether they cut off older sessions of those who leave the trust."""
    if target.clashes:
        return (), False
    plan = calls_between(base, target.state, widens=widens)
    if not leaving or not older_sessions.adds(base, plan):
        return plan, False
    return calls_between(base, older_sessions.with_cut(target.state, None), widens=widens), True


def _emptied(base: State, plan: Sequence[Call], *, widens: bool) -> tuple[str, ...]:
    """Says so where a role is without any permission for a moment, since its boundary and its trust change."""
    holds = base.role is not None and (base.role.attached or older_sessions.without(base.role).inline)
    if not widens or not holds or all(call.api != "UpdateAssumeRolePolicy" for call in plan):
        return ()
    return (_EMPTIED,)


def _side_effects(target: Target, cut: Sequence[str]) -> tuple[str, ...]:
    """Returns what else the plan does, in words: running sessions that end, old versions that go."""
    dropped = [
        f"Afterwards deletes the old version{'s' if len(policy.drops) > 1 else ''} {wording.listed(policy.drops)} "
        f"of {policy.name}."
        for _, policy in sorted(target.state.policies.items())
        if policy is not None and policy.drops
    ]
    return (*((older_sessions.sentence(cut),) if cut else ()), *dropped)


def _sentences(facts: Facts, base: State, target: Target) -> tuple[str, ...]:
    if isinstance(facts, RemovalFacts):
        return removal.sentences(facts, base, target)
    return wording.change_sentences(facts, base, target)


@dataclass(frozen=True)
class Stored:
    """A stored proposal read back from its text alone; what the worker applies."""

    body: Mapping[str, Any]
    base: State
    target: State
    plan: tuple[Call, ...]
    kept: tuple[Kept, ...]

    def context(self) -> Context | None:
        """Returns the context as it was observed, or None for a proposal that holds no documents of it yet."""
        if "documents" not in self.body:
            return None
        return read_context(self.body["dependencies"], self.body["documents"])

    @property
    def widens(self) -> bool:
        """True if the boundary is replaced by one that may give the role something: what goes goes before it."""
        return bool(self.body.get("widens_boundary"))

    @property
    def cuts(self) -> bool:
        """True if sessions from before the change of trust are cut off, and the deny taken away again later."""
        return bool(self.body.get("cuts_older_sessions"))


def read(text: str) -> Stored:
    """Returns the parts of a stored proposal. Raises ValueError when the text is not one of this schema."""
    body: Any = canonical.loads(text)
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        raise ValueError("The stored proposal is not of a schema that this version reads.")
    return Stored(
        body=body,
        base=State.from_mapping(body["base"]),
        target=State.from_mapping(body["target"]),
        plan=tuple(Call.from_mapping(call) for call in body["plan"]),
        kept=tuple(Kept(kind, name) for kind, name in body["kept"]),
    )


def resources(facts: Facts) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """Returns what the worker must look at: the role's ARN if any, our policies' ARNs, the passed roles' ARNs."""
    desired = build_desired(facts)
    return desired.role_arn, tuple(sorted({*desired.policies, *desired.removes})), passed_roles(facts)
