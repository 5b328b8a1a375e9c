"""Worker processes, one a delivery: a warm parent forks a child for each, so that a thousand cells stay affordable.

The parent has one thread and no open connections; a child does what `manage.py work` does for one id, and ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Delivery:
    """One child. `status` is its exit status, negative for a signal."""

    pid: int | None = None
    status: int | None = None
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


class Nursery:
    """The harness's side of the pipe."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._deliveries: dict[str, Delivery] = {}
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("wb"),
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def deliver(self, verb: str, row: int, on_start: Callable[[int], None]) -> Delivery:
        """Starts a worker process for one id; `on_start` gets its pid before it does anything."""
        delivery = Delivery()
        with self._lock:
            token = str(len(self._deliveries))
            self._deliveries[token] = delivery
            assert self._process.stdin is not None
            self._process.stdin.write(f"{token} {verb} {row}\n")
        delivery.started.wait(30)
        assert delivery.pid is not None, "the nursery died"
        on_start(delivery.pid)
        with self._lock:
            self._process.stdin.write(f"{token} go {delivery.pid}\n")
        return delivery

    def close(self) -> None:
        """Ends the parent; children end with their work."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=120)  # a woken worker looks on for a while before it sees that it is fenced out

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            delivery = self._deliveries[said["token"]]
            if "pid" in said:
                delivery.pid = said["pid"]
                delivery.started.set()
            else:
                delivery.status = said["status"]
                delivery.ended.set()


def _child(verb: str, row: int, gate: int) -> None:
    os.read(gate, 1)
    from iamroles.engine import apply, follow_up, observe
    from iamroles.engine.tools import from_settings

    if verb == "observe":
        observe.observe(request_id=row, tools=from_settings())
    elif verb == "follow_up":
        follow_up.follow_up(run_id=row, tools=from_settings())
    else:
        apply.apply(request_id=row, tools=from_settings())


def _tell(**said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main() -> None:
    import django

    django.setup()
    from django.db import connections

    from iamroles.aws import boto
    from iamroles.engine import apply, follow_up, observe

    assert apply
    assert follow_up
    assert observe
    boto.warm()
    children: dict[int, str] = {}
    gates: dict[str, int] = {}
    commands = b""
    reading = True
    while reading or children:
        ready = select.select([0], [], [], 0.02)[0] if reading else []
        if ready:
            more = os.read(0, 65536)
            reading = bool(more)
            commands += more
        *lines, commands = commands.split(b"\n")
        for line in lines:
            token, verb, row = line.decode().split()
            if verb == "go":
                os.write(gates[token], b"x")
                os.close(gates.pop(token))
                continue
            gate, opener = os.pipe()
            connections.close_all()
            pid = os.fork()
            if pid == 0:
                os.close(opener)
                for other in gates.values():
                    os.close(other)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                try:
                    _child(verb, int(row), gate)
                except BaseException:
                    import traceback

                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            os.close(gate)
            gates[token] = opener
            children[pid] = token
            _tell(token=token, pid=pid)
        for pid, token in list(children.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del children[pid]
                _tell(token=token, status=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
