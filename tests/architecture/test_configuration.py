"""docs/configuration.md is what the settings' code says, and production demands few of them."""

from __future__ import annotations

from pathlib import Path

from portal.settings import reference

ROOT = Path(__file__).resolve().parents[2]
REQUIRED_AT_MOST = 8


def test_the_page_is_current() -> None:
    """Else: python -m portal.settings.reference > docs/configuration.md"""
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == reference.written()


def test_production_demands_at_most_eight() -> None:
    required = {name for name, setting in reference.settings().items() if setting.default is None}
    assert {"SECRET_KEY", "BASE_URL", "DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_SEALER_URL"} < required
    assert len(required) <= REQUIRED_AT_MOST


def test_secrets_can_be_files() -> None:
    words = ("SECRET", "PASSWORD", "TOKEN", "DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_SEALER_URL")
    named = {name for name in reference.settings() if name.endswith(words)}
    assert {name for name in named if not reference.settings()[name].secret} == set()
