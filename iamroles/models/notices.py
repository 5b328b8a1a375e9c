"""The outbox of notices: who is to be told what about a request, a change of two people, or signing in, on pages, by
mail and webhook.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import models

# What happened, as it ends "REQ-000142 …" or "CHG-000007 …" on pages, in mails and webhooks.
HAPPENED: Final = {
    "revision.proposed": "needs approval",
    "request.reopened": "needs approval again",
    "request.reminded": "still needs approval",
    "request.approved": "is approved",
    "request.auto_approved": "is approved by a rule, without a person",
    "request.rejected": "is rejected",
    "changes.requested": "needs changes",
    "request.applied": "is applied",
    "run.stopped": "has stopped",
    "change.proposed": "waits for a second person",
    "change.confirmed": "is confirmed",
    "change.refused": "is refused",
}
# What happened to how somebody signs in, as a sentence of its own; `{…}` is in the notice's detail.
SIGNING_IN: Final = {
    "credential.changed": "Your {what}",
    "sign_in.new_browser": "You signed in with a browser that you did not use here before",
    "sign_in.after_failures": "You signed in after {tries} tries that failed",
    "sign_in.failing": "{tries} tries to sign in as you failed",
    "sign_in.wrong_code": "Somebody gave your password, and then a wrong second factor",
}
WAITING, DECIDED, APPLIED, FAILED, SECURITY = "waiting", "decided", "applied", "failed", "security"
KEPT: Final = timedelta(days=90)


class Notice(models.Model):
    """One thing to tell one person, or the webhook where `person` is empty. `event` is what happened.

    About a request or a change, or without both about how the person signs in: `detail` then says from where, and no
    secret.

    `next_try_at` is when it may be sent (again), None once that is settled: then it was sent at `sent_at`, was not
    wanted, or was given up with `code`. `seen_at` is when the person had read it on a page.
    """

    request = models.ForeignKey(
        "iamroles.Request", null=True, blank=True, on_delete=models.CASCADE, related_name="notices"
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="notices"
    )
    change = models.ForeignKey("iamroles.ProposedChange", null=True, blank=True, on_delete=models.CASCADE)
    kind = models.CharField(max_length=10)
    event = models.CharField(max_length=40)
    detail = models.JSONField(null=True, blank=True)
    at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=80, blank=True, default="")
    seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("next_try_at",), condition=models.Q(next_try_at__isnull=False), name="notice_due"),
            models.Index(fields=("person", "-id"), condition=models.Q(seen_at=None), name="notice_unseen"),
        )

    @classmethod
    def given_up(cls) -> models.QuerySet[Notice]:
        """Returns those that are not tried any more though nobody got them."""
        return cls._default_manager.filter(next_try_at=None).exclude(code="")

    @property
    def happened(self) -> str:
        """What happened, e.g. "is approved", or where it is about signing in "Your password was changed"."""
        if self.kind == SECURITY:
            return SIGNING_IN[self.event].format(**(self.detail or {}))
        return HAPPENED[self.event]
