"""Exports that a worker makes: in parts, going on after a death, told, expiring; the bytes are those of the command."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from iamroles.audit import EventFilter, export
from iamroles.audit.checkpoint import SigningKey
from iamroles.audit.publish import FilePublisher
from iamroles.audit.seal import Sealer
from iamroles.engine import export_job
from iamroles.models import AuditEvent, ExportJob, ExportPart, User
from iamroles.models.exports import EXPIRED, FAILED, READY, WAITING
from iamroles.workflow import exports, organisation
from iamroles.workflow.verbs import Invalid

from .world import SYSTEM, World, actor

pytestmark = pytest.mark.django_db
ORIGIN = "test.example/audit/1"


class Died(Exception):
    """The worker was killed between two instructions."""


@pytest.fixture
def auditor(world: World) -> User:
    person: User = organisation.add_person(
        login="idris", first_name="Idris", last_name="", password=None, groups=("auditors",), teams=(), actor=SYSTEM,
        at=world.clock(),
    )  # fmt: skip
    return person


@pytest.fixture
def sealed(world: World, auditor: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An applied request, all its events sealed; parts of seven events."""
    assert world.apply(world.approved()) == "applied"
    key = SigningKey(ORIGIN, Ed25519PrivateKey.generate())
    kept = FilePublisher(tmp_path / "kept")
    Sealer(origin=ORIGIN, keys=[key], vkeys=[key.verifier], publishers=[kept]).seal_all(at=world.clock())
    monkeypatch.setattr(export_job, "PART_ROWS", 7)


def order(world: World, user: User, spelled: str = "jsonl", **wanted: Any) -> ExportJob:
    return exports.order_export(
        user=user, wanted=EventFilter(**wanted), spelled=spelled, actor=actor(user), at=world.clock()
    )


def go_on(world: World, job: ExportJob) -> str:
    word = export_job.go_on(job_id=job.pk, tools=world.tools())
    job.refresh_from_db()
    return word


def expected(job: ExportJob, spelled: Any = "jsonl", **wanted: Any) -> bytes:
    rows = export.read_rows(EventFilter(**wanted), export.cut_at(job.size))
    return export.write_lines(rows, spelled)


def last_event(action: str) -> AuditEvent:
    found = AuditEvent.objects.filter(action=action).order_by("pk").last()
    assert found is not None
    return found


@pytest.mark.parametrize("spelled", ["jsonl", "csv"])
def test_makes_the_same_bytes_as_the_page_and_the_command(
    spelled: str, world: World, auditor: User, sealed: None
) -> None:
    job = order(world, auditor, spelled)
    assert go_on(world, job) == "ready"
    body = b"".join(job.contents())
    assert body == expected(job, spelled)
    assert (job.rows, job.total, job.length, job.state) == (job.size, job.size, len(body), READY)
    assert job.parts > 3
    assert job.sha256 == hashlib.sha256(body).hexdigest()
    event = last_event("export.completed")
    assert f'"sha256":"{job.sha256}"' in event.canon
    assert (event.object_id, event.actor_type) == (job.reference, "worker")
    assert f'"on_behalf_of":{{"groups":["auditors"],"id":"{auditor.pk}"' in event.canon


def test_goes_on_where_a_dead_worker_stopped(
    world: World, auditor: User, sealed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = order(world, auditor)
    real = ExportJob.add_piece

    def die_at_the_third(self: ExportJob, body: bytes) -> None:
        if self.parts == 2:
            raise Died
        real(self, body)

    with monkeypatch.context() as patch:
        patch.setattr(ExportJob, "add_piece", die_at_the_third)
        with pytest.raises(Died):
            export_job.go_on(job_id=job.pk, tools=world.tools())
    job.refresh_from_db()
    assert (job.state, job.parts, job.rows) == (WAITING, 2, 14)
    assert go_on(world, job) == "not_due"
    world.clock.pass_by(61)
    assert go_on(world, job) == "ready"
    assert b"".join(job.contents()) == expected(job)
    assert job.sha256 == hashlib.sha256(expected(job)).hexdigest()


def test_gives_other_work_its_turn(world: World, auditor: User, sealed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_job, "SLICE", 0.0)
    job = order(world, auditor)
    words = [go_on(world, job) for _ in range(job.total // 7 + 2)]
    assert words[0] == "going"
    assert "ready" in words
    assert b"".join(job.contents()) == expected(job)


def test_a_second_worker_writes_no_part_twice(
    world: World, auditor: User, sealed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = order(world, auditor)
    stale = ExportJob.objects.get(pk=job.pk)
    assert go_on(world, job) == "ready"
    with pytest.raises(export_job._TakenOver):
        export_job._write_part(stale, b"x", 1, 0, world.tools())
    assert b"".join(job.contents()) == expected(job)


def test_gives_up_after_five_tries_without_a_part(
    world: World, auditor: User, sealed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: ExportJob, body: bytes) -> None:
        raise Died

    job = order(world, auditor)
    with monkeypatch.context() as patch:
        patch.setattr(ExportJob, "add_piece", die)
        for _ in range(5):
            with pytest.raises(Died):
                export_job.go_on(job_id=job.pk, tools=world.tools())
            world.clock.pass_by(61)
    assert go_on(world, job) == "failed"
    assert (job.state, job.code) == (FAILED, "TriedTooOften")
    assert last_event("export.failed").outcome == "failed"


def test_holds_only_what_its_owner_may_see(world: World, sealed: None) -> None:
    job = order(world, world.requester)
    assert go_on(world, job) == "ready"
    lines = b"".join(job.contents()).splitlines()
    assert 0 < len(lines) < job.size
    assert not any(b'"action":"user.created"' in line for line in lines)


def test_makes_a_bundle_and_refuses_one_that_is_too_large(
    world: World, auditor: User, sealed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = order(world, auditor, "bundle", request="REQ-000001")
    assert go_on(world, job) == "ready"
    with zipfile.ZipFile(io.BytesIO(b"".join(job.contents()))) as archive:
        assert archive.read("events.jsonl") == expected(job, request="REQ-000001")
    monkeypatch.setattr(exports, "LARGEST_BUNDLE", 3)
    with pytest.raises(Invalid, match="at most 3 events"):
        order(world, auditor, "bundle")


def test_expires_after_seven_days(world: World, auditor: User, sealed: None) -> None:
    job = order(world, auditor)
    go_on(world, job)
    world.clock.pass_by(7 * 86_400 - 60)
    assert export_job.expire(actor=SYSTEM, at=world.clock()) == 0
    world.clock.pass_by(120)
    assert export_job.expire(actor=SYSTEM, at=world.clock()) == 1
    job.refresh_from_db()
    assert (job.state, ExportPart.objects.count()) == (EXPIRED, 0)
    assert last_event("export.expired").object_id == job.reference
    assert job.expires_at is not None
    assert world.clock() - job.expires_at < timedelta(minutes=2)
