"""Sending a request: a new immutable revision, all earlier approvals void, and a worker rung to look at AWS."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet

from iamroles import canonical, doorbell, eligibility, permissions
from iamroles.audit import Actor
from iamroles.blueprints import answers, build_desired, role_answers
from iamroles.blueprints import facts as facts_module
from iamroles.blueprints.facts import DEPLOYER, GRANT, INFRASTRUCTURE, ROLE, DeployerFacts, Facts, RemovalFacts
from iamroles.models import AwsAccount, ManagedPolicy, ManagedRole, Request, Revision, Team, User
from iamroles.proposal import wording
from iamroles.rules import states
from iamroles.transitions import move_request, void_decisions
from iamroles.workflow.verbs import Invalid, NotAllowed, lock, require, verb


def _require_managed(facts: RemovalFacts, team: Team | None, account: AwsAccount) -> None:
    """Only what the inventory holds for the team can be removed. Raises Invalid."""
    if facts.role_arn is None:
        held = ManagedPolicy.objects.filter(account=account, team=team, holder=facts.role_name, arn__in=facts.policies)
        if len(facts.policies) != 1 or not held.exists():
            raise Invalid("Not every named policy is a deployer policy of your team.", "role_name")
        return
    rows = ManagedRole.objects.filter(account=account, team=team, arn=facts.role_arn)
    row = rows.filter(name_folded=facts.role_name.lower()).first()
    if row is None:
        raise Invalid(f"{facts.role_name} in {account.name} is not managed for your team.", "role_name")
    stored: Any = canonical.loads(row.desired)
    if not set(facts.policies) <= {arn for arn, policy in stored["policies"].items() if policy}:
        raise Invalid(f"Not every named policy is one that was made for {facts.role_name}.", "policy_name")


def _open(account: AwsAccount) -> QuerySet[Request]:
    return Request.objects.filter(account=account).exclude(state__in=(states.DRAFT, states.CLOSED))


def _require_new_name(facts: DeployerFacts, account: AwsAccount, request: Request) -> None:
    """A deployer policy is never changed, so no other one may have its name, ignoring case. Raises Invalid."""
    name = facts.policy_name
    if ManagedPolicy.objects.filter(account=account, name_folded=name.lower()).exists():
        raise Invalid(f"{name} exists and a deployer policy is never changed. Enter another name.", "policy_name")
    others = _open(account).filter(kind=DEPLOYER).exclude(pk=request.pk)
    for text, pk in Revision.objects.filter(request__in=others, number=F("request__revision_number")).values_list(
        "facts", "request"
    ):
        asked = facts_module.read(text)
        if isinstance(asked, DeployerFacts) and asked.policy_name.lower() == name.lower():
            raise Invalid(f"REQ-{pk:06d} asks for {asked.policy_name} already. Enter another name.", "policy_name")


def _require_one_spelling(facts: Facts, account: AwsAccount) -> None:
    """IAM's role names are unique ignoring case. Raises Invalid for another spelling of a known role."""
    known = ManagedRole.objects.filter(account=account, name_folded=facts.role_name.lower())
    asked = _open(account).filter(role_name__iexact=facts.role_name, kind__in=(ROLE, GRANT, INFRASTRUCTURE))
    spelt = {row.arn.rsplit("/", 1)[-1] for row in known} | set(asked.values_list("role_name", flat=True))
    others = sorted(spelt - {facts.role_name})
    if others:
        raise Invalid(f"{account.name} knows this role as {others[0]}: capitals matter. Enter that name.", "role_name")


def _require_staff(facts: Facts, account: AwsAccount, user: User, team: Team | None, at: datetime) -> None:
    """A request that nobody could approve is not sent. Raises Invalid, naming who is missing."""
    missing = eligibility.unstaffed(eligibility.expected(facts, account, user), user, team, at)
    if missing:
        who = eligibility.missing_words(missing)
        raise Invalid(
            f"Nobody could approve this: besides you it lacks {who}. Ask an operator to add people, then send it.",
            code="unstaffed",
        )


@verb("submit")
def submit(*, request_id: int, user: User, facts: Facts, reason: str, actor: Actor, at: datetime) -> Request:
    """Makes the next revision from facts and moves the request to submitted.

    Raises NotAllowed (not the requester, not the team's AWS account), Invalid (the facts or the reason are wrong),
    WrongState (the request cannot be sent any more).
    """
    request = lock(request_id)
    require(permissions.may_edit(user, request))
    team = Team.objects.filter(slug=facts.team).first()
    account = AwsAccount.objects.select_related("owner").filter(number=facts.account.number).first()
    require(permissions.may_request(user, team, account))
    if account is None or facts.account != account.facts():
        raise NotAllowed("The AWS account's record changed while you typed. Open the form again.", "account_changed")
    if isinstance(facts, RemovalFacts):
        _require_managed(facts, team, account)
    if isinstance(facts, DeployerFacts):
        _require_new_name(facts, account, request)
    elif facts.role_arn is not None:
        _require_one_spelling(facts, account)
    problems = (*answers.check(facts), *answers.checked_reason(reason), *role_answers.checked_why_full(facts))
    if problems:
        raise Invalid(problems[0].message, problems[0].field, problems[0].id)
    _require_staff(facts, account, user, team, at)
    void_decisions(request, cause="edited", actor=actor, at=at)
    text = facts_module.write(facts)
    revision = Revision.objects.create(
        request=request,
        number=request.revision_number + 1,
        facts=text,
        desired_digest=build_desired(facts).digest(),
        reason=reason.strip(),
        created_by=user,
        created_at=at,
    )
    move_request(
        request,
        "submit",
        event="request.submitted",
        actor=actor,
        at=at,
        reason=revision.reason,
        data={"revision": revision.number, "facts_digest": canonical.digest(canonical.loads(text))},
        fields={
            "team": team,
            "account": account,
            "role_name": facts.role_name,
            "title": wording.short_title(facts),
            "revision_number": revision.number,
            "submitted_at": at,
            "approved_at": None,
            "risk": "",
            "next_try_at": at,
            "tries": 0,
            "last_code": "",
        },
    )
    doorbell.ring(doorbell.OBSERVE, request_id=request.pk)
    return request
