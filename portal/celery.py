"""The Celery application: settings from Django, tasks by name, and a sweep in every worker.

Celery is a doorbell here. What is due stands in the rows; this thread finds what a lost message left lying.
"""

from __future__ import annotations

import threading
from typing import Any

import structlog
from celery import Celery
from celery.signals import setup_logging, worker_init, worker_ready, worker_shutting_down

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["iamroles"])

_log = structlog.get_logger(__name__)
_stopping = threading.Event()


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Keeps Celery from replacing the handlers that the settings made."""


@worker_init.connect
def warm_up(**_: Any) -> None:
    """Reads the AWS service models once, before the worker forks."""
    from iamroles.aws import boto  # noqa: PLC0415  (Django's apps are not ready when this module is imported)

    boto.warm()


@worker_ready.connect
def start_sweeping(**_: Any) -> None:
    """Starts the sweep of this worker as a daemon thread."""
    threading.Thread(target=_sweep_until_stopped, name="sweep", daemon=True).start()


@worker_shutting_down.connect
def stop_sweeping(**_: Any) -> None:
    """Ends the sweep."""
    _stopping.set()


def _sweep_until_stopped() -> None:
    from django.conf import settings  # noqa: PLC0415  (as above)
    from django.db import connections  # noqa: PLC0415

    from iamroles.engine import sweep, tools  # noqa: PLC0415

    while not _stopping.wait(settings.ROLEDESK_SWEEP_SECONDS):
        try:
            sweep.sweep(tools.database_now(), tools.from_settings().limits)
        except Exception:  # noqa: BLE001  (the net under everything else must outlive what goes wrong once)
            _log.exception("sweep_failed")
        finally:
            connections.close_all()
