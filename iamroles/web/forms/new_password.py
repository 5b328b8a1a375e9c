"""What is said about a new password, wherever somebody chooses one, and the form of an invitation."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.forms import SetPasswordForm

from iamroles.models import User

# The rules are AUTH_PASSWORD_VALIDATORS; each says for itself what is wrong with a password that it refuses.
LABELS: Final = ("New password", "New password again")
HINT: Final = "At least 12 characters: several words that have nothing to do with you, your company or each other."


class ChoosePassword(SetPasswordForm):  # type: ignore[type-arg]
    """A first password, typed twice: new_password1, new_password2."""

    def __init__(self, user: User, *given: Any, **more: Any) -> None:
        super().__init__(user, *given, **more)
        first, second = self.fields["new_password1"], self.fields["new_password2"]
        (first.label, second.label), first.help_text, second.help_text = LABELS, HINT, ""
