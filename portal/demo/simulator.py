"""The simulated AWS of the demo: moto's server on loopback, with what moto lacks and the demo needs.

It saves each AWS account before it answers a call that changed something, lets nobody assume a role against its trust
policy (ExternalId, session name), and calls a session expired that it does not know (after a restart). It is not a
second simulator: everything else is moto's answer, and what moto accepts proves nothing about AWS.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

# moto reads these while it is imported.
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
os.environ.pop("MOTO_ACCOUNT_ID", None)

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from iamroles.iam import documents
from iamroles.iam.evaluate import Request as IamRequest
from iamroles.iam.evaluate import evaluate
from portal.demo.accounts import HUB_ROLE
from portal.demo.snapshot import SnapshotFolder, SnapshotUnreadable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

COUNTS_PATH = "/_simulator/requests"
PORTAL_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/portal/RoledeskWorker")
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/[^/]*/([^/]+)/aws4_request")
_READING = ("Get", "List", "Simulate", "Generate", "Assume", "Decode")
_XMLNS = {"sts": "https://sts.amazonaws.com/doc/2011-06-15/", "iam": "https://iam.amazonaws.com/doc/2010-05-08/"}


@dataclass(frozen=True)
class Call:
    """One request as AWS would read it; `service` is empty for what is no signed AWS call."""

    service: str
    action: str
    access_key: str
    fields: dict[str, str]

    @property
    def changes(self) -> bool:
        """True if the call may change what IAM holds."""
        return self.service == "iam" and not self.action.startswith(_READING)


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class Simulator:
    """The WSGI application. One call at a time: moto's dictionaries know no locks. `latency` is the way, in seconds."""

    def __init__(self, *, moto: Any, folder: Path, latency: float = 0) -> None:
        self._moto = moto
        self._latency = latency
        self._denied_file = folder / "denied.json"
        self._snapshots = SnapshotFolder(folder)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._snapshots.load_all()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers one request."""
        if environ.get("PATH_INFO") == COUNTS_PATH:
            answer = _json(dict(sorted(self._counts.items())))
        else:
            time.sleep(self._latency)
            with self._lock:
                answer = self._answer(environ)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        began = time.monotonic()
        call = read_call(environ)
        account = environ.get("HTTP_X_MOTO_ACCOUNT_ID") or account_of(call.access_key)
        answer = self._refusal(call, account)
        if answer is None:
            # moto would look for the key in every partition of every account and load each of them.
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = account or DEFAULT_ACCOUNT_ID
            try:
                answer = _run(self._moto, environ)
            finally:
                self._save(call, environ)
        self._note(call, environ, answer, time.monotonic() - began)
        return answer

    def _refusal(self, call: Call, account: str | None) -> Answer | None:
        if account is None:
            return _error(call, "ExpiredToken", "The security token included in the request is expired")
        if call.service == "iam" and call.action in self._denied(account):
            return _error(call, "AccessDenied", f"User is not authorized to perform: iam:{call.action}")
        if call.service != "sts" or not call.action.startswith("AssumeRole"):
            return None
        role = call.fields.get("RoleArn", "")
        if call.action == "AssumeRole" and _may_assume(role, call.fields):
            return None
        return _error(call, "AccessDenied", f"Not authorized to perform: sts:{call.action} on resource: {role}")

    def _denied(self, account: str) -> frozenset[str]:
        """The calls that are taken away from everybody in an AWS account: {"111122223333": ["AttachRolePolicy"]}."""
        try:
            denied: dict[str, list[str]] = json.loads(self._denied_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return frozenset()
        return frozenset(denied.get(account, ()))

    def _save(self, call: Call, environ: WSGIEnvironment) -> None:
        if call.changes:
            self._snapshots.save(environ["HTTP_X_MOTO_ACCOUNT_ID"])
        elif not call.service and environ["REQUEST_METHOD"] != "GET":
            self._snapshots.save_all()

    def _note(self, call: Call, environ: WSGIEnvironment, answer: Answer, seconds: float) -> None:
        name = f"{call.service}:{call.action}" if call.service else environ.get("PATH_INFO", "/")
        self._counts[f"{name} {answer.status[:3]}"] += 1
        if call.changes or not answer.status.startswith("2"):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            account = environ.get("HTTP_X_MOTO_ACCOUNT_ID", "-")
            print(f"{at} {account} {name} {answer.status[:3]} {seconds * 1000:.0f}ms", file=sys.stderr, flush=True)


def read_call(environ: WSGIEnvironment) -> Call:
    """Returns the AWS call in a request and leaves its body to be read again."""
    signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(body)
    if signed is None:
        return Call(service="", action="", access_key="", fields={})
    form = body.decode("utf-8", "replace") if environ["REQUEST_METHOD"] == "POST" else environ.get("QUERY_STRING", "")
    fields = {name: values[0] for name, values in parse_qs(form, keep_blank_values=True).items()}
    return Call(signed.group(2), fields.get("Action", ""), signed.group(1), fields)


def account_of(access_key: str) -> str | None:
    """Returns the AWS account of a key: the default account for long-lived ones, None for a session nobody knows."""
    for account, partitions in list(iam_backends.items()):
        if any(access_key in backend.access_keys for backend in list(partitions.values())):
            return str(account)
    return None if access_key.startswith("ASIA") else str(DEFAULT_ACCOUNT_ID)


def _may_assume(arn: str, fields: dict[str, str]) -> bool:
    """Returns what the role's own trust policy says to the hub, which is whoever calls with the worker's keys.

    A role that was never made, but for the portal's, stands for a person with a console and may be used by anybody.
    """
    partition, account = arn.split(":")[1:2], arn.split(":")[4:5]
    held = iam_backends[account[0]][partition[0]].roles.values() if partition and account else ()
    role = next((role for role in held if role.arn == arn), None)
    if role is None:
        return PORTAL_ROLE.fullmatch(arn) is None
    given = {
        "sts:ExternalId": fields.get("ExternalId", ""),
        "sts:RoleSessionName": fields.get("RoleSessionName", ""),
        "sts:SourceIdentity": fields.get("SourceIdentity", ""),
    }
    context = {key: value for key, value in given.items() if value}
    actions = ["sts:AssumeRole", *(["sts:SetSourceIdentity"] if "sts:SourceIdentity" in context else [])]
    trust = documents.parse(role.assume_role_policy_document, kind="trust")
    return all(
        evaluate([trust], None, IamRequest(action, "*", context, ("AWS", HUB_ROLE))).allowed for action in actions
    )


def _run(application: Any, environ: WSGIEnvironment) -> Answer:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    chunks: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Any:
        started[:] = [(status, headers)]
        return chunks.append

    body = application(environ, start_response)
    try:
        chunks.extend(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return Answer(*started[0], b"".join(chunks))


def _json(value: object) -> Answer:
    body = json.dumps(value).encode()
    return Answer("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))], body)


def _error(call: Call, code: str, message: str) -> Answer:
    xml = (
        f'<ErrorResponse xmlns="{_XMLNS.get(call.service, _XMLNS["iam"])}">'
        f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error><RequestId>roledesk-simulator</RequestId></ErrorResponse>"
    )
    body = xml.encode()
    return Answer("403 Forbidden", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))], body)


class _QuietHandler(MotoRequestHandler):
    """Leaves the request log to the simulator."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Writes nothing."""


def main() -> int:
    """Serves until it is stopped. Returns 2 if the saved state cannot be read."""
    parser = argparse.ArgumentParser(description="The simulated AWS of the demo.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each call is on its way")
    arguments = parser.parse_args()
    try:
        moto = DomainDispatcherApplication(create_backend_app)
        simulator = Simulator(moto=moto, folder=arguments.folder, latency=arguments.latency)
    except SnapshotUnreadable as error:
        print(f"The simulated AWS cannot read {error}. Start over: make demo-reset", file=sys.stderr)
        return 2
    make_server("127.0.0.1", arguments.port, simulator, threaded=True, request_handler=_QuietHandler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
