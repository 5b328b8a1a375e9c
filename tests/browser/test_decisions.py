"""Deciding by browser: by keyboard alone, two approvers at once, a page that is stale, a sign-in that is too old."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints, Portal
from tests.browser.test_main_job import ORDERS_PROD, ORDERS_STAGING, ask_for_role, fill, wait_for_status

NewPage = Callable[..., Page]
AGED = """
import time
from django.contrib.sessions.models import Session
from django.contrib.sessions.backends.db import SessionStore
for row in Session.objects.all():
    session = SessionStore(row.session_key)
    for record in session.get("account_authentication_methods", []):
        record["at"] = time.time() - 3600
    session.modified = True
    session.save()
"""


@pytest.fixture
def ask(new_page: NewPage) -> Callable[..., str]:
    """Sends a request for a role and waits until it can be decided; returns its reference."""
    requester = new_page("requester")

    def send(name: str, account: str = ORDERS_STAGING, **more: str) -> str:
        answers = {"team": "orders", "account": account, "role_name": name, "managed_policy": "limited"}
        answers |= {"execution_roles": "ecsTaskExecutionRole", "task_roles": "orders-api-task", **more}
        reference = ask_for_role(requester, **answers, reason="Blue/green for a decision, ORD-300")
        wait_for_status(requester, reference, "In review")
        return reference

    return send


class Keys:
    """A keyboard that counts. A chord is one key."""

    def __init__(self, page: Page) -> None:
        self.page, self.pressed = page, 0

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.pressed += 1


def test_low_takes_three_keys(new_page: NewPage, ask: Callable[..., str], complaints: Complaints) -> None:
    low = ask("ecsCodeDeployRole-keys")
    page = new_page("approver")
    page.goto(f"/approvals/?q={low}")
    page.keyboard.press("j")
    keys = Keys(page)
    keys.press("Enter")
    page.wait_for_url(f"**/approvals/{low}/")
    page.keyboard.press("v")
    expect(page.locator("input[name=viewed]").first).to_be_checked()
    expect(page.locator("input[name=viewed]").nth(1)).to_be_focused()
    keys.press("a")
    keys.press("Control+Enter")
    expect(page.locator("main")).to_contain_text(f"{low} approved (1 of 1)")
    assert keys.pressed == 3
    wait_for_status(page, low, "Applied")
    expect(page.locator("main")).to_contain_text("1 section viewed")
    assert complaints == []


@pytest.fixture(scope="module")
def administrators(portal: Portal) -> list[str]:
    """Three task roles that may do everything: passing each is a finding of its own."""
    iam = portal.iam(ORDERS_STAGING)
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    names = [f"keys-administrator-{number}" for number in (1, 2, 3)]
    for name in names:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document(everything))
    return names


def document(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_high_takes_one_key_for_each_finding_and_three_more(
    new_page: NewPage, ask: Callable[..., str], administrators: list[str], complaints: Complaints
) -> None:
    spent = {}
    for findings in (1, 2, 3):
        reference = ask(f"ecsCodeDeployRole-keys-{findings}", task_roles="\n".join(administrators[:findings]))
        page = new_page("security")
        page.goto(f"/approvals/?q={reference}")
        page.keyboard.press("j")
        keys = Keys(page)
        keys.press("Enter")
        page.wait_for_url(f"**/approvals/{reference}/")
        boxes = page.locator("input[name=acknowledged]")
        keys.press("a")
        ticked = boxes.count()
        for box in boxes.all():
            expect(box).to_be_focused()  # its text is reached before it is ticked
            expect(box.locator("xpath=..")).to_be_in_viewport()
            expect(box).not_to_be_checked()
            keys.press("a")
            expect(box).to_be_checked()
        keys.press("Control+Enter")
        expect(page.locator("main")).to_contain_text(f"{reference} approved (1 of 2)")
        spent[ticked] = keys.pressed
    assert spent == {1: 4, 2: 5, 3: 6}
    assert complaints == []


def test_a_key_held_down_ticks_nothing_and_space_still_ticks(
    new_page: NewPage, ask: Callable[..., str], administrators: list[str], complaints: Complaints
) -> None:
    reference = ask("ecsCodeDeployRole-held", task_roles="\n".join(administrators))
    page = new_page("security")
    page.goto(f"/approvals/{reference}/")
    boxes = page.locator("input[name=acknowledged]")
    expect(boxes).to_have_count(3)
    for _ in range(9):
        page.keyboard.down("a")  # every one but the first says that the key is held
    page.keyboard.up("a")
    expect(boxes.first).to_be_focused()
    assert [box.is_checked() for box in boxes.all()] == [False] * 3
    page.keyboard.press("Space")
    page.keyboard.press("a")
    expect(boxes.nth(1)).to_be_focused()
    assert [box.is_checked() for box in boxes.all()] == [True, False, False]
    assert complaints == []


def test_one_of_two_who_decide_at_once_is_told_and_counts_once(
    new_page: NewPage, ask: Callable[..., str], complaints: Complaints
) -> None:
    reference = ask("ecsCodeDeployRole-race")
    pages = [new_page("approver"), new_page("approver")]
    for page in pages:
        page.goto(f"/approvals/{reference}/")
    for page in pages:
        page.locator("button[value=approve]").click(no_wait_after=True)
    words = []
    for page in pages:
        page.wait_for_function(
            "ref => !document.querySelector('#decide-form') || !location.href.includes(ref)", arg=reference
        )
        words.append(page.locator("main").inner_text())
    assert sorted("approved (1 of 1)" in text for text in words) == [False, True]
    wait_for_status(pages[0], reference, "Applied")
    assert pages[0].locator(".decision").count() == 1
    assert complaints == []


HIGH = {"managed_policy": "full", "why_full": "Hooks whose names cannot change"}  # needs an approver and security


def open_and_tick(new_page: NewPage, reference: str) -> dict[str, Page]:
    """The review page before each of the two who are needed, every finding ticked."""
    pages = {person: new_page(person) for person in ("approver", "security")}
    for page in pages.values():
        page.goto(f"/approvals/{reference}/")
        for box in page.locator("input[name=acknowledged]").all():
            box.check()
    return pages


def test_two_people_at_once_each_count_once(new_page: NewPage, ask: Callable[..., str], complaints: Complaints) -> None:
    reference = ask("ecsCodeDeployRole-two", **HIGH)
    pages = open_and_tick(new_page, reference)
    for page in pages.values():
        page.locator("button[value=approve]").click(no_wait_after=True)
    for page in pages.values():
        expect(page.locator("main")).to_contain_text(f"{reference} approved (")
    wait_for_status(page, reference, "Applied")
    assert page.locator(".decision").count() == 2
    assert complaints == []


@pytest.mark.parametrize(("first", "second"), [("approver", "security"), ("security", "approver")])
def test_the_second_is_told_what_the_first_decided(
    new_page: NewPage, ask: Callable[..., str], complaints: Complaints, first: str, second: str
) -> None:
    reference = ask(f"ecsCodeDeployRole-{first}", **HIGH)
    pages = open_and_tick(new_page, reference)
    pages[first].locator("textarea[name=reason]").fill("Limited is enough for these names")
    pages[first].locator("button[value=reject]").click()
    expect(pages[first].locator("main")).to_contain_text(f"{reference} is rejected")
    pages[second].locator("button[value=approve]").click()
    main = pages[second].locator("main")
    expect(main).to_contain_text(f"{reference} is no longer waiting for this decision")
    expect(main).to_contain_text("Limited is enough for these names")
    wait_for_status(pages[second], reference, "Rejected")
    assert pages[second].locator(".decision").count() == 1
    assert complaints == []


def test_a_stale_page_stores_nothing_and_shows_the_difference(
    new_page: NewPage, ask: Callable[..., str], complaints: Complaints
) -> None:
    reference = ask("ecsCodeDeployRole-stale", account=ORDERS_PROD)
    approver, requester = new_page("approver"), new_page("requester")
    approver.goto(f"/approvals/{reference}/")
    approver.locator("textarea[name=reason]").fill("I have seen it")
    requester.goto(f"/requests/new/role/?draft={reference}")
    fill(requester, {"task_roles": "orders-worker-task"})
    requester.get_by_role("button", name="Check my answers").click()
    requester.wait_for_url("**/check/")
    requester.get_by_role("button", name="Send for approval").click()
    requester.wait_for_url("**/requests/REQ-*/")
    wait_for_status(requester, reference, "In review")
    approver.locator("button[value=approve]").click()
    main = approver.locator("main")
    expect(main).to_contain_text("What changed")
    expect(main).to_contain_text("orders-worker-task")
    expect(main).to_contain_text("I have seen it")
    wait_for_status(requester, reference, "In review")
    assert requester.locator(".decision").count() == 0
    assert complaints == []


def test_an_old_sign_in_is_renewed_and_what_was_typed_comes_back(
    portal: Portal, new_page: NewPage, ask: Callable[..., str], complaints: Complaints
) -> None:
    reference = ask("ecsCodeDeployRole-old")
    page = new_page("approver")
    page.goto(f"/approvals/{reference}/")
    page.locator("input[name=viewed]").first.check()
    page.locator("textarea[name=reason]").fill("Seen with Rosa")
    aged = portal.manage("shell", "-c", AGED)
    assert aged.returncode == 0, aged.stderr
    before = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}["sessionid"]
    page.locator("button[value=approve]").click()
    page.wait_for_url("**/accounts/reauthenticate/?next=*")
    assert "Seen" not in page.url
    page.get_by_role("button", name="I am Amara Okafor").click()
    page.wait_for_url(f"**/approvals/{reference}/")
    expect(page.locator("textarea[name=reason]")).to_have_value("Seen with Rosa")
    expect(page.locator("input[name=viewed]").first).to_be_checked()
    after = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}["sessionid"]
    assert after != before
    page.locator("button[value=approve]").click()
    expect(page.locator("main")).to_contain_text(f"{reference} approved (1 of 1)")
    assert complaints == []
