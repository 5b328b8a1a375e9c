"""A rolling upgrade: what an earlier version wrote is read by today's code, and what it still writes is taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import connection

from iamroles.rules import states
from portal.demo.places import ROOT
from tests import services
from tests.integration.operations.two_versions import every_run

BASE = "0013_insert_only_rules"  # the oldest version beside which today's tables are promised to work


pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one process of one version")


@pytest.fixture
def url() -> Iterator[str]:
    with services.fresh_database(os.environ["DATABASE_URL"]) as made:
        yield made


def test_both_versions_work_on_the_same_tables_with_requests_in_every_state(url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.operations.two_versions", BASE],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "portal.settings.test"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    open_states = [state for state in states.REQUEST_STATES if state != states.CLOSED]
    expected = {*open_states, *(f"{states.CLOSED} {outcome}" for outcome in states.OUTCOMES)}
    assert said["before"] == dict.fromkeys(expected, len(every_run()))
    assert said["read"] == said["before"]
    assert said["again"] == said["made"] == {"requests": len(expected), "runs": len(expected) * len(every_run())}
    assert said["now"] == said["back"] == dict.fromkeys(expected, 2 * len(every_run()))
