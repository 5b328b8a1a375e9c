"""`make demo-reset`: forgets everything the demo holds, the simulated AWS included. Refuses while the demo runs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from portal.demo.places import MARKER, var_folder
from portal.demo.running import AlreadyRunning, RunningLock


def reset(var: Path) -> str:
    """Removes the folder and returns what to tell. Raises `AlreadyRunning`, or ValueError for a folder not ours."""
    if not var.exists():
        return "There is no demo data to remove. Start the demo: make demo"
    if not (var / MARKER).exists():
        raise ValueError(f"{var} was not made by the demo (it holds no {MARKER}), so it is left alone.")
    lock = RunningLock(var)
    lock.take("")
    try:
        shutil.rmtree(var)
    finally:
        lock.release()
    return "The demo's data is removed. Start over: make demo"


def main() -> int:
    """Prints one sentence; returns 1 if nothing was removed because it may not be."""
    try:
        print(reset(var_folder()))
    except (AlreadyRunning, ValueError) as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
