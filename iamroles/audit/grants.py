"""The rights of the database roles on PostgreSQL, as SQL: what the app, and what the sealer may do to each table.

The owner of the tables runs it after migrating; migrations themselves make no roles. Which roles there are, and their
passwords, the addresses of the database say (audit.config).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from django.apps import apps
from django.db import connections, transaction
from psycopg import sql

from iamroles.audit import guard

APP: Final = "roledesk_app"
SEALER: Final = "roledesk_sealer"

_APP_RIGHTS: Final = {
    "audit_event": "SELECT, INSERT",
    "audit_pending": "SELECT, INSERT",
    "audit_leaf": "SELECT",
    "audit_checkpoint": "SELECT",
    "audit_receipt": "SELECT",
    "audit_disclosure": "SELECT, INSERT, DELETE",
}
_SEALER_RIGHTS: Final = {
    "audit_event": "SELECT",
    "audit_pending": "SELECT, DELETE",
    "audit_leaf": "SELECT, INSERT",
    "audit_checkpoint": "SELECT, INSERT",
    "audit_receipt": "SELECT, INSERT",
}


_RIGHTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER")


class NoRoles(RuntimeError):
    """The database has no roles: it is SQLite."""


def statements(app: str = APP, sealer: str = SEALER, *, using: str = "default") -> list[str]:
    """Returns the SQL, which can be run again and again. Raises NoRoles on SQLite."""
    if connections[using].vendor != "postgresql":
        raise NoRoles("SQLite has no roles. `audit grants` is for PostgreSQL.")
    found = [_create(role) for role in (app, sealer)]
    for role in (app, sealer):
        found.append(_write("GRANT USAGE ON SCHEMA public TO {}", role))
        found += [_write(f"REVOKE ALL ON TABLE {table} FROM {{}}", role) for table in guard.ALL_TABLES]
    for table in sorted(_other_tables(using)):
        found.append(_write(f"GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {table} TO {{}}", app))
    found.append(_write("GRANT SELECT ON TABLE django_migrations TO {}", app))  # the set-up says what is not applied
    found += [_write(f"GRANT {rights} ON TABLE {table} TO {{}}", app) for table, rights in _APP_RIGHTS.items()]
    found += [_write(f"GRANT {rights} ON TABLE {table} TO {{}}", sealer) for table, rights in _SEALER_RIGHTS.items()]
    return found


def run(found: Sequence[str], *, passwords: Mapping[str, str] | None = None, using: str = "default") -> None:
    """Runs the statements in one transaction, and sets the passwords of roles, which no statement and no server log
    holds. Raises django.db.ProgrammingError without the owner's rights.
    """
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        for statement in found:
            cursor.execute(statement)
        for role, password in (passwords or {}).items():
            # Hashed here: the server keeps SCRAM verifiers, and could write the statement into its log.
            verifier = cursor.connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
            text = sql.Literal(verifier.decode()).as_string(None)
            cursor.execute(_write(f"ALTER ROLE {{}} PASSWORD {text}", role))


def may_rewrite(using: str = "default") -> bool:
    """Returns whether the role of this connection could change events: it may update them, or owns their table or could
    become the role that does.

    On SQLite everybody who can write the file could.
    """
    if connections[using].vendor != "postgresql":
        return True
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT pg_has_role(current_user, relowner, 'MEMBER') OR has_table_privilege('audit_event', 'UPDATE')"
            " FROM pg_class WHERE oid = 'audit_event'::regclass"
        )
        row = cursor.fetchone()
    return row is None or bool(row[0])


def excessive(using: str = "default", app: str = APP, sealer: str = SEALER) -> list[str]:
    """Returns a sentence for each right to the trail that a role has beyond those of `statements`, ownership included,
    also by a role that it only could become.

    Roles that do not exist are skipped: then the portal runs as the owner, and the health page says so.
    """
    if connections[using].vendor != "postgresql":
        return []
    found = []
    with connections[using].cursor() as cursor:
        for role, allowed in ((app, _APP_RIGHTS), (sealer, _SEALER_RIGHTS)):
            cursor.execute(
                "SELECT t.name, p.word, pg_has_role(r.oid, c.relowner, 'MEMBER')"
                " FROM pg_roles r, unnest(%s::text[]) t(name), unnest(%s::text[]) p(word), pg_class c"
                " WHERE r.rolname = %s AND c.oid = to_regclass(t.name)"
                " AND (has_table_privilege(r.oid, c.oid, p.word) OR pg_has_role(r.oid, c.relowner, 'MEMBER'))",
                [list(guard.ALL_TABLES), list(_RIGHTS), role],
            )
            for table, right, owns in cursor.fetchall():
                if owns:
                    found.append(f"the role {role} owns {table}")
                elif right not in allowed.get(table, "").split(", "):
                    found.append(f"the role {role} may {right} on {table}")
    return sorted(set(found))


def _other_tables(using: str) -> set[str]:
    known = {
        table
        for model in apps.get_models(include_auto_created=True)
        if (table := model._meta.db_table) not in guard.ALL_TABLES
    }
    return known & set(connections[using].introspection.table_names())


def _create(role: str) -> str:
    name, text = sql.Identifier(role).as_string(None), sql.Literal(role).as_string(None)
    exists = f"EXISTS (SELECT 1 FROM pg_roles WHERE rolname = {text})"  # noqa: S608 (quoted by psycopg)
    return f"DO $$ BEGIN IF NOT {exists} THEN CREATE ROLE {name} LOGIN; END IF; END $$"


def _write(template: str, role: str) -> str:
    return template.format(sql.Identifier(role).as_string(None))
