"""Recording: what one event's row holds, and what is refused."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction

from iamroles import audit, canonical
from iamroles.audit import Actor, AwsCall, Change, Subject, events
from iamroles.audit.envelope import TooLarge
from iamroles.audit.record import NotInTransaction, new_event_id
from iamroles.models import AuditEvent, AuditPending

WORKER = Actor(type="worker", id="w1", name="Worker w1", channel="worker")
AT = datetime(2026, 11, 24, 9, 30, 0, 5, tzinfo=UTC)
INTENT = {
    "run": "REQ-000142 run 1",
    "step": 2,
    "fence": 7,
    "service": "iam",
    "api": "AttachRolePolicy",
    "resource": "arn:aws:iam::111122223333:role/ecsCodeDeployRole",
    "arguments_digest": "ab" * 32,
}


def record_intent(**changes: Any) -> AuditEvent:
    arguments: dict[str, Any] = {
        "actor": WORKER,
        "subject": Subject("run", "REQ-000142 run 1", "Role for orders"),
        "at": AT,
        "request": "REQ-000142",
        "phase": "intent",
        "aws": AwsCall(account="111122223333", region=None, service="iam", api="AttachRolePolicy", request_id="r-1"),
        "data": INTENT,
        **changes,
    }
    with transaction.atomic():
        return audit.record(arguments.pop("action", "step.intended"), **arguments)


@pytest.mark.django_db
class TestRecord:
    def test_stores_the_whole_event_as_canonical_text(self) -> None:
        event = AuditEvent.objects.get(pk=record_intent(changes=[Change("policy", None, "é" * 600)]).pk)
        assert json.loads(event.canon) == {
            "v": 1,
            "id": str(event.event_id),
            "at": "2026-11-24T09:30:00.000005Z",
            "actor": {"type": "worker", "id": "w1", "name": "Worker w1", "groups": []},
            "on_behalf_of": None,
            "auth": {"method": None, "session": None},
            "origin": {"ip": None, "agent": None, "channel": "worker"},
            "action": "step.intended",
            "object": {"type": "run", "id": "REQ-000142 run 1", "name": "Role for orders"},
            "request": "REQ-000142",
            "revision": None,
            "correlation": None,
            "phase": "intent",
            "outcome": "success",
            "code": None,
            "reason": None,
            "changes": [
                {
                    "field": "policy",
                    "old": None,
                    "new": {"sha256": hashlib.sha256(f'"{"é" * 600}"'.encode()).hexdigest(), "length": 1202},
                }
            ],
            "aws": {
                "account": "111122223333",
                "region": None,
                "service": "iam",
                "api": "AttachRolePolicy",
                "request_id": "r-1",
            },
            "data": INTENT,
        }
        assert canonical.dumps(json.loads(event.canon)) == event.canon.encode()
        assert bytes(event.leaf) == hashlib.sha256(b"\x00" + event.canon.encode()).digest()

    def test_projects_the_columns_and_waits_to_be_sealed(self) -> None:
        event = AuditEvent.objects.get(pk=record_intent().pk)
        columns = {f.attname: getattr(event, f.attname) for f in AuditEvent._meta.concrete_fields}
        del columns["canon"], columns["leaf"], columns["id"], columns["event_id"]
        assert columns == {
            "at": AT,
            "action": "step.intended",
            "actor_type": "worker",
            "actor_id": "w1",
            "actor_name": "Worker w1",
            "object_type": "run",
            "object_id": "REQ-000142 run 1",
            "object_name": "Role for orders",
            "request": "REQ-000142",
            "revision": None,
            "outcome": "success",
            "code": "",
            "aws_account": "111122223333",
            "aws_request_id": "r-1",
        }
        assert list(AuditPending.objects.values_list("event_id", flat=True)) == [event.pk]

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"action": "step.exploded"}, events.UnknownEvent, "there is no event 'step.exploded'"),
            ({"data": {}}, events.WrongData, "step.intended: missing api, arguments_digest, fence, resource, run, se"),
            ({"data": {**INTENT, "secret": 1}}, events.WrongData, "step.intended: unknown secret"),
            ({"outcome": "fine"}, events.WrongData, "step.intended: there is no outcome 'fine'"),
            ({"at": datetime(2026, 11, 24)}, ValueError, "2026-11-24 00:00:00 has no time zone"),  # noqa: DTZ001
            ({"reason": "a\x00b"}, canonical.CanonicalError, "value.reason: the character U+0000 is not allowed"),
            ({"data": {**INTENT, "step": 0.5}}, canonical.CanonicalError, "value.data.step: float is not allowed"),
            ({"reason": "x" * 70_000}, TooLarge, "step.intended: 7"),
        ],
    )
    def test_refuses(self, changes: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error) as refused:
            record_intent(**changes)
        assert str(refused.value).startswith(message)
        assert not AuditEvent.objects.exists()

    def test_keeps_a_browser_that_calls_itself_nonsense(self) -> None:
        event = record_intent(actor=Actor(type="anonymous", id=None, name="Somebody", agent="Moz\x00\ud800"))
        assert json.loads(event.canon)["origin"] == {"ip": None, "agent": "Moz\ufffd?", "channel": "web"}


@pytest.mark.django_db(transaction=True)
class TestRecordOutside:
    def test_refuses_to_run_outside_a_transaction(self) -> None:
        with pytest.raises(NotInTransaction):
            audit.record("run.released", actor=WORKER, subject=Subject("run", "r", "r"), at=AT, data={"run": "r"})
        assert not AuditEvent.objects.exists()

    def test_is_undone_with_its_transaction(self) -> None:
        def record_and_fail() -> None:
            with transaction.atomic():
                record_intent()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            record_and_fail()
        assert (AuditEvent.objects.count(), AuditPending.objects.count()) == (0, 0)


def test_event_ids_are_version_seven_and_grow_with_time() -> None:
    first, second = new_event_id(), new_event_id()
    assert (first.version, first.variant, first.int >> 80 <= second.int >> 80) == (7, "specified in RFC 4122", True)
