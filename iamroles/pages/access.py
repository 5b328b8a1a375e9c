"""What a document allows and denies as a table: service, actions, resources, conditions, now and after approval.

One row for the actions of a service that stand with the same resources and conditions on the same side. It repeats what
the statements say, word for word; what they come to is `contain`'s and the findings' business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from iamroles.iam.documents import Document
from iamroles.iam.statements import Condition, Statement

Line = tuple[str, str, str, tuple[str, ...]]  # effect, action, resource or principal, conditions


@dataclass(frozen=True)
class AccessRow:
    """One row. `resources` are principals in a trust policy; `now` and `after` say on which side it stands."""

    effect: str
    service: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[str, ...]
    now: bool
    after: bool

    @property
    def sign(self) -> str:
        """ "+" for what comes, "−" for what goes, "" for what stays."""
        return "" if self.now and self.after else "+" if self.after else "−"


def access_between(before: Document | None, after: Document | None) -> tuple[AccessRow, ...]:
    """Returns the rows: by service, what comes and goes before what stays."""
    old, new = (set(_lines(document)) if document else set() for document in (before, after))
    reached: dict[tuple[str, str, tuple[str, ...], bool, bool], set[str]] = defaultdict(set)
    for effect, action, resource, conditions in old | new:
        line = (effect, action, resource, conditions)
        reached[effect, action, conditions, line in old, line in new].add(resource)
    rows: dict[tuple[str, str, tuple[str, ...], tuple[str, ...], bool, bool], list[str]] = defaultdict(list)
    for (effect, action, conditions, now, then), resources in reached.items():
        service = action.removeprefix("not ").partition(":")[0]
        rows[effect, service, tuple(sorted(resources)), conditions, now, then].append(action)
    made = (
        AccessRow(effect, service, tuple(sorted(actions)), resources, conditions, now, then)
        for (effect, service, resources, conditions, now, then), actions in rows.items()
    )
    return tuple(
        sorted(made, key=lambda row: (row.now and row.after, row.service, row.effect, row.actions, row.resources))
    )


def _lines(document: Document) -> Iterator[Line]:
    for statement in document.statements:
        conditions = tuple(sorted(map(_condition, statement.conditions)))
        for action in statement.actions:
            for place in _places(statement):
                yield statement.effect, f"not {action}" if statement.not_actions else action, place, conditions


def _places(statement: Statement) -> list[str]:
    if statement.principals:
        words = [value if kind == "*" else f"{kind} {value}" for kind, value in statement.principals]
        return [f"not {word}" for word in words] if statement.not_principals else words
    return [f"not {one}" for one in statement.resources] if statement.not_resources else list(statement.resources)


def _condition(condition: Condition) -> str:
    return f"{condition.written} {condition.name} {', '.join(condition.values)}"
