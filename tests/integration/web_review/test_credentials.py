"""What people change of what they sign in with, and wrong second factors: each is an event, and says no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import hotp_value, yield_hotp_counters_from_time
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from iamroles.models import AuditEvent, User
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.world import World

PASSWORD = "long-and-secret-1"


def code_for(secret: str) -> str:
    return f"{hotp_value(secret, next(iter(yield_hotp_counters_from_time()))):06d}"


def told() -> list[tuple[str, ...]]:
    """Who, to whom, and what happened how, of the events in order."""
    rows = AuditEvent.objects.filter(action__in=("credential.changed", "session.refused")).order_by("pk")
    known = [(row, json.loads(row.canon)["data"]) for row in rows]
    return [
        (row.actor_name, row.object_name, data.get("kind") or data["method"], data.get("change") or data["code"])
        for row, data in known
    ]


@pytest.fixture
def mei(here: World, signed_in: NewClient) -> Client:
    return signed_in("mei")


@pytest.fixture
def secret(mei: Client) -> str:
    """A second factor, registered on its page."""
    assert mei.get(reverse("mfa_activate_totp")).status_code == 200
    found = str(mei.session["mfa.totp.secret"])
    assert mei.post(reverse("mfa_activate_totp"), {"code": code_for(found)}).status_code == 302
    return found


def test_registering_and_removing_a_second_factor(mei: Client, secret: str) -> None:
    made = [("Mei Tanaka", "Mei Tanaka", "totp", "added"), ("Mei Tanaka", "Mei Tanaka", "recovery_codes", "added")]
    assert told() == made
    cache.clear()  # the same code within its half minute counts once
    assert mei.post(reverse("mfa_reauthenticate"), {"code": code_for(secret)}).status_code == 302
    answer = mei.post(reverse("mfa_deactivate_totp"))
    assert (answer.status_code, answer["Location"]) == (302, reverse("mfa_index"))
    assert not Authenticator.objects.exists()
    assert sorted(told()[2:]) == sorted((*who, kind, "removed") for *who, kind, _ in made)
    assert not AuditEvent.objects.filter(canon__contains=secret).exists()


def test_a_wrong_code_at_signing_in(here: World, secret: str, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = False
    mei = here.people["mei"]
    mei.set_password(PASSWORD)
    mei.save()
    client = Client()
    asked = client.post(reverse("account_login"), {"login": "mei", "password": PASSWORD})
    assert asked["Location"].startswith(reverse("mfa_authenticate"))
    assert client.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code == 200
    assert told()[-1] == ("Somebody not signed in", "Mei Tanaka", "mfa", "bad_code")
    assert "_auth_user_id" not in client.session


def test_changing_and_setting_a_password(here: World, mei: Client, signed_in: NewClient) -> None:
    new = {"password1": "another-long-one-2", "password2": "another-long-one-2"}
    assert mei.post(reverse("account_set_password"), new).status_code == 302
    assert told() == [("Mei Tanaka", "Mei Tanaka", "password", "set")]
    newer = {"oldpassword": "another-long-one-2", "password1": PASSWORD, "password2": PASSWORD}
    assert mei.post(reverse("account_change_password"), newer).status_code == 302
    assert told()[1:] == [("Mei Tanaka", "Mei Tanaka", "password", "changed")]
    assert User.objects.get(username="mei").check_password(PASSWORD)
