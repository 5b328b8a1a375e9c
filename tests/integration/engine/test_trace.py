"""One id from the browser to AWS: the answer's header, the events of the click and of the worker, log lines, and the
user agent that AWS sees. The server that plays AWS refuses everybody, which is enough to read what it was told.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import structlog
from django.test import Client

from iamroles import correlation
from iamroles.aws.sessions import AwsSessions
from iamroles.engine import apply
from iamroles.models import AuditEvent, Request
from tests.integration.engine.world import World

pytestmark = pytest.mark.django_db
CLICK = "proxy-7f3a9c21"
DENIED = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"


class Aws(HTTPServer):
    agents: list[str]


class Refusing(BaseHTTPRequestHandler):
    server: Aws

    def do_POST(self) -> None:
        self.server.agents.append(self.headers["User-Agent"])
        self.send_response(403)
        self.send_header("Content-Length", str(len(DENIED)))
        self.end_headers()
        self.wfile.write(DENIED)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hub")
    server = Aws(("127.0.0.1", 0), Refusing)
    server.agents = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def approve_by_page(world: World, request: Request, header: str) -> str:
    """Approves on the page, behind a proxy that names the call; returns the answer's id."""
    browser = Client(headers={"X-Request-ID": header})
    browser.force_login(world.approver, backend="django.contrib.auth.backends.ModelBackend")
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": world.clock().timestamp()}]
    session["account_authentication_methods_user"] = str(world.approver.pk)
    session.save()
    review = f"/approvals/{request.reference}/"
    page = browser.get(review).content.decode()
    digest = re.search(r'name="proposal_digest" value="([0-9a-f]{64})"', page)
    assert digest
    ticks = re.findall(r'name="acknowledged"[^>]*value="([^"]+)"', page)
    answer = browser.post(
        f"{review}decide/", {"decision": "approve", "proposal_digest": digest[1], "acknowledged": ticks}
    )
    assert answer.status_code == 303, answer.content.decode()[:2000]
    return str(answer["X-Request-ID"])


def correlations(request: Request) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = {}
    for event in AuditEvent.objects.filter(request=request.reference):
        found.setdefault(event.action, set()).add(json.loads(event.canon)["correlation"])
    return found


def test_one_id_from_the_browser_to_the_aws_user_agent(world: World, aws: Aws) -> None:
    request = world.in_review()
    assert approve_by_page(world, request, CLICK) == CLICK
    request.refresh_from_db()
    assert request.state == "approved"
    real = world.tools(sessions=AwsSessions(f"http://127.0.0.1:{aws.server_port}"))
    assert apply.apply(request_id=request.pk, tools=real) == "blocked"
    assert aws.agents
    assert [agent for agent in aws.agents if CLICK not in agent.split()] == []
    events = correlations(request)
    ours = ("request.approved", "run.started", "run.stopped")
    assert [events[action] for action in ours] == [{CLICK}] * 3
    assert correlation.current() is None


def test_the_worker_finds_the_id_of_the_newest_act(world: World) -> None:
    with correlation.bound("first-act-1"):
        request = world.in_review()
    assert correlations(request)["request.submitted"] == {"first-act-1"}
    assert correlations(request)["revision.proposed"] == {"first-act-1"}
    with correlation.bound("second-act-2"):
        request = world.approve(request)
    assert world.apply(request) == "applied"
    steps = [ids for action, ids in correlations(request).items() if action.startswith(("run.", "step."))]
    assert steps
    assert set().union(*steps) == {"second-act-2"}


@pytest.mark.parametrize("name", ["iamroles.engine.apply", "django.request", "celery.worker"])
def test_every_log_line_has_it(name: str) -> None:
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    ours = next(each for each in formatters if isinstance(each, structlog.stdlib.ProcessorFormatter))
    with correlation.bound(CLICK):
        line = ours.format(logging.LogRecord(name, logging.INFO, __file__, 1, "something happened", None, None))
    assert f"correlation={CLICK}" in line


@pytest.mark.parametrize(
    "given", ["", "short", "a" * 65, "with space", "line\r\nbreak", "<script>", "-leading-dash", "ünïcödé-id"]
)
def test_what_is_no_id_is_replaced(given: str) -> None:
    taken = correlation.taken(given)
    assert re.fullmatch("[0-9a-f]{16}", taken)
    assert taken != correlation.taken(given)


def test_every_answer_names_its_call(client: Client) -> None:
    assert re.fullmatch("[0-9a-f]{16}", client.get("/accounts/login/")["X-Request-ID"])
    assert client.get("/nowhere/", headers={"X-Request-ID": CLICK})["X-Request-ID"] == CLICK
