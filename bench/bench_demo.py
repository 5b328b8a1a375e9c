"""How long a new user waits: `make demo` in a fresh clone to the first page, with and without a download cache.

It clones the last commit and installs all packages, so it needs the package index and about 700 MB in the temporary
folder. The baseline of the warm start is one bare start of Django.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure
from portal.demo.places import ROOT
from portal.demo.ports import free_port

WARM_RUNS = 5
PATIENCE = 1200.0


def measure() -> Iterator[Figure]:
    """Yields the two cold starts, the warm starts and a stop."""
    with tempfile.TemporaryDirectory(prefix="roledesk-bench-") as folder:
        temporary = Path(folder)
        cache = temporary / "cache"
        cold, _ = start_and_stop(clone(temporary / "first"), cache)
        empty = Figure("make demo, cold, empty download cache", (cold,))
        yield empty
        project = clone(temporary / "second")
        cold, _ = start_and_stop(project, cache)
        yield Figure("make demo, cold, filled download cache", (cold,), against=empty)
        bare = Figure("a bare start of Django", tuple(django_start(project) for _ in range(WARM_RUNS)))
        yield bare
        warm = [start_and_stop(project, cache) for _ in range(WARM_RUNS)]
        yield Figure("make demo, warm", tuple(started for started, _ in warm), against=bare)
        yield Figure("Ctrl-C to everything stopped", tuple(stopped for _, stopped in warm), against=bare)


def clone(target: Path) -> Path:
    """Returns a fresh clone of the last commit."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)
    return target


def a_persons_environment() -> dict[str, str]:
    """Returns this environment without what make, the bootstrap and our own imports have put into it."""
    ours = ("ROLEDESK_", "DJANGO_", "MAKE")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def start_and_stop(project: Path, cache: Path) -> tuple[float, float]:
    """Returns the seconds from `make demo` to its ready line, and from Ctrl-C to its end."""
    environment = a_persons_environment() | {"PIP_CACHE_DIR": str(cache), "PORT": str(free_port())}
    began = time.monotonic()
    with subprocess.Popen(
        ["make", "demo"], cwd=project, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        try:
            wait_until_ready(demo, began + PATIENCE)
            ready = time.monotonic()
        finally:
            # As a terminal does: to the whole foreground group.
            os.killpg(demo.pid, signal.SIGINT)
            demo.wait()
    return ready - began, time.monotonic() - ready


def wait_until_ready(demo: subprocess.Popen[str], deadline: float) -> None:
    """Reads what the demo prints until it is ready. Raises RuntimeError if it ends or is too late."""
    assert demo.stdout is not None
    said = ""
    for said in demo.stdout:
        if re.match(r"Roledesk is ready at http://127\.0\.0\.1:\d+/$", said):
            return
        if time.monotonic() > deadline:
            break
    raise RuntimeError(f"the demo did not become ready; it said: {said.strip()}")


def django_start(project: Path) -> float:
    """Returns the seconds of a management command that does nothing."""
    began = time.monotonic()
    command = [".venv/bin/python", "manage.py", "help", "check"]
    subprocess.run(command, cwd=project, env=a_persons_environment(), capture_output=True, check=True)
    return time.monotonic() - began
