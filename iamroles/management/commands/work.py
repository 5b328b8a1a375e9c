"""`manage.py work`: does what is due in this process, for hosts without a broker."""

from __future__ import annotations

import signal
import threading
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections

from iamroles.engine import apply, check, export_job, follow_up, looks, observe, sweep
from iamroles.engine.tools import Tools, from_settings

_log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Works without Celery: claims what is due itself."""

    help = "Do what is due in this process, without a broker. With --once: until nothing is due, then end."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds --once."""
        parser.add_argument("--once", action="store_true", help="end when nothing is due")

    def handle(self, *_args: Any, once: bool = False, **_options: Any) -> None:
        """Works until told to stop."""
        stop = threading.Event()
        if not once:
            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, lambda *_: stop.set())
        tools = from_settings()
        while not stop.is_set():
            done = work_through(tools)
            if once and not done:
                break
            if not done:
                close_old_connections()
                stop.wait(settings.ROLEDESK_SWEEP_SECONDS)
        self.stdout.write("Nothing is due." if once else "Stopped.")


def work_through(tools: Tools) -> int:
    """Does everything that is due now, one after the other. Returns how much of it changed anything."""
    due = sweep.find_due(tools.now(), tools.limits)
    outcomes = [
        *(observe.observe(request_id=request_id, tools=tools) for request_id in due.observe),
        *(check.answer_order(order_id=order_id, tools=tools) for order_id in due.answer),
        *(follow_up.follow_up(run_id=run_id, tools=tools) for run_id in due.follow_up),
        *(looks.answer(look_id=look_id, tools=tools) for look_id in due.look),
        *(apply.apply(request_id=request_id, tools=tools) for request_id in due.apply),
        *(export_job.go_on(job_id=job_id, tools=tools) for job_id in due.export),
    ]
    for outcome in outcomes:
        _log.info("worked", outcome=outcome)
    idle = {"not_due", "not_approved", "busy", "waiting", "stopped", "done", "expired", "submitted"}
    return sum(outcome not in idle for outcome in outcomes)
