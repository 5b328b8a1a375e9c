"""Whose approval counts: not the requester's or an editor's in any disguise, and no group held for too short a time."""

from __future__ import annotations

from collections.abc import Callable
from cProfile import Profile
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group

from iamroles.blueprints import RoleFacts
from iamroles.eligibility import bars_for, could_approve, counting_approvals
from iamroles.models import AuditEvent, Decision, GroupMembership, Proposal, Request, Revision, User, current_rules
from iamroles.pages.frame import waiting_for
from iamroles.pages.progress import staff_of
from iamroles.permissions import load_group_dates
from iamroles.stranded import stranded
from iamroles.workflow import decide, memberships, organisation, people, submit
from iamroles.workflow.verbs import Invalid, NotAllowed, StaleDigest
from tests.integration.workflow.conftest import AT, SYSTEM, actor, observed, send
from tests.integration.workflow.test_decide import give, refusals

pytestmark = pytest.mark.django_db
LATER = AT + timedelta(seconds=30)


def high(requester: User, facts: RoleFacts) -> Request:
    request = send(requester, replace(facts, managed_policy="full"))
    observed(request)
    return request


def ticked(request: Request, user: User) -> Request:
    proposal = request.current_proposal()
    assert proposal is not None
    return give(request, user, acknowledged=[finding["id"] for finding in decide.to_acknowledge(proposal)])


class TestSeparation:
    def test_the_requester_has_no_second_self(
        self, in_review: Request, requester: User, person: Callable[..., User]
    ) -> None:
        twin = person("rosa2", "approvers", "security")
        User.objects.filter(pk=twin.pk).update(email=f" {requester.email.upper()}")
        with pytest.raises(NotAllowed, match="someone else must approve"):
            give(in_review, User.objects.get(pk=twin.pk))
        assert refusals() == [("Rosa2", "self_approval")]

    def test_one_person_with_two_sign_ins_counts_once(
        self, requester: User, approver: User, facts: RoleFacts, person: Callable[..., User]
    ) -> None:
        twin = person("amara2", "security")
        User.objects.filter(pk=twin.pk).update(email=approver.email)
        request = high(requester, facts)
        ticked(request, approver)
        ticked(request, User.objects.get(pk=twin.pk))
        request.refresh_from_db()
        assert (request.state, Decision.objects.count()) == ("in_review", 2)

    def test_who_wrote_an_earlier_revision_counts_for_no_later_one(
        self, in_review: Request, approver: User, facts: RoleFacts, requester: User
    ) -> None:
        in_review.revisions.update(created_by=approver)
        submit.submit(
            request_id=in_review.pk,
            user=requester,
            facts=replace(facts, hardened=False),
            reason="Plain trust is needed",
            actor=actor(requester),
            at=AT,
        )
        observed(in_review)
        with pytest.raises(NotAllowed, match="You edited this request"):
            give(in_review, approver)
        assert refusals() == [("Amara", "editor")]

    def test_nobody_decides_in_the_name_of_another(
        self, in_review: Request, approver: User, requester: User, security: User
    ) -> None:
        for other in (requester, security):
            with pytest.raises(NotAllowed, match="for yourself"):
                give(in_review, approver, actor=actor(other))
        assert Decision.objects.count() == 0
        assert {code for _, code in refusals()} == {"acting_for_another"}


@pytest.fixture
def operator(person: Callable[..., User]) -> User:
    """An operator whom two people once made an approver as well."""
    return person("olu", "operators", "approvers")


def invited(operator: User, teams: tuple[str, ...] = ()) -> User:
    return people.invite(
        email="second@example.net",
        first_name="Rosa",
        last_name="Lindqvist",
        user=operator,
        signed_in_at=AT,
        actor=actor(operator),
        at=AT,
        teams=teams,
    )


def put_into_team(operator: User, *logins: str) -> None:
    organisation.set_team_members(
        slug="orders", logins=["rosa", *logins], user=operator, signed_in_at=AT, actor=actor(operator), at=AT
    )


class TestLettingIn:
    """An operator who is an approver too could make a requester of their own, with a second mailbox."""

    def barred(self, request: Request, user: User, because: str) -> None:
        proposal = observed(request)
        assert user not in could_approve(proposal, bars_for([proposal.revision])[proposal.revision_id])
        with pytest.raises(NotAllowed, match=because):
            give(request, user)
        assert refusals()[-1] == (user.first_name, "let_in")

    @pytest.mark.usefixtures("requester")
    def test_who_invited_the_requester_does_not_count(self, operator: User, facts: RoleFacts) -> None:
        request = send(invited(operator, ("orders",)), facts)
        self.barred(request, operator, "^You invited Rosa Lindqvist, so someone else must approve this.$")

    @pytest.mark.usefixtures("requester")
    def test_not_under_another_sign_in_either(
        self, operator: User, facts: RoleFacts, person: Callable[..., User]
    ) -> None:
        twin = person("olu2", "approvers")
        User.objects.filter(pk=twin.pk).update(email=operator.email.upper())
        request = send(invited(operator, ("orders",)), facts)
        self.barred(request, User.objects.get(pk=twin.pk), "You invited Rosa Lindqvist")

    def test_who_put_the_requester_into_the_team_does_not_count(
        self, operator: User, outsider: User, facts: RoleFacts
    ) -> None:
        put_into_team(operator, "eve")
        self.barred(send(outsider, facts), operator, "^You put Eve into the team Orders, so someone else must approve")

    def test_who_invited_an_author_does_not_count(self, operator: User, in_review: Request) -> None:
        in_review.revisions.update(created_by=invited(operator))
        with pytest.raises(NotAllowed, match="You invited Rosa Lindqvist"):
            give(in_review, operator)

    def test_an_approval_given_before_counts_no_more(self, operator: User, in_review: Request, requester: User) -> None:
        give(in_review, operator)
        revision = in_review.revisions.get()
        assert len(counting_approvals(revision)) == 1
        User.objects.filter(pk=requester.pk).update(invited_by=operator)
        assert counting_approvals(revision) == []

    def test_other_teams_and_commands_bar_nobody(self, operator: User, requester: User, facts: RoleFacts) -> None:
        organisation.add_team(slug="payments", name="Payments", accounts=[], actor=SYSTEM, at=AT)
        organisation.set_team_members(
            slug="payments", logins=["rosa"], user=operator, signed_in_at=AT, actor=actor(operator), at=AT
        )
        request = send(requester, facts)
        observed(request)
        assert give(request, operator).state == "approved"

    @pytest.mark.usefixtures("requester")
    def test_nobody_sends_what_only_their_inviter_could_approve(self, operator: User, facts: RoleFacts) -> None:
        rosa = invited(operator, ("orders",))
        User.objects.exclude(pk__in=(operator.pk, rosa.pk)).update(is_active=False)
        with pytest.raises(Invalid, match="Nobody could approve this"):
            send(rosa, facts)

    @pytest.mark.usefixtures("requester")
    def test_a_request_that_only_the_inviter_could_approve_is_stranded(self, operator: User, facts: RoleFacts) -> None:
        rosa = invited(operator, ("orders",))
        request = send(rosa, facts)
        observed(request)
        assert stranded(current_rules()) == []
        User.objects.exclude(pk__in=(operator.pk, rosa.pk)).update(is_active=False)
        assert [one.reference for one in stranded(current_rules())] == [request.reference]


class TestDates:
    def test_a_group_joined_after_the_revision_does_not_count(self, in_review: Request, outsider: User) -> None:
        memberships.join(outsider, Group.objects.get(name="approvers"), LATER)
        with pytest.raises(NotAllowed, match="You joined the group after this was sent"):
            give(in_review, User.objects.get(pk=outsider.pk))
        assert refusals() == [("Eve", "joined_later")]

    def test_a_revision_that_nobody_sent_makes_nobody_eligible(self, in_review: Request, outsider: User) -> None:
        """A worker or an operator makes a plan anew; that must not let in who has joined since it was sent."""
        memberships.join(outsider, Group.objects.get(name="approvers"), LATER)
        first = in_review.revisions.get()
        Revision.objects.create(
            request=in_review,
            number=2,
            facts=first.facts,
            desired_digest=first.desired_digest,
            reason=first.reason,
            cause="plan_renewed",
            created_by=first.created_by,
            created_at=LATER + timedelta(seconds=1),
        )
        Request.objects.filter(pk=in_review.pk).update(state="submitted", revision_number=2)
        observed(in_review)
        eve = User.objects.get(pk=outsider.pk)
        assert list(waiting_for(eve)) == []
        with pytest.raises(NotAllowed, match="You joined the group after this was sent"):
            give(in_review, eve, at=LATER)

    def test_it_counts_for_the_next_revision(
        self, in_review: Request, outsider: User, requester: User, facts: RoleFacts
    ) -> None:
        memberships.join(outsider, Group.objects.get(name="approvers"), LATER)
        submit.submit(
            request_id=in_review.pk,
            user=requester,
            facts=facts,
            reason="Once more, the same",
            actor=actor(requester),
            at=LATER,
        )
        observed(in_review)
        give(in_review, User.objects.get(pk=outsider.pk), at=LATER)
        in_review.refresh_from_db()
        assert in_review.state == "approved"

    def test_a_group_row_without_a_date_never_counts(self, in_review: Request, outsider: User) -> None:
        outsider.groups.add(Group.objects.get(name="approvers"))
        with pytest.raises(NotAllowed, match="You joined the group after"):
            give(in_review, User.objects.get(pk=outsider.pk))

    def test_leaving_and_coming_back_begins_anew(self, in_review: Request, approver: User) -> None:
        approvers = Group.objects.get(name="approvers")
        memberships.leave(approver, approvers)
        assert not GroupMembership.objects.filter(user=approver).exists()
        memberships.join(approver, approvers, LATER)
        with pytest.raises(NotAllowed, match="You joined the group after"):
            give(in_review, User.objects.get(pk=approver.pk))

    def test_an_approval_stops_counting_with_the_membership(
        self, requester: User, approver: User, facts: RoleFacts
    ) -> None:
        request = high(requester, facts)
        ticked(request, approver)
        revision = request.revisions.get()
        assert len(counting_approvals(revision)[0].groups) == 1
        memberships.leave(approver, Group.objects.get(name="approvers"))
        assert counting_approvals(revision)[0].groups == frozenset()


class TestStaff:
    def test_a_request_that_nobody_could_approve_is_not_sent(
        self, requester: User, security: User, facts: RoleFacts
    ) -> None:
        memberships.leave(security, Group.objects.get(name="security"))
        with pytest.raises(Invalid, match="besides you it lacks 1 of security"):
            send(requester, replace(facts, managed_policy="full"))
        assert refusals() == [("Rosa", "unstaffed")]
        assert send(requester, facts).state == "submitted"

    def test_the_requester_is_no_staff_for_the_own_request(
        self, requester: User, approver: User, facts: RoleFacts
    ) -> None:
        User.objects.filter(pk=approver.pk).update(is_active=False)
        with pytest.raises(Invalid, match="besides you it lacks 1 of approvers"):
            send(requester, facts)

    def test_the_page_says_who_else_can_when_one_departs(
        self, requester: User, approver: User, facts: RoleFacts, person: Callable[..., User]
    ) -> None:
        bo = person("bo", "approvers")
        request = send(requester, facts)
        proposal = observed(request)
        User.objects.filter(pk=approver.pk).update(is_active=False)
        bars = bars_for([proposal.revision])[proposal.revision_id]
        assert could_approve(proposal, bars) == [bo]
        assert (staff_of(proposal, [], bars).people, staff_of(proposal, [], bars).lacking) == ((bo,), "")
        User.objects.filter(pk=bo.pk).update(is_active=False)
        assert staff_of(proposal, [], bars).lacking.startswith("Nobody is left to give 1 of approvers.")

    def test_loaded_people_are_asked_without_a_thought_of_the_database(
        self, in_review: Request, person: Callable[..., User]
    ) -> None:
        """The queue asks all people for each of its rows: building a query that is never sent costs as much as one."""
        people = [person(f"bo{number}", "approvers") for number in range(10)]
        load_group_dates(people)
        proposal = Proposal.objects.get(revision__request=in_review)
        bars = bars_for([proposal.revision])[proposal.revision_id]
        profile = Profile()
        assert profile.runcall(could_approve, proposal, bars, people) == people
        assert sum(entry.callcount for entry in profile.getstats()) < 100 * len(people)


class TestOutdated:
    def test_a_proposal_of_another_record_is_not_approved(self, in_review: Request, approver: User) -> None:
        account = in_review.account
        assert account is not None
        account.boundary = "arn:aws:iam::111122223333:policy/Boundary"
        account.save()
        with pytest.raises(StaleDigest, match="The AWS account's record changed since"):
            give(in_review, approver)
        assert refusals() == [("Amara", "account_changed")]
        give(in_review, approver, "reject", reason="Not any more")
        assert AuditEvent.objects.filter(action="request.rejected").exists()
