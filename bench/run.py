"""`make bench`: runs every `bench/bench_*.py` and prints its figures; `make bench BENCH="demo"` runs those named.

A benchmark is a module with `measure()` that yields `Figure`s; its first lines say what it needs.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from pathlib import Path

from bench.figures import line


def names() -> list[str]:
    """Returns the names of all benchmarks."""
    return sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def main(wanted: list[str]) -> int:
    """Returns 0, or 2 for a benchmark that there is not."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}. There are: {', '.join(names())}", file=sys.stderr)
        return 2
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.system()}", flush=True)
    for name in wanted or names():
        print(f"\n== {name}", flush=True)
        for figure in importlib.import_module(f"bench.bench_{name}").measure():
            print(line(figure), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
