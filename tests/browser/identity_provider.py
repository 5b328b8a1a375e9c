"""An identity provider on loopback: Django with django-oauth-toolkit, its people, their groups, its sign-in page.

    python tests/browser/identity_provider.py PORT FOLDER PORTAL

It is a real one: it keeps its own session, obeys `prompt=login`, and says in `auth_time` when it asked for a password.
Only GET /directory/?login=group,group is a test's: these are the person's groups from now on.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

CLIENT_ID, SECRET, PASSWORD = "roledesk", "a secret of the client", "a password at the provider"


def main(port: int, folder: Path, portal: str) -> None:
    """Makes the tables and the client in a fresh folder, says that it is ready, and answers until it is killed."""
    configure(port, folder)
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.core.servers.basehttp import run
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    for login, first, last in (("nia", "Nia", "Holt"), ("omar", "Omar", "Reyes")):
        User.objects.create_user(login, f"{login}@corp.example", PASSWORD, first_name=first, last_name=last)
    Application.objects.create(
        name="Roledesk",
        client_id=CLIENT_ID,
        client_secret=SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        algorithm="RS256",
        skip_authorization=True,
        redirect_uris=" ".join(f"{url}/accounts/oidc/sso/login/callback/" for url in portal.split(",")),
    )
    print("ready", flush=True)
    run("127.0.0.1", port, WSGIHandler(), threading=True)


def configure(port: int, folder: Path) -> None:
    """Says what a Django project of one file consists of."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from django.conf import settings

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    settings.configure(
        SECRET_KEY=secrets.token_hex(32),
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        SESSION_COOKIE_NAME="provider_session",  # cookies of one host do not tell ports apart
        CSRF_COOKIE_NAME="provider_csrf",
        LOGIN_URL="/sign-in/",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "provider.sqlite3"}},
        INSTALLED_APPS=[
            *("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider"),
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"sign-in.html": SIGN_IN})]},
            }
        ],
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": f"http://127.0.0.1:{port}/o",
            "OIDC_RSA_PRIVATE_KEY": key.private_bytes(
                Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
            ).decode(),
            "OAUTH2_VALIDATOR_CLASS": f"{__name__}.claims_of",
            "SCOPES": {"openid": "who you are", "profile": "your name", "email": "your address"},
        },
    )
    sys.modules.setdefault("identity_provider", sys.modules[__name__])


SIGN_IN = """<!doctype html><title>Corp</title><link rel="icon" href="data:,"><h1>Sign in at Corp</h1>
<form method="post">{% csrf_token %}{{ form.as_p }}<button type="submit">Sign in</button></form>"""


def claims_of() -> Any:
    """Returns the validator, an instance of a class that exists only once settings do."""
    from oauth2_provider.oauth2_validators import OAuth2Validator

    class Claims(OAuth2Validator):  # type: ignore[misc]
        oidc_claim_scope = None

        def get_additional_claims(self, request: Any) -> dict[str, Any]:
            user = request.user
            return {
                "email": user.email,
                "given_name": user.first_name,
                "family_name": user.last_name,
                "groups": sorted(user.groups.values_list("name", flat=True)),
            }

    return Claims()


def directory(request: Any) -> Any:
    """Puts people into exactly these groups."""
    from django.contrib.auth.models import Group, User
    from django.http import HttpResponse

    for login, names in request.GET.items():
        groups = [Group.objects.get_or_create(name=name)[0] for name in filter(None, names.split(","))]
        User.objects.get(username=login).groups.set(groups)
    return HttpResponse(status=204)


def __getattr__(name: str) -> Any:
    """The addresses, which Django reads from this module once its settings are there."""
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.contrib.auth.views import LoginView
    from django.urls import include, path

    return [
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        path("sign-in/", LoginView.as_view(template_name="sign-in.html")),
        path("directory/", directory),
    ]


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
