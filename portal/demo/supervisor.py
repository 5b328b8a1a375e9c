"""`make demo`: starts the simulated AWS, the worker, `tend` and the web server, fills the demo, says when it is ready.

It stays in the foreground until Ctrl-C and then ends all of them; if it is killed, or whoever started it is, they end
too. What it prints is short; what the processes say is in `var/logs/`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

from portal.demo import processes
from portal.demo.family import ORPHAN_GRACE, STOP_GRACE, Failed, Family
from portal.demo.keys import create_keys
from portal.demo.places import make_folders, var_folder
from portal.demo.ports import PortTaken, free_port, require_free
from portal.demo.processes import Place
from portal.demo.running import AlreadyRunning, RunningLock

DEFAULT_PORT = 8000
FIRST_PAGE = "accounts/login/"
PATIENCE = 120.0
STARTED_BY = "ROLEDESK_STARTED_BY"


class CannotStart(Exception):
    """The demo cannot start here; the text is one sentence with what to do."""


class Stopped(Exception):
    """Somebody asked to stop, or whoever started the demo is gone."""


class Supervisor:
    """One run of the demo."""

    def __init__(self, *, place: Place, family: Family, parent: int) -> None:
        self._place = place
        self.family = family
        self._parent = parent
        self.stop_asked = False

    def run(self) -> None:
        """Starts everything and watches it. Ends by raising `Stopped` or `Failed`."""
        place, family = self._place, self.family
        family.start(processes.simulator(place))
        family.run(processes.prepare(place), wait=self._pause)
        self._wait_for("simulator", f"{place.aws_endpoint}/_simulator/requests")
        # The worker first: it observes what the demo data asks for.
        family.start(processes.worker(place))
        family.start(processes.tend(place))
        family.start(processes.web(place))
        family.run(processes.fill(place), wait=self._pause)
        self._wait_for("web", f"{place.url}{FIRST_PAGE}")
        for name in ("worker", "tend"):
            family.require_running(name)
        print(f"Roledesk is ready at {place.url}", flush=True)
        print(f"Stop it with Ctrl-C. Logs: {shown(place.var / 'logs')}", flush=True)
        while True:
            self._pause(0.3)
            family.restart_what_died(time.monotonic())

    def is_orphaned(self) -> bool:
        """Returns True once whoever started the demo is gone: nobody can press Ctrl-C any more."""
        return os.getppid() != self._parent

    def _wait_for(self, name: str, url: str) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                with opener.open(url, timeout=10):
                    return
            except urllib.error.HTTPError as error:
                raise Failed(f"{url} answers {error.code}; see {self._place.var}/logs/{name}.log") from error
            except OSError as error:
                if time.monotonic() > give_up:
                    raise Failed(f"{url} does not answer; see {self._place.var}/logs/{name}.log") from error
            self.family.require_running(name)
            self._pause()

    def _pause(self, seconds: float = 0.05) -> None:
        time.sleep(seconds)
        if self.stop_asked or self.is_orphaned():
            raise Stopped


def shown(path: Path) -> str:
    """Returns the path as a person in this folder would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def wanted_port() -> int:
    """Returns `PORT` or 8000. Raises `CannotStart` for what is no port."""
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise CannotStart(
            f"PORT is {text!r}, which is no port number. Take one from 1024 to 65535: make demo PORT=8001"
        )
    return int(text)


def choose_place(var: Path, port: int) -> Place:
    """Returns the place of this run; the simulated AWS gets the port it had before if that is still free."""
    memory = var / "simulator" / "port"
    before = int(memory.read_text(encoding="ascii")) if memory.exists() else None
    place = Place(var=var, port=port, simulator_port=free_port(before))
    memory.write_text(str(place.simulator_port), encoding="ascii")
    return place


def start_logs_anew(logs: Path) -> None:
    """Keeps the last run's logs as `.1`."""
    for log in logs.glob("*.log"):
        log.replace(log.with_suffix(".log.1"))


def main() -> int:
    """Returns 0 after Ctrl-C, 1 with a sentence if the demo cannot start or go on."""
    os.umask(0o077)
    parent = int(os.environ.get(STARTED_BY) or os.getppid())
    var = var_folder()
    lock = RunningLock(var)
    try:
        port = wanted_port()
        make_folders(var)
        descriptor = lock.take(f"http://127.0.0.1:{port}/")
        require_free(port)
        place = choose_place(var, port)
        create_keys(var / "keys")
        start_logs_anew(var / "logs")
    except (CannotStart, AlreadyRunning, PortTaken) as reason:
        print(reason, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or var} cannot be written ({error.strerror}). Try: make demo-reset", file=sys.stderr)
        return 1
    return _supervise(Supervisor(place=place, family=Family(var=var, lock_descriptor=descriptor), parent=parent))


def _supervise(supervisor: Supervisor) -> int:
    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        supervisor.stop_asked = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    try:
        supervisor.run()
    except Stopped:
        print("Stopping (the worker finishes what it has begun)", flush=True)
        return 0
    except Failed as reason:
        print(reason, file=sys.stderr)
        return 1
    finally:
        supervisor.family.stop(grace=ORPHAN_GRACE if supervisor.is_orphaned() else STOP_GRACE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
