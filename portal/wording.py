"""What signing in says here: labels and hints of django-allauth's forms, its errors, and the names that it makes up.

Pages, messages and mails have templates of their own under `templates/account`, `mfa` and `socialaccount`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from allauth.account import forms as account
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base import forms as mfa
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm, EditWebAuthnForm
from django import forms

from iamroles.models import User
from iamroles.web.forms import new_password

_WRONG_SIGN_IN: Final = "User name or password is wrong. Check both: capitals matter."
_WRONG_CODE: Final = "That code or key was not taken. A code counts once, while the app shows it."
_TOO_MANY: Final = "Too many tries. Wait five minutes, then try again."
ACCOUNT_ERRORS: Final = {
    "account_inactive": "An operator deactivated you here. Ask one if you need access again.",
    "email_password_mismatch": _WRONG_SIGN_IN,
    "username_password_mismatch": _WRONG_SIGN_IN,
    "enter_current_password": "This is not your current password. Check it: capitals matter.",
    "incorrect_password": "This is not your password. Check it: capitals matter.",
    "invalid_password_reset": "This link does not work any more. Have another one mailed.",
    "too_many_login_attempts": _TOO_MANY,
    "rate_limited": _TOO_MANY,
}
WAYS: Final = {  # to confirm, by allauth's ids
    "reauthenticate": "Confirm with your password",
    "mfa_reauthenticate": "Confirm with a code",
    "mfa_reauthenticate:webauthn": "Confirm with your security key",
}


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Says in our words what went wrong with a second factor, and names keys and the entry in an app."""

    error_messages: ClassVar[Mapping[str, Any]] = {
        **DefaultMFAAdapter.error_messages,
        "cannot_generate_recovery_codes": "Recovery codes stand in for an app or a key. Set one of these up first.",
        "incorrect_code": _WRONG_CODE,
    }

    def get_totp_issuer(self) -> str:
        """Returns what an authenticator app calls the entry."""
        return f"Roledesk ({context.request.get_host()})"

    def generate_authenticator_name(self, user: User, kind: Authenticator.Type) -> str:
        """Returns the name that is proposed for another key."""
        others = Authenticator.objects.filter(user=user, type=kind).count()
        return f"Security key {others + 1}" if others else "Security key"


class _Worded(forms.Form):
    """Gives the fields of one of allauth's forms our labels and hints."""

    labels: ClassVar[Mapping[str, str]]
    hints: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        for name, label in self.labels.items():
            self.fields[name].label = label
            self.fields[name].help_text = self.hints.get(name, self.fields[name].help_text)


class _Twice(_Worded):
    """A new password, typed twice."""

    labels: ClassVar[Mapping[str, str]] = dict(zip(("password1", "password2"), new_password.LABELS, strict=True))
    hints: ClassVar[Mapping[str, str]] = {"password1": new_password.HINT}

    def clean_password2(self) -> str:
        """Returns the second one. Raises ValidationError where it differs, which leaves allauth's own check nothing."""
        second = str(self.cleaned_data["password2"])
        if self.cleaned_data.get("password1", second) != second:
            raise forms.ValidationError("The two differ. Type the same password twice.")
        return second


class SignIn(_Worded, account.LoginForm):  # type: ignore[misc]
    """User name and password."""

    labels: ClassVar[Mapping[str, str]] = {"login": "User name or e-mail address", "password": "Password"}


class Reauthenticate(_Worded, account.ReauthenticateForm):  # type: ignore[misc]
    """The password once more."""

    labels: ClassVar[Mapping[str, str]] = {"password": "Password"}


class ChangePassword(_Twice, account.ChangePasswordForm):  # type: ignore[misc]
    """Another password, by whoever knows the one before."""

    labels: ClassVar[Mapping[str, str]] = {"oldpassword": "Current password", **_Twice.labels}


class SetPassword(_Twice, account.SetPasswordForm):  # type: ignore[misc]
    """A first password."""


class ResetPassword(_Worded, account.ResetPasswordForm):  # type: ignore[misc]
    """Where to mail the link."""

    labels: ClassVar[Mapping[str, str]] = {"email": "E-mail address"}

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.fields["email"].error_messages["invalid"] = "This is no e-mail address. One looks like name@example.org."


class ResetPasswordFromKey(_Twice, account.ResetPasswordKeyForm):  # type: ignore[misc]
    """Another password, by whoever has the mailed link."""


class SecondFactor(_Worded, mfa.AuthenticateForm):  # type: ignore[misc]
    """A code at signing in."""

    labels: ClassVar[Mapping[str, str]] = {"code": "Code"}
    hints: ClassVar[Mapping[str, str]] = {"code": "Of your authenticator app, or one of your recovery codes."}


class SecondFactorAgain(_Worded, mfa.ReauthenticateForm):  # type: ignore[misc]
    """A code to confirm with."""

    labels: ClassVar[Mapping[str, str]] = SecondFactor.labels
    hints: ClassVar[Mapping[str, str]] = SecondFactor.hints


class SetUpApp(_Worded, ActivateTOTPForm):  # type: ignore[misc]
    """The first code of an authenticator app."""

    labels: ClassVar[Mapping[str, str]] = {"code": "Code that the app shows now"}


class AddKey(_Worded, AddWebAuthnForm):  # type: ignore[misc]
    """A security key and its name."""

    labels: ClassVar[Mapping[str, str]] = {"name": "Name"}
    hints: ClassVar[Mapping[str, str]] = {"name": "To tell it from your others, such as Key ring."}


class RenameKey(_Worded, EditWebAuthnForm):  # type: ignore[misc]
    """Another name of a security key."""

    labels: ClassVar[Mapping[str, str]] = {"name": "Name"}
