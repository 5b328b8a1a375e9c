"""Reading the environment: each helper returns a value or raises `ImproperlyConfigured` with what to do about it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """Returns the variable; without a default a missing or empty one raises."""
    value = os.environ.get(name, "")
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set. Set it in the environment; see .env.example.")
    return default


def flag(name: str, default: bool = False) -> bool:
    """Returns True for 1/true/yes, False for 0/false/no, the default for an unset variable; anything else raises."""
    value = os.environ.get(name, "").strip().lower()
    if value in ("1", "true", "yes"):
        return True
    if value in ("0", "false", "no"):
        return False
    if not value:
        return default
    raise ImproperlyConfigured(f"{name} is {value!r}. Use 1 or 0.")


def number(name: str, default: float) -> float:
    """Returns the variable as a number; something else raises."""
    value = os.environ.get(name, "")
    if not value:
        return default
    try:
        return float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}. Use a number.") from None


def secret(name: str, default: str | None = None) -> str:
    """Returns the variable NAME, or the contents of the file that NAME_FILE names; neither raises without a default.

    Both at once raise: nobody could tell which of them counts.
    """
    path = os.environ.get(f"{name}_FILE", "")
    if not path:
        return text(name, default)
    if os.environ.get(name):
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set. Unset one of them.")
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {error.strerror}.") from error
    if not value and default is None:
        raise ImproperlyConfigured(f"{name}_FILE names {path}, which is empty.")
    return value or default or ""


def either(name: str) -> tuple[str, str]:
    """Returns the two variables that may give a secret."""
    return name, f"{name}_FILE"


def database(url: str) -> dict[str, object]:
    """Returns Django's settings for `postgresql://user:password@host:port/name?sslmode=…` or `sqlite:///path`.

    What may follow the question mark are libpq's words about TLS; anything else raises.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": parts.path[1:] if parts.path.startswith("//") else parts.path,
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
            },
        }
    if parts.scheme in ("postgresql", "postgres"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": _tls(parts.query),
        }
    raise ImproperlyConfigured(f"A database URL begins with postgresql:// or sqlite:///, not {parts.scheme!r}.")


def _tls(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(given) - {"sslmode", "sslrootcert", "sslcert", "sslkey"})
    if unknown:
        raise ImproperlyConfigured(f"A database URL takes sslmode, sslrootcert, sslcert and sslkey, not {unknown[0]}.")
    return given
