"""What the supervisor starts, and what each process may hold in its environment.

An environment is built from nothing, not inherited: the person's own AWS credentials, proxies and Django variables
reach no process, and each secret reaches exactly one that lasts.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from portal.demo.places import ROOT

# The demo on PostgreSQL and Redis, as the browser tests run it too.
_SERVERS = ("ROLEDESK_DEMO_DATABASE_URL", "ROLEDESK_DEMO_REDIS_URL")
_INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR")
# Single sign-on can be tried in the demo: the web process alone hears of the provider.
_SIGN_ON = ("ISSUER", "CLIENT_ID", "CLIENT_SECRET", "NAME", "GROUPS_CLAIM", "SCOPES", "CREATES_PEOPLE", "MFA_VALUES")
WEB_THREADS = 8
WORKER_PROCESSES = 2


@dataclass(frozen=True)
class Place:
    """Where this demo runs."""

    var: Path
    port: int
    simulator_port: int

    @property
    def url(self) -> str:
        """The first page."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def aws_endpoint(self) -> str:
        """The simulated AWS."""
        return f"http://127.0.0.1:{self.simulator_port}"


@dataclass(frozen=True)
class Spec:
    """One process: its name (also of its log), command and whole environment."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]


def simulator(place: Place) -> Spec:
    """Returns the simulated AWS; it holds no key and knows no settings."""
    folder = place.var / "simulator"
    latency = os.environ.get("ROLEDESK_DEMO_AWS_LATENCY", "0")
    options = (f"--port={place.simulator_port}", f"--folder={folder}", f"--latency={latency}")
    command = _python("-m", "portal.demo.simulator", *options)
    return Spec("simulator", command, _inherited())


def prepare(place: Place) -> Spec:
    """Returns the short process that brings database and static files up to date."""
    return Spec("prepare", _python("-m", "portal.demo.prepare"), _base(place, "command"))


def fill(place: Place) -> Spec:
    """Returns the short process that makes people, AWS accounts, roles and requests, and writes `demo.json`."""
    command = _python("manage.py", "demo_fill", f"--endpoint={place.aws_endpoint}", f"--url={place.url}", "--wait=30")
    return Spec("fill", command, _base(place, "command"))


def web(place: Place) -> Spec:
    """Returns the web server: the only process that can sign approvals; no AWS.

    Gunicorn as in production, but one process: SQLite has one writer, and eight threads let pages load while one waits.
    """
    command = _python(
        *("-m", "gunicorn", "portal.wsgi:application", f"--bind=127.0.0.1:{place.port}"),
        *("--worker-class=gthread", "--workers=1", f"--threads={WEB_THREADS}", "--timeout=60", "--graceful-timeout=3"),
        *("--no-control-socket", "--log-level=warning"),
    )
    key = {"ROLEDESK_SIGNING_KEY_FILE": str(place.var / "keys" / "approval.key")}
    return Spec("web", command, _base(place, "web") | key | _sign_on())


def worker(place: Place) -> Spec:
    """Returns the Celery worker: the only lasting one with AWS credentials; it can check approvals, not sign them."""
    command = _python(
        *("-m", "celery", "-A", "portal.celery", "worker", "--pool=prefork", f"--concurrency={WORKER_PROCESSES}"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--hostname=demo@localhost"),
        *("--loglevel=INFO",),
    )
    key = {"ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE": str(place.var / "keys" / "approval.pub")}
    return Spec("worker", command, _base(place, "worker") | _aws(place) | key)


def tend(place: Place) -> Spec:
    """Returns the ticking process: the only one that can seal the audit trail."""
    own = {"ROLEDESK_AUDIT_KEY_FILE": str(place.var / "keys" / "audit.key")}
    return Spec("tend", _python("manage.py", "tend"), _base(place, "tend") | own)


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def _inherited() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}


def _base(place: Place, process: str) -> dict[str, str]:
    servers = {name: os.environ[name] for name in _SERVERS if name in os.environ}
    return (
        _inherited()
        | servers
        | {
            "DJANGO_SETTINGS_MODULE": "portal.settings.demo",
            "ROLEDESK_VAR": str(place.var),
            "ROLEDESK_PROCESS": process,
            "BASE_URL": place.url.rstrip("/"),
        }
    )


def _sign_on() -> dict[str, str]:
    names = (f"ROLEDESK_OIDC_{name}" for name in _SIGN_ON)
    return {name: os.environ[name] for name in (*names, "ROLEDESK_MFA_GROUPS") if name in os.environ}


def _aws(place: Place) -> dict[str, str]:
    # Any pair of keys will do: the simulator takes every signature. The person's own files are out of reach.
    return {
        "ROLEDESK_AWS_ENDPOINT": place.aws_endpoint,
        "AWS_ACCESS_KEY_ID": "AKIADEMOWORKERHUBKEY",
        "AWS_SECRET_ACCESS_KEY": "only-known-to-the-simulator",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
