"""Production's three database roles on a real PostgreSQL, by the commands that docker-compose.yml runs: how they come
into being, and that each process works with its own.
"""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection

from tests.integration.operations.production import Installation

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no roles")


def test_the_grants_can_be_run_again_and_printed(installation: Installation) -> None:
    app, sealer, _ = installation.roles
    assert installation.run("owner", "audit", "grants", "--run").returncode == 0
    printed = installation.run("owner", "audit", "grants").stdout
    assert f'GRANT SELECT, INSERT ON TABLE audit_event TO "{app}";' in printed
    assert f'GRANT SELECT, INSERT ON TABLE audit_leaf TO "{sealer}";' in printed
    assert "PASSWORD" not in printed


def test_the_server_keeps_no_password(installation: Installation) -> None:
    with psycopg.connect(installation.url) as as_superuser:
        rows = as_superuser.execute(
            "SELECT rolname, rolpassword LIKE 'SCRAM-SHA-256$%%', rolsuper, rolcreaterole FROM pg_authid"
            " WHERE rolname = ANY(%s)",
            [list(installation.roles[:2])],
        ).fetchall()
    assert sorted(rows) == sorted((role, True, False, False) for role in installation.roles[:2])


def test_the_app_records_and_tend_seals_what_it_recorded(installation: Installation) -> None:
    words = ("people", "invite", "ada@corp.test", "Ada", "Byron", "--group", "operators", "--print-link")
    invited = installation.run("command", *words)
    assert invited.returncode == 0, invited.stderr
    ticked = installation.run("tend", "tend", "--once")
    assert (ticked.returncode, "tending_failed" in ticked.stderr) == (0, False), ticked.stderr
    verified = installation.run("tend", "audit", "verify", "--read-only")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert list((installation.folder / "checkpoints").iterdir()) != []


def test_the_app_alone_cannot_seal(installation: Installation) -> None:
    keys = installation.folder / "keys"
    assert (
        installation.run("command", "people", "invite", "ben@corp.test", "Ben", "Okri", "--print-link").returncode == 0
    )
    sealing = installation.run(
        "tend", "audit", "checkpoint", DATABASE_SEALER_URL_FILE=str(keys / "database.url"), ALLOW_SINGLE_DB_ROLE="1"
    )
    assert sealing.returncode != 0
    assert "permission denied for table" in sealing.stderr


def test_the_deploy_check_tells_the_app_from_the_owner(installation: Installation) -> None:
    words = ("check", "--deploy", "--tag", "database", "--database", "default")
    assert installation.run("tend", *words).returncode == 0
    owner = (installation.folder / "keys/database-owner.url").read_text()
    (installation.folder / "owner.url").write_text(owner)
    wrong = installation.run("tend", *words, DATABASE_URL_FILE=str(installation.folder / "owner.url"))
    assert wrong.returncode != 0
    assert "(roledesk.E002) default: this role could rewrite the audit trail" in wrong.stderr


def test_the_set_up_sees_the_roles_apart(installation: Installation) -> None:
    listed = installation.run("command", "setup").stdout
    assert "done    Database roles: The portal cannot change events." in listed
    assert "done    Database: It answers, and its tables are up to date." in listed
