"""Two transactions at once on PostgreSQL, always interleaved the same way: the second begins while the first has
written and not committed yet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from django.db import connection, connections, transaction

PATIENCE = 30.0  # seconds

only_on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite lets one transaction write at a time"
)


def uncommitted(first: Callable[[], object], second: Callable[[], object]) -> str:
    """Does `first`, then `second` on a connection of its own, and commits the first once the second waits for it or has
    ended. Returns "done", or the name of the exception that ended the second.
    """
    said: list[str] = []
    known: list[int] = []

    def run() -> None:
        try:
            connection.ensure_connection()
            known.append(connection.connection.info.backend_pid)
            second()
            said.append("done")
        except Exception as error:
            said.append(type(error).__name__)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        first()
        thread.start()
        _wait_for(thread, known)
    thread.join(PATIENCE)
    return said[0]


def _wait_for(thread: threading.Thread, known: list[int]) -> None:
    give_up = time.monotonic() + PATIENCE
    while thread.is_alive() and not (known and _waits(known[0])):
        assert time.monotonic() < give_up, "the second transaction neither waits nor ends"
        time.sleep(0.01)


def _waits(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted)", [pid])
        row = cursor.fetchone()
    return bool(row and row[0])
