"""Observing: looks at AWS for a submitted request, makes the proposal, and moves the request to review or closes it.

A look that fails changes no state: code, tries and the next try are stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from iamroles import audit, canonical, eligibility
from iamroles.aws.gateway import AwsError, WrongAccount
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.facts import Facts
from iamroles.blueprints.state import State
from iamroles.engine import bound, finish, renew, trace, unattended
from iamroles.engine.look import look_for, quotas_for
from iamroles.engine.tools import Tools
from iamroles.models import AskedGroup, Proposal, Request, Revision
from iamroles.proposal import propose
from iamroles.proposal.context import Context
from iamroles.proposal.propose import Proposal as Made
from iamroles.rules import states
from iamroles.transitions import WrongState, move_request, subject_of

_log = structlog.get_logger(__name__)
_LOOKED_AT = (states.SUBMITTED, states.IN_REVIEW)
HELD = timedelta(seconds=60)  # how long a look may take before the sweep rings again


@dataclass(frozen=True)
class Seen:
    """One look for one revision, and the proposal that follows from it."""

    facts: Facts
    base: State
    context: Context
    made: Made
    at: datetime
    expires_at: datetime
    account_digest: str


@trace.by_request
def observe(*, request_id: int, tools: Tools) -> str:
    """Observes one request that is submitted and due, or in review and outdated or due for another look. Returns the
    state it is in then, or "not_due".

    Never raises for what AWS answers; a foreign, old or unknown id is "not_due". Errors of our own are logged, counted
    and shown by their class.
    """
    renew.renew(request_id=request_id, tools=tools)
    now = tools.now()
    rows = Request.objects.filter(pk=request_id, state__in=_LOOKED_AT, next_try_at__lte=now)
    if not rows.update(next_try_at=now + HELD):
        return "not_due"
    request = Request.objects.select_related("account__owner", "team", "requester").get(pk=request_id)
    proposal = request.current_proposal()
    try:
        seen = see(request, _revision(request), tools, expires_at=proposal.expires_at if proposal else None)
    except (AwsError, WrongAccount) as error:
        code = error.code if isinstance(error, AwsError) else "WrongAccount"
        _log.warning("observation_failed", request=request.reference, code=code)
        return _put_off(request, code, tools)
    except Exception as error:  # noqa: BLE001  (counted like any failing look, so that it ends after twelve tries)
        _log.exception("observation_broke", request=request.reference)
        return _put_off(request, type(error).__name__, tools)
    try:
        if proposal is None:
            return _store(request, seen, tools)
        if _still_so(request, proposal, seen, tools):
            return request.state
    except WrongState as error:
        _log.info("observation_overtaken", request=request.reference, reason=str(error))
        return "not_due"
    return observe(request_id=request_id, tools=tools)  # as the new revision that it is now


def _revision(request: Request) -> Revision:
    return Revision.objects.select_related("created_by").get(request=request, number=request.revision_number)


def see(
    request: Request,
    revision: Revision,
    tools: Tools,
    *,
    number: int | None = None,
    expires_at: datetime | None = None,
) -> Seen:
    """Looks at AWS for a revision and returns the proposal, for the revision `number` if given. Raises AwsError.

    It expires by today's rules unless `expires_at` says when: then equal digests mean that AWS reads the same.
    """
    account = request.account
    if account is None:
        raise ValueError(f"{request.reference} names no AWS account.")
    facts = facts_module.read(revision.facts)
    gateway = tools.sessions.reading(tools.portal(account), request.reference)
    base, context = look_for(gateway, facts, tools.now())
    context = replace(context, quotas=quotas_for(gateway, facts))
    at = tools.now()
    envelope = bound.envelope_of(request, facts, base, context, tools, revision=number or revision.number)
    expires_at = expires_at or (at + timedelta(days=envelope.rules["life_days"])).replace(microsecond=0)
    envelope = replace(envelope, expires_at=f"{expires_at:%Y-%m-%dT%H:%M:%SZ}")
    made = propose(facts=facts, base=base, context=context, envelope=envelope)
    return Seen(
        facts=facts,
        base=base,
        context=context,
        made=made,
        at=at,
        expires_at=expires_at,
        account_digest=account.record_digest(rules=not made.removes_only),
    )


def _put_off(request: Request, code: str, tools: Tools) -> str:
    now = tools.now()
    tries = request.tries + 1
    retry_at = now + tools.backoff(tries) if tries < tools.limits.tries else None
    rows = Request.objects.filter(pk=request.pk, state=request.state, version=request.version)
    with transaction.atomic():
        if rows.update(tries=tries, next_try_at=retry_at, last_code=code):
            audit.record(
                "observation.failed",
                actor=tools.actor,
                subject=subject_of(request),
                at=now,
                request=request.reference,
                revision=request.revision_number,
                outcome="failed",
                code=code,
                data={"code": code, "retry_at": retry_at.isoformat() if retry_at else None},
            )
    return request.state


def _still_so(request: Request, proposal: Proposal, seen: Seen, tools: Tools) -> bool:
    """Stores another look at what is in review: an equal digest keeps all decisions, another sends it back to be
    proposed anew. Returns which. Raises WrongState when it was overtaken.
    """
    with transaction.atomic():
        _require_not_overtaken(request)
        if seen.made.digest == proposal.digest:
            Proposal.objects.filter(pk=proposal.pk).update(observed_at=seen.at)
            Request.objects.filter(pk=request.pk).update(
                next_try_at=None, tries=0, last_code="", version=request.version + 1, updated_at=seen.at
            )
            record_observed(request, seen, proposal.revision.number, tools)
            return True
        if request.account is None:
            raise ValueError(f"{request.reference} names no AWS account.")
        renew.propose_anew(request, request.account, proposal, renew.LOOK_TOO_OLD, tools)
    return False


def _store(request: Request, seen: Seen, tools: Tools) -> str:
    fields = {
        "risk": seen.made.risk,
        "title": seen.made.title,
        "next_try_at": None,
        "tries": 0,
        "last_code": "",
    }
    revision = _revision(request)
    with transaction.atomic():
        _require_not_overtaken(request)
        record_observed(request, seen, revision.number, tools)
        proposal = store_proposal(revision, seen)
        if seen.made.already_right:
            data: dict[str, object] = {
                "revision": revision.number,
                "base_digest": canonical.digest(seen.base.as_mapping()),
                "target_digest": canonical.digest(seen.made.target.state.as_mapping()),
            }
            event, verb = "request.found_right", "find_right"
            if seen.made.target.state.gone:
                finish.forget(request.account, seen.base, request.reference, tools)
            fields["outcome"] = "already_right"
        else:
            event, verb, data = "revision.proposed", "propose", proposed_data(seen, revision.number)
        goes = not seen.made.already_right and unattended.may_go(proposal)
        move_request(
            request, verb, event=event, actor=tools.actor, at=seen.at, data=data, fields=fields, tells=not goes
        )
        if goes:
            unattended.let_go(request, proposal, tools.actor, seen.at)
    return request.state


def _require_not_overtaken(request: Request) -> None:
    """Another worker may have observed it since, or its requester have changed it: nothing of this look is stored."""
    rows = Request.objects.select_for_update()
    if rows.filter(pk=request.pk, state=request.state, version=request.version).first() is None:
        raise WrongState(request.reference, "propose", "changed meanwhile")


def record_observed(request: Request, seen: Seen, number: int, tools: Tools) -> None:
    """Records what was looked at. Inside the caller's transaction."""
    audit.record(
        "base.observed",
        actor=tools.actor,
        subject=subject_of(request),
        at=seen.at,
        request=request.reference,
        revision=number,
        data={
            "revision": number,
            "base_digest": canonical.digest(seen.base.as_mapping()),
            "role_id": seen.base.role.role_id if seen.base.role else None,
            "resources": sorted(seen.base.resources),
        },
    )


def store_proposal(revision: Revision, seen: Seen) -> Proposal:
    """Inserts the proposal's row, and which groups it asks."""
    row = Proposal.objects.create(
        revision=revision,
        canonical=seen.made.canonical,
        digest=seen.made.digest,
        risk=seen.made.risk,
        adopts=seen.made.adopts,
        observed_at=seen.at,
        expires_at=seen.expires_at,
        rules_digest=seen.made.rules_digest,
        account_digest=seen.account_digest,
    )
    names = eligibility.deciding_groups(row)
    AskedGroup.objects.bulk_create([AskedGroup(proposal=row, group=name) for name in names])
    return row


def proposed_data(seen: Seen, number: int) -> dict[str, object]:
    """Returns the data of `revision.proposed`: digests only, the documents stay in the revision."""
    made = seen.made
    return {
        "revision": number,
        "proposal_digest": made.digest,
        "base_digest": canonical.digest(seen.base.as_mapping()),
        "target_digest": canonical.digest(made.target.state.as_mapping()),
        "desired_digest": made.desired.digest(),
        "plan_digest": canonical.digest([call.as_mapping() for call in made.plan]),
        "dependencies_digest": canonical.digest(seen.context.dependencies()),
        "findings": sorted({finding.id for finding in made.findings}),
        "rule_digests": {"approval": made.rules_digest},
        "approvals_needed": [requirement.as_mapping() for requirement in made.requirements],
        "expires_at": f"{seen.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }
