"""Drafts: the answers as typed, saved from the first preview on, kept until sent or discarded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from iamroles import audit, canonical, permissions
from iamroles.audit import Actor
from iamroles.models import AwsAccount, Request, Team, User
from iamroles.rules import states
from iamroles.transitions import WrongState, subject_of
from iamroles.workflow.verbs import Refused, lock, require, verb

KINDS = ("role", "grant", "infrastructure", "deployer", "removal")
_EDITABLE = (states.DRAFT, states.IN_REVIEW, states.CHANGES_REQUESTED)


class ChangedElsewhere(Refused):
    """The draft was saved in another tab after this one read it; nothing is overwritten."""

    code = "changed_elsewhere"


def _known(
    answers: Mapping[str, str], user: User, before: Request | None = None
) -> tuple[Team | None, AwsAccount | None]:
    """What the answers name. A draft that names the same as before is not looked up again: sending it checks anew."""
    slug, number = answers.get("team", ""), answers.get("account", "")
    team = before.team if before else None
    account = before.account if before else None
    if team is None or team.slug != slug:
        team = Team.objects.filter(slug=slug, members=user).first()
    if account is None or account.number != number:
        account = AwsAccount.objects.filter(number=number).first()
    return team, account


@verb("save_draft")
def save(
    *,
    user: User,
    kind: str,
    answers: Mapping[str, str],
    title: str,
    actor: Actor,
    at: datetime,
    request_id: int | None = None,
    seen_version: int | None = None,
) -> Request:
    """Saves the answers of a form and returns the request; without `request_id` a new draft is made.

    `seen_version` is `answers_version` as the form was loaded with. Raises ChangedElsewhere when it is not current,
    NotAllowed for somebody else's request, WrongState once a request cannot be edited any more.
    """
    if kind not in KINDS:
        raise Refused(f"There is no request of the kind {kind!r}.", "unknown_kind")
    values = {
        "answers": dict(answers),
        "title": title[:300],
        "role_name": answers.get("role_name", "")[:64],
        "updated_at": at,
    }
    if request_id is None:
        team, account = _known(answers, user)
        request = Request.objects.create(
            kind=kind, requester=user, team=team, account=account, created_at=at, answers_version=1, **values
        )
        audit.record(
            "request.created",
            actor=actor,
            subject=subject_of(request),
            at=at,
            request=request.reference,
            data={
                "account": account.number if account else None,
                "team": team.slug if team else None,
                "kind": kind,
                "facts_digest": canonical.digest(dict(answers)),
            },
        )
        return request
    request = lock(request_id)
    require(permissions.may_edit(user, request))
    if request.state not in _EDITABLE:
        raise WrongState(request.reference, "edit", request.state)
    if seen_version is not None and seen_version != request.answers_version:
        raise ChangedElsewhere(
            f"{request.reference} was changed in another tab at {request.updated_at:%H:%M:%S} UTC. Reload to go on."
        )
    if request.state == states.DRAFT:
        team, account = _known(answers, user, request)
        values |= {"team": team, "account": account}
    else:
        # Approvers read title and role name: after sending they change with a revision alone.
        values = {"answers": values["answers"], "updated_at": at}
    for name, value in values.items():
        setattr(request, name, value)
    request.answers_version += 1
    request.save(update_fields=[*values, "answers_version"])
    return request


@verb("discard_draft")
def discard(*, request_id: int, user: User, actor: Actor, at: datetime) -> None:
    """Deletes a draft that was never sent. Raises NotAllowed or WrongState."""
    request = lock(request_id)
    require(permissions.may_edit(user, request))
    if request.state != states.DRAFT or request.revision_number:
        raise WrongState(request.reference, "discard", request.state)
    audit.record(
        "draft.discarded",
        actor=actor,
        subject=subject_of(request),
        at=at,
        request=request.reference,
        data={"facts_digest": canonical.digest(request.answers)},
    )
    with transaction.atomic():
        request.delete()
