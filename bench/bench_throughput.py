"""How many approved changes worker processes apply: 200 over 20 AWS accounts with 1, 2, 4 and 8 of them, 100 ms a call.

The ideal sends the shortest script's calls one after the other in each process and never waits but for the account's
budget of one write a second; the longer of the two times is the baseline. Each round also proves that every role's
calls arrived in the planned order, once, and that no two writes to an AWS account were intended within a second.
`CHANGES=40` is quicker. Needs PostgreSQL and Redis binaries; it starts both, and the simulated AWS, on loopback.
"""

# ruff: noqa: PLC0415  (Django is set up first, for the database that is started here)

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure
from portal.demo.places import ROOT
from tests import services

if TYPE_CHECKING:
    from iamroles.models import Request
    from tests.faults.aws import AwsCall, Cell, FaultyAws, Reply
    from tests.faults.scenarios import Organisation

CHANGES = int(os.environ.get("CHANGES", "200"))
ACCOUNTS = 20
WORKERS = (1, 2, 4, 8)
LATENCY = 0.1
WRITES_A_SECOND = 1.0
PATIENCE = 1800.0


def measure() -> Iterator[Figure]:
    """Yields for each number of worker processes the ideal's seconds and the portal's."""
    command = [sys.executable, "-m", "bench.bench_throughput"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            workers, seconds, ideal = json.loads(line)
            baseline = Figure(f"ideal with {workers} processes", (ideal,))
            yield Figure(f"{CHANGES} changes, {workers} worker processes", (seconds,), baseline)
    if child.returncode:
        raise RuntimeError(f"the benchmark ended with code {child.returncode}")


@dataclass
class Arrivals:
    """A distant AWS that notes what arrives."""

    calls: list[tuple[float, AwsCall]] = field(default_factory=list)

    def strike(self, _cell: Cell, call: AwsCall, _number: int, forward: Callable[[], Reply]) -> Reply:
        """Notes the call and answers late."""
        self.calls.append((time.monotonic(), call))
        time.sleep(LATENCY)
        return forward()

    def writes_by_role(self) -> dict[str, list[str]]:
        """Returns the names of the writes to each role, in the order of their arrival."""
        found: dict[str, list[str]] = defaultdict(list)
        for _, call in self.calls:
            if call.writes:
                found[call.fields["RoleName"]].append(call.action)
        return found


def main() -> None:
    """Prints a JSON line for each number of workers: processes, seconds, ideal seconds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roledesk-bench-")))
        folder.chmod(0o755)
        os.environ["DATABASE_URL"] = stack.enter_context(services.postgres(folder))
        redis = stack.enter_context(services.redis(folder))
        aws = _set_up(folder, redis)
        from tests.faults.scenarios import Organisation

        organisation = Organisation(aws)
        numbers = [str(300000000001 + number) for number in range(ACCOUNTS)]
        for number in numbers:
            organisation.place(number)
        for workers in WORKERS:
            print(json.dumps([workers, *_round(organisation, aws, numbers, workers, folder)]), flush=True)


def _set_up(folder: Path, redis: str) -> FaultyAws:
    from tests.faults.__main__ import prepare

    prepare(folder)
    del os.environ["ROLEDESK_ENGINE_LIMITS"]  # production's times
    from tests.faults.aws import FaultyAws

    aws = FaultyAws()
    os.environ |= {
        "REDIS_URL": redis,
        "ROLEDESK_AWS_ENDPOINT": aws.url,
        "ROLEDESK_SWEEP_SECONDS": "15",
        "ROLEDESK_WRITES_PER_SECOND": str(WRITES_A_SECOND),
        "ROLEDESK_VERIFY_PAUSE_SECONDS": "2",
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, check=True)
    import django

    django.setup()
    return aws


def _round(
    organisation: Organisation, aws: FaultyAws, numbers: list[str], workers: int, folder: Path
) -> tuple[float, float]:
    from iamroles.models import Request
    from tests.faults.aws import Cell

    with _workers(4, folder):
        requests = _observed(organisation, workers)
    for request in requests:
        organisation.approve(request)
    arrivals = Arrivals()
    aws.cells = {number: Cell(number, strike=arrivals.strike, armed=True) for number in numbers}
    ids = [request.pk for request in requests]
    with _workers(workers, folder):
        _until(lambda: Request.objects.filter(pk__in=ids, outcome="applied").count() == len(ids))
        ended = time.monotonic()
    aws.cells = {}
    writes = _check(ids, arrivals)
    script = len(ids) * LATENCY + (len(ids) + writes) * LATENCY  # a session, the writes and one read-back each
    paced = (writes / ACCOUNTS - 1) / WRITES_A_SECOND
    return ended - arrivals.calls[0][0], max(script / workers, paced)


def _observed(organisation: Organisation, workers: int) -> list[Request]:
    from iamroles.blueprints import RoleFacts
    from iamroles.blueprints.facts import default_policy_name
    from iamroles.models import AwsAccount, Request

    accounts = list(AwsAccount.objects.order_by("number"))
    requests = []
    for number in range(CHANGES):
        facts = accounts[number % ACCOUNTS].facts()
        name = f"codedeploy-{workers}-{number}"
        policy = default_policy_name(name)
        requests.append(
            organisation.submit(RoleFacts(account=facts, team="orders", role_name=name, policy_name=policy))
        )
    ids = [request.pk for request in requests]
    _until(lambda: Request.objects.filter(pk__in=ids, state="in_review").count() == len(ids))
    return requests


def _check(ids: list[int], arrivals: Arrivals) -> int:
    """Returns how many writes arrived. Raises RuntimeError for a wrong order, a second call, or a budget exceeded."""
    from iamroles.models import Step

    planned: dict[str, list[str]] = defaultdict(list)
    intended: dict[str, list[float]] = defaultdict(list)
    steps = Step.objects.filter(run__request_id__in=ids).select_related("run__request__account")
    for step in steps.order_by("run_id", "position"):
        account = step.run.request.account
        if account is None or step.started_at is None:
            raise RuntimeError(f"{step.api} on {step.resource} was never begun")
        planned[step.resource.rsplit("/", 1)[-1]].append(step.api)
        intended[account.number].append(step.started_at.timestamp())
    if planned != arrivals.writes_by_role():
        raise RuntimeError("a role's calls did not arrive once each and in the planned order")
    gaps = [later - earlier for times in intended.values() for earlier, later in pairwise(sorted(times))]
    if gaps and min(gaps) < 1 / WRITES_A_SECOND - 0.001:
        raise RuntimeError(f"two writes to one AWS account within {min(gaps):.3f} s")
    return sum(map(len, planned.values()))


@contextmanager
def _workers(count: int, folder: Path) -> Iterator[None]:
    options = ["--pool=prefork", f"--concurrency={count}", f"--hostname=b{time.monotonic_ns()}@bench"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
    command = [sys.executable, "-m", "celery", "-A", "portal.celery", "worker", *options, *quiet]
    with (folder / "workers.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)


def _until(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not reached():
        if time.monotonic() > until:
            raise RuntimeError(f"not reached within {PATIENCE:.0f} s")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
