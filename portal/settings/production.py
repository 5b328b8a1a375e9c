"""Production: refuses to start on a missing or default secret, on the simulator's endpoint, and on demo parts."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from portal.logs import configure
from portal.settings import databases, env
from portal.settings.base import *
from portal.settings.base import (
    BASE_DIR,
    REDIS_TRANSPORT_OPTIONS,
    ROLEDESK_AWS_ENDPOINT,
    ROLEDESK_BREACHED_DIGESTS,
    ROLEDESK_PROCESS,
    ROLEDESK_SINGLE_SIGN_ON,
)

SECRET_KEY = env.secret("SECRET_KEY")
if len(SECRET_KEY) < 50 or SECRET_KEY.startswith(("only-for-tests", "change-me", "django-insecure")):
    raise ImproperlyConfigured(
        "SECRET_KEY is a default or shorter than 50 characters. Make one: openssl rand -base64 48"
    )
if ROLEDESK_AWS_ENDPOINT:
    raise ImproperlyConfigured("ROLEDESK_AWS_ENDPOINT points at a simulator. Production talks to AWS; unset it.")
for _name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS"):
    if os.environ.get(_name):
        raise ImproperlyConfigured(f"{_name} sends AWS calls elsewhere. Production talks to AWS; unset it.")

DEBUG = False
BASE_URL = env.text("BASE_URL")
if not BASE_URL.startswith("https://"):
    raise ImproperlyConfigured("BASE_URL begins with https://: people sign in there.")
if ROLEDESK_SINGLE_SIGN_ON and not ROLEDESK_SINGLE_SIGN_ON.issuer.startswith("https://"):
    raise ImproperlyConfigured("ROLEDESK_OIDC_ISSUER begins with https:// in production.")
_host = BASE_URL.removeprefix("https://").split("/")[0]
ALLOWED_HOSTS = [_host.split(":")[0], *filter(None, env.text("EXTRA_HOSTS", "").split(","))]
CSRF_TRUSTED_ORIGINS = [f"https://{_host}"]
DATABASES = databases.production(ROLEDESK_PROCESS)
ROLEDESK_DATABASE_ROLES = "one" if env.flag(databases.SINGLE) else "apart"
CELERY_BROKER_URL = env.secret("REDIS_URL")
CELERY_BROKER_TRANSPORT_OPTIONS = REDIS_TRANSPORT_OPTIONS
STATIC_ROOT = BASE_DIR / "static"
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", True)
SECURE_REDIRECT_EXEMPT = [r"^health/"]
ROLEDESK_PROXIES = int(env.number("ROLEDESK_PROXIES", 1))
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
# Browsers take a cookie of this name from this very host alone, over TLS: no neighbouring host can plant one.
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken"
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = int(env.number("EMAIL_PORT", 25))
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.secret("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", False)
ROLEDESK_ENVIRONMENT = env.text("ROLEDESK_ENVIRONMENT", "Production")


def _key(name: str, usual: str) -> str:
    return env.text(name, "") or str(Path(env.text("ROLEDESK_KEYS_DIR")) / usual)


# Each process gets the keys it needs, and only these; they lie in one folder unless a setting names another file.
if ROLEDESK_PROCESS == "web":
    ROLEDESK_SIGNING_KEY_FILE = _key("ROLEDESK_SIGNING_KEY_FILE", "approval.key")
if ROLEDESK_PROCESS == "worker":
    ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE = _key("ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE", "approval.pub")
if ROLEDESK_PROCESS == "tend":
    ROLEDESK_AUDIT_KEY_FILE = _key("ROLEDESK_AUDIT_KEY_FILE", "audit.key")
    ROLEDESK_CHECKPOINT_DIR = env.text("ROLEDESK_CHECKPOINT_DIR")
if ROLEDESK_BREACHED_DIGESTS and not os.access(ROLEDESK_BREACHED_DIGESTS, os.R_OK):
    raise ImproperlyConfigured(f"ROLEDESK_BREACHED_DIGESTS names {ROLEDESK_BREACHED_DIGESTS}, which cannot be read.")
_not_the_trail = (*env.either("DATABASE_OWNER_URL"), *env.either("DATABASE_SEALER_URL"), "ROLEDESK_AUDIT_KEY_FILE")
_aws = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE")
_sign_on = env.either("ROLEDESK_OIDC_CLIENT_SECRET")
_forbidden = {
    "web": (*_aws, *_not_the_trail, *env.either("ROLEDESK_WEBHOOK_SECRET")),
    "worker": ("ROLEDESK_SIGNING_KEY_FILE", *_not_the_trail, *_sign_on),
    "tend": ("ROLEDESK_SIGNING_KEY_FILE", *env.either("DATABASE_OWNER_URL"), *_sign_on),
    "owner": (*_aws, "ROLEDESK_SIGNING_KEY_FILE", "ROLEDESK_AUDIT_KEY_FILE"),
}
for _name in _forbidden.get(ROLEDESK_PROCESS, ()):
    if os.environ.get(_name):
        raise ImproperlyConfigured(f"The {ROLEDESK_PROCESS} process must not hold {_name}. Unset it there.")

configure(json=True)
