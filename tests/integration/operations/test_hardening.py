"""What the web server of production answers, by its real settings and database: headers, cookies, hosts, sizes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from tests.integration.operations.production import HOST, Installation

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="production runs on PostgreSQL")
PROGRAM = """
import json, re
import django
django.setup()
from django.conf import settings
from django.test import Client
from django.test.utils import override_settings
from iamroles.models import User

override_settings(STORAGES={**settings.STORAGES, "staticfiles": {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}).enable()  # nobody collected them here
HTTPS = {"x-forwarded-proto": "https", "host": "roles.corp.test"}


def told(answer):
    cookies = {name: {key: value for key, value in morsel.items() if value} for name, morsel in answer.cookies.items()}
    for kept in cookies.values():
        kept.pop("expires", None)
    return {"status": answer.status_code, "headers": dict(answer.headers), "cookies": cookies}


def client(**headers):
    return Client(enforce_csrf_checks=True, headers=HTTPS | headers)


ada, _ = User.objects.get_or_create(username="hardening", defaults={"email": "hardening@corp.test"})
ada.set_password("a long enough password")
ada.save()
found = {
    "plain": told(Client(headers={"host": "roles.corp.test"}).get("/accounts/login/?next=/ops/")),
    "page": told(client().get("/accounts/login/")),
    "other host": told(client(host="evil.example").get("/accounts/login/")),
    "forwarded host": told(client(**{"x-forwarded-host": "evil.example"}).get("/health/live/")),
    "health": told(Client(headers={"host": "roles.corp.test"}).get("/health/live/")),
}
browser = client()
browser.cookies[settings.SESSION_COOKIE_NAME] = "chosen-by-an-attacker-0000000000"
page = browser.get("/accounts/login/").content.decode()
token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
referer = {"referer": "https://roles.corp.test/accounts/login/"}
signing = {"login": "hardening", "password": "a long enough password", "csrfmiddlewaretoken": token}
found["forged"] = told(browser.post("/accounts/login/", signing, headers={"referer": "https://evil.example/"}))
answer = browser.post("/accounts/login/", signing, headers=referer)
found["signed in"] = told(answer)
found["session"] = answer.cookies[settings.SESSION_COOKIE_NAME].value
found["large"] = told(browser.post("/settings/", {"time_zone": "x" * 1_100_000}, headers=referer))
found["many"] = told(browser.post("/settings/", {f"f{n}": "" for n in range(501)}, headers=referer))
found["methods"] = told(browser.generic("TRACE", "/settings/"))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def answers(installation: Installation) -> dict[str, Any]:
    return dict(installation.ask(PROGRAM))


def test_every_page_carries_the_headers(answers: dict[str, Any]) -> None:
    headers = answers["page"]["headers"]
    named = (
        "Strict-Transport-Security",
        "X-Content-Type-Options",
        "X-Frame-Options",
        "Referrer-Policy",
        "Cross-Origin-Opener-Policy",
    )
    assert answers["page"]["status"] == 200
    assert {name: headers[name] for name in named} == {
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def test_the_content_security_policy_is_strict_and_reports(answers: dict[str, Any]) -> None:
    policy = answers["page"]["headers"]["Content-Security-Policy"]
    assert dict(part.strip().split(" ", 1) for part in policy.split(";")) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "report-uri": "/csp-report/",
    }


def test_plain_http_is_sent_to_https_and_gets_no_cookie(answers: dict[str, Any]) -> None:
    plain = answers["plain"]
    assert (plain["status"], plain["headers"]["Location"]) == (301, f"https://{HOST}/accounts/login/?next=/ops/")
    assert plain["cookies"] == {}
    assert answers["health"]["status"] == 200  # a load balancer asks without TLS


def test_cookies_are_of_this_host_over_tls_and_not_for_scripts(answers: dict[str, Any]) -> None:
    signed_in = answers["signed in"]
    assert (signed_in["status"], signed_in["headers"]["Location"]) == (302, "/")
    hardened = {"path": "/", "secure": True, "httponly": True, "samesite": "Lax"}
    assert signed_in["cookies"]["__Host-sessionid"].items() >= hardened.items()
    assert answers["page"]["cookies"]["__Host-csrftoken"].items() >= hardened.items()
    assert {"domain"} & {key for cookie in signed_in["cookies"].values() for key in cookie} == set()


def test_a_planted_session_is_not_taken_over(answers: dict[str, Any]) -> None:
    assert len(answers["session"]) == 32
    assert answers["session"] != "chosen-by-an-attacker-0000000000"


def test_a_form_from_elsewhere_is_refused(answers: dict[str, Any]) -> None:
    assert answers["forged"]["status"] == 403


@pytest.mark.parametrize(("case", "status"), [("other host", 400), ("large", 413), ("many", 400)])
def test_other_hosts_and_oversized_forms_are_refused(answers: dict[str, Any], case: str, status: int) -> None:
    assert answers[case]["status"] == status


def test_a_forwarded_host_is_not_believed(answers: dict[str, Any]) -> None:
    assert answers["forwarded host"]["status"] == 200
    assert "evil" not in str(answers["forwarded host"])


def test_pages_answer_known_methods_alone(answers: dict[str, Any]) -> None:
    assert answers["methods"]["status"] == 405
