"""The command line of the IAM language: one JSON question on stdin, or with --batch one a line (POLICY.md part 2).

A door only: it reads, asks `questions`, prints and returns the exit code. Its clock is the time limit of a question.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from iamroles.iam import questions
from iamroles.iam.emptiness import Budget
from iamroles.iam.json_text import minify

_READ = questions.LINE + 3  # one byte more than the longest line with its end, so that a longer one shows


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m iamroles.iam", description="Ask questions about IAM policies.")
    parser.add_argument("command", choices=sorted(questions.COMMANDS))
    parser.add_argument("--batch", action="store_true", help="one question a line, one answer a line")
    parser.add_argument("--timeout", type=_seconds, default=2.0, metavar="SECONDS", help="time limit of one question")
    given = parser.parse_args(arguments)
    if sys.stdin is None:
        parser.error("there is no standard input to read a question from")
    if given.batch:
        return _batch(given.command, sys.stdin.buffer, given.timeout)
    answer, code = _answer(given.command, sys.stdin.buffer.read(_READ), given.timeout)
    _print(answer)
    return code


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        value = float(text)
        if 0 <= value <= 3600:  # NaN is neither
            return value
    raise argparse.ArgumentTypeError("give 0 to 3600 seconds")


def _batch(command: str, lines: BinaryIO, timeout: float) -> int:
    worst = 0
    while line := lines.readline(_READ):
        if len(line) == _READ and not line.endswith(b"\n"):
            _skip_line(lines.readline)
        answer, _ = _answer(command, line, timeout)
        if "error" in answer:
            worst = 2
        _print(answer)
    return worst


def _skip_line(readline: Callable[[int], bytes]) -> None:
    while (rest := readline(_READ)) and not rest.endswith(b"\n"):
        pass


def _answer(command: str, text: bytes, timeout: float) -> questions.Answer:
    end = time.perf_counter() + timeout
    budget = Budget(stop=lambda: time.perf_counter() > end)
    return questions.answer(command, text, budget=budget, clock=time.perf_counter)


def _print(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(minify(answer).encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        code = main()
    except BrokenPipeError:
        sys.stderr.close()
        code = 2
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)
