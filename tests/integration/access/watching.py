"""What one request changed: rows by model and field, events by name and code. Then everything is as it was before."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connection, models, transaction

from iamroles.models import AuditEvent

_WRITES = re.compile(r'\b(?:INSERT(?: OR \w+)? INTO|(?<!FOR )(?<!KEY )UPDATE|DELETE FROM)\s+"?(\w+)"?')
_MODELS: Final = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
_TRAIL: Final = ("audit_event", "audit_pending")  # told by name


@dataclass(frozen=True)
class Seen:
    """The answer's status and where it leads; what changed, in order; the code of a refusal's event."""

    status: int
    location: str
    changes: tuple[str, ...]
    refusal: str


@contextmanager
def noting(tables: set[str]) -> Iterator[None]:
    """Notes every table that a statement of the block may write to."""

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        tables.update(_WRITES.findall(sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield


def watch(send: Any) -> Seen:
    """Calls `send`, which answers with a response, and returns what was seen; every change is rolled back."""
    tables: set[str] = set()
    last = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    with transaction.atomic():
        with noting(tables):
            response = send()
            if getattr(response, "streaming", False):
                b"".join(response.streaming_content)
        after = {table: _rows(table) for table in sorted(tables - {*_TRAIL})}
        events = list(AuditEvent.objects.filter(pk__gt=last).order_by("pk").values_list("action", "canon"))
        transaction.set_rollback(True)
    changed = [said for table, rows in after.items() for said in _difference(_MODELS[table], _rows(table), rows)]
    refused = [json.loads(canon)["code"] for action, canon in events if action == "verb.refused"]
    names = Counter(action for action, _ in events if action != "verb.refused")
    told = [name if count == 1 else f"{name}*{count}" for name, count in names.items()]
    location = response.headers.get("Location", "")
    return Seen(response.status_code, location, (*told, *changed), ",".join(refused))


def _rows(table: str) -> dict[Any, dict[str, Any]]:
    model = _MODELS[table]
    if model is Session:  # those in which somebody is signed in
        return {row.pk: {} for row in Session.objects.all() if "_auth_user_id" in row.get_decoded()}
    return {row[model._meta.pk.attname]: row for row in model._base_manager.values()}


def _difference(
    model: type[models.Model], before: dict[Any, dict[str, Any]], after: dict[Any, dict[str, Any]]
) -> Iterator[str]:
    said: Counter[str] = Counter()
    said[f"+{model.__name__}"] = len(after.keys() - before.keys())
    said[f"-{model.__name__}"] = len(before.keys() - after.keys())
    for key in before.keys() & after.keys():
        fields = sorted(name for name, value in after[key].items() if value != before[key][name])
        said[f"~{model.__name__}({','.join(fields)})"] += bool(fields)
    for what, count in sorted(said.items()):
        if count:
            yield what if count == 1 else f"{what}*{count}"
