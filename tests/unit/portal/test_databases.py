"""Production's database roles: which process connects as whom, and that one role under two names is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from portal.settings import databases, env

URLS = {
    "DATABASE_URL": "postgresql://app:a@db:5432/roledesk",
    "DATABASE_OWNER_URL": "postgresql://owner:o@db:5432/roledesk",
    "DATABASE_SEALER_URL": "postgresql://sealer:s@db:5432/roledesk",
}


@pytest.fixture(autouse=True)
def addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in URLS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ALLOW_SINGLE_DB_ROLE", raising=False)


def users(process: str) -> dict[str, object]:
    return {alias: settings["USER"] for alias, settings in databases.production(process).items()}


def test_each_process_connects_as_what_it_needs() -> None:
    assert {process: users(process) for process in ("web", "worker", "tend", "owner", "command")} == {
        "web": {"default": "app"},
        "worker": {"default": "app"},
        "tend": {"default": "app", "sealer": "sealer"},
        "owner": {"default": "owner", "app": "app", "sealer": "sealer"},
        "command": {"default": "app", "sealer": "sealer"},
    }


@pytest.mark.parametrize(
    ("process", "same", "words"),
    [
        ("tend", "DATABASE_SEALER_URL", "DATABASE_URL and DATABASE_SEALER_URL name the same database role"),
        ("owner", "DATABASE_OWNER_URL", "DATABASE_OWNER_URL and DATABASE_URL name the same database role"),
        ("owner", "DATABASE_SEALER_URL", "DATABASE_URL and DATABASE_SEALER_URL name the same database role"),
    ],
)
def test_refuses_one_role_under_two_names(process: str, same: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(same, "postgresql://app:another@db:5432/roledesk")
    with pytest.raises(ImproperlyConfigured, match=words):
        databases.production(process)
    monkeypatch.setenv("ALLOW_SINGLE_DB_ROLE", "1")
    assert users(process)["default"] == "app" if same == "DATABASE_OWNER_URL" else users(process)


@pytest.mark.parametrize(("process", "name"), [("tend", "DATABASE_SEALER_URL"), ("owner", "DATABASE_OWNER_URL")])
def test_an_address_may_be_left_out_only_where_one_role_is_allowed(
    process: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(ImproperlyConfigured, match=f"{name} is not set"):
        databases.production(process)
    monkeypatch.setenv("ALLOW_SINGLE_DB_ROLE", "1")
    assert users(process)["default"] == "app"
    assert users("tend") == {"default": "app"}


class TestSecret:
    def test_is_read_from_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "key").write_text("  from the file\n")
        monkeypatch.setenv("SOME_KEY_FILE", str(tmp_path / "key"))
        assert env.secret("SOME_KEY") == "from the file"

    def test_is_not_given_twice(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOME_KEY_FILE", str(tmp_path / "key"))
        monkeypatch.setenv("SOME_KEY", "x")
        with pytest.raises(ImproperlyConfigured, match="both set"):
            env.secret("SOME_KEY")

    def test_an_empty_file_is_no_secret(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "key").write_text("\n")
        monkeypatch.setenv("SOME_KEY_FILE", str(tmp_path / "key"))
        assert env.secret("SOME_KEY", "") == ""
        with pytest.raises(ImproperlyConfigured, match="which is empty"):
            env.secret("SOME_KEY")

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOME_KEY_FILE", str(tmp_path / "none"))
        with pytest.raises(ImproperlyConfigured, match="none, which cannot be read: No such file"):
            env.secret("SOME_KEY", "")


class TestTls:
    def test_is_asked_for_in_the_address(self) -> None:
        found = env.database("postgresql://app:a@db:5432/roledesk?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem")
        assert found["OPTIONS"] == {"sslmode": "verify-full", "sslrootcert": "/etc/ssl/db.pem"}
        assert env.database(URLS["DATABASE_URL"])["OPTIONS"] == {}

    def test_takes_nothing_else(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="not options"):
            env.database("postgresql://app:a@db:5432/roledesk?options=-csearch_path%3Devil")
