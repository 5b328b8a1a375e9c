"""Sections marked as viewed: stored with the decision, kept for the next look, gone once the section says otherwise."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client
from django.urls import reverse

from iamroles.models import AuditEvent, Decision, Request
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.test_review import form, review_address, text_of
from tests.integration.web_review.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def low(here: World) -> Request:
    """A Low request in review."""
    return world.in_review(here.people["rosa"], world.facts_for(here.prod))


def marks(client: Client, row: Request) -> dict[str, tuple[str, bool]]:
    """The page's marks by section: the value, and whether it is ticked."""
    boxes = re.findall(r'name="viewed"[^>]*value="([^"]+)"( checked)?', text_of(client.get(review_address(row))))
    return {value.split(".")[0]: (value, bool(ticked)) for value, ticked in boxes}


class TestViewed:
    def test_is_stored_with_the_decision_and_its_event(self, low: Request, signed_in: NewClient) -> None:
        client = signed_in("amara")
        found = marks(client, low)
        assert list(found) == ["trust", "permissions", "grants", "names", "in-aws"]
        viewed = [found["trust"][0], found["grants"][0], "trust.0000000000000000", "nothing.x"]
        address = reverse("approval_decide", args=[low.pk])
        assert client.post(address, form(low, viewed=viewed)).status_code == 303
        assert Decision.objects.get().viewed == ["grants", "trust"]
        event = AuditEvent.objects.get(action="approval.given")
        assert json.loads(event.canon)["data"]["viewed"] == ["grants", "trust"]
        assert "2 sections viewed" in text_of(client.get(reverse("request_detail", args=[low.pk])))

    def test_is_kept_for_the_next_look(self, low: Request, signed_in: NewClient) -> None:
        client = signed_in("amara")
        value = marks(client, low)["trust"][0]
        assert client.post(reverse("approval_viewed", args=[low.pk]), {"viewed": [value]}).status_code == 204
        assert [name for name, (_, ticked) in marks(client, low).items() if ticked] == ["trust"]
        assert not any(ticked for _, ticked in marks(signed_in("mei"), low).values())

    def test_comes_back_with_a_refused_form(self, low: Request, signed_in: NewClient) -> None:
        client = signed_in("amara")
        values = form(low, "reject", viewed=[marks(client, low)["names"][0]])
        assert client.post(reverse("approval_decide", args=[low.pk]), values).status_code == 422
        assert marks(client, low)["names"][1]

    def test_vanishes_when_that_section_changes_and_no_other(
        self, here: World, low: Request, signed_in: NewClient
    ) -> None:
        client = signed_in("amara")
        every = [value for value, _ in marks(client, low).values()]
        client.post(reverse("approval_viewed", args=[low.pk]), {"viewed": every})
        again = world.facts_for(here.prod, tags={"cost-center": "9999", "team": "orders"})
        world.resent(low, here.people["rosa"], again)
        world.proposed(low)
        found = marks(client, low)
        assert [name for name, (_, ticked) in found.items() if not ticked] == ["names"]
        address = reverse("approval_decide", args=[low.pk])
        assert client.post(address, form(low, viewed=every)).status_code == 303
        assert "names" not in Decision.objects.get().viewed

    def test_is_not_offered_to_who_cannot_decide(self, low: Request, signed_in: NewClient) -> None:
        assert marks(signed_in("idris"), low) == {}

    def test_only_of_what_one_may_see(self, low: Request, signed_in: NewClient) -> None:
        assert signed_in("eve").post(reverse("approval_viewed", args=[low.pk]), {}).status_code == 403
