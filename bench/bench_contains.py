"""Containment against z3 on the same pairs, encoding and parsing included; hard cases; limits; import, memory, batch.

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
from iamroles.iam import catalogue, documents, questions
from iamroles.iam.contain import Budget, contains
from tests.unit.iam import encoding
from tests.unit.iam.test_against_z3 import pair

_PAIRS = 200
_SECONDS = 2.0
_LIMIT = 0.25  # the preview's, seconds
_OVER = 0.05  # that a question may take longer than its limit
_LINES = 100_000


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
    yield from _limits()
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


def _limits() -> Iterator[Figure]:
    """How far adversarial questions run beyond their limit, by processor time: a busy machine must not count."""
    for name, command, question in _adversarial():
        text = json.dumps({"id": name, **question}).encode()
        end = time.process_time() + _LIMIT
        budget = Budget(stop=lambda end=end: time.process_time() > end)  # type: ignore[misc]
        answer, _ = questions.answer(command, text, budget=budget, clock=time.process_time)
        over = max(0.0, time.process_time() - end)
        said = answer.get("verdict") or answer.get("error", {}).get("message") or "answered"
        print(f"{command}, {name}: {said}; {over * 1000:.0f} ms over {'' if over <= _OVER else ', TOO LONG'}")
        yield Figure(f"over a limit of {_LIMIT} s: {command}, {name}", (over,))


def _adversarial() -> Iterator[tuple[str, str, dict[str, Any]]]:
    rng = random.Random(1)

    def word(length: int) -> str:
        return "".join(rng.choice("ab*?") for _ in range(length))

    letters = "".join(chr(0x4E00 + index) for index in range(16_000))
    pairs = {
        "8,000 stars": (_like("*a" * 8000 + "*"), _like("*" + "*a" * 8000 + "b*")),
        "16,000 letters in a row": (_like(f"*{'a' * 16_000}b*"), _like(f"*{'a' * 16_000}*")),
        "16,000 different letters": (_like(f"*{letters}*"), _like(f"*{letters[::-1]}*")),
        "16,000 question marks": (_like("?" * 16_000 + "*"), _like("*" + "?" * 16_001)),
        "1,000 patterns in 1,000": (_like([word(40) for _ in range(1000)]), _like([word(40) for _ in range(1000)])),
        "450 denies over 40 keys": (_keyed("Deny", word), _keyed("Allow", word)),
        "480 statements in 480": (_resources(word), _resources(word)),
        "400 variables": (_resources(lambda size: f"${{k:{rng.randint(0, 400)}}}/{word(size)}"), _resources(word)),
    }
    for name, (new, reference) in pairs.items():
        yield name, "contains", {"new": new, "reference": reference}
        yield name, "diff", {"before": reference, "after": new}
    members = [str(index) for index in range(40_000)]
    request = {"action": "s3:GetObject", "resource": "*", "context": {"k:x": members}}
    yield (
        "40,000 members, 4,000 patterns",
        "evaluate",
        {"policies": [_like([word(20) for _ in range(4000)])], "request": request},
    )
    request = {"action": "s3:GetObject", "resource": "*", "context": {"k:x": "a" * 500_000}}
    yield "a long value and a long run", "evaluate", {"policies": [_like(f"*{'a' * 16_000}?b*")], "request": request}


def _resources(word: Callable[[int], str]) -> dict[str, Any]:
    allow = {"Effect": "Allow", "Action": "s3:GetObject"}
    statements = [{**allow, "Resource": f"arn:aws:s3:::{word(12)}"} for _ in range(400)]
    return {"Version": "2012-10-17", "Statement": statements}


def _keyed(effect: str, word: Callable[[int], str]) -> dict[str, Any]:
    every = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    tested = [
        {**every, "Effect": effect, "Condition": {"StringLike": {f"k:{index % 40}": word(8)}}} for index in range(450)
    ]
    return {"Version": "2012-10-17", "Statement": [every, *tested] if effect == "Deny" else tested}


def _processes() -> Iterator[Figure]:
    bare = Figure("python -c pass", _timed(lambda: _run("pass"), 9))
    yield bare
    for module in ("iamroles.iam", "iamroles.iam.contain", "iamroles.iam.questions"):
        taken = Figure(f"python -c 'import {module}'", _timed(lambda name=module: _run(f"import {name}"), 9), bare)  # type: ignore[misc]
        print(f"import of {module}: {(taken.percentile(0.5) - bare.percentile(0.5)) * 1000:.0f} ms above bare Python")
        yield taken
    size = "print(next(x.split()[1] for x in open('/proc/self/status') if x.startswith('VmRSS')))"
    more = int(_run(f"import iamroles.iam.questions; {size}")) - int(_run(size))
    print(f"memory of iamroles.iam.questions above bare Python: {more / 1024:.1f} MiB")
    loaded = _run("import sys, iamroles.iam.questions; print('django' in sys.modules)").strip()
    print(f"Django in sys.modules: {loaded}")
    yield from _batch()


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def _batch() -> Iterator[Figure]:
    """The rate of `evaluate --batch`, and its memory early and late: it must not grow with the lines."""
    policy = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document.as_mapping()
    command = [sys.executable, "-m", "iamroles.iam", "evaluate", "--batch"]
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as batch:
        assert batch.stdin
        assert batch.stdout
        sizes = []
        for first in range(0, _LINES, 50):
            chunk = range(first, first + 50)
            for index in chunk:
                request = {"action": "sns:Publish", "resource": f"arn:aws:sns:r:1:CodeDeployTopic_{index}"}
                batch.stdin.write(
                    json.dumps({"id": index, "policies": [policy], "boundary": None, "request": request}) + "\n"
                )
            batch.stdin.flush()
            answers = [json.loads(batch.stdout.readline())["decision"] for _ in chunk]
            assert answers == ["allowed"] * len(chunk)
            if chunk[-1] + 1 in {_LINES // 10, _LINES}:
                sizes.append(_memory(batch.pid))
        batch.stdin.close()
    seconds = time.perf_counter() - started
    print(f"evaluate --batch: {_LINES / seconds:,.0f} lines a second, {_LINES:,} lines")
    print(f"its memory after a tenth of the lines: {sizes[0]:.1f} MiB, after all: {sizes[1]:.1f} MiB")
    yield Figure(f"evaluate --batch, {_LINES:,} lines", (seconds,))


def _memory(process: int) -> float:
    with open(f"/proc/{process}/status") as status:
        return int(next(line.split()[1] for line in status if line.startswith("VmRSS"))) / 1024
