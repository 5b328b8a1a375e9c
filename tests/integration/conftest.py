"""What integration tests share: emptying the database after a transactional test although events are append-only,
and forgetting between two tests who signed in how often.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import TransactionTestCase

from iamroles.audit import guard


@pytest.fixture(autouse=True, scope="session")
def _emptying_lifts_the_guard() -> Any:
    """Drops the triggers for the flush alone and installs them again."""
    flush = TransactionTestCase._fixture_teardown

    def teardown(self: TransactionTestCase) -> None:
        guard.remove(connection)
        try:
            flush(self)
        finally:
            guard.install(connection)

    TransactionTestCase._fixture_teardown = teardown
    yield
    TransactionTestCase._fixture_teardown = flush


@pytest.fixture(autouse=True)
def _nobody_has_tried_before() -> None:
    """Sign-ins are counted in the cache, which outlives a test: those of many would slow down those of the next."""
    cache.clear()
