"""How exported events are spelled: JSON lines are the stored canonical bytes, CSV is for reading in a spreadsheet.

JSON lines are the evidence. CSV cells are guarded against being run as formulas, so they are not.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final, Literal

from iamroles.audit import envelope, words
from iamroles.audit.export.rows import Row

Format = Literal["csv", "jsonl"]
FORMATS: Final[tuple[Format, ...]] = ("csv", "jsonl")

CSV_HEADER: Final = (
    "event",
    "seq",
    "at",
    "action",
    "sentence",
    "outcome",
    "code",
    "actor_type",
    "actor_id",
    "actor_name",
    "object_type",
    "object_id",
    "object_name",
    "request",
    "revision",
    "aws_account",
    "aws_request_id",
    "reason",
    "ip",
    "event_id",
)
# Spreadsheets take these for the start of a formula, some of them also in their full width forms.
_FORMULA: Final = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


_IN_ORDER: Final = itemgetter(*CSV_HEADER)
_GAP: Final = "\x1f"  # between cells that are looked at together
_SUSPICIOUS: Final = re.compile(f"{_GAP}(?:{_FORMULA.pattern})")


def write_lines(rows: Iterable[Row], spelled: Format, *, header: bool = True) -> bytes:
    """Returns the export of rows; CSV with its header, unless it goes on with a part."""
    if spelled == "jsonl":
        return "".join(f"{row.canon}\n" for row in rows).encode()
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\r\n")
    if header:
        writer.writerow(CSV_HEADER)
    writer.writerows(map(_cells, rows))
    return table.getvalue().encode()


def guard_cell(text: str) -> str:
    """Returns the text of a CSV cell, with a leading apostrophe where a spreadsheet would see a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def _cells(row: Row) -> Sequence[str]:
    said = json.loads(row.canon)
    texts = envelope.texts_of(said)
    texts |= {
        "event": f"EVT-{row.pk:07d}",
        "event_id": said["id"],
        "seq": str(row.seq),
        "at": said["at"],
        "sentence": words.sentence_of(said),
        "reason": said["reason"] or "",
        "ip": said["origin"]["ip"] or "",
        "revision": "" if said["revision"] is None else str(said["revision"]),
    }
    cells = list(_IN_ORDER(texts))
    # One look at all cells: hardly any event has a cell that must be guarded.
    return list(map(guard_cell, cells)) if _SUSPICIOUS.search(_GAP + _GAP.join(cells)) else cells
