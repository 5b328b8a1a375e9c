"""Planted secrets must be found nowhere afterwards: not in events, exports, any table, nor in what is logged."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client

from iamroles.audit import EventFilter, export, keys
from iamroles.audit.evidence.bundle import build_bundle
from iamroles.audit.publish import FilePublisher
from iamroles.audit.seal import Sealer
from iamroles.models import AuditEvent, User

from .conftest import NOON, ORIGIN

pytestmark = pytest.mark.django_db

PASSWORD = "correct-horse-PLANTED-battery"
TYPED_AS_NAME = "hunter2-PLANTED-in-the-wrong-box"
WRONG = "wrong-PLANTED-password"
AWS_SECRET = "wJalrXUtnFEMI/PLANTED/bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Everything that may appear nowhere, by what it is."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
    keys.ensure(tmp_path / "audit.key", ORIGIN)
    pem = (tmp_path / "audit.key").read_text().splitlines()[1]
    return {
        "password": PASSWORD.encode(),
        "password typed as a name": TYPED_AS_NAME.encode(),
        "wrong password": WRONG.encode(),
        "AWS secret": AWS_SECRET.encode(),
        "private key": pem.encode(),
        "SECRET_KEY": str(django_settings.SECRET_KEY).encode(),
    }


def act() -> str:
    """Signs in wrongly, with the password in the wrong box, and rightly; reads; signs out. Returns the session key."""
    User.objects.create_user("rosa", password=PASSWORD)
    client = Client()
    for name, password in ((TYPED_AS_NAME, WRONG), ("rosa", WRONG), ("rosa", PASSWORD)):
        client.post("/accounts/login/", {"login": name, "password": password})
    session = str(client.session.session_key)
    for path in ("/", "/audit/", "/exports/new/", f"/audit/?actor={'rosa'}", "/no-such-page/"):
        client.get(path)
    client.post("/accounts/logout/")
    return session


def dump() -> bytes:
    """Every row of every table, as text."""
    found = []
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')
            for row in cursor.fetchall():
                found += [bytes(v) if isinstance(v, bytes | memoryview) else str(v).encode() for v in row]
    return b"\n".join(found)


def test_appear_in_no_event_export_table_or_log(
    planted: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        session = act()
    key = keys.load(tmp_path / "audit.key", ORIGIN)
    kept = FilePublisher(tmp_path / "kept")
    sealer = Sealer(origin=ORIGIN, keys=key, vkeys=[key[0].verifier], publishers=[kept])
    sealer.seal_all(at=NOON)
    cut = export.find_cut(wait=0)
    refused = AuditEvent.objects.filter(action="session.refused")
    assert refused.count() == 2
    assert AuditEvent.objects.filter(action__in=("session.started", "session.ended")).count() == 2
    events = b"\n".join(canon.encode() for canon in AuditEvent.objects.values_list("canon", flat=True))
    said = capfd.readouterr()
    logged = f"{caplog.text}{said.out}{said.err}".encode()
    places: dict[str, Any] = {
        "events": events,
        "JSON lines": export.write_lines(export.read_rows(EventFilter(), cut), "jsonl"),
        "CSV": export.write_lines(export.read_rows(EventFilter(), cut), "csv"),
        "bundle": build_bundle(EventFilter(), cut).content,
        "tables": dump(),
        "log": logged,
    }
    found = [(what, where) for where, text in places.items() for what, secret in planted.items() if secret in text]
    assert found == []
    assert session.encode() not in events + logged


def test_two_refusals_of_the_same_name_cannot_be_told_to_be_the_same(planted: dict[str, bytes]) -> None:
    for _ in range(2):
        Client().post("/accounts/login/", {"login": TYPED_AS_NAME, "password": WRONG})
    commits = {canon.partition('"commit":"')[2][:64] for canon in AuditEvent.objects.values_list("canon", flat=True)}
    assert len(commits) == 2


def test_too_many_tries_are_told_once(planted: dict[str, bytes]) -> None:
    User.objects.create_user("rosa", password=PASSWORD)
    answers = [Client().post("/accounts/login/", {"login": "rosa", "password": WRONG}) for _ in range(14)]
    assert {answer.status_code for answer in answers} == {200}
    (event,) = AuditEvent.objects.filter(action="sign_in.throttled")
    assert (event.outcome, event.code) == ("refused", "too_many_tries")
    assert AuditEvent.objects.filter(action="session.refused").count() < 14
