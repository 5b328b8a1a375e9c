"""What a refused sign-in keeps of the typed name: a commitment, and the name itself only of a person who exists."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client

from iamroles import audit
from iamroles.audit import Actor, EventFilter, export
from iamroles.audit.checkpoint import SigningKey
from iamroles.audit.evidence import verify as standalone
from iamroles.audit.evidence.bundle import build_bundle
from iamroles.audit.publish import FilePublisher
from iamroles.audit.seal import Sealer
from iamroles.models import AuditDisclosure, AuditEvent, User
from iamroles.workflow import organisation

from .conftest import NOON, ORIGIN

pytestmark = pytest.mark.django_db

SYSTEM = Actor(type="system", id="test", name="The test", channel="command")


def person(login: str, group: str) -> User:
    found: User = organisation.add_person(
        login=login, first_name=login.capitalize(), last_name="", password=None, groups=(group,), teams=(),
        actor=SYSTEM, at=NOON,
    )  # fmt: skip
    return found


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def prove_again(client: Client, user: User) -> None:
    """Makes the session one whose person has just given the password."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": datetime.now(UTC).timestamp()}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()


def refused(name: str) -> AuditEvent:
    """Signs in wrongly under a name. Returns the event."""
    Client().post("/accounts/login/", {"login": name, "password": "not the password"})
    return AuditEvent.objects.filter(action="session.refused").latest("pk")


@pytest.fixture
def rosa(db: None) -> User:
    return User.objects.create_user("rosa", email="rosa@example.org", password="correct-horse")


@pytest.mark.parametrize(("typed", "kept"), [("rosa", {"data.typed_name": "rosa"}), ("hunter2", {})])
def test_keeps_the_name_only_of_a_person_who_exists(typed: str, kept: dict[str, str], rosa: User) -> None:
    event = refused(typed)
    assert audit.disclosed_of(event) == kept
    assert typed not in json.dumps({**json.loads(event.canon), "id": ""})


def test_shows_it_to_auditors_and_erases_it_by_an_operator(rosa: User, client: Client) -> None:
    event, auditor, operator = refused("rosa"), person("idris", "auditors"), person("olga", "operators")
    page, erase = f"/audit/{event.reference}/", f"/audit/{event.reference}/erase/"
    assert "Kept in clear" in signed_in(auditor).get(page).content.decode()
    assert "Erase it" not in signed_in(auditor).get(page).content.decode()
    assert signed_in(auditor).post(erase, {"reason": "Because I can do so"}).status_code == 403
    assert AuditDisclosure.objects.count() == 1
    acting = signed_in(operator)
    assert "cannot be undone" in acting.get(erase).content.decode()
    assert acting.post(erase, {"reason": ""}).status_code == 422
    answer = acting.post(erase, {"reason": "Rosa asked us to forget it"})
    assert answer["Location"].startswith("/accounts/reauthenticate/?next=")
    prove_again(acting, operator)
    answer = acting.post(erase, {"reason": "Rosa asked us to forget it"})
    assert (answer.status_code, answer["Location"]) == (303, page)
    assert AuditDisclosure.objects.count() == 0
    erased = AuditEvent.objects.get(action="disclosure.erased")
    said = json.loads(erased.canon)
    assert (said["data"], said["reason"], said["actor"]["name"]) == (
        {"event": event.reference, "path": "data.typed_name"}, "Rosa asked us to forget it", "Olga",
    )  # fmt: skip
    assert acting.get(erase).status_code == acting.post(erase, {"reason": "Once more, please"}).status_code == 409


def test_a_bundle_holds_it_until_it_is_erased_and_is_fine_before_and_after(rosa: User, tmp_path: Path) -> None:
    event = refused("rosa")
    key = SigningKey(ORIGIN, Ed25519PrivateKey.generate())
    kept = FilePublisher(tmp_path / "kept")
    Sealer(origin=ORIGIN, keys=[key], vkeys=[key.verifier], publishers=[kept], lag=timedelta(days=9)).seal_all(at=NOON)
    cut = export.find_cut(wait=0)

    def disclosed(name: str) -> list[str]:
        path = tmp_path / name
        path.write_bytes(build_bundle(EventFilter(), cut).content)
        assert standalone.main([str(path), "--key", str(key.verifier)]) == 0
        with zipfile.ZipFile(path) as archive:
            return [json.loads(line)["value"] for line in archive.read("disclosures.jsonl").splitlines()]

    assert disclosed("before.zip") == ["rosa"]
    audit.erase(event, actor=SYSTEM, at=NOON, reason="Rosa asked us to forget it")
    assert disclosed("after.zip") == []
