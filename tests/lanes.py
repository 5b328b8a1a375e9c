"""`make test`: runs each lane in a pytest of its own and closes with one line for each.

A lane whose programs are missing gets them from apt if we are root (`INSTALL=0` forbids it); else it is NOT RUN and the
last lines say what would install them. With `REQUIRE_LANES=1` a lane that did not run fails the whole.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from portal.demo.places import ROOT
from tests import services
from tests.services import CHROMIUM, POSTGRES, REDIS, Program

# They start no database, so one run of them is enough.
_SAME_ON_EVERY_DATABASE = ("tests/integration/test_simulator.py", "tests/integration/test_supervisor.py")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_CLOSING = re.compile(r"(?:no tests ran|(?:\d+ [a-z]+(?:, )?)+) in [\d.]+s(?: \([\d:, days]+\))?")
_OURS = ("AWS_", "ROLEDESK_", "DJANGO_", "DATABASE_URL", "REDIS_URL", "PORT", "MAKE")
NOT_RUN = "NOT RUN"


@dataclass(frozen=True)
class Lane:
    """One run of pytest and what it needs."""

    name: str
    arguments: tuple[str, ...]
    needs: tuple[Program, ...] = ()

    @property
    def on_servers(self) -> bool:
        """True if the lane runs on PostgreSQL and Redis."""
        return POSTGRES in self.needs


LANES = (
    Lane("unit", ("tests/unit", "tests/architecture")),
    Lane("integration-sqlite", ("tests/integration",)),
    Lane(
        "integration-postgresql",
        ("tests/integration", *(f"--ignore={path}" for path in _SAME_ON_EVERY_DATABASE)),
        (POSTGRES, REDIS),
    ),
    Lane("contract", ("tests/contract",)),
    Lane("browser-sqlite", ("tests/browser",), (CHROMIUM,)),
    Lane("browser-postgresql", ("tests/browser",), (CHROMIUM, POSTGRES, REDIS)),
)
# Slow, and asked for by name: `make test-faults`.
ON_REQUEST = (Lane("faults", ("tests/faults",)),)


@dataclass(frozen=True)
class Outcome:
    """How a lane ended: `passed`, `FAILED` or `NOT RUN`, and what it says about that."""

    lane: str
    result: str
    said: str


class UnknownLane(Exception):
    """No lane begins with the word; the text lists those there are."""


def chosen_lanes(words: list[str]) -> list[Lane]:
    """Returns the lanes whose names begin with one of the words, all but those on request for none."""
    if not words:
        return list(LANES)
    everything = (*LANES, *ON_REQUEST)
    for word in words:
        if not any(lane.name.startswith(word) for lane in everything):
            raise UnknownLane(f"There is no lane {word!r}. There are: {', '.join(lane.name for lane in everything)}")
    return [lane for lane in everything if lane.name.startswith(tuple(words))]


def missing_programs(lanes: list[Lane], provided: set[Program]) -> list[Program]:
    """Returns what the lanes need, nobody provides and this machine lacks; each once, in the order of the lanes."""
    needed = dict.fromkeys(program for lane in lanes for program in lane.needs)
    return [program for program in needed if program not in provided and program.find() is None]


def closing_line(output: str) -> str:
    """Returns pytest's last word (`12 passed in 3.45s`) from a line of its output, or an empty string."""
    text = _COLOUR.sub("", output).strip("= \n")
    return text if _CLOSING.fullmatch(text) else ""


def summary(outcomes: list[Outcome]) -> list[str]:
    """Returns the closing lines, one a lane."""
    width = max(len(outcome.lane) for outcome in outcomes)
    return [f"{outcome.lane:<{width}}  {outcome.result:<7}  {outcome.said}" for outcome in outcomes]


def exit_code(outcomes: list[Outcome], *, all_required: bool) -> int:
    """Returns 0 if everything that ran passed, and, where all are required, everything ran."""
    accepted = {"passed"} if all_required else {"passed", NOT_RUN}
    return 0 if {outcome.result for outcome in outcomes} <= accepted else 1


class Runner:
    """Runs lanes; servers are started once, when the first lane needs them."""

    def __init__(self, *, temporary: Path, stack: ExitStack, environment: dict[str, str]) -> None:
        self._temporary = temporary
        self._stack = stack
        self._given = {name: environment[name] for name in ("DATABASE_URL", "REDIS_URL") if environment.get(name)}
        self._environment = {name: value for name, value in environment.items() if not name.startswith(_OURS)}
        self._servers: dict[str, str] = {}

    @property
    def provided(self) -> set[Program]:
        """What need not be installed, because the environment names a server."""
        by_name = {"DATABASE_URL": POSTGRES, "REDIS_URL": REDIS}
        return {by_name[name] for name in self._given}

    def run(self, lane: Lane) -> Outcome:
        """Runs one lane to its end."""
        print(f"\n== {lane.name}", flush=True)
        try:
            with self._lane_environment(lane) as environment:
                code, said = run_pytest(lane.arguments, environment)
        except services.ServerDidNotStart as error:
            return Outcome(lane.name, "FAILED", f"a server did not start: {error}")
        return Outcome(lane.name, "passed" if code == 0 else "FAILED", said or f"pytest ended with code {code}")

    @contextmanager
    def _lane_environment(self, lane: Lane) -> Iterator[dict[str, str]]:
        folder = self._temporary / lane.name
        folder.mkdir()
        environment = {**self._environment, "ROLEDESK_VAR": str(folder)}
        if CHROMIUM in lane.needs:
            environment["ROLEDESK_CHROMIUM"] = services.find_chromium() or ""
        if not lane.on_servers:
            yield environment
            return
        servers = self._start_servers()
        with services.fresh_database(servers["DATABASE_URL"]) as database:
            yield {
                **environment,
                "DATABASE_URL": database,
                "REDIS_URL": servers["REDIS_URL"],
                "ROLEDESK_DEMO_DATABASE_URL": database,
                "ROLEDESK_DEMO_REDIS_URL": servers["REDIS_URL"],
            }

    def _start_servers(self) -> dict[str, str]:
        if not self._servers:
            self._servers = dict(self._given)
            if "DATABASE_URL" not in self._servers:
                self._servers["DATABASE_URL"] = self._stack.enter_context(services.postgres(self._temporary))
            if "REDIS_URL" not in self._servers:
                self._servers["REDIS_URL"] = self._stack.enter_context(services.redis(self._temporary))
        return self._servers


def run_pytest(arguments: tuple[str, ...], environment: dict[str, str]) -> tuple[int, str]:
    """Runs pytest, shows what it prints, and returns its exit code and closing line."""
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    command = [sys.executable, "-m", "pytest", *colour, *arguments]
    said = ""
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                sys.stdout.write(line)
                sys.stdout.flush()
                said = closing_line(line) or said
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    return process.returncode, said


def _may_install() -> bool:
    return os.geteuid() == 0 and os.environ.get("INSTALL") != "0" and shutil.which("apt-get") is not None


def _require_programs(lanes: list[Lane], provided: set[Program]) -> list[Program]:
    """Names what is missing, installs it where that is allowed, and returns what is still missing."""
    missing = missing_programs(lanes, provided)
    if missing:
        print(f"Missing: {', '.join(program.name for program in missing)}", flush=True)
    if missing and _may_install():
        print(f"Installing: {services.install_line(missing)}", flush=True)
        services.install(missing)
        missing = missing_programs(lanes, provided)
    return missing


def _run_all(lanes: list[Lane]) -> int:
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        # Under /tmp because PostgreSQL's user must be able to enter it.
        temporary = Path(tempfile.mkdtemp(prefix="roledesk-test-", dir="/tmp"))
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        temporary.chmod(0o711)
        runner = Runner(temporary=temporary, stack=stack, environment=dict(os.environ))
        missing = _require_programs(lanes, runner.provided)
        for lane in lanes:
            lacking = [program for program in lane.needs if program in missing]
            if lacking:
                names = ", ".join(program.name for program in lacking)
                outcomes.append(Outcome(lane.name, NOT_RUN, f"{names} missing"))
            else:
                outcomes.append(runner.run(lane))
    print("\n" + "\n".join(summary(outcomes)))
    if missing:
        print(f"\nTo run the lanes that were NOT RUN: sudo {services.install_line(missing)}")
    return exit_code(outcomes, all_required=os.environ.get("REQUIRE_LANES") == "1")


def main(words: list[str]) -> int:
    """Runs the lanes. Returns 0 or 1, 2 for a lane that there is not, 130 if interrupted."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    began = time.monotonic()
    try:
        code = _run_all(chosen_lanes(words))
    except UnknownLane as reason:
        print(reason, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; the servers are stopped.", file=sys.stderr)
        return 130
    print(f"All of it took {time.monotonic() - began:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
