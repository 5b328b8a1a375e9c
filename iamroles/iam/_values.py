"""Comparing numbers, dates, addresses, booleans and bytes of conditions, as `evaluate` needs it.

A value that is none of its kind compares false, so that a negated operator holds. No clock: dates are only compared.
"""

from __future__ import annotations

import ipaddress
import re
from fractions import Fraction

from iamroles.iam.statements import ascii_lower

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})", re.ASCII)
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    re.ASCII,
)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def compare(base: str, wanted: str, actual: str) -> bool:
    """Returns True when the actual value satisfies a positive operator with the wanted value."""
    if base == "Bool":
        return ascii_lower(wanted) == ascii_lower(actual)
    if base == "BinaryEquals":
        return _BASE64.fullmatch(wanted) is not None and wanted == actual
    if base == "IpAddress":
        return _address_in(wanted, actual)
    read = _number if base.startswith("Numeric") else _instant
    left, right = read(actual), read(wanted)
    if left is None or right is None:
        return False
    test = base.removeprefix("Numeric").removeprefix("Date")
    return {
        "Equals": left == right,
        "LessThan": left < right,
        "LessThanEquals": left <= right,
        "GreaterThan": left > right,
        "GreaterThanEquals": left >= right,
    }[test]


def _number(text: str) -> Fraction | None:
    return Fraction(text) if _NUMBER.fullmatch(text) else None


def _instant(text: str) -> Fraction | None:
    """Seconds since 1970 of an ISO 8601 time (UTC unless it says otherwise) or of a number of seconds."""
    if _NUMBER.fullmatch(text):
        return Fraction(text)
    match = _DATE.fullmatch(text)
    if not match:
        return None
    year, month, day = (int(match.group(index)) for index in (1, 2, 3))
    hour, minute, second = (int(match.group(index) or 0) for index in (4, 5, 6))
    if not (1 <= month <= 12 and 1 <= day <= _month_length(year, month) and hour < 24 and minute < 60 and second < 61):
        return None
    seconds = Fraction(((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
    if match.group(7):
        seconds += Fraction(int(match.group(7)), 10 ** len(match.group(7)))
    return seconds - _offset(match.group(8))


def _offset(zone: str | None) -> int:
    if zone in {None, "Z"}:
        return 0
    assert zone is not None  # noqa: S101  (for the type checker)
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds


def _month_length(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in {4, 6, 9, 11} else 31


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar; the year is counted from March."""
    shifted = year - (month <= 2)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def _address_in(network: str, address: str) -> bool:
    try:
        inside = ipaddress.ip_network(address, strict=False)
        outside = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
    return inside.version == outside.version and inside.subnet_of(outside)  # type: ignore[arg-type]
