"""The first step on an empty host: fresh keys that nobody sees, nothing overwritten, and few settings to make."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from iamroles.audit import keys as audit_keys
from portal import first_env
from tests.unit.portal.test_production import LOAD, ROOT, start

URL = "https://roles.corp.test"
REQUIRED_AT_MOST = 8


def setup(folder: Path, url: str = URL) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "setup", "--base-url", url, "--directory", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def values_in(path: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in path.read_text().splitlines() if not line.startswith("#"))
    return {name: value for name, equals, value in lines if equals}


def test_writes_env_and_keys_and_prints_no_secret(tmp_path: Path) -> None:
    answer = setup(tmp_path)
    assert answer.returncode == 0, answer.stderr
    found = values_in(tmp_path / ".env")
    assert (found["BASE_URL"], found["ROLEDESK_AUDIT_ORIGIN"]) == (URL, "roles.corp.test/audit/1")
    files = sorted(path for path in (tmp_path / "keys").rglob("*") if path.is_file())
    assert {path.relative_to(tmp_path / "keys").as_posix() for path in files} == set(first_env.keys("x"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in (*files, tmp_path / ".env")} == {0o600}
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("keys", "keys/audit")} == {0o700}
    everything = answer.stdout + answer.stderr + (tmp_path / ".env").read_text()
    assert [path for path in files if path.read_text() and path.read_text() in everything] == []
    assert "PRIVATE KEY" not in everything


def test_the_three_database_roles_have_passwords_of_their_own(tmp_path: Path) -> None:
    first_env.write(tmp_path, URL)
    urls = [urlsplit((tmp_path / "keys" / name).read_text()) for name in first_env.ROLES]
    assert [url.username for url in urls] == ["roledesk_app", "roledesk_sealer", "roledesk_owner"]
    assert len({url.password for url in urls}) == 3
    assert (tmp_path / "keys/postgres.password").read_text() == urls[-1].password


def test_the_verifier_key_is_the_one_of_the_audit_key(tmp_path: Path) -> None:
    first_env.write(tmp_path, URL)
    key = audit_keys.load(tmp_path / "keys/audit/audit.key", "roles.corp.test/audit/1")[0]
    assert audit_keys.read_vkeys((tmp_path / "keys/audit/audit.vkeys").read_text()) == [key.verifier]


def test_every_installation_gets_its_own(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        first_env.write(folder, URL)
    assert (one / "keys/django.key").read_bytes() != (two / "keys/django.key").read_bytes()
    assert (one / "keys/approval.key").read_bytes() != (two / "keys/approval.key").read_bytes()


@pytest.mark.parametrize("name", [".env", "keys/approval.key", "keys/approval.pub", "keys/audit/audit.key"])
def test_overwrites_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "keys/audit").mkdir(parents=True)
    (tmp_path / name).write_text("mine")
    answer = setup(tmp_path)
    assert (answer.returncode, f"{name} exists already" in answer.stdout) == (1, True)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(name).name]
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("url", ["http://roles.corp.test", "roles.corp.test", "https://roles.corp.test/portal"])
def test_wants_an_https_address(tmp_path: Path, url: str) -> None:
    assert setup(tmp_path, url).returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_production_demands_at_most_eight_settings() -> None:
    """Adds what each process asks for, one refusal after the other, until all of them start."""
    demanded: set[str] = set()
    examples = {
        "SECRET_KEY": "k" * 64,
        "BASE_URL": URL,
        "DATABASE_URL": "postgresql://app:x@127.0.0.1:5432/roledesk",
        "DATABASE_OWNER_URL": "postgresql://owner:x@127.0.0.1:5432/roledesk",
        "DATABASE_SEALER_URL": "postgresql://sealer:x@127.0.0.1:5432/roledesk",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
    }
    for process in ("web", "worker", "tend", "owner"):
        given: dict[str, str | None] = {name: examples[name] if name in demanded else None for name in examples}
        given["ROLEDESK_PROCESS"] = process
        while (answer := start(LOAD, **given)).returncode:
            asked = re.search(r"ImproperlyConfigured: (\w+) is not set", answer.stderr)
            assert asked, answer.stderr
            demanded.add(asked[1])
            given[asked[1]] = examples.get(asked[1], "/run/secrets")
    assert len(demanded) <= REQUIRED_AT_MOST, sorted(demanded)


def test_the_image_holds_the_example_that_it_fills() -> None:
    name = first_env.EXAMPLE.name
    assert f"!{name}" in (ROOT / ".dockerignore").read_text().split()
    assert re.search(rf"^COPY .*{re.escape(name)} ", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_compose_demands_no_more() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    assert len(set(re.findall(r"\$\{(\w+):\?", compose))) <= REQUIRED_AT_MOST
