"""Rules for every template: nothing inline, nothing evaluated, every shape exists, every template compiles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.template import engines

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "templates"
ALL = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))
STATIC = ROOT / "iamroles/web/static/iamroles"

FORBIDDEN = {
    "a style attribute": r"\sstyle\s*=",
    "a style element": r"<style",
    "an event attribute": r"\son[a-z]+\s*=",
    "hx-on": r"\shx-on",
    "hx-vars": r"hx-vars",
    "evaluated hx-vals": r"hx-vals\s*=\s*[\"']\s*(js|javascript):",
    "a filter in hx-trigger, which is evaluated": r"hx-trigger\s*=\s*(\"[^\"]*\[[^\"]*\"|'[^']*\[[^']*')",
    "a javascript: address": r"javascript:",
    "a required attribute": r"<(input|select|textarea)\b[^>]*\srequired[\s>]",
}


def source(name: str) -> str:
    return re.sub(r"\{#.*?#\}", "", (TEMPLATES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_inline_or_evaluated(name: str) -> None:
    text = source(name)
    assert [what for what, pattern in FORBIDDEN.items() if re.search(pattern, text)] == []
    scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", text, flags=re.DOTALL)
    assert [body for attributes, body in scripts if body.strip() and "application/json" not in attributes] == []


@pytest.mark.parametrize("name", ALL)
def test_every_template_compiles(name: str) -> None:
    engines["django"].get_template(name)


def with_includes(name: str) -> str:
    """Returns a template with the partials of ours that it names set in; other packages' partials stay out."""
    if name not in ALL:
        return ""
    return re.sub(r'\{% include "([^"]+)"[^%]*%\}', lambda match: with_includes(match.group(1)), source(name))


@pytest.mark.parametrize("name", ALL)
def test_every_post_form_carries_the_csrf_token(name: str) -> None:
    text = with_includes(name)
    forms = re.findall(r"<form\b[^>]*method=\"post\".*?</form>", text, flags=re.DOTALL)
    assert [form[:80] for form in forms if "csrf_token" not in form] == []


def test_every_shape_in_use_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([a-z-]+)"', (STATIC / "shapes.svg").read_text(encoding="utf-8")))
    used = {shape for name in ALL for shape in re.findall(r'\{% icon "([a-z-]+)"', source(name))}
    assert used - drawn == set()


def test_every_status_has_its_shape() -> None:
    drawn = set(re.findall(r'<symbol id="([a-z-]+)"', (STATIC / "shapes.svg").read_text(encoding="utf-8")))
    words = (ROOT / "iamroles/pages/status.py").read_text(encoding="utf-8")
    shapes = set(re.findall(r'Status\("[^"]+", "[^"]+", "([^"]+)"', words))
    assert shapes
    assert shapes - drawn == set()


def test_titles_end_with_the_product() -> None:
    assert "{% block title %}Roledesk{% endblock %} – Roledesk</title>" in source("base.html")
