"""A program: rows in every state made by the models of an earlier version, read by today's code after migrating,
written again by the earlier models as older processes do in a rolling upgrade, and kept when it is taken back.

Runs on an empty database of its own (DATABASE_URL). Prints what it did as JSON.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import django

django.setup()

from django.apps import apps as todays  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402
from django.db.models.fields import NOT_PROVIDED  # noqa: E402

from iamroles.rules import states  # noqa: E402

_count = itertools.count(1)
EVENTS = {"AuditEvent", "AuditPending", "AuditLeaf", "AuditCheckpoint", "AuditReceipt", "AuditDisclosure"}


def migrate(name: str | None) -> Any:
    """Migrates iamroles to a migration (None: the newest) and returns the models of that state."""
    executor = MigrationExecutor(connection)
    leaves = [node for node in executor.loader.graph.leaf_nodes() if name is None or node[0] != "iamroles"]
    targets = leaves if name is None else [*leaves, ("iamroles", name)]
    executor.migrate(targets)
    return executor.loader.project_state(targets).apps


def value_of(field: Any, apps: Any) -> Any:
    """Something that the field takes."""
    number = next(_count)
    if isinstance(field, models.ForeignKey):
        return make(apps, field.related_model.__name__)
    if isinstance(field, models.DateTimeField):
        return datetime.now(UTC) + timedelta(seconds=number)
    if isinstance(field, models.JSONField):
        return {}
    if isinstance(field, models.BooleanField):
        return False
    if isinstance(field, models.IntegerField):
        return number
    if isinstance(field, models.BinaryField):
        return b"\0" * 32
    length = field.max_length or 40
    return f"{number:0{min(length, 12)}d}"[-length:]


def make(apps: Any, model_name: str, **given: Any) -> Any:
    """A row of a model, with values of no meaning in what it must have and is not given."""
    label = "auth" if model_name == "Group" else "iamroles"
    model = apps.get_model(label, model_name)
    for field in model._meta.concrete_fields:
        known = field.name in given or field.primary_key or field.null or field.default is not NOT_PROVIDED
        if not known and not field.generated and field.db_default is NOT_PROVIDED:
            given[field.name] = value_of(field, apps)
    return model.objects.create(**given)


def make_all(apps: Any) -> dict[str, int]:
    """A request in every state and outcome, each with runs in every state and stop reason; returns counts."""
    requests = [
        make(apps, "Request", state=state, outcome=outcome, risk="high")
        for state in states.REQUEST_STATES
        for outcome in (states.OUTCOMES if state == states.CLOSED else ("",))
    ]
    runs = 0
    for request in requests:
        revision = make(apps, "Revision", request=request, number=1)
        proposal = make(apps, "Proposal", revision=revision)
        for number, (state, reason) in enumerate(every_run(), start=1):
            run = make(apps, "Run", request=request, proposal=proposal, number=number, state=state, stop_reason=reason)
            make(apps, "Step", run=run, position=1)
            runs += 1
    return {"requests": len(requests), "runs": runs}


def every_run() -> list[tuple[str, str]]:
    """Every state of a run; a stopped one with every reason."""
    return [
        (state, reason)
        for state in states.RUN_STATES
        for reason in (states.STOP_REASONS if state == states.STOPPED else ("",))
    ]


def seen(apps: Any) -> dict[str, int]:
    """Reads every column of requests and runs; returns how many runs there are by their request's state."""
    words = {
        row.pk: f"{row.state} {row.outcome}".strip() for row in apps.get_model("iamroles", "Request").objects.all()
    }
    return Counter(words[run.request_id] for run in apps.get_model("iamroles", "Run").objects.all())


def main(base: str) -> None:
    """Plays a rolling upgrade from `base` to today and back."""
    old = migrate(base)
    made = make_all(old)
    before = seen(old)
    migrate(None)
    read = seen(todays)
    for model_name in ("Request", "Revision", "Proposal", "Run", "Step", "AwsAccount", "Team", "User"):
        for row in old.get_model("iamroles", model_name).objects.all():
            row.save()  # an older process goes on with what it holds
    again = make_all(old)  # and makes more
    now = seen(todays)
    back = seen(migrate(base))
    json.dump({"made": made, "again": again, "before": before, "read": read, "now": now, "back": back}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
