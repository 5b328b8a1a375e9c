"""Sends the outbox: each due notice once by mail or webhook, again after a failure, given up after `TRIES` tries.

More than one process may do this: a row is claimed by its count of tries. A process that dies after sending and before
writing so sends once more; the webhook's receiver tells the two by `Roledesk-Delivery`.
"""

from __future__ import annotations

import json
import smtplib
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from iamroles.engine import webhook
from iamroles.engine.telling import Message, message, still_true
from iamroles.engine.webhook import NotSent
from iamroles.models import Notice
from iamroles.models.notices import KEPT, SECURITY
from iamroles.models.requests import ProposalChanged

TRIES: Final = 8
AT_ONCE: Final = 50  # in one tick; the rest in the next
_HELD: Final = timedelta(minutes=2)  # for a process that claimed a notice and died
_FIRST, _LONGEST = timedelta(seconds=30), timedelta(hours=1)
_log = structlog.get_logger(__name__)


def deliver_due(at: datetime) -> int:
    """Sends what is due at a moment. Returns how many notices were sent. Raises nothing for one that fails."""
    rows = Notice.objects.filter(next_try_at__lte=at).order_by("next_try_at", "pk")
    related = ("request__requester", "request__team", "request__account", "change__proposed_by", "person")
    return sum(_deliver(notice, at) for notice in rows.select_related(*related)[:AT_ONCE])


def forget_old(at: datetime) -> int:
    """Deletes notices older than 90 days that are settled. Returns how many."""
    return Notice.objects.filter(at__lt=at - KEPT, next_try_at=None).delete()[0]


def _deliver(notice: Notice, at: datetime) -> bool:
    mine = Notice.objects.filter(pk=notice.pk, tries=notice.tries, next_try_at=notice.next_try_at)
    if not mine.update(tries=notice.tries + 1, next_try_at=at + _HELD):
        return False
    if not _wanted(notice):
        Notice.objects.filter(pk=notice.pk).update(next_try_at=None, code="")
        return False
    try:
        said = message(notice)
        if notice.person is None:
            _post(notice, said, at)
        else:
            _mail(notice.person.email, said)
    except NotSent as error:
        return _failed(notice, error.code, at)
    except ProposalChanged:
        return _failed(notice, "proposal_changed", at)
    except (OSError, smtplib.SMTPException) as error:
        return _failed(notice, type(error).__name__, at)
    Notice.objects.filter(pk=notice.pk).update(sent_at=at, next_try_at=None, code="")
    return True


def _wanted(notice: Notice) -> bool:
    if not still_true(notice):
        return False
    if notice.person is None:
        return bool(settings.ROLEDESK_WEBHOOK_URL)
    wanted = notice.person.mail or notice.kind == SECURITY
    return bool(wanted and notice.person.email and notice.person.is_active)


def _failed(notice: Notice, code: str, at: datetime) -> bool:
    tries = notice.tries + 1
    wait = min(_LONGEST, _FIRST * 2 ** (tries - 1))
    Notice.objects.filter(pk=notice.pk).update(code=code[:80], next_try_at=None if tries >= TRIES else at + wait)
    _log.warning(
        "notice_not_sent",
        notice=notice.pk,
        about=getattr(notice.request or notice.change, "reference", "signing in"),
        code=code,
        tries=tries,
    )
    return False


def _mail(address: str, said: Message) -> None:
    mail = EmailMultiAlternatives(said.subject, said.text, settings.DEFAULT_FROM_EMAIL, [address])
    mail.attach_alternative(said.html, "text/html")
    mail.send()


def _post(notice: Notice, said: Message, at: datetime) -> None:
    if not settings.ROLEDESK_WEBHOOK_SECRET:
        raise NotSent("no_secret")
    target = webhook.target_of(settings.ROLEDESK_WEBHOOK_URL, loopback=settings.ROLEDESK_WEBHOOK_LOOPBACK)
    body = json.dumps(said.payload(notice), ensure_ascii=False).encode()
    webhook.post(
        target, body, secret=settings.ROLEDESK_WEBHOOK_SECRET, delivery=str(notice.pk), timestamp=int(at.timestamp())
    )
