"""The state check of people, AWS accounts, teams and changes: clean after the verbs, and each edit by SQL is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from iamroles.audit.reading import wrong_states
from iamroles.models import AwsAccount, Membership, ProposedChange, Request, Team, User
from iamroles.workflow import changes, organisation, people
from iamroles.workflow.change_kinds import KINDS
from tests.integration.web_review import world
from tests.integration.web_review.world import World
from tests.integration.workflow.test_changes import two_of_security

pytestmark = pytest.mark.django_db
GUARDRAIL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"*"}]}'


@pytest.fixture
def here() -> World:
    """An organisation in which each verb was used once: an invitation, a deactivation, six changes of two people."""
    here = world.build()
    oskar, ines, at = here.people["oskar"], here.people["ines"], world.now()
    fresh: dict[str, Any] = {"user": oskar, "signed_in_at": at, "actor": world.actor(oskar), "at": at}
    ned = people.invite(email="ned@example.org", first_name="Ned", last_name="Wu", teams=["orders"], **fresh)
    people.deactivate(person_id=here.people["eve"].pk, reason="Left the company", **fresh)
    people.deactivate(person_id=ned.pk, reason="By mistake, really", **fresh)
    people.reactivate(person_id=ned.pk, reason="Back at work again", **fresh)
    organisation.set_team_members(slug="orders", logins=["rosa", "theo", ned.username], **fresh)
    record = {
        "name": "orders-production",
        "environment": "production",
        "is_production": True,
        "role_path": "/",
        "policy_path": "/",
        "boundary": here.prod.boundary,
        "tag_keys": "cost-center, team",
        "required_tags": "",
        "owner": "orders-platform",
    }
    wanted = [
        ("account", here.prod.number, record),
        ("team", "orders", {"accounts": [here.prod.number]}),
        ("group", "auditors", {"members": ["idris", "ines"]}),
        ("provider_groups", "security", {"values": ["iam-security"]}),
        ("approval_rules", "", two_of_security()),
        ("account_rules", f"{here.prod.number}:guardrail", {"documents": [GUARDRAIL]}),
    ]
    assert {subject for subject, _, _ in wanted} == set(KINDS) - {"restore"}, "a restore has tests of its own"
    for subject, target, content in wanted:
        change = changes.propose(
            subject=subject, target=target, content=content, reason="As agreed with them", user=oskar,
            signed_in_at=at, actor=world.actor(oskar), at=at,
        )  # fmt: skip
        mei = here.people["mei"]
        changes.confirm(
            change_id=change.pk, seen_digest=change.digest, user=mei, signed_in_at=at, actor=world.actor(mei), at=at
        )
    waits: dict[str, Any] = {
        "subject": "team",
        "target": "orders",
        "content": {"accounts": []},
        "reason": "Nobody needs it",
        "signed_in_at": at,
    }
    for _ in range(2):
        change = changes.propose(**waits, user=ines, actor=world.actor(ines), at=at)
        changes.withdraw(change_id=change.pk, user=ines, actor=world.actor(ines), at=at)
    changes.propose(**waits, user=ines, actor=world.actor(ines), at=at)
    here.prod.refresh_from_db()
    world.in_review(here.people["rosa"], world.facts_for(here.prod))
    world.saved(here.people["rosa"], world.facts_for(here.prod))
    return here


def test_finds_nothing_after_the_verbs(here: World) -> None:
    assert wrong_states() == []


def user(login: str, **values: object) -> Callable[[World], object]:
    return lambda _here: User.objects.filter(username=login).update(**values)


def account(**values: object) -> Callable[[World], object]:
    return lambda here: AwsAccount.objects.filter(pk=here.prod.pk).update(**values)


def change(number: int, **values: object) -> Callable[[World], object]:
    return lambda _here: ProposedChange.objects.filter(pk=first() + number).update(**values)


def first() -> int:
    return ProposedChange.objects.order_by("pk").values_list("pk", flat=True)[0]


def entry(**values: object) -> Callable[[World], object]:
    return lambda _here: Membership.objects.filter(user__username="ned@example.org").update(**values)


def made_up_account(here: World) -> None:
    here.staging.pk, here.staging.number, here.staging.name, here.staging.external_id = None, "999900001111", "x", "y"
    here.staging.save(force_insert=True)


def made_up(here: World) -> None:
    row = ProposedChange.objects.order_by("pk")[0]
    row.pk = None
    row.save(force_insert=True)


NED = "ned@example.org"
ATTACKS: list[tuple[str, Callable[[World], object], str]] = [
    ("deactivated", user("amara", is_active=False), "(amara) is not active, but EVT-"),
    ("let back", user("eve", is_active=True), "(eve) is active, but EVT-"),
    ("login", user("amara", username="eva"), "signs in as eva, but EVT-"),
    ("address", user(NED, email="eve@example.org"), "(ned@example.org) is another one"),
    ("inviter", lambda w: user(NED, invited_by=w.people["ines"])(w), "was let in by another person than EVT-"),
    ("inviter gone", user(NED, invited_by=None), "was let in by another person than EVT-"),
    ("entry", lambda w: entry(added_by=w.people["ines"])(w), "was put into team:orders by another person than EVT-"),
    ("entry gone", entry(added_by=None), "was put into team:orders by another person than EVT-"),
    (
        "entry's date",
        entry(since=world.now() - timedelta(days=9)),
        "is dated into team:orders before EVT-",
    ),
    ("account's name", account(name="x"), "the name of AWS account x is not what EVT-"),
    ("production", account(is_production=False), "the is production of AWS account orders-production is not what EVT-"),
    (
        "environment",
        account(environment="staging"),
        "the environment of AWS account orders-production is not what EVT-",
    ),
    ("tags", account(tag_keys=""), "the tag keys of AWS account orders-production is not what EVT-"),
    ("boundary", account(boundary=""), "the boundary of AWS account orders-production is not what EVT-"),
    (
        "owner",
        lambda w: account(owner=w.people["mei"].groups.get())(w),
        "the owner of AWS account orders-production is",
    ),
    ("account gone", lambda w: AwsAccount.objects.filter(pk=w.staging.pk).delete(), "is gone, but events tell of it"),
    ("account made up", made_up_account, "AWS account x exists, but no event tells of it"),
    ("team made up", lambda _here: Team.objects.create(slug="x", name="X"), "the team x exists, but no event tells"),
    ("team's accounts", lambda w: Team.objects.get().accounts.add(w.staging), "the team orders may use other AWS"),
    ("change", change(0, content="{}"), "is not the change that EVT-"),
    ("change's proposer", lambda w: change(0, proposed_by=w.people["ines"])(w), "is not the change that EVT-"),
    ("change's decider", lambda w: change(0, decided_by=w.people["ines"])(w), "is confirmed, but EVT-"),
    ("change's date", change(0, decided_at=world.now() - timedelta(days=9)), "is confirmed, but EVT-"),
    ("change undone", change(0, state="refused"), "is refused, but EVT-"),
    (
        "change confirmed",
        lambda w: change(8, state="confirmed", decided_by=w.people["mei"], decided_at=world.now())(w),
        "is confirmed, but no event tells of it",
    ),
    ("change gone", lambda w: ProposedChange.objects.filter(pk=first()).delete(), "is gone, but EVT-"),
    ("guardrail's change undone", change(5, state="refused"), "is refused, but EVT-"),
    ("change made up", made_up, "is not the change that any event tells of"),
    ("request gone", lambda w: Request.objects.filter(state="draft").delete(), "is gone, but events tell of it"),
]


@pytest.mark.parametrize(("name", "attack", "said"), ATTACKS, ids=[row[0] for row in ATTACKS])
def test_names_what_was_changed_by_sql(name: str, attack: Callable[[World], object], said: str, here: World) -> None:
    attack(here)
    assert [sentence for sentence in wrong_states() if said in sentence]
