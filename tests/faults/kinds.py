"""The fault kinds: what strikes which call, and what must come of it, declared before any cell runs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.aws import AwsCall, Cell, Dropped, Reply, error, reading_key

Strike = Callable[[Cell, AwsCall, int, Callable[[], Reply]], Reply]
CREATING = ("CreateRole", "CreatePolicy")
DELETING = ("DeleteRole", "DeletePolicy")
FOREVER = 10_000


@dataclass(frozen=True)
class Kind:
    """`target` is the sort of call struck; `expected` gives the outcome from (scenario, write actions, k)."""

    name: str
    target: str
    make: Callable[[int], Strike]
    expected: Callable[[str, list[str], int], str] = lambda _scenario, _writes, _k: "applied"
    only: Callable[[list[str], int], bool] = lambda _writes, _k: True


def _from(target: str, k: int, times: int, do: Callable[..., Reply], *, same: bool = True) -> Strike:
    """Strikes call k of a sort and the next ones, `times` in all; `same` keeps to calls of that sort."""
    left = [times]
    began = [False]

    def strike(cell: Cell, call: AwsCall, number: int, forward: Callable[[], Reply]) -> Reply:
        with cell.lock:
            if call.kind == target and number == k:
                began[0] = True
            hit = began[0] and left[0] > 0 and (call.kind == target or not same)
            if hit:
                left[0] -= 1
                cell.struck += 1
        return do(cell, call, forward) if hit else forward()

    return strike


def _drop(_cell: Cell, _call: AwsCall, _forward: Callable[[], Reply]) -> Reply:
    raise Dropped


def _lose(_cell: Cell, _call: AwsCall, forward: Callable[[], Reply]) -> Reply:
    forward()
    raise Dropped


def _late(_cell: Cell, _call: AwsCall, forward: Callable[[], Reply]) -> Reply:
    threading.Timer(0.7, forward).start()
    raise Dropped


def _garble(_cell: Cell, _call: AwsCall, forward: Callable[[], Reply]) -> Reply:
    forward()
    return Reply(200, b"<html>proxy says hello")


def _cut(_cell: Cell, _call: AwsCall, forward: Callable[[], Reply]) -> Reply:
    reply = forward()
    return Reply(reply.status, reply.body[: len(reply.body) // 2])


def _after_500(_cell: Cell, _call: AwsCall, forward: Callable[[], Reply]) -> Reply:
    forward()
    return error(500, "ServiceFailure")


def _says(status: int, code: str) -> Callable[..., Reply]:
    return lambda _cell, _call, _forward: error(status, code)


def _stale(cell: Cell, call: AwsCall, forward: Callable[[], Reply]) -> Reply:
    live = forward()
    with cell.lock:
        return cell.old_answers.get(reading_key(call), live)


def _kill_before(cell: Cell, _call: AwsCall, _forward: Callable[[], Reply]) -> Reply:
    if cell.pid:
        os.kill(cell.pid, signal.SIGKILL)
    raise Dropped


def _kill_after(cell: Cell, _call: AwsCall, forward: Callable[[], Reply]) -> Reply:
    forward()
    if cell.pid:
        os.kill(cell.pid, signal.SIGKILL)
    raise Dropped


def _stop(cell: Cell, _call: AwsCall, forward: Callable[[], Reply]) -> Reply:
    reply = forward()
    if cell.pid:
        cell.stopped = cell.pid
        os.kill(cell.pid, signal.SIGSTOP)
    return reply


def _absence_passes(writes: list[str], k: int) -> bool:
    """Absence is AWS not showing yet what we made, or the end of what we delete; of all else it is believed."""
    return writes[k - 1] in DELETING or any(action in CREATING for action in writes[: k - 1])


def _struck(name: str, target: str, times: int, do: Callable[..., Reply], *, same: bool = True) -> Kind:
    return Kind(name, target, lambda k: _from(target, k, times, do, same=same))


def _always(outcome: str) -> Callable[[str, list[str], int], str]:
    return lambda _scenario, _writes, _k: outcome


def _write_kinds() -> list[Kind]:
    denied = _says(403, "AccessDenied")
    return [
        _struck("dropped x1", "write", 1, _drop),
        _struck("dropped x8", "write", 8, _drop, same=False),
        _struck("answer lost x1", "write", 1, _lose),
        _struck("answer lost x3", "write", 3, _lose),
        _struck("late", "write", 1, _late),
        _struck("garbled", "write", 1, _garble),
        _struck("cut", "write", 1, _cut),
        _struck("throttle x1", "write", 1, _says(400, "Throttling")),
        _struck("throttle x8", "write", 8, _says(400, "Throttling")),
        _struck("500 before", "write", 1, _says(500, "ServiceFailure")),
        _struck("500 after", "write", 1, _after_500),
        _struck("concurrent", "write", 1, _says(409, "ConcurrentModification")),
        _struck("malformed once", "write", 1, _says(400, "MalformedPolicyDocument")),
        _struck("no such entity x1", "write", 1, _says(404, "NoSuchEntity")),
        Kind(
            "no such entity x3",
            "write",
            lambda k: _from("write", k, 3, _says(404, "NoSuchEntity")),
            lambda _scenario, writes, k: "applied" if _absence_passes(writes, k) else "blocked",
        ),
        Kind(
            "false already exists",
            "write",
            lambda k: _from("write", k, 1, _says(409, "EntityAlreadyExists")),
            _always("conflict"),
            lambda writes, k: writes[k - 1] in CREATING,
        ),
        _struck("expired token", "write", 1, _says(403, "ExpiredToken")),
        _struck("denied once", "write", 1, denied),
        Kind("denied", "write", lambda k: _from("write", k, FOREVER, denied), _always("blocked")),
        Kind("limit", "write", lambda k: _from("write", k, FOREVER, _says(409, "LimitExceeded")), _always("blocked")),
        _struck("kill before", "write", 1, _kill_before),
        _struck("kill after", "write", 1, _kill_after),
        Kind("kill before x3", "write", lambda k: _from("write", k, 3, _kill_before), _always("quarantined")),
    ]


def _read_kinds() -> list[Kind]:
    return [
        _struck("dropped x1", "read", 1, _drop),
        _struck("dropped x8", "read", 8, _drop),
        _struck("garbled", "read", 1, _garble),
        _struck("throttle x1", "read", 1, _says(400, "Throttling")),
        _struck("500", "read", 1, _says(500, "ServiceFailure")),
        _struck("expired token", "read", 1, _says(403, "ExpiredToken")),
        _struck("no such entity x1", "read", 1, _says(404, "NoSuchEntity")),
        _struck("no such entity x3", "read", 3, _says(404, "NoSuchEntity")),
        _struck("denied once", "read", 1, _says(403, "AccessDenied")),
        Kind("denied", "read", lambda k: _from("read", k, FOREVER, _says(403, "AccessDenied")), _always("blocked")),
        _struck("stale x3", "read", 3, _stale),
        _struck("stale x10", "read", 10, _stale),
        _struck("kill", "read", 1, _kill_before),
        _struck("kill x3", "read", 3, _kill_before),
    ]


def _session_kinds() -> list[Kind]:
    return [
        _struck("dropped x1", "session", 1, _drop),
        _struck("throttle x1", "session", 1, _says(400, "Throttling")),
        _struck("500", "session", 1, _says(500, "InternalFailure")),
        _struck("expired token", "session", 1, _says(403, "ExpiredToken")),
        _struck("denied once", "session", 1, _says(403, "AccessDenied")),
        Kind(
            "denied", "session", lambda k: _from("session", k, FOREVER, _says(403, "AccessDenied")), _always("blocked")
        ),
        Kind(
            "packed once",
            "session",
            lambda k: _from("session", k, 1, _says(400, "PackedPolicyTooLarge")),
            # a session for one call cannot be halved; the first session only reads
            lambda _scenario, writes, k: "blocked" if len(writes) == 1 and k > 1 else "applied",
        ),
        _struck("kill", "session", 1, _kill_after),
        _struck("stopped", "session", 1, _stop),
    ]


KINDS = [*_write_kinds(), *_read_kinds(), *_session_kinds()]
