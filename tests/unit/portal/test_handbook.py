"""docs/operations.md is followed by people at night: its pages, commands, services, files and settings exist."""

from __future__ import annotations

import re

import pytest
import yaml
from django.core.management import get_commands
from django.urls import resolve

from portal import first_env
from portal.demo.places import ROOT

HANDBOOK = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(/[a-z/-]*/|/metrics)(?:\?[^`]*)?`", HANDBOOK))))
def test_every_page_exists(path: str) -> None:
    assert resolve(path)


def test_every_command_exists() -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", HANDBOOK))
    assert named - set(get_commands()) == set()
    assert {"setup", "people", "aws_accounts", "audit", "migrate", "check", "work", "tend"} <= named


def test_every_service_exists() -> None:
    line = re.compile(r"docker compose (?:run --rm|exec(?: -T)?|up -d(?: --no-deps)?|logs --tail 50) ([a-z]+)")
    assert set(line.findall(HANDBOOK)) <= set(SERVICES)


def test_every_key_file_exists() -> None:
    files = set(
        re.findall(
            r"`(?:keys/)?((?:audit/)?[a-z-]+\.(?:key|url|token|secret|password|pub|vkeys|credentials))`", HANDBOOK
        )
    )
    assert files <= set(first_env.keys("x"))
    assert files


def test_every_file_and_link_exists() -> None:
    for name in re.findall(r"\]\(([^)#:]+)\)", HANDBOOK):
        assert (ROOT / "docs" / name).exists(), name
    assert (ROOT / "scripts/rehearse_restore.py").exists()
