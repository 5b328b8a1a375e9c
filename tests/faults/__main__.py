"""`python -m tests.faults [words] [--ci] [--workers N]`: the fault matrix. The last line is its verdict; exit 1 unless
nothing was wrong, lost, or falsely called applied."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.matrix import Healthy, Matrix, Plan

# Shortened in proportion; the Date header has whole seconds, so the deadline cannot be shorter than this.
LIMITS = {
    "lease": 5.0,
    "quiet": 1.0,
    "absent_pause": 0.5,
    "renew_under": 2.0,
    "send_over": 1.0,
    "skew": 3.0,
    "not_shown": 25.0,
    "backoff_from": 0.05,
    "backoff_to": 0.5,
}


def prepare(folder: Path) -> dict[str, str]:
    """Returns the environment of harness and workers; writes keys and an empty database."""
    (folder / "broker" / "control").mkdir(parents=True)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "DATABASE_URL": os.environ.get("DATABASE_URL") or f"sqlite:///{folder / 'faults.sqlite3'}",
        "ROLEDESK_VAR": str(folder),
        "ROLEDESK_TEST_BROKER": str(folder / "broker"),
        "ROLEDESK_ENGINE_LIMITS": json.dumps(LIMITS),
        "AWS_ACCESS_KEY_ID": "hub",
        "AWS_SECRET_ACCESS_KEY": "hub",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    os.environ.pop("REDIS_URL", None)
    from tests.integration.engine.keys import write_keys

    private, public = write_keys(folder)
    os.environ |= {"ROLEDESK_SIGNING_KEY_FILE": private, "ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE": public}
    return dict(os.environ)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("only", nargs="?", default="", help="run the cells whose name holds this text")
    parser.add_argument("--ci", action="store_true", help="each kind once or twice a scenario")
    parser.add_argument("--every-read", type=int, default=3, help="strike every n-th read (1: the full matrix)")
    parser.add_argument("--workers", type=int, default=8, help="cells at the same time")
    parser.add_argument("--races", type=int, default=0, help="instead: so many rounds of four workers on one request")
    parser.add_argument("--schedules", type=int, default=0, help="instead: so many cells of two to five passing faults")
    parser.add_argument("--seed", type=int, default=1, help="the first schedule's seed; the others count up from it")
    parser.add_argument("--benign", type=int, default=0, help="instead: so many cells with a change that stops nothing")
    parser.add_argument("--scenario", default="", help="only scenarios whose name holds this text")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="roledesk-faults-") as name:
        return run(Path(name), given)


def run(folder: Path, given: argparse.Namespace) -> int:
    from tests.faults.aws import FaultyAws

    environment = prepare(folder)
    aws = FaultyAws()
    environment["ROLEDESK_AWS_ENDPOINT"] = os.environ["ROLEDESK_AWS_ENDPOINT"] = aws.url
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=environment, check=True)
    import django

    django.setup()
    from tests.faults.matrix import SCENARIOS, Matrix
    from tests.faults.nursery import Nursery

    log = folder / "workers.log"
    nursery = Nursery(environment, log)
    began = time.monotonic()
    try:
        matrix = Matrix(aws, nursery)
        if given.races:
            return races(matrix, given.races)
        healthy = {each.name: matrix.healthy(each) for each in SCENARIOS if given.scenario in each.name}
        for scenario, frame in healthy.items():
            print(f"{scenario}: {len(frame.writes)} writes, {frame.counts}", flush=True)
        plans = _plans(healthy, given)
        print(f"{len(plans)} cells, {given.workers} at a time", flush=True)
        verdicts = matrix.run_all(plans, given.workers)
    finally:
        nursery.close()
        words = log.read_text(encoding="utf-8", errors="replace")
        if "Traceback" in words:
            print(words[words.index("Traceback") :][:3000])
    count = Counter(verdict.result for verdict in verdicts)
    print(f"{time.monotonic() - began:.0f} s")
    print(
        f"{len(verdicts)} cells: {count['exact']} exact, {count['flagged']} flagged as expected, "
        f"{count['wrong']} wrong, {count['lost']} lost, {count['false success']} false successes"
    )
    return 1 if count["wrong"] or count["lost"] or count["false success"] else 0


def _plans(healthy: dict[str, Healthy], given: argparse.Namespace) -> list[Plan]:
    from tests.faults.matrix import cells, chosen
    from tests.faults.schedules import benign, draw

    if given.schedules:
        return [draw(seed, healthy) for seed in range(given.seed, given.seed + given.schedules)]
    if given.benign:
        return benign(given.benign, healthy)
    return chosen(cells(healthy, given.every_read), "ci" if given.ci else given.only)


def races(matrix: Matrix, rounds: int) -> int:
    """Runs the rounds one after the other and prints how many wrote exactly the plan."""
    verdicts = [matrix.race() for _ in range(rounds)]
    for verdict in verdicts:
        if verdict.result != "exact":
            print(f"{verdict.result.upper()}  {verdict.said}", flush=True)
    exact = sum(verdict.result == "exact" for verdict in verdicts)
    print(f"{rounds} rounds of four workers on one request: {exact} wrote exactly the plan, once")
    return 0 if exact == rounds else 1


if __name__ == "__main__":
    sys.exit(main())
