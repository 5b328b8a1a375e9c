"""The role form: every wrong answer has its message with its own names, and the other answers are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from iamroles.models import ManagedRole, Request
from tests.integration.web_forms.conftest import ROLE_ANSWERS
from tests.integration.web_forms.reading import field_errors, summary_of, text_of, title_of, value_of

URL = "/requests/new/role/"

WRONG = [
    ("team", "payments", "You can ask only for a team that you belong to. Choose one of yours."),
    ("account", "", "Choose the AWS account that the role is for."),
    (
        "account",
        "777788889999",
        "777788889999 is not among the AWS accounts of Orders. Choose one of them, or ask an operator.",
    ),
    ("role_name", "r" * 65, "Role name can have 64 characters. This one has 65."),
    ("role_name", "<aws_account_id>", "<aws_account_id> is a placeholder. Put the real value in its place."),
    (
        "role_name",
        "AWSReservedSSO_admin",
        "AWSReservedSSO_admin belongs to AWS or to your organisation. It is never changed here.",
    ),
    ("managed_policy", "everything", "Choose Limited, Full or Scoped."),
    (
        "execution_roles",
        "arn:aws:iam::999988887777:role/ecsTaskExecutionRole",
        "This role is in AWS account 999988887777. Enter a role of 111122223333.",
    ),
    (
        "execution_roles",
        "arn:aws:iam::<aws_account_id>:role/x",
        "<aws_account_id> is a placeholder. Put the real value in its place.",
    ),
    (
        "task_roles",
        "orders-*",
        "orders-*: name each role. A grant for every role lets a deployment run with any role in the AWS account.",
    ),
    ("tags", "Service=a\nservice=b", "The tag keys Service and service are the same for IAM. Keep one of them."),
    ("tags", "no equals sign", "no equals sign: write each tag as key=value, one a line."),
    ("reason", "short", "Say in at least 10 characters what the role is for, with a ticket."),
]


@pytest.mark.parametrize(("field", "answer", "message"), WRONG)
def test_says_what_is_wrong_and_keeps_every_answer(client: Client, field: str, answer: str, message: str) -> None:
    response = client.post(URL, ROLE_ANSWERS | {field: answer})

    assert response.status_code == 422
    assert title_of(response).startswith("Error: New CodeDeploy role")
    anchor = f"id_{field}_0" if field == "managed_policy" else f"id_{field}"
    assert (anchor, message) in summary_of(response)
    assert message in field_errors(response)[f"id_{field}"]
    kept = ROLE_ANSWERS | {field: answer}
    for name in ("role_name", "execution_roles", "task_roles", "description", "tags", "reason"):
        assert value_of(response, name) == kept[name]
    assert Request.objects.count() == 0


def test_reports_all_problems_at_once(client: Client) -> None:
    response = client.post(URL, ROLE_ANSWERS | {"role_name": "r" * 65, "reason": "", "tags": "x"})
    assert [anchor for anchor, _ in summary_of(response)] == ["id_role_name", "id_reason", "id_tags"]


def test_the_published_fields_alone_are_complete(client: Client) -> None:
    response = client.post(URL, ROLE_ANSWERS)
    row = Request.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/requests/{row.reference}/check/")
    assert (row.kind, row.state, row.role_name) == ("role", "draft", "ecsCodeDeployRole")
    assert {name: row.answers[name] for name in ROLE_ANSWERS} == ROLE_ANSWERS


def test_tidies_what_people_paste(client: Client) -> None:
    """Spaces, quotes, an ARN for a name and a dashed account number are understood, not refused."""
    answers = ROLE_ANSWERS | {
        "account": "1111-2222-3333",
        "role_name": ' "arn:aws:iam::111122223333:role/ecsCodeDeployRole" ',
        "execution_roles": '  "ecsTaskExecutionRole",\n\n',
    }
    response = client.post(URL, answers)
    assert response.status_code == 303
    page = text_of(client.get(response["Location"]))
    assert "Limited role ecsCodeDeployRole in orders-prod" in page


def test_a_double_click_makes_one_draft(client: Client, key: Callable[[], str]) -> None:
    answers = ROLE_ANSWERS | {"idempotency_key": key()}
    first, second = client.post(URL, answers), client.post(URL, answers)
    assert (first.status_code, second.status_code) == (303, 303)
    assert first["Location"] == second["Location"]
    assert Request.objects.count() == 1


def test_opens_with_limited_and_the_guides_names(client: Client) -> None:
    page = client.get(URL)
    assert 'value="limited" id="id_managed_policy_0" checked' in text_of(page)
    assert value_of(page, "role_name") == "ecsCodeDeployRole"
    assert value_of(page, "execution_roles") == "ecsTaskExecutionRole"
    assert value_of(page, "task_roles") == ""
    assert Request.objects.count() == 0


def test_proposes_the_teams_suffix_for_a_taken_name(client: Client, managed: Callable[..., ManagedRole]) -> None:
    managed("orders-staging", "payments")
    page = client.get(f"{URL}?account=444455556666")
    assert value_of(page, "role_name") == "ecsCodeDeployRole-orders"


def test_says_whose_a_taken_name_is(client: Client, managed: Callable[..., ManagedRole]) -> None:
    managed("orders-staging", "payments")
    page = text_of(client.get(f"{URL}?account=444455556666&role_name=ecsCodeDeployRole"))
    assert (
        "ecsCodeDeployRole exists in orders-staging and belongs to Payments. Use it, or enter ecsCodeDeployRole-orders."
        in page
    )


def test_copying_takes_everything_but_the_reason(client: Client) -> None:
    client.post(URL, ROLE_ANSWERS)
    page = client.get(f"{URL}?from={Request.objects.get().reference}")
    assert value_of(page, "tags") == ROLE_ANSWERS["tags"]
    assert value_of(page, "reason") == ""


def test_nobody_opens_somebody_elses_draft(client: Client, signed_in: Callable[[str], Client]) -> None:
    client.post(URL, ROLE_ANSWERS)
    response = signed_in("colleague").get(f"{URL}?draft={Request.objects.get().reference}")
    assert response.status_code == 403


def test_saving_and_leaving_asks_for_nothing(client: Client) -> None:
    response = client.post(URL, ROLE_ANSWERS | {"reason": "", "act": "leave"})
    row = Request.objects.get()
    assert (response.status_code, response["Location"]) == (303, "/")
    assert f"{row.reference} is saved. It is under Drafts for 30 days." in text_of(client.get("/"))


@pytest.mark.parametrize("query", ["?draft=REQ-000000", "?draft=nonsense"])
def test_an_unknown_draft_is_not_found(client: Client, query: str) -> None:
    assert client.get(URL + query).status_code == 404


def test_needs_a_person(db: Any) -> None:
    response = Client().get(URL)
    assert (response.status_code, response["Location"]) == (302, "/accounts/login/?next=/requests/new/role/")
