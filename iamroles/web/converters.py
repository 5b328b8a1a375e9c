"""References in addresses: REQ-000142, EVT-0018204 and EXP-000031 are the row ids that views get."""

from __future__ import annotations


class RequestReference:
    """Turns REQ-000142 into 142 and back."""

    regex = "REQ-[0-9]{6,12}"

    def to_python(self, value: str) -> int:
        """Returns the row id."""
        return int(value.removeprefix("REQ-"))

    def to_url(self, value: int | str) -> str:
        """Returns the reference for a row id, or the reference itself."""
        return value if isinstance(value, str) else f"REQ-{value:06d}"


class EventReference:
    """Turns EVT-0018204 into 18204 and back."""

    regex = "EVT-[0-9]{7,14}"

    def to_python(self, value: str) -> int:
        """Returns the row id."""
        return int(value.removeprefix("EVT-"))

    def to_url(self, value: int | str) -> str:
        """Returns the reference for a row id, or the reference itself."""
        return value if isinstance(value, str) else f"EVT-{value:07d}"


class ExportReference:
    """Turns EXP-000031 into 31 and back."""

    regex = "EXP-[0-9]{6,12}"

    def to_python(self, value: str) -> int:
        """Returns the row id."""
        return int(value.removeprefix("EXP-"))

    def to_url(self, value: int | str) -> str:
        """Returns the reference for a row id, or the reference itself."""
        return value if isinstance(value, str) else f"EXP-{value:06d}"
