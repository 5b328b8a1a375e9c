"""What people change of what they sign in with, and wrong second factors: each is an event, and says no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import hotp_value, yield_hotp_counters_from_time
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from iamroles.engine import deliver
from iamroles.models import AuditEvent, Notice, User
from tests.integration.web_review import world
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.test_review import text_of
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


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"


class TestTelling:
    """What people are told of their own signing in."""

    @pytest.fixture(autouse=True)
    def amara(self, here: World, settings: Any) -> User:
        settings.ACCOUNT_RATE_LIMITS = False
        cache.clear()
        amara = here.people["amara"]
        amara.set_password(PASSWORD)
        amara.save()
        return amara

    def sign_in(self, password: str, agent: str = FIREFOX) -> Client:
        client = Client(headers={"User-Agent": agent})
        client.post(reverse("account_login"), {"login": "amara", "password": password})
        return client

    def warned(self) -> list[str]:
        rows = Notice.objects.filter(kind="security").order_by("pk")
        assert {row.person.username for row in rows if row.person} <= {"amara"}
        return [row.happened for row in rows]

    def test_a_browser_that_is_new(self) -> None:
        self.sign_in(PASSWORD)
        self.sign_in(PASSWORD)
        assert self.warned() == []
        self.sign_in(PASSWORD, CHROME)
        self.sign_in(PASSWORD, CHROME)
        assert self.warned() == ["You signed in with a browser that you did not use here before"]

    def test_success_after_failures_also_with_a_known_browser(self) -> None:
        self.sign_in(PASSWORD)
        for _ in range(2):
            self.sign_in("wrong")
        self.sign_in(PASSWORD)
        assert self.warned() == []
        for _ in range(3):
            self.sign_in("wrong")
        self.sign_in(PASSWORD)
        assert self.warned() == ["You signed in after 3 tries that failed"]
        self.sign_in(PASSWORD)
        assert len(self.warned()) == 1

    def test_many_failures_are_told_once(self) -> None:
        for _ in range(8):
            self.sign_in("wrong")
        assert self.warned() == ["5 tries to sign in as you failed"]

    def test_an_unknown_name_tells_nobody(self) -> None:
        for _ in range(8):
            Client().post(reverse("account_login"), {"login": "nobody", "password": "wrong"})
        assert self.warned() == []

    def test_a_wrong_code_after_the_right_password(self) -> None:
        own = self.sign_in(PASSWORD)
        own.post(reverse("account_reauthenticate"), {"password": PASSWORD})
        own.get(reverse("mfa_activate_totp"))
        own.post(reverse("mfa_activate_totp"), {"code": code_for(str(own.session["mfa.totp.secret"]))})
        set_up = ["Your authenticator app was set up as a second factor", "Your recovery codes were made anew"]
        assert self.warned() == set_up
        client = self.sign_in(PASSWORD)
        for _ in range(2):
            client.post(reverse("mfa_authenticate"), {"code": "000000"})
        assert self.warned()[2:] == ["Somebody gave your password, and then a wrong second factor"]

    def test_is_mailed_also_to_who_wants_no_mail_and_says_no_secret(self, amara: User) -> None:
        amara.mail = False
        amara.save()
        client = self.sign_in(PASSWORD)
        new = {"oldpassword": PASSWORD, "password1": "another-long-one-2", "password2": "another-long-one-2"}
        assert client.post(reverse("account_change_password"), new).status_code == 302
        assert "Your password was changed" in text_of(client.get("/"))
        assert deliver.deliver_due(world.now()) == 1
        (sent,) = mail.outbox
        assert (sent.to, sent.subject) == (["amara@example.org"], "[IAM] Your password was changed")
        text = str(sent.body)
        assert "Browser: Firefox on Linux. IP address: 127.0.0.1." in text
        assert "sign out your other sessions" in text
        assert "/accounts/sessions/" in text
        assert not {PASSWORD, "another-long-one-2"} & set(text.split())
        assert not [row for row in Notice.objects.all() if "long" in str(row.detail)]

    def test_is_undone_with_the_change(self, amara: User, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError("the trail is full")

        client = self.sign_in(PASSWORD)
        monkeypatch.setattr("iamroles.audit.record", fail)
        new = {"oldpassword": PASSWORD, "password1": "another-long-one-2", "password2": "another-long-one-2"}
        with pytest.raises(OSError, match="full"):
            client.post(reverse("account_change_password"), new)
        assert self.warned() == []
        amara.refresh_from_db()
        assert amara.check_password(PASSWORD)
