"""The versions of the approval rules. A version is inserted once and never changed; version 1 is in the code."""

from __future__ import annotations

import json
from typing import Any

from django.db import models

from iamroles.rules.approval_rules import STARTING_RULES


class ApprovalRules(models.Model):
    """One version from 2 on. `content` is the canonical text whose SHA-256 is `digest`; `change` is who made it."""

    version = models.PositiveIntegerField(unique=True)
    content = models.TextField()
    digest = models.CharField(max_length=64)
    at = models.DateTimeField()
    change = models.OneToOneField("iamroles.ProposedChange", on_delete=models.PROTECT, related_name="rules")

    class Meta:
        db_table = "approval_rules"
        verbose_name_plural = "approval rules"

    def read(self) -> dict[str, Any]:
        """Returns the contents."""
        content: dict[str, Any] = json.loads(self.content)
        return content


def current_rules() -> dict[str, Any]:
    """Returns the contents of the newest version. One query."""
    newest = ApprovalRules.objects.order_by("-version").first()
    return newest.read() if newest else STARTING_RULES


def rules_of(version: int) -> dict[str, Any] | None:
    """Returns the contents of any version, or None when there is no such version."""
    if version == STARTING_RULES["version"]:
        return STARTING_RULES
    found = ApprovalRules.objects.filter(version=version).first()
    return found.read() if found else None
