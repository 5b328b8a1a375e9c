"""A second factor where a group demands it: nothing else works without, and what counts as one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse

from iamroles.models import Decision, Request
from portal.second_factor import _OPEN
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.provider import Provider
from tests.integration.web_review.test_confirming import decide
from tests.integration.web_review.test_credentials import PASSWORD, code_for
from tests.integration.web_review.test_review import text_of
from tests.integration.web_review.test_single_sign_on import CORP, come
from tests.integration.web_review.world import World

pytestmark = pytest.mark.django_db
NEEDED = "/accounts/2fa/needed/"


@pytest.fixture(autouse=True)
def demanded(settings: Any) -> None:
    """Security demands one."""
    settings.ROLEDESK_MFA_GROUPS = ["security", "operators"]


def set_up(client: Client) -> str:
    assert client.get(reverse("mfa_activate_totp")).status_code == 200
    secret = str(client.session["mfa.totp.secret"])
    assert client.post(reverse("mfa_activate_totp"), {"code": code_for(secret)}).status_code == 302
    return secret


def test_without_one_nothing_is_decided_or_read_until_it_is_set_up(high: Request, signed_in: NewClient) -> None:
    client = signed_in("mei")
    answer = decide(client, high)
    assert (answer.status_code, answer["Location"]) == (302, f"{NEEDED}?next=%2F")
    page = f"/approvals/{high.reference}/"
    assert client.get(page)["Location"] == f"{NEEDED}?next=%2Fapprovals%2F{high.reference}%2F"
    poll = client.get(page, headers={"HX-Request": "true"})
    assert (poll.status_code, poll["HX-Redirect"]) == (204, NEEDED)
    assert "Set up a second factor" in text_of(client.get(NEEDED))
    assert Decision.objects.count() == 0
    set_up(client)
    assert "You need nothing more" in text_of(client.get(NEEDED))
    assert client.get(page).status_code == 200
    assert decide(client, high).status_code == 303


def open_views(patterns: Iterable[Any], before: str = "/") -> Iterator[str]:
    """The names of the product's own pages that answer without a second factor where one is demanded."""
    for pattern in patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from open_views(pattern.url_patterns, path)
        elif path.startswith(_OPEN) and not pattern.callback.__module__.startswith(("allauth.", "django.views.")):
            yield pattern.name


def test_what_is_open_without_one_is_about_signing_in_alone() -> None:
    assert sorted(open_views(get_resolver().url_patterns)) == [
        "account_email",
        "confirm_at_provider",
        "csp_report",
        "health_live",
        "health_ready",
        "invitation",
        "invited_at_provider",
        "openid_connect_login",
        "second_factor_needed",
        "theme",
        "usersessions_list",
    ]


def test_who_is_in_no_such_group_is_not_asked(signed_in: NewClient) -> None:
    assert signed_in("amara").get("/").status_code == 200
    assert "None of your groups" in text_of(signed_in("amara").get(NEEDED))


def test_a_session_from_before_uses_it_once(here: World, high: Request, signed_in: NewClient) -> None:
    secret = set_up(signed_in("mei"))
    cache.clear()  # the same code within its half minute counts once
    client = signed_in("mei")
    page = client.get(NEEDED, {"next": "/approvals/"})
    assert "Use your second factor" in text_of(page)
    assert f'{reverse("mfa_reauthenticate")}?next=%2Fapprovals%2F"' in text_of(page)
    answer = client.post(reverse("mfa_reauthenticate"), {"code": code_for(secret), "next": "/approvals/"})
    assert (answer.status_code, answer["Location"]) == (302, "/approvals/")
    assert client.get("/approvals/").status_code == 200


def test_a_password_confirmed_is_no_second_factor(here: World, signed_in: NewClient) -> None:
    mei = here.people["mei"]
    mei.set_password(PASSWORD)
    mei.save()
    client = signed_in("mei")
    assert client.post(reverse("account_reauthenticate"), {"password": PASSWORD}).status_code == 302
    assert client.get("/")["Location"].startswith(NEEDED)


@pytest.mark.parametrize("page", ["mfa_deactivate_totp", "mfa_generate_recovery_codes", "mfa_add_webauthn"])
@pytest.mark.parametrize("login", ["mei", "amara"])  # of whom one is demanded, and who has one of her own accord
def test_a_session_without_it_changes_nothing_about_it(
    here: World, signed_in: NewClient, login: str, page: str
) -> None:
    """Else whoever has the password and a session from before takes it away and sets up one of their own."""
    set_up(signed_in(login))
    held = set(Authenticator.objects.values_list("type", flat=True))
    here.people[login].set_password(PASSWORD)
    here.people[login].save()
    client = signed_in(login)
    assert client.post(reverse("account_reauthenticate"), {"password": PASSWORD}).status_code == 302
    assert client.get(reverse(page))["Location"].startswith(NEEDED)
    assert client.post(reverse(page))["Location"].startswith(NEEDED)
    assert set(Authenticator.objects.values_list("type", flat=True)) == held
    assert "Use your second factor" in text_of(client.get(NEEDED, {"next": reverse(page)}))


def test_a_password_by_mail_leads_to_it(here: World, signed_in: NewClient, mailoutbox: list[Any]) -> None:
    set_up(signed_in("mei"))
    mei, client = here.people["mei"], Client()
    mei.set_password(PASSWORD)
    mei.save()
    client.post(reverse("account_reset_password"), {"email": mei.email})
    (link,) = re.findall(r"/accounts/password/reset/key/\S+", mailoutbox[-1].body)
    form = client.get(link)["Location"]
    new = "another long one of hers"
    assert client.post(form, {"password1": new, "password2": new}).status_code == 302
    assert "_auth_user_id" not in client.session
    answer = client.post(reverse("account_login"), {"login": "mei", "password": new})
    assert (answer["Location"], "_auth_user_id" in client.session) == (reverse("mfa_authenticate"), False)


def test_whoever_forgot_the_password_can_still_set_one_up(here: World, signed_in: NewClient) -> None:
    """The mailed link notes the address as one that nobody verified, which allauth would ask for."""
    mei = here.people["mei"]
    mei.set_password(PASSWORD)
    mei.save()
    Client().post(reverse("account_reset_password"), {"email": mei.email})
    client = signed_in("mei")
    assert client.post(reverse("account_reauthenticate"), {"password": PASSWORD}).status_code == 302
    set_up(client)


def test_an_old_session_sets_none_up(here: World, signed_in: NewClient) -> None:
    here.people["mei"].set_password(PASSWORD)
    here.people["mei"].save()
    answer = signed_in("mei", minutes=6).get(reverse("mfa_activate_totp"))
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"amr": ["pwd", "mfa"]}, 200),
        ({"acr": "mfa"}, 200),
        ({"amr": ["pwd"]}, 302),
        ({"amr": "mfa-not"}, 302),
        ({}, 302),
    ],
)
def test_what_the_provider_says_counts_where_it_is_trusted(
    here: World, provider: Provider, settings: Any, claims: dict[str, Any], status: int
) -> None:
    settings.ROLEDESK_SINGLE_SIGN_ON = CORP.__class__(**{**CORP.__dict__, "mfa_values": ("mfa",)})
    SocialAccount.objects.create(user=here.people["mei"], provider="corp", uid="mei-at-corp")
    provider.claims = {"sub": "mei-at-corp", "auth_time": int(time.time())}
    client, _ = come(provider, **claims)
    assert client.get("/").status_code == status
    settings.ROLEDESK_SINGLE_SIGN_ON = CORP
    client, _ = come(provider, **claims)
    assert client.get("/").status_code == 302
