"""`make demo`: SQLite, Celery over the file system, a simulated AWS on loopback, everything under `var/`."""

from __future__ import annotations

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from portal.logs import configure
from portal.settings import env
from portal.settings.base import *
from portal.settings.base import BASE_DIR, INSTALLED_APPS, REDIS_TRANSPORT_OPTIONS, ROLEDESK_PROCESS

VAR = Path(env.text("ROLEDESK_VAR", str(BASE_DIR / "var")))
KEYS = VAR / "keys"

if not (KEYS / "django.key").exists():
    raise ImproperlyConfigured(f"{KEYS} holds no demo keys yet. Run `make demo` once.")
SECRET_KEY = (KEYS / "django.key").read_text(encoding="utf-8").strip()
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
INSTALLED_APPS = [*INSTALLED_APPS, "portal.demo"]
ROOT_URLCONF = "portal.demo.urls"
DATABASES = {"default": env.database(env.text("ROLEDESK_DEMO_DATABASE_URL", f"sqlite:///{VAR / 'roledesk.sqlite3'}"))}
STATIC_ROOT = VAR / "static"
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = str(VAR / "mail")
WHITENOISE_MAX_AGE = 60

# The browser tests run the same demo on PostgreSQL and Redis.
CELERY_BROKER_URL = env.text("ROLEDESK_DEMO_REDIS_URL", "filesystem://")
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {
        "data_folder_in": str(VAR / "broker"),
        "data_folder_out": str(VAR / "broker"),
        "control_folder": str(VAR / "broker" / "control"),
        "polling_interval": 0.2,
    }
    if CELERY_BROKER_URL == "filesystem://"
    else REDIS_TRANSPORT_OPTIONS
)

ROLEDESK_DEMO = True
ROLEDESK_WEBHOOK_LOOPBACK = True
ROLEDESK_ENVIRONMENT = env.text("ROLEDESK_ENVIRONMENT", "Demo, simulated AWS")
# A person at the command line is everybody; each process of the supervisor gets its own keys by name and no other.
_by_hand = ROLEDESK_PROCESS == "command"
ROLEDESK_SIGNING_KEY_FILE = env.text("ROLEDESK_SIGNING_KEY_FILE", str(KEYS / "approval.key") if _by_hand else "")
ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE = str(KEYS / "approval.pub")
ROLEDESK_AUDIT_KEY_FILE = env.text("ROLEDESK_AUDIT_KEY_FILE", str(KEYS / "audit.key") if _by_hand else "")
ROLEDESK_AUDIT_VKEYS_FILE = str(KEYS / "audit.vkeys")
ROLEDESK_CHECKPOINT_DIR = str(VAR / "checkpoints")
ROLEDESK_AUDIT_ORIGIN = "demo.roledesk.localhost/audit/1"
ROLEDESK_SWEEP_SECONDS = env.number("ROLEDESK_SWEEP_SECONDS", 2)
ROLEDESK_VERIFY_PAUSE_SECONDS = env.number("ROLEDESK_VERIFY_PAUSE_SECONDS", 0.5)
ROLEDESK_WRITES_PER_SECOND = env.number("ROLEDESK_WRITES_PER_SECOND", 4)

configure(json=False)
