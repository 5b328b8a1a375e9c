"""Ends the demo's processes when the supervisor is gone, however it went.

A process of its own, in a session of its own. It reads process group ids from a pipe whose other end only the
supervisor holds: `+123` a group was started, `-123` it ended. When the pipe closes, every group still listed is asked
to end and, a second later, ended. A pipe closes with its holder on every Unix, `kill -9` included. Standard library
only.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE = 1.0


def listed_groups(lines: Iterable[str]) -> set[int]:
    """Reads until the pipe closes. Returns the process groups that were started and have not ended."""
    groups: set[int] = set()
    for line in lines:
        sign, number = line[0], int(line[1:])
        if sign == "+":
            groups.add(number)
        else:
            groups.discard(number)
    return groups


def end_groups(groups: set[int], *, grace: float) -> None:
    """Asks the groups to end, waits at most `grace` seconds for them, then kills what is left."""
    _signal(groups, signal.SIGTERM)
    give_up = time.monotonic() + grace
    left = _alive(groups)
    while left and time.monotonic() < give_up:
        time.sleep(0.05)
        left = _alive(left)
    _signal(left, signal.SIGKILL)


def _signal(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            continue
        except PermissionError:  # macOS: a group of which only a zombie is left
            continue


def _alive(groups: set[int]) -> set[int]:
    alive = set()
    for group in groups:
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            continue
        alive.add(group)
    return alive


def main() -> int:
    """Watches standard input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_groups(listed_groups(sys.stdin), grace=GRACE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
