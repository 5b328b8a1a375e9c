"""Confirming that it is still you: at a simulated identity provider, by password, and when there is no way at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse

from iamroles.models import AuditEvent, Decision, Request
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.provider import Provider
from tests.integration.web_review.test_review import form, text_of, ticks
from tests.integration.web_review.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def mei(here: World, signed_in: NewClient) -> Callable[..., Client]:
    """Mei, who has neither password nor second factor and signed in through Corp so many minutes ago."""

    def make(minutes: float) -> Client:
        client = signed_in("mei", minutes=minutes)
        SocialAccount.objects.get_or_create(user=here.people["mei"], provider="corp", uid="mei-at-corp")
        return client

    return make


def confirm(client: Client, page: str) -> tuple[dict[str, list[str]], Any]:
    """Follows the portal to the provider and back. Returns what the provider was asked, and the portal's answer."""
    door = client.get(reverse("account_reauthenticate"), {"next": page})
    assert door.status_code == 302
    assert "Sign in again at Corp" in text_of(client.get(door["Location"]))
    sent = client.post(reverse("confirm_at_provider", args=["corp"]), {"next": page})
    assert sent.status_code == 302
    asked = parse_qs(urlsplit(sent["Location"]).query)
    back = {"code": "c", "state": asked["state"][0]}
    return asked, client.get(reverse("openid_connect_callback", args=["corp"]), back)


def decide(client: Client, row: Request, **more: Any) -> Any:
    return client.post(reverse("approval_decide", args=[row.pk]), form(row, acknowledged=ticks(row), **more))


class TestAtTheProvider:
    def test_an_old_session_signs_in_again_and_finds_what_was_typed(
        self, high: Request, provider: Provider, mei: Any
    ) -> None:
        client = mei(6)
        page = reverse("approval_review", args=[high.pk])
        answer = decide(client, high, reason="seen with Theo")
        assert (answer.status_code, Decision.objects.count()) == (302, 0)
        assert "Theo" not in answer["Location"]
        old = client.session.session_key
        provider.claims = {"sub": "mei-at-corp", "auth_time": int(time.time())}
        asked, answer = confirm(client, page)
        assert (asked["prompt"], asked["max_age"]) == (["login"], ["300"])
        assert (answer.status_code, answer["Location"]) == (302, page)
        assert client.session.session_key != old
        assert "seen with Theo</textarea>" in text_of(client.get(page))
        assert decide(client, high, reason="seen with Theo").status_code == 303
        assert Decision.objects.get().reason == "seen with Theo"
        assert AuditEvent.objects.filter(action="session.confirmed").count() == 1

    @pytest.mark.parametrize(
        ("claims", "says"),
        [
            ({"sub": "mei-at-corp", "auth_time": 1_700_000_000}, "did not ask you again"),
            ({"sub": "mei-at-corp", "auth_time": 9_999_999_999}, "did not ask you again"),
            ({"sub": "mei-at-corp"}, "does not tell when you signed in"),
            ({"sub": "mei-at-corp", "auth_time": True}, "does not tell when you signed in"),
            ({"sub": "somebody-else", "auth_time": None}, "as somebody else"),
        ],
    )
    def test_what_does_not_prove_it_is_refused(
        self, high: Request, provider: Provider, mei: Any, claims: dict[str, Any], says: str
    ) -> None:
        client = mei(6)
        provider.claims = claims
        _, answer = confirm(client, reverse("approval_review", args=[high.pk]))
        assert answer.status_code == 403
        assert says in text_of(answer)
        assert decide(client, high).status_code == 302
        assert Decision.objects.count() == 0
        assert AuditEvent.objects.filter(action="session.not_confirmed", outcome="refused").count() == 1

    def test_what_another_account_there_proves_is_not_mine(
        self, here: World, high: Request, provider: Provider, mei: Any
    ) -> None:
        client = mei(6)
        SocialAccount.objects.create(user=here.people["amara"], provider="corp", uid="amara-at-corp")
        provider.claims = {"sub": "amara-at-corp", "auth_time": int(time.time())}
        _, answer = confirm(client, reverse("approval_review", args=[high.pk]))
        assert (answer.status_code, "as somebody else" in text_of(answer)) == (403, True)
        assert client.session["_auth_user_id"] == str(here.people["mei"].pk)
        assert decide(client, high).status_code == 302

    def test_changed_content_is_told_after_confirming(
        self, here: World, high: Request, provider: Provider, mei: Any
    ) -> None:
        client = mei(6)
        values = form(high, acknowledged=ticks(high), reason="seen")
        address = reverse("approval_decide", args=[high.pk])
        assert client.post(address, values).status_code == 302
        again = world.facts_for(
            here.prod, managed_policy="full", why_full="An AppSpec of another bucket", tags={"a": "b"}
        )
        world.resent(high, here.people["rosa"], again)
        world.proposed(high)
        provider.claims = {"sub": "mei-at-corp", "auth_time": int(time.time())}
        _, answer = confirm(client, reverse("approval_review", args=[high.pk]))
        assert "The request changed meanwhile" in text_of(client.get(answer["Location"]))
        assert client.post(address, values).status_code == 409
        assert Decision.objects.count() == 0

    def test_signing_in_counts_from_when_the_provider_looked(
        self, here: World, high: Request, provider: Provider, mei: Any
    ) -> None:
        mei(0)
        client = Client()
        provider.claims = {"sub": "mei-at-corp", "auth_time": int(time.time()) - 3600}
        sent = client.post(reverse("openid_connect_login", args=["corp"]))
        state = parse_qs(urlsplit(sent["Location"]).query)["state"][0]
        client.get(reverse("openid_connect_callback", args=["corp"]), {"code": "c", "state": state})
        assert client.session["_auth_user_id"] == str(here.people["mei"].pk)
        assert decide(client, high).status_code == 302
        assert Decision.objects.count() == 0


class TestOtherWays:
    def test_without_any_way_it_is_said(self, high: Request, signed_in: NewClient) -> None:
        answer = signed_in("mei", minutes=6).get(reverse("account_reauthenticate"), {"next": "/"})
        assert answer.status_code == 403
        assert "nothing to confirm it with" in text_of(answer)

    def test_an_old_session_can_register_nothing_to_confirm_with(self, provider: Provider, mei: Any) -> None:
        door = reverse("confirm_at_provider", args=["corp"])
        for name in ("mfa_activate_totp", "account_set_password", "mfa_add_webauthn"):
            answer = mei(6).get(reverse(name))
            assert (answer.status_code, answer["Location"].split("?")[0]) == (302, door), name
            assert mei(1).get(reverse(name)).status_code == 200, name

    def test_a_password_confirms_and_changes_the_sessions_key(
        self, here: World, high: Request, signed_in: NewClient
    ) -> None:
        mei = here.people["mei"]
        mei.set_password("long-and-secret-1")
        mei.save()
        client = signed_in("mei", minutes=6)
        old = client.session.session_key
        UserSession.objects.create(user=mei, ip="127.0.0.1", session_key=old, user_agent="")
        page = reverse("approval_review", args=[high.pk])
        address = reverse("account_reauthenticate")
        assert client.post(address, {"password": "wrong", "next": page}).status_code == 200
        assert decide(client, high).status_code == 302
        answer = client.post(address, {"password": "long-and-secret-1", "next": page})
        assert (answer.status_code, answer["Location"]) == (302, page)
        assert client.session.session_key != old
        assert UserSession.objects.get(user=mei).session_key == client.session.session_key
        assert decide(client, high).status_code == 303

    def test_the_door_is_for_ones_own_provider(self, provider: Provider, signed_in: NewClient) -> None:
        assert signed_in("amara").get(reverse("confirm_at_provider", args=["corp"])).status_code == 404


class TestSigningIn:
    @pytest.fixture
    def rosa(self, here: World) -> Client:
        """Rosa, who has just signed in by her password."""
        rosa = here.people["rosa"]
        rosa.set_password("a long password of hers")
        rosa.save()
        client = Client()
        typed = {"login": rosa.get_username(), "password": "a long password of hers"}
        answer = client.post(reverse("account_login"), typed)
        assert (answer.status_code, answer["Location"]) == (302, "/")
        return client

    def test_nobody_becomes_another_person_by_another_address(self, here: World, rosa: Client) -> None:
        """Two sign-ins with one address are one person: whoever could change it could approve their own request."""
        before = here.people["rosa"].email
        rosa.post(reverse("account_reauthenticate"), {"password": "a long password of hers"})
        for what in ("action_add", "action_primary"):
            answer = rosa.post("/accounts/email/", {what: "", "email": "other@example.org"})
            assert answer.status_code == 403
        here.people["rosa"].refresh_from_db()
        assert here.people["rosa"].email == before
        assert "Ask an operator" in text_of(rosa.get("/accounts/email/"))

    def test_signing_in_by_password_is_fresh(self, here: World, high: Request) -> None:
        mei = here.people["mei"]
        mei.set_password("long-and-secret-1")
        mei.save()
        client = Client()
        answer = client.post(reverse("account_login"), {"login": "mei", "password": "long-and-secret-1"})
        assert (answer.status_code, answer["Location"]) == (302, "/")
        assert decide(client, high).status_code == 303
