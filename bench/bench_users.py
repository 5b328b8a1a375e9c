"""200 signed-in people on loopback: their mix of pages and decisions on production's settings, processes and database.

PostgreSQL and Redis are throwaway servers from local binaries; web is gunicorn with two workers as in the image, beside
a Celery worker and tend. Everybody reads or decides, then thinks THINK seconds on average (default 20). MINUTES
(default 1) is how long it lasts; 10 judge memory. AWS is out of reach: what is approved waits. Any error ends it.
"""

from __future__ import annotations

import os
import queue
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import users_world
from bench.figures import Figure
from bench.users_browser import Browser, Failed
from portal.demo.places import ROOT
from portal.demo.ports import free_port
from tests import services
from tests.integration.operations.production import installed

MINUTES = float(os.environ.get("MINUTES", "1"))
THINK = float(os.environ.get("THINK", "20"))
PATIENCE = 120.0
# Nobody collects static files here, so pages name them plainly.
PLAIN_STATIC = """
from portal.settings.production import *
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
"""
NO_AWS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


def measure() -> Iterator[Figure]:
    """Yields start-up times, the seconds of each kind of act, throughput and memory. Raises RuntimeError on errors."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roledesk-bench-")))
        folder.chmod(0o755)
        os.environ["DATABASE_URL"] = stack.enter_context(services.postgres(folder))
        os.environ["REDIS_URL"] = stack.enter_context(services.redis(folder))
        place = folder / "installation"
        place.mkdir()
        here = stack.enter_context(installed(place))
        yield Figure("migrate, from an empty database", (timed(lambda: run(here, "owner", "migrate", "--no-input")),))
        run(here, "owner", "audit", "grants", "--run")
        people = here.ask(users_world.PROGRAM)
        port = free_port()
        web = [*command("gunicorn"), f"--bind=127.0.0.1:{port}", "--access-logfile=/dev/null", "--log-level=warning"]
        (folder / "plain_static.py").write_text(PLAIN_STATIC)
        settings = {"DJANGO_SETTINGS_MODULE": "plain_static", "PYTHONPATH": f"{ROOT}:{folder}"}
        browser = Browser(port, {})
        started = [
            ("web", here.environment("web") | settings, web, browser.is_ready),
            ("worker", here.environment("worker") | NO_AWS, command("celery"), "celery@.* ready"),
            ("tend", here.environment("tend"), [sys.executable, "manage.py", "tend"], '"tending"'),
        ]
        pids = {}
        for name, environment, words, ready in started:
            begun = time.perf_counter()
            pids[name] = stack.enter_context(process(words, environment, folder / f"{name}.log", ready))
            yield Figure(f"{name}: start to ready", (time.perf_counter() - begun,))
        yield from _load(port, people, pids["web"])


def command(program: str) -> list[str]:
    """Returns what the image and docker-compose.yml start."""
    if program == "gunicorn":
        words = ["portal.wsgi:application", "--worker-class=gthread", "--workers=2", "--threads=8", "--timeout=60"]
        return [sys.executable, "-m", "gunicorn", *words, "--worker-tmp-dir=/dev/shm", "--no-control-socket"]
    words = ["worker", "--concurrency=2", "--loglevel=INFO", "--without-gossip", "--without-mingle"]
    return [sys.executable, "-m", "celery", "-A", "portal.celery", *words]


def run(here: Any, *words: str) -> None:
    """Runs a command to its end."""
    done = here.run(*words)
    if done.returncode:
        raise RuntimeError(done.stderr)


def timed(act: Callable[[], object]) -> float:
    """Returns the seconds that it takes."""
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


@contextmanager
def process(words: list[str], environment: dict[str, str], log: Path, ready: Any) -> Iterator[int]:
    """Runs a process and gives its pid once it is ready: `ready` is asked, or a text that its log will hold."""
    with log.open("wb") as output:
        child = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        give_up = time.monotonic() + PATIENCE
        while not (ready() if callable(ready) else holds(log, ready)):
            if child.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{words[2]} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield child.pid
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def holds(log: Path, text: str) -> bool:
    """Returns whether the log has a line like that."""
    return re.search(text, log.read_text("utf-8", "replace")) is not None


def _load(port: int, people: dict[str, Any], web: int) -> Iterator[Figure]:
    took: dict[str, list[float]] = defaultdict(list)
    errors: list[str] = []
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for reference in people["waiting"]:
        waiting.put(reference)
    ends = time.monotonic() + MINUTES * 60

    def live(person: dict[str, Any], chance: random.Random) -> None:
        browser = Browser(port, person["cookies"])
        time.sleep(chance.uniform(0, THINK))
        while time.monotonic() < ends and not errors:
            act = chance.choice(users_world.ACTS[person["job"]])
            begun = time.perf_counter()
            try:
                if act == "decide":
                    begun = browser.decide(waiting)
                else:
                    browser.read(act.format(chance.choice(people["shown"])))
            except Failed as error:
                errors.append(f"{person['job']} {act}: {error}")
                return
            except queue.Empty:
                continue
            took["decide" if act == "decide" else "read"].append(time.perf_counter() - begun)
            time.sleep(min(chance.expovariate(1 / THINK), 4 * THINK))

    threads = [threading.Thread(target=live, args=(p, random.Random(n))) for n, p in enumerate(people["people"])]
    for thread in threads:
        thread.start()
    memory = []
    while time.monotonic() < ends and not errors:
        time.sleep(5)
        memory.append(resident(web))
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(f"{len(errors)} errors, the first: {errors[0]}")
    yield from (Figure(f"{len(threads)} people, {act}", tuple(values)) for act, values in sorted(took.items()))
    done = sum(len(values) for values in took.values())
    yield Figure("acts a second, errors 0", (done / (MINUTES * 60),), unit="/s")
    third = max(1, len(memory) // 3)
    first = Figure("web, memory of its processes, first third", (statistics.median(memory[:third]),), unit="MiB")
    yield first
    yield Figure("the same, last third", (statistics.median(memory[-third:]),), against=first, unit="MiB")


def resident(pid: int) -> float:
    """Returns the memory of a process and its children that no other one shares, in MiB."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            if status.read_text().rsplit(")", 1)[1].split()[1] == str(pid) or status.parent.name == str(pid):
                rollup = (status.parent / "smaps_rollup").read_text()
                total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        except OSError:  # it has ended meanwhile
            continue
    return total / 1024
