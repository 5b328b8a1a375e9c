"""Containment against z3 on the same pairs, encoding and parsing included; hard cases; import, memory, batch rate.

Needs z3-solver (requirements/dev.txt) and nothing else: no demo, no database.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.figures import Figure
from iamroles.iam import catalogue, documents
from iamroles.iam.contain import Budget, contains
from tests.unit.iam import encoding
from tests.unit.iam.test_against_z3 import pair

_PAIRS = 200
_SECONDS = 2.0
_LINES = 5000


def _timed(act: Callable[[], object], times: int = 1) -> tuple[float, ...]:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - started)
    return tuple(seconds)


def _contains(new: dict[str, Any], reference: dict[str, Any]) -> str:
    end = time.perf_counter() + _SECONDS
    budget = Budget(stop=lambda: time.perf_counter() > end)
    return contains(documents.parse(new), documents.parse(reference), budget=budget).verdict


def measure() -> Iterator[Figure]:
    """Yields the figures of POLICY.md part 10 that are times."""
    yield from _managed_policies()
    yield from _random_pairs()
    yield from _hard_cases()
    yield from _processes()


def _managed_policies() -> Iterator[Figure]:
    full = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS).document.as_mapping()
    limited = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document.as_mapping()
    for name, new, reference in (("Limited in Full", limited, full), ("Full in Limited", full, limited)):
        z3 = Figure(f"z3, {name}", _timed(lambda n=new, r=reference: encoding.exceeds(n, r, 10_000), 5))  # type: ignore[misc]
        yield z3
        yield Figure(name, _timed(lambda n=new, r=reference: _contains(n, r), 20), z3)  # type: ignore[misc]


def _random_pairs() -> Iterator[Figure]:
    rng = random.Random(20261124)
    ours, theirs = [], []
    for _ in range(_PAIRS):
        new, reference = pair(rng)
        ours += _timed(lambda n=new, r=reference: _contains(n, r))  # type: ignore[misc]
        theirs += _timed(lambda n=new, r=reference: encoding.exceeds(n, r, 10_000))  # type: ignore[misc]
    z3 = Figure(f"z3, {_PAIRS} random pairs", tuple(theirs))
    yield z3
    yield Figure(f"{_PAIRS} random pairs", tuple(ours), z3)
    slowest = max(1, _PAIRS // 100)
    worst = Figure("z3, its slowest pairs of a hundred", tuple(sorted(theirs)[-slowest:]))
    yield Figure("our slowest pairs of a hundred", tuple(sorted(ours)[-slowest:]), worst)


def _like(patterns: str | list[str]) -> dict[str, Any]:
    condition = {"StringLike": {"k:x": patterns}}
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _hard_cases() -> Iterator[Figure]:
    stars = {count: "*a" * count + "*" for count in (19, 20)}
    names = [f"*foo{index:02d}*" for index in range(20)]
    prefixes = [f"bucket{index:03d}-*" for index in range(200)]
    for name, new, reference in (
        ("20 stars in 19", stars[20], stars[19]),
        ("19 stars in 20", stars[19], stars[20]),
        ("*a and 20 ? in * and 21 ?", "*a" + "?" * 20, "*" + "?" * 21),
        ("20 *fooNN* in the same and one more", names, [*names[::-1], "z"]),
        ("200 prefixes against 199 of them", prefixes, prefixes[:-1]),
    ):
        z3 = Figure(f"z3, {name}", _timed(lambda n=new, r=reference: encoding.exceeds(_like(n), _like(r), 10_000)))  # type: ignore[misc]
        yield z3
        yield Figure(name, _timed(lambda n=new, r=reference: _contains(_like(n), _like(r)), 5), z3)  # type: ignore[misc]


def _processes() -> Iterator[Figure]:
    bare = Figure("python -c pass", _timed(lambda: _run("pass"), 5))
    yield bare
    yield Figure("python -c 'import iamroles.iam'", _timed(lambda: _run("import iamroles.iam"), 5), bare)
    yield Figure("python -c 'import iamroles.iam.lint'", _timed(lambda: _run("import iamroles.iam.lint"), 5), bare)
    size = "print(next(x.split()[1] for x in open('/proc/self/status') if x.startswith('VmRSS')))"
    more = int(_run(f"import iamroles.iam.questions; {size}")) - int(_run(size))
    print(f"memory of iamroles.iam.questions above bare Python: {more / 1024:.1f} MiB")
    seconds = _timed(_batch)
    print(f"evaluate --batch: {_LINES / seconds[0]:,.0f} lines a second")
    yield Figure(f"evaluate --batch, {_LINES:,} lines", seconds)


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def _batch() -> None:
    policy = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document.as_mapping()
    lines = [
        json.dumps(
            {
                "id": index,
                "policies": [policy],
                "boundary": None,
                "request": {"action": "sns:Publish", "resource": f"arn:aws:sns:r:1:CodeDeployTopic_{index}"},
            }
        )
        for index in range(_LINES)
    ]
    command = [sys.executable, "-m", "iamroles.iam", "evaluate", "--batch"]
    subprocess.run(command, input="\n".join(lines), check=True, capture_output=True, text=True)
