"""From a role ARN to printed proof in four actions, what the print holds, and a bundle and Verify now by browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import printed
from tests.browser.conftest import Complaints, Portal
from tests.browser.test_main_job import ORDERS_STAGING, ask_for_role, decide, wait_for_status

NewPage = Callable[..., Page]


MARGIN = 14 / 25.4 * 72 - 1  # points right of the text by the print stylesheet, less a rounding
A4 = (688, 1001)  # pixels inside the margins of the print stylesheet, 182 by 265 mm at 96 a inch


def on_the_first_page(page: Page, text: str) -> bool:
    """Whether the text stands on the first sheet: the print layout is a long column that is cut every 265 mm."""
    box = page.get_by_text(text).first.bounding_box()
    return box is not None and box["y"] + box["height"] <= A4[1]


def test_from_a_role_arn_to_printed_proof_in_four_actions(
    portal: Portal, new_page: NewPage, complaints: Complaints, tmp_path: Path
) -> None:
    requester = new_page("requester")
    reference = ask_for_role(
        requester, account=ORDERS_STAGING, role_name="ecsCodeDeployRole-proof", reason="Evidence, ORD-77 for the audit"
    )
    wait_for_status(requester, reference, "In review")
    decide(new_page("approver"), reference, "approve")
    wait_for_status(requester, reference, "Applied")

    page = new_page("auditor")
    page.goto("/")
    # 1. paste the ARN and press Enter
    page.locator("#search").fill(f"arn:aws:iam::{ORDERS_STAGING}:role/ecsCodeDeployRole-proof")
    page.keyboard.press("Enter")
    page.wait_for_url("**/requests/?q=*")
    # 2. open the request
    page.locator(f"li:has-text('{reference}') a").first.click()
    page.wait_for_url(f"**/requests/{reference}/")
    # 3. open its evidence
    page.get_by_role("link", name="Evidence").click()
    page.wait_for_url("**/evidence/")
    digest = page.locator("dd.arn").first.inner_text().replace("\u200b", "")
    # 4. print
    pdf = page.pdf(format="A4")

    assert len(digest) == 64
    sheets = printed.read(pdf)
    assert len(sheets) >= 2
    assert f"Evidence:{reference}" in sheets[0].text
    assert digest in sheets[0].text
    assert {sheet.width - stretch.right > MARGIN for sheet in sheets for stretch in sheet.stretches} == {True}
    everything = "".join(sheet.text for sheet in sheets)
    code = [line for text in page.locator("pre:visible").all_inner_texts() for line in text.splitlines()]
    assert len(code) > 20
    assert [line for line in code if "".join(line.split()) not in everything] == []
    page.emulate_media(media="print")
    page.set_viewport_size({"width": A4[0], "height": A4[1]})
    assert on_the_first_page(page, f"Evidence: {reference}")
    assert on_the_first_page(page, digest[:12])
    text = page.locator("main").inner_text()
    for part in (
        "CreateRole",
        "AWS read back",
        "Equal, ",
        "How to verify",
        "demo.roledesk.localhost/audit/1",
        "2012-10-17",
    ):
        assert part in text, part
    # Code that is wider than its box would be cut off on paper.
    assert page.locator("pre").count() > 2
    assert page.locator("pre").evaluate_all("all => all.filter(e => e.scrollWidth > e.clientWidth + 1).length") == 0
    assert page.locator("body").evaluate("e => e.scrollWidth") <= A4[0]
    assert complaints == []


def test_a_bundle_from_the_page_verifies_and_verify_now_answers(
    portal: Portal, new_page: NewPage, complaints: Complaints, tmp_path: Path
) -> None:
    page = new_page("auditor")
    page.goto("/exports/new/?tab=decisions")
    with page.expect_download() as caught:
        page.get_by_role("link", name=re.compile("as a bundle")).click()
    bundle = tmp_path / "evidence.zip"
    caught.value.save_as(bundle)
    key = portal.manage("audit", "checkpoint", "--vkey").stdout.strip()
    script = Path(__file__).parents[2] / "iamroles/audit/evidence/verify.py"
    done = subprocess.run([sys.executable, str(script), str(bundle), "--key", key], check=False, capture_output=True)
    assert done.returncode == 0, done.stdout
    page.goto("/audit/")
    page.get_by_role("button", name="Verify now").click()
    page.wait_for_url("**/audit/verifications/*/")
    expect(page.locator("[data-result]")).to_be_visible(timeout=30_000)
    assert page.locator("[data-result]").get_attribute("data-result") == "ok", page.locator("main").inner_text()
    assert complaints == []
