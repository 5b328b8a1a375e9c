"""`manage.py aws_accounts`: lists and adds the registered AWS accounts. What AWS holds in them is not its business."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from iamroles.audit import Actor
from iamroles.aws.boto import IAM_REGIONS
from iamroles.models import AwsAccount
from iamroles.workflow import organisation
from iamroles.workflow.verbs import Refused


class Command(BaseCommand):
    """Lists and adds AWS accounts."""

    help = "List the registered AWS accounts, or add one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the two subcommands."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="one line an AWS account")
        add = verbs.add_parser("add", help="register an AWS account")
        add.add_argument("--number", required=True, help="12 digits")
        add.add_argument("--name", required=True, help="what pages call it, e.g. Payments production")
        add.add_argument("--environment", required=True, help="e.g. production, staging, development")
        add.add_argument("--owner", required=True, help="the group whose members answer for it; made if it is new")
        add.add_argument("--partition", default="aws", choices=sorted(IAM_REGIONS))
        add.add_argument("--role-path", default="/", help="where roles are made, e.g. /codedeploy/")
        add.add_argument("--policy-path", default="/", help="where policies are made, e.g. /codedeploy/role/")
        add.add_argument("--boundary", default="", help="ARN of the permissions boundary that every role must carry")
        add.add_argument("--production", action="store_true", help="counts as production whatever its environment says")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        """Does what the subcommand says."""
        if verb == "list":
            self._list()
        else:
            self._add(**options)

    def _list(self) -> None:
        for account in AwsAccount.objects.select_related("owner"):
            paused = "  paused" if account.paused_at else ""
            self.stdout.write(
                f"{account.number}  {account.name}  {account.environment}  {account.partition}  "
                f"owner {account.owner.name}  roles {account.role_path}  policies {account.policy_path}  "
                f"boundary {account.boundary or 'none'}{paused}"
            )

    def _add(self, **options: Any) -> None:
        fields = ("number", "name", "environment", "owner", "partition", "role_path", "policy_path", "boundary")
        try:
            account = organisation.add_account(
                **{name: options[name] for name in fields},
                is_production=options["production"] or options["environment"].lower() in ("production", "prod"),
                actor=Actor(type="system", id=None, name=getpass.getuser(), channel="command"),
                at=timezone.now(),
            )
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Added {account.name}, {account.number}. Next: create the portal's role in it.")
