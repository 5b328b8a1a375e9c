"""Makes the proposal: everything that an approver approves, as one canonical text with its SHA-256.

Pure: the same base, facts, context and rules give the same bytes, in the observing worker and at the claim.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from iamroles import canonical
from iamroles.blueprints import grants
from iamroles.blueprints.desired import Desired, build_desired
from iamroles.blueprints.facts import Facts, RemovalFacts, passed_roles
from iamroles.blueprints.state import State
from iamroles.proposal import removal, wording
from iamroles.proposal.calls import Call
from iamroles.proposal.context import Context
from iamroles.proposal.lay_over import Kept, Target, lay_over
from iamroles.proposal.plan import calls_between
from iamroles.rules import approval, checks, risk
from iamroles.rules.findings import Finding

SCHEMA = "roledesk-proposal/1"


@dataclass(frozen=True)
class Envelope:
    """What the proposal is bound to besides documents. Times are `YYYY-MM-DDTHH:MM:SSZ`."""

    request: str
    revision: int
    requester: str
    owner_group: str
    expires_at: str
    managed_here: bool
    rules: Mapping[str, Any]


@dataclass(frozen=True)
class Proposal:
    """`canonical` is the exact text that is stored and hashed; `already_right`: no call is needed, nothing to adopt."""

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


def digest_of(text: str) -> str:
    """Returns the SHA-256 (hex) of a stored proposal's bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def propose(*, facts: Facts, base: State, context: Context, envelope: Envelope) -> Proposal:
    """Returns the proposal for these facts over this base. Raises `DocumentError` for facts that were not checked."""
    desired = build_desired(facts)
    target = lay_over(base, desired)
    if isinstance(facts, RemovalFacts) and base.role is not None and not envelope.managed_here:
        target = replace(target, clashes=(removal.not_ours(facts),))
    plan = calls_between(base, target.state) if not target.clashes else ()
    adopts = base.role is not None and not envelope.managed_here and not desired.removal
    found = _findings(facts, desired, base, target, context)
    rated = risk.risk_of(found, production=facts.account.production)
    only_removes = removal.adds_nothing(plan, base, context)
    sentences = _sentences(facts, base, target)
    requirements = approval.requirements_for(
        risk=rated, adopts=adopts, owner_group=envelope.owner_group, rules=dict(envelope.rules)
    )
    body = {
        **({"removes_only": True} if only_removes else {}),
        "schema": SCHEMA,
        "request": envelope.request,
        "revision": envelope.revision,
        "requester": envelope.requester,
        "account": facts.account.number,
        "partition": facts.account.partition,
        "resources": sorted({desired.role_arn, *desired.policies, *desired.removes}),
        "role_id": base.role.role_id if base.role else None,
        "adopts": adopts,
        "base": base.as_mapping(),
        "target": target.state.as_mapping(),
        "kept": [[kept.kind, kept.name] for kept in target.kept],
        "desired": desired.as_mapping(),
        "plan": [call.as_mapping() for call in plan],
        "dependencies": context.dependencies(),
        "owner_group": envelope.owner_group,
        "rules_digest": canonical.digest(dict(envelope.rules)),
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
    )


def _sentences(facts: Facts, base: State, target: Target) -> tuple[str, ...]:
    if isinstance(facts, RemovalFacts):
        return removal.sentences(facts, base, target)
    return wording.change_sentences(facts, base, target)


def _findings(facts: Facts, desired: Desired, base: State, target: Target, context: Context) -> tuple[Finding, ...]:
    attached = _attached(target.state, base, context)
    if isinstance(facts, RemovalFacts):
        return removal.findings(facts, base, target, [policy.document for policy in attached])
    return checks.check_proposal(
        account=facts.account,
        service=desired.service,
        live=base.role,
        target=target.state.role,
        attached=attached,
        passed=_passed(desired, facts, context),
        clashes=target.clashes,
        replaced=target.replaced,
    )


def _attached(target: State, base: State, context: Context) -> list[checks.Attached]:
    """Every policy that the role will hold, with its place on the review page; other people's are marked kept."""
    if target.role is None:
        return []
    before = base.role.attached if base.role else frozenset()
    found = []
    for arn in sorted(target.role.attached):
        own = target.policies.get(arn)
        document = own.document if own else context.managed[arn].document if arn in context.managed else None
        if document is not None:
            section = "in-aws" if arn in before and not own else "permissions"
            if own and grants.granted_roles(own.document) is not None:
                section = "grants"
            found.append(checks.Attached(arn, f"{section}:{arn.rsplit('/', 1)[-1]}", document))
    inline = sorted(target.role.inline.items())
    return found + [checks.Attached(name, f"in-aws:{name}", document) for name, document in inline]


def _passed(desired: Desired, facts: Facts, context: Context) -> list[checks.Passed]:
    granted = {arn for policy in desired.policies.values() for arn in grants.granted_roles(policy.document) or ()}
    found = []
    for arn in passed_roles(facts):
        seen = context.passed.get(arn)
        found.append(checks.Passed(arn, seen.trust if seen else None, arn in granted))
    return found


@dataclass(frozen=True)
class Stored:
    """A stored proposal read back from its text alone; what the worker applies."""

    body: Mapping[str, Any]
    base: State
    target: State
    plan: tuple[Call, ...]
    kept: tuple[Kept, ...]


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


def resources(facts: Facts) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Returns what the worker must look at: the role's ARN, our policies' ARNs, the passed roles' ARNs."""
    desired = build_desired(facts)
    return desired.role_arn, tuple(sorted({*desired.policies, *desired.removes})), passed_roles(facts)
