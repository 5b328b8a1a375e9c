"""The cost of writing one change with an event: ours beside django-auditlog, django-simple-history, django-pghistory.

Needs an empty PostgreSQL database in DATABASE_URL, and the three packages, which are no part of the product:
`pip install --target DIR django-auditlog django-simple-history django-pghistory`, then
`PYTHONPATH=DIR DATABASE_URL=… make bench BENCH=rivals`. They record who changed what; only ours proves it later.
"""

# ruff: noqa: PLC0415  (Django is set up with the packages' applications first)

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.bench_audit import comment
from bench.figures import Figure

CHANGES = 400
APPS = ("auditlog", "simple_history", "pgtrigger", "pghistory")


def measure() -> Iterator[Figure]:
    """Yields the figures, the bare change first; nothing but a line where something is missing."""
    lacking = [name for name in APPS if importlib.util.find_spec(name) is None]
    if lacking or not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        print(f"not measured: {', '.join(lacking) or 'DATABASE_URL names no PostgreSQL'}. See bench/bench_rivals.py")
        return
    with tempfile.TemporaryDirectory(prefix="roledesk-bench-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "portal.settings.test", "ROLEDESK_VAR": folder}
        set_up()
        yield from changing()


def set_up() -> None:
    """Adds the packages to the settings and makes all tables and triggers."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, *APPS, "bench.rivals"]
    django.setup()
    logging.getLogger("iamroles.audit.leaf").setLevel(logging.WARNING)
    call_command("migrate", verbosity=0)
    call_command("migrate", verbosity=0, run_syncdb=True)
    call_command("pgtrigger", "install", verbosity=0)


def changing() -> Iterator[Figure]:
    """One row changed and saved in a transaction of its own, by each in turn."""
    from bench.rivals.models import Historic, Logged, Plain, Tracked

    rows = {model: model.objects.create(name="bench") for model in (Plain, Logged, Historic, Tracked)}
    took: dict[str, list[float]] = {name: [] for name in NAMES}
    for number in range(CHANGES):
        took["a change alone"].append(change(rows[Plain], number))
        took["with an event of ours"].append(change(rows[Plain], number, record_ours))
        took["with django-auditlog"].append(change(rows[Logged], number))
        took["with django-simple-history"].append(change(rows[Historic], number))
        took["with django-pghistory"].append(change(rows[Tracked], number))
    baseline = Figure(NAMES[0], tuple(took[NAMES[0]]))
    yield baseline
    for name in NAMES[1:]:
        yield Figure(name, tuple(took[name]), against=baseline)


NAMES = (
    "a change alone",
    "with an event of ours",
    "with django-auditlog",
    "with django-simple-history",
    "with django-pghistory",
)


def change(row: Any, number: int, also: Callable[[int], object] | None = None) -> float:
    """Returns the seconds of one change."""
    from django.db import transaction

    began = time.perf_counter()
    with transaction.atomic():
        row.name, row.text, row.number = f"Bench {number}", f"Comment {number}", number
        row.save()
        if also is not None:
            also(number)
    return time.perf_counter() - began


def record_ours(number: int) -> object:
    """Records an event of usual size with full context."""
    from iamroles.audit.record import record

    return record(**comment(number))
