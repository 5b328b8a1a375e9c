"""Sessions that simply expire: one event each, none for nobody's, none twice, and none that still goes on."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client

from iamroles.audit import config
from iamroles.engine.sessions_ended import end_expired
from iamroles.management.commands.tend import ACTOR, parts
from iamroles.models import AuditEvent, User

pytestmark = pytest.mark.django_db
HOURS = timedelta(hours=12)


@pytest.fixture
def ada() -> User:
    return User.objects.create(username="ada", first_name="Ada", last_name="Okafor")


def sign_in(user: User) -> str:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    key = client.session.session_key
    assert key
    UserSession.objects.create(user=user, ip="127.0.0.1", session_key=key, user_agent="")
    return key


def ended() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action="session.ended").order_by("pk"))


def test_an_expired_session_ends_once(ada: User) -> None:
    key, later = sign_in(ada), datetime.now(UTC) + HOURS + timedelta(minutes=1)
    assert (end_expired(actor=ACTOR, at=later), end_expired(actor=ACTOR, at=later)) == (1, 0)
    (event,) = ended()
    said = json.loads(event.canon)
    assert said["data"] == {"cause": "expired"}
    assert said["object"] == {"type": "user", "id": str(ada.pk), "name": "Ada Okafor"}
    assert said["auth"]["session"] == config.session_hash(key)
    assert key not in event.canon
    assert (Session.objects.count(), UserSession.objects.count()) == (0, 0)


def test_each_of_two_sessions_has_its_event(ada: User) -> None:
    keys = {sign_in(ada), sign_in(ada)}
    assert end_expired(actor=ACTOR, at=datetime.now(UTC) + 2 * HOURS) == 2
    told = {json.loads(event.canon)["auth"]["session"] for event in ended()}
    assert told == {config.session_hash(key) for key in keys}


def test_one_that_goes_on_stays(ada: User) -> None:
    key = sign_in(ada)
    assert end_expired(actor=ACTOR, at=datetime.now(UTC) + HOURS - timedelta(minutes=1)) == 0
    assert (Session.objects.get().pk, ended()) == (key, [])


def test_signing_out_leaves_nothing_to_expire(ada: User) -> None:
    client = Client()
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    client.logout()
    assert end_expired(actor=ACTOR, at=datetime.now(UTC) + 2 * HOURS) == 0
    assert [json.loads(event.canon)["data"]["cause"] for event in ended()] in ([], ["signed_out"])


def test_one_that_nobody_signed_in_to_is_only_deleted(ada: User) -> None:
    session = Client().session
    session["next"] = "/"
    session.save()
    assert end_expired(actor=ACTOR, at=datetime.now(UTC) + 2 * HOURS) == 0
    assert (Session.objects.count(), ended()) == (0, [])


def test_one_that_cannot_be_read_any_more_is_known_by_its_row(ada: User) -> None:
    key = sign_in(ada)
    Session.objects.filter(pk=key).update(session_data="unreadable")
    assert end_expired(actor=ACTOR, at=datetime.now(UTC) + 2 * HOURS) == 1
    assert [event.object_name for event in ended()] == ["Ada Okafor"]


def test_the_clock_does_it() -> None:
    assert "sessions" in [part.name for part in parts()]


@pytest.mark.django_db(transaction=True)
def test_two_clocks_at_once_record_it_once(ada: User) -> None:
    for _ in range(3):
        sign_in(ada)
    later, errors = datetime.now(UTC) + 2 * HOURS, list[BaseException]()

    def run() -> None:
        try:
            end_expired(actor=ACTOR, at=later)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(ended()) == 3
