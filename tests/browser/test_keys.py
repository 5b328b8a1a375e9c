"""Single keys on the review page: they lead to the decision's controls and never decide by themselves."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.conftest import Complaints

NewPage = Callable[..., Page]
FOCUSED = "() => [document.activeElement.name, document.activeElement.value]"


def test_keys_lead_to_the_decision_and_do_not_decide(new_page: NewPage, complaints: Complaints) -> None:
    page = new_page("approver")
    page.goto("/approvals/?risk=high")
    page.locator("[data-row] a").first.click()
    ticks = page.locator("input[name=acknowledged]")
    ticks.first.wait_for()
    for number in range(ticks.count()):
        page.keyboard.press("a")
        assert page.evaluate(FOCUSED) == ["acknowledged", ticks.nth(number).get_attribute("value")]
        assert not ticks.nth(number).is_checked()
        page.keyboard.press("Space")
    page.keyboard.press("a")
    assert page.evaluate(FOCUSED) == ["reason", ""]
    address = page.url
    page.locator("h1").click()
    for key, decision, words in (("e", "changes", "Say what should change"), ("r", "reject", "Say what speaks")):
        page.keyboard.press(key)
        assert page.evaluate(FOCUSED) == ["decision", decision]
        assert page.url == address
        page.keyboard.press("Control+Enter")  # what has the focus is sent, not the form's first button
        page.locator("#error-summary").filter(has_text=words).wait_for()
        page.locator("h1").click()
        address = page.url
    assert complaints == []
