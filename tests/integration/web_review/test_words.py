"""Every page of signing in reads as ours: sentence case, no words of django-allauth on pages, in messages or mails."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import allauth
import django
import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.asymmetric import ec
from django.core import mail
from django.core.cache import cache
from django.test import Client
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData

from portal import urls as product
from portal.demo.people import PEOPLE
from tests.integration.access.reading import addresses
from tests.integration.web_review.conftest import NewClient
from tests.integration.web_review.provider import Provider
from tests.integration.web_review.test_credentials import code_for
from tests.integration.web_review.test_single_sign_on import CORP
from tests.integration.web_review.world import World

pytestmark = pytest.mark.django_db
OURS = (str(Path(product.__file__).parent.parent / "templates"), str(Path(django.__file__).parent / "forms/templates"))
NAMED = "h1|h2|h3|h4|th|legend|label|button|summary|a|dt|title"
# With a capital inside a sentence.
PROPER = {"AWS", "Corp", "ECS", "Home", "I", "IAM", "IP", "JSON", "Roledesk", "UTC", "Continue", "Orders", "Payments"}
PROPER |= {name for person in PEOPLE for name in (person.first_name, person.last_name)}
# Of these addresses none has a page: they lead elsewhere, take only a POST, or give a file.
NO_PAGE = {
    "/accounts/invited/<uidb64>/<provider>/",
    "/accounts/login/code/confirm/",
    "/accounts/2fa/recovery-codes/download/",
    "/accounts/3rdparty/signup/",
    "/accounts/oidc/<provider_id>/login/callback/",
}
MOVED = "/accounts/social/"  # allauth's old addresses lead to those below 3rdparty
ANOTHER = {"password1": "six green apples fly home", "password2": "six green apples fly home"}


def english() -> re.Pattern[str]:
    """Every sentence of allauth's catalogue, of three words or more; what it fills in may be anything."""
    text = (Path(allauth.__file__).parent / "locale/de/LC_MESSAGES/django.po").read_text(encoding="utf-8")
    found = re.findall(r'^msgid(?:_plural)? ((?:"(?:[^"\\]|\\.)*"\s)+)', text, re.MULTILINE)
    said = {" ".join("".join(json.loads(part) for part in one.split("\n") if part).split()) for one in found}
    sentences = [one for one in said if one.count(" ") > 1]
    assert len(sentences) > 100
    return re.compile("|".join(re.sub(r"%\\\(\w+\\\)s", ".+", re.escape(one)) for one in sentences))


def texts(page: str) -> list[str]:
    """The texts of a page between its tags and in what tags say, without scripts."""
    shown = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    shown = re.sub(r'<[^>]+ (?:alt|title|placeholder|aria-label)="([^"]*)"[^>]*>', r" <i>\1</i> ", shown)
    return [" ".join(unescape(one).split()) for one in re.split(r"<[^>]+>", shown) if one.strip()]


def named(page: str) -> Iterator[str]:
    """Headings, labels, links and buttons, each as one text."""
    for _, inner in re.findall(rf"<({NAMED})\b[^>]*>(.*?)</\1>", page, flags=re.DOTALL):
        yield " ".join(texts(inner))


def capitals(text: str) -> list[str]:
    """The words that begin with a capital inside a sentence and are no proper names."""
    inside = re.findall(r"(?<![.?:–] )(?<!^)\b[A-Z][\w-]*", text)
    return [word for word in inside if word not in PROPER]


class Reader:
    """Reads every answer and keeps what is wrong with it, and which paths have shown a page."""

    def __init__(self) -> None:
        self.english, self.wrong, self.read = english(), set[str](), set[str]()

    def __call__(self, answer: Any) -> Any:
        self.wrong |= {one.name for one in answer.templates if not str(one.origin.name).startswith(OURS)}
        if answer.status_code // 100 != 3 and answer.headers["Content-Type"].startswith("text/html"):
            page = answer.content.decode()
            assert not re.search("{[{%]", page), answer.request["PATH_INFO"]
            self.read.add(answer.request["PATH_INFO"])
            self.wrong |= {f"of allauth: {text}" for text in texts(page) if self.english.fullmatch(text)}
            self.wrong |= {f"{words} in: {text}" for text in named(page) if (words := capitals(text))}
        return answer

    def letter(self) -> str:
        """Reads the newest mail and returns its text."""
        letter = mail.outbox[-1]
        assert letter.subject.startswith("[IAM] ")
        lines = [letter.subject.removeprefix("[IAM] "), *map(str.strip, str(letter.body).splitlines())]
        self.wrong |= {f"of allauth: {line}" for line in lines if self.english.fullmatch(line)}
        return str(letter.body)


def add_key(here: World, login: str) -> Authenticator:
    """A security key of the person, as its registration would leave it."""
    public = ES256.from_cryptography_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    known = AttestedCredentialData.create(Aaguid.NONE, b"an-id", public)
    told = AuthenticatorData.create(hashlib.sha256(b"testserver").digest(), 0x41, 0, known)
    client = {"type": "webauthn.create", "challenge": "", "origin": "https://testserver"}
    response = {
        "clientDataJSON": websafe_encode(json.dumps(client).encode()),
        "attestationObject": websafe_encode(AttestationObject.create("none", told, {})),
    }
    name = websafe_encode(b"an-id")
    credential = {"id": name, "rawId": name, "type": "public-key", "response": response}
    data = {"name": "red key", "credential": credential}
    return Authenticator.objects.create(user=here.people[login], type=Authenticator.Type.WEBAUTHN, data=data)


def at_the_door(read: Reader, password: str) -> None:
    """What somebody meets who is not signed in, and who forgot the password."""
    client = Client()
    for path in ("login/", "signup/", "inactive/", "password/reset/", "password/reset/done/"):
        read(client.get(f"/accounts/{path}"))
    for path in ("3rdparty/login/cancelled/", "3rdparty/login/error/", "oidc/corp/login/", "password/reset/key/1-x/"):
        read(client.get(f"/accounts/{path}"))
    read(client.get("/accounts/oidc/corp/login/callback/?error=access_denied", follow=True))
    read(client.post("/accounts/signup/", {"email": "nia@example.org"}))
    for given in ({}, {"login": "mei", "password": "wrong"}, {"login": "mei@example.org", "password": "wrong"}):
        read(client.post("/accounts/login/", given))
    for email in ("", "mei"):
        read(client.post("/accounts/password/reset/", {"email": email}))
    for email in ("nobody@example.org", "rosa@example.org", "mei@example.org"):
        read(client.post("/accounts/password/reset/", {"email": email}))
        letter = read.letter()
    (link,) = re.findall(r"http\S+", letter)
    form = read(client.get(link, follow=True)).request["PATH_INFO"]
    for given in ({}, {**ANOTHER, "password2": "another"}, {"password1": "short", "password2": "short"}):
        read(client.post(form, given))
    read(client.post(form, {"password1": password, "password2": password}, follow=True))
    read(client.get(link))
    for _ in range(6):
        said = read(client.post("/accounts/login/", {"login": "mei", "password": "wrong"}))
    assert "Too many" in said.content.decode()
    cache.clear()


def within(read: Reader, here: World, mei: Client, password: str) -> None:
    """Mei's settings: her password, an app, a key, and taking them away again."""
    for path in (
        "",
        "password/change/",
        "email/",
        "confirm-email/",
        "confirm-email/x/",
        "sessions/",
        "logout/",
        "2fa/",
    ):
        read(mei.get(f"/accounts/{path}"))
    for path in ("3rdparty/", "2fa/needed/", "2fa/webauthn/", "password/reset/"):
        read(mei.get(f"/accounts/{path}"))
    for old, new in (("", ANOTHER), ("wrong", {**ANOTHER, "password2": "x"}), (password, ANOTHER)):
        read(mei.post("/accounts/password/change/", {"oldpassword": old, **new}, follow=True))
    read(mei.get("/accounts/reauthenticate/"))
    read(
        mei.post("/accounts/reauthenticate/", {"password": ANOTHER["password1"], "next": "/accounts/2fa/"}, follow=True)
    )
    for path in ("2fa/recovery-codes/generate/", "2fa/webauthn/add/"):
        read(mei.get(f"/accounts/{path}"))
        read(mei.post(f"/accounts/{path}", {"name": "", "credential": "{}"}))
    read(mei.get("/accounts/2fa/totp/activate/"))
    secret = mei.session["mfa.totp.secret"]
    for code in ("", "000000", code_for(secret)):
        read(mei.post("/accounts/2fa/totp/activate/", {"code": code}, follow=True))
    assert read(mei.get("/accounts/2fa/recovery-codes/download/")).content.decode().count("\n") > 10
    key = add_key(here, "mei").pk
    ways = ("reauthenticate/", "2fa/reauthenticate/", "2fa/webauthn/reauthenticate/")
    for path in ("2fa/", f"2fa/webauthn/keys/{key}/edit/", f"2fa/webauthn/keys/{key}/remove/", *ways):
        read(mei.get(f"/accounts/{path}"))
    for path in ways:
        read(mei.post(f"/accounts/{path}", {"password": "wrong", "code": "0", "credential": "{}"}, follow=True))
    other = Client()
    asked = read(other.post("/accounts/login/", {"login": "mei", "password": ANOTHER["password1"]}, follow=True))
    assert "Use your security key" in asked.content.decode()
    for given in ({"code": ""}, {"code": "0"}, {"credential": "{}"}):
        read(other.post("/accounts/2fa/authenticate/", given))
    read(mei.get("/accounts/2fa/needed/"))
    read(mei.post("/accounts/2fa/recovery-codes/generate/", follow=True))
    read(mei.post(f"/accounts/2fa/webauthn/keys/{key}/edit/", {"name": ""}))
    read(mei.post(f"/accounts/2fa/webauthn/keys/{key}/edit/", {"name": "blue key"}, follow=True))
    read(mei.post(f"/accounts/2fa/webauthn/keys/{key}/remove/", follow=True))
    read(mei.get("/accounts/2fa/totp/deactivate/"))
    read(mei.post("/accounts/2fa/totp/deactivate/", follow=True))
    read(mei.post("/accounts/logout/", follow=True))


def without_a_password(read: Reader, client: Client) -> None:
    """What somebody meets who comes through the identity provider."""
    for path in ("password/change/", "3rdparty/", "confirm/corp/"):
        read(client.get(f"/accounts/{path}", follow=True))
    read(client.post("/accounts/3rdparty/", {"account": SocialAccount.objects.get().pk}))
    for given in ({}, {**ANOTHER, "password2": "x"}, ANOTHER):
        read(client.post("/accounts/password/set/", given, follow=True))


@pytest.mark.parametrize("urls", ["portal.urls", "portal.demo.urls"])
def test_every_page_of_signing_in_reads_as_ours(
    here: World, signed_in: NewClient, provider: Provider, settings: Any, urls: str
) -> None:
    settings.ROLEDESK_DEMO, settings.ROOT_URLCONF = True, urls
    settings.ROLEDESK_SINGLE_SIGN_ON, settings.ROLEDESK_MFA_GROUPS = CORP, ["security"]
    for login in ("mei", "rosa"):
        here.people[login].email = f"{login}@example.org"
        here.people[login].save()
    here.people["mei"].set_password("long-and-secret-1")
    here.people["mei"].save()
    read, password = Reader(), "seven brown birds at noon"
    at_the_door(read, password)
    assert here.people["mei"].__class__.objects.get(username="mei").check_password(password)
    here.people["mei"].refresh_from_db()
    within(read, here, signed_in("mei"), password)
    SocialAccount.objects.create(user=here.people["rosa"], provider="corp", uid="rosa-at-corp")
    without_a_password(read, signed_in("rosa"))
    assert sorted(read.wrong) == []
    below = {one for one in addresses(product.urlpatterns) if one.startswith("/accounts/")} - NO_PAGE
    unread = {one for one in below if not any(map(re.compile(re.sub(r"<\w+>", "[^/]+", one)).fullmatch, read.read))}
    assert {one for one in unread if not one.startswith(MOVED)} == set()
