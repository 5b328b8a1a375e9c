"""What the portal has learnt of or manages in AWS accounts, and the looks at AWS that people have ordered."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class Managed(models.Model):
    """What every row of the inventory has. `desired` is the canonical text of the last target.

    `observed_at` is the last look of a scan, `verified_at` the last that read as desired; `drift` says what read
    otherwise, and `live` is then the canonical text of it.
    """

    desired = models.TextField()
    since = models.DateTimeField()
    applied_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    drift = models.JSONField(default=list)
    drift_since = models.DateTimeField(null=True, blank=True)
    live = models.TextField(blank=True, default="")

    class Meta:
        abstract = True


class ManagedRole(Managed):
    """A role that is managed for a team, known by its RoleId.

    `foreign` lists the parts of it that others put there and that were carried over, as [kind, name]. A handed-over
    role belongs to another tool: it is watched, its RoleId is "".
    """

    account = models.ForeignKey("iamroles.AwsAccount", on_delete=models.PROTECT, related_name="managed_roles")
    team = models.ForeignKey("iamroles.Team", on_delete=models.PROTECT, related_name="managed_roles")
    arn = models.CharField(max_length=600)
    role_id = models.CharField(max_length=64)
    name_folded = models.CharField(max_length=64)
    request = models.ForeignKey("iamroles.Request", null=True, on_delete=models.PROTECT, related_name="managed_roles")
    handed_over = models.BooleanField(default=False)
    foreign = models.JSONField(default=list)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account", "name_folded"), name="one_managed_role_per_name"),
            models.UniqueConstraint(
                fields=("account", "role_id"), condition=~models.Q(role_id=""), name="one_managed_role_per_id"
            ),
        )
        indexes = (models.Index(fields=("team", "name_folded"), name="managed_role_by_team"),)

    @property
    def kind(self) -> str:
        """What events call it."""
        return "role"

    @property
    def entity_id(self) -> str:
        """AWS's own id, "" while another tool has yet to make it."""
        return self.role_id


class ManagedPolicy(Managed):
    """A policy that is managed for a team and belongs to no role of the portal: a deployer policy. Known by PolicyId.

    `holder` is the name of the role that it was made for; whether the team attached it, only AWS knows. `desired` is a
    state without a role.
    """

    foreign: ClassVar[list[list[str]]] = []
    handed_over: ClassVar[bool] = False

    account = models.ForeignKey("iamroles.AwsAccount", on_delete=models.PROTECT, related_name="managed_policies")
    team = models.ForeignKey("iamroles.Team", on_delete=models.PROTECT, related_name="managed_policies")
    arn = models.CharField(max_length=700)
    policy_id = models.CharField(max_length=64)
    name_folded = models.CharField(max_length=128)
    holder = models.CharField(max_length=64)
    request = models.ForeignKey("iamroles.Request", on_delete=models.PROTECT, related_name="managed_policies")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account", "name_folded"), name="one_managed_policy_per_name"),
            models.UniqueConstraint(fields=("account", "policy_id"), name="one_managed_policy_per_id"),
        )

    @property
    def kind(self) -> str:
        """What events call it."""
        return "policy"

    @property
    def entity_id(self) -> str:
        """AWS's own id."""
        return self.policy_id


class ObservationOrder(models.Model):
    """A look at AWS that a person ordered. A worker answers; the page waits for `answered_at`.

    With a `request`, AWS is held against the target of its current proposal, or looked at for what its stopped
    follow-up left. Without one ("Check a role") the role is held against the blueprint facts in `facts`.
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
