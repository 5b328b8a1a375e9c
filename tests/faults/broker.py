"""`python -m tests.faults.broker [name] [--count N] [--embedded]`: the broker loses, hides or refuses messages; nothing
may be lost.

Real Celery workers on PostgreSQL and Redis, or one on SQLite and a folder of messages as in `make demo`, without
`tend` and with production's sweep of 15 s. Each trouble strikes so many approved requests in 20 AWS accounts; all must
be applied within a minute of recovery, each exactly once, and no decision may wait for the broker. Killed workers are
the exception: their leases are held until nothing can land. A folder is neither killed nor frozen.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from iamroles.blueprints import RoleFacts
from iamroles.blueprints.facts import default_policy_name
from portal.demo.ports import HOST, free_port
from tests import services
from tests.faults.__main__ import prepare

if TYPE_CHECKING:
    from iamroles.models import AwsAccount, Request
    from tests.faults.aws import FaultyAws
    from tests.faults.scenarios import Organisation

ROOT = Path(__file__).resolve().parent.parent.parent
ACCOUNTS = 20
RECOVERED_WITHIN = 60.0
# A killed worker's calls may still land: lease, quiet period, and the sweep that finds the run (APPLY.md part 2).
HELD_AFTER_DEATH = 120.0 + 30.0 + 15.0
FROZEN = 120.0
DECIDED_WITHIN = 5.0


@dataclass
class Redis:
    """A Redis server that can be killed, frozen and started again on the same port."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def start(self) -> None:
        binary = services.find_redis()
        if binary is None:
            raise services.ServerDidNotStart("Redis is not installed")
        options = [
            "--port",
            str(self.port),
            "--bind",
            HOST,
            "--save",
            "",
            "--appendonly",
            "no",
            "--loglevel",
            "warning",
        ]
        command = [binary, *options, "--maxmemory-policy", "noeviction", "--dir", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while self.process.poll() is None and not self._answers():
            time.sleep(0.05)

    def _answers(self) -> bool:
        import redis

        try:
            return bool(redis.Redis(port=self.port, socket_timeout=1).ping())
        except redis.exceptions.RedisError:
            return False

    def tell(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()

    def flush(self) -> None:
        import redis

        redis.Redis(port=self.port).flushall()

    def stop(self) -> None:
        self.tell(signal.SIGKILL)


@dataclass
class Messages:
    """The folder that stands for a broker beside SQLite."""

    folder: Path

    def flush(self) -> None:
        for message in self.folder.glob("*.msg"):
            message.unlink()

    def stop(self) -> None:
        pass


@dataclass
class Trial:
    """What the troubles work with."""

    broker: Redis | Messages
    environment: dict[str, str]
    folder: Path
    organisation: Organisation
    slowest_decision: float = 0.0
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_workers(self) -> None:
        """Starts two Celery workers of three processes each; beside SQLite, which writes one at a time, one of two."""
        workers, processes = (2, 3) if isinstance(self.broker, Redis) else (1, 2)
        for number in range(workers):
            options = [
                "--pool=prefork",
                f"--concurrency={processes}",
                f"--hostname=w{number}-{time.monotonic_ns()}@faults",
            ]
            quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
            command = [sys.executable, "-m", "celery", "-A", "portal.celery", "worker", *options, *quiet]
            log = (self.folder / f"worker-{number}.log").open("ab")
            self.workers.append(
                subprocess.Popen(
                    command, env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
                )
            )

    def stop_workers(self) -> None:
        """Kills the workers with all their processes."""
        for worker in self.workers:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        self.workers.clear()

    def decide(self, requests: list[Request]) -> None:
        """Approves all, as the web tier does, and notes how long the slowest took."""
        for request in requests:
            began = time.monotonic()
            self.organisation.approve(request)
            self.slowest_decision = max(self.slowest_decision, time.monotonic() - began)

    def decide_and_die(self, requests: list[Request]) -> None:
        """Approves each in a process of its own that is killed between the commit and the ring."""
        from django.db import connections

        from iamroles import doorbell

        connections.close_all()
        for request in requests:
            pid = os.fork()
            if pid == 0:
                doorbell._send = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
                self.organisation.approve(request)
                os._exit(1)  # it lived on: the ring never came
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def _redis(trial: Trial) -> Redis:
    assert isinstance(trial.broker, Redis)
    return trial.broker


def _flushed(trial: Trial, requests: list[Request]) -> None:
    trial.stop_workers()
    trial.decide(requests)
    trial.broker.flush()
    trial.start_workers()


def _killed(trial: Trial, requests: list[Request]) -> None:
    redis = _redis(trial)
    redis.tell(signal.SIGKILL)
    trial.decide(requests)
    redis.start()


def _frozen(trial: Trial, requests: list[Request]) -> None:
    trial.decide(requests[: len(requests) // 2])
    _redis(trial).tell(signal.SIGSTOP)
    until = time.monotonic() + FROZEN
    trial.decide(requests[len(requests) // 2 :][:1])  # a decision still goes through
    time.sleep(max(0.0, until - time.monotonic()))
    _redis(trial).tell(signal.SIGCONT)
    trial.decide(requests[len(requests) // 2 + 1 :])


def _unpublished(trial: Trial, requests: list[Request]) -> None:
    trial.decide_and_die(requests)


def _workers_killed(trial: Trial, requests: list[Request]) -> None:
    trial.decide(requests)
    time.sleep(3)
    trial.stop_workers()
    trial.start_workers()


TROUBLES: dict[str, Callable[[Trial, list[Request]], None]] = {
    "flushed": _flushed,
    "killed": _killed,
    "frozen": _frozen,
    "unpublished": _unpublished,
    "workers killed": _workers_killed,
}
EMBEDDED = ("flushed", "unpublished", "workers killed")


def run(name: str, trial: Trial, count: int) -> bool:
    """Runs one trouble and prints how it ended."""
    from iamroles.models import Request, Step

    requests = _in_review(trial.organisation, count)
    trial.slowest_decision = 0.0
    TROUBLES[name](trial, requests)
    recovered = time.monotonic()
    ids = [request.pk for request in requests]
    allowed = RECOVERED_WITHIN + (HELD_AFTER_DEATH if name == "workers killed" else 0)
    while time.monotonic() - recovered < allowed * 2:
        if Request.objects.filter(pk__in=ids, outcome="applied").count() == count:
            break
        time.sleep(0.2)
    took = time.monotonic() - recovered
    applied = Request.objects.filter(pk__in=ids, outcome="applied").count()
    sent = Step.objects.filter(run__request_id__in=ids, attempt__gt=1).count()
    good = applied == count and took <= allowed and trial.slowest_decision <= DECIDED_WITHIN
    print(
        f"{name}: {applied} of {count} applied {took:.1f} s after recovery; slowest decision "
        f"{trial.slowest_decision:.1f} s; {sent} calls made again{'' if good else '  FAILED'}",
        flush=True,
    )
    return good


def _in_review(organisation: Organisation, count: int) -> list[Request]:
    """Returns requests that the workers have observed, spread over the AWS accounts."""
    from iamroles.models import AwsAccount, Request

    accounts = list(AwsAccount.objects.order_by("number"))
    first = Request.objects.count()
    requests = [
        organisation.submit(_facts(accounts[number % len(accounts)], f"codedeploy-{first + number}"))
        for number in range(count)
    ]
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if not Request.objects.filter(pk__in=[r.pk for r in requests], state="submitted").exists():
            return requests
        time.sleep(0.2)
    raise AssertionError("the workers did not observe")


def _facts(account: AwsAccount, name: str) -> RoleFacts:
    policy = default_policy_name(name)
    return RoleFacts(account=account.facts(), team="orders", role_name=name, policy_name=policy)


@contextmanager
def _trial(folder: Path, aws: FaultyAws, broker: Redis | Messages) -> Iterator[Trial]:
    environment = dict(os.environ)
    from tests.faults.scenarios import Organisation

    organisation = Organisation(aws)
    for number in range(ACCOUNTS):
        organisation.place(str(100000000001 + number))
    trial = Trial(broker, environment, folder, organisation)
    trial.start_workers()
    try:
        yield trial
    finally:
        trial.stop_workers()
        broker.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.broker")
    parser.add_argument("only", nargs="?", choices=sorted(TROUBLES), help="one trouble instead of all")
    parser.add_argument("--count", type=int, default=50, help="approved requests struck by each trouble")
    parser.add_argument("--embedded", action="store_true", help="SQLite and a folder instead of PostgreSQL and Redis")
    given = parser.parse_args()
    names = [given.only] if given.only else list(EMBEDDED if given.embedded else TROUBLES)
    if given.embedded and not {*names} <= {*EMBEDDED}:
        parser.error(f"a folder can only be: {', '.join(EMBEDDED)}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roledesk-broker-")))
        folder.chmod(0o755)
        broker: Redis | Messages = Messages(folder / "broker")
        os.environ.pop("DATABASE_URL", None)
        if not given.embedded:
            os.environ["DATABASE_URL"] = stack.enter_context(services.postgres(folder))
            broker = Redis(folder)
            broker.start()
        prepare(folder)
        # Production's times but for the pause between two equal looks: 50 runs share two processors here.
        del os.environ["ROLEDESK_ENGINE_LIMITS"]
        from tests.faults.aws import FaultyAws

        aws = FaultyAws()
        os.environ |= {
            **({"REDIS_URL": broker.url} if isinstance(broker, Redis) else {}),
            "ROLEDESK_AWS_ENDPOINT": aws.url,
            "ROLEDESK_SWEEP_SECONDS": "15",
            "ROLEDESK_WRITES_PER_SECOND": "1",
        }
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, check=True)
        import django

        django.setup()
        with _trial(folder, aws, broker) as trial:
            verdicts = [run(name, trial, given.count) for name in names]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
