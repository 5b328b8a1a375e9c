"""Processes that end together: by request, by `kill -9` of their parent, and with everything that they started.

A small program stands in for the supervisor here, over the real `Family` and guardian; its children start children of
their own and ignore polite requests. The whole demo is started by `tests/browser`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.demo.family import RESTARTS, Failed, Family
from portal.demo.places import ROOT, make_folders
from portal.demo.processes import Spec
from portal.demo.reset import reset
from portal.demo.running import AlreadyRunning, RunningLock

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
PARENT_OF_ONE = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, '-c', {STUBBORN!r}, sys.argv[1]])
time.sleep(600)
"""
DRIVER = """
import os, sys, time
from pathlib import Path
from portal.demo.family import Family
from portal.demo.processes import Spec
from portal.demo.running import RunningLock
var, token, source = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
lock = RunningLock(var)
family = Family(var=var, lock_descriptor=lock.take("http://127.0.0.1:1/"))
for name in ("one", "two"):
    family.start(Spec(name, (sys.executable, "-c", source, token), dict(os.environ)))
print("started", flush=True)
time.sleep(600)
"""


def processes_with(token: str) -> set[int]:
    """The living processes that carry the token in their command line."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if token.encode() in command and state != "Z":
            found.add(int(folder.name))
    return found


def wait_for_count(token: str, count: int, seconds: float = 10) -> set[int]:
    give_up = time.monotonic() + seconds
    while len(found := processes_with(token)) != count:
        assert time.monotonic() < give_up, f"{len(found)} processes instead of {count}"
        time.sleep(0.05)
    return found


@pytest.fixture
def token() -> Iterator[str]:
    token = f"token-{uuid.uuid4().hex}"
    yield token
    for pid in processes_with(token):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def var(tmp_path: Path) -> Path:
    make_folders(tmp_path / "var")
    return tmp_path / "var"


def drive(var: Path, token: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", DRIVER, str(var), token, PARENT_OF_ONE]
    driver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "started\n"
    return driver


class TestKilledParent:
    def test_leaves_no_process_behind(self, var: Path, token: str) -> None:
        driver = drive(var, token)
        # The driver, two children, and a stubborn child of each.
        wait_for_count(token, 5)
        driver.kill()
        driver.communicate()
        wait_for_count(token, 0)

    def test_the_guardian_alone_suffices(self, var: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """As on a system whose kernel does not tell children: the platform is said to be another."""
        driver_source = DRIVER.replace("lock = ", "sys.platform = 'darwin'\nlock = ", 1)
        monkeypatch.setitem(globals(), "DRIVER", driver_source)
        driver = drive(var, token)
        wait_for_count(token, 5)
        driver.kill()
        driver.communicate()
        wait_for_count(token, 0)

    def test_the_next_start_waits_until_they_are_gone(self, var: Path, token: str) -> None:
        driver = drive(var, token)
        wait_for_count(token, 5)
        driver.kill()
        driver.communicate()
        lock = RunningLock(var)
        lock.take("http://127.0.0.1:2/")
        assert processes_with(token) == set()
        lock.release()


class TestFamily:
    @pytest.fixture
    def family(self, var: Path) -> Iterator[Family]:
        lock = RunningLock(var)
        family = Family(var=var, lock_descriptor=lock.take("http://127.0.0.1:1/"))
        yield family
        family.stop(grace=1)
        lock.release()

    def spec(self, token: str, source: str = PARENT_OF_ONE) -> Spec:
        return Spec("one", (sys.executable, "-c", source, token), dict(os.environ))

    def test_stop_ends_what_ignores_requests_too(self, family: Family, token: str) -> None:
        family.start(self.spec(token))
        wait_for_count(token, 2)
        family.stop(grace=1)
        assert processes_with(token) == set()

    def test_starts_again_what_died_and_ends_its_leftovers(self, family: Family, token: str) -> None:
        family.start(self.spec(token))
        before = wait_for_count(token, 2)
        os.kill(min(before), signal.SIGKILL)
        wait_for_count(token, 1)
        family.restart_what_died(now=100.0)
        after = wait_for_count(token, 2)
        assert before & after == set()

    def test_makes_deleted_folders_again_before_a_restart(self, family: Family, token: str, var: Path) -> None:
        made = var / "broker" / "control" / "one"
        family.start(self.spec(token, f"import time; open({str(made)!r}, 'w').close(); time.sleep(600)"))
        (before,) = wait_for_count(token, 1)
        while not made.exists():
            time.sleep(0.05)
        shutil.rmtree(var / "broker")
        shutil.rmtree(var / "logs")
        os.kill(before, signal.SIGKILL)
        give_up = time.monotonic() + 10
        while not made.exists():
            assert time.monotonic() < give_up
            family.restart_what_died(now=100.0)
            time.sleep(0.05)
        (after,) = wait_for_count(token, 1)
        assert after != before

    def test_gives_up_on_what_keeps_dying_and_shows_its_last_words(self, family: Family, token: str, var: Path) -> None:
        family.start(self.spec(token, "print('no such module'); raise SystemExit(3)"))

        def watch() -> None:
            for round_number in range((RESTARTS + 1) * 200):
                family.restart_what_died(now=round_number / 1000)
                time.sleep(0.02)

        with pytest.raises(Failed) as failed:
            watch()
        assert str(failed.value) == (
            f"The demo's one process keeps ending (code 3); see {var}/logs/one.log. Its last words: no such module"
        )

    def test_a_short_process_that_fails_is_named(self, family: Family, token: str, var: Path) -> None:
        with pytest.raises(Failed) as failed:
            family.run(self.spec(token, "raise SystemExit('the database is from tomorrow')"), wait=lambda: None)
        assert str(failed.value) == (
            f"The demo's one process ended with code 1; see {var}/logs/one.log."
            " Its last words: the database is from tomorrow"
        )

    def test_interrupting_a_short_process_ends_it(self, family: Family, token: str) -> None:
        def interrupt() -> None:
            wait_for_count(token, 2)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            family.run(self.spec(token), wait=interrupt)
        wait_for_count(token, 0)

    def test_a_killed_guardian_is_replaced(self, family: Family, token: str, var: Path) -> None:
        family.start(self.spec(token))
        wait_for_count(token, 2)
        first = family.guardian_pid
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        family.restart_what_died(now=1.0)
        assert family.guardian_pid != first


class TestASecondStart:
    def test_is_told_where_the_first_one_is(self, var: Path) -> None:
        first = RunningLock(var)
        first.take("http://127.0.0.1:8000/")
        with pytest.raises(AlreadyRunning) as refused:
            RunningLock(var).take("http://127.0.0.1:8001/")
        assert str(refused.value) == (
            f"The demo already runs at http://127.0.0.1:8000/ (process {os.getpid()})."
            f" Stop it with Ctrl-C there, or: kill {os.getpid()}"
        )
        assert json.loads((var / "supervisor.lock").read_text()) == {
            "pid": os.getpid(),
            "url": "http://127.0.0.1:8000/",
        }
        first.release()

    def test_reset_refuses_while_the_demo_runs(self, var: Path) -> None:
        first = RunningLock(var)
        first.take("http://127.0.0.1:8000/")
        with pytest.raises(AlreadyRunning):
            reset(var)
        assert (var / "supervisor.lock").exists()
        first.release()
        assert reset(var) == "The demo's data is removed. Start over: make demo"
        assert not var.exists()

    def test_reset_leaves_a_folder_alone_that_is_not_the_demos(self, tmp_path: Path) -> None:
        (tmp_path / "precious").touch()
        with pytest.raises(ValueError, match="was not made by the demo"):
            reset(tmp_path)
        assert (tmp_path / "precious").exists()
