"""Production: refuses to start on a missing or default secret, on the simulator's endpoint, and on demo parts."""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured

from portal.logs import configure
from portal.settings import env
from portal.settings.base import *
from portal.settings.base import BASE_DIR, REDIS_TRANSPORT_OPTIONS, ROLEDESK_AWS_ENDPOINT, ROLEDESK_PROCESS

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
_host = BASE_URL.removeprefix("https://").split("/")[0]
ALLOWED_HOSTS = [_host.split(":")[0], *filter(None, env.text("EXTRA_HOSTS", "").split(","))]
CSRF_TRUSTED_ORIGINS = [f"https://{_host}"]
DATABASES = {"default": env.database(env.secret("DATABASE_URL"))}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured("DATABASE_URL names SQLite. Production needs PostgreSQL: postgresql://…")
CELERY_BROKER_URL = env.secret("REDIS_URL")
CELERY_BROKER_TRANSPORT_OPTIONS = REDIS_TRANSPORT_OPTIONS
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CELERY_BROKER_URL}}
STATIC_ROOT = BASE_DIR / "static"
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", True)
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
ROLEDESK_ENVIRONMENT = env.text("ROLEDESK_ENVIRONMENT", "Production")

# Each process gets the keys it needs, and only these.
_needs = {
    "web": ("ROLEDESK_SIGNING_KEY_FILE",),
    "worker": ("ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE",),
    "tend": ("ROLEDESK_AUDIT_KEY_FILE", "ROLEDESK_CHECKPOINT_DIR"),
}
for _name in _needs.get(ROLEDESK_PROCESS, ()):
    env.text(_name)
_forbidden = {
    "web": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ROLEDESK_AUDIT_KEY_FILE", "ROLEDESK_WEBHOOK_SECRET"),
    "worker": ("ROLEDESK_SIGNING_KEY_FILE", "ROLEDESK_AUDIT_KEY_FILE"),
    "tend": ("ROLEDESK_SIGNING_KEY_FILE",),
}
for _name in _forbidden.get(ROLEDESK_PROCESS, ()):
    if os.environ.get(_name):
        raise ImproperlyConfigured(f"The {ROLEDESK_PROCESS} process must not hold {_name}. Unset it there.")

configure(json=True)
