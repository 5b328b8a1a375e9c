"""Whose approval counts for a revision, and who could still give one. Used by verbs, the claim and pages alike.

A person counts once, for groups that they are in today and were in when a person last sent the request: a worker's or
an operator's new revision makes nobody eligible. Never count: the requester, whoever wrote a revision of the request,
whoever invited one of these or put them into the request's team, and whoever changed the approval rules or the AWS
account's record since it was last sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.facts import Facts
from iamroles.models import (
    AwsAccount,
    Decision,
    Membership,
    Proposal,
    ProposedChange,
    Request,
    Revision,
    Team,
    User,
    current_rules,
)
from iamroles.models.changes import CONFIRMED
from iamroles.permissions import YES, Allowance, group_dates, group_names, load_group_dates
from iamroles.proposal import estimate
from iamroles.proposal.propose import Envelope
from iamroles.rules import account_rules, approval, approval_rules, groups, standard
from iamroles.rules.account_rules import AccountRules
from iamroles.rules.approval import Approval, Requirement

RULES, ACCOUNT, ACCOUNT_RULES = "approval_rules", "account", "account_rules"  # changes that keep their authors out
_BARRING = {
    RULES: "the approval rules",
    ACCOUNT: "the AWS account's record",
    ACCOUNT_RULES: "the AWS account's standard or guardrail",
}
SENT = "submitted"  # the cause of a revision that a person sent; other revisions are a worker's or an operator's


Entries = Mapping[tuple[int, int], Membership]  # by the ids of team and person


@dataclass(frozen=True)
class Bars:
    """Who cannot count for a revision, by person, and the moment since when groups must be held."""

    people: Mapping[str, Allowance]
    since: datetime


def person_of(user: User) -> str:
    """Returns the natural person behind a sign-in: two sign-ins with one e-mail address are one person."""
    return user.email.strip().casefold() or f"user {user.pk}"


def bars_for(revisions: Iterable[Revision]) -> dict[int, Bars]:
    """Returns the bars of these revisions by their id. Four queries, however many there are."""
    wanted = list(revisions)
    rows = Revision.objects.filter(request__in=[revision.request_id for revision in wanted])
    written: dict[int, list[Revision]] = {}
    related = ("created_by__invited_by", "request__requester__invited_by", "request__account")
    for row in rows.select_related(*related).order_by("number"):
        written.setdefault(row.request_id, []).append(row)
    sent = {revision.pk: _last_sent(written[revision.request_id], revision) for revision in wanted}
    changes = _changes(min(sent.values())) if sent else []
    asking = {pk for rows in written.values() for row in rows for pk in (row.created_by_id, row.request.requester_id)}
    known = entries(team__in={rows[0].request.team_id for rows in written.values()}, user__in=asking)
    return {revision.pk: _bars(written[revision.request_id], sent[revision.pk], changes, known) for revision in wanted}


def _last_sent(written: list[Revision], revision: Revision) -> datetime:
    return max(
        (row.created_at for row in written if row.cause == SENT and row.number <= revision.number),
        default=revision.created_at,
    )


def _changes(since: datetime) -> list[ProposedChange]:
    rows = ProposedChange.objects.filter(state=CONFIRMED, decided_at__gte=since, subject__in=_BARRING)
    return list(rows.select_related("proposed_by", "decided_by"))


def entries(**only: Any) -> Entries:
    """Returns the memberships of teams that an operator gave, narrowed by `only`. One query."""
    rows = Membership.objects.filter(added_by__isnull=False, **only).select_related("user", "team", "added_by")
    return {(row.team_id, row.user_id): row for row in rows}


def let_in(asking: Iterable[User], team_id: int | None, known: Entries) -> dict[str, Allowance]:
    """Returns who invited these people or put them into the team, by person: the sign-ins may be one person's."""
    people: dict[str, Allowance] = {}
    for user in asking:
        entry = known.get((team_id or 0, user.pk))
        if entry is not None and entry.added_by is not None:
            reason = f"You put {user.display_name} into the team {entry.team.name}, so someone else must approve this."
            people.setdefault(person_of(entry.added_by), Allowance(False, "let_in", reason))
        if user.invited_by is not None:
            reason = f"You invited {user.display_name}, so someone else must approve this."
            people[person_of(user.invited_by)] = Allowance(False, "let_in", reason)
    return people


def _bars(written: list[Revision], sent: datetime, changes: list[ProposedChange], known: Entries) -> Bars:
    request = written[0].request
    number = request.account.number if request.account else ""
    people: dict[str, Allowance] = {}
    for change in changes:
        if (
            change.decided_at is None
            or change.decided_at < sent
            or account_rules.parts_of(change.target)[0] not in ("", number)
        ):
            continue
        reason = f"You changed {_BARRING[change.subject]} after this was sent, so someone else must approve it."
        for user in (change.proposed_by, change.decided_by):
            if user is not None:
                people[person_of(user)] = Allowance(False, "changed_rules", reason)
    people |= let_in([request.requester, *(row.created_by for row in written)], request.team_id, known)
    for row in written:
        reason = "You edited this request, so someone else must approve it."
        people[person_of(row.created_by)] = Allowance(False, "editor", reason)
    reason = "You asked for this, so someone else must approve it."
    people[person_of(request.requester)] = Allowance(False, "self_approval", reason)
    return Bars(people, sent)


def groups_since(user: User, moment: datetime) -> frozenset[str]:
    """Returns the groups that the person is in today and has been in since `moment`; undated membership is none."""
    return frozenset(name for name, since in group_dates(user).items() if since is not None and since <= moment)


def requirements_of(proposal: Proposal) -> list[Requirement]:
    """Returns what must hold for a stored proposal."""
    return [Requirement.from_mapping(value) for value in proposal.requirements]


def deciding_groups(proposal: Proposal) -> list[str]:
    """Returns the groups whose people decide. What nobody can approve is sent back or rejected by approvers."""
    found = dict.fromkeys(name for needed in requirements_of(proposal) for name in needed.groups)
    return list(found) or [groups.APPROVERS]


def may_decide(user: User, proposal: Proposal, bars: Bars | None = None) -> Allowance:
    """Returns whether this person's decision on a proposal's revision may count."""
    bars = bars or bars_for([proposal.revision])[proposal.revision_id]
    barred = bars.people.get(person_of(user))
    if barred is not None:
        return barred
    wanted = deciding_groups(proposal)
    if group_names(user).isdisjoint(wanted):
        return Allowance(False, "not_eligible", f"Decisions on this request are made by: {', '.join(sorted(wanted))}.")
    if groups_since(user, bars.since).isdisjoint(wanted):
        reason = "You joined the group after this was sent, so someone else must approve it."
        return Allowance(False, "joined_later", reason)
    return YES


def counting(decisions: Iterable[Decision], bars: Bars) -> list[Approval]:
    """Returns the approvals among loaded decisions of one revision that count today."""
    return [
        Approval(person_of(row.approver), groups_since(row.approver, bars.since))
        for row in decisions
        if row.decision == "approve" and not row.ended_by and person_of(row.approver) not in bars.people
    ]


def counted_when_given(decisions: Iterable[Decision]) -> list[Approval]:
    """Returns the standing approvals among loaded decisions, for the groups that they were counted for."""
    standing = (row for row in decisions if row.decision == "approve" and not row.ended_by)
    return [Approval(person_of(row.approver), frozenset(row.groups)) for row in standing]


def counting_approvals(revision: Revision) -> list[Approval]:
    """Returns the standing approvals of a revision that count with today's rights."""
    rows = Decision.objects.filter(revision=revision, decision="approve", ended_by="").select_related("approver")
    load_group_dates(row.approver for row in rows)
    return counting(rows, bars_for([revision])[revision.pk])


def people_of(names: Iterable[str], *, besides: Iterable[User] = ()) -> list[User]:
    """Returns the active people of these groups; the groups and dates of them and of those `besides` are loaded.

    Two queries, one without names.
    """
    people = list(User.objects.filter(is_active=True, groups__name__in=list(names)).distinct().order_by("pk"))
    load_group_dates([*people, *besides])
    return people


def could_approve(proposal: Proposal, bars: Bars, people: Iterable[User] | None = None) -> list[User]:
    """Returns the people whose approval would count, whether they have given it or not.

    `people` are the loaded people of these groups and others, for lists of requests; else they are read.
    """
    wanted = frozenset(deciding_groups(proposal))
    return [
        user
        for user in (people_of(wanted) if people is None else people)
        if person_of(user) not in bars.people and groups_since(user, bars.since) & wanted
    ]


def unfilled(requirements: Iterable[Requirement], people: Iterable[User], bars: Bars) -> tuple[str, ...]:
    """Returns the seats that nobody could fill even if all of these people approved; () for a staffed request."""
    able = [Approval(person_of(user), groups_since(user, bars.since)) for user in people]
    return approval.quorum(requirements, (one for one in able if one.person not in bars.people)).missing


def expected(facts: Facts, account: AwsAccount, requester: User) -> tuple[Requirement, ...]:
    """Returns what a request of these facts will need at least, by today's rules; () if it would be forbidden."""
    envelope = Envelope(
        request="",
        revision=0,
        requester=str(requester.pk),
        owner_group=account.owner.name,
        expires_at="",
        managed_here=True,
        rules=current_rules(),
        environment=account.environment,
    )
    return estimate.best_case(facts, envelope).requirements


def unstaffed(requirements: Iterable[Requirement], requester: User, team: Team | None, at: datetime) -> tuple[str, ...]:
    """Returns the seats that nobody could fill of a request that this person sends now for the team."""
    wanted = list(requirements)
    if not wanted:
        return ()
    known = entries(team=team, user=requester) if team else {}
    barred = let_in([requester], team.pk if team else None, known)
    bars = Bars({**barred, person_of(requester): Allowance(False, "self_approval")}, at)
    return unfilled(wanted, people_of(name for needed in wanted for name in needed.groups), bars)


def missing_words(seats: Iterable[str]) -> str:
    """Returns the empty seats in words: "1 of security and 2 of approvers"."""
    counted: dict[str, int] = {}
    for name in seats:
        counted[name] = counted.get(name, 0) + 1
    return " and ".join(f"{count} of {name}" for name, count in counted.items())


def look_too_old(proposal: Proposal, at: datetime) -> bool:
    """Returns whether the look at AWS behind a proposal is too old to approve by (ROLEDESK_LOOK_HOLDS_HOURS)."""
    return at - proposal.observed_at > timedelta(hours=settings.ROLEDESK_LOOK_HOLDS_HOURS)


def outdated(request: Request, proposal: Proposal, content: Mapping[str, Any]) -> str:
    """Returns why a proposal must be made anew before anybody approves or applies it, as a code; "" when it stands.

    `content` is today's version of the approval rules. The AWS account's record must be the one that was proposed for.
    Raises ValueError for facts that cannot be read.
    """
    if proposal.body["rules_digest"] != approval_rules.digest(content):
        return "rule_changed"
    account = request.account
    if account is None or proposal.body["owner_group"] != account.owner.name:
        return "owner_changed"
    facts = facts_module.read(proposal.revision.facts)
    if facts.account != account.facts() or proposal.body["subject"]["environment"] != account.environment:
        return "account_changed"
    if proposal.body.get("removes_only"):  # proved to add nothing, so nothing that limits what is added holds it up
        return ""
    service = facts_module.service_of(facts)
    today = standard.digests(facts.account, service, account.rules())
    unset = standard.digests(facts.account, service, AccountRules())  # as it was before there were any
    for kind, digest in proposal.body.get("account_rules", unset).items():
        if today.get(kind) != digest:
            return "standard_changed" if kind == "standard" else "guardrail_changed"
    return ""
