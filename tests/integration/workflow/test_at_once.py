"""Verbs of people at the same moment, each on a connection of its own: one effect, one event, nothing half done."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iamroles.audit.states_people import wrong_memberships
from iamroles.models import AccountRule, AuditEvent, AwsAccount, ProposedChange, ProviderGroup, Team, User
from iamroles.models.changes import CONFIRMED, WAITING
from iamroles.workflow import changes, organisation, people, provider_groups
from iamroles.workflow.account_rules import content_of, set_account_rule
from tests.integration.at_once import only_on_postgresql, uncommitted
from tests.integration.workflow.conftest import AT, SYSTEM, actor
from tests.integration.workflow.test_account_rules import text
from tests.integration.workflow.test_changes import LATER, confirm, propose

pytestmark = [pytest.mark.django_db(transaction=True), only_on_postgresql]


@pytest.fixture
def operators(person: Callable[..., User], account: AwsAccount) -> tuple[User, User, User]:
    return person("oskar", "operators"), person("ines", "operators"), person("mei", "security")


def guardrail(user: User, account: AwsAccount, *actions: str) -> ProposedChange:
    return propose(user, "account_rules", f"{account.number}:guardrail", content_of("guardrail", text(*actions)))


def told(*actions: str) -> int:
    return AuditEvent.objects.filter(action__in=actions).count()


def fresh(user: User) -> User:
    return User.objects.get(pk=user.pk)


def deactivate(user: User, person: User) -> Callable[[], User]:
    return lambda: people.deactivate(
        person_id=person.pk, user=fresh(user), reason="Left", signed_in_at=AT, actor=actor(user), at=AT
    )


def invite_guest(user: User) -> User:
    names = {"first_name": "Gus", "last_name": "Guest"}
    return people.invite(email="guest@example.org", **names, user=user, signed_in_at=AT, actor=actor(user), at=AT)


class TestAccountRules:
    def test_proposed_twice_wait_once(self, operators: tuple[User, User, User], account: AwsAccount) -> None:
        oskar, ines, _ = operators
        said = uncommitted(lambda: guardrail(oskar, account, "ecs:*"), lambda: guardrail(ines, account, "s3:*"))
        assert (said, ProposedChange.objects.get().proposed_by, told("change.proposed")) == ("Invalid", oskar, 1)

    def test_confirmed_twice_are_one_version(self, operators: tuple[User, User, User], account: AwsAccount) -> None:
        oskar, ines, mei = operators
        change = guardrail(oskar, account, "ecs:*")
        said = uncommitted(lambda: confirm(ines, change), lambda: confirm(mei, change))
        assert (said, AccountRule.objects.count(), told("guardrail.changed")) == ("WrongState", 1, 1)

    def test_withdrawn_while_confirmed_are_decided_once(
        self, operators: tuple[User, User, User], account: AwsAccount
    ) -> None:
        oskar, ines, _ = operators
        change = guardrail(oskar, account, "ecs:*")

        def withdraw() -> ProposedChange:
            return changes.withdraw(change_id=change.pk, user=oskar, actor=actor(oskar), at=LATER)

        assert uncommitted(withdraw, lambda: confirm(ines, change)) == "WrongState"
        assert (AccountRule.objects.count(), told("change.withdrawn", "guardrail.changed")) == (0, 1)
        change = guardrail(oskar, account, "ecs:*")
        assert uncommitted(lambda: confirm(ines, change), withdraw) == "WrongState"
        assert (AccountRule.objects.count(), told("change.withdrawn", "guardrail.changed")) == (1, 2)

    def test_proposed_anew_while_confirmed_are_not_confirmed_over_what_was_not_seen(
        self, operators: tuple[User, User, User], account: AwsAccount
    ) -> None:
        oskar, ines, mei = operators
        first = guardrail(oskar, account, "ecs:*")
        assert uncommitted(lambda: confirm(ines, first), lambda: guardrail(mei, account, "s3:*")) == "done"
        with pytest.raises(changes.StaleDigest):
            confirm(ines, ProposedChange.objects.get(state=WAITING))
        assert (AccountRule.objects.count(), told("guardrail.changed")) == (1, 1)

    def test_set_alone_while_confirmed_are_not_overwritten(
        self, person: Callable[..., User], account: AwsAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        oskar, ines = person("oskar", "operators"), person("ines", "operators")
        change = guardrail(oskar, account, "ecs:*")
        monkeypatch.setattr(people, "two_can_confirm", lambda: False)  # they were let back a moment ago

        def alone() -> AccountRule:
            return set_account_rule(number=account.number, kind="guardrail", text=text("s3:*"), actor=SYSTEM, at=LATER)

        assert uncommitted(alone, lambda: confirm(ines, change)) == "StaleDigest"
        assert (AccountRule.objects.get().set_by, ProposedChange.objects.get().state) == ("Test", WAITING)

    def test_set_alone_twice_are_one_version(self, account: AwsAccount) -> None:
        def alone() -> AccountRule:
            return set_account_rule(number=account.number, kind="guardrail", text=text("s3:*"), actor=SYSTEM, at=LATER)

        assert uncommitted(alone, alone) == "Invalid"
        assert (AccountRule.objects.count(), told("guardrail.changed")) == (1, 1)


class TestPeople:
    def test_an_invitation_is_accepted_once(self, operators: tuple[User, User, User]) -> None:
        guest = invite_guest(operators[0])

        def accept(password: str) -> User:
            return people.accept_invitation(user=fresh(guest), password=password, actor=actor(guest), at=LATER)

        assert uncommitted(lambda: accept("first"), lambda: accept("second")) == "NotAllowed"
        assert (fresh(guest).check_password("first"), told("credential.changed")) == (True, 1)

    def test_nobody_is_invited_twice(self, operators: tuple[User, User, User]) -> None:
        oskar, ines, _ = operators
        before = told("user.created")
        assert uncommitted(lambda: invite_guest(oskar), lambda: invite_guest(ines)) == "Invalid"
        assert told("user.created") == before + 1

    def test_no_aws_account_and_no_team_is_added_twice(self) -> None:
        def add_account(name: str) -> AwsAccount:
            return organisation.add_account(
                number="777788889999", name=name, environment="test", owner="owners", actor=SYSTEM, at=AT
            )

        def add_team() -> Team:
            return organisation.add_team(slug="", name="Payments", accounts=(), actor=SYSTEM, at=AT)

        assert uncommitted(lambda: add_account("pay-test"), lambda: add_account("pay-trial")) == "Invalid"
        assert uncommitted(add_team, add_team) == "Invalid"
        assert (told("account.added"), told("team.created")) == (1, 1)

    def test_whoever_is_deactivated_joins_no_group(
        self, operators: tuple[User, User, User], person: Callable[..., User]
    ) -> None:
        oskar, ines, _ = operators
        eve = person("eve")
        change = propose(oskar, "group", "approvers", {"members": ["eve"]})
        assert uncommitted(deactivate(oskar, eve), lambda: confirm(ines, change)) == "Invalid"
        assert (fresh(eve).groups.count(), ProposedChange.objects.get().state) == (0, WAITING)

    def test_whoever_joins_a_group_leaves_it_when_deactivated(
        self, operators: tuple[User, User, User], person: Callable[..., User]
    ) -> None:
        oskar, ines, _ = operators
        eve = person("eve")
        change = propose(oskar, "group", "approvers", {"members": ["eve"]})
        assert uncommitted(lambda: confirm(ines, change), deactivate(oskar, eve)) == "done"
        assert (fresh(eve).groups.count(), ProposedChange.objects.get().state) == (0, CONFIRMED)
        assert list(wrong_memberships("default")) == []

    def test_whoever_is_deactivated_joins_no_team(
        self, operators: tuple[User, User, User], person: Callable[..., User]
    ) -> None:
        oskar, ines, _ = operators
        eve = person("eve")

        def join() -> int:
            return organisation.set_team_members(
                slug="orders", logins=["eve"], user=ines, signed_in_at=AT, actor=actor(ines), at=AT
            )

        assert uncommitted(deactivate(oskar, eve), join) == "Invalid"
        assert fresh(eve).teams.count() == 0

    def test_two_operators_do_not_deactivate_each_other(self, operators: tuple[User, User, User]) -> None:
        oskar, ines, _ = operators
        assert uncommitted(deactivate(oskar, ines), deactivate(ines, oskar)) == "NotAllowed"
        assert (fresh(oskar).is_active, fresh(ines).is_active, told("user.deactivated")) == (True, False, 1)


class TestProviderGroups:
    @pytest.fixture
    def filled(self, operators: tuple[User, User, User]) -> ProposedChange:
        """ "sec" fills the approvers; that it shall no longer waits for a second person."""
        oskar, ines, _ = operators
        confirm(ines, propose(oskar, "provider_groups", "approvers", {"values": ["sec"]}))
        return propose(oskar, "provider_groups", "approvers", {"values": []})

    def test_signing_in_while_one_is_taken_away_puts_nobody_in(
        self, filled: ProposedChange, operators: tuple[User, User, User], person: Callable[..., User]
    ) -> None:
        eve = person("eve")

        def hear() -> None:
            provider_groups.hear(person=eve, values=["sec"], actor=SYSTEM, at=LATER)

        uncommitted(lambda: confirm(operators[1], filled), hear)
        assert (list(fresh(eve).groups.all()), ProviderGroup.objects.count()) == ([], 0)

    def test_taking_one_away_finds_who_is_just_signing_in(
        self, filled: ProposedChange, operators: tuple[User, User, User], person: Callable[..., User]
    ) -> None:
        eve = person("eve")

        def hear() -> None:
            provider_groups.hear(person=eve, values=["sec"], actor=SYSTEM, at=LATER)

        assert uncommitted(hear, lambda: confirm(operators[1], filled)) == "done"
        assert (list(fresh(eve).groups.all()), ProviderGroup.objects.count()) == ([], 0)

    def test_signing_in_while_put_into_the_team_is_one_membership(
        self, operators: tuple[User, User, User], person: Callable[..., User]
    ) -> None:
        oskar, ines, _ = operators
        confirm(ines, propose(oskar, "provider_groups", "team:orders", {"values": ["app"]}))
        eve = person("eve")

        def put_in() -> int:
            return organisation.set_team_members(
                slug="orders", logins=["eve"], user=ines, signed_in_at=AT, actor=actor(ines), at=AT
            )

        def hear() -> None:
            provider_groups.hear(person=eve, values=["app"], actor=SYSTEM, at=LATER)

        before = told("membership.granted")
        assert uncommitted(put_in, hear) == "done"
        assert (fresh(eve).teams.count(), told("membership.granted")) == (1, before + 1)
        assert list(wrong_memberships("default")) == []
