"""`manage.py tend`: the one loop that ticks. It seals the audit trail, rings for what is due, orders scans and
closes what expired.

More than one is harmless. A part that fails is logged and counted, and the others go on.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections

from iamroles.audit import Actor
from iamroles.audit import config as audit_config
from iamroles.audit.seal import Sealer
from iamroles.engine import deliver, expire, export_job, scans, sessions_ended, sweep
from iamroles.engine.tools import database_now, from_settings
from iamroles.models import VerificationOrder

_log = structlog.get_logger(__name__)
SEAL_SECONDS = 1.0
EXPIRE_SECONDS = 60.0
VERIFY_HELD = timedelta(minutes=10)
VERIFY_TRIES = 3
SCAN_SECONDS = 15.0
DELIVER_SECONDS = 2.0
FORGET_SECONDS = 3600.0
SAID_AGAIN_SECONDS = 60.0
ACTOR = Actor(type="system", id="tend", name="The portal's clock", channel="tend")


@dataclass
class Part:
    """One thing that ticks. `due` is on the monotonic clock."""

    name: str
    every: float
    do: Callable[[], object]
    due: float = 0.0


@dataclass
class Ticking:
    """The parts and what went wrong in them. `failures` counts by the part's name since the start; `logged` holds each
    part's last logged error and when, on the monotonic clock.
    """

    parts: list[Part]
    failures: Counter[str] = field(default_factory=Counter)
    logged: dict[str, tuple[str, float]] = field(default_factory=dict)

    def tick(self, now: float) -> float:
        """Does every part that is due. Returns the seconds until the next one is."""
        for part in self.parts:
            if part.due > now:
                continue
            try:
                part.do()
            except Exception as error:  # noqa: BLE001  (one part must not stop the others; the count and the log tell)
                self.failures[part.name] += 1
                self._log_failure(part.name, repr(error), now)
            part.due = now + part.every
        close_old_connections()
        return max(0.05, min(part.due for part in self.parts) - time.monotonic())

    def _log_failure(self, name: str, text: str, now: float) -> None:
        """Called where the error is handled. The same error of the same part is logged once a minute, and counted."""
        before, at = self.logged.get(name, ("", 0.0))
        if text != before or now - at >= SAID_AGAIN_SECONDS:
            self.logged[name] = (text, now)
            _log.exception("tending_failed", part=name, failures=self.failures[name])


@dataclass
class Sealing:
    """The sealer, made at the first tick that can: a missing key is an error of this part alone."""

    sealer: Sealer | None = None
    marks: tuple[float, ...] = ()

    def __call__(self) -> None:
        """Seals what waits; keys that were rotated meanwhile are taken up."""
        marks = audit_config.key_marks()
        if self.sealer is None or marks != self.marks:
            self.sealer, self.marks = audit_config.sealer(), marks
        self.sealer.seal(at=database_now())


@dataclass
class Verifying:
    """Answers orders to verify the database, each in a process of its own, so that sealing goes on meanwhile."""

    child: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Starts `audit verify` for the oldest open order, unless the one before still runs."""
        if self.child is not None and self.child.poll() is None:
            return
        now = database_now()
        due = VerificationOrder.objects.filter(answered_at=None, next_try_at__lte=now, tries__lt=VERIFY_TRIES)
        order = due.order_by("pk").first()
        if order is None:
            return
        claimed = due.filter(pk=order.pk).update(next_try_at=now + VERIFY_HELD, tries=order.tries + 1)
        if claimed:
            command = [sys.executable, "-m", "django", "audit", "verify", "--json", f"--order={order.pk}"]
            self.child = subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL)


def parts() -> list[Part]:
    """Returns what the tending process does."""
    limits = from_settings().limits
    return [
        Part("seal", SEAL_SECONDS, Sealing()),
        Part("sweep", settings.ROLEDESK_SWEEP_SECONDS, lambda: sweep.sweep(database_now(), limits)),
        Part("scan", SCAN_SECONDS, lambda: scans.order_due(database_now())),
        Part("expire", EXPIRE_SECONDS, lambda: expire.expire_due(actor=ACTOR, at=database_now())),
        Part("sessions", EXPIRE_SECONDS, lambda: sessions_ended.end_expired(actor=ACTOR, at=database_now())),
        Part("notices", DELIVER_SECONDS, lambda: deliver.deliver_due(database_now())),
        Part("old notices", FORGET_SECONDS, lambda: deliver.forget_old(database_now())),
        Part("verify", SEAL_SECONDS, Verifying()),
        Part("expire exports", EXPIRE_SECONDS, lambda: export_job.expire(actor=ACTOR, at=database_now())),
    ]


class Command(BaseCommand):
    """Ticks until SIGTERM."""

    help = "Seal the audit trail, ring the workers for what is due, close what expired; until SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds --once."""
        parser.add_argument("--once", action="store_true", help="do every part once, then end")

    def handle(self, *_args: Any, once: bool = False, **_options: Any) -> None:
        """Loops; SIGTERM and SIGINT end it after the part that is being done."""
        ticking = Ticking(parts())
        if once:
            ticking.tick(time.monotonic())
            return
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        _log.info("tending", parts=[part.name for part in ticking.parts])
        while not stop.is_set():
            stop.wait(ticking.tick(time.monotonic()))
        _log.info("tending_ended", failures=dict(ticking.failures))
