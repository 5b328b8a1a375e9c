"""The triggers that make the trail append-only, and versions of rules insert-only, for both databases. Migrations
install them, verify asks for them.

They bind everybody but a database owner, who can drop them: then `audit verify` must notice. A migration that makes
SQLite copy one of these tables loses its triggers and must end with `install`.
"""

from __future__ import annotations

from typing import Final, Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

# table -> unique keys; INSERT OR REPLACE may not hit one of them
SEALED_TABLES: Final[dict[str, tuple[str, ...]]] = {
    "audit_event": ("id = NEW.id", "event_id = NEW.event_id"),
    "audit_leaf": ("seq = NEW.seq", "event_id = NEW.event_id"),
    "audit_checkpoint": ("size = NEW.size",),
    "audit_receipt": ("id = NEW.id", "size = NEW.size AND publisher = NEW.publisher"),
}
# versions of rules: insert-only like the trail, but not of it
RULE_TABLES: Final[dict[str, tuple[str, ...]]] = {
    "approval_rules": ("id = NEW.id", "version = NEW.version", "change_id = NEW.change_id"),
    "iamroles_accountrule": (
        "id = NEW.id",
        "account_id = NEW.account_id AND kind = NEW.kind AND version = NEW.version",
    ),
}
PENDING: Final = "audit_pending"
DISCLOSURE: Final = "audit_disclosure"
ALL_TABLES: Final = (*SEALED_TABLES, PENDING, DISCLOSURE)


class UnsupportedDatabase(RuntimeError):
    """There are triggers for PostgreSQL and SQLite only."""


class _Editor(Protocol):
    connection: BaseDatabaseWrapper


def install(connection: BaseDatabaseWrapper) -> None:
    """Creates the triggers of every table that exists, replacing those that are there. Raises UnsupportedDatabase."""
    statements = {"postgresql": _postgresql, "sqlite": _sqlite}.get(connection.vendor)
    if statements is None:
        raise UnsupportedDatabase(connection.vendor)
    remove(connection)
    with connection.cursor() as cursor:
        for statement in statements(_triggers(connection)):
            cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Drops all triggers: for reversing a migration and for emptying a test database."""
    with connection.cursor() as cursor:
        for table, name in _triggers(connection):
            on_table = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on_table}")


def _triggers(connection: BaseDatabaseWrapper) -> list[tuple[str, str]]:
    """Those of tables that exist: an early migration runs before the later tables are made."""
    present = set(connection.introspection.table_names())
    return [(table, name) for table, name in expected(connection.vendor) if table in present]


def expected(vendor: str) -> list[tuple[str, str]]:
    """Returns table and name of every trigger that must exist."""
    last = "truncate" if vendor == "postgresql" else "insert"
    whole = (*SEALED_TABLES, *RULE_TABLES, PENDING)
    found = [(table, f"{table}_no_{act}") for table in whole for act in ("update", "delete", last)]
    found += [(DISCLOSURE, f"{DISCLOSURE}_no_{act}") for act in ("update", last)]
    if vendor == "sqlite":
        found.append(("audit_event", "audit_event_no_odd_id"))
    return found


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Returns the names of triggers that do not exist, or on PostgreSQL are not enabled in every mode."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
                " WHERE t.tgenabled = 'A' AND c.relnamespace = current_schema()::regnamespace"
            )
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        present = {row[0] for row in cursor.fetchall()}
    return [name for _, name in expected(connection.vendor) if name not in present]


def install_by(apps: object, editor: _Editor) -> None:
    """`install` in the form that migrations.RunPython calls."""
    install(editor.connection)


def remove_by(apps: object, editor: _Editor) -> None:
    """`remove` in the form that migrations.RunPython calls."""
    remove(editor.connection)


# SQLSTATE 42501 is insufficient_privilege: the caller may not do this, whoever it is.
_FUNCTIONS: Final = (
    """
    CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'this table is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = '42501';
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION audit_refuse_unsealed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NOT EXISTS (SELECT 1 FROM audit_leaf WHERE event_id = OLD.event_id) THEN
        RAISE EXCEPTION 'the audit trail is append-only: event % is not sealed yet', OLD.event_id
          USING ERRCODE = '42501';
      END IF;
      RETURN OLD;
    END $$
    """,
)


def _postgresql(triggers: list[tuple[str, str]]) -> list[str]:
    statements = list(_FUNCTIONS)
    for table, name in triggers:
        act = name.rsplit("_", 1)[1].upper()
        function = "audit_refuse_unsealed" if name == f"{PENDING}_no_delete" else "audit_refuse"
        each = "STATEMENT" if act == "TRUNCATE" else "ROW"
        statements += [
            f"CREATE TRIGGER {name} BEFORE {act} ON {table} FOR EACH {each} EXECUTE FUNCTION {function}()",
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
        ]
    return statements


def _sqlite(triggers: list[tuple[str, str]]) -> list[str]:
    refuse = "BEGIN SELECT RAISE(ABORT, 'this table is append-only'); END"
    statements = []
    for table, name in triggers:
        act = name.rsplit("_", 1)[1]
        if act == "insert":
            condition = f"BEFORE INSERT ON {table} WHEN {_taken(table)}"
        elif name == f"{PENDING}_no_delete":
            unsealed = "NOT EXISTS (SELECT 1 FROM audit_leaf WHERE event_id = OLD.event_id)"
            condition = f"BEFORE DELETE ON {table} WHEN {unsealed}"
        elif act == "id":
            condition = f"AFTER INSERT ON {table} WHEN NEW.id < 1"
        else:
            condition = f"BEFORE {act.upper()} ON {table}"
        statements.append(f"CREATE TRIGGER {name} {condition} {refuse}")
    return statements


def _taken(table: str) -> str:
    # INSERT OR REPLACE removes the row in its way without a delete trigger, unless recursive_triggers is on.
    keys = {PENDING: ("event_id = NEW.event_id",), DISCLOSURE: ("event_id = NEW.event_id AND path = NEW.path",)}
    conditions = " OR ".join(f"({key})" for key in {**SEALED_TABLES, **RULE_TABLES}.get(table) or keys[table])
    return f"EXISTS (SELECT 1 FROM {table} WHERE {conditions})"  # noqa: S608 (constants of this module)
