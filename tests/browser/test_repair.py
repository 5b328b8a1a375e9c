"""A run that AWS refuses: shown with its four answers, repaired, retried by an operator's keyboard, applied."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints, Portal
from tests.browser.test_main_job import APPLIED_WITHIN, LIMITED, ORDERS_STAGING, ask_for_role, decide, wait_for_status

NewPage = Callable[..., Page]
ROLE = "ecsCodeDeployRole-repair"


@pytest.fixture
def denied(portal: Portal) -> Iterator[Callable[[], None]]:
    """AWS refuses to attach policies in orders-staging until the returned function is called."""
    file = portal.var / "simulator" / "denied.json"
    file.write_text(json.dumps({ORDERS_STAGING: ["AttachRolePolicy"]}), encoding="utf-8")

    def allow() -> None:
        file.unlink(missing_ok=True)

    yield allow
    allow()


def test_a_blocked_run_is_shown_repaired_and_retried_by_keyboard(
    portal: Portal, new_page: NewPage, complaints: Complaints, denied: Callable[[], None]
) -> None:
    requester = new_page("requester")
    reference = ask_for_role(
        requester,
        team="orders",
        account=ORDERS_STAGING,
        role_name=ROLE,
        managed_policy="limited",
        execution_roles="ecsTaskExecutionRole",
        task_roles="orders-api-task",
        reason="Blue/green for the repair shop, ORD-99",
    )
    wait_for_status(requester, reference, "In review")
    decide(new_page("approver"), reference, "approve")
    wait_for_status(requester, reference, "Blocked, 2 of 4 steps in place")
    assert not requester.get_by_role("link", name="Retry", exact=True).count()
    expect(requester.get_by_role("link", name="Ask for a retry in a comment")).to_be_visible()

    requester.goto(f"/requests/{reference}/run/1/")
    heads = requester.locator("main section > h2").all_inner_texts()
    assert heads == ["In place", "Not done", "What this means", "What you can do"]
    expect(requester.locator("#in-place")).to_contain_text(f"arn:aws:iam::{ORDERS_STAGING}:role/{ROLE}")
    for words in ("AWS refused at AttachRolePolicy: AccessDenied.", "User is not authorized", "roledesk-simulator"):
        expect(requester.locator("#not-done")).to_contain_text(words)
    role = portal.iam(ORDERS_STAGING).list_attached_role_policies(RoleName=ROLE)
    assert role["AttachedPolicies"] == []

    denied()
    operator = new_page("operator")
    operator.goto("/ops/jobs/")
    expect(operator.locator("#stuck")).to_contain_text("Blocked, 2 of 4 steps in place")
    operator.get_by_role("link", name=f"Retry {reference}").focus()
    operator.keyboard.press("Enter")
    operator.wait_for_url("**/operate/retry/")
    expect(operator.locator("main form button[type=submit]")).to_have_text("Retry from step 3")
    operator.locator("#act-reason").focus()
    operator.keyboard.type("The portal's role may attach policies again, OPS-12")
    operator.keyboard.press("Control+Enter")
    operator.wait_for_url(f"**/requests/{reference}/")
    expect(operator.locator("main .status").first).to_contain_text("Applied", timeout=APPLIED_WITHIN)

    role = portal.iam(ORDERS_STAGING).list_attached_role_policies(RoleName=ROLE)
    grant = f"arn:aws:iam::{ORDERS_STAGING}:policy/{ROLE}-PassRole"
    assert {policy["PolicyArn"] for policy in role["AttachedPolicies"]} == {LIMITED, grant}
    operator.goto(f"/requests/{reference}/")
    expect(operator.locator("#timeline")).to_contain_text("The portal's role may attach policies again, OPS-12")
    assert complaints == []
