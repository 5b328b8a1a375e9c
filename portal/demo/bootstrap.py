"""Makes the virtual environment that `make` needs and starts the next program in it; standard library only.

Runs with any Python 3.6 or newer, so that an old one can be told apart and named. Each thing that can be wrong on a
bare machine is one sentence and the command that mends it.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

NEEDED = (3, 11)
ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = {"demo": "requirements/demo.txt", "dev": "requirements/dev.txt"}
STAMP = "installed.json"
STARTED_BY = os.getppid()
NEXT = {
    "demo": ("demo", ["-m", "portal.demo.supervisor"]),
    "demo-reset": ("demo", ["-m", "portal.demo.reset"]),
    "test": ("dev", ["-m", "tests.lanes"]),
    "test-faults": ("dev", ["-m", "tests.faults"]),
    "test-proofs": ("dev", ["-m", "tests.proofs"]),
    "check": ("dev", ["-m", "tests.checks"]),
    "bench": ("dev", ["-m", "bench.run"]),
    "venv": ("dev", []),
}


class CannotStart(Exception):
    """Something is missing on this machine; the text is one sentence and the command that mends it."""


def newer_python() -> str:
    """Returns another interpreter on PATH that is new enough, or an empty string."""
    for minor in range(15, NEEDED[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    return ""


def require_python(version: "tuple[int, ...]") -> None:
    """Raises `CannotStart` for a Python that is too old."""
    if version[:2] < NEEDED:
        found = ".".join(str(part) for part in version[:2])
        raise CannotStart(
            f"Python 3.11 or newer is needed; found {found}. Install one: apt install python3.11 python3.11-venv"
            " (or point to it: make demo PYTHON=/path/to/python3)"
        )


def require_venv() -> None:
    """Raises `CannotStart` if this Python cannot make a virtual environment with pip in it."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise CannotStart(f"This Python cannot make a virtual environment. Install what it lacks: apt install {name}")


def require_writable(folder: Path) -> None:
    """Raises `CannotStart` if nothing can be written into the folder."""
    probe = folder / f".write-probe-{os.getpid()}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise CannotStart(
            f"Nothing can be written into {folder} ({error.strerror}). Copy it to a folder of yours:"
            f" cp -r {folder} ~/roledesk && cd ~/roledesk"
        ) from error


def interpreter(venv: Path) -> Path:
    """Returns the path of the environment's Python."""
    return venv / "bin" / "python"


def works(venv: Path) -> bool:
    """Returns True if the environment has a Python that is new enough, and pip."""
    question = f"import sys, pip; sys.exit(sys.version_info < {NEEDED})"
    try:
        return (
            subprocess.run([str(interpreter(venv)), "-c", question], stderr=subprocess.DEVNULL, check=False).returncode
            == 0
        )
    except OSError:
        return False


def make_venv(venv: Path) -> None:
    """Makes the environment anew unless it works. Raises `CannotStart`."""
    if works(venv):
        return
    require_venv()
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise CannotStart(f"The virtual environment could not be made: {last_line(made.stdout)}")


def pins(lock: Path) -> "set[str]":
    """Returns the `name==version` of each requirement in a lock file."""
    return set(re.findall(r"^([A-Za-z0-9][^\s;\\]*==[^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def digest(lock: Path) -> str:
    """Returns the lock file's SHA-256 as hex."""
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def is_installed(venv: Path, lock: Path) -> bool:
    """Returns True if exactly this lock file was installed, or one that holds all of its pins."""
    try:
        stamps = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return digest(lock) in stamps


def stamp(venv: Path, lock: Path) -> None:
    """Notes what is installed now: this lock file, and every other whose pins it holds."""
    held = pins(lock)
    others = [ROOT / name for name in LOCKS.values() if (ROOT / name).exists()]
    content = sorted({digest(lock)} | {digest(other) for other in others if pins(other) <= held})
    (venv / STAMP).write_text(json.dumps(content), encoding="utf-8")


def install(venv: Path, lock: Path) -> None:
    """Installs the lock file with every hash checked, unless it is installed. Raises `CannotStart`."""
    if is_installed(venv, lock):
        return
    print(f"Installing {len(pins(lock))} packages into {venv.name} (once)", flush=True)
    pip = [str(interpreter(venv)), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    command = [*pip, "--progress-bar", "off", "--retries", "2", "--require-hashes", "-r", str(lock)]
    code, output = run_tied(command)
    if code != 0:
        log = venv / "install.log"
        log.write_text(output, encoding="utf-8")
        raise CannotStart(f"{why_pip_failed(output)} (all that pip said: {log})")
    stamp(venv, lock)


def run_tied(command: "list[str]") -> "tuple[int, str]":
    """Runs a command to its end and returns its code and output; ends it if whoever started us is gone."""
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while True:
        try:
            output, _ = running.communicate(timeout=0.5)
            return running.returncode, output
        except subprocess.TimeoutExpired:
            if os.getppid() != STARTED_BY:
                running.kill()


def why_pip_failed(output: str) -> str:
    """Returns one sentence and what to do, from what pip printed."""
    if "DO NOT MATCH THE HASHES" in output:
        return (
            "A package is not the one that was pinned (its hash differs), so nothing was installed."
            " Try: git checkout -- requirements"
        )
    if re.search(r"No space left on device|Disk quota exceeded", output):
        return "The disk is full. Make about 700 MB of room, then: make demo"
    if re.search(r"Permission denied|Read-only file system", output):
        return "The virtual environment cannot be written to. Make it anew: rm -rf .venv && make demo"
    signs = (
        r"Retrying \(|NewConnectionError|Max retries exceeded|Temporary failure|timed out"
        r"|ProxyError|SSLError|ReadTimeout"
    )
    if re.search(signs, output):
        return (
            "The package index cannot be reached. Check the network (behind a proxy: export HTTPS_PROXY=…;"
            " with a mirror: export PIP_INDEX_URL=…), then: make demo"
        )
    return f"The packages could not be installed: {last_line(output)}."


def last_line(output: str) -> str:
    """Returns the last line that says something, without pip's `ERROR:`."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return re.sub(r"^ERROR:\s*", "", lines[-1]).rstrip(".") if lines else "it said nothing"


def main(arguments: "list[str]") -> int:
    """Prepares what the named program needs and becomes that program. Returns 1 with a sentence if it cannot."""
    name, rest = arguments[0], arguments[1:]
    lock_name, program = NEXT[name]
    try:
        if sys.version_info[:2] < NEEDED:
            better = newer_python()
            if better:
                os.execv(better, [better, str(Path(__file__).resolve()), *arguments])
        require_python(sys.version_info[:3])
        require_writable(ROOT)
        venv = ROOT / ".venv"
        make_venv(venv)
        install(venv, ROOT / LOCKS[lock_name])
    except CannotStart as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if program:
        os.chdir(str(ROOT))
        os.environ["ROLEDESK_STARTED_BY"] = str(STARTED_BY)
        # exec, so that whoever started us is the parent of what runs: it ends when they do.
        os.execv(str(interpreter(venv)), [str(interpreter(venv)), *program, *rest])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
