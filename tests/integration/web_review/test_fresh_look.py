"""What the pages say and offer once the look at AWS is too old to approve by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from iamroles.models import AuditEvent, Decision, Proposal, Request
from iamroles.pages.requests import request_page
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.test_review import form, review_address, text_of, ticks
from tests.integration.web_review.world import World

Key = Callable[[], str]
AGAIN = ">Look again first</button>"


def aged(row: Request) -> Request:
    """The request, a day and an hour after the look."""
    Proposal.objects.filter(revision__request=row).update(observed_at=world.now() - timedelta(hours=25))
    return row


def look_address(row: Request) -> str:
    return reverse("request_look", args=[row.pk])


@pytest.fixture
def old(here: World) -> Request:
    return aged(world.in_review(here.people["rosa"], world.facts_for(here.staging)))


class TestOffering:
    def test_the_requester_finds_it_first(self, old: Request, signed_in: NewClient) -> None:
        page = text_of(signed_in("rosa").get(reverse("request_detail", args=[old.pk])))
        assert page.count(AGAIN) == 1
        assert "orders-staging was read too long ago to approve by that" in page

    def test_the_approver_finds_it_in_place_of_approving(self, old: Request, signed_in: NewClient) -> None:
        page = text_of(signed_in("amara").get(review_address(old)))
        assert page.count(AGAIN) == 1
        assert 'value="approve"' not in page
        assert 'value="reject"' in page

    def test_nobody_finds_it_while_the_look_holds(self, here: World, signed_in: NewClient) -> None:
        row = world.in_review(here.people["rosa"], world.facts_for(here.staging))
        for login in ("rosa", "amara"):
            assert AGAIN not in text_of(signed_in(login).get(reverse("request_detail", args=[row.pk])))
        assert AGAIN not in text_of(signed_in("amara").get(review_address(row)))

    def test_nobody_else_finds_it(self, here: World, old: Request) -> None:
        for login in ("theo", "mei", "idris", "oskar"):
            assert "look-first" not in request_page(old, here.people[login]).offered, login


class TestOrdering:
    def test_shows_that_a_worker_reads(self, old: Request, signed_in: NewClient, key: Key) -> None:
        client = signed_in("rosa")
        answer = client.post(look_address(old), {"idempotency_key": key()}, follow=True)
        assert answer.redirect_chain == [(reverse("request_detail", args=[old.pk]), 303)]
        page = text_of(answer)
        assert "A worker is reading orders-staging again." in page
        assert "data-poll" in page
        assert AGAIN not in page

    def test_a_second_click_orders_no_second_look(self, old: Request, signed_in: NewClient, key: Key) -> None:
        client, given = signed_in("rosa"), key()
        codes = [client.post(look_address(old), {"idempotency_key": value}).status_code for value in (given, given)]
        codes.append(client.post(look_address(old), {"idempotency_key": key()}).status_code)
        assert codes == [303, 303, 409]
        assert AuditEvent.objects.filter(action="observation.ordered").count() == 1

    def test_keeps_what_the_approver_typed(self, here: World, signed_in: NewClient, key: Key) -> None:
        facts = world.facts_for(here.prod, managed_policy="full", why_full="The hooks are shared")
        row = aged(world.in_review(here.people["rosa"], facts))
        client = signed_in("amara")
        given = form(row, reason="Seen with the team", acknowledged=ticks(row), idempotency_key=key())
        assert client.post(look_address(row), {**given, "decision": ""}).status_code == 303
        Proposal.objects.filter(revision__request=row).update(observed_at=world.now())
        page = text_of(client.get(review_address(row)))
        assert "We kept what you typed." in page
        assert ">Seen with the team</textarea>" in page
        assert page.count(" checked>") == len(ticks(row))


class TestDeciding:
    def test_a_forged_approval_is_refused_with_the_way_out(self, old: Request, signed_in: NewClient, key: Key) -> None:
        given: dict[str, Any] = form(old, reason="Seen with the team", idempotency_key=key())
        answer = signed_in("amara").post(reverse("approval_decide", args=[old.pk]), given)
        assert answer.status_code == 409
        page = text_of(answer)
        assert "too long ago to approve by" in page
        assert page.count(AGAIN) == 1
        assert ">Seen with the team</textarea>" in page
        assert not Decision.objects.exists()
        event = AuditEvent.objects.get(action="verb.refused")
        assert (event.actor_name, event.code) == ("Amara Okafor", "look_too_old")
