"""`make check`: everything that can be told without running the product. Runs all, then says which failed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from portal.demo.places import ROOT

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Check:
    """One command; `environment` is added to the person's own."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def checks(folder: Path) -> list[Check]:
    """Returns the checks in the order in which they find most for the least time."""
    python = sys.executable
    test = {"DJANGO_SETTINGS_MODULE": "portal.settings.test", "ROLEDESK_VAR": str(folder)}
    return [
        Check("format", (f"{BIN}/ruff", "format", "--check", ".")),
        Check("lint", (f"{BIN}/ruff", "check", ".")),
        Check("types", (f"{BIN}/mypy", "--strict"), test),
        Check("imports", (f"{BIN}/lint-imports",)),
        Check("migrations", (python, "manage.py", "makemigrations", "--check", "--dry-run"), test),
        Check(
            "deploy check",
            (python, "manage.py", "check", "--deploy", "--fail-level", "WARNING"),
            production_environment(folder),
        ),
    ]


def production_environment(folder: Path) -> dict[str, str]:
    """Returns a made-up environment that production settings accept; the key is made for this run."""
    key = folder / "approval.key"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {
        "DJANGO_SETTINGS_MODULE": "portal.settings.production",
        "ROLEDESK_PROCESS": "web",
        "SECRET_KEY": "".join(chr(ord("!") + (7 * i) % 90) for i in range(64)),
        "BASE_URL": "https://roledesk.example.com",
        "DATABASE_URL": "postgresql://roledesk:made-up@database.example.com:5432/roledesk",
        "REDIS_URL": "redis://redis.example.com:6379/0",
        "ROLEDESK_SIGNING_KEY_FILE": str(key),
    }


def main() -> int:
    """Runs the checks. Returns 1 if one of them failed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ROLEDESK_", "DJANGO_"))}
    failed = []
    with tempfile.TemporaryDirectory(prefix="roledesk-check-") as folder:
        for check in checks(Path(folder)):
            print(f"\n== {check.name}", flush=True)
            if subprocess.run(check.command, cwd=ROOT, env=own | check.environment, check=False).returncode != 0:
                failed.append(check.name)
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nEverything is in order.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
