"""The tables of the audit trail: events, what waits to be sealed, leaves, checkpoints, receipts and disclosures.

Rows only; `iamroles.audit` is their only writer and reader. There are no foreign keys: an event stands alone, and
triggers (not these classes) forbid changing one.
"""

from __future__ import annotations

from django.db import models


class AuditEvent(models.Model):
    """One event. `canon` is the truth; all columns but `id` are a pure function of it and serve search alone."""

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(unique=True)
    at = models.DateTimeField()
    action = models.CharField(max_length=60)
    actor_type = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=200, blank=True, default="")
    actor_name = models.CharField(max_length=300)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=2048)
    object_name = models.CharField(max_length=600, blank=True, default="")
    request = models.CharField(max_length=40, blank=True, default="")
    revision = models.PositiveIntegerField(null=True, blank=True)
    outcome = models.CharField(max_length=20)
    code = models.CharField(max_length=120, blank=True, default="")
    aws_account = models.CharField(max_length=12, blank=True, default="")
    aws_request_id = models.CharField(max_length=120, blank=True, default="")
    canon = models.TextField()
    leaf = models.BinaryField(max_length=32)

    class Meta:
        db_table = "audit_event"
        indexes = (
            models.Index(fields=("at", "id"), name="audit_event_at"),
            models.Index(fields=("action", "id"), name="audit_event_action"),
            models.Index(fields=("actor_id", "id"), name="audit_event_actor"),
            models.Index(fields=("object_id", "id"), name="audit_event_object"),
            models.Index(fields=("request", "id"), name="audit_event_request"),
            models.Index(fields=("outcome", "id"), name="audit_event_outcome"),
            models.Index(fields=("aws_account", "id"), name="audit_event_account"),
            models.Index(
                fields=("aws_request_id",), name="audit_event_aws_request", condition=~models.Q(aws_request_id="")
            ),
        )

    @property
    def reference(self) -> str:
        """The permanent name, e.g. "EVT-0000123"."""
        return f"EVT-{self.pk:07d}"


class AuditPending(models.Model):
    """An event that no leaf covers yet. The sealer alone deletes these rows, together with adding the leaf."""

    event = models.OneToOneField(
        AuditEvent, primary_key=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="pending"
    )

    class Meta:
        db_table = "audit_pending"


class AuditLeaf(models.Model):
    """One leaf of the Merkle tree: `seq` counts from 0 without gaps, in the order of sealing."""

    seq = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(AuditEvent, on_delete=models.DO_NOTHING, db_constraint=False, related_name="sealed")
    leaf = models.BinaryField(max_length=32)

    class Meta:
        db_table = "audit_leaf"


class AuditCheckpoint(models.Model):
    """A signed statement of the trail's size and root.

    `frontier` holds the roots of the perfect subtrees that the tree of this size falls into, largest first, 32 bytes
    each: what the sealer needs to go on without reading all leaves. The root follows from it.
    """

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField(max_length=32)
    frontier = models.BinaryField()
    note = models.TextField()
    signed_at = models.DateTimeField()

    class Meta:
        db_table = "audit_checkpoint"


class AuditReceipt(models.Model):
    """What a publisher answered when it was given the checkpoint of this size."""

    size = models.BigIntegerField()
    publisher = models.CharField(max_length=40)
    receipt = models.TextField()
    published_at = models.DateTimeField()

    class Meta:
        db_table = "audit_receipt"
        constraints = (models.UniqueConstraint(fields=("size", "publisher"), name="audit_receipt_once"),)


class AuditDisclosure(models.Model):
    """The clear value behind a commitment in an event. Deleting the row erases the value; all proofs stay valid."""

    event = models.ForeignKey(AuditEvent, on_delete=models.DO_NOTHING, db_constraint=False, related_name="disclosures")
    path = models.CharField(max_length=200)
    salt = models.BinaryField(max_length=32)
    value = models.TextField()

    class Meta:
        db_table = "audit_disclosure"
        constraints = (models.UniqueConstraint(fields=("event", "path"), name="audit_disclosure_once"),)
