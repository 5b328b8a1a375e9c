"""How late sealing and publishing are, and the alarm that tells it once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from iamroles import audit
from iamroles.audit.publish import FilePublisher, NotPublished
from iamroles.audit.seal import Sealer
from iamroles.models import AuditEvent

from .conftest import NOON, record_one

pytestmark = pytest.mark.django_db


def alarms() -> list[str]:
    rows = AuditEvent.objects.filter(action__in=("audit.lagged", "audit.recovered")).order_by("pk")
    return list(rows.values_list("action", flat=True))


def test_nothing_waiting_is_not_late(sealed_trail: list[AuditEvent]) -> None:
    assert audit.lateness(NOON + timedelta(days=9)) == timedelta()


def test_an_unsealed_event_makes_it_late(sealed_trail: list[AuditEvent]) -> None:
    record_one(8)
    record_one(9)
    assert audit.lateness(NOON + timedelta(seconds=68)) == timedelta(seconds=60)


def test_an_unpublished_checkpoint_makes_it_late_and_is_told_once(
    new_sealer: Callable[[], Sealer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: FilePublisher, note: str) -> str:
        raise NotPublished("unwritable", "full")

    record_one(1, at=NOON)
    sealer = new_sealer()
    sealer.lag = timedelta(seconds=30)
    with monkeypatch.context() as patch:
        patch.setattr(FilePublisher, "publish", refuse)
        sealer.seal_all(at=NOON)
        assert audit.lateness(NOON + timedelta(seconds=31)) == timedelta(seconds=31)
        for seconds in (31, 32):
            sealer.seal_all(at=NOON + timedelta(seconds=seconds))
        assert alarms() == ["audit.lagged"]
    again = new_sealer()  # another process goes on where this one ended
    again.lag = timedelta(seconds=30)
    again.seal_all(at=NOON + timedelta(seconds=40))
    again.seal_all(at=NOON + timedelta(seconds=41))
    assert alarms() == ["audit.lagged", "audit.recovered"]
    assert audit.lateness(NOON + timedelta(days=1)) == timedelta()
