"""What stands beside a request under review: the table of access, the last revision, decisions and similar requests."""

from __future__ import annotations

import pytest
from django.urls import reverse

from iamroles.iam import documents
from iamroles.models import Request
from iamroles.pages.access import access_between
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


class TestBeside:
    def test_compares_with_the_last_revision_where_asked(self, low: Request, signed_in: NewClient) -> None:
        client = signed_in("amara")
        page = text_of(client.get(review_address(low)))
        assert "?against=revision" in page
        assert "Against revision 1" not in page
        page = text_of(client.get(review_address(low), {"against": "revision"}))
        part = page.split('id="against-revision"')[1].split("</section>")[0]
        assert "Against revision 1" in part
        assert "orders-worker-task" in part
        assert "orders-new-task" in part
        assert "Trust policy" not in part

    def test_the_first_revision_has_none(self, here: World, signed_in: NewClient) -> None:
        row = world.in_review(here.people["rosa"], world.facts_for(here.prod))
        page = text_of(signed_in("amara").get(review_address(row), {"against": "revision"}))
        assert "Against revision" not in page

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
