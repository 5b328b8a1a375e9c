"""Fixtures of the engine's tests: keys of the test's own and the small organisation of `world`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.engine.keys import write_keys
from tests.integration.engine.world import World, people


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, settings: Any) -> None:
    settings.ROLEDESK_SIGNING_KEY_FILE, settings.ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE = write_keys(tmp_path)


@pytest.fixture
def world(db: None) -> World:
    return people()
