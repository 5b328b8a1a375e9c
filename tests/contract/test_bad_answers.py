"""Answers that are no answers: malformed, huge, endless or late. Each is an AwsError that says what to do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote

import pytest

from iamroles.aws import boto
from iamroles.aws.boto import BotoGateway
from iamroles.aws.gateway import AwsError
from iamroles.proposal.calls import Call

ROLE = "arn:aws:iam::111122223333:role/x"
POLICY = "arn:aws:iam::111122223333:policy/p"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ATTACH = Call("AttachRolePolicy", ROLE, {"RoleName": "x", "PolicyArn": POLICY})
CREATE = Call("CreateRole", ROLE, {"RoleName": "x", "Path": "/", "AssumeRolePolicyDocument": json.dumps(TRUST)})

READS: dict[str, Callable[[BotoGateway], object]] = {
    "role": lambda gateway: gateway.role(ROLE),
    "policy": lambda gateway: gateway.policy(POLICY),
    "managed policy": lambda gateway: gateway.managed_policy(POLICY),
    "passed role": lambda gateway: gateway.passed_role(ROLE),
    "roles": lambda gateway: gateway.roles(),
    "making of a role": lambda gateway: gateway.making(ROLE),
    "making of a policy": lambda gateway: gateway.making(POLICY),
    "summary": lambda gateway: gateway.account_summary(),
    "holdings": lambda gateway: gateway.holdings({ROLE}),
}


def answering(action: str, inside: str, *, request_id: str = "4711") -> bytes:
    """An answer of IAM to one operation."""
    meta = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>" if request_id else ""
    return (
        f'<{action}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<{action}Result>{inside}</{action}Result>{meta}</{action}Response>"
    ).encode()


def role(document: str) -> str:
    return (
        f"<Role><Path>/</Path><RoleName>x</RoleName><RoleId>AROA1</RoleId><Arn>{ROLE}</Arn>"
        "<CreateDate>2026-11-25T00:00:00Z</CreateDate>"
        f"<AssumeRolePolicyDocument>{quote(document)}</AssumeRolePolicyDocument></Role>"
    )


@contextmanager
def served(answer: Callable[[str, int], bytes], *, after: float = 0) -> Iterator[BotoGateway]:
    """A gateway to a server that answers each call by its action and how many came before, `after` so many seconds."""
    asked: list[str] = []
    ending = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            action = parse_qs(body)["Action"][0]
            asked.append(action)
            ending.wait(after)
            said = answer(action, len(asked) - 1)
            try:
                self.send_response(200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)
            except OSError:
                """Nobody waits any more."""

        def log_message(self, *_: object) -> None:
            """Writes nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield BotoGateway(
            partition="aws",
            endpoint=f"http://127.0.0.1:{server.server_address[1]}",
            credentials={"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c"},
            session_name="REQ-000001-r1",
        )
    finally:
        ending.set()
        server.shutdown()
        server.server_close()


def refused(ask: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(AwsError) as caught:
        ask()
    return caught.value.code, caught.value.kind


BODIES: dict[str, Callable[[str], bytes]] = {
    "no XML": lambda _: b"<html>proxy says hello",
    "a page": lambda _: b"<html><body><h1>Welcome</h1></body></html>",
    "nothing": lambda _: b"",
    "JSON": lambda _: b'{"Role": {"Arn": 7}}',
    "an empty result": lambda action: answering(action, ""),
    "half of it": lambda action: answering(action, role(json.dumps(TRUST)))[:200],
    "other elements": lambda action: answering(action, "<Role/><Policy/><Roles><member/></Roles><SummaryMap/>"),
    "bytes": lambda _: bytes(range(256)) * 8,
}


@pytest.mark.parametrize("body", sorted(BODIES))
def test_a_malformed_answer_to_a_read_is_unreadable(body: str) -> None:
    with served(lambda action, _: BODIES[body](action)) as gateway:
        found = {name: refused(partial(read, gateway)) for name, read in READS.items()}
    assert found == dict.fromkeys(READS, ("UnreadableAnswer", "unknown"))


@pytest.mark.parametrize("call", [ATTACH, CREATE], ids=lambda call: call.api)
@pytest.mark.parametrize("body", sorted(set(BODIES) - {"an empty result", "other elements"}))
def test_a_malformed_answer_to_a_write_says_nothing_of_its_outcome(body: str, call: Call) -> None:
    with served(lambda action, _: BODIES[body](action)) as gateway:
        assert refused(lambda: gateway.send(call)) == ("UnreadableAnswer", "unknown")


def test_a_creating_call_must_answer_with_what_it_made() -> None:
    """Without a RoleId the role could not be told from somebody else's: the ownership test decides instead."""
    with served(lambda action, _: answering(action, "")) as gateway:
        assert refused(lambda: gateway.send(CREATE)) == ("UnreadableAnswer", "unknown")
        assert gateway.send(ATTACH).request_id == "4711"
    with served(lambda action, _: answering(action, role(json.dumps(TRUST)))) as gateway:
        assert gateway.send(CREATE).entity_id == "AROA1"


@pytest.mark.parametrize("marker", ["same", "", "other"])
def test_a_list_that_does_not_end_is_given_up(marker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamroles.aws.unreadable.PAGES_AT_MOST", 20)

    def answer(action: str, before: int) -> bytes:
        given = f"page-{before}" if marker == "other" else marker
        return answering(action, f"<Roles/><IsTruncated>true</IsTruncated><Marker>{given}</Marker>")

    with served(answer) as gateway:
        assert refused(gateway.roles) == ("UnreadableAnswer", "unknown")


@pytest.mark.parametrize(
    "document",
    [
        json.dumps({**TRUST, "Statement": TRUST["Statement"] * 50_000}),  # type: ignore[operator]
        '{"Statement":' + "[" * 200_000 + "]" * 200_000 + "}",
        "x" * 3_000_000,
    ],
    ids=["many statements", "deep", "long"],
)
def test_a_huge_document_is_refused_and_costs_little(document: str) -> None:
    began = time.process_time()
    with served(lambda action, _: answering(action, role(document) if action == "GetRole" else "")) as gateway:
        code, kind = refused(lambda: gateway.role(ROLE))
    assert (code, kind) in (("UnreadableDocument", "blocked"), ("UnreadableAnswer", "unknown"))
    assert time.process_time() - began < 20


def test_a_late_answer_is_one_whose_outcome_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto, "READ_SECONDS", 0.3)
    with served(lambda action, _: answering(action, ""), after=60) as gateway:
        assert refused(lambda: gateway.send(ATTACH)) == ("ReadTimeout", "unknown")


def test_an_answer_in_time_is_taken() -> None:
    """The same server, so that the others cannot fail for another reason."""

    def answer(action: str, _before: int) -> bytes:
        inside: dict[str, Any] = {
            "GetRole": role(json.dumps(TRUST)),
            "ListRolePolicies": "<PolicyNames/><IsTruncated>false</IsTruncated>",
            "ListAttachedRolePolicies": "<AttachedPolicies/><IsTruncated>false</IsTruncated>",
        }
        return answering(action, inside[action])

    with served(answer) as gateway:
        found = gateway.role(ROLE)
    assert found is not None
    assert (found.role_id, found.attached) == ("AROA1", frozenset())
