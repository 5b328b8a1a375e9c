"""Who a command says is at the command line."""

from __future__ import annotations

import getpass

import pytest

from iamroles.management.shell import shell_actor


def test_is_told_by_number_where_the_host_knows_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert shell_actor().name == "ada"
    monkeypatch.setattr(getpass, "getuser", nobody)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert shell_actor().name == "user 4711"
