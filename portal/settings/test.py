"""Tests: SQLite in memory unless DATABASE_URL names another; keys are made by fixtures; AWS is the tests' own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from portal.logs import configure
from portal.settings import env
from portal.settings.base import *

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

SECRET_KEY = "only-for-tests-" + "x" * 50
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
VAR = Path(env.text("ROLEDESK_VAR", tempfile.gettempdir()))
DATABASES = {"default": env.database(env.text("DATABASE_URL", f"sqlite:///{VAR / f'roledesk-{os.getpid()}.sqlite3'}"))}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": str(VAR / f"roledesk-test-{os.getpid()}.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_ROOT = VAR / "static"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ROLEDESK_WEBHOOK_LOOPBACK = True
CELERY_BROKER_URL = env.text("REDIS_URL", "memory://")

configure(json=False)
