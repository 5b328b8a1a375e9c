"""The job of the product by browser: ask, look, review, decide, apply, audit. The worker is a process of its own."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints, Portal

ORDERS_PROD = "111122223333"
ORDERS_STAGING = "444455556666"
LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
NewPage = Callable[..., Page]
APPLIED_WITHIN = 60_000  # milliseconds


def reference_in(page: Page) -> str:
    """The reference that the page's address carries."""
    found = re.search(r"REQ-\d{6}", page.url)
    assert found, page.url
    return found.group()


def ask_for_role(page: Page, **answers: str) -> str:
    """Fills the role form, checks the answers, sends them; returns the reference."""
    page.goto("/requests/new/role/")
    fill(page, answers)
    page.get_by_role("button", name="Check my answers").click()
    page.wait_for_url("**/check/")
    page.get_by_role("button", name="Send for approval").click()
    page.wait_for_url(re.compile(r"/requests/REQ-\d{6}/$"))
    return reference_in(page)


def fill(page: Page, answers: dict[str, str]) -> None:
    """Types each answer into the field of its published name."""
    for details in page.locator("details:not([open]) > summary").all():
        if details.is_visible():
            details.click()
    for name, value in answers.items():
        if page.locator(f"input[type=hidden][name={name}]").count():
            expect(page.locator(f"input[type=hidden][name={name}]")).to_have_value(value)
            continue
        field = page.locator(f"[name={name}]").first
        if field.get_attribute("type") == "radio":
            page.locator(f"[name={name}][value={value}]").check()
        elif field.evaluate("e => e.tagName") == "SELECT":
            field.select_option(value)
        elif field.get_attribute("type") == "checkbox":
            field.set_checked(value == "on")
        else:
            field.fill(value)


def wait_for_status(page: Page, reference: str, word: str) -> None:
    """Reloads the request's page until it shows the status."""
    for _ in range(APPLIED_WITHIN // 500):
        page.goto(f"/requests/{reference}/")
        if word in page.locator("main .status").first.inner_text():
            return
        page.wait_for_timeout(500)
    pytest.fail(f"{reference} never became {word}: {page.locator('main').inner_text()[:1500]}")


def decide(page: Page, reference: str, decision: str, reason: str = "") -> None:
    """Opens the review page and decides by its form."""
    page.goto(f"/approvals/{reference}/")
    if reason:
        page.locator("textarea[name=reason], input[name=reason]").first.fill(reason)
    for tick in page.locator("input[name=acknowledged]").all():
        tick.check()
    page.locator(f"button[name=decision][value={decision}]").first.click()
    page.wait_for_load_state()


def test_ask_review_apply_audit(portal: Portal, new_page: NewPage, complaints: Complaints, tmp_path: Path) -> None:
    """A role that AWS does not have: created with everything the guide asks for, and nothing else."""
    requester = new_page("requester")
    reference = ask_for_role(
        requester,
        team="orders",
        account=ORDERS_PROD,
        role_name="ecsCodeDeployRole-web",
        managed_policy="limited",
        execution_roles="ecsTaskExecutionRole",
        task_roles="orders-api-task\norders-worker-task",
        description="CodeDeploy for the web shop",
        tags="cost-center=4711",
        reason="Blue/green for the web shop, ORD-77",
    )
    wait_for_status(requester, reference, "In review")
    assert not requester.locator("button[name=decision]").count()

    forged = forge_decision(requester, reference, "approve")
    assert forged == 403
    wait_for_status(requester, reference, "In review")

    approver = new_page("approver")
    approver.goto(f"/approvals/?q={reference}")  # without a filter it may stand in one line with others of its shape
    expect(approver.locator("main")).to_contain_text(reference)
    approver.goto(f"/approvals/{reference}/")
    main = approver.locator("main")
    expect(main).to_contain_text("orders-api-task")
    expect(main).to_contain_text("iam:PassedToService")
    expect(main).to_contain_text("aws:SourceAccount")
    decide(approver, reference, "approve")

    wait_for_status(requester, reference, "Applied")
    iam = portal.iam(ORDERS_PROD)
    role = iam.get_role(RoleName="ecsCodeDeployRole-web")["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {
            "Sid": "",
            "Effect": "Allow",
            "Principal": {"Service": ["codedeploy.amazonaws.com"]},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": ORDERS_PROD}},
        }
    ]
    assert role["Description"] == "CodeDeploy for the web shop"
    assert {tag["Key"]: tag["Value"] for tag in role["Tags"]}["cost-center"] == "4711"
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/boundary/EcsCodeDeployBoundary")
    attached = {p["PolicyArn"] for p in iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]}
    grant = f"arn:aws:iam::{ORDERS_PROD}:policy/ecsCodeDeployRole-web-PassRole"
    assert attached == {LIMITED, grant}
    version = iam.get_policy(PolicyArn=grant)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=grant, VersionId=version)["PolicyVersion"]["Document"]
    (statement,) = document["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": [
            f"arn:aws:iam::{ORDERS_PROD}:role/orders-api-task",
            f"arn:aws:iam::{ORDERS_PROD}:role/orders-worker-task",
        ],
        "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
    }
    requester.goto(f"/requests/{reference}/run/1/")
    expect(requester.locator("main")).to_contain_text("CreateRole")

    read_the_trail(new_page("auditor"), reference, tmp_path)
    assert complaints == []


def forge_decision(page: Page, reference: str, decision: str) -> int:
    """Posts a decision that the page does not offer, with this person's own session; returns the status."""
    digest = page.evaluate(
        """async ref => (await (await fetch(`/requests/${ref}/`)).text()).match(/[0-9a-f]{64}/)?.[0] ?? ''""", reference
    )
    return int(
        page.evaluate(
            """async ([ref, decision, digest]) => {
                const token = JSON.parse(document.body.getAttribute('hx-headers'))['X-CSRFToken'];
                const body = new URLSearchParams({decision, proposal_digest: digest, reason: 'forged'});
                const answer = await fetch(`/approvals/${ref}/decide/`,
                    {method: 'POST', body, headers: {'X-CSRFToken': token}, redirect: 'manual'});
                return answer.status;
            }""",
            [reference, decision, digest],
        )
    )


def read_the_trail(auditor: Page, reference: str, folder: Path) -> None:
    """Every act is there with its actor; CSV and JSON lines have the same rows."""
    auditor.goto(f"/audit/?request={reference}")
    for words in ("Rosa Lindqvist", "Amara Okafor", "CreateRole"):
        expect(auditor.locator("main")).to_contain_text(words)
    exports = {}
    for kind in ("csv", "jsonl"):
        answer = auditor.request.get(f"/audit/?request={reference}&format={kind}")
        assert answer.ok
        exports[kind] = answer.text()
    rows = list(csv.DictReader(io.StringIO(exports["csv"])))
    lines = [json.loads(line) for line in exports["jsonl"].splitlines()]
    assert [line["action"] for line in lines[:2]] == ["request.created", "request.submitted"]
    actions = [line["action"] for line in lines]
    assert {"verb.refused", "approval.given", "request.approved", "step.intended", "request.applied"} <= set(actions)
    # The second export also holds the event of the first.
    assert abs(len(rows) - len(lines)) <= 1


def test_right_already_asks_nobody(new_page: NewPage, complaints: Complaints) -> None:
    """A role of the team that is as asked is found right, without approval."""
    requester = new_page("requester")
    reference = ask_for_role(
        requester,
        team="orders",
        account=ORDERS_STAGING,
        role_name="ecsCodeDeployRole",
        managed_policy="limited",
        execution_roles="ecsTaskExecutionRole",
        task_roles="",
        reason="Is the staging role right? ORD-78",
    )
    wait_for_status(requester, reference, "Already right")
    assert complaints == []


def test_wrong_trust_and_no_policy_is_adopted_and_repaired(portal: Portal, new_page: NewPage) -> None:
    """An existing role is adopted by review: the trust is replaced, the policy attached."""
    requester = new_page("requester")
    reference = ask_for_role(
        requester,
        team="orders",
        account=ORDERS_STAGING,
        role_name="ecsCodeDeployRole-legacy",
        managed_policy="limited",
        execution_roles="ecsTaskExecutionRole",
        task_roles="",
        reason="Take over the legacy role, ORD-79",
    )
    wait_for_status(requester, reference, "In review")
    approver = new_page("approver")
    approver.goto(f"/approvals/{reference}/")
    expect(approver.locator("main")).to_contain_text(re.compile("adopt", re.IGNORECASE))
    decide(approver, reference, "approve")
    wait_for_status(requester, reference, "In review")
    decide(new_page("security"), reference, "approve")
    wait_for_status(requester, reference, "Applied")
    iam = portal.iam(ORDERS_STAGING)
    role = iam.get_role(RoleName="ecsCodeDeployRole-legacy")["Role"]
    assert allowed_in(role["AssumeRolePolicyDocument"]) == {"codedeploy.amazonaws.com"}
    attached = iam.list_attached_role_policies(RoleName="ecsCodeDeployRole-legacy")["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [LIMITED]


def allowed_in(document: dict[str, Any]) -> set[str]:
    """The services that a trust policy names."""
    named = [statement["Principal"]["Service"] for statement in document["Statement"]]
    return {name for one in named for name in ([one] if isinstance(one, str) else one)}


def test_foreign_part_is_shown_and_kept(portal: Portal, new_page: NewPage) -> None:
    """Somebody else's inline policy stays, and the review says so."""
    requester = new_page("requester")
    reference = ask_for_role(
        requester,
        team="orders",
        account=ORDERS_STAGING,
        role_name="ecsCodeDeployRole-shared",
        managed_policy="limited",
        execution_roles="ecsTaskExecutionRole",
        task_roles="orders-api-task",
        reason="Use the shared role, ORD-80",
    )
    wait_for_status(requester, reference, "In review")
    approver = new_page("approver")
    approver.goto(f"/approvals/{reference}/")
    expect(approver.locator("main")).to_contain_text("deployment-notes")
    expect(approver.locator("main")).to_contain_text(re.compile("kept", re.IGNORECASE))
    decide(approver, reference, "approve")
    wait_for_status(requester, reference, "Applied")
    assert portal.iam(ORDERS_STAGING).list_role_policies(RoleName="ecsCodeDeployRole-shared")["PolicyNames"] == [
        "deployment-notes"
    ]


def test_a_row_changed_by_sql_is_named(portal: Portal) -> None:
    """`audit verify` answers 0 on the untouched demo, and 1 with the event's name after one row was changed."""
    untouched = portal.manage("audit", "verify")
    assert untouched.returncode == 0, untouched.stdout + untouched.stderr
    changed = portal.manage("demo_tamper")
    name = re.search(r"EVT-\d{7}", changed.stdout)
    assert name, changed.stderr
    found = portal.manage("audit", "verify")
    assert portal.manage("demo_tamper").returncode == 0
    assert (found.returncode, name.group() in found.stdout) == (1, True), found.stdout
    again = portal.manage("audit", "verify")
    assert again.returncode == 0, again.stdout + again.stderr


def listed(page: Page) -> list[str]:
    """The references on a list of requests: its ages change by themselves."""
    return re.findall(r"REQ-\d{6}", page.locator("main").inner_text())


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("ecsCodeDeployRole", "is configured right"),
        ("orders-pipeline", "is not configured right"),
        ("ecsCodeDeployRole-nowhere", "does not exist"),
    ],
)
def test_checks_a_role_without_sending_anything(new_page: NewPage, role: str, words: str) -> None:
    """Right, wrong and absent are told apart by a worker's look; no request comes of it."""
    page = new_page("requester2")
    page.goto("/requests/")
    before = listed(page)
    page.goto("/inventory/check/")
    fill(page, {"account": ORDERS_STAGING, "role_name": role})
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_url(re.compile(r"/inventory/check/\d+/"))
    expect(page.locator("main")).to_contain_text(words, timeout=10_000)
    page.goto("/requests/")
    assert listed(page) == before


def test_a_grant_for_an_existing_role_extends_nothing_else(portal: Portal, new_page: NewPage) -> None:
    """The shorter form: one more role to be passed, by the policy of the CodeDeploy role."""
    requester = new_page("requester")
    requester.goto("/requests/new/passrole/")
    fill(
        requester,
        {
            "account": ORDERS_STAGING,
            "role_name": "ecsCodeDeployRole",
            "execution_roles": "",
            "task_roles": "orders-api-task",
            "reason": "The API's own task role, ORD-81",
        },
    )
    requester.get_by_role("button", name="Check my answers").click()
    requester.wait_for_url("**/check/")
    requester.get_by_role("button", name="Send for approval").click()
    requester.wait_for_url(re.compile(r"/requests/REQ-\d{6}/$"))
    reference = reference_in(requester)
    wait_for_status(requester, reference, "In review")
    decide(new_page("approver"), reference, "approve")
    wait_for_status(requester, reference, "Applied")
    iam = portal.iam(ORDERS_STAGING)
    attached = iam.list_attached_role_policies(RoleName="ecsCodeDeployRole")["AttachedPolicies"]
    assert {policy["PolicyName"] for policy in attached} == {
        "AWSCodeDeployRoleForECSLimited",
        "ecsCodeDeployRole-PassRole",
    }


def test_bad_answers_are_named_and_kept(new_page: NewPage) -> None:
    """Every wrong field has its sentence, at the field and in the summary; the other answers stay."""
    page = new_page("requester")
    page.goto("/requests/new/role/")
    answers = {
        "account": ORDERS_PROD,
        "role_name": "r" * 65,
        "task_roles": "arn:aws:iam::999988887777:role/x\narn:aws:iam::<aws_account_id>:role/y",
        "tags": "Team=a\nteam=b",
        "reason": "short",
    }
    fill(page, answers)
    page.get_by_role("button", name="Check my answers").click()
    page.wait_for_load_state()
    main = page.locator("main")
    for words in ("65", "999988887777", "aws_account_id", "at least 10 characters"):
        expect(main).to_contain_text(words)
    assert page.title().startswith("Error: ")
    for name in ("role_name", "task_roles", "tags", "reason"):
        assert page.locator(f"[name={name}]").first.input_value() == answers[name]


def test_native_blue_green_is_told_about_the_other_role(new_page: NewPage) -> None:
    """Who lets Amazon ECS itself control deployments does not get the CodeDeploy form."""
    page = new_page("requester")
    page.goto("/requests/new/")
    page.get_by_text("Amazon ECS itself").first.click()
    page.wait_for_load_state()
    expect(page.locator("main")).to_contain_text("infrastructure role")
