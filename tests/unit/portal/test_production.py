"""Production refuses to start half-configured, on a simulated AWS, and with the demo's ways in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
GOOD = {
    "DJANGO_SETTINGS_MODULE": "portal.settings.production",
    "SECRET_KEY": "k" * 64,
    "BASE_URL": "https://roledesk.example.org",
    "DATABASE_URL": "postgresql://roledesk:x@127.0.0.1:5432/roledesk",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
}

SIGN_ON = {
    "ROLEDESK_OIDC_ISSUER": "https://id.example.org/realms/staff/",
    "ROLEDESK_OIDC_CLIENT_ID": "roledesk",
    "ROLEDESK_OIDC_CLIENT_SECRET": "s",
}


def start(program: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **GOOD}
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


LOAD = "import django; django.setup(); print('started')"


def test_starts_with_everything_it_needs() -> None:
    answer = start(LOAD)
    assert (answer.returncode, answer.stdout) == (0, "started\n"), answer.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SECRET_KEY": None}, "SECRET_KEY is not set"),
        ({"SECRET_KEY": "change-me" + "x" * 60}, "SECRET_KEY is a default"),
        ({"SECRET_KEY": "short"}, "shorter than 50 characters"),
        ({"BASE_URL": None}, "BASE_URL is not set"),
        ({"ROLEDESK_BREACHED_DIGESTS": "/nowhere/stolen.txt"}, "/nowhere/stolen.txt, which cannot be read"),
        ({"BASE_URL": "http://roledesk.example.org"}, "BASE_URL begins with https://"),
        ({"DATABASE_URL": "sqlite:///x"}, "Production needs PostgreSQL"),
        ({"REDIS_URL": None}, "REDIS_URL is not set"),
        ({"ROLEDESK_AWS_ENDPOINT": "http://127.0.0.1:5000"}, "points at a simulator"),
        ({"AWS_ENDPOINT_URL_IAM": "http://127.0.0.1:5000"}, "AWS_ENDPOINT_URL_IAM sends AWS calls elsewhere"),
        ({"ROLEDESK_PROCESS": "web"}, "ROLEDESK_KEYS_DIR is not set"),
        ({"ROLEDESK_PROCESS": "tend"}, "DATABASE_SEALER_URL is not set"),
        (
            {"ROLEDESK_PROCESS": "web", "ROLEDESK_KEYS_DIR": "/k", "DATABASE_OWNER_URL_FILE": "/k"},
            "The web process must not hold DATABASE_OWNER_URL_FILE",
        ),
        (
            {"ROLEDESK_PROCESS": "web", "ROLEDESK_SIGNING_KEY_FILE": "/k", "AWS_SECRET_ACCESS_KEY": "x"},
            "The web process must not hold AWS_SECRET_ACCESS_KEY",
        ),
        (
            {
                "ROLEDESK_PROCESS": "worker",
                "ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE": "/k",
                "ROLEDESK_SIGNING_KEY_FILE": "/k",
            },
            "The worker process must not hold ROLEDESK_SIGNING_KEY_FILE",
        ),
        ({"ROLEDESK_OIDC_ISSUER": "https://id.example.org"}, "Set all three, or none"),
        ({**SIGN_ON, "ROLEDESK_OIDC_ISSUER": "http://id.example.org"}, "Use the issuer's address: https://"),
        ({**SIGN_ON, "ROLEDESK_OIDC_ISSUER": "http://127.0.0.1:9000"}, "begins with https:// in production"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_refuses(changes: dict[str, str | None], words: str) -> None:
    answer = start(LOAD, **changes)
    assert answer.returncode != 0
    assert words in answer.stderr


def test_single_sign_on_is_three_variables() -> None:
    program = """
import django; django.setup()
from django.conf import settings
(app,) = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]
print(app["provider_id"], app["client_id"], app["secret"], app["settings"]["server_url"])
print(*settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"])
"""
    answer = start(program, **SIGN_ON, ROLEDESK_OIDC_MORE_ORIGINS="https://login.example.net")
    assert answer.stdout.splitlines() == [
        "sso roledesk s https://id.example.org/realms/staff",
        "'self' https://id.example.org https://login.example.net",
    ], answer.stderr


def test_has_no_way_in_without_a_password() -> None:
    program = """
import django; django.setup()
from django.urls import Resolver404, resolve
from django.conf import settings
assert settings.ROLEDESK_DEMO is False and "portal.demo" not in settings.INSTALLED_APPS
for path in ("/demo/continue/", "/demo/switch/", "/admin/"):
    try:
        resolve(path)
    except Resolver404:
        continue
    raise SystemExit(path)
assert resolve("/accounts/login/").url_name == "account_login", resolve("/accounts/login/").url_name
print("none")
"""
    answer = start(program)
    assert (answer.returncode, answer.stdout) == (0, "none\n"), answer.stderr


def test_the_demo_views_refuse_to_load_outside_the_demo() -> None:
    answer = start("import django; django.setup(); import portal.demo.views")
    assert "portal.demo is for demo settings alone" in answer.stderr


@pytest.mark.parametrize(("process", "seconds"), [("command", 1), ("worker", 15)])
def test_only_a_worker_waits_for_the_broker(process: str, seconds: int) -> None:
    program = "from portal.settings import base; print(base.REDIS_TRANSPORT_OPTIONS['socket_timeout'])"
    assert start(program, ROLEDESK_PROCESS=process).stdout.strip() == str(seconds)
