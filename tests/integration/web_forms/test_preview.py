"""The live preview: the same blueprint as the worker's, one draft however often it is cut off, nothing overwritten."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from django.test import Client

from iamroles.blueprints import build_desired, facts
from iamroles.models import Request, Revision
from tests.integration.web_forms.conftest import BOUNDARY, ROLE_ANSWERS
from tests.integration.web_forms.reading import text_of

URL = "/requests/preview/"


def preview(client: Client, **answers: str) -> Any:
    return client.post(URL, ROLE_ANSWERS | {"kind": "role", **answers}, headers={"HX-Request": "true"})


def documents(response: Any) -> dict[str, Any]:
    """Returns the documents that the preview shows, by their names."""
    blocks = re.findall(r'aria-label="([^"]+)"><code>(.*?)</code>', text_of(response), flags=re.DOTALL)
    return {name: json.loads(re.sub(r"<[^>]+>", "", body)) for name, body in blocks if name != "Terraform text"}


def test_shows_trust_and_one_grant_for_exactly_the_uncovered_roles(client: Client) -> None:
    response = preview(client, execution_roles="ecsTaskExecutionRole\necsTaskExecutionRole-x", task_roles="orders-api")
    shown = documents(response)
    assert shown["Trust policy"] == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "",
                "Effect": "Allow",
                "Principal": {"Service": ["codedeploy.amazonaws.com"]},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}},
            }
        ],
    }
    assert shown["ecsCodeDeployRole-PassRole"] == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iam:PassRole",
                "Resource": [
                    "arn:aws:iam::111122223333:role/ecsTaskExecutionRole-x",
                    "arn:aws:iam::111122223333:role/orders-api",
                ],
                "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            }
        ],
    }
    page = text_of(response)
    assert "ecsTaskExecutionRole-x is not covered by Limited, capitals matter." in page
    assert "Limited already covers ecsTaskExecutionRole." in page
    assert BOUNDARY in page.replace("<wbr>", "")


def test_the_plain_trust_is_a_finding(client: Client) -> None:
    response = preview(client, plain_trust="on")
    assert "Condition" not in documents(response)["Trust policy"]["Statement"][0]
    assert 'data-finding="TR03"' in text_of(response)


def test_full_is_high_and_needs_no_grant(client: Client) -> None:
    response = preview(client, managed_policy="full")
    assert 'data-risk="high"' in text_of(response)
    assert "Full already covers orders-api-task." in text_of(response)
    assert "ecsCodeDeployRole-PassRole" not in documents(response)


def test_the_accounts_paths_and_boundary_follow_the_choice(client: Client) -> None:
    there = text_of(preview(client)).replace("<wbr>", "")
    assert f'permissions boundary <span class="arn">{BOUNDARY}</span>' in there
    assert "Production, owned by owners. Role path <code>/</code>, policy path <code>/</code>" in there
    assert "no permissions boundary" in text_of(preview(client, account="444455556666", tab="other"))


def test_wrong_answers_never_break_it(client: Client) -> None:
    response = preview(client, role_name="r" * 65, account="")
    assert response.status_code == 200
    assert "The preview waits for 2 answers" in text_of(response)
    assert "reason" not in re.sub(r"<[^>]+>", "", text_of(response)).lower()


def test_the_first_one_saves_the_draft_and_gives_it_its_address(client: Client) -> None:
    response = preview(client, tab="tab-one")
    row = Request.objects.get()
    assert response["HX-Replace-Url"] == f"/requests/new/role/?draft={row.reference}"
    assert re.search(rf"{row.reference}, draft saved \d\d:\d\d:\d\d UTC", text_of(response))
    assert f'name="draft" value="{row.reference}"' in text_of(response)


def test_one_that_was_cut_off_makes_no_second_draft(client: Client) -> None:
    """The browser never saw the reference: the second preview of the same tab still finds the draft."""
    tab = uuid.uuid4().hex
    preview(client, tab=tab, role_name="first")
    again = preview(client, tab=tab, role_name="second")
    assert again.status_code == 200
    assert Request.objects.get().role_name == "second"


def test_an_older_tab_overwrites_nothing(client: Client) -> None:
    preview(client, tab="one")
    row = Request.objects.get()
    seen = str(row.answers_version)
    preview(client, tab="two", draft=row.reference, answers_version=seen, role_name="newer")
    older = preview(client, tab="three", draft=row.reference, answers_version=seen, role_name="older")
    assert older.status_code == 409
    assert f"{row.reference} was changed in another tab at" in text_of(older)
    row.refresh_from_db()
    assert row.answers["role_name"] == "newer"
    said = re.search(r'name="answers_version" value="(\d+)"', text_of(older))
    assert said
    assert said.group(1) == seen  # the older tab stays behind, so that its next answer is refused as well
    answers = ROLE_ANSWERS | {"draft": row.reference, "tab": "three", "answers_version": seen, "role_name": "older"}
    sent = client.post("/requests/new/role/", answers)
    assert sent.status_code == 409
    assert "was changed in another tab at" in text_of(sent)
    row.refresh_from_db()
    assert row.answers["role_name"] == "newer"


def test_without_scripts_it_leads_back_to_the_form(client: Client) -> None:
    response = client.post(URL, ROLE_ANSWERS | {"kind": "role"})
    row = Request.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/requests/new/role/?draft={row.reference}")


def test_the_digest_is_the_one_that_is_sent(client: Client) -> None:
    response = preview(client)
    row = Request.objects.get()
    shown = re.search(r'title="([0-9a-f]{64})"', text_of(response))
    client.post(f"/requests/{row.reference}/check/")
    revision = Revision.objects.get()
    assert shown
    assert shown.group(1) == revision.desired_digest
    assert build_desired(facts.read(revision.facts)).digest() == revision.desired_digest


def test_is_cheap(client: Client, django_assert_max_num_queries: Any) -> None:
    """Session and person 2, choices 2, the draft, its person and its verb 4 with 2 for the savepoint, inventory 1, the
    AWS account's standard and guardrails 1, the newest looks at it 1.
    """
    preview(client, tab="one")
    with django_assert_max_num_queries(13):
        preview(client, tab="one", role_name="other")


@pytest.mark.parametrize("kind", ["adoption", ""])
def test_an_unknown_kind_is_not_found(client: Client, kind: str) -> None:
    assert preview(client, kind=kind).status_code == 404
