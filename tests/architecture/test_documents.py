"""What documents promise a reader: numbers that name one record, links that lead somewhere, pages that are there."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
from django.urls import resolve

ROOT: Final = Path(__file__).resolve().parents[2]
RECORDS: Final = sorted((ROOT / "docs" / "adr").glob("*.md"))
# The addresses that documentation, mails and bookmarks name, with the view behind each. They are never renamed.
PAGES: Final = {
    "/accounts/login/": "account_login",
    "/": "home",
    "/requests/new/": "request_start",
    "/requests/new/role/": "role_request_new",
    "/requests/preview/": "request_preview",
    "/requests/new/passrole/": "grant_request_new",
    "/requests/new/infrastructure/": "infrastructure_request_new",
    "/requests/new/deployer/": "deployer_request_new",
    "/requests/new/removal/": "removal_request_new",
    "/requests/REQ-000142/check/": "request_check",
    "/requests/REQ-000142/": "request_detail",
    "/approvals/": "approval_queue",
    "/approvals/REQ-000142/": "approval_review",
    "/approvals/REQ-000142/decide/": "approval_decide",
    "/requests/REQ-000142/run/2/": "run_detail",
    "/requests/REQ-000142/evidence/": "request_evidence",
    "/requests/REQ-000142/evidence.json": "request_evidence_json",
    "/requests/": "request_list",
    "/inventory/": "inventory_list",
    "/inventory/7/": "inventory_role",
    "/inventory/check/": "role_check",
    "/audit/": "audit_history",
    "/audit/EVT-0018204/": "audit_event",
    "/exports/EXP-000031/": "export_detail",
    "/ops/": "operations_health",
    "/ops/jobs/": "operations_jobs",
    "/ops/accounts/": "account_list",
    "/ops/people/": "person_list",
    "/ops/teams/": "team_list",
    "/ops/rules/": "rules",
    "/setup/": "setup",
    "/settings/": "preferences",
    "/help/": "help",
}


def tracked(*endings: str) -> list[Path]:
    """The files of the project with these endings, without what installing and running leaves beside them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True).stdout
    names = listed.split("\0") if listed else [str(p.relative_to(ROOT)) for p in ROOT.glob("[a-zA-Z]*/**/*")]
    return [ROOT / name for name in names if name.endswith(endings) and (ROOT / name).is_file()]


def test_records_are_numbered_without_gap_or_twin() -> None:
    numbers = [int(path.name[:4]) for path in RECORDS]
    assert numbers == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_says_its_own_number(path: Path) -> None:
    heading = path.read_text(encoding="utf-8").splitlines()[0]
    assert re.match(rf"# {int(path.name[:4])}\. \S", heading), heading


def test_every_document_that_is_named_is_there() -> None:
    missing = {
        (path.relative_to(ROOT).as_posix(), named)
        for path in tracked(".py", ".md")
        for named in re.findall(r"docs/[a-z0-9/_-]+\.md", path.read_text(encoding="utf-8"))
        if not (ROOT / named).is_file()
    }
    assert missing == set()


@pytest.mark.parametrize("address", PAGES)
def test_every_page_is_at_its_address(address: str) -> None:
    assert resolve(address).url_name == PAGES[address]


PROMISED: Final = (*range(35, 52), *range(64, 71))
SECURITY: Final = [
    (int(line.split("|")[1]), re.findall(r"`(tests/[^`]+)`", line.split("|")[3]))
    for line in (ROOT / "docs" / "security-tests.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]


def test_every_security_promise_stands_once_with_a_test() -> None:
    assert [number for number, _ in SECURITY] == list(PROMISED)
    assert [number for number, named in SECURITY if not named] == []


@pytest.mark.parametrize("named", sorted({name for _, names in SECURITY for name in names}))
def test_every_test_that_is_named_for_one_exists(named: str) -> None:
    path, *parts = named.split("::")
    inside: list[ast.stmt] = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for part in parts:
        found = [node for node in inside if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == part]
        assert found, f"{path} has no {part}"
        inside = found[0].body
    assert not parts or parts[-1].startswith(("test_", "Test"))
