"""Proposing anew what waits in review by approval rules, or for an AWS account's record, that are no longer today's.

Nobody can approve such a proposal. The facts stay the requester's; the AWS account's part of them becomes today's.
"""

from __future__ import annotations

from dataclasses import replace

import structlog
from django.db import transaction
from django.db.models import F, Q

from iamroles import audit, eligibility
from iamroles.blueprints import build_desired
from iamroles.blueprints import facts as facts_module
from iamroles.engine.tools import Tools
from iamroles.models import AwsAccount, Proposal, Request, Revision, current_rules
from iamroles.rules import approval_rules, states
from iamroles.transitions import WrongState, move_request, subject_of, void_decisions

LOOK_TOO_OLD = "look_too_old"  # the cause of a revision that another look at AWS made
_log = structlog.get_logger(__name__)


def find_outdated() -> list[int]:
    """Returns the ids of the requests in review whose proposal must be made anew, oldest first. Five queries."""
    waiting = Proposal.objects.filter(
        revision__request__state=states.IN_REVIEW,
        revision__number=F("revision__request__revision_number"),
    )
    accounts = AwsAccount.objects.filter(pk__in=waiting.values("revision__request__account"))
    current = {
        account.record_digest(rules=rules)
        for account in accounts.select_related("owner").prefetch_related("rule_versions")
        for rules in (True, False)
    }
    # A record's digest covers the account's number: one that is current is so for its own AWS account alone.
    changed = set(waiting.values_list("account_digest", flat=True).distinct()) - current
    rows = waiting.filter(
        Q(account_digest__in=changed) | ~Q(rules_digest=approval_rules.digest(current_rules())),
    )
    return list(rows.order_by("pk").values_list("revision__request_id", flat=True))


def renew(*, request_id: int, tools: Tools) -> bool:
    """Sends one request in review back to be looked at, as a new revision, if it is outdated. Returns whether it was.

    A proposal that was changed around the portal is left as it is: nobody can decide on it.
    """
    try:
        with transaction.atomic():
            rows = Request.objects.select_for_update(of=("self",)).select_related("account__owner")
            request = rows.filter(pk=request_id, state=states.IN_REVIEW).first()
            proposal = request.current_proposal() if request else None
            if request is None or proposal is None or not proposal.intact:
                return False
            cause = eligibility.outdated(request, proposal, current_rules())
            if not cause or request.account is None:
                return False
            propose_anew(request, request.account, proposal, cause, tools)
    except WrongState as error:
        _log.info("renewal_overtaken", request_id=request_id, reason=str(error))
        return False
    return True


def propose_anew(request: Request, account: AwsAccount, proposal: Proposal, cause: str, tools: Tools) -> None:
    """Sends a locked request in review back to be looked at, as a new revision; nobody's decision stands.

    Raises WrongState when it changed meanwhile.
    """
    now = tools.now()
    revision = _next(request, account, proposal.revision, cause, tools)
    void_decisions(request, cause=cause, actor=tools.actor, at=now)
    _record(request, revision, proposal, tools)
    fields = {"revision_number": revision.number, "risk": "", "next_try_at": now, "tries": 0, "last_code": ""}
    data: dict[str, object] = {"new_revision": revision.number}
    move_request(request, "propose_anew", event="plan.renewed", actor=tools.actor, at=now, data=data, fields=fields)


def _next(request: Request, account: AwsAccount, before: Revision, cause: str, tools: Tools) -> Revision:
    facts = facts_module.read(before.facts)
    facts = replace(facts, account=account.facts())
    return Revision.objects.create(
        request=request,
        number=before.number + 1,
        facts=facts_module.write(facts),
        desired_digest=build_desired(facts).digest(),
        reason=before.reason,
        cause=cause,
        created_by=before.created_by,
        created_at=tools.now(),
    )


def _record(request: Request, revision: Revision, previous: Proposal, tools: Tools) -> None:
    audit.record(
        "revision.created",
        actor=tools.actor,
        subject=subject_of(request),
        at=revision.created_at,
        request=request.reference,
        revision=revision.number,
        data={"revision": revision.number, "cause": revision.cause, "previous_digest": previous.digest},
    )
