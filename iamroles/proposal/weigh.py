"""Turns facts, base, target and context into what `rules.checks` asks for: the findings of a proposal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from iamroles.blueprints import grants
from iamroles.blueprints.desired import Desired
from iamroles.blueprints.facts import DeployerFacts, Facts, PassingFacts, RemovalFacts, passed_roles, passed_services
from iamroles.blueprints.state import State
from iamroles.iam.documents import Document
from iamroles.proposal import older_sessions, removal, room
from iamroles.proposal.calls import Call
from iamroles.proposal.context import Context
from iamroles.proposal.envelope import Envelope
from iamroles.proposal.lay_over import Target
from iamroles.rules import checks, privileges
from iamroles.rules.findings import Finding


def findings(
    facts: Facts,
    desired: Desired,
    base: State,
    target: Target,
    context: Context,
    envelope: Envelope,
    plan: Sequence[Call],
    *,
    cuts: bool,
) -> tuple[Finding, ...]:
    """Returns the findings, worst first; `cuts`: the plan cuts off older sessions. A removal has its own."""
    attached = _attached(target.state, desired, base, context)
    if isinstance(facts, RemovalFacts):
        return removal.findings(facts, base, target, [policy.document for policy in attached])
    return checks.check_proposal(
        account=facts.account,
        service=desired.service,
        live=base.role,
        target=target.state.role,
        attached=attached,
        passed=_passed(desired, facts, context),
        expected=passed_services(facts) if isinstance(facts, DeployerFacts) else checks.ANY_TO_TASKS,
        clashes=target.clashes,
        replaced=target.replaced,
        around=replace(
            _around(facts, desired, base, target.state, context, envelope), cuts=cuts, room=room.needed(base, plan)
        ),
    )


def _around(
    facts: Facts, desired: Desired, base: State, target: State, context: Context, envelope: Envelope
) -> checks.Around:
    known = envelope.known
    boundary = context.managed.get((target.role.boundary if target.role else None) or "")
    wanted = [policy.document for policy in desired.policies.values()]
    attach = desired.attach | known.attached
    wanted += [context.managed[arn].document for arn in sorted(attach) if arn in context.managed]
    wanted += [desired.role.trust] if desired.role else []
    return checks.Around(
        rules=envelope.account_rules,
        before=tuple(_documents(base, context)),
        boundary=boundary.document if boundary else None,
        last_used=context.last_used,
        fitting=context.fitting,
        needs=tuple(dict.fromkeys((*wanted, *known.approved))),
        deployers=known.deployers,
        team=facts.team,
        quotas=context.quotas,
    )


def _documents(state: State, context: Context) -> Iterator[Document]:
    """The policies that a role holds, as far as AWS showed them."""
    if state.role is None:
        return
    for arn in sorted(state.role.attached):
        own = state.policies.get(arn)
        if own is not None:
            yield own.document
        elif arn in context.managed:
            yield context.managed[arn].document
    yield from (document for _, document in sorted(state.role.inline.items()))


def _attached(target: State, desired: Desired, base: State, context: Context) -> list[checks.Attached]:
    """Every policy that the role will hold, with its place on the review page; other people's are marked kept.

    Without a role they are the policies that are made for somebody else to attach.
    """
    if target.role is None:
        made = [] if desired.removal else [policy for policy in target.policies.values() if policy]
        return [checks.Attached(one.arn, f"grants:{one.name}", one.document) for one in made]
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
    inline = sorted(older_sessions.without(target.role).inline.items())
    return found + [checks.Attached(name, f"in-aws:{name}", document) for name, document in inline]


def _passed(desired: Desired, facts: Facts, context: Context) -> list[checks.Passed]:
    granted = {arn for policy in desired.policies.values() for arn in grants.granted_roles(policy.document) or ()}
    granted |= set(passed_roles(facts)) if isinstance(facts, DeployerFacts) else set()
    task_roles = facts.task_roles if isinstance(facts, PassingFacts | DeployerFacts) else ()
    found = []
    for arn, service in passed_services(facts).items():
        seen = context.passed.get(arn)
        rights = context.rights_of(arn) if seen and seen.trust else None
        task = arn in task_roles
        found.append(checks.Passed(arn, seen.trust if seen else None, arn in granted, rights, task, service))
    return found


def blast_radius(facts: Facts, context: Context) -> list[dict[str, Any]]:
    """Returns for each passed role what whoever can deploy may do through it, as sentences; with the role's ARN."""
    return [
        {"arn": arn, "says": list(privileges.rights_in_words(arn, context.rights_of(arn), facts.account))}
        for arn in passed_roles(facts)
        if arn in context.passed and context.passed[arn].trust is not None
    ]
