"""Log lines: whatever a name holds, an entry is one line without control characters, and masks what may be secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from portal import logs

NASTY = "rosa\r\n2026-11-25 [info] approved\x1b[31m\u2028\x00\x9b2J"


@pytest.fixture
def _as_before() -> Iterator[None]:
    """Puts the process's logging back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logs.configure(json=False)
    root.handlers[:] = handlers


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
class TestOneLine:
    def test_of_ours(self, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
        logs.configure(json=as_json)
        structlog.get_logger("test").warning("sign_in", name=NASTY)
        self.is_one_line(capsys)

    def test_of_a_library(self, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
        logs.configure(json=as_json)
        logging.getLogger("django.request").warning("Not Found: %s", NASTY)
        self.is_one_line(capsys)

    @staticmethod
    def is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert said.endswith("\n")
        assert said[:-1].isprintable()
        assert "rosa" in said

    def test_secrets_are_masked(self, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
        logs.configure(json=as_json)
        structlog.get_logger("test").warning("x", password="hunter2", session_key="abc", path="/invited/MTI/tok-1/")
        said = capsys.readouterr().err
        assert not [word for word in ("hunter2", "abc", "tok-1") if word in said]
        if as_json:
            assert json.loads(said)["password"] == "[masked]"
