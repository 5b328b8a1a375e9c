"""Four eyes: what one proposes another confirms, exactly as read, over what still stands; each step is an event."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from iamroles.audit import guard
from iamroles.audit.states_people import wrong_dates, wrong_rules
from iamroles.blueprints import RoleFacts
from iamroles.models import (
    ApprovalRules,
    AuditEvent,
    AwsAccount,
    GroupMembership,
    ProposedChange,
    Request,
    Team,
    User,
    current_rules,
)
from iamroles.rules.approval_rules import STARTING_RULES
from iamroles.stranded import Stranded, stranded
from iamroles.transitions import WrongState
from iamroles.workflow import change_kinds, changes, memberships
from iamroles.workflow.verbs import Invalid, NotAllowed, SignInTooOld, StaleDigest
from tests.integration.workflow.conftest import AT, actor, observed, send
from tests.integration.workflow.test_decide import give, refusals

pytestmark = pytest.mark.django_db
LATER = AT + timedelta(minutes=5)


@pytest.fixture
def operator(person: Callable[..., User], requester: User) -> User:
    return person("oskar", "operators")


@pytest.fixture
def second(person: Callable[..., User], requester: User) -> User:
    return person("ines", "operators")


def two_of_security(version: int = 2) -> dict[str, Any]:
    content = deepcopy(STARTING_RULES)
    content["version"] = version
    content["rules"][2] |= {"needs": [{"any_of": ["security"], "count": 2}], "why": "High risk needs two of security."}
    return content


def propose(user: User, subject: str, target: str, content: Any, reason: str = "As agreed on Monday") -> ProposedChange:
    return changes.propose(
        subject=subject,
        target=target,
        content=content,
        reason=reason,
        user=user,
        signed_in_at=AT,
        actor=actor(user),
        at=AT,
    )


def confirm(user: User, change: ProposedChange, **more: Any) -> ProposedChange:
    given = {"change_id": change.pk, "seen_digest": change.digest, "user": user, "actor": actor(user), "at": LATER}
    return changes.confirm(**{**given, "signed_in_at": LATER, **more})


def last_events(count: int) -> list[str]:
    return list(AuditEvent.objects.order_by("-pk").values_list("action", flat=True)[:count])[::-1]


class TestRules:
    def test_become_a_version_when_another_confirms(self, operator: User, security: User) -> None:
        change = propose(operator, "approval_rules", "", two_of_security())
        assert current_rules() == STARTING_RULES
        confirm(security, change)
        assert current_rules() == two_of_security()
        assert last_events(2) == ["change.proposed", "approval_rule.changed"]
        assert ApprovalRules.objects.get().change == change
        assert list(wrong_rules("default")) == []

    def test_changed_by_sql_are_found(self, operator: User, security: User) -> None:
        confirm(security, propose(operator, "approval_rules", "", two_of_security()))
        guard.remove(connection)  # as the owner of the database could
        ApprovalRules.objects.update(content=ApprovalRules.objects.get().content.replace('"count":2', '"count":1'))
        assert list(wrong_rules("default")) == ["version 2 of the approval rules is not the one that was confirmed"]

    def test_inserted_by_sql_are_found(self, operator: User, security: User) -> None:
        change = propose(operator, "approval_rules", "", two_of_security())
        ApprovalRules.objects.create(version=2, content=change.content, digest="0" * 64, at=AT, change=change)
        assert list(wrong_rules("default")) == ["version 2 of the approval rules exists, but no event tells of it"]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"version": 3}, "The rules changed meanwhile"),
            ({"rules": STARTING_RULES["rules"][:1]}, "No rule says who approves"),
            ({"life_days": 400}, "1 to 90 days"),
            ({"unattended": [{"when": {"kind": ["removal"]}, "why": "Routine."}]}, "other kinds always need one"),
        ],
    )
    def test_wrong_ones_are_not_proposed(self, operator: User, change: dict[str, Any], said: str) -> None:
        with pytest.raises(Invalid, match=said):
            propose(operator, "approval_rules", "", {**two_of_security(), **change})

    def test_of_an_unknown_group_are_not_proposed(self, operator: User) -> None:
        content = two_of_security()
        content["rules"][2]["needs"][0]["any_of"] = ["secuirty"]
        with pytest.raises(Invalid, match="There is no group secuirty"):
            propose(operator, "approval_rules", "", content)

    def test_void_what_waits_under_the_old_ones(
        self, operator: User, security: User, in_review: Request, approver: User
    ) -> None:
        confirm(security, propose(operator, "approval_rules", "", two_of_security()))
        with pytest.raises(StaleDigest, match="The approval rules changed since"):
            give(in_review, approver, at=LATER)
        assert refusals() == [("Amara", "rule_changed")]

    def test_authors_do_not_count_for_what_was_sent_before(
        self, operator: User, security: User, requester: User, facts: RoleFacts, person: Callable[..., User]
    ) -> None:
        person("bo", "security")
        request = send(requester, replace(facts, managed_policy="full"))
        observed(request)
        confirm(security, propose(operator, "approval_rules", "", two_of_security()))
        with pytest.raises(NotAllowed, match="You changed the approval rules after this was sent"):
            give(request, security, at=LATER)
        assert refusals()[-1] == ("Mei", "changed_rules")


class TestFourEyes:
    def test_the_proposer_never_confirms(self, operator: User) -> None:
        change = propose(operator, "approval_rules", "", two_of_security())
        with pytest.raises(NotAllowed, match="someone else must confirm"):
            confirm(operator, change)
        twin = User.objects.create_user("oskar2", operator.email)
        memberships.join(twin, Group.objects.get(name="operators"), AT)
        with pytest.raises(NotAllowed, match="someone else must confirm"):
            confirm(twin, change)
        assert [code for _, code in refusals()] == ["four_eyes", "four_eyes"]

    def test_an_old_sign_in_confirms_nothing(self, operator: User, security: User) -> None:
        change = propose(operator, "approval_rules", "", two_of_security())
        with pytest.raises(SignInTooOld):
            confirm(security, change, signed_in_at=LATER - timedelta(minutes=6))
        assert current_rules() == STARTING_RULES
        assert refusals() == [("Mei", "sign_in_too_old")]

    def test_an_old_sign_in_proposes_nothing(self, operator: User) -> None:
        with pytest.raises(SignInTooOld):
            changes.propose(
                subject="approval_rules",
                target="",
                content=two_of_security(),
                reason="As agreed on Monday",
                user=operator,
                signed_in_at=AT - timedelta(minutes=6),
                actor=actor(operator),
                at=AT,
            )
        assert ProposedChange.objects.count() == 0
        assert refusals() == [("Oskar", "sign_in_too_old")]

    def test_needs_the_right(self, operator: User, approver: User, outsider: User) -> None:
        with pytest.raises(NotAllowed):
            propose(approver, "approval_rules", "", two_of_security())
        change = propose(operator, "approval_rules", "", two_of_security())
        for user in (approver, outsider):
            with pytest.raises(NotAllowed):
                confirm(user, change)
            with pytest.raises(NotAllowed):
                changes.refuse(change_id=change.pk, reason="No", user=user, actor=actor(user), at=LATER)
            with pytest.raises(NotAllowed):
                changes.withdraw(change_id=change.pk, user=user, actor=actor(user), at=LATER)
        assert ProposedChange.objects.get().state == "waiting"

    def test_another_digest_is_stale(self, operator: User, security: User) -> None:
        change = propose(operator, "approval_rules", "", two_of_security())
        with pytest.raises(StaleDigest):
            confirm(security, change, seen_digest="0" * 64)

    def test_a_change_edited_by_sql_is_refused(self, operator: User, security: User) -> None:
        change = propose(operator, "approval_rules", "", two_of_security())
        ProposedChange.objects.update(content=change.content.replace('"count":2', '"count":1'))
        with pytest.raises(NotAllowed, match="not the one that was proposed"):
            confirm(security, change)
        assert current_rules() == STARTING_RULES

    def test_what_stands_may_not_have_changed(self, operator: User, security: User, outsider: User) -> None:
        change = propose(operator, "group", "approvers", {"members": ["amara", "eve", "rosa"]})
        memberships.leave(User.objects.get(username="amara"), Group.objects.get(name="approvers"))
        with pytest.raises(StaleDigest, match="What stands changed"):
            confirm(security, change)
        assert refusals() == [("Mei", "stale_base")]

    def test_one_change_of_a_target_waits_at_a_time(self, operator: User, second: User) -> None:
        propose(operator, "approval_rules", "", two_of_security())
        with pytest.raises(Invalid, match="waits already"):
            propose(second, "approval_rules", "", two_of_security())

    def test_is_decided_once(self, operator: User, security: User, second: User) -> None:
        change = propose(operator, "approval_rules", "", two_of_security())
        confirm(security, change)
        with pytest.raises(WrongState):
            confirm(second, change)
        with pytest.raises(WrongState):
            changes.refuse(change_id=change.pk, reason="Too late", user=second, actor=actor(second), at=LATER)

    def test_refusing_and_withdrawing_write_nothing(self, operator: User, security: User) -> None:
        first = propose(operator, "approval_rules", "", two_of_security())
        with pytest.raises(NotAllowed, match="withdraw it instead"):
            changes.refuse(change_id=first.pk, reason="Mine", user=operator, actor=actor(operator), at=LATER)
        changes.refuse(change_id=first.pk, reason="One is enough", user=security, actor=actor(security), at=LATER)
        again = propose(operator, "approval_rules", "", two_of_security())
        changes.withdraw(change_id=again.pk, user=operator, actor=actor(operator), at=LATER)
        assert current_rules() == STARTING_RULES
        assert last_events(3) == ["change.refused", "change.proposed", "change.withdrawn"]


class TestMembers:
    def test_join_and_leave_dated(self, operator: User, security: User, outsider: User, approver: User) -> None:
        confirm(security, propose(operator, "group", "approvers", {"members": ["eve", "rosa"]}))
        assert sorted(Group.objects.get(name="approvers").user_set.values_list("username", flat=True)) == [
            "eve",
            "rosa",
        ]
        assert outsider.group_memberships.get().since == LATER
        assert list(wrong_dates("default")) == []
        assert last_events(2) == ["membership.removed", "membership.granted"]

    def test_dated_back_by_sql_are_found(self, operator: User, security: User, outsider: User) -> None:
        confirm(security, propose(operator, "group", "approvers", {"members": ["amara", "eve", "rosa"]}))
        GroupMembership.objects.filter(user=outsider).update(since=AT)
        assert list(wrong_dates("default")) == [
            f"the person {outsider.pk} is dated into approvers before the event that put them there"
        ]

    def test_who_joins_does_not_confirm(self, operator: User, security: User) -> None:
        change = propose(operator, "group", "approvers", {"members": ["amara", "mei", "rosa"]})
        with pytest.raises(NotAllowed, match="puts you into the group"):
            confirm(security, change)

    @pytest.mark.parametrize(
        ("target", "content"),
        [
            ("approvers", {"members": ["nobody"]}),
            ("approvers", {"members": ["rosa", "amara"]}),
            ("approvers", {"members": ["amara", "amara"]}),
            ("approvers", {"people": ["amara"]}),
            ("two words", {"members": ["amara"]}),
            ("owner", {"members": ["amara"]}),
        ],
    )
    def test_wrong_ones_are_refused(self, operator: User, approver: User, target: str, content: Any) -> None:
        with pytest.raises(Invalid):
            propose(operator, "group", target, content)


class TestRecords:
    def test_an_account_changes_and_its_requests_are_outdated(
        self, operator: User, security: User, in_review: Request, approver: User, account: AwsAccount
    ) -> None:
        before = {
            "name": "orders-staging",
            "environment": "staging",
            "role_path": "/",
            "policy_path": "/",
            "boundary": "",
            "tag_keys": "",
            "required_tags": "",
            "is_production": False,
            "owner": "orders-platform",
        }
        confirm(security, propose(operator, "account", account.number, {**before, "owner": "approvers"}))
        account.refresh_from_db()
        assert account.owner.name == "approvers"
        with pytest.raises(StaleDigest, match="has another owner"):
            give(in_review, approver, at=LATER)
        with pytest.raises(Invalid, match="Nobody is in the group ghosts"):
            propose(operator, "account", account.number, {**before, "owner": "ghosts"})
        with pytest.raises(Invalid, match="There is no AWS account"):
            propose(operator, "account", "000000000000", before)

    def test_a_pause_of_the_same_moment_stays(
        self, operator: User, security: User, account: AwsAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = change_kinds.KINDS["account"].stands(account.number)
        content = {**before, "environment": "test", "owner": "approvers"}
        change = propose(operator, "account", account.number, content)
        read = change_kinds._account

        def read_then_pause(number: str) -> AwsAccount:
            AwsAccount.objects.update(paused_at=None, pause_reason="")
            found = read(number)
            AwsAccount.objects.filter(pk=found.pk).update(paused_at=LATER, pause_reason="Stop, OPS-9")
            return found

        monkeypatch.setattr(change_kinds, "_account", read_then_pause)
        confirm(security, change)
        account.refresh_from_db()
        assert (account.environment, account.paused_at, account.pause_reason) == ("test", LATER, "Stop, OPS-9")

    def test_a_record_without_its_lists_of_tags_is_none(
        self, operator: User, security: User, account: AwsAccount
    ) -> None:
        """As one was that waited before there were such lists: it is proposed anew."""
        stands = change_kinds.KINDS["account"].stands(account.number)
        part = {name: value for name, value in stands.items() if name != "tag_keys"}
        with pytest.raises(Invalid, match="The record has exactly"):
            propose(operator, "account", account.number, {**part, "environment": "test"})

    def test_a_team_gets_other_accounts(self, operator: User, security: User) -> None:
        confirm(security, propose(operator, "team", "orders", {"accounts": []}))
        assert not Team.objects.get(slug="orders").accounts.exists()
        assert last_events(2) == ["change.proposed", "team.changed"]
        with pytest.raises(Invalid, match="There is no AWS account 999999999999"):
            propose(operator, "team", "orders", {"accounts": ["999999999999"]})


class TestStranded:
    def test_names_the_requests_and_what_they_would_lack(self, requester: User, facts: RoleFacts) -> None:
        low = send(requester, facts)
        observed(low)
        high = send(requester, replace(facts, managed_policy="full"))
        observed(high)
        assert stranded(STARTING_RULES) == []
        assert stranded(two_of_security()) == [Stranded(high.reference, "1 of security")]
        gone = {"approvers": frozenset({"rosa"})}
        assert stranded(STARTING_RULES, members=gone) == [
            Stranded(low.reference, "1 of approvers"),
            Stranded(high.reference, "1 of approvers"),
        ]
        assert stranded(STARTING_RULES, barred=["mei@example.org"]) == [Stranded(high.reference, "1 of security")]

    def test_reads_findings_where_a_rule_names_them(self, in_review: Request) -> None:
        content = deepcopy(STARTING_RULES)
        content["rules"].append(
            {"when": {"finding": ["XX99"]}, "needs": [{"any_of": ["ghosts"], "count": 1}], "why": "Rare."}
        )
        assert stranded(content) == []
