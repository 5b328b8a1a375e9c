"""What the portal has learnt of or manages in AWS accounts, and the looks at AWS that people have ordered."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ManagedRole(models.Model):
    """A role that is managed for a team, known by its RoleId. `desired` is the canonical text of the last target.

    `foreign` lists the parts of it that others put there and that were carried over, as [kind, name]. `observed_at` is
    the last look of a scan, `verified_at` the last that read as desired; `drift` says what read otherwise, and `live`
    is then the canonical text of it. A handed-over role belongs to another tool: it is watched, its RoleId is "".
    """

    account = models.ForeignKey("iamroles.AwsAccount", on_delete=models.PROTECT, related_name="managed_roles")
    team = models.ForeignKey("iamroles.Team", on_delete=models.PROTECT, related_name="managed_roles")
    arn = models.CharField(max_length=600)
    role_id = models.CharField(max_length=64)
    name_folded = models.CharField(max_length=64)
    desired = models.TextField()
    request = models.ForeignKey("iamroles.Request", null=True, on_delete=models.PROTECT, related_name="managed_roles")
    since = models.DateTimeField()
    applied_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    handed_over = models.BooleanField(default=False)
    foreign = models.JSONField(default=list)
    drift = models.JSONField(default=list)
    drift_since = models.DateTimeField(null=True, blank=True)
    live = models.TextField(blank=True, default="")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account", "name_folded"), name="one_managed_role_per_name"),
            models.UniqueConstraint(
                fields=("account", "role_id"), condition=~models.Q(role_id=""), name="one_managed_role_per_id"
            ),
        )
        indexes = (models.Index(fields=("team", "name_folded"), name="managed_role_by_team"),)


class ObservationOrder(models.Model):
    """A look at AWS that a person ordered. A worker answers; the page waits for `answered_at`.

    With a `request`, AWS is held against the target of its current proposal. Without one ("Check a role") the role is
    held against the blueprint facts in `facts`.
    """

    account = models.ForeignKey("iamroles.AwsAccount", on_delete=models.PROTECT, related_name="+")
    ordered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    request = models.ForeignKey("iamroles.Request", null=True, on_delete=models.PROTECT, related_name="looks")
    role_name = models.CharField(max_length=64)
    facts = models.TextField(blank=True, default="")
    at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    result = models.JSONField(default=dict)
