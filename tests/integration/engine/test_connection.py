""" "Test connection": each thing that can be wrong is said by name, and what was only read is said to be so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from iamroles.audit import Actor
from iamroles.aws import demands, template
from iamroles.aws.gateway import WRITES, AwsError, ServerClock, WrongAccount
from iamroles.blueprints.state import RoleState
from iamroles.engine import looks
from iamroles.engine.connection import record_of
from iamroles.iam import documents
from iamroles.models import AccountLook, AuditEvent, AwsAccount
from iamroles.models.looks import CHECK
from iamroles.workflow import look as look_verbs
from tests.integration.engine.world import NUMBER, World

HUB = "arn:aws:iam::123456789012:role/roledesk-hub"
PORTAL = f"arn:aws:iam::{NUMBER}:role/portal/RoledeskWorker"
OPERATOR = Actor(type="system", id=None, name="oskar", channel="command")


@pytest.fixture
def connected(world: World) -> World:
    """The AWS account holds the portal's role as the template makes it."""
    put_portal_role(world)
    return world


def put_portal_role(world: World, **changes: Any) -> None:
    record = record_of(world.account, "portal/RoledeskWorker")
    text = json.dumps(template.permissions(record)).replace('{"Ref": "TagKeys"}', '"*"')
    role = RoleState(
        arn=PORTAL,
        name="RoledeskWorker",
        path="/portal/",
        trust=documents.parse(template.trust(record, HUB), kind="trust"),
        inline={"roledesk": documents.parse(text)},
    )
    world.aws.roles.pop("roledeskworker", None)
    world.aws.put_role(replace(role, **changes))


def ask(world: World) -> dict[str, Any]:
    order = look_verbs.order_look(account=world.account, kind=CHECK, user=None, actor=OPERATOR, at=world.clock())
    word = looks.answer(look_id=order.pk, tools=world.tools())
    order.refresh_from_db()
    assert order.result["state"] == word
    return order.result


def tones(result: dict[str, Any], *, permissions: bool = False) -> dict[str, str]:
    return {line["title"]: line["tone"] for line in result["permissions" if permissions else "lines"]}


def bounded(world: World, *, there: bool = True) -> str:
    arn = f"arn:aws:iam::{NUMBER}:policy/boundary/B"
    AwsAccount.objects.filter(pk=world.account.pk).update(boundary=arn)
    world.account.refresh_from_db()
    if there:
        world.aws.put_policy(arn, documents.parse(ALL))
    put_portal_role(world)
    return arn


ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


class TestCheck:
    def test_all_is_well_with_a_boundary(self, connected: World) -> None:
        bounded(connected)
        result = ask(connected)
        assert result["state"] == "ok"
        assert set(tones(result).values()) == set(tones(result, permissions=True).values()) == {"ok"}
        assert list(tones(result)) == [
            "Assume the portal's role",
            "Without an external id",
            "With a wrong external id",
            "With another session name",
            "Clock",
            "Roles",
            "Customer managed policies",
            "Limits",
            "Who may assume it",
            "No more than it needs",
            "Permissions boundary",
        ]

    def test_names_every_permission_and_whether_it_was_tried(self, connected: World) -> None:
        result = ask(connected)
        how = {line["title"]: line["how"] for line in result["permissions"]}
        record = record_of(connected.account, "portal/RoledeskWorker")
        wanted = {*template.READS_ACCOUNT, *template.READS_ROLES, *template.READS_POLICIES}
        assert {title for title, word in how.items() if word == "tried"} == wanted
        assert {title for title, word in how.items() if word == "read"} == {f"iam:{api}" for api in WRITES}
        assert {demand.action for demand in demands.writes(record)} == {f"iam:{api}" for api in WRITES}

    def test_says_what_is_missing_without_a_boundary(self, connected: World) -> None:
        result = ask(connected)
        assert result["state"] == "warn"
        (line,) = [line for line in result["lines"] if line["tone"] != "ok"]
        assert line["title"] == "Permissions boundary"
        assert "nothing in AWS itself limits what a role made here may do" in line["sentence"]

    def test_a_boundary_that_aws_lacks(self, connected: World) -> None:
        bounded(connected, there=False)
        assert tones(ask(connected))["Permissions boundary"] == "bad"

    @pytest.mark.parametrize(
        ("door", "title"),
        [
            ("none", "Without an external id"),
            ("wrong", "With a wrong external id"),
            ("name", "With another session name"),
        ],
    )
    def test_fails_loudly_when_a_door_is_open(self, connected: World, door: str, title: str) -> None:
        connected.aws.open_doors.add(door)
        result = ask(connected)
        assert result["state"] == "bad"
        assert [name for name, tone in tones(result).items() if tone == "bad"] == [title]
        (event,) = AuditEvent.objects.filter(action="account.checked")
        assert event.outcome == "failed"

    def test_a_refusal_proves_nothing_where_nobody_gets_in(
        self, connected: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise AwsError("AccessDenied", api="AssumeRole")

        monkeypatch.setattr(connected.sessions, "reading", refuse)
        result = ask(connected)
        assert tones(result)["Assume the portal's role"] == "bad"
        assert tones(result)["Without an external id"] == "unknown"
        assert result["permissions"] == []

    def test_another_identity(self, connected: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def answer(*_: object) -> None:
            raise WrongAccount("asked", "answered")

        monkeypatch.setattr(connected.sessions, "reading", answer)
        (line, *_) = ask(connected)["lines"]
        assert (line["tone"], line["sentence"]) == (
            "bad",
            "AWS answered with answered, not with asked. The credentials were dropped.",
        )

    def test_a_read_that_aws_refuses(self, connected: World) -> None:
        connected.aws.forbidden.add("ListEntitiesForPolicy")
        found = tones(ask(connected), permissions=True)
        assert [title for title, tone in found.items() if tone != "ok"] == ["iam:ListEntitiesForPolicy"]

    def test_a_write_that_the_live_policies_lack(self, connected: World) -> None:
        record = record_of(connected.account, "portal/RoledeskWorker")
        text = json.dumps(template.permissions(record)).replace('{"Ref": "TagKeys"}', '"*"')
        fewer = documents.parse(text.replace('"iam:CreatePolicyVersion", ', ""))
        put_portal_role(connected, inline={"roledesk": fewer})
        found = tones(ask(connected), permissions=True)
        assert [title for title, tone in found.items() if tone != "ok"] == ["iam:CreatePolicyVersion"]

    def test_its_own_boundary_is_read_too(self, connected: World) -> None:
        arn = f"arn:aws:iam::{NUMBER}:policy/only-reads"
        connected.aws.put_policy(arn, documents.parse(ALL.replace('"Action":"*"', '"Action":"iam:Get*"')))
        put_portal_role(connected, boundary=arn)
        found = tones(ask(connected), permissions=True)
        assert {title for title, tone in found.items() if tone == "bad"} == {f"iam:{api}" for api in WRITES}

    @pytest.mark.parametrize("does", ["make a user", "give a role administrator rights"])
    def test_more_than_it_needs(self, connected: World, does: str) -> None:
        put_portal_role(connected, inline={"everything": documents.parse(ALL)})
        (line,) = [line for line in ask(connected)["lines"] if line["title"] == "No more than it needs"]
        assert line["tone"] == "bad"
        assert does in line["sentence"]

    def test_a_trust_in_a_whole_account(self, connected: World) -> None:
        record = record_of(connected.account, "portal/RoledeskWorker")
        root = documents.parse(template.trust(record, "arn:aws:iam::123456789012:root"), kind="trust")
        put_portal_role(connected, trust=root)
        assert tones(ask(connected))["Who may assume it"] == "bad"

    @pytest.mark.parametrize(("seconds", "tone"), [(0, "ok"), (-7, "warn"), (7, "warn"), (11, "bad"), (-11, "bad")])
    def test_the_clock(self, connected: World, monkeypatch: pytest.MonkeyPatch, seconds: float, tone: str) -> None:
        from datetime import timedelta

        from iamroles.aws.fake import FakeGateway

        def clock(_: FakeGateway) -> ServerClock:
            now = connected.clock()
            return ServerClock(at=now - timedelta(seconds=seconds), local=now)

        monkeypatch.setattr(FakeGateway, "clock", clock)
        assert tones(ask(connected))["Clock"] == tone

    def test_a_quota_that_is_nearly_used_up(self, connected: World, monkeypatch: pytest.MonkeyPatch) -> None:
        from iamroles.aws.fake import FakeGateway

        summary = {"Roles": 950, "RolesQuota": 1000, "Policies": 3, "PoliciesQuota": 1500, "PolicySizeQuota": 6144}
        monkeypatch.setattr(FakeGateway, "account_summary", lambda _: summary)
        found = tones(ask(connected))
        assert (found["Roles"], found["Customer managed policies"], found["Limits"]) == ("warn", "ok", "ok")


class TestCommand:
    def test_orders_and_waits(self, connected: World, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(CommandError, match="No worker has answered yet") as raised:
            call_command("aws_accounts", "check", NUMBER, "--wait", "0")
        assert raised.value.returncode == 2
        assert AccountLook.objects.get().answered_at is None

    @pytest.mark.parametrize("door", ["", "none"])
    def test_prints_each_line_and_fails_when_a_door_is_open(
        self, connected: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, door: str
    ) -> None:
        connected.aws.open_doors.add(door)

        def work(_: float) -> None:
            looks.answer(look_id=AccountLook.objects.get().pk, tools=connected.tools())

        monkeypatch.setattr("iamroles.management.commands.aws_accounts.time.sleep", work)
        if door:
            with pytest.raises(CommandError, match="is not connected as it must be"):
                call_command("aws_accounts", "check", NUMBER)
        else:
            call_command("aws_accounts", "check", NUMBER)
        printed = capsys.readouterr().out
        assert ("bad     tried   Without an external id: AWS let us in" in printed) == bool(door)
        assert "ok      read    iam:CreateRole: Its policies would allow it." in printed

    def test_an_unknown_number(self, db: None) -> None:
        with pytest.raises(CommandError, match="There is no AWS account 999999999999"):
            call_command("aws_accounts", "check", "999999999999")
