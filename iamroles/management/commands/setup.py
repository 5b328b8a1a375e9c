"""`manage.py setup`: what an installation needs, item by item as on the page /setup/, and the first operator.

On a host without `.env`, `manage.py setup --base-url` writes that first (portal/first_env.py): no settings are needed.
"""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.urls import reverse
from django.utils import timezone

from iamroles.pages import first_run as pages
from iamroles.rules import first_run, groups

MISSING = 1  # the exit code while something is missing


class Command(BaseCommand):
    """Lists what is missing."""

    help = "List what is missing, each with its command or page; invite the first operator. Exit 1 while something is."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the option."""
        parser.add_argument(
            "--operator",
            nargs=3,
            metavar=("EMAIL", "FIRST", "LAST"),
            help="invite an operator, print the one-time link",
        )
        parser.add_argument("--base-url", help="write .env and keys in this folder, for people at this https address")
        parser.add_argument("--directory", help="with --base-url: another folder")

    def handle(self, *_args: Any, operator: list[str] | None, base_url: str | None, **_options: Any) -> None:
        """Invites the operator and says how much is missing; without one, prints the list."""
        if base_url is not None:
            raise CommandError("--base-url is read before settings are: call it as `manage.py setup --base-url URL`.")
        try:
            if operator:
                words = ("--group", groups.OPERATORS, "--print-link")
                call_command("people", "invite", *operator, *words, stdout=self.stdout)
            items = pages.setup_items(timezone.now())
        except DatabaseError as error:
            text = (
                f"The database does not answer as it must ({type(error).__name__}). Start it, then: manage.py migrate"
            )
            raise CommandError(text) from error
        left = first_run.left(items)
        if operator:
            self.stdout.write(f"{left} missing still. The list: manage.py setup, or {reverse('setup')}")
            return
        for item in items:
            self.stdout.write(f"{item.state:8}{item.title}: {item.sentence}")
            if item.state == first_run.MISSING:
                for how in filter(None, (item.command, reverse(item.page) if item.page else "")):
                    self.stdout.write(f"{'':8}{how}")
        if left:
            raise CommandError(f"{left} missing. The same list: {reverse('setup')}", returncode=MISSING)
        self.stdout.write("Nothing is missing.")
