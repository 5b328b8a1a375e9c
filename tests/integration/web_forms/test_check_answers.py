"""Check answers and sending: one request however often it is clicked, all rules asked again, only by its requester."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.test import Client

from iamroles.blueprints import facts
from iamroles.models import AuditEvent, Request, Revision
from tests.integration.web_forms.conftest import GRANT_ANSWERS, ROLE_ANSWERS
from tests.integration.web_forms.reading import text_of, title_of


@pytest.fixture
def draft(client: Client) -> Request:
    client.post("/requests/new/role/", ROLE_ANSWERS)
    return Request.objects.get()


def test_shows_every_answer_with_its_change_link(client: Client, draft: Request) -> None:
    page = client.get(f"/requests/{draft.reference}/check/")
    text = text_of(page).replace("<wbr>", "")
    assert title_of(page) == f"Check answers – {draft.reference} – Roledesk"
    for answer in ("Orders", "orders-prod (111122223333)", "service=orders-api", "cost-centre=4711"):
        assert answer in text
    assert "arn:aws:iam::111122223333:role/orders-api-task" in text
    assert f'href="/requests/new/role/?draft={draft.reference}#id_task_roles"' in text
    assert "One approver must agree." in text
    assert "Nothing is created now." in text


def test_sending_makes_the_revision_and_leads_to_the_request(client: Client, draft: Request) -> None:
    response = client.post(f"/requests/{draft.reference}/check/")
    assert (response.status_code, response["Location"]) == (303, f"/requests/{draft.reference}/")
    draft.refresh_from_db()
    revision = Revision.objects.get()
    sent = facts.read(revision.facts)
    assert (draft.state, revision.number, revision.reason) == ("submitted", 1, ROLE_ANSWERS["reason"])
    assert isinstance(sent, facts.RoleFacts)
    assert sent == facts.RoleFacts(
        account=sent.account,
        team="orders",
        role_name="ecsCodeDeployRole",
        managed_policy="limited",
        execution_roles=("arn:aws:iam::111122223333:role/ecsTaskExecutionRole",),
        task_roles=("arn:aws:iam::111122223333:role/orders-api-task",),
        description="CodeDeploy for the Orders API",
        tags={"service": "orders-api", "cost-centre": "4711"},
        policy_name="ecsCodeDeployRole-PassRole",
        policy_description="Lets ecsCodeDeployRole pass the named roles to ECS tasks. Managed by Roledesk.",
        uses_policy_name="ecsCodeDeployRole-Deployments",
        hardened=True,
    )


def test_a_double_click_sends_once(client: Client, draft: Request, key: Callable[[], str]) -> None:
    answers = {"idempotency_key": key()}
    first = client.post(f"/requests/{draft.reference}/check/", answers)
    second = client.post(f"/requests/{draft.reference}/check/", answers)
    third = client.post(f"/requests/{draft.reference}/check/", {"idempotency_key": key()})
    assert {response["Location"] for response in (first, second, third)} == {f"/requests/{draft.reference}/"}
    assert Revision.objects.count() == 1


def test_answers_that_do_not_hold_lead_back_to_the_form(client: Client) -> None:
    client.post("/requests/new/role/", ROLE_ANSWERS | {"reason": "", "act": "leave"})
    row = Request.objects.get()
    response = client.post(f"/requests/{row.reference}/check/")
    assert (response.status_code, response["Location"]) == (302, f"/requests/new/role/?draft={row.reference}&wrong")
    assert client.get(response["Location"]).status_code == 422
    assert Revision.objects.count() == 0


def test_nobody_else_sends_it(draft: Request, signed_in: Callable[[str], Client]) -> None:
    assert signed_in("colleague").post(f"/requests/{draft.reference}/check/").status_code == 403
    assert signed_in("approver").get(f"/requests/{draft.reference}/check/").status_code == 403
    assert Revision.objects.count() == 0


@pytest.mark.parametrize(
    ("method", "address", "verb"),
    [
        ("get", "/requests/{}/check/", "submit"),
        ("post", "/requests/{}/check/", "submit"),
        ("post", "/requests/{}/discard/", "discard_draft"),
        ("get", "/requests/new/role/?draft={}", "edit"),
        ("get", "/requests/new/passrole/?draft={}", "edit"),
        ("get", "/requests/new/infrastructure/?draft={}", "edit"),
        ("get", "/requests/new/removal/?draft={}", "edit"),
        ("post", "/requests/new/role/", "edit"),
        ("post", "/requests/preview/", "edit"),
    ],
)
def test_every_attempt_of_others_is_an_event(
    draft: Request, signed_in: Callable[[str], Client], method: str, address: str, verb: str
) -> None:
    values = {"draft": draft.reference} if method == "post" else {}
    answer = getattr(signed_in("colleague"), method)(address.format(draft.reference), values or None)
    assert answer.status_code == 403
    event = AuditEvent.objects.get(action="verb.refused")
    assert (event.actor_name, event.request, event.code) == ("Colleague", draft.reference, "not_requester")
    assert json.loads(event.canon)["data"] == {"verb": verb, "code": "not_requester"}


def test_discarding_deletes_a_draft_but_never_a_sent_request(client: Client, draft: Request) -> None:
    client.post(f"/requests/{draft.reference}/check/")
    assert client.post(f"/requests/{draft.reference}/discard/").status_code == 409
    assert Request.objects.filter(pk=draft.pk).exists()
    client.post("/requests/new/role/", ROLE_ANSWERS)
    other = Request.objects.latest("pk")
    response = client.post(f"/requests/{other.reference}/discard/")
    assert (response.status_code, response["Location"]) == (303, "/")
    assert not Request.objects.filter(pk=other.pk).exists()


def test_a_grant_goes_the_same_way(client: Client) -> None:
    response = client.post("/requests/new/passrole/", GRANT_ANSWERS)
    row = Request.objects.get()
    assert response["Location"] == f"/requests/{row.reference}/check/"
    client.post(response["Location"])
    sent = facts.read(Revision.objects.get().facts)
    assert isinstance(sent, facts.GrantFacts)
    assert (sent.policy_name, sent.policy_description) == ("orders-pass", "Lets CodeDeploy pass the Orders roles")
    assert sent.task_roles == (
        "arn:aws:iam::111122223333:role/orders-api-task",
        "arn:aws:iam::111122223333:role/orders-worker-task",
    )
