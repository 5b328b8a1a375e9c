"""What demo, test and production share. No secret has a working default here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from iamroles.rules import tool_tags
from portal.settings import env, single_sign_on

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# What this process may hold: "web", "worker", "tend", "owner" (of the database's tables) or "command".
ROLEDESK_PROCESS = env.text("ROLEDESK_PROCESS", "command")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_htmx",
    "csp",
    "iamroles.apps.IamRolesConfig",
]

MIDDLEWARE = [
    "portal.client_address.ClientAddress",
    "iamroles.web.middleware.Correlation",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "portal.second_factor.DemandSecondFactor",
    "django_htmx.middleware.HtmxMiddleware",
    "iamroles.web.middleware.VaryOnHtmx",
    "iamroles.web.doors.RefuseLongBodies",
    "iamroles.web.doors.RefuseControlCharacters",
    "iamroles.web.middleware.ProposalChangedPage",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
ASGI_APPLICATION = "portal.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "iamroles.web.context.chrome",
            ],
            "builtins": ["iamroles.web.templatetags.roledesk"],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

AUTH_USER_MODEL = "iamroles.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "portal.passwords.NotGuessable"},
]
# Words that people here would make passwords of, such as names of the company and its products, separated by blanks.
ROLEDESK_CONTEXT_WORDS = env.text("ROLEDESK_CONTEXT_WORDS", "").split()
# A file of SHA-1 digests of stolen passwords in upper case, one a line, sorted; empty for none.
ROLEDESK_BREACHED_DIGESTS = env.text("ROLEDESK_BREACHED_DIGESTS", "")
if ROLEDESK_BREACHED_DIGESTS:
    AUTH_PASSWORD_VALIDATORS.append(
        {"NAME": "portal.passwords.NotStolen", "OPTIONS": {"path": ROLEDESK_BREACHED_DIGESTS}}
    )
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "portal.signin.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "portal.single_sign_on.SocialAccountAdapter"
MFA_ADAPTER = "portal.wording.MFAAdapter"
ACCOUNT_FORMS = {
    "login": "portal.wording.SignIn",
    "reauthenticate": "portal.wording.Reauthenticate",
    "change_password": "portal.wording.ChangePassword",
    "set_password": "portal.wording.SetPassword",
    "reset_password": "portal.wording.ResetPassword",
    "reset_password_from_key": "portal.wording.ResetPasswordFromKey",
}
MFA_FORMS = {
    "authenticate": "portal.wording.SecondFactor",
    "reauthenticate": "portal.wording.SecondFactorAgain",
    "activate_totp": "portal.wording.SetUpApp",
    "add_webauthn": "portal.wording.AddKey",
    "edit_webauthn": "portal.wording.RenameKey",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[IAM] "
SOCIALACCOUNT_ONLY = False
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_ALLOW_UNVERIFIED_EMAIL = True  # an operator or the provider gave the address; nobody verifies one here
MFA_TOTP_TOLERANCE = 1  # steps of 30 seconds that the clocks may differ (RFC 6238, 5.2)
# Groups whose people get nowhere without a second factor, separated by blanks.
ROLEDESK_MFA_GROUPS = env.text("ROLEDESK_MFA_GROUPS", "").split()
USERSESSIONS_TRACK_ACTIVITY = False

# None: people sign in here alone, with a password.
ROLEDESK_SINGLE_SIGN_ON = single_sign_on.read()
SOCIALACCOUNT_PROVIDERS = ROLEDESK_SINGLE_SIGN_ON.providers() if ROLEDESK_SINGLE_SIGN_ON else {}
SOCIALACCOUNT_STORE_TOKENS = False

# Who tried to sign in how often is counted for all processes together, and without Redis: a broker that is down
# neither stops signing in nor lets anybody try without end.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "iamroles_cacheentry",
        "OPTIONS": {"MAX_ENTRIES": 100_000},  # beyond it a part is thrown away, and with it counts
    }
}

LANGUAGE_CODE = "en-gb"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "iamroles/web/static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "iamroles.web.views.errors.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF, *(ROLEDESK_SINGLE_SIGN_ON.origins if ROLEDESK_SINGLE_SIGN_ON else ())],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "report-uri": "/csp-report/",
    }
}

# Celery is a doorbell: the row is the outbox, so nothing is stored and nothing is retried by the broker client.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "roledesk"
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = 300
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30.0
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A worker waits for the broker. A page that rings does not: what was not heard, the next sweep finds.
_waits = ROLEDESK_PROCESS == "worker"
CELERY_BROKER_CONNECTION_TIMEOUT = 3 if _waits else 1
REDIS_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "unacked_restore_interval": 10,
    "socket_timeout": 15 if _waits else 1,
    "socket_connect_timeout": 3 if _waits else 1,
    "health_check_interval": 10,
}

# Whether the database roles must be apart, as production demands: "apart", "one" (allowed there), or "any".
ROLEDESK_DATABASE_ROLES = "any"
# How many proxies of ours append to X-Forwarded-For: none here, one in production.
ROLEDESK_PROXIES = int(env.number("ROLEDESK_PROXIES", 0))
BASE_URL = env.text("BASE_URL", "http://127.0.0.1:8000")
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "Roledesk <roledesk@localhost>")
EMAIL_TIMEOUT = 10  # seconds
EMAIL_FILE_PATH = ""  # the demo alone writes mails to files
ROLEDESK_ENVIRONMENT = env.text("ROLEDESK_ENVIRONMENT", "")
ROLEDESK_SIGNING_KEY_FILE = env.text("ROLEDESK_SIGNING_KEY_FILE", "")
ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE = env.text("ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE", "")
ROLEDESK_AUDIT_KEY_FILE = env.text("ROLEDESK_AUDIT_KEY_FILE", "")
ROLEDESK_AUDIT_VKEYS_FILE = env.text("ROLEDESK_AUDIT_VKEYS_FILE", "")
ROLEDESK_CHECKPOINT_DIR = env.text("ROLEDESK_CHECKPOINT_DIR", "")
ROLEDESK_AUDIT_ORIGIN = env.text("ROLEDESK_AUDIT_ORIGIN", "roledesk.localhost/audit/1")
ROLEDESK_AWS_ENDPOINT = env.text("ROLEDESK_AWS_ENDPOINT", "")
ROLEDESK_PORTAL_ROLE = "portal/RoledeskWorker"
# By which tags of a role another tool manages it: Tool/key or Tool/key=value, separated by commas; "none" for no tool.
ROLEDESK_TOOL_TAGS = env.text("ROLEDESK_TOOL_TAGS", tool_tags.USUAL).removeprefix("none")
ROLEDESK_SWEEP_SECONDS = env.number("ROLEDESK_SWEEP_SECONDS", 15)
ROLEDESK_VERIFY_PAUSE_SECONDS = env.number("ROLEDESK_VERIFY_PAUSE_SECONDS", 2)
ROLEDESK_WRITES_PER_SECOND = env.number("ROLEDESK_WRITES_PER_SECOND", 1)
ROLEDESK_DECIDE_WITHIN_MINUTES = {"low": 30, "medium": 30, "high": 5}
ROLEDESK_OPERATE_WITHIN_MINUTES = 5
ROLEDESK_LOOK_HOLDS_HOURS = env.number("ROLEDESK_LOOK_HOLDS_HOURS", 24)
ROLEDESK_SEAL_LAG_SECONDS = env.number("ROLEDESK_SEAL_LAG_SECONDS", 30)
ROLEDESK_SEAL_PAUSE_SECONDS = env.number("ROLEDESK_SEAL_PAUSE_SECONDS", 300)
ROLEDESK_WEBHOOK_URL = env.text("ROLEDESK_WEBHOOK_URL", "")
ROLEDESK_WEBHOOK_SECRET = env.secret("ROLEDESK_WEBHOOK_SECRET", "")
ROLEDESK_METRICS_TOKEN = env.secret("ROLEDESK_METRICS_TOKEN", "")
ROLEDESK_WEBHOOK_LOOPBACK = False  # demo and tests: http:// to this machine
ROLEDESK_EXPORT_AT_ONCE = 10_000  # events; more are made by a worker
ROLEDESK_DEMO = False

LOGGING_CONFIG = None
