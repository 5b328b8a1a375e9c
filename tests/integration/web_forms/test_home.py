"""Home and the start page: each kind of person sees their blocks, a new one exactly one primary button."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from tests.integration.web_forms.conftest import ROLE_ANSWERS
from tests.integration.web_forms.reading import text_of


def test_a_new_person_sees_exactly_one_primary_button(client: Client) -> None:
    page = text_of(client.get("/"))
    assert "You have no requests yet. It takes two minutes." in page
    assert len(re.findall(r"button-primary", page)) == 1


@pytest.mark.parametrize(
    ("login", "blocks"),
    [("requester", set()), ("approver", {"waiting-title"}), ("auditor", {"trail-title"})],
)
def test_each_kind_of_person_sees_only_their_blocks(
    signed_in: Callable[[str], Client], login: str, blocks: set[str]
) -> None:
    page = text_of(signed_in(login).get("/"))
    assert set(re.findall(r'<h2 id="([a-z-]+)"', page)) == blocks


def test_drafts_lead_back_to_the_form(client: Client) -> None:
    client.post("/requests/new/role/", ROLE_ANSWERS | {"act": "leave"})
    page = text_of(client.get("/"))
    assert re.search(r'<a href="/requests/new/role/\?draft=REQ-\d{6}">Role ecsCodeDeployRole in orders-prod</a>', page)
    assert "Draft" in page


def test_a_sent_request_is_in_progress(client: Client) -> None:
    location = client.post("/requests/new/role/", ROLE_ANSWERS)["Location"]
    client.post(location)
    page = text_of(client.get("/"))
    assert 'id="in-progress"' in page
    assert 'data-status="submitted"' in page


def test_the_native_answer_says_that_another_role_is_needed(client: Client) -> None:
    page = text_of(client.get("/requests/new/?controller=ecs"))
    assert "You do not need the CodeDeploy role" in page
    assert "AmazonECSInfrastructureRolePolicyForLoadBalancers" in page
    native = page.split('id="native-title"')[1].split("</section>")[0]
    assert 'href="/requests/new/infrastructure/"' in native
    assert "/requests/new/role/" not in native


def test_the_start_page_remembers_the_answer(client: Client) -> None:
    client.get("/requests/new/?controller=ecs")
    assert "You do not need the CodeDeploy role" in text_of(client.get("/requests/new/"))
    client.get("/requests/new/?controller=codedeploy")
    assert "You do not need the CodeDeploy role" not in text_of(client.get("/requests/new/"))
