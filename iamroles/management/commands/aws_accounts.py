"""`manage.py aws_accounts`: lists and adds the registered AWS accounts, sets their standard and guardrails, prints
the portal's role in one, and tests it.

Testing only orders a look: a worker, which alone has AWS rights, answers.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from iamroles.aws.boto import IAM_REGIONS
from iamroles.aws.template import template
from iamroles.engine.connection import record_of
from iamroles.iam import arns
from iamroles.management.shell import shell_actor
from iamroles.models import AwsAccount
from iamroles.models.looks import CHECK
from iamroles.rules import account_rules
from iamroles.workflow import account_rules as rule_verbs
from iamroles.workflow import look, organisation
from iamroles.workflow.verbs import Refused


class Command(BaseCommand):
    """Lists and adds AWS accounts."""

    help = "List the registered AWS accounts, add one, print the portal's role in one, or test the connection."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the subcommands."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="one line an AWS account")
        printed = verbs.add_parser("template", help="print the portal's role in an AWS account as CloudFormation")
        printed.add_argument("number", help="12 digits")
        printed.add_argument("--hub", required=True, help="ARN of the role that the workers run as")
        check = verbs.add_parser("check", help="have a worker test the connection; exit 1 if it is not as it must be")
        check.add_argument("number", help="12 digits")
        check.add_argument("--wait", type=float, default=120, help="seconds to wait for the answer; exit 2 without one")
        add = verbs.add_parser("add", help="register an AWS account")
        add.add_argument("--number", required=True, help="12 digits")
        add.add_argument("--name", required=True, help="what pages call it, e.g. Payments production")
        add.add_argument("--environment", required=True, help="e.g. production, staging, development")
        add.add_argument("--owner", required=True, help="the group whose members answer for it; made if it is new")
        add.add_argument("--partition", default="aws", choices=sorted(IAM_REGIONS))
        add.add_argument("--role-path", default="/", help="where roles are made, e.g. /codedeploy/")
        add.add_argument("--policy-path", default="/", help="where policies are made, e.g. /codedeploy/role/")
        add.add_argument("--boundary", default="", help="ARN of the permissions boundary that every role must carry")
        add.add_argument(
            "--tag-keys", default="", help="the only tag keys that roles may carry, with commas; none: any"
        )
        add.add_argument("--required-tags", default="", help="tag keys that each role must carry, with commas")
        add.add_argument("--production", action="store_true", help="counts as production whatever its environment says")

        rules = verbs.add_parser("rules", help="print the standard and the guardrails of an AWS account")
        rules.add_argument("number", help="12 digits")
        rules.add_argument("--kind", choices=sorted(account_rules.KINDS), help="print the documents of this one")
        rules.add_argument("--version", type=int, help="an older version of it; default: the one that counts")
        rule = verbs.add_parser("rule", help="set the standard or a guardrail, while no two people could do so")
        rule.add_argument("number", help="12 digits")
        rule.add_argument("kind", choices=sorted(account_rules.KINDS))
        rule.add_argument("file", help="JSON: one policy document, or a list; [] takes it back; - reads standard input")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        """Does what the subcommand says."""
        if verb == "list":
            self._list()
        elif verb == "rules":
            self._rules(options["number"], options["kind"], options["version"])
        elif verb == "rule":
            self._rule(options["number"], options["kind"], options["file"])
        elif verb == "template":
            self._template(options["number"], options["hub"])
        elif verb == "check":
            self._check(options["number"], options["wait"])
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

    def _rules(self, number: str, kind: str | None, version: int | None) -> None:
        rows = _account(number).rule_versions.order_by("kind", "version")
        if kind is None:
            for row in rows:
                content = row.digest or "taken back"
                self.stdout.write(f"{row.kind}  version {row.version}  {row.at:%F}  {row.set_by}  {content}")
            return
        found = rows.filter(kind=kind, **({} if version is None else {"version": version})).last()
        if found is None:
            raise CommandError(f"Nothing is set: {kind}{'' if version is None else f', version {version}'}.")
        shown = [document.as_mapping() for document in found.read()]
        self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))

    def _rule(self, number: str, kind: str, file: str) -> None:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text()
            given = {"number": number, "kind": kind, "text": text}
            row = rule_verbs.set_account_rule(**given, actor=shell_actor(), at=timezone.now())
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Set the {account_rules.WORDS[kind]} of {row.account.name}: version {row.version}.")

    def _template(self, number: str, hub: str) -> None:
        account = _account(number)
        try:
            arns.role_name_of(hub)
        except arns.ArnError as error:
            raise CommandError(f"--hub: {error}") from error
        record = record_of(account, settings.ROLEDESK_PORTAL_ROLE)
        self.stdout.write(json.dumps(template(record, hub), indent=2))

    def _check(self, number: str, seconds: float) -> None:
        order = look.order_look(account=_account(number), kind=CHECK, user=None, actor=shell_actor(), at=timezone.now())
        give_up = time.monotonic() + seconds
        while order.answered_at is None and time.monotonic() < give_up:
            time.sleep(0.2)
            order.refresh_from_db()
        if order.answered_at is None:
            raise CommandError("No worker has answered yet. Is one running? See: manage.py work", returncode=2)
        if order.result["state"] == "failed":
            raise CommandError(f"The test could not be done: {order.result['error']}.", returncode=2)
        for line in (*order.result["lines"], *order.result["permissions"]):
            self.stdout.write(f"{line['tone']:8}{line['how']:8}{line['title']}: {line['sentence']}")
        if order.result["state"] == "bad":
            raise CommandError(f"AWS account {number} is not connected as it must be.")
        self.stdout.write(f"AWS account {number} is connected. Calls marked read were not made, only decided.")

    def _add(self, **options: Any) -> None:
        texts = ("number", "name", "environment", "owner", "partition", "role_path", "policy_path", "boundary")
        try:
            account = organisation.add_account(
                **{name: options[name] for name in (*texts, *organisation.TAG_LISTS)},
                is_production=options["production"] or options["environment"].lower() in ("production", "prod"),
                actor=shell_actor(),
                at=timezone.now(),
            )
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Added {account.name}, {account.number}. Next: create the portal's role in it.")


def _account(number: str) -> AwsAccount:
    account = AwsAccount.objects.filter(number=number).first()
    if account is None:
        raise CommandError(f"There is no AWS account {number}. See: manage.py aws_accounts list")
    return account
