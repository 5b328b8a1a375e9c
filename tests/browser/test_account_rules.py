"""The guardrail of an AWS account by browser: one operator proposes it, another confirms it, and it holds."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints
from tests.browser.test_main_job import ORDERS_STAGING, NewPage, ask_for_role, wait_for_status

GUARDRAIL = f"/ops/accounts/{ORDERS_STAGING}/rules/guardrail/"
GUARDED = f"arn:aws:iam::{ORDERS_STAGING}:role/browser-vault-task"
# Everything but passing one role on, so that nothing of the other tests leaves it.
RULE = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "iam:PassRole", "Resource": GUARDED},
    ],
}


def propose(page: Page, text: str, reason: str) -> str:
    """Proposes these documents on the guardrail's page; returns the address of the change."""
    page.goto(GUARDRAIL)
    page.get_by_label("Documents").fill(text)
    page.get_by_label("Why").fill(reason)
    page.get_by_role("button", name="Propose these documents").click()
    if page.get_by_role("heading", name="Confirm that it is you").count():  # what was typed comes back filled in
        page.get_by_role("button", name="I am ").click()
        page.get_by_role("button", name="Propose these documents").click()
    page.wait_for_url(re.compile(r"/ops/changes/\d+/$"))
    return page.url


def confirm(page: Page, address: str) -> None:
    """Confirms the change as somebody else."""
    page.goto(address)
    page.get_by_role("button", name="Confirm CHG-").click()
    expect(page.locator("main .status").first).to_have_text("Confirmed")


def test_two_people_set_a_guardrail_and_no_request_goes_beyond_it(new_page: NewPage, complaints: Complaints) -> None:
    operator, other, requester = new_page("operator"), new_page("security"), new_page("requester")
    operator.goto(GUARDRAIL)
    operator.get_by_label("Documents").fill(json.dumps(RULE).replace("iam:PassRole", "i\u0430m:PassRole"))
    operator.get_by_label("Why").fill("Nobody deploys with the vault's role")
    operator.get_by_role("button", name="Propose these documents").click()
    expect(operator.locator("#error-summary")).to_contain_text("a Cyrillic letter that can look like a Latin one")
    address = propose(operator, json.dumps(RULE), "Nobody deploys with the vault's role")
    expect(operator.locator("#decide")).to_contain_text("You proposed this, so someone else must confirm it")
    confirm(other, address)
    operator.goto(GUARDRAIL)
    expect(operator.locator("main")).to_contain_text("Version 1 is in force.")

    answers = {"account": ORDERS_STAGING, "role_name": "ecsCodeDeployRole-vault", "reason": "For the vault, ORD-60"}
    reference = ask_for_role(requester, task_roles="browser-vault-task", **answers)
    wait_for_status(requester, reference, "In review")
    other.goto(f"/approvals/{reference}/")
    expect(other.locator("main")).to_contain_text("The role could do what the guardrail of orders-staging forbids")
    expect(other.locator("main .risk").first).to_contain_text("Forbidden")
    expect(other.locator("button[value=approve]")).to_have_count(0)

    confirm(other, propose(operator, "", "The vault deploys like everything else now"))
    operator.goto(GUARDRAIL)
    expect(operator.locator("main")).to_contain_text("None is set.")
    assert complaints == []
