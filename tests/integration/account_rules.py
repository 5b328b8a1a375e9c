"""Setting the standard or a guardrail where a test is about what follows, not about who may."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from iamroles.audit import Actor
from iamroles.models import AccountRule, AwsAccount
from iamroles.rules import account_rules
from iamroles.workflow.account_rules import write


def set_account_rule(*, number: str, kind: str, text: str, actor: Actor, at: datetime) -> AccountRule:
    """Writes the next version as the verbs do, whoever there is to confirm it."""
    with transaction.atomic():
        account = AwsAccount.objects.get(number=number)
        return write(account, kind, account_rules.read(kind, text), set_by=actor.name, actor=actor, at=at)
