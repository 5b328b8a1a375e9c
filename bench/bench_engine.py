"""What applying costs against the shortest correct script: AWS calls a kind of change, and wall time at 50 ms a call.

The script assumes the portal's role, sends the plan's calls with plain boto3 and reads the role once. The portal also
looks before it writes, looks at every passed role and reads back twice. Its time is told without its deliberate waits
(one write a second, two seconds between equal looks) and with them, as in production. Worker processes are real; the
database is the one of `DATABASE_URL`, else SQLite. Needs nothing: it serves the simulated AWS itself, on loopback.
"""

# ruff: noqa: PLC0415  (Django is set up first, for the harness's database)

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from bench.figures import Figure
from portal.demo.places import ROOT

if TYPE_CHECKING:
    from tests.faults.aws import AwsCall, Cell, Reply
    from tests.faults.matrix import Matrix
    from tests.faults.scenarios import Scenario

LATENCY = 0.05
PACES = {"without its waits": ("1000", "0"), "as in production": ("1", "2")}
_OPEN_TIME = "2026-01-01T00:00:00Z"


def measure() -> Iterator[Figure]:
    """Yields for each kind of change the script's time and the portal's at both paces; prints the calls."""
    for pace, (writes, pause) in PACES.items():
        # A process of its own for each pace: settings are read once.
        environment = {**os.environ, "ROLEDESK_WRITES_PER_SECOND": writes, "ROLEDESK_VERIFY_PAUSE_SECONDS": pause}
        command = [sys.executable, "-m", "bench.bench_engine"]
        told = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
        print(f"{pace}: {writes} writes a second, {pause} s between two equal looks")
        for name, script, portal, calls, shortest in (json.loads(line) for line in told.splitlines()):
            baseline = Figure(f"{name}, by a script", (script,))
            yield baseline
            print(f"  {name}: {sum(calls.values())} calls {calls}, shortest {shortest}")
            yield Figure(f"{name}, {pace}", (portal,), baseline)


@contextmanager
def harness() -> Iterator[Matrix]:
    """Gives the fault matrix without faults: simulated AWS, worker processes, an empty database."""
    from tests.faults.__main__ import prepare

    with tempfile.TemporaryDirectory(prefix="roledesk-bench-") as name:
        folder = Path(name)
        environment = prepare(folder)
        for each in (environment, os.environ):  # no fault shortens these
            each.pop("ROLEDESK_ENGINE_LIMITS")
        from tests.faults.aws import FaultyAws

        aws = FaultyAws()
        environment["ROLEDESK_AWS_ENDPOINT"] = os.environ["ROLEDESK_AWS_ENDPOINT"] = aws.url
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
        import django

        django.setup()
        from tests.faults.matrix import Matrix
        from tests.faults.nursery import Nursery

        nursery = Nursery(environment, folder / "workers.log")
        try:
            yield Matrix(aws, nursery)
        finally:
            nursery.close()


def far_away(_cell: Cell, _call: AwsCall, _number: int, forward: Callable[[], Reply]) -> Reply:
    """The strike of a distant AWS."""
    time.sleep(LATENCY)
    return forward()


def _measure_one(matrix: Matrix, scenario: Scenario, numbers: Iterator[int]) -> tuple[object, ...]:
    from iamroles.models import Proposal
    from tests.faults.aws import Cell

    cell, there = Cell(str(next(numbers)), strike=far_away), Cell(str(next(numbers)), strike=far_away)
    matrix.aws.cells |= {cell.account: cell, there.account: there}
    place, other = matrix.organisation.place(cell.account), matrix.organisation.place(there.account)
    scenario.prepare(place)
    scenario.prepare(other)
    request = matrix.organisation.submit(scenario.facts(place))
    matrix.nursery.deliver("observe", request.pk, lambda _pid: None).ended.wait(60)
    matrix.organisation.approve(request)
    cell.armed = there.armed = True
    began = time.monotonic()
    matrix._settle(request, cell)
    portal = time.monotonic() - began
    request.refresh_from_db()
    if request.outcome != "applied":
        raise RuntimeError(f"{scenario.name} ended {request.state} {request.outcome}")
    plan = json.loads(Proposal.objects.get(revision__request=request).canonical)["plan"]
    script = _script(matrix.aws.url, json.dumps(plan), cell.account, there.account)
    matrix.aws.forget(cell.account)
    matrix.aws.forget(there.account)
    return scenario.name, script, portal, cell.counts, sum(there.counts.values())


def _script(url: str, plan: str, account: str, there: str) -> float:
    """Sends the plan's calls in another AWS account. Returns the seconds they took."""
    keys = {"aws_access_key_id": "hub", "aws_secret_access_key": "hub", "region_name": "us-east-1"}
    began = time.monotonic()
    role = f"arn:aws:iam::{there}:role/portal/RoledeskWorker"
    assumed = boto3.client("sts", endpoint_url=url, **keys).assume_role(RoleArn=role, RoleSessionName="script")
    keys["aws_access_key_id"] = assumed["Credentials"]["AccessKeyId"]
    keys["aws_secret_access_key"] = assumed["Credentials"]["SecretAccessKey"]
    iam = boto3.client("iam", endpoint_url=url, aws_session_token=assumed["Credentials"]["SessionToken"], **keys)
    for call in json.loads(plan.replace(account, there).replace("1 minute after the trust change", _OPEN_TIME)):
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", call["api"]).lower()
        getattr(iam, name)(**call["arguments"])
    with suppress(iam.exceptions.NoSuchEntityException):  # a removal
        iam.get_role(RoleName="ecsCodeDeployRole")
    return time.monotonic() - began


if __name__ == "__main__":
    from itertools import count

    with harness() as matrix:
        from tests.faults.scenarios import SCENARIOS

        for each in SCENARIOS:
            print(json.dumps(_measure_one(matrix, each, count(200000000001 + 2 * SCENARIOS.index(each)))), flush=True)
