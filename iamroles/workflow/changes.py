"""The verbs of four eyes: propose a change, and confirm, refuse or withdraw it. Nobody confirms what they proposed.

Whoever confirms sends back the digest of exactly what they read. What stands may not have changed since the proposal:
then it is a conflict, and the change is proposed again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from iamroles import audit, notices, permissions
from iamroles.audit import Actor, Subject
from iamroles.eligibility import person_of
from iamroles.models import ProposedChange, User
from iamroles.models.changes import CONFIRMED, REFUSED, WAITING, WITHDRAWN
from iamroles.transitions import WrongState
from iamroles.workflow.change_kinds import KINDS, Kind, text_of
from iamroles.workflow.verbs import Invalid, NotAllowed, StaleDigest, require, require_fresh_sign_in, verb


@verb("propose_change")
def propose(
    *,
    subject: str,
    target: str,
    content: Any,
    reason: str,
    user: User,
    signed_in_at: datetime,
    actor: Actor,
    at: datetime,
) -> ProposedChange:
    """Stores what `target` shall be; another person must confirm it. One change of a target waits at a time.

    Nobody proposes at the command line, where one person could be two. Raises NotAllowed, SignInTooOld, or Invalid
    for an unknown target, a wrong content, no reason, or nothing that would change.
    """
    require(permissions.may_change_rules(user))
    kind = KINDS.get(subject)
    if kind is None:
        raise Invalid(f"There is nothing to change called {subject}.", "subject")
    before = kind.stands(target)
    wrong = list(kind.wrong(target, content))
    if wrong:
        raise Invalid(wrong[0], "content")
    if content == before:
        raise Invalid("Nothing would change.", "content", "unchanged")
    if len(reason.strip()) < 10 or len(reason) > 2000:
        raise Invalid("Say in at least 10 characters why this should change.", "reason")
    require_fresh_sign_in(signed_in_at, at, settings.ROLEDESK_OPERATE_WITHIN_MINUTES, "propose this")
    change = ProposedChange(
        subject=subject,
        target=target,
        before=text_of(before),
        content=text_of(content),
        reason=reason.strip(),
        proposed_by=user,
        proposed_at=at,
    )
    change.digest = change.computed_digest()
    try:
        with transaction.atomic():
            change.save()
    except IntegrityError as error:
        raise Invalid("Another change of this waits already. Confirm or refuse that first.", "", "waits") from error
    _record("change.proposed", change, change.reason, actor, at)
    notices.tell_of_change(change, "change.proposed", at=at)
    return change


@verb("confirm_change")
def confirm(
    *, change_id: int, seen_digest: str, user: User, signed_in_at: datetime, actor: Actor, at: datetime
) -> ProposedChange:
    """Writes the change. Raises NotAllowed for the proposer and for who gains by it, StaleDigest when what was read or
    what stands is another, SignInTooOld, and WrongState when it is decided.
    """
    change, kind = _lock(change_id, "confirm")
    require(permissions.may_change_rules(user))
    kind.lock(change)
    if person_of(user) == person_of(change.proposed_by):
        raise NotAllowed("You proposed this, so someone else must confirm it.", "four_eyes")
    if person_of(user) in kind.gains(change):
        raise NotAllowed("This change puts you into the group, so someone else must confirm it.", "four_eyes")
    if change.computed_digest() != change.digest:
        raise NotAllowed("The stored change is not the one that was proposed. Tell an operator.", "change_changed")
    if seen_digest != change.digest:
        raise StaleDigest("This is not the change that you read. Nothing was changed. Read it again.")
    if kind.stands(change.target) != change.stood():
        raise StaleDigest("What stands changed since this was proposed. Refuse it, and propose it again.", "stale_base")
    wrong = list(kind.wrong(change.target, change.proposed()))
    if wrong:
        raise Invalid(wrong[0], "content")
    require_fresh_sign_in(signed_in_at, at, settings.ROLEDESK_OPERATE_WITHIN_MINUTES, "confirm this")
    _decide(change, CONFIRMED, user, "", at)
    kind.write(change, actor, at)
    notices.tell_of_change(change, "change.confirmed", at=at)
    return change


@verb("refuse_change")
def refuse(*, change_id: int, reason: str, user: User, actor: Actor, at: datetime) -> ProposedChange:
    """Closes somebody else's change unwritten, with a reason. Raises NotAllowed, Invalid or WrongState."""
    change, _ = _lock(change_id, "refuse")
    require(permissions.may_change_rules(user))
    if user.pk == change.proposed_by_id:
        raise NotAllowed("You proposed this: withdraw it instead.", "four_eyes")
    if not reason.strip():
        raise Invalid("Say why, so that the proposer can act on it.", "reason")
    _decide(change, REFUSED, user, reason.strip(), at)
    _record("change.refused", change, reason.strip(), actor, at)
    notices.tell_of_change(change, "change.refused", at=at)
    return change


@verb("withdraw_change")
def withdraw(*, change_id: int, user: User, actor: Actor, at: datetime) -> ProposedChange:
    """Closes one's own change unwritten. Raises NotAllowed or WrongState."""
    change, _ = _lock(change_id, "withdraw")
    if user.pk != change.proposed_by_id or not user.is_active:
        raise NotAllowed(f"Only {change.proposed_by.display_name} can withdraw {change.reference}.", "not_proposer")
    _decide(change, WITHDRAWN, user, "", at)
    _record("change.withdrawn", change, None, actor, at)
    return change


def _lock(change_id: int, verb_name: str) -> tuple[ProposedChange, Kind]:
    rows = ProposedChange.objects.select_for_update(of=("self",)).select_related("proposed_by")
    change = rows.get(pk=change_id)
    if change.state != WAITING:
        raise WrongState(change.reference, verb_name, change.state)
    return change, KINDS[change.subject]


def _decide(change: ProposedChange, state: str, user: User, answer: str, at: datetime) -> None:
    values = {"state": state, "decided_by": user, "decided_at": at, "answer": answer}
    if ProposedChange.objects.filter(pk=change.pk, state=WAITING).update(**values) != 1:
        raise WrongState(change.reference, state, "decided meanwhile")
    for name, value in values.items():
        setattr(change, name, value)


def _record(event: str, change: ProposedChange, reason: str | None, actor: Actor, at: datetime) -> None:
    audit.record(
        event,
        actor=actor,
        subject=Subject("change", change.reference, f"{change.subject} {change.target}".strip()),
        at=at,
        reason=reason,
        data={"change": change.reference, "subject": change.subject, "target": change.target, "digest": change.digest},
    )
