"""The supervisor's processes as one family: started tied to their parent, watched, started again, ended together.

Each has a process group of its own, so that a worker's pool ends with it. Two ties hold when the supervisor is killed:
the guardian ends every group, and on Linux the kernel asks each process to end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from portal.demo.guardian import end_groups
from portal.demo.places import ROOT, make_folders
from portal.demo.processes import Spec

_PR_SET_PDEATHSIG = 1
# An idle Celery worker takes five seconds to end by itself.
STOP_GRACE = 7.0
ORPHAN_GRACE = 1.0
RESTARTS = 5
RESTARTS_WITHIN = 60.0


class Failed(Exception):
    """A process ended that should not have; the text names its log and its last line."""


class Family:
    """All processes of one demo."""

    def __init__(self, *, var: Path, lock_descriptor: int) -> None:
        self._var = var
        self._logs = var / "logs"
        self._specs: dict[str, Spec] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._restarted_at: dict[str, list[float]] = {}
        self._tie = tie_to_this_process()
        self._lock_descriptor = lock_descriptor
        self._pipe = -1
        self._guardian = self._start_guardian()

    @property
    def guardian_pid(self) -> int:
        """The process id of the guardian."""
        return self._guardian.pid

    def start(self, spec: Spec) -> None:
        """Starts a lasting process."""
        self._specs[spec.name] = spec
        self._processes[spec.name] = self._spawn(spec)

    def run(self, spec: Spec, *, wait: Callable[[], None]) -> None:
        """Runs a short process to its end, calling `wait` meanwhile. Raises `Failed` unless it returns 0."""
        process = self._spawn(spec)
        try:
            while process.poll() is None:
                wait()
        finally:
            self._ended(process)
        if process.returncode != 0:
            raise Failed(self._complaint(spec.name, f"ended with code {process.returncode}"))

    def require_running(self, name: str) -> None:
        """Raises `Failed` if the process has ended."""
        code = self._processes[name].poll()
        if code is not None:
            raise Failed(self._complaint(name, f"ended with code {code}"))

    def restart_what_died(self, now: float) -> None:
        """Starts again what ended by itself. Raises `Failed` for what does so more than `RESTARTS` times a minute."""
        if self._guardian.poll() is not None:
            self._dismiss_guardian()
            self._guardian = self._start_guardian()
            for process in self._processes.values():
                self._tell(f"+{process.pid}")
        for name, process in list(self._processes.items()):
            if process.poll() is None:
                continue
            self._ended(process)
            recent = [at for at in self._restarted_at.get(name, []) if now - at < RESTARTS_WITHIN]
            if len(recent) >= RESTARTS:
                raise Failed(self._complaint(name, f"keeps ending (code {process.returncode})"))
            self._restarted_at[name] = [*recent, now]
            self._processes[name] = self._spawn(self._specs[name])

    def stop(self, *, grace: float) -> None:
        """Ends everything: asks first, kills after `grace` seconds. A second call finds nothing to do."""
        if self._pipe == -1:
            return
        groups = {process.pid for process in self._processes.values()}
        end_groups_and_reap(groups, list(self._processes.values()), grace=grace)
        for group in groups:
            self._tell(f"-{group}")
        self._processes.clear()
        self._dismiss_guardian()

    def _dismiss_guardian(self) -> None:
        os.close(self._pipe)
        self._pipe = -1
        self._guardian.wait()

    def _spawn(self, spec: Spec) -> subprocess.Popen[bytes]:
        make_folders(self._var)  # somebody may have deleted one while the demo runs
        with (self._logs / f"{spec.name}.log").open("ab") as log:
            process = subprocess.Popen(
                spec.command,
                cwd=ROOT,
                env=spec.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self._tie,  # safe: the supervisor has one thread
            )
        self._tell(f"+{process.pid}")
        return process

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        # What the process left behind goes with it, before another of the same name starts.
        end_groups({process.pid}, grace=0)
        process.wait()
        self._tell(f"-{process.pid}")

    def _tell(self, line: str) -> None:
        # A guardian that somebody killed is replaced in the watching loop; until then the kernel's tie holds.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, f"{line}\n".encode())

    def _start_guardian(self) -> subprocess.Popen[bytes]:
        reading, self._pipe = os.pipe()
        guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", str(ROOT / "portal" / "demo" / "guardian.py")],
            stdin=reading,
            start_new_session=True,
            pass_fds=(self._lock_descriptor,),
        )
        os.close(reading)
        return guardian

    def _complaint(self, name: str, what: str) -> str:
        log = self._logs / f"{name}.log"
        lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
        said = f" Its last words: {lines[-1][:200]}" if lines else ""
        return f"The demo's {name} process {what}; see {log}.{said}"


def end_groups_and_reap(groups: set[int], processes: list[subprocess.Popen[bytes]], *, grace: float) -> None:
    """Ends the groups like the guardian does, and collects the processes so that none stays as a zombie."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGTERM)
    give_up = time.monotonic() + grace
    while any(process.poll() is None for process in processes) and time.monotonic() < give_up:
        time.sleep(0.05)
    end_groups(groups, grace=0)
    for process in processes:
        process.wait()


def tie_to_this_process() -> Callable[[], None] | None:
    """Returns what a child calls before it becomes its program (`preexec_fn`), so that it is asked to end with us.

    None where the kernel has no such tie: only Linux has.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent ended before the tie held
            os._exit(1)

    return tie
