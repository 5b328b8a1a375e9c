"""Changes that one person proposes and another confirms: of approval rules, of who belongs to a group, of records."""

from __future__ import annotations

import json
from typing import Any, Final

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from iamroles import canonical
from iamroles.rules import account_rules

WAITING: Final = "waiting"
CONFIRMED: Final = "confirmed"
REFUSED: Final = "refused"
WITHDRAWN: Final = "withdrawn"
SUBJECTS: Final = {
    "approval_rules": "Approval rules",
    "group": "Members of the group",
    "account": "Record of AWS account",
    "team": "AWS accounts of the team",
    "restore": "Restore from a backup",
    "provider_groups": "Identity provider's groups that fill",
}
CHANGE_STATES: Final = (WAITING, CONFIRMED, REFUSED, WITHDRAWN)


class ProposedChange(models.Model):
    """One change, complete: `content` is the canonical text of what `target` shall be, `before` of what it was.

    `subject` says what kind of thing changes, `target` which one. `digest` covers all of it and the proposer; who
    confirms sends it back. A row is decided once and then never changed.
    """

    subject = models.CharField(max_length=30)
    target = models.CharField(max_length=150, blank=True, default="")
    before = models.TextField()
    content = models.TextField()
    digest = models.CharField(max_length=64)
    reason = models.TextField()
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    state = models.CharField(max_length=10, default=WAITING)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True, default="")

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(state__in=CHANGE_STATES), name="change_state_known"),
            models.CheckConstraint(
                condition=~Q(state=CONFIRMED) | Q(decided_by__isnull=False) & ~Q(decided_by=F("proposed_by")),
                name="change_confirmed_by_another",
            ),
            models.UniqueConstraint(
                fields=("subject", "target"), condition=Q(state=WAITING), name="one_waiting_change_per_target"
            ),
        )
        indexes = (models.Index(fields=("subject", "target", "state"), name="change_by_target"),)

    @property
    def reference(self) -> str:
        """The permanent name, e.g. "CHG-000007"."""
        return f"CHG-{self.pk:06d}"

    @property
    def title(self) -> str:
        """What it is about, e.g. "Members of the group approvers"."""
        if self.subject == "account_rules":
            number, kind = account_rules.parts_of(self.target)
            return f"{account_rules.WORDS[kind].capitalize()} of AWS account {number}"
        return f"{SUBJECTS[self.subject]} {self.target}".strip()

    def proposed(self) -> Any:
        """Returns the content as a value."""
        return json.loads(self.content)

    def stood(self) -> Any:
        """Returns what stood when it was proposed, as a value."""
        return json.loads(self.before)

    def computed_digest(self) -> str:
        """Returns the SHA-256 (hex) of everything that whoever confirms agrees to."""
        parts = {name: getattr(self, name) for name in ("subject", "target", "before", "content", "reason")}
        return canonical.digest({**parts, "proposed_by": str(self.proposed_by_id)})
