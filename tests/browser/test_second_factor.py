"""Second factors in a browser: set up where a group demands one, used at signing in; and every page of signing in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import hotp_value, yield_hotp_counters_from_time
from django.urls import URLPattern, URLResolver, get_resolver
from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints, Portal

NewPage = Callable[..., Page]
PASSWORD = "a long password of theirs"
PEOPLE = f"""
from datetime import UTC, datetime
from iamroles.audit import Actor
from iamroles.workflow import organisation
for login in ("pia", "kai", "lea"):
    organisation.add_person(login=login, first_name=login.title(), last_name="Berg", password={PASSWORD!r},
        groups=("break-glass",) if login != "lea" else (), teams=(), at=datetime.now(UTC),
        actor=Actor(type="system", id="test", name="Test", channel="command"))
"""
# Each ends something or needs a thing of its own: what they show is asked for by a test or has no page.
NOT_OPENED = {"account_logout", "mfa_download_recovery_codes", "confirm_at_provider"}


@pytest.fixture(scope="module", autouse=True)
def people(portal: Portal) -> None:
    """Pia and Kai, of a group that demands a second factor, and Lea, of whom nobody demands one."""
    said = portal.manage("shell", "-c", PEOPLE)
    assert said.returncode == 0, said.stderr


@pytest.fixture
def by_name(portal: Portal, new_page: NewPage) -> Page:
    """A page at the portal's other name: security keys belong to a name, not to an IP address."""
    page = new_page()
    page.goto(portal.url.replace("127.0.0.1", "localhost") + "accounts/login/")
    return page


def enter(page: Page, login: str) -> None:
    """Types name and password on the page of signing in."""
    page.locator("input[name=login]").fill(login)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("form:has(input[name=password]) button[type=submit]").click()


def confirm(page: Page) -> None:
    """Confirms once more, as the demo does it: whoever finds a session adds no key to it."""
    page.wait_for_url("**/accounts/reauthenticate/**")
    page.get_by_role("button", name="I am ").click()


def sign_out(page: Page) -> None:
    page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/")[2] + "/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/")


def codes(secret: str) -> list[str]:
    """The codes that an authenticator app shows now, and in half a minute: each counts once."""
    now = next(iter(yield_hotp_counters_from_time()))
    return [f"{hotp_value(secret, counter):06d}" for counter in (now, now + 1)]


def test_an_app_is_set_up_because_a_group_demands_it_and_signs_in(new_page: NewPage, complaints: Complaints) -> None:
    page = new_page()
    page.goto("/accounts/login/?next=/requests/")
    enter(page, "pia")
    expect(page.get_by_role("heading", level=1)).to_have_text("Set up a second factor")
    page.get_by_role("link", name="Set up an app").click()
    confirm(page)
    secret = str(page.locator("[data-copy-name='the secret']").get_attribute("data-copy"))
    first, second = codes(secret)
    page.locator("input[name=code]").fill(first)
    page.get_by_role("button", name="Set up the app").click()
    page.wait_for_url("**/recovery-codes/")
    recovery = page.locator("#recovery-codes").inner_text().split()
    assert len(recovery) == 10
    page.goto("/accounts/2fa/webauthn/add/")  # keys belong to a name, and this is an IP address
    page.get_by_role("button", name="Add this key").click()
    expect(page.locator("#status-line")).to_contain_text("Your browser gave no security key.")
    page.goto("/requests/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Requests")

    for code in (second, recovery[0]):
        sign_out(page)
        enter(page, "pia")
        page.wait_for_url("**/accounts/2fa/authenticate/**")
        page.locator("input[name=code]").first.fill(code)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/accounts/" not in url)
    sign_out(page)
    enter(page, "pia")
    page.locator("input[name=code]").first.fill(recovery[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#error-summary")).to_be_visible()
    assert complaints == []


@pytest.fixture
def security_key(by_name: Page) -> Iterator[Any]:
    """A security key in the browser of that page."""
    session = by_name.context.new_cdp_session(by_name)
    session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    yield lambda: session.send("WebAuthn.getCredentials", made)["credentials"]
    session.detach()


def test_a_security_key_is_added_and_signs_in(by_name: Page, security_key: Any, complaints: Complaints) -> None:
    enter(by_name, "kai")
    by_name.get_by_role("link", name="Add a security key").click()
    confirm(by_name)
    by_name.locator("input[name=name]").fill("Kai's key")
    by_name.get_by_role("button", name="Add this key").click()
    by_name.wait_for_url("**/recovery-codes/**")
    (before,) = security_key()
    sign_out(by_name)
    enter(by_name, "kai")
    by_name.wait_for_url("**/accounts/2fa/authenticate/**")
    by_name.get_by_role("button", name="Use your security key").click()
    by_name.wait_for_url(lambda url: "/accounts/" not in url)
    (after,) = security_key()
    assert after["signCount"] > before["signCount"]
    assert complaints == []


def test_every_page_of_signing_in_is_ours_and_keeps_the_content_policy(
    new_page: NewPage, complaints: Complaints
) -> None:
    page = new_page()
    opened = [address for address in addresses() if address[1] not in NOT_OPENED]
    for path, name in opened:
        if name in ("account_login", "account_reset_password", "socialaccount_login_cancelled"):
            assert ours(page, path), path
    page.goto("/accounts/login/")
    enter(page, "lea")
    page.wait_for_url(lambda url: "/accounts/" not in url)
    within = {name for path, name in opened if ours(page, path)}
    assert {"usersessions_list", "mfa_index", "account_change_password", "socialaccount_connections"} <= within
    assert [line for line in complaints if "Failed to load resource" not in line] == []


def ours(page: Page, path: str) -> bool:
    """Opens the address and returns whether it has a page there; what it shows is one of ours, whole."""
    answer = page.goto(path)
    assert answer is not None
    assert answer.status in (200, 401, 403, 404, 405), path
    if answer.status != 405:
        found = "[document.querySelectorAll('main h1').length, getComputedStyle(document.body).fontFamily]"
        headings, font = page.evaluate(found)
        assert (headings, font.startswith("system-ui")) == (1, True), path
    return answer.status == 200


def addresses() -> list[tuple[str, str]]:
    """Every address below /accounts/ that stands for one page, with its name."""
    return sorted(_below(get_resolver("portal.urls").url_patterns, "/"))


def _below(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern).lstrip("^").rstrip("$")
        if isinstance(pattern, URLResolver):
            yield from _below(pattern.url_patterns, path)
        elif path.startswith("/accounts/") and "<" not in path and "(" not in path and pattern.name:
            yield path, pattern.name
