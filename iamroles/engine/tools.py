"""What the worker's verbs work with, as one value: sessions, clock, pauses and limits. Tests hand in their own.

The real ones are made here from the settings; nothing else in the engine reads settings.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection

from iamroles.audit import Actor
from iamroles.aws.sessions import AwsSessions, Portal, Sessions
from iamroles.models import AwsAccount
from iamroles.rules.tool_tags import USUAL, ToolTag, read_tool_tags


@dataclass(frozen=True)
class Limits:
    """Times in seconds. `sealing` is how late the audit trail may be before adding rights is held up."""

    lease: float = 120
    quiet: float = 30
    renew_under: float = 40
    send_over: float = 20
    skew: float = 10
    verify_pause: float = 2
    run: float = 180
    not_shown: float = 600
    backoff_from: float = 1
    backoff_to: float = 300
    absent_pause: float = 7.5
    absent_looks: int = 5
    looks: int = 6
    tries: int = 12
    deaths: int = 3
    refusals: int = 3
    writes_per_second: float = 1
    sealing: float = 300


def database_now() -> datetime:
    """Returns the database's clock, which every worker shares; the worker's own only measures durations."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT clock_timestamp()")
            at: datetime = cursor.fetchone()[0]
            return at.astimezone(UTC)
        cursor.execute("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)


def _jitter(most: float) -> float:
    return random.SystemRandom().uniform(0, most)


@dataclass(frozen=True)
class Tools:
    """`worker` names this process in leases, runs and events; `tool_tags` say which roles other tools manage."""

    sessions: Sessions
    worker: str
    portal_role: str = "portal/RoledeskWorker"
    limits: Limits = field(default_factory=Limits)
    tool_tags: tuple[ToolTag, ...] = read_tool_tags(USUAL)
    now: Callable[[], datetime] = database_now
    local: Callable[[], datetime] = lambda: datetime.now(UTC)
    pause: Callable[[float], None] = time.sleep
    jitter: Callable[[float], float] = _jitter

    @property
    def actor(self) -> Actor:
        """How events name this worker."""
        return Actor(type="worker", id=self.worker, name="Worker", channel="worker")

    def portal(self, account: AwsAccount) -> Portal:
        """Returns the portal's own role in an AWS account."""
        return Portal(
            number=account.number,
            partition=account.partition,
            external_id=account.external_id,
            role=self.portal_role,
        )

    def backoff(self, tries: int) -> timedelta:
        """Returns a wait with full jitter: up to 1 s after the first try, doubled each time, at most 5 min."""
        most = min(self.limits.backoff_to, self.limits.backoff_from * 2 ** min(tries, 20))
        return timedelta(seconds=self.jitter(most))


def worker_name() -> str:
    """Returns host and process, e.g. "worker-1:4711"."""
    return f"{socket.gethostname()}:{os.getpid()}"[:80]


def from_settings() -> Tools:
    """Returns the tools of a worker process."""
    limits = Limits(
        verify_pause=settings.ROLEDESK_VERIFY_PAUSE_SECONDS,
        writes_per_second=settings.ROLEDESK_WRITES_PER_SECOND,
        sealing=settings.ROLEDESK_SEAL_PAUSE_SECONDS,
        **getattr(settings, "ROLEDESK_ENGINE_LIMITS", {}),
    )
    return Tools(
        sessions=AwsSessions(settings.ROLEDESK_AWS_ENDPOINT),
        worker=worker_name(),
        portal_role=settings.ROLEDESK_PORTAL_ROLE,
        limits=limits,
        tool_tags=read_tool_tags(settings.ROLEDESK_TOOL_TAGS),
    )
