"""The frame of every page: sign-in, theme, error pages with navigation, policy headers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from iamroles.web.views import home
from tests.integration.web_forms.conftest import World
from tests.integration.web_forms.reading import text_of, title_of


def test_sign_in_looks_like_the_rest(db: Any) -> None:
    page = Client().get("/accounts/login/")
    assert title_of(page) == "Sign in – Roledesk"
    assert '<html lang="en-GB">' in text_of(page)
    assert "iamroles/roledesk.css" in text_of(page)
    assert "sign up" not in text_of(page).lower()


@pytest.mark.parametrize("login", ["requester", "nobody"])
def test_a_failed_sign_in_does_not_tell_who_exists(world: World, login: str) -> None:
    page = Client().post("/accounts/login/", {"login": login, "password": "wrong password"})
    box = re.search(r'id="error-summary".*?</ul>', text_of(page), flags=re.DOTALL)
    assert box
    said = "User name or password is wrong. Check both: capitals matter."
    assert re.findall(r"<li>(.*?)</li>", box.group(0)) == [said]
    assert f'value="{login}"' in text_of(page)


@pytest.mark.parametrize(
    "path", ["/accounts/2fa/", "/accounts/sessions/", "/accounts/logout/", "/accounts/password/change/"]
)
def test_account_pages_keep_the_frame(client: Client, path: str) -> None:
    page = client.get(path, follow=True)
    assert page.status_code == 200
    assert '<main id="main" tabindex="-1">' in text_of(page)


@pytest.mark.parametrize(
    ("theme", "attribute"), [("dark", ' data-theme="dark"'), ("light", ' data-theme="light"'), ("x", "")]
)
def test_the_server_writes_the_theme(client: Client, theme: str, attribute: str) -> None:
    client.cookies["theme"] = theme
    assert f'<html lang="en-GB"{attribute}>' in text_of(client.get("/"))


def test_an_unknown_address_offers_search(client: Client) -> None:
    page = client.get("/nothing/here/")
    assert page.status_code == 404
    assert 'aria-label="Main"' in text_of(page)
    assert 'id="search-again"' in text_of(page)


def test_a_failure_shows_a_number_and_keeps_the_navigation(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(home, "home_of", fail)
    client.raise_request_exception = False
    page = client.get("/")
    assert page.status_code == 500
    assert re.search(r'data-copy="[0-9a-f]{8}"', text_of(page))
    assert 'aria-label="Main"' in text_of(page)
    assert "on purpose" not in text_of(page)


def test_a_form_without_its_token_says_what_to_do(world: World) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.people["requester"], backend="django.contrib.auth.backends.ModelBackend")
    page = strict.post("/requests/new/role/", {})
    assert page.status_code == 403
    assert "This page was open for too long, or cookies are off." in text_of(page)


def test_nothing_is_inline_and_the_policy_forbids_it(client: Client) -> None:
    page = client.get("/requests/new/role/")
    policy = page["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"\sstyle=|<style|\son[a-z]+=", text_of(page)) == []
    assert page["Vary"].count("HX-Request") == 1


@pytest.mark.parametrize("body", [b"{}", b"nonsense", b'{"csp-report": {"blocked-uri": "inline"}}', b"[]"])
def test_reports_of_violations_are_taken(db: Any, body: bytes) -> None:
    assert Client().post("/csp-report/", body, content_type="application/csp-report").status_code == 204


def test_pages_of_people_are_not_stored(client: Client, signed_in: Callable[[str], Client]) -> None:
    assert client.get("/")["Cache-Control"] == "private, no-store"
