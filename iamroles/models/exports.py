"""Orders about the audit trail that a process answers later: large exports with their parts, and verifications.

These rows are ordinary: the evidence that something was exported or verified are the events.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

WAITING, READY, FAILED, EXPIRED = "waiting", "ready", "failed", "expired"


class ExportJob(models.Model):
    """An export that a worker makes in parts. `size` is the checkpoint that it is cut at, `total` its events,
    `length` the bytes made so far.

    It goes on after event `last_seq`, with part number `parts`, whoever worked on it before. `next_try_at` is when
    somebody may take it (again); `shown_at` when its owner saw that it is ready.
    """

    spelled = models.CharField(max_length=10)
    filter = models.JSONField(default=dict)
    ordered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    size = models.BigIntegerField()
    total = models.BigIntegerField()
    state = models.CharField(max_length=10, default=WAITING)
    rows = models.BigIntegerField(default=0)
    length = models.BigIntegerField(default=0)
    last_seq = models.BigIntegerField(default=-1)
    parts = models.PositiveIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    code = models.CharField(max_length=80, blank=True, default="")
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    shown_at = models.DateTimeField(null=True, blank=True)

    if TYPE_CHECKING:
        pieces: RelatedManager[ExportPart]

    class Meta:
        indexes = (models.Index(fields=("state", "next_try_at"), name="export_due"),)

    @property
    def reference(self) -> str:
        """The permanent name, e.g. "EXP-000031"."""
        return f"EXP-{self.pk:06d}"

    def contents(self) -> Iterator[bytes]:
        """Yields the bytes that were made so far, part by part."""
        for number in range(self.parts):
            yield zlib.decompress(bytes(self.pieces.get(number=number).body))

    def add_piece(self, body: bytes) -> None:
        """Stores the next part; the caller counts it."""
        self.pieces.create(number=self.parts, body=zlib.compress(body, level=1))


class ExportPart(models.Model):
    """Some thousand lines of an export, compressed by zlib. They are deleted when the export expires."""

    job = models.ForeignKey(ExportJob, on_delete=models.CASCADE, related_name="pieces")
    number = models.PositiveIntegerField()
    body = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("job", "number"), name="one_row_per_export_part"),)


class VerificationOrder(models.Model):
    """Somebody asked that the database be verified; the process that seals answers with the report."""

    ordered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    next_try_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    answered_at = models.DateTimeField(null=True, blank=True)
    report = models.JSONField(default=dict)
