"""What a person says about an item of the set-up: that it is done, that it is left out and why, or neither any more.

The statement is an event and nothing else: the trail is where the list reads it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from iamroles import audit
from iamroles.audit import Actor, Subject
from iamroles.models import User
from iamroles.rules import first_run
from iamroles.rules.first_run import Item
from iamroles.workflow import organisation
from iamroles.workflow.verbs import Invalid, require_reason, verb

OPEN: Final = "open"


def record_test_mail(error: Exception | None, *, actor: Actor, at: datetime) -> None:
    """Records that a test mail was sent, and whether the mail server took it."""
    with transaction.atomic():
        audit.record(
            "mail.tested",
            actor=actor,
            subject=Subject("setting", "setup.mail", "Mail"),
            at=at,
            outcome="failed" if error else "success",
            data={"taken": error is None, **({"error_class": type(error).__name__} if error else {})},
        )


@verb("say_of_setup")
def say(*, item: Item, state: str, reason: str, user: User, signed_in_at: datetime, actor: Actor, at: datetime) -> None:
    """Records that an item is done, skipped, or open again, with a reason.

    Raises NotAllowed, SignInTooOld, or Invalid for an item that the portal sees for itself and that nobody may skip.
    """
    organisation.require_operator(user, signed_in_at, at, "say so")
    why = require_reason(reason)
    may = {first_run.DONE: item.told, first_run.SKIPPED: item.may_skip, OPEN: item.told or item.may_skip}
    if not may.get(state, False):
        raise Invalid(f"{item.title} cannot be {state}: the portal sees it for itself.", "reason", "not_said")
    audit.record(
        "setting.changed",
        actor=actor,
        subject=Subject("setting", f"setup.{item.key}", item.title),
        at=at,
        reason=why,
        data={"name": f"setup.{item.key}", "changes": [state]},
    )
