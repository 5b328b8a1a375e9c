"""`manage.py audit` from its arguments to its exit code and files."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import TestCase

from iamroles import audit
from iamroles.audit import checkpoint, guard
from iamroles.audit import keys as audit_keys
from iamroles.models import AuditEvent, AuditPending

from .conftest import ORIGIN, record_one

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(tmp_path: Path, settings: Any) -> Path:
    """Settings as an operator's command has them, with a key of its own."""
    settings.ROLEDESK_AUDIT_ORIGIN = ORIGIN
    settings.ROLEDESK_AUDIT_KEY_FILE = str(tmp_path / "keys" / "audit.key")
    settings.ROLEDESK_AUDIT_VKEYS_FILE = str(tmp_path / "keys" / "audit.vkeys")
    settings.ROLEDESK_CHECKPOINT_DIR = str(tmp_path / "checkpoints")
    settings.ROLEDESK_SEAL_LAG_SECONDS = 10**9  # the events have a fixed time, the command has the real one
    audit_keys.ensure(tmp_path / "keys" / "audit.key", ORIGIN)
    return tmp_path


def run(*arguments: object) -> tuple[int, str, str]:
    """Returns exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("audit", *map(str, arguments), stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def seal(count: int = 5) -> list[AuditEvent]:
    events = [record_one(number) for number in range(1, count + 1)]
    assert run("checkpoint")[0] == 0
    return events


def change(sql: str) -> None:
    guard.remove(connection)
    with connection.cursor() as cursor:
        cursor.execute(sql)
    guard.install(connection)


class TestVerify:
    def test_answers_0_again_and_again_on_an_untouched_trail(self, place: Path) -> None:
        seal()
        first, second = run("verify", "--json"), run("verify", "--json")
        assert [code for code, _, _ in (first, second)] == [0, 0]
        assert [json.loads(out)["size"] for _, out, _ in (first, second)] == [5, 6]
        assert AuditEvent.objects.filter(action="verification.completed").count() == 2
        assert not AuditPending.objects.exists()

    def test_answers_1_and_names_the_event(self, place: Path) -> None:
        third = seal()[2]
        change(f"UPDATE audit_event SET canon = replace(canon, 'Comment', 'Remark') WHERE id = {third.pk}")
        code, out, _ = run("verify")
        assert (code, out.splitlines()[0]) == (
            1,
            f"TAMPERED: {third.reference} (seq 2): the text does not have the stored hash",
        )

    def test_answers_2_without_a_key(self, place: Path, settings: Any) -> None:
        settings.ROLEDESK_AUDIT_KEY_FILE = settings.ROLEDESK_AUDIT_VKEYS_FILE = ""
        assert run("verify")[::2] == (
            2,
            "CANNOT TELL: this process holds no audit key (ROLEDESK_AUDIT_KEY_FILE is not set)\n",
        )

    def test_answers_2_and_never_1_when_the_database_cannot_be_read(self, place: Path) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE audit_leaf RENAME TO gone")
        code, out, err = run("verify")
        assert (code, out, err.splitlines()[-1].startswith("CANNOT TELL: ")) == (2, "", True)

    def test_holds_the_database_against_an_older_checkpoint(self, place: Path) -> None:
        seal()
        older = place / "older.note"
        older.write_text(run("checkpoint")[1], encoding="utf-8")
        record_one(6)
        assert run("checkpoint")[0] == 0
        change("DELETE FROM audit_leaf WHERE seq > 1")
        change("DELETE FROM audit_checkpoint")
        for path in (place / "checkpoints").iterdir():
            path.unlink()
        code, out, _ = run("verify", "--older", older)
        assert code == 1
        assert "the trail ends at 2, but a checkpoint kept outside covers 5 events" in out

    def test_finds_in_the_leaf_log_what_was_erased_before_it_was_sealed(self, place: Path, caplog: Any) -> None:
        seal(2)
        with caplog.at_level("INFO", "iamroles.audit.leaf"), TestCase.captureOnCommitCallbacks(execute=True):
            kept, erased = record_one(3, at=datetime.now(UTC)), record_one(4, at=datetime.now(UTC))
        log = place / "web.log"
        log.write_text("".join(f'{{"event": "{line}"}}\n' for line in ["started", *caplog.messages]))
        assert run("verify", "--leaf-log", log, "--read-only")[0] == 0
        change(f"DELETE FROM audit_pending WHERE event_id = {erased.pk}")
        change(f"DELETE FROM audit_event WHERE id = {erased.pk}")
        assert run("verify", "--read-only")[0] == 0
        code, out, _ = run("verify", "--leaf-log", log, "--read-only")
        assert (code, out.splitlines()[0]) == (
            1,
            f"TAMPERED: {erased.reference}: the event was logged when it was recorded, and is gone",
        )
        change(f"UPDATE audit_event SET canon = replace(canon, 'Comment', 'Remark') WHERE id = {kept.pk}")
        assert "the text does not have the hash that was logged" in run("verify", "--leaf-log", log, "--read-only")[1]

    def test_needs_no_database_for_an_export(self, place: Path, django_assert_num_queries: Any) -> None:
        seal()
        path = place / "events.jsonl"
        run("export", "--format", "jsonl", "--output", path)
        with django_assert_num_queries(0):
            assert run("verify", "--export", path)[0] == 0

    def test_verifies_one_event_with_its_proof(self, place: Path) -> None:
        event = seal()[3]
        line, proof = place / "event.jsonl", place / "event.tlog-proof"
        line.write_bytes(event.canon.encode() + b"\n")
        proof.write_text(audit.prove(event), encoding="utf-8")
        assert run("verify", "--export", line, "--proof", proof)[0] == 0
        line.write_bytes(line.read_bytes().replace(b"Comment", b"Remark"))
        assert run("verify", "--export", line, "--proof", proof)[0] == 1
        line.write_bytes(event.canon.encode() + b"\n" + event.canon.encode() + b"\n")
        assert run("verify", "--export", line, "--proof", proof)[0] == 2
        line.write_bytes(b"")
        assert run("verify", "--export", line, "--proof", proof)[0] == 2
        line.write_bytes(event.canon.encode() + b"\n")
        proof.write_text("nonsense")
        assert run("verify", "--export", line, "--proof", proof)[0] == 2
        with pytest.raises(audit.NotSealed, match="is not sealed yet"):
            audit.prove(record_one(9))


class TestBundle:
    def test_makes_a_zip_that_the_script_inside_it_verifies(self, place: Path) -> None:
        seal()
        older, path = place / "older.note", place / "evidence.zip"
        older.write_text(run("checkpoint")[1], encoding="utf-8")
        assert run("bundle", "--request", "REQ-000002", "--older", older, "--output", path)[0] == 0
        with zipfile.ZipFile(path) as bundle:
            bundle.extract("verify.py", place)
        key = (place / "keys" / "audit.vkeys").read_text().strip()
        ended = subprocess.run(
            [sys.executable, "-I", "-S", "verify.py", path.name, "--key", key, "--older", older.name],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (
            0,
            "FINE: 1 selected events are in the trail of 5; events.csv is for reading only\n",
            "",
        )
        assert AuditEvent.objects.filter(action="bundle.created").count() == 1


class TestExportAndVerifyIt:
    def test_verifies_a_full_export_and_names_a_changed_line(self, place: Path) -> None:
        seal()
        path = place / "events.jsonl"
        code, out, err = run("export", "--format", "jsonl", "--output", path)
        assert (code, out, err.split(",")[0]) == (0, "", "5 rows")
        assert run("verify", "--export", path, "--checkpoint", f"{path}.checkpoint")[0] == 0
        path.write_bytes(path.read_bytes().replace(b"Comment 4", b"Comment 5"))
        code, out, _ = run("verify", "--export", path, "--checkpoint", f"{path}.checkpoint")
        assert (code, out.splitlines()[0]) == (
            1,
            "TAMPERED: seq 3: line 4 is not the event that was sealed there",
        )

    def test_tells_fewer_lines_from_more(self, place: Path) -> None:
        seal()
        path = place / "events.jsonl"
        run("export", "--format", "jsonl", "--output", path)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:4]))
        assert run("verify", "--export", path)[:2] == (
            1,
            run("verify", "--export", path)[1],
        )
        path.write_bytes(b"".join([*lines, lines[0]]))
        assert run("verify", "--export", path)[0] == 2

    def test_verifies_a_selection_only_as_one(self, place: Path) -> None:
        seal()
        path = place / "some.jsonl"
        run("export", "--format", "jsonl", "--request", "REQ-000002", "--output", path)
        assert run("verify", "--export", path)[::2][0] == 2
        code, out, _ = run("verify", "--export", path, "--selection", "--json")
        assert (code, json.loads(out)["covered"]) == (0, 1)
        path.write_bytes(path.read_bytes().replace(b"Comment 2", b"Comment 5"))
        assert run("verify", "--export", path, "--selection")[0] == 1
        (place / "some.jsonl.proofs").write_text("nonsense\n")
        code, out, _ = run("verify", "--export", path, "--selection", "--json")
        assert (code, json.loads(out)["exit"], json.loads(out)["mode"]) == (1, 1, "selection")

    def test_reads_the_auditors_own_key(self, place: Path, tmp_path: Path) -> None:
        seal()
        path = place / "events.jsonl"
        run("export", "--format", "jsonl", "--output", path)
        own = (place / "keys" / "audit.vkeys").read_text().strip()
        other = str(audit_keys.ensure(tmp_path / "other" / "audit.key", ORIGIN).verifier)
        assert run("verify", "--export", path, "--key", own)[::2] == (0, "")
        assert run("verify", "--export", path, "--key", other)[0] == 2

    def test_writes_csv_to_standard_output(self, place: Path, capfdbinary: Any) -> None:
        seal(1)
        call_command("audit", "export", "--format", "csv", "--output", "-")
        assert capfdbinary.readouterr().out.startswith(b"event,seq,at,action,sentence,")

    def test_says_what_is_wrong_with_a_filter(self, place: Path) -> None:
        with pytest.raises(CommandError) as refused:
            run("export", "--format", "csv", "--output", "-", "--request", "142", "--from", "yesterday")
        assert str(refused.value) == (
            "--from: 'yesterday' is no date. Write 2026-11-24 or 2026-11-24T12:30. "
            "--request: A request reads like REQ-000142, not '142'."
        )


class TestCheckpoint:
    def test_prints_the_note_and_the_verifier_key(self, place: Path) -> None:
        seal()
        code, out, err = run("checkpoint", "--output", place / "mine.note")
        assert (code, err, (place / "mine.note").read_text(encoding="utf-8")) == (0, "", out)
        keys = audit_keys.read_vkeys(run("checkpoint", "--vkey")[1])
        assert checkpoint.verify(out, keys, origin=ORIGIN).size == 5

    def test_signs_nothing_when_the_trail_is_inconsistent(self, place: Path) -> None:
        seal()
        change("DELETE FROM audit_leaf WHERE seq = 1")
        assert run("checkpoint") == (1, "", "Inconsistent, nothing was signed: leaf 1 is missing\n")
