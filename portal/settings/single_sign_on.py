"""Single sign-on out of the environment: an OpenID Connect provider by issuer, client id and secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from portal.settings import env

PROVIDER: Final = "sso"  # in the address that the provider sends people back to: /accounts/oidc/sso/login/callback/
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class SingleSignOn:
    """One provider. `mfa_values` are values of `amr` or `acr` that count as a second factor."""

    issuer: str
    client_id: str
    secret: str
    name: str
    groups_claim: str
    scopes: tuple[str, ...]
    creates_people: bool
    mfa_values: tuple[str, ...]
    more_origins: tuple[str, ...]

    @property
    def origins(self) -> tuple[str, ...]:
        """Where a form may lead: browsers apply `form-action` to the redirects after it too."""
        parts = urlsplit(self.issuer)
        return (f"{parts.scheme}://{parts.netloc}", *self.more_origins)

    def providers(self) -> dict[str, Any]:
        """Returns allauth's SOCIALACCOUNT_PROVIDERS."""
        app = {
            "provider_id": PROVIDER,
            "name": self.name,
            "client_id": self.client_id,
            "secret": self.secret,
            "settings": {"server_url": self.issuer, "oauth_pkce_enabled": True, "scope": list(self.scopes)},
        }
        return {"openid_connect": {"APPS": [app]}}


def read() -> SingleSignOn | None:
    """Returns the provider, or None when no variable names one. Raises ImproperlyConfigured for a part of it."""
    issuer, client_id = env.text("ROLEDESK_OIDC_ISSUER", ""), env.text("ROLEDESK_OIDC_CLIENT_ID", "")
    secret = env.secret("ROLEDESK_OIDC_CLIENT_SECRET", "")
    if not (issuer or client_id or secret):
        return None
    if not (issuer and client_id and secret):
        raise ImproperlyConfigured(
            "Single sign-on needs ROLEDESK_OIDC_ISSUER, ROLEDESK_OIDC_CLIENT_ID and ROLEDESK_OIDC_CLIENT_SECRET. "
            "Set all three, or none."
        )
    parts = urlsplit(issuer)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not secure or not parts.hostname or parts.query or parts.fragment:
        raise ImproperlyConfigured(f"ROLEDESK_OIDC_ISSUER is {issuer!r}. Use the issuer's address: https://…")
    return SingleSignOn(
        issuer=issuer.rstrip("/"),
        client_id=client_id,
        secret=secret,
        name=env.text("ROLEDESK_OIDC_NAME", "single sign-on"),
        groups_claim=env.text("ROLEDESK_OIDC_GROUPS_CLAIM", "groups"),
        scopes=tuple(env.text("ROLEDESK_OIDC_SCOPES", "openid profile email").split()),
        creates_people=env.flag("ROLEDESK_OIDC_CREATES_PEOPLE"),
        mfa_values=tuple(env.text("ROLEDESK_OIDC_MFA_VALUES", "").split()),
        more_origins=tuple(env.text("ROLEDESK_OIDC_MORE_ORIGINS", "").split()),
    )
