"""Is the demo running? A lock file that the supervisor and its guardian hold, so that it is free when both are gone."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO

PATIENCE = 10.0


class AlreadyRunning(Exception):
    """Another supervisor holds the demo's folder; the text says which and how to stop it."""


class RunningLock:
    """The lock on the demo's folder. What it says (process id, URL) is for people; the lock itself decides."""

    def __init__(self, var: Path) -> None:
        self._path = var / "supervisor.lock"
        self._file: IO[str] | None = None

    def take(self, url: str) -> int:
        """Takes the lock and returns its file descriptor for the guardian. Raises `AlreadyRunning`.

        After a `kill -9` the guardian still holds it while it ends the rest: then this waits up to `PATIENCE` seconds.
        """
        # Kept open beyond this function: closing it would let the lock go.
        file = open(self._path, "a+", encoding="utf-8")  # noqa: SIM115
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pid, where = _read(file)
                if _lives(pid) or time.monotonic() > give_up:
                    file.close()
                    raise AlreadyRunning(_sentence(pid, where)) from None
                time.sleep(0.1)
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "url": url}))
        file.flush()
        self._file = file
        return file.fileno()

    def release(self) -> None:
        """Lets the lock go."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _read(file: IO[str]) -> tuple[int, str]:
    file.seek(0)
    try:
        content = json.loads(file.read())
        return int(content["pid"]), str(content["url"])
    except (ValueError, KeyError):  # another start is between taking the lock and writing its name
        return 0, ""


def _lives(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sentence(pid: int, url: str) -> str:
    where = f" at {url}" if url else ""
    stop = f", or: kill {pid}" if pid else ""
    return f"The demo already runs{where}{f' (process {pid})' if pid else ''}. Stop it with Ctrl-C there{stop}"
