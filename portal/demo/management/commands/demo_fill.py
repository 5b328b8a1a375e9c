"""Fills an empty demo: people, teams, AWS accounts, simulated roles, three requests. Run again, it changes nothing."""

from __future__ import annotations

import json
import os
import secrets
import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction

from iamroles import canonical
from iamroles.audit import Actor
from iamroles.blueprints import answers, build_desired
from iamroles.blueprints.facts import RoleFacts, default_policy_description, default_policy_name
from iamroles.engine.connection import record_of
from iamroles.engine.inventory import keep
from iamroles.models import AuditEvent, AwsAccount, ManagedRole, Request, Team, User
from iamroles.proposal import wording
from iamroles.rules.states import SUBMITTED
from iamroles.workflow import draft, organisation, submit
from portal.demo import simulated
from portal.demo.accounts import ACCOUNTS, ROLES, TEAMS
from portal.demo.people import PEOPLE

ACTOR = Actor(type="system", id="demo", name="Demo data", channel="command")

# What waits when the demo opens: one request each of low, medium and high risk. Fields are the role form's own.
WAITING: tuple[dict[str, str], ...] = (
    {
        "login": "rosa",
        "team": "orders",
        "account": "111122223333",
        "role_name": "ecsCodeDeployRole",
        "managed_policy": "limited",
        "execution_roles": "ecsTaskExecutionRole",
        "task_roles": "orders-api-task\norders-worker-task",
        "reason": "Blue/green deployments for orders-api and orders-worker, ORD-1204",
    },
    {
        "login": "rosa",
        "team": "orders",
        "account": "444455556666",
        "role_name": "ecsCodeDeployRole-batch",
        "managed_policy": "limited",
        "execution_roles": "ecsTaskExecutionRole",
        "task_roles": "orders-api-task",
        "plain_trust": "on",
        "reason": "Batch service in staging; our pipeline template expects the guide's plain trust, ORD-1217",
    },
    {
        "login": "tomas",
        "team": "payments",
        "account": "777788889999",
        "role_name": "ecsCodeDeployRole",
        "managed_policy": "full",
        "execution_roles": "ecsTaskExecutionRole",
        "task_roles": "payments-api-task",
        "reason": "Payments uses hooks and topics whose names cannot change before March, PAY-88",
    },
)


class Command(BaseCommand):
    """`manage.py demo_fill [--endpoint URL] [--url URL]`: the supervisor gives both in the environment."""

    help = "Fills the demo's database and simulated AWS. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Takes the simulator's address and the portal's own, which `var/demo.json` repeats."""
        endpoint, url = settings.ROLEDESK_AWS_ENDPOINT, os.environ.get("ROLEDESK_DEMO_URL", "http://127.0.0.1:8000/")
        parser.add_argument("--endpoint", default=endpoint, help="the simulated AWS, http://127.0.0.1:PORT")
        parser.add_argument("--url", default=url, help="the portal, http://127.0.0.1:PORT/")
        parser.add_argument(
            "--wait", type=float, default=0, help="seconds to wait for a worker to look at the requests"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Fills what is missing and writes `var/demo.json`."""
        var = Path(settings.VAR)
        at = datetime.now(UTC)
        passwords = _passwords(var)
        # First, so that a start that is cut off here does not lose the passwords of the people it has made.
        _write_summary(var, options["url"], options["endpoint"], passwords)
        if not AwsAccount.objects.exists():
            with transaction.atomic():
                _organisation(at, passwords)
        records = [record_of(account, settings.ROLEDESK_PORTAL_ROLE) for account in AwsAccount.objects.all()]
        ids = simulated.fill(options["endpoint"], records)
        with transaction.atomic():
            _inventory(ids, at)
        if not Request.objects.exists():
            for waiting in WAITING:
                _ask(dict(waiting), at)
        _wait_for_a_worker(options["wait"])


def _wait_for_a_worker(seconds: float) -> None:
    """Returns once no request is left that a worker has not looked at, or after the time: the queue shows the rest."""
    give_up = time.monotonic() + seconds
    while Request.objects.filter(state=SUBMITTED).exists() and time.monotonic() < give_up:
        time.sleep(0.1)


def _passwords(var: Path) -> dict[str, str]:
    known = var / "demo.json"
    if known.exists():
        people = json.loads(known.read_text(encoding="utf-8"))["people"]
        return {person["login"]: person["password"] for person in people.values()}
    return {person.login: secrets.token_urlsafe(12) for person in PEOPLE}


def _organisation(at: datetime, passwords: dict[str, str]) -> None:
    for account in ACCOUNTS:
        boundary = f"arn:aws:iam::{account.number}:policy/boundary/{account.boundary}" if account.boundary else ""
        organisation.add_account(
            number=account.number,
            name=account.name,
            environment=account.environment,
            is_production=account.is_production,
            owner=account.owner,
            boundary=boundary,
            actor=ACTOR,
            at=at,
        )
    for slug, name in TEAMS.items():
        numbers = [account.number for account in ACCOUNTS if slug in account.teams]
        organisation.add_team(
            slug=slug, name=name, accounts=AwsAccount.objects.filter(number__in=numbers), actor=ACTOR, at=at
        )
    for person in PEOPLE:
        organisation.add_person(
            login=person.login,
            first_name=person.first_name,
            last_name=person.last_name,
            password=passwords[person.login],
            groups=person.groups,
            teams=person.teams,
            actor=ACTOR,
            at=at,
        )


def _facts(fields: dict[str, str]) -> RoleFacts:
    account = AwsAccount.objects.get(number=fields["account"]).facts()
    execution, problems = answers.read_roles(fields["execution_roles"], account, "execution_roles")
    tasks, more = answers.read_roles(fields["task_roles"], account, "task_roles")
    if problems or more:
        raise ValueError(f"The demo's own request is wrong: {(*problems, *more)}")
    return RoleFacts(
        account=account,
        team=fields["team"],
        role_name=fields["role_name"],
        managed_policy="full" if fields["managed_policy"] == "full" else "limited",
        execution_roles=execution,
        task_roles=tasks,
        policy_name=default_policy_name(fields["role_name"]),
        policy_description=default_policy_description(fields["role_name"]),
        hardened="plain_trust" not in fields,
        why_full=fields["reason"] if fields["managed_policy"] == "full" else "",
    )


def _ask(fields: dict[str, str], at: datetime) -> None:
    user = User.objects.get(username=fields.pop("login"))
    actor = Actor(type="user", id=str(user.pk), name=user.display_name, channel="command")
    facts = _facts(fields)
    request = draft.save(user=user, kind="role", answers=fields, title=wording.short_title(facts), actor=actor, at=at)
    submit.submit(request_id=request.pk, user=user, facts=facts, reason=fields["reason"], actor=actor, at=at)


def _inventory(ids: dict[tuple[str, str], str], at: datetime) -> None:
    for role in ROLES:
        if not role.managed_by:
            continue
        account = AwsAccount.objects.get(number=role.account)
        facts = RoleFacts(
            account=account.facts(),
            team=role.managed_by,
            role_name=role.name,
            policy_name=default_policy_name(role.name),
            description=role.description,
        )
        values = {
            "team": Team.objects.get(slug=role.managed_by),
            "arn": facts.role_arn,
            "role_id": ids[role.account, role.name],
            "desired": canonical.dumps(build_desired(facts).as_mapping()).decode(),
            "verified_at": at,
        }
        row = ManagedRole.objects.filter(account=account, name_folded=role.name.lower()).first()
        told = AuditEvent.objects.filter(action="inventory.updated", object_id=facts.role_arn).exists()
        if row is None or (row.request is None and not told):  # a demo from before there was the event
            keep(ManagedRole, account, role.name, values, actor=ACTOR, at=at)


def _write_summary(var: Path, url: str, endpoint: str, passwords: dict[str, str]) -> None:
    people = {
        person.key: {"login": person.login, "password": passwords[person.login], "job": person.job} for person in PEOPLE
    }
    summary = {
        "url": url,
        "aws_endpoint": endpoint,
        "aws_accounts": [account.number for account in ACCOUNTS],
        "people": people,
    }
    target = var / "demo.json"
    fresh = target.with_suffix(".new")
    fresh.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    fresh.chmod(0o600)
    fresh.replace(target)
