"""Exports: the same events, by the same filter, for pages and for the command. Starting and ending one are events.

An export is cut at a checkpoint before its own first event is recorded, so that it never contains itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from django.db.models import QuerySet

from iamroles.audit.export.formats import FORMATS, Format, write_lines
from iamroles.audit.export.rows import Cut, NothingSealed, Row, count_rows, cut_at, find_cut, read_rows
from iamroles.audit.export.stream import Chunk, read_chunks
from iamroles.audit.find import EventFilter
from iamroles.audit.record import record_alone
from iamroles.audit.values import Actor, Subject
from iamroles.models import AuditEvent

__all__ = [
    "FORMATS",
    "Chunk",
    "Cut",
    "Export",
    "Format",
    "NothingSealed",
    "Row",
    "begin",
    "count_rows",
    "cut_at",
    "find_cut",
    "read_chunks",
    "read_rows",
    "record_end",
    "record_start",
    "write_lines",
]

CONTENT_TYPES: Final[dict[str, str]] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}


class Export:
    """One export that can be read once, in chunks of about 64 KiB. Its completion is recorded with rows and SHA-256."""

    def __init__(
        self,
        wanted: EventFilter,
        spelled: Format,
        cut: Cut,
        *,
        actor: Actor,
        clock: Callable[[], datetime],
        among: QuerySet[AuditEvent] | None = None,
    ) -> None:
        self.cut = cut
        self.rows = 0
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._wanted, self._spelled, self._among = wanted, spelled, among
        self._actor, self._clock = actor, clock

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was read so far."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks()
        except Exception as error:
            self._record("export.failed", {"code": type(error).__name__}, outcome="failed")
            raise
        self._record("export.completed", {"rows": self.rows, "bytes": self.bytes, "sha256": self.sha256})

    def _record(self, action: str, data: dict[str, object], outcome: str = "success") -> None:
        at = self._clock()
        record_end(action, data, subject=_subject(self._spelled), actor=self._actor, at=at, outcome=outcome)

    def _chunks(self) -> Iterator[bytes]:
        if header := write_lines([], self._spelled):
            yield self._account(header)
        for chunk in read_chunks(self._wanted, self._spelled, self.cut, among=self._among):
            self.rows += chunk.rows
            yield self._account(chunk.body)

    def _account(self, chunk: bytes) -> bytes:
        self.bytes += len(chunk)
        self._digest.update(chunk)
        return chunk


def begin(
    wanted: EventFilter,
    spelled: Format,
    *,
    actor: Actor,
    among: QuerySet[AuditEvent] | None = None,
    cut: Cut | None = None,
    wait: float = 2.0,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Export:
    """Cuts at the newest checkpoint (or at `cut`), records `export.started` and returns the export to read.

    Raises NothingSealed before the first checkpoint.
    """
    cut = cut or find_cut(wait=wait)
    record_start(wanted, spelled, cut, subject=_subject(spelled), actor=actor, at=clock())
    return Export(wanted, spelled, cut, actor=actor, among=among, clock=clock)


def record_start(
    wanted: EventFilter, spelled: str, cut: Cut, *, subject: Subject, actor: Actor, at: datetime
) -> AuditEvent:
    """Records that somebody began an export, after the cut, so that no export contains its own beginning."""
    data = {"format": spelled, "filter": wanted.describe(), "size": cut.size, "root": cut.root.hex()}
    return record_alone("export.started", actor=actor, subject=subject, at=at, data=data)


def record_end(
    action: str,
    data: dict[str, object],
    *,
    subject: Subject,
    actor: Actor,
    at: datetime,
    outcome: str = "success",
    on_behalf_of: Actor | None = None,
) -> AuditEvent:
    """Records that an export was completed, failed, downloaded or expired."""
    return record_alone(
        action, actor=actor, subject=subject, at=at, outcome=outcome, on_behalf_of=on_behalf_of, data=data
    )


def _subject(spelled: str) -> Subject:
    return Subject("export", spelled, f"Export as {spelled}")
