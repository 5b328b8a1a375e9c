"""What stands beside a request under review: the table of access, the last revision, decisions and similar requests."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from iamroles.iam import documents, trust
from iamroles.models import AuditEvent, Request, User
from iamroles.pages.access import access_between
from iamroles.workflow import organisation
from tests.integration.account_rules import set_account_rule
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.test_review import review_address, text_of
from tests.integration.web_review.world import World

pytestmark = pytest.mark.django_db


def statement(**parts: object) -> documents.Document:
    return documents.parse({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **parts}]})


class TestAccess:
    def test_says_what_comes_goes_and_stays_with_its_conditions(self) -> None:
        test = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        before = statement(Action=["ecs:A", "ecs:B"], Resource="*")
        after = documents.parse(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": "ecs:A", "Resource": "*"},
                    {"Effect": "Deny", "NotAction": "iam:PassRole", "Resource": ["r1", "r2"], "Condition": test},
                ],
            }
        )
        rows = [(r.sign, r.effect, r.service, r.actions, r.resources) for r in access_between(before, after)]
        assert rows == [
            ("−", "Allow", "ecs", ("ecs:B",), ("*",)),
            ("+", "Deny", "iam", ("not iam:PassRole",), ("r1", "r2")),
            ("", "Allow", "ecs", ("ecs:A",), ("*",)),
        ]
        (deny,) = [row for row in access_between(before, after) if row.effect == "Deny"]
        assert deny.conditions == ("iam:PassedToService StringEquals ecs-tasks.amazonaws.com",)

    def test_the_page_has_it_for_each_document(self, here: World, signed_in: NewClient) -> None:
        low = world.in_review(here.people["rosa"], world.facts_for(here.prod))
        page = text_of(signed_in("amara").get(review_address(low)))
        assert page.count("Actions by resource, now and after approval") >= 3
        assert "Service codedeploy.amazonaws.com" in page


@pytest.fixture
def low(here: World) -> Request:
    """A Low request in its second revision."""
    row = world.in_review(here.people["rosa"], world.facts_for(here.prod))
    task = f"arn:aws:iam::{world.PROD}:role/orders-new-task"
    world.resent(row, here.people["rosa"], world.facts_for(here.prod, task_roles=(task,)))
    world.proposed(row)
    return row


def part_of(page: str) -> str:
    """What the request is compared with."""
    return page.split('id="against"')[1].split("</section>", maxsplit=1)[0]


class TestBeside:
    def test_compares_with_the_last_revision_where_asked(self, low: Request, signed_in: NewClient) -> None:
        client = signed_in("amara")
        page = text_of(client.get(review_address(low)))
        assert "?against=revision" in page
        assert "Against revision 1" not in page
        page = text_of(client.get(review_address(low), {"against": "revision"}))
        part = part_of(page)
        assert "Against revision 1" in part
        assert "orders-worker-task" in part
        assert "orders-new-task" in part
        assert "The same: Trust policy" in part

    def test_the_first_revision_has_none(self, here: World, signed_in: NewClient) -> None:
        row = world.in_review(here.people["rosa"], world.facts_for(here.prod))
        page = text_of(signed_in("amara").get(review_address(row), {"against": "revision"}))
        assert "Against revision" not in page
        assert "Against AWS alone" in page

    def test_a_new_role_is_compared_with_the_standard(self, here: World, signed_in: NewClient) -> None:
        row = world.in_review(here.people["rosa"], world.facts_for(here.prod))
        client = signed_in("amara")
        page = text_of(client.get(review_address(row)))
        part = part_of(page)
        assert "Against the standard of orders-prod" in part
        assert "The same: Limited (AWSCodeDeployRoleForECSLimited), Trust policy." in part
        assert "orders-api-task" in part
        assert client.get(review_address(row), {"against": "standard"}).content.count(b"Against the standard") == 1
        assert "Against AWS alone" in text_of(client.get(review_address(row), {"against": "base"}))

    def test_the_standard_that_was_set_counts(self, here: World, signed_in: NewClient) -> None:
        row = world.in_review(here.people["rosa"], world.facts_for(here.prod))
        text = documents.minified(trust.codedeploy_trust(world.PROD))
        set_account_rule(number=world.PROD, kind="standard", text=text, actor=world.SYSTEM, at=world.now())
        part = part_of(text_of(signed_in("amara").get(review_address(row))))
        assert "The same: Trust policy." in part
        assert "Limited (AWSCodeDeployRoleForECSLimited): " in part

    def test_a_live_role_is_compared_with_aws_unless_asked(self, here: World, signed_in: NewClient) -> None:
        facts = world.facts_for(here.prod)
        row = world.in_review(here.people["rosa"], facts, world.existing_base(facts))
        client = signed_in("amara")
        assert "Against AWS alone" in text_of(client.get(review_address(row)))
        page = text_of(client.get(review_address(row), {"against": "standard"}))
        assert "Against the standard of orders-prod" in part_of(page)

    def test_compares_with_another_request(self, here: World, signed_in: NewClient) -> None:
        row = world.in_review(here.people["rosa"], world.facts_for(here.prod))
        other = world.in_review(here.people["rosa"], world.facts_for(here.staging, role_name="other", max_session=7200))
        client = signed_in("amara")
        page = text_of(client.get(review_address(row)))
        assert f"?against={other.reference}" in page
        part = part_of(text_of(client.get(review_address(row), {"against": other.reference})))
        assert f"Against {other.reference}" in part
        assert "Longest session: 120 minutes" in part
        assert "Name: other" in part

    def test_says_where_the_other_has_no_proposal(self, here: World, signed_in: NewClient) -> None:
        row = world.in_review(here.people["rosa"], world.facts_for(here.prod))
        other = world.sent(here.people["rosa"], world.facts_for(here.staging, role_name="other"))
        part = part_of(text_of(signed_in("amara").get(review_address(row), {"against": other.reference})))
        assert f"{other.reference} has no proposal to compare with yet." in part

    def test_refuses_what_the_reader_may_not_see(self, here: World, signed_in: NewClient) -> None:
        organisation.add_team(
            slug="payments", name="Payments", accounts=[here.staging], actor=world.SYSTEM, at=world.now()
        )
        organisation.add_person(
            login="paul",
            first_name="Paul",
            last_name="Roth",
            password=None,
            groups=(),
            teams=("payments",),
            actor=world.SYSTEM,
            at=world.now(),
        )
        row = world.in_review(here.people["rosa"], world.facts_for(here.prod))
        paul = User.objects.get(username="paul")
        theirs = world.in_review(paul, world.facts_for(here.staging, team="payments", role_name="theirs"))
        client = signed_in("rosa")
        refused = client.get(review_address(row), {"against": theirs.reference})
        assert refused.status_code == 403
        assert "theirs" not in text_of(refused).replace(theirs.reference, "")
        event = AuditEvent.objects.filter(action="verb.refused").latest("pk")
        assert (event.request, event.code) == (theirs.reference, "not_involved")
        for unknown in ("REQ-999999", "REQ-x"):
            assert client.get(review_address(row), {"against": unknown}).status_code == 404

    @pytest.mark.parametrize("against", ["base", "standard", "revision", "REQ"])
    def test_asks_as_much_whatever_there_is(
        self, here: World, low: Request, signed_in: NewClient, against: str
    ) -> None:
        other = world.in_review(here.people["rosa"], world.facts_for(here.staging, role_name="other"))
        client, query = signed_in("amara"), {"against": other.reference if against == "REQ" else against}
        client.get(review_address(low), query)
        with CaptureQueriesContext(connection) as few:
            client.get(review_address(low), query)
        for number in range(4):
            world.in_review(here.people["rosa"], world.facts_for(here.prod, role_name=f"more-{number}"))
        task = f"arn:aws:iam::{world.PROD}:role/orders-third-task"
        world.resent(low, here.people["rosa"], world.facts_for(here.prod, task_roles=(task,)))
        world.proposed(low)
        with CaptureQueriesContext(connection) as many:
            client.get(review_address(low), query)
        assert len(many) == len(few) <= 18

    def test_lists_the_last_decisions_and_similar_requests(
        self, here: World, low: Request, signed_in: NewClient
    ) -> None:
        other = world.in_review(here.people["rosa"], world.facts_for(here.staging, role_name="other"))
        decided = world.approved(
            world.in_review(here.people["rosa"], world.facts_for(here.prod, role_name="done")), here.people["amara"]
        )
        page = text_of(signed_in("amara").get(review_address(low)))
        last = page.split('id="last-decisions"')[1].split("</ul>")[0]
        assert decided.reference in last
        assert other.reference not in last
        similar = page.split('id="similar"')[1].split("</ul>")[0]
        assert {one.reference for one in (other, decided) if one.reference in similar} == {
            other.reference,
            decided.reference,
        }
        assert low.reference not in similar
        assert reverse("request_detail", args=[other.pk]) in similar
