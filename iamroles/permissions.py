"""Who may do what: pure decisions over loaded rows, each with a code and a reason that is shown and recorded.

Deny by default: a person without a row that allows it may not. Verbs ask here; pages ask here what to offer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Cast, Concat, LPad

from iamroles.models import AuditEvent, AwsAccount, GroupMembership, ManagedPolicy, ManagedRole, Request, Team, User
from iamroles.rules import groups

Row = TypeVar("Row", ManagedRole, ManagedPolicy)


@dataclass(frozen=True)
class Allowance:
    """Whether something is allowed. `code` is for events, `reason` a sentence for the person."""

    allowed: bool
    code: str = ""
    reason: str = ""


YES = Allowance(True)
_SEES_ALL = frozenset({groups.APPROVERS, groups.SECURITY, groups.AUDITORS, groups.OPERATORS})


def group_dates(user: User) -> dict[str, datetime | None]:
    """Returns the person's groups today, each with the moment since when; none for somebody deactivated.

    None where no date is known. One query, kept on the row.
    """
    if not user.is_active or not user.pk:
        return {}
    load_group_dates([user])
    known: dict[str, datetime | None] = user._group_dates  # type: ignore[attr-defined]
    return known


def load_group_dates(people: Iterable[User]) -> None:
    """Reads `group_dates` for everybody of whom it is not known yet. One query, none for nobody."""
    asked = [user for user in people if not hasattr(user, "_group_dates")]
    if not asked:
        return
    found: dict[int, dict[str, datetime | None]] = {user.pk: {} for user in asked}
    dates = GroupMembership.objects.filter(user=OuterRef("user"), group=OuterRef("group"))
    held = User.groups.through.objects.filter(user__in=found)
    for person, name, at in held.values_list("user", "group__name", Subquery(dates.values("since"))):
        found[person][name] = at
    for user in asked:
        user._group_dates = found[user.pk]  # type: ignore[attr-defined]


def group_names(user: User) -> frozenset[str]:
    """Returns the names of the person's groups today; none for somebody deactivated."""
    return frozenset(group_dates(user))


def may_request(user: User, team: Team | None, account: AwsAccount | None) -> Allowance:
    """Returns whether the person may ask for this team in this AWS account."""
    if not user.is_active:
        return Allowance(False, "inactive", "This person is deactivated.")
    if team is None or not team.members.filter(pk=user.pk).exists():
        return Allowance(False, "not_member", "You can ask only for a team that you belong to.")
    if account is None or not team.accounts.filter(pk=account.pk).exists():
        name = account.name if account else "This AWS account"
        return Allowance(
            False, "account_not_allowed", f"{name} is not among the AWS accounts of {team.name}. Ask an operator."
        )
    return YES


def may_edit(user: User, request: Request) -> Allowance:
    """Returns whether the person may edit, send or discard this request: its requester alone."""
    if request.requester_id != user.pk or not user.is_active:
        return Allowance(
            False, "not_requester", f"Only {request.requester.display_name} can change {request.reference}."
        )
    return YES


def may_withdraw(user: User, request: Request) -> Allowance:
    """Returns whether the person may withdraw this request: its requester alone."""
    return may_edit(user, request)


def sees_all(user: User) -> bool:
    """Returns whether the person reads all requests that were sent and the inventory: everybody with a portal group."""
    return not _SEES_ALL.isdisjoint(group_names(user))


def may_see(user: User, request: Request) -> Allowance:
    """Returns whether the person may read this request: its requester and team, and everybody with a portal group."""
    if not user.is_active:
        return Allowance(False, "inactive", "This person is deactivated.")
    if request.requester_id == user.pk or sees_all(user):
        return YES
    if request.account and request.account.owner.name in group_names(user):
        return YES
    if request.team and request.team.members.filter(pk=user.pk).exists():
        return YES
    return Allowance(False, "not_involved", f"{request.reference} belongs to another team.")


def visible_requests(user: User) -> QuerySet[Request]:
    """Returns the requests that `may_see` allows, as one query. Others' drafts are never among them."""
    rows = Request.objects.all()
    if not sees_all(user):
        owned = Q(account__owner__name__in=group_names(user))
        rows = rows.filter(Q(requester=user) | Q(team__in=user.teams.all()) | owned)
    return rows.exclude(Q(state="draft") & ~Q(requester=user))


def visible_accounts(user: User) -> QuerySet[AwsAccount]:
    """Returns the AWS accounts that the person may see requests of, to choose from in lists of requests."""
    if sees_all(user):
        return AwsAccount.objects.all()
    return AwsAccount.objects.filter(Exists(visible_requests(user).filter(account=OuterRef("pk"))))


def visible_roles(user: User) -> QuerySet[ManagedRole]:
    """Returns the roles of the inventory that the person may see: the team's, the AWS account's owner's, or all."""
    return _visible_rows(user, ManagedRole.objects.all())


def visible_policies(user: User) -> QuerySet[ManagedPolicy]:
    """Returns the deployer policies of the inventory that the person may see, by the same rule as roles."""
    return _visible_rows(user, ManagedPolicy.objects.all())


def _visible_rows(user: User, rows: QuerySet[Row]) -> QuerySet[Row]:
    if sees_all(user):
        return rows
    if not user.is_active:
        return rows.none()
    return rows.filter(Q(team__in=user.teams.all()) | Q(account__owner__name__in=group_names(user)))


def may_review(user: User) -> Allowance:
    """Returns whether the person sees the approval queue: those with a portal group, and AWS accounts' owners."""
    if sees_all(user) or AwsAccount.objects.filter(owner__name__in=group_names(user)).exists():
        return YES
    return Allowance(False, "not_eligible", "The approval queue is for approvers. Ask an operator to be added.")


def may_read_all_audit(user: User) -> Allowance:
    """Returns whether the person reads every event; others read the events of requests that they may see."""
    if group_names(user) & {groups.AUDITORS, groups.SECURITY, groups.OPERATORS}:
        return YES
    return Allowance(False, "not_auditor", "You see the events of your own and your team's requests.")


def visible_events(user: User) -> QuerySet[AuditEvent] | None:
    """Returns the events that a person may read, or None for every event.

    Without the right to all, these are the events of requests that the person may see, and the person's own acts.
    """
    if may_read_all_audit(user).allowed:
        return None
    references = visible_requests(user).annotate(reference_text=_reference()).values("reference_text")
    return AuditEvent.objects.filter(Q(request__in=references) | Q(actor_type="user", actor_id=str(user.pk)))


def _reference() -> Case:
    """The reference of a request in SQL; LPAD alone would cut numbers of more than six digits."""
    digits = Cast("pk", CharField())
    return Case(
        When(pk__lt=1_000_000, then=Concat(Value("REQ-"), LPad(digits, 6, Value("0")))),
        default=Concat(Value("REQ-"), digits),
        output_field=CharField(),
    )


def may_operate(user: User) -> Allowance:
    """Returns whether the person may use operators' verbs and pages."""
    if groups.OPERATORS in group_names(user):
        return YES
    return Allowance(False, "not_operator", "This page is for operators.")


def _is(user: User, path: str = "") -> Q:
    """The row at `path` is the person, by whichever sign-in: two with one e-mail address are one person."""
    address = user.email.strip()
    own = Q(**{f"{path}pk": user.pk})
    return own | Q(**{f"{path}email__iexact": address}) if address else own


def involved_in(user: User, request_ids: Iterable[int]) -> frozenset[int]:
    """Returns which of these requests the person asked for, wrote a revision of, or ever approved. One query."""
    theirs = _is(user, "requester__") | _is(user, "revisions__created_by__")
    theirs |= _is(user, "decisions__approver__") & Q(decisions__decision="approve")
    rows = Request.objects.filter(theirs, pk__in=list(request_ids))
    return frozenset(rows.values_list("pk", flat=True))


def _may_act_on(user: User, request: Request) -> Allowance:
    """Operators, but not one who asked for the request, wrote a revision of it or ever approved it."""
    allowed = may_operate(user)
    if not allowed.allowed:
        return allowed
    if request.pk in involved_in(user, [request.pk]):
        reason = f"You asked for {request.reference} or approved it, so another operator must do this."
        return Allowance(False, "involved", reason)
    return YES


def may_retry(user: User) -> Allowance:
    """Returns whether the person may order a new run of a blocked request."""
    return may_operate(user)


def may_release(user: User, request: Request) -> Allowance:
    """Returns whether the person may let a quarantined request go on."""
    return _may_act_on(user, request)


def may_renew_plan(user: User) -> Allowance:
    """Returns whether the person may have the plan of a stopped request made again."""
    return may_operate(user)


def may_abandon(user: User) -> Allowance:
    """Returns whether the person may close a stopped request as it is."""
    return may_operate(user)


def may_propose_resolution(user: User, request: Request) -> Allowance:
    """Returns whether the person may state that a stopped request is settled."""
    return _may_act_on(user, request)


def may_confirm_resolution(user: User, request: Request, proposed_by: int) -> Allowance:
    """Returns whether the person may confirm what another operator stated about a stopped request."""
    if User.objects.filter(_is(user), pk=proposed_by).exists():
        return Allowance(False, "four_eyes", "You proposed this, so another operator must confirm it.")
    return _may_act_on(user, request)


def may_see_to_follow_up(user: User) -> Allowance:
    """Returns whether the person may have a stopped follow-up tried again, or end it once a look shows it done."""
    return may_operate(user)


def may_force_lease(user: User, request: Request) -> Allowance:
    """Returns whether the person may take a lease away from a worker that does not answer."""
    return _may_act_on(user, request)


def may_look_again(user: User) -> Allowance:
    """Returns whether the person may order a look at AWS after the worker gave up."""
    return may_operate(user)


def may_check_against_aws(user: User) -> Allowance:
    """Returns whether the person may have AWS held against what a request asked for."""
    return may_operate(user)


def may_try_now(user: User) -> Allowance:
    """Returns whether the person may end the wait of a run."""
    return may_operate(user)


def may_pause_account(user: User) -> Allowance:
    """Returns whether the person may hold up additions to an AWS account, and let them go on."""
    return may_operate(user)


def may_pause_everything(user: User) -> Allowance:
    """Returns whether the person may turn the kill switch on and off."""
    return may_operate(user)


def may_change_rules(user: User) -> Allowance:
    """Returns whether the person may propose, and confirm somebody else's, changes of rules, groups and records."""
    if group_names(user) & {groups.OPERATORS, groups.SECURITY}:
        return YES
    return Allowance(False, "not_operator", "Changes of rules and people are for operators and security.")


def may_read_rules(user: User) -> Allowance:
    """Returns whether the person reads the rules and what waits to change them: everybody with a portal group."""
    if sees_all(user):
        return YES
    return may_change_rules(user)
