"""Rotating and revoking the audit key: who signs when, what still counts, and that a crash in between loses nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from iamroles.audit import checkpoint, config, keys, rotate
from iamroles.audit.checkpoint import BadKey, UnknownKey
from iamroles.audit.evidence import verify as standalone
from iamroles.audit.seal import Sealer
from iamroles.management.commands.tend import Sealing
from iamroles.models import AuditCheckpoint, AuditEvent

from .conftest import ADA, NOON, ORIGIN, record_one

pytestmark = pytest.mark.django_db


@pytest.fixture
def key_file(tmp_path: Path, settings: Any) -> Path:
    """The settings of the process that seals, with three events sealed."""
    path = tmp_path / "keys" / "audit.key"
    settings.ROLEDESK_AUDIT_ORIGIN = ORIGIN
    settings.ROLEDESK_AUDIT_KEY_FILE = str(path)
    settings.ROLEDESK_AUDIT_VKEYS_FILE = str(keys.vkeys_of(path))
    settings.ROLEDESK_CHECKPOINT_DIR = str(tmp_path / "kept")
    keys.ensure(path, ORIGIN)
    for number in range(1, 4):
        record_one(number)
    sealer().seal_all(at=NOON)
    return path


def sealer() -> Sealer:
    return config.sealer()


def signers(size: int | None = None) -> set[str]:
    rows = AuditCheckpoint.objects.order_by("-size")
    row = rows.get(size=size) if size else rows[0]
    return {key_id.hex() for key_id in checkpoint.signers(row.note)}


def turn(key_file: Path) -> tuple[str, str]:
    """Rotates at noon; returns the ids of the old and of the new key."""
    old = keys.load(key_file, ORIGIN)[0].verifier.key_id.hex()
    new = rotate.rotate(key_file, keys.vkeys_of(key_file), actor=ADA, at=NOON)
    return old, new.key_id.hex()


def verified(capsys: pytest.CaptureFixture[str]) -> int:
    try:
        call_command("audit", "verify", "--read-only", "--json")
    except SystemExit as ended:
        return int(ended.code or 0)
    return int(json.loads(capsys.readouterr().out)["exit"])


class TestRotate:
    def test_tells_it_under_the_old_key_alone_then_both_sign_for_30_days(
        self, key_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        old, new = turn(key_file)
        event = AuditEvent.objects.get(action="signing_key.rotated")
        assert signers() == {old}
        assert AuditCheckpoint.objects.order_by("-size")[0].size == event.sealed.seq + 1
        assert json.loads(event.canon)["data"] == {
            "old_vkey": str(config.verifier_keys()[1]),
            "new_vkey": str(config.verifier_keys()[0]),
        }
        for days, expected in ((0, {old, new}), (29, {old, new}), (30, {new})):
            record_one(10 + days)
            sealer().seal_all(at=NOON + timedelta(days=days))
            assert signers() == expected
        assert verified(capsys) == 0

    def test_an_auditor_with_either_key_reads_a_checkpoint_of_both(self, key_file: Path) -> None:
        turn(key_file)
        record_one(9)
        sealer().seal_all(at=NOON)
        note = AuditCheckpoint.objects.order_by("-size")[0].note
        for key in config.verifier_keys():
            assert checkpoint.verify(note, [key], origin=ORIGIN).size == 5
            assert standalone.read_note(note, standalone.read_keys(str(key)), "it")[1] == 5

    def test_goes_on_with_the_same_key_after_a_crash(self, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def die(*_: object) -> None:
            raise RuntimeError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(keys, "install_next", die)
            with pytest.raises(RuntimeError):
                turn(key_file)
        _, new = turn(key_file)
        assert AuditEvent.objects.filter(action="signing_key.rotated").count() == 1
        assert keys.load(key_file, ORIGIN)[0].verifier.key_id.hex() == new
        assert len(config.verifier_keys()) == 2

    def test_is_taken_up_by_a_process_that_runs(self, key_file: Path) -> None:
        sealing = Sealing()
        sealing()
        before = sealing.sealer
        sealing()
        assert sealing.sealer is before
        old, new = turn(key_file)
        record_one(9)
        sealing()
        assert signers() == {old, new}

    def test_keeps_the_file_for_its_owner_alone(self, key_file: Path) -> None:
        turn(key_file)
        assert [path.name for path in key_file.parent.iterdir() if path.stat().st_mode & 0o077] == ["audit.vkeys"]
        assert sorted(path.name for path in key_file.parent.iterdir()) == ["audit.key", "audit.vkeys"]


class TestRevoke:
    def test_only_checkpoints_from_before_count(self, key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        thief = keys.load(key_file, ORIGIN)[0]
        rotate.revoke(key_file, keys.vkeys_of(key_file), last_size=None, actor=ADA, at=NOON)
        assert AuditEvent.objects.get(action="signing_key.revoked").sealed.seq == 3
        assert thief.verifier.key_id.hex() not in signers()
        assert verified(capsys) == 0
        forged = checkpoint.sign(checkpoint.Checkpoint(ORIGIN, 9, b"r" * 32), [thief])
        with pytest.raises(UnknownKey):
            checkpoint.verify(forged, config.verifier_keys(), origin=ORIGIN)
        before = AuditCheckpoint.objects.get(size=3).note
        assert checkpoint.verify(before, config.verifier_keys(), origin=ORIGIN).size == 3

    def test_of_an_earlier_size_leaves_later_checkpoints_open(
        self, key_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rotate.revoke(key_file, keys.vkeys_of(key_file), last_size=2, actor=ADA, at=NOON)
        assert verified(capsys) == 2

    def test_by_the_command_prints_the_new_key_alone(self, key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        old = str(config.verifier_keys()[0])
        call_command("audit", "rotate", "--revoke")
        new = capsys.readouterr().out.strip()
        call_command("audit", "checkpoint", "--vkey")
        assert capsys.readouterr().out.strip() == new != old


def test_a_revoked_key_cannot_seal_again(key_file: Path) -> None:
    stolen = key_file.read_bytes()
    rotate.revoke(key_file, keys.vkeys_of(key_file), last_size=None, actor=ADA, at=NOON)
    key_file.write_bytes(stolen)
    with pytest.raises(BadKey, match="none of the verifier keys"):
        sealer()
