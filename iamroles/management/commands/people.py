"""`manage.py people`: lists people, invites the first ones, and prints an invitation's link where mail does not go.

Into groups it invites only while no two people could confirm such a change on the pages.
"""

from __future__ import annotations

from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from iamroles import invitations
from iamroles.management.shell import shell_actor
from iamroles.models import User
from iamroles.pages import people as pages
from iamroles.workflow import people as verbs
from iamroles.workflow.verbs import Refused


class Command(BaseCommand):
    """Lists and invites people."""

    help = "List people, invite one, or print the one-time link of an invitation."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the subcommands."""
        subcommands = parser.add_subparsers(dest="verb", required=True)
        subcommands.add_parser("list", help="one line a person")
        invite = subcommands.add_parser("invite", help="make a person, mail the link; --print-link instead of mail")
        invite.add_argument("email", help="where the invitation goes, and what the person signs in with")
        invite.add_argument("first_name")
        invite.add_argument("last_name")
        invite.add_argument("--group", action="append", default=[], help="again for more; the first people only")
        invite.add_argument("--print-link", action="store_true", help="print the link and mail nothing")
        link = subcommands.add_parser("link", help="print the link of an invitation that nobody took up yet")
        link.add_argument("email")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        """Does what the subcommand says."""
        if verb == "list":
            for row in pages.people():
                groups = f"  {', '.join(row.groups)}" if row.groups else ""
                self.stdout.write(f"{row.user.get_username()}  {row.user.display_name}  {row.state[0]}{groups}")
        elif verb == "link":
            self._print_link(options["email"])
        else:
            self._invite(**options)

    def _invite(
        self, *, email: str, first_name: str, last_name: str, group: list[str], print_link: bool, **_: Any
    ) -> None:
        try:
            person = verbs.invite(
                email=email,
                first_name=first_name,
                last_name=last_name,
                into=group,
                user=None,
                signed_in_at=None,
                actor=shell_actor(),
                at=timezone.now(),
            )
        except Refused as error:
            known = error.code == "known" and User.objects.filter(username=email.strip().lower()).first()
            more = f" Print the link: manage.py people link {known.email}" if known and invitations.waits(known) else ""
            raise CommandError(f"{error}{more}") from error
        self.stdout.write(f"Invited {person.display_name}, who signs in as {person.get_username()}.")
        if print_link:
            self._print_link(person.email)
            return
        try:
            invitations.send(person, settings.BASE_URL, actor=shell_actor(), at=timezone.now())
        except (OSError, SMTPException) as error:
            text = (
                f"The mail was not sent ({type(error).__name__}). Print the link: manage.py people link {person.email}"
            )
            raise CommandError(text) from error
        self.stdout.write(f"The link is on its way to {person.email}. It holds for three days.")

    def _print_link(self, email: str) -> None:
        person = User.objects.filter(username=email.strip().lower()).first()
        if person is None or not invitations.waits(person):
            raise CommandError(f"No invitation of {email} waits. See: manage.py people list")
        self.stdout.write("Works once, for three days. Give it to nobody else:")
        link = invitations.issue(person, "printed", actor=shell_actor(), at=timezone.now())
        self.stdout.write(f"{settings.BASE_URL.rstrip('/')}{link}")
