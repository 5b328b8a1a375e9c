"""The functional groups that the portal knows by name. An AWS account's owner is a group of its own choosing."""

from typing import Final

APPROVERS: Final = "approvers"
SECURITY: Final = "security"
AUDITORS: Final = "auditors"
OPERATORS: Final = "operators"
ALL: Final = (APPROVERS, SECURITY, AUDITORS, OPERATORS)
