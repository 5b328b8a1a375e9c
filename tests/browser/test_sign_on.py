"""Single sign-on in a browser, at a real identity provider: coming in, deciding with an old sign-in, losing a group."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser import identity_provider
from tests.browser.conftest import Complaints, Portal
from tests.browser.test_decisions import AGED
from tests.browser.test_decisions import ask as ask  # noqa: PLC0414  # a fixture
from tests.browser.test_main_job import wait_for_status

NewPage = Callable[..., Page]
# What two people say on Operations, Single sign-on; that page has its own tests.
FILLED = """
from datetime import UTC, datetime
from iamroles.audit import Actor
from iamroles.models import User
from iamroles.workflow import changes
proposing = User.objects.filter(groups__name="operators").first()
confirming = User.objects.filter(groups__name="security").exclude(pk=proposing.pk).first()
for target, value in (("approvers", "iam-approvers"), ("team:orders", "app-orders")):
    at = datetime.now(UTC)
    by = [Actor(type="user", id=str(one.pk), name=one.display_name) for one in (proposing, confirming)]
    change = changes.propose(subject="provider_groups", target=target, content={"values": [value]},
        reason="As the directory has it", user=proposing, signed_in_at=at, actor=by[0], at=at)
    changes.confirm(change_id=change.pk, seen_digest=change.digest, user=confirming, signed_in_at=at,
        actor=by[1], at=at)
"""
LATER = (
    AGED
    + """
from datetime import UTC, datetime, timedelta
from iamroles.models import ProviderWord
ProviderWord.objects.update(at=datetime.now(UTC) - timedelta(hours=1))
"""
)


class Corp:
    """The provider: who is in which of its groups, and its sign-in page."""

    def __init__(self, url: str) -> None:
        self.url = url

    def put(self, **groups: list[str]) -> None:
        """Puts people into exactly these groups."""
        query = urlencode({login: ",".join(names) for login, names in groups.items()})
        with urllib.request.urlopen(f"{self.url}/directory/?{query}", timeout=30) as answer:
            assert answer.status == 204

    def sign_in(self, page: Page, login: str) -> None:
        """Answers the provider's question for a password."""
        page.wait_for_url(f"{self.url}/sign-in/**")
        page.locator("input[name=username]").fill(login)
        page.locator("input[name=password]").fill(identity_provider.PASSWORD)
        page.get_by_role("button", name="Sign in").click()


@pytest.fixture(scope="module")
def corp(portal: Portal) -> Iterator[Corp]:
    """The provider that the portal was started for; its groups fill approvers and a team."""
    with tempfile.TemporaryDirectory(prefix="roledesk-provider-") as folder:
        port = portal.identity_provider.rsplit(":", 1)[1]
        command = [sys.executable, identity_provider.__file__, port, folder, portal.url.rstrip("/")]
        with Path(folder, "log").open("w") as log:
            process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=log)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", Path(folder, "log").read_text()
        said = portal.manage("shell", "-c", FILLED)
        assert said.returncode == 0, said.stderr
        yield Corp(portal.identity_provider)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait(5)
        process.stdout.close()


def later(portal: Portal) -> None:
    """An hour passes, for every session and for the provider's word."""
    said = portal.manage("shell", "-c", LATER)
    assert said.returncode == 0, said.stderr


def come(page: Page, corp: Corp, login: str) -> None:
    """Comes in by the button of the sign-in page."""
    page.goto("/accounts/login/?next=/requests/")
    page.get_by_role("button", name="Sign in with Corp").click()
    corp.sign_in(page, login)
    page.wait_for_url("**/requests/")


def test_an_old_sign_in_is_renewed_at_the_provider_and_the_reason_comes_back(
    portal: Portal, corp: Corp, new_page: NewPage, ask: Callable[..., str], complaints: Complaints
) -> None:
    corp.put(nia=["iam-approvers", "everybody"])
    page = new_page()
    come(page, corp, "nia")
    expect(page.get_by_role("banner")).to_contain_text("Nia Holt")
    reference = ask("ecsCodeDeployRole-corp")
    page.goto(f"/approvals/{reference}/")
    page.locator("textarea[name=reason]").fill("Seen with the owner")
    later(portal)
    page.locator("button[value=approve]").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    page.get_by_role("button", name="Sign in again at Corp").click()
    corp.sign_in(page, "nia")  # though the provider's own session still stands
    page.wait_for_url(f"**/approvals/{reference}/")
    expect(page.locator("textarea[name=reason]")).to_have_value("Seen with the owner")
    page.locator("button[value=approve]").click()
    expect(page.locator("main")).to_contain_text(f"{reference} approved (1 of 1)")
    wait_for_status(page, reference, "Applied")
    assert complaints == []


def test_whoever_leaves_a_group_there_loses_it_when_confirming_and_at_the_sign_in(
    portal: Portal, corp: Corp, new_page: NewPage, complaints: Complaints
) -> None:
    corp.put(omar=["iam-approvers", "app-orders"])
    page = new_page()
    come(page, corp, "omar")
    page.goto("/approvals/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Approvals")
    corp.put(omar=["app-orders"])
    page.goto("/accounts/confirm/sso/?next=/approvals/")
    page.get_by_role("button", name="Sign in again at Corp").click()
    corp.sign_in(page, "omar")
    expect(page.locator("main")).to_contain_text("The approval queue is for approvers")

    corp.put(omar=[])
    page.goto("/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/")
    page.get_by_role("button", name="Sign in with Corp").click()  # the provider's session still stands
    page.wait_for_url(lambda url: url == portal.url)
    expect(page.locator("main")).to_contain_text("You belong to no team yet")
    assert complaints == []
