"""Brings the demo's database and static files up to date, in one process because starting Django takes a second."""

from __future__ import annotations

import django
from django.core.management import call_command


def main() -> None:
    """Migrates and collects static files."""
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


if __name__ == "__main__":
    main()
