"""Which database role each process of production connects as: the app, the owner of the tables, or the sealer.

The owner migrates and makes the other roles; the sealer alone extends the audit trail; everything else is the app.
"""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from portal.settings import env

APP: Final = "DATABASE_URL"
OWNER: Final = "DATABASE_OWNER_URL"
SEALER: Final = "DATABASE_SEALER_URL"
SINGLE: Final = "ALLOW_SINGLE_DB_ROLE"
# What a process connects as, by Django's alias. One that is not named is a person's command: the app, and the sealer
# where its address is given.
_ALIASES: Final = {
    "web": {"default": APP},
    "worker": {"default": APP},
    "tend": {"default": APP, "sealer": SEALER},
    "owner": {"default": OWNER, "app": APP, "sealer": SEALER},
}


def production(process: str) -> dict[str, dict[str, Any]]:
    """Returns Django's DATABASES for a process. Raises ImproperlyConfigured for what is missing, SQLite, or one role
    under two names without ALLOW_SINGLE_DB_ROLE=1.
    """
    given = _ALIASES.get(process) or {"default": APP, **({"sealer": SEALER} if env.secret(SEALER, "") else {})}
    single = env.flag(SINGLE)
    found = {alias: _read(name, single) for alias, name in given.items()}
    if not single:
        _require_apart({given[alias]: settings["USER"] for alias, settings in found.items()})
    elif process == "tend":
        del found["sealer"]  # one role needs no second connection
    return found


def _read(name: str, single: bool) -> dict[str, Any]:
    url = env.secret(name, env.secret(APP) if single else None)
    found = env.database(url)
    if found["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(f"{name} names SQLite. Production needs PostgreSQL: postgresql://…")
    return found | {"NAME": env.text("ROLEDESK_DATABASE_NAME", str(found["NAME"]))}


def _require_apart(users: dict[str, Any]) -> None:
    seen: dict[Any, str] = {}
    for name, user in users.items():
        if user in seen:
            raise ImproperlyConfigured(
                f"{seen[user]} and {name} name the same database role: the portal could then rewrite its own audit"
                f" trail. Give each a role of its own, or set {SINGLE}=1."
            )
        seen[user] = name
