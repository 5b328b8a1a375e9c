"""The form for the infrastructure role: reached from the start page, complete with its few fields, sent as asked."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from iamroles.blueprints import facts as facts_module
from iamroles.models import ManagedRole, Request, Revision
from tests.integration.web_forms.reading import field_errors, text_of

URL = "/requests/new/infrastructure/"
ANSWERS = {
    "team": "orders",
    "account": "111122223333",
    "role_name": "",
    "reason": "Orders API moves to native blue/green, ORD-19",
}


def test_the_native_answer_leads_here_and_not_to_codedeploy(client: Client) -> None:
    page = text_of(client.get("/requests/new/?controller=ecs"))
    native = page[page.index("native-title") : page.index("what-title")]
    assert f'href="{URL}"' in native
    assert "/requests/new/role/" not in native


def test_opens_with_the_usual_name(client: Client) -> None:
    page = text_of(client.get(URL))
    assert 'value="ecsInfrastructureRoleForLoadBalancers"' in page
    assert "AllowAccessToECSForInfrastructureManagement" in page


def test_a_taken_name_gets_the_teams_suffix(client: Client, managed: Callable[..., ManagedRole]) -> None:
    managed("orders-staging", "payments", "ecsInfrastructureRoleForLoadBalancers")
    page = text_of(client.get(f"{URL}?account=444455556666"))
    assert 'value="ecsInfrastructureRoleForLoadBalancers-orders"' in page


def test_is_sent_as_asked(client: Client, key: Callable[[], str]) -> None:
    saved = client.post(URL, ANSWERS | {"idempotency_key": key()})
    assert saved.status_code == 303
    checked = text_of(client.get(saved["Location"]))
    assert "Infrastructure role ecsInfrastructureRoleForLoadBalancers in orders-prod" in checked
    assert client.post(saved["Location"], {"idempotency_key": key()}).status_code == 303
    request = Request.objects.get()
    assert (request.kind, request.state) == ("infrastructure", "submitted")
    facts = facts_module.read(Revision.objects.get().facts)
    assert (facts.kind, facts.role_name, facts.account.number) == (
        "infrastructure",
        "ecsInfrastructureRoleForLoadBalancers",
        "111122223333",
    )
    page = text_of(client.get(f"/requests/{request.reference}/"))
    assert "ECS infrastructure role" in page


def test_says_what_is_wrong_at_the_field(client: Client) -> None:
    response = client.post(URL, ANSWERS | {"role_name": "bad name!", "tags": "aws:x=1"})
    assert response.status_code == 422
    assert set(field_errors(response)) == {"id_role_name", "id_tags"}
