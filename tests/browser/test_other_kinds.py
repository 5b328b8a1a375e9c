"""The further kinds of request by browser, each from the start page to AWS, and then its removal."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints, Portal
from tests.browser.test_main_job import ORDERS_STAGING, NewPage, decide, fill, reference_in, wait_for_status

NAME = "ecsInfrastructureRole-native"


def send(page: Page) -> str:
    """Checks the answers and sends them; returns the reference."""
    page.get_by_role("button", name="Check my answers").click()
    page.wait_for_url("**/check/")
    page.get_by_role("button", name="Send for approval").click()
    page.wait_for_url(re.compile(r"/requests/REQ-\d{6}/$"))
    return reference_in(page)


def test_an_infrastructure_role_comes_and_goes(portal: Portal, new_page: NewPage, complaints: Complaints) -> None:
    requester, approver = new_page("requester"), new_page("approver")
    requester.goto("/requests/new/?controller=ecs")
    requester.get_by_role("link", name="Ask for the infrastructure role").click()
    fill(requester, {"account": ORDERS_STAGING, "role_name": NAME, "reason": "Native blue/green, ORD-90"})
    reference = send(requester)
    wait_for_status(requester, reference, "In review")
    decide(approver, reference, "approve")
    wait_for_status(requester, reference, "Applied")
    iam: Any = portal.iam(ORDERS_STAGING)
    (statement,) = iam.get_role(RoleName=NAME)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": ["ecs.amazonaws.com"]}
    attached = iam.list_attached_role_policies(RoleName=NAME)["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["AmazonECSInfrastructureRolePolicyForLoadBalancers"]
    requester.locator("#terraform summary").click()
    expect(requester.locator("#terraform-text")).to_contain_text(f'resource "aws_iam_role" "{NAME}"')

    requester.get_by_role("link", name="Ask for removal").click()
    expect(requester.locator("select[name=role_name]")).to_have_value(NAME)
    fill(requester, {"confirm": "another", "reason": "The service is switched off, ORD-91"})
    requester.get_by_role("button", name="Check my answers").click()
    expect(requester.locator("#error-summary")).to_contain_text(f"Type the role's name exactly: {NAME}.")
    fill(requester, {"confirm": NAME})
    reference = send(requester)
    wait_for_status(requester, reference, "In review")
    decide(approver, reference, "approve")
    wait_for_status(requester, reference, "Applied")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName=NAME)
    assert complaints == []


def test_a_deployer_policy_comes_changes_and_goes(portal: Portal, new_page: NewPage, complaints: Complaints) -> None:
    """From the start page to AWS; the team attaches it, a change is a new name, the old one goes once unattached."""
    requester, approver = new_page("requester"), new_page("approver")
    requester.goto("/requests/new/")
    requester.locator("a[href='/requests/new/deployer/']").click()
    fill(
        requester,
        {
            "account": ORDERS_STAGING,
            "role_name": "orders-pipeline",
            "application": "browser-checkout",
            "cluster": "orders",
            "service": "checkout",
            "task_roles": "orders-api-task",
            "reason": "The pipeline deploys the checkout, ORD-95",
        },
    )
    preview = requester.locator("#preview-body")
    for role in ("ecsCodeDeployRole", "orders-api-task"):
        expect(preview.locator(f'[data-arn="arn:aws:iam::{ORDERS_STAGING}:role/{role}"]')).to_be_visible()
    reference = send(requester)
    wait_for_status(requester, reference, "In review")
    decide(approver, reference, "approve")
    wait_for_status(requester, reference, "Applied")
    iam: Any = portal.iam(ORDERS_STAGING)
    arn = f"arn:aws:iam::{ORDERS_STAGING}:policy/deployer/browser-checkout-Deployer"
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (policy["AttachmentCount"], policy["DefaultVersionId"]) == (0, "v1")
    expect(requester.locator("#attach-command")).to_contain_text(f"--role-name orders-pipeline --policy-arn {arn}")
    iam.attach_role_policy(RoleName="orders-pipeline", PolicyArn=arn)

    requester.get_by_role("link", name="Request a change").click()
    fill(requester, {"service": "checkout2", "reason": "The service has another name, ORD-96"})
    expect(preview).to_contain_text("browser-checkout-Deployer-r2")
    changed = send(requester)
    wait_for_status(requester, changed, "In review")
    decide(approver, changed, "approve")
    wait_for_status(requester, changed, "Applied")
    assert len(iam.list_policy_versions(PolicyArn=arn)["Versions"]) == 1
    assert len(iam.list_policy_versions(PolicyArn=f"{arn}-r2")["Versions"]) == 1
    iam.detach_role_policy(RoleName="orders-pipeline", PolicyArn=arn)

    requester.goto(f"/requests/{reference}/")
    requester.get_by_role("link", name="Ask for removal").click()
    expect(requester.locator("select[name=role_name]")).to_have_value("deployer/browser-checkout-Deployer")
    fill(requester, {"confirm": "browser-checkout-Deployer", "reason": "The new one is attached, ORD-97"})
    reference = send(requester)
    wait_for_status(requester, reference, "In review")
    decide(approver, reference, "approve")
    wait_for_status(requester, reference, "Applied")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_policy(PolicyArn=arn)
    assert complaints == []
