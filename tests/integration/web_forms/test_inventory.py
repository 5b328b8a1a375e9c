"""The inventory: the list, one role with its drift sentence, and the way to a new request."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from iamroles import canonical
from iamroles.blueprints import RoleFacts, State, build_desired
from iamroles.blueprints.facts import default_policy_name
from iamroles.iam import documents, trust
from iamroles.models import AccountLook, AuditEvent, ManagedRole
from iamroles.models.looks import CHECK, SCAN
from tests.integration.web_forms.conftest import AT, World
from tests.integration.web_forms.reading import text_of

Managed = Callable[..., ManagedRole]
SignedIn = Callable[[str], Client]


def desired(world: World, account: str = "orders-prod") -> State:
    facts = RoleFacts(
        account=world.accounts[account].facts(),
        team="orders",
        task_roles=(f"arn:aws:iam::{world.accounts[account].number}:role/orders-api-task",),
        policy_name=default_policy_name("ecsCodeDeployRole"),
        tags={"cost": "7"},
    )
    made = build_desired(facts)
    assert made.role is not None
    role = replace(made.role, attached=made.attach)
    return State(role_arn=role.arn, role=role, policies=dict(made.policies))


@pytest.fixture
def ours(world: World, managed: Managed) -> ManagedRole:
    row = managed("orders-prod", "orders", desired=canonical.dumps(desired(world).as_mapping()).decode())
    row.observed_at = AT
    row.save()
    return row


def drifted(row: ManagedRole, *parts: dict[str, str | None]) -> None:
    row.drift, row.drift_since = list(parts), AT
    row.save()


def page(client: Client, row: ManagedRole) -> str:
    answer = client.get(f"/inventory/{row.pk}/")
    assert answer.status_code == 200
    return text_of(answer).replace("<wbr>", "")


class TestRole:
    def test_says_since_when_it_reads_as_approved(self, client: Client, ours: ManagedRole) -> None:
        shown = page(client, ours)
        assert "Same as approved, observed" in shown
        assert "What differs" not in shown
        for part in ("CodeDeploy", "AWSCodeDeployRoleForECSLimited", "cost = 7", "aws_iam_role", ours.arn):
            assert part in shown.replace("\u200b", ""), part

    def test_compares_a_changed_trust_line_by_line_and_leads_to_a_new_request(
        self, client: Client, ours: ManagedRole
    ) -> None:
        live = documents.canonical(trust.ecs_tasks_trust()).decode()
        wanted = documents.canonical(trust.codedeploy_trust("111122223333")).decode()
        drifted(ours, {"part": "trust", "desired": wanted, "live": live})
        answer = client.get(f"/inventory/{ours.pk}/")
        shown = answer.content.decode()
        assert "The trust policy was changed." in text_of(answer)
        assert "<ins>" in shown
        assert "ecs-tasks.amazonaws.com" in shown
        query = "/requests/new/role/?team=orders&amp;account=111122223333&amp;role_name=ecsCodeDeployRole"
        assert query in shown
        assert client.get(query.replace("&amp;", "&")).status_code == 200

    @pytest.mark.parametrize(
        ("part", "sentence", "button"),
        [
            ({"part": "attached arn:aws:iam::aws:policy/X", "desired": None, "live": "there"},
             "The attachment of X was added by somebody else.", "Ask to adopt what AWS has now"),
            ({"part": "attached arn:aws:iam::aws:policy/X", "desired": "there", "live": None},
             "The attachment of X is gone.", "Ask to restore it as approved"),
            ({"part": "version v7 of arn:aws:iam::1:policy/a/P", "desired": None, "live": "there"},
             "Version v7 of the policy P was added by somebody else.", "Ask to adopt what AWS has now"),
            ({"part": "role id", "desired": "AROA1", "live": "AROA2"},
             "The role was deleted and made anew by somebody else.", "Ask to adopt what AWS has now"),
            ({"part": "tag cost", "desired": "7", "live": "8"},
             "The tag cost was changed: approved “7”, now “8”.", "Ask to restore it as approved"),
        ],
    )  # fmt: skip
    def test_says_each_difference_in_words(
        self, client: Client, ours: ManagedRole, part: dict[str, str | None], sentence: str, button: str
    ) -> None:
        drifted(ours, part)
        shown = page(client, ours).replace("\u200b", "")
        assert sentence in shown
        assert button in shown

    def test_of_a_role_that_is_gone_its_parts_are_not_listed(self, client: Client, ours: ManagedRole) -> None:
        drifted(
            ours,
            {"part": "role", "desired": "there", "live": None},
            {"part": "trust", "desired": "{}", "live": None},
        )
        shown = page(client, ours)
        assert "The role is gone." in shown
        assert "The trust policy is gone." not in shown

    def test_a_handed_over_role_waits_for_its_tool(self, client: Client, ours: ManagedRole) -> None:
        ManagedRole.objects.filter(pk=ours.pk).update(handed_over=True, verified_at=None, role_id="")
        drifted(ManagedRole.objects.get(), {"part": "role", "desired": "there", "live": None})
        shown = page(client, ours)
        assert "Handed over, and AWS does not read so yet" in shown
        assert "Ask to restore" not in shown

    @pytest.mark.parametrize(("who", "status"), [("colleague", 200), ("auditor", 200), ("outsider", 404)])
    def test_is_for_the_team_and_for_who_sees_all(
        self, signed_in: SignedIn, ours: ManagedRole, who: str, status: int
    ) -> None:
        assert signed_in(who).get(f"/inventory/{ours.pk}/").status_code == status

    def test_who_is_not_in_the_team_gets_no_button(self, signed_in: SignedIn, ours: ManagedRole) -> None:
        drifted(ours, {"part": "tag cost", "desired": "7", "live": None})
        shown = page(signed_in("auditor"), ours)
        assert "Ask to restore" not in shown
        assert "Members of Orders can ask to restore or to adopt it." in shown


class TestList:
    def test_shows_the_teams_roles_alone(self, client: Client, signed_in: SignedIn, ours: ManagedRole) -> None:
        assert "ecsCodeDeployRole" in text_of(client.get("/inventory/"))
        assert "ecsCodeDeployRole" not in text_of(signed_in("outsider").get("/inventory/"))

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("q=CODEDEPLOY", True), ("q=nothing", False), ("account=111122223333", True),
            ("account=444455556666", False), ("tab=drifted", False), ("q=orders", True), ("after=999999", False),
            ("tab=bogus&after=x&account='", False),
        ],
    )  # fmt: skip
    def test_searches(self, client: Client, ours: ManagedRole, query: str, found: bool) -> None:
        answer = client.get(f"/inventory/?{query}")
        assert answer.status_code == 200
        assert (f"/inventory/{ours.pk}/" in answer.content.decode()) == found

    def test_finds_what_differs(self, client: Client, ours: ManagedRole) -> None:
        drifted(ours, {"part": "tag cost", "desired": "7", "live": None})
        assert f"/inventory/{ours.pk}/" in client.get("/inventory/?tab=drifted").content.decode()

    def test_a_pasted_arn_leads_to_its_page(self, client: Client, signed_in: SignedIn, ours: ManagedRole) -> None:
        answer = client.get("/inventory/", {"q": ours.arn})
        assert (answer.status_code, answer["Location"]) == (302, f"/inventory/{ours.pk}/")
        assert signed_in("outsider").get("/inventory/", {"q": ours.arn}).status_code == 200

    def test_pages_by_key(self, client: Client, managed: Managed) -> None:
        for number in range(26):
            row = managed("orders-prod", "orders", f"role-{number}")
            ManagedRole.objects.filter(pk=row.pk).update(role_id="")
        first = client.get("/inventory/").content.decode()
        last = ManagedRole.objects.order_by("pk")[24]
        assert f"after={last.pk}" in first
        second = client.get(f"/inventory/?after={last.pk}").content.decode()
        assert ("role-25" in second, "role-24" in second) == (True, False)


class TestHome:
    def test_tells_the_team_and_operators_what_differs(
        self, client: Client, signed_in: SignedIn, world: World, ours: ManagedRole
    ) -> None:
        assert "otherwise than approved" not in text_of(client.get("/"))
        drifted(ours, {"part": "tag cost", "desired": "7", "live": None})
        world.people["auditor"].groups.set([Group.objects.get_or_create(name="operators")[0]])
        assert "1 role in AWS reads otherwise than approved" in text_of(client.get("/"))
        operator = signed_in("auditor")
        assert "1 role in AWS reads otherwise than approved" in text_of(operator.get("/"))
        assert "1 role reads otherwise than approved." in text_of(operator.get("/ops/"))
        assert "otherwise than approved" not in text_of(signed_in("outsider").get("/"))


class TestAccounts:
    @pytest.fixture
    def operator(self, world: World, signed_in: SignedIn) -> Client:
        world.people["auditor"].groups.set([Group.objects.get_or_create(name="operators")[0]])
        return signed_in("auditor")

    def test_orders_a_test_once_and_shows_the_answer(
        self, operator: Client, world: World, key: Callable[[], str]
    ) -> None:
        path = "/ops/accounts/111122223333/"
        assert "Not tested yet" in text_of(operator.get(path))
        values = {"idempotency_key": key()}
        for _ in range(2):
            assert operator.post(f"{path}look/", values).status_code == 303
        (row,) = AccountLook.objects.all()
        assert (row.kind, row.ordered_by) == (CHECK, world.people["auditor"])
        assert AuditEvent.objects.filter(action="look.ordered").count() == 1
        assert "A worker tests orders-prod" in text_of(operator.get(path))
        assert operator.get(path, headers={"HX-Request": "true"}).status_code == 204
        _answered(row, "bad", "Without an external id", "AWS let us in")
        shown = text_of(operator.get(path, headers={"HX-Request": "true"}))
        assert "Not connected as it must be" in shown
        assert "AWS let us in" in shown
        assert "Wrong. Tried on AWS" in shown
        assert "The last test of orders-prod failed." in text_of(operator.get("/ops/"))
        assert "Not connected as it must be" in text_of(operator.get("/ops/accounts/"))

    def test_orders_a_scan(self, operator: Client, key: Callable[[], str]) -> None:
        values = {"idempotency_key": key(), "kind": "scan"}
        assert operator.post("/ops/accounts/111122223333/look/", values).status_code == 303
        assert AccountLook.objects.get().kind == SCAN

    def test_says_no_to_everybody_else(self, client: Client, key: Callable[[], str], world: World) -> None:
        answer = client.post("/ops/accounts/111122223333/look/", {"idempotency_key": key()})
        assert answer.status_code == 403
        assert not AccountLook.objects.exists()
        (event,) = AuditEvent.objects.filter(action="verb.refused")
        assert json.loads(event.canon)["data"] == {"verb": "order_look", "code": "not_operator"}

    def test_an_unknown_number(self, operator: Client, key: Callable[[], str]) -> None:
        assert operator.get("/ops/accounts/999999999999/").status_code == 404
        assert operator.post("/ops/accounts/999999999999/look/", {"idempotency_key": key()}).status_code == 404


def _answered(row: AccountLook, tone: str, title: str, sentence: str) -> None:
    line: dict[str, Any] = {"title": title, "tone": tone, "sentence": sentence, "how": "tried"}
    row.result = {"state": tone, "lines": [line], "permissions": [{**line, "title": "iam:GetRole", "tone": "ok"}]}
    row.answered_at, row.next_try_at = AT, None
    row.save()
