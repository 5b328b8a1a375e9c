"""Parts that read otherwise than expected, side by side: as it was observed, as it was approved, as it is live."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_WORDS = {
    "role": "The role",
    "role id": "The RoleId",
    "trust": "Trust policy",
    "description": "Description",
    "max_session": "Longest session, in seconds",
    "boundary": "Permissions boundary",
}
_PREFIXES = {
    "tag": "Tag",
    "attached": "Attached policy",
    "inline": "Inline policy",
    "document": "Document of the policy",
    "policy": "The policy",
    "user of": "A user of the policy",
    "call": "A call that is not planned,",
    "step": "Effect of step",
}


@dataclass(frozen=True)
class Column:
    """One of the three values of a part. `is_json` texts are indented for reading."""

    title: str
    text: str
    is_json: bool


@dataclass(frozen=True)
class PartView:
    """One part with its values; `anchor` is unique on the page."""

    name: str
    anchor: str
    columns: tuple[Column, ...]


def part_views(parts: Iterable[Mapping[str, str | None]]) -> tuple[PartView, ...]:
    """Returns the stored differences for a page, in their order.

    What reads as approved is left out where something else does not: it is not what stopped the run.
    """
    every = list(parts)
    odd = [part for part in every if part.get("live") != part.get("target")]
    return tuple(
        PartView(
            name=_name(str(part.get("part", ""))),
            anchor=f"part-{place}",
            columns=(
                _column("Observed before the approval", part.get("base")),
                _column("As approved", part.get("target")),
                _column("Live in AWS", part.get("live")),
            ),
        )
        for place, part in enumerate(odd or every, 1)
    )


def _name(part: str) -> str:
    if part in _WORDS:
        return _WORDS[part]
    for prefix, words in _PREFIXES.items():
        if part.startswith(f"{prefix} "):
            return f"{words} {part.removeprefix(prefix).strip()}"
    return part.replace("_", " ")


def _column(title: str, value: str | None) -> Column:
    if value is None:
        return Column(title, "not there", is_json=False)
    if value.startswith("{"):
        try:
            return Column(title, json.dumps(json.loads(value), indent=2, ensure_ascii=False), is_json=True)
        except ValueError:
            pass
    return Column(title, value or "empty", is_json=False)
