"""Rules that a reader of the source relies on: where states are written, what no view switches off, what tests do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted((ROOT / "iamroles").rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
CSRF_EXEMPT = {"iamroles/web/views/errors.py"}  # the browser's own CSP reports carry no token
WRITES_STATE = {"iamroles/transitions.py", "iamroles/models/requests.py", "iamroles/models/runs.py"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls(path: Path) -> Iterator[ast.Call]:
    """Every call in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_nobody_switches_protection_off(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if name_of(path) not in CSRF_EXEMPT:
        assert not re.search(r"@csrf_exempt|import .*csrf_exempt", text)
    assert "SafeString(" not in text
    assert not re.search(r"\.extra\(|RawSQL\(|\.raw\(", text)


@pytest.mark.parametrize("path", [p for p in PRODUCT if name_of(p) not in WRITES_STATE], ids=name_of)
def test_a_state_is_written_in_one_place(path: Path) -> None:
    for call in calls(path):
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if method != "update":
            continue
        written = {keyword.arg for keyword in call.keywords}
        target = ast.unparse(call.func)
        assert not ({"state", "outcome", "stop_reason"} & written and re.search(r"(Request|Run)\.objects", target)), (
            target
        )


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_no_test_runs_tasks_eagerly(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"task_always_eager|TASK_ALWAYS_EAGER|\.apply_async\(|\.delay\(", text)


def test_there_is_no_admin() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "portal").rglob("*.py"))
    assert "django.contrib.admin" not in text


def test_lock_files_name_no_host() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert not [
            line for line in lines if "://" in line or line.startswith(("-i", "--index", "--extra-index", "-f"))
        ]
        assert all(line.startswith((" ", "#")) or "==" in line for line in lines if line)
