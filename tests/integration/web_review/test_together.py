"""Same-shape Low requests decided together: what is alike, what the table shows, and that each is its own decision."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from iamroles.models import AuditEvent, Decision, Request
from iamroles.pages import together
from iamroles.workflow import memberships
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.test_review import text_of
from tests.integration.web_review.world import World

pytestmark = pytest.mark.django_db


def shape(row: Request) -> str:
    proposal = row.current_proposal()
    assert proposal is not None
    return together.shape_of(proposal, row.kind)


@pytest.fixture
def alike(here: World) -> list[Request]:
    """Three Low requests that differ in name and tags."""
    rosa = here.people["rosa"]
    more = [{"tags": {"team": f"t{n}"}, "uses_policy_name": f"codedeploy-{n}-Deployments"} for n in (1, 2, 3)]
    named = [world.facts_for(here.prod, role_name=f"codedeploy-{n}", **one) for n, one in enumerate(more, 1)]
    return [world.in_review(rosa, facts) for facts in named]


def form(rows: list[Request], *ticked: Request) -> dict[str, object]:
    digests = {f"digest_{row.reference}": row.current_proposal().digest for row in rows}  # type: ignore[union-attr]
    return {**digests, "request": [row.reference for row in ticked]}


def address(row: Request) -> str:
    return reverse("approvals_together", args=[shape(row)])


class TestShape:
    def test_names_and_tags_do_not_matter(self, alike: list[Request]) -> None:
        assert shape(alike[0])
        assert len({shape(row) for row in alike}) == 1

    def test_everything_else_does(self, here: World, alike: list[Request]) -> None:
        rosa = here.people["rosa"]
        facts = world.facts_for(here.prod, role_name="other", max_session=7200)
        other = [
            world.in_review(rosa, facts),
            world.in_review(rosa, world.facts_for(here.staging, role_name="other2")),
            world.in_review(rosa, world.facts_for(here.prod, role_name="other3", task_roles=())),
        ]
        assert len({shape(alike[0]), *map(shape, other)}) == 4

    def test_high_and_existing_ones_are_decided_by_themselves(self, here: World) -> None:
        rosa = here.people["rosa"]
        full = world.facts_for(here.prod, role_name="full", managed_policy="full", why_full="Another bucket")
        legacy = world.facts_for(here.staging, role_name="legacy")
        assert shape(world.in_review(rosa, full)) == ""
        assert shape(world.in_review(rosa, legacy, world.existing_base(legacy))) == ""


class TestTogether:
    def test_folds_to_one_line_and_shows_every_difference(self, alike: list[Request], signed_in: NewClient) -> None:
        client = signed_in("amara")
        page = text_of(client.get("/approvals/"))
        assert "3 of the same shape" in page
        assert address(alike[0]) in page
        page = text_of(client.get(address(alike[0])))
        heads = re.findall(r'<th scope="col">([^<]+)</th>', page)
        assert heads == [
            "Approve",
            "Request",
            "Policy description",
            "Policy name",
            "Role name",
            "Tags",
            "Uses policy name",
        ]
        assert " checked" not in page
        for number in (1, 2, 3):
            assert f"codedeploy-{number}" in page
            assert f"team=t{number}" in page

    def test_each_ticked_one_gets_its_own_decision_digest_and_event(
        self, alike: list[Request], signed_in: NewClient
    ) -> None:
        answer = signed_in("amara").post(address(alike[0]), form(alike, *alike[:2]))
        assert answer.status_code == 303
        digests = {row.reference: row.current_proposal().digest for row in alike}  # type: ignore[union-attr]
        made = {row.request.reference: row.proposal_digest for row in Decision.objects.select_related("request")}
        assert made == {row.reference: digests[row.reference] for row in alike[:2]}
        assert AuditEvent.objects.filter(action="approval.given").count() == 2

    def test_a_changed_one_is_refused_and_stops_no_other(
        self, here: World, alike: list[Request], signed_in: NewClient
    ) -> None:
        values = form(alike, *alike)
        client, place = signed_in("amara"), address(alike[0])
        again = world.facts_for(here.prod, role_name="codedeploy-9", tags={"team": "t9"})
        world.resent(alike[1], here.people["rosa"], again)
        world.proposed(alike[1])
        assert client.post(place, values).status_code == 303
        assert set(Decision.objects.values_list("request", flat=True)) == {alike[0].pk, alike[2].pk}
        assert f"Not approved. {alike[1].reference}: This request changed" in text_of(client.get("/approvals/"))

    def test_own_and_others_requests_are_never_among_them(
        self, here: World, alike: list[Request], signed_in: NewClient
    ) -> None:
        rosa, amara = here.people["rosa"], here.people["amara"]
        rosa.groups.add(amara.groups.get(name="approvers"))
        place = address(alike[0])
        assert signed_in("rosa").get(place).status_code == 302
        assert signed_in("rosa").post(place, form(alike, *alike)).status_code == 403
        assert signed_in("mei").post(place, form(alike, *alike[:1])).status_code == 403
        assert signed_in("theo").post(place, form(alike, *alike)).status_code == 403
        assert Decision.objects.count() == 0
        refused = AuditEvent.objects.filter(action="verb.refused").order_by("pk").values_list("actor_name", "code")
        assert list(refused) == [
            *[("Rosa Lindqvist", "self_approval")] * 3,
            ("Mei Tanaka", "not_eligible"),
            ("Theo Marsh", "not_eligible"),
        ]

    def test_one_that_is_not_theirs_is_refused_beside_one_that_is(
        self, here: World, alike: list[Request], signed_in: NewClient
    ) -> None:
        amara = here.people["amara"]
        memberships.join(here.people["theo"], Group.objects.get(name="approvers"), world.now())
        amara.teams.add(here.people["rosa"].teams.get(), through_defaults={"since": world.now()})
        own = world.in_review(amara, world.facts_for(here.prod, role_name="codedeploy-own"))
        answer = signed_in("amara").post(address(alike[0]), form([*alike, own], alike[0], own))
        assert (answer.status_code, Decision.objects.get().request) == (303, alike[0])
        assert AuditEvent.objects.get(action="verb.refused").code == "self_approval"

    def test_nothing_ticked_or_too_many_is_said(self, alike: list[Request], signed_in: NewClient) -> None:
        client, place = signed_in("amara"), address(alike[0])
        assert client.post(place, form(alike)).status_code == 422
        values = {**form(alike), "request": [f"REQ-{number:06d}" for number in range(21)]}
        assert client.post(place, values).status_code == 422
        assert Decision.objects.count() == 0

    def test_an_old_sign_in_keeps_the_ticks(self, alike: list[Request], signed_in: NewClient) -> None:
        client, place = signed_in("amara", minutes=31), address(alike[0])
        answer = client.post(place, form(alike, alike[1]))
        assert answer.status_code == 302
        assert "reauthenticate" in answer["Location"]
        assert Decision.objects.count() == 0
        assert re.findall(r'value="(REQ-\d+)"[^>]* checked', text_of(client.get(place))) == [alike[1].reference]
