"""People, AWS accounts and requests in every state, made by the real verbs and proposals over hand-made base values."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.test import Client

from iamroles.models import Request
from tests.integration.web_review import world
from tests.integration.web_review.provider import CONFIGURATION, Provider
from tests.integration.web_review.world import World

NewClient = Callable[..., Client]


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, settings: Any) -> None:
    """An approval key pair of this test."""
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "approval.key", tmp_path / "approval.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    settings.ROLEDESK_SIGNING_KEY_FILE = str(private)
    settings.ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE = str(public)


@pytest.fixture
def here(db: None) -> World:
    """The organisation: two AWS accounts, the Orders team, one person of each kind."""
    return world.build()


@pytest.fixture
def signed_in(here: World) -> NewClient:
    """Returns a client signed in as somebody, `minutes` ago; CSRF is checked where `strict`."""

    def make(login: str, minutes: float = 0, *, strict: bool = False) -> Client:
        client = Client(enforce_csrf_checks=strict)
        client.force_login(here.people[login], backend="django.contrib.auth.backends.ModelBackend")
        session = client.session
        at = datetime.now(UTC) - timedelta(minutes=minutes)
        session["account_authentication_methods"] = [{"method": "password", "at": at.timestamp()}]
        session["account_authentication_methods_user"] = str(here.people[login].pk)
        session.save()
        return client

    return make


@pytest.fixture
def key() -> Callable[[], str]:
    """Returns fresh idempotency keys."""
    return lambda: str(uuid.uuid4())


@pytest.fixture
def provider(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """A provider called Corp; only what crosses the network is ours, the rest is the real flow."""
    found = Provider()
    server = {"server_url": CONFIGURATION["issuer"], "fetch_userinfo": False}
    app = {"provider_id": "corp", "name": "Corp", "client_id": "roledesk", "secret": "s", "settings": server}
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    monkeypatch.setattr(OpenIDConnectOAuth2Adapter, "openid_config", CONFIGURATION)
    monkeypatch.setattr(OAuth2Client, "get_access_token", found.token)
    return found


@pytest.fixture
def high(here: World) -> Request:
    """A High request in review."""
    facts = world.facts_for(here.prod, managed_policy="full", why_full="An AppSpec of another bucket")
    row = world.in_review(here.people["rosa"], facts)
    assert row.risk == "high"
    return row
