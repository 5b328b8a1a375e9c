"""The browser lanes run the product as `make demo` starts it: real web server, worker process, tend, simulated AWS.

Nothing is shared with a demo of yours: its folder is a temporary one. On PostgreSQL the same demo gets ROLEDESK_DEMO_*.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from portal.demo.simulated import administrator
from tests.browser.identity_provider import CLIENT_ID, SECRET

ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = ("--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")


@dataclass
class Portal:
    """A running demo: its address, its folder, what `var/demo.json` says, the AWS it talks to.

    `identity_provider` is where it looks for one, which test_sign_on starts.
    """

    url: str
    var: Path
    people: dict[str, dict[str, str]]
    aws_endpoint: str
    identity_provider: str
    process: subprocess.Popen[str]

    def iam(self, number: str) -> Any:
        """An IAM client of one simulated AWS account, as an administrator beside the portal would have."""
        return administrator(self.aws_endpoint, number)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One management command on the demo's data."""
        environment = {
            **os.environ,
            "ROLEDESK_VAR": str(self.var),
            **servers(),
            "DJANGO_SETTINGS_MODULE": "portal.settings.demo",
        }
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False, timeout=120
        )


def servers() -> dict[str, str]:
    """What makes the demo use the lane's PostgreSQL and Redis instead of files; nothing on the SQLite lane."""
    return {f"ROLEDESK_DEMO_{n}": os.environ[n] for n in ("DATABASE_URL", "REDIS_URL") if os.environ.get(n)}


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def portal() -> Iterator[Portal]:
    """The demo, started once for the lane."""
    with tempfile.TemporaryDirectory(prefix="roledesk-browser-") as folder:
        var = Path(folder) / "var"
        port = free_port()
        environment = {**os.environ, "ROLEDESK_VAR": str(var), "PORT": str(port)}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        environment |= servers()
        provider = f"http://127.0.0.1:{free_port()}"
        environment |= {
            "ROLEDESK_OIDC_ISSUER": f"{provider}/o",
            "ROLEDESK_OIDC_CLIENT_ID": CLIENT_ID,
            "ROLEDESK_OIDC_CLIENT_SECRET": SECRET,
            "ROLEDESK_OIDC_NAME": "Corp",
            "ROLEDESK_OIDC_CREATES_PEOPLE": "1",
            "ROLEDESK_MFA_GROUPS": "break-glass",  # whose people test_second_factor makes
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "portal.demo.supervisor"],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if line.startswith("Roledesk is ready at"):
                break
        else:
            logs = "\n".join(f"== {p.name}\n{p.read_text()[-2000:]}" for p in (var / "logs").glob("*.log"))
            pytest.fail(f"The demo did not start: {''.join(seen)}\n{logs}")
        summary = json.loads((var / "demo.json").read_text())
        yield Portal(summary["url"], var, summary["people"], summary["aws_endpoint"], provider, process)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait(5)
        process.stdout.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium from the system."""
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else list(FLAGS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("ROLEDESK_CHROMIUM") or "/usr/bin/chromium", args=flags
        )
        yield chromium
        chromium.close()


class Complaints(list[str]):
    """What the browser complained about: console errors and CSP violations."""


@pytest.fixture
def complaints() -> Complaints:
    """Collected over all pages of a test; must stay empty."""
    return Complaints()


@pytest.fixture
def new_page(browser: Browser, portal: Portal, complaints: Complaints) -> Iterator[Callable[..., Page]]:
    """Opens a page in a context of its own, signed in as one of the demo's people if a key is given."""
    contexts: list[BrowserContext] = []

    def open_page(person: str | None = None, **options: Any) -> Page:
        context = browser.new_context(
            base_url=portal.url, **{"viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **options}
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: _note(complaints, message.type, message.text))
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        if person is not None:
            sign_in(page, portal.people[person])
        return page

    yield open_page
    for context in contexts:
        context.close()


def _note(complaints: Complaints, kind: str, text: str) -> None:
    # An answer of 4xx that a test provokes is logged by Chromium as an error of its own.
    # htmx reports a poll that leaving the page cut off.
    expected = r"Failed to load resource: .* status of (403|409|422)|htmx:(afterRequest|sendAbort), "
    if kind == "error" and not re.match(expected, text):
        complaints.append(text)


def sign_in(page: Page, person: dict[str, str]) -> None:
    """Signs in by user name and password, as a person of a real installation does."""
    page.goto("/accounts/login/")
    page.locator("input[name=login]").fill(person["login"])
    page.locator("input[name=password]").fill(person["password"])
    page.locator("form:has(input[name=password]) button[type=submit]").click()
    page.wait_for_url(lambda url: "/accounts/login" not in url)
