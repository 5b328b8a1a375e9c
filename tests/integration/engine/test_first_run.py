"""From an empty database to a first applied request: pages, documented commands and a worker, and no Python shell.

The AWS account is the one in memory that the gateway's contract holds against the real client.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client

from iamroles.audit import keys as audit_keys
from iamroles.aws.fake import FakeAccount, FakeSessions
from iamroles.blueprints.state import RoleState
from iamroles.engine import apply, looks, observe
from iamroles.engine.tools import Tools
from iamroles.iam import catalogue, documents, trust
from iamroles.models import AccountLook, AuditEvent, AwsAccount, ProposedChange, Request, User
from iamroles.pages import first_run as pages
from iamroles.proposal import ManagedPolicyVersion
from iamroles.rules import first_run
from tests.integration.engine.world import NUMBER, QUICK

pytestmark = pytest.mark.django_db
HUB = "arn:aws:iam::123456789012:role/roledesk-hub"
BOUNDARY = f"arn:aws:iam::{NUMBER}:policy/boundary/EcsCodeDeploy"
ALLOW_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
LONG = "a long enough password"
TYPED_AT_MOST = 6
HANDBOOK = (Path(__file__).parents[3] / "docs/operations.md").read_text(encoding="utf-8")
NOT_TYPED = ("csrfmiddlewaretoken", "idempotency_key")


def command(*words: str) -> str:
    """What a documented command prints; `setup` ends with a code while something is missing."""
    assert f"manage.py {words[0]} {words[1] if words[1:2] and words[0] != 'setup' else ''}".strip() in HANDBOOK, words
    out = StringIO()
    with suppress(*[CommandError] * (words[0] == "setup")):
        call_command(*words, stdout=out)
    return out.getvalue()


def take_up(text: str) -> Client:
    """Opens an invitation's link, chooses a password, signs in; returns the browser."""
    found = re.search(r"https?://\S+?(/invited/\S+)", text)
    assert found, text
    browser = Client()
    page = browser.get(browser.get(found[1])["Location"])
    login = re.search(r"You then sign in as (\S+)\.<", page.content.decode())
    assert login
    browser.post(page.request["PATH_INFO"], {"new_password1": LONG, "new_password2": LONG})
    answer = browser.post("/accounts/login/", {"login": login[1], "password": LONG})
    assert answer.status_code == 302
    return browser


def posted(browser: Client, path: str, **form: Any) -> str:
    answer = browser.post(path, form)
    assert answer.status_code == 303, (path, answer.status_code, answer.content.decode()[:3000])
    return str(answer["Location"])


def confirm(browser: Client, path: str) -> None:
    """Reads a change and confirms what was read."""
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', browser.get(path).content.decode())
    assert digest
    posted(browser, f"{path}decide/", decision="confirm", digest=digest[1])


def preset(browser: Client, path: str) -> dict[str, str]:
    """What a form holds before anybody types."""
    found = re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', browser.get(path).content.decode())
    return {name: value for name, value in found if name not in NOT_TYPED}


class Aws:
    """The AWS account, and the worker that reaches it."""

    def __init__(self) -> None:
        self.account = FakeAccount(number=NUMBER, now=lambda: datetime.now(UTC))
        for policy in catalogue.managed_policies():
            self.account.managed[policy.arn] = ManagedPolicyVersion(policy.arn, policy.version, policy.document)
        self.account.put_policy(BOUNDARY, documents.parse(ALLOW_ALL))
        for name in ("ecsTaskExecutionRole", "orders-api-task"):
            arn = f"arn:aws:iam::{NUMBER}:role/{name}"
            self.account.put_role(RoleState(arn=arn, name=name, path="/", trust=trust.ecs_tasks_trust()))
        self.tools = Tools(sessions=FakeSessions(self.account), worker="worker-1", limits=QUICK)

    def create_stack(self, template: str) -> None:
        """What CloudFormation makes of the printed template."""
        filled = json.dumps(json.loads(template)).replace('{"Ref": "TagKeys"}', '"*"')  # the parameter's default
        made = json.loads(filled)["Resources"]["PortalRole"]["Properties"]
        self.account.put_role(
            RoleState(
                arn=f"arn:aws:iam::{NUMBER}:role{made['Path']}{made['RoleName']}",
                name=made["RoleName"],
                path=made["Path"],
                trust=documents.parse(made["AssumeRolePolicyDocument"], kind="trust"),
                inline={one["PolicyName"]: documents.parse(one["PolicyDocument"]) for one in made["Policies"]},
            )
        )


@pytest.fixture
def audit_key(tmp_path: Path, settings: Any) -> None:
    path = tmp_path / "audit.key"
    audit_keys.ensure(path, settings.ROLEDESK_AUDIT_ORIGIN)
    settings.ROLEDESK_AUDIT_KEY_FILE, settings.ROLEDESK_AUDIT_VKEYS_FILE = str(path), str(audit_keys.vkeys_of(path))
    settings.ROLEDESK_CHECKPOINT_DIR = str(tmp_path / "checkpoints")


def test_from_nothing_to_a_first_applied_request(audit_key: None) -> None:
    aws = Aws()
    assert not User.objects.exists()

    # People: the first two by command, the others by page, groups by two.
    ada = take_up(command("setup", "--operator", "ada@corp.test", "Ada", "Byron"))
    more = ("--group", "operators", "--group", "approvers", "--print-link")
    ben = take_up(command("people", "invite", "ben@corp.test", "Ben", "Okri", *more))
    posted(ada, "/ops/people/invite/", email="cy@corp.test", first_name="Cy", last_name="Twombly")
    take_up(str(mail.outbox[-1].body))
    change = posted(
        ada,
        "/ops/groups/approvers/",
        chosen=["ben@corp.test", "cy@corp.test"],
        reason="Cy reviews for the platform team",
    )
    confirm(ben, change)

    # One AWS account: what is typed is counted.
    given = {"number": NUMBER, "name": "orders-staging", "environment": "staging", "owner": "approvers"}
    given["boundary"] = BOUNDARY
    form = "/ops/accounts/add/"
    posted(ada, form, **{**preset(ada, form), "partition": "aws", **given})
    aws.create_stack(command("aws_accounts", "template", NUMBER, "--hub", HUB))
    typed = {*given.values(), HUB}
    assert len(typed) <= TYPED_AT_MOST
    posted(ada, f"/ops/accounts/{NUMBER}/look/", kind="check")
    assert looks.answer(look_id=AccountLook.objects.get().pk, tools=aws.tools) == "ok"

    # One team.
    team = posted(ada, "/ops/add-team/", name="Orders")
    posted(ada, "/ops/people/invite/", email="rosa@corp.test", first_name="Rosa", last_name="Luz", teams=["orders"])
    rosa = take_up(str(mail.outbox[-1].body))
    change = posted(
        ada,
        team,
        part="accounts",
        **{"accounts-chosen": [NUMBER], "accounts-reason": "Their services run in it"},
    )
    confirm(ben, change)

    # The request.
    answers = {
        "team": "orders",
        "account": NUMBER,
        "role_name": "ecsCodeDeployRole",
        "managed_policy": "limited",
        "execution_roles": "ecsTaskExecutionRole",
        "task_roles": "orders-api-task",
        "reason": "Orders API moves to blue/green, ORD-17",
    }
    check = posted(rosa, "/requests/new/role/", **answers)
    posted(rosa, check)
    request = Request.objects.get()
    assert observe.observe(request_id=request.pk, tools=aws.tools) == "in_review"
    review = f"/approvals/{request.reference}/"
    page = ben.get(review).content.decode()
    digest = re.search(r'name="proposal_digest" value="([0-9a-f]{64})"', page)
    assert digest
    ticks = re.findall(r'name="acknowledged"[^>]*value="([^"]+)"', page)
    posted(ben, f"{review}decide/", decision="approve", proposal_digest=digest[1], acknowledged=ticks)
    assert apply.apply(request_id=request.pk, tools=aws.tools) == "applied"
    assert "Applied" in rosa.get(f"/requests/{request.reference}/").content.decode()
    made = aws.account.roles["ecscodedeployrole"]
    assert (made.boundary, sorted(policy.rpartition("/")[2] for policy in made.attached)) == (
        BOUNDARY,
        ["AWSCodeDeployRoleForECSLimited", "ecsCodeDeployRole-PassRole"],
    )

    # What is left of the set-up is said, and then the page leads to Operations.
    command("audit", "checkpoint")
    left = {item.key for item in pages.setup_items(datetime.now(UTC)) if item.state == first_run.MISSING}
    assert left - {"roles"} == {"base_url", "mail", "backup"}  # on SQLite also the roles
    for key in left:
        posted(ada, f"/setup/{key}/skip/", reason="This is a test")
    assert ada.get("/setup/")["Location"] == "/ops/"
    assert "Nothing is missing." in command("setup")


def test_the_command_prints_what_the_page_shows() -> None:
    out = StringIO()
    call_command("setup", "--operator", "ada@corp.test", "Ada", "Byron", stdout=out)  # inviting is no failure
    assert out.getvalue().splitlines()[-1].endswith(" missing still. The list: manage.py setup, or /setup/")
    ada = take_up(out.getvalue())
    page = ada.get("/setup/").content.decode()
    shown = re.findall(
        r'<h2 class="small">([^<]+)</h2>.*?<span class="strong">(\w+)\.</span> ([^<]+)</p>', page, re.DOTALL
    )
    listed = re.findall(r"^(done|missing|skipped) +([^:]+): (.+)$", command("setup"), re.MULTILINE)
    assert [(state.lower(), unescape(title), unescape(sentence)) for title, state, sentence in shown] == listed
    assert len(listed) == 15


def test_what_is_said_is_an_event_and_can_be_taken_back(settings: Any) -> None:
    ada = take_up(command("setup", "--operator", "ada@corp.test", "Ada", "Byron"))

    def states() -> dict[str, str]:
        return {item.key: item.state for item in pages.setup_items(datetime.now(UTC))}

    posted(ada, "/setup/backup/done/", reason="Restored on a spare host")
    assert states()["backup"] == first_run.DONE
    event = AuditEvent.objects.order_by("pk").last()
    assert event is not None
    assert (event.action, event.object_id) == ("setting.changed", "setup.backup")
    posted(ada, "/setup/backup/open/", reason="It was another host's")
    assert states()["backup"] == first_run.MISSING
    for path, form in (
        ("/setup/account/skip/", {"reason": "Not needed"}),
        ("/setup/team/done/", {"reason": "It is there"}),
        ("/setup/backup/skip/", {"reason": ""}),
    ):
        assert ada.post(path, form).status_code == 422
    assert ada.get("/setup/nothing/skip/").status_code == 404
    sent = len(mail.outbox)
    posted(ada, "/setup/mail/")
    assert (len(mail.outbox), mail.outbox[-1].to) == (sent + 1, ["ada@corp.test"])
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    posted(ada, "/setup/mail/")
    tested = AuditEvent.objects.filter(action="mail.tested").order_by("pk")
    assert list(tested.values_list("outcome", flat=True)) == ["success", "failed"]


def test_before_the_first_account_nothing_of_aws_is_called_right() -> None:
    states = {item.key: item.state for item in pages.setup_items(datetime.now(UTC))}
    assert {states[key] for key in ("account", "connection", "boundary", "team", "worker")} == {first_run.MISSING}
    assert (AwsAccount.objects.count(), ProposedChange.objects.count()) == (0, 0)
