"""How exported events are spelled: JSON lines are the stored canonical bytes, CSV is for reading in a spreadsheet.

JSON lines are the evidence. CSV cells are guarded against being run as formulas, so they are not.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
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


def write_lines(rows: Iterable[Row], spelled: Format, *, header: bool = True) -> Iterator[bytes]:
    """Yields the export of rows, a line at a time; CSV with its header, unless it goes on with a part."""
    return _csv(rows, header=header) if spelled == "csv" else _jsonl(rows)


def guard_cell(value: object) -> str:
    """Returns the text of a CSV cell, with a leading apostrophe where a spreadsheet would see a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) else text


def _jsonl(rows: Iterable[Row]) -> Iterator[bytes]:
    for row in rows:
        yield row.canon.encode() + b"\n"


def _csv(rows: Iterable[Row], *, header: bool) -> Iterator[bytes]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    if header:
        yield _take(buffer, writer.writerow(CSV_HEADER))
    for row in rows:
        yield _take(buffer, writer.writerow(_cells(row)))


def _cells(row: Row) -> Sequence[str]:
    said = json.loads(row.canon)
    values = {
        **vars(envelope.project(said)),
        "event": f"EVT-{row.pk:07d}",
        "seq": row.seq,
        "at": said["at"],
        "sentence": words.sentence_of(said),
        "reason": said["reason"],
        "ip": said["origin"]["ip"],
    }
    return [guard_cell(values[name]) for name in CSV_HEADER]


def _take(buffer: io.StringIO, _written: object) -> bytes:
    line = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return line
