"""An installation for a test: a database of its own on the lane's PostgreSQL, fresh keys, and processes of production.

Database roles belong to the whole server, so each installation has names of its own and takes them away again.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from portal import first_env
from portal.demo.places import ROOT
from tests import services

HOST = "roles.corp.test"
REDIS_IN_VAIN = "redis://127.0.0.1:9/0"  # a doorbell that nobody hears: the rows are enough


@dataclass(frozen=True)
class Installation:
    """Where it lies, its database as the lane's own user sees it, and its roles: app, sealer, owner."""

    folder: Path
    url: str
    roles: tuple[str, str, str]

    def environment(self, process: str, **more: str) -> dict[str, str]:
        """Returns what docker-compose.yml gives the process, with files in place of mounts."""
        keys = self.folder / "keys"
        found = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "portal.settings.production",
            "ROLEDESK_PROCESS": process,
            "SECRET_KEY_FILE": str(keys / "django.key"),
            "DATABASE_URL_FILE": str(keys / "database.url"),
            "REDIS_URL": os.environ.get("REDIS_URL", REDIS_IN_VAIN),
            "BASE_URL": f"https://{HOST}",
            "ROLEDESK_AUDIT_ORIGIN": f"{HOST}/audit/1",
            "ROLEDESK_KEYS_DIR": str(keys),
        }
        if process == "owner":
            found["DATABASE_OWNER_URL_FILE"] = str(keys / "database-owner.url")
        if process in ("owner", "tend"):
            found["DATABASE_SEALER_URL_FILE"] = str(keys / "database-sealer.url")
        if process == "tend":
            found["ROLEDESK_KEYS_DIR"] = str(keys / "audit")
            found["ROLEDESK_AUDIT_VKEYS_FILE"] = str(keys / "audit/audit.vkeys")
            found["ROLEDESK_CHECKPOINT_DIR"] = str(self.folder / "checkpoints")
        return found | more

    def ask(self, program: str, **more: str) -> Any:
        """Runs a program with the web server's settings; returns what it printed as JSON."""
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=self.environment("web", **more),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def run(self, process: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs `manage.py` with these words as the process."""
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment(process, **more),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """Makes the database, the owner's role and the keys; removes database and roles afterwards."""
    server = os.environ["DATABASE_URL"]
    first_env.write(folder, f"https://{HOST}")
    mark = secrets.token_hex(4)
    with services.fresh_database(server) as url:
        made = []
        for name in first_env.ROLES:
            path = folder / "keys" / name
            parts, to = urlsplit(path.read_text()), urlsplit(url)
            role = f"{parts.username}_{mark}"
            path.write_text(urlunsplit(to._replace(netloc=f"{role}:{parts.password}@{to.hostname}:{to.port}")))
            made.append((role, parts.password or ""))
        app, sealer, (owner, password) = made
        with psycopg.connect(url, autocommit=True) as connection:
            statement = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(owner), sql.Literal(password)))
            own = sql.SQL("ALTER DATABASE {} OWNER TO {}")
            connection.execute(own.format(sql.Identifier(urlsplit(url).path[1:]), sql.Identifier(owner)))
        try:
            yield Installation(folder, url, (app[0], sealer[0], owner))
        finally:
            _drop(url, (app[0], sealer[0], owner))


def _drop(url: str, roles: tuple[str, ...]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for role in roles:
            there = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            if there:
                connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
        # The database still belongs to the owner.
        connection.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(sql.Identifier(urlsplit(url).path[1:]))
        )
        for role in roles:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
