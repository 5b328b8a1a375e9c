"""The registered AWS accounts: number, paths, boundary, owner, standard and guardrails. What AWS holds in them is
never stored here.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import RegexValidator
from django.db import models

from iamroles import canonical
from iamroles.blueprints.facts import AccountFacts
from iamroles.iam import limits
from iamroles.iam.documents import Document
from iamroles.rules import account_rules
from iamroles.rules.account_rules import AccountRules


def new_external_id() -> str:
    """Returns 128 random bits as 32 hexadecimal characters: made by the portal, never typed, never reused."""
    return secrets.token_hex(16)


class AwsAccount(models.Model):
    """One AWS account. `boundary` is the ARN that every role must carry, or "" for none.

    `tag_keys` and `required_tags` are lists with commas: the only tag keys that roles may carry ("" for any), and those
    that each must carry. `owner` is the group whose members answer for the account; `paused_at` stops additions, never
    proved removals.
    """

    number = models.CharField(max_length=12, unique=True, validators=(RegexValidator(r"^[0-9]{12}$"),))
    name = models.CharField(max_length=60, unique=True)
    partition = models.CharField(max_length=12, default="aws")
    environment = models.CharField(max_length=20)
    is_production = models.BooleanField(default=False)
    owner = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="owned_accounts")
    role_path = models.CharField(max_length=512, default="/")
    policy_path = models.CharField(max_length=512, default="/")
    boundary = models.CharField(max_length=2048, blank=True, default="")
    tag_keys = models.CharField(max_length=2000, blank=True, default="", db_default="")
    required_tags = models.CharField(max_length=2000, blank=True, default="", db_default="")
    external_id = models.CharField(max_length=64, unique=True, default=new_external_id)
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ("environment", "name")

    def __str__(self) -> str:
        return f"{self.name} · {self.number[:4]} {self.number[4:8]} {self.number[8:]}"

    def facts(self) -> AccountFacts:
        """Returns the part of the record that documents depend on."""
        return AccountFacts(
            number=self.number,
            name=self.name,
            partition=self.partition,
            production=self.is_production,
            role_path=self.role_path,
            policy_path=self.policy_path,
            boundary=self.boundary or None,
            tag_keys=limits.listed_keys(self.tag_keys),
            required_tags=limits.listed_keys(self.required_tags),
        )

    def rules(self) -> AccountRules:
        """Returns the standard and the guardrails as they are set today."""
        latest = {row.kind: row for row in self.rule_versions.order_by("version")}
        return AccountRules(**{kind: row.read() for kind, row in latest.items()})

    def record_digest(self, *, rules: bool = True) -> str:
        """Returns the SHA-256 (hex) of everything in the record that a proposal depends on.

        Standard and guardrails are part of it unless `rules` is False: what only removes is held against neither.
        """
        own: dict[str, Any] = {"owner": self.owner.name, "environment": self.environment}
        if rules:
            versions = sorted(self.rule_versions.all(), key=lambda row: row.version)
            own["rules"] = {row.kind: row.digest for row in versions}
        return canonical.digest({**self.facts().as_mapping(), **own})


class AccountRule(models.Model):
    """One version of one kind of documents set for an AWS account; the highest counts, none is ever changed.

    `documents` is the text of `rules.account_rules`; an empty list takes the kind back.
    """

    account = models.ForeignKey(AwsAccount, on_delete=models.PROTECT, related_name="rule_versions")
    kind = models.CharField(max_length=20)
    version = models.PositiveIntegerField()
    documents = models.TextField()
    digest = models.CharField(max_length=64, blank=True, default="")
    set_by = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        ordering = ("kind", "version")
        constraints = (
            models.UniqueConstraint(fields=("account", "kind", "version"), name="one_row_per_account_rule_version"),
            models.CheckConstraint(condition=models.Q(kind__in=sorted(account_rules.KINDS)), name="account_rule_kind"),
        )

    def read(self) -> tuple[Document, ...]:
        """Returns the documents of this version."""
        return account_rules.read(self.kind, self.documents)


class KillSwitch(models.Model):
    """While its one row exists, no worker writes to any AWS account, not even to remove."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    since = models.DateTimeField()
    reason = models.CharField(max_length=500)
    turned_on_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="one_kill_switch"),)
