"""One organisation with everything that an address can be about, three times: the requester's own, another team's in
the same AWS account, and another team's in another AWS account. Made by the real verbs, once for the whole table.

Each request of `THINGS` is in one state; a name like "blocked/own" says which, and whose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client

from iamroles import audit, canonical, invitations
from iamroles.audit import Actor, Subject, export
from iamroles.blueprints import PolicyState, RoleState, State, build_desired
from iamroles.blueprints import facts as facts_module
from iamroles.models import (
    AuditEvent,
    AwsAccount,
    ExportJob,
    Lease,
    ManagedRole,
    Notice,
    ObservationOrder,
    Proposal,
    ProposedChange,
    Request,
    Resolution,
    Run,
    User,
    VerificationOrder,
)
from iamroles.workflow import changes, organisation, people
from iamroles.workflow.check_role import check_role
from tests.integration.web_review import world

SHARED, FOREIGN = "444455556666", "777788889999"
OWN, OTHER_TEAM, OTHER_ACCOUNT = "own", "other_team", "other_account"
WHOSE: Final = (OWN, OTHER_TEAM, OTHER_ACCOUNT)
PASSWORD: Final = "correct horse battery"
# The columns of the table after "anonymous": who they are by group and team. Nobody has two jobs.
PEOPLE: Final = {
    "requester": ("rosa", (), ("orders",)),
    "colleague": ("theo", (), ("orders",)),
    "other_team": ("pia", (), ("payments",)),
    "owner": ("olu", ("orders-platform",), ()),
    "approver": ("amara", ("approvers",), ()),
    "security": ("mei", ("security",), ()),
    "auditor": ("idris", ("auditors",), ()),
    "operator": ("oskar", ("operators",), ()),
}
BEHIND: Final = {  # who acts before the table begins and has no column
    "ines": ("operators",),
    "paul": ("payments-platform",),
    "nils": (),
}


@dataclass
class World:
    """`things` by "state/whose"; `people` by column, and by login for those behind the scene."""

    accounts: dict[str, AwsAccount] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)
    things: dict[str, Any] = field(default_factory=dict)


def build(*, things: bool = True) -> World:
    """Makes the organisation and, with `things`, everything that addresses are about, which takes three seconds."""
    here = World()
    _organisation(here)
    if not things:
        return here
    for whose in WHOSE:
        for state, make in THINGS.items():
            here.things[f"{state}/{whose}"] = make(here, whose)
    _beside(here)
    return here


def _organisation(here: World) -> None:
    at = world.now()
    for number, name, owner in ((SHARED, "shared-staging", "orders-platform"), (FOREIGN, "far", "payments-platform")):
        here.accounts[name] = organisation.add_account(
            number=number, name=name, environment="staging", owner=owner, actor=world.SYSTEM, at=at
        )
    shared, foreign = here.accounts.values()
    for slug, accounts in (("orders", [shared]), ("payments", [shared, foreign])):
        organisation.add_team(slug=slug, name=slug.title(), accounts=accounts, actor=world.SYSTEM, at=at)
    wanted = {**PEOPLE, **{login: (login, groups, ()) for login, groups in BEHIND.items()}}
    for key, (login, groups, teams) in wanted.items():
        here.people[key] = organisation.add_person(
            login=login,
            first_name=login.title(),
            last_name="",
            password=PASSWORD if key == "requester" else None,
            groups=groups,
            teams=teams,
            actor=world.SYSTEM,
            at=at,
        )


def asks(here: World, whose: str) -> tuple[User, AwsAccount, str]:
    """Who asks for a thing, in which AWS account, for which team."""
    if whose == OWN:
        return here.people["requester"], here.accounts["shared-staging"], "orders"
    return here.people["other_team"], here.accounts["far" if whose == OTHER_ACCOUNT else "shared-staging"], "payments"


def facts_for(here: World, whose: str, name: str) -> Any:
    """What they ask for: a role of its own for each thing."""
    _, account, team = asks(here, whose)
    execution = (f"arn:aws:iam::{account.number}:role/ecsTaskExecutionRole",)
    task = (f"arn:aws:iam::{account.number}:role/{team}-task",)
    return world.facts_for(
        account, team=team, role_name=f"codedeploy-{team}-{name}", execution_roles=execution, task_roles=task
    )


def _draft(here: World, whose: str) -> Request:
    user, account, team = asks(here, whose)
    row = world.saved(user, facts_for(here, whose, "draft"))
    # The form checks the answers again when the draft is sent.
    return _answers(row, {**ROLE_ANSWERS, "team": team, "account": account.number, "role_name": row.role_name})


def _answers(row: Request, answers: dict[str, str]) -> Request:
    Request.objects.filter(pk=row.pk).update(answers=answers)
    row.refresh_from_db()
    return row


def _review(here: World, whose: str) -> Request:
    row = world.in_review(asks(here, whose)[0], facts_for(here, whose, "review"))
    _, account, team = asks(here, whose)
    # Told long ago, so that they may be reminded.
    Notice.objects.filter(request=row).update(at=world.now() - timedelta(hours=5))
    return _answers(row, {**ROLE_ANSWERS, "team": team, "account": account.number, "role_name": row.role_name})


def _old(here: World, whose: str) -> Request:
    """In review by a look at AWS that is too old to approve by. Whom it was told to is not of interest here."""
    row = world.in_review(asks(here, whose)[0], facts_for(here, whose, "old"))
    Proposal.objects.filter(revision__request=row).update(observed_at=world.now() - timedelta(hours=25))
    Notice.objects.filter(request=row).delete()
    return row


def _given_up(here: World, whose: str) -> Request:
    row = world.sent(asks(here, whose)[0], facts_for(here, whose, "given-up"))
    Request.objects.filter(pk=row.pk).update(next_try_at=None, tries=12, last_code="AccessDenied")
    return row


def _approved(here: World, whose: str, name: str = "approved") -> Request:
    return world.approved(world.in_review(asks(here, whose)[0], facts_for(here, whose, name)), here.people["approver"])


def _waiting(here: World, whose: str) -> Request:
    row = _approved(here, whose, "waiting")
    later = world.now() + timedelta(minutes=4)
    Run.objects.filter(pk=world.run_of(row, 1).pk).update(state="waiting", next_run_at=later)
    return row


def _stopped(reason: str, name: str = "") -> Callable[[World, str], Request]:
    def make(here: World, whose: str) -> Request:
        row = _approved(here, whose, name or reason)
        code = {"code": "AccessDenied"} if reason == "blocked" else {}
        world.stopped(world.run_of(row, 2), reason, **code)
        return row

    return make


def _equal(here: World, whose: str, name: str = "equal") -> Request:
    """Stopped, and a worker has just seen that AWS reads as approved."""
    row = _stopped("blocked", name)(here, whose)
    proposal = row.current_proposal()
    assert proposal is not None
    found: dict[str, Any] = {
        "state": "equal",
        "proposal_digest": proposal.digest,
        "live_digest": "3" * 64,
        "role": None,
        "parts": [],
    }
    _looked(row, found)
    return row


def _looked(row: Request, result: dict[str, Any]) -> None:
    at = world.now()
    assert row.account is not None
    ObservationOrder.objects.create(
        account=row.account,
        ordered_by=row.requester,
        request=row,
        role_name=row.role_name,
        at=at,
        answered_at=at,
        result=result,
    )


def _settled(here: World, whose: str) -> Request:
    """As `equal`, and another operator has stated that it is resolved."""
    row = _equal(here, whose, "settled")
    run = row.latest_run()
    assert run is not None
    Resolution.objects.create(
        run=run, claim="Attached by hand", proposed_by=here.people["ines"], proposed_at=world.now()
    )
    return row


def _held(here: World, whose: str) -> Request:
    """A worker that gives no sign holds it past its deadline, by AWS's clock too."""
    row = _approved(here, whose, "held")
    run = world.run_of(row, 1, under_way=True)
    assert row.account is not None
    past = world.now() - timedelta(seconds=60)
    arn = f"arn:aws:iam::{row.account.number}:role/{row.role_name}".lower()
    Lease.objects.create(account=row.account, resource=arn, owner="worker-1:abc", fence=run.fence, hard_until=past)
    _looked(row, {"state": "different", "parts": [], "aws_at": world.now().isoformat()})
    return row


def _applied(here: World, whose: str) -> Request:
    """Applied; the inventory holds its role."""
    row = _approved(here, whose, "applied")
    world.finished(world.run_of(row, 4))
    desired = build_desired(facts_module.read(row.revisions.latest("pk").facts))
    assert desired.role is not None
    assert row.account is not None
    assert row.team is not None
    role: RoleState = desired.role
    policies: dict[str, PolicyState | None] = dict(desired.policies)
    ManagedRole.objects.create(
        account=row.account,
        team=row.team,
        arn=role.arn,
        role_id=f"AROA{row.pk}",
        name_folded=role.name.lower(),
        request=row,
        desired=canonical.dumps(State(role.arn, role, policies).as_mapping()).decode(),
        since=world.now(),
    )
    return row


THINGS: Final[dict[str, Callable[[World, str], Request]]] = {
    "draft": _draft,
    "review": _review,
    "old": _old,
    "given_up": _given_up,
    "approved": _approved,
    "waiting": _waiting,
    "blocked": _stopped("blocked"),
    "quarantined": _stopped("quarantined"),
    "conflict": _stopped("conflict"),
    "equal": _equal,
    "settled": _settled,
    "held": _held,
    "applied": _applied,
}
ROLE_ANSWERS: Final = {
    "managed_policy": "limited",
    "execution_roles": "ecsTaskExecutionRole",
    "task_roles": "the-task",
    "reason": "Blue/green deployments, ORD-1204",
}


def _beside(here: World) -> None:
    """What is no request: checks, exports, events, changes, people."""
    for whose in WHOSE:
        applied = here.things[f"applied/{whose}"]
        here.things[f"managed/{whose}"] = ManagedRole.objects.get(request=applied)
        here.things[f"event/{whose}"] = AuditEvent.objects.filter(request=applied.reference).latest("pk")
        user, account, _ = asks(here, whose)
        here.things[f"check/{whose}"] = check_role(
            user=user,
            team=user.teams.get(),
            account=account,
            role_name="ecsCodeDeployRole",
            actor=world.actor(user),
            at=world.now(),
        )
        here.things[f"account/{whose}"] = account
    here.things["event/disclosed"] = _disclosed()
    _changes(here)
    _notices()
    _people(here)
    order = VerificationOrder.objects.create(ordered_by=here.people["ines"], at=world.now() - timedelta(hours=1))
    here.things["verification/-"] = order


def add_exports(here: World) -> None:
    """Ready exports of three people, cut at the newest checkpoint."""
    at, size = world.now(), export.find_cut(wait=0).size
    for whose, column in ((OWN, "requester"), (OTHER_TEAM, "other_team"), ("auditor", "auditor")):
        job = ExportJob.objects.create(
            spelled="csv", ordered_by=here.people[column], at=at, size=size, total=1, state="ready", shown_at=at
        )
        job.add_piece(b"id\r\n1\r\n")
        ExportJob.objects.filter(pk=job.pk).update(parts=1, length=7, rows=1, sha256="0" * 64)
        here.things[f"export/{whose}"] = job


def _disclosed() -> AuditEvent:
    """A refused sign-in whose typed name is kept beside the trail."""
    commitment = audit.commit("rosa")
    with transaction.atomic():
        event = audit.record(
            "session.refused",
            actor=Actor(type="anonymous", id=None, name="Somebody not signed in"),
            subject=Subject("session", "sign-in", "sign-in"),
            at=world.now(),
            outcome="refused",
            code="bad_credentials",
            data={"method": "password", "code": "bad_credentials", "typed_name": commitment.as_data()},
        )
        audit.disclose(event, "data.typed_name", commitment)
    return event


def _propose(user: User, subject: str, target: str, content: Any) -> ProposedChange:
    return changes.propose(
        subject=subject,
        target=target,
        content=content,
        reason="It is needed for the table",
        user=user,
        signed_in_at=world.now(),
        actor=world.actor(user),
        at=world.now(),
    )


def _changes(here: World) -> None:
    """One that another operator proposed, one that the operator of the table did."""
    Group.objects.get_or_create(name="reviewers")
    here.things["change/anothers"] = _propose(here.people["ines"], "group", "reviewers", {"members": ["nils"]})
    here.things["change/operators"] = _propose(here.people["operator"], "team", "payments", {"accounts": []})


def _notices() -> None:
    """One that the mail server would not take."""
    last = Notice.objects.order_by("pk").last()
    assert last is not None
    Notice.objects.filter(pk=last.pk).update(tries=8, next_try_at=None, code="SMTPConnectError")


def _people(here: World) -> None:
    ines = here.people["ines"]
    given: dict[str, Any] = {"user": ines, "signed_in_at": world.now(), "actor": world.actor(ines), "at": world.now()}
    here.things["person/active"] = here.people["nils"]
    invited = people.invite(email="una@example.org", first_name="Una", last_name="Berg", **given)
    here.things["person/invited"] = invited
    gone = people.invite(email="zoe@example.org", first_name="Zoe", last_name="Hall", **given)
    here.things["person/gone"] = people.deactivate(person_id=gone.pk, reason="Left the company", **given)
    here.things["invitation/sent"] = invitations.path(invited)
    elsewhere = Client()
    elsewhere.force_login(here.people["requester"], backend="django.contrib.auth.backends.ModelBackend")
    here.things["session/own"] = UserSession.objects.create(
        user=here.people["requester"], ip="127.0.0.1", session_key=elsewhere.session.session_key, user_agent="Firefox/1"
    )
