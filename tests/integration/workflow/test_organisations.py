"""Random organisations, through the verbs: nobody approves their own in any disguise, and no request waits for ever.

People have several sign-ins, groups they joined too late, and requests of each other; rules ask for AND and OR. An
oracle of this file's own, which tries every assignment of people to seats, says what each request must end as.
`ORGANISATIONS=1000` runs more (default 25), `SEED=…` begins elsewhere; a failure prints its seed.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import permutations
from typing import Final

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction

from iamroles.blueprints import RoleFacts
from iamroles.blueprints.facts import default_policy_description, default_policy_name
from iamroles.eligibility import bars_for
from iamroles.engine.expire import expire_due
from iamroles.models import AuditEvent, AwsAccount, Decision, Membership, Request, User
from iamroles.pages.progress import decisions_by_revision, staff_of
from iamroles.rules import approval_rules
from iamroles.rules.approval_rules import STARTING_RULES
from iamroles.transitions import WrongState
from iamroles.workflow import changes, decide, memberships, organisation
from iamroles.workflow.verbs import Invalid, NotAllowed
from tests.integration.workflow.conftest import AT, SYSTEM, actor, observed, send
from tests.integration.workflow.test_decide import give

COUNT: Final = int(os.environ.get("ORGANISATIONS", "25"))
SEED: Final = int(os.environ.get("SEED", "20261125"))
GROUPS: Final = ("approvers", "security", "orders-platform")
LATER: Final = AT + timedelta(seconds=30)  # after every request was sent


@dataclass
class Member:
    """One sign-in: the natural person behind it, the groups held in time, those joined too late, and who let it in."""

    user: User
    person: str
    groups: frozenset[str]
    late: frozenset[str]
    let_in_by: str = ""


@dataclass
class Organisation:
    """What this file remembers of it. `needs` are the seats that every request has, by the rules as it made them."""

    dice: random.Random
    account: AwsAccount
    members: list[Member] = field(default_factory=list)
    needs: list[frozenset[str]] = field(default_factory=list)
    asks_both: bool = False  # of somebody AND somebody, and of one group OR another

    def seats(self, *, high: bool) -> list[frozenset[str]]:
        return [*self.needs, *([frozenset({"security"})] if high else [])]

    def reachable(self, requester: Member, *, high: bool) -> bool:
        """Whether some assignment gives each seat a natural person of its own, never the requester or who let them in.

        So two who invited each other's people cannot approve for each other in a circle.
        """
        people: dict[str, frozenset[str]] = {}
        for member in self.members:
            if member.person not in (requester.person, requester.let_in_by) and member.user.is_active:
                people[member.person] = people.get(member.person, frozenset()) | member.groups
        seats = self.seats(high=high)
        return any(
            all(people[person] & seat for person, seat in zip(chosen, seats, strict=True))
            for chosen in permutations(people, len(seats))
        )


def facts_of(account: AwsAccount, *, high: bool) -> RoleFacts:
    return RoleFacts(
        account=account.facts(),
        team="orders",
        managed_policy="full" if high else "limited",
        task_roles=("arn:aws:iam::111122223333:role/orders-api-task",),
        policy_name=default_policy_name("ecsCodeDeployRole"),
        policy_description=default_policy_description("ecsCodeDeployRole"),
    )


def made(dice: random.Random) -> Organisation:
    """An organisation with one to six sign-ins besides two operators, under rules of its own."""
    account = organisation.add_account(
        number="111122223333",
        name="orders-staging",
        environment="staging",
        owner="orders-platform",
        actor=SYSTEM,
        at=AT,
    )
    organisation.add_team(slug="orders", name="Orders", accounts=[account], actor=SYSTEM, at=AT)
    here = Organisation(dice, account)
    for name in GROUPS:
        Group.objects.get_or_create(name=name)
    for number in range(dice.randint(1, 6)):
        here.members.append(member(here, f"p{number}"))
    set_rules(here)
    return here


def member(here: Organisation, login: str) -> Member:
    """One more sign-in; now and then of somebody who has one already."""
    dice = here.dice
    groups = frozenset(name for name in GROUPS if dice.random() < 0.45)
    user = organisation.add_person(
        login=login,
        first_name=login.title(),
        last_name="",
        password=None,
        groups=sorted(groups),
        teams=("orders",),
        actor=SYSTEM,
        at=AT,
    )
    person = dice.choice(here.members).person if here.members and dice.random() < 0.2 else f"{login}@example.org"
    spelt = person.upper() if dice.random() < 0.5 else person
    User.objects.filter(pk=user.pk).update(email=spelt)
    late = frozenset(name for name in GROUPS if name not in groups and dice.random() < 0.15)
    let_in_by = let_in(here, user)
    return Member(User.objects.get(pk=user.pk), person, groups, late, let_in_by)


def let_in(here: Organisation, user: User) -> str:
    """Now and then another member invited them, or put them into the team. Returns that person, or ""."""
    if not here.members or here.dice.random() < 0.6:
        return ""
    by = here.dice.choice(here.members)
    if here.dice.random() < 0.5:
        User.objects.filter(pk=user.pk).update(invited_by=by.user)
    else:
        Membership.objects.filter(user=user).update(added_by=by.user)
    return by.person


def set_rules(here: Organisation) -> None:
    """Rules of one to three seats, AND and OR; high risk needs one of security more."""
    dice = here.dice
    needs = [sorted(dice.sample(GROUPS, dice.randint(1, 2))) for _ in range(dice.randint(1, 3))]
    distinct = [list(names) for names in dict.fromkeys(map(tuple, needs))]
    counts = [needs.count(names) for names in distinct]
    asked = [
        {"any_of": ["@owner" if name == "orders-platform" else name for name in names], "count": count}
        for names, count in zip(distinct, counts, strict=True)
    ]
    rules = [
        {"when": {}, "needs": asked, "why": "What every request needs."},
        {
            "when": {"risk": ["high"]},
            "needs": [{"any_of": ["security"], "count": 1 + needs.count(["security"])}],
            "why": "High risk needs security.",
        },
    ]
    content = {**STARTING_RULES, "version": 2, "rules": rules}
    assert approval_rules.check(content) == ()
    first, second = (
        organisation.add_person(
            login=login,
            first_name=login,
            last_name="",
            password=None,
            groups=("operators",),
            teams=(),
            actor=SYSTEM,
            at=AT,
        )
        for login in ("oskar", "ines")
    )
    before = AT - timedelta(seconds=1)
    change = changes.propose(
        subject="approval_rules",
        target="",
        content=content,
        reason="This organisation's own rules.",
        user=first,
        signed_in_at=before,
        actor=actor(first),
        at=before,
    )
    changes.confirm(
        change_id=change.pk, seen_digest=change.digest, user=second, signed_in_at=before, actor=actor(second), at=before
    )
    here.needs = [frozenset(names) for names in needs]
    here.asks_both = len(needs) > 1 and any(len(names) > 1 for names in needs)


def everybody_approves(here: Organisation, request: Request, requester: Member, told: Counter[str]) -> None:
    """Each sign-in tries, also in another's name; the oracle knows whose approval may be recorded."""
    proposal = request.current_proposal()
    assert proposal is not None
    ticks = [finding["id"] for finding in decide.to_acknowledge(proposal)]
    asked = frozenset().union(*here.seats(high=proposal.rated == "high"))
    for one in here.dice.sample(here.members, len(here.members)):
        other = here.dice.choice(here.members)
        if other is not one:
            with pytest.raises(NotAllowed):
                give(request, one.user, acknowledged=ticks, actor=actor(other.user), at=LATER)
            told["delegated"] += 1
        before = Decision.objects.count()
        try:
            give(request, one.user, acknowledged=ticks, at=LATER)
        except (NotAllowed, WrongState):
            assert Decision.objects.count() == before
            told["refused"] += 1
            told["own"] += one.person == requester.person
            told["by who let them in"] += one.person == requester.let_in_by
        else:
            assert one.person != requester.person, "somebody approved their own request"
            assert one.person != requester.let_in_by, "somebody approved for a person whom they let in"
            assert one.groups & asked, "somebody approved without a group that was asked in time"
            told["given"] += 1
        request.refresh_from_db()


def name_who_is_missing(request: Request) -> None:
    """What nobody can complete any more says so, on the page and here."""
    proposal = request.current_proposal()
    assert proposal is not None
    bars = bars_for([proposal.revision])[proposal.revision_id]
    decisions = decisions_by_revision(revision=proposal.revision).get(proposal.revision_id, [])
    assert staff_of(proposal, decisions, bars).lacking.startswith("Nobody is left to give")


def ask(here: Organisation, requester: Member, told: Counter[str], *, high: bool) -> Request | None:
    """Sends a request; it is refused exactly if nobody could ever complete it."""
    facts = facts_of(here.account, high=high)
    if not here.reachable(requester, high=high):
        with pytest.raises(Invalid, match="Nobody could approve this"):
            send(requester.user, facts)
        told["not sent"] += 1
        return None
    request = send(requester.user, facts)
    observed(request)
    return request


def one_organisation(seed: int, told: Counter[str]) -> None:
    dice = random.Random(seed)
    here = made(dice)
    # each asks, and then everybody tries everybody's: so two who would approve each other's are among them
    asked: list[tuple[Member, Request, bool]] = []
    for requester in here.members[:3]:
        high = dice.random() < 0.4
        request = ask(here, requester, told, high=high)
        if request is not None:
            asked.append((requester, request, high))
    for one in here.members:
        for name in one.late:
            memberships.join(one.user, Group.objects.get(name=name), LATER)
        one.user = User.objects.get(pk=one.user.pk)
    if here.members and dice.random() < 0.5:
        leaver = dice.choice(here.members)
        User.objects.filter(pk=leaver.user.pk).update(is_active=False)
        leaver.user = User.objects.get(pk=leaver.user.pk)
    for requester, request, high in asked:
        everybody_approves(here, request, requester, told)
        reachable = here.reachable(requester, high=high)
        assert (request.state == "approved") == reachable
        told["approved"] += reachable
        told["approved by AND and OR"] += reachable and here.asks_both
        if not reachable:
            name_who_is_missing(request)
    expire_due(actor=SYSTEM, at=AT + timedelta(days=7))
    left = [request for _, request, _ in asked if request.state == "in_review"]
    told["expired"] += len(left)
    ended = Request.objects.filter(pk__in=[request.pk for request in left], state="closed", outcome="expired")
    assert ended.count() == len(left)
    given = AuditEvent.objects.filter(action="approval.given").count()
    assert given == Decision.objects.filter(decision="approve").count()


def test_no_self_circular_or_delegated_approval_and_nothing_waits_for_ever(
    db: None, capsys: pytest.CaptureFixture[str]
) -> None:
    told: Counter[str] = Counter()
    for number in range(COUNT):
        with transaction.atomic():
            try:
                one_organisation(SEED + number, told)
            except AssertionError as error:
                raise AssertionError(f"SEED={SEED + number}: {error}") from error
            transaction.set_rollback(True)
    with capsys.disabled():
        print(f"\n{COUNT} organisations from SEED={SEED}: {dict(sorted(told.items()))}")
    shown = ("approved", "approved by AND and OR", "expired", "not sent", "own", "by who let them in", "delegated")
    for what in shown:
        assert told[what], f"no organisation showed {what!r}: this proves too little"


@pytest.fixture
def racing() -> Callable[..., list[str]]:
    """Runs functions at the same moment, each on a connection of its own; returns what became of them, in order."""

    def race(*acts: Callable[[], object]) -> list[str]:
        start, said = threading.Barrier(len(acts)), ["" for _ in acts]

        def run(place: int) -> None:
            start.wait(timeout=30)
            try:
                acts[place]()
                said[place] = "counted"
            except (NotAllowed, WrongState) as error:
                said[place] = type(error).__name__
            finally:
                connections.close_all()

        threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return said

    return race


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite lets one transaction write at a time")
class TestAtOnce:
    def test_two_approvers_count_once_each(
        self, requester: User, approver: User, security: User, account: AwsAccount, racing: Callable[..., list[str]]
    ) -> None:
        request = send(requester, facts_of(account, high=True))
        ticks = [finding["id"] for finding in decide.to_acknowledge(observed(request))]
        said = racing(*(lambda user=user: give(request, user, acknowledged=ticks) for user in (approver, security)))
        request.refresh_from_db()
        assert (said, request.state) == (["counted", "counted"], "approved")
        assert sorted(Decision.objects.values_list("approver", flat=True)) == sorted([approver.pk, security.pk])
        assert AuditEvent.objects.filter(action="request.approved").count() == 1

    def test_one_who_clicks_twice_counts_once(
        self, requester: User, approver: User, account: AwsAccount, racing: Callable[..., list[str]]
    ) -> None:
        request = send(requester, facts_of(account, high=True))
        ticks = [finding["id"] for finding in decide.to_acknowledge(observed(request))]
        said = racing(*(lambda: give(request, approver, acknowledged=ticks) for _ in range(4)))
        assert sorted(said) == ["WrongState", "WrongState", "WrongState", "counted"]
        assert (Decision.objects.count(), AuditEvent.objects.filter(action="approval.given").count()) == (1, 1)
