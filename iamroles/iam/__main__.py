"""The command line of the IAM language: one JSON question on stdin, or with --batch one a line (POLICY.md part 2).

A door only: it reads, asks `questions`, prints and returns the exit code. Its clock is the time limit of a question.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from iamroles.iam import questions
from iamroles.iam.emptiness import Budget
from iamroles.iam.json_text import minify

_LINE = 1_048_576  # VA12: one batch line


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m iamroles.iam", description="Ask questions about IAM policies.")
    parser.add_argument("command", choices=sorted(questions.COMMANDS))
    parser.add_argument("--batch", action="store_true", help="one question a line, one answer a line")
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS", help="time limit of one question")
    given = parser.parse_args(arguments)
    if given.batch:
        return _batch(given.command, given.timeout)
    text = sys.stdin.buffer.read(_LINE + 1)
    answer, code = questions.answer(given.command, text, budget=_budget(given.timeout), clock=time.perf_counter)
    _print(answer)
    return code


def _batch(command: str, timeout: float) -> int:
    worst = 0
    lines = sys.stdin.buffer
    while line := lines.readline(_LINE + 1):
        if len(line) > _LINE:
            if not line.endswith(b"\n"):
                _skip_line(lines.readline)
        elif not line.strip():
            continue
        answer, _ = questions.answer(command, line, budget=_budget(timeout), clock=time.perf_counter)
        if "error" in answer:
            worst = 2
        _print(answer)
    return worst


def _skip_line(readline: Callable[[int], bytes]) -> None:
    while (rest := readline(_LINE)) and not rest.endswith(b"\n"):
        pass


def _budget(seconds: float) -> Budget:
    end = time.perf_counter() + seconds
    return Budget(stop=lambda: time.perf_counter() > end)


def _print(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(minify(answer).encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        code = main()
    except BrokenPipeError:
        sys.stderr.close()
        code = 2
    raise SystemExit(code)
