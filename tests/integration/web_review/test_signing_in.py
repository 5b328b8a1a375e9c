"""Signing in: too many tries are counted for all processes together and told in words; a session is not handed on."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from iamroles.models import AuditEvent, CacheEntry
from tests.integration.web_review.provider import Provider
from tests.integration.web_review.test_credentials import PASSWORD
from tests.integration.web_review.test_review import text_of
from tests.integration.web_review.world import World

pytestmark = pytest.mark.django_db
LOGIN = reverse("account_login")
IN_THE_DATABASE = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "iamroles_cacheentry"}
}


@pytest.fixture
def mei(here: World) -> dict[str, str]:
    """What Mei types to sign in."""
    here.people["mei"].set_password(PASSWORD)
    here.people["mei"].save()
    return {"login": "mei", "password": PASSWORD}


def wrong(client: Client, login: str = "mei") -> Any:
    return client.post(LOGIN, {"login": login, "password": "no such password"})


def test_a_deep_link_survives(mei: dict[str, str]) -> None:
    client = Client()
    asked = client.get("/approvals/?risk=high")
    assert asked["Location"] == f"{LOGIN}?next=/approvals/%3Frisk%3Dhigh"
    page = text_of(client.get(asked["Location"]))
    (following,) = re.findall(r'name="next" value="([^"]+)"', page)
    answer = client.post(LOGIN, {**mei, "next": following})
    assert (answer.status_code, answer["Location"]) == (302, "/approvals/?risk=high")


ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "///evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
)


@pytest.mark.parametrize("following", ELSEWHERE)
def test_no_next_leads_to_another_site(mei: dict[str, str], here: World, provider: Provider, following: str) -> None:
    client = Client()
    assert client.post(LOGIN, {**mei, "next": following})["Location"] == "/"
    confirming = {"password": PASSWORD, "next": following}
    assert client.post(reverse("account_reauthenticate"), confirming)["Location"] == "/"
    SocialAccount.objects.create(user=here.people["mei"], provider="corp", uid="mei-at-corp")
    page = text_of(client.get(reverse("confirm_at_provider", args=["corp"]), {"next": following}))
    assert re.findall(r'name="next" value="([^"]*)"', page) == ["/"]
    assert client.post(reverse("account_logout"), {"next": following})["Location"] == LOGIN


def test_unknown_and_wrong_read_the_same_and_keep_the_name(mei: dict[str, str]) -> None:
    pages = [text_of(wrong(Client(), login)) for login in ("mei", "nobody")]
    assert 'value="mei"' in pages[0]
    said = [re.findall(r'id="error-summary" tabindex="-1" data-focus.*?</ul>', page, re.DOTALL) for page in pages]
    assert len(said[0]) == 1
    assert said[0] == said[1]


def test_tries_are_counted_for_all_processes_together_and_told_in_words(mei: dict[str, str], settings: Any) -> None:
    """Counted in the database: what stops it stops signing in too, so nothing that is down lets one try for ever."""
    settings.CACHES = IN_THE_DATABASE
    for _ in range(5):
        assert "Too many" not in text_of(wrong(Client()))
    assert CacheEntry.objects.exists()
    answer = wrong(Client())
    assert (answer.status_code, "Too many" in text_of(answer)) == (200, True)
    refused = Client().post(LOGIN, mei)
    assert (refused.status_code, "Too many" in text_of(refused)) == (200, True)
    assert AuditEvent.objects.filter(action="sign_in.throttled").count() == 1
    cache.clear()
    assert Client().post(LOGIN, mei).status_code == 302


def test_behind_a_proxy_each_address_has_tries_of_its_own(mei: dict[str, str], settings: Any) -> None:
    settings.CACHES, settings.ROLEDESK_PROXIES = IN_THE_DATABASE, 1
    guesser = {"x-forwarded-for": "198.51.100.1, 203.0.113.7"}
    for number in range(10):
        assert "Too many" not in text_of(wrong(Client(headers=guesser), f"nobody{number}"))
    assert "Too many" in text_of(wrong(Client(headers=guesser), "nobody10"))
    other = Client(headers={"x-forwarded-for": "203.0.113.8"})
    assert other.post(LOGIN, mei).status_code == 302
    events = [AuditEvent.objects.filter(action=f"session.{name}").latest("pk") for name in ("refused", "started")]
    assert [json.loads(event.canon)["origin"]["ip"] for event in events] == ["203.0.113.7", "203.0.113.8"]


def test_the_session_of_before_is_nobodys_afterwards(mei: dict[str, str]) -> None:
    """Whoever planted a session's key on somebody else's browser is not signed in by their sign-in."""
    victim = Client()
    victim.get(LOGIN)
    session = victim.session
    session["planted"] = "x"
    session.save()
    victim.cookies["sessionid"] = session.session_key
    planted = session.session_key
    assert victim.post(LOGIN, mei).status_code == 302
    assert victim.session.session_key != planted
    attacker = Client()
    attacker.cookies["sessionid"] = planted
    assert attacker.get("/").status_code == 302


def test_a_session_key_of_ones_own_making_is_not_taken(mei: dict[str, str]) -> None:
    client = Client()
    client.cookies["sessionid"] = "a" * 32
    assert client.post(LOGIN, mei).status_code == 302
    assert client.cookies["sessionid"].value != "a" * 32
