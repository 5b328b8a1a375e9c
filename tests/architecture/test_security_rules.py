"""Rules of security that a scanner does not know: who may write to IAM, which ways around a protection do not exist.

General ones (shell, pickle, weak hashes, string-built SQL) are ruff's S rules, which `make check` runs over everything.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from botocore import xform_name

from iamroles.aws.gateway import WRITES

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(
    path
    for top in ("iamroles", "portal")
    for path in (ROOT / top).rglob("*.py")
    if "portal/demo" not in path.as_posix() and "migrations" not in path.parts  # the demo plays AWS
)
TEMPLATES = sorted([*(ROOT / "templates").rglob("*.html"), *(ROOT / "iamroles").rglob("*.html")])
GATEWAY = "iamroles/aws/boto.py"
SENDS = "iamroles/engine/writing.py"
MAY_MARK_SAFE = "iamroles/web/templatetags/roledesk.py"
MAY_EXEMPT = "iamroles/web/views/errors.py"  # the browser's own reports carry no token


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def holding(pattern: str, paths: list[Path] = CODE) -> set[str]:
    """The files in which the pattern is found."""
    return {name_of(path) for path in paths if re.search(pattern, path.read_text(encoding="utf-8"))}


def called(path: Path) -> set[str]:
    """Names of methods and functions that a module calls."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        f.attr if isinstance(f, ast.Attribute) else f.id for f in functions if isinstance(f, ast.Attribute | ast.Name)
    }


def test_the_rules_look_at_something() -> None:
    assert len(CODE) > 200
    assert len(TEMPLATES) > 100


def test_iam_is_written_to_by_the_gateway_alone() -> None:
    writes = {xform_name(api) for api in WRITES} | {
        xform_name("DeletePolicyVersion"),
        "make_api_call",
        "_make_api_call",
    }
    assert {name_of(path) for path in CODE if writes & called(path)} == set()  # the gateway calls them by their name
    assert holding(r"(?m)^\s*(?:import|from) (?:boto3|botocore)") == {GATEWAY}
    assert holding(r"getattr\(client") == {GATEWAY}


def test_the_gateway_is_asked_to_write_in_one_place() -> None:
    assert holding(r"gateway\.send\(") == {SENDS}
    assert holding(r"\.create_client\(") == {GATEWAY}


def test_csrf_protection_is_off_for_reports_of_browsers_alone() -> None:
    assert holding(r"\bcsrf_exempt\b") == {MAY_EXEMPT}
    text = (ROOT / MAY_EXEMPT).read_text(encoding="utf-8")
    assert re.findall(r"@csrf_exempt\n(?:@\w+\n)*def (\w+)", text) == ["csp_report"]


def test_markup_is_made_in_one_module() -> None:
    assert holding(r"\bmark_safe\b|\bSafeString\(|\bSafeText\b|__html__") == {MAY_MARK_SAFE}


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_templates_escape_everything_and_run_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe\b|\|\s*safeseq|autoescape off|\|\s*json_script", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|javascript:", text, re.IGNORECASE)


def unquoted(text: str) -> list[str]:
    """The tags of a template in which the value of an attribute is written by a variable without quotes around it."""
    tags = re.findall(r"<[a-zA-Z][^>]*>", re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "\0", text))
    return [tag for tag in tags if re.search("=\\s*\0", re.sub(r"\"[^\"]*\"|'[^']*'", "quoted", tag))]


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_templates_quote_every_attribute(path: Path) -> None:
    assert unquoted('<a class="x" title={{ name }} href="{% url \'home\' %}">') == ['<a class="x" title=\0 href="\0">']
    assert unquoted(path.read_text(encoding="utf-8")) == []


def test_no_task_runs_in_the_web_server() -> None:
    assert holding(r"(?i)task_always_eage[r]|\.apply_async\(|\.delay\(") == set()


def test_there_is_no_admin_and_no_debugging() -> None:
    assert holding(r"django\.contrib\.admin|debug_toolbar|silk") == set()
    assert holding(r"\bDEBUG\s*=\s*True|ALLOWED_HOSTS\s*=\s*\[\s*[\"']\*") == set()


def test_secrets_are_compared_in_constant_time() -> None:
    assert holding(r"(token|secret|signature|password)\s*[!=]=\s*(given|request\.)") == set()


def test_certificates_are_always_checked() -> None:
    assert holding(r"verify\s*=\s*False|CERT_NONE|check_hostname\s*=\s*False|_create_unverified_context") == set()
