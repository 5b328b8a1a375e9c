"""Throwaway PostgreSQL and Redis servers for the test lanes, and what to do where a program is missing.

Servers come from local binaries, on random loopback ports, with their data in a temporary folder, and end with the
lanes. `DATABASE_URL` and `REDIS_URL` name servers that are there already; then nothing is started.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from portal.demo.family import tie_to_this_process
from portal.demo.ports import HOST, free_port

PATIENCE = 60.0


class ServerDidNotStart(Exception):
    """A server is installed but does not start; the text holds its last words."""


@dataclass(frozen=True)
class Program:
    """Something that a lane needs outside `.venv`."""

    name: str
    package: str
    find: Callable[[], str | None]


def find_postgres() -> str | None:
    """Returns the folder of the newest `initdb` and `postgres`: Debian keeps them off PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    candidates = [*folders, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((str(f) for f in candidates if (f / "initdb").exists() and (f / "postgres").exists()), None)


def find_redis() -> str | None:
    """Returns the path of a Redis server."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


def find_chromium() -> str | None:
    """Returns the path of a Chromium that starts, Playwright's own included."""
    named = os.environ.get("ROLEDESK_CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    candidates = [named] if named else [shutil.which(name) for name in names]
    own = sorted(Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"), reverse=True)
    return next((path for path in [*candidates, *map(str, own)] if path and _starts(path)), None)


def _starts(path: str) -> bool:
    # Ubuntu's `chromium-browser` outside snap is a program that only says so.
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0


POSTGRES = Program("PostgreSQL", "postgresql", find_postgres)
REDIS = Program("Redis", "redis-server", find_redis)
CHROMIUM = Program("Chromium", "chromium", find_chromium)


def install_line(programs: list[Program]) -> str:
    """Returns the command that installs the programs on Debian and Ubuntu."""
    return f"apt-get install -y --no-install-recommends {' '.join(program.package for program in programs)}"


def install(programs: list[Program]) -> None:
    """Installs what is missing with apt; Chromium from Playwright where the distribution has only a stand-in."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, stdin=subprocess.DEVNULL, check=False)
    # One by one: a package that this distribution lacks does not keep the others away.
    for program in programs:
        command = [*install_line([program]).split(), "-qq"]
        subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    if CHROMIUM in programs and find_chromium() is None:
        command = [sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"]
        subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)


@contextmanager
def postgres(temporary: Path) -> Iterator[str]:
    """Runs a PostgreSQL server and gives the URL of its database `roledesk`. Raises `ServerDidNotStart`."""
    binaries = find_postgres()
    if binaries is None:
        raise ServerDidNotStart("PostgreSQL is not installed")
    user = _unprivileged_user()
    folder = temporary / "postgresql"
    folder.mkdir(mode=0o700)
    secret = temporary / "postgresql.password"
    password = secrets.token_urlsafe(18)
    secret.write_text(password, encoding="ascii")
    if user is not None:
        shutil.chown(folder, user)
        shutil.chown(secret, user)
    _run_initdb(Path(binaries), folder, secret, user)
    port = free_port()
    # Nothing here outlives the tests, so nothing waits for the disk.
    options = (
        f"port={port}",
        f"listen_addresses={HOST}",
        "unix_socket_directories=",
        "fsync=off",
        "max_connections=60",
    )
    command = [f"{binaries}/postgres", "-D", str(folder), *(part for option in options for part in ("-c", option))]
    with _server(command, temporary / "postgresql.log", port, cwd=folder, user=user):
        url = f"postgresql://roledesk:{password}@{HOST}:{port}/postgres"
        _create_database(url, "roledesk")
        yield url.removesuffix("postgres") + "roledesk"


@contextmanager
def redis(temporary: Path) -> Iterator[str]:
    """Runs a Redis server that evicts nothing and gives its URL. Raises `ServerDidNotStart`."""
    binary = find_redis()
    if binary is None:
        raise ServerDidNotStart("Redis is not installed")
    port = free_port()
    options = ["--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    command = [binary, *options, "--maxmemory-policy", "noeviction", "--dir", str(temporary)]
    with _server(command, temporary / "redis.log", port, cwd=temporary, user=None):
        yield f"redis://{HOST}:{port}/0"


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Creates a database on the server of the URL, gives its URL, and drops it afterwards."""
    name = f"roledesk_{secrets.token_hex(6)}"
    _create_database(url, name)
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _create_database(url: str, name: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            return
        except psycopg.OperationalError:  # it listens before it is ready
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def _unprivileged_user() -> str | None:
    """Returns whom PostgreSQL runs as if we are root, whom it refuses."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _run_initdb(binaries: Path, folder: Path, secret: Path, user: str | None) -> None:
    options = ["-U", "roledesk", "-E", "UTF8", "--locale=C", "--auth=scram-sha-256", "--no-sync", f"--pwfile={secret}"]
    made = subprocess.run(
        [str(binaries / "initdb"), "-D", str(folder), *options],
        cwd=folder,
        user=user,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise ServerDidNotStart(f"initdb: {made.stdout.strip().splitlines()[-1]}")


@contextmanager
def _server(command: list[str], log: Path, port: int, *, cwd: Path, user: str | None) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=tie_to_this_process(),  # noqa: PLW1509  (one thread)
        )
    try:
        _wait_for(port, process, log)
        yield
    finally:
        # SIGINT is PostgreSQL's fast shutdown; Redis takes it as a request to end.
        process.send_signal(2)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > give_up:
                lines = log.read_text("utf-8", "replace").strip().splitlines()
                raise ServerDidNotStart(lines[-1] if lines else "it said nothing") from error
            time.sleep(0.05)
