"""The one-time link of an invitation: who it is for, whether it still counts, and sending it by mail.

Nothing is stored: the link is signed over the person's state, so setting the password, or deactivating, ends it. It
holds for `PASSWORD_RESET_TIMEOUT` (three days).
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.mail import send_mail
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from iamroles import audit
from iamroles.audit import Actor, Subject
from iamroles.models import User


class InvitationTokens(PasswordResetTokenGenerator):
    """Tokens for people who have no password yet; those of a password reset do not count here, nor the reverse."""

    key_salt = "iamroles.invitations"

    def check_token(self, user: User | None, token: str | None) -> bool:
        """Returns whether the token is this person's, in time, and they are active and without a password."""
        return bool(user and waits(user) and super().check_token(user, token))


tokens = InvitationTokens()


def waits(user: User) -> bool:
    """Returns whether the person is invited and has neither taken it up nor been deactivated."""
    return user.is_active and not user.has_usable_password() and user.last_login is None


def path(user: User) -> str:
    """Returns a link without the host. Whoever has it becomes this person: only `issue` lets one out."""
    return reverse("invitation", args=[urlsafe_base64_encode(force_bytes(user.pk)), tokens.make_token(user)])


def issue(user: User, by: str, *, actor: Actor, at: datetime) -> str:
    """Returns a fresh link without the host, and records for whom it was made and how it goes ("mail", "printed").

    Whoever has it becomes this person: it goes to nobody else, and never out without its event.
    """
    with transaction.atomic():
        audit.record(
            "user.invited",
            actor=actor,
            subject=Subject("user", str(user.pk), user.display_name),
            at=at,
            data={"user": user.get_username(), "by": by},
        )
    return path(user)


def send(user: User, base_url: str, *, actor: Actor, at: datetime) -> None:
    """Mails the link. Raises what the mail backend raises: OSError or SMTPException."""
    link = f"{base_url.rstrip('/')}{issue(user, 'mail', actor=actor, at=at)}"
    text = (
        f"Hello {user.display_name},\n\n"
        f"you are invited to Roledesk at {base_url}.\n"
        f"Choose your password here, within three days and only once:\n\n{link}\n\n"
        f"You then sign in as {user.get_username()}. If you did not expect this, do nothing.\n"
    )
    send_mail("Your invitation to Roledesk", text, None, [user.email])
