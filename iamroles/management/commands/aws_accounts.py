"""`manage.py aws_accounts`: lists and adds the registered AWS accounts, and prints the portal's role in one of them."""

from __future__ import annotations

import getpass
import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from iamroles.audit import Actor
from iamroles.aws.boto import IAM_REGIONS
from iamroles.aws.template import Record, template
from iamroles.blueprints.facts import DEFAULT_ROLE_NAME
from iamroles.iam import arns
from iamroles.models import AwsAccount
from iamroles.workflow import organisation
from iamroles.workflow.verbs import Refused


class Command(BaseCommand):
    """Lists and adds AWS accounts."""

    help = "List the registered AWS accounts, add one, or print the portal's role in one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the two subcommands."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="one line an AWS account")
        printed = verbs.add_parser("template", help="print the portal's role in an AWS account as CloudFormation")
        printed.add_argument("number", help="12 digits")
        printed.add_argument("--hub", required=True, help="ARN of the role that the workers run as")
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
        elif verb == "template":
            self._template(options["number"], options["hub"])
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

    def _template(self, number: str, hub: str) -> None:
        account = AwsAccount.objects.filter(number=number).first()
        if account is None:
            raise CommandError(f"There is no AWS account {number}. See: manage.py aws_accounts list")
        try:
            arns.role_name_of(hub)
        except arns.ArnError as error:
            raise CommandError(f"--hub: {error}") from error
        kept = account.managed_roles.order_by("arn").values_list("arn", flat=True)
        record = Record(
            number=account.number,
            partition=account.partition,
            external_id=account.external_id,
            portal_role=settings.ROLEDESK_PORTAL_ROLE,
            role_path=account.role_path,
            policy_path=account.policy_path,
            boundary=account.boundary,
            role_names=tuple(dict.fromkeys((DEFAULT_ROLE_NAME, *(arns.role_name_of(arn) for arn in kept)))),
            adopted=tuple(kept),
        )
        self.stdout.write(json.dumps(template(record, hub), indent=2))

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
