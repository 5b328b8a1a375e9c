"""Check a role: the order, the wait, and the three answers told apart. No request is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from iamroles.audit import words
from iamroles.iam import documents, trust
from iamroles.models import AuditEvent, ObservationOrder, Request
from tests.integration.web_forms.reading import summary_of, text_of

URL = "/inventory/check/"
ROLE = {
    "arn": "arn:aws:iam::111122223333:role/ecsCodeDeployRole",
    "name": "ecsCodeDeployRole",
    "path": "/",
    "trust": documents.minified(trust.codedeploy_trust("111122223333", source_account=True)),
    "description": "",
    "boundary": None,
    "tags": {},
    "max_session": 3600,
    "attached": ["arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"],
    "inline": {},
    "role_id": "AROAEXAMPLE",
}


@pytest.fixture
def order(client: Client) -> ObservationOrder:
    response = client.post(URL, {"account": "111122223333", "role_name": "ecsCodeDeployRole"})
    row = ObservationOrder.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"{URL}{row.pk}/")
    return row


def answer(order: ObservationOrder, result: dict[str, Any]) -> None:
    order.answered_at = datetime.now(UTC)
    order.result = result
    order.save()


def test_waiting_polls_and_costs_nothing(client: Client, order: ObservationOrder) -> None:
    page = text_of(client.get(f"{URL}{order.pk}/"))
    assert f'hx-get="{URL}{order.pk}/" hx-trigger="every 1s, poll-now"' in page
    poll = client.get(f"{URL}{order.pk}/", headers={"HX-Request": "true"})
    assert (poll.status_code, poll.content) == (204, b"")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"state": "right", "role": ROLE, "sentences": [], "missing": []}, "ecsCodeDeployRole is configured right"),
        (
            {"state": "different", "role": ROLE, "sentences": [], "missing": ["CodeDeploy is not trusted."]},
            "ecsCodeDeployRole is not configured right",
        ),
        ({"state": "missing", "role": None, "sentences": [], "missing": []}, "ecsCodeDeployRole does not exist"),
        ({"error": "AccessDenied"}, "orders-prod could not be read"),
    ],
)
def test_tells_the_answers_apart(client: Client, order: ObservationOrder, result: dict[str, Any], words: str) -> None:
    answer(order, result)
    for headers in ({}, {"HX-Request": "true"}):
        page = text_of(client.get(f"{URL}{order.pk}/", headers=headers))
        assert words in page
        assert "hx-trigger" not in page.split('id="role-check"')[1].split(">")[0]
    assert Request.objects.count() == 0


def test_an_absent_role_leads_to_the_form_filled_in(client: Client, order: ObservationOrder) -> None:
    answer(order, {"state": "missing", "role": None, "sentences": [], "missing": []})
    page = text_of(client.get(f"{URL}{order.pk}/"))
    assert "/requests/new/role/?team=orders&account=111122223333&role_name=ecsCodeDeployRole" in page


def test_ordering_is_an_event(order: ObservationOrder) -> None:
    event = AuditEvent.objects.get(action="check.ordered")
    assert json.loads(event.canon)["data"] == {"account": "111122223333", "role_name": "ecsCodeDeployRole"}
    assert event.object_id == "arn:aws:iam::111122223333:role/ecsCodeDeployRole"
    assert words.sentence(event) == "Requester ordered a look at ecsCodeDeployRole in AWS account 111122223333."


@pytest.mark.parametrize(
    ("answers", "anchor", "message"),
    [
        (
            {"account": "777788889999", "role_name": "x"},
            "id_account",
            "AWS account 777788889999 is not among those of your teams. Choose one of them.",
        ),
        (
            {"account": "111122223333", "role_name": ""},
            "id_role_name",
            "Enter the role's name, for example ecsCodeDeployRole.",
        ),
        (
            {"account": "111122223333", "role_name": "r" * 65},
            "id_role_name",
            "Role name can have 64 characters. This one has 65.",
        ),
    ],
)
def test_says_what_is_wrong(client: Client, answers: dict[str, str], anchor: str, message: str) -> None:
    response = client.post(URL, answers)
    assert response.status_code == 422
    assert summary_of(response) == [(anchor, message)]
    assert ObservationOrder.objects.count() == 0


def test_other_teams_do_not_read_the_answer(order: ObservationOrder, signed_in: Callable[[str], Client]) -> None:
    assert signed_in("outsider").get(f"{URL}{order.pk}/").status_code == 404
    assert signed_in("colleague").get(f"{URL}{order.pk}/").status_code == 200
