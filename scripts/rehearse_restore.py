"""Rehearses a restore: dumps the database (or takes a dump), restores it beside the real one, makes the code's own
checks on the copy, verifies the whole audit trail of it against the checkpoints kept outside, says what work was in
flight, and drops the copy. Nothing is written to the real database and no worker ever sees the copy.

    python scripts/rehearse_restore.py --compose            with docker-compose.yml, from its folder
    python scripts/rehearse_restore.py [--dump FILE]        with the settings of this environment and pg_dump on PATH

Ends with one line and exit code 0 only if the copy is what was sealed. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
COPY = "roledesk_rehearsal"
NOTE = re.compile(r"\A[^\n]*?(?:/(\d+))?\n(\d+)\n")  # the generation of the trail, and the size
# Where declared restores cut the trail: the generation that goes on, and how many events it kept.
CUTS = (
    "SELECT data->>'generation', data->>'lost_from'"
    " FROM (SELECT canon::jsonb->'data' AS data FROM audit_event WHERE action = 'audit.forked') AS told"
)
IN_FLIGHT = (
    "SELECT 'requests ' || state, count(*) FROM iamroles_request"
    " WHERE state IN ('submitted', 'in_review', 'approved') GROUP BY state"
    " UNION ALL SELECT 'runs ' || state, count(*) FROM iamroles_run"
    " WHERE state IN ('going', 'waiting') GROUP BY state ORDER BY 1"
)


class Failed(Exception):
    """A step did not do what it must; the text says which, and what it said."""


@dataclass(frozen=True)
class Here:
    """Servers and settings of this environment: the owner's address, and PostgreSQL's programs on PATH."""

    owner: str

    def tool(self, name: str, *words: str, database: str = "") -> list[str]:
        """Returns the command for one of PostgreSQL's programs."""
        parts = urlsplit(self.owner)
        # Without the password, which every user of this host could read in the list of processes: it is in PGPASSWORD.
        place = parts._replace(netloc=re.sub(":[^@]*@", "@", parts.netloc), path=f"/{database or parts.path[1:]}")
        return [name, *words, f"--dbname={urlunsplit(place)}"]

    def manage(self, process: str, *words: str, checkpoints: Path | None = None) -> tuple[list[str], dict[str, str]]:
        """Returns command and environment of `manage.py` on the copy."""
        own = {name: value for name, value in os.environ.items() if _may_hold(process, name)}
        own |= {"ROLEDESK_PROCESS": process, "ROLEDESK_DATABASE_NAME": COPY, "ROLEDESK_SEAL_LAG_SECONDS": "1e12"}
        own |= {"ROLEDESK_CHECKPOINT_DIR": str(checkpoints)} if checkpoints else {}
        return [sys.executable, str(ROOT / "manage.py"), *words], own

    def fetch_checkpoints(self, folder: Path) -> None:
        """Copies the notes that lie outside the database."""
        source = os.environ.get("ROLEDESK_CHECKPOINT_DIR", "")
        if source:
            shutil.copytree(source, folder, dirs_exist_ok=True)


@dataclass(frozen=True)
class Compose:
    """The services of docker-compose.yml in this folder."""

    owner: str = "roledesk_owner"

    def tool(self, name: str, *words: str, database: str = "roledesk") -> list[str]:
        """As above, inside the database's container."""
        inside = ["docker", "compose", "exec", "-T", "postgres", name, f"--username={self.owner}"]
        return [*inside, *words, f"--dbname={database}"]

    def manage(self, process: str, *words: str, checkpoints: Path | None = None) -> tuple[list[str], dict[str, str]]:
        """As above, in a container of its own that ends with the command."""
        given = ["-e", f"ROLEDESK_DATABASE_NAME={COPY}", "-e", "ROLEDESK_SEAL_LAG_SECONDS=1e12"]
        given += ["-v", f"{checkpoints}:/checkpoints:ro"] if checkpoints else []
        service = {"owner": "migrate", "tend": "tend"}[process]
        return [
            "docker",
            "compose",
            "run",
            "--rm",
            "-T",
            "--no-deps",
            *given,
            service,
            "python",
            "manage.py",
            *words,
        ], {**os.environ}

    def fetch_checkpoints(self, folder: Path) -> None:
        """As above, out of tend's volume."""
        run(["docker", "compose", "cp", "tend:/checkpoints/.", str(folder)])


def _may_hold(process: str, name: str) -> bool:
    return process == "owner" or not name.startswith("DATABASE_OWNER_URL")


def run(command: list[str], *, env: Mapping[str, str] | None = None, stdin: Path | None = None) -> str:
    """Returns what the command printed. Raises Failed with its last words."""
    with stdin.open("rb") if stdin else open(os.devnull, "rb") as source:
        done = subprocess.run(command, env=env, stdin=source, capture_output=True, check=False)
    if done.returncode:
        said = (done.stderr + done.stdout).decode("utf-8", "replace").strip()
        raise Failed(f"{Path(command[0]).name} {' '.join(command[1:4])} … said: {said[-2000:]}")
    return done.stdout.decode("utf-8", "replace")


def dump(place: Here | Compose, path: Path) -> None:
    """Writes a dump of the real database. Raises Failed."""
    with path.open("wb") as target:
        done = subprocess.run(
            place.tool("pg_dump", "--format=custom"), stdout=target, stderr=subprocess.PIPE, check=False
        )
    if done.returncode:
        raise Failed(f"pg_dump said: {done.stderr.decode('utf-8', 'replace').strip()[-2000:]}")


@contextmanager
def restored(place: Here | Compose, path: Path) -> Iterator[None]:
    """Holds the copy while the block runs. Raises Failed, also where a copy of an earlier rehearsal still lies."""
    psql = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--tuples-only", "--no-align")
    run(place.tool("psql", *psql, f"--command=CREATE DATABASE {COPY}"))
    try:
        restore = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
        run(place.tool("pg_restore", *restore, database=COPY), stdin=path)
        yield
    finally:
        run(place.tool("psql", *psql, f"--command=DROP DATABASE {COPY} WITH (FORCE)"))


def ask(place: Here | Compose, question: str) -> list[str]:
    """Returns the rows of one question to the copy, columns joined by a space."""
    words = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator= ", f"--command={question}")
    return run(place.tool("psql", *words, database=COPY)).split("\n")[:-1]


def keep_older(folder: Path, size: int, cuts: list[tuple[int, int]]) -> int:
    """Takes away the notes of events that the copy cannot have and makes `latest.note` the newest of the others.

    They say nothing about it: it ended before them, or a declared restore did (`cuts`: generation, events kept).
    Returns how many are left.
    """
    sizes = {}
    for path in folder.rglob("*.note"):
        found = NOTE.match(path.read_text(encoding="utf-8", errors="replace"))
        generation, covered = (int(found[1] or 0), int(found[2])) if found else (0, size + 1)
        lost = any(generation < begun and covered > kept for begun, kept in cuts)
        if lost or covered > size or path.name == "latest.note":
            path.unlink()
        else:
            sizes[covered] = path
    if sizes:
        newest = sizes[max(sizes)]
        shutil.copy(newest, newest.with_name("latest.note"))
    return len(sizes)


def check(place: Here | Compose, temporary: Path) -> str:
    """Returns what was found out about the copy. Raises Failed unless it is what was sealed."""
    for words in (("migrate", "--check"), ("audit", "grants", "--run")):
        command, env = place.manage("owner", *words)
        run(command, env=env)
    checkpoints = temporary / "checkpoints"
    checkpoints.mkdir(mode=0o755)
    place.fetch_checkpoints(checkpoints)
    size = int(ask(place, "SELECT coalesce(max(size), 0) FROM audit_checkpoint")[0])
    cuts = [(int(begun), int(held)) for begun, held in map(str.split, ask(place, CUTS))]
    kept = keep_older(checkpoints, size, cuts)
    command, env = place.manage("tend", "audit", "verify", "--read-only", "--json", checkpoints=checkpoints)
    report = json.loads(run(command, env=env))
    flight = ", ".join(ask(place, IN_FLIGHT)) or "none"
    return (
        f"events sealed {report['size']}, held against {kept} kept checkpoints, root {report['root']}\n"
        f"work in flight, which a worker compares with AWS before it does anything: {flight}"
    )


def main() -> int:
    """Rehearses once. Returns 1 where the copy is not what it must be."""
    parser = argparse.ArgumentParser(description="Rehearse a restore of Roledesk's database.")
    parser.add_argument("--dump", type=Path, help="a dump made before, by pg_dump --format=custom; else one is made")
    parser.add_argument("--compose", action="store_true", help="use the services of docker-compose.yml in this folder")
    given = parser.parse_args()
    place = Compose() if given.compose else Here(_owner())
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="roledesk-rehearsal-") as folder:
        path = given.dump or Path(folder) / "roledesk.dump"
        try:
            if not given.dump:
                dump(place, path)
            with restored(place, path):
                sys.stdout.write(check(place, Path(folder)) + "\n")
        except (Failed, OSError, ValueError) as error:
            sys.stdout.write(f"NOT RESTORED: {error}\n")
            return 1
        size = path.stat().st_size
    sys.stdout.write(f"RESTORED AND VERIFIED in {time.monotonic() - began:.0f} s, dump {size:,} bytes\n")
    return 0


def _owner() -> str:
    path = os.environ.get("DATABASE_OWNER_URL_FILE")
    url = Path(path).read_text(encoding="utf-8").strip() if path else os.environ.get("DATABASE_OWNER_URL", "")
    if not unquote(urlsplit(url).path.strip("/")):
        raise SystemExit("DATABASE_OWNER_URL or DATABASE_OWNER_URL_FILE is needed: the owner dumps and restores.")
    os.environ["PGPASSWORD"] = unquote(urlsplit(url).password or "")
    return url


if __name__ == "__main__":
    sys.exit(main())
