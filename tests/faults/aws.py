"""The simulated AWS of the fault matrix: moto behind a wrapper that counts, enforces session policies and strikes.

One process serves every cell; each cell has an AWS account of its own. Only calls of the worker's own sessions are
counted and struck; the oracle's and the setting-up sessions pass untouched.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ.pop("MOTO_ACCOUNT_ID", None)

import moto.iam.models as moto_models
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

_KEPT = ("AWSCodeDeployRoleForECS", "AWSCodeDeployRoleForECSLimited")
_ALL = json.loads(moto_models.aws_managed_policies_data)
moto_models.aws_managed_policies_data = json.dumps({name: _ALL[name] for name in _KEPT})

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/[^/]*/([^/]+)/aws4_request")
_ROLE = re.compile(r"arn:aws:iam::(\d{12}):role/")
_KEY = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")
READING = ("Get", "List")


@dataclass(frozen=True)
class AwsCall:
    """One call as AWS reads it."""

    service: str
    action: str
    account: str
    session: str
    fields: dict[str, str]
    policy: str = ""

    @property
    def writes(self) -> bool:
        return self.service == "iam" and not self.action.startswith(READING)

    @property
    def kind(self) -> str:
        """ "write", "read", or "session"."""
        return "session" if self.service == "sts" else "write" if self.writes else "read"


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status < 300


class Dropped(Exception):
    """The connection is closed without an answer."""


@dataclass
class Cell:
    """What one cell's account saw. `strike(call, number, forward)` is the fault; it may answer, drop or forward."""

    account: str
    strike: Callable[[Cell, AwsCall, int, Callable[[], Reply]], Reply] | None = None
    armed: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    writes: list[tuple[str, str, bool]] = field(default_factory=list)
    struck: int = 0
    pid: int | None = None
    stopped: int | None = None
    read_answers: dict[str, Reply] = field(default_factory=dict)
    old_answers: dict[str, Reply] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def reading_key(call: AwsCall) -> str:
    """The same for the same question."""
    return json.dumps(call.fields, sort_keys=True)


def error(status: int, code: str, message: str = "struck") -> Reply:
    body = (
        '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>struck</RequestId></ErrorResponse>"
    )
    return Reply(status, body.encode())


class FaultyAws:
    """The server. `cells` are by account number."""

    def __init__(self) -> None:
        self.cells: dict[str, Cell] = {}
        self._sessions: dict[str, tuple[str, str, str]] = {}
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"aws": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def forget(self, account: str) -> None:
        """Frees what a finished cell held."""
        with self._lock:
            self.cells.pop(account, None)
            iam_backends.pop(account, None)
            self._sessions = {key: value for key, value in self._sessions.items() if value[0] != account}

    def answer(self, headers: dict[str, str], body: bytes) -> Reply:
        signed = _CREDENTIAL.search(headers.get("Authorization", ""))
        if signed is None:
            return error(403, "MissingAuthenticationToken")
        fields = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        if signed[2] == "sts":
            found = _ROLE.match(fields.get("RoleArn", ""))
            account, session, policy = found[1] if found else "", fields.get("RoleSessionName", ""), ""
        else:
            account, session, policy = self._sessions.get(signed[1], ("", "", ""))
        if not account:
            return error(403, "InvalidClientTokenId")
        call = AwsCall(signed[2], fields.get("Action", ""), account, session, fields, policy)
        return self._struck(call, lambda: self._forward(call, headers, body))

    def _struck(self, call: AwsCall, forward: Callable[[], Reply]) -> Reply:
        cell = self.cells.get(call.account)
        if cell is None or not cell.armed or call.session.startswith("READ-TEST"):
            return forward()
        with cell.lock:
            number = cell.counts[call.kind] = cell.counts.get(call.kind, 0) + 1
            if call.kind == "read":
                cell.reads.append(call.action)
        if cell.strike is None:
            return forward()
        return cell.strike(cell, call, number, forward)

    def _forward(self, call: AwsCall, headers: dict[str, str], body: bytes) -> Reply:
        refusal = _refusal(call) or _in_use(call)
        reply = refusal or self._ask_moto(call, headers, body)
        cell = self.cells.get(call.account)
        if cell is not None and cell.armed and not call.session.startswith("READ-TEST"):
            self._note(cell, call, reply)
        if call.service == "sts" and reply.ok:
            key = _KEY.search(reply.body)
            if key is not None:
                self._sessions[key[1].decode()] = (call.account, call.session, call.fields.get("Policy", ""))
        return reply

    def _note(self, cell: Cell, call: AwsCall, reply: Reply) -> None:
        with cell.lock:
            if call.writes:
                name = call.fields.get("RoleName") or call.fields.get("PolicyName") or call.fields.get("PolicyArn", "")
                cell.writes.append((call.action, name.rsplit("/", 1)[-1], reply.ok))
                if reply.ok:
                    cell.old_answers = dict(cell.read_answers)
            elif call.service == "iam":
                cell.read_answers[reading_key(call)] = reply

    def _ask_moto(self, call: AwsCall, headers: dict[str, str], body: bytes) -> Reply:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
            "wsgi.url_scheme": "http",
            "wsgi.errors": BytesIO(),
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        environ["HTTP_HOST"] = "127.0.0.1"
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = call.account
        started: list[int] = []

        def start(status: str, _headers: list[tuple[str, str]], _exc: Any = None) -> Any:
            started[:] = [int(status.split(maxsplit=1)[0])]
            return lambda _chunk: None

        with self._lock:
            chunks = b"".join(self._moto(environ, start))
        return Reply(started[0], chunks)


def _refusal(call: AwsCall) -> Reply | None:
    """Refuses what the session's policy does not allow now: action, ARN, policy ARN, boundary, deadline."""
    if not call.writes or not call.policy or call.session.startswith("READ-TEST"):
        return None
    now = datetime.now(UTC)
    for statement in json.loads(call.policy)["Statement"]:
        if _allows(statement, call, now):
            return None
    return error(403, "AccessDenied", f"{call.action} is outside of the session policy")


def _in_use(call: AwsCall) -> Reply | None:
    """AWS refuses to delete a policy that somebody uses or that has old versions; the simulator would not."""
    if call.action != "DeletePolicy":
        return None
    policy = iam_backends[call.account]["aws"].managed_policies.get(call.fields["PolicyArn"])
    if policy is not None and (policy.attachment_count or len(policy.versions) > 1):
        return error(409, "DeleteConflict", "The policy is in use or has versions.")
    return None


def _allows(statement: dict[str, Any], call: AwsCall, now: datetime) -> bool:
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    if f"iam:{call.action}" not in actions or not _same_resource(statement["Resource"], call):
        return False
    conditions = statement.get("Condition", {})
    until = conditions.get("DateLessThan", {}).get("aws:CurrentTime")
    if until is None or now >= datetime.fromisoformat(until):
        return False
    policy = conditions.get("ArnEquals", {}).get("iam:PolicyARN")
    boundary = conditions.get("StringEquals", {}).get("iam:PermissionsBoundary")
    return policy in (None, call.fields.get("PolicyArn")) and boundary in (None, call.fields.get("PermissionsBoundary"))


def _same_resource(arn: str, call: AwsCall) -> bool:
    if call.action in {"CreateRole", "CreatePolicy"}:
        kind = "role" if call.action == "CreateRole" else "policy"
        name = call.fields.get("RoleName") or call.fields.get("PolicyName")
        return arn == f"arn:aws:iam::{call.account}:{kind}{call.fields.get('Path', '/')}{name}"
    if "RoleName" in call.fields:
        return f":{call.account}:role/" in arn and arn.rsplit("/", 1)[-1] == call.fields["RoleName"]
    return arn == call.fields.get("PolicyArn")


class _Handler(BaseHTTPRequestHandler):
    aws: FaultyAws
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            reply = self.aws.answer(dict(self.headers.items()), body)
            self.send_response(reply.status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("x-amzn-requestid", "simulated-request")
            self.end_headers()
            self.wfile.write(reply.body)
        except (Dropped, BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_arguments: Any) -> None:
        """Writes nothing."""
