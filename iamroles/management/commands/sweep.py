"""`manage.py sweep`: rings once for everything that is due."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from iamroles.engine import sweep
from iamroles.engine.tools import database_now, from_settings


class Command(BaseCommand):
    """Rings the workers for what is due."""

    help = "Ring the workers for every request, run and look that is due now."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Prints how many rings were sent."""
        rung = sweep.sweep(database_now(), from_settings().limits)
        self.stdout.write(f"{rung} due.")
