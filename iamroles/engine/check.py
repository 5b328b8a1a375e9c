"""Answering the looks that people order. "Check a role" is held against steps S10 to S14 of the guide, in sentences.

Nothing is written. A request's target is held against AWS in `compare`.
"""

from __future__ import annotations

from typing import Any

import structlog

from iamroles.aws.gateway import AwsError, WrongAccount
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.state import RoleState, State
from iamroles.engine.compare import compare, compare_deny
from iamroles.engine.look import look_for
from iamroles.engine.observe import HELD
from iamroles.engine.tools import Tools
from iamroles.iam import catalogue, wording
from iamroles.models import ObservationOrder, Request, current_rules
from iamroles.models.requests import ProposalChanged
from iamroles.proposal import older_sessions, propose
from iamroles.proposal.calls import Call
from iamroles.proposal.propose import Envelope
from iamroles.rules import states

_log = structlog.get_logger(__name__)
TRIES = 3  # somebody waits in front of the page
_EITHER = f"Neither {catalogue.CODEDEPLOY_ECS} nor {catalogue.CODEDEPLOY_ECS_LIMITED} is attached."
_MISSING = {
    "UpdateAssumeRolePolicy": "The trust policy does not let CodeDeploy, and CodeDeploy alone, assume the role.",
    "PutRolePermissionsBoundary": "The role does not carry the permissions boundary that this AWS account demands.",
}


def answer_order(*, order_id: int, tools: Tools) -> str:
    """Answers one order that is due. Returns the `state` of its answer, "failed" or "not_due"."""
    now = tools.now()
    rows = ObservationOrder.objects.filter(pk=order_id, answered_at=None, next_try_at__lte=now)
    if not rows.update(next_try_at=now + HELD):
        return "not_due"
    order = ObservationOrder.objects.select_related("account__owner", "request").get(pk=order_id)
    try:
        result = _compare(order, order.request, tools) if order.request is not None else _check(order, tools)
    except (AwsError, WrongAccount, ProposalChanged) as error:
        code = error.code if isinstance(error, AwsError) else type(error).__name__
        _log.warning("check_failed", order=order_id, code=code)
        tries = order.tries + 1
        last = tries >= TRIES
        ObservationOrder.objects.filter(pk=order_id, answered_at=None).update(
            tries=tries,
            next_try_at=None if last else now + tools.backoff(0),
            answered_at=tools.now() if last else None,
            result={"error": code},
        )
        return "failed"
    ObservationOrder.objects.filter(pk=order_id, answered_at=None).update(
        answered_at=tools.now(), next_try_at=None, result=result
    )
    return str(result["state"])


def _compare(order: ObservationOrder, request: Request, tools: Tools) -> dict[str, Any]:
    run = request.stopped_follow_up() if request.state == states.CLOSED else None
    return compare_deny(order, request, run, tools) if run is not None else compare(order, request, tools)


def _check(order: ObservationOrder, tools: Tools) -> dict[str, Any]:
    facts = facts_module.read(order.facts)
    gateway = tools.sessions.reading(tools.portal(order.account), f"CHECK-{order.pk}")
    base, context = look_for(gateway, facts, tools.now())
    at = tools.now()
    envelope = Envelope(
        request=f"CHECK-{order.pk}",
        revision=0,
        requester=str(order.ordered_by_id),
        owner_group=order.account.owner.name,
        expires_at=f"{at:%Y-%m-%dT%H:%M:%SZ}",
        managed_here=True,
        rules=current_rules(),
        environment=order.account.environment,
    )
    made = propose(facts=facts, base=base, context=context, envelope=envelope)
    verdict = "missing" if base.role is None else "right" if made.already_right else "different"
    return {
        "state": verdict,
        "role": base.role.as_mapping() if base.role else None,
        "sentences": _sentences(base),
        "missing": _missing(made.plan) if base.role else [],
        "observed_at": at.isoformat(),
    }


def _sentences(base: State) -> list[str]:
    """Returns what the live role is, in words."""
    role: RoleState | None = base.role
    if role is None:
        return []
    attached = [f"{arn.rsplit('/', 1)[-1]} is attached." for arn in sorted(role.attached)]
    inline = [f"The inline policy {name} is part of it." for name in sorted(role.inline)]
    return [*wording.sentences(role.trust), *attached, *inline]


def _missing(plan: tuple[Call, ...]) -> list[str]:
    """Returns what keeps the role from being right: one sentence for each kind of call that would repair it."""
    repairing = [call.api for call in plan if not older_sessions.is_cut(call)]
    found = [_EITHER if api == "AttachRolePolicy" else _MISSING.get(api, api) for api in repairing]
    return list(dict.fromkeys(found))
