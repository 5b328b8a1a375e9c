"""Backup and restore on a real PostgreSQL: the rehearsal, and what a worker does with work in flight that it finds in a
database of an hour ago while AWS has gone on. (Test 31 of the apply engine.)
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection

from iamroles.models import AuditEvent, Request, Run
from portal.demo.places import ROOT
from tests.integration.engine.keys import write_keys
from tests.integration.engine.world import ROLE, World, people
from tests.integration.operations.production import Installation

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="pg_dump is PostgreSQL's")


def done(installation: Installation, process: str, *words: str) -> None:
    answer = installation.run(process, *words)
    assert answer.returncode == 0, answer.stderr


def script() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import rehearse_restore
    finally:
        sys.path.pop(0)
    return rehearse_restore


class TestRehearsal:
    @staticmethod
    def rehearse(installation: Installation, *words: str) -> subprocess.CompletedProcess[str]:
        environment = installation.environment("tend") | {
            "DATABASE_OWNER_URL_FILE": str(installation.folder / "keys/database-owner.url")
        }
        return subprocess.run(
            [sys.executable, str(ROOT / "scripts/rehearse_restore.py"), *words],
            env=environment,
            cwd=installation.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    def test_restores_and_verifies_a_dump_while_the_portal_goes_on(self, installation: Installation) -> None:
        done(installation, "command", "people", "invite", "dora@corp.test", "Dora", "Maar", "--print-link")
        done(installation, "tend", "audit", "checkpoint")
        dump = installation.folder / "before.dump"
        command = ["pg_dump", "--format=custom", f"--file={dump}", f"--dbname={installation.url}"]
        subprocess.run(command, capture_output=True, check=True)
        with psycopg.connect(installation.url) as superuser:
            (sealed,) = superuser.execute("SELECT max(size) FROM audit_checkpoint").fetchone() or (0,)
        # Later the portal goes on and seals more: those checkpoints say nothing about the older dump.
        done(installation, "command", "people", "invite", "emil@corp.test", "Emil", "Nolde", "--print-link")
        done(installation, "tend", "audit", "checkpoint")
        answer = self.rehearse(installation, "--dump", str(dump))
        assert answer.returncode == 0, answer.stdout + answer.stderr
        lines = answer.stdout.splitlines()
        assert re.match(rf"events sealed {sealed}, held against [1-9]\d* kept checkpoints, root ", lines[0])
        assert lines[1] == "work in flight, which a worker compares with AWS before it does anything: none"
        assert lines[2].startswith("RESTORED AND VERIFIED in ")

    def test_finds_an_event_that_was_changed_before_the_backup(self, installation: Installation) -> None:
        done(installation, "command", "people", "invite", "fritz@corp.test", "Fritz", "Winter", "--print-link")
        done(installation, "tend", "audit", "checkpoint")
        try:
            event = self.edit(installation, "Fritz", "Otto")
            answer = self.rehearse(installation)
        finally:
            self.edit(installation, "Otto", "Fritz")
        assert answer.returncode == 1
        assert "NOT RESTORED" in answer.stdout
        assert f"EVT-{event:07d}" in answer.stdout

    @staticmethod
    def edit(installation: Installation, old: str, new: str) -> int:
        with psycopg.connect(installation.url, autocommit=True) as superuser:
            superuser.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_no_update")
            rows = superuser.execute(
                "UPDATE audit_event SET canon = replace(canon, %s, %s) WHERE position(%s in canon) > 0 RETURNING id",
                [old, new, old],
            ).fetchall()
            superuser.execute("ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_no_update")
        return min(pk for (pk,) in rows)

    def test_leaves_no_copy_behind(self, installation: Installation) -> None:
        with psycopg.connect(installation.url) as superuser:
            rows = superuser.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE 'roledesk_rehearsal%%'"
            ).fetchall()
        assert rows == []

    def test_leaves_aside_what_a_declared_restore_lost(self, tmp_path: Path) -> None:
        for of, sizes in ((1, (2, 4, 6)), (2, (5, 7))):
            folder = tmp_path / f"generation-{of}" if of > 1 else tmp_path
            folder.mkdir(exist_ok=True)
            for size in sizes:
                (folder / f"{size:012}.note").write_text(f"roles.corp.test/audit/{of}\n{size}\nroot\n")
                shutil.copy(folder / f"{size:012}.note", folder / "latest.note")
        assert script().keep_older(tmp_path, size=6, cuts=[(2, 4)]) == 3
        kept = {str(path.relative_to(tmp_path)): path.read_text().split()[1] for path in tmp_path.rglob("*.note")}
        assert kept == {
            "000000000002.note": "2",
            "000000000004.note": "4",
            "generation-2/000000000005.note": "5",
            "generation-2/latest.note": "5",
        }

    def test_shows_no_password_in_the_list_of_processes(self) -> None:
        rehearse_restore = script()
        command = rehearse_restore.Here("postgresql://owner:s3cret@db:5432/roledesk").tool("pg_dump")
        assert command == ["pg_dump", "--dbname=postgresql://owner@db:5432/roledesk"]


class Backup:
    """A dump of this test's own database, which can be put back in place."""

    def __init__(self, path: Path) -> None:
        given = connection.settings_dict
        self.path = path
        self.place = f"postgresql://{given['USER']}@{given['HOST']}:{given['PORT']}/{quote(str(given['NAME']))}"
        self.environment = {**os.environ, "PGPASSWORD": str(given["PASSWORD"])}

    def make(self) -> None:
        connection.close()
        self._run("pg_dump", "--format=custom", f"--file={self.path}")

    def restore(self) -> None:
        connection.close()
        self._run("psql", "--quiet", "--command=DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self._run("pg_restore", "--no-owner", "--exit-on-error", str(self.path))

    def _run(self, *words: str) -> None:
        command = [words[0], f"--dbname={self.place}", *words[1:]]
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=120)


@pytest.mark.django_db(transaction=True)
class TestWorkInFlight:
    @pytest.fixture
    def world(self, tmp_path: Path, settings: Any) -> World:
        settings.ROLEDESK_SIGNING_KEY_FILE, settings.ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE = write_keys(tmp_path)
        return people()

    @pytest.fixture
    def backup(self, tmp_path: Path) -> Backup:
        return Backup(tmp_path / "test.dump")

    def after_restore(self, world: World, backup: Backup, request: Request) -> tuple[str, list[str]]:
        """Restores; returns how the worker ends and what it writes to AWS from then on."""
        backup.restore()
        before = len(world.sent())
        world.clock.pass_by(3600)  # an hour to notice, restore and start the portal
        return world.apply(Request.objects.get(pk=request.pk)), world.sent()[before:]

    def test_what_was_applied_since_is_not_repeated(self, world: World, backup: Backup) -> None:
        request = world.approved()
        backup.make()
        assert world.apply(request) == "applied"
        assert self.after_restore(world, backup, request) == ("conflict", [])
        assert Run.objects.get(request=request).stop_reason == "conflict"

    def test_what_was_changed_since_is_seen_as_it_is(self, world: World, backup: Backup) -> None:
        first = world.approved()
        assert world.apply(first) == "applied"
        second = world.approved(tags={"team": "orders", "cost": "7"})
        backup.make()
        assert world.apply(second) == "applied"
        assert self.after_restore(world, backup, second) == ("applied", [])

    def test_what_others_changed_since_is_a_conflict(self, world: World, backup: Backup) -> None:
        first = world.approved()
        assert world.apply(first) == "applied"
        second = world.approved(tags={"team": "orders", "cost": "7"})
        backup.make()
        role = world.aws.roles["ecscodedeployrole"]
        world.aws.put_role(replace(role, description="Changed by another administrator"))
        assert self.after_restore(world, backup, second) == ("conflict", [])
        assert AuditEvent.objects.filter(request=second.reference, action="run.stopped").exists()
        assert role.arn == ROLE
