"""Observing AWS accounts of 200 roles each: a drift scan's bulk reading of 5 against reading one of them role by role.

Needs nothing: it serves the simulated AWS itself, on loopback. Calls are counted where they arrive. Seconds are without
any distance to AWS; the calls say what a distance costs.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

os.environ.setdefault("AWS_ACCESS_KEY_ID", "bench")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "bench")

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from bench.figures import Figure
from iamroles.aws.gateway import Gateway
from iamroles.aws.sessions import AwsSessions, Portal
from portal.demo import simulator as simulated

ACCOUNTS = tuple(f"{number}00000000" for number in range(2001, 2006))
ROLES = 200
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
_GRANT = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::111122223333:role/orders-task"}
        ],
    }
)


class _Quiet(MotoRequestHandler):
    """Writes no line for each of thousands of calls."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Writes nothing."""


def measure() -> Iterator[Figure]:
    """Yields the time of one AWS account read role by role, of the same in bulk, and of five; prints the calls."""
    with tempfile.TemporaryDirectory(prefix="roledesk-bench-") as folder:
        moto = DomainDispatcherApplication(create_backend_app)
        application = simulated.Simulator(moto=moto, folder=Path(folder))
        server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield from _figures(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()


def _figures(url: str) -> Iterator[Figure]:
    wanted = {number: _fill(number) for number in ACCOUNTS}
    first = {ACCOUNTS[0]: wanted[ACCOUNTS[0]]}
    singly = Figure("1 x 200 roles, one by one", (_timed(url, first, _one_by_one),))
    yield singly
    yield Figure("1 x 200 roles, in bulk", tuple(_timed(url, first, _in_bulk) for _ in range(3)), singly)
    yield Figure("5 x 200 roles, in bulk", tuple(_timed(url, wanted, _in_bulk) for _ in range(3)), singly)


def _fill(number: str) -> list[str]:
    """Puts roles, each with an own policy, into the simulated account past its server. Returns all ARNs."""
    backend = simulated.iam_backends[number]["aws"]
    arns = []
    for index in range(ROLES):
        policy = backend.create_policy("", "/", _GRANT, f"grant-{index}", {})
        role = backend.create_role(f"role-{index}", _TRUST, "/", None, "", [], "3600")
        backend.attach_role_policy(policy.arn, role.name)
        arns += [role.arn, policy.arn]
    return arns


def _timed(url: str, wanted: dict[str, list[str]], read: Callable[[Gateway, list[str]], int]) -> float:
    before, began = _calls(url), time.monotonic()
    found = 0
    for number, arns in wanted.items():
        portal = Portal(number, "aws", "0" * 32, "console/Reader")
        found += read(AwsSessions(url).reading(portal, "BENCH"), arns)
    seconds = time.monotonic() - began
    if found != sum(map(len, wanted.values())):
        raise RuntimeError(f"{found} of {sum(map(len, wanted.values()))} were read")
    calls = _calls(url) - before
    print(f"{read.__name__.strip('_').replace('_', ' ')}: {calls} calls; at 50 ms each {calls * 0.05:.1f} s more")
    return seconds


def _one_by_one(gateway: Gateway, arns: list[str]) -> int:
    read = (gateway.policy(arn) if ":policy/" in arn else gateway.role(arn) for arn in arns)
    return sum(each is not None for each in read)


def _in_bulk(gateway: Gateway, arns: list[str]) -> int:
    found = gateway.holdings(set(arns))
    return len(found.roles) + len(found.policies)


def _calls(url: str) -> int:
    with urlopen(url + simulated.COUNTS_PATH, timeout=10) as answer:
        counts: dict[str, int] = json.load(answer)
    return sum(count for name, count in counts.items() if ":" in name)
