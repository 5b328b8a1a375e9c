"""Where the demo keeps things."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MARKER = ".roledesk-demo"
_FOLDERS = ("keys", "logs", "broker", "broker/control", "simulator", "checkpoints", "cache", "mail", "static", "run")


def var_folder() -> Path:
    """Returns the demo's folder: `ROLEDESK_VAR`, or `var` in the project."""
    return Path(os.environ.get("ROLEDESK_VAR") or ROOT / "var").resolve()


def make_folders(var: Path) -> None:
    """Makes the demo's folder and what is in it, for its owner alone. Raises OSError."""
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    (var / MARKER).touch()
    for name in _FOLDERS:
        (var / name).mkdir(mode=0o700, exist_ok=True)
