"""Migrations are safe for two versions at once: the processes before and after an upgrade work on the same tables.

An operation that takes something away, or that older code's rows could break, needs a reason in REASONS. Better: add
the new, let both be written, and take the old away one minor version later.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models.fields import NOT_PROVIDED

FIRST = "0001_initial"
# Made before the first release, when nobody had older processes.
BEFORE_RELEASE = {
    "0004_watch_roles_and_accounts",
    "0005_pauses_looks_resolutions",
    "0007_who_may_approve",
    "0011_notices",
    "0012_sections_viewed",
}
# (migration, what is said of the operation) -> why two versions can live with it
REASONS = {
    (
        "0015_remember_who_let_people_in",
        "team.members: its type or rules change under older code",
    ): "only Django's own picture changes: which two columns of the link table make the link",
    (
        "0018_tell_people_of_their_sign_in",
        "notice.request: its type or rules change under older code",
    ): "it may be empty now; older code joins the request and so leaves such rows to the new one",
}


def loaded() -> MigrationLoader:
    return MigrationLoader(None)


def ours() -> list[migrations.Migration]:
    """Our migrations after the first, in order."""
    loader = loaded()
    names = sorted(name for app, name in loader.disk_migrations if app == "iamroles")
    return [loader.disk_migrations["iamroles", name] for name in names if name != FIRST]


def risks(operation: Operation, made: set[str]) -> Iterator[str]:
    """What older or newer code could stumble over. `made`: models of this very migration, which have no rows yet."""
    match operation:
        case migrations.CreateModel():
            made.add(operation.name_lower)
        case migrations.AddField():
            yield from _of_field(operation) if operation.model_name_lower not in made else ()
        case migrations.AlterField():
            yield f"{operation.model_name}.{operation.name}: its type or rules change under older code"
        case migrations.AddConstraint():
            if operation.model_name_lower not in made:
                yield f"{operation.constraint.name}: older code's rows may break it"
        case migrations.RunPython() | migrations.RunSQL():
            if not operation.reversible:
                yield "it cannot be taken back"
        case migrations.SeparateDatabaseAndState():
            for inner in operation.database_operations:
                yield from risks(inner, made)
        case migrations.AddIndex() | migrations.RemoveIndex() | migrations.RemoveConstraint():
            return
        case migrations.AlterModelOptions() | migrations.AlterModelManagers():
            return
        case _:
            yield f"{operation.describe()}: older code still uses it"


def _of_field(operation: migrations.AddField) -> Iterator[str]:
    field = operation.field
    if isinstance(field, models.ManyToManyField) or field.generated:
        return
    # Django drops a plain default after filling the rows: only the database's own serves older code.
    if not field.null and field.db_default is NOT_PROVIDED:
        yield f"{operation.model_name}.{operation.name}: older code inserts no value"
    if field.unique:
        yield f"{operation.model_name}.{operation.name}: older code knows no unique value"


def found(migration: migrations.Migration) -> list[str]:
    made: set[str] = set()
    return [risk for operation in migration.operations for risk in risks(operation, made)]


@pytest.mark.parametrize("migration", ours(), ids=lambda migration: migration.name)
def test_two_versions_can_live_with_it(migration: migrations.Migration) -> None:
    if migration.name in BEFORE_RELEASE:
        assert found(migration), "nothing is to excuse here"
        return
    unexplained = [risk for risk in found(migration) if (migration.name, risk) not in REASONS]
    assert unexplained == [], f"{migration.name}: add it another way, or say in REASONS why it is safe"


def test_every_reason_is_still_needed() -> None:
    risky = {(migration.name, risk) for migration in ours() for risk in found(migration)}
    assert set(REASONS) - risky == set()


@pytest.mark.parametrize(
    ("operation", "risk"),
    [
        (migrations.RemoveField("request", "title"), "Remove field title from request: older code still uses it"),
        (migrations.RenameField("request", "title", "name"), "older code still uses it"),
        (migrations.DeleteModel("Request"), "Delete model Request: older code still uses it"),
        (migrations.AddField("Request", "x", models.TextField(default="")), "Request.x: older code inserts no value"),
        (migrations.RunPython(migrations.RunPython.noop), "it cannot be taken back"),
        (migrations.AddField("Request", "x", models.TextField(null=True)), None),
        (migrations.AddField("Request", "x", models.TextField(db_default="")), None),
        (migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop), None),
    ],
    ids=str,
)
def test_the_rule_tells_them_apart(operation: Operation, risk: str | None) -> None:
    said = list(risks(operation, set()))
    assert said == [] if risk is None else (len(said) == 1 and said[0].endswith(risk))
