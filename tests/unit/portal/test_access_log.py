"""The link of an invitation works until it is used: no line that the portal or its web server writes may hold it."""

from __future__ import annotations

import io
import json
import logging
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog
from gunicorn.config import Config
from gunicorn.util import load_class

from portal import logs

ROOT = Path(__file__).parents[3]
TOKEN = "c8x2kq-PLANTED0123456789abcdef"
PATH = f"/invited/NDcxMQ/{TOKEN}/"


def test_the_web_server_of_the_image_writes_no_token() -> None:
    command = re.search(
        r"^CMD (\[.*?\])", (ROOT / "Dockerfile").read_text().replace("\\\n", ""), re.MULTILINE | re.DOTALL
    )
    assert command
    named = dict(part.split("=", 1) for part in json.loads(command[1]) if part.startswith("--") and "=" in part)
    config = Config()
    config.set("accesslog", named["--access-logfile"])
    config.set("access_log_format", named["--access-logformat"])
    log = load_class(named.get("--logger-class", "gunicorn.glogging.Logger"))(config)
    written = io.StringIO()
    log.access_log.handlers[:] = [logging.StreamHandler(written)]
    environ = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": f"{PATH}?a=b",
        "PATH_INFO": PATH,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_REFERER": f"https://roles.corp.test{PATH}",
    }
    response = SimpleNamespace(status="302 Found", sent=0, headers=[("X-Request-ID", "proxy-7f3a9c21")])
    log.access(response, SimpleNamespace(headers=[]), environ, timedelta(seconds=1))
    line = written.getvalue()
    assert (TOKEN in line, line.count("/invited/NDcxMQ/[masked]/"), "?a=b HTTP/1.1" in line) == (False, 2, True)
    assert line.endswith(" proxy-7f3a9c21\n")  # the line can be joined with what else followed from the call


def test_no_line_of_ours_or_of_django_holds_one(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    try:
        logs.configure(json=True)
        structlog.get_logger("a").error("web.failed", path=PATH)
        logging.getLogger("django.request").error("Internal Server Error: %s", PATH)
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
    lines = capsys.readouterr().err
    assert (TOKEN in lines, lines.count("/invited/NDcxMQ/[masked]/")) == (False, 2)


def test_the_identity_providers_code_is_no_more_in_a_line_than_a_link() -> None:
    line = "GET /accounts/oidc/sso/login/callback/?code=c0%2Fde/x&state=5tate HTTP/1.1"
    assert logs.hide_links(line) == "GET /accounts/oidc/sso/login/callback/?[masked] HTTP/1.1"
    door = "POST /accounts/invited/NDcxMQ/sso/ HTTP/1.1"
    assert logs.hide_links(door) == door
