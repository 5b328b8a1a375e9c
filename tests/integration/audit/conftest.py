"""A trail to test with: people, events, a sealer with a fresh key, and a directory that keeps its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from iamroles import audit
from iamroles.audit import Actor, Subject
from iamroles.audit.checkpoint import SigningKey
from iamroles.audit.publish import FilePublisher
from iamroles.audit.seal import Sealer
from iamroles.models import AuditEvent

ORIGIN = "test.example/audit/1"
NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
ADA = Actor(
    type="user", id="7", name="Ada Okafor", groups=("approvers",), session="0f", method="password", ip="192.0.2.7"
)


def record_one(number: int = 1, **changes: Any) -> AuditEvent:
    """Records a comment on REQ-00000n in a transaction of its own."""
    reference = f"REQ-{number:06d}"
    arguments: dict[str, Any] = {
        "actor": ADA,
        "subject": Subject("request", reference, "Role for orders"),
        "at": NOON + timedelta(seconds=number),
        "request": reference,
        "revision": 1,
        "reason": f"Comment {number}",
        "data": {"revision": 1, "comment_digest": f"{number:064x}"},
        **changes,
    }
    action = arguments.pop("action", "request.commented")
    with transaction.atomic():
        return audit.record(action, **arguments)


@pytest.fixture
def key() -> SigningKey:
    return SigningKey(ORIGIN, Ed25519PrivateKey.generate())


@pytest.fixture
def kept(tmp_path: Path) -> FilePublisher:
    return FilePublisher(tmp_path / "checkpoints")


@pytest.fixture
def new_sealer(key: SigningKey, kept: FilePublisher) -> Callable[[], Sealer]:
    lag = timedelta(minutes=5)  # most tests seal some minutes after noon, and are not about being late
    return lambda: Sealer(origin=ORIGIN, keys=[key], vkeys=[key.verifier], publishers=[kept], lag=lag)


@pytest.fixture
def sealed_trail(db: None, new_sealer: Callable[[], Sealer]) -> list[AuditEvent]:
    """Seven events sealed by two checkpoints, of sizes 3 and 7."""
    events = [record_one(number) for number in range(1, 4)]
    new_sealer().seal(at=NOON + timedelta(minutes=1))
    events += [record_one(number) for number in range(4, 8)]
    new_sealer().seal(at=NOON + timedelta(minutes=2))
    return events
