"""docs/asvs.md and docs/threat-model.md name tests: each must exist, by file, class and name."""

from __future__ import annotations

import ast
import re

import pytest

from portal.demo.places import ROOT

NAMED = sorted(
    {
        name
        for page in ("asvs.md", "threat-model.md")
        for name in re.findall(r"`(tests/[\w/]+\.py(?:::\w+)*)`", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize("name", NAMED)
def test_the_named_test_exists(name: str) -> None:
    path, *parts = name.split("::")
    found: ast.Module | ast.ClassDef | ast.FunctionDef = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.FunctionDef) and node.name.startswith("test") for node in ast.walk(found))
    for part in parts:
        inside = {node.name: node for node in found.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert part in inside, (name, sorted(inside))
        found = inside[part]


def test_each_requirement_is_one_of_the_standard() -> None:
    rows = re.findall(r"^\| ([\d., to]+?) \|", (ROOT / "docs/asvs.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 40
    assert [row for row in rows if not re.fullmatch(r"(\d{1,2}(\.\d{1,2}){1,2}(, | to )?)+", row)] == []
