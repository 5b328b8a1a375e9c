"""Holding AWS against the target of a request, for an operator: one look, what differs, and AWS's clock. For a
follow-up that stopped, whether the deny that it is about is still there.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from iamroles import canonical
from iamroles.blueprints.state import State
from iamroles.engine import finish
from iamroles.engine.explain import Difference, fit, parts
from iamroles.engine.journal import cut_until
from iamroles.engine.look import look_at
from iamroles.engine.tools import Tools
from iamroles.iam import arns, documents
from iamroles.models import ManagedPolicy, ManagedRole, ObservationOrder, Request, Run
from iamroles.models.requests import ProposalChanged
from iamroles.proposal import older_sessions
from iamroles.proposal.propose import Stored, read


def compare(order: ObservationOrder, request: Request, tools: Tools) -> dict[str, Any]:
    """Returns the answer that the page and the verbs read: `state` is "equal" or "different".

    Where two operators have marked the request resolved, an equal look is what the inventory learns from.

    Raises AwsError, WrongAccount, and ProposalChanged when the stored text is not the one that was made.
    """
    proposal = request.current_proposal()
    if proposal is None:
        raise ValueError(f"{request.reference} has no proposal.")
    if not proposal.intact:
        raise ProposalChanged(f"The proposal of {request.reference} is not the one that was made.")
    stored = read(proposal.canonical)
    gateway = tools.sessions.reading(tools.portal(order.account), f"LOOK-{order.pk}")
    observed = fit(look_at(gateway, stored.base.role_arn, stored.target.policies), stored)
    found = differences(observed, stored)
    if not found and request.outcome == "resolved" and not _overtaken(request, stored):
        with transaction.atomic():
            finish.remember(request, stored, observed, tools)
    clock = gateway.clock()
    return {
        "state": "different" if found else "equal",
        "proposal_digest": proposal.digest,
        "live_digest": canonical.digest(observed.as_mapping()),
        "role": observed.role.as_mapping() if observed.role else None,
        "parts": [difference.as_mapping() for difference in found],
        "aws_at": clock.at.isoformat() if clock else None,
        "observed_at": tools.now().isoformat(),
    }


def compare_deny(order: ObservationOrder, request: Request, run: Run, tools: Tools) -> dict[str, Any]:
    """Returns the answer for a follow-up that stopped: `state` is "gone" or "left", for the deny that it is about.

    The proposal is not read: that it cannot be trusted may be why the follow-up stopped. What else stands under the
    name is left too, unless it is a deny of ours for another time. Raises AwsError and WrongAccount.
    """
    account = order.account
    gateway = tools.sessions.reading(tools.portal(account), f"LOOK-{order.pk}")
    role = gateway.role(arns.role_arn(account.partition, account.number, request.role_name, account.role_path))
    given = role.inline.get(older_sessions.NAME) if role else None
    own = cut_until(run)
    gone = role is None or given is None or older_sessions.denied_until(role) not in ("", own)
    live = None if given is None else documents.canonical(given).decode()
    clock = gateway.clock()
    left = Difference(f"inline {older_sessions.NAME}", None, None, live)
    return {
        "state": "gone" if gone else "left",
        "run": run.number,
        "live_digest": canonical.digest(role.as_mapping() if role else None),
        "parts": [] if gone else [left.as_mapping()],
        "aws_at": clock.at.isoformat() if clock else None,
        "observed_at": tools.now().isoformat(),
    }


def _overtaken(request: Request, stored: Stored) -> bool:
    """Whether the inventory has learnt of these resources from another request since this one was closed."""
    kinds = ((ManagedRole, [stored.base.role_arn]), (ManagedPolicy, list(stored.target.policies)))
    return any(
        kind._default_manager.filter(account=request.account, arn__in=arns, applied_at__gt=request.closed_at)
        .exclude(request=request)
        .exists()
        for kind, arns in kinds
    )


def differences(observed: State, stored: Stored) -> list[Difference]:
    """Returns the parts that do not read as the target. A role of another RoleId than the base's is another role."""
    base, target, live = parts(stored.base), parts(stored.target), parts(observed)
    found = [
        Difference(part, base.get(part), target.get(part), live.get(part))
        for part in sorted(target.keys() | live.keys())
        if target.get(part) != live.get(part)
    ]
    before, now = stored.base.role, observed.role
    if before is not None and now is not None and before.role_id != now.role_id:
        found.append(Difference("role id", before.role_id, before.role_id, now.role_id))
    return found
